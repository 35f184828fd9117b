"""Dormand-Prince 8(5,3) on jets, for what is not stiff.

Hairer, Nørsett & Wanner (1993), Solving Ordinary Differential Equations I, II.10 (DOP853); the coefficients come with
scipy.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import DOP853

from workbench.engine.predictions.chain import VALUE
from workbench.engine.predictions.flow import (
    DONE,
    ERROR,
    FRESH,
    NOT_FINITE,
    PROPOSAL,
    STEP_TOO_SMALL,
    STEPS,
    STIFF,
    TOO_MANY_STEPS,
    accept,
    error_norms,
    note_peaks,
    shortest,
    slope,
    step_of,
    weigh,
)
from workbench.engine.predictions.machine import inlined, inner

STAGES = 13  # the last is the first of the next step
MOST_STEPS = 5_000  # of a subject
TABLEAU = np.zeros((STAGES + 3, STAGES))  # weights of the stages, those of the result last; errors; times
_THIRD, _FIFTH, _TIME = np.arange(STAGES, STAGES + 3)
TABLEAU[:12, :12], TABLEAU[12, :12] = DOP853.A, DOP853.B
TABLEAU[_THIRD], TABLEAU[_FIFTH], TABLEAU[_TIME] = DOP853.E3, DOP853.E5, np.append(DOP853.C, 1.0)
_SAFETY, _LEAST, _MOST = 0.9, 1.0 / 6.0, 6.0
_BETA = 0.03  # of the PI control of the step
_EDGE = 6.1  # of the region of stability: |h λ|
_AT_EDGE, _INSIDE = 15, 6  # so many steps at that edge, without so many in a row that are not, are stiffness


@inlined
def _begin(flow, end, D, order):
    """Slope, and a step to begin with (Hairer, Nørsett & Wanner, II.4) from the states without their derivatives."""
    x, k, z, L = flow.x, flow.k, flow.z, flow.stretch.shape[1]
    h = speed = 0.0
    for attempt in range(2):
        for c in range(x.shape[0]):
            z[c] = x[c] + h * k[0, c]
        slope(flow, h, k[attempt], D, order if attempt == 0 else VALUE)
        size = now = 0.0
        for c in range(0, x.shape[0], L):
            scale = 1.0 / (flow.tolerance[0] * abs(x[c]) + flow.tolerance[1] * flow.peak[c] + 1e-300)
            size = max(size, abs(x[c]) * scale)
            now = max(now, abs(k[attempt, c] - (k[0, c] if attempt else 0.0)) * scale)
        if attempt == 0:
            speed = now
            h = min(end, 0.01 * size / speed if size > 1e-5 and 1e-5 < speed < 1e200 else 1e-3 * end)
        else:
            speed = max(speed, now / h)
    flow.control[PROPOSAL] = min(end, 100.0 * h, (0.01 / speed) ** 0.125) if 1e-15 < speed < 1e200 else h
    flow.control[ERROR] = 1e-4
    flow.mode[FRESH] = 1


@inner
def explicit(flow, end, watch, D, order):
    """Take the states from s = 0 to end.

    Parameters
    ----------
    flow : Flow
    end : float
    watch : int
        Give up where it turns out to be stiff.
    D, order : int

    Returns
    -------
    int
        DONE, or why not.
    """
    N, L = flow.x.shape[0], flow.stretch.shape[1]
    x, k, stage_of = flow.x, flow.k, flow.z[:N]
    note_peaks(flow)
    if not flow.mode[FRESH]:
        _begin(flow, end, D, order)
    proposal = flow.control[PROPOSAL]
    s = 0.0
    at_edge = inside = 0
    least = shortest(flow, end)
    while s < end:
        h = step_of(proposal, end - s)
        if flow.mode[STEPS] >= MOST_STEPS:
            return TOO_MANY_STEPS
        if not h > 1e-13 * max(s, least):
            return STEP_TOO_SMALL
        flow.mode[STEPS] += 1
        bend = change = 0.0  # between the last stage and the result, both at s + h
        for stage in range(1, STAGES):
            if stage == STAGES - 1:
                for c in range(0, N, L):
                    flow.work[0, c] = stage_of[c]
            weigh(flow, stage, h, x, stage_of)
            slope(flow, s + flow.tableau[_TIME, stage] * h, k[stage], D, order)
        for c in range(0, N, L):
            bend += (k[STAGES - 1, c] - k[STAGES - 2, c]) ** 2
            change += (stage_of[c] - flow.work[0, c]) ** 2
        for row in range(_THIRD, _FIFTH + 1):
            weigh(flow, row, h, flow.zero, flow.work[row - _THIRD])
        third, fifth = error_norms(flow, D)
        error = fifth * fifth / math.sqrt(fifth * fifth + 0.01 * third * third) if fifth > 0.0 else 0.0
        if not error < 1e100:
            proposal = 0.1 * h
            if not proposal > 1e-13 * max(s, least):
                return NOT_FINITE
            continue
        factor = _SAFETY * flow.control[ERROR] ** _BETA / max(error, 1e-12) ** (0.125 - 0.75 * _BETA)
        if error > 1.0:
            proposal = h * max(_LEAST, min(1.0, factor))
            continue
        s = end if h == end - s else s + h
        accept(flow)
        for c in range(N):
            k[0, c] = k[STAGES - 1, c]
        wanted = h * max(_LEAST, min(_MOST, factor))
        if h >= proposal or factor < 1.0 or wanted > proposal:  # else it was cut short, which says nothing of the next
            proposal = wanted
        flow.control[ERROR] = max(error, 1e-4)
        if change > 0.0 and h * math.sqrt(bend / change) > _EDGE:
            inside = 0
            at_edge += 1
            if watch and at_edge == _AT_EDGE:
                return STIFF
        else:
            inside += 1
            if inside == _INSIDE:
                at_edge = 0
    flow.control[PROPOSAL] = proposal
    return DONE
