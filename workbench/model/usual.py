"""A model to begin with, judged from what the data look like."""

from __future__ import annotations

from workbench.data import GroupedData
from workbench.model.model import Model
from workbench.model.structure import pk


def rising_subjects(data: GroupedData) -> tuple[int, int]:
    """In how many subjects the response first rises after the first dose, of how many that can tell.

    A subject can tell if it was observed twice or more before its second dose.
    """
    events = data.events
    rising = counted = 0
    for first, end in zip(events.start[:-1], events.start[1:], strict=True):
        doses = first + (events.amount[first:end] > 0).nonzero()[0]
        if not len(doses):
            continue
        during = slice(doses[0], doses[1] if len(doses) > 1 else end)
        response = events.dv[during][events.observed[during]]
        counted += len(response) > 1
        rising += len(response) > 1 and int(response.argmax()) > 0
    return rising, counted


def usual_model(data: GroupedData) -> Model:
    """One compartment, absorbed if the response of most subjects rises after the first dose; all values found."""
    rising, counted = rising_subjects(data)
    return Model(pk(compartments=1, absorption="first-order" if 2 * rising > counted else None))
