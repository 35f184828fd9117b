"""Quasi-Newton descent: BFGS with a line search that meets the strong Wolfe conditions.

Nocedal & Wright (2006, Numerical Optimization, 2nd ed., algorithm 6.1) and Moré & Thuente (1994, ACM Trans Math Softw
20:286), for functions of a few variables that are quick to compute: between two values there is next to nothing to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_Of = TypeVar("_Of")

_FALLS, _FLATTER = 1e-4, 0.9  # Wolfe's conditions: share of the fall that the slope promises, and of the slope
_STEPS = 30  # of a line search
_LONGER = (1.1, 4.0)  # than the last increase, is the next one
_SHORTER = 0.66  # an interval after two trials, or it is halved
_NOTHING = 1e-14  # of a step: an interval as short is a point


class Value(NamedTuple, Generic[_Of]):
    """A function at a point.

    Attributes
    ----------
    z : float64[k]
    f : float
        Infinite where there is none.
    gradient : float64[k]
    of : object
        What it was found by.
    """

    z: Array
    f: float
    gradient: Array
    of: _Of


@dataclass(frozen=True)
class Ended:
    """How a descent ended.

    Attributes
    ----------
    converged : bool
        The gradient is short enough.
    inverse : float64[k, k]
        Of the Hessian, as far as it is known.
    """

    converged: bool
    inverse: Array


def descend(
    function: Callable[[Array], Value[_Of]],
    begin: Value[_Of],
    shortest: float,
    iterations: int,
    reached: Callable[[Value[_Of]], bool],
) -> Ended:
    """Go down from a point, in coordinates of about unit curvature.

    Parameters
    ----------
    function : callable
    begin : Value
        Its value at the first point.
    shortest : float
        Length of the gradient at which the descent ends.
    iterations : int
    reached : callable
        Told of the value after each iteration; true ends the descent.
    """
    at, inverse = begin, np.eye(len(begin.z))
    del begin  # what values were found by may be large: those behind are let go, here and below
    fell = 0.5 * _length(at.gradient)
    for _ in range(iterations):
        if not _length(at.gradient) > shortest:
            return Ended(True, inverse)
        step = -(inverse @ at.gradient)
        slope = float(step @ at.gradient)
        first = min(1.0, -2.02 * fell / slope) if slope < 0.0 and fell > 0.0 else 1.0
        found = _along(function, at, step, slope, first)
        if found is None:
            return Ended(False, inverse)
        fell, z, gradient, at = at.f - found.f, at.z, at.gradient, found
        if reached(at):
            return Ended(False, inverse)
        _update(inverse, at.z - z, at.gradient - gradient)
    return Ended(not _length(at.gradient) > shortest, inverse)


def _length(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))


def _update(inverse: Array, step: Array, change: Array) -> None:
    """The inverse of a Hessian after a step, along which the gradient changed."""
    along = float(step @ change)
    if not along > 0.0:
        return
    turned = inverse @ change
    weight = (1.0 + float(change @ turned) / along) / along
    column = step[:, None]
    cross = column * turned / along
    inverse += weight * (column * step) - cross - cross.T


class _Trial(NamedTuple):
    """Along a step: how far, the value, and the slope there."""

    t: float
    f: float
    slope: float


def _along(
    function: Callable[[Array], Value[_Of]], at: Value[_Of], step: Array, slope: float, first: float
) -> Value[_Of] | None:  # fmt: skip
    """A point along a step where Wolfe's conditions hold; None where none is found, as beside a jump."""
    if not slope < 0.0:
        return None
    low, high = _Trial(0.0, at.f, slope), None
    t, width, before = first, math.inf, math.inf
    for _ in range(_STEPS):
        there = function(at.z + t * step)
        finite = there.f < math.inf
        trial = _Trial(t, there.f, float(there.gradient @ step) if finite else math.nan)
        if trial.f <= at.f + _FALLS * t * slope and abs(trial.slope) <= -_FLATTER * slope:
            return there
        del there
        t = _next(low, trial, high)
        if not trial.f <= low.f:
            high = trial
        else:
            least, most = (trial.t + times * (trial.t - low.t) for times in _LONGER)
            if trial.slope * low.slope < 0.0:
                high = low
            low = trial
            if high is None:
                t = min(max(t, least), most) if math.isfinite(t) else most
        if high is not None:
            if abs(high.t - low.t) <= _NOTHING * max(high.t, low.t):
                return None
            middle, ends = low.t + 0.5 * (high.t - low.t), (min(low.t, high.t), max(low.t, high.t))
            if not ends[0] < t < ends[1] or ends[1] - ends[0] >= _SHORTER * before:
                t = middle
            before, width = width, ends[1] - ends[0]
    return None


def _next(low: _Trial, trial: _Trial, high: _Trial | None) -> float:
    """Where to try next, from the lowest trial, the last one, and the other end of the interval (their section 4).

    Infinite or NaN where they do not tell.
    """
    cubic = _lowest(low, trial)
    if not trial.f <= low.f:
        fall = low.f - trial.f + low.slope * (trial.t - low.t)
        parabola = low.t + 0.5 * low.slope / (fall / (trial.t - low.t)) * (trial.t - low.t) if fall else math.nan
        return cubic if abs(cubic - low.t) < abs(parabola - low.t) else 0.5 * (cubic + parabola)
    change = trial.slope - low.slope
    secant = trial.t - trial.slope / change * (trial.t - low.t) if change else math.inf
    if trial.slope * low.slope < 0.0:
        return cubic if abs(cubic - trial.t) >= abs(secant - trial.t) else secant
    if abs(trial.slope) <= abs(low.slope):
        onward = (cubic - trial.t) * (trial.t - low.t) > 0.0
        if high is None:
            return max(cubic, secant) if onward else secant
        nearer = min((cubic, secant), key=lambda t: abs(t - trial.t)) if onward else secant
        most = trial.t + _SHORTER * (high.t - trial.t)
        return min(nearer, most) if trial.t > low.t else max(nearer, most)
    return math.inf if high is None else _lowest(high, trial)


def _lowest(one: _Trial, other: _Trial) -> float:
    """Where the cubic through two values and slopes is lowest; NaN where it is nowhere."""
    if not (math.isfinite(one.f + other.f) and math.isfinite(one.slope + other.slope)):
        return math.nan
    length = other.t - one.t
    d = one.slope + other.slope - 3.0 * (other.f - one.f) / length
    root = d * d - one.slope * other.slope
    if root < 0.0:
        return math.nan
    root = math.copysign(math.sqrt(root), length)
    down = other.slope - one.slope + 2.0 * root
    return other.t - length * (other.slope + root - d) / down if down else math.nan
