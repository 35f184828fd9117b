"""Predictions, simulations and curves for figures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.checks import whole
from workbench.data import GroupedData
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point
from workbench.engine.problem.views import on_grid
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

    problem = compile(_of_all(model, data), data, records=True, likelihood=False)
    events = data.events
    columns = {"ID": _owners(data), "TIME": events.time}
    f = problem.predictions(problem.scale.point(problem.x))
    _warn_of_failures(problem, f, data)
    response = problem.schedule.response[problem.schedule.slot >= 0]
    columns["PRED"] = _as_data(model, f, response)
    if len(model.structure.responses) > 1:
        columns["DVID"] = np.asarray(model.structure.responses, dtype=object)[response]
    return pd.DataFrame(columns, index=data.frame.index[events.row])


def simulate(
    model: Model, data: GroupedData, replicates: int = 1, seed: int | np.random.Generator | None = None
) -> pd.DataFrame:
    """Simulate the observations of a design under a model.

    Parameters
    ----------
    model : Model
        With all values stated.
    data : GroupedData
        Its doses, times and covariates are used, its observations are not.
    replicates : int
    seed : int or numpy Generator, optional
        The same seed gives the same numbers; a Generator is drawn from where it stands.

    Returns
    -------
    DataFrame
        Columns replicate (from 1), ID, TIME, IPRED, DV; one row per observation and replicate, indexed by the row
        in the data.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    >>> simulated = wb.simulate(model, data, replicates=2, seed=1)
    >>> list(simulated.columns)
    ['replicate', 'ID', 'TIME', 'IPRED', 'DV']
    """
    import pandas as pd

    replicates = whole("replicates", replicates, 1)
    problem = compile(_of_all(model, data), data, likelihood=False)
    given = seed is None or isinstance(seed, np.random.Generator)
    rng = np.random.default_rng(seed if given else whole("seed", seed))
    point = problem.scale.point(problem.x)
    events, seen = data.events, problem.observations
    at = events.observed
    index = data.frame.index[events.row[at]]
    natural = np.array([error.takes_logarithm for error in model.errors])[seen.response]
    parts = []
    for replicate in range(1, replicates + 1):
        f, dv = draw(problem, point, rng)
        _warn_of_failures(problem, f, data)
        dv = np.where(natural, np.exp(np.where(natural, dv, 0.0)), dv)
        ipred = np.where(natural, f, problem.analysed(f))
        columns = {"replicate": replicate, "ID": _owners(data)[at], "TIME": events.time[at], "IPRED": ipred, "DV": dv}
        if len(model.structure.responses) > 1:
            columns["DVID"] = np.asarray(model.structure.responses, dtype=object)[seen.response]
        parts.append(pd.DataFrame(columns, index=index))
    return pd.concat(parts)


def draw(problem: Problem, point: Point, rng: np.random.Generator) -> tuple[Array, Array]:
    """Individual predictions on the natural scale, and observations on the scale of the analysis, float64[n]."""
    eta = rng.standard_normal((problem.n_subjects, problem.n_random)) @ point.L.T
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

    def __init__(self, problem: Problem, points: int, response: int = 0):
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
        """Curves with random effects etas[N, Q]."""
        return self._evaluate(model, etas)


def curves(model: Model, data: GroupedData, points: int = 80, response: int = 0) -> Curves:
    """Prepare curves on a fine grid of times, from each subject's first to its last record.

    Parameters
    ----------
    model : Model
        With all values stated.
    data : GroupedData
    points : int
        Times per subject; its doses have one more each.
    response : int
        Which response of the structure.

    Raises
    ------
    ModelError
        If model and data do not fit together.
    """
    return Curves(compile(_of_all(model, data), data, likelihood=False), points, response)


def _warn_of_failures(problem: Problem, f: Array, data: GroupedData) -> None:
    """Say which subjects have predictions that are not numbers, and why if that is known."""
    bad = ~np.isfinite(f)
    if not bad.any():
        return
    slot = problem.schedule.slot
    subjects = np.unique(problem.schedule.subject[slot >= 0][bad])
    reasons = getattr(problem.predictor, "failed", {})
    words = [f"{data.events.subjects[i]}{f' ({reasons[i]})' if i in reasons else ''}" for i in subjects.tolist()[:8]]
    more = ", …" if len(subjects) > 8 else ""
    warnings.warn(
        f"{int(bad.sum())} predictions are not numbers, of subject{'s' if len(subjects) > 1 else ''} "
        f"{', '.join(words)}{more}.",
        stacklevel=3,
    )


def _of_all(model: Model, data: GroupedData) -> Model:
    """The model with a prediction for censored observations as well."""
    return model.with_blq("M3") if (data.events.censored != 0).any() else model


def _as_data(model: Model, f: Array, response: NDArray[np.int64]) -> Array:
    """Predictions on the scale of the data: logarithms where these are."""
    for k, error in enumerate(model.errors):
        f = np.where(response == k, error.as_data(f), f)
    return f


def _owners(data: GroupedData) -> NDArray[np.object_]:
    events = data.events
    subjects = np.empty(len(events.subjects), dtype=object)
    subjects[:] = events.subjects
    return subjects[np.repeat(np.arange(len(subjects)), np.diff(events.start))]
