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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench.engine.ending.uncertainty import hessian
from workbench.engine.methods.chains import Chains
from workbench.engine.methods.complete import own_effects, psi_numbers, psi_of_moments, taken_up, widened
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.psi import Psi
from workbench.engine.problem.scale import Point
from workbench.errors import FitError
from workbench.methods import Saem

Array = NDArray[np.float64]
Watch = Callable[[int, Evaluation], bool]

_AT_LEAST = 50  # subjects times chains
_EVERY = 10  # iterations between two looks at the modes
_COOLING = 0.95  # variances fall by no more than this an iteration in the first half of the exploration
_FARTHEST = 1.0  # that a logarithm moves in one scoring step
_AWAY = 0.03  # share by which correlations are lessened in the exploration: from ±1 there is no way back
_WARY = 0.2  # of the way, in the second half of the exploration: a sample's Ψ is nearer to singular than Ψ
_BEHIND = 5  # the k-th smoothing step goes 1/(k + 5) of the way, or less:
_STIFF = 4.0  # steps of more than 4/stiffness go too far and back, farther every time, as η does not follow at once
_LONGEST = 2.0  # smoothing step, in standard errors
_LEAST_CURVED = 0.05  # eigenvalue of the Hessian with unit diagonal
_AGAIN = (1, 25)  # smoothing steps at which the Hessian is taken


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
        stopped = watch(k, replace(search.seen, x=path[-1], point=search.point))
    return Found(search.x, tuple(trace), tuple(path), stopped, search.short)


class StochasticEM:
    """Where the algorithm is: the parameters, the draws, and the moments of the random effects given the data.

    Attributes
    ----------
    x : float64[size]
    point : Point
        At x.
    seen : Evaluation
        The last one by FOCEI.
    """

    point: Point

    def __init__(self, problem: Problem, options: Saem):
        self._problem, self._scale = problem, problem.scale
        scale, N = problem.scale, problem.n_subjects
        copies = options.chains or -(-_AT_LEAST // N)
        self._own = own = own_effects(scale)
        self._taken, self._X = taken_up(problem, own)
        self._crossed = np.einsum("ipm,iqn->mnpq", self._X, self._X)
        self._taken_x = (np.cumsum(scale.theta_free) - 1)[self._taken]
        self._scored = np.setdiff1d(np.arange(scale.size), [*self._taken_x, *psi_numbers(scale)])
        last = scale.size - sum(entry.free for entry in scale.errors)
        curves = int((self._scored < last).sum())  # of the scored, what the predictions depend on
        self._lowest = np.where(self._scored < last, -np.inf, 0.5 * math.log(_COOLING))
        self._farthest = np.where(scale.logarithmic[self._scored], _FARTHEST, np.inf)
        self._chains = Chains(problem, copies, options.seed, own, self._taken, self._X, self._scored, curves)

        self._modes = Objective(problem)
        self.seen = self._modes.evaluate(problem.x)
        if not np.isfinite(self.seen.by_subject).all():
            raise FitError("The likelihood cannot be computed at the initial values; try other ones.")
        self.x = widened(scale, problem.x)
        Q = len(own)
        self._mean, self._square = np.zeros((N, Q)), np.zeros((Q, Q))
        self._information: Array | float = 0.0
        self._behind = float(_BEHIND)
        self._late, self._late_count = np.zeros(scale.size), 0
        self._inverse, self._hessian = np.zeros((2, scale.size, scale.size))
        self._squares, self._products = np.zeros((2, scale.size, scale.size))
        self._locate()
        self.look()
        self._chains.gather()

    def _locate(self) -> None:
        """Bring the chains to x."""
        self.point, chain = self._scale.chained(self.x)
        self._chains.go_to(self.point, chain)

    def look(self) -> None:
        """Find the modes at x; proposals are made around them."""
        at = self._modes.evaluate(self.x.copy())
        if not at.finite:
            return
        self._modes.accept(at)
        self.seen = at
        L, chains = at.point.L[self._own], self._chains
        covariance = L @ (2.0 * at.inverse) @ L.T
        good = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(at.zeta).all(axis=1)
        chains.centre[good] = (at.zeta @ L.T)[good]
        covariance += np.diag(1e-14 * np.einsum("pq,pq->p", chains.L, chains.L))
        try:
            chains.shape[good] = np.linalg.cholesky(covariance[good])
        except np.linalg.LinAlgError:
            for i in np.flatnonzero(good):
                chains.shape[i] = _factor(covariance[i], chains.L)

    def explore(self, cooling: bool) -> None:
        """One iteration of EM."""
        gain = 1.0 if cooling else _WARY
        self._score(gain, cooling)
        self._chains.draw(gain)
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
        gradient = self._gradient()
        self._chains.draw(1.0 / k)
        if not np.isfinite(gradient).all():
            return
        if late:
            self._late, self._late_count = self._late + gradient, self._late_count + 1
        step = -self._inverse @ gradient / (k + self._behind)
        length = math.sqrt(max(float(step @ self._hessian @ step) / 2.0, 0.0))
        before, theta = (self.x.copy(), self._chains.where), self.point.theta
        self.x += step * min(1.0, _LONGEST / max(length, 1e-300))
        self._locate()
        self._chains.shift(self._X @ (self.point.theta - theta)[self._taken])
        if not self._chains.predicted():
            self.x, self._chains.where = before
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
        held, moved = self._chains.gradients()
        difference = held - moved
        if not np.isfinite(difference).all():  # it would stay in the sums
            return np.full(self._scale.size, math.nan)
        mean = difference.mean(axis=0)
        W = np.linalg.lstsq(self._squares, self._products, rcond=1e-8)[0]
        self._squares += np.einsum("ik,il->kl", difference, difference)
        self._products += np.einsum("ik,il->kl", difference, held)
        return np.asarray((held.mean(axis=0) - mean @ W) * self._problem.n_subjects)

    # -- η + X θ held ----------------------------------------------------------------------------------------------

    def _remember(self, gain: float) -> None:
        """Bring the draws into E[η] by subject and Σ E[η ηᵀ]."""
        eta = self._chains.by_copy * self._chains.present
        self._mean += gain * (eta.mean(axis=0) - self._mean)
        self._square += gain * (np.einsum("cip,ciq->pq", eta, eta) / len(eta) - self._square)

    def _take_up(self) -> None:
        """Move typical values and coefficients to where the random effects have no part of them left."""
        if not len(self._taken):
            return
        precision = self._chains.back @ self._chains.back.T
        information = np.einsum("mnpq,pq->mn", self._crossed, precision)
        left = np.einsum("ipm,iq->mpq", self._X, self._mean)
        if not (np.isfinite(information).all() and np.isfinite(left).all()):
            return
        change = np.linalg.lstsq(information, np.einsum("mpq,pq->m", left, precision), rcond=1e-12)[0]
        self.x[self._taken_x] += change
        shift = self._X @ change
        cross = np.einsum("m,mpq->pq", change, left)
        self._square += np.einsum("m,mnpq,n->pq", change, self._crossed, change) - cross - cross.T
        self._mean -= shift
        self._chains.shift(shift)

    def _set_psi(self, cooling: bool) -> None:
        begin, L = int(self._scale.theta_free.sum()), self._chains.L
        for psi, blocks, count in self._levels:
            if psi.size:
                S = np.add.reduce([self._square[block, block] for block in blocks]) / count
                variances = S.diagonal().copy()
                S *= 1.0 - _AWAY
                np.fill_diagonal(S, variances)
                if cooling:
                    before = np.einsum("pq,pq->p", L[blocks[0]], L[blocks[0]])
                    kept = np.sqrt(np.maximum(_COOLING * before / np.maximum(variances, 1e-300), 1.0))
                    S *= np.outer(kept, kept)
                numbers = self.x[begin : begin + psi.size]
                self.x[begin : begin + psi.size] = psi_of_moments(psi, S, numbers)
            begin += psi.size
        self._locate()

    @cached_property
    def _levels(self) -> tuple[tuple[Psi, list[slice], float], ...]:
        """Ψ of each level, which of the effects that are drawn have it, and how many there are of each in all."""
        scale, Q = self._scale, len(self._square)
        n, k = len(scale.subject.own), len(scale.occasion.names)
        blocks = [slice(start, start + k) for start in range(n, Q, k or 1)]
        seen = max(float(self._chains.present[:, n :: max(k, 1)].sum()), 1.0)
        return (scale.subject, [slice(0, n)], float(self._problem.n_subjects)), (scale.occasion, blocks, seen)

    # -- η held ----------------------------------------------------------------------------------------------------

    def _score(self, gain: float, cooling: bool) -> None:
        """Move what the random effects cannot take up by a scoring step of p(y | η), and predict there."""
        chains = self._chains
        if not len(self._scored):
            chains.predicted()
            return
        gradient, information = chains.scores()
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            return
        self._information = self._information + gain * (information / chains.copies - self._information)
        step = -gain * np.linalg.lstsq(self._information, gradient / chains.copies, rcond=1e-10)[0]
        step = np.maximum(np.minimum(step, self._farthest), -self._farthest)
        if cooling:
            step = np.maximum(step, self._lowest)
        before = self.x.copy()
        self.x[self._scored] += step
        self._locate()
        if chains.curves and not chains.predicted():
            self.x = before
            self._locate()
            chains.predicted()


def _factor(covariance: Array, otherwise: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return otherwise
