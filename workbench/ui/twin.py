"""A second output of the cell that shows a Workbench: what is seen where there is no kernel.

JupyterLab prefers the view of a widget to all that stands beside it, and shows an error where the widget is gone. So
the static picture is an output of its own, above the panels and renewed after each fit; it is hidden while panels live
below it, and hides the error where they do not.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

from workbench.markup import Html, tag
from workbench.ui.living import in_kernel
from workbench.ui.session.state import State
from workbench.ui.session.static import as_html

log = logging.getLogger(__name__)
_FOLLOWS = frozenset({"run", "data"})
_HERE = ".jp-OutputArea-child:has(.wb-twin)"
_STYLE = f"""
{_HERE}:has(+ .jp-OutputArea-child .wb) {{ display: none; }}
{_HERE} + .jp-OutputArea-child:has(.jupyter-widgets):not(:has(.jupyter-widgets *)) {{ display: none; }}
.wb-twin table {{ border-collapse: collapse; }}
.wb-twin p {{ margin: 4px 0; }}
.wb-twin img {{ margin: 4px 8px 4px 0; }}
"""


class Twin:
    """The static picture of a Workbench in a notebook.

    Parameters
    ----------
    state : State
        Watched from when it is first shown.
    """

    def __init__(self, state: State):
        self._state = state
        self._name = f"workbench-{uuid4().hex}"
        self._there = False

    @property
    def html(self) -> Html:
        """What it shows now."""
        with self._state.lock:
            return tag("div", Html(f"<style>{_STYLE}</style>"), as_html(self._state), class_="wb-twin")

    def show(self) -> None:
        """Put it above what is shown next, where this is a notebook."""
        if not in_kernel():
            return
        self._publish("display")
        if not self._there:
            self._there = True
            self._state.watch(self._follow)

    def _follow(self, changed: frozenset[str]) -> None:
        if not changed & _FOLLOWS:
            return
        if self._state.background is None:
            self._renew()
        else:
            self._state.background("twin", self._renew)

    def _renew(self) -> None:
        try:
            self._publish("update_display")
        except Exception:  # the panels are what counts
            log.exception("the static picture could not be renewed")

    def _publish(self, how: str) -> None:
        from IPython import display

        publish: Any = getattr(display, how)
        publish({"text/html": self.html, "text/plain": ""}, raw=True, display_id=self._name)
