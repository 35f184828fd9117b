"""A model and a data set as arrays: `compile` lays them out once, everything after it is numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.data.events import OTHER
from workbench.engine.predictions import Predictor, predictor_of
from workbench.engine.predictions.jets import untransform
from workbench.engine.predictions.schedule import Schedule, schedule_of
from workbench.engine.problem.layout import Layout, columns_by_record, layout_of, occasions_of, spread
from workbench.engine.problem.psi import psi_of
from workbench.engine.problem.residual import (
    CENSORED,
    CENSORED_POSITIVE,
    MEASURED,
    MEASURED_POSITIVE,
    to_logarithm,
    treatment_of,
    variances,
)
from workbench.engine.problem.scale import Point, Quantity, Scale, error_entries, stated_sigma
from workbench.errors import ModelError
from workbench.model import Model, ResidualError, Structure
from workbench.model.check import OF_THE_LIKELIHOOD

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Observations:
    """What was observed, in the order of the slots: n values of K responses.

    Attributes
    ----------
    y : float64[n]
        On the scale of the analysis: a logarithm where `logarithmic`; the lower limit where censored.
    upper : float64[n]
        Upper limit where censored.
    what : int64[n]
        MEASURED, CENSORED, and both where only positive values are possible (M4).
    response : int64[n]
    first : int64[N + 1]
        Observations of subject i are first[i]:first[i + 1].
    kind : int64[K]
        How the variance is computed; see `residual`.
    logarithmic : bool[K]
    floor : float64[K]
        What a prediction of 0 counts as, before its logarithm is taken.
    jacobian : float64[N]
        2 Σ log y of the responses that are log-normal: what makes their likelihood that of y.
    """

    y: Array
    upper: Array
    what: Index
    response: Index
    first: Index
    kind: Index
    logarithmic: NDArray[np.bool_]
    floor: Array
    jacobian: Array


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

    def parameters(self, point: Point, eta: Array | None = None) -> Array:
        """Parameters of each subject on its first design row, natural scale, float64[N, P]."""
        layout = self.layout
        u = self._coordinates(point, eta)
        first = layout.row[self.schedule.start[:-1]]
        z = layout.offset[first] + np.einsum("ipd,id->ip", layout.C[first], u)
        with np.errstate(over="ignore", under="ignore"):
            columns = [
                [untransform(value, code, low, high)[0] for value in column]
                for column, code, low, high in zip(z.T, layout.transform, layout.lower, layout.upper, strict=True)
            ]
        return np.array(columns, dtype=float).reshape(z.shape[::-1]).T

    def exchanged(self, x: Array) -> Array | None:
        """x with the values that the structure says give the same typical curve (see `Structure.twin`).

        None where there are none, one of them is kept, or is out of its bounds.
        """
        scale = self.scale
        at = {name.label: m for m, name in enumerate(scale.thetas)}
        labels = (quantity.label for quantity in scale.quantities)
        twin = self.structure.twin(dict(zip(labels, scale.estimates(x).tolist(), strict=True)))
        if twin is None or not all(name in at and scale.theta_free[at[name]] for name in twin):
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


def compile(model: Model, data: GroupedData, records: bool = False, likelihood: bool = True) -> Problem:
    """Lay out a model and a data set as arrays.

    Parameters
    ----------
    model : Model
        With every value stated (`initial_values` finds those that are not).
    data : GroupedData
    records : bool
        Predict at every record, doses included, instead of at the observations only.
    likelihood : bool
        Refuse what stands against a likelihood only (no observations, a log-normal error of values below 0, …).

    Raises
    ------
    ModelError
        If a value is missing, or model and data do not fit together (see `Model.check`).
    """
    check_types(model, data)
    model = model.with_centred(data)
    _require_complete(model)
    faults = [finding for finding in model.check(data) if finding.severity == "error"]
    if not likelihood:
        faults = [finding for finding in faults if finding.where not in OF_THE_LIKELIHOOD]
    if faults:
        raise ModelError("\n".join(map(str, faults)))
    events = data.events
    counted = _counted(model, data)
    response = responses_of(model, data)
    schedule = schedule_of(events, np.ones(len(events.time), dtype=bool) if records else counted, response)
    scale = _scale(model, data)
    layout = layout_of(model, data, scale, schedule.record)
    return Problem(
        structure=model.structure,
        schedule=schedule,
        layout=layout,
        predictor=predictor_of(model.structure, schedule, layout),
        observations=_observations(model, data, counted, response),
        scale=scale,
        errors=model.errors,
        x=scale.vector(scale.point_of(model)),
    )


def responses_of(model: Model, data: GroupedData) -> Index:
    """Which response of the structure each record is about: by equal names, else in order of the data's labels."""
    names = model.structure.responses
    labels = [str(label) for label in data.responses]
    if len(names) < 2:
        return np.zeros(len(data.events.time), dtype=np.int64)
    place = [names.index(label) if set(labels) <= set(names) else k for k, label in enumerate(labels)]
    return np.array(place, dtype=np.int64)[data.events.response]


def _counted(model: Model, data: GroupedData) -> NDArray[np.bool_]:
    """Records that enter the likelihood; M1 leaves out what is censored."""
    events = data.events
    return events.observed & (events.censored == 0) if model.blq == "M1" else events.observed


def _observations(model: Model, data: GroupedData, counted: NDArray[np.bool_], response: Index) -> Observations:
    events = data.events
    errors = model.errors
    logs = np.array([error.logarithmic for error in errors], dtype=bool)
    already = np.array([error.data_are_logarithms for error in errors], dtype=bool)
    mine = response[counted]
    y, censored, limit = events.dv[counted], events.censored[counted], events.limit[counted]
    positive = model.blq == "M4"
    lowest = np.where(already[mine] | ~np.full(len(y), positive), -np.inf, 0.0)
    lower = np.where(censored > 0, np.where(np.isnan(limit), lowest, limit), y)
    upper = np.where(censored > 0, y, np.where(np.isnan(limit), np.inf, limit))
    what = np.where(censored != 0, CENSORED, MEASURED)
    if positive:
        what = np.where(logs[mine], what, np.where(censored != 0, CENSORED_POSITIVE, MEASURED_POSITIVE))
    take_log = (logs & ~already)[mine]
    with np.errstate(divide="ignore", invalid="ignore"):
        logged = np.where(take_log & (censored == 0), np.log(np.where(take_log, y, 1.0)), 0.0)
        lower = np.where(take_log, np.log(np.maximum(lower, 0.0)), lower)
        upper = np.where(take_log, np.log(np.maximum(upper, 0.0)), upper)
    counts = np.concatenate([[0], np.cumsum(counted)])
    first = counts[events.start]
    owner = np.repeat(np.arange(len(first) - 1), np.diff(first))
    return Observations(
        y=np.ascontiguousarray(lower),
        upper=np.ascontiguousarray(upper),
        what=what.astype(np.int64),
        response=mine,
        first=first,
        kind=np.array([treatment_of(error).kind for error in errors], dtype=np.int64),
        logarithmic=logs,
        floor=np.array([error.counts_zero_as or 0.0 for error in errors], dtype=float),
        jacobian=2.0 * np.bincount(owner, logged, minlength=len(first) - 1).astype(float),
    )


def thinned(problem: Problem, most: int) -> Problem:
    """The same problem for at most that many of the subjects, spread evenly over them."""
    N = problem.n_subjects
    if most >= N:
        return problem
    return of_subjects(problem, np.unique(np.linspace(0, N - 1, most).astype(np.int64)))


def of_subjects(problem: Problem, chosen: Index) -> Problem:
    """The same problem for chosen subjects, in their order; one that is chosen several times is there several times."""
    old, seen, layout = problem.schedule, problem.observations, problem.layout
    at, start = spread(old.start, chosen)
    slot = old.slot[at]
    schedule = old.taken(at, np.repeat(np.arange(len(chosen)), np.diff(start)), len(chosen))
    schedule = replace(schedule, slot=np.where(slot >= 0, np.cumsum(slot >= 0) - 1, -1))
    mine, first = spread(seen.first, chosen)
    layout = replace(
        layout, A=layout.A[chosen], B=layout.B[chosen], row=layout.row[at],
        fractional=tuple(part.among(chosen, problem.n_subjects) for part in layout.fractional),
    )  # fmt: skip
    observations = replace(
        seen, y=seen.y[mine], upper=seen.upper[mine], what=seen.what[mine], response=seen.response[mine],
        first=first, jacobian=seen.jacobian[chosen],
    )  # fmt: skip
    return replace(
        problem, schedule=schedule, layout=layout, observations=observations,
        predictor=predictor_of(problem.structure, schedule, layout),
    )  # fmt: skip


def on_grid(problem: Problem, points: int, response: int = 0) -> tuple[Problem, Array, Index]:
    """The same problem predicted on a fine grid of times instead of at the observations.

    Parameters
    ----------
    problem : Problem
    points : int
        Times per subject, evenly from its first to its last record, and one at each of its doses.
    response : int
        Which response.

    Returns
    -------
    problem : Problem
    time : float64[k]
        Times of the predictions.
    first : int64[N + 1]
        Predictions of subject i are first[i]:first[i + 1].
    """
    old, N = problem.schedule, problem.n_subjects
    begin, end = old.time[old.start[:-1]], old.time[old.start[1:] - 1]
    grid = np.linspace(begin, end, points, axis=1).ravel()
    grid_subject = np.repeat(np.arange(N), points)
    time = np.concatenate([old.time, grid])
    owner = np.concatenate([old.subject, grid_subject])
    order = np.lexsort((time, owner))  # stable: an event stays before a grid point at its time
    n = len(old.time)
    mine = np.where(order < n, order, -1)
    source = np.where(mine >= 0, mine, len(order))
    nearest = np.minimum.accumulate(source[::-1])[::-1]  # the next event, whose design row holds until then
    nearest = np.minimum(nearest, old.start[1:][owner[order]] - 1)

    added = mine < 0
    shown = added | (old.amount[nearest] > 0)
    finer = replace(
        old.taken(nearest, owner[order], N),
        time=time[order],
        slot=np.where(shown, np.cumsum(shown) - 1, -1),
        response=np.full(len(order), response, dtype=np.int64),
    )
    kind, amount, steady, rate, duration = (
        np.where(added, zero, values)
        for values, zero in (
            (finer.kind, OTHER), (finer.amount, 0.0), (finer.steady_state, 0), (finer.rate, 0.0), (finer.duration, 0.0),
        )
    )  # fmt: skip
    finer = replace(finer, kind=kind, amount=amount, steady_state=steady, rate=rate, duration=duration)
    layout = replace(problem.layout, row=problem.layout.row[nearest])
    first = np.concatenate([[0], np.cumsum(shown)])[finer.start]
    finer_problem = replace(
        problem, schedule=finer, layout=layout, predictor=predictor_of(problem.structure, finer, layout)
    )
    return finer_problem, time[order][shown], first


def check_types(model: object, data: object) -> None:
    """The model comes first, then the data; both as workbench makes them."""
    if not isinstance(model, Model):
        raise ModelError(f"The first argument is a wb.Model(…), got {type(model).__name__}.")
    if not isinstance(data, GroupedData):
        raise ModelError(f"The second argument is data as wb.read_data(…) gives them, got {type(data).__name__}.")


def _require_complete(model: Model) -> None:
    if model.unstated:
        missing = ", ".join(model.unstated)
        raise ModelError(f"No value is stated for {missing}. State it, or let wb.initial_values(model, data) find it.")


def _scale(model: Model, data: GroupedData) -> Scale:
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
            _, labels = columns_by_record(effect.term, data)
            if effect.value is not None and len(effect.value) != len(labels):
                raise ModelError(
                    f"{parameter.name}: {effect.term} has {len(labels)} coefficients "
                    f"({', '.join(labels)}), got {len(effect.value)} values."
                )
            names += [Quantity(f"{parameter.name}:{label}", "coefficient", (parameter.name,)) for label in labels]
            free += [not effect.fixed] * len(labels)
            limits += [(-np.inf, np.inf)] * len(labels)
    occasion = psi_of(model, "iov")
    scale = Scale(
        thetas=tuple(names),
        theta_free=np.array(free, dtype=bool),
        theta_fixed=np.zeros(len(names)),
        theta_lower=np.array([low for low, _ in limits], dtype=float),
        theta_upper=np.array([high for _, high in limits], dtype=float),
        subject=psi_of(model, "iiv"),
        occasion=occasion,
        occasions=int(occasions_of(data).max(initial=0)) + 1 if occasion.names else 0,
        errors=error_entries(model),
        sigma=stated_sigma(model),
    )
    return replace(scale, theta_fixed=scale.point_of(model).theta)
