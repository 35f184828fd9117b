"""The structure: chosen from the library, with an effect on top, or written as equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ipywidgets import BoundedIntText, Box, Checkbox, Dropdown, ToggleButtons, VBox, Widget

from workbench.model import PK, Structure, pk, pkpd, usual_model
from workbench.model.equation import Equation
from workbench.model.library.pkpd import PKPD
from workbench.model.ode import Ode
from workbench.model.structure import MOST_TRANSITS
from workbench.ui.panels.editors import Editor, EquationEditor, OdeEditor
from workbench.ui.panels.panel import Refusal
from workbench.ui.session.state import State

_NONE = ""  # a Dropdown takes None for nothing chosen
_KINDS: dict[str, tuple[type, str]] = {
    "Library": (PK, "compartment models"),
    "PK/PD": (PKPD, "a compartment model with an effect"),
    "Equation": (Equation, "any expression of time, dose, covariates and parameters"),
    "ODE": (Ode, "differential equations"),
}
_CHOICES: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "compartments": ("Compartments", [("1", 1), ("2", 2), ("3", 3)]),
    "absorption": (
        "Absorption",
        [
            ("none (iv)", _NONE), ("first-order", "first-order"), ("zero-order", "zero-order"),
            ("first + zero", "parallel"), ("transit chain", "transit"),
        ],
    ),
    "elimination": (
        "Elimination",
        [("linear", "linear"), ("Michaelis-Menten", "michaelis-menten"), ("linear and M.-M.", "parallel")],
    ),
    "parameters": (
        "Parameters",
        [
            ("clearance: CL", "clearance"), ("rate: k", "rate"), ("macro: A, alpha", "macro"),
            ("half-life: t_half", "half-life"),
        ],
    ),
}  # fmt: skip
_LAGS = [("one lag for both", True), ("first-order part", "first-order"), ("zero-order part", "zero-order"),
         ("a lag for each", "both")]  # fmt: skip
_EFFECTS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "response": (
        "Effect",
        [
            ("linear", "linear"), ("Emax", "emax"), ("sigmoid Emax", "sigmoid emax"), ("Imax", "imax"),
            ("sigmoid Imax", "sigmoid imax"),
        ],
    ),
    "link": (
        "Link",
        [
            ("direct", "direct"), ("effect compartment", "effect compartment"),
            ("indirect I: inhibits input", "inhibit input"), ("indirect II: inhibits output", "inhibit output"),
            ("indirect III: stimulates input", "stimulate input"),
            ("indirect IV: stimulates output", "stimulate output"),
        ],
    ),
}  # fmt: skip


class StructureChoice:
    """Four choices for a compartment model, two more for an effect, or an editor; what was refused below them."""

    def __init__(self, state: State):
        self._state = state
        self._shown: Structure | None = None
        self._pk = pk()
        self.refusal = Refusal(state, "structure")
        guard = self.refusal.guard
        self.kind = ToggleButtons(
            options=list(_KINDS), tooltips=[about for _, about in _KINDS.values()], style={"button_width": "auto"}
        )
        self.kind.add_class("wb-switch")
        self.kind.observe(guard(lambda change: self._kind_chosen(change["new"])), "value")
        self.choices = {field: _dropdown(label, options) for field, (label, options) in _CHOICES.items()}
        self.effects = {field: _dropdown(label, options) for field, (label, options) in _EFFECTS.items()}
        self.lag = Checkbox(description="lag", indent=False, tooltip="doses act later, by a lag time")
        self.lag_of = Dropdown(options=_LAGS, description="which part lags", tooltip="which part of the dose lags")
        self.lag_of.add_class("wb-quiet")
        self.bioavailability = Checkbox(
            description="bioavailability", indent=False, tooltip="a fraction F of the doses arrives"
        )
        self.transits = BoundedIntText(
            value=3, min=1, max=MOST_TRANSITS, description="transits", style={"description_width": "48px"},
            tooltip="how many transit compartments",
        )  # fmt: skip
        for field, choice in {**self.choices, **self.effects}.items():
            choice.observe(guard(lambda change, field=field: self._chosen(field, change["new"])), "value")
        self.lag.observe(guard(lambda change: self._chosen("lag", change["new"])), "value")
        self.lag_of.observe(guard(lambda change: self._chosen("lag", change["new"])), "value")
        self.bioavailability.observe(guard(lambda change: self._chosen("bioavailability", change["new"])), "value")
        self.transits.observe(guard(lambda change: self._chosen("transits", change["new"])), "value")
        beside = [VBox([self.lag]), VBox([self.transits, self.lag_of]), VBox([self.bioavailability]), VBox()]
        cells = [cell for pair in zip(self.choices.values(), beside, strict=True) for cell in pair]
        self._library = _grid(cells)
        self._effect = _grid(list(self.effects.values()))
        self._effect.add_class("wb-one")
        self._editors: dict[str, Editor[Any]] = {}
        self._body = VBox()
        self.view = VBox([self._body, self.refusal.view])

    def editor(self, kind: str) -> Editor[Any]:
        """The editor of a kind of equations, made when it is first wanted."""
        if kind not in self._editors:
            made = EquationEditor if kind == "Equation" else OdeEditor
            self._editors[kind] = made(self._state, self.refusal)
            with self._state.quietly():
                self._editors[kind].render(self._shown)
        return self._editors[kind]

    # -- edits -------------------------------------------------------------------------------------------------

    def _kind_chosen(self, kind: str) -> None:
        """A library kind is taken at once; equations when they are applied."""
        model = self._state.stated_model()
        if type(model.structure) is _KINDS[kind][0]:
            pass  # back from another kind that was only looked at
        elif kind == "Library":
            self._state.update(model=model.with_structure(self._compartments()))
        elif kind == "PK/PD":
            self._state.update(model=model.with_structure(pkpd(self._compartments())))
        else:
            self.editor(kind).begin_from(model.structure)
        with self._state.quietly():
            self._render_body()

    def _compartments(self) -> PK:
        """The compartment model to choose from: the present one, or the last one, or one that suits the data."""
        structure = self._state.stated_model().structure
        if isinstance(structure, PK | PKPD):
            return structure if isinstance(structure, PK) else structure.pk
        usual = usual_model(self._state.data).structure if self._state.data is not None else self._pk
        return usual if isinstance(usual, PK) and self._pk == pk() else self._pk

    def _chosen(self, field: str, value: Any) -> None:
        model = self._state.stated_model()
        structure = model.structure
        base = structure.pk if isinstance(structure, PKPD) else structure
        if not isinstance(base, PK):
            return
        effects = {name: getattr(structure, name) for name in _EFFECTS} if isinstance(structure, PKPD) else {}
        if field in _EFFECTS:
            effects[field] = value
        else:
            base = _changed(base, field, None if value == _NONE else value, self.transits.value)
        self._state.update(model=model.with_structure(pkpd(base, **effects) if effects else base))

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, structure: Structure | None) -> None:
        """Show a structure."""
        self.refusal.render()
        self.kind.disabled = structure is None
        if structure != self._shown:
            self._shown = structure
            if structure is not None:
                self.kind.value = next((name for name, (made, _) in _KINDS.items() if type(structure) is made), None)
        for widget in (*self.choices.values(), *self.effects.values(), self.lag, self.lag_of, self.bioavailability):
            widget.disabled = structure is None
        base = structure.pk if isinstance(structure, PKPD) else structure
        if isinstance(base, PK):
            self._pk = base
            self._render_library(base)
        for name, choice in self.effects.items():
            if isinstance(structure, PKPD):
                choice.value = getattr(structure, name)
        for editor in self._editors.values():
            editor.render(structure)
        self._render_body()

    def _render_library(self, base: PK) -> None:
        for field, choice in self.choices.items():
            value = getattr(base, field)
            choice.value = _NONE if value is None else value
        self.lag.value = bool(base.lag)
        parallel = base.absorption == "parallel" and bool(base.lag)
        self.lag_of.layout.display = None if parallel else "none"
        if parallel:
            self.lag_of.value = base.lag
        self.bioavailability.value = base.bioavailability
        self.transits.layout.display = None if base.absorption == "transit" else "none"
        if base.transits is not None:
            self.transits.value = base.transits

    def _render_body(self) -> None:
        bodies: dict[str, Sequence[Widget]] = {"Library": (self._library,), "PK/PD": (self._library, self._effect)}
        kind = self.kind.value
        children = (self.editor(kind).view,) if kind in ("Equation", "ODE") else tuple(bodies.get(kind, ()))
        if self._body.children != children:
            self._body.children = children


def _dropdown(label: str, options: Sequence[tuple[str, Any]]) -> Dropdown:
    return Dropdown(options=options, description=label, style={"description_width": "98px"})


def _grid(cells: Sequence[Widget]) -> Box:
    grid = Box(cells)
    grid.add_class("wb-choices")
    return grid


def _changed(base: PK, field: str, value: Any, transits: int) -> PK:
    """A compartment model with another choice, and without what only the former one had."""
    changes: dict[str, Any] = {field: value}
    absorption = changes.get("absorption", base.absorption)
    if absorption != "parallel":
        changes["lag"] = bool(changes.get("lag", base.lag))
    if field != "transits" or absorption != "transit":
        changes["transits"] = (base.transits or transits) if absorption == "transit" else None
    return replace(base, **changes)
