"""How a search ended, in view of where it did: standard errors, what they show, and what there is to say.

A search by gradient ends where the gradient is 0. The Hessian, taken for the standard errors, tells whether that is a
minimum; from a saddle the search goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.checks import listed
from workbench.engine.ending.uncertainty import Kind, Uncertainty, edges, uncertainty
from workbench.engine.objectives.objective import Evaluation, Reportable, Target, once
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch, resumed, without_noise
from workbench.methods import METHODS
from workbench.results.fit import Status

Array = NDArray[np.float64]

_NEARLY_FLAT = 1e-3
_NO_EFFECT = 1e-8  # half the sum of squares of the subjects' slopes by a logarithm
_ESCAPES = 4
_LOWER = 1e-4  # of the objective: less is no way down
PLAUSIBLE = (0.03, 3.0)  # standard deviations of η, in natural sizes of their parameters
_RUNAWAY = 14.0  # e^14 is a million
_DRIFT = 9.2  # and e^9.2 ten thousand
_VALLEY = 0.1  # of the objective: nearer than that it hardly changes


def verdict(problem: Problem, outcome: Outcome, errors: Uncertainty) -> tuple[Outcome, str]:
    """The outcome with its final status, and what there is to say about that."""
    status, best = outcome.status, outcome.evaluation
    remarks = [edge.sentence for edge in edges(problem, best)]
    flat = errors.flat if errors.downhill is None else ""
    if status.ok and flat:
        status = Status.undetermined
        remarks.append(f"Not determined by the data: {flat}.")
    elif status.ok and errors.downhill is not None:
        status = Status.stalled
    elif status.ok and remarks:
        status = Status.boundary
    exact = noiseless(problem, best)
    lost = exact or runaway(problem, best)
    far = _far(problem, best) if lost and not exact and outcome.status is Status.converged else []
    drifted = [] if exact else _drifted(problem, outcome)
    if (far and not {entry.label for entry in problem.scale.errors} & set(far)) or drifted:
        status = Status.undetermined
        names, factor = (far, "a million") if far else (drifted, "ten thousand")
        remarks = [
            f"Not determined by the data: {', '.join(names)}, which moved by more than a factor of {factor} while the "
            "objective hardly changed."
        ]
    elif lost and status is not Status.stopped:
        status, remarks = Status.diverged, [*([] if exact else remarks), lost]
    corners = int(best.at_corner.sum())
    if corners:
        remarks.append(
            f"The modes of {corners} of {best.at_corner.size} subjects lie at a corner, where a lag or an input ends "
            "at the time of a sample: curvature there is one-sided, and this method approximates it; "
            f"method={listed(name for name, method in METHODS.items() if method.drawn)} do not."
        )
    if problem.exchanged(best.x) is not None:
        remarks.append("Absorption is slower than elimination at these values (flip-flop).")
    return replace(outcome, status=status), " ".join(remarks)


def noiseless(problem: Problem, at: Evaluation) -> str:
    """A sentence on data without noise."""
    if not without_noise(problem, at):
        return ""
    return (
        f"The data have no noise, or almost none: the model follows them to {problem.noise(at.point, at.eta):.0e} of "
        "their size. So the likelihood grows without bound as the residual error goes to 0, and neither the OFV nor "
        "standard errors mean anything; the estimates are those where the search was given up. For simulated data add "
        "residual error, or fix it at a size that you would accept, as in wb.Proportional(0.05, fixed=True)."
    )


def _without_effect(target: Target, at: Evaluation) -> str:
    """Names of the estimates that the objective does not depend on, those at an edge apart: what is quick to see."""
    scale = target.problem.scale
    unit = np.where(scale.logarithmic, 1.0, np.maximum(np.abs(at.x), 1.0))
    flat = 0.5 * ((at.scores * unit) ** 2).sum(axis=0) < _NO_EFFECT
    flat[[k for e in edges(target.problem, at) for k in e.held]] = False
    names = []
    for k in np.flatnonzero(flat):  # or all that depends on it is one subject, whose slope is 0 at the minimum
        ends = [target.evaluate(at.x + sign * unit[k] * (np.arange(len(unit)) == k)) for sign in (-1.0, 1.0)]
        if all(abs(end.ofv - at.ofv) < _LOWER for end in ends):
            names.append(scale.labels_of_x[k])
    return ", ".join(dict.fromkeys(names))


@once
def runaway(problem: Problem, at: Evaluation) -> str:
    """A sentence on estimates that left the range of what numbers mean."""
    far = _far(problem, at)
    if far:
        return f"{', '.join(far)} moved by more than a factor of a million."
    suspects = [
        entry for entry in problem.scale.errors if entry.free and problem.errors[entry.response].rests_on(entry.name)
    ]
    f = np.abs(problem.analysed(at.predictions(problem))) if suspects else np.zeros(0)
    for entry in suspects:
        mine, error = f[problem.observations.response == entry.response], problem.errors[entry.response]
        if not (mine.size and mine.min() == 0):
            continue
        values, top = problem.scale.error_values(at.point, entry.response), float(mine.max())
        if error.sd_at(0.0, values) < 1e-6 * max(error.sd_at(top, values), 1e-6 * top):
            return (
                f"An observation of 0 where the prediction is 0 makes the likelihood infinite as {entry.label} goes to "
                "0: leave it out."
            )
    return ""


def _far(problem: Problem, at: Evaluation) -> list[str]:
    """Names of estimates that moved by more than a factor of a million.

    A spread that began as good as nowhere may grow to what is usual, and one that goes to 0 is at an edge.
    """
    scale = problem.scale
    names, begun = scale.quantities, problem.begun[1].copy()
    spread = np.array([name.kind in ("iiv", "iov") for name in names], dtype=bool)
    own = [u[psi.own] for psi, u in zip((scale.subject, scale.occasion), scale.units(at.point), strict=True)]
    begun[spread] = np.clip(begun[spread], *np.outer(PLAUSIBLE, np.concatenate(own)))
    with np.errstate(all="ignore"):
        factors = np.log(np.abs(scale.estimates(at.x) / begun))
    factors = np.where(spread, np.maximum(factors, 0.0), np.abs(factors))
    factors = _at_usual_covariates(problem, at, factors)
    return [n.label for n, f in zip(names, factors, strict=True) if n.link.is_logarithm and not f < _RUNAWAY]


def _drifted(problem: Problem, outcome: Outcome) -> list[str]:
    """Names of typical values that drifted along a flat valley until the search ended there.

    They moved by more than a factor of ten thousand after the objective had come near where it ended.
    """
    if outcome.status not in (Status.converged, Status.stalled) or len(outcome.path) != len(outcome.trace):
        return []
    near = next((k for k, (_, ofv) in enumerate(outcome.trace) if ofv < outcome.evaluation.ofv + _VALLEY), -1)
    begun, ended = (problem.scale.estimates(x) for x in (outcome.path[near], outcome.evaluation.x))
    with np.errstate(all="ignore"):
        moved = np.abs(np.log(np.abs(ended / begun)))
    return [
        name.label
        for name, by in zip(problem.scale.quantities, moved, strict=True)
        if name.kind == name.link.name and name.link.is_logarithm and by > _DRIFT
    ]


def _at_usual_covariates(problem: Problem, at: Evaluation, factors: Array) -> Array:
    """Factors with those of a typical subject where a value is one at covariates of 0 or 1, far from any subject."""
    affected = {name.of[0] for name in problem.scale.thetas if name.kind == "coefficient"}
    if not affected or not (factors > _RUNAWAY).any():
        return factors
    begun, ended = (problem.parameters(point) for point in (problem.scale.point(problem.x), at.point))
    factors, names = factors.copy(), problem.structure.names
    for m, name in enumerate(problem.scale.thetas):
        if name.kind != "coefficient" and name.label in affected:
            k = names.index(name.label)
            with np.errstate(all="ignore"):
                factors[m] = np.abs(np.log(np.median(ended[:, k]) / np.median(begun[:, k])))
    return factors


def standard_errors(target: Reportable, outcome: Outcome, watch: Watch, covariance: bool | Kind) -> Uncertainty:
    """Standard errors where the search ended; none, with the reason, where they are not wanted."""
    if covariance is False:
        flat = _without_effect(target, outcome.evaluation) if outcome.status.ok else ""
        return Uncertainty(None, "none: they were not asked for (covariance=False).", flat)
    if outcome.status is Status.stopped:
        return Uncertainty(None, "none: the fit was stopped.")
    if outcome.status is Status.diverged and without_noise(target.problem, outcome.evaluation):
        return Uncertainty(None, "none: the data have no noise.")
    interrupt = _now_and_then(lambda: watch(outcome.trace[-1][0], outcome.evaluation))
    kind: Kind = "R" if isinstance(covariance, bool) else covariance
    return uncertainty(
        target.following(), outcome.evaluation, edges(target.problem, outcome.evaluation), interrupt, kind
    )


def judged(
    target: Reportable, outcome: Outcome, watch: Watch, max_iterations: int, covariance: bool | Kind
) -> tuple[Uncertainty, Outcome]:
    """Standard errors where the search ended; what the Hessian shows, a saddle or a last step, is followed."""
    errors = standard_errors(target, outcome, watch, covariance)
    for _ in range(_ESCAPES):
        below = _below_saddle(target, outcome.evaluation, errors.downhill) if outcome.status.ok else None
        if below is None:
            break
        outcome = resumed(target, outcome, below, watch, max_iterations)
        errors = standard_errors(target, outcome, watch, covariance)
    else:
        outcome = replace(outcome, status=Status.stalled)
    if outcome.status.ok and errors.newton is not None:
        polished = target.evaluate(outcome.evaluation.x + errors.newton)
        if polished.finite and polished.ofv < outcome.evaluation.ofv:
            last = outcome.trace[-1][0] + 1
            trace, path = (*outcome.trace, (last, polished.ofv)), (*outcome.path, polished.x)
            outcome = replace(outcome, evaluation=polished, trace=trace, path=path)
            watch(last, polished)
            if errors.smallest < _NEARLY_FLAT:  # what was left of the gradient bent a flat valley
                errors = standard_errors(target, outcome, watch, covariance)
    return errors, outcome


def _below_saddle(target: Target, at: Evaluation, downhill: Array | None) -> Array | None:
    """A point along a direction of negative curvature where the objective is lower, if there is one."""
    if downhill is None:
        return None
    points = [at.x + size * downhill for size in (3.0, 1.0, 0.3, -3.0, -1.0, -0.3)]
    found = [e for e in map(target.evaluate, points) if e.finite and e.ofv < at.ofv - _LOWER]
    return min(found, key=lambda e: e.ofv).x if found else None


def _now_and_then(ask: Callable[[], bool]) -> Callable[[], bool]:
    """`ask`, but at most every tenth of a second."""
    last = time.perf_counter()

    def due() -> bool:
        nonlocal last
        if time.perf_counter() - last < 0.1:
            return False
        last = time.perf_counter()
        return ask()

    return due
