"""The same problem seen otherwise: for some of the subjects, or on a fine grid of times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.data.events import OTHER
from workbench.engine.predictions import predictor_of
from workbench.engine.predictions.schedule import Schedule
from workbench.engine.problem.layout import spread
from workbench.engine.problem.problem import Problem

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def thinned(problem: Problem, most: int) -> Problem:
    """The same problem for at most that many of the subjects, spread evenly over them."""
    N = problem.n_subjects
    if most >= N:
        return problem
    return of_subjects(problem, np.unique(np.linspace(0, N - 1, most).astype(np.int64)))


def of_subjects(problem: Problem, chosen: Index, rough: bool = False) -> Problem:
    """The same problem for chosen subjects, in their order; one that is chosen several times is there several times.

    `rough`: its predictions need not be exact, see `predictor_of`.
    """
    old, seen, layout = problem.schedule, problem.observations, problem.layout
    at, start = spread(old.start, chosen)
    slot = old.slot[at]
    schedule = old.taken(at, np.repeat(np.arange(len(chosen)), np.diff(start)), len(chosen))
    schedule = replace(schedule, slot=np.where(slot >= 0, np.cumsum(slot >= 0) - 1, -1))
    mine, first = spread(seen.first, chosen)
    layout = replace(
        layout, A=layout.A[chosen], B=layout.B[chosen], row=layout.row[at], origin=layout.origin[at],
        fractional=tuple(part.among(chosen, problem.n_subjects) for part in layout.fractional),
    )  # fmt: skip
    observations = replace(
        seen, y=seen.y[mine], upper=seen.upper[mine], what=seen.what[mine], response=seen.response[mine],
        first=first, jacobian=seen.jacobian[chosen],
    )  # fmt: skip
    return replace(
        problem, schedule=schedule, layout=layout, observations=observations,
        predictor=predictor_of(problem.structure, schedule, layout, rough),
    )  # fmt: skip


_SOON = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.7])  # parts of the time until the next event, where curves bend most


def _after_doses(old: Schedule, end: Array) -> tuple[Index, Array, Index]:
    """Doses, times soon after them and at the ends of infusions, and the dose that each such time comes after."""
    dose = np.flatnonzero(old.amount > 0)
    owner = old.subject
    following = np.append(old.time[1:], np.inf)
    last = np.append(owner[1:] != owner[:-1], True) if len(owner) else np.zeros(0, dtype=bool)
    gap = np.where(last, 0.0, following - old.time)[dose]
    times = (old.time[dose][:, None] + gap[:, None] * _SOON).ravel()
    after = np.repeat(dose, len(_SOON))
    with np.errstate(divide="ignore", invalid="ignore"):
        lasting = np.where(old.rate[dose] > 0, old.amount[dose] / old.rate[dose], old.duration[dose])
    stop = old.time[dose] + lasting
    kept = np.isfinite(stop) & (lasting > 0) & (stop < end[owner[dose]])
    wanted = np.repeat(gap > 0, len(_SOON))
    return dose, np.concatenate([times[wanted], stop[kept]]), np.concatenate([after[wanted], dose[kept]])


def on_grid(problem: Problem, points: int, response: int = 0) -> tuple[Problem, Array, Index]:
    """The same problem predicted on a fine grid of times instead of at the observations.

    Parameters
    ----------
    problem : Problem
    points : int
        Times per subject, evenly from its first to its last record; its records and doses, what is just before and
        soon after a dose, and ends of infusions come on top, so that a curve passes through what is predicted.
    response : int
        Which response.

    Returns
    -------
    problem : Problem
    time : float64[k]
        Times of the predictions.
    first : int64[N + 1]
        Predictions of subject i are first[i]:first[i + 1].
    """
    old, N = problem.schedule, problem.n_subjects
    begin, end = old.time[old.start[:-1]], old.time[old.start[1:] - 1]
    grid = np.linspace(begin, end, points, axis=1).ravel()
    dose, soon, soon_after = _after_doses(old, end)
    time = np.concatenate([old.time, grid, soon, old.time[dose]])
    owner = np.concatenate([old.subject, np.repeat(np.arange(N), points), old.subject[soon_after], old.subject[dose]])
    rank = np.repeat(
        [0, 1, 1, -1], [len(old.time), len(grid), len(soon), len(dose)]
    )  # at one time: before, event, after
    order = np.lexsort((rank, time, owner))
    n = len(old.time)
    mine = np.where(order < n, order, -1)
    source = np.where(mine >= 0, mine, len(order))
    nearest = np.minimum.accumulate(source[::-1])[::-1]  # the next event, whose design row holds until then
    nearest = np.minimum(nearest, old.start[1:][owner[order]] - 1)

    added = mine < 0
    shown = np.ones(len(order), dtype=bool)
    finer = replace(
        old.taken(nearest, owner[order], N),
        time=time[order],
        slot=np.where(shown, np.cumsum(shown) - 1, -1),
        response=np.full(len(order), response, dtype=np.int64),
    )
    kind, amount, steady, rate, duration = (
        np.where(added, zero, values)
        for values, zero in (
            (finer.kind, OTHER), (finer.amount, 0.0), (finer.steady_state, 0), (finer.rate, 0.0), (finer.duration, 0.0),
        )
    )  # fmt: skip
    finer = replace(finer, kind=kind, amount=amount, steady_state=steady, rate=rate, duration=duration)
    layout = replace(problem.layout, row=problem.layout.row[nearest], origin=problem.layout.origin[nearest])
    first = np.concatenate([[0], np.cumsum(shown)])[finer.start]
    finer_problem = replace(
        problem, schedule=finer, layout=layout, predictor=predictor_of(problem.structure, finer, layout)
    )
    return finer_problem, time[order][shown], first
