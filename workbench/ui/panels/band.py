"""Error, drawn: observations against their predictions, and the band in which the residual error expects them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bqplot import Lines
from ipywidgets import HTML, ToggleButtons, Widget

from workbench.markup import escaped, percent, svg
from workbench.ui.figures.time import (
    INDIVIDUAL,
    OBSERVED,
    POPULATION,
    Array,
    Plane,
    axis_title,
    log_ticks,
    put,
    ticks,
)
from workbench.ui.panels.panel import (
    Panel,
    ResponseSwitch,
    note,
    point_in_words,
    response_title,
    row,
    scale_switch,
)

_MOST = 2000  # points: the browser makes an element of each
_STEPS = 80
_LEGEND = (
    f"<span>{svg.dot(OBSERVED)}observed</span><span>{svg.stroke(POPULATION, '5 3', 1.4)}prediction</span>"
    f"<span>{svg.swatch(INDIVIDUAL, 0.22)}prediction ± 1.96 sd</span>"
)


class BandPanel(Panel):
    """One figure; the band follows the values of the residual error."""

    title = "Error"
    follows = frozenset(
        {"data", "start", "progress", "run", "logarithmic", "response", "model", "seeking", "predictions"}
    )

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.scale, self.response = scale_switch(self.state), ResponseSwitch(self.state)
        self.against = ToggleButtons(
            options=[("individual", True), ("typical", False)], style={"button_width": "auto"},
            tooltips=["prediction at the random effects of the subject", "prediction at η = 0"],
        )  # fmt: skip
        self.against.add_class("wb-switch")
        self.against.observe(self.state.handler(lambda _: self._turn()), "value")
        self.about = note()
        self.about.add_class("wb-two-lines")
        self.plane = Plane()
        self.band: Lines = self.plane.line(INDIVIDUAL, 1.2, opacity=0.9)
        self.band.fill, self.band.fill_colors, self.band.fill_opacities = "between", [INDIVIDUAL] * 2, [0.16] * 2
        self.band.colors = [INDIVIDUAL] * 2
        self.identity = self.plane.line(POPULATION, 1.4, "dashed")
        self.points = self.plane.points()
        self.figure = self.plane.figure([self.band, self.identity, self.points], 400, (12, 14, 46, 64))
        self.legend = HTML(f"<div class='wb-legend'>{_LEGEND}</div>")
        top = row(self.against, row(self.response.view, self.scale), spread=True)
        return [top, self.about, self.figure, self.legend]

    def _turn(self) -> None:
        with self.state.quietly():
            self.render(self.follows)

    def render(self, changed: frozenset[str]) -> None:
        """Draw the observations and the band at the present values."""
        state = self.state
        self.scale.value = state.logarithmic
        self.response.render()
        predicted = state.predicted()
        individual = self.against.value and predicted is not None and predicted.individual is not None
        shown = predicted is not None and len(predicted.y) > 0
        self.figure.layout.display = self.legend.layout.display = None if shown else "none"
        if predicted is None or state.data is None or not shown:
            waiting = state.seeking or (state.start is not None and predicted is None)
            self.about.value = "The initial values are being computed …" if waiting else "Nothing to show yet."
            return
        x = predicted.individual if individual and predicted.individual is not None else predicted.population
        kind = "Individual" if individual else "Typical"
        inside = self._draw(x, predicted.y, kind)
        part = "" if individual or not self.against.value else "; individual ones are known after a fit"
        at = escaped(point_in_words(state))
        self.about.value = (
            f"Observations over {kind.lower()} predictions at <b>{at}</b>: {percent(inside)} of them in the band, "
            f"95 % expected{part}"
        )

    def _draw(self, x: Array, y: Array, kind: str) -> float:
        """Draw observations y over predictions x; returns the share within the band."""
        state = self.state
        assert state.data is not None
        known = np.isfinite(x)
        x, y = x[known], y[known]
        both = np.concatenate([x, y])
        logarithmic = state.logarithmic and bool((both > 0).any())
        if logarithmic:
            low, high = float(both[both > 0].min()), float(both.max())
            low, high = max(low, 1e-6 * high) / 1.15, high * 1.15
            steps = np.geomspace(low, high, _STEPS)
        else:
            low, high = float(both.min()), float(both.max())
            low = min(low, 0.0) if low < 0.3 * high else low
            pad = 0.03 * (high - low or 1.0)
            low, high = low - pad, high + pad
            steps = np.linspace(low, high, _STEPS)

        def place(values: Array) -> Array:
            if not logarithmic:
                return values
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.where(values > 0, np.log10(values), np.log10(low) - 3)

        self._span(low, high, logarithmic, kind)
        for side in "xy":
            self.plane.say_logarithmic(side, logarithmic)
        limits, at_points = state.band(steps), state.band(x)
        share = np.nan
        if limits is not None and at_points is not None:
            ends = [np.nan_to_num(place(limit), nan=0.0) for limit in limits]
            with self.band.hold_sync():
                self.band.x, self.band.y = np.array([place(steps)] * 2), np.array(ends)
                self.band.visible = True
            share = float(np.mean((y >= at_points[0]) & (y <= at_points[1]))) if len(y) else np.nan
        edge = place(np.array([low, high]))
        put(self.identity, edge, edge)
        chosen = np.arange(len(x))
        if len(x) > _MOST:
            chosen = np.random.default_rng(0).choice(len(x), _MOST, replace=False)
        inside = chosen[(x[chosen] > 0) & (y[chosen] > 0)] if logarithmic else chosen
        put(self.points, place(x[inside]), place(y[inside]))
        return share

    def _span(self, low: float, high: float, logarithmic: bool, kind: str) -> None:
        if logarithmic:
            low, high = float(np.log10(low)), float(np.log10(high))
            at = log_ticks(low, high)
            texts = [f"{10**value:.6g}" for value in at]
        else:
            at = ticks(low, high, 6)
            texts = [f"{value:.6g}" for value in at]
        self.plane.set_range((low, high), (low, high), at, at, texts, texts)
        data = self.state.data
        assert data is not None
        self.plane.x_axis.label = f"{kind.lower()} prediction"
        self.plane.y_axis.label = response_title(self.state) or axis_title(data, "response", "response")
