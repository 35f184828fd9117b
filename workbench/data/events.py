"""The records of a data set as plain arrays: what the engine reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE = range(5)  # NONMEM's EVID


@dataclass(frozen=True, eq=False)
class Events:
    """Records in order: subject by subject (first seen first), within a subject by time, then as in the file.

    All arrays but `start` have one element per record; a dose that the file gives only as a column
    (one dose per subject, beside the observations) has a record of its own here. Where the file stands in the order
    of time, as NONMEM demands, its order is kept as it is; time starts anew at a reset, and at a new occasion
    whose first time lies before the last one (a reset is put there).

    Attributes
    ----------
    subjects : tuple
        Labels of the subjects.
    start : int64[subjects + 1]
        Records of subject i are start[i]:start[i + 1].
    row : int64
        Position in `GroupedData.frame` of the row that the record comes from.
    time : float64
    kind : int64
        NONMEM's EVID: 0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose.
    observed : bool
        True where `dv` is a value that enters the likelihood.
    dv : float64
        NaN where not observed.
    amount, rate, duration, interval : float64
        Dose records; 0 where not stated. `interval` is II.
    additional : int64
        ADDL, the number of further doses at `interval`.
    steady_state : int64
        SS: 0, 1, or 2.
    compartment : int64
        CMT; 0 stands for the structure's default.
    response : int64
        DVID as an index into `GroupedData.responses` (0 where there is one response only).
    occasion : int64
        Index of the occasion within the data set, 0 where none is stated.
    censored : int64
        0: `dv` is the value. 1: the value lies below `dv` (left). -1: it lies above `dv` (right).
    limit : float64
        Censored records: the other end of the interval in which the value lies; NaN where it is open.
    """

    subjects: tuple[Any, ...]
    start: NDArray[np.int64]
    row: NDArray[np.int64]
    time: NDArray[np.float64]
    kind: NDArray[np.int64]
    observed: NDArray[np.bool_]
    dv: NDArray[np.float64]
    amount: NDArray[np.float64]
    rate: NDArray[np.float64]
    duration: NDArray[np.float64]
    interval: NDArray[np.float64]
    additional: NDArray[np.int64]
    steady_state: NDArray[np.int64]
    compartment: NDArray[np.int64]
    response: NDArray[np.int64]
    occasion: NDArray[np.int64]
    censored: NDArray[np.int64]
    limit: NDArray[np.float64]

    @property
    def subject(self) -> NDArray[np.int64]:
        """Index of the subject, per record."""
        return np.repeat(np.arange(len(self.subjects)), np.diff(self.start))

    @property
    def is_dose(self) -> NDArray[np.bool_]:
        """True for doses, those after a reset included."""
        return np.asarray((self.kind == DOSE) | (self.kind == RESET_AND_DOSE))

    @property
    def last_dose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Time since the last dose of each record, additional doses (ADDL) included, and its amount.

        NaN before the first dose and after a reset. A record at the time of a dose counts as before it where it stands
        before it; of doses at the same time the last one counts.
        """
        n = len(self.time)
        place = np.arange(n)
        given = self.is_dose & (self.amount > 0)
        begin = np.repeat(self.start[:-1], np.diff(self.start))
        begin = np.maximum(
            begin, np.maximum.accumulate(np.where(np.isin(self.kind, (RESET, RESET_AND_DOSE)), place, 0))
        )
        latest = np.maximum.accumulate(np.where(given, place, -1))
        known = latest >= begin
        since = np.where(known, self.time - self.time[latest], np.nan)
        amount = np.where(known, self.amount[latest], np.nan)
        repeated = given & (self.additional > 0) & (self.interval > 0)
        for e in np.flatnonzero(repeated):  # each reaches over the records that follow it, until a reset
            last = int(np.searchsorted(begin, e, side="right"))
            later = slice(e, last)
            doses = np.floor((self.time[later] - self.time[e]) / self.interval[e] + 1e-9)
            ago = self.time[later] - self.time[e] - np.clip(doses, 0, self.additional[e]) * self.interval[e]
            nearer = ago < since[later]
            since[later] = np.where(nearer, ago, since[later])
            amount[later] = np.where(nearer, self.amount[e], amount[later])
        return np.maximum(since, 0.0), amount
