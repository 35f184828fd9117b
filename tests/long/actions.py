"""Widgets of a Workbench are used at random, as a person might who tries everything."""

from __future__ import annotations

import contextlib
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
from traitlets import TraitError

import workbench as wb
from tests.reference.results import table
from tests.ui.actions import every_widget

ACTIONS, EPISODE = 4000, 50
EXAMPLES = ("theophylline", "phenobarbital", "orange_trees", "indomethacin")
TEXTS = ("", "0.3", "-1", "1e9", "WT", "log(WT/70)", "<b>", "a*exp(-b*t)", "d/dt A = -k*A", "median", "nan")
UNEXPECTED = "This should not happen"
OWN = ("workbench-fit", "workbench-pump", "workbench-background")


def run(share: float) -> tuple[str, bool]:
    """How the episodes went, and whether none met an error that is nobody's fault but ours."""
    with tempfile.TemporaryDirectory(prefix="actions-") as folder, contextlib.chdir(folder):  # buttons write files
        return _episodes(share)


def _episodes(share: float) -> tuple[str, bool]:
    episodes = max(4, round(ACTIONS * share / EPISODE))
    rows: list[list[str]] = []
    done = 0
    for seed in range(episodes):
        rng = random.Random(seed)
        example = EXAMPLES[seed % len(EXAMPLES)]
        runs = wb.Runs.open("runs.db") if seed % 2 else wb.Runs()
        bench = wb.Workbench(wb.load_example(example), runs=runs)
        assert bench.wait(120)
        last, trouble = "", ""
        for _ in range(EPISODE):
            try:
                last = _act(bench, rng)
            except Exception as error:  # no widget may raise at whoever sets it
                trouble = f"{type(error).__name__}: {error}"
            done += 1
            if rng.random() < 0.1 and not _comes_to_an_end(bench):
                trouble = "it does not come to an end"
            if UNEXPECTED in bench.state.problem:
                trouble = bench.state.problem
            if bench.model is not None and eval(repr(bench.model), {"wb": wb}) != bench.model:
                trouble = "the model does not print itself"
            if bench.runs.said:
                trouble = bench.runs.said
            if trouble:
                rows.append([str(seed), example, last, trouble.replace("|", "/").replace("\n", " ")])
                break
        bench.close(300)
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith(OWN) and _goes_on(thread)]
        if left and not trouble:
            rows.append([str(seed), example, last, f"closed, and {', '.join(left)} goes on"])
    about = f"{done} actions in {episodes} episodes, each with a Workbench of its own; {len(rows)} ended in trouble."
    return f"{about}\n\n" + (table(["seed", "data", "last action", "trouble"], rows) if rows else ""), not rows


def _comes_to_an_end(bench: wb.Workbench) -> bool:
    """By itself, or soon where it is cancelled: SAEM of an ODE with five random effects takes longer than one waits."""
    if bench.wait(240):
        return True
    bench.cancel()
    return bench.wait(60)


def _goes_on(thread: threading.Thread) -> bool:
    """Whether a thread is more than a moment from its end."""
    thread.join(10)
    return thread.is_alive()


def _act(bench: wb.Workbench, rng: random.Random) -> str:
    """Use a widget that a person could reach, and say what was done."""
    panels = [bench.controls, bench.foot, *bench.shown]
    within = [w for panel in panels for w in _reachable(panel.view) if _change(w, rng) is not None]
    if rng.random() < 0.15 or not within:
        place = rng.choice(bench.places)
        bench.turn_to(place)
        return f"tab {place}"
    widget = rng.choice(within)
    act = _change(widget, rng)
    assert act is not None
    said = f"{type(widget).__name__} {getattr(widget, 'description', '')}"
    try:
        act()
    except TraitError:
        return f"{said}: not a value that it takes"
    return said


def _reachable(view: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    for widget in every_widget(view):
        if not getattr(widget, "disabled", False) and widget.layout.display != "none":
            yield widget


def _change(widget: Any, rng: random.Random) -> Callable[[], None] | None:
    """What a person can do with a widget; None if nothing."""
    kind = type(widget).__name__
    value: object
    if kind == "Button":
        click: Callable[[], None] = widget.click
        return click
    if kind in ("Checkbox", "ToggleButton"):
        value = not widget.value
    elif hasattr(widget, "options") and len(widget.options):
        value = rng.choice([option[1] if isinstance(option, tuple) else option for option in widget.options])
    elif kind in ("Text", "Textarea", "Combobox"):
        value = rng.choice(TEXTS)
    elif "Int" in kind:
        value = rng.choice([0, 1, 2, 5])
    elif "Float" in kind:
        value = rng.choice([0.01, 0.3, 1.0, 5.0, -1.0])
    else:
        return None
    return lambda: setattr(widget, "value", value)
