"""`fit` and `objective`: from a model and data to a `FitResult`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from inspect import Parameter, signature
from typing import get_args

from workbench.checks import listed, whole
from workbench.data import GroupedData
from workbench.engine.ending.fit_result import fit_result
from workbench.engine.ending.uncertainty import Kind
from workbench.engine.methods import Task, way_of
from workbench.engine.problem.compile import check_types, compile
from workbench.engine.problem.refusals import check_start
from workbench.engine.search.initial import initial_values
from workbench.engine.search.progress import Callback, Reports
from workbench.errors import FitError, ModelError
from workbench.methods import METHODS, USUAL, Ability, Method, Options, method_of, options_of, that_can
from workbench.model import Model
from workbench.results.fit import FitResult, Settings


def objective(model: Model, data: GroupedData, method: str | Options = "focei") -> float:
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

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    >>> wb.objective(model, data) > wb.fit(model, data).ofv
    True
    """
    check_types(model, data)
    asked = _suited(method, model)
    if not asked.can(Ability.VALUES):
        raise ModelError(
            f"method={asked.name!r} has no objective at the values of a model: it {asked.cannot[Ability.VALUES]}. "
            f"Use wb.fit, or one of {listed(that_can(Ability.VALUES))}."
        )
    fitted = asked.fitted(model)
    problem = compile(fitted, data)
    check_start(problem, fitted, data)
    evaluation = way_of(asked).target(problem, asked, options_of(method)).evaluate(problem.x)
    if not math.isfinite(evaluation.ofv):
        raise FitError("The objective cannot be computed at these values.")
    return evaluation.ofv


def fit(
    model: Model,
    data: GroupedData,
    method: str | Options = "focei",
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
        subjects' gradients ("S"), or from both ("sandwich", NONMEM's default). With False, one start is not followed by
        a look at rival solutions either (`FitResult.rivals`).
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

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> fit.converged, round(fit.ofv)
    (True, 104)
    >>> wb.fit(model.with_covariate("V", "WT"), data, covariance=False).ofv < fit.ofv
    True
    """
    reports = Reports(callback)
    check_types(model, data)
    chosen = _suited(method, model)
    options = options_of(method)
    max_iterations, starts = whole("max_iterations", max_iterations), whole("starts", starts, 1)
    seed = whole("seed", seed)
    _check_arguments(chosen, covariance, starts)
    settings = unusual(locals())

    # 1. Where to begin
    begun = initial_values(model, data)
    fitted = chosen.fitted(begun)
    problem = compile(fitted, data)
    check_start(problem, fitted, data)
    if chosen.random_effects and not problem.n_random:
        raise FitError(f"method={chosen.name!r} is for models with random effects; without any use method={USUAL!r}.")

    # 2. The method's way
    task = Task(chosen, options, fitted, data, problem, reports, max_iterations, covariance, starts, seed)
    ended = way_of(chosen).search(task)

    # 3. The result
    result = fit_result(
        model, ended.model or begun, data, chosen.name, options, ended.target, ended.outcome, ended.errors,
        ended.message, ended.accuracy, reports.seconds - ended.seconds_for_rivals,
    )  # fmt: skip
    result = replace(result, settings=settings, tried=ended.tried, rivals=ended.rivals)
    return ended.completed(replace(result, seconds_for_rivals=ended.seconds_for_rivals))


@cache
def keywords() -> Mapping[str, object]:
    """What `fit` takes by keyword beside the method, in order, with the usual values; not the callback."""
    own = signature(fit).parameters.values()
    return {p.name: p.default for p in own if p.kind is Parameter.KEYWORD_ONLY and p.name != "callback"}


def unusual(given: Mapping[str, object]) -> Settings:
    """Of what is given by name, the keywords of `fit` that are not as usual, in its order."""
    return tuple((name, given[name]) for name, usual in keywords().items() if given.get(name, usual) != usual)


def _suited(stated: object, model: Model) -> Method:
    """The method that is stated; refused where it does not suit the model."""
    method = method_of(stated)
    if model.blq in ("M3", "M4") and not method.approximation.interaction:
        able = [name for name, other in METHODS.items() if other.approximation.interaction]
        raise ModelError(
            f"method={method.name!r} takes the residual variance at η = 0; the likelihood of values below the limit of "
            f"quantification (blq={model.blq!r}) needs it at the prediction: use one of {listed(able)}."
        )
    return method


def _check_arguments(method: Method, covariance: object, starts: int) -> None:
    if not (isinstance(covariance, bool) or covariance in get_args(Kind)):
        raise ModelError(f"covariance={covariance!r}; allowed are True, False, 'R', 'S' and 'sandwich'.")
    if starts > 1 and not method.can(Ability.STARTS):
        raise ModelError(f"starts={starts}: method={method.name!r} {method.cannot[Ability.STARTS]}.")
