"""One subject of a trellis: what was observed of it, its curves, its doses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bqplot import Lines, Scatter, Tooltip
from bqplot.interacts import BrushSelector, LassoSelector, Selector
from ipywidgets import Button, VBox
from numpy.typing import NDArray

from workbench.data import Events, GroupedData
from workbench.ui.figures.spaghetti import dose_times, since_dose
from workbench.ui.figures.time import (
    ALONE,
    DOSE,
    INDIVIDUAL,
    OBSERVED,
    POOLED,
    POPULATION,
    SELECTED,
    Array,
    Mask,
    Plane,
    in_hours,
    put,
)

Window = tuple[tuple[float, float], tuple[float, float]]  # a part of a plane: ends of x, ends of y

_ANGLES = str.maketrans("<>", "‹›")  # a button's text is text; that nothing looks like markup is to be seen at once


@dataclass(frozen=True, eq=False)
class Subject:
    """What a tile draws of a subject, times as they are on its axis.

    Attributes
    ----------
    label : object
    time, value : float64[n]
        Observations.
    censored, marked : bool[n]
    names : list of str, length n
        What a point says of itself.
    records : int64[n]
        Places of the observations among the records of the data.
    doses : float64[m]
        Times of doses.
    reach : float64[2]
        The first and the last time of all its records.
    """

    label: object
    time: Array
    value: Array
    censored: Mask
    marked: Mask
    names: Sequence[str]
    records: NDArray[np.int64]
    doses: Array
    reach: Array


class Timeline:
    """Times of a subject on the axis: as they are, or after its last dose, where a curve is cut at each dose."""

    def __init__(self, events: Events, subject: int, after_dose: bool):
        self._span = slice(events.start[subject], events.start[subject + 1])
        self._events = events
        self._doses = dose_times(events, self._span) if after_dose else np.zeros(0)

    def of_records(self, at: NDArray[np.int64]) -> Array:
        """Times of records, by their places among those of the subject."""
        if len(self._doses):
            return since_dose(self._events, self._span)[0][at]
        return np.asarray(self._events.time[self._span][at], dtype=float)

    def reach(self) -> Array:
        """The first and the last time of all records."""
        time = self.of_records(np.arange(self._span.stop - self._span.start))
        time = time[np.isfinite(time)]
        first = 0.0 if len(self._doses) else np.inf
        return np.array([min(first, time.min()), time.max()]) if len(time) else np.zeros(2)

    def of_curve(self, time: Array, *values: Array | None) -> tuple[Array, tuple[Array | None, ...]]:
        """Times of a curve, and its values with gaps where a dose cuts it."""
        if not len(self._doses):
            return time, values
        last = np.searchsorted(self._doses, time, side="right") - 1
        after = time - self._doses[np.maximum(last, 0)]
        cuts = np.flatnonzero(np.diff(last) != 0) + 1
        cut = tuple(None if value is None else np.insert(value, cuts, np.nan) for value in values)
        return np.insert(after, cuts, np.nan), cut


def subject_of(
    data: GroupedData, i: int, timeline: Timeline, seen: Mask, marked: Mask, predicted: Array | None
) -> Subject:
    """What is to be drawn of subject i.

    Parameters
    ----------
    seen, marked : bool[records]
        The observations that are shown; those that are selected.
    predicted : float64[records], optional
        Individual predictions, for what points say of themselves.
    """
    events = data.events
    span = slice(events.start[i], events.start[i + 1])
    at = np.flatnonzero(seen[span])
    time, value = events.time[span][at], events.dv[span][at]
    unit, hours = data.units.get("response", ""), data.units.get("time", "")
    names = []
    for k, t, y in zip(at.tolist(), time.tolist(), value.tolist(), strict=True):
        said = f"{data.roles.get('subject', 'subject')} {events.subjects[i]} · {t:.4g} {hours} · {y:.4g} {unit}"
        f = predicted[span][k] if predicted is not None else np.nan
        names.append(f"{said} · predicted {f:.4g}" if np.isfinite(f) else said)
    doses = events.time[span][events.is_dose[span]]
    return Subject(
        events.subjects[i], timeline.of_records(at), value, np.asarray(events.censored[span][at] != 0),
        marked[span][at], names, at + span.start, np.unique(doses), timeline.reach(),
    )  # fmt: skip


class Tile:
    """One subject; curves of other fits lie beneath those of the shown one.

    Parameters
    ----------
    open : callable
        Called when its name is pressed.
    select : callable
        Called when a point is pressed.
    caught : callable
        Takes the records that a lasso was drawn around.
    zoomed : callable
        Takes the window that a box was drawn around.
    """

    def __init__(
        self,
        open: Callable[[], None],
        select: Callable[[], None],
        caught: Callable[[NDArray[np.int64]], None],
        zoomed: Callable[[Window], None],
        *,
        titled: bool = False,
    ):
        self._caught, self._zoomed = caught, zoomed
        self._tools: dict[str, Selector] = {}
        self._records: dict[Scatter, NDArray[np.int64]] = {}
        self.plane = plane = Plane(titled=titled)
        self.population = plane.line(POPULATION, 1.4, "dashed")
        self.ghost = plane.line(INDIVIDUAL, 1, opacity=0.45)
        self.individual = plane.line(INDIVIDUAL, 1.7)
        self.pooled, self.alone = plane.line(POOLED, 1.5, "dash_dotted"), plane.line(ALONE, 1.6, "dotted")
        self.points, self.censored, self.doses = plane.points(), plane.points(size=34), plane.points(DOSE, 26)
        self.censored.marker, self.doses.marker = "triangle-down", "triangle-up"
        self.censored.fill, self.censored.stroke, self.censored.stroke_width = False, OBSERVED, 1.2
        self.doses.apply_clip = False
        for mark in (self.points, self.censored):
            mark.tooltip, mark.enable_hover = Tooltip(fields=["name"], show_labels=False), False
            mark.on_element_click(lambda *_: select())
        marks = [
            self.doses, self.ghost, self.pooled, self.alone, self.population, self.individual, self.points,
            self.censored,
        ]  # fmt: skip
        self.figure = plane.figure(marks, 132, (8, 6, 40, 46) if titled else (6, 6, 20, 30))
        self.name = Button(tooltip="show this subject alone")
        self.name.add_class("wb-tile-name")
        self.name.on_click(lambda _: open())
        self.view = VBox([self.name, self.figure])
        self.view.add_class("wb-tile")

    def hold(self, tool: str) -> None:
        """Hold a tool: "zoom" draws a box, "lasso" a line around points, "" none."""
        if tool and tool not in self._tools:
            self._tools[tool] = self._box() if tool == "zoom" else self._lasso()
        held = self._tools.get(tool)
        if self.figure.interaction is not held:
            self.figure.interaction = held

    def _box(self) -> BrushSelector:
        box = BrushSelector(x_scale=self.plane.x, y_scale=self.plane.y, color=SELECTED)

        def drawn(change: Any) -> None:
            if not change["new"] and box.selected is not None:
                (left, bottom), (right, top) = np.asarray(box.selected, dtype=float)
                box.selected = None
                box.reset()
                if right > left and top > bottom:
                    self._zoomed(((float(left), float(right)), (float(bottom), float(top))))

        box.observe(drawn, "brushing")
        return box

    def _lasso(self) -> LassoSelector:
        marks = [self.points, self.censored]
        lasso = LassoSelector(marks=marks, color=SELECTED)

        def drawn(_: Any) -> None:
            found = [self._records[m][np.asarray(m.selected, dtype=int)] for m in marks if m.selected is not None
                     and m in self._records]  # fmt: skip
            caught = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
            if len(caught):
                for mark in marks:
                    mark.selected = None  # the state says what is marked, in all figures alike
                lasso.reset()
                self._caught(np.unique(caught))

        for mark in marks:
            mark.observe(drawn, "selected")
        return lasso

    def cover(
        self, data: GroupedData, shown: Subject, curve: Array | None, logarithmic: bool, window: Window | None = None
    ) -> None:
        """Set the axes to what a subject shows, and to a curve of it; or to a part of that."""
        time, value = np.append(shown.time, shown.reach), np.append(shown.value, [np.nan, np.nan])
        if not logarithmic:
            time, value = np.append(time, shown.reach[0]), np.append(value, 0.0)
        if curve is not None and np.isfinite(curve).any() and not logarithmic:
            time, value = np.append(time, shown.reach[0]), np.append(value, np.nanmax(curve))
        self.plane.span(time[np.isfinite(time)], value[np.isfinite(value)], logarithmic, hours=in_hours(data))
        if window is not None:
            self.plane.narrow(*window, hours=in_hours(data))

    def show_data(self, label: str, subject: Subject, *, after_dose: bool) -> None:
        """Draw the observations of a subject, and its doses."""
        label = label.translate(_ANGLES)
        if self.name.description != label:
            self.name.description = label
        for mark, chosen in ((self.points, ~subject.censored), (self.censored, subject.censored)):
            self._show_points(mark, subject, chosen)
        doses = np.zeros(0) if after_dose else subject.doses
        doses = doses[(doses >= self.plane.x.min) & (doses <= self.plane.x.max)]
        put(self.doses, doses, np.full(len(doses), self.plane.y.min)) if len(doses) else put(self.doses, None, None)

    def _show_points(self, mark: Scatter, subject: Subject, chosen: Mask) -> None:
        height = self.plane.heights(subject.value)
        at = np.flatnonzero(chosen & np.isfinite(height) & np.isfinite(subject.time))
        self._records[mark] = subject.records[at]
        names = np.array([subject.names[k] for k in at.tolist()] or [""])
        colors = [SELECTED if subject.marked[k] else OBSERVED for k in at.tolist()] or [OBSERVED]
        with mark.hold_sync():
            put(mark, *((subject.time[at], height[at]) if len(at) else (None, None)))
            if not np.array_equal(mark.names, names):
                mark.names, mark.display_names = names, False
            if mark.colors != colors:
                mark.colors = colors

    def mark_as(self, selected: bool) -> None:
        """Show that the subject is selected, or is not."""
        colour = SELECTED if selected else INDIVIDUAL
        if self.individual.colors != [colour]:
            self.individual.colors = [colour]
        change = self.name.add_class if selected else self.name.remove_class
        change("wb-selected-name")

    def show_curves(self, time: Array | None, *curves: Array | None) -> None:
        """Draw population, individual, ghost, pooled and alone; None for no curve."""
        marks: list[Lines] = [self.population, self.individual, self.ghost, self.pooled, self.alone]
        for mark, values in zip(marks, curves, strict=False):
            put(mark, time, None if values is None else self.plane.heights(values))


def known(values: Array | None) -> Array | None:
    """A curve, or None where nothing of it is a number: a subject that could not be fitted alone."""
    return None if values is None or np.isnan(values).all() else values


def in_order(order: str, data: GroupedData, misfit: Array | None, values: Any) -> NDArray[np.int64]:
    """The places of the subjects in an order: "" as they are, "misfit" the worst first, else by a covariate."""
    count = len(data.events.subjects)
    if order == "misfit" and misfit is not None:
        return np.argsort(-np.nan_to_num(misfit, nan=-np.inf), kind="stable")
    if order and values is not None:
        comparable = values.astype(str) if values.dtype == object else values
        return np.asarray(comparable.argsort(kind="stable"), dtype=np.int64)
    return np.arange(count)
