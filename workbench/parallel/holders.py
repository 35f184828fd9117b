"""Objects that stay where they are and answer: each holds its part of what is too large for one machine."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, NamedTuple

from workbench.errors import FitError
from workbench.parallel.alone import in_one_thread
from workbench.parallel.clusters import client as the_client
from workbench.parallel.parcel import Parcel
from workbench.parallel.places import Lost, answered

_LOOK = 0.5  # seconds between looks whether a worker is still there
_PATIENCE = 120.0  # seconds without any worker
_LIVES = 6  # times that a holder is made anew in one question

_objects: dict[str, Any] = {}  # of this worker


class _Missing(NamedTuple):
    """The answer of a worker that does not hold the object."""


class Holders:
    """Some objects, each in one place: on workers of the cluster, or here without one.

    An object whose worker is lost is made again by another, and told again what all were told.

    Parameters
    ----------
    makes : sequence of callable
        Make the objects; they are sent to the workers, so they should carry where the data are rather than the data.

    Attributes
    ----------
    bytes_asked, bytes_answered : int
        Of the last question to one of them and of its answer, as they travel; 0 here.
    made : int
        Objects that were made, those that replace lost ones included.
    """

    def __init__(self, makes: Sequence[Callable[[], Any]]):
        self._makes, self._client = makes, the_client()
        self._here: list[Any] = [make() for make in makes] if self._client is None else []
        self._told: list[tuple[str, tuple[Any, ...]]] = []
        self._parcels = [Parcel(make) for make in makes] if self._client is not None else []
        self._session = hashlib.sha256(f"{id(self)} {time.time_ns()}".encode()).hexdigest()[:16]
        self._place: list[str] = [""] * len(makes)
        self.bytes_asked = self.bytes_answered = 0
        self.made = len(self._here)

    def __len__(self) -> int:
        return len(self._makes)

    def tell(self, name: str, *arguments: Any) -> list[Any]:
        """Ask all of them something that changes them; an object that is made later is asked it first."""
        answers = self.ask(name, *arguments)
        self._told.append((name, arguments))
        return answers

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """The answers of all, in their order.

        Raises
        ------
        FitError
            If the workers are lost again and again.
        Exception
            What one of them raises.
        """
        return self.ask_each(name, [arguments] * len(self))

    def ask_one(self, number: int, name: str, *arguments: Any) -> Any:
        """The answer of one of them."""
        return self._asked({number: arguments}, name)[number]

    def ask_each(self, name: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers of all to questions of their own."""
        found = self._asked(dict(enumerate(arguments)), name)
        return [found[number] for number in range(len(self))]

    def close(self) -> None:
        """Let go of the objects."""
        self._here.clear()
        if self._client is not None and self._client.status == "running":
            with contextlib.suppress(Exception):  # a worker that is gone holds nothing
                self._client.run(_forget, self._session)

    def _asked(self, arguments: dict[int, tuple[Any, ...]], name: str) -> dict[int, Any]:
        if self._client is None:
            return {number: getattr(self._here[number], name)(*given) for number, given in arguments.items()}
        found: dict[int, Any] = {}
        under_way: dict[Future[Any], tuple[int, Any]] = {}
        lives, alone_since = dict.fromkeys(arguments, _LIVES), time.monotonic()

        def send(number: int, whole: bool) -> None:
            ours, theirs = self._sent(number, name, arguments[number], whole)
            under_way[ours] = number, theirs

        for number in arguments:
            send(number, whole=not self._place[number])
        while under_way:
            done, _ = wait(under_way, timeout=_LOOK, return_when=FIRST_COMPLETED)
            again: list[int] = []
            for future in done:
                number, _ = under_way.pop(future)
                error = future.exception()
                if isinstance(error, Lost):
                    again.append(number)
                elif error is not None:
                    raise error
                elif isinstance(future.result(), _Missing):
                    send(number, whole=True)
                else:
                    found[number] = future.result()
            if not done:
                there = self._client.nthreads()
                alone_since = time.monotonic() if there else alone_since
                if time.monotonic() - alone_since > _PATIENCE:
                    raise FitError("The cluster has lost all its workers, and no other has come.")
                for future, (number, theirs) in list(under_way.items()) if there else []:
                    if self._place[number] not in there:
                        del under_way[future]
                        theirs.cancel()
                        again.append(number)
            for number in again:
                lives[number] -= 1
                if lives[number] < 0:
                    raise FitError("A part of the data was lost again and again: is the memory of a worker too small?")
                self._place[number] = ""
                send(number, whole=True)
        return found

    def _sent(self, number: int, name: str, arguments: tuple[Any, ...], whole: bool) -> tuple[Future[Any], Any]:
        key = f"{self._session} {number}"
        if not self._place[number]:
            self._place[number] = self._nearest(number)
        content, told = (self._parcels[number].content, tuple(self._told)) if whole else (None, ())
        self.made += whole
        question = pickle.dumps((name, arguments))
        theirs = self._client.submit(
            _answer, key, content, told, question, pure=False, workers=[self._place[number]], allow_other_workers=False
        )
        ours: Future[Any] = answered(theirs)
        self.bytes_asked = len(key) + len(question)

        return _unpacked(self, ours), theirs

    def _nearest(self, number: int) -> str:
        """The worker that has the fewest of the objects."""
        end = time.monotonic() + _PATIENCE
        while not (there := sorted(self._client.nthreads())):
            if time.monotonic() > end:
                raise FitError("The cluster has no worker.")
            time.sleep(_LOOK)
        nearest: str = min(there, key=lambda address: (self._place.count(address), address))
        return nearest


def _unpacked(holders: Holders, packed: Future[Any]) -> Future[Any]:
    """The answer out of its bytes, whose number is noted."""
    ours: Future[Any] = Future()

    def done(found: Future[Any]) -> None:
        error = found.exception()
        if error is not None:
            ours.set_exception(error)
            return
        holders.bytes_answered = len(found.result())
        ours.set_result(pickle.loads(found.result()))

    packed.add_done_callback(done)
    return ours


def _answer(key: str, content: bytes | None, told: tuple[tuple[str, tuple[Any, ...]], ...], question: bytes) -> bytes:
    """On a worker: what the object says; makes it first where its content comes along."""
    name, arguments = pickle.loads(question)
    with in_one_thread():
        if content is not None:
            _objects[key] = pickle.loads(content)()
            for said, given in told:
                getattr(_objects[key], said)(*given)
        if key not in _objects:
            return pickle.dumps(_Missing())
        return pickle.dumps(getattr(_objects[key], name)(*arguments), protocol=pickle.HIGHEST_PROTOCOL)


def _forget(session: str) -> None:
    for key in [key for key in _objects if key.startswith(session)]:
        _objects.pop(key, None)
