"""The objective of a subject at its mode, and its exact gradient.

With the names of `likelihood` and A = ∂a/∂θ, log|Ψ| + log|H_η| is log|H| with H = I + bᵀ W b, and

    OFV_i = l(ζ̂) + log|H(ζ̂)|.

FOCEI: R at f, W = Σ w fu fuᵀ with w = 1/R + ½ (R'/R)²; FOCE: R at η = 0, w = 1/R; FO: f linear in ζ around 0 as well
(Wang 2007, J Pharmacokinet Pharmacodyn 34:575; here times 2 and without n·log 2π). Laplace: R at f, W = ½ l_uu.

The mode depends on the parameters through the implicit function theorem (Almquist, Leander & Jirstrand 2015, ibid.
42:191), which enters here as one adjoint vector v instead of dζ̂/dx for every x. With z = ∂log|H|/∂u,

    v = (l_ζζ)⁻¹ bᵀ z,   r = l_u + z - l_uu b v,
    ∂OFV_i/∂θ = Aᵀ r,    ∂OFV_i/∂L = Bᵀ (r ζᵀ - l_u vᵀ + 2 W b H⁻¹),

plus, where R is that at η = 0, what θ does through it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.likelihood import curvature, observed
from workbench.engine.objectives.linear import (
    add_transposed,
    cholesky,
    clear,
    congruent,
    inverted,
    product,
    solve,
    transposed,
    weighted,
)
from workbench.engine.predictions.machine import beyond, inlined, inner, pointer, zeros
from workbench.engine.problem.residual import MEASURED, SUM_OF_DEVIATIONS, plain_slopes

Array = NDArray[np.float64]

_LAST_STEP = 1e-6  # squared distance to the mode above which it is no mode but a kink


class Derivatives(NamedTuple):
    """What the derivatives of one subject are worked out in; `most` observations, S = responses·C.

    Attributes
    ----------
    w1 : float64[most]
        w'.
    slopes : float64[C, 4]
        Derivatives of (L, L', L'', w) of an observation by the σ of its response.
    first, second, weight : float64[most, S]
        Those of L', L'' and w by σ.
    on_value, on_slope, on_weight : float64[most]
        ∂L/∂R, ∂L'/∂R, ∂w/∂R times R' at η = 0, where R is taken from there.
    fe : float64[most, D]
        ∂f/∂u as a change of θ meets it, where that also moves the slope (FO).
    s : float64[most, D]; q : float64[most]
        P fu and fuᵀ P fu.
    lue, z, r, luz, bv, carried : float64[D]
        l_u by a change of θ; ∂log|H|/∂u; r; what meets ζ in ∂OFV/∂L; b v; l_uu b v.
    P, lut : float64[D, D]
        b H⁻¹ bᵀ; l_uu for a change of θ.
    lus : float64[D, S]
        l_u by σ.
    H, Hi : float64[Q, Q]
    v, unit : float64[Q]
    by_b : float64[D, Q]
        ∂OFV/∂b.
    by_point : float64[M + Q² + S]
        ∂OFV/∂θ, ∂OFV/∂L, ∂OFV/∂σ.
    """

    w1: Array
    slopes: Array
    first: Array
    second: Array
    weight: Array
    on_value: Array
    on_slope: Array
    on_weight: Array
    fe: Array
    s: Array
    q: Array
    lue: Array
    z: Array
    r: Array
    luz: Array
    bv: Array
    carried: Array
    P: Array
    lut: Array
    lus: Array
    H: Array
    Hi: Array
    v: Array
    unit: Array
    by_b: Array
    by_point: Array


OF_ANY_LENGTH = {  # arrays of `Derivatives` by observation, and by parameter
    "w1", "first", "second", "weight", "on_value", "on_slope", "on_weight", "fe", "s", "q", "by_point",
}  # fmt: skip


def new_derivatives(most: int, D: int, Q: int, M: int, responses: int, C: int) -> Derivatives:
    """For subjects of at most so many observations."""
    S = responses * C
    return Derivatives(
        **zeros(w1=most, slopes=(C, 4), first=(most, S), second=(most, S), weight=(most, S), on_value=most,
                on_slope=most, on_weight=most, fe=(most, D), s=(most, D), q=most, lue=D, z=D, r=D, luz=D, bv=D,
                carried=D, P=(D, D), lut=(D, D), lus=(D, S), H=(Q, Q), Hi=(Q, Q), v=Q, unit=Q, by_b=(D, Q),
                by_point=M + Q * Q + S)
    )  # fmt: skip


# Kernels take pointers: p to Surface, r to Room, g to Derivatives, o to Found. What inner loops need is read first.


def derive(p, r, g, o, i):
    """OFV of a subject at its mode r.zeta, where it is predicted, and its total derivatives by x. Machine code."""
    return _derive(i, p, r, g, o, r.zero, r.linear, p.bend)


@inner
def _derive(i, p, r, g, o, zero, linear, bend):
    D, Q = r.b.shape
    M, S, n = p.A.shape[2], g.lus.shape[1], p.first[i + 1] - p.first[i]
    b, zeta, lu, luu, W, half, hessian = (
        pointer(r.b), pointer(r.zeta), pointer(r.lu), pointer(r.luu), pointer(r.W), pointer(r.half), pointer(r.hessian)
    )  # fmt: skip
    fu, fuu, q, z, bv, v, rest = (
        pointer(r.fu), pointer(r.fuu), pointer(g.q), pointer(g.z), pointer(g.bv), pointer(g.v), pointer(g.r)
    )  # fmt: skip
    L1, w, lue, luz, lut, lus, carried = (
        pointer(r.L1), pointer(r.w), pointer(g.lue), pointer(g.luz), pointer(g.lut), pointer(g.lus), pointer(g.carried)
    )  # fmt: skip
    H, Hi, P, s, by, by_b = (
        pointer(g.H), pointer(g.Hi), pointer(g.P), pointer(g.s), pointer(g.by_point), pointer(g.by_b)
    )  # fmt: skip
    by_L, by_sigma = beyond(by, M), beyond(by, M + Q * Q)
    B, motion, inverse = (
        beyond(pointer(p.B), i * D * Q), beyond(pointer(o.motion), i * (D + Q + 1 + S) * Q),
        beyond(pointer(o.inverse), i * Q * Q),
    )  # fmt: skip

    # l and its derivatives
    if linear is not None:
        _linearised(r, g, n)
    clear(by_sigma, S)
    value = _records(i, p, r, g, zero)
    curvature(i, p, r)
    for d in range(D):
        lue[d] = lu[d]
    if linear is not None:
        transposed(pointer(g.fe), L1, lue, n, D, 1)
        weighted(fu, pointer(r.L2), pointer(g.fe), luu, n, D)
        add_transposed(fuu, L1, luu, n, D * D, 1)
    transposed(fu, pointer(g.first), lus, n, D, S)
    clear(lut, D * D)
    if zero is not None:
        weighted(fu, pointer(g.on_slope), pointer(zero.fu), lut, n, D)
    if bend is not None:
        for k in range(D * D):
            W[k] = 0.5 * luu[k]
    if p.wall.shape[0] > 0:
        _lean(i, p, r, g)
    for k in range(D * D):
        lut[k] += luu[k]

    # log|H|, and its derivative z by u
    congruent(b, W, 1.0, half, H, D, Q)
    if linear is None:
        congruent(b, luu, 2.0, half, hessian, D, Q)
    else:
        for k in range(Q * Q):
            hessian[k] = 2.0 * H[k]
    good = cholesky(H, Q)
    for k in range(Q):
        value += 2.0 * math.log(H[k * Q + k])
    inverted(H, Q, Hi)
    product(b, Hi, half, D, Q, Q)
    for d in range(D):
        product(b, beyond(half, d * Q), beyond(P, d * D), D, Q, 1)
    product(fu, P, s, n, D, D)
    for k in range(n):
        product(beyond(fu, k * D), beyond(s, k * D), beyond(q, k), 1, D, 1)
    clear(z, D)
    if bend is None:
        for k in range(n):
            once, twice = pointer(g.w1)[k] * q[k], 2.0 * w[k]
            for d in range(D):
                part = once * fu[k * D + d]
                for e in range(D):
                    part += twice * fuu[(k * D + d) * D + e] * s[k * D + e]
                z[d] += part
    else:
        for d in range(D):
            for e in range(D):
                for c in range(D):
                    z[c] += 0.5 * P[d * D + e] * bend[i, d, e, c]

    # v = (l_ζζ)⁻¹ ∂log|H|/∂ζ, which carries the movement of the mode; not good at a saddle, where no mode was found
    good = cholesky(hessian, Q) and good
    inverted(hessian, Q, inverse)
    clear(v, Q)
    if linear is None:
        transposed(b, z, v, D, Q, 1)
        solve(hessian, Q, v, 1)
    product(b, v, bv, D, Q, 1)
    product(luu, bv, carried, D, D, 1)
    for d in range(D):
        rest[d] = lue[d] + z[d] - (carried[d] if linear is None else 0.0)
        luz[d] = lu[d] + (z[d] - carried[d] if linear is None else 0.0)

    # ∂OFV/∂σ, through R at f or at η = 0; what θ does through the latter comes into r
    if bend is None:
        add_transposed(pointer(g.weight), q, by_sigma, n, S, 1)
    else:
        _bent(i, p, r, g)
    if zero is not None:
        _through_zero(g, zero, fu, bv, q, n, D)
        add_transposed(pointer(zero.fu), pointer(g.on_value), rest, n, D, 1)
    for d in range(D):
        for c in range(S):
            by_sigma[c] -= bv[d] * lus[d * S + c]

    # ∂OFV/∂θ, ∂OFV/∂L, and with them ∂OFV/∂x
    transposed(beyond(pointer(p.A), i * D * M), rest, by, D, M, 1)
    product(W, b, half, D, D, Q)
    product(half, Hi, by_b, D, Q, Q)
    for d in range(D):
        for k in range(Q):
            by_b[d * Q + k] = 2.0 * by_b[d * Q + k] + luz[d] * zeta[k] - lu[d] * v[k]
    transposed(B, by_b, by_L, D, Q, Q)
    size = o.scores.shape[1]
    transposed(pointer(p.chain), by, beyond(pointer(o.scores), i * size), M + Q * Q + S, size, 1)

    # what moves the mode
    product(luu, b, half, D, D, Q)
    transposed(lut, b, motion, D, D, Q)
    transposed(B, half, beyond(motion, D * Q), D, Q, Q)
    transposed(B, lu, beyond(motion, (D + Q) * Q), D, Q, 1)
    transposed(lus, b, beyond(motion, (D + Q + 1) * Q), D, S, Q)
    if linear is None:
        value -= _last_step(r, g, inverse)
    o.ofv[i] = value if good else np.nan
    return 0


@inner
def _linearised(r, g, n):
    """Put f and ∂f/∂u of the linear model in place (FO)."""
    D, Q = r.b.shape
    bz, f, fu, fuu, fe = pointer(g.bv), pointer(r.f), pointer(r.fu), pointer(r.fuu), pointer(g.fe)
    product(pointer(r.b), pointer(r.zeta), bz, D, Q, 1)
    product(fuu, bz, fe, n * D, D, 1)
    for k in range(n):
        for d in range(D):
            f[k] += fu[k * D + d] * bz[d]
            fe[k * D + d] += fu[k * D + d]


@inner
def _records(i, p, r, g, zero):
    """l; fills what the observations say of it, and ∂l/∂σ."""
    zeta, f, L1, L2, w, w1, slopes = (
        pointer(r.zeta), pointer(r.f), pointer(r.L1), pointer(r.L2), pointer(r.w), pointer(g.w1), pointer(g.slopes)
    )  # fmt: skip
    first, second, weight = pointer(g.first), pointer(g.second), pointer(g.weight)
    Q, C, S, start = r.zeta.shape[0], p.sigma.shape[1], g.lus.shape[1], p.first[i]
    n = p.first[i + 1] - start
    by_sigma = beyond(pointer(g.by_point), p.A.shape[2] + Q * Q)
    clear(first, n * S)
    clear(second, n * S)
    clear(weight, n * S)
    value = 0.0
    for k in range(Q):
        value += zeta[k] * zeta[k]
    for k in range(n):
        L, L1[k], L2[k], w[k], w1[k] = observed(start + k, k, f[k], p, r, zero)
        value += L
        _record_slopes(start + k, k, f[k], p, r, g, zero)
        at = p.response[start + k] * C
        for c in range(C):
            by_sigma[at + c] += slopes[4 * c]
            first[k * S + at + c] = slopes[4 * c + 1]
            second[k * S + at + c] = slopes[4 * c + 2]
            weight[k * S + at + c] = slopes[4 * c + 3]
    return value


@inlined
def _record_slopes(j, n, f, p, r, g, zero):
    """Fill the slopes of an observation."""
    out, k = g.slopes, p.response[j]
    C, kind = out.shape[0], p.kind[k]
    if zero is not None:
        R, R_f, R_s = zero.R[n], zero.R_f[n], zero.R_s
        e, x = p.y[j] - f, 1.0 / R
        by, by1, by_w = x - e * e * x * x, 2.0 * e * x * x, -x * x
        g.on_value[n], g.on_slope[n], g.on_weight[n] = by * R_f, by1 * R_f, by_w * R_f
        for c in range(C):
            out[c, 0], out[c, 1], out[c, 2], out[c, 3] = by * R_s[n, c], by1 * R_s[n, c], 0.0, by_w * R_s[n, c]
    elif p.what[j] != MEASURED or kind > SUM_OF_DEVIATIONS:
        numbers = r.of_rare
        for c in range(C):
            for m in range(4):
                out[c, m] = numbers[5 + 4 * c + m]
    else:
        for c in range(2, C):
            for m in range(4):
                out[c, m] = 0.0
        plain_slopes(kind, p.y[j], f, p.sigma, k, out)


@inner
def _lean(i, p, r, g):
    """What a corner adds."""
    pull, wall = p.pull, p.wall
    D = r.u.shape[0]
    for d in range(D):
        r.lu[d] += pull[i, d]
        g.lue[d] += pull[i, d]
        for e in range(D):
            r.luu[d, e] += wall[i, d] * wall[i, e]


@inner
def _bent(i, p, r, g):
    """∂log|H|/∂σ where H is made of l_uu (Laplace)."""
    D, Q = r.b.shape
    S, n = g.lus.shape[1], p.first[i + 1] - p.first[i]
    by_sigma = g.by_point[p.A.shape[2] + Q * Q :]
    for k in range(n):
        bent = 0.0
        for d in range(D):
            for e in range(D):
                bent += g.P[d, e] * r.fuu[k, d, e]
        for c in range(S):
            by_sigma[c] += 0.5 * (g.second[k, c] * g.q[k] + g.first[k, c] * bent)


@inner
def _through_zero(g, zero, fu, bv, q, n, D):
    """Put into on_value what a prediction at η = 0 does to the objective through R there."""
    on_value, on_slope, on_weight = pointer(g.on_value), pointer(g.on_slope), pointer(g.on_weight)
    for k in range(n):
        slope = 0.0
        for d in range(D):
            slope += fu[k * D + d] * bv[d]
        on_value[k] += on_weight[k] * q[k] - on_slope[k] * slope


@inner
def _last_step(r, g, inverse):
    """What the last Newton step to the mode, short of which the search stops, takes off the objective.

    It is taken in the objective only, so that the error left in OFV_i is of third order.
    """
    D, Q = r.b.shape
    zeta, unit, v = pointer(r.zeta), pointer(g.unit), pointer(g.v)
    transposed(pointer(r.b), pointer(r.lu), unit, D, Q, 1)
    for q in range(Q):
        unit[q] += 2.0 * zeta[q]
    step = slope = 0.0
    for q in range(Q):
        slope += v[q] * unit[q]
        for c in range(Q):
            step += unit[q] * inverse[q * Q + c] * unit[c]
    return 0.5 * step + slope if step < _LAST_STEP else 0.0


@inner
def moved(i, p, s, push, out):
    """Where the mode of a subject goes, to first order, when a(θ), L and σ change (implicit function theorem).

    Parameters
    ----------
    i : int
    p, s : pointers to Surface, and to the Found of another point
    push, out : float64[Q]
        The first to work in.
    """
    motion, zeta, mean, L, sigma, inverse = s.motion, s.zeta, s.mean, s.L, s.sigma, s.inverse
    new_mean, new_L, new_sigma = p.mean, p.L, p.sigma
    D, Q = mean.shape[1], L.shape[0]
    responses, C = sigma.shape
    for q in range(Q):
        out[q] = 0.0
        for c in range(Q):
            out[q] += (new_L[q, c] - L[q, c]) * zeta[i, c]
    for q in range(Q):
        value = 0.0
        for d in range(D):
            value += motion[i, d, q] * (new_mean[i, d] - mean[i, d])
        for c in range(Q):
            value += motion[i, D + c, q] * out[c] + (new_L[c, q] - L[c, q]) * motion[i, D + Q, c]
        for k in range(responses):
            for c in range(C):
                value += motion[i, D + Q + 1 + k * C + c, q] * (new_sigma[k, c] - sigma[k, c])
        push[q] = value
    for q in range(Q):
        out[q] = zeta[i, q]
        for c in range(Q):
            out[q] -= inverse[i, q, c] * push[c]
