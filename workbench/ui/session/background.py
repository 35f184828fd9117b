"""Work beside the callbacks of the panels, for what takes longer than a person should wait for a widget."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Background:
    """A thread that does one thing after the other; of what is asked for by one name only the latest."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: dict[str, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, name: str, work: Callable[[], None]) -> None:
        """Have some work done; what the same name asked for and has not begun is not done any more."""
        with self._changed:
            if self._closed:
                return
            self._asked[name] = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="workbench-background", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Begin nothing any more."""
        with self._changed:
            self._closed = True
            self._asked.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is nothing to do; False if there still is after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._thread is None

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._asked:
                    self._thread = None
                    self._changed.notify_all()
                    return
                work = self._asked.pop(next(iter(self._asked)))
            try:
                work()
            except Exception:  # work reports its own failures
                log.exception("unexpected")
