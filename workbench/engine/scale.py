"""The scale of the outer problem: the one place where estimates and the optimiser's vector x are converted.

x holds, for what is not fixed: θ on the transformed scale; the Cholesky factor L of Ψ as log L_rr and the
row-wise ratios L_rs / L_rr; log a and log b of the residual error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.model import Block, Model

Array = NDArray[np.float64]
Kind = Literal["log", "identity", "coefficient", "iiv", "correlation", "error"]



@dataclass(frozen=True, eq=False)
class Point:
    """A point of the parameter space as the likelihood takes it.

    Attributes
    ----------
    theta : float64[M]
        Typical values on the transformed scale and covariate coefficients.
    L : float64[Q, Q]
        Lower Cholesky factor of Ψ.
    sigma : float64[2]
        a and b of the residual error, 0 where the error model has none.
    """

    theta: Array
    L: Array
    sigma: Array


@dataclass(frozen=True)
class Name:
    """A reported quantity: its label, what kind it is, and the parameter or parameters that it belongs to."""

    label: str
    kind: Kind
    of: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scale:
    """Conversions between x, a `Point`, and the reported estimates of one model.

    Attributes
    ----------
    theta_names, random, error_names : names in the order of `Point`'s arrays
    theta_free : bool[M]
    lower : int64[2, k]
        Rows and columns of the entries of L that are not zero.
    """

    theta_names: tuple[Name, ...]
    theta_free: NDArray[np.bool_]
    theta_fixed: Array
    random: tuple[str, ...]
    lower: NDArray[np.int64]
    error_names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Length of x."""
        return int(self.theta_free.sum()) + self.lower.shape[1] + len(self.error_names)

    @property
    def _sigma_at(self) -> list[int]:
        return ["ab".index(name) for name in self.error_names]

    @property
    def names(self) -> tuple[Name, ...]:
        """Reported quantities, the fixed ones too, in order."""
        rows, columns = self.lower
        deviations = [Name(f"iiv_{name}", "iiv", (name,)) for name in self.random]
        pairs = [(self.random[c], self.random[r]) for r, c in zip(rows, columns, strict=True) if r != c]
        correlations = [Name(f"corr_{first}_{second}", "correlation", (first, second)) for first, second in pairs]
        errors = [Name(name, "error", (name,)) for name in self.error_names]
        return (*self.theta_names, *deviations, *correlations, *errors)

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """For each of `names`, whether it is fixed."""
        rest = len(self.names) - len(self.theta_names)
        return np.concatenate([~self.theta_free, np.zeros(rest, dtype=bool)])

    def point(self, x: Array) -> Point:
        """The point at x."""
        free = int(self.theta_free.sum())
        theta = self.theta_fixed.copy()
        theta[self.theta_free] = x[:free]
        rows, columns = self.lower
        entries = x[free : free + len(rows)]
        L = np.zeros((len(self.random),) * 2)
        diagonal = rows == columns
        with np.errstate(over="ignore"):
            L[rows[diagonal], rows[diagonal]] = np.exp(entries[diagonal])
            L[rows[~diagonal], columns[~diagonal]] = entries[~diagonal] * np.diag(L)[rows[~diagonal]]
            sigma = np.zeros(2)
            sigma[self._sigma_at] = np.exp(x[free + len(rows) :])
        return Point(theta, L, sigma)

    def vector(self, point: Point) -> Array:
        """x at a point; the inverse of `point`."""
        rows, columns = self.lower
        diagonal = rows == columns
        entries = np.empty(len(rows))
        entries[diagonal] = np.log(point.L[rows[diagonal], rows[diagonal]])
        ratios = point.L[rows[~diagonal], columns[~diagonal]] / np.diag(point.L)[rows[~diagonal]]
        entries[~diagonal] = ratios
        return np.concatenate([point.theta[self.theta_free], entries, np.log(point.sigma[self._sigma_at])])

    def gradient(self, point: Point, by_theta: Array, by_L: Array, by_sigma: Array) -> Array:
        """Chain derivatives by the arrays of a point to x.

        Parameters
        ----------
        by_theta : float64[N, M]; by_L : float64[N, Q, Q]; by_sigma : float64[N, 2]
            One row per subject.

        Returns
        -------
        float64[N, size]
        """
        rows, columns = self.lower
        diagonal = rows == columns
        weighted = by_L * point.L  # entry (r, s) is L_rs ∂/∂L_rs
        entries = np.empty((len(by_theta), len(rows)))
        entries[:, diagonal] = weighted.sum(axis=2)[:, rows[diagonal]]
        scale = np.diag(point.L)[rows[~diagonal]]
        entries[:, ~diagonal] = by_L[:, rows[~diagonal], columns[~diagonal]] * scale
        sigma = (by_sigma * point.sigma)[:, self._sigma_at]
        return np.concatenate([by_theta[:, self.theta_free], entries, sigma], axis=1)

    def estimates(self, x: Array) -> Array:
        """The reported quantities at x, in the order of `names`, on the natural scale."""
        point = self.point(x)
        theta = point.theta.copy()
        logs = [name.kind == "log" for name in self.theta_names]
        theta[logs] = np.exp(theta[logs])
        psi = point.L @ point.L.T
        deviations = np.sqrt(np.diag(psi))
        rows, columns = self.lower
        off = rows != columns
        scale = deviations[rows[off]] * deviations[columns[off]]
        with np.errstate(invalid="ignore", divide="ignore"):
            correlations = psi[rows[off], columns[off]] / scale
        return np.concatenate([theta, deviations, correlations, point.sigma[self._sigma_at]])

    def jacobian(self, x: Array) -> Array:
        """∂ estimates / ∂x, float64[names, size], by central differences of closed forms."""
        columns = []
        for m in range(self.size):
            h = 1e-5 * max(1.0, abs(x[m]))
            up, down = x.copy(), x.copy()
            up[m] += h
            down[m] -= h
            columns.append((self.estimates(up) - self.estimates(down)) / (2 * h))
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.names), 0))

    def model_at(self, model: Model, x: Array) -> Model:
        """The model with the values at x put into it."""
        values = dict(zip((name.label for name in self.names), self.estimates(x).tolist(), strict=True))
        return with_estimates(model, values)


def with_estimates(model: Model, values: dict[str, float]) -> Model:
    """Put estimates, named as in a result's table, into a model."""
    for parameter in model.parameters:
        if parameter.column is not None:
            continue
        changes: dict[str, object] = {}
        if parameter.name in values and not parameter.fixed:
            changes["value"] = values[parameter.name]
        if f"iiv_{parameter.name}" in values:
            changes["iiv"] = values[f"iiv_{parameter.name}"]
        effects = []
        for effect in parameter.covariates:
            prefix = f"{parameter.name}:{effect.term}"
            found = [v for label, v in values.items() if label == prefix or label.startswith(prefix + "[")]
            effects.append(type(effect)(effect.term, tuple(found) or effect.value, effect.fixed))
        if effects:
            changes["covariates"] = tuple(effects)
        model = model.with_parameter(parameter.name, **changes)
    blocks = []
    for block in model.correlate:
        pairs = [(i, j) for i in range(len(block.names)) for j in range(i)]
        found = [_pair(values, block.names[i], block.names[j]) for i, j in pairs]
        known = [r if r is not None else old for r, old in zip(found, block.correlations, strict=True)]
        blocks.append(Block(*block.names, correlations=known))
    error = type(model.error)(**{name: values.get(name, value) for name, value in zip(model.error.names, model.error.values, strict=True)})
    return model.with_correlate(blocks).with_error(error)


def _pair(values: dict[str, float], first: str, second: str) -> float | None:
    return values.get(f"corr_{first}_{second}", values.get(f"corr_{second}_{first}"))
