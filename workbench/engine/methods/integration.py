"""By quadrature or importance sampling: the integrals are summed over nodes or draws, from where FOCEI ends."""

from __future__ import annotations

from typing import Any

from workbench.engine.methods.gradient import descended
from workbench.engine.methods.way import Ended, Task, Way, judged_end
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch, minimise
from workbench.methods import Method
from workbench.results.fit import Status


class ByIntegration(Way):
    """Minimise the objective of the approximation, then the integral from there."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended."""
        watch = task.reports.watch(task.problem.scale)
        begun, tried = descended(Objective(task.problem, task.method.approximation), task, watch)
        integral = Integral(task.problem, task.options, begun.evaluation.x)
        return judged_end(integral, _integrated(integral, begun, watch, task.max_iterations), task, watch, tried)

    def target(self, problem: Problem, method: Method, options: Any) -> Integral:
        """The integral with its nodes around the modes."""
        return Integral(problem, options, problem.x)


def _integrated(target: Integral, begun: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """Minimise an integral from where the approximation ended."""
    if begun.status is not Status.stopped:
        return minimise(target, begun.evaluation.x, watch, max_iterations)
    at = target.evaluate(begun.evaluation.x)
    return Outcome(at, Status.stopped, ((0, at.ofv),), (at.x,))
