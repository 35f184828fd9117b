"""The system of a linear compartment model on a design row: rate constants, eigenvalues, what links them to amounts.

Central amount A and n = 0, 1, 2 peripheral amounts P_j exchange and are cleared:

    dA/dt = -(k + Σ k1_j) A + Σ d_j P_j,     dP_j/dt = k1_j A - d_j P_j       (d_1 = k21, d_2 = k31)

The eigenvalues λ_m, m = 0..n, are the roots of

    p(λ) = (k - λ) Π (d_j - λ) - λ Σ k1_j Π_{i≠j} (d_i - λ) = Π (λ_m - λ),

between which the d_j lie. A unit that enters the central compartment enters every mode s_m as a unit, each of which
decays with its λ_m, and

    A = Σ w_m s_m,    P_j = Σ k1_j w_m / (d_j - λ_m) s_m,    w_m = Π (d_j - λ_m) / Π_{l≠m} (λ_l - λ_m),  Σ w_m = 1,
    s_m = A + Σ d_j / (d_j - λ_m) P_j.

Differences d_j - λ_m that nearly vanish are solved for directly, not subtracted, so weights keep their relative
accuracy where a compartment is all but cut off. Where two λ (nearly) coincide the modes lose their meaning; `system`
says so.

Everything is a jet. The jets of a row stand in one array, at the places named below.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workbench.engine.predictions import jets
from workbench.engine.predictions.machine import inner

CLEARANCE, RATE, MACRO, HALF_LIFE = range(4)

# Places of the jets of a row; j = 0, 1 counts peripheral compartments, m = 0, 1, 2 modes.
PER_VOLUME, KA, K = range(3)
OUT = 3  # + j: k1_j
BACK = 5  # + j: d_j
DECAY = 7  # + m: λ_m
WEIGHT = 10  # + m: w_m
READ = 13  # + m: w_m / V
APART = 16  # + 3 j + m: d_j - λ_m
INTO = 22  # + 3 j + m: d_j / (d_j - λ_m), what a unit in P_j is in s_m
SHARE = 28  # + 3 j + m: k1_j w_m / (d_j - λ_m), what a unit of s_m is in P_j
_SCRATCH = 34
PLACES = 40

CENTRAL, DEPOT = 0, 3  # states; 1 and 2 are peripheral. In modes, states 0..2 hold s_m and state 3 ka · depot
STATES = 4

NEARLY_EQUAL = 1e-2  # relative distance of two eigenvalues below which modes are not used
_LN2 = math.log(2.0)
_NONE: Any = np.int64(-1)


@inner
def _micro(p, at, parameters, n, S, D, order):
    """Volume and rate constants out of the natural parameters."""
    if parameters == RATE:
        jets.copy(p[at], S[K])
        jets.reciprocal(p[at + 1], S[PER_VOLUME], D, order)
        for j in range(n):
            jets.copy(p[at + 2 + 2 * j], S[OUT + j])
            jets.copy(p[at + 3 + 2 * j], S[BACK + j])
        return
    if parameters == MACRO:  # of one compartment: A, alpha
        jets.copy(p[at], S[PER_VOLUME])
        jets.copy(p[at + 1], S[K])
        return
    if parameters == HALF_LIFE:  # of one compartment: V, t_half
        jets.reciprocal(p[at], S[PER_VOLUME], D, order)
        jets.reciprocal(p[at + 1], S[K], D, order)
        jets.scale(_LN2, S[K], S[K], D, order)
        return
    jets.reciprocal(p[at + 1], S[PER_VOLUME], D, order)
    jets.multiply(p[at], S[PER_VOLUME], S[K], D, order)
    for j in range(n):
        jets.multiply(p[at + 2 + 2 * j], S[PER_VOLUME], S[OUT + j], D, order)
        jets.reciprocal(p[at + 3 + 2 * j], S[BACK + j], D, order)
        jets.multiply(p[at + 2 + 2 * j], S[BACK + j], S[BACK + j], D, order)


@inner
def _polynomial(k, a, c, d, e, x):
    """p(x) and p'(x) of n = 2: a = k1_1, c = k1_2, and d, e = d_1, d_2."""
    s, t = d - x, e - x
    value = (k - x) * s * t - x * (a * t + c * s)
    slope = -s * t - (k - x) * (s + t) - (a * t + c * s) + x * (a + c)
    return value, slope


@inner
def _from_outside(k, a, c, d, e, x):
    """The root of p next to x, where no root lies on the other side of x: Newton's iteration is monotone."""
    for _ in range(200):
        value, slope = _polynomial(k, a, c, d, e, x)
        step = value / slope
        x -= step
        if not abs(step) > 1e-9 * abs(x):
            break
    return x


@inner
def _decay_values(S, n):
    """Values of the eigenvalues, ascending, to about relative machine accuracy if they are well apart."""
    k = S[K, 0]
    if n == 0:
        S[DECAY, 0] = k
        return
    a, d = S[OUT, 0], S[BACK, 0]
    if n == 1:
        difference = k + a - d
        distance = math.sqrt(difference * difference + 4.0 * a * d)
        large = 0.5 * (k + a + d + distance)
        S[DECAY + 1, 0] = large
        S[DECAY, 0] = k * d / large if large > 0.0 else 0.0
        return
    c, e = S[OUT + 1, 0], S[BACK + 1, 0]
    small = _from_outside(k, a, c, d, e, 0.0) if k > 0.0 and d > 0.0 and e > 0.0 else 0.0
    large = _from_outside(k, a, c, d, e, k + a + c + d + e)
    middle = k * d * e / (large * small) if small > 0.0 else 0.0
    S[DECAY, 0], S[DECAY + 1, 0], S[DECAY + 2, 0] = small, middle, large


@inner
def _place(S, n, m, origin, mu, D, order):
    """λ_m = d_origin + μ (origin -1: μ), with its distances from the d_j."""
    if origin < 0:
        jets.copy(mu, S[DECAY + m])
    else:
        jets.add(S[BACK + origin], mu, S[DECAY + m], D, order)
    for j in range(n):
        apart = S[APART + 3 * j + m]
        if origin < 0:
            jets.subtract(S[BACK + j], mu, apart, D, order)
        elif j == origin:
            jets.scale(-1.0, mu, apart, D, order)
        else:
            jets.subtract(S[BACK + j], S[BACK + origin], apart, D, order)
            jets.subtract(apart, mu, apart, D, order)


@inner
def _residual(S, n, m, out, D, order):
    """out = p(λ_m)."""
    decay, t = S[DECAY + m], S[_SCRATCH]
    jets.subtract(S[K], decay, out, D, order)
    jets.multiply(out, S[APART + m], out, D, order)
    if n == 1:
        jets.multiply(decay, S[OUT], t, D, order)
    else:
        jets.multiply(out, S[APART + 3 + m], out, D, order)
        jets.multiply(S[OUT], S[APART + 3 + m], t, D, order)
        jets.add_product(S[OUT + 1], S[APART + m], t, D, order)
        jets.multiply(t, decay, t, D, order)
    jets.subtract(out, t, out, D, order)


@inner
def _decays(S, n, D, order):
    """Eigenvalues as jets, and their distances from the d_j, by Newton's iteration from their values."""
    mu, out = S[_SCRATCH + 1], S[_SCRATCH + 2]
    for m in range(n + 1):
        value = S[DECAY + m, 0]
        slope = -1.0
        for other in range(n + 1):
            if other != m:
                slope *= S[DECAY + other, 0] - value
        origin, nearest = _NONE, 0.5 * value
        for j in range(n):
            if abs(value - S[BACK + j, 0]) < nearest:
                origin, nearest = j, abs(value - S[BACK + j, 0])
        jets.constant(value if origin < 0 else value - S[BACK + origin, 0], mu)
        # two steps for the value; from then on each step, with a constant slope, makes one more order right
        for step in range(2 + order):
            wanted = max(0, step - 1)
            _place(S, n, m, origin, mu, D, wanted)
            _residual(S, n, m, out, D, wanted)
            jets.axpy(-1.0 / slope, out, mu, D, wanted)
        _place(S, n, m, origin, mu, D, order)


@inner
def _of_macro(p, at, parameters, n, S, D, order):
    """Weights and eigenvalues that are parameters: A, alpha, B, beta, ... per unit into the central compartment."""
    total = S[PER_VOLUME]
    jets.clear(total)
    for m in range(n + 1):
        jets.axpy(1.0, p[at + 2 * m], total, D, order)
        if parameters == MACRO:
            jets.copy(p[at + 2 * m + 1], S[DECAY + m])
        else:
            jets.reciprocal(p[at + 2 * m + 1], S[DECAY + m], D, order)
            jets.scale(_LN2, S[DECAY + m], S[DECAY + m], D, order)
        jets.copy(p[at + 2 * m], S[READ + m])
    volume = S[_SCRATCH]
    jets.reciprocal(total, volume, D, order)
    for m in range(n + 1):
        jets.multiply(p[at + 2 * m], volume, S[WEIGHT + m], D, order)


@inner
def _rates_of_macro(S, n, D, order):
    """Rate constants of weights and eigenvalues.

    The d_j are the roots of  Σ w_m Π_{l≠m} (λ_l - d), the larger first. That is solved for their distances σ
    from λ_0, so that all distances d_j - λ_m are right where eigenvalues nearly coincide.
    """
    t, v, one, two = S[_SCRATCH], S[_SCRATCH + 1], S[_SCRATCH + 2], S[_SCRATCH + 3]
    w, decay = S[WEIGHT : WEIGHT + 3], S[DECAY : DECAY + 3]
    jets.copy(decay[0], S[K])
    jets.subtract(decay[1], decay[0], one, D, order)
    if n == 1:
        jets.multiply(w[0], one, S[APART], D, order)
    else:  # σ² - v σ + w_0 one two, where one and two are λ_1 - λ_0 and λ_2 - λ_0
        jets.subtract(decay[2], decay[0], two, D, order)
        jets.multiply(w[0], one, t, D, order)
        jets.add_product(w[2], one, t, D, order)
        jets.copy(t, v)
        jets.add_product(w[0], two, v, D, order)
        jets.add_product(w[1], two, v, D, order)
        jets.multiply(w[0], one, t, D, order)
        jets.multiply(t, two, t, D, order)
        product = S[BACK + 1]
        jets.copy(t, product)
        jets.multiply(v, v, t, D, order)
        jets.axpy(-4.0, product, t, D, order)
        jets.root(t, t, D, order)
        first = 0 if v[0] >= 0.0 else 1  # the root that is larger in size comes without a difference
        jets.scale(0.5 - first, t, t, D, order)
        jets.axpy(0.5, v, t, D, order)
        jets.copy(t, S[APART + 3 * first])
        jets.reciprocal(t, t, D, order)
        jets.multiply(product, t, S[APART + 3 - 3 * first], D, order)
    for m in range(1, n + 1):
        jets.multiply(S[K], decay[m], S[K], D, order)
    for j in range(n):  # k = Π λ / Π d,  k1_j = -p(d_j) / (d_j Π_{i≠j} (d_i - d_j))
        apart = S[APART + 3 * j]
        jets.add(decay[0], apart, S[BACK + j], D, order)
        jets.reciprocal(S[BACK + j], t, D, order)
        jets.multiply(S[K], t, S[K], D, order)
        jets.multiply(t, apart, t, D, order)
        jets.subtract(apart, one, S[APART + 3 * j + 1], D, order)
        if n == 1:
            jets.scale(-1.0, w[1], v, D, order)
            jets.multiply(v, one, S[APART + 1], D, order)
        else:
            jets.subtract(apart, two, S[APART + 3 * j + 2], D, order)
            jets.multiply(t, S[APART + 3 * j + 2], t, D, order)
        jets.multiply(t, S[APART + 3 * j + 1], t, D, order)
        jets.scale(-1.0 if n == 1 else 1.0, t, S[OUT + j], D, order)
    if n == 2:
        jets.subtract(S[APART + 3], S[APART], t, D, order)
        jets.reciprocal(t, t, D, order)
        jets.multiply(S[OUT], t, S[OUT], D, order)
        jets.multiply(S[OUT + 1], t, S[OUT + 1], D, order)
        jets.scale(-1.0, S[OUT + 1], S[OUT + 1], D, order)


@inner
def _weights(S, n, D, order):
    """Weights of the modes in the central amount and concentration."""
    t, v = S[_SCRATCH], S[_SCRATCH + 1]
    for m in range(n + 1):
        weight = S[WEIGHT + m]
        jets.constant(1.0, weight)
        for j in range(n):
            jets.multiply(weight, S[APART + 3 * j + m], weight, D, order)
            other = j if j < m else j + 1
            jets.subtract(S[DECAY + other], S[DECAY + m], t, D, order)
            jets.reciprocal(t, v, D, order)
            jets.multiply(weight, v, weight, D, order)
        jets.multiply(weight, S[PER_VOLUME], S[READ + m], D, order)


@inner
def _peripheral(S, n, D, order):
    """What links modes and peripheral amounts; False where a mode hardly reaches the central compartment.

    With two peripheral compartments alike, one mode is an exchange between them that the central compartment does not
    see, and amounts are sums of what nearly cancels.
    """
    t = S[_SCRATCH]
    total = S[K, 0]
    for j in range(n):
        total += S[OUT + j, 0] + S[BACK + j, 0]
    for j in range(n):
        for m in range(n + 1):
            apart = S[APART + 3 * j + m]
            if apart[0] == 0.0 or abs(apart[0]) * total < NEARLY_EQUAL * S[DECAY + m, 0] * S[OUT + j, 0]:
                return False
            jets.reciprocal(apart, t, D, order)
            jets.multiply(t, S[BACK + j], S[INTO + 3 * j + m], D, order)
            jets.multiply(t, S[WEIGHT + m], t, D, order)
            jets.multiply(t, S[OUT + j], S[SHARE + 3 * j + m], D, order)
    return True


@inner
def _are_apart(S, n):
    """True where no two eigenvalues nearly coincide (and none is NaN)."""
    for m in range(n + 1):
        for other in range(m):
            x, y = S[DECAY + m, 0], S[DECAY + other, 0]
            if not abs(x - y) > NEARLY_EQUAL * max(abs(x), abs(y)):
                return False
    return True


@inner
def constants(p, at, parameters, n, macro, S, D, order):
    """Volume and rate constants, PER_VOLUME to BACK; arguments as those of `system`."""
    if macro is None:
        _micro(p, at, parameters, n, S, D, order)
    else:
        _of_macro(p, at, parameters, n, S, D, order)
        _rates_of_macro(S, n, D, order)


@inner
def system(p, at, parameters, n, macro, with_amounts, S, D, order):
    """Find out all about a design row.

    Parameters
    ----------
    p : float64[P, size(D)]
        Natural parameters; those of the disposition begin at `at`, in the order of the structure's names.
    parameters : int
        CLEARANCE, RATE, MACRO or HALF_LIFE.
    n : int
        Peripheral compartments.
    macro : True or None
        True where weights and eigenvalues are parameters, which is n > 0 and MACRO or HALF_LIFE. (None and not False:
        what does not apply is not even compiled.)
    with_amounts : bool
        Amounts are wanted, too (PER_VOLUME to BACK, INTO, SHARE), because modes are to be converted.
    S : float64[PLACES, size(D)]
        Filled (S[KA] is left alone).

    Returns
    -------
    bool
        Whether the modes can be used.
    """
    if macro is None:
        _micro(p, at, parameters, n, S, D, order)
        _decay_values(S, n)
        if not _are_apart(S, n):
            return False
        if n == 0:
            jets.copy(S[K], S[DECAY])
            jets.constant(1.0, S[WEIGHT])
            jets.copy(S[PER_VOLUME], S[READ])
            return True
        _decays(S, n, D, order)
        _weights(S, n, D, order)
    else:
        _of_macro(p, at, parameters, n, S, D, order)
        if with_amounts:
            _rates_of_macro(S, n, D, order)
            if not _are_apart(S, n):
                return False
    return not with_amounts or _peripheral(S, n, D, order)


@inner
def to_amounts(x, S, n, absorbs, W, D, order):
    """Modes become amounts."""
    for i in range(n + 1):
        jets.clear(W[i])
        for m in range(n + 1):
            jets.add_product(S[WEIGHT + m] if i == 0 else S[SHARE + 3 * (i - 1) + m], x[m], W[i], D, order)
    for i in range(n + 1):
        jets.copy(W[i], x[i])
    if absorbs:
        jets.reciprocal(S[KA], W[0], D, order)
        jets.multiply(W[0], x[DEPOT], x[DEPOT], D, order)


@inner
def to_modes(x, S, n, absorbs, W, D, order):
    """Amounts become modes."""
    for m in range(n + 1):
        jets.copy(x[CENTRAL], W[m])
        for j in range(n):
            jets.add_product(S[INTO + 3 * j + m], x[1 + j], W[m], D, order)
    for m in range(n + 1):
        jets.copy(W[m], x[m])
    if absorbs:
        jets.multiply(S[KA], x[DEPOT], x[DEPOT], D, order)
