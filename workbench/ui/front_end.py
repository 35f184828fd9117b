"""How far the browser is with what was sent to it."""

from __future__ import annotations

import threading
from typing import Any

from ipywidgets import IntText, jslink


class FrontEnd:
    """How far the browser is: a number sent to it comes back when it has worked through all that was sent before.

    Where there is no browser nothing comes back: after one time-out it is no longer waited for, until something does.
    """

    WINDOW = 2
    TIMEOUT = 1.0

    def __init__(self) -> None:
        self._there, self._back = IntText(), IntText()
        self._link = jslink((self._there, "value"), (self._back, "value"))
        self._news = threading.Condition()
        self._present = True
        self._back.observe(self._returned, "value")

    def _returned(self, change: Any) -> None:
        with self._news:
            self._present = True
            self._news.notify_all()

    def keep_pace(self) -> None:
        """Return when the browser is at most `WINDOW` redraws behind."""
        self._there.value += 1
        with self._news:
            if self._present:
                self._present = self._news.wait_for(
                    lambda: self._there.value - self._back.value < self.WINDOW, self.TIMEOUT
                )
