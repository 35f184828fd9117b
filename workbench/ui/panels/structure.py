"""The structure: a kind with its choices, or written as equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipywidgets import BoundedIntText, Box, Checkbox, Dropdown, ToggleButtons, VBox, Widget

from workbench.model import Structure, usual_model
from workbench.model.families import FAMILIES, Family, begun, family_of
from workbench.model.structure import Choice
from workbench.ui.panels.editors import Editor, EquationEditor, OdeEditor
from workbench.ui.panels.kept import show_only
from workbench.ui.panels.panel import Refusal
from workbench.ui.session.state import State

_NONE = ""  # a Dropdown takes None for nothing chosen
_EDITORS: tuple[type[Editor[Any]], ...] = (EquationEditor, OdeEditor)


class StructureChoice:
    """The choices of a kind of structures, or an editor; what was refused below them."""

    def __init__(self, state: State):
        self._state = state
        self._shown: Structure | None = None
        self._last: Structure | None = None  # the last one that consisted of choices
        self.refusal = Refusal(state, "structure")
        guard = self.refusal.guard
        self.kind = ToggleButtons(
            options=[family.title for family in FAMILIES],
            tooltips=[family.about for family in FAMILIES],
            style={"button_width": "auto"},
        )
        self.kind.add_class("wb-switch")
        self.kind.observe(guard(lambda change: self._kind_chosen(change["new"])), "value")
        self.choices: dict[str, Widget] = {}
        for choice in (choice for family in FAMILIES for choice in family.choices):
            if choice.field not in self.choices:
                made = self.choices[choice.field] = _control(choice)
                made.observe(guard(lambda change, field=choice.field: self._chosen(field, change["new"])), "value")
        self._grids: dict[str, tuple[Widget, ...]] = {}
        for family in FAMILIES:
            if family.choices:
                self._grids[family.title] = self._grids_of(family)
        self._editors: dict[str, Editor[Any]] = {}
        self._body = VBox()
        self.view = VBox([self._body, self.refusal.view])

    def editor(self, kind: str) -> Editor[Any]:
        """The editor of a kind of equations, made when it is first wanted."""
        if kind not in self._editors:
            family = _family(kind)
            made = next(editor for editor in _EDITORS if editor.kind is family.made)
            self._editors[kind] = made(self._state, self.refusal)
            with self._state.quietly():
                self._editors[kind].render(self._shown)
        return self._editors[kind]

    def _grids_of(self, family: Family) -> tuple[Widget, ...]:
        """The controls of a kind; those that it shares with an earlier one are the same."""
        shared = next(
            (f for f in FAMILIES if f.title in self._grids and family.choices[: len(f.choices)] == f.choices), None
        )
        own = family.choices[len(shared.choices) :] if shared is not None else family.choices
        beside = {
            main.field: [self.choices[choice.field] for choice in own if choice.beside == main.field]
            for main in own
            if not main.beside
        }
        details = any(choice.beside for choice in own)
        cells = [
            widget
            for field, others in beside.items()
            for widget in ((self.choices[field], VBox(others)) if details else (self.choices[field],))
        ]
        grid = Box(cells)
        grid.add_class("wb-choices")
        if not details:
            grid.add_class("wb-one")
        return (*self._grids[shared.title], grid) if shared is not None else (grid,)

    # -- edits -------------------------------------------------------------------------------------------------

    def _kind_chosen(self, kind: str) -> None:
        """A kind with choices is taken at once; equations when they are applied."""
        model, family = self._state.stated_model(), _family(kind)
        if type(model.structure) is family.made:
            pass  # back from another kind that was only looked at
        elif family.choices:
            usual = usual_model(self._state.data).structure if self._state.data is not None else None
            made = begun(family, model.structure, self._last, usual)
            self._state.update(model=model.with_structure(made))
        else:
            self.editor(kind).begin_from(model.structure)
        with self._state.quietly():
            self._render_body()

    def _chosen(self, field: str, value: Any) -> None:
        model = self._state.stated_model()
        structure: Any = model.structure
        family = family_of(structure)
        if family is None or field not in [choice.field for choice in family.choices]:
            return
        before = {name: widget.value for name, widget in self.choices.items()}
        changed = structure.with_choice(field, None if value == _NONE else value, before)
        self._state.update(model=model.with_structure(changed))

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, structure: Structure | None) -> None:
        """Show a structure."""
        self.refusal.render()
        self.kind.disabled = structure is None
        family = family_of(structure)
        if structure != self._shown:
            self._shown = structure
            if structure is not None:
                self.kind.value = family.title if family is not None else None
        for widget in self.choices.values():
            widget.disabled = structure is None
        if family is not None and family.choices:
            self._last = structure
            self._render_choices(family, structure)
        for editor in self._editors.values():
            editor.render(structure)
        self._render_body()

    def _render_choices(self, family: Family, structure: Any) -> None:
        chosen = structure.chosen()
        for choice in family.choices:
            widget = self.choices[choice.field]
            widget.layout.display = None if choice.field in chosen else "none"
            if choice.field in chosen:
                value = chosen[choice.field]
                widget.value = _NONE if value is None else value

    def _render_body(self) -> None:
        kind = self.kind.value
        children: tuple[Widget, ...] = self._grids.get(kind, ())
        if kind is not None and not children:
            children = (self.editor(kind).view,)
        show_only(self._body, children)


def _family(title: str) -> Family:
    return next(family for family in FAMILIES if family.title == title)


def _control(choice: Choice) -> Widget:
    """The widget of a choice."""
    if choice.kind == "tick":
        return Checkbox(description=choice.label, indent=False, tooltip=choice.about)
    if choice.kind == "number":
        limits = dict(choice.options)
        return BoundedIntText(
            value=limits["usual"], min=limits["fewest"], max=limits["most"], description=choice.label,
            style={"description_width": "48px"}, tooltip=choice.about,
        )  # fmt: skip
    options: Sequence[tuple[str, Any]] = [(text, _NONE if value is None else value) for text, value in choice.options]
    if not choice.beside:
        return Dropdown(options=options, description=choice.label, style={"description_width": "98px"})
    made = Dropdown(options=options, description=choice.label, tooltip=choice.about)
    made.add_class("wb-quiet")
    return made
