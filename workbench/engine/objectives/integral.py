"""The marginal likelihood itself, by a sum over nodes: adaptive Gauss-Hermite quadrature, or importance sampling.

For each subject, with nodes ζ_k of weights w_k for integrals over a density q (for one mode ẑ, ζ_k = ẑ + C t_k with
C Cᵀ the inverse curvature there),

    -2 log ∫ p(y | ζ) φ(ζ) dζ  ≈  -2 log Σ_k w_k exp(-½ l(ζ_k)) (2π)^(-Q/2) / q(ζ_k)

with l of `likelihood` (Pinheiro & Bates 1995, J Comput Graph Stat 4:12). Where a subject has several modes, q is the
mixture of what stands around each of them, by their shares of the likelihood; draws come from the population as well,
so that no mode that was overlooked has a density near 0 (Owen & Zhou 2000, J Am Stat Assoc 95:135). Draws are spread
evenly and shifted at random (Cranley & Patterson 1976, SIAM J Numer Anal 13:904), several times: how these repeats
differ tells the error. Where a random effect moves an event in time the integrand has corners, which no grid follows:
draws stand in its place.

The nodes stay where they are while x moves, so that the sum is a smooth function of x whose exact gradient is the mean
of ∂l/∂x over the nodes, by their weights (Fisher's identity); once a minimum is found they are put around the modes
there, until that changes nothing any more. A grid may be minimised so. The minimum of a sum over draws is that of their
noise as well: few draws get all the weight as x moves away from where they were put. Therefore draws are `following`
the modes, and their mean gradient, unbiased at every x, is brought to 0.
"""

from __future__ import annotations

import math
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.draws import Draws, learned
from workbench.engine.objectives.objective import Basin, Evaluation, Objective
from workbench.engine.predictions.abreast import ABREAST
from workbench.engine.predictions.machine import abreast, call, kernel
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import (
    MEASURED,
    SUM_OF_DEVIATIONS,
    any_is,
    first_order,
    log_of_prediction,
    plain_first_order,
    to_logarithm,
)
from workbench.engine.problem.scale import Point
from workbench.errors import ModelError
from workbench.methods import Importance, Quadrature, method_of

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_NODES = (1, 21, 11, 7, 5, 3, 3)  # by the number of random effects
_MOST_NODES = 20_000
_SECONDS_AN_OBSERVATION = 3e-8  # what it takes to add it, once predicted
_SAME = 1e-5  # of the objective: less is what new nodes may change at a minimum
_GRAIN = 0.1  # of a standard error: a node that passes a kink of l changes the gradient at once
_ENOUGH = 0.1  # effective share of the draws below which a subject is drawn anew
_ENOUGH_BESIDE = 0.4  # the same, where there are corners
_ROUNDS = 3
_SAME_DRAWS = 0.05  # of its Monte Carlo error: the same, where the nodes are draws
_IN_PLACE = 2000  # draws, where a grid cannot follow corners


class Integral:
    """The objective by quadrature or importance sampling; stands where an `Objective` does.

    Parameters
    ----------
    problem : Problem
    options : Quadrature or Importance
    x : float64[size]
        Where the nodes are put first.

    Attributes
    ----------
    draws : Importance
        How nodes are drawn, if they are.
    said : str
        What there is to say of them beside their error; mostly nothing.
    errors, effective : float64[N]
        Where the nodes are draws: standard error of each subject's objective, and how many its draws are worth.

    Raises
    ------
    ModelError
        If a grid over so many random effects would be too large.
    """

    def __init__(self, problem: Problem, options: Quadrature | Importance, x: Array):
        self.problem, self.options = problem, options
        self._modes = Objective(problem)
        self.said, self.draws = "", options if isinstance(options, Importance) else Importance(_IN_PLACE)
        if isinstance(options, Quadrature) and self._modes.cornered:
            self.said = "No grid follows the corners of a lag or a duration: draws stand in its place."
        self._nodes: _Grid | Draws
        if isinstance(options, Quadrature) and not self.said:
            self._nodes = _Grid(problem, options)
        else:
            self._nodes = Draws(problem, self.draws)
        self.tolerance, self.grain = 0.0, 0.0  # there is no search within
        self._spent = 0
        self.errors = np.full(problem.n_subjects, math.nan)
        self.effective = np.full(problem.n_subjects, math.nan)
        self._follows, self._learnt = False, False
        self._basins: list[Basin] = []
        self._finer: tuple[Array, float] | None = None
        self._last: _Last | None = None
        self._centred, self._modes_there = x, np.empty((problem.n_subjects, problem.n_random))
        self.centre(x)

    @property
    def drawn(self) -> bool:
        """Whether the nodes are draws: what is summed over them has a Monte Carlo error."""
        return self._nodes.drawn

    @property
    def standard_error(self) -> float:
        """Of the objective that was evaluated last, where the nodes are draws."""
        return math.sqrt(float((self.errors**2).sum()))

    @property
    def evaluations(self) -> int:
        """Evaluations of the sum, and of the modes that it was put around."""
        return self._spent + self._modes.evaluations

    def centre(self, x: Array) -> None:
        """Put the nodes around the modes at x."""
        at = self._modes.evaluate(x)
        if not (self._follows or self._modes.cornered):
            at = self._modes.deepen(at)
        self._modes.accept(at)
        if self._follows and len(self._basins) > 1:  # parts that were learnt go where the modes go
            shift = np.where(np.isfinite(at.zeta), at.zeta - self._modes_there, 0.0)
            self._put([basin._replace(centre=basin.centre + shift) for basin in self._basins])
            return
        self._modes_there, self._centred, self._learnt = at.zeta, x, self._follows
        self._basins = self._modes.basins(at, most=0) if self._follows else self._modes.basins(at)
        self.grain = _GRAIN if self._modes.cornered else 0.0
        if self.grain and self.drawn:
            self._basins.append(self._modes.beside_corners(self._basins[0]))
        self._put(self._basins)

    def _put(self, basins: list[Basin]) -> None:
        self._zeta, self._log_weight = self._nodes.around(basins)

    def _put_better(self, point: Point, mean: Array) -> bool:
        """Whether subjects whose draws, just weighted, say little got other ones: from where the weights suggest."""
        if self._learnt or not self.drawn:
            return False
        self._learnt, enough, changed = True, _ENOUGH_BESIDE if self.grain else _ENOUGH, False
        for _ in range(_ROUNDS):
            weight = self._weights(np.arange(self.problem.n_subjects))
            few = np.flatnonzero(~(1.0 / (weight**2).sum(axis=0) > enough * len(weight)))
            if not few.size:
                break
            self._basins = learned(self._basins, few, self._zeta[:, few], weight[:, few])
            self._put(self._basins)
            self._summed(point, mean, 0)
            changed = True
        if changed:
            self._nodes = Draws(self.problem, self.draws, turn=1)
            self._put(self._basins)
            self._summed(point, mean, 0)
        return changed

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
        if np.array_equal(at.x, self._centred):
            return at
        self.centre(at.x)
        again = self.evaluate(at.x)
        same = max(_SAME, _SAME_DRAWS * self.standard_error) if self.drawn else _SAME
        return at if abs(again.ofv - at.ofv) < same else again

    def evaluate(self, x: Array) -> Evaluation:
        """Compute objective and gradient at x; `zeta` of the result is the conditional mean of ζ."""
        if self._follows:
            self.centre(x)
        if self._last is not None and self._last.nodes is self._zeta and np.array_equal(self._last.at.x, x):
            at, self.errors, self.effective = self._last.at, self._last.errors, self._last.effective
            return at
        problem, layout = self.problem, self.problem.layout
        point = problem.scale.point(x)
        mean, A = layout.mean(point.theta)
        sums, total, ofv = self._weighed(x, point, mean, 1)
        with np.errstate(all="ignore"):
            by_u, middle = sums.by_u / total[:, None], sums.zeta / total[:, None]
            by_u_zeta, by_sigma = (part / total[:, None, None] for part in (sums.by_u_zeta, sums.by_sigma))
        by_theta, by_L = np.einsum("idm,id->im", A, by_u), np.einsum("idp,idq->ipq", layout.B, by_u_zeta)
        scores = problem.scale.gradient(point, by_theta, by_L, by_sigma)
        at = Evaluation(
            x,
            point,
            mean,
            total_of(ofv),
            scores.sum(axis=0),
            ofv,
            scores,
            middle,
            -2.0 * sums.top,
            None,
            len(self._zeta),
        )
        self._last = _Last(self._zeta, at, self.errors, self.effective)
        return at

    def by_subject(self, x: Array) -> Array:
        """The objective of each subject at x, float64[N], where no gradient is needed."""
        if self._follows:
            self.centre(x)
        point = self.problem.scale.point(x)
        return self._weighed(x, point, self.problem.layout.mean(point.theta)[0], 0)[2]

    def _weighed(self, x: Array, point: Point, mean: Array, order: int) -> tuple[_Sums, Array, Array]:
        """Sums over the nodes, of the likelihood by its largest part as well, and the objective of each subject."""
        sums = self._summed(point, mean, order)
        if np.array_equal(x, self._centred) and self._put_better(point, mean):
            sums = self._summed(point, mean, order)
        with np.errstate(all="ignore"):
            likelihood = np.exp(self._power - sums.top)
            total = likelihood.sum(axis=0)
            ofv = self.problem.n_random * math.log(2 * math.pi) - 2.0 * (sums.top + np.log(total))
            ofv += self.problem.observations.jacobian
            self.effective = total**2 / (likelihood**2).sum(axis=0)
            self.errors = self._nodes.errors(likelihood)
        self._spent += 1
        return sums, total, ofv

    def nodes(self, x: Array) -> tuple[Array, Array]:
        """The nodes as random effects, and how likely each is given the observations.

        Returns
        -------
        eta : float64[K, N, Q]
        weight : float64[K, N]
            Of p(η | y) at x; they add up to 1 for each subject, and are NaN where no node can be computed.
        """
        point = self.problem.scale.point(x)
        mean, _ = self.problem.layout.mean(point.theta)
        self._summed(point, mean, 0)
        self._put_better(point, mean)
        return self._zeta @ point.L.T, self._weights(np.arange(self.problem.n_subjects))

    def _weights(self, subjects: Index) -> Array:
        """How likely each node of some subjects is given the observations, as evaluated last, float64[K, subjects]."""
        power = self._power[:, subjects]
        with np.errstate(all="ignore"):
            weight = np.exp(power - power.max(axis=0))
            return np.asarray(weight / weight.sum(axis=0))

    def _summed(self, point: Point, mean: Array, order: int) -> _Sums:
        """Fill the powers, log p(y, ζ) - log q(ζ) at the nodes, and by order 1 the sums over them."""
        problem, predictor, seen = self.problem, self.problem.predictor, self.problem.observations
        Bl = problem.layout.B @ point.L
        K, N, Q = self._zeta.shape
        D, n = mean.shape[1], len(problem.y)
        self._power = np.empty((K, N))
        sums = _Sums(
            np.full(N, -np.inf), np.zeros((N, D)), np.zeros((N, D, Q)), np.zeros((N, *point.sigma.shape)),
            np.zeros((N, Q)),
        )  # fmt: skip
        about = seen.first, seen.y, seen.upper, seen.what, seen.response, seen.kind, seen.logarithmic, seen.floor

        def run(address: int, arguments: int, part: Index, left: Index) -> int:
            room = np.empty(D), np.empty(n), np.empty((n * order, D)), np.empty((0, D, D))
            count: int = _add_nodes(
                address, arguments, part, about, point.sigma, mean, Bl, self._zeta, self._log_weight, order, room,
                self._power, sums, left,
            )  # fmt: skip
            return count

        def several(address: int, arguments: int, part: Index, left: Index) -> int:
            room = _room(D, Q, point.sigma.shape, int(np.diff(seen.first).max(initial=1)))
            count: int = _add_abreast(
                address, arguments, part, about, point.sigma, mean, Bl, self._zeta, self._log_weight, order, room,
                self._power, sums, left,
            )  # fmt: skip
            return count

        seconds = K * (N * predictor.seconds(order) + n * _SECONDS_AN_OBSERVATION)
        alike = K > 1 and not self._modes.cornered  # or else events are in another order at some nodes
        predictor.over(run, np.arange(N), seconds, several if alike else None)
        return sums

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
        if self.drawn:
            self.evaluate(at.x)
            return f"{self.said} The Monte Carlo error of the OFV is {self.standard_error:.2g}.".strip()
        assert isinstance(self._nodes, _Grid)
        along, change = self._nodes.along, self.change(at)
        said = f"{along} nodes along each random effect"
        return f"{said}." if math.isnan(change) else f"{said}; with {along + 2} the OFV differs by {change:.1g}."

    def change(self, at: Evaluation) -> float:
        """By how much the objective differs with two more nodes along each random effect.

        NaN where there is no grid, or these would be too many.
        """
        if not isinstance(self._nodes, _Grid) or (self._nodes.along + 2) ** self.problem.n_random > _MOST_NODES:
            return math.nan
        if self._finer is None or not np.array_equal(self._finer[0], at.x):
            finer = Integral(self.problem, Quadrature(self._nodes.along + 2), at.x).by_subject(at.x)
            self._finer = at.x, total_of(finer)
        return self._finer[1] - at.ofv


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
            self._units, self._log_weights = np.zeros((1, 1, 0)), np.zeros((1, 1))  # there is nothing to sum over
            return
        t, w = np.polynomial.hermite_e.hermegauss(self.along)
        grid = np.stack(np.meshgrid(*[t] * Q, indexing="ij"), axis=-1).reshape(-1, 1, Q)
        log_w = np.zeros(1)
        for _ in range(Q):
            log_w = (log_w[:, None] + np.log(w / w.sum())).ravel()
        self._units = grid
        self._log_weights = log_w[:, None] + Q / 2 * math.log(2 * math.pi) + 0.5 * (grid**2).sum(axis=-1)

    def around(self, basins: list[Basin]) -> tuple[Array, Array]:
        """Nodes ζ_k, float64[K, N, Q], and log w_k - log q(ζ_k), float64[K, N]."""
        (basin,) = basins
        K, N, Q = len(self._units), *basin.centre.shape
        zeta = basin.centre + np.einsum("ipq,kiq->kip", basin.spread, np.broadcast_to(self._units, (K, N, Q)))
        return zeta, self._log_weights + np.log(np.diagonal(basin.spread, axis1=1, axis2=2)).sum(axis=1)

    def errors(self, likelihood: Array) -> Array:
        """Not known."""
        return np.full(likelihood.shape[1], math.nan)


def total_of(by_subject: Array) -> float:
    """The objective; NaN where that of a subject is not known."""
    return float(by_subject.sum()) if np.isfinite(by_subject).all() else math.nan


class _Last(NamedTuple):
    """What was evaluated last, over which nodes, with the errors and the effective draws of the subjects."""

    nodes: Array
    at: Evaluation
    errors: Array
    effective: Array


class _Sums(NamedTuple):
    """Over the nodes of each subject, weighted by e = exp(power - top).

    Attributes
    ----------
    top : float64[N]
        The largest power.
    by_u : float64[N, D]; by_u_zeta : float64[N, D, Q]; by_sigma : float64[N, responses, C]; zeta : float64[N, Q]
        Σ e · (l_u, l_u ζᵀ, l_σ, ζ).
    """

    top: Array
    by_u: Array
    by_u_zeta: Array
    by_sigma: Array
    zeta: Array


@kernel
def _add_nodes(
    address, arguments, subjects, about, sigma, mean, Bl, zeta, log_weight, order, room, power, sums, left
):  # fmt: skip
    """Predict all nodes of some subjects; fill power[K, N] and, by order 1, the sums over them.

    A node at which the prediction is not a number adds nothing. Returns how many subjects are `left` to be predicted
    otherwise.
    """
    first, y, upper, what, response, kind, logarithmic, floor = about
    u, f, fu, fuu = room
    K, _, Q = zeta.shape
    S, C = sigma.shape
    D = mean.shape[1]
    lu = np.zeros(D)
    slopes, scratch, ls = np.zeros((C, 4)), np.zeros((C, C + 1)), np.zeros((S, C))
    transformed = any_is(logarithmic)
    count = 0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        top = -np.inf
        by_u, by_u_zeta, by_sigma, middle = sums.by_u[i], sums.by_u_zeta[i], sums.by_sigma[i], sums.zeta[i]
        by_u[:], by_u_zeta[:], by_sigma[:], middle[:] = 0.0, 0.0, 0.0, 0.0
        for node in range(K):
            value = 0.0
            for q in range(Q):
                value += zeta[node, i, q] * zeta[node, i, q]
            for d in range(D):
                u[d] = mean[i, d]
                for q in range(Q):
                    u[d] += Bl[i, d, q] * zeta[node, i, q]
            if call(address, (arguments, i, u, order, 0, f, fu, fuu)) != 0:
                left[count] = i
                count += 1
                break
            if transformed:
                to_logarithm(subjects[which : which + 1], first, response, logarithmic, floor, order, f, fu, fuu)
            lu[:] = 0.0
            ls[:] = 0.0
            for j in range(first[i], first[i + 1]):
                k = response[j]
                L, L1 = first_order(order, what[j], kind[k], y[j], upper[j], f[j], sigma, k, scratch, slopes, ls)
                value += L
                if order == 0:
                    continue
                for d in range(D):
                    lu[d] += L1 * fu[j, d]
            now = log_weight[node, i] - 0.5 * value
            power[node, i] = now if math.isfinite(now) else -np.inf
            if not math.isfinite(now):
                continue
            if now > top:
                shrink = math.exp(top - now)
                if shrink == 0.0:  # what counts for nothing may have infinite slopes
                    by_u[:], by_u_zeta[:], by_sigma[:], middle[:] = 0.0, 0.0, 0.0, 0.0
                for d in range(D):
                    by_u[d] *= shrink
                    for q in range(Q):
                        by_u_zeta[d, q] *= shrink
                for k in range(S):
                    for c in range(C):
                        by_sigma[k, c] *= shrink
                for q in range(Q):
                    middle[q] *= shrink
                top = now
            e = math.exp(now - top)
            if order == 0 or e == 0.0:
                continue
            for d in range(D):
                by_u[d] += e * lu[d]
                for q in range(Q):
                    by_u_zeta[d, q] += e * lu[d] * zeta[node, i, q]
            for k in range(S):
                for c in range(C):
                    by_sigma[k, c] += e * ls[k, c]
            for q in range(Q):
                middle[q] += e * zeta[node, i, q]
        sums.top[i] = top
    return count


class _Room(NamedTuple):
    """What `ABREAST` nodes of a subject are worked on in; the last axis of all arrays are these.

    Attributes
    ----------
    zeta : float64[Q, ABREAST]; power : float64[1, ABREAST]
        Of the nodes, log p(y, ζ) - log q(ζ) without p first.
    u : float64[D, ABREAST]; f : float64[most, ABREAST]; fu : float64[most, D, ABREAST]
        Where the observations of a subject are predicted, and the predictions.
    l : float64[2, ABREAST]; lu : float64[D, ABREAST]; ls : float64[S, C, ABREAST]
        What observations add to l, with their slopes; the slopes of l.
    by_u, by_u_zeta, by_sigma, middle : float64[..., ABREAST]
        Parts of the sums, see `_Sums`.
    """

    zeta: Array
    power: Array
    u: Array
    f: Array
    fu: Array
    l: Array  # noqa: E741
    lu: Array
    ls: Array
    by_u: Array
    by_u_zeta: Array
    by_sigma: Array
    middle: Array


def _room(D: int, Q: int, sigma: tuple[int, ...], most: int) -> _Room:
    shapes = (Q,), (1,), (D,), (most,), (most, D), (2,), (D,), sigma, (D,), (D, Q), sigma, (Q,)
    return _Room(*[np.zeros((*shape, ABREAST)) for shape in shapes])


@kernel
def _add_abreast(
    address, arguments, subjects, about, sigma, mean, Bl, zeta, log_weight, order, room, power, sums, left
):  # fmt: skip
    """As `_add_nodes`, with `ABREAST` nodes of a subject at a time."""
    first, y, upper, what, response, kind, logarithmic, floor = about
    K, _, Q = zeta.shape
    S, C = sigma.shape
    D = mean.shape[1]
    z, u, f, fu, added = abreast(room.zeta), abreast(room.u), abreast(room.f), abreast(room.fu), abreast(room.l)
    lu, ls, powers = abreast(room.lu), abreast(room.ls), abreast(room.power)
    by_u, by_u_zeta, by_sigma = abreast(room.by_u), abreast(room.by_u_zeta), abreast(room.by_sigma)
    middle, none = abreast(room.middle), fu.reshape(1, 0, 0)
    slopes, scratch, alone = np.zeros((C, 4)), np.zeros((C, C + 1)), np.zeros((S, C))
    count = 0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        begins, top, done = first[i], -np.inf, True
        by_u[:], by_u_zeta[:], by_sigma[:], middle[:] = 0.0, 0.0, 0.0, 0.0
        for begin in range(0, K, ABREAST):
            for lane in range(ABREAST):
                node = min(begin + lane, K - 1)
                for q in range(Q):
                    room.zeta[q, lane] = zeta[node, i, q]
                room.power[0, lane] = log_weight[node, i] if begin + lane < K else -np.inf
            value = 0.0
            for q in range(Q):
                value += z[q] * z[q]
            for d in range(D):
                now = mean[i, d]
                for q in range(Q):
                    now += Bl[i, d, q] * z[q]
                u[d] = now
            if call(address, (arguments, i, u, order, begins, f, fu, none)) != 0:
                left[count] = i
                count += 1
                done = False
                break
            lu[:], ls[:] = 0.0, 0.0
            for j in range(begins, first[i + 1]):
                k, r = response[j], j - begins
                if logarithmic[k]:
                    log_of_prediction(r, floor[k], order, f, fu, none)
                if what[j] == MEASURED and kind[k] <= SUM_OF_DEVIATIONS:
                    L, L1, by_a, by_b = plain_first_order(kind[k], y[j], f[r], sigma, k)
                    if order > 0:
                        ls[k, 0] += by_a
                        ls[k, 1] += by_b
                else:
                    for lane in range(ABREAST):
                        for c in range(C):
                            alone[k, c] = 0.0
                        room.l[0, lane], room.l[1, lane] = first_order(
                            order, what[j], kind[k], y[j], upper[j], room.f[r, lane], sigma, k, scratch, slopes, alone
                        )  # fmt: skip
                        for c in range(C):
                            room.ls[k, c, lane] += alone[k, c]
                    L, L1 = added[0], added[1]
                value += L
                if order > 0:
                    for d in range(D):
                        lu[d] += L1 * fu[r, d]
            now = powers[0] - 0.5 * value
            powers[0] = now if math.isfinite(now) else -np.inf
            highest = top
            for lane in range(min(ABREAST, K - begin)):
                power[begin + lane, i] = room.power[0, lane]
                highest = max(highest, room.power[0, lane])
            if highest == -np.inf or order == 0:
                top = highest
                continue
            if highest > top:
                shrink = math.exp(top - highest)
                for d in range(D):
                    by_u[d] = by_u[d] * shrink if shrink > 0.0 else 0.0  # what counts for nothing may be infinite
                    for q in range(Q):
                        by_u_zeta[d, q] = by_u_zeta[d, q] * shrink if shrink > 0.0 else 0.0
                for k in range(S):
                    for c in range(C):
                        by_sigma[k, c] = by_sigma[k, c] * shrink if shrink > 0.0 else 0.0
                for q in range(Q):
                    middle[q] *= shrink
                top = highest
            e = math.exp(powers[0] - top)
            for d in range(D):
                part = e * lu[d] if e > 0.0 else 0.0
                by_u[d] += part
                for q in range(Q):
                    by_u_zeta[d, q] += part * z[q]
            for k in range(S):
                for c in range(C):
                    by_sigma[k, c] += e * ls[k, c] if e > 0.0 else 0.0
            for q in range(Q):
                middle[q] += e * z[q]
        if not done:
            continue
        sums.top[i] = top
        for lane in range(ABREAST):
            for d in range(D):
                sums.by_u[i, d] += room.by_u[d, lane]
                for q in range(Q):
                    sums.by_u_zeta[i, d, q] += room.by_u_zeta[d, q, lane]
            for k in range(S):
                for c in range(C):
                    sums.by_sigma[i, k, c] += room.by_sigma[k, c, lane]
            for q in range(Q):
                sums.zeta[i, q] += room.middle[q, lane]
    return count
