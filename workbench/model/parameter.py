"""Structural parameters as a user states them: typical value, random effect, covariate effects."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from workbench.errors import ModelError
from workbench.model.formula import split_terms

Transform = Literal["log", "identity"]
TRANSFORMS: tuple[Transform, ...] = ("log", "identity")


def finite(value: object, what: str) -> float:
    """Return `value` as a float; a ModelError that names `what` if it is not a finite number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ModelError(f"{what} is {value!r}; a finite number is needed.")
    return number


@dataclass(frozen=True)
class Effect:
    """A term of a covariate formula with its coefficients.

    Parameters
    ----------
    term : str
        For instance "log(WT/70)", "(AGE - 40)" or "C(SEX)".
    value : float or tuple of float, optional
        Coefficients, one per column that the term makes, on the transformed scale of the parameter.
        None: start from 0.
    fixed : bool
        Keep the coefficients at `value`.
    """

    term: str
    value: tuple[float, ...] | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        terms = split_terms(self.term)
        if len(terms) != 1:
            raise ModelError(f"An effect holds one term, got {self.term!r}; use one Effect for each.")
        object.__setattr__(self, "term", terms[0])
        if self.value is not None:
            values = self.value if isinstance(self.value, Iterable) else (self.value,)
            numbers = tuple(finite(v, f"The coefficient of {self.term!r}") for v in values)
            object.__setattr__(self, "value", numbers)
        elif self.fixed:
            raise ModelError(f"The effect {self.term!r} is fixed but has no value; give value=.")

    def __repr__(self) -> str:
        parts = [repr(self.term)]
        if self.value is not None:
            parts.append(repr(self.value[0] if len(self.value) == 1 else self.value))
        if self.fixed:
            parts.append("fixed=True")
        return f"wb.Effect({', '.join(parts)})"


@dataclass(frozen=True)
class Parameter:
    """A structural parameter of the model.

    The individual value p follows h(p) = h(value) + covariate effects + η with η ~ N(0, iiv²), where
    h is the transform.

    Parameters
    ----------
    name : str
        As the structure names it.
    value : float, optional
        Typical value on the natural scale. None: found from the data.
    iiv : float or bool, optional
        Inter-individual variability: the standard deviation of η on the transformed scale. True: found from
        the data. None or False: no random effect.
    covariates : str or sequence of Effect, optional
        A formula such as "log(WT/70) + C(SEX)", or its terms as `Effect`s with coefficients.
    transform : {"log", "identity"}
    fixed : bool
        Keep `value` as it is (its random effect is still estimated).
    column : str, optional
        Take the value per record from this column of the data; nothing is estimated then.

    Raises
    ------
    ModelError
        If a number is not finite, not positive where it must be, or the formula holds something not allowed.
    """

    name: str
    value: float | None = None
    iiv: float | bool | None = None
    covariates: tuple[Effect, ...] = ()
    transform: Transform = "log"
    fixed: bool = False
    column: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ModelError(f"A parameter's name is a word such as 'CL', got {self.name!r}.")
        if self.transform not in TRANSFORMS:
            raise ModelError(f"{self.name}: transform={self.transform!r}; allowed are {', '.join(TRANSFORMS)}.")
        if self.value is not None:
            value = finite(self.value, f"The value of {self.name}")
            if self.transform == "log" and value <= 0:
                raise ModelError(
                    f"The value of {self.name} is {value:g}; with transform='log' it must be positive "
                    "(or use transform='identity')."
                )
            object.__setattr__(self, "value", value)
        elif self.fixed:
            raise ModelError(f"{self.name} is fixed but has no value; give one.")
        if self.iiv is False:
            object.__setattr__(self, "iiv", None)
        elif self.iiv is not None and self.iiv is not True:
            iiv = finite(self.iiv, f"iiv of {self.name}")
            if iiv <= 0:
                raise ModelError(
                    f"iiv of {self.name} is {iiv:g}; it is the standard deviation of η and must be positive "
                    "(None for no random effect)."
                )
            object.__setattr__(self, "iiv", iiv)
        effects = self.covariates or ()
        if isinstance(effects, str):
            effects = tuple(Effect(term) for term in split_terms(effects))
        elif isinstance(effects, Effect):
            effects = (effects,)
        else:
            effects = tuple(effect if isinstance(effect, Effect) else Effect(effect) for effect in effects)
        terms = [effect.term for effect in effects]
        if len(set(terms)) < len(terms):
            raise ModelError(f"{self.name}: a covariate term is given twice: {', '.join(terms)}.")
        object.__setattr__(self, "covariates", effects)
        if self.column is not None and (self.value is not None or self.iiv is not None or effects):
            raise ModelError(f"{self.name} is taken from column {self.column!r}: it has no value, iiv or covariates.")

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        if self.value is not None:
            parts.append(repr(self.value))
        if self.iiv is not None:
            parts.append(f"iiv={self.iiv!r}")
        if self.covariates:
            if any(effect.value is not None for effect in self.covariates):
                parts.append(f"covariates=[{', '.join(map(repr, self.covariates))}]")
            else:
                parts.append(f"covariates={' + '.join(effect.term for effect in self.covariates)!r}")
        if self.transform != "log":
            parts.append(f"transform={self.transform!r}")
        if self.fixed:
            parts.append("fixed=True")
        if self.column is not None:
            parts.append(f"column={self.column!r}")
        return f"wb.Parameter({', '.join(parts)})"
