"""Ways out of a statement that was refused: edits that the check of the model has nothing against; no widgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench import markup
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.findings import Finding
from workbench.model import Model
from workbench.model.residual import Combined2
from workbench.ui.session.state import State

_MOST = 3


@dataclass(frozen=True, eq=False)
class Way:
    """An edit that mends what was refused.

    Attributes
    ----------
    title : str
        A few words.
    code : str
        What it does, as code.
    model : Model
    data : GroupedData
        Both as they are afterwards.
    """

    title: str
    code: str
    model: Model
    data: GroupedData


def ways_out(state: State) -> tuple[Way, ...]:
    """What can be done about the problem that is shown; nothing where that is for the user to know."""
    model, data = state.model, state.data
    if not state.problem or state.locked or model is None or data is None:
        return ()
    ways: dict[str, Way] = {}
    for finding in _against(model, data):
        for way in _ways(finding, model, data):
            if way.title not in ways and not _against(way.model, way.data):
                ways[way.title] = way
    return tuple(ways.values())[:_MOST]


def _against(model: Model, data: GroupedData) -> list[Finding]:
    """What stands against a fit, or makes nonsense of its residual error."""
    return [f for f in model.check(data) if f.severity == "error" or f.where == "error"]


def _ways(finding: Finding, model: Model, data: GroupedData) -> Iterator[Way]:
    try:
        if finding.where == "error":
            if len(model.errors) == 1:
                yield Way("Combined error", "model.with_error(wb.Combined2())", model.with_error(Combined2()), data)
            if finding.rows:
                count = markup.counted(len(finding.rows), "row")
                rows = list(finding.rows)
                yield Way(f"Leave {count} out", f"data.exclude(rows={rows!r})", model, data.exclude(rows=rows))
        elif finding.where == "blq":
            m3, m1 = model.with_blq("M3"), model.with_blq("M1")
            yield Way("Count as beyond the limit", 'model.with_blq("M3")', m3, data)
            yield Way("Leave them out", 'model.with_blq("M1")', m1, data)
    except WorkbenchError:
        return  # what cannot be stated is no way out
