"""Whether a thread works beside others that do the same: then it uses no further threads or processes itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Within it, this thread does all by itself: what runs side by side would only wait for each other."""
    before = is_alone()
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = before


def is_alone() -> bool:
    """Whether this thread is to do all by itself."""
    return getattr(_here, "alone", False)
