"""By stages: first each subject alone, then, where a population is wanted, how the subjects' own values vary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.engine.ending.uncertainty import Edge, Uncertainty, vanished_error
from workbench.engine.ending.verdict import judged, noiseless, verdict
from workbench.engine.methods.individual import FirstStage, hardly_known, said_of
from workbench.engine.methods.own_values import OwnValues, own_values
from workbench.engine.methods.two_stage import SecondStage, second_stage_model
from workbench.engine.methods.way import Ended, Task, Way
from workbench.engine.search.optimise import Outcome, minimise
from workbench.errors import ModelError
from workbench.results.fit import FitResult, Status


class BySubject(Way):
    """Each subject alone."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended.

        Raises
        ------
        FitError
            If not enough subjects can be fitted alone.
        """
        stage, vanished, said = _first(task, corrected=False)
        own, first = stage.own, stage.evaluate()
        status = Status.boundary if vanished and own.status.ok else own.status
        status = _with_noise(stage, status)
        said = " ".join(filter(None, (said, hardly_known(own, task.data))))
        errors = Uncertainty(None, "none, as each subject was fitted alone; wb.TwoStage() has those of their mean.")
        return Ended(
            stage, Outcome(first, status, own.trace), errors, said, stage.accuracy(first), own.model,
            completed=lambda result: stage.completed(_with_failures(result, own)),
        )  # fmt: skip


class ByTwoStages(Way):
    """Each subject alone, and the model to what comes out."""

    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended.

        Raises
        ------
        ModelError
            If the model does not suit the method.
        FitError
            If not enough subjects can be fitted alone.
        """
        stage, vanished, said = _first(task, corrected=True)
        own, kind = stage.own, task.options.kind
        if kind == "standard" and not isinstance(task.covariance, bool):
            raise ModelError(
                f"covariance={task.covariance!r}: standard two-stage has one kind of standard errors, True."
            )
        model = second_stage_model(task.model, own)
        target = SecondStage(model, task.data, own, kind)
        outcome, errors = _second(target, task)
        outcome, message = verdict(target.problem, outcome, errors)
        if vanished and outcome.status is Status.converged:
            outcome = replace(outcome, status=Status.boundary)
        outcome = replace(outcome, status=_with_noise(stage, outcome.status))
        gone = tuple(label for edge in vanished for label in edge.labels)
        message, accuracy = " ".join(filter(None, (said, message))), target.accuracy(outcome.evaluation)
        return Ended(
            target, outcome, errors, message, accuracy, model,
            completed=lambda result: target.completed(_with_failures(result, own), task.model, gone),
        )  # fmt: skip


def _first(task: Task, corrected: bool) -> tuple[FirstStage, list[Edge], str]:
    """Each subject alone, what of the residual error vanished, and what there is to say of both."""
    none = np.zeros((task.problem.n_subjects, 0))  # there are no random effects yet

    def ask(iteration: int, ofv: float, parameters: dict[str, float]) -> bool:
        return task.reports.tell(iteration, ofv, parameters, none)

    own = own_values(task.model, task.data, ask, task.max_iterations, corrected)
    stage = FirstStage(own)
    vanished = vanished_error(own.problem, stage.evaluate())
    remarks = noiseless(own.problem, stage.evaluate()), said_of(own, task.data), *(edge.sentence for edge in vanished)
    return stage, vanished, " ".join(filter(None, remarks))


def _with_noise(stage: FirstStage, status: Status) -> Status:
    """The status, but for data without noise, where there is no minimum."""
    lost = status is not Status.stopped and noiseless(stage.problem, stage.evaluate())
    return Status.diverged if lost else status


def _second(target: SecondStage, task: Task) -> tuple[Outcome, Uncertainty]:
    """Where the second stage ends: by least squares, or by maximum likelihood from there."""
    own, scale = target.own, target.problem.scale
    watch = task.reports.watch(scale, after=own.rounds)
    x, matrix, reason = target.standard()
    if target.minimised and own.status is not Status.stopped:
        outcome = minimise(target, x, watch, task.max_iterations)
        errors, outcome = judged(target, outcome, watch, task.max_iterations, task.covariance)
        return outcome, errors
    at = target.evaluate(x)
    watch(0, at)
    free = ~scale.fixed
    errors = Uncertainty(None if matrix is None else matrix[np.ix_(free, free)], reason)
    if task.covariance is False:
        errors = Uncertainty(None, "none: they were not asked for (covariance=False).")
    return Outcome(at, own.status, ((0, at.ofv),), (at.x,)), errors


def _with_failures(result: FitResult, own: OwnValues) -> FitResult:
    """The result with the subjects that have no values of their own."""
    subjects = result.data.events.subjects
    return replace(result, failures={subjects[i]: reason for i, reason in own.failures.items()})
