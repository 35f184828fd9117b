"""NCA, a view of the Data tab: a table of all curves, and one of them with its terminal line, of chosen points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ipywidgets import HTML, Box, Button, Dropdown, VBox

from workbench import markup
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.noncompartmental import Noncompartmental
from workbench.ui.figures.chart import Chart
from workbench.ui.panels.kept import hide
from workbench.ui.panels.panel import note, row, scale_switch
from workbench.ui.session import terminal
from workbench.ui.session.selection import Selection
from workbench.ui.session.state import State
from workbench.ui.session.terminal import Choices

_ROUTES = [("by the records", ""), *((route, route) for route in terminal.ROUTES)]
_NAMES = list(zip(("WinNonlin", "CDISC"), terminal.NAMES, strict=True))
_SHOWN = 200


class NcaView:
    """Choices of the analysis, one curve, its quantities and those of all."""

    def __init__(self, state: State):
        self._state = state
        self._data: GroupedData | None = None
        self.found: Noncompartmental | None = None
        style = {"description_width": "initial"}
        self.trapezoids, self.route, self.blq, self.names = self.inputs = [
            Dropdown(options=options, description=name, style=style, layout={"width": f"{width}px"})
            for name, options, width in (
                ("Trapezoids", terminal.TRAPEZOIDS, 210), ("Route", _ROUTES, 180),
                ("Below the limit", terminal.BLQ, 200), ("Names", _NAMES, 150),
            )
        ]  # fmt: skip
        for choice in self.inputs:
            choice.observe(state.handler(lambda _: self._chosen()), "value")
        self.curve = Dropdown(options=[("", 0)], description="Curve", style=style, layout={"width": "220px"})
        self.curve.observe(state.handler(lambda _: self._turned()), "value")
        self.back, self.on = (
            Button(description=sign, tooltip=f"the {which} curve") for sign, which in (("◀", "last"), ("▶", "next"))
        )
        self.rule = Button(description="By the rule", tooltip="the best adjusted R² chooses the points again")
        for button, act in (
            (self.back, lambda: self._step(-1)),
            (self.on, lambda: self._step(1)),
            (self.rule, self._rule),
        ):
            button.add_class("wb-toggle")
            button.on_click(state.handler(lambda _, act=act: act()))
        self.scale = scale_switch(state)
        self.chart = Chart((), lambda owner, point: state.handler(self._pressed)(point), lambda owner, points: None,
                           height=270, margin=(8, 12, 38, 54), lines=("observed", "model"))  # fmt: skip
        hide(self.chart.kind)
        hide(self.chart.option)
        self.said, self.quantities, self.table, self.code = note(), HTML(), HTML(), HTML()
        hint = note("Press a point to put it on the terminal line, or to take it off.")
        head = row(row(self.curve, self.back, self.on, self.rule), self.scale, spread=True)
        left = VBox([head, self.chart.view, hint])
        self.both = Box([left, self.quantities])
        self.both.add_class("wb-nca")
        self.view = VBox([row(*self.inputs), self.said, self.both, self.table, self.code])
        self.view.add_class("wb-panel")

    @property
    def choices(self) -> Choices:
        """How curves are analysed."""
        return self._state.choices

    # -- acts --------------------------------------------------------------------------------------------------

    def _chosen(self) -> None:
        self._state.choices = Choices(
            self.trapezoids.value, self.route.value or None, self.blq.value, self.names.value, self.choices.terminal
        )
        self._analyse()

    def _turned(self) -> None:
        if self.found is not None:
            subject = self.found.curves[self.curve.value].profile.subject
            self._state.update(selection=Selection((subject,)))
        with self._state.quietly():
            self._draw()

    def _step(self, by: int) -> None:
        count = len(self.curve.options)
        self.curve.value = (self.curve.value + by) % count
        self._turned()

    def _rule(self) -> None:
        if self.found is not None:
            self._state.choices = self.choices.with_terminal(self.found.curves[self.curve.value], None)
            self._analyse()

    def _pressed(self, point: int) -> None:
        if self.found is None or point < 0:
            return
        number = self.curve.value
        time = float(self.found.curves[number].time[point])
        try:
            self._state.choices = terminal.toggled(self.found, number, time, self.choices)
        except WorkbenchError as error:
            with self._state.quietly():
                self._say(str(error))
            return
        self._analyse()

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, data: GroupedData) -> None:
        """Analyse data, where they are others than before; follow what is selected."""
        self.scale.value = self._state.logarithmic
        if data is not self._data:
            before, chosen = self._data, self.choices
            others = before is not None and set(before.events.subjects) != set(data.events.subjects)
            self._state.choices = replace(chosen, terminal=()) if others else chosen
            self._data = data
            stated = self.choices.trapezoids, self.choices.route or "", self.choices.blq, self.choices.names
            for choice, value in zip(self.inputs, stated, strict=True):
                choice.value = value
            self._analyse()
        else:
            self._follow()
            self._draw()

    def _analyse(self) -> None:
        if self._data is None:
            return
        with self._state.quietly():
            try:
                self.found = terminal.analysed(self._data, self.choices)
            except WorkbenchError as error:
                self.found = None
                self._say(str(error))
                for part in (self.both, self.table, self.code):
                    hide(part)
                return
            for part in (self.both, self.table, self.code):
                hide(part, False)
            self._say("")
            labels = [
                " · ".join(map(str, label)) if isinstance(label, tuple) else str(label)
                for label in self.found.table.index
            ]
            options = [(label, k) for k, label in enumerate(labels)]
            if list(self.curve.options) != options:
                self.curve.options = options
                self.curve.value = 0
            self._follow()
            self._draw()
            self._list()

    def _follow(self) -> None:
        """Show a curve of who is selected."""
        chosen = self._state.selection.subjects
        if self.found is None or not chosen:
            return
        owners = [curve.profile.subject for curve in self.found.curves]
        if chosen[0] in owners and owners[self.curve.value] not in chosen:
            self.curve.value = owners.index(chosen[0])

    def _say(self, problem: str) -> None:
        self.said.value = f"<span class='wb-refusal' role='alert'>{markup.escaped(problem)}</span>" if problem else ""
        hide(self.said, not problem)

    def _draw(self) -> None:
        if self.found is None or self._data is None:
            return
        number = self.curve.value
        drawing = terminal.drawing_of(self.found, number, self.choices, self._data.units, self._state.logarithmic)
        self.chart.show(drawing, lambda dots: dots.owner >= 0)
        self.rule.disabled = self.choices.chosen(self.found.curves[number]) is None
        line: Any = self.found.table.iloc[number]
        units, meanings = self.found.units, self.found.meanings
        shown = [name for name in self.found.table.columns if name in self._asked]
        rows = []
        for name in shown:
            about = markup.tag("span", name, title=meanings.get(name, ""))
            rows.append((about, markup.number(float(line[name])), units.get(name, "")))
        self.quantities.value = markup.table(["", "value", "unit"], rows)

    @property
    def _asked(self) -> set[str]:
        """Columns that are shown of one curve, by the names that were asked for."""
        assert self.found is not None
        if self.choices.names == "winnonlin":
            return set(terminal.QUANTITIES)
        by_other = terminal.Choices(self.choices.trapezoids, self.choices.route, self.choices.blq)
        plain = terminal.analysed(self.found.data, by_other).table.columns
        pairs = zip(plain, self.found.table.columns, strict=True) if len(plain) == len(self.found.table.columns) else ()
        return {theirs for name, theirs in pairs if name in terminal.QUANTITIES}

    def _list(self) -> None:
        """The summary, and all curves."""
        assert self.found is not None
        summary = self.found.summary()
        usual = [name for name in self.found.table.columns if name in self._asked and name in summary.index]
        columns = ["n", "geometric mean", "geometric CV", "median", "minimum", "maximum"]
        every = self.found.table[usual].reset_index()
        more = f"<div class='wb-note'>{_SHOWN} of {len(every)} curves</div>" if len(every) > _SHOWN else ""
        self.table.value = "".join([
            f"<div class='wb-note'>{markup.escaped(self.found.sentence)}</div>",
            markup.frame_table(summary.loc[usual, columns].rename_axis("quantity").reset_index(), 4, index=False),
            markup.frame_table(every.head(_SHOWN), 4, index=False), more,
        ])  # fmt: skip
        self.code.value = markup.code(self.found.code)
