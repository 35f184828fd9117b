"""Ours beside theirs: `python -m tests.reference.results` writes RESULTS.md beside this file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile

from .by_saem import BY_SAEM, fitted
from .cases import CASES, DIGITS, Case, Entry
from .dosing import scenarios
from .fits import with_fit
from .marginal import LOG_2PI, exact, linearised
from .material import HERE
from .material import individuals as printed


def evaluated(entry: Entry) -> float:
    """Our number for an entry; not a number where the engine cannot compute it."""
    if entry.kind == "linearised":
        return float(linearised(entry.model, entry.data).sum())
    if entry.kind == "exact":
        return float(exact(entry.model, entry.data)[0].sum())
    return objective(entry, entry.method)


def objective(entry: Entry, method: str) -> float:
    """Our objective by some method, with n·log 2π where theirs has it."""
    try:
        value: float = wb.objective(entry.model, entry.data, method=method)
    except wb.FitError:
        return math.nan
    return value + (int(entry.data.events.observed.sum()) * LOG_2PI if entry.constant else 0.0)


@dataclass(frozen=True, eq=False)
class Individuals:
    """Random effects and contributions of the subjects to the objective, ours and theirs; SDs of the effects."""

    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    sd: NDArray[np.float64]
    contributions: NDArray[np.float64]
    published: NDArray[np.float64]


def individuals(case: Case) -> Individuals | None:
    """What was published of the subjects, at the final values; None if nothing was."""
    published = printed(case.name)
    if published is None:
        return None
    entry = next(entry for entry in case.entries() if entry.label == "final")
    problem = compile(entry.model, entry.data)
    at = Objective(problem, entry.method).evaluate(problem.x)
    theirs = case.etas(published.filter(regex="^eta").to_numpy())
    if entry.method == "fo":  # it has no individual effects
        theirs = theirs[:, :0]
    k = theirs.shape[1]
    sd = np.sqrt(np.diag(at.point.L @ at.point.L.T))
    return Individuals(at.eta[:, :k], theirs, sd[:k], at.by_subject, published["OBJ"].to_numpy())


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; columns after the second stand to the right."""
    lines = [header, ["---" if i < 2 else "---:" for i in range(len(header))], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def objectives() -> tuple[str, list[str], list[str]]:
    """The table of all objectives, notes on its tolerances, and the reasons where they disagree."""
    rows: list[list[str]] = []
    notes: list[str] = []
    reasons: list[str] = []
    for case in CASES:
        for entry in case.entries():
            ours = evaluated(entry)
            difference = ours - entry.published
            agrees = abs(difference) <= entry.tolerance
            if entry.why and entry.why not in notes:
                notes.append(entry.why)
            note = f" ({notes.index(entry.why) + 1})" if entry.why else ""
            if not agrees:
                reason = entry.disagrees or "not known"
                if not reasons or not reasons[-1].endswith(reason):
                    reasons.append(f"**{entry.case}**, {entry.label}: {reason}")
            method = entry.method if entry.kind == "objective" else entry.kind
            rows.append(
                [
                    entry.case, entry.label, method, f"{entry.published:.6f}", f"{ours:.6f}", f"{difference:+.1e}",
                    f"{entry.tolerance:g}{note}", "yes" if agrees else "**no**",
                ]
            )  # fmt: skip
    header = ["case", "values", "method", "theirs", "ours", "difference", "tolerance", "agrees"]
    return table(header, rows), notes, reasons


def minima() -> tuple[str, list[str]]:
    """The table of fits, and the reasons where they end elsewhere."""
    rows, reasons = [], []
    for fit in with_fit():
        result = fit.result
        if fit.why:
            reasons.append(f"**{fit.entry.case}**, {fit.entry.label}: {fit.why}")
        rows.append(
            [
                fit.entry.case, fit.entry.label, fit.entry.method, f"{fit.published:.3f}", f"{result.ofv:.3f}",
                f"{result.ofv - fit.published:+.4f}", f"{100 * fit.away:.2f}", result.status.name,
                str(len(result.trace) - 1),
            ]
        )  # fmt: skip
    header = ["case", "from", "method", "theirs", "ours", "difference", "estimates, %", "status", "iterations"]
    return table(header, rows), reasons


def approximations() -> str:
    """What FOCEI and Laplace say of the runs whose likelihood is another one."""
    rows = []
    for case in CASES:
        if case.kind == "objective":
            continue
        for entry in case.entries():
            values, errors = exact(entry.model, entry.data)
            ours = f"{values.sum():.2f} ± {math.sqrt((errors**2).sum()):.2f}"
            others = [f"{objective(entry, method):.2f}" for method in ("focei", "laplace")]
            rows.append([entry.case, entry.label, f"{entry.published:.2f}", ours, *others])
    return table(["case", "theirs by", "theirs", "ours, exact", "FOCEI", "Laplace"], rows)


def by_saem() -> tuple[str, str, list[str]]:
    """The tables of -2 log L and of the estimates of our runs by SAEM, and the reasons where they end elsewhere."""
    likelihoods, estimates, reasons = [], [], []
    for case in BY_SAEM:
        fit = fitted(case)
        if fit.why:
            reasons.append(f"**{case.id}**: {fit.why}")
        (ours, error), (theirs, their_error) = fit.ours, fit.theirs
        likelihoods.append(
            [
                case.id, fit.entry.kind, f"{fit.entry.published:.2f}", f"{evaluated(fit.here):.2f}",
                f"{fit.result.minus2ll:.2f} ± {fit.error:.2f}", f"{ours:.2f} ± {error:.2f}",
                f"{theirs:.2f} ± {their_error:.2f}", fit.result.status.name, f"{fit.seconds:.1f}",
            ]
        )  # fmt: skip
        for one in fit.estimates:
            if one.theirs:
                in_se = f"{one.in_se:+.2f}" if math.isfinite(one.se) else ""
                numbers = [f"{one.theirs:.4g}", f"{one.ours:.4g}", f"{100 * one.share:+.1f}", in_se]
                estimates.append([case.id, one.name, *numbers])
    header = [
        "case", "theirs by", "theirs", "the same at ours", "ours by SAEM", "exact at ours", "exact at theirs",
        "status", "seconds",
    ]  # fmt: skip
    return (
        table(header, likelihoods),
        table(["case", "estimate", "theirs", "ours", "difference, %", "in their SE"], estimates),
        reasons,
    )


def subjects() -> str:
    """Largest differences of random effects and of contributions to the objective."""
    rows = []
    for case in CASES:
        found = individuals(case)
        if found is None:
            continue
        off = np.abs(found.ours - found.theirs) / found.sd
        eta = f"{off.max():.1e}" if off.size else "none by FO"
        ofv = f"{np.abs(found.contributions - found.published).max():.1e}"
        rows.append([case.id, str(len(found.published)), eta, ofv])
    return table(["case", "subjects", "random effects, in SD", "contributions"], rows)


def dosing() -> str:
    """Largest relative differences from NONMEM's predictions."""
    rows = []
    for scenario in scenarios():
        cells = []
        for model in (scenario.closed, scenario.ode):
            if model is None:
                cells.append("no such structure")
                continue
            predicted = scenario.predicted(model)
            at = predicted["theirs"] != 0
            cells.append(f"{(predicted['ours'] / predicted['theirs'] - 1).abs()[at].max():.1e}")
        rows.append([str(scenario.number), scenario.title, *cells])
    return table(["", "scenario", "closed form", "ODE"], rows)


def report() -> str:
    """Everything, in Markdown."""
    values, notes, reasons = objectives()
    fits, elsewhere = minima()
    likelihoods, estimates, other = by_saem()
    numbered = "".join(f"{i}. {note[0].upper() + note[1:]}.\n" for i, note in enumerate(notes, start=1))
    disagreeing = "".join(f"- {reason}\n" for reason in reasons) or "None.\n"
    return TEXT.format(
        digits=DIGITS, fits=fits,
        elsewhere="".join(f"- {why}\n" for why in elsewhere),
        values=values, notes=numbered, reasons=disagreeing, approximations=approximations(),
        likelihoods=likelihoods, estimates=estimates, other="".join(f"- {why}\n" for why in other),
        subjects=subjects(), dosing=dosing(),
    )  # fmt: skip


TEXT = """# Published runs and ours

Written by `python -m tests.reference.results`; the runs are those of `published`, stated as models in `cases.py`.

## The objective at given values

Nothing is estimated here but the modes. The tolerance is {digits:g} (estimates are printed to six digits, and a
search for modes ends somewhere) unless a note says otherwise; n·log 2π is in the number where theirs has it.
"linearised" and "exact" are likelihoods of other programs, computed from the engine's modes, predictions and
derivatives (`marginal.py`).

{values}
{notes}
## Where they disagree

{reasons}
## Fits

From the published estimates, and from the values where the source's own fit began. "estimates" is the largest relative
difference of an estimate that is no correlation. A lower objective than the published one is a better minimum of the
same function; nlmixr2 and the NONMEM runs stop some 1e-3 above it.

{fits}
In another minimum:

{elsewhere}
## Runs by SAEM and importance sampling

-2 log L with n·log 2π. FOCEI and Laplace approximate it and promise no agreement: each leaves out terms of the order of
one over the number of observations of a subject, for every subject. They stand here for information; what is held
to the published number is the integral itself (± standard error), or the linearised likelihood where that is what the
program printed.

{approximations}
## Fits by SAEM

`method="saem"` from the engine's own initial values, which know nothing of the published ones; standard errors are
part of the time. "the same at ours" is -2 log L at our estimates as their program states it, linearised or exact;
"ours by SAEM" is what the fit reports, from 1000 draws. The last two integrals are by equal means, 10,000 draws
(± standard error): what they differ by is how much more likely one set of estimates is.

{likelihoods}
{estimates}
With other estimates:

{other}
## Subjects

The largest difference from the published conditional modes, as a fraction of the standard deviation of the random
effect, and from the published contributions of the subjects to the objective. Contributions are not at a minimum, each
by itself: the digits of the estimates that are not printed move them by up to some 1e-4.

{subjects}
## Predictions under 26 ways to dose

The largest relative difference from NONMEM's predictions, which are printed to five digits (5e-5).

{dosing}"""


def main() -> None:
    """Write RESULTS.md."""
    (HERE / "RESULTS.md").write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
