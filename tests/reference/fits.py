"""Fits from the published values, and from those where the source's own fit began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

import workbench as wb
from workbench.engine.problem.compile import compile

from .cases import CASES, Case, Entry

NO_MINIMUM = {  # published evaluations, not fits, or fits of a likelihood that is none of the engine's
    "wang2007_ofv_table", "pheno_foce_add_eval0", "nlme_indometh_diag3", "nlme_theoph_block2", "nlme_theoph_diag2",
}  # fmt: skip
SLOW = {"wbc2_friberg_focei"}  # minutes
ELSEWHERE = {
    ("theo320_focei", "initial"): "A minimum at an edge, where Ψ is singular; from the automatic values 92.831.",
    ("wang2007_focei_prop_fit", "initial"): "A local minimum; from a smaller residual error -4.340.",
}
"""Where a search from stated values ends in another minimum than the published one, and why."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit beside the published one.

    Attributes
    ----------
    entry : Entry
        Where it started.
    published : float
        OFV of the published fit.
    result : FitResult
    away : float
        The largest difference of an estimate from the published one, relative to it, where it is not fixed and no
        correlation.
    why : str
        Why it ends elsewhere; "" where it does not.
    """

    entry: Entry
    published: float
    result: wb.FitResult
    away: float
    why: str


def fits(case: Case) -> Iterator[Fit]:
    """Fits of a case; none where there is no published minimum."""
    if case.kind != "objective" or case.name in NO_MINIMUM | SLOW:
        return
    final: Entry | None = None
    for entry in case.entries():
        final = entry if "initial" not in entry.label else final
        assert final is not None
        result = fitted(entry)
        problem = compile(final.model, final.data)
        theirs = problem.scale.estimates(problem.x)
        of_interest = np.array([not e.fixed and e.kind != "correlation" for e in result.lines])
        ours = np.array([e.value for e in result.lines])
        away = float(np.abs(ours[of_interest] / theirs[of_interest] - 1).max())
        yield Fit(entry, final.published, result, away, ELSEWHERE.get((case.name, entry.label), ""))


@cache
def fitted(entry: Entry) -> wb.FitResult:
    """The fit from where an entry is."""
    return wb.fit(entry.model, entry.data, entry.method, covariance=False)  # type: ignore[arg-type]


def with_fit() -> list[Fit]:
    """Fits of all cases."""
    return [fit for case in CASES for fit in fits(case)]
