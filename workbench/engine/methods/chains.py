"""The draws of SAEM: several chains of every subject's random effects, and what is summed over where they are.

Subject after subject, in machine code, with the predictions that it takes; what is found of a subject does not depend
on the others, nor on the thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.methods.complete import shares
from workbench.engine.predictions.machine import (
    INT,
    INTEGERS,
    Image,
    address,
    address_of,
    call,
    callable_of,
    inner,
    view,
)
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import (
    any_is,
    first_order,
    log_of_prediction,
    record,
    record_slopes,
    variance,
    variance_slopes,
)
from workbench.engine.problem.scale import Point

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_ACCEPTED = 0.3  # share of the steps of a random walk that should be accepted
_LEARNT = 0.3  # how much the logarithm of a stride changes with a step
_DF = 4.0  # of the t distribution around the modes that proposals come from
_WALKS = 2
_JUMPS = 2
_MOVES = 1 + _JUMPS + _WALKS


class _Memory(NamedTuple):
    """What the kernels read and fill, of N subjects, D coordinates, R effects of which Q are drawn, c chains of each.

    Attributes
    ----------
    first, y, upper, what, response, kind, logarithmic, floor
        As in `Observations`.
    own : int64[Q]; present : float64[N, Q]
        Which effects are drawn; of a subject, those that act on it: 1, or 0.
    taken : int64[T]; X : float64[N, Q, T]
        θ that the effects can take up, and X of η + X θ.
    scored : int64[K]
        x that are scored, the first `curves` of them those that predictions depend on.
    slopes : float64[N, D, M]; typical : float64[N, D]; acting : float64[N, D, Q]; B : float64[N, D, R]
        u = typical + acting η; derivatives of `typical` by θ; u by all effects.
    L, back : float64[Q, Q]; sigma : float64[S, C]; chain : float64[M + R² + S·C, size]
        The factor of Ψ of the effects that are drawn, its inverse transposed; derivatives of the point by x.
    centre : float64[N, Q]; shape : float64[N, Q, Q]
        What jumps and walks are made by.
    unit : float64[moves, N·c, Q]; log_uniform : float64[moves, N·c]; learning : float64[1]
        Standard draws, logarithms of uniform ones, and how much the strides of walks change.
    before, eta : float64[N·c, Q]; strides, log_stride : float64[N·c]
        From which a step goes, and where to.
    f : float64[c, n]
        Predictions where the chains are.
    there, fu, fuu
        Room for others, and for derivatives.
    gradient : float64[N, K]; information : float64[N, K, K]; held, moved : float64[N·c, size]
        See `scores` and `gradients`.
    """

    first: Index
    y: Array
    upper: Array
    what: Index
    response: Index
    kind: Index
    logarithmic: Index
    floor: Array
    own: Index
    present: Array
    taken: Index
    X: Array
    scored: Index
    curves: int
    slopes: Array
    typical: Array
    acting: Array
    B: Array
    L: Array
    back: Array
    sigma: Array
    chain: Array
    centre: Array
    shape: Array
    unit: Array
    log_uniform: Array
    learning: Array
    before: Array
    eta: Array
    strides: Array
    log_stride: Array
    f: Array
    there: Array
    fu: Array
    fuu: Array
    gradient: Array
    information: Array
    held: Array
    moved: Array


class Chains:
    """Draws of the random effects of every subject from their conditional distribution.

    Parameters
    ----------
    problem : Problem
    copies : int
        Chains of a subject.
    seed : int
    own : int64[Q]
        The effects that are drawn, see `own_effects`.
    taken : int64[T]; X : float64[N, Q, T]
        See `taken_up`.
    scored : int64[K]; curves : int
        The x that `scores` is about, and how many of them, the first, predictions depend on.

    Attributes
    ----------
    copies, curves : int
    eta : float64[N·copies, Q]
        Where the chains are, the first of every subject first.
    centre : float64[N, Q]; shape : float64[N, Q, Q]
        Around what proposals are made, and the factor of how they spread.
    L, back : float64[Q, Q]
        The factor of Ψ of what is drawn, and its inverse transposed.
    present : float64[N, Q]
        Of a subject, the effects that act on it: 1, or 0.
    """

    def __init__(
        self, problem: Problem, copies: int, seed: int, own: Index, taken: Index, X: Array, scored: Index, curves: int
    ):  # fmt: skip
        self._problem, self.copies, self.curves = problem, copies, curves
        self._rng = np.random.default_rng(seed)
        seen, layout, scale = problem.observations, problem.layout, problem.scale
        (N, D, R), Q, K, n = layout.B.shape, len(own), len(scored), len(problem.y)
        M, S, size = layout.A.shape[2], scale.sigma.size, scale.size
        self.present = (layout.B[:, :, own] != 0).any(axis=1).astype(float, order="C")
        self._shared = bool((scale.subject.owner >= 0).any())
        self._all, self._own, self._theta = np.arange(N), np.ix_(own, own), np.empty(0)
        self.eta, self.L, self.back = np.zeros((N * copies, Q)), np.empty((Q, Q)), np.empty((Q, Q))
        self.centre, self.shape = np.zeros((N, Q)), np.broadcast_to(np.eye(Q), (N, Q, Q)).copy()
        self._memory = _Memory(
            seen.first, seen.y, seen.upper, seen.what, seen.response, seen.kind, seen.logarithmic.astype(np.int64),
            seen.floor, own, self.present, taken, np.ascontiguousarray(X),
            scored, curves, layout.A, np.empty((N, D)), np.ascontiguousarray(layout.B[:, :, own]), layout.B,
            self.L, self.back, np.empty(scale.sigma.shape), np.empty((M + R * R + S, size)), self.centre, self.shape,
            np.empty((_MOVES, N * copies, Q)), np.empty((_MOVES, N * copies)), np.empty(1),
            np.empty((N * copies, Q)), self.eta, np.empty(N * copies),
            np.full(N * copies, math.log(2.4 / math.sqrt(Q))),
            np.empty((copies, n)), np.empty(n), np.empty((n, D)), np.empty((0, D, D)),
            np.empty((N, K)), np.empty((N, K, K)), np.empty((N * copies, size)), np.empty((N * copies, size)),
        )  # fmt: skip
        self._image = Image(self._memory)
        self._functions: dict[Callable[..., int], Callable[..., int]] = {}

    def go_to(self, point: Point, chain: Array) -> None:
        """From now on, at this point; `chain` as of `Scale.chained`."""
        memory = self._memory
        memory.L[:] = point.L[self._own]
        memory.back[:] = np.linalg.inv(memory.L).T
        memory.sigma[:], memory.chain[:] = point.sigma, chain
        if self._shared:
            memory.acting[:] = memory.B @ shares(self._problem.scale, point.L)[:, memory.own]
        if not np.array_equal(self._theta, point.theta):
            self._theta = point.theta
            memory.typical[:], self._slopes = self._problem.layout.mean(point.theta)
            self._image.put(slopes=self._slopes)

    @property
    def by_copy(self) -> Array:
        """Where the chains are, float64[copies, N, Q]."""
        return self.eta.reshape(self.copies, *self.centre.shape)

    def shift(self, by: Array) -> None:
        """Take float64[N, Q] from where the chains are, and around what proposals are made."""
        self.centre -= by
        here = self.by_copy
        here -= by

    def gather(self) -> None:
        """Begin where proposals are made around."""
        self.by_copy[:] = self.centre

    @property
    def where(self) -> tuple[Array, Array]:
        """Copies of `eta` and `centre`, to come back to."""
        return self.eta.copy(), self.centre.copy()

    @where.setter
    def where(self, value: tuple[Array, Array]) -> None:
        self.eta[:], self.centre[:] = value

    def predicted(self) -> bool:
        """Predict where the chains are; whether all of it is a number."""
        self._run(_predict, self.copies, 0)
        return bool(np.isfinite(self._memory.f).all())

    def scores(self) -> tuple[Array, Array]:
        """Predict, and sum over subjects and copies, η held: the gradient of -2 log p(y | η) by what is scored.

        Returns
        -------
        gradient : float64[K]
        information : float64[K, K]
            What its Hessian is in the mean.
        """
        self._run(_score, self.copies, 1 if self._memory.curves else 0)
        return self._memory.gradient.sum(axis=0), self._memory.information.sum(axis=0)

    def gradients(self) -> tuple[Array, Array]:
        """Predict; gradients of -2 log p(y, η) by x with η + X θ held, and with ζ held: float64[N·copies, size] each.

        What is scored moves the predictions in both.
        """
        self._run(_differentiate, self.copies, 1)
        held, moved, scored = self._memory.held, self._memory.moved, self._memory.scored
        held[:, scored] = moved[:, scored]
        return held, moved

    def draw(self, gain: float) -> None:
        """Metropolis steps of every copy, from the predictions just made: one from Ψ, jumps around the modes, walks."""
        memory, rng = self._memory, self._rng
        unit, log_uniform = memory.unit, memory.log_uniform
        for move in range(_MOVES):
            rng.standard_normal(out=unit[move])
            if 0 < move <= _JUMPS:
                unit[move] /= np.sqrt(rng.chisquare(_DF, (len(self.eta), 1)) / _DF)
            rng.random(out=log_uniform[move])
        np.log(log_uniform, out=log_uniform)
        memory.before[:], memory.strides[:], memory.learning[0] = self.eta, memory.log_stride, _LEARNT * gain
        self._run(_metropolis, _MOVES * self.copies, 0)

    def _run(self, kernel: Callable[..., int], predictions: int, order: int) -> None:
        """Call a kernel for all subjects, each of which it predicts so many times."""
        function = self._functions.get(kernel)
        if function is None:
            code = address_of(kernel, [self._image], INT, INT, INTEGERS, INT, INTEGERS)
            function = self._functions[kernel] = callable_of(code, 6)
        called, image = function, self._image.address

        def run(single: int, arguments: int, part: Index, left: Index) -> int:
            return called(image, single, arguments, address(part), len(part), address(left))

        predictor = self._problem.predictor
        predictor.over(run, self._all, len(self._all) * predictions * predictor.seconds(order))


# Kernels take a pointer p to a `_Memory`, a `Single`, and pointers to subjects and to those that are left to the next
# attempt; they return how many these are.


@inner
def _at(p, address, arguments, i, eta, order, u, f):
    """Predict a subject where its random effects are eta[Q]; False where that is left to the next attempt."""
    typical, acting, logarithmic, response = p.typical, p.acting, p.logarithmic, p.response
    for d in range(u.shape[0]):
        u[d] = typical[i, d]
        for q in range(eta.shape[0]):
            u[d] += acting[i, d, q] * eta[q]
    if call(address, (arguments, i, u, order, 0, f, p.fu, p.fuu)) != 0:
        return False
    if any_is(logarithmic):
        for j in range(p.first[i], p.first[i + 1]):
            if logarithmic[response[j]]:
                log_of_prediction(j, p.floor[response[j]], order, f, p.fu, p.fuu)
    return True


@inner
def _standardised(L, x, unit):
    """|L⁻¹ x|² of a lower triangle; `unit`, which may be x, is filled with L⁻¹ x."""
    total = 0.0
    for p in range(x.shape[0]):
        value = x[p]
        for q in range(p):
            value -= L[p, q] * unit[q]
        unit[p] = value / L[p, p]
        total += unit[p] * unit[p]
    return total


@inner
def _add(out, by, chain, row):
    """out += by · chain[row]."""
    for k in range(out.shape[0]):
        out[k] += by * chain[row, k]


def _predict(p, address, arguments, subjects, size, left):
    """Predictions at all copies."""
    chosen, leave = view(subjects, (size,)), view(left, (size,))
    eta, (N, D) = p.eta, p.typical.shape
    u = np.empty(D)
    count = 0
    for which in range(size):
        i = chosen[which]
        for c in range(i, eta.shape[0], N):
            if not _at(p, address, arguments, i, eta[c], 0, u, p.f[c // N]):
                leave[count] = i
                count += 1
                break
    return count


def _score(p, address, arguments, subjects, size, left):
    """See `Chains.scores`; J = ∂f/∂x, and V the derivative of the logarithm of the residual variance, f held."""
    chosen, leave = view(subjects, (size,)), view(left, (size,))
    eta, fu, slopes, B, L, own, chain, scored = p.eta, p.fu, p.slopes, p.B, p.L, p.own, p.chain, p.scored
    first, y, upper, what, response, kind, sigma = p.first, p.y, p.upper, p.what, p.response, p.kind, p.sigma
    (N, D, M), R, Q, K, C = slopes.shape, B.shape[2], L.shape[0], scored.shape[0], sigma.shape[1]
    u, zeta, by_x = np.empty(D), np.empty(Q), np.empty((D, K))
    J, V = np.zeros(K), np.zeros(K)
    by_sigma, scratch = np.zeros((C, 4)), np.zeros((C, C + 1))
    count = 0
    for which in range(size):
        i = chosen[which]
        gradient, information = p.gradient[i], p.information[i]
        gradient[:], information[:] = 0.0, 0.0
        for c in range(i, eta.shape[0], N):
            f = p.f[c // N]
            if not _at(p, address, arguments, i, eta[c], 1 if p.curves > 0 else 0, u, f):
                leave[count] = i
                count += 1
                break
            _standardised(L, eta[c], zeta)
            for k in range(p.curves):
                for d in range(D):
                    by_x[d, k] = 0.0
                    for m in range(M):
                        by_x[d, k] += slopes[i, d, m] * chain[m, scored[k]]
                    for r in range(R):
                        for q in range(Q):
                            by_x[d, k] += B[i, d, r] * zeta[q] * chain[M + r * R + own[q], scored[k]]
            for j in range(first[i], first[i + 1]):
                s = response[j]
                _, by_f, _, w, _ = record(True, what[j], kind[s], y[j], upper[j], f[j], sigma, s, 1.0)
                record_slopes(what[j], kind[s], y[j], upper[j], f[j], sigma, s, scratch, by_sigma)
                spread, spread_f, _ = variance(kind[s], f[j], sigma, s)
                variance_slopes(kind[s], f[j], sigma, s, scratch)
                for k in range(p.curves):
                    J[k] = 0.0
                    for d in range(D):
                        J[k] += fu[j, d] * by_x[d, k]
                    gradient[k] += J[k] * by_f
                for k in range(p.curves, K):
                    V[k] = 0.0
                    for n in range(C):
                        by = chain[M + R * R + s * C + n, scored[k]]
                        V[k] += scratch[n, 0] * by / spread
                        gradient[k] += by_sigma[n, 0] * by
                for k in range(K):
                    for o in range(K):
                        crossed = (J[k] * V[o] + V[k] * J[o]) * spread_f / spread
                        information[k, o] += 2.0 * w * J[k] * J[o] + crossed + V[k] * V[o]
    return count


def _differentiate(p, address, arguments, subjects, size, left):
    """See `Chains.gradients`."""
    chosen, leave = view(subjects, (size,)), view(left, (size,))
    eta, fu, slopes, B, L, back, own = p.eta, p.fu, p.slopes, p.B, p.L, p.back, p.own
    chain, present, taken, X = p.chain, p.present, p.taken, p.X
    first, y, upper, what, response, kind, sigma = p.first, p.y, p.upper, p.what, p.response, p.kind, p.sigma
    (N, D, M), R, Q, (S, C) = slopes.shape, B.shape[2], L.shape[0], sigma.shape
    u, lu, zeta, drawn, by_eta = np.empty(D), np.empty(D), np.empty(Q), np.empty(Q), np.empty(Q)
    by_sigma, scratch, ls = np.zeros((C, 4)), np.zeros((C, C + 1)), np.empty((S, C))
    count = 0
    for which in range(size):
        i = chosen[which]
        for c in range(i, eta.shape[0], N):
            f = p.f[c // N]
            if not _at(p, address, arguments, i, eta[c], 1, u, f):
                leave[count] = i
                count += 1
                break
            lu[:] = 0.0
            ls[:] = 0.0
            for j in range(first[i], first[i + 1]):
                s = response[j]
                _, by_f = first_order(1, what[j], kind[s], y[j], upper[j], f[j], sigma, s, scratch, by_sigma, ls)
                for d in range(D):
                    lu[d] += by_f * fu[j, d]
            _standardised(L, eta[c], zeta)

            moved = p.moved[c]
            moved[:] = 0.0
            for m in range(M):
                value = 0.0
                for d in range(D):
                    value += slopes[i, d, m] * lu[d]
                _add(moved, value, chain, m)
            for r in range(R):
                value = 0.0
                for d in range(D):
                    value += B[i, d, r] * lu[d]
                for q in range(Q):
                    _add(moved, value * zeta[q], chain, M + r * R + own[q])
            for s in range(S):
                for n in range(C):
                    _add(moved, ls[s, n], chain, M + R * R + s * C + n)

            held = p.held[c]
            held[:] = 0.0
            for q in range(Q):
                drawn[q] = zeta[q] * present[i, q]
            for r in range(Q):
                by_eta[r] = 0.0
                for q in range(Q):
                    by_eta[r] += 2.0 * back[r, q] * drawn[q]
            for t in range(taken.shape[0]):
                value = 0.0
                for q in range(Q):
                    value -= X[i, q, t] * by_eta[q]
                _add(held, value, chain, taken[t])
            for r in range(Q):
                for q in range(Q):
                    value = 2.0 * back[r, q] * present[i, q] - by_eta[r] * drawn[q]
                    _add(held, value, chain, M + own[r] * R + own[q])
    return count


def _metropolis(p, address, arguments, subjects, size, left):
    """Steps of all copies, by the same number of draws in each."""
    chosen, leave = view(subjects, (size,)), view(left, (size,))
    L, centre, shape, unit, log_uniform = p.L, p.centre, p.shape, p.unit, p.log_uniform
    before, to, strides, log_stride = p.before, p.eta, p.strides, p.log_stride
    (N, D), (moves, copies, Q) = p.typical.shape, unit.shape
    learning, f = p.learning[0], p.there
    u, eta, trial, zeta = np.empty(D), np.empty(Q), np.empty(Q), np.empty(Q)
    count = 0
    for which in range(size):
        i = chosen[which]
        well = True
        for c in range(i, copies, N):
            for q in range(Q):
                eta[q] = before[c, q]
            here, stride = _depth(p, i, p.f[c // N]) + _standardised(L, eta, zeta), strides[c]
            for move in range(moves):
                ratio = 0.0
                by = 1.0 if move <= _JUMPS else math.exp(stride)
                for r in range(Q):
                    trial[r] = eta[r]
                    if move == 0:
                        trial[r] = 0.0
                    elif move <= _JUMPS:
                        trial[r] = centre[i, r]
                    for q in range(r + 1):
                        trial[r] += by * (L[r, q] if move == 0 else shape[i, r, q]) * unit[move, c, q]
                if move == 0:
                    ratio = 0.5 * (_standardised(L, trial, zeta) - _standardised(L, eta, zeta))
                elif move <= _JUMPS:
                    for q in range(Q):
                        zeta[q] = trial[q] - centre[i, q]
                    there = _standardised(shape[i], zeta, zeta)
                    for q in range(Q):
                        zeta[q] = eta[q] - centre[i, q]
                    ratio = math.log1p(there / _DF) - math.log1p(_standardised(shape[i], zeta, zeta) / _DF)
                    ratio *= 0.5 * (_DF + Q)
                if not _at(p, address, arguments, i, trial, 0, u, f):
                    well = False
                    break
                there = _depth(p, i, f) + _standardised(L, trial, zeta)
                accepted = math.isfinite(there) and log_uniform[move, c] < 0.5 * (here - there) + ratio
                if accepted:
                    here = there
                    for q in range(Q):
                        eta[q] = trial[q]
                if move > _JUMPS:
                    stride += learning * ((1.0 if accepted else 0.0) - _ACCEPTED)
            if not well:
                leave[count] = i
                count += 1
                break
            for q in range(Q):
                to[c, q] = eta[q]
            log_stride[c] = stride
    return count


@inner
def _depth(p, i, f):
    """-2 log p(y | η) of a subject at its predictions; infinite where it is not a number."""
    first, y, upper, what, response, kind, sigma = p.first, p.y, p.upper, p.what, p.response, p.kind, p.sigma
    total = 0.0
    for j in range(first[i], first[i + 1]):
        s = response[j]
        value, _, _, _, _ = record(True, what[j], kind[s], y[j], upper[j], f[j], sigma, s, 1.0)
        total += value
    return total if math.isfinite(total) else np.inf
