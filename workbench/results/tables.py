"""The tables of a fit that people read: rows of text from its estimates, in the terminal, a notebook and the panels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench import markup

Array = NDArray[np.float64]

_LARGE = 100.0  # per cent: a standard error as large as the estimate
_WIDE = 1000.0  # upper over lower end of an interval
HEAD = ("", "estimate", "SE", "RSE %", "95 % interval", "shrinkage %", "unit")


class Estimate(NamedTuple):
    """One line of the table of estimates, on the natural scale.

    `se` is NaN where it could not be computed (the reason is `FitResult.se_reason`) or the value is fixed.
    """

    name: str
    value: float
    se: float
    lower: float
    upper: float
    fixed: bool
    kind: str

    @property
    def rse(self) -> float:
        """Standard error in per cent of the estimate; NaN where there is none."""
        return abs(100 * self.se / self.value) if self.value else math.nan

    @property
    def doubt(self) -> str:
        """Why it is hardly known, in a few words; empty where it is, or where it may as well be 0 (a correlation)."""
        if self.fixed or not math.isfinite(self.se) or self.kind == "correlation":
            return ""
        if self.rse > _LARGE:
            return f"RSE {self.rse:.0f} %"
        if self.lower > 0 and self.upper > _WIDE * self.lower:
            return f"95 % interval {markup.short(self.lower)} to {markup.short(self.upper)}"
        return ""


def doubts(lines: Iterable[Estimate]) -> str:
    """A sentence on estimates that are hardly known: RSE above 100 %, or an interval over three decades."""
    found = [f"{line.name} ({line.doubt})" for line in lines if line.doubt]
    return f"The data hardly determine {', '.join(found)}." if found else ""


class Numbers(NamedTuple):
    """How the numbers of a table are written: estimates, and what says how exact they are."""

    value: Callable[[float], str]
    error: Callable[[float], str]


PLAIN = Numbers(markup.short, markup.short)  # in signs that can be typed again
CALM = Numbers(markup.number, partial(markup.number, digits=3))  # columns of equal width


def estimate_rows(
    lines: Iterable[Estimate], shrinkage: Mapping[Any, float], units: Mapping[str, str], numbers: Numbers = PLAIN
) -> list[tuple[str, ...]]:
    """The table of estimates: its head, then a row for each; without a column of units where there is none.

    Parameters
    ----------
    lines : iterable of Estimate
    shrinkage : mapping
        Of the standard deviation of η, in per cent, by the name of its parameter.
    units : mapping
        By the name of the estimate.
    numbers : Numbers
    """
    rows: list[tuple[str, ...]] = [HEAD]
    for e in lines:
        shrunk = shrinkage.get(e.name.removeprefix("iiv_"), math.nan) if e.kind == "iiv" else math.nan
        rows.append(
            (
                e.name,
                numbers.value(e.value),
                "fixed" if e.fixed else numbers.error(e.se),
                markup.relative(e.se, e.value),
                f"{numbers.error(e.lower)} … {numbers.error(e.upper)}" if math.isfinite(e.se) else "",
                markup.decimals(shrunk, 1, none=""),
                units.get(e.name, ""),
            )
        )
    return rows if any(row[-1] for row in rows[1:]) else [row[:-1] for row in rows]


def whitened(residual: Array, slope: Array, variance: Array, owner: NDArray[np.int64]) -> Array:
    """Residuals from a linear mixed model, free of correlation and with a variance of 1; NaN stays, and is left out.

    Parameters
    ----------
    residual : float64[n]
    slope : float64[n, Q]
        G of the linear model E + G ζ, ζ ~ N(0, I).
    variance : float64[n]
        Of the residual error.
    owner : int64[n]
        Index of the subject; the records of a subject follow one another.

    Returns
    -------
    float64[n]
    """
    found = np.full_like(residual, np.nan)
    for subject in np.split(np.arange(len(residual)), np.flatnonzero(np.diff(owner)) + 1):
        at = subject[np.isfinite(residual[subject])]
        G = slope[at]
        values, vectors = np.linalg.eigh(G @ G.T + np.diag(variance[at]))
        deviations = np.sqrt(np.where(values > 0, values, np.nan))  # none where the residual error vanished
        found[at] = vectors @ ((vectors.T @ residual[at]) / deviations)
    return found
