"""Tables in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.markup.numbers import short

if TYPE_CHECKING:
    import pandas as pd


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equally many cells: the first column begins at the left, the others end at the right.

    Examples
    --------
    >>> print(text_table([("", "estimate"), ("CL", "2.8"), ("ka", "15")]))
        estimate
    CL       2.8
    ka        15
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(line.rstrip() for line in lines)


def frame_text(frame: pd.DataFrame, digits: int = 4, *, index: bool = True) -> str:
    """A DataFrame with so many significant digits; NaN is left empty."""

    def written(value: float) -> str:
        return short(value, digits)

    return frame.to_string(index=index, float_format=written, na_rep="")
