"""`fit` and `objective`: from a model and data to a `FitResult`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from inspect import Parameter, signature
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.checks import jobs as check_jobs
from workbench.checks import listed, whole
from workbench.data import GroupedData, Partitions
from workbench.engine.ending.fit_result import fit_result, with_doubts
from workbench.engine.ending.uncertainty import Kind
from workbench.engine.methods import Task, way_of
from workbench.engine.parts import fit_parts
from workbench.engine.problem.compile import check_types, compile, restated
from workbench.engine.problem.refusals import check_start
from workbench.engine.search.initial import beginnings
from workbench.engine.search.progress import Callback, Reports
from workbench.errors import FitError, ModelError
from workbench.methods import METHODS, USUAL, Ability, Method, Options, method_of, options_of, that_can
from workbench.model import Model
from workbench.results.fit import FitResult, Settings
from workbench.results.partitioned import PartitionedFit


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
    return evaluated(model, data, method).ofv


class Evaluated(NamedTuple):
    """The objective at the values of a model.

    Attributes
    ----------
    ofv : float
    by_subject : float64[N]
    values : dict
        By the names that a fit gives its estimates.
    """

    ofv: float
    by_subject: NDArray[np.float64]
    values: dict[str, float]


def evaluated(model: Model, data: GroupedData, method: str | Options = "focei") -> Evaluated:
    """What `objective` computes, by subject; raises as that."""
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
    target = way_of(asked).target(problem, asked, options_of(method))
    evaluation = target.deepen(target.evaluate(problem.x))
    if not math.isfinite(evaluation.ofv):
        raise FitError("The objective cannot be computed at these values.")
    names = (quantity.label for quantity in problem.scale.quantities)
    values = dict(zip(names, map(float, problem.scale.estimates(problem.x)), strict=True))
    return Evaluated(evaluation.ofv, evaluation.by_subject, values)


def fit(
    model: Model,
    data: GroupedData | Partitions,
    method: str | Options = "focei",
    *,
    callback: Callback | None = None,
    max_iterations: int = 500,
    covariance: bool | Kind = True,
    starts: int = 1,
    seed: int = 1,
    jobs: int | None = None,
) -> FitResult:
    """Estimate a model by maximum likelihood.

    Parameters
    ----------
    model : Model
        Values that it states are where the search starts; those that it does not are found from the data.
    data : GroupedData or Partitions
        Of data in parts, each part stays where it is read (on the cluster, see `workbench.cluster`) and answers with
        sums over its subjects; the result is a `PartitionedFit`.
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
        where they ended. With 1, values found from the data may be of several kinds that look about as good; then the
        search goes from each of them, and the same table tells.
    seed : int
        Of the points.
    jobs : int, optional
        Of several starts, how many at the same time, as by `bootstrap`. The result is the same bits.

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
    if isinstance(data, Partitions):
        return _fit_in_parts(model, data, method, reports, max_iterations, covariance, starts)  # type: ignore[return-value]
    check_types(model, data)
    chosen = _suited(method, model)
    options = options_of(method)
    max_iterations, starts = whole("max_iterations", max_iterations), whole("starts", starts, 1)
    seed, jobs = whole("seed", seed), check_jobs(jobs)
    _check_arguments(chosen, covariance, starts)
    settings = unusual(locals())

    # 1. Where to begin
    beginning = beginnings(model, data)
    begun = beginning.model
    fitted = chosen.fitted(begun)
    known = beginning.problem if fitted is begun else None
    problem = compile(fitted, data) if known is None else restated(known, fitted, data)
    check_start(problem, fitted, data)
    if chosen.random_effects and not problem.n_random:
        raise FitError(f"method={chosen.name!r} is for models with random effects; without any use method={USUAL!r}.")

    # 2. The method's way
    def point(other: Model) -> NDArray[np.float64]:
        return problem.scale.vector(problem.scale.point_of(chosen.fitted(other)))

    def usual() -> tuple[NDArray[np.float64], ...]:
        spread = beginning.spread()
        return () if spread is None else (point(spread),)

    others = tuple(map(point, beginning.others))
    task = Task(
        chosen, options, fitted, data, problem, reports, max_iterations, covariance, starts, seed, jobs, others, usual
    )  # fmt: skip
    ended = way_of(chosen).search(task)

    # 3. The result
    result = fit_result(
        model, ended.model or begun, data, chosen.name, options, ended.target, ended.outcome, ended.errors,
        ended.message, ended.accuracy, reports.seconds - ended.seconds_for_rivals,
    )  # fmt: skip
    result = replace(result, settings=settings, tried=ended.tried, rivals=ended.rivals)
    return with_doubts(ended.completed(replace(result, seconds_for_rivals=ended.seconds_for_rivals)))


def _fit_in_parts(
    model: Model,
    data: Partitions,
    method: str | Options,
    reports: Reports,
    max_iterations: int,
    covariance: bool | Kind,
    starts: int,
) -> PartitionedFit:
    if not isinstance(model, Model):
        raise ModelError(f"The first argument is a wb.Model(…), got {type(model).__name__}.")
    chosen = _suited(method, model)
    max_iterations, starts = whole("max_iterations", max_iterations), whole("starts", starts, 1)
    _check_arguments(chosen, covariance, 1)
    return fit_parts(model, data, chosen, reports, max_iterations, covariance, starts)


_NO_SETTINGS = ("callback", "jobs")


@cache
def keywords() -> Mapping[str, object]:
    """What `fit` takes by keyword beside the method, with the usual values; not what leaves the result as it is."""
    own = signature(fit).parameters.values()
    return {p.name: p.default for p in own if p.kind is Parameter.KEYWORD_ONLY and p.name not in _NO_SETTINGS}


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
