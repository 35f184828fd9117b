"""Standard errors: the inverse of the Hessian of the objective, by differences of its exact gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.engine.likelihood import SUM_OF_DEVIATIONS
from workbench.engine.objective import Evaluation, Objective
from workbench.engine.optimise import unit_steps
from workbench.engine.problem import Problem
from workbench.engine.scale import Scale

Array = NDArray[np.float64]

_STEP = 3e-3  # of a unit step, about a standard error
_TOLERANCE = 1e-22  # of the modes, squared: their error must not show in a difference of gradients
_VANISHED = 1e-3  # a standard deviation of η below this, on the log scale, is none
_SINGULAR = 0.02  # share of it that the other effects leave free; 0.02 is a correlation of 0.9998
_NOTHING = 1e-3  # share of the residual error below which a component adds nothing
_LOG_CURVATURE = 1e-3  # of the objective by a logarithm: less is a standard error of factors of e^40
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


def hessian(objective: Objective, at: Evaluation, interrupt: Callable[[], bool] = lambda: False) -> Array | None:
    """Hessian of the objective by x, central differences of its gradient, float64[size, size]; None if interrupted."""
    objective.accept(at)
    objective.tolerance = _TOLERANCE
    steps = _STEP * unit_steps(objective.problem.scale, at)
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


def edges(problem: Problem, at: Evaluation) -> tuple[Edge, ...]:
    """Find variances that went to zero, Ψ that became singular, and parts of the residual error that vanished."""
    scale, point = problem.scale, at.point
    found = _vanished_error(problem, at)
    owners = {name.of[0]: m for m, name in enumerate(scale.theta_names) if name.kind in ("log", "identity")}
    labels = [name.label for name in scale.names if name.kind == "correlation"]
    for r, name in enumerate(scale.random):
        m = owners[name]
        size = 1.0 if scale.theta_names[m].kind == "log" else abs(float(point.theta[m])) or 1.0
        mine = [k for k in range(scale.size) if (entry := _entry(scale, k)) and entry[0] == r]
        tied = tuple(f"corr_{a}_{name}" for a in scale.random if f"corr_{a}_{name}" in labels)
        tied += tuple(f"corr_{name}_{a}" for a in scale.random if f"corr_{name}_{a}" in labels)
        deviation = float(np.linalg.norm(point.L[r]))
        if deviation < _VANISHED * size:
            sentence = f"The variance of η of {name} went to 0: leave out its random effect."
            found.append(Edge(tuple(mine), (f"iiv_{name}", *tied), sentence))
        elif point.L[r, r] < _SINGULAR * deviation:
            others = [scale.random[c] for c in range(r) if point.L[r, c] != 0]
            if len(others) == 1:
                sentence = f"The correlation of {others[0]} and {name} went to {'-' if point.L[r, 0] < 0 else ''}1."
            else:
                sentence = f"Ψ became singular: η of {name} is a combination of those of {', '.join(others)}."
            diagonal = tuple(k for k in mine if _entry(scale, k) == (r, r))
            found.append(Edge(diagonal, tied, sentence))
    return tuple(found)


def _vanished_error(problem: Problem, at: Evaluation) -> list[Edge]:
    scale, f = problem.scale, np.abs(problem.predictions(at.point, at.eta))
    a, b = at.point.sigma
    nothing = _NOTHING if problem.error == SUM_OF_DEVIATIONS else _NOTHING**0.5  # there it is the squares that add
    place = {name: scale.size - len(scale.error_names) + k for k, name in enumerate(scale.error_names)}
    if len(place) == 2:
        if a < nothing * b * f.min():
            return [Edge((place["a"],), ("a",), "a of the residual error went to 0: wb.Proportional() says the same.")]
        if b * f.max() < nothing * a:
            return [Edge((place["b"],), ("b",), "b of the residual error went to 0: wb.Constant() says the same.")]
    elif max(a, b * f.max()) < 1e-6 * f.max():
        sentence = "The residual error went to 0: the curves pass through every observation."
        return [Edge(tuple(place.values()), scale.error_names, sentence)]
    return []


def uncertainty(
    objective: Objective, at: Evaluation, edge: Sequence[Edge] = (), interrupt: Callable[[], bool] = lambda: False
) -> Uncertainty:
    """Covariance of the estimates: 2 · inverse Hessian of the OFV (NONMEM's R⁻¹ form), taken to the natural scale.

    Parameters
    ----------
    objective : Objective
    at : Evaluation
        At the minimum.
    edge : sequence of Edge
        Estimates at the edge of what is possible. They are taken as known: the others have standard errors given
        these.
    interrupt : callable
        Asked now and then; True gives it up.
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
    jacobian = scale.jacobian(at.x)[free]
    covariance = jacobian @ by_x @ jacobian.T
    missing = [label for e in edge for label in e.labels]
    for k, name in enumerate(np.array([n.label for n in scale.names])[free]):
        if name in missing:
            covariance[k, :] = covariance[:, k] = np.nan
    reason = f"none for {', '.join(missing)}, at the edge of what is possible." if missing else ""
    return Uncertainty(covariance, reason, smallest=float(values[0]), newton=-0.5 * by_x @ at.gradient)


def _entry(scale: Scale, m: int) -> tuple[int, int] | None:
    """Row and column of L that x[m] stands for, if any."""
    k = m - int(scale.theta_free.sum())
    return (int(scale.lower[0, k]), int(scale.lower[1, k])) if 0 <= k < scale.lower.shape[1] else None


def _direction(scale: Scale, kept: NDArray[np.int64], vector: Array) -> str:
    """Names of what moves most along a vector of x."""
    free = [name.label for name, is_free in zip(scale.theta_names, scale.theta_free, strict=True) if is_free]
    names = []
    for k in np.argsort(-np.abs(vector)):
        if abs(vector[k]) < 0.3 * np.abs(vector).max():
            break
        m = int(kept[k])
        entry = _entry(scale, m)
        if m < len(free):
            names.append(free[m])
        elif entry is None:
            names.append(scale.error_names[m - len(free) - scale.lower.shape[1]])
        elif entry[0] == entry[1]:
            names.append(f"iiv_{scale.random[entry[0]]}")
        else:
            names.append(f"corr_{scale.random[entry[1]]}_{scale.random[entry[0]]}")
    return ", ".join(dict.fromkeys(names))
