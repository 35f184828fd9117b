"""A model and a data set as arrays: `compile` lays them out once, everything after it is numbers.

Random effects and covariates may change from record to record, so a subject has one or more *design rows*, and
its parameters on row r are  z = offset[r] + C[r] u  on the transformed scale. The coordinates u are local to the
subject: one per parameter that is constant within it, more where it changes, and  u = A θ + B η.  All derivatives
are by u, so the likelihood needs to know of no rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.data.events import OTHER
from workbench.engine.likelihood import SUM_OF_DEVIATIONS, SUM_OF_VARIANCES, variances
from workbench.engine.linear import CLEARANCE, IDENTITY, LOG, RATE, predict_one_compartment
from workbench.engine.scale import Name, Point, Scale
from workbench.errors import ModelError
from workbench.model import PK, Combined, Model, Parameter
from workbench.model.formula import columns_of, design_columns

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """How parameters reach the records: see the module. N subjects, D coordinates, M θ, Q η, P parameters."""

    A: Array  # [N, D, M]
    B: Array  # [N, D, Q]
    C: Array  # [rows, P, D]
    offset: Array  # [rows, P]
    row: Index  # [events]
    transform: Index  # [P]


@dataclass(frozen=True, eq=False)
class Problem:
    """Arrays in, numbers out.

    Attributes
    ----------
    start : int64[N + 1]; time, amount : float64[events]; kind, compartment, slot : int64[events]
        Events, as in `Events`; `slot` is the place of an event's prediction, -1 for none.
    y : float64[n]; first_observation : int64[N + 1]
        Observations of subject i are y[first_observation[i]:first_observation[i + 1]].
    error : int
        SUM_OF_VARIANCES or SUM_OF_DEVIATIONS.
    scale : Scale
    x : float64[scale.size]
        The values that the model states.
    """

    structure: PK
    start: Index
    time: Array
    kind: Index
    amount: Array
    compartment: Index
    slot: Index
    y: Array
    first_observation: Index
    layout: Layout
    error: int
    scale: Scale
    x: Array

    @property
    def n_subjects(self) -> int:
        return len(self.start) - 1

    @property
    def n_coordinates(self) -> int:
        """D."""
        return int(self.layout.A.shape[1])

    @property
    def n_random(self) -> int:
        """Q."""
        return int(self.layout.B.shape[2])

    def _coordinates(self, point: Point, eta: Array | None) -> Array:
        """u for random effects eta[N, Q], 0 if None."""
        u = self.layout.A @ point.theta
        if eta is not None and self.n_random:
            u += np.einsum("idq,iq->id", self.layout.B, eta)
        return np.asarray(u)

    def predict(self, subjects: Index, u: Array, order: int, f: Array, fu: Array, fuu: Array) -> None:
        """Fill f and its derivatives up to `order` for some subjects at their coordinates u."""
        layout, structure = self.layout, self.structure
        predict_one_compartment(
            subjects, self.start, self.time, self.kind, self.amount, self.compartment, layout.row, self.slot,
            u, layout.C, layout.offset, layout.transform,
            CLEARANCE if structure.parameters == "clearance" else RATE, structure.absorption is not None,
            order, f, fu, fuu,
        )  # fmt: skip

    def predictions(self, point: Point, eta: Array | None = None) -> Array:
        """Predictions at all slots, for random effects eta[N, Q] (default 0)."""
        n = int(self.slot.max(initial=-1)) + 1
        D = self.n_coordinates
        u = self._coordinates(point, eta)
        f = np.full(n, np.nan)
        self.predict(np.arange(self.n_subjects), u, 0, f, np.empty((0, D)), np.empty((0, D, D)))
        return f

    def residual_variance(self, point: Point, f: Array) -> Array:
        """Variance of the residual error at predictions f."""
        R, R_f, R_a, R_b = np.empty((4, len(f)))
        variances(self.error, f, *point.sigma, R, R_f, R_a, R_b)
        return R

    def parameters(self, point: Point, eta: Array | None = None) -> Array:
        """Parameters of each subject on its first design row, natural scale, float64[N, P]."""
        u = self._coordinates(point, eta)
        first = self.layout.row[self.start[:-1]]
        z = self.layout.offset[first] + np.einsum("ipd,id->ip", self.layout.C[first], u)
        return np.asarray(np.where(self.layout.transform == LOG, np.exp(z), z))

    def exchanged(self, x: Array) -> Array | None:
        """x with the rates of absorption and elimination exchanged; None where absorption is not the slower.

        Both give the same typical curve (flip-flop): ka' = k, k' = ka, V' = V·k/ka, CL' = CL.
        """
        scale, structure = self.scale, self.structure
        at = {name.label: m for m, name in enumerate(scale.theta_names)}
        changed = ("ka", "V") if structure.parameters == "clearance" else ("ka", "V", "k")
        if structure.absorption is None or not all(n in at and scale.theta_free[at[n]] for n in changed):
            return None
        values = dict(zip((name.label for name in scale.names), scale.estimates(x).tolist(), strict=True))
        if structure.parameters == "clearance" and "CL" not in values:
            return None
        ka, V = values["ka"], values["V"]
        k = values["CL"] / V if structure.parameters == "clearance" else values["k"]
        if not 0 < ka < k:
            return None
        point = scale.point(x)
        theta = point.theta.copy()
        for name, value in (("ka", k), ("V", V * k / ka), ("k", ka)):
            if name in at:
                theta[at[name]] = np.log(value) if scale.theta_names[at[name]].kind == "log" else value
        return scale.vector(replace(point, theta=theta))


def compile(model: Model, data: GroupedData, records: bool = False) -> Problem:
    """Lay out a model and a data set as arrays.

    Parameters
    ----------
    model : Model
        With every value stated (`initial_values` finds those that are not).
    data : GroupedData
    records : bool
        Predict at every record, doses included, instead of at the observations only.

    Raises
    ------
    ModelError
        If a value is missing, a covariate is not in the data, or the data hold doses that the structure
        cannot take.
    """
    structure = _check(model, data)
    events = data.events
    slot = np.full(len(events.time), -1, dtype=np.int64)
    at = np.ones(len(slot), dtype=bool) if records else events.observed
    slot[at] = np.arange(at.sum())
    counts = np.concatenate([[0], np.cumsum(events.observed)])
    scale = _scale(model, data)
    return Problem(
        structure=structure,
        start=events.start,
        time=events.time,
        kind=events.kind,
        amount=events.amount,
        compartment=events.compartment,
        slot=slot,
        y=np.ascontiguousarray(events.dv[events.observed]),
        first_observation=counts[events.start],
        layout=_layout(model, data, scale),
        error=SUM_OF_DEVIATIONS if isinstance(model.error, Combined) else SUM_OF_VARIANCES,
        scale=scale,
        x=scale.vector(scale.point_of(model)),
    )


def thinned(problem: Problem, most: int) -> Problem:
    """The same problem for at most that many of the subjects, spread evenly over them."""
    if problem.n_subjects <= most:
        return problem
    chosen = np.unique(np.linspace(0, problem.n_subjects - 1, most).astype(np.int64))
    counts = np.diff(problem.start)
    events = np.isin(np.repeat(np.arange(problem.n_subjects), counts), chosen)
    observations = np.isin(np.repeat(np.arange(problem.n_subjects), np.diff(problem.first_observation)), chosen)
    slot = problem.slot[events]
    layout = problem.layout
    return replace(
        problem,
        start=np.concatenate([[0], np.cumsum(counts[chosen])]),
        time=problem.time[events],
        kind=problem.kind[events],
        amount=problem.amount[events],
        compartment=problem.compartment[events],
        slot=np.where(slot >= 0, np.cumsum(slot >= 0) - 1, -1),
        y=problem.y[observations],
        first_observation=np.concatenate([[0], np.cumsum(np.diff(problem.first_observation)[chosen])]),
        layout=replace(layout, A=layout.A[chosen], B=layout.B[chosen], row=layout.row[events]),
    )


def on_grid(problem: Problem, points: int) -> tuple[Problem, Array, Index]:
    """The same problem predicted on a fine grid of times instead of at the observations.

    Parameters
    ----------
    problem : Problem
    points : int
        Times per subject, evenly from its first to its last record, and one at each of its doses.

    Returns
    -------
    problem : Problem
    time : float64[k]
        Times of the predictions.
    first : int64[N + 1]
        Predictions of subject i are first[i]:first[i + 1].
    """
    subject = np.repeat(np.arange(problem.n_subjects), np.diff(problem.start))
    begin, end = problem.time[problem.start[:-1]], problem.time[problem.start[1:] - 1]
    grid = np.linspace(begin, end, points, axis=1).ravel()
    grid_subject = np.repeat(np.arange(problem.n_subjects), points)
    time = np.concatenate([problem.time, grid])
    owner = np.concatenate([subject, grid_subject])
    order = np.lexsort((time, owner))  # stable: a record stays before a grid point at its time
    n = len(subject)
    old = np.where(order < n, order, -1)
    source = np.where(old >= 0, old, len(order))
    nearest = np.minimum.accumulate(source[::-1])[::-1]  # the next record, whose design row holds until then
    ends = problem.start[1:][owner[order]] - 1
    nearest = np.minimum(nearest, ends)

    shown = (old < 0) | (problem.amount[nearest] > 0)
    slot = np.where(shown, np.cumsum(shown) - 1, -1)
    start = np.searchsorted(owner[order], np.arange(problem.n_subjects + 1))
    first = np.concatenate([[0], np.cumsum(shown)])[start]
    finer = replace(
        problem,
        start=start,
        time=time[order],
        kind=np.where(old >= 0, problem.kind[nearest], OTHER),
        amount=np.where(old >= 0, problem.amount[nearest], 0.0),
        compartment=np.where(old >= 0, problem.compartment[nearest], 0),
        slot=slot,
        layout=replace(problem.layout, row=problem.layout.row[nearest]),
    )
    return finer, time[order][shown], first


def check_types(model: object, data: object) -> None:
    """The model comes first, then the data; both as workbench makes them."""
    if not isinstance(model, Model):
        raise ModelError(f"The first argument is a wb.Model(…), got {type(model).__name__}.")
    if not isinstance(data, GroupedData):
        raise ModelError(f"The second argument is data as wb.read_data(…) gives them, got {type(data).__name__}.")


def _check(model: Model, data: GroupedData) -> PK:
    """What can be laid out is: every value stated, every column there, every dose one that the structure takes."""
    check_types(model, data)
    structure = model.structure
    if not isinstance(structure, PK):
        raise ModelError(f"The engine has no predictions for {structure!r}.")
    if not model.is_complete:
        missing = [p.name for p in model.parameters if p.value is None and p.column is None]
        missing += [f"iiv of {p.name}" for p in model.parameters if p.iiv is True]
        stated = zip(model.error.names, model.error.values, strict=True)
        missing += [f"{name} of the error" for name, value in stated if value is None]
        raise ModelError(
            f"No value is stated for {', '.join(missing)}. State it, or let wb.initial_values(model, data) find it."
        )
    unknown = [name for name in model.columns if name not in data.frame.columns]
    if unknown:
        have = ", ".join(map(str, data.covariate_names)) or "none"
        raise ModelError(f"The data have no column {', '.join(unknown)}. Covariates there: {have}.")
    if data.roles.get("response") in model.columns:
        raise ModelError(f"{data.roles['response']} is the response; it cannot be a covariate.")
    events = data.events
    for what, there in (
        ("infusions (RATE or duration)", (events.rate != 0) | (events.duration != 0)),
        ("additional doses (ADDL)", events.additional != 0),
        ("steady-state doses (SS)", events.steady_state != 0),
        (
            "doses into a compartment beyond those of the structure",
            (events.amount != 0) & (events.compartment > (2 if structure.absorption else 1)),
        ),
        ("several responses (DVID)", events.response != 0),
        ("censored observations (CENS)", events.censored != 0),
    ):
        if there.any():
            rows = data.frame.index[events.row[there]][:5].tolist()
            raise ModelError(
                f"{data.name} has {what}, which {structure!r} does not take "
                f"(rows {', '.join(map(str, rows))}{', …' if there.sum() > 5 else ''})."
            )
    if not (events.amount > 0).any():
        raise ModelError(
            f"{data.name} has no dose, and without one {structure!r} predicts 0 everywhere. State the column of "
            "doses, roles={'amount': …}, or one dose for every subject, wb.read_data(…, dose=…)."
        )
    if not events.observed.any():
        raise ModelError(f"{data.name} has no observation to fit.")
    return structure


def _scale(model: Model, data: GroupedData) -> Scale:
    names: list[Name] = []
    free: list[bool] = []
    for parameter in model.parameters:
        if parameter.column is not None:
            continue
        names.append(Name(parameter.name, parameter.transform, (parameter.name,)))
        free.append(not parameter.fixed)
        for effect in parameter.covariates:
            _, labels = design_columns(effect.term, data.covariate_values(columns_of(effect.term)))
            if effect.value is not None and len(effect.value) != len(labels):
                raise ModelError(
                    f"{parameter.name}: {effect.term} has {len(labels)} coefficients "
                    f"({', '.join(labels)}), got {len(effect.value)} values."
                )
            names += [Name(f"{parameter.name}:{label}", "coefficient", (parameter.name,)) for label in labels]
            free += [not effect.fixed] * len(labels)
    random = model.random_effects
    block_of = np.arange(len(random))
    for block in model.correlate:
        at = [random.index(name) for name in block.names]
        block_of[at] = at[0]
    rows, columns = np.tril_indices(len(random))
    same = block_of[rows] == block_of[columns]
    scale = Scale(
        theta_names=tuple(names),
        theta_free=np.array(free, dtype=bool),
        theta_fixed=np.zeros(len(names)),
        random=random,
        lower=np.array([rows[same], columns[same]], dtype=np.int64).reshape(2, -1),
        error_names=model.error.names,
    )
    return replace(scale, theta_fixed=scale.point_of(model).theta)


def _layout(model: Model, data: GroupedData, scale: Scale) -> Layout:
    events = data.events
    names = model.structure.names
    N, P, M, Q, n = len(events.subjects), len(names), len(scale.theta_names), len(scale.random), len(events.time)
    transform = np.array([LOG if model[name].transform == "log" else IDENTITY for name in names], dtype=np.int64)
    offset = np.zeros((n, P))
    X = np.ones((n, M))  # value of every θ's column of the design on every record
    owner = np.array([names.index(name.of[0]) for name in scale.theta_names], dtype=np.int64)
    for p, name in enumerate(names):
        parameter: Parameter = model[name]
        if parameter.column is not None:
            offset[:, p] = _known(parameter.name, parameter.column, data)
            transform[p] = IDENTITY
    m = 0
    for parameter in model.parameters:
        if parameter.column is not None:
            continue
        m += 1
        for effect in parameter.covariates:
            values, _ = design_columns(effect.term, data.covariate_values(columns_of(effect.term)))
            X[:, m : m + values.shape[1]] = values
            m += values.shape[1]
    random = np.array([names.index(name) for name in scale.random], dtype=np.int64)

    first = np.repeat(events.start[:-1], np.diff(events.start))
    if np.array_equal(X, X[first]) and np.array_equal(offset, offset[first]):
        A = np.zeros((N, P, M))
        A[:, owner, np.arange(M)] = X[events.start[:-1]]
        B = np.zeros((N, P, Q))
        B[:, random, np.arange(Q)] = 1.0
        C = np.broadcast_to(np.eye(P), (N, P, P)).copy()
        row = np.repeat(np.arange(N), np.diff(events.start))
        return Layout(A, B, C, offset[events.start[:-1]], row, transform)
    return _varying_layout(events.start, X, offset, owner, random, transform)


def _known(parameter: str, column: str, data: GroupedData) -> Array:
    """Values of a parameter that a column of the data states, by record."""
    values = data.covariate_values((column,))[column].to_numpy()
    if not np.issubdtype(values.dtype, np.number):
        raise ModelError(f"{parameter} is taken from column {column!r}, which holds text; numbers are needed.")
    bad = ~(values > 0)
    if bad.any():
        rows = data.frame.index[data.events.row[bad]][:5].tolist()
        raise ModelError(
            f"{parameter} is taken from column {column!r}, which is not positive in {int(bad.sum())} records "
            f"(rows {', '.join(map(str, rows))}{', …' if bad.sum() > 5 else ''})."
        )
    return np.asarray(values, dtype=float)


def _varying_layout(start: Index, X: Array, offset: Array, owner: Index, random: Index, transform: Index) -> Layout:
    """Design rows of records; within a subject, one coordinate for each different column of a parameter's design."""
    N, P, M, Q = len(start) - 1, len(transform), len(owner), len(random)
    table = np.concatenate([X, offset], axis=1)
    rows: list[Array] = []
    offsets: list[Array] = []
    row = np.empty(len(X), dtype=np.int64)
    coordinates: list[list[tuple[int, Array]]] = []
    spans = []
    A_at: list[list[tuple[int, int]]] = []
    B_at: list[list[tuple[int, int]]] = []
    count = 0
    for i in range(N):
        part = slice(start[i], start[i + 1])
        _, firsts, back = np.unique(table[part], axis=0, return_index=True, return_inverse=True)
        row[part] = count + back.ravel()
        design = X[part][firsts]
        mine: list[tuple[int, Array]] = []

        def coordinate(p: int, column: Array, mine: list[tuple[int, Array]] = mine) -> int:
            for d, (q, known) in enumerate(mine):
                if q == p and np.array_equal(known, column):
                    return d
            mine.append((p, column))
            return len(mine) - 1

        A_at.append([(coordinate(int(owner[m]), design[:, m]), m) for m in range(M)])
        B_at.append([(coordinate(int(random[q]), np.ones(len(firsts))), q) for q in range(Q)])
        coordinates.append(mine)
        rows.append(design)
        offsets.append(offset[part][firsts])
        spans.append((count, count + len(firsts)))
        count += len(firsts)
    D = max((len(mine) for mine in coordinates), default=0)
    A, B, C = np.zeros((N, D, M)), np.zeros((N, D, Q)), np.zeros((count, P, D))
    for i in range(N):
        for d, m in A_at[i]:
            A[i, d, m] = 1.0
        for d, q in B_at[i]:
            B[i, d, q] = 1.0
        for d, (p, column) in enumerate(coordinates[i]):
            C[slice(*spans[i]), p, d] = column
    return Layout(A, B, C, np.concatenate(offsets), row, transform)
