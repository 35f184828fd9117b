"""Hand work out, take the results in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext
from typing import Any

from workbench import checks
from workbench.parallel.alone import in_one_thread, is_alone
from workbench.parallel.clusters import client as the_client
from workbench.parallel.parcel import (
    Batch,
    Outcome,
    Prepare,
    Work,
    done_by,
    done_from_bytes,
    done_from_file,
    done_here,
    parcel_of,
)
from workbench.parallel.places import Lost, Place, Processes, Threads, Workers, processes_are_there

Callback = Callable[[int, int], object]

_LOOK = 0.02  # seconds of work after which it is estimated how long the rest takes
_STARTED = 1.5  # seconds of work that are worth starting processes, which takes one or two, while this one goes on
_HANDED = 0.1  # seconds of work that are worth handing out to processes that are there
_KERNELS = 0.25  # seconds of a piece that is spent in kernels, which leave Python free: threads do as well then
_HEAVY = 200_000_000  # bytes that are better not copied into each process
_NOW_AND_THEN = 0.5  # seconds


def each(
    prepare: Prepare, items: Sequence[Any], jobs: int | None = None, callback: Callback | None = None
) -> list[Any]:
    """Results of all items, in their order, whoever computes them.

    Parameters
    ----------
    prepare : callable
        Makes the function of an item; called once in each thread, process or worker, so it must pickle. What it makes
        need not. It should carry what is large, items what is small.
    items : sequence
    jobs : int, optional
        How many at the same time, -1 for as many as there are cores. None: on the cluster, if there is one
        (`workbench.cluster`), or as a surrounding `joblib.parallel_config` says; else one. With 1 all is done here.
        More are this thread and others, or other processes, as the first pieces tell: small work is done here.
    callback : callable, optional
        Called with (done, count) in the thread of the caller after each piece, and now and then while a cluster works;
        stops by returning something true. What is done by then is returned, and what is under way on this machine.

    Raises
    ------
    FitError
        If `jobs` is no such number.
    """
    found: list[Any] = []
    stopped, asked = False, 0.0

    def ask(now_and_then: bool = True) -> None:
        nonlocal stopped, asked
        if callback is None or stopped or (now_and_then and time.perf_counter() - asked < _NOW_AND_THEN):
            return
        if found:
            stopped, asked = bool(callback(len(found), len(items))), time.perf_counter()

    for result in in_order(prepare, items, jobs, lambda: stopped, ask):
        found.append(result)
        ask(now_and_then=False)
    return found


def in_order(
    prepare: Prepare,
    items: Sequence[Any],
    jobs: int | None = None,
    stopped: Callable[[], bool] = bool,
    meanwhile: Callable[[], object] = bool,
) -> Iterator[Any]:
    """Results of the items one after the other, as in `each`.

    Parameters
    ----------
    prepare, items, jobs
    stopped : callable
        Whether to hand out no more; what is under way on this machine is still waited for.
    meanwhile : callable
        Called now and then while others work and there is no result.
    """
    jobs = checks.jobs(jobs)
    backend, workers = _surroundings(jobs)
    if backend is not None and not _is_dask(backend):
        yield from _by_joblib(backend, prepare, items, jobs, stopped)
        return
    client = getattr(backend, "client", None) or (the_client() if workers != 1 else None)
    remote = client is not None
    place: Place | None = Workers(prepare, client, workers if workers > 0 else None) if remote else None
    work: Work | None = None
    ledger, decided = _Ledger(items), remote or workers == 1
    try:
        while ledger.open or ledger.under_way:
            halted = stopped()
            if place is not None and not halted:
                ledger.hand_out(place)
            if not remote and ledger.open and not halted:
                with in_one_thread() if place is not None else nullcontext():
                    work = work or prepare()
                    ledger.do_one(work)
                if not decided and ledger.spent > _LOOK:
                    decided = True
                    place = _worth_it(prepare, ledger, workers)
            elif not ledger.under_way or (remote and halted):
                if halted or not remote:
                    break
                time.sleep(0.05)  # no worker is there at present
            else:
                ledger.wait(_NOW_AND_THEN)
            ledger.collect(place)
            before = ledger.shown
            yield from ledger.ready()
            if ledger.shown == before:
                meanwhile()
    finally:
        if place is not None:
            ledger.give_up()
            place.leave()


def at_once(jobs: int | None) -> int:
    """How many pieces are done at the same time, roughly."""
    backend, workers = _surroundings(checks.jobs(jobs))
    client = backend.client if backend is not None and _is_dask(backend) else the_client()
    return workers or (max(1, sum(client.nthreads().values())) if client is not None else 1)


def _surroundings(jobs: int | None) -> tuple[Any, int]:
    """A backend that joblib was told to use, None without one; and how many workers there are, 0 for all of a cluster.

    Inside of work that runs side by side there is one.
    """
    if is_alone():
        return None, 1
    from joblib import effective_n_jobs
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend(prefer="threads")
    stated = type(get_active_backend(prefer="processes")[0]) is type(backend)  # a hint changes only what is not stated
    if stated:
        if _is_dask(backend):
            return backend, 0 if jobs in (None, -1) else jobs or 0
        return (None, 1) if effective_n_jobs(jobs) == 1 else (backend, effective_n_jobs(jobs))
    if the_client() is not None and jobs in (None, -1):
        return None, 0
    return None, effective_n_jobs(jobs)


def _is_dask(backend: Any) -> bool:
    return type(backend).__name__ == "DaskDistributedBackend"


def _worth_it(prepare: Prepare, ledger: _Ledger, workers: int) -> Place | None:
    """Who helps with the rest, if that is worth it."""
    left = ledger.per_item * ledger.left
    if ledger.left < 2 or left < _HANDED:
        return None
    if ledger.per_item > _KERNELS:
        return Threads(prepare, workers - 1)
    if left > (_HANDED if processes_are_there(workers - 1) else _STARTED):
        heavy = len(parcel_of(prepare).content) > _HEAVY
        return Threads(prepare, workers - 1) if heavy else Processes(prepare, workers - 1)
    return None


def _by_joblib(
    backend: Any, prepare: Prepare, items: Sequence[Any], jobs: int | None, stopped: Callable[[], bool]
) -> Iterator[Any]:
    """By a backend that joblib was told to use: the first pieces tell how many make a batch."""
    from joblib import Parallel, delayed, effective_n_jobs

    halted = False
    shares_memory = getattr(backend, "supports_sharedmem", False)
    first, done = 0.0, 0
    if not shares_memory or items:
        with in_one_thread():
            work = prepare()
            while done < len(items) and first < _LOOK and not stopped():
                batch = done_here(work, items[done : done + 1])
                first, done = first + batch.seconds, done + 1
                yield from _values(batch.outcomes)
    workers = effective_n_jobs(jobs)
    size = _batch(0.25, first / max(done, 1), len(items) - done, workers)

    def tasks() -> Iterator[Any]:
        for begin in range(done, len(items), size):
            if halted or stopped():
                return
            some = items[begin : begin + size]
            if shares_memory:
                yield delayed(done_by)(prepare, some)
            elif type(backend).__name__ == "LokyBackend":
                yield delayed(done_from_file)(parcel_of(prepare).key, parcel_of(prepare).path, some)
            else:
                yield delayed(done_from_bytes)(parcel_of(prepare).key, parcel_of(prepare).content, some)

    results = Parallel(n_jobs=jobs, prefer="threads", return_as="generator", pre_dispatch="n_jobs")(tasks())
    try:
        for batch in results:
            yield from _values(batch.outcomes)
    finally:
        halted = True
        for _ in results:  # where something was raised: wait for what is under way
            pass


def _values(outcomes: Sequence[Outcome]) -> Iterator[Any]:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        yield outcome.value


def _batch(seconds: float, per_item: float, left: int, workers: int) -> int:
    """How many pieces make a batch of some seconds; fewer towards the end, so that all are done at the same time."""
    many = int(seconds / per_item) if per_item > 0 else 1
    return max(1, min(many, -(-left // (2 * workers))))


class _Ledger:
    """Which pieces are open, under way and done.

    Attributes
    ----------
    spent : float
        Seconds of work so far, wherever it was done.
    shown : int
        Results that were handed on.
    """

    def __init__(self, items: Sequence[Any]):
        self._items = items
        self._next, self._back = 0, deque[int]()
        self._done: dict[int, Outcome] = {}
        self._under_way: dict[Future[Batch], list[int]] = {}
        self.spent, self.shown, self._timed = 0.0, 0, 0

    @property
    def left(self) -> int:
        """Pieces that nobody has yet."""
        return len(self._items) - self._next + len(self._back)

    @property
    def open(self) -> bool:
        """Whether there are any."""
        return self.left > 0

    @property
    def under_way(self) -> bool:
        """Whether others have some."""
        return bool(self._under_way)

    @property
    def per_item(self) -> float:
        """Seconds that a piece takes, 0 where that is not known yet."""
        return self.spent / self._timed if self._timed else 0.0

    def _take(self, count: int) -> list[int]:
        taken = [self._back.popleft() for _ in range(min(count, len(self._back)))]
        more = min(count - len(taken), len(self._items) - self._next)
        taken += range(self._next, self._next + more)
        self._next += more
        return taken

    def do_one(self, work: Work) -> None:
        """Do the first of the open pieces here."""
        numbers = self._take(1)
        self._enter(numbers, done_here(work, [self._items[numbers[0]]]))

    def hand_out(self, place: Place) -> None:
        """Give a place as much as it takes."""
        room = place.room()
        while self.open and len(self._under_way) < room:
            numbers = self._take(_batch(place.seconds, self.per_item, self.left, place.workers + 1))
            self._under_way[place.give([self._items[number] for number in numbers])] = numbers

    def wait(self, seconds: float) -> None:
        """Wait for others, at most so long."""
        wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)

    def collect(self, place: Place | None) -> None:
        """Take what others have done; what was lost is open again."""
        lost = False
        for future in [one for one in self._under_way if one.done()]:
            numbers, error = self._under_way.pop(future), future.exception()
            if error is None:
                self._enter(numbers, future.result())
            elif isinstance(error, Lost):
                self._back.extend(numbers)
                lost = True
            else:
                self._done[numbers[0]] = Outcome(None, error)
        if lost and isinstance(place, Workers):
            place.again()

    def ready(self) -> Iterator[Any]:
        """Results whose turn it is; raises what a piece raised."""
        while self.shown in self._done:
            outcome = self._done.pop(self.shown)
            self.shown += 1
            yield from _values([outcome])

    def give_up(self) -> None:
        """Nothing more is wanted."""
        for future in self._under_way:
            future.cancel()

    def _enter(self, numbers: Sequence[int], batch: Batch) -> None:
        self._done.update(zip(numbers, batch.outcomes, strict=False))
        self.spent, self._timed = self.spent + batch.seconds, self._timed + len(batch.outcomes)
