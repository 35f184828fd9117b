"""A second opinion on every fit: another way of integration and further starts, beside what the user does.

It waits until nothing else is at work, and is given up as soon as something is: the next fit, an edit of the model.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from workbench import engine, markup
from workbench.errors import WorkbenchError
from workbench.methods import Ability, Importance, Quadrature, Saem, method_of
from workbench.results.fit import FitResult, Progress
from workbench.results.runs import Run
from workbench.ui.session import why
from workbench.ui.session.state import State
from workbench.ui.session.work import Job

log = logging.getLogger(__name__)
STUDY = "opinion"
_STILL = 0.6  # seconds without any work, before it begins
_LONGEST = 60.0  # seconds that it may take
_FURTHER = 4  # starts
_APART = 0.5  # standard errors, from which on two estimates differ
_LOWER = 0.1  # points of OFV by which another start has to be lower
_FEW = 3  # random effects, up to which nodes are cheaper than draws
_WITHOUT = 0.1  # of an estimate without a standard error, from which on another differs


@dataclass(frozen=True)
class Opinion:
    """What others say of a fit.

    Attributes
    ----------
    kind : {"agrees", "differs", "none"}
    said : str
        In a few words.
    details : tuple of str
        A sentence for each that was asked.
    """

    kind: Literal["agrees", "differs", "none"]
    said: str
    details: tuple[str, ...] = ()


def asked_of(run: Run) -> Any:
    """The method that integrates otherwise than that of a run: nodes for few random effects, else draws."""
    own, few = method_of(run.method), len(run.fit.random_effects) <= _FEW
    for options in (Quadrature(), Importance()) if few else (Importance(), Saem()):
        if method_of(options) is not own:
            return options
    raise AssertionError("two methods are one")


def sought(run: Run, report: Callable[[Any], bool]) -> Opinion | None:
    """Ask the others; None where this was stopped before they had answered.

    Parameters
    ----------
    run : Run
    report : callable
        Takes how far it is; its answer says whether to stop.
    """
    begun, method = time.perf_counter(), method_of(run.method)
    if not method.is_mixed:
        return Opinion("none", f"none is sought of {method.short} fits")
    stopped, late = False, False

    def told(progress: Progress) -> bool:
        nonlocal stopped, late
        late = time.perf_counter() - begun > _LONGEST
        stopped = report(progress) or late
        return stopped

    fit: Any = engine.fit
    apart: list[str] = []
    details: list[str] = []
    asked: list[tuple[str, Callable[[], FitResult]]] = []
    if run.fit.random_effects:
        options = asked_of(run)
        asked.append(
            (method_of(options).short,
             lambda: fit(run.fit.model, run.data, method=options, callback=told, covariance=False))
        )  # fmt: skip
    if method.can(Ability.STARTS):
        stated = {**dict(run.settings), "starts": 1 + _FURTHER, "covariance": False}
        asked.append(
            (f"{_FURTHER} further starts",
             lambda: fit(run.model, run.data, method=run.method, callback=told, **stated))
        )  # fmt: skip
    for name, ask in asked:
        try:
            other = ask()
        except WorkbenchError as error:
            details.append(f"{name}: gave no answer ({error})")
            continue
        if stopped:
            return Opinion("none", f"not ready after {_LONGEST:.0f} s", tuple(details)) if late else None
        if name == asked[-1][0] and method.can(Ability.STARTS):
            lower = run.fit.ofv - other.ofv
            if lower > _LOWER:
                apart.append(f"a start ends {markup.decimals(lower, 2)} points lower")
                details.append(f"{name}: one ends at OFV {markup.decimals(other.ofv, 2)}")
            else:
                details.append(f"{name}: none ends lower")
        else:
            far = farthest(run.fit, other)
            if far is None:
                details.append(f"{name}: all estimates within {_APART:g} SE")
            else:
                parameter, ours, theirs, distance = far
                apart.append(f"{parameter} differs")
                details.append(
                    f"{name}: {parameter} {markup.number(theirs)} instead of {markup.number(ours)}"
                    + (f", {markup.decimals(distance, 1)} SE apart" if math.isfinite(distance) else "")
                )
    if not any(": gave no answer" not in line for line in details):
        return Opinion("none", "no answer", tuple(details))
    return Opinion("differs" if apart else "agrees", "; ".join(apart) or "agrees", tuple(details))


def _looked_into(run: Run, report: Callable[[Any], bool]) -> tuple[Opinion | None, dict[str, why.Outcome]]:
    """A second opinion, after what tells the causes of a fit that is not sound has been fitted."""
    begun, stopped = time.perf_counter(), False

    def told(progress: Any) -> bool:
        nonlocal stopped
        stopped = report(progress)
        return stopped or time.perf_counter() - begun > _LONGEST

    outcomes = why.tried(run, told) if method_of(run.method).is_mixed else {}
    return (None, {}) if stopped else (sought(run, report), outcomes)


def farthest(fit: FitResult, other: FitResult) -> tuple[str, float, float, float] | None:
    """The estimate that differs most: its name, both values, their distance in standard errors; None if none does.

    Where there is no standard error a tenth of the estimate stands for half of it, and the distance is NaN.
    """
    theirs = {line.name: line.value for line in other.lines}
    worst, found = 1.0, None
    for line in fit.lines:
        if line.fixed or line.name not in theirs:
            continue
        gap, known = abs(theirs[line.name] - line.value), math.isfinite(line.se) and line.se > 0
        allowed = _APART * line.se if known else _WITHOUT * max(abs(line.value), 1e-3)
        if gap / allowed > worst:
            worst = gap / allowed
            found = line.name, line.value, theirs[line.name], gap / line.se if known else math.nan
    return found


class SecondOpinion:
    """Seeks an opinion on each run that is shown, while nothing else goes on and somebody is there to see it.

    Parameters
    ----------
    state : State
    is_seen : callable
        Whether there is a browser.
    """

    def __init__(self, state: State, is_seen: Callable[[], bool]):
        self._state, self._is_seen = state, is_seen
        self._job: Job | None = None
        self._of: Run | None = None
        self._timer: threading.Timer | None = None
        state.watch(self._follow)

    def _follow(self, changed: frozenset[str]) -> None:
        if not changed & {"run", "activity", "model", "data", "method", "settings", "seeking"}:
            return
        state = self._state
        wanted = state.activity == "" and not state.seeking and state.is_as_stated
        if self._job is not None and (not wanted or state.run is not self._of):
            self.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wanted and self._job is None and state.study(STUDY) is None:
            self._timer = threading.Timer(_STILL, self._seek_if_seen)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Give it up."""
        if self._job is not None:
            self._job.stop()
            self._job = None
            self._state.update(opining=False)

    def _seek_if_seen(self) -> None:
        if self._is_seen():
            self.seek()

    def seek(self) -> None:
        """Seek one of the shown run, now."""
        with self._state.lock:
            run = self._state.run
            if run is None or self._job is not None or self._state.activity != "" or not self._state.is_as_stated:
                return
            self._of = run
            self._job = job = Job(lambda report: _looked_into(run, report))
            self._state.update(opining=True)
        job.start()
        threading.Thread(target=self._wait, args=(job, run), name="workbench-opinion", daemon=True).start()

    def _wait(self, job: Job, run: Run) -> None:
        job.done.wait()
        if job.error is not None:
            log.error("second opinion", exc_info=job.error)
        with self._state.lock:
            if self._job is not job:
                return
            self._job = None
            found, outcomes = job.result if job.error is None else (Opinion("none", "no answer"), {})
            if outcomes:
                before = self._state.studies.get((run.number, why.STUDY)) or {}
                self._state.keep(run, why.STUDY, {**before, **outcomes})
            if found is None:
                self._state.update(opining=False)
            else:
                self._state.keep(run, STUDY, found, opining=False)
