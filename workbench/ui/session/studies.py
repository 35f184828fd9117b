"""Further work on a fit that takes its time: what is done, what it reports, and where its result is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench import engine, inference
from workbench.errors import FitError, ModelError
from workbench.methods import Subjects, that_see
from workbench.results.fit import FitResult, Progress
from workbench.results.runs import Run
from workbench.ui.session.curves import Sketch
from workbench.ui.session.state import State
from workbench.ui.session.work import Portion, Request

Array = NDArray[np.float64]
Report = Callable[[Any], bool]


@dataclass(frozen=True, eq=False)
class Beside:
    """The same model without random effects, and every subject alone.

    Attributes
    ----------
    pooled, alone : FitResult or str
        Why there is none.
    curves : list, by response, of (list of float64[points], list of float64[points] or None) by subject
        The pooled curve and that of the subject's own values; None where a fit is missing.
    """

    pooled: FitResult | str
    alone: FitResult | str
    curves: list[tuple[list[Array] | None, list[Array] | None]]

    @property
    def both(self) -> tuple[FitResult | str, FitResult | str]:
        """The two fits."""
        return self.pooled, self.alone


def agreement(state: State, run: Run, method: str) -> Request:
    """Fit the model of a run by another method as well; both fits are kept in the history."""

    def work(report: Report) -> FitResult:
        fit: Any = engine.fit
        found: FitResult = fit(run.model, run.data, method=method, callback=_as_portion(report))
        return found

    def done(fit: FitResult) -> None:
        others = {**(state.studies.get((run.number, "agreement")) or {}), fit.method: fit}
        state.keep(run, "agreement", others, runs=state.with_run(fit))

    return Request(f"The same model by {method}", work, done)


def profiles(state: State, run: Run, names: Sequence[str]) -> Request:
    """Profile estimates one after the other."""

    def work(report: Report) -> dict[str, inference.Profile | str]:
        begun, found, spent, stopped = time.perf_counter(), dict[str, inference.Profile | str](), 0, False

        def told(fits: int) -> bool:
            nonlocal stopped
            stopped = report(Portion(spent + fits, 0, time.perf_counter() - begun))
            return stopped

        for name in names:
            try:
                profile = inference.profile(run.fit, name, callback=told)
            except FitError as error:
                found[name] = str(error)
            else:
                found[name] = profile
                spent += len(profile.points)
            if stopped:
                break
        return found

    def done(found: dict[str, Any]) -> None:
        before = state.studies.get((run.number, "profiles")) or {}
        state.keep(run, "profiles", {**before, **found})

    what = names[0] if len(names) == 1 else f"{len(names)} estimates"
    return Request(f"Profile of {what}", work, done)


def resampling(state: State, run: Run, kind: str, count: int, stratify: str | None) -> Request:
    """Bootstrap ("subjects", "parametric"), or sampling importance resampling ("sir")."""

    def work(report: Report) -> inference.Bootstrap | inference.Sir:
        begun = time.perf_counter()

        def told(done: int, total: int) -> bool:
            return report(Portion(done, total, time.perf_counter() - begun))

        if kind == "sir":
            return inference.sir(run.fit, callback=told)
        chosen: Any = kind
        return inference.bootstrap(run.fit, count, kind=chosen, stratify=stratify, callback=told)

    def done(found: Any) -> None:
        name, code = "sir", "wb.sir(fit)"
        if kind != "sir":
            more = f", kind={kind!r}" if kind != "subjects" else ""
            more += f", stratify={stratify!r}" if stratify else ""
            name, code = "bootstrap", f"wb.bootstrap(fit, {count}{more})"
        state.keep(run, name, (found, code))

    return Request("Importance resampling" if kind == "sir" else "Bootstrap", work, done)


def beside_methods() -> tuple[str, str]:
    """The methods that take all subjects as one, and one by one."""
    return that_see(Subjects.POOLED)[0], that_see(Subjects.ALONE)[0]


def beside(state: State, run: Run) -> Request:
    """Fit the model pooled and each subject alone, and evaluate their curves."""

    def work(report: Report) -> Beside:
        pooled, alone = (_attempt(run, method, report) for method in beside_methods())
        curves = []
        for response in range(len(run.model.structure.responses)):
            typical = own = None
            if isinstance(pooled, FitResult):
                typical = Sketch(pooled.model, run.data).drawn(pooled.model, None, response).population
            if isinstance(alone, FitResult):
                own = Sketch(alone.model, run.data).drawn(alone.model, alone.eta_matrix, response).individual
            curves.append((typical, own))
        return Beside(pooled, alone, curves)

    def done(found: Beside) -> None:
        state.keep(run, "beside", found)

    return Request("Pooled, and each subject alone", work, done)


def _attempt(run: Run, method: str, report: Report) -> FitResult | str:
    fit: Any = engine.fit
    try:
        found: FitResult = fit(run.model, run.data, method=method, callback=_as_portion(report), covariance=False)
    except (FitError, ModelError) as error:
        return str(error)
    return found


def _as_portion(report: Report) -> Callable[[Progress], bool]:
    """What a fit reports, where it is a part of other work."""
    return lambda progress: report(Portion(progress.iteration, 0, progress.seconds))
