"""The units that are known of what is simulated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workbench.data import GroupedData, derived_unit
from workbench.model import Model

Units = Mapping[str, str]


def units_of(model: Model, *several: GroupedData | None) -> dict[str, str]:
    """Of time, amount, response and covariates, as data say them.

    That of the response is left out where the model has several, or predicts logarithms.
    """
    known = agreed(data.units for data in several if data is not None)
    amount = derived_unit(known, "amount")
    if amount:
        known["amount"] = amount
    if len(model.structure.responses) > 1 or any(error.data_are_logarithms for error in model.errors):
        known.pop("response", None)
    return known


def agreed(several: Iterable[Units]) -> dict[str, str]:
    """What some of them say and none contradicts."""
    given = list(several)
    return {
        key: unit for units in given for key, unit in units.items() if all(one.get(key, unit) == unit for one in given)
    }


def area_unit(units: Units) -> str:
    """That of areas under the curve; "" where it does not follow."""
    time, response = units.get("time", ""), units.get("response", "")
    return f"{time}·{response}" if time and response else ""
