"""How long this process has been compiling: what a fit takes is told without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


class _Clock(event.Listener):  # type: ignore[misc]
    """Adds up the time in which anything is compiled, by thread; what is compiled within something else counts once."""

    def __init__(self) -> None:
        self._here = threading.local()

    def on_start(self, event: Any) -> None:
        depth = getattr(self._here, "depth", 0)
        if depth == 0:
            self._here.begun = time.perf_counter()
        self._here.depth = depth + 1

    def on_end(self, event: Any) -> None:
        self._here.depth -= 1
        if self._here.depth == 0:
            self._here.spent = self.spent + time.perf_counter() - self._here.begun

    @property
    def spent(self) -> float:
        """By this thread, in seconds."""
        return float(getattr(self._here, "spent", 0.0))


_clock = _Clock()
event.register("numba:compile", _clock)


def seconds_compiling() -> float:
    """Since this thread began."""
    return _clock.spent


@contextmanager
def compiling() -> Iterator[None]:
    """What is done within it counts."""
    _clock.on_start(None)
    try:
        yield
    finally:
        _clock.on_end(None)
