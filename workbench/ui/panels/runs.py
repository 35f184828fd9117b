"""Runs: every fit that was kept, to be found, named, compared, shown again or deleted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ipywidgets import HTML, Box, Button, Checkbox, Dropdown, Text, Widget

from workbench import markup, screening
from workbench.errors import WorkbenchError
from workbench.results.runs import Run
from workbench.screening import Comparison
from workbench.screening.waterfall import waterfall
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import Panel, note, row
from workbench.ui.session.ledger import HEAD, ORDERS, Entry, entries
from workbench.ui.session.streams import WAYS, Written, writing
from workbench.ui.session.whole import new_name, report_of, study_of

_SHOWN = 50
_NO_RUN = 0  # runs are counted from 1; an option of None would be shown as an empty box


class RunsPanel(Panel):
    """A line per fit, the latest first; what can be done with those that are ticked; two or more side by side."""

    title = "Runs"
    follows = frozenset({"runs", "run"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler = self.state.handler
        self.about = note()
        self.wanted = Text(placeholder="words of a line", description="Find", continuous_update=False)
        self.order = Dropdown(options=ORDERS, description="Order")
        for box, width in ((self.wanted, "230px"), (self.order, "150px")):
            box.layout.width, box.style.description_width = width, "38px"
            box.observe(handler(lambda _: self._list()), "value")
        self.name = Text(placeholder="name", description="Name", continuous_update=False, layout={"width": "190px"})
        self.name.style.description_width = "38px"
        self.name.observe(handler(lambda change: self._named(change["new"])), "value")
        self.star = Button(description="★ Star", tooltip="mark the ticked runs with a star, or take it from them")
        self.delete = Button(description="Delete", tooltip="delete the ticked runs; Undo brings them back")
        self.undo = Button(description="Undo", tooltip="bring back the run that was deleted last")
        self.save = Button(description="Save study", icon="save", tooltip="data, model and all runs in one file")
        self.report = Button(
            description="Report", icon="file-text-o",
            tooltip="one HTML page of the shown run, or of the ticked one; others that are ticked are put beside it",
        )  # fmt: skip
        self.export = Dropdown(
            options=[("for …", ""), *((title, way) for way, title in WAYS.items())], description="Export",
            tooltip="write the ticked run, or the shown one, for another tool", layout={"width": "150px"},
            style={"description_width": "44px"},
        )  # fmt: skip
        self.export.observe(handler(lambda change: self._export(change["new"])), "value")
        for button, act in ((self.star, self._star), (self.delete, self._delete), (self.undo, self._undo),
                            (self.save, self._save), (self.report, self._report)):  # fmt: skip
            button.add_class("wb-link")
            button.on_click(handler(lambda _, act=act: act()))
        self.saved = note()
        self.head = HTML(_line(HEAD))
        self.head.add_class("wb-note")
        self.ticks, self.corner, self.noted = note(""), note("run"), note("note")
        self.table = Box()
        self.table.add_class("wb-runs")
        self.buttons: dict[int, Button] = {}
        self.lines: list[Line] = []
        self.ticked: list[int] = []
        self.other = Dropdown(
            options=[("–", _NO_RUN)], description="Compare the shown run with", style={"description_width": "initial"}
        )
        self.other.observe(handler(lambda _: self._compare()), "value")
        self.comparison = HTML()
        self.tools = row(self.wanted, self.order, self.name, self.star, self.delete, self.undo, self.save, self.report,
                         self.export)  # fmt: skip
        self.tools.add_class("wb-run-tools")
        return [self.about, self.tools, self.table, self.saved, row(self.other), self.comparison]

    def render(self, changed: frozenset[str]) -> None:
        """Show the runs."""
        numbers = {run.number for run in self.state.runs}
        self.ticked = [number for number in self.ticked if number in numbers]
        self._list()
        self._offer()
        self._compare()

    # -- the list ----------------------------------------------------------------------------------------------

    def _list(self) -> None:
        state = self.state
        found, count = entries(state.runs, str(self.order.value), self.wanted.value, _SHOWN)
        for widget in (self.table, self.wanted, self.order, self.name, self.star, self.delete, self.save, self.report,
                       self.export):  # fmt: skip
            hide(widget, not len(state.runs))
        self.undo.disabled = not state.runs.deleted
        hide(self.undo, not state.runs.deleted)
        self.about.value = self._said(len(found), count)
        while len(self.lines) < len(found):
            self.lines.append(Line(self))
        self.buttons = {}
        for line, entry in zip(self.lines, found, strict=False):
            line.render(entry)
            self.buttons[entry.run.number] = line.button
        shown = [w for line in self.lines[: len(found)] for w in (line.tick, line.button, line.note, line.text)]
        show_only(self.table, [self.ticks, self.corner, self.noted, self.head, *shown])
        self._tools()

    def _said(self, shown: int, count: int) -> str:
        where = markup.escaped(self.state.runs.where)
        if not len(self.state.runs):
            return f"No fits yet. {where}"
        part = f" {shown} of {count:,} runs are listed; find others by a word." if count > shown else ""
        return f"Press a number to have that model and fit back. ΔOFV is against the run it came from.{part} {where}"

    def _tools(self) -> None:
        """What can be done with those that are ticked."""
        some, one = bool(self.ticked), len(self.ticked) == 1
        self.star.disabled = self.delete.disabled = not some
        self.report.disabled = self.export.disabled = not some and self.state.run is None
        self.name.disabled = not one
        self.name.placeholder = "name" if one else "tick one run"
        self.name.value = self.state.runs[self.ticked[0]].name if one else ""

    def tick(self, number: int, there: bool) -> None:
        """Tick a run, or no longer."""
        self.ticked = [n for n in self.ticked if n != number] + ([number] if there else [])
        with self.state.quietly():
            self._tools()
            self._compare()

    # -- what is done with them --------------------------------------------------------------------------------

    def _named(self, text: str) -> None:
        if len(self.ticked) == 1:
            self.state.update(runs=self.state.runs.changed(self.ticked[0], name=text.strip()))

    def _star(self) -> None:
        runs = self.state.runs
        starred = not all(runs[number].starred for number in self.ticked)
        for number in self.ticked:
            runs = runs.changed(number, starred=starred)
        self.state.update(runs=runs)

    def _delete(self) -> None:
        shown = self.state.run
        gone, self.ticked = self.ticked, []
        runs = self.state.runs.without(*gone)
        if shown is not None and shown.number in gone:
            self.state.update(runs=runs, run=None)
        else:
            self.state.update(runs=runs)

    def _undo(self) -> None:
        self.state.update(runs=self.state.runs.restored())

    def _save(self) -> None:
        path = study_of(self.state).save(new_name("study", "zip"))
        self._wrote(path, f"Open it by wb.Workbench.open({path.name!r}).")

    def _report(self) -> None:
        """Of the one that is ticked, else of the shown one; others that are ticked are put beside it."""
        ticked = [self._run(number) for number in self.ticked]
        run = self._meant(ticked)
        if run is not None:
            words = "It is one page that needs nothing else; print it on A4."
            self.ask(report_of(self.state, run, ticked, lambda path: self._wrote(path, words)))

    def _meant(self, ticked: Sequence[Run]) -> Run | None:
        """The shown run, if none is ticked or it is among those; else the first that is."""
        shown = self.state.run
        return shown if shown is not None and (not ticked or shown in ticked) else ticked[0] if ticked else None

    def _export(self, way: str) -> None:
        """Write a run for another tool; what that cannot say is named."""
        if not way:
            return
        with self.state.quietly():
            self.export.value = ""  # the same may be asked for again
        run = self._meant([self._run(number) for number in self.ticked])
        if run is not None:
            self.ask(writing(run, way, self._written))

    def _written(self, found: Written) -> None:
        self.saved.value = str(markup.paragraphs(found.said.splitlines()))

    def _wrote(self, path: Path, words: str) -> None:
        self.saved.value = markup.escaped(f"Saved as {path.resolve()}. {words}")

    # -- side by side ------------------------------------------------------------------------------------------

    def _offer(self) -> None:
        """The runs that the shown one can be compared with."""
        shown, before = self.state.run, self.other.value
        others = [run.number for run in list(self.state.runs)[::-1] if shown is None or run.number != shown.number]
        options = [("–", _NO_RUN), *((f"run {number}", number) for number in others)]
        if list(self.other.options) != options:
            self.other.options = options
            self.other.value = before if before in others else _NO_RUN
        self.other.layout.display = None if others and shown is not None else "none"

    def _compare(self) -> None:
        """Those that are ticked, if they are several, else the shown one beside the chosen one."""
        shown, numbers = self.state.run, sorted(self.ticked)
        if len(numbers) < 2:
            if shown is None or self.other.value == _NO_RUN:
                self.comparison.value = ""
                return
            numbers = [self.other.value, shown.number]
        try:
            fits = [self._run(number).fit for number in numbers]
            found = screening.compare(*fits, names=[f"run {number}" for number in numbers])
            code = f"wb.compare({', '.join(f'bench.runs[{number}].fit' for number in numbers)})"
            self.comparison.value = _comparison(found) + markup.code(code)
        except WorkbenchError as error:
            self.comparison.value = f"<p class='wb-note'>{markup.escaped(error)}</p>"

    def _run(self, number: int) -> Run:
        shown = self.state.run
        return shown if shown is not None and shown.number == number else self.state.runs[number]


class Line:
    """One run; the first line shows the first of the list."""

    def __init__(self, panel: RunsPanel):
        state = panel.state
        self._panel, self._state = panel, state
        self._run: Run | None = None
        self.tick = Checkbox(indent=False, layout={"width": "20px"})
        self.tick.observe(state.handler(lambda change: self._ticked(change["new"])), "value")
        self.button, self.text = Button(), HTML()
        self.note = Text(placeholder="note", continuous_update=False, layout={"width": "120px"})
        self.note.add_class("wb-quiet")
        self.note.observe(state.handler(lambda change: self._noted(change["new"])), "value")
        self.button.add_class("wb-toggle")
        self.button.on_click(state.handler(lambda _: self._pressed()))

    def _ticked(self, there: bool) -> None:
        if self._run is not None:
            self._panel.tick(self._run.number, there)

    def _noted(self, text: str) -> None:
        if self._run is not None:
            self._state.update(runs=self._state.runs.changed(self._run.number, note=text))

    def _pressed(self) -> None:
        if self._run is not None:
            self._state.restore(self._run)

    def render(self, entry: Entry) -> None:
        """Show a run."""
        run = self._run = entry.run
        shown = self._state.run
        self.button.description, self.button.tooltip = str(run.number), f"show run {run.number} again"
        self.button.button_style = "primary" if shown is not None and shown.number == run.number else ""
        self.text.value = _line(entry.texts, entry.depth)
        self.note.description = f"note on run {run.number}"
        self.note.value = run.note
        self.tick.description = f"tick run {run.number}"
        self.tick.value = run.number in self._panel.ticked


def _line(texts: Sequence[str], depth: int = 0) -> str:
    cells = []
    for k, text in enumerate(texts):
        style = f"padding-left:{14 * min(depth, 12)}px" if k == HEAD.index("what changed") and depth else None
        shown = f"↳ {text}" if style else text
        cells.append(markup.tag("span", shown, title=text, style=style))
    return markup.tag("div", *cells, class_="wb-run")


def _comparison(found: Comparison) -> str:
    """Criteria, what the others have other than the first model, estimates side by side, and what subjects say."""
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
    return markup.joined(markup.table(head, rows), markup.paragraphs(words), estimates, _by_subject(found))


def _by_subject(found: Comparison) -> str:
    """A waterfall for each of the others beside the first."""
    try:
        frame = found.by_subject
    except WorkbenchError as error:
        return markup.note(str(error))
    drawn = []
    for name in found.names[1:]:
        title = f"ΔOFV by subject: {name} less {found.names[0]}"
        drawn += [
            markup.note(title),
            waterfall(list(frame.index), frame[f"Δ {name}"].to_numpy(dtype=np.float64), title),
        ]
    return markup.joined(*drawn)


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
