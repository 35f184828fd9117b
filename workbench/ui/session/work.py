"""Work that takes its time: what is asked for, how much of it is done, and the thread that does it."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.model import Model


class Job:
    """Work in a thread; it reports snapshots and learns from the answer whether to stop."""

    def __init__(self, work: Callable[[Callable[[Any], bool]], Any]):
        self._work = work
        self._lock = threading.Lock()
        self._snapshots: deque[Any] = deque(maxlen=64)
        self.stopped = False
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="workbench-fit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Block until its thread has ended."""
        self._thread.join()

    def stop(self) -> None:
        """Ask the work to end at its next report."""
        self.stopped = True

    def latest(self) -> Any:
        """The last snapshot; None before the first."""
        with self._lock:
            return self._snapshots[-1] if self._snapshots else None

    def spread(self, count: int) -> list[Any]:
        """At most `count` snapshots, evenly from the first to the last of those kept."""
        with self._lock:
            kept = list(self._snapshots)
        if len(kept) <= count:
            return kept
        return [kept[round(i * (len(kept) - 1) / (count - 1))] for i in range(count)]

    def _report(self, snapshot: Any) -> bool:
        with self._lock:
            self._snapshots.append(snapshot)
        return self.stopped

    def _run(self) -> None:
        try:
            self.result = self._work(self._report)
        except BaseException as error:  # shown in the panel, whatever it is
            self.error = error
        finally:
            self.done.set()


@dataclass(frozen=True)
class Portion:
    """How much of some work is done: the snapshot of what is no single fit.

    Attributes
    ----------
    done, total : int
        `total` is 0 where it is not known.
    seconds : float
        Since it began.
    """

    done: int
    total: int
    seconds: float

    @property
    def left(self) -> float:
        """Seconds that the rest will take; NaN where that is not known."""
        return self.seconds / self.done * (self.total - self.done) if self.done and self.total else math.nan


@dataclass(frozen=True)
class Request:
    """Work to be done.

    Attributes
    ----------
    title : str
        What the status line calls it; "" for a fit.
    work : callable
        Takes what to report snapshots to, a `Progress` or a `Portion`; told to stop, it returns what there is.
    done : callable
        Brings what it returned into the state.
    model : Model or None
        What is fitted.
    unsaid : float
        Seconds for which nothing is said of it: what is done by then is shown as if it had taken no time.
    """

    title: str
    work: Callable[[Callable[[Any], bool]], Any]
    done: Callable[[Any], None]
    model: Model | None = None
    unsaid: float = 0.0
