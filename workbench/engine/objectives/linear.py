"""Small matrices inside kernels, known by pointers to their numbers, row after row.

They allocate nothing and call no library; to compile them takes a part of what
arrays would.
"""

from __future__ import annotations

import math

from workbench.engine.predictions.machine import beyond, inner, stay_apart

_SWEEPS = 60
_DIAGONAL = 1e-32  # sum of squares beside the diagonal, relative


@inner
def cholesky(M, n):
    """Factor the symmetric M in place into its lower triangle; False if it is not positive definite."""
    stay_apart()
    for i in range(n):
        for j in range(i + 1):
            value = M[i * n + j]
            for k in range(j):
                value -= M[i * n + k] * M[j * n + k]
            if i == j:
                if not value > 0.0:
                    return False
                M[i * n + i] = math.sqrt(value)
            else:
                M[i * n + j] = value / M[j * n + j]
    return True


@inner
def solve(M, n, x, stride):
    """Solve in place, for every `stride`-th number of x, with the factor that `cholesky` left."""
    stay_apart()
    for i in range(n):
        value = x[i * stride]
        for k in range(i):
            value -= M[i * n + k] * x[k * stride]
        x[i * stride] = value / M[i * n + i]
    for i in range(n - 1, -1, -1):
        value = x[i * stride]
        for k in range(i + 1, n):
            value -= M[k * n + i] * x[k * stride]
        x[i * stride] = value / M[i * n + i]


@inner
def inverted(M, n, out):
    """out = the inverse of what `cholesky` has factored."""
    stay_apart()
    for i in range(n):
        for j in range(n):
            out[i * n + j] = 1.0 if i == j else 0.0
    for i in range(n):
        solve(M, n, beyond(out, i * n), 1)


@inner
def clear(out, n):
    """out = 0."""
    stay_apart()
    for k in range(n):
        out[k] = 0.0


@inner
def product(X, Y, out, a, b, c):
    """out[a, c] = X[a, b] Y[b, c]."""
    stay_apart()
    for i in range(a):
        for j in range(c):
            value = 0.0
            for k in range(b):
                value += X[i * b + k] * Y[k * c + j]
            out[i * c + j] = value


@inner
def add_transposed(X, Y, out, a, b, c):
    """out[b, c] += X[a, b]ᵀ Y[a, c]."""
    stay_apart()
    for k in range(a):
        for i in range(b):
            x = X[k * b + i]
            for j in range(c):
                out[i * c + j] += x * Y[k * c + j]


@inner
def transposed(X, Y, out, a, b, c):
    """out[b, c] = X[a, b]ᵀ Y[a, c]."""
    stay_apart()
    clear(out, b * c)
    add_transposed(X, Y, out, a, b, c)


@inner
def weighted(X, w, Y, out, a, b):
    """out[b, b] = X[a, b]ᵀ diag(w) Y[a, b]."""
    stay_apart()
    clear(out, b * b)
    for k in range(a):
        for i in range(b):
            x = w[k] * X[k * b + i]
            for j in range(b):
                out[i * b + j] += x * Y[k * b + j]


@inner
def congruent(b, M, diagonal, half, out, D, Q):
    """out[Q, Q] = diagonal · 1 + bᵀ M b with b[D, Q]; works in half[D, Q]."""
    stay_apart()
    product(M, b, half, D, D, Q)
    transposed(b, half, out, D, Q, Q)
    for q in range(Q):
        out[q * Q + q] += diagonal


@inner
def eigen(M, n, vectors):
    """Turn the symmetric M in place, by Jacobi's method, until it is diagonal; the columns of `vectors` are turned."""
    stay_apart()
    for i in range(n):
        for j in range(n):
            vectors[i * n + j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        beside = whole = 0.0
        for i in range(n):
            whole += M[i * n + i] * M[i * n + i]
            for j in range(i):
                beside += M[i * n + j] * M[i * n + j]
        if not beside > _DIAGONAL * whole:
            break
        for i in range(n):
            for j in range(i):
                if M[i * n + j] != 0.0:
                    cotangent = 0.5 * (M[j * n + j] - M[i * n + i]) / M[i * n + j]
                    t = (1.0 if cotangent >= 0.0 else -1.0) / (abs(cotangent) + math.sqrt(cotangent * cotangent + 1.0))
                    c = 1.0 / math.sqrt(t * t + 1.0)
                    s = t * c
                    for k in range(n):
                        x, z = M[k * n + i], M[k * n + j]
                        M[k * n + i], M[k * n + j] = c * x - s * z, s * x + c * z
                    for k in range(n):
                        x, z = M[i * n + k], M[j * n + k]
                        M[i * n + k], M[j * n + k] = c * x - s * z, s * x + c * z
                    for k in range(n):
                        x, z = vectors[k * n + i], vectors[k * n + j]
                        vectors[k * n + i], vectors[k * n + j] = c * x - s * z, s * x + c * z
