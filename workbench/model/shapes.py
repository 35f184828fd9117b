"""The shapes that a covariate effect usually has, as terms of a formula."""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword
from typing import Any, Literal

from workbench.checks import finite
from workbench.errors import ModelError
from workbench.language.formula import spelled_number
from workbench.model.parameter import Effect, Parameter
from workbench.model.structure import Structure

Shape = Literal["power", "exponential", "linear", "piecewise", "categorical", "fraction"]
SHAPES: tuple[Shape, ...] = ("power", "exponential", "linear", "piecewise", "categorical", "fraction")
Reference = float | str

_CATEGORIES = ("categorical", "fraction")
_DISPOSITION_RATES = ("k", "k12", "k21", "k13", "k31", "alpha", "beta", "gamma")
_HALF_LIVES = ("t_half", "t_half_alpha", "t_half_beta")


def shaped_effects(
    parameter: Parameter,
    covariate: str,
    shape: Shape,
    reference: Reference,
    start: float | Iterable[float] | None,
    fixed: bool,
    breakpoint: Reference | None,
) -> tuple[Effect, ...]:
    """The effects that `Model.with_covariate` adds; its docstring says what the arguments mean."""
    identity = parameter.transform == "identity"
    fit = tuple(s for s in SHAPES if not (identity and s in ("power", "exponential")))
    if shape not in fit:
        raise ModelError(
            f"shape={shape!r} for {parameter.name} (transform {parameter.transform!r}); allowed are "
            f"{', '.join(map(repr, fit[:-1]))} or {fit[-1]!r}."
        )
    if not isinstance(covariate, str) or not covariate.isidentifier() or iskeyword(covariate):
        raise ModelError(f"{covariate!r} cannot stand in a covariate formula; rename the column to one word.")
    if breakpoint is not None:
        if shape != "piecewise":
            raise ModelError(f"shape={shape!r} has no breakpoint; 'piecewise' has one.")
        if reference not in ("median", breakpoint):
            raise ModelError(
                f"shape='piecewise' has its typical value at the breakpoint: reference={reference!r} and "
                f"breakpoint={breakpoint!r} differ; give one of them."
            )
        reference = breakpoint
    if shape in _CATEGORIES:
        term = f"C({covariate})" if reference == "median" else f"C({covariate}, {_level(reference)})"
        return (Effect(term, _coefficients(start), fixed, fractional=shape == "fraction"),)
    at = _centre(covariate, reference, positive=shape == "power")
    if shape == "piecewise":
        both = _coefficients(start)
        first, last = (both[0], both[-1]) if both else (None, None)
        if both is not None and len(both) > 2:
            raise ModelError(f"shape='piecewise' has two coefficients, below and above; got start={start!r}.")
        return tuple(
            Effect(f"{side}({covariate}, {at})", None if value is None else (value,), fixed, fractional=not identity)
            for side, value in (("below", first), ("above", last))
        )
    term = f"log({covariate}/{at})" if shape == "power" else f"({covariate} - {at})"
    return (Effect(term, _coefficients(start), fixed, fractional=shape == "linear" and not identity),)


def _coefficients(start: float | Iterable[float] | None) -> tuple[float, ...] | None:
    if start is None:
        return None
    given: Any = start if isinstance(start, Iterable) and not isinstance(start, str) else (start,)
    return tuple(finite(value, "start") for value in given)


def _centre(covariate: str, reference: Reference, positive: bool) -> str:
    """The reference of a covariate that is a number, as it stands in a term."""
    if reference == "median":
        return f"median({covariate})"
    number = finite(reference, "reference")
    if positive and number <= 0:
        raise ModelError(f"shape='power' needs a positive reference, got {number:g}.")
    return spelled_number(number)


def _level(reference: Reference) -> str:
    return repr(reference) if isinstance(reference, str) else spelled_number(finite(reference, "reference"))


def allometric_exponents(structure: Structure, clearance: float, volume: float) -> dict[str, float]:
    """Exponents of body weight by parameter, for the clearances, volumes and rates of disposition of a structure."""
    by_dimension = {
        "clearance": clearance, "amount per time": clearance, "volume": volume, "per volume": -volume,
    }  # fmt: skip
    found: dict[str, float] = {}
    for info in structure.info:
        if info.dimension == "rate constant" and info.name in _DISPOSITION_RATES:
            found[info.name] = clearance - volume
        elif info.name in _HALF_LIVES:
            found[info.name] = volume - clearance
        elif info.dimension in by_dimension:
            found[info.name] = by_dimension[info.dimension]
    if not found:
        raise ModelError(
            f"{structure!r} has no parameter that is known to be a clearance, a volume or a rate constant."
        )
    return found
