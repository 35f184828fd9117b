"""Typical curves of all subjects over the data: are the initial values any good?"""

from __future__ import annotations

from collections.abc import Sequence

from ipywidgets import Widget

from workbench.markup import escaped
from workbench.ui.figures.time import Overlay, drawn_of
from workbench.ui.panels.panel import Panel, ResponseSwitch, note, point_in_words, response_title, row, scale_switch


class TypicalPanel(Panel):
    """The curves of all subjects at η = 0, in one figure."""

    title = "Typical curves"
    follows = frozenset({"data", "start", "progress", "run", "logarithmic", "response", "model", "seeking", "curves"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.scale, self.response = scale_switch(self.state), ResponseSwitch(self.state)
        self.about = note()
        self.figure = Overlay(joined_observations=False, height=420)
        return [row(self.about, row(self.response.view, self.scale), spread=True), self.figure.view]

    def render(self, changed: frozenset[str]) -> None:
        """Draw the curves at the present values."""
        state = self.state
        self.scale.value = state.logarithmic
        self.response.render()
        self.figure.view.layout.display = None if state.data is not None else "none"
        if state.data is None:
            return
        if changed & {"data", "logarithmic", "response", "model"}:
            self.figure.show_data(state.data, state.logarithmic, state.seen(), response_title(state))
        drawn = state.drawn(self.figure.subjects(state.data))
        if drawn is None:
            self.figure.show_curves([], None)
        else:
            self.figure.show_curves(drawn.time, drawn.population)
        part = drawn_of(state.data)
        self.about.value = f"Typical curves (η = 0) at <b>{escaped(point_in_words(state))}</b>" + (
            f"; {part}" if part else ""
        )
