"""A coarse fit of a population, with the sums of `coarse`: typical values, spreads and the subjects' effects by turns.

The linear mixed model of Lindstrom & Bates (1990, Biometrics 46:673) at the subjects' own modes, with a step of EM for
the spreads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.linear import cholesky, solve
from workbench.engine.predictions.machine import INT, Image, address_of, callable_of, inner
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point
from workbench.engine.search.coarse import FARTHEST, LONGEST, Seen, Sums

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_STEP = 1.5  # of ζ
_FAR = 4.0  # of ζ
_LOST = 100.0  # what an observation counts that cannot be predicted
_DAMPED = 0.02  # a step of typical values, so much of the curvature
_SPREADS = (0.1, 1.0)  # in which the spreads of a search begin, in natural sizes


@dataclass(frozen=True, eq=False)
class Population:
    """Where a coarse fit of a population ended.

    Attributes
    ----------
    point : Point
        θ, and the spreads of the random effects.
    zeta : float64[N, Q]
        The subjects' own effects.
    variance : float64[K]
        Of the deviations on the plain scale, by response.
    objective : float
        As FOCE has it, on the plain scale.
    """

    point: Point
    zeta: Array
    variance: Array
    objective: float


def without_effects(problem: Problem, seen: Seen, point: Point) -> Population:
    """A population before its fit: no subject has effects of its own yet."""
    zeta = np.zeros((problem.n_subjects, problem.n_random))
    return Population(point, zeta, 0.1 * seen.spread**2, math.inf)


class _Turns(NamedTuple):
    """A coarse fit of a population; for kernels. The latest values are those of `Summed`.

    Attributes
    ----------
    order : int64[N]
        In which subjects are added up.
    slopes, free, size, lowest, highest
        As of `coarse.Pooled`.
    counts : float64[N, K]; present : bool[N, Q]
        Observations by response, and which effects a subject has.
    number, smallest : float64[K]
        Observations in all, and the least of variances.
    spread : float64[Q, 2]
        Between what standard deviations stay; NaN for those that are not searched here.
    variance : float64[K]
    best_theta : float64[M]; best_factor : float64[Q, Q]; best_zeta : float64[N, Q]; best_variance : float64[K]
    objective : float64[1]
        Of these; infinite before there are any.
    second, told : float64[Q]
        Of the effects the sum of E(η²) over the subjects that have them, and how many these are.
    C : float64[N, k + Q, k + Q]; v : float64[N, k + Q]; inverse : float64[N, Q, Q]
        Of each subject, with W = (X, B L) the slopes of u by k typical values and Q effects ζ: Wᵀ S W; what the
        deviations say along W; (I + the part of the effects)⁻¹.
    """

    order: Index
    slopes: Array
    free: Index
    size: Array
    lowest: Array
    highest: Array
    counts: Array
    present: NDArray[np.bool_]
    number: Array
    smallest: Array
    spread: Array
    variance: Array
    best_theta: Array
    best_factor: Array
    best_zeta: Array
    best_variance: Array
    objective: Array
    second: Array
    told: Array
    C: Array
    v: Array
    inverse: Array


def _turn(p, t, goes_on):
    """Judge where the sums were taken, and take a turn of the linear mixed model from there; 0 if that cannot be."""
    order, slopes, free, size, counts, present, number, variance, second, told = (
        t.order, t.slopes, t.free, t.size, t.counts, t.present, t.number, t.variance, t.second, t.told
    )  # fmt: skip
    C, v, inverse, L, zeta, theta, S, s, squares = (
        t.C, t.v, t.inverse, p.L, p.zeta, p.theta, p.S, p.s, p.squares
    )  # fmt: skip
    N, D, _ = S.shape
    Q, K, k = L.shape[0], variance.shape[0], free.shape[0]
    m = k + Q
    W, SW, G, half, unit = np.zeros((D, m)), np.zeros((D, m)), np.zeros(Q * Q), np.zeros(Q), np.zeros(Q)
    A, b, left, spare = np.zeros(k * k), np.zeros(k), np.zeros(K), np.zeros(K)
    value = largest = 0.0
    known = 0
    for n in range(N):
        i = order[n]
        for q in range(Q):
            value += zeta[i, q] * zeta[i, q]
        for r in range(K):
            value += counts[i, r] * math.log(variance[r])
        if not _is_known(i, p):
            for r in range(K):
                value += _LOST * counts[i, r]
            continue
        known += 1
        for r in range(K):
            value += squares[i, r] / variance[r]
            left[r] += squares[i, r]
        for d in range(D):
            for e in range(k):
                W[d, e] = slopes[i, d, free[e]] * size[e]
            for q in range(Q):
                W[d, k + q] = 0.0
                for r in range(Q):
                    W[d, k + q] += p.B[i, d, r] * L[r, q]
        for e in range(m):
            v[i, e] = 0.0
        for d in range(D):
            z = s[i, d]
            for e in range(m):
                SW[d, e] = 0.0
                for c in range(D):
                    SW[d, e] += S[i, d, c] * W[c, e]
            for q in range(Q):
                z += SW[d, k + q] * zeta[i, q]
            for e in range(m):
                v[i, e] += W[d, e] * z
        for e in range(m):
            for c in range(m):
                C[i, e, c] = 0.0
                for d in range(D):
                    C[i, e, c] += W[d, e] * SW[d, c]
        for q in range(Q):
            for r in range(Q):
                G[q * Q + r] = C[i, k + q, k + r]
            G[q * Q + q] += 1.0
        if not cholesky(G, Q):
            return 0
        for q in range(Q):
            value += 2.0 * math.log(G[q * Q + q])
            for r in range(Q):
                unit[r] = 1.0 if r == q else 0.0
            solve(G, Q, unit, 1)
            for r in range(Q):
                inverse[i, q, r] = unit[r]
        for e in range(k):
            b[e] += v[i, e]
            for q in range(Q):
                half[q] = 0.0
                for r in range(Q):
                    half[q] += C[i, e, k + r] * inverse[i, r, q]
                b[e] -= half[q] * v[i, k + q]
            for c in range(k):
                A[e * k + c] += C[i, e, c]
                for q in range(Q):
                    A[e * k + c] -= half[q] * C[i, k + q, c]
    for e in range(k):
        largest = max(largest, A[e * k + e])
    for e in range(k):
        A[e * k + e] += _DAMPED * A[e * k + e] + 1e-6 * (1.0 + largest)
    if known == 0 or not math.isfinite(value) or not cholesky(A, k):
        return 0
    if value < t.objective[0]:
        t.objective[0] = value
        for e in range(theta.shape[1]):
            t.best_theta[e] = theta[0, e]
        for r in range(K):
            t.best_variance[r] = variance[r]
        for q in range(Q):
            for r in range(Q):
                t.best_factor[q, r] = L[q, r]
            for i in range(N):
                t.best_zeta[i, q] = zeta[i, q]
    if goes_on == 0:
        return 1
    # the next typical values
    solve(A, k, b, 1)
    for e in range(k):
        old = theta[0, free[e]]
        step = min(max(b[e], -LONGEST), LONGEST)
        theta[0, free[e]] = min(max(old + step * size[e], t.lowest[e]), t.highest[e])
        b[e] = (theta[0, free[e]] - old) / size[e]
    # the next ζ, and what they say of spreads
    for q in range(Q):
        second[q] = 0.0
        told[q] = 0.0
    for n in range(N):
        i = order[n]
        many = taken = 0.0
        for r in range(K):
            many += counts[i, r]
        if _is_known(i, p):
            for q in range(Q):
                taken += 1.0 - inverse[i, q, q]
                for e in range(k):
                    v[i, k + q] -= C[i, k + q, e] * b[e]
            for q in range(Q):
                half[q] = 0.0
                for r in range(Q):
                    half[q] += inverse[i, q, r] * v[i, k + r]
            for q in range(Q):
                step = min(max(half[q] - zeta[i, q], -_STEP), _STEP)
                zeta[i, q] = min(max(zeta[i, q] + step, -_FAR), _FAR)
            for q in range(Q):
                if not present[i, q]:
                    continue
                eta = around = 0.0
                for r in range(Q):
                    eta += L[q, r] * zeta[i, r]
                    for c in range(Q):
                        around += L[q, r] * inverse[i, r, c] * L[q, c]
                second[q] += eta * eta + around
                told[q] += 1.0
        else:
            for q in range(Q):
                zeta[i, q] *= 0.5
        for r in range(K):
            spare[r] += counts[i, r] - counts[i, r] * taken / max(many, 1.0)
    # spreads and variances by EM
    for q in range(Q):
        if math.isfinite(t.spread[q, 0]):
            L[q, q] = min(max(math.sqrt(second[q] / max(told[q], 1.0)), t.spread[q, 0]), t.spread[q, 1])
    for r in range(K):
        variance[r] = max(left[r] / max(spare[r] - k / K, 0.2 * number[r]), t.smallest[r])
        p.weight[r] = 1.0 / variance[r]
    return 1


@inner
def _is_known(i, p):
    """Whether a subject could be predicted."""
    S, squares, total = p.S, p.squares, 0.0
    for r in range(squares.shape[1]):
        total += squares[i, r]
    for d in range(S.shape[1]):
        for c in range(S.shape[2]):
            total += S[i, d, c]
    return math.isfinite(total)


def population(
    problem: Problem,
    seen: Seen,
    order: Index,
    begun: Population,
    free: Index,
    bounds: tuple[Array, Array],
    unit: Array,
    spreads: tuple[Array, Array],
    rounds: int,
) -> Population:
    """A coarse fit of a population: θ, spreads and the subjects' effects by turns.

    Parameters
    ----------
    problem : Problem
    seen : Seen
    order : int64[N]
        In which subjects are added up.
    begun : Population
        Where it begins, see `without_effects`.
    free : int64[k]
        The θ that are fitted.
    bounds : (float64[M], float64[M])
    unit : float64[M]
        A natural size of each.
    spreads : (float64[.], float64[.])
        Natural sizes of the random effects between subjects, and between occasions, whose spreads are searched; NaN for
        the others.
    rounds : int
    """
    N, Q, k, point = problem.n_subjects, problem.n_random, len(free), begun.point
    layout, size, counts = problem.layout, unit[free], _counts(seen, N)
    sums = Sums(problem, seen, N, point.theta[None], point.L)
    latest, given = sums.arrays, bool(layout.fractional)
    latest.zeta[:], latest.weight[:] = begun.zeta, 1.0 / begun.variance
    plain = _spreads_alone(problem, point)
    spread = np.full((Q, 2), np.nan)
    if plain:
        searched = np.flatnonzero(problem.scale.subject.deviation_free & np.isfinite(spreads[0]))
        spread[searched] = np.multiply.outer(spreads[0][searched], _SPREADS)
    lowest, highest = (
        np.maximum(point.theta[free] - FARTHEST * size, bounds[0][free]),
        np.minimum(point.theta[free] + FARTHEST * size, bounds[1][free]),
    )
    fit = _Turns(
        order, layout.A.copy() if given else layout.A, free, size, lowest, highest, counts,
        np.asarray(np.abs(layout.B).sum(axis=1) > 0.0), np.maximum(counts.sum(axis=0), 1.0),
        (0.01 * seen.spread) ** 2, spread, begun.variance.copy(), point.theta.copy(), point.L.copy(),
        begun.zeta.copy(), begun.variance.copy(), np.array([math.inf]), np.empty(Q), np.empty(Q),
        np.empty((N, k + Q, k + Q)), np.empty((N, k + Q)), np.empty((N, Q, Q)),
    )  # fmt: skip
    image = Image(fit)
    turn = callable_of(address_of(_turn, [sums.image, image], INT), 3)
    for number in range(rounds + 1):
        if given:
            latest.mean[:], fit.slopes[:] = layout.mean(latest.theta[0])
        sums.fill()
        if not turn(sums.image.address, image.address, int(number < rounds)):
            break
        if not plain and number < rounds:
            deviation = np.sqrt(fit.second / np.maximum(fit.told, 1.0))
            latest.L[:] = _with_spreads(problem, replace(point, L=latest.L), deviation, spreads).L
    best = replace(point, theta=fit.best_theta, L=fit.best_factor)
    return Population(best, fit.best_zeta, fit.best_variance, float(fit.objective[0]))


def _spreads_alone(problem: Problem, point: Point) -> bool:
    """Whether L is made of standard deviations between subjects, each of its own: the usual case, quick."""
    scale = problem.scale
    tied = scale.occasion.names or (scale.subject.owner >= 0).any()
    return not tied and not np.tril(point.L, -1).any()


def _counts(seen: Seen, N: int) -> Array:
    """Observations of each subject, by response, float64[N, K]."""
    counts = np.zeros((N, len(seen.kind)))
    np.add.at(counts, (np.repeat(np.arange(N), np.diff(seen.first)), seen.response), 1.0)
    return counts


def _with_spreads(problem: Problem, point: Point, deviation: Array, spreads: tuple[Array, Array]) -> Point:
    """The point with new standard deviations where they are searched, float64[Q]; within what is sane."""
    scale = problem.scale
    between, occasions = len(scale.subject.names), len(scale.occasion.names)
    within = deviation[between:].reshape(-1, occasions).mean(axis=0) if occasions else np.zeros(0)
    wanted = [
        new.clip(_SPREADS[0] * size, _SPREADS[1] * size)  # NaN stays so
        for new, size in zip((deviation[:between], within), spreads, strict=True)
    ]
    return scale.with_deviations(point, wanted[0], wanted[1])
