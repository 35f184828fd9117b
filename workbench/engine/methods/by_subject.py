"""The methods that begin with each subject alone, from a model and data to a `FitResult`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.data import GroupedData
from workbench.engine.ending.fit_result import fit_result
from workbench.engine.ending.uncertainty import Kind, Uncertainty, vanished_error
from workbench.engine.ending.verdict import judged, verdict
from workbench.engine.methods.individual import FirstStage, said_of
from workbench.engine.methods.own_values import OwnValues, own_values
from workbench.engine.methods.two_stage import SecondStage, second_stage_model
from workbench.engine.problem.problem import compile
from workbench.engine.problem.refusals import check_start
from workbench.engine.search.optimise import Outcome, minimise
from workbench.engine.search.progress import Reports
from workbench.errors import ModelError
from workbench.methods import Options, TwoStage
from workbench.model import Model
from workbench.results.fit import FitResult, Status


def by_subject(
    given: Model,
    model: Model,
    data: GroupedData,
    method: str,
    options: Options | None,
    reports: Reports,
    max_iterations: int,
    covariance: bool | Kind,
) -> FitResult:
    """Fit each subject alone and, by "two-stage", the model to what comes out.

    Parameters
    ----------
    given, model : Model
        As the user stated it, and with initial values.
    data : GroupedData
    method : {"individual", "two-stage"}
    options : TwoStage, optional
    reports : Reports
    max_iterations : int
    covariance : bool or {"R", "S", "sandwich"}

    Raises
    ------
    ModelError
        If the model does not suit the method.
    FitError
        If not enough subjects can be fitted alone.
    """
    problem = compile(model, data)
    check_start(problem, model, data)
    none = np.zeros((problem.n_subjects, 0))  # there are no random effects yet

    def ask(iteration: int, ofv: float, parameters: dict[str, float]) -> bool:
        return reports.tell(iteration, ofv, parameters, none)

    own = own_values(model, data, ask, max_iterations, corrected=method == "two-stage")
    stage = FirstStage(own)
    first = stage.evaluate()
    vanished = vanished_error(own.problem, first)
    said = " ".join(filter(None, (said_of(own, data), *(edge.sentence for edge in vanished))))
    if not isinstance(options, TwoStage):
        status = Status.boundary if vanished and own.status.ok else own.status
        outcome = Outcome(first, status, own.trace)
        errors = Uncertainty(None, "none, as each subject was fitted alone; wb.TwoStage() has those of their mean.")
        seconds, accuracy = reports.seconds, stage.accuracy(first)
        result = fit_result(
            given, own.model, data, method, options, stage, outcome, errors, said, accuracy, seconds
        )  # fmt: skip
        return stage.completed(_with_failures(result, own))

    if options.kind == "standard" and not isinstance(covariance, bool):
        raise ModelError(f"covariance={covariance!r}: standard two-stage has one kind of standard errors, True.")
    staged = second_stage_model(model, own)
    target = SecondStage(staged, data, own, options.kind)
    outcome, errors = _second_stage(target, reports, max_iterations, covariance)
    outcome, message = verdict(target.problem, outcome, errors)
    if vanished and outcome.status is Status.converged:
        outcome = replace(outcome, status=Status.boundary)
    message = " ".join(filter(None, (said, message)))
    seconds, accuracy = reports.seconds, target.accuracy(outcome.evaluation)
    result = fit_result(
        given, staged, data, method, options, target, outcome, errors, message, accuracy, seconds
    )  # fmt: skip
    gone = tuple(label for edge in vanished for label in edge.labels)
    return target.completed(_with_failures(result, own), model, gone)


def _second_stage(
    target: SecondStage, reports: Reports, max_iterations: int, covariance: bool | Kind
) -> tuple[Outcome, Uncertainty]:
    """Where the second stage ends: by least squares, or by maximum likelihood from there."""
    own, scale = target.own, target.problem.scale
    watch = reports.watch(scale, after=own.rounds)
    x, matrix, reason = target.standard()
    if target.minimised and own.status is not Status.stopped:
        outcome = minimise(target, x, watch, max_iterations)
        errors, outcome = judged(target, outcome, watch, max_iterations, covariance)
        return outcome, errors
    at = target.evaluate(x)
    watch(0, at)
    free = ~scale.fixed
    errors = Uncertainty(None if matrix is None else matrix[np.ix_(free, free)], reason)
    if covariance is False:
        errors = Uncertainty(None, "none: they were not asked for (covariance=False).")
    return Outcome(at, own.status, ((0, at.ofv),), (at.x,)), errors


def _with_failures(result: FitResult, own: OwnValues) -> FitResult:
    """The result with the subjects that have no values of their own."""
    subjects = result.data.events.subjects
    return replace(result, failures={subjects[i]: reason for i, reason in own.failures.items()})
