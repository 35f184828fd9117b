"""Small designs beside a brute-force reference: what is stated of an objective, and what "converged" is worth.

The reference at given values is importance sampling with 100,000 draws a subject from all modes and the population, or
a dense quadrature where there are one or two random effects; for approximations at modes, the deepest of twenty
searches a subject. For fits by an approximation or a grid it is the best of all ends that are known, of twenty starting
points as well, judged by the same objective; for fits by draws the best of the ends of all methods that integrate,
judged by one exact objective.
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

DRAWS, JUDGING, SEARCHES, STARTS = 100_000, 20_000, 20, 20
APPROXIMATIONS = ("foce", "focei", "laplace")
MINIMISED, DRAWN = ("focei", "laplace", "quadrature"), ("importance", "saem")
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
        cells = list(row(design))
        wrong += sum(cell.endswith("✗") for cell in cells)
        rows.append([design.name, *cells])
        print(" | ".join(rows[-1]), flush=True)
    return report(rows), not wrong


def row(design: Design) -> Iterator[str]:
    """The cells of a design."""
    data = design.data()
    problem = compile(design.model, data)
    yield from _at_modes(problem)
    yield from _sums(problem)
    yield from _fits(design.model, data)


def report(rows: list[list[str]]) -> str:
    """The table, and how much of what was stated held."""
    head = ["design", *APPROXIMATIONS, "quadrature", "importance"]
    head += [f"{name} fit" for name in (*MINIMISED, *DRAWN)] + [f"{name}, {STARTS} starts" for name in MINIMISED]
    held = []
    for k, title in enumerate(head[1:], 1):
        cells = [cells[k] for cells in rows]
        claimed = [cell for cell in cells if not cell.endswith("–")]
        held.append(f"{title} {sum(not cell.endswith('✗') for cell in claimed)} of {len(claimed)}")
    about = (
        f"{len(rows)} designs. Held: {', '.join(held)}.\n\n"
        f"Approximations: stated less that at the deepest of {SEARCHES} searches a subject (at most {SAME:g}). "
        f"Sums: stated less exact, and the stated error (at most {ERRORS:g} errors, and that {LARGEST:g}). "
        f"Fits: how far the end is above the best that is known on its side of a twin (at most {NEAR:g}; by draws, "
        f"{ERRORS:g} errors, which are stated in brackets). One that does not claim to have converged is marked –.\n\n"
    )
    return about + table(head, rows)


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


def _exact(problem: Problem, draws: int = DRAWS) -> tuple[float, float]:
    """-2 log L and its standard error."""
    if problem.n_random <= 2 and not Objective(problem).cornered:
        return Integral(problem, wb.Quadrature(41), problem.x).evaluate(problem.x).ofv, 1e-6
    drawn = Integral(problem, wb.Importance(draws, seed=99), problem.x)
    return drawn.evaluate(problem.x).ofv, drawn.standard_error


def _sums(problem: Problem) -> Iterator[str]:
    exact, known = _exact(problem)
    seed = problem.n_subjects + len(problem.y)
    for options in (wb.Quadrature(), wb.Importance(3000, seed=seed)):
        integral = Integral(problem, options, problem.x)
        at = integral.evaluate(problem.x)
        error, away = _stated_error(integral.accuracy(at)), at.ofv - exact
        well = abs(away) <= ERRORS * np.hypot(error, known) and error <= LARGEST
        yield _cell(f"{away:+.4f} ({error:.2g})", well)


def _stated_error(accuracy: str) -> float:
    """The error of an OFV that a sentence on it states."""
    error = re.search(r"(?:draws, is|OFV is|differs by) (-?[\d.e+-]*\d)", accuracy)
    return max(abs(float(error.group(1))), 1e-4) if error else np.nan


def _fits(model: wb.Model, data: wb.GroupedData) -> Iterator[str]:
    once = {name: wb.fit(model, data, method=name, covariance=False) for name in (*MINIMISED, *DRAWN)}
    many = {name: _from_many(model, data, name) for name in MINIMISED}
    yield from (_above(fit, _known(fit, [*once.values(), *many[fit.method]])) for fit in list(once.values())[:3])
    ends = [*(once[name] for name in ("quadrature", *DRAWN)), many["quadrature"][0]]
    judged = [_exact(compile(fit.model, data), JUDGING) for fit in ends]
    best, known = min(judged)
    for (value, error), fit in list(zip(judged, ends, strict=True))[1:3]:
        stated, away = _stated_error(fit.accuracy), value - best
        text = f"{away:+.2f} ({stated:.2g})"
        well = away <= ERRORS * np.hypot(stated, np.hypot(known, error)) and stated <= LARGEST
        yield _cell(text, well) if fit.converged else f"{text} –"
    for name, (first, second) in many.items():
        yield _above(first, _known(first, [once[name], second]))


def _from_many(model: wb.Model, data: wb.GroupedData, name: str) -> tuple[wb.FitResult, wb.FitResult]:
    first, second = (wb.fit(model, data, method=name, covariance=False, starts=STARTS, seed=s) for s in (1, 5))
    return first, second


def _known(fit: wb.FitResult, others: list[wb.FitResult]) -> float:
    """The lowest that is known of the objective of a fit, on its side of a twin."""
    values = [fit.ofv]
    for other in others:
        if other.method == fit.method:
            values.append(other.ofv)
        elif other.status.ok:
            try:
                values.append(wb.objective(other.model, fit.data, method=fit.method))
            except wb.FitError:
                continue
    return float(np.nanmin(values))


def _above(fit: wb.FitResult, best: float) -> str:
    away, error = fit.ofv - best, _stated_error(fit.accuracy) if "Monte Carlo" in fit.accuracy else 0.0
    text = f"{away:.1e}" + (f" ({error:.2g})" if error else "")
    return _cell(text, away < NEAR + 2.0**0.5 * ERRORS * error) if fit.converged else f"{text} –"
