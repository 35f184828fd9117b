"""Predictions of structures that are equations, with exact first and second derivatives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data.events import DOSE, RESET, RESET_AND_DOSE
from workbench.engine.predictions import jets
from workbench.engine.predictions.chain import Program, apply, room
from workbench.engine.predictions.compiled import program, programs
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.machine import Image, inner, kernel, view
from workbench.engine.predictions.predictor import Predictor, Single, single_of
from workbench.engine.predictions.schedule import Schedule
from workbench.model.kinetics import Explicit

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SECONDS_A_RECORD = 1e-7


@kernel
def _doses(start, time, kind, amount, last, since):
    """Amount of the last dose and time since it, at each event; 0 and 0 before the first, and after a reset."""
    for i in range(start.shape[0] - 1):
        given, at = 0.0, np.nan
        for e in range(start[i], start[i + 1]):
            if kind[e] in (RESET, RESET_AND_DOSE):
                given, at = 0.0, np.nan
            if kind[e] in (DOSE, RESET_AND_DOSE):
                given, at = amount[e], time[e]
            last[e] = given
            since[e] = time[e] - at if at == at else 0.0  # noqa: PLR0124


class Subjects(NamedTuple):
    """What the kernel takes; names as in `Schedule` and `DesignRows`. It works in z, v and out."""

    start: Index
    row: Index
    slot: Index
    response: Index
    known: Array
    outputs: Program
    z: Array
    v: Array
    out: Array
    C: Array
    offset: Array
    transform: Index
    lower: Array
    upper: Array


def predict_subject(arguments, i, u, order, first, f, fu, fuu):
    """See `Single`."""
    a = arguments[0]
    D = a.C.shape[2]
    _predict(i, a, view(u, (D,)), order, first, view(f, (1,)), view(fu, (1, D)), view(fuu, (1, D, D)))
    return 0


@inner
def _predict(i, a, u, order, first, f, fu, fuu):
    D, stride = u.shape[0], a.z.shape[1]
    flat = a.z.reshape(-1)
    current = -1
    for e in range(a.start[i], a.start[i + 1]):
        if a.slot[e] < 0:
            continue
        if a.row[e] != current:
            current = a.row[e]
            jets.natural(current, u, a.C, a.offset, a.transform, a.lower, a.upper, order, a.z)
        apply(a.outputs, flat, stride, a.known[e], a.v, a.out, D, order)
        at = a.response[e] * stride
        jets.store(a.out[at : at + stride], a.slot[e] - first, f, fu, fuu, D, order)


class EquationPredictor(Predictor):
    """Fills predictions of explicit equations; see `Predictor`.

    Parameters
    ----------
    equations : Explicit
    schedule : Schedule
    design : DesignRows

    Attributes
    ----------
    known : float64[events, 3 + columns]
        t, dose, tad and the values of `structure.columns` at each event.
    """

    def __init__(self, equations: Explicit, schedule: Schedule, design: DesignRows):
        self._module = programs(equations)
        self._program = program(self._module, "response")
        self._schedule, self._design = schedule, design
        n = len(schedule.time)
        known = np.empty((n, 3 + len(equations.columns)))
        last, since = np.empty((2, n))
        _doses(schedule.start, schedule.time, schedule.kind, schedule.amount, last, since)
        known[:, 0], known[:, 1], known[:, 2] = schedule.time, last, since
        known[:, 3:] = design.covariates[design.row]
        self.known = known

    def single(self, attempt: int = 0) -> Single:
        """The equations at every record."""
        s, design = self._schedule, self._design
        D = design.C.shape[2]
        length = int(jets.size(D))
        subjects = Subjects(
            s.start, design.row, s.slot, s.response, self.known, self._program,
            np.zeros((len(design.transform), length)), np.empty(room(self._program, D)),
            np.empty(self._program.outputs * length),
            design.C, design.offset, design.transform, design.lower, design.upper,
        )  # fmt: skip
        return single_of(predict_subject, Image(subjects))

    def seconds(self, order: int) -> float:
        """By the number of records."""
        records = len(self._schedule.time) / max(1, self._schedule.n_subjects)
        return float(records * _SECONDS_A_RECORD * (1 + order) * (1 + self._design.C.shape[2]) / 4)
