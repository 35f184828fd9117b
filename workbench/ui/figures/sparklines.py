"""Many small curves as one drawing: one message to the browser, however many there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from workbench.markup import Html, number, svg, tag

_WIDTH, _HEIGHT = 120.0, 34.0
_MOST = 300  # points of a curve


def sparklines(at: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Html:
    """A curve for each name with its last value, as HTML.

    Parameters
    ----------
    at : sequence of float
        Where the values stand, in order.
    curves : mapping of str to sequence of float
        A value that is not finite leaves a gap.
    """
    return tag("div", *(_cell(name, at, values) for name, values in curves.items()), class_="wb-sparks")


def _cell(name: str, at: Sequence[float], values: Sequence[float]) -> Html:
    last = number(values[-1]) if len(values) else "–"
    curve = svg.drawing(
        *_curve(at, values),
        box=(0, 0, _WIDTH, _HEIGHT),
        preserveAspectRatio="none",
        label=f"{name} by iteration",
    )
    return tag("div", tag("div", tag("span", name, class_="wb-cut"), tag("b", last)), curve)


def _curve(at: Sequence[float], values: Sequence[float]) -> list[Html]:
    step = max(1, len(values) // _MOST)
    chosen = sorted({*range(0, len(values), step), len(values) - 1}) if len(values) else []
    points = [(float(at[k]), float(values[k])) for k in chosen]
    finite = [point for point in points if math.isfinite(point[1])]
    if len(finite) < 2:
        return []
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    first, end = points[0][0], points[-1][0]
    wide, tall = (end - first) or 1.0, (high - low) or 1.0
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if not math.isfinite(y):
            pieces.append([])
            continue
        height = _HEIGHT / 2 if high == low else _HEIGHT - 2 - (y - low) / tall * (_HEIGHT - 4)
        pieces[-1].append(((x - first) / wide * _WIDTH, height))
    return [svg.path(*pieces, vector_effect="non-scaling-stroke")]
