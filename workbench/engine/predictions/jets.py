"""Jets: numbers that carry their first and second derivatives by the local coordinates u of a subject.

A jet is a row of  1 + D + D(D+1)/2  floats: the value, the gradient, and the lower triangle of the Hessian, packed by
rows. Arithmetic on jets is exact differentiation. `order` (0, 1 or 2) leaves out what is not wanted: entries of
higher order are then neither read nor written.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.engine.predictions.machine import at_pair, inlined, inner, kernel

LOG, IDENTITY, LOGIT, PROBIT = range(4)

_FAR = 300.0  # of a logarithm: a search may look there, and products of what it finds are numbers still
_ROOT_2 = math.sqrt(2.0)
_ROOT_2PI = math.sqrt(2.0 * math.pi)


@inner
def size(D):
    """Length of a jet in D coordinates."""
    return 1 + D + D * (D + 1) // 2


@kernel
def clear(out):
    """out = 0."""
    for k in range(out.shape[0]):
        out[k] = 0.0


@kernel
def constant(value, out):
    """out = value, which depends on nothing."""
    clear(out)
    out[0] = value


@kernel
def copy(a, out):
    """out = a."""
    for k in range(out.shape[0]):
        out[k] = a[k]


@inner
def _length(D, order):
    return 1 if order == 0 else (1 + D if order == 1 else 1 + D + D * (D + 1) // 2)


@kernel
def axpy(factor, a, out, D, order):
    """out += factor · a, factor a float."""
    for k in range(_length(D, order)):
        out[k] += factor * a[k]


@kernel
def scale(factor, a, out, D, order):
    """out = factor · a, factor a float; out may be a."""
    for k in range(_length(D, order)):
        out[k] = factor * a[k]


@kernel
def add(a, b, out, D, order):
    """out = a + b."""
    for k in range(_length(D, order)):
        out[k] = a[k] + b[k]


@kernel
def subtract(a, b, out, D, order):
    """out = a - b."""
    for k in range(_length(D, order)):
        out[k] = a[k] - b[k]


@kernel
def multiply(a, b, out, D, order):
    """out = a · b; out may be a or b."""
    x, y = a[0], b[0]
    if order > 1:
        k = 1 + D
        for d in range(D):
            ad, bd = a[1 + d], b[1 + d]
            for e in range(d + 1):
                out[k] = x * b[k] + y * a[k] + ad * b[1 + e] + bd * a[1 + e]
                k += 1
    if order > 0:
        for d in range(D):
            out[1 + d] = x * b[1 + d] + y * a[1 + d]
    out[0] = x * y


@kernel
def times(a, t, fixed, out, D, order):
    """out = a · t; `fixed`: t depends on nothing, and only its value is read. out may be a."""
    if fixed:
        scale(t[0], a, out, D, order)
    else:
        multiply(a, t, out, D, order)


@kernel
def add_product(a, b, out, D, order):
    """out += a · b; out is neither a nor b."""
    x, y = a[0], b[0]
    if order > 1:
        k = 1 + D
        for d in range(D):
            ad, bd = a[1 + d], b[1 + d]
            for e in range(d + 1):
                out[k] += x * b[k] + y * a[k] + ad * b[1 + e] + bd * a[1 + e]
                k += 1
    if order > 0:
        for d in range(D):
            out[1 + d] += x * b[1 + d] + y * a[1 + d]
    out[0] += x * y


@kernel
def compose(a, value, first, second, out, D, order):
    """out = g(a), given g, g' and g'' at the value of a; out may be a."""
    if order > 1:
        k = 1 + D
        for d in range(D):
            ad = a[1 + d]
            for e in range(d + 1):
                out[k] = first * a[k] + second * ad * a[1 + e]
                k += 1
    if order > 0:
        for d in range(D):
            out[1 + d] = first * a[1 + d]
    out[0] = value


@kernel
def compose2(a, b, g, ga, gb, gaa, gab, gbb, out, D, order):
    """out = g(a, b), given g and its derivatives at the values of a and b; out may be a or b."""
    if order > 1:
        k = 1 + D
        for d in range(D):
            ad, bd = a[1 + d], b[1 + d]
            for e in range(d + 1):
                ae, be = a[1 + e], b[1 + e]
                out[k] = ga * a[k] + gb * b[k] + gaa * ad * ae + gab * (ad * be + bd * ae) + gbb * bd * be
                k += 1
    if order > 0:
        for d in range(D):
            out[1 + d] = ga * a[1 + d] + gb * b[1 + d]
    out[0] = g


@kernel
def exponential(a, out, D, order):
    """out = exp(a)."""
    e = math.exp(a[0])
    compose(a, e, e, e, out, D, order)


@kernel
def reciprocal(a, out, D, order):
    """out = 1 / a."""
    x = 1.0 / a[0]
    compose(a, x, -x * x, 2.0 * x * x * x, out, D, order)


@kernel
def root(a, out, D, order):
    """out = √a."""
    x = math.sqrt(a[0])
    compose(a, x, 0.5 / x, -0.25 / (x * a[0]), out, D, order)


@inlined
def _untransform(z, transform, lower, upper):
    """Value on the natural scale of a transformed value, with its first and second derivative."""
    if transform == LOG:
        p = math.exp(min(max(z, -_FAR), _FAR))
        return p, p, p
    if transform == IDENTITY:
        return z, 1.0, 0.0
    width = upper - lower
    if transform == LOGIT:
        e = math.exp(-abs(z))
        s = 1.0 / (1.0 + e) if z >= 0.0 else e / (1.0 + e)
        slope = e / ((1.0 + e) * (1.0 + e))
        return lower + width * s, width * slope, width * slope * (1.0 - 2.0 * s)
    if transform != PROBIT:
        return at_pair(transform, z, lower, upper)
    density = math.exp(-0.5 * z * z) / _ROOT_2PI
    return lower + width * 0.5 * math.erfc(-z / _ROOT_2), width * density, -width * z * density


@kernel
def _untransformed(z, transform, lower, upper, out):
    for k in range(z.shape[0]):
        out[k, 0], out[k, 1], out[k, 2] = _untransform(z[k], transform[k], lower[k], upper[k])


def untransform(z: ArrayLike, transform: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> NDArray[np.float64]:
    """Values on the natural scale of transformed ones, with their first and second derivatives, float64[..., 3].

    Parameters
    ----------
    z : float
        They may be arrays, all of a shape or of one that becomes it.
    transform : int
        LOG, IDENTITY, LOGIT or PROBIT, or the address of a program (see `scalar`).
    lower, upper : float
    """
    parts = np.broadcast_arrays(
        np.asarray(z, float), np.asarray(transform, np.int64), np.asarray(lower, float), np.asarray(upper, float)
    )
    out = np.empty((parts[0].size, 3))
    _untransformed(*[part.ravel() for part in parts], out)
    return out.reshape(*parts[0].shape, 3)


@kernel
def natural(r, u, C, offset, transform, lower, upper, order, out):
    """Natural parameters on a design row as jets.

    Parameters
    ----------
    r : int
        Design row.
    u : float64[D]
        Local coordinates of the subject.
    C : float64[rows, P, D]; offset : float64[rows, P]
        Transformed parameters are  z = offset[r] + C[r] u.
    transform : int64[P]; lower, upper : float64[P]
    order : int
    out : float64[P, size(D)]
        Filled.
    """
    D = u.shape[0]
    for p in range(transform.shape[0]):
        z = offset[r, p]
        for d in range(D):
            z += C[r, p, d] * u[d]
        value, first, second = _untransform(z, transform[p], lower[p], upper[p])
        out[p, 0] = value
        if order > 0:
            for d in range(D):
                out[p, 1 + d] = first * C[r, p, d]
        if order > 1:
            k = 1 + D
            for d in range(D):
                for e in range(d + 1):
                    out[p, k] = second * C[r, p, d] * C[r, p, e]
                    k += 1


@kernel
def store(jet, j, f, fu, fuu, D, order):
    """Put a jet into place j of f, fu and fuu (both triangles)."""
    f[j] = jet[0]
    if order > 0:
        for d in range(D):
            fu[j, d] = jet[1 + d]
    if order > 1:
        k = 1 + D
        for d in range(D):
            for e in range(d + 1):
                fuu[j, d, e] = jet[k]
                fuu[j, e, d] = jet[k]
                k += 1
