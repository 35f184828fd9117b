"""A `FitResult` from where a search ended."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.ending.uncertainty import Uncertainty
from workbench.engine.objectives.objective import Reportable
from workbench.engine.problem.residual import CENSORED
from workbench.engine.problem.scale import Scale
from workbench.engine.search.optimise import Outcome
from workbench.methods import Options
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.results.tables import Estimate, doubts

Array = NDArray[np.float64]


def fit_result(
    given: Model,
    model: Model,
    data: GroupedData,
    method: str,
    options: Options | None,
    target: Reportable,
    outcome: Outcome,
    errors: Uncertainty,
    message: str,
    accuracy: str,
    seconds: float,
) -> FitResult:
    """Everything that a fit reports, on the natural scale.

    Parameters
    ----------
    given, model : Model
        As the user stated it, and as it was fitted: with initial values, without what the method leaves out.
    data : GroupedData
    method : str
    options : Options, optional
    target : Reportable
        What was minimised.
    outcome : Outcome
    errors : Uncertainty
    message, accuracy : str
        What there is to say of the end of the search, and of the OFV.
    seconds : float
    """
    best = outcome.evaluation
    problem, point = target.problem, best.point
    scale = problem.scale
    shown = target.modes(best)
    f0, f1 = problem.predictions(point), shown.predictions(problem)
    analysed = [problem.analysed(f) for f in (f0, f1)]
    seen = problem.observations
    logs = np.array([error.data_are_logarithms for error in model.errors], dtype=bool)[seen.response]
    n = len(scale.subject.names)
    psi = point.L @ point.L.T
    lines = estimate_lines(scale, best.x, errors.covariance)
    linear, slope = target.linearisation(best)
    return FitResult(
        model=scale.model_at(model, best.x),
        given=given,
        data=data,
        method=method,
        options=options,
        status=outcome.status,
        message=message,
        ofv=best.ofv,
        trace=outcome.trace,
        along=partial(_estimates_along, scale, outcome.path),
        seconds=seconds,
        evaluations=target.evaluations,
        lines=lines,
        covariance=errors.covariance,
        se_reason=errors.reason,
        random_effects=scale.subject.names,
        occasion_effects=scale.occasion.names,
        omega_matrix=psi[:n, :n],
        occasion_matrix=psi[n : n + len(scale.occasion.names), n : n + len(scale.occasion.names)],
        eta_matrix=shown.eta,
        parameter_matrix=problem.parameters(point, shown.eta),
        record=problem.schedule.record[problem.schedule.slot >= 0],
        response=seen.response,
        pred=np.where(logs, analysed[0], f0),
        ipred=np.where(logs, analysed[1], f1),
        y=np.where(seen.what % 2 == CENSORED, np.nan, seen.y),
        analysed_pred=analysed[0],
        analysed_ipred=analysed[1],
        sd=np.sqrt(problem.residual_variance(point, analysed[0])),
        isd=np.sqrt(problem.residual_variance(point, analysed[1])),
        linear_prediction=linear,
        linear_slope=slope,
        subject_ofv=best.by_subject.copy(),
        accuracy=accuracy,
    )


def with_doubts(result: FitResult) -> FitResult:
    """The result whose message names the estimates that the data hardly determine."""
    return replace(result, message=" ".join(filter(None, (result.message, doubts(result.lines)))))


def _estimates_along(scale: Scale, path: tuple[Array, ...]) -> Array:
    """Estimates at each x of a path, float64[steps, names]."""
    return np.array([scale.estimates(x) for x in path]).reshape(len(path), len(scale.quantities))


def estimate_lines(scale: Scale, x: Array, covariance: Array | None) -> tuple[Estimate, ...]:
    """The estimates at x, with standard errors from their covariance."""
    values, fixed = scale.estimates(x), scale.fixed
    se = np.full(len(values), np.nan)
    if covariance is not None:
        se[~fixed] = np.sqrt(np.diag(covariance))
    return tuple(
        Estimate(name.label, float(v), float(s), *name.interval(float(v), float(s)), bool(held), name.kind)
        for name, v, s, held in zip(scale.quantities, values, se, fixed, strict=True)
    )
