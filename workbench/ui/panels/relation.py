"""One parameter and one covariate: a figure, what is known of each shape, and the effect put in or taken out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bqplot import Tooltip
from ipywidgets import HTML, Button, Dropdown, ToggleButtons, VBox

from workbench import markup
from workbench.errors import ModelError
from workbench.markup import svg
from workbench.model.shapes import SHAPES
from workbench.screening.result import Tested
from workbench.screening.scope import Candidate
from workbench.ui.figures.relation import Relation, relation
from workbench.ui.figures.time import INDIVIDUAL, OBSERVED, SELECTED, Array, Plane, put, ticks
from workbench.ui.panels.heatmap import refusal
from workbench.ui.panels.panel import Refusal, row
from workbench.ui.session import screenings
from workbench.ui.session.screenings import Screened
from workbench.ui.session.selection import subjects_at
from workbench.ui.session.state import State
from workbench.ui.session.work import Request

SMOOTH = "var(--wb-q2)"
_MOST_TEXTS = 12
_HEAD = ("shape", "ΔOFV", "θ", "effect, 95 % interval", "p", "corrected", "samples", "R²", "Ψ less")


class RelationView:
    """The figure and the table of the chosen cell, with Add, Remove and Undo."""

    def __init__(
        self, state: State, refusal: Refusal, ask: Callable[[Request], None], choose: Callable[[str, str], None]
    ):
        self._state, self._ask = state, ask
        guard = refusal.guard
        self.pair = Dropdown(options=[""], description="effect", layout={"width": "150px"})
        self.shape = Dropdown(options=[""], description="shape", layout={"width": "118px"})
        for choice in (self.pair, self.shape):
            choice.add_class("wb-quiet")
        self.y = ToggleButtons(
            options=[("η", False), ("parameter", True)],
            tooltips=["random effects of the subjects", "individual values of the parameter"],
            style={"button_width": "auto", "description_width": "initial"}, description="y axis",
        )  # fmt: skip
        self.y.add_class("wb-switch")
        self.add = Button(description="Add", icon="plus", tooltip="put the effect in and fit at once")
        self.remove = Button(description="Remove", icon="minus", tooltip="take the effect out and fit at once")
        self.undo = Button(description="Undo", icon="undo")
        for button, act in ((self.add, self._add), (self.remove, self._remove), (self.undo, self._undo)):
            button.add_class("wb-toggle")
            button.on_click(guard(lambda _, act=act: act()))
        self.pair.observe(state.handler(lambda change: choose(*change["new"])), "value")
        for switch in (self.shape, self.y):
            switch.observe(state.handler(lambda _: self._draw()), "value")
        self.outcome, self.table, self.code = HTML(), HTML(), HTML()
        self.plane = Plane()
        self.points = self.plane.points(size=30)
        self.points.tooltip, self.points.enable_hover = Tooltip(fields=["name"], show_labels=False), False
        self.points.on_element_click(guard(lambda _, event: self._press(event["data"]["index"])))
        self._owner = np.zeros(0, dtype=np.int64)  # whose each point is
        self.line = self.plane.line(INDIVIDUAL, 2.2)
        self.smooth = self.plane.line(SMOOTH, 1.8, "dashed")
        self.figure = self.plane.figure([self.points, self.line, self.smooth], 270, (10, 14, 46, 62))
        self.legend = HTML()
        self.outcome.add_class("wb-outcome")
        self.view = VBox(
            [row(self.pair, self.shape, self.add, self.remove, self.undo), self.outcome,
             row(self.legend, self.y, spread=True), self.figure, self.table, self.code]
        )  # fmt: skip
        self.view.add_class("wb-panel")
        self._screened: Screened | None = None
        self._chosen = self._shaped = ("", "")

    # -- acts --------------------------------------------------------------------------------------------------

    def _candidate(self) -> Candidate:
        shape: Any = self.shape.value
        return Candidate(*self._chosen, shape)

    def _act_code(self) -> str:
        """What Add would do, or Remove."""
        screened = self._screened
        assert screened is not None
        if _acts(screened.found.fit.model, *self._chosen):
            return screenings.removing_code(*self._chosen)
        candidate = self._candidate()
        return screenings.adding_code(candidate, screened.predictions.get(candidate))

    def _start(self, request: Request) -> None:
        """State the model of a request, by the method of the shown run, and fit it."""
        run = self._state.run
        assert run is not None
        self._state.update(model=request.model, method=run.method, settings=run.settings, problem="")
        self._ask(request)

    def _add(self) -> None:
        run = self._state.run
        if run is None or self._screened is None or self._screened.found.fit is not run.fit:
            raise ModelError("Screen the run that is shown first.")
        candidate = self._candidate()
        self._start(screenings.adding(self._state, run, candidate, self._screened.predictions.get(candidate)))

    def _remove(self) -> None:
        run = self._state.run
        if run is None:
            raise ModelError("Fit a model first.")
        self._start(screenings.removing(self._state, run, *self._chosen))

    def _undo(self) -> None:
        back = screenings.before(self._state)
        if back is None:
            raise ModelError("There is no step to undo.")
        self._state.restore(back)

    def _press(self, point: int) -> None:
        """Select whose point it is."""
        data = self._state.data
        known = point < len(self._owner)
        if (
            known
            and data is not None
            and self._screened is not None
            and data.hash == self._screened.found.fit.data.hash
        ):
            self._state.select(data.events.subjects[int(self._owner[point])])

    # -- rendering ---------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """Show who is selected."""
        screened, data = self._screened, self._state.data
        if screened is None or data is None or data.hash != screened.found.fit.data.hash:
            return
        chosen = subjects_at(data, self._state.selection)[self._owner]
        colors = [SELECTED if one else OBSERVED for one in chosen.tolist()] or [OBSERVED]
        self.points.colors = colors if chosen.any() else [OBSERVED]

    def render_buttons(self) -> None:
        """Offer what can be done with the shown run now."""
        state, run = self._state, self._state.run
        idle = state.activity == "" and run is not None and state.data is not None and state.data.hash == run.data.hash
        reason = refusal(self._screened, *self._chosen) if self._screened is not None else "nothing is screened"
        fresh = run is not None and self._screened is not None and self._screened.found.fit is run.fit
        acts = run is not None and _acts(run.fit.model, *self._chosen)
        self.add.disabled = not (idle and fresh and not acts and not reason and self.shape.value)
        self.remove.disabled = not (idle and acts)
        back = screenings.before(state)
        self.undo.disabled = back is None or state.activity != ""
        self.undo.tooltip = f"back to run {back.number}" if back is not None else "no step to undo"
        self.outcome.value = self._outcome()

    def _outcome(self) -> str:
        state, run = self._state, self._state.run
        step = screenings.step_to(state, run)
        if run is None:
            return ""
        if state.activity == "fitting":
            return "<span class='wb-note'>Fitting …</span>"
        if step is None or not state.is_current:
            return "<span class='wb-note'>Add puts the effect into the model and fits it at once.</span>"
        expected = f"predicted ΔOFV {markup.decimals(step.predicted, 2)}, " if math.isfinite(step.predicted) else ""
        tested = f", p {markup.p_value(step.p)} on {step.df} df" if math.isfinite(step.p) else ""
        remark = f" {markup.escaped(step.remark)}" if step.remark else ""
        return (
            f"Run {run.number}: {markup.escaped(step.title)}; {expected}<b>realised "
            f"{markup.decimals(step.delta_ofv, 2)}</b>{tested}.{remark}"
        )

    def render(self, screened: Screened, chosen: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> None:
        """Show a pair of what was screened."""
        other = (screened, chosen) != (self._screened, self._chosen)
        self._screened, self._chosen = screened, chosen
        options = [(f"{parameter} ~ {covariate}", (parameter, covariate)) for parameter, covariate in pairs]
        if list(self.pair.options) != options:
            self.pair.options = options
        self.pair.value = chosen
        shapes: list[str] = [r.shape for r in screened.found.rows if (r.parameter, r.covariate) == chosen]
        found: dict[str, float] = {c.shape: p.p for c, p in screened.predictions.items() if c.place == chosen}
        kept = self.shape.value if chosen == self._shaped and self.shape.value in shapes else ""
        if list(self.shape.options) != (shapes or [""]):
            self.shape.options = shapes or [""]
        if kept:
            self.shape.value = kept
        elif other:
            self.shape.value = min(shapes, key=lambda shape: found.get(shape, 1.0)) if shapes else ""
        self._shaped = chosen
        self._draw()
        self.render_buttons()

    def _draw(self) -> None:
        screened, (parameter, covariate) = self._screened, self._chosen
        if screened is None:
            return
        reason = refusal(screened, parameter, covariate)
        if reason or not self.shape.value:
            for mark in (self.points, self.line, self.smooth):
                put(mark, None, None)
            self.table.value = f"<p class='wb-note'>Not screened. {markup.escaped(reason)}</p>"
            self.code.value = ""
            return
        shape: Any = self.shape.value
        drawn = relation(screened.found, parameter, covariate, shape, natural=self.y.value)
        self._place(drawn)
        data = screened.found.fit.data
        unit = data.units.get(covariate, "")
        self.plane.x_axis.label = f"{covariate} ({unit})" if unit else covariate
        self.plane.y_axis.label = parameter if self.y.value else f"η of {parameter}"
        self.legend.value = _legend("mean of each level" if drawn.levels else "regression in this shape", drawn.smooth)
        self._owner = drawn.owner
        with self.points.hold_sync():
            put(self.points, drawn.x, drawn.y)
            label = data.roles.get("subject", "subject")
            self.points.names = np.array([f"{label} {data.events.subjects[i]}" for i in drawn.owner.tolist()] or [""])
            self.points.display_names = False
        self.mark()
        put(self.line, *drawn.line)
        put(self.smooth, *(drawn.smooth or (None, None)))
        self.table.value = _table(screened, parameter, covariate)
        self.code.value = markup.code(self._act_code())

    def _place(self, drawn: Relation) -> None:
        """Axes around what is drawn."""
        bottom, top = _around(np.concatenate([drawn.y, drawn.line[1][np.isfinite(drawn.line[1])]]))
        if not drawn.levels:
            low, high = _around(drawn.x)
            self.plane.set_range((low, high), (bottom, top), ticks(low, high, 7), ticks(bottom, top))
            return
        at = np.arange(0, len(drawn.levels), -(-len(drawn.levels) // _MOST_TEXTS))
        longest = max(3, 40 // min(len(drawn.levels), _MOST_TEXTS))
        texts = shortened([drawn.levels[k] for k in at], longest)
        ends = -0.5, len(drawn.levels) - 0.5
        self.plane.set_range(ends, (bottom, top), at.astype(float), ticks(bottom, top), texts)


def _legend(line: str, smooth: object) -> str:
    texts = [markup.tag("span", svg.stroke(INDIVIDUAL), line)]
    texts += [markup.tag("span", svg.stroke(SMOOTH, "5 3"), "LOWESS")] if smooth is not None else []
    return markup.tag("div", *texts, class_="wb-legend")


def shortened(texts: Sequence[str], longest: int) -> list[str]:
    """Texts that fit: their beginnings, or their ends where they begin alike."""
    cut = [text if len(text) <= longest else f"{text[: longest - 1]}…" for text in texts]
    if len(set(cut)) == len(cut):
        return cut
    return [text if len(text) <= longest else f"…{text[1 - longest :]}" for text in texts]


def _around(values: Array) -> tuple[float, float]:
    """The range of values, and a little more."""
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad


def _acts(model: Any, parameter: str, covariate: str) -> bool:
    shape: Any = ""
    known = parameter in {p.name for p in model.parameters}
    return known and bool(Candidate(parameter, covariate, shape).effects(model))


def _table(screened: Screened, parameter: str, covariate: str) -> str:
    """What the screens say of each shape."""
    lines, remarks, about = [], "", ""
    rows = [r for r in screened.found.rows if (r.parameter, r.covariate) == (parameter, covariate)]
    for found in rows:
        prediction = screened.predictions.get(Candidate(parameter, covariate, found.shape))
        expected = markup.decimals(-prediction.delta_ofv, 2) if prediction is not None else "–"
        effect, remarks = found.largest, " ".join(found.remarks)
        sign = "×" if found.scale == "ratio" else ""
        lines.append(
            (found.shape, expected, ", ".join(markup.number(v, 3) for v in found.coefficients[:3]) +
             (" …" if len(found.coefficients) > 3 else ""),
             f"{sign}{markup.number(effect.effect, 3)} "
             f"({markup.ends(effect.lower, effect.upper)})",
             *map(markup.p_value, (found.p, found.p_corrected, found.p_sampled)), markup.decimals(found.r2, 2),
             f"{found.psi_drop:.0f} %")
        )  # fmt: skip
        about = _reach(found)
    notes = [" ".join(filter(None, (about, remarks)))]
    if rows and rows[0].modelled:
        notes.append("The covariate acts on the parameter in this model already: what is left is tested.")
    return markup.joined(markup.table(_HEAD, lines), *map(markup.note, notes))


def _reach(found: Tested) -> str:
    """Between which values of the covariate the effect is stated."""
    effect = found.largest
    ends = f"Effect: from {markup.cell(effect.low, 4)} to {markup.cell(effect.high, 4)}"
    if not SHAPES[found.shape].categorical:
        return f"{ends}, where 5 and 95 % of the subjects lie."
    others = len(found.contrasts) - 1
    return f"{ends}, the level that differs most; there are {others} more." if others else f"{ends}."
