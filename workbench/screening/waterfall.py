"""What each subject adds to the difference of two objectives, drawn as a waterfall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.markup import Html, decimals, signed, svg, tag
from workbench.markup.printed import COLOURS

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640.0, 190.0, 46.0, 12.0, 34.0
_NAMED = 24  # subjects whose label has room


def waterfall(subjects: Sequence[object], delta: NDArray[np.float64], title: str) -> Html:
    """Bars that go on where the one before ended, from the largest fall to the largest rise.

    Parameters
    ----------
    subjects : sequence of labels
    delta : float64[N]
        OFV of each subject in one fit less that in the other; NaN is left out.
    title : str
        What is drawn, for those who cannot see it.
    """
    known = np.flatnonzero(np.isfinite(delta))
    order = known[np.argsort(delta[known], kind="stable")]
    if not len(order):
        return tag("p", "No subject is in both fits.")
    steps = np.concatenate([[0.0], np.cumsum(delta[order])])
    low, high = min(steps.min(), 0.0), max(steps.max(), 0.0)
    span = (high - low) or 1.0
    inside = _HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return float(_TOP + (high - value) / span * inside)

    width = (_WIDTH - _LEFT - 8) / len(order)
    every = max(1, -(-len(order) // _NAMED))
    shapes: list[Html] = []
    for k, i in enumerate(order):
        begin, end = sorted((y(steps[k]), y(steps[k + 1])))
        said = tag("title", f"subject {subjects[i]}: {signed(float(delta[i]), 3)}")
        colour = COLOURS[0] if delta[i] < 0 else COLOURS[1]
        x, bar = _LEFT + k * width, max(width - 1.0, 0.5)
        shapes.append(svg.rectangle(x, begin, bar, max(end - begin, 0.6), said, fill=colour))
        if k % every == 0:
            label = str(subjects[i])[:8]
            shapes.append(
                svg.text(x + bar / 2, _HEIGHT - _BOTTOM + 13, label, "middle", font_size=9, fill="currentColor")
            )
    for value in dict.fromkeys((low, 0.0, high)):
        shapes.append(svg.text(_LEFT - 5, y(value) + 3, decimals(value, 1), "end", font_size=10, fill="currentColor"))
    shapes.append(svg.line((_LEFT, y(0.0)), (_WIDTH - 8, y(0.0)), stroke="currentColor", stroke_width=0.7))
    shapes.append(
        svg.text(_WIDTH / 2, _HEIGHT - 5, "subjects, from the largest fall of the OFV to the largest rise", "middle",
                 font_size=10, fill="currentColor")
    )  # fmt: skip
    return svg.drawing(
        *shapes, size=(_WIDTH, _HEIGHT), box=(0.0, 0.0, _WIDTH, _HEIGHT), label=title,
        font_family="system-ui, sans-serif", style="max-width:100%;height:auto",
    )  # fmt: skip
