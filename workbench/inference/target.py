"""The objective of a fit, set up again at its estimates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.methods import way_of
from workbench.engine.objectives.objective import Evaluation, Reportable
from workbench.engine.problem.compile import compile
from workbench.errors import FitError
from workbench.methods import Ability, method_of, that_can
from workbench.model import Model
from workbench.results.fit import FitResult


def check_method(fit: FitResult, what: str, ability: Ability) -> None:
    """Refuse what is no fit, or a fit whose method lacks an ability.

    Raises
    ------
    FitError
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"{what} is for a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    method = method_of(fit.method)
    if not method.can(ability):
        raise FitError(
            f"{what} is for fits by {', '.join(that_can(ability))}; this one is by {method.name}, which "
            f"{method.cannot[ability]}. Fit its model by one of these: wb.fit(fit.model, fit.data, …)."
        )


def target_of(model: Model, data: GroupedData, method: str, options: object = None) -> tuple[Reportable, Evaluation]:
    """The objective of a method, and its value where the model is; searches start from there.

    Raises
    ------
    FitError
        If it cannot be computed there.
    """
    by = method_of(method)
    target = way_of(by).target(compile(by.fitted(model), data), by, options)
    problem = target.problem
    at = target.evaluate(problem.x)
    if not at.finite:
        raise FitError("The objective cannot be computed at the estimates.")
    target.accept(at)
    return target, at


def starts_of(model: Model, data: GroupedData, method: str, options: object = None) -> Callable[[], Reportable]:
    """What gives the objective of a method as it is at the start of a search, whatever was searched before.

    Raises
    ------
    FitError
        If it cannot be computed where the model is.
    """
    by = method_of(method)
    target, at = target_of(model, data, method, options)

    def begin() -> Reportable:
        found = way_of(by).target(target.problem, by, options)
        found.accept(at)
        return found

    return begin


def evaluated(target: Reportable, x: NDArray[np.float64]) -> float:
    """The objective alone at some x, with the nodes of an integral put around the modes there."""
    return target.following().evaluate(x).ofv
