"""Siblings of the files from the field: other spellings, and files with few subjects."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.data import GroupedData, read_data


def said(data: GroupedData) -> str:
    return "\n".join([*(step.note for step in data.history), *(f"{f.where}: {f.message}" for f in data.findings)])


def made(header: str, *rows: str) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


# -- dates with a clock in a column of its own -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CLOCK", "CLOCKTIME", "TOD", "ATM", "Uhrzeit", "SampleClock", "Collected at"])
@pytest.mark.parametrize("date", ["DATE", "ADT", "Datum", "TIME"])
@pytest.mark.parametrize("clocks", [("8:30", "13:30"), ("08:30:00", "13:30:00"), ("8:30 AM", "1:30 PM")])
def test_a_date_and_a_clock_belong_together(name, date, clocks) -> None:
    rows = [f"{i},2024-05-0{d},{clocks[k]},{5 - d}" for i in (1, 2) for d, k in ((1, 0), (1, 1), (2, 0))]
    data = read_data(made(f"ID,{date},{name},DV", *rows))
    assert data.events.time.tolist() == [0, 5, 24, 0, 5, 24]
    assert data.covariate_names == ()
    assert (data.roles["time"], f"{date} and {name}: hours" in said(data)) == (name, True)


@pytest.mark.parametrize("clocks", [("830", "1330"), ("8.5", "13.5")])
def test_a_clock_of_plain_numbers(clocks) -> None:
    rows = [f"{i},2024-05-0{d},{clocks[k]},{5 - d}" for i in (1, 2) for d, k in ((1, 0), (1, 1), (2, 0))]
    assert read_data(made("ID,DATE,CLOCK,DV", *rows)).events.time.tolist() == [0, 5, 24, 0, 5, 24]


def test_a_clock_beside_days_dates_of_any_name_or_running_times() -> None:
    days = read_data(made("ID,DAY,CLOCK,DV", "1,1,8:30,5", "1,1,13:30,4", "1,2,8:30,3"))
    assert days.events.time.tolist() == [0, 5, 24]
    dated = read_data(made("ID,Sampled,CLOCK,DOB,DV", *(f"1,2024-05-0{d},8:30,1970-05-01,{d}" for d in (1, 2))))
    assert dated.events.time.tolist() == [0, 24] and dated.covariate_names == ()
    running = read_data(made("ID,DATE,CLOCK,TIME,DV", "1,2024-05-01,8:30,0,5", "1,2024-05-01,13:00,4.5,4"))
    assert running.events.time.tolist() == [0, 4.5] and running.covariate_names == ()


# -- few subjects ----------------------------------------------------------------------------------------------------


def test_an_outlier_among_few_values() -> None:
    rows = ["1,0,5.1", "1,1,8.2", "1,2,4", "2,0,6", "2,1,7", "2,2,980"]
    data = read_data(made("ID,TIME,DV", *rows))
    assert "980 among values up to 8.2" in said(data)
    assert "among values" not in said(read_data(made("ID,TIME,DV", *rows[:-1], "2,2,30")))
    assert "among values" not in said(read_data(made("ID,TIME,DV", "1,0,900", "1,1,40", "1,2,4", "1,3,1")))


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("WT", (70, 68000, -99), ("68000 among values near 70: a slip of the unit", "-99 in 2 rows")),
        ("WT", (70, 68000), ("68000 among values near 70: a slip of the unit",)),
        ("WT", (70, 0.068, 80), ("0.068 among values near 75: a slip of the unit",)),
        ("HT", (170, 1.75, 180), ("1.75 among values near 175: a slip of the unit by a factor of 100",)),
        ("AGE", (30, 350, 40), ("350 among values near 35: out of the range",)),
        ("WT", (60, 70, 700, 80), ("700 among values near 70: out of the range",)),
        ("CRP", (3.0, 4.0, 3500.0), ("3500 among values near 3.5: a slip of the unit",)),
    ],
)
def test_a_slip_among_few_subjects(name, values, words) -> None:
    rows = [f"{i},{t},{5 - t},{v:g}" for i, v in enumerate(values) for t in (0, 1)]
    data = read_data(made(f"ID,TIME,DV,{name}", *rows))
    for part in words:
        assert part in said(data)


@pytest.mark.parametrize(
    ("name", "values"), [("WT", (70, 50, 120)), ("WT", (0.9, 1.4, 3.2)), ("WT", (250, 300, 280)), ("AGE", (1, 80, 90)),
                         ("CRP", (1, 40, 300)), ("WT", (3, 70))],
)  # fmt: skip
def test_no_slip_where_there_is_none(name, values) -> None:
    rows = [f"{i},{t},{5 - t},{v:g}" for i, v in enumerate(values) for t in (0, 1)]
    assert "among values" not in said(read_data(made(f"ID,TIME,DV,{name}", *rows)))


# -- growth ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "unit"),
    [("day", "day"), ("Days", "day"), ("week", "week"), ("weeks", "week"), ("month", "month"), ("year", "year"),
     ("age", None), ("age_days", "day"), ("hours", "h"), ("Minutes", "min"), ("dpi", None), ("Woche", "week")],
)  # fmt: skip
def test_times_of_growth(time, unit) -> None:
    rows = [f"{i},{1 + i // 3},{t},{40 + t * (9 + i)}" for i in range(1, 5) for t in (0, 7, 14)]
    data = read_data(made(f"chick,brood,{time},weight", *rows))
    found = {role: data.roles.get(role) for role in ("subject", "time", "response")}
    assert found == {"subject": "chick", "time": time, "response": "weight"}
    np.testing.assert_array_equal(data.events.time, [0, 7, 14] * 4)
    assert data.units.get("time") == unit
    assert "each chick belongs to one of 2 brood" in said(data)


def test_a_week_beside_a_time_stays_a_covariate() -> None:
    rows = [f"{i},{t},{1 + t // 2},{5 - t}" for i in (1, 2) for t in (0, 1, 2, 3)]
    data = read_data(made("ID,TIME,WEEK,DV", *rows))
    assert (data.roles["time"], data.covariate_names) == ("TIME", ("WEEK",))


# -- what is not used is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ENDTIME", "STOP", "INFUSION_MIN", "Infusion", "TEND", "INF_STOP"])
def test_a_column_about_infusions_is_not_passed_over(name) -> None:
    rows = [row for i in (1, 2) for row in (f"{i},0,100,{i}.5,", f"{i},1,,,5", f"{i},2,,,4")]
    assert f"{name}: looks like the " in said(read_data(made(f"ID,TIME,AMT,{name},DV", *rows)))


@pytest.mark.parametrize("name", ["FLAG", "COMMENT", "Remarks", "QUAL"])
@pytest.mark.parametrize("words", ["BLQ", "< LLOQ", "below the limit"])
def test_a_text_that_says_below_beside_the_value(name, words) -> None:
    rows = [row for i in (1, 2) for row in (f"{i},0,5,", f"{i},1,2,", f"{i},2,0.1,{words}")]
    assert f"{name}: says {words!r} of 2 values" in said(read_data(made(f"ID,TIME,DV,{name}", *rows)))


def test_a_text_of_flags_becomes_the_censor_column() -> None:
    rows = [row for i in (1, 2) for row in (f"{i},0,5,", f"{i},1,2,", f"{i},2,0.1,BLQ")]
    data = read_data(made("ID,TIME,DV,FLAG", *rows), mends="use_as_censor")
    assert data.events.censored.tolist() == [0, 0, 1, 0, 0, 1]


# -- forms of files --------------------------------------------------------------------------------------------------


def test_an_empty_cell_at_the_end_of_every_row() -> None:
    data = read_data(made("ID,TIME,AMT,DV", "1,0,100,.,", "1,1,.,2,", "2,0,100,.,", "2,1,.,3,"))
    assert data.events.dv[data.events.observed].tolist() == [2, 3] and data.covariate_names == ()


def test_row_names_of_r_without_a_header() -> None:
    data = read_data(made('"ID","TIME","DV"', '"1",1,0,5', '"2",1,1,2', '"3",2,0,6', '"4",2,1,4'))
    assert data.events.dv.tolist() == [5, 2, 6, 4] and "the first column has no name" in said(data)
    assert data.covariate_names == ()


# -- covariates where model and data meet ----------------------------------------------------------------------------


def test_shapes_and_twins_are_said_where_model_and_data_meet() -> None:
    rows = []
    for i in range(1, 13):
        weight = 50 + 3 * i
        given = f"{weight},{2.2 * weight + i % 2:g},{1 + i % 4}"
        rows += [f"{i},0,100,,{given}", *(f"{i},{t},,{(3 + i % 3) / (1 + t):.4g},{given}" for t in (1, 2, 4))]
    data = read_data(made("ID,TIME,AMT,DV,WT,POUNDS,RACE", *rows))
    model = wb.Model(wb.pk(compartments=1)).with_covariate("CL", "WT").with_covariate("CL", "POUNDS")
    model = model.with_covariate("V", "RACE")
    words = "\n".join(finding.message for finding in model.check(data))
    assert "CL: WT and POUNDS say the same (r = " in words
    assert "V: the values of RACE are codes of a category: taken as C(RACE)" in words
    fit = wb.fit(model.without_covariate("CL", "POUNDS"), data, method="pooled")
    assert "RACE holds codes, taken as a category (V: C(RACE))." in fit.summary()
    assert [effect.term for effect in fit.model["V"].covariates] == ["C(RACE)"]
    assert "open(RACE)" in repr(model)


# -- rows that are marked --------------------------------------------------------------------------------------------


def test_lines_of_per_cent_are_comments() -> None:
    data = read_data(made("% exported", "ID,TIME,DV", "1,0,5", "%1,1,99", "1,2,3", "2,0,5", "2,1,4"))
    assert data.events.dv.tolist() == [5, 3, 5, 4] and "2 rows left out: comments" in said(data)


@pytest.mark.parametrize("name", ["EXCLUSION", "EXCLFLAG", "Exclude flag"])
def test_exclusions_by_other_names(name) -> None:
    data = read_data(made(f"ID,TIME,DV,{name}", "1,0,5,0", "1,1,99,1", "1,2,3,0", "2,0,5,0", "2,1,4,0"))
    assert data.events.dv.tolist() == [5, 3, 5, 4] and "1 row left out: marked 1" in said(data)


@pytest.mark.parametrize(("name", "yes", "no"), [("INCLUDE", 1, 0), ("KEEP", "Y", "N"), ("inclfl", "y", "n")])
def test_rows_that_are_not_to_be_kept(name, yes, no) -> None:
    text = made(f"ID,TIME,DV,{name}", f"1,0,5,{yes}", f"1,1,99,{no}", f"1,2,3,{yes}", f"2,0,5,{yes}", f"2,1,4,{yes}")
    assert f"{name}: 1 row is marked as not included, but read" in said(read_data(text))
    assert read_data(text, mends="drop_not_included").events.dv.tolist() == [5, 3, 5, 4]


def test_minutes_beside_hours_and_an_unknown_sex() -> None:
    data = read_data(
        made("ID,DATE,HOUR,MINUTE,DV", "1,2024-05-01,8,30,5", "1,2024-05-01,13,45,4", "1,2024-05-02,8,0,3")
    )
    assert "MINUTE: looks like the minutes of HOUR" in said(data)
    rows = [f"{i},{t},{5 - t},{sex}" for i, sex in enumerate("MFUM") for t in (0, 1)]
    assert "SEX: 'U' is read as a level of its own" in said(read_data(made("ID,TIME,DV,SEX", *rows)))


@pytest.mark.parametrize("name", ["DTM", "TIMESTAMP", "Sample datetime"])
def test_stamps_by_other_names(name) -> None:
    text = made(f"ID,{name},DV", "1,01MAY2024:08:30:00,5", "1,01MAY2024:10:30:00,4")
    assert read_data(text).events.time.tolist() == [0, 2]


@pytest.mark.parametrize("mark", [";", "!", "*", "C"])
def test_a_mark_before_the_number_of_the_subject(mark) -> None:
    data = read_data(made("ID,TIME,DV", "1,0,5", f"{mark}1,1,99", "1,2,3", "2,0,5", "2,1,4"))
    assert data.events.dv.tolist() == [5, 3, 5, 4]
    assert f"1 row left out: marked {mark} in the first column" in said(data)
