"""The table of parameters: initial values, random effects, occasions, transforms, bounds, what is fixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ipywidgets import (
    HTML,
    Box,
    Button,
    Checkbox,
    DOMWidget,
    Dropdown,
    FloatText,
    HBox,
    IntSlider,
    Text,
    ToggleButton,
    VBox,
)

from workbench import markup
from workbench.data import derived_unit
from workbench.errors import ModelError
from workbench.model import Model, Parameter, ParameterInfo
from workbench.model.transform import TRANSFORMS
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import Refusal, note
from workbench.ui.session.found import Found
from workbench.ui.session.state import State

_DECADES = 0.7  # a slider reaches from a fifth to five times the value in its middle
_REACH = 350  # steps to either side; whole steps, so that the browser reports what it was told and nothing else
_COLUMNS = ("name", "value", "estimate", "rse", "eta", "sd", "shrinkage", "fix")
_HEAD = (
    "parameter", "initial value", "estimate",
    "<span title='relative standard error: how exactly the data determine the estimate'>RSE</span>",
    "<span title='random effect: people differ in this parameter'>η</span>", "SD of η",
    "<span title='how far individual values are drawn to the typical one; plots of η mislead when it is large'>"
    "shrinkage</span>",
    "<span title='keep the initial value'>fix</span>",
)  # fmt: skip
_DEVIATIONS = {"iiv": ("η", "between subjects"), "iov": ("κ", "between occasions")}


class Deviation:
    """Whether a parameter differs between subjects, or between occasions, and by how much."""

    def __init__(self, row: ParameterRow, part: str):
        self.part = part
        self.there, self.spread, self.fixed = Checkbox(indent=False), FloatText(), Checkbox(indent=False)
        for widget, column in ((self.there, "eta"), (self.spread, "sd")):
            widget.add_class("wb-quiet")
            widget.add_class(f"wb-c-{column}")
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


class Slide:
    """A slider around a value, with a tick where its estimate lies."""

    def __init__(self, guard: Callable[[Callable[..., None]], Callable[..., None]], taken: Callable[[float], None]):
        self._taken = taken
        self._centre = self._slid_to = math.nan
        self._parameter: Parameter | None = None
        self.slider = IntSlider(min=-_REACH, max=_REACH, readout=False)
        self.slider.add_class("wb-quiet")
        self.tick = HTML()
        self.view = Box([self.slider, self.tick])
        self.view.add_class("wb-slide")
        self.slider.observe(guard(lambda change: self._slid(change["new"])), "value")

    def name(self, name: str, *, other: bool) -> None:
        """Say what it slides; `other`: not what it was before."""
        if other:
            self._centre = self._slid_to = math.nan
        self.slider.description, self.slider.tooltip = f"slide {name}", f"slide {name}, by steps of 0.5 %"

    def _slid(self, position: int) -> None:
        if math.isnan(self._centre):
            return
        share, parameter = position / _REACH, self._parameter
        lower, upper = parameter.limits if parameter is not None else (0.0, math.inf)
        if parameter is None or parameter.link.is_logarithm:
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
        self._taken(self._slid_to)

    def place(self, value: float, parameter: Parameter | None = None) -> None:
        """Put it to its middle, unless the value comes from it; without a parameter, a positive value."""
        self._parameter = parameter
        if value not in (self._slid_to, self._centre):
            self._centre = value
        if value == self._centre:
            self.slider.value, self._slid_to = 0, math.nan

    def show_estimate(self, value: float | None) -> None:
        """Put the tick where an estimate lies; at the end where it lies beyond."""
        centre, parameter = self._centre, self._parameter
        text = ""
        if value is not None and math.isfinite(value) and math.isfinite(centre):
            if parameter is None or parameter.link.is_logarithm:
                share = math.log10(value / centre) / _DECADES if value > 0 and centre > 0 else math.nan
            else:
                share = (value - centre) / (2 * max(abs(centre), 0.1))
            if math.isfinite(share):
                at = 50 + 50 * min(1.0, max(-1.0, share))
                text = f"<u style='left: {at:.1f}%'></u>"
        self.tick.value = text


class FoundCells:
    """Estimate, its relative standard error, shrinkage, and the button that takes the estimate as initial value."""

    def __init__(self, guard: Callable[[Callable[..., None]], Callable[..., None]], take: Callable[[], None]):
        self.take = Button(description="⇤")
        self.take.add_class("wb-link")
        self.take.on_click(guard(lambda _: take()))
        self.estimate, self.rse, self.shrinkage = HTML(), HTML(), HTML()
        for widget, column in (
            (self.take, "take"), (self.estimate, "estimate"), (self.rse, "rse"), (self.shrinkage, "shrinkage")
        ):  # fmt: skip
            widget.add_class(f"wb-c-{column}")
            widget.add_class("wb-found")

    def name(self, name: str) -> None:
        """Say whose they are."""
        self.take.tooltip = f"start {name} from its estimate"

    def render(self, here: Found | None, shrinkage: float, *, stale: bool) -> None:
        """Show what was found; `stale`: of another model than the one stated."""
        self.take.layout.visibility = "hidden" if here is None or here.running or here.fixed else "visible"
        if here is None:
            self.estimate.value = self.rse.value = self.shrinkage.value = ""
            return
        value, was = markup.number(here.value), ""
        if math.isfinite(here.was):
            was = markup.tag("small", f"was {markup.number(here.was)}")
        elif here.new:
            was = markup.tag("small", "new")
        flash = "wb-flash" if was else ""
        number = markup.tag("b", value, class_=flash, title=here.doubt)
        self.estimate.value = markup.tag("div", number, was, class_="wb-stale-cell" if stale else "wb-now")
        self.rse.value = "fixed" if here.fixed else bar(here.rse, (50.0, 100.0), "relative standard error")
        self.shrinkage.value = bar(shrinkage, (30.0, 60.0), "shrinkage of η")


def bar(per_cent: float, limits: tuple[float, float], what: str) -> str:
    """A number of per cent with a bar, amber over the first limit and red over the second; the sign says it as well."""
    if not math.isfinite(per_cent):
        return ""
    kind = "" if per_cent <= limits[0] else "amber" if per_cent <= limits[1] else "red"
    sign = "" if not kind else "▲ " if kind == "amber" else "✕ "
    width = min(100.0, max(0.0, per_cent))
    fill = markup.tag("i", style=f"width: {width:.0f}%")
    text = f"{sign}{markup.decimals(per_cent, 0)} %" if per_cent < 1000 else f"{sign}> 999 %"
    return markup.tag("span", markup.tag("u", fill), text, class_=f"wb-bar {kind}", title=what)


class ParameterRow:
    """The widgets of one parameter: of that which stands at this place of the table."""

    def __init__(self, state: State, refusal: Refusal) -> None:
        self.name = self._meaning = ""
        self._state, self.guard = state, refusal.guard
        self.value = FloatText()
        self.slide = Slide(self.guard, lambda value: self.edit({"value": value}))
        self.slider = self.slide.slider
        self.fixed = Checkbox(indent=False)
        self.found = FoundCells(self.guard, self._take)
        self.subject = Deviation(self, "iiv")
        self.occasion: Deviation | None = None
        self.more: More | None = None
        self.random, self.spread = self.subject.there, self.subject.spread
        self.meaning = HTML()
        for widget, column in ((self.meaning, "name"), (self.value, "value"), (self.fixed, "fix")):
            widget.add_class(f"wb-c-{column}")
        for widget in (self.value, self.fixed):
            widget.add_class("wb-quiet")
        self.view = Box(self._widgets())
        self.view.add_class("wb-line")
        self.value.observe(self.guard(lambda change: self.edit({"value": change["new"]})), "value")
        self.fixed.observe(self.guard(lambda change: self.fix("value", change["new"])), "value")

    def _widgets(self) -> list[DOMWidget]:
        found = self.found
        return [self.meaning, self.value, self.slide.view, found.take, found.estimate, found.rse, self.random,
                self.spread, found.shrinkage, self.fixed]  # fmt: skip

    @cached_property
    def _between(self) -> Deviation:
        """Made when first wanted, as is `_seldom`; it stands before that in the row."""
        return Deviation(self, "iov")

    @cached_property
    def _seldom(self) -> More:
        return More(self, (self.subject, self._between))

    def name_as(self, name: str, meaning: str, *, occasions: bool, more: bool) -> None:
        """Say which parameter it is.

        Parameters
        ----------
        name, meaning : str
        occasions, more : bool
            Show differences between occasions; transform, bounds and what of the random effects is fixed.
        """
        self.slide.name(name, other=name != self.name)
        self.name, self._meaning = name, meaning
        self.value.description = name
        self.value.tooltip = f"typical value of {name}" + (f": {meaning}" if meaning else "")
        self.fixed.description, self.fixed.tooltip = f"fix {name}", f"keep {name} at its value"
        self.found.name(name)
        self.occasion, self.more = self._between if occasions else None, self._seldom if more else None
        widgets = self._widgets()
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

    # -- edits -------------------------------------------------------------------------------------------------

    def edit(self, changes: Mapping[str, Any], complete: bool = True) -> None:
        """Change fields of the parameter; `complete`: the other values stay as they are shown."""
        model = self._state.complete_model() if complete else self._state.stated_model()
        self._state.update(model=model.with_parameter(self.name, **changes))

    def fix(self, part: str, kept: bool) -> None:
        """Keep a part of the parameter as it is stated, or let it be estimated."""
        parts = self._state.complete_model()[self.name].fixed_parts
        self.edit({"fixed": (*parts, part) if kept else tuple(p for p in parts if p != part)})

    def _take(self) -> None:
        """Start this parameter from what the shown fit found."""
        fit = self._state.fit
        names = [p.name for p in fit.model.parameters] if fit is not None else []
        if fit is not None and self.name in names:
            here, there = self._state.complete_model()[self.name], fit.model[self.name]
            spread = {"iiv": there.iiv} if here.iiv is not None and there.iiv is not None else {}
            self.edit({"value": there.value, **spread})

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, parameter: Parameter) -> None:
        """Show a parameter."""
        value = parameter.value
        if value is not None:
            self.value.value = markup.rounded(value, 4)
            self.slide.place(value, parameter)
        unknown(self.value, value is None)
        for widget in (self.value, self.slider, self.fixed):  # last, so that nobody types what is overwritten
            widget.disabled = value is None
        self.fixed.value = "value" in parameter.fixed_parts
        for part in (self.subject, self.occasion, self.more):
            if part is not None:
                part.render(parameter)
        meaning = " · ".join(filter(None, (self._meaning, _otherwise(parameter))))
        self.meaning.value = named(self.name, meaning)

    def render_found(self, found: Mapping[str, Found], stale: bool) -> None:
        """Show what was found of it."""
        here, spread = found.get(self.name), found.get(f"iiv_{self.name}")
        self.found.render(here, spread.shrinkage if spread is not None else math.nan, stale=stale)
        self.slide.show_estimate(here.value if here is not None and not here.running else None)
        self.spread.tooltip = f"standard deviation of η of {self.name}" + (
            f"; estimated {markup.number(spread.value)}" if spread is not None else ""
        )


def named(name: str, meaning: str) -> str:
    """A name with what it means below."""
    return markup.tag("div", markup.tag("b", name), markup.tag("small", meaning, title=meaning), class_="wb-named")


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
        self._head = [note(text) for text in _HEAD]
        for title, column in zip(self._head, _COLUMNS, strict=True):
            title.add_class(f"wb-c-{column}")
            if column in ("estimate", "rse", "shrinkage"):
                title.add_class("wb-found")
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
            while len(self._made) < len(names):
                self._made.append(ParameterRow(self._state, self.refusal))
            self.rows = dict(zip(names, self._made, strict=False))
            for name, line in self.rows.items():
                line.name_as(name, meanings[name], occasions=occasions, more=self.more.value)
            effects = ("η,κ", "SD") if occasions else ("η", "SD of η")
            for column, text in zip(("eta", "sd"), effects, strict=True):
                self._head[_COLUMNS.index(column)].value = text
            show_only(self.grid, [*self._head, *(line.view for line in self.rows.values())])
        for parameter in model.parameters:
            self.rows[parameter.name].render(parameter)

    def render_found(self, found: Mapping[str, Found], stale: bool) -> None:
        """Show what the fit found beside what it starts from."""
        for line in self.rows.values():
            line.render_found(found, stale)


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
