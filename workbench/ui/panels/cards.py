"""Covariates at a glance: a small chart of each, and two of them against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from ipywidgets import HTML, Dropdown, VBox

from workbench.data import GroupedData
from workbench.data.cells import plain_label
from workbench.data.tables import is_categorical
from workbench.markup import Html, cut, short, svg, tag
from workbench.ui.figures.time import OBSERVED, Array, Overlay, Plane, axis_title, in_hours, joined, put, ticks
from workbench.ui.panels.panel import note, row
from workbench.ui.session.state import State

_CARDS = 40
_LEVELS = 6
TIME = "\0time"  # no column has such a name


def subject_covariates(data: GroupedData) -> pd.DataFrame:
    """The first value of each covariate, per subject, under their own names."""
    names = data.covariate_names
    table = data.subjects
    return table.iloc[:, len(table.columns) - len(names) :].set_axis(list(names), axis=1)


class Cards:
    """Cards with a histogram or bars for each covariate; below, a scatter per subject, or a course over time."""

    def __init__(self, state: State):
        self._data: GroupedData | None = None
        self.cards = HTML()
        style = {"description_width": "initial"}
        self.x = Dropdown(description="x", style=style, layout={"width": "170px"})
        self.y = Dropdown(description="y", style=style, layout={"width": "170px"})
        for choice in (self.x, self.y):
            choice.observe(state.handler(lambda _: self._draw()), "value")
        self.about = note()
        self._choices = row(self.y, self.x, self.about)
        self.plane = Plane()
        self.lines = self.plane.line(OBSERVED, 1.0, opacity=0.5)
        self.points = self.plane.points(size=26)
        self.figure = self.plane.figure([self.lines, self.points], 250, (10, 14, 46, 74))
        self.view = VBox([self.cards, self._choices, self.figure])

    def render(self, data: GroupedData) -> None:
        """Show the covariates of data, which may have errors."""
        self._data = data
        names = data.covariate_names
        shown = None if names else "none"
        self._choices.layout.display = self.figure.layout.display = shown
        if not names:
            self.cards.value = "<p class='wb-note'>These data have no covariates.</p>"
            return
        values, kinds = subject_covariates(data), data.covariates
        cards = [card(values[name], data.units.get(name, ""), bool(kinds["varies"][name])) for name in names[:_CARDS]]
        more = f"<p class='wb-note'>{_CARDS} of {len(names)} covariates</p>" if len(names) > _CARDS else ""
        self.cards.value = f"<div class='wb-cards'>{''.join(cards)}</div>{more}"
        options = [(name[:40], name) for name in names]
        varies = bool(kinds["varies"].any())
        x, y = self.x.value, self.y.value
        self.y.options = options
        self.x.options = options + ([("time", TIME)] if varies else [])
        changing = [name for name in names if kinds["varies"][name]]
        known = (*names, TIME) if varies else names
        self.y.value = y if y in names else (changing or list(names))[0]
        others = [name for name in names if name != self.y.value]
        self.x.value = x if x in known else TIME if changing else (others or list(names))[0]
        self._draw()

    def _draw(self) -> None:
        data, x_name, y_name = self._data, self.x.value, self.y.value
        if data is None or not x_name or not y_name:
            return
        if x_name == TIME:
            events = data.content.events
            values = pd.Series(data.content.frame[y_name].to_numpy()[events.row])
            y, y_ticks, y_texts = _placed(values)
            low, high = (float(v) for v in (events.time.min(), events.time.max()))
            x, x_texts = events.time, None
            x_ticks = ticks(low, high, 7, hours=in_hours(data))
            spans = [slice(*pair) for pair in zip(events.start[:-1], events.start[1:], strict=True)]
            known = [np.arange(s.start, s.stop)[np.isfinite(y[s])] for s in spans[: Overlay.MOST]]
            put(self.lines, joined([x[at] for at in known]), joined([y[at] for at in known]))
            drawn = np.concatenate(known)
            put(self.points, x[drawn], y[drawn])
            self.plane.x_axis.label = axis_title(data, "time", "time")
        else:
            first = subject_covariates(data)
            x, x_ticks, x_texts = _placed(first[x_name])
            y, y_ticks, y_texts = _placed(first[y_name])
            known_both = np.isfinite(x) & np.isfinite(y)
            jitter = np.random.default_rng(0).uniform(-0.12, 0.12, (2, len(x)))  # points of a level beside each other
            put(self.lines, None, None)
            put(
                self.points,
                (x + jitter[0] * (x_texts is not None))[known_both],
                (y + jitter[1] * (y_texts is not None))[known_both],
            )
            self.plane.x_axis.label = _title(x_name, data)
        self.plane.set_range(_range(x, x_texts), _range(y, y_texts), x_ticks, y_ticks, x_texts, y_texts)
        self.plane.y_axis.label = _title(y_name, data)
        self.about.value = "as recorded, by subject" if x_name == TIME else "a point per subject (first values)"


def card(values: pd.Series[Any], unit: str, varies: bool) -> Html:
    """A covariate as a small chart in HTML; drawn as text, so that dozens of them cost nothing."""
    known = values.dropna()
    missing = f"{len(values) - len(known)} missing" if len(known) < len(values) else ""
    title = tag("b", values.name, class_="wb-cut", title=values.name)
    if is_categorical(values):
        counts = known.value_counts()
        top, cells = max([*counts, 1]), []
        for level, count in counts.head(_LEVELS).items():
            label = plain_label(level)
            bar = tag("i", tag("u", style=f"width:{100 * count / top:.0f}%"))
            cells += [tag("span", label, class_="wb-cut", title=label), bar, tag("span", count)]
        others = f"{len(counts) - _LEVELS} more levels" if len(counts) > _LEVELS else ""
        chart, text = tag("div", *cells, class_="wb-bars"), [others]
    else:
        numbers = known.to_numpy(dtype=float)
        numbers = numbers[np.isfinite(numbers)]
        chart = _histogram(numbers)
        text = [f"{short(np.median(numbers))} ({_span(numbers.min(), numbers.max())})"] if len(numbers) else []
    notes = " · ".join(filter(None, [*text, missing, "varies within subjects" if varies else ""]))
    head = Html(f"{title} {tag('span', unit, class_='wb-note')}") if unit else title
    return tag("div", tag("div", head), chart, tag("div", notes, class_="wb-note"), class_="wb-chart")


def _histogram(numbers: Array) -> Html:
    bars = []
    if len(numbers):
        counts, edges = np.histogram(numbers, bins=int(np.clip(np.sqrt(len(numbers)) * 1.6, 5, 20)))
        width = 100 / len(counts)
        for i, count in enumerate(counts.tolist()):
            height = 40 * count / counts.max()
            about = tag("title", f"{_span(edges[i], edges[i + 1])}: {count}")
            bars.append(svg.rectangle(i * width, float(40 - height), width * 0.92, float(height), about))
    return svg.drawing(*bars, box=(0, 0, 100, 40), preserveAspectRatio="none", role="img" if bars else None)


def _span(low: float, high: float) -> str:
    return f"{short(low)} – {short(high)}"


def _placed(values: pd.Series[Any]) -> tuple[Array, Array, Sequence[str] | None]:
    """Where values stand on an axis, its ticks, and their texts where the values are levels."""
    if not is_categorical(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        low, high = _range(numbers, None)
        return numbers, ticks(low, high, 5), None
    levels = sorted({plain_label(v) for v in values.dropna()}, key=lambda level: (isinstance(level, str), level))
    at = {level: float(i) for i, level in enumerate(levels)}
    places = np.array([at.get(plain_label(v), np.nan) if not pd.isna(v) else np.nan for v in values], dtype=float)
    every = -(-len(levels) // 12)
    shown = levels[::every]
    texts = [cut(level, 10) for level in shown]
    return places, np.array([at[level] for level in shown]), texts


def _range(values: Array, texts: Sequence[str] | None) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    pad = 0.5 if texts is not None else 0.05 * (high - low or abs(high) or 1.0)
    return low - pad, high + pad


def _title(name: str, data: GroupedData) -> str:
    unit = data.units.get(name, "")
    return f"{name[:40]} ({unit})" if unit else name[:40]
