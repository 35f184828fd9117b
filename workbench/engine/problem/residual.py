"""What one observation adds to the likelihood: the residual error, and values below a limit of quantification.

With f the prediction and R(f; σ) its residual variance, an observation y adds L = (y - f)²/R + log R. The `kind` of an
error says how R follows from its row of σ, float64[C], C at least 2:

    SUM_OF_VARIANCES   R = a² + b² f²         (a, b) = σ[:2]
    SUM_OF_DEVIATIONS  R = (a + b |f|)²       (a, b) = σ[:2]
    POWER              R = (b |f|^c)²         (b, c) = σ[:2]
    any other          R = s², s the program at that address applied to f and σ (see `predictions.scalar`)

An observation known only to lie between two limits adds L = -2 log [Φ((upper - f)/√R) - Φ((lower - f)/√R)] (M3 of
Beal 2001, J Pharmacokinet Pharmacodyn 28:481; a limit may be infinite); under M4, where values are positive, every
observation is conditional on that: + 2 log Φ(f/√R), and `lower` is 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from workbench.engine.predictions.machine import INT, NUMBERS, address_of, at_row, by_row, inlined, inner, kernel, view
from workbench.engine.predictions.scalar import scalar_program
from workbench.model import ResidualError

SUM_OF_VARIANCES, SUM_OF_DEVIATIONS, POWER = range(3)
MEASURED, CENSORED, MEASURED_POSITIVE, CENSORED_POSITIVE = range(4)
WIDTH = 2  # the least length of a row of σ

_CLOSED = {  # standard deviations that have a kind of their own, and where their parameters stand
    "a": (SUM_OF_VARIANCES, {"a": 0}),
    "b*f": (SUM_OF_VARIANCES, {"b": 1}),
    "sqrt(a^2+(b*f)^2)": (SUM_OF_VARIANCES, {"a": 0, "b": 1}),
    "a+b*abs(f)": (SUM_OF_DEVIATIONS, {"a": 0, "b": 1}),
    "b*abs(f)^c": (POWER, {"b": 0, "c": 1}),
}

_ROOT_2 = math.sqrt(2.0)
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_STEP = 1e-3  # of differences; fourth order, so their error is about 1e-12


class Treatment(NamedTuple):
    """How the kernels compute a residual error: its kind, and the place in σ of each parameter."""

    kind: int
    places: dict[str, int]


def treatment_of(error: ResidualError) -> Treatment:
    """The kind of a residual error: one of its own where there is one, else its `sd`, compiled."""
    closed = _CLOSED.get("".join(error.sd.split()))
    if closed is not None:
        return Treatment(*closed)
    places = {name: k for k, name in enumerate(error.names)}
    return Treatment(scalar_program(f"the residual error {error.title}", error.deviation, "f", error.names), places)


@inner
def _finite(value):
    return value if math.isfinite(value) else 0.0


@inner
def _deviation(address, f, sigma, k):
    """The deviation s that a program computes, with s' and s''; at f = 0 a slope that is infinite counts as none."""
    s, s1, s2 = at_row(address, f, sigma, k)
    return (s, _finite(s1), _finite(s2)) if f == 0.0 else (s, s1, s2)


# What is on the way from a kernel to the variance is `inlined`: with the rare kinds in it LLVM takes it for too long.
@inlined
def variance(kind, f, sigma, k):
    """Residual variance R by the k-th row of σ, with its first and second derivative by f."""
    if kind == SUM_OF_VARIANCES:
        a, b = sigma[k, 0], sigma[k, 1]
        bf = b * b * f
        return a * a + bf * f, 2.0 * bf, 2.0 * b * b
    if kind == SUM_OF_DEVIATIONS:
        a, b = sigma[k, 0], sigma[k, 1]
        s = a + b * abs(f)
        return s * s, 2.0 * s * b * (1.0 if f >= 0.0 else -1.0), 2.0 * b * b
    if kind == POWER:
        s, s1, s2 = _power(f, sigma[k, 0], sigma[k, 1])
    else:
        s, s1, s2 = _deviation(kind, f, sigma, k)
    return s * s, 2.0 * s * s1, 2.0 * (s1 * s1 + s * s2)


@inner
def _power(f, b, c):
    """s = b |f|^c with its first and second derivative by f; where f is 0 these count as 0 but for c = 1."""
    size = abs(f)
    sign = 1.0 if f >= 0.0 else -1.0
    if c == 1.0:
        return b * size, b * sign, 0.0
    if size == 0.0:
        return 0.0, 0.0, 0.0
    s = b * size**c
    return s, sign * c * s / size, c * (c - 1.0) * s / (size * size)


@inlined
def variance_slopes(kind, f, sigma, k, out):
    """Fill out[c] with the derivatives of (R, R', R'') by the c-th of a row of σ, float64[C, 3 or more]."""
    for c in range(2, sigma.shape[1]):
        out[c, 0], out[c, 1], out[c, 2] = 0.0, 0.0, 0.0
    if kind == SUM_OF_VARIANCES:
        a, b = sigma[k, 0], sigma[k, 1]
        out[0, 0], out[0, 1], out[0, 2] = 2.0 * a, 0.0, 0.0
        out[1, 0], out[1, 1], out[1, 2] = 2.0 * b * f * f, 4.0 * b * f, 4.0 * b
    elif kind == SUM_OF_DEVIATIONS:
        a, b = sigma[k, 0], sigma[k, 1]
        size = abs(f)
        sign = 1.0 if f >= 0.0 else -1.0
        s = a + b * size
        out[0, 0], out[0, 1], out[0, 2] = 2.0 * s, 2.0 * b * sign, 0.0
        out[1, 0], out[1, 1], out[1, 2] = 2.0 * s * size, 2.0 * (size * b * sign + s * sign), 4.0 * b
    elif kind == POWER:
        _power_slopes(f, sigma[k, 0], sigma[k, 1], out)
    else:
        s, s1, s2 = _deviation(kind, f, sigma, k)
        out[0, 0], out[0, 1], out[0, 2] = 0.0, 0.0, 0.0
        out[1, 0], out[1, 1], out[1, 2] = 0.0, 0.0, 0.0
        by_row(kind, f, sigma, k, out)
        if f == 0.0:
            for c in range(sigma.shape[1]):
                for i in range(3):
                    out[c, i] = _finite(out[c, i])
        _squared(s, s1, s2, sigma.shape[1], out)


@inner
def _power_slopes(f, b, c, out):
    """As `variance_slopes`, of POWER."""
    size = abs(f)
    sign = 1.0 if f >= 0.0 else -1.0
    s, s1, s2 = _power(f, b, c)
    out[0, 0], out[0, 1], out[0, 2] = 0.0, (sign if c == 1.0 else 0.0), 0.0
    out[1, 0], out[1, 1], out[1, 2] = 0.0, 0.0, 0.0
    if size > 0.0:
        unit = size**c
        log = math.log(size)
        out[0, 0], out[0, 1], out[0, 2] = unit, sign * c * unit / size, c * (c - 1.0) * unit / (size * size)
        out[1, 0] = b * unit * log
        out[1, 1] = sign * b * unit / size * (1.0 + c * log)
        out[1, 2] = b * unit / (size * size) * (2.0 * c - 1.0 + c * (c - 1.0) * log)
    _squared(s, s1, s2, 2, out)


@inner
def _squared(s, s1, s2, C, out):
    """From derivatives of the deviation s, in out, to those of s²."""
    for c in range(C):
        v, v1, v2 = out[c, 0], out[c, 1], out[c, 2]
        out[c, 0] = 2.0 * s * v
        out[c, 1] = 2.0 * (v * s1 + s * v1)
        out[c, 2] = 2.0 * (2.0 * s1 * v1 + v * s2 + s * v2)


@kernel
def variances(kind, response, f, sigma, R, R_f, R_s):
    """Residual variance of every observation with its derivatives by f and σ.

    Parameters
    ----------
    kind : int64[K]; sigma : float64[K, C]
        Of every response.
    response : int64[n]; f : float64[n]
    R, R_f : float64[n]; R_s : float64[n, C]
        Filled.
    """
    C = sigma.shape[1]
    out = np.empty((C, 3))
    for j in range(f.shape[0]):
        k = response[j]
        R[j], R_f[j], _ = variance(kind[k], f[j], sigma, k)
        variance_slopes(kind[k], f[j], sigma, k, out)
        for c in range(C):
            R_s[j, c] = out[c, 0]


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
def _limited(kind, lower, upper, f, sigma, k):
    """-2 log of the probability to lie between two limits, with its first and second derivative by f."""
    R, R1, R2 = variance(kind, f, sigma, k)
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


@inlined
def _measured(kind, y, f, sigma, k):
    """L, L', L'', w and w' of a measured observation, R at f; w = 1/R + ½ (R'/R)²."""
    R, R1, R2 = variance(kind, f, sigma, k)
    return _of_variance(y - f, R, R1, R2)


@inlined
def plain_record(kind, y, f, sigma, k):
    """L, L', L'' by f, w and w' of a measured observation whose error is SUM_OF_VARIANCES or SUM_OF_DEVIATIONS."""
    a, b = sigma[k, 0], sigma[k, 1]
    if kind == SUM_OF_VARIANCES:
        R, R1 = a * a + b * b * f * f, 2.0 * b * b * f
    else:
        s = a + b * abs(f)
        R, R1 = s * s, 2.0 * s * b * (1.0 if f >= 0.0 else -1.0)
    return _of_variance(y - f, R, R1, 2.0 * b * b)


@inlined
def plain_slopes(kind, y, f, sigma, k, out):
    """As `record_slopes`, where `plain_record` serves; out[c, 0] for c > 1 is to be 0 already."""
    a, b = sigma[k, 0], sigma[k, 1]
    if kind == SUM_OF_VARIANCES:
        R, R1 = a * a + b * b * f * f, 2.0 * b * b * f
        by_a, by_a1 = 2.0 * a, 0.0
        by_b, by_b1 = 2.0 * b * f * f, 4.0 * b * f
    else:
        size, sign = abs(f), 1.0 if f >= 0.0 else -1.0
        s = a + b * size
        R, R1 = s * s, 2.0 * s * b * sign
        by_a, by_a1 = 2.0 * s, 2.0 * b * sign
        by_b, by_b1 = 2.0 * s * size, 2.0 * (size * b * sign + s * sign)
    _slopes_of_variance(y - f, R, R1, 2.0 * b * b, by_a, by_a1, 0.0, out[0])
    _slopes_of_variance(y - f, R, R1, 2.0 * b * b, by_b, by_b1, 4.0 * b, out[1])


@inlined
def _of_variance(e, R, R1, R2):
    """As `_measured`, given R with its derivatives."""
    x, x1, x2 = 1.0 / R, R1 / R, R2 / R
    e2 = e * e * x
    first = -2.0 * e * x + x1 * (1.0 - e2)
    second = 2.0 * x + 4.0 * e * x * x1 + e2 * (2.0 * x1 * x1 - x2) + x2 - x1 * x1
    return e2 + math.log(R), first, second, x + 0.5 * x1 * x1, -x * x1 + x1 * (x2 - x1 * x1)


@inner
def _slopes_of_variance(e, R, R1, R2, by, by1, by2, out):
    """Fill out[:4] with the derivatives of (L, L', L'', w) by a parameter, given those of (R, R', R'')."""
    x, x1, x2 = 1.0 / R, R1 / R, R2 / R
    ee = e * e
    d = by * x  # of log R
    d1, d2 = by1 * x - x1 * d, by2 * x - x2 * d  # of R'/R and R''/R
    dx = -x * d
    de2 = ee * dx
    out[0] = d * (1.0 - ee * x)
    out[1] = -2.0 * e * dx + d1 * (1.0 - ee * x) - x1 * de2
    out[2] = (
        2.0 * dx + 4.0 * e * (dx * x1 + x * d1) + de2 * (2.0 * x1 * x1 - x2) + ee * x * (4.0 * x1 * d1 - d2)
        + d2 - 2.0 * x1 * d1
    )  # fmt: skip
    out[3] = dx + x1 * d1


@inner
def _tail(what, kind, y, upper, f, sigma, k):
    """L, L', L'' and w of an observation of another kind than MEASURED; the curvature w of a tail is ½ L''."""
    L = L1 = L2 = w = 0.0
    if what == MEASURED_POSITIVE:
        L, L1, L2, w, _ = _measured(kind, y, f, sigma, k)
    else:
        L, L1, L2 = _limited(kind, y, upper, f, sigma, k)
        w = 0.5 * L2
    if what != CENSORED:
        P, P1, P2 = _limited(kind, 0.0, np.inf, f, sigma, k)
        L, L1, L2, w = L - P, L1 - P1, L2 - P2, w - 0.5 * P2
    return L, L1, L2, w


@inlined
def record(interaction, what, kind, y, upper, f, sigma, k, R0):
    """L, L', L'' by f, w and w' of an observation.

    Parameters
    ----------
    interaction : bool
        R at f; otherwise R0, the variance at η = 0, is taken as known and w = 1/R0.
    what : int
        MEASURED, or one of the others: y and `upper` are the limits then.
    """
    if what != MEASURED:
        L, L1, L2, w = _tail(what, kind, y, upper, f, sigma, k)
        R, _, _ = variance(kind, f, sigma, k)
        h = _STEP * math.sqrt(R)
        slope = 0.0
        for step, weight in ((h, 8.0), (2.0 * h, -1.0)):
            _, _, _, after = _tail(what, kind, y, upper, f + step, sigma, k)
            _, _, _, before = _tail(what, kind, y, upper, f - step, sigma, k)
            slope += weight * (after - before)
        return L, L1, L2, w, slope / (12.0 * h)
    if interaction:
        return _measured(kind, y, f, sigma, k)
    e, x = y - f, 1.0 / R0
    return e * e * x + math.log(R0), -2.0 * e * x, 2.0 * x, x, 0.0


@inner
def record_slopes(what, kind, y, upper, f, sigma, k, scratch, out):
    """Fill out[c] with the derivatives of (L, L', L'', w) by the c-th of a row of σ, R at f; float64[C, 4].

    `scratch` is float64[C, C + 1].
    """
    C = sigma.shape[1]
    if what != MEASURED:
        out[:] = 0.0
        for c in range(C):
            scratch[0, c] = sigma[k, c]
        for c in range(C):
            if sigma[k, c] == 0.0:
                continue
            h = _STEP * sigma[k, c]
            for step, weight in ((h, 8.0), (2.0 * h, -1.0), (-h, -8.0), (-2.0 * h, 1.0)):
                scratch[0, c] = sigma[k, c] + step
                moved = _tail(what, kind, y, upper, f, scratch, 0)
                for i in range(4):
                    out[c, i] += weight * moved[i] / (12.0 * h)
            scratch[0, c] = sigma[k, c]
        return
    R, R1, R2 = variance(kind, f, sigma, k)
    variance_slopes(kind, f, sigma, k, scratch)
    for c in range(C):
        _slopes_of_variance(y - f, R, R1, R2, scratch[c, 0], scratch[c, 1], scratch[c, 2], out[c])


@inlined
def plain_first_order(kind, y, f, sigma, k):
    """L and L' where `plain_record` serves, and the derivatives of L by the two of a row of σ."""
    a, b = sigma[k, 0], sigma[k, 1]
    size = abs(f)
    if kind == SUM_OF_VARIANCES:
        bf = b * b * f
        R, R1 = a * a + bf * f, 2.0 * bf
        by_a, by_b = 2.0 * a, 2.0 * b * f * f
    else:
        s = a + b * size
        R, R1 = s * s, 2.0 * s * b * (1.0 if f >= 0.0 else -1.0)
        by_a, by_b = 2.0 * s, 2.0 * s * size
    e, x = y - f, 1.0 / R
    square = e * e * x
    left = 1.0 - square
    return square + math.log(R), (R1 * left - 2.0 * e) * x, by_a * x * left, by_b * x * left


@inlined
def first_order(order, what, kind, y, upper, f, sigma, k, scratch, slopes, by_sigma):
    """L and L' of an observation, R at f; by order 1 its derivatives by σ are added to by_sigma, as σ is.

    What is worked in is float64[C, C + 1] and float64[C, 4].
    """
    C = sigma.shape[1]
    if what != MEASURED:
        L, L1, _, _, _ = record(True, what, kind, y, upper, f, sigma, k, 1.0)
        if order > 0:
            record_slopes(what, kind, y, upper, f, sigma, k, scratch, slopes)
            for c in range(C):
                by_sigma[k, c] += slopes[c, 0]
        return L, L1
    if kind <= SUM_OF_DEVIATIONS:
        L, L1, by_a, by_b = plain_first_order(kind, y, f, sigma, k)
        if order > 0:
            by_sigma[k, 0] += by_a
            by_sigma[k, 1] += by_b
        return L, L1
    R, R1, _ = variance(kind, f, sigma, k)
    e, x = y - f, 1.0 / R
    square = e * e * x
    left = 1.0 - square
    if order > 0:
        variance_slopes(kind, f, sigma, k, scratch)
        for c in range(C):
            by_sigma[k, c] += scratch[c, 0] * x * left
    return square + math.log(R), (R1 * left - 2.0 * e) * x


def rare_record(sigma, responses, C, k, what, kind, numbers, out):
    """`record` with interaction, and `record_slopes`, for kernels that call them by address: compiled when needed.

    Parameters
    ----------
    sigma : double[responses, C]
    k, what, kind : int64
    numbers : double[3]
        y, upper and f.
    out : double[5 + 4·C + C·(C + 1)]
        Filled: L, L', L'', w, w'; the derivatives of (L, L', L'', w) by each of the row of σ.
    """
    y, upper, f = numbers[0], numbers[1], numbers[2]
    rows, filled = view(sigma, (responses, C)), view(out, (5 + 4 * C + C * (C + 1),))
    out[0], out[1], out[2], out[3], out[4] = record(True, what, kind, y, upper, f, rows, k, 1.0)
    slopes, scratch = filled[5 : 5 + 4 * C].reshape(C, 4), filled[5 + 4 * C :].reshape(C, C + 1)
    record_slopes(what, kind, y, upper, f, rows, k, scratch, slopes)
    return 0


def address_of_rare() -> int:
    """Where `rare_record` is."""
    counts = INT, INT, INT, INT, INT
    return address_of(rare_record, (), NUMBERS, *counts, NUMBERS, NUMBERS)


@inner
def log_of_prediction(j, floor, order, f, fu, fuu):
    """Replace the j-th prediction by its logarithm, with derivatives.

    A prediction of 0 or less counts as the floor; where that is 0, too, it is not a number.
    """
    D = fu.shape[1]
    low = f[j] <= 0.0
    value = floor if low else f[j]
    x = 0.0 if low else 1.0 / f[j]
    f[j] = math.log(value) if value > 0.0 else np.nan
    if order > 1:
        for d in range(D):
            for e in range(D):
                fuu[j, d, e] = x * fuu[j, d, e] - x * x * fu[j, d] * fu[j, e]
    if order > 0:
        for d in range(D):
            fu[j, d] *= x


@inner
def any_is(flags):
    """Whether any of some flags is set."""
    found = False
    for k in range(flags.shape[0]):
        found = found or flags[k]
    return found


@kernel
def to_logarithm(subjects, first_observation, response, logarithmic, floor, order, f, fu, fuu):
    """Replace f by log f where the response is analysed as its logarithm, see `log_of_prediction`."""
    for which in range(subjects.shape[0]):
        i = subjects[which]
        for j in range(first_observation[i], first_observation[i + 1]):
            if logarithmic[response[j]]:
                log_of_prediction(j, floor[response[j]], order, f, fu, fuu)
