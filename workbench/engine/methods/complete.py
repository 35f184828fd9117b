"""Complete data, y and the random effects: what of a model the random effects alone tell, as SAEM takes it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.problem.problem import Problem
from workbench.engine.problem.psi import Psi
from workbench.engine.problem.scale import Scale

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_WIDE = 0.5  # SD of a random effect at the start, at least, but for those of identity parameters
_FARTHEST = 1.0  # that a free number of Ψ moves in one scoring step


def own_effects(scale: Scale) -> Index:
    """The random effects that are no multiple of another."""
    n = len(scale.subject.names)
    return np.array([*scale.subject.own, *range(n, scale.n_random)], dtype=np.int64)


def shares(scale: Scale, L: Array) -> Array:
    """Random effects as multiples of those of the same place: the identity, but for shares, float64[Q, Q]."""
    psi, n = scale.subject, len(scale.subject.names)
    matrix = np.eye(scale.n_random)
    shared = np.flatnonzero(psi.owner >= 0).tolist()
    if shared:
        values = psi.estimates(L[:n, :n])[-len(shared) :]
        for r, value in zip(shared, values, strict=True):
            matrix[r] = 0.0
            matrix[r, psi.owner[r]] = value
    return matrix


def psi_numbers(scale: Scale) -> list[int]:
    """The x of Ψ but for shares."""
    begin, found = int(scale.theta_free.sum()), []
    for psi in (scale.subject, scale.occasion):
        found += [begin + j for j, (_, _, free) in enumerate(psi.entries) if free != "scale"]
        begin += psi.size
    return found


def taken_up(problem: Problem, own: Index) -> tuple[Index, Array]:
    """The θ whose change random effects can make good, and X of η + X θ, float64[N, Q, found].

    One effect between subjects, or where θ acts on what changes from occasion to occasion, those of the occasions.
    """
    scale, layout = problem.scale, problem.layout
    acted = {int(m) for part in layout.fractional for m in (*part.linear, *np.concatenate(part.groups))}
    lent, n, k = set(scale.subject.owner.tolist()), len(scale.subject.own), len(scale.occasion.names)
    groups = [np.array([j]) for j, q in enumerate(own[:n]) if q not in lent]
    groups += [np.arange(n + j, len(own), k) for j in range(k)]
    found, designs = [], []
    for m in np.flatnonzero(scale.theta_free):
        a = layout.A[:, :, m]
        if m in acted or np.isfinite(scale.theta_lower[m]) or np.isfinite(scale.theta_upper[m]) or not a.any():
            continue
        for group in groups:
            b = layout.B[:, :, own[group]]
            size = np.einsum("idq,idq->iq", b, b)
            c = np.einsum("id,idq->iq", a, b) / np.where(size > 0, size, 1.0)
            if np.array_equal(a, np.einsum("idq,iq->id", b, c)):
                X = np.zeros((problem.n_subjects, len(own)))
                X[:, group] = c
                found.append(m)
                designs.append(X)
                break
    shape = (problem.n_subjects, len(own), len(found))
    return np.array(found, dtype=np.int64), np.array(designs).transpose(1, 2, 0) if found else np.zeros(shape)


def widened(scale: Scale, x: Array) -> Array:
    """x with standard deviations that let the first draws go far."""
    x = x.copy()
    begin = int(scale.theta_free.sum())
    kinds = {name.label: name.kind for name in scale.thetas}
    for psi in (scale.subject, scale.occasion):
        L = psi.matrix(x[begin : begin + psi.size])
        for r in psi.own:
            deviation = float(np.linalg.norm(L[r]))
            if psi.deviation_free[r] and deviation > 0:
                wide = 2.0 * deviation if kinds[psi.names[r]] == "identity" else max(deviation, _WIDE)
                L[r] *= wide / deviation
        x[begin : begin + psi.size] = psi.vector(L)
        begin += psi.size
    return x


def psi_of_moments(psi: Psi, S: Array, numbers: Array) -> Array:
    """The free numbers of Ψ that minimise log|Ψ| + tr(Ψ⁻¹ S), S of the effects of its own; shares stay.

    In closed form, but for blocks of which a part is fixed: there by scoring steps from where they are.
    """
    whole = _whole(psi)
    found, own = numbers.copy(), np.array(psi.own, dtype=np.int64)
    if whole.at.size:
        among = np.where(whole.mask, S, np.eye(len(S)))
        diagonal = among.reshape(-1)[:: len(S) + 1]
        diagonal += 1e-12 * diagonal + 1e-300
        values = np.linalg.cholesky(among)[whole.row, whole.column]
        found[whole.at] = np.log(values, out=values, where=whole.logarithm)
    partly = whole.partly
    for _ in range(3 if partly else 0):
        L = psi.matrix(found)[np.ix_(own, own)]
        slopes = psi.jacobian(psi.matrix(found))[partly][:, own][:, :, own]
        precision = np.linalg.inv(L @ L.T)
        change = slopes @ L.T
        change = precision @ (change + change.transpose(0, 2, 1))
        gradient = np.einsum("kpq,qp->k", change, np.eye(len(own)) - precision @ S)
        information = np.einsum("kpq,lqp->kl", change, change)
        found[partly] -= np.clip(np.linalg.lstsq(information, gradient, rcond=1e-12)[0], -_FARTHEST, _FARTHEST)
    return found


class _Whole(NamedTuple):
    """The blocks of Ψ that are free as a whole, among its own effects.

    Attributes
    ----------
    mask : bool[k, k]
        What of Ψ is in one of them.
    at, row, column : int64[n]; logarithm : bool[n]
        Their free numbers: which they are, where they stand in the factor of Ψ, and whether as a logarithm.
    partly : list of int
        The free numbers of other blocks.
    """

    mask: NDArray[np.bool_]
    at: Index
    row: Index
    column: Index
    logarithm: NDArray[np.bool_]
    partly: list[int]


@lru_cache(maxsize=64)
def _whole(psi: Psi) -> _Whole:
    own = np.array(psi.own, dtype=np.int64)
    mask = np.zeros((len(own), len(own)), dtype=bool)
    entries = [(j, r, c, free != "entry") for j, (r, c, free) in enumerate(psi.entries) if free != "scale"]
    found, partly = [], list[int]()
    for block in np.unique(psi.block[own]):
        rows = own[psi.block[own] == block]
        mine = [entry for entry in entries if entry[1] in rows]
        if psi.deviation_free[rows].all() and (len(rows) == 1 or psi.correlation_free[rows].all()):
            at = np.searchsorted(own, rows)
            mask[np.ix_(at, at)] = True
            found += mine
        else:
            partly += [j for j, _, _, _ in mine]
    table = np.array(found, dtype=np.int64).reshape(-1, 4)
    row, column = np.searchsorted(own, table[:, 1]), np.searchsorted(own, table[:, 2])
    return _Whole(mask, table[:, 0], row, column, table[:, 3] > 0, partly)
