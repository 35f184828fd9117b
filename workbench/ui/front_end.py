"""How far the browser is with what was sent to it."""

from __future__ import annotations

import json
import threading
from functools import cache
from importlib import resources
from typing import Any

from ipywidgets import IntText, jslink

from workbench import markup
from workbench.markup import Html
from workbench.ui.session.terms import TERMS


class FrontEnd:
    """How far the browser is: a number sent to it comes back when it has worked through all that was sent before.

    Where there is no browser nothing comes back: after one time-out it is no longer waited for, until something does.

    Attributes
    ----------
    seen : bool
        Something came back.
    """

    WINDOW = 2
    TIMEOUT = 1.0

    def __init__(self) -> None:
        self._there, self._back = IntText(), IntText()
        self._link = jslink((self._there, "value"), (self._back, "value"))
        self._news = threading.Condition()
        self._present, self.seen = True, False
        self._back.observe(self._returned, "value")

    def _returned(self, change: Any) -> None:
        with self._news:
            self._present = self.seen = True
            self._news.notify_all()

    def keep_pace(self) -> None:
        """Return when the browser is at most `WINDOW` redraws behind."""
        self._there.value += 1
        with self._news:
            if self._present:
                self._present = self._news.wait_for(
                    lambda: self._there.value - self._back.value < self.WINDOW, self.TIMEOUT
                )


_ICON = (
    "<svg width='14' height='14' viewBox='0 0 14 14' fill='none' stroke='currentColor' stroke-width='1.5' "
    "aria-hidden='true'><path d='M1 5V1h4M9 1h4v4M13 9v4H9M5 13H1V9'/></svg>"
)


@cache
def behaviour() -> str:
    """What the page itself does for the room, as HTML that starts it when it is first shown; nothing of it is data."""
    script = resources.files("workbench.ui.figures").joinpath("room.js").read_text(encoding="utf-8")
    button = markup.tag(
        "button", Html(_ICON), class_="wb-full", type="button", title="fill the screen", aria_label="fill the screen"
    )
    begun = f"((start, terms) => {{ {script}\n}})(this, {json.dumps(TERMS, ensure_ascii=False)})"
    return markup.tag("span", button, class_="wb-behaviour", onanimationstart=begun)
