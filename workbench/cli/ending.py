"""A server ends when it is told to, whatever hangs."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

_ENDING = (signal.SIGTERM, signal.SIGINT)
_AT_ONCE = getattr(signal, "SIGKILL", signal.SIGTERM)  # without SIGKILL, SIGTERM cannot be refused either


@contextmanager
def ending_at_a_signal(begun: Callable[[], Iterable[int]], patience: float = 4.0) -> Iterator[None]:
    """Within it SIGTERM and SIGINT end this process and those that it began, within seconds, whatever hangs.

    The first signal interrupts what runs, as Ctrl-C does, so that it can put things in order. When patience is at an
    end, what it may wait for is killed; when it is so again, the process ends. That is the work of a thread which the
    signal itself wakes: a handler in Python runs in the main thread, and that may be what hangs.

    Parameters
    ----------
    begun : callable
        Says which processes are to end as well.
    patience : float
        Seconds.
    """
    import threading

    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    over = threading.Event()

    def kill() -> None:
        for process in begun():
            with suppress(OSError):
                os.kill(process, _AT_ONCE)

    def watch() -> None:
        while (heard := ears.recv(1)) and heard[0] not in _ENDING:
            pass
        if heard and not over.wait(patience):
            kill()
            if not over.wait(patience):
                os.kill(os.getpid(), _AT_ONCE)

    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDING}
    woken = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        kill()
        over.set()
        signal.set_wakeup_fd(woken)
        mouth.close()
        for number, handler in before.items():
            signal.signal(number, handler)
