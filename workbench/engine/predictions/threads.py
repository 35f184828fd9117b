"""Subjects in several threads: they do not touch each other, so the numbers do not depend on how many there are."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]

_CHUNKS = 4  # per thread, so that none waits long for the slowest
_here = threading.local()


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Within it, this thread does all subjects by itself: fits side by side would only wait for each other."""
    before = getattr(_here, "one_thread", False)
    _here.one_thread = True
    try:
        yield
    finally:
        _here.one_thread = before


def threads() -> int:
    """How many threads are used: those that this process may have, at most 8."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 8)


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """The threads of a process; after a fork there are none yet."""
    return ThreadPoolExecutor(workers, thread_name_prefix="workbench-predict")


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
    workers = threads()
    if workers < 2 or work < 5e-4 or len(subjects) < 2 or getattr(_here, "one_thread", False):
        task(subjects)
        return
    chunks = np.array_split(subjects, min(len(subjects), workers * _CHUNKS))
    for _ in _pool(workers, os.getpid()).map(task, chunks):
        pass
