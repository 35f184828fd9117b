"""What the Workbench shows, as one observable value; knows of no widgets.

Callbacks of widgets, cells of the notebook and the fit's pump are different threads (JupyterLab runs callbacks in a
thread of their own), so every change and the rendering that follows it happen under one lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench import engine
from workbench.data import GroupedData
from workbench.engine.problem.observations import responses_of
from workbench.errors import DataError, ModelError, WorkbenchError
from workbench.methods import USUAL, Ability, method_of
from workbench.model import Model, usual_model
from workbench.model.families import family_of
from workbench.results.fit import FitResult, Progress, Settings
from workbench.results.runs import Run, Runs, cell
from workbench.ui.session.curves import Chosen, Drawn, Predicted, Sketch, is_quick
from workbench.ui.session.file import File
from workbench.ui.session.scenario import Scenario
from workbench.ui.session.selection import Selection
from workbench.ui.session.terminal import Choices
from workbench.ui.session.words import in_room_words
from workbench.ui.session.work import Portion

Array = NDArray[np.float64]
Watcher = Callable[[frozenset[str]], None]
Work = Callable[[], None]
T = TypeVar("T")

log = logging.getLogger(__name__)
LIVELY = 1.0  # seconds: a fit that takes longer is not live
_KEPT = 6  # sets of curves and predictions


def in_words(error: BaseException) -> str:
    """An exception as a sentence for the panel."""
    if isinstance(error, WorkbenchError):
        return in_room_words(str(error))
    return f"This should not happen, and nothing was changed: {type(error).__name__}: {error}"


def suited_model(model: Model | None, data: GroupedData) -> Model:
    """The statement of a model where it can be one of these data too, else the usual model."""
    usual = usual_model(data)
    if model is None or not set(model.columns) <= set(data.covariate_names):
        return usual
    mine, theirs = model.structure, usual.structure
    if (family := family_of(mine)) is not None and family is family_of(theirs):
        here, there = mine.kinetics, theirs.kinetics
        if here is not None and there is not None and here.absorbs != there.absorbs:
            return usual
    return model.without_values()


class State:
    """The session: what is stated, what was fitted, what is going on.

    Change it with `update` only. `watch` registers who renders it.

    Attributes
    ----------
    data : GroupedData or None
    model : Model or None
        What the user states; values that are not stated are found from the data.
    method : str, or options of a method
    settings : tuple of (str, value)
        Further arguments of a fit that are not the usual ones: starts, seed, covariance.
    live : bool
        Refit whenever the statement changes.
    insisting : bool
        However long that takes.
    runs : Runs
    run : Run or None
        The run that is shown.
    progress : Progress or None
        Where the running fit is.
    portion : Portion or None
        How much is done of other work.
    task : str
        What that work is called; "" while a fit runs, or nothing.
    running : Model or None
        What the last fit that was started is one of.
    activity : {"", "compiling", "fitting", "working", "stopping"}
    awaited : bool
        A fit that may be there in a moment has begun: panels wait for it, so that nothing is drawn twice.
    compiling : int
        How many parts what runs has compiled so far; 0 where nothing is being compiled.
    ready : bool
        The kernels are compiled.
    problem : str
        What went wrong last, in words.
    place : str
        The part of a panel where it did; "" where it was none.
    draft : GroupedData or None
        Data with errors, being mended; the others stay what they are until no error is left.
    file : File or None
        The file that draft, data, or the refusal come from.
    refused : DataError or None
        Why the last file was not taken.
    logarithmic : bool
        Response axes are logarithmic.
    response : int
        Which response of the structure is shown.
    selection : Selection
        The subjects and observations that are marked in all figures.
    opining : bool
        A second opinion on the shown run is being sought.
    replay : bool
        A fast fit that was asked for is shown in a few steps, so that one sees the curves move.
    scenario : Scenario or None
        What the Simulate tab tries; None before it has something to try. Its panel, which edits it, shows it by itself.
    choices : Choices
        How curves are analysed without a model; likewise.
    start : Model or None
        `model` with all its values: where a fit starts.
    seeking : bool
        `start`, or what evaluates its curves, is being computed.
    studies : dict
        Results of further work, by the number of its run and a name.
    background : callable or None
        Does some work, known by a name, in another thread; the latest by each name.
    """

    FIELDS = frozenset(
        [
            "data",
            "model",
            "method",
            "settings",
            "live",
            "insisting",
            "runs",
            "run",
            "progress",
            "portion",
            "task",
            "studies",
            "running",
            "activity",
            "awaited",
            "compiling",
            "ready",
            "problem",
            "place",
            "draft",
            "file",
            "refused",
            "logarithmic",
            "response",
            "start",
            "selection",
            "replay",
            "opining",
            "scenario",
            "choices",
        ]
    )

    def __init__(self, background: Callable[[str, Work], None] | None = None) -> None:
        self.lock = threading.RLock()
        self.data: GroupedData | None = None
        self.model: Model | None = None
        self.method: object = USUAL
        self.settings: Settings = ()
        self.live = self.insisting = False
        self.runs = Runs()
        self.run: Run | None = None
        self.progress: Progress | None = None
        self.portion: Portion | None = None
        self.task = ""
        self.studies: dict[tuple[int, str], Any] = {}
        self.running: Model | None = None
        self.activity = ""
        self.awaited = False
        self.compiling = 0
        self.ready = engine.is_warm()
        self.problem = self.place = ""
        self.draft: GroupedData | None = None
        self.file: File | None = None
        self.refused: DataError | None = None
        self.logarithmic = False
        self.response = 0
        self.start: Model | None = None
        self.selection = Selection()
        self.replay = True
        self.opining = False
        self.scenario: Scenario | None = None
        self.choices = Choices()
        self.seeking = False
        self.background = background
        self._sketch: Sketch | None = None
        self._own_sketch: Sketch | None = None
        self._evaluated: dict[tuple[str, Chosen], tuple[_Point, Any]] = {}
        self._watchers: list[Watcher] = []
        self._rendering = False
        self._shrunk: tuple[FitResult | None, dict[str, float]] = None, {}

    # -- reading -----------------------------------------------------------------------------------------------

    @property
    def fit(self) -> FitResult | None:
        """The fit that is shown."""
        return self.run.fit if self.run else None

    @property
    def shrunk(self) -> dict[str, float]:
        """Shrinkage of the shown fit, per cent of the SD, by random effect; "ε" for the residual error."""
        fit, (known, values) = self.fit, self._shrunk
        if fit is not known:
            values = {} if fit is None else {str(name): float(sd) for name, sd in fit.shrinkage["sd"].items()}
            self._shrunk = fit, values
        return values

    @property
    def is_current(self) -> bool:
        """Whether the shown fit is one of the model and data as they are stated now."""
        return self.run is not None and self.run.fits(self.data, self.model)

    @property
    def is_as_stated(self) -> bool:
        """Whether the shown fit is the one that would be done now."""
        run = self.run
        return run is not None and self.is_current and (run.method, run.settings) == (self.method, self.settings)

    @property
    def live_waits(self) -> bool:
        """Whether a refit by itself has to wait, as the last one of these data took too long to be live."""
        run = self.run
        slow = (
            run is not None and self.data is not None and run.data.hash == self.data.hash and run.fit.seconds > LIVELY
        )
        return self.live and slow and not self.insisting and not self.is_as_stated

    def _warmed(self, model: Model, data: GroupedData) -> Model:
        """A model that states something else than before, with the estimates of the shown fit where that was sound."""
        fit, before = self.fit, self.model
        sound = fit is not None and fit.status.ok and not fit.message and fit.data.hash == data.hash
        if fit is None or not sound or before is None or model.is_complete:
            return model
        if model.without_values() == before.without_values():  # values of its own were asked for
            return model
        try:
            return engine.with_estimates(model, {line.name: line.value for line in fit.lines})
        except WorkbenchError:
            return model

    def keep(self, run: Run, name: str, result: object, **changes: Any) -> None:
        """Keep the result of further work on a run, and change other fields with it."""
        self.update(studies={**self.studies, (run.number, name): result}, **changes)

    def with_run(self, fit: FitResult) -> Runs:
        """The runs with one more, which came from the shown one where that is of the same data."""
        before = self.run
        same = before is not None and before.data.hash == fit.data.hash
        parent = before.number if same and before is not None and self.runs.get(before.number) is not None else None
        return self.runs.add(fit, parent=parent)

    def study(self, name: str) -> Any:
        """The result of further work on the shown run; None where there is none."""
        return self.studies.get((self.run.number, name)) if self.run is not None else None

    @property
    def code(self) -> str:
        """The cell that reproduces what is shown."""
        if self.draft is not None:
            return f"import workbench as wb\n\ndata = {self.draft.code()}\ndata.check()"
        if self.data is None or self.model is None:
            return "import workbench as wb\n"
        if self.run is not None and self.is_as_stated:
            return self.run.code
        return cell(self.data, self.model, self.method, self.settings)

    @property
    def locked(self) -> str:
        """Why nothing can be fitted now; "" where nothing stands against it."""
        if self.draft is None:
            return ""
        count = int((self.draft.check()["severity"] == "error").sum())
        errors = "1 error" if count == 1 else f"{count} errors"
        stays = f" Meanwhile {self.data.name}, its model and its fits are kept." if self.data is not None else ""
        return f"{self.draft.name} has {errors} that must be mended first, in the Data panel.{stays}"

    @property
    def responses(self) -> tuple[str, ...]:
        """Names of the responses of the model."""
        return self.model.structure.responses if self.model is not None else ()

    def seen(self) -> NDArray[np.bool_]:
        """The records that are observations of the response that is shown, bool[records]."""
        if self.data is None:
            return np.zeros(0, dtype=bool)
        observed = self.data.events.observed
        if self.model is None or len(self.responses) < 2:
            return observed
        return np.asarray(observed & (responses_of(self.model, self.data) == self.response))

    def point(self) -> tuple[Model | None, Array | None]:
        """The model whose curves are to be drawn, and the random effects for the individual ones."""
        model, etas = self.start, None
        if model is not None and self.progress is not None and self.running in (None, self.model):
            model, etas = engine.with_estimates(model, self.progress.parameters), self.progress.etas
        elif model is not None and self.fit is not None and self.progress is None and self.is_current:
            model, etas = self.fit.model, self.fit.eta_matrix
        return model, etas if etas is not None and etas.shape[1] else None

    def stated_model(self) -> Model:
        """The model to edit; an error in words where there is none yet."""
        if self.model is None:
            raise ModelError("There is no model yet: load data first.")
        return self.model

    def complete_model(self) -> Model:
        """The model to edit a value of: with all values, so that the others stay as they are shown."""
        model = stated = self.stated_model()
        if self.start is not None:
            model = self.start
            for p in stated.parameters:  # which are centred there
                if p.covariates != model[p.name].covariates:
                    model = model.with_parameter(p.name, covariates=p.covariates)
        return model

    def drawn(self, subjects: Chosen = None) -> Drawn | None:
        """Curves of the response that is shown; those of a moment ago while new ones are computed.

        Parameters
        ----------
        subjects : tuple of int, optional
            Their places; all of them unless said.
        """

        def evaluate(sketch: Sketch, model: Model, etas: Array | None, response: int) -> Drawn:
            return sketch.drawn(model, etas, response, subjects)

        return self._at_point("curves", evaluate, subjects)

    def predicted(self) -> Predicted | None:
        """Predictions of the response that is shown at its observations; as `drawn`."""
        return self._at_point("predictions", Sketch.predicted)

    def band(self, prediction: Array) -> tuple[Array, Array] | None:
        """Where 95 % of the observations lie around a prediction of theirs."""
        model, _ = self.point()
        return None if self._sketch is None or model is None else self._sketch.band(model, prediction, self.response)

    def _at_point(
        self, name: str, evaluate: Callable[[Sketch, Model, Array | None, int], T], subjects: Chosen = None
    ) -> T | None:
        """What a sketch evaluates to now, at once if that is quick, else as soon as another thread has it."""
        model, etas = self.point()
        sketch = None if model is None else self._sketch_of(model, etas)
        if sketch is None or model is None:
            return None
        at = _Point(sketch, self.response, model, etas)
        key = (name, subjects)
        before, value = self._evaluated.get(key, (None, None))
        if before is not None and before.is_same(at):
            return value
        if self.background is None or is_quick(model):
            value = evaluate(sketch, model, etas, self.response)
            self._remember(key, at, value)
            return value
        self.background(f"{name} {subjects}", lambda: self._evaluate(key, at, evaluate))
        return value if before is not None and before.is_beside(at) else None

    def _sketch_of(self, model: Model, etas: Array | None) -> Sketch | None:
        """What evaluates a model with these random effects: subjects fitted alone have others than the stated model."""
        if self._sketch is None or etas is None or self.data is None or self._sketch.is_of(model, self.data):
            return self._sketch
        if self._own_sketch is None or not self._own_sketch.is_of(model, self.data):
            self._own_sketch = Sketch(model, self.data)
        return self._own_sketch

    def _remember(self, key: tuple[str, Chosen], at: _Point, value: Any) -> None:
        """Keep what was evaluated, of the last few that were asked for."""
        self._evaluated.pop(key, None)
        while len(self._evaluated) >= _KEPT:
            self._evaluated.pop(next(iter(self._evaluated)))
        self._evaluated[key] = at, value

    def _evaluate(
        self, key: tuple[str, Chosen], at: _Point, evaluate: Callable[[Sketch, Model, Array | None, int], Any]
    ) -> None:
        try:
            value = evaluate(at.sketch, at.model, at.etas, at.response)
        except Exception as error:
            self.update(problem=self._reported(error))
            return
        with self.lock:
            if at.sketch in (self._sketch, self._own_sketch):
                self._remember(key, at, value)
                self._render(frozenset({key[0]}))

    # -- changing ----------------------------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with the names of the fields that changed, after every change."""
        self._watchers.append(watcher)

    def forget_watchers(self) -> None:
        """Let nobody render it any more."""
        with self.lock:
            self._watchers.clear()
            self._sketch = self._own_sketch = None
            self._evaluated.clear()

    def update(self, **changes: Any) -> None:
        """Change fields together, then let every watcher render them."""
        unknown = changes.keys() - self.FIELDS
        if unknown:
            raise AttributeError(f"no field {', '.join(sorted(unknown))}")
        if "data" in changes:
            kept = self.selection.within(changes["data"])
            changes = {"draft": None, "file": None, "refused": None, "selection": kept, **changes}
        if changes.get("live") is False:
            changes = {"insisting": False, **changes}
        if "problem" in changes:
            changes = {"place": "", **changes}
        if "method" in changes and not method_of(changes["method"]).can(Ability.STARTS):
            settings = tuple(one for one in self.settings if one[0] not in ("starts", "seed"))
            changes = {"settings": settings, **changes}
        model, data = changes.get("model", self.model), changes.get("data", self.data)
        if model is not None and data is not None and {"model", "data"} & changes.keys():
            settled = model.with_settled_shapes(data)
            live = self.live and "model" in changes and "run" not in changes
            changes = {**changes, "model": self._warmed(settled, data) if live else settled}
        with self.lock:
            changed = {name for name, value in changes.items() if not _same(getattr(self, name), value)}
            for name in changed:
                setattr(self, name, changes[name])
            if changed & {"data", "model", "ready"}:
                changed |= self._derive(keep_problem="problem" in changes)
            if changed:
                self._render(frozenset(changed))

    def take(self, data: GroupedData, file: File | None = None, *, edited: bool = False, problem: str = "") -> None:
        """Show data: as a draft if they have errors, else with the stated model where that suits them.

        Parameters
        ----------
        data : GroupedData
        file : File, optional
            Where they come from.
        edited : bool
            They are those shown, put in order: the model keeps its values.
        problem : str
            What to say about it.
        """
        try:
            data.require_sound()
        except DataError:
            self.update(draft=data, file=file, refused=None, problem=problem)
            return
        known = self.data is not None and (edited or self.data.hash == data.hash)
        if not (known and self.model is not None and set(self.model.columns) <= set(data.covariate_names)):
            self.update(data=data, file=file, model=suited_model(self.model, data), problem=problem)
        else:
            self.update(data=data, file=file, problem=problem)

    def restore(self, run: Run) -> None:
        """Show a run again: its data, model, method and fit."""
        data, here = run.data, self.data
        if here is not None and here.hash == data.hash and here.code() == data.code():
            data = here  # it knows what was before its last step
        self.update(data=data, model=run.model, method=run.method, settings=run.settings, run=run, problem="")

    def select(self, subject: Any, *, more: bool = False) -> None:
        """Mark a subject in all figures, or no longer; `more`: those that are marked stay."""
        here = self.selection.subjects
        if more or subject in here:
            self.update(selection=self.selection.toggled(subject))
        else:
            self.update(selection=Selection((subject,)))

    def leave_out(self) -> None:
        """Take what is selected out of the data, by a recorded step."""
        if self.data is None or not self.selection:
            raise DataError("Nothing is selected.")
        self.take(self.selection.excluded(self.data), self.file, edited=True)

    def refresh(self) -> None:
        """Render everything again, for instance after a widget was given what the model refuses."""
        with self.lock:
            self._render(self.FIELDS)

    def _derive(self, keep_problem: bool) -> set[str]:
        """Bring `start` and what evaluates its curves in line with data and model."""
        before = self.problem, self.place, self.seeking, self.response
        if not keep_problem:
            self.problem = self.place = ""
        if self.response >= len(self.responses):
            self.response = 0
        model, data, sketch = self.model, self.data, self._sketch
        self.start, self._sketch, self.seeking = None, None, False
        if model is not None and data is not None and self.ready:
            try:
                if model.is_complete:
                    self.start = model
                if self.start is not None and sketch is not None and sketch.is_of(self.start, data):
                    self._sketch = sketch
                elif self.background is None or is_quick(model):
                    self.start, self._sketch = _sought(model, data, sketch)
                else:
                    self.seeking = True
                    self.background("start", lambda: self._seek(model, data))
            except Exception as error:
                self.start = self._sketch = None
                self.problem = self._reported(error)
        now = self.problem, self.place, self.seeking, self.response
        names = ("problem", "place", "seeking", "response")
        return {"start", *(name for name, old, new in zip(names, before, now, strict=True) if old != new)}

    def _seek(self, model: Model, data: GroupedData) -> None:
        """Find start values, beside the callbacks; they are forgotten if the model changes meanwhile."""
        problem = ""
        start = sketch = None
        try:
            start, sketch = _sought(model, data, None)
        except Exception as error:
            problem = self._reported(error)
        with self.lock:
            if self.model is not model or self.data is not data:
                return
            self.start, self._sketch, self.seeking = start, sketch, False
            self.problem = problem or self.problem
            self._render(frozenset({"start", "seeking", "problem"}))

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """While this lasts, widgets that move are not the user's doing; hold the lock around it."""
        outer, self._rendering = self._rendering, True
        try:
            yield
        finally:
            self._rendering = outer

    def _render(self, changed: frozenset[str]) -> None:
        with self.quietly():
            for watcher in self._watchers:
                try:
                    watcher(changed)
                except Exception as error:
                    self._say(self._reported(error))

    def _say(self, problem: str) -> None:
        """Show a problem of rendering; a panel that cannot show even this is in the log."""
        self.problem = problem
        for watcher in self._watchers:
            try:
                watcher(frozenset({"problem"}))
            except Exception:
                log.exception("a panel could not be rendered")

    @staticmethod
    def _reported(error: Exception) -> str:
        if not isinstance(error, WorkbenchError):
            log.error("unexpected", exc_info=error)
        return in_words(error)

    def handler(self, callback: Callable[..., None], place: str = "") -> Callable[..., None]:
        """Wrap the callback of a widget.

        It does not run when rendering moved the widget (no echo), and what it raises appears in words, at `place` as
        well; the widgets then go back to what the state holds.
        """

        @wraps(callback)
        def guarded(*args: Any) -> None:
            with self.lock:
                if self._rendering:
                    return
                try:
                    callback(*args)
                except Exception as error:
                    self.problem, self.place = self._reported(error), place
                    self.refresh()

        return guarded


@dataclass(frozen=True, eq=False)
class _Point:
    """What is evaluated where."""

    sketch: Sketch
    response: int
    model: Model
    etas: Array | None

    def is_same(self, other: _Point) -> bool:
        return self.is_beside(other) and self.etas is other.etas and self.model == other.model

    def is_beside(self, other: _Point) -> bool:
        """Whether only values differ."""
        return self.sketch is other.sketch and self.response == other.response


def _sought(model: Model, data: GroupedData, sketch: Sketch | None) -> tuple[Model, Sketch]:
    """The model with all its values, and what evaluates it: the present sketch if it can."""
    start = engine.initial_values(model, data)
    return start, sketch if sketch is not None and sketch.is_of(start, data) else Sketch(start, data)


def _same(old: object, new: object) -> bool:
    if old is new:
        return True
    if isinstance(old, Model | Selection | str | bool | int):
        return old == new
    return False
