"""`fit` and `objective`: from a model and data to a `FitResult`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

from workbench.checks import listed, whole
from workbench.data import GroupedData
from workbench.engine.ending.fit_result import fit_result
from workbench.engine.ending.uncertainty import Kind
from workbench.engine.ending.verdict import above_minimum, judged, standard_errors, verdict
from workbench.engine.methods.by_subject import by_subject
from workbench.engine.methods.searches import by_gradient, by_saem
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import METHODS, Objective, Target
from workbench.engine.problem.problem import check_types, compile
from workbench.engine.problem.refusals import check_start
from workbench.engine.search.initial import initial_values
from workbench.engine.search.progress import Callback, Reports
from workbench.errors import FitError, ModelError
from workbench.methods import OPTIONS, Importance, Options, Quadrature, Saem
from workbench.model import Model
from workbench.results.fit import FitResult, Start

Method = Literal[
    "fo", "foce", "focei", "laplace", "quadrature", "importance", "saem", "pooled", "individual", "two-stage"
]  # fmt: skip

_BY_SUBJECT = ("individual", "two-stage")  # begin with each subject alone
_USUAL = {"covariance": True, "starts": 1, "seed": 1}


def objective(model: Model, data: GroupedData, method: Method | Options = "focei") -> float:
    """Objective function value at the values that the model states; nothing is estimated but the modes.

    Parameters
    ----------
    model : Model
        With all values stated.
    data : GroupedData
    method : {"focei", "foce", "fo", "laplace", "quadrature", "importance", "saem", "pooled"}, or options of one

    Returns
    -------
    float
        Without n·log 2π, as NONMEM prints it.

    Raises
    ------
    ModelError
        If model and data do not fit together.
    FitError
        If the objective is not a number there.
    """
    check_types(model, data)
    name, options = _named(method, model)
    if name in _BY_SUBJECT:
        raise ModelError(
            f"method={name!r} gives every subject values of its own: there is no objective at the values of a model. "
            "Use wb.fit, or another method."
        )
    problem = compile(model.without_random_effects() if name == "pooled" else model, data)
    check_start(problem, model, data)
    target: Target = Objective(problem, name)
    if isinstance(options, Quadrature | Importance | Saem):
        target = Integral(problem, options.importance if isinstance(options, Saem) else options, problem.x)
    evaluation = target.evaluate(problem.x)
    if not math.isfinite(evaluation.ofv):
        raise FitError("The objective cannot be computed at these values.")
    return evaluation.ofv


def fit(
    model: Model,
    data: GroupedData,
    method: Method | Options = "focei",
    *,
    callback: Callback | None = None,
    max_iterations: int = 500,
    covariance: bool | Kind = True,
    starts: int = 1,
    seed: int = 1,
) -> FitResult:
    """Estimate a model by maximum likelihood.

    Parameters
    ----------
    model : Model
        Values that it states are where the search starts; those that it does not are found from the data.
    data : GroupedData
    method : str or options of a method
        "focei", "foce", "fo", "laplace", "quadrature", "importance", "saem", "pooled", "individual" or "two-stage".
        "individual" fits each subject alone and shares the residual error: `FitResult.individual` has their own values,
        `FitResult.failures` who has none and why; the typical value is the mean of the own values (transformed), the
        covariates and what is said of the random effects are left out. Its residual error is that of maximum
        likelihood, too small by √(1 - values estimated / observations). "two-stage" corrects that, and estimates the
        model from the subjects' own values; individual parameters are then the modes, as by FOCEI.
        "quadrature" and "importance" integrate over the random effects; they start where FOCEI ends. Their options
        are given in place of the name: `method=wb.Quadrature(nodes=9)`. "saem" searches by itself; its OFV and standard
        errors come from importance sampling at the end, and while it runs the OFV is that of FOCEI.
    callback : callable, optional
        Called with a `Progress` at the start, after each iteration, and every tenth of a second while standard
        errors are computed; stops the work by returning something true. It runs in the thread of the fit.
    max_iterations : int
        Those of "saem" are in its options.
    covariance : bool or {"R", "S", "sandwich"}
        Standard errors: from the inverse of the Hessian of the objective (True or "R"), of the outer products of the
        subjects' gradients ("S"), or from both ("sandwich", NONMEM's default).
    starts : int
        Search from so many points, the first at the model's own values, the others around it; `FitResult.starts` tells
        where they ended.
    seed : int
        Of the points.

    Returns
    -------
    FitResult
        `status` says how it ended; a fit that did not converge is returned all the same.

    Raises
    ------
    ModelError
        If model and data do not fit together.
    FitError
        If the objective cannot be computed at the initial values.
    """
    reports = Reports(callback)
    check_types(model, data)
    name, options = _named(method, model)
    max_iterations, starts = whole("max_iterations", max_iterations), whole("starts", starts, 1)
    seed = whole("seed", seed)
    _check_arguments(name, covariance, starts)

    # 1. Where to begin
    given, model = model, initial_values(model, data)
    if name in _BY_SUBJECT:
        result = by_subject(given, model, data, name, options, reports, max_iterations, covariance)
        return replace(result, settings=_unusual(covariance=covariance))
    fitted = model.without_random_effects() if name == "pooled" else model
    problem = compile(fitted, data)
    check_start(problem, fitted, data)

    # 2. The search, and standard errors where it ended
    watch = reports.watch(problem.scale)
    target: Target
    tried: tuple[Start, ...] = ()
    short = ""
    if isinstance(options, Saem):
        target, outcome, distance = by_saem(problem, options, watch, reports.part)
        errors = standard_errors(target, outcome, watch, covariance)
        outcome, short = above_minimum(outcome, distance)
    else:
        first = Objective(problem, name)
        target, outcome, tried = by_gradient(first, options, fitted, starts, seed, watch, max_iterations, reports.part)
        errors, outcome = judged(target, outcome, watch, max_iterations, covariance)

    # 3. What there is to say of it
    exact = target.accuracy(outcome.evaluation) if isinstance(target, Integral) else ""
    accuracy = " ".join(filter(None, (exact, short)))
    outcome, message = verdict(problem, outcome, errors)

    # 4. The result
    seconds = reports.seconds
    result = fit_result(
        given, model, data, name, options, target, outcome, errors, message, accuracy, seconds
    )  # fmt: skip
    return replace(result, settings=_unusual(covariance=covariance, starts=starts, seed=seed), tried=tried)


def method_name(method: object) -> str:
    """The name of a method that is given by its name or by its options.

    Raises
    ------
    ModelError
        If there is no such method.
    """
    if isinstance(method, type) and issubclass(method, Options):
        raise ModelError(f"method=wb.{method.__name__}: options are made by a call, wb.{method.__name__}().")
    name = method.name if isinstance(method, Options) else method
    if not isinstance(name, str) or name not in METHODS:
        raise ModelError(f"method={method!r}; allowed are {listed(METHODS)}.")
    return name


def _named(method: object, model: Model) -> tuple[str, Options | None]:
    """The name of a method and its options, if it has any; refuses what does not suit the model."""
    name = method_name(method)
    _check_method(name, model)
    if isinstance(method, Options):
        return name, method
    return name, OPTIONS[name]() if name in OPTIONS else None


def _check_method(method: str, model: Model) -> None:
    if model.blq in ("M3", "M4") and method in ("fo", "foce"):
        raise ModelError(
            f"method={method!r} takes the residual variance at η = 0; the likelihood of values below the limit of "
            f"quantification (blq={model.blq!r}) needs it at the prediction: use method='focei' or 'laplace'."
        )


def _check_arguments(method: str, covariance: object, starts: int) -> None:
    if method == "saem" and starts != 1:
        raise ModelError("method='saem' begins wide and takes no starts=; give it another seed: wb.Saem(seed=2).")
    if not (isinstance(covariance, bool) or covariance in get_args(Kind)):
        raise ModelError(f"covariance={covariance!r}; allowed are True, False, 'R', 'S' and 'sandwich'.")
    if starts > 1 and method in _BY_SUBJECT:
        raise ModelError(f"starts={starts}: method={method!r} has one start, near the typical values of the model.")


def _unusual(**settings: object) -> tuple[tuple[str, object], ...]:
    """The arguments that are not as usual."""
    return tuple((what, value) for what, value in settings.items() if value != _USUAL[what])
