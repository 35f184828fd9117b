"""Standard errors: the inverse of the Hessian of the objective, by differences of its exact gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.objective import Evaluation, Target, once
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.psi import Psi
from workbench.engine.problem.scale import Scale
from workbench.engine.search.optimise import unit_steps

Array = NDArray[np.float64]
Kind = Literal["R", "S", "sandwich"]

_STEP = 3e-3  # of a unit step, about a standard error
_TOLERANCE = 1e-22  # of the modes, squared: their error must not show in a difference of gradients
_VANISHED = 1e-3  # a standard deviation of η below this, on the log scale, is none
_SINGULAR = 0.02  # share of it that the other effects leave free; 0.02 is a correlation of 0.9998
_NOTHING = 1e-3  # share of the residual error below which a component adds nothing
_LOG_CURVATURE = 1e-3  # of the objective by a logarithm: less is a standard error of factors of e^40
_AT_BOUND = 1e-3  # of the width between two bounds
_FLAT = 1e-5  # eigenvalue of the Hessian with unit diagonal below which a direction is flat


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Covariance of the estimates that are not fixed, or why there is none.

    Attributes
    ----------
    covariance : float64[k, k] or None
        On the natural scale; rows of NaN for estimates at the edge.
    reason : str
        Empty where all have a standard error.
    flat : str
        Names of the parameters in the direction in which the objective does not change; empty if none.
    smallest : float
        Smallest eigenvalue of the Hessian with unit diagonal.
    newton : float64[size] or None
        Step of x from where the Hessian was taken to the minimum of the quadratic that it makes.
    downhill : float64[size] or None
        Where the Hessian has a negative eigenvalue, its direction: at a saddle the objective falls along it.
    """

    covariance: Array | None
    reason: str = ""
    flat: str = ""
    smallest: float = 1.0
    newton: Array | None = None
    downhill: Array | None = None


def hessian(objective: Target, at: Evaluation, interrupt: Callable[[], bool] = lambda: False) -> Array | None:
    """Hessian of the objective by x, central differences of its gradient, float64[size, size]; None if interrupted."""
    objective.accept(at)
    objective.tolerance = _TOLERANCE
    steps = max(_STEP, objective.grain) * unit_steps(objective.problem.scale, at)
    columns = []
    for m, step in enumerate(steps):
        ends = []
        if interrupt():
            return None
        for sign in (1.0, -1.0):
            x = at.x.copy()
            x[m] += sign * step
            ends.append(objective.evaluate(x).gradient)
        columns.append((ends[0] - ends[1]) / (2 * step))
    matrix = np.array(columns).reshape(len(steps), len(steps))
    return np.asarray(0.5 * (matrix + matrix.T))


@dataclass(frozen=True)
class Edge:
    """An estimate at the edge of what is possible.

    Attributes
    ----------
    held : tuple of int
        The x that the objective no longer depends on.
    labels : tuple of str
        Estimates that have no standard error because of it.
    sentence : str
    """

    held: tuple[int, ...]
    labels: tuple[str, ...]
    sentence: str


@once
def edges(problem: Problem, at: Evaluation) -> tuple[Edge, ...]:
    """Find variances that went to zero, Ψ that became singular, and parts of the residual error that vanished."""
    scale = problem.scale
    n, k = len(scale.subject.names), len(scale.occasion.names)
    begin = int(scale.theta_free.sum())
    between = _psi_edges(problem, at, scale.subject, at.point.L[:n, :n], begin)
    within = _psi_edges(problem, at, scale.occasion, at.point.L[n : n + k, n : n + k], begin + scale.subject.size)
    return (*_at_bounds(scale, at), *vanished_error(problem, at), *between, *within)


def _at_bounds(scale: Scale, at: Evaluation) -> list[Edge]:
    """Typical values that went to one of their bounds."""
    found = []
    for k, m in enumerate(np.flatnonzero(scale.theta_free)):
        name, z = scale.thetas[m], float(at.point.theta[m])
        low, high = float(scale.theta_lower[m]), float(scale.theta_upper[m])
        between = name.link.needs_bounds
        value, limits = name.natural(z)[0], name.bounds if between else (name.natural(low)[0], name.natural(high)[0])
        width = limits[1] - limits[0] if np.isfinite(limits[1] - limits[0]) else abs(value)
        for bound, is_one in zip(limits, (between or np.isfinite(low), between or np.isfinite(high)), strict=True):
            if is_one and abs(value - bound) < _AT_BOUND * width:
                sentence = f"{name.label} went to its bound {bound:g}."
                found.append(Edge((k,), (name.label,), sentence))
    return found


def _psi_edges(problem: Problem, at: Evaluation, psi: Psi, L: Array, begin: int) -> list[Edge]:
    """Edges of one level, whose numbers start at x[begin]."""
    found, scale = [], problem.scale
    effect, stem, where = ("η", "corr", "") if psi.level == "iiv" else ("κ", "corr_iov", " between occasions")
    owners = {name.label: (m, name.link) for m, name in enumerate(scale.thetas)}
    entries = [(begin + j, r, c) for j, (r, c, _) in enumerate(psi.entries)]
    for r in psi.own:
        name = psi.names[r]
        if not psi.deviation_free[r]:
            continue
        m, link = owners[name]
        size = link.unit(float(at.point.theta[m]), 0.0)
        pairs = [(psi.names[c], psi.names[q]) for q, c in psi.pairs if r in (q, c)]
        tied = tuple(f"{stem}_{first}_{second}" for first, second in pairs)
        deviation = float(np.linalg.norm(L[r]))
        if deviation < _VANISHED * size:
            sentence = f"The variance of {effect} of {name}{where} went to 0: leave out its random effect."
            mine = tuple(j for j, row, _ in entries if row == r)
            found.append(Edge(mine, (f"{psi.level}_{name}", *tied), sentence))
        elif psi.correlation_free[r] and L[r, r] < _SINGULAR * deviation:
            others = [psi.names[c] for c in range(r) if L[r, c] != 0]
            if len(others) == 1:
                sign = "-" if L[r, [psi.names.index(others[0])]][0] < 0 else ""
                sentence = f"The correlation of {others[0]} and {name}{where} went to {sign}1."
            else:
                sentence = f"Ψ became singular: {effect} of {name} is a combination of those of {', '.join(others)}."
            diagonal = tuple(j for j, row, c in entries if row == c == r)
            found.append(Edge(diagonal, tied, sentence))
    return found


def vanished_error(problem: Problem, at: Evaluation) -> list[Edge]:
    """Parts of the residual errors that add nothing to the rest."""
    scale, seen = problem.scale, problem.observations
    f_all = np.abs(problem.analysed(at.predictions(problem)))
    R_all = problem.residual_variance(at.point, f_all)
    begin = scale.size - sum(entry.free for entry in scale.errors)
    place = {entry.label: begin + j for j, entry in enumerate(entry for entry in scale.errors if entry.free)}
    found = []
    for response, error in enumerate(problem.errors):
        of = seen.response == response
        f, R = f_all[of], R_all[of]
        mine = {e.name: e for e in scale.errors if e.response == response}
        free = [entry.label for entry in mine.values() if entry.free]
        if not f.size or not free:
            continue
        parts = [(mine[name], simpler) for name, (value, simpler) in error.special.items() if value == 0.0]
        for entry, simpler in parts:
            sigma = at.point.sigma.copy()
            sigma[response, entry.which] = 0.0
            without = problem.residual_variance(replace(at.point, sigma=sigma), f_all)[of]
            if entry.free and ((1.0 + _NOTHING) * without > R).all():
                label = entry.label
                sentence = f"{label} of the residual error went to 0: {simpler()!r} says the same."
                found.append(Edge((place[label],), (label,), sentence))
        if not parts and not error.logarithmic and R.max() < (1e-6 * f.max()) ** 2:
            sentence = "The residual error went to 0: the curves pass through every observation."
            found.append(Edge(tuple(place[label] for label in free), tuple(free), sentence))
    return found


def uncertainty(
    objective: Target,
    at: Evaluation,
    edge: Sequence[Edge] = (),
    interrupt: Callable[[], bool] = lambda: False,
    kind: Kind = "R",
) -> Uncertainty:
    """Covariance of the estimates, taken to the natural scale.

    With H the Hessian of the OFV and S the sum over the subjects of the outer products of the gradients of their OFV:
    2 H⁻¹ ("R"), 4 S⁻¹ ("S"), H⁻¹ S H⁻¹ ("sandwich", NONMEM's default, which holds where the model is wrong, too).

    Parameters
    ----------
    objective : Objective or Integral
    at : Evaluation
        At the minimum.
    edge : sequence of Edge
        Estimates at the edge of what is possible. They are taken as known: the others have standard errors given
        these.
    interrupt : callable
        Asked now and then; True gives it up.
    kind : {"R", "S", "sandwich"}
    """
    scale = objective.problem.scale
    free = ~scale.fixed
    if not at.x.size:
        return Uncertainty(np.zeros((0, 0)))
    matrix = hessian(objective, at, interrupt)
    if matrix is None:
        return Uncertainty(None, "none: their computation was stopped.")
    kept = np.ones(scale.size, dtype=bool)
    kept[[k for e in edge for k in e.held]] = False
    if not np.isfinite(matrix[np.ix_(kept, kept)]).all():
        return Uncertainty(None, "none: the Hessian of the objective is not finite at the estimates.")
    diagonal = np.abs(np.diag(matrix))[kept]
    floor = np.where(scale.logarithmic[kept], _LOG_CURVATURE, np.finfo(float).tiny)
    unit = 1.0 / np.sqrt(np.maximum(diagonal, floor))
    values, vectors = np.linalg.eigh(matrix[np.ix_(kept, kept)] * np.outer(unit, unit))
    if values[0] <= _FLAT:
        names = _direction(scale, np.flatnonzero(kept), vectors[:, 0])
        if values[0] > -_FLAT:
            return Uncertainty(None, f"none: the objective is flat in the direction of {names}.", names)
        downhill = np.zeros(scale.size)
        downhill[kept] = unit * vectors[:, 0]
        reason = f"none: the objective has no minimum in the direction of {names}."
        return Uncertainty(None, reason, names, downhill=downhill)
    inverse = (vectors / values) @ vectors.T * np.outer(unit, unit)
    by_x = np.zeros_like(matrix)
    by_x[np.ix_(kept, kept)] = 2.0 * inverse
    newton = -0.5 * by_x @ at.gradient
    if kind != "R":
        S = (at.scores.T @ at.scores)[np.ix_(kept, kept)]
        if kind == "S":
            if np.linalg.eigvalsh(S * np.outer(unit, unit))[0] <= _FLAT:
                few = f"{len(at.scores)} subjects do not determine {len(S)} estimates in S."
                return Uncertainty(None, f"none: {few}", smallest=float(values[0]), newton=newton)
            by_x[np.ix_(kept, kept)] = 4.0 * np.linalg.inv(S)
        else:
            by_x[np.ix_(kept, kept)] = inverse @ S @ inverse
    jacobian = scale.jacobian(at.x)[free]
    covariance = jacobian @ by_x @ jacobian.T
    missing = [label for e in edge for label in e.labels]
    for k, name in enumerate(np.array([n.label for n in scale.quantities])[free]):
        if name in missing:
            covariance[k, :] = covariance[:, k] = np.nan
    reason = f"none for {', '.join(missing)}, at the edge of what is possible." if missing else ""
    return Uncertainty(covariance, reason, smallest=float(values[0]), newton=newton)


def _direction(scale: Scale, kept: NDArray[np.int64], vector: Array) -> str:
    """Names of what moves most along a vector of x, in the order of x."""
    labels, size = scale.labels_of_x, np.abs(vector)
    names = [labels[int(k)] for k in kept[size >= 0.3 * size.max()]]
    return ", ".join(dict.fromkeys(names))
