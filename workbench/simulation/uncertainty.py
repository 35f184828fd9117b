"""Parameters as uncertain as they are: drawn from the covariance of a fit, a bootstrap, or resampled samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point, with_estimates
from workbench.errors import FitError
from workbench.inference import Bootstrap, Sir
from workbench.model import Model
from workbench.results.fit import FitResult, Status

Array = NDArray[np.float64]
Uncertain = bool | Bootstrap | Sir

_GOOD = (Status.converged.name, Status.boundary.name)
_FLAT = 1e-12  # of an eigenvalue of the correlation matrix: what is less is rounding


def points_of(
    model: Model | FitResult,
    problem: Problem,
    settled: Model,
    uncertainty: Uncertain,
    count: int,
    rng: np.random.Generator,
) -> list[Point]:
    """The point of a model, or as many as are wanted, drawn from what is known of them.

    Parameters
    ----------
    model : Model or FitResult
    problem : Problem
    settled : Model
        What it was made of: the model at the estimates, as it is for these data.
    uncertainty : bool, Bootstrap or Sir
        False: the one point of the model. True: the covariance of the fit, normal on the scale of the search, where
        what is positive is a logarithm and Ψ stays positive definite; estimates at an edge, which have no standard
        error, are held. Else the estimates of replicates that ended at a minimum, or of resamples, are drawn with
        replacement.
    count : int
    rng : Generator
        A child of it is drawn from, so that random effects and errors are the same with uncertainty as without.

    Raises
    ------
    FitError
        If there is no fit, or it has no covariance or did not converge, or the draws are those of another model.
    """
    if uncertainty is False:
        return [problem.scale.point(problem.x)]
    (child,) = rng.spawn(1)
    if isinstance(uncertainty, Bootstrap | Sir):
        names = [line.name for line in model.lines if not line.fixed] if isinstance(model, FitResult) else None
        return _resampled(settled, problem, names, uncertainty, count, child)
    if uncertainty is not True:
        raise FitError(
            f"uncertainty={uncertainty!r:.60}; allowed are False, True, and what wb.bootstrap(fit) or wb.sir(fit) "
            "gives."
        )
    if not isinstance(model, FitResult):
        raise FitError(
            "A model does not say how uncertain its values are: give a fit, or uncertainty=wb.bootstrap(fit) or "
            "wb.sir(fit)."
        )
    x = problem.x + child.standard_normal((count, len(problem.x))) @ spread_of(model, problem).T
    return [problem.scale.point(one) for one in x]


def spread_of(fit: FitResult, problem: Problem) -> Array:
    """A factor of the covariance of x, float64[size, size].

    Raises
    ------
    FitError
        If the fit has no covariance, or did not converge.
    """
    if not fit.converged:
        raise FitError(f"How uncertain the estimates are is not known: {fit.status.value}")
    if fit.covariance is None:
        raise FitError(
            f"The fit has no covariance to draw parameters from: standard errors: "
            f"{fit.se_reason or 'nothing is free.'} uncertainty=wb.bootstrap(fit) needs none."
        )
    scale = problem.scale
    known = np.isfinite(np.diag(fit.covariance))
    back = np.linalg.pinv(scale.jacobian(problem.x)[~scale.fixed][known])
    values, vectors = np.linalg.eigh(back @ fit.covariance[np.ix_(known, known)] @ back.T)
    return np.asarray(vectors * np.sqrt(np.maximum(values, _FLAT * values.max(initial=0.0))))


def _resampled(
    model: Model,
    problem: Problem,
    names: list[str] | None,
    draws: Bootstrap | Sir,
    count: int,
    rng: np.random.Generator,
) -> list[Point]:
    labels = tuple(q.label for q, fixed in zip(problem.scale.quantities, problem.scale.fixed, strict=True) if not fixed)
    wanted = labels if names is None else tuple(names)
    if draws.names != wanted:
        raise FitError(
            f"uncertainty= holds draws of {', '.join(draws.names)}; the estimates of this model are "
            f"{', '.join(wanted)}."
        )
    if isinstance(draws, Bootstrap):
        values = draws.values[[status in _GOOD for status in draws.status]]
    else:
        values = draws.samples[draws.chosen]
    if len(values) < 2:
        raise FitError(f"uncertainty= holds {len(values)} usable draws; more are needed to say how uncertain they are.")
    chosen = rng.integers(0, len(values), count)
    made = {}
    for k in np.unique(chosen).tolist():
        made[k] = problem.scale.point_of(with_estimates(model, dict(zip(labels, values[k].tolist(), strict=True))))
    return [made[k] for k in chosen.tolist()]
