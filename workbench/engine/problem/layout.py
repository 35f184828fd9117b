"""How parameters reach the records: the design rows of subjects, and the coordinates in which derivatives are taken.

Random effects and covariates may change from record to record, so a subject has one or more *design rows*, and its
parameters on row r are  z = offset[r] + C[r] u  on the transformed scale. The coordinates u are local to the subject:
one per parameter that is constant within it, more where it changes; none where nothing of it is estimated. They are

    u = a(θ) + B η,    a(θ) = A θ  but for parameters with fractional covariate effects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.jets import IDENTITY, untransform
from workbench.engine.predictions.scalar import transform_code
from workbench.engine.problem.scale import Quantity, Scale
from workbench.errors import ModelError
from workbench.model import Model
from workbench.model.design import design_of

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def spread(start: Index, chosen: Index) -> tuple[Index, Index]:
    """The rows of chosen subjects, and where each of these begins, where those of subject i begin at start[i]."""
    counts = np.diff(start)[chosen]
    begin = np.concatenate([[0], np.cumsum(counts)])
    return np.repeat(start[chosen] - begin[:-1], counts) + np.arange(begin[-1]), begin


@dataclass(frozen=True, eq=False)
class Fractional:
    """A parameter whose typical value is  h⁻¹(X_linear θ) · Π_g (1 + X_g θ).

    Attributes
    ----------
    name : Quantity
        Of its typical value; knows the transform h.
    linear : int64[k]
        The θ that act on the transformed scale.
    groups : tuple of int64[...]
        The θ of each fractional effect.
    subject, coordinate : int64[E]
        Where its values enter a(θ); in the order of the subjects.
    X : float64[E, M]
        Design of each of them.
    """

    name: Quantity
    linear: Index
    groups: tuple[Index, ...]
    subject: Index
    coordinate: Index
    X: Array

    def among(self, chosen: Index, n_subjects: int) -> Fractional:
        """The same for chosen subjects, of so many, in their order."""
        at, start = spread(np.searchsorted(self.subject, np.arange(n_subjects + 1)), chosen)
        subject = np.repeat(np.arange(len(chosen)), np.diff(start))
        return replace(self, subject=subject, coordinate=self.coordinate[at], X=self.X[at])

    def evaluate(self, theta: Array) -> tuple[Array, Array]:
        """Values on the transformed scale, float64[E], and their derivatives by θ, float64[E, M]."""
        slopes = np.zeros_like(self.X)
        with np.errstate(all="ignore"):
            z = self.X[:, self.linear] @ theta[self.linear]
            factors = [1.0 + self.X[:, group] @ theta[group] for group in self.groups]
            factor = np.prod(factors, axis=0)
            code, bounds = transform_code(self.name.link), self.name.bounds
            natural = untransform(z, code, *bounds)
            value = natural[:, 0] * factor
            transformed = np.array([self._transformed(v) for v in value.tolist()])
            back = untransform(transformed, code, *bounds)[:, 1]
            slopes[:, self.linear] = (natural[:, 1] * factor / back)[:, None] * self.X[:, self.linear]
            for group, one in zip(self.groups, factors, strict=True):
                slopes[:, group] = (value / one / back)[:, None] * self.X[:, group]
        return transformed, slopes

    def _transformed(self, value: float) -> float:
        """On the transformed scale; not a number where the effects lead out of what is possible."""
        try:
            return self.name.transformed(value)
        except (ValueError, ZeroDivisionError):
            return float("nan")


@dataclass(frozen=True, eq=False)
class Layout(DesignRows):
    """See the module. N subjects, D coordinates, M θ, Q random effects; and the design rows.

    Attributes
    ----------
    A : float64[N, D, M]; B : float64[N, D, Q]
        a(θ) = A θ where no effect is fractional.
    fractional : tuple of Fractional
    """

    A: Array
    B: Array
    fractional: tuple[Fractional, ...] = ()

    def mean(self, theta: Array) -> tuple[Array, Array]:
        """a(θ), float64[N, D], and its derivatives by θ, float64[N, D, M]."""
        mean = np.ascontiguousarray(self.A @ theta)
        if not self.fractional:
            return mean, self.A
        slopes = self.A.copy()
        for part in self.fractional:
            mean[part.subject, part.coordinate], slopes[part.subject, part.coordinate] = part.evaluate(theta)
        return mean, slopes


@dataclass(frozen=True, eq=False)
class _Design:
    """What the parameters depend on, record by record."""

    names: tuple[str, ...]
    X: Array  # [records, M]
    owner: Index  # [M] parameter of each θ
    group: Index  # [M] number of the fractional effect, -1 for others
    offset: Array  # [records, P]
    covariates: Array  # [records, K]
    occasion: Index  # [records] local to the subject
    active: NDArray[np.bool_]  # [P]
    effects: list[list[int]]  # [P] random effects between subjects
    occasional: list[list[int]]  # [P] those of the first occasion
    step: int  # from an occasion's effect to that of the next


def occasions_of(data: GroupedData) -> Index:
    """Which of its own occasions a subject is in, by record: 0 for the first seen."""
    events, start = data.events, data.events.start
    local = np.zeros(len(events.time), dtype=np.int64)
    changes = np.setdiff1d(np.flatnonzero(np.diff(events.occasion)) + 1, start)
    for i in np.unique(np.searchsorted(start, changes, side="right") - 1).tolist():
        mine = slice(start[i], start[i + 1])
        _, firsts, back = np.unique(events.occasion[mine], return_index=True, return_inverse=True)
        rank = np.empty(len(firsts), dtype=np.int64)
        rank[np.argsort(firsts)] = np.arange(len(firsts))
        local[mine] = rank[back.ravel()]
    return local


def layout_of(model: Model, data: GroupedData, scale: Scale, occasion: Index, record: Index, origin: Index) -> Layout:
    """Lay out the parameters of a model over a data set.

    Parameters
    ----------
    model : Model
        With every value stated.
    data : GroupedData
    scale : Scale
    occasion : int64[records]
        Which of its subject's occasions a record is in.
    record : int64[events]
        The record whose design row holds at each event of the schedule.
    origin : int64[events]
        The record that says how a dose enters, see `Schedule`.

    Raises
    ------
    ModelError
        If a column that a parameter or the structure needs does not hold numbers.
    """
    start, names = data.events.start, model.structure.names
    transform = np.array([transform_code(model[name].link) for name in names], dtype=np.int64)
    bounds = np.array([model[name].between for name in names], dtype=float).reshape(-1, 2)
    for p, name in enumerate(names):
        if model[name].column is not None:
            transform[p] = IDENTITY
    design = _design(model, data, scale, occasion)
    table = np.concatenate([design.X, design.offset, design.covariates], axis=1)
    if design.step:
        table = np.concatenate([table, design.occasion[:, None]], axis=1)
    first = np.repeat(start[:-1], np.diff(start))
    if np.array_equal(table, table[first]):
        row, rows = np.repeat(np.arange(len(start) - 1), np.diff(start)), start[:-1]
        A, B, C, fractional = _constant(design, scale, rows)
    else:
        row, rows, placed = _varying(start, table)
        A, B, C, fractional = _arrays(design, scale, _where_it_changes(design, placed), placed)
    return Layout(
        A=A,
        B=B,
        C=C,
        offset=design.offset[rows],
        row=row[record],
        origin=row[origin],
        transform=transform,
        lower=np.ascontiguousarray(bounds[:, 0]),
        upper=np.ascontiguousarray(bounds[:, 1]),
        covariates=np.ascontiguousarray(design.covariates[rows]),
        fractional=fractional,
    )


def _design(model: Model, data: GroupedData, scale: Scale, occasion: Index) -> _Design:
    names, n, M = model.structure.names, len(data.events.time), len(scale.thetas)
    X, group = np.ones((n, M)), np.full(M, -1, dtype=np.int64)
    owner = np.array([names.index(name.of[0]) for name in scale.thetas], dtype=np.int64)
    offset = np.zeros((n, len(names)))
    m = count = 0
    for parameter in model.parameters:
        if parameter.column is not None:
            offset[:, names.index(parameter.name)] = _known(parameter.name, parameter.column, data)
            continue
        m += 1
        for effect in parameter.covariates:
            values, _ = columns_by_record(effect.term, data)
            X[:, m : m + values.shape[1]] = values
            if effect.fractional:
                group[m : m + values.shape[1]] = count
                count += 1
            m += values.shape[1]
    effects: list[list[int]] = [[] for _ in names]
    occasional: list[list[int]] = [[] for _ in names]
    for q, name in enumerate(scale.subject.names):
        effects[names.index(name)].append(q)
    for q, name in enumerate(scale.occasion.names):
        occasional[names.index(name)].append(len(scale.subject.names) + q)
    active = np.array([bool(effects[p] or occasional[p]) or bool(scale.theta_free[owner == p].any())
                       for p in range(len(names))], dtype=bool)  # fmt: skip
    columns = model.structure.columns
    covariates = np.zeros((n, len(columns)))
    for k, column in enumerate(columns):
        covariates[:, k] = _numbers(f"{model.structure!r}", column, data)
    design = _Design(
        names, X, owner, group, offset, covariates, occasion, active, effects, occasional,
        len(scale.occasion.names),
    )  # fmt: skip
    for p in np.flatnonzero(~active):
        if (owner == p).any():
            everywhere = np.arange(n)
            part = _fractional(design, scale, int(p), everywhere, everywhere, X)
            offset[:, p] = (
                part.evaluate(scale.theta_fixed)[0]
                if part.groups
                else X[:, part.linear] @ (scale.theta_fixed[part.linear])
            )
    return design


def columns_by_record(term: str, data: GroupedData) -> tuple[Array, tuple[str, ...]]:
    """Design columns of a covariate term, float64[records, columns], and their labels."""
    return design_of(term, data)


def _numbers(what: str, column: str, data: GroupedData) -> Array:
    values = data.covariate_values((column,))[column].to_numpy()
    if not np.issubdtype(values.dtype, np.number):
        raise ModelError(f"{what} is taken from column {column!r}, which holds text; numbers are needed.")
    return np.asarray(values, dtype=float)


def _known(parameter: str, column: str, data: GroupedData) -> Array:
    """Values of a parameter that a column of the data states, by record."""
    values = _numbers(parameter, column, data)
    bad = ~(values >= 0)
    if bad.any():
        rows = data.frame.index[data.events.row[bad]][:5].tolist()
        raise ModelError(
            f"{parameter} is taken from column {column!r}, which is negative in {int(bad.sum())} records "
            f"(rows {', '.join(map(str, rows))}{', …' if bad.sum() > 5 else ''})."
        )
    return values


# -- which coordinates -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Coordinate:
    """A coordinate of a subject: of which parameter, its values on the design rows, and what adds up to it."""

    parameter: int
    column: Array  # [rows of the subject]
    theta: Array  # [M]
    random: tuple[int, ...]
    design: Array | None = None  # [M], of a fractional parameter


def _varying(start: Index, table: Array) -> tuple[Index, Index, list[tuple[int, Index]]]:
    """Design rows where the table of a subject differs."""
    row, placed, count = np.empty(len(table), dtype=np.int64), [], 0
    for first, end in pairwise(start):
        _, firsts, back = np.unique(table[first:end], axis=0, return_index=True, return_inverse=True)
        row[first:end] = count + back.ravel()
        placed.append((count, first + firsts))
        count += len(firsts)
    return row, np.concatenate([records for _, records in placed]), placed


def _where_it_changes(design: _Design, placed: list[tuple[int, Index]]) -> list[list[_Coordinate]]:
    """Coordinates of subjects within which parameters change.

    A parameter has as many as it has different values on the rows of the subject, or as many as there are different
    columns that add up to it, whichever is less.
    """
    found = []
    for _, records in placed:
        mine: list[_Coordinate] = []
        for p in np.flatnonzero(design.active):
            mine += _coordinates_of(design, int(p), records)
        found.append(mine)
    return found


def _coordinates_of(design: _Design, p: int, records: Index) -> list[_Coordinate]:
    M = design.X.shape[1]
    owned = np.flatnonzero(design.owner == p)
    X, occasion = design.X[np.ix_(records, owned)], design.occasion[records]
    occasional = design.occasional[p]
    signature = np.concatenate([X, occasion[:, None]], axis=1) if occasional else X
    patterns, firsts, back = np.unique(signature, axis=0, return_index=True, return_inverse=True)
    columns = [X[:, k] for k in range(len(owned))]
    columns += [(occasion == o).astype(float) for o in np.unique(occasion)] if occasional else []
    different = np.unique(np.array(columns), axis=0)
    if len(patterns) <= len(different) or (design.group[owned] >= 0).any():
        found = []
        for k, at in enumerate(firsts):
            theta = np.zeros(M)
            theta[owned] = X[at]
            random = (*design.effects[p], *(q + design.step * int(occasion[at]) for q in occasional))
            found.append(_Coordinate(p, (back.ravel() == k).astype(float), theta, random, theta))
        return found
    ones = np.ones(len(records))
    parts: list[tuple[Array, int, int]] = [(X[:, k], int(m), -1) for k, m in enumerate(owned)]
    parts += [(ones, -1, q) for q in design.effects[p]]
    parts += [((occasion == o).astype(float), -1, q + design.step * int(o)) for o in np.unique(occasion)
              for q in occasional]  # fmt: skip
    found = []
    for column in different:
        theta, effects = np.zeros(M), []
        for values, m, q in parts:
            if np.array_equal(values, column):
                if m >= 0:
                    theta[m] = 1.0
                else:
                    effects.append(q)
        found.append(_Coordinate(p, column, theta, tuple(effects)))
    return found


def _constant(design: _Design, scale: Scale, rows: Index) -> tuple[Array, Array, Array, tuple[Fractional, ...]]:
    """Where nothing changes within subjects: one coordinate for each parameter, one design row for each subject."""
    N, active = len(rows), np.flatnonzero(design.active)
    D = len(active)
    A, B = np.zeros((N, D, len(scale.thetas))), np.zeros((N, D, scale.n_random))
    C, X = np.zeros((N, len(design.names), D)), design.X[rows]
    C[:, active, np.arange(D)] = 1.0
    parts = []
    for d, p in enumerate(active):
        owned = design.owner == p
        A[:, d, owned] = X[:, owned]
        B[:, d, [*design.effects[p], *design.occasional[p]]] = 1.0
        if (design.group[owned] >= 0).any():
            parts.append(_fractional(design, scale, int(p), np.arange(N), np.full(N, d), X))
    return A, B, C, tuple(parts)


def _arrays(
    design: _Design, scale: Scale, coordinates: list[list[_Coordinate]], placed: list[tuple[int, Index]]
) -> tuple[Array, Array, Array, tuple[Fractional, ...]]:
    """Where parameters change within subjects."""
    N, P, M, Q = len(placed), len(design.names), len(scale.thetas), scale.n_random
    count = sum(len(records) for _, records in placed)
    D = max((len(mine) for mine in coordinates), default=0)
    A, B, C = np.zeros((N, D, M)), np.zeros((N, D, Q)), np.zeros((count, P, D))
    entries: dict[int, list[tuple[int, int, Array]]] = {}
    for i, (mine, (row, records)) in enumerate(zip(coordinates, placed, strict=True)):
        for d, one in enumerate(mine):
            A[i, d], B[i, d, list(one.random)] = one.theta, 1.0
            C[row : row + len(records), one.parameter, d] = one.column
            if one.design is not None and (design.group[design.owner == one.parameter] >= 0).any():
                entries.setdefault(one.parameter, []).append((i, d, one.design))
    fractional = tuple(
        _fractional(
            design, scale, p, np.array([i for i, _, _ in at]), np.array([d for _, d, _ in at]),
            np.array([x for _, _, x in at]),
        )
        for p, at in entries.items()
    )  # fmt: skip
    return A, B, C, fractional


def _fractional(design: _Design, scale: Scale, p: int, subject: Index, coordinate: Index, X: Array) -> Fractional:
    owned = np.flatnonzero(design.owner == p)
    groups = [owned[design.group[owned] == g] for g in np.unique(design.group[owned]) if g >= 0]
    name = scale.thetas[owned[0]]
    return Fractional(name, owned[design.group[owned] < 0], tuple(groups), subject, coordinate, X)
