"""Structural parameters as a user states them: typical value, random effects, covariate effects."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from workbench.checks import finite, names_out_of
from workbench.errors import ModelError
from workbench.language.formula import MAX_LENGTH, split_terms
from workbench.model.transform import TRANSFORMS, Transform

PARTS = ("value", "iiv", "iov", "share")  # what of a parameter can be fixed

Bounds = tuple[float | None, float | None]
_UNIT: Bounds = (0.0, 1.0)


@dataclass(frozen=True)
class Effect:
    """A term of a covariate formula with its coefficients.

    Parameters
    ----------
    term : str
        For instance "log(WT/70)", "(AGE - 40)", "C(SEX)" or "above(AGE, 65)"; see `workbench.language.formula`.
    value : float or tuple of float, optional
        Coefficients θ, one per column x that the term makes. None: start from 0.
    fixed : bool
        Keep the coefficients at `value`.
    fractional : bool
        False: Σ θ·x is added on the transformed scale of the parameter. True: its typical value on the natural
        scale is multiplied by 1 + Σ θ·x; several fractional effects multiply.
    """

    term: str
    value: tuple[float, ...] | None = None
    fixed: bool = False
    fractional: bool = False

    def __post_init__(self) -> None:
        terms = split_terms(self.term)
        if len(terms) != 1:
            raise ModelError(f"An effect holds one term, got {self.term!r}; use one Effect for each.")
        object.__setattr__(self, "term", terms[0])
        for name in ("fixed", "fractional"):
            if not isinstance(getattr(self, name), bool):
                raise ModelError(f"The effect {self.term!r}: {name} is True or False, got {getattr(self, name)!r}.")
        if self.value is not None:
            values = self.value if isinstance(self.value, Iterable) else (self.value,)
            numbers = tuple(finite(v, f"The coefficient of {self.term!r}") for v in values)
            if not numbers:
                raise ModelError(f"The effect {self.term!r} has an empty value; give a number, or None.")
            object.__setattr__(self, "value", numbers)
        elif self.fixed:
            raise ModelError(f"The effect {self.term!r} is fixed but has no value; give value=.")

    def __repr__(self) -> str:
        parts = [repr(self.term)]
        if self.value is not None:
            parts.append(repr(self.value[0] if len(self.value) == 1 else self.value))
        if self.fixed:
            parts.append("fixed=True")
        if self.fractional:
            parts.append("fractional=True")
        return f"wb.Effect({', '.join(parts)})"


@dataclass(frozen=True, eq=False)
class Parameter:
    """A structural parameter of the model.

    The individual value p follows h(p) = h(value) + covariate effects + η + κ with η ~ N(0, iiv²) for each subject
    and κ ~ N(0, iov²) for each of its occasions, where h is the transform.

    Parameters
    ----------
    name : str
        As the structure names it.
    value : float, optional
        Typical value on the natural scale, strictly inside `bounds`. None: found from the data.
    iiv : float or bool, optional
        Inter-individual variability: the standard deviation of η on the transformed scale. True: found from
        the data. None or False: no random effect.
    covariates : str or sequence of Effect, optional
        A formula such as "log(WT/70) + C(SEX)", or its terms as `Effect`s with coefficients.
    transform : {"log", "identity", "logit", "probit"} or Transform
        With "logit" and "probit" p = lower + (upper − lower)·g(z), g the logistic function or Φ.
    fixed : bool or sequence of {"value", "iiv", "iov", "share"}
        What is kept as it is stated. True: `value` only; its random effects are still estimated.
    column : str, optional
        Take the value per record from this column of the data; nothing is estimated then.
    bounds : tuple of float or None, optional
        (lower, upper). With "logit" and "probit" the range of individual values, (0, 1) if not given. Otherwise the
        range in which the typical value is searched, None for an end that is open.
    iov : float or bool, optional
        Inter-occasion variability: the standard deviation of κ on the transformed scale, as `iiv`. Needs data with
        occasions.
    share : str or tuple of str and float, optional
        Another parameter whose η this one shares: its own is scale·η of that one. "CL": the scale is estimated from
        1; ("CL", 0.8): from 0.8, or kept there with fixed=("share",).

    Raises
    ------
    ModelError
        If a number is not finite, not positive or inside its bounds where it must be, or the formula holds something
        not allowed.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.Parameter("CL", 2.8, iiv=0.3, covariates="log(WT/70)").fixed_parts
    ()
    >>> wb.Parameter("F", 0.7, transform="logit", fixed=True).limits
    (0.0, 1.0)
    """

    name: str
    value: float | None = None
    iiv: float | bool | None = None
    covariates: tuple[Effect, ...] = ()
    transform: str | Transform = "log"
    fixed: bool | tuple[str, ...] = False
    column: str | None = None
    bounds: Bounds | None = None
    iov: float | bool | None = None
    share: tuple[str, float | None] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ModelError(f"A parameter's name is a word such as 'CL', got {self.name!r}.")
        put = object.__setattr__
        put(self, "transform", self._checked_transform())
        put(self, "bounds", self._checked_bounds())
        put(self, "value", self._checked_value())
        put(self, "iiv", self._checked_deviation("iiv"))
        put(self, "iov", self._checked_deviation("iov"))
        put(self, "covariates", self._checked_effects())
        put(self, "share", self._checked_share())
        put(self, "fixed", self._checked_fixed())
        if self.column is not None:
            if not isinstance(self.column, str):
                raise ModelError(f"{self.name}: column={self.column!r}; the name of a column of the data is needed.")
            taken = [self.value, self.iiv, self.iov, self.share, None if self.bounds == _UNIT else self.bounds]
            if self.covariates or any(part is not None for part in taken):
                raise ModelError(
                    f"{self.name} is taken from column {self.column!r}: it has no value, bounds, iiv, iov, share or "
                    "covariates."
                )

    # -- checks --------------------------------------------------------------------------------------------------

    def _checked_transform(self) -> str | Transform:
        given: Any = self.transform
        if isinstance(given, Transform):
            return given.name if given == TRANSFORMS.get(given.name) else given
        if not isinstance(given, str) or given not in TRANSFORMS:
            raise ModelError(
                f"{self.name}: transform={given!r}; allowed are {', '.join(TRANSFORMS)}, or a wb.Transform(…)."
            )
        return given

    def _checked_bounds(self) -> Bounds | None:
        between = self.link.needs_bounds
        if self.bounds is None:
            return _UNIT if between else None
        if isinstance(self.bounds, str) or not isinstance(self.bounds, Iterable) or len(tuple(self.bounds)) != 2:
            raise ModelError(f"{self.name}: bounds={self.bounds!r}; a pair such as (0.1, None) is needed.")
        ends = []
        for end, open_end in zip(self.bounds, (-math.inf, math.inf), strict=True):
            ends.append(None if end is None or end == open_end else finite(end, f"A bound of {self.name}"))
        lower, upper = ends
        if lower is not None and upper is not None and not lower < upper:
            raise ModelError(f"{self.name}: bounds={self.bounds!r}; the lower one comes first, and they differ.")
        if between and (lower is None or upper is None):
            raise ModelError(f"{self.name}: {self.transform} needs two finite bounds, got {self.bounds!r}.")
        lowest, highest = self.link.range((-math.inf, math.inf))
        if (lower is not None and not lowest <= lower < highest) or (
            upper is not None and not lowest < upper <= highest
        ):
            rule = "not negative" if self.link.is_logarithm else f"between {lowest:g} and {highest:g}"
            raise ModelError(
                f"{self.name}: bounds={self.bounds!r}; with transform={self.link.name!r} they are {rule} "
                "(or use transform='identity')."
            )
        return None if lower is None and upper is None else (lower, upper)

    def _checked_value(self) -> float | None:
        if self.value is None:
            return None
        value = finite(self.value, f"The value of {self.name}")
        if self.link.is_logarithm and value <= 0:
            raise ModelError(
                f"The value of {self.name} is {value:g}; with transform='log' it must be positive "
                "(or use transform='identity')."
            )
        lower, upper = self.limits
        if not lower < value < upper:
            raise ModelError(
                f"The value of {self.name} is {value:g}; it must lie strictly between {lower:g} and {upper:g} "
                f"(transform={self.link.name!r}, bounds={self.bounds!r})."
            )
        return value

    def _checked_deviation(self, what: str) -> float | bool | None:
        given = getattr(self, what)
        if given is None or given is False:
            return None
        if given is True:
            return True
        deviation = finite(given, f"{what} of {self.name}")
        if deviation <= 0:
            effect = "η" if what == "iiv" else "κ"
            raise ModelError(
                f"{what} of {self.name} is {deviation:g}; it is the standard deviation of {effect} and must be "
                "positive (None for no random effect)."
            )
        return deviation

    def _checked_effects(self) -> tuple[Effect, ...]:
        given: Any = self.covariates or ()
        if isinstance(given, str):
            effects = tuple(Effect(term) for term in split_terms(given))
        elif isinstance(given, Effect):
            effects = (given,)
        elif isinstance(given, Iterable):
            effects = tuple(effect if isinstance(effect, Effect) else Effect(effect) for effect in given)
        else:
            raise ModelError(
                f"{self.name}: covariates={given!r}; a formula such as 'log(WT/70)' is needed, or Effects."
            )
        terms = [effect.term for effect in effects]
        if len(set(terms)) < len(terms):
            raise ModelError(f"{self.name}: a covariate term is given twice: {', '.join(terms)}.")
        return effects

    def _checked_share(self) -> tuple[str, float | None] | None:
        given: Any = self.share
        if given is None:
            return None
        other, scale = given if isinstance(given, tuple | list) and len(given) == 2 else (given, None)
        if not isinstance(other, str) or not other.isidentifier() or other == self.name:
            raise ModelError(
                f"{self.name}: share={given!r}; the name of another parameter is needed, alone or with a scale as in "
                "('CL', 0.8)."
            )
        if self.iiv is not None:
            raise ModelError(f"{self.name} shares the random effect of {other}: it has no iiv of its own.")
        return other, None if scale is None else finite(scale, f"The scale of the η that {self.name} shares")

    def _checked_fixed(self) -> bool | tuple[str, ...]:
        given: Any = self.fixed
        names = names_out_of(given, PARTS, ("value",))
        if names is None:
            raise ModelError(
                f"{self.name}: fixed={given!r}; allowed are True, False, or names out of {', '.join(PARTS)}."
            )
        stated = {
            "value": self.value,
            "iiv": None if self.iiv is True else self.iiv,
            "iov": None if self.iov is True else self.iov,
            "share": self.share[1] if self.share else None,
        }
        for name in names:
            if stated[name] is None:
                what = self.name if name == "value" else f"{name} of {self.name}"
                raise ModelError(f"{what} is fixed but has no value; give one.")
        parts = tuple(part for part in PARTS if part in names)
        return bool(parts) if parts in ((), ("value",)) else parts

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def fixed_parts(self) -> tuple[str, ...]:
        """What is kept as it is stated, out of "value", "iiv", "iov" and "share"."""
        return self.fixed if isinstance(self.fixed, tuple) else ("value",) if self.fixed else ()

    @property
    def link(self) -> Transform:
        """The transform, which can be asked."""
        return self.transform if isinstance(self.transform, Transform) else TRANSFORMS[self.transform]

    @property
    def limits(self) -> tuple[float, float]:
        """The bounds as numbers, those of the transform where open: log-normal parameters begin at 0."""
        lower, upper = self.bounds or (None, None)
        lowest, highest = self.link.range((-math.inf, math.inf))
        return lowest if lower is None else lower, highest if upper is None else upper

    @property
    def between(self) -> tuple[float, float]:
        """The two bounds of a transform that needs them; (0, 1), which means nothing, for others."""
        return self.limits if self.link.needs_bounds else (0.0, 1.0)

    def _key(self) -> tuple[object, ...]:
        """What makes two equal; the standard deviation 1.0 is not True, which is found from the data."""
        values = tuple(getattr(self, field.name) for field in fields(self))
        return (*values, self.iiv is True, self.iov is True)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Parameter) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def arguments(self) -> list[str]:
        """What `repr` prints between the brackets."""
        parts = [repr(self.name)]
        if self.value is not None:
            parts.append(repr(self.value))
        if self.iiv is not None:
            parts.append(f"iiv={self.iiv!r}")
        if self.iov is not None:
            parts.append(f"iov={self.iov!r}")
        if self.share is not None:
            shown = self.share[0] if self.share[1] is None else self.share
            parts.append(f"share={shown!r}")
        if self.covariates:
            formula = " + ".join(effect.term for effect in self.covariates)
            plain = all(effect == Effect(effect.term) for effect in self.covariates)
            if plain and len(formula) <= MAX_LENGTH:
                parts.append(f"covariates={formula!r}")
            else:
                parts.append(f"covariates=[{', '.join(map(repr, self.covariates))}]")
        if self.transform != "log":
            parts.append(f"transform={self.transform!r}")
        if self.bounds is not None and not (self.bounds == _UNIT and self.link.needs_bounds):
            parts.append(f"bounds={self.bounds!r}")
        if self.fixed:
            parts.append(f"fixed={self.fixed!r}")
        if self.column is not None:
            parts.append(f"column={self.column!r}")
        return parts

    def __repr__(self) -> str:
        return f"wb.Parameter({', '.join(self.arguments())})"
