"""Screening: which covariates act on which parameters, from a look at all of them to a model that has them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ipywidgets import HTML, Button, Checkbox, ToggleButtons, VBox, Widget

from workbench import markup, screening
from workbench.errors import WorkbenchError
from workbench.results.runs import Run
from workbench.ui.figures.forest import BAND, forest_plot
from workbench.ui.panels.heatmap import Heatmap
from workbench.ui.panels.kept import show_only
from workbench.ui.panels.panel import Panel, Refusal, heading, note, row
from workbench.ui.panels.relation import RelationView
from workbench.ui.panels.search import SearchView
from workbench.ui.session import screenings
from workbench.ui.session.screenings import SCREEN_CODE, Screened, Step

_WHICH = [("p on η", "p"), ("p on samples", "p_sampled"), ("predicted ΔOFV", "delta_ofv")]
_TIPS = [
    "regression on the individual random effects",
    "the same on samples of the conditional distribution, which shrinkage does not fool",
    "change of the OFV by the linearised likelihood",
]
_STEPS = ("run", "step", "predicted ΔOFV", "realised", "df", "p", "")


class ScreeningPanel(Panel):
    """A heatmap of all pairs, one of them in detail, steps to other models, a stepwise search, and a forest plot."""

    title = "Screening"
    follows = frozenset({"run", "runs", "studies", "activity", "data", "model", "problem", "place", "portion",
                         "selection"})  # fmt: skip

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        state = self.state
        self.refusal = Refusal(state, "screening")
        self.about = note()
        self.screen = Button(description="Screen", icon="th", tooltip="test every covariate on every random effect")
        self.screen.add_class("wb-toggle")
        self.screen.on_click(self.refusal.guard(lambda _: self._screen()))
        self.auto = Checkbox(
            value=True,
            description="every new run",
            indent=False,
            layout={"width": "auto"},
            tooltip="screen each new run, once you have screened one or set this tick",
        )
        self.auto.observe(state.handler(lambda change: self._keep_up(ticked=change["new"])), "value")
        self.which = ToggleButtons(
            options=_WHICH, tooltips=_TIPS, style={"button_width": "auto", "description_width": "initial"}
        )
        self.which.add_class("wb-switch")
        self.which.observe(state.handler(lambda _: self._render_heatmap()), "value")
        self.heatmap = Heatmap(state, self._choose)
        self.notes = HTML()
        self.relation = RelationView(state, self.refusal, self.ask, self._choose)
        self.steps = HTML()
        self.steps.add_class("wb-log")
        self.search = SearchView(state, self.refusal, self.ask)
        self.forest = HTML()
        self.found = VBox()
        self.found.add_class("wb-panel")
        self._details = [
            self.heatmap.view, self.notes, heading("One effect"), self.relation.view,
        ]  # fmt: skip
        self.body = VBox(
            [row(row(self.screen, self.auto), self.which, spread=True), self.found, self.steps,
             heading("Stepwise search"), self.search.view, heading("Covariate effects of the shown model"), self.forest]
        )  # fmt: skip
        self.body.add_class("wb-panel")
        self.body.add_class("wb-tight")
        self.chosen: tuple[str, str] | None = None
        self._screened: Screened | None = None
        self._of: Run | None = None
        self._tried: set[int] = set()
        self._drawn_of: Run | None = None
        return [self.about, self.refusal.view, self.body]

    # -- acts --------------------------------------------------------------------------------------------------

    def _screen(self) -> None:
        run = self.state.run
        if run is None:
            raise WorkbenchError("Fit a model first.")
        self._tried.add(run.number)
        self.ask(screenings.screen(self.state, run))

    def _choose(self, parameter: str, covariate: str) -> None:
        self.chosen = parameter, covariate
        with self.state.quietly():
            self._render_heatmap()
            self._render_relation()

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show what was found of the shown run, and of the last one that was screened until this one is."""
        state, run = self.state, self.state.run
        if changed == {"selection"}:
            self.relation.mark()
            return
        self.refusal.render()
        self.body.layout.display = "none" if run is None else None
        if run is None:
            self.about.value = "Fit a model first; then see which covariates act on which of its parameters."
            return
        if changed & {"run", "studies"}:
            self._take(run)
        if changed & {"run", "runs", "studies"}:
            self.steps.value = _steps(screenings.steps(state))
        if changed & {"run", "studies", "portion", "activity"}:
            self.search.render()
        if self._drawn_of is not run:
            self._drawn_of, self.forest.value = run, _forest(run)
        self.screen.disabled = state.activity != ""
        self.relation.render_buttons()
        self.about.value = self._about(run)
        self._keep_up()

    def _follow(self, changed: frozenset[str]) -> None:
        super()._follow(changed)
        if self._built and not self._shown and changed & {"run", "activity"}:
            self._keep_up()  # new runs are screened whichever tab is open

    def _keep_up(self, *, ticked: bool = False) -> None:
        """Screen a run that is shown after another one was screened; once, whatever becomes of it."""
        state, run = self.state, self.state.run
        wanted = (self._screened is not None or ticked) and self.auto.value and state.study("screen") is None
        if wanted and run is not None and state.activity == "" and run.number not in self._tried:
            self._screen()

    def _about(self, run: Run) -> str:
        if self._screened is None:
            then = "; every new run is screened from then on" if self.auto.value else ""
            return f"Run {run.number} has not been screened: press Screen{then}."
        if self._of is not run and self._of is not None:
            return f"Run {run.number} has not been screened; what follows is of run {self._of.number}."
        return f"Screen of run {run.number}. Press a cell to see the effect, and to put it into the model."

    def _take(self, run: Run) -> None:
        """Show the screen of a run, if there is one."""
        found: Screened | None = self.state.study("screen")
        if found is not None and found is not self._screened and found.found.fit is run.fit:
            self._screened, self._of = found, run
            best = [key for key, row in found.found.best().items() if not row.modelled]
            if self.chosen not in found.found.best():
                self.chosen = best[0] if best else next(iter(found.found.best()), None)
            self._render_heatmap()
            self._render_relation()
            self.notes.value = _notes(found)
            show_only(self.found, self._details if self.chosen is not None else self._details[:2])
        (self.found.add_class if self._of is not run else self.found.remove_class)("wb-stale")

    def _render_heatmap(self) -> None:
        if self._screened is not None:
            self.heatmap.render(self._screened, self.which.value, self.chosen)

    def _render_relation(self) -> None:
        if self._screened is not None and self.chosen is not None:
            known = list(self._screened.found.best())
            pairs = [*known, *([self.chosen] if self.chosen not in known else [])]
            self.relation.render(self._screened, self.chosen, pairs)


def _notes(screened: Screened) -> str:
    """What is to be said beside the cells, folded where it is long; and the code."""
    found = screened.found
    lines = list(found.remarks)
    if isinstance(screened.linearised, str):
        lines.append(f"No predicted ΔOFV: {screened.linearised}")
    elif len(screened.linearised.predictions) + len(screened.linearised.refused) < screened.linearised.asked:
        done = len(screened.linearised.predictions)
        lines.append(f"The prediction of ΔOFV was stopped: {done} of {screened.linearised.asked} effects.")
    lines += [f"{c.name}: {' '.join(c.remarks)}" for c in found.candidates if c.remarks]
    lines += [f"Not screened: {name}. {reason}" for name, reason in found.refused]
    if not found.candidates and not found.refused:
        lines.append("There is nothing to screen.")
    said = "".join(f"<div>{markup.escaped(line)}</div>" for line in lines[:3])
    if len(lines) > 3:
        more = "".join(f"<div>{markup.escaped(line)}</div>" for line in lines[3:])
        said += f"<details><summary>{len(lines) - 3} more remarks</summary>{more}</details>"
    return f"<div class='wb-note'>{said}</div>{markup.code(SCREEN_CODE)}"


def _steps(steps: Sequence[tuple[Run, Step]]) -> str:
    """The steps of the session, the latest first, and the code of the latest."""
    if not steps:
        return ""
    rows = [
        (f"{step.before.number} → {run.number}", step.title, markup.decimals(step.predicted, 2),
         markup.decimals(step.delta_ofv, 2), step.df, markup.p_value(step.p), step.remark)
        for run, step in steps
    ]  # fmt: skip
    return f"<h4>Steps</h4>{markup.table(_STEPS, rows)}{markup.code(steps[0][1].code)}"


def _forest(run: Run) -> str:
    """How much the covariates of a model move its parameters."""
    try:
        effects = screening.forest(run.fit, band=BAND)
    except WorkbenchError as error:
        return f"<p class='wb-note'>{markup.escaped(error)}</p>"
    if not len(effects):
        return f"<p class='wb-note'>No covariate acts in the model of run {run.number}.</p>"
    without = "" if effects["lower"].map(math.isfinite).any() else " There are no standard errors: no intervals."
    about = (
        "Ratio of the typical value to that of a reference subject (medians; the most frequent category), with its "
        f"95 % interval; shaded: {BAND[0]:g} to {BAND[1]:g}.{without}"
    )
    return f"<p class='wb-note'>{about}</p>{forest_plot(effects)}{markup.code('wb.forest(fit)')}"
