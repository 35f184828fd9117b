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

    ζ is drawn in two rounds: around the mode with the curvature that FOCEI takes there, then around the mean with the
    covariance that the first round found. A part of the draws comes from the distribution of ζ in the population, so
    that no weight can be large (Hesterberg 1995, Technometrics 37:185).
    """
    problem, at, _, G, R = _modes(model, data)
    first, rng = problem.observations.first[:-1], np.random.default_rng(seed)
    H = np.eye(at.zeta.shape[1]) + np.add.reduceat(np.einsum("jp,jq->jpq", G, G) / R[:, None, None], first)
    zeta, log_weights = _drawn(problem, at, at.zeta, np.asarray(np.linalg.inv(H), dtype=float), draws, rng)
    weights = np.exp(log_weights - log_weights.max(axis=0))
    weights /= weights.sum(axis=0)
    mean = np.einsum("ki,kiq->iq", weights, zeta)
    covariance = np.einsum("ki,kip,kiq->ipq", weights, zeta - mean, zeta - mean) + 1e-6 * np.linalg.inv(H)
    _, log_weights = _drawn(problem, at, mean, covariance, draws, rng)
    top = log_weights.max(axis=0)
    weights = np.exp(log_weights - top)
    average = weights.mean(axis=0)
    return -2 * (top + np.log(average)), 2 * weights.std(axis=0) / average / math.sqrt(draws)


def _drawn(
    problem: Problem, at: Evaluation, centre: Array, covariance: Array, draws: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draws of ζ, float64[draws, N, Q], and the logarithms of their weights, float64[draws, N].

    Three in four come from a t distribution with 4 degrees of freedom, the others from N(0, 1).
    """
    seen = problem.observations
    N, Q = centre.shape
    spread = np.linalg.cholesky(covariance)
    normal = -Q / 2 * LOG_2PI
    df = 4.0
    peak = math.lgamma((df + Q) / 2) - math.lgamma(df / 2) - Q / 2 * math.log(df * math.pi)
    peak = peak - np.log(np.diagonal(spread, axis1=1, axis2=2)).sum(axis=1)
    zeta, log_weights = np.empty((draws, N, Q)), np.empty((draws, N))
    for k in range(draws):
        step = rng.standard_normal((N, Q)) / np.sqrt(rng.chisquare(df, (N, 1)) / df)
        near = centre + np.einsum("ipq,iq->ip", spread, step)
        zeta[k] = z = np.where(rng.random((N, 1)) < 0.75, near, rng.standard_normal((N, Q)))
        step = np.linalg.solve(spread, (z - centre)[:, :, None])[:, :, 0]
        prior = normal - (z**2).sum(axis=1) / 2
        student = peak - (df + Q) / 2 * np.log1p((step**2).sum(axis=1) / df)
        f = problem.analysed(problem.predictions(at.point, z @ at.point.L.T))
        variance = problem.residual_variance(at.point, f)
        fit = np.add.reduceat((problem.y - f) ** 2 / variance + np.log(variance), seen.first[:-1])
        joint = prior - (fit + np.diff(seen.first) * LOG_2PI) / 2
        log_weights[k] = joint - np.logaddexp(math.log(0.75) + student, math.log(0.25) + prior)
    return zeta, log_weights
