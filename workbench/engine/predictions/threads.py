"""Subjects in several threads: they do not touch each other, so the numbers do not depend on how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from workbench.parallel import is_alone

Index = NDArray[np.int64]

_WORTH_IT = 5e-4  # seconds: less is not worth a second thread
_SHARE = 0.5  # of what is left for each thread: parts get smaller, so that none waits long for another at the end
_PIECE = 1e-4  # seconds: less is not worth handing over


def threads() -> int:
    """How many threads are used: those that this process may have, at most 8."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 8)


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """The threads of a process; after a fork there are none yet."""
    return ThreadPoolExecutor(workers, thread_name_prefix="workbench-predict")


def worth_several(count: int, work: float) -> bool:
    """Whether work on so many subjects, of so many seconds, is done in several threads."""
    return work >= _WORTH_IT and count > 1 and not is_alone() and threads() > 1


def over_subjects(task: Callable[[Index], None], subjects: Index, work: float) -> None:
    """Do a task, which releases the GIL, for some subjects.

    Parameters
    ----------
    task : callable
        Takes subjects.
    subjects : int64[k]
    work : float
        How long all of it takes, in seconds, roughly; what is short is not worth a second thread.
    """
    if not worth_several(len(subjects), work):
        task(subjects)
        return
    workers = threads()
    parts = iter(_parts(subjects, workers, int(len(subjects) * _PIECE / work)))

    def in_turn() -> None:
        for part in parts:
            task(part)

    pool = _pool(workers, os.getpid())
    others = [pool.submit(in_turn) for _ in range(workers - 1)]  # this thread works as well: it need not be woken
    try:
        in_turn()
    finally:
        for other in others:
            other.result()


def _parts(subjects: Index, workers: int, smallest: int) -> list[Index]:
    """Subjects in parts that get smaller, none but the last below the smallest."""
    found, at = [], 0
    while at < len(subjects):
        size = max(int(_SHARE * (len(subjects) - at) / workers), smallest, 1)
        found.append(subjects[at : at + size])
        at += size
    return found
