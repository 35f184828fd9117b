"""Work that travels: what prepares it is sent once, whoever does it keeps what was prepared, pieces come in batches."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from workbench.parallel.alone import in_one_thread

Work = Callable[[Any], Any]
Prepare = Callable[[], Work]

_KEPT = 2  # of what was prepared, in each thread of a worker
_here = threading.local()


class Outcome(NamedTuple):
    """What became of a piece of work: its result, or what it raised."""

    value: Any
    error: BaseException | None = None


class Batch(NamedTuple):
    """Outcomes of some pieces, in order; shorter than asked for where one raised.

    Attributes
    ----------
    seconds : float
        What they took, without what was prepared for them.
    """

    outcomes: list[Outcome]
    seconds: float


class Parcel:
    """What prepares the work, as bytes, under a name that follows from them.

    Attributes
    ----------
    content : bytes
    key : str
    """

    def __init__(self, prepare: Prepare):
        self.content = _dumps(prepare)
        self.key = hashlib.sha256(self.content).hexdigest()

    @cached_property
    def path(self) -> str:
        """A file with the content, for other processes of this machine; it goes with the parcel."""
        handle, path = tempfile.mkstemp(prefix="workbench-", suffix=".parcel")
        with os.fdopen(handle, "wb") as file:
            file.write(self.content)
        weakref.finalize(self, _removed, path)
        return path


def parcel_of(prepare: Prepare) -> Parcel:
    """The parcel of what prepares some work; the same one as long as that is there."""
    try:
        found = _parcels.get(prepare)
        if found is None:
            found = _parcels[prepare] = Parcel(prepare)
    except TypeError:  # no weak reference to it
        return Parcel(prepare)
    return found


_parcels: weakref.WeakKeyDictionary[Prepare, Parcel] = weakref.WeakKeyDictionary()


def done_here(work: Work, items: Sequence[Any]) -> Batch:
    """Do some pieces of prepared work in this thread, up to the first that raises."""
    outcomes: list[Outcome] = []
    begun = time.perf_counter()
    for item in items:
        try:
            outcomes.append(Outcome(work(item)))
        except Exception as error:  # handed to who asked
            outcomes.append(Outcome(None, error))
            break
    return Batch(outcomes, time.perf_counter() - begun)


def done_from_file(key: str, path: str, items: Sequence[Any]) -> Batch:
    """Do some pieces in a process of the same machine; none of them only prepares."""

    def read() -> bytes:
        with open(path, "rb") as file:
            return file.read()

    return _done(key, read, items)


def done_from_bytes(key: str, content: bytes, items: Sequence[Any]) -> Batch:
    """Do some pieces somewhere else."""
    return _done(key, lambda: content, items)


def done_by(prepare: Prepare, items: Sequence[Any]) -> Batch:
    """Do some pieces in another thread of this process."""
    if getattr(_here, "prepared", (None, None))[0] is not prepare:
        _here.prepared = prepare, prepare()
    with in_one_thread():
        return done_here(_here.prepared[1], items)


def _done(key: str, content: Callable[[], bytes], items: Sequence[Any]) -> Batch:
    kept: OrderedDict[str, Work] = _here.__dict__.setdefault("kept", OrderedDict())
    with in_one_thread():
        if key not in kept:
            kept[key] = pickle.loads(content())()
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return done_here(kept[key], items)


def _dumps(prepare: Prepare) -> bytes:
    """Pickled, with what is defined in a notebook."""
    try:
        import cloudpickle
    except ImportError:  # joblib brings its own up to 1.5
        from joblib.externals import cloudpickle
    content: bytes = cloudpickle.dumps(prepare, protocol=pickle.HIGHEST_PROTOCOL)
    return content


def _removed(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
