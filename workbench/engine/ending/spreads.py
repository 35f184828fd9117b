"""Searches from spreads of random effects that are plausible, where a search began or ended at others.

The derivative of the objective by a standard deviation is 0 at 0, whatever the objective does from there on: a search
that comes near stays, and looks as if it had converged. The derivative by the variance tells an edge that is a minimum
from one that is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.verdict import PLAUSIBLE, runaway
from workbench.engine.objectives.objective import Evaluation, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point, Scale
from workbench.engine.search.optimise import Outcome, Watch, resumed
from workbench.results.fit import Status

Array = NDArray[np.float64]

_VANISHED = 0.01  # standard deviations of η, in natural sizes of their parameters
_NONE = 1e-4
_USUAL = (0.3, 0.1, 0.03)
_LOWER = 1e-4  # of the objective
_AS_LOW = 1e-5
_FALLS = 1e-3  # of the objective over a variance of 0.01
_TRIES = 3


def from_plausible_spreads(
    target: Target, found: Outcome, errors_found: Callable[[Array], Array], watch: Watch, max_iterations: int
) -> Outcome:
    """After a search that began with standard deviations of η that are none, another one from usual ones.

    Parameters
    ----------
    target : Target
    found : Outcome
    errors_found : callable
        x with residual errors of the size that its typical values leave.
    watch : callable
    max_iterations : int
    """
    problem = target.problem
    scale, begun = problem.scale, problem.begun[0]
    wanted = _changed(scale, begun, lambda share: (share < PLAUSIBLE[0]) | (share > PLAUSIBLE[1]))
    if wanted is None or found.status is Status.stopped:
        return found
    huge = _changed(scale, found.evaluation.point, lambda share: ~(share < PLAUSIBLE[1])) is not None
    lost = huge or not found.status.ok or runaway(problem, found.evaluation)
    point = begun if lost else found.evaluation.point
    x = errors_found(scale.vector(scale.with_deviations(point, *wanted(_USUAL[0]))))
    return resumed(target, found, x, watch, max_iterations) if target.evaluate(x).finite else found


def off_edges(target: Target, found: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """From an edge where a variance is 0 but the objective falls as it grows, the search goes on inside.

    Where it does not fall, what is as good as at the edge is put there.
    """
    for _ in range(_TRIES):
        inside = below_edge(target, found.evaluation) if found.status is not Status.stopped else None
        if inside is None:
            break
        before = found.evaluation.ofv
        found = resumed(target, found, inside.x, watch, max_iterations)
        if not found.evaluation.ofv < before - _LOWER:
            break
    return _at_edge(target, found) if found.status.ok else found


def _at_edge(target: Target, found: Outcome) -> Outcome:
    """The outcome with standard deviations that are nearly 0 at it, if the objective is as low there."""
    none = at_edge(target, found.evaluation, _AS_LOW)
    if none is None:
        return found
    target.accept(none)
    trace = (*found.trace[:-1], (found.trace[-1][0], none.ofv))
    return replace(found, evaluation=none, trace=trace, path=(*found.path[:-1], none.x))


def at_edge(target: Target, at: Evaluation, as_low: float) -> Evaluation | None:
    """The evaluation where standard deviations that are nearly 0 are put to it, if the objective is as low there.

    None where there are none, or it is higher by more than `as_low`.
    """
    scale = target.problem.scale
    wanted = _changed(scale, at.point, lambda share: (share < PLAUSIBLE[0]) & (share > _NONE))
    if wanted is None:
        return None
    none = target.evaluate(scale.vector(scale.with_deviations(at.point, *wanted(_NONE))))
    return none if none.finite and none.ofv < at.ofv + as_low else None


def vanished(problem: Problem, at: Evaluation) -> bool:
    """Whether a free standard deviation of η is about 0."""
    return _changed(problem.scale, at.point, lambda share: share < _VANISHED) is not None


def below_edge(target: Target, at: Evaluation) -> Evaluation | None:
    """An evaluation with larger variances in place of those that are about 0, if the objective falls towards it.

    Where it falls, the derivative by the variance is negative: with s the logarithm of the standard deviation ω it is
    (∂/∂s) / 2ω², and it is taken at a small ω, the same for all that vanished.
    """
    scale = target.problem.scale
    wanted = _changed(scale, at.point, lambda share: share < _VANISHED)
    if wanted is None or not at.finite:
        return None
    target.accept(at)
    near = target.evaluate(scale.vector(scale.with_deviations(at.point, *wanted(_VANISHED))))
    if not near.finite:
        return None
    falls, (_, between, within, _) = [], scale.split(near.gradient)
    for psi, by, unit in zip((scale.subject, scale.occasion), (between, within), wanted(1.0), strict=True):
        slope = np.zeros(len(psi.names))
        for (r, _, free), value in zip(psi.entries, by.tolist(), strict=True):
            if free in ("log diagonal", "log sd"):
                slope[r] = value / (2.0 * _VANISHED**2)
        falls.append(np.where(0.01 * slope < -_FALLS, unit, np.nan))
    if not any(np.isfinite(f).any() for f in falls):
        return near if near.ofv < at.ofv - _LOWER else None
    points = [scale.with_deviations(at.point, *(share * f for f in falls)) for share in (*_USUAL, _VANISHED)]
    tried = [e for e in map(target.evaluate, map(scale.vector, points)) if e.finite]
    return min(tried, key=lambda e: e.ofv, default=None)


def _changed(
    scale: Scale, point: Point, which: Callable[[Array], NDArray[np.bool_]]
) -> Callable[[float], tuple[Array, Array]] | None:
    """Standard deviations, as a multiple of natural sizes, of the free effects `which` is true of; NaN of the others.

    None where it is true of none.
    """
    found = []
    for psi, unit, deviation in zip(
        (scale.subject, scale.occasion), scale.units(point), scale.deviations(point), strict=True
    ):
        own = np.array([r in psi.own for r in range(len(psi.names))], dtype=bool)
        found.append(np.where(which(deviation / unit) & psi.deviation_free & own, unit, np.nan))
    if not any(np.isfinite(f).any() for f in found):
        return None
    return lambda share: (share * found[0], share * found[1])
