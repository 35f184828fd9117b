"""By stochastic approximation: SAEM searches, importance sampling says what the likelihood is where it ended."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from workbench.engine.ending.verdict import standard_errors, verdict
from workbench.engine.methods.saem import saem
from workbench.engine.methods.way import Ended, Task, Way
from workbench.engine.objectives.integral import Integral
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome
from workbench.errors import FitError
from workbench.methods import Method
from workbench.results.fit import Status

_SHORT = 0.1  # of the objective: a third of a standard error in one direction


class BySaem(Way):
    """Search by SAEM, then compute the objective where it ended."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended.

        Raises
        ------
        FitError
            If the objective cannot be computed there.
        """
        watch, options = task.reports.watch(task.problem.scale), task.options
        found = saem(task.problem, options, watch, task.reports.part)
        target = Integral(task.problem, options.importance, found.x)
        at = target.evaluate(found.x)
        if not at.finite:
            raise FitError(
                "SAEM ended where the likelihood cannot be computed; try other initial values or another seed."
            )
        trace = (*found.trace[:-1], (found.trace[-1][0], at.ofv))
        outcome = Outcome(at, Status.stopped if found.stopped else Status.converged, trace, found.path)
        errors = standard_errors(target, outcome, watch, task.covariance)
        outcome, short = above_minimum(outcome, found.short)
        accuracy = " ".join(filter(None, (target.accuracy(outcome.evaluation), short)))
        outcome, message = verdict(task.problem, outcome, errors)
        return Ended(target, outcome, errors, message, accuracy)

    def target(self, problem: Problem, method: Method, options: Any) -> Integral:
        """The likelihood by importance sampling."""
        return Integral(problem, options.importance, problem.x)


def above_minimum(outcome: Outcome, short: float) -> tuple[Outcome, str]:
    """How far above the nearest minimum SAEM ended, in a sentence; what ended too far up did not converge."""
    if not outcome.status.ok:
        return outcome, ""
    if not math.isfinite(short):
        return replace(outcome, status=Status.max_iterations), "How far above its minimum SAEM ended is not known."
    said = f"SAEM ended about {short:.1g} above the nearest minimum of it"
    if short < _SHORT:
        return outcome, f"{said}."
    return replace(outcome, status=Status.max_iterations), f"{said}; more smoothing steps, or chains, come closer."
