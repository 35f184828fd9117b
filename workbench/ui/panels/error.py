"""Error: how observations scatter around the individual curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ipywidgets import HTML, Box, Checkbox, Dropdown, FloatText, Text, VBox, Widget

from workbench import markup
from workbench.errors import ModelError
from workbench.model import ResidualError
from workbench.model.residual import ERROR_MODELS, Constant, ErrorParameter
from workbench.ui.panels.kept import show_only
from workbench.ui.panels.panel import Ask, Panel, Refusal, ResponseSwitch, heading, note, row
from workbench.ui.panels.parameters import FoundCells, Slide, named, unknown
from workbench.ui.session.found import Found, found
from workbench.ui.session.state import State

_UNITS = {"response": ", in the unit of the response", "fraction": ", a fraction", "number": ""}
_BLQ = [
    ("choose …", ""),
    ("M1: left out", "M1"),
    ("M3: beyond the limit", "M3"),
    ("M4: as M3, and positive", "M4"),
]


class Part:
    """A row of the table: the value of one parameter of an error model, what was found, whether it is kept."""

    def __init__(self, name: str, panel: ErrorPanel):
        guard = panel.refusal.guard
        self._name = name
        self.value = FloatText(description=name)
        self.slide = Slide(guard, lambda value: panel.edit(name, value))
        self.found = FoundCells(guard, lambda: panel.take(name))
        self.meaning = HTML()
        self.fixed = Checkbox(description=f"fix {name}", indent=False, tooltip=f"keep {name} at its value")
        self.slide.name(name, other=True)
        self.found.name(name)
        for widget, column in ((self.meaning, "name"), (self.value, "value"), (self.fixed, "fix")):
            widget.add_class(f"wb-c-{column}")
        for quiet in (self.value, self.fixed):
            quiet.add_class("wb-quiet")
        found = self.found
        self.view = Box([
            self.meaning, self.value, self.slide.view, found.take, found.estimate, found.rse, found.shrinkage,
            self.fixed,
        ])  # fmt: skip
        self.view.add_class("wb-line")
        self.value.observe(guard(lambda change: panel.edit(name, change["new"])), "value")
        self.fixed.observe(guard(lambda change: panel.fix(name, change["new"])), "value")

    def about(self, parameter: ErrorParameter, unit: str) -> None:
        """Say what the parameter is."""
        self.value.tooltip = parameter.meaning + _UNITS[parameter.dimension]
        self.meaning.value = named(self._name, f"{parameter.meaning}, {unit}" if unit else parameter.meaning)

    def render(self, value: float | None, kept: bool) -> None:
        """Show the value; None where it is to be found."""
        self.value.value = 0.0 if value is None else markup.rounded(value, 4)
        self.fixed.value = kept
        self.value.disabled = self.fixed.disabled = value is None
        self.slide.slider.disabled = value is None or not value > 0
        if value is not None and value > 0:
            self.slide.place(value)
        unknown(self.value, value is None)

    def render_found(self, here: Found | None, stale: bool) -> None:
        """Show what was found of it."""
        self.found.render(here, here.shrinkage if here is not None else math.nan, stale=stale)
        self.slide.show_estimate(here.value if here is not None and not here.running else None)


class ErrorPanel(Panel):
    """The residual error model of each response and its values; what censored observations say."""

    title = "Residual error"
    follows = frozenset({"model", "start", "data", "response", "problem", "place", "run", "progress"})

    def __init__(self, state: State, ask: Ask | None = None):
        super().__init__(state, ask)
        self.refusal = Refusal(state, "error")

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.view.add_class("wb-card")
        guard = self.refusal.guard
        self.response = ResponseSwitch(self.state)
        self.kind = Dropdown(
            options=_offered(Constant),
            description="Error model", layout={"width": "124px"},
        )  # fmt: skip
        self.kind.add_class("wb-quiet")
        self.formula = note()
        usual = sorted({name for kind in ERROR_MODELS for name in kind.parameters})
        self.parts = {name: Part(name, self) for name in usual}
        self.values = Box([part.view for part in self.parts.values()])
        self.values.add_class("wb-parameters")
        self.logs = Checkbox(
            description="data are logarithms", indent=False, layout={"width": "auto"},
            tooltip="the response is log y; predictions are log f",
        )  # fmt: skip
        self.floor = Text(
            description="floor", placeholder="none", continuous_update=False, layout={"width": "110px"},
            tooltip="predictions below it count as this much: log 0 has no value",
            style={"description_width": "36px"},
        )  # fmt: skip
        self.logarithmic = row(self.logs, self.floor)
        self.blq = Dropdown(
            options=_BLQ, description="Censored", style={"description_width": "82px"},
            tooltip="what observations beyond the limit of quantification say: M1 leaves them out, M3 takes the "
            "probability to lie beyond the limit, M4 that given a positive value; M3 and M4 need FOCEI or Laplace",
        )  # fmt: skip
        self.kind.observe(guard(lambda change: self._state_error(change["new"](), complete=False)), "value")
        self.logs.observe(guard(lambda change: self._scale_chosen(change["new"])), "value")
        self.floor.observe(guard(lambda change: self._floor_typed(change["new"])), "value")
        self.blq.observe(guard(lambda change: self._blq_chosen(change["new"])), "value")
        return [
            row(heading("Residual error"), self.kind, self.formula, self.response.view),
            self.values,
            self.logarithmic,
            VBox([self.blq]),
            self.refusal.view,
        ]

    @property
    def boxes(self) -> dict[str, FloatText]:
        """The inputs of the values, by name."""
        return {name: part.value for name, part in self.parts.items()}

    # -- edits -------------------------------------------------------------------------------------------------

    def _state_error(self, error: ResidualError, complete: bool = True) -> None:
        model = self.state.complete_model() if complete else self.state.stated_model()
        responses = self.state.responses
        one = responses[self.state.response] if len(responses) > 1 else None
        self.state.update(model=model.with_error(error, one))

    @property
    def _error(self) -> ResidualError:
        return self.state.complete_model().errors[self.state.response]

    def _set(self, changes: dict[str, Any]) -> None:
        self._state_error(replace(self._error, **changes))

    def edit(self, name: str, value: float) -> None:
        """Change a value."""
        self._state_error(self._error.with_values({name: value}))

    def fix(self, name: str, kept: bool) -> None:
        """Keep a value as it is stated, or let it be estimated."""
        names = self._error.fixed
        self._set({"fixed": (*names, name) if kept else tuple(other for other in names if other != name)})

    def take(self, name: str) -> None:
        """Start a value from what the shown fit found."""
        fit = self.state.fit
        if fit is not None:
            there = fit.model.errors[self.state.response]
            value = dict(zip(there.names, there.values, strict=True)).get(name)
            if value is not None:
                self.edit(name, value)

    def _scale_chosen(self, logarithms: bool) -> None:
        """Take the data as logarithms, or not; values that were found on the other scale are found anew."""
        error = self.state.stated_model().errors[self.state.response]
        if "log_data" in error.settings:
            self._state_error(replace(error, log_data=logarithms), complete=False)  # type: ignore[call-arg]

    def _floor_typed(self, text: str) -> None:
        if self.logarithmic.layout.display == "none":
            return
        try:
            self._set({"floor": float(text) if text.strip() else None})
        except ValueError as error:
            raise error if isinstance(error, ModelError) else ModelError(f"floor: {text!r} is no number.") from None

    def _blq_chosen(self, blq: str) -> None:
        self.state.update(model=self.state.stated_model().with_blq(blq or None))  # type: ignore[arg-type]

    def _render_found(self) -> None:
        """Show what the fit found beside what it starts from."""
        estimates, responses = found(self.state), self.state.responses
        here = responses[self.state.response] if len(responses) > 1 else ""
        for name, part in self.parts.items():
            own = estimates.get(f"{name}_{here}" if here else name)
            part.render_found(own, stale=not self.state.is_current)

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show the error model of the response."""
        if changed == {"progress"}:
            self._render_found()
            return
        model, data = self.state.start or self.state.model, self.state.data
        self.refusal.render()
        self.response.render()
        self.kind.disabled = model is None
        if model is None:
            return
        error = model.errors[self.state.response]
        offered = _offered(type(error))
        if tuple(self.kind.options) != offered:
            self.kind.options = offered
        self.kind.value = type(error)
        self.formula.value = f"sd = {markup.escaped(error.formula)}"
        values = dict(zip(error.names, error.values, strict=True))
        units = data.units if data is not None and len(self.state.responses) < 2 else {}
        for name, about in error.parameters.items():
            if name not in self.parts:
                self.parts[name] = Part(name, self)
            self.parts[name].about(about, units.get(error.dimension(name), "") if name in values else "")
        show_only(self.values, [part.view for name, part in self.parts.items() if name in values])
        for name, part in self.parts.items():
            part.render(values.get(name), name in error.fixed)
        self._render_found()
        self.logarithmic.layout.display = None if "log_data" in error.settings else "none"
        if "log_data" in error.settings:
            floor = error.counts_zero_as
            self.logs.value = error.data_are_logarithms
            self.floor.value = "" if floor is None else f"{floor:g}"
        censored = data is not None and bool((data.events.censored != 0).any())
        self.blq.layout.display = None if censored or model.blq is not None else "none"
        self.blq.value = model.blq or ""


def _offered(stated: type[ResidualError]) -> tuple[tuple[str, type[ResidualError]], ...]:
    """The error models of the menu, and the one that is stated where it is none of them."""
    return tuple((kind.title, kind) for kind in dict.fromkeys((*ERROR_MODELS, stated)))
