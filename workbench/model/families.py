"""The kinds of structures that a menu offers: a line here, and panels have controls for a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.model.equation import Equation
from workbench.model.library import pk as compartments
from workbench.model.library import pkpd as effects
from workbench.model.library.pk import PK, pk
from workbench.model.library.pkpd import PKPD, pkpd
from workbench.model.ode import Ode
from workbench.model.structure import Choice, Chosen, Structure


@dataclass(frozen=True)
class Family:
    """A kind of structures.

    Attributes
    ----------
    title, about : str
        On its button, and what that means.
    made : type
        What structures of this kind are.
    choices : tuple of Choice
        What such a structure consists of (see `workbench.model.structure.Chosen`); empty if it is written as text.
    begin : callable, optional
        Makes a first one in place of another structure, or None if nothing of that can be kept.
    """

    title: str
    about: str
    made: type
    choices: tuple[Choice, ...] = ()
    begin: Callable[[Structure], Chosen | None] | None = None


def _compartments(structure: Structure) -> PK | None:
    """The compartment model that a structure is or holds."""
    held = getattr(structure, "pk", structure)
    return held if isinstance(held, PK) else None


def _with_effect(structure: Structure) -> PKPD | None:
    held = _compartments(structure)
    return structure if isinstance(structure, PKPD) else None if held is None else pkpd(held)


FAMILIES = (
    Family("Library", "compartment models", PK, compartments.CHOICES, _compartments),
    Family("PK/PD", "a compartment model with an effect", PKPD, effects.CHOICES, _with_effect),
    Family("Equation", "any expression of time, dose, covariates and parameters", Equation),
    Family("ODE", "differential equations", Ode),
)


def family_of(structure: object) -> Family | None:
    """The kind that a structure is of; None if no menu offers it."""
    return next((family for family in FAMILIES if type(structure) is family.made), None)


def begun(family: Family, *before: Structure | None) -> Chosen:
    """A structure of a kind that consists of choices, in place of the first of these that something is kept of."""
    assert family.begin is not None
    for structure in (*before, pk()):
        made = family.begin(structure) if structure is not None else None
        if made is not None:
            return made
    raise AssertionError(f"{family.title} begins from nothing.")
