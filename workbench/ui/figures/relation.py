"""How individual values of a parameter go with a covariate: points, the line of a shape, a smooth curve; no widgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.data.cells import plain_label
from workbench.engine.problem.scale import Quantity
from workbench.screening import Screening
from workbench.screening.result import smoothed

Array = NDArray[np.float64]

_POINTS = 80  # of a line
_JITTER, _BAR = 0.16, 0.3  # of the distance between two levels
_MOST = 500  # points that are drawn, chosen at random: the browser makes an element of each


@dataclass(frozen=True, eq=False)
class Relation:
    """What a figure of a parameter and a covariate draws.

    Attributes
    ----------
    x, y : float64[points]
        Individual values; of a category its number, a little to the left or right.
    line : (float64, float64)
        The regression in one shape; of a category a bar at the mean of each level, with gaps between them.
    smooth : (float64, float64) or None
        By locally weighted regression; of numbers only.
    levels : tuple of str
        Of a category.
    owner : int64[points]
        The place of the subject that each point is.
    """

    x: Array
    y: Array
    line: tuple[Array, Array]
    smooth: tuple[Array, Array] | None
    levels: tuple[str, ...]
    owner: NDArray[np.int64]


def relation(found: Screening, parameter: str, covariate: str, shape: str, *, natural: bool = False) -> Relation:
    """Random effects of a parameter along a covariate; `natural`: its individual values instead.

    Individual values are regressed on their transformed scale.
    """
    candidate = next(c for c in found.candidates if c.name == covariate)
    fit, eta = found.fit, found.etas[parameter]
    use = np.flatnonzero(candidate.known & np.isfinite(eta))
    x, y = candidate.baseline[use], eta[use]
    back: Callable[[float], float] = float
    if natural:
        name = Quantity.typical(fit.model[parameter])
        own = fit.parameter_matrix[use, list(fit.model.structure.names).index(parameter)]
        y = np.array([name.transformed(value) for value in own.tolist()])

        def back(value: float) -> float:
            return name.natural(value)[0]

    grid = np.arange(len(candidate.levels), dtype=float)
    if candidate.kind == "continuous":
        grid = np.linspace(x.min(), x.max(), _POINTS)
    both = replace(candidate, baseline=np.concatenate([x, grid]))  # so that both are centred alike
    X = np.column_stack([np.ones(len(both.baseline)), both.columns(shape)])
    coefficients, *_ = np.linalg.lstsq(X[: len(x)], y, rcond=None)
    fitted = np.array([back(value) for value in (X[len(x) :] @ coefficients).tolist()])
    shown = np.array([back(value) for value in y.tolist()])
    drawn = np.arange(len(x))
    if len(x) > _MOST:
        drawn = np.sort(np.random.default_rng(0).choice(len(x), _MOST, replace=False))
    if candidate.kind == "categorical":
        beside = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(x))
        bars = np.column_stack([grid - _BAR, grid + _BAR, np.full(len(grid), np.nan)]).ravel()
        heights = np.column_stack([fitted, fitted, np.full(len(grid), np.nan)]).ravel()
        levels = tuple(str(plain_label(level)) for level in candidate.levels)
        return Relation((x + beside)[drawn], shown[drawn], (bars, heights), None, levels, use[drawn])
    order = np.argsort(x, kind="stable")
    smooth = smoothed(x[order], shown[order])
    return Relation(x[drawn], shown[drawn], (grid, fitted), (x[order], smooth), (), use[drawn])
