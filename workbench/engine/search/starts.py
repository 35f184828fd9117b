"""A search from many starting points: short runs from all of them, the best few to their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.objective import Objective
from workbench.engine.search.optimise import Outcome, Watch, minimise
from workbench.errors import FitError
from workbench.results.fit import Start, Status

Array = NDArray[np.float64]
Part = Callable[[int, int], None]  # told how many of how many are done

_SPREAD = 0.7  # of a logarithm: half to twice the value, mostly
_FARTHEST = 2.0
_FIRST_ITERATIONS = 12
_FINISHED = 4
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


def minimise_from_many(
    objective: Objective, x: Array, starts: int, seed: int, watch: Watch, max_iterations: int, part: Part
) -> tuple[Outcome, tuple[Start, ...]]:
    """Minimise from many points; `part` is told how many of them are done.

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
    runs: dict[int, Outcome] = {}
    initial: dict[int, float] = {}
    done, stopped, refusal = 0, False, None

    def run(at: Array, iterations: int) -> Outcome:
        nonlocal done, stopped
        objective.forget()
        begun = done
        outcome = minimise(objective, at, lambda iteration, now: watch(begun + iteration, now), iterations)
        done += len(outcome.trace)
        stopped = outcome.status is Status.stopped
        return outcome

    for number, at in enumerate(points(objective, x, starts, seed)):
        part(number, starts)
        try:
            runs[number] = run(at, min(_FIRST_ITERATIONS, max_iterations))
        except FitError as error:
            refusal = refusal or error
            continue
        initial[number] = runs[number].trace[0][1]
        if stopped:
            break
    if not runs:
        assert refusal is not None
        raise refusal
    problem = objective.problem

    def unusual(number: int) -> bool:
        return problem.exchanged(runs[number].evaluation.x) is not None

    finished: list[tuple[float, bool]] = []
    for number in sorted(runs, key=lambda n: runs[n].evaluation.ofv):
        begun = runs[number]
        if stopped:
            break
        side = unusual(number)
        mine = [ofv for ofv, other in finished if other == side]
        if len(mine) == _FINISHED or any(abs(begun.evaluation.ofv - ofv) < _SAME for ofv in mine):
            continue
        if begun.status is Status.max_iterations and max_iterations > _FIRST_ITERATIONS:
            further = run(begun.evaluation.x, max_iterations - _FIRST_ITERATIONS)
            offset = begun.trace[-1][0]
            trace = (*begun.trace, *((offset + k, ofv) for k, ofv in further.trace[1:]))
            path = (*begun.path, *further.path[1:])
            runs[number] = Outcome(further.evaluation, further.status, trace, path)
        finished.append((runs[number].evaluation.ofv, side))
    eligible = [number for number in runs if problem.exchanged(x) is not None or not unusual(number)]
    best = min(eligible or runs, key=lambda n: runs[n].evaluation.ofv)
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
