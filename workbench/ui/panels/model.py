"""Model: structure, parameters with their initial values and random effects; the typical curves that they give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ipywidgets import (
    HTML,
    Box,
    Button,
    Checkbox,
    Dropdown,
    FloatText,
    IntSlider,
    ToggleButton,
    Widget,
)

from workbench.data import derived_unit
from workbench.model import PK, Model, Parameter, ParameterInfo, pk
from workbench.ui import markup
from workbench.ui.figures import Overlay, drawn_of
from workbench.ui.panels.panel import Panel, heading, note, row, scale_switch
from workbench.ui.state import State

_NONE = ""  # a Dropdown takes None for nothing chosen
_CHOICES = {
    "absorption": ("Absorption", [("none (iv bolus)", _NONE), ("first-order", "first-order")]),
    "parameters": ("Parameters", [("clearance: CL, V", "clearance"), ("rate: k, V", "rate")]),
}
_DECADES = 0.7  # a slider reaches from a fifth to five times the value in its middle
_REACH = 350  # steps to either side; whole steps, so that the browser reports what it was told and nothing else
_MOST_PAIRS = 10


class ParameterRow:
    """The widgets of one parameter: typical value, slider, random effect, its SD, fixed."""

    def __init__(self, name: str, meaning: str, transform: str, state: State):
        self.name = name
        self._state = state
        self.value = FloatText(
            description=name, style={"description_width": "34px"}, tooltip=f"typical value of {name}: {meaning}"
        )
        self._logarithmic = transform == "log"
        self._centre = self._slid_to = math.nan
        self.slider = IntSlider(
            min=-_REACH,
            max=_REACH,
            readout=False,
            description=f"slide {name}",
            tooltip=f"slide {name}, by steps of 0.5 %",
        )
        self.random = Checkbox(indent=False, description=f"random effect of {name}", tooltip=f"random effect of {name}")
        self.spread = FloatText(description=f"SD of η of {name}", tooltip=f"standard deviation of η of {name}")
        self.fixed = Checkbox(indent=False, description=f"fix {name}", tooltip=f"keep {name} at its value")
        self.meaning = note(markup.escaped(meaning))
        self.meaning.add_class("wb-meaning")
        for widget in (self.slider, self.random, self.spread, self.fixed):
            widget.add_class("wb-quiet")
        self.widgets = [self.value, self.slider, self.random, self.spread, self.fixed, self.meaning]
        handler = state.handler
        self.value.observe(handler(lambda change: self._edit_value(change["new"])), "value")
        self.slider.observe(handler(lambda change: self._slid(change["new"])), "value")
        self.random.observe(handler(self._random_changed), "value")
        self.spread.observe(handler(lambda change: self._edit_value(change["new"], "iiv")), "value")
        self.fixed.observe(handler(self._fixed_changed), "value")

    def _slid(self, position: int) -> None:
        if math.isnan(self._centre):
            return
        share = position / _REACH
        if self._logarithmic:
            value = self._centre * 10 ** (share * _DECADES)
        else:
            value = self._centre + share * 2 * max(abs(self._centre), 0.1)
        self._slid_to = markup.rounded(value, 4)
        self._edit_value(self._slid_to)

    def _edit_value(self, value: float, field: str = "value") -> None:
        model = self._state.complete_model()
        self._state.update(model=model.with_parameter(self.name, **{field: value}))

    def _random_changed(self, change: Any) -> None:
        model = self._state.stated_model()
        self._state.update(model=model.with_parameter(self.name, iiv=True if change["new"] else None))

    def _fixed_changed(self, change: Any) -> None:
        model = self._state.complete_model()
        self._state.update(model=model.with_parameter(self.name, fixed=bool(change["new"])))

    def render(self, parameter: Parameter) -> None:
        """Show a parameter."""
        value = parameter.value
        for widget in (self.value, self.slider, self.fixed):
            widget.disabled = value is None
        if value is not None:
            self.value.value = markup.rounded(value, 4)
            self._place(value)
        self.random.value = parameter.iiv is not None
        self.random.disabled = parameter.column is not None
        known = parameter.iiv is not None and parameter.iiv is not True
        self.spread.disabled = not known
        self.spread.layout.visibility = "visible" if parameter.iiv is not None else "hidden"
        if known:
            self.spread.value = markup.rounded(float(parameter.iiv or 0), 4)
        self.fixed.value = parameter.fixed

    def _place(self, value: float) -> None:
        """Put the slider back to its middle, unless the value comes from it."""
        if value not in (self._slid_to, self._centre):
            self._centre = value
        if value == self._centre:
            self.slider.value, self._slid_to = 0, math.nan


class ModelPanel(Panel):
    """What the model states, editable; the values of a model that does not state them are found from the data."""

    title = "Model"
    follows = frozenset({"model", "start", "data", "run"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.view.add_class("wb-card")
        handler = self.state.handler
        self.choices = {}
        for field, (label, options) in _CHOICES.items():
            choice = Dropdown(
                options=options, description=label, style={"description_width": "76px"}, layout={"width": "236px"}
            )
            choice.observe(handler(lambda change, field=field: self._structure_chosen(field, change["new"])), "value")
            self.choices[field] = choice
        self.other = HTML()
        self.rows: dict[str, ParameterRow] = {}
        self._rows_for: tuple[Any, ...] = ()
        self.table = Box()
        self.table.add_class("wb-parameters")
        self.automatic = Button(
            description="Automatic initial values", tooltip="find all values from the data", layout={"width": "auto"}
        )
        self.from_fit = Button(
            description="Start from estimates", tooltip="take the estimates of the shown fit as initial values",
            layout={"width": "auto"},
        )  # fmt: skip
        self.automatic.on_click(handler(lambda _: self._automatic()))
        self.from_fit.on_click(handler(lambda _: self._take_estimates()))
        self.correlate = Box()
        self.correlate.add_class("wb-row")
        self._pairs: dict[tuple[str, str], ToggleButton] = {}
        self._pairs_of: tuple[str, ...] | None = None
        return [
            heading("Model"),
            *self.choices.values(),
            self.other,
            self.table,
            row(self.automatic, self.from_fit),
            self.correlate,
        ]

    # -- edits -------------------------------------------------------------------------------------------------

    def _structure_chosen(self, field: str, value: Any) -> None:
        model = self.state.stated_model()
        structure = model.structure
        if not isinstance(structure, PK):
            return
        now = {name: getattr(structure, name) for name in ("compartments", *_CHOICES)}
        self.state.update(model=model.with_structure(pk(**{**now, field: None if value == _NONE else value})))

    def _automatic(self) -> None:
        model = self.state.stated_model()
        for p in model.parameters:
            if p.column is None and not p.fixed:
                model = model.with_parameter(p.name, value=None, iiv=p.iiv is not None)
        self.state.update(model=model.with_error(type(model.error)()))

    def _take_estimates(self) -> None:
        if self.state.fit is not None:
            self.state.update(model=self.state.fit.model)

    def _pair_toggled(self, change: Any) -> None:
        chosen = [pair for pair, button in self._pairs.items() if button.value]
        self.state.update(model=self.state.stated_model().with_correlate(connected(chosen)))

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show the model, with the values that a fit starts from."""
        model = self.state.start or self.state.model
        self.from_fit.disabled = self.state.fit is None or self.state.fit.model == self.state.model
        self.automatic.disabled = model is None
        for field, choice in self.choices.items():
            choice.disabled = model is None or not isinstance(model.structure, PK)
            if model is not None and isinstance(model.structure, PK):
                value = getattr(model.structure, field)
                choice.value = _NONE if value is None else value
        if model is None:
            self.table.children = self.correlate.children = ()
            self._rows_for, self._pairs_of = (), None
            return
        foreign = not isinstance(model.structure, PK)
        self.other.value = f"<pre class='wb-code'>{markup.escaped(repr(model))}</pre>" if foreign else ""
        self._render_rows(model)
        self._render_pairs(model)

    def _render_rows(self, model: Model) -> None:
        transforms = {p.name: p.transform for p in model.parameters}
        units = self.state.data.units if self.state.data is not None else {}
        rows_for = (model.structure.info, tuple(transforms.items()), tuple(sorted(units.items())))
        if rows_for != self._rows_for:
            self._rows_for = rows_for
            meanings = {info.name: _meaning(info, units) for info in model.structure.info}
            self.rows = {
                p.name: ParameterRow(p.name, meanings[p.name], p.transform, self.state) for p in model.parameters
            }
            head = [note("initial value"), note(), note("η"), note("SD of η"), note("fix")]
            self.table.children = [*head, *(w for line in self.rows.values() for w in line.widgets)]
        for parameter in model.parameters:
            self.rows[parameter.name].render(parameter)

    def _render_pairs(self, model: Model) -> None:
        random = model.random_effects
        if random != self._pairs_of:
            self._pairs_of, self._pairs = random, {}
            pairs = list(itertools.combinations(random, 2))
            for first, second in pairs[: _MOST_PAIRS + 1]:
                button = ToggleButton(
                    description=f"{first} – {second}", tooltip=f"correlate the random effects of {first} and {second}"
                )
                button.add_class("wb-toggle")
                button.observe(self.state.handler(self._pair_toggled), "value")
                self._pairs[first, second] = button
            label = note("Correlated η") if pairs else note()
            self.correlate.children = [label, *self._pairs.values()]
        blocks = [block.names for block in model.correlate]
        for pair, button in self._pairs.items():
            button.value = any(set(pair) <= set(names) for names in blocks)


def _meaning(info: ParameterInfo, units: Mapping[str, str]) -> str:
    """What a parameter is, with its unit if the data have units."""
    unit = derived_unit(units, info.dimension)
    return f"{info.meaning}, {unit}" if unit else info.meaning


def connected(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Blocks of names that are linked by pairs, directly or through others."""
    blocks: list[list[str]] = []
    for pair in pairs:
        joined = [name for block in blocks if set(block) & set(pair) for name in block]
        blocks = [block for block in blocks if not set(block) & set(pair)]
        blocks.append(list(dict.fromkeys([*joined, *pair])))
    return [tuple(block) for block in blocks]


class TypicalPanel(Panel):
    """Typical curves of all subjects over the data: are the initial values any good?"""

    title = "Typical curves"
    follows = frozenset({"data", "start", "progress", "run", "logarithmic", "model"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.scale = scale_switch(self.state)
        self.about = note()
        self.figure = Overlay(joined_observations=False, height=420)
        return [row(self.about, self.scale, spread=True), self.figure.view]

    def render(self, changed: frozenset[str]) -> None:
        """Draw the curves at the present values."""
        state = self.state
        self.scale.value = state.logarithmic
        self.figure.view.layout.display = None if state.data is not None else "none"
        if state.data is None:
            return
        if changed & {"data", "logarithmic"}:
            self.figure.show_data(state.data, state.logarithmic)
        drawn = state.drawn()
        if drawn is None or state.curves is None:
            self.figure.show_curves([], None)
        else:
            self.figure.show_curves(state.curves.time, drawn[0])
        if state.progress is not None:
            at = f"iteration {state.progress.iteration}"
        elif state.run is not None and state.is_current:
            at = f"the estimates of run {state.run.number}"
        else:
            at = "the initial values"
        part = drawn_of(state.data)
        self.about.value = f"Typical curves (η = 0) at <b>{at}</b>" + (f"; {part}" if part else "")
