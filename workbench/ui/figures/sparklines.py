"""Many small curves as one drawing: one message to the browser, however many there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from workbench import markup

_WIDTH, _HEIGHT = 120.0, 34.0
_MOST = 300  # points of a curve


def sparklines(at: Sequence[float], curves: Mapping[str, Sequence[float]]) -> str:
    """A curve for each name with its last value, as HTML.

    Parameters
    ----------
    at : sequence of float
        Where the values stand, in order.
    curves : mapping of str to sequence of float
        A value that is not finite leaves a gap.
    """
    cells = "".join(_cell(name, at, values) for name, values in curves.items())
    return f"<div class='wb-sparks'>{cells}</div>"


def _cell(name: str, at: Sequence[float], values: Sequence[float]) -> str:
    last = markup.number(values[-1]) if len(values) else "–"
    head = f"<span class='wb-cut'>{markup.escaped(name)}</span><b>{last}</b>"
    drawing = (
        f"<svg viewBox='0 0 {_WIDTH:g} {_HEIGHT:g}' preserveAspectRatio='none' role='img' "
        f"aria-label='{markup.escaped(name)} by iteration'>{_curve(at, values)}</svg>"
    )
    return f"<div><div>{head}</div>{drawing}</div>"


def _curve(at: Sequence[float], values: Sequence[float]) -> str:
    step = max(1, len(values) // _MOST)
    chosen = sorted({*range(0, len(values), step), len(values) - 1}) if len(values) else []
    points = [(float(at[k]), float(values[k])) for k in chosen]
    finite = [point for point in points if math.isfinite(point[1])]
    if len(finite) < 2:
        return ""
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    first, end = points[0][0], points[-1][0]
    wide, tall = (end - first) or 1.0, (high - low) or 1.0
    flat = high == low
    path, pen = [], "M"
    for x, y in points:
        if not math.isfinite(y):
            pen = "M"
            continue
        height = _HEIGHT / 2 if flat else _HEIGHT - 2 - (y - low) / tall * (_HEIGHT - 4)
        path.append(f"{pen}{(x - first) / wide * _WIDTH:.1f} {height:.1f}")
        pen = "L"
    return f"<path d='{''.join(path)}' vector-effect='non-scaling-stroke'/>"
