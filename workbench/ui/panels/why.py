"""Why did it fail? The causes of a fit that is not simply sound, and remedies as buttons that can be undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipywidgets import HTML, Box, Button, VBox, Widget

from workbench import markup
from workbench.markup import svg
from workbench.model import Model
from workbench.results.runs import Run
from workbench.ui.figures.time import INDIVIDUAL, OBSERVED, Plane, axis_title, in_hours, put
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import Ask, Panel, row
from workbench.ui.session import why
from workbench.ui.session.curves import Sketch
from workbench.ui.session.state import State

_MOST = 6  # remedies that are shown


class _Line:
    """A remedy: what it supposes, where it ends, its code, and the button that does it."""

    def __init__(self, guard: Callable[[Callable[..., None]], Callable[..., None]], act: Callable[[why.Remedy], None]):
        self.text, self.button = HTML(), Button(description="Try")
        self.button.add_class("wb-toggle")
        self.view = Box([self.text, self.button])
        self.view.add_class("wb-remedy")
        self._remedy: why.Remedy | None = None
        self.button.on_click(guard(lambda _: act(self._remedy) if self._remedy is not None else None))

    def render(self, remedy: why.Remedy, outcome: why.Outcome | None, *, best: bool) -> None:
        """Show a remedy, and what it brought where that is known."""
        self._remedy = remedy
        ends = "not tried yet"
        if outcome is not None:
            ends = outcome.error or f"ends {outcome.said}, OFV {markup.decimals(outcome.ofv, 2)}"
        self.text.value = markup.tag(
            "div", markup.tag("b", remedy.title), markup.tag("span", ends), markup.tag("code", remedy.code)
        )
        self.button.tooltip = f"fit {remedy.code}"
        (self.button.add_class if best else self.button.remove_class)("wb-best")


class WhyPanel(Panel):
    """A card for every fit that is not simply sound; nothing where it is."""

    title = "Why"
    follows = frozenset({"run", "studies", "activity", "progress", "model", "data"})

    def __init__(self, state: State, ask: Ask | None = None):
        super().__init__(state, ask)
        self._causes: tuple[why.Cause, ...] = ()
        self._of: Run | None = None
        self._known: dict[str, why.Outcome] = {}
        self._rival: Model | None = None

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler = self.state.handler
        self.cause = HTML()
        self.plane = Plane(titled=True)
        self.here = self.plane.line(INDIVIDUAL, 4, opacity=0.45)
        self.there = self.plane.line(OBSERVED, 1.4, "dashed")
        self.figure = self.plane.figure([self.here, self.there], 150, (8, 10, 40, 46))
        keys = (
            f"<span>{svg.stroke(INDIVIDUAL, width=4)}this fit</span><span>{svg.stroke(OBSERVED, '5 4')}the other</span>"
        )
        self.twins = VBox([self.figure, HTML(f"<div class='wb-legend'>{keys}</div>")])
        self.lines = [_Line(handler, self._try) for _ in range(_MOST)]
        self.remedies = VBox([line.view for line in self.lines])
        self.see = Button(description="Where do they end?", tooltip="fit each remedy, in the background")
        self.undo = Button(description="Undo", tooltip="back to the run before the remedy")
        for button, act in ((self.see, self._see), (self.undo, self._undo)):
            button.add_class("wb-link")
            button.on_click(handler(lambda _, act=act: act()))
        self._before: Run | None = None
        self._folded: Run | None = None
        self.fold = Button()
        self.fold.add_class("wb-link")
        self.fold.add_class("wb-fold")
        self.fold.on_click(handler(lambda _: self._turn()))
        self.card = VBox([self.fold, self.cause, self.twins, self.remedies, row(self.see, self.undo)])
        self.card.add_class("wb-why")
        return [self.card]

    # -- acts --------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Fold the card to its headline, or unfold it; that of the next run is open again."""
        self._folded = None if self._folded is self.state.run else self.state.run
        with self.state.quietly():
            self.render(frozenset())

    def _see(self) -> None:
        if self.state.run is not None:
            self.ask(why.promised(self.state, self.state.run))

    def _try(self, remedy: why.Remedy) -> None:
        run = self.state.run
        if run is None:
            return
        self._before = run
        settings = tuple({**dict(run.settings), **dict(remedy.settings)}.items())
        self.state.update(data=remedy.data, model=remedy.model, method=run.method, settings=settings)
        self.ask(why.fitting(self.state))

    def _undo(self) -> None:
        if self._before is not None:
            before, self._before = self._before, None
            self.state.restore(before)

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show why the shown fit is not simply sound."""
        state, run = self.state, self.state.run
        known: dict[str, why.Outcome] = state.study(why.STUDY) or {}
        if run is not self._of or known is not self._known:
            self._of, self._known = run, known
            self._causes = why.causes(run, known) if run is not None else ()
            self._draw(run)
        current = run is not None and state.is_current and state.progress is None
        there = bool(self._causes) and current
        undoable = self._before is not None and run is not None and run is not self._before and current
        hide(self.card, not (there or undoable))
        folded = there and run is self._folded
        for widget in (self.cause, self.fold):
            hide(widget, not there)
        hide(self.remedies, not there or folded)
        hide(self.twins, folded or self._rival is None)
        hide(self.see, not there or folded or not any(cause.remedies for cause in self._causes))
        hide(self.undo, not undoable)
        for button in (self.see, self.undo, *(line.button for line in self.lines)):
            button.disabled = state.activity != ""
        if not there or run is None:
            return
        parts = [
            markup.tag("div", markup.tag("h4", cause.title), markup.tag("p", cause.about)) for cause in self._causes[:3]
        ]
        self.fold.description = "Show" if folded else "Fold"
        self.fold.tooltip = "show cause and remedies" if folded else "fold this card to its headline"
        head = f"Why did run {run.number} not simply converge?"
        if why.is_plain(run):
            head = f"Run {run.number} converged; still there is something to know of it"
        if folded:
            parts = [markup.tag("h4", self._causes[0].title)]
        self.cause.value = markup.tag("div", markup.tag("span", head), *parts, class_="wb-causes")
        remedies = why.ranked(self._causes, known)[:_MOST]
        for line, remedy in zip(self.lines, remedies, strict=False):
            line.render(remedy, known.get(remedy.code), best=remedy is remedies[0])
        show_only(self.remedies, [line.view for line, _ in zip(self.lines, remedies, strict=False)])

    def _draw(self, run: Run | None) -> None:
        """The typical curves of two solutions that the data cannot tell apart, of the first subject."""
        self._rival = rival = next((cause.rival for cause in self._causes if cause.rival is not None), None)
        if run is None or rival is None:
            return
        ours, theirs = (Sketch(m, run.data).drawn(m, None, 0, (0,)) for m in (run.fit.model, rival))
        time, one, other = ours.time[0], ours.population[0], theirs.population[0]
        self.plane.span(time, one, False, hours=in_hours(run.data))
        self.plane.x_axis.label = axis_title(run.data, "time", "time")
        self.plane.y_axis.label = axis_title(run.data, "response", "response", "typical")
        put(self.here, time, one)
        put(self.there, theirs.time[0], other)
