"""Models for people that have not all the levels of a category that the fit knew.

The columns that C(SEX) makes follow from the levels that occur in the data. Where these are one patient, or a design,
each level is written out as the comparison that it is.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.language.formula import category_of, level_of, spelled_number, tree_of
from workbench.language.tree import Name
from workbench.model import Effect, Model
from workbench.model.design import levels_of


def for_others(model: Model, fitted: GroupedData | None, data: GroupedData) -> Model:
    """The same model for other data, whatever levels of the categories there are in them.

    Parameters
    ----------
    model : Model
        With all values stated.
    fitted : GroupedData, optional
        What it was fitted to. Without them, a category that has a single coefficient and names its reference is known.
    data : GroupedData

    Raises
    ------
    ModelError
        If the data have a level that the fit did not know.
    """
    changed = {}
    for parameter in model.parameters:
        effects = [part for effect in parameter.covariates for part in _written_out(effect, fitted, data)]
        if tuple(effects) != parameter.covariates:
            changed[parameter.name] = tuple(effects)
    for name, effects_of in changed.items():
        model = model.with_parameter(name, covariates=effects_of)
    return model


def _written_out(effect: Effect, fitted: GroupedData | None, data: GroupedData) -> list[Effect]:
    category = category_of(tree_of(effect.term))
    if category is None or effect.value is None:
        return [effect]
    name, *references = category.arguments
    assert isinstance(name, Name)
    column, reference = name.name, level_of(references[0]) if references else None
    if column not in data.content.frame.columns:
        return [effect]
    there = levels_of(data.covariate_values((column,))[column])
    if fitted is None:
        if len(there) > 1 or reference is None or len(effect.value) != 1:
            return [effect]
        return [replace(effect, term=f"({column} != {_spelled(_meant(reference, there))})")]
    levels = levels_of(fitted.covariate_values((column,))[column])
    unknown = [level for level in there if _text(level) not in map(_text, levels)]
    if unknown:
        raise ModelError(
            f"{column} is {', '.join(map(repr, unknown))}, which the fit did not know; it knew "
            f"{', '.join(map(str, levels))}."
        )
    if len(there) == len(levels):
        return [effect]
    if reference is None:
        reference = levels[0]
    others = [level for level in levels if _text(level) != _text(reference)]
    return [
        replace(effect, term=f"({column} == {_spelled(level)})", value=(value,))
        for level, value in zip(others, effect.value, strict=True)
    ]


def _meant(reference: Any, there: list[Any]) -> Any:
    """The reference of the type that the column has."""
    return str(reference) if there and isinstance(there[0], str) else reference


def _text(level: Any) -> str:
    return (
        spelled_number(float(level)) if isinstance(level, int | float) and not isinstance(level, bool) else str(level)
    )


def _spelled(level: Any) -> str:
    return json.dumps(level, ensure_ascii=False) if isinstance(level, str) else spelled_number(float(level))
