"""The likelihood of every subject, and its mode in the random effects.

Shared by all structures: it sees predictions f with derivatives fu, fuu in the local coordinates of a subject,

    u = a(θ) + b ζ,   b = B L,   η = L ζ,   Ψ = L Lᵀ,   ζ ~ N(0, I).

With standardised effects ζ no inverse of Ψ is needed, so a variance may go to zero. Per subject, with L_j what an
observation adds (see `residual`), the mode ζ̂ is the minimum of

    l(ζ) = Σ L_j + ζᵀζ.

What is made of the mode, the objective and its gradient, is in `gradient`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.engine.objectives.linear import cholesky, solve
from workbench.engine.problem.residual import record

FOCEI, FOCE, FO, LAPLACE = 0, 1, 2, 3

SEARCHING, FOUND, FAILED, KINK = range(4)
_MAX_HALVINGS = 24
_MOST_HALVINGS = 60  # all together
_PATIENCE = 20  # steps after which those that are cautious grow
_LARGEST_STEP = 5.0  # of ζ, in standard deviations


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


@njit(cache=True, nogil=True, error_model="numpy")
def search_step(
    subjects, first_observation, y, upper, what, response, f, fu, fuu, R0, mean, Bl, method, kind, sigma,
    zeta, trial, step, stretch, best, halvings, halved, steps, state, tolerance, max_steps, u,
):  # fmt: skip
    """One step of the search for each subject's mode, after f was predicted at the trial points.

    Accepts the trial and takes the Newton step from it, or halves the step that led to it. A subject is FOUND
    where the Newton decrement, the distance to the mode in its own standard errors squared, is below `tolerance`;
    its f, fu, fuu are then those at the mode. FAILED: no finite or no lower value was found.
    KINK: l rises along the step, however short: it has no gradient there, as where a lag ends at an observation.
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
            L, L1, L2, w, _ = record(interaction, what[j], kind[k], y[j], upper[j], f[j], sigma, k, R0[j])
            value += L
            for d in range(D):
                lu[d] += L1 * fu[j, d]
                for e in range(d + 1):
                    product = fu[j, d] * fu[j, e]
                    luu[d, e] += L2 * product + L1 * fuu[j, d, e]
                    W[d, e] += w * product
        if not math.isfinite(value) or value > best[i] + 1e-10 * (1.0 + abs(best[i])):
            halvings[i] += 1
            halved[i] += 1
            if halvings[i] > _MAX_HALVINGS or (halved[i] > _MOST_HALVINGS and math.isfinite(best[i])):
                state[i] = KINK if math.isfinite(best[i]) else FAILED
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
            if cholesky(hessian, Q):
                solve(hessian, Q, direction)
            elif cholesky(gauss, Q):  # cautious: it stays in the basin where it is, but can be slow on the way there
                solve(gauss, Q, direction)
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
        if cholesky(hessian, Q):
            solve(hessian, Q, right)
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
            _, L1, L2, _, _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
            for d in range(D):
                for e in range(D):
                    luu[i, d, e] += L2 * fu[j, d] * fu[j, e] + L1 * fuu[j, d, e]


@njit(cache=True, nogil=True, error_model="numpy")
def expansion(
    subjects, first_observation, y, upper, what, response, f, fu, fuu, R0, Bl, zeta, method, kind, sigma,
    value, lu, gradient, hessian, H, log_determinant,
):  # fmt: skip
    """l of some subjects at zeta[k], with its derivatives by u and ζ, H and log|H|; see `corners`."""
    D, Q = Bl.shape[1], Bl.shape[2]
    luu, W, factor = np.zeros((D, D)), np.zeros((D, D)), np.zeros((Q, Q))
    interaction = method in (FOCEI, LAPLACE)
    for which in range(subjects.shape[0]):
        i = subjects[which]
        value[which] = 0.0
        lu[which] = 0.0
        luu[:] = 0.0
        W[:] = 0.0
        for j in range(first_observation[i], first_observation[i + 1]):
            k = response[j]
            L, L1, L2, w, _ = record(interaction, what[j], kind[k], y[j], upper[j], f[j], sigma, k, R0[j])
            value[which] += L
            for d in range(D):
                lu[which, d] += L1 * fu[j, d]
                for e in range(D):
                    luu[d, e] += L2 * fu[j, d] * fu[j, e] + L1 * fuu[j, d, e]
                    W[d, e] += w * fu[j, d] * fu[j, e]
        if method == LAPLACE:
            W[:] = 0.5 * luu
        for q in range(Q):
            value[which] += zeta[which, q] * zeta[which, q]
            gradient[which, q] = 2.0 * zeta[which, q]
            for d in range(D):
                gradient[which, q] += Bl[i, d, q] * lu[which, d]
            for p in range(Q):
                H[which, q, p] = 1.0 if p == q else 0.0
                hessian[which, q, p] = 2.0 * H[which, q, p]
                for d in range(D):
                    for e in range(D):
                        H[which, q, p] += Bl[i, d, q] * W[d, e] * Bl[i, e, p]
                        hessian[which, q, p] += Bl[i, d, q] * luu[d, e] * Bl[i, e, p]
        factor[:] = H[which]
        log_determinant[which] = -np.inf
        if cholesky(factor, Q):
            log_determinant[which] = 0.0
            for q in range(Q):
                log_determinant[which] += 2.0 * math.log(factor[q, q])
