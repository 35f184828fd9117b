"""Runs: every fit of the session, comparable, and shown again by a click."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from ipywidgets import HTML, Box, Button, Dropdown, Widget

from workbench import markup, screening
from workbench.errors import WorkbenchError
from workbench.methods import method_of
from workbench.results.runs import Run
from workbench.screening import Comparison
from workbench.ui.panels.kept import show_only
from workbench.ui.panels.panel import Panel, note, row
from workbench.ui.session.state import State

_SHOWN = 50
_NO_RUN = 0  # runs are counted from 1; an option of None would be shown as an empty box
_HEAD = ("OFV", "ΔOFV", "AIC", "BIC", "k", "Error", "Random effects", "Method", "Status", "Structure", "Data")


class RunsPanel(Panel):
    """A line per fit, the latest first; and the shown one beside another."""

    title = "Runs"
    follows = frozenset({"runs", "run"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.about = note()
        self.head = HTML(_line(_HEAD))
        self.head.add_class("wb-note")
        self.corner = note("Run")
        self.table = Box()
        self.table.add_class("wb-runs")
        self.buttons: dict[int, Button] = {}
        self._lines: list[Line] = []
        self.other = Dropdown(
            options=[("–", _NO_RUN)], description="Compare the shown run with", style={"description_width": "initial"}
        )
        self.other.observe(self.state.handler(lambda _: self._compare()), "value")
        self.comparison = HTML()
        return [self.about, self.table, row(self.other), self.comparison]

    def render(self, changed: frozenset[str]) -> None:
        """Show the runs."""
        runs = list(self.state.runs)[::-1][:_SHOWN]
        if not runs:
            self.about.value, self.comparison.value = "No fits yet.", ""
            show_only(self.table, [])
            self.other.layout.display = "none"
            return
        self.about.value = (
            "Press a number to have that model and fit back. ΔOFV: above the best of the same data and method."
        )
        while len(self._lines) < len(runs):
            self._lines.append(Line(self.state))
        self.buttons = {}
        for line, run in zip(self._lines, runs, strict=False):
            line.render(run, _line(self._texts(run)))
            self.buttons[run.number] = line.button
        widgets = [widget for line in self._lines[: len(runs)] for widget in (line.button, line.text)]
        show_only(self.table, [self.corner, self.head, *widgets])
        self._offer()
        self._compare()

    def _offer(self) -> None:
        """The runs that the shown one can be compared with."""
        shown, before = self.state.run, self.other.value
        others = [run.number for run in list(self.state.runs)[::-1] if run is not shown]
        options = [("–", _NO_RUN), *((f"run {number}", number) for number in others)]
        if list(self.other.options) != options:
            self.other.options = options
            self.other.value = before if before in others else _NO_RUN
        self.other.layout.display = None if others and shown is not None else "none"

    def _compare(self) -> None:
        shown, number = self.state.run, self.other.value
        if shown is None or number == _NO_RUN:
            self.comparison.value = ""
            return
        first = self.state.runs[number]
        try:
            found = screening.compare(first.fit, shown.fit, names=(f"run {number}", f"run {shown.number}"))
            code = f"wb.compare(bench.runs[{number}].fit, bench.runs[{shown.number}].fit)"
            self.comparison.value = _comparison(found) + markup.code(code)
        except WorkbenchError as error:
            self.comparison.value = f"<p class='wb-note'>{markup.escaped(error)}</p>"

    def _texts(self, run: Run) -> Sequence[str]:
        fit = run.fit
        blocks = ["–".join(block.names) for block in run.model.correlate]
        effects = [*fit.random_effects, *(f"κ {name}" for name in fit.occasion_effects)]
        random = ", ".join(effects) + (f" ({', '.join(blocks)})" if blocks else "")
        return (
            markup.decimals(fit.ofv, 3),
            markup.decimals(self.state.runs.delta_ofv(run), 2),
            markup.decimals(fit.aic, 2),
            markup.decimals(fit.bic, 2),
            str(fit.n_estimated),
            ", ".join(error.title for error in run.model.errors),
            random or "none",
            method_of(fit.method).short,
            fit.status.name.replace("_", " "),
            run.model.structure.title,
            run.data.name,
        )


class Line:
    """One run; the first line shows the latest one."""

    def __init__(self, state: State):
        self._state = state
        self._run: Run | None = None
        self.button, self.text = Button(), HTML()
        self.button.add_class("wb-toggle")
        self.button.on_click(state.handler(lambda _: self._pressed()))

    def _pressed(self) -> None:
        if self._run is not None:
            self._state.restore(self._run)

    def render(self, run: Run, text: str) -> None:
        """Show a run."""
        self._run, shown = run, self._state.run
        self.button.description, self.button.tooltip = str(run.number), f"show run {run.number} again"
        self.button.button_style = "primary" if shown is not None and shown.number == run.number else ""
        self.text.value = text


def _line(texts: Sequence[str]) -> str:
    return markup.tag("div", *(markup.tag("span", text, title=text) for text in texts), class_="wb-run")


def _comparison(found: Comparison) -> str:
    """Criteria, what the second model has other than the first, and the estimates side by side."""
    head = ("", "OFV", "ΔOFV", "df", "p", "AIC", "ΔAIC", "BIC", "ΔBIC")
    table, rows = found.table, []
    first = table.iloc[0]
    for name, line in table.iterrows():
        alike = math.isfinite(line["delta_ofv"])
        rows.append(
            (name, markup.decimals(line["ofv"], 3), markup.decimals(line["delta_ofv"], 2), line["df"],
             markup.short(line["p"], 3) if math.isfinite(line["p"]) else "",
             markup.decimals(line["aic"], 2), markup.decimals(line["aic"] - first["aic"] if alike else math.nan, 2),
             markup.decimals(line["bic"], 2), markup.decimals(line["bic"] - first["bic"] if alike else math.nan, 2))
        )  # fmt: skip
    words = [f"{name}: {'; '.join(what) or 'the same model'}." for name, what in found.differences.items()]
    words += [str(remark) for remark in table["remark"] if remark]
    estimates = _side_by_side(found.parameters, found.names)
    return markup.joined(markup.table(head, rows), markup.paragraphs(words), estimates)


def _side_by_side(parameters: pd.DataFrame, names: Sequence[str]) -> str:
    head = ["", *(cell for name in names for cell in (name, "RSE %"))]
    rows = []
    for label, line in parameters.iterrows():
        cells = [str(label)]
        for name in names:
            estimate, rse = line[(name, "estimate")], line[(name, "rse")]
            cells += [markup.number(estimate) if math.isfinite(estimate) else "", markup.decimals(rse, 1, none="")]
        rows.append(cells)
    return markup.table(head, rows)
