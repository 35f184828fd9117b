"""The Workbench: panels around one state."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any
from weakref import finalize

from ipywidgets import HTML, VBox

from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.methods import method_of
from workbench.model import Model, usual_model
from workbench.results.fit import FitResult
from workbench.results.runs import Run, Runs
from workbench.studies import load
from workbench.ui.front_end import FrontEnd, behaviour
from workbench.ui.living import Lifetime, in_kernel, usual_runs
from workbench.ui.panels.band import BandPanel
from workbench.ui.panels.code import CodePanel
from workbench.ui.panels.covariates import CovariatesPanel
from workbench.ui.panels.data import DataPanel
from workbench.ui.panels.diagnose import DiagnosePanel
from workbench.ui.panels.equations import EquationsPanel
from workbench.ui.panels.error import ErrorPanel
from workbench.ui.panels.fit import CriteriaPanel, FitPanel, TracePanel
from workbench.ui.panels.foot import FootPanel
from workbench.ui.panels.individual import IndividualPanel
from workbench.ui.panels.model import ModelPanel
from workbench.ui.panels.pages import Page, Pages, View
from workbench.ui.panels.panel import Panel
from workbench.ui.panels.psi import PsiPanel
from workbench.ui.panels.runs import RunsPanel
from workbench.ui.panels.screening import ScreeningPanel
from workbench.ui.panels.shrinkage import ShrinkagePanel
from workbench.ui.panels.simulate import SimulatePanel
from workbench.ui.panels.top import FitControls
from workbench.ui.panels.typical import TypicalPanel
from workbench.ui.panels.uncertainty import UncertaintyPanel
from workbench.ui.panels.why import WhyPanel
from workbench.ui.session.background import Background
from workbench.ui.session.cell import read_cell
from workbench.ui.session.job import Fitting
from workbench.ui.session.marks import (
    covariates_mark,
    data_mark,
    diagnose_mark,
    fit_mark,
    model_mark,
    runs_mark,
    simulate_mark,
)
from workbench.ui.session.opinion import SecondOpinion
from workbench.ui.session.selection import selection_of
from workbench.ui.session.state import State
from workbench.ui.session.whole import panels_of, study_of
from workbench.ui.twin import Twin

_MOVING: tuple[type[Panel], ...] = (IndividualPanel, TypicalPanel)  # rendered first: their curves are looked at
_STILL = 0.06  # seconds without another change of a value, before a live refit
_DATA = frozenset({"data", "draft", "refused"})
_MODEL = frozenset({"data", "model", "start", "seeking", "problem", "place", "ready"})
_FIT = _MODEL | {"run", "method", "settings", "activity", "task"}
_STATED: tuple[type[Panel], ...] = (ModelPanel, ErrorPanel, PsiPanel)


def _wants_data(state: State) -> str:
    return "" if state.data is not None else "data"


def _wants_fit(state: State) -> str:
    return _wants_data(state) or ("" if state.run is not None else "fit")


PAGES = (
    Page("Data", data_mark, _DATA, (), (View("Data", (DataPanel,)),)),
    Page(
        "Model", model_mark, _MODEL, _STATED,
        (View("Equations", (EquationsPanel,)), View("Typical curves", (TypicalPanel,)), View("Error", (BandPanel,))),
        _wants_data,
    ),
    Page(
        "Fit", fit_mark, _FIT, (CriteriaPanel, WhyPanel, *_STATED, TracePanel),
        (View("Individual fits", (IndividualPanel,)), View("Shrinkage", (ShrinkagePanel,)),
         View("Uncertainty", (UncertaintyPanel,)), View("Estimates", (FitPanel,))),
        _wants_data,
    ),
    Page("Diagnose", diagnose_mark, frozenset({"run"}), (), (View("Diagnose", (DiagnosePanel,)),), _wants_fit),
    Page(
        "Covariates", covariates_mark, frozenset({"run", "studies", "activity", "task"}), (),
        (View("Screening", (ScreeningPanel,)), View("Effects", (CovariatesPanel,))),
        _wants_data,
    ),
    Page("Runs", runs_mark, frozenset({"runs"}), (), (View("Runs", (RunsPanel,)),)),
    Page("Simulate", simulate_mark, frozenset({"run", "start"}), (), (View("Simulate", (SimulatePanel,)),)),
)  # fmt: skip
PANELS: tuple[type[Panel], ...] = tuple(
    dict.fromkeys(kind for page in PAGES for kinds in (page.left, *(v.panels for v in page.views)) for kind in kinds)
)


def _attribute(kind: type[Panel]) -> str:
    """What a panel is called as a part of the Workbench: `data_panel` for DataPanel."""
    return f"{kind.__name__.removesuffix('Panel').lower()}_panel"


@cache
def _style() -> str:
    """The style sheet."""
    return resources.files("workbench.ui.figures").joinpath("style.css").read_text(encoding="utf-8")


def _is_a(kind: type, value: object, what: str) -> None:
    if not isinstance(value, kind):
        expected = "text" if kind is str else f"a wb.{kind.__name__}"
        raise ModelError(f"{what} of a Workbench is {expected}, got {type(value).__name__}.")


class Workbench:
    """Panels to import data, state a model, fit it and look at it; show it as the last line of a cell.

    Parameters
    ----------
    data : GroupedData, optional
    model : Model, optional
        If none is given, one that suits the data.
    runs : Runs or path, optional
        Where runs are kept. Unstated, in `workbench.db` beside the notebook, and in memory where there is no notebook;
        the environment variable WORKBENCH_RUNS names another file, or "memory".

    Attributes
    ----------
    data, model, method, fit, runs, code, selection :
        Readable and settable at any time: panels and notebook are two sides of one thing.
    data_panel, model_panel, … : Panel
        Each panel by its name.

    Examples
    --------
    >>> import workbench as wb
    >>> bench = wb.Workbench(wb.load_example("theophylline"))
    >>> bench.run()
    >>> bench.wait()
    True
    >>> bench.fit.converged
    True
    """

    def __init__(
        self,
        data: GroupedData | None = None,
        model: Model | None = None,
        *,
        runs: Runs | str | os.PathLike[str] | None = None,
    ):
        if data is not None:
            _is_a(GroupedData, data, "data")
        if model is not None:
            _is_a(Model, model, "model")
        self._background = Background()
        self._state = state = State(self._background.ask)
        front_end = FrontEnd()
        self._fitting = Fitting(state, front_end.keep_pace)
        self._opinion = SecondOpinion(state, lambda: front_end.seen)
        if data is not None and model is None:
            model = usual_model(data)
        if runs is None:
            runs = usual_runs()
        elif not isinstance(runs, Runs):
            runs = Runs.open(runs)
        state.update(data=data, model=model, runs=runs)
        fit_now = partial(_fit_now, state, self._fitting)
        state.watch(partial(_refit, state, self._fitting))  # before any panel: the fit runs while they are rendered
        self.controls = FitControls(state, fit_now, self._fitting.cancel, self._opinion.seek)
        kinds = (*PANELS, CodePanel)
        made = {kind: kind(state, self._fitting.ask) for kind in dict.fromkeys((*_MOVING, *kinds))}
        self._panels = {kind: made[kind] for kind in kinds}
        for kind, panel in self._panels.items():
            setattr(self, _attribute(kind), panel)
        self.foot = FootPanel(state, self._panels[CodePanel], fit_now)
        self._pages = Pages(state, PAGES, {kind: self._panels[kind] for kind in PANELS}, fit_now)
        self.tab = self._pages.tab
        self._view = self._layout()
        state.watch(partial(_lock, state, tuple(self._panels.values())))
        mine = (self._view, self.controls, self.foot, self._pages, *self._panels.values(), front_end)
        self._twin = Twin(state)
        self._life = Lifetime(state, self._background, self._fitting, mine)
        finalize(self, self._life.end).atexit = False  # what is dropped is freed; panels do not know the Workbench
        self._fitting.warm_up()

    def _layout(self) -> VBox:
        for panel in (self.controls, self.foot):
            panel.show()
        self.turn_to("Data" if self._state.data is None else "Fit")
        style = HTML(f"<style>{_style()}</style>", layout={"display": "none"})
        view = VBox([
            style, self.controls.view, self.tab, self.controls.strip, self._pages.body, self.foot.drawer,
            self.foot.view, HTML(behaviour()),
        ])  # fmt: skip
        view.add_class("wb")
        return view

    def turn_to(self, title: str) -> None:
        """Turn to a tab, or to a view of one by its name; "Code" opens the drawer."""
        if title == "Code":
            self.foot.turn(True)
        else:
            self._pages.turn_to(title)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if self.closed:
            return {"text/plain": f"{self!r}, closed", "text/html": self._twin.html}
        self._twin.show()
        bundle = self._view._repr_mimebundle_(**options)
        if isinstance(bundle, dict):
            bundle["text/plain"] = repr(self)
            if not in_kernel():
                bundle["text/html"] = self._twin.html  # in a notebook it is an output of its own
        return bundle

    def __repr__(self) -> str:
        data, runs = self._state.data, len(self._state.runs)
        return f"<Workbench: {data.name if data else 'no data'}, {runs} run{'' if runs == 1 else 's'}>"

    # -- what it holds -----------------------------------------------------------------------------------------

    @property
    def data(self) -> GroupedData | None:
        """The data."""
        return self._state.data

    @data.setter
    def data(self, data: GroupedData) -> None:
        _is_a(GroupedData, data, "data")
        data.require_sound()
        self._state.update(data=data, model=self._state.model or usual_model(data), refused=None)

    @property
    def model(self) -> Model | None:
        """The model as it is stated: where the next fit starts."""
        return self._state.model

    @model.setter
    def model(self, model: Model) -> None:
        _is_a(Model, model, "model")
        self._state.update(model=model)

    @property
    def method(self) -> object:
        """The method of estimation: its name, or its options."""
        return self._state.method

    @method.setter
    def method(self, method: object) -> None:
        method_of(method)
        self._state.update(method=method)

    @property
    def fit(self) -> FitResult | None:
        """The fit that is shown."""
        return self._state.fit

    @fit.setter
    def fit(self, fit: FitResult) -> None:
        _is_a(FitResult, fit, "fit")
        run = self._state.runs.find(fit)
        if run is None:
            runs = self._state.with_run(fit)
            self._state.update(runs=runs)
            run = runs[-1]
        self._state.restore(run)

    @property
    def selection(self) -> dict[str, list[Any]]:
        """What is marked in all figures: {"subjects": […], "points": […]}, labels of subjects and of rows."""
        return self._state.selection.to_dict()

    @selection.setter
    def selection(self, selection: object) -> None:
        self._state.update(selection=selection_of(selection, self.data))

    @property
    def runs(self) -> Runs:
        """All fits of the session."""
        return self._state.runs

    @runs.setter
    def runs(self, runs: Runs) -> None:
        _is_a(Runs, runs, "runs")
        self._state.update(runs=runs)

    @property
    def code(self) -> str:
        """The cell that reproduces what is shown; a cell that is set here is read (never evaluated), and shown."""
        return self._state.code

    @code.setter
    def code(self, text: str) -> None:
        _is_a(str, text, "code")
        stated = read_cell(text, self.data)
        data = stated.data or self.data
        if data is not None:
            data.require_sound()
        model = stated.model or self.model or (usual_model(data) if data is not None else None)
        method = self.method if stated.method is None else stated.method
        method_of(method)
        settings = self._state.settings if stated.method is None else stated.settings
        self._state.update(data=data, model=model, method=method, settings=settings, refused=None)

    @property
    def state(self) -> State:
        """What the panels show, as one observable value."""
        return self._state

    @property
    def panels(self) -> list[Panel]:
        """The panels of the tabs, in their order, and that of the drawer."""
        return list(self._panels.values())

    @property
    def shown(self) -> list[Panel]:
        """The panels that are to be seen."""
        return self._pages.shown

    @property
    def places(self) -> list[str]:
        """Where `turn_to` leads."""
        return [*self._pages.titles, "Code"]

    @property
    def view(self) -> VBox:
        """The widget that holds everything."""
        return self._view

    # -- what it does ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Fit, in the background; `wait` for it, or go on. A fit that is running is given up."""
        _fit_now(self._state, self._fitting)

    def cancel(self) -> None:
        """Stop the fit at the best values found so far."""
        self._fitting.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is running any more.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Returns
        -------
        bool
            False if something still runs after `timeout`.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:  # what one of them finds may give the other something to do
            for thing in (self._background, self._fitting):
                if not thing.wait(None if end is None else max(0.0, end - time.monotonic())):
                    return False
            if self._background.idle and self._fitting.idle:
                return True

    def restore(self, run: Run | int) -> None:
        """Show a run again: its data, model, method and fit."""
        self._state.restore(run if isinstance(run, Run) else self._state.runs[run])

    # -- how long it lives ---------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | os.PathLike[str], **options: Any) -> Workbench:
        """A Workbench that shows what was saved: a study (`save`), a fit (`fit.save`) or a file of runs.

        Parameters
        ----------
        path : str or path
        **options
            As `wb.load` takes them: `data`, `largest`.

        Raises
        ------
        FileError
            If it cannot be opened.
        """
        found = load(path, **options)
        if isinstance(found, FitResult):
            bench = cls(found.data, found.given, runs=Runs())
            bench.fit = found
        elif isinstance(found, Runs):
            bench = cls(runs=found)
            if len(found):
                bench.restore(found[-1])
        else:
            bench = cls(found.data, found.model, runs=found.runs)
            set_to, refused = panels_of(found)
            bench.state.update(**set_to)
            shown = found.runs.get(found.shown)
            if shown is not None:
                bench.restore(shown)
            stated = {"data": found.data, "model": found.model}
            bench.state.update(
                method=found.method,
                settings=found.settings,
                **{k: v for k, v in stated.items() if v is not None},
                **({"problem": refused} if refused else {}),
            )
        return bench

    def save(self, path: str | os.PathLike[str] = "study.zip") -> Path:
        """Save data, model and all runs in one file, which `Workbench.open` shows again.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        return study_of(self._state).save(path)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._life.ended

    def close(self, timeout: float = 10.0) -> None:
        """Stop what runs, wait for that at most `timeout` seconds, and free the panels.

        What it holds (`data`, `model`, `fit`, `runs`) can still be read.
        """
        self._life.end()
        self.wait(timeout)

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fit_now(state: State, fitting: Fitting) -> None:
    """Fit what is stated, in the background."""
    if state.data is None or state.model is None:
        raise ModelError("There is nothing to fit yet: load data first.")
    if state.locked:
        raise ModelError(state.locked)
    fitting.start(state.model, state.data, state.method, state.settings)


def _lock(state: State, panels: Sequence[Panel], changed: frozenset[str]) -> None:
    """Cover what needs sound data while there are others to be mended."""
    if "draft" not in changed:
        return
    for panel in panels:
        if panel.needs_sound_data:
            change = panel.view.remove_class if state.draft is None else panel.view.add_class
            change("wb-locked")


def _refit(state: State, fitting: Fitting, changed: frozenset[str]) -> None:
    """Where the user wants it live, fit what is stated as soon as it changes, from where the last fit ended."""
    if state.seeking or not changed & {"data", "model", "method", "settings", "live", "start"}:
        return
    if not state.live or state.locked or state.start is None or state.model is None or state.data is None:
        return
    if "run" in changed or (state.is_as_stated and fitting.idle) or state.live_waits:
        return
    stated = state.model, state.data, state.method, state.settings
    if fitting.is_asked(stated):
        return
    shown = state.run
    slid = shown is not None and shown.model.without_values() == state.model.without_values()
    slid = slid and "model" in changed
    fitting.start(*stated, after=_STILL if slid else 0.0, quietly=not slid)
