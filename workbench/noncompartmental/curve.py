"""What one concentration-time curve says by itself: areas, the terminal slope, the concentration at time 0.

Times are those after the dose. Everything here is arrays in, numbers out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.markup.numbers import counted

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TRAPEZOIDS = ("linear", "log", "linear-log", "lin-up/log-down")
LEAST_POINTS = 3  # of a terminal slope
_EQUALLY_GOOD = 1e-4  # of the adjusted R²: then more points are better (WinNonlin's and PKNCA's rule)


def trapezoids(time: Array, conc: Array, rule: str) -> tuple[Array, Array]:
    """Area under the curve and under its first moment (time × concentration), interval by interval.

    Parameters
    ----------
    time, conc : float64[n]
        In order of time.
    rule : str
        "linear"; "log": logarithmic wherever both ends are positive and differ; "linear-log": linear up to the
        highest concentration, logarithmic from there (WinNonlin's name); "lin-up/log-down": logarithmic where the
        concentration falls.

    Returns
    -------
    auc, aumc : float64[n - 1]
        Logarithmic ones after Gibaldi & Perrier, Pharmacokinetics (1982), appendix D:  (c1 - c2)/λ  and
        (t1 c1 - t2 c2)/λ + (c1 - c2)/λ²  with λ = log(c1/c2)/(t2 - t1).
    """
    t1, t2, c1, c2 = time[:-1], time[1:], conc[:-1], conc[1:]
    auc, aumc = 0.5 * (t2 - t1) * (c1 + c2), 0.5 * (t2 - t1) * (t1 * c1 + t2 * c2)
    logarithmic = _logarithmic(time, conc, rule)
    with np.errstate(all="ignore"):
        slope = np.log(c1 / c2) / (t2 - t1)
        by_log = (c1 - c2) / slope, (t1 * c1 - t2 * c2) / slope + (c1 - c2) / slope**2
    return np.where(logarithmic, by_log[0], auc), np.where(logarithmic, by_log[1], aumc)


def _logarithmic(time: Array, conc: Array, rule: str) -> Mask:
    c1, c2 = conc[:-1], conc[1:]
    possible = (c1 > 0) & (c2 > 0) & (np.abs(c1 - c2) > 1e-10 * np.maximum(c1, c2)) & (time[1:] > time[:-1])
    if rule == "linear" or not len(conc):
        return np.zeros(len(c1), dtype=bool)
    if rule == "lin-up/log-down":
        return possible & (c2 < c1)
    if rule == "linear-log":
        return possible & (np.arange(len(c1)) >= int(np.argmax(conc)))
    return possible


def at_time(time: Array, conc: Array, when: float, rule: str) -> float:
    """The concentration between two samples as the trapezoids have it; NaN outside of them."""
    if not len(time) or not time[0] <= when <= time[-1]:
        return float("nan")
    k = int(np.searchsorted(time, when))
    if time[k] == when:
        return float(conc[k])
    share = (when - time[k - 1]) / (time[k] - time[k - 1])
    if _logarithmic(time, conc, rule)[k - 1]:
        return float(np.exp((1.0 - share) * np.log(conc[k - 1]) + share * np.log(conc[k])))
    return float((1.0 - share) * conc[k - 1] + share * conc[k])


@dataclass(frozen=True)
class Terminal:
    """The terminal slope: log c = intercept - rate · t.

    Attributes
    ----------
    rate : float
        λz, per unit of time.
    intercept : float
    points : tuple of float
        Times of the points.
    r2, adjusted_r2, correlation : float
    """

    rate: float
    intercept: float
    points: tuple[float, ...]
    r2: float
    adjusted_r2: float
    correlation: float

    @property
    def half_life(self) -> float:
        """log 2 / λz, in units of time."""
        return float(np.log(2.0) / self.rate)

    def at(self, time: Array | float) -> Array:
        """Concentration on the line."""
        return np.asarray(np.exp(self.intercept - self.rate * np.asarray(time, dtype=float)))


def line(time: Array, conc: Array) -> Terminal:
    """The straight line through some points (two or more) of log concentration over time."""
    x, y = time - time.mean(), np.log(conc)
    sxx, sxy, syy = float(x @ x), float(x @ (y - y.mean())), float(((y - y.mean()) ** 2).sum())
    slope, n = sxy / sxx, len(time)
    r2 = sxy * sxy / (sxx * syy) if syy > 0 else float("nan")
    adjusted = 1.0 - (1.0 - r2) * (n - 1) / (n - 2) if n > 2 else float("nan")
    correlation = float(np.sign(slope) * np.sqrt(r2))
    intercept = float(y.mean() - slope * time.mean())
    return Terminal(-slope + 0.0, intercept, tuple(map(float, time)), float(r2), adjusted, correlation)


def best_terminal(time: Array, conc: Array, after: float, including: bool) -> Terminal | str:
    """The terminal slope by the best adjusted R² of the last 3, 4, … points.

    Of slopes whose adjusted R² is within 1e-4 of the best the one with most points is taken, as by WinNonlin and PKNCA.

    Parameters
    ----------
    time, conc : float64[n]
    after : float
        Points after this time count.
    including : bool
        The point at this time counts, too.

    Returns
    -------
    Terminal, or str
        Why there is none.
    """
    usable = (conc > 0) & ((time >= after) if including else (time > after))
    t, c = time[usable], conc[usable]
    if len(t) < LEAST_POINTS:
        where = "from" if including else "after"
        return f"{counted(len(t), 'measurable concentration')} {where} the highest one, {LEAST_POINTS} are needed"
    lines = [line(t[-n:], c[-n:]) for n in range(LEAST_POINTS, len(t) + 1)]
    falling = [one for one in lines if one.rate > 0 and np.isfinite(one.adjusted_r2)]
    if not falling:
        return "the last concentrations do not fall"
    best = max(one.adjusted_r2 for one in falling)
    return max((one for one in falling if one.adjusted_r2 >= best - _EQUALLY_GOOD), key=lambda one: len(one.points))


def chosen_terminal(time: Array, conc: Array, wanted: int | Sequence[float]) -> Terminal | str:
    """The terminal slope through the last so many points, between two times, or through points at stated times.

    Returns
    -------
    Terminal, or str
        Why there is none.
    """
    measurable = conc > 0
    if isinstance(wanted, int):
        use = np.zeros(len(time), dtype=bool)
        use[np.flatnonzero(measurable)[-wanted:]] = True
    elif len(wanted) == 2:
        use = measurable & (time >= min(wanted)) & (time <= max(wanted))
    else:
        near = np.isclose(time[:, None], np.asarray(wanted, dtype=float)[None, :], rtol=1e-9, atol=1e-12)
        if not near[measurable].any(axis=0).all():
            absent = ", ".join(
                f"{w:g}" for w, there in zip(wanted, near[measurable].any(axis=0), strict=True) if not there
            )
            return f"no measurable concentration at the time {absent} that was chosen"
        use = measurable & near.any(axis=1)
    if use.sum() < 2:
        return f"the choice has {counted(int(use.sum()), 'measurable concentration')}, two are needed"
    found = line(time[use], conc[use])
    return found if found.rate > 0 else "the concentrations that were chosen do not fall"


def back_extrapolated(time: Array, conc: Array) -> float:
    """C0 of a bolus: by the line through the first two concentrations if they fall, else the first of them."""
    if len(conc) > 1 and conc[0] > conc[1] > 0:
        return float(line(time[:2], conc[:2]).at(0.0))
    return float(conc[0]) if len(conc) else float("nan")
