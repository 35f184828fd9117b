"""Compiled programs on jets: calls through a function pointer.

The kernels here know a program by its address and by the places of its derivatives that are not identically 0, so they
are compiled once for all structures (see `compiled`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions.machine import call, inlined, inner

Index = NDArray[np.int64]

# Orders of derivatives, and truth
VALUE, FIRST = range(2)
NO, YES = range(2)


class Program(NamedTuple):
    """A compiled function of inputs z and constants c that applies itself to jets.

    It fills v with its outputs, then first derivatives by z (order 1), then second ones (order 2); those which are
    identically 0 are left out. Second derivatives come in groups, each of one output by one input a and some inputs
    b; a pair of inputs is in one group only. From these it makes the derivatives of `out`, by the chain rule.

    Attributes
    ----------
    address : int
        Where its machine code is:
        int64(double *z, int64 stride, double *c, double *v, double *out, int64 D, int64 order).
    outputs, slopes, groups : int
        How many outputs, first derivatives and groups there are.
    place : int64[...]
        For each first derivative: which output, by which input. For each group: which output, a, how many b. For each
        second derivative: b.
    inputs : int
        How many inputs there are.
    limits : int64[inputs + constants]
        1 for what a pole, or an infinite derivative, at 0 may depend on; empty where nothing has such.
    brink : float
        Where there is no limit at 0, the value this near to it stands for it; 0: nothing does.
    """

    address: int
    outputs: int
    slopes: int
    groups: int
    place: Index
    inputs: int
    limits: Index
    brink: float


def room(program: Program, D: int) -> int:
    """Length of v: how many numbers the program fills, and those that it works with."""
    filled = program.outputs + len(program.place) - program.slopes - 3 * program.groups
    limits = len(program.limits)
    return filled + max(program.groups, 1) * D + (limits + 4 * filled if limits else 0)


@inlined
def values(program, z, stride, c, v, order):
    """Fill v with the outputs, and their derivatives by z, at the values of jets.

    Parameters
    ----------
    z : float64[inputs · stride]
        Jets one after another, `stride` numbers each.
    c : float64[...]
        Constants.
    v : float64[room]
    """
    call(program.address, (z, stride, c, v, v, 0, order))


@inner
def apply(program, z, stride, c, v, out, D, order):
    """Outputs as jets: out float64[outputs · stride]; see `values`."""
    smooth = call(program.address, (z, stride, c, v, out, D, order))
    check = 0.0
    for i in range(program.outputs):
        out[i * stride] = v[i]
        check += v[i] * 0.0
    if not smooth or check != 0.0:
        if program.limits.shape[0] > 0:
            _take_limits(program, z, stride, c, v, order)
            for i in range(program.outputs):
                out[i * stride] = v[i]
        if order > 0 and D > 0:
            _apply_with_care(program, z, stride, v, out, D, order)


@inner
def _approach(program, z, stride, c, h, at, v, order):
    """Fill v where inputs and constants that are 0 are h instead."""
    for j in range(program.limits.shape[0]):
        x = z[j * stride] if j < program.inputs else c[j - program.inputs]
        at[j] = h if program.limits[j] and x == 0.0 else x
    call(program.address, (at, 1, at[program.inputs :], v, v, 0, order))


@inner
def _beside(program, z, stride, c, h, turn, at, v, order):
    """Fill v beside where inputs and constants are, along one of two directions; what is 0 only moves up."""
    side = 1.0
    for j in range(program.limits.shape[0]):
        x = z[j * stride] if j < program.inputs else c[j - program.inputs]
        if program.limits[j] != 0:
            away = 0.6 + 1.0 / (1.5 + j)
            if turn == 1:
                away, side = (1.9 - away) * side, -side
            x = x * (1.0 + h * away) if x != 0.0 else abs(h * away)
        at[j] = x
    call(program.address, (at, 1, at[program.inputs :], v, v, 0, order))


@inner
def _meet(program, z, stride, c, h, at, v, rest, begin, end, order):
    """Put limits that are met from all sides into v[begin:end]: (exp(-a t) - exp(-b t))/(b - a) at a = b, say.

    The mean of both sides, exact to h² (of one, where the other has no numbers), if it is the same from half as far and
    along another direction; 0 if all falls towards it. What differs, or grows, is left as it is: a pole, a jump.
    """
    missing = 0
    for k in range(begin, end):
        missing += not abs(v[k]) < np.inf
    if missing == 0:
        return
    filled = rest.shape[0] // 4
    up, down, middle, size = rest[:filled], rest[filled : 2 * filled], rest[2 * filled : 3 * filled], rest[3 * filled :]
    for step in range(3):
        from_here = 0.5 * h if step == 1 else h
        _beside(program, z, stride, c, from_here, step // 2, at, up, order)
        _beside(program, z, stride, c, -from_here, step // 2, at, down, order)
        for k in range(begin, end):
            one, other = up[k], down[k]
            if not abs(one) < np.inf:
                one = other
            elif not abs(other) < np.inf:
                other = one
            most = max(abs(one), abs(other))
            mean = 0.5 * (one + other) if abs(one - other) <= 0.02 * most < np.inf else np.nan
            if step == 0:
                middle[k], size[k] = mean, most
            elif step == 1 and most <= 0.75 * size[k] < np.inf:
                middle[k] = 0.0
            elif middle[k] == 0.0:
                if not most <= 4.0 * size[k]:
                    middle[k] = np.nan
            elif not abs(mean - middle[k]) <= 0.02 * abs(middle[k]):
                middle[k] = np.nan
    for k in range(begin, end):
        if not abs(v[k]) < np.inf and abs(middle[k]) < np.inf:
            v[k] = middle[k]


@inner
def _take_limits(program, z, stride, c, v, order):
    """Put limits into v where there is no number, as the derivative of t^b at 0: what is 0 is approached from above.

    A limit is what stays, or falls towards 0, from one distance to a much smaller one; where the numbers become too
    large on the way, as in 1/t^9, from less near. What grows is left as it is: a pole.
    """
    count = program.outputs
    if order > 0:
        count += program.slopes
    filled = program.outputs + program.place.shape[0] - program.slopes - 3 * program.groups
    if order > 1:
        count = filled
    begin = v.shape[0] - program.limits.shape[0] - 4 * filled
    at = v[begin : begin + program.limits.shape[0]]
    rest = v[v.shape[0] - 4 * filled :]
    far, near = rest[:filled], rest[filled : 2 * filled]
    for h in (1e-30, 1e-12):
        _approach(program, z, stride, c, h * 1e4, at, far, order)
        _approach(program, z, stride, c, h, at, near, order)
        left = False
        for k in range(count):
            if not abs(v[k]) < np.inf:
                if abs(near[k]) <= 1.001 * abs(far[k]) < np.inf:
                    v[k] = near[k] if abs(near[k]) > 0.99 * abs(far[k]) else 0.0
                else:
                    left = True
        if not left:
            return
    first = program.outputs + program.slopes
    _meet(program, z, stride, c, 1e-5, at, v, rest, 0, program.outputs, order)
    if order > 0:
        _meet(program, z, stride, c, 1e-4, at, v, rest, program.outputs, first, order)
    if order > 1:
        _meet(program, z, stride, c, 1e-3, at, v, rest, first, filled, order)
    if program.brink > 0.0:
        _approach(program, z, stride, c, program.brink, at, near, order)
        for k in range(count):
            if not abs(v[k]) < np.inf:
                v[k] = near[k]


@inner
def _apply_with_care(program, z, stride, v, out, D, order):
    """The chain rule where some derivatives are infinite: what does not change moves nothing, however steep that is.

    As in the response C^γ/(EC50^γ + C^γ), γ < 1, before the first dose.
    """
    past = 1 + D
    length = past if order == 1 else past + D * (D + 1) // 2
    for i in range(program.outputs):
        for k in range(i * stride + 1, i * stride + length):
            out[k] = 0.0
    place, at = program.place, program.outputs
    for e in range(program.slopes):
        to, of, slope = place[2 * e] * stride, place[2 * e + 1] * stride, v[at]
        at += 1
        for k in range(1, length):
            if z[of + k] != 0.0:
                out[to + k] += slope * z[of + k]
    if order == 1:
        return
    group = 2 * program.slopes
    entry = group + 3 * program.groups
    for _ in range(program.groups):
        i, a, count = place[group], place[group + 1] * stride + 1, place[group + 2]
        group += 3
        for _ in range(count):
            b, curvature = place[entry] * stride + 1, v[at]
            entry += 1
            at += 1
            k = i * stride + past
            for d in range(D):
                for e in range(d + 1):
                    product = z[a + d] * z[b + e] + (z[a + e] * z[b + d] if a != b else 0.0)
                    if product != 0.0:
                        out[k] += curvature * product
                    k += 1
