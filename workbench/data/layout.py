"""Where the table stands in what was given: header, units row, titles, comments, rows that are marked as excluded.

What is left out is said: each function hands back findings that name the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import plain_label
from workbench.data.names import EXCLUSION, SYNONYMS, UNSURE, WEAK_LABELS, bare, plain
from workbench.data.units import looks_like_unit, says_no_unit, tidied
from workbench.findings import Finding

Bools = NDArray[np.bool_]
Row = Sequence[str]

HEAD = 60
"""Rows within which the header is looked for."""

COMMENT = "#@%"
_TABLE = re.compile(r"\s*TABLE NO\.?.*", re.IGNORECASE)
_KNOWN = frozenset(name for names in SYNONYMS.values() for name in names) - {"t", "y", "c"}
_CERTAIN = _KNOWN - UNSURE - WEAK_LABELS
_MARK = re.compile(r"\s*([C#@;!%*])\s*(-?\d+(?:\.\d*)?)?\s*", re.IGNORECASE)
_NOTHING = frozenset(("", ".", "0", "0.0", "n", "no", "false", "f", "na", "nan", "none"))
_HEADED_C = re.compile(r"C[ _-]?(id|subj|subject|usubjid|subjid)", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """Places of the first rows: which is the header, which holds units, which are neither nor data."""

    header: int | None
    units: int | None = None
    skipped: tuple[int, ...] = ()
    body: int = 0


def head_of(rows: Sequence[Row]) -> Head:
    """Find the header among the first rows (cells as text, comments left out already).

    The rows above the first one that holds mostly numbers are the head; of them the header is the one with the most
    names that are known, or else the most cells. Rows of units and of descriptions may stand under it, titles above.
    """
    first = next((k for k, row in enumerate(rows) if _is_data(row)), len(rows))
    if first == 0:
        return Head(None)
    head = [list(row) for row in rows[:first]]
    width = max(sum(map(bool, map(_text, row))) for row in rows)

    def weight(k: int) -> tuple[int, int, int]:
        cells = [cell for cell in map(_text, head[k]) if cell]
        whole = 2 * len(cells) > width or len(cells) == width
        names = [cell for cell in cells if plain(cell) in _KNOWN]
        units = sum(looks_like_unit(cell) for cell in cells) == len(cells)
        return (whole and not units, len(set(names)) if whole else 0, len(cells))

    header = max(range(first), key=lambda k: (*weight(k), -k))
    if not weight(header)[0]:
        header = 0
    units, skipped, body = None, list(range(header)), header + 1
    for k in range(header + 1, first):
        cells = [cell for cell in map(_text, head[k]) if cell]
        spelled = [cell for cell in cells if looks_like_unit(cell)]
        if units is None and cells and spelled and all(looks_like_unit(c) or says_no_unit(c) for c in cells):
            units, body = k, k + 1
        elif first < len(rows) and _describes(cells, rows, first):
            skipped.append(k)
            body = k + 1
        else:
            break
    return Head(header, units, tuple(skipped), body)


def _text(cell: Any) -> str:
    return str(cell).strip() if cell is not None else ""


def _numeric(cell: str) -> bool:
    try:
        float(cell.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def _is_data(row: Row) -> bool:
    """Whether a row holds data: mostly numbers, or a label and numbers."""
    cells = [cell for cell in map(_text, row) if cell and cell not in (".", "NA")]
    numbers = sum(map(_numeric, cells))
    if any(plain(cell) in _CERTAIN for cell in cells):
        return False
    return bool(cells) and (2 * numbers > len(cells) or (numbers >= 1 and 3 * numbers >= len(cells) and len(cells) > 2))


def _describes(cells: Sequence[str], rows: Sequence[Row], first: int) -> bool:
    """Words where the rows below hold numbers: descriptions of the columns, or types."""
    below = [cell for cell in map(_text, rows[first]) if cell]
    numbers = sum(map(_numeric, below))
    return (
        len(cells) > 1 and not any(map(_numeric, cells)) and 2 * numbers >= len(below) and 2 * len(cells) > len(below)
    )


def known_names(names: Sequence[Any]) -> int:
    """How many of some column names are known ones."""
    return len({plain(str(name)) for name in names} & _KNOWN)


def footers(rows: Sequence[Row], fields: Sequence[int], width: int) -> int:
    """How many of the last rows are notes below the table: words, where the rows above hold numbers."""
    numbered = sum(bool(row) and _numeric(_text(row[0])) for row in rows)
    count = 0
    for row, have in zip(reversed(rows[1:]), reversed(fields[1:]), strict=True):
        cells = [cell for cell in map(_text, row) if cell]
        alone = len(cells) == 1 and not _numeric(cells[0])
        if (alone and (have != width or " " in cells[0] or cells[0][:1] in "*#†" or 2 * numbered > len(rows))) or (
            have != width and cells and not any(map(_numeric, cells)) and any(" " in cell for cell in cells)
        ):
            count += 1
        else:
            break
    return count


def units_of(columns: Sequence[str], cells: Row) -> dict[str, str]:
    """Unit by column from a row of units."""
    pairs = zip(columns, map(_text, cells), strict=False)
    return {name: tidied(cell) for name, cell in pairs if cell and looks_like_unit(cell)}


def said(name: str, message: str, rows: Iterable[Any], mend: str = "") -> Finding:
    """A finding about rows that were left out, or read in a way that should be known."""
    return Finding("warning", message, name=name, rows=tuple(map(plain_label, rows)), mend=mend)


def counted(number: int, what: str = "row") -> str:
    """A count in words: "1 row", "3 rows"."""
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def left_out(lines: Iterable[Any], what: str) -> list[Finding]:
    """The finding that says that rows were left out; none where there are none."""
    lines = list(lines)
    if not lines:
        return []
    return [said("rows left out", f"{counted(len(lines))} left out: {what}", lines)]


def is_title(text: str) -> bool:
    """Whether a line is NONMEM's TABLE NO. line."""
    return bool(_TABLE.fullmatch(text))


# ---- rows of a table -----------------------------------------------------------------------------------------


def without_excluded(frame: pd.DataFrame, marks: str | None = None) -> tuple[pd.DataFrame, list[Finding]]:
    """The frame without rows that are marked as excluded, and without the column that only holds such marks.

    Parameters
    ----------
    frame : DataFrame
        Row labels are those that findings name.
    marks : str, optional
        The characters that exclude a row where one of them begins its first cell; "" for none. NONMEM's C, @ and #
        unless said, where the other rows show that they are marks.
    """
    if not len(frame.columns) or not len(frame) or marks == "":
        return frame, []
    found: list[Finding] = []
    first = frame.columns[0]
    if _HEADED_C.fullmatch(str(first)) and not any(plain(c) in SYNONYMS["subject"][:6] for c in frame.columns[1:]):
        name = str(first)[1:].lstrip(" _-")
        if name not in frame.columns:
            frame = frame.rename(columns={first: name})
            found.append(said("header marked", f"the header is marked with C: column {first!r} is {name}", ()))
            first = name
    rows, what = _marked_cells(frame[first], marks)
    if rows.any():
        found += left_out(frame.index[rows], what)
        left = frame[~rows].copy()
        left[first] = _numbers_again(left[first])
        frame = left.drop(columns=first) if bare(first) in EXCLUSION and _empty(left[first]) else left
    for column in [c for c in frame.columns if bare(c) in EXCLUSION]:
        codes, flag = _exclusions(frame[column], bare(column))
        if codes is None:
            continue
        if codes.any() and not codes.all():
            found += left_out(frame.index[codes], f"marked {flag} in column {column}")
            frame = frame[~codes]
        if not codes.all():
            frame = frame.drop(columns=column)
            frame = frame.assign(**{c: _numbers_again(frame[c]) for c in frame.columns if frame[c].dtype == object})
    return frame, found


def _empty(values: pd.Series[Any]) -> bool:
    """Whether a column of marks holds none."""
    return bool(values.where(values.notna(), "").astype(str).str.strip().str.lower().isin(_NOTHING).all())


def _marked_cells(values: pd.Series[Any], marks: str | None) -> tuple[Bools, str]:
    """Cells of the first column that begin with a mark while the others are numbers."""
    nothing = np.zeros(len(values), dtype=bool)
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        return nothing, ""
    text = values.where(values.notna(), "").astype(str).str.strip()
    if marks:
        rows = text.str.startswith(tuple(marks)).to_numpy(dtype=bool)
        return rows, f"marked {marks} in the first column"
    numbers = pd.to_numeric(text, errors="coerce").notna().to_numpy()
    hit = text.str.fullmatch(_MARK).to_numpy(dtype=bool) & ~numbers
    others = ~hit & (text != "").to_numpy()
    if not hit.any() or not others.any() or numbers[others].mean() < 0.9:
        return nothing, ""
    shown = "/".join(sorted({cell[0] for cell in text[hit]}))
    return hit, f"marked {shown} in the first column"


def _exclusions(values: pd.Series[Any], name: str) -> tuple[Bools | None, str]:
    """Rows that a column such as C, EXCLUDE or OMIT excludes; None where it is no such column."""
    text = values.where(values.notna(), "").astype(str).str.strip()
    marks = {cell for cell in text.unique() if cell.lower() not in _NOTHING}
    allowed = {"c", "#", "@", "*", "x", "i"}
    if name not in ("c", "com", "comm"):
        allowed |= {"y", "yes", "1", "1.0", "true", "t", "e"}
    if not {mark.lower() for mark in marks} <= allowed:
        return None, ""
    if not marks and pd.api.types.is_numeric_dtype(values.dtype) and name == "c":
        return None, ""  # a concentration column of zeros
    return text.isin(marks).to_numpy(dtype=bool), "/".join(sorted(marks))


def _numbers_again(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column that was text only for the rows that are gone."""
    blank = values.map(lambda cell: isinstance(cell, str) and cell.strip() in ("", "."))
    numbers = pd.to_numeric(values.mask(blank.astype(bool)), errors="coerce")
    return numbers if numbers.notna().equals(values.notna() & ~blank.astype(bool)) else values
