"""Screening as work beside the interface: the screens of a fit, one step to another model, and a search of many."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from workbench import engine, screening
from workbench.errors import WorkbenchError
from workbench.markup import rounded
from workbench.methods import USUAL
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.results.runs import Run
from workbench.screening import LinearisedScreen, Screening, Stepwise
from workbench.screening.linearised import Prediction
from workbench.screening.scope import Candidate
from workbench.screening.search import Criterion, StepProgress, Trial, startable
from workbench.ui.session.state import State
from workbench.ui.session.studies import Report
from workbench.ui.session.work import Portion, Request

SCREEN_CODE = "screen = wb.screen(fit)\nwb.linearised_screen(fit, screen.scope)"
_STATSMODELS = "statsmodels.regression.linear_model"


@dataclass(frozen=True, eq=False)
class Screened:
    """What the two screens say of one fit.

    Attributes
    ----------
    found : Screening
    linearised : LinearisedScreen or str
        Why there is none.
    """

    found: Screening
    linearised: LinearisedScreen | str

    @cached_property
    def predictions(self) -> dict[Candidate, Prediction]:
        """What is expected of each effect, as far as it could be predicted."""
        predictions = () if isinstance(self.linearised, str) else self.linearised.predictions
        return {p.candidate: p for p in predictions if math.isfinite(p.delta_ofv)}


@dataclass(frozen=True, eq=False)
class Step:
    """How a run came from another one by a change of its covariate effects.

    Attributes
    ----------
    before : Run
    fit : FitResult
        Of the run that it led to.
    title : str
    code : str
        Lines of Python that do the same to the fit of `before`.
    predicted : float
        Change of the OFV that the linearised likelihood expected; NaN where it said nothing.
    delta_ofv : float
        Change of the OFV.
    df : int
    p : float
        Of the likelihood-ratio test.
    remark : str
    """

    before: Run
    fit: FitResult
    title: str
    code: str
    predicted: float
    delta_ofv: float
    df: int
    p: float
    remark: str


@dataclass(frozen=True)
class Searching(Portion):
    """Where a stepwise search is: the fits that have ended, and what is tried now."""

    now: StepProgress
    trials: tuple[Trial, ...]

    @property
    def left(self) -> float:
        """Not known: how many steps there will be shows at the end."""
        return math.nan


@dataclass(frozen=True, eq=False)
class Searched:
    """A stepwise search, the code that repeats it, and the run that it began with."""

    found: Stepwise
    code: str
    before: Run


def screen(state: State, run: Run) -> Request:
    """Both screens of a run: regressions on its random effects, and the linearised likelihood."""

    def work(report: Report) -> Screened:
        begun = time.perf_counter()
        found = screening.screen(run.fit)
        try:
            linearised: LinearisedScreen | str = screening.linearised_screen(
                run.fit, found.scope,
                callback=lambda done, total: report(Portion(done, total, time.perf_counter() - begun)),
            )  # fmt: skip
        except WorkbenchError as error:
            linearised = str(error)
        return Screened(found, linearised)

    def done(found: Screened) -> None:
        state.keep(run, "screen", found)

    loading = "Loading statsmodels, which takes some seconds the first time, and screening"
    return Request("Screening" if _STATSMODELS in sys.modules else loading, work, done)


def adding(state: State, run: Run, candidate: Candidate, prediction: Prediction | None) -> Request:
    """Add an effect to a run's model and fit it, from the estimates and from what was predicted of the effect."""
    larger = candidate.added_to(run.fit.model, _start_of(prediction))
    title = f"+ {candidate.parameter} ~ {candidate.covariate} {candidate.shape}"
    predicted = -prediction.delta_ofv if prediction is not None else math.nan
    return _refit(state, run, larger, title, adding_code(candidate, prediction), predicted)


def adding_code(candidate: Candidate, prediction: Prediction | None) -> str:
    """The line of Python that adds an effect to the model of `fit`."""
    start = _start_of(prediction)
    at = "" if start is None else f", start={start[0] if len(start) == 1 else start}"
    return (
        f"model = fit.model.with_covariate({candidate.parameter!r}, {candidate.covariate!r}, "
        f"shape={candidate.shape!r}{at})"
    )


def _start_of(prediction: Prediction | None) -> tuple[float, ...] | None:
    """Coefficients to start from: the predicted ones, in few digits so that they can be read."""
    if prediction is None or not all(map(math.isfinite, prediction.coefficient)):
        return None
    return tuple(rounded(value, 4) for value in prediction.coefficient)


def removing(state: State, run: Run, parameter: str, covariate: str) -> Request:
    """Take the effects of a covariate on a parameter out of a run's model, and fit it from the estimates."""
    smaller = run.fit.model.without_covariate(parameter, covariate)
    title = f"− {parameter} ~ {covariate}"
    return _refit(state, run, smaller, title, removing_code(parameter, covariate), math.nan)


def removing_code(parameter: str, covariate: str) -> str:
    """The line of Python that takes the effects of a covariate out of the model of `fit`."""
    return f"model = fit.model.without_covariate({parameter!r}, {covariate!r})"


def _refit(state: State, run: Run, stated: Model, title: str, code: str, predicted: float) -> Request:
    model = startable(stated, run.model)
    if model != stated:
        code += "  # deviations near 0 are started from larger ones"
    fitted = "".join(f", {name}={value!r}" for name, value in run.settings)
    code += f"\nfit = wb.fit(model, data, method={run.method!r}{fitted})"

    def work(report: Report) -> FitResult:
        more: dict[str, Any] = dict(run.settings)
        return engine.fit(model, run.data, method=run.method, callback=report, **more)  # type: ignore[arg-type]

    def done(fit: FitResult) -> None:
        _keep(state, run, fit, title, code, predicted)

    return Request("", work, done, model)


def searching(
    state: State, run: Run, forward: float, backward: float, criterion: Criterion, which: Literal["usual", "all"]
) -> Request:
    """A stepwise search from a run's model; `which` of the shapes are tried: the usual one, or all that were screened.

    Raises
    ------
    WorkbenchError
        If all shapes are wanted of a run that has not been screened.
    """
    screened: Screened | None = state.studies.get((run.number, "screen"))
    if which == "all" and screened is None:
        raise WorkbenchError(f"Screen run {run.number} first: that says which shapes there are.")
    scope = screened.found.scope if which == "all" and screened is not None else None
    rule = f"forward={forward:g}, backward={backward:g}" if criterion == "lrt" else f"criterion={criterion!r}"
    method = "" if run.method == USUAL else f", method={run.method!r}"
    code = f"search = wb.stepwise(fit.model, data{', screen.scope' if scope else ''}{method}, {rule})\nfit = search.fit"

    def work(report: Report) -> Stepwise:
        begun, trials = time.perf_counter(), list[Trial]()

        def told(now: StepProgress) -> bool:
            if now.trial is not None:
                trials.append(now.trial)
            return report(Searching(now.done, now.of, time.perf_counter() - begun, now, tuple(trials)))

        method: Any = run.method
        return screening.stepwise(
            run.fit.model, run.data, scope, method=method, forward=forward, backward=backward, criterion=criterion,
            callback=told,
        )  # fmt: skip

    stated = state.data, state.model

    def done(found: Stepwise) -> None:
        last = run
        if len(found.steps):
            last = _keep(state, run, found.fit, _changes(found), code, math.nan)
            if stated == (state.data, state.model):  # else the user went on meanwhile
                state.update(model=last.model, method=last.method, settings=last.settings)
        state.keep(last, "stepwise", Searched(found, code, run))

    return Request("Stepwise search", work, done)


def _changes(found: Stepwise) -> str:
    """What a search changed, in words."""
    parts = [
        f"{'+' if line.direction == 'forward' else '−'} {line.parameter} ~ {line.covariate} {line.shape}"
        for line in found.steps.itertuples()
    ]
    return f"stepwise: {', '.join(parts)}"


def _keep(state: State, before: Run, fit: FitResult, title: str, code: str, predicted: float) -> Run:
    """Add a fit to the history, show it, and say what it is beside the one before."""
    line = screening.compare(before.fit, fit).table.iloc[1]
    runs = state.with_run(fit)
    step = Step(before, fit, title, code, predicted, float(line["delta_ofv"]), abs(int(line["df"])), float(line["p"]),
                str(line["remark"]))  # fmt: skip
    studies = {**state.studies, (runs[-1].number, "step"): step}
    state.update(runs=runs, run=runs[-1], studies=studies, activity="", progress=None, problem="")
    return runs[-1]


def steps(state: State) -> list[tuple[Run, Step]]:
    """The steps of the session with the runs that they led to, the latest first."""
    found = [(run, step_to(state, run)) for run in state.runs]
    return [(run, step) for run, step in found if step is not None][::-1]


def step_to(state: State, run: Run | None) -> Step | None:
    """The step that led to a run, if one did."""
    step: Step | None = state.studies.get((run.number, "step")) if run is not None else None
    return step if step is not None and run is not None and step.fit is run.fit else None


def before(state: State) -> Run | None:
    """Where one step back leads: the shown run where the model was changed since, else the run that it came from."""
    run, step = state.run, step_to(state, state.run)
    if run is not None and not state.is_current:
        return run
    return step.before if step is not None else None
