"""Bytes, files and frames become one plain table: names, cells, and the row label that a person would look up."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import MISSING, limited
from workbench.data.layout import (
    COMMENT,
    HEAD,
    Head,
    counted,
    footers,
    head_of,
    is_title,
    known_names,
    left_out,
    said,
    units_of,
    without_excluded,
)
from workbench.errors import DataError, Fault
from workbench.findings import Finding

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
_COMMA_NUMBER = re.compile(r"\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it was given.

    Attributes
    ----------
    frame : DataFrame
        The index holds row labels: line numbers of a file (the header is line 1), labels of a DataFrame.
    name : str
    faults : tuple of Fault
        What is wrong with the table as such (header, ragged rows); cells are judged by their roles, later.
    notes : tuple of str
        What was inferred and is not plain: a decimal comma, an encoding.
    unnamed : tuple of str
        Columns that the source left without a name.
    units : mapping
        Unit by column, from a row of units.
    remarks : tuple of Finding
        What was left out, and what was taken to be what.
    """

    frame: pd.DataFrame
    name: str
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Form:
    """How a file is to be read, as far as that is stated; see `read_data`."""

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | int | None = None
    skip: int = 0
    header: int | bool | None = None
    names: tuple[str, ...] = ()
    comment: str | None = None


def read_table(
    source: Any,
    *,
    name: str | None = None,
    na_values: Iterable[Any] = (),
    form: Form | None = None,
) -> Table:
    """Read a path, file object, bytes or DataFrame; raises DataError where nothing can be made of it."""
    form = form or Form()
    if isinstance(source, pd.DataFrame):
        table = _from_frame(source, name or "data")
    else:
        content, found = _bytes(source)
        table = _from_bytes(content, name or found, form)
    frame, remarks = without_excluded(_plain_cells(table.frame), form.comment)
    frame = _blank_missing(frame, na_values)
    if not len(frame) and not table.faults:
        raise DataError(Fault("it has no rows", mend="a header line and one line per record are needed"), table.name)
    return replace(table, frame=frame, remarks=(*table.remarks, *remarks))


def _bytes(source: Any) -> tuple[bytes, str]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "data"
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            return path.read_bytes(), path.name
        except (OSError, ValueError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else str(getattr(error, "strerror", error))
            raise DataError(Fault(f"cannot be opened: {reason}", mend="check the path"), str(source)) from None
    if hasattr(source, "read"):
        try:
            content = source.read()
        except (OSError, ValueError) as error:
            raise DataError(f"the file object cannot be read: {error}") from None
        name = Path(str(getattr(source, "name", "data"))).name
        return (content.encode() if isinstance(content, str) else bytes(content)), name
    raise DataError(f"got {type(source).__name__}; allowed: a path, a file object, bytes or a pandas DataFrame")


# ---- a DataFrame ---------------------------------------------------------------------------------------------


def _from_frame(source: pd.DataFrame, name: str) -> Table:
    frame = source.copy()
    if frame.columns.nlevels > 1:
        raise DataError(Fault("its columns have several levels", mend="flatten them to one name each"), name)
    if frame.index.nlevels > 1 or (frame.index.name is not None and frame.index.name not in frame.columns):
        named = [label for label in frame.index.names if label is not None and label not in frame.columns]
        frame = frame.reset_index(level=named) if named else frame
        if frame.index.nlevels > 1:
            frame = frame.reset_index(drop=True)
    columns, faults, unnamed = _header([str(column) for column in frame.columns], row=None)
    frame.columns = pd.Index(columns)
    for column in columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
    return Table(frame, name, tuple(faults), (), unnamed)


def _header(names: Sequence[str], row: Any) -> tuple[list[str], list[Fault], tuple[str, ...]]:
    """Names made unique, so that the rest can be judged although two columns share one."""
    columns: list[str] = []
    faults: list[Fault] = []
    unnamed: list[str] = []
    for position, raw in enumerate(names, start=1):
        name = str(raw).strip()
        if not name:
            name = f"column {position}"
            unnamed.append(name)
        if name in columns:
            first = columns.index(name) + 1
            message = f"the name stands over column {first} and column {position}; each may occur once"
            faults.append(Fault(message, row, name, mend="rename or delete one of them"))
        while name in columns:
            name += "'"
        columns.append(name)
    return columns, faults, tuple(unnamed)


# ---- bytes ---------------------------------------------------------------------------------------------------


_SIGNATURES = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"%PDF": "a PDF",
    b"RDX": "an R file (.RData)",
    b"$FL2": "an SPSS file (.sav)",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "a bzip2 archive",
    b"7z\xbc\xaf": "a 7-zip archive",
    b"\xfd7zXZ": "an xz archive",
    b"<!DOCTYPE": "a web page (HTML)",
    b"<html": "a web page (HTML)",
    b"\x89HDF": "an HDF5 file",
}


def _from_bytes(content: bytes, name: str, form: Form) -> Table:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"the gzip file is damaged: {error}", name) from None
    if not content.strip():
        raise DataError(Fault("it is empty", mend="a header line and one line per record are needed"), name)
    if content[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        return _from_workbook(content, name, form)
    sas = content[:32].startswith(bytes(12) + b"\xc2\xea\x81\x60")
    if content[:4] == b"PAR1" or content[:20] == b"HEADER RECORD*******" or sas:
        return _from_binary(content, name, "SAS" if sas else "Parquet" if content[:4] == b"PAR1" else "SAS XPORT")
    for signature, kind in _SIGNATURES.items():
        if content.lstrip()[: len(signature)].lower() == signature.lower():
            raise DataError(Fault(f"it is {kind}", mend="export the table as CSV or Excel (.xlsx)"), name)
    return _from_text(_utf8(content, name, form.encoding), name, form, _encoding_note(content, form.encoding))


def _from_workbook(content: bytes, name: str, form: Form) -> Table:
    """A sheet of an Excel file: the stated one, else the first that looks like data."""
    old = content[:4] != b"PK\x03\x04"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sheets = pd.read_excel(io.BytesIO(content), sheet_name=None, header=None, keep_default_na=False)
    except ImportError:
        mend = f"pip install {'xlrd' if old else 'openpyxl'}, or save it as {'.xlsx or ' if old else ''}CSV"
        kind = "an old Excel file (.xls); reading it needs xlrd" if old else "an Excel file; reading it needs openpyxl"
        raise DataError(Fault(f"it is {kind}", mend=mend), name) from None
    except Exception as error:  # the libraries below raise whatever a damaged file leads them to
        raise DataError(Fault(f"cannot be read as an Excel file: {error}", mend="save it as CSV"), name) from None
    names = [str(sheet) for sheet in sheets]
    there = ", ".join(map(repr, names))
    if form.sheet is not None:
        by_place = isinstance(form.sheet, int) and not isinstance(form.sheet, bool) and form.sheet < len(names)
        chosen = names[form.sheet] if by_place else form.sheet  # type: ignore[index]
        if chosen not in names:
            raise DataError(Fault(f"the Excel file has no sheet {form.sheet!r}; there are {there}"), name)
        return _from_sheet(sheets[chosen], name, form)
    tables: dict[str, Table] = {}
    reasons = []
    for sheet, cells in sheets.items():
        try:
            tables[str(sheet)] = _from_sheet(cells, name, form)
        except DataError as error:
            reasons += list(error.faults)
    if not tables:
        raise DataError(reasons or [Fault("the sheets are empty")], name)
    score = {
        sheet: known_names(list(table.frame.columns)) * (len(table.frame.select_dtypes("number").columns) > 1)
        for sheet, table in tables.items()
    }
    chosen = next(iter(tables))
    if score[chosen] < 2:
        chosen = max(tables, key=lambda sheet: score[sheet])
    alike = [sheet for sheet in tables if sheet != chosen and score[sheet] >= 2]
    table = tables[chosen]
    if chosen == names[0] and not alike:
        return table
    message = f"the sheet {chosen!r} is read; there are {there}"
    return replace(table, remarks=(said("sheet chosen", message, (), "state another one: sheet="), *table.remarks))


def _from_sheet(cells: pd.DataFrame, name: str, form: Form) -> Table:
    cells = cells.set_axis(pd.RangeIndex(1, len(cells) + 1)).iloc[form.skip :]
    cells = cells[~cells.isin(MISSING).all(axis=1)]
    if not len(cells):
        raise DataError("the sheet is empty", name)
    first = cells.iloc[:, 0].map(
        lambda cell: isinstance(cell, str) and cell.strip()[:1] in ("#", "@") and cell not in MISSING
    )
    commented = first.to_numpy(dtype=bool) & (form.comment != "")
    if commented.all():
        commented[:] = False
    if commented[0] and known_names([str(cell).lstrip("#@ ") for cell in cells.iloc[0]]) > 1:
        cells.iloc[0, 0] = str(cells.iloc[0, 0]).lstrip("#@ ")
        commented[0] = False
    lines = cells.index[commented]
    cells = cells[~commented]
    rows = [[_cell_text(cell) for cell in row] for row in cells.head(HEAD).itertuples(index=False)]
    head = _head(rows, list(cells.index[:HEAD]), form, name)
    width = cells.shape[1]
    names = list(form.names) if form.names else [] if head.header is None else rows[head.header]
    if head.header is None and not form.names:
        raise _no_names(rows[0], cells.index[0], name)
    names = names[:width] + [""] * (width - len(names))
    columns, faults, unnamed = _header(names, row=None if head.header is None else cells.index[head.header])
    body = cells.iloc[head.body :]
    last = [[_cell_text(cell) for cell in row] for row in body.tail(HEAD).itertuples(index=False)]
    end = len(body) - footers(last, [width] * len(last), width)
    remarks = [
        *left_out(lines, "comments"),
        *left_out([cells.index[k] for k in head.skipped], "above or below the header, no data"),
        *left_out(body.index[end:], "notes below the table"),
    ]
    units = units_of(columns, rows[head.units]) if head.units is not None else {}
    if head.units is not None:
        remarks.append(
            said(
                "units row", f"row {cells.index[head.units]} holds units: {_spelled(units)}", [cells.index[head.units]]
            )
        )
    frame = body.iloc[:end].set_axis(columns, axis=1)
    for column in columns:
        values = frame[column].mask(frame[column].isin(MISSING))
        frame[column] = values.infer_objects()
    empty = [column for column in unnamed if frame[column].isna().all()]
    frame = frame.drop(columns=empty)
    return Table(frame, name, tuple(faults), (), tuple(c for c in unnamed if c not in empty), units, tuple(remarks))


def _cell_text(cell: Any) -> str:
    return "" if cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)) else str(cell)


def _spelled(units: Mapping[str, str]) -> str:
    return ", ".join(f"{column} {unit}" for column, unit in units.items()) or "none known"


def _head(rows: Sequence[Sequence[str]], lines: Sequence[int], form: Form, name: str) -> Head:
    """The head as it is stated, else as it is found."""
    if form.header is False:
        return Head(None)
    if form.header is not None and form.header is not True:
        if form.header not in lines:
            raise DataError(Fault(f"header={form.header!r}: the first rows are {lines[0]} to {lines[-1]}"), name)
        at = lines.index(form.header)
        below = head_of(rows[at:])
        units = at + below.units if below.header == 0 and below.units is not None else None
        return Head(at, units, tuple(range(at)), at + (below.body if below.header == 0 else 1))
    return head_of(rows)


def _no_names(cells: Sequence[str], line: Any, name: str) -> DataError:
    message = f"the first line holds numbers ({', '.join(cells[:4])}), not column names"
    mend = 'put a line with the column names on top, or state them: names=["ID", "TIME", …]'
    return DataError(Fault(message, int(line), mend=mend), name)


def _from_binary(content: bytes, name: str, kind: str) -> Table:
    try:
        if kind == "Parquet":
            frame = pd.read_parquet(io.BytesIO(content))
        elif kind == "SAS":
            frame = pd.read_sas(io.BytesIO(content), format="sas7bdat", encoding="utf-8")
        else:
            frame = pd.read_sas(io.BytesIO(content), format="xport", encoding="utf-8")
    except ImportError:
        mend = "pip install pyarrow, or save as CSV"
        raise DataError(Fault("reading Parquet needs pyarrow", mend=mend), name) from None
    except Exception as error:  # as above
        raise DataError(Fault(f"cannot be read as a {kind} file: {error}", mend="save it as CSV"), name) from None
    return _from_frame(frame.set_axis(pd.RangeIndex(1, len(frame) + 1)), name)


def _utf8(content: bytes, name: str, encoding: str | None) -> bytes:
    """The text as UTF-8 with plain newlines."""
    guesses = [encoding] if encoding else [_marked(content) or "utf-8", "cp1252", "latin-1"]
    for guess in guesses:
        try:
            text = content.decode(guess)
            break
        except (UnicodeError, LookupError):
            continue
    else:
        raise DataError(Fault(f"is not text in the encoding {encoding!r}", mend="leave `encoding` out"), name)
    control = len(re.findall(r"[\x00-\x08\x0e-\x1f\x7f]", text[:100_000]))
    if "\x00" in text or control > 0.01 * min(len(text), 100_000):
        raise DataError(Fault("it is not a text file (CSV)", mend="export the table as CSV or Excel (.xlsx)"), name)
    return text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "surrogatepass")


def _marked(content: bytes) -> str | None:
    if content[:3] == b"\xef\xbb\xbf":
        return "utf-8-sig"
    return "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else None


def _encoding_note(content: bytes, encoding: str | None) -> str:
    if encoding or _marked(content):
        return ""
    try:
        content.decode("utf-8")
    except UnicodeError:
        return "text read as Windows-1252 (it is not UTF-8)"
    return ""


# ---- delimited text ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Records:
    """Where the records of a text stand: byte ranges, first lines, numbers of fields."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]
    fields: NDArray[np.int64]


def _from_text(text: bytes, name: str, form: Form, note: str) -> Table:
    if not text.endswith(b"\n"):
        text += b"\n"
    text, stated = _separator_line(text)
    text, commented = _without_comments(text, form.comment)
    text, titles = _without_titles(text)
    if form.skip:
        text = b"\n" * form.skip + text.split(b"\n", form.skip)[-1] if text.count(b"\n") > form.skip else b"\n"
    separator = form.separator or stated or _guess_separator(text)
    if separator == " ":
        text = re.sub(rb"[ \t]+", b" ", re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", text))
    if separator not in _NAMES:
        allowed = ", ".join(f"{mark!r} ({word})" for mark, word in _NAMES.items())
        raise DataError(f"separator {separator!r}; allowed: {allowed}", name)
    faults: list[Fault] = []
    records = _records(text, separator, name, faults)
    if not len(records.begin):
        raise DataError(Fault("it is empty", mend="a header line and one line per record are needed"), name)

    def cells(k: int) -> list[str]:
        record = text[records.begin[k] : records.end[k]].decode("utf-8", "surrogatepass")
        return next(csv.reader(io.StringIO(record), delimiter=separator), [])

    rows = [cells(k) for k in range(min(HEAD, len(records.begin)))]
    lines = [int(line) for line in records.line[: len(rows)]]
    head = _head(rows, lines, form, name)
    names = list(form.names) if form.names else rows[head.header] if head.header is not None else []
    by_comment = None
    if not names:
        by_comment = _commented_header(commented, separator, len(rows[0]))
        if by_comment is None:
            raise _no_names(rows[0], lines[0], name)
        names = by_comment[1]
        commented = [(line, words) for line, words in commented if line != by_comment[0]]
    names, row_names = _widened(names, text, separator, records, head.body, cells)
    line = by_comment[0] if by_comment else lines[head.header] if head.header is not None else None
    width = len(names)
    remarks: list[Finding] = []
    if form.names:
        width = max(
            int(np.bincount(records.fields[head.body :]).argmax()) if len(records.fields) > head.body else 0, width
        )
        if width > len(names):
            dropped = f"{counted(width - len(names), 'column')} without a name at the right left out"
            remarks.append(said("more columns than names", dropped, ()))
    if row_names:
        remarks.append(said("row names", "the first column has no name: numbers of rows, as R writes them", ()))
    columns, header_faults, unnamed = _header(names + [f"\0{k}" for k in range(width - len(names))], row=line)
    faults += header_faults
    keep = np.arange(len(records.begin)) >= head.body
    marked, repeated = _repeats(text, records, head, keep, titles, cells)
    notes_below = _below(records, keep & ~repeated & ~marked, width, cells)
    keep &= ~repeated & ~marked & ~notes_below
    ragged = keep & (records.fields != width)
    faults += _ragged(records, ragged, keep, width, separator, line)
    keep &= ~ragged
    remarks += left_out([line for line, _ in commented], "comments")
    remarks += left_out([lines[k] for k in head.skipped], "above or below the header, no data")
    remarks += left_out(records.line[repeated], "repeated headers, and tables that begin anew")
    remarks += left_out(records.line[marked], "marked in front of the first column")
    remarks += left_out(records.line[notes_below], "notes below the table")
    units = units_of(columns, rows[head.units]) if head.units is not None else {}
    if head.units is not None:
        where = lines[head.units]
        remarks.append(said("units row", f"row {where} holds units: {_spelled(units)}", [where]))
    kept = np.flatnonzero(keep)
    body = text[records.begin[kept[0]] : records.end[kept[-1]] + 1] if len(kept) else b""
    if len(body) != int((records.end[kept] - records.begin[kept] + 1).sum()):
        body = b"".join(text[b : e + 1] for b, e in zip(records.begin[kept], records.end[kept], strict=True))
    frame = _parse(body, separator, form.decimal, len(columns), name)
    if len(frame) != int(keep.sum()):
        raise DataError(Fault("quotes make its rows ambiguous", mend="save it again without stray quotes"), name)
    frame = frame.set_axis(columns, axis=1).set_axis(pd.Index(records.line[keep]), axis=0)
    frame = frame.drop(columns=[column for column in columns if column.startswith("\0")])
    frame = frame.dropna(axis=0, how="all")
    empty = [column for column in unnamed if frame[column].isna().all()]
    frame = frame.drop(columns=empty)
    notes = [note] if note else []
    if form.decimal is None and separator != ",":
        frame, changed = _decimal_comma(frame, faults)
        notes += ["decimal comma"] if changed else []
    unnamed = tuple(c for c in unnamed if c not in empty)
    return Table(frame, name, tuple(faults), tuple(notes), unnamed, units, tuple(remarks))


def _widened(
    names: list[str], text: bytes, separator: str, records: _Records, body: int, cells: Callable[[int], list[str]]
) -> tuple[list[str], bool]:
    """Names with a nameless column more, where every row ends in an empty cell or begins with its number."""
    rows = np.arange(body, len(records.begin))
    if not len(rows) or (records.fields[rows] != len(names) + 1).any():
        return names, False
    if all(text[records.end[k] - 1 : records.end[k]] == separator.encode() for k in rows):
        return [*names, ""], False
    first = [cells(int(k))[0] for k in rows[:HEAD]]
    if first == [str(k + 1) for k in range(len(first))] and known_names(names) > 1:
        return ["", *names], True
    return names, False


def _separator_line(text: bytes) -> tuple[bytes, str | None]:
    """Excel's first line "sep=;" is no row; what it says."""
    if found := re.match(rb'\s*"?sep=(.)"?[ \t]*\n', text, re.IGNORECASE):
        mark = found[1].decode("latin-1")
        return b"\n" * found[0].count(b"\n") + text[found.end() :], mark if mark in _NAMES else None
    return text, None


def _without_comments(text: bytes, marks: str | None) -> tuple[bytes, list[tuple[int, str]]]:
    """Blank the lines that begin with # or @; a quoted cell that goes over several lines is left alone."""
    signs = COMMENT if marks is None else "".join(m for m in marks if not m.isalnum() and m in "#@%!*;&/")
    if not any(sign.encode() in text for sign in signs):
        return text, []
    pattern = re.compile(rb'(?m)^[ \t]*"?[' + re.escape(signs).encode() + rb"](?!N/A\b).*$")
    parts, at, quotes, found = [], 0, 0, []
    for hit in pattern.finditer(text):
        before = text[at : hit.start()]
        quotes += before.count(b'"')
        if quotes % 2:
            continue
        found.append((text.count(b"\n", 0, hit.start()) + 1, hit[0].decode("utf-8", "replace")))
        parts.append(before)
        at = hit.end()
    return (b"".join([*parts, text[at:]]), found) if found else (text, [])


def _without_titles(text: bytes) -> tuple[bytes, list[int]]:
    """Blank NONMEM's lines TABLE NO. 1; their numbers."""
    if not any(words in text for words in (b"TABLE NO", b"Table No", b"table no")):
        return text, []
    lines = text.split(b"\n")
    at = [k for k, line in enumerate(lines) if is_title(line.decode("utf-8", "replace"))]
    for k in at:
        lines[k] = b""
    return b"\n".join(lines), [k + 1 for k in at]


def _commented_header(commented: Sequence[tuple[int, str]], separator: str, width: int) -> tuple[int, list[str]] | None:
    """The column names, where the line that has them is marked as a comment: "#ID,TIME,DV"."""
    for line, comment in reversed(commented):
        words = re.sub(r"[#@]+[ \t]*", "", comment.strip(), count=1)
        words = re.sub(r"\s+", " ", words) if separator == " " else words
        try:
            cells = next(csv.reader(io.StringIO(words), delimiter=separator), [])
        except csv.Error:
            continue
        if len(cells) == width and known_names(cells) and 2 * sum(_is_number(cell) for cell in cells) <= width:
            return line, cells
    return None


def _repeats(
    text: bytes, records: _Records, head: Head, keep: NDArray[np.bool_], titles: Sequence[int],
    cells: Callable[[int], list[str]],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:  # fmt: skip
    """Records with a mark in front of the first column; records that repeat the header, or a whole table."""
    repeated = np.zeros(len(records.begin), dtype=bool)
    if head.header is not None:
        size = records.end - records.begin
        words = text[records.begin[head.header] : records.end[head.header]].strip()
        begins = np.frombuffer(text, dtype=np.uint8)[records.begin]
        alike = (np.abs(size - size[head.header]) <= 2) & (records.fields == records.fields[head.header])
        same = np.flatnonzero(keep & alike & (begins == begins[head.header]))
        repeated[[k for k in same if text[records.begin[k] : records.end[k]].strip() == words]] = True
    data = np.flatnonzero(keep & ~repeated)
    later = [line for line in titles[1:] if len(data) and records.line[data[0]] < line <= records.line[data[-1]]]
    if later:
        first = cells(int(data[0]))[:2]
        starts = data[np.searchsorted(records.line[data], later)]
        anew = [int(k) for k in starts if cells(int(k))[:2] == first]
        if anew:
            repeated |= keep & (records.line >= records.line[anew[0]])
    usual = np.bincount(records.fields[data]).argmax() if len(data) else 0
    marked = np.zeros(len(records.begin), dtype=bool)
    odd = [int(k) for k in data[records.fields[data] == usual + 1]]
    marked[[k for k in odd if cells(k)[0].strip() in ("C", "c", "#", "@")]] = True
    return marked & ~repeated, repeated


def _below(
    records: _Records, keep: NDArray[np.bool_], width: int, cells: Callable[[int], list[str]]
) -> NDArray[np.bool_]:
    """Records at the end that are notes."""
    found = np.zeros(len(records.begin), dtype=bool)
    last = np.flatnonzero(keep)[-HEAD:]
    count = footers([cells(int(k)) for k in last], [int(f) for f in records.fields[last]], width)
    if count:
        found[last[-count:]] = True
    return found


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _guess_separator(text: bytes) -> str:
    """The mark that splits most of the first records into the same number of fields, names above numbers."""
    sample = text[:100_000].decode("utf-8", "replace").lstrip("\n").split("\n")[:200]
    sample = [line for line in sample if line.strip()]
    best, score = "", (0.0, 0)
    for mark in _SEPARATORS:
        rows = [re.sub(r'"[^"]*"', "", line).count(mark) for line in sample]
        for first in range(min(len(rows), 30)):
            if not rows[first] or (first and not _names(sample[first], mark)):
                continue
            found = (sum(count == rows[first] for count in rows) / len(rows), rows[first])
            best, score = (mark, found) if found > score else (best, score)
    if best:
        return best
    return " " if sample and len(sample[-1].split()) > 1 else ","


def _names(line: str, mark: str) -> bool:
    cells = [cell.strip() for cell in line.split(mark)]
    return 2 * sum(bool(re.match(r"[^\W\d_]", cell)) for cell in cells) > len(cells)


def _records(text: bytes, separator: str, name: str, faults: list[Fault]) -> _Records:
    codes = np.frombuffer(text, dtype=np.uint8)
    newline = codes == ord("\n")
    mark = codes == ord(separator)
    lines = np.flatnonzero(newline)
    if b'"' in text:
        quote = codes == ord('"')
        inside = (np.cumsum(quote, dtype=np.uint8) & 1).astype(bool)  # wraps at 256, parity does not care
        if inside[-1]:
            opened = int(np.flatnonzero(quote)[-1])
            line = int(np.searchsorted(lines, opened)) + 1
            raise DataError(Fault("a quote is opened and never closed", line, mend="close or delete the quote"), name)
        _stray_quotes(codes, quote, inside, newline | mark, lines, name)
        newline, mark = newline & ~inside, mark & ~inside
    end = np.flatnonzero(newline)
    begin = np.concatenate([[0], end[:-1] + 1])
    marks = np.flatnonzero(mark)
    fields = np.diff(np.searchsorted(marks, end), prepend=0) + 1
    first = np.searchsorted(lines, begin) + 1
    blank = end == begin
    for position in np.flatnonzero((fields == 1) & ~blank):
        blank[position] = not text[begin[position] : end[position]].strip()
    keep = ~blank
    return _Records(begin[keep], end[keep], first[keep], fields[keep])


def _stray_quotes(
    codes: NDArray[np.uint8],
    quote: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    boundary: NDArray[np.bool_],
    lines: NDArray[np.int64],
    name: str,
) -> None:
    """A quote may open or close a whole cell, or be doubled; anything else can be read in two ways."""
    places = np.flatnonzero(quote)
    opening = inside[places]
    before = np.concatenate([[True], boundary | quote | (codes == ord(" "))])[places]
    after = (boundary | quote)[np.minimum(places + 1, len(codes) - 1)]
    stray = places[(opening & ~before) | (~opening & ~after)]
    if len(stray):
        at = np.unique(np.searchsorted(lines, stray) + 1)
        mend = "quote the whole cell and double the quotes inside it"
        raise DataError(limited([Fault("a quote stands inside a cell", int(n), mend=mend) for n in at]), name)


def _ragged(
    records: _Records,
    ragged: NDArray[np.bool_],
    body: NDArray[np.bool_],
    expected: int,
    separator: str,
    line: int | None,
) -> list[Fault]:
    word = _NAMES[separator]
    mend = f"add or remove a {word}, or quote a cell that holds one"
    rows = np.flatnonzero(ragged)
    if len(rows) > 1 and len(rows) == body.sum() and len(np.unique(records.fields[rows])) == 1:
        message = f"the header names {expected} columns, but every row has {records.fields[rows[0]]} cells"
        return [Fault(message, line, mend="name every column, row names included")]
    names = f"but the header names {expected} columns"
    return limited([Fault(f"{records.fields[r]} cells, {names}", int(records.line[r]), mend=mend) for r in rows])


def _parse(body: bytes, separator: str, decimal: str | None, width: int, name: str) -> pd.DataFrame:
    if not body:
        return pd.DataFrame(columns=range(width))
    exact: dict[str, Any] = {}
    if decimal != "," and _before_exact_floats():
        exact["float_precision"] = "round_trip"
    try:
        frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(body), sep=separator, header=None, names=list(range(width)), index_col=False,
            na_values=list(MISSING), keep_default_na=False, skip_blank_lines=False, skipinitialspace=separator != " ",
            low_memory=False, decimal=decimal or ".", encoding_errors="replace", **exact,
        )  # fmt: skip
        return frame
    except (ValueError, OverflowError, TypeError) as error:  # ParserError is a ValueError
        raise DataError(Fault(f"it cannot be read as a table: {error}"), name) from None


def _before_exact_floats() -> bool:
    """pandas before 3.1 rounds long decimals unless asked not to; since then asking is deprecated."""
    major, minor = (int(part) for part in pd.__version__.split(".")[:2])
    return (major, minor) < (3, 1)


def _decimal_comma(frame: pd.DataFrame, faults: list[Fault]) -> tuple[pd.DataFrame, bool]:
    """Columns written with a decimal comma become numbers, unless other columns use a decimal point."""
    commas: dict[str, Any] = {}
    for column in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[column]):
            continue
        text = frame[column].dropna().astype(str)
        number = text.str.fullmatch(_COMMA_NUMBER)
        with_words = number.mean() >= 0.5 and not text.str.contains(r"\d\.\d").any()  # "<0,1", BLQ among the numbers
        if (text[number].str.contains(",")).any() and (number.all() or with_words):
            commas[column] = number
    if not commas:
        return frame, False
    points = [c for c in frame.columns if frame[c].dtype == float and (frame[c].dropna() % 1 != 0).any()]
    if points:
        message = f"has a decimal comma, but column {points[0]!r} a decimal point"
        mend = 'write one of them, or state decimal="," or "."'
        faults += [Fault(message, None, column, mend=mend) for column in commas]
        return frame, False
    changed: dict[str, Any] = {}
    for column, number in commas.items():
        dotted = frame[column].astype(object).str.replace(",", ".", regex=False)
        wanted = number.reindex(frame.index, fill_value=True)
        changed[column] = pd.to_numeric(dotted) if number.all() else dotted.where(wanted, frame[column])
    return frame.assign(**changed), True


def _plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers, text, truth values or times; whatever else a cell holds becomes its text."""
    changed: dict[str, Any] = {}
    for column in frame.columns:
        kind = frame[column].dtype
        if pd.api.types.is_object_dtype(kind):
            changed[column] = frame[column].map(_plain_cell).infer_objects()
        elif kind.kind not in "biufmMO" or isinstance(kind, (pd.PeriodDtype, pd.IntervalDtype)):
            changed[column] = frame[column].astype(str).where(frame[column].notna())
    return frame.assign(**changed) if changed else frame


def _plain_cell(cell: Any) -> Any:
    if isinstance(cell, (str, float, bool, datetime.datetime, datetime.timedelta, np.number, np.bool_)):
        return str(cell) if isinstance(cell, np.complexfloating) else cell
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return None
    if isinstance(cell, int) and abs(cell) < 2**1000:
        return cell
    try:
        return float(cell) if isinstance(cell, (Decimal, Fraction)) else str(cell)
    except (OverflowError, ValueError):
        return str(cell)


def _blank_missing(frame: pd.DataFrame, na_values: Iterable[Any]) -> pd.DataFrame:
    """Blank the cells that hold a missing token; numbers among the tokens match numbers."""
    tokens = {str(token).strip() for token in ([na_values] if isinstance(na_values, (str, float, int)) else na_values)}
    numbers = [float(token) for token in tokens if _is_number(token)]
    words = tokens | set(MISSING)
    blanked: dict[str, Any] = {}
    for column in frame.columns:
        values = frame[column]
        if values.dtype == object or isinstance(values.dtype, pd.StringDtype):
            hit = values.map(lambda cell: isinstance(cell, str) and cell.strip() in words).astype(bool)
            if hit.any():
                values = blanked[column] = _numeric_again(values.mask(hit))
        plain = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        if plain and numbers and values.isin(numbers).any():
            blanked[column] = values.mask(values.isin(numbers))
    return frame.assign(**blanked) if blanked else frame


def _numeric_again(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column that was text only for its missing tokens."""
    numbers = pd.to_numeric(values.astype(object), errors="coerce")
    return numbers if numbers.notna().equals(values.notna()) else values
