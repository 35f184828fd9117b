"""Observations of all subjects over time, coloured by a covariate."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from bqplot import Lines, Scatter, Tooltip
from numpy.typing import NDArray

from workbench.data import Events, GroupedData
from workbench.data.cells import plain_label
from workbench.data.checks.responses import outlying
from workbench.data.tables import is_categorical
from workbench.ui.figures.time import (
    OBSERVED,
    POPULATION,
    SELECTED,
    Array,
    Overlay,
    Plane,
    axis_title,
    in_hours,
    joined,
    put,
)

# Okabe and Ito's qualitative colours; four steps of ColorBrewer's YlGnBu (both readable to the colour-blind).
QUALITATIVE = tuple(f"var(--wb-q{i})" for i in range(7))
SEQUENTIAL = tuple(f"var(--wb-s{i})" for i in range(4))
MISSING = POPULATION


@dataclass(frozen=True)
class Groups:
    """Subjects (or responses) in groups, each with a label and a colour."""

    labels: tuple[str, ...]
    colors: tuple[str, ...]
    codes: NDArray[np.int64]


ALL = Groups(("",), (OBSERVED,), np.zeros(0, dtype=np.int64))


def groups_by(values: pd.Series[Any], unit: str = "") -> Groups:
    """Groups of values: levels as they are, numbers by quartile; missing values and rare levels are groups too."""
    unit = f" {unit}" if unit else ""
    if is_categorical(values):
        counts = values.value_counts(sort=False)
        common = counts.sort_values(ascending=False, kind="stable").index[: len(QUALITATIVE)]
        levels = sorted(map(plain_label, common), key=lambda level: (isinstance(level, str), level))
        codes = np.array([levels.index(plain_label(v)) if v in common else -1 for v in values], dtype=np.int64)
        labels = [f"{level}{unit}" for level in levels]
        colors: Sequence[str] = QUALITATIVE
    else:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        finite = numbers[np.isfinite(numbers)]
        edges = np.unique(np.quantile(finite, [0, 0.25, 0.5, 0.75, 1])) if len(finite) else np.zeros(1)
        codes = np.where(np.isfinite(numbers), np.searchsorted(edges[1:-1], numbers, side="left"), -1)
        labels = [f"{a:.4g}–{b:.4g}{unit}" for a, b in pairwise(edges)] or [f"{edges[0]:.4g}{unit}"]
        colors = SEQUENTIAL
    rest = codes < 0
    if rest.any():
        codes = np.where(rest, len(labels), codes)
        labels.append("missing" if values[rest].isna().all() else "other or missing")
    shown = (*colors[: len(labels) - int(rest.any())], *([MISSING] if rest.any() else []))
    return Groups(tuple(labels), shown, codes)


def since_dose(events: Events, span: slice) -> tuple[Array, NDArray[np.int64]]:
    """Time after the last dose for the records of a subject, and which dose that is.

    Further doses (ADDL) count. Before its first dose a record's time is negative; without any dose (or after a reset
    that none follows) it is NaN. A dose at the time of a record counts if it stands before it.
    """
    time, segment = events.time[span], np.cumsum(np.isin(events.kind[span], (3, 4)))
    given = []
    for k in np.flatnonzero(events.is_dose[span]):
        interval, more = events.interval[span][k], 0.0
        if interval > 0:  # those that a record can be after
            more = min(events.additional[span][k], max(0.0, time.max() - time[k]) / interval + 1, 1e5)
        times = time[k] + interval * np.arange(1 + int(more))
        given += [(segment[k], t, k if j == 0 else len(time)) for j, t in enumerate(times)]
    given.sort()
    after, which = np.full(len(time), np.nan), np.full(len(time), -1)
    for i, record in enumerate(zip(segment, time, range(len(time)), strict=True)):
        last = bisect_left(given, record) - 1
        if last >= 0 and given[last][0] == record[0]:
            after[i], which[i] = record[1] - given[last][1], last
        elif last + 1 < len(given) and given[last + 1][0] == record[0]:
            after[i] = record[1] - given[last + 1][1]
    return after, which


def dose_times(events: Events, span: slice) -> Array:
    """Times of the doses of a subject, further doses (ADDL) written out, in order."""
    time, last = events.time[span], float(events.time[span].max(initial=0.0))
    found = [np.zeros(0)]
    for k in np.flatnonzero(events.is_dose[span]):
        interval, more = events.interval[span][k], 0.0
        if interval > 0:
            more = min(events.additional[span][k], max(0.0, last - time[k]) / interval, 1e5)
        found.append(time[k] + interval * np.arange(1 + int(more)))
    return np.unique(np.concatenate(found))


class Spaghetti:
    """The figure; its marks (two per group) are made once. Of very many subjects `Overlay.MOST` are drawn.

    Parameters
    ----------
    pressed : callable
        Takes the label of the subject whose point was pressed.
    """

    def __init__(self, pressed: Callable[[Any], None], height: int = 330):
        self._pressed = pressed
        self._owners: dict[Scatter, list[Any]] = {}
        self.plane = Plane()
        colors = len(QUALITATIVE) + 1
        self.lines: list[Lines] = [self.plane.line(OBSERVED, 1.0, opacity=0.45) for _ in range(colors)]
        self.points: list[Scatter] = [self.plane.points() for _ in range(colors)]
        self.rings = self.plane.points(size=120)
        self.rings.fill, self.rings.stroke, self.rings.stroke_width = False, None, 2
        self.chosen, self.chosen_points = self.plane.line(SELECTED, 1.8), self.plane.points(SELECTED, 30)
        for mark in (*self.points, self.chosen_points):
            mark.tooltip, mark.enable_hover = Tooltip(fields=["name"], show_labels=False), False
            mark.on_element_click(self._clicked)
        marks = [*self.lines, *self.points, self.rings, self.chosen, self.chosen_points]
        self.view = self.plane.figure(marks, height, (12, 14, 46, 58))

    def _clicked(self, mark: Scatter, event: dict[str, Any]) -> None:
        owners, number = self._owners.get(mark, []), int(event["data"]["index"])
        if number < len(owners):
            self._pressed(owners[number])

    def show(
        self,
        data: GroupedData,
        groups: Groups,
        logarithmic: bool,
        after_dose: bool,
        by: str = "subject",
        response: int | None = None,
        subjects: Collection[Any] = (),
        rows: Collection[Any] = (),
    ) -> None:
        """Draw the observations, with a ring around those that lie far from all others.

        Parameters
        ----------
        data : GroupedData
            May have errors.
        groups : Groups
        logarithmic, after_dose : bool
            The axes.
        by : {"subject", "response"}
            What the groups are of.
        response : int, optional
            Show this one only.
        subjects, rows : collections of labels
            What is selected.
        """
        pieces = [piece for piece in _pieces(data, after_dose) if response is None or piece[1] == response]
        codes = [groups.codes[piece[by == "response"]] if len(groups.codes) else 0 for piece in pieces]
        times = np.concatenate([piece[2] for piece in pieces]) if pieces else np.zeros(0)
        values = np.concatenate([piece[3] for piece in pieces]) if pieces else np.zeros(0)
        self.plane.span(times, values, logarithmic, hours=in_hours(data))
        ringed = np.concatenate([piece[4] for piece in pieces]) if pieces else np.zeros(0, dtype=bool)
        put(self.rings, *((times[ringed], self.plane.heights(values[ringed])) if ringed.any() else (None, None)))
        self.plane.x_axis.label = axis_title(data, "time", "time", "time after dose" if after_dose else "")
        self.plane.y_axis.label = axis_title(data, "response", "response")
        for g, (lines, points) in enumerate(zip(self.lines, self.points, strict=True)):
            mine = [piece for piece, code in zip(pieces, codes, strict=True) if code == g]
            if not mine:
                put(lines, None, None)
                self._show_points(points, data, [])
                continue
            lines.colors = points.colors = [groups.colors[g]]
            put(lines, joined([p[2] for p in mine]), self.plane.heights(joined([p[3] for p in mine])))
            self._show_points(points, data, mine)
        labels, frame = data.content.events.subjects, data.content.frame.index
        marked = [p for p in pieces if labels[p[0]] in subjects or any(frame[k] in rows for k in p[5].tolist())]
        put(self.chosen, *self._joined(marked))
        single = [
            _part(p, np.array([labels[p[0]] in subjects or frame[k] in rows for k in p[5].tolist()])) for p in marked
        ]
        self._show_points(self.chosen_points, data, single)

    def _joined(self, pieces: Sequence[_Piece]) -> tuple[Array | None, Array | None]:
        if not pieces:
            return None, None
        return joined([p[2] for p in pieces]), self.plane.heights(joined([p[3] for p in pieces]))

    def _show_points(self, mark: Scatter, data: GroupedData, pieces: Sequence[_Piece]) -> None:
        """Draw points that say whose they are."""
        if not pieces:
            put(mark, None, None)
            self._owners[mark] = []
            return
        label, hours, unit = (
            data.roles.get("subject", "subject"),
            data.units.get("time", ""),
            data.units.get("response", ""),
        )
        subjects = data.content.events.subjects
        every = [
            (t, y, subjects[p[0]], f"{label} {subjects[p[0]]} · {t:.4g} {hours} · {y:.4g} {unit} · row {p[5][k]}")
            for p in pieces
            for k, (t, y) in enumerate(zip(p[2].tolist(), p[3].tolist(), strict=True))
        ]
        height = self.plane.heights(np.array([y for _, y, *_ in every]))
        shown = [one for one, h in zip(every, height.tolist(), strict=True) if np.isfinite(h)]
        self._owners[mark] = [owner for *_, owner, _ in shown]
        with mark.hold_sync():
            put(mark, np.array([t for t, *_ in shown]), height[np.isfinite(height)])
            mark.names = np.array([name for *_, name in shown] or [""])
            mark.display_names = False


_Piece = tuple[int, int, Array, Array, NDArray[np.bool_], NDArray[np.int64]]


def _part(piece: _Piece, kept: NDArray[np.bool_]) -> _Piece:
    i, r, time, value, odd, row = piece
    return i, r, time[kept], value[kept], odd[kept], row[kept]


def _pieces(data: GroupedData, after_dose: bool) -> list[_Piece]:
    """Curves to be drawn: subject, response, times, values, outliers, rows; one per subject, response, and dose."""
    events = data.content.events  # data with errors have no public events, but can be looked at
    chosen = np.arange(len(events.subjects))
    if len(chosen) > Overlay.MOST:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, Overlay.MOST, replace=False))
    odd = outlying(data.content)
    pieces = []
    for i in chosen:
        span = slice(events.start[i], events.start[i + 1])
        time, which = events.time[span], np.zeros(events.start[i + 1] - events.start[i], dtype=np.int64)
        if after_dose:
            time, which = since_dose(events, span)
        seen = events.observed[span] & np.isfinite(time) & np.isfinite(events.dv[span])
        response = events.response[span]
        for r in np.unique(response[seen]):
            for d in np.unique(which[seen & (response == r)]):
                at = seen & (response == r) & (which == d)
                pieces.append((int(i), int(r), time[at], events.dv[span][at], odd[span][at], events.row[span][at]))
    return pieces
