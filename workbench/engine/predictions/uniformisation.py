"""Amounts of a linear compartment model without its modes: exp(T) on jets, every entry to its relative accuracy.

T has no negative entry off its diagonal, so T + q I has none at all for q = max(-T_ii), and

    exp(T) = (exp(-q/2^s) exp((T + q I)/2^s))^(2^s)

is made of sums and products of non-negative numbers: nothing cancels, whether eigenvalues coincide, vanish or lie far
apart. It costs a few hundred products of jets; the modes (see `modes`) are for the ordinary case. Functions of the same
name in `compartments` do the same for modes; S stands for the constants of a design row as there.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.engine.predictions import jets
from workbench.engine.predictions.machine import inner
from workbench.engine.predictions.modes import BACK, CENTRAL, DEPOT, KA, OUT, STATES, K

_TERMS = 20  # of the power series, for arguments up to 1
_MOST_SQUARINGS = 60


@inner
def _is_zero(a):
    largest = 0.0
    for q in range(a.shape[0]):
        largest += abs(a[q])
    return largest == 0.0


@inner
def product(A, B, out, D, order):
    """out = A B, matrices float64[N, N, size] of jets; out is neither A nor B."""
    N = A.shape[0]
    for i in range(N):
        for j in range(N):
            jets.clear(out[i, j])
        for m in range(N):
            if not _is_zero(A[i, m]):
                for j in range(N):
                    if not _is_zero(B[m, j]):
                        jets.add_product(A[i, m], B[m, j], out[i, j], D, order)


@inner
def exponential(T, P, work, D, order):
    """P = exp(T).

    Parameters
    ----------
    T : float64[N, N, size(D)]
        Not negative off the diagonal; overwritten.
    P, work : float64[N, N, size(D)]
        P is filled (NaN if T is not finite).
    """
    N, size = T.shape[0], T.shape[2]
    q = 0.0
    finite = True
    for i in range(N):
        q = max(q, -T[i, i, 0])
        for j in range(N):
            finite = finite and math.isfinite(T[i, j, 0])
    squarings = max(0, math.ceil(math.log2(q))) if finite and q > 0.0 else 0
    if not finite or squarings > _MOST_SQUARINGS:
        for i in range(N):
            for j in range(N):
                jets.constant(np.nan, P[i, j])
        return
    part = 0.5**squarings
    for i in range(N):
        T[i, i, 0] += q
        for j in range(N):
            for x in range(size):
                T[i, j, x] *= part
            jets.constant(1.0 if i == j else 0.0, P[i, j])
    for n in range(_TERMS, 0, -1):  # Horner: I + T/1 (I + T/2 (I + ...))
        product(T, P, work, D, order)
        for i in range(N):
            for j in range(N):
                jets.scale(1.0 / n, work[i, j], P[i, j], D, order)
            P[i, i, 0] += 1.0
    factor = math.exp(-q * part)
    for i in range(N):
        for j in range(N):
            jets.scale(factor, P[i, j], P[i, j], D, order)
    for _ in range(squarings):
        product(P, P, work, D, order)
        for i in range(N):
            for j in range(N):
                jets.copy(work[i, j], P[i, j])


@inner
def _propagator(S, n, absorbs, rates, running, dt, fixed, M, D, order):
    """M[1] = what time dt does to the amounts, with what the input rates add in the last column."""
    N = STATES + 1
    T = M[0]
    for i in range(N):
        for j in range(N):
            jets.clear(T[i, j])
    jets.axpy(-1.0, S[K], T[CENTRAL, CENTRAL], D, order)
    for j in range(n):
        jets.axpy(-1.0, S[OUT + j], T[CENTRAL, CENTRAL], D, order)
        jets.copy(S[OUT + j], T[1 + j, CENTRAL])
        jets.copy(S[BACK + j], T[CENTRAL, 1 + j])
        jets.axpy(-1.0, S[BACK + j], T[1 + j, 1 + j], D, order)
    jets.copy(S[KA], T[CENTRAL, DEPOT])
    jets.axpy(-1.0, S[KA], T[DEPOT, DEPOT], D, order)
    for i in range(STATES):
        if running[i] > 0:
            jets.copy(rates[i], T[i, N - 1])
        exists = i <= n or (i == DEPOT and absorbs)
        if not exists:  # it shall not seem to keep anything for ever
            jets.axpy(-1.0, S[K], T[i, i], D, order)
    for i in range(N):
        for j in range(N):
            jets.times(T[i, j], dt, fixed, T[i, j], D, order)
    exponential(T, M[1], M[2], D, order)


@inner
def advance_amounts(x, S, n, absorbs, rates, running, dt, fixed, W, M, D, order):
    """Let time dt pass for the amounts. M float64[3, 5, 5, size] is for matrices."""
    _propagator(S, n, absorbs, rates, running, dt, fixed, M, D, order)
    for i in range(STATES):
        jets.copy(M[1, i, STATES], W[i])
        for j in range(STATES):
            jets.add_product(M[1, i, j], x[j], W[i], D, order)
    for i in range(STATES):
        jets.copy(W[i], x[i])


@inner
def repeat_amounts(x, S, n, absorbs, rates, running, interval, dt, W, M, D, order):
    """From what one cycle leaves to what cycles without end leave:  Σ P^k x = Π (1 + P^(2^k)) x."""
    dt[0] = interval
    _propagator(S, n, absorbs, rates, running, dt, interval > 0.0, M, D, order)
    for _ in range(64):
        largest = 0.0
        for i in range(STATES):
            jets.copy(x[i], W[i])
            for j in range(STATES):
                jets.add_product(M[1, i, j], x[j], W[i], D, order)
                largest = max(largest, M[1, i, j, 0])
        for i in range(STATES):
            jets.copy(W[i], x[i])
        if not largest > 1e-30:
            return
        product(M[1], M[1], M[2], D, order)
        for i in range(STATES):
            for j in range(STATES):
                jets.copy(M[2, i, j], M[1, i, j])


@inner
def balance_amounts(x, S, n, absorbs, rates, W, D, order):
    """x = the amounts that constant rates hold: what enters leaves, and peripheral compartments are in balance."""
    t, central = W[0], x[CENTRAL]
    for i in range(STATES):
        jets.axpy(1.0, rates[i], central, D, order)
    jets.reciprocal(S[K], t, D, order)
    jets.multiply(central, t, central, D, order)
    for j in range(n):
        jets.multiply(S[OUT + j], central, x[1 + j], D, order)
        jets.axpy(1.0, rates[1 + j], x[1 + j], D, order)
        jets.reciprocal(S[BACK + j], t, D, order)
        jets.multiply(x[1 + j], t, x[1 + j], D, order)
    if absorbs:
        jets.reciprocal(S[KA], t, D, order)
        jets.multiply(rates[DEPOT], t, x[DEPOT], D, order)
