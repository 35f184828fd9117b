"""Predictions of linear compartments where that is simple: the modes of a subject from dose to dose.

Where the parameters of a subject do not change, the prediction is a sum over modes (see `modes`),

    f(t) = Σ_m R_m s_m(t - τ; λ_m, k),    τ the lag, k = ka,

R_m what a unit of mode m is in concentration, share and bioavailability included. So a mode is carried with its
derivatives by λ_m and k alone, from change to change of what enters, and a record is a look from the last change. A
lag moves all of it in time: derivatives by it are those by time, which the differential equation gives. By the chain
rule f and its derivatives by u are, at every record, the same linear combinations of

    s, s_λ, s_λλ,   with absorption  s_k, s_λk, s_kk,   with a lag  s_τ, s_λτ, s_ττ  (and s_kτ),

whose coefficients, a row of a table each, follow from R_m, λ_m, k, τ and their derivatives, once for a subject.
How these follow from the natural parameters is a *tape*: a list of operations on jets, for each structure its own.

What is not that simple is left to `compartments`: steady states of infusions, parameters that change within a subject,
doses into peripheral compartments, durations that are parameters or depend on them, eigenvalues that nearly coincide.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from workbench.engine.predictions import jets
from workbench.engine.predictions.machine import beyond, combine, every, inner, pointer, some, view
from workbench.engine.predictions.modes import CENTRAL, DECAY, DEPOT, NEARLY_EQUAL, PLACES, READ, system
from workbench.engine.predictions.schedule import DOSE, RESET, RESET_AND_DOSE, Schedule
from workbench.engine.predictions.shape import LAG, LAG_ZERO, SHARE_FIRST, shape_of
from workbench.engine.predictions.timeline import Route
from workbench.engine.predictions.translation import LANES
from workbench.model.kinetics import Kinetics

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_TERMS = 14
# (1 - exp(-x))/x and its first and second derivative by -x, as series in -x
_SERIES = np.array([
    [1.0 / math.factorial(n + 1), (n + 1) / math.factorial(n + 2), (n + 1) * (n + 2) / math.factorial(n + 3)]
    for n in range(_TERMS)
])  # fmt: skip

_LN2 = math.log(2.0)
_LARGEST = 1e300
# What a change is: an amount, infusions more or less, or an amount given at an interval since ever
_BOLUS, _BEGIN, _END, _STEADY = 0, 1, -1, 2


@inner
def exchange(a, b, exp_a, exp_b):
    """φ(a, b) = (exp(-b) - exp(-a))/(a - b), a limit where a = b, with its derivatives by a, b, aa, ab, bb.

    The exponentials of -a and -b are given. φ is symmetric. Where a and b are close, exp(-slow) ψ(fast - slow) with
    ψ(x) = (1 - exp(-x))/x by its series.
    """
    x = abs(a - b)
    slow, fast = (exp_b, exp_a) if a >= b else (exp_a, exp_b)
    near = x < 0.3
    g = by_fast = by_slow = ff = fs = ss = 0.0
    if some(near):
        square = x * x
        even = even_1 = even_2 = odd = odd_1 = odd_2 = 0.0
        for n in range(_TERMS - 2, -1, -2):  # even and odd powers apart: two short chains instead of a long one
            even = even * square + _SERIES[n, 0]
            even_1 = even_1 * square + _SERIES[n, 1]
            even_2 = even_2 * square + _SERIES[n, 2]
            odd = odd * square + _SERIES[n + 1, 0]
            odd_1 = odd_1 * square + _SERIES[n + 1, 1]
            odd_2 = odd_2 * square + _SERIES[n + 1, 2]
        g, by_fast, ff = slow * (even - x * odd), -slow * (even_1 - x * odd_1), slow * (even_2 - x * odd_2)
        by_slow = -g - by_fast
        fs = -by_fast - ff
        ss = -by_slow - fs
    if not every(near):
        inverse = 1.0 / x
        far = (slow - fast) * inverse
        far_fast = (fast - far) * inverse
        far_slow = (far - slow) * inverse
        apart = (
            far, far_fast, far_slow, -(fast + 2.0 * far_fast) * inverse, (far_fast - far_slow) * inverse,
            (slow + 2.0 * far_slow) * inverse,
        )  # fmt: skip
        g, by_fast, by_slow, ff, fs, ss = (g, by_fast, by_slow, ff, fs, ss) if near else apart
    return (g, by_fast, by_slow, ff, fs, ss) if a >= b else (g, by_slow, by_fast, ss, fs, ff)


@inner
def _exchange(a, b, exp_a, exp_b):
    """φ(a, b) alone, to the same bits as `exchange` has it."""
    x = abs(a - b)
    slow, fast = (exp_b, exp_a) if a >= b else (exp_a, exp_b)
    near, g = x < 0.3, 0.0
    if some(near):
        even = odd = 0.0
        for n in range(_TERMS - 2, -1, -2):
            even = even * (x * x) + _SERIES[n, 0]
            odd = odd * (x * x) + _SERIES[n + 1, 0]
        g = slow * (even - x * odd)
    if not every(near):
        g = g if near else (slow - fast) * (1.0 / x)
    return g


# -- what is known before any parameter is -------------------------------------------------------------------------


class Course(NamedTuple):
    """What enters the subjects and when they are looked at, by *parts*: a route between two resets.

    Attributes
    ----------
    covered : int64[N]
        Subjects whose course is simple enough to be here.
    row : int64[N]
        Design row of each subject.
    parts : int64[N + 1]
        Parts of subject i are parts[i]:parts[i + 1].
    part : int64[parts, 6]
        Route, first and one past the last change, first and one past the last look, and whether it is the first part
        of these looks.
    time, length, size : float64[changes]
        Time of the dose record, how much later (without the lag) the change is, and its amount or rate. Of _STEADY it
        is the last of the doses before that of the record: an interval earlier.
    what, event : int64[changes]
        _BOLUS, _BEGIN, _END or _STEADY; the event.
    look : float64[looks]
        Their times.
    record, slot : int64[looks]
        Their events and slots.
    """

    covered: Index
    row: Index
    parts: Index
    part: Index
    time: Array
    length: Array
    size: Array
    what: Index
    event: Index
    look: Array
    record: Index
    slot: Index


def course_of(schedule: Schedule, row: Index, origin: Index, ways: list[list[Route]]) -> Course:
    """Lay out a schedule by parts.

    Parameters
    ----------
    schedule : Schedule
    row, origin : int64[events]
        See `DesignRows`.
    ways : list of list of Route
        Of the compartments CMT = 1, 2, ...; CMT = 0 is the first of them.
    """
    N, owner, kind = schedule.n_subjects, schedule.subject, schedule.kind
    routes = routes_in(ways)
    dose = np.flatnonzero((kind == DOSE) | (kind == RESET_AND_DOSE))
    compartment, rate, duration = schedule.compartment[dose], schedule.rate[dose], schedule.duration[dose]
    amount, begins = schedule.amount[dose], schedule.time[dose]
    infused = (rate > 0.0) | (duration > 0.0)
    with np.errstate(all="ignore"):
        length = np.where(rate > 0.0, amount / rate, duration)
        flow = np.where(rate > 0.0, rate, amount / duration)
    steady, interval = schedule.steady_state[dose] == 1, schedule.interval[dose]
    simple = (schedule.steady_state[dose] == 0) | (steady & ~infused & (interval > 0.0) & (amount != 0.0))
    simple &= (compartment <= len(ways)) & (rate >= 0.0)
    simple &= (length >= 0.0) & (length < np.inf)

    new = (kind == RESET) | (kind == RESET_AND_DOSE)
    new[dose[steady]] = True  # takes the place of all that was
    filled = schedule.start[:-1][np.diff(schedule.start) > 0]
    new[filled] = True
    stretch = np.cumsum(new) - 1
    found: list[tuple[Index, Array, Array, Index]] = []  # dose, length, size and what, by route
    for way in routes:
        takes = np.array([way in some for some in (ways[0], *ways, ())])
        mine = takes[np.maximum(np.minimum(compartment, len(ways) + 1), -1)]
        simple &= ~mine | (way.state in (CENTRAL, DEPOT))
        if way.duration >= 0:
            simple &= ~mine | infused
        if way.bioavailability >= 0:
            simple &= ~mine | (rate == 0.0)
        once, during = np.flatnonzero(mine & ~infused), np.flatnonzero(mine & infused)
        ever = np.flatnonzero(mine & steady & ~infused)
        which = np.concatenate([ever, once, during, during])
        what = np.repeat([_STEADY, _BOLUS, _BEGIN, _END], [len(ever), len(once), len(during), len(during)])
        size = np.concatenate([amount[ever], amount[once], flow[during], -flow[during]])
        later = np.concatenate([-interval[ever], np.zeros(len(once) + len(during)), length[during]])
        found.append((which, later, size, what))
    covered = np.ones(N, dtype=bool)
    covered[owner[dose[~simple]]] = False
    first = np.minimum(schedule.start[:-1], max(len(row) - 1, 0))
    uniform = (row == row[first][owner]) & (origin == row[first][owner])
    covered[owner[~uniform]] = False

    which, later, size, what = (np.concatenate(columns) for columns in zip(*found, strict=True))
    number = np.repeat(np.arange(len(routes)), [len(of[0]) for of in found])
    event = dose[which]
    key = stretch[event] * len(routes) + number
    order = np.lexsort((event, begins[which] + later, key))
    seen = np.flatnonzero(schedule.slot >= 0)
    changes = np.bincount(key, minlength=int(new.sum()) * len(routes)).reshape(-1, len(routes))
    looks = np.bincount(stretch[seen], minlength=len(changes))
    some = changes > 0
    some[:, 0] |= (looks > 0) & ~some.any(axis=1)  # a part without changes, so that such looks are predicted, too
    of_part, route = np.nonzero(some)
    changes, last, last_look = changes[some], np.cumsum(changes[some]), np.cumsum(looks)[of_part]
    part = np.empty((len(route), 6), dtype=np.int64)
    part[:, 0], part[:, 1], part[:, 2] = route, last - changes, last
    part[:, 3], part[:, 4], part[:, 5] = last_look - looks[of_part], last_look, np.diff(of_part, prepend=-1) > 0
    everyone = np.arange(N + 1)
    return Course(
        covered=covered.astype(np.int64), row=row[first] if len(row) else first,
        parts=np.searchsorted(owner[new][of_part], everyone), part=part,
        time=begins[which][order], length=later[order], size=size[order], what=what[order], event=event[order],
        look=schedule.time[seen], record=seen, slot=schedule.slot[seen],
    )  # fmt: skip


def routes_in(ways: list[list[Route]]) -> list[Route]:
    """All routes, in the order of `Course.part`."""
    return list(dict.fromkeys(route for way in ways for route in way))


# -- from natural parameters to modes ------------------------------------------------------------------------------

SUM, DIFFERENCE, PRODUCT, QUOTIENT, INVERSE, HALVING, REST, FAR, NEAR = range(9)


class Places(NamedTuple):
    """Where the jets of a subject stand in its array: natural parameters first, then what the tape makes of them.

    Attributes
    ----------
    tape : int64[operations, 4]
        Operation, places of its two arguments, place of its result.
    common, begin : int64
        Where the tape begins that is for all routes, and where that of the first route does.
    decay : int64[modes]
        λ_m.
    route : int64[routes, 5 + modes]
        State, place of the lag (-1: none), first and one past the last operation, how many rows a mode has, and R_m.
    ka : int64
        Any, if there is none.
    apart : bool
        Whether the modes are only good if the λ_m are well apart.
    """

    tape: Index
    common: int
    begin: int
    decay: Index
    route: Index
    ka: int
    apart: bool


@inner
def _play(tape, first, past, S, D, order):
    """Perform operations first:past of a tape on jets: places of S, each as long as jets are."""
    size = 1 + D + D * (D + 1) // 2
    for step in range(first, past):
        operation, x = tape[4 * step], beyond(S, tape[4 * step + 1] * size)
        y, out = beyond(S, tape[4 * step + 2] * size), beyond(S, tape[4 * step + 3] * size)
        a, b = x[0], y[0]
        g, ga, gb, gaa, gab, gbb = a + b, 1.0, 1.0, 0.0, 0.0, 0.0
        if operation == DIFFERENCE:
            g, gb = a - b, -1.0
        elif operation == PRODUCT:
            g, ga, gb, gab = a * b, b, a, 1.0
        elif operation == QUOTIENT:
            ga = 1.0 / b
            g = a * ga
            gb, gab = -g * ga, -ga * ga
            gbb = -2.0 * gb * ga
        elif operation == INVERSE:
            g, gb = 1.0 / a, 0.0
            ga = -g * g
            gaa = -2.0 * ga * g
        elif operation == HALVING:  # log 2 / a
            g, gb = _LN2 / a, 0.0
            ga = -g / a
            gaa = -2.0 * ga / a
        elif operation == REST:
            g, ga, gb = 1.0 - a, -1.0, 0.0
        elif operation >= FAR:  # (√(a² + 4b) ± a)/2, either without a difference
            sign = 1.0 if operation == FAR else -1.0
            root = math.sqrt(a * a + 4.0 * b)
            larger = 0.5 * (root + abs(a))
            g = larger if sign * a >= 0.0 else b / larger
            gb = 1.0 / root
            ga = sign * g * gb
            gaa, gab, gbb = 2.0 * b * gb * gb * gb, -a * gb * gb * gb, -2.0 * gb * gb * gb
        out[0] = g
        if order > 1:
            k = 1 + D
            for d in range(1, 1 + D):
                by_a, by_b = gaa * x[d] + gab * y[d], gab * x[d] + gbb * y[d]
                for e in range(1, 1 + d):
                    out[k] = ga * x[k] + gb * y[k] + by_a * x[e] + by_b * y[e]
                    k += 1
        if order > 0:
            for d in range(1, 1 + D):
                out[d] = ga * x[d] + gb * y[d]


class _Tape:
    """Writes a tape: each method appends an operation and returns the place of its result."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.place = {name: place for place, name in enumerate(names)}
        self.operations: list[tuple[int, int, int, int]] = []
        self.next = len(names)

    def do(self, operation: int, a: str | int, b: str | int | None = None) -> int:
        x, y = (self.place[name] if isinstance(name, str) else name for name in (a, a if b is None else b))
        self.operations.append((operation, x, y, self.next))
        self.next += 1
        return self.next - 1

    def modes(self, kinetics: Kinetics) -> tuple[list[int], list[int]]:
        """λ_m and R_m."""
        n, names = kinetics.size - 1, kinetics.parameters
        stated = names[sum(name in names for name in ("Fr", "ka", "Tk0")) :]
        if kinetics.written_in == "macro" or (kinetics.written_in == "half-life" and n):
            read, rates = stated[0 : 2 * n + 2 : 2], stated[1 : 2 * n + 2 : 2]
            decay = [self.place[rate] for rate in rates]
            if kinetics.written_in == "half-life":
                decay = [self.do(HALVING, rate) for rate in rates]
            return decay, [self.place[name] for name in read]
        if kinetics.written_in == "half-life":
            return [self.do(HALVING, stated[1])], [self.do(INVERSE, stated[0])]
        first, volume, *others = stated
        r = self.do(INVERSE, volume)
        k = self.place[first] if kinetics.written_in == "rate" else self.do(QUOTIENT, first, volume)
        if n == 0:
            return [k], [r]
        out, back = self.place[others[0]], self.place[others[1]]
        if kinetics.written_in == "clearance":
            out, back = self.do(QUOTIENT, out, volume), self.do(QUOTIENT, out, back)
        # λ_2 - d and d - λ_1, d = back, whose product is out · d and whose difference is k + out - d
        difference, product = self.do(DIFFERENCE, self.do(SUM, k, out), back), self.do(PRODUCT, out, back)
        far, near = self.do(FAR, difference, product), self.do(NEAR, difference, product)
        fast = self.do(SUM, back, far)
        slow = self.do(QUOTIENT, self.do(PRODUCT, k, back), fast)
        share = self.do(QUOTIENT, r, self.do(SUM, far, near))
        return [slow, fast], [self.do(PRODUCT, near, share), self.do(PRODUCT, far, share)]


def places_of(kinetics: Kinetics, routes: list[Route]) -> tuple[Places, int]:
    """The places of a structure, and how many there are."""
    names = kinetics.parameters
    tape = _Tape(names)
    micro = not (kinetics.size > 1 and kinetics.written_in in ("macro", "half-life"))
    if kinetics.size > 2 and micro:
        system, tape.next = tape.next, tape.next + PLACES
        decay, read = [system + DECAY + m for m in range(3)], [system + READ + m for m in range(3)]
    else:
        decay, read = tape.modes(kinetics)
    begin, table = len(tape.operations), []
    lags = {-1: -1} | {
        column: names.index(name) for column, name in ((LAG, "lag"), (LAG_ZERO, "lag0")) if name in names
    }
    for route in routes:
        first, parts = len(tape.operations), []
        if route.share >= 0:
            parts.append(tape.place["Fr"] if route.share == SHARE_FIRST else tape.do(REST, "Fr"))
        if route.bioavailability >= 0:
            parts.append(tape.place["F"])
        counts = read
        for part in parts:
            counts = [tape.do(PRODUCT, count, part) for count in counts]
        absorbs, lagged = route.state == DEPOT, route.lag >= 0
        rows = 3 + 3 * absorbs + (3 + absorbs) * lagged
        table.append([route.state, lags.get(route.lag, -1), first, len(tape.operations), rows, *counts])
    places = Places(
        tape=np.array(tape.operations, dtype=np.int64).reshape(-1, 4), common=0, begin=begin, decay=np.array(decay),
        route=np.array(table), ka=names.index("ka") if "ka" in names else 0, apart=kinetics.size == 2 and micro,
    )  # fmt: skip
    return places, tape.next


class Third(NamedTuple):
    """What `modes.system` needs to know where there are three compartments.

    Attributes
    ----------
    disposition, parameters : int
        See `Shape`.
    place : int
        Where the jets of the system stand.
    """

    disposition: int
    parameters: int
    place: int


def third_of(kinetics: Kinetics) -> Third | None:
    """For three compartments stated by clearances or rate constants; None for others."""
    if kinetics.size < 3 or kinetics.written_in not in ("clearance", "rate"):
        return None
    shape = shape_of(kinetics, False)
    return Third(shape.disposition, shape.parameters, len(kinetics.parameters))


# -- once for a subject and route ----------------------------------------------------------------------------------


class Work(NamedTuple):
    """What the kernel works on.

    Attributes
    ----------
    S : float64[places, size(D)]
        Jets of natural parameters and of what follows from them.
    table : float64[rows, width]
        By mode and derivative of it, what it counts in f and its derivatives, packed as jets are. The width is a
        multiple of `LANES`.
    found : float64[rows]
        The modes and their derivatives at a time.
    state : float64[rows]
        The same after the last change.
    total : float64[width]
    decay : float64[3]
        λ_m.
    """

    S: Array
    table: Array
    found: Array
    state: Array
    total: Array
    decay: Array


def work_of(places: int, D: int, number: DTypeLike = np.float64) -> Work:
    """Room to work in."""
    size = 1 + D + D * (D + 1) // 2
    rows, width = 3 * 10, LANES * -(-size // LANES)
    shapes = (places, size), (rows, width), rows, rows, width, 3
    return Work(*[np.zeros(shape, number) for shape in shapes])


class Subjects(NamedTuple):
    """What the kernel takes; names as in `DesignRows`.

    Attributes
    ----------
    third : Third or None
        None: that is not even compiled.
    """

    course: Course
    places: Places
    third: Third | None
    C: Array
    offset: Array
    transform: Index
    lower: Array
    upper: Array
    work: Work


@inner
def _linear(w, X, out, D, order):
    """The row of a first derivative by X: the jet w X without the terms in which X itself occurs."""
    out[0] = 0.0
    for d in range(1, 1 + D):
        out[d] = w[0] * X[d]
    if order > 1:
        k = 1 + D
        for d in range(1, 1 + D):
            for e in range(1, 1 + d):
                out[k] = w[0] * X[k] + w[d] * X[e] + w[e] * X[d]
                k += 1


@inner
def _square(w, X, Y, out, D, order):
    """The row of a second derivative by X and Y, w a number."""
    for k in range(1 + D):
        out[k] = 0.0
    if order > 1:
        k = 1 + D
        for d in range(1, 1 + D):
            for e in range(1, 1 + d):
                # what overflows meets a mode that is 0: their product is 0, not NaN
                out[k] = min(max(w * (X[d] * Y[e] + X[e] * Y[d]), -_LARGEST), _LARGEST)
                k += 1


@inner
def _rows(w, L, A, lag, absorbs, lags, out, width, D, order):
    """Fill the rows of a mode: w what a unit of it counts, L, A and lag the jets of λ, ka and the lag."""
    for k in range(1 + D + D * (D + 1) // 2):
        out[k] = w[k]
    if order == 0:
        return
    row = 0
    for which in range(3):
        if (which == 1 and not absorbs) or (which == 2 and not lags):
            continue
        X = L if which == 0 else A if which == 1 else lag
        row += 1
        _linear(w, X, beyond(out, row * width), D, order)
        if which > 0:
            row += 1
            _square(w[0], L, X, beyond(out, row * width), D, order)
        row += 1
        _square(0.5 * w[0], X, X, beyond(out, row * width), D, order)
    if absorbs and lags:
        _square(w[0], A, lag, beyond(out, (row + 1) * width), D, order)


# -- from change to change -----------------------------------------------------------------------------------------


@inner
def _after(dt, decay, ka, absorbs, exp_y, flow, flow_k, flow_kk, absorbed, fed, x, out, order):
    """out = mode x, with its derivatives by λ and ka if there is any order, after a time dt.

    Parameters
    ----------
    exp_y : float
        exp(-ka dt)
    flow, flow_k, flow_kk : float
        ka times what is in the depot, at first, with its derivatives by ka; `absorbed` is the rate into the depot.
    fed : float
        Rate into the central compartment in the long run.
    """
    exp_x = math.exp(-decay * dt)
    if order == 0:
        out[0] = x[0] * exp_x
        if absorbs:
            out[0] += (flow - absorbed) * _exchange(ka * dt, decay * dt, exp_y, exp_x) * dt
        if some(fed != 0.0):
            out[0] += fed * _exchange(0.0, decay * dt, 1.0, exp_x) * dt
        return
    square = dt * dt
    cube = square * dt
    s = x[0] * exp_x
    s_l = (x[1] - dt * x[0]) * exp_x
    s_ll = (x[2] - 2.0 * dt * x[1] + square * x[0]) * exp_x
    if absorbs:
        g, gy, gx, gyy, gyx, gxx = exchange(ka * dt, decay * dt, exp_y, exp_x)
        q = flow - absorbed
        s += q * g * dt
        s_l += q * gx * square
        s_ll += q * gxx * cube
        out[3] = x[3] * exp_x + flow_k * g * dt + q * gy * square
        out[4] = (x[4] - dt * x[3]) * exp_x + flow_k * gx * square + q * gyx * cube
        out[5] = x[5] * exp_x + flow_kk * g * dt + 2.0 * flow_k * gy * square + q * gyy * cube
    if some(fed != 0.0):
        g, gy, gx, gyy, gyx, gxx = exchange(0.0, decay * dt, 1.0, exp_x)
        s += fed * g * dt
        s_l += fed * gx * square
        s_ll += fed * gxx * cube
    out[0], out[1], out[2] = s, s_l, s_ll


@inner
def _steady(size, interval, ka, absorbs, decay, x):
    """x = a mode, with its derivatives, just after a dose that was given at an interval since ever; the flow as well.

    With q = 1/(1 - exp(-interval λ)):  s = size q, or with absorption  s = flow interval φ q,  flow = ka size q(ka).
    """
    exp_x, square = math.exp(-decay * interval), interval * interval
    q = -1.0 / math.expm1(-decay * interval)
    q_l = -exp_x * q * q * interval
    q_ll = exp_x * q * q * (1.0 + 2.0 * exp_x * q) * square
    x[0], x[1], x[2] = size * q, size * q_l, size * q_ll
    if not absorbs:
        return 0.0, 0.0, 0.0
    exp_y = math.exp(-ka * interval)
    p = -1.0 / math.expm1(-ka * interval)
    p_k = -exp_y * p * p * interval
    p_kk = exp_y * p * p * (1.0 + 2.0 * exp_y * p) * square
    b, b_k, b_kk = size * ka * p, size * (p + ka * p_k), size * (2.0 * p_k + ka * p_kk)
    g, gy, gx, gyy, gyx, gxx = exchange(ka * interval, decay * interval, exp_y, exp_x)
    g, gy, gx = g * interval, gy * square, gx * square
    gyy, gyx, gxx = gyy * square * interval, gyx * square * interval, gxx * square * interval
    x[0] = b * g * q
    x[1] = b * (gx * q + g * q_l)
    x[2] = b * (gxx * q + 2.0 * gx * q_l + g * q_ll)
    x[3] = (b_k * g + b * gy) * q
    x[4] = b_k * (gx * q + g * q_l) + b * (gyx * q + gy * q_l)
    x[5] = (b_kk * g + 2.0 * b_k * gy + b * gyy) * q
    return b, b_k, b_kk


@inner
def _sweep(
    c, past, r, end, adds, time, length, size, what, event, look, record, slot, ka, decay, modes, rows, absorbs, lags,
    lag, valid, T, width, z, X, total, D, order, first, f, fu, fuu,
):  # fmt: skip
    """Predict what changes c:past give at looks r:end, or add it there; False if that is not possible here."""
    late = 6 if absorbs else 3
    entries = 1 if order == 0 else (1 + D if order == 1 else 1 + D + D * (D + 1) // 2)
    flow = flow_k = flow_kk = into = absorbed = now = 0.0  # `into`: rate into the central compartment
    running, loaded = 0, False
    if c < past and what[c] == _STEADY and some(lag > -length[c]):  # some of the doses before have not entered yet
        return False
    for k in range(modes * rows):
        X[k] = 0.0
    for k in range(entries):
        total[k] = 0.0
    while r < end:
        t, enters = look[r], False
        if c < past and event[c] <= record[r]:
            due = time[c] + (lag + length[c] if valid else 0.0)
            enters = every(due <= t)
            if enters:
                t = due
            elif some(due <= t):  # not abreast then
                return False
        dt = t - now if t > now else 0.0
        if loaded and not (enters and every(dt == 0.0)):
            b = b_k = b_kk = 0.0
            exp_y = 1.0
            if absorbs:
                exp_y = math.exp(-ka * dt)
                b = absorbed + (flow - absorbed) * exp_y
                b_k = (flow_k - dt * (flow - absorbed)) * exp_y
                b_kk = (flow_kk - 2.0 * dt * flow_k + dt * dt * (flow - absorbed)) * exp_y
            for m in range(modes):
                out = beyond(z, m * rows)
                rate = decay[m]
                _after(
                    dt, rate, ka, absorbs, exp_y, flow, flow_k, flow_kk, absorbed, into + absorbed,
                    beyond(X, m * rows), out, order,
                )  # fmt: skip
                if lags and order > 0:
                    out[late] = rate * out[0] - b - into
                    out[late + 1] = out[0] + rate * out[1]
                    out[late + 2] = rate * out[late] + ka * (absorbed - b)
                    if absorbs:
                        out[late + 3] = rate * out[3] - b_k
            if enters:
                flow, flow_k, flow_kk = b, b_k, b_kk
                for k in range(modes * rows):
                    X[k] = z[k]
            else:
                combine(z, modes * rows, T, width, entries, total)
        if not enters:
            if loaded or not adds:
                _store(total, slot[r] - first, adds, f, fu, fuu, D, order)
            r += 1
            continue
        value = size[c] if valid else np.nan
        if what[c] == _STEADY:
            for m in range(modes):
                flow, flow_k, flow_kk = _steady(value, -length[c], ka, absorbs, decay[m], beyond(X, m * rows))
        elif what[c] != _BOLUS:
            running += what[c]
            if absorbs:
                absorbed = absorbed + value if running > 0 else 0.0
            else:
                into = into + value if running > 0 else 0.0
        elif absorbs:
            flow += ka * value
            flow_k += value
        else:
            for m in range(modes):
                X[m * rows] += value
        now, loaded = t, True
        c += 1
    return True


@inner
def _store(jet, j, adds, f, fu, fuu, D, order):
    """Put a jet into place j of f, fu and fuu, or add it there."""
    f[j] = jet[0] + (f[j] if adds else 0.0)
    if order > 0:
        for d in range(D):
            fu[j * D + d] = jet[1 + d] + (fu[j * D + d] if adds else 0.0)
    if order > 1:
        k = 1 + D
        for d in range(D):
            for e in range(d + 1):
                lower = (j * D + d) * D + e
                value = jet[k] + (fuu[lower] if adds else 0.0)
                fuu[lower] = value
                fuu[(j * D + e) * D + d] = value
                k += 1


@inner
def _third(third, S, D, order):
    """Put eigenvalues and weights of three compartments among the jets; False where modes do not serve."""
    if third is None:
        return True
    return system(S, third.disposition, third.parameters, 2, None, False, S[third.place :], D, order)


def predict_subject(arguments, i, u, order, first, f, fu, fuu):
    """See `Single`; 1 where a subject is left to `compartments`."""
    a = arguments[0]
    course, places, work = a.course, a.places, a.work
    if not pointer(course.covered)[i]:
        return 1
    D, width, modes = a.C.shape[2], work.table.shape[1], places.decay.shape[0]
    size = work.S.shape[1]
    jets.natural(
        pointer(course.row)[i], view(u, (D,)), a.C, a.offset, a.transform, a.lower, a.upper, order, work.S
    )  # fmt: skip
    if not _third(a.third, work.S, D, order):
        return 1
    S, tape, route, decay = pointer(work.S), pointer(places.tape), pointer(places.route), pointer(work.decay)
    _play(tape, places.common, places.begin, S, D, order)
    for m in range(modes):
        decay[m] = work.S[places.decay[m], 0]
    if places.apart and not every(decay[1] - decay[0] > NEARLY_EQUAL * decay[1]):
        known = 0.0
        for k in range(a.transform.shape[0]):
            known += 0.0 * S[k * size]
        if some(known == 0.0):  # else there is nothing to be predicted from, whatever the way
            return 1
    T, part = pointer(work.table), pointer(course.part)
    ka, current, columns = beyond(S, places.ka * size), -1, places.route.shape[1]
    for p in range(pointer(course.parts)[i], pointer(course.parts)[i + 1]):
        of, to = beyond(part, 6 * p), beyond(route, part[6 * p] * columns)
        absorbs, lags = to[0] == DEPOT, to[1] >= 0
        rows = to[4] if order > 0 else 1  # of a mode without derivatives the first counts, whatever follows
        lag = beyond(S, to[1] * size if lags else 0)
        late = lag[0] if lags else 0.0
        adds, valid = of[5] == 0, 0.0 <= late < np.inf
        if of[0] != current:
            current = of[0]
            _play(tape, to[2], to[3], S, D, order)
            for m in range(modes):
                _rows(
                    beyond(S, to[5 + m] * size), beyond(S, places.decay[m] * size), ka, lag, absorbs, lags,
                    beyond(T, m * rows * width), width, D, order,
                )  # fmt: skip
        if not _sweep(
            of[1], of[2], of[3], of[4], adds, pointer(course.time), pointer(course.length), pointer(course.size),
            pointer(course.what), pointer(course.event), pointer(course.look), pointer(course.record),
            pointer(course.slot), ka[0], decay, modes, rows, absorbs, lags, late, valid, T, width,
            pointer(work.found), pointer(work.state), pointer(work.total), D, order, first, f, fu, fuu,
        ):  # fmt: skip
            return 1
    return 0
