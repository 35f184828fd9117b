"""The outer problem: BFGS on the exact gradient, in a scale where a unit is about a standard error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.objective import Evaluation, Target
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Scale
from workbench.engine.search.quasi_newton import Value, descend
from workbench.errors import FitError
from workbench.results.fit import Status

Array = NDArray[np.float64]
Watch = Callable[[int, Evaluation], bool]

# In the scaled coordinates the objective is near g²/2 above its minimum: 1e-3 leaves less than 1e-6.
_GRADIENT = 1e-3
# What a search that cannot go on may still be short of the minimum and be called converged.
_SHORT_OF_MINIMUM = 1e-4
_RESTARTS = 5
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


def minimise(
    objective: Target, x: Array, watch: Watch | None = None, max_iterations: int = 500, begin: Evaluation | None = None
) -> Outcome:
    """Minimise an objective from x.

    Parameters
    ----------
    objective : Objective or Integral
    x : float64[size]
    watch : callable, optional
        Called with (iteration, evaluation) at the start and after each iteration; True stops the search.
    max_iterations : int
    begin : Evaluation, optional
        The one at x, where that is known already.

    Raises
    ------
    FitError
        If the objective cannot be computed at x.
    """
    begin = begin or objective.evaluate(x)
    if not begin.finite:
        raise FitError(
            "The objective cannot be computed at the initial values: a prediction or its variance is not a number "
            "there, or no mode of the random effects was found. Try other initial values."
        )
    search = _Minimisation(objective, begin, watch, max_iterations)
    del begin  # it may be large, and is left behind
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
        if status not in (Status.converged, Status.stopped):  # who stops it waits for nothing
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
    typical = median([part for part in curvature.tolist() if part > 0.0] or [1.0])
    unit = 1.0 / np.sqrt(np.where(curvature > 1e-12 * typical, curvature, typical))
    return np.asarray(np.where(scale.logarithmic, np.minimum(unit, 1.0), unit))


def without_noise(problem: Problem, at: Evaluation) -> bool:
    """Whether the predictions follow the observations as far as numbers go, so that the likelihood has no bound.

    The residual error went to nothing then, from a usual size.
    """
    sigma, begun = at.point.sigma, problem.begun[0].sigma
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
        self._reach(begin)

    def descend(self) -> Status:
        """One run of BFGS from the current point, scaled by what the scores say there."""
        origin, unit = self.current.x, unit_steps(self._objective.problem.scale, self.current)
        left = self._max_iterations - self.iteration
        if left <= 0:
            return Status.max_iterations

        def function(z: Array, at: Evaluation | None = None) -> Value[Evaluation]:
            at = at or self._objective.evaluate(origin + unit * z)
            return Value(z, at.ofv, unit * at.gradient, at) if at.finite else Value(z, np.inf, np.zeros_like(z), at)

        with np.errstate(all="ignore"):
            ended = descend(function, function(np.zeros_like(origin), self.current), _GRADIENT, left, self._stepped)
        if self.stopped:
            return Status.stopped
        if self.noiseless:
            return Status.diverged
        if ended.converged:
            return Status.converged
        if self.iteration >= self._max_iterations:
            return Status.max_iterations
        slope = unit * self.current.gradient
        short = 0.5 * float(slope @ ended.inverse @ slope)
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

    def _stepped(self, value: Value[Evaluation]) -> bool:
        """After an iteration; true ends the descent."""
        self._reach(value.of)
        if not self.noiseless:
            self.noiseless = without_noise(self._objective.problem, value.of)
        return self.stopped or self.noiseless
