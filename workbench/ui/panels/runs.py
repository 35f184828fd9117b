"""Runs: every fit of the session, comparable, and shown again by a click."""

from __future__ import annotations

from collections.abc import Sequence

from ipywidgets import HTML, Box, Button, Widget

from workbench.runs import Run
from workbench.ui import markup
from workbench.ui.panels.panel import Panel, note

_SHOWN = 50
_HEAD = ("OFV", "ΔOFV", "AIC", "BIC", "k", "Error", "Random effects", "Method", "Status", "Structure", "Data")


class RunsPanel(Panel):
    """A line per fit, the latest first."""

    title = "Runs"
    follows = frozenset({"runs", "run"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.about = note()
        self.head = HTML(_line(_HEAD))
        self.head.add_class("wb-note")
        self.corner = note("Run")
        self.table = Box()
        self.table.add_class("wb-runs")
        self.buttons: dict[int, Button] = {}
        self._lines: dict[int, HTML] = {}
        return [self.about, self.table]

    def render(self, changed: frozenset[str]) -> None:
        """Show the runs."""
        runs = list(self.state.runs)[::-1][:_SHOWN]
        if not runs:
            self.about.value, self.table.children = "No fits yet.", ()
            return
        self.about.value = (
            "Press a number to have that model and fit back. ΔOFV: above the best of the same data and method."
        )
        children: list[Widget] = [self.corner, self.head]
        for run in runs:
            if run.number not in self.buttons:
                self._add(run)
            self._lines[run.number].value = _line(self._texts(run))
            shown = self.state.run is not None and self.state.run.number == run.number
            self.buttons[run.number].button_style = "primary" if shown else ""
            children += [self.buttons[run.number], self._lines[run.number]]
        self.table.children = children

    def _add(self, run: Run) -> None:
        button = Button(description=str(run.number), tooltip=f"show run {run.number} again")
        button.add_class("wb-toggle")
        button.on_click(self.state.handler(lambda _: self.state.restore(run)))
        self.buttons[run.number], self._lines[run.number] = button, HTML()

    def _texts(self, run: Run) -> Sequence[str]:
        fit = run.fit
        blocks = ["–".join(block.names) for block in run.model.correlate]
        effects = [*fit.random_effects, *(f"κ {name}" for name in fit.occasion_effects)]
        random = ", ".join(effects) + (f" ({', '.join(blocks)})" if blocks else "")
        return (
            markup.decimals(fit.ofv, 3),
            markup.decimals(self.state.runs.delta_ofv(run), 2),
            markup.decimals(fit.aic, 2),
            markup.decimals(fit.bic, 2),
            str(fit.n_estimated),
            ", ".join(error.title for error in run.model.errors),
            random or "none",
            run.fit.method,
            fit.status.name.replace("_", " "),
            run.model.structure.title,
            run.data.name,
        )


def _line(texts: Sequence[str]) -> str:
    cells = "".join(f"<span title='{text}'>{text}</span>" for text in map(markup.escaped, texts))
    return f"<div class='wb-run'>{cells}</div>"
