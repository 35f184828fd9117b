"""Many replicates of a problem at once: new random effects, new residual errors, if wanted new parameters.

Subjects do not touch each other, so a replicate is the same subjects once more: blocks of replicates are laid out as
one problem, and a prediction kernel is called once for a block. The numbers do not depend on the size of the blocks,
nor on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import variances
from workbench.engine.problem.scale import Point
from workbench.engine.problem.views import of_subjects

Array = NDArray[np.float64]

_EVENTS = 20_000  # of a block: few calls, and little memory


class Replicates:
    """A problem laid out for many replicates.

    Parameters
    ----------
    problem : Problem
        N subjects, n predictions, Q random effects.
    count : int
        How many replicates there will be, K.
    """

    def __init__(self, problem: Problem, count: int):
        self.problem, self.count = problem, count
        events = max(1, len(problem.schedule.time))
        self._at_once = max(1, min(count, _EVENTS // events))
        several = np.tile(np.arange(problem.n_subjects), self._at_once)
        self._block = of_subjects(problem, several) if self._at_once > 1 else problem

    def predictions(self, points: Sequence[Point], eta: Array | None = None) -> Array:
        """Predictions on the natural scale, float64[K, n].

        Parameters
        ----------
        points : sequence of Point
            One, or one for each replicate.
        eta : float64[K, N, Q], optional
            Random effects; 0 by default.
        """
        problem, K = self.problem, self.count
        N, D, n = problem.n_subjects, problem.n_coordinates, problem.schedule.n_slots
        means = self._means(points)
        f = np.full((K, n), np.nan)
        nothing = np.empty((0, D)), np.empty((0, D, D))
        for first in range(0, K, self._at_once):
            part = slice(first, min(first + self._at_once, K))
            k = part.stop - first
            u = np.zeros((self._at_once, N, D))
            u[:k] = means[part] if len(means) > 1 else means[0]
            if eta is not None and problem.n_random:
                u[:k] += np.einsum("idq,kiq->kid", problem.layout.B, eta[part])
            out = np.full(self._at_once * n, np.nan)
            self._block.predictor.predict(np.arange(k * N), u.reshape(self._at_once * N, D), 0, out, *nothing)
            f[part] = out[: k * n].reshape(k, n)
        return f

    def _means(self, points: Sequence[Point]) -> Array:
        """a(θ) of each point, float64[1 or K, N, D]."""
        layout = self.problem.layout
        if layout.fractional:
            return np.array([layout.mean(point.theta)[0] for point in points])
        theta = np.array([point.theta for point in points])
        return np.asarray(np.einsum("idm,km->kid", layout.A, theta))

    def analysed(self, f: Array) -> Array:
        """Predictions of the observations, float64[K, n], on the scale of the analysis."""
        seen = self.problem.observations
        if not seen.logarithmic.any():
            return f
        floor = seen.floor[seen.response]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(seen.logarithmic[seen.response], np.log(np.where(f > 0, f, floor)), f)

    def residual_variance(self, points: Sequence[Point], analysed: Array) -> Array:
        """Variance of the residual error at predictions on the scale of the analysis, float64[K, n]."""
        seen, (K, n) = self.problem.observations, analysed.shape
        sigma = np.concatenate([point.sigma for point in points])
        kinds = len(seen.kind)
        response = np.tile(seen.response, (K, 1))
        if len(points) > 1:
            response += kinds * np.arange(K)[:, None]
        R, R_f = np.empty((2, K * n))
        slopes = np.empty((K * n, sigma.shape[1]))
        variances(np.tile(seen.kind, len(points)), response.ravel(), analysed.ravel(), sigma, R, R_f, slopes)
        return np.asarray(R.reshape(K, n))

    def drawn(self, points: Sequence[Point], rng: np.random.Generator) -> tuple[Array, Array]:
        """Individual predictions and observations of new random effects and residual errors.

        Parameters
        ----------
        points : sequence of Point
            One, or one for each replicate.
        rng : Generator
            Drawn from replicate by replicate, so that the first ones do not depend on how many there are.

        Returns
        -------
        f, y : float64[K, n]
            On the natural scale, and on the scale of the analysis.
        """
        return self.made(points, rng.standard_normal((self.count, self.normals)))

    @property
    def normals(self) -> int:
        """Standard normal numbers that a replicate is made of: of the random effects, and of the residual errors."""
        problem = self.problem
        return problem.n_subjects * problem.n_random + problem.schedule.n_slots

    def made(self, points: Sequence[Point], z: Array) -> tuple[Array, Array]:
        """What `drawn` gives, of numbers z[K, normals] that are given."""
        problem, K = self.problem, self.count
        N, Q = problem.n_subjects, problem.n_random
        eta = effects(points, z[:, : N * Q].reshape(K, N, Q))
        f = self.predictions(points, eta)
        y = self.analysed(f)
        with np.errstate(invalid="ignore"):
            return f, y + np.sqrt(self.residual_variance(points, y)) * z[:, N * Q :]

    def as_data(self, f: Array, y: Array) -> tuple[Array, Array]:
        """What `drawn` returns on the scale of the data: logarithms where these are."""
        problem = self.problem
        taken = np.array([error.takes_logarithm for error in problem.errors])[problem.observations.response]
        with np.errstate(over="ignore"):
            dv = np.where(taken, np.exp(np.where(taken, y, 0.0)), y) if taken.any() else y
        return np.where(taken, f, self.analysed(f)), dv


def effects(points: Sequence[Point], z: Array) -> Array:
    """Random effects L z of standard normal z[K, N, Q], by one L or one for each replicate.

    Summed in a fixed order, so that the bits do not depend on how many there are.
    """
    if len(points) == 1:
        return np.asarray(np.einsum("pq,kiq->kip", points[0].L, z))
    return np.asarray(np.einsum("kpq,kiq->kip", np.array([point.L for point in points]), z))
