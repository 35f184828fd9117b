"""Predictions of linear compartment models in general, with exact first and second derivatives.

Serves what `closed` leaves: steady states, parameters that change within a subject, durations that are parameters.

The state goes from happening to happening (see `timeline`), so the cost grows with the number of records, not with
records times doses. It is carried as modes (see `modes`): with the flow b = ka · depot into the central compartment,
input at rate r (r_a of it into the depot), and x = λ dt, y = ka dt,

    s_m <- s_m e^-x + (b - r_a) dt φ(y, x) + r_m dt φ(0, x),     b <- r_a + (b - r_a) e^-y,
    φ(y, x) = (e^-x - e^-y)/(y - x), a smooth function: absorption as fast as elimination is nothing special.

A new design row means new modes: the amounts are what stays. A subject on one of whose rows two eigenvalues nearly
coincide is left to a second attempt, which carries amounts all the way by the exponential of the matrix (see
`uniformisation`). It is the same code: kernels get matrices M to work with, or None and then carry modes; branches that
are not taken are not translated, and the second is compiled only when it is needed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions import jets
from workbench.engine.predictions.closed import exchange
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.machine import Image, inner, view
from workbench.engine.predictions.modes import (
    CENTRAL,
    DECAY,
    DEPOT,
    INTO,
    KA,
    PER_VOLUME,
    PLACES,
    READ,
    STATES,
    constants,
    system,
    to_amounts,
    to_modes,
)
from workbench.engine.predictions.predictor import Single, single_of
from workbench.engine.predictions.schedule import DOSE, RESET_AND_DOSE, Schedule
from workbench.engine.predictions.shape import (
    BIOAVAILABILITY,
    DURATION,
    LAG,
    LAG_ZERO,
    SHARE_FIRST,
    SHARE_ZERO,
    Shape,
    shape_of,
    ways_of,
)
from workbench.engine.predictions.timeline import (
    BOLUS,
    RECORD,
    RESET,
    STEADY,
    Course,
    Routes,
    Timeline,
    blank,
    course_of,
    entries_of,
    quantity,
    room,
    routes_of,
    switch,
    unfold,
    uses,
)  # fmt: skip
from workbench.engine.predictions.timeline import RATE as RATE_CHANGE
from workbench.engine.predictions.uniformisation import advance_amounts, balance_amounts, repeat_amounts
from workbench.model.kinetics import Kinetics

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_NONE = np.int64(-1)


@inner
def _advance_modes(x, S, n, absorbs, rates, running, dt, fixed, W, D, order):
    """Let time dt pass for the modes."""
    flow, y, t, v = x[DEPOT], W[0], W[1], W[2]
    decay, exp_y = 0.0, 1.0
    fed = running[CENTRAL] + running[1] + running[2] + running[DEPOT] > 0
    if absorbs:
        if running[DEPOT] > 0:
            jets.axpy(-1.0, rates[DEPOT], flow, D, order)
        jets.times(S[KA], dt, fixed, y, D, order)
        exp_y = math.exp(-y[0])
        jets.times(flow, dt, fixed, W[3], D, order)
    for m in range(n + 1):
        jets.times(S[DECAY + m], dt, fixed, t, D, order)
        decay = math.exp(-t[0])
        jets.compose(t, decay, -decay, decay, v, D, order)
        jets.multiply(x[m], v, x[m], D, order)
        if absorbs:
            g, ga, gb, gaa, gab, gbb = exchange(y[0], t[0], exp_y, decay)
            jets.compose2(y, t, g, ga, gb, gaa, gab, gbb, v, D, order)
            jets.add_product(W[3], v, x[m], D, order)
        if fed:
            g, _, first, _, _, second = exchange(0.0, t[0], 1.0, decay)
            jets.compose(t, g, first, second, v, D, order)
            _input(rates, running, S, n, m, t, D, order)
            jets.times(v, dt, fixed, v, D, order)
            jets.add_product(t, v, x[m], D, order)
    if absorbs:
        jets.compose(y, exp_y, -exp_y, exp_y, v, D, order)
        jets.multiply(flow, v, flow, D, order)
        if running[DEPOT] > 0:
            jets.axpy(1.0, rates[DEPOT], flow, D, order)


@inner
def _input(rates, running, S, n, m, out, D, order):
    """out = the rate at which mode m is fed in the long run."""
    jets.copy(rates[CENTRAL], out)
    if running[DEPOT] > 0:
        jets.axpy(1.0, rates[DEPOT], out, D, order)
    for j in range(n):
        if running[1 + j] > 0:
            jets.add_product(rates[1 + j], S[INTO + 3 * j + m], out, D, order)


@inner
def _enter(x, S, n, state, amount, M, D, order):
    """A bolus enters a state."""
    if M is None:
        if state == DEPOT:
            jets.add_product(S[KA], amount, x[DEPOT], D, order)
            return
        for m in range(n + 1):
            if state == CENTRAL:
                jets.axpy(1.0, amount, x[m], D, order)
            else:
                jets.add_product(S[INTO + 3 * (state - 1) + m], amount, x[m], D, order)
    else:
        jets.axpy(1.0, amount, x[state], D, order)


@inner
def _repeat_modes(x, S, n, absorbs, interval, W, D, order):
    """From what one cycle leaves to what cycles without end leave:  s = s e^-x + b dt φ + s_one, and the like for b."""
    y, t, v = W[0], W[1], W[2]
    exp_y = 1.0
    if absorbs:
        jets.scale(interval, S[KA], y, D, order)
        exp_y = math.exp(-y[0])
        lost = -math.expm1(-y[0])
        g = 1.0 / lost
        jets.compose(y, g, -exp_y * g * g, exp_y * g * g * (1.0 + 2.0 * exp_y * g), v, D, order)
        jets.multiply(x[DEPOT], v, x[DEPOT], D, order)
        jets.scale(interval, x[DEPOT], W[3], D, order)
    for m in range(n + 1):
        jets.scale(interval, S[DECAY + m], t, D, order)
        decay = math.exp(-t[0])
        if absorbs:
            g, ga, gb, gaa, gab, gbb = exchange(y[0], t[0], exp_y, decay)
            jets.compose2(y, t, g, ga, gb, gaa, gab, gbb, v, D, order)
            jets.add_product(W[3], v, x[m], D, order)
        g = -1.0 / math.expm1(-t[0])
        jets.compose(t, g, -decay * g * g, decay * g * g * (1.0 + 2.0 * decay * g), v, D, order)
        jets.multiply(x[m], v, x[m], D, order)


@inner
def _advance(x, S, n, absorbs, rates, running, dt, fixed, W, M, D, order):
    """Let time dt pass; `fixed`: it depends on nothing."""
    if M is None:
        _advance_modes(x, S, n, absorbs, rates, running, dt, fixed, W, D, order)
    else:
        advance_amounts(x, S, n, absorbs, rates, running, dt, fixed, W, M, D, order)


@inner
def _empty(x, rates, running):
    """Nothing anywhere, and nothing flows."""
    for i in range(STATES):
        jets.clear(x[i])
        jets.clear(rates[i])
        running[i] = 0


@inner
def _steady(x, line, k, S, n, absorbs, cycle_rates, cycle_running, dt, W, M, D, order):
    """x = the steady state of happening k."""
    _empty(x, cycle_rates, cycle_running)
    now, now_jet = 0.0, _NONE
    interval = line.pool[k].value
    for c in range(k + 1, k + 1 + line.pool[k].count):
        item = line.pool[c]
        if interval > 0.0 and _between(line, now, now_jet, item.time, item.time_jet, dt, D, order):
            fixed = now_jet < 0 and item.time_jet < 0
            _advance(x, S, n, absorbs, cycle_rates, cycle_running, dt, fixed, W, M, D, order)
        now, now_jet = item.time, item.time_jet
        if item.what == BOLUS:
            quantity(line, c, W[4], D, order)
            _enter(x, S, n, item.state, W[4], M, D, order)
        else:
            switch(line, c, cycle_rates, cycle_running, D, order)
    if not interval > 0.0:
        if M is None:
            _balance_modes(x, S, n, absorbs, cycle_rates, cycle_running, W, D, order)
        else:
            balance_amounts(x, S, n, absorbs, cycle_rates, W, D, order)
        return
    if _between(line, now, now_jet, interval, _NONE, dt, D, order):
        _advance(x, S, n, absorbs, cycle_rates, cycle_running, dt, now_jet < 0, W, M, D, order)
    if M is None:
        _repeat_modes(x, S, n, absorbs, interval, W, D, order)
    else:
        repeat_amounts(x, S, n, absorbs, cycle_rates, cycle_running, interval, dt, W, M, D, order)


@inner
def _balance_modes(x, S, n, absorbs, rates, running, W, D, order):
    """x = the state that constant rates hold."""
    t = W[0]
    for m in range(n + 1):
        _input(rates, running, S, n, m, x[m], D, order)
        jets.reciprocal(S[DECAY + m], t, D, order)
        jets.multiply(x[m], t, x[m], D, order)
    if absorbs:
        jets.copy(rates[DEPOT], x[DEPOT])


@inner
def _between(line, now, now_jet, then, then_jet, dt, D, order):
    """dt = the time between two moments, given as in a timeline; False if none passes."""
    if now_jet < 0 and then_jet < 0:
        dt[0] = then - now
        return dt[0] > 0.0
    jets.clear(dt)
    if then_jet >= 0:
        jets.axpy(1.0, line.jets[then_jet], dt, D, order)
    if now_jet >= 0:
        jets.axpy(-1.0, line.jets[now_jet], dt, D, order)
    dt[0] = max(0.0, then - now)
    return True


class Workspace(NamedTuple):
    """What the kernel works on; one per thread."""

    line: Timeline
    quantities: Array  # [entries, columns, size]
    p: Array  # [P, size], natural parameters
    S: Array  # [PLACES, size], see `modes`
    x: Array  # [states, size]
    steady: Array
    rates: Array
    cycle_rates: Array
    running: Index  # [states]
    cycle_running: Index
    W: Array  # [5, size]
    dt: Array  # [size]


@inner
def _quantities(p, shape, out, D, order):
    """Fill a row of the table of quantities from natural parameters."""
    if shape.Fr >= 0:
        jets.copy(p[shape.Fr], out[SHARE_FIRST])
        jets.scale(-1.0, p[shape.Fr], out[SHARE_ZERO], D, order)
        out[SHARE_ZERO, 0] += 1.0
    if shape.F >= 0:
        jets.copy(p[shape.F], out[BIOAVAILABILITY])
    if shape.lag >= 0:
        jets.copy(p[shape.lag], out[LAG])
    if shape.lag0 >= 0:
        jets.copy(p[shape.lag0], out[LAG_ZERO])
    if shape.Tk0 >= 0:
        jets.copy(p[shape.Tk0], out[DURATION])


@inner
def _read(x, S, n, out, M, D, order):
    """out = concentration."""
    jets.clear(out)
    if M is None:
        for m in range(n + 1):
            jets.add_product(S[READ + m], x[m], out, D, order)
    else:
        jets.add_product(S[PER_VOLUME], x[CENTRAL], out, D, order)


class Subjects(NamedTuple):
    """What the kernel takes; names as in `Schedule`, `DesignRows` and `timeline`.

    Attributes
    ----------
    macro : 1 or None
        See `modes.system`.
    M : float64[3, states + 1, states + 1, size(D)] or None
        Matrices to work with; without them, modes.
    """

    course: Course
    routes: Routes
    entry: Index
    row: Index
    slot: Index
    C: Array
    offset: Array
    transform: Index
    lower: Array
    upper: Array
    shape: Shape
    macro: int | None
    work: Workspace
    M: Array | None


def predict_subject(arguments, i, u, order, first, f, fu, fuu):
    """See `Single`; 1 where a subject is left to matrices."""
    a = arguments[0]
    D = a.C.shape[2]
    return _predict(
        i, a.course, a.routes, a.entry, a.row, a.slot, view(u, (D,)), a.C, a.offset, a.transform, a.lower, a.upper,
        a.shape, a.macro, a.work, a.M, order, first, view(f, (1,)), view(fu, (1, D)), view(fuu, (1, D, D)),
    )  # fmt: skip


@inner
def _predict(
    i, course, routes, entry, row, slot, u, C, offset, transform, lower, upper, shape, macro, work, M,
    order, first, f, fu, fuu,
):  # fmt: skip
    """Fill f, fu and fuu for a subject; 1 where there are no modes."""
    D, n = u.shape[0], shape.n
    line, p, S, W, dt = work.line, work.p, work.S, work.W, work.dt
    x, rates, running = work.x, work.rates, work.running
    depends = shape.Fr >= 0 or shape.F >= 0 or shape.lag >= 0 or shape.lag0 >= 0 or shape.Tk0 >= 0
    start, end = course.start[i], course.start[i + 1]
    converts = shape.peripheral
    filled = -1
    for e in range(start, end):
        converts = converts or row[e] != row[start]
        if depends and entry[e, 0] >= 0 and entry[e, 0] != filled:
            filled = entry[e, 0]
            jets.natural(row[e], u, C, offset, transform, lower, upper, order, p)
            _quantities(p, shape, work.quantities[filled], D, order)
    happenings = unfold(i, course, routes, entry, work.quantities, D, order, line)
    absorbs = uses(line, DEPOT)

    _empty(x, rates, running)
    current = -1
    now, now_jet = 0.0, _NONE
    for h in range(happenings):
        k = line.order[h]
        item = line.pool[k]
        if row[item.event] != current:
            keeps = current >= 0
            current = row[item.event]
            jets.natural(current, u, C, offset, transform, lower, upper, order, p)
            if M is None and keeps:
                to_amounts(x, S, n, absorbs, W, D, order)
            if shape.ka >= 0:
                jets.copy(p[shape.ka], S[KA])
            if M is None:
                modes = system(p, shape.disposition, shape.parameters, n, macro, converts, S, D, order)
                if not modes or (absorbs and S[KA, 0] == 0.0):
                    return 1
                if keeps:
                    to_modes(x, S, n, absorbs, W, D, order)
            else:
                constants(p, shape.disposition, shape.parameters, n, macro, S, D, order)
        if item.what == RESET:
            _empty(x, rates, running)
        elif h > 0 and _between(line, now, now_jet, item.time, item.time_jet, dt, D, order):
            fixed = now_jet < 0 and item.time_jet < 0
            _advance(x, S, n, absorbs, rates, running, dt, fixed, W, M, D, order)
        now, now_jet = item.time, item.time_jet

        if item.what == BOLUS:
            quantity(line, k, W[4], D, order)
            _enter(x, S, n, item.state, W[4], M, D, order)
        elif item.what == RATE_CHANGE:
            switch(line, k, rates, running, D, order)
        elif item.what == STEADY:
            _steady(work.steady, line, k, S, n, absorbs, work.cycle_rates, work.cycle_running, dt, W, M, D, order)
            if course.event[item.event].steady_state == 1:
                _empty(x, rates, running)
            for s in range(STATES):
                jets.axpy(1.0, work.steady[s], x[s], D, order)
        elif item.what == RECORD and slot[item.event] >= 0:
            _read(x, S, n, W[0], M, D, order)
            jets.store(W[0], slot[item.event] - first, f, fu, fuu, D, order)
    return 0


class General:
    """Predictions of a linear compartment model under any dosing, where parameters may change within a subject.

    Parameters
    ----------
    kinetics : Kinetics
        With `is_linear`.
    schedule : Schedule
    design : DesignRows

    Raises
    ------
    FitError
        If there are more doses than can be followed.
    """

    def __init__(self, kinetics: Kinetics, schedule: Schedule, design: DesignRows) -> None:
        self.design = design
        self.slot = schedule.slot
        self.course = course_of(schedule)
        self.routes = routes_of(ways_of(kinetics))
        self.entry, self.entries = entries_of(schedule, design.row, design.origin, self.routes)
        self.capacity = room(self.course, self.routes)
        self.macro = 1 if kinetics.size > 1 and kinetics.written_in in ("macro", "half-life") else None
        dosed = schedule.compartment[np.isin(schedule.kind, (DOSE, RESET_AND_DOSE))]
        self.shape = shape_of(kinetics, bool((dosed > kinetics.central).any()))

    def single(self, by_matrices: bool) -> Single:
        """By modes or by matrices."""
        design, size = self.design, int(jets.size(self.design.C.shape[2]))
        matrices = np.empty((3, STATES + 1, STATES + 1, size)) if by_matrices else None
        subjects = Subjects(
            self.course, self.routes, self.entry, design.row, self.slot, design.C, design.offset, design.transform,
            design.lower, design.upper, self.shape, self.macro, self._workspace(), matrices,
        )  # fmt: skip
        return single_of(predict_subject, Image(subjects))

    def _workspace(self) -> Workspace:
        D = self.design.C.shape[2]
        size = 1 + D + D * (D + 1) // 2
        states = np.zeros((4, STATES, size))
        running = np.zeros((2, STATES), dtype=np.int64)
        return Workspace(
            line=blank(self.capacity, D),
            quantities=np.empty((self.entries, DURATION + 1, size)),
            p=np.empty((len(self.design.transform), size)),
            S=np.zeros((PLACES, size)),
            x=states[0], steady=states[1], rates=states[2], cycle_rates=states[3],
            running=running[0], cycle_running=running[1],
            W=np.zeros((5, size)),
            dt=np.zeros(size),
        )  # fmt: skip
