"""Covariate effects as a forest plot in HTML: it follows the width of the panel, and texts cannot overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from workbench import markup
from workbench.markup import svg, tag

BAND = (0.8, 1.25)
_TICKS = (1.0, *BAND, 0.5, 2.0, 0.1, 10.0, 0.2, 5.0, 0.01, 100.0, 0.001, 1000.0)  # the first ones matter most
_APART = 9.0  # per cent of the width between two labels
_LIMIT = 1000.0  # ratios beyond it leave the axis


def forest_plot(effects: pd.DataFrame) -> markup.Html:
    """Ratios with their intervals on a logarithmic axis, the band of 0.8 to 1.25, and a line at 1.

    Parameters
    ----------
    effects : DataFrame
        As `workbench.forest` gives it.
    """
    ratios = effects[["ratio", "lower", "upper"]].to_numpy(dtype=float)
    known = ratios[[[math.isfinite(v) and 1 / _LIMIT <= v <= _LIMIT for v in line] for line in ratios.tolist()]]
    ends = [math.log(v) for v in (*known.ravel().tolist(), 0.7, 1.4)]
    pad = 0.04 * (max(ends) - min(ends))
    low, high = min(ends) - pad, max(ends) + pad

    def place(ratio: float) -> float:
        return 100 * (min(max(math.log(ratio), low), high) - low) / (high - low)

    def at(ratio: float) -> str:
        return f"{place(ratio):.2f}%"

    band = svg.rectangle(at(BAND[0]), 0, f"{place(BAND[1]) - place(BAND[0]):.2f}%", "100%")
    one = svg.line((at(1), 0), (at(1), "100%"), class_="wb-one")
    rows: list[markup.Html] = []
    before = None
    for line in map(_Effect._make, effects[list(_Effect._fields)].itertuples(index=False)):
        effect = f"{line.parameter} ~ {line.covariate}"
        rows.append(tag("b", effect, class_="wb-cut", title=effect) if effect != before else tag("b"))
        before = effect
        value = markup.cell(line.value, 4)
        where = value if line.at == "level" else f"{value} ({line.at})"
        shapes, said = [band, one], markup.number(line.ratio, 3)
        if math.isfinite(line.lower) and math.isfinite(line.upper) and line.lower > 0:
            shapes.append(svg.line((at(line.lower), "50%"), (at(line.upper), "50%")))
            said += f" ({markup.ends(line.lower, line.upper)})"
        if math.isfinite(line.ratio) and line.ratio > 0:
            shapes.append(svg.circle(at(line.ratio), "50%", 4))
        verdict = f"wb-{line.verdict}" if line.verdict in ("inside", "outside", "open") else None
        rows.append(tag("span", where, class_="wb-cut", title=where))
        rows.append(svg.drawing(*shapes, label=f"{effect} at {where}: {said}", class_=verdict))
        rows.append(tag("span", said))
    shown = _spaced([(tick, place(tick)) for tick in _TICKS if low <= math.log(tick) <= high])
    marks = [svg.line((at(tick), 0), (at(tick), 3)) for tick in shown]
    texts = [svg.text(at(tick), 13, f"{tick:g}") for tick in shown]
    axis = svg.drawing(*marks, *texts, class_="wb-scale", aria_hidden="true")
    return tag("div", *rows, tag("b"), tag("span"), axis, tag("span"), class_="wb-forest")


class _Effect(NamedTuple):
    """A row of what `workbench.forest` gives."""

    parameter: str
    covariate: str
    at: str
    value: object
    ratio: float
    lower: float
    upper: float
    verdict: str


def _spaced(ticks: Sequence[tuple[float, float]]) -> list[float]:
    """Of ticks and their places, those that do not stand too near to earlier ones."""
    kept: list[tuple[float, float]] = []
    for tick, place in ticks:
        if all(abs(place - other) >= _APART for _, other in kept):
            kept.append((tick, place))
    return [tick for tick, _ in kept]
