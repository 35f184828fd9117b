"""Numbers and tables as HTML. Whatever comes from data or from the user is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from itertools import groupby


def escaped(text: object) -> str:
    """Text that a browser shows as it is."""
    return html.escape(str(text), quote=True)


def said(text: object) -> str:
    """A message as HTML: lines that are set in by four blanks, code with a caret below it, keep their columns."""
    parts = []
    for code, group in groupby(str(text).splitlines(), lambda line: line.startswith("    ")):
        lines = [escaped(line) for line in group]
        if code:
            inside = "\n".join(line.removeprefix("    ") for line in lines)
            parts.append(f"<pre class='wb-fault'>{inside}</pre>")
        else:
            parts.append(f"<div>{'<br>'.join(lines)}</div>")
    return "".join(parts)


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    text = f"{value:#.{digits}g}"
    return text.removesuffix(".").replace("-", "−")


def decimals(value: float, places: int) -> str:
    """A number with so many decimals; a dash where there is none."""
    return f"{value:.{places}f}".replace("-", "−") if math.isfinite(value) else "–"


def rounded(value: float, digits: int) -> float:
    """A number rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")


def duration(seconds: float) -> str:
    """Seconds, or milliseconds where they are few."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table of cells that are text; every cell is escaped."""
    top = "".join(f"<th>{escaped(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    rows_html = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wb-scroll"><table class="wb-table">{rows_html}</table></div>'


def code(text: str) -> str:
    """Lines of Python in small print."""
    return f"<p class='wb-note'><code>{escaped(text)}</code></p>"
