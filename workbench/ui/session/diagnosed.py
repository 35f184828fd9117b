"""What the Diagnose board computes beside the fit, and keeps, so that choices are quick: checks, draws, influence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench import diagnostics
from workbench.diagnostics import Vpc
from workbench.errors import WorkbenchError
from workbench.methods import Subjects, method_of
from workbench.results.fit import FitResult
from workbench.results.runs import Run
from workbench.ui.session.board import Matter, Need
from workbench.ui.session.curves import is_quick
from workbench.ui.session.selection import Selection
from workbench.ui.session.state import State
from workbench.ui.session.studies import Report
from workbench.ui.session.work import Portion, Request

STUDY = "diagnosed"
TITLES: dict[Need, str] = {
    "check": "Visual predictive check", "errors": "Prediction distribution errors",
    "effects": "Draws of random effects", "influence": "Influence of subjects",
}  # fmt: skip
_QUICK_VALUES = 400_000  # simulated values that take no longer than a click may
_QUICK_SUBJECTS = 300
_MOST_VALUES = 20_000_000
_LEAST = 50  # replicates
_KEPT = 4  # runs
_MOST_STEPPED = 1000  # subjects of which one is left out by a step while one looks


@dataclass(frozen=True)
class Check:
    """Choices of a visual predictive check; see `diagnostics.vpc`."""

    corrected: bool = False
    x: str = "time"
    bins: Any = None
    within: str = ""
    replicates: int = 1000

    def replicates_of(self, run: Run) -> int:
        """As many as were asked for, fewer where these are too much to keep."""
        return min(self.replicates, max(_LEAST, _MOST_VALUES // max(observations(run), 1)))


def observations(run: Run) -> int:
    """How many there are in the data of a run."""
    return int(run.data.events.observed.sum())


Found = Mapping[object, Any]


def found_of(state: State) -> Found:
    """What was computed of the shown run, by what it is; words where it failed."""
    return state.study(STUDY) or {}


def key_of(need: Need, check: Check) -> object:
    """By what something is kept."""
    return ("check", check) if need == "check" else need


def matter_of(state: State, run: Run, residual: str, check: Check) -> Matter:
    """What figures are drawn of, with all that was computed so far."""
    found = found_of(state)
    there = {need: found.get(key_of(need, check)) for need in TITLES}
    failed = {need: value for need, value in there.items() if isinstance(value, str)}
    known: dict[str, Any] = {need: value for need, value in there.items() if not isinstance(value, str)}
    response = min(state.response, len(run.model.structure.responses) - 1)
    return Matter(run, response, state.logarithmic, residual, others=tuple(state.runs), failed=failed, **known)


def is_quick_to(need: Need, run: Run, check: Check) -> bool:
    """Whether something takes no longer than a click may."""
    if not is_quick(run.model):
        return False
    if need in ("check", "errors"):
        return observations(run) * check.replicates_of(run) <= _QUICK_VALUES and check.bins != "none"
    return len(run.data.events.subjects) <= _QUICK_SUBJECTS


def computed(need: Need, run: Run, check: Check, before: Found, report: Report | None = None) -> Any:
    """Compute something of a run; words where it fails."""
    begun = time.perf_counter()

    def told(done: int, total: int) -> bool:
        return report is not None and report(Portion(done, total, time.perf_counter() - begun))

    replicates = check.replicates_of(run)
    try:
        if need == "check":
            return _checked(run.fit, check, replicates, before, told)
        if need == "errors":
            alone = method_of(run.fit.method).subjects is Subjects.ALONE
            if alone or replicates >= 1000:
                return diagnostics.residuals(run.fit)
            return diagnostics.residuals(run.fit, replicates=replicates)
        if need == "effects":
            return diagnostics.random_effects(run.fit)
        return diagnostics.influence(run.fit, refit=False)
    except WorkbenchError as error:
        return str(error)


def _checked(
    fit: FitResult, check: Check, replicates: int, before: Found, told: Callable[[int, int], bool]
) -> Vpc:  # fmt: skip
    """A check, by simulations that were made before where there are as many."""
    kept = [one.sample for one in before.values() if isinstance(one, Vpc) and one.sample.replicates == replicates]
    return diagnostics.vpc(
        fit, replicates, x=check.x, bins=check.bins, prediction_corrected=check.corrected,
        stratify=check.within or None, simulations=kept[0] if kept else None, callback=told,
    )  # fmt: skip


def keep(state: State, run: Run, found: Mapping[object, Any]) -> None:
    """Keep what was computed; of runs that were looked at long ago it is forgotten."""
    mine = {**(state.studies.get((run.number, STUDY)) or {}), **found}
    others = [key for key in state.studies if key[1] == STUDY and key[0] != run.number]
    dropped = set(others[: max(0, len(others) - _KEPT + 1)])
    state.update(studies={**{k: v for k, v in state.studies.items() if k not in dropped}, (run.number, STUDY): mine})


def request(state: State, run: Run, need: Need, check: Check) -> Request:
    """Compute something in the background."""
    before = found_of(state)

    def work(report: Report) -> Any:
        return computed(need, run, check, before, report)

    def done(found: Any) -> None:
        keep(state, run, {key_of(need, check): found})

    return Request(TITLES[need], work, done)


# -- without some of the subjects --------------------------------------------------------------------------------------


def stepped(fit: FitResult, selection: Selection) -> dict[str, float] | str:
    """Estimates without the selected subjects by one Newton step; words where there are none."""
    labels = [label for label in selection.subjects if label in set(fit.data.events.subjects)]
    count = len(fit.data.events.subjects)
    if not labels or count - len(labels) < 2:
        return "Of so few subjects none can be left out."
    if count > _MOST_STEPPED:
        return (
            f"Of more than {_MOST_STEPPED:,} subjects this is computed when asked for: wb.influence(fit, refit=False)."
        )
    try:
        found = diagnostics.influence(fit, groups=[labels], refit=False)
    except WorkbenchError as error:
        return str(error)
    return dict(zip(found.names, np.asarray(found.values[0], dtype=float).tolist(), strict=True))


def before_exclusion(state: State) -> Run | None:
    """The last run of the same model before something was left out of the data of the shown one."""
    run = state.run
    if run is None:
        return None
    steps = run.data.history
    for other in reversed(tuple(state.runs)):
        theirs = other.data.history
        more = steps[len(theirs) :]
        if (
            other.number != run.number and more and steps[: len(theirs)] == theirs
            and all(step.call == "exclude" for step in more)
            and other.model.without_values() == run.model.without_values()
        ):  # fmt: skip
            return other
    return None


def is_population(fit: FitResult) -> bool:
    """Whether estimates are of all subjects together."""
    return method_of(fit.method).subjects is not Subjects.ALONE
