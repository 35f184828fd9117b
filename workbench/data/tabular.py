"""What every reader of a file makes: a plain table with names over its columns, and what is stated about its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.cells import limited
from workbench.data.layout import Head, head_of
from workbench.errors import DataError, Fault
from workbench.findings import Finding

LONGEST_NAME = 1000
"""Characters of a column name."""
_TOO_MANY = 100  # faults of a header: what lies below it cannot be judged


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


def unique_names(names: Sequence[str], row: Any, table: str) -> tuple[list[str], list[Fault], tuple[str, ...]]:
    """Names made unique, so that the rest can be judged although two columns share one.

    Raises DataError where so many do that no more of the table can be judged.
    """
    places: dict[str, int] = {}
    repeats: dict[str, int] = {}
    faults: list[Fault] = []
    unnamed: list[str] = []
    for position, raw in enumerate(names, start=1):
        name = str(raw).strip()
        if len(name) > LONGEST_NAME:
            message = f"the name of column {position} has {len(name):,} characters; allowed: up to {LONGEST_NAME:,}"
            faults.append(Fault(message, row, mend="shorten it; or a quote or a line end is missing behind it"))
            name = name[:20].strip() + "…"
        if not name:
            name = f"column {position}"
            unnamed.append(name)
        if name in places:
            message = f"the name stands over column {places[name]} and column {position}; each may occur once"
            faults.append(Fault(message, row, name, mend="rename or delete one of them"))
        stem = name
        while name in places:
            repeats[stem] = repeats.get(stem, 1) + 1
            name = f"{stem} ({repeats[stem]})"
        places[name] = position
    if len(faults) > _TOO_MANY:
        raise DataError(limited(faults), table)
    return list(places), faults, tuple(unnamed)


def is_number(cell: str) -> bool:
    """Whether a text is a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def cell_text(cell: Any) -> str:
    """A cell of a sheet as text; "" for none."""
    return "" if cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)) else str(cell)


def spelled(units: Mapping[str, str]) -> str:
    """Units by column in words."""
    return ", ".join(f"{column} {unit}" for column, unit in units.items()) or "none known"


def found_head(rows: Sequence[Sequence[str]], lines: Sequence[int], form: Form, name: str) -> Head:
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


def no_names(cells: Sequence[str], line: Any, name: str) -> DataError:
    """What is said where numbers stand in the place of column names."""
    message = f"the first line holds numbers ({', '.join(cells[:4])}), not column names"
    mend = 'put a line with the column names on top, or state them: names=["ID", "TIME", …]'
    return DataError(Fault(message, int(line), mend=mend), name)
