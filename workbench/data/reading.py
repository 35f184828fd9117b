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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.errors import DataError, Fault

MISSING = ("", ".", "NA", "N/A", "NaN", "nan", "NULL")
"""Cells that always mean "no value"; more on request (`na_values`)."""

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
_COMMA_NUMBER = re.compile(r"\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_LISTED = 1000


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
    """

    frame: pd.DataFrame
    name: str
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()


def read_table(
    source: Any,
    *,
    name: str | None = None,
    na_values: Iterable[Any] = (),
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    sheet: str | int = 0,
) -> Table:
    """Read a path, file object, bytes or DataFrame; raises DataError where nothing can be made of it."""
    if isinstance(source, pd.DataFrame):
        table = _from_frame(source, name or "data")
    else:
        content, found = _bytes(source)
        table = _from_bytes(content, name or found, separator, decimal, encoding, sheet)
    frame = _blank_missing(_plain_cells(table.frame), na_values)
    if not len(frame) and not table.faults:
        raise DataError(Fault("it has no rows", mend="a header line and one line per record are needed"), table.name)
    return Table(frame, table.name, table.faults, table.notes, table.unnamed)


def limited(faults: Sequence[Fault]) -> list[Fault]:
    """The faults of one kind, at most a thousand of them spelled out."""
    if len(faults) <= _LISTED:
        return list(faults)
    rest = len(faults) - _LISTED
    last = Fault(f"{rest} more rows with the same fault, up to row {faults[-1].row}", None, faults[-1].column)
    return [*faults[:_LISTED], last]


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


def _from_bytes(
    content: bytes, name: str, separator: str | None, decimal: str | None, encoding: str | None, sheet: str | int
) -> Table:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"the gzip file is damaged: {error}", name) from None
    if not content.strip():
        raise DataError(Fault("it is empty", mend="a header line and one line per record are needed"), name)
    if content[:4] == b"PK\x03\x04":
        return _from_sheet(content, name, sheet)
    if content[:4] == b"PAR1" or content[:20] == b"HEADER RECORD*******":
        return _from_binary(content, name)
    return _from_text(_utf8(content, name, encoding), name, separator, decimal, _encoding_note(content, encoding))


def _from_sheet(content: bytes, name: str, sheet: str | int) -> Table:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells = pd.read_excel(io.BytesIO(content), sheet_name=sheet, header=None, keep_default_na=False)
    except ImportError:
        mend = "pip install openpyxl, or save as CSV"
        raise DataError(Fault("reading Excel needs openpyxl", mend=mend), name) from None
    except Exception as error:  # the libraries below raise whatever a damaged file leads them to
        raise DataError(Fault(f"cannot be read as an Excel file: {error}", mend="save it as CSV"), name) from None
    cells = cells.set_axis(pd.RangeIndex(1, len(cells) + 1))
    cells = cells[~cells.isin(MISSING).all(axis=1)]
    if not len(cells):
        raise DataError("the sheet is empty", name)
    columns, faults, unnamed = _header([str(value) for value in cells.iloc[0]], row=cells.index[0])
    frame = cells.iloc[1:].set_axis(columns, axis=1)
    for column in columns:
        values = frame[column].mask(frame[column].isin(MISSING))
        frame[column] = values.infer_objects()
    return Table(frame, name, tuple(faults), (), unnamed)


def _from_binary(content: bytes, name: str) -> Table:
    kind = "Parquet" if content[:4] == b"PAR1" else "SAS XPORT"
    try:
        if kind == "Parquet":
            frame = pd.read_parquet(io.BytesIO(content))
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


def _from_text(text: bytes, name: str, separator: str | None, decimal: str | None, note: str) -> Table:
    if not text.endswith(b"\n"):
        text += b"\n"
    separator = separator or _guess_separator(text)
    if separator == " ":
        text = re.sub(rb"[ \t]+", b" ", re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", text))
    if separator not in _NAMES:
        allowed = ", ".join(f"{mark!r} ({word})" for mark, word in _NAMES.items())
        raise DataError(f"separator {separator!r}; allowed: {allowed}", name)
    faults: list[Fault] = []
    records = _records(text, separator, name, faults)
    if not len(records.begin):
        raise DataError(Fault("it is empty", mend="a header line and one line per record are needed"), name)
    head = text[records.begin[0] : records.end[0]].decode("utf-8", "surrogatepass")
    names = next(csv.reader(io.StringIO(head), delimiter=separator))
    columns, header_faults, unnamed = _header(names, row=int(records.line[0]))
    faults += header_faults
    if 2 * sum(_is_number(cell) for cell in names) > len(names):
        message = f"the first line holds numbers ({', '.join(names[:4])}), not column names"
        raise DataError(Fault(message, int(records.line[0]), mend="put a line with the column names on top"), name)
    ragged = records.fields[1:] != len(columns)
    faults += _ragged(records, ragged, len(columns), separator)
    keep = np.concatenate([[False], ~ragged])
    body = text[records.end[0] + 1 :]
    if ragged.any() or len(body) != int((records.end[1:] - records.begin[1:] + 1).sum()):
        body = b"".join(text[b : e + 1] for b, e in zip(records.begin[keep], records.end[keep], strict=True))
    frame = _parse(body, separator, decimal, len(columns), name)
    if len(frame) != int(keep.sum()):
        raise DataError(Fault("quotes make its rows ambiguous", mend="save it again without stray quotes"), name)
    frame = frame.set_axis(columns, axis=1).set_axis(pd.Index(records.line[keep]), axis=0)
    frame = frame.dropna(axis=0, how="all")
    empty = [column for column in unnamed if frame[column].isna().all()]
    frame = frame.drop(columns=empty)
    notes = [note] if note else []
    if decimal is None and separator != ",":
        frame, changed = _decimal_comma(frame, faults)
        notes += ["decimal comma"] if changed else []
    return Table(frame, name, tuple(faults), tuple(notes), tuple(c for c in unnamed if c not in empty))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _guess_separator(text: bytes) -> str:
    """The mark that splits most of the first records into as many fields as the header."""
    sample = text[:100_000].decode("utf-8", "replace").lstrip("\n").split("\n")[:200]
    sample = [line for line in sample if line.strip()]
    best, score = "", (0.0, 0)
    for mark in _SEPARATORS:
        rows = [re.sub(r'"[^"]*"', "", line).count(mark) for line in sample]
        if rows and rows[0]:
            found = (sum(count == rows[0] for count in rows) / len(rows), rows[0])
            best, score = (mark, found) if found > score else (best, score)
    if best:
        return best
    return " " if sample and len(sample[0].split()) > 1 else ","


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


def _ragged(records: _Records, ragged: NDArray[np.bool_], expected: int, separator: str) -> list[Fault]:
    word = _NAMES[separator]
    mend = f"add or remove a {word}, or quote a cell that holds one"
    if len(ragged) > 1 and ragged.all() and len(np.unique(records.fields[1:])) == 1:
        message = f"the header names {expected} columns, but every row has {records.fields[1]} cells"
        return [Fault(message, int(records.line[0]), mend="name every column, row names included")]
    rows = np.flatnonzero(ragged) + 1
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
    commas = []
    for column in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[column]):
            continue
        text = frame[column].dropna().astype(str)
        if len(text) and text.str.contains(",").any() and text.str.fullmatch(_COMMA_NUMBER).all():
            commas.append(column)
    if not commas:
        return frame, False
    points = [c for c in frame.columns if frame[c].dtype == float and (frame[c].dropna() % 1 != 0).any()]
    if points:
        message = f"has a decimal comma, but column {points[0]!r} a decimal point"
        mend = 'write one of them, or state decimal="," or "."'
        faults += [Fault(message, None, column, mend=mend) for column in commas]
        return frame, False
    numbers = {c: pd.to_numeric(frame[c].astype(object).str.replace(",", ".", regex=False)) for c in commas}
    return frame.assign(**numbers), True


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
