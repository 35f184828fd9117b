"""The same work many times over, in the threads, processes or machines that joblib has.

The kernels release the GIL and use no threads of numba's own, so that they may run in several threads at once; each
thread or process prepares its own arrays.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from workbench import checks

R = TypeVar("R")
Work = Callable[[int], R]
Callback = Callable[[int, int], object]

_here = threading.local()  # what this thread of this process prepared last


def each(prepare: Callable[[], Work[R]], count: int, jobs: int | None, callback: Callback | None = None) -> list[R]:
    """Results of the numbers 1 to `count`, in their order, whoever computes them.

    Parameters
    ----------
    prepare : callable
        Makes the function of a number; called once in each thread or process, so it must pickle. What it makes need
        not.
    count : int
    jobs : int, optional
        How many at the same time, -1 for as many as there are cores; one by default, or what a surrounding
        `joblib.parallel_config` says, whose backend is always used. Else they are threads.
    callback : callable, optional
        Called with (done, count) in the thread of the caller; stops by returning something true. What is done or under
        way by then is returned.

    Raises
    ------
    FitError
        If `jobs` is no such number.
    """
    import joblib

    jobs = checks.jobs(jobs)
    key, stopped = uuid.uuid4().hex, False

    def tasks() -> Iterator[Any]:
        for number in range(1, count + 1):
            if stopped:
                return
            yield joblib.delayed(_one)(key, prepare, number)

    found: list[R] = []
    results = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(tasks())
    try:
        for result in results:
            found.append(result)
            if callback is not None and not stopped:
                stopped = bool(callback(len(found), count))
    finally:
        stopped = True
        for _ in results:  # where the callback raised: wait for what is under way
            pass
        _here.__dict__.clear()
    return found


def _one(key: str, prepare: Callable[[], Work[R]], number: int) -> R:
    if getattr(_here, "key", None) != key:
        _here.key, _here.work = key, prepare()
    work: Work[R] = _here.work
    return work(number)
