"""Cells become numbers, by the part that their column plays; what cannot is named by row and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.errors import Fault

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MISSING = ("", ".", "NA", "N/A", "NaN", "nan", "NULL", "na", "n/a", "null", "#N/A", "<NA>", "NaT")
"""Cells that always mean "no value"; more on request (`na_values`)."""

ERRORS = ("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!")
"""Cells in which a spreadsheet says that a formula has failed."""

LARGEST = 1e100  # of what is read: its square and cube are still numbers
_CODE = "if it is a code for a missing value, name it: na_values=(…,)"
_WHOLE = 1e9
_LISTED = 1000


def limited(faults: Sequence[Fault]) -> list[Fault]:
    """The faults of one kind, at most a thousand of them spelled out."""
    if len(faults) <= _LISTED:
        return list(faults)
    rest = len(faults) - _LISTED
    last = Fault(f"{rest} more rows with the same fault, up to row {faults[-1].row}", None, faults[-1].column)
    return [*faults[:_LISTED], last]


class Cells:
    """Reads the columns of a frame and collects what is wrong.

    Attributes
    ----------
    faults : list of Fault
    bad : bool array
        Rows with at least one fault; later checks leave them alone, so that one slip is reported once.
    """

    def __init__(self, frame: pd.DataFrame):
        self.frame = frame
        self.faults: list[Fault] = []
        self.bad: Bools = np.zeros(len(frame), dtype=bool)

    def blame(
        self, rows: Bools, column: str | None, message: str | Callable[[int], str], mend: str = "",
        offers: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Add a fault for each of the rows; `message` may depend on the position of the row."""
        positions = np.flatnonzero(rows)
        if not len(positions):
            return
        self.bad |= rows
        labels = self.frame.index
        shown = positions[:1001]
        faults = [
            Fault(
                message if isinstance(message, str) else message(int(p)),
                plain_label(labels[p]),
                column,
                mend=mend,
                offers=offers,
            )
            for p in shown
        ]
        if len(positions) > 1001:
            faults += [Fault("", plain_label(labels[positions[-1]]), column)] * (len(positions) - 1001)
        self.faults += limited(faults)

    def refuse(self, rows: Bools, column: str, expected: str, mend: str = "", offers: tuple[str, ...] = ()) -> None:
        """Blame the cells of these rows for not being what is expected."""
        cells = self.frame[column]
        self.blame(rows, column, lambda p: f"got {shown(cells.iloc[p])}, allowed: {expected}", mend, offers)

    def numbers(
        self, column: str, expected: str, mend: str = "", missing: float | None = None, offers: tuple[str, ...] = ()
    ) -> Floats:
        """The column as numbers; text and what is out of any reach are faults, missing ones become `missing`."""
        values, unreadable = to_numbers(self.frame[column])
        vast = np.abs(np.where(unreadable, 0.0, values)) > LARGEST
        self.refuse(vast, column, f"numbers from -{LARGEST:.0e} to {LARGEST:.0e}", mend or _CODE, offers)
        values = np.where(vast, np.nan, values)
        usual = "write a number, or leave the cell empty (or name the text in na_values)"
        self.refuse(unreadable, column, expected, mend or usual, offers)
        values = np.where(unreadable, np.nan, values)
        return values if missing is None else np.where(np.isnan(values), missing, values)

    def whole(self, column: str, expected: str, allowed: Callable[[Floats], Bools], mend: str = "") -> Ints:
        """The column as whole numbers that fulfil `allowed`; missing counts as 0, as in NONMEM."""
        values = self.numbers(column, expected, mend, missing=0.0)
        wrong = ~((values % 1 == 0) & (np.abs(values) < _WHOLE) & allowed(values))
        self.refuse(wrong, column, expected, mend)
        return np.where(wrong, 0, values).astype(np.int64)

    def fault(self, message: str, column: str | None, mend: str = "") -> None:
        """Add a fault of the column as a whole."""
        self.faults.append(Fault(message, None, column, mend=mend))


def to_numbers(values: pd.Series[Any]) -> tuple[Floats, Bools]:
    """Numbers (NaN where missing) and a mask of the cells that are neither a finite number nor missing."""
    missing = values.isna().to_numpy(dtype=bool)
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind) or (
        pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    ):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        return numbers, np.isinf(numbers)
    if pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype):
        text = values.astype(object)
        blank = text.map(lambda cell: isinstance(cell, str) and cell.strip() in MISSING).to_numpy(dtype=bool)
        real = text.map(lambda cell: isinstance(cell, (str, int, float, np.number)) and not isinstance(cell, complex))
        usable = text.where(real.astype(bool), None)
        numbers = pd.to_numeric(usable, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        return numbers, (np.isnan(numbers) | np.isinf(numbers)) & ~missing & ~blank
    return np.full(len(values), np.nan), ~missing


def shown(cell: Any) -> str:
    """A cell in a message, cut where it is long."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return "nothing"
    text = repr(plain_label(cell))
    return text if len(text) <= 60 else text[:57] + "…'"


def plain_label(value: Any) -> Any:
    """A label as a plain Python value; whole floats as integers, so that subject 1.0 is called 1."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def labels_of(values: pd.Series[Any]) -> tuple[Ints, tuple[Any, ...]]:
    """Codes and plain labels in the order of first appearance; -1 where missing."""
    codes, found = pd.factorize(values, use_na_sentinel=True)
    return codes.astype(np.int64), tuple(plain_label(label) for label in found)
