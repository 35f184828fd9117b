"""HTML in pieces. Text is escaped wherever it is put in; what is `Html` already stays as it is."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from workbench.markup.numbers import short

if TYPE_CHECKING:
    import pandas as pd


class Html(str):
    """Markup that is escaped already."""

    __slots__ = ()


def escaped(text: object) -> Html:
    """Text that a browser shows as it is."""
    return text if isinstance(text, Html) else Html(html.escape(str(text), quote=True))


def joined(*parts: object, between: str = "") -> Html:
    """Parts one after the other, text among them escaped."""
    return Html(between.join(map(escaped, parts)))


def tag(name: str, *inside: object, **attributes: object) -> Html:
    """An element.

    Parameters
    ----------
    name : str
    *inside : object
        Html, or text, which is escaped.
    **attributes : object
        Their underscores are hyphens in HTML, one at the end (class_) falls away; None leaves an attribute out. Numbers
        have two decimals at most.

    Examples
    --------
    >>> tag("b", "a < b", class_="wb-note", aria_label='"')
    '<b class="wb-note" aria-label="&quot;">a &lt; b</b>'
    >>> tag("circle", cx=1 / 3, cy=2.0, r=None)
    '<circle cx="0.33" cy="2"/>'
    """
    stated = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not inside and name in _CLOSED:
        return Html(f"<{name}{stated}/>")
    return Html(f"<{name}{stated}>{joined(*inside)}</{name}>")


_CLOSED = ("circle", "line", "path", "polygon", "polyline", "rect", "br", "img")


def _attribute(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def paragraphs(lines: Iterable[object], **attributes: object) -> Html:
    """A paragraph for each line."""
    return joined(*(tag("p", line, **attributes) for line in lines))


def note(text: object) -> Html:
    """A paragraph in small print."""
    return tag("p", text, class_="wb-note")


def code(text: str) -> Html:
    """Lines of Python in small print."""
    return note(tag("code", text))


def folded(summary: object, *inside: object) -> Html:
    """What is shown when its summary is clicked."""
    return tag("details", tag("summary", summary), *inside, class_="wb-note")


def said(text: object) -> Html:
    """A message: lines that are set in by four blanks, code with a caret below it, keep their columns."""
    parts = []
    for is_code, group in groupby(str(text).splitlines(), lambda line: line.startswith("    ")):
        lines = list(group)
        if is_code:
            parts.append(tag("pre", "\n".join(line.removeprefix("    ") for line in lines), class_="wb-fault"))
        else:
            parts.append(tag("div", joined(*lines, between="<br>")))
    return joined(*parts)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table in the look of the panels."""
    return tag("div", tag("table", *_parts(head, rows), class_="wb-table"), class_="wb-scroll")


def plain_table(head: Sequence[object], rows: Iterable[Sequence[object]], *, left: Iterable[int] | None = None) -> Html:
    """A table that needs no style sheet: in a notebook without the panels.

    Parameters
    ----------
    head, rows : sequences of cells
    left : iterable of int, optional
        Columns of text, which begin at the left; the others are numbers, which end at the right. None: as the notebook
        has it.
    """
    at = None if left is None else set(left)
    return tag("table", *_parts(head, rows, at))


def _parts(head: Sequence[object], rows: Iterable[Sequence[object]], left: set[int] | None = None) -> tuple[Html, Html]:
    def line(kind: str, cells: Sequence[object]) -> Html:
        return tag("tr", *(tag(kind, cell, style=_side(k, left)) for k, cell in enumerate(cells)))

    top = tag("thead", line("th", head)) if len(head) else Html()
    return top, tag("tbody", *(line("td", row) for row in rows))


def _side(column: int, left: set[int] | None) -> str | None:
    return None if left is None else f"text-align:{'left' if column in left else 'right'}"


def frame_table(frame: pd.DataFrame, digits: int = 4, *, index: bool = True) -> Html:
    """A DataFrame as a table; NaN is left empty."""

    def written(value: float) -> str:
        return short(value, digits)

    return Html(frame.to_html(index=index, escape=True, float_format=written, border=0, na_rep=""))
