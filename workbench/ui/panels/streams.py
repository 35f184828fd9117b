"""What was understood of a control stream that was handed over: in words, and as equations."""

from __future__ import annotations

from ipywidgets import HTML, Box, HTMLMath, VBox

from workbench import markup
from workbench.data import GroupedData
from workbench.methods import method_of
from workbench.model.mathematics import individual, observations
from workbench.ui.panels.equations import in_lines
from workbench.ui.panels.kept import hide
from workbench.ui.session.streams import Handed


class StreamView:
    """The sentence that says how a stream was proven, what was left out, and its equations."""

    def __init__(self) -> None:
        self.said, self.equations, self.individuals = HTML(), HTMLMath(), HTMLMath()
        for part in (self.equations, self.individuals):
            part.add_class("wb-equations")
        self.mathematics = Box([self.equations, self.individuals])
        self.mathematics.add_class("wb-mathematics")
        self.view = VBox([self.said, self.mathematics])
        self.show(None, None)

    def show(self, handed: Handed | None, kept: GroupedData | None) -> None:
        """Show a stream; `kept`: the data that stay where it was not taken."""
        hide(self.view, handed is None)
        if handed is None:
            self.said.value = self.equations.value = self.individuals.value = ""
            return
        model = handed.model
        taken = handed.data is not None
        lines = [markup.escaped(line) for line in handed.said.splitlines()]
        parts = [markup.tag("b", lines[0]), *(markup.tag("div", line) for line in lines[1:])]
        if not taken and kept is not None:
            parts.append(markup.tag("div", f"{kept.name} stays."))
        if model is not None:
            parts.append(markup.tag("div", f"{model.structure.title}; {method_of(handed.method).title}."))
        if handed.left_out:
            parts.append(markup.tag("div", f"Left out: {'; '.join(handed.left_out)}."))
        box = markup.tag("div", *parts, class_="wb-note" if taken else "wb-faults")
        self.said.value = str(box)
        hide(self.mathematics, model is None)
        self.equations.value = in_lines(model.structure.equations()) if model is not None else ""
        self.individuals.value = (
            in_lines([*(individual(p) for p in model.parameters), *observations(model)]) if model is not None else ""
        )
