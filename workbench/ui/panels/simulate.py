"""Simulate: what new people would have under some regimens, and how many of them meet a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ipywidgets import (
    HTML,
    Box,
    Button,
    Checkbox,
    Dropdown,
    FloatSlider,
    IntSlider,
    Text,
    VBox,
    Widget,
)

from workbench import markup
from workbench.errors import WorkbenchError
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation import FoundDose, Regimen
from workbench.ui.figures.chart import Chart
from workbench.ui.panels.kept import Grid, hide, show_only
from workbench.ui.panels.panel import Panel, Refusal, ResponseSwitch, heading, note, row, scale_switch
from workbench.ui.session import scenario as scenarios
from workbench.ui.session.scenario import LETTERS, Outcome, Scenario
from workbench.ui.session.work import Request

_PEOPLE = [(f"{count:,}", count) for count in scenarios.PEOPLE]
_SHARES = list(
    zip(("always", "90 % of the time", "80 % of the time", "half of the time"), scenarios.SHARES, strict=True)
)
_KEPT = 8


class SimulatePanel(Panel):
    """Regimens as a small table, sliders for the chosen one, a target; curves with bands; who meets the target."""

    title = "Simulate"
    follows = frozenset({"run", "data", "start", "logarithmic", "response", "problem", "activity", "scenario"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        state = self.state
        self.outcome: Outcome | None = None
        self._of: object = None
        self._kept: dict[object, Any] = {}
        self.refusal = Refusal(state, "simulate")
        self.about = note()
        guard = self.refusal.guard
        self.add = Button(description="Add", icon="plus", tooltip="another regimen beside these")
        self.add.add_class("wb-toggle")
        self.add.on_click(guard(lambda _: self._edit(self._stated().with_copy())))
        self.regimens = Grid(self._cell, "wb-regimens")
        self.amount = self._slider("dose", lambda value: self._change(amount=value))
        self.every = self._slider("every", lambda value: self._change(every=value))
        self.times = IntSlider(value=6, min=1, max=40, description="doses", continuous_update=True)
        self.times.observe(guard(lambda change: self._change(times=change["new"])), "value")
        self.loading = self._slider("first dose", lambda value: self._change(loading=value))
        self.infusion = self._slider("infused over", lambda value: self._change(infusion=value))
        self.covariates = VBox()
        self._inputs: dict[str, FloatSlider | Dropdown] = {}
        self.above = self._limit("above", lambda value: self._edit(replace(self._stated(), above=value)))
        self.below = self._limit("below", lambda value: self._edit(replace(self._stated(), below=value)))
        self.auc_above = self._limit("AUC above", lambda value: self._edit(replace(self._stated(), auc_above=value)))
        self.auc_below = self._limit("AUC below", lambda value: self._edit(replace(self._stated(), auc_below=value)))
        self.share = self._choice("held", _SHARES, lambda value: self._edit(replace(self._stated(), share=value)))
        self.share.add_class("wb-quiet")
        self.window = self._choice(
            "judged in", list(scenarios.WINDOWS), lambda value: self._edit(replace(self._stated(), window=value))
        )
        self.people = self._choice(
            "simulated", _PEOPLE, lambda value: self._edit(replace(self._stated(), people=value)), 1000
        )
        self.uncertainty = Checkbox(description="with uncertainty", indent=False)
        self.uncertainty.observe(
            guard(lambda change: self._edit(replace(self._stated(), uncertainty=change["new"]))), "value"
        )
        self.find = Button(description="Find the dose", tooltip="the amount that meets the target in 90 % of people")
        self.find.add_class("wb-toggle")
        self.find.on_click(guard(lambda _: self._find()))
        self.found = note()
        left = VBox([
            row(heading("Regimens"), self.add, spread=True), self.regimens.view, self.amount, self.every, self.times,
            self.loading, self.infusion, heading("Target"), self.above, self.below, self.auc_above, self.auc_below,
            row(self.share, self.window),
            row(self.find, self.found), heading("People"), self.covariates, row(self.people, self.uncertainty),
        ])  # fmt: skip
        left.add_class("wb-scenario")
        lines: Sequence[Any] = ("model", "other", "third", "expected", "target")
        self.chart = Chart((), lambda subject, record: None, lambda owner, record: None, height=330,
                           margin=(8, 12, 40, 54), lines=lines)  # fmt: skip
        hide(self.chart.kind)
        hide(self.chart.option)
        self.scale, self.responses = scale_switch(state), ResponseSwitch(state)
        self.headline, self.verdicts, self.said, self.code = HTML(), HTML(), note(), HTML()
        right = VBox([
            row(self.headline, row(self.responses.view, self.scale), spread=True), self.chart.view, self.verdicts,
            self.said, self.code,
        ])  # fmt: skip
        right.add_class("wb-outcome-of")
        self.body = Box([left, right])
        self.body.add_class("wb-simulate")
        return [self.about, self.refusal.view, self.body]

    def _slider(self, name: str, act: Callable[[float], None]) -> FloatSlider:
        slider = FloatSlider(description=name, min=0.0, max=1.0, readout_format=".4g")
        slider.observe(self.refusal.guard(lambda change: act(float(change["new"]))), "value")
        return slider

    def _limit(self, name: str, act: Callable[[float | None], None]) -> Text:
        box = Text(description=name, placeholder="no limit", continuous_update=False)
        box.observe(self.refusal.guard(lambda change: act(_number(change["new"], name))), "value")
        return box

    def _choice(self, name: str, options: list[Any], act: Callable[[Any], None], value: Any = None) -> Dropdown:
        first = options[0][1] if isinstance(options[0], tuple) else options[0]
        choice = Dropdown(description=name, options=options, value=first if value is None else value,
                          style={"description_width": "initial"})  # fmt: skip
        choice.observe(self.refusal.guard(lambda change: act(change["new"])), "value")
        return choice

    def _cell(self, r: int, c: int) -> Widget:
        if c == 1:
            return HTML()
        button = Button(description=LETTERS[r] if c == 0 else "", icon="" if c == 0 else "times")
        button.add_class("wb-toggle")
        button.tooltip = f"edit regimen {LETTERS[r]}" if c == 0 else f"take regimen {LETTERS[r]} out"
        act = self._choose if c == 0 else self._remove
        button.on_click(self.refusal.guard(lambda _: act(r)))
        return button

    # -- acts --------------------------------------------------------------------------------------------------

    @property
    def scenario(self) -> Scenario | None:
        """What is simulated; None as long as there is nothing to simulate."""
        return self.state.scenario

    def _stated(self) -> Scenario:
        if self.scenario is None:
            raise WorkbenchError("There is nothing to simulate yet: load data and state a model first.")
        return self.scenario

    def _choose(self, number: int) -> None:
        stated = self._stated()
        if number < len(stated.regimens):  # else it was taken out before the press came
            self._edit(replace(stated, chosen=number))

    def _remove(self, number: int) -> None:
        self._edit(self._stated().without(number))

    def _change(self, **changes: Any) -> None:
        """Another regimen in the place of the chosen one."""
        before = self._stated().regimen
        stated = {name: getattr(before, name) for name in ("amount", "every", "times", "infusion", "loading")}
        stated |= changes
        if stated["loading"] == stated["amount"]:
            stated["loading"] = None
        self._edit(self._stated().with_regimen(Regimen(**stated)))

    def _covariate(self, name: str, value: Any) -> None:
        there = {**dict(self._stated().covariates), name: value}
        self._edit(replace(self._stated(), covariates=tuple(there.items())))

    def _edit(self, scenario: Scenario) -> None:
        self.state.scenario = scenario
        with self.state.quietly():
            self._show_stated()
        self._simulate()

    def _find(self) -> None:
        source, scenario = self._source(), self._stated()
        if not scenario.target:
            raise WorkbenchError("State a target first: above, below, or an AUC.")
        if source is None:
            return

        def done(found: FoundDose) -> None:
            with self.state.lock, self.state.quietly():
                self.found.value = markup.escaped(found.sentence)
                if found.met and self.scenario is not None:
                    scaled = self.scenario.regimen.scaled(found.amount / self.scenario.regimen.amount)
                    rounded = replace_amounts(scaled)
                    self.state.scenario = self.scenario.with_regimen(rounded)
                    self._show_stated()
            self._simulate()

        self.ask(Request("The dose that meets the target", lambda report: scenarios.found_dose(source, scenario), done))

    # -- computing ---------------------------------------------------------------------------------------------

    def _source(self) -> FitResult | Model | None:
        """What is simulated: the shown fit, else the model at its initial values."""
        return self.state.fit if self.state.fit is not None else self.state.start

    def _simulate(self) -> None:
        """Simulate what is stated; the latest of it where a slider moves on meanwhile."""
        source, scenario = self._source(), self.scenario
        if source is None or scenario is None:
            return

        def work() -> None:
            try:
                outcome, kept = scenarios.simulated(source, scenario, self._kept)
                problem = ""
            except WorkbenchError as error:
                outcome, kept, problem = None, {}, str(error)
            with self.state.lock, self.state.quietly():
                self._kept = dict(list({**self._kept, **kept}.items())[-_KEPT:])
                if scenario is self.scenario:
                    self._show(outcome, problem)

        if self.state.background is None:
            work()
        else:
            self.state.background("simulation", work)

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Begin anew with another fit; its regimens stay where they can."""
        state = self.state
        self.refusal.render()
        source, data = self._source(), state.data
        model = source.model if isinstance(source, FitResult) else source
        dosed = model is not None and data is not None and scenarios.is_dosed(model, data)
        hide(self.body, not dosed)
        hide(self.about, dosed)
        if model is None or data is None:
            self.about.value = "Load data and state a model first: then regimens can be tried on new people."
            return
        if not dosed:
            self.about.value = (
                "Nothing is dosed in these data, and the model needs no dose: there are no regimens to try."
            )
            return
        self.scale.value = state.logarithmic
        self.responses.render()
        self.find.disabled = state.activity != ""
        if source is not self._of or "response" in changed:
            before, self._of = self.scenario, source
            response = model.structure.responses[min(state.response, len(model.structure.responses) - 1)]
            several = len(model.structure.responses) > 1
            stays = scenarios.usual(model, data) if before is None else scenarios.suited(before, model, data)
            state.scenario = replace(stays, response=response if several else "")
            self._kept = {}
            self._offer(model)
            self._show_stated()
            self._simulate()
        elif "scenario" in changed and self.scenario is not None:
            state.scenario = scenarios.suited(self.scenario, model, data)
            self._show_stated()
            self._simulate()
        elif "logarithmic" in changed and self.outcome is not None:
            self._show(self.outcome, "")

    def _offer(self, model: Model) -> None:
        """Sliders and lists for the covariates of the model."""
        assert self.state.data is not None
        offered = scenarios.covariates_of(model, self.state.data)
        kinetics = model.structure.kinetics
        hide(self.infusion, kinetics is not None and kinetics.absorbs)
        if [name for name, *_ in offered] == list(self._inputs):
            return
        self._inputs = {}
        units = self.state.data.units
        for name, value, low, high, options in offered:
            label = f"{name}, {units[name]}" if units.get(name) else name
            made: FloatSlider | Dropdown
            if options:
                made = Dropdown(options=[(str(o), o) for o in options], value=value, description=label)
            else:
                wide = high - low or abs(high) or 1.0
                made = FloatSlider(
                    value=value, min=min(low, value) if low < 0 else max(0.0, low - 0.5 * wide), max=high + 0.5 * wide,
                    step=_step(wide), description=label, readout_format=".4g",
                )  # fmt: skip
            made.observe(self.refusal.guard(lambda change, name=name: self._covariate(name, change["new"])), "value")
            self._inputs[name] = made
        show_only(self.covariates, list(self._inputs.values()))

    def _show_stated(self) -> None:
        """Bring table and sliders in line with the scenario."""
        scenario, data = self._stated(), self.state.data
        assert data is not None
        regimen, units = scenario.regimen, data.units
        dose_unit, time_unit, unit = (units.get(role, "") for role in ("amount", "time", "response"))
        self.regimens.resize(len(scenario.regimens), 3)
        for k, one in enumerate(scenario.regimens):
            self.regimens.at(k, 1).value = _line(one, dose_unit, time_unit)
            button = self.regimens.at(k, 0)
            (button.add_class if k == scenario.chosen else button.remove_class)("mod-active")
            hide(self.regimens.at(k, 2), len(scenario.regimens) == 1)
        self.add.disabled = len(scenario.regimens) == len(LETTERS)
        every = regimen.every or 1.0
        first = regimen.amount if regimen.loading is None else regimen.loading
        for slider, name, value, unit_of in (
            (self.amount, "dose", regimen.amount, dose_unit), (self.every, "every", every, time_unit),
            (self.loading, "first dose", first, dose_unit),
            (self.infusion, "infused over", regimen.infusion, time_unit),
        ):  # fmt: skip
            slider.description = f"{name}, {unit_of}" if unit_of else name
            _reach(slider, value, regimen.amount if slider in (self.amount, self.loading) else every)
        self.times.value = regimen.times if isinstance(regimen.times, int) else len(regimen.times)
        area = f"{unit}·{time_unit}" if unit and time_unit else ""
        for box, name, limit, of in (
            (self.above, "above", scenario.above, unit), (self.below, "below", scenario.below, unit),
            (self.auc_above, "AUC above", scenario.auc_above, area),
            (self.auc_below, "AUC below", scenario.auc_below, area),
        ):  # fmt: skip
            box.description = f"{name}, {of}" if of else name
            box.value = "" if limit is None else f"{limit:g}"
        self.share.value, self.window.value = scenario.share, scenario.window
        self.people.value, self.uncertainty.value = scenario.people, scenario.uncertainty
        for covariate, stated in scenario.covariates:
            if covariate in self._inputs:
                self._inputs[covariate].value = stated
        self.code.value = markup.code(scenario.code)

    def _show(self, outcome: Outcome | None, problem: str) -> None:
        """Show what came of it; what cannot be simulated is said, and the last figure stays."""
        if outcome is None or self.state.data is None:
            self.said.value = f"<span class='wb-refusal' role='alert'>{markup.escaped(problem)}</span>"
            return
        self.outcome = outcome
        units = self.state.data.units
        self.chart.show(scenarios.drawing_of(outcome, units, self.state.logarithmic), lambda dots: dots.owner >= 0)
        chosen = outcome.scenario.chosen
        who = f"run {self.state.run.number}" if self.state.run is not None else "the initial values"
        title = _line(outcome.scenario.regimen, units.get("amount", ""), units.get("time", ""), short=True)
        people = f"in {outcome.scenario.people:,} people of {who}"
        self.headline.value = f"<h4>{LETTERS[chosen]} · {title} <small class='wb-note'>{people}</small></h4>"
        self.verdicts.value = _verdicts(outcome, units.get("response", ""))
        self.said.value = markup.escaped(scenarios.sentence(outcome))


def _number(text: str, name: str) -> float | None:
    """What was typed; None where nothing was."""
    if not text.strip():
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise WorkbenchError(f"{name}: {text!r} is no number; type one, or nothing for no limit.") from None


def _step(wide: float) -> float:
    """A round step of which a hundred make a width."""
    return markup.rounded(wide / 100, 1)


def _reach(slider: FloatSlider, value: float, usual: float) -> None:
    """Set a slider, which reaches to four times what is usual, and further where it stands at its end."""
    if not slider.max or value >= 0.97 * slider.max or slider.max > 40 * max(usual, value):
        with slider.hold_sync():
            slider.max = markup.rounded(max(4 * usual, 2 * value), 2)
            slider.step = _step(slider.max / 4)
    slider.value = value


def replace_amounts(regimen: Regimen) -> Regimen:
    """The same with amounts of three digits."""
    loading = None if regimen.loading is None else markup.rounded(regimen.loading, 3)
    return Regimen(markup.rounded(regimen.amount, 3), every=regimen.every, times=regimen.times,
                   infusion=regimen.infusion, loading=loading)  # fmt: skip


def _line(regimen: Regimen, dose_unit: str, time_unit: str, *, short: bool = False) -> markup.Html:
    """A regimen in few words."""
    times = regimen.times if isinstance(regimen.times, int) else len(regimen.times)
    words = f"{markup.short(regimen.amount)} {dose_unit} every {markup.short(regimen.every or 0.0)} {time_unit}"
    if regimen.infusion:
        words += f" over {markup.short(regimen.infusion)} {time_unit}"
    if regimen.loading is not None:
        words += f", first {markup.short(regimen.loading)} {dose_unit}"
    if short:
        return markup.escaped(words)
    hours = time_unit.lower() in ("h", "hour", "hours") and regimen.every
    daily = (
        f"{markup.short(regimen.amount * 24.0 / regimen.every)} {dose_unit} a day" if hours and regimen.every else ""
    )
    return markup.joined(
        markup.tag("span", words), markup.tag("small", f"{times} doses" + (f" · {daily}" if daily else ""))
    )


def _verdicts(outcome: Outcome, unit: str) -> str:
    """The table of regimens: how many people meet the target, and what they reach."""
    table, scenario = scenarios.verdicts(outcome), outcome.scenario
    if outcome.within is None:
        return ""
    limits = (scenario.above, scenario.below)
    inside = " … ".join("" if v is None else f"{v:g}" for v in limits).strip() if limits != (None, None) else ""
    heads = ["", f"within {inside} {unit}".strip() if inside and outcome.auc is None else "within the target"]
    heads += ["below", "lowest (90 %)"] if outcome.above is not None else []
    heads += ["above", "highest (90 %)"] if outcome.below is not None else []
    heads += ["AUC (90 %)"] if outcome.auc is not None else []
    rows = []
    for k, line in enumerate(table.to_dict("records")):
        share = f"{100 * line['probability']:.0f} % ± {100 * line['se']:.1f}"
        bar = markup.tag("span", "", class_="wb-share", style=f"--wb-share:{100 * line['probability']:.1f}%")
        cells: list[object] = [LETTERS[k], markup.joined(bar, share, between=" ")]
        for side, name in (("below", "lowest"), ("above", "highest")):
            if side in line:
                ends = f"{markup.short(line[name], 3)} ({markup.interval(line[f'{name}_5'], line[f'{name}_95'], 3)})"
                cells += [f"{100 * line[side]:.0f} %", ends]
        if "auc" in line:
            cells.append(f"{markup.short(line['auc'], 3)} ({markup.interval(line['auc_5'], line['auc_95'], 3)})")
        rows.append(cells)
    return markup.table(heads, rows)
