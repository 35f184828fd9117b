"""Residual error models: how an observation y scatters around its prediction f."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from workbench.checks import finite, names_out_of
from workbench.errors import ModelError

_SETTINGS = ("fixed", "log_data", "floor")  # fields that are not parameters


@dataclass(frozen=True)
class ResidualError:
    """Base of the residual error models.

    Their parameters are a, the constant part, b, the proportional one, and c, an exponent; a value of None is found
    from the data.

    Attributes
    ----------
    title : str
        One word for tables and menus.
    formula : str
        The standard deviation as text.
    fixed : tuple of str
        Names of the parameters that are kept as they are stated; given as names, or True for all.
    """

    title: ClassVar[str]
    formula: ClassVar[str]

    fixed: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for name in self.names:
            value = getattr(self, name)
            if value is None:
                continue
            number = finite(value, f"{name} of {type(self).__name__}")
            if number <= 0:
                what = "an exponent" if name == "c" else "a standard deviation"
                raise ModelError(f"{type(self).__name__}({name}={number:g}): it is {what}, positive.")
            object.__setattr__(self, name, number)
        object.__setattr__(self, "fixed", self._checked_fixed())

    def _checked_fixed(self) -> tuple[str, ...]:
        given: Any = self.fixed
        names = names_out_of(given, self.names, self.names)
        if names is None:
            allowed = ", ".join(map(repr, self.names))
            raise ModelError(f"{type(self).__name__}(fixed={given!r}): allowed are True, False, {allowed}.")
        for name in names:
            if getattr(self, name) is None:
                raise ModelError(f"{name} of {type(self).__name__} is fixed but has no value; give one.")
        return tuple(name for name in self.names if name in names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters: a is the constant part, b the proportional one, c the exponent of f."""
        return tuple(item.name for item in fields(self) if item.name not in _SETTINGS)

    @property
    def values(self) -> tuple[float | None, ...]:
        """Values of the parameters in the order of `names`."""
        return tuple(getattr(self, name) for name in self.names)

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the parameters that are kept as they are stated."""
        return self.fixed

    def with_values(self, values: Mapping[str, float | None]) -> Self:
        """The same error model with other values, by name; None is found from the data."""
        unknown = [name for name in values if name not in self.names]
        if unknown:
            names = ", ".join(self.names)
            raise ModelError(f"{type(self).__name__} has no {', '.join(unknown)}. It has {names}.")
        changes: dict[str, Any] = dict(values)
        return replace(self, **changes)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in zip(self.names, self.values, strict=True) if value is not None]
        others = [item for item in fields(self) if item.name in _SETTINGS and item.name != "fixed"]
        given += [f"{s.name}={getattr(self, s.name)!r}" for s in others if getattr(self, s.name) != s.default]
        if self.fixed:
            given.append(f"fixed={True if self.fixed == self.names else self.fixed!r}")
        return f"wb.{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, repr=False)
class Constant(ResidualError):
    """sd = a, in the unit of the response."""

    title = "constant"
    formula = "a"
    a: float | None = None


@dataclass(frozen=True, repr=False)
class Proportional(ResidualError):
    """sd = b·f; b is a fraction (0.1 for 10 %)."""

    title = "proportional"
    formula = "b·f"
    b: float | None = None


@dataclass(frozen=True, repr=False)
class Combined(ResidualError):
    """sd = a + b·f (Monolix combined1)."""

    title = "combined"
    formula = "a + b·f"
    a: float | None = None
    b: float | None = None


@dataclass(frozen=True, repr=False)
class Combined2(ResidualError):
    """sd = √(a² + (b·f)²), two independent errors (Monolix combined2, NONMEM's usual additive plus proportional)."""

    title = "combined2"
    formula = "√(a² + (b·f)²)"
    a: float | None = None
    b: float | None = None


@dataclass(frozen=True, repr=False)
class Power(ResidualError):
    """sd = b·f^c; c = 1 is proportional."""

    title = "power"
    formula = "b·f^c"
    b: float | None = None
    c: float | None = None


@dataclass(frozen=True, repr=False)
class Exponential(ResidualError):
    """Log-normal: log y = log f + a·ε with ε ~ N(0, 1).

    Parameters
    ----------
    a : float, optional
        Standard deviation of log y.
    log_data : bool
        The data are logarithms already: the response is log y, and predictions of it are log f.
    floor : float, optional
        What a prediction of 0 counts as, in the unit of f: log 0 has no value.
    """

    title = "exponential"
    formula = "a on the log scale"
    a: float | None = None
    log_data: bool = False
    floor: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.log_data, bool):
            raise ModelError(f"Exponential(log_data={self.log_data!r}): allowed are True and False.")
        if self.floor is not None:
            floor = finite(self.floor, "floor of Exponential")
            if floor <= 0:
                raise ModelError(f"Exponential(floor={floor:g}): its logarithm is taken, so it must be positive.")
            object.__setattr__(self, "floor", floor)


ERROR_MODELS: tuple[type[ResidualError], ...] = (Constant, Proportional, Combined, Combined2, Power, Exponential)
