"""An objective in which one estimate is held at a value and all others are free."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.objective import Evaluation, Target
from workbench.engine.problem.psi import Psi
from workbench.engine.problem.scale import Quantity, Scale
from workbench.errors import FitError

Array = NDArray[np.float64]

_STEP = 1e-30  # of a complex step: its square vanishes, so that the derivative is exact


class Held:
    """A target that moves every x to where the estimate has its value, before it evaluates.

    Gradient and scores are those of the composition; they are exact.

    Parameters
    ----------
    target : Objective or Integral
    which : int
        Place of the estimate in `scale.quantities`.
    value : float
        Natural scale.

    Raises
    ------
    FitError
        If the estimate cannot have the value.
    """

    def __init__(self, target: Target, which: int, value: float):
        self._target, self.problem, self.tolerance = target, target.problem, target.tolerance
        self.grain = target.grain
        self._move = _move_to(target.problem.scale, which, value)

    @property
    def evaluations(self) -> int:
        """Evaluations so far."""
        return self._target.evaluations

    def accept(self, evaluation: Evaluation) -> None:
        """Start later searches from this point."""
        self._target.accept(evaluation)

    def evaluate(self, x: Array) -> Evaluation:
        """Objective and gradient where x is moved to."""
        to, slopes = self.moved(x)
        return _chained(self._target.evaluate(to), slopes)

    def deepen(self, at: Evaluation) -> Evaluation:
        """An evaluation at the same x that is nearer to the truth; the same one if there is none."""
        deeper = self._target.deepen(at)
        return at if deeper is at else _chained(deeper, self.moved(at.x)[1])

    def moved(self, x: Array) -> tuple[Array, Array]:
        """Where x is moved to, and the derivative of that by x, float64[size, size]."""
        return self._move(x)


def _chained(at: Evaluation, slopes: Array) -> Evaluation:
    return replace(at, gradient=at.gradient @ slopes, scores=at.scores @ slopes)


@dataclass(frozen=True)
class _Placed:
    """An estimate that is one x: it is put to its place."""

    place: int
    at: float

    def __call__(self, x: Array) -> tuple[Array, Array]:
        to, slopes = x.copy(), np.eye(len(x))
        to[self.place], slopes[self.place] = self.at, 0.0
        return to, slopes


@dataclass(frozen=True, eq=False)
class _Turned:
    """A standard deviation or a correlation within a block of Ψ: a row of its Cholesky factor is moved.

    For a standard deviation the row is stretched. For a correlation it is turned, in the plane that it makes with the
    earlier row, so that Ψ stays positive definite and both standard deviations what they are.

    Attributes
    ----------
    begin : int
        Where the numbers of Ψ begin in x.
    row : int
    other : int, optional
        The earlier row of a correlation.
    """

    psi: Psi
    begin: int
    row: int
    other: int | None
    value: float

    def __call__(self, x: Array) -> tuple[Array, Array]:
        psi, r = self.psi, self.row
        L = psi.matrix(x[self.begin : self.begin + psi.size])
        moved = L.copy()
        moved[r] = self._moved(L)
        own = [j for j, (row, _, _) in enumerate(psi.entries) if row == r]
        mine = [self.begin + j for j in own]
        to, slopes = x.copy(), np.eye(len(x))
        with np.errstate(divide="ignore", invalid="ignore"):
            to[mine] = psi.vector(moved)[own]
            change = np.array([self._moved(L + 1j * _STEP * by).imag / _STEP for by in psi.jacobian(L)])
        slopes[mine] = 0.0
        back = np.linalg.pinv(psi.jacobian(moved)[own, r])
        slopes[np.ix_(mine, range(self.begin, self.begin + psi.size))] = (change @ back).T
        return to, slopes

    def _moved(self, L: NDArray[Any]) -> NDArray[Any]:
        """The row where the estimate has its value; analytic in L."""
        row = L[self.row]
        length = np.sqrt((row * row).sum())
        if self.other is None:
            return np.asarray(row * (self.value / length))
        along = L[self.other] / np.sqrt((L[self.other] * L[self.other]).sum())
        across = row - (row * along).sum() * along
        across = across / np.sqrt((across * across).sum())
        return np.asarray(length * (self.value * along + math.sqrt(1.0 - self.value**2) * across))


def _move_to(scale: Scale, which: int, value: float) -> _Placed | _Turned:
    name, M = scale.quantities[which], len(scale.thetas)
    _check(name, value)
    free = int(scale.theta_free.sum())
    if which < M:
        z = name.transformed(value)
        if not scale.theta_lower[which] < z < scale.theta_upper[which]:
            raise FitError(f"{name.label} cannot be held at {value:.4g}, outside its bounds.")
        point = scale.point(np.zeros(scale.size))
        theta = point.theta.copy()
        theta[which] = z
        place = int(scale.theta_free[:which].sum())
        return _Placed(place, float(scale.vector(replace(point, theta=theta))[place]))
    if name.kind == "error":
        entry = scale.errors[which - (len(scale.quantities) - len(scale.errors))]
        begin = scale.size - sum(e.free for e in scale.errors)
        return _Placed(begin + [e for e in scale.errors if e.free].index(entry), math.log(value))
    at, psi, begin = which - M, scale.subject, free
    if at >= len(psi.fixed):
        at, psi, begin = at - len(psi.fixed), scale.occasion, free + psi.size
    places = [*((r, None) for r in psi.own), *psi.pairs, *((r, None) for r in np.flatnonzero(psi.owner >= 0).tolist())]
    row, other = places[at]
    own = [j for j, (r, _, _) in enumerate(psi.entries) if r == row]
    if other is None and len(own) == 1:
        return _Placed(begin + own[0], value if name.kind == "share" else math.log(value))
    return _Turned(psi, begin, row, other, value)


def _check(name: Quantity, value: float) -> None:
    """Refuse a value that the estimate cannot have."""
    low, high = name.range
    if not low < value < high:
        raise FitError(f"{name.label} cannot be held at {value:.4g}; between {low:g} and {high:g} it can.")
