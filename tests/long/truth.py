"""Small designs beside a brute-force reference: what is stated of an objective, and what "converged" is worth.

The reference at given values is importance sampling with 100,000 draws a subject from all modes and the population, or
a dense quadrature where there are one or two random effects; for approximations at modes, the deepest of twenty
searches a subject. For fits it is the best of several starting points, judged by the same objective.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

import workbench as wb
from tests.reference.results import table
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem

DRAWS, SEARCHES, STARTS = 100_000, 20, 8
APPROXIMATIONS = ("foce", "focei", "laplace")
SAME, NEAR, ERRORS, LARGEST = 1e-3, 1e-2, 3.0, 0.5
DENSE = np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 4, 6, 8, 12, 24.0])
SPARSE = np.array([1, 4, 12.0])


@dataclass(frozen=True)
class Design:
    """A model, at the values that the data are simulated with, and who is observed when."""

    name: str
    model: wb.Model
    subjects: int
    times: np.ndarray
    rate: float = 0.0
    occasions: int = 1
    limit: float = 0.0
    seed: int = 1

    def data(self) -> wb.GroupedData:
        rows = []
        for subject in range(1, self.subjects + 1):
            for occasion in range(1, self.occasions + 1):
                begin = 48.0 * (occasion - 1)
                if self.model.structure.needs_dose:
                    rows.append((subject, begin, 1, 100.0, self.rate, occasion, 0.0))
                rows += [(subject, begin + t, 0, 0.0, 0.0, occasion, 0.0) for t in self.times]
        frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "RATE", "OCC", "DV"])
        if not self.rate:
            frame = frame.drop(columns="RATE")
        if self.occasions == 1:
            frame = frame.drop(columns="OCC")
        if not self.model.structure.needs_dose:
            frame = frame.drop(columns=["EVID", "AMT"])
        seen = frame["EVID"] == 0 if "EVID" in frame else np.ones(len(frame), dtype=bool)
        plain = self.model.with_blq("M1")
        frame.loc[seen, "DV"] = wb.simulate(plain, wb.read_data(frame), seed=self.seed)["DV"].to_numpy()
        if self.limit:
            frame["CENS"] = (seen & (frame["DV"] < self.limit)).astype(int)
            frame.loc[frame["CENS"] == 1, "DV"] = self.limit
        return wb.read_data(frame)


def _p(name: str, value: float, iiv: float | None = None, **more: object) -> wb.Parameter:
    return wb.Parameter(name, value, iiv=iiv, **more)


ORAL = [_p("ka", 1.5, 0.5), _p("CL", 3.0, 0.3), _p("V", 30.0, 0.2)]
LAGGED = wb.Model(
    wb.pk(absorption="first-order", lag=True), [*ORAL, _p("lag", 0.6, 0.4)], error=wb.Combined2(0.05, 0.1)
)
KINDS: dict[str, tuple[wb.Model, dict[str, object]]] = {
    "oral, dense": (wb.Model(wb.pk(absorption="first-order"), ORAL, error=wb.Combined2(0.05, 0.1)), {}),
    "oral, proportional": (wb.Model(wb.pk(absorption="first-order"), ORAL, error=wb.Proportional(0.1)), {}),
    "oral, sparse": (wb.Model(wb.pk(absorption="first-order"), ORAL, error=wb.Proportional(0.15)), {"times": SPARSE}),
    "oral, lag": (LAGGED, {}),
    "bolus, two compartments": (
        wb.Model(
            wb.pk(2), [_p("CL", 3.0, 0.3), _p("V1", 10.0, 0.2), _p("Q", 5.0), _p("V2", 30.0)],
            error=wb.Proportional(0.1),
        ),
        {},
    ),
    "infusion": (wb.Model(wb.pk(), [_p("CL", 3.0, 0.4), _p("V", 30.0, 0.3)], error=wb.Constant(0.1)), {"rate": 50.0}),
    "zero order, Tk0": (
        wb.Model(
            wb.pk(absorption="zero-order"), [_p("Tk0", 1.7, 0.4), _p("CL", 3.0, 0.3), _p("V", 30.0, 0.2)],
            error=wb.Combined2(0.05, 0.1),
        ),
        {},
    ),
    "occasions": (
        wb.Model(wb.pk(), [_p("CL", 3.0, 0.3, iov=0.2), _p("V", 30.0, 0.2)], error=wb.Proportional(0.1)),
        {"occasions": 2, "times": np.array([0.5, 2, 6, 12, 24.0])},
    ),
    "censored, M3": (
        wb.Model(wb.pk(), [_p("CL", 3.0, 0.4), _p("V", 30.0, 0.2)], error=wb.Combined2(0.05, 0.1)).with_blq("M3"),
        {"limit": 0.5},
    ),
    "Emax": (
        wb.Model(
            wb.equation("E0 + Emax*t/(t50 + t)"), [_p("E0", 5.0, 0.2), _p("Emax", 20.0, 0.3), _p("t50", 3.0, 0.4)],
            error=wb.Constant(0.7),
        ),
        {},
    ),
    "growth": (
        wb.Model(
            wb.equation("Asym/(1 + exp(-(t - xmid)/scal))"),
            [_p("Asym", 190.0, 0.2), _p("xmid", 7.0, 0.2), _p("scal", 3.0)], error=wb.Constant(6.0),
        ),
        {},
    ),
}  # fmt: skip
SIZES = (6, 12, 24, 60)


def designs(share: float) -> Iterator[Design]:
    """All kinds in several sizes; of a share, the first of each kind before the second of any."""
    found = [
        Design(f"{name}, {size} subjects", model, size, **{"times": DENSE, "seed": 10 * k + 1, **more})  # type: ignore[arg-type]
        for k, size in enumerate(SIZES)
        for name, (model, more) in KINDS.items()
    ]
    yield from found[: max(3, round(share * len(found)))]


def run(share: float) -> tuple[str, bool]:
    """Each design beside its reference, and whether all that was stated held."""
    rows, wrong = [], 0
    for design in designs(share):
        data = design.data()
        problem = compile(design.model, data)
        cells = [*_at_modes(problem), *_sums(problem), *_fits(design.model, data)]
        wrong += sum(cell.endswith("✗") for cell in cells)
        rows.append([design.name, *cells])
    head = ["design", *APPROXIMATIONS, "quadrature", "importance", "focei fit", "importance fit"]
    about = (
        f"{len(rows)} designs; {wrong} statements did not hold (✗).\n\n"
        f"Approximations: stated less that at the deepest of {SEARCHES} searches a subject (at most {SAME:g}). "
        f"Sums: stated less exact, and the stated error (at most {ERRORS:g} errors, and that {LARGEST:g}). "
        f"Fits: above the best of {STARTS} starts (at most {NEAR:g}), or from that with another seed (three errors); "
        "one that does not claim to have converged is marked –.\n\n"
    )
    return about + table(head, rows), not wrong


def _cell(text: str, well: bool) -> str:
    return text if well else f"{text} ✗"


def _at_modes(problem: Problem) -> Iterator[str]:
    for name in APPROXIMATIONS:
        target = Objective(problem, name)
        stated = target.evaluate(problem.x)
        rng = np.random.default_rng(3)
        depth, ofv = stated.depth.copy(), stated.by_subject.copy()
        for _ in range(SEARCHES):
            found = target.evaluate(problem.x, rng.standard_normal(stated.zeta.shape))
            deeper = np.isfinite(found.by_subject) & ~(found.depth > depth - 1e-6)
            depth[deeper], ofv[deeper] = found.depth[deeper], found.by_subject[deeper]
        away = stated.ofv - float(ofv.sum())
        yield _cell(f"{away:.1e}", abs(away) < SAME)


def _exact(problem: Problem) -> tuple[float, float]:
    if problem.n_random <= 2 and not len(Objective(problem)._scan.moving):
        return Integral(problem, wb.Quadrature(41), problem.x).evaluate(problem.x).ofv, 1e-6
    draws = Integral(problem, wb.Importance(DRAWS, seed=99), problem.x)
    draws.adapt(problem.x)
    return draws.evaluate(problem.x).ofv, draws.standard_error


def _sums(problem: Problem) -> Iterator[str]:
    exact, known = _exact(problem)
    grid = Integral(problem, wb.Quadrature(), problem.x)
    at = grid.evaluate(problem.x)
    change = re.search(r"differs by (\S+)\.$", grid.accuracy(at))
    error = max(abs(float(change.group(1))) if change else np.nan, 1e-4)
    away = at.ofv - exact
    yield _cell(f"{away:+.4f} ({error:.1g})", not abs(away) > ERRORS * np.hypot(error, known))
    draws = Integral(problem, wb.Importance(3000), problem.x)
    draws.adapt(problem.x)
    away = draws.evaluate(problem.x).ofv - exact
    error = draws.standard_error
    yield _cell(f"{away:+.3f} ({error:.2g})", abs(away) <= ERRORS * np.hypot(error, known) and error <= LARGEST)


def _fits(model: wb.Model, data: wb.GroupedData) -> Iterator[str]:
    fit = wb.fit(model, data, covariance=False)
    best = min(fit.ofv, wb.fit(model, data, covariance=False, starts=STARTS, seed=5).ofv)
    away = fit.ofv - best
    yield _cell(f"{away:.1e}", away < NEAR) if fit.converged else f"{away:.1e} –"
    drawn = wb.fit(model, data, method="importance", covariance=False)
    error = float(re.findall(r"draws, is ([\d.e+-]+\d)", drawn.accuracy)[0])
    again = wb.fit(model, data, method=wb.Importance(seed=11), covariance=False)
    away = drawn.ofv - again.ofv
    yield _cell(f"{away:+.2f} ({error:.2g})", abs(away) < ERRORS * 1.5 * error) if drawn.converged else f"{away:+.2f} –"
