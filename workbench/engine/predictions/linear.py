"""Predictions of linear compartment models: by `closed` where that serves, by `compartments` elsewhere."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from workbench.engine.predictions import closed
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.machine import Image
from workbench.engine.predictions.predictor import Predictor, Single, abreast_of, single_of
from workbench.engine.predictions.schedule import Schedule
from workbench.engine.predictions.shape import ways_of
from workbench.engine.predictions.translation import MANY
from workbench.model.kinetics import Kinetics

if TYPE_CHECKING:
    from workbench.engine.predictions.compartments import General

_SECONDS_A_LOOK, _SECONDS_A_RECORD = 1e-8, 5e-8


class LinearPredictor(Predictor):
    """Predictions of a linear compartment model: simply; in general by modes; by matrices.

    Parameters
    ----------
    kinetics : Kinetics
        With `is_linear`.
    schedule : Schedule
    design : DesignRows
    simply : bool
        False leaves out the first attempt.

    Raises
    ------
    FitError
        If there are more doses than can be followed.
    """

    def __init__(self, kinetics: Kinetics, schedule: Schedule, design: DesignRows, simply: bool = True) -> None:
        self.kinetics, self.schedule, self.design, self.slot = kinetics, schedule, design, schedule.slot
        ways = ways_of(kinetics)
        self.course = closed.course_of(schedule, design.row, design.origin, ways)
        self.places, self.size = closed.places_of(kinetics, closed.routes_in(ways))
        self.third = closed.third_of(kinetics)
        simply = simply and bool(self.course.covered.any())
        self.attempts = 3 if simply else 2
        if not (simply and self.course.covered.all()):
            self.general  # noqa: B018 - what it cannot follow it says now

    @cached_property
    def general(self) -> General:
        """Serves everybody; takes long to compile."""
        from workbench.engine.predictions.compartments import General

        return General(self.kinetics, self.schedule, self.design)

    def single(self, attempt: int = 0) -> Single:
        """See `Predictor`."""
        attempt += 3 - self.attempts
        if attempt:
            return self.general.single(by_matrices=attempt == 2)
        return single_of(closed.predict_subject, self._simple(np.float64))

    @property
    def goes_abreast(self) -> bool:  # type: ignore[override]
        """See `Predictor`."""
        return self.attempts == 3 and self.third is None

    def abreast(self) -> Single:
        """See `Predictor`."""
        return abreast_of(closed.predict_subject, self._simple(MANY))

    def _simple(self, number: DTypeLike) -> Image:
        design = self.design
        work = closed.work_of(self.size, design.C.shape[2], number)
        return Image(closed.Subjects(
            self.course, self.places, self.third, design.C, design.offset, design.transform, design.lower,
            design.upper, work,
        ))  # fmt: skip

    def seconds(self, order: int) -> float:
        """By the number of records."""
        number = len(self.schedule.time) / max(1, self.schedule.n_subjects)
        return number * (1 + order) * (_SECONDS_A_LOOK if self.attempts == 3 else _SECONDS_A_RECORD)
