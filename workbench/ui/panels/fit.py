"""Fit: method, Fit and Cancel; how the objective goes down; the estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import HTML, Box, Button, Checkbox, Dropdown, Widget

from workbench import markup
from workbench.methods import METHODS, method_of
from workbench.results.fit import FitResult, Progress
from workbench.results.tables import CALM, HEAD, Estimate
from workbench.ui.figures.sparklines import sparklines
from workbench.ui.figures.time import Trace
from workbench.ui.panels.panel import Panel, heading
from workbench.ui.panels.settings import SettingsRow
from workbench.ui.session.state import State
from workbench.ui.session.work import Portion

_EXACTNESS = (HEAD.index("RSE %"), HEAD.index("95 % interval"))


class FitControls(Panel):
    """The bar at the top: what is at hand, Fit, Cancel, and one line that says what is going on."""

    follows = frozenset(
        ["data", "draft", "model", "start", "seeking", "method", "settings", "live", "run", "progress", "portion",
         "task", "activity", "problem", "ready"]
    )  # fmt: skip

    def __init__(self, state: State, fit: Callable[[], None], cancel: Callable[[], None]):
        super().__init__(state)
        self._fit, self._cancel = fit, cancel

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler = self.state.handler
        self.summary = HTML()
        self.summary.add_class("wb-summary")
        self.method = Dropdown(
            options=_offered(),
            description="Method", style={"description_width": "52px"},
        )  # fmt: skip
        self.fit = Button(description="Fit", icon="play", button_style="primary", tooltip="estimate the model")
        self.cancel = Button(description="Cancel", icon="stop", tooltip="stop at the best values found so far")
        self.live = Checkbox(
            description="Auto-refit", indent=False, layout={"width": "auto"},
            tooltip="fit again whenever structure, random effects, error, method or data change",
        )  # fmt: skip
        actions = Box([self.method, self.fit, self.cancel, self.live])
        actions.add_class("wb-actions")
        head = Box([self.summary, actions])
        head.add_class("wb-head")
        self.status = HTML()
        self.method.observe(handler(lambda change: self._choose(change["new"])), "value")
        self.live.observe(handler(lambda change: self.state.update(live=change["new"])), "value")
        self.fit.on_click(handler(lambda _: self._fit()))
        self.cancel.on_click(handler(lambda _: self._cancel()))
        return [head, self.status]

    def render(self, changed: frozenset[str]) -> None:
        """Show the bar."""
        state = self.state
        if "data" in changed:
            self.summary.value = _summary(state.data)
        method = method_of(state.method)
        if self.method.options != _offered():
            self.method.options = _offered()
        if method.name != self.method.value:
            self.method.value = method.name
        self.method.tooltip = method.title
        self.live.value = state.live
        self.fit.disabled = state.data is None or state.model is None or bool(state.locked)
        self.cancel.disabled = state.activity not in ("fitting", "working")
        kind, text = self._sentence()
        self.status.value = f"<div class='wb-status {kind}' role='status'><div class='wb-said'>{text}</div></div>"

    def _choose(self, name: str) -> None:
        if name != method_of(self.state.method).name:  # else its options would be lost
            self.state.update(method=name)

    def _sentence(self) -> tuple[str, str]:
        """Kind and HTML of the status line."""
        state = self.state
        if state.activity == "compiling":
            return "busy", "Compiling, the first time only: this takes some seconds. What you do meanwhile is not lost."
        if state.activity in ("fitting", "working", "stopping"):
            what = "Stopping" if state.activity == "stopping" else markup.escaped(state.task or "Fitting")
            return "busy", f"{what} … {_portion(state.portion) if state.task else _progress(state.progress)}"
        if state.seeking:
            return "busy", "Computing start values … New equations are compiled first, which takes some seconds."
        if state.problem:
            return "bad", markup.said(state.problem)
        if state.locked:
            return "bad", f"<b>Locked.</b> {markup.escaped(state.locked)}"
        if state.data is None:
            return "", "Upload data or choose an example in the Data panel."
        if state.run is None:
            return "", "Check the initial values against the data, then press Fit."
        fit = state.run.fit
        kind = "good" if fit.status.ok and not fit.message else "fair"
        head = f"<b>Run {state.run.number}</b> · OFV <b>{markup.decimals(fit.ofv, 3)}</b>"
        tail = f"{len(fit.trace) - 1} iterations · {markup.duration(fit.seconds)}"
        changed = "" if state.is_as_stated else " Model, method or settings have changed since."
        words = markup.escaped(fit.said)
        return kind, f"{head} · {tail} — {words}{changed}"


def _offered() -> tuple[tuple[str, str], ...]:
    """The methods of the menu, each with its name."""
    return tuple((method.short, name) for name, method in METHODS.items())


def _progress(progress: Progress | None) -> str:
    if progress is None:
        return ""
    parts = [f"iteration {progress.iteration}"]
    if progress.total and progress.done != progress.iteration:
        parts = [f"starting point {progress.done + 1} of {progress.total}", *parts]
    elif progress.total:
        parts = [f"iteration {progress.iteration} of {progress.total}"]
    parts += [f"OFV {markup.decimals(progress.ofv, 3)}", markup.duration(progress.seconds)]
    return " · ".join([*parts, *_left(Portion(progress.done, progress.total, progress.seconds))])


def _portion(portion: Portion | None) -> str:
    if portion is None:
        return ""
    parts = [f"{portion.done:,} of {portion.total:,}" if portion.total else f"{portion.done:,} fits"]
    parts.append(markup.duration(portion.seconds))
    return " · ".join([*parts, *_left(portion)])


def _left(portion: Portion) -> list[str]:
    """How long the rest will take, where that is known and worth saying."""
    known = portion.seconds > 1 and math.isfinite(portion.left) and portion.done < portion.total
    return [f"about {max(1, round(portion.left))} s left"] if known else []


def _summary(data: Any) -> str:
    if data is None:
        return "<b>Workbench</b>"
    events = data.events
    counts = f"{len(events.subjects)} subjects · {int(events.observed.sum())} observations"
    return f"<b>{markup.escaped(data.name)}</b><span>{counts}</span>"


class FitPanel(Panel):
    """The objective by iteration and the table of estimates, both live."""

    title = "Fit"
    follows = frozenset({"run", "progress", "activity", "method", "settings"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.settings = SettingsRow(self.state)
        self.criteria = HTML()
        self.trace = Trace()
        self.estimates = HTML()
        self.paths = HTML()
        self.starts = HTML()
        self._points: list[tuple[int, float]] = []
        self._values: list[dict[str, float]] = []
        return [
            self.settings.view, self.criteria, self.estimates, self.starts,
            heading("Objective by iteration"), self.trace.view, heading("Estimates by iteration"), self.paths,
        ]  # fmt: skip

    def render(self, changed: frozenset[str]) -> None:
        """Show the running fit, or the shown one."""
        progress, fit = self.state.progress, self.state.fit
        if changed & {"method", "settings"}:
            self.settings.render()
        if not changed - {"method", "settings"}:
            return
        if progress is not None:
            if self._points and self._points[-1][0] >= progress.iteration:
                self._points, self._values = [], []
            self._points.append((progress.iteration, progress.ofv))
            self._values.append(progress.parameters)
            self.trace.show(self._points)
            self.criteria.value = f"<span class='wb-note'>Fitting … {_progress(progress)}</span>"
            rows = [(name, markup.number(value), "", "", "", "") for name, value in progress.parameters.items()]
            self.estimates.value = markup.table(HEAD[:-1], rows)
            at = [iteration for iteration, _ in self._points]
            self.paths.value = sparklines(at, {n: [v[n] for v in self._values] for n in progress.parameters})
            self.starts.value = ""
        elif fit is not None:
            self._points, self._values = [], []
            self.trace.show(fit.trace)
            self.criteria.value = _criteria(fit)
            self.estimates.value = _estimates(fit) + _footnote(fit) + _correlations(fit)
            history = fit.history
            names = [e.name for e in fit.lines if e.name in history and not e.fixed]
            self.paths.value = sparklines(history.index.tolist(), {name: history[name].tolist() for name in names})
            self.starts.value = _starts(fit)
        else:
            self.trace.show(())
            self.criteria.value = "<span class='wb-note'>Nothing has been fitted yet.</span>"
            self.estimates.value = markup.table(HEAD[:-1], [])
            self.paths.value = self.starts.value = ""


def _criteria(fit: FitResult) -> str:
    values = zip(("OFV", "−2LL", "AIC", "BIC"), fit.criteria, strict=True)
    cells = " · ".join(f"{name} <b>{markup.decimals(value, 3 if name == 'OFV' else 2)}</b>" for name, value in values)
    title = method_of(fit.method).title
    return (
        f"{cells}<br><span class='wb-note'>{markup.escaped(fit.model.structure.title)}, {markup.escaped(title)}</span>"
    )


def _estimates(fit: FitResult) -> str:
    head, *rows = fit.rows(CALM, units=False)
    return markup.table(head, [_marked(row, line) for row, line in zip(rows, fit.lines, strict=True)])


def _marked(row: Sequence[str], line: Estimate) -> list[object]:
    """A row of estimates; what says that one is hardly known is amber."""
    return [
        markup.tag("span", cell, class_="wb-doubt", title=line.doubt) if line.doubt and k in _EXACTNESS else cell
        for k, cell in enumerate(row)
    ]


def _footnote(fit: FitResult) -> str:
    return markup.note(f"Standard errors: {fit.se_reason}") if fit.se_reason else ""


def _starts(fit: FitResult) -> str:
    """Where several starting points ended, folded away."""
    if not fit.tried:
        return ""
    lowest = min(start.ofv for start in fit.tried if math.isfinite(start.ofv))
    reached = sum(start.ofv < lowest + 0.01 for start in fit.tried)
    rows = [
        (start.number, markup.decimals(start.initial_ofv, 3), markup.decimals(start.ofv, 3),
         start.status.replace("_", " "), start.iterations)
        for start in sorted(fit.tried, key=lambda start: (not math.isfinite(start.ofv), start.ofv))
    ]  # fmt: skip
    table = markup.table(("start", "OFV there", "OFV at the end", "how it ended", "iterations"), rows)
    return markup.folded(f"{len(fit.tried)} starting points; {reached} reached the lowest OFV", table)


def _correlations(fit: FitResult) -> str:
    """The correlation of the estimates, folded away; strong ones are bold."""
    matrix = fit.correlation
    if matrix is None:
        return ""
    names = list(matrix.index)
    rows = []
    for k, name in enumerate(names):
        values = matrix.to_numpy()[k, :k].tolist()
        texts = [markup.decimals(v, 2) for v in values]
        cells = [markup.tag("b", text) if abs(v) > 0.9 else text for v, text in zip(values, texts, strict=True)]
        rows.append([name, *cells, "1", *[""] * (len(names) - k - 1)])
    summary = f"Correlation of the estimates · condition number {markup.number(fit.condition_number, 3)}"
    return markup.folded(summary, markup.table(["", *names], rows))
