"""Error: how observations scatter around the individual curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipywidgets import Dropdown, FloatText, Widget

from workbench.model.residual import ERROR_MODELS
from workbench.ui import markup
from workbench.ui.panels.panel import Panel, heading, note, row

_MEANING = {"a": "constant part, in the unit of the response", "b": "proportional part, a fraction"}


class ErrorPanel(Panel):
    """The residual error model and its values."""

    title = "Error"
    follows = frozenset({"model", "start", "data"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.view.add_class("wb-card")
        self.kind = Dropdown(
            options=[(kind.title, kind) for kind in ERROR_MODELS],
            description="Error model",
            style={"description_width": "82px"},
            layout={"width": "212px"},
        )
        self.formula = note()
        self.boxes = {
            name: FloatText(
                description=name,
                tooltip=_MEANING[name],
                style={"description_width": "14px"},
                layout={"width": "96px"},
            )
            for name in ("a", "b")
        }
        self.unit = note()
        self.kind.observe(self.state.handler(self._kind_chosen), "value")
        for name, box in self.boxes.items():
            box.observe(self.state.handler(lambda change, name=name: self._typed(name, change["new"])), "value")
        return [
            heading("Residual error"),
            row(self.kind, self.formula),
            row(self.boxes["a"], self.unit, self.boxes["b"]),
        ]

    def _kind_chosen(self, change: Any) -> None:
        self.state.update(model=self.state.stated_model().with_error(change["new"]()))

    def _typed(self, name: str, value: float) -> None:
        model = self.state.complete_model()
        error = model.error
        values = dict(zip(error.names, error.values, strict=True)) | {name: value}
        self.state.update(model=model.with_error(type(error)(**values)))

    def render(self, changed: frozenset[str]) -> None:
        """Show the error model."""
        model = self.state.start or self.state.model
        self.kind.disabled = model is None
        if model is None:
            return
        error = model.error
        if type(error) in ERROR_MODELS:
            self.kind.value = type(error)
        self.formula.value = f"sd = {markup.escaped(error.formula)}"
        values = dict(zip(error.names, error.values, strict=True))
        for name, box in self.boxes.items():
            box.layout.display = None if name in values else "none"
            value = values.get(name)
            box.disabled = value is None
            box.value = 0.0 if value is None else markup.rounded(value, 4)
        unit = self.state.data.units.get("response", "") if self.state.data is not None else ""
        self.unit.value = markup.escaped(unit) if "a" in values else ""
