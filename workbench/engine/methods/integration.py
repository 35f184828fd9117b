"""By quadrature or importance sampling: the integrals are summed over nodes or draws, from where FOCEI ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.ending.likelihood import is_sparse
from workbench.engine.ending.spreads import at_edge, below_edge, off_edges
from workbench.engine.ending.uncertainty import hessian
from workbench.engine.ending.verdict import standard_errors, verdict
from workbench.engine.methods.gradient import descended, rivalled
from workbench.engine.methods.way import Ended, Task, Way, judged_end, subjects_by_name
from workbench.engine.objectives.integral import Integral, total_of
from workbench.engine.objectives.objective import Evaluation, Objective, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch, minimise, unit_steps
from workbench.methods import Method
from workbench.results.fit import Status

Array = NDArray[np.float64]

_STEPS = 40
_STEPS_TO_RIVAL = 8
_LONGEST = 2.0  # a step, in standard errors
_THERE = 1e-6  # of the objective: ½ gᵀ H⁻¹ g
_LEAST_CURVED = 0.02  # eigenvalue of the Hessian with unit diagonal
_REPEATS = 4  # independent sums for the objective where the search ended
_TURNS = 16
_MOST_TIMES = 16  # as many draws as in the search
_LEFT = 0.1  # of the objective, above its minimum: too much to have converged
_QUIET = 0.01  # of the objective, above its minimum
_APART = 7919  # between the seeds of independent draws
_UNSTABLE = 3.0  # standard errors between the sum that was searched with and independent ones
_FEW = 30.0  # effective draws of a subject
_AS_LOW = 0.01  # of the objective
_COARSE = 0.02  # of the objective, which a finer grid changes by more
_DIFFERENCE = 0.1  # of a standard error
_STEPS_OF_NODES = 4
_NEAR = 5e-4  # of the objective, above its minimum
_APART_BY = 4.0  # errors between the objectives of rivals


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
            lowest = _as_nodes_move(integral, outcome)
            if lowest is outcome:
                return rivalled(judged_end(integral, outcome, task, watch, tried), task, refined(task))
            errors = standard_errors(integral, lowest, watch, task.covariance)
            outcome, message = verdict(task.problem, lowest, errors)
            ended = Ended(integral, outcome, errors, message, integral.accuracy(outcome.evaluation), tried=tried)
            return rivalled(ended, task, refined(task))
        outcome, inverse = mean_gradient_to_zero(integral, begun, watch, task.max_iterations)
        outcome, noise = nearer(integral, outcome, inverse)
        outcome = to_edges(integral, outcome, watch, task.max_iterations)
        errors = standard_errors(integral, outcome, watch, task.covariance)
        outcome, accuracy, error = independently(integral, outcome, task.data, noise)
        outcome, message = verdict(task.problem, outcome, errors)
        ended = Ended(integral, outcome, errors, message, accuracy, tried=tried)
        return rivalled(ended, task, refined(task), _APART_BY * error)

    def target(self, problem: Problem, method: Method, options: Any) -> Integral:
        """The integral with its nodes around the modes."""
        return Integral(problem, options, problem.x)


def _as_nodes_move(integral: Integral, found: Outcome) -> Outcome:
    """The minimum of a sum over a coarse grid whose nodes move with the modes.

    Where the nodes stay at each step of a search it ends where they would not fall further if they stayed. With nodes
    that are too few to be exact that is another point: from there, Newton steps by differences of the sum itself.
    """
    at = found.evaluation
    if not (found.status.ok and at.x.size and abs(integral.change(at)) > _COARSE):
        return found
    following, x, lowest = integral.following(), at.x, at.ofv
    steps = _DIFFERENCE * unit_steps(integral.problem.scale, at)
    inverse, before = _of_approximation(integral.problem, at), None
    for _ in range(_STEPS_OF_NODES):
        ends = [[_objective(following, x + sign * row) for sign in (1.0, -1.0)] for row in np.diag(steps)]
        gradient = np.array([(up - down) / (2.0 * step) for (up, down), step in zip(ends, steps.tolist(), strict=True)])
        if not np.isfinite(gradient).all():
            break
        if before is not None:
            inverse = _learned(inverse, before[0], gradient - before[1])
        step = -inverse @ gradient
        if -0.5 * float(gradient @ step) < _NEAR:
            break
        for _ in range(4):
            value = _objective(following, x + step)
            if value < lowest:
                break
            step = 0.5 * step
        else:
            break
        x, lowest, before = x + step, value, (step, gradient)
    if x is at.x:
        return found
    integral.centre(x)
    end = integral.evaluate(x)
    if not (end.finite and end.ofv < at.ofv):
        integral.centre(at.x)
        return found
    trace = (*found.trace, (found.trace[-1][0] + 1, end.ofv))
    return replace(found, evaluation=end, trace=trace, path=(*found.path, end.x))


def _objective(integral: Integral, x: Array) -> float:
    return total_of(integral.by_subject(x))


def mean_gradient_to_zero(
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
    inverse = _of_approximation(integral.problem, begun.evaluation)
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


def to_edges(integral: Integral, found: Outcome, watch: Watch, most: int) -> Outcome:
    """From standard deviations that are nearly 0 and as well 0, with the others searched on from there.

    Where the objective falls with the variance, the search goes on inside.
    """
    if not found.status.ok:
        return found
    at = integral.evaluate(found.evaluation.x)
    edge = at_edge(integral.following(), at, _AS_LOW + integral.standard_error)
    if edge is None:
        return found
    again, _ = mean_gradient_to_zero(integral, replace(found, evaluation=edge), watch, most)
    if again.status.ok and again.evaluation.ofv < at.ofv + _AS_LOW + integral.standard_error:
        none = at_edge(integral, again.evaluation, _AS_LOW)  # steps towards others may have moved it
        return again if none is None else replace(again, evaluation=none)
    integral.centre(at.x)
    return found


def refined(task: Task) -> Callable[[Evaluation], Evaluation]:
    """Makes of a minimum of the approximation one of the integral."""

    def to_integral(begun: Evaluation) -> Evaluation:
        integral = Integral(task.problem, getattr(task.options, "importance", task.options), begun.x)
        outcome = Outcome(begun, Status.converged, ((0, begun.ofv),))
        if integral.drawn:
            most = min(_STEPS_TO_RIVAL, task.max_iterations)
            outcome, _ = mean_gradient_to_zero(integral, outcome, lambda iteration, at: False, most)
        else:
            outcome = minimise(integral, begun.x, max_iterations=task.max_iterations)
        return outcome.evaluation

    return to_integral


def _others(integral: Integral, x: Array, first: int = 1, times: int = 1) -> Iterator[Integral]:
    """Integrals by draws that had no part in the search, around the modes at x."""
    for k in range(first, first + _REPEATS):
        draws = integral.draws
        other = replace(draws, samples=times * draws.samples, seed=draws.seed + _APART * k)
        yield Integral(integral.problem, other, x)


class _Turn(NamedTuple):
    """A step from x, along the mean gradient there of draws whose mean objective is `value`, with its error."""

    x: Array
    step: Array
    gradient: Array
    value: float
    error: float


def nearer(integral: Integral, found: Outcome, inverse: Array) -> tuple[Outcome, float]:
    """Steps along the mean gradient of other draws as well, of more where their noise moves the end.

    Returns
    -------
    outcome : Outcome
    noise : float
        How far above its minimum the objective is because of the noise that is left, about.
    """
    x, noise, left, times = found.evaluation.x, 0.0, 0.0, 1
    if not found.status.ok or not x.size:
        return found, noise
    before: _Turn | None = None
    nearest = math.inf, x
    sure = not is_sparse(integral.problem)  # or else curvature of the approximation is not that of the likelihood
    for turn in range(1, _TURNS + 1):
        others = [other.evaluate(x) for other in _others(integral, x, 1 + turn * _REPEATS, times)]
        sums = np.array([at.ofv for at in others])
        value, error = float(sums.mean()), float(sums.std(ddof=1)) / math.sqrt(_REPEATS)
        if before is not None and not value - before.value < _QUIET + _UNSTABLE * math.hypot(error, before.error):
            step = 0.5 * (x - before.x)  # too far: half of it
            x = before.x + step
            before = before._replace(step=step)
            continue
        gradients = np.array([at.gradient for at in others])
        count = _REPEATS + (turn == 1)  # the gradient of the draws of the search is 0
        gradient, apart = gradients.sum(axis=0) / count, gradients - gradients.mean(axis=0)
        if not np.isfinite(gradient).all():
            break
        if before is not None and 0.5 * float(before.step @ (gradient - before.gradient)) > noise:
            inverse = _learned(inverse, before.step, gradient - before.gradient)
        if not sure and 0.5 * float(gradient @ inverse @ gradient) < _QUIET:
            sure, following = True, integral.following()
            inverse = _inverse_hessian(following, following.evaluate(x))
        step = -inverse @ gradient
        left = -0.5 * float(gradient @ step)
        noise = 0.5 * float(np.einsum("kp,pq,kq->", apart, inverse, apart)) / (_REPEATS - 1) / count
        step *= min(1.0, _LONGEST / max(math.sqrt(2.0 * left), 1e-300))
        before = _Turn(x, step, gradient, value, error)
        if sure and left < nearest[0]:
            nearest = left, x
        x = x + step
        if max(left, noise) < _QUIET:
            break
        if noise > max(_QUIET, 0.5 * left):
            times = min(4 * times, _MOST_TIMES)
    else:
        left, x = min((left, x), nearest, key=lambda one: one[0])
    integral.centre(x)
    at = integral.evaluate(x)
    if not (at.finite and at.ofv < found.evaluation.ofv + _QUIET + _UNSTABLE * integral.standard_error):
        integral.centre(found.evaluation.x)
        return found, noise
    trace = (*found.trace, (found.trace[-1][0] + 1, at.ofv))
    status = Status.max_iterations if left > max(_LEFT, _UNSTABLE * noise) else found.status
    return replace(found, evaluation=at, status=status, trace=trace, path=(*found.path, at.x)), noise


def _size(at: Evaluation, inverse: Array) -> float:
    return float(at.gradient @ inverse @ at.gradient)


def _inverse_hessian(target: Target, at: Evaluation) -> Array:
    """The inverse Hessian of a target at an evaluation of it, bent to be positive."""
    problem, matrix = target.problem, hessian(target, at)
    if matrix is None or not np.isfinite(matrix).all():
        matrix = 0.5 * at.scores.T @ at.scores
    floor = np.where(problem.scale.logarithmic, 1.0, 1e-300)
    unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), floor))
    values, vectors = np.linalg.eigh(matrix * np.outer(unit, unit))
    values = np.maximum(np.abs(values), _LEAST_CURVED)
    return np.asarray((vectors / values) @ vectors.T * np.outer(unit, unit))


def _of_approximation(problem: Problem, at: Evaluation) -> Array:
    """The inverse Hessian of the approximation at the same x."""
    objective = Objective(problem)
    return _inverse_hessian(objective, objective.evaluate(at.x))


def _learned(inverse: Array, step: Array, change: Array) -> Array:
    """The BFGS update of an inverse Hessian; the same one where the gradient does not rise along the step."""
    along = float(step @ change)
    expected = float(change @ inverse @ change)
    if not (math.isfinite(along) and along > 1e-3 * math.sqrt(max(expected, 0.0) * float(step @ step) or 1e-300)):
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / along
    return np.asarray(left @ inverse @ left.T + np.outer(step, step) / along)


def independently(
    integral: Integral, outcome: Outcome, data: GroupedData, noise: float
) -> tuple[Outcome, str, float]:  # fmt: skip
    """The outcome with the objective by draws that had no part in the search, and how exact that is, in a sentence too.

    A search whose own draws say something else has followed their noise, and did not converge.
    """
    x = outcome.evaluation.x
    own, own_error = integral.evaluate(x), integral.standard_error
    sums, errors, effective = [], [], []
    for other in _others(integral, x):
        sums.append(other.by_subject(x))
        errors.append(other.standard_error)
        effective.append(other.effective)
    by_subject = np.mean(sums, axis=0)
    ofv = float(by_subject.sum())
    spread = float(np.std(np.sum(sums, axis=1), ddof=1))
    error = max(spread, float(np.mean(errors))) / math.sqrt(_REPEATS)
    said = f"{integral.said} The Monte Carlo error of the OFV, by independent draws, is {error:.2g}.".strip()
    if noise > max(error, _QUIET):
        said += f" The noise of the draws leaves the estimates about {noise:.1g} above the minimum; take more samples."
    scarce = np.flatnonzero(np.mean(effective, axis=0) < _FEW)
    if scarce.size:
        said += f" Few of the draws count for {subjects_by_name(data, scarce.tolist())}: take more samples."
    at = replace(own, ofv=ofv, by_subject=by_subject) if math.isfinite(ofv) else own
    trace = (*outcome.trace[:-1], (outcome.trace[-1][0], at.ofv))
    outcome = replace(outcome, evaluation=at, trace=trace)
    if outcome.status.ok and not abs(own.ofv - ofv) < _UNSTABLE * math.hypot(own_error, error) + 1e-3:
        said += f" The draws of the search say {own.ofv:.2f}: they followed their noise; take more samples."
        outcome = replace(outcome, status=Status.stalled)
    return outcome, said, error
