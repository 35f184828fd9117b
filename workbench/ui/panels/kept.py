"""Boxes whose widgets come and go without being taken out.

A browser makes the view of a widget some time after it was put into a box. One that is taken out meanwhile is an error
there and leaves a hole. So a widget that is in a box stays in it, in its place; what is not wanted is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ipywidgets import Box, DOMWidget

_GONE = "wb-gone"


def show_only(box: Box, wanted: Sequence[DOMWidget]) -> None:
    """Show just these widgets of a box; those that are not in it yet come last."""
    there = set(box.children)
    new = [widget for widget in wanted if widget not in there]
    if new:
        box.children = (*box.children, *new)
    shown = set(wanted)
    for child in box.children:
        hide(child, child not in shown)


def hide(widget: DOMWidget, gone: bool = True) -> None:
    """Hide a widget, or show it again."""
    if gone != (_GONE in widget._dom_classes):
        (widget.add_class if gone else widget.remove_class)(_GONE)


def is_shown(widget: DOMWidget) -> bool:
    """Whether a widget is not hidden in its box."""
    return _GONE not in widget._dom_classes


def shown_in(box: Box) -> list[DOMWidget]:
    """The widgets of a box that are not hidden."""
    return [child for child in box.children if is_shown(child)]


class Grid:
    """Widgets in rows and columns; a place keeps its widget, whatever that is made to show.

    Parameters
    ----------
    make : callable
        Makes the widget of a row and a column, both counted from 0.
    style : str
        Class of the grid.
    """

    def __init__(self, make: Callable[[int, int], DOMWidget], style: str):
        self._make = make
        self._cells: list[list[DOMWidget]] = []
        self._lines: list[Box] = []
        self.view = Box()
        self.view.add_class(style)

    def resize(self, rows: int, columns: int) -> None:
        """Show so many rows and columns."""
        lines = [self._line(r, columns) for r in range(rows)]
        show_only(self.view, lines)

    def _line(self, r: int, columns: int) -> Box:
        if r == len(self._cells):
            self._cells.append([self._make(r, c) for c in range(columns)])
            line = Box(self._cells[r])
            line.add_class("wb-line")
            self._lines.append(line)
            return line
        cells = self._cells[r]
        cells += [self._make(r, c) for c in range(len(cells), columns)]
        show_only(self._lines[r], cells[:columns])
        return self._lines[r]

    def at(self, r: int, c: int) -> DOMWidget:
        """The widget of a row and a column."""
        return self._cells[r][c]

    def shown(self) -> Iterable[DOMWidget]:
        """The widgets that are shown, row by row."""
        for line in shown_in(self.view):
            yield from shown_in(line)
