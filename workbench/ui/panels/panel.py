"""What all panels have in common: they are built when first shown, and rendered while they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from ipywidgets import HTML, HBox, ToggleButtons, VBox, Widget

from workbench.markup import said
from workbench.ui.session.state import State
from workbench.ui.session.work import Request

Ask = Callable[[Request], None]


def _at_once(request: Request) -> None:
    request.done(request.work(lambda _: False))


class Panel:
    """A part of the Workbench.

    Attributes
    ----------
    title : str
    follows : frozenset of str
        Fields of the state that it shows.
    needs_sound_data : bool
        It is covered while there are data that must be mended first.
    state : State
    ask : callable
        Has a `Request` done in the background.
    view : VBox
    """

    needs_sound_data: ClassVar[bool] = True
    title: ClassVar[str] = ""
    follows: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, state: State, ask: Ask | None = None):
        self.state = state
        self.ask = ask or _at_once
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
        self._behind |= changed & self.follows
        if self._behind and self._shown and not self.state.awaited:
            behind, self._behind = self._behind, frozenset()
            self.render(behind)

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


class ResponseSwitch:
    """Which response of the structure is shown, in all figures alike; there only where it has several."""

    def __init__(self, state: State):
        self._state = state
        self.view = ToggleButtons(
            options=[("", 0)], description="response", style={"button_width": "auto", "description_width": "initial"}
        )
        self.view.add_class("wb-switch")
        self.view.observe(state.handler(lambda change: state.update(response=change["new"])), "value")

    def render(self) -> None:
        """Show the responses of the model."""
        names = self._state.responses
        options = [(name, number) for number, name in enumerate(names)] or [("", 0)]
        if list(self.view.options) != options:
            self.view.options = options
        self.view.value = self._state.response
        self.view.layout.display = None if len(names) > 1 else "none"


class Refusal:
    """What was not accepted at a place of a panel, in words; there only while there is something to say."""

    def __init__(self, state: State, place: str):
        self._state, self._place = state, place
        self.view = HTML(layout={"display": "none"})

    def guard(self, callback: Callable[..., None]) -> Callable[..., None]:
        """A callback of a widget whose errors are shown here."""
        return self._state.handler(callback, self._place)

    def render(self) -> None:
        """Show the problem, if it is one of this place."""
        problem = self._state.problem if self._state.place == self._place else ""
        self.view.value = f"<div class='wb-refusal' role='alert'>{said(problem)}</div>" if problem else ""
        self.view.layout.display = None if problem else "none"


def response_title(state: State) -> str:
    """What the response axis says where the structure has several responses; "" for what the data call theirs."""
    return state.responses[state.response] if len(state.responses) > 1 else ""


def point_in_words(state: State) -> str:
    """Which values the curves are those of."""
    if state.seeking:
        return "the initial values, which are being computed …"
    if state.progress is not None and state.running in (None, state.model):
        return f"iteration {state.progress.iteration}"
    if state.run is not None and state.is_current:
        return f"the estimates of run {state.run.number}"
    return "the initial values"
