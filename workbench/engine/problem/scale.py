"""The scale of the outer problem: the one place where estimates and the optimiser's vector x are converted.

x holds, for what is not fixed: θ on the transformed scale, or what a bound makes of it; the free numbers of Ψ (see
`psi`), first those between subjects, then those between occasions; the logarithms of the residual error's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.problem.psi import Psi, psi_of
from workbench.engine.problem.residual import WIDTH, treatment_of
from workbench.errors import ModelError
from workbench.model import Block, Effect, Model, Parameter
from workbench.model.design import design_of
from workbench.model.transform import CORRELATION, IDENTITY, LOG, Transform

Array = NDArray[np.float64]
Index = NDArray[np.int64]
_EDGE = 1e-12
_KEPT = 16  # estimates


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the parameter space as the likelihood takes it.

    Attributes
    ----------
    theta : float64[M]
        Typical values on the transformed scale and covariate coefficients.
    L : float64[Q, Q]
        Lower factor of Ψ: that between subjects, and for every occasion the same one between occasions.
    sigma : float64[responses, C]
        Parameters of the residual errors, each where `residual.treatment_of` puts it, C at least 2; what is not used
        is 0.
    """

    theta: Array
    L: Array
    sigma: Array


def _inside(share: float) -> float:
    """A share of the way between two bounds that leaves a little to either."""
    return min(max(share, _EDGE), 1.0 - _EDGE)


@dataclass(frozen=True)
class Quantity:
    """A reported quantity.

    Attributes
    ----------
    label : str
    kind : str
        "coefficient", "iiv", "iov", "correlation", "share", "error", or the name of the transform of a typical value.
    of : tuple of str
        The parameter or parameters that it belongs to.
    link : Transform
        On which scale its distribution is nearly symmetric; of a typical value, that of the model.
    bounds : (float, float)
        Where the transform needs some.
    """

    label: str
    kind: str
    of: tuple[str, ...]
    link: Transform = IDENTITY
    bounds: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def typical(cls, parameter: Parameter) -> Quantity:
        """The typical value of a parameter."""
        return cls(parameter.name, parameter.link.name, (parameter.name,), parameter.link, parameter.between)

    @property
    def range(self) -> tuple[float, float]:
        """Between which values it lies."""
        return self.link.range(self.bounds)

    def limits(self, stated: tuple[float, float]) -> tuple[float, float]:
        """Bounds on the transformed scale, infinite where there are none, from those stated on the natural scale."""
        if self.link.needs_bounds:
            return -math.inf, math.inf
        low, high = (self._end(end) for end in stated)
        return (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)

    def _end(self, value: float) -> float:
        """A bound on the transformed scale; NaN where that has no end there."""
        try:
            z = self.transformed(value) if math.isfinite(value) else math.nan
        except ValueError:
            z = math.nan
        return z if math.isfinite(z) else math.nan

    def transformed(self, value: float) -> float:
        """A typical value on the transformed scale."""
        return self.link.to(value, self.bounds)

    def natural(self, value: float) -> tuple[float, float]:
        """A transformed value on the natural scale, and the derivative."""
        return self.link.back(value, self.bounds)

    def interval(self, value: float, se: float) -> tuple[float, float]:
        """95 % interval, symmetric on the scale of the estimation and transformed back."""
        return self.link.interval(value, se, self.bounds)


@dataclass(frozen=True)
class ErrorEntry:
    """A parameter of a residual error: its name, its place in `Point.sigma`, whether it is free, and a deviation."""

    label: str
    name: str
    response: int
    which: int
    free: bool
    is_deviation: bool


class Plain(NamedTuple):
    """A point of which each number is fixed, or a multiple of a number of x or of its exponential.

    Attributes
    ----------
    fixed : float64[M + Q² + responses·C]
        The numbers of θ, L and σ that are not such a multiple.
    place, of : int64[k]; factor : float64[k]
        Those that are, in their order: their places, which x, times what.
    logarithm : bool[k]
        Those that x enters by its exponential.
    slope : int64[k]
        Where the derivatives of these numbers by these x are, in a table with a row for each number.
    """

    fixed: Array
    place: Index
    of: Index
    factor: Array
    logarithm: NDArray[np.bool_]
    slope: Index


@dataclass(frozen=True, eq=False)
class Scale:
    """Conversions between x, a `Point`, and the reported estimates of one model.

    Attributes
    ----------
    thetas : names in the order of `Point.theta`
    theta_free : bool[M]
    theta_fixed : float64[M]
        As the model states them; those that are not free keep these values.
    theta_lower, theta_upper : float64[M]
        Bounds on the transformed scale, infinite where there are none.
    subject, occasion : Psi
    occasions : int
        Most occasions of a subject.
    errors : entries in order
    sigma : float64[responses, C]
        As the model states them; those that are not free keep these values.
    """

    thetas: tuple[Quantity, ...]
    theta_free: NDArray[np.bool_]
    theta_fixed: Array
    theta_lower: Array
    theta_upper: Array
    subject: Psi
    occasion: Psi
    occasions: int
    errors: tuple[ErrorEntry, ...]
    sigma: Array

    @cached_property
    def size(self) -> int:
        """Length of x."""
        return int(self.theta_free.sum()) + self.subject.size + self.occasion.size + len(self._errors_free)

    @cached_property
    def _errors_free(self) -> list[ErrorEntry]:
        return [entry for entry in self.errors if entry.free]

    @property
    def random(self) -> tuple[str, ...]:
        """Parameters with a random effect between subjects."""
        return self.subject.names

    @cached_property
    def n_random(self) -> int:
        """Q, the random effects of a subject, those of its occasions included."""
        return len(self.subject.names) + self.occasions * len(self.occasion.names)

    @cached_property
    def logarithmic(self) -> NDArray[np.bool_]:
        """For each x, whether it is a logarithm."""
        theta = np.array([name.link.is_logarithm for name in self.thetas], dtype=bool) & ~self._bounded
        psi = [free in ("log diagonal", "log sd") for p in (self.subject, self.occasion) for _, _, free in p.entries]
        errors = np.ones(len(self._errors_free), dtype=bool)
        return np.concatenate([theta[self.theta_free], np.array(psi, dtype=bool), errors])

    @cached_property
    def labels_of_x(self) -> tuple[str, ...]:
        """For each x, the label of the reported quantity that it is mostly about."""
        labels = [name.label for name, free in zip(self.thetas, self.theta_free, strict=True) if free]
        for psi in (self.subject, self.occasion):
            stem = "corr" if psi.level == "iiv" else "corr_iov"
            for r, c, free in psi.entries:
                if free == "scale":
                    labels.append(f"share_{psi.names[r]}")
                else:
                    pair = free in ("entry", "direction")
                    labels.append(f"{stem}_{psi.names[c]}_{psi.names[r]}" if pair else f"{psi.level}_{psi.names[r]}")
        return (*labels, *(entry.label for entry in self._errors_free))

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Reported quantities, the fixed ones too, in order."""
        found: list[Quantity] = list(self.thetas)
        for psi in (self.subject, self.occasion):
            deviations, correlations, scales = psi.labels
            own = [psi.names[r] for r in psi.own]
            shared = [name for name in psi.names if name not in own]
            found += [Quantity(label, psi.level, (name,), LOG) for label, name in zip(deviations, own, strict=True)]
            pairs = [(psi.names[c], psi.names[r]) for r, c in psi.pairs]
            correlated = zip(correlations, pairs, strict=True)
            found += [Quantity(label, "correlation", pair, CORRELATION) for label, pair in correlated]
            found += [Quantity(label, "share", (name,)) for label, name in zip(scales, shared, strict=True)]
        return (*found, *(Quantity(entry.label, "error", (entry.label,), LOG) for entry in self.errors))

    @cached_property
    def fixed(self) -> NDArray[np.bool_]:
        """For each of `quantities`, whether it is fixed."""
        psi = [*self.subject.fixed, *self.occasion.fixed]
        errors = [not entry.free for entry in self.errors]
        return np.concatenate([~self.theta_free, np.array([*psi, *errors], dtype=bool)])

    def error_values(self, point: Point, response: int) -> dict[str, float]:
        """The parameters of the residual error of a response, by name."""
        mine = [entry for entry in self.errors if entry.response == response]
        return {entry.name: float(point.sigma[response, entry.which]) for entry in mine}

    # -- x and points ------------------------------------------------------------------------------------------

    @cached_property
    def _bounded(self) -> NDArray[np.bool_]:
        return np.isfinite(self.theta_lower) | np.isfinite(self.theta_upper)

    def split(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """θ, the numbers of Ψ between subjects and between occasions, and the residual error's of x."""
        theta, subject, occasion, logs = self._slices
        return x[theta], x[subject], x[occasion], x[logs]

    def _within(self, x: float, m: int) -> tuple[float, float]:
        """θ[m] at x, and the derivative, where it has bounds."""
        low, high = self.theta_lower[m], self.theta_upper[m]
        if np.isfinite(low) and np.isfinite(high):
            share = _inside(0.5 * (1.0 + math.tanh(0.5 * x)))
            return low + (high - low) * share, (high - low) * share * (1.0 - share)
        step = math.exp(min(max(x, -700.0), 700.0))
        return (low + step, step) if np.isfinite(low) else (high - step, -step)

    def _unbounded(self, value: float, m: int) -> float:
        low, high = self.theta_lower[m], self.theta_upper[m]
        if np.isfinite(low) and np.isfinite(high):
            share = _inside((value - low) / (high - low))
            return math.log(share / (1.0 - share))
        return math.log(max(value - low if np.isfinite(low) else high - value, 1e-300))

    def point(self, x: Array) -> Point:
        """The point at x."""
        return self._by_parts(x) if self.plain is None else self._of_numbers(self._numbers(x)[0])

    def _by_parts(self, x: Array) -> Point:
        """The point at x, whatever its parts are made of."""
        free, subject, occasion, logs = self.split(x)
        theta = self.theta_fixed.copy()
        theta[self.theta_free] = free
        for m in np.flatnonzero(self._bounded & self.theta_free):
            theta[m] = self._within(float(theta[m]), int(m))[0]
        sigma = self.sigma.copy()
        with np.errstate(over="ignore", under="ignore"):
            for entry, value in zip(self._errors_free, np.exp(logs).tolist(), strict=True):
                sigma[entry.response, entry.which] = value
        return Point(theta, self._joined(self.subject.matrix(subject), self.occasion.matrix(occasion)), sigma)

    def _joined(self, subject: Array, occasion: Array) -> Array:
        if not self.occasion.names:
            return subject
        L = np.zeros((self.n_random, self.n_random))
        n, k = len(subject), len(occasion)
        L[:n, :n] = subject
        for start in range(n, len(L), k):
            L[start : start + k, start : start + k] = occasion
        return L

    def parts(self, L: Array) -> tuple[Array, Array]:
        """The factor between subjects, and that between occasions, of a whole L[..., Q, Q]; blocks are summed."""
        n, k = len(self.subject.names), len(self.occasion.names)
        occasion = np.zeros((*L.shape[:-2], k, k))
        for start in range(n, L.shape[-1], k or 1):
            occasion += L[..., start : start + k, start : start + k]
        return L[..., :n, :n], occasion

    def point_of(self, model: Model) -> Point:
        """The point that a model states; it differs from the scale's own model in its values only."""
        L = self._joined(psi_of(model, "iiv").stated, psi_of(model, "iov").stated)
        return Point(_stated_theta(model, self.thetas), L, stated_sigma(model))

    @property
    def stated(self) -> Point:
        """The point that the scale's own model states."""
        return Point(self.theta_fixed, self._joined(self.subject.stated, self.occasion.stated), self.sigma)

    def units(self, point: Point) -> tuple[Array, Array]:
        """A natural size of the parameter of each random effect, between subjects and between occasions."""
        owners = {name.label: (m, name.link) for m, name in enumerate(self.thetas)}
        found = []
        for psi in (self.subject, self.occasion):
            at = [owners.get(name) for name in psi.names]
            found.append(np.array([1.0 if o is None else o[1].unit(float(point.theta[o[0]]), 0.0) for o in at]))
        return found[0], found[1]

    def deviations(self, point: Point) -> tuple[Array, Array]:
        """Standard deviations of the random effects between subjects, and between occasions."""
        n = len(self.subject.names)
        return np.linalg.norm(point.L[:n, :n], axis=1), np.linalg.norm(self._first_occasion(point.L), axis=1)

    def with_deviations(self, point: Point, subject: Array, occasion: Array) -> Point:
        """The point with other standard deviations of the random effects, see `Psi.with_deviations`."""
        n = len(self.subject.names)
        between = self.subject.with_deviations(point.L[:n, :n], subject)
        within = self.occasion.with_deviations(self._first_occasion(point.L), occasion)
        return replace(point, L=self._joined(between, within))

    def vector(self, point: Point) -> Array:
        """x at a point; the inverse of `point`."""
        theta = point.theta.copy()
        for m in np.flatnonzero(self._bounded & self.theta_free):
            theta[m] = self._unbounded(float(theta[m]), int(m))
        n, k = len(self.subject.names), len(self.occasion.names)
        subject, occasion = point.L[:n, :n], point.L[n : n + k, n : n + k]
        logs = np.log([point.sigma[entry.response, entry.which] for entry in self._errors_free])
        return np.concatenate(
            [theta[self.theta_free], self.subject.vector(subject), self.occasion.vector(occasion), logs]
        )

    def gradient(self, point: Point, by_theta: Array, by_L: Array, by_sigma: Array) -> Array:
        """Chain derivatives by the arrays of a point to x.

        Parameters
        ----------
        by_theta : float64[..., M]; by_L : float64[..., Q, Q]; by_sigma : float64[..., responses, C]

        Returns
        -------
        float64[..., size]
        """
        theta = by_theta
        bounded = np.flatnonzero(self._bounded & self.theta_free)
        if len(bounded):
            theta = by_theta.copy()
            for m in bounded:
                x = self._unbounded(float(point.theta[m]), int(m))
                theta[..., m] *= self._within(x, int(m))[1]
        subject, occasion = self.parts(by_L)
        L_subject, L_occasion = point.L[: subject.shape[-1], : subject.shape[-1]], self._first_occasion(point.L)
        parts = [theta[..., self.theta_free]]
        for psi, by, L in ((self.subject, subject, L_subject), (self.occasion, occasion, L_occasion)):
            if psi.size:
                Q = len(psi.names)
                slopes = psi.jacobian(L).reshape(psi.size, Q * Q)
                parts.append(np.ascontiguousarray(by).reshape(*by.shape[:-2], Q * Q) @ slopes.T)
        for entry in self._errors_free:
            at = (..., entry.response, entry.which)
            parts.append((by_sigma[at] * point.sigma[entry.response, entry.which])[..., None])
        return np.concatenate(parts, axis=-1)

    def chained(self, x: Array) -> tuple[Point, Array]:
        """The point at x, and its derivatives by x.

        Returns
        -------
        point : Point
        chain : float64[M + Q² + responses·C, size]
            Of θ, L and σ, row after row.
        """
        if self.plain is None:
            shape, (M, Q), point = self.sigma.shape, (len(self.thetas), self.n_random), self.point(x)
            one = np.eye(M + Q * Q + self.sigma.size)
            by_L, by_sigma = one[:, M : M + Q * Q].reshape(-1, Q, Q), one[:, M + Q * Q :].reshape(-1, *shape)
            return point, self.gradient(point, np.ascontiguousarray(one[:, :M]), by_L, by_sigma)
        numbers, slopes = self._numbers(x)
        chain = np.zeros(len(numbers) * len(x))
        chain[self.plain.slope] = slopes
        return self._of_numbers(numbers), chain.reshape(len(numbers), len(x))

    def _numbers(self, x: Array) -> tuple[Array, Array]:
        """The numbers of a point row after row, float64[M + Q² + responses·C], and the slopes of those that change."""
        assert self.plain is not None
        fixed, place, of, factor, logarithm, _ = self.plain
        value, slopes = x[of], factor.copy()
        with np.errstate(over="ignore", under="ignore"):
            np.multiply(factor, np.exp(value), out=slopes, where=logarithm)
        numbers = fixed.copy()
        numbers[place] = np.where(logarithm, slopes, factor * value)
        return numbers, slopes

    def _of_numbers(self, numbers: Array) -> Point:
        M, Q = len(self.thetas), self.n_random
        theta, L, sigma = numbers[:M], numbers[M : M + Q * Q], numbers[M + Q * Q :]
        return Point(theta, L.reshape(Q, Q), sigma.reshape(self.sigma.shape))

    @cached_property
    def plain(self) -> Plain | None:
        """Where each number of a point is a multiple of one of x, or of its exponential: which, and how much of it."""
        if (self._bounded & self.theta_free).any():
            return None
        Q, M = self.n_random, len(self.thetas)
        subjects, k = len(self.subject.names), len(self.occasion.names)
        start, entries = int(self.theta_free.sum()), []
        entries += [(int(m), x, 1.0) for x, m in enumerate(np.flatnonzero(self.theta_free))]
        for psi, offsets in ((self.subject, [0]), (self.occasion, list(range(subjects, Q, k or 1)))):
            parts = psi.plain
            if parts is None:
                return None
            entries += [(M + (o + r) * Q + o + c, start + at, by) for r, c, at, by in parts for o in offsets]
            start += psi.size
        for at, entry in enumerate(self._errors_free):
            entries.append((M + Q * Q + entry.response * self.sigma.shape[1] + entry.which, start + at, 1.0))
        point = self._by_parts(np.zeros(self.size))
        fixed = np.concatenate([point.theta, point.L.ravel(), point.sigma.ravel()])
        place, of, factor = (np.array(column) for column in zip(*entries, strict=True)) if entries else (
            np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))  # fmt: skip
        logarithm = self.logarithmic[of] & (of >= int(self.theta_free.sum()))
        return Plain(fixed, place, of, factor, logarithm, place * self.size + of)

    def _first_occasion(self, L: Array) -> Array:
        n, k = len(self.subject.names), len(self.occasion.names)
        return L[n : n + k, n : n + k]

    # -- reported quantities -----------------------------------------------------------------------------------

    def estimates(self, x: Array) -> Array:
        """The reported quantities at x, in the order of `quantities`, on the natural scale."""
        key = x.tobytes()
        found = self._latest.get(key)
        if found is None:
            if len(self._latest) >= _KEPT:
                self._latest.clear()
            found = self._latest[key] = self._estimates(x)
        return found.copy()

    @cached_property
    def _latest(self) -> dict[bytes, Array]:
        """Estimates that were asked for: what is said of an end asks again and again."""
        return {}

    def _estimates(self, x: Array) -> Array:
        point = self.point(x)
        theta = [name.natural(value)[0] for name, value in zip(self.thetas, point.theta.tolist(), strict=True)]
        n, sigma = len(self.subject.names), point.sigma.tolist()
        errors = [sigma[entry.response][entry.which] for entry in self.errors]
        between, within = point.L[:n, :n], self._first_occasion(point.L)
        return np.array([*theta, *self.subject.estimates(between), *self.occasion.estimates(within), *errors], float)

    def jacobian(self, x: Array) -> Array:
        """∂ estimates / ∂x, float64[names, size]."""
        point = self.point(x)
        theta, subject, occasion, _ = (np.arange(self.size)[part] for part in self._slices)
        slopes = np.zeros((len(self.quantities), self.size))
        free = np.flatnonzero(self.theta_free)
        for k, m in zip(theta, free, strict=True):
            slope = self.thetas[m].natural(float(point.theta[m]))[1]
            slopes[m, k] = slope * (self._within(float(x[k]), int(m))[1] if self._bounded[m] else 1.0)
        row, n = len(self.thetas), len(self.subject.names)
        for psi, at, L in (
            (self.subject, subject, point.L[:n, :n]),
            (self.occasion, occasion, self._first_occasion(point.L)),
        ):
            part = psi.estimate_slopes(L)
            slopes[row : row + len(part), at] = part
            row += len(part)
        k = self.size - len(self._errors_free)
        for entry in self.errors:
            if entry.free:
                slopes[row, k] = point.sigma[entry.response, entry.which]
                k += 1
            row += 1
        return slopes

    @cached_property
    def _slices(self) -> tuple[slice, slice, slice, slice]:
        ends = np.cumsum([0, int(self.theta_free.sum()), self.subject.size, self.occasion.size]).tolist()
        return slice(0, ends[1]), slice(ends[1], ends[2]), slice(ends[2], ends[3]), slice(ends[3], self.size)

    def model_at(self, model: Model, x: Array) -> Model:
        """The model with the values at x put into it."""
        values = dict(zip((name.label for name in self.quantities), self.estimates(x).tolist(), strict=True))
        return with_estimates(model, values)


def scale_of(model: Model, data: GroupedData, occasion: NDArray[np.int64]) -> Scale:
    """The scale of a model.

    Parameters
    ----------
    model : Model
        With every value stated.
    data : GroupedData
    occasion : int64[records]
        Which of its subject's occasions a record is in.

    Raises
    ------
    ModelError
        If an effect has another number of coefficients than its term has columns.
    """
    names: list[Quantity] = []
    free: list[bool] = []
    limits: list[tuple[float, float]] = []
    for parameter in model.parameters:
        if parameter.column is not None:
            continue
        names.append(Quantity.typical(parameter))
        limits.append(names[-1].limits(parameter.limits))
        free.append("value" not in parameter.fixed_parts)
        for effect in parameter.covariates:
            _, labels = design_of(effect.term, data)
            if effect.value is not None and len(effect.value) != len(labels):
                raise ModelError(
                    f"{parameter.name}: {effect.term} has {len(labels)} coefficients "
                    f"({', '.join(labels)}), got {len(effect.value)} values."
                )
            names += [Quantity(f"{parameter.name}:{label}", "coefficient", (parameter.name,)) for label in labels]
            free += [not effect.fixed] * len(labels)
            limits += [(-np.inf, np.inf)] * len(labels)
    within = psi_of(model, "iov")
    return Scale(
        thetas=tuple(names),
        theta_free=np.array(free, dtype=bool),
        theta_fixed=_stated_theta(model, names),
        theta_lower=np.array([low for low, _ in limits], dtype=float),
        theta_upper=np.array([high for _, high in limits], dtype=float),
        subject=psi_of(model, "iiv"),
        occasion=within,
        occasions=int(occasion.max(initial=0)) + 1 if within.names else 0,
        errors=error_entries(model),
        sigma=stated_sigma(model),
    )


def _stated_theta(model: Model, thetas: Sequence[Quantity]) -> Array:
    """θ as the model states it, float64[M]."""
    theta = []
    counts = {parameter.name: 0 for parameter in model.parameters}
    for name in thetas:
        parameter = model[name.of[0]]
        if name.kind == "coefficient":
            coefficients = [_coefficients(parameter, effect, thetas) for effect in parameter.covariates]
            theta.append(float(np.concatenate(coefficients)[counts[parameter.name]]))
            counts[parameter.name] += 1
        else:
            assert parameter.value is not None
            theta.append(name.transformed(parameter.value))
    return np.array(theta, dtype=float)


def _coefficients(parameter: Parameter, effect: Effect, thetas: Sequence[Quantity]) -> Array:
    if effect.value is not None:
        return np.array(effect.value)
    stem = f"{parameter.name}:{effect.term}"
    return np.zeros(sum(n.label == stem or n.label.startswith(stem + "[") for n in thetas))


def error_entries(model: Model) -> tuple[ErrorEntry, ...]:
    """Every parameter of the residual errors of a model."""
    found = []
    for response, (error, labels) in enumerate(zip(model.errors, model.error_labels, strict=True)):
        places = treatment_of(error).places
        for name, label in zip(error.names, labels, strict=True):
            free, about = name not in error.fixed_names, error.parameters[name]
            found.append(ErrorEntry(label, name, response, places[name], free, about.is_deviation))
    return tuple(found)


def stated_sigma(model: Model) -> Array:
    """σ as the model states it, float64[responses, C]."""
    treatments = [treatment_of(error) for error in model.errors]
    sigma = np.zeros((len(treatments), max(WIDTH, *(len(error.names) for error in model.errors))))
    for response, (error, treatment) in enumerate(zip(model.errors, treatments, strict=True)):
        for name, value in zip(error.names, error.values, strict=True):
            sigma[response, treatment.places[name]] = value
    return sigma


def with_estimates(model: Model, values: dict[str, float]) -> Model:
    """Put estimates, named as in a result's table, into a model.

    A search may end at the edge of what a model can state (a variance of 0, a correlation of 1): there the nearest
    value that can be stated is put in.
    """
    changed: dict[str, dict[str, object]] = {}
    for parameter in model.parameters:
        if parameter.column is not None:
            continue
        name, changes = parameter.name, dict[str, object]()
        if name in values and "value" not in parameter.fixed_parts:
            changes["value"] = _statable(parameter, values[name])
        for level in ("iiv", "iov"):
            if f"{level}_{name}" in values and level not in parameter.fixed_parts:
                changes[level] = _positive(values[f"{level}_{name}"])
        if parameter.share is not None and f"share_{name}" in values:
            changes["share"] = (parameter.share[0], values[f"share_{name}"])
        effects = []
        for effect in parameter.covariates:
            prefix = f"{name}:{effect.term}"
            found = [v for label, v in values.items() if label == prefix or label.startswith(prefix + "[")]
            effects.append(Effect(effect.term, tuple(found) or effect.value, effect.fixed, effect.fractional))
        if effects:
            changes["covariates"] = tuple(effects)
        if changes:
            changed[name] = changes
    model = model.with_parameters(changed)
    blocks = []
    for block in model.correlate:
        stem = "corr" if block.level == "subject" else "corr_iov"
        pairs = [(block.names[i], block.names[j]) for i in range(len(block.names)) for j in range(i)]
        known = zip(pairs, block.correlations, strict=True)
        blocks.append(_nearest_block(block, [_pair(values, stem, *pair, old) for pair, old in known]))
    model = model.with_correlate(blocks) if blocks else model
    several = len(model.errors) > 1
    for response, error, labels in zip(model.structure.responses, model.errors, model.error_labels, strict=True):
        found_values = {n: values.get(label) for n, label in zip(error.names, labels, strict=True)}
        stated = {n: _positive(v) for n, v in found_values.items() if v is not None and n not in error.fixed_names}
        if stated:
            model = model.with_error(error.with_values(stated), response=response if several else None)
    return model


def _statable(parameter: Parameter, value: float) -> float:
    """The nearest value that the parameter can state: positive, or inside its bounds."""
    low, high = parameter.limits
    if parameter.link.is_positive:
        value = _positive(value)
    width = high - low if math.isfinite(high - low) else max(abs(value), 1e-8)
    for bound, sign in ((low, 1.0), (high, -1.0)):
        if math.isfinite(bound) and bound != 0 and sign * (value - bound) < 1e-9 * width:
            value = bound + sign * 1e-9 * width
    return value


def _positive(value: float) -> float:
    return min(max(value, 1e-300), 1e300)


def _nearest_block(block: Block, correlations: list[float]) -> Block:
    for shrink in (0.0, 1e-12, 1e-9, 1e-6):
        try:
            return _with_correlations(block, [r * (1 - shrink) for r in correlations])
        except ModelError:
            continue
    return _with_correlations(block, [r * (1 - 1e-3) for r in correlations])


def _with_correlations(block: Block, correlations: list[float]) -> Block:
    return Block(*block.names, correlations=correlations, fixed=block.fixed, level=block.level)


def _pair(values: dict[str, float], stem: str, first: str, second: str, default: float) -> float:
    return values.get(f"{stem}_{first}_{second}", values.get(f"{stem}_{second}_{first}", default))
