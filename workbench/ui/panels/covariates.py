"""Covariates: how each acts on each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipywidgets import HTML, Box, Button, Checkbox, DOMWidget, Dropdown, HBox, Text, VBox, Widget

from workbench import markup
from workbench.data import GroupedData
from workbench.data.tables import is_categorical
from workbench.language.formula import columns_of
from workbench.model import Effect, Model, Parameter
from workbench.model.shapes import SHAPES, Acting, Reference
from workbench.ui.panels.cards import subject_covariates
from workbench.ui.panels.kept import Grid, show_only
from workbench.ui.panels.panel import Panel, Refusal, heading, note, row
from workbench.ui.session.shapes import read_effects, shapes_for, with_other_terms, with_reference, with_shape

_MOST_COLUMNS = 12
_MOST_SEEN = 4  # of these, where the panel is narrow
_MOST_LEVELS = 12
_WEIGHTS = ("WT", "BW", "WEIGHT", "BWT", "WTKG", "MASS")
_ABOUT = (
    "A shape says how a covariate acts; the typical value is that at the reference. Terms of no named shape, such as "
    "<code>log(WT/70)*AGE</code>, stand in the formula of their parameter."
)


class EffectCell:
    """How one covariate acts on one parameter: shape, reference, and the coefficient."""

    def __init__(self, panel: CovariatesPanel):
        self._panel = panel
        self._parameter = self._covariate = ""
        guard = panel.refusal.guard
        self.shape = Dropdown(options=[("–", "")])
        self.reference = Text(continuous_update=False)
        for widget in (self.shape, self.reference):
            widget.add_class("wb-quiet")
        self.coefficient = note()
        self.second = HBox([self.reference, self.coefficient])
        self.view = VBox([self.shape, self.second])
        self.view.add_class("wb-effect")
        self.shape.observe(guard(lambda change: self._shape_chosen(change["new"])), "value")
        self.reference.observe(guard(lambda change: self._reference_typed(change["new"])), "value")

    def name(self, parameter: str, covariate: str) -> None:
        """Say what it is about."""
        self._parameter, self._covariate = parameter, covariate
        about = f"{covariate} on {parameter}"
        self.shape.description, self.reference.description = f"shape of {about}", f"reference of {about}"

    def _shape_chosen(self, shape: str) -> None:
        model = self._panel.state.stated_model()
        self._panel.state.update(model=with_shape(model, self._parameter, self._covariate, shape))

    def _reference_typed(self, text: str) -> None:
        model = self._panel.state.stated_model()
        reference = self._panel.reference_of(self._covariate, self.shape.value, text.strip())
        self._panel.state.update(model=with_reference(model, self._parameter, self._covariate, reference))

    def render(self, parameter: Parameter, acting: Acting | None, shapes: Sequence[str], levels: Sequence[Any]) -> None:
        """Show what acts."""
        offered = [shape for shape in shapes_for(parameter) if shape in shapes or (acting and shape == acting.shape)]
        options = [("–", ""), *((shape, shape) for shape in offered)]
        if list(self.shape.options) != options:
            self.shape.options = options
        self.shape.value = acting.shape if acting is not None else ""
        self.view.remove_class("wb-on") if acting is None else self.view.add_class("wb-on")
        self.second.layout.visibility = "hidden" if acting is None else "visible"
        if acting is None:
            self.reference.value = self.coefficient.value = ""
            return
        category = SHAPES[acting.shape].categorical
        reference = acting.reference
        if category and reference == "median":
            reference = levels[0] if levels else ""
        self.reference.value = f"{reference:g}" if isinstance(reference, int | float) else str(reference)
        what = "reference level: " + ", ".join(map(str, levels)) if category else "reference: median, or a number"
        self.reference.tooltip = what
        self.coefficient.value = markup.escaped(_coefficients(acting.effects))


class CovariatesPanel(Panel):
    """A grid of parameters and covariates, a formula for each parameter, and allometry by a button."""

    title = "Covariates"
    follows = frozenset({"model", "data", "problem", "place"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.refusal = Refusal(self.state, "covariates")
        guard = self.refusal.guard
        self.about = note(_ABOUT)
        self._grid = Grid(self._made, "wb-effects")
        self.grid = self._grid.view
        self.more = note()
        self.weight = Dropdown(description="weight", style={"description_width": "46px"}, layout={"width": "140px"})
        self.reference = Text(
            value="70", description="reference", style={"description_width": "66px"}, layout={"width": "132px"}
        )
        self.estimate = Checkbox(
            description="estimate the exponents", indent=False, tooltip="start from 0.75 and 1 instead of keeping them"
        )
        self.allometric = Button(
            description="Allometric", tooltip="clearances go with weight^0.75, volumes with weight^1, rates with ^-0.25"
        )
        self.allometric.add_class("wb-toggle")
        self.allometric.on_click(guard(lambda _: self._scale_by_weight()))
        self._allometry = row(self.allometric, self.weight, self.reference, self.estimate)
        self.formulas = Box()
        self.formulas.add_class("wb-formulas")
        self.cells: dict[tuple[str, str], EffectCell] = {}
        self._cells: dict[Widget, EffectCell] = {}
        self.boxes: dict[str, Text] = {}
        self._texts: list[Text] = []
        self._built_for: tuple[Any, ...] = ()
        self._levels: dict[str, list[Any]] = {}
        self._shapes: dict[str, tuple[str, ...]] = {}
        self.formula_head = heading("Other terms")
        return [
            self.about, self.grid, self.more, self._allometry, self.formula_head, self.formulas, self.refusal.view,
        ]  # fmt: skip

    # -- edits -------------------------------------------------------------------------------------------------

    def reference_of(self, covariate: str, shape: str, text: str) -> Reference:
        """What a typed reference means: the median, a number, or a level."""
        if shape and SHAPES[shape].categorical:
            levels = self._levels.get(covariate, [])
            found = next((level for level in levels if str(level) == text), None)
            if found is not None:
                return found if isinstance(found, str) else float(found)
        if text in ("", "median"):
            return "median"
        try:
            return float(text)
        except ValueError:
            return text

    def _scale_by_weight(self) -> None:
        model = self.state.stated_model()
        reference: Any = self.reference_of(self.weight.value or "", "", self.reference.value.strip())
        self.state.update(
            model=model.allometric(self.weight.value or "WT", reference, estimate=bool(self.estimate.value))
        )

    def _formula_typed(self, parameter: str, formula: str) -> None:
        columns = self._built_for[1]
        self.state.update(model=with_other_terms(self.state.stated_model(), parameter, formula, columns))

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show the effects."""
        model, data = self.state.model, self.state.data
        self.refusal.render()
        there = model is not None and data is not None
        for widget in (self.grid, self.formulas, self.formula_head):
            widget.layout.display = None if there else "none"
        self._allometry.layout.display = None if there and data is not None and data.covariate_names else "none"
        if model is None or data is None:
            self.about.value, self.more.value = "There is no model yet: load data first.", ""
            return
        if "data" in changed:
            self._learn(data)
        names = [p.name for p in model.parameters if p.column is None]
        columns = self._columns(model, data)
        if (tuple(names), columns) != self._built_for:
            self._built_for = (tuple(names), columns)
            self._build(names, columns)
        for name in names:
            found, rest = read_effects(model[name], columns)
            for column in columns:
                self.cells[name, column].render(
                    model[name], found.get(column), self._shapes.get(column, ()), self._levels.get(column, [])
                )
            self.boxes[name].value = " + ".join(effect.term for effect in rest)
            self.boxes[name].tooltip = _about_rest(rest)

    def _learn(self, data: GroupedData) -> None:
        """Levels of the covariates, and the shapes that suit them."""
        values = subject_covariates(data)
        self._levels, self._shapes = {}, {}
        for name in data.covariate_names:
            known = data.frame[name].dropna()
            levels = sorted(set(known.tolist()), key=lambda level: (isinstance(level, str), level))
            few = len(levels) <= _MOST_LEVELS
            self._levels[name] = levels if few or is_categorical(values[name]) else []
            category = is_categorical(values[name])
            self._shapes[name] = tuple(
                shape.name for shape in SHAPES.values() if (few or category if shape.categorical else not category)
            )
        weights = [name for name in data.covariate_names if not is_categorical(values[name])]
        self.weight.options = weights
        guess = next((name for name in weights if name.upper() in _WEIGHTS), None)
        self.weight.value = guess or (weights[0] if weights else None)
        self.allometric.disabled = not weights

    def _columns(self, model: Model, data: GroupedData) -> tuple[str, ...]:
        """The covariates that have a column in the grid: those that act first, if there are too many."""
        names = [name for name in data.covariate_names if name.isidentifier()]
        acting = {name for p in model.parameters for effect in p.covariates for name in columns_of(effect.term)}
        first = [name for name in names if name in acting] if len(names) > _MOST_COLUMNS else []
        shown = [*first, *(name for name in names if name not in first)][:_MOST_COLUMNS]
        hidden = len(data.covariate_names) - len(shown)
        odd = [name for name in data.covariate_names if not name.isidentifier()]
        remarks = [f"Move the grid sideways for all {len(shown)} covariates."] if len(shown) > _MOST_SEEN else []
        remarks += [f"{hidden} more covariates can be named in the formulas."] if hidden > len(odd) else []
        remarks += [f"To use {', '.join(odd[:5])}, rename the column to one word."] if odd else []
        remarks += ["These data have no covariates."] if not data.covariate_names else []
        self.more.value = markup.escaped(" ".join(remarks))
        self.about.value = _ABOUT if shown else ""
        return tuple(name for name in names if name in shown)

    def _build(self, names: Sequence[str], columns: Sequence[str]) -> None:
        self._grid.resize(1 + len(names) if columns else 0, 1 + len(columns))
        self.cells = {}
        for c, column in enumerate(columns, 1):
            title = markup.escaped(column)
            self._grid.at(0, c).value = f"<div class='wb-cut' title='{title}'>{title}</div>"
        for r, name in enumerate(names if columns else (), 1):
            self._grid.at(r, 0).value = f"<b>{markup.escaped(name)}</b>"
            for c, column in enumerate(columns, 1):
                self.cells[name, column] = self._cells[self._grid.at(r, c)]
                self.cells[name, column].name(name, column)
        self.grid.layout.grid_template_columns = f"max-content repeat({max(len(columns), 1)}, minmax(104px, 132px))"
        while len(self._texts) < len(names):
            self._texts.append(self._formula())
        self.boxes = dict(zip(names, self._texts, strict=False))
        for name, box in self.boxes.items():
            box.description = name
        show_only(self.formulas, list(self.boxes.values()))

    def _made(self, r: int, c: int) -> DOMWidget:
        """The widget of a place: a text at the upper and the left edge, else what acts."""
        if r and c:
            cell = EffectCell(self)
            self._cells[cell.view] = cell
            return cell.view
        text = HTML()
        if c == 0:
            text.add_class("wb-effect-side")
        return text

    def _formula(self) -> Text:
        box = Text(placeholder="such as log(WT/70)*AGE", continuous_update=False, style={"description_width": "58px"})
        box.observe(self.refusal.guard(lambda change: self._formula_typed(box.description, change["new"])), "value")
        return box


def _coefficients(effects: Sequence[Effect]) -> str:
    """Coefficients that are stated, in short."""
    values = [value for effect in effects for value in effect.value or ()]
    if not values:
        return ""
    text = ", ".join(f"{value:.3g}" for value in values[:2]) + (" …" if len(values) > 2 else "")
    return f"θ {text}{' fixed' if all(effect.fixed for effect in effects) else ''}"


def _about_rest(effects: Sequence[Effect]) -> str:
    fractional = [effect.term for effect in effects if effect.fractional]
    fixed = [effect.term for effect in effects if effect.fixed]
    parts = [f"fractional: {', '.join(fractional)}"] if fractional else []
    return "; ".join(parts + ([f"fixed: {', '.join(fixed)}"] if fixed else [])) or "terms of no named shape"
