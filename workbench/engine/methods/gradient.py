"""By gradient: the objective is minimised where modes stand for the integrals over the random effects.

So it goes for FO, FOCE, FOCEI and Laplace, and for a model without random effects.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.likelihood import beside_likelihood, is_sparse, jumping
from workbench.engine.ending.rivals import named, rivals
from workbench.engine.ending.spreads import from_plausible_spreads, off_edges, vanished
from workbench.engine.ending.verdict import runaway
from workbench.engine.methods.way import Ended, Task, Way, judged_end, subjects_by_name
from workbench.engine.objectives.objective import Evaluation, Objective, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.search.initial import with_errors_found
from workbench.engine.search.optimise import Outcome, Watch, minimise, resumed, unit_steps
from workbench.engine.search.starts import Searched, minimise_from_each, minimise_from_many
from workbench.errors import FitError
from workbench.methods import Approximation, Method
from workbench.model import Model
from workbench.results.fit import Start, Status

Array = NDArray[np.float64]

_ROUNDS = 3
_LOWER = 1e-4  # of the objective


class ByGradient(Way):
    """Minimise the objective of the method's approximation."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended."""
        watch = task.reports.watch(task.problem.scale)
        objective = self.target(task.problem, task.method, task.options)
        outcome, tried = descended(objective, task, watch)
        outcome = _from_usual(objective, outcome, task, watch)
        ended = _beside(objective, judged_end(objective, outcome, task, watch, tried), task)
        return rivalled(ended, task, objective=objective.anew())

    def target(self, problem: Problem, method: Method, options: Any) -> Objective:
        """The objective."""
        return Objective(problem, method.approximation)


def _sound(objective: Objective, at: Evaluation) -> bool:
    """Whether an approximation is near enough to the likelihood for its minimum to mean something."""
    return not beside_likelihood(objective.problem, objective.approximation, at)[1]


def _from_usual(objective: Objective, found: Outcome, task: Task, watch: Watch) -> Outcome:
    """Where subjects have few observations Laplace's approximation also searches from where FOCEI ends.

    It can run into modes with next to no curvature on the way from elsewhere.
    """
    problem = objective.problem
    if objective.approximation is not Approximation.LAPLACE or not is_sparse(problem) or found.status is Status.stopped:
        return found
    offset, left = len(found.trace), max(task.max_iterations - len(found.trace), 0)
    try:
        begun = minimise(Objective(problem), problem.x, max_iterations=left)
        other = minimise(objective, begun.evaluation.x, lambda k, at: watch(offset + k, at), left)
    except FitError:
        return found
    trace = (*found.trace, *((offset + k, ofv) for k, ofv in other.trace))
    path = (*found.path, *other.path)
    lower = other.evaluation.ofv < found.evaluation.ofv - _LOWER
    if other.status.ok and (lower or not found.status.ok or not _sound(objective, found.evaluation)):
        other = off_edges(objective, replace(other, trace=trace, path=path), watch, task.max_iterations)
        if _sound(objective, other.evaluation):
            return other
    objective.accept(found.evaluation)
    trace, path = (*trace, (offset + len(other.trace), found.evaluation.ofv)), (*path, found.evaluation.x)
    return replace(found, trace=trace, path=path)


def _beside(objective: Objective, ended: Ended, task: Task) -> Ended:
    """The end, with what the likelihood says of it; where the approximation fails, it is none."""
    outcome = ended.outcome
    if outcome.status is Status.stopped:
        return ended
    said, lost = beside_likelihood(task.problem, task.method.approximation, outcome.evaluation)
    if lost and outcome.status.ok:
        outcome = replace(outcome, status=Status.stalled)
    if not lost and outcome.status is Status.stalled and task.problem.n_random:
        at = outcome.evaluation
        who = jumping(objective, at, unit_steps(task.problem.scale, at))
        if who:
            named = subjects_by_name(task.data, who)
            jump = (
                f"The objective jumps beside where the search ended, as the mode of {named} changes from one basin "
                "into another: this approximation has no minimum there. Use method='quadrature' or 'importance', "
                "which follow no modes."
            )
            said = f"{said} {jump}".strip()
    return replace(ended, outcome=outcome, message=" ".join(filter(None, (ended.message, said))))


def rivalled(
    ended: Ended,
    task: Task,
    refined: Callable[[Evaluation], Evaluation] | None = None,
    error: float = 0.0,
    objective: Objective | None = None,
) -> Ended:
    """The end, with other minima beside it; they are not looked for where a fit is one of many.

    `refined` as in `rivals`; `error` is that of a difference of objectives; `objective` that of the approximation, for
    this alone.
    """
    if not ended.outcome.status.ok or (task.covariance is False and task.starts == 1):
        return ended
    begun = time.perf_counter()
    objective = objective or Objective(task.problem, task.method.approximation)
    found = rivals(objective, ended.outcome.evaluation, task.model, task.max_iterations, refined)
    message = " ".join(filter(None, (ended.message, named(found, error))))
    return replace(ended, message=message, rivals=found, seconds_for_rivals=time.perf_counter() - begun)


def descended(objective: Searched, task: Task, watch: Watch) -> tuple[Outcome, tuple[Start, ...]]:
    """Minimise an objective from one point or several, and from where a search that was lost may be mended.

    Returns
    -------
    outcome : Outcome
    tried : tuple of Start
        Empty where there was one start.
    """
    x = objective.problem.x
    tried: tuple[Start, ...] = ()
    if task.starts > 1 and isinstance(objective, Objective):
        outcome, tried = minimise_from_many(
            objective, task.model, task.data, task.starts, task.seed, watch, task.max_iterations, task.reports.part,
            task.jobs, partial(_sound, objective),
        )  # fmt: skip
    else:
        outcome, tried = minimise_from_each(objective, (x, *task.others), watch, task.max_iterations)
    outcome = _second_try(objective, outcome, task.model, watch, task.max_iterations)

    def errors_found(x: Array) -> Array:
        return _with_errors_found(objective.problem, task.model, x)

    outcome = from_plausible_spreads(objective, outcome, errors_found, watch, task.max_iterations)
    lost = not outcome.status.ok or runaway(objective.problem, outcome.evaluation)
    if outcome.status is not Status.stopped and (lost or vanished(objective.problem, outcome.evaluation)):
        for x in task.spread():
            objective.forget()
            if objective.evaluate(x).finite:
                outcome = resumed(objective, outcome, x, watch, task.max_iterations)
    outcome = _other_side(objective, outcome, watch, task.max_iterations)
    outcome = _beside_corners(objective, outcome, watch, task.max_iterations)
    return off_edges(objective, outcome, watch, task.max_iterations), tried


def _beside_corners(objective: Searched, found: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """From a minimum where modes lie at corners, searches from both sides of it.

    Where a mode leaves a corner the objective jumps, as curvature there is one-sided: a search ends before the jump.
    """
    problem = objective.problem
    moved = [k for k, label in enumerate(problem.scale.labels_of_x) if label in problem.movers]
    for _ in range(_ROUNDS):
        at = found.evaluation
        if not (found.status.ok and at.at_corner.any()):
            break
        unit = unit_steps(objective.problem.scale, at)
        for k, sign in product(moved, (1.0, -1.0)):
            objective.forget()
            x = at.x + sign * unit * (np.arange(len(unit)) == k)
            if objective.evaluate(x).finite:
                found = resumed(objective, found, x, watch, max_iterations)
        if not found.evaluation.ofv < at.ofv - _LOWER:
            break
    return found


def _second_try(target: Target, found: Outcome, model: Model, watch: Watch, max_iterations: int) -> Outcome:
    """After a search that was lost, another one from residual errors of the size that the typical values leave.

    Where they are stated far too small, the modes follow every observation and Ψ grows without bound.
    """
    if not (found.status is Status.stalled or (found.status.ok and runaway(target.problem, found.evaluation))):
        return found
    x = _with_errors_found(target.problem, model, target.problem.x)
    return resumed(target, found, x, watch, max_iterations) if target.evaluate(x).finite else found


def _with_errors_found(problem: Problem, model: Model, x: Array) -> Array:
    """x with residual errors of the size that the typical values of the model leave."""
    scale = problem.scale
    sigma = scale.point_of(with_errors_found(model, problem)).sigma
    return scale.vector(replace(scale.point(x), sigma=sigma))


def _other_side(target: Target, found: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """From a minimum where absorption is slower than elimination, also search where they are exchanged.

    The usual one of the two is taken, unless the search began with the slower absorption: then the lower.
    """
    problem = target.problem
    x = problem.exchanged(found.evaluation.x) if found.status.ok else None
    if x is None or not target.evaluate(x).finite:
        return found
    if problem.exchanged(problem.x) is not None:
        return resumed(target, found, x, watch, max_iterations)
    offset = len(found.trace)
    usual = minimise(target, x, lambda iteration, at: watch(offset + iteration, at), max(max_iterations - offset, 0))
    end = usual.evaluation
    if usual.status.ok and problem.exchanged(end.x) is None and not runaway(problem, end):
        trace = (*found.trace, *((offset + iteration, ofv) for iteration, ofv in usual.trace))
        return replace(usual, trace=trace, path=(*found.path, *usual.path))
    target.accept(found.evaluation)
    return found
