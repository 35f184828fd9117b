"""Observations beside predictions, and residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from workbench import markup
from workbench.diagnostics.normality import shapiro_wilk
from workbench.ui.session.board.matter import COMPUTED, Matter, identity, smooth
from workbench.ui.session.drawing import Array, Axis, Band, Drawing, Stroke, logarithm

_LIMIT = 1.96
_TABLE = "fit.table()"


def fits(matter: Matter, option: str) -> Drawing:
    """Observations over predictions, with the identity and a smooth curve."""
    dv, pred, ipred = (matter.column(name) for name in ("DV", "PRED", "IPRED"))
    scale = logarithm if matter.logarithmic else identity
    shown = {"typical": [pred], "individual": [ipred]}.get(option, [pred, ipred])
    axis = Axis.of_logarithms if matter.logarithmic else Axis.around
    every = np.concatenate([dv, *shown])
    x, y = axis(matter.titled("predicted", "response"), every), axis(matter.titled("observed", "response"), every)
    ends = np.array([x.low, x.high])
    typical = matter.dots(scale(pred), scale(dv), hollow=option != "typical")
    individual = matter.dots(scale(ipred), scale(dv))
    dots = {"typical": (typical,), "individual": (individual,)}.get(option, (typical, individual))
    legend = {"typical": [("dot", "typical")], "individual": [("dot", "individual")]}.get(
        option, [("dot", "individual"), ("hollow", "typical")]
    )
    total = float(np.nanvar(dv)) if np.isfinite(dv).any() else 0.0
    shares = [1 - float(np.nanmean((dv - f) ** 2)) / total if total > 0 else np.nan for f in (ipred, pred)]
    said = [markup.percent(max(share, 0.0)) if np.isfinite(share) else "–" for share in shares]
    return Drawing(
        "Observed and predicted", x, y, dots,
        (Stroke(ends, ends), *(smooth(d.x, d.y, dashed=d.hollow) for d in dots)),
        legend=[*legend, ("smooth", "LOWESS")],
        sentence=f"The individual curves explain {said[0]} of the variance, the typical ones {said[1]}.",
        table=matter.table[["ID", "TIME", "DV", "PRED", "IPRED"]], code=_TABLE,
    )  # fmt: skip


_OVER = {
    "time": ("TIME", "time", "time"), "time after dose": ("TAD", "time after dose", "time"),
    "prediction": ("PRED", "typical prediction", "response"),
    "individual prediction": ("IPRED", "individual prediction", "response"),
}  # fmt: skip


def errors_over(matter: Matter, what: str) -> Drawing:
    """A residual over time or prediction, with the band that holds 95 % and a smooth curve."""
    column, name, role = _OVER[what]
    x, error = matter.column(column), matter.error
    title = f"{matter.error_name} over {what}"
    if not np.isfinite(error).any():
        return Drawing.without(title, f"This fit has no {matter.error_name}.")
    axis = Axis.around(matter.titled(name, role), x, hours=role == "time" and matter.in_hours)
    ends = np.array([axis.low, axis.high])
    said = _large(error, x, name) if role == "time" else _growing(error, x)
    return Drawing(
        title, axis, Axis.around(matter.error_name, error, least=3.0), (matter.dots(x, error),),
        (Stroke(ends, np.zeros(2)), smooth(x, error)), (Band(ends, np.full(2, -_LIMIT), np.full(2, _LIMIT)),),
        legend=[("band 0", f"±{_LIMIT}"), ("smooth", "LOWESS")], sentence=said,
        table=matter.table[["ID", "TIME", *({column} - {"TIME"}), matter.error_name]], code=_code_of_errors(matter),
    )  # fmt: skip


def _code_of_errors(matter: Matter) -> str:
    return "wb.residuals(fit)" if matter.error_name in COMPUTED else _TABLE


def _large(error: Array, time: Array, name: str) -> str:
    """How many residuals are large, and where they lie."""
    far, known = np.flatnonzero(np.abs(error) > _LIMIT), np.isfinite(error)
    count, beyond = int(known.sum()), int((np.abs(error) > 3).sum())
    said = f"{len(far)} of {count} beyond ±{_LIMIT} ({0.05 * count:.0f} expected), {beyond} beyond ±3"
    if len(far) >= 5 and np.isfinite(time[far]).all():
        last = float(time[far].max())
        before = float(np.mean(time[known] <= last))
        if before < 0.6:
            return f"{said}: all of them up to {name} {markup.short(last, 3)}."
    return f"{said}."


def _growing(error: Array, pred: Array) -> str:
    """Whether residuals spread more where predictions are large."""
    known = np.isfinite(error) & np.isfinite(pred)
    if known.sum() < 5 or np.ptp(pred[known]) == 0:
        return ""
    found = stats.spearmanr(np.abs(error[known]), pred[known])
    rho, p = float(found.statistic), float(found.pvalue)
    if not np.isfinite(rho):
        return ""
    grows = "does not change" if p > 0.05 else "grows" if rho > 0 else "falls"
    return f"Their size {grows} with the prediction (ρ {markup.signed(rho, 2)}, p {markup.p_value(p)})."


def against_normal(matter: Matter, option: str) -> Drawing:
    """Ordered residuals over the quantiles of the normal distribution."""
    error, name = matter.error, matter.error_name
    title = f"{name} against the normal"
    if not np.isfinite(error).any():
        return Drawing.without(title, f"This fit has no {name}.")
    quantile = quantiles(error)
    x = Axis.around("normal quantile", quantile, least=2.0)
    ends = np.array([x.low, x.high])
    return Drawing(
        title, x, Axis.around(name, error, least=3.0), (matter.dots(quantile, error),), (Stroke(ends, ends),),
        sentence=_normality(error), table=matter.table[["ID", "TIME", name]].assign(quantile=quantile),
        code=_code_of_errors(matter),
    )  # fmt: skip


def quantiles(values: Array) -> Array:
    """Normal quantiles by rank; NaN where a value is not known."""
    known = np.isfinite(values)
    found, count = np.full(len(values), np.nan), int(known.sum())
    found[np.argsort(values, kind="stable")[:count]] = stats.norm.ppf((np.arange(count) + 0.5) / max(count, 1))
    return found


def _normality(values: Array) -> str:
    """Mean, spread and Shapiro and Wilk's test, in words."""
    x = values[np.isfinite(values)]
    if len(x) < 4:
        return "Too few to be judged."
    if np.ptp(x) == 0:
        return "All are alike."
    p = shapiro_wilk(x)
    tails = "" if p > 0.05 else ": heavy tails" if float(stats.kurtosis(x)) > 0.5 else ": not normal"
    mean, sd = markup.decimals(float(x.mean()), 2), markup.decimals(float(x.std(ddof=1)), 2)
    return f"Mean {mean}, SD {sd}; Shapiro–Wilk p {markup.p_value(p)}{tails}."


def histogram(matter: Matter, option: str) -> Drawing:
    """The density of a residual beside the standard normal one."""
    error, name = matter.error, matter.error_name
    title = f"Histogram of {name}"
    if not np.isfinite(error).any():
        return Drawing.without(title, f"This fit has no {name}.")
    return density(title, name, error, _code_of_errors(matter))


def density(title: str, name: str, values: Array, code: str) -> Drawing:
    """A histogram beside the standard normal density."""
    x = values[np.isfinite(values)]
    heights, edges = np.histogram(x, bins=max(6, min(40, round(2 * len(x) ** 0.4))), density=bool(np.ptp(x) > 0))
    reach = max(3.2, 1.05 * float(np.abs(x).max()))
    grid = np.linspace(-reach, reach, 161)
    normal = stats.norm.pdf(grid)
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "density": heights, "normal": _expected(edges)})
    return Drawing(
        title, Axis(name, -reach, reach), Axis("density", 0.0, 1.08 * float(max(heights.max(), normal.max()))),
        strokes=(Stroke(grid, normal, "expected"),), bars=((edges, heights),),
        legend=[("bar", "observed"), ("expected", "N(0, 1)")], sentence=_normality(values), table=table, code=code,
    )  # fmt: skip


def _expected(edges: Array) -> Array:
    return np.asarray(np.diff(stats.norm.cdf(edges)) / np.diff(edges))
