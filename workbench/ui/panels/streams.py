"""What was understood of a control stream that was handed over: in words, and as equations."""

from __future__ import annotations

from ipywidgets import HTML, HTMLMath, VBox

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
        self.said, self.equations = HTML(), HTMLMath()
        self.equations.add_class("wb-equations")
        self.view = VBox([self.said, self.equations])
        self.show(None, None)

    def show(self, handed: Handed | None, kept: GroupedData | None) -> None:
        """Show a stream; `kept`: the data that stay where it was not taken."""
        hide(self.view, handed is None)
        if handed is None:
            self.said.value = self.equations.value = ""
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
        hide(self.equations, model is None)
        self.equations.value = "" if model is None else in_lines(
            [*model.structure.equations(), *(individual(p) for p in model.parameters), *observations(model)]
        )  # fmt: skip
