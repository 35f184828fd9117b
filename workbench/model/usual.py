"""A model to begin with, judged from what the data look like."""

from __future__ import annotations

from itertools import pairwise

from workbench.data import GroupedData
from workbench.model.equation import equation
from workbench.model.library.pk import pk
from workbench.model.library.pkpd import pkpd
from workbench.model.model import Model

_GROWTH = "Asym/(1 + exp(-(t - xmid)/scal))"
_DECLINE = "A*exp(-k*t)"


def rising_subjects(data: GroupedData) -> tuple[int, int]:
    """In how many subjects the response first rises after the first dose, of how many that can tell.

    A subject can tell if it was observed twice or more before its second dose, and if that dose was no infusion: the
    response rises while one runs.
    """
    events = data.events
    infused = (events.rate != 0) | (events.duration > 0)
    rising = counted = 0
    for first, end in zip(events.start[:-1], events.start[1:], strict=True):
        doses = first + (events.amount[first:end] > 0).nonzero()[0]
        if not len(doses) or infused[doses[0]]:
            continue
        during = slice(doses[0], doses[1] if len(doses) > 1 else end)
        response = events.dv[during][events.observed[during]]
        counted += len(response) > 1
        rising += len(response) > 1 and int(response.argmax()) > 0
    return rising, counted


def usual_model(data: GroupedData) -> Model:
    """What such data are usually begun with; all values are found from them.

    One compartment, absorbed if the response of most subjects rises after the first dose that is no infusion, with an
    effect on top where there are two responses. Without doses, or where the response of most subjects rises to the end
    after one dose, as growth does, logistic growth or exponential decline.
    """
    events = data.events
    if (not (events.amount > 0).any() and not (events.rate > 0).any()) or _grows(data):
        return Model(equation(_GROWTH if _rises(data) else _DECLINE))
    rising, counted = rising_subjects(data)
    kinetics = pk(compartments=1, absorption="first-order" if 2 * rising > counted else None)
    return Model(pkpd(kinetics) if len(data.responses) == 2 else kinetics)


def _grows(data: GroupedData) -> bool:
    """Whether what looks like a dose is none: the response rises from the start to the last observation."""
    events = data.events
    if "dose" not in data.roles or (events.rate != 0).any() or (events.duration > 0).any():
        return False
    growing = counted = 0
    for first, end in pairwise(events.start):
        y = events.dv[first:end][events.observed[first:end]]
        if len(y) >= 4:
            counted += 1
            growing += bool(int(y.argmax()) >= len(y) - 2 and y[0] > 0 and (y[1:] >= 0.9 * y[:-1]).all())
    return counted > 0 and growing > 0.7 * counted


def _rises(data: GroupedData) -> bool:
    """Whether the response is higher at late times than at early ones, in most subjects."""
    events = data.events
    votes = 0
    for first, end in pairwise(events.start):
        y = events.dv[first:end][events.observed[first:end]]
        half = len(y) // 2
        votes += int(y[half:].sum() * half > y[:half].sum() * (len(y) - half)) * 2 - 1 if half else 0
    return votes > 0
