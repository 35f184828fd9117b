"""What the Workbench shows, as one observable value; knows of no widgets.

Callbacks of widgets, cells of the notebook and the fit's pump are different threads (JupyterLab runs callbacks in a
thread of their own), so every change and the rendering that follows it happen under one lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench import engine
from workbench.data import GroupedData
from workbench.errors import DataError, ModelError, WorkbenchError
from workbench.model import PK, Effect, Model, usual_model
from workbench.results import FitResult, Progress
from workbench.runs import Run, Runs, cell
from workbench.ui.file import File

Array = NDArray[np.float64]
Watcher = Callable[[frozenset[str]], None]

log = logging.getLogger(__name__)


def in_words(error: BaseException) -> str:
    """An exception as a sentence for the panel."""
    if isinstance(error, WorkbenchError):
        return str(error)
    return f"This should not happen, and nothing was changed: {type(error).__name__}: {error}"


def statement(model: Model) -> Model:
    """A model without its values: what it states, apart from where a fit starts."""
    for p in model.parameters:
        if p.column is not None:
            continue
        effects = tuple(e if e.fixed else Effect(e.term) for e in p.covariates)
        value = p.value if p.fixed else None
        model = model.with_parameter(p.name, value=value, iiv=p.iiv is not None, covariates=effects)
    blocks = [block.names for block in model.correlate]
    return model.with_error(type(model.error)()).with_correlate(blocks)


def suited_model(model: Model | None, data: GroupedData) -> Model:
    """The statement of a model where it can be one of these data too, else the usual model."""
    usual = usual_model(data)
    if model is None or not set(model.columns) <= set(data.covariate_names):
        return usual
    mine, theirs = model.structure, usual.structure
    if isinstance(mine, PK) and isinstance(theirs, PK) and mine.absorption != theirs.absorption:
        return usual
    return statement(model)


class State:
    """The session: what is stated, what was fitted, what is going on.

    Change it with `update` only. `watch` registers who renders it.

    Attributes
    ----------
    data : GroupedData or None
    model : Model or None
        What the user states; values that are not stated are found from the data.
    method : str
    live : bool
        Refit whenever the statement changes.
    runs : Runs
    run : Run or None
        The run that is shown.
    progress : Progress or None
        Where the running fit is.
    activity : {"", "compiling", "fitting", "stopping"}
    ready : bool
        The kernels are compiled.
    problem : str
        What went wrong last, in words.
    draft : GroupedData or None
        Data with errors, being mended; the others stay what they are until no error is left.
    file : File or None
        The file that draft, data, or the refusal come from.
    refused : DataError or None
        Why the last file was not taken.
    logarithmic : bool
        Response axes are logarithmic.
    start : Model or None
        `model` with all its values: where a fit starts.
    curves : Curves or None
        Evaluates curves of `start` and of models with other values.
    """

    FIELDS = frozenset(
        [
            "data",
            "model",
            "method",
            "live",
            "runs",
            "run",
            "progress",
            "activity",
            "ready",
            "problem",
            "draft",
            "file",
            "refused",
            "logarithmic",
            "start",
        ]
    )

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.data: GroupedData | None = None
        self.model: Model | None = None
        self.method = "focei"
        self.live = False
        self.runs = Runs()
        self.run: Run | None = None
        self.progress: Progress | None = None
        self.activity = ""
        self.ready = engine.is_warm()
        self.problem = ""
        self.draft: GroupedData | None = None
        self.file: File | None = None
        self.refused: DataError | None = None
        self.logarithmic = False
        self.start: Model | None = None
        self.curves: engine.Curves | None = None
        self._curves_of: tuple[Model, GroupedData] | None = None
        self._watchers: list[Watcher] = []
        self._rendering = False

    # -- reading -----------------------------------------------------------------------------------------------

    @property
    def fit(self) -> FitResult | None:
        """The fit that is shown."""
        return self.run.fit if self.run else None

    @property
    def is_current(self) -> bool:
        """Whether the shown fit is one of the model and data as they are stated now."""
        return self.run is not None and self.run.fits(self.data, self.model)

    @property
    def code(self) -> str:
        """The cell that reproduces what is shown."""
        if self.draft is not None:
            return f"import workbench as wb\n\ndata = {self.draft.code()}\ndata.check()"
        if self.data is None or self.model is None:
            return "import workbench as wb\n"
        if self.run is not None and self.is_current and self.run.method == self.method:
            return self.run.code
        return cell(self.data, self.model, self.method)

    @property
    def locked(self) -> str:
        """Why nothing can be fitted now; "" where nothing stands against it."""
        if self.draft is None:
            return ""
        count = int((self.draft.check()["severity"] == "error").sum())
        errors = "1 error" if count == 1 else f"{count} errors"
        stays = f" Meanwhile {self.data.name}, its model and its fits are kept." if self.data is not None else ""
        return f"{self.draft.name} has {errors} that must be mended first, in the Data panel.{stays}"

    def point(self) -> tuple[Model | None, Array | None]:
        """The model whose curves are to be drawn, and the random effects for the individual ones."""
        if self.start is None:
            return None, None
        if self.progress is not None:
            return engine.with_estimates(self.start, self.progress.parameters), self.progress.etas
        if self.fit is not None and self.is_current:
            return self.fit.model, self.fit.eta_matrix
        return self.start, None

    def stated_model(self) -> Model:
        """The model to edit; an error in words where there is none yet."""
        if self.model is None:
            raise ModelError("There is no model yet: load data first.")
        return self.model

    def complete_model(self) -> Model:
        """The model to edit a value of: with all values, so that the others stay as they are shown."""
        return self.start or self.stated_model()

    def drawn(self) -> tuple[list[Array], list[Array] | None] | None:
        """Population curves and, where there are random effects, individual ones; one array per subject."""
        model, etas = self.point()
        if self.curves is None or model is None:
            return None
        population = self.curves.population(model)
        if etas is None or etas.shape[1] != len(model.random_effects):
            return population, None
        return population, self.curves.individual(model, etas)

    # -- changing ----------------------------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with the names of the fields that changed, after every change."""
        self._watchers.append(watcher)

    def update(self, **changes: Any) -> None:
        """Change fields together, then let every watcher render them."""
        unknown = changes.keys() - self.FIELDS
        if unknown:
            raise AttributeError(f"no field {', '.join(sorted(unknown))}")
        if "data" in changes:
            changes = {"draft": None, "file": None, "refused": None, **changes}
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
        self.update(data=run.data, model=run.model, method=run.method, run=run)

    def refresh(self) -> None:
        """Render everything again, for instance after a widget was given what the model refuses."""
        with self.lock:
            self._render(self.FIELDS)

    def _derive(self, keep_problem: bool) -> set[str]:
        """Bring `start` and `curves` in line with data and model."""
        before = self.problem
        if not keep_problem:
            self.problem = ""
        derived = {"start"}
        if self.data is None or self.model is None or not self.ready:
            self.start = self.curves = self._curves_of = None
        else:
            try:
                start = engine.initial_values(self.model, self.data)
                of = statement(start), self.data
                if self._curves_of is None or self._curves_of[1] is not of[1] or self._curves_of[0] != of[0]:
                    self.curves = engine.curves(start, self.data)
                    self._curves_of = of
                self.start = start
            except Exception as error:
                self.start = self.curves = self._curves_of = None
                self.problem = self._reported(error)
        return derived | {"problem"} if self.problem != before else derived

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

    def handler(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Wrap the callback of a widget.

        It does not run when rendering moved the widget (no echo), and what it raises appears in words; the widgets
        then go back to what the state holds.
        """

        @wraps(callback)
        def guarded(*args: Any) -> None:
            with self.lock:
                if self._rendering:
                    return
                try:
                    callback(*args)
                except Exception as error:
                    self.problem = self._reported(error)
                    self.refresh()

        return guarded


def _same(old: object, new: object) -> bool:
    if old is new:
        return True
    if isinstance(old, Model | str | bool):
        return old == new
    return False
