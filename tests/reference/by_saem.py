"""SAEM from the engine's own initial values, beside the published runs by SAEM."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

import workbench as wb
from workbench.engine.objectives.integral import Integral
from workbench.engine.problem.compile import compile

from .cases import CASES, Case, Entry
from .marginal import exact

BY_SAEM = [case for case in CASES if case.name.startswith(("monolix", "saemix"))]
OPTIONS = wb.Saem()
ELSEWHERE = {
    "monolix_warfarin_w1": (
        "The published estimates are not at the maximum. Their exact -2 log L is 657.4 ± 0.1; ours is lower, and runs "
        "with ten times the smoothing end at 656.7 ± 0.1 from three seeds, with iiv_ka from 0.89 to 0.91. 19 of 32 "
        "subjects were first seen a day after the dose, and the likelihood is nearly flat in how lag and ka vary. It "
        "is no smooth function of a subject's lag, either: 1000 draws around the mode are too few for the gradient and "
        "the Hessian of the integral here, so that the fit gives no standard errors and is not called converged."
    )
}
"""Where our estimates are others than the published ones, and why."""


@dataclass(frozen=True, eq=False)
class Compared:
    """An estimate beside the published one; `se` is the published standard error, NaN where none was."""

    name: str
    ours: float
    theirs: float
    se: float

    @property
    def share(self) -> float:
        """The difference, relative to theirs."""
        return self.ours / self.theirs - 1

    @property
    def in_se(self) -> float:
        """The difference in their standard errors."""
        return (self.ours - self.theirs) / self.se

    @property
    def agrees(self) -> bool:
        """Within 5 %, or a quarter of the published standard error."""
        return abs(self.share) < 0.05 or abs(self.in_se) < 0.25


@dataclass(frozen=True, eq=False)
class SaemFit:
    """Our run by SAEM beside the published one.

    Attributes
    ----------
    entry : Entry
        The published run.
    result : FitResult
    seconds : float
    error : float
        Monte Carlo standard error of the OFV of `result`.
    ours, theirs : (float, float)
        Exact -2 log L at our estimates and at theirs by the same means (`marginal.exact`), with their standard errors.
    estimates : list of Compared
    why : str
        Why the estimates are known to be others; "" where they are not.
    """

    entry: Entry
    result: wb.FitResult
    seconds: float
    error: float
    ours: tuple[float, float]
    theirs: tuple[float, float]
    estimates: list[Compared]
    why: str

    @property
    def here(self) -> Entry:
        """The published entry at our estimates, for -2 log L as their program states it."""
        return replace(self.entry, model=self.result.model)


@cache
def fitted(case: Case) -> SaemFit:
    """Our run of a case."""
    entry = next(case.entries())
    begun = time.perf_counter()
    result = wb.fit(entry.model.without_values(), entry.data, OPTIONS)
    seconds = time.perf_counter() - begun
    problem = compile(result.model, entry.data)
    integral = Integral(problem, OPTIONS.importance, problem.x)
    integral.evaluate(problem.x)
    return SaemFit(
        entry, result, seconds, integral.standard_error, _exact(result.model, entry), _exact(entry.model, entry),
        list(_compared(case, entry, result)), ELSEWHERE.get(case.name, ""),
    )  # fmt: skip


def _exact(model: wb.Model, entry: Entry) -> tuple[float, float]:
    values, errors = exact(model, entry.data)
    return float(values.sum()), math.sqrt(float((errors**2).sum()))


def _compared(case: Case, entry: Entry, result: wb.FitResult) -> Iterator[Compared]:
    problem = compile(entry.model, entry.data)
    theirs = problem.scale.estimates(problem.x)
    errors = published_errors(case, entry.model)
    for estimate, value in zip(result.lines, theirs.tolist(), strict=True):
        yield Compared(estimate.name, estimate.value, value, errors.get(estimate.name, math.nan))


def published_errors(case: Case, model: wb.Model) -> dict[str, float]:
    """Published standard errors by our names; saemix states those of variances, here they are of their roots."""
    expected = case.known["expected"]
    se, found = expected["se"], {}
    names = [parameter.name for parameter in model.parameters]
    if case.name.startswith("saemix"):
        deviations = np.sqrt(np.diag(expected["omega"]))
        for name, variance_error, deviation in zip(names, expected["se_omega"], deviations.tolist(), strict=True):
            found |= {name: se[name], f"iiv_{name}": variance_error / (2 * deviation)}
        return found
    for name in names:
        theirs = {"lag": "Tlag", "CL": "Cl"}.get(name, name)
        found |= {name: se[f"{theirs}_pop"], f"iiv_{name}": se[f"omega_{theirs}"]}
    return found | {name: se[name] for name in ("a", "b")}
