"""The table of parameters: initial values, random effects, occasions, transforms, bounds, what is fixed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ipywidgets import Box, Checkbox, Dropdown, FloatText, HBox, IntSlider, Text, ToggleButton, VBox

from workbench import markup
from workbench.data import derived_unit
from workbench.errors import ModelError
from workbench.model import Model, Parameter, ParameterInfo
from workbench.model.transform import TRANSFORMS
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import Refusal, note
from workbench.ui.session.state import State

_DECADES = 0.7  # a slider reaches from a fifth to five times the value in its middle
_REACH = 350  # steps to either side; whole steps, so that the browser reports what it was told and nothing else
_DEVIATIONS = {"iiv": ("η", "between subjects"), "iov": ("κ", "between occasions")}


class Deviation:
    """Whether a parameter differs between subjects, or between occasions, and by how much."""

    def __init__(self, row: ParameterRow, part: str):
        self.part = part
        self.there, self.spread, self.fixed = Checkbox(indent=False), FloatText(), Checkbox(indent=False)
        for widget in (self.there, self.spread):
            widget.add_class("wb-quiet")
        self.there.observe(row.guard(lambda c: row.edit({part: True if c["new"] else None}, complete=False)), "value")
        self.spread.observe(row.guard(lambda c: row.edit({part: c["new"]})), "value")
        self.fixed.observe(row.guard(lambda c: row.fix(part, c["new"])), "value")

    def name(self, name: str) -> None:
        """Say whose it is."""
        effect, between = _DEVIATIONS[self.part]
        about = f"{effect} of {name}"
        self.there.description, self.there.tooltip = f"random effect {about}", f"{name} differs {between}"
        self.spread.description, self.spread.tooltip = f"SD of {about}", f"standard deviation of {about}"
        self.fixed.description, self.fixed.tooltip = f"fix {effect}", f"keep the SD of {about}"

    def render(self, parameter: Parameter) -> None:
        """Show it."""
        deviation = getattr(parameter, self.part)
        known = deviation is not None and deviation is not True
        self.there.value = deviation is not None
        self.there.disabled = parameter.column is not None
        if known:
            self.spread.value = markup.rounded(float(deviation), 4)
        self.spread.disabled = not known
        unknown(self.spread, not known)
        self.spread.layout.visibility = "visible" if deviation is not None else "hidden"
        self.fixed.value, self.fixed.disabled = self.part in parameter.fixed_parts, not known


class ParameterRow:
    """The widgets of one parameter: of that which stands at this place of the table."""

    def __init__(self, state: State, refusal: Refusal) -> None:
        self.name = self._meaning = ""
        self._state, self.guard = state, refusal.guard
        self.value = FloatText()
        self.value.add_class("wb-first")
        self._parameter: Parameter | None = None
        self._centre = self._slid_to = math.nan
        self.slider = IntSlider(min=-_REACH, max=_REACH, readout=False)
        self.fixed = Checkbox(indent=False)
        for widget in (self.slider, self.fixed):
            widget.add_class("wb-quiet")
        self.subject = Deviation(self, "iiv")
        self.occasion: Deviation | None = None
        self.more: More | None = None
        self.random, self.spread = self.subject.there, self.subject.spread
        self.meaning = note()
        self.meaning.add_class("wb-meaning")
        self.view = Box([self.value, self.slider, self.random, self.spread, self.fixed, self.meaning])
        self.view.add_class("wb-line")
        self.value.observe(self.guard(lambda change: self.edit({"value": change["new"]})), "value")
        self.slider.observe(self.guard(lambda change: self._slid(change["new"])), "value")
        self.fixed.observe(self.guard(lambda change: self.fix("value", change["new"])), "value")

    @cached_property
    def _between(self) -> Deviation:
        """Made when first wanted, as is `_seldom`; it stands before that in the row."""
        return Deviation(self, "iov")

    @cached_property
    def _seldom(self) -> More:
        return More(self, (self.subject, self._between))

    def name_as(self, name: str, meaning: str, width: int, *, occasions: bool, more: bool) -> None:
        """Say which parameter it is.

        Parameters
        ----------
        name, meaning : str
        width : int
            Of the name, in pixels.
        occasions, more : bool
            Show differences between occasions; transform, bounds and what of the random effects is fixed.
        """
        if name != self.name:
            self._centre = self._slid_to = math.nan
        self.name, self._meaning = name, meaning
        self.value.description = name
        self.value.tooltip = f"typical value of {name}" + (f": {meaning}" if meaning else "")
        self.slider.description, self.slider.tooltip = f"slide {name}", f"slide {name}, by steps of 0.5 %"
        self.fixed.description, self.fixed.tooltip = f"fix {name}", f"keep {name} at its value"
        self.occasion, self.more = self._between if occasions else None, self._seldom if more else None
        (self.meaning.remove_class if occasions else self.meaning.add_class)("wb-wide")
        widgets = [self.value, self.slider, self.random, self.spread, self.fixed, self.meaning]
        if occasions or more:
            widgets += [self._between.there, self._between.spread]
        if self.more is not None:
            widgets.append(self.more.view)
        show_only(self.view, widgets)
        if occasions or more:
            for widget in (self._between.there, self._between.spread, self._between.fixed):
                hide(widget, not occasions)
        for part in (self.subject, self.occasion, self.more):
            if part is not None:
                part.name(name)
        self.value.style.description_width, self.value.layout.width = f"{width}px", f"{width + 82}px"

    # -- edits -------------------------------------------------------------------------------------------------

    def edit(self, changes: Mapping[str, Any], complete: bool = True) -> None:
        """Change fields of the parameter; `complete`: the other values stay as they are shown."""
        model = self._state.complete_model() if complete else self._state.stated_model()
        self._state.update(model=model.with_parameter(self.name, **changes))

    def fix(self, part: str, kept: bool) -> None:
        """Keep a part of the parameter as it is stated, or let it be estimated."""
        parts = self._state.complete_model()[self.name].fixed_parts
        self.edit({"fixed": (*parts, part) if kept else tuple(p for p in parts if p != part)})

    def _slid(self, position: int) -> None:
        if math.isnan(self._centre) or self._parameter is None:
            return
        share, parameter = position / _REACH, self._parameter
        lower, upper = parameter.limits
        if parameter.link.is_logarithm:
            value = self._centre * 10 ** (share * _DECADES)
        elif not parameter.link.needs_bounds:
            value = self._centre + share * 2 * max(abs(self._centre), 0.1)
        else:
            logit = math.log((self._centre - lower) / (upper - self._centre)) + 4 * share
            value = lower + (upper - lower) / (1 + math.exp(-logit))
        self._slid_to = markup.rounded(value, 4)
        if not lower < self._slid_to < upper:
            edge = lower if self._slid_to <= lower else upper
            self._slid_to = edge + 1e-3 * (self._centre - edge)
        self.edit({"value": self._slid_to})

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, parameter: Parameter) -> None:
        """Show a parameter."""
        value, self._parameter = parameter.value, parameter
        if value is not None:
            self.value.value = markup.rounded(value, 4)
            self._place(value)
        unknown(self.value, value is None)
        for widget in (self.value, self.slider, self.fixed):  # last, so that nobody types what is overwritten
            widget.disabled = value is None
        self.fixed.value = "value" in parameter.fixed_parts
        for part in (self.subject, self.occasion, self.more):
            if part is not None:
                part.render(parameter)
        meaning = " · ".join(filter(None, (self._meaning, _otherwise(parameter))))
        self.meaning.value = markup.escaped(meaning)
        self.meaning.layout.display = None if meaning or self.occasion is not None else "none"

    def _place(self, value: float) -> None:
        """Put the slider back to its middle, unless the value comes from it."""
        if value not in (self._slid_to, self._centre):
            self._centre = value
        if value == self._centre:
            self.slider.value, self._slid_to = 0, math.nan


class More:
    """What is seldom changed of a parameter: its transform, its bounds, and whether its random effects are fixed."""

    def __init__(self, row: ParameterRow, parts: Sequence[Deviation]):
        self._row = row
        self.transform = Dropdown(options=tuple(TRANSFORMS))
        self.bounds = tuple(Text(placeholder=end, continuous_update=False) for end in ("min", "max"))
        for widget in (self.transform, *self.bounds):
            widget.add_class("wb-quiet")
        self.view = HBox([self.transform, *self.bounds, *(part.fixed for part in parts)])
        self.view.add_class("wb-more")
        self.transform.observe(row.guard(lambda c: row.edit({"transform": c["new"]}, complete=False)), "value")
        for box in self.bounds:
            box.observe(row.guard(lambda _: self._bounds_typed()), "value")

    def name(self, name: str) -> None:
        """Say whose it is."""
        self.transform.description = f"transform of {name}"
        for box, end in zip(self.bounds, ("lower", "upper"), strict=True):
            box.description = f"{end} bound of {name}"

    def _bounds_typed(self) -> None:
        ends = []
        for box in self.bounds:
            text = box.value.strip()
            try:
                ends.append(float(text) if text else None)
            except ValueError:
                raise ModelError(f"{box.description}: {text!r} is no number; leave it empty for an open end.") from None
        self._row.edit({"bounds": None if ends == [None, None] else tuple(ends)})

    def render(self, parameter: Parameter) -> None:
        """Show it."""
        if parameter.transform not in self.transform.options:
            self.transform.options = (*TRANSFORMS, (parameter.link.name, parameter.transform))
        self.transform.value = parameter.transform
        self.transform.disabled = parameter.column is not None
        for box, end in zip(self.bounds, parameter.bounds or (None, None), strict=True):
            box.value = "" if end is None else f"{end:g}"
            box.disabled = parameter.column is not None


class ParameterTable:
    """A row for each parameter, and what was refused of what was typed into it."""

    def __init__(self, state: State):
        self._state = state
        self.rows: dict[str, ParameterRow] = {}
        self._rows_for: tuple[Any, ...] = ()
        self._made: list[ParameterRow] = []
        self._head = [note() for _ in range(5)]
        self.refusal = Refusal(state, "parameters")
        self.grid = Box()
        self.grid.add_class("wb-parameters")
        self.more = ToggleButton(description="more", tooltip="transforms, bounds, and fixed standard deviations")
        self.more.add_class("wb-toggle")
        self.more.observe(state.handler(lambda _: self._turn()), "value")
        self.view = VBox([self.grid, self.refusal.view])

    def _turn(self) -> None:
        with self._state.quietly():
            self.render(self._state.start or self._state.model)

    def render(self, model: Model | None) -> None:
        """Show the parameters of a model."""
        self.refusal.render()
        if model is None:
            show_only(self.grid, [])
            self._rows_for = ()
            return
        data = self._state.data
        units = data.units if data is not None else {}
        occasions = (data is not None and len(data.occasions) > 1) or bool(model.occasion_effects)
        names = tuple(p.name for p in model.parameters)
        rows_for = (model.structure.info, names, tuple(sorted(units.items())), occasions, self.more.value)
        if rows_for != self._rows_for:
            self._rows_for = rows_for
            meanings = {info.name: _meaning(info, units) if info.known else "" for info in model.structure.info}
            width = min(max([34, *(10 + 9 * len(name) for name in names)]), 94)
            while len(self._made) < len(names):
                self._made.append(ParameterRow(self._state, self.refusal))
            self.rows = dict(zip(names, self._made, strict=False))
            for name, line in self.rows.items():
                line.name_as(name, meanings[name], width, occasions=occasions, more=self.more.value)
            effects = ("η,κ", "SD") if occasions else ("η", "SD of η")
            for title, text in zip(self._head, ("initial value", "", *effects, "fix"), strict=True):
                title.value = text
            show_only(self.grid, [*self._head, *(line.view for line in self.rows.values())])
        for parameter in model.parameters:
            self.rows[parameter.name].render(parameter)


def unknown(box: FloatText, there_is_none: bool) -> None:
    """Show no number in a box for numbers, which is never empty."""
    (box.add_class if there_is_none else box.remove_class)("wb-unknown")


def _meaning(info: ParameterInfo, units: Mapping[str, str]) -> str:
    """What a parameter is, with its unit if the data have units."""
    unit = derived_unit(units, info.dimension)
    return f"{info.meaning}, {unit}" if unit else info.meaning


def _otherwise(parameter: Parameter) -> str:
    """What a parameter is that no widget shows."""
    if parameter.column is not None:
        return f"from column {parameter.column}"
    if parameter.share is None:
        return ""
    other, scale = parameter.share
    kept = " (kept)" if "share" in parameter.fixed_parts else ""
    return f"its η is {'a multiple of' if scale is None else f'{scale:.4g} ×'} that of {other}{kept}"
