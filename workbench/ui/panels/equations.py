"""The model as mathematics, and its compartments as a diagram."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipywidgets import HTML, Box, HTMLMath, VBox, Widget

from workbench import markup
from workbench.language.latex import aligned, symbol
from workbench.model import Model
from workbench.model.mathematics import individual, observations
from workbench.ui.panels.panel import Panel, heading


class EquationsPanel(Panel):
    """The structure with its diagram, the individual parameters, and the residual error."""

    title = "Equations"
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
        self.structure.value = in_lines(model.structure.equations())
        self.individuals.value = in_lines([individual(parameter) for parameter in model.parameters])
        self.error.value = in_lines(observations(model))


_RATE = re.compile(r"\\frac\{d\\,((?:[^{}]|\{[^{}]*\})*)\}\{dt\}")


def in_one_line(model: Model) -> str:
    """The model as LaTeX within a line: what is predicted, how the parameters differ, how observations scatter."""
    lines = [line for line in model.structure.equations() if not line.startswith("r(t)")]
    told = [_RATE.sub(r"\1'", line).replace("r(t) - ", "-") for line in lines]
    plain, effects = dict[str, list[str]](), list[str]()
    for parameter in model.parameters:
        if parameter.covariates or parameter.column is not None:
            effects.append(individual(parameter))
        elif parameter.iiv is not None or parameter.iov is not None:
            plain.setdefault(parameter.link.latex("X", bare=True), []).append(symbol(parameter.name))
    laws = []
    for form, names in plain.items():
        together = ",".join(names) if len(names) == 1 else rf"({','.join(names)})"
        left, of = form.replace("X", together), form.replace("X", r"\theta")
        laws.append(rf"{left} \sim \mathcal{{N}}({of}, \Psi)")
    errors = [line.split(r",\qquad")[0] for line in observations(model)]
    parts = [", ".join(f"${part}$" for part in group) for group in (told, effects, laws, errors) if group]
    return " \u2002·\u2002 ".join(parts)


def in_lines(equations: list[str]) -> str:
    return markup.escaped(aligned(equations))
