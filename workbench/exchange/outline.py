"""A model as other tools state it: thetas, random effects, and what each parameter is made of, as trees.

Names in the trees say what they are by what stands before a blank: "theta CL" a fixed effect, "eta CL" and "kappa CL"
random effects, "data WT" a column of the data, "parameter CL" a parameter of the structure, "error a" one of a residual
error. Writers spell them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.language.formula import category_of, columns_of, compares_text, tree_of
from workbench.language.reading import read_expression
from workbench.language.tree import Apply, Expression, Name, Number, Text, with_nodes
from workbench.model import Block, Effect, Model, Parameter
from workbench.model.design import design_of, levels_of


@dataclass(frozen=True)
class Theta:
    """A fixed effect: where it begins, between what it lies, whether it is kept, and what it means.

    `logarithm`: in trees its logarithm stands; values and bounds are natural.
    """

    name: str
    value: float
    lower: float = -math.inf
    upper: float = math.inf
    fixed: bool = False
    about: str = ""
    logarithm: bool = False


@dataclass(frozen=True)
class Group:
    """Random effects with a covariance matrix of their own; `level` as of `wb.Block`."""

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    fixed: bool
    level: str


@dataclass(frozen=True)
class Outline:
    """A model in parts.

    Attributes
    ----------
    thetas : tuple of Theta
    groups : tuple of Group
        Those of subjects first.
    parameters : dict of str to Expression
        What each parameter of the structure is.
    cannot : tuple of str
        What no other tool can say as it is meant.
    """

    thetas: tuple[Theta, ...]
    groups: tuple[Group, ...]
    parameters: Mapping[str, Expression]
    cannot: tuple[str, ...]


# -- trees ---------------------------------------------------------------------------------------------------------


def constant(value: float) -> Expression:
    """A number as a tree."""
    return Number(float(value), repr(float(value)), 0)


def apply(function: str, *arguments: Expression) -> Expression:
    """A function of trees."""
    return Apply(function, arguments, 0, None, 1)


def total(terms: list[Expression]) -> Expression:
    """A sum; of one term that term."""
    return terms[0] if len(terms) == 1 else apply("+", *terms)


def put(expression: Expression, names: Mapping[str, Expression]) -> Expression:
    """An expression with others in place of names."""
    return with_nodes(expression, lambda node: names.get(node.name) if isinstance(node, Name) else None)


# -- a model in parts ----------------------------------------------------------------------------------------------


def codes_of(data: GroupedData, column: str) -> dict[str, int] | None:
    """Numbers from 1 for the labels of a column of text, sorted; None for one of numbers."""
    values = data.content.frame[column]
    if values.dtype.kind in "iufb":
        return None
    return {str(level): code for code, level in enumerate(levels_of(values.dropna()), 1)}


def outlined(model: Model, data: GroupedData, *, transformed: bool = False) -> Outline:
    """Take a model apart that states every value; medians and open shapes are settled by the data.

    `transformed`: typical values of log-normal parameters stand as their logarithms.
    """
    model = model.with_centred(data)
    if model.unstated:
        raise ModelError(
            f"Nothing is known of {', '.join(model.unstated)}. Fit the model first, or state values; "
            "wb.initial_values(model, data) finds some."
        )
    thetas: list[Theta] = []
    cannot: list[str] = []
    parameters = {p.name: _parameter(p, data, thetas, cannot, transformed) for p in model.parameters}
    groups = [*_groups(model, "subject", cannot), *_groups(model, "occasion", cannot)]
    return Outline(tuple(thetas), tuple(groups), parameters, tuple(cannot))


def _parameter(
    p: Parameter, data: GroupedData, thetas: list[Theta], cannot: list[str], transformed: bool
) -> Expression:
    """What a parameter is made of."""
    if p.column is not None:
        return Name(f"data {p.column}", 0)
    link = p.link
    lower, upper = p.limits
    assert p.value is not None
    typical: Expression = Name(f"theta {p.name}", 0)
    kept = "value" in p.fixed_parts
    transformed_theta = link.needs_bounds and not link.transformed  # nothing undoes Φ in the language
    of_logarithm = transformed and link.is_logarithm
    factor: Expression | None = None
    if of_logarithm:
        thetas.append(Theta(p.name, p.value, lower, upper, kept, p.name, logarithm=True))
    elif transformed_theta:
        thetas.append(Theta(p.name, link.to(p.value, p.between), fixed=kept, about=f"{link.name} of {p.name}"))
    else:
        thetas.append(Theta(p.name, p.value, lower, upper, kept, p.name))
    added: list[Expression] = []
    for effect in p.covariates:
        terms = _terms(p, effect, data, thetas)
        if not effect.fractional:
            added += terms
        elif of_logarithm:
            part = total([constant(1.0), *terms])
            factor = part if factor is None else apply("*", factor, part)
        elif transformed_theta:
            cannot.append(f"{p.name}: a fraction of its typical value, {effect.term}, beside {link.name}")
        else:
            typical = apply("*", typical, total([constant(1.0), *terms]))
    if p.iiv is not None:
        added.append(Name(f"eta {p.name}", 0))
    if p.share is not None:
        scale = f"share_{p.name}"
        about = f"share of the random effect of {p.share[0]}"
        value = 1.0 if p.share[1] is None else p.share[1]
        thetas.append(Theta(scale, value, fixed="share" in p.fixed_parts, about=about))
        added.append(apply("*", Name(f"theta {scale}", 0), Name(f"eta {p.share[0]}", 0)))
    if p.iov is not None:
        added.append(Name(f"kappa {p.name}", 0))
    if of_logarithm:
        whole = apply("exp", total([typical, *added]))
        return whole if factor is None else apply("*", whole, factor)
    if not added and not transformed_theta:
        return typical
    if link.is_logarithm:
        return apply("*", typical, apply("exp", total(added)))
    if link.is_identity:
        return total([typical, *added])
    ends = {"lower": constant(p.between[0]), "upper": constant(p.between[1])}
    if not transformed_theta:
        back = read_expression(link.transformed, f"the transform of {p.name}")[1]
        typical = put(back, {**ends, "p": typical})
    return put(link.expression, {**ends, "z": total([typical, *added])})


def _terms(p: Parameter, effect: Effect, data: GroupedData, thetas: list[Theta]) -> list[Expression]:
    """A coefficient times a column, for each column of a covariate term."""
    _, labels = design_of(effect.term, data)
    columns = covariate_columns(effect.term, data)
    values = effect.value or (0.0,) * len(columns)
    found = []
    for k, (column, label) in enumerate(zip(columns, labels, strict=True)):
        name = f"{p.name}_{'_'.join(columns_of(effect.term))}"
        taken = {theta.name for theta in thetas}
        name = next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1000))) if n not in taken)
        thetas.append(Theta(name, values[k], fixed=effect.fixed, about=f"{p.name}: {label}"))
        found.append(apply("*", Name(f"theta {name}", 0), column))
    return found


def covariate_columns(term: str, data: GroupedData) -> list[Expression]:
    """What the columns of the design are, as trees."""
    tree = tree_of(term)
    category = category_of(tree)
    if category is None:
        return [_of_data(tree, data)]
    column = category.arguments[0]
    assert isinstance(column, Name)
    levels = levels_of(data.covariate_values([column.name])[column.name])
    codes = codes_of(data, column.name)
    labels = design_of(term, data)[1]
    chosen = {f"{term}[{level}]": level for level in levels}
    return [
        apply("==", Name(f"data {column.name}", 0), constant(codes[str(level)] if codes else float(level)))
        for level in (chosen[label] for label in labels)
    ]


def _of_data(tree: Expression, data: GroupedData) -> Expression:
    """A covariate term in the words of equations."""
    if isinstance(tree, Name):
        return Name(f"data {tree.name}", 0)
    if not isinstance(tree, Apply):
        return tree
    if compares_text(tree):
        column = next(side for side in tree.arguments if isinstance(side, Name))
        text = next(side for side in tree.arguments if isinstance(side, Text))
        codes = codes_of(data, column.name) or {}
        return apply(tree.function, Name(f"data {column.name}", 0), constant(codes.get(text.text, -1)))
    parts = [_of_data(part, data) for part in tree.arguments]
    if tree.function in ("below", "above"):
        extreme = "min" if tree.function == "below" else "max"
        return apply(extreme, apply("-", parts[0], parts[1]), constant(0.0))
    return apply(tree.function, *parts)


def _groups(model: Model, level: str, cannot: list[str]) -> list[Group]:
    """Random effects of a level in blocks, those that belong together beside each other."""
    part = "iiv" if level == "subject" else "iov"
    names = model.random_effects if level == "subject" else model.occasion_effects
    blocks = {name: block for block in model.correlate if block.level == level for name in block.names}
    found: list[Group] = []
    done: set[str] = set()
    for name in names:
        if name in done:
            continue
        block: Block | None = blocks.get(name)
        members = block.names if block else (name,)
        done.update(members)
        sd = np.array([float(getattr(model[member], part)) for member in members])
        kept = [part in model[member].fixed_parts for member in members]
        if block is not None and block.fixed and not any(block.correlations) and not all(kept):
            found += [Group((m,), np.array([[s**2]]), k, level) for m, s, k in zip(members, sd, kept, strict=True)]
            continue
        fixed = all(kept) and (block is None or block.fixed)
        if not fixed and (any(kept) or (block is not None and block.fixed)):
            cannot.append(f"a block of {', '.join(members)} of which only a part is fixed")
        matrix = np.outer(sd, sd) * (block.matrix() if block is not None else np.eye(1))
        found.append(Group(tuple(members), matrix, fixed, level))
    return found
