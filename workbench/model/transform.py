"""Transforms: the scale h(p) on which a parameter is normally distributed and covariates act.

Whatever differs between them is asked here: both directions with the slope, what values are possible, the rule of an
interval, where standard deviations start, how they are shown. The engine has their derivatives from `natural`, the
expression; the library's own it knows by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from workbench.errors import ModelError
from workbench.language.latex import symbol
from workbench.language.reading import read_expression
from workbench.language.tree import Expression, names_in, slope

Range = tuple[float, float]

Z95 = 1.959963984540054  # the normal quantile of a 95 % interval
_EDGE = 1e-12
_ORDINARY = 700.0  # logarithms whose exponential is neither 0 nor infinite
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Transform:
    """A transform h of one's own, for `wb.Parameter(transform=…)`.

    Parameters
    ----------
    name : str
        One word, other than "log", "identity", "logit" and "probit".
    natural : str
        The parameter p as an expression of z = h(p), such as "z^3"; the same functions are allowed as in `wb.equation`.
    transformed : str
        z as an expression of p; what `natural` undoes.
    lowest, highest : float
        Between which values p can lie.

    Raises
    ------
    ModelError
        If an expression holds anything not allowed, or the two do not undo each other.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.Parameter("CL", 2.8, iiv=0.1, transform=wb.Transform("root", "z^2", "sqrt(p)", lowest=0)).link.name
    'root'
    """

    name: str
    natural: str
    transformed: str
    lowest: float = -math.inf
    highest: float = math.inf

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ModelError(f"The name of a transform is a word, got {self.name!r}.")
        if self.name in _RESERVED:
            raise ModelError(f"A transform of one's own cannot be named {self.name!r}; that is taken.")
        ends = []
        for end in (self.lowest, self.highest):
            if isinstance(end, bool) or not isinstance(end, int | float) or math.isnan(end):
                raise ModelError(f"Transform {self.name}: lowest and highest are numbers, got {end!r}.")
            ends.append(float(end))
        if not ends[0] < ends[1]:
            raise ModelError(f"Transform {self.name}: lowest={ends[0]:g} must be below highest={ends[1]:g}.")
        object.__setattr__(self, "lowest", ends[0])
        object.__setattr__(self, "highest", ends[1])
        for text, what, variable in ((self.natural, "natural", "z"), (self.transformed, "transformed", "p")):
            if not isinstance(text, str):
                raise ModelError(
                    f"Transform {self.name} does not say {what}: an expression of {variable}, got {text!r}."
                )
            used = {name.name for name in names_in(_read(text, f"{what} of the transform {self.name}"))}
            if used != {variable}:
                raise ModelError(
                    f"Transform {self.name}: {what}={text!r} is an expression of {variable} alone, but it uses "
                    f"{', '.join(sorted(used)) or 'no name'}."
                )
        self._check_inverse()

    def _check_inverse(self) -> None:
        low, high = self.lowest, self.highest
        if math.isfinite(low) and math.isfinite(high):
            tried = [low + share * (high - low) for share in (0.1, 0.5, 0.9)]
        elif math.isfinite(low) or math.isfinite(high):
            tried = [low + d if math.isfinite(low) else high - d for d in (0.2, 1.0, 7.0)]
        else:
            tried = [-2.0, 0.5, 3.0]
        for p in tried:
            z = self.to(p)
            back = self.back(z)[0]
            if not abs(back - p) <= 1e-6 * max(abs(p), 1e-3):
                raise ModelError(
                    f"Transform {self.name}: natural must undo transformed, but p = {p:g} becomes z = {z:g} and then "
                    f"{back:g}. State lowest= and highest= where p is limited."
                )

    def __repr__(self) -> str:
        ends = [
            f"{what}={end!r}"
            for what, end, usual in (("lowest", self.lowest, -math.inf), ("highest", self.highest, math.inf))
            if end != usual
        ]
        return f"wb.Transform({', '.join([repr(self.name), repr(self.natural), repr(self.transformed), *ends])})"

    # -- both directions ---------------------------------------------------------------------------------------

    @property
    def expression(self) -> Expression:
        """`natural` as a tree; its names are z, and the bounds lower and upper."""
        return _read(self.natural, f"natural of the transform {self.name}")

    def back(self, z: float, bounds: Range = (0.0, 1.0)) -> tuple[float, float]:
        """A transformed value on the natural scale, and the derivative."""
        return slope(self.expression, {"z": z, "lower": bounds[0], "upper": bounds[1]}, "z")

    def to(self, p: float, bounds: Range = (0.0, 1.0)) -> float:
        """A value on the transformed scale; NaN where it has none."""
        tree = _read(self.transformed, f"transformed of the transform {self.name}")
        return slope(tree, {"p": p, "lower": bounds[0], "upper": bounds[1]}, "p")[0]

    # -- what it means -----------------------------------------------------------------------------------------

    @property
    def needs_bounds(self) -> bool:
        """Whether values lie between two finite bounds that the parameter states."""
        return False

    @property
    def is_logarithm(self) -> bool:
        """Whether what is added on the transformed scale multiplies the value."""
        return False

    @property
    def is_identity(self) -> bool:
        """Whether the transformed scale is the natural one."""
        return False

    @property
    def is_positive(self) -> bool:
        """Whether all values are positive."""
        return self.lowest >= 0.0

    @property
    def is_relative(self) -> bool:
        """Whether the transformed scale has a unit of its own, whatever that of the value is."""
        return False

    def range(self, bounds: Range = (0.0, 1.0)) -> Range:
        """Between which values p lies, whatever z is."""
        return self.lowest, self.highest

    def spread(self, value: float, size: float) -> float:
        """The standard deviation on the transformed scale of values that differ by a share `size` of their own size."""
        steepness = abs(self.back(self.to(value))[1])
        return size * (abs(value) or 1.0) / steepness if steepness > 0 else size

    def unit(self, z: float, deviation: float) -> float:
        """A natural size of steps on the transformed scale."""
        return 1.0 if self.is_relative else max(abs(z), deviation) or 1.0

    def interval(self, value: float, se: float, bounds: Range = (0.0, 1.0)) -> Range:
        """95 % interval, symmetric on the transformed scale; plain where the value has no place on that."""
        low, high = self.range(bounds)
        if not math.isfinite(se):
            return math.nan, math.nan
        if not low < value < high:
            return value - Z95 * se, value + Z95 * se
        z = self.to(value, bounds)
        half = Z95 * se / abs(self.back(z, bounds)[1])
        ends = self.back(z - half, bounds)[0], self.back(z + half, bounds)[0]
        return min(ends), max(ends)

    # -- as people see it --------------------------------------------------------------------------------------

    @property
    def sign(self) -> str:
        """What stands before p in LaTeX."""
        return symbol(self.name)

    def latex(self, p: str, bare: bool = False) -> str:
        """h(p) as LaTeX; `bare`: without brackets where the sign is that of a function."""
        if not self.sign:
            return p
        of_function = self.sign.startswith("\\") and not self.sign.startswith(r"\mathit")
        return f"{self.sign} {p}" if bare and of_function else rf"{self.sign}\left({p}\right)"


@cache
def _read(text: str, title: str) -> Expression:
    return read_expression(text, title)[1]


def _inside(share: float) -> float:
    """A share of the way between two bounds that leaves a little to either."""
    return min(max(share, _EDGE), 1.0 - _EDGE)


class _Known(Transform):
    """One of the library, which answers in closed form."""

    def __post_init__(self) -> None:
        """Nothing to check."""


class _Log(_Known):
    is_logarithm = True
    is_relative = True

    def back(self, z: float, bounds: Range = (0.0, 1.0)) -> tuple[float, float]:
        if -_ORDINARY < z < _ORDINARY:
            p = float(np.exp(z))
        else:
            with np.errstate(over="ignore", under="ignore"):
                p = float(np.exp(z))
        return p, p

    def to(self, p: float, bounds: Range = (0.0, 1.0)) -> float:
        return math.log(p)

    def spread(self, value: float, size: float) -> float:
        return size

    def interval(self, value: float, se: float, bounds: Range = (0.0, 1.0)) -> Range:
        factor = math.exp(min(Z95 * se / value, 700.0)) if math.isfinite(se) and value > 0 else math.nan
        return value / factor, value * factor

    sign = r"\ln"


class _Identity(_Known):
    is_identity = True

    def back(self, z: float, bounds: Range = (0.0, 1.0)) -> tuple[float, float]:
        return z, 1.0

    def to(self, p: float, bounds: Range = (0.0, 1.0)) -> float:
        return p

    def spread(self, value: float, size: float) -> float:
        return size * (abs(value) or 1.0)

    sign = ""


class _Between(_Known):
    """p = lower + (upper - lower) · g(z)."""

    needs_bounds = True
    is_relative = True
    is_positive = False

    def range(self, bounds: Range = (0.0, 1.0)) -> Range:
        return bounds

    def spread(self, value: float, size: float) -> float:
        return size

    @staticmethod
    def _share(p: float, bounds: Range) -> float:
        return _inside((p - bounds[0]) / (bounds[1] - bounds[0]))


class _Logit(_Between):
    def back(self, z: float, bounds: Range = (0.0, 1.0)) -> tuple[float, float]:
        low, width = bounds[0], bounds[1] - bounds[0]
        share = 0.5 * (1.0 + math.tanh(0.5 * z))
        return low + width * share, width * share * (1.0 - share)

    def to(self, p: float, bounds: Range = (0.0, 1.0)) -> float:
        share = self._share(p, bounds)
        return math.log(share / (1.0 - share))

    sign = r"\operatorname{logit}"


class _Probit(_Between):
    def back(self, z: float, bounds: Range = (0.0, 1.0)) -> tuple[float, float]:
        low, width = bounds[0], bounds[1] - bounds[0]
        return low + width * _NORMAL.cdf(z), width * _NORMAL.pdf(z)

    def to(self, p: float, bounds: Range = (0.0, 1.0)) -> float:
        return _NORMAL.inv_cdf(self._share(p, bounds))

    sign = r"\Phi^{-1}"


class _Correlation(_Known):
    """Fisher's: what is reported, but is no parameter."""

    is_relative = True

    def back(self, z: float, bounds: Range = (0.0, 1.0)) -> tuple[float, float]:
        r = math.tanh(z)
        return r, 1.0 - r * r

    def to(self, p: float, bounds: Range = (0.0, 1.0)) -> float:
        return math.atanh(p)


LOG = _Log("log", "exp(z)", "log(p)", 0.0)
IDENTITY = _Identity("identity", "z", "p")
LOGIT = _Logit("logit", "lower + (upper - lower)*expit(z)", "logit((p - lower)/(upper - lower))")
PROBIT = _Probit("probit", "lower + (upper - lower)*phi(z)", "")
CORRELATION = _Correlation("correlation", "tanh(z)", "", -1.0, 1.0)

TRANSFORMS: dict[str, Transform] = {known.name: known for known in (LOG, IDENTITY, LOGIT, PROBIT)}
_RESERVED = (*TRANSFORMS, "coefficient", "iiv", "iov", "correlation", "share", "error")
