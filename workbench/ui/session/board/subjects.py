"""Subjects by what they add to the objective and by how much they move the estimates; how estimates go together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench import markup
from workbench.errors import FitError
from workbench.screening import compare
from workbench.ui.session.board.matter import Matter, number, waiting
from workbench.ui.session.drawing import NOBODY, Array, Axis, Dots, Drawing, Stroke

_LABELLED = 16  # subjects that are named on an axis
_PAIRS = 9  # of estimates, the most correlated ones


def _ranked(matter: Matter, title: str, name: str, values: Array, said: str, code: str) -> Drawing:
    """A value of each subject, the largest first."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    rank = np.empty(len(values))
    rank[order] = np.arange(1, len(values) + 1)
    labels = [str(label)[:6] for label in matter.subjects]
    x = Axis.around("subjects, by rank", rank)
    if len(values) <= _LABELLED:
        x = Axis(
            "subject", 0.4, len(values) + 0.6, np.arange(1.0, len(values) + 1), [labels[i] for i in order.tolist()]
        )
    ends = np.array([x.low, x.high])
    words = [f"{name} {markup.short(v)}" for v in values.tolist()]
    return Drawing(
        title, x, Axis.around(name, values, np.zeros(1)), (matter.of_subjects(rank, values, words),),
        (Stroke(ends, np.zeros(2)),), sentence=said,
        table=pd.DataFrame({"subject": matter.subjects, name: values}).iloc[order], code=code,
    )  # fmt: skip


def objective(matter: Matter, option: str) -> Drawing:
    """What each subject adds to the OFV."""
    values = np.asarray(matter.fit.subject_ofv, dtype=float)
    if len(values) != len(matter.subjects) or not np.isfinite(values).any():
        return Drawing.without("OFV by subject", "This fit has no objective by subject.")
    first, half = int(np.nanargmax(values)), float(np.nanmedian(values))
    most = markup.short(float(values[first]))
    said = f"Subject {matter.subjects[first]} adds most, {most}; the median is {markup.short(half)}."
    return _ranked(matter, "OFV by subject", "OFV", values, said, "fit.subject_ofv")


def rivals(matter: Matter) -> list[str]:
    here = set(matter.subjects)
    return [
        f"run {other.number}" for other in matter.others
        if other.number != matter.run.number and other.method == matter.run.method
        and here & set(other.data.events.subjects)
    ]  # fmt: skip


def change(matter: Matter, option: str) -> Drawing:
    """What each subject adds to the OFV of this run more than to that of another one."""
    title, names = "Change of the OFV by subject", rivals(matter)
    if not names:
        return Drawing.without(title, "There is no other run by the same method of the same subjects.")
    chosen = option if option in names else names[-1]
    other = next(run for run in matter.others if f"run {run.number}" == chosen)
    try:
        table = compare(other.fit, matter.fit, names=["other", "this"]).by_subject
    except FitError as error:
        return Drawing.without(title, str(error))
    values = table["Δ this"].reindex(matter.subjects).to_numpy(dtype=float)
    better, most = int((values < 0).sum()), int(np.nanargmax(np.abs(values)))
    said = (
        f"{markup.signed(float(np.nansum(values)), 2)} in all beside {chosen}; better in {better} of {len(values)} "
        f"subjects, {markup.signed(float(values[most]), 2)} in subject {matter.subjects[most]}."
    )
    return _ranked(matter, f"OFV by subject, less {chosen}", "ΔOFV", values, said, "wb.compare(other, fit).by_subject")


def influence(matter: Matter, option: str) -> Drawing:
    """Cook's distance of each subject by one Newton step, over the fall of the OFV of the others."""
    found, title = matter.influence, "Influence"
    if found is None:
        return waiting(title, matter, "influence")
    cook = np.asarray(found.cook, dtype=float)
    if not np.isfinite(cook).any():
        return Drawing.without(title, found.sentence)
    words = [f"Cook's distance {markup.short(c)}" for c in cook.tolist()]
    return Drawing(
        title, Axis.around("ΔOFV of the others", found.delta_ofv, zero=True),
        Axis.around("Cook's distance", cook, zero=True),
        (matter.of_subjects(np.asarray(found.delta_ofv, dtype=float), cook, words),), sentence=found.sentence,
        table=found.table.reset_index(), code="wb.influence(fit, refit=False)",
    )  # fmt: skip


def correlation(matter: Matter, option: str) -> Drawing:
    """Pairs of estimates by the correlation of their uncertainty."""
    title, fit = "Correlation of estimates", matter.fit
    if fit.correlation is None:
        return Drawing.without(title, f"The estimates have no covariance. {fit.se_reason}".strip())
    matrix = fit.correlation
    names = list(matrix.columns)
    pairs = [(a, b, number(matrix.iloc[i, j])) for i, a in enumerate(names) for j, b in enumerate(names) if i < j]
    pairs = sorted((p for p in pairs if math.isfinite(p[2])), key=lambda p: -abs(p[2]))[:_PAIRS]
    if not pairs:
        return Drawing.without(title, "There are no two estimates.")
    y = np.arange(len(pairs), dtype=float)[::-1]
    x = np.array([p[2] for p in pairs])
    said = [f"{a} and {b}: {markup.signed(r, 2)}" for a, b, r in pairs]
    nobody = np.full(len(x), NOBODY)
    a, b, r = pairs[0]
    return Drawing(
        title, Axis("correlation", -1.05, 1.05, np.array([-1.0, -0.5, 0.0, 0.5, 1.0])),
        Axis("", -0.7, len(pairs) - 0.3, y, [markup.cut(f"{p[0]} · {p[1]}", 21) for p in pairs]),
        (Dots(x, y, nobody, nobody, said),), (Stroke(np.zeros(2), np.array([-0.7, len(pairs) - 0.3])),),
        sentence=f"The largest is that of {a} and {b}, {markup.signed(r, 2)}.",
        table=matrix.reset_index(), code="fit.correlation",
    )  # fmt: skip
