"""Predictions of linear one-compartment models with exact first and second derivatives.

The state (amounts in depot and central compartment) is carried from event to event together with its
derivatives, so the cost grows with the number of records. Derivatives are taken in the local coordinates u
of a subject (see `problem`): the transformed parameters on design row r are  z = offset[r] + C[r] u.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.data.events import DOSE, RESET, RESET_AND_DOSE

LOG, IDENTITY = 0, 1
CLEARANCE, RATE = 0, 1

_SERIES = np.array([1.0 / math.factorial(n + 1) for n in range(20)])  # (1 - exp(-x))/x = Σ (-x)^n / (n+1)!


@njit(cache=True, nogil=True, error_model="numpy")
def _psi(x):
    """(1 - exp(-x))/x for x ≥ 0 with its first and second derivatives; by its series where that cancels."""
    if x < 0.5:
        value = first = second = 0.0
        for n in range(19, -1, -1):  # Horner in -x
            second = -x * second + 2.0 * first
            first = -x * first + value
            value = -x * value + _SERIES[n]
        return value, -first, second
    e = math.exp(-x)
    value = (1.0 - e) / x
    first = (e - value) / x
    return value, first, -(e + 2.0 * first) / x


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(a, b, dt):
    """∫ exp(-a s) exp(-b (dt - s)) ds over 0..dt = (exp(-b dt) - exp(-a dt))/(a - b), a limit where a = b.

    Returns it with its derivatives by a, b, aa, ab, bb. Symmetric in a and b: the slower rate is taken out as
    a factor, so that nothing overflows.
    """
    slow, fast = (b, a) if a >= b else (a, b)
    e = math.exp(-slow * dt)
    p0, p1, p2 = _psi((fast - slow) * dt)
    dt2 = dt * dt * e
    value = dt * e * p0
    d_fast = dt2 * p1
    d_slow = -dt * value - d_fast
    d_ff = dt * dt2 * p2
    d_fs = -dt * d_fast - d_ff
    d_ss = -dt * d_slow + dt * dt2 * (p1 + p2)
    if a >= b:
        return value, d_fast, d_slow, d_ff, d_fs, d_ss
    return value, d_slow, d_fast, d_ss, d_fs, d_ff


@njit(cache=True, nogil=True, error_model="numpy")
def _natural(z, transform):
    """Value on the natural scale with its first and second derivative by the transformed one."""
    if transform == LOG:
        p = math.exp(z)
        return p, p, p
    return z, 1.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def predict_one_compartment(
    subjects, start, time, kind, amount, compartment, row, slot,
    u, C, offset, transform, parameters, depot, order, f, fu, fuu,
):  # fmt: skip
    """Predict the central concentration at the events of some subjects.

    Parameters
    ----------
    subjects : int64[k]
        Which subjects.
    start : int64[subjects + 1]; time, amount : float64[events]; kind, compartment, row, slot : int64[events]
        Events in order; `row` is the design row, `slot` the place in f where the prediction at this
        event, after its dose, is put (-1: nowhere).
    u : float64[subjects, D]
        Local coordinates.
    C : float64[rows, P, D]; offset : float64[rows, P]; transform : int64[P]
        Transformed parameters on each design row. Parameters in order: ka if depot; CL (k), V.
    parameters : int
        CLEARANCE or RATE.
    depot : bool
        First-order absorption from a depot.
    order : int
        0, 1 or 2: derivatives wanted.
    f : float64[n]; fu : float64[n, D]; fuu : float64[n, D, D]
        Filled at the slots of these subjects.
    """
    D = u.shape[1]
    P = transform.shape[0]
    # amounts a (depot) and c (central), their derivatives
    au, cu = np.zeros(D), np.zeros(D)
    auu, cuu = np.zeros((D, D)), np.zeros((D, D))
    p, p1, p2 = np.zeros(3), np.zeros(3), np.zeros(3)
    ka_u, k_u, s_u = np.zeros(D), np.zeros(D), np.zeros(D)  # s = 1/V
    ka_uu, k_uu, s_uu = np.zeros((D, D)), np.zeros((D, D)), np.zeros((D, D))
    first = 1 if depot else 0

    for which in range(subjects.shape[0]):
        i = subjects[which]
        a = c = 0.0
        au[:] = 0.0
        cu[:] = 0.0
        auu[:] = 0.0
        cuu[:] = 0.0
        ka = k = s = 0.0
        current = -1
        now = time[start[i]] if start[i + 1] > start[i] else 0.0
        for event in range(start[i], start[i + 1]):
            r = row[event]
            if r != current:
                current = r
                for m in range(P):
                    z = offset[r, m]
                    for d in range(D):
                        z += C[r, m, d] * u[i, d]
                    p[m], p1[m], p2[m] = _natural(z, transform[m])
                v = p[first + 1]
                s = 1.0 / v
                k = p[first] * s if parameters == CLEARANCE else p[first]
                if depot:
                    ka = p[0]
                if order > 0:
                    for d in range(D):
                        dx = p1[first] * C[r, first, d]
                        dv = p1[first + 1] * C[r, first + 1, d]
                        s_u[d] = -s * s * dv
                        k_u[d] = dx * s + p[first] * s_u[d] if parameters == CLEARANCE else dx
                        if depot:
                            ka_u[d] = p1[0] * C[r, 0, d]
                if order > 1:
                    for d in range(D):
                        for e in range(d + 1):
                            dv_de = p1[first + 1] * p1[first + 1] * C[r, first + 1, d] * C[r, first + 1, e]
                            vv = p2[first + 1] * C[r, first + 1, d] * C[r, first + 1, e]
                            xx = p2[first] * C[r, first, d] * C[r, first, e]
                            s_uu[d, e] = 2.0 * s * s * s * dv_de - s * s * vv
                            if parameters == CLEARANCE:
                                k_uu[d, e] = (
                                    xx * s + p[first] * s_uu[d, e]
                                    + p1[first] * (C[r, first, d] * s_u[e] + C[r, first, e] * s_u[d])
                                )  # fmt: skip
                            else:
                                k_uu[d, e] = xx
                            if depot:
                                ka_uu[d, e] = p2[0] * C[r, 0, d] * C[r, 0, e]

            dt = time[event] - now
            now = time[event]
            if dt > 0.0:
                e2 = math.exp(-k * dt)
                e1 = g = g_a = g_k = g_aa = g_ak = g_kk = 0.0
                if depot:
                    e1 = math.exp(-ka * dt)
                    h, h_a, h_k, h_aa, h_ak, h_kk = _exchange(ka, k, dt)
                    g, g_a, g_k = ka * h, h + ka * h_a, ka * h_k
                    g_aa, g_ak, g_kk = 2.0 * h_a + ka * h_aa, h_k + ka * h_ak, ka * h_kk
                if order > 1:
                    for d in range(D):
                        e2_d = -dt * e2 * k_u[d]
                        e1_d = -dt * e1 * ka_u[d]
                        g_d = g_a * ka_u[d] + g_k * k_u[d]
                        for e in range(d + 1):
                            e2_e = -dt * e2 * k_u[e]
                            e2_de = e2 * dt * (dt * k_u[d] * k_u[e] - k_uu[d, e])
                            c2 = cuu[d, e] * e2 + cu[d] * e2_e + cu[e] * e2_d + c * e2_de
                            if depot:
                                e1_e = -dt * e1 * ka_u[e]
                                g_e = g_a * ka_u[e] + g_k * k_u[e]
                                e1_de = e1 * dt * (dt * ka_u[d] * ka_u[e] - ka_uu[d, e])
                                g_de = (
                                    g_aa * ka_u[d] * ka_u[e]
                                    + g_ak * (ka_u[d] * k_u[e] + ka_u[e] * k_u[d])
                                    + g_kk * k_u[d] * k_u[e]
                                    + g_a * ka_uu[d, e]
                                    + g_k * k_uu[d, e]
                                )
                                c2 += auu[d, e] * g + au[d] * g_e + au[e] * g_d + a * g_de
                                auu[d, e] = auu[d, e] * e1 + au[d] * e1_e + au[e] * e1_d + a * e1_de
                            cuu[d, e] = c2
                if order > 0:
                    for d in range(D):
                        cu[d] = cu[d] * e2 - c * dt * e2 * k_u[d]
                        if depot:
                            cu[d] += au[d] * g + a * (g_a * ka_u[d] + g_k * k_u[d])
                            au[d] = au[d] * e1 - a * dt * e1 * ka_u[d]
                c = c * e2 + a * g
                a = a * e1

            what = kind[event]
            if what in (RESET, RESET_AND_DOSE):
                a = c = 0.0
                au[:] = 0.0
                cu[:] = 0.0
                auu[:] = 0.0
                cuu[:] = 0.0
            if what in (DOSE, RESET_AND_DOSE):
                if depot and compartment[event] <= 1:
                    a += amount[event]
                else:
                    c += amount[event]
            if slot[event] >= 0:
                j = slot[event]
                f[j] = c * s
                if order > 0:
                    for d in range(D):
                        fu[j, d] = cu[d] * s + c * s_u[d]
                if order > 1:
                    for d in range(D):
                        for e in range(d + 1):
                            second = cuu[d, e] * s + cu[d] * s_u[e] + cu[e] * s_u[d] + c * s_uu[d, e]
                            fuu[j, d, e] = second
                            fuu[j, e, d] = second
