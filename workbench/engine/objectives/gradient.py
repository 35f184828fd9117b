"""The objective of every subject at its mode, and its exact gradient.

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

import numpy as np
from numba import njit

from workbench.engine.objectives.likelihood import FO, FOCEI, LAPLACE
from workbench.engine.objectives.linear import cholesky, solve
from workbench.engine.predictions.chain import inlined
from workbench.engine.problem.residual import record, record_slopes

_LAST_STEP = 1e-6  # squared distance to the mode above which it is no mode but a kink


@njit(cache=True, nogil=True, error_model="numpy")
def objective_and_gradient(seen, predicted, at_zero, A, B, Bl, zeta, method, kind, sigma, bend, corners, found, slopes):
    """OFV of each subject at its mode and its total derivatives by θ, L, and σ.

    Parameters
    ----------
    seen : first int64[N + 1], y float64[n], upper float64[n], what int64[n], response int64[n]
    predicted : f float64[n], fu float64[n, D], fuu float64[n, D, D]
    at_zero : R0 float64[n], R0_f float64[n], R0_s float64[n, C], f0u float64[n, D]
        Residual variance at η = 0 with derivatives, and ∂f/∂u there (FOCE and FO; else not used).
    A : float64[N, D, M]; B, Bl : float64[N, D, Q]; zeta : float64[N, Q]
    method : int; kind : int64[responses]; sigma : float64[responses, C]
    bend : float64[N, D, D, D]
        ∂l_uu/∂u, the last index the direction (Laplace; else not used).
    corners : pull float64[N, D], wall float64[N, D]
        Of modes at a kink, see `corners`.
    found : ofv float64[N], by_theta float64[N, M], by_L float64[N, Q, Q], by_sigma float64[N, responses, C]
        Filled.
    slopes : K, luu, lut, lu, lus, float64[N, ...]
        Filled with what `predict_modes` needs: (l_ζζ)⁻¹, l_uu, l_uu for a change of θ, l_u, and l_u by σ.
    """
    first, ofv, K = seen[0], found[0], slopes[0]
    N, D, Q = Bl.shape
    C = sigma.shape[1]
    n_max = 0
    for i in range(N):
        n_max = max(n_max, first[i + 1] - first[i])
    of_record = (
        np.zeros((n_max, 2)),  # w and w'
        np.zeros((n_max, 3)),  # ∂L/∂R0, ∂L'/∂R0, ∂w/∂R0
        np.zeros((n_max, C, 4)),  # of L, L', L'', w by σ
        np.zeros((n_max, D)),  # ∂f/∂u as a change of θ meets it (in FO it also moves the slope)
        np.zeros((n_max, D)),  # s = b H⁻¹ bᵀ fu
        np.zeros(n_max),  # fuᵀ s
    )
    of_subject = np.zeros(D), np.zeros(D), np.zeros((D, D)), np.zeros((D, D))  # l_u by a change of θ, z, W, b H⁻¹ bᵀ
    by_mode = np.zeros(D), np.zeros(D), np.zeros(D)  # r, what meets ζ in ∂OFV/∂L, and b v
    of_zeta = np.zeros((Q, Q)), np.zeros((Q, Q)), np.zeros((Q, Q)), np.zeros(Q), np.zeros(Q)  # H, H⁻¹, l_ζζ, v, unit
    scratch = np.zeros((C, C + 1)), np.zeros(D)

    for i in range(N):
        value = _expand(
            i, seen, predicted, at_zero, Bl, zeta, method, kind, sigma, corners, found, slopes, of_record,
            of_subject, scratch,
        )  # fmt: skip
        logdet, good = _log_determinant(i, first, predicted, Bl, method, bend, slopes, of_record, of_subject, of_zeta)
        good = _adjoint(i, Bl, method, slopes, of_subject, of_zeta, by_mode) and good
        _through_variances(i, seen, predicted, at_zero, method, found, slopes, of_record, of_subject, by_mode)
        _by_parameters(i, A, B, Bl, zeta, found, slopes, of_subject, of_zeta, by_mode)
        if method != FO:
            value -= _last_step(Bl[i], zeta[i], K[i], slopes[3][i], of_zeta)
        ofv[i] = value + logdet if good else np.nan


# `inlined`: to pass so many arrays on for every subject takes longer than the arithmetic.
@inlined
def _expand(
    i, seen, predicted, at_zero, Bl, zeta, method, kind, sigma, corners, found, slopes, of_record, of_subject, scratch
):
    """l and its derivatives."""
    first, y, upper, what, response = seen
    f, fu, fuu = predicted
    R0, R0_f, R0_s, f0u = at_zero
    _, luu, lut, lu, lus = slopes
    weights, by_R0, by_sigma, fe, _, _ = of_record
    lue, _, W, _ = of_subject
    of_variance, bz = scratch
    pull, wall = corners
    g_sigma = found[3]
    D, Q, C = Bl.shape[1], Bl.shape[2], sigma.shape[1]
    linear = method == FO
    interaction = method in (FOCEI, LAPLACE)
    lu[i] = 0.0
    lue[:] = 0.0
    luu[i] = 0.0
    lut[i] = 0.0
    lus[i] = 0.0
    g_sigma[i] = 0.0
    W[:] = 0.0
    value = 0.0
    for q in range(Q):
        value += zeta[i, q] * zeta[i, q]
    for d in range(D):
        bz[d] = 0.0
        for q in range(Q):
            bz[d] += Bl[i, d, q] * zeta[i, q]
    j0 = first[i]
    for j in range(j0, first[i + 1]):
        n = j - j0
        k = response[j]
        fj = f[j]
        for d in range(D):
            fe[n, d] = fu[j, d]
            if linear:
                fj += fu[j, d] * bz[d]
                for e in range(D):
                    fe[n, d] += fuu[j, d, e] * bz[e]
        L, L1, L2, w, w1 = record(interaction, what[j], kind[k], y[j], upper[j], fj, sigma, k, R0[j])
        weights[n, 0], weights[n, 1] = w, w1
        value += L
        L1_R = 0.0
        if interaction:
            record_slopes(what[j], kind[k], y[j], upper[j], fj, sigma, k, of_variance, by_sigma[n])
        else:
            e_j, x = y[j] - fj, 1.0 / R0[j]
            L1_R = 2.0 * e_j * x * x
            by_R0[n, 0], by_R0[n, 1], by_R0[n, 2] = x - e_j * e_j * x * x, L1_R, -x * x
            for c in range(C):
                by_sigma[n, c, 0] = by_R0[n, 0] * R0_s[j, c]
                by_sigma[n, c, 1] = L1_R * R0_s[j, c]
                by_sigma[n, c, 3] = by_R0[n, 2] * R0_s[j, c]
        for c in range(C):
            g_sigma[i, k, c] += by_sigma[n, c, 0]
        for d in range(D):
            lu[i, d] += L1 * fu[j, d]
            lue[d] += L1 * fe[n, d]
            for c in range(C):
                lus[i, d, k, c] += by_sigma[n, c, 1] * fu[j, d]
            for e in range(D):
                luu[i, d, e] += L2 * fu[j, d] * fe[n, e] + L1 * fuu[j, d, e]
                W[d, e] += w * fu[j, d] * fu[j, e]
                if not interaction:
                    lut[i, d, e] += L1_R * R0_f[j] * fu[j, d] * f0u[j, e]
    for d in range(D):
        for e in range(D):
            lut[i, d, e] += luu[i, d, e]
            if method == LAPLACE:
                W[d, e] = 0.5 * luu[i, d, e]
    for d in range(D):
        lu[i, d] += pull[i, d]
        lue[d] += pull[i, d]
        for e in range(D):
            luu[i, d, e] += wall[i, d] * wall[i, e]
            lut[i, d, e] += wall[i, d] * wall[i, e]
    return value


@inlined
def _log_determinant(i, first, predicted, Bl, method, bend, slopes, of_record, of_subject, of_zeta):
    """log|H|, its derivative z by u, and l_ζζ; whether H is positive definite."""
    _, fu, fuu = predicted
    weights, _, _, _, s, q_j = of_record
    _, z, W, P = of_subject
    H, Hi, lzz, _, _ = of_zeta
    luu = slopes[1]
    D, Q = Bl.shape[1], Bl.shape[2]
    linear = method == FO
    for q in range(Q):
        for p in range(Q):
            H[q, p] = 1.0 if p == q else 0.0
            lzz[q, p] = 0.0 if linear else 2.0 * H[q, p]
            for d in range(D):
                for e in range(D):
                    H[q, p] += Bl[i, d, q] * W[d, e] * Bl[i, e, p]
                    if not linear:
                        lzz[q, p] += Bl[i, d, q] * luu[i, d, e] * Bl[i, e, p]
            if linear:
                lzz[q, p] = 2.0 * H[q, p]
    good = cholesky(H, Q)
    logdet = 0.0
    for q in range(Q):
        logdet += 2.0 * math.log(H[q, q])
    for q in range(Q):
        Hi[q] = 0.0
        Hi[q, q] = 1.0
        solve(H, Q, Hi[q])
    for d in range(D):
        z[d] = 0.0
        for e in range(D):
            P[d, e] = 0.0
            for q in range(Q):
                for p in range(Q):
                    P[d, e] += Bl[i, d, q] * Hi[q, p] * Bl[i, e, p]
    j0 = first[i]
    for j in range(j0, first[i + 1]):
        n = j - j0
        q_j[n] = 0.0
        for d in range(D):
            s[n, d] = 0.0
            for e in range(D):
                s[n, d] += P[d, e] * fu[j, e]
            q_j[n] += fu[j, d] * s[n, d]
        if method == LAPLACE:
            continue
        for d in range(D):
            z[d] += weights[n, 1] * q_j[n] * fu[j, d]
            for e in range(D):
                z[d] += 2.0 * weights[n, 0] * fuu[j, d, e] * s[n, e]
    if method == LAPLACE:
        for d in range(D):
            for e in range(D):
                for c in range(D):
                    z[c] += 0.5 * P[d, e] * bend[i, d, e, c]
    return logdet, good


@inlined
def _adjoint(i, Bl, method, slopes, of_subject, of_zeta, by_mode):
    """v = (l_ζζ)⁻¹ ∂log|H|/∂ζ, which carries the movement of the mode; False at a saddle, where no mode was found."""
    K, luu, _, lu, _ = slopes
    lue, z, _, _ = of_subject
    _, _, lzz, v, _ = of_zeta
    r, luz, bv = by_mode
    D, Q = Bl.shape[1], Bl.shape[2]
    linear = method == FO
    good = cholesky(lzz, Q)
    for q in range(Q):
        K[i, q] = 0.0
        K[i, q, q] = 1.0
        solve(lzz, Q, K[i, q])
    v[:] = 0.0
    if not linear:
        for q in range(Q):
            for d in range(D):
                v[q] += Bl[i, d, q] * z[d]
        solve(lzz, Q, v)
    for d in range(D):
        bv[d] = 0.0
        for q in range(Q):
            bv[d] += Bl[i, d, q] * v[q]
    for d in range(D):
        r[d] = lue[d] + z[d]
        luz[d] = lu[i, d]
        if not linear:
            luz[d] += z[d]
            for e in range(D):
                r[d] -= luu[i, d, e] * bv[e]
                luz[d] -= luu[i, d, e] * bv[e]
    return good


@inlined
def _through_variances(i, seen, predicted, at_zero, method, found, slopes, of_record, of_subject, by_mode):
    """∂OFV/∂σ, through R at f or at η = 0; what θ does through the latter comes into r."""
    first, response = seen[0], seen[4]
    _, fu, fuu = predicted
    _, R0_f, _, f0u = at_zero
    _, by_R0, by_sigma, _, _, q_j = of_record
    P = of_subject[3]
    r, _, bv = by_mode
    g_sigma, lus = found[3], slopes[4]
    D, S, C = fu.shape[1], lus.shape[2], lus.shape[3]
    interaction = method in (FOCEI, LAPLACE)
    j0 = first[i]
    for j in range(j0, first[i + 1]):
        n = j - j0
        k = response[j]
        if method == LAPLACE:
            bent = 0.0
            for d in range(D):
                for e in range(D):
                    bent += P[d, e] * fuu[j, d, e]
            for c in range(C):
                g_sigma[i, k, c] += 0.5 * (by_sigma[n, c, 2] * q_j[n] + by_sigma[n, c, 1] * bent)
            continue
        for c in range(C):
            g_sigma[i, k, c] += by_sigma[n, c, 3] * q_j[n]
        if not interaction:
            slope = 0.0
            for d in range(D):
                slope += fu[j, d] * bv[d]
            through = by_R0[n, 0] + by_R0[n, 2] * q_j[n] - by_R0[n, 1] * slope
            for d in range(D):
                r[d] += through * R0_f[j] * f0u[j, d]
    for d in range(D):
        for k in range(S):
            for c in range(C):
                g_sigma[i, k, c] -= bv[d] * lus[i, d, k, c]


@inlined
def _by_parameters(i, A, B, Bl, zeta, found, slopes, of_subject, of_zeta, by_mode):
    """∂OFV/∂θ and ∂OFV/∂L."""
    _, g_theta, g_L, _ = found
    lu, W = slopes[3], of_subject[2]
    _, Hi, _, v, unit = of_zeta
    r, luz, _ = by_mode
    D, M, Q = A.shape[1], A.shape[2], Bl.shape[2]
    for m in range(M):
        g_theta[i, m] = 0.0
        for d in range(D):
            g_theta[i, m] += A[i, d, m] * r[d]
    for p in range(Q):
        for q in range(Q):
            g_L[i, p, q] = 0.0
    for d in range(D):
        for q in range(Q):
            unit[q] = luz[d] * zeta[i, q] - lu[i, d] * v[q]
            for e in range(D):
                for p in range(Q):
                    unit[q] += 2.0 * W[d, e] * Bl[i, e, p] * Hi[p, q]
        for p in range(Q):
            for q in range(Q):
                g_L[i, p, q] += B[i, d, p] * unit[q]


@inlined
def _last_step(Bl, zeta, K, lu, of_zeta):
    """What the last Newton step to the mode, short of which the search stops, takes off the objective.

    It is taken in the objective only, so that the error left in OFV_i is of third order.
    """
    _, _, _, v, unit = of_zeta
    D, Q = Bl.shape
    for q in range(Q):
        lz = 2.0 * zeta[q]
        for d in range(D):
            lz += Bl[d, q] * lu[d]
        unit[q] = lz
    step = 0.0
    for q in range(Q):
        for p in range(Q):
            step += unit[q] * K[q, p] * unit[p]
    if not step < _LAST_STEP:
        return 0.0
    taken = 0.5 * step
    for q in range(Q):
        taken += v[q] * unit[q]
    return taken


@njit(cache=True, nogil=True, error_model="numpy")
def predict_modes(B, Bl, d_mean, d_L, d_sigma, K, luu, lut, lu, lus, zeta, out):
    """Where the modes go, to first order, when a(θ), L and σ change (implicit function theorem)."""
    N, D, Q = Bl.shape
    du, push = np.zeros(D), np.zeros(D)
    right = np.zeros(Q)
    for i in range(N):
        du[:] = 0.0
        push[:] = 0.0
        for d in range(D):
            for q in range(Q):
                for p in range(Q):
                    du[d] += B[i, d, q] * d_L[q, p] * zeta[i, p]
        for d in range(D):
            for e in range(D):
                push[d] += luu[i, d, e] * du[e]
                push[d] += lut[i, d, e] * d_mean[i, e]
            for k in range(d_sigma.shape[0]):
                for c in range(d_sigma.shape[1]):
                    push[d] += lus[i, d, k, c] * d_sigma[k, c]
        for q in range(Q):
            right[q] = 0.0
            for d in range(D):
                right[q] += Bl[i, d, q] * push[d]
                for p in range(Q):
                    right[q] += d_L[p, q] * B[i, d, p] * lu[i, d]
        for q in range(Q):
            out[i, q] = zeta[i, q]
            for p in range(Q):
                out[i, q] -= K[i, q, p] * right[p]
