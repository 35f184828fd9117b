"""Steady states of ODEs: what a dose that has been given every interval since ever leaves behind.

Nothing needs to be linear. A periodic state is a fixed point, y = Φ(y) with Φ what one interval makes of the states at
its beginning; a constant infusion has a state whose slope is 0. Both are found by Newton's method. The derivatives by u
are then linear in themselves, with the matrix that Newton's method has already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workbench.engine.predictions import jets
from workbench.engine.predictions.chain import FIRST, NO, YES, values
from workbench.engine.predictions.flow import DONE, NOT_STEADY, START, STEPS, Array, Flow, Index, set_time, slope
from workbench.engine.predictions.implicit import decompose, jacobian, solve
from workbench.engine.predictions.machine import inlined
from workbench.engine.predictions.travel import begin, give, go, see_inputs, stop

_NONE = np.int64(-1)
_MOST_CYCLES = 50
_MOST_STEPS = 100


class Spare(NamedTuple):
    """Room for finding a steady state.

    Attributes
    ----------
    probe : Flow
        Differentiates by the states at the beginning of an interval: jets of length 1 + n.
    y, gap : float64[N]; matrix : float64[n, n]; pivot : int64[n]
    x : float64[N]; inputs : float64[n, L]; running : int64[n]
        What there was before, if the steady state is added to it.
    """

    probe: Flow
    y: Array
    gap: Array
    matrix: Array
    pivot: Index
    x: Array
    inputs: Array
    running: Index


def new_spare(probe: Flow, length: int) -> Spare:
    """Make it; one per thread."""
    n = len(probe.running)
    y, gap, x = np.zeros((3, n * length))
    return Spare(
        probe, y, gap, np.zeros((n, n)), np.zeros(n, np.int64), x, np.zeros((n, length)), np.zeros(n, np.int64)
    )


@inlined
def _cycle(flow, line, k, now, plain, stiff, watch, D, order):
    """Take the states through one dosing interval of the steady state that happening k is."""
    stop(flow)
    interval, count = line.pool[k].value, line.pool[k].count
    since, before = 0.0, _NONE
    for step in range(count + 1):
        j = k + 1 + step if step < count else _NONE
        until = line.pool[j].time if step < count else interval
        code = go(flow, line, now - interval, since, before, until, j, plain, stiff, watch, D, order)
        if code != DONE or step == count:
            return code
        give(flow, line, j, plain, D, order)
        since, before = until, j
    return DONE


@inlined
def _periodic(flow, spare, line, k, now, stiff, watch, D, order):
    """flow.x = the states before a dose that is given every interval; Φ' comes from the probe.

    First cycles of the probe, until the states are found, then one of the subject's own flow per order of derivatives.
    """
    N, L, n = flow.x.shape[0], flow.stretch.shape[1], flow.running.shape[0]
    probe, y, gap, matrix, pivot = spare.probe, spare.y, spare.gap, spare.matrix, spare.pivot
    M = 1 + n
    jets.clear(y)
    for i in range(n):
        y[i * L] = flow.x[i * L]
    for q in range(1, (flow.z.shape[0] - N) // L):
        probe.z[n * M + q * M] = flow.z[N + q * L]
    probe.last[0], probe.last[1] = flow.last[0], flow.last[1]
    probe.mode[STEPS] = 0
    jets.clear(probe.peak)
    found = False
    for _ in range(_MOST_CYCLES):
        jets.clear(probe.x)
        for i in range(n):
            probe.x[i * M], probe.x[i * M + 1 + i] = y[i * L], 1.0
        code = _cycle(probe, line, k, now, YES, stiff, watch, n, FIRST)
        if code != DONE:
            return code
        for i in range(n):
            gap[i * L] = probe.x[i * M] - y[i * L]
            for j in range(n):
                matrix[i, j] = (1.0 if i == j else 0.0) - probe.x[i * M + 1 + j]
        if not decompose(matrix, pivot):
            return NOT_STEADY
        solve(matrix, pivot, gap, NO, YES)
        astray, worst = False, 0.0
        for i in range(n):
            here, wanted = y[i * L], y[i * L] + gap[i * L]
            astray = astray or not abs(wanted) < 1e200 or (wanted < 0.0 <= here and probe.x[i * M] >= 0.0)
            allowed = probe.tolerance[0] * abs(wanted) + probe.tolerance[1] * probe.peak[i * M] + 1e-300
            worst = max(worst, abs(gap[i * L]) / allowed)
        for i in range(n):  # where Newton's method leads to amounts below 0, just one more dose
            y[i * L] = probe.x[i * M] if astray else y[i * L] + gap[i * L]
        found = worst < 100.0 and not astray  # Newton: the next would be of the order of its square
        if found:
            break
    if not found:
        return NOT_STEADY
    for _ in range(order):
        jets.copy(y, flow.x)
        code = _cycle(flow, line, k, now, NO, stiff, watch, D, order)
        if code != DONE:
            return code
        for c in range(N):
            gap[c] = flow.x[c] - y[c]
        solve(matrix, pivot, gap, YES, L)
        for i in range(0, N, L):
            for c in range(i + 1, i + L):
                y[c] += gap[c]
    jets.copy(y, flow.x)
    return DONE


@inlined
def _balance(flow, line, k, now, D, order):
    """flow.x = the states that constant infusions hold where they are: slope = 0.

    Newton's method, led there by implicit Euler steps that become longer and longer.
    """
    N, L, n = flow.x.shape[0], flow.stretch.shape[1], flow.running.shape[0]
    z, residual = flow.z[:N], flow.work[1]
    for j in range(k + 1, k + 1 + line.pool[k].count):
        give(flow, line, j, NO, D, order)
    flow.stretch[START, 0] = now
    jets.clear(z)
    for c in range(0, N, L):
        z[c] = flow.x[c]
    set_time(flow, 0.0, D, order)
    damping = largest = 0.0
    found = False
    for step in range(_MOST_STEPS):
        values(flow.program, flow.z, L, flow.v, flow.v, FIRST)
        if step == 0:
            for e in range(flow.program.slopes):
                if flow.program.place[2 * e + 1] < n:
                    largest = max(largest, abs(flow.v[flow.program.outputs + e]))
            damping = 1e3 * largest
        if not jacobian(flow, -1.0, damping):
            return NOT_STEADY
        if found:
            break
        for i in range(n):
            residual[i * L] = flow.v[i] + (flow.inputs[i, 0] if flow.running[i] else 0.0)
        solve(flow.matrix, flow.pivot, residual, NO, YES)
        change = 0.0
        for c in range(0, N, L):
            z[c] += residual[c]
            change = max(change, abs(residual[c]) / (abs(z[c]) + 1e-300))
        if not change < 1e200:
            return NOT_STEADY
        found = damping == 0.0 and change < 1e-10
        damping = 0.3 * damping if damping > 1e-12 * largest else 0.0
    if not found:
        return NOT_STEADY
    for part in range(1, order + 1):
        slope(flow, 0.0, residual, D, order)
        first, past = (1, 1 + D) if part == 1 else (1 + D, L)
        solve(flow.matrix, flow.pivot, residual, first, past)
        for i in range(0, N, L):
            for c in range(i + first, i + past):
                z[c] += residual[c]
    jets.copy(z, flow.x)
    return DONE


@inlined
def steady(flow, spare, initial, line, k, now, added, stiff, watch, D, order):
    """Let happening k, a STEADY, act; `added`: to the states there are (SS=2)."""
    n = flow.running.shape[0]
    jets.copy(flow.x, spare.x)
    for i in range(n):
        jets.copy(flow.inputs[i], spare.inputs[i])
        spare.running[i] = flow.running[i]
    begin(flow, initial)
    if line.pool[k].value > 0.0:
        code = _periodic(flow, spare, line, k, now, stiff, watch, D, order)
    else:
        code = _balance(flow, line, k, now, D, order)
    stop(flow)
    if added:
        for c in range(flow.x.shape[0]):
            flow.x[c] += spare.x[c]
        for i in range(n):
            jets.copy(spare.inputs[i], flow.inputs[i])
            flow.running[i] = spare.running[i]
        see_inputs(flow)
    return code
