"""By quadrature or importance sampling: the integrals are summed over nodes or draws, from where FOCEI ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.ending.spreads import below_edge, off_edges
from workbench.engine.ending.uncertainty import hessian
from workbench.engine.ending.verdict import standard_errors, verdict
from workbench.engine.methods.gradient import descended
from workbench.engine.methods.way import Ended, Task, Way, judged_end
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch, minimise
from workbench.methods import Importance, Method
from workbench.results.fit import Status

Array = NDArray[np.float64]

_STEPS = 40
_LONGEST = 2.0  # a step, in standard errors
_THERE = 1e-6  # of the objective: ½ gᵀ H⁻¹ g
_LEAST_CURVED = 0.02  # eigenvalue of the Hessian with unit diagonal
_REPEATS = 4  # independent sums for the objective where the search ended
_APART = 7919  # between the seeds of independent draws
_UNSTABLE = 3.0  # standard errors between the sum that was searched with and independent ones
_FEW = 30.0  # effective draws of a subject


class ByIntegration(Way):
    """Minimise the objective of the approximation, then the integral from there."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended."""
        watch = task.reports.watch(task.problem.scale)
        begun, tried = descended(Objective(task.problem, task.method.approximation), task, watch)
        integral = Integral(task.problem, task.options, begun.evaluation.x)
        if begun.status in (Status.stopped, Status.diverged):  # or lost: there is nothing to integrate
            at = integral.evaluate(begun.evaluation.x)
            return judged_end(integral, Outcome(at, begun.status, ((0, at.ofv),), (at.x,)), task, watch, tried)
        if not integral.drawn:
            outcome = minimise(integral, begun.evaluation.x, watch, task.max_iterations)
            outcome = off_edges(integral, outcome, watch, task.max_iterations)
            return judged_end(integral, outcome, task, watch, tried)
        outcome, inverse = _mean_gradient_to_zero(integral, begun, watch, task.max_iterations)
        outcome = _nearer(integral, outcome, inverse, task.options)
        errors = standard_errors(integral, outcome, watch, task.covariance)
        outcome, accuracy = independently(integral, outcome, task.options, task.data)
        outcome, message = verdict(task.problem, outcome, errors)
        return Ended(integral, outcome, errors, message, accuracy, tried=tried)

    def target(self, problem: Problem, method: Method, options: Any) -> Integral:
        """The integral with its nodes around the modes."""
        return Integral(problem, options, problem.x)


def _mean_gradient_to_zero(
    integral: Integral, begun: Outcome, watch: Watch, most: int
) -> tuple[Outcome, Array]:  # fmt: skip
    """Newton steps along the mean gradient of draws that follow the modes, from where the approximation ended.

    The Hessian is that of the approximation, and learns (BFGS) from how the gradient changes; its inverse is returned
    with the outcome.
    """
    following, x = integral.following(), begun.evaluation.x
    at = following.evaluate(x)
    at = below_edge(following, at) or at  # at an edge the gradient is 0 whatever the objective does
    x = at.x
    offset = begun.trace[-1][0] + 1
    trace, path, status = [(offset, at.ofv)], [x], Status.max_iterations
    inverse = _inverse_hessian(integral.problem, begun.evaluation)
    for step_number in range(1, min(_STEPS, most) + 1):
        if not at.finite:
            status = Status.stalled
            break
        if watch(offset + step_number - 1, at):
            status = Status.stopped
            break
        left = 0.5 * float(at.gradient @ inverse @ at.gradient)
        if left < _THERE:
            status = Status.converged
            break
        step = -inverse @ at.gradient
        step *= min(1.0, _LONGEST / max(math.sqrt(2.0 * left), 1e-300))
        moved = following.evaluate(at.x + step)
        for _ in range(6):
            higher = moved.ofv - at.ofv > following.standard_error
            if moved.finite and not higher and _size(moved, inverse) < 2.0 * _size(at, inverse):
                break
            step = 0.5 * step
            moved = following.evaluate(at.x + step)
        else:  # no way down from here: a corner that draws pass, say
            status = Status.stalled
            break
        inverse = _learned(inverse, step, moved.gradient - at.gradient)
        at = moved
        trace.append((offset + step_number, at.ofv))
        path.append(at.x)
    integral.centre(at.x)
    return Outcome(integral.evaluate(at.x), status, (*begun.trace, *trace), (*begun.path, *path)), inverse


def _others(integral: Integral, options: Importance, x: Array) -> Iterator[Integral]:
    """Integrals by draws that had no part in the search, around the modes at x."""
    for k in range(1, _REPEATS + 1):
        other = Integral(integral.problem, replace(options, seed=options.seed + _APART * k), x)
        other.adapt(x)
        yield other


def _nearer(integral: Integral, found: Outcome, inverse: Array, options: Importance) -> Outcome:
    """One more step, along the mean gradient of other draws as well: their noise moves the end less far."""
    if not found.status.ok:
        return found
    x = found.evaluation.x
    gradients = [other.evaluate(x).gradient for other in _others(integral, options, x)]
    step = -inverse @ (np.sum(gradients, axis=0) / (1 + _REPEATS))
    integral.centre(x + step)
    at = integral.evaluate(x + step)
    if not at.finite:
        integral.centre(x)
        return found
    trace = (*found.trace, (found.trace[-1][0] + 1, at.ofv))
    return replace(found, evaluation=at, trace=trace, path=(*found.path, at.x))


def _size(at: Evaluation, inverse: Array) -> float:
    return float(at.gradient @ inverse @ at.gradient)


def _inverse_hessian(problem: Problem, at: Evaluation) -> Array:
    """Of the approximation where it is least, bent to be positive."""
    matrix = hessian(Objective(problem), at)
    if matrix is None or not np.isfinite(matrix).all():
        matrix = 0.5 * at.scores.T @ at.scores
    floor = np.where(problem.scale.logarithmic, 1.0, 1e-300)
    unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), floor))
    values, vectors = np.linalg.eigh(matrix * np.outer(unit, unit))
    values = np.maximum(np.abs(values), _LEAST_CURVED)
    return np.asarray((vectors / values) @ vectors.T * np.outer(unit, unit))


def _learned(inverse: Array, step: Array, change: Array) -> Array:
    """The BFGS update of an inverse Hessian; the same one where the gradient does not rise along the step."""
    along = float(step @ change)
    expected = float(change @ inverse @ change)
    if not (math.isfinite(along) and along > 1e-3 * math.sqrt(max(expected, 0.0) * float(step @ step) or 1e-300)):
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / along
    return np.asarray(left @ inverse @ left.T + np.outer(step, step) / along)


def independently(
    integral: Integral, outcome: Outcome, options: Importance, data: GroupedData
) -> tuple[Outcome, str]:  # fmt: skip
    """The outcome with the objective by draws that had no part in the search, and how exact that is in a sentence.

    A search whose own draws say something else has followed their noise, and did not converge.
    """
    x = outcome.evaluation.x
    own, own_error = integral.evaluate(x), integral.standard_error
    sums, errors, effective = [], [], []
    for other in _others(integral, options, x):
        sums.append(other.evaluate(x).by_subject)
        errors.append(other.standard_error)
        effective.append(other.effective)
    by_subject = np.mean(sums, axis=0)
    ofv = float(by_subject.sum())
    spread = float(np.std(np.sum(sums, axis=1), ddof=1))
    error = max(spread, float(np.mean(errors))) / math.sqrt(_REPEATS)
    said = f"The Monte Carlo error of the OFV, by independent draws, is {error:.2g}."
    scarce = np.flatnonzero(np.mean(effective, axis=0) < _FEW)
    if scarce.size:
        labels = ", ".join(str(data.events.subjects[i]) for i in scarce[:8].tolist()) + (
            ", …" if scarce.size > 8 else ""
        )
        said += (
            f" Few of the draws count for {'subjects' if scarce.size > 1 else 'subject'} {labels}: take more samples."
        )
    at = replace(own, ofv=ofv, by_subject=by_subject) if math.isfinite(ofv) else own
    trace = (*outcome.trace[:-1], (outcome.trace[-1][0], at.ofv))
    outcome = replace(outcome, evaluation=at, trace=trace)
    if outcome.status.ok and not abs(own.ofv - ofv) < _UNSTABLE * math.hypot(own_error, error) + 1e-3:
        said += f" The draws of the search say {own.ofv:.2f}: they followed their noise; take more samples."
        outcome = replace(outcome, status=Status.stalled)
    return outcome, said
