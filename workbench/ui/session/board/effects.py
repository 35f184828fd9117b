"""Random effects: modes, and draws that shrinkage does not fool."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from workbench import markup
from workbench.ui.session.board.errors import density, quantiles
from workbench.ui.session.board.matter import Matter, number, smooth, waiting
from workbench.ui.session.drawing import Array, Axis, Band, Dots, Drawing, Stroke

_PAIRS = 15  # figures of two random effects that are offered; of one and a covariate four times as many
_NO_EFFECTS = "The model has no random effects: subjects differ by their covariates only."


def strips(matter: Matter, option: str) -> Drawing:
    """Modes of each random effect in its standard deviations, above the distribution that is expected."""
    names = matter.effect_names
    if not names:
        return Drawing.without("Random effects, η", _NO_EFFECTS)
    values = [matter.standardised(name) for name in names]
    levels = [len(names) - 1.0 - k for k in range(len(names))]
    x = np.concatenate(values)
    y = np.repeat(levels, len(matter.subjects))
    owner = np.tile(np.arange(len(matter.subjects)), len(names))
    known = x[np.isfinite(x)]
    reach = max(2.6, 1.05 * float(np.abs(known).max())) if len(known) else 2.6
    grid = np.linspace(-reach, reach, 81)
    hump = 0.75 * stats.norm.pdf(grid) / stats.norm.pdf(0.0)
    said = [
        f"η of {name} {markup.signed(v, 2)} SD" for name, vs in zip(names, values, strict=True) for v in vs.tolist()
    ]
    shrunk = [f"{name} {markup.decimals(float(matter.fit.shrinkage['sd'][name]), 0)} %" for name in names]
    return Drawing(
        "Random effects, η", Axis("η in units of its SD", -reach, reach, np.arange(-int(reach), int(reach) + 1.0)),
        Axis("", -0.25, len(names) - 0.1, np.arange(len(names), dtype=float), list(reversed(names))),
        (matter.of_subjects(x, y, said, owner),), tuple(Stroke(grid[[0, -1]], np.full(2, level)) for level in levels),
        tuple(Band(grid, np.full(len(grid), level), level + hump) for level in levels),
        legend=[("band 0", "expected")], sentence=f"Shrinkage {', '.join(shrunk)}.",
        table=matter.fit.etas.rename_axis("subject").reset_index(), code="fit.etas",
    )  # fmt: skip


def _effect(matter: Matter, name: str) -> str:
    """What a random effect is, or the first where there is none of that name."""
    return name if name in matter.effect_names else matter.effect_names[0]


def _draws(matter: Matter, name: str) -> Array:
    """Draws of the conditional distribution of a random effect in its standard deviations, float64[K, N]."""
    assert matter.effects is not None
    k = list(matter.fit.random_effects).index(name)
    return np.asarray(matter.effects.draws[..., k] / matter.sd[k])


def effect_histogram(matter: Matter, option: str) -> Drawing:
    """Draws of one random effect, which shrinkage does not fool, beside the normal density."""
    if not matter.effect_names:
        return Drawing.without("Histogram of η", _NO_EFFECTS)
    if matter.effects is None:
        return waiting("Histogram of η", matter, "effects")
    name = _effect(matter, option)
    drawing = density(f"η of {name}, draws", f"η of {name} / ω", _draws(matter, name).ravel(), "wb.random_effects(fit)")
    line = {key: number(value) for key, value in matter.effects.table.loc[name].items()}
    drawn, mode = (markup.decimals(line[key] / line["omega"], 2) for key in ("sd_sampled", "sd"))
    said = f"SD of draws {drawn} ω, of modes {mode} ω; normal: p {markup.p_value(line['p_normal_sampled'])}."
    return replace(drawing, sentence=said)


def effect_normal(matter: Matter, option: str) -> Drawing:
    """Modes and one draw of a random effect over the quantiles of the normal distribution."""
    if not matter.effect_names:
        return Drawing.without("η against the normal", _NO_EFFECTS)
    if matter.effects is None:
        return waiting("η against the normal", matter, "effects")
    name = _effect(matter, option)
    mode, draw = matter.standardised(name), _draws(matter, name)[0]
    said = [f"η of {name} {markup.signed(v, 2)} SD" for v in mode.tolist()]
    modes = matter.of_subjects(quantiles(mode), mode, said)
    drawn = matter.of_subjects(quantiles(draw), draw, [f"one draw {markup.signed(v, 2)} SD" for v in draw.tolist()])
    x = Axis.around("normal quantile", modes.x, least=2.0)
    ends = np.array([x.low, x.high])
    p = number(matter.effects.table.loc[name, "p_normal_sampled"])
    return Drawing(
        f"η of {name} against the normal", x, Axis.around(f"η of {name} / ω", mode, draw, least=2.0),
        (_hollow(drawn), modes), (Stroke(ends, ends),), legend=[("dot", "mode"), ("hollow", "one draw")],
        sentence=f"Draws are {'not ' if p < 0.05 else ''}as normal as the model says (p {markup.p_value(p)}).",
        table=pd.DataFrame({"subject": matter.subjects, "mode": mode, "draw": draw}), code="wb.random_effects(fit)",
    )  # fmt: skip


def _hollow(dots: Dots) -> Dots:
    return Dots(dots.x, dots.y, dots.owner, dots.row, dots.names, True)


def pair_names(matter: Matter) -> list[str]:
    names = matter.effect_names
    return [f"{a} · {b}" for k, a in enumerate(names) for b in names[k + 1 :]][:_PAIRS]


def pairs(matter: Matter, option: str) -> Drawing:
    """Two random effects, with the ellipse that holds 95 % under the model."""
    names = pair_names(matter)
    if not names:
        return Drawing.without("Pairs of η", "There are no two random effects.")
    if matter.effects is None:
        return waiting("Pairs of η", matter, "effects")
    chosen = option if option in names else names[0]
    a, b = chosen.split(" · ")
    x, y = matter.standardised(a), matter.standardised(b)
    line = {key: number(value) for key, value in matter.effects.correlations.loc[f"{a}, {b}"].items()}
    rho = line["model"]
    angle = np.linspace(0, 2 * np.pi, 121)
    radius = math.sqrt(float(stats.chi2.ppf(0.95, 2)))
    ellipse = radius * np.cos(angle), radius * (rho * np.cos(angle) + math.sqrt(max(1 - rho**2, 0)) * np.sin(angle))
    said = [
        f"{a} {markup.signed(v, 2)}, {b} {markup.signed(w, 2)} SD" for v, w in zip(x.tolist(), y.tolist(), strict=True)
    ]
    drawn, modes = (markup.signed(line[key], 2) for key in ("sampled", "modes"))
    return Drawing(
        f"η of {a} and {b}", Axis.around(f"η of {a} / ω", x, ellipse[0]), Axis.around(f"η of {b} / ω", y, ellipse[1]),
        (matter.of_subjects(x, y, said),), (Stroke(*ellipse, "expected"),),
        legend=[("expected", "95 % under the model")],
        sentence=f"Correlation of draws {drawn}, of modes {modes}; the model has {markup.signed(rho, 2)} (p "
        f"{markup.p_value(line['p'])}).",
        table=pd.DataFrame({"subject": matter.subjects, a: x, b: y}), code="wb.random_effects(fit).correlations",
    )  # fmt: skip


def covariate_names(matter: Matter) -> list[str]:
    names = matter.fit.data.covariate_names
    return [f"{effect} · {name}" for name in names for effect in matter.effect_names][: 4 * _PAIRS]


def along(matter: Matter, option: str) -> Drawing:
    """A random effect along a covariate: what the model leaves of it."""
    names, title = covariate_names(matter), "η against covariates"
    if not matter.effect_names:
        return Drawing.without(title, _NO_EFFECTS)
    if not names:
        return Drawing.without(title, "The data have no covariates.")
    if matter.effects is None:
        return waiting(title, matter, "effects")
    effect, covariate = (option if option in names else names[0]).split(" · ", 1)
    events = matter.fit.data.events
    values = matter.fit.data.covariate_values((covariate,))[covariate].iloc[events.start[:-1]]
    mode, draws = matter.standardised(effect), _draws(matter, effect)
    numeric = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    levels = list(dict.fromkeys(values.dropna()))
    is_number = np.isfinite(numeric).sum() == values.notna().sum() and len(levels) > 5
    unit = matter.fit.data.units.get(covariate, "")
    label = f"{covariate}, {unit}" if unit else covariate
    said = [
        f"{covariate} {value} · η of {effect} {markup.signed(v, 2)} SD"
        for value, v in zip(values, mode.tolist(), strict=True)
    ]
    y = Axis.around(f"η of {effect} / ω", mode, least=2.0)
    known = draws[:, np.isfinite(draws).all(axis=0)]
    if is_number:
        x, axis = numeric, Axis.around(label, numeric)
        tests = [stats.pearsonr(numeric[keep := np.isfinite(numeric) & np.isfinite(one)], one[keep]) for one in draws]
        found = float(np.mean([t.statistic for t in tests]))
        p = min(1.0, 2 * float(np.median([t.pvalue for t in tests])))
        words, strokes = (
            f"Correlation of draws with {covariate} {markup.signed(found, 2)} (p {markup.p_value(p)})",
            [smooth(x, mode)],
        )
    else:
        levels = sorted(levels, key=str)[:12]
        place = {level: float(k) for k, level in enumerate(levels)}
        beside = np.random.default_rng(0).uniform(-0.15, 0.15, len(values))
        at = np.array([place.get(value, np.nan) for value in values])
        x, axis = (
            at + beside,
            Axis(label, -0.6, len(levels) - 0.4, np.arange(len(levels), dtype=float), [str(v)[:12] for v in levels]),
        )
        groups = [[one[at == k] for k in range(len(levels)) if np.isfinite(one[at == k]).sum() > 1] for one in draws]
        ps = [float(stats.f_oneway(*g).pvalue) for g in groups if len(g) > 1]
        p = min(1.0, 2 * float(np.median(ps))) if ps else math.nan
        bars = np.array([[k - 0.3, k + 0.3, np.nan] for k in range(len(levels))]).ravel()
        means = np.repeat(
            [float(np.nanmean(mode[at == k])) if (at == k).any() else np.nan for k in range(len(levels))], 3
        )
        words, strokes = (
            f"Draws differ between the values of {covariate}: p {markup.p_value(p)}",
            [Stroke(bars, means, "smooth")],
        )
    ends = np.array([axis.low, axis.high])
    modelled = covariate in matter.fit.model.columns
    note = f"; {covariate} is in the model" if modelled else ""
    few = "" if known.shape[1] >= 3 else " Too few subjects to be judged."
    return Drawing(
        f"η of {effect} against {covariate}", axis, y, (matter.of_subjects(x, mode, said),),
        (Stroke(ends, np.zeros(2)), *strokes), legend=[("smooth", "LOWESS" if is_number else "mean")],
        sentence=f"{words}{note}.{few}",
        table=pd.DataFrame({"subject": matter.subjects, covariate: values.to_numpy(), f"η of {effect} / ω": mode}),
        code="wb.random_effects(fit), wb.screen(fit)",
    )  # fmt: skip
