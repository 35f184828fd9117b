"""What happens to the subjects, and when: the events of a data set as the predictions take them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.data.events import DOSE, OTHER, RESET, RESET_AND_DOSE, Events
from workbench.errors import FitError

MOST_ADDITIONAL = 2_000_000

Array = NDArray[np.float64]
Index = NDArray[np.int64]

__all__ = ["DOSE", "OTHER", "RESET", "RESET_AND_DOSE", "Schedule"]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Events of all subjects in order, additional doses (ADDL) written out.

    Attributes
    ----------
    start : int64[N + 1]
        Events of subject i are start[i]:start[i + 1].
    time, amount, rate, duration, interval : float64[events]
        As in `Events`; `interval` is II and stated where `steady_state` is.
    kind : int64[events]
        NONMEM's EVID.
    steady_state, compartment : int64[events]
        SS (0, 1, 2) and CMT (0 is the structure's default).
    response : int64[events]
        Which response is predicted there.
    record : int64[events]
        The record of the data whose design row holds at the event; of an additional dose the next one of the subject.
    origin : int64[events]
        The record that says how a dose enters: its own, and of an additional dose that of the dose it repeats. Lag and
        duration are taken there, bioavailability where the dose enters (see `timeline`, "Which record says how").
    slot : int64[events]
        The place of the event's prediction, -1 for none.
    """

    start: Index
    time: Array
    kind: Index
    amount: Array
    rate: Array
    duration: Array
    interval: Array
    steady_state: Index
    compartment: Index
    response: Index
    record: Index
    origin: Index
    slot: Index

    @property
    def n_subjects(self) -> int:
        """N."""
        return len(self.start) - 1

    @property
    def n_slots(self) -> int:
        """Predictions asked for."""
        return int(self.slot.max(initial=-1)) + 1

    @property
    def subject(self) -> Index:
        """Index of the subject, per event."""
        return np.repeat(np.arange(self.n_subjects), np.diff(self.start))

    def taken(self, at: Index, subject: Index, n_subjects: int) -> Schedule:
        """The events at some positions, which belong to the subjects given; `slot` as it was."""
        arrays = {name: getattr(self, name)[at] for name in self.__dataclass_fields__ if name != "start"}
        return replace(self, start=np.searchsorted(subject, np.arange(n_subjects + 1)), **arrays)


def schedule_of(events: Events, predicted: NDArray[np.bool_], response: Index) -> Schedule:
    """Lay out records as a schedule.

    Parameters
    ----------
    events : Events
    predicted : bool[records]
        Where a prediction is wanted.
    response : int64[records]
        Of which response.
    """
    n = len(events.time)
    slot = np.full(n, -1, dtype=np.int64)
    slot[predicted] = np.arange(predicted.sum())
    plain = Schedule(
        start=events.start,
        time=events.time,
        kind=events.kind,
        amount=events.amount,
        rate=events.rate,
        duration=events.duration,
        interval=events.interval,
        steady_state=events.steady_state,
        compartment=events.compartment,
        response=response,
        record=np.arange(n),
        origin=np.arange(n),
        slot=slot,
    )
    repeats = _before_the_end(plain, events.additional, events.is_dose)
    return _written_out(plain, events.additional, repeats) if repeats.any() else plain


def _before_the_end(schedule: Schedule, additional: Index, is_dose: NDArray[np.bool_]) -> Index:
    """How many additional doses of each event are to be written out: those up to the last record, and one more.

    Raises
    ------
    FitError
        If they are too many.
    """
    if not (additional * is_dose).any():
        return np.zeros_like(additional)
    last = np.full(schedule.n_subjects, -np.inf)
    np.maximum.at(last, schedule.subject, schedule.time)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        seen = np.floor((last[schedule.subject] - schedule.time) / schedule.interval) + 1.0
    repeats = np.where(is_dose, np.fmin(additional.astype(float), seen), 0.0)
    if repeats.sum() > MOST_ADDITIONAL:
        e = int(np.argmax(repeats))
        raise FitError(
            f"The additional doses (ADDL) are {repeats.sum():,.0f} until the last records; at most {MOST_ADDITIONAL:,} "
            f"can be followed. The most come from a dose at time {schedule.time[e]:g}, II = {schedule.interval[e]:g}. "
            "Is the interval in the unit of the times? A long history is a steady state (SS = 1); doses as dense as "
            "that are an infusion."
        )
    return repeats.astype(np.int64)


def _written_out(schedule: Schedule, additional: Index, repeats: Index) -> Schedule:
    """Every additional dose as an event of its own, before the records at its time; a reset cancels those after it."""
    n, subject = len(schedule.time), schedule.subject
    source = np.repeat(np.arange(n), repeats)
    which = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats) + 1
    time = schedule.time[source] + which * schedule.interval[source]
    owner = subject[source]

    resets = np.flatnonzero(np.isin(schedule.kind, (RESET, RESET_AND_DOSE)))
    following = np.searchsorted(resets, source, side="right")
    until = np.full(len(source), n)
    known = following < len(resets)
    until[known] = resets[following[known]]
    until = np.minimum(until, schedule.start[owner + 1])  # position of the event that ends the series
    cancelled = (until < schedule.start[owner + 1]) & (time >= schedule.time[np.minimum(until, n - 1)])
    source, time, owner, until = source[~cancelled], time[~cancelled], owner[~cancelled], until[~cancelled]

    # the place of each: before the first later record of its stretch (time may start anew at a reset)
    place = np.array(
        [s + 1 + np.searchsorted(schedule.time[s + 1 : e], t) for s, e, t in zip(source, until, time, strict=True)],
        dtype=np.int64,
    )
    record = np.minimum(place, schedule.start[owner + 1] - 1)
    every = np.concatenate([np.arange(n), source])
    order = np.lexsort((np.concatenate([np.full(n, np.inf), time]), np.concatenate([np.arange(n), place])))
    all_out = schedule.taken(every[order], np.concatenate([subject, owner])[order], schedule.n_subjects)
    added = order >= n
    extra = order[added] - n
    new_time, new_record = all_out.time.copy(), all_out.record.copy()
    kind, slot, steady = all_out.kind.copy(), all_out.slot.copy(), all_out.steady_state.copy()
    new_time[added], new_record[added] = time[extra], record[extra]
    kind[added], slot[added], steady[added] = DOSE, -1, 0
    return replace(all_out, time=new_time, record=new_record, kind=kind, slot=slot, steady_state=steady)
