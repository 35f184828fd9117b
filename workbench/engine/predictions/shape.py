"""What kernels of linear compartment models know of a structure: where its parameters stand, and where doses go."""

from __future__ import annotations

from typing import NamedTuple

from workbench.engine.predictions.modes import CENTRAL, DEPOT
from workbench.engine.predictions.timeline import Route
from workbench.model.kinetics import Kinetics

SHARE_FIRST, SHARE_ZERO, BIOAVAILABILITY, LAG, LAG_ZERO, DURATION = range(6)  # what a `Route` names


class Shape(NamedTuple):
    """Where the structure's parameters stand among its names (-1: it has none such), and sizes.

    Attributes
    ----------
    n : int
        Peripheral compartments.
    parameters : int
        See `modes`.
    disposition, ka, Fr, F, lag, lag0, Tk0 : int
        Positions; that of the first parameter of the disposition.
    peripheral : bool
        Whether a dose goes into a peripheral compartment.
    """

    n: int
    parameters: int
    disposition: int
    ka: int
    Fr: int
    F: int
    lag: int
    lag0: int
    Tk0: int
    peripheral: bool


def shape_of(kinetics: Kinetics, peripheral: bool) -> Shape:
    """Where the parameters of a structure stand; whether a dose goes into a peripheral compartment."""
    names = kinetics.parameters
    at = {name: names.index(name) if name in names else -1 for name in ("ka", "Fr", "F", "lag", "lag0", "Tk0")}
    return Shape(
        n=kinetics.size - 1,
        parameters=("clearance", "rate", "macro", "half-life").index(kinetics.written_in),
        disposition=sum(name in names for name in ("Fr", "ka", "Tk0")),
        **at,
        peripheral=peripheral,
    )


def ways_of(kinetics: Kinetics) -> list[list[Route]]:
    """Where doses go, by compartment of dosing."""
    states, shares = {"depot": DEPOT, "central": CENTRAL}, {"Fr": SHARE_FIRST, "(1 - Fr)": SHARE_ZERO, None: -1}
    lags = {"lag": LAG, "lag0": LAG_ZERO, None: -1}
    stated = [
        Route(
            states[entry.target],
            shares[entry.share],
            BIOAVAILABILITY if entry.bioavailability else -1,
            lags[entry.lag],
            DURATION if entry.duration else -1,
        )
        for entry in kinetics.inputs
    ]
    direct = [[Route(state)] for state in range(kinetics.size)]
    return [stated, *(direct if kinetics.absorbs else direct[1:])]
