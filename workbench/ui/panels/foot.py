"""The foot of the room: the drawer with the code, and what is selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipywidgets import HTML, Button, ToggleButton, VBox, Widget

from workbench import markup
from workbench.ui.panels.kept import hide
from workbench.ui.panels.panel import Panel, row
from workbench.ui.session.selection import Selection
from workbench.ui.session.state import State

_LONG = 200


class FootPanel(Panel):
    """One line: the last statement of the cell that gives what is shown, and what can be done with the selection."""

    title = "Foot"
    needs_sound_data = False
    follows = frozenset({"data", "model", "method", "settings", "run", "draft", "start", "selection", "activity"})

    def __init__(self, state: State, drawer: Panel, fit: Callable[[], None]):
        super().__init__(state)
        self._fit = fit
        self._drawer = drawer
        self.drawer = VBox([drawer.view])
        self.drawer.add_class("wb-drawer")
        hide(self.drawer)

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.view.add_class("wb-foot")
        self.open = ToggleButton(description="Code", icon="caret-right", tooltip="the cell that gives what is shown")
        self.open.add_class("wb-toggle")
        self.open.observe(self.state.handler(lambda change: self.turn(change["new"])), "value")
        self.line = HTML()
        self.line.add_class("wb-line-of-code")
        self.selected = HTML()
        self.selected.add_class("wb-selected")
        self.out = Button(description="Leave out and refit", tooltip="data.exclude(…), recorded; Undo brings it back")
        self.undo = Button(description="Undo", tooltip="take the last step with the data back")
        self.clear = Button(description="Clear", tooltip="select nothing")
        for button, act in ((self.out, self._leave_out), (self.undo, self._undo), (self.clear, self._clear)):
            button.add_class("wb-link")
            button.on_click(self.state.handler(lambda _, act=act: act()))
        chosen = row(self.selected, self.out, self.undo, self.clear)
        return [row(self.open, self.line, chosen, spread=True)]

    def _leave_out(self) -> None:
        self.state.leave_out()
        if not self.state.locked and not self.state.live:
            self._fit()

    def _undo(self) -> None:
        data = self.state.data
        if data is not None:
            self.state.take(data.undo(), self.state.file, edited=True)
            if not self.state.locked and not self.state.live and self.state.run is not None:
                self._fit()

    def _clear(self) -> None:
        self.state.update(selection=Selection())

    def turn(self, there: bool) -> None:
        """Open the drawer, or close it."""
        self.open.value, self.open.icon = there, "caret-down" if there else "caret-right"
        hide(self.drawer, not there)
        (self._drawer.show if there else self._drawer.hide)()

    def render(self, changed: frozenset[str]) -> None:
        """Show the line."""
        data, selection = self.state.data, self.state.selection
        last = data.history[-1] if data is not None and len(data.history) > 1 else None
        left_out = last is not None and last.call == "exclude" and self.state.draft is None
        self.selected.value = f"<span>{markup.escaped(selection.in_words())} selected</span>" if selection else ""
        self.undo.tooltip = f"take back: {last}" if last is not None else ""
        for button, there in ((self.out, bool(selection)), (self.undo, left_out), (self.clear, bool(selection))):
            hide(button, not there)
            button.disabled = self.state.draft is not None
        lines = [line for line in self.state.code.splitlines() if line and line != "fit"]
        self.line.value = f"<code class='wb-cut'>{markup.escaped(lines[-1][:_LONG])}</code>"
