"""Where a Workbench lives: the file beside its notebook in which runs are kept, and what it gives back at its end."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakSet

from ipywidgets import DOMWidget, Widget

from workbench.errors import FileError
from workbench.results.runs import Runs
from workbench.ui.session.background import Background
from workbench.ui.session.job import Fitting
from workbench.ui.session.state import State

FILE = "workbench.db"
_SILENT = "jupyter-widgets-disconnected"  # JupyterLab's own class, for a kernel that was lost
_PLACE = "WORKBENCH_RUNS"  # environment: a file for all sessions, or "memory"


def in_kernel() -> bool:
    """Whether this process is the kernel of a notebook."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    return getattr(shell, "kernel", None) is not None


def usual_runs() -> Runs:
    """The runs that a Workbench begins with: in a notebook those of the file beside it, elsewhere none.

    A file that cannot be used is no reason not to work: `Runs.said` says why, and runs are kept in memory.
    """
    stated = os.environ.get(_PLACE, "")
    if stated == "memory" or not (stated or in_kernel()):
        return Runs()
    try:
        return Runs.open(stated or _folder() / FILE)
    except FileError as error:
        return Runs.of([], f"{error} Runs are kept in memory, until the session ends.")


def _folder() -> Path:
    """The folder of the notebook: Jupyter's servers state it, else it is where the kernel works."""
    beside = Path(os.environ.get("JPY_SESSION_NAME", "")).parent
    return beside if beside.is_absolute() and beside.is_dir() else Path.cwd()


_living: WeakSet[Lifetime] = WeakSet()
_left: list[list[object]] = []  # a widget that nobody holds would be closed, in the page as well


@atexit.register
def _leave() -> None:
    for life in tuple(_living):
        life.leave()


class Lifetime:
    """What a Workbench has taken, to be given back once.

    Parameters
    ----------
    state, background, fitting : State, Background, Fitting
    roots : iterable of object
        Their widgets are closed, those that are not shown included.
    """

    def __init__(self, state: State, background: Background, fitting: Fitting, roots: Iterable[object]):
        self._state, self._background, self._fitting = state, background, fitting
        self._roots = list(roots)
        self.ended = False
        _living.add(self)

    def end(self) -> None:
        """Stop what runs, let go of who watches, close the widgets."""
        if self.ended:
            return
        self.ended = True
        self._fitting.close()
        self._background.close()
        self._state.forget_watchers()
        for widget in widgets_in(self._roots):
            widget.unobserve_all()
            widget.close()
        self._roots.clear()

    def leave(self) -> None:
        """Stop what runs, as the process ends; a page goes on showing the widgets, and says that they do not answer."""
        if not self.ended:
            self.ended = True
            for root in self._roots:
                if isinstance(root, DOMWidget):
                    root.add_class(_SILENT)
            self._fitting.close()
            self._background.close()
            _left.append(self._roots)


def widgets_in(roots: Iterable[object]) -> list[Widget]:
    """All widgets that things of the interface hold, in attributes, boxes and traits of each other."""
    found: list[Widget] = []
    waiting, seen = list(roots), dict[int, object]()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, Widget):
            found.append(thing)
            waiting += _inside(thing)
        elif isinstance(thing, dict):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset):
            waiting += thing
        elif _is_ours(thing):
            waiting += _inside(thing)
    return found


def _inside(thing: Any) -> list[Any]:
    return [value for value in getattr(thing, "__dict__", {}).values() if not callable(value) or _is_ours(value)]


def _is_ours(thing: object) -> bool:
    module = type(thing).__module__
    return module.startswith("workbench.ui.") and not module.startswith("workbench.ui.session.")
