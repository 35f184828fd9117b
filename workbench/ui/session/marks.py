"""In which state each part of the work is: what the tabs are marked with, and why; knows of no widgets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workbench.ui.session.state import State

Kind = Literal["none", "ready", "attention", "refused", "busy"]
_SHRUNK = 30.0  # per cent of the SD of η, above which plots of η mislead (Savic & Karlsson 2009, AAPS J 11:558)


@dataclass(frozen=True)
class Mark:
    """What a tab is marked with.

    Attributes
    ----------
    kind : {"none", "ready", "attention", "refused", "busy"}
    count : int
        Shown beside the title; 0 for no number.
    why : str
        In a few words; "" where the kind says all.
    """

    kind: Kind = "none"
    count: int = 0
    why: str = ""


def data_mark(state: State) -> Mark:
    """Whether data are there and sound, and how many findings wait."""
    shown = state.draft if state.draft is not None else state.data
    if state.refused is not None:
        return Mark("refused", why=f"{state.refused.source} was not taken")
    if shown is None:
        return Mark()
    found = shown.check()["severity"]
    errors, count = int((found == "error").sum()), len(found)
    if errors:
        return Mark("refused", count, f"{errors} in {shown.name} must be mended before a fit")
    if count:
        return Mark("attention", count, f"{count} finding{'s' if count > 1 else ''} in the data; a fit is possible")
    return Mark("ready")


def model_mark(state: State) -> Mark:
    """Whether the model can be fitted."""
    if state.model is None:
        return Mark()
    if not state.ready:
        return Mark("busy", why="kernels are being compiled")
    if state.seeking:
        return Mark("busy", why="start values are being computed")
    if state.problem and state.place:
        return Mark("refused", why=state.problem)
    return Mark("ready") if state.start is not None else Mark("attention", why=state.problem)


def fit_mark(state: State) -> Mark:
    """Whether what is stated was fitted, and how that ended."""
    if state.activity in ("compiling", "fitting", "stopping") and not state.task:
        return Mark("busy", why=state.activity)
    if state.problem and not state.place:
        return Mark("refused", why=state.problem)
    if state.fit is None:
        return Mark()
    if not state.is_as_stated:
        return Mark("none", why="what is stated has not been fitted")
    fit = state.fit
    return Mark("ready") if fit.status.ok and not fit.message else Mark("attention", why=fit.said)


def diagnose_mark(state: State) -> Mark:
    """Whether there is a fit to look at, and what to look at with care."""
    if state.fit is None:
        return Mark()
    shrunk = state.shrunk if state.fit.random_effects else dict[str, float]()
    wide = [str(name) for name, sd in shrunk.items() if name != "ε" and math.isfinite(sd) and sd > _SHRUNK]
    if wide:
        return Mark("attention", len(wide), f"shrinkage above {_SHRUNK:.0f} %: {', '.join(wide)}")
    return Mark("ready")


def covariates_mark(state: State) -> Mark:
    """Whether the shown run was screened."""
    if state.activity == "working" and state.task.startswith(("Screen", "Stepwise")):
        return Mark("busy", why=state.task)
    return Mark("ready") if state.study("screen") is not None else Mark()


def simulate_mark(state: State) -> Mark:
    """Whether there are estimates to simulate with."""
    if state.fit is None:
        return Mark()
    return Mark("ready") if state.fit.converged else Mark("attention", why="the fit has no minimum to rely on")


def runs_mark(state: State) -> Mark:
    """How many runs there are."""
    return Mark(count=len(state.runs))
