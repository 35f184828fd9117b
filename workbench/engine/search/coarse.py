"""A coarse fit: who knows little of where to begin compares predictions and observations on a plain scale.

On that scale g (linear, the square root or the logarithm, as the residual error grows with the prediction) the
deviations e = g(y) - g(f) count alike, and what a fit needs are sums over the observations of each subject,

    S = Σ w gᵤ gᵤᵤᵀ,   s = Σ w gᵤ e,   Σ e²,     gᵤ the slope of g(f) by the coordinates u of the subject.

With them typical values are fitted to all subjects pooled, by Levenberg and Marquardt, and a population (see there).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.linear import cholesky, solve
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
from workbench.engine.problem.layout import Layout
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import CENSORED
from workbench.model import ResidualError

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LINEAR, ROOT, LOGARITHM = range(3)
LONGEST = 1.0  # step of a typical value, in its units
FARTHEST = 3.5  # of a typical value from where it began
_DAMPING = 1e-2


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


class Summed(NamedTuple):
    """What the sums of N subjects are made of, and they; for kernels.

    Attributes
    ----------
    first, response, censored, g, low, high, kind, floor
        See `Seen`.
    weight : float64[K]
        1 / variance of the deviations.
    A : float64[N, D, M]; B : float64[N, D, Q]
        See `Layout`.
    theta : float64[copies, M]
        Typical values: subjects with the same are side by side, as many of each.
    mean : float64[N, D]
        a(θ), where that is not A θ (`given`).
    L : float64[Q, Q]; zeta : float64[N, Q]
        η = L ζ.
    S : float64[N, D, D]; s : float64[N, D]; squares : float64[N, K]
        The squares by response; NaN where a prediction cannot be computed.
    most : int
        Observations of a subject.
    given : int
    """

    first: Index
    response: Index
    censored: NDArray[np.bool_]
    g: Array
    low: Array
    high: Array
    kind: Index
    floor: Array
    weight: Array
    A: Array
    B: Array
    theta: Array
    mean: Array
    L: Array
    zeta: Array
    S: Array
    s: Array
    squares: Array
    most: int
    given: int


def _sums(p, address, arguments, subjects, count, left):
    """Fill the sums of some subjects; fills `left` with those that are left to the next attempt: how many."""
    return _each_summed(p, address, arguments, view(subjects, (count,)), view(left, (count,)))


@inner
def _each_summed(p, address, arguments, subjects, left):
    first, response, censored, g, low, high, kind, floor, weight = (
        p.first, p.response, p.censored, p.g, p.low, p.high, p.kind, p.floor, p.weight
    )  # fmt: skip
    A, B, theta, L, zeta, S, s, squares = p.A, p.B, p.theta, p.L, p.zeta, p.S, p.s, p.squares
    N, D, M = A.shape
    Q, K, per = L.shape[0], kind.shape[0], N // theta.shape[0]
    f, fu, none = np.zeros(p.most), np.zeros((p.most, D)), np.zeros((1, 1, 1))
    u, slope = np.zeros(D), np.zeros(D)
    missing = 0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        for d in range(D):
            value = 0.0
            if p.given != 0:
                value = p.mean[i, d]
            else:
                for m in range(M):
                    value += A[i, d, m] * theta[i // per, m]
            for q in range(Q):
                by = 0.0
                for r in range(Q):
                    by += B[i, d, r] * L[r, q]
                value += by * zeta[i, q]
            u[d] = value
        if call(address, (arguments, i, u, 1, first[i], f, fu, none)) != 0:
            left[missing] = i
            missing += 1
            for k in range(K):  # where no attempt is left
                squares[i, k] = np.nan
            continue
        for d in range(D):
            s[i, d] = 0.0
            for c in range(D):
                S[i, d, c] = 0.0
        for k in range(K):
            squares[i, k] = 0.0
        for n in range(first[i + 1] - first[i]):
            j = first[i] + n
            k = response[j]
            value, by = f[n], 1.0
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
            squares[i, k] += e * e
            for d in range(D):
                slope[d] = by * fu[n, d]
                s[i, d] += weight[k] * slope[d] * e
                for c in range(d + 1):
                    S[i, d, c] += weight[k] * slope[d] * slope[c]
        for d in range(D):
            for c in range(d):
                S[i, c, d] = S[i, d, c]
    return missing


class Sums:
    """The sums of all subjects of a problem, each at its coordinates.

    Parameters
    ----------
    problem : Problem
    seen : Seen
    N : int
        Subjects, the first of the problem.
    theta : float64[copies, M]
    L : float64[Q, Q]
        Where subjects have effects of their own.
    """

    def __init__(self, problem: Problem, seen: Seen, N: int, theta: Array, L: Array):
        layout, (D, Q), K = problem.layout, (problem.n_coordinates, len(L)), len(seen.kind)
        self._problem, self.subjects = problem, np.arange(N)
        self.arrays = Summed(
            seen.first, seen.response, seen.censored, seen.g, seen.low, seen.high, seen.kind, seen.floor,
            1.0 / seen.spread**2, layout.A[:N], np.ascontiguousarray(layout.B[:N, :, :Q]), theta.copy(),
            np.empty((N, D)), L.copy(), np.zeros((N, Q)), np.empty((N, D, D)), np.empty((N, D)), np.empty((N, K)),
            int(np.diff(seen.first).max(initial=0)), int(bool(layout.fractional)),
        )  # fmt: skip
        self.image = Image(self.arrays)
        self._code = callable_of(address_of(_sums, [self.image], INT, INT, INTEGERS, INT, INTEGERS), 6)
        self._seconds = N * problem.predictor.seconds(1)

    def fill(self) -> None:
        """Fill them, at what the arrays say now."""

        def run(at: int, arguments: int, part: Index, left: Index) -> int:
            return int(self._code(self.image.address, at, arguments, address(part), len(part), address(left)))

        self._problem.predictor.over(run, self.subjects, self._seconds)


# -- typical values of all subjects pooled -------------------------------------------------------------------------


class Pooled(NamedTuple):
    """Searches side by side, one for each copy; for kernels.

    Attributes
    ----------
    slopes : float64[N, D, M]
        Of u by θ.
    free : int64[k]; size, lowest, highest : float64[k]
        The θ that are fitted; a natural size of them, and between what they stay.
    begun, best : float64[copies, M]
    least, damping : float64[copies]
    A : float64[copies, k, k]; b : float64[copies, k]
        The equations at the best.
    """

    slopes: Array
    free: Index
    size: Array
    lowest: Array
    highest: Array
    begun: Array
    best: Array
    least: Array
    damping: Array
    A: Array
    b: Array


def _step(p, t):
    """Take what was found at trials, which are p.theta, or leave it, and fill the next ones; whether any goes on."""
    slopes, free, size, begun, best, least, damping, trial, weight, S, s, squares = (
        t.slopes, t.free, t.size, t.begun, t.best, t.least, t.damping, p.theta, p.weight, p.S, p.s, p.squares
    )  # fmt: skip
    copies, M = trial.shape
    k, D, K, per = free.shape[0], S.shape[1], weight.shape[0], S.shape[0] // copies
    A, b, SX, step = np.zeros(k * k), np.zeros(k), np.zeros((D, k)), np.zeros(k)
    going = 0
    for c in range(copies):
        left = 0.0
        for i in range(c * per, (c + 1) * per):
            for r in range(K):
                left += squares[i, r] * weight[r]
        lower = left < least[c]
        gain = least[c] - left
        if lower:
            for e in range(k):
                b[e] = 0.0
                for a in range(k):
                    A[e * k + a] = 0.0
            for i in range(c * per, (c + 1) * per):
                for d in range(D):
                    for e in range(k):
                        SX[d, e] = 0.0
                        for a in range(D):
                            SX[d, e] += S[i, d, a] * slopes[i, a, free[e]] * size[e]
                for e in range(k):
                    for d in range(D):
                        x = slopes[i, d, free[e]] * size[e]
                        b[e] += x * s[i, d]
                        for a in range(k):
                            A[e * k + a] += x * SX[d, a]
            finite = True
            for e in range(k * k):
                finite = finite and math.isfinite(A[e])
            if finite:
                least[c] = left
                for m in range(M):
                    best[c, m] = trial[c, m]
                for e in range(k):
                    t.b[c, e] = b[e]
                    for a in range(k):
                        t.A[c, e, a] = A[e * k + a]
        damping[c] = 0.2 * damping[c] if lower else 5.0 * max(damping[c], _DAMPING)
        if (not lower or gain > 1e-3 * least[c]) and damping[c] < 1e4:
            going += 1
        largest = longest = 0.0
        for e in range(k):
            largest = max(largest, t.A[c, e, e])
        for e in range(k):
            step[e] = t.b[c, e]
            for a in range(k):
                A[e * k + a] = t.A[c, e, a]
            A[e * k + e] += damping[c] * t.A[c, e, e] + 1e-8 * (1.0 + largest)
        if cholesky(A, k):
            solve(A, k, step, 1)
        else:
            for e in range(k):
                step[e] = 0.0
        for e in range(k):
            longest = max(longest, abs(step[e]))
        for m in range(M):
            trial[c, m] = best[c, m]
        for e in range(k):
            m = free[e]
            moved = best[c, m] + step[e] * min(1.0, LONGEST / max(longest, 1e-300)) * size[e]
            moved = min(max(moved, begun[c, m] - FARTHEST * size[e]), begun[c, m] + FARTHEST * size[e])
            trial[c, m] = min(max(moved, t.lowest[e]), t.highest[e])
    return going


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
    copies, k, layout = len(theta), len(free), problem.layout
    sums = Sums(problem, seen, copies * N, theta, np.empty((0, 0)))
    found, given = sums.arrays, bool(layout.fractional)
    search = Pooled(
        found.A.copy() if given else found.A, free, unit[free], bounds[0][free], bounds[1][free], theta.copy(),
        theta.copy(), np.full(copies, np.inf), np.full(copies, _DAMPING), np.tile(np.eye(k), (copies, 1, 1)),
        np.zeros((copies, k)),
    )  # fmt: skip
    image = Image(search)
    step = callable_of(address_of(_step, [sums.image, image]), 2)
    for _ in range(rounds):
        if given:
            found.mean[:], search.slopes[:] = means(layout, found.theta, N)
        sums.fill()
        if not step(sums.image.address, image.address):
            break
    return search.best, search.least


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
