"""How a fit is done: the few options of the method, starting points, the kind of standard errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ipywidgets import BoundedFloatText, BoundedIntText, Box, Checkbox, Dropdown, HBox, Widget

from workbench import engine
from workbench.checks import whole
from workbench.methods import Ability, Option, method_of, options_of
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import row
from workbench.ui.session.state import State

_KINDS = [("Hessian (R)", True), ("scores (S)", "S"), ("sandwich", "sandwich"), ("none", False)]
_LARGEST = 2**31 - 1  # what an input holds: a larger number would be shown as another one
_WIDE = {"description_width": "initial"}


class SettingsRow:
    """A row of small inputs that suits the method; it writes `method` and `settings` of the state."""

    def __init__(self, state: State):
        self._state = state
        self._name = ""
        self._inputs: dict[str, Widget] = {}
        self.starts = _number("starts", Option("search from so many points, the first at the stated values", least=1))
        self.seed = _number("seed of starts", Option("of the starting points"))
        self.errors = Dropdown(options=_KINDS, description="standard errors", style=_WIDE, tooltip="what from")
        self.errors.layout.width = "220px"
        for name, widget in (("covariance", self.errors), ("starts", self.starts), ("seed", self.seed)):
            widget.observe(state.handler(lambda change, name=name: self._set(name, change["new"])), "value")
        self.replay = Checkbox(
            description="watch fast fits", indent=False, layout={"width": "auto"},
            tooltip="show a fit that took no time in some steps, over half a second",
        )  # fmt: skip
        self.replay.observe(state.handler(lambda change: state.update(replay=change["new"])), "value")
        self._made: dict[str, tuple[dict[str, Widget], HBox]] = {}
        self._options = Box()
        self._options.add_class("wb-line")
        self.view = row(self._options, self.starts, self.seed, self.errors, self.replay)

    def input(self, name: str) -> Widget:
        """The input of an option of the method."""
        return self._inputs[name]

    def render(self) -> None:
        """Show the options of the method, and the settings."""
        method, options = method_of(self._state.method), options_of(self._state.method)
        if method.name != self._name:
            self._name = method.name
            described = method.options.described() if method.options is not None else {}
            if method.name not in self._made:
                inputs = {name: self._option(name, option) for name, option in described.items()}
                self._made[method.name] = inputs, row(*inputs.values())
            self._inputs, options_of_method = self._made[method.name]
            show_only(self._options, [options_of_method] if described else [])
            hide(self.starts, not method.can(Ability.STARTS))
            hide(self.seed, not method.can(Ability.STARTS))
            hide(self.errors, not method.can(Ability.ERRORS))
        for name, widget in self._inputs.items():
            widget.value = _shown(getattr(options, name))
        stated = {**engine.keywords(), **dict(self._state.settings)}
        self.starts.value, self.seed.value = stated["starts"], stated["seed"]
        self.seed.layout.display = None if self.starts.value > 1 else "none"
        self.errors.value = stated["covariance"]
        self.replay.value = self._state.replay

    def _option(self, name: str, option: Option) -> Widget:
        if option.choices:
            widget: Widget = Dropdown(options=option.choices, description=name, tooltip=option.said, style=_WIDE)
            widget.layout.width = "150px"
        else:
            widget = _number(name, option)
        widget.observe(self._state.handler(lambda change: self._change(name, change["new"])), "value")
        return widget

    def _change(self, name: str, value: Any) -> None:
        method, options = method_of(self._state.method), options_of(self._state.method)
        unstated = value == 0 and options.described()[name].unstated
        self._state.update(method=method.stated(replace(options, **{name: None if unstated else value})))

    def _set(self, name: str, value: Any) -> None:
        if name == "starts":
            whole(name, value, 1)
        self._state.update(settings=engine.unusual({**dict(self._state.settings), name: value}))


def _number(name: str, option: Option) -> Widget:
    """An input of a number, which takes 0 as well: for what is not stated, or to be refused in words."""
    kind = BoundedFloatText if option.real else BoundedIntText
    tooltip = f"{option.meaning}; 0: {option.unstated}" if option.unstated else option.meaning
    text = kind(
        value=option.least, min=min(0, option.least), max=option.most or _LARGEST, description=name, tooltip=tooltip,
        style=_WIDE,
    )  # fmt: skip
    text.layout.width = "130px"
    return text


def _shown(value: Any) -> Any:
    return 0 if value is None else value
