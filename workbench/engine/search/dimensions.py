"""Dimensions of parameters, found from the equations that they stand in.

Terms of a sum have the same dimension, an exponent has none, a rate is its state over time; the time, the dose and
the responses have dimensions of their own. That is a system of linear equations in the exponents, and what it leaves
open is not known. So 1/time can be told from a volume in equations of which nothing but their text is known, and the
data say which sizes are plausible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.language.tree import COMPARISONS, Apply, Expression, Name, constant, spelled
from workbench.model import Structure
from workbench.model.kinetics import Differential, System

Array = NDArray[np.float64]
Powers = tuple[float, ...]  # of time, dose, and each response

_NEARLY = 1e-9
_MOST = 400  # unknowns
_STATED: Mapping[str, tuple[float, float, float]] = {  # time, dose, first response
    "clearance": (-1, 1, -1), "volume": (0, 1, -1), "rate constant": (-1, 0, 0), "time": (1, 0, 0),
    "fraction": (0, 0, 0), "amount": (0, 1, 0), "amount per time": (-1, 1, 0), "concentration": (0, 0, 1),
    "per volume": (0, -1, 1), "number": (0, 0, 0),
}  # fmt: skip


def dimensions(structure: Structure, dosed: Iterable[int]) -> dict[str, Powers]:
    """Powers of time, dose and responses in each parameter of which they are known.

    Parameters
    ----------
    structure : Structure
    dosed : iterable of int
        Numbers (CMT, from 1) of the compartments that doses go into.
    """
    others = (0.0,) * (len(structure.responses) - 1)
    stated = {i.name: (*map(float, _STATED[i.dimension]), *others) for i in structure.info if i.dimension in _STATED}
    if len(stated) == len(structure.names):
        return stated
    if structure.is_linear and structure.kinetics is not None:
        return stated
    system = structure.system
    return stated if system is None else _found(system, tuple(sorted(set(dosed)))) | stated


class _ByText:
    """Equations as a key: equal texts are equal equations."""

    def __init__(self, system: System):
        self.system = system

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByText) and self.system.text == other.system.text

    def __hash__(self) -> int:
        return hash(self.system.text)


def _found(system: System, dosed: tuple[int, ...]) -> dict[str, Powers]:
    return dict(_solved(_ByText(system), dosed))


@lru_cache(maxsize=64)
def _solved(key: _ByText, dosed: tuple[int, ...]) -> dict[str, Powers]:
    system = key.system
    search = _Analysis(2 + len(system.outputs))
    for name, tree in system.definitions.items():
        search.equal(search.of(Name(name, 0)), search.of(tree))
    for r, tree in enumerate(system.outputs.values()):
        search.equal(search.of(tree), search.unit(2 + r))
    if isinstance(system, Differential):
        _of_states(search, system, dosed)
    for column in system.columns:
        search.later[2].append(search.of(Name(column, 0)))
    return search.solved(system.names)


def _of_states(search: _Analysis, system: Differential, dosed: tuple[int, ...]) -> None:
    time, dose = search.unit(0), search.unit(1)
    for state, tree in system.rates.items():
        search.equal(search.of(Name(state, 0)), search.sum(search.of(tree), time))
    for state, tree in system.initial.items():
        if constant(tree) is None:
            search.equal(search.of(Name(state, 0)), search.of(tree))
    for table in (system.lag, system.duration):
        for tree in table.values():
            search.equal(search.of(tree), time)
    shares = {state: search.of(tree) for state, tree in system.bioavailability.items()}
    for number in dosed:
        for at in system.dosing[number - 1] if 1 <= number <= len(system.dosing) else ():
            state = system.states[at]
            entered = search.sum(dose, shares[state]) if state in shares else dose
            search.equal(search.of(Name(state, 0)), entered)
    search.later[1] += shares.values()


@dataclass
class _Form:
    """A dimension as a linear form in unknown ones.

    By exponent that is itself a parameter ("" for none): coefficients of unknowns, and powers of what is known.
    C^gamma + EC50^gamma tells that C and EC50 are alike, whatever gamma is.
    """

    parts: dict[str, tuple[dict[str, float], Array]] = field(default_factory=dict)


class _Analysis:
    """Equations between dimensions, and their solution."""

    def __init__(self, units: int):
        self.units = units
        self.sure: list[_Form] = []
        self.later: list[list[_Form]] = [[], [], []]  # arguments, numbers in sums, columns: left out if they contradict
        self._fresh = 0

    def unit(self, k: int) -> _Form:
        powers = np.zeros(self.units)
        powers[k] = 1.0
        return _Form({"": ({}, powers)})

    def none(self) -> _Form:
        return _Form({"": ({}, np.zeros(self.units))})

    def sum(self, a: _Form, b: _Form, sign: float = 1.0) -> _Form:
        parts = {tag: (dict(names), powers.copy()) for tag, (names, powers) in a.parts.items()}
        for tag, (names, powers) in b.parts.items():
            mine, known = parts.setdefault(tag, ({}, np.zeros(self.units)))
            for name, value in names.items():
                mine[name] = mine.get(name, 0.0) + sign * value
            parts[tag] = mine, known + sign * powers
        return _Form(parts)

    def equal(self, a: _Form, b: _Form) -> None:
        self.sure.append(self.sum(a, b, -1.0))

    def times(self, a: _Form, factor: float) -> _Form:
        return _Form(
            {
                tag: ({n: factor * v for n, v in names.items()}, factor * powers)
                for tag, (names, powers) in a.parts.items()
            }
        )

    def unknown(self) -> _Form:
        self._fresh += 1
        return _Form({"": ({f" {self._fresh}": 1.0}, np.zeros(self.units))})

    def of(self, tree: Expression) -> _Form:
        """The dimension of an expression; what it demands of its parts is noted."""
        if isinstance(tree, Name):
            known = {"t": 0, "tad": 0, "dose": 1}.get(tree.name)
            return self.unit(known) if known is not None else _Form({"": ({tree.name: 1.0}, np.zeros(self.units))})
        if not isinstance(tree, Apply):
            return self.none()
        function, arguments = tree.function, tree.arguments
        if function == "where":
            self.of(arguments[0])
            return self._alike(arguments[1:])
        if function in COMPARISONS or function in ("+", "min", "max"):
            return self._alike(arguments)
        parts = [self.of(argument) for argument in arguments]
        if function in ("*", "/"):
            return self.sum(parts[0], parts[1], 1.0 if function == "*" else -1.0)
        if function in ("neg", "abs"):
            return parts[0]
        if function == "sqrt":
            return self.times(parts[0], 0.5)
        if function == "^":
            return self._power(arguments[1], *parts)
        self.later[0] += parts
        return self.none()

    def _power(self, exponent: Expression, base: _Form, of_exponent: _Form) -> _Form:
        value = constant(exponent)
        if value is not None:
            return self.times(base, value)
        self.later[0].append(of_exponent)
        tag = spelled(exponent)
        return _Form({f"{old}^{tag}": part for old, part in base.parts.items()})

    def _alike(self, arguments: Iterable[Expression]) -> _Form:
        forms = [(self.of(argument), constant(argument)) for argument in arguments]
        named = [form for form, value in forms if value is None]
        if not named:
            return self.none()
        for other in named[1:]:
            self.equal(named[0], other)
        if any(value not in (None, 0.0) for _, value in forms):
            self.later[1].append(named[0])
        return named[0]

    def solved(self, names: Iterable[str]) -> dict[str, Powers]:
        """Powers of the unknowns that are determined, by elimination; what contradicts is left out."""
        rows: dict[str, tuple[dict[str, float], Array]] = {}  # by the unknown that each one eliminates

        def reduced(names: dict[str, float], powers: Array) -> tuple[dict[str, float], Array]:
            names, powers = dict(names), powers.copy()
            for pivot in [name for name in names if name in rows]:
                factor = names.pop(pivot)
                others, known = rows[pivot]
                powers = powers + factor * known
                for name, value in others.items():
                    names[name] = names.get(name, 0.0) + factor * value
            return {name: value for name, value in names.items() if abs(value) > _NEARLY}, powers

        for form in (*self.sure, *self.later[0], *self.later[1], *self.later[2]):
            parts = [reduced(*part) for part in form.parts.values()]
            if any(not unknown and np.abs(powers).max() > _NEARLY for unknown, powers in parts):
                continue
            for part in form.parts.values():
                unknown, powers = reduced(*part)
                if not unknown or len(rows) > _MOST:
                    continue
                pivot = next(iter(unknown))
                factor = -1.0 / unknown.pop(pivot)
                row = {name: factor * value for name, value in unknown.items()}, factor * powers
                rows[pivot] = row
                for other, (old, known) in list(rows.items()):
                    if pivot in old:
                        rows[other] = reduced(old, known)
        found = {}
        for name in names:
            unknown, powers = rows.get(name, ({name: 1.0}, np.zeros(self.units)))
            if not unknown:
                found[name] = tuple(float(p) for p in powers)
        return found
