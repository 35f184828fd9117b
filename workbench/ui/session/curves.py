"""What figures need of the engine: curves, predictions and error bands of a model whose values change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench import engine
from workbench.data import GroupedData
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import variances
from workbench.model import Model
from workbench.model.structure import unsaid
from workbench.model.transform import Z95

Array = NDArray[np.float64]


Chosen = tuple[int, ...] | None  # places of subjects; None for all

_FEW = 12  # subjects whose curves are prepared at once: a page of figures
_KEPT = 8  # sets of subjects
_POINTS, _POINTS_ALONE = 80, 400  # times of a curve: the one of a subject that is looked at alone is large


def is_quick(model: Model) -> bool:
    """Whether start values and curves take milliseconds: the prediction has a closed form that is compiled already."""
    return not unsaid(model.structure) and model.structure.is_linear


@dataclass(frozen=True, eq=False)
class Drawn:
    """Curves of one response on the scale of the data, one array per subject that was asked for.

    Attributes
    ----------
    time, population : list of float64[points]
    individual : list of float64[points] or None
        None where no random effects are known.
    """

    time: list[Array]
    population: list[Array]
    individual: list[Array] | None


@dataclass(frozen=True, eq=False)
class Predicted:
    """Observations of one response that are not censored, beside their predictions, on the scale of the data.

    Attributes
    ----------
    y, population : float64[n]
    individual : float64[n] or None
    """

    y: Array
    population: Array
    individual: Array | None


class Sketch:
    """Evaluates models that state the same, with other values, on one data set.

    Parameters
    ----------
    start : Model
        With all its values.
    data : GroupedData
    """

    def __init__(self, start: Model, data: GroupedData):
        self._start, self._data = start, data
        self._statement = start.without_values()
        self._curves: dict[tuple[int, Chosen], engine.Curves] = {}
        for response in range(len(start.structure.responses)):  # says at once if model and data do not fit together
            self._curves_of(response, None if len(data.events.subjects) <= _FEW else (0,))

    def is_of(self, start: Model, data: GroupedData) -> bool:
        """Whether it can evaluate a model."""
        return self._data is data and self._statement == start.without_values()

    @cached_property
    def _problem(self) -> Problem:
        censored = bool((self._data.events.censored != 0).any())  # has predictions whatever is said of it
        return compile(self._start.with_blq("M3") if censored else self._start, self._data)

    def _curves_of(self, response: int, subjects: Chosen) -> engine.Curves:
        count = len(self._data.events.subjects)
        subjects = None if count > 1 and subjects == tuple(range(count)) else subjects
        key = response, subjects
        if key not in self._curves:
            while len(self._curves) >= _KEPT:
                self._curves.pop(next(iter(self._curves)))
            chosen = None if subjects is None else np.array(subjects, dtype=np.int64)
            points = _POINTS_ALONE if subjects is not None and len(subjects) == 1 else _POINTS
            self._curves[key] = engine.curves(self._start, self._data, points, response, chosen)
        return self._curves[key]

    def drawn(self, model: Model, etas: Array | None, response: int, subjects: Chosen = None) -> Drawn:
        """Curves of a response, of all subjects or those chosen; `etas` as a fit has them, of all."""
        curves, error = self._curves_of(response, subjects), model.errors[response]
        population = [error.as_data(f) for f in curves.population(model)]
        individual = None if etas is None else [error.as_data(f) for f in curves.individual(model, etas)]
        return Drawn(curves.time, population, individual)

    def predicted(self, model: Model, etas: Array | None, response: int) -> Predicted:
        """Predictions of a response at its observations."""
        problem, error = self._problem, model.errors[response]
        point, events = problem.scale.point_of(model), self._data.events
        slot = problem.schedule.slot
        record = problem.schedule.record[slot >= 0]
        mine = (problem.observations.response == response) & (events.censored[record] == 0)
        at = [problem.predictions(point)] + ([] if etas is None else [problem.predictions(point, etas)])
        population, *individual = [error.as_data(f[mine]) for f in at]
        return Predicted(events.dv[record[mine]], population, individual[0] if individual else None)

    def band(self, model: Model, prediction: Array, response: int) -> tuple[Array, Array]:
        """Where 95 % of the observations lie around a prediction of theirs, both on the scale of the data."""
        problem, error = self._problem, model.errors[response]
        logarithmic = error.takes_logarithm
        with np.errstate(divide="ignore", invalid="ignore"):
            f = np.log(prediction) if logarithmic else np.array(prediction, dtype=float)
        R, R_f = np.empty((2, len(f)))
        which = np.full(len(f), response, dtype=np.int64)
        sigma = problem.scale.point_of(model).sigma
        variances(problem.observations.kind, which, f, sigma, R, R_f, np.empty((len(f), sigma.shape[1])))
        low, high = f - Z95 * np.sqrt(R), f + Z95 * np.sqrt(R)
        return (np.exp(low), np.exp(high)) if logarithmic else (low, high)
