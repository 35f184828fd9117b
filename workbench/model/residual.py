"""Residual error models: the standard deviation of an observation around its prediction f."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from workbench.errors import ModelError
from workbench.model.parameter import finite


@dataclass(frozen=True)
class ResidualError:
    """Base of the residual error models. A value of None is found from the data."""

    title: ClassVar[str]
    formula: ClassVar[str]

    def __post_init__(self) -> None:
        for name in self.names:
            value = getattr(self, name)
            if value is None:
                continue
            number = finite(value, f"{name} of {type(self).__name__}")
            if number <= 0:
                raise ModelError(f"{type(self).__name__}({name}={number:g}): it is a standard deviation, positive.")
            object.__setattr__(self, name, number)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters: a is the constant part, b the proportional one."""
        return tuple(field.name for field in fields(self))

    @property
    def values(self) -> tuple[float | None, ...]:
        """Values of the parameters in the order of `names`."""
        return tuple(getattr(self, name) for name in self.names)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in zip(self.names, self.values, strict=True) if value is not None]
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


ERROR_MODELS: tuple[type[ResidualError], ...] = (Constant, Proportional, Combined, Combined2)
