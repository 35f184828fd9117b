"""A session as one value, ready to be saved, and its shown fit as a page to hand over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import reporting
from workbench.results.runs import Run
from workbench.studies import Study
from workbench.ui.session.state import State
from workbench.ui.session.work import Request


def study_of(state: State) -> Study:
    """Data, model and runs of a session."""
    shown = state.run.number if state.run is not None else None
    return Study(state.data, state.model, state.method, state.settings, state.runs, shown)


def new_name(stem: str, ending: str) -> Path:
    """A name that no file beside the notebook has yet: stem, stem-2, stem-3, …"""
    path, number = Path(f"{stem}.{ending}"), 1
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}.{ending}")
    return path


def report_of(state: State, run: Run, beside: list[Run], done: Callable[[Path], None]) -> Request:
    """Write a run as a page, with the history of its data, and others that it is compared with."""
    runs = state.runs

    def work(report: Callable[[Any], bool]) -> Path:
        others = [other.fit for other in beside if other.number != run.number]
        return reporting.report(run.fit, new_name(f"report-run-{run.number}", "html"), runs=runs, compare=others)

    return Request("Writing the report", work, done)
