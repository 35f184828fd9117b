"""Draws for importance sampling: from a mixture of t distributions, spread evenly, that learns from their weights.

Each repeat is a Sobol sequence, shifted at random for each subject (Cranley & Patterson 1976, SIAM J Numer Anal
13:904): unbiased, with an error that falls nearly with the number of draws, and that the repeats tell. The parts of the
mixture that stand for a subject's modes learn from weighted draws by steps of EM (Cappé, Douc, Guillin, Marin & Robert
2008, Stat Comput 18:447); one more, the population, stays.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, expit, gammaincinv, logsumexp, ndtri

from workbench.engine.objectives.objective import Basin
from workbench.engine.predictions.abreast import ABREAST
from workbench.engine.predictions.machine import abreast, kernel
from workbench.engine.problem.problem import Problem
from workbench.methods import Importance

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_DF = 4.0  # of the t distributions: tails heavier than those of any posterior
_REPEATS = 8
_DEFENSIVE = 0.05  # share of the draws that come from the population
_PRIOR = 5.0  # draws that the spread of a part is worth before it learns
_FEWEST = 0.01  # share of a part


class Draws:
    """Where the integrand is evaluated; others for each subject.

    Parameters
    ----------
    problem : Problem
    options : Importance

    Attributes
    ----------
    drawn : bool
        False without random effects, where there is nothing to draw.

    Those of another `turn` are independent: a mixture that was learnt from draws must be judged by others, or it looks
    narrower than the likelihood is.
    """

    def __init__(self, problem: Problem, options: Importance, turn: int = 0):
        self.drawn = problem.n_random > 0
        N, Q = problem.n_subjects, problem.n_random
        if not Q:
            return
        self._repeats = max(2, min(_REPEATS, options.samples // _REPEATS))
        each = -(-options.samples // self._repeats)
        uniform = _even(each, N, Q + 2, self._repeats, np.random.default_rng([options.seed, turn]))
        self._which = np.ascontiguousarray(uniform[:, :, 0])
        self._units = ndtri(uniform[:, :, 2:]) / np.sqrt(_chi_squared(uniform[:, :, 1]) / _DF)[:, :, None]

    def around(self, basins: list[Basin]) -> tuple[Array, Array]:
        """Draws ζ_k, float64[K, N, Q], and -log(K q(ζ_k)), float64[K, N]."""
        N, Q = basins[0].centre.shape
        if not Q:
            return np.zeros((1, N, 0)), np.zeros((1, N))
        parts = [*basins, _population(N, Q)]
        zeta, log_weight = np.empty(self._units.shape), np.empty(self._units.shape[:2])
        _place(
            self._units, self._which, np.array([b.centre for b in parts]), np.array([b.spread for b in parts]),
            _shares(basins), _log_peak(Q) + math.log(len(zeta)), zeta, log_weight,
        )  # fmt: skip
        return zeta, log_weight

    def errors(self, likelihood: Array) -> Array:
        """Standard errors of the subjects' objectives, float64[N], from p(y, ζ) / q(ζ) at the draws, float64[K, N]."""
        if not self.drawn:
            return np.zeros(likelihood.shape[1])
        means = likelihood.reshape(self._repeats, -1, likelihood.shape[1]).mean(axis=1)
        return np.asarray(2.0 * means.std(axis=0, ddof=1) / means.mean(axis=0) / math.sqrt(self._repeats))


def learned(basins: list[Basin], subjects: Index, zeta: Array, weight: Array) -> list[Basin]:
    """The parts of a mixture for some subjects as their draws suggest, by a step of EM.

    Parameters
    ----------
    basins : list of Basin
    subjects : int64[k]
    zeta : float64[K, k, Q]; weight : float64[K, k]
        Draws from this mixture, and how likely each is given the observations.
    """
    Q = zeta.shape[2]
    parts = [*basins, _population(len(basins[0].centre), Q)]
    chosen = [Basin(b.centre[subjects], b.spread[subjects], b.log_size[subjects]) for b in parts]
    with np.errstate(all="ignore"):
        density = np.array([np.log(s) for s in _shares(basins)[:, subjects]])[:, None] + [
            _log_t(zeta, part) for part in chosen
        ]
        owned = np.exp(density - logsumexp(density, axis=0)) * weight
    found = []
    for basin, mine in zip(basins, owned[:-1], strict=True):
        share = mine.sum(axis=0)
        known = share**2 / np.maximum((mine**2).sum(axis=0), 1e-300)  # effective draws
        good = np.isfinite(share) & (share > _FEWEST)
        middle = np.einsum("ki,kiq->iq", mine, zeta) / np.where(good, share, 1.0)[:, None]
        apart = zeta - middle
        covariance = np.einsum("ki,kip,kiq->ipq", mine, apart, apart) / np.where(good, share, 1.0)[:, None, None]
        before = basin.spread[subjects] @ basin.spread[subjects].transpose(0, 2, 1)
        known = known[:, None, None]
        covariance = (known * covariance + _PRIOR * before) / (known + _PRIOR)
        centre, spread, log_size = basin.centre.copy(), basin.spread.copy(), basin.log_size.copy()
        at = subjects[good]
        centre[at], spread[at] = middle[good], np.linalg.cholesky(covariance[good])
        log_size[subjects] = np.where(good, np.log(np.where(good, share, 1.0)), -np.inf)
        found.append(Basin(centre, spread, log_size))
    return found


def _population(N: int, Q: int) -> Basin:
    return Basin(np.zeros((N, Q)), np.broadcast_to(np.eye(Q), (N, Q, Q)), np.zeros(N))


def _shares(basins: list[Basin]) -> Array:
    """Of the draws, first those of the basins, by their sizes, then that of the population, float64[parts, N]."""
    sizes = np.array([basin.log_size for basin in basins])
    sizes[0, ~np.isfinite(sizes).any(axis=0)] = 0.0
    shares = (1.0 - _DEFENSIVE) * np.exp(sizes - logsumexp(sizes, axis=0))
    return np.concatenate([shares, np.full((1, shares.shape[1]), _DEFENSIVE)])


def _log_peak(Q: int) -> float:
    """Logarithm of the density of the standard t distribution at 0."""
    return math.lgamma((_DF + Q) / 2) - math.lgamma(_DF / 2) - Q / 2 * math.log(_DF * math.pi)


def _log_t(zeta: Array, basin: Basin) -> Array:
    """Logarithms of the density of a part, but for a constant, float64[K, N]."""
    t = np.einsum("ipq,kiq->kip", np.linalg.inv(basin.spread), zeta - basin.centre)
    log_volume = np.log(np.diagonal(basin.spread, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(-log_volume - (_DF + zeta.shape[2]) / 2 * np.log1p((t**2).sum(axis=-1) / _DF))


def _even(each: int, N: int, dimensions: int, repeats: int, rng: np.random.Generator) -> Array:
    """Points of the unit cube, spread evenly and shifted at random for each repeat and subject, float64[K, N, dim]."""
    from scipy.stats import qmc  # takes half a second to import

    points = qmc.Sobol(dimensions, scramble=False).random_base2(max(each - 1, 1).bit_length())[:each]
    shifts = rng.random((repeats, 1, N, dimensions))
    uniform = points[None, :, None, :] + shifts
    uniform -= uniform >= 1.0
    return np.asarray(np.clip(uniform, 1e-15, 1 - 1e-15).reshape(repeats * each, N, dimensions))


def _chi_squared(uniform: Array) -> Array:
    """Quantiles of χ² with the degrees of freedom of the t distribution; off by less than 1e-6."""
    logit = np.log(uniform) - np.log1p(-uniform)
    return np.asarray(np.exp(np.interp(logit, *_quantiles())))


@cache
def _quantiles() -> tuple[Array, Array]:
    logit = np.linspace(-36.0, 36.0, 20_001)
    return logit, np.log(np.where(logit < 0, 2.0 * gammaincinv(0.5 * _DF, expit(logit)), chdtri(_DF, expit(-logit))))


@kernel
def _place(units, which, centre, spread, share, log_peak_and_count, zeta, log_weight):
    """Draws from a mixture of t distributions, and minus the logarithms of their densities times their number.

    units float64[K, N, Q], standard t; which float64[K, N], uniform, tells from which of the parts; centre
    float64[M, N, Q]; spread float64[M, N, Q, Q]; share float64[M, N].
    """
    M, N, Q = centre.shape
    K = units.shape[0]
    height, at, part = np.empty(M), np.empty((3 * Q + 2, ABREAST)), np.empty((M, ABREAST))
    draw, log_part = abreast(at), abreast(part)  # ABREAST draws, and what they are worked on in
    unit, z, apart, uniform, weight = draw[0:Q], draw[Q : 2 * Q], draw[2 * Q : 3 * Q], 3 * Q, 3 * Q + 1
    for i in range(N):
        for m in range(M):
            volume = 1.0
            for p in range(Q):
                volume *= spread[m, i, p, p]
            height[m] = math.log(share[m, i] / volume) if share[m, i] > 0.0 else -np.inf
        for begin in range(0, K, ABREAST):
            for lane in range(ABREAST):
                k = min(begin + lane, K - 1)
                at[uniform, lane] = which[k, i]
                for q in range(Q):
                    at[q, lane] = units[k, i, q]
            for p in range(Q):
                z[p], until = 0.0, 0.0
                for m in range(M):
                    there = centre[m, i, p]
                    for q in range(p + 1):
                        there += spread[m, i, p, q] * unit[q]
                    z[p] = there if draw[uniform] >= until else z[p]
                    until += share[m, i]
            top = -np.inf
            for m in range(M):
                log_part[m] = -np.inf
                if not share[m, i] > 0.0:
                    continue
                square = 0.0
                for p in range(Q):
                    t = z[p] - centre[m, i, p]
                    for q in range(p):
                        t -= spread[m, i, p, q] * apart[q]
                    apart[p] = t / spread[m, i, p, p]
                    square += apart[p] * apart[p]
                log_part[m] = height[m] - 0.5 * (_DF + Q) * math.log(1.0 + square / _DF)
                top = max(top, log_part[m])
            density = 0.0
            for m in range(M):
                density += math.exp(log_part[m] - top)
            draw[weight] = -(top + math.log(density) + log_peak_and_count)
            for lane in range(min(ABREAST, K - begin)):
                log_weight[begin + lane, i] = at[weight, lane]
                for p in range(Q):
                    zeta[begin + lane, i, p] = at[Q + p, lane]
