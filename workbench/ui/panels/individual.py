"""Individual fits: a small figure per subject, following the fit as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ipywidgets import HTML, Box, Button, Checkbox, Widget

from workbench import markup
from workbench.markup import escaped, svg
from workbench.methods import method_of
from workbench.results.fit import FitResult
from workbench.ui.figures.time import (
    ALONE,
    INDIVIDUAL,
    OBSERVED,
    POOLED,
    POPULATION,
    Cell,
    Plane,
    axis_title,
    observations,
)
from workbench.ui.panels.kept import show_only
from workbench.ui.panels.panel import Panel, ResponseSwitch, note, response_title, row, scale_switch
from workbench.ui.session import studies

PER_PAGE = 12  # more figures on a page drown the browser

_LEGEND = (
    f"<span>{svg.dot(OBSERVED)}observed</span>"
    f"<span>{svg.stroke(POPULATION, '5 3')}typical</span>"
    f"<span>{svg.stroke(INDIVIDUAL)}individual</span>"
)
_BESIDE = f"<span>{svg.stroke(POOLED)}pooled</span><span>{svg.stroke(ALONE)}alone</span>"


class IndividualPanel(Panel):
    """Observations with the population and the individual curve of each subject."""

    title = "Individual fits"
    follows = frozenset(
        {"data", "start", "progress", "run", "logarithmic", "response", "model", "curves", "studies", "activity"}
    )

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.page = 0
        self.legend = HTML()
        self.beside = Checkbox(
            description="pooled and alone", indent=False, layout={"width": "auto"},
            tooltip="beside the shown fit: all subjects as one, and every subject alone",
        )  # fmt: skip
        self.beside.observe(self.state.handler(lambda change: self._lay_beside()), "value")
        self.table = HTML()
        self.caption = note()
        self.scale, self.response = scale_switch(self.state), ResponseSwitch(self.state)
        self.back = Button(description="◀", tooltip="previous subjects")
        self.on = Button(description="▶", tooltip="next subjects")
        self.where = HTML()
        for button, step in ((self.back, -1), (self.on, 1)):
            button.add_class("wb-toggle")
            button.on_click(self.state.handler(lambda _, step=step: self._turn(step)))
        self.pager = row(self.back, self.where, self.on)
        self.plane = Plane(titled=False)
        self.cells: list[Cell] = []
        self.trellis = Box()
        self.trellis.add_class("wb-trellis")
        switches = row(self.beside, self.response.view, self.pager, self.scale)
        return [row(self.legend, switches, spread=True), self.trellis, self.caption, self.table]

    def _lay_beside(self) -> None:
        run = self.state.run
        if self.beside.value and run is not None and self.state.study("beside") is None:
            self.ask(studies.beside(self.state, run))
        self._render_beside()

    def _render_beside(self) -> None:
        """The curves and estimates of the other fits, where they are wanted and known."""
        run = self.state.run
        usual = run is not None and method_of(run.fit.method).is_mixed and bool(run.fit.random_effects)
        self.beside.disabled = not usual or self.state.activity != ""
        found = self.state.study("beside") if self.beside.value and usual and self.state.is_current else None
        self.legend.value = f"<div class='wb-legend'>{_LEGEND}{_BESIDE if found else ''}</div>"
        self.table.value = "" if found is None or run is None else _estimates_beside(run.fit, found)
        drawn = self.state.drawn() if found is not None else None
        for cell, i in zip(self.cells, self._subjects(), strict=False):
            if found is None or drawn is None:
                cell.show_beside(None, None, None)
                continue
            pooled, alone = found.curves[self.state.response]
            own = None if alone is None or np.isnan(alone[i]).all() else alone[i]
            cell.show_beside(drawn.time[i], None if pooled is None else pooled[i], own)

    def _turn(self, step: int) -> None:
        self.page += step
        self._render_data()
        self._render_curves()
        self._render_beside()

    def render(self, changed: frozenset[str]) -> None:
        """Draw observations where they changed, and the curves."""
        self.scale.value = self.state.logarithmic
        self.response.render()
        if self.state.data is None:
            show_only(self.trellis, [])
            self.pager.layout.display = "none"
            return
        if "data" in changed:
            self.page = 0
        if changed & {"data", "logarithmic", "response", "model"}:
            data = self.state.data
            title = response_title(self.state) or axis_title(data, "response", "response")
            self.caption.value = escaped(f"{title} over {axis_title(data, 'time', 'time')}")
            self.plane.cover(data, self.state.logarithmic, self.state.seen())
            self._render_data()
        if changed != {"activity"}:
            self._render_curves()
        self._render_beside()

    def _subjects(self) -> range:
        data = self.state.data
        count = len(data.events.subjects) if data is not None else 0
        last = max(0, (count - 1) // PER_PAGE)
        self.page = min(max(self.page, 0), last)
        return range(self.page * PER_PAGE, min((self.page + 1) * PER_PAGE, count))

    def _render_data(self) -> None:
        data = self.state.data
        assert data is not None
        subjects, count = self._subjects(), len(data.events.subjects)
        while len(self.cells) < len(subjects):
            self.cells.append(Cell(self.plane))
        times, values = observations(data, self.state.seen())
        name = data.roles.get("subject", "ID")
        for cell, i in zip(self.cells, subjects, strict=False):
            cell.show_data(f"{name} {data.events.subjects[i]}", times[i], values[i])
        views: list[Any] = [cell.view for cell in self.cells[: len(subjects)]]
        show_only(self.trellis, views)
        self.pager.layout.display = "flex" if count > PER_PAGE else "none"
        self.where.value = f"<span class='wb-note'>{subjects.start + 1}–{subjects.stop} of {count}</span>"
        self.back.disabled, self.on.disabled = subjects.start == 0, subjects.stop >= count

    def _render_curves(self) -> None:
        drawn = self.state.drawn()
        for cell, i in zip(self.cells, self._subjects(), strict=False):
            if drawn is None:
                cell.show_curves(None, None, None)
            else:
                individual = drawn.individual[i] if drawn.individual is not None else None
                if individual is not None and np.isnan(individual).all():  # a subject that could not be fitted alone
                    individual = None
                cell.show_curves(drawn.time[i], drawn.population[i], individual)


def _estimates_beside(fit: FitResult, found: studies.Beside) -> str:
    """Typical values and residual errors by the three fits, and who could not be fitted alone."""
    rows = []
    values = [{e.name: e.value for e in f.lines} if isinstance(f, FitResult) else {} for f in found.both]
    for e in fit.lines:
        if e.kind in ("iov", "correlation", "share"):
            continue
        rows.append([e.name, markup.number(e.value), *(markup.number(other.get(e.name, np.nan)) for other in values)])
    said = [f for f in found.both if isinstance(f, str)]
    if isinstance(found.alone, FitResult) and found.alone.failures:
        names = [f"{subject}: {reason}" for subject, reason in list(found.alone.failures.items())[:20]]
        more = f" … and {len(found.alone.failures) - 20} more" if len(found.alone.failures) > 20 else ""
        said.append(f"Not fitted alone — {'; '.join(names)}{more}")
    others = [method_of(name) for name in studies.beside_methods()]
    code = "\n".join(f'wb.fit(model, data, method="{method.name}")' for method in others)
    table = markup.table(("", fit.method, *(method.short for method in others)), rows)
    return markup.joined(table, *map(markup.note, said), markup.code(code))
