"""exp(T) of a compartmental matrix on jets, every entry to its relative accuracy.

T has no negative entry off its diagonal, so T + q I has none at all for q = max(-T_ii), and

    exp(T) = (exp(-q/2^s) exp((T + q I)/2^s))^(2^s)

is made of sums and products of non-negative numbers: nothing cancels, whether eigenvalues coincide, vanish or lie far
apart. It costs a few hundred products of jets; the modes (see `modes`) are for the ordinary case.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.engine import jets
from workbench.engine.jets import inner

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
