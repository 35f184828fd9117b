"""Which covariate effects a search may try, and why others of the scope cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.data import GroupedData
from workbench.data.tables import is_categorical
from workbench.errors import DataError, ModelError
from workbench.language.formula import columns_of
from workbench.model import Effect, Model
from workbench.model.design import design_of
from workbench.model.shapes import SHAPES, Shape
from workbench.model.shapes import usual_shape as _usual
from workbench.model.transform import LOG

Scope = Mapping[str, Iterable[str | tuple[str, str]]]

MOST_LEVELS = 10
_SAME = 1e-9
_RANK = 1e-6


@dataclass(frozen=True, order=True)
class Candidate:
    """A covariate effect that may be added to a model."""

    parameter: str
    covariate: str
    shape: str

    def __str__(self) -> str:
        return f"{self.covariate} on {self.parameter} ({self.shape})"

    @property
    def place(self) -> tuple[str, str]:
        """Parameter and covariate: there is one shape at most for each pair."""
        return self.parameter, self.covariate

    def added_to(self, model: Model, start: Iterable[float] | None = None) -> Model:
        """The model with this effect, its coefficients at `start`, or at 0."""
        return model.with_covariate(self.parameter, self.covariate, self.shape, start=start)

    def effects(self, model: Model) -> tuple[Effect, ...]:
        """The effects of this covariate on this parameter that a model has."""
        return tuple(e for e in model[self.parameter].covariates if self.covariate in columns_of(e.term))


class RefusedEffect(NamedTuple):
    """An effect of the scope that is not tried, and why."""

    parameter: str
    covariate: str
    shape: str
    reason: str


def candidates(model: Model, data: GroupedData, scope: Scope | None) -> tuple[list[Candidate], list[RefusedEffect]]:
    """The effects of a scope that can be tried on these data.

    Parameters
    ----------
    model : Model
    data : GroupedData
    scope : dict of str to list of str or (str, str), optional
        By parameter, covariates or pairs of a covariate and its shape. A covariate alone has the usual shape: power
        where it is positive, categorical where it is text or has few levels, else exponential (linear on an
        untransformed parameter). None: every covariate that varies, on every parameter with a random effect.

    Returns
    -------
    candidates : list of Candidate
    refused : list of RefusedEffect

    Raises
    ------
    ModelError
        If the scope is of another form, or names a parameter, a column or a shape that is not there.
    """
    found: list[Candidate] = []
    refused: list[RefusedEffect] = []
    faults: dict[tuple[str, str], str] = {}
    twins = _twins(data)
    for parameter, covariate, given in _pairs(model, data, scope):
        shape = given or usual_shape(model, data, parameter, covariate)
        candidate = Candidate(parameter, covariate, shape)
        if candidate in found:
            continue
        what = (covariate, "categories" if SHAPES[shape].categorical else "numbers")
        if what not in faults:
            faults[what] = _fault(data, *what)
        first = twins.get(covariate)
        reason = faults[what]
        if not reason and first and any(c.covariate == first and c.parameter == parameter for c in found):
            reason = f"{covariate} says the same as {first} on every record; one of them is enough"
        if not reason:
            try:
                (*_, effect) = candidate.effects(candidate.added_to(_without(model, candidate)))
                design_of(effect.term, data)
            except (ModelError, DataError) as error:
                reason = " ".join(str(error).split())
        if reason:
            refused.append(RefusedEffect(parameter, covariate, shape, reason))
        else:
            found.append(candidate)
    return found, refused


def as_it_acts(candidate: Candidate, model: Model, data: GroupedData) -> Candidate:
    """An effect that a model has, by the shape that it has there; as it is, where that is none of the named shapes."""
    smaller, centred = _without(model, candidate), model.with_centred(data)
    there = {(effect.term, effect.fractional) for effect in candidate.effects(centred)}
    for shape in (candidate.shape, *SHAPES):
        other = Candidate(candidate.parameter, candidate.covariate, shape)
        try:
            made = other.effects(other.added_to(smaller).with_centred(data))
        except (ModelError, DataError):
            continue
        if {(effect.term, effect.fractional) for effect in made} == there:
            return other
    return candidate


def follows(candidate: Candidate, larger: Model, data: GroupedData) -> bool:
    """Whether the columns of an effect follow from those of the other effects on its parameter."""
    effects = larger[candidate.parameter].covariates
    columns = [design_of(effect.term, data)[0] for effect in effects]
    X = np.column_stack([np.ones(len(columns[0])), *columns])
    X = X / np.maximum(np.linalg.norm(X, axis=0), np.finfo(float).tiny)
    return bool(np.linalg.matrix_rank(X, tol=_RANK) < X.shape[1])


def _without(model: Model, candidate: Candidate) -> Model:
    there = candidate.effects(model)
    return model.without_covariate(candidate.parameter, candidate.covariate) if there else model


def _pairs(model: Model, data: GroupedData, scope: Scope | None) -> list[tuple[str, str, str | None]]:
    """Parameter, covariate and shape of a scope, the latter None where it is not said."""
    random = [p.name for p in model.parameters if p.iiv is not None or p.iov is not None or p.share is not None]
    if scope is None:
        used = {p.column for p in model.parameters} | set(model.structure.columns)
        return [(name, covariate, None) for name in random for covariate in data.covariate_names
                if covariate not in used and len(data.frame[covariate].unique()) > 1]  # fmt: skip
    if not isinstance(scope, Mapping):
        raise ModelError(f"scope={scope!r}; a dictionary such as {{'CL': ['WT', ('AGE', 'linear')]}} is needed.")
    pairs = []
    for parameter, items in scope.items():
        if model[parameter].column is not None:
            raise ModelError(f"{parameter} is taken from a column; a covariate cannot act on it.")
        given: Any = [items] if isinstance(items, str) else items
        if not isinstance(given, Iterable):
            raise ModelError(f"The scope of {parameter} is {items!r}; a list of covariates is needed.")
        for item in given:
            pair = (item, None) if isinstance(item, str) else tuple(item) if isinstance(item, tuple | list) else ()
            pair = tuple(part.name if isinstance(part, Shape) and part in SHAPES.values() else part for part in pair)
            if len(pair) != 2 or not all(isinstance(part, str) for part in pair if part is not None):
                raise ModelError(
                    f"The scope of {parameter} holds {item!r}; a covariate, or a pair such as ('WT', 'power')."
                )
            covariate, shape = pair
            if covariate not in data.frame.columns:
                have = ", ".join(data.covariate_names) or "none"
                raise ModelError(f"The scope of {parameter} names {covariate!r}. Covariates there: {have}.")
            if shape is not None and shape not in SHAPES:
                raise ModelError(
                    f"The scope of {parameter}: {covariate} has the shape {shape!r}; allowed are {', '.join(SHAPES)}."
                )
            pairs.append((parameter, covariate, shape))
    return pairs


def usual_shape(model: Model, data: GroupedData, parameter: str, covariate: str) -> str:
    """The shape with which a covariate is tried where none is asked for."""
    values = data.frame[covariate].dropna()
    categorical = is_categorical(values)
    return _usual(model[parameter].link, categorical, not categorical and bool((values > 0).all())).name


def _fault(data: GroupedData, covariate: str, kind: str) -> str:
    """Why a covariate cannot be tried, in words; "" where it can."""
    try:
        values = data.covariate_values(covariate)[covariate]
    except DataError as error:
        several = len(error.faults) - 1
        more = f" (and so have {several} more subjects)" if several else ""
        return f"{error.faults[0]}{more}"
    levels = values.nunique()
    if levels < 2:
        return f"{covariate} is the same on every record"
    if kind == "numbers":
        numeric = pd.api.types.is_numeric_dtype(values.dtype)
        return "" if numeric else f"{covariate} is text, not numbers; its shape can be {_usual(LOG, True, False).name}"
    if levels > MOST_LEVELS:
        return f"{covariate} has {levels} levels, more than {MOST_LEVELS}; group them"
    owner = pd.Series(data.events.subject).groupby(values.to_numpy()).nunique()
    alone = owner.index[owner == 1]
    if len(alone):
        return (
            f"{covariate} has the value {alone[0]!s} in one subject only, whose own random effect it would be; put it "
            "together with another level"
        )
    return ""


def _twins(data: GroupedData) -> dict[str, str]:
    """For each covariate that is the same as an earlier one, or a multiple of it, the earlier one."""
    columns = {}
    for name in data.covariate_names:
        values = data.frame[name]
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not values.isna().any()
        if numeric:
            numbers = values.to_numpy(dtype=float)
            size = float(np.abs(numbers).max(initial=0.0))
            columns[name] = numbers / size if size else numbers
        else:
            columns[name] = pd.factorize(values)[0].astype(float)
    names, found = list(columns), {}
    for k, name in enumerate(names):
        for other in names[:k]:
            if other not in found and np.allclose(columns[name], columns[other], rtol=_SAME, atol=_SAME):
                found[name] = other
                break
    return found
