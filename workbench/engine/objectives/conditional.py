"""Samples of the random effects from their conditional distribution, given the observations of each subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objectives.integral import Integral
from workbench.engine.problem.compile import compile
from workbench.methods import Importance
from workbench.model import Model

Array = NDArray[np.float64]

_NODES = 8  # for each draw


@dataclass(frozen=True, eq=False)
class ConditionalDraws:
    """Random effects drawn from p(η_i | y_i).

    Attributes
    ----------
    eta : float64[draws, N, Q]
        In the order of `FitResult.eta_matrix`; NaN for a subject whose likelihood cannot be computed.
    effective : float64[N]
        How many independent draws the weighted points of a subject, of which `eta` is drawn, are worth.
    """

    eta: Array
    effective: Array


def conditional_draws(model: Model, data: GroupedData, draws: int = 50, seed: int = 1) -> ConditionalDraws:
    """Draw the random effects of each subject from their distribution given its observations.

    By importance resampling (Rubin 1987, J Am Stat Assoc 82:543): points of a t distribution around the mode, as wide
    as the curvature there, are weighted with their density and drawn again by these weights.

    Parameters
    ----------
    model : Model
        With all values stated, such as `fit.model`.
    data : GroupedData
    draws : int
    seed : int
        Equal seeds give equal draws.

    Returns
    -------
    ConditionalDraws
    """
    problem = compile(model, data)
    integral = Integral(problem, Importance(max(_NODES * draws, 10), seed), problem.x)
    nodes, weight = integral.nodes(problem.x)
    rng = np.random.default_rng([seed, draws])
    eta = np.full((draws, *nodes.shape[1:]), np.nan)
    for i in np.flatnonzero(np.isfinite(weight).all(axis=0)):
        at = np.searchsorted(np.cumsum(weight[:, i]), (np.arange(draws) + rng.random(draws)) / draws)
        eta[:, i] = nodes[rng.permutation(np.minimum(at, len(nodes) - 1)), i]
    with np.errstate(divide="ignore", invalid="ignore"):
        return ConditionalDraws(eta, 1.0 / (weight**2).sum(axis=0))
