"""Cells become numbers and hours, by the part that their column plays; what cannot is named by row and column."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.reading import MISSING, limited
from workbench.errors import Fault

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_CLOCK = r"(\d{1,3}):(\d{2})(?::(\d{2}(?:\.\d*)?))?"
_DATE = r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})"
_WHOLE = 1e9
_DATED = re.compile(rf"\s*{_DATE}(?:[ T]+{_CLOCK})?\s*")
_CLOCKED = re.compile(rf"\s*{_CLOCK}\s*")


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

    def blame(self, rows: Bools, column: str | None, message: str | Callable[[int], str], mend: str = "") -> None:
        """Add a fault for each of the rows; `message` may depend on the position of the row."""
        positions = np.flatnonzero(rows)
        if not len(positions):
            return
        self.bad |= rows
        labels = self.frame.index
        shown = positions[:1001]
        faults = [
            Fault(message if isinstance(message, str) else message(int(p)), plain_label(labels[p]), column, mend=mend)
            for p in shown
        ]
        if len(positions) > 1001:
            faults += [Fault("", plain_label(labels[positions[-1]]), column)] * (len(positions) - 1001)
        self.faults += limited(faults)

    def refuse(self, rows: Bools, column: str, expected: str, mend: str = "") -> None:
        """Blame the cells of these rows for not being what is expected."""
        cells = self.frame[column]
        self.blame(rows, column, lambda p: f"got {shown(cells.iloc[p])}, allowed: {expected}", mend)

    def numbers(self, column: str, expected: str, mend: str = "", missing: float | None = None) -> Floats:
        """The column as numbers; text and infinite values are faults, missing ones become `missing`."""
        values, unreadable = to_numbers(self.frame[column])
        usual = "write a number, or leave the cell empty (or name the text in na_values)"
        self.refuse(unreadable, column, expected, mend or usual)
        values = np.where(unreadable, np.nan, values)
        return values if missing is None else np.where(np.isnan(values), missing, values)

    def whole(self, column: str, expected: str, allowed: Callable[[Floats], Bools], mend: str = "") -> Ints:
        """The column as whole numbers that fulfil `allowed`; missing counts as 0, as in NONMEM."""
        values = self.numbers(column, expected, mend, missing=0.0)
        wrong = ~((values % 1 == 0) & (np.abs(values) < _WHOLE) & allowed(values))
        self.refuse(wrong, column, expected, mend)
        return np.where(wrong, 0, values).astype(np.int64)

    def hours(self, time: str, date: str | None, subject: Ints) -> tuple[Floats, str]:
        """Times as numbers, and a note where clock times or dates were turned into hours.

        Plain numbers stay what they are. Clock times (8:30) and dates count in hours from the first record of the
        subject; a NONMEM day number or a calendar date may stand in a column of its own.
        """
        values = self.frame[time]
        if pd.api.types.is_timedelta64_dtype(values.dtype):
            hours = pd.to_timedelta(values).dt.total_seconds().to_numpy(dtype=float) / 3600
            self.blame(np.isnan(hours), time, "the time is missing", "state the time, or delete the row")
            return hours, f"{time}: durations in hours"
        hours, clock = self._clock(values, date)
        if date is None and not clock:
            numbers = self.numbers(time, "a number, a clock time (8:30) or a date (2024-05-01 8:30)", "write the time")
            missing = np.isnan(numbers) & ~to_numbers(values)[1]
            self.blame(missing, time, "the time is missing", "state the time, or delete the row")
            return numbers, ""
        days = self._days(date) if date is not None else np.zeros(len(values))
        missing = np.isnan(hours)
        self.refuse(missing, time, "clock times and dates, as in the other rows", "write it like the other rows")
        hours = hours + 24 * days
        if clock == "clock" and date is None:
            self._past_midnight(time, hours, subject)
        first = pd.Series(hours).groupby(subject).transform("first").to_numpy()
        since: Floats = np.round(hours - first, 9)
        return since, f"{time}: hours since the first record of each subject"

    def _clock(self, values: pd.Series[Any], date: str | None) -> tuple[Floats, str]:
        """Hours of clock times ("clock") or of calendar dates ("dated"); "" where the column holds plain numbers."""
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return _epoch_hours(values), "dated"
        numbers, unreadable = to_numbers(values)
        if not unreadable.any():
            return numbers, ""
        text = values.where(values.notna(), "").astype(str)
        clocked = text.str.extract(_CLOCKED.pattern + "$").astype(float).to_numpy()
        whole = text.str.fullmatch(_CLOCKED).to_numpy(dtype=bool)
        dated = text.str.fullmatch(_DATED).to_numpy(dtype=bool)
        if whole.sum() + dated.sum() < max(1, 0.5 * unreadable.sum()):
            return numbers, ""
        if dated.sum() > whole.sum() and date is None:
            return self._calendar(text, values.name), "dated"
        return np.where(whole, _day_hours(clocked), np.nan), "clock"

    def _calendar(self, text: pd.Series[Any], column: Any) -> Floats:
        """Hours of "2024-05-01 8:30" and its relatives; which of day and month comes first is read off the data."""
        parts = text.str.extract(_DATED.pattern + "$").astype(float).to_numpy()
        first, second, third = parts[:, 0], parts[:, 1], parts[:, 2]
        known = ~np.isnan(first)
        if (first[known] > 31).all():
            year, month, day = first, second, third
        elif (second[known] > 12).any() and not (first[known] > 12).any():
            year, month, day = third, first, second
        elif (first[known] > 12).any() and not (second[known] > 12).any():
            year, month, day = third, second, first
        else:
            message = "day and month cannot be told apart in these dates"
            self.faults.append(Fault(message, None, str(column), mend="write dates as 2024-05-31"))
            self.bad |= known
            return np.zeros(len(text))
        year = np.where(year < 100, year + 2000, year)
        calendar = pd.DataFrame({"year": year, "month": month, "day": day})
        days = pd.to_datetime(calendar, errors="coerce")
        hours: Floats = _epoch_hours(days) + _day_hours(parts[:, 3:6])
        return hours

    def _days(self, date: str) -> Floats:
        """Days of a date column: NONMEM's day numbers or calendar dates."""
        values = self.frame[date]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return _epoch_hours(values) / 24
        days, unreadable = to_numbers(values)
        if unreadable.any():
            days = self._calendar(values.where(values.notna(), "").astype(str), date) / 24
        self.refuse(np.isnan(days) & ~self.bad, date, "a day number or a date (2024-05-31)", "write the date")
        return days

    def _past_midnight(self, time: str, hours: Floats, subject: Ints) -> None:
        order = np.argsort(subject, kind="stable")
        back = np.zeros(len(hours), dtype=bool)
        back[order[1:]] = (np.diff(hours[order]) < 0) & (np.diff(subject[order]) == 0)
        cells = self.frame[time]
        self.blame(
            back & ~self.bad, time,
            lambda p: f"the clock time goes back to {shown(cells.iloc[p])}, and no column says the day",
            'add a date column, roles={"date": …}',
        )  # fmt: skip


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


def _day_hours(clock: Floats) -> Floats:
    """Hours of (hour, minute, second); NaN where there is no such time of day."""
    hour, minute, second = np.nan_to_num(clock).T
    valid = (hour <= 24) & (minute < 60) & (second < 60)
    return np.where(valid, hour + minute / 60 + second / 3600, np.nan)


def _epoch_hours(days: pd.Series[Any]) -> Floats:
    naive = days.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(days.dt, "tz", None) is not None else days
    seconds = (naive - pd.Timestamp("1970-01-01")).dt.total_seconds()
    return np.asarray(seconds.to_numpy(dtype=float, na_value=np.nan) / 3600, dtype=float)
