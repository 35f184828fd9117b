"""SAEM: the marginal likelihood maximised by stochastic approximation of the EM algorithm.

Each iteration draws the random effects of every subject from their conditional distribution by a few Metropolis steps
and moves the parameters by what the draws say. Two of five proposals come from the approximation that FOCEI makes of
the conditional distribution (Karimi, Lavielle & Moulines 2020, Comput Stat Data Anal 141:123), two walk in its shape,
one comes from Ψ.

Exploration, after Kuhn & Lavielle 2005 (Comput Stat Data Anal 49:1020): the parameters go to what suits the draws best,

    η + X θ held    what the random effects can take up: those θ by generalised least squares, Ψ from Σ E[η ηᵀ]
    η held          all other θ, shares of random effects and the residual errors: one scoring step of p(y | η)

Smoothing: a draw's gradient of p(y | ζ) by x is in the mean that of the marginal likelihood (Fisher's identity), so
that Newton steps along it, the k-th 1/k of the way, end at the maximum (Gu & Kong 1998, Proc Natl Acad Sci 95:7270).
The Hessian is FOCEI's. EM steps in its place would come closer by k to the power of the share of the information that
the data hold: slow where they are sparse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.uncertainty import hessian
from workbench.engine.methods.complete import own_effects, psi_numbers, psi_of_moments, shares, taken_up, widened
from workbench.engine.objectives import likelihood as lik
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.predictions.machine import call, inner, kernel
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import any_is, record, record_slopes, to_logarithm, variances
from workbench.engine.problem.views import of_subjects
from workbench.errors import FitError
from workbench.methods import Saem

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Watch = Callable[[int, Evaluation], bool]

_AT_LEAST = 50  # subjects times chains
_EVERY = 10  # iterations between two looks at the modes
_COOLING = 0.95  # variances fall by no more than this an iteration in the first half of the exploration
_ACCEPTED = 0.3  # share of the steps of a random walk that should be accepted
_DF = 4.0  # of the t distribution around the modes that proposals come from
_FARTHEST = 1.0  # that a logarithm moves in one scoring step
_AWAY = 0.03  # share by which correlations are lessened in the exploration: from ±1 there is no way back
_WARY = 0.2  # of the way, in the second half of the exploration: a sample's Ψ is nearer to singular than Ψ
_BEHIND = 5  # the k-th smoothing step goes 1/(k + 5) of the way, or less:
_STIFF = 4.0  # steps of more than 4/stiffness go too far and back, farther every time, as η does not follow at once
_LONGEST = 2.0  # smoothing step, in standard errors
_LEAST_CURVED = 0.05  # eigenvalue of the Hessian with unit diagonal
_AGAIN = (1, 25)  # smoothing steps at which the Hessian is taken
_WALKS = 2
_JUMPS = 2


@dataclass(frozen=True, eq=False)
class Found:
    """Where SAEM ended.

    Attributes
    ----------
    x : float64[size]
    trace : tuple of (iteration, OFV by FOCEI)
    path : tuple of float64[size]
        x at each of them.
    stopped : bool
    short : float
        How far the OFV is above its nearest minimum: ½ g H⁻¹ g with g the mean gradient of the draws in the second half
        of the smoothing and FOCEI's Hessian H; NaN if it was stopped before.
    """

    x: Array
    trace: tuple[tuple[int, float], ...]
    path: tuple[Array, ...]
    stopped: bool
    short: float


def saem(problem: Problem, options: Saem, watch: Watch, part: Callable[[int, int], None]) -> Found:
    """Search the maximum of the marginal likelihood from the values that the problem states.

    Parameters
    ----------
    problem : Problem
    options : Saem
    watch : callable
        Called with (iteration, evaluation); True stops the search. The evaluation is FOCEI's, of the last of every ten
        iterations; x and the point are those of the iteration.
    part : callable
        Told how many iterations of how many are done.

    Returns
    -------
    Found

    Raises
    ------
    FitError
        If the likelihood cannot be computed at the start.
    """
    search = StochasticEM(problem, options)
    total = options.exploration + options.smoothing
    stopped = watch(0, search.seen)
    trace, path = [(0, search.seen.ofv)], [search.x.copy()]
    for k in range(1, total + 1):
        if stopped:
            break
        if k <= options.exploration:
            search.explore(cooling=k <= options.exploration // 2)
        else:
            search.smooth(k - options.exploration, late=k > total - (options.smoothing + 1) // 2)
        if k % _EVERY == 0 or k == total:
            search.look()
        trace.append((k, search.seen.ofv))
        path.append(search.x.copy())
        part(k, total)
        stopped = watch(k, replace(search.seen, x=search.x.copy(), point=problem.scale.point(search.x)))
    return Found(search.x, tuple(trace), tuple(path), stopped, search.short)


class StochasticEM:
    """Where the algorithm is: the parameters, the draws, and the moments of the random effects given the data.

    Attributes
    ----------
    x : float64[size]
    seen : Evaluation
        The last one by FOCEI.
    """

    def __init__(self, problem: Problem, options: Saem):
        self._problem, self._scale = problem, problem.scale
        N = problem.n_subjects
        self._chains = options.chains or -(-_AT_LEAST // N)
        self._copies = of_subjects(problem, np.tile(np.arange(N), self._chains))
        self._rng = np.random.default_rng(options.seed)
        self._own = own_effects(self._scale)
        self._taken, self._X = taken_up(problem, self._own)
        self._present = (problem.layout.B[:, :, self._own] != 0).any(axis=1)
        place = np.cumsum(self._scale.theta_free) - 1
        self._taken_x = place[self._taken]
        self._scored = np.setdiff1d(np.arange(self._scale.size), [*self._taken_x, *psi_numbers(self._scale)])
        last = self._scale.size - sum(entry.free for entry in self._scale.errors)
        self._curves = self._scored[self._scored < last]  # of the scored, what the predictions depend on
        self._acting, self._at = np.empty((0, 0, 0)), np.empty(0)  # see `_locate`
        self._of_own = np.ix_(self._own, self._own)
        self._shared = bool((self._scale.subject.owner >= 0).any())
        self._free_errors = [entry for entry in self._scale.errors if entry.free]
        response = self._copies.observations.response
        self._mine = np.array([response == entry.response for entry in self._free_errors])
        self._mine = self._mine.reshape(len(self._free_errors), len(response)).T
        n, D = len(self._copies.y), problem.n_coordinates
        self._f, self._fu, self._no_fuu = np.empty(n), np.zeros((n, D)), np.empty((0, D, D))
        self._all = np.arange(self._copies.n_subjects)

        self._modes = Objective(problem)
        self.seen = self._modes.evaluate(problem.x)
        if not np.isfinite(self.seen.by_subject).all():
            raise FitError("The likelihood cannot be computed at the initial values; try other ones.")
        self.x = widened(self._scale, problem.x)
        Q = len(self._own)
        self._eta = np.zeros((self._copies.n_subjects, Q))
        self._centre, self._shape = np.zeros((N, Q)), np.broadcast_to(np.eye(Q), (N, Q, Q)).copy()
        self._log_stride = np.full(self._copies.n_subjects, math.log(2.4 / math.sqrt(Q)))
        self._mean, self._square = np.zeros((N, Q)), np.zeros((Q, Q))
        self._information: Array | float = 0.0
        self._behind = float(_BEHIND)
        self._late, self._late_count = np.zeros(self._scale.size), 0
        self._inverse, self._hessian = np.zeros((2, self._scale.size, self._scale.size))
        self._squares, self._products = np.zeros((2, self._scale.size, self._scale.size))
        self._locate()
        self.look()
        self._eta = np.tile(self._centre, (self._chains, 1))

    def _locate(self) -> None:
        """What follows from x: the point, the factor of Ψ of the effects that are drawn, and how they act."""
        self._point = self._scale.point(self.x)
        self._L = self._point.L[self._of_own]
        if self._shared or not self._acting.size:
            B = self._copies.layout.B
            self._acting = np.ascontiguousarray(B @ shares(self._scale, self._point.L)[:, self._own])
        if not np.array_equal(self._at, self._point.theta):
            self._at = self._point.theta
            self._typical, self._slopes = self._copies.layout.mean(self._at)

    def look(self) -> None:
        """Find the modes at x; proposals are made around them."""
        at = self._modes.evaluate(self.x.copy())
        if not at.finite:
            return
        self._modes.accept(at)
        self.seen = at
        L = at.point.L[self._own]
        covariance = L @ (2.0 * at.inverse) @ L.T
        good = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(at.zeta).all(axis=1)
        self._centre[good] = (at.zeta @ L.T)[good]
        tiny = 1e-14 * np.einsum("qq->q", self._L @ self._L.T)
        for i in np.flatnonzero(good):
            try:
                self._shape[i] = np.linalg.cholesky(covariance[i] + np.diag(tiny))
            except np.linalg.LinAlgError:
                self._shape[i] = self._L

    def explore(self, cooling: bool) -> None:
        """One iteration of EM."""
        gain = 1.0 if cooling else _WARY
        self._score(gain, cooling)
        self._draw(gain)
        self._remember(gain)
        self._take_up()
        self._set_psi(cooling)

    @property
    def short(self) -> float:
        """See `Found`."""
        if not self._late_count:
            return math.nan
        gradient = self._late / self._late_count
        return 0.5 * float(gradient @ self._inverse @ gradient)

    def smooth(self, k: int, late: bool) -> None:
        """The k-th step along the gradient of the draws; `late` ones tell how near the minimum is."""
        if k in _AGAIN:
            self._curve()
        if k == 1:
            self._behind = max(_BEHIND, self._stiffness() / _STIFF)
        self._predict(self._eta, 1)
        gradient = self._gradient()
        self._draw(1.0 / k)
        if not np.isfinite(gradient).all():
            return
        if late:
            self._late, self._late_count = self._late + gradient, self._late_count + 1
        step = -self._inverse @ gradient / (k + self._behind)
        length = math.sqrt(max(float(step @ self._hessian @ step) / 2.0, 0.0))
        before, theta = (self.x.copy(), self._eta, self._centre), self._point.theta
        self.x += step * min(1.0, _LONGEST / max(length, 1e-300))
        self._locate()
        shift = self._X @ (self._point.theta - theta)[self._taken]
        self._eta = self._eta - np.tile(shift, (self._chains, 1))
        self._centre = self._centre - shift
        self._predict(self._eta, 0)
        if not np.isfinite(self._f).all():
            self.x, self._eta, self._centre = before
            self._locate()

    def _curve(self) -> None:
        """FOCEI's Hessian at x, bent to be positive where it is not."""
        at = self._modes.evaluate(self.x.copy())
        matrix = hessian(self._modes, at) if at.finite else None
        if matrix is None or not np.isfinite(matrix).all():
            matrix = 0.5 * self.seen.scores.T @ self.seen.scores
        floor = np.where(self._scale.logarithmic, 1.0, 1e-300)
        unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), floor))
        values, vectors = np.linalg.eigh(matrix * np.outer(unit, unit))
        values = np.maximum(np.abs(values), _LEAST_CURVED)
        self._inverse = (vectors / values) @ vectors.T * np.outer(unit, unit)
        self._hessian = (vectors * values) @ vectors.T / np.outer(unit, unit)

    def _stiffness(self) -> float:
        """The information of p(y | η) on the scored x over that of the marginal likelihood, where it is the largest.

        Large where parameters without a random effect go together with those that have one, as E0 and Emax with EC50:
        as long as η stays, a step changes the gradient by so many times what the Hessian says.
        """
        if not len(self._scored):
            return 0.0
        at = np.ix_(self._scored, self._scored)
        return float(np.linalg.eigvals(self._inverse[at] @ self._information).real.max())

    def _gradient(self) -> Array:
        """An unbiased draw of the gradient of the marginal likelihood, from the predictions just made, float64[size].

        Of -2 log p(y | ζ), and with η + X θ held in place of ζ: the noise of the one is large where data are rich, that
        of the other where they are sparse. Their difference is 0 in the mean, so what it explains is taken away.
        """
        held, moved = self._gradients()
        difference = held - moved
        mean = difference.mean(axis=0)
        W = np.linalg.lstsq(self._squares, self._products, rcond=1e-8)[0]
        self._squares = self._squares + np.einsum("ik,il->kl", difference, difference)
        self._products = self._products + np.einsum("ik,il->kl", difference, held)
        return np.asarray((held.mean(axis=0) - mean @ W) * self._problem.n_subjects)

    def _gradients(self) -> tuple[Array, Array]:
        """The copies' gradients by x with η + X θ held, and with ζ held, float64[copies, size]."""
        seen, sigma, own = self._copies.observations, self._point.sigma, self._own
        copies, D = self._typical.shape
        zeta = np.zeros((copies, self._problem.n_random))
        zeta[:, own] = self._standardised(self._eta)
        by_u, by_sigma = np.zeros((copies, D)), np.zeros((copies, *sigma.shape))
        _by_subject(
            seen.first, seen.y, seen.upper, seen.what, seen.response, self._f, self._fu, seen.kind, sigma,
            by_u, by_sigma,
        )  # fmt: skip
        by_theta = np.einsum("idm,id->im", self._slopes, by_u)
        by_eta = np.einsum("idp,id->ip", self._copies.layout.B, by_u)
        by_L = by_eta[:, :, None] * zeta[:, None, :]
        moved = self._scale.gradient(self._point, by_theta, by_L, by_sigma)

        back = np.linalg.inv(self._L).T
        present = np.tile(self._present, (self._chains, 1))
        drawn = zeta[:, own] * present
        by_theta, by_L = np.zeros_like(by_theta), np.zeros_like(by_L)
        X = np.tile(self._X, (self._chains, 1, 1))
        by_theta[:, self._taken] = -2.0 * np.einsum("iqm,qp,ip->im", X, back, drawn)
        centred = np.einsum("iq,qp->iqp", present, np.eye(len(own))) - drawn[:, :, None] * drawn[:, None, :]
        by_L[np.ix_(np.arange(copies), own, own)] = 2.0 * np.einsum("rq,iqp->irp", back, centred)
        held = self._scale.gradient(self._point, by_theta, by_L, np.zeros_like(by_sigma))
        held[:, self._scored] = moved[:, self._scored]
        return held, moved

    # -- the draws -------------------------------------------------------------------------------------------------

    def _predict(self, eta: Array, order: int) -> None:
        u = np.empty(self._typical.shape)
        lik.coordinates(self._all, self._typical, self._acting, eta, u)
        with np.errstate(all="ignore"):
            self._copies.predict(self._all, u, order, self._f, self._fu, self._no_fuu)

    def _depth(self, eta: Array) -> Array:
        """-2 log p(y, η) of every copy, up to what η does not change, from the predictions just made."""
        seen = self._copies.observations
        depth = np.empty(len(eta))
        _data_terms(
            seen.first, seen.y, seen.upper, seen.what, seen.response, self._f, seen.kind, self._point.sigma, depth
        )
        return np.asarray(depth + (self._standardised(eta) ** 2).sum(axis=1))

    def _standardised(self, eta: Array) -> Array:
        """ζ of η = L ζ."""
        zeta = np.empty_like(eta)
        _solve(self._L, eta, zeta)
        return zeta

    def _draw(self, gain: float) -> None:
        """Metropolis steps of every copy: one from Ψ, jumps around the modes, walks."""
        problem, rng, (copies, Q) = self._problem, self._rng, self._eta.shape
        N, n = problem.n_subjects, len(problem.y)
        moves = 1 + _JUMPS + _WALKS
        unit, log_uniform = np.empty((moves, copies, Q)), np.empty((moves, copies))
        for move in range(moves):
            unit[move] = rng.standard_normal((copies, Q))
            if 0 < move <= _JUMPS:
                unit[move] /= np.sqrt(rng.chisquare(_DF, (copies, 1)) / _DF)
            log_uniform[move] = np.log(rng.random(copies))
        seen, D = problem.observations, self._typical.shape[1]
        about = seen.first, seen.y, seen.upper, seen.what, seen.response, seen.kind, seen.logarithmic, seen.floor
        depth, before, strides = self._depth(self._eta), self._eta, self._log_stride
        self._eta, self._log_stride = before.copy(), strides.copy()
        to = self._eta, self._log_stride

        def run(address: int, arguments: int, part: Index, left: Index) -> int:
            room = np.empty(D), np.empty(n), np.empty((0, D)), np.empty((0, D, D))
            count: int = _metropolis(
                address, arguments, part, about, self._point.sigma, self._typical[:N], self._acting[:N], self._L,
                self._centre, self._shape, (unit, log_uniform), 0.3 * gain, depth, (before, strides), to, room, left,
            )  # fmt: skip
            return count

        seconds = moves * self._chains * N * problem.predictor.seconds(0)
        problem.predictor.over(run, np.arange(N), seconds)

    # -- η + X θ held ----------------------------------------------------------------------------------------------

    def _remember(self, gain: float) -> None:
        """Bring the draws into E[η] by subject and Σ E[η ηᵀ]."""
        N = self._problem.n_subjects
        eta = self._eta * np.tile(self._present, (self._chains, 1))
        mean = eta.reshape(self._chains, N, -1).mean(axis=0)
        self._mean += gain * (mean - self._mean)
        self._square += gain * (np.einsum("ip,iq->pq", eta, eta) / self._chains - self._square)

    def _take_up(self) -> None:
        """Move typical values and coefficients to where the random effects have no part of them left."""
        if not len(self._taken):
            return
        X = self._X
        weighted = np.linalg.solve(self._L @ self._L.T, X.transpose(1, 0, 2).reshape(X.shape[1], -1))
        weighted = weighted.reshape(X.shape[1], X.shape[0], X.shape[2]).transpose(1, 0, 2)
        information = np.einsum("iqm,iqn->mn", weighted, X)
        change = np.linalg.lstsq(information, np.einsum("iqm,iq->m", weighted, self._mean), rcond=1e-12)[0]
        self.x[self._taken_x] += change
        shift = X @ change
        cross = np.einsum("ip,iq->pq", self._mean, shift)
        self._square += np.einsum("ip,iq->pq", shift, shift) - cross - cross.T
        self._mean -= shift
        self._centre -= shift
        self._eta -= np.tile(shift, (self._chains, 1))

    def _set_psi(self, cooling: bool) -> None:
        scale = self._scale
        begin, n = int(scale.theta_free.sum()), len(scale.subject.own)
        for psi, at, count in (
            (scale.subject, [np.arange(n)], float(self._problem.n_subjects)),
            (scale.occasion, self._occasions(n), float(self._present[:, n :: max(len(scale.occasion.names), 1)].sum())),
        ):
            if psi.size:
                S = np.sum([self._square[np.ix_(rows, rows)] for rows in at], axis=0) / max(count, 1.0)
                S = S - _AWAY * (S - np.diag(np.diag(S)))
                old = self._L[np.ix_(at[0], at[0])]
                if cooling:
                    floor = np.sqrt(_COOLING * np.diag(old @ old.T) / np.maximum(np.diag(S), 1e-300))
                    S = S * np.outer(np.maximum(floor, 1.0), np.maximum(floor, 1.0))
                numbers = self.x[begin : begin + psi.size]
                self.x[begin : begin + psi.size] = psi_of_moments(psi, S, numbers)
            begin += psi.size
        self._locate()

    def _occasions(self, n: int) -> list[Index]:
        k = len(self._scale.occasion.names)
        return [np.arange(start, start + k) for start in range(n, len(self._own), k or 1)]

    # -- η held ----------------------------------------------------------------------------------------------------

    def _score(self, gain: float, cooling: bool) -> None:
        """Move what the random effects cannot take up by a scoring step of p(y | η), and predict there."""
        curves, scale = self._curves, self._scale
        self._predict(self._eta, 1 if len(curves) else 0)
        if not len(self._scored):
            return
        seen, sigma, n = self._copies.observations, self._point.sigma, len(self._f)
        L1, w, by_sigma = np.empty(n), np.empty(n), np.zeros((n, sigma.shape[1]))
        R, R_f, R_s = np.empty(n), np.empty(n), np.empty((n, sigma.shape[1]))
        _slopes(seen.y, seen.upper, seen.what, seen.response, self._f, seen.kind, sigma, L1, w, by_sigma)
        variances(seen.kind, seen.response, self._f, sigma, R, R_f, R_s)
        J = self._by_curves()
        free, mine = self._free_errors, self._mine
        which = [entry.which for entry in free]
        size = np.array([sigma[entry.response, entry.which] for entry in free])
        with np.errstate(all="ignore"):
            V = np.where(mine, R_s[:, which] * size / R[:, None], 0.0)
            by_error = np.where(mine, by_sigma[:, which] * size, 0.0).sum(axis=0)
            gradient = np.concatenate([np.einsum("jk,j->k", J, L1), by_error])
            cross = np.einsum("jk,jl,j->kl", J, V, R_f / R)
            within = 2.0 * np.einsum("jk,jl,j->kl", J, J, w)
            information = np.block([[within, cross], [cross.T, np.einsum("jk,jl->kl", V, V)]])
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            return
        self._information = self._information + gain * (information / self._chains - self._information)
        step = -gain * np.linalg.lstsq(self._information, gradient / self._chains, rcond=1e-10)[0]
        logs = scale.logarithmic[self._scored]
        step = np.where(logs, np.clip(step, -_FARTHEST, _FARTHEST), step)
        if cooling:
            lowest = np.where(np.arange(len(step)) < len(curves), -np.inf, 0.5 * math.log(_COOLING))
            step = np.maximum(step, lowest)
        before = self.x.copy()
        self.x[self._scored] += step
        self._locate()
        if len(curves):
            self._predict(self._eta, 0)
            if not np.isfinite(self._f).all():
                self.x = before
                self._locate()
                self._predict(self._eta, 0)

    def _by_curves(self) -> Array:
        """∂f/∂x of the scored x that the predictions depend on, float64[n, k]."""
        if not len(self._curves):
            return np.zeros((len(self._f), 0))
        rows = np.repeat(self._all, np.diff(self._copies.observations.first))
        by_theta = np.einsum("jd,jdm->jm", self._fu, self._slopes[rows])
        Q = self._problem.n_random
        by_L = np.zeros((len(rows), Q, Q))
        if (self._curves >= self._scale.theta_free.sum()).any():  # shares
            zeta = np.zeros((len(self._eta), Q))
            zeta[:, self._own] = self._standardised(self._eta)
            by_eta = np.einsum("jd,jdq->jq", self._fu, self._copies.layout.B[rows])
            by_L = by_eta[:, :, None] * zeta[rows][:, None, :]
        sigma = np.zeros((len(rows), *self._point.sigma.shape))
        return self._scale.gradient(self._point, by_theta, by_L, sigma)[:, self._curves]


@kernel
def _solve(L, eta, zeta):
    """ζ of η = L ζ for every row; no BLAS, whose digits depend on its threads."""
    for i in range(eta.shape[0]):
        for p in range(L.shape[0]):
            value = eta[i, p]
            for q in range(p):
                value -= L[p, q] * zeta[i, q]
            zeta[i, p] = value / L[p, p]


@kernel
def _metropolis(
    address, arguments, subjects, about, sigma, typical, acting, L, centre, shape, drawn, learning, depth, before, to,
    room, left,
):  # fmt: skip
    """Steps of all copies of some subjects, by the same number of draws in each.

    Parameters
    ----------
    address, arguments : of a `Single`
    subjects : int64[k]
    about : first, y, upper, what, response, kind, logarithmic, floor
    typical : float64[N, D]; acting : float64[N, D, Q]; L : float64[Q, Q]
    centre : float64[N, Q]; shape : float64[N, Q, Q]
        What jumps and walks are made by.
    drawn : float64[moves, copies, Q], float64[moves, copies]
        Standard draws, and logarithms of uniform ones.
    learning : float
        How much the strides of walks change.
    depth : float64[copies]
        -2 log p(y, η) at `before`.
    before, to : η float64[copies, Q] and the logarithms of strides float64[copies]
        From which it goes, and where to: filled.
    left : int64[k]
        Filled with the subjects that are left to be predicted otherwise; their number is returned.
    """
    first, y, upper, what, response, kind, logarithmic, floor = about
    unit, log_uniform = drawn
    u, f, fu, fuu = room
    N, D = typical.shape
    moves, copies, Q = unit.shape
    eta, trial, zeta = np.empty(Q), np.empty(Q), np.empty(Q)
    transformed = any_is(logarithmic)
    count = 0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        well = True
        for c in range(i, copies, N):
            here, stride = depth[c], before[1][c]
            for q in range(Q):
                eta[q] = before[0][c, q]
            for move in range(moves):
                ratio = 0.0
                by = 1.0 if move <= _JUMPS else math.exp(stride)
                for p in range(Q):
                    trial[p] = eta[p]
                    if move == 0:
                        trial[p] = 0.0
                    elif move <= _JUMPS:
                        trial[p] = centre[i, p]
                    for q in range(p + 1):
                        trial[p] += by * (L[p, q] if move == 0 else shape[i, p, q]) * unit[move, c, q]
                if move == 0:
                    ratio = 0.5 * (_square(L, trial, zeta) - _square(L, eta, zeta))
                elif move <= _JUMPS:
                    for q in range(Q):
                        zeta[q] = trial[q] - centre[i, q]
                    there = _square(shape[i], zeta, zeta)
                    for q in range(Q):
                        zeta[q] = eta[q] - centre[i, q]
                    ratio = math.log1p(there / _DF) - math.log1p(_square(shape[i], zeta, zeta) / _DF)
                    ratio *= 0.5 * (_DF + Q)
                for d in range(D):
                    u[d] = typical[i, d]
                    for q in range(Q):
                        u[d] += acting[i, d, q] * trial[q]
                if call(address, (arguments, i, u, 0, 0, f, fu, fuu)) != 0:
                    well = False
                    break
                if transformed:
                    to_logarithm(subjects[which : which + 1], first, response, logarithmic, floor, 0, f, fu, fuu)
                there = _square(L, trial, zeta)
                for j in range(first[i], first[i + 1]):
                    k = response[j]
                    value, _, _, _, _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
                    there += value
                accepted = math.isfinite(there) and log_uniform[move, c] < 0.5 * (here - there) + ratio
                if accepted:
                    here = there
                    for q in range(Q):
                        eta[q] = trial[q]
                if move > _JUMPS:
                    stride += learning * ((1.0 if accepted else 0.0) - _ACCEPTED)
            if not well:
                left[count] = i
                count += 1
                break
            for q in range(Q):
                to[0][c, q] = eta[q]
            to[1][c] = stride
    return count


@inner
def _square(L, x, unit):
    """|L⁻¹ x|² of a lower triangle; `unit`, which may be x, is worked in."""
    total = 0.0
    for p in range(x.shape[0]):
        value = x[p]
        for q in range(p):
            value -= L[p, q] * unit[q]
        unit[p] = value / L[p, p]
        total += unit[p] * unit[p]
    return total


@kernel
def _data_terms(first, y, upper, what, response, f, kind, sigma, depth):
    """-2 log p(y | η) of every subject; infinite where a prediction is not a number."""
    for i in range(depth.shape[0]):
        total = 0.0
        for j in range(first[i], first[i + 1]):
            k = response[j]
            L, _, _, _, _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
            total += L
        depth[i] = total if math.isfinite(total) else np.inf


@kernel
def _slopes(y, upper, what, response, f, kind, sigma, by_f, curvature, by_sigma):
    """Of every observation's L: the derivative by f, the curvature w, and the derivatives by σ, float64[n, C]."""
    C = sigma.shape[1]
    slopes, scratch = np.zeros((C, 4)), np.zeros((C, C + 1))
    for j in range(f.shape[0]):
        k = response[j]
        _, by_f[j], _, curvature[j], _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
        record_slopes(what[j], kind[k], y[j], upper[j], f[j], sigma, k, scratch, slopes)
        for c in range(C):
            by_sigma[j, c] = slopes[c, 0]


@kernel
def _by_subject(first, y, upper, what, response, f, fu, kind, sigma, by_u, by_sigma):
    """Derivatives of Σ L of every subject by its coordinates u, and by σ; both are added to."""
    C = sigma.shape[1]
    slopes, scratch = np.zeros((C, 4)), np.zeros((C, C + 1))
    for i in range(by_u.shape[0]):
        for j in range(first[i], first[i + 1]):
            k = response[j]
            _, L1, _, _, _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
            record_slopes(what[j], kind[k], y[j], upper[j], f[j], sigma, k, scratch, slopes)
            for d in range(by_u.shape[1]):
                by_u[i, d] += L1 * fu[j, d]
            for c in range(C):
                by_sigma[i, k, c] += slopes[c, 0]
