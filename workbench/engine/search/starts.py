"""A search from several starting points.

From many: short runs from all of them, the best few to their end. From a few that the data suggest: to the end from the
first, and from another as long as it may end lower.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objectives.objective import Evaluation, Objective, Target
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch, minimise
from workbench.errors import FitError
from workbench.model import Model
from workbench.parallel import Work, at_once, in_order
from workbench.results.fit import Start, Status

Array = NDArray[np.float64]
Part = Callable[[int, int], None]  # told how many of how many are done

_SPREAD = 0.7  # of a logarithm: half to twice the value, mostly
_FARTHEST = 2.0
_FIRST_ITERATIONS = 12
_FINISHED = 4
_MAY_FALL = 15.0  # what a run that was cut short may still be above another and end lower
_SAME = 1e-2  # of the objective: two runs that are nearer go to the same minimum


def points(objective: Objective, x: Array, starts: int, seed: int) -> list[Array]:
    """x itself, and others around it: what is a logarithm is moved by N(0, 0.7²), at most by 2.

    Where kinetics have another solution with the same typical curve, every other point is on its side.
    """
    rng = np.random.default_rng(seed)
    moved = objective.problem.scale.logarithmic
    steps = np.clip(_SPREAD * rng.standard_normal((starts - 1, len(x))), -_FARTHEST, _FARTHEST)
    found = [x, *(x + np.where(moved, step, 0.0) for step in steps)]
    for number in range(2, len(found), 2):
        twins = objective.problem.twins(found[number])
        if twins:
            found[number] = twins[number // 2 % len(twins)][0]
    return found


class Searched(Target, Protocol):
    """A target whose searches can start from η = 0 again."""

    def forget(self) -> None:
        """Start later searches from η = 0."""


def minimise_from_each(
    objective: Searched, points: Sequence[Array], watch: Watch, max_iterations: int
) -> tuple[Outcome, tuple[Start, ...]]:
    """Minimise from the first of some points, and from the others as far as they may end lower.

    Returns
    -------
    outcome : Outcome
        Of the best run, with the traces of all of them.
    tried : tuple of Start
        Empty where there is one point.

    Raises
    ------
    FitError
        If the objective cannot be computed at the first point.
    """
    best = minimise(objective, points[0], watch, max_iterations)
    ends = [best]
    for x in points[1:]:
        before = len(best.trace)
        if best.status is Status.stopped or before > max_iterations:
            break
        objective.forget()
        found = _as_far_as_it_may(objective, x, best, watch, max_iterations)
        if found is None:
            continue
        ends.append(found)
        trace = (*best.trace, *((before + iteration, ofv) for iteration, ofv in found.trace))
        path = (*best.path, *found.path)
        better = found.evaluation.ofv < best.evaluation.ofv - _SAME or (found.status.ok and not best.status.ok)
        if better and found.status is not Status.max_iterations:
            best = replace(found, trace=trace, path=path)
        else:
            status = Status.stopped if found.status is Status.stopped else best.status
            trace = (*trace, (before + len(found.trace), best.evaluation.ofv))
            best = replace(best, trace=trace, path=(*path, best.evaluation.x), status=status)
            watch(trace[-1][0], best.evaluation)
    objective.forget()
    objective.accept(best.evaluation)
    if len(ends) == 1:
        return best, ()
    tried = [
        Start(number, end.trace[0][1], *_end(end), end.evaluation is best.evaluation) for number, end in enumerate(ends)
    ]
    return best, tuple(tried)


def _as_far_as_it_may(
    objective: Searched, x: Array, best: Outcome, watch: Watch, max_iterations: int
) -> Outcome | None:
    """A run from another point, left where it is clear that it ends higher; None if nothing can be computed there."""
    offset = len(best.trace)
    left = max_iterations - offset

    def run(at: Array, begun: int, most: int) -> Outcome:
        return minimise(objective, at, lambda iteration, now: watch(offset + begun + iteration, now), most)

    try:
        found = run(x, 0, min(_FIRST_ITERATIONS, left))
    except FitError:
        return None
    if found.status is not Status.max_iterations or found.evaluation.ofv > best.evaluation.ofv + _MAY_FALL:
        return found
    begun = found.trace[-1][0]
    further = run(found.evaluation.x, begun, max(left - begun, 0))
    trace = (*found.trace, *((begun + k, ofv) for k, ofv in further.trace[1:]))
    return Outcome(further.evaluation, further.status, trace, (*found.path, *further.path[1:]))


class _Run(NamedTuple):
    """A search from one point.

    Attributes
    ----------
    end : Outcome or FitError
    evaluations, rounds : int
        What it took.
    told : bool
        Whether the search has told how it goes.
    """

    end: Outcome | FitError
    evaluations: int
    rounds: int
    told: bool


class _Runs:
    """Searches from points, by (x, iterations); what one finds depends on no other.

    In the thread of the fit they tell how they go, and use its problem; elsewhere the problem is compiled anew.
    """

    def __init__(self, objective: Objective, model: Model, data: GroupedData, watch: Watch):
        self._problem: Problem | None = objective.problem
        self._watch: Watch | None = watch
        self._thread: int | None = threading.get_ident()
        self._approximation, self._model, self._data = objective.approximation, model, data

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_problem": None, "_watch": None, "_thread": None}

    def __call__(self) -> Work:
        here = self._thread == threading.get_ident()
        problem = self._problem if here and self._problem is not None else compile(self._model, self._data)
        watch = self._watch if here else None

        def run(item: tuple[Array, int]) -> _Run:
            x, iterations = item
            objective = Objective(problem, self._approximation)
            try:
                end: Outcome | FitError = minimise(objective, x, watch, iterations)
            except FitError as error:
                end = error
            return _Run(end, objective.evaluations, objective.rounds, watch is not None)

        return run


def minimise_from_many(
    objective: Objective,
    model: Model,
    data: GroupedData,
    starts: int,
    seed: int,
    watch: Watch,
    max_iterations: int,
    part: Part,
    jobs: int | None,
    sound: Callable[[Evaluation], bool] = lambda at: True,
) -> tuple[Outcome, tuple[Start, ...]]:
    """Minimise from many points; `part` is told how many of them are done.

    Parameters
    ----------
    objective : Objective
    model, data
        What its problem was compiled of, for those who do it elsewhere.
    starts, seed, watch, max_iterations, part
    jobs : int, optional
        Searches at the same time; the results are the same bits.
    sound : callable
        Whether an end means something; the best that does is preferred.

    Returns
    -------
    outcome : Outcome
        Of the best run, with absorption slower than elimination only where x has it; its trace is that of this run
        alone.
    tried : tuple of Start

    Raises
    ------
    FitError
        If the objective cannot be computed at any of the points.
    """
    x = objective.problem.x
    runs: dict[int, Outcome] = {}
    initial: dict[int, float] = {}
    done, stopped, refusal = 0, False, None

    def tell(iteration: int, at: Evaluation) -> bool:
        return watch(done + iteration, at)

    prepare = _Runs(objective, model, data, tell)

    def searched(items: list[tuple[Array, int]]) -> Iterator[Outcome | FitError]:
        """The ends of searches; told of, and counted, as they come."""
        nonlocal done, stopped
        latest: list[Evaluation] = []

        def is_stopped() -> bool:
            return stopped

        def meanwhile() -> None:
            nonlocal stopped
            stopped = stopped or bool(latest and watch(done, latest[-1]))

        for run in in_order(prepare, items, jobs, is_stopped, meanwhile):
            objective.evaluations += run.evaluations
            objective.rounds += run.rounds
            if isinstance(run.end, Outcome):
                done += len(run.end.trace)
                latest.append(run.end.evaluation)
                stopped = stopped or run.end.status is Status.stopped or (not run.told and watch(done, latest[-1]))
            yield run.end

    part(0, starts)
    first = min(_FIRST_ITERATIONS, max_iterations)
    for number, end in enumerate(searched([(at, first) for at in points(objective, x, starts, seed)])):
        part(min(number + 1, starts - 1), starts)
        if isinstance(end, FitError):
            refusal = refusal or end
            continue
        runs[number], initial[number] = end, end.trace[0][1]
    if not runs:
        if refusal is None:
            raise FitError("It was stopped before any search had ended.")
        raise refusal
    problem = objective.problem

    def unusual(number: int) -> bool:
        return problem.exchanged(runs[number].evaluation.x) is not None

    finished: list[tuple[float, bool]] = []

    def enough(number: int) -> bool:
        """Whether a run need not be finished: so many are, or one of them where it goes."""
        mine = [ofv for ofv, other in finished if other == unusual(number)]
        return len(mine) == _FINISHED or any(abs(runs[number].evaluation.ofv - ofv) < _SAME for ofv in mine)

    waiting = sorted(runs, key=lambda n: runs[n].evaluation.ofv)
    together = at_once(jobs)
    while waiting and not stopped:
        some = [number for number in waiting if not enough(number)][:together]
        waiting = [number for number in waiting if number not in some and not enough(number)]
        left = max_iterations - _FIRST_ITERATIONS
        on = [number for number in some if runs[number].status is Status.max_iterations and left > 0]
        further = dict(zip(on, searched([(runs[number].evaluation.x, left) for number in on]), strict=False))
        for number in some:
            if enough(number):
                continue
            more = further.get(number)
            if isinstance(more, Outcome):
                begun = runs[number]
                offset = begun.trace[-1][0]
                trace = (*begun.trace, *((offset + k, ofv) for k, ofv in more.trace[1:]))
                runs[number] = Outcome(more.evaluation, more.status, trace, (*begun.path, *more.path[1:]))
            finished.append((runs[number].evaluation.ofv, unusual(number)))
    eligible = [number for number in runs if problem.exchanged(x) is not None or not unusual(number)]
    ranked = sorted(eligible or runs, key=lambda n: runs[n].evaluation.ofv)
    best = next((n for n in ranked if runs[n].status.ok and sound(runs[n].evaluation)), ranked[0])
    objective.accept(runs[best].evaluation)
    found = replace(runs[best], status=Status.stopped) if stopped else runs[best]
    tried = [
        Start(number, initial.get(number, float("nan")), *_end(runs.get(number)), number == best)
        for number in range(starts)
    ]
    return found, tuple(tried)


def _end(run: Outcome | None) -> tuple[float, str, int]:
    if run is None:
        return float("nan"), "not tried, or not computable there", 0
    status = "left there" if run.status is Status.max_iterations else run.status.name
    return run.evaluation.ofv, status, run.trace[-1][0]
