"""Regimens: when how much is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from workbench.checks import finite, is_number, positive, whole
from workbench.errors import ModelError
from workbench.markup.numbers import quantity, short


class Dose(NamedTuple):
    """A dose: when, how much, over which time (0: at once), into which compartment (None: the structure's default)."""

    time: float
    amount: float
    infusion: float
    compartment: int | None


@dataclass(frozen=True, init=False, repr=False)
class Regimen:
    """Doses, and when they are given; `a + b` is a followed by b.

    Parameters
    ----------
    amount : float
        Of each dose.
    every : float, optional
        The interval between doses.
    times : int or sequence of float
        How many doses, or when; one by default.
    infusion : float, optional
        The time over which each dose runs in; given at once unless said.
    loading : float, optional
        Amount of the first dose, where it is another.
    compartment : int, optional
        Number of the compartment; the structure's default unless said.
    start : float
        When the first dose is given; in a sum, how long after the end of what goes before.

    Attributes
    ----------
    following : tuple of Regimen
        What is given afterwards: the first dose of each comes one interval after the last dose of the one before
        (at the same time, where that has no interval).

    Raises
    ------
    ModelError
        If an argument makes no doses.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.Regimen(100, every=12, times=3, loading=200) + wb.Regimen(50, every=24, times=2)
    wb.Regimen(100, every=12, times=3, loading=200) + wb.Regimen(50, every=24, times=2)
    >>> [(dose.time, dose.amount) for dose in _.doses]
    [(0.0, 200.0), (12.0, 100.0), (24.0, 100.0), (36.0, 50.0), (60.0, 50.0)]
    """

    amount: float
    every: float | None
    times: int | tuple[float, ...]
    infusion: float
    loading: float | None
    compartment: int | None
    start: float
    following: tuple[Regimen, ...]

    def __init__(
        self,
        amount: float,
        every: float | None = None,
        times: int | Iterable[float] = 1,
        *,
        infusion: float = 0.0,
        loading: float | None = None,
        compartment: int | None = None,
        start: float = 0.0,
    ):
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("amount", _size("amount", amount))
        put("every", None if every is None else positive("every", every))
        if isinstance(times, Iterable) and not isinstance(times, str):
            when = tuple(finite(time, "A time of times=") for time in times)
            if not when or any(b <= a for a, b in pairwise(when)):
                raise ModelError(f"times={list(when)!r}; times of doses that rise are needed, at least one.")
            if every is not None and len(when) > 1:
                raise ModelError(f"every={every!r} and the times {list(when)!r} both say when: give one of them.")
            put("times", when)
        else:
            put("times", whole("times", times, 1))
            if self.times != 1 and every is None:
                raise ModelError(f"times={times!r} doses need an interval: every=…, or say when: times=[0, 12, …].")
        put("infusion", _size("infusion", infusion))
        put("loading", None if loading is None else _size("loading", loading))
        put("compartment", None if compartment is None else whole("compartment", compartment, 1))
        put("start", _size("start", start))
        put("following", ())

    def __add__(self, other: object) -> Regimen:
        if not isinstance(other, Regimen):
            return NotImplemented
        first = replace_following(other, ())
        return replace_following(self, (*self.following, first, *other.following))

    def __repr__(self) -> str:
        return " + ".join(part._one() for part in self.parts)

    def _one(self) -> str:
        usual = {"every": None, "times": 1, "infusion": 0.0, "loading": None, "compartment": None, "start": 0.0}
        said = [plain(self.amount)]
        for name, value in usual.items():
            mine = getattr(self, name)
            if mine != value:
                said.append(f"{name}={plain(mine)}")
        return f"wb.Regimen({', '.join(said)})"

    @property
    def label(self) -> str:
        """In few words, without units."""
        return self.in_words({})

    def in_words(self, units: Mapping[str, str]) -> str:
        """In few words, with the units of "amount" and "time" where they are among those that are given."""
        amount, time = units.get("amount"), units.get("time")
        if isinstance(self.times, tuple):
            when = f" at {quantity(', '.join(map(short, self.times)), time)}"
        else:
            when = f" every {quantity(short(self.every or 0.0), time)}, {self.times} times" if self.times > 1 else ""
        over = f" over {quantity(short(self.infusion), time)}" if self.infusion else ""
        first = f"{quantity(short(self.loading), amount)} first, " if self.loading is not None else ""
        return f"{first}{quantity(short(self.amount), amount)}{over}{when}"

    @property
    def parts(self) -> tuple[Regimen, ...]:
        """The regimens of a sum, one by one."""
        return (replace_following(self, ()), *self.following)

    @property
    def doses(self) -> tuple[Dose, ...]:
        """All doses in the order of time."""
        found: list[Dose] = []
        begin = 0.0
        for part in self.parts:
            if isinstance(part.times, tuple):
                when = [begin + part.start + time for time in part.times]
            else:
                when = [begin + part.start + k * (part.every or 0.0) for k in range(part.times)]
            amounts = [part.amount] * len(when)
            if part.loading is not None:
                amounts[0] = part.loading
            found += [Dose(t, amount, part.infusion, part.compartment) for t, amount in zip(when, amounts, strict=True)]
            begin = when[-1] + (part.every or 0.0)
        return tuple(sorted(found, key=lambda dose: dose.time))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval after the last dose; None where it has no length."""
        last, dose = self.parts[-1], self.doses[-1].time
        length = last.every
        if length is None and isinstance(last.times, tuple) and len(last.times) > 1:
            length = last.times[-1] - last.times[-2]
        return None if length is None else (dose, dose + length)

    def scaled(self, factor: float) -> Regimen:
        """The same with all amounts so many times as large."""

        def one(part: Regimen) -> Regimen:
            made = _with(part, amount=part.amount * factor)
            return made if part.loading is None else _with(made, loading=part.loading * factor)

        first, *others = map(one, self.parts)
        return replace_following(first, tuple(others))


def replace_following(regimen: Regimen, following: tuple[Regimen, ...]) -> Regimen:
    """The same regimen with something else afterwards."""
    return _with(regimen, following=following)


def _with(regimen: Regimen, **changes: object) -> Regimen:
    made = object.__new__(Regimen)
    for name in Regimen.__dataclass_fields__:
        object.__setattr__(made, name, changes.get(name, getattr(regimen, name)))
    return made


def _size(name: str, value: object) -> float:
    """A number that is not negative."""
    if not is_number(value) or (number := finite(value, name)) < 0:
        raise ModelError(f"{name}={value!r}; a number, 0 or more, is needed.")
    return number


def plain(value: object) -> str:
    """A number, or several, as they are typed."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(plain, value)) + "]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
