"""The likelihood of one subject, and its mode in the random effects.

Shared by all structures: it sees predictions f with derivatives fu, fuu in the local coordinates of a subject,

    u = a(θ) + b ζ,   b = B L,   η = L ζ,   Ψ = L Lᵀ,   ζ ~ N(0, I).

With standardised effects ζ no inverse of Ψ is needed, so a variance may go to zero. Per subject, with L_j what an
observation adds (see `residual`), the mode ζ̂ is the minimum of

    l(ζ) = Σ L_j + ζᵀζ.

What is made of the mode, the objective and its gradient, is in `gradient`; the loop over subjects in `evaluation`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.found import FAILED, FOUND, KINK, UNPREPARED
from workbench.engine.objectives.linear import add_transposed, cholesky, congruent, product, solve, transposed, weighted
from workbench.engine.predictions.machine import beyond, call, inlined, inner, kernel, pointer, zeros
from workbench.engine.predictions.predictor import Single
from workbench.engine.problem.residual import (
    MEASURED,
    SUM_OF_DEVIATIONS,
    log_of_prediction,
    plain_record,
    variance,
    variance_slopes,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_MAX_HALVINGS = 24
_MOST_HALVINGS = 60  # all together
_PATIENCE = 20  # steps after which those that are cautious grow
_LARGEST_STEP = 5.0  # of ζ, in standard deviations
_MOST_STEPS = 300


class Surface(NamedTuple):
    """What kernels know of the problem, and of where it is looked at.

    Kernels take pointers to it and to their `Room`: so many arrays are not to be handed on from one to the next.

    Attributes
    ----------
    first, y, upper, what, response, kind, logarithmic, floor
        See `Observations`.
    rare : int
        Address of `residual.rare_record`, 0 where all observations are measured with an error of the plain kinds.
    A : float64[N, D, M]; B : float64[N, D, Q]; mean : float64[N, D]
        See `Layout`; a(θ).
    L : float64[Q, Q]; sigma : float64[responses, C]
        See `Point`.
    chain : float64[M + Q² + responses·C, size]
        Derivatives of θ, L and σ by x.
    tolerance : float64[1]
        Squared distance to the mode, in its standard errors.
    pull, wall : float64[N, D]
        Of modes at a kink, see `corners`; empty where there is none.
    bend : float64[N, D, D, D] or None
        ∂l_uu/∂u, the last index the direction (Laplace).
    """

    first: Index
    y: Array
    upper: Array
    what: Index
    response: Index
    kind: Index
    logarithmic: Index
    floor: Array
    rare: int
    A: Array
    B: Array
    mean: Array
    L: Array
    sigma: Array
    chain: Array
    tolerance: Array
    pull: Array
    wall: Array
    bend: Array | None


class Zero(NamedTuple):
    """The residual variances at η = 0, where they are taken from there, for one subject; filled by `at_zero`.

    Attributes
    ----------
    f, R, R_f : float64[most]; fu : float64[most, D]; R_s : float64[most, C]
    slopes : float64[C, 3]
    """

    f: Array
    fu: Array
    R: Array
    R_f: Array
    R_s: Array
    slopes: Array


class Room(NamedTuple):
    """What one subject is worked on in; `most` observations.

    Attributes
    ----------
    address, arguments : int64[attempts]
        Of its predictions, see `Single`; 0 for an attempt that is not prepared.
    f : float64[most]; fu : float64[most, D]; fuu : float64[most, D, D]
    u, lu : float64[D]; b : float64[D, Q]; luu, W : float64[D, D]
    zeta, trial, step, gradient, direction : float64[Q]; hessian : float64[Q, Q]
    half : float64[D, Q]
    L1, L2, w : float64[most]
        L', L'' and w of the observations.
    of_rare : float64[5 + 4·C + C·(C + 1)]; numbers : float64[3]
    depth : float64[1]
        l at zeta.
    rounds : int64[1]
        The most predictions that a search took.
    search, derive : int
        Addresses of `search`, and of `gradient.derive`.
    zero : Zero or None
        Where the residual variances are those at η = 0 (FOCE and FO).
    linear : 1 or None
        Where f is linear in ζ (FO).
    """

    address: Index
    arguments: Index
    f: Array
    fu: Array
    fuu: Array
    u: Array
    lu: Array
    b: Array
    luu: Array
    W: Array
    zeta: Array
    trial: Array
    step: Array
    gradient: Array
    direction: Array
    hessian: Array
    half: Array
    of_rare: Array
    L1: Array
    L2: Array
    w: Array
    numbers: Array
    depth: Array
    rounds: Index
    search: int
    derive: int
    zero: Zero | None
    linear: int | None


BY_OBSERVATION = {"f", "fu", "fuu", "L1", "L2", "w", "R", "R_f", "R_s"}  # arrays of `Room` and `Zero`


def new_room(most: int, D: int, Q: int, C: int, singles: Sequence[Single | None], zero: bool, linear: bool) -> Room:
    """For subjects of at most so many observations; `singles` of each attempt, None if it is not prepared."""
    known = Zero(**zeros(f=most, fu=(most, D), R=most, R_f=most, R_s=(most, C), slopes=(C, 3))) if zero else None
    return Room(
        **zeros(f=most, fu=(most, D), fuu=(most, D, D), u=D, lu=D, b=(D, Q), luu=(D, D), W=(D, D), zeta=Q, trial=Q,
        step=Q, gradient=Q, direction=Q, hessian=(Q, Q), half=(D, Q), of_rare=5 + 4 * C + C * (C + 1),
        L1=most, L2=most, w=most, numbers=3, depth=1),
        address=np.array([0 if single is None else single.address for single in singles]),
        arguments=np.array([0 if single is None else single.arguments.address for single in singles]),
        rounds=np.zeros(1, dtype=np.int64), search=0, derive=0, zero=known, linear=1 if linear else None,
    )  # fmt: skip


@kernel
def coordinates(subjects, mean, Bl, zeta, u):
    """u = a + b ζ for some subjects."""
    D, Q = Bl.shape[1], Bl.shape[2]
    for which in range(subjects.shape[0]):
        i = subjects[which]
        for d in range(D):
            value = mean[i, d]
            for q in range(Q):
                value += Bl[i, d, q] * zeta[i, q]
            u[i, d] = value


# Kernels take pointers p and r to Surface and Room. What inner loops need is read first: it stays where it is.


@inner
def enter(i, p, r):
    """b of a subject."""
    D, Q = r.b.shape
    product(beyond(pointer(p.B), i * D * Q), pointer(p.L), pointer(r.b), D, Q, Q)


@inner
def place(i, p, r, zeta):
    """u of a subject at ζ, float64[Q]."""
    D, Q = r.b.shape
    mean, u = pointer(p.mean), pointer(r.u)
    product(pointer(r.b), pointer(zeta), u, D, Q, 1)
    for d in range(D):
        u[d] += mean[i * D + d]


@inner
def predicted(i, p, r, order, f, fu, fuu):
    """Predict a subject at u, on the scale of the analysis; False if the attempt that can is not prepared."""
    first, address, arguments, response, logarithmic = p.first, r.address, r.arguments, p.response, p.logarithmic
    begin, end = first[i], first[i + 1]
    done = False
    for attempt in range(address.shape[0]):
        if not done and address[attempt] != 0:
            done = call(address[attempt], (arguments[attempt], i, r.u, order, begin, f, fu, fuu)) == 0
    for j in range(begin, end):
        if logarithmic[response[j]] != 0:
            log_of_prediction(j - begin, p.floor[response[j]], order, f, fu, fuu)
    return done


@inner
def at_zero(i, p, r, order, f, fu, fuu):
    """Fill the variances at η = 0, and predictions there; False if they are not prepared."""
    zero, step = r.zero, r.step
    for q in range(step.shape[0]):
        step[q] = 0.0
    place(i, p, r, step)
    if not predicted(i, p, r, order, f, fu, fuu):
        return False
    R, R_f, R_s, slopes = zero.R, zero.R_f, zero.R_s, zero.slopes
    kind, sigma = p.kind, p.sigma
    for n in range(p.first[i + 1] - p.first[i]):
        k = p.response[p.first[i] + n]
        R[n], R_f[n], _ = variance(kind[k], f[n], sigma, k)
        variance_slopes(kind[k], f[n], sigma, k, slopes)
        for c in range(R_s.shape[1]):
            R_s[n, c] = slopes[c, 0]
    return True


@inlined
def observed(j, n, f, p, r, zero):
    """L, L', L'' by f, w and w' of an observation, the n-th of its subject, where f is predicted."""
    k = p.response[j]
    kind = p.kind[k]
    if p.what[j] != MEASURED or (zero is None and kind > SUM_OF_DEVIATIONS):
        numbers, out = r.numbers, r.of_rare
        numbers[0], numbers[1], numbers[2] = p.y[j], p.upper[j], f
        responses, C = p.sigma.shape
        call(p.rare, (p.sigma, responses, C, k, p.what[j], kind, numbers, out))
        return out[0], out[1], out[2], out[3], out[4]
    if zero is None:
        return plain_record(kind, p.y[j], f, p.sigma, k)
    R = zero.R[n]
    e, x = p.y[j] - f, 1.0 / R
    return e * e * x + math.log(R), -2.0 * e * x, 2.0 * x, x, 0.0


@inner
def records(i, p, r, zero):
    """l at the trial; fills L', L'' and w of the observations."""
    trial, f, L1, L2, w = pointer(r.trial), pointer(r.f), pointer(r.L1), pointer(r.L2), pointer(r.w)
    first = p.first[i]
    value = 0.0
    for q in range(r.trial.shape[0]):
        value += trial[q] * trial[q]
    for n in range(p.first[i + 1] - first):
        L, L1[n], L2[n], w[n], _ = observed(first + n, n, f[n], p, r, zero)
        value += L
    return value


@inner
def curvature(i, p, r):
    """Fill l_u, l_uu and W."""
    D, n = r.u.shape[0], p.first[i + 1] - p.first[i]
    fu, luu, L1 = pointer(r.fu), pointer(r.luu), pointer(r.L1)
    transposed(fu, L1, pointer(r.lu), n, D, 1)
    weighted(fu, pointer(r.L2), fu, luu, n, D)
    add_transposed(pointer(r.fuu), L1, luu, n, D * D, 1)
    weighted(fu, pointer(r.w), fu, pointer(r.W), n, D)


def search(p, r, i):
    """Search the mode of a subject from r.trial; how that ended. Machine code of its own.

    Newton's method: a trial is accepted, or the step that led to it is halved. The mode is FOUND where the Newton
    decrement, the distance to the mode in its own standard errors squared, is below the tolerance; f, fu, fuu are then
    those at the mode, which is r.zeta, and r.depth is l there. FAILED: no finite or no lower value was found.
    KINK: l rises along the step, however short: it has no gradient there, as where a lag ends at an observation.
    """
    return _search(p, r, i, r.zero)


@inner
def _search(p, r, i, zero):
    zeta, trial, step, gradient, direction = r.zeta, r.trial, r.step, r.gradient, r.direction
    f, fu, fuu, depth, most = r.f, r.fu, r.fuu, r.depth, r.rounds
    tolerance = p.tolerance[0]
    Q = trial.shape[0]
    stretch, last = 1.0, np.inf
    halvings = halved = steps = rounds = 0
    depth[0] = np.inf
    while True:
        place(i, p, r, trial)
        if not predicted(i, p, r, 2, f, fu, fuu):
            return UNPREPARED
        rounds += 1
        most[0] = max(most[0], rounds)
        value = records(i, p, r, zero)
        if not math.isfinite(value) or value > last + 1e-10 * (1.0 + abs(last)):
            halvings += 1
            halved += 1
            if halvings > _MAX_HALVINGS or (halved > _MOST_HALVINGS and last < np.inf):
                return KINK if last < np.inf else FAILED
            if last == np.inf:  # not even the starting point can be computed: move towards η = 0
                if halvings > 4:
                    return FAILED
                for q in range(Q):
                    trial[q] = 0.5 * trial[q] if halvings < 4 else 0.0
            else:
                stretch = 1.0
                for q in range(Q):
                    step[q] *= 0.5
                    trial[q] = zeta[q] + step[q]
            continue
        depth[0] = last = value
        halvings = 0
        steps += 1
        curvature(i, p, r)
        longest = _newton(r, stretch)
        decrement = size = 0.0
        for q in range(Q):
            zeta[q] = trial[q]
            decrement -= gradient[q] * direction[q]
            size = max(size, abs(direction[q]))
        if not decrement > tolerance:
            return FAILED if math.isnan(decrement) else FOUND
        if steps >= _MOST_STEPS:
            return FAILED
        shorten = min(longest, stretch * _LARGEST_STEP / size)
        if steps > _PATIENCE:
            stretch = min(1.5 * stretch, 1e3)
        for q in range(Q):
            step[q] = shorten * direction[q]
            trial[q] = zeta[q] + step[q]


@inlined
def _newton(r, stretch):
    """The gradient of l by ζ at the trial, and the step from there; how much of it is taken."""
    b, trial, hessian, half = pointer(r.b), pointer(r.trial), pointer(r.hessian), pointer(r.half)
    gradient, direction = pointer(r.gradient), pointer(r.direction)
    D, Q = r.b.shape
    congruent(b, pointer(r.luu), 2.0, half, hessian, D, Q)
    transposed(b, pointer(r.lu), gradient, D, Q, 1)
    for q in range(Q):
        gradient[q] += 2.0 * trial[q]
        direction[q] = -gradient[q]
    longest = 1.0
    if cholesky(hessian, Q):
        solve(hessian, Q, direction, 1)
    else:
        congruent(b, pointer(r.W), 1.0, half, hessian, D, Q)
        if cholesky(hessian, Q):  # cautious: it stays in the basin where it is, but can be slow on the way there
            solve(hessian, Q, direction, 1)
            for q in range(Q):
                direction[q] *= 0.5
            longest = stretch
    return longest


@inner
def linear_mode(i, p, r):
    """The mode of a subject where f is linear in ζ, in closed form, from its predictions at η = 0."""
    D, Q = r.b.shape
    first = p.first[i]
    n = p.first[i + 1] - first
    b, zeta, lu, w, L1, fu = pointer(r.b), pointer(r.zeta), pointer(r.lu), pointer(r.w), pointer(r.L1), pointer(r.fu)
    hessian, W = pointer(r.hessian), pointer(r.W)
    for k in range(n):
        w[k] = 1.0 / r.zero.R[k]
        L1[k] = (p.y[first + k] - r.f[k]) * w[k]
    transposed(fu, L1, lu, n, D, 1)
    transposed(b, lu, zeta, D, Q, 1)
    weighted(fu, w, fu, W, n, D)
    congruent(b, W, 1.0, pointer(r.half), hessian, D, Q)
    if cholesky(hessian, Q):
        solve(hessian, Q, zeta, 1)
    else:
        for q in range(Q):
            zeta[q] = np.nan
