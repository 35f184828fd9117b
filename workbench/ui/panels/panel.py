"""What all panels have in common: they are built when first shown, and rendered while they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ipywidgets import HTML, HBox, ToggleButtons, VBox, Widget

from workbench.ui.state import State


class Panel:
    """A part of the Workbench.

    Attributes
    ----------
    title : str
    follows : frozenset of str
        Fields of the state that it shows.
    view : VBox
    """

    title: ClassVar[str] = ""
    follows: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, state: State):
        self.state = state
        self.view = VBox()
        self.view.add_class("wb-panel")
        self._built = False
        self._shown = False
        self._behind: frozenset[str] = frozenset()
        state.watch(self._follow)

    def show(self) -> None:
        """It is to be seen from now on: build it if need be (a figure must not be laid out while hidden)."""
        with self.state.lock, self.state.quietly():
            self._shown = True
            if not self._built:
                self._built = True
                self.view.children = self.build()
                self._behind = self.follows
            if self._behind:
                behind, self._behind = self._behind, frozenset()
                self.render(behind)

    def hide(self) -> None:
        """It is not seen: what changes meanwhile is rendered when it is shown again."""
        self._shown = False

    def _follow(self, changed: frozenset[str]) -> None:
        changed &= self.follows
        if changed and self._shown:
            self.render(changed)
        else:
            self._behind |= changed

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        raise NotImplementedError

    def render(self, changed: frozenset[str]) -> None:
        """Bring the widgets in line with the state, of which `changed` is new."""
        raise NotImplementedError


def row(*widgets: Widget, spread: bool = False) -> HBox:
    """Widgets side by side."""
    box = HBox(widgets)
    box.add_class("wb-row")
    if spread:
        box.add_class("wb-spread")
    return box


def heading(text: str) -> HTML:
    """A heading; `text` is our own."""
    return HTML(f"<h4>{text}</h4>")


def note(text: str = "") -> HTML:
    """A line in small print; `text` is HTML."""
    line = HTML(text)
    line.add_class("wb-note")
    return line


def scale_switch(state: State) -> ToggleButtons:
    """Linear or logarithmic response axes, for all figures alike."""
    switch = ToggleButtons(
        options=[("linear", False), ("log", True)],
        tooltips=["linear response axis", "logarithmic response axis"],
        style={"button_width": "auto", "description_width": "initial"},
        description="y axis",
    )
    switch.add_class("wb-switch")
    switch.observe(state.handler(lambda change: state.update(logarithmic=change["new"])), "value")
    return switch
