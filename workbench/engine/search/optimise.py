"""The outer problem: scipy's BFGS on the exact gradient, in a scale where a unit is about a standard error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from workbench.engine.objectives.objective import Evaluation, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Scale
from workbench.errors import FitError
from workbench.results.fit import Status

Array = NDArray[np.float64]
Watch = Callable[[int, Evaluation], bool]

# In the scaled coordinates the objective is near g²/2 above its minimum: 1e-3 leaves less than 1e-6.
_GRADIENT = 1e-3
# What a search that cannot go on may still be short of the minimum and be called converged.
_SHORT_OF_MINIMUM = 1e-4
_RESTARTS = 5
_KEPT = 2  # evaluations, which of many subjects are large
NO_NOISE = 1e-6  # standard deviation of the residual error, relative to the responses
_FELL = 1e-2  # of what it was: only then is that worth a look


@dataclass(frozen=True, eq=False)
class Outcome:
    """Where the search ended and how.

    Attributes
    ----------
    trace : tuple of (iteration, objective)
    path : tuple of float64[size]
        x at each of them; empty where it was not kept.
    """

    evaluation: Evaluation
    status: Status
    trace: tuple[tuple[int, float], ...]
    path: tuple[Array, ...] = ()


def minimise(objective: Target, x: Array, watch: Watch | None = None, max_iterations: int = 500) -> Outcome:
    """Minimise an objective from x.

    Parameters
    ----------
    objective : Objective or Integral
    x : float64[size]
    watch : callable, optional
        Called with (iteration, evaluation) at the start and after each iteration; True stops the search.
    max_iterations : int

    Raises
    ------
    FitError
        If the objective cannot be computed at x.
    """
    begin = objective.evaluate(x)
    if not begin.finite:
        raise FitError(
            "The objective cannot be computed at the initial values: a prediction or its variance is not a number "
            "there, or no mode of the random effects was found. Try other initial values."
        )
    search = _Minimisation(objective, begin, watch, max_iterations)
    status = Status.converged if not x.size else Status.stalled
    if search.stopped:
        status = Status.stopped
    elif x.size:
        for _ in range(_RESTARTS):
            before = search.current.ofv
            status = search.descend()
            if status is Status.converged:
                if not search.deepen():
                    break
            elif status is Status.stalled:  # on a cliff, say: the scale of the new place often mends it
                if before - search.current.ofv < _SHORT_OF_MINIMUM:
                    break
            else:
                break
        else:  # the last place it was put to, by a deeper mode or new nodes, is no minimum yet
            status = search.descend()
        if status is not Status.converged:
            search.deepen()  # what is said of the place is true of it, wherever the search ended
    return Outcome(search.current, status, tuple(search.trace), tuple(search.path))


def resumed(target: Target, found: Outcome, x: Array, watch: Watch, max_iterations: int) -> Outcome:
    """Search on from another point; the better of both ends, with the trace of both searches."""
    offset = len(found.trace)
    left = max(max_iterations - offset, 0)
    other = minimise(target, x, lambda iteration, at: watch(offset + iteration, at), left)
    trace = (*found.trace, *((offset + iteration, ofv) for iteration, ofv in other.trace))
    path = (*found.path, *other.path)
    if other.evaluation.ofv < found.evaluation.ofv:
        return Outcome(other.evaluation, other.status, trace, path)
    target.accept(found.evaluation)
    watch(offset + len(other.trace), found.evaluation)
    trace, path = (*trace, (offset + len(other.trace), found.evaluation.ofv)), (*path, found.evaluation.x)
    status = Status.stopped if other.status is Status.stopped else found.status
    return Outcome(found.evaluation, status, trace, path)


def unit_steps(scale: Scale, evaluation: Evaluation) -> Array:
    """A natural step of each x: about its standard error were it alone, from the scores of the subjects.

    Not more than a factor of e where x is a logarithm, however flat the objective is there.
    """
    curvature = 0.5 * (evaluation.scores**2).sum(axis=0)
    typical = float(np.median(curvature[curvature > 0])) if (curvature > 0).any() else 1.0
    unit = 1.0 / np.sqrt(np.where(curvature > 1e-12 * typical, curvature, typical))
    return np.where(scale.logarithmic, np.minimum(unit, 1.0), unit)


def without_noise(problem: Problem, at: Evaluation) -> bool:
    """Whether the predictions follow the observations as far as numbers go, so that the likelihood has no bound.

    The residual error went to nothing then, from a usual size.
    """
    sigma, begun = at.point.sigma, problem.scale.point(problem.x).sigma
    fell = any(
        entry.free and sigma[entry.response, entry.which] < _FELL * begun[entry.response, entry.which]
        for entry in problem.scale.errors
    )
    return fell and problem.noise(at.point, at.eta) < NO_NOISE


class _Minimisation:
    """The progress of a minimisation: the best point, and how it came there."""

    def __init__(self, objective: Target, begin: Evaluation, watch: Watch | None, max_iterations: int):
        self._objective, self._watch, self._max_iterations = objective, watch, max_iterations
        self.trace: list[tuple[int, float]] = []
        self.path: list[Array] = []
        self.stopped = self.noiseless = False
        self._origin, self._unit = begin.x, np.ones_like(begin.x)
        self._seen: dict[bytes, Evaluation] = {}
        self._reach(begin)

    def descend(self) -> Status:
        """One run of BFGS from the current point, scaled by what the scores say there."""
        self._origin, self._unit = self.current.x, unit_steps(self._objective.problem.scale, self.current)
        zero = np.zeros_like(self.current.x)
        self._seen = {zero.tobytes(): self.current}
        left = self._max_iterations - self.iteration
        if left <= 0:
            return Status.max_iterations
        with np.errstate(all="ignore"):
            result = minimize(
                self._value, zero, jac=True, method="BFGS", callback=self._step,
                options={"gtol": _GRADIENT, "norm": 2, "maxiter": left},
            )  # fmt: skip
        if self.stopped:
            return Status.stopped
        if self.noiseless:
            return Status.diverged
        if result.success:
            return Status.converged
        if self.iteration >= self._max_iterations:
            return Status.max_iterations
        slope = self._unit * self.current.gradient
        short = 0.5 * float(slope @ result.hess_inv @ slope)
        return Status.converged if short < _SHORT_OF_MINIMUM else Status.stalled

    def deepen(self) -> bool:
        """Whether some subject has a deeper mode than the one followed so far; goes on from there then."""
        deeper = self._objective.deepen(self.current)
        if deeper is self.current or not deeper.finite:
            return False
        self._reach(deeper)
        return True

    @property
    def iteration(self) -> int:
        return self.trace[-1][0]

    def _reach(self, evaluation: Evaluation) -> None:
        self.current = evaluation
        self._objective.accept(evaluation)
        self.trace.append((len(self.trace), evaluation.ofv))
        self.path.append(evaluation.x)
        if self._watch and self._watch(self.iteration, evaluation):
            self.stopped = True

    def _at(self, z: Array) -> Evaluation:
        key = z.tobytes()
        if key not in self._seen:
            if len(self._seen) >= _KEPT:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = self._objective.evaluate(self._origin + self._unit * z)
        return self._seen[key]

    def _value(self, z: Array) -> tuple[float, Array]:
        evaluation = self._at(z)
        if not evaluation.finite:
            return np.inf, np.zeros_like(z)
        return evaluation.ofv, self._unit * evaluation.gradient

    def _step(self, intermediate_result: OptimizeResult) -> None:
        reached = self._at(intermediate_result.x)
        if not reached.finite:
            raise StopIteration
        self._reach(reached)
        self._seen = {intermediate_result.x.tobytes(): reached}
        if not self.noiseless:
            self.noiseless = without_noise(self._objective.problem, reached)
        if self.stopped or self.noiseless:
            raise StopIteration
