"""Figures for print, by matplotlib where it is installed: the class of figures, which need no display, and colours."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI, _SHOWN = 160, 90  # dots and pixels of an inch: sharp on dense screens

COLOURS = ("#33658a", "#d1495b", "#8a6d1f", "#4f7f4f", "#6f4a8e", "#2b8a8a")


@cache
def figure_class() -> type[Figure]:
    """The class of matplotlib's figures, which draw themselves in a notebook without pyplot.

    Raises
    ------
    WorkbenchError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise WorkbenchError("Plots need matplotlib: pip install matplotlib.") from None

    class Printed(Figure):
        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            drawn = BytesIO()
            self.savefig(drawn, format="png", dpi=_DPI)
            width, height = (round(float(inches) * _SHOWN) for inches in self.get_size_inches())
            return drawn.getvalue(), {"width": width, "height": height}

    return Printed


def in_unit(text: str | None) -> str:
    """A unit as it stands on an axis; nothing where there is none."""
    return f" [{text}]" if text else ""
