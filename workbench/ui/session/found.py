"""What the shown fit found, as the table of parameters shows it beside the initial values; knows of no widgets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.errors import WorkbenchError
from workbench.results.tables import Estimate
from workbench.ui.session.changes import parent_of
from workbench.ui.session.state import State

_ALIKE = 1e-3  # of a value: what moved less did not move


@dataclass(frozen=True)
class Found:
    """An estimate.

    Attributes
    ----------
    value : float
    rse : float
        In per cent; NaN where there is none.
    was : float
        By the run before; NaN where there was none, or where it was the same.
    shrinkage : float
        Of the η of this parameter, in per cent; NaN where it has none.
    fixed, new, running : bool
        It was not estimated; the run before had no such estimate; the fit is still at work.
    doubt : str
        Why it is hardly known.
    """

    value: float
    rse: float = math.nan
    was: float = math.nan
    shrinkage: float = math.nan
    fixed: bool = False
    new: bool = False
    running: bool = False
    doubt: str = ""


def found(state: State) -> dict[str, Found]:
    """Estimates by name, `iiv_…` and those of the residual error among them; while a fit runs, its latest values."""
    if state.progress is not None:
        return {name: Found(float(value), running=True) for name, value in state.progress.parameters.items()}
    run = state.run
    if run is None:
        return {}
    before = parent_of(run, state.runs)
    try:
        were = {line.name: line.value for line in before.fit.lines} if before is not None else {}
    except WorkbenchError:  # it cannot be restored from its file
        were = {}
    shrunk = state.shrunk
    return {line.name: _found(line, were, shrunk) for line in run.fit.lines}


def _found(line: Estimate, were: dict[str, float], shrunk: dict[str, float]) -> Found:
    name, was = line.name, were.get(line.name, math.nan)
    if math.isfinite(was) and abs(was - line.value) <= _ALIKE * abs(line.value):
        was = math.nan
    random = "ε" if line.kind == "error" else name.removeprefix("iiv_") if line.kind == "iiv" else ""
    shrinkage = float(shrunk.get(random, math.nan))
    return Found(
        line.value, line.rse, was, shrinkage, line.fixed, bool(were) and name not in were, doubt=line.doubt
    )  # fmt: skip
