"""The visual predictive check, and what is below the limit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench import markup
from workbench.diagnostics import Vpc
from workbench.ui.session.board.matter import Matter, identity, number, waiting
from workbench.ui.session.drawing import Axis, Band, Dots, Drawing, Stroke, logarithm


def strata_of(matter: Matter) -> list[str]:
    return [s for s in dict.fromkeys(matter.check.table["stratum"]) if s] if matter.check is not None else []


def check(matter: Matter, option: str) -> Drawing:
    """Observed quantiles in the intervals of the simulated ones."""
    check, title = matter.check, "Visual predictive check"
    if check is None:
        return waiting(title, matter, "check")
    strata = strata_of(matter)
    table, points = check.table, check.points
    if strata:
        chosen = option if option in strata else strata[0]
        table, points = table[table["stratum"] == chosen], points[points["stratum"] == chosen]
        title = f"{title}: {chosen}"
    scale = logarithm if matter.logarithmic else identity
    strokes, bands, values = [], [], [points["y"].to_numpy(dtype=float)]
    for q, of_one in table.groupby("quantile"):
        middle = abs(number(q) - 0.5) < 1e-9
        x = of_one["x"].to_numpy(dtype=float)
        low, high, seen = (scale(of_one[name].to_numpy(dtype=float)) for name in ("lower", "upper", "observed"))
        there = np.isfinite(low) & np.isfinite(high)
        bands += [Band(x[there], low[there], high[there], int(middle))] if there.sum() > 1 else []
        strokes.append(Stroke(x, seen, "observed", dashed=not middle))
        values += [of_one[name].to_numpy(dtype=float) for name in ("lower", "upper", "observed")]
    known, cens = points["y"].to_numpy(dtype=float), points["censored"].to_numpy(dtype=bool)
    seen = np.where(cens, np.nan, known)
    x = points["x"].to_numpy(dtype=float)
    events = matter.fit.data.events
    labels_of_records = matter.fit.data.frame.index[events.row]
    record = np.flatnonzero(events.observed)[labels_of_records[events.observed].get_indexer(points.index)]
    owner = np.asarray(events.subject[record], dtype=np.int64)
    labels, unit, hours = matter.subjects, matter.unit("response"), matter.unit("time")
    said = [
        f"subject {labels[i]} · {markup.short(t)} {hours} · {markup.short(y)} {unit}"
        for i, t, y in zip(owner.tolist(), points["TIME"].tolist(), known.tolist(), strict=True)
    ]  # fmt: skip
    role = "response" if check.x == "pred" else "time"
    name = {"time": "time", "tad": "time after dose", "pred": "typical prediction"}[check.x]
    y_name = "corrected" if check.corrected else "observed"
    y_axis = Axis.of_logarithms if matter.logarithmic else Axis.around
    quantiles = ", ".join(f"{100 * q:g}" for q in check.quantiles if abs(q - 0.5) > 1e-9)
    note = " ".join(check.remarks)
    return Drawing(
        title, Axis.around(matter.titled(name, role), x, hours=role == "time" and matter.in_hours),
        y_axis(matter.titled(y_name, "response"), *values), (Dots(x, scale(seen), owner, record, said),),
        tuple(strokes), tuple(bands),
        legend=[("band 1", "median"), ("band 0", f"{quantiles} %"), ("observed", "observed")],
        sentence=f"{_verdict(check, table)} {note}".strip(), table=table, code=check.code,
    )  # fmt: skip


def _verdict(check: Vpc, table: pd.DataFrame) -> str:
    known = table.dropna(subset=["observed", "lower", "upper"])
    if not len(known):
        return "All quantiles lie among censored observations: see the shares below the limit."
    out = known[(known["observed"] < known["lower"]) | (known["observed"] > known["upper"])]
    expected, inside = (1 - check.interval) * len(known), len(known) - len(out)
    head = f"{inside} of {len(known)} observed quantiles lie in their {markup.percent(check.interval)} intervals"
    if not len(out):
        return f"{head}."
    low, high = float(out["x"].min()), float(out["x"].max())
    where = (
        f" at {markup.short(low, 3)}" if low == high else f" between {markup.short(low, 3)} and {markup.short(high, 3)}"
    )
    return f"{head} ({expected:.0f} outside expected); those outside lie{where}."


def censored(matter: Matter, option: str) -> Drawing:
    """Shares below the limit of quantification, beside those that are simulated."""
    check, title = matter.check, "Share below the limit"
    if check is None:
        return waiting(title, matter, "check")
    table = check.censored
    if not len(table):
        return Drawing.without(title, "No observation is below a limit of quantification.")
    strata = [s for s in dict.fromkeys(table["stratum"]) if s]
    if strata:
        chosen = option if option in strata else strata[0]
        table, title = table[table["stratum"] == chosen], f"{title}: {chosen}"
    x, seen, low, high = (table[name].to_numpy(dtype=float) for name in ("x", "observed", "lower", "upper"))
    out = int(((seen < low) | (seen > high)).sum())
    role = "response" if check.x == "pred" else "time"
    name = {"time": "time", "tad": "time after dose", "pred": "typical prediction"}[check.x]
    return Drawing(
        title, Axis.around(matter.titled(name, role), x, hours=role == "time" and matter.in_hours),
        Axis("share", 0.0, 1.0), strokes=(Stroke(x, seen, "observed"),),
        bands=(Band(x, low, high),) if len(x) > 1 else (), legend=[("band 0", "simulated"), ("observed", "observed")],
        sentence=f"{len(x) - out} of {len(x)} observed shares lie in their {markup.percent(check.interval)} intervals.",
        table=table, code=f"{check.code}.censored",
    )  # fmt: skip
