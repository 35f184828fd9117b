"""`fit` and `objective`: from a model and data to a `FitResult`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine import likelihood as lik
from workbench.engine.alone import Alone, said_of
from workbench.engine.initial import initial_values, with_errors_found
from workbench.engine.integral import Integral
from workbench.engine.methods import Importance, Options, Quadrature, Saem, TwoStage
from workbench.engine.objective import METHODS, Evaluation, Objective, Target
from workbench.engine.optimise import Outcome, Watch, minimise
from workbench.engine.own_values import OwnValues, own_values
from workbench.engine.problem import Problem, check_types, compile
from workbench.engine.residual import CENSORED
from workbench.engine.saem import Found, saem
from workbench.engine.scale import Name, Scale
from workbench.engine.starts import minimise_from_many
from workbench.engine.two_stage import SecondStage, second_stage_model
from workbench.engine.uncertainty import Kind, Uncertainty, edges, uncertainty, vanished_error
from workbench.errors import FitError, ModelError
from workbench.model import Exponential, Model
from workbench.results import Estimate, FitResult, Progress, Start, Status

Array = NDArray[np.float64]
Method = Literal[
    "fo", "foce", "focei", "laplace", "quadrature", "importance", "saem", "pooled", "individual", "two-stage"
]  # fmt: skip
Callback = Callable[[Progress], object]

_OPTIONS: dict[str, type[Options]] = {options.name: options for options in (Quadrature, Importance, Saem, TwoStage)}
_Z95 = 1.959963984540054
_BY_SUBJECT = ("individual", "two-stage")  # begin with each subject alone
_NEARLY_FLAT = 1e-3
_ESCAPES = 4
_SAEM_SHORT = 0.1  # of the objective: a third of a standard error in one direction
_LOWER = 1e-4  # of the objective: less is no way down
_RUNAWAY = 14.0  # e^14 is a million


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
    _check_variances(problem, model, data)
    target: Target = Objective(problem, name)
    if isinstance(options, Quadrature | Importance | Saem):
        target = Integral(problem, _drawn(options), problem.x)
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
    begun = time.perf_counter()
    check_types(model, data)
    name, options = _named(method, model)
    if name == "saem" and starts != 1:
        raise ModelError("method='saem' begins wide and takes no starts=; give it another seed: wb.Saem(seed=2).")
    if not isinstance(max_iterations, int) or max_iterations < 0:
        raise ModelError(f"max_iterations={max_iterations!r}; a whole number, 0 or more, is needed.")
    if not isinstance(starts, int) or isinstance(starts, bool) or starts < 1:
        raise ModelError(f"starts={starts!r}; a whole number, 1 or more, is needed.")
    if not (isinstance(covariance, bool) or covariance in get_args(Kind)):
        raise ModelError(f"covariance={covariance!r}; allowed are True, False, 'R', 'S' and 'sandwich'.")
    given, model = model, initial_values(model, data)
    if name in _BY_SUBJECT:
        if starts > 1:
            raise ModelError(f"starts={starts}: method={name!r} has one start, near the typical values of the model.")
        result = _by_subject(given, model, data, name, options, callback, max_iterations, covariance, begun)
        return replace(result, settings=() if covariance is True else (("covariance", covariance),))
    fitted = model.without_random_effects() if name == "pooled" else model
    problem = compile(fitted, data)
    _check_variances(problem, fitted, data)
    objective = Objective(problem, name)
    target: Target = objective

    def watch(iteration: int, evaluation: Evaluation) -> bool:
        if callback is None:
            return False
        values = problem.scale.estimates(evaluation.x).tolist()
        names = (name.label for name in problem.scale.names)
        parameters = dict(zip(names, values, strict=True))
        seconds = time.perf_counter() - begun
        return bool(callback(Progress(iteration, evaluation.ofv, parameters, seconds, evaluation.eta)))

    tried: tuple[Start, ...] = ()
    if isinstance(options, Saem):
        target, outcome, found = _by_saem(problem, options, watch)
        errors = _errors(target, outcome, watch, covariance)
    else:
        if starts > 1:
            outcome, tried = minimise_from_many(objective, problem.x, starts, seed, watch, max_iterations)
        else:
            outcome = minimise(target, problem.x, watch, max_iterations)
        outcome = _second_try(target, outcome, fitted, watch, max_iterations)
        outcome = _other_side(target, outcome, watch, max_iterations)
        if isinstance(options, Quadrature | Importance):
            target = Integral(problem, options, outcome.evaluation.x)
            outcome = _integrated(target, outcome, watch, max_iterations)
        errors, outcome = _judged(target, outcome, watch, max_iterations, covariance)
    accuracy = target.accuracy(outcome.evaluation) if isinstance(target, Integral) else ""
    if isinstance(options, Saem) and outcome.status.ok:
        best = outcome.evaluation
        newton = -found.inverse @ best.gradient if errors.newton is None else errors.newton
        short = -0.5 * float(best.gradient @ newton)
        accuracy += f" SAEM ended {short:.1g} above the nearest minimum of it."
        outcome = outcome if short < _SAEM_SHORT else replace(outcome, status=Status.max_iterations)
    status, remarks = _verdict(problem, outcome, errors)
    seconds = time.perf_counter() - begun
    message = " ".join(remarks)
    stated = {"covariance": (covariance, True), "starts": (starts, 1), "seed": (seed, 1)}
    settings = tuple((what, value) for what, (value, usual) in stated.items() if value != usual)
    result = _result(given, model, data, name, options, target, outcome, status, message, errors, accuracy, seconds)
    return replace(result, settings=settings, tried=tried)


def _verdict(problem: Problem, outcome: Outcome, errors: Uncertainty) -> tuple[Status, list[str]]:
    """How a search ended in view of where it did, and what there is to say about that."""
    status, best = outcome.status, outcome.evaluation
    remarks = [edge.sentence for edge in edges(problem, best)]
    if status.ok and remarks:
        status = Status.boundary
    elif status.ok and errors.downhill is not None:
        status = Status.stalled
    elif status.ok and errors.flat:
        remarks.append(f"The data do not determine {errors.flat}.")
    lost = runaway(problem, best)
    if lost and status is not Status.stopped:
        status, remarks = Status.diverged, [*remarks, lost]
    if problem.exchanged(best.x) is not None:
        remarks.append("Absorption is slower than elimination at these values (flip-flop).")
    return status, remarks


def _by_subject(
    given: Model,
    model: Model,
    data: GroupedData,
    method: str,
    options: Options | None,
    callback: Callback | None,
    max_iterations: int,
    covariance: bool | Kind,
    begun: float,
) -> FitResult:
    """Fit each subject alone and, by "two-stage", the model to what comes out."""
    problem = compile(model, data)
    _check_variances(problem, model, data)
    no_effects = np.zeros((problem.n_subjects, 0))

    def report(iteration: int, ofv: float, parameters: dict[str, float], eta: Array = no_effects) -> bool:
        seconds = time.perf_counter() - begun
        return bool(callback and callback(Progress(iteration, ofv, parameters, seconds, eta)))

    own = own_values(model, data, report, max_iterations, corrected=method == "two-stage")
    alone = Alone(own)
    first = alone.evaluate()
    vanished = [edge.sentence for edge in vanished_error(own.problem, first)]
    said = " ".join(filter(None, (said_of(own, data), *vanished)))
    if not isinstance(options, TwoStage):
        outcome = Outcome(first, own.status, own.trace)
        status = Status.boundary if vanished and own.status.ok else own.status
        errors = Uncertainty(None, "none: each subject was fitted alone; wb.TwoStage() has those of their mean.")
        seconds = time.perf_counter() - begun
        accuracy = alone.accuracy(first)
        result = _result(
            given, own.model, data, method, options, alone, outcome, status, said, errors, accuracy, seconds
        )  # fmt: skip
        return alone.completed(_with_failures(result, own))

    if options.kind == "standard" and not isinstance(covariance, bool):
        raise ModelError(f"covariance={covariance!r}: standard two-stage has one kind of standard errors, True.")
    staged = second_stage_model(model, own)
    target = SecondStage(staged, data, own, options.kind)
    scale = target.problem.scale
    last = own.rounds

    def watch(iteration: int, at: Evaluation) -> bool:
        parameters = dict(zip((n.label for n in scale.names), scale.estimates(at.x).tolist(), strict=True))
        return report(last + iteration, at.ofv, parameters, at.eta)

    x, matrix, reason = target.standard()
    if options.kind == "global" and own.status is not Status.stopped:
        outcome = minimise(target, x, watch, max_iterations)
        errors, outcome = _judged(target, outcome, watch, max_iterations, covariance)
    else:
        at = target.evaluate(x)
        outcome = Outcome(at, own.status, ((0, at.ofv),), (at.x,))
        free = ~scale.fixed
        errors = Uncertainty(None if matrix is None else matrix[np.ix_(free, free)], reason)
        if covariance is False:
            errors = Uncertainty(None, "none: they were not asked for (covariance=False).")
        watch(0, at)
    status, remarks = _verdict(target.problem, outcome, errors)
    status = Status.boundary if vanished and status is Status.converged else status
    message = " ".join(filter(None, (said, *remarks)))
    seconds = time.perf_counter() - begun
    accuracy = target.accuracy(outcome.evaluation)
    result = _result(
        given, staged, data, method, options, target, outcome, status, message, errors, accuracy, seconds
    )  # fmt: skip
    return target.completed(_with_failures(result, own), model)


def _with_failures(result: FitResult, own: OwnValues) -> FitResult:
    """The result with the subjects that have no values of their own."""
    subjects = result.data.events.subjects
    return replace(result, failures={subjects[i]: reason for i, reason in own.failures.items()})


def _integrated(target: Integral, begun: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """Minimise an integral from where FOCEI ended."""
    if begun.status is not Status.stopped:
        return minimise(target, begun.evaluation.x, watch, max_iterations)
    at = target.evaluate(begun.evaluation.x)
    return Outcome(at, Status.stopped, ((0, at.ofv),), (at.x,))


def _drawn(options: Quadrature | Importance | Saem) -> Quadrature | Importance:
    """How a method computes the integral."""
    return Importance(options.samples, options.seed) if isinstance(options, Saem) else options


def _by_saem(problem: Problem, options: Saem, watch: Watch) -> tuple[Integral, Outcome, Found]:
    """Search by SAEM, then compute the objective where it ended.

    Raises
    ------
    FitError
        If that cannot be done.
    """
    found = saem(problem, options, watch)
    target = Integral(problem, _drawn(options), found.x)
    at = target.evaluate(found.x)
    if not at.finite:
        raise FitError("SAEM ended where the likelihood cannot be computed; try other initial values or another seed.")
    last = found.trace[-1][0] + 1
    watch(last, at)
    status = Status.stopped if found.stopped else Status.converged
    return target, Outcome(at, status, (*found.trace, (last, at.ofv)), (*found.path, at.x)), found


def _errors(target: Target, outcome: Outcome, watch: Watch, covariance: bool | Kind) -> Uncertainty:
    """Standard errors where the search ended."""
    if covariance is False:
        return Uncertainty(None, "none: they were not asked for (covariance=False).")
    if outcome.status is Status.stopped:
        return Uncertainty(None, "none: the fit was stopped.")
    interrupt = _now_and_then(lambda: watch(outcome.trace[-1][0], outcome.evaluation))
    kind: Kind = "R" if isinstance(covariance, bool) else covariance
    if isinstance(target, Integral):
        target = target.following()
    return uncertainty(target, outcome.evaluation, edges(target.problem, outcome.evaluation), interrupt, kind)


def _judged(
    target: Target, outcome: Outcome, watch: Watch, max_iterations: int, covariance: bool | Kind
) -> tuple[Uncertainty, Outcome]:
    """Standard errors where the search ended; what the Hessian shows, a saddle or a last step, is followed."""
    errors = _errors(target, outcome, watch, covariance)
    for _ in range(_ESCAPES):
        below = _below_saddle(target, outcome.evaluation, errors.downhill) if outcome.status.ok else None
        if below is None:
            break
        outcome = _resumed(target, outcome, below, watch, max_iterations)
        errors = _errors(target, outcome, watch, covariance)
    else:
        outcome = replace(outcome, status=Status.stalled)
    if outcome.status.ok and errors.newton is not None:
        polished = target.evaluate(outcome.evaluation.x + errors.newton)
        if polished.finite and polished.ofv < outcome.evaluation.ofv:
            last = outcome.trace[-1][0] + 1
            trace, path = (*outcome.trace, (last, polished.ofv)), (*outcome.path, polished.x)
            outcome = replace(outcome, evaluation=polished, trace=trace, path=path)
            watch(last, polished)
            if errors.smallest < _NEARLY_FLAT:  # what was left of the gradient bent a flat valley
                errors = _errors(target, outcome, watch, covariance)
    return errors, outcome


def _below_saddle(target: Target, at: Evaluation, downhill: Array | None) -> Array | None:
    """A point along a direction of negative curvature where the objective is lower, if there is one."""
    if downhill is None:
        return None
    points = [at.x + size * downhill for size in (3.0, 1.0, 0.3, -3.0, -1.0, -0.3)]
    found = [e for e in map(target.evaluate, points) if e.finite and e.ofv < at.ofv - _LOWER]
    return min(found, key=lambda e: e.ofv).x if found else None


def runaway(problem: Problem, at: Evaluation) -> str:
    """A sentence on typical values that left the range of what numbers mean."""
    names, begun = problem.scale.names, problem.scale.estimates(problem.x)
    with np.errstate(all="ignore"):
        factors = np.abs(np.log(np.abs(problem.scale.estimates(at.x) / begun)))
    far = [n.label for n, f in zip(names, factors, strict=True) if n.kind == "log" and not f < _RUNAWAY]
    if far:
        return f"{', '.join(far)} moved by more than a factor of a million."
    f = np.abs(problem.analysed(problem.predictions(at.point, at.eta)))
    for entry in problem.scale.errors:
        mine = f[problem.observations.response == entry.response]
        a, b, c = at.point.sigma[entry.response]
        if (
            entry.which == 0
            and entry.free
            and mine.size
            and mine.min() == 0
            and a < 1e-6 * max(b, 1e-6) * mine.max() ** c
        ):
            return (
                f"An observation of 0 where the prediction is 0 makes the likelihood infinite as {entry.label} goes to "
                "0: leave it out."
            )
    return ""


def _now_and_then(ask: Callable[[], bool]) -> Callable[[], bool]:
    """`ask`, but at most every tenth of a second."""
    last = time.perf_counter()

    def due() -> bool:
        nonlocal last
        if time.perf_counter() - last < 0.1:
            return False
        last = time.perf_counter()
        return ask()

    return due


def _second_try(target: Target, found: Outcome, model: Model, watch: Watch, max_iterations: int) -> Outcome:
    """After a search that was lost, another one from residual errors of the size that the typical values leave.

    Where they are stated far too small, the modes follow every observation and Ψ grows without bound.
    """
    if not (found.status is Status.stalled or (found.status.ok and runaway(target.problem, found.evaluation))):
        return found
    scale = target.problem.scale
    x = scale.vector(scale.point_of(with_errors_found(model, target.problem)))
    return _resumed(target, found, x, watch, max_iterations) if target.evaluate(x).finite else found


def _other_side(target: Target, found: Outcome, watch: Watch, max_iterations: int) -> Outcome:
    """From a minimum where absorption is slower than elimination, also search where they are exchanged."""
    x = target.problem.exchanged(found.evaluation.x) if found.status.ok else None
    if x is None or not target.evaluate(x).finite:
        return found
    return _resumed(target, found, x, watch, max_iterations)


def _resumed(target: Target, found: Outcome, x: Array, watch: Watch, max_iterations: int) -> Outcome:
    """Search on from another point; the better of both ends, with the trace of both searches."""
    offset = len(found.trace)
    left = max(max_iterations - offset, 0)
    other = minimise(target, x, lambda iteration, at: watch(offset + iteration, at), left)
    trace = (*found.trace, *((offset + iteration, ofv) for iteration, ofv in other.trace))
    path = (*found.path, *other.path)
    if other.evaluation.ofv < found.evaluation.ofv:
        return Outcome(other.evaluation, other.status, trace, path)
    target.accept(found.evaluation)
    watch(offset + len(other.trace), found.evaluation)
    trace, path = (*trace, (offset + len(other.trace), found.evaluation.ofv)), (*path, found.evaluation.x)
    status = Status.stopped if other.status is Status.stopped else found.status
    return Outcome(found.evaluation, status, trace, path)


def method_name(method: object) -> str:
    """The name of a method that is given by its name or by its options.

    Raises
    ------
    ModelError
        If there is no such method.
    """
    name = method.name if isinstance(method, Options) else method
    if not isinstance(name, str) or name not in METHODS:
        raise ModelError(f"method={method!r}; allowed are {', '.join(map(repr, METHODS))}.")
    return name


def _named(method: object, model: Model) -> tuple[str, Options | None]:
    """The name of a method and its options, if it has any; refuses what does not suit the model."""
    name = method_name(method)
    _check_method(name, model)
    if isinstance(method, Options):
        return name, method
    return name, _OPTIONS[name]() if name in _OPTIONS else None


def _check_method(method: str, model: Model) -> None:
    if model.blq in ("M3", "M4") and method in ("fo", "foce"):
        raise ModelError(
            f"method={method!r} takes the residual variance at η = 0; the likelihood of values below the limit of "
            f"quantification (blq={model.blq!r}) needs it at the prediction: use method='focei' or 'laplace'."
        )


def _check_variances(problem: Problem, model: Model, data: GroupedData) -> None:
    """A residual variance of zero makes an observation infinitely informative: say where."""
    point = problem.scale.point(problem.x)
    f = problem.analysed(problem.predictions(point))
    if not np.isfinite(f).all():
        _refuse_predictions(problem, model, data, f)
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


def _refuse_predictions(problem: Problem, model: Model, data: GroupedData, f: Array) -> None:
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


def _result(
    given: Model,
    model: Model,
    data: GroupedData,
    method: str,
    options: Options | None,
    target: Target,
    outcome: Outcome,
    status: Status,
    message: str,
    errors: Uncertainty,
    accuracy: str,
    seconds: float,
) -> FitResult:
    best = outcome.evaluation
    problem, point = target.problem, best.point
    scale = problem.scale
    shown = best
    if method == "fo":  # FO has no modes of its own: NONMEM's POSTHOC step, at the FO estimates
        posthoc = Objective(problem, "foce").evaluate(best.x)
        shown = posthoc if np.isfinite(posthoc.zeta).all() else best
    elif isinstance(target, Integral | SecondStage):  # modes, as by the other methods
        shown = Objective(problem, "focei").evaluate(best.x)
    f0, f1 = problem.predictions(point), problem.predictions(point, shown.eta)
    analysed = [problem.analysed(f) for f in (f0, f1)]
    seen = problem.observations
    logs = _data_are_logarithms(model)[seen.response]
    n = len(scale.subject.names)
    linear, slope = target.linearisation(best)
    estimated = scale.model_at(model, best.x)
    parameters = _estimates(scale, best.x, errors.covariance)
    return FitResult(
        model=estimated,
        start=given,
        data=data,
        method=method,
        options=options,
        status=status,
        message=message,
        ofv=best.ofv,
        trace=outcome.trace,
        along=partial(_estimates_along, scale, outcome.path),
        seconds=seconds,
        evaluations=target.evaluations,
        parameters=parameters,
        covariance=errors.covariance,
        se_reason=errors.reason,
        random_effects=scale.subject.names,
        occasion_effects=scale.occasion.names,
        omega_matrix=(point.L @ point.L.T)[:n, :n],
        occasion_matrix=(point.L @ point.L.T)[n : n + len(scale.occasion.names), n : n + len(scale.occasion.names)],
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
        subject_ofv=best.by_subject,
        accuracy=accuracy,
    )


def _data_are_logarithms(model: Model) -> NDArray[np.bool_]:
    """For each response, whether its data are logarithms."""
    return np.array([isinstance(error, Exponential) and error.log_data for error in model.errors], dtype=bool)


def _estimates_along(scale: Scale, path: tuple[Array, ...]) -> Array:
    """Estimates at each x of a path, float64[steps, names]."""
    return np.array([scale.estimates(x) for x in path]).reshape(len(path), len(scale.names))


def _estimates(scale: Scale, x: Array, covariance: Array | None) -> tuple[Estimate, ...]:
    values, fixed = scale.estimates(x), scale.fixed
    se = np.full(len(values), np.nan)
    if covariance is not None:
        se[~fixed] = np.sqrt(np.diag(covariance))
    return tuple(
        Estimate(name.label, float(v), float(s), *_interval(name, float(v), float(s)), bool(held), name.kind)
        for name, v, s, held in zip(scale.names, values, se, fixed, strict=True)
    )


def _interval(name: Name, value: float, se: float) -> tuple[float, float]:
    """95 % interval, symmetric on the scale of the estimation and transformed back."""
    if not math.isfinite(se):
        return math.nan, math.nan
    if name.kind in ("log", "iiv", "iov", "error"):
        factor = math.exp(min(_Z95 * se / value, 700.0)) if value > 0 else math.nan
        return value / factor, value * factor
    if name.kind == "correlation" and abs(value) < 1:
        half = _Z95 * se / (1 - value**2)
        return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)
    if name.kind in ("logit", "probit") and name.bounds[0] < value < name.bounds[1]:
        z = name.transformed(value)
        half = _Z95 * se / name.natural(z)[1]
        return name.natural(z - half)[0], name.natural(z + half)[0]
    return value - _Z95 * se, value + _Z95 * se


def warm_up() -> None:
    """Compile the kernels, or load them from the disk cache, before they are needed."""
    problem = _tiny_problem()
    for method in ("fo", "foce", "focei"):
        Objective(problem, method).evaluate(problem.x)


def is_warm() -> bool:
    """Whether the kernels are compiled in this process."""
    return bool(lik.objective_and_gradient.signatures)


def _tiny_problem() -> Problem:
    import pandas as pd

    from workbench.data import read_data
    from workbench.model import Combined2, Parameter, pk

    frame = pd.DataFrame({"ID": [1, 1, 1], "TIME": [0.0, 1.0, 2.0], "AMT": [1.0, 0, 0], "DV": [0, 0.5, 0.3]})
    frame["EVID"] = [1, 0, 0]
    parameters = [Parameter("ka", 2.0, iiv=0.3), Parameter("CL", 0.5, iiv=0.3), Parameter("V", 1.0, iiv=0.3)]
    model = Model(pk(absorption="first-order"), parameters, error=Combined2(0.1, 0.1))
    return compile(model, read_data(frame))
