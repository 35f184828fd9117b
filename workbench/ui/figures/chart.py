"""A figure that draws any `Drawing`; its marks are made once and moved. Heading, sentence, and its table on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from bqplot import Lines, Scatter, Tooltip
from bqplot.interacts import LassoSelector
from ipywidgets import HTML, Button, Dropdown, HBox, VBox
from numpy.typing import NDArray

from workbench import markup
from workbench.markup import svg
from workbench.ui.figures.export import Numbers
from workbench.ui.figures.time import (
    ALONE,
    INDIVIDUAL,
    OBSERVED,
    POOLED,
    POPULATION,
    SELECTED,
    Array,
    Plane,
    put,
    ticks,
)
from workbench.ui.session.drawing import Axis, Band, Dots, Drawing, Index, Kind, Stroke

MOST = 1500  # points: the browser makes an element of each
Mask = NDArray[np.bool_]
_MARGIN = (6, 10, 38, 50)
_BAND = "var(--wb-band)"
_DEPTHS = (0.2, 0.44, 0.3, 1.0)
_WINDOW = 3  # the depth that is no band of people, but a part of the plane
_STYLES: dict[Kind, tuple[str, float, str]] = {
    "reference": (POPULATION, 1.2, "solid"), "smooth": (INDIVIDUAL, 1.6, "solid"), "observed": (OBSERVED, 1.6, "solid"),
    "expected": (POPULATION, 1.4, "dashed"), "model": (INDIVIDUAL, 1.8, "solid"), "other": (POPULATION, 1.6, "dashed"),
    "third": (ALONE, 1.6, "dotted"), "target": (POOLED, 1.6, "dash_dotted"), "selected": (SELECTED, 1.8, "solid"),
}  # fmt: skip
_SHOWN_ROWS = 200
_CHARACTER, _WIDEST = 6, 140  # pixels of what stands beside the y axis
_BANDS = 5


class Points:
    """A mark of points, each of which is somebody's; a click tells which.

    Of very many `MOST` are drawn, those that are selected among them.
    """

    def __init__(self, plane: Plane, pressed: Callable[[int], None], *, hollow: bool = False, size: int = 22):
        self.mark: Scatter = plane.points(size=size)
        self.mark.selected_style = {"fill": SELECTED, "stroke": SELECTED, "opacity": 1}
        self.mark.unselected_style = {"opacity": 0.4}
        self.mark.tooltip = Tooltip(fields=["name"], show_labels=False)
        self.mark.enable_hover = False
        if hollow:
            self.mark.fill, self.mark.stroke, self.mark.stroke_width = False, OBSERVED, 1.1
        self._drawn: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._pressed = pressed
        self.mark.on_element_click(lambda _, event: self._clicked(event))

    def _clicked(self, event: dict[str, dict[str, int]]) -> None:
        number = int(event["data"]["index"])
        if number < len(self._drawn):
            self._pressed(int(self._drawn[number]))

    def show(self, x: Array, y: Array, names: Sequence[str], marked: Mask) -> None:
        """Draw points; `marked` are the selected ones."""
        drawn = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if len(drawn) > MOST:
            rest = np.random.default_rng(0).choice(drawn, MOST, replace=False)
            drawn = np.union1d(rest, drawn[marked[drawn]])
        self._drawn = drawn
        with self.mark.hold_sync():
            put(self.mark, x[drawn], y[drawn])
            self.mark.names = np.array([names[i] for i in drawn.tolist()])
            self.mark.display_names = False
            self.mark.selected = np.flatnonzero(marked[drawn]) if marked[drawn].any() else None

    def mark_only(self, marked: Mask) -> None:
        """Mark other points; where one of them is not drawn, those of its subject that are have to do."""
        self.mark.selected = np.flatnonzero(marked[self._drawn]) if marked[self._drawn].any() else None

    def lassoed(self) -> NDArray[np.int64]:
        """The points that are within a lasso."""
        chosen = self.mark.selected
        return self._drawn[np.asarray(chosen, dtype=int)] if chosen is not None else self._drawn[:0]


class Chart:
    """A figure.

    Parameters
    ----------
    kinds : sequence of (str, str)
        What can be chosen for it: title and name; none where it always shows the same.
    pressed : callable
        Takes subject and record of a point that was pressed; `NOBODY` for none.
    lassoed : callable
        Takes subjects and records of the points within a lasso.
    height : int
    lines : sequence of kinds of strokes
        That it may be asked to draw.

    Attributes
    ----------
    kind, option : Dropdown
        Which figure, and which one of those it offers.
    points, hollow : Points
    drawing : Drawing or None
        What is shown.
    view : VBox
    """

    def __init__(
        self,
        kinds: Sequence[tuple[str, str]],
        pressed: Callable[[int, int], None],
        lassoed: Callable[[Index, Index], None],
        *,
        height: int = 176,
        margin: tuple[int, int, int, int] = _MARGIN,
        lines: Sequence[Kind] = ("reference", "smooth", "observed", "expected"),
    ):
        self.drawing: Drawing | None = None
        self._select: tuple[Callable[[int, int], None], Callable[[Index, Index], None]] = pressed, lassoed
        self.plane = plane = Plane("", "")
        plane.x_axis.label_offset, plane.y_axis.label_offset = "2.4em", "3em"
        self._bands = [plane.line(INDIVIDUAL, 0, opacity=0.0) for _ in range(_BANDS)]
        for band in self._bands:
            band.fill, band.fill_colors = "between", [_BAND] * 2
        self._bars: Lines = plane.line(OBSERVED, 0.8, opacity=0.6)
        self._bars.fill, self._bars.fill_colors, self._bars.fill_opacities = "bottom", [OBSERVED], [0.3]
        self._lines = {(kind, dashed): self._line(kind, dashed) for kind in lines for dashed in (False, True)}
        self.hollow = Points(plane, lambda number: self._pressed(0, number), hollow=True)
        self.points = Points(plane, lambda number: self._pressed(-1, number))
        under, over = [self._lines[key] for key in self._lines if key[0] == "reference"], [
            self._lines[key] for key in self._lines if key[0] != "reference"
        ]  # fmt: skip
        marks = [*self._bands, self._bars, *under, self.hollow.mark, self.points.mark, *over]
        self.figure = plane.figure(marks, height, margin)
        self._left = margin[-1]
        self._selector = LassoSelector(marks=[self.points.mark])
        self.points.mark.observe(lambda _: self._lassoed(), "selected")
        self._holding = False
        style = {"description_width": "0"}
        self.kind = Dropdown(options=kinds or [("", "")], style=style, description="figure")
        self.kind.add_class("wb-title")
        self.option = Dropdown(options=[""], style=style, description="which of them")
        self.option.add_class("wb-option")
        self.said, self.missing, self.table = HTML(), HTML(), HTML()
        for widget, name in ((self.said, "wb-note"), (self.missing, "wb-missing"), (self.table, "wb-numbers")):
            widget.add_class(name)
        self.turn = Button(icon="table", tooltip="the numbers as a table, and back")
        self.turn.add_class("wb-tool")
        self.turn.on_click(lambda _: self._turn())
        self.numbers = Numbers(
            lambda: self.drawing.table if self.drawing is not None else pd.DataFrame(),
            lambda: self.drawing.title if self.drawing is not None else "",
        )
        head = HBox([self.kind, self.option, self.numbers.view, self.turn])
        head.add_class("wb-chart-head")
        self.view = VBox([head, self.missing, self.figure, self.table, self.said])
        self.view.add_class("wb-figure")
        self._turned = False
        self._show_parts()

    def _line(self, kind: Kind, dashed: bool) -> Lines:
        color, width, style = _STYLES[kind]
        return self.plane.line(color, width, "dashed" if dashed else style, 0.8 if dashed else 1.0)

    # -- acts --------------------------------------------------------------------------------------------------

    def _pressed(self, which: int, number: int) -> None:
        if self.drawing is not None and self.drawing.dots and not self._holding:
            dots = self.drawing.dots[which]
            self._select[0](int(dots.owner[number]), int(dots.row[number]))

    def hold(self, held: bool) -> None:
        """Draw lassos from now on, or no longer."""
        self._holding = held
        self.figure.interaction = self._selector if held else None

    def _lassoed(self) -> None:
        if self._holding and self.drawing is not None and self.drawing.dots:
            chosen = self.points.lassoed()
            if len(chosen):
                dots = self.drawing.dots[-1]
                self._select[1](dots.owner[chosen], dots.row[chosen])

    def _turn(self) -> None:
        self._turned = not self._turned
        self._show_parts()

    # -- drawing -----------------------------------------------------------------------------------------------

    def show(self, drawing: Drawing, marked: Callable[[Dots], Mask]) -> None:
        """Draw something else; `marked` says which of some points are selected."""
        self.drawing = drawing
        self.missing.value = markup.escaped(drawing.missing)
        keys = (markup.tag("span", _key(mark), words, class_="wb-key") for mark, words in drawing.legend)
        self.said.value = markup.joined(*keys, drawing.sentence)
        if not drawing.missing:
            self._set_axes(drawing.x, drawing.y)
            for k, mark in enumerate(self._bands):
                _put_band(mark, drawing.bands[k] if k < len(drawing.bands) else None)
            self._put_bars(drawing)
            for (kind, dashed), line in self._lines.items():
                mine = [s for s in drawing.strokes if (s.kind, s.dashed) == (kind, dashed) and len(s.x)]
                put(line, *_joined(mine))
            self._put_dots(drawing.dots, marked)
        self._show_parts()

    def _set_axes(self, x: Axis, y: Axis) -> None:
        at = [
            axis.at if axis.at is not None else ticks(axis.low, axis.high, count, hours=axis.hours)
            for axis, count in ((x, 5), (y, 4))
        ]
        self.plane.set_range((x.low, x.high), (y.low, y.high), at[0], at[1], x.texts, y.texts)
        self.plane.x_axis.label, self.plane.y_axis.label = x.title, y.title
        for side, axis in (("x", x), ("y", y)):
            self.plane.say_logarithmic(side, axis.logarithmic)
        longest = max(map(len, y.texts), default=0) if y.texts else 0
        left = max(self._left, min(_CHARACTER * longest + 10, _WIDEST))
        if self.figure.fig_margin["left"] != left:
            self.figure.fig_margin = {**self.figure.fig_margin, "left": left}

    def _put_bars(self, drawing: Drawing) -> None:
        if not drawing.bars:
            put(self._bars, None, None)
            return
        edges, heights = drawing.bars[0]
        put(self._bars, np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(heights, 2), [0.0]]))

    def _put_dots(self, dots: Sequence[Dots], marked: Callable[[Dots], Mask]) -> None:
        nothing = np.zeros(0)
        hollow = next((d for d in dots if d.hollow), None)
        filled = next((d for d in dots if not d.hollow), None)
        for points, one in ((self.hollow, hollow), (self.points, filled)):
            if one is None:
                points.show(nothing, nothing, (), np.zeros(0, dtype=bool))
            else:
                points.show(one.x, one.y, one.names, marked(one))

    def mark(self, marked: Callable[[Dots], Mask]) -> None:
        """Mark other points."""
        if self.drawing is not None and not self.drawing.missing:
            for dots in self.drawing.dots:
                (self.hollow if dots.hollow else self.points).mark_only(marked(dots))

    def _show_parts(self) -> None:
        """Figure or table; neither where there is nothing to be drawn."""
        drawn = self.drawing is not None and not self.drawing.missing
        turned = drawn and self._turned
        if turned and self.drawing is not None:
            rows = self.drawing.table
            more = f"<div class='wb-note'>{_SHOWN_ROWS} of {len(rows):,} rows</div>" if len(rows) > _SHOWN_ROWS else ""
            code = markup.code(self.drawing.code) if self.drawing.code else ""
            self.table.value = f"{code}{markup.frame_table(rows.head(_SHOWN_ROWS), 4, index=False)}{more}"
        self.missing.layout.display = "none" if drawn else None
        self.figure.layout.display = "none" if turned or not drawn else None
        self.table.layout.display = None if turned else "none"
        self.turn.icon = "line-chart" if turned else "table"
        self.turn.layout.display = self.numbers.view.layout.display = None if drawn else "none"


def _put_band(mark: Lines, band: Band | None) -> None:
    if band is None or len(band.x) < 2:
        put(mark, None, None)
        return
    with mark.hold_sync():
        mark.x, mark.y = np.array([band.x, band.x]), np.array([band.lower, band.upper])
        mark.fill_colors = ["var(--wb-fill)" if band.depth == _WINDOW else _BAND] * 2
        mark.fill_opacities = [_DEPTHS[band.depth]] * 2
        mark.visible = True


def _joined(strokes: Sequence[Stroke]) -> tuple[Array | None, Array | None]:
    """Several lines as one, with gaps between them."""
    if not strokes:
        return None, None
    gap = np.array([np.nan])
    return (
        np.concatenate([part for s in strokes for part in (s.x, gap)]),
        np.concatenate([part for s in strokes for part in (s.y, gap)]),
    )


def _key(mark: str) -> markup.Html:
    """What a legend shows of a mark."""
    if mark == "dot":
        return svg.dot(OBSERVED)
    if mark == "hollow":
        return svg.drawing(svg.circle(5, 5, 3, style=f"fill:none;stroke:{OBSERVED}"), size=(10, 10))
    if mark == "bar":
        return svg.swatch(OBSERVED, 0.4)
    if mark.startswith("band"):
        return svg.swatch(_BAND, _DEPTHS[int(mark[-1])] + 0.1)
    kind: Kind = mark  # type: ignore[assignment]
    color, width, style = _STYLES[kind]
    return svg.stroke(color, {"solid": "none", "dashed": "4 3", "dotted": "1 3"}.get(style, "6 3"), width)
