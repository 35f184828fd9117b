"""What stands against a fit at the values where it would begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.problem.problem import Problem
from workbench.errors import FitError, ModelError
from workbench.model import Model

Array = NDArray[np.float64]


def check_start(problem: Problem, model: Model, data: GroupedData) -> None:
    """Refuse initial values at which an observation has no likelihood, and say which.

    Raises
    ------
    ModelError
        If a residual variance is zero, which makes an observation infinitely informative, or a prediction of zero has
        no logarithm.
    FitError
        If a prediction is not a number.
    """
    point = problem.scale.point(problem.x)
    f = problem.analysed(problem.predictions(point))
    if not np.isfinite(f).all():
        _refuse_predictions(problem, data, f)
    bad = ~(problem.residual_variance(point, f) > 1e-300)
    if not bad.any():
        return
    error = model.errors[int(problem.observations.response[bad][0])]
    rows = _rows(problem, data)[bad]
    shown = ", ".join(map(str, rows[:40])) + (", …" if len(rows) > 40 else "")
    call = f"data.exclude(rows={rows.tolist()})" if len(rows) <= 40 else "data.exclude(rows=…)"
    raise ModelError(
        f"The residual error is {error.title} (sd = {error.formula}), but the prediction is zero in "
        f"{len(rows)} observation{'s' if len(rows) > 1 else ''} (row{'s' if len(rows) > 1 else ''} {shown}): no error "
        f"is left there. Use an error with a constant part, such as wb.Combined2(), or leave these rows out: {call}."
    )


def _refuse_predictions(problem: Problem, data: GroupedData, f: Array) -> None:
    """Say where the predictions at the initial values are not numbers."""
    bad = ~np.isfinite(f)
    rows = _rows(problem, data)[bad]
    shown = ", ".join(map(str, rows[:8])) + (", …" if len(rows) > 8 else "")
    where = f"in {len(rows)} of {len(f)} observations (rows {shown})"
    logs = problem.observations.logarithmic[problem.observations.response]
    if (logs & bad).sum() == bad.sum() and (f[bad] == -np.inf).all():
        raise ModelError(
            f"The residual error is log-normal, but the prediction is zero {where}: it has no logarithm. Leave these "
            "rows out, or say what a prediction of 0 counts as: wb.Exponential(floor=…)."
        )
    raise FitError(f"Predictions at the initial values are not numbers {where}; try other initial values.")


def _rows(problem: Problem, data: GroupedData) -> NDArray[np.object_]:
    """Labels of the rows of the observations."""
    schedule = problem.schedule
    return np.asarray(data.frame.index[data.events.row[schedule.record[schedule.slot >= 0]]], dtype=object)
