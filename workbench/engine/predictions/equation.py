"""Predictions of structures that are equations, with exact first and second derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.data.events import DOSE, RESET, RESET_AND_DOSE
from workbench.engine.predictions import jets
from workbench.engine.predictions.chain import apply, room
from workbench.engine.predictions.compiled import program, programs
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.jets import kernel
from workbench.engine.predictions.schedule import Schedule
from workbench.engine.predictions.threads import over_subjects
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


@kernel
def _predict(
    subjects, start, row, slot, response, known, outputs, z, v, out,
    u, C, offset, transform, lower, upper, order, f, fu, fuu,
):  # fmt: skip
    D, stride = u.shape[1], z.shape[1]
    flat = z.reshape(-1)
    for which in range(subjects.shape[0]):
        i = subjects[which]
        current = -1
        for e in range(start[i], start[i + 1]):
            if slot[e] < 0:
                continue
            if row[e] != current:
                current = row[e]
                jets.natural(current, u[i], C, offset, transform, lower, upper, order, z)
            apply(outputs, flat, stride, known[e], v, out, D, order)
            first = response[e] * stride
            jets.store(out[first : first + stride], slot[e], f, fu, fuu, D, order)


class EquationPredictor:
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

    def predict(self, subjects: Index, u: Array, order: int, f: Array, fu: Array, fuu: Array) -> None:
        """Fill f and its derivatives up to `order` for some subjects at their coordinates u."""
        s, design = self._schedule, self._design

        def task(part: Index) -> None:
            D, length = u.shape[1], int(jets.size(u.shape[1]))
            z, v = np.zeros((len(design.transform), length)), np.empty(room(self._program, D))
            out = np.empty(self._program.outputs * length)
            _predict(
                part, s.start, design.row, s.slot, s.response, self.known, self._program, z, v, out,
                u, design.C, design.offset, design.transform, design.lower, design.upper, order, f, fu, fuu,
            )  # fmt: skip

        records = len(s.time) * len(subjects) / max(1, s.n_subjects)
        over_subjects(task, subjects, records * _SECONDS_A_RECORD * (1 + order) * (1 + u.shape[1]) / 4)
