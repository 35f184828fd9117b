"""The shapes that a covariate effect usually has. Each says for itself what it is meant for and which terms it makes.

Screening, searches and panels ask; the names stand here only. `add_shape` makes one of your own known to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.checks import finite
from workbench.data.tables import is_categorical
from workbench.errors import ModelError
from workbench.language.formula import (
    category_of,
    columns_of,
    filled,
    level_of,
    matched,
    number_node,
    open_of,
    spelled_number,
    split_terms,
    tree_of,
)
from workbench.language.tree import Apply, Expression, Name, spelled
from workbench.model.design import computed
from workbench.model.parameter import Effect, Parameter
from workbench.model.structure import Structure
from workbench.model.transform import Transform

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Reference = float | str

_DISPOSITION_RATES = ("k", "k12", "k21", "k13", "k31", "alpha", "beta", "gamma")
_HALF_LIVES = ("t_half", "t_half_alpha", "t_half_beta")


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
        One by term of the shape.
    """

    covariate: str
    shape: str
    reference: Reference
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Shape:
    """How a covariate c acts on a parameter, whose typical value is that at the reference r.

    Parameters
    ----------
    name : str
    terms : tuple of str
        Formulas in c and r, with a coefficient each: ("log(c/r)",). They are 0 where c is r.
    acts : {"transformed", "natural", "fraction"}
        "transformed": Σ θ·term is added on the transformed scale. "natural": the typical value is multiplied by
        1 + Σ θ·term; where the transform is the identity, it is added. "fraction": it is multiplied there, too.
    identity : bool
        It is meant for parameters whose transform is the identity, too.
    categorical : bool
        Of categories, with a coefficient for each level but the reference; `terms` is then ("C(c)",).
    positive : bool
        Of covariates that are positive everywhere.
    breakpoint : bool
        The reference is where the slope changes.
    usual : bool
        It is tried where none is asked for, if it is the first of those that are possible.
    screened : bool
        The fast screen tests it; without being asked for if its coefficients act on the transformed scale.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.Shape("saturating", ("c/(c + r) - 0.5",), positive=True).term("WT", 70)
    '(WT/(WT+70)-0.5)'
    """

    name: str
    terms: tuple[str, ...]
    acts: Literal["transformed", "natural", "fraction"] = "transformed"
    identity: bool = True
    categorical: bool = False
    positive: bool = False
    breakpoint: bool = False
    usual: bool = False
    screened: bool = True

    def __post_init__(self) -> None:
        for term in (self.terms,) if isinstance(self.terms, str) else self.terms:
            if len(split_terms(term)) != 1 or not {"c"} <= set(columns_of(term)) <= {"c", "r"}:
                raise ModelError(
                    f"The shape {self.name!r}: terms= is a tuple of formulas such as 'log(c/r)', each one term in the "
                    f"covariate c and the reference r; got {self.terms!r}."
                )

    # -- what it is meant for ----------------------------------------------------------------------------------

    def suits(self, link: Transform) -> bool:
        """Whether it makes sense on a parameter with this transform."""
        return self.identity or not link.is_identity

    def fractional(self, link: Transform) -> bool:
        """Whether its terms multiply the typical value of such a parameter by 1 + Σ θ·term."""
        return self.acts == "fraction" or (self.acts == "natural" and not link.is_identity)

    def takes(self, categorical: bool, positive: bool) -> bool:
        """Whether it is for categories, or for numbers that are all positive or not."""
        return self.categorical == categorical and (positive or not self.positive)

    # -- its terms ---------------------------------------------------------------------------------------------

    def term(self, covariate: str, reference: Reference = "median", which: int = 0) -> str:
        """One of its terms, of a covariate at a reference."""
        if self.categorical or self.name == "open":
            level = f", {_level(reference)}" if reference != "median" else ""
            (text,) = split_terms(f"{'C' if self.categorical else 'open'}({covariate}{level})")
            return text
        return filled(self.terms[which], {"c": Name(covariate, 0), "r": self._centre(covariate, reference)})

    def effects(
        self,
        parameter: Parameter,
        covariate: str,
        reference: Reference = "median",
        start: float | Iterable[float] | None = None,
        fixed: bool = False,
    ) -> tuple[Effect, ...]:
        """What it adds to a parameter, with its coefficients.

        Raises
        ------
        ModelError
            If the reference is none, or there are too many coefficients.
        """
        terms = [self.term(covariate, reference, which) for which in range(len(self.terms))]
        given = None if start is None else _coefficients(start)
        if given is None or len(terms) == 1:
            values = [given] * len(terms)
        elif len(given) in (1, len(terms)):
            values = [(value,) for value in (given * len(terms) if len(given) == 1 else given)]
        else:
            count = "two" if len(terms) == 2 else len(terms)
            raise ModelError(
                f"shape={self.name!r} has {count} coefficients, of {', '.join(terms)}; got start={start!r}."
            )
        fractional = self.fractional(parameter.link)
        return tuple(
            Effect(term, value, fixed, fractional=fractional) for term, value in zip(terms, values, strict=True)
        )

    def read(self, parameter: Parameter, effect: Effect, others: Sequence[Effect]) -> Acting | None:
        """How a covariate acts by an effect, with others where it has several terms; None if not in this shape."""
        fractional = self.fractional(parameter.link)
        if effect.fractional != fractional or not self.suits(parameter.link):
            return None
        for covariate, reference in self._places(effect.term):
            wanted = [self.term(covariate, reference, which) for which in range(len(self.terms))]
            there = {e.term: e for e in (effect, *others) if e.fractional == fractional}
            if effect.term in wanted and all(term in there for term in wanted):
                return Acting(covariate, self.name, reference, tuple(there[term] for term in wanted))
        return None

    def _places(self, term: str) -> Iterator[tuple[str, Reference]]:
        """Covariates and references of which one of its terms might be this."""
        category = category_of(tree_of(term))
        if self.categorical or category is not None:
            if self.categorical and category is not None:
                column, *references = category.arguments
                level = level_of(references[0]) if references else "median"
                if isinstance(column, Name) and level is not None:
                    yield column.name, level
            return
        for template in self.terms:
            bound = matched(template, term) or {}
            covariate, at = bound.get("c"), bound.get("r")
            if not isinstance(covariate, Name):
                continue
            if at is None or spelled(at) == f"median({covariate.name})":
                yield covariate.name, "median"
            elif isinstance(level := level_of(at), int | float) and (level > 0 or not self.positive):
                yield covariate.name, float(level)

    def _centre(self, covariate: str, reference: Reference) -> Expression:
        """The reference of a covariate that is a number, as it stands in a term."""
        if reference == "median":
            return Apply("median", (Name(covariate, 0),), 0, None, 1)
        number = finite(reference, "reference")
        if self.positive and number <= 0:
            raise ModelError(f"shape={self.name!r} needs a positive reference, got {number:g}.")
        return number_node(number)

    # -- what a regression sees of it --------------------------------------------------------------------------

    def columns(self, values: Array, reference: float, levels: int = 0) -> Array:
        """What its coefficients multiply on the transformed scale, to first order where they act on the natural one.

        Parameters
        ----------
        values : float64[N]
            The covariate; of a category the number of its level, from 0; NaN where there is none.
        reference : float
            Of numbers.
        levels : int
            Of a category, how many.

        Returns
        -------
        float64[N, k]
            NaN where there is no value.
        """
        if self.categorical:
            indicators = (values[:, None] == np.arange(1, levels)).astype(float)
            return np.where(np.isnan(values)[:, None], np.nan, indicators)
        known = {"c": values, "r": np.full(len(values), reference)}
        return np.column_stack([computed(tree_of(term), known) for term in self.terms])


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("power", ("log(c/r)",), identity=False, positive=True, usual=True),
        Shape("exponential", ("c - r",), identity=False, usual=True),
        Shape("linear", ("c - r",), "natural", usual=True),
        Shape("piecewise", ("below(c, r)", "above(c, r)"), "natural", breakpoint=True, screened=False),
        Shape("categorical", ("C(c)",), categorical=True, usual=True),
        Shape("fraction", ("C(c)",), "fraction", categorical=True),
    )
}
"""The known shapes by name; see `Model.with_covariate` for what they mean."""


OPEN = Shape("open", ("open(c)",), screened=False)
"""The shape of effects whose shape the data settle."""

_OWN = tuple(SHAPES)


def add_shape(shape: Shape) -> None:
    """Make a shape known by its name: to `Model.with_covariate`, screens, searches and panels.

    Parameters
    ----------
    shape : Shape

    Raises
    ------
    ModelError
        If another shape has that name.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.add_shape(wb.Shape("saturating", ("2*c/(c + r) - 1",), positive=True))
    >>> wb.Model(wb.pk()).with_covariate("CL", "WT", "saturating", reference=70)["CL"].covariates
    (wb.Effect('(2*WT/(WT+70)-1)'),)
    >>> wb.remove_shape("saturating")
    """
    if not isinstance(shape, Shape):
        raise ModelError(f"A wb.Shape(…) is needed, got {shape!r}.")
    if SHAPES.setdefault(shape.name, shape) != shape:
        raise ModelError(f"There is another shape {shape.name!r} already; give it another name.")


def remove_shape(name: str) -> None:
    """Forget a shape that `add_shape` has made known; effects in models stay as they are.

    Parameters
    ----------
    name : str

    Raises
    ------
    ModelError
        If no shape of that name was added.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.add_shape(wb.Shape("hockey", ("above(c, r)",), "natural", breakpoint=True))
    >>> wb.remove_shape("hockey")
    """
    if name in _OWN or name not in SHAPES:
        raise ModelError(f"No shape {name!r} was added.")
    del SHAPES[name]


def read_shape(parameter: Parameter, effect: Effect, others: Sequence[Effect] = ()) -> Acting | None:
    """How a covariate acts by an effect, in the first shape that it has; None if in none of the known ones."""
    found = (shape.read(parameter, effect, others) for shape in SHAPES.values())
    return next((acting for acting in found if acting is not None), None)


def usual_shape(link: Transform, categorical: bool, positive: bool) -> Shape:
    """The shape with which a covariate is tried where none is asked for."""
    return next(s for s in SHAPES.values() if s.usual and s.suits(link) and s.takes(categorical, positive))


def settled_effects(parameter: Parameter, effect: Effect, values: pd.Series[Any]) -> tuple[Effect, ...]:
    """An effect whose shape is open, in the usual shape for the values that its covariate has; others as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> import workbench as wb
    >>> settled_effects(wb.Parameter("CL"), wb.Effect("open(WT)"), pd.Series([60.0, 70.5], name="WT"))
    (wb.Effect('log(WT/median(WT))'),)
    >>> settled_effects(wb.Parameter("CL"), wb.Effect("open(RACE)"), pd.Series([1, 2, 4], name="RACE"))
    (wb.Effect('C(RACE)'),)
    """
    unsettled = open_of(tree_of(effect.term))
    if unsettled is None:
        return (effect,)
    (covariate,) = columns_of(effect.term)
    level = level_of(unsettled.arguments[1]) if len(unsettled.arguments) > 1 else None
    categorical = is_categorical(values) and len(values.dropna().unique()) > 1
    if categorical and isinstance(level, int | float):
        categorical = bool((values == level).any())  # a reference that no level has is that of a quantity
    positive = not categorical and bool((values.dropna() > 0).all())
    shape = usual_shape(parameter.link, categorical, positive)
    return shape.effects(parameter, covariate, "median" if level is None else level, effect.value, effect.fixed)


def shaped_effects(
    parameter: Parameter,
    covariate: str,
    shape: str | Shape | None,
    reference: Reference,
    start: float | Iterable[float] | None,
    fixed: bool,
    breakpoint: Reference | None,
) -> tuple[Effect, ...]:
    """The effects that `Model.with_covariate` adds; its docstring says what the arguments mean."""
    if shape is None:
        shape = OPEN
    fit = [s.name for s in SHAPES.values() if s.suits(parameter.link)]
    chosen = SHAPES.get(shape) if isinstance(shape, str) else shape
    if not isinstance(chosen, Shape) or not chosen.suits(parameter.link):
        given = chosen.name if isinstance(chosen, Shape) else shape
        raise ModelError(
            f"shape={given!r} for {parameter.name} (transform {parameter.link.name!r}); allowed are {_either(fit)}."
        )
    if not isinstance(covariate, str) or not covariate.isidentifier() or iskeyword(covariate):
        raise ModelError(f"{covariate!r} cannot stand in a covariate formula; rename the column to one word.")
    if breakpoint is not None:
        if not chosen.breakpoint:
            having = _either(s.name for s in SHAPES.values() if s.breakpoint)
            raise ModelError(f"shape={chosen.name!r} has no breakpoint; {having} has one.")
        if reference not in ("median", breakpoint):
            raise ModelError(
                f"shape={chosen.name!r} has its typical value at the breakpoint: reference={reference!r} and "
                f"breakpoint={breakpoint!r} differ; give one of them."
            )
        reference = breakpoint
    return chosen.effects(parameter, covariate, reference, start, fixed)


def _either(names: Iterable[str]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last


def _level(reference: Reference) -> str:
    return repr(reference) if isinstance(reference, str) else spelled_number(finite(reference, "reference"))


def _coefficients(start: float | Iterable[float]) -> tuple[float, ...]:
    given: Any = start if isinstance(start, Iterable) and not isinstance(start, str) else (start,)
    return tuple(finite(value, "start") for value in given)


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
