"""From one happening to the next: what the walks of a subject and of a dosing interval share (see `timeline`)."""

from __future__ import annotations

from workbench.engine.predictions import jets
from workbench.engine.predictions.explicit import explicit
from workbench.engine.predictions.flow import DONE, FEEDING, FRESH, LENGTH, MOVING, START
from workbench.engine.predictions.implicit import implicit
from workbench.engine.predictions.machine import inlined, inner
from workbench.engine.predictions.timeline import BOLUS, moment, quantity, switch


@inner
def go(flow, line, origin, since, before, until, k, plain, stiff, watch, D, order):
    """Integrate from time `since`, that of happening `before`, to time `until`, that of happening k.

    Times are counted from `origin`; -1 stands for a time that is no happening's. `plain`: without derivatives of times.
    `stiff`: None, or a number for the implicit method.
    """
    from_jet = before >= 0 and line.pool[before].time_jet >= 0 and not plain
    to_jet = k >= 0 and line.pool[k].time_jet >= 0 and not plain
    end = until - since
    if from_jet or to_jet:
        start, length = flow.stretch[START], flow.stretch[LENGTH]
        jets.constant(since, start)
        jets.constant(until, length)
        if from_jet:
            moment(line, before, start, D, order)
        if to_jet:
            moment(line, k, length, D, order)
        jets.axpy(-1.0, start, length, D, order)
        start[0] += origin
        end = 0.0
        for lane in range(length.shape[0]):
            if length[lane] != 0.0:
                end = 1.0
        flow.mode[MOVING], flow.mode[FRESH] = 1, 0
    else:
        flow.stretch[START, 0] = origin + since
    code = DONE
    if end > 0.0:
        if stiff is None:  # noqa: SIM108  decided when compiled: what is not used is not compiled
            code = explicit(flow, end, watch, D, order)
        else:
            code = implicit(flow, end, watch, D, order)
    if flow.mode[MOVING]:
        flow.mode[MOVING] = flow.mode[FRESH] = 0
    return code


@inner
def give(flow, line, k, plain, D, order):
    """Let happening k, a BOLUS or a RATE, act."""
    flow.mode[FRESH] = 0
    item = line.pool[k]
    if item.what == BOLUS:
        L = flow.stretch.shape[1]
        size = flow.work[0, :L]
        jets.constant(item.value, size)
        if not plain:
            quantity(line, k, size, D, order)
        jets.axpy(1.0, size, flow.x[item.state * L : item.state * L + L], D, order)
    elif plain:
        flow.running[item.state] += item.count
        value = flow.inputs[item.state, 0] + item.value
        flow.inputs[item.state, 0] = value if flow.running[item.state] else 0.0
    else:
        switch(line, k, flow.inputs, flow.running, D, order)
    see_inputs(flow)


@inlined
def see_inputs(flow):
    flow.mode[FEEDING] = 0
    for i in range(flow.running.shape[0]):
        if flow.running[i]:
            flow.mode[FEEDING] = 1


@inlined
def begin(flow, initial):
    """Initial values, which may be parameters; no inputs."""
    N, L = flow.x.shape[0], flow.stretch.shape[1]
    jets.clear(flow.x)
    for i in range(flow.running.shape[0]):
        if initial[i] >= 0:
            at = N + 3 * L + initial[i] * L
            jets.copy(flow.z[at : at + L], flow.x[i * L : i * L + L])
    stop(flow)


@inlined
def stop(flow):
    """No inputs."""
    for i in range(flow.running.shape[0]):
        jets.clear(flow.inputs[i])
        flow.running[i] = 0
    flow.mode[FEEDING] = flow.mode[FRESH] = 0
