"""Predictions, one set of simulated observations, and curves for figures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point
from workbench.engine.problem.views import of_subjects, on_grid
from workbench.engine.replicates import effects
from workbench.model import Model

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def predict(model: Model, data: GroupedData) -> pd.DataFrame:
    """Typical predictions (η = 0) at every record, dose records included.

    Parameters
    ----------
    model : Model
        With all values stated.
    data : GroupedData

    Returns
    -------
    DataFrame
        Columns ID, TIME, PRED in the order of the records, indexed by the row in the data; DVID names the response
        where there are several. At a dose record the prediction is that just after the dose.

    Raises
    ------
    ModelError
        If model and data do not fit together.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    >>> predicted = wb.predict(model, data)
    >>> len(predicted) == len(data.frame)
    True
    """
    import pandas as pd

    problem = compile(of_all(model, data), data, records=True, likelihood=False)
    events = data.events
    columns = {"ID": owners(data), "TIME": events.time}
    f = problem.predictions(problem.scale.point(problem.x))
    warn_of_failures(problem, f, data)
    response = problem.schedule.response[problem.schedule.slot >= 0]
    columns["PRED"] = as_data(model, f, response)
    if len(model.structure.responses) > 1:
        columns["DVID"] = np.asarray(model.structure.responses, dtype=object)[response]
    return pd.DataFrame(columns, index=data.frame.index[events.row])


def draw(problem: Problem, point: Point, rng: np.random.Generator) -> tuple[Array, Array]:
    """Individual predictions on the natural scale, and observations on the scale of the analysis, float64[n]."""
    eta = effects([point], rng.standard_normal((1, problem.n_subjects, problem.n_random)))[0]
    f = problem.predictions(point, eta)
    analysed = problem.analysed(f)
    return f, analysed + np.sqrt(problem.residual_variance(point, analysed)) * rng.standard_normal(len(f))


class Curves:
    """Smooth curves of all subjects for a structure and data set; cheap to evaluate again and again.

    Attributes
    ----------
    time : list of float64[points]
        One array per subject.
    """

    def __init__(self, problem: Problem, points: int, response: int = 0, subjects: NDArray[np.int64] | None = None):
        self._subjects = subjects
        if subjects is not None:
            problem = of_subjects(problem, subjects)
        self._problem, time, first = on_grid(problem, points, response)
        self._first = first
        self.time: list[Array] = np.split(time, first[1:-1])

    def _evaluate(self, model: Model, eta: Array | None) -> list[Array]:
        point = self._problem.scale.point_of(model)
        return np.split(self._problem.predictions(point, eta), self._first[1:-1])

    def population(self, model: Model) -> list[Array]:
        """Typical curves (η = 0) of a model that differs from the first in its values only."""
        return self._evaluate(model, None)

    def individual(self, model: Model, etas: Array) -> list[Array]:
        """Curves with random effects etas[N, Q] of all subjects."""
        return self._evaluate(model, etas if self._subjects is None else etas[self._subjects])


def curves(
    model: Model, data: GroupedData, points: int = 80, response: int = 0, subjects: NDArray[np.int64] | None = None
) -> Curves:
    """Prepare curves on a fine grid of times, from each subject's first to its last record.

    Parameters
    ----------
    model : Model
        With all values stated.
    data : GroupedData
    points : int
        Times per subject; its records, doses and ends of infusions come on top.
    response : int
        Which response of the structure.
    subjects : int64[n], optional
        Of these only, by their place; all of them unless said.

    Raises
    ------
    ModelError
        If model and data do not fit together.
    """
    return Curves(compile(of_all(model, data), data, likelihood=False), points, response, subjects)


def warn_of_failures(problem: Problem, f: Array, data: GroupedData) -> None:
    """Say which subjects have predictions f[..., n] that are not numbers, and why if that is known."""
    bad = ~np.isfinite(f)
    if not bad.any():
        return
    slot = problem.schedule.slot
    subjects = np.unique(problem.schedule.subject[slot >= 0][bad.reshape(-1, f.shape[-1]).any(axis=0)])
    reasons = getattr(problem.predictor, "failed", {})
    words = [f"{data.events.subjects[i]}{f' ({reasons[i]})' if i in reasons else ''}" for i in subjects.tolist()[:8]]
    more = ", …" if len(subjects) > 8 else ""
    warnings.warn(
        f"{int(bad.sum())} predictions are not numbers, of subject{'s' if len(subjects) > 1 else ''} "
        f"{', '.join(words)}{more}.",
        stacklevel=3,
    )


def of_all(model: Model, data: GroupedData) -> Model:
    """The model with a prediction for censored observations as well."""
    return model.with_blq("M3") if (data.events.censored != 0).any() else model


def as_data(model: Model, f: Array, response: NDArray[np.int64]) -> Array:
    """Predictions on the scale of the data: logarithms where these are."""
    for k, error in enumerate(model.errors):
        f = np.where(response == k, error.as_data(f), f)
    return f


def owners(data: GroupedData) -> NDArray[np.object_]:
    """Label of the subject, by record."""
    events = data.events
    subjects = np.empty(len(events.subjects), dtype=object)
    subjects[:] = events.subjects
    return subjects[np.repeat(np.arange(len(subjects)), np.diff(events.start))]
