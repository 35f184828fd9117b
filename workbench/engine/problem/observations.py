"""What was observed, as arrays: on the scale of the analysis, with its limits where it is censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.problem.residual import (
    CENSORED,
    CENSORED_POSITIVE,
    MEASURED,
    MEASURED_POSITIVE,
    treatment_of,
)
from workbench.model import Model

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


def responses_of(model: Model, data: GroupedData) -> Index:
    """Which response of the structure each record is about: by equal names, else in order of the data's labels."""
    names = model.structure.responses
    labels = [str(label) for label in data.responses]
    if len(names) < 2:
        return np.zeros(len(data.events.time), dtype=np.int64)
    place = [names.index(label) if set(labels) <= set(names) else k for k, label in enumerate(labels)]
    return np.array(place, dtype=np.int64)[data.events.response]


def counted_of(model: Model, data: GroupedData) -> NDArray[np.bool_]:
    """Records that enter the likelihood; M1 leaves out what is censored."""
    events = data.events
    return events.observed & (events.censored == 0) if model.blq == "M1" else events.observed


def observations_of(model: Model, data: GroupedData, counted: NDArray[np.bool_], response: Index) -> Observations:
    """Lay out what was observed.

    Parameters
    ----------
    model : Model
    data : GroupedData
    counted : bool[records]
        Records that enter the likelihood.
    response : int64[records]
        Which response each is about.
    """
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
