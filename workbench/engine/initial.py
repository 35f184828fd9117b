"""Initial values from data: a coarse search on the rate constants, then a naive pooled fit."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objective import Objective
from workbench.engine.optimise import minimise
from workbench.engine.problem import Problem, check_types, compile, thinned
from workbench.engine.scale import with_estimates
from workbench.model import Constant, Model

Array = NDArray[np.float64]

_IIV = 0.3  # 30 %: a usual spread of a clearance or volume
_RATES = 14
_REACH = 3.0  # a refinement that moves a value by more than e^3 ran away
_SUBJECTS = 200  # these say enough about where to start
_ABSORPTION = (1.3, 3.0, 8.0, 20.0, 60.0)  # ka as a multiple of k


def without_random_effects(model: Model) -> Model:
    """The naive pooled model: every subject has the typical parameters."""
    for name in model.random_effects:
        model = model.with_parameter(name, iiv=None)
    return model


def initial_values(model: Model, data: GroupedData) -> Model:
    """Find the values that a model does not state.

    Typical values come from a search on a grid of rate constants, where the volume is profiled out, refined by
    a naive pooled fit; random effects start at 30 %, the residual error at half of what the pooled fit leaves.

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
        If model and data do not fit together.
    """
    check_types(model, data)
    if model.is_complete:
        return model
    missing = [p.name for p in model.parameters if p.value is None and p.column is None]
    pooled = without_random_effects(model).with_error(Constant(1.0))
    pooled = _search(pooled, missing, data)
    problem = thinned(compile(pooled, data), _SUBJECTS)
    spread = _spread(problem)
    if missing:
        pooled = pooled.with_error(Constant(spread))
        known = [p.name for p in model.parameters if p.value is not None and not p.fixed]
        problem = thinned(compile(_fix(pooled, known), data), _SUBJECTS)
        outcome = minimise(Objective(problem, "pooled"), problem.x, max_iterations=60)
        refined = replace(problem, x=outcome.evaluation.x)
        if _stayed_near(refined, problem):
            problem = refined
            values = dict(
                zip((n.label for n in problem.scale.names), problem.scale.estimates(problem.x).tolist(), strict=True)
            )
            pooled = with_estimates(pooled, {name: values[name] for name in missing})
            spread = _spread(problem)
    for parameter in model.parameters:
        found = pooled[parameter.name].value
        if parameter.value is None and parameter.column is None:
            model = model.with_parameter(parameter.name, value=found)
        if parameter.iiv is True:
            size = _IIV if parameter.transform == "log" else _IIV * (abs(found or 0.0) or 1.0)
            model = model.with_parameter(parameter.name, iiv=size)
    return _with_error(model, problem, spread)


def _spread(problem: Problem) -> float:
    """Standard deviation of what the typical curves leave, never nothing."""
    left = float(np.std(problem.y - problem.predictions(problem.scale.point(problem.x))))
    return max(left, 0.01 * float(np.abs(problem.y).max()), 1e-12)


def _stayed_near(refined: Problem, begun: Problem) -> bool:
    """Whether a refinement kept every parameter in reach of where the grid had put it."""
    before, after = (p.scale.estimates(p.x)[: len(p.scale.theta_names)] for p in (begun, refined))
    with np.errstate(all="ignore"):
        change = np.abs(np.log(np.abs(after / before)))
    return bool((change < _REACH).all())


def _fix(model: Model, names: list[str]) -> Model:
    for name in names:
        model = model.with_parameter(name, fixed=True)
    return model


def _with_error(model: Model, problem: Problem, spread: float) -> Model:
    f = problem.predictions(problem.scale.point(problem.x))
    residual = problem.y - f
    at = f > 0.1 * np.max(f, initial=0.0)
    relative = float(np.sqrt(np.mean((residual[at] / f[at]) ** 2))) if at.any() else 0.2
    relative = min(max(0.5 * relative, 0.02), 1.0)
    both = len(model.error.names) > 1
    guess = {"a": spread * (0.25 if both else 0.5), "b": relative * (0.5 if both else 1.0)}
    stated = zip(model.error.names, model.error.values, strict=True)
    return model.with_error(replace(model.error, **{n: guess[n] if v is None else v for n, v in stated}))


def _search(model: Model, missing: list[str], data: GroupedData) -> Model:
    """Put the best point of a grid into the values that are missing.

    The distance is that of square roots, between an additive and a proportional error.
    """
    if not missing:
        return model
    names = model.structure.names
    eliminates = "CL" if "CL" in names else "k"
    trial = model
    for name in missing:
        trial = trial.with_parameter(name, value=1.0)
    problem = thinned(compile(trial, data), _SUBJECTS)
    root = np.sqrt(np.maximum(problem.y, 0.0))
    best, best_distance = trial, math.inf
    multiples = _ABSORPTION if "ka" in missing else (1.0,)
    for k, multiple in itertools.product(_rates(data), multiples):
        values: dict[str, float] = {}
        if "ka" in missing:
            values["ka"] = k * multiple
        volume = model["V"].value or 1.0
        if eliminates == "CL" and "CL" not in missing and "V" in missing:
            volume = (model["CL"].value or k) / k
        if "V" in missing:
            values["V"] = volume
        if eliminates in missing:
            values[eliminates] = k * volume if eliminates == "CL" else k
        f = np.maximum(_predict(problem, values), 0.0)
        total = float(f.sum())
        if not math.isfinite(total) or total <= 0:
            continue
        factor = 1.0
        if "V" in missing and (eliminates == "k" or eliminates in missing):
            factor = (float(root @ np.sqrt(f)) / total) ** 2  # best multiple of f: that of 1/V
            if factor <= 0:
                continue
            values["V"] /= factor
            if eliminates == "CL":
                values["CL"] /= factor
        if not all(1e-200 < value < 1e200 for value in values.values()):
            continue
        distance = float(np.sum((root - np.sqrt(factor * f)) ** 2))
        if distance < best_distance:
            best, best_distance = trial.with_values(values), distance
    return best


def _predict(problem: Problem, values: dict[str, float]) -> Array:
    theta = problem.scale.point(problem.x).theta.copy()
    for m, name in enumerate(problem.scale.theta_names):
        if name.label in values:
            theta[m] = math.log(values[name.label]) if name.kind == "log" else values[name.label]
    return problem.predictions(replace(problem.scale.point(problem.x), theta=theta))


def _rates(data: GroupedData) -> Array:
    """Rate constants that the times of the observations could show."""
    events = data.events
    time = events.time[events.observed]
    owner = np.repeat(np.arange(len(events.subjects)), np.diff(events.start))[events.observed]
    since = time - events.time[events.start[:-1]][owner]
    since = since[since > 0]
    if not since.size:
        return np.array([1.0])
    return np.geomspace(0.05 / since.max(), 3.0 / np.quantile(since, 0.1), _RATES)
