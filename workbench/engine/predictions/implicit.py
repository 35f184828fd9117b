"""ESDIRK 5(4) on jets, for what is stiff: L-stable and stiffly accurate.

Method ESDIRK5(4)7L[2]SA2 of Kennedy & Carpenter (2019), Appl Numer Math 146:221. A stage is a nonlinear equation in the
states alone, solved by Newton's method with their Jacobian J. Its derivatives are linear equations in which the
matrix  1 - hγJ  is the same for all of them, so one LU decomposition of the size of the states serves first
and second derivatives ("staggered direct").
"""

from __future__ import annotations

import numpy as np

from workbench.engine.predictions.chain import FIRST, NO, YES, values
from workbench.engine.predictions.flow import (
    DONE,
    FEEDING,
    FRESH,
    LENGTH,
    MOVING,
    NOT_FINITE,
    PROPOSAL,
    STEP_TOO_SMALL,
    STEPS,
    TOO_MANY_STEPS,
    accept,
    error_norms,
    note_peaks,
    set_time,
    shortest,
    slope,
    step_of,
    weigh,
)
from workbench.engine.predictions.machine import inner

STAGES = 7
MOST_STEPS = 20_000  # of a subject
_FROM_SECOND = (  # of each stage from the third on: weights of the second stage (the first has the same), third, …
    (791020047304 / 3561426431547,),
    (-158159076358 / 11257294102345, -85517644447 / 5003708988389),
    (-1653327111580 / 4048416487981, 1514767744496 / 9099671765375, 14283835447591 / 12247432691556),
    (-4540011970825 / 8418487046959, -1790937573418 / 7393406387169, 10819093665085 / 7266595846747,
     4109463131231 / 7386972500302),
    (-188593204321 / 4778616380481, 2809310203510 / 10304234040467, 1021729336898 / 2364210264653,
     870612361811 / 2470410392208, -1307970675534 / 8059683598661),
)  # fmt: skip
_EMBEDDED = (
    -582099335757 / 7214068459310, -582099335757 / 7214068459310, 615023338567 / 3362626566945,
    3192122436311 / 6174152374399, 6156034052041 / 14430468657929, -1011318518279 / 9693750372484,
    1914490192573 / 13754262428401,
)  # fmt: skip
GAMMA = 23.0 / 125.0
ERROR, TIME = np.arange(STAGES, STAGES + 2)


def _tableau() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Weights of the earlier stages in each (without γ of its own), the last being the result; error; times."""
    tableau = np.zeros((STAGES + 2, STAGES))
    tableau[1, 0] = GAMMA
    for stage, weights in enumerate(_FROM_SECOND, 2):
        tableau[stage, 0], tableau[stage, 1:stage] = weights[0], weights
    tableau[ERROR] = tableau[STAGES - 1] - _EMBEDDED
    tableau[ERROR, -1] += GAMMA
    tableau[TIME, 1:] = tableau[1:STAGES].sum(axis=1) + GAMMA
    return tableau


TABLEAU = _tableau()
_SAFETY, _LEAST, _MOST = 0.85, 0.2, 5.0
_BETA = 0.08
_MOST_ITERATIONS = 10


@inner
def decompose(matrix, pivot):
    """LU decomposition in place with row exchanges; False if the matrix is singular, or not finite."""
    n = matrix.shape[0]
    for c in range(n):
        best = c
        for i in range(c + 1, n):
            if abs(matrix[i, c]) > abs(matrix[best, c]):
                best = i
        pivot[c] = best
        if best != c:
            for j in range(n):
                matrix[c, j], matrix[best, j] = matrix[best, j], matrix[c, j]
        if not 0.0 < abs(matrix[c, c]) < np.inf:
            return False
        for i in range(c + 1, n):
            matrix[i, c] /= matrix[c, c]
            factor = matrix[i, c]
            if factor != 0.0:
                for j in range(c + 1, n):
                    matrix[i, j] -= factor * matrix[c, j]
    return True


@inner
def solve(matrix, pivot, b, first, past):
    """Solve in place for the numbers first:past of the jets b[n · L], given the decomposition."""
    n = matrix.shape[0]
    L = b.shape[0] // n
    for c in range(n):
        if pivot[c] != c:
            shift = (pivot[c] - c) * L
            for lane in range(c * L + first, c * L + past):
                b[lane], b[lane + shift] = b[lane + shift], b[lane]
    for i in range(n):
        for j in range(i):
            factor = matrix[i, j]
            if factor != 0.0:
                for lane in range(first, past):
                    b[i * L + lane] -= factor * b[j * L + lane]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            factor = matrix[i, j]
            if factor != 0.0:
                for lane in range(first, past):
                    b[i * L + lane] -= factor * b[j * L + lane]
        inverse = 1.0 / matrix[i, i]
        for lane in range(i * L + first, i * L + past):
            b[lane] *= inverse


@inner
def jacobian(flow, scale, diagonal):
    """flow.matrix = diagonal · 1 + scale · J, decomposed; J the derivatives in flow.v. False if singular."""
    n, program = flow.running.shape[0], flow.program
    for i in range(n):
        for j in range(n):
            flow.matrix[i, j] = diagonal if i == j else 0.0
    for e in range(program.slopes):
        i, j = program.place[2 * e], program.place[2 * e + 1]
        if j < n:
            flow.matrix[i, j] += scale * flow.v[program.outputs + e]
    return decompose(flow.matrix, flow.pivot)


@inner
def _stage(flow, s, h, k, D, order):
    """Solve  x = base + hγ·slope(x)  in flow.z, with base in work[0], and k = slope; False if that fails."""
    n, N, L = flow.running.shape[0], flow.x.shape[0], flow.stretch.shape[1]
    z, base, residual = flow.z[:N], flow.work[0], flow.work[1]
    step = h * GAMMA
    speed = step * (flow.stretch[LENGTH, 0] if flow.mode[MOVING] else 1.0)
    set_time(flow, s, D, order)
    change = last = np.inf
    for iteration in range(_MOST_ITERATIONS):
        values(flow.program, flow.z, L, flow.v, flow.v, FIRST)
        if not jacobian(flow, -speed, 1.0):
            return False
        if change < 1e-2 or (iteration > 2 and change > 0.5 * last):  # the next would be of the order of change²
            break
        for i in range(n):
            rate = flow.v[i] + (flow.inputs[i, 0] if flow.mode[FEEDING] and flow.running[i] else 0.0)
            residual[i * L] = z[i * L] - base[i * L] - speed * rate
        solve(flow.matrix, flow.pivot, residual, NO, YES)
        last, change = change, 0.0
        for c in range(0, N, L):
            z[c] -= residual[c]
            allowed = flow.tolerance[0] * abs(z[c]) + flow.tolerance[1] * flow.peak[c] + 1e-300
            change = max(change, abs(residual[c]) / allowed)
        if not change < 1e100:
            return False
    if change > 1e-2:
        return False
    for part in range(1, order + 1):
        first, past = (1, 1 + D) if part == 1 else (1 + D, L)
        for i in range(0, N, L):
            for c in range(i + first, i + past):
                z[c] = 0.0
        slope(flow, s, k, D, part)  # all but what is linear in the derivatives sought
        for i in range(0, N, L):
            for c in range(i + first, i + past):
                z[c] = base[c] + step * k[c]
        solve(flow.matrix, flow.pivot, z, first, past)
    for c in range(N):
        k[c] = (z[c] - base[c]) / step
    return True


@inner
def implicit(flow, end, watch, D, order):
    """Take the states from s = 0 to end; as `explicit`."""
    N, L = flow.x.shape[0], flow.stretch.shape[1]
    x, k, z = flow.x, flow.k, flow.z
    note_peaks(flow)
    for c in range(N):
        z[c] = x[c]
    slope(flow, 0.0, k[0], D, order)
    proposal = flow.control[PROPOSAL] if flow.mode[FRESH] else 1e-4 * end
    s, old = 0.0, 1e-4
    least = shortest(flow, end)
    while s < end:
        h = step_of(proposal, end - s)
        if flow.mode[STEPS] >= MOST_STEPS:
            return TOO_MANY_STEPS
        if not h > 1e-14 * max(s, least):
            return STEP_TOO_SMALL
        flow.mode[STEPS] += 1
        solved = True
        for stage in range(1, STAGES):
            base = flow.work[0]
            weigh(flow, stage, h, x, base)
            for c in range(0, N, L):
                z[c] = base[c] + h * GAMMA * k[stage - 1, c]
            solved = _stage(flow, s + flow.tableau[TIME, stage] * h, h, k[stage], D, order)
            if not solved:
                break
        size = np.inf
        if solved:
            weigh(flow, ERROR, h, flow.zero, flow.work[0])
            weigh(flow, ERROR, h, flow.zero, flow.work[1])
            size, _ = error_norms(flow, D)
        if not size < 1e100:
            proposal = 0.2 * h
            if not proposal > 1e-14 * max(s, least):
                return NOT_FINITE
            continue
        factor = _SAFETY * old**_BETA / max(size, 1e-12) ** (0.2 - 0.75 * _BETA)
        if size > 1.0:
            proposal = h * max(_LEAST, min(0.9, factor))
            continue
        s = end if h == end - s else s + h
        accept(flow)
        for c in range(N):
            k[0, c] = k[STAGES - 1, c]
        wanted = h * max(_LEAST, min(_MOST, factor))
        if h >= proposal or factor < 1.0 or wanted > proposal:
            proposal = wanted
        old = max(size, 1e-4)
    flow.control[PROPOSAL] = proposal
    flow.mode[FRESH] = 1
    return DONE
