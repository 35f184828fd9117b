"""How long this process has been compiling: what a fit takes is told without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Clock:
    """Adds up the time in which anything is compiled, by thread; what is compiled within something else counts once."""

    def __init__(self) -> None:
        self._here = threading.local()
        self.under_way, self.parts = 0, 0

    def begin(self) -> None:
        depth = getattr(self._here, "depth", 0)
        if depth == 0:
            self._here.begun = time.perf_counter()
            self.under_way += 1
        self._here.depth = depth + 1

    def end(self) -> None:
        self._here.depth -= 1
        self.parts += 1
        if self._here.depth == 0:
            self.under_way -= 1
            self._here.spent = self.spent + time.perf_counter() - self._here.begun

    @property
    def spent(self) -> float:
        """By this thread, in seconds."""
        return float(getattr(self._here, "spent", 0.0))


_clock = _Clock()


def seconds_compiling() -> float:
    """Since this thread began."""
    return _clock.spent


def parts_compiled() -> int:
    """By this process, so far."""
    return _clock.parts


def is_compiling() -> bool:
    """Whether any thread is."""
    return _clock.under_way > 0


@contextmanager
def compiling() -> Iterator[None]:
    """What is done within it counts."""
    _clock.begin()
    try:
        yield
    finally:
        _clock.end()
