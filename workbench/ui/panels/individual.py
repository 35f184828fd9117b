"""Individual fits: a small figure per subject, following the fit as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ipywidgets import HTML, Box, Button, Widget

from workbench.ui.figures import INDIVIDUAL, OBSERVED, POPULATION, Cell, Plane, axis_title, observations
from workbench.ui.markup import escaped
from workbench.ui.panels.panel import Panel, ResponseSwitch, note, response_title, row, scale_switch

PER_PAGE = 12  # more figures on a page drown the browser

_DOT = "<svg width='10' height='10'><circle cx='5' cy='5' r='3.4' style='fill:{}'/></svg>"
_LINE = "<svg width='22' height='10'><path d='M0 5H22' style='stroke:{};stroke-width:2;stroke-dasharray:{}'/></svg>"
_LEGEND = (
    f"<span>{_DOT.format(OBSERVED)}observed</span>"
    f"<span>{_LINE.format(POPULATION, '5 3')}typical</span>"
    f"<span>{_LINE.format(INDIVIDUAL, 'none')}individual</span>"
)


class IndividualPanel(Panel):
    """Observations with the population and the individual curve of each subject."""

    title = "Individual fits"
    follows = frozenset({"data", "start", "progress", "run", "logarithmic", "response", "model", "curves"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.page = 0
        self.legend = HTML(f"<div class='wb-legend'>{_LEGEND}</div>")
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
        switches = row(self.response.view, self.pager, self.scale)
        return [row(self.legend, switches, spread=True), self.trellis, self.caption]

    def _turn(self, step: int) -> None:
        self.page += step
        self._render_data()
        self._render_curves()

    def render(self, changed: frozenset[str]) -> None:
        """Draw observations where they changed, and the curves."""
        self.scale.value = self.state.logarithmic
        self.response.render()
        if self.state.data is None:
            self.trellis.children, self.pager.layout.display = (), "none"
            return
        if "data" in changed:
            self.page = 0
        if changed & {"data", "logarithmic", "response", "model"}:
            data = self.state.data
            title = response_title(self.state) or axis_title(data, "response", "response")
            self.caption.value = escaped(f"{title} over {axis_title(data, 'time', 'time')}")
            self.plane.cover(data, self.state.logarithmic, self.state.seen())
            self._render_data()
        self._render_curves()

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
        if list(self.trellis.children) != views:
            self.trellis.children = views
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
