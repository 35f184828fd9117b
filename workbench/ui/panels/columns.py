"""Columns of the data: which part each plays, in which unit, and its first values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from ipywidgets import HTML, Box, Button, Dropdown, Text, VBox, Widget

from workbench.data import GroupedData, Step
from workbench.data.roles import LISTS, role_of
from workbench.markup import escaped
from workbench.ui.panels.kept import show_only
from workbench.ui.panels.panel import note, row
from workbench.ui.session.file import SINGLE
from workbench.ui.session.state import State

_SHOWN = 60
_UNITS = {
    "time": "h", "response": "mg/L", "amount": "mg", "dose": "mg", "rate": "mg/h", "duration": "h", "interval": "h",
    "limit": "mg/L", "covariates": "",
}  # fmt: skip
_ROLES = [(role.replace("_", " "), role) for role in SINGLE] + [("covariate", "covariates"), ("ignore", "ignore")]
_STATED = "Roles are guessed from names and content: change those that are wrong, and the file is read again."
_FIXED = "Roles can be changed here for an uploaded file; others where they are read: wb.read_data(…, roles=…)."


def with_units(data: GroupedData, units: Mapping[str, str]) -> GroupedData:
    """`data.with_units`, as one step with units stated right before."""
    made, last = data.with_units(**units), data.history[-1]
    if last.call != "with_units":
        return made
    stated = tuple((dict(last.options) | dict(units)).items())
    return replace(made, history=(*data.history[:-1], Step("with_units", (), stated)))


class Columns:
    """A line per column: name, role, unit, first values; and the conversion of units.

    Parameters
    ----------
    state : State
    role_chosen : callable
        Takes a column and its new role.
    changed : callable
        Takes data with other units.
    """

    def __init__(
        self, state: State, role_chosen: Callable[[str, str], None], changed: Callable[[GroupedData], None]
    ) -> None:
        self._state, self._role_chosen, self._changed = state, role_chosen, changed
        self.about = note()
        self._head = [note("column"), note("role"), note("unit"), note("first values")]
        self.grid = Box()
        self.grid.add_class("wb-columns-grid")
        self.lines: list[Line] = []
        self._data: GroupedData | None = None
        self.convert = Dropdown(description="Convert", style={"description_width": "initial"})
        self.to = Text(description="to", placeholder="day", continuous_update=False)
        self.to.style.description_width = "initial"
        self.convert.layout.width, self.to.layout.width = "190px", "110px"
        self.go = Button(description="Convert", tooltip="multiply the numbers: data.convert(…)")
        self.go.add_class("wb-toggle")
        self.go.on_click(state.handler(lambda _: self._convert()))
        self._conversion = row(self.convert, self.to, self.go)
        self.view = VBox([self.about, self.grid, self._conversion])

    def _convert(self) -> None:
        if self._data is not None and self.convert.value and self.to.value.strip():
            self._changed(self._data.convert(**{self.convert.value: self.to.value.strip()}))
            self.to.value = ""

    def state_unit(self, key: str, unit: str) -> None:
        """State a unit of a role or column."""
        if self._data is not None:
            self._changed(with_units(self._data, {key: unit.strip()}))

    def choose_role(self, column: str, role: str) -> None:
        """Give a column another role."""
        self._role_chosen(column, role)

    def render(self, data: GroupedData | None) -> None:
        """Show the columns of a refused file, else those of the data."""
        state = self._state
        file = state.file
        table = file.table if file is not None else None
        self._data = None if state.refused is not None else data
        if file is not None and table is not None:
            frame, roles = table.frame, file.roles
        elif data is not None and state.refused is None:
            frame, roles = data.content.frame, data.roles
        else:
            frame, roles = pd.DataFrame(), {"covariates": (), "ignore": ()}
        self.about.value = _STATED if table is not None else _FIXED
        columns = list(frame.columns)
        shown = columns[:_SHOWN] + [c for c in columns[_SHOWN:] if role_of(roles, c) not in LISTS]
        if len(shown) < len(columns):
            self.about.value += f" {len(shown)} of {len(columns)} columns are shown."
        while len(self.lines) < len(shown):
            self.lines.append(Line(self))
        units = self._data.units if self._data is not None else {}
        known = {*roles, *roles["covariates"]} if self._data is None else _known(self._data.roles)
        for line, column in zip(self.lines, shown, strict=False):
            role = role_of(roles, column)
            key = column if role in LISTS else role
            has_unit = role in _UNITS and key in known
            line.render(column, role, frame[column], key if has_unit else None, units, fixed=table is None)
            line.unit.disabled = self._data is None
        lines = [widget for line in self.lines[: len(shown)] for widget in line.widgets]
        show_only(self.grid, [*self._head, *lines])
        chosen = self.convert.value
        self.convert.options = [(f"{key} ({unit})", key) for key, unit in units.items()]
        self.convert.value = chosen if chosen in units else next(iter(units), None)
        self._conversion.layout.display = None if units else "none"


class Line:
    """One column."""

    def __init__(self, columns: Columns):
        self.name, self.values = HTML(), HTML()
        self.role = Dropdown(options=_ROLES, value="ignore", description="role")
        self.unit = Text(description="unit", continuous_update=False)
        for widget in (self.role, self.unit):
            widget.add_class("wb-quiet")
        self.values.add_class("wb-note")
        self.widgets: list[Widget] = [self.name, self.role, self.unit, self.values]
        self.column, self._key = "", ""
        handler = columns._state.handler
        self.role.observe(handler(lambda change: columns.choose_role(self.column, change["new"])), "value")
        self.unit.observe(handler(lambda change: columns.state_unit(self._key, change["new"])), "value")

    def render(
        self,
        column: str,
        role: str,
        values: pd.Series[Any],
        key: str | None,
        units: Mapping[str, str],
        *,
        fixed: bool,
    ) -> None:
        """Show a column; `key` is what its unit is stated for, None if it has none."""
        self.column, self._key = column, key or ""
        self.name.value = f"<code class='wb-cut' title='{escaped(column)}'>{escaped(column)}</code>"
        self.role.value, self.role.disabled, self.role.tooltip = role, fixed, f"role of {column}"
        self.unit.value = units.get(key or "", "")
        self.unit.placeholder = _UNITS.get(role, "")
        self.unit.layout.visibility = "hidden" if key is None else "visible"
        self.unit.tooltip = f"unit of {column}"
        first = ", ".join(str(value)[:16] for value in values.dropna().head(5))
        self.values.value = f"<span class='wb-cut'>{escaped(first)}</span>"


def _known(roles: Mapping[str, Any]) -> set[str]:
    return {*roles, *roles.get("covariates", ())}
