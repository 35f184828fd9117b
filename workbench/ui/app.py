"""The Workbench: panels around one state."""

from __future__ import annotations

import time
from functools import cache
from importlib import resources
from typing import Any

from ipywidgets import HTML, Box, Tab, VBox

from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.methods import method_of
from workbench.model import Model, usual_model
from workbench.results.fit import FitResult
from workbench.results.runs import Run, Runs
from workbench.ui.front_end import FrontEnd
from workbench.ui.panels.band import BandPanel
from workbench.ui.panels.code import CodePanel
from workbench.ui.panels.covariates import CovariatesPanel
from workbench.ui.panels.data import DataPanel
from workbench.ui.panels.equations import EquationsPanel
from workbench.ui.panels.error import ErrorPanel
from workbench.ui.panels.fit import FitControls, FitPanel
from workbench.ui.panels.individual import IndividualPanel
from workbench.ui.panels.model import ModelPanel
from workbench.ui.panels.panel import Panel
from workbench.ui.panels.runs import RunsPanel
from workbench.ui.panels.screening import ScreeningPanel
from workbench.ui.panels.typical import TypicalPanel
from workbench.ui.panels.uncertainty import UncertaintyPanel
from workbench.ui.session.background import Background
from workbench.ui.session.cell import read_cell
from workbench.ui.session.job import Fitting
from workbench.ui.session.state import State

SIDE: tuple[type[Panel], ...] = (ModelPanel, ErrorPanel)
TABS: tuple[type[Panel], ...] = (
    DataPanel,
    EquationsPanel,
    CovariatesPanel,
    TypicalPanel,
    BandPanel,
    FitPanel,
    IndividualPanel,
    UncertaintyPanel,
    ScreeningPanel,
    RunsPanel,
    CodePanel,
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

    Attributes
    ----------
    data, model, method, fit, runs, code :
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

    def __init__(self, data: GroupedData | None = None, model: Model | None = None):
        if data is not None:
            _is_a(GroupedData, data, "data")
        if model is not None:
            _is_a(Model, model, "model")
        self._background = Background()
        self._state = state = State(self._background.ask)
        self._fitting = Fitting(state, FrontEnd().keep_pace)
        if data is not None and model is None:
            model = usual_model(data)
        state.update(data=data, model=model)
        self._stated = self._statement()
        self.controls = FitControls(state, self.run, self.cancel)
        self._side, self._tabs = ([kind(state, self._fitting.ask) for kind in kinds] for kinds in (SIDE, TABS))
        for panel in (*self._side, *self._tabs):
            setattr(self, _attribute(type(panel)), panel)
        self._view = self._layout()
        state.watch(self._lock)
        state.watch(self._refit)
        self._fitting.warm_up()

    def _layout(self) -> VBox:
        for panel in (self.controls, *self._side):
            panel.show()
        side = VBox([panel.view for panel in self._side])
        side.add_class("wb-side")
        first = TABS.index(DataPanel if self._state.data is None else IndividualPanel)
        self.tab = Tab(
            [panel.view for panel in self._tabs], titles=[panel.title for panel in self._tabs], selected_index=first
        )
        self.tab.add_class("wb-main")
        self._tabs[first].show()
        self.tab.observe(lambda change: self._turn_to(change["new"]), "selected_index")
        columns = Box([side, self.tab])
        columns.add_class("wb-columns")
        view = VBox([HTML(f"<style>{_style()}</style>", layout={"display": "none"}), self.controls.view, columns])
        view.add_class("wb")
        return view

    def _turn_to(self, index: int | None) -> None:
        for position, panel in enumerate(self._tabs):
            if position == index:
                panel.show()
            else:
                panel.hide()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = self._view._repr_mimebundle_(**options)
        if isinstance(bundle, dict):
            bundle["text/plain"] = repr(self)
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
            runs = self._state.runs.add(fit)
            self._state.update(runs=runs)
            run = runs[-1]
        self._state.restore(run)

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
        """The panels of the tabs, in their order."""
        return list(self._tabs)

    @property
    def view(self) -> VBox:
        """The widget that holds everything."""
        return self._view

    # -- what it does ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Fit, in the background; `wait` for it, or go on. A fit that is running is given up."""
        state = self._state
        if state.data is None or state.model is None:
            raise ModelError("There is nothing to fit yet: load data first.")
        if state.locked:
            raise ModelError(state.locked)
        self._fitting.start(state.model, state.data, state.method, state.settings)

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

    def _lock(self, changed: frozenset[str]) -> None:
        """Cover what needs sound data while there are others to be mended."""
        if "draft" not in changed:
            return
        for panel in (*self._side, *self._tabs):
            if panel.needs_sound_data:
                change = panel.view.remove_class if self._state.draft is None else panel.view.add_class
                change("wb-locked")

    def _statement(self) -> tuple[Any, ...]:
        state = self._state
        return (state.data, state.model.without_values() if state.model else None, state.method, state.settings)

    def _refit(self, changed: frozenset[str]) -> None:
        """Where the user wants it live, fit what is stated as soon as it changes; values alone are no change."""
        state = self._state
        if state.seeking or not changed & {"data", "model", "method", "settings", "live", "start"}:
            return
        before, self._stated = self._stated, self._statement()
        if not state.live or state.locked or state.start is None or state.model is None or state.data is None:
            return
        if "live" in changed or (self._stated != before and not state.is_current):
            self._fitting.start(state.model, state.data, state.method, state.settings)
