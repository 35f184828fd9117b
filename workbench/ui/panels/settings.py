"""How a fit is done: the few options of the method, starting points, the kind of standard errors."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ipywidgets import BoundedIntText, Dropdown, Widget

from workbench.engine import method_name
from workbench.methods import OPTIONS, WITHOUT_STARTS, Options
from workbench.ui.panels.panel import row
from workbench.ui.session.state import State

_KINDS = [("Hessian (R)", True), ("scores (S)", "S"), ("sandwich", "sandwich"), ("none", False)]
_MEANINGS = {
    "nodes": "nodes along each random effect; 0: as many as suit their number",
    "samples": "draws of the random effects of each subject",
    "exploration": "iterations that go all the way to what suits the draws",
    "smoothing": "iterations after these, which average",
    "chains": "draws of each subject in an iteration; 0: as many as make 50 with the number of subjects",
    "seed": "equal seeds give equal results",
    "kind": "standard: mean and covariance of the own values; global: their errors taken out",
}
_WITHOUT_ERRORS = ("individual",)
_LARGEST = 2**31 - 1  # what an input holds: a larger number would be shown as another one


class SettingsRow:
    """A row of small inputs that suits the method; it writes `method` and `settings` of the state."""

    def __init__(self, state: State):
        self._state = state
        self._name = ""
        self._inputs: dict[str, Widget] = {}
        self.starts = self._number("starts", "search from so many points, the first at the stated values", 1)
        self.seed = self._number("seed", "of the starting points", 0)
        self.errors = Dropdown(
            options=_KINDS, description="standard errors", style={"description_width": "initial"}, tooltip="what from"
        )
        self.errors.layout.width = "220px"
        self.errors.observe(state.handler(lambda change: self._set("covariance", change["new"], True)), "value")
        self.starts.observe(state.handler(lambda change: self._set("starts", change["new"], 1)), "value")
        self.seed.observe(state.handler(lambda change: self._set("seed", change["new"], 1)), "value")
        self.view = row()

    def input(self, name: str) -> Widget:
        """The input of an option of the method."""
        return self._inputs[name]

    def render(self) -> None:
        """Show the options of the method, and the settings."""
        state, name = self._state, method_name(self._state.method)
        options = state.method if isinstance(state.method, Options) else OPTIONS[name]() if name in OPTIONS else None
        if name != self._name:
            self._name = name
            self._inputs = {f.name: self._option(f.name, options) for f in fields(options)} if options else {}
            children: list[Widget] = [*self._inputs.values()]
            children += [] if name in WITHOUT_STARTS else [self.starts, self.seed]
            children += [] if name in _WITHOUT_ERRORS else [self.errors]
            self.view.children = children
        for option, widget in self._inputs.items():
            widget.value = _shown(getattr(options, option))
        settings = dict(state.settings)
        self.starts.value, self.seed.value = settings.get("starts", 1), settings.get("seed", 1)
        self.seed.layout.display = None if self.starts.value > 1 else "none"
        self.errors.value = settings.get("covariance", True)

    def _number(self, name: str, meaning: str, low: int) -> BoundedIntText:
        text = BoundedIntText(
            value=low, min=low, max=_LARGEST, description=name, tooltip=meaning, style={"description_width": "initial"}
        )
        text.layout.width = "130px"
        return text

    def _option(self, name: str, options: Any) -> Widget:
        meaning = _MEANINGS.get(name, name)
        if isinstance(getattr(options, name), str):
            widget: Widget = Dropdown(
                options=["standard", "global"],
                description=name,
                tooltip=meaning,
                style={"description_width": "initial"},
            )
            widget.layout.width = "150px"
        else:
            widget = self._number(name, meaning, 0)
        widget.value = _shown(getattr(options, name))
        widget.observe(self._state.handler(lambda change, name=name: self._change(name, change["new"])), "value")
        return widget

    def _change(self, name: str, value: Any) -> None:
        method = self._state.method
        options = method if isinstance(method, Options) else OPTIONS[method_name(method)]()
        if value == 0 and next(f for f in fields(options) if f.name == name).default is None:  # type: ignore[arg-type]
            value = None
        changed: Any = replace(options, **{name: value})  # type: ignore[type-var]
        self._state.update(method=changed.name if changed == type(changed)() else changed)

    def _set(self, name: str, value: Any, usual: Any) -> None:
        settings = dict(self._state.settings)
        settings.pop(name, None)
        if value != usual:
            settings[name] = value
        order = ("covariance", "starts", "seed")
        self._state.update(settings=tuple((key, settings[key]) for key in order if key in settings))


def _shown(value: Any) -> Any:
    return 0 if value is None else value
