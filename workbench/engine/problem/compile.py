"""A model and a data set become arrays: `compile` asks each part once and hands on what it says.

records    which response each is about, which of them count, in which occasion (`observations`, `layout`)
schedule   doses and times, and where a prediction is needed (`predictions.schedule`)
scale      θ, Ψ and σ as the optimiser's vector x (`scale`, `psi`, `residual`)
layout     how θ and η reach the records (`layout`)
predictor  the structure over the schedule and the layout (`predictions`)
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from workbench.data import GroupedData
from workbench.engine.predictions import predictor_of
from workbench.engine.predictions.schedule import schedule_of
from workbench.engine.problem.layout import layout_of, occasions_of
from workbench.engine.problem.observations import counted_of, observations_of, responses_of
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import scale_of
from workbench.errors import ModelError
from workbench.model import Model
from workbench.model.check import OF_THE_LIKELIHOOD

_FEW = 20_000  # records of data whose last problem is kept


class _LaidOut(NamedTuple):
    """The problem that was laid out last for some data."""

    data: weakref.ref[GroupedData]
    model: Model
    asked: tuple[bool, bool]
    problem: Problem


_last: dict[int, _LaidOut] = {}  # by the identity of data, as long as there are these


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

    Notes
    -----
    What was laid out last for the same data serves again where the model is the same, or differs in values alone.
    """
    check_types(model, data)
    model, asked = model.with_centred(data), (records, likelihood)
    _require_complete(model)  # before anything is compared: iiv=True, to be found, equals iiv=1.0
    last = _last.get(id(data))
    known = last is not None and last.data() is data and last.asked == asked
    if last is not None and known and last.model == model:
        return last.problem
    faults = [finding for finding in model.check(data) if finding.severity == "error"]
    if not likelihood:
        faults = [finding for finding in faults if finding.where not in OF_THE_LIKELIHOOD]
    if faults:
        raise ModelError("\n".join(map(str, faults)))
    problem = None
    if last is not None and known and last.model.without_values() == model.without_values():
        problem = _restated(last.problem, model, data)
    problem = problem or _laid_out(model, data, records)
    if len(data) <= _FEW:
        _last[id(data)] = _LaidOut(weakref.ref(data, partial(_forget, id(data))), model, asked, problem)
    return problem


def _forget(key: int, _: object) -> None:
    _last.pop(key, None)


def _laid_out(model: Model, data: GroupedData, records: bool) -> Problem:
    response, counted, occasion = responses_of(model, data), counted_of(model, data), occasions_of(data)
    schedule = schedule_of(data.events, np.ones(len(counted), dtype=bool) if records else counted, response)
    scale = scale_of(model, data, occasion)
    layout = layout_of(model, data, scale, occasion, schedule.record, schedule.origin)
    return Problem(
        structure=model.structure,
        schedule=schedule,
        layout=layout,
        predictor=predictor_of(model.structure, schedule, layout),
        observations=observations_of(model, data, counted, response),
        scale=scale,
        errors=model.errors,
        x=scale.vector(scale.stated),
    )


def restated(problem: Problem, model: Model, data: GroupedData) -> Problem:
    """What `compile` makes of a model that differs from the one of a problem in values alone, with less work.

    Parameters
    ----------
    problem : Problem
        Of another model over the same data.
    model : Model
        With every value stated.
    data : GroupedData
    """
    return _restated(problem, model, data) or compile(model, data)


def _restated(problem: Problem, model: Model, data: GroupedData) -> Problem | None:
    """None where values that differ are in the layout."""
    old, scale = problem.scale, scale_of(model, data, occasions_of(data))
    held = ~scale.theta_free
    if problem.layout.fractional or not np.array_equal(scale.theta_fixed[held], old.theta_fixed[held]):
        return None
    return replace(problem, scale=scale, errors=model.errors, x=scale.vector(scale.stated))


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
