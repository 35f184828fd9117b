"""Modes at a corner: where l(ζ) has a kink, such as where a lag ends at the time of a sample, and is least there.

Newton's method steps over the kink and back. The surface of the kink, c·u = constant, is found by bisection along the
step, and l is minimised on it; it is a mode if l rises to both sides. The derivatives of l are one-sided there: l_u⁻
and l_u⁺, whose difference is along c. In the mode's equation the right one is between them,

    l_u* = (1 - α) l_u⁻ + α l_u⁺,   2 ζ̂ + bᵀ l_u* = 0,

and as the parameters move the mode stays on the surface. Both enter the gradient as a pull, l_u* - l_u of the side that
is used, and as a wall: a large multiple of c cᵀ added to l_uu.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_BISECTIONS = 40
_TURNS = 12
_SIDE = 1e-9  # of ζ: how far to either side of the surface derivatives are taken
_KINK = 1e-3  # of the slope: a smaller jump is none
_WALL = 1e6  # of the curvature along c


class Expansion(NamedTuple):
    """l of some subjects: value [k], gradient by u [k, D] and by ζ [k, Q], Hessian by ζ and H [k, Q, Q], log|H| [k]."""

    value: Array
    by_u: Array
    gradient: Array
    hessian: Array
    expected: Array
    log_determinant: Array

    @classmethod
    def blank(cls, k: int, D: int, Q: int) -> Expansion:
        """To be filled."""
        return cls(*(np.empty(shape) for shape in ((k,), (k, D), (k, Q), (k, Q, Q), (k, Q, Q), (k,))))


class Corners(NamedTuple):
    """What a corner adds to a subject's derivatives; rows of 0 where there is none.

    Attributes
    ----------
    pull, wall : float64[N, D]
    """

    pull: Array
    wall: Array

    @property
    def at(self) -> NDArray[np.bool_]:
        """Which subjects have their mode at a corner, bool[N]."""
        return np.asarray(self.wall.any(axis=1))


def no_corners(N: int, D: int) -> Corners:
    """Corners of nobody."""
    return Corners(np.zeros((N, D)), np.zeros((N, D)))


Expand = Callable[[Index, Array], Expansion]


def settle(expand: Expand, subjects: Index, zeta: Array, tolerance: float, corners: Corners) -> tuple[Array, Index]:
    """Find the corners near which searches ended.

    Parameters
    ----------
    expand : callable
        l of subjects[k] at ζ[k, Q].
    subjects : int64[k]
    zeta : float64[k, Q]
        Where their searches ended.
    tolerance : float
        Squared distance to the mode on the surface, in its standard errors.
    corners : Corners
        Its rows of those that have a corner are filled.

    Returns
    -------
    zeta : float64[k, Q]
        The modes, on the side of the surface that is used: that of the larger log|H|.
    found : int64
        Indices into `subjects` of those that have a corner.
    """
    zeta = zeta.copy()
    found = []
    for k, subject in enumerate(subjects):
        settled = _settled(partial(_of_one, expand, int(subject)), zeta[k], tolerance)
        if settled is None:
            continue
        zeta[k], corners.pull[subject], corners.wall[subject] = settled
        found.append(k)
    return zeta, np.array(found, dtype=np.int64)


class _One(NamedTuple):
    value: float
    by_u: Array
    gradient: Array
    hessian: Array
    log_determinant: float


def _of_one(expand: Expand, subject: int, zeta: Array) -> _One:
    at = expand(np.array([subject]), zeta[None])
    return _One(float(at.value[0]), at.by_u[0], at.gradient[0], at.hessian[0], float(at.log_determinant[0]))


def _settled(at: Callable[[Array], _One], zeta: Array, tolerance: float) -> tuple[Array, Array, Array] | None:
    """Mode, pull and wall of one subject; None where there is no corner."""
    here = at(zeta)
    if not _finite(here):
        return None
    direction = _downhill(here)
    for _ in range(_TURNS):
        surface = _crossing(at, zeta, direction)
        if surface is None:
            return None
        before, after = surface
        low, high = at(before), at(after)
        if not (_finite(low) and _finite(high)):
            return None
        jump = high.gradient - low.gradient
        size = float(np.linalg.norm(jump))
        if not size > _KINK * (1.0 + np.linalg.norm(low.gradient)):
            return None
        normal = jump / size
        if low.gradient @ normal > 0 or high.gradient @ normal < 0:
            return None  # l falls on one side: no minimum here
        across = _SIDE * (1.0 + np.linalg.norm(before))
        before, after = before - across * normal, after + across * normal
        low, high = at(before), at(after)
        if not (_finite(low) and _finite(high)):
            return None
        side, place = (high, after) if high.log_determinant >= low.log_determinant else (low, before)
        tangent = np.linalg.svd(normal[None])[2][1:].T
        if not tangent.size:
            break
        share = _share(low, high, normal)
        slope = tangent.T @ ((1 - share) * low.gradient + share * high.gradient)
        curved = tangent.T @ side.hessian @ tangent
        values, vectors = np.linalg.eigh(curved)
        step = -(vectors / np.maximum(np.abs(values), 1e-8)) @ vectors.T @ slope
        if -float(slope @ step) < max(tolerance, 1e-12):
            break
        middle = 0.5 * (before + after)
        moved = _lower(at, middle, tangent @ step, min(low.value, high.value))
        if moved is None:
            break
        zeta, direction = moved - 1e-3 * normal, 2e-3 * normal
        if at(zeta).gradient @ normal > 0:
            return None
    share = _share(low, high, normal)
    by_u = (1 - share) * low.by_u + share * high.by_u
    c = high.by_u - low.by_u
    c /= np.linalg.norm(c)
    scale = max(float(np.abs(side.hessian).max()), 1.0)
    return place, by_u - side.by_u, np.sqrt(_WALL * scale) * c


def _finite(at: _One) -> bool:
    return bool(np.isfinite(at.gradient).all() and np.isfinite(at.hessian).all())


def _downhill(at: _One) -> Array:
    values, vectors = np.linalg.eigh(at.hessian)
    return np.asarray(-(vectors / np.maximum(np.abs(values), 1e-8)) @ vectors.T @ at.gradient)


def _share(low: _One, high: _One, normal: Array) -> float:
    down, up = float(low.gradient @ normal), float(high.gradient @ normal)
    return float(np.clip(-down / (up - down), 0.0, 1.0)) if up > down else 0.5


def _crossing(at: Callable[[Array], _One], zeta: Array, direction: Array) -> tuple[Array, Array] | None:
    """Two points to both sides of where the slope along a direction jumps from below 0 to above."""
    low, high = 0.0, 1.0
    if not at(zeta + direction).gradient @ direction > 0:
        return None
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if at(zeta + middle * direction).gradient @ direction > 0:
            high = middle
        else:
            low = middle
    return zeta + low * direction, zeta + high * direction


def _lower(at: Callable[[Array], _One], zeta: Array, step: Array, value: float) -> Array | None:
    """The first of a step and its halves where l is lower."""
    for _ in range(12):
        if at(zeta + step).value < value:
            return zeta + step
        step = 0.5 * step
    return None
