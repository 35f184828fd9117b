"""What the integrators share: the right-hand side of an ODE on jets, how far to go, and how errors are measured.

The states x are jets, so integrating them gives the predictions with their exact derivatives. A stretch lies between
two happenings (see `timeline`) and runs over s. Where both of its ends are plain numbers, s is the time since its
beginning. Where an end depends on the parameters, s goes from 0 to 1, and  t = start + s·length,  dx/ds = length·dx/dt
with start and length jets: events at times that depend on the parameters need no jump conditions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions import jets
from workbench.engine.predictions.chain import Program, apply
from workbench.engine.predictions.machine import inlined, inner

Array = NDArray[np.float64]
Index = NDArray[np.int64]

DONE, STIFF, TOO_MANY_STEPS, STEP_TOO_SMALL, NOT_FINITE, NOT_STEADY = np.arange(6)
REASONS = {
    int(TOO_MANY_STEPS): "too many steps are needed",
    int(STEP_TOO_SMALL): "the steps become too small: a state runs away, or jumps",
    int(NOT_FINITE): "a state, a dose or a time is not a finite number",
    int(NOT_STEADY): "a steady state is not found: there may be none",
}
# in Flow.mode: something is infused; s runs from 0 to 1; slope and step are known; steps taken
FEEDING, MOVING, FRESH, STEPS = np.arange(4)
PROPOSAL, ERROR = np.arange(2)  # in Flow.control: next step, last error
START, LENGTH = np.arange(2)  # in Flow.stretch
_LOOSER = 10.0  # tolerance of first derivatives; second ones follow the same equations and are not watched
_SMALL = 1e-4  # of the largest state, as a scale for those that are still 0


class Flow(NamedTuple):
    """The states of a subject on their way. n states, jets of length L, one after another in N = n·L numbers.

    Attributes
    ----------
    program : Program
        Slopes of the states by z.
    timed : int
        1 if they depend on the time; 2 more if the dose, or the time since it, is used anywhere.
    x : float64[N]
        The states.
    z : float64[N + 3·L + quantities·L]
        Inputs of the program: states of a stage, time, last dose, time since it, quantities that are constant.
    last : float64[2]
        When the last dose was given (NaN: none yet), and its amount.
    k : float64[stages, N]
        Slopes of the stages; k[0] those at x if mode[FRESH].
    stretch : float64[2, L]
        Start and length if mode[MOVING]; otherwise stretch[START, 0] is the time where s = 0.
    inputs : float64[n, L]; running : int64[n]
        Rates of the infusions into each state, and how many there are.
    peak : float64[N]
        The largest size that each number of x has had.
    unit : float64[L]
        How much a coordinate changes the parameters: the largest derivative by it of the logarithm of a parameter.
    mode : int64[4]; control : float64[2]
    tolerance : float64[2]
        Relative and absolute.
    tableau : float64[..., stages]
        Coefficients of the method.
    zero : float64[N]
        0 throughout.
    work : float64[2, N]; v : float64[...]; matrix : float64[n, n]; pivot : int64[n]
    """

    program: Program
    timed: int
    x: Array
    z: Array
    last: Array
    k: Array
    stretch: Array
    inputs: Array
    running: Index
    peak: Array
    unit: Array
    mode: Index
    control: Array
    tolerance: Array
    tableau: Array
    zero: Array
    work: Array
    v: Array
    matrix: Array
    pivot: Index


def new_flow(
    program: Program,
    timed: int,
    n: int,
    quantities: int,
    length: int,
    tableau: Array,
    tolerance: Array,
    v: Array,
) -> Flow:
    """Make a flow with n states at 0; one per thread."""
    N = n * length
    return Flow(
        program=program,
        timed=timed,
        x=np.zeros(N),
        z=np.zeros(N + (3 + quantities) * length),
        last=np.array([np.nan, 0.0]),
        k=np.zeros((tableau.shape[1], N)),
        stretch=np.zeros((2, length)),
        inputs=np.zeros((n, length)),
        running=np.zeros(n, np.int64),
        peak=np.zeros(N),
        unit=np.zeros(length),
        mode=np.zeros(4, np.int64),
        control=np.zeros(2),
        tolerance=tolerance,
        tableau=tableau,
        zero=np.zeros(N),
        work=np.zeros((2, N)),
        v=v,
        matrix=np.empty((n, n)),
        pivot=np.empty(n, np.int64),
    )


@inner
def set_time(flow, s, D, order):
    """Put the time at s into its place among the inputs of the programs, and what follows from it."""
    N, L = flow.x.shape[0], flow.stretch.shape[1]
    t = flow.z[N : N + L]
    if flow.mode[MOVING]:
        jets.copy(flow.stretch[START], t)
        jets.axpy(s, flow.stretch[LENGTH], t, D, order)
    else:
        jets.constant(flow.stretch[START, 0] + s, t)
    if flow.timed >= 2:
        flow.z[N + L] = flow.last[1]
        since = flow.z[N + 2 * L : N + 3 * L]
        jets.clear(since)
        if not np.isnan(flow.last[0]):
            jets.copy(t, since)
            passed = t[0] - flow.stretch[START, 0] if flow.mode[MOVING] else s  # all digits of it
            since[0] = flow.stretch[START, 0] - flow.last[0] + passed


@inlined
def slope(flow, s, out, D, order):
    """out = dx/ds where the states are those in flow.z."""
    L = flow.stretch.shape[1]
    if flow.timed & 1:
        set_time(flow, s, D, order)
    apply(flow.program, flow.z, L, flow.v, flow.v, out, D, order)
    if flow.mode[FEEDING]:
        for i in range(flow.running.shape[0]):
            if flow.running[i]:
                jets.axpy(1.0, flow.inputs[i], out[i * L : i * L + L], D, order)
    if flow.mode[MOVING]:
        for i in range(flow.running.shape[0]):
            state = out[i * L : i * L + L]
            jets.multiply(state, flow.stretch[LENGTH], state, D, order)


@inlined
def note_peaks(flow):
    """Remember how large the states and their derivatives have been."""
    for c in range(flow.x.shape[0]):
        flow.peak[c] = max(flow.peak[c], abs(flow.x[c]))


@inlined
def accept(flow):
    """Go to the states in flow.z."""
    for c in range(flow.x.shape[0]):
        flow.x[c] = flow.z[c]
    note_peaks(flow)


@inlined
def error_norms(flow, D):
    """Sizes of the errors work[0] and work[1] of the states in flow.z as multiples of what is allowed: the largest.

    A derivative of a state by a coordinate is measured by its own size or by that of the state, in units of the
    coordinate, whichever is larger: what a state hardly depends on need not be known to many digits.
    """
    x, z, peak, L = flow.x, flow.z, flow.peak, flow.stretch.shape[1]
    first = second = largest = 0.0
    for lane in range(min(L, 1 + D)):
        looser, unit = _LOOSER if lane else 1.0, flow.unit[lane]
        most = max(1e-200, unit * largest) if lane else 1e-200
        for c in range(lane, x.shape[0], L):
            most = max(most, peak[c], abs(z[c]))
        if lane == 0:
            largest = most
        for c in range(lane, x.shape[0], L):
            size = max(abs(x[c]), abs(z[c]), unit * abs(z[c - lane]))
            allowed = flow.tolerance[0] * size + flow.tolerance[1] * (max(peak[c], size) + _SMALL * most)
            scale = 1.0 / (looser * allowed)
            e, g = abs(flow.work[0, c]) * scale, abs(flow.work[1, c]) * scale
            if not (e < np.inf and g < np.inf):
                return np.inf, np.inf
            first, second = max(first, e), max(second, g)
    return first, second


@inner
def weigh(flow, row, h, base, out):
    """out = base + h Σ weight[j] k[j] with the weights of a row of the tableau."""
    for c in range(out.shape[0]):
        out[c] = base[c]
    for j in range(flow.k.shape[0]):
        w = h * flow.tableau[row, j]
        if w != 0.0:
            for c in range(out.shape[0]):
                out[c] += w * flow.k[j, c]


@inlined
def shortest(flow, end):
    """Steps are measured by this where a stretch begins: finer where the rates may have a pole there."""
    return (1e-16 if flow.program.limits.shape[0] else 1e-3) * end


@inlined
def step_of(proposal, left):
    """The step to take where `left` is left: never a tiny last one."""
    if proposal >= 0.99 * left:
        return left
    return 0.5 * left if 2.0 * proposal > left else proposal
