"""The likelihood of every subject, its mode in the random effects, and the gradient of the objective.

Shared by all structures: it sees predictions f with derivatives fu, fuu in the local coordinates of a subject,

    u = a(θ) + b ζ,   b = B L,   η = L ζ,   Ψ = L Lᵀ,   ζ ~ N(0, I),   A = ∂a/∂θ.

With standardised effects ζ no inverse of Ψ is needed, so a variance may go to zero, and log|Ψ| + log|H_η| is
log|H| with H = I + bᵀ W b. Per subject, with L_j what an observation adds (see `residual`):

    l(ζ) = Σ L_j + ζᵀζ          OFV_i = l(ζ̂) + log|H(ζ̂)|

FOCEI: R at f, W = Σ w fu fuᵀ with w = 1/R + ½ (R'/R)²; FOCE: R at η = 0, w = 1/R; FO: f linear in ζ around 0 as well
(Wang 2007, J Pharmacokinet Pharmacodyn 34:575; here times 2 and without n·log 2π). Laplace: R at f, W = ½ l_uu.

The gradient is exact: the mode depends on the parameters through the implicit function theorem (Almquist, Leander &
Jirstrand 2015, ibid. 42:191), which enters here as one adjoint vector v instead of dζ̂/dx for every x. With
z = ∂log|H|/∂u,

    v = (l_ζζ)⁻¹ bᵀ z,   r = l_u + z - l_uu b v,
    ∂OFV_i/∂θ = Aᵀ r,    ∂OFV_i/∂L = Bᵀ (r ζᵀ - l_u vᵀ + 2 W b H⁻¹),

plus, where R is that at η = 0, what θ does through it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.engine.predictions.jets import inner
from workbench.engine.problem.residual import record, record_slopes

FOCEI, FOCE, FO, LAPLACE = 0, 1, 2, 3

SEARCHING, FOUND, FAILED = 0, 1, 2
_MAX_HALVINGS = 24
_PATIENCE = 20  # steps after which those that are cautious grow
_LARGEST_STEP = 5.0  # of ζ, in standard deviations
_LAST_STEP = 1e-6  # squared distance to the mode above which it is no mode but a kink


@njit(cache=True, nogil=True, error_model="numpy")
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


@inner
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


@inner
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
def search_step(
    subjects, first_observation, y, upper, what, response, f, fu, fuu, R0, mean, Bl, method, kind, sigma,
    zeta, trial, step, stretch, best, halvings, steps, state, tolerance, max_steps, u,
):  # fmt: skip
    """One step of the search for each subject's mode, after f was predicted at the trial points.

    Accepts the trial and takes the Newton step from it, or halves the step that led to it. A subject is FOUND
    where the Newton decrement, the distance to the mode in its own standard errors squared, is below `tolerance`;
    its f, fu, fuu are then those at the mode. FAILED: no finite or no lower value was found.
    Changes zeta and what follows it in place; returns the subjects still SEARCHING.
    """
    D, Q = Bl.shape[1], Bl.shape[2]
    gradient, direction = np.zeros(Q), np.zeros(Q)
    lu = np.zeros(D)
    luu, W = np.zeros((D, D)), np.zeros((D, D))
    hessian, gauss = np.zeros((Q, Q)), np.zeros((Q, Q))
    interaction = method in (FOCEI, LAPLACE)
    for which in range(subjects.shape[0]):
        i = subjects[which]
        value = 0.0
        for q in range(Q):
            value += trial[i, q] * trial[i, q]
        lu[:] = 0.0
        luu[:] = 0.0
        W[:] = 0.0
        for j in range(first_observation[i], first_observation[i + 1]):
            k = response[j]
            L, L1, L2, w, _ = record(
                interaction, what[j], kind[k], y[j], upper[j], f[j], sigma[k, 0], sigma[k, 1], sigma[k, 2], R0[j]
            )
            value += L
            for d in range(D):
                lu[d] += L1 * fu[j, d]
                for e in range(d + 1):
                    product = fu[j, d] * fu[j, e]
                    luu[d, e] += L2 * product + L1 * fuu[j, d, e]
                    W[d, e] += w * product
        if not math.isfinite(value) or value > best[i] + 1e-10 * (1.0 + abs(best[i])):
            halvings[i] += 1
            if halvings[i] > _MAX_HALVINGS:  # a kink, say where an infusion ends at an observation, has no gradient
                state[i] = FOUND if math.isfinite(best[i]) else FAILED
                continue
            if best[i] == np.inf:  # not even the starting point can be computed: move towards η = 0
                for q in range(Q):
                    trial[i, q] = 0.5 * trial[i, q] if halvings[i] < 4 else 0.0
                if halvings[i] > 4:
                    state[i] = FAILED
                    continue
            else:
                stretch[i] = 1.0
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
            longest = 1.0
            if _cholesky(hessian, Q):
                _solve(hessian, Q, direction)
            elif _cholesky(gauss, Q):  # cautious: it stays in the basin where it is, but can be slow on the way there
                _solve(gauss, Q, direction)
                longest = stretch[i]
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
            shorten = min(longest, stretch[i] * _LARGEST_STEP / size)
            if steps[i] > _PATIENCE:
                stretch[i] = min(1.5 * stretch[i], 1e3)
            for q in range(Q):
                step[i, q] = shorten * direction[q]
                trial[i, q] = zeta[i, q] + step[i, q]
        for d in range(D):
            point = mean[i, d]
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
def curvature(first_observation, y, upper, what, response, f, fu, fuu, kind, sigma, luu):
    """Fill luu[N, D, D] with the second derivative of l by u, R at f."""
    D = fu.shape[1]
    for i in range(first_observation.shape[0] - 1):
        luu[i] = 0.0
        for j in range(first_observation[i], first_observation[i + 1]):
            k = response[j]
            _, L1, L2, _, _ = record(
                True, what[j], kind[k], y[j], upper[j], f[j], sigma[k, 0], sigma[k, 1], sigma[k, 2], 1.0
            )
            for d in range(D):
                for e in range(D):
                    luu[i, d, e] += L2 * fu[j, d] * fu[j, e] + L1 * fuu[j, d, e]


@njit(cache=True, nogil=True, error_model="numpy")
def objective_and_gradient(
    first_observation, y, upper, what, response, f, fu, fuu, R0, R0_f, R0_s, f0u, A, B, Bl, zeta, method, kind,
    sigma, bend, ofv, g_theta, g_L, g_sigma, K, luu, lut, lu, lus,
):  # fmt: skip
    """OFV of each subject at its mode and its total derivatives by θ, L, and σ.

    Parameters
    ----------
    R0, R0_f : float64[n]; R0_s : float64[n, 3]; f0u : float64[n, D]
        Residual variance at η = 0 with derivatives, and ∂f/∂u there (FOCE and FO; else not used).
    bend : float64[N, D, D, D]
        ∂l_uu/∂u, the last index the direction (Laplace; else not used).
    ofv : float64[N]; g_theta : float64[N, M]; g_L : float64[N, Q, Q]; g_sigma : float64[N, responses, 3]
        Filled.
    K, luu, lut, lu, lus : float64[N, ...]
        Filled with what `predict_modes` needs: (l_ζζ)⁻¹, l_uu, l_uu for a change of θ, l_u, and l_u by σ.
    """
    N, D, Q = Bl.shape
    M = A.shape[2]
    S = sigma.shape[0]
    linear = method == FO
    interaction = method in (FOCEI, LAPLACE)
    n_max = 0
    for i in range(N):
        n_max = max(n_max, first_observation[i + 1] - first_observation[i])
    w, w1, q_j = np.zeros(n_max), np.zeros(n_max), np.zeros(n_max)
    L_R, L1_R, w_R = np.zeros(n_max), np.zeros(n_max), np.zeros(n_max)
    by_sigma = np.zeros((n_max, 3, 4))  # of L, L', L'', w
    scratch = np.zeros((3, 3))
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
            k = response[j]
            fj = f[j]
            for d in range(D):
                fe[n, d] = fu[j, d]
                if linear:
                    fj += fu[j, d] * bz[d]
                    for e in range(D):
                        fe[n, d] += fuu[j, d, e] * bz[e]
            L, L1, L2, w[n], w1[n] = record(
                interaction, what[j], kind[k], y[j], upper[j], fj, sigma[k, 0], sigma[k, 1], sigma[k, 2], R0[j]
            )
            value += L
            if interaction:
                record_slopes(what[j], kind[k], y[j], upper[j], fj, sigma[k], scratch, by_sigma[n])
            else:
                e_j, x = y[j] - fj, 1.0 / R0[j]
                L_R[n], L1_R[n], w_R[n] = x - e_j * e_j * x * x, 2.0 * e_j * x * x, -x * x
                for c in range(3):
                    by_sigma[n, c, 0] = L_R[n] * R0_s[j, c]
                    by_sigma[n, c, 1] = L1_R[n] * R0_s[j, c]
                    by_sigma[n, c, 3] = w_R[n] * R0_s[j, c]
            for c in range(3):
                g_sigma[i, k, c] += by_sigma[n, c, 0]
            for d in range(D):
                lu[i, d] += L1 * fu[j, d]
                lue[d] += L1 * fe[n, d]
                for c in range(3):
                    lus[i, d, k, c] += by_sigma[n, c, 1] * fu[j, d]
                for e in range(D):
                    luu[i, d, e] += L2 * fu[j, d] * fe[n, e] + L1 * fuu[j, d, e]
                    W[d, e] += w[n] * fu[j, d] * fu[j, e]
                    if not interaction:
                        lut[i, d, e] += L1_R[n] * R0_f[j] * fu[j, d] * f0u[j, e]
        for d in range(D):
            for e in range(D):
                lut[i, d, e] += luu[i, d, e]
                if method == LAPLACE:
                    W[d, e] = 0.5 * luu[i, d, e]

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
            if method == LAPLACE:
                continue
            for d in range(D):
                z[d] += w1[n] * q_j[n] * fu[j, d]
                for e in range(D):
                    z[d] += 2.0 * w[n] * fuu[j, d, e] * s[n, e]
        if method == LAPLACE:
            for d in range(D):
                for e in range(D):
                    for c in range(D):
                        z[c] += 0.5 * P[d, e] * bend[i, d, e, c]

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

        # variances: through R at f, or through R at η = 0, which θ moves as well
        for j in range(j0, j1):
            n = j - j0
            k = response[j]
            if method == LAPLACE:
                bent = 0.0
                for d in range(D):
                    for e in range(D):
                        bent += P[d, e] * fuu[j, d, e]
                for c in range(3):
                    g_sigma[i, k, c] += 0.5 * (by_sigma[n, c, 2] * q_j[n] + by_sigma[n, c, 1] * bent)
                continue
            for c in range(3):
                g_sigma[i, k, c] += by_sigma[n, c, 3] * q_j[n]
            if not interaction:
                slope = 0.0
                for d in range(D):
                    slope += fu[j, d] * bv[d]
                through = L_R[n] + w_R[n] * q_j[n] - L1_R[n] * slope
                for d in range(D):
                    r[d] += through * R0_f[j] * f0u[j, d]
        for d in range(D):
            for k in range(S):
                for c in range(3):
                    g_sigma[i, k, c] -= bv[d] * lus[i, d, k, c]

        # by θ and by L
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

        # the search stops just short of the mode; its last Newton step is taken in the objective only, so that
        # the error left in OFV_i is of third order
        if not linear:
            for q in range(Q):
                lz = 2.0 * zeta[i, q]
                for d in range(D):
                    lz += Bl[i, d, q] * lu[i, d]
                unit[q] = lz
            step = 0.0
            for q in range(Q):
                for p in range(Q):
                    step += unit[q] * K[i, q, p] * unit[p]
            if step < _LAST_STEP:
                value -= 0.5 * step
                for q in range(Q):
                    value -= v[q] * unit[q]
        ofv[i] = value + logdet if good else np.nan


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
                for c in range(3):
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
