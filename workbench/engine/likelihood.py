"""The likelihood of every subject, its mode in the random effects, and the gradient of the objective.

Shared by all structures: it sees predictions f with derivatives fu, fuu in the local coordinates of a subject,

    u = A θ + b ζ,   b = B L,   η = L ζ,   Ψ = L Lᵀ,   ζ ~ N(0, I).

With standardised effects ζ no inverse of Ψ is needed, so a variance may go to zero, and log|Ψ| + log|H_η| is
log|H| with H = I + bᵀ (Σ w fu fuᵀ) b. Per subject, with L_j = (y - f)²/R + log R:

    l(ζ) = Σ L_j + ζᵀζ          OFV_i = l(ζ̂) + log|H(ζ̂)|

FOCEI: R at f, w = 1/R + ½ (R'/R)²; FOCE: R at η = 0, w = 1/R; FO: f linear in ζ around 0 as well
(Wang 2007, J Pharmacokinet Pharmacodyn 34:575; here times 2 and without n·log 2π).

The gradient is exact: the mode depends on the parameters through the implicit function theorem (Almquist, Leander &
Jirstrand 2015, ibid. 42:191), which enters here as one adjoint vector v instead of dζ̂/dx for every x. With
z = ∂log|H|/∂u and W = Σ w fu fuᵀ,

    v = (l_ζζ)⁻¹ bᵀ z,   r = l_u + z - l_uu b v,
    ∂OFV_i/∂θ = Aᵀ r,    ∂OFV_i/∂L = Bᵀ (r ζᵀ - l_u vᵀ + 2 W b H⁻¹),

plus, where R is that at η = 0, what θ does through it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

FOCEI, FOCE, FO = 0, 1, 2
SUM_OF_VARIANCES, SUM_OF_DEVIATIONS = 0, 1  # R = a² + b² f²   and   R = (a + b|f|)²

SEARCHING, FOUND, FAILED = 0, 1, 2
_MAX_HALVINGS = 30
_LARGEST_STEP = 5.0  # of ζ, in standard deviations


@njit(cache=True, nogil=True, error_model="numpy")
def variance(kind, f, a, b):
    """Residual variance R with R', R'' by f, and R and R' by a and b."""
    if kind == SUM_OF_VARIANCES:
        bf = b * b * f
        return a * a + bf * f, 2.0 * bf, 2.0 * b * b, 2.0 * a, 2.0 * b * f * f, 0.0, 4.0 * b * f
    size = abs(f)
    sign = 1.0 if f >= 0.0 else -1.0
    s = a + b * size
    return s * s, 2.0 * s * b * sign, 2.0 * b * b, 2.0 * s, 2.0 * s * size, 2.0 * b * sign, 2.0 * sign * (s + b * size)


@njit(cache=True, nogil=True, error_model="numpy")
def variances(kind, f, a, b, R, R_f, R_a, R_b):
    """Residual variance of every observation with its derivatives by f, a and b."""
    for j in range(f.shape[0]):
        R[j], R_f[j], _, R_a[j], R_b[j], _, _ = variance(kind, f[j], a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def coordinates(subjects, A, Bl, theta, zeta, u):
    """u = A θ + b ζ for some subjects."""
    D, Q = Bl.shape[1], Bl.shape[2]
    for which in range(subjects.shape[0]):
        i = subjects[which]
        for d in range(D):
            value = 0.0
            for m in range(theta.shape[0]):
                value += A[i, d, m] * theta[m]
            for q in range(Q):
                value += Bl[i, d, q] * zeta[i, q]
            u[i, d] = value


@njit(cache=True, nogil=True, error_model="numpy")
def _cholesky(M, n):
    """Factor the symmetric M in place into its lower triangle; False if it is not positive definite."""
    for i in range(n):
        for j in range(i + 1):
            value = M[i, j]
            for k in range(j):
                value -= M[i, k] * M[j, k]
            if i == j:
                if not value > 0.0:
                    return False
                M[i, i] = math.sqrt(value)
            else:
                M[i, j] = value / M[j, j]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(M, n, x):
    """Solve in place with the factor that `_cholesky` left."""
    for i in range(n):
        for k in range(i):
            x[i] -= M[i, k] * x[k]
        x[i] /= M[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= M[k, i] * x[k]
        x[i] /= M[i, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _record(method, kind, y, f, a, b, R0):
    """Of one observation: L, L' and L'' by f, w, w' by f."""
    e = y - f
    if method == FOCEI:
        R, R1, R2, _, _, _, _ = variance(kind, f, a, b)
        x, x1, x2 = 1.0 / R, R1 / R, R2 / R
        e2 = e * e * x
        first = -2.0 * e * x + x1 * (1.0 - e2)
        second = 2.0 * x + 4.0 * e * x * x1 + e2 * (2.0 * x1 * x1 - x2) + x2 - x1 * x1
        return e2 + math.log(R), first, second, x + 0.5 * x1 * x1, -x * x1 + x1 * (x2 - x1 * x1)
    x = 1.0 / R0
    return e * e * x + math.log(R0), -2.0 * e * x, 2.0 * x, x, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def search_step(
    subjects, first_observation, y, f, fu, fuu, R0, A, Bl, theta, method, kind, a, b,
    zeta, trial, step, best, halvings, steps, state, tolerance, max_steps, u,
):  # fmt: skip
    """One step of the search for each subject's mode, after f was predicted at the trial points.

    Accepts the trial and takes the Newton step from it, or halves the step that led to it. A subject is FOUND
    where the Newton decrement, the distance to the mode in its own standard errors squared, is below `tolerance`;
    its f, fu, fuu are then those at the mode. FAILED: no finite or no lower value was found.
    Changes zeta, trial, step, best, halvings, steps, state and u in place; returns the subjects still SEARCHING.
    """
    D, Q = Bl.shape[1], Bl.shape[2]
    gradient, direction = np.zeros(Q), np.zeros(Q)
    lu = np.zeros(D)
    luu, W = np.zeros((D, D)), np.zeros((D, D))
    hessian, gauss = np.zeros((Q, Q)), np.zeros((Q, Q))
    for which in range(subjects.shape[0]):
        i = subjects[which]
        value = 0.0
        for q in range(Q):
            value += trial[i, q] * trial[i, q]
        lu[:] = 0.0
        luu[:] = 0.0
        W[:] = 0.0
        for j in range(first_observation[i], first_observation[i + 1]):
            L, L1, L2, w, _ = _record(method, kind, y[j], f[j], a, b, R0[j])
            value += L
            for d in range(D):
                lu[d] += L1 * fu[j, d]
                for e in range(d + 1):
                    product = fu[j, d] * fu[j, e]
                    luu[d, e] += L2 * product + L1 * fuu[j, d, e]
                    W[d, e] += w * product
        if not math.isfinite(value) or value > best[i] + 1e-10 * (1.0 + abs(best[i])):
            halvings[i] += 1
            if halvings[i] > _MAX_HALVINGS:
                state[i] = FAILED
                continue
            if best[i] == np.inf:  # not even the starting point can be computed: move towards η = 0
                for q in range(Q):
                    trial[i, q] = 0.5 * trial[i, q] if halvings[i] < 4 else 0.0
                if halvings[i] > 4:
                    state[i] = FAILED
                    continue
            else:
                for q in range(Q):
                    step[i, q] *= 0.5
                    trial[i, q] = zeta[i, q] + step[i, q]
        else:
            best[i] = value
            halvings[i] = 0
            steps[i] += 1
            for q in range(Q):
                zeta[i, q] = trial[i, q]
            for q in range(Q):
                gradient[q] = 2.0 * zeta[i, q]
                for d in range(D):
                    gradient[q] += Bl[i, d, q] * lu[d]
                direction[q] = -gradient[q]
                for r in range(q + 1):
                    second = first = 0.0
                    for d in range(D):
                        for e in range(d):
                            pair = Bl[i, d, q] * Bl[i, e, r] + Bl[i, e, q] * Bl[i, d, r]
                            second += luu[d, e] * pair
                            first += W[d, e] * pair
                        pair = Bl[i, d, q] * Bl[i, d, r]
                        second += luu[d, d] * pair
                        first += W[d, d] * pair
                    hessian[q, r] = second
                    gauss[q, r] = 2.0 * first
                hessian[q, q] += 2.0
                gauss[q, q] += 2.0
            if _cholesky(hessian, Q):
                _solve(hessian, Q, direction)
            elif _cholesky(gauss, Q):
                _solve(gauss, Q, direction)
            decrement = size = 0.0
            for q in range(Q):
                decrement -= gradient[q] * direction[q]
                size = max(size, abs(direction[q]))
            if not decrement > tolerance:
                state[i] = FAILED if math.isnan(decrement) else FOUND
                continue
            if steps[i] >= max_steps:
                state[i] = FAILED
                continue
            shorten = min(1.0, _LARGEST_STEP / size)
            for q in range(Q):
                step[i, q] = shorten * direction[q]
                trial[i, q] = zeta[i, q] + step[i, q]
        for d in range(D):
            point = 0.0
            for m in range(theta.shape[0]):
                point += A[i, d, m] * theta[m]
            for q in range(Q):
                point += Bl[i, d, q] * trial[i, q]
            u[i, d] = point
    return subjects[state[subjects] == SEARCHING]


@njit(cache=True, nogil=True, error_model="numpy")
def linear_modes(first_observation, y, f, fu, R0, Bl, zeta):
    """FO: the mode where f is linear in ζ, in closed form."""
    N, D, Q = Bl.shape
    hessian, right, g = np.zeros((Q, Q)), np.zeros(Q), np.zeros(Q)
    for i in range(N):
        hessian[:] = 0.0
        right[:] = 0.0
        for j in range(first_observation[i], first_observation[i + 1]):
            for q in range(Q):
                g[q] = 0.0
                for d in range(D):
                    g[q] += Bl[i, d, q] * fu[j, d]
                right[q] += g[q] * (y[j] - f[j]) / R0[j]
                for r in range(q + 1):
                    hessian[q, r] += g[q] * g[r] / R0[j]
        for q in range(Q):
            hessian[q, q] += 1.0
        if _cholesky(hessian, Q):
            _solve(hessian, Q, right)
        else:
            right[:] = np.nan
        zeta[i] = right


@njit(cache=True, nogil=True, error_model="numpy")
def objective_and_gradient(
    first_observation, y, f, fu, fuu, R0, R0_f, R0_a, R0_b, f0u, A, B, Bl, zeta, method, kind, a, b,
    ofv, g_theta, g_L, g_sigma, K, luu, lut, lu, lus,
):  # fmt: skip
    """OFV of each subject at its mode and its total derivatives by θ, L, and (a, b).

    Parameters
    ----------
    R0, R0_f, R0_a, R0_b : float64[n]; f0u : float64[n, D]
        Residual variance at η = 0 with derivatives, and ∂f/∂u there (FOCE and FO; else not used).
    ofv : float64[N]; g_theta : float64[N, M]; g_L : float64[N, Q, Q]; g_sigma : float64[N, 2]
        Filled.
    K, luu, lut, lu, lus : float64[N, ...]
        Filled with what `predict_modes` needs: (l_ζζ)⁻¹, l_uu, l_uu for a change of θ, l_u, and l_u by (a, b).
    """
    N, D, Q = Bl.shape
    M = A.shape[2]
    linear = method == FO
    n_max = 0
    for i in range(N):
        n_max = max(n_max, first_observation[i + 1] - first_observation[i])
    w, w1, q_j = np.zeros(n_max), np.zeros(n_max), np.zeros(n_max)
    L_R, L1_R, w_R = np.zeros(n_max), np.zeros(n_max), np.zeros(n_max)
    fe = np.zeros((n_max, D))  # ∂f/∂u as a change of θ meets it (in FO it also moves the slope)
    s = np.zeros((n_max, D))  # b H⁻¹ bᵀ fu
    luz, z, r = np.zeros(D), np.zeros(D), np.zeros(D)
    bz, bv, lue = np.zeros(D), np.zeros(D), np.zeros(D)
    W, P = np.zeros((D, D)), np.zeros((D, D))
    H, Hi, lzz = np.zeros((Q, Q)), np.zeros((Q, Q)), np.zeros((Q, Q))
    unit, v = np.zeros(Q), np.zeros(Q)

    for i in range(N):
        j0, j1 = first_observation[i], first_observation[i + 1]
        lu[i] = 0.0
        lue[:] = 0.0
        luu[i] = 0.0
        lut[i] = 0.0
        lus[i] = 0.0
        g_sigma[i] = 0.0
        W[:] = 0.0
        z[:] = 0.0
        value = 0.0
        for q in range(Q):
            value += zeta[i, q] * zeta[i, q]
        for d in range(D):
            bz[d] = 0.0
            for q in range(Q):
                bz[d] += Bl[i, d, q] * zeta[i, q]

        # l and its derivatives
        for j in range(j0, j1):
            n = j - j0
            fj = f[j]
            for d in range(D):
                fe[n, d] = fu[j, d]
                if linear:
                    fj += fu[j, d] * bz[d]
                    for e in range(D):
                        fe[n, d] += fuu[j, d, e] * bz[e]
            L, L1, L2, w[n], w1[n] = _record(method, kind, y[j], fj, a, b, R0[j])
            value += L
            e_j = y[j] - fj
            if method == FOCEI:
                R, R1, _, Ra, Rb, R1a, R1b = variance(kind, fj, a, b)
                x = 1.0 / R
                x1 = R1 * x
                g_sigma[i, 0] += Ra * x * (1.0 - e_j * e_j * x)
                g_sigma[i, 1] += Rb * x * (1.0 - e_j * e_j * x)
                l1a = 2.0 * e_j * Ra * x * x - e_j * e_j * x * x * (R1a - 2.0 * x1 * Ra) + x * (R1a - x1 * Ra)
                l1b = 2.0 * e_j * Rb * x * x - e_j * e_j * x * x * (R1b - 2.0 * x1 * Rb) + x * (R1b - x1 * Rb)
            else:
                x = 1.0 / R0[j]
                L_R[n] = x - e_j * e_j * x * x
                L1_R[n] = 2.0 * e_j * x * x
                w_R[n] = -x * x
                g_sigma[i, 0] += L_R[n] * R0_a[j]
                g_sigma[i, 1] += L_R[n] * R0_b[j]
                l1a = L1_R[n] * R0_a[j]
                l1b = L1_R[n] * R0_b[j]
            for d in range(D):
                lu[i, d] += L1 * fu[j, d]
                lue[d] += L1 * fe[n, d]
                lus[i, d, 0] += l1a * fu[j, d]
                lus[i, d, 1] += l1b * fu[j, d]
                for e in range(D):
                    luu[i, d, e] += L2 * fu[j, d] * fe[n, e] + L1 * fuu[j, d, e]
                    W[d, e] += w[n] * fu[j, d] * fu[j, e]
                    if method != FOCEI:
                        lut[i, d, e] += L1_R[n] * R0_f[j] * fu[j, d] * f0u[j, e]
        for d in range(D):
            for e in range(D):
                lut[i, d, e] += luu[i, d, e]

        # log|H| and its derivative z by u
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
        good = _cholesky(H, Q)
        logdet = 0.0
        for q in range(Q):
            logdet += 2.0 * math.log(H[q, q])
        for q in range(Q):
            unit[:] = 0.0
            unit[q] = 1.0
            _solve(H, Q, unit)
            Hi[q] = unit
        for d in range(D):
            for e in range(D):
                P[d, e] = 0.0
                for q in range(Q):
                    for p in range(Q):
                        P[d, e] += Bl[i, d, q] * Hi[q, p] * Bl[i, e, p]
        for j in range(j0, j1):
            n = j - j0
            q_j[n] = 0.0
            for d in range(D):
                s[n, d] = 0.0
                for e in range(D):
                    s[n, d] += P[d, e] * fu[j, e]
                q_j[n] += fu[j, d] * s[n, d]
            for d in range(D):
                z[d] += w1[n] * q_j[n] * fu[j, d]
                for e in range(D):
                    z[d] += 2.0 * w[n] * fuu[j, d, e] * s[n, e]

        # the adjoint v = (l_ζζ)⁻¹ ∂log|H|/∂ζ carries the movement of the mode
        if not _cholesky(lzz, Q):  # a saddle: the mode was not found there
            good = False
        for q in range(Q):
            unit[:] = 0.0
            unit[q] = 1.0
            _solve(lzz, Q, unit)
            K[i, q] = unit
        v[:] = 0.0
        if not linear:
            for q in range(Q):
                for d in range(D):
                    v[q] += Bl[i, d, q] * z[d]
            _solve(lzz, Q, v)
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

        # variances: through R at f (FOCEI), or through R at η = 0, which θ moves as well
        for j in range(j0, j1):
            n = j - j0
            slope = 0.0
            for d in range(D):
                slope += fu[j, d] * bv[d]
            if method == FOCEI:
                R, R1, _, Ra, Rb, R1a, R1b = variance(kind, f[j], a, b)
                x = 1.0 / R
                x1 = R1 * x
                g_sigma[i, 0] += q_j[n] * (-Ra * x * x + x1 * x * (R1a - x1 * Ra))
                g_sigma[i, 1] += q_j[n] * (-Rb * x * x + x1 * x * (R1b - x1 * Rb))
            else:
                through = w_R[n] * q_j[n] - L1_R[n] * slope
                g_sigma[i, 0] += w_R[n] * q_j[n] * R0_a[j]
                g_sigma[i, 1] += w_R[n] * q_j[n] * R0_b[j]
                for d in range(D):
                    r[d] += (L_R[n] + through) * R0_f[j] * f0u[j, d]
        for d in range(D):
            g_sigma[i, 0] -= bv[d] * lus[i, d, 0]
            g_sigma[i, 1] -= bv[d] * lus[i, d, 1]

        # by θ and by L
        for m in range(M):
            g_theta[i, m] = 0.0
            for d in range(D):
                g_theta[i, m] += A[i, d, m] * r[d]
        for d in range(D):
            for q in range(Q):
                unit[q] = luz[d] * zeta[i, q] - lu[i, d] * v[q]
                for e in range(D):
                    for p in range(Q):
                        unit[q] += 2.0 * W[d, e] * Bl[i, e, p] * Hi[p, q]
            for p in range(Q):
                for q in range(Q):
                    if d == 0:
                        g_L[i, p, q] = 0.0
                    g_L[i, p, q] += B[i, d, p] * unit[q]

        # the search stops just short of the mode; its last Newton step is taken in the objective only, so that
        # the error left in OFV_i is of third order
        if not linear:
            for q in range(Q):
                lz = 2.0 * zeta[i, q]
                for d in range(D):
                    lz += Bl[i, d, q] * lu[i, d]
                unit[q] = lz
            for q in range(Q):
                value -= v[q] * unit[q]
                for p in range(Q):
                    value -= 0.5 * unit[q] * K[i, q, p] * unit[p]
        ofv[i] = value + logdet if good else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def predict_modes(A, B, Bl, d_theta, d_L, d_sigma, K, luu, lut, lu, lus, zeta, out):
    """Where the modes go, to first order, when θ, L and (a, b) change (implicit function theorem)."""
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
                for m in range(d_theta.shape[0]):
                    push[d] += lut[i, d, e] * A[i, e, m] * d_theta[m]
            push[d] += lus[i, d, 0] * d_sigma[0] + lus[i, d, 1] * d_sigma[1]
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
