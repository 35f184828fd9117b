"""Diagnose: is the fit good enough? Six figures that share one selection, each with a sentence that was computed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from ipywidgets import HTML, Box, Button, Dropdown, ToggleButton, ToggleButtons, Widget
from numpy.typing import NDArray

from workbench import markup
from workbench.results.fit import FitResult
from workbench.results.runs import Run
from workbench.ui.figures.chart import Chart
from workbench.ui.panels.kept import hide
from workbench.ui.panels.panel import Panel, Refusal, ResponseSwitch, note, row, scale_switch
from workbench.ui.session import diagnosed
from workbench.ui.session.board import BY_NAME, COMPUTED, KINDS, RESIDUALS, USUAL, Matter, Need
from workbench.ui.session.diagnosed import Check
from workbench.ui.session.drawing import Dots, Index
from workbench.ui.session.selection import Selection, records_at, subjects_at

_BINS = [
    ("automatic", ""), ("5", 5), ("8", 8), ("12", 12), ("k-means, 8", ("kmeans", 8)), ("each time", "distinct"),
    ("none: regression", "none"),
]  # fmt: skip
_X = [("time", "time"), ("after dose", "tad"), ("prediction", "pred")]
_REPLICATES = [("200", 200), ("500", 500), ("1,000", 1000), ("3,000", 3000)]
_EVERYBODY = ("all", "")
_LEVELS = 8
_MOST_SELECTED = 20
_CHECKED = ("check", "censored")


class DiagnosePanel(Panel):
    """A board of six figures; who is selected in a table below, and what the estimates are without it."""

    title = "Diagnose"
    follows = frozenset({"run", "runs", "selection", "response", "studies", "activity", "logarithmic", "problem"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        state, style = self.state, {"description_width": "initial"}
        self._given_up: set[tuple[int, object]] = set()
        self._asked: tuple[int, object] | None = None
        self.refusal = Refusal(state, "diagnose")
        self.about = note()
        self.residual = Dropdown(options=RESIDUALS, description="Residuals", style=style, layout={"width": "150px"})
        self.pick = ToggleButtons(
            options=["subjects", "points"], description="Select", tooltips=["a point marks its subject", "only itself"],
            style={"button_width": "auto"} | style,
        )  # fmt: skip
        self.pick.add_class("wb-switch")
        self.lasso = ToggleButton(description="Lasso", icon="pencil", tooltip="draw around points to mark them")
        self.lasso.add_class("wb-toggle")
        self.scale, self.responses = scale_switch(state), ResponseSwitch(state)
        kind = [("classic", False), ("prediction-corrected", True)]
        choices: list[tuple[str, list[Any], Any, int]] = [
            ("VPC", kind, False, 180), ("over", _X, "time", 120), ("bins", _BINS, "", 150),
            ("within", [_EVERYBODY], "", 130), ("simulations", _REPLICATES, 1000, 150),
        ]  # fmt: skip
        self.corrected, self.x, self.bins, self.within, self.replicates = self.checks = [
            Dropdown(options=options, value=value, description=name, style=style, layout={"width": f"{width}px"})
            for name, options, value, width in choices
        ]
        self.again = Button(description="Compute", tooltip="compute what was cancelled")
        self.again.add_class("wb-toggle")
        self.again.on_click(self.refusal.guard(lambda _: self._compute_again()))
        kinds = [(one.title, one.name) for one in KINDS]
        self.charts = [Chart(kinds, self._pressed, self._lassoed) for _ in USUAL]
        self.fits, self.over_time, self.over_prediction, self.normal, self.effects, self.check = self.charts
        for chart, name in zip(self.charts, USUAL, strict=True):
            chart.kind.value = name
            chart.kind.observe(state.handler(lambda _: self._draw_again()), "value")
            chart.option.observe(state.handler(lambda _: self._draw_again()), "value")
        self.residual.observe(state.handler(lambda _: self._draw_again()), "value")
        self.lasso.observe(state.handler(lambda change: self._hold_lasso(change["new"])), "value")
        for choice in self.checks:
            choice.observe(state.handler(lambda _: self._draw_again()), "value")
        self.board = Box([chart.view for chart in self.charts])
        self.board.add_class("wb-board")
        self.table, self.without = HTML(), HTML()
        self.below = row(self.table, self.without)
        self.below.add_class("wb-below")
        self.choices = row(self.residual, self.responses.view, self.scale, self.pick, self.lasso)
        self.check_choices = row(*self.checks, self.again)
        self.choices.add_class("wb-choices-row")
        self.check_choices.add_class("wb-choices-row")
        return [self.about, self.refusal.view, self.choices, self.check_choices, self.board, self.below]

    # -- acts --------------------------------------------------------------------------------------------------

    def _pressed(self, subject: int, record: int) -> None:
        self.state.handler(self._select)(subject, record)

    def _select(self, subject: int, record: int) -> None:
        fit = self.state.fit
        if fit is None or subject < 0:
            return
        if self.pick.value == "points" and record >= 0:
            label = _labels(fit, np.array([record]))[0]
            chosen = self.state.selection
            there = label in chosen.points
            kept = tuple(p for p in chosen.points if p != label)
            self.state.update(selection=Selection(chosen.subjects, kept if there else (*kept, label)))
        else:
            self.state.select(list(fit.data.events.subjects)[subject])

    def _hold_lasso(self, held: bool) -> None:
        for chart in self.charts:
            chart.hold(held)

    def _lassoed(self, owner: Index, record: Index) -> None:
        self.state.handler(self._select_all)(owner, record)

    def _select_all(self, owner: Index, record: Index) -> None:
        fit = self.state.fit
        if fit is None:
            return
        if self.pick.value == "points" and (record >= 0).any():
            self.state.update(selection=Selection(points=tuple(_labels(fit, record[record >= 0]))))
            return
        labels = list(fit.data.events.subjects)
        chosen = dict.fromkeys(labels[i] for i in owner.tolist() if i >= 0)
        if chosen:
            self.state.update(selection=Selection(tuple(chosen)))

    def _draw_again(self) -> None:
        with self.state.quietly():
            self.render(frozenset({"studies"}))

    def _compute_again(self) -> None:
        self._given_up.clear()
        self._draw_again()

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Draw the shown run; a selection only marks."""
        run = self.state.run
        self.refusal.render()
        for widget in (self.board, self.choices, self.check_choices, self.below):
            hide(widget, run is None)
        if run is None:
            self.about.value = "Fit a model first: what it leaves unexplained is shown here."
            hide(self.about, False)
            return
        self.scale.value = self.state.logarithmic
        self.responses.render()
        if "run" in changed:
            self._offer(run)
        if not changed - {"selection", "problem"}:
            self._mark(run)
        elif not self._compute(run):  # what was computed has been drawn
            self._draw(run)
        self.about.value = _said(run)
        hide(self.about, not self.about.value)
        self.table.value = _selected(run.fit, self.state.selection)
        if changed & {"run", "runs", "selection"}:
            self.without.value = self._without(run)

    def _offer(self, run: Run) -> None:
        there = [name for name in RESIDUALS if name in run.fit.table().columns or name in COMPUTED]
        there = there if diagnosed.is_population(run.fit) else ["IWRES"]
        if list(self.residual.options) != there:
            before = self.residual.value
            self.residual.options = there
            self.residual.value = before if before in there else there[0]
        within = [_EVERYBODY, *((name, name) for name in _categories(run))]
        if list(self.within.options) != within:
            before = self.within.value
            self.within.options = within
            self.within.value = before if before in [value for _, value in within] else ""

    @property
    def chosen_check(self) -> Check:
        """What was chosen of the visual predictive check."""
        corrected, x, bins, within, replicates = (choice.value for choice in self.checks)
        return Check(corrected, x, None if bins == "" else bins, within, replicates)

    def _needed(self, run: Run) -> list[Need]:
        """What the figures that are shown wait for."""
        check = self.chosen_check
        matter, found = self._matter(run), diagnosed.found_of(self.state)
        needed = dict.fromkeys(need for chart in self.charts for need in BY_NAME[chart.kind.value].needs(matter))
        return [need for need in needed if diagnosed.key_of(need, check) not in found]

    def _compute(self, run: Run) -> bool:
        """Compute what is needed and quick, have the first of the others computed; whether something was."""
        check = self.chosen_check
        needed = self._needed(run)
        quick = [need for need in needed if diagnosed.is_quick_to(need, run, check)]
        if quick:
            before = diagnosed.found_of(self.state)
            found = {diagnosed.key_of(n, check): diagnosed.computed(n, run, check, before) for n in quick}
            diagnosed.keep(self.state, run, found)
            return True
        waiting = [(need, (run.number, diagnosed.key_of(need, check))) for need in needed]
        if self.state.activity == "" and self._asked is not None:
            if self._asked in [key for _, key in waiting]:
                self._given_up.add(self._asked)  # it was stopped before there was anything to keep
            self._asked = None
        for need, key in waiting:
            if self.state.activity == "" and key not in self._given_up:
                self._asked = key
                self.ask(diagnosed.request(self.state, run, need, check))
                break
        hide(self.again, not any(key in self._given_up for _, key in waiting))
        return False

    def _matter(self, run: Run) -> Matter:
        return diagnosed.matter_of(self.state, run, self.residual.value, self.chosen_check)

    def _draw(self, run: Run) -> None:
        matter, marked = self._matter(run), self._marked(run.fit)
        for chart in self.charts:
            kind = BY_NAME[chart.kind.value]
            options = list(kind.options(matter)) or [""]
            if list(chart.option.options) != options:
                before = chart.option.value
                chart.option.options = options
                chart.option.value = before if before in options else options[0]
            hide(chart.option, len(options) < 2)
            chart.show(kind.draw(matter, chart.option.value), marked)
        hide(self.check_choices, not any(chart.kind.value in _CHECKED for chart in self.charts))

    def _marked(self, fit: FitResult) -> partial[NDArray[np.bool_]]:
        chosen = self.state.selection.within(fit.data)
        return partial(
            _mask, subjects_at(fit.data, Selection(chosen.subjects)), subjects_at(fit.data, chosen),
            records_at(fit.data, chosen),
        )  # fmt: skip

    def _mark(self, run: Run) -> None:
        marked = self._marked(run.fit)
        for chart in self.charts:
            chart.mark(marked)

    def _without(self, run: Run) -> str:
        """Estimates of the run before something was left out beside those of this one; or what a step predicts."""
        before = diagnosed.before_exclusion(self.state)
        chosen = self.state.selection.within(run.data)
        parts = []
        if before is not None:
            parts.append(_compared(before, run))
        if chosen.subjects and diagnosed.is_population(run.fit):
            parts.append(_predicted(run.fit, chosen))
        return "".join(parts)


def _mask(
    subjects: NDArray[np.bool_], touched: NDArray[np.bool_], records: NDArray[np.bool_], dots: Dots
) -> NDArray[np.bool_]:
    """Which points are marked: those of selected subjects, selected ones, and subjects who have one of these."""
    found = np.zeros(len(dots.owner), dtype=bool)
    somebody, observed = dots.owner >= 0, dots.row >= 0
    found[somebody & observed] = subjects[dots.owner[somebody & observed]]
    found[somebody & ~observed] = touched[dots.owner[somebody & ~observed]]
    found[observed] |= records[dots.row[observed]]
    return found


def _labels(fit: FitResult, records: Index) -> list[Any]:
    """Labels of the rows of records."""
    labels = fit.data.frame.index[fit.data.events.row[records]]
    return [label.item() if isinstance(label, np.generic) else label for label in labels]


def _categories(run: Run) -> list[str]:
    """Covariates of few values."""
    names = tuple(run.data.covariate_names)
    values: pd.DataFrame = run.data.covariate_values(names)
    return [name for name in names if 1 < values[name].nunique() <= _LEVELS and not values[name].isna().any()]


def _said(run: Run) -> str:
    """What is to be known before the figures are believed."""
    if run.fit.converged:
        return ""
    return markup.escaped(f"The fit has no minimum to judge: {run.fit.status.value}")


def _selected(fit: FitResult, selection: Selection) -> str:
    """A line for each selected subject, and for each selected observation; what selects them, as code."""
    labels = list(fit.data.events.subjects)
    chosen = selection.within(fit.data)
    if not chosen:
        return ""
    table, parts = fit.table(), []
    name = "CWRES" if "CWRES" in table else "IWRES"
    rows = []
    for label in [label for label in chosen.subjects if label in labels][:_MOST_SELECTED]:
        mine = table[table["ID"] == label]
        cells = [label, *(markup.number(float(v)) for v in fit.individual.loc[label])]
        cells += [markup.signed(float(v), 2) for v in fit.etas.loc[label]] if len(fit.random_effects) else []
        size = mine[name].abs() if name in mine else pd.Series(dtype=float)
        far = "–"
        if size.notna().any():
            when = markup.short(float(mine["TIME"].iloc[int(np.nanargmax(size.to_numpy(dtype=float)))]))
            far = f"{markup.decimals(float(size.max()), 2)} at {when}"
        rows.append([*cells, far, markup.decimals(float(fit.subject_ofv[labels.index(label)]), 2)])
    effects = [f"η {name}" for name in fit.random_effects]
    if rows:
        parts.append(markup.table(["subject", *fit.individual.columns, *effects, f"largest |{name}|", "OFV"], rows))
    if chosen.points:
        columns = [c for c in ("ID", "TIME", "DV", "PRED", "IPRED", name) if c in table]
        some = table.loc[table.index.isin(list(chosen.points)), columns].head(_MOST_SELECTED)
        parts.append(markup.frame_table(some.rename_axis("row").reset_index(), 4, index=False))
    parts.append(markup.code(f"bench.selection = {chosen.to_dict()!r}"))
    return "".join(parts)


def _predicted(fit: FitResult, chosen: Selection) -> str:
    """Estimates without the selected subjects by one Newton step."""
    found = diagnosed.stepped(fit, Selection(chosen.subjects))
    who = Selection(chosen.subjects).in_words()
    if isinstance(found, str):
        return f"<p class='wb-note'>{markup.escaped(f'Without {who}: {found}')}</p>"
    rows = _changes([(e.name, e.value, e.se, found.get(e.name, np.nan)) for e in fit.lines if not e.fixed])
    title = markup.escaped(f"Without {who}, by one Newton step; “Leave out and refit” fits it")
    return f"<h4>{title}</h4>{markup.table(['', 'with', 'without', 'change', 'in SE'], rows)}"


def _compared(before: Run, run: Run) -> str:
    """Old and new estimates side by side."""
    new = {e.name: e.value for e in run.fit.lines}
    rows = _changes([(e.name, e.value, e.se, new.get(e.name, np.nan)) for e in before.fit.lines if not e.fixed])
    out = "; ".join(str(step) for step in run.data.history[len(before.data.history) :])
    title = markup.escaped(f"Run {before.number} and run {run.number}, without what was left out: {out}")
    heads = ["", f"run {before.number}", f"run {run.number}", "change", "in SE"]
    return f"<h4>{title}</h4>{markup.table(heads, rows)}"


def _changes(lines: Sequence[tuple[str, float, float, float]]) -> list[list[str]]:
    """Rows of name, old, new, change in per cent and in standard errors."""
    rows = []
    for name, old, se, new in lines:
        share = f"{markup.signed(100 * (new / old - 1), 1)} %" if old and np.isfinite(new) else ""
        apart = markup.signed((new - old) / se, 2) if se and np.isfinite(se) else ""
        rows.append([name, markup.number(old), markup.number(new), share, apart])
    return rows
