"""Small symmetric systems inside kernels: they allocate nothing and call no library."""

from __future__ import annotations

import math

from workbench.engine.predictions.jets import inner


@inner
def cholesky(M, n):
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
def solve(M, n, x):
    """Solve in place with the factor that `cholesky` left."""
    for i in range(n):
        for k in range(i):
            x[i] -= M[i, k] * x[k]
        x[i] /= M[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= M[k, i] * x[k]
        x[i] /= M[i, i]
