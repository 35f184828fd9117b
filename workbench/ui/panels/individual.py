"""Individual fits: a small figure per subject, following the fit as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from ipywidgets import HTML, Box, Button, Checkbox, Dropdown, ToggleButton, ToggleButtons, VBox, Widget
from numpy.typing import NDArray

from workbench import markup
from workbench.data import GroupedData
from workbench.markup import escaped, svg
from workbench.methods import method_of
from workbench.results.fit import FitResult
from workbench.ui.figures.spaghetti import since_dose
from workbench.ui.figures.time import ALONE, INDIVIDUAL, OBSERVED, POOLED, POPULATION, Array, Mask, axis_title
from workbench.ui.figures.trellis import Subject, Tile, Timeline, Window, in_order, known, subject_of
from workbench.ui.panels.cards import subject_covariates
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import Panel, ResponseSwitch, note, response_title, row, scale_switch
from workbench.ui.session import studies
from workbench.ui.session.selection import Selection, records_at, subjects_at

_SHORT = 0.3  # of the time that all subjects cover together
PER_PAGE = 12  # more figures on a page drown the browser
_ACROSS = ((1, 1), (4, 2), (6, 3), (8, 4), (9, 3), (PER_PAGE, 4))  # up to so many figures: how many side by side

_LEGEND = (
    f"<span>{svg.dot(OBSERVED)}observed</span>"
    f"<span>{svg.stroke(POPULATION, '5 3')}typical</span>"
    f"<span>{svg.stroke(INDIVIDUAL)}individual</span>"
)
_BESIDE = f"<span>{svg.stroke(POOLED, '7 3')}pooled</span><span>{svg.stroke(ALONE, '2 3')}alone</span>"
_GHOST = f"<span>{svg.stroke(INDIVIDUAL, width=1)}the fit before</span>"


class IndividualPanel(Panel):
    """Observations with the population and the individual curve of each subject; one of them alone on demand."""

    title = "Individual fits"
    follows = frozenset(
        {"data", "start", "progress", "run", "logarithmic", "response", "model", "curves", "studies", "activity",
         "selection"}
    )  # fmt: skip

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler, style = self.state.handler, {"button_width": "auto"}
        self.page = 0
        self.alone: int | None = None
        self.legend = HTML()
        self.beside = Checkbox(
            description="pooled and alone", indent=False, layout={"width": "auto"},
            tooltip="beside the shown fit: all subjects as one, and every subject alone",
        )  # fmt: skip
        self.beside.observe(handler(lambda change: self._lay_beside()), "value")
        self.order = Dropdown(options=[("by label", "")], description="order", layout={"width": "100px"})
        self.axes = ToggleButtons(
            options=[("shared", False), ("free", True)], description="axes", style=style,
            tooltips=["the same axes for all subjects", "axes of its own for each subject"],
        )  # fmt: skip
        self.time = ToggleButtons(
            options=[("time", False), ("after dose", True)], description="x axis of curves", style=style,
            tooltips=["time", "time after the last dose"],
        )  # fmt: skip
        for switch in (self.axes, self.time):
            switch.add_class("wb-switch")
            switch.add_class("wb-quiet")
        self.order.add_class("wb-quiet")
        for choice in (self.order, self.axes, self.time):
            choice.observe(handler(lambda _: self._see_whole()), "value")
        self._windows: dict[int | None, Window] = {}  # by subject; None for all, where they share their axes
        self.zoom = ToggleButton(icon="search-plus", tooltip="zoom: draw a box in a figure")
        self.lasso = ToggleButton(icon="pencil", tooltip="lasso: draw around points to mark them everywhere")
        self.whole = Button(icon="compress", tooltip="the whole axes again")
        for tool, other in ((self.zoom, self.lasso), (self.lasso, self.zoom)):
            tool.observe(handler(lambda change, other=other: self._hold(change["new"], other)), "value")
        self.whole.on_click(handler(lambda _: self._see_whole()))
        for button in (self.zoom, self.lasso, self.whole):
            button.add_class("wb-toggle")
            button.add_class("wb-icon")
        hide(self.whole)
        self.table = HTML()
        self.caption = note()
        self.scale, self.response = scale_switch(self.state), ResponseSwitch(self.state)
        self.scale.add_class("wb-quiet")
        self.back = Button(description="◀", tooltip="previous subjects")
        self.on = Button(description="▶", tooltip="next subjects")
        self.where = HTML()
        for button, step in ((self.back, -1), (self.on, 1)):
            button.add_class("wb-toggle")
            button.on_click(handler(lambda _, step=step: self._turn(step)))
        self.pager = row(self.back, self.where, self.on)
        self.pager.add_class("wb-pager")
        self.cells: list[Tile] = []
        self.trellis = Box()
        self.trellis.add_class("wb-trellis")
        self.large = self._tile(lambda: self.alone, lambda: self._open(None), titled=True)
        self.large.figure.layout.height = "300px"
        self.large.name.tooltip = "back to all subjects"
        self.about = HTML()
        self.about.add_class("wb-about-one")
        self.close = Button(description="All subjects", icon="th", tooltip="back to all subjects")
        self.close.add_class("wb-toggle")
        self.close.on_click(handler(lambda _: self._open(None)))
        self.single = VBox([row(self.close), self.large.view, self.about])
        hide(self.single)
        self._settled: dict[int, tuple[object, Array, Array]] = {}
        self._ghosts: dict[int, Array] = {}
        self._asked: object = None  # the run beside which the others were last fitted
        self._predicted: tuple[object, Array | None] = (None, None)
        self._drawn_of: object = None
        self.view.add_class("wb-individual")
        switches = row(self.order, self.axes, self.time, self.scale, self.zoom, self.lasso, self.whole)
        corner = row(self.response.view, self.caption)
        corner.add_class("wb-corner")
        feet = row(row(self.legend, self.beside), self.pager, spread=True)
        feet.add_class("wb-feet")
        return [corner, switches, self.trellis, self.single, feet, self.table]

    def _tile(self, subject: Callable[[], int | None], press: Callable[[], None], *, titled: bool = False) -> Tile:
        """A tile that shows whoever is at its place; `press`: what its name does."""
        handler = self.state.handler
        return Tile(
            handler(press), handler(lambda: self._select(subject())), handler(self._catch),
            handler(lambda window: self._zoom_to(subject(), window)), titled=titled,
        )  # fmt: skip

    # -- acts --------------------------------------------------------------------------------------------------

    def _lay_beside(self) -> None:
        run = self.state.run
        if self.beside.value and run is not None and self.state.study("beside") is None:
            self._asked = run
            self.ask(studies.beside(self.state, run))
        self._redraw()

    def _turn(self, step: int) -> None:
        if self.alone is not None:
            order = self._order()
            self.alone = order[(order.index(self.alone) + step) % len(order)]
        else:
            self.page += step
        self._redraw()

    def _subject_of(self, tile: int) -> int | None:
        """The place of the subject in a tile; None where it has gone meanwhile."""
        places = self._subjects()
        return places[tile] if tile < len(places) else None

    def _open(self, subject: int | None) -> None:
        """Show one subject alone, or all of them again."""
        self.alone = subject
        self._redraw()

    def _select(self, subject: int | None) -> None:
        data = self.state.data
        if data is not None and subject is not None and not self.lasso.value:
            self.state.select(data.events.subjects[subject])

    def _hold(self, held: bool, other: ToggleButton) -> None:
        """Take a tool up, or put it down; there is one at a time."""
        if held:
            with self.state.quietly():
                other.value = False
        self._hand_out()

    def _hand_out(self) -> None:
        tool = "zoom" if self.zoom.value else "lasso" if self.lasso.value else ""
        for tile in self._tiles():
            tile.hold(tool)

    def _catch(self, records: NDArray[np.int64]) -> None:
        """Mark the observations that a lasso was drawn around."""
        data = self.state.data
        if data is not None:
            rows = data.frame.index[data.events.row[records]].tolist()
            self.state.update(selection=Selection((), tuple(rows)))

    def _zoom_to(self, subject: int | None, window: Window) -> None:
        self._windows[subject if self._own_axes else None] = window
        self._redraw()

    def _see_whole(self) -> None:
        self._windows = {}
        self._redraw()

    @property
    def _own_axes(self) -> bool:
        """Whether each figure has axes of its own."""
        return bool(self.axes.value) or self.alone is not None

    def _redraw(self) -> None:
        with self.state.quietly():
            self._render_data()
            self._render_curves()

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Draw observations where they changed, and the curves."""
        state = self.state
        self.scale.value = state.logarithmic
        self.response.render()
        if state.data is None:
            show_only(self.trellis, [])
            self.pager.layout.display = "none"
            return
        if "data" in changed:
            self.page, self.alone = 0, None
            self._settled = {}
        if changed & {"data", "logarithmic", "response"}:
            self._windows = {}
        if "data" in changed:
            self.axes.value = _differ_in_length(state.data)
        if changed & {"data", "run"}:
            self._offer(state.data)
        if "run" in changed:
            self._ghosts = {i: curve for i, (_, _, curve) in self._settled.items()}
        if changed & {"data", "model"} and not state.is_current:
            self._ghosts = {i: curve for i, (_, _, curve) in self._settled.items()}
        ordered = "run" in changed and self.order.value == "misfit"
        states_other = "model" in changed and self._drawn_of != self._drawn_for()
        anew = changed & {"data", "logarithmic", "response", "selection", "run"} or ordered or states_other
        same_places = not (changed & {"data", "logarithmic", "response"} or ordered)
        if same_places:  # curves first: they are looked at
            self._render_curves_if(changed)
        if anew:
            self._render_data()
        if not same_places:
            self._render_curves_if(changed)
        self._render_beside_switch()

    def _render_curves_if(self, changed: frozenset[str]) -> None:
        if not changed <= {"activity"} or self.beside.value:
            self._render_curves()

    def _drawn_for(self) -> tuple[object, ...]:
        """What observations and axes depend on, of the model: not its values, with which only curves move."""
        model = self.state.model
        return self.state.is_current, None if model is None else model.without_values()

    def _offer(self, data: GroupedData) -> None:
        """The orders that these data allow, and whether there are doses to count time from."""
        options = [("by label", ""), *([("by misfit", "misfit")] if self.state.fit is not None else [])]
        options += [(f"by {name[:24]}", f"covariate {name}") for name in data.covariate_names]
        if list(self.order.options) != options:
            before = self.order.value
            self.order.options = options
            self.order.value = before if before in [value for _, value in options] else ""
        dosed = bool(data.events.is_dose.any())
        hide(self.time, not dosed)
        if not dosed:
            self.time.value = False

    def _order(self) -> list[int]:
        """The places of the subjects in the order that is chosen."""
        data, fit = self.state.data, self.state.fit
        assert data is not None
        chosen, values = str(self.order.value), None
        misfit = fit.subject_ofv if fit is not None and fit.data.hash == data.hash else None
        if chosen.startswith("covariate "):
            values = subject_covariates(data)[chosen.removeprefix("covariate ")].to_numpy()
        order: list[int] = in_order(chosen, data, misfit, values).tolist()
        return order

    def _subjects(self) -> list[int]:
        """The places of the subjects on this page."""
        order = self._order()
        if self.alone is not None and self.alone not in order:
            self.alone = None
        if self.alone is not None:
            return [self.alone]
        self.page = min(max(self.page, 0), max(0, (len(order) - 1) // PER_PAGE))
        return order[self.page * PER_PAGE : (self.page + 1) * PER_PAGE]

    def _tiles(self) -> list[Tile]:
        return [self.large] if self.alone is not None else self.cells

    def _predictions(self) -> Array | None:
        """Individual predictions by record, for what points say of themselves."""
        fit, data = self.state.fit, self.state.data
        if fit is None or data is None or not self.state.is_current:
            return None
        if self._predicted[0] is not fit:
            table, values = fit.table(), np.full(len(data.events.time), np.nan)
            if "IPRED" in table:
                by_row = table["IPRED"][~table.index.duplicated()]
                values = by_row.reindex(data.frame.index[data.events.row]).to_numpy(dtype=float)
            self._predicted = fit, values
        return self._predicted[1]

    def _render_data(self) -> None:
        state, data = self.state, self.state.data
        if data is None:
            return
        self._drawn_of = self._drawn_for()
        places, count = self._subjects(), len(data.events.subjects)
        while self.alone is None and len(self.cells) < len(places):
            at = len(self.cells)
            self.cells.append(
                self._tile(
                    lambda at=at: self._subject_of(at),  # type: ignore[misc]
                    lambda at=at: self._open(self._subject_of(at)),  # type: ignore[misc]
                )
            )
        after, own = bool(self.time.value), self._own_axes
        seen, predicted = state.seen(), self._predictions()
        chosen, label = subjects_at(data, state.selection), data.roles.get("subject", "ID")
        rows = records_at(data, state.selection)
        if state.selection.subjects:
            whole = subjects_at(data, Selection(state.selection.subjects))
            rows = rows | np.repeat(whole, np.diff(data.events.start))
        shown = {i: subject_of(data, i, Timeline(data.events, i, after), seen, rows, predicted) for i in places}
        everybody = None if own else self._everybody(data, seen, after)
        drawn = state.drawn(tuple(places)) if own else None
        for tile, (k, i) in zip(self._tiles(), enumerate(places), strict=False):
            curves = None if drawn is None else (drawn.individual or drawn.population)[k]
            window = self._windows.get(i if own else None)
            tile.cover(data, everybody or shown[i], curves, state.logarithmic, window)
            tile.show_data(f"{label} {data.events.subjects[i]}", shown[i], after_dose=after)
            tile.mark_as(bool(chosen[i]))
        title = response_title(state) or axis_title(data, "response", "response")
        over = "time after dose" if after else ""
        self.caption.value = escaped(f"{title} over {axis_title(data, 'time', 'time', over)}")
        hide(self.whole, not self._windows)
        self._hand_out()
        self._lay_out(places, count)

    def _everybody(self, data: GroupedData, seen: Mask, after: bool) -> Subject:
        """What the shared axes cover: all observations."""
        events = data.events
        time = np.asarray(events.time, dtype=float)
        if after:
            spans = [slice(*pair) for pair in pairwise(events.start.tolist())]
            time = np.concatenate([since_dose(events, span)[0] for span in spans])
            time = np.where(np.isfinite(time), time, 0.0)
        at = np.flatnonzero(seen)
        none = np.zeros(len(at), dtype=bool)
        reach = np.array([0.0 if after else time[at].min(initial=np.inf), time[at].max(initial=0.0)])
        return Subject("", time[at], events.dv[at], none, none, (), at, np.zeros(0), reach)

    def _lay_out(self, places: list[int], count: int) -> None:
        """Tiles that grow where there are few; the pager; one subject alone."""
        single = self.alone is not None
        hide(self.trellis, single)
        hide(self.single, not single)
        if not single:
            across = next(n for most, n in _ACROSS if len(places) <= most)
            arranged = {f"wb-across-{across}", f"wb-down-{-(-len(places) // across)}"}
            for name in {name for name in self.trellis._dom_classes if name[:7] in ("wb-acro", "wb-down")} - arranged:
                self.trellis.remove_class(name)
            for name in sorted(arranged):
                self.trellis.add_class(name)
            show_only(self.trellis, [tile.view for tile in self.cells[: len(places)]])
        start = self.page * PER_PAGE
        self.pager.layout.display = "flex" if count > PER_PAGE or single else "none"
        where = f"{start + 1}–{start + len(places)} of {count}" if not single else ""
        self.where.value = f"<span class='wb-note'>{where}</span>"
        self.back.disabled = not single and start == 0
        self.on.disabled = not single and start + len(places) >= count
        if single:
            self.about.value = self._about_one(places[0])

    def _about_one(self, i: int) -> str:
        """Covariates, parameters, random effects and residuals of a subject."""
        data, fit = self.state.data, self.state.fit
        assert data is not None
        label = data.events.subjects[i]
        cells = [(name, markup.cell(subject_covariates(data)[name].iloc[i])) for name in data.covariate_names]
        rows = [("covariates", ", ".join(f"{name} {value}" for name, value in cells) or "none")]
        if fit is not None and self.state.is_current:
            rows.append(("parameters", _listed(fit.individual.loc[label])))
            if fit.random_effects:
                rows.append(("η", _listed(fit.etas.loc[label])))
            table = fit.table()
            mine = table[table["ID"] == label]
            name = "CWRES" if "CWRES" in mine else "IWRES"
            if name in mine:
                values = ", ".join(markup.signed(float(v), 2) for v in mine[name].tolist()[:40])
                rows.append((name, values))
            rows.append(("OFV", markup.decimals(float(fit.subject_ofv[i]), 2)))
        return markup.table(("", ""), rows)

    def _render_beside_switch(self) -> None:
        run = self.state.run
        usual = run is not None and method_of(run.fit.method).is_mixed and bool(run.fit.random_effects)
        self.beside.disabled = not usual or self.state.activity != ""
        if (
            usual and run is not None and self.beside.value and self.state.activity == ""
            and self.state.is_current and self.state.study("beside") is None and self._asked is not run
        ):  # fmt: skip
            self._asked = run
            self.ask(studies.beside(self.state, run))  # what the switch says holds for a new fit as well

    def _render_curves(self) -> None:
        state, data = self.state, self.state.data
        if data is None:
            return
        places = self._subjects()
        drawn, run = state.drawn(tuple(places)), state.run
        found = state.study("beside") if self.beside.value and state.is_current else None
        legend = _LEGEND + (_BESIDE if found else "") + (_GHOST if self._ghosts and run is not None else "")
        self.legend.value = f"<div class='wb-legend'>{legend}</div>"
        self.table.value = "" if found is None or run is None else _estimates_beside(run.fit, found)
        settled = state.progress is None and state.is_current and run is not None
        after = bool(self.time.value)
        for tile, (k, i) in zip(self._tiles(), enumerate(places), strict=False):
            if drawn is None:
                tile.show_curves(None, *[None] * 5)
                continue
            time, individual = drawn.time[k], known(drawn.individual[k]) if drawn.individual is not None else None
            ghost = self._ghosts.get(i)
            pooled, alone = (None, None) if found is None else _of_subject(found.curves[state.response], i)
            curves = (drawn.population[k], individual, ghost, pooled, alone)
            at, cut = Timeline(data.events, i, after).of_curve(
                time, *(c if c is not None and len(c) == len(time) else None for c in curves)
            )
            tile.show_curves(at, *cut)
            if settled and individual is not None and self.alone is None:
                self._settled[i] = run, time, individual


def _differ_in_length(data: GroupedData) -> bool:
    """Whether most subjects would be a bar on an axis that all share."""
    events = data.events
    spans = [events.time[a:b] for a, b in pairwise(events.start.tolist()) if b > a]
    widths = np.array([float(np.ptp(time)) for time in spans])
    return len(widths) > 1 and float(np.median(widths)) < _SHORT * float(np.ptp(np.concatenate(spans)))


def _of_subject(curves: tuple[list[Array] | None, list[Array] | None], i: int) -> tuple[Array | None, Array | None]:
    pooled, alone = curves
    return None if pooled is None else pooled[i], None if alone is None else known(alone[i])


def _listed(values: Any) -> str:
    return ", ".join(f"{name} {markup.number(float(value))}" for name, value in values.items())


def _estimates_beside(fit: FitResult, found: studies.Beside) -> str:
    """Typical values and residual errors by the three fits, and who could not be fitted alone."""
    rows = []
    values = [{e.name: e.value for e in f.lines} if isinstance(f, FitResult) else {} for f in found.both]
    for e in fit.lines:
        if e.kind in ("iov", "correlation", "share"):
            continue
        rows.append([e.name, markup.number(e.value), *(markup.number(other.get(e.name, np.nan)) for other in values)])
    said = [f for f in found.both if isinstance(f, str)]
    if isinstance(found.alone, FitResult) and found.alone.failures:
        names = [f"{subject}: {reason}" for subject, reason in list(found.alone.failures.items())[:20]]
        more = f" … and {len(found.alone.failures) - 20} more" if len(found.alone.failures) > 20 else ""
        said.append(f"Not fitted alone — {'; '.join(names)}{more}")
    others = [method_of(name) for name in studies.beside_methods()]
    code = "\n".join(f'wb.fit(model, data, method="{method.name}")' for method in others)
    table = markup.table(("", fit.method, *(method.short for method in others)), rows)
    return markup.joined(table, *map(markup.note, said), markup.code(code))
