"""Predictions of structures that are differential equations, with exact first and second derivatives.

A subject is taken from happening to happening (see `timeline`) by the integrators (`explicit`, `implicit`), its states
with their derivatives as jets (see `flow`). Where a solve fails, the predictions of that subject are NaN, and
`OdePredictor.failed` says why.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data.events import DOSE, RESET_AND_DOSE
from workbench.engine.predictions import jets
from workbench.engine.predictions.chain import NO, Program, apply
from workbench.engine.predictions.chain import room as space_of
from workbench.engine.predictions.compiled import program, programs
from workbench.engine.predictions.design import DesignRows
from workbench.engine.predictions.explicit import TABLEAU as EXPLICIT
from workbench.engine.predictions.flow import (
    DONE,
    FRESH,
    NOT_FINITE,
    REASONS,
    START,
    STIFF,
    TOO_MANY_STEPS,
    Flow,
    new_flow,
    set_time,
)
from workbench.engine.predictions.implicit import TABLEAU as IMPLICIT
from workbench.engine.predictions.machine import Image, inlined, inner, view
from workbench.engine.predictions.predictor import Predictor, Single, single_of
from workbench.engine.predictions.schedule import Schedule
from workbench.engine.predictions.steady import new_spare, steady
from workbench.engine.predictions.timeline import (
    BOLUS,
    RATE,
    RECORD,
    RESET,
    STEADY,
    Course,
    Route,
    Routes,
    Timeline,
    blank,
    course_of,
    entries_of,
    room,
    routes_of,
    unfold,
)
from workbench.engine.predictions.travel import begin, give, go
from workbench.model.kinetics import Differential

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SECONDS_A_RECORD = 2e-6
_BRINK = 1e-28  # how near to a pole of the rates at 0 they are taken: integrable ones need no more


class System(NamedTuple):
    """What a structure is to the kernels.

    Attributes
    ----------
    derived, rates, response : Program
    initial : int64[n]
        The quantity that is the initial value of each state, -1 for 0.
    dosing : int64[columns]
        The quantities that are shares, lags and durations, in the order in which the routes name them.
    """

    derived: Program
    rates: Program
    response: Program
    initial: Index
    dosing: Index


class Room(NamedTuple):
    """What a thread works in.

    Attributes
    ----------
    flow : Flow
    line : Timeline
    table : float64[entries, columns, size(D)]
        Quantities of doses, see `timeline.unfold`.
    p : float64[P, L]
        Parameters.
    answer : float64[responses · L]
    """

    flow: Flow
    line: Timeline
    table: Array
    p: Array
    answer: Array


class Rows(NamedTuple):
    """Arrays of the `DesignRows` that give the parameters of a record, and where predictions go."""

    row: Index
    entry: Index
    slot: Index
    response: Index
    covariates: Array
    C: Array
    offset: Array
    transform: Index
    lower: Array
    upper: Array


@inner
def _quantities(r, u, system, rows, p, flow, D, order):
    """Put the derived quantities on a design row among the inputs of the programs."""
    N, L = flow.x.shape[0], flow.stretch.shape[1]
    jets.natural(r, u, rows.C, rows.offset, rows.transform, rows.lower, rows.upper, order, p)
    flat = p.reshape(-1)
    apply(system.derived, flat, L, rows.covariates[r], flow.v, flow.z[N + 3 * L :], D, order)
    for d in range(1, min(L, 1 + D)):
        flow.unit[d] = 0.0
        for m in range(p.shape[0]):
            if p[m, 0] != 0.0:
                flow.unit[d] = max(flow.unit[d], abs(p[m, d] / p[m, 0]))


@inlined
def _tabulate(i, u, course, system, rows, flow, table, p, D, order):
    """Put shares, lags and durations of the doses of a subject into the table that `unfold` reads."""
    L = flow.stretch.shape[1]
    at = flow.x.shape[0] + 3 * L
    row = NO - 1
    for e in range(course.start[i], course.start[i + 1]):
        if rows.entry[e, 0] >= 0 and rows.row[e] != row:
            row = rows.row[e]
            _quantities(row, u, system, rows, p, flow, D, order)
            for c in range(system.dosing.shape[0]):
                for lane in range(L):
                    table[rows.entry[e, 0], c, lane] = flow.z[at + system.dosing[c] * L + lane]


@inlined
def _give_up(i, course, rows, order, first, f, fu, fuu):
    """NaN at all records of a subject."""
    for e in range(course.start[i], course.start[i + 1]):
        j = rows.slot[e] - first
        if rows.slot[e] >= 0:
            f[j] = np.nan
            if order > 0:
                for d in range(fu.shape[1]):
                    fu[j, d] = np.nan
            if order > 1:
                for d in range(fu.shape[1]):
                    for c in range(fu.shape[1]):
                        fuu[j, d, c] = np.nan


class Subjects(NamedTuple):
    """What the kernel takes, for one order of derivatives.

    Attributes
    ----------
    stiff : 1 or None
        Whether by the implicit method.
    spare : Spare or None
        None: nothing is in steady state, and what finds one need not be compiled.
    watch : int
        1 where what is stiff is left to the next attempt.
    status : int64[N]
        How the solve ended; filled.
    """

    course: Course
    routes: Routes
    system: System
    rows: Rows
    room: Room
    spare: Any
    stiff: int | None
    watch: int
    status: Index


def predict_subject(arguments, i, u, order, first, f, fu, fuu):
    """See `Single`; there are arguments for each order."""
    a = arguments[order]
    D = a.rows.C.shape[2]
    _predict(
        i, a.course, a.routes, a.system, a.rows, a.room.flow, a.room.line, a.room.table, a.room.p, a.room.answer,
        a.spare, a.stiff, a.watch, view(u, (D,)), order, first, view(f, (1,)), view(fu, (1, D)), view(fuu, (1, D, D)),
        a.status,
    )  # fmt: skip
    return 1 if a.watch and (a.status[i] == STIFF or a.status[i] == TOO_MANY_STEPS) else 0


@inner
def _predict(
    i, course, routes, system, rows, flow, line, table, p, answer, spare, stiff, watch, u, order, first, f, fu, fuu,
    status,
):  # fmt: skip
    D, N, L = u.shape[0], flow.x.shape[0], flow.stretch.shape[1]
    flow.mode[:] = 0
    flow.last[0], flow.last[1] = np.nan, 0.0
    jets.clear(flow.peak)
    if system.dosing.shape[0] > 0:
        _tabulate(i, u, course, system, rows, flow, table, p, D, order)
    happenings = unfold(i, course, routes, rows.entry, table, D, order, line)
    row = before = NO - 1
    now, code = 0.0, DONE
    for h in range(happenings):
        k = line.order[h]
        item = line.pool[k]
        e, what = item.event, item.what
        if rows.row[e] != row:
            row = rows.row[e]
            _quantities(row, u, system, rows, p, flow, D, order)
            flow.mode[FRESH] = 0
        if h == 0 or what == RESET:
            begin(flow, system.initial)
            flow.last[0], flow.last[1] = np.nan, 0.0
        else:
            code = go(flow, line, 0.0, now, before, item.time, k, NO, stiff, watch, D, order)
        now, before = item.time, k
        if code == DONE and what in (BOLUS, RATE):
            give(flow, line, k, NO, D, order)
            if not np.isfinite(item.value):
                code = NOT_FINITE
        elif code == DONE and what == STEADY:
            flow.last[0], flow.last[1] = now - item.value, course.event[e].amount
            if spare is not None:
                added = course.event[e].steady_state == 2
                code = steady(flow, spare, system.initial, line, k, now, added, stiff, watch, D, order)
        if what == RECORD and course.event[e].kind in (DOSE, RESET_AND_DOSE):
            flow.last[0], flow.last[1] = now, course.event[e].amount
            flow.mode[FRESH] = 0
        if code == DONE and what == RECORD and rows.slot[e] >= 0:
            jets.copy(flow.x, flow.z[:N])
            flow.stretch[START, 0] = now
            set_time(flow, 0.0, D, order)
            apply(system.response, flow.z, L, flow.v, flow.v, answer, D, order)
            at = rows.response[e] * L
            jets.store(answer[at : at + L], rows.slot[e] - first, f, fu, fuu, D, order)
        if code != DONE:
            break
    status[i] = code
    if code != DONE:
        _give_up(i, course, rows, order, first, f, fu, fuu)


class OdePredictor(Predictor):
    """Fills predictions of differential equations; see `Predictor`.

    Parameters
    ----------
    equations : Differential
    schedule : Schedule
    design : DesignRows

    Attributes
    ----------
    status : int64[N]
        How the latest solve of each subject ended; 0 is well.
    """

    def __init__(self, equations: Differential, schedule: Schedule, design: DesignRows):
        self._module = module = programs(equations)
        derived, response = program(module, "derived"), program(module, "response")
        rates = program(module, "rates", brink=_BRINK)
        columns: list[int] = []

        def column(place: int) -> int:
            if place < 0:
                return -1
            columns.append(place)
            return len(columns) - 1

        into = [
            Route(
                state,
                bioavailability=column(module.bioavailability[state]),
                lag=column(module.lag[state]),
                duration=column(module.duration[state]),
            )
            for state in range(len(equations.states))
        ]
        self._course = course_of(schedule)
        self._routes = routes_of([[into[state] for state in states] for states in equations.dosing])
        self._system = System(
            derived,
            rates,
            response,
            np.array(module.initial, dtype=np.int64),
            np.array(columns, dtype=np.int64),
        )
        entry, self._entries = entries_of(schedule, design.row, design.origin, self._routes)
        self._rows = Rows(
            design.row, entry, schedule.slot, schedule.response, np.ascontiguousarray(design.covariates), design.C,
            design.offset, design.transform, design.lower, design.upper,
        )  # fmt: skip
        self._equations = equations
        self._capacity = int(room(self._course, self._routes))
        given = np.isin(schedule.kind, (DOSE, RESET_AND_DOSE))
        self._steady = bool((schedule.steady_state[given] > 0).any())
        self.status = np.zeros(schedule.n_subjects, dtype=np.int64)

    @property
    def failed(self) -> dict[int, str]:
        """Subjects whose latest solve failed, by index, and why."""
        return {int(i): REASONS[int(self.status[i])] for i in np.flatnonzero(self.status)}

    def _rooms(self, tableau: Array) -> list[tuple[Room, Any]]:
        """Room to work in, and to find a steady state in, for each order of derivatives."""
        system, equations, D = self._system, self._equations, self._rows.C.shape[2]
        n, whole = len(equations.states), int(jets.size(D))
        space = max(space_of(part, max(D, n)) for part in (system.derived, system.rates, system.response))
        tolerance, v = np.array([equations.rtol, equations.atol]), np.empty(space)
        line, table = blank(self._capacity, D), np.zeros((self._entries, len(system.dosing), whole))

        def flow(length: int) -> Flow:
            return new_flow(
                system.rates, self._module.timed, n, self._module.quantities, length, tableau, tolerance, v
            )  # fmt: skip

        return [
            (
                Room(
                    flow(length),
                    line,
                    table,
                    np.zeros((len(self._rows.transform), length)),
                    np.zeros(len(equations.outputs) * length),
                ),
                new_spare(flow(1 + n), length) if self._steady else None,
            )
            for length in (1, 1 + D, whole)
        ]

    @property
    def attempts(self) -> int:  # type: ignore[override]
        """Where it is not stated whether they are stiff, what turns out to be so is solved again."""
        return 2 if self._equations.stiff is None else 1

    def single(self, attempt: int = 0) -> Single:
        """By the explicit method; by the implicit one what is stiff."""
        stiff = self._equations.stiff or attempt > 0
        watch = int(self._equations.stiff is None and not attempt)
        rooms = self._rooms(IMPLICIT if stiff else EXPLICIT)
        subjects = [
            Subjects(
                self._course, self._routes, self._system, self._rows, room, spare, 1 if stiff else None, watch,
                self.status,
            )
            for room, spare in rooms
        ]  # fmt: skip
        return single_of(predict_subject, Image(*subjects))

    def seconds(self, order: int) -> float:
        """By the number of records."""
        return len(self._rows.row) / max(1, len(self.status)) * _SECONDS_A_RECORD * (1 + order)
