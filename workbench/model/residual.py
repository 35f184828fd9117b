"""Residual error models: how an observation y scatters around its prediction f.

Whatever differs between them is asked here: the standard deviation as text, from which the engine has its derivatives,
the parameters, the scale of the analysis, what happens at f = 0, and how they are shown. An error of one's own is a
frozen dataclass that answers the same questions; see `ResidualError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self, get_args
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from workbench.checks import finite, names_out_of
from workbench.errors import ModelError
from workbench.language.reading import read_expression
from workbench.language.tree import Expression, evaluate, latex, names_in

Array = NDArray[np.float64]
Dimension = Literal["response", "fraction", "number"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


@dataclass(frozen=True)
class ErrorParameter:
    """A parameter of a residual error; all of them are positive, and searched as logarithms.

    Parameters
    ----------
    meaning : str
        What it is, in a few words.
    dimension : {"response", "fraction", "number"}
        "response": a deviation in the unit of the response, or of log y where that is analysed; "fraction": a deviation
        relative to the prediction; "number": what is no deviation, as an exponent.
    start : float
        Where the search for a "number" begins; deviations begin at what the typical curves leave.
    """

    meaning: str
    dimension: Dimension
    start: float = 1.0

    def __post_init__(self) -> None:
        if self.dimension not in DIMENSIONS:
            allowed = ", ".join(map(repr, DIMENSIONS))
            raise ModelError(f"ErrorParameter(dimension={self.dimension!r}): allowed are {allowed}.")
        if not isinstance(self.meaning, str):
            raise ModelError(f"ErrorParameter(meaning={self.meaning!r}): words are needed.")
        if finite(self.start, "start of an ErrorParameter") <= 0:
            raise ModelError(f"ErrorParameter(start={self.start!r}): it must be positive.")

    @property
    def is_deviation(self) -> bool:
        """Whether the standard deviation grows in proportion to it and its like."""
        return self.dimension != "number"


_CONSTANT = ErrorParameter("constant part", "response")
_RELATIVE = ErrorParameter("proportional part", "fraction")
_EXPONENT = ErrorParameter("exponent", "number")


_answered = WeakSet[type]()  # kinds that leave no question open


@cache
def _read(sd: str, kind: str) -> Expression:
    return read_expression(sd, f"sd of {kind}")[1]


@dataclass(frozen=True)
class ResidualError:
    """Base of the residual error models.

    An error of one's own is a subclass: a frozen dataclass whose fields, None unless stated, are its parameters, and
    that answers at least the first two of these questions.

    Attributes
    ----------
    sd : str
        The standard deviation as an expression of f, the prediction on the scale of the analysis, and the parameters.
        The same functions are allowed as in `wb.equation`; a fit has its exact derivatives.
    parameters : dict of str to ErrorParameter
        What each parameter is; a value of None is found from the data.
    title : str
        One word for tables and menus; the name of the class if not given.
    formula : str
        The standard deviation as people write it; `sd` if not given.
    logarithmic : bool
        Whether log y is analysed around log f, instead of y around f.
    settings : tuple of str
        Fields that are not parameters.
    special : dict of str to (float, type)
        At which value of a parameter it is a simpler error, and which.
    fixed : tuple of str
        Names of the parameters that are kept as they are stated; given as names, or True for all.

    Raises
    ------
    ModelError
        If a value is not positive, or a question has no answer.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import workbench as wb
    >>> @dataclass(frozen=True, repr=False)
    ... class Poisson(wb.ResidualError):
    ...     sd = "sqrt(a^2 + d^2*abs(f))"
    ...     parameters = {
    ...         "a": wb.ErrorParameter("constant part", "response"),
    ...         "d": wb.ErrorParameter("part of counting", "response"),
    ...     }
    ...     a: float | None = None
    ...     d: float | None = None
    >>> Poisson(0.5, 0.1)
    Poisson(a=0.5, d=0.1)
    """

    sd: ClassVar[str]
    parameters: ClassVar[Mapping[str, ErrorParameter]]
    title: ClassVar[str]
    formula: ClassVar[str]
    logarithmic: ClassVar[bool] = False
    settings: ClassVar[tuple[str, ...]] = ()
    special: ClassVar[Mapping[str, tuple[float, type[ResidualError]]]] = {}

    fixed: tuple[str, ...] = field(default=(), kw_only=True)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "title" not in vars(cls):
            cls.title = cls.__name__.lower()
        if "formula" not in vars(cls) and isinstance(getattr(cls, "sd", None), str):
            cls.formula = cls.sd

    def __post_init__(self) -> None:
        self.check_answers()
        for name in self.names:
            value = getattr(self, name)
            if value is None:
                continue
            number = finite(value, f"{name} of {type(self).__name__}")
            if number <= 0:
                about = self.parameters[name]
                what = "a standard deviation" if about.is_deviation else f"the {about.meaning}"
                raise ModelError(f"{type(self).__name__}({name}={number:g}): it is {what}, positive.")
            object.__setattr__(self, name, number)
        object.__setattr__(self, "fixed", self._checked_fixed())

    def check_answers(self) -> None:
        """Refuse a kind that leaves a question open, by the name of the question."""
        if type(self) in _answered:
            return
        kind = type(self).__name__
        if type(self) is ResidualError:
            raise ModelError("ResidualError is the base of the residual errors; take one such as wb.Combined2().")
        if not isinstance(getattr(self, "sd", None), str):
            raise ModelError(
                f"{kind} does not say its standard deviation: state sd, an expression of f and the parameters such as "
                '"sqrt(a^2 + (b*f)^2)".'
            )
        if "__dataclass_fields__" not in vars(type(self)):
            raise ModelError(
                f"{kind} does not say its fields: put @dataclass(frozen=True, repr=False) above the class."
            )
        about = getattr(self, "parameters", None)
        if not isinstance(about, Mapping):
            raise ModelError(
                f"{kind} does not say what its parameters are: state parameters, a dict such as "
                '{"a": wb.ErrorParameter("constant part", "response")}.'
            )
        for name in self.names:
            if not isinstance(about.get(name), ErrorParameter):
                raise ModelError(
                    f"{kind} does not say what its parameter {name} is: parameters needs {name!r}: wb.ErrorParameter("
                    '"what it means", "response"), or "fraction", or "number". A field that is no parameter stands '
                    "in settings."
                )
        used = {name.name for name in names_in(self.deviation)}
        if "f" in self.names:
            raise ModelError(f"{kind}: f is the prediction; its parameter needs another name.")
        unknown = sorted(used - {"f", *self.names})
        if unknown:
            known = ", ".join(("f", *self.names))
            raise ModelError(f"{kind}: sd uses {', '.join(unknown)}, which is no field of it. There are {known}.")
        unused = [name for name in self.names if name not in used]
        if unused:
            raise ModelError(
                f"{kind}: sd does not use {', '.join(unused)}. A field that is no parameter is in settings."
            )
        _answered.add(type(self))

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

    # -- parameters --------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(item.name for item in fields(self) if item.name not in ("fixed", *self.settings))

    @property
    def values(self) -> tuple[float | None, ...]:
        """Values of the parameters in the order of `names`."""
        return tuple(getattr(self, name) for name in self.names)

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the parameters that are kept as they are stated."""
        return self.fixed

    def dimension(self, name: str) -> str:
        """Of what unit a parameter is: "response", or "" for none."""
        return "response" if self.parameters[name].dimension == "response" and not self.logarithmic else ""

    def with_values(self, values: Mapping[str, float | None]) -> Self:
        """The same error model with other values, by name; None is found from the data."""
        unknown = [name for name in values if name not in self.names]
        if unknown:
            names = ", ".join(self.names)
            raise ModelError(f"{type(self).__name__} has no {', '.join(unknown)}. It has {names}.")
        changes: dict[str, Any] = dict(values)
        return replace(self, **changes)

    def with_guesses(self, spread: float, relative: float) -> Self:
        """With values where none are stated, such that a search can begin.

        Parameters
        ----------
        spread : float
            Standard deviation of the residual error.
        relative : float
            The same relative to the predictions.
        """
        deviations = [name for name in self.names if self.parameters[name].is_deviation]
        several = len({self.parameters[name].dimension for name in deviations}) > 1
        share = 0.5 if several else 1.0
        guess = {"response": share * spread, "fraction": share * relative}
        found = {name: guess.get(self.parameters[name].dimension, self.parameters[name].start) for name in self.names}
        return self.with_values({name: found[name] for name in self.names if getattr(self, name) is None})

    def plain(self, deviation: float) -> ResidualError:
        """A constant deviation on the same scale: what a search for typical values begins with."""
        return Constant(deviation)

    # -- the standard deviation --------------------------------------------------------------------------------

    @property
    def deviation(self) -> Expression:
        """The standard deviation as a tree; its names are f and those of the parameters."""
        return _read(self.sd, type(self).__name__)

    def sd_at(self, f: float, values: Mapping[str, float]) -> float:
        """The standard deviation at a prediction f on the scale of the analysis."""
        return evaluate(self.deviation, {**values, "f": f})

    def _unit_sd(self, f: float, without: str | None) -> float:
        """The standard deviation with parameters of 1, but for one of 0."""
        return self.sd_at(f, {name: 0.0 if name == without else 1.0 for name in self.names})

    def vanishes(self, without: str | None = None) -> bool:
        """Whether nothing is left of it where f is 0, though something is elsewhere; `without`: as that goes to 0."""
        left = self._unit_sd(0.0, without) > 0.0
        return not self.logarithmic and not left and self._unit_sd(1.0, without) > 0.0

    def rests_on(self, name: str) -> bool:
        """Whether something is left of it where f is 0, but nothing as that parameter goes to 0."""
        left = self._unit_sd(0.0, name) > 0.0
        return not self.logarithmic and not left and self._unit_sd(0.0, None) > 0.0

    def is_case_of(self, other: ResidualError) -> bool:
        """Whether another error is the same as this one at some value of one of its parameters."""
        return any(kind is type(self) for _, kind in other.special.values())

    # -- the scale of the analysis -----------------------------------------------------------------------------

    @property
    def data_are_logarithms(self) -> bool:
        """Whether the data are logarithms already."""
        return False

    @property
    def takes_logarithm(self) -> bool:
        """Whether the logarithm of the data is taken before they are analysed."""
        return self.logarithmic and not self.data_are_logarithms

    @property
    def counts_zero_as(self) -> float | None:
        """What a prediction of 0 counts as before its logarithm is taken, if anything."""
        return None

    def analysed(self, f: Array) -> Array:
        """Predictions on the scale of the analysis."""
        if not self.logarithmic:
            return f
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(np.where(f > 0, f, self.counts_zero_as or 0.0)))

    def as_data(self, f: Array) -> Array:
        """Predictions on the scale of the data: logarithms where these are."""
        return self.analysed(f) if self.data_are_logarithms else f

    # -- as people see it --------------------------------------------------------------------------------------

    def latex(self, y: str, f: str) -> str:
        """The equation of an observation, with ε ~ N(0, 1)."""
        left, right = y, f
        if self.logarithmic:
            left, right = y if self.data_are_logarithms else rf"\ln {y}", rf"\ln {f}"
        return rf"{left} = {right} + {self._latex_of_sd()}\,\varepsilon"

    def _latex_of_sd(self) -> str:
        return rf"\left({latex(self.deviation)}\right)"

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in zip(self.names, self.values, strict=True) if value is not None]
        others = [item for item in fields(self) if item.name in self.settings]
        given += [f"{s.name}={getattr(self, s.name)!r}" for s in others if getattr(self, s.name) != s.default]
        if self.fixed:
            given.append(f"fixed={True if self.fixed == self.names else self.fixed!r}")
        return f"{'wb.' if type(self) in ERROR_MODELS else ''}{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, repr=False)
class Constant(ResidualError):
    """sd = a, in the unit of the response."""

    title = "constant"
    sd = "a"
    parameters: ClassVar = {"a": _CONSTANT}
    a: float | None = None

    def _latex_of_sd(self) -> str:
        return "a"


@dataclass(frozen=True, repr=False)
class Proportional(ResidualError):
    """sd = b·f; b is a fraction (0.1 for 10 %)."""

    title = "proportional"
    sd = "b*f"
    formula = "b·f"
    parameters: ClassVar = {"b": _RELATIVE}
    b: float | None = None

    def _latex_of_sd(self) -> str:
        return r"b\,f"


@dataclass(frozen=True, repr=False)
class Combined(ResidualError):
    """sd = a + b·f (Monolix combined1)."""

    title = "combined"
    sd = "a + b*abs(f)"
    formula = "a + b·f"
    parameters: ClassVar = {"a": _CONSTANT, "b": _RELATIVE}
    special: ClassVar = {"a": (0.0, Proportional), "b": (0.0, Constant)}
    a: float | None = None
    b: float | None = None

    def _latex_of_sd(self) -> str:
        return r"\left(a + b\,f\right)"


@dataclass(frozen=True, repr=False)
class Combined2(ResidualError):
    """sd = √(a² + (b·f)²), two independent errors (Monolix combined2, NONMEM's usual additive plus proportional).

    Examples
    --------
    >>> import workbench as wb
    >>> model = wb.Model(wb.pk(), error=wb.Combined2(0.5, 0.1))
    >>> model.error.names
    ('a', 'b')
    """

    title = "combined2"
    sd = "sqrt(a^2 + (b*f)^2)"
    formula = "√(a² + (b·f)²)"
    parameters: ClassVar = {"a": _CONSTANT, "b": _RELATIVE}
    special: ClassVar = {"a": (0.0, Proportional), "b": (0.0, Constant)}
    a: float | None = None
    b: float | None = None

    def _latex_of_sd(self) -> str:
        return r"\sqrt{a^2 + (b\,f)^2}"


@dataclass(frozen=True, repr=False)
class Power(ResidualError):
    """sd = b·f^c; c = 1 is proportional."""

    title = "power"
    sd = "b*abs(f)^c"
    formula = "b·f^c"
    parameters: ClassVar = {"b": _RELATIVE, "c": _EXPONENT}
    special: ClassVar = {"c": (1.0, Proportional)}
    b: float | None = None
    c: float | None = None

    def _latex_of_sd(self) -> str:
        return r"b\,f^{\,c}"


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
    sd = "a"
    formula = "a on the log scale"
    parameters: ClassVar = {"a": ErrorParameter("standard deviation of log y", "response")}
    logarithmic = True
    settings = ("log_data", "floor")
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

    @property
    def data_are_logarithms(self) -> bool:
        """Whether the data are logarithms already."""
        return self.log_data

    @property
    def counts_zero_as(self) -> float | None:
        """What a prediction of 0 counts as before its logarithm is taken, if anything."""
        return self.floor

    def plain(self, deviation: float) -> ResidualError:
        """A constant deviation on the same scale: what a search for typical values begins with."""
        return replace(self, a=deviation, fixed=())

    def _latex_of_sd(self) -> str:
        return "a"


ERROR_MODELS: tuple[type[ResidualError], ...] = (Constant, Proportional, Combined, Combined2, Power, Exponential)
