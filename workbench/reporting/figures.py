"""Figures of matplotlib as SVG that stands within a page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np

from workbench.markup import Html, escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MANY = 4000  # points of one kind that are drawn one by one
_DOTS = 110  # per inch, of clouds that are pictures


def as_svg(figure: Figure, title: str, *, drawn_as_points: bool = False) -> Html:
    """The figure as an element: no head of its own, no address, words as text, names that no other figure has.

    Parameters
    ----------
    figure : Figure
    title : str
        What it shows, for those who cannot see it.
    drawn_as_points : bool
        All clouds of points are pictures, not only those of many thousands.
    """
    import matplotlib as mpl

    for axes in figure.axes:
        for line in axes.get_lines():
            marked = line.get_marker() not in ("None", "", " ", None)
            if marked and np.size(line.get_xdata()) > (200 if drawn_as_points else _MANY):
                line.set_rasterized(True)
    content = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None}, dpi=_DOTS)
    text = content.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", title.casefold())
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(href="#|url\(#)([^")]+)', rf"\1{prefix}-\2", text)
    text = re.sub(r'(<svg[^>]*?) width="([^"]*)"', r'\1 style="width:\2"', text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return Html(text.replace("<svg", f'<svg role="img" aria-label="{escaped(title)}"', 1))
