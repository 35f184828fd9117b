"""Quantile regression of many responses on the same covariates at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDS, _NEAR, _SHORT = 60, 1e-7, 0.9995
_BLOCK = 2_000_000  # values of x xᵀ at a time


def quantile_regression(basis: Array, y: Array, quantile: float, known: NDArray[np.bool_] | None = None) -> Array:
    """Coefficients b that minimise the sum of  q·max(y - x b, 0) + (1 - q)·max(x b - y, 0).

    By the primal-dual interior point method of Portnoy & Koenker (1997, Stat Sci 12:279), which statsmodels' iterated
    weights approach more slowly.

    Parameters
    ----------
    basis : float64[n, p]
    y : float64[K, n]
    quantile : float
    known : bool[K, n], optional
        The values that count; all of them unless said.

    Returns
    -------
    float64[K, p]
        NaN where fewer values than coefficients are known.
    """
    known = np.ones(y.shape, dtype=bool) if known is None else known
    found = np.full((len(y), basis.shape[1]), np.nan)
    enough = np.flatnonzero(known.sum(axis=1) >= basis.shape[1])
    step = max(1, _BLOCK // max(basis.size, 1))
    for first in range(0, len(enough), step):
        some = enough[first : first + step]
        found[some] = _solved(basis, np.where(known[some], y[some], 0.0), quantile, known[some].astype(np.float64))
    return found


def _solved(x: Array, y: Array, q: float, there: Array) -> Array:
    """The same for some of the responses; what does not count has rows of zeros."""
    K, n, p = len(y), *x.shape
    centre = (there * y).sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True)
    size = np.sqrt((there * (y - centre) ** 2).sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True))
    size = np.where(size > 0, size, 1.0)
    target = there * (y - centre) / size
    ridge, squares = 1e-12 * np.eye(p), (x[:, :, None] * x[:, None, :]).reshape(n, p * p)

    def least_squares(weight: Array, rhs: Array) -> Array:
        """(xᵀ w x)⁻¹ rhs, float64[K, p]."""
        bend = (weight @ squares).reshape(K, p, p)
        scale = np.trace(bend, axis1=1, axis2=2)[:, None, None] / p
        return np.asarray(np.linalg.solve(bend + scale * ridge, rhs[..., None])[..., 0])

    # The dual: maximise yᵀa, xᵀa = (1 - q) xᵀ1, 0 <= a <= 1; a and s = 1 - a, their multipliers z and w.
    a = np.full((K, n), 1.0 - q)
    s = 1.0 - a
    b = least_squares(there, target @ x)
    r = target - there * (b @ x.T)
    r = np.where(np.abs(r) < 1e-3, np.where(r < 0, -1e-3, 1e-3), r)
    w, z = np.maximum(r, 0.0) + 1e-3, np.maximum(-r, 0.0) + 1e-3
    bound = (1.0 - q) * (there @ x)
    for _ in range(_ROUNDS):
        gap = (a * z + s * w).sum(axis=1)
        if (gap < _NEAR * n).all():
            break
        dual = target - there * (b @ x.T) - w + z  # 0 at the end
        primal = bound - (there * a) @ x
        D = 1.0 / (z / a + w / s)

        def direction(of_a: Array, of_s: Array, D: Array = D, dual: Array = dual, primal: Array = primal,
                      a: Array = a, s: Array = s, z: Array = z, w: Array = w) -> tuple[Array, ...]:  # fmt: skip
            """Newton's step, where a z and s w are to become `of_a` and `of_s` less what they are."""
            inner = dual + of_a / a - of_s / s
            db = least_squares(there * D, (there * D * inner) @ x - primal)
            da = D * (inner - there * (db @ x.T))
            return db, da, (of_a - z * da) / a, (of_s + w * da) / s

        _, da, dz, dw = direction(-a * z, -s * w)
        ahead_a, ahead_d = _reach(a, da, s, -da), _reach(z, dz, w, dw)
        affine = ((a + ahead_a * da) * (z + ahead_d * dz) + (s - ahead_a * da) * (w + ahead_d * dw)).sum(axis=1)
        mu = (gap * (affine / np.maximum(gap, 1e-300)) ** 3 / (2 * n))[:, None]
        db, da, dz, dw = direction(mu - a * z - da * dz, mu - s * w + da * dw)
        ahead_a, ahead_d = _reach(a, da, s, -da), _reach(z, dz, w, dw)
        a, s = a + ahead_a * da, s - ahead_a * da
        b, z, w = b + ahead_d * db, z + ahead_d * dz, w + ahead_d * dw
    level = np.linalg.lstsq(x, np.ones(n), rcond=None)[0]  # the basis has the constant among what it spans
    return np.asarray(b * size + centre * level)


def _reach(a: Array, da: Array, s: Array, ds: Array) -> Array:
    """How far both may go and stay above 0, float64[K, 1]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.minimum(np.where(da < 0, -a / da, np.inf), np.where(ds < 0, -s / ds, np.inf)).min(axis=1)
    return np.asarray(np.minimum(_SHORT * least, 1.0)[:, None])
