"""What happens to a subject and when: doses as boluses and changes of input rates, in order with the records.

A dose record says little of what it does: it may feed several states, part of it after a lag, over a duration that
is a parameter, and it may stand for a history (steady state). `unfold` writes all of that out for one subject, as a
list of *happenings* sorted by time. Times and sizes are jets (see `jets`) where they depend on the parameters.
Nothing here knows how the states develop between two happenings: linear models and ODEs read the same list.

Which states a dose feeds is said by `Routes`. What its share, bioavailability, lag and duration are is said by the
caller, for each dose, as a table of jets; so they may be parameters or any expression of them.

How to read the list (`Timeline`)
---------------------------------
::

    line = blank(room(course, routes), D)       # in Python, once for all subjects of a thread
    for each subject i:                         # in a kernel
        quantities[entry[e, 0]] = shares, lags, ... wherever entry[e, 0] is not -1 (see `entries_of`)
        n = unfold(i, course, routes, entry, quantities, D, order, line)
        for h in range(n):
            k = line.order[h]
            item = line.pool[k]
            ...

The state is empty and nothing flows before the first happening. Of a happening,

- `item.event` is the event whose design row rules the interval that ends here, and what happens here.
- `item.time` is its time; if `item.time_jet` is not -1 its derivatives are those of `line.jets[item.time_jet]`
  (entry 0 of which is *not* the time). Times never decrease, except at a RESET. `moment` gives the whole jet.
- `item.value` is its size, with `item.value_jet` in the same way; `quantity` gives the whole jet.
- `item.what` is what happens:

  RECORD   The event itself: predict here (if it has a slot).
  BOLUS    `value` enters state `item.state` at once.
  RATE     The input rate of state `item.state` changes by `value`; `item.count` is by how many infusions more (+) or
           less (-) it is fed then. Where none is left the rate is exactly 0: set it so (`switch` does).
  RESET    Every state becomes empty (its initial value), every rate 0.
  STEADY   The state becomes (SS=1) or is increased by (SS=2; see `course.event[item.event].steady_state`) the periodic
           state just before the dose of this event, had that dose been given every `value` since ever. SS=1 sets
           every rate to 0, too. Infusions of the past that still run follow as ordinary RATE happenings at the same
           time, and the dose itself as ordinary BOLUS or RATE.
           The next `item.count` happenings *of the pool*, k + 1, k + 2, ..., describe one cycle; they do not occur in
           `order` and have no event: BOLUS and RATE at times from 0 to `value`, sorted, rates being 0 before the
           first of them. Periodic: running through the cycle from the state sought gives that state again.
           `value` = 0 means a constant infusion instead: the state that the rates of the cycle hold steady.

Which record says how
---------------------
Where parameters change within a subject, a dose takes them from different records, as NONMEM's does (NONMEM help,
*dose event record*, *duration parameter* and *absorption lag parameter*):

- lag and duration from its own dose record, an additional dose (ADDL) from that of the dose it repeats, whatever later
  records say;
- bioavailability, and the share of a route, from the record in effect when it enters, which is its time plus its lag:
  the first record that is not before. So additional doses follow later records, and an infusion that has begun keeps
  what it began with. A steady state, whose doses are of the past, takes those of its own record.

(A modelled *rate*, RATE = -1, would change while it runs; the library has none.)

Ties: what is due at the time of a record happens before it (NONMEM's order for lagged doses), a dose before the
prediction at its own record. A reset takes away all that is pending. Negative lags and durations give a size of NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data.events import DOSE, RESET_AND_DOSE
from workbench.data.events import RESET as EVENT_RESET
from workbench.engine.predictions import jets
from workbench.engine.predictions.machine import inner, kernel
from workbench.engine.predictions.schedule import Schedule
from workbench.errors import FitError

MOST_HAPPENINGS = 5_000_000

RECORD, BOLUS, RATE, RESET, STEADY = np.arange(5)
_NONE, _MORE, _LESS = np.array([-1, 1, -1])

Array = NDArray[np.float64]
Index = NDArray[np.int64]


_EVENT = np.dtype(
    [(name, np.float64) for name in ("time", "amount", "rate", "duration", "interval")]
    + [(name, np.int64) for name in ("kind", "steady_state", "compartment")]
)
_HAPPENING = np.dtype(
    [(name, np.int64) for name in ("what", "event", "state", "count", "time_jet", "value_jet")]
    + [("time", np.float64), ("value", np.float64)]
)


_TIMING = (
    np.dtype(  # of a dose by a route: amount (bolus) or rate (infusion), when it begins and ends, from the dose on
        [(name, np.int64) for name in ("state", "infusion", "value_jet", "lag_jet", "until_jet")]
        + [(name, np.float64) for name in ("value", "lag", "until")]
    )
)


class Course(NamedTuple):
    """What is given: events of subject i are event[start[i]:start[i + 1]], with fields as in `Schedule`."""

    start: Index
    event: NDArray[np.void]


class Route(NamedTuple):
    """One way that a dose into a compartment takes: a state, and columns of the table of quantities (-1: none).

    Attributes
    ----------
    state : int
        The state that it feeds.
    share : int
        Column of the share of the dose that goes this way (1). It scales a stated RATE, too.
    bioavailability : int
        Column of the fraction of it that enters (1). It scales the duration of a dose with a stated RATE.
    lag : int
        Column of the time by which it enters later (0).
    duration : int
        Column of the time over which it enters if the data state no rate or duration (a bolus).
    """

    state: int
    share: int = -1
    bioavailability: int = -1
    lag: int = -1
    duration: int = -1


class Routes(NamedTuple):
    """Routes of all compartments of dosing: those of CMT c are route[first[c]:first[c + 1]], with fields of `Route`."""

    first: Index
    route: NDArray[np.void]


class Timeline(NamedTuple):
    """See the module. `waiting` is what is pending, the latest first; `timing` one dose by route."""

    order: Index
    pool: NDArray[np.void]
    jets: Array
    waiting: Index
    timing: NDArray[np.void]
    counters: Index


_ITEMS, _JETS, _WAITING, _DONE = range(4)  # in Timeline.counters


def course_of(schedule: Schedule) -> Course:
    """What is given according to a schedule."""
    event = np.empty(len(schedule.time), dtype=_EVENT)
    for name in _EVENT.names or ():
        event[name] = getattr(schedule, name)
    return Course(schedule.start, event)


def routes_of(compartments: Sequence[Sequence[Route]]) -> Routes:
    """Routes of the compartments CMT = 1, 2, ...; CMT = 0 is the first of them."""
    table = [compartments[0], *compartments]
    first = np.cumsum([0, *(len(routes) for routes in table)])
    dtype = [(name, np.int64) for name in Route._fields]
    return Routes(first, np.array([tuple(route) for routes in table for route in routes], dtype=dtype))


def entries_of(schedule: Schedule, row: Index, origin: Index, routes: Routes) -> tuple[Index, int]:
    """Rows of the table of quantities: one per design row of a subject that one of its doses may ask.

    Parameters
    ----------
    schedule : Schedule
    row : int64[events]
        Design row of each event.
    origin : int64[events]
        Design row of the dose record of each event, see `DesignRows`.
    routes : Routes

    Returns
    -------
    entry : int64[events, 2]
        `entry` of `unfold`: of the design row at the event, -1 if no dose asks it; and of its dose record, at doses.
    most : int
        How many rows the table needs.
    """
    route = routes.route
    moving = ((route["lag"] >= 0) & ((route["share"] >= 0) | (route["bioavailability"] >= 0))).any()
    dose = np.isin(schedule.kind, (DOSE, RESET_AND_DOSE))
    owner = schedule.subject
    asked = np.isin(owner, owner[dose]) if moving else dose
    entry = np.full((len(row), 2), -1, dtype=np.int64)
    if not dose.any():
        return entry, 1
    width = max(int(row.max()), int(origin.max())) + 1
    pairs = np.unique(np.concatenate([(owner * width + row)[asked], (owner * width + origin)[dose]]))
    first = np.searchsorted(pairs, np.arange(schedule.n_subjects) * width)
    for column, (rows, where) in enumerate(((row, asked), (origin, dose))):
        entry[where, column] = np.searchsorted(pairs, (owner * width + rows)[where]) - first[owner[where]]
    return entry, int(entry.max(initial=0)) + 1


def room(course: Course, routes: Routes) -> int:
    """How many happenings a subject has at most; a FitError if that is more than can be followed."""
    event = course.event
    subject = np.repeat(np.arange(len(course.start) - 1), np.diff(course.start))
    ways = np.diff(routes.first)
    before = np.concatenate([[0], np.cumsum((routes.route["lag"] >= 0) | (routes.route["duration"] >= 0))])
    later = np.diff(before[routes.first])  # routes that may enter after the dose
    known = event["compartment"] < len(ways)
    cmt = np.where(known, event["compartment"], 0)
    n = np.where(known, ways[cmt], 0)
    needed = 2 + np.where(np.isin(event["kind"], (DOSE, RESET_AND_DOSE)), 1 + 2 * n, 0)
    if (event["steady_state"] > 0).any():  # and what doses of the past still give until the last record
        latest = np.full(len(course.start) - 1, -np.inf)
        np.maximum.at(latest, subject, event["time"])
        interval = np.where(event["interval"] > 0.0, event["interval"], np.inf)
        cycles = 1 + np.floor((latest[subject] - event["time"]) / interval)
        lasting = np.where((event["rate"] > 0.0) | (event["duration"] > 0.0), n, later[cmt])
        needed = needed + np.where(event["steady_state"] > 0, 1 + 4 * n + 2 * cycles * lasting, 0)
    most = float(np.bincount(subject, needed).max(initial=0)) + 1
    if most > MOST_HAPPENINGS:
        raise FitError(
            f"The doses of one subject come to {most:,.0f} events until its last record; at most {MOST_HAPPENINGS:,} "
            "can be followed. Is the interval between doses (II) in the unit of the times? Doses as dense as that are "
            "an infusion at a constant rate."
        )
    return int(most)


def blank(capacity: int, D: int) -> Timeline:
    """Make an empty timeline with room for `capacity` happenings; one per thread."""
    return Timeline(
        np.empty(capacity, np.int64),
        np.empty(capacity, _HAPPENING),
        np.empty((4 * capacity + 4, 1 + D + D * (D + 1) // 2)),  # costs nothing where nothing needs it
        np.empty(capacity, np.int64),
        np.empty(capacity, _TIMING),
        np.zeros(4, np.int64),
    )


@inner
def _whole(line, value, j, out, D, order):
    """out = the jet with a value and the derivatives of jet j of the pool (-1: none)."""
    jets.clear(out)
    if j >= 0:
        jets.axpy(1.0, line.jets[j], out, D, order)
    out[0] = value


@kernel
def moment(line, k, out, D, order):
    """out = time of happening k, a jet."""
    _whole(line, line.pool[k].time, line.pool[k].time_jet, out, D, order)


@kernel
def quantity(line, k, out, D, order):
    """out = size of happening k, a jet."""
    _whole(line, line.pool[k].value, line.pool[k].value_jet, out, D, order)


@kernel
def switch(line, k, rates, running, D, order):
    """Let happening k, a RATE, act on rates float64[states, size] and running int64[states] (how many infusions)."""
    item = line.pool[k]
    running[item.state] += item.count
    if running[item.state] == 0:
        jets.clear(rates[item.state])
        return
    value = rates[item.state, 0] + item.value
    if item.value_jet >= 0:
        jets.axpy(1.0, line.jets[item.value_jet], rates[item.state], D, order)
    rates[item.state, 0] = value


@kernel
def uses(line, state):
    """Whether anything enters a state, in the timeline just unfolded."""
    found = False
    for k in range(line.counters[_ITEMS]):
        found = found or line.pool[k].state == state
    return found


@inner
def _ways(course, e, routes):
    """First and one past the last route of the dose of event e; none for a compartment that there is not."""
    c = course.event[e].compartment
    if c + 1 >= routes.first.shape[0]:
        return 0, 0
    return routes.first[c], routes.first[c + 1]


@inner
def _latest(course, i):
    """Time of the latest event of subject i."""
    latest = -np.inf
    for e in range(course.start[i], course.start[i + 1]):
        latest = max(latest, course.event[e].time)
    return latest


@inner
def _add(line, what, time, value):
    """Put a happening into the pool; it concerns no state and depends on nothing unless that is set."""
    k = line.counters[_ITEMS]
    line.counters[_ITEMS] = k + 1
    item = line.pool[k]
    item.what, item.time, item.value = what, time, value
    item.event, item.state, item.count, item.time_jet, item.value_jet = -1, -1, 0, -1, -1
    return k


@inner
def _input(line, what, state, count, time, time_jet, value, value_jet):
    """Put a BOLUS (any count) or a RATE into the pool."""
    k = _add(line, what, time, value)
    item = line.pool[k]
    item.state, item.time_jet, item.value_jet = state, time_jet, value_jet
    if what == RATE:
        item.count = count
    return k


@inner
def _emit(line, k, e):
    """Happening k is the next, ruled by event e."""
    line.pool[k].event = e
    line.order[line.counters[_DONE]] = k
    line.counters[_DONE] += 1


@inner
def _await(line, k):
    """Keep happening k until its time has come; after those at the same time."""
    w = line.counters[_WAITING]
    line.counters[_WAITING] = w + 1
    while w > 0 and line.pool[line.waiting[w - 1]].time <= line.pool[k].time:
        line.waiting[w] = line.waiting[w - 1]
        w -= 1
    line.waiting[w] = k


@inner
def _release(line, time, e):
    """Emit all that is due."""
    while line.counters[_WAITING] > 0:
        k = line.waiting[line.counters[_WAITING] - 1]
        if line.pool[k].time > time:
            break
        line.counters[_WAITING] -= 1
        _emit(line, k, e)


@inner
def _new_jet(line):
    """Place of a new jet, which is 0."""
    j = line.counters[_JETS]
    line.counters[_JETS] = j + 1
    jets.clear(line.jets[j])
    return j


@inner
def _column(line, table, column):
    """Value and place of the jet table[column]; none for column -1."""
    if column < 0:
        return 0.0, _NONE
    j = _new_jet(line)
    jets.copy(table[column], line.jets[j])
    return line.jets[j, 0], j


@inner
def _scaled(line, value, x, factor, D, order):
    """factor · x, where x is a value and the place of its jet (-1: none)."""
    if x < 0:
        return factor * value, _NONE
    j = _new_jet(line)
    jets.axpy(factor, line.jets[x], line.jets[j], D, order)
    return line.jets[j, 0], j


@inner
def _product(line, value, x, y, D, order):
    """x · y, where x is a value and the place of its jet (-1: none) and y the place of a jet (-1: it is 1)."""
    if y < 0:
        return value, x
    if x < 0:
        return _scaled(line, line.jets[y, 0], y, value, D, order)
    j = _new_jet(line)
    jets.multiply(line.jets[x], line.jets[y], line.jets[j], D, order)
    return line.jets[j, 0], j


@inner
def _in_effect(course, e, end, time):
    """The event whose design row is in effect at a time: the first that is not before, short of a reset."""
    for k in range(e, end):
        if k > e and course.event[k].kind in (EVENT_RESET, RESET_AND_DOSE):
            return k - 1
        if course.event[k].time >= time:
            return k
    return end - 1


@inner
def _timing(line, e, end, course, way, entry, quantities, out, D, order):
    """How the dose of event e enters by a route: fills a record of `Timeline.timing`."""
    event = course.event[e]
    amount, rate, length, length_jet = event.amount, event.rate, event.duration, _NONE
    table, then = quantities[entry[e, 1]], e
    lag, lag_jet = _column(line, table, way.lag)
    if lag > 0.0 and event.steady_state == 0 and (way.share >= 0 or way.bioavailability >= 0):
        then = _in_effect(course, e, end, event.time + lag)
    _, share = _column(line, quantities[entry[then, 0]], way.share)
    _, F = _column(line, quantities[entry[then, 0]], way.bioavailability)
    value, value_jet = _product(line, rate if rate > 0.0 else amount, _NONE, share, D, order)
    infusion = True
    if rate > 0.0:
        length, length_jet = _product(line, amount / rate, _NONE, F, D, order)
    else:
        value, value_jet = _product(line, value, value_jet, F, D, order)
        if length > 0.0:
            value, value_jet = _scaled(line, value, value_jet, 1.0 / length, D, order)
        elif way.duration >= 0 and rate != -1.0:
            length, length_jet = _column(line, table, way.duration)
            if length == 0.0:  # all of it at once
                infusion, length_jet = False, _NONE
            else:
                inverse = _new_jet(line)
                jets.reciprocal(line.jets[length_jet], line.jets[inverse], D, order)
                value, value_jet = _product(line, value, value_jet, inverse, D, order)
        else:
            infusion = False
            if rate < 0.0:  # a rate or a duration that should be a parameter, and is none
                value = np.nan
    if not (0.0 <= lag < np.inf and 0.0 <= length < np.inf):
        value, lag, length = np.nan, 0.0, 0.0
    out.until_jet = lag_jet if length_jet < 0 else length_jet
    if lag_jet >= 0 and length_jet >= 0:
        out.until_jet = _new_jet(line)
        jets.add(line.jets[lag_jet], line.jets[length_jet], line.jets[out.until_jet], D, order)
    out.state, out.infusion, out.value, out.value_jet = way.state, infusion, value, value_jet
    out.lag, out.lag_jet, out.until = lag, lag_jet, lag + length


@inner
def _end(line, dose, time, D, order):
    """Put the end of an infusion into the pool."""
    minus, minus_jet = _scaled(line, dose.value, dose.value_jet, -1.0, D, order)
    return _input(line, RATE, dose.state, _LESS, time, dose.until_jet, minus, minus_jet)


@inner
def _running(line, dose, interval, time, D, order):
    """Put the infusions into the pool that are under way when the next one is given; False for none."""
    count = math.floor(dose.until / interval) - math.floor(dose.lag / interval)
    if count > 0:
        value, value_jet = _scaled(line, dose.value, dose.value_jet, float(count), D, order)
        _input(line, RATE, dose.state, count, time, _NONE, value, value_jet)
    return count > 0


@inner
def _sort_pool(line, first, past):
    """Sort the happenings first:past of the pool by time; the place `past` is used."""
    for k in range(first + 1, past):
        line.pool[past] = line.pool[k]
        j = k
        while j > first and line.pool[j - 1].time > line.pool[past].time:
            line.pool[j] = line.pool[j - 1]
            j -= 1
        line.pool[j] = line.pool[past]


@inner
def _cycle(line, e, course, n, D, order):
    """Emit the steady state of the dose of event e, which has n routes, with its cycle."""
    interval = course.event[e].interval
    steady = _add(line, STEADY, course.event[e].time, interval)
    _emit(line, steady, e)
    for r in range(n):
        dose = line.timing[r]
        if not interval > 0.0:
            size = dose.value if course.event[e].amount == 0.0 else np.nan
            _input(line, RATE, dose.state, _MORE, 0.0, _NONE, size, dose.value_jet)
            continue
        entered = max(0.0, dose.lag - math.floor(dose.lag / interval) * interval)
        what = RATE if dose.infusion else BOLUS
        if dose.infusion:
            _running(line, dose, interval, 0.0, D, order)
            ended = max(0.0, dose.until - math.floor(dose.until / interval) * interval)
            _end(line, dose, ended, D, order)
        _input(line, what, dose.state, _MORE, entered, dose.lag_jet, dose.value, dose.value_jet)
    line.pool[steady].count = line.counters[_ITEMS] - steady - 1
    _sort_pool(line, steady + 1, line.counters[_ITEMS])


@inner
def _past(line, e, course, n, latest, D, order):
    """Await what earlier doses like that of event e have still to give: those under way, those lagged."""
    interval, now = course.event[e].interval, course.event[e].time
    for r in range(n):
        dose = line.timing[r]
        what = RATE if dose.infusion else BOLUS
        for back in range(math.floor(dose.lag / interval), 0, -1):
            entered = now + max(0.0, dose.lag - back * interval)
            if entered > latest:
                break
            _await(line, _input(line, what, dose.state, _MORE, entered, dose.lag_jet, dose.value, dose.value_jet))
        if dose.infusion:
            if _running(line, dose, interval, now, D, order):
                _await(line, line.counters[_ITEMS] - 1)
            for back in range(math.floor(dose.until / interval), 0, -1):
                ended = now + max(0.0, dose.until - back * interval)
                if ended > latest:
                    break
                _await(line, _end(line, dose, ended, D, order))


@inner
def _dose(line, e, end, course, routes, entry, quantities, latest, D, order):
    """Await what the dose of event e does; the events of its subject end at end."""
    now = course.event[e].time
    first, past = _ways(course, e, routes)
    if first == past:
        nowhere = _add(line, BOLUS, now, np.nan)
        line.pool[nowhere].state = 0
        _await(line, nowhere)
    for r in range(first, past):
        _timing(line, e, end, course, routes.route[r], entry, quantities, line.timing[r - first], D, order)
    if course.event[e].steady_state > 0:
        if course.event[e].steady_state == 1:
            line.counters[_WAITING] = 0
        _cycle(line, e, course, past - first, D, order)
        if course.event[e].interval > 0.0:
            _past(line, e, course, past - first, latest, D, order)
        if course.event[e].amount == 0.0:
            return
    for r in range(past - first):
        dose = line.timing[r]
        what = RATE if dose.infusion else BOLUS
        _await(line, _input(line, what, dose.state, _MORE, now + dose.lag, dose.lag_jet, dose.value, dose.value_jet))
        if dose.infusion:
            _await(line, _end(line, dose, now + dose.until, D, order))


@kernel
def unfold(i, course, routes, entry, quantities, D, order, line):
    """Write out what happens to a subject.

    Parameters
    ----------
    i : int
        Which subject.
    course : Course
    routes : Routes
    entry : int64[events, 2]
        The rows of `quantities` that hold for each event of the schedule and for its dose record, see `entries_of`.
    quantities : float64[entries, columns, size(D)]
        Shares, bioavailabilities, lags and durations as jets, in the columns that `routes` names. May have no columns.
    D, order : int
        Coordinates, and which derivatives are wanted.
    line : Timeline
        Filled; has room for room(course, routes) happenings.

    Returns
    -------
    int
        How many happenings there are: line.order[:n].
    """
    line.counters[:] = 0
    latest = _latest(course, i)
    end = course.start[i + 1]
    for e in range(course.start[i], end):
        kind = course.event[e].kind
        if kind in (EVENT_RESET, RESET_AND_DOSE):
            line.counters[_WAITING] = 0
            _emit(line, _add(line, RESET, course.event[e].time, 0.0), e)
        else:
            _release(line, course.event[e].time, e)
        if kind in (DOSE, RESET_AND_DOSE):
            _dose(line, e, end, course, routes, entry, quantities, latest, D, order)
            _release(line, course.event[e].time, e)
        _emit(line, _add(line, RECORD, course.event[e].time, 0.0), e)
    return line.counters[_DONE]
