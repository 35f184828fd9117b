"""The line on top: what is fitted, in mathematics; method, Fit, Cancel, live; and what is going on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from ipywidgets import HTML, Box, Button, Checkbox, Dropdown, HTMLMath, Widget

from workbench import markup
from workbench.methods import METHODS, method_of
from workbench.results.fit import Progress
from workbench.ui.panels.equations import in_one_line
from workbench.ui.panels.kept import hide, is_shown
from workbench.ui.panels.panel import Panel
from workbench.ui.session.opinion import STUDY, Opinion
from workbench.ui.session.state import State
from workbench.ui.session.ways import Way, ways_out
from workbench.ui.session.words import in_room_words
from workbench.ui.session.work import Portion

_CHIPS = 3  # that the strip has room for
_OF_LIVE = (
    ("Fit now", "fit what is stated, once"),
    ("Live all the same", "refit by itself from now on, however long that takes"),
)
_SIGNS = {"agrees": "check-circle", "differs": "exclamation-triangle", "none": "circle", "busy": "hourglass-half"}


class FitControls(Panel):
    """The bar at the top: what is at hand, Fit, Cancel, and one line that says what is going on."""

    follows = frozenset(
        ["data", "draft", "model", "start", "seeking", "method", "settings", "live", "run", "progress", "portion",
         "task", "activity", "compiling", "problem", "ready", "studies",
         "opining", "refused", "insisting"]
    )  # fmt: skip

    def __init__(
        self, state: State, fit: Callable[[], None], cancel: Callable[[], None], ask_another: Callable[[], None]
    ):
        super().__init__(state)
        self._fit, self._cancel, self._ask_another = fit, cancel, ask_another

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler = self.state.handler
        self.summary = HTML()
        self.summary.add_class("wb-summary")
        self.mathematics = HTMLMath()
        self.mathematics.add_class("wb-math")
        self.method = Dropdown(
            options=_offered(),
            description="Method", style={"description_width": "52px"},
        )  # fmt: skip
        self.fit = Button(description="Fit", icon="play", button_style="primary", tooltip="estimate the model")
        self.cancel = Button(description="Cancel", icon="stop", tooltip="stop at the best values found so far")
        self.live = Checkbox(
            description="Live", indent=False, layout={"width": "auto"},
            tooltip="fit again whenever model, values, error, method, data or selection change",
        )  # fmt: skip
        self.opinion = Button(description="Second opinion", icon="circle")
        self.opinion.add_class("wb-opinion")
        self.opinion.on_click(handler(lambda _: self._ask_another()))
        actions = Box([self.method, self.fit, self.cancel, self.live, self.opinion])
        actions.add_class("wb-actions")
        head = Box([self.summary, actions, self.mathematics])
        head.add_class("wb-head")
        self.status = HTML()
        self._ways: tuple[Way, ...] = ()
        self._about: object = None  # what they are ways out of
        self.chips = tuple(Button() for _ in range(_CHIPS))
        for number, chip in enumerate(self.chips):
            chip.add_class("wb-chip")
            chip.on_click(handler(lambda _, number=number: self._press(number)))
            hide(chip)
        self.strip = Box([self.status, *self.chips])
        self.strip.add_class("wb-strip")
        self.method.observe(handler(lambda change: self._choose(change["new"])), "value")
        self.live.observe(handler(lambda change: self.state.update(live=change["new"])), "value")
        self.fit.on_click(handler(lambda _: self._fit()))
        self.cancel.on_click(handler(lambda _: self._cancel()))
        return [head]

    def render(self, changed: frozenset[str]) -> None:
        """Show the bar."""
        state = self.state
        if "data" in changed:
            self.summary.value = _summary(state.data)
        if changed & {"model", "data"}:
            self.mathematics.value = _mathematics(state)
        method = method_of(state.method)
        if self.method.options != _offered():
            self.method.options = _offered()
        if method.name != self.method.value:
            self.method.value = method.name
        self.method.tooltip = method.title
        self.live.value = state.live
        self.fit.disabled = state.data is None or state.model is None or bool(state.locked)
        self.cancel.disabled = state.activity not in ("fitting", "working")
        self._render_opinion()
        kind, text = self._sentence()
        self.status.value = f"<div class='wb-status {kind}' role='status'><div class='wb-said'>{text}</div></div>"
        self._offer()
        own = kind in ("bad", "fair") or is_shown(self.chips[0])
        (self.strip.add_class if own else self.strip.remove_class)("wb-own-line")

    def _render_opinion(self) -> None:
        """The light: green where others agree, amber where they do not, grey while they are asked."""
        state = self.state
        found: Opinion | None = state.study(STUDY) if state.is_as_stated else None
        kind: str = found.kind if found is not None else "none"
        said = found.said if found is not None else ""
        tip = "\n".join(found.details) if found is not None else ""
        if state.opining:
            kind, said, tip = "busy", "asking …", "other ways of integration and further starts, in the background"
        elif found is None and state.is_as_stated:
            tip = "ask another method and four further starts"
        description = f"Second opinion: {said}" if said else "Second opinion"
        if self.opinion.description != description:
            self.opinion.description = description
        if self.opinion.icon != _SIGNS[kind]:
            self.opinion.icon = _SIGNS[kind]
        self.opinion.tooltip = tip or "a fit is needed first"
        self.opinion.disabled = not state.is_as_stated or state.activity != "" or state.opining
        for name in _SIGNS:
            change = self.opinion.add_class if name == kind else self.opinion.remove_class
            if (f"wb-says-{name}" in self.opinion._dom_classes) != (name == kind):
                change(f"wb-says-{name}")

    def _offer(self) -> None:
        """What can be done about what the strip says."""
        state = self.state
        about = state.problem, state.model, state.data
        if about != self._about:
            self._about, self._ways = about, ways_out(state)
        offers = [(way.title, way.code) for way in self._ways] if state.activity == "" else []
        if not offers and self._waits:
            offers = list(_OF_LIVE)
        for chip, offer in zip_longest(self.chips, offers[:_CHIPS]):
            hide(chip, offer is None)
            if offer is not None:
                chip.description, chip.tooltip = offer

    @property
    def _waits(self) -> bool:
        return self.state.live_waits and self.state.activity == "" and not self.state.problem

    def _press(self, number: int) -> None:
        if number < len(self._ways):
            way = self._ways[number]
            self.state.update(model=way.model, data=way.data, problem="")
        elif self._waits and number == 0:
            self._fit()
        elif self._waits:
            self.state.update(insisting=True)
            self._fit()

    def _choose(self, name: str) -> None:
        if name != method_of(self.state.method).name:  # else its options would be lost
            self.state.update(method=name)

    def _sentence(self) -> tuple[str, str]:
        """Kind and HTML of the status line."""
        state = self.state
        if state.activity == "compiling" or (state.compiling and state.activity in ("fitting", "working")):
            parts = f", {state.compiling} parts so far" if state.compiling else ""
            said = f"Compiling, the first time only: this takes some seconds{parts}. What you do meanwhile is not lost."
            return "busy", said
        if state.activity in ("fitting", "working", "stopping"):
            what = "Stopping" if state.activity == "stopping" else markup.escaped(state.task or "Fitting")
            return "busy", f"{what} … {_portion(state.portion) if state.task else progress_in_words(state.progress)}"
        if state.seeking:
            return "busy", "Computing start values … New equations are compiled first, which takes some seconds."
        if state.problem:
            return "bad", markup.said(state.problem)
        if state.locked:
            return "bad", f"<b>Locked.</b> {markup.escaped(state.locked)}"
        if state.refused is not None:
            stays = f" {state.data.name} stays." if state.data is not None else ""
            count = markup.counted(len(state.refused.faults), "fault")
            return "bad", markup.escaped(f"{state.refused.source} was not taken: {count}, listed under Data.{stays}")
        if state.data is None:
            return "", "Choose a file or an example, under Data."
        if state.live_waits:
            return (
                "busy",
                "Live waits: the last fit of these data took longer than a second. Press Fit when you are ready.",
            )
        if state.run is None:
            return "", "Check the initial values against the data, then press Fit."
        fit = state.run.fit
        kind = "good" if fit.status.ok and not fit.message else "fair"
        head = f"<b>Run {state.run.number}</b> · OFV <b>{markup.decimals(fit.ofv, 3)}</b>"
        tail = f"{len(fit.trace) - 1} iterations · {markup.duration(fit.seconds)}"
        changed = "" if state.is_as_stated else " Model, method or settings have changed since."
        words = markup.escaped(in_room_words(fit.said))
        return kind, f"{head} · {tail} — {words}{changed}"


def _offered() -> tuple[tuple[str, str], ...]:
    """The methods of the menu, each with its name."""
    return tuple((method.short, name) for name, method in METHODS.items())


def progress_in_words(progress: Progress | None) -> str:
    if progress is None:
        return ""
    parts = [f"iteration {progress.iteration}"]
    if progress.total and progress.done != progress.iteration:
        parts = [f"starting point {progress.done + 1} of {progress.total}", *parts]
    elif progress.total:
        parts = [f"iteration {progress.iteration} of {progress.total}"]
    parts += [f"OFV {markup.decimals(progress.ofv, 3)}", markup.duration(progress.seconds)]
    return " · ".join([*parts, *_left(Portion(progress.done, progress.total, progress.seconds))])


def _portion(portion: Portion | None) -> str:
    if portion is None:
        return ""
    parts = [f"{portion.done:,} of {portion.total:,}" if portion.total else f"{portion.done:,} fits"]
    parts.append(markup.duration(portion.seconds))
    return " · ".join([*parts, *_left(portion)])


def _left(portion: Portion) -> list[str]:
    """How long the rest will take, where that is known and worth saying."""
    known = portion.seconds > 1 and math.isfinite(portion.left) and portion.done < portion.total
    return [f"about {max(1, round(portion.left))} s left"] if known else []


def _mathematics(state: State) -> str:
    """The model in one line, which may be wider than what is there for it."""
    if state.model is None:
        return "" if state.data is None else "<span class='wb-note'>The model comes next.</span>"
    return (
        f"<span title='{markup.escaped(state.model.structure.title)}'>{markup.escaped(in_one_line(state.model))}</span>"
    )


def _summary(data: Any) -> str:
    if data is None:
        return "<b>No data yet</b>"
    events = data.events
    counts = f"{len(events.subjects)} subjects · {int(events.observed.sum())} observations"
    return f"<b>{markup.escaped(data.name)}</b><span>{counts}</span>"
