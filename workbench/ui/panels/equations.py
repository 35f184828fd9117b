"""The model as mathematics, and its compartments as a diagram."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipywidgets import HTML, Box, HTMLMath, VBox, Widget

from workbench import markup
from workbench.errors import ModelError
from workbench.language.latex import aligned, symbol
from workbench.language.reading import latex, read_expression
from workbench.model import Model, Parameter
from workbench.ui.panels.panel import Panel, heading


class EquationsPanel(Panel):
    """The structure with its diagram, the individual parameters, and the residual error."""

    title = "Model"
    follows = frozenset({"model"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.name, self.diagram = HTML(), HTML()
        self.structure, self.individuals, self.error = HTMLMath(), HTMLMath(), HTMLMath()
        self.diagram.add_class("wb-diagram")
        for equations in (self.structure, self.individuals, self.error):
            equations.add_class("wb-equations")
        statistics = VBox([heading("Individual parameters"), self.individuals, heading("Residual error"), self.error])
        mathematics = Box([self.structure, statistics])
        mathematics.add_class("wb-mathematics")
        return [self.name, self.diagram, mathematics]

    def render(self, changed: frozenset[str]) -> None:
        """Show the model."""
        model = self.state.model
        for part in self.view.children[1:]:
            part.layout.display = None if model is not None else "none"
        if model is None:
            self.name.value = "<span class='wb-note'>There is no model yet: load data first.</span>"
            return
        drawing = model.structure.diagram()
        self.name.value = f"<h4>{markup.escaped(model.structure.title)}</h4>"
        self.diagram.value = drawing or ""
        self.diagram.layout.display = None if drawing else "none"
        self.structure.value = _shown(model.structure.equations())
        self.individuals.value = _shown([individual(parameter) for parameter in model.parameters])
        self.error.value = _shown(observations(model))


def _shown(equations: list[str]) -> str:
    return markup.escaped(aligned(equations))


def individual(parameter: Parameter) -> str:
    """The individual value of a parameter as LaTeX."""
    name = symbol(parameter.name)
    if parameter.column is not None:
        return rf"{_indexed(name)} = \text{{column {_text(parameter.column)}}}"
    typical = name
    added = []
    for number, effect in enumerate(parameter.covariates, start=1):
        fixed = effect.fixed and effect.value is not None and len(effect.value) == 1
        theta = f"{effect.value[0]:g}" if fixed and effect.value else rf"\theta_{{{name},{number}}}"
        term = rf"{theta}\,{_term(effect.term, factor=True)}"
        ratio = re.fullmatch(r"log\((\w+/[^()]+|\w+/median\(\w+\))\)", effect.term)
        if effect.fractional:
            typical += rf"\,\left(1 + {term}\right)"
        elif ratio and parameter.link.is_logarithm:
            typical += rf"\left({_term(ratio[1])}\right)^{{{theta}}}"
        else:
            added.append(term)
    if parameter.iiv is not None:
        added.append(rf"\eta_{{{name}}}")
    if parameter.share is not None:
        scale = r"s" if parameter.share[1] is None else f"{parameter.share[1]:.3g}"
        added.append(rf"{scale}\,\eta_{{{symbol(parameter.share[0])}}}")
    if parameter.iov is not None:
        added.append(rf"\kappa_{{{name}}}")
    left = _indexed(name)
    if parameter.link.is_logarithm:
        return f"{left} = {typical}" + (rf"\; e^{{\,{' + '.join(added)}}}" if added else "")
    return f"{parameter.link.latex(left, bare=True)} = {' + '.join([parameter.link.latex(typical), *added])}"


def _indexed(name: str) -> str:
    """A symbol with the index i of the subject, beside an index that it has."""
    base, mark, index = name.partition("_")
    if not mark:
        return f"{name}_i"
    return f"{base}_{{{index.removeprefix('{').removesuffix('}') if index.startswith('{') else index},i}}"


def observations(model: Model) -> list[str]:
    """The residual errors as LaTeX, one per response."""
    responses, lines = model.structure.responses, []
    for name, error in zip(responses, model.errors, strict=True):
        of = rf"_\mathrm{{{_text(name)}}}" if len(responses) > 1 else ""
        y, f = f"y{of}", f"f{of}"
        lines.append(error.latex(y, f))
    return [rf"{line},\qquad \varepsilon \sim \mathcal{{N}}(0, 1)" for line in lines]


def _term(term: str, factor: bool = False) -> str:
    """A covariate term as LaTeX; one that is more than an expression, such as C(SEX), as it is typed."""
    try:
        return latex(read_expression(re.sub(r"median\((\w+)\)", r"\1_median", term), "The term")[1], factor)
    except ModelError:
        return rf"\mathtt{{{_text(term)}}}"


def _text(text: str) -> str:
    """Text of the user's within LaTeX: what means something there is left out or set apart."""
    kept = {"_": r"\_", "(": "(", ")": ")", ",": ",", "-": "-", "+": "+", "/": "/", "*": "*", ".": ".", "<": "<",
            ">": ">", "=": "=", "'": "'", '"': '"'}  # fmt: skip
    return "".join(c if c.isalnum() else kept.get(c, r"\ ") for c in text)
