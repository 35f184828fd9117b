"""By gradient: the objective is minimised where modes stand for the integrals over the random effects.

So it goes for FO, FOCE, FOCEI and Laplace, and for a model without random effects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.engine.ending.likelihood import beside_likelihood
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


class ByGradient(Way):
    """Minimise the objective of the method's approximation."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended."""
        watch = task.reports.watch(task.problem.scale)
        objective = self.target(task.problem, task.method, task.options)
        outcome, tried = descended(objective, task, watch)
        return _beside(judged_end(objective, outcome, task, watch, tried), task)

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
    return _other_side(objective, outcome, watch, task.max_iterations), tried


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
