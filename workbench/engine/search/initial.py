"""Initial values from data: a coarse search for the typical values, then a naive pooled fit.

Compartment models are searched on a grid of rate constants by their linear relative, where the volume is profiled out.
Of other structures nothing is known but their parameters' names: values are tried that the times and responses suggest.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objectives.objective import Objective
from workbench.engine.predictions import predictor_of
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.jets import LOG
from workbench.engine.problem.compile import check_types, compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import CENSORED
from workbench.engine.problem.scale import Scale, with_estimates
from workbench.engine.problem.views import thinned
from workbench.engine.search.optimise import minimise
from workbench.errors import FitError, ModelError
from workbench.model import Model, Parameter, ResidualError, pk
from workbench.model.kinetics import Explicit, Kinetics

Array = NDArray[np.float64]
Values = dict[str, float]

_IIV = 0.3  # 30 %: a usual spread of a clearance or volume
_IOV = 0.15
_RATES = 14
_REACH = 3.0  # a refinement that moves a value by more than e^3 ran away
_SUBJECTS = 200  # these say enough about where to start
_FEW_SUBJECTS = 25  # where a prediction is an integration
_ABSORPTION = (1.3, 3.0, 8.0, 20.0, 60.0)  # ka as a multiple of k
_DISTRIBUTION = {  # k12, k21, k13, k31 as multiples of k
    1: ((0.0, 1.0, 0.0, 1.0),),
    2: ((0.5, 0.3, 0.0, 1.0), (2.0, 1.0, 0.0, 1.0), (5.0, 3.0, 0.0, 1.0), (3.0, 0.5, 0.0, 1.0)),
    3: ((2.0, 2.0, 0.5, 0.1), (5.0, 3.0, 1.0, 0.2), (3.0, 1.0, 0.3, 0.05)),
}
_TRIALS = 1500  # of structures that nothing is known of
_FEW_TRIALS = 150
_REFINED = 3


def initial_values(model: Model, data: GroupedData) -> Model:
    """Find the values that a model does not state.

    Typical values come from a coarse search refined by a naive pooled fit; random effects start at 30 %, those between
    occasions at 15 %, the residual error at half of what the pooled fit leaves.

    Parameters
    ----------
    model : Model
        Values that it states are kept.
    data : GroupedData

    Returns
    -------
    Model
        With `is_complete`.

    Raises
    ------
    ModelError
        If model and data do not fit together, or no values were found at which a custom structure can be computed.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    >>> model.is_complete
    True
    """
    check_types(model, data)
    model = model.with_centred(data)
    if model.is_complete:
        return model
    missing = [p.name for p in model.parameters if p.value is None and p.column is None]
    pooled = model.without_random_effects()
    pooled = pooled.with_error(_by_response(pooled, [error.plain(1.0) for error in pooled.errors]))
    if missing:
        pooled = _found(pooled, missing, data)
    for parameter in model.parameters:
        found = pooled[parameter.name].value
        if parameter.value is None and parameter.column is None:
            model = model.with_parameter(parameter.name, value=found)
        for level, size in (("iiv", _IIV), ("iov", _IOV)):
            if getattr(parameter, level) is True:
                model = model.with_parameter(parameter.name, **{level: parameter.link.spread(found or 0.0, size)})
    problem = thinned(compile(pooled, data), _most(pooled))
    return _with_errors(model, problem)


def _by_response(model: Model, errors: list[ResidualError]) -> ResidualError | dict[str, ResidualError]:
    """Residual errors as `Model.with_error` takes them."""
    return errors[0] if len(errors) == 1 else dict(zip(model.structure.responses, errors, strict=True))


def _most(model: Model) -> int:
    return _SUBJECTS if model.structure.is_linear else _FEW_SUBJECTS


# -- typical values --------------------------------------------------------------------------------------------


def _found(model: Model, missing: list[str], data: GroupedData) -> Model:
    """The pooled model with the missing typical values."""
    trial = model
    for name in missing:
        trial = trial.with_parameter(name, value=_placeholder(model[name]))
    problem = thinned(compile(trial, data), _most(model))
    kinetics = model.structure.kinetics
    if kinetics is None:
        starts = _by_trial(missing, problem, data)
    else:
        starts = _by_kinetics(kinetics, model, missing, data, problem)
    if not starts:
        raise ModelError(
            f"No values of {', '.join(missing)} were found at which {model.structure!r} can be computed. State them."
        )
    known = [p.name for p in model.parameters if p.value is not None and p.column is None]
    best, least = trial, math.inf
    for values in starts:
        candidate = _refined(_stated(trial, values), known, data)
        f = problem.analysed(problem.predictions(problem.scale.point_of(candidate)))
        left = float(np.sum(_weighted(problem, problem.y - f) ** 2))
        if left < least:
            best, least = candidate, left
    return best


def _placeholder(parameter: Parameter) -> float:
    """Some value that the parameter can have."""
    low, high = parameter.limits
    if low < 1.0 < high and not (math.isfinite(low) and math.isfinite(high)):
        return 1.0
    if math.isfinite(low):
        return 0.5 * (low + high) if math.isfinite(high) else low + (abs(low) or 1.0)
    return high - (abs(high) or 1.0)


def _stated(model: Model, values: Mapping[str, float]) -> Model:
    """The model with these values; one outside its bounds is moved to the nearest inside."""
    for name, value in values.items():
        low, high = model[name].limits
        lowest = low + 1e-3 * abs(low) if math.isfinite(low) and low else low
        highest = high - 1e-3 * abs(high) if math.isfinite(high) and high else high
        model = model.with_parameter(name, value=min(max(value, lowest), highest))
    return model


def _refined(model: Model, known: list[str], data: GroupedData) -> Model:
    """A naive pooled fit of what is not known; the model as it was where that ran away."""
    problem = thinned(compile(model, data), _most(model))
    spreads = _spreads(problem)
    errors = [error.plain(spread) for error, spread in zip(model.errors, spreads, strict=True)]
    model = model.with_error(_by_response(model, errors))
    held = model
    for name in known:
        held = held.with_parameter(name, fixed=True)
    problem = thinned(compile(held, data), _most(model))
    try:
        outcome = minimise(Objective(problem), problem.x, max_iterations=60)
    except FitError:
        return model
    labels = [name.label for name in problem.scale.quantities]
    before, after = problem.scale.estimates(problem.x), problem.scale.estimates(outcome.evaluation.x)
    M = len(problem.scale.thetas)
    with np.errstate(all="ignore"):
        change = np.abs(np.log(np.abs(after[:M] / before[:M])))
    if not all(c < _REACH for c, name in zip(change, problem.scale.thetas, strict=True) if name.link.is_logarithm):
        return model
    values = {label: v for label, v in zip(labels, after.tolist(), strict=True) if label in model.structure.names}
    return with_estimates(model, {name: v for name, v in values.items() if name not in known})


# -- compartment models: a grid of rate constants --------------------------------------------------------------


def _by_kinetics(
    kinetics: Kinetics, model: Model, missing: list[str], data: GroupedData, problem: Problem
) -> list[Values]:
    """The best values on a grid, judged by the linear relative of the structure.

    The distance is that of square roots, between an additive and a proportional error.
    """
    stated = {p.name: p.value for p in model.parameters if p.name not in missing and p.value is not None}
    stated = _moved(problem, stated, 1.0)
    seen = problem.observations
    measured = (seen.response == 0) & (seen.what % 2 != CENSORED)
    y = np.exp(problem.y) if seen.logarithmic[0] else problem.y
    root = np.sqrt(np.maximum(y, 0.0))[measured]
    best: tuple[float, Values] = (math.inf, {})
    for rates in _grid(kinetics, data, stated):
        volume = stated.get("V", stated.get("V1", 1.0))
        given = "V" in stated or "V1" in stated
        if not given and "CL" in stated:
            volume, given = stated["CL"] / rates["k"], True
        f = np.maximum(_relative(kinetics, {**rates, "V": volume}, problem), 0.0)[measured]
        total = float(f.sum())
        if not math.isfinite(total) or total <= 0:
            continue
        factor = 1.0
        if not given:
            ratio = float(root @ np.sqrt(f)) / total
            factor = ratio * ratio  # best multiple of f: that of 1/V
            if not 0 < factor < math.inf:
                continue
            volume /= factor
        distance = float(np.sum((root - np.sqrt(factor * f)) ** 2))
        if distance < best[0] and 1e-200 < volume < 1e200:
            best = distance, {**rates, "V": volume}
    if not best[1]:
        return []
    named = _named(best[1], kinetics, problem)
    found = {name: named[name] if name in named else _placeholder(model[name]) for name in missing}
    return [_moved(problem, found, -1.0)]


def _moved(problem: Problem, values: Values, sign: float) -> Values:
    """Typical values as the values of a typical subject (sign 1), or those as typical values (sign -1).

    The two differ where covariate effects are stated that are not 0 at usual values of the covariate.
    """
    shifts, scale = _shifts(problem), problem.scale
    moved = dict(values)
    for m, name in enumerate(scale.thetas):
        if name.label in values and shifts[m]:
            with contextlib.suppress(ValueError, OverflowError):
                value = name.natural(name.transformed(values[name.label]) + sign * shifts[m])[0]
                moved[name.label] = value if math.isfinite(value) else values[name.label]
    return moved


def _shifts(problem: Problem) -> Array:
    """Median over the subjects of what the stated covariate effects add to each typical value, float64[M]."""
    scale, point = problem.scale, problem.scale.point(problem.x)
    names, shifts = problem.structure.names, np.zeros(len(scale.thetas))
    effects = {name.of[0] for name in scale.thetas if name.kind == "coefficient"}
    if not any(point.theta[m] for m, name in enumerate(scale.thetas) if name.kind == "coefficient"):
        return shifts
    typical = problem.parameters(point)
    for m, name in enumerate(scale.thetas):
        if name.label in effects and name.kind != "coefficient":
            column = typical[:, names.index(name.label)]
            with contextlib.suppress(ValueError, OverflowError):
                added = np.array([name.transformed(value) for value in column.tolist()]) - point.theta[m]
                shifts[m] = float(np.median(added)) if np.isfinite(added).all() else 0.0
    return shifts


def _grid(kinetics: Kinetics, data: GroupedData, stated: Values) -> Iterator[Values]:
    multiples = _ABSORPTION if kinetics.absorbs and "ka" not in stated else (1.0,)
    for k, multiple, (k12, k21, k13, k31) in itertools.product(_rates(data), multiples, _DISTRIBUTION[kinetics.size]):
        ka = stated.get("ka", k * multiple)
        yield {"k": k, "ka": ka, "k12": k12 * k, "k21": k21 * k, "k13": k13 * k, "k31": k31 * k}


def _relative(kinetics: Kinetics, values: Values, problem: Problem) -> Array:
    """Typical predictions of the linear model with at most a first-order absorption, at all slots."""
    relative = pk(kinetics.size, "first-order" if kinetics.absorbs else None)
    named = _clearances(values)
    one = len(relative.names)
    schedule = replace(problem.schedule, rate=np.maximum(problem.schedule.rate, 0.0))
    N = schedule.n_subjects
    design = DesignRows(
        C=np.zeros((1, one, 0)),
        offset=np.log([[named[_plain_name(name)] for name in relative.names]]),
        row=np.zeros(len(schedule.time), dtype=np.int64),
        origin=np.zeros(len(schedule.time), dtype=np.int64),
        transform=np.full(one, LOG),
        lower=np.zeros(one),
        upper=np.ones(one),
        covariates=np.zeros((1, 0)),
    )
    f = np.full(schedule.n_slots, np.nan)
    predictor = predictor_of(relative, schedule, design)
    predictor.predict(np.arange(N), np.zeros((N, 0)), 0, f, np.zeros((0, 0)), np.zeros((0, 0, 0)))
    return f


def _plain_name(name: str) -> str:
    return {"V1": "V", "Q2": "Q"}.get(name, name)


def _clearances(values: Values) -> Values:
    V = values["V"]
    Q, Q3 = values["k12"] * V, values["k13"] * V
    return {
        "ka": values["ka"], "CL": values["k"] * V, "V": V, "Q": Q, "V2": Q / values["k21"], "Q3": Q3,
        "V3": Q3 / values["k31"],
    }  # fmt: skip


def _named(values: Values, kinetics: Kinetics, problem: Problem) -> Values:
    """Values under every name that the library has for them."""
    V, k, ka = values["V"], values["k"], values["ka"]
    named = {**values, **_clearances(values), "V1": V, "t_half": math.log(2) / k}
    named["Q2"] = named["Q"]
    n = kinetics.size
    matrix = np.array(
        [
            [k + values["k12"] + values["k13"], -values["k21"], -values["k31"]],
            [-values["k12"], values["k21"], 0.0],
            [-values["k13"], 0.0, values["k31"]],
        ]
    )[:n, :n]
    rates, vectors = np.linalg.eig(matrix)
    weights = vectors[0] * np.linalg.inv(vectors)[:, 0] / V
    for letter, rate, m in zip("ABC", ("alpha", "beta", "gamma"), np.argsort(-rates.real), strict=False):
        named[letter], named[rate] = float(weights[m].real), float(rates[m].real)
        named[f"t_half_{rate}"] = math.log(2) / named[rate]
    seen = problem.observations
    y = np.exp(problem.y) if seen.logarithmic[0] else problem.y
    top = float(np.nanmax(y[seen.response == 0], initial=1e-12))
    named |= {"Km": 0.5 * top, "Vm": named["CL"] * top, "mtt": 1.0 / ka, "Tk0": 2.0 / ka, "Fr": 0.5, "F": 0.7}
    if kinetics.saturable and any(flow.source == "central" and flow.target is None for flow in kinetics.flows):
        named |= {"CL": 0.5 * named["CL"], "k": 0.5 * k, "Vm": 0.5 * named["Vm"]}
    named["lag"] = named["lag0"] = 0.3 * _first_delay(problem)
    return named | _effects(problem, top)


def _effects(problem: Problem, top: float) -> Values:
    """Values of an effect: from its baseline and its range, half of it at a middle concentration."""
    mine = problem.observations.response == 1
    if not mine.any():
        return {}
    y = problem.y[mine]
    y = np.exp(y) if problem.observations.logarithmic[1] else y
    first = float(np.median([y[0], np.quantile(y, 0.9), np.quantile(y, 0.1)]))
    low, high = float(y.min()), float(y.max())
    delay = _first_delay(problem)
    kout = 0.3 / delay
    change = (high - low) if abs(high - first) >= abs(low - first) else (low - high)
    return {
        "ke0": 1.0 / delay, "E0": first, "slope": change / top, "Emax": abs(change) or 1.0, "EC50": 0.3 * top,
        "Imax": 0.7, "IC50": 0.3 * top, "gamma": 1.0, "kout": kout, "kin": kout * abs(first),
    }  # fmt: skip


def _first_delay(problem: Problem) -> float:
    """Time from the first dose to the first later observation, of the subject where it is shortest."""
    schedule, found = problem.schedule, []
    for first, end in itertools.pairwise(schedule.start):
        doses = schedule.time[first:end][schedule.amount[first:end] > 0]
        seen = schedule.time[first:end][schedule.slot[first:end] >= 0]
        later = seen[seen > doses.min()] if doses.size else seen[seen > seen.min(initial=0.0)]
        if later.size:
            found.append(float(later.min() - (doses.min() if doses.size else 0.0)))
    return min((delay for delay in found if delay > 0), default=1.0)


def _rates(data: GroupedData) -> Array:
    """Rate constants that the times of the observations could show."""
    events = data.events
    time = events.time[events.observed]
    owner = events.subject[events.observed]
    since = time - events.time[events.start[:-1]][owner]
    since = since[since > 0]
    if not since.size:
        return np.array([1.0])
    return np.geomspace(0.05 / since.max(), 3.0 / np.quantile(since, 0.1), _RATES)


# -- other structures: values that the data suggest ------------------------------------------------------------


def _by_trial(missing: list[str], problem: Problem, data: GroupedData) -> list[Values]:
    """The best of many draws of values that times, responses and doses suggest; without a pattern of chance."""
    scale, seen = problem.scale, problem.observations
    owners = {name.label: m for m, name in enumerate(scale.thetas)}
    y = np.where(seen.logarithmic[seen.response], np.exp(np.clip(problem.y, -700, 700)), problem.y)
    y = y[seen.what % 2 != CENSORED]
    time = problem.schedule.time[problem.schedule.slot >= 0]
    time = time[time > 0] if (time > 0).any() else np.ones(1)
    dose = problem.schedule.amount[problem.schedule.amount > 0]
    t, span = float(np.median(time)), float(np.max(time))
    sizes = {float(np.quantile(np.abs(y), q)) for q in (0.1, 0.5, 0.9, 1.0)} - {0.0}
    suggested = {*sizes, t, span, 0.3 * t, 1 / t, 1 / span, 3 / t, 0.1, 1.0, 0.01}
    if dose.size and sizes:
        volume = float(np.median(dose)) / max(sizes)
        suggested |= {volume, volume / t, 3 * volume, float(np.median(dose))}
    values = np.array(sorted(suggested))
    trials = _TRIALS if isinstance(problem.structure.system, Explicit) else _FEW_TRIALS
    rng = np.random.default_rng(0)
    ranked: list[tuple[float, int, Values]] = []
    point, shifts = scale.point(problem.x), _shifts(problem)
    for trial in range(trials):
        drawn = dict(zip(missing, rng.choice(values, len(missing)).tolist(), strict=True))
        theta = point.theta.copy()
        try:
            for name, value in drawn.items():
                theta[owners[name]] = scale.thetas[owners[name]].transformed(_inside(scale, owners[name], value))
                theta[owners[name]] -= shifts[owners[name]]
        except (ValueError, ZeroDivisionError):
            continue
        with np.errstate(all="ignore"):
            f = problem.analysed(problem.predictions(replace(point, theta=theta)))
            left = float(np.sum(_weighted(problem, problem.y - f) ** 2))
        if math.isfinite(left):
            natural = {n: scale.thetas[owners[n]].natural(float(theta[owners[n]]))[0] for n in missing}
            ranked.append((left, trial, natural))
    return [values for _, _, values in sorted(ranked)[:_REFINED]]


def _inside(scale: Scale, m: int, value: float) -> float:
    """A suggested value, moved between the bounds of a parameter that has some."""
    name = scale.thetas[m]
    if name.link.needs_bounds:
        low, high = name.bounds
        return low + (high - low) * value / (1.0 + value) if not low < value < high else value
    return value


# -- residual error --------------------------------------------------------------------------------------------


def _weighted(problem: Problem, residual: Array) -> Array:
    """Residuals of measured values over the spread of their response, so that responses count alike."""
    seen = problem.observations
    weighted = np.where(seen.what % 2 != CENSORED, residual, 0.0)
    for response in range(len(seen.kind)):
        mine = (seen.response == response) & (seen.what % 2 != CENSORED)
        spread = float(np.std(problem.y[mine])) if mine.any() else 1.0
        weighted[mine] /= spread or 1.0
    return weighted


def _spreads(problem: Problem) -> list[float]:
    """Standard deviation of what the typical curves leave of each response, never nothing."""
    seen = problem.observations
    residual = problem.y - problem.analysed(problem.predictions(problem.scale.point(problem.x)))
    found = []
    for response in range(len(seen.kind)):
        mine = (seen.response == response) & (seen.what % 2 != CENSORED) & np.isfinite(residual)
        if not mine.any():
            found.append(1.0)
            continue
        found.append(max(float(np.std(residual[mine])), 0.01 * float(np.abs(problem.y[mine]).max()), 1e-12))
    return found


def with_errors_found(model: Model, problem: Problem) -> Model:
    """The model with residual errors of about the size that its typical values leave; what is fixed stays."""
    open_errors = [
        error.with_values(dict.fromkeys(set(error.names) - set(error.fixed_names))) for error in model.errors
    ]
    return _with_errors(model.with_error(_by_response(model, open_errors)), problem)


def _with_errors(model: Model, problem: Problem) -> Model:
    """The model with the parameters of the residual errors that it does not state."""
    seen, spreads = problem.observations, _spreads(problem)
    f_all = problem.analysed(problem.predictions(problem.scale.point(problem.x)))
    errors = []
    for response, (error, spread) in enumerate(zip(model.errors, spreads, strict=True)):
        mine = (seen.response == response) & (seen.what % 2 != CENSORED)
        f, y = f_all[mine], problem.y[mine]
        at = np.abs(f) > 0.1 * np.max(np.abs(f), initial=0.0)
        relative = float(np.sqrt(np.mean(((y[at] - f[at]) / f[at]) ** 2))) if at.any() else 0.2
        relative = min(max(0.5 * relative, 0.02), 1.0)
        errors.append(error.with_guesses(spread, relative))
    return model.with_error(_by_response(model, errors))
