"""Shrinkage, drawn: from what a subject says alone to what it says among the others, as Ψ is slid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bqplot import Scatter, Tooltip
from ipywidgets import HTML, Button, Dropdown, HBox, IntSlider, VBox, Widget

from workbench import markup
from workbench.data import derived_unit
from workbench.errors import WorkbenchError
from workbench.markup import svg
from workbench.methods import method_of
from workbench.results.runs import Run
from workbench.ui.figures.time import (
    ALONE,
    INDIVIDUAL,
    POOLED,
    POPULATION,
    SELECTED,
    Array,
    Plane,
    joined,
    log_ticks,
    put,
    ticks,
)
from workbench.ui.figures.trellis import Tile, Timeline, known, subject_of
from workbench.ui.panels.kept import hide
from workbench.ui.panels.panel import Panel, note, row
from workbench.ui.session import studies
from workbench.ui.session.curves import Sketch
from workbench.ui.session.selection import records_at, subjects_at
from workbench.ui.session.shrinkage import Shrinkage, Shrunk, alone_of

_MOST = 150  # subjects that are drawn
_STEP = 40  # steps of the slider for a factor of ten
_ASPECT = 1.4  # width over height of the figure, for heads of arrows
_HOLLOW = svg.drawing(svg.circle(5, 5, 3.6, style=f"fill:none;stroke:{ALONE};stroke-width:1.6"), size=(10, 10))
_LEGEND = (
    f"<span>{_HOLLOW}alone</span><span>{svg.dot(INDIVIDUAL, 4)}mixed</span>"
    f"<span>{svg.stroke(POPULATION, '2 3')}to the population</span>"
    f"<span>{svg.swatch('var(--wb-band)', 0.3)}90 % of people, at this Ψ</span>"
    f"<span>{svg.stroke(POOLED, '7 3')}pooled curve</span><span>{svg.stroke(ALONE, '2 3')}alone</span>"
)


class ShrinkagePanel(Panel):
    """Arrows from the estimate of each subject alone to that among the others; three curves of one of them."""

    title = "Shrinkage"
    follows = frozenset({"run", "studies", "activity", "selection", "data", "model", "logarithmic"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler = self.state.handler
        self.slider = IntSlider(value=0, min=-2 * _STEP, max=_STEP, readout=False, description="SD of η ×")
        self.slider.style.description_width = "62px"
        self.factor = HTML()
        self.reset = Button(description="as estimated", tooltip="back to the estimated Ψ")
        self.reset.add_class("wb-link")
        self.reset.on_click(handler(lambda _: self._slide_to(0)))
        self.across = Dropdown(options=[""], description="across", layout={"width": "92px"})
        self.up = Dropdown(options=[""], description="up", layout={"width": "92px"})
        for choice in (self.across, self.up):
            choice.add_class("wb-quiet")
        for widget in (self.across, self.up, self.slider):
            widget.observe(handler(lambda _: self._redraw()), "value")
        self.about = note()
        self.plane = plane = Plane()
        self.band = plane.line("var(--wb-band)", 0)
        self.band.fill, self.band.fill_colors, self.band.fill_opacities = "inside", ["var(--wb-band)"], [0.2]
        self.rest = plane.line(POPULATION, 1, "dotted")
        self.arrows, self.chosen = plane.line(INDIVIDUAL, 1.3), plane.line(SELECTED, 2)
        self.alone: Scatter = plane.points(ALONE, 46)
        self.alone.fill, self.alone.stroke, self.alone.stroke_width = False, ALONE, 1.6
        self.mixed, self.middle = plane.points(INDIVIDUAL, 34), plane.points("var(--wb-ink)", 90)
        self.middle.marker = "cross"
        for mark in (self.alone, self.mixed):
            mark.tooltip, mark.enable_hover = Tooltip(fields=["name"], show_labels=False), False
            mark.on_element_click(lambda _, event: self._pressed(event))
        marks = [self.band, self.rest, self.arrows, self.chosen, self.alone, self.mixed, self.middle]
        self.figure = plane.figure(marks, 330, (10, 12, 44, 56))
        self.tile = Tile(lambda: None, lambda: None, lambda _: None, lambda _: None, titled=True)
        self.tile.name.disabled = True
        self.tile.name.tooltip = "the subject whose curves are shown: click an arrow"
        self.both = HBox([self.figure, self.tile.view])
        self.both.add_class("wb-shrink")
        self.legend = HTML(f"<div class='wb-legend'>{_LEGEND}</div>")
        self.said = HTML()
        self.view.add_class("wb-shrinkage")
        self.body = VBox(
            [row(self.slider, self.factor, self.reset, self.across, self.up), self.both, self.legend, self.said]
        )
        self.body.add_class("wb-panel")
        self._of: Run | None = None
        self._asked: Run | None = None
        self._shrinkage: Shrinkage | None = None
        self._sketch: Sketch | None = None
        self._drawn: list[int] = []
        return [self.about, self.body]

    # -- acts --------------------------------------------------------------------------------------------------

    def _slide_to(self, place: int) -> None:
        self.slider.value = place

    def _pressed(self, event: dict[str, Any]) -> None:
        number, run = int(event["data"]["index"]), self._of
        if run is not None and number < len(self._drawn):
            subject = run.data.events.subjects[self._drawn[number]]
            self.state.handler(lambda: self.state.select(subject))()

    def _redraw(self) -> None:
        with self.state.quietly():
            self._draw()

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Draw the subjects of the shown run."""
        state, run = self.state, self.state.run
        reason = "Fit a model first." if run is None else _reason(run)
        if not reason and not state.is_current:
            reason = "The model has changed since: fit it, to see how its subjects shrink."
        hide(self.body, bool(reason))
        self.about.value = markup.escaped(reason)
        if reason or run is None:
            return
        if run is not self._of:
            self._of, self._shrinkage, self._sketch = run, Shrinkage(run), Sketch(run.fit.model, run.data)
            names = list(self._shrinkage.effects)
            kept = [choice.value if choice.value in names else "" for choice in (self.across, self.up)]
            for choice, before, usual in zip((self.across, self.up), kept, (names[0], names[-1]), strict=True):
                choice.options = names
                choice.value = before or usual
            hide(self.up, len(names) < 2)
        if state.study("beside") is None and state.activity == "" and self._asked is not run:
            self._asked = run
            self.ask(studies.beside(state, run))
        self._draw()

    def _draw(self) -> None:
        run, shrinkage = self._of, self._shrinkage
        if run is None or shrinkage is None or not shrinkage.effects:
            return
        factor = round(10 ** (self.slider.value / _STEP), 2 if self.slider.value > -_STEP else 3)
        self.factor.value = markup.tag("b", f"{factor:.2f}")
        self.reset.disabled = factor == 1
        here = shrinkage.at(factor)
        found: studies.Beside | None = self.state.study("beside")
        names, subjects = run.fit.model.structure.names, list(run.data.events.subjects)
        alone = alone_of(found.alone if found is not None else None, subjects, names)
        count = len(subjects)
        chosen = subjects_at(run.data, self.state.selection.within(run.data))
        drawn = np.arange(count)
        if count > _MOST:
            drawn = np.union1d(np.random.default_rng(0).choice(count, _MOST, replace=False), np.flatnonzero(chosen))
        self._draw_arrows(shrinkage, here, alone, drawn, chosen)
        one = int(np.flatnonzero(chosen)[0]) if chosen.any() else _farthest(shrinkage, here, alone, self.across.value)
        self._draw_curves(run, here, found, one)
        self.said.value = self._sentence(run, shrinkage, here, alone, one)

    def _draw_arrows(
        self, shrinkage: Shrinkage, here: Shrunk, alone: Array | None, drawn: np.ndarray, chosen: np.ndarray
    ) -> None:
        run = self._of
        assert run is not None
        axes = [self.across.value, self.up.value if len(shrinkage.effects) > 1 else ""]
        places: list[list[Array]] = []  # of each axis: alone, mixed, typical
        for name in axes:
            if not name:
                order = np.arange(len(here.mixed), dtype=float)
                places.append([order, order, order])
                continue
            k = shrinkage.column(name)
            own = here.mixed[:, k] * np.nan if alone is None else alone[:, k]
            places.append([shrinkage.place(name, values) for values in (own, here.mixed[:, k], here.typical[:, k])])
        (x0, x1, x2), (y0, y1, y2) = ([part[drawn] for part in side] for side in places)
        self._span(shrinkage, axes, alone)
        typical = [float(np.nanmedian(here.typical[:, shrinkage.column(name)])) for name in axes if name]
        if len(typical) == 2:
            put(self.band, *shrinkage.ellipse(axes, here, typical))
        else:
            put(self.band, None, None)
        marked = chosen[drawn]
        reach = (self.plane.x.max - self.plane.x.min, self.plane.y.max - self.plane.y.min)
        for mark, which in ((self.arrows, ~marked), (self.chosen, marked)):
            ends = [(x0[i], y0[i], x1[i], y1[i]) for i in np.flatnonzero(which).tolist()]
            put(mark, *_arrows([e for e in ends if np.isfinite(e).all()], reach))
        known_ = np.isfinite(x1) & np.isfinite(y1)
        lines = [(np.array([x1[i], x2[i]]), np.array([y1[i], y2[i]])) for i in np.flatnonzero(known_).tolist()]
        put(self.rest, *((joined([x for x, _ in lines]), joined([y for _, y in lines])) if lines else (None, None)))
        label = run.data.roles.get("subject", "subject")
        self._drawn = drawn.tolist()
        for mark, x, y, what in ((self.alone, x0, y0, "alone"), (self.mixed, x1, y1, "among the others")):
            with mark.hold_sync():
                shown = np.isfinite(x) & np.isfinite(y)
                put(mark, *((np.where(shown, x, 1e9), np.where(shown, y, 1e9)) if shown.any() else (None, None)))
                mark.names = np.array([f"{label} {run.data.events.subjects[i]}, {what}" for i in self._drawn])
                mark.display_names = False
        put(
            self.middle,
            *([np.array([float(np.nanmedian(v))]) for v in (x2, y2)] if len(typical) == 2 else (None, None)),
        )

    def _span(self, shrinkage: Shrinkage, axes: Sequence[str], alone: Array | None) -> None:
        """Axes that stay where they are while Ψ is slid; what lies far out is drawn at the rim of what is usual."""
        run, ends, at = self._of, [], []
        texts: list[list[str]] = []
        assert run is not None
        wide = [shrinkage.at(1.0)]
        for name in axes:
            if not name:
                ends.append((-0.7, len(wide[0].mixed) - 0.3))
                at.append(np.zeros(0))
                texts.append([])
                continue
            k = shrinkage.column(name)
            natural = np.concatenate([one.mixed[:, k] for one in wide] + ([] if alone is None else [alone[:, k]]))
            values = shrinkage.place(name, natural)
            values = values[np.isfinite(values)]
            low, high = np.quantile(values, [0.02, 0.98])
            reach = 1.5 * (high - low) or 1.0
            values = values[(values > low - reach) & (values < high + reach)]
            pad = 0.08 * (float(np.ptp(values)) or 1.0)
            span = float(values.min()) - pad, float(values.max()) + pad
            logarithmic = shrinkage.model[name].link.is_positive
            self.plane.say_logarithmic("xy"[len(ends)], logarithmic)
            marks = log_ticks(*span) if logarithmic else ticks(*span, 5)
            if logarithmic and len(marks) < 2:
                marks = np.log10(ticks(10 ** span[0], 10 ** span[1], 4))
            ends.append(span)
            at.append(marks)
            texts.append([f"{10**v:.3g}" if logarithmic else f"{v:.4g}" for v in marks.tolist()])
        self.plane.set_range(ends[0], ends[1], at[0], at[1], texts[0] or None, texts[1] or None)
        self.plane.x_axis.label, self.plane.y_axis.label = (_titled(run, name) if name else "subjects" for name in axes)

    def _draw_curves(self, run: Run, here: Shrunk, found: studies.Beside | None, i: int) -> None:
        data, state = run.data, self.state
        assert self._sketch is not None
        drawn = self._sketch.drawn(run.fit.model, here.etas, state.response, (i,))
        pooled = alone = None
        if found is not None:
            both = found.curves[state.response]
            pooled, alone = (None if side is None else known(side[i]) for side in both)
        timeline = Timeline(data.events, i, False)
        rows = records_at(data, state.selection.within(data))
        shown = subject_of(data, i, timeline, state.seen(), rows, None)
        time, mixed = drawn.time[0], drawn.individual[0] if drawn.individual is not None else drawn.population[0]
        self.tile.cover(data, shown, mixed, state.logarithmic)
        self.tile.show_data(f"{data.roles.get('subject', 'ID')} {data.events.subjects[i]}", shown, after_dose=False)
        self.tile.mark_as(bool(subjects_at(data, state.selection.within(data))[i]))
        curves = (drawn.population[0], mixed, None, pooled, alone)
        self.tile.show_curves(time, *(c if c is not None and len(c) == len(time) else None for c in curves))

    def _sentence(self, run: Run, shrinkage: Shrinkage, here: Shrunk, alone: Array | None, i: int) -> str:
        name = self.across.value
        k, unit = shrinkage.column(name), _unit(run, name)
        label = f"{run.data.roles.get('subject', 'Subject')} {run.data.events.subjects[i]}"

        def said(value: float) -> str:
            return markup.number(float(value), 3) + (f" {unit}" if unit else "")

        parts = [] if alone is None or not np.isfinite(alone[i, k]) else [f"{label} alone: {name} {said(alone[i, k])}."]
        if alone is None:
            parts.append("Each subject is being fitted alone …")
        parts.append(f"With the others at this Ψ: {said(here.mixed[i, k])}")
        if here.factor != 1:
            parts[-1] += f"; at the estimated Ψ: {said(shrinkage.at(1.0).mixed[i, k])}"
        parts[-1] += f"; typical {said(here.typical[i, k])}."
        parts.append("Less variance between people means more belief in the population.")
        left = ", ".join(f"{effect} {markup.percent(share)}" for effect, share in here.left.items())
        return markup.note(" ".join(parts) + (f" Shrinkage: {left}." if left and here.factor == 1 else ""))


def _reason(run: Run) -> str:
    """Why there is nothing to draw."""
    if not method_of(run.fit.method).is_mixed or not run.fit.random_effects:
        return "This fit has no random effects: nothing shrinks."
    if run.fit.occasion_effects:
        return "Drawn for random effects between subjects only; this model has such between occasions as well."
    shrinkage = Shrinkage(run)
    if not shrinkage.effects:
        return "All standard deviations of η are 0: every subject is the typical one."
    try:
        shrinkage.at(1.0)
    except WorkbenchError as error:
        return str(error)
    return ""


def _farthest(shrinkage: Shrinkage, here: Shrunk, alone: Array | None, name: str) -> int:
    """The subject that the others draw farthest."""
    if alone is None:
        return 0
    k = shrinkage.column(name)
    gap = np.abs(shrinkage.place(name, alone[:, k]) - shrinkage.place(name, here.mixed[:, k]))
    return int(np.argmax(np.nan_to_num(gap, nan=-1.0)))


def _arrows(
    ends: Sequence[tuple[float, float, float, float]], reach: tuple[float, float]
) -> tuple[Array, Array] | tuple[None, None]:
    """Arrows as one line with gaps; their heads are drawn for a figure of the usual shape."""
    if not ends:
        return None, None
    xs, ys = [], []
    wide, high = reach[0] / _ASPECT, reach[1]
    for x0, y0, x1, y1 in ends:
        dx, dy = (x1 - x0) / wide, (y1 - y0) / high
        length = float(np.hypot(dx, dy))
        if length < 1e-9:
            continue
        size = min(0.034, 0.5 * length)
        dx, dy = dx / length * size, dy / length * size
        left, right = (-dx - 0.5 * dy, -dy + 0.5 * dx), (-dx + 0.5 * dy, -dy - 0.5 * dx)
        xs += [np.array([x0, x1]), x1 + wide * np.array([left[0], 0.0, right[0]])]
        ys += [np.array([y0, y1]), y1 + high * np.array([left[1], 0.0, right[1]])]
    return (joined(xs), joined(ys)) if xs else (None, None)


def _unit(run: Run, name: str) -> str:
    info = {one.name: one for one in run.fit.model.structure.info}
    return derived_unit(run.data.units, info[name].dimension) or "" if name in info else ""


def _titled(run: Run, name: str) -> str:
    unit = _unit(run, name)
    return f"{name}, {unit}" if unit else name
