"""The searches that a method makes, one after the other, until there is a point to judge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.verdict import runaway
from workbench.engine.methods.saem import saem
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Objective, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.search.initial import with_errors_found
from workbench.engine.search.optimise import Outcome, Watch, minimise, resumed
from workbench.engine.search.starts import Part, minimise_from_many
from workbench.errors import FitError
from workbench.methods import Importance, Options, Quadrature, Saem
from workbench.model import Model
from workbench.results.fit import Start, Status

Array = NDArray[np.float64]


def by_gradient(
    objective: Objective,
    options: Options | None,
    model: Model,
    starts: int,
    seed: int,
    watch: Watch,
    max_iterations: int,
    part: Part,
) -> tuple[Target, Outcome, tuple[Start, ...]]:
    """Minimise the objective; with options of an integral, that one from where the objective is least.

    Returns
    -------
    target : Objective or Integral
        What was minimised last.
    outcome : Outcome
    tried : tuple of Start
        Empty for one start.
    """
    x = objective.problem.x
    tried: tuple[Start, ...] = ()
    if starts > 1:
        outcome, tried = minimise_from_many(objective, x, starts, seed, watch, max_iterations, part)
    else:
        outcome = minimise(objective, x, watch, max_iterations)
    outcome = _second_try(objective, outcome, model, watch, max_iterations)
    outcome = _other_side(objective, outcome, watch, max_iterations)
    if not isinstance(options, Quadrature | Importance):
        return objective, outcome, tried
    integral = Integral(objective.problem, options, outcome.evaluation.x)
    return integral, _integrated(integral, outcome, watch, max_iterations), tried


def _second_try(target: Target, found: Outcome, model: Model, watch: Watch, max_iterations: int) -> Outcome:
    """After a search that was lost, another one from residual errors of the size that the typical values leave.

    Where they are stated far too small, the modes follow every observation and Ψ grows without bound.
    """
    if not (found.status is Status.stalled or (found.status.ok and runaway(target.problem, found.evaluation))):
        return found
    scale = target.problem.scale
    x = scale.vector(scale.point_of(with_errors_found(model, target.problem)))
    return resumed(target, found, x, watch, max_iterations) if target.evaluate(x).finite else found


def _other_side(target: Target, found: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """From a minimum where absorption is slower than elimination, also search where they are exchanged."""
    x = target.problem.exchanged(found.evaluation.x) if found.status.ok else None
    if x is None or not target.evaluate(x).finite:
        return found
    return resumed(target, found, x, watch, max_iterations)


def _integrated(target: Integral, begun: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """Minimise an integral from where FOCEI ended."""
    if begun.status is not Status.stopped:
        return minimise(target, begun.evaluation.x, watch, max_iterations)
    at = target.evaluate(begun.evaluation.x)
    return Outcome(at, Status.stopped, ((0, at.ofv),), (at.x,))


def by_saem(problem: Problem, options: Saem, watch: Watch, part: Part) -> tuple[Integral, Outcome, float]:
    """Search by SAEM, then compute the objective where it ended.

    Returns
    -------
    target : Integral
    outcome : Outcome
    short : float
        How far that is above its nearest minimum.

    Raises
    ------
    FitError
        If the objective cannot be computed there.
    """
    found = saem(problem, options, watch, part)
    target = Integral(problem, options.importance, found.x)
    at = target.evaluate(found.x)
    if not at.finite:
        raise FitError("SAEM ended where the likelihood cannot be computed; try other initial values or another seed.")
    status = Status.stopped if found.stopped else Status.converged
    trace = (*found.trace[:-1], (found.trace[-1][0], at.ofv))
    return target, Outcome(at, status, trace, found.path), found.short
