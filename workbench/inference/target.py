"""The objective of a fit, set up again at its estimates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Evaluation, Objective, Target
from workbench.engine.problem.problem import compile
from workbench.errors import FitError
from workbench.methods import Importance, Quadrature
from workbench.model import Model
from workbench.results.fit import FitResult

METHODS = ("fo", "foce", "focei", "laplace", "quadrature", "importance", "pooled")


def check_method(fit: FitResult, what: str, allowed: tuple[str, ...] = METHODS) -> None:
    """Refuse what is no fit, or a fit whose method has no objective that can be set up again.

    Raises
    ------
    FitError
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"{what} is for a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    if fit.method not in allowed:
        raise FitError(
            f"{what} is for fits by {', '.join(allowed)}; this one is by {fit.method}. Fit its model by one of these: "
            "wb.fit(fit.model, fit.data, …)."
        )


def target_of(model: Model, data: GroupedData, method: str, options: object = None) -> tuple[Target, Evaluation]:
    """An objective by one of `METHODS`, and its value where the model is; searches start from there.

    Raises
    ------
    FitError
        If it cannot be computed there.
    """
    problem = compile(model.without_random_effects() if method == "pooled" else model, data)
    target: Target = Objective(problem, method)
    if isinstance(options, Quadrature | Importance):
        target = Integral(problem, options, problem.x)
    at = target.evaluate(problem.x)
    if not at.finite:
        raise FitError("The objective cannot be computed at the estimates.")
    target.accept(at)
    return target, at


def evaluated(target: Target, x: NDArray[np.float64]) -> float:
    """The objective alone at some x, with the nodes of an integral put around the modes there."""
    if isinstance(target, Integral):
        target.centre(x)
    return target.evaluate(x).ofv
