"""A session as one value, to be saved and opened again, and its shown fit as a page to hand over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import reporting
from workbench.errors import FileError, WorkbenchError
from workbench.language.calls import Reader
from workbench.results.runs import Run
from workbench.simulation import Regimen
from workbench.studies import Study
from workbench.ui.session.scenario import Scenario
from workbench.ui.session.state import State
from workbench.ui.session.terminal import Choices
from workbench.ui.session.work import Request

# Fields of the session that are saved as they print themselves: of what kind, and what they are called.
_PANELS: dict[str, tuple[type, str]] = {
    "scenario": (Scenario, "What Simulate tried"),
    "choices": (Choices, "How NCA was done"),
}


def study_of(state: State) -> Study:
    """Data, model and runs of a session, and what its panels are set to."""
    shown = state.run.number if state.run is not None else None
    set_to = tuple((name, repr(getattr(state, name))) for name in _PANELS if getattr(state, name) is not None)
    return Study(state.data, state.model, state.method, state.settings, state.runs, shown, panels=set_to)


def panels_of(study: Study) -> tuple[dict[str, Any], str]:
    """What the panels were set to in a study, by field of the session; and, in words, what of it cannot be."""
    found: dict[str, Any] = {}
    refused = []
    for name, text in study.panels:
        if name not in _PANELS:  # of a later version
            continue
        kind, what = _PANELS[name]
        try:
            value = Reader(text, {kind.__name__: kind, "Regimen": Regimen}).evaluate()
            if not isinstance(value, kind):
                raise FileError(f"{kind.__name__} is needed, got {type(value).__name__}.")
            found[name] = value
        except (WorkbenchError, ArithmeticError, ValueError, RecursionError) as error:
            refused.append(f"{what} cannot be read from the study, and begins anew: {error}")
    return found, " ".join(refused)


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
