"""Covariate effects as a grid shows them: which shape each has, and what has none; knows of no widgets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from workbench.model import Effect, Model, Parameter
from workbench.model.shapes import SHAPES, Acting, Reference, read_shape


def shapes_for(parameter: Parameter) -> tuple[str, ...]:
    """The shapes that make sense on the scale of a parameter."""
    return tuple(name for name, shape in SHAPES.items() if shape.suits(parameter.link))


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
        acting = read_shape(parameter, effect, effects)
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
    return model.with_covariate(parameter, covariate, shape, reference) if shape else model


def with_reference(model: Model, parameter: str, covariate: str, reference: Reference) -> Model:
    """Another reference for a covariate; the coefficients stay, and what is fixed. One that does not act has none."""
    acting = read_effects(model[parameter])[0].get(covariate)
    if acting is None:
        return model
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
