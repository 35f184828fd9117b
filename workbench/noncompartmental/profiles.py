"""Grouped data as concentration-time curves after doses: which samples belong to which dose, and what counts as 0."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.data.events import RESET, RESET_AND_DOSE, Events
from workbench.markup.numbers import counted

Array = NDArray[np.float64]

ROUTES = ("extravascular", "bolus", "infusion")
BLQ_RULES = ("standard", "zero", "missing", "half")
MOST_DOSES = 100_000  # of a subject, additional ones included


class Given(NamedTuple):
    """One dose, additional ones on their own."""

    time: float
    amount: float
    duration: float  # of an infusion; 0: at once; NaN: not stated
    place: float  # among the records, for what happens at the same time
    steady_interval: float  # of doses since ever, NaN where there was none before


@dataclass(frozen=True, eq=False)
class Profile:
    """The samples after one dose, until the next one.

    Attributes
    ----------
    subject, response, occasion : label
    number : int
        Of the dose within the subject, from 1; 0 where there is no dose.
    row : int
        Record of the dose (or the first sample), by which covariates are read.
    route : str
        One of `ROUTES`.
    amount : float
        NaN where there is no dose.
    duration : float
        Of an infusion.
    start : float
        Time of the dose as in the data.
    time, conc : float64[n]
        Time after the dose; what is below the limit of quantification by the rule that was asked for.
    until : float
        Time after the dose at which the next one was given; infinite after the last.
    interval : float
        Between doses at steady state, or `until` where that is finite; NaN after a single dose.
    steady : bool
    first : bool
        Nothing was given before.
    remarks : tuple of str
        What was left out.
    """

    subject: Any
    response: Any
    occasion: Any
    number: int
    row: int
    route: str
    amount: float
    duration: float
    start: float
    time: Array
    conc: Array
    until: float
    interval: float
    steady: bool
    first: bool
    remarks: tuple[str, ...] = ()


def profiles_of(data: GroupedData, route: str | None, blq: str, steady: bool | None) -> list[Profile]:
    """All curves of a data set, subject by subject, response by response, dose by dose.

    Doses after which nothing was measured have none; samples before the first dose stand in for the concentration at
    the dose only.
    """
    events, found = data.events, []
    for i in range(len(events.subjects)):
        for begin, end in _segments(events, i):
            doses = _doses(events, begin, end)
            for k in range(len(data.responses)):
                at = np.arange(begin, end)
                at = at[events.observed[at] & (events.response[at] == k)]
                if len(at):
                    found += _curves(data, i, k, at, doses, route, blq, steady)
    return found


def _segments(events: Events, i: int) -> list[tuple[int, int]]:
    """Records of a subject between resets: what was washed out has nothing to do with what follows."""
    begin, end = int(events.start[i]), int(events.start[i + 1])
    cuts = [begin, *(int(e) for e in range(begin + 1, end) if events.kind[e] in (RESET, RESET_AND_DOSE)), end]
    return [(a, b) for a, b in pairwise(cuts) if b > a]


def _doses(events: Events, begin: int, end: int) -> list[Given]:
    """Doses in order of time, additional ones until the last record; those given together are one."""
    found: list[Given] = []
    last = float(events.time[begin:end].max(initial=-math.inf))
    for e in range(begin, end):
        if not events.is_dose[e] or not events.amount[e] > 0:
            continue
        rate, duration = float(events.rate[e]), float(events.duration[e])
        length = (
            duration if duration > 0 else (events.amount[e] / rate if rate > 0 else (math.nan if rate < 0 else 0.0))
        )
        interval = float(events.interval[e])
        since = interval if events.steady_state[e] > 0 and interval > 0 else math.nan
        further = int(events.additional[e]) if interval > 0 else 0
        further = min(further, math.ceil(max(0.0, last - events.time[e]) / interval) if further else 0, MOST_DOSES)
        for a in range(further + 1):
            when = float(events.time[e]) + a * interval if a else float(events.time[e])
            place = float(e) if a == 0 else float(np.searchsorted(events.time[begin:end], when, "right") + begin) - 0.5
            found.append(Given(when, float(events.amount[e]), length, place, since))
    found.sort(key=lambda dose: (dose.time, dose.place))
    together: list[Given] = []
    for dose in found:
        if together and together[-1].time == dose.time:
            before = together[-1]
            together[-1] = before._replace(
                amount=before.amount + dose.amount, duration=max(before.duration, dose.duration)
            )
        else:
            together.append(dose)
    return together


def _curves(
    data: GroupedData,
    i: int,
    k: int,
    at: NDArray[np.int64],
    doses: list[Given],
    route: str | None,
    blq: str,
    steady: bool | None,
) -> list[Profile]:
    events = data.events
    time, conc, low, remarks = _measured(events, at)
    occasion = data.occasions[int(events.occasion[at[0]])] if data.occasions else None
    blank = Profile(
        events.subjects[i], data.responses[k], occasion, 0, int(at[0]), route or "extravascular", math.nan, 0.0,
        0.0, time, conc, math.inf, math.nan, False, True, remarks,
    )  # fmt: skip
    if not doses:
        kept, values = ruled(time, conc, low, blq)
        said = "no dose in the data: time 0 counts as its time; no clearance, no volume"
        return [replace(blank, time=kept, conc=values, remarks=(*remarks, said))]
    found = []
    for number, dose in enumerate(doses, 1):
        later = doses[number] if number < len(doses) else None
        until = later.time if later else math.inf
        own = (time >= dose.time) & (time <= until)
        before = at < dose.place  # at the time of the dose, but taken before it
        # a sample taken before a dose at the same time ends the interval before; it is also where the next one begins
        after_next = (time == until) & (at > later.place) if later else np.zeros(len(time), dtype=bool)
        own &= ~after_next
        taken = _route(dose, route)
        if taken == "bolus":
            own &= ~((time == dose.time) & (before | (conc <= 0) | low))
        measured = own & (time > dose.time)
        if not measured.any() and not (own.any() and number == len(doses)):
            continue
        kept, values = ruled(time[own] - dose.time, conc[own], low[own], blq)
        since = dose.steady_interval
        is_steady = bool(steady) if steady is not None else math.isfinite(since)
        interval = since if math.isfinite(since) else (until - dose.time)
        if not math.isfinite(interval) and is_steady and number > 1:
            interval = dose.time - doses[number - 2].time
        row = int(np.clip(math.floor(dose.place), int(events.start[i]), int(events.start[i + 1]) - 1))
        found.append(
            replace(
                blank, number=number, row=row, route=taken, amount=dose.amount, duration=dose.duration, start=dose.time,
                time=kept, conc=values, until=until - dose.time, first=number == 1 and not math.isfinite(since),
                interval=interval if math.isfinite(interval) else math.nan, steady=is_steady,
            )
        )  # fmt: skip
    return found


def _route(dose: Given, stated: str | None) -> str:
    if stated is not None:
        return stated
    return "infusion" if dose.duration > 0 or math.isnan(dose.duration) else "extravascular"


def _measured(events: Events, at: NDArray[np.int64]) -> tuple[Array, Array, NDArray[np.bool_], tuple[str, ...]]:
    """Times, concentrations (the limit where below it), whether below it, and what to say of them."""
    conc, low = events.dv[at].copy(), events.censored[at] == 1
    above = events.censored[at] == -1
    remarks = []
    if above.any():
        remarks.append(f"{counted(int(above.sum()), 'concentration')} above a limit: the limit is taken")
    negative = (conc < 0) & ~low
    if negative.any():
        remarks.append(f"{counted(int(negative.sum()), 'concentration')} below 0: taken as not measurable")
    conc[negative] = 0.0
    return events.time[at].copy(), conc, low | (conc <= 0), tuple(remarks)


def ruled(time: Array, conc: Array, low: NDArray[np.bool_], rule: str) -> tuple[Array, Array]:
    """A curve by a rule for concentrations that are below the limit of quantification, or 0.

    Parameters
    ----------
    time, conc : float64[n]
        `conc` is the limit where `low`.
    low : bool[n]
    rule : str
        "standard": 0 before the first measurable concentration, left out between two of them, 0 after the last
        (PKNCA's rule; WinNonlin's at the ends). "zero": 0 everywhere. "missing": left out everywhere. "half": half the
        limit before the first and between, 0 where no limit is stated; 0 after the last.
    """
    value = np.where(low, 0.0, conc)
    seen = np.flatnonzero(~low)
    if rule == "zero" or not len(seen):
        return time, value
    place = np.arange(len(time))
    if rule == "missing":
        keep = ~low
    elif rule == "half":
        value = np.where(low & (place < seen[-1]), 0.5 * np.maximum(conc, 0.0), value)
        keep = np.ones(len(time), dtype=bool)
    else:
        keep = ~low | (place < seen[0]) | (place > seen[-1])
    return time[keep], value[keep]
