"""Files of all kinds hold the same table; times and roles are found in it."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.data import GroupedData, load_example, preview, read_data
from workbench.errors import DataError

CSV = "ID,TIME,AMT,DV,WT,SEX\n1,0,100.5,.,70.5,F\n1,1.5,0,5.25,70.5,F\n2,0,100.5,.,60,M\n2,2,0,4.125,60,M\n"


def plain() -> GroupedData:
    return read_data(io.StringIO(CSV))


@pytest.mark.parametrize(
    "text",
    [
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace(",", "|"),
        CSV.replace(",", "  ").replace("\n", "  \n  "),
        CSV.replace(",", ";").replace(".5", ",5").replace(".25", ",25").replace(".125", ",125"),
        CSV.replace("\n", "\r\n"),
        CSV.replace("\n", "\r"),
        CSV.replace("\n", "\n\n"),
        CSV + ",,,,,\n\n",
        CSV.rstrip("\n"),
        CSV.replace("ID,", '"ID",').replace("F\n", '"F"\n'),
        CSV.replace(",", ", "),
        CSV.replace("ID,TIME", ",ID,TIME").replace("\n1,", "\n,1,").replace("\n2,", "\n,2,"),
    ],
)
def test_dialects(text: str) -> None:
    assert read_data(text.encode()) == plain()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    text = CSV.replace("SEX", "Größe")
    data = read_data(text.encode(encoding))
    assert "Größe" in data.covariate_names
    assert bool(data.history[0].note) == (encoding == "cp1252")


def test_other_containers(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text(CSV)
    assert read_data(path) == read_data(str(path)) == plain()
    assert read_data(path).name == "study.csv"
    with path.open() as text, path.open("rb") as binary:
        assert read_data(text) == read_data(binary) == plain()
    packed = tmp_path / "study.csv.gz"
    packed.write_bytes(gzip.compress(CSV.encode()))
    assert read_data(packed) == plain()
    assert read_data(pd.read_csv(io.StringIO(CSV), na_values=["."])) == plain()
    assert read_data(pd.read_csv(io.StringIO(CSV))) == plain()  # "." makes DV text there
    texts = read_data(pd.read_csv(io.StringIO(CSV), dtype=str))
    np.testing.assert_array_equal(texts.events.dv, plain().events.dv)
    categories = pd.read_csv(io.StringIO(CSV), na_values=["."]).astype({"SEX": "category", "ID": "category"})
    assert read_data(categories.convert_dtypes()) == plain()


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "study.xlsx"
    frame = pd.read_csv(io.StringIO(CSV), na_values=["."])
    with pd.ExcelWriter(path) as writer:
        frame.to_excel(writer, sheet_name="pk", index=False)
        frame.assign(DV=["x", 1, 2, 3]).to_excel(writer, sheet_name="broken", index=False)
    assert read_data(path) == plain()
    assert read_data(path.read_bytes(), name="upload.xlsx").name == "upload.xlsx"
    with pytest.raises(DataError, match=r"row 2, column 'DV': got 'x'"):
        read_data(path, sheet="broken")
    with pytest.raises(DataError, match="Excel"):
        read_data(path, sheet="nowhere")


def test_sas_transport() -> None:
    """A SAS XPORT file, written here by the rules of its record layout (numbers as IBM floating point)."""
    frame = read_data(xport({"ID": [1.0, 1.0, 2.0], "TIME": [0.0, 1.5, 1.0], "DV": [1.0, 2.25, 3.0]}))
    np.testing.assert_array_equal(frame.events.dv, [1.0, 2.25, 3.0])


def test_numbers_are_read_to_the_last_digit() -> None:
    numbers = np.exp(np.random.default_rng(1).normal(size=500) * 8)
    text = "ID,TIME,DV\n" + "".join(f"1,{i},{value!r}\n" for i, value in enumerate(numbers.tolist()))
    np.testing.assert_array_equal(read_data(text.encode()).events.dv, numbers)


def test_missing_tokens_on_request() -> None:
    text = "ID,TIME,DV,WT\n1,0,1.5,-99\n1,1,BLQ,70\n1,2,-99.0,70\n"
    with pytest.raises(DataError, match="'BLQ'"):
        read_data(text.encode(), na_values=-99)
    data = read_data(text.encode(), na_values=("BLQ", -99))
    np.testing.assert_array_equal(data.events.observed, [True, False, False])
    assert data.covariates.loc["WT", "missing"] == 1
    assert "na_values=('BLQ', -99)" in data.code()
    assert "None" in set(read_data(b"ID,TIME,DV,ALC\n1,0,1,None\n2,0,1,yes\n").frame["ALC"])  # a level, not missing


def test_decimal_comma_beside_decimal_point_is_refused() -> None:
    with pytest.raises(DataError, match="decimal comma"):
        read_data(b"ID;TIME;DV\n1;0,5;1.5\n1;1,5;2.5\n")
    assert read_data(b"ID;TIME;DV\n1;0;1,5\n1;1;2,5\n", decimal=",").events.dv.tolist() == [1.5, 2.5]


def test_roles_of_r_tables() -> None:
    wide = "Subject,Wt,Dose,Time,conc\n1,80,4,0,0.7\n1,80,4,1,9\n2,70,5,0.5,3\n2,70,5,2,6\n"
    data = read_data(wide.encode())
    assert data.roles["dose"] == "Dose"
    events = data.events
    assert events.kind.tolist() == [1, 0, 0, 1, 0, 0]
    assert events.time.tolist() == [0, 0, 1, 0, 0.5, 2]
    assert events.amount.tolist() == [4, 0, 0, 5, 0, 0]
    assert events.row.tolist() == [0, 0, 1, 2, 2, 3]
    assert read_data(wide.encode(), dose_time="first").events.time.tolist() == [0, 0, 1, 0.5, 0.5, 2]
    first = read_data(wide.encode(), dose_time="first", units={"time": "h"})
    assert first.filter("Time > 0.5").events.time.tolist() == [0, 1, 0.5, 2]
    assert first.convert(time="min").events.time.tolist() == [0, 0, 60, 30, 30, 120]
    assert read_data(wide.encode(), dose_time=-1).events.time.tolist() == [-1, 0, 1, -1, 0.5, 2]
    timed = (
        wide.replace("conc", "conc,Tdose").replace("\n1,", "\n1,").replace(",0.7", ",0.7,0.25").replace(",9", ",9,0.25")
    )
    timed = timed.replace(",3\n", ",3,1\n").replace(",6\n", ",6,1\n")
    stated = read_data(timed.encode(), roles={"dose_time": "Tdose"})
    assert stated.events.time.tolist() == [0, 0.25, 1, 0.5, 1, 2]
    assert read_data(wide.encode(), roles={"dose": None, "amount": None}).events.kind.tolist() == [0, 0, 0, 0]
    beside = read_data(wide.encode(), roles={"amount": "Dose"})
    assert beside.events.kind.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert len(beside.check().loc["dose beside a response", "rows"]) == 4
    changed = wide.replace("2,70,5,2", "2,70,6,2")
    with pytest.raises(DataError, match="got 6, but this subject has 5"):
        read_data(changed.encode(), roles={"dose": "Dose"})


def test_one_dose_for_all() -> None:
    data = read_data(b"Subject,time,conc\n1,0.25,1.5\n1,1,0.9\n2,0.25,2\n2,1,1\n", dose=25)
    assert data.doses["DOSE"].tolist() == [25, 25]
    assert data.events.time[data.events.is_dose].tolist() == [0, 0]
    assert data.code().endswith("dose=25)")
    with pytest.raises(DataError, match="column of doses"):
        read_data(b"ID,TIME,DV,DOSE\n1,0,1,5\n", dose=25)


def test_roles_stated_partly_and_wholly() -> None:
    text = b"a,b,c,d,e\n1,0,100,,70\n1,1,0,5,70\n"
    roles = {"subject": "a", "time": "b", "amount": "c", "response": "d"}
    data = read_data(text, roles=roles)
    assert data.covariate_names == ("e",)
    assert data.events.kind.tolist() == [1, 0]
    assert read_data(text, roles=roles | {"covariates": []}).covariate_names == ()
    assert read_data(text, roles=roles | {"ignore": "e"}).roles["ignore"] == ("e",)
    partly = read_data(CSV.encode(), roles={"response": "DV", "covariates": "WT"})
    assert partly.covariate_names == ("WT",) and partly.roles["ignore"] == ("SEX",)


def test_units_in_brackets_do_not_hide_a_column() -> None:
    data = read_data(b"Subject ID,Time (h),Conc. [mg/L],Dose (mg)\n1,0,.,100\n1,1,5,.\n")
    assert {role: data.roles[role] for role in ("subject", "time", "response", "amount")} == {
        "subject": "Subject ID", "time": "Time (h)", "response": "Conc. [mg/L]", "amount": "Dose (mg)",
    }  # fmt: skip


def test_a_flag_counts_as_censoring_only_where_the_limit_is_known() -> None:
    flag = "ID,TIME,DV,BLQ\n1,0,3,0\n1,1,{},1\n"
    assert "censor" not in read_data(flag.format(0).encode()).roles
    data = read_data(flag.format(0.5).encode())
    assert data.roles["censor"] == "BLQ"
    assert data.events.censored.tolist() == [0, 1]
    assert data.events.dv.tolist() == [3, 0.5]


@pytest.mark.parametrize(
    ("cens", "dv", "limit", "value", "other_end"),
    [
        (1, 0.5, "", 0.5, np.nan),  # below 0.5
        (1, 0.5, 0, 0.5, 0),  # between 0 and 0.5 (Monolix)
        (1, 0, 0.5, 0.5, np.nan),  # LLOQ beside a placeholder
        (1, "", 0.5, 0.5, np.nan),
        (1, 0.5, 0.5, 0.5, np.nan),
        (-1, 90, "", 90, np.nan),  # above 90
        (-1, 90, 100, 90, 100),  # between 90 and 100
        (-1, "", 90, 90, np.nan),
        (0, 5, 0.5, 5, np.nan),
    ],
)
def test_censoring_and_limits(cens: int, dv: Any, limit: Any, value: float, other_end: float) -> None:
    text = f"ID,TIME,DV,CENS,LIMIT\n1,0,3,0,\n1,1,{dv},{cens},{limit}\n"
    events = read_data(text.encode()).events
    assert events.censored[1] == cens
    np.testing.assert_array_equal([events.dv[1], events.limit[1]], [value, other_end])
    assert events.observed.all()


@pytest.mark.parametrize(
    ("header", "rows", "hours"),
    [
        ("TIME", ["8:30", "9:00", "20:15"], [0, 0.5, 11.75]),
        ("TIME", ["2024-05-01 8:30", "2024-05-01T20:30:00", "2024-05-03 8:30"], [0, 12, 48]),
        ("TIME", ["05/13/2024 08:30", "05/13/2024 09:30", "05/14/2024 08:30"], [0, 1, 24]),
        ("TIME", ["13.05.2024 08:30", "13.05.2024 09:30", "14.05.2024 08:30"], [0, 1, 24]),
        ("DATE,TIME", ["1,8:30", "1,9:30", "3,8:00"], [0, 1, 47.5]),
        ("DATE,TIME", ["2024-02-28,23:00", "2024-02-29,1:00", "2024-03-01,23:00"], [0, 2, 48]),
        ("DATE,TIME", ["28/2/24,23:00", "29/2/24,1:00", "1/3/24,23:00"], [0, 2, 48]),
    ],
)
def test_clock_times_and_dates(header: str, rows: list[str], hours: list[float]) -> None:
    text = f"ID,{header},DV\n" + "".join(f"1,{row},{i + 1}\n" for i, row in enumerate(rows)) + f"2,{rows[1]},9\n"
    data = read_data(text.encode())
    np.testing.assert_allclose(data.events.time, [*hours, 0])
    assert data.units == {"time": "h"}
    assert "hours since the first record of each subject" in data.history[0].note
    days = data.convert(time="day")
    np.testing.assert_allclose(days.events.time, np.array([*hours, 0]) / 24)
    np.testing.assert_allclose(data.observations["TIME"], [*hours, 0])
    assert data.frame["TIME as read"].astype(str).tolist()[0] in rows[0]
    np.testing.assert_allclose(data.filter("DV > 1").events.time, [*hours[1:], 0])  # the origin stays where it was
    with pytest.raises(DataError, match="counted in 'h'"):
        read_data(text.encode(), units={"time": "min"})


def test_times_of_frames() -> None:
    stamps = pd.to_datetime(["2024-01-01 08:00", "2024-01-01 20:00", "2024-01-02 08:00"])
    frame = pd.DataFrame({"ID": 1, "TIME": stamps, "DV": [1.0, 2, 3]})
    assert read_data(frame).events.time.tolist() == [0, 12, 24]
    assert read_data(frame.assign(TIME=stamps.tz_localize("Europe/Berlin"))).events.time.tolist() == [0, 12, 24]
    assert read_data(frame.assign(TIME=stamps - stamps[0])).events.time.tolist() == [0, 12, 24]


def test_dates_that_can_be_read_in_two_ways_are_refused() -> None:
    with pytest.raises(DataError, match="day and month"):
        read_data(b"ID,TIME,DV\n1,01/02/2024 8:00,1\n1,02/02/2024 8:00,2\n")


def test_preview_shows_what_read_data_refuses() -> None:
    seen = preview(CSV.replace("5.25", "low").encode(), name="up.csv")
    assert seen.name == "up.csv" and len(seen.frame) == 4
    assert seen.roles["response"] == "DV"
    assert [(fault.row, fault.column) for fault in seen.faults] == [(3, "DV")]
    assert preview(CSV.encode()).faults == ()
    with pytest.raises(DataError, match="empty"):
        preview(b"")


def test_code_repeats_the_reading(tmp_path: Path) -> None:
    import workbench as wb

    path = tmp_path / "study one.csv"
    path.write_text(CSV.replace("60,M", "unknown,M"))
    data = read_data(path, {"covariates": ["WT"]}, {"time": "h"}, na_values=["unknown"], allow="negative time")
    data = (
        data.filter("missing(WT) or WT > 50 and SEX != 'X'")
        .exclude(rows=[5])
        .convert(time="day")
        .with_covariate_rule("locf")
    )
    assert eval(data.code(), {"wb": wb}) == data
    frame = pd.read_csv(io.StringIO(CSV), na_values=["."])
    assert eval(read_data(frame).code(), {"wb": wb, "frame": frame}) == plain()


def test_theophylline_through_its_own_file(tmp_path: Path) -> None:
    data = load_example("theophylline")
    path = tmp_path / "nonmem.csv"
    text = data.to_csv(path)
    again = read_data(path)
    for name in ("start", "time", "kind", "observed", "dv", "amount", "compartment"):
        np.testing.assert_array_equal(getattr(again.events, name), getattr(data.events, name))
    assert text.splitlines()[:2] == ["ID,TIME,DV,AMT,EVID,MDV,WT", "1,0.0,.,4.02,1,1,79.6"]


def xport(columns: dict[str, list[float]]) -> bytes:
    """A SAS XPORT version 5 file with numeric columns."""

    def ibm(value: float) -> bytes:
        if value == 0:
            return bytes(8)
        exponent, fraction = 64, abs(value)
        while fraction >= 1:
            fraction, exponent = fraction / 16, exponent + 1
        while fraction < 1 / 16:
            fraction, exponent = fraction * 16, exponent - 1
        return bytes([exponent | (128 if value < 0 else 0)]) + int(fraction * 2**56).to_bytes(7, "big")

    def card(text: str) -> bytes:
        return text.ljust(80).encode()

    stamp = "01JAN24:00:00:00"
    head = (
        card("HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!" + "0" * 30)
        + card(f"{'SAS':<8}{'SAS':<8}{'SASLIB':<8}{'9.4':<8}{'X64':<8}{'':<24}{stamp}")
        + card(stamp)
        + card("HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!" + "0" * 16 + "01600000000140")
        + card("HEADER RECORD*******DSCRPTR HEADER RECORD!!!!!!!" + "0" * 30)
        + card(f"{'SAS':<8}{'PK':<8}{'SASDATA':<8}{'9.4':<8}{'X64':<8}{'':<24}{stamp}")
        + card(f"{stamp}{'':<64}")
        + card(f"HEADER RECORD*******NAMESTR HEADER RECORD!!!!!!!000000{len(columns):04d}" + "0" * 20)
    )
    names = b"".join(
        (1).to_bytes(2, "big") + bytes(2) + (8).to_bytes(2, "big") + (i + 1).to_bytes(2, "big")
        + name.ljust(8).encode() + b" " * 40 + b" " * 8 + bytes(8) + b" " * 8 + bytes(4)
        + (8 * i).to_bytes(4, "big") + bytes(52)
        for i, name in enumerate(columns)
    )  # fmt: skip
    names += b" " * (-len(names) % 80)
    rows = b"".join(ibm(value) for row in zip(*columns.values(), strict=True) for value in row)
    rows += b" " * (-len(rows) % 80)
    return head + names + card("HEADER RECORD*******OBS     HEADER RECORD!!!!!!!" + "0" * 30) + rows
