"""Figures of responses over time and of the objective: marks are made once and updated in place.

A logarithmic axis is drawn as log10 on a linear scale with labelled ticks, so that changing to it and back is an
update too. Colours are CSS variables (`style.css`), so that figures follow the theme of JupyterLab.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from bqplot import Axis, Figure, Label, LinearScale, Lines, Mark, Scatter
from numpy.typing import NDArray

from workbench.data import GroupedData

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

OBSERVED, POPULATION, INDIVIDUAL = "var(--wb-observed)", "var(--wb-population)", "var(--wb-individual)"
POOLED, ALONE, SELECTED, DOSE = "var(--wb-pooled)", "var(--wb-alone)", "var(--wb-selected)", "var(--wb-dose)"
_GAP: Array = np.array([np.nan])
_ORIGIN: Array = np.zeros(2)  # bqplot wants a mark to stand somewhere, even while it is not seen


def ticks(low: float, high: float, count: int = 5, *, hours: bool = False) -> Array:
    """Round values between two numbers, about `count` of them; in hours, parts and multiples of a day."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return np.array([low])
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [power * m for m in (1, 2, 5, 10)]
    if hours and 1.5 < rough < 100:
        steps = [2, 4, 6, 12, 24, 48, 96, 168]
    step = next((s for s in steps if s >= rough * 0.999), steps[-1])
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return np.array([k * step for k in range(first, last + 1)])


def log_ticks(low: float, high: float) -> Array:
    """log10 of round values between two powers of ten: decades, and 2 and 5 between them where there are few."""
    within = range(math.floor(low), math.ceil(high) + 1)
    if high - low > 6:
        every = math.ceil((high - low) / 6)
        return np.array([p for p in within if p % every == 0 and low <= p <= high], dtype=float)
    digits = (1,) if high - low > 3 else (1, 2, 5) if high - low < 1.5 else (1, 3)
    exact = np.array([p + math.log10(d) for p in within for d in digits])
    return exact[(exact >= low) & (exact <= high)]


def joined(curves: Iterable[Array]) -> Array:
    """Several curves as one, with gaps between them."""
    parts = [part for curve in curves for part in (curve, _GAP)]
    return np.concatenate(parts) if parts else _GAP


def observations(data: GroupedData, chosen: Mask | None = None) -> tuple[list[Array], list[Array]]:
    """Times and values of the observations of each subject, all of them or those chosen, bool[records]."""
    events = data.events
    spans = [slice(*pair) for pair in zip(events.start[:-1], events.start[1:], strict=True)]
    kept = [(events.observed if chosen is None else chosen)[span] for span in spans]
    times = [events.time[span][seen] for span, seen in zip(spans, kept, strict=True)]
    values = [events.dv[span][seen] for span, seen in zip(spans, kept, strict=True)]
    return times, values


def axis_title(data: GroupedData, role: str, fallback: str, name: str = "") -> str:
    """Name (that of the role's column unless said) and unit of a role."""
    name = name or str(data.roles.get(role, fallback))
    unit = data.units.get(role, "")
    return f"{name} ({unit})" if unit else name


def in_hours(data: GroupedData) -> bool:
    """Whether time is in hours, so that ticks stand at parts of a day."""
    return data.units.get("time", "").lower() in ("h", "hour", "hours")


class Plane:
    """Scales and axes of time and response, shared by any number of figures.

    The labels of the ticks are marks: bqplot forgets those of an axis when a figure is first drawn (its issue 1536).
    """

    def __init__(self, x_title: str = "", y_title: str = "", *, titled: bool = True) -> None:
        self._titled = titled
        self._figures: list[Figure] = []
        self._logarithmic = False
        self._spanned: object = None
        self.x, self.y = LinearScale(allow_padding=False), LinearScale(allow_padding=False)
        self.scales = {"x": self.x, "y": self.y}
        common = {"grid_lines": "solid", "grid_color": "var(--wb-grid)", "color": "var(--wb-axis)"}
        self.x_axis = Axis(scale=self.x, side="bottom", label=x_title, label_offset="2.6em", **common)
        self.y_axis = Axis(scale=self.y, side="left", label=y_title, label_offset="3.4em", **common)
        label: dict[str, Any] = {"x": [], "y": [], "text": [], "scales": self.scales, "colors": ["var(--wb-soft)"]}
        label |= {"default_size": 11, "font_weight": "normal", "apply_clip": False}
        self.x_labels = Label(align="middle", y_offset=13, **label)
        self.y_labels = Label(align="end", x_offset=-5, y_offset=4, **label)

    def set_range(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        x_ticks: Array,
        y_ticks: Array,
        x_texts: Sequence[str] | None = None,
        y_texts: Sequence[str] | None = None,
    ) -> None:
        """Set what the axes span, where their ticks are, and what they say: their numbers unless said."""
        wanted = x, y, x_ticks.tolist(), y_ticks.tolist(), x_texts, y_texts, self._logarithmic
        if wanted == self._spanned:  # a message to the browser costs more than looking
            return
        self._spanned = wanted
        with self.x.hold_sync(), self.y.hold_sync():
            (self.x.min, self.x.max), (self.y.min, self.y.max) = x, y
        self.x_axis.tick_values, self.y_axis.tick_values = x_ticks, y_ticks
        y_values = 10.0**y_ticks if self._logarithmic else y_ticks
        with self.x_labels.hold_sync():
            self.x_labels.x, self.x_labels.y = x_ticks, np.full(len(x_ticks), y[0])
            self.x_labels.text = x_texts or [f"{value:.6g}" for value in x_ticks]
        with self.y_labels.hold_sync():
            self.y_labels.x, self.y_labels.y = np.full(len(y_ticks), x[0]), y_ticks
            self.y_labels.text = y_texts or [f"{value:.6g}" for value in y_values]

    def cover(self, data: GroupedData, logarithmic: bool, chosen: Mask | None = None, title: str = "") -> None:
        """Set the ranges to what was observed, or to what is chosen of it; they stay while curves move."""
        self.span(data.events.time, np.concatenate(observations(data, chosen)[1]), logarithmic, hours=in_hours(data))
        if self._titled:
            self.x_axis.label = axis_title(data, "time", "time")
            self.y_axis.label = title or axis_title(data, "response", "response")

    def span(self, time: Array, values: Array, logarithmic: bool, *, hours: bool = False) -> None:
        """Set the ranges to times and values, of which there may be none."""
        if not (len(time) and len(values)):
            time = values = _ORIGIN
        low, high = float(time.min()), float(time.max())
        if 0 < low < 0.3 * high:
            low = 0.0
        pad = 0.02 * (high - low or 1.0)
        self._logarithmic = logarithmic and bool((values > 0).any())
        self.say_logarithmic("y", self._logarithmic)
        if self._logarithmic:
            bottom, top = (float(np.log10(v)) for v in (values[values > 0].min(), values.max()))
            margin = 0.06 * (top - bottom or 1.0)
            bottom, top = bottom - margin, top + margin
            y_ticks = log_ticks(bottom, top)
        else:
            bottom, top = float(values.min()), float(values.max())
            bottom = min(bottom, 0.0) if bottom < 0.4 * top else bottom - 0.06 * (top - bottom)
            top += 0.06 * (top - bottom or 1.0)
            y_ticks = ticks(bottom, top, 5 if self._titled else 3)
        x_ticks = ticks(low, high, 7 if self._titled else 3, hours=hours)
        self.set_range((low - pad, high + pad), (bottom, top), x_ticks, y_ticks)

    def say_logarithmic(self, side: str, there: bool) -> None:
        """Say that an axis ("x", "y") stands for log10 of what it says, so that who saves the figure gets that."""
        for figure in self._figures:
            if there != (f"wb-log-{side}" in figure._dom_classes):
                (figure.add_class if there else figure.remove_class)(f"wb-log-{side}")

    def narrow(self, x: tuple[float, float], y: tuple[float, float], *, hours: bool = False) -> None:
        """Show a part of what is covered; ends as they stand on the axes, on a logarithmic one log10."""
        y_ticks = log_ticks(*y) if self._logarithmic else ticks(*y, 5 if self._titled else 3)
        if self._logarithmic and len(y_ticks) < 2:
            y_ticks = np.log10(ticks(10 ** y[0], 10 ** y[1], 3))
        self.set_range(x, y, ticks(*x, 7 if self._titled else 3, hours=hours), y_ticks)

    def heights(self, values: Array) -> Array:
        """Where values of the response stand on the y axis; a gap where they stand nowhere."""
        if not self._logarithmic:
            return values
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(values > 0, np.log10(values), np.nan)

    def points(self, color: str = OBSERVED, size: int = 20) -> Scatter:
        """A mark for observations."""
        return Scatter(
            x=_ORIGIN,
            y=_ORIGIN,
            visible=False,
            scales=self.scales,
            colors=[color],
            default_size=size,
            stroke="var(--wb-paper)",
            stroke_width=0.8,
        )

    def line(self, color: str, width: float, style: str = "solid", opacity: float = 1.0) -> Lines:
        """A mark for curves."""
        return Lines(
            x=_ORIGIN,
            y=_ORIGIN,
            visible=False,
            scales=self.scales,
            colors=[color],
            stroke_width=width,
            line_style=style,
            opacities=[opacity],
        )

    def figure(self, marks: Sequence[Mark], height: int, margin: tuple[int, int, int, int]) -> Figure:
        """A figure of marks on these axes; `margin` is top, right, bottom, left."""
        figure = Figure(
            marks=[*marks, self.x_labels, self.y_labels],
            axes=[self.x_axis, self.y_axis],
            fig_margin=dict(zip(("top", "right", "bottom", "left"), margin, strict=True)),
            animation_duration=0,
            padding_y=0.0,
            display_toolbar=False,
        )
        self._figures.append(figure)
        figure.layout.width, figure.layout.height, figure.layout.min_width = "auto", f"{height}px", "0"
        return figure


def put(mark: Lines | Scatter, x: Array | None, y: Array | None) -> None:
    """Move a mark, in one message; hide it where there is nothing to draw (the browser fails on a line of gaps)."""
    drawn = x is not None and y is not None
    same = False
    if x is not None and y is not None:
        finite = np.flatnonzero(np.isfinite(y))
        if isinstance(mark, Scatter):
            x, y = x[finite], y[finite]
        elif len(finite):
            x, y = x[: finite[-1] + 1], y[: finite[-1] + 1]
        drawn = len(finite) > 0
        same = bool(mark.visible) and np.array_equal(mark.x, x) and np.array_equal(mark.y, y, equal_nan=True)
    if drawn and same:  # a message to the browser costs more than looking
        return
    with mark.hold_sync():
        if drawn:
            mark.x, mark.y = x, y
        mark.visible = drawn


class Overlay:
    """All subjects in one figure: observations, joined by lines or under typical curves.

    Of very many subjects `MOST` are drawn, chosen at random: the browser makes an element of every point.
    """

    MOST = 150

    def __init__(self, *, joined_observations: bool, height: int = 400):
        self.plane = Plane()
        self._joined = joined_observations
        color, width, opacity = (OBSERVED, 1.0, 0.45) if joined_observations else (POPULATION, 1.5, 0.8)
        self.lines = self.plane.line(color, width, opacity=opacity)
        self.points = self.plane.points()
        marks = [self.lines, self.points] if joined_observations else [self.points, self.lines]
        self.view = self.plane.figure(marks, height, (12, 14, 46, 58))

    def show_data(self, data: GroupedData, logarithmic: bool, chosen: Mask | None = None, title: str = "") -> None:
        """Draw the observations, or those chosen."""
        self.plane.cover(data, logarithmic, chosen, title)
        times, values = (self._drawn(parts) for parts in observations(data, chosen))
        put(self.points, np.concatenate(times), self.plane.heights(np.concatenate(values)))
        if self._joined:
            put(self.lines, joined(times), self.plane.heights(joined(values)))

    def show_curves(self, times: Sequence[Array], values: Sequence[Array] | None) -> None:
        """Draw a curve for each subject; None for no curves."""
        if values is None:
            put(self.lines, None, None)
        else:
            put(self.lines, joined(self._drawn(times)), self.plane.heights(joined(self._drawn(values))))

    def subjects(self, data: GroupedData) -> tuple[int, ...] | None:
        """The places of the subjects that are drawn; None where all are."""
        count = len(data.events.subjects)
        return None if count <= self.MOST else tuple(self._chosen(count).tolist())

    def _chosen(self, count: int) -> NDArray[np.int64]:
        return np.sort(np.random.default_rng(0).choice(count, self.MOST, replace=False))

    def _drawn(self, parts: Sequence[Array]) -> list[Array]:
        return list(parts) if len(parts) <= self.MOST else [parts[i] for i in self._chosen(len(parts)).tolist()]


def drawn_of(data: GroupedData) -> str:
    """How many subjects an `Overlay` shows, if not all."""
    count = len(data.events.subjects)
    return f"{Overlay.MOST} of {count} subjects drawn" if count > Overlay.MOST else ""


class Trace:
    """The objective by iteration."""

    def __init__(self, height: int = 180):
        self.plane = Plane("iteration", "OFV")
        self.plane.y_axis.label_offset = "4.2em"
        self.line = self.plane.line(INDIVIDUAL, 1.8)
        self.points = self.plane.points(INDIVIDUAL, 14)
        self.view = self.plane.figure([self.line, self.points], height, (10, 14, 44, 68))

    def show(self, trace: Sequence[tuple[int, float]]) -> None:
        """Draw iterations and their objective; a start far above the rest is cut off."""
        if not trace:
            put(self.line, None, None)
            put(self.points, None, None)
            return
        at, ofv = (np.array(column, dtype=float) for column in zip(*trace, strict=True))
        finite = ofv[np.isfinite(ofv)]
        low = float(finite.min()) if len(finite) else 0.0
        high = float(finite.max()) if len(finite) else 1.0
        if len(finite) > 4:
            high = min(high, low + 12 * (float(np.median(finite)) - low) + 1.0)
        pad = 0.08 * (high - low or 1.0)
        span, last = (low - pad, high + pad), max(at[-1], 5.0)
        x_ticks = np.unique(np.round(ticks(0, last, 6)))
        self.plane.set_range((-0.02 * last, 1.02 * last), span, x_ticks, ticks(*span, 4))
        put(self.line, at, ofv)
        put(self.points, at, ofv)
