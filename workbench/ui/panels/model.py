"""Model: the structure, the parameters with their initial values and random effects, what is correlated."""

from __future__ import annotations

from collections.abc import Sequence

from ipywidgets import HTML, Button, VBox, Widget

from workbench import markup
from workbench.model import Model
from workbench.model.families import family_of
from workbench.model.residual import ERROR_MODELS
from workbench.ui.panels.panel import Panel, heading, row
from workbench.ui.panels.parameters import ParameterRow, ParameterTable
from workbench.ui.panels.structure import StructureChoice
from workbench.ui.session.found import found


class ModelPanel(Panel):
    """What the model states, editable; the values of a model that does not state them are found from the data."""

    title = "Stated model"
    follows = frozenset({"model", "start", "data", "run", "problem", "place", "progress"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.view.add_class("wb-card")
        handler = self.state.handler
        self.structure = StructureChoice(self.state)
        self.choices = self.structure.choices
        self.other = HTML()
        head = row(heading("Structure"), self.structure.kind, spread=True)
        self.stated = VBox([head, self.structure.view])
        self.stated.add_class("wb-structure")
        self.table = ParameterTable(self.state)
        self.automatic = Button(description="Automatic values", tooltip="find all values from the data")
        self.from_fit = Button(
            description="From estimates", tooltip="take the estimates of the shown fit as initial values"
        )
        for button in (self.automatic, self.from_fit):
            button.add_class("wb-toggle")
        self.automatic.on_click(handler(lambda _: self._automatic()))
        self.from_fit.on_click(handler(lambda _: self._take_estimates()))
        return [
            self.stated,
            self.other,
            self.table.view,
            row(self.automatic, self.from_fit, self.table.more),
        ]

    @property
    def rows(self) -> dict[str, ParameterRow]:
        """The widgets of each parameter."""
        return self.table.rows

    # -- edits -------------------------------------------------------------------------------------------------

    def _automatic(self) -> None:
        self.state.update(model=self.state.stated_model().without_values())

    def _take_estimates(self) -> None:
        if self.state.fit is not None:
            self.state.update(model=self.state.fit.model)

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show the model, with the values that a fit starts from."""
        if changed == {"progress"}:
            self.table.render_found(found(self.state), stale=False)
            return
        model = self.state.start or self.state.model
        self.from_fit.disabled = self.state.fit is None or self.state.fit.model == self.state.model
        self.automatic.disabled = self.table.more.disabled = model is None
        self.structure.render(model.structure if model is not None else None)
        self.table.render(model)
        self.table.render_found(found(self.state), stale=not self.state.is_current)
        self.other.value = _as_code(model)
        self.other.layout.display = None if self.other.value else "none"


def unshown(model: Model) -> list[str]:
    """What a model states that the panels have no controls for, in words."""
    structure = model.structure
    parts = [] if family_of(structure) is not None else [f"the structure {structure.title}"]
    parts += [f"{p.name} from column {p.column}" for p in model.parameters if p.column is not None]
    parts += [f"the η that {p.name} shares with {p.share[0]}" for p in model.parameters if p.share is not None]
    parts += [f"the fixed correlations of {'–'.join(b.names)}" for b in model.correlate if b.fixed]
    own = [error for error in model.errors if type(error) not in ERROR_MODELS and error.settings]
    return parts + [f"the settings of {error!r}" for error in own]


def _as_code(model: Model | None) -> str:
    """What the panels cannot show, in a line, and all of it as code."""
    parts = unshown(model) if model is not None else []
    if not parts:
        return ""
    line = f"Not all of this model has controls here. Kept as stated: {', '.join(parts)}."
    code = f"<pre class='wb-code'>{markup.escaped(repr(model))}</pre>"
    return f"<details class='wb-note'><summary>{markup.escaped(line)}</summary>{code}</details>"
