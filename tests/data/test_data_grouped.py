"""GroupedData: views, verbs, history, hash, units, and what a stranger's file can do (nothing)."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.data import GroupedData, derived_unit, load_example, read_data
from workbench.data.checks import MENDS
from workbench.errors import DataError

TEXT = (
    "ID,TIME,AMT,DV,WT,SEX,DVID\n"
    "1,0,100,.,70,F,\n1,1,0,5,70,F,cp\n1,2,0,4,70,F,cp\n"
    "2,0,50,.,60,M,\n2,1,0,3,60,M,cp\n2,24,0,40,62,M,pd\n"
)


def small(**options: Any) -> GroupedData:
    return read_data(io.StringIO(TEXT), name="small.csv", **options)


def test_views() -> None:
    data = small()
    assert repr(data) == "<GroupedData small.csv: 2 subjects, 4 observations>"
    assert data.responses == ("cp", "pd")
    assert data.observations["DV"].tolist() == [5, 4, 3, 40]
    assert data.observations.index.tolist() == [3, 4, 6, 7]
    assert data.doses["AMT"].tolist() == [100, 50]
    subjects = data.subjects
    assert subjects.index.tolist() == [1, 2] and subjects.index.name == "ID"
    assert subjects["observations"].tolist() == [2, 2]
    assert subjects["last_time"].tolist() == [2, 24]
    assert subjects["SEX"].tolist() == ["F", "M"]
    covariates = data.covariates
    assert covariates["kind"].tolist() == ["continuous", "categorical"]
    assert covariates["varies"].tolist() == [True, False]
    assert covariates.loc["SEX", "levels"] == ("F", "M")
    described = data.describe_covariates()
    assert described.loc["WT", "median"] == 65
    assert described.loc["SEX", "counts"] == "F: 1, M: 1"
    assert data.summary()["value"]["responses"] == "cp: 3, pd: 1"
    assert len(data) == 6


def test_filter_and_exclude_are_recorded() -> None:
    data = small()
    part = data.filter("TIME < 24 and SEX == 'M'")
    assert part.events.subjects == (2,)
    assert part.code() == "wb.read_data('small.csv').filter(\"TIME < 24 and SEX == 'M'\")"
    assert [str(step) for step in part.history][1:] == ["filter(\"TIME < 24 and SEX == 'M'\")"]
    assert data.exclude(1).events.subjects == (2,)
    assert data.exclude(subject=np.int64(1)).code().endswith(".exclude(subject=1)")
    assert data.exclude(subject=["1"]).events.subjects == (2,)
    assert data.exclude(rows=[7]).observations["DV"].tolist() == [5, 4, 3]
    assert data.exclude(subject=[]) == data
    for call in (lambda: data.exclude(9), lambda: data.exclude(rows=99), lambda: data.filter("TIME > 99")):
        with pytest.raises(DataError):
            call()
    with pytest.raises(DataError, match="leaves no row"):
        data.exclude([1, 2])


def test_a_subject_emptied_on_purpose_is_only_warned_about() -> None:
    part = small().filter("AMT > 0 or DVID == 'pd'")
    assert part.check().loc["subject without observation", "severity"] == "warning"
    assert len(part.events.subjects) == 2


def test_equality_is_that_of_the_content() -> None:
    data = small()
    assert data == read_data(TEXT.encode(), name="another name")
    assert data == read_data(data.frame.reset_index(drop=True))
    assert data.filter("ID == 1") == data.exclude(2)
    assert data != data.filter("ID == 1")
    assert data != small(units={"time": "h"})
    assert data != data.with_covariate_rule("locf")
    assert data != read_data(io.StringIO(TEXT.replace(",5,", ",5.0000001,")))
    assert data != read_data(io.StringIO(TEXT.replace("F", "f")))
    assert data != 1
    assert len({data, small()}) == 1


def test_it_never_changes() -> None:
    data = small()
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "x"  # type: ignore[misc]
    before = data.hash
    for handed in (data.frame, data.observations):
        handed.loc[:, "DV"] = 0
    data.roles.clear()
    data.units["time"] = "h"
    assert data.with_units(time="h").units == {"time": "h"} and data.units == {}
    assert small().hash == before and data.filter("ID == 1").observations["DV"].tolist() == [5, 4]
    assert pickle.loads(pickle.dumps(data)) == copy.deepcopy(data) == data
    assert copy.copy(data).events.dv.tolist()[1:3] == [5, 4]


def test_nonmem_layout() -> None:
    data = small()
    text = data.to_csv()
    assert text.splitlines()[0] == "ID,TIME,DV,AMT,EVID,MDV,DVID,WT,SEX"
    again = read_data(io.StringIO(text))
    for name in ("start", "time", "kind", "observed", "dv", "amount", "response"):
        np.testing.assert_array_equal(getattr(again.events, name), getattr(data.events, name))
    wide = read_data(io.StringIO("Subject,Dose,Time,conc\n1,4,0,1\n1,4,1,2\n"))
    assert read_data(io.StringIO(wide.to_csv())).events.kind.tolist() == [1, 0, 0]


def test_nonmem_layout_of_everything() -> None:
    head = "ID,TIME,AMT,RATE,ADDL,II,SS,CMT,DV,OCC,CENS,LIMIT,EVID\n"
    rows = "x,0,10,5,2,12,1,1,.,1,0,.,1\nx,1,0,0,0,0,0,2,3,1,0,.,0\nx,2,0,0,0,0,0,2,0.5,2,1,0.1,0\n"
    data = read_data(io.StringIO(head + rows))
    again = read_data(io.StringIO(data.to_csv()))
    for field in dataclasses.fields(data.events):
        np.testing.assert_array_equal(getattr(again.events, field.name), getattr(data.events, field.name), field.name)


def test_units_convert_what_is_counted_in_them() -> None:
    text = "ID,TIME,AMT,RATE,II,ADDL,DV\n1,0,100,50,24,2,.\n1,48,0,0,0,0,5\n"
    units = {"time": "h", "amount": "mg", "rate": "mg/h", "interval": "h", "response": "mg/L"}
    data = read_data(io.StringIO(text), units=units).convert(time="day", amount="g", response="ug/L")
    events = data.events
    assert events.time.tolist() == [0, 2]
    assert events.interval[0] == 1
    assert events.amount[0] == pytest.approx(0.1)
    assert events.rate[0] == pytest.approx(1.2)
    assert events.dv[1] == pytest.approx(5000)
    assert data.units["interval"] == "day"
    assert data.code().endswith(".convert(time='day', amount='g', response='ug/L')")
    back = data.convert(time="h", amount="mg")
    assert back.events.rate[0] == pytest.approx(50)


def test_clashing_units_are_named_both() -> None:
    text = "ID,TIME,AMT,RATE,DV\n1,0,100,50,.\n1,48,0,0,5\n"
    with pytest.raises(DataError, match=r"'mg/min'.*'mg' and 'h'"):
        read_data(io.StringIO(text), units={"time": "h", "amount": "mg", "rate": "mg/min"})
    with pytest.raises(DataError, match="'mg'; allowed: a time"):
        read_data(io.StringIO(text), units={"time": "mg"})
    with pytest.raises(DataError, match="'flurbs' of response is not known"):
        read_data(io.StringIO(text), units={"response": "flurbs"})
    with pytest.raises(DataError, match="units names 'WT'"):
        read_data(io.StringIO(text), units={"WT": "kg"})
    data = read_data(io.StringIO(text), units={"time": "h", "response": "mg/L"})
    with pytest.raises(DataError, match="'mg/L' cannot be converted to 'kg'"):
        data.convert(response="kg")
    with pytest.raises(DataError, match="amount has no unit"):
        data.convert(amount="g")


@pytest.mark.parametrize(
    ("amount", "response", "volume", "clearance"),
    [
        ("mg", "mg/L", "L", "L/h"),
        ("mg", "ng/mL", "1000 L", "1000 L/h"),
        ("mg/kg", "mg/L", "L/kg", "L/kg/h"),
        ("ug", "ng/mL", "L", "L/h"),
        ("mg", "percent", "(mg)/(percent)", "(mg)/(percent)/h"),
    ],
)
def test_units_of_parameters(amount: str, response: str, volume: str, clearance: str) -> None:
    units = {"time": "h", "amount": amount, "response": response}
    assert derived_unit(units, "volume") == volume
    assert derived_unit(units, "clearance") == clearance
    assert derived_unit(units, "rate constant") == "1/h"
    assert derived_unit({}, "volume") == derived_unit({}, "rate constant") == ""


@pytest.mark.parametrize(
    ("amount", "response", "per_volume", "rate"),
    [
        ("mg", "mg/L", "1/L", "mg/h"),
        ("mg", "ng/mL", "0.001/L", "mg/h"),
        ("mg/kg", "mg/L", "kg/L", "mg/kg/h"),
        ("mg/kg", "ng/mL", "0.001 kg/L", "mg/kg/h"),
        ("mg", "percent", "(percent)/(mg)", "mg/h"),
    ],
)
def test_units_of_parameters_of_other_kinds(amount: str, response: str, per_volume: str, rate: str) -> None:
    units = {"time": "h", "amount": amount, "response": response}
    assert derived_unit(units, "per volume") == per_volume
    assert derived_unit(units, "amount per time") == rate
    assert derived_unit(units, "concentration") == response
    assert derived_unit(units, "time") == "h"
    assert derived_unit({"amount": "mg"}, "amount per time") == derived_unit({"time": "h"}, "amount per time") == ""
    for kind in ("per volume", "amount per time", "concentration", "time"):
        assert derived_unit({}, kind) == ""
    for kind in ("fraction", "number", "effect", ""):
        assert derived_unit(units, kind) == ""


NASTY = '<script>alert("x")</script>'


def test_a_strangers_file_is_text_in_html() -> None:
    frame = pd.DataFrame({"ID": [NASTY, "<img onerror=1>"], "TIME": [0, 1], "DV": [1, 2], NASTY: ["<b>", 'a"b\n']})
    data = read_data(frame, name=f"{NASTY}.csv")
    shown = data._repr_html_()
    assert "<script" not in shown and "<img" not in shown and "<b>a" not in shown
    assert "&lt;script&gt;" in shown
    assert data.covariate_names == (NASTY,)
    assert NASTY in repr(data)


def test_a_header_with_a_newline() -> None:
    data = read_data(b'ID,TIME,DV,"body\nweight"\n1,0,1,70\n1,1,x,70\n', strict=False, na_values="x")
    assert data.covariate_names == ("body\nweight",)
    assert data.frame.index.tolist() == [3, 4]


def test_every_mend_has_a_finding_and_works() -> None:
    rows = [
        "1,0,100,1,.,0,0,70,A,9,1", "1,1,0,0,5,0,0,70,A,9,1", "1,1,0,0,6,0,0,70,A,9,1", "1,3,0,0,0,0,0,70,A,9,1",
        "1,2,0,0,.,0,0,.,A,9,1", "2,-3,0,0,3,0,0,60,A,9,2", "2,0,100000,1,.,0,0,60,B,9,1", "2,2,7,0,2,0,0,60,A,9,1",
        "2,3,0,1,.,0,0,60,A,9,1", "2,4,100,1,.,3,0,60,A,9,1", "2,5,100,1,.,0,1,60,A,9,1", "2,6,0,0,1,0,0,60,A,9,1",
        "3,1,0,0,2,0,0,80,A,9,2", "3,2,0,0,2,0,0,80,A,9,2", "4,0,100,1,.,0,0,90,A,9,2", "1,9,0,0,1,0,0,70,A,9,1",
        "5,0,100,1,.,0,0,90,A,9,2", "5,1,0,0,1,0,0,90,A,9,2",
    ]  # fmt: skip
    text = "ID,TIME,AMT,EVID,DV,ADDL,SS,WT,RACE,K,G\n" + "\n".join(rows) + "\n"
    data = read_data(io.StringIO(text), roles={"interval": None}, strict=False)
    found = data.check()
    assert (found["severity"].iloc[0], found["severity"].iloc[-1]) == ("error", "warning")
    offered = set(found["mend"]) & set(MENDS)
    assert len(offered) >= 16
    for name in offered:
        mended = data.mend(name)
        mine = found.index[found["mend"] == name]
        left = mended.check()
        if name != "fill_covariates":
            assert not set(mine) & set(left.index), name
        assert mended.code().endswith(f".mend({name!r})")
        assert data.check().equals(found)
    with pytest.raises(DataError, match="there is no mend 'magic'"):
        data.mend("magic")


def test_rescaled_doses() -> None:
    text = "ID,TIME,AMT,DV\n" + "".join(f"{i},0,{100 if i else 0.1},.\n{i},1,0,5\n{i},2,0,4\n" for i in range(6))
    data = read_data(io.StringIO(text))
    assert data.check().loc["dose outlier", "rows"] == (2,)
    assert data.mend("rescale_outlying_doses").doses["AMT"].tolist() == pytest.approx([100] * 6)


def test_findings_of_the_examples_are_few() -> None:
    assert list(load_example("theophylline").check().index) == ["response not positive"]
    log_scale = "ID,TIME,DV\n1,0,-1\n1,1,0.5\n1,2,-2\n2,0,1\n2,1,0\n"
    assert read_data(io.StringIO(log_scale)).check().empty
