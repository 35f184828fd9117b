"""A fit to data in parts: each part stays where it is read, and answers with sums."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData, Partitions
from workbench.engine.ending.fit_result import estimate_lines, fit_result, with_doubts
from workbench.engine.ending.uncertainty import Kind, Uncertainty
from workbench.engine.methods import way_of
from workbench.engine.methods.gradient import ByGradient, descended
from workbench.engine.methods.way import Task, judged_end
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.objectives.sharded import Shard, Sharded, Sums
from workbench.engine.problem.compile import compile
from workbench.engine.problem.refusals import check_start
from workbench.engine.search.initial import initial_values
from workbench.engine.search.optimise import Outcome
from workbench.engine.search.progress import Reports
from workbench.errors import DataError, Fault, FitError, WorkbenchError
from workbench.methods import METHODS, Method
from workbench.model import Model
from workbench.parallel import Holders
from workbench.results.fit import FitResult
from workbench.results.partitioned import PartitionedFit
from workbench.results.tables import doubts

Array = NDArray[np.float64]

_HEAD = 300  # subjects that are here as well: starting values are found from them, and edges judged by them
_LABELS = 20_000_000  # subjects whose labels are compared one by one, where their ranges overlap
_FIRST, _LAST = -(2**63), 2**63 - 1


@dataclass(frozen=True, eq=False)
class _Reading:
    """Makes a part; travels to where it is to be."""

    data: Partitions

    def __call__(self) -> Part:
        return Part(self.data.part(0))


class Part:
    """A part of the data where it is, and the objective of its subjects."""

    def __init__(self, data: GroupedData):
        self._data = data
        self._shard: Shard | None = None

    # -- what the data are ---------------------------------------------------------------------------------------

    def facts(self) -> tuple[int, int, object, object, str]:
        """Subjects, observations, first and last label, and the roles of its columns."""
        events = self._data.events
        labels = np.asarray(events.subjects)
        numbers = labels.dtype.kind in "iuf"
        ends = (labels.min().item(), labels.max().item()) if numbers else (min(map(str, labels)), max(map(str, labels)))
        said = ", ".join(f"{role}={column!r}" for role, column in sorted(self._data.roles.items()))
        return len(labels), int(events.observed.sum()), *ends, said

    def labels(self) -> NDArray[Any]:
        """Labels of the subjects."""
        return np.asarray(self._data.events.subjects)

    def head(self, count: int) -> GroupedData:
        """The first subjects."""
        N = len(self._data.events.subjects)
        return self._data if count >= N else Partitions.of(self._data, -(-N // count)).part(0)

    def below(self, column: str, order: int) -> int:
        """Subjects whose first value of a column comes before a place in the order of all float64."""
        return int((self._ordered(column) <= order).sum())

    def _ordered(self, column: str) -> NDArray[np.int64]:
        if self._data.frame[column].dtype.kind not in "iufb":
            raise FitError(f"{column} is text, and text has no median.")
        first = self._data.covariate_values((column,))[column].iloc[self._data.events.start[:-1]]
        return _order_of(np.asarray(first, dtype=float))

    # -- the objective -------------------------------------------------------------------------------------------

    def compiled(self, model: Model, approximation: str) -> tuple[str, ...]:
        """Lay the model out over the part; the names of its estimates."""
        problem = compile(model, self._data)
        self._shard = Shard(Objective(problem, approximation))
        return tuple(problem.scale.labels_of_x)

    def evaluate(self, x: Array, begun: Array | None, tolerance: float) -> Sums:
        """As `Shard.evaluate`."""
        return self._mine.evaluate(x, begun, tolerance)

    def deepen(self, x: Array, begun: Array | None, tolerance: float) -> Sums:
        """As `Shard.deepen`."""
        return self._mine.deepen(x, begun, tolerance)

    def write(self, folder: str, number: int, given: Model, model: Model, method: str, outcome: Outcome) -> list[str]:
        """Write random effects and observations."""
        objective, x = self._mine.objective, outcome.evaluation.x
        at = self._mine.at(x, x, objective.tolerance)
        fit = _whole(given, model, self._data, method, objective, at, outcome)
        os.makedirs(folder, exist_ok=True)
        files = []
        for name, frame in (("etas", fit.etas), ("table", fit.table())):
            path = os.path.join(folder, f"{name}-{number + 1:05d}.parquet")
            frame.reset_index().to_parquet(path, index=False)
            files.append(path)
        return files

    @property
    def _mine(self) -> Shard:
        assert self._shard is not None
        return self._shard


def _order_of(values: Array) -> NDArray[np.int64]:
    """The place of each number in the order of all float64, an integer."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(_FIRST) - bits - 1)


def _number_at(order: int) -> float:
    """The number at a place."""
    bits = order if order >= 0 else _FIRST - order - 1
    return float(np.array([bits], dtype=np.int64).view(float)[0])


def _median(parts: Holders, column: str, subjects: int) -> float:
    """The median of a column over the subjects of all parts, by halving: nothing but counts is gathered."""

    def at(rank: int) -> float:
        low, high = _FIRST, _LAST
        while low < high:
            middle = (low + high) // 2
            if sum(parts.ask("below", column, middle)) > rank:
                high = middle
            else:
                low = middle + 1
        return _number_at(low)

    upper = at(subjects // 2)
    value = upper if subjects % 2 else 0.5 * (at(subjects // 2 - 1) + upper)
    if not np.isfinite(value):
        raise FitError(f"{column} has no finite median.")
    return value


def fit_parts(
    model: Model,
    data: Partitions,
    method: Method,
    reports: Reports,
    max_iterations: int,
    covariance: bool | Kind,
    starts: int,
) -> PartitionedFit:
    """Estimate a model from data in parts, on the cluster if there is one; see `fit`.

    Raises
    ------
    DataError
        If a subject is in two parts, or their columns differ.
    FitError
        If the method is none for parts.
    """
    able = [name for name, other in METHODS.items() if isinstance(way_of(other), ByGradient)]
    if method.name not in able or starts > 1:
        raise FitError(
            f"Data in parts are fitted by {', '.join(able)} from one start; got method={method.name!r}, "
            f"starts={starts}. One part, or all of them as one data set, take the others."
        )
    parts = Holders([_Reading(data.alone(number)) for number in range(len(data))])
    try:
        return _fitted(parts, model, data, method, reports, max_iterations, covariance)
    finally:
        parts.close()


def _fitted(
    parts: Holders,
    model: Model,
    data: Partitions,
    method: Method,
    reports: Reports,
    max_iterations: int,
    covariance: bool | Kind,
) -> PartitionedFit:
    subjects, observations = _checked(parts, data)
    head = parts.ask_one(0, "head", _HEAD)

    # 1. Where to begin: what all subjects say of covariates, and what some of them say of values
    settled = model.with_settled_shapes(head)
    settled = settled.centred_at({name: _median(parts, name, subjects) for name in settled.centred_on})
    begun = initial_values(settled, head)
    fitted = method.fitted(begun)
    names = parts.tell("compiled", fitted, method.approximation.value)
    problem = compile(fitted, head)
    mine = tuple(problem.scale.labels_of_x)
    for number, theirs in enumerate(names):
        if theirs != mine:
            odd = ", ".join(sorted(set(theirs) ^ set(mine))) or "their order"
            raise DataError(f"Part {number + 1} of {data.name} makes other estimates than part 1: {odd}.")
    check_start(problem, fitted, head)

    # 2. The same search and ending as for data in one place
    target = Sharded(parts, Objective(problem, method.approximation))
    task = Task(method, None, fitted, head, problem, reports, max_iterations, covariance, 1, 1)
    watch = reports.watch(problem.scale)
    outcome, _ = descended(target, task, watch)
    ended = judged_end(target, outcome, task, watch)

    # 3. The result
    best = ended.outcome.evaluation
    at = problem.scale.model_at(begun, best.x)
    sent = parts.bytes_asked + parts.bytes_answered
    lines = estimate_lines(problem.scale, best.x, ended.errors.covariance)
    return PartitionedFit(
        model=at,
        given=model,
        data=data,
        method=method.name,
        status=ended.outcome.status,
        message=" ".join(filter(None, (ended.message, doubts(lines)))),
        ofv=best.ofv,
        trace=ended.outcome.trace,
        seconds=reports.seconds,
        evaluations=target.evaluations,
        lines=lines,
        covariance=ended.errors.covariance,
        se_reason=ended.errors.reason,
        n_subjects=subjects,
        n_observations=observations,
        bytes_of_an_evaluation=sent,
        parts_made=parts.made,
        writes=partial(_written, data, fitted, model, method, ended.outcome),
        gathers=partial(_gathered, data, fitted, model, method, ended.outcome, ended.errors, ended.message),
    )


def _checked(parts: Holders, data: Partitions) -> tuple[int, int]:
    """How many subjects and observations there are, once it is sure that no subject is in two parts."""
    facts = parts.ask("facts")
    for number, (_, _, _, _, said) in enumerate(facts):
        if said != facts[0][4]:
            raise DataError(
                Fault(
                    f"part {number + 1} has other columns than part 1: {said}; there {facts[0][4]}",
                    mend="state roles=…, and give all parts the same columns",
                ),
                data.name,
            )
    subjects, observations = sum(one[0] for one in facts), sum(one[1] for one in facts)
    order = sorted(range(len(facts)), key=lambda k: facts[k][2])
    near = [(a, b) for a, b in itertools.pairwise(order) if not facts[a][3] < facts[b][2]]
    if near:
        if subjects > _LABELS:
            raise DataError(
                Fault(
                    f"the subjects of parts {near[0][0] + 1} and {near[0][1] + 1} overlap, and there are too many to "
                    "compare one by one",
                    mend="sort the rows by subject before they are parted",
                ),
                data.name,
            )
        labels = parts.ask("labels")
        values, counts = np.unique(np.concatenate(labels), return_counts=True)
        if (counts > 1).any():
            split = values[counts > 1]
            where = [str(k + 1) for k, mine in enumerate(labels) if split[0] in mine]
            raise DataError(
                Fault(
                    f"subject {split[0]} is in parts {' and '.join(where)}"
                    + (f", and {len(split) - 1} more are in several" if len(split) > 1 else ""),
                    mend="part the rows by subject: a subject must have all its records in one part",
                ),
                data.name,
            )
    return subjects, observations


def _whole(
    given: Model, model: Model, data: GroupedData, method: str, objective: Objective, at: Evaluation, outcome: Outcome,
    errors: Uncertainty | None = None, message: str = "",
) -> FitResult:  # fmt: skip
    """All that is reported, of data that are here."""
    ended = Outcome(at, outcome.status, outcome.trace, outcome.path)
    none = Uncertainty(None, "none: of a part.")
    return fit_result(given, model, data, method, None, objective, ended, errors or none, message, "", 0.0)


def _written(
    data: Partitions, model: Model, given: Model, method: Method, outcome: Outcome, folder: str
) -> list[str]:  # fmt: skip
    try:
        import_module("pyarrow")
    except ImportError:
        raise FitError("Parquet needs pyarrow: pip install pyarrow.") from None
    parts = Holders([_Reading(data.alone(number)) for number in range(len(data))])
    try:
        parts.tell("compiled", model, method.approximation.value)
        asked = [(folder, number, given, model, method.name, outcome) for number in range(len(parts))]
        return [path for files in parts.ask_each("write", asked) for path in files]
    finally:
        parts.close()


def _gathered(
    data: Partitions, model: Model, given: Model, method: Method, outcome: Outcome, errors: Uncertainty, message: str
) -> FitResult:
    import pandas as pd

    from workbench.data import read_data

    read = [data.part(number) for number in range(len(data))]
    roles, units, rule = read[0].roles, read[0].units, read[0].covariate_rule
    frame = pd.concat([one.to_frame() for one in read], ignore_index=True)
    together = read_data(frame, roles=roles, units=units, name=data.name)
    together = together if together.covariate_rule == rule else together.with_covariate_rule(rule)
    objective = Objective(compile(model, together), method.approximation)
    at = objective.evaluate(outcome.evaluation.x)
    if not at.finite:
        raise WorkbenchError("The objective cannot be computed where the fit ended.")
    return with_doubts(_whole(given, model, together, method.name, objective, at, outcome, errors, message))
