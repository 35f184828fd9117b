"""Excel files: the sheet that holds the data, and cells that hold no value although they are not empty."""

from __future__ import annotations

import io
import posixpath
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from workbench.data.cells import ERRORS, MISSING, limited
from workbench.data.layout import HEAD, counted, footers, known_names, left_out, said, units_of
from workbench.data.sources import expands_too_far
from workbench.data.tabular import Form, Table, cell_text, found_head, no_names, spelled, unique_names
from workbench.errors import DataError, Fault
from workbench.findings import Finding

_AREA = 40_000
_SPARSE = 50
"""A sheet may hold this many places, or this many times as many as cells with content."""

Unread = Mapping[tuple[int, int], str]
"""Text by place (row and column, from 0) of cells whose value is an error, or a formula that has none."""


def from_workbook(content: bytes, name: str, form: Form) -> Table:
    """A sheet of an Excel file: the stated one, else the first that looks like data."""
    old = content[:4] != b"PK\x03\x04"
    unread, sprawling = _looked_through(content, name)
    wanted = None if not sprawling else [sheet for sheet in unread if sheet not in sprawling]
    if sprawling and (not wanted or form.sheet in sprawling):
        raise DataError([sprawling[form.sheet]] if form.sheet in sprawling else list(sprawling.values()), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sheets = pd.read_excel(io.BytesIO(content), sheet_name=wanted, header=None, keep_default_na=False)
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
        return _from_sheet(sheets[chosen], name, form, unread.get(str(chosen), {}))
    tables: dict[str, Table] = {}
    reasons = []
    for sheet, cells in sheets.items():
        try:
            tables[str(sheet)] = _from_sheet(cells, name, form, unread.get(str(sheet), {}))
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


class _Sheet(NamedTuple):
    """What a pass over the cells of a sheet finds: how far it reaches, and what has no value."""

    unread: dict[tuple[int, int], str]
    filled: int
    rows: int
    columns: int
    last: str


def _looked_through(content: bytes, name: str) -> tuple[dict[str, Unread], dict[str | int | None, Fault]]:
    """By sheet: cells without a value, which pandas takes for empty ones; and the sheets that reach too far to read.

    Files that are no .xlsx, or damaged, are left to pandas.
    """
    unread: dict[str, Unread] = {}
    sprawling: dict[str | int | None, Fault] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if expands_too_far(len(content), size):
                message = f"an Excel file of {len(content):,} bytes that unpacks to {size // 2**20:,} MB"
                raise DataError(Fault(message, mend="save the sheet as CSV"), name)
            for sheet, path in _members(archive):
                with archive.open(path) as stream:
                    found = _pass_over(stream)
                unread[sheet] = found.unread
                area = found.rows * found.columns
                if area > _AREA and area > _SPARSE * found.filled:
                    message = f"the sheet {sheet!r} has a cell at {found.last}, far outside its table"
                    mend = "delete the empty rows and columns before it in Excel, or save the table as CSV"
                    sprawling[sheet] = Fault(message, mend=mend)
    except DataError:
        raise
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, ValueError, EOFError, RuntimeError):
        return {}, {}
    return unread, sprawling


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Names of sheets, and where they are in the archive."""
    with archive.open("xl/_rels/workbook.xml.rels") as stream:
        targets = {link.get("Id"): link.get("Target", "") for link in ElementTree.parse(stream).getroot()}
    with archive.open("xl/workbook.xml") as stream:
        for sheet in ElementTree.parse(stream).iter():
            link = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), None)
            if _tag(sheet) == "sheet" and link in targets and "worksheet" in targets[link]:
                yield sheet.get("name", ""), posixpath.normpath(posixpath.join("/xl", targets[link])).lstrip("/")


def _pass_over(stream: Any) -> _Sheet:
    unread: dict[tuple[int, int], str] = {}
    filled, row, most = 0, 0, 0
    last = lowest = ""
    table = None
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):
        tag = _tag(element)
        if event == "start":
            table = element if tag == "sheetData" else table
            continue
        if tag != "row" or table is None:
            continue
        row = int(element.get("r", row + 1))
        column = 0
        for cell in element:
            column = _column(cell.get("r", "")) or column + 1
            text, unreadable = _content(cell)
            if unreadable:
                unread[row - 1, column - 1] = text
            if text:
                filled += 1
                last = f"{_letters(column)}{row}" if column > most else last
                lowest = f"{_letters(column)}{row}"
                most = max(most, column)
        table.clear()
    bottom = int(re.sub(r"\D", "", lowest) or 0)
    return _Sheet(unread, filled, bottom, most, lowest if bottom > most else last)


def _content(cell: ElementTree.Element) -> tuple[str, bool]:
    """What stands in a cell, and whether that is an error, or a formula of which no value is stored."""
    value, formula = "", None
    for part in cell:
        tag = _tag(part)
        if tag == "f":
            formula = part.text or ""
        elif tag in ("v", "is"):
            value = "".join(part.itertext())
    if formula is not None and not value and cell.get("t") != "str":
        return f"={formula}", True
    return value, cell.get("t") == "e"


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _column(place: str) -> int:
    """1 for A7, 27 for AA7, 0 for none."""
    number = 0
    for letter in re.sub(r"[^A-Z]", "", place):
        number = 26 * number + ord(letter) - 64
    return number


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


def _with_unread(cells: pd.DataFrame, unread: Unread) -> pd.DataFrame:
    """The cells of a sheet with the text of those that have no value, which pandas left empty."""
    if not unread:
        return cells
    rows = max(len(cells), 1 + max(row for row, _ in unread))
    columns = max(cells.shape[1], 1 + max(column for _, column in unread))
    whole = np.full((rows, columns), None, dtype=object)
    whole[: len(cells), : cells.shape[1]] = cells.to_numpy(dtype=object)
    for place, text in unread.items():
        whole[place] = text
    return pd.DataFrame(whole)


def _from_sheet(cells: pd.DataFrame, name: str, form: Form, unread: Unread) -> Table:
    cells = _with_unread(cells, unread)
    cells = cells.set_axis(pd.RangeIndex(1, len(cells) + 1)).iloc[form.skip :]
    cells = cells[~cells.isin(MISSING).all(axis=1)]
    if not len(cells):
        raise DataError("the sheet is empty", name)
    first = cells.iloc[:, 0].map(
        lambda cell: isinstance(cell, str) and cell.strip()[:1] in ("#", "@") and cell not in (*MISSING, *ERRORS)
    )
    commented = first.to_numpy(dtype=bool) & (form.comment != "")
    if commented.all():
        commented[:] = False
    if commented[0] and known_names([str(cell).lstrip("#@ ") for cell in cells.iloc[0]]) > 1:
        cells.iloc[0, 0] = str(cells.iloc[0, 0]).lstrip("#@ ")
        commented[0] = False
    lines = cells.index[commented]
    cells = cells[~commented]
    rows = [[cell_text(cell) for cell in row] for row in cells.head(HEAD).itertuples(index=False)]
    head = found_head(rows, list(cells.index[:HEAD]), form, name)
    width = cells.shape[1]
    names = list(form.names) if form.names else [] if head.header is None else rows[head.header]
    if head.header is None and not form.names:
        raise no_names(rows[0], cells.index[0], name)
    names = names[:width] + [""] * (width - len(names))
    columns, faults, unnamed = unique_names(names, None if head.header is None else cells.index[head.header], name)
    body = cells.iloc[head.body :]
    last = [[cell_text(cell) for cell in row] for row in body.tail(HEAD).itertuples(index=False)]
    end = len(body) - footers(last, [width] * len(last), width)
    remarks = [
        *left_out(lines, "comments"),
        *left_out([cells.index[k] for k in head.skipped], "above or below the header, no data"),
        *left_out(body.index[end:], "notes below the table"),
    ]
    units = units_of(columns, rows[head.units]) if head.units is not None else {}
    if head.units is not None:
        remarks.append(
            said("units row", f"row {cells.index[head.units]} holds units: {spelled(units)}", [cells.index[head.units]])
        )
    missing = body.iloc[:end].isin(MISSING).to_numpy()
    nothing = {columns[k] for k in np.flatnonzero(missing.all(axis=0))} & set(unnamed)
    kept = [k for k, column in enumerate(columns) if column not in nothing]
    frame = body.iloc[:end, kept].mask(missing[:, kept]).infer_objects().set_axis([columns[k] for k in kept], axis=1)
    faults += _without_value(frame, columns, unread)
    remarks += _not_available(frame, unread)
    unnamed = tuple(column for column in unnamed if column not in nothing)
    return Table(frame, name, tuple(faults), (), unnamed, units, tuple(remarks))


def _without_value(frame: pd.DataFrame, columns: Sequence[str], unread: Unread) -> list[Fault]:
    """Formulas that were written by a program which does not calculate: their value is not in the file."""
    mend = "open the file in Excel or LibreOffice and save it again, so that values are stored"
    faults = [
        Fault(f"the formula {text[:60]} has no value stored", row + 1, columns[column], mend=mend)
        for (row, column), text in unread.items()
        if text.startswith("=") and row + 1 in frame.index
    ]
    return limited(faults)


def _not_available(frame: pd.DataFrame, unread: Unread) -> list[Finding]:
    """#N/A, which people write where a value is missing, is read as that, and said to be."""
    rows = sorted({row + 1 for (row, _), text in unread.items() if text == "#N/A" and row + 1 in frame.index})
    return [said("#N/A read as missing", f"#N/A in {counted(len(rows))} read as missing", rows)] if rows else []
