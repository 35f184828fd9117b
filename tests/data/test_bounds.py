"""What a file may do: what would hang, grow without end or vanish is refused in words, before it is held whole."""

import contextlib
import gzip
import io
import os
import time
import tracemalloc
import zipfile

import openpyxl
import pandas as pd
import pytest

from tests.data.test_data_reading import xport
from workbench.data import read_data, reading, sources
from workbench.data.units import checked
from workbench.errors import DataError

HEAD = b"ID,TIME,DV\n"


def refused(source, *words, **options):
    """Read within bounds of memory (500 MB) and time (2 s of this process), and be told what is wrong."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(DataError) as caught:
            read_data(source, **options)
        spent, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    for word in words:
        assert word in said
    assert len(said) < 200_000
    assert spent < 20, "tracing makes everything several times as slow"
    assert peak < 500e6
    return caught.value


def packed(line: bytes, size: int) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as stream:
        stream.write(HEAD)
        for _ in range(size // (len(line) * 10_000)):
            stream.write(line * 10_000)
    return target.getvalue()


def workbook(*rows, sheets=(), cells=None, kinds=None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    for place, value in (cells or {}).items():
        sheet[place] = value
    for place, kind in (kinds or {}).items():
        sheet[place].data_type = kind
    for name, content in sheets:
        other = book.create_sheet(name)
        for row in content:
            other.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


TABLE = (["ID", "TIME", "DV"], [1, 0, 1.5], [1, 1, 2.5], [2, 0, 3.5])


def test_a_gzip_file_that_unpacks_to_no_end():
    refused(packed(b"1,1,1\n", 300_000_000), "unpacks to more than")
    refused(packed(b"0", 300_000_000), "row 2", "longer than")
    refused(gzip.compress(gzip.compress(HEAD)), "within a gzip file")
    assert len(read_data(gzip.compress(HEAD + b"1,0,5\n")).frame) == 1


def test_a_parquet_file_that_unpacks_to_no_end():
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    target = io.BytesIO()
    part = pa.table({"ID": pa.array([1] * 100_000), "TIME": pa.array([0] * 100_000)})
    with parquet.ParquetWriter(target, part.schema) as writer:
        for _ in range(500):
            writer.write_table(part)
    refused(target.getvalue(), "50,000,000 rows")


def test_an_excel_file_that_unpacks_to_no_end():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/worksheets/a.xml", "w") as one:
        for _ in range(200):
            one.write(b" " * 10**6)
    refused(target.getvalue(), "unpacks to 190 MB")


@pytest.mark.parametrize("place", ["XFD1048576", "XFD3", "A1048576"])
def test_a_stray_cell_far_outside_the_table(place):
    refused(workbook(*TABLE, cells={place: 1}), f"a cell at {place}, far outside")
    both = workbook(["note"], cells={place: 1}, sheets=[("PK", TABLE)])
    assert len(read_data(both).frame) == 3
    refused(both, f"a cell at {place}, far outside", sheet="Sheet")


def test_a_long_line_and_a_long_cell():
    refused(HEAD + b"1,0," + b"1" * (20 * 2**20) + b"\n1,1,1\n", "row 2: the line is longer than")
    refused(HEAD + b"1,0,1\n" + b"1,1," + b"1" * 200_000 + b"\n", "row 3")
    refused(b"ID,TIME,DV" + b"x" * 140_000 + b"\n1,0,1\n", "row 1", "field larger")
    refused(b"ID,TIME,DV," + b"x" * 2000 + b"\n1,0,1,5\n", "row 1", "2,000 characters")
    data = read_data(b"ID,TIME,DV,NOTE\n1,0,1," + b"a" * 5000 + b"\n2,1,1,b\n")
    assert len(data.frame["NOTE"].iloc[0]) == reading.LONGEST_CELL + 1
    assert "cell of column NOTE cut to 1,000 characters" in data.check().to_string(max_colwidth=None)


def test_lines_are_measured_across_pieces(monkeypatch):
    monkeypatch.setattr(sources, "LONGEST_LINE", 10)
    monkeypatch.setattr(sources, "_PIECE", 4)
    assert sources.opened(b"123456789\n" * 5).content == b"123456789\n" * 5
    assert sources.opened(b"123456789\r" * 5).kind == "text"
    for count in range(5):
        with pytest.raises(DataError, match=rf"row {count + 1}: the line is longer than 10"):
            sources.opened(b"12345\n" * count + b"123456789012\n12\n")


def test_many_columns_of_one_name():
    error = refused(b",".join([b"A"] * 10_000) + b"\n" + b",".join([b"1"] * 10_000) + b"\n", "column 1 and column 2")
    assert len(error.faults) == 1001
    assert list(read_columns(b"ID,TIME,DV,A,A,A\n1,0,1,2,3,4\n")) == ["ID", "TIME", "DV", "A", "A (2)", "A (3)"]


def read_columns(content: bytes):

    return reading.read_table(content).frame.columns


@pytest.mark.parametrize("column", ["ID", "TIME", "DATE", "DV", "AMT", "WT", "BLQ", "CMT"])
@pytest.mark.parametrize(
    "cell", ["1/2/2020" + " " * 20_000 + "x", " " * 900 + "1", "<" + " " * 900 + "5 x", "1 " * 400]
)
def test_blanks_by_the_thousand(column, cell):
    """No pattern takes long over them, whichever part the column plays; what comes out is data or a fault."""
    names = ["ID", "TIME", "DATE", "DV", "AMT", "WT", "BLQ", "CMT"]
    rows = [
        ["1", "10:00", "2020-01-02", "1", "1", "70", "0", "1"],
        ["1", "11:00", "2020-01-02", "2", "", "70", "0", "1"],
    ]
    rows[1][names.index(column)] = cell
    begun = time.process_time()
    with contextlib.suppress(DataError):
        read_data("\n".join([",".join(names), *map(",".join, rows)]).encode())
    assert time.process_time() - begun < 30  # it would be hours


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "a pipe or a device")
    refused("/dev/zero", "a pipe or a device")
    with open("/dev/zero", "rb") as endless:
        refused(endless, "longer than")
    refused(tmp_path, "cannot be opened")


def test_more_than_two_gigabytes(monkeypatch):
    monkeypatch.setattr(sources, "MOST", 2**30)
    monkeypatch.setattr(sources, "_PIECE", 2**10)

    class Endless:
        def read(self, size):
            monkeypatch.setattr(sources, "MOST", 100)
            return b"1,1,1\n" * 10

    refused(Endless(), "it is larger than")


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "9⁹⁹⁹⁹⁹⁹⁹", "(9**9)**9", "m**(9**9)", "m**2**9**9", "10**9**9", "9e99999999", "h" * 100_000,
     "1 << 999999999", "(h**9)**9", "m" + "**9" * 15],
)  # fmt: skip
def test_units_that_would_be_calculated(text):
    begun = time.process_time()
    with pytest.raises(DataError, match="is not known"):
        checked({"time": text}, {"time": "TIME"})
    assert time.process_time() - begun < 30  # it would be hours
    assert checked({"WT": "kg^0.75", "B": "m²", "C": "h⁻¹"}, {"time": "TIME", "covariates": ("WT", "B", "C")})


def test_that_pint_is_missing_is_not_taken_for_an_unknown_unit(monkeypatch):
    from workbench.data import units

    def missing():
        raise ImportError("no pint")

    monkeypatch.setattr(units, "_registry", missing)
    with pytest.raises(ImportError, match="no pint"):
        checked({"time": "h"}, {"time": "TIME"})


# ---- what vanished -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"])
@pytest.mark.parametrize("column", [1, 2, 3])
def test_errors_of_spreadsheets_are_faults(error, column):
    place = f"{'ABC'[column - 1]}3"
    book = workbook(*TABLE, cells={place: error}, kinds={place: "e"})
    name = TABLE[0][column - 1]
    assert [str(f) for f in refused(book, f"row 3, column '{name}'", error).faults if f.row == 3] == [
        f"row 3, column '{name}': holds a spreadsheet's error {error} — mend the formula, or let such cells be missing"
        f': na_values=("{error}",)'
    ]
    rows = [list(map(str, row)) for row in TABLE]
    rows[2][column - 1] = error
    refused("\n".join(map(",".join, rows)).encode(), f"row 3, column '{name}'", error)
    if column == 3:
        data = read_data(book, na_values=(error,))
        assert data.events.observed.tolist() == [True, False, True]


def test_not_available_is_missing_and_said():
    data = read_data(workbook(*TABLE, cells={"C3": "#N/A"}, kinds={"C3": "e"}))
    assert data.events.observed.tolist() == [True, False, True]
    assert "#N/A in 1 row read as missing" in data.check().to_string(max_colwidth=None)


def test_formulas_without_a_value_are_faults():
    book = workbook(*TABLE, cells={"C3": "=C2+1", "B4": "=B3-1"})
    error = refused(book, "row 3, column 'DV': the formula =C2+1 has no value stored", "row 4, column 'TIME'")
    assert len(error.faults) == 2
    everywhere = workbook(*TABLE, cells={"C2": "=1", "C3": "=1", "C4": "=1"})
    assert len(refused(everywhere, "=1").faults) == 3
    below = workbook(*TABLE, [3, 0, None], cells={"C5": "=1"})
    refused(below, "row 5, column 'DV'")


def test_zeros_of_sas_are_zeros():
    data = read_data(xport({"ID": [1.0, 1.0, 2.0], "TIME": [0.0, 1.5, 0.0], "DV": [0.0, 2.25, -3.0]}))
    assert data.events.time.tolist() == [0.0, 1.5, 0.0]
    assert data.events.dv.tolist() == [0.0, 2.25, -3.0]


# ---- what is no text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["\0", "utf\0-8", "\ud800", "base64", "x" * 10_000, "nonsense"])
def test_encodings_that_are_none(encoding):
    refused(HEAD + b"1,0,1\n", "is not text in the encoding", encoding=encoding)


def test_half_characters():
    refused(io.StringIO("ID,TIME,DV\n1,0,1\n\ud800,1,1\n"), "no character")
    refused(b"ID,TIME,DV\n\\ud800,0,1\n", "no character", encoding="unicode_escape")
    frame = pd.DataFrame({"ID": pd.Series(["a", "\ud800"], dtype=object), "TIME": [0, 1], "DV": [1, 2]})
    refused(frame, "row 1, column 'ID'", "no character")
    assert read_data(HEAD + b"1,0,1\n", name="a\ud800").name == "a?"


def test_csv_for_a_spreadsheet_calculates_nothing():
    text = "ID,TIME,DV,SITE\n1,0,1,\"=cmd|' /C calc'!A0\"\n2,0,1,+1+1\n3,0,-1,@x\n4,0,1,plain\n"
    data = read_data(text.encode())
    lines = data.to_csv(for_spreadsheet=True).splitlines()
    assert [line.split(",")[-1].strip('"')[:2] for line in lines[1:]] == ["'=", "'+", "'@", "pl"]
    assert lines[3].split(",")[2] == "-1.0"
    assert "'" not in data.to_csv().replace("=cmd|' /C calc'!A0", "")
