"""Where work is done beside the thread that asks for it: threads, processes that are kept, a cluster."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from workbench.errors import FitError
from workbench.parallel.parcel import Batch, Prepare, done_by, done_from_bytes, done_from_file, parcel_of

_AHEAD = 2  # batches of each worker, so that none waits for the next
_IDLE = 300.0  # seconds after which a process that nobody needs ends
_SMALL = 5_000_000  # bytes that the scheduler may keep, so that no loss of workers loses them
_LIVES = 6  # times that a batch is sent again because what did it is gone
_ONE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class Lost(Exception):
    """What did some work is gone, and the work with it: somebody else has to do it."""


class Place(ABC):
    """Workers that take batches.

    Attributes
    ----------
    workers : int
    seconds : float
        How long a batch should take.
    """

    workers: int
    seconds: float

    @abstractmethod
    def room(self) -> int:
        """How many batches it takes at a time, as things are now."""

    @abstractmethod
    def give(self, items: Sequence[Any]) -> Future[Batch]:
        """Have some pieces done. The future raises `Lost` where somebody else has to do them."""

    def leave(self) -> None:
        """No more work is coming."""
        return


class Threads(Place):
    """Threads of this process, for as long as the work lasts."""

    def __init__(self, prepare: Prepare, workers: int):
        self.workers, self.seconds = workers, 0.0
        self._prepare = prepare
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="workbench-each")

    def room(self) -> int:
        return self.workers

    def give(self, items: Sequence[Any]) -> Future[Batch]:
        return self._pool.submit(done_by, self._prepare, items)

    def leave(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Kept:
    """The processes that are kept between calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: Any = None
        self._owner, self._workers, self._used = 0, 0, 0.0

    def of(self, workers: int) -> Any:
        """An executor of at least so many processes."""
        from joblib.externals.loky import ProcessPoolExecutor

        with self._lock:
            if self._executor is None or self._owner != os.getpid() or self._workers < workers:
                if self._executor is not None and self._owner == os.getpid():
                    self._executor.shutdown(wait=False)
                self._executor = ProcessPoolExecutor(workers, timeout=_IDLE, env=_ONE)
                self._owner, self._workers, self._used = os.getpid(), workers, -_IDLE
            return self._executor

    def there(self, workers: int) -> bool:
        """Whether so many processes are ready to work."""
        lately = time.monotonic() - self._used < 0.9 * _IDLE
        return self._executor is not None and self._owner == os.getpid() and self._workers >= workers and lately

    def used(self) -> None:
        """They have just worked."""
        self._used = time.monotonic()

    def drop(self, executor: Any) -> None:
        """Some of them are gone. Called while the executor holds locks of its own, so none is taken here."""
        if self._executor is executor:
            self._executor = None


_kept = _Kept()
processes_are_there = _kept.there


class Processes(Place):
    """Processes of this machine, each with one thread; kept for a while when the work is done."""

    def __init__(self, prepare: Prepare, workers: int):
        self.workers, self.seconds, self._broken = workers, 0.05, False
        self._ready = processes_are_there(workers)
        self._executor, self._parcel = _kept.of(workers), parcel_of(prepare)
        self._greeted: list[Any] = [] if self._ready else [self._submit(()) for _ in range(workers)]

    def room(self) -> int:
        if self._broken:
            return 0
        if not self._ready:
            ready: int = sum(one.done() and not one.cancelled() and one.exception() is None for one in self._greeted)
            if ready < self.workers:
                return _AHEAD * ready
            self._ready = True
            _kept.used()
        return _AHEAD * self.workers

    def give(self, items: Sequence[Any]) -> Future[Batch]:
        ours: Future[Batch] = Future()

        def done(theirs: Any) -> None:
            error = theirs.exception() if not theirs.cancelled() else Lost()
            if error is None:
                _kept.used()
            else:
                self._drop()
            _answer(ours, theirs.result() if error is None else Lost(str(error)))

        try:
            self._submit(items).add_done_callback(done)
        except Exception as error:  # broken, or shut down
            self._drop()
            _answer(ours, Lost(str(error)))
        return ours

    def _drop(self) -> None:
        self._broken = True
        _kept.drop(self._executor)

    def _submit(self, items: Sequence[Any]) -> Any:
        return self._executor.submit(done_from_file, self._parcel.key, self._parcel.path, items)


class Workers(Place):
    """Workers of a dask cluster; a batch whose worker is gone is done by another."""

    def __init__(self, prepare: Prepare, client: Any, most: int | None):
        self.seconds = 0.25
        self._client, self._parcel, self._most = client, parcel_of(prepare), most
        self._lives, self._counted, self.workers = _LIVES, -1.0, 1
        self._there = self._scattered()

    def room(self) -> int:
        now = time.monotonic()
        if now - self._counted > 1.0:
            threads = sum(self._client.nthreads().values())
            self.workers, self._counted = min(threads, self._most or threads), now
        return _AHEAD * self.workers if self._most is None or self._most > self.workers else self._most

    def give(self, items: Sequence[Any]) -> Future[Batch]:
        return answered(
            self._client.submit(
                done_from_bytes, self._parcel.key, self._there, items, pure=False, retries=0, priority=0
            )
        )

    def again(self) -> None:
        """After a loss: send what prepares the work once more.

        Raises
        ------
        FitError
            If that happened too often.
        """
        self._lives -= 1
        if self._lives < 0:
            raise FitError(
                "Workers of the cluster were lost again and again while they did this work: see their logs; most often "
                "the memory of a worker is too small for the data."
            )
        self._there = self._scattered()

    def _scattered(self) -> Any:
        """The parcel on the cluster, from where each worker gets it once; a small one is known to the scheduler."""
        content = self._parcel.content
        if len(content) < _SMALL:
            return self._client.submit(_unchanged, content, pure=False)
        return self._client.scatter(content, hash=False)


def _unchanged(content: bytes) -> bytes:
    return content


def _answer(ours: Future[Batch], found: Batch | BaseException) -> None:
    """Bring what was found to who waits for it, unless he has left."""
    if not ours.set_running_or_notify_cancel():
        return
    if isinstance(found, BaseException):
        ours.set_exception(found)
    else:
        ours.set_result(found)


def answered(theirs: Any) -> Future[Any]:
    """What a future of dask brings; `Lost` where what should have done it is gone."""
    ours: Future[Any] = Future()

    def done(_: Any) -> None:
        found = theirs.result() if theirs.status == "finished" else Lost("it was lost")
        if theirs.status == "error":
            error = theirs.exception()
            found = Lost(str(error)) if is_gone(error) else error
        _answer(ours, found)

    theirs.add_done_callback(done)
    return ours


def is_gone(error: BaseException) -> bool:
    """Whether an error says that what did the work is gone."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    return isinstance(error, Lost | KilledWorker | CancelledError | FutureCancelledError | CommClosedError)
