"""Stepwise search: its rules, a log that grows while it runs, and where it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ipywidgets import HTML, BoundedFloatText, Button, Dropdown, VBox

from workbench import markup
from workbench.errors import FitError
from workbench.screening.search import StepProgress, Trial
from workbench.ui.panels.panel import Refusal, row
from workbench.ui.session import screenings
from workbench.ui.session.screenings import Searched, Searching
from workbench.ui.session.state import State
from workbench.ui.session.work import Request

_HEAD = ("step", "effect", "", "predicted", "ΔOFV", "df", "p", "OFV", "fit")
_CRITERIA = [("likelihood ratio", "lrt"), ("AIC", "aic"), ("BIC", "bic")]
_SHAPES = [("usual", "usual"), ("all screened", "all")]


class SearchView:
    """Inputs of a stepwise search, and its log."""

    def __init__(self, state: State, refusal: Refusal, ask: Callable[[Request], None]):
        self._state, self._ask = state, ask
        wide = {"description_width": "initial"}
        self.criterion = Dropdown(options=_CRITERIA, description="by", style=wide, layout={"width": "150px"})
        self.forward, self.backward = (
            BoundedFloatText(value=p, min=0, max=1, step=0.01, description=name, tooltip=tip, style=wide)
            for name, p, tip in (("in below", 0.05, "p below which an effect comes in"),
                                 ("stays below", 0.01, "p below which an effect stays"))
        )  # fmt: skip
        self.forward.layout.width, self.backward.layout.width = "120px", "140px"
        self.shapes = Dropdown(options=_SHAPES, description="shapes", style=wide, layout={"width": "150px"})
        self.start = Button(
            description="Stepwise", icon="search", tooltip="fit the candidates, take the best, again and again"
        )
        self.start.add_class("wb-toggle")
        self.start.on_click(refusal.guard(lambda _: self._search()))
        self.criterion.observe(state.handler(lambda _: self._suit()), "value")
        self.about, self.log, self.code = HTML(), HTML(), HTML()
        self.log.add_class("wb-log")
        inputs = row(self.criterion, self.forward, self.backward, self.shapes, self.start)
        self.view = VBox([inputs, self.about, self.log, self.code])
        self.view.add_class("wb-panel")

    def _suit(self) -> None:
        """Show what belongs to the criterion."""
        for box in (self.forward, self.backward):
            box.layout.display = None if self.criterion.value == "lrt" else "none"

    def _search(self) -> None:
        run = self._state.run
        if run is None:
            raise FitError("Fit a model first.")
        self._ask(
            screenings.searching(
                self._state, run, self.forward.value, self.backward.value, self.criterion.value, self.shapes.value
            )
        )

    def render(self) -> None:
        """Show the search that runs, else that of the shown run, else the last one."""
        state = self._state
        self.start.disabled = state.activity != "" or state.run is None
        now = state.portion
        if isinstance(now, Searching):
            self.about.value = f"<span class='wb-note'>{markup.escaped(_where(now.now))}</span>"
            self.log.value = _log(now.trials, live=True)
            return
        searched: Searched | None = state.study("stepwise") or next(
            (state.studies[key] for key in sorted(state.studies, reverse=True) if key[1] == "stepwise"), None
        )
        if searched is None:
            self.about.value = "<span class='wb-note'>Effects come in one after the other, then leave if they are not "
            self.about.value += "needed. Cancel keeps what is done.</span>"
            self.log.value = self.code.value = ""
            return
        found = searched.found
        said = "".join(f"<p>{markup.escaped(line)}</p>" for line in found.remarks)
        self.about.value = f"<div class='wb-note'>From run {searched.before.number}. {said}</div>"
        self.log.value = _log(found.trials, live=False)
        self.code.value = markup.code(searched.code)


def _where(now: StepProgress) -> str:
    if now.direction == "base":
        return "Fitting the base model …"
    what = "Forward" if now.direction == "forward" else "Backward"
    candidate = f"; now {now.candidate}" if now.candidate is not None else ""
    return f"{what}, step {now.step}: {now.done} of {now.of} fitted{candidate} …"


def _log(trials: Sequence[Trial], *, live: bool) -> str:
    """A line for each fit; the changes of a search that has ended are marked."""
    rows: list[tuple[object, ...]] = []
    for trial in trials:
        if trial.direction == "base":
            rows.append((0, "base", "", "", "", "", "", markup.decimals(trial.ofv, 2), trial.status))
            continue
        forward = trial.direction == "forward"
        verdict = ("came in" if trial.kept else "") if forward else ("stays" if trial.kept else "left")
        rows.append(
            (trial.step, f"{'+' if forward else '−'} {trial.candidate}", "" if live else verdict,
             markup.decimals(-trial.predicted, 2) if math.isfinite(trial.predicted) else "",
             markup.decimals(-trial.delta_ofv if forward else trial.delta_ofv, 2), trial.df, markup.p_value(trial.p),
             markup.decimals(trial.ofv, 2), trial.status)
        )  # fmt: skip
    return markup.table(_HEAD, rows)
