"""Covariate effects as a grid shows them: which shape each has, and what has none; knows of no widgets."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from workbench.model import Effect, Model, Parameter
from workbench.model.shapes import SHAPES, Reference

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass(frozen=True)
class Acting:
    """How a covariate acts on a parameter.

    Attributes
    ----------
    covariate, shape : str
        As `Model.with_covariate` takes them.
    reference : "median", number or level
        "median" stands for the first level where the shape is one of categories.
    effects : tuple of Effect
        One, or the two of "piecewise".
    """

    covariate: str
    shape: str
    reference: Reference
    effects: tuple[Effect, ...]


def shapes_for(parameter: Parameter) -> tuple[str, ...]:
    """The shapes that make sense on the scale of a parameter."""
    identity = parameter.transform == "identity"
    return tuple(shape for shape in SHAPES if not (identity and shape in ("power", "exponential")))


def read_effects(
    parameter: Parameter, columns: Collection[str] | None = None
) -> tuple[dict[str, Acting], tuple[Effect, ...]]:
    """The effects on a parameter by covariate, and those that are none of the named shapes.

    Parameters
    ----------
    parameter : Parameter
    columns : collection of str, optional
        Look for these covariates only.
    """
    found: dict[str, Acting] = {}
    rest: list[Effect] = []
    effects = list(parameter.covariates)
    while effects:
        effect = effects.pop(0)
        acting = _read(parameter, effect, effects)
        if acting is None or acting.covariate in found or (columns is not None and acting.covariate not in columns):
            rest.append(effect)
            continue
        found[acting.covariate] = acting
        effects = [other for other in effects if other not in acting.effects]
    return found, tuple(rest)


def with_shape(model: Model, parameter: str, covariate: str, shape: str, reference: Reference = "median") -> Model:
    """Let a covariate act in one of the shapes, or not at all (""); other terms with it stay."""
    acting = read_effects(model[parameter])[0].get(covariate)
    kept = tuple(e for e in model[parameter].covariates if acting is None or e not in acting.effects)
    model = model.with_parameter(parameter, covariates=kept)
    return model.with_covariate(parameter, covariate, shape, reference) if shape else model  # type: ignore[arg-type]


def with_reference(model: Model, parameter: str, covariate: str, reference: Reference) -> Model:
    """Another reference for a covariate; the coefficients stay, and what is fixed."""
    acting = read_effects(model[parameter])[0][covariate]
    alone = with_shape(model.with_parameter(parameter, covariates=()), parameter, covariate, acting.shape, reference)
    pairs = zip(acting.effects, read_effects(alone[parameter])[0][covariate].effects, strict=True)
    moved = {old: replace(new, value=old.value, fixed=old.fixed) for old, new in pairs}
    return model.with_parameter(parameter, covariates=tuple(moved.get(e, e) for e in model[parameter].covariates))


def with_other_terms(model: Model, parameter: str, formula: str, columns: Collection[str] | None = None) -> Model:
    """Other terms in place of those that `read_effects` leaves; terms that stay keep their coefficients."""
    target = model[parameter]
    rest = read_effects(target, columns)[1]
    kept = tuple(effect for effect in target.covariates if effect not in rest)
    typed = Parameter(parameter, covariates=formula).covariates if formula.strip() else ()  # type: ignore[arg-type]
    known = {effect.term: effect for effect in rest}
    return model.with_parameter(parameter, covariates=(*kept, *(known.get(e.term, e) for e in typed)))


def _read(parameter: Parameter, effect: Effect, others: Iterable[Effect]) -> Acting | None:
    identity = parameter.transform == "identity"
    term, fractional = effect.term, effect.fractional
    if found := re.fullmatch(r"C\((\w+)(?:,(.+))?\)", term):
        shape = "fraction" if fractional else "categorical"
        return Acting(found[1], shape, "median" if found[2] is None else _level(found[2]), (effect,))
    if not fractional and not identity and (found := re.fullmatch(r"log\((\w+)/(.+)\)", term)):
        return _of_number(found[1], "power", found[2], (effect,))
    if found := re.fullmatch(r"\((\w+)([-+])(.+)\)", term):
        text = found[3] if found[2] == "-" else f"-{found[3]}"
        if identity and fractional:
            return None
        shape = "linear" if fractional or identity else "exponential"
        return _of_number(found[1], shape, text, (effect,))
    if fractional != identity and (found := re.fullmatch(r"(below|above)\((\w+),(.+)\)", term)):
        side = "above" if found[1] == "below" else "below"
        pair = next((e for e in others if e.term == f"{side}({found[2]},{found[3]})"), None)
        if pair is not None and pair.fractional == fractional:
            both = (effect, pair) if side == "above" else (pair, effect)
            return _of_number(found[2], "piecewise", found[3], both)
    return None


def _of_number(covariate: str, shape: str, text: str, effects: tuple[Effect, ...]) -> Acting | None:
    if text == f"median({covariate})":
        return Acting(covariate, shape, "median", effects)
    return Acting(covariate, shape, float(text), effects) if re.fullmatch(_NUMBER, text) else None


def _level(text: str) -> Reference:
    level: Reference = ast.literal_eval(text)
    return level
