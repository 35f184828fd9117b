"""Covariate effects as a forest plot in HTML: it follows the width of the panel, and texts cannot overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from workbench import markup

BAND = (0.8, 1.25)
_TICKS = (1.0, *BAND, 0.5, 2.0, 0.1, 10.0, 0.2, 5.0, 0.01, 100.0, 0.001, 1000.0)  # the first ones matter most
_APART = 9.0  # per cent of the width between two labels
_LIMIT = 1000.0  # ratios beyond it leave the axis


def forest_plot(effects: pd.DataFrame) -> str:
    """Ratios with their intervals on a logarithmic axis, the band of 0.8 to 1.25, and a line at 1.

    Parameters
    ----------
    effects : DataFrame
        As `workbench.forest` gives it.
    """
    ratios = effects[["ratio", "lower", "upper"]].to_numpy(dtype=float)
    known = ratios[[[math.isfinite(v) and 1 / _LIMIT <= v <= _LIMIT for v in line] for line in ratios.tolist()]]
    ends = [math.log(v) for v in (*known.ravel().tolist(), 0.7, 1.4)]
    pad = 0.04 * (max(ends) - min(ends))
    low, high = min(ends) - pad, max(ends) + pad

    def at(ratio: float) -> float:
        return 100 * (min(max(math.log(ratio), low), high) - low) / (high - low)

    band = f"<rect x='{at(BAND[0]):.2f}%' y='0' width='{at(BAND[1]) - at(BAND[0]):.2f}%' height='100%'/>"
    one = f"<line class='wb-one' x1='{at(1):.2f}%' x2='{at(1):.2f}%' y1='0' y2='100%'/>"
    rows, before = [], None
    for line in effects.itertuples():
        effect = f"{line.parameter} ~ {line.covariate}"
        title = f"<b class='wb-cut' title='{markup.escaped(effect)}'>{markup.escaped(effect)}</b>"
        title = title if effect != before else "<b></b>"
        before = effect
        value = f"{line.value:.4g}" if isinstance(line.value, int | float) else str(line.value)
        where = value if line.at == "level" else f"{value} ({line.at})"
        mark, said = "", markup.number(line.ratio, 3)
        if math.isfinite(line.lower) and math.isfinite(line.upper) and line.lower > 0:
            mark = f"<line x1='{at(line.lower):.2f}%' x2='{at(line.upper):.2f}%' y1='50%' y2='50%'/>"
            said += f" ({markup.number(line.lower, 3)} … {markup.number(line.upper, 3)})"
        if math.isfinite(line.ratio) and line.ratio > 0:
            mark += f"<circle cx='{at(line.ratio):.2f}%' cy='50%' r='4'/>"
        verdict = f" class='wb-{line.verdict}'" if line.verdict in ("inside", "outside", "open") else ""
        rows.append(
            f"{title}<span class='wb-cut' title='{markup.escaped(where)}'>{markup.escaped(where)}</span>"
            f"<svg{verdict} role='img' aria-label='{markup.escaped(f'{effect} at {where}: {said}')}'>{band}{one}{mark}"
            f"</svg><span>{markup.escaped(said)}</span>"
        )
    shown = _spaced([(tick, at(tick)) for tick in _TICKS if low <= math.log(tick) <= high])
    texts = "".join(f"<text x='{at(tick):.2f}%' y='13'>{tick:g}</text>" for tick in shown)
    marks = "".join(f"<line x1='{at(t):.2f}%' x2='{at(t):.2f}%' y1='0' y2='3'/>" for t in shown)
    axis = f"<b></b><span></span><svg class='wb-scale' aria-hidden='true'>{marks}{texts}</svg><span></span>"
    return f"<div class='wb-forest'>{''.join(rows)}{axis}</div>"


def _spaced(ticks: Sequence[tuple[float, float]]) -> list[float]:
    """Of ticks and their places, those that do not stand too near to earlier ones."""
    kept: list[tuple[float, float]] = []
    for tick, place in ticks:
        if all(abs(place - other) >= _APART for _, other in kept):
            kept.append((tick, place))
    return [tick for tick, _ in kept]
