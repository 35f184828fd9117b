"""How observations are put together along x."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.errors import FitError

Array = NDArray[np.float64]

BINNINGS = ("distinct", "quantiles", "kmeans", "none")
_FEW = 15  # distinct x that are bins by themselves
_USUAL = 10
_ROUNDS = 100
_INNER_KNOTS = 4


class Bins(NamedTuple):
    """Bins along x.

    Attributes
    ----------
    of : int64[n]
        Bin of each observation.
    lower, upper, middle : float64[bins]
        Ends, and the median of x.
    without : bool
        There are none: quantiles are functions of x.
    """

    of: NDArray[np.int64]
    lower: Array
    upper: Array
    middle: Array
    without: bool = False

    @property
    def size(self) -> int:
        """How many."""
        return len(self.lower)


def bins_of(x: Array, wanted: Any) -> Bins:
    """Bins of x[n] as `vpc` takes them; those that would be empty are left out.

    Raises
    ------
    FitError
        If `wanted` says no bins.
    """
    how, count, edges = _asked(wanted, x)
    if how == "none":
        whole = _by_edges(x, np.array([x.min(), x.max()]))
        return whole._replace(without=True)
    distinct = np.unique(x)
    if how == "distinct" or (how != "edges" and len(distinct) <= count):
        return _by_edges(x, _between(distinct))
    if how == "quantiles":
        edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, count + 1)))
    elif how == "kmeans":
        edges = _between(_means(x, count))
    return _by_edges(x, edges)


def _asked(wanted: Any, x: Array) -> tuple[str, int, Array]:
    none = np.zeros(0)
    if wanted is None:
        return ("distinct" if len(np.unique(x)) <= _FEW else "quantiles"), _USUAL, none
    if checks.is_whole(wanted):
        return "quantiles", checks.whole("bins", wanted, 1, FitError), none
    if isinstance(wanted, str):
        return checks.one_of("bins", wanted, BINNINGS, FitError), _USUAL, none
    values = list(wanted) if hasattr(wanted, "__iter__") else []
    if len(values) == 2 and isinstance(values[0], str):
        return (
            checks.one_of("bins", values[0], BINNINGS[1:3], FitError),
            checks.whole("bins", values[1], 1, FitError),
            none,
        )
    try:
        edges = np.array(values, dtype=float)
    except (TypeError, ValueError):
        edges = none
    if len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        allowed = ", ".join(map(repr, BINNINGS))
        raise FitError(f"bins={wanted!r}; a number, ascending edges, ('kmeans', 8), or one of {allowed} is needed.")
    return "edges", len(edges) - 1, edges


def _between(centres: Array) -> Array:
    """Edges halfway between centres, open at both ends."""
    return np.concatenate([[-math.inf], 0.5 * (centres[:-1] + centres[1:]), [math.inf]])


def _by_edges(x: Array, edges: Array) -> Bins:
    """Bins [edge, next edge); what lies on or beyond the outer edges belongs to the outer bins."""
    at = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    used, of = np.unique(at, return_inverse=True)
    lower = np.array([x[of == b].min() if math.isinf(edges[k]) else edges[k] for b, k in enumerate(used)])
    upper = np.array([x[of == b].max() if math.isinf(edges[k + 1]) else edges[k + 1] for b, k in enumerate(used)])
    middle = np.array([np.median(x[of == b]) for b in range(len(used))])
    return Bins(of.astype(np.int64), lower, upper, middle)


def _means(x: Array, count: int) -> Array:
    """Centres of `count` clusters on a line, from quantiles of the distinct values (Lloyd's iteration)."""
    distinct = np.unique(x)
    centres = np.quantile(distinct, (np.arange(count) + 0.5) / count)
    for _ in range(_ROUNDS):
        of = np.searchsorted(0.5 * (centres[:-1] + centres[1:]), x)
        moved = np.array([x[of == k].mean() if (of == k).any() else centres[k] for k in range(count)])
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.unique(centres)


def spline(x: Array, points: int) -> tuple[Array, Array, Array]:
    """A cubic B-spline basis at x, a grid over its range, and the basis there.

    Returns
    -------
    basis : float64[n, b]
    grid : float64[points]
    at_grid : float64[points, b]
    """
    from scipy.interpolate import BSpline

    distinct = np.unique(x)
    degree = min(3, len(distinct) - 1)
    inner = np.quantile(distinct, np.linspace(0, 1, min(_INNER_KNOTS, max(len(distinct) - degree - 1, 0)) + 2))[1:-1]
    knots = np.concatenate([np.repeat(x.min(), degree + 1), np.unique(inner), np.repeat(x.max(), degree + 1)])
    grid = np.linspace(x.min(), x.max(), points)
    if degree < 1:
        return np.ones((len(x), 1)), grid, np.ones((points, 1))
    return (
        BSpline.design_matrix(x, knots, degree).toarray(),
        grid,
        BSpline.design_matrix(grid, knots, degree).toarray(),
    )
