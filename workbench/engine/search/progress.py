"""What the callback of a fit is told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from numpy import float64
from numpy.typing import NDArray

from workbench.engine.objectives.objective import Evaluation
from workbench.engine.predictions.compiling import seconds_compiling
from workbench.engine.problem.scale import Scale
from workbench.engine.search.optimise import Watch
from workbench.results.fit import Progress

Array = NDArray[float64]
Callback = Callable[[Progress], object]


class Reports:
    """Calls the callback, and keeps the time since the fit began.

    Parameters
    ----------
    callback : callable, optional
        Called with a `Progress`; something true stops the work.
    """

    def __init__(self, callback: Callback | None):
        self._callback, self._begun, self._compiled = callback, time.perf_counter(), seconds_compiling()
        self._part = 0, 0

    @property
    def seconds(self) -> float:
        """Since the fit began, without what this thread had to compile first."""
        return time.perf_counter() - self._begun - (seconds_compiling() - self._compiled)

    def part(self, done: int, total: int) -> None:
        """How much of the work is done from now on: for what consists of a known number of parts."""
        self._part = done, total

    def tell(self, iteration: int, ofv: float, parameters: dict[str, float], etas: Array) -> bool:
        """Whether to stop."""
        if self._callback is None:
            return False
        return bool(self._callback(Progress(iteration, ofv, parameters, self.seconds, etas, *self._part)))

    def watch(self, scale: Scale, after: int = 0) -> Watch:
        """What a search calls after each of its iterations, which are counted on from `after`."""
        labels = [name.label for name in scale.quantities]

        def tell(iteration: int, at: Evaluation) -> bool:
            if self._callback is None:
                return False
            parameters = dict(zip(labels, scale.estimates(at.x).tolist(), strict=True))
            return self.tell(after + iteration, at.ofv, parameters, at.eta)

        return tell
