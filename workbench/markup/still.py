"""Small figures as SVG that stand by themselves: points and lines between two axes, for pages without a kernel."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workbench.markup import svg
from workbench.markup.html import Html, tag
from workbench.markup.numbers import short

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 10.0, 22.0, 38.0
_INK, _SOFT, _LINE = "#2e3a46", "#5c6670", "#c9d0d7"
_TICKS = 5
Point = tuple[float, float]


@dataclass(frozen=True)
class Layer:
    """Points, or lines through them.

    Attributes
    ----------
    pieces : sequence of sequence of (x, y)
        A line for each, or all points of all of them.
    colour : str
    lines : bool
    opacity : float
    """

    pieces: Sequence[Sequence[Point]]
    colour: str
    lines: bool = False
    opacity: float = 0.7


def ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Round numbers between two ends.

    Examples
    --------
    >>> ticks(0, 23)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    size = 10.0 ** math.floor(math.log10(span / count))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if span / (size * factor) <= count)
    first = math.ceil(low / step - 1e-9)
    return [step * k for k in range(first, math.floor(high / step + 1e-9) + 1)]


def still(layers: Iterable[Layer], x_name: str, y_name: str, title: str, size: Point = (380.0, 260.0)) -> Html:
    """A figure.

    Parameters
    ----------
    layers : iterable of Layer
        What is not finite is left out.
    x_name, y_name, title : str
    size : (float, float)
    """
    shown = [
        (layer, [[(x, y) for x, y in piece if math.isfinite(x) and math.isfinite(y)] for piece in layer.pieces])
        for layer in layers
    ]
    points = [point for _, pieces in shown for piece in pieces for point in piece]
    (x0, x1), (y0, y1) = _ends([x for x, _ in points]), _ends([y for _, y in points])
    width, height = size

    def at(x: float, y: float) -> Point:
        return (
            _LEFT + (x - x0) / (x1 - x0) * (width - _LEFT - _RIGHT),
            height - _BOTTOM - (y - y0) / (y1 - y0) * (height - _TOP - _BOTTOM),
        )

    shapes: list[Html] = [svg.rectangle(0, 0, width, height, fill="#ffffff")]
    for x in ticks(x0, x1):
        here = at(x, y0)
        shapes += [
            svg.line(here, (here[0], here[1] + 4), stroke=_LINE),
            svg.text(here[0], here[1] + 15, short(x, 4), "middle", font_size=10, fill=_SOFT),
        ]
    for y in ticks(y0, y1):
        here = at(x0, y)
        shapes += [
            svg.line((here[0] - 4, here[1]), here, stroke=_LINE),
            svg.text(here[0] - 6, here[1] + 3, short(y, 4), "end", font_size=10, fill=_SOFT),
        ]
    shapes += [
        svg.line(at(x0, y0), at(x1, y0), stroke=_LINE),
        svg.line(at(x0, y0), at(x0, y1), stroke=_LINE),
        svg.text((_LEFT + width - _RIGHT) / 2, height - 6, x_name, "middle", font_size=11, fill=_SOFT),
        svg.text(6, 13, y_name, font_size=11, fill=_SOFT),
    ]
    for layer, pieces in shown:
        if layer.lines:
            drawn = [[at(x, y) for x, y in piece] for piece in pieces if len(piece) > 1]
            shapes.append(
                svg.path(*drawn, fill="none", stroke=layer.colour, stroke_width=1, stroke_opacity=layer.opacity)
            )
        else:
            shapes += [
                svg.circle(*at(x, y), 2.2, fill=layer.colour, fill_opacity=layer.opacity)
                for piece in pieces
                for x, y in piece
            ]
    return svg.drawing(
        *shapes, size=size, box=(0.0, 0.0, width, height), label=title, xmlns="http://www.w3.org/2000/svg",
        font_family="system-ui, sans-serif",
    )  # fmt: skip


def picture(drawing: str, words: str) -> Html:
    """A drawing as an image that carries its own content; nothing in it can run, and sanitizers let it pass."""
    content = base64.b64encode(drawing.encode("utf-8")).decode("ascii")
    return tag("img", src=f"data:image/svg+xml;base64,{content}", alt=words, style="max-width:100%")


def _ends(values: Sequence[float]) -> Point:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or max(abs(high), 1.0) * 0.1
    return (low if 0 <= low < room else low - room), high + room
