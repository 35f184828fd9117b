"""By gradient: the objective is minimised where modes stand for the integrals over the random effects.

So it goes for FO, FOCE, FOCEI and Laplace, and for a model without random effects.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.likelihood import beside_likelihood
from workbench.engine.ending.rivals import named, rivals
from workbench.engine.ending.spreads import from_plausible_spreads, off_edges
from workbench.engine.ending.verdict import runaway
from workbench.engine.methods.way import Ended, Task, Way, judged_end
from workbench.engine.objectives.objective import Objective, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.search.initial import with_errors_found
from workbench.engine.search.optimise import Outcome, Watch, minimise, resumed
from workbench.engine.search.starts import minimise_from_many
from workbench.methods import Method
from workbench.model import Model
from workbench.results.fit import Start, Status

Array = NDArray[np.float64]


class ByGradient(Way):
    """Minimise the objective of the method's approximation."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended."""
        watch = task.reports.watch(task.problem.scale)
        objective = self.target(task.problem, task.method, task.options)
        outcome, tried = descended(objective, task, watch)
        return _rivalled(_beside(judged_end(objective, outcome, task, watch, tried), task), task)

    def target(self, problem: Problem, method: Method, options: Any) -> Objective:
        """The objective."""
        return Objective(problem, method.approximation)


def _beside(ended: Ended, task: Task) -> Ended:
    """The end, with what the likelihood says of it; where the approximation fails, it is none."""
    outcome = ended.outcome
    if outcome.status is Status.stopped:
        return ended
    said, lost = beside_likelihood(task.problem, task.method.approximation, outcome.evaluation)
    if lost and outcome.status.ok:
        outcome = replace(outcome, status=Status.stalled)
    return replace(ended, outcome=outcome, message=" ".join(filter(None, (ended.message, said))))


def _rivalled(ended: Ended, task: Task) -> Ended:
    """The end, with other minima beside it; they are not looked for where a fit is one of many."""
    if not ended.outcome.status.ok or (task.covariance is False and task.starts == 1):
        return ended
    begun = time.perf_counter()
    objective = Objective(task.problem, task.method.approximation)
    found = rivals(objective, ended.outcome.evaluation, task.model, task.max_iterations)
    message = " ".join(filter(None, (ended.message, named(found))))
    return replace(ended, message=message, rivals=found, seconds_for_rivals=time.perf_counter() - begun)


def descended(objective: Objective, task: Task, watch: Watch) -> tuple[Outcome, tuple[Start, ...]]:
    """Minimise an objective from one point or several, and from where a search that was lost may be mended.

    Returns
    -------
    outcome : Outcome
    tried : tuple of Start
        Empty for one start.
    """
    x = objective.problem.x
    tried: tuple[Start, ...] = ()
    if task.starts > 1:
        outcome, tried = minimise_from_many(
            objective, x, task.starts, task.seed, watch, task.max_iterations, task.reports.part
        )
    else:
        outcome = minimise(objective, x, watch, task.max_iterations)
    outcome = _second_try(objective, outcome, task.model, watch, task.max_iterations)

    def errors_found(x: Array) -> Array:
        return _with_errors_found(objective.problem, task.model, x)

    outcome = from_plausible_spreads(objective, outcome, errors_found, watch, task.max_iterations)
    outcome = _other_side(objective, outcome, watch, task.max_iterations)
    return off_edges(objective, outcome, watch, task.max_iterations), tried


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
