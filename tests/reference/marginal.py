"""Marginal likelihoods other than the engine's, from its modes, predictions and derivatives.

For runs of programs that print one of these: what they leave out of the integral over the random effects is not what
FOCEI and Laplace leave out, so the objectives cannot be compared, and the models still can.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

import workbench as wb
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem

Array = NDArray[np.float64]

LOG_2PI = math.log(2.0 * math.pi)


def _modes(model: wb.Model, data: wb.GroupedData) -> tuple[Problem, Evaluation, Array, Array, Array]:
    """Modes, linear prediction E + G ζ around them, and residual variance R there."""
    problem = compile(model, data)
    objective = Objective(problem, "focei")
    at = objective.evaluate(problem.x)
    E, G = objective.linearisation(at)
    f = E + np.einsum("jq,jq->j", G, np.repeat(at.zeta, np.diff(problem.observations.first), axis=0))
    return problem, at, E, G, problem.residual_variance(at.point, f)


@cache
def linearised(model: wb.Model, data: wb.GroupedData) -> Array:
    """-2 log L of each subject, n·log 2π included, where y = E + G ζ + ε with the variance of ε at the mode.

    So Monolix states it. For a constant variance it is FOCE (Wang 2007).
    """
    problem, _, E, G, R = _modes(model, data)
    values = []
    for a, b in zip(problem.observations.first[:-1], problem.observations.first[1:], strict=True):
        V = G[a:b] @ G[a:b].T + np.diag(R[a:b])
        r = problem.y[a:b] - E[a:b]
        values.append(r @ np.linalg.solve(V, r) + np.linalg.slogdet(V)[1] + (b - a) * LOG_2PI)
    return np.array(values)


@cache
def exact(model: wb.Model, data: wb.GroupedData, draws: int = 10_000, seed: int = 1) -> tuple[Array, Array]:
    """-2 log L of each subject, n·log 2π included, by importance sampling, and its standard error.

    The sampler is the engine's, for which `tests/engine/test_integral.py` holds that it equals quadrature.
    """
    problem = compile(model, data)
    integral = Integral(problem, wb.Importance(draws, seed), problem.x)
    values = integral.evaluate(problem.x).by_subject
    return values + np.diff(problem.observations.first) * LOG_2PI, integral.errors
