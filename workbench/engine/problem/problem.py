"""A model over a data set as arrays: everything that comes after `compile` is numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions import Predictor
from workbench.engine.predictions.jets import untransform
from workbench.engine.predictions.schedule import Schedule
from workbench.engine.problem.layout import Layout
from workbench.engine.problem.observations import Observations
from workbench.engine.problem.residual import (
    to_logarithm,
    variances,
)
from workbench.engine.problem.scale import Point, Scale
from workbench.model import ResidualError, Structure
from workbench.model.kinetics import times_moved_by

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_STEP = 1e-5  # on the transformed scale, in differences


@dataclass(frozen=True, eq=False)
class Problem:
    """Arrays in, numbers out.

    Attributes
    ----------
    structure : Structure
    schedule : Schedule
    layout : Layout
    predictor : Predictor
    observations : Observations
    scale : Scale
    errors : tuple of ResidualError
        One per response.
    x : float64[scale.size]
        The values that the model states.
    """

    structure: Structure
    schedule: Schedule
    layout: Layout
    predictor: Predictor
    observations: Observations
    scale: Scale
    errors: tuple[ResidualError, ...]
    x: Array

    @cached_property
    def begun(self) -> tuple[Point, Array]:
        """The point that the model states, and its estimates."""
        return self.scale.point(self.x), self.scale.estimates(self.x)

    @cached_property
    def movers(self) -> frozenset[str]:
        """Parameters that move events in time; where an event crosses an observation, the likelihood has a corner."""
        kinetics = self.structure.kinetics
        return times_moved_by(self.structure.system if kinetics is None else kinetics)

    @property
    def y(self) -> Array:
        """Observations on the scale of the analysis."""
        return self.observations.y

    @property
    def n_subjects(self) -> int:
        """N."""
        return self.schedule.n_subjects

    @property
    def n_coordinates(self) -> int:
        """D."""
        return int(self.layout.A.shape[1])

    @property
    def n_random(self) -> int:
        """Q."""
        return int(self.layout.B.shape[2])

    def _coordinates(self, point: Point, eta: Array | None) -> Array:
        """u for random effects eta[N, Q], 0 if None."""
        u, _ = self.layout.mean(point.theta)
        if eta is not None and self.n_random:
            u = u + np.einsum("idq,iq->id", self.layout.B, eta)
        return u

    def predict(self, subjects: Index, u: Array, order: int, f: Array, fu: Array, fuu: Array) -> None:
        """Predict the observations of some subjects at their coordinates u, on the scale of the analysis."""
        self.predictor.predict(subjects, u, order, f, fu, fuu)
        seen = self.observations
        if seen.logarithmic.any():
            to_logarithm(subjects, seen.first, seen.response, seen.logarithmic, seen.floor, order, f, fu, fuu)

    def predictions(self, point: Point, eta: Array | None = None) -> Array:
        """Predictions at all slots on the natural scale, for random effects eta[N, Q] (default 0).

        They are NaN for a subject whose random effects are.
        """
        D = self.n_coordinates
        f = np.full(self.schedule.n_slots, np.nan)
        u = self._coordinates(point, eta)
        known = np.arange(self.n_subjects) if eta is None else np.flatnonzero(~np.isnan(eta).any(axis=1))
        self.predictor.predict(known, u, 0, f, np.empty((0, D)), np.empty((0, D, D)))
        return f

    def analysed(self, f: Array) -> Array:
        """Predictions at the observations on the scale of the analysis."""
        seen = self.observations
        if not seen.logarithmic.any():
            return f
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(seen.logarithmic[seen.response], np.log(np.where(f > 0, f, seen.floor[seen.response])), f)

    def residual_variance(self, point: Point, f: Array) -> Array:
        """Variance of the residual error at predictions f of the observations, both on the scale of the analysis."""
        seen = self.observations
        R, R_f = np.empty((2, len(f)))
        variances(seen.kind, seen.response, f, point.sigma, R, R_f, np.empty((len(f), point.sigma.shape[1])))
        return R

    def noise(self, point: Point, eta: Array | None) -> float:
        """The largest standard deviation of the residual error, relative to the largest prediction of its response."""
        f = self.analysed(self.predictions(point, eta))
        with np.errstate(all="ignore"):
            sd = np.sqrt(self.residual_variance(point, f))
            tops = [np.max(np.abs(f[self.observations.response == k]), initial=1e-300) for k in range(len(self.errors))]
            relative = sd / np.where(self.observations.logarithmic, 1.0, tops)[self.observations.response]
        return float(np.max(relative, initial=0.0))

    def parameters(self, point: Point, eta: Array | None = None) -> Array:
        """Parameters of each subject on its first design row, natural scale, float64[N, P]."""
        layout = self.layout
        u = self._coordinates(point, eta)
        first = layout.row[self.schedule.start[:-1]]
        z = layout.offset[first] + np.einsum("ipd,id->ip", layout.C[first], u)
        return untransform(z, layout.transform, layout.lower, layout.upper)[..., 0]

    def exchanged(self, x: Array) -> Array | None:
        """x with the values that the structure says give the same typical curve (see `Structure.twin`).

        None where there are none, one of them is kept, or is out of its bounds.
        """
        twin = self.structure.twin(self._typical(x))
        return None if twin is None else self._with_values(x, twin)

    def twins(self, x: Array) -> list[tuple[Array, ...]]:
        """For all other values that give the same typical curve, whichever are the usual ones, where to look for them.

        Once with Ψ as it is; where there are random effects, first with Ψ as the exchange makes it, J Ψ Jᵀ.
        """
        values = self._typical(x)
        found: list[tuple[Array, ...]] = []
        for twin in self.structure.twins(values):
            other = self._with_values(x, twin)
            if other is not None:
                found.append((self._spread_exchanged(other, values, twin), other) if self.n_random else (other,))
        return found

    def _typical(self, x: Array) -> dict[str, float]:
        labels = (quantity.label for quantity in self.scale.quantities)
        values = dict(zip(labels, self.scale.estimates(x).tolist(), strict=True))
        return {name: value for name, value in values.items() if name in self.structure.names}

    def _spread_exchanged(self, x: Array, values: dict[str, float], twin: dict[str, float]) -> Array:
        """x with Ψ between subjects as it follows from the spread of the values that were exchanged."""
        scale = self.scale
        psi, point = scale.subject, scale.point(x)
        quantity = {name.label: name for name in scale.thetas}
        if not psi.names or not all(name in quantity for name in psi.names):
            return x

        def transformed(changed: dict[str, float]) -> Array:
            return np.array([quantity[name].transformed(changed[name]) for name in psi.names])

        number = min(
            range(len(others := self.structure.twins(values))), key=lambda k: _distance(others[k], twin), default=0
        )
        slopes = []
        for name in psi.names:
            ends = []
            for step in (-_STEP, _STEP):
                z = quantity[name].transformed(values[name]) + step
                moved = values | {name: quantity[name].natural(z)[0]}
                changed = self.structure.twins(moved)
                if len(changed) != len(others):
                    return x
                ends.append(transformed(moved | changed[number]))
            slopes.append((ends[1] - ends[0]) / (2.0 * _STEP))
        J, n = np.array(slopes).T, len(psi.names)
        covariance = J @ (point.L[:n, :n] @ point.L[:n, :n].T) @ J.T
        if not np.isfinite(covariance).all():
            return x
        deviation = np.where(psi.owner >= 0, np.nan, np.sqrt(np.diag(covariance)))
        nothing = np.full(len(scale.occasion.names), np.nan)
        return scale.vector(scale.with_deviations(point, deviation, nothing))

    def _with_values(self, x: Array, twin: dict[str, float]) -> Array | None:
        scale = self.scale
        at = {name.label: m for m, name in enumerate(scale.thetas)}
        if not all(name in at and scale.theta_free[at[name]] for name in twin):
            return None
        point = scale.point(x)
        theta = point.theta.copy()
        for name, value in twin.items():
            m = at[name]
            try:
                theta[m] = scale.thetas[m].transformed(value)
            except ValueError:
                return None
            if not scale.theta_lower[m] < theta[m] < scale.theta_upper[m]:
                return None
        return scale.vector(replace(point, theta=theta))


def _distance(values: dict[str, float], others: dict[str, float]) -> float:
    return sum(abs(values.get(name, np.inf) - value) for name, value in others.items())
