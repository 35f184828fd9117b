"""The NCA view of the Data tab: curves by subject and dose, with terminal lines by rule or by hand. No widgets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench import checks, markup, noncompartmental
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.noncompartmental import Curve
from workbench.ui.session.drawing import NOBODY, Array, Axis, Dots, Drawing, Stroke, logarithm

LEAST = 3  # points of a line that is chosen by hand: two lie on a line whatever they are
TRAPEZOIDS = ("lin-up/log-down", "linear", "linear-log", "log")
BLQ = ("standard", "zero", "missing", "half")
ROUTES = ("extravascular", "bolus", "infusion")
NAMES = ("winnonlin", "cdisc")
QUANTITIES = (
    "Cmax", "Tmax", "AUClast", "AUCINF_obs", "AUC_%Extrap_obs", "AUC_TAU", "HL_Lambda_z", "Lambda_z",
    "No_points_lambda_z", "Rsq_adjusted", "Cl_F_obs", "Cl_obs", "CLss_F", "CLss", "Vz_F_obs", "Vz_obs", "Vss_obs",
    "MRTINF_obs", "C0", "Accumulation_Index",
)  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """How data are analysed; see `noncompartmental.nca`. As it prints itself, it is kept in a saved study.

    Raises
    ------
    WorkbenchError
        If the NCA view has no such choice.

    Attributes
    ----------
    terminal : tuple of ((label, int), tuple of float)
        Times of the points of terminal lines that were chosen by hand, by subject and number of the dose; fewer than
        three are a choice that is not complete yet.
    """

    trapezoids: str = TRAPEZOIDS[0]
    route: str | None = None
    blq: str = BLQ[0]
    names: str = "winnonlin"
    terminal: tuple[tuple[tuple[Any, int], tuple[float, ...]], ...] = ()

    def __post_init__(self) -> None:
        checks.one_of("trapezoids", self.trapezoids, TRAPEZOIDS, WorkbenchError)
        checks.one_of("route", self.route, (None, *ROUTES), WorkbenchError)
        checks.one_of("blq", self.blq, BLQ, WorkbenchError)
        checks.one_of("names", self.names, NAMES, WorkbenchError)
        if not (isinstance(self.terminal, tuple) and all(map(_is_line, self.terminal))):
            raise WorkbenchError(f"Terminal lines are those of curves, each with its times; got {self.terminal!r}.")

    def chosen(self, curve: Curve) -> tuple[float, ...] | None:
        """Times that were chosen for a curve; None where the rule holds."""
        return dict(self.terminal).get((curve.profile.subject, curve.profile.number))

    def with_terminal(self, curve: Curve, times: tuple[float, ...] | None) -> Choices:
        """Other times for a curve; None: by the rule."""
        there = {**dict(self.terminal), (curve.profile.subject, curve.profile.number): times}
        return replace(self, terminal=tuple((who, t) for who, t in there.items() if t is not None))


def _is_line(stated: Any) -> bool:
    match stated:
        case ((str() | int() | float(), int()), tuple() as times):
            return all(isinstance(time, float | int) and math.isfinite(time) for time in times)
    return False


def analysed(data: GroupedData, choices: Choices) -> noncompartmental.Noncompartmental:
    """The analysis.

    Raises
    ------
    WorkbenchError
        If there is nothing to analyse.
    """
    return noncompartmental.nca(
        data, trapezoids=choices.trapezoids, route=choices.route, blq=choices.blq, names=choices.names,
        terminal={key: times for key, times in choices.terminal if len(times) >= LEAST} or None,
    )  # fmt: skip


def toggled(found: noncompartmental.Noncompartmental, number: int, time: float, choices: Choices) -> Choices:
    """With a point of a curve more, or less, on the terminal line of its subject.

    Raises
    ------
    WorkbenchError
        If a line would lose its third point.
    """
    curve = found.curves[number]
    before = choices.chosen(curve)
    if before is None:
        before = curve.terminal.points if curve.terminal is not None else ()
    near = [t for t in before if abs(t - time) <= 1e-9 * max(1.0, abs(time))]
    times = tuple(sorted(t for t in before if t not in near)) if near else tuple(sorted((*before, time)))
    if len(times) < len(before) and len(times) == LEAST - 1:
        raise WorkbenchError(
            f"A terminal line goes through {LEAST} points at least: choose another point before you take this one out."
        )
    return choices.with_terminal(curve, times or None)


def drawing_of(
    found: noncompartmental.Noncompartmental, number: int, choices: Choices, units: Mapping[str, str], logarithmic: bool
) -> Drawing:
    """One curve with its terminal line; filled points are on it."""
    curve = found.curves[number]
    stated = choices.chosen(curve) or ()
    unfinished = stated if 0 < len(stated) < LEAST else ()
    time_unit, unit = units.get("time", ""), units.get("response", "")
    scale = logarithm if logarithmic else _same
    time, conc = curve.time, curve.conc
    used = _at(curve, unfinished or (curve.terminal.points if curve.terminal is not None else ()))
    x = Axis.around(f"time after dose, {time_unit}" if time_unit else "time after dose", time, zero=True,
                    hours=time_unit.lower() in ("h", "hour", "hours"))  # fmt: skip
    title = f"concentration, {unit}" if unit else "concentration"
    y = Axis.of_logarithms(title, conc) if logarithmic else Axis.around(title, conc, zero=True)
    strokes = [Stroke(time, scale(conc), "observed", dashed=True)]
    if curve.terminal is not None and not unfinished:
        ends = np.array([curve.terminal.points[0], max(float(time[-1]), curve.terminal.points[-1])])
        grid = np.linspace(ends[0], ends[1], 60)
        strokes.append(Stroke(grid, scale(curve.terminal.at(grid)), "model"))
    said = [f"{markup.short(t)} {time_unit} · {markup.short(c)} {unit}" for t, c in zip(time, conc, strict=True)]
    dots = [
        Dots(time[chosen], scale(conc[chosen]), np.full(int(chosen.sum()), NOBODY), np.flatnonzero(chosen),
             [said[i] for i in np.flatnonzero(chosen)], hollow)
        for chosen, hollow in ((~used, True), (used, False))
    ]  # fmt: skip
    table = found.table.iloc[[number]].T.reset_index().set_axis(["quantity", "value"], axis=1)
    chosen_so_far = f"{len(unfinished)} of at least {LEAST} points are chosen."
    return Drawing(
        f"nca {curve.profile.subject}", x, y, tuple(dots), tuple(strokes),
        legend=[("dot", "on the terminal line"), ("hollow", "not"), ("model", "λz")],
        sentence=chosen_so_far if unfinished else sentence_of(curve, time_unit), table=table, code=found.code,
    )  # fmt: skip


def _same(values: Array) -> Array:
    return values


def _at(curve: Curve, times: tuple[float, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which points of a curve stand at some times."""
    near = np.isclose(curve.time[:, None], np.array(times, dtype=float)[None, :], rtol=1e-9, atol=1e-12)
    return np.asarray(near.any(axis=1), dtype=bool)


def sentence_of(curve: Curve, time_unit: str) -> str:
    """The terminal line in words, or why there is none; what else was assumed."""
    line = curve.terminal
    remarks = " ".join(f"{reason[0].upper()}{reason[1:]}." for reason in (*curve.profile.remarks, *curve.reasons))
    if line is None:
        return f"No terminal line. {remarks}".strip()
    fit = f", adjusted R² {line.adjusted_r2:.4f}" if np.isfinite(line.adjusted_r2) else ""
    share = curve.found.get("AUC_%Extrap_obs", np.nan)
    beyond = f"; {share:.1f} % of AUC∞ lies beyond the last measurement" if np.isfinite(share) else ""
    half = f"{markup.short(line.half_life)} {time_unit}".strip()
    return f"Half-life {half} through {len(line.points)} points{fit}{beyond}. {remarks}".strip()
