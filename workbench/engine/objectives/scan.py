"""Where else the mode of a subject's random effects could be: a cheap look at the conditional likelihood.

Where a random effect moves an event in time (a lag, the duration of an input), l(ζ) of `likelihood` has a basin for
each interval between two samples, and Newton's method stays in the one where it begins. The scan computes l, without
derivatives, at draws from the population and, for each effect that moves events, along a grid of its values; the
lowest points that lie apart from each other are where to search from.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from workbench.engine.objectives.subjects import Modes
from workbench.engine.problem.scale import Point

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_DRAWS = 16
_FEW_DRAWS = 8  # where l is smooth
_REACH = 3.2  # standard deviations to both sides
_FINE = 0.1  # of the transformed scale between two points of a grid
_FEWEST, _MOST = 17, 65  # points of a grid
_APART = 0.25  # of a standard deviation: nearer points are in the same basin
_BESIDE = 0.1  # of a standard deviation: into a basin that begins right beside a mode


class Scan:
    """Starts for the search of modes.

    Parameters
    ----------
    modes : Modes
    moving : int64[k]
        The random effects that move events in time.
    """

    def __init__(self, modes: Modes, moving: Index):
        self._modes, self.moving = modes, moving

    def starts(self, point: Point, mean: Array, zeta: Array, depth: Array, most: int) -> list[Array]:
        """Points from which modes deeper than the known ones could be found.

        Parameters
        ----------
        point : Point
        mean : float64[N, D]
        zeta : float64[N, Q]; depth : float64[N]
            The known modes, and l there.
        most : int
            Starts of a subject.

        Returns
        -------
        list of float64[N, Q]
            NaN for a subject that has no further one.
        """
        points = self._points(point.L, zeta)
        self._modes.go_to(point, mean)
        values = self._modes.depths(points)
        values[~np.isfinite(values)] = np.inf
        if not len(self.moving):
            values[values >= depth - 1e-6] = np.inf  # a smooth l: only what is lower already
        if not np.isfinite(values).any() and not len(self.moving):
            return []
        found = [zeta + side * _BESIDE * np.eye(zeta.shape[1])[q] for q in self.moving for side in (-1.0, 1.0)]
        taken = zeta
        for _ in range(most):
            near = self._near(points, taken)
            values[near] = np.inf
            lowest = values.argmin(axis=0)
            at = np.take_along_axis(points, lowest[None, :, None], axis=0)[0]
            none = ~np.isfinite(np.take_along_axis(values, lowest[None], axis=0)[0])
            if none.all():
                break
            taken = np.where(none[:, None], np.nan, at)
            found.append(taken)
        return found

    def _points(self, L: Array, zeta: Array) -> Array:
        """float64[points, N, Q]."""
        N, Q = zeta.shape
        draws = _draws(Q) if len(self.moving) else few_draws(Q)
        parts = [np.broadcast_to(draws[:, None, :], (len(draws), N, Q))]
        for q in self.moving:
            count = int(np.clip(math.ceil(2 * _REACH * float(np.linalg.norm(L[q])) / _FINE), _FEWEST, _MOST))
            grid = np.linspace(-_REACH, _REACH, count)
            for others in (zeta, np.zeros_like(zeta)):
                along = np.repeat(others[None], count, axis=0)
                along[:, :, q] = grid[:, None]
                parts.append(along)
        return np.concatenate(parts)

    def _near(self, points: Array, taken: Array) -> NDArray[np.bool_]:
        """bool[points, N]: which points lie in the basin of one that is taken."""
        with np.errstate(invalid="ignore"):
            if len(self.moving):
                return np.asarray(np.abs(points - taken)[:, :, self.moving].max(axis=2) < _APART)
            return np.asarray(np.linalg.norm(points - taken, axis=2) < 1.0)


@lru_cache(maxsize=16)
def _draws(Q: int) -> Array:
    """Draws of ζ, spread evenly, float64[draws, Q]."""
    from scipy.stats import qmc  # takes half a second to import

    sobol = qmc.Sobol(Q, scramble=True, rng=np.random.default_rng(1)).random(_DRAWS)
    return np.asarray(ndtri(np.clip(sobol, 1e-6, 1 - 1e-6)))


@lru_cache(maxsize=16)
def few_draws(Q: int) -> Array:
    """Fewer draws of ζ, each effect spread evenly (a Latin hypercube), float64[draws, Q]."""
    rng = np.random.default_rng(1)
    strata = rng.permuted(np.tile(np.arange(_FEW_DRAWS)[:, None], (1, Q)), axis=0)
    return np.asarray(ndtri((strata + rng.random((_FEW_DRAWS, Q))) / _FEW_DRAWS))
