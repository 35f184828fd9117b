"""Other minima that kinetics make likely: where the rates of absorption and elimination are exchanged, say.

Values that give the same typical curve differ in what they say of the spread between subjects. From where a search
ended each of them is evaluated once; where the objective is near, a search from there tells what its minimum is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.spreads import off_edges
from workbench.engine.ending.uncertainty import edges
from workbench.engine.ending.verdict import runaway
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.search.optimise import minimise
from workbench.errors import FitError
from workbench.model import Model
from workbench.results.fit import Rival

Array = NDArray[np.float64]

_NEAR = 50.0  # of the objective, above the minimum: a search from there may end below it
_FARTHEST = 25.0  # above it: no rival
_SAME = 0.02  # of a logarithm, and
_AS_LOW = 1e-3  # of the objective: the same minimum


def rivals(
    target: Objective,
    at: Evaluation,
    model: Model,
    max_iterations: int,
    refined: Callable[[Evaluation], Evaluation] | None = None,
) -> tuple[Rival, ...]:
    """Other minima beside the one that was found, the lowest first.

    Parameters
    ----------
    target : Objective
        One of its own, for this alone.
    at : Evaluation
        At the minimum that was found.
    model : Model
        Into which the values of a rival are put.
    max_iterations : int
    refined : callable, optional
        Makes of a minimum of the approximation `target` one of what was minimised, where that is something else.
    """
    twins = target.problem.twins(at.x)
    if not twins:
        return ()
    own = at if refined is None else target.evaluate(at.x)
    ends: list[Evaluation] = []
    for twin in twins:
        for x in twin:
            end = _searched(target, own, x, max_iterations)
            if end is None or any(_same(target, end, other) for other in ends):
                continue
            if not _same(target, end, own):
                ends.append(end)
                break
    found = ends if refined is None else [end for end in map(refined, ends) if end.finite]
    return tuple(_rival(target, at, end, model) for end in sorted(found, key=lambda e: e.ofv))


def _searched(target: Objective, at: Evaluation, x: Array, max_iterations: int) -> Evaluation | None:
    """The minimum from x; None where that is far up, not found, or lost."""
    target.forget()
    begin = target.evaluate(x)
    if not (begin.finite and begin.ofv < at.ofv + _NEAR):
        return None
    try:
        outcome = minimise(target, x, max_iterations=max_iterations, begin=begin)
        outcome = off_edges(target, outcome, lambda iteration, now: False, max_iterations)
    except FitError:
        return None
    end = outcome.evaluation
    good = outcome.status.ok and end.ofv < at.ofv + _FARTHEST and not runaway(target.problem, end)
    return end if good else None


def _same(target: Objective, one: Evaluation, other: Evaluation) -> bool:
    """Whether two evaluations are at the same minimum, or at one with exchanged names."""
    unit = np.array(
        [name.link.unit(float(z), 0.0) for name, z in zip(target.problem.scale.thetas, other.point.theta, strict=True)]
    )
    away = np.abs(one.point.theta - other.point.theta) / unit
    if abs(one.ofv - other.ofv) > _AS_LOW:
        return bool((away < _SAME).all())
    first, second = (np.sort(target.problem.scale.estimates(e.x)) for e in (one, other))
    return bool((away < _SAME).all() or np.allclose(first, second, rtol=0.05, atol=1e-3 * float(np.abs(first).min())))


def _rival(target: Objective, at: Evaluation, end: Evaluation, model: Model) -> Rival:
    problem = target.problem
    names = [name.label for name in problem.scale.thetas]
    before, after = (problem.scale.estimates(e.x)[: len(names)] for e in (at, end))
    changed = [
        f"{name} = {b:.4g}"
        for name, a, b in zip(names, before.tolist(), after.tolist(), strict=True)
        if abs(b - a) > 0.1 * abs(a)
    ]
    delta = end.ofv - at.ofv
    flip_flop = problem.exchanged(end.x) is not None
    said = ["Its objective is the same."]
    if abs(delta) > _AS_LOW:
        said = [f"Its objective is {'lower' if delta < 0 else 'higher'} by {abs(delta):.3f}."]
    if flip_flop:
        said.append("Absorption is slower than elimination there (flip-flop), which is rare.")
    elif problem.exchanged(at.x) is not None:
        said.append("Absorption is faster than elimination there, as is usual.")
    said += [edge.sentence for edge in edges(problem, end)]
    said.append(
        "Typical curves are nearly the same: doses into a vein, or what is known of these parameters, tell which holds."
    )
    what = ", ".join(changed) + (" (flip-flop)" if flip_flop else "")
    return Rival(what, end.ofv, delta, problem.scale.model_at(model, end.x), " ".join(said))


def named(found: tuple[Rival, ...], error: float = 0.0) -> str:
    """A sentence on the lowest rival, where it is lower than what is shown by more than an error."""
    if not found or not found[0].delta_ofv < -0.01 - error:
        return ""
    lowest = found[0]
    return f"A rival solution is lower by {-lowest.delta_ofv:.3f}: {lowest.what}; see fit.rivals."
