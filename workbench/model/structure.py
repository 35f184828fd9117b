"""Structural models: which parameters they have and what those mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from workbench.errors import ModelError


@dataclass(frozen=True)
class ParameterInfo:
    """What a structural parameter means.

    Attributes
    ----------
    name : str
    meaning : str
        In words, for panels and reports.
    dimension : {"clearance", "volume", "rate constant"}
        Its unit follows from those of the data, see `workbench.data.derived_unit`.
    """

    name: str
    meaning: str
    dimension: Literal["clearance", "volume", "rate constant"]


class Structure(Protocol):
    """A structural model: anything that names its parameters and prints itself as Python."""

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the same order."""

    @property
    def title(self) -> str:
        """One line for headings."""


Absorption = Literal["first-order"] | None
Parameters = Literal["clearance", "rate"]

_KA = ParameterInfo("ka", "absorption rate constant", "rate constant")
_V = ParameterInfo("V", "volume of distribution", "volume")
_DISPOSITION = {
    "clearance": (ParameterInfo("CL", "clearance", "clearance"), _V),
    "rate": (ParameterInfo("k", "elimination rate constant", "rate constant"), _V),
}


@dataclass(frozen=True)
class PK:
    """A linear compartment model; make one with `pk`."""

    compartments: int = 1
    absorption: Absorption = None
    parameters: Parameters = "clearance"

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""
        return ((_KA,) if self.absorption else ()) + _DISPOSITION[self.parameters]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the same order."""
        return tuple(info.name for info in self.info)

    @property
    def title(self) -> str:
        """One line for headings."""
        route = "first-order absorption" if self.absorption else "intravenous bolus"
        return f"{self.compartments}-compartment, {route}"

    def __repr__(self) -> str:
        parts = [f"compartments={self.compartments}"]
        if self.absorption:
            parts.append(f'absorption="{self.absorption}"')
        if self.parameters != "clearance":
            parts.append(f'parameters="{self.parameters}"')
        return f"wb.pk({', '.join(parts)})"


def pk(compartments: int = 1, absorption: Absorption = None, parameters: Parameters = "clearance") -> PK:
    """State a compartment model; doses come from the data.

    Parameters
    ----------
    compartments : int
        1.
    absorption : {None, "first-order"}
        None: doses go into the central compartment as a bolus. "first-order": doses go into a depot
        (compartment 1) which empties into the central compartment (2) at rate `ka`.
    parameters : {"clearance", "rate"}
        "clearance" names CL and V; "rate" names k = CL/V and V.

    Raises
    ------
    ModelError
        If an argument is none of those named.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.pk(compartments=1, absorption="first-order").names
    ('ka', 'CL', 'V')
    """
    for argument, value, allowed in (
        ("compartments", compartments, (1,)),
        ("absorption", absorption, (None, "first-order")),
        ("parameters", parameters, tuple(_DISPOSITION)),
    ):
        if value not in allowed:
            raise ModelError(f"pk({argument}={value!r}): allowed is {' or '.join(map(repr, allowed))}.")
    return PK(compartments, absorption, parameters)
