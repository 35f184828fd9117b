"""The scale of the outer problem: the one place where estimates and the optimiser's vector x are converted.

x holds, for what is not fixed: θ on the transformed scale; the Cholesky factor L of Ψ, its diagonal as log L_rr;
log a and log b of the residual error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ModelError
from workbench.model import Block, Effect, Model, Parameter

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
        return int(self.theta_free.sum()) + int(self.lower.shape[1]) + len(self.error_names)

    @property
    def logarithmic(self) -> NDArray[np.bool_]:
        """For each x, whether it is a logarithm."""
        theta = np.array([name.kind == "log" for name in self.theta_names], dtype=bool)
        rows, columns = self.lower
        return np.concatenate([theta[self.theta_free], rows == columns, np.ones(len(self.error_names), dtype=bool)])

    @property
    def _sigma_at(self) -> list[int]:
        return ["ab".index(name) for name in self.error_names]

    @property
    def names(self) -> tuple[Name, ...]:
        """Reported quantities, the fixed ones too, in order."""
        deviations = [Name(f"iiv_{name}", "iiv", (name,)) for name in self.random]
        pairs = [(self.random[c], self.random[r]) for r, c in self._pairs()]
        correlations = [Name(f"corr_{first}_{second}", "correlation", (first, second)) for first, second in pairs]
        errors = [Name(name, "error", (name,)) for name in self.error_names]
        return (*self.theta_names, *deviations, *correlations, *errors)

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """For each of `names`, whether it is fixed."""
        rest = len(self.names) - len(self.theta_names)
        return np.concatenate([~self.theta_free, np.zeros(rest, dtype=bool)])

    def _split(self, x: Array) -> tuple[Array, Array, Array]:
        """θ, entries of L, and (a, b) of x."""
        free, entries = int(self.theta_free.sum()), self.lower.shape[1]
        return x[:free], x[free : free + entries], x[free + entries :]

    def point(self, x: Array) -> Point:
        """The point at x."""
        free, entries, logs = self._split(x)
        theta = self.theta_fixed.copy()
        theta[self.theta_free] = free
        rows, columns = self.lower
        L = np.zeros((len(self.random),) * 2)
        sigma = np.zeros(2)
        with np.errstate(over="ignore", under="ignore"):
            L[rows, columns] = np.where(rows == columns, np.exp(np.where(rows == columns, entries, 0.0)), entries)
            sigma[self._sigma_at] = np.exp(logs)
        return Point(theta, L, sigma)

    def point_of(self, model: Model) -> Point:
        """The point that a model states; it differs from the scale's own model in its values only."""
        theta = []
        counts = {parameter.name: 0 for parameter in model.parameters}
        for name in self.theta_names:
            parameter = model[name.of[0]]
            if name.kind == "coefficient":
                coefficients = [self._coefficients(parameter, effect) for effect in parameter.covariates]
                theta.append(np.concatenate(coefficients)[counts[parameter.name]])
                counts[parameter.name] += 1
            else:
                assert parameter.value is not None
                theta.append(np.log(parameter.value) if name.kind == "log" else parameter.value)
        deviations = np.array([model[name].iiv for name in self.random], dtype=float)
        correlation = np.eye(len(self.random))
        for block in model.correlate:
            at = [self.random.index(name) for name in block.names]
            correlation[np.ix_(at, at)] = block.matrix()
        sigma = np.zeros(2)
        sigma[self._sigma_at] = model.error.values
        L = deviations[:, None] * np.linalg.cholesky(correlation)
        return Point(np.array(theta, dtype=float), L, sigma)

    def _coefficients(self, parameter: Parameter, effect: Effect) -> Array:
        if effect.value is not None:
            return np.array(effect.value)
        stem = f"{parameter.name}:{effect.term}"
        return np.zeros(sum(n.label == stem or n.label.startswith(stem + "[") for n in self.theta_names))

    def vector(self, point: Point) -> Array:
        """x at a point; the inverse of `point`."""
        rows, columns = self.lower
        entries = point.L[rows, columns]
        entries[rows == columns] = np.log(entries[rows == columns])
        return np.concatenate([point.theta[self.theta_free], entries, np.log(point.sigma[self._sigma_at])])

    def gradient(self, point: Point, by_theta: Array, by_L: Array, by_sigma: Array) -> Array:
        """Chain derivatives by the arrays of a point to x.

        Parameters
        ----------
        by_theta : float64[..., M]; by_L : float64[..., Q, Q]; by_sigma : float64[..., 2]

        Returns
        -------
        float64[..., size]
        """
        rows, columns = self.lower
        entries = by_L[..., rows, columns] * np.where(rows == columns, point.L[rows, columns], 1.0)
        sigma = (by_sigma * point.sigma)[..., self._sigma_at]
        return np.concatenate([by_theta[..., self.theta_free], entries, sigma], axis=-1)

    def _pairs(self) -> list[tuple[int, int]]:
        return [(int(r), int(c)) for r, c in self.lower.T if r != c]

    def estimates(self, x: Array) -> Array:
        """The reported quantities at x, in the order of `names`, on the natural scale."""
        point = self.point(x)
        logs = np.array([name.kind == "log" for name in self.theta_names], dtype=bool)
        theta = np.where(logs, np.exp(np.where(logs, point.theta, 0.0)), point.theta)
        deviations = np.linalg.norm(point.L, axis=1)
        rows = point.L / np.maximum(deviations, np.finfo(float).tiny)[:, None]
        correlations = [rows[r] @ rows[c] for r, c in self._pairs()]
        return np.concatenate([theta, deviations, correlations, point.sigma[self._sigma_at]])

    def jacobian(self, x: Array) -> Array:
        """∂ estimates / ∂x, float64[names, size]."""
        point, values = self.point(x), self.estimates(x)
        M, Q = len(self.theta_names), len(self.random)
        count = len(values)
        by_theta, by_L, by_sigma = np.zeros((count, M)), np.zeros((count, Q, Q)), np.zeros((count, 2))
        for m, name in enumerate(self.theta_names):
            by_theta[m, m] = values[m] if name.kind == "log" else 1.0
        deviations = np.maximum(values[M : M + Q], np.finfo(float).tiny)
        for q in range(Q):
            by_L[M + q, q] = point.L[q] / deviations[q]
        for k, (r, c) in enumerate(self._pairs(), start=M + Q):
            for one, other in ((r, c), (c, r)):
                pull = point.L[other] / deviations[other] - values[k] * point.L[one] / deviations[one]
                by_L[k, one] = pull / deviations[one]
        for k, at in enumerate(self._sigma_at, start=count - len(self.error_names)):
            by_sigma[k, at] = 1.0
        return self.gradient(point, by_theta, by_L, by_sigma)

    def model_at(self, model: Model, x: Array) -> Model:
        """The model with the values at x put into it."""
        values = dict(zip((name.label for name in self.names), self.estimates(x).tolist(), strict=True))
        return with_estimates(model, values)


def with_estimates(model: Model, values: dict[str, float]) -> Model:
    """Put estimates, named as in a result's table, into a model.

    A search may end at the edge of what a model can state (a variance of 0, a correlation of 1): there the nearest
    value that can be stated is put in.
    """
    for parameter in model.parameters:
        if parameter.column is not None:
            continue
        changes: dict[str, object] = {}
        if parameter.name in values and not parameter.fixed:
            value = values[parameter.name]
            changes["value"] = _positive(value) if parameter.transform == "log" else value
        if f"iiv_{parameter.name}" in values:
            changes["iiv"] = _positive(values[f"iiv_{parameter.name}"])
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
        pairs = [(block.names[i], block.names[j]) for i in range(len(block.names)) for j in range(i)]
        known = zip(pairs, block.correlations, strict=True)
        blocks.append(_nearest_block(block.names, [_pair(values, *pair, old) for pair, old in known]))
    stated = zip(model.error.names, model.error.values, strict=True)
    error = type(model.error)(**{name: _positive(values[name]) if name in values else old for name, old in stated})
    return model.with_correlate(blocks).with_error(error)


def _positive(value: float) -> float:
    return min(max(value, 1e-300), 1e300)


def _nearest_block(names: tuple[str, ...], correlations: list[float]) -> Block:
    for shrink in (0.0, 1e-12, 1e-9, 1e-6):
        try:
            return Block(*names, correlations=[r * (1 - shrink) for r in correlations])
        except ModelError:
            continue
    return Block(*names, correlations=[r * (1 - 1e-3) for r in correlations])


def _pair(values: dict[str, float], first: str, second: str, default: float) -> float:
    return values.get(f"corr_{first}_{second}", values.get(f"corr_{second}_{first}", default))
