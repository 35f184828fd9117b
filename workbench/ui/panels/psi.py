"""Ψ as a matrix to be clicked: which random effects are correlated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ipywidgets import HTML, Button, DOMWidget, Layout, ToggleButton, VBox, Widget

from workbench import markup
from workbench.model import Block, Model
from workbench.model.block import Level, restricted
from workbench.ui.panels.kept import Grid
from workbench.ui.panels.panel import Panel, note, row
from workbench.ui.session.found import Found, found
from workbench.ui.session.state import State

_MOST = 12
_PARTS = {"subject": ("iiv", "η", "Ψ, between subjects"), "occasion": ("iov", "κ", "Ψ, between occasions")}


class PsiMatrix:
    """The covariance of the random effects of one level: standard deviations on its diagonal, blocks off it."""

    def __init__(self, state: State, level: Level):
        self._state, self._level = state, level
        self._part, self._effect, title = _PARTS[level]
        self.full = Button(description="full", tooltip="correlate all random effects")
        self.diagonal = Button(description="diagonal", tooltip="correlate none")
        self.full.on_click(state.handler(lambda _: self._state_blocks(self._joined(self._names))))
        self.diagonal.on_click(state.handler(lambda _: self._state_blocks(())))
        for button in (self.full, self.diagonal):
            button.add_class("wb-toggle")
        self._grid = Grid(self._made, "wb-psi")
        self.grid = self._grid.view
        self.about = note()
        self._names: tuple[str, ...] = ()
        self.cells: dict[tuple[str, str], ToggleButton] = {}
        self.spreads: dict[str, HTML] = {}
        self._layout = Layout()
        self._head, self._feet = note(title), row(self.diagonal, self.full)
        self.view = VBox([self._head, self.grid, self._feet, self.about])

    # -- edits -------------------------------------------------------------------------------------------------

    def _mine(self) -> tuple[Block, ...]:
        return tuple(block for block in self._state.stated_model().correlate if block.level == self._level)

    def _state_blocks(self, mine: Sequence[Block]) -> None:
        model = self._state.stated_model()
        others = [block for block in model.correlate if block.level != self._level]
        self._state.update(model=model.with_correlate([*mine, *others]))

    def _joined(self, names: Sequence[str]) -> list[Block]:
        """The blocks, those that hold any of these names as one; it keeps their correlations."""
        mine = self._mine()
        touched = [block for block in mine if set(block.names) & set(names)]
        together = {*names, *(name for block in touched for name in block.names)}
        order = [name for name in self._names if name in together]
        matrix = np.eye(len(order))
        for block in touched:
            at = [order.index(name) for name in block.names]
            matrix[np.ix_(at, at)] = block.matrix()
        lower = matrix[np.tril_indices(len(order), -1)]
        kept = [block for block in mine if block not in touched]
        return [*kept, Block(*order, correlations=lower.tolist(), level=self._level)]

    def _parted(self, name: str) -> list[Block]:
        """The blocks, with one name taken out of its own."""
        return list(restricted(self._mine(), {self._level: [other for other in self._names if other != name]}))

    def _toggled_at(self, r: int, c: int, change: Any) -> None:
        if max(r, c) <= len(self._names):  # a cell of a larger matrix that was shown before is hidden, and says nothing
            self._toggled((self._names[r - 1], self._names[c - 1]), change)

    def _toggled(self, pair: tuple[str, str], change: Any) -> None:
        self._state_blocks(self._joined(pair) if change["new"] else self._parted(pair[0]))

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, model: Model | None, estimates: Mapping[str, Found]) -> None:
        """Show the matrix of a model, and what was found; nothing where there are less than two random effects."""
        names: tuple[str, ...] = ()
        if model is not None:
            names = model.random_effects if self._level == "subject" else model.occasion_effects
        self.view.layout.display = None if len(names) > 1 else "none"
        if model is None or len(names) < 2:
            return
        blocks = [block for block in model.correlate if block.level == self._level]
        too_many = len(names) > _MOST
        kept = ["–".join(block.names) for block in blocks if block.fixed]
        about = [f"{len(names)} random effects: state their blocks in code."] if too_many else []
        about += [f"The correlations of {', '.join(kept)} are fixed."] if kept else []
        self.about.value = markup.escaped(" ".join(about))
        self.about.layout.display = None if self.about.value else "none"
        self.grid.layout.display = None if not too_many else "none"
        self.full.layout.display = self.diagonal.layout.display = self.grid.layout.display
        if too_many:
            return
        if names != self._names:
            self._build(names)
        for name in names:
            deviation = getattr(model[name], self._part)
            text = "auto" if deviation is True else f"{deviation:.3g}"
            tip = f"standard deviation of {self._effect} of {name}"
            here = estimates.get(f"{self._part}_{name}")
            now = "" if here is None else f"<small>{markup.number(here.value, 3)}</small>"
            tip += "" if here is None else ": initial value above, estimate below"
            self.spreads[name].value = f"<div class='wb-sd' title='{tip}'>{markup.escaped(text)}{now}</div>"
        for (first, second), cell in self.cells.items():
            block = next((b for b in blocks if {first, second} <= set(b.names)), None)
            cell.value = block is not None
            cell.description = _correlation(block, first, second) if block is not None else "·"
            cell.tooltip = (
                f"take {first} out of the block {', '.join(block.names)}"
                if block is not None
                else f"correlate {self._effect} of {first} and {second}"
            )

    def _build(self, names: tuple[str, ...]) -> None:
        self._names, n = names, len(names)
        self._grid.resize(1 + n, 1 + n)
        for k, name in enumerate(names, 1):
            self._grid.at(0, k).value = f"<div class='wb-psi-head'>{markup.escaped(name)}</div>"
            self._grid.at(k, 0).value = f"<div class='wb-psi-side'>{markup.escaped(name)}</div>"
        self.spreads = {name: self._grid.at(k, k) for k, name in enumerate(names, 1)}
        at = {name: k for k, name in enumerate(names, 1)}
        self.cells = {(a, b): self._grid.at(at[a], at[b]) for a in names for b in names if a != b}
        self.grid.layout.grid_template_columns = f"max-content repeat({n}, minmax(0, 58px))"

    def _made(self, r: int, c: int) -> DOMWidget:
        """The widget of a place: a text at the upper and the left edge and on the diagonal, else a button."""
        if r == c or not (r and c):
            return HTML(layout=self._layout)
        cell = ToggleButton(layout=self._layout)
        cell.observe(self._state.handler(lambda change: self._toggled_at(r, c, change)), "value")
        return cell


class PsiPanel(Panel):
    """Ψ of the subjects and, where there are such, of the occasions."""

    title = "Ψ"
    follows = frozenset({"model", "start", "data", "run", "progress"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.subject, self.occasion = PsiMatrix(self.state, "subject"), PsiMatrix(self.state, "occasion")
        return [self.subject.view, self.occasion.view]

    def render(self, changed: frozenset[str]) -> None:
        """Show the matrices of the model, with the values that a fit starts from."""
        model, estimates = self.state.start or self.state.model, found(self.state)
        self.subject.render(model, estimates)
        self.occasion.render(model, estimates)


def _correlation(block: Block, first: str, second: str) -> str:
    value = float(block.matrix()[block.names.index(first), block.names.index(second)])
    return markup.decimals(value, 2) if value else "ρ"
