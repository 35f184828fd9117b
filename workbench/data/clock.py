"""Times as people write them: plain numbers, clock times, dates; in hours, where they are not plain numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import Bools, Cells, Floats, Ints, shown, to_numbers
from workbench.data.names import bare

ORDERS = ("dmy", "mdy", "ymd", "ydm")
NAMED_ORDERS = {"date": "mdy", "dat1": "dmy", "dat2": "ymd", "dat3": "ydm"}
"""What NM-TRAN takes the names of date columns to say."""

_LAST_OF_2000 = 50  # two-digit years up to here are 20xx, as in NM-TRAN
_MONTHS = {
    "jan": 1, "feb": 2, "fev": 2, "mar": 3, "mae": 3, "mrz": 3, "apr": 4, "avr": 4, "may": 5, "mai": 5, "jun": 6,
    "juin": 6, "jul": 7, "juil": 7, "aug": 8, "aou": 8, "sep": 9, "oct": 10, "okt": 10, "nov": 11, "dec": 12, "dez": 12,
}  # fmt: skip
_CLOCK = r"(?P<hour>\d{1,4})\s*[:hH]\s*(?P<minute>\d{2})(?:\s*:\s*(?P<second>\d{2}(?:[.,]\d*)?))?"
_HALF = r"\s*(?P<half>[AaPp])\.?\s*[Mm]\.?"
_ZONE = r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})"
_OF_DAY = rf"(?:{_CLOCK}(?:{_HALF})?(?:{_ZONE})?|(?P<hour12>\d{{1,2}}){_HALF.replace('half', 'half12')})"
_NUMERIC = r"(?P<a>\d{1,4})[-/.](?P<b>\d{1,2})(?:[-/.](?P<c>\d{1,4}))?\.?"
_DAY_FIRST = r"(?P<d1>\d{1,2})\.?[-/. ]?\s?(?P<m1>[^\W\d_]{3,9})\.?(?:[-/., ]{0,2}(?P<y1>\d{4}|\d{2}))?"
_MONTH_FIRST = r"(?P<m2>[^\W\d_]{3,9})\.?[-/. ]?\s?(?P<d2>\d{1,2})(?:st|nd|rd|th)?(?:[-/., ]{1,2}(?P<y2>\d{4}|\d{2}))?"
_YEAR_FIRST = r"(?P<y3>\d{4})[-/. ]?(?P<m3>[^\W\d_]{3,9})\.?[-/. ]?(?P<d3>\d{1,2})"
_DATE = rf"(?:{_NUMERIC}|{_YEAR_FIRST}|{_DAY_FIRST}|{_MONTH_FIRST})"
_DATE_ONLY = re.compile(rf"\s*(?:[^\W\d_]{{2,9}},\s*)?{_DATE}(?:[ T]+0?0:00(?::00(?:\.0*)?)?)?\s*")
_CLOCKED = re.compile(rf"\s*{_OF_DAY}\s*")
_DATED = re.compile(rf"\s*(?:[^\W\d_]{{2,9}},\s*)?{_DATE}(?:(?:[ T]+|:|,\s*){_OF_DAY})?\s*")
_PARTS = ("hour", "minute", "second", "hour12", "a", "b", "c", "d1", "y1", "d2", "y2", "y3", "d3")
_EXCEL = (20_000, 80_000)  # 1954 to 2119, as Excel counts days
_COMPACT = (19_000_101, 21_001_231)


def hours(cells: Cells, time: str, date: str | None, subject: Ints, order: str | None = None) -> tuple[Floats, str]:
    """Times as numbers, and a note where clock times or dates were turned into hours.

    Plain numbers stay what they are. Clock times (8:30) and dates count in hours from the first record of the
    subject; a NONMEM day number or a calendar date may stand in a column of its own.

    Parameters
    ----------
    cells : Cells
        Takes the faults.
    time, date : str
        Columns.
    subject : int array
        Index of the subject, per row.
    order : {"dmy", "mdy", "ymd", "ydm"}, optional
        In which order dates are written, where they are numbers only.
    """
    values = cells.frame[time]
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        found = pd.to_timedelta(values).dt.total_seconds().to_numpy(dtype=float) / 3600
        cells.blame(np.isnan(found), time, "the time is missing", "state the time, or delete the row")
        return found, f"{time}: durations in hours"
    reader = _Reader(cells, subject, order)
    found, kind = reader.of_time(time, date)
    if date is None and kind == "number":
        numbers = cells.numbers(time, "a number, a clock time (8:30) or a date (2024-05-01 8:30)", "write the time")
        missing = np.isnan(numbers) & ~to_numbers(values)[1]
        cells.blame(missing, time, "the time is missing", "state the time, or delete the row")
        return numbers, ""
    days = reader.days(date) if date is not None else np.zeros(len(values))
    if date is not None and kind == "number" and reader.excel and np.nanmax(found, initial=0.0) < 1:
        found = found * 24  # Excel keeps the time of day as a part of the day
        reader.notes.append(f"{time}: parts of a day")
    missing = np.isnan(found)
    cells.refuse(missing, time, "clock times and dates, as in the other rows", "write it like the other rows")
    found = found + 24 * days
    if kind == "clock" and date is None:
        _past_midnight(cells, time, found, subject)
    first = pd.Series(found).groupby(subject).transform("first").to_numpy()
    since: Floats = np.round(found - first, 9)
    whole = time if date is None else f"{date} and {time}"
    return since, "; ".join([f"{whole}: hours since the first record of each subject", *reader.notes])


def restarts(time: pd.Series[Any], date: pd.Series[Any], subject: Ints) -> bool:
    """Whether plain times start anew where a date moves on: then both together say when it was."""
    numbers = to_numbers(time)[0]
    known = np.isfinite(numbers)
    if (
        not known.any()
        or numbers[known].min() < 0
        or not (numbers[known].max() <= 24 or _without_colon(numbers[known]))
    ):
        return False
    same = (subject[1:] == subject[:-1]) & known[1:] & known[:-1]
    days = pd.factorize(date.astype(str))[0]
    back = same & (np.diff(numbers) < 0)
    return bool(back.any()) and bool((np.diff(days)[back] != 0).all())


def holds_clocks(values: pd.Series[Any]) -> bool:
    """Whether all cells are times of day without a date: 8:30, 1:30 PM."""
    return _all_of(values, _CLOCKED)


def holds_days(values: pd.Series[Any], named: bool = False) -> bool:
    """Whether all cells are dates without a time of day; `named` says that the name promises dates or day numbers."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        known = values.dropna()
        return len(known) > 0 and bool((known == known.dt.normalize()).all())
    if named and pd.api.types.is_numeric_dtype(values.dtype):
        return bool((values.dropna() % 1 == 0).all())
    return _all_of(values, _DATE_ONLY)


def holds_hours_of_day(values: pd.Series[Any]) -> bool:
    """Whether all are clock times, or numbers that can be: 8.5, 830."""
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return holds_clocks(values)
    known = values.dropna().to_numpy(dtype=float)
    return bool(len(known) and known.min() >= 0 and (known.max() <= 24 or _without_colon(known)))


def _all_of(values: pd.Series[Any], pattern: re.Pattern[str]) -> bool:
    if not (pd.api.types.is_object_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype)):
        return False
    known = values.dropna().astype(str)
    return len(known) > 0 and bool(_matches(known[:1], pattern).all()) and bool(_matches(known, pattern).all())


def _without_colon(numbers: Floats) -> bool:
    """Whether numbers are times of day such as 830 and 1330."""
    return bool(24 < numbers.max() <= 2400 and (numbers % 100 < 60).all() and (numbers % 1 == 0).all())


class _Reader:
    """Reads columns of dates and times of day; keeps what was assumed, to be said."""

    def __init__(self, cells: Cells, subject: Ints, order: str | None):
        self.cells, self.subject, self.order = cells, subject, order
        self.notes: list[str] = []
        self.excel = False

    def of_time(self, column: str, date: str | None) -> tuple[Floats, str]:
        """Hours of the time column; "number", "clock" or "dated" says what it holds."""
        values = self.cells.frame[column]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return epoch_hours(values), "dated"
        numbers, unreadable = to_numbers(values)
        if not unreadable.any():
            known = numbers[np.isfinite(numbers)]
            serial = len(known) > 0 and _EXCEL[0] <= known.min() and known.max() <= _EXCEL[1]
            if date is None and serial and "date" in bare(column):
                self.notes.append(f"{column}: days as Excel counts them")
                return numbers * 24, "dated"
            if date is not None and len(known) and _without_colon(known):
                self.notes.append(f"{column}: hours and minutes without a colon")
                return numbers // 100 + numbers % 100 / 60, "clock"
            return numbers, "number"
        text = values.where(values.notna(), "").astype(str)
        clocked = _matches(text, _CLOCKED)
        dated = _matches(text, _DATED) & ~clocked
        if clocked.sum() + dated.sum() < max(1, 0.5 * unreadable.sum()):
            return numbers, "number"
        if dated.sum() > clocked.sum() and date is None:
            return self.calendar(text, column), "dated"
        if dated.sum() > clocked.sum() and date is not None:  # the date stands in both columns
            parts = _parts(text, _DATED)
            return np.where(dated, _day_hours(parts), np.nan), "clock"
        hours = np.where(clocked, _day_hours(_parts(text, _CLOCKED)), np.nan)
        return np.where(clocked, hours, np.where(unreadable, np.nan, numbers)), "clock"

    def days(self, column: str) -> Floats:
        """Days of a date column: NONMEM's day numbers or calendar dates."""
        values = self.cells.frame[column]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return epoch_hours(values) / 24
        days, unreadable = to_numbers(values)
        known = days[np.isfinite(days)]
        if not unreadable.any() and len(known) and _EXCEL[0] <= known.min() and known.max() <= _EXCEL[1]:
            self.excel = True
        if not unreadable.any() and len(known) and _COMPACT[0] <= known.min() and known.max() <= _COMPACT[1]:
            text = pd.Series(days).map(lambda v: f"{v:.0f}" if np.isfinite(v) else "")
            dashed = text.str.replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3", regex=True).set_axis(values.index)
            days = self.calendar(dashed, column, "ymd") / 24
        elif unreadable.any():
            days = self.calendar(values.where(values.notna(), "").astype(str), column) / 24
        self.cells.refuse(
            np.isnan(days) & ~self.cells.bad, column, "a day number or a date (2024-05-31)", "write the date"
        )
        return days

    def calendar(self, text: pd.Series[Any], column: str, order: str | None = None) -> Floats:
        """Hours of "2024-05-01 8:30" and its relatives; NaN where a cell is none."""
        parts = _parts(text, _DATED)
        named = {key: parts[key].map(_month).to_numpy(dtype=float) for key in ("m1", "m2", "m3")}
        at = {key: parts[key].to_numpy(dtype=float) for key in _PARTS if key in parts}
        month = _first(named["m1"], named["m2"], named["m3"])
        day, year = _first(at["d1"], at["d2"], at["d3"]), _first(at["y1"], at["y2"], at["y3"])
        numeric = ~np.isnan(at["a"])
        if numeric.any():
            chosen = self.ordered(column, order, at["a"], at["b"], at["c"], numeric)
            if chosen is None:
                return np.zeros(len(text))
            day, month, year = (
                np.where(numeric, new, old) for new, old in zip(chosen, (day, month, year), strict=True)
            )
        known = ~np.isnan(day) & ~np.isnan(month)
        year = self.years(year, known)
        table = pd.DataFrame({"year": year, "month": month, "day": day})
        stamps = pd.Series(pd.NaT, index=table.index, dtype="datetime64[s]")
        whole = table.notna().all(axis=1)
        if whole.any():
            stamps[whole] = pd.to_datetime(table[whole].astype(int), errors="coerce").astype("datetime64[s]")
        timed = ~np.isnan(_first(at["hour"], at["hour12"]))
        if timed.any() and (known & ~timed).any():
            count = int((known & ~timed).sum())
            self.notes.append(
                f"{column}: {count} {'date' if count == 1 else 'dates'} without a time of day, taken as 0:00"
            )
        hours: Floats = (
            epoch_hours(stamps) + np.where(timed, _day_hours(parts), 0.0) - self.zone(parts, column, known & timed)
        )
        return hours

    def zone(self, parts: pd.DataFrame, column: str, known: Bools) -> Floats:
        """Hours by which the stated zones are ahead of UTC."""
        zones = parts["zone"]
        stated = zones.notna().to_numpy() & known
        if stated.any() and (known & ~stated).any():
            self.cells.blame(known & ~stated, column, "the other times name a time zone, this one does not",
                             "state the zone everywhere, or nowhere")  # fmt: skip
        digits = zones.where(zones != "Z").str.extract(r"([+-])(\d{2}):?(\d{2})")
        size = digits[1].astype(float) + digits[2].astype(float) / 60
        ahead: Floats = np.nan_to_num(size.to_numpy(dtype=float) * np.where(digits[0] == "-", -1.0, 1.0))
        return ahead

    def years(self, year: Floats, known: Bools) -> Floats:
        """Four-digit years. Dates without one lie in the year of the other dates, or in any."""
        year = np.where(year < 100, np.where(year <= _LAST_OF_2000, 2000.0, 1900.0) + year, year)
        absent = known & np.isnan(year)
        if absent.any():
            stated = year[~np.isnan(year)]
            year = np.where(absent, stated[0] if len(stated) else 2001.0, year)
        return year

    def ordered(
        self, column: str, order: str | None, a: Floats, b: Floats, c: Floats, numeric: Bools
    ) -> tuple[Floats, Floats, Floats] | None:
        """Day, month and year of dates of numbers only: their order is stated, read off the data, or off the name."""
        first, second = a[numeric], b[numeric]
        if order is None and self.order is None:
            if (first > 31).all():
                order = "ydm" if (second > 12).any() or bare(column) == "dat3" else "ymd"
            else:
                possible = [o for o in ("dmy", "mdy") if (first <= 12).all() or o == "dmy"]
                possible = [o for o in possible if (second <= 12).all() or o == "mdy"]
                order = possible[0] if len(possible) == 1 else self.told_apart(column, a, b, c, numeric)
        order = order or self.order
        if order is None:
            message = "day and month cannot be told apart in these dates"
            mend = 'write dates as 2024-05-31, or say which comes first: dates="dmy" or dates="mdy"'
            self.cells.fault(message, column, mend)
            self.cells.bad |= numeric
            return None
        return _by_order(order, a, b, c)

    def told_apart(self, column: str, a: Floats, b: Floats, c: Floats, numeric: Bools) -> str | None:
        """The order in which no subject's dates go back, or that NM-TRAN reads off the name of the column."""
        order = NAMED_ORDERS.get(bare(column))
        if bare(column) in ("dat1", "dat2", "dat3"):
            return order
        back = {}
        for name in ("dmy", "mdy"):
            day, month, year = _by_order(name, a, b, c)
            number = (np.nan_to_num(year) * 12 + month) * 31 + day
            same = (self.subject[1:] == self.subject[:-1]) & numeric[1:] & numeric[:-1]
            back[name] = bool((np.diff(number)[same] < 0).any())
        if back["dmy"] != back["mdy"]:
            order = "mdy" if back["dmy"] else "dmy"
            self.notes.append(f"{column}: {'day' if order == 'dmy' else 'month'} first, since dates go back otherwise")
        elif order is not None:
            self.notes.append(f'{column}: month first, as NM-TRAN reads this name (dates="dmy" if the day comes first)')
        return order


def _by_order(order: str, a: Floats, b: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    """Day, month, year; where a date has two numbers only, the year is left out."""
    letters = dict(zip(order, (a, b, c), strict=True))
    short = np.isnan(c)
    if short.any():
        without = order.replace("y", "")
        pair = dict(zip(without, (a, b), strict=True))
        return tuple(  # type: ignore[return-value]
            np.where(short, pair.get(letter, np.full(len(a), np.nan)), letters[letter]) for letter in "dmy"
        )
    return letters["d"], letters["m"], letters["y"]


def _parts(text: pd.Series[Any], pattern: re.Pattern[str]) -> pd.DataFrame:
    """The parts of the cells that are what the pattern describes, as numbers where they are numbers."""
    codes, cells = pd.factorize(text)
    different = _single_blanks(cells)
    found = different.str.extract(re.compile(pattern.pattern + "$")).where(different.str.fullmatch(pattern))
    for name in set(_PARTS) & set(found.columns):
        found[name] = pd.to_numeric(found[name].str.replace(",", ".", regex=False), errors="coerce")
    return found.iloc[codes].reset_index(drop=True)


def _matches(text: pd.Series[Any], pattern: re.Pattern[str]) -> Bools:
    codes, cells = pd.factorize(text)
    whole: Bools = _single_blanks(cells).str.fullmatch(pattern).to_numpy(dtype=bool)
    return whole[codes]


def _single_blanks(cells: Any) -> pd.Series[Any]:
    """Cells in which a thousand blanks cannot be shared out among the blanks that a pattern allows."""
    return pd.Series(cells, dtype=object).str.replace(r"\s{2,}", " ", regex=True)


def _first(*columns: Floats) -> Floats:
    made = columns[0]
    for column in columns[1:]:
        made = np.where(np.isnan(made), column, made)
    return made


def _month(word: Any) -> float:
    text = bare(word) if isinstance(word, str) else ""
    return float(_MONTHS.get(text[:4], _MONTHS.get(text[:3], np.nan)))


def _day_hours(parts: pd.DataFrame) -> Floats:
    """Hours of times of day; NaN where there is no such time."""
    hour, minute, second = (np.nan_to_num(parts[name].to_numpy(dtype=float)) for name in ("hour", "minute", "second"))
    half, short = parts["half"].str.lower(), parts["half12"].str.lower()
    late, early = half.eq("p").to_numpy() | short.eq("p").to_numpy(), half.eq("a").to_numpy() | short.eq("a").to_numpy()
    on_the_hour = parts["hour12"].to_numpy(dtype=float)
    hour = np.where(np.isnan(on_the_hour), hour, on_the_hour)
    twelve = late | early
    valid = (minute < 60) & (second < 60) & (~twelve | ((hour >= 1) & (hour <= 12)))
    hour = np.where(twelve, hour % 12 + 12 * late, hour)
    return np.where(valid, hour + minute / 60 + second / 3600, np.nan)


def _past_midnight(cells: Cells, time: str, found: Floats, subject: Ints) -> None:
    order = np.argsort(subject, kind="stable")
    back = np.zeros(len(found), dtype=bool)
    back[order[1:]] = (np.diff(found[order]) < 0) & (np.diff(subject[order]) == 0)
    column = cells.frame[time]
    cells.blame(
        back & ~cells.bad, time,
        lambda p: f"the clock time goes back to {shown(column.iloc[p])}, and no column says the day",
        'add a date column, roles={"date": …}',
    )  # fmt: skip


def epoch_hours(days: pd.Series[Any]) -> NDArray[np.float64]:
    """Hours since 1970 of a column of dates, in UTC where it has a zone."""
    naive = days.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(days.dt, "tz", None) is not None else days
    seconds = (naive - pd.Timestamp("1970-01-01")).dt.total_seconds()
    return np.asarray(seconds.to_numpy(dtype=float, na_value=np.nan) / 3600, dtype=float)
