"""By stochastic approximation: SAEM searches, importance sampling says what the likelihood is where it ended."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from workbench.engine.ending.likelihood import is_sparse
from workbench.engine.ending.verdict import standard_errors, verdict
from workbench.engine.methods.gradient import rivalled
from workbench.engine.methods.integration import (
    independently,
    mean_gradient_to_zero,
    nearer,
    refined,
    to_edges,
)
from workbench.engine.methods.saem import Found, saem
from workbench.engine.methods.way import Ended, Task, Way
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch, minimise, without_noise
from workbench.errors import FitError
from workbench.methods import Method
from workbench.results.fit import Status

_FEW = 60  # subjects
_FELL = 0.02  # of what the residual error was
_TO_NOTHING = 100  # iterations
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
        found = _as_far_as_noise(task.problem, saem(task.problem, options, watch, task.reports.part))
        target = Integral(task.problem, options.importance, found.x)
        at = target.evaluate(found.x)
        if not at.finite:
            raise FitError(
                "SAEM ended where the likelihood cannot be computed; try other initial values or another seed."
            )
        trace = (*found.trace[:-1], (found.trace[-1][0], at.ofv))
        outcome = Outcome(at, Status.stopped if found.stopped else Status.converged, trace, found.path)
        outcome, short = above_minimum(outcome, found.short)
        finished = _finished(target, outcome, found.stopped, task, watch)
        settled = to_edges(target, outcome, watch, task.max_iterations) if finished is None else outcome
        if finished is not None:
            outcome, accuracy, error = finished
            errors = standard_errors(target, outcome, watch, task.covariance)
        else:
            outcome, short = (outcome, short) if settled is outcome else (settled, "")
            errors = standard_errors(target, outcome, watch, task.covariance)
            accuracy = " ".join(filter(None, (target.accuracy(outcome.evaluation), short)))
            error = target.standard_error
        outcome, message = verdict(task.problem, outcome, errors)
        return rivalled(Ended(target, outcome, errors, message, accuracy), task, refined(task), 2.0 * error)

    def target(self, problem: Problem, method: Method, options: Any) -> Integral:
        """The likelihood by importance sampling."""
        return Integral(problem, options.importance, problem.x)


def _as_far_as_noise(problem: Problem, found: Found) -> Found:
    """Where the residual error fell as far as SAEM lets it, whether there is any: FOCEI follows it to nothing soon."""
    sigma, begun = problem.scale.point(found.x).sigma, problem.scale.point(problem.x).sigma
    free = [(entry.response, entry.which) for entry in problem.scale.errors if entry.free]
    if found.stopped or not any(sigma[place] < _FELL * begun[place] for place in free):
        return found
    try:
        end = minimise(Objective(problem), found.x, max_iterations=_TO_NOTHING).evaluation
    except FitError:
        return found
    return replace(found, x=end.x) if without_noise(problem, end) else found


def _finished(
    target: Integral, outcome: Outcome, stopped: bool, task: Task, watch: Watch
) -> tuple[Outcome, str, float] | None:
    """From an end of SAEM the last steps along the gradient of importance sampling.

    Of few subjects with few observations: the likelihood bends so strongly that the draws of one iteration say too
    little, and the curvature at the end does not tell how far above the minimum that is.

    Returns
    -------
    outcome : Outcome
    accuracy : str
    error : float
        Of the objective, by independent draws.
    None where nothing is to be finished, or no minimum was found.
    """
    if stopped or not is_sparse(task.problem) or task.problem.n_subjects > _FEW:
        return None
    begun = replace(outcome, status=Status.converged)
    there, inverse = mean_gradient_to_zero(target, begun, watch, task.max_iterations)
    there, noise = nearer(target, there, inverse)
    there = to_edges(target, there, watch, task.max_iterations)
    if not (there.status.ok and there.evaluation.ofv < outcome.evaluation.ofv + target.standard_error):
        target.centre(outcome.evaluation.x)
        return None
    there, accuracy, error = independently(target, there, task.data, noise)
    return there, f"{accuracy} The last steps were those of importance sampling.", error


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
