"""The marginal likelihood itself, by a sum over nodes: adaptive Gauss-Hermite quadrature, or importance sampling.

For each subject, with nodes ζ_k of weights w_k for integrals over a density q (for one mode ẑ, ζ_k = ẑ + C t_k with
C Cᵀ the inverse curvature there),

    -2 log ∫ p(y | ζ) φ(ζ) dζ  ≈  -2 log Σ_k w_k exp(-½ l(ζ_k)) (2π)^(-Q/2) / q(ζ_k)

with l of `likelihood` (Pinheiro & Bates 1995, J Comput Graph Stat 4:12). Where a subject has several modes, q is the
mixture of what stands around each of them, by their shares of the likelihood; draws come from the population as well,
so that no mode that was overlooked has a density near 0 (Owen & Zhou 2000, J Am Stat Assoc 95:135).

The nodes stay where they are while x moves, so that the sum is a smooth function of x whose exact gradient is the mean
of ∂l/∂x over the nodes, by their weights (Fisher's identity); once a minimum is found they are put around the modes
there, until that changes nothing any more. A grid may be minimised so. The minimum of a sum over draws is that of their
noise as well: few draws get all the weight as x moves away from where they were put. Therefore draws are `following`
the modes, and their mean gradient, unbiased at every x, is brought to 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import logsumexp

from workbench.engine.objectives.objective import Basin, Evaluation, Objective
from workbench.engine.objectives.scan import depths
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import record, record_slopes
from workbench.engine.problem.views import of_subjects
from workbench.errors import ModelError
from workbench.methods import Importance, Quadrature, method_of

Array = NDArray[np.float64]

_NODES = (1, 21, 11, 7, 5, 3, 3)  # by the number of random effects
_MOST_NODES = 20_000
_TOGETHER = 16_000  # observations predicted in one call: enough for both threads, and a bound of the memory
_DF = 4.0  # of the t distribution that is drawn from: tails heavier than those of any posterior
_SAME = 1e-5  # of the objective: less is what new nodes may change at a minimum
_DEFENSIVE = 0.05  # share of the draws that come from the population
_GRAIN = 0.1  # of a standard error: a node that passes a kink of l changes the gradient at once
_FEW = 0.1  # effective share of the draws below which a subject is drawn anew
_SAME_DRAWS = 0.05  # of its Monte Carlo error: the same, where the nodes are draws


class Integral:
    """The objective by quadrature or importance sampling; stands where an `Objective` does.

    Parameters
    ----------
    problem : Problem
    options : Quadrature or Importance
    x : float64[size]
        Where the nodes are put first.

    Raises
    ------
    ModelError
        If a grid over so many random effects would be too large.
    """

    def __init__(self, problem: Problem, options: Quadrature | Importance, x: Array):
        self.problem, self.options = problem, options
        self._modes = Objective(problem)
        self._nodes = _KINDS[type(options)](problem, options)
        self._copies: Problem | None = None
        self.tolerance, self.grain = 0.0, 0.0  # there is no search within
        self._spent = 0
        self.standard_error = math.nan
        self.effective = np.full(problem.n_subjects, math.nan)
        self._follows = False
        self._basins: list[Basin] = []
        self.centre(x)

    @property
    def drawn(self) -> bool:
        """Whether the nodes are draws: what is summed over them has a Monte Carlo error."""
        return self._nodes.drawn

    @property
    def evaluations(self) -> int:
        """Evaluations of the sum, and of the modes that it was put around."""
        return self._spent + self._modes.evaluations

    def centre(self, x: Array) -> None:
        """Put the nodes around the modes at x."""
        at = self._modes.evaluate(x)
        self._modes.accept(at)
        if self._follows:  # only the deepest modes move
            self._basins = [*self._modes.basins(at, most=0), *self._basins[1:]]
        else:
            self._basins = self._modes.basins(at)
            self.grain = _GRAIN if len(self._basins) > 1 else 0.0
        self._put(self._basins)

    def _put(self, basins: list[Basin]) -> None:
        self._zeta, self._log_weight = self._nodes.around(basins)

    def adapt(self, x: Array) -> NDArray[np.int64]:
        """Draw anew for subjects whose draws say little, from a mixture that their weights suggest as well.

        Returns
        -------
        int64
            The subjects.
        """
        _, weight = self.nodes(x)
        few = np.flatnonzero(1.0 / (weight**2).sum(axis=0) < _FEW * len(weight))
        if few.size and self.problem.n_random:
            w, zeta = weight[:, few], self._zeta[:, few]
            middle = np.einsum("ki,kiq->iq", w, zeta)
            apart = zeta - middle
            covariance = np.einsum("ki,kip,kiq->ipq", w, apart, apart) + 1e-12 * np.eye(zeta.shape[2])
            centre, spread = self._basins[0].centre.copy(), self._basins[0].spread.copy()
            log_size = np.full(len(centre), -np.inf)
            good = np.isfinite(covariance).all(axis=(1, 2))
            centre[few[good]], spread[few[good]] = middle[good], np.linalg.cholesky(2.0 * covariance[good])
            log_size[few[good]] = np.max([basin.log_size[few[good]] for basin in self._basins], axis=0)
            self._basins = [*self._basins, Basin(centre, spread, log_size)]
            self._put(self._basins)
        return few

    def following(self) -> Integral:
        """The same, but its nodes follow the modes from x to x, for differences of gradients.

        The Hessian of the sum with nodes that stay is that of a subject's complete data less the variance of its
        gradient over the nodes: where the data are rich both are large, and a few draws do not tell their difference.
        """
        other = copy(self)
        other._follows = True
        return other

    def accept(self, evaluation: Evaluation) -> None:
        """Nothing: the nodes stay."""

    def deepen(self, at: Evaluation) -> Evaluation:
        """The evaluation with nodes put around the modes at `at`; the same one where that changes nothing."""
        self.centre(at.x)
        again = self.evaluate(at.x)
        return at if abs(again.ofv - at.ofv) < self._nodes.same(self.standard_error) else again

    def evaluate(self, x: Array) -> Evaluation:
        """Compute objective and gradient at x; `zeta` of the result is the conditional mean of ζ."""
        if self._follows:
            self.centre(x)
        problem, seen, layout = self.problem, self.problem.observations, self.problem.layout
        point = problem.scale.point(x)
        mean, A = layout.mean(point.theta)
        Bl = layout.B @ point.L
        N, Q, D = problem.n_subjects, problem.n_random, problem.n_coordinates
        top, total, square = np.full(N, -np.inf), np.zeros(N), np.zeros(N)
        by_u, by_u_zeta = np.zeros((N, D)), np.zeros((N, D, Q))
        by_sigma, middle = np.zeros((N, *point.sigma.shape)), np.zeros((N, Q))
        with np.errstate(all="ignore"):
            for log_weight, zeta, f, fu in self._predicted(mean, Bl, 1):
                _add_nodes(
                    seen.first, seen.y, seen.upper, seen.what, seen.response, f, fu, seen.kind, point.sigma, zeta,
                    log_weight, top, total, square, by_u, by_u_zeta, by_sigma, middle,
                )  # fmt: skip
            log_sum = top + np.log(total)
            by_u /= total[:, None]
            by_u_zeta /= total[:, None, None]
            by_sigma /= total[:, None, None]
            middle /= total[:, None]
            ofv = Q * math.log(2 * math.pi) - 2.0 * log_sum + seen.jacobian
            K = len(self._zeta)
            self.effective = total**2 / square
            relative = np.maximum(square / total**2 - 1.0 / K, 0.0)  # squared standard error of log total
            self.standard_error = 2.0 * math.sqrt(float(relative.sum()))
        by_theta, by_L = np.einsum("idm,id->im", A, by_u), np.einsum("idp,idq->ipq", layout.B, by_u_zeta)
        scores = problem.scale.gradient(point, by_theta, by_L, by_sigma)
        self._spent += 1
        total_ofv = float(ofv.sum()) if np.isfinite(ofv).all() else math.nan
        return Evaluation(x, point, mean, total_ofv, scores.sum(axis=0), ofv, scores, middle, -2.0 * top, (), K)

    def nodes(self, x: Array) -> tuple[Array, Array]:
        """The nodes as random effects, and how likely each is given the observations.

        Returns
        -------
        eta : float64[K, N, Q]
        weight : float64[K, N]
            Of p(η | y) at x; they add up to 1 for each subject, and are NaN where no node can be computed.
        """
        problem, seen, layout = self.problem, self.problem.observations, self.problem.layout
        point = problem.scale.point(x)
        mean, _ = layout.mean(point.theta)
        Bl = layout.B @ point.L
        found, ones = [], np.ones(len(problem.y))
        with np.errstate(all="ignore"):
            for log_weight, zeta, f, _ in self._predicted(mean, Bl, 0):
                depth = np.empty(zeta.shape[:2])
                depths(
                    True,
                    seen.first,
                    seen.y,
                    seen.upper,
                    seen.what,
                    seen.response,
                    f,
                    seen.kind,
                    point.sigma,
                    ones,
                    depth,
                )
                found.append((zeta, log_weight - 0.5 * (depth + (zeta**2).sum(axis=2))))
            zeta, power = (np.concatenate(parts) for parts in zip(*found, strict=True))
            power[~np.isfinite(power)] = -np.inf
            weight = np.exp(power - power.max(axis=0))
            weight /= weight.sum(axis=0)
        return zeta @ point.L.T, weight

    def _predicted(self, mean: Array, Bl: Array, order: int) -> Iterator[tuple[Array, Array, Array, Array]]:
        """The nodes with their predictions, as many of them at a time as there are copies of the subjects.

        Yields
        ------
        log_weight : float64[k, N]
        zeta : float64[k, N, Q]
        f : float64[k, n]
            Overwritten by the next, as is what follows.
        fu : float64[k, n, D]
            ∂f/∂u by order 1; by order 0 there is none.
        """
        N, D, n = *Bl.shape[:2], len(self.problem.y)
        if self._copies is None:
            most = min(_TOGETHER // max(n, 1), len(self._zeta))
            self._copies = of_subjects(self.problem, np.tile(np.arange(N), most)) if most > 1 else self.problem
        copies = self._copies.n_subjects // N
        f, fu, fuu = np.empty(copies * n), np.zeros((copies * n * order, D)), np.empty((0, D, D))
        for begin in range(0, len(self._zeta), copies):
            zeta, log_weight = self._zeta[begin : begin + copies], self._log_weight[begin : begin + copies]
            k = len(zeta)
            u = mean + np.einsum("idq,kiq->kid", Bl, zeta)
            self._copies.predict(np.arange(k * N), u.reshape(k * N, D), order, f, fu, fuu)
            slopes = fu[: k * n * order].reshape(k * order, n, D)
            yield log_weight, zeta, f[: k * n].reshape(k, n), slopes

    def modes(self, at: Evaluation) -> Evaluation:
        """Those of FOCEI."""
        return Objective(self.problem).evaluate(at.x)

    def linearisation(self, at: Evaluation) -> tuple[Array, Array]:
        """As that of FOCEI: f ≈ E + G ζ around the modes."""
        return self._modes.linearisation(self._modes.evaluate(at.x))

    def accuracy(self, at: Evaluation) -> str:
        """A sentence on how exact the integral is; "" without random effects, where there is none."""
        if not self.problem.n_random:
            return ""
        return self._nodes.accuracy(self, at)


class _Nodes(Protocol):
    """Where the integrand is evaluated, and with which weights; `drawn`: at random."""

    drawn: bool

    def around(self, basins: list[Basin]) -> tuple[Array, Array]:
        """Nodes ζ_k, float64[K, N, Q], and log w_k - log q(ζ_k), float64[K, N]."""

    def same(self, standard_error: float) -> float:
        """By how much nodes put elsewhere may change the objective at a minimum; its Monte Carlo error is given."""

    def accuracy(self, integral: Integral, at: Evaluation) -> str:
        """A sentence on how exact the sum is."""


class _Grid:
    """Gauss-Hermite nodes along each random effect, around every mode."""

    def __init__(self, problem: Problem, options: Quadrature):
        self.drawn = False
        Q = problem.n_random
        self.along = options.nodes or _NODES[min(Q, len(_NODES) - 1)]
        if self.along**Q > _MOST_NODES:
            raise ModelError(
                f"Quadrature over {Q} random effects (those of occasions included) with {self.along} nodes along each "
                f"takes {self.along**Q:.3g} of them; at most {_MOST_NODES:,} are possible. "
                f"Use method={method_of(Importance()).name!r}."
            )
        if not Q:
            self._units, self._log_weights = _ONE
            return
        t, w = np.polynomial.hermite_e.hermegauss(self.along)
        grid = np.stack(np.meshgrid(*[t] * Q, indexing="ij"), axis=-1).reshape(-1, 1, Q)
        log_w = np.zeros(1)
        for _ in range(Q):
            log_w = (log_w[:, None] + np.log(w / w.sum())).ravel()
        self._units = grid
        self._log_weights = log_w[:, None] + Q / 2 * math.log(2 * math.pi) + 0.5 * (grid**2).sum(axis=-1)

    def around(self, basins: list[Basin]) -> tuple[Array, Array]:
        zeta, log_weight = zip(*(self._around(basin) for basin in basins), strict=True)
        if len(basins) == 1:
            return zeta[0], log_weight[0]
        # each grid sums its own part of the integrand, which is its share of the mixture there
        shares = _log_shares(basins)
        parts = []
        for own, (points, weights) in enumerate(zip(zeta, log_weight, strict=True)):
            each = np.stack([s + _log_normal(points, b) for s, b in zip(shares, basins, strict=True)])
            with np.errstate(invalid="ignore"):
                parts.append(weights + each[own] - logsumexp(each, axis=0))
        return np.concatenate(zeta), np.nan_to_num(np.concatenate(parts), nan=-np.inf, posinf=-np.inf, neginf=-np.inf)

    def _around(self, basin: Basin) -> tuple[Array, Array]:
        K, N, Q = len(self._units), *basin.centre.shape
        zeta = basin.centre + np.einsum("ipq,kiq->kip", basin.spread, np.broadcast_to(self._units, (K, N, Q)))
        return zeta, self._log_weights + np.log(np.diagonal(basin.spread, axis1=1, axis2=2)).sum(axis=1)

    def same(self, standard_error: float) -> float:
        return _SAME

    def accuracy(self, integral: Integral, at: Evaluation) -> str:
        said, finer = f"{self.along} nodes along each random effect", self.along + 2
        if integral.grain:  # grids that are both wrong at a corner can agree
            draws = Integral(integral.problem, Importance(), at.x)
            change = draws.evaluate(at.x).ofv - at.ofv
            return (
                f"{said}, which do not follow the corners of a lag or a duration: by draws, whose Monte Carlo error is "
                f"{draws.standard_error:.1g}, the OFV differs by {change:.1g}."
            )
        if finer**integral.problem.n_random > _MOST_NODES:
            return f"{said}."
        change = Integral(integral.problem, Quadrature(finer), at.x).evaluate(at.x).ofv - at.ofv
        return f"{said}; with {finer} the OFV differs by {change:.1g}."


class _Draws:
    """Antithetic draws from t distributions around the modes and, a few, around 0; others for each subject."""

    def __init__(self, problem: Problem, options: Importance):
        self.drawn = problem.n_random > 0
        rng = np.random.default_rng(options.seed)
        K, N, Q = options.samples, problem.n_subjects, problem.n_random
        if not Q:
            self._units, self._log_weights = _ONE
            return
        half = rng.standard_normal((-(-K // 2), N, Q))
        units = np.concatenate([half, -half])[:K]
        self._units = units / np.sqrt(rng.chisquare(_DF, (K, N, 1)) / _DF)

    def around(self, basins: list[Basin]) -> tuple[Array, Array]:
        K, N, Q = self._units.shape
        if not Q:
            return np.broadcast_to(self._units, (K, len(basins[0].centre), 0)), np.zeros((K, len(basins[0].centre)))
        population = Basin(np.zeros((N, Q)), np.broadcast_to(np.eye(Q), (N, Q, Q)), np.zeros(N))
        shares = [np.log1p(-_DEFENSIVE) + share for share in _log_shares(basins)]
        shares.append(np.full(N, math.log(_DEFENSIVE)))
        several = [*basins, population]
        # which of them a draw belongs to: antithetic pairs to the same, each as often as its share says
        pairs = -(-K // 2)
        ends = np.cumsum(np.exp(shares), axis=0)
        at = (np.arange(pairs) + 0.5) / pairs
        owner = np.concatenate([(at[:, None, None] > ends[:-1].T[None]).sum(axis=2)] * 2)[:K]
        zeta = np.empty((K, N, Q))
        for m, basin in enumerate(several):
            mine = owner == m
            found = basin.centre + np.einsum("ipq,kiq->kip", basin.spread, self._units)
            zeta[mine] = found[mine]
        density = logsumexp([share + _log_t(zeta, b) for share, b in zip(shares, several, strict=True)], axis=0)
        return zeta, -density - math.log(K)

    def same(self, standard_error: float) -> float:
        return max(_SAME, _SAME_DRAWS * standard_error) if math.isfinite(standard_error) else _SAME

    def accuracy(self, integral: Integral, at: Evaluation) -> str:
        integral.evaluate(at.x)
        return f"The Monte Carlo error of the OFV is {integral.standard_error:.2g}."


def _log_shares(basins: list[Basin]) -> list[Array]:
    """Of each subject's likelihood, by Laplace's approximation, float64[N] a basin."""
    if len(basins) == 1:
        return [np.zeros_like(basins[0].log_size)]
    sizes = np.array([basin.log_size for basin in basins])
    sizes[0, ~np.isfinite(sizes).any(axis=0)] = 0.0
    return list(sizes - logsumexp(sizes, axis=0))


def _squared_distance(zeta: Array, basin: Basin) -> tuple[Array, Array]:
    """|C⁻¹ (ζ - centre)|², float64[K, N], and log|C|, float64[N]."""
    inverse = np.linalg.inv(basin.spread)
    t = np.einsum("ipq,kiq->kip", inverse, zeta - basin.centre)
    return (t**2).sum(axis=-1), np.log(np.diagonal(basin.spread, axis1=1, axis2=2)).sum(axis=1)


def _log_normal(zeta: Array, basin: Basin) -> Array:
    square, log_volume = _squared_distance(zeta, basin)
    return np.asarray(-0.5 * square - log_volume)


def _log_t(zeta: Array, basin: Basin) -> Array:
    Q = zeta.shape[2]
    square, log_volume = _squared_distance(zeta, basin)
    peak = math.lgamma((_DF + Q) / 2) - math.lgamma(_DF / 2) - Q / 2 * math.log(_DF * math.pi)
    return np.asarray(peak - log_volume - (_DF + Q) / 2 * np.log1p(square / _DF))


_ONE = np.zeros((1, 1, 0)), np.zeros((1, 1))  # without random effects there is nothing to sum over
_KINDS: dict[type[Quadrature | Importance], Callable[[Problem, Any], _Nodes]] = {Quadrature: _Grid, Importance: _Draws}


@njit(cache=True, nogil=True, error_model="numpy")
def _add_nodes(
    first_observation, y, upper, what, response, f, fu, kind, sigma, zeta, log_weight,
    top, total, square, by_u, by_u_zeta, by_sigma, middle,
):  # fmt: skip
    """Add nodes of every subject to the sums: Σ e, Σ e², and Σ e · (l_u, l_u ζᵀ, l_σ, ζ), e relative to exp(top).

    A node at which the prediction is not a number adds nothing.
    """
    N, D, Q = by_u_zeta.shape
    S, C = sigma.shape
    lu = np.zeros(D)
    slopes, scratch, ls = np.zeros((C, 4)), np.zeros((C, C + 1)), np.zeros((S, C))
    for node in range(f.shape[0]):
        for i in range(N):
            value = 0.0
            lu[:] = 0.0
            ls[:] = 0.0
            for q in range(Q):
                value += zeta[node, i, q] * zeta[node, i, q]
            for j in range(first_observation[i], first_observation[i + 1]):
                k = response[j]
                L, L1, _, _, _ = record(True, what[j], kind[k], y[j], upper[j], f[node, j], sigma, k, 1.0)
                value += L
                record_slopes(what[j], kind[k], y[j], upper[j], f[node, j], sigma, k, scratch, slopes)
                for c in range(C):
                    ls[k, c] += slopes[c, 0]
                for d in range(D):
                    lu[d] += L1 * fu[node, j, d]
            power = log_weight[node, i] - 0.5 * value
            if not math.isfinite(power):
                continue
            if power > top[i]:
                shrink = math.exp(top[i] - power)
                total[i] *= shrink
                square[i] *= shrink * shrink
                by_u[i] *= shrink
                by_u_zeta[i] *= shrink
                by_sigma[i] *= shrink
                middle[i] *= shrink
                top[i] = power
            e = math.exp(power - top[i])
            total[i] += e
            square[i] += e * e
            for d in range(D):
                by_u[i, d] += e * lu[d]
                for q in range(Q):
                    by_u_zeta[i, d, q] += e * lu[d] * zeta[node, i, q]
            for k in range(S):
                for c in range(C):
                    by_sigma[i, k, c] += e * ls[k, c]
            for q in range(Q):
                middle[i, q] += e * zeta[node, i, q]
