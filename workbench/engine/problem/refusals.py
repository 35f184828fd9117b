"""What stands against a fit at the values where it would begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.predictions.equation import EquationPredictor
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point
from workbench.errors import FitError, ModelError
from workbench.language.tree import Apply, evaluate, names_in, singular, spelled
from workbench.model import Model
from workbench.model.kinetics import Differential, Explicit

Array = NDArray[np.float64]


def check_start(problem: Problem, model: Model, data: GroupedData) -> None:
    """Refuse initial values at which an observation has no likelihood, and say which.

    Raises
    ------
    ModelError
        If a residual variance is zero, which makes an observation infinitely informative, or a prediction of zero has
        no logarithm.
    FitError
        If a prediction is not a number, or its derivative by a parameter is not.
    """
    point = problem.begun[0]
    f, slopes = _typical(problem, point)
    f = problem.analysed(f)
    if not np.isfinite(f).all():
        _refuse_predictions(problem, data, f)
    if not np.isfinite(slopes).all():
        bad = ~np.isfinite(slopes)
        pole = _pole(problem, point, bad, slopes=True)
        raise FitError(
            f"The derivative of the prediction by a parameter is infinite or not a number {_where(problem, data, bad)}"
            f"{pole or '.'}{_MEND if pole else ''}"
        )
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
    pole = _pole(problem, problem.scale.point(problem.x), bad)
    if pole:
        raise FitError(f"The prediction is not a number {_where(problem, data, bad)}{pole}{_MEND}")
    failed = getattr(problem.predictor, "failed", {})
    reason = f" ({next(iter(failed.values()))})" if failed else ""
    raise FitError(f"Predictions at the initial values are not numbers {where}{reason}; try other initial values.")


_MEND = (
    " Initial values are no help there: say what holds by where(…), write it so that it has a limit, or leave these "
    "rows out by data.exclude(rows=…)."
)


def _typical(problem: Problem, point: Point) -> tuple[Array, Array]:
    """Typical predictions, and for each a number that is finite where its derivatives are."""
    n, D = problem.schedule.n_slots, problem.n_coordinates
    f, fu = np.full(n, np.nan), np.zeros((n, D))
    u, _ = problem.layout.mean(point.theta)
    problem.predictor.predict(np.arange(problem.n_subjects), u, 1, f, fu, np.empty((0, D, D)))
    with np.errstate(invalid="ignore"):
        return f, np.asarray((0.0 * fu).sum(axis=1))


def _where(problem: Problem, data: GroupedData, bad: NDArray[np.bool_]) -> str:
    """Rows and subject of predictions."""
    rows, schedule = _rows(problem, data)[bad], problem.schedule
    subject = data.events.subjects[int(schedule.subject[schedule.slot >= 0][bad][0])]
    more = f" and in {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"in row {rows[0]} (subject {subject}){more}"


def _pole(problem: Problem, point: Point, bad: NDArray[np.bool_], slopes: bool = False) -> str:
    """The pole at the first of the bad predictions; "" where some of them are no numbers for another reason."""
    events = np.flatnonzero(problem.schedule.slot >= 0)[bad][:100]
    found = [_pole_at(problem, point, int(event), slopes) for event in events]
    return found[0] if all(found) else ""


def _pole_at(problem: Problem, point: Point, event: int, slopes: bool) -> str:
    """The part of the equations that has no value at an event, and with which numbers; "" for none."""
    system, schedule = problem.structure.system, problem.schedule
    subject = int(schedule.subject[event])
    values = dict(zip(system.names, problem.parameters(point)[subject].tolist(), strict=True)) if system else {}
    if isinstance(system, Explicit) and isinstance(problem.predictor, EquationPredictor):
        trees = [*system.definitions.items(), *system.outputs.items()]
        values |= dict(zip(("t", "dose", "tad", *system.columns), problem.predictor.known[event].tolist(), strict=True))
    elif isinstance(system, Differential):  # where it begins: a pole there ends all that follows
        first = int(schedule.start[subject])
        trees = [*system.definitions.items(), *system.rates.items()]
        values |= {"t": float(schedule.time[first]), "tad": 0.0, "dose": float(schedule.amount[first])}
        values |= dict(zip(system.columns, problem.layout.covariates[problem.layout.row[first]].tolist(), strict=True))
        values |= dict.fromkeys(system.states, 1.0)
    else:
        return ""
    for name, tree in trees:
        found = singular(tree, values, slopes)
        if found is not None:
            used = dict.fromkeys(one.name for one in names_in(found))
            numbers = ", ".join(f"{name} = {values[name]:.4g}" for name in used)
            part = spelled(found).replace("**", "^").replace("+-", "-")
            what = "is a power of a negative number" if _negative(found, values) else "has no limit"
            return f": {part} {what} at {numbers}."
        values[name] = evaluate(tree, values)
    return ""


def _negative(part: Apply, values: dict[str, float]) -> bool:
    return part.function == "^" and evaluate(part.arguments[0], values) < 0.0


def _rows(problem: Problem, data: GroupedData) -> NDArray[np.object_]:
    """Labels of the rows of the observations."""
    schedule = problem.schedule
    return np.asarray(data.frame.index[data.events.row[schedule.record[schedule.slot >= 0]]], dtype=object)
