"""A coarse fit: who knows little of where to begin compares predictions and observations on a plain scale.

On that scale g (linear, the square root or the logarithm, as the residual error grows with the prediction) the
deviations e = g(y) - g(f) count alike, and what a fit needs are sums over the observations of each subject,

    S = Σ w gᵤ gᵤᵤᵀ,   s = Σ w gᵤ e,   Σ e²,     gᵤ the slope of g(f) by the coordinates u of the subject.

With them typical values are fitted to all subjects pooled, by Levenberg and Marquardt, and a population by the
linear mixed model of Lindstrom & Bates (1990, Biometrics 46:673) at the subjects' own modes, with a step of EM for the
spreads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.linear import cholesky, solve
from workbench.engine.predictions.machine import kernel
from workbench.engine.problem.layout import Layout
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import CENSORED
from workbench.engine.problem.scale import Point
from workbench.model import ResidualError

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LINEAR, ROOT, LOGARITHM = range(3)
_LONGEST = 1.0  # step of a typical value, in its units
_FARTHEST = 3.5  # of a typical value from where it began
_STEP = 1.5  # of ζ
_FAR = 4.0  # of ζ
_LOST = 100.0  # what an observation counts that cannot be predicted
_DAMPING = 1e-2
_DAMPED = 0.02  # a step of typical values, so much of the curvature
_SPREADS = (0.1, 1.0)  # in which the spreads of a search begin, in natural sizes


@dataclass(frozen=True, eq=False)
class Seen:
    """The observations on the natural scale, and how they are compared with predictions.

    Attributes
    ----------
    y : float64[n]
        Values; of a censored one the limit.
    g : float64[n]
        On the plain scale.
    low, high : float64[n]
        On the plain scale, between which a censored value lies.
    censored : bool[n]
    response : int64[n]; first : int64[N + 1]
    kind : int64[K]; floor, spread, top : float64[K]
        Of each response: its plain scale; what is added before a root or logarithm is taken; the standard deviation of
        g; a large value.
    """

    y: Array
    g: Array
    low: Array
    high: Array
    censored: NDArray[np.bool_]
    response: Index
    first: Index
    kind: Index
    floor: Array
    spread: Array
    top: Array

    def of(self, f: Array) -> Array:
        """Predictions float64[..., n] on the plain scale."""
        found = f.copy()
        for k, (kind, floor) in enumerate(zip(self.kind.tolist(), self.floor.tolist(), strict=True)):
            mine = self.response == k
            if kind != LINEAR:
                found[..., mine] = _plain(kind, floor, f[..., mine])
        return found


def _plain(kind: int, floor: float, f: Array) -> Array:
    """g(f), continued as a straight line below 0."""
    if kind == LINEAR:
        return f
    below = np.minimum(f, 0.0)
    above = np.maximum(f, 0.0) + floor
    if kind == ROOT:
        return np.asarray(np.sqrt(above) + 0.5 * below / math.sqrt(floor))
    return np.asarray(np.log(above) + below / floor)


def _kind_of(error: ResidualError, logarithmic: bool, y: Array) -> int:
    """The scale on which the residual error is about constant."""
    if logarithmic or (error.vanishes() and y.min(initial=1.0) > 0.0):
        return LOGARITHM
    values = dict.fromkeys(error.names, 1.0)
    grows = error.sd_at(1.0, values) > 1.001 * error.sd_at(0.0, values)
    return ROOT if grows and y.min(initial=0.0) >= 0.0 else LINEAR


def seen_of(problem: Problem) -> Seen:
    """The observations of a problem."""
    seen = problem.observations
    censored = seen.what % 2 == CENSORED
    logs = seen.logarithmic[seen.response]
    with np.errstate(over="ignore"):
        low = np.where(logs, np.exp(np.minimum(seen.y, 700.0)), seen.y)
        high = np.where(logs, np.exp(np.minimum(seen.upper, 700.0)), seen.upper)
    y = np.where(censored & ~np.isfinite(low), high, low)
    K = len(seen.kind)
    kind, (floor, spread, top) = np.zeros(K, dtype=np.int64), np.ones((3, K))
    g, g_low, g_high = y.copy(), low.copy(), high.copy()
    for k, error in enumerate(problem.errors):
        mine = seen.response == k
        measured = y[mine & ~censored]
        if not measured.size:
            measured = y[mine]
        top[k] = quantile(np.abs(measured), 0.95) if measured.size else 1.0
        top[k] = top[k] or float(np.abs(measured).max(initial=0.0)) or 1.0
        kind[k] = _kind_of(error, bool(seen.logarithmic[k]), measured)
        positive = measured[measured > 0]
        if kind[k] == LOGARITHM:
            floor[k] = 0.3 * float(positive.min()) if positive.size else top[k]
        elif kind[k] == ROOT:
            floor[k] = 1e-3 * top[k]
        for array in (g, g_low, g_high):
            array[mine] = _plain(int(kind[k]), float(floor[k]), array[mine])
        if measured.size:
            plain = np.sort(_plain(int(kind[k]), float(floor[k]), measured))  # sums are the same in any order then
            spread[k] = float(np.std(plain)) or abs(float(plain[0])) or 1.0
    return Seen(y, g, g_low, g_high, censored, seen.response, seen.first, kind, floor, spread, top)


def quantile(values: Array, share: float) -> float:
    """As np.quantile has it, in a tenth of the time where values are few."""
    place = share * (len(values) - 1)
    low = int(place)
    high, t = min(low + 1, len(values) - 1), place - low
    ordered = np.partition(values, (low, high))
    first, last = float(ordered[low]), float(ordered[high])
    return last - (last - first) * (1.0 - t) if t >= 0.5 else first + (last - first) * t


@kernel
def _sums(subjects, first, response, censored, g, low, high, kind, floor, weight, f, fu, S, s, squares):
    """Fill S, s and the squares by response, a row for each of `subjects`; of fu the slopes of f."""
    D = fu.shape[1]
    slope = np.zeros(D)
    for row in range(subjects.shape[0]):
        i = subjects[row]
        S[row] = 0.0
        s[row] = 0.0
        squares[row] = 0.0
        for j in range(first[i], first[i + 1]):
            k = response[j]
            value, by = f[j], 1.0
            if kind[k] != LINEAR:
                above = max(value, 0.0) + floor[k]
                below = min(value, 0.0)
                if kind[k] == ROOT:
                    root = math.sqrt(above)
                    value, by = root + 0.5 * below / math.sqrt(floor[k]), 0.5 / root
                else:
                    value, by = math.log(above) + below / floor[k], 1.0 / above
            e = g[j] - value
            if censored[j]:
                e = max(low[j] - value, 0.0) + min(high[j] - value, 0.0)
                if e == 0.0 and not math.isnan(value):
                    continue
            squares[row, k] += e * e
            for d in range(D):
                slope[d] = by * fu[j, d]
                s[row, d] += weight[k] * slope[d] * e
                for c in range(d + 1):
                    S[row, d, c] += weight[k] * slope[d] * slope[c]
        for d in range(D):
            for c in range(d):
                S[row, c, d] = S[row, d, c]


class Sums:
    """The sums of some subjects at their coordinates."""

    def __init__(self, problem: Problem, seen: Seen, subjects: Index):
        n, D = len(seen.y), problem.n_coordinates
        self._problem, self._seen, self._subjects = problem, seen, subjects
        self._f, self._fu, self._none = np.full(n, np.nan), np.zeros((n, D)), np.empty((0, D, D))

    def at(self, u: Array, weight: Array) -> tuple[Array, Array, Array]:
        """S[k, D, D], s[k, D] and the squares[k, K] at u[N, D]; NaN where a prediction cannot be computed."""
        seen, k, D = self._seen, len(self._subjects), u.shape[1]
        self._problem.predictor.predict(self._subjects, u, 1, self._f, self._fu, self._none)
        S, s, squares = np.empty((k, D, D)), np.empty((k, D)), np.empty((k, len(seen.kind)))
        _sums(
            self._subjects, seen.first, seen.response, seen.censored, seen.g, seen.low, seen.high, seen.kind,
            seen.floor, weight, self._f, self._fu, S, s, squares,
        )  # fmt: skip
        return S, s, squares


# -- typical values of all subjects pooled -------------------------------------------------------------------------


def pooled(
    problem: Problem,
    seen: Seen,
    N: int,
    theta: Array,
    free: Index,
    bounds: tuple[Array, Array],
    unit: Array,
    rounds: int,
) -> tuple[Array, Array]:
    """Levenberg and Marquardt from several points side by side, the data of all subjects pooled.

    Parameters
    ----------
    problem : Problem
        Its first subjects are those of `copies` equal data sets of N subjects, one for each point, in order.
    seen : Seen
    N : int
    theta : float64[copies, M]
    free : int64[k]
        The θ that are fitted.
    bounds : (float64[M], float64[M])
    unit : float64[M]
        A natural size of each.
    rounds : int

    Returns
    -------
    theta : float64[copies, M]
    left : float64[copies]
        Squares of the deviations, in variances of their response; infinite where there are none.
    """
    copies = len(theta)
    subjects = np.arange(copies * N)
    sums, weight = Sums(problem, seen, subjects), 1.0 / seen.spread**2
    layout, begun, trial = problem.layout, theta, theta.copy()
    best, least = theta.copy(), np.full(copies, np.inf)
    k = len(free)
    A, b = np.tile(np.eye(k), (copies, 1, 1)), np.zeros((copies, k))
    damping, size = np.full(copies, _DAMPING), unit[free]
    for _ in range(rounds):
        mean, slopes = means(layout, trial, N)
        S, s, squares = sums.at(mean, weight)
        left = (squares @ weight).reshape(copies, N).sum(axis=1)
        X = slopes[:, :, free] * size
        lower = left < least
        gain = np.where(lower & np.isfinite(least), least - left, np.inf)
        if lower.any():
            XS = X.transpose(0, 2, 1) @ S
            new_A, new_b = (XS @ X).reshape(copies, N, k, k).sum(axis=1), np.einsum("idk,id->ik", X, s)
            finite = np.isfinite(new_A).all(axis=(1, 2)) & lower
            best[finite], least[finite] = trial[finite], left[finite]
            A[finite], b[finite] = new_A[finite], new_b.reshape(copies, N, k).sum(axis=1)[finite]
        damping = np.where(lower, 0.2 * damping, 5.0 * np.maximum(damping, _DAMPING))
        if not (((gain > 1e-3 * least) | ~lower) & (damping < 1e4)).any():
            break
        diagonal = np.einsum("ikk->ik", A)
        damped = A + (damping[:, None] * diagonal + 1e-8 * (1.0 + diagonal.max(axis=1, keepdims=True)))[
            :, :, None
        ] * np.eye(k)
        step = np.linalg.solve(damped, b[:, :, None])[:, :, 0]
        step *= np.minimum(1.0, _LONGEST / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        trial = best.copy()
        moved = best[:, free] + step * size
        moved = np.clip(moved, begun[:, free] - _FARTHEST * size, begun[:, free] + _FARTHEST * size)
        trial[:, free] = np.clip(moved, bounds[0][free], bounds[1][free])
    return best, least


def means(layout: Layout, theta: Array, N: int) -> tuple[Array, Array]:
    """Coordinates without random effects, float64[copies · N, D], at theta[copies, M], and their slopes by it."""
    A = layout.A[: len(theta) * N]
    if not layout.fractional:
        mean = (A.reshape(len(theta), N, *A.shape[1:]) @ theta[:, None, :, None]).reshape(A.shape[:2])
        return np.ascontiguousarray(mean), A
    mean, slopes = np.empty(A.shape[:2]), np.empty_like(A)
    for c in range(len(theta)):
        part = slice(c * N, (c + 1) * N)
        whole = layout.mean(theta[c])
        mean[part], slopes[part] = whole[0][part], whole[1][part]
    return mean, slopes


# -- a population --------------------------------------------------------------------------------------------------


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


@kernel
def _turn(
    S, s, squares, X, Bl, L, zeta, counts, present, variance, theta, size, lowest, highest, lost, C, v, inverse, A, b,
    new_theta, new_zeta, second, told, spare, left, found,
):  # fmt: skip
    """A turn of the linear mixed model at ζ, with W = (X, B L) the slopes of u by k typical values and Q effects ζ.

    Fills who is lost, as their sums are no numbers; the next typical values and ζ; of the effects the sum of E(η²) over
    the subjects that have them, and how many these are; by response the observations less what the subjects' own
    values take of them, and the squares that are left; and found[0], the objective here.
    """
    N, Q, D, K, k = S.shape[0], zeta.shape[1], S.shape[1], counts.shape[1], theta.shape[0]
    m = k + Q
    W, SW, G, half, unit = np.zeros((D, m)), np.zeros((D, m)), np.zeros(Q * Q), np.zeros(Q), np.zeros(Q)
    value = largest = 0.0
    A[:] = 0.0
    b[:] = 0.0
    left[:] = 0.0
    for i in range(N):
        total = 0.0
        for r in range(K):
            total += squares[i, r]
        for d in range(D):
            for c in range(D):
                total += S[i, d, c]
        for q in range(Q):
            value += zeta[i, q] * zeta[i, q]
        for r in range(K):
            value += counts[i, r] * math.log(variance[r])
        lost[i] = not math.isfinite(total)
        if lost[i]:
            for r in range(K):
                value += _LOST * counts[i, r]
            continue
        for r in range(K):
            value += squares[i, r] / variance[r]
            left[r] += squares[i, r]
        for d in range(D):
            for e in range(k):
                W[d, e] = X[i, d, e]
            for q in range(Q):
                W[d, k + q] = Bl[i, d, q]
        v[i] = 0.0
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
            found[0] = np.nan
            return
        for q in range(Q):
            value += 2.0 * math.log(G[q * Q + q])
            unit[:] = 0.0
            unit[q] = 1.0
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
    found[0] = value
    # the next typical values
    for e in range(k):
        largest = max(largest, A[e * k + e])
    for e in range(k):
        A[e * k + e] += _DAMPED * A[e * k + e] + 1e-6 * (1.0 + largest)
    if not cholesky(A, k):
        found[0] = np.nan
        return
    solve(A, k, b, 1)
    for e in range(k):
        step = min(max(b[e], -_LONGEST), _LONGEST)
        new_theta[e] = min(max(theta[e] + step * size[e], lowest[e]), highest[e])
        b[e] = (new_theta[e] - theta[e]) / size[e]
    # the next ζ, and what they say of spreads
    second[:] = 0.0
    told[:] = 0.0
    spare[:] = 0.0
    for i in range(N):
        number = taken = 0.0
        for r in range(K):
            number += counts[i, r]
        if lost[i]:
            for q in range(Q):
                new_zeta[i, q] = 0.5 * zeta[i, q]
        else:
            for q in range(Q):
                taken += 1.0 - inverse[i, q, q]
                for e in range(k):
                    v[i, k + q] -= C[i, k + q, e] * b[e]
            for q in range(Q):
                wanted = 0.0
                for r in range(Q):
                    wanted += inverse[i, q, r] * v[i, k + r]
                step = min(max(wanted - zeta[i, q], -_STEP), _STEP)
                new_zeta[i, q] = min(max(zeta[i, q] + step, -_FAR), _FAR)
            for q in range(Q):
                if not present[i, q]:
                    continue
                eta = around = 0.0
                for r in range(Q):
                    eta += L[q, r] * new_zeta[i, r]
                    for c in range(Q):
                        around += L[q, r] * inverse[i, r, c] * L[q, c]
                second[q] += eta * eta + around
                told[q] += 1.0
        for r in range(K):
            spare[r] += counts[i, r] - counts[i, r] * taken / max(number, 1.0)


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
    N, Q, k, K = problem.n_subjects, problem.n_random, len(free), len(seen.kind)
    layout, B, size = problem.layout, problem.layout.B[order], unit[free]
    sums, counts = Sums(problem, seen, order), _counts(seen, N)[order]
    number, least = np.maximum(counts.sum(axis=0), 1.0), (0.01 * seen.spread) ** 2
    point, zeta, variance = begun.point, begun.zeta[order], begun.variance
    theta, lowest, highest = _reach(point.theta, free, bounds, size)
    present: NDArray[np.bool_] = np.asarray(np.abs(B).sum(axis=1) > 0.0)  # [N, Q]
    C, v, inverse = np.empty((N, k + Q, k + Q)), np.empty((N, k + Q)), np.empty((N, Q, Q))
    A, b, value, u, lost = np.empty(k * k), np.empty(k), np.empty(1), np.empty((N, B.shape[1])), np.zeros(N, dtype=bool)
    second, told, spare, left = np.empty(Q), np.empty(Q), np.empty(K), np.empty(K)
    best = replace(begun, objective=math.inf)
    X = layout.A[order][:, :, free] * size
    for turn in range(rounds + 1):
        mean, slopes = layout.mean(theta)
        if layout.fractional:
            X = slopes[order][:, :, free] * size
        Bl = B @ point.L
        u[order] = mean[order] + (Bl @ zeta[:, :, None])[:, :, 0]
        S, s, squares = sums.at(u, 1.0 / variance)
        new, found = np.empty(k), np.empty_like(zeta)
        _turn(
            S, s, squares, X, Bl, point.L, zeta, counts, present, variance, theta[free], size, lowest, highest, lost,
            C, v, inverse, A, b, new, found, second, told, spare, left, value,
        )  # fmt: skip
        objective = float(value[0])
        if lost.all() or not math.isfinite(objective):
            break
        if objective < best.objective:
            best = Population(replace(point, theta=theta), zeta, variance, objective)
        if turn == rounds:
            break
        theta = theta.copy()
        theta[free], zeta = new, found
        # spreads and variances by EM
        point = _with_spreads(problem, point, np.sqrt(second / np.maximum(told, 1.0)), spreads)
        variance = np.maximum(left / np.maximum(spare - k / K, 0.2 * number), least)
    effects = np.empty_like(best.zeta)
    effects[order] = best.zeta
    return replace(best, zeta=effects)


def _reach(theta: Array, free: Index, bounds: tuple[Array, Array], size: Array) -> tuple[Array, Array, Array]:
    """Where a search begins, and the ends of where it may go, float64[free]."""
    begun = theta[free]
    return (
        theta,
        np.maximum(begun - _FARTHEST * size, bounds[0][free]),
        np.minimum(begun + _FARTHEST * size, bounds[1][free]),
    )


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
    if not occasions and (scale.subject.owner < 0).all() and not np.tril(point.L, -1).any():  # the usual case, quick
        free = np.isfinite(wanted[0]) & scale.subject.deviation_free
        return replace(point, L=np.diag(np.where(free, wanted[0], point.L.diagonal())))
    return scale.with_deviations(point, wanted[0], wanted[1])
