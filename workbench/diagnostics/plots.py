"""Diagnostic figures for print, by matplotlib: white ground, one blue, one red, greys; units on the axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.markup.printed import COLOURS, figure_class, in_unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

(BLUE, RED), GREY, LIGHT = COLOURS[:2], "#6b7280", "#d8dee6"
_SMALL = 8
_BAND = 0.28


def blank(rows: int, columns: int, width: float = 3.4, height: float = 2.7) -> tuple[Figure, list[Axes]]:
    """A figure with panels.

    Raises
    ------
    WorkbenchError
        If matplotlib is not installed.
    """
    figure = figure_class()(figsize=(width * columns, height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels:
        panel.tick_params(labelsize=_SMALL - 1, color=GREY)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    return figure, panels


def labelled(panel: Axes, x: str, y: str, title: str = "") -> None:
    """Names of the axes, and a title."""
    panel.set_xlabel(x, fontsize=_SMALL)
    panel.set_ylabel(y, fontsize=_SMALL)
    if title:
        panel.set_title(title, fontsize=_SMALL)


def with_unit(name: str, unit: str | None) -> str:
    """A name and its unit in brackets."""
    return f"{name}{in_unit(unit)}"


def dots(panel: Axes, x: Array, y: Array) -> None:
    """Observations."""
    panel.plot(x, y, "o", color=BLUE, markersize=3, alpha=0.6, markeredgewidth=0)


def smooth(panel: Axes, x: Array, y: Array) -> None:
    """A local regression through what is finite (LOWESS, Cleveland 1979, J Am Stat Assoc 74:829)."""
    from statsmodels.nonparametric.smoothers_lowess import lowess

    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() > 5 and np.ptp(x[known]) > 0:
        line = lowess(y[known], x[known], frac=2 / 3, delta=0.01 * float(np.ptp(x[known])))
        panel.plot(line[:, 0], line[:, 1], color=RED, linewidth=1.4)


def quantile_plot(panel: Axes, errors: Array, name: str) -> None:
    """Ordered errors over the quantiles of the standard normal distribution."""
    from scipy.special import ndtri

    x = np.sort(errors[np.isfinite(errors)])
    theirs = ndtri((np.arange(len(x)) + 0.5) / max(len(x), 1))
    dots(panel, theirs, x)
    if len(x):
        panel.plot(theirs[[0, -1]], theirs[[0, -1]], color=GREY, linewidth=1)
    labelled(panel, "quantiles of N(0, 1)", name)


def histogram(panel: Axes, errors: Array, name: str) -> None:
    """Their density beside that of the standard normal distribution."""
    x = errors[np.isfinite(errors)]
    panel.hist(x, bins=max(5, round(math.sqrt(len(x)))), density=True, color=LIGHT, edgecolor="white")
    grid = np.linspace(-4, 4, 161)
    panel.plot(grid, np.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi), color=RED, linewidth=1.2)
    labelled(panel, name, "density")


def errors_over(panel: Axes, x: Array, errors: Array, x_name: str, name: str) -> None:
    """Standardised errors over something, with ±1.96 and a smooth line."""
    dots(panel, x, errors)
    for level, style in ((0.0, "-"), (1.96, ":"), (-1.96, ":")):
        panel.axhline(level, color=GREY, linewidth=0.8, linestyle=style)
    smooth(panel, x, errors)
    labelled(panel, x_name, name)


def npde_figure(errors: Array, time: Array, predicted: Array, units: Mapping[str, str]) -> Figure:
    """Quantiles, histogram, over time, over the mean of the predicted distribution."""
    figure, panels = blank(2, 2)
    quantile_plot(panels[0], errors, "npde")
    histogram(panels[1], errors, "npde")
    errors_over(panels[2], time, errors, with_unit("time", units.get("time")), "npde")
    errors_over(panels[3], predicted, errors, with_unit("predicted mean", units.get("response")), "npde")
    return figure


def vpc_figure(
    table: pd.DataFrame, censored: pd.DataFrame, points: pd.DataFrame, x_name: str, y_name: str, log: bool
) -> Figure:
    """Observations, observed quantiles, and the intervals of the simulated ones; see `Vpc` for the tables."""
    strata = list(dict.fromkeys(table["stratum"]))
    columns = min(len(strata), 3)
    some = len(censored) > 0
    rows = math.ceil(len(strata) / columns)
    figure, panels = blank(rows * (2 if some else 1), columns, 4.2, 3.0)
    for k, stratum in enumerate(strata):
        panel = panels[k]
        seen = points[(points["stratum"] == stratum) & ~points["censored"].astype(bool)]
        panel.plot(seen["x"], seen["y"], "o", color=GREY, markersize=2.5, alpha=0.45, markeredgewidth=0)
        for q, of_one in table[table["stratum"] == stratum].groupby("quantile"):
            middle = abs(float(q) - 0.5) < 1e-9
            colour = RED if middle else BLUE
            x = of_one["x"].to_numpy()
            panel.fill_between(x, of_one["lower"], of_one["upper"], color=colour, alpha=_BAND, linewidth=0)
            panel.plot(x, of_one["observed"], color=colour, linewidth=1.4, linestyle="-" if middle else "--")
        if log:
            panel.set_yscale("log")
        labelled(panel, x_name, y_name, stratum)
        if some:
            _censored(panels[rows * columns + k], censored[censored["stratum"] == stratum], x_name)
    for panel in [*panels[len(strata) : rows * columns], *panels[rows * columns + len(strata) :]]:
        panel.set_visible(False)
    return figure


def goodness_figure(table: pd.DataFrame, residual: str, units: Mapping[str, str]) -> Figure:
    """Observed over both predictions, residuals over time and prediction, quantiles, histogram."""
    figure, panels = blank(2, 3)
    observed, response = table["DV"].to_numpy(dtype=float), units.get("response")
    for panel, name, title in (
        (panels[0], "PRED", "typical prediction"),
        (panels[1], "IPRED", "individual prediction"),
    ):
        x = table[name].to_numpy(dtype=float)
        dots(panel, x, observed)
        known = np.isfinite(x) & np.isfinite(observed)
        if known.any():
            ends = [min(x[known].min(), observed[known].min()), max(x[known].max(), observed[known].max())]
            panel.plot(ends, ends, color=GREY, linewidth=1)
        smooth(panel, x, observed)
        labelled(panel, with_unit(title, response), with_unit("observed", response))
    errors = table[residual].to_numpy(dtype=float)
    quantile_plot(panels[2], errors, residual)
    for panel, name, title, unit in (
        (panels[3], "TIME", "time", units.get("time")),
        (panels[4], "PRED", "typical prediction", response),
    ):
        errors_over(panel, table[name].to_numpy(dtype=float), errors, with_unit(title, unit), residual)
    histogram(panels[5], errors, residual)
    return figure


def effects_figure(names: Sequence[str], draws: Array, sd: Array) -> Figure:
    """Draws of each random effect in its own standard deviations: histogram and quantiles."""
    figure, panels = blank(2, max(len(names), 1))
    for k, name in enumerate(names):
        if sd[k] > 0:
            histogram(panels[k], draws[..., k].ravel() / sd[k], f"η of {name} / ω")
            quantile_plot(panels[len(names) + k], draws[0, :, k] / sd[k], f"η of {name} / ω, one draw")
    return figure


def influence_figure(names: Sequence[str], cook: Array, other: Array, other_name: str) -> Figure:
    """Groups by Cook's distance and something else; the far ones named."""
    figure, (panel,) = blank(1, 1, 4.2, 3.4)
    dots(panel, other, cook)
    for k in np.argsort(-np.nan_to_num(cook, nan=-1.0))[:8]:
        if np.isfinite(cook[k]) and np.isfinite(other[k]):
            at = (float(other[k]), float(cook[k]))
            panel.annotate(names[k], at, fontsize=_SMALL - 1, xytext=(3, 3), textcoords="offset points")
    labelled(panel, other_name, "Cook's distance")
    return figure


def _censored(panel: Axes, shares: pd.DataFrame, x_name: str) -> None:
    x = shares["x"].to_numpy()
    panel.fill_between(x, shares["lower"], shares["upper"], color=BLUE, alpha=_BAND, linewidth=0)
    panel.plot(x, shares["observed"], color=BLUE, linewidth=1.4)
    panel.set_ylim(0, 1)
    labelled(panel, x_name, "share below the limit")
