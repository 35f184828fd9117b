"""Each method's way from a problem to its estimates, through the objectives and searches below."""

from __future__ import annotations

from typing import Any

from workbench.engine.methods.gradient import ByGradient
from workbench.engine.methods.integration import ByIntegration
from workbench.engine.methods.stages import BySubject, ByTwoStages
from workbench.engine.methods.stochastic import BySaem
from workbench.engine.methods.way import Ended, Task, Way
from workbench.methods import Method

__all__ = ["Ended", "Task", "Way", "way_of"]

_WAYS: dict[str, Way] = {
    type(way).__name__: way for way in (ByGradient(), ByIntegration(), BySaem(), BySubject(), ByTwoStages())
}


def way_of(method: Method) -> Way:
    """How a method is done: the way of the engine that it names, or the one that it brings."""
    way: Any = method.way
    found: Way = _WAYS[way] if isinstance(way, str) else way
    return found
