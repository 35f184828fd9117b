"""What a page shows while there is nothing to show: what is missing, and the button that leads there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ipywidgets import HTML, Button, VBox

from workbench import markup
from workbench.markup import Html, svg
from workbench.ui.session.state import State

_PEOPLE = 9
_SAID = {
    "data": (
        "The data come first",
        "A table with one row per dose or observation; what each column means is guessed, and shown to you.",
        "Choose data",
    ),
    "fit": (
        "Nothing has been fitted yet",
        "Press Fit: what the fit leaves unexplained is shown here, and can be clicked.",
        "Fit",
    ),
}  # fmt: skip


def picture() -> Html:
    """Curves of some people, and the typical one."""
    rng, t = np.random.default_rng(5), np.linspace(0, 24, 60)

    def curve(ka: float, k: float, size: float) -> np.ndarray:
        y = size * ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t))
        return np.asarray(120 - 11 * y)

    drawn = []
    for ka, k, size in np.exp(rng.normal([0.4, -2.5, 2.2], [0.4, 0.22, 0.12], (_PEOPLE, 3))).tolist():
        y = curve(ka, k, size)
        at = rng.choice(np.arange(2, 60), 7, replace=False)
        drawn.append(svg.path(zip((t * 22).tolist(), y.tolist(), strict=True), class_="wb-person"))
        drawn += [
            svg.circle(float(t[i] * 22), float(y[i] + rng.normal(0, 4)), 2.2) for i in at.tolist()
        ]  # fmt: skip
    typical = svg.path(zip((t * 22).tolist(), curve(1.5, 0.082, 9.0).tolist(), strict=True), class_="wb-typical")
    return svg.drawing(*drawn, typical, box=(-4, 0, 536, 126), class_="wb-hero", aria_hidden="true")


class Empty:
    """Stands in for the panels of a page that has nothing to show yet.

    Parameters
    ----------
    state : State
    lead : dict of str to callable
        What its button does, by what is missing: "data", "fit".
    """

    def __init__(self, state: State, lead: dict[str, Callable[[], None]]):
        self._lead, self._missing = lead, ""
        self.text, self.button = HTML(), Button(button_style="primary")
        self.button.on_click(state.handler(lambda _: self._lead[self._missing]()))
        self.view = VBox([self.text, self.button])
        self.view.add_class("wb-empty")

    def show(self, missing: str) -> None:
        """Say what is missing."""
        if missing != self._missing:
            self._missing = missing
            title, said, button = _SAID[missing]
            self.text.value = markup.joined(picture(), markup.tag("h2", title), markup.tag("p", said))
            self.button.description = button
