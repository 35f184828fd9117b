"""Bytes, files and frames become one plain table: names, cells, and the row label that a person would look up."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.cells import ERRORS, MISSING, limited, plain_label
from workbench.data.layout import counted, said, without_excluded
from workbench.data.sheets import from_workbook
from workbench.data.sources import Source, expands_too_far, opened, printable
from workbench.data.tabular import Form, Table, is_number, unique_names
from workbench.data.text import from_text
from workbench.errors import DataError, Fault
from workbench.findings import Finding


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
        table = _from_frame(source, printable(name or "data"))
    else:
        table = _from_file(opened(source, name), form)
    cells, cut = _cut(_plain_cells(table.frame))
    frame, remarks = without_excluded(cells, form.comment)
    frame = _blank_missing(frame, na_values)
    faults = (*table.faults, *_excel_errors(frame))
    if not len(frame) and not faults:
        raise DataError(Fault("it has no rows", mend="a header line and one line per record are needed"), table.name)
    return replace(table, frame=frame, faults=faults, remarks=(*table.remarks, *cut, *remarks))


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
    columns, faults, unnamed = unique_names([printable(str(column)) for column in frame.columns], None, name)
    frame.columns = pd.Index(columns)
    frame, broken = _characters(frame)
    faults += broken
    for column in columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
    return Table(frame, name, tuple(faults), (), unnamed)


def _characters(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Fault]]:
    """The frame without what could neither be shown nor written, and where that was."""
    faults = []
    changed: dict[str, Any] = {}
    for column in frame.columns:
        if not pd.api.types.is_object_dtype(frame[column].dtype):
            continue
        cells = [printable(cell) if isinstance(cell, str) else cell for cell in frame[column]]
        wrong = [
            row
            for row, (old, new) in enumerate(zip(frame[column], cells, strict=True))
            if isinstance(old, str) and old != new
        ]
        if wrong:
            changed[column] = pd.Series(cells, index=frame.index, dtype=object)
            message = "holds what is no character (half of a surrogate pair)"
            faults += [Fault(message, plain_label(frame.index[row]), column) for row in wrong]
    return (frame.assign(**changed) if changed else frame), limited(faults)


# ---- bytes ---------------------------------------------------------------------------------------------------


def _from_file(source: Source, form: Form) -> Table:
    content, name = source.content, source.name
    if source.kind in ("Excel", "old Excel"):
        return from_workbook(content, name, form)
    if source.kind != "text":
        return _from_binary(content, name, source.kind)
    return from_text(_utf8(content, name, form.encoding), name, form, _encoding_note(content, form.encoding))


_ZERO_OF_XPORT = 16.0**-65  # what pandas makes of a zero in IBM's format


def _from_binary(content: bytes, name: str, kind: str) -> Table:
    try:
        if kind == "Parquet":
            _check_parquet(content, name)
            frame = pd.read_parquet(io.BytesIO(content))
        elif kind == "SAS":
            frame = pd.read_sas(io.BytesIO(content), format="sas7bdat", encoding="utf-8")
        else:
            frame = pd.read_sas(io.BytesIO(content), format="xport", encoding="utf-8")
            frame = frame.mask(frame == _ZERO_OF_XPORT, 0.0)
    except ImportError:
        mend = "pip install pyarrow, or save as CSV"
        raise DataError(Fault("reading Parquet needs pyarrow", mend=mend), name) from None
    except DataError:
        raise
    except Exception as error:  # the libraries below raise whatever a damaged file leads them to
        raise DataError(Fault(f"cannot be read as a {kind} file: {error}", mend="save it as CSV"), name) from None
    return _from_frame(frame.set_axis(pd.RangeIndex(1, len(frame) + 1)), name)


def _check_parquet(content: bytes, name: str) -> None:
    """Columns of equal values take next to no room in the file, but all of it here."""
    from pyarrow import parquet  # type: ignore[import-untyped]

    about = parquet.read_metadata(io.BytesIO(content))
    size = 8 * about.num_rows * about.num_columns
    if size > 256 * 2**20 and expands_too_far(len(content), size):
        message = (
            f"a Parquet file of {len(content):,} bytes with {about.num_rows:,} rows of {about.num_columns} columns"
        )
        raise DataError(Fault(message, mend="look at what it holds"), name)


def _utf8(content: bytes, name: str, encoding: str | None) -> bytes:
    """The text as UTF-8 with plain newlines."""
    guesses = [encoding] if encoding else [_marked(content) or "utf-8", "cp1252", "latin-1"]
    for guess in guesses:
        try:
            text = content.decode(guess)
            break
        except (UnicodeError, LookupError, ValueError):  # a name of an encoding may be nonsense itself
            continue
    else:
        raise DataError(Fault(f"is not text in the encoding {str(encoding)[:30]!r}", mend="leave `encoding` out"), name)
    control = len(re.findall(r"[\x00-\x08\x0e-\x1f\x7f]", text[:100_000]))
    if "\x00" in text or control > 0.01 * min(len(text), 100_000):
        raise DataError(Fault("it is not a text file (CSV)", mend="export the table as CSV or Excel (.xlsx)"), name)
    try:
        return text.replace("\r\n", "\n").replace("\r", "\n").encode()
    except UnicodeEncodeError:
        fault = Fault(f"holds what is no character in the encoding {encoding!r}", mend="leave `encoding` out")
        raise DataError(fault, name) from None


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


LONGEST_CELL = 1000
"""Characters of a cell: more are cut off, and said to be."""


def _cut(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Long texts cut, since nothing that is read from a cell is as long."""
    changed: dict[str, Any] = {}
    found = []
    for column in frame.columns:
        if not _is_text(frame[column]):
            continue
        rows = frame[column].map(lambda cell: isinstance(cell, str) and len(cell) > LONGEST_CELL).to_numpy(dtype=bool)
        if rows.any():
            kept = frame[column].astype(object)
            changed[column] = kept.where(~rows, kept.map(lambda cell: f"{str(cell).strip()[:LONGEST_CELL]}…"))
            message = f"{counted(int(rows.sum()), 'cell')} of column {column} cut to {LONGEST_CELL:,} characters"
            found.append(said("long text", message, frame.index[rows]))
    return (frame.assign(**changed) if changed else frame), found


def _excel_errors(frame: pd.DataFrame) -> list[Fault]:
    """Failed formulas: neither values nor missing ones."""
    faults = []
    for column in frame.columns:
        if _is_text(frame[column]):
            rows = frame[column].isin(ERRORS)
            for row, cell in frame[column][rows].items():
                mend = f'mend the formula, or let such cells be missing: na_values=("{cell}",)'
                faults.append(Fault(f"holds a spreadsheet's error {cell}", plain_label(row), column, mend=mend))
    return limited(faults)


def _is_text(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_object_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype)


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
    numbers = [float(token) for token in tokens if is_number(token)]
    words = tokens | set(MISSING)
    blanked: dict[str, Any] = {}
    for column in frame.columns:
        values = frame[column]
        if _is_text(values):
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
