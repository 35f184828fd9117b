"""Faulty files: every fault is named by its row and column, all faults of a file at once."""

from __future__ import annotations

import gzip
import io

import pandas as pd
import pytest

from workbench.data import read_data
from workbench.errors import DataError

HEAD = "ID,TIME,AMT,DV,EVID,WT\n"
GOOD = "1,0,100,.,1,70\n1,1,0,5.1,0,70\n1,2,0,3.9,0,70\n2,0,100,.,1,60\n2,1,0,4.1,0,60\n2,2,0,3.2,0,60\n"

# name: (file, [(row, column, a word of the message), ...])
FAULTY: dict[str, tuple[str, list[tuple[object, str | None, str]]]] = {
    "no response column": ("ID,TIME,AMT,EVID\n1,0,100,1\n1,1,0,0\n", [(None, "DV", "no response column")]),
    "no subject column": ("TIME,DV\n0,1\n1,2\n", [(None, "ID", "no subject column")]),
    "no time column": ("ID,DV,AMT\n1,.,100\n1,2,0\n", [(None, "TIME", "no time column")]),
    "text in DV": (HEAD + GOOD.replace("5.1", "BLQ"), [(3, "DV", "'BLQ'")]),
    "text in TIME": (HEAD + GOOD.replace("1,2,0,3.9", "1,two,0,3.9"), [(4, "TIME", "'two'")]),
    "text in AMT": (HEAD + GOOD.replace("2,0,100", "2,0,100mg"), [(5, "AMT", "'100mg'")]),
    "a missing time": (HEAD + GOOD.replace("1,2,0,3.9", "1,.,0,3.9"), [(4, "TIME", "missing")]),
    "a missing subject": (HEAD + GOOD.replace("1,2,0,3.9", ",2,0,3.9"), [(4, "ID", "missing")]),
    "a negative time": (HEAD + GOOD.replace("1,1,0,5.1", "1,-1,0,5.1"), [(3, "TIME", "negative time")]),
    "a negative amount": (HEAD + GOOD.replace("2,0,100", "2,0,-100"), [(5, "AMT", "-100")]),
    "a dose without amount": (
        HEAD + GOOD.replace("2,0,100", "2,0,.") + "2,3,50,.,1,60\n",
        [(5, "AMT", "without an amount")],
    ),
    "a subject without dose": (HEAD + GOOD + "3,1,0,2.2,0,55\n3,2,0,1.8,0,55\n", [(8, "AMT", "no dose")]),
    "a subject without observation": (HEAD + GOOD + "3,0,100,.,1,55\n", [(8, "DV", "no observation")]),
    "an unknown EVID": (HEAD + GOOD.replace("2,2,0,3.2,0", "2,2,0,3.2,7"), [(7, "EVID", "got 7")]),
    "an amount on an observation": (HEAD + GOOD.replace("2,2,0,3.2,0", "2,2,9,3.2,0"), [(7, "AMT", "EVID 0")]),
    "an infinite value": (HEAD + GOOD.replace("3.2", "inf"), [(7, "DV", "inf")]),
    "a duplicated header": ("ID,TIME,DV,DV\n1,0,1,2\n1,1,2,3\n", [(1, "DV", "column 3 and column 4")]),
    "a short row": (HEAD + GOOD.replace("1,2,0,3.9,0,70", "1,2,0,3.9"), [(4, None, "4 cells")]),
    "a long row": (HEAD + GOOD.replace("1,2,0,3.9,0,70", "1,2,0,3,9,0,70"), [(4, None, "7 cells")]),
    "a stray quote": (HEAD + GOOD.replace("3.9", '3"9'), [(4, None, "quote")]),
    "an open quote": (HEAD + GOOD.replace("3.9", '"3.9'), [(4, None, "never closed")]),
    "no header": (GOOD, [(1, None, "numbers")]),
    "an empty file": ("", [(None, None, "empty")]),
    "a header only": (HEAD, [(None, None, "no rows")]),
    "an impossible clock time": (
        "ID,DATE,TIME,DV\n1,2024-05-01,8:30,1\n1,2024-05-01,9:75,2\n1,2024-05-02,8:30,2\n",
        [(3, "TIME", "'9:75'")],
    ),
    "a clock time past midnight": ("ID,TIME,DV\n1,23:00,1\n1,1:00,2\n", [(3, "TIME", "goes back")]),
    "ADDL without II": (
        "ID,TIME,AMT,ADDL,II,DV\n1,0,10,3,0,.\n1,1,0,0,0,2\n1,2,0,0,0,1\n",
        [(2, "ADDL", "without an interval")],
    ),
    "SS without II": ("ID,TIME,AMT,SS,DV\n1,0,10,1,.\n1,1,0,0,2\n1,2,0,0,1\n", [(2, "SS", "without an interval")]),
    "an unknown SS": ("ID,TIME,AMT,SS,DV\n1,0,10,5,.\n1,1,0,0,2\n1,2,0,0,1\n", [(2, "SS", "got 5")]),
    "a fraction in CMT": ("ID,TIME,AMT,CMT,DV\n1,0,10,1.5,.\n1,1,0,1,2\n1,2,0,1,1\n", [(2, "CMT", "got 1.5")]),
    "two doses in a dose column": (
        "Subject,Dose,Time,conc\n1,4,0,1\n1,4,1,2\n2,5,0,1\n2,5.5,1,2\n",
        [],  # read as doses on their rows: nothing wrong, see test_data_roles
    ),
    "a rate out of range": ("ID,TIME,AMT,RATE,DV\n1,0,10,-3,.\n1,1,0,0,2\n", [(2, "RATE", "got -3")]),
    "an unlabelled response": ("ID,TIME,DV,DVID\n1,0,1,a\n1,1,2,\n1,2,2,b\n", [(3, "DVID", "missing")]),
    "a censor code": ("ID,TIME,DV,CENS\n1,0,1,0\n1,1,2,3\n", []),  # no censor column: a covariate
    "several faults": (
        "ID,TIME,AMT,DV,EVID\n1,0,100,.,1\n1,x,0,1,0\n1,2,0,y,0\n,3,0,1,0\n1,4,0,1,9\n2,0,100,.,1\n2,5,0\n2,6,0,1,0\n",
        [(3, "TIME", "'x'"), (4, "DV", "'y'"), (5, "ID", "missing"), (6, "EVID", "got 9"), (8, None, "3 cells")],
    ),
    "several faults in one row": (
        HEAD + GOOD.replace("2,2,0,3.2,0", "2,x,0,y,z"),
        [(7, "TIME", "'x'"), (7, "DV", "'y'"), (7, "EVID", "'z'")],
    ),
}


@pytest.mark.parametrize("name", [name for name, (_, faults) in FAULTY.items() if faults])
def test_each_fault_is_named_by_row_and_column(name: str) -> None:
    text, expected = FAULTY[name]
    with pytest.raises(DataError) as caught:
        read_data(io.StringIO(text), name="file.csv")
    found = [(fault.row, fault.column) for fault in caught.value.faults]
    assert sorted(found, key=str) == sorted([(row, column) for row, column, _ in expected], key=str)
    for row, column, word in expected:
        message = next(f.message for f in caught.value.faults if (f.row, f.column) == (row, column))
        assert word in message, message
    assert "file.csv" in str(caught.value)


def test_there_are_25_of_them() -> None:
    assert sum(bool(faults) for _, faults in FAULTY.values()) >= 25


@pytest.mark.parametrize("text", [HEAD + GOOD, "Subject,Dose,Time,conc\n1,4,0,1\n1,4,1,2\n2,5,0,1\n2,5.5,1,2\n"])
def test_sound_files_are_accepted(text: str) -> None:
    assert len(read_data(io.StringIO(text)).events.subjects) == 2


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "not a text file"),
        (b"PK\x03\x04 not really a workbook", "Excel"),
        (b"PAR1 nor this one", "Parquet"),
        (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!", "XPORT"),
        (gzip.compress(b"ID,TIME,DV\n1,0,1\n", mtime=0)[:-9], "gzip"),
        (b"   \n \n", "empty"),
        (b"ID,TIME,DV\n1,0,\x001\n", "not a text file"),
    ],
)
def test_what_is_not_a_table_is_said_to_be_none(content: bytes, word: str) -> None:
    with pytest.raises(DataError, match=word):
        read_data(content, name="upload")


def test_a_missing_path_and_a_strange_source() -> None:
    with pytest.raises(DataError, match="no such file"):
        read_data("nowhere.csv")
    with pytest.raises(DataError, match="got int"):
        read_data(3)


def test_rows_of_a_frame_are_named_by_their_labels() -> None:
    frame = pd.DataFrame({"ID": ["a", "a", "b"], "TIME": [0, 1, "soon"], "DV": [1, "x", 2]}, index=["r1", "r2", "r3"])
    with pytest.raises(DataError) as caught:
        read_data(frame)
    assert {(f.row, f.column) for f in caught.value.faults} == {("r3", "TIME"), ("r2", "DV")}


def test_a_thousand_faults_and_a_line_about_the_rest() -> None:
    rows = "".join(f"1,{i},bad\n" for i in range(3000))
    with pytest.raises(DataError) as caught:
        read_data(io.StringIO("ID,TIME,DV\n" + rows))
    assert len(caught.value.faults) == 1001
    assert "2000 more rows" in caught.value.faults[-1].message
    assert "more" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"roles": {"subjekt": "ID"}}, "did you mean 'subject'"),
        ({"roles": {"subject": "IDD"}}, "did you mean 'ID'"),
        ({"roles": {"time": "DV", "response": "DV"}}, "two roles"),
        ({"roles": {"time": None}}, "time column is needed"),
        ({"roles": {"amount": "AMT", "dose": "WT"}}, "both amount"),
        ({"allow": ["everything"]}, "allow names 'everything'"),
        ({"covariate_rule": "next"}, "allowed: nocb, locf, linear"),
        ({"dose_time": "noon"}, "dose_time 'noon'"),
        ({"dose": -1}, "dose -1"),
        ({"decimal": ";"}, "decimal"),
        ({"separator": "x"}, "separator 'x'"),
        ({"encoding": "klingon"}, "encoding 'klingon'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        read_data(io.StringIO(HEAD + GOOD), **options)  # type: ignore[arg-type]


def test_what_is_meant_can_be_allowed() -> None:
    undosed = HEAD + GOOD + "3,1,0,2.2,0,55\n3,2,0,1.8,0,55\n"
    data = read_data(io.StringIO(undosed), allow="subject without dose")
    assert len(data.events.subjects) == 3
    assert data.check().loc["subject without dose", "severity"] == "warning"


def test_a_subject_seen_only_before_any_dose_needs_none() -> None:
    data = read_data(io.StringIO(HEAD + GOOD + "3,0,0,0.1,0,55\n"))
    assert data.check().loc["baseline subject without dose", "subject"] == (3,)


def test_observations_before_time_0_are_fine_after_a_dose() -> None:
    data = read_data(io.StringIO(HEAD + "1,-12,100,.,1,70\n1,-1,0,2.0,0,70\n1,3,0,1.0,0,70\n"))
    assert data.events.time.tolist() == [-12, -1, 3]


def test_a_table_with_errors_can_be_read_and_mended() -> None:
    text = HEAD + GOOD + "3,1,0,2.2,0,55\n3,2,0,1.8,0,55\n"
    data = read_data(io.StringIO(text), strict=False, name="three.csv")
    assert data.check().loc["subject without dose", "severity"] == "error"
    with pytest.raises(DataError, match="no dose"):
        data.events  # noqa: B018
    with pytest.raises(DataError, match="no dose"):
        data.filter("TIME < 9").events  # noqa: B018
    mended = data.mend("drop_subjects_without_dose")
    assert mended.events.subjects == (1, 2)
    assert mended.code() == "wb.read_data('three.csv', strict=False).mend('drop_subjects_without_dose')"
