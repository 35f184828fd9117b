"""What one observation adds to the likelihood: the residual error, and values below a limit of quantification.

With f the prediction and R(f; σ) its residual variance, an observation y adds L = (y - f)²/R + log R. The variance has
up to three parameters σ = (a, b, c):

    SUM_OF_VARIANCES   R = a² + b² f²
    SUM_OF_DEVIATIONS  R = (a + b |f|^c)²

An observation known only to lie between two limits adds L = -2 log [Φ((upper - f)/√R) - Φ((lower - f)/√R)] (M3 of
Beal 2001, J Pharmacokinet Pharmacodyn 28:481; a limit may be infinite); under M4, where values are positive, every
observation is conditional on that: + 2 log Φ(f/√R), and `lower` is 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.engine.predictions.jets import inner

SUM_OF_VARIANCES, SUM_OF_DEVIATIONS = 0, 1
MEASURED, CENSORED, MEASURED_POSITIVE, CENSORED_POSITIVE = range(4)

_ROOT_2 = math.sqrt(2.0)
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_STEP = 1e-3  # of differences; fourth order, so their error is about 1e-12


@inner
def variance(kind, f, a, b, c):
    """Residual variance R with its first and second derivative by f."""
    if kind == SUM_OF_VARIANCES:
        bf = b * b * f
        return a * a + bf * f, 2.0 * bf, 2.0 * b * b
    size = abs(f)
    sign = 1.0 if f >= 0.0 else -1.0
    if c == 1.0:
        s = a + b * size
        return s * s, 2.0 * s * b * sign, 2.0 * b * b
    if size == 0.0:
        return a * a, 0.0, 0.0
    power = b * size**c
    s, s1, s2 = a + power, sign * c * power / size, c * (c - 1.0) * power / (size * size)
    return s * s, 2.0 * s * s1, 2.0 * (s1 * s1 + s * s2)


@inner
def variance_slopes(kind, f, a, b, c, out):
    """Fill out[k] with the derivatives of (R, R', R'') by the k-th of (a, b, c), float64[3, 3]."""
    if kind == SUM_OF_VARIANCES:
        out[0, 0], out[0, 1], out[0, 2] = 2.0 * a, 0.0, 0.0
        out[1, 0], out[1, 1], out[1, 2] = 2.0 * b * f * f, 4.0 * b * f, 4.0 * b
        out[2, 0], out[2, 1], out[2, 2] = 0.0, 0.0, 0.0
        return
    size = abs(f)
    sign = 1.0 if f >= 0.0 else -1.0
    if size == 0.0:
        s, s1, s2 = a, (b * sign if c == 1.0 else 0.0), 0.0
        out[0, 0], out[0, 1], out[0, 2] = 1.0, 0.0, 0.0
        out[1, 0], out[1, 1], out[1, 2] = 0.0, (sign if c == 1.0 else 0.0), 0.0
        out[2, 0], out[2, 1], out[2, 2] = 0.0, 0.0, 0.0
    else:
        unit = size**c
        log = math.log(size)
        s, s1, s2 = a + b * unit, sign * c * b * unit / size, c * (c - 1.0) * b * unit / (size * size)
        out[0, 0], out[0, 1], out[0, 2] = 1.0, 0.0, 0.0
        out[1, 0], out[1, 1], out[1, 2] = unit, sign * c * unit / size, c * (c - 1.0) * unit / (size * size)
        out[2, 0] = b * unit * log
        out[2, 1] = sign * b * unit / size * (1.0 + c * log)
        out[2, 2] = b * unit / (size * size) * (2.0 * c - 1.0 + c * (c - 1.0) * log)
    for k in range(3):  # from derivatives of the deviation s to those of s²
        v, v1, v2 = out[k, 0], out[k, 1], out[k, 2]
        out[k, 0] = 2.0 * s * v
        out[k, 1] = 2.0 * (v * s1 + s * v1)
        out[k, 2] = 2.0 * (2.0 * s1 * v1 + v * s2 + s * v2)


@njit(cache=True, nogil=True, error_model="numpy")
def variances(kind, response, f, sigma, R, R_f, R_s):
    """Residual variance of every observation with its derivatives by f and σ.

    Parameters
    ----------
    kind : int64[K]; sigma : float64[K, 3]
        Of every response.
    response : int64[n]; f : float64[n]
    R, R_f : float64[n]; R_s : float64[n, 3]
        Filled.
    """
    out = np.empty((3, 3))
    for j in range(f.shape[0]):
        r = response[j]
        a, b, c = sigma[r, 0], sigma[r, 1], sigma[r, 2]
        R[j], R_f[j], _ = variance(kind[r], f[j], a, b, c)
        variance_slopes(kind[r], f[j], a, b, c, out)
        for k in range(3):
            R_s[j, k] = out[k, 0]


@inner
def log_cdf(x):
    """log Φ(x) and its derivative φ(x)/Φ(x), far into the tail as well."""
    if x > -5.0:
        p = 0.5 * math.erfc(-x / _ROOT_2)
        return math.log(p), math.exp(-0.5 * x * x - _LOG_ROOT_2PI) / p
    if x == -np.inf:
        return -np.inf, np.inf
    t = -x
    mills = t  # Laplace's continued fraction of φ/Φ: t + 1/(t + 2/(t + 3/(…)))
    for n in range(40, 0, -1):
        mills = t + n / mills
    return -0.5 * x * x - _LOG_ROOT_2PI - math.log(mills), mills


@inner
def _between(lower, upper):
    """log [Φ(upper) - Φ(lower)], and φ(upper), φ(lower) divided by that difference."""
    if upper == np.inf:
        if lower == -np.inf:
            return 0.0, 0.0, 0.0
        value, hazard = log_cdf(-lower)
        return value, 0.0, hazard
    if lower == -np.inf:
        value, hazard = log_cdf(upper)
        return value, hazard, 0.0
    mirrored = lower > 0.0
    if mirrored:
        lower, upper = -upper, -lower
    high, high_hazard = log_cdf(upper)
    low, low_hazard = log_cdf(lower)
    ratio = math.exp(low - high)
    rest = -math.expm1(low - high)
    value, at_high, at_low = high + math.log(rest), high_hazard / rest, low_hazard * ratio / rest
    return (value, at_low, at_high) if mirrored else (value, at_high, at_low)


@inner
def _limited(kind, lower, upper, f, a, b, c):
    """-2 log of the probability to lie between two limits, with its first and second derivative by f."""
    R, R1, R2 = variance(kind, f, a, b, c)
    s = math.sqrt(R)
    s1 = 0.5 * R1 / s
    s2 = 0.5 * R2 / s - s1 * s1 / s
    high, low = (upper - f) / s, (lower - f) / s
    value, at_high, at_low = _between(low, high)
    p1 = p2 = 0.0
    if at_high != 0.0:
        first = (-1.0 - high * s1) / s
        p1 += at_high * first
        p2 += at_high * ((-2.0 * first * s1 - high * s2) / s - high * first * first)
    if at_low != 0.0:
        first = (-1.0 - low * s1) / s
        p1 -= at_low * first
        p2 -= at_low * ((-2.0 * first * s1 - low * s2) / s - low * first * first)
    return -2.0 * value, -2.0 * p1, -2.0 * (p2 - p1 * p1)


@inner
def _measured(kind, y, f, a, b, c):
    """L, L', L'', w and w' of a measured observation, R at f; w = 1/R + ½ (R'/R)²."""
    R, R1, R2 = variance(kind, f, a, b, c)
    e = y - f
    x, x1, x2 = 1.0 / R, R1 / R, R2 / R
    e2 = e * e * x
    first = -2.0 * e * x + x1 * (1.0 - e2)
    second = 2.0 * x + 4.0 * e * x * x1 + e2 * (2.0 * x1 * x1 - x2) + x2 - x1 * x1
    return e2 + math.log(R), first, second, x + 0.5 * x1 * x1, -x * x1 + x1 * (x2 - x1 * x1)


@inner
def _tail(what, kind, y, upper, f, a, b, c):
    """L, L', L'' and w of an observation of another kind than MEASURED; the curvature w of a tail is ½ L''."""
    L = L1 = L2 = w = 0.0
    if what == MEASURED_POSITIVE:
        L, L1, L2, w, _ = _measured(kind, y, f, a, b, c)
    else:
        L, L1, L2 = _limited(kind, y, upper, f, a, b, c)
        w = 0.5 * L2
    if what != CENSORED:
        P, P1, P2 = _limited(kind, 0.0, np.inf, f, a, b, c)
        L, L1, L2, w = L - P, L1 - P1, L2 - P2, w - 0.5 * P2
    return L, L1, L2, w


@inner
def record(interaction, what, kind, y, upper, f, a, b, c, R0):
    """L, L', L'' by f, w and w' of an observation.

    Parameters
    ----------
    interaction : bool
        R at f; otherwise R0, the variance at η = 0, is taken as known and w = 1/R0.
    what : int
        MEASURED, or one of the others: y and `upper` are the limits then.
    """
    if what != MEASURED:
        L, L1, L2, w = _tail(what, kind, y, upper, f, a, b, c)
        R, _, _ = variance(kind, f, a, b, c)
        h = _STEP * math.sqrt(R)
        slope = 0.0
        for step, weight in ((h, 8.0), (2.0 * h, -1.0)):
            _, _, _, after = _tail(what, kind, y, upper, f + step, a, b, c)
            _, _, _, before = _tail(what, kind, y, upper, f - step, a, b, c)
            slope += weight * (after - before)
        return L, L1, L2, w, slope / (12.0 * h)
    if interaction:
        return _measured(kind, y, f, a, b, c)
    e, x = y - f, 1.0 / R0
    return e * e * x + math.log(R0), -2.0 * e * x, 2.0 * x, x, 0.0


@inner
def record_slopes(what, kind, y, upper, f, sigma, scratch, out):
    """Fill out[k] with the derivatives of (L, L', L'', w) by the k-th of (a, b, c), R at f; float64[3, 4]."""
    a, b, c = sigma[0], sigma[1], sigma[2]
    if what != MEASURED:
        out[:] = 0.0
        for k in range(3):
            if sigma[k] == 0.0:
                continue
            h = _STEP * sigma[k]
            for step, weight in ((h, 8.0), (2.0 * h, -1.0), (-h, -8.0), (-2.0 * h, 1.0)):
                at_a = a + step if k == 0 else a
                at_b = b + step if k == 1 else b
                at_c = c + step if k == 2 else c
                moved = _tail(what, kind, y, upper, f, at_a, at_b, at_c)
                for i in range(4):
                    out[k, i] += weight * moved[i] / (12.0 * h)
        return
    R, R1, R2 = variance(kind, f, a, b, c)
    variance_slopes(kind, f, a, b, c, scratch)
    e = y - f
    x, x1, x2 = 1.0 / R, R1 / R, R2 / R
    ee = e * e
    for k in range(3):
        d = scratch[k, 0] * x  # of log R
        d1, d2 = scratch[k, 1] * x - x1 * d, scratch[k, 2] * x - x2 * d  # of R'/R and R''/R
        dx = -x * d
        de2 = ee * dx
        out[k, 0] = d * (1.0 - ee * x)
        out[k, 1] = -2.0 * e * dx + d1 * (1.0 - ee * x) - x1 * de2
        out[k, 2] = (
            2.0 * dx + 4.0 * e * (dx * x1 + x * d1) + de2 * (2.0 * x1 * x1 - x2) + ee * x * (4.0 * x1 * d1 - d2)
            + d2 - 2.0 * x1 * d1
        )  # fmt: skip
        out[k, 3] = dx + x1 * d1


@njit(cache=True, nogil=True, error_model="numpy")
def to_logarithm(subjects, first_observation, response, logarithmic, floor, order, f, fu, fuu):
    """Replace f by log f, with derivatives, where the response is analysed as its logarithm.

    A prediction of 0 or less counts as floor[response]; where that is 0, too, it is not a number.
    """
    D = fu.shape[1]
    for which in range(subjects.shape[0]):
        i = subjects[which]
        for j in range(first_observation[i], first_observation[i + 1]):
            r = response[j]
            if not logarithmic[r]:
                continue
            low = f[j] <= 0.0
            value = floor[r] if low else f[j]
            x = 0.0 if low else 1.0 / f[j]
            f[j] = math.log(value) if value > 0.0 else np.nan
            if order > 1:
                for d in range(D):
                    for e in range(D):
                        fuu[j, d, e] = x * fuu[j, d, e] - x * x * fu[j, d] * fu[j, e]
            if order > 0:
                for d in range(D):
                    fu[j, d] *= x
