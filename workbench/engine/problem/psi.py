"""Ψ as the optimiser sees it: the entries of its Cholesky factor that are free, and back.

Ψ = L Lᵀ. A row of L belongs to the random effect of one parameter. What of it is free depends on what is fixed:

    standard deviation and correlations free    the row's entries, its diagonal as a logarithm
    correlations fixed (or none)                 log sd
    standard deviation fixed                     w with  L[r, :r] = sd·w/√(1+|w|²),  L[r, r] = sd/√(1+|w|²)
    shared (η_r = scale · η of another)          scale; the row is a multiple of the other's, its own effect is none
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.model import Model

Array = NDArray[np.float64]

_TINY = np.finfo(float).tiny
_NO_DIRECTION = 1e-3  # of a standard deviation: what is left of an effect that vanished says nothing of correlations
_SINGULAR = 1e-6  # eigenvalue of a correlation matrix
Free = Literal["entry", "log diagonal", "log sd", "direction", "scale"]


@dataclass(frozen=True, eq=False)
class Psi:
    """The covariance of the random effects of one level.

    Attributes
    ----------
    level : {"iiv", "iov"}
    names : tuple of str
        Parameters with a random effect of the level; Q of them.
    deviation : float64[Q]
        Stated standard deviations; 0 where shared.
    deviation_free, correlation_free : bool[Q]
        By row.
    correlation : float64[Q, Q]
        Stated.
    block : int64[Q]
        Rows of the same block have the same number.
    owner : int64[Q]
        Row that a shared effect is a multiple of, -1 for others.
    scale : float64[Q]; scale_free : bool[Q]
    """

    level: Literal["iiv", "iov"]
    names: tuple[str, ...]
    deviation: Array
    deviation_free: NDArray[np.bool_]
    correlation: Array
    correlation_free: NDArray[np.bool_]
    block: NDArray[np.int64]
    owner: NDArray[np.int64]
    scale: Array
    scale_free: NDArray[np.bool_]

    @cached_property
    def entries(self) -> list[tuple[int, int, Free]]:
        """Row, column and meaning of each free number."""
        return list(self._entries())

    def _entries(self) -> Iterator[tuple[int, int, Free]]:
        for r in range(len(self.names)):
            if self.owner[r] >= 0:
                if self.scale_free[r]:
                    yield r, int(self.owner[r]), "scale"
                continue
            before = [c for c in range(r) if self.block[c] == self.block[r] and self.owner[c] < 0]
            if self.correlation_free[r] and before:
                yield from ((r, c, "entry" if self.deviation_free[r] else "direction") for c in before)
                if self.deviation_free[r]:
                    yield r, r, "log diagonal"
            elif self.deviation_free[r]:
                yield r, r, "log sd"

    @cached_property
    def _owned(self) -> list[int]:
        """The effects that are shares of another."""
        return [int(r) for r in np.flatnonzero(self.owner >= 0)]

    @cached_property
    def size(self) -> int:
        """How many numbers are free."""
        return len(self.entries)

    @cached_property
    def stated(self) -> Array:
        """L at the values that the model states, float64[Q, Q]."""
        correlation = self.correlation
        alone = np.count_nonzero(correlation) == len(correlation)
        return self._shared(self.deviation[:, None] * (correlation if alone else np.linalg.cholesky(correlation)))

    def _shared(self, L: Array) -> Array:
        for r in self._owned:
            L[r] = self.scale[r] * L[self.owner[r]]
        return L

    def matrix(self, x: Array) -> Array:
        """L at x, float64[Q, Q]."""
        if not self.entries:
            return self.stated.copy()
        L, scale = self.stated.copy(), self.scale.copy()
        directions: dict[int, list[tuple[int, float]]] = {}
        with np.errstate(over="ignore", under="ignore"):
            for (r, c, free), value in zip(self.entries, x.tolist(), strict=True):
                if free == "entry":
                    L[r, c] = value
                elif free == "log diagonal":
                    L[r, r] = np.exp(value)
                elif free == "log sd":
                    L[r] *= np.exp(value) / self.deviation[r]
                elif free == "direction":
                    directions.setdefault(r, []).append((c, value))
                else:
                    scale[r] = value
        for r, w in directions.items():
            norm = np.sqrt(1.0 + sum(value**2 for _, value in w))
            L[r] = 0.0
            L[r, r] = self.deviation[r] / norm
            for c, value in w:
                L[r, c] = self.deviation[r] * value / norm
        for r in self._owned:
            L[r] = scale[r] * L[self.owner[r]]
        return L

    @cached_property
    def plain(self) -> list[tuple[int, int, int, float]] | None:
        """Where every number of L is fixed, or a multiple of a number of x or of its exponential: (r, c, which, times).

        None where it is not.
        """
        found: list[tuple[int, int, int, float]] = []
        for k, (r, c, free) in enumerate(self.entries):
            if free in ("direction", "scale") or (free == "log sd" and not self.deviation[r] > 0.0):
                return None
            if free == "log sd":
                row = self.stated[r]
                found += [(r, int(q), k, float(row[q] / self.deviation[r])) for q in np.flatnonzero(row)]
            else:
                found.append((r, c, k, 1.0))
        for r in np.flatnonzero(self.owner >= 0).tolist():
            found += [(r, c, k, by * float(self.scale[r])) for o, c, k, by in found if o == self.owner[r]]
        return found

    def factor(self, covariance: Array, least: Array) -> Array:
        """L of the Ψ with this covariance, as far as the model can state it; float64[Q, Q].

        Entries outside the blocks are 0, what is fixed is as stated, standard deviations are at least `least`,
        float64[Q], and a correlation matrix that is not positive definite becomes one.
        """
        deviation = np.where(self.deviation_free, np.maximum(np.sqrt(np.diag(covariance)), least), self.deviation)
        together = self.block[:, None] == self.block[None, :]
        correlation = np.where(together, covariance / np.outer(deviation, deviation), 0.0)
        correlation = np.where(self.correlation_free[:, None], correlation, self.correlation)
        np.fill_diagonal(correlation, 1.0)
        values, vectors = np.linalg.eigh(correlation)
        if len(values) and values[0] < _SINGULAR:
            correlation = (vectors * np.maximum(values, _SINGULAR)) @ vectors.T
            size = np.sqrt(np.diag(correlation))
            correlation /= np.outer(size, size)
        return np.asarray(deviation[:, None] * np.linalg.cholesky(correlation))

    def vector(self, L: Array) -> Array:
        """x at L; the inverse of `matrix`."""
        values = []
        for r, c, free in self.entries:
            if free == "entry":
                values.append(L[r, c])
            elif free in ("log diagonal", "log sd"):
                size = L[r, r] if free == "log diagonal" else np.linalg.norm(L[r])
                with np.errstate(divide="ignore"):  # a deviation of 0 is at -inf
                    values.append(np.log(size))
            elif free == "direction":
                values.append(L[r, c] / L[r, r])
            else:
                k = int(np.argmax(np.abs(L[c])))
                values.append(L[r, k] / L[c, k])
        return np.array(values, dtype=float)

    def with_deviations(self, L: Array, deviation: Array) -> Array:
        """L with other standard deviations, float64[Q]; NaN leaves one as it is, and what is fixed stays.

        Correlations are kept, but an effect that was none has none.
        """
        scales = [self._scale_at(L, r) for r in np.flatnonzero(self.owner >= 0).tolist()]
        L = L.copy()
        for r in self.own:
            if self.deviation_free[r] and np.isfinite(deviation[r]):
                size = float(np.linalg.norm(L[r]))
                lost = (
                    not np.isfinite(size) or size < _NO_DIRECTION * deviation[r] or abs(L[r, r]) < _NO_DIRECTION * size
                )
                L[r] = np.eye(len(L))[r] * deviation[r] if lost else L[r] * (deviation[r] / size)
        for r, scale in zip(np.flatnonzero(self.owner >= 0).tolist(), scales, strict=True):
            L[r] = scale * L[self.owner[r]]
        return L

    def jacobian(self, L: Array) -> Array:
        """∂L/∂x, float64[size, Q, Q]."""
        entries = self.entries
        slopes = np.zeros((len(entries), *L.shape))
        for k, (r, c, free) in enumerate(entries):
            if free == "entry":
                slopes[k, r, c] = 1.0
            elif free == "log diagonal":
                slopes[k, r, r] = L[r, r]
            elif free == "log sd":
                slopes[k, r] = L[r]
            elif free == "direction":  # of sd·(w, 1)/|(w, 1)|
                slopes[k, r] = -L[r] * L[r, c] * L[r, r] / self.deviation[r] ** 2
                slopes[k, r, c] += L[r, r]
            else:
                slopes[k, r] = L[c]
        for r in self._owned:
            c = int(self.owner[r])
            at = int(np.argmax(np.abs(L[c])))
            scale = L[r, at] / L[c, at] if L[c, at] else 0.0
            slopes[:, r] += scale * slopes[:, c]
        return slopes

    # -- what is reported --------------------------------------------------------------------------------------

    @cached_property
    def own(self) -> list[int]:
        """Rows with an effect of their own."""
        return [r for r in range(len(self.names)) if self.owner[r] < 0]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Rows (later, earlier) that may be correlated."""
        return [(r, c) for r in self.own for c in self.own if c < r and self.block[c] == self.block[r]]

    @cached_property
    def labels(self) -> tuple[list[str], list[str], list[str]]:
        """Names of the standard deviations, correlations and scales."""
        stem = "corr" if self.level == "iiv" else "corr_iov"
        return (
            [f"{self.level}_{self.names[r]}" for r in self.own],
            [f"{stem}_{self.names[c]}_{self.names[r]}" for r, c in self.pairs],
            [f"share_{name}" for r, name in enumerate(self.names) if self.owner[r] >= 0],
        )

    @cached_property
    def fixed(self) -> list[bool]:
        """For each of the labels, whether it is fixed."""
        shared = np.flatnonzero(self.owner >= 0)
        return [
            *(not self.deviation_free[r] for r in self.own),
            *(not self.correlation_free[r] for r, _ in self.pairs),
            *(not self.scale_free[r] for r in shared),
        ]

    def estimates(self, L: Array) -> Array:
        """Standard deviations, correlations and scales at L."""
        if not self.names:
            return np.zeros(0)
        deviations: Array = np.sqrt((L * L).sum(axis=1))
        if not (self.pairs or self._owned):
            return deviations
        rows = L / np.maximum(deviations, _TINY)[:, None]
        shared = [self._scale_at(L, r) for r in self._owned]
        return np.array([*deviations[self.own], *(rows[r] @ rows[c] for r, c in self.pairs), *shared], dtype=float)

    def _scale_at(self, L: Array, r: int) -> float:
        other = L[self.owner[r]]
        at = int(np.argmax(np.abs(other)))
        return float(L[r, at] / other[at]) if other[at] else 0.0

    def estimate_slopes(self, L: Array) -> Array:
        """∂ estimates / ∂x, float64[labels, size]."""
        slopes = self.jacobian(L)
        deviations = np.maximum(np.linalg.norm(L, axis=1), _TINY)
        rows = L / deviations[:, None]
        found = [slopes[:, r] @ rows[r] for r in self.own]
        for r, c in self.pairs:
            correlation = rows[r] @ rows[c]
            change = slopes[:, r] @ (rows[c] - correlation * rows[r]) / deviations[r]
            found.append(change + slopes[:, c] @ (rows[r] - correlation * rows[c]) / deviations[c])
        free = [(r, free) for r, _, free in self.entries]
        for r in np.flatnonzero(self.owner >= 0).tolist():
            found.append(np.array([float(free == "scale" and row == r) for row, free in free]))
        return np.array(found, dtype=float).reshape(len(found), len(free))


def psi_of(model: Model, level: Literal["iiv", "iov"]) -> Psi:
    """Ψ of a level at the values that the model states."""
    owners: dict[str, tuple[str, float | None]] = {}
    names = []
    for parameter in model.parameters:
        share = parameter.share if level == "iiv" else None
        if share is not None:
            owners[parameter.name] = share
        if share is not None or getattr(parameter, level) is not None:
            names.append(parameter.name)
    Q = len(names)
    deviation, scale = np.zeros(Q), np.ones(Q)
    owner = np.full(Q, -1, dtype=np.int64)
    block = np.arange(Q)
    correlation = np.eye(Q)
    correlation_free = np.ones(Q, dtype=bool)
    for r, name in enumerate(names):
        if name in owners:
            owner[r] = names.index(owners[name][0])
            stated = owners[name][1]
            scale[r] = 1.0 if stated is None else stated
        else:
            deviation[r] = getattr(model[name], level)
    for group in model.correlate:
        if group.level != ("subject" if level == "iiv" else "occasion"):
            continue
        at = [names.index(name) for name in group.names]
        block[at] = at[0]
        correlation[np.ix_(at, at)] = group.matrix()
        correlation_free[at] = not group.fixed
    return Psi(
        level=level,
        names=tuple(names),
        deviation=deviation,
        deviation_free=np.array([level not in model[name].fixed_parts for name in names], dtype=bool),
        correlation=correlation,
        correlation_free=correlation_free,
        block=block,
        owner=owner,
        scale=scale,
        scale_free=np.array(["share" not in model[name].fixed_parts for name in names], dtype=bool),
    )
