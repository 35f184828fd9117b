"""Fit: criteria, how the objective goes down, the estimates in full."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ipywidgets import HTML, Widget
from scipy.special import gammaincc

from workbench import markup
from workbench.methods import method_of
from workbench.results.fit import FitResult
from workbench.results.runs import Run
from workbench.results.tables import CALM, HEAD, Estimate
from workbench.ui.figures.sparklines import sparklines
from workbench.ui.figures.time import Trace
from workbench.ui.panels.panel import Panel, heading
from workbench.ui.panels.settings import SettingsRow
from workbench.ui.panels.top import progress_in_words
from workbench.ui.session.changes import changes_between, parent_of

_EXACTNESS = (HEAD.index("RSE %"), HEAD.index("95 % interval"))


class CriteriaPanel(Panel):
    """What the shown fit is worth, and what the last change brought."""

    title = "Criteria"
    follows = frozenset({"run", "runs", "progress"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.text = HTML()
        return [self.text]

    def render(self, changed: frozenset[str]) -> None:
        """Show the running fit, or the shown one."""
        state = self.state
        if state.progress is not None:
            shown = state.run
            against = state.progress.ofv - shown.fit.ofv if shown is not None else math.nan
            self.text.value = _figures(state.progress.ofv, against, math.nan, math.nan, "", "against the run before")
        elif state.run is None:
            self.text.value = _figures(math.nan, math.nan, math.nan, math.nan, "", "")
        else:
            fit, before = state.run.fit, parent_of(state.run, state.runs)
            delta = fit.ofv - before.facts.ofv if before is not None else math.nan
            cause, p = _cause(state.run, before), _chance(delta, state.run, before)
            self.text.value = _figures(fit.ofv, delta, fit.aic, fit.bic, cause, _reason(before, p), better=p < 0.05)


def _figures(ofv: float, delta: float, aic: float, bic: float, cause: str, about: str, *, better: bool = False) -> str:
    """OFV, its last change, AIC and BIC; each has its place from the beginning, so that nothing moves."""
    parts = [("OFV", markup.decimals(ofv, 2, none="–"), "−2 log-likelihood, less a constant: lower is better")]
    parts += [("last change", markup.signed(delta, 2) if math.isfinite(delta) else "–", about)]
    parts += [("AIC", markup.decimals(aic, 1, none="–"), "−2LL + 2 × number of estimates: lower is better")]
    parts += [("BIC", markup.decimals(bic, 1, none="–"), "−2LL + log(n) × number of estimates: lower is better")]
    green = ("last change",) if better else ()
    cells = [
        markup.tag(
            "div", markup.tag("span", name), markup.tag("b", value, class_="wb-better" if name in green else ""),
            title=tip,
        )
        for name, value, tip in parts
    ]  # fmt: skip
    return markup.tag("div", *cells, markup.tag("p", cause), class_="wb-kpi")


def _cause(run: Run, before: Run | None) -> str:
    return "; ".join(changes_between(before, run)) if before is not None else ""


def _chance(delta: float, run: Run, before: Run | None) -> float:
    """p of a gain that more parameters brought, by χ²; NaN where the runs do not compare so."""
    more = run.fit.n_estimated - before.facts.parameters if before is not None else 0
    if before is None or more <= 0 or not delta < 0 or before.facts.method != method_of(run.method).name:
        return math.nan
    return float(gammaincc(more / 2, -delta / 2))


def _reason(before: Run | None, p: float) -> str:
    if before is None:
        return "there is no run before it on these data"
    tested = f"; p {markup.p_value(p)} if that is a special case of this one" if math.isfinite(p) else ""
    return f"against run {before.number}{tested}"


class TracePanel(Panel):
    """The objective by iteration."""

    title = "OFV while fitting"
    follows = frozenset({"run", "progress"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.trace = Trace(150)
        self._points: list[tuple[int, float]] = []
        return [heading(self.title), self.trace.view]

    def render(self, changed: frozenset[str]) -> None:
        """Show the running fit, or the shown one."""
        progress, fit = self.state.progress, self.state.fit
        if progress is not None:
            if self._points and self._points[-1][0] >= progress.iteration:
                self._points = []
            self._points.append((progress.iteration, progress.ofv))
            self.trace.show(self._points)
        else:
            self._points = []
            self.trace.show(fit.trace if fit is not None else ())


class FitPanel(Panel):
    """How it is fitted, and the table of all estimates, live."""

    title = "Estimates"
    follows = frozenset({"run", "progress", "activity", "method", "settings"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.settings = SettingsRow(self.state)
        self.criteria = HTML()
        self.estimates = HTML()
        self.paths = HTML()
        self.starts = HTML()
        self._points: list[tuple[int, float]] = []
        self._values: list[dict[str, float]] = []
        return [
            self.settings.view, self.criteria, self.estimates, self.starts,
            heading("Estimates by iteration"), self.paths,
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
            self.criteria.value = f"<span class='wb-note'>Fitting … {progress_in_words(progress)}</span>"
            rows = [(name, markup.number(value), "", "", "", "") for name, value in progress.parameters.items()]
            self.estimates.value = markup.table(HEAD[:-1], rows)
            at = [iteration for iteration, _ in self._points]
            self.paths.value = sparklines(at, {n: [v[n] for v in self._values] for n in progress.parameters})
            self.starts.value = ""
        elif fit is not None:
            self._points, self._values = [], []
            self.criteria.value = _criteria(fit)
            self.estimates.value = _estimates(fit) + _footnote(fit) + _correlations(fit)
            history = fit.history
            names = [e.name for e in fit.lines if e.name in history and not e.fixed]
            self.paths.value = sparklines(history.index.tolist(), {name: history[name].tolist() for name in names})
            self.starts.value = _starts(fit)
        else:
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
