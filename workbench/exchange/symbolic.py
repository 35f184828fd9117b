"""Expressions of sympy in the words of equations, and what parameters and residual errors they are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from workbench.exchange.abbreviated import Fault, replaced

UNSET = "UNSET"  # what a name is where none of its conditions holds
_FUNCTIONS = {
    sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.tanh: "tanh",
    sympy.Abs: "abs", sympy.Min: "min", sympy.Max: "max",
}  # fmt: skip
_SIGNS = {sympy.Eq: "==", sympy.Ne: "!=", sympy.Lt: "<", sympy.Le: "<=", sympy.Gt: ">", sympy.Ge: ">="}


class NoWordsError(ValueError):
    """An expression has no words in the language of equations."""


def words(expression: Any, power: str = "^") -> str:
    """An expression as text that `wb.equation` reads.

    Raises
    ------
    NoWordsError
        If it holds a function that there is not.
    """
    e = expression
    if e.is_Symbol:
        if e.name == UNSET:
            raise NoWordsError("a name that is given under a condition only")
        return str(e.name)
    if e.is_Integer:
        return str(e) if e >= 0 else f"({e})"
    if e.is_Number:
        value = float(e)
        return repr(value) if value >= 0 else f"({value!r})"
    if e.is_Add:
        first, *others = sorted(e.args, key=lambda a: (a.is_Number, bool(a.could_extract_minus_sign())))
        text = words(first, power)
        for a in others:
            negative = bool(a.could_extract_minus_sign())
            text += f" - {words(-a, power)}" if negative else f" + {words(a, power)}"
        return f"({text})"
    if e.is_Mul and e.could_extract_minus_sign():
        return f"(-{words(-e, power)})"
    if e.is_Mul:
        above = [a for a in e.args if not (a.is_Pow and a.exp.is_Number and a.exp < 0) and not a.is_Rational]
        number, _ = e.as_coeff_Mul()
        below = [1 / a for a in e.args if a.is_Pow and a.exp.is_Number and a.exp < 0]
        top = [words(a, power) for a in above]
        if number.is_Rational and not number.is_Integer:
            top = [str(number.p) if number.p > 0 else f"({number.p})", *top] if number.p != 1 or not top else top
            below = [sympy.Integer(number.q), *below]
        elif number.is_Integer and number != 1:
            top = [words(number, power), *top]
        return "*".join(top or ["1"]) + "".join(f"/{words(b, power)}" for b in below)
    if e.is_Pow:
        if e.exp == sympy.Rational(1, 2):
            return f"sqrt({words(e.base, power)})"
        if e.exp.is_Number and e.exp < 0:
            return f"(1/{words(1 / e, power)})"
        base, exponent = words(e.base, power), words(e.exp, power)
        whole = e.base.is_Symbol or base.startswith("(") or (e.base.is_Number and e.base >= 0)
        return f"({base if whole else f'({base})'}{power}{exponent if e.exp.is_Symbol else f'({exponent})'})"
    if isinstance(e, sympy.Piecewise):
        return _where(list(e.args), power)
    for kind, name in _FUNCTIONS.items():
        if isinstance(e, kind):
            return f"{name}({', '.join(words(a, power) for a in e.args)})"
    if e == sympy.E:
        return "exp(1)"
    if e.func.__name__.upper() == "PHI" and len(e.args) == 1:
        return f"phi({words(e.args[0], power)})"
    raise NoWordsError(f"{e.func.__name__}(…)")


def _where(branches: list[Any], power: str) -> str:
    (value, condition), *others = branches
    if condition == True:  # noqa: E712 - sympy's
        return words(value, power)
    if not others:
        raise NoWordsError("a name that is given under a condition only")
    return chosen(condition, words(value, power), _where(others, power), power)


def chosen(condition: Any, first: str, second: str, power: str = "^") -> str:
    """Text that is one of two by a condition."""
    for kind, sign in _SIGNS.items():
        if isinstance(condition, kind):
            return f"where({words(condition.lhs, power)} {sign} {words(condition.rhs, power)}, {first}, {second})"
    if isinstance(condition, sympy.And):
        for part in condition.args:
            first = chosen(part, first, second, power)
        return first
    if isinstance(condition, sympy.Or):
        for part in condition.args:
            second = chosen(part, first, second, power)
        return second
    if isinstance(condition, sympy.Not):
        return chosen(condition.args[0], second, first, power)
    raise NoWordsError(f"the condition {condition}")


_MOST_OPERATIONS = 20_000


@dataclass
class Program:
    """Assignments that are carried out one after the other.

    Attributes
    ----------
    now : dict of str to expression
        What each name is now, in terms of what is never assigned and of what is kept.
    kept : dict of str to expression
        What the names that are kept stand for.
    settle : callable, optional
        Is given the name and the value of each assignment, and answers with what that is: it may have `UNSET` in it.
    """

    now: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    settle: Callable[[str, Any], Any] | None = None
    sizes: dict[str, int] = field(default_factory=dict)

    def run(self, assignments: Sequence[tuple[str, Any]], keep: Iterable[str] = ()) -> Program:
        """Carry them out; a name to keep stands for itself after its last assignment, which goes to `kept`."""
        keep = set(keep)
        last = {name: i for i, (name, _) in enumerate(assignments)}
        for i, (name, expression) in enumerate(assignments):
            self.sizes[name] = self._size(name, expression)
            known = {s: self.now[str(s)] for s in expression.free_symbols if str(s) in self.now}
            if name not in self.now:
                known[sympy.Symbol(name)] = sympy.Symbol(UNSET)
            value = flat(replaced(expression, known))
            if self.settle is not None:
                value = self.settle(name, value)
            if name in keep and last[name] == i:
                self.kept[name] = value
                value = sympy.Symbol(name)
                self.sizes[name] = 1
            self.now[name] = value
        return self

    def _size(self, name: str, expression: Any) -> int:
        """How many operations an assignment comes to."""
        size = sum(self.sizes.get(str(e), 1) if e.is_Symbol else 1 for e in sympy.preorder_traversal(expression))
        if size > _MOST_OPERATIONS:
            raise Fault(f"{name}, which needs more than {_MOST_OPERATIONS:,} operations")
        return size


def flat(value: Any) -> Any:
    """What is chosen by conditions, with the choice in its last branch as further branches."""
    if not isinstance(value, sympy.Piecewise):
        return value
    branches = list(value.args)
    while branches[-1][1] == True and isinstance(branches[-1][0], sympy.Piecewise):  # noqa: E712 - sympy's
        branches = [*branches[:-1], *branches[-1][0].args]
    return sympy.Piecewise(*branches)


def reaching(value: Any, columns: Mapping[str, Any], where: Any) -> tuple[Any, Any]:
    """Without the branches that no record takes; and the records in which a name would be unset.

    Parameters
    ----------
    value : expression
    columns : dict of str to array
        Of the data, by name.
    where : array of bool
        The records that are asked for.

    Raises
    ------
    NoWordsError
        If a condition asks for more than the data say.
    """
    if not value.has(sympy.Symbol(UNSET)):
        return value, np.zeros_like(where)
    if value.is_Symbol:
        return value, where
    if not isinstance(value, sympy.Piecewise):
        found = [reaching(part, columns, where) for part in value.args]
        return value.func(*(part for part, _ in found)), np.any([unset for _, unset in found], axis=0)
    branches: list[Any] = []
    unset, rest = np.zeros_like(where), where
    for part, condition in value.args:
        held = rest & by_record(condition, columns, len(where)).astype(bool)
        rest = rest & ~held
        if held.any() or not part.has(sympy.Symbol(UNSET)):
            made, missing = reaching(part, columns, held)
            branches.append((made, condition))
            unset = unset | missing
    if not rest.any() and branches and branches[-1][1] != True:  # noqa: E712 - sympy's
        branches[-1] = (branches[-1][0], sympy.true)
    return (sympy.Piecewise(*branches) if branches else sympy.Symbol(UNSET)), unset


_OF_ARRAYS: dict[Any, Any] = {
    sympy.exp: np.exp, sympy.log: np.log, sympy.Abs: np.abs, sympy.sin: np.sin, sympy.cos: np.cos, sympy.tan: np.tan,
    sympy.tanh: np.tanh, sympy.Eq: np.equal, sympy.Ne: np.not_equal, sympy.Lt: np.less, sympy.Le: np.less_equal,
    sympy.Gt: np.greater, sympy.Ge: np.greater_equal, sympy.Not: np.logical_not,
}  # fmt: skip
_OF_MANY: dict[Any, Any] = {
    sympy.Add: np.add, sympy.Mul: np.multiply, sympy.Min: np.minimum, sympy.Max: np.maximum,
    sympy.And: np.logical_and, sympy.Or: np.logical_or,
}  # fmt: skip
_NAMED = {"INT": np.trunc, "MOD": np.fmod, "FLOOR": np.floor, "DINT": np.trunc, "AINT": np.trunc, "DMOD": np.fmod,
          "AMOD": np.fmod, "ATAN": np.arctan, "ASIN": np.arcsin, "ACOS": np.arccos,
          "SINH": np.sinh, "COSH": np.cosh}  # fmt: skip


def by_record(expression: Any, columns: Mapping[str, Any], length: int) -> Any:
    """An expression of columns of data, as an array with a value by record.

    Raises
    ------
    NoWordsError
        If it holds anything else.
    """
    e = expression
    if e.is_Symbol:
        if str(e) not in columns:
            raise NoWordsError(str(e))
        return columns[str(e)]
    if e in (sympy.true, sympy.false):
        return np.full(length, bool(e))
    if e.is_number and not e.has(sympy.Function):
        return np.full(length, float(e))
    with np.errstate(all="ignore"):
        if isinstance(e, sympy.Piecewise):
            value, rest = np.full(length, np.nan), np.ones(length, dtype=bool)
            for part, condition in e.args:
                held = rest & by_record(condition, columns, length).astype(bool)
                value = np.where(held, by_record(part, columns, length), value)
                rest &= ~held
            return value
        parts = [by_record(part, columns, length) for part in e.args]
        if isinstance(e, sympy.Pow):
            return np.power(parts[0], parts[1])
        for kind, function in _OF_MANY.items():
            if isinstance(e, kind):
                return functools.reduce(function, parts)
        made = next((f for kind, f in _OF_ARRAYS.items() if isinstance(e, kind)), _NAMED.get(e.func.__name__))
        if made is None:
            raise NoWordsError(f"{e.func.__name__}(…)")
        return made(*parts)


def at(expression: Any, names: Mapping[Any, float]) -> float:
    """The value for numbers."""
    return float(expression.xreplace({k: sympy.Float(v, 17) for k, v in names.items()}))


def same(first: Any, second: Any) -> bool:
    """Whether two expressions are equal, as far as sympy can tell."""
    return bool(first == second or sympy.simplify(first - second) == 0)


@dataclass(frozen=True)
class Part:
    """A covariate term: its text, its coefficient as an expression (of one theta, or a number), and its kind."""

    term: str
    coefficient: Any
    fractional: bool


@dataclass(frozen=True)
class Understood:
    """A parameter: h(p) = h(typical) + covariates + η + κ."""

    transform: str
    typical: Any
    parts: tuple[Part, ...]
    eta: Any
    kappa: Any

    @property
    def thetas(self) -> list[Any]:
        """The thetas that it is made of, each as often as it occurs."""
        found = list(self.typical.free_symbols)
        for part in self.parts:
            found += list(part.coefficient.free_symbols)
        return found


def understood(
    expression: Any, is_theta: Callable[[Any], bool], is_eta: Callable[[Any], bool], is_kappa: Callable[[Any], bool],
    is_data: Callable[[Any], bool],
) -> Understood | None:  # fmt: skip
    """The parameter that an expression is; None if it is none."""
    symbols = expression.free_symbols
    etas, kappas = [s for s in symbols if is_eta(s)], [s for s in symbols if is_kappa(s)]
    if (
        len(etas) > 1
        or len(kappas) > 1
        or not all(is_theta(s) or is_eta(s) or is_kappa(s) or is_data(s) for s in symbols)
    ):
        return None
    transform = "plain"
    for effect in (*etas, *kappas):
        slope = sympy.diff(expression, effect)
        if same(slope, sympy.Integer(1)):
            found = "identity"
        elif same(slope, expression):
            found = "log"
        elif same(slope, expression * (1 - expression)):
            found = "logit"
        else:
            return None
        if transform not in ("plain", found):
            return None
        transform = found
    base = expression.xreplace(dict.fromkeys((*etas, *kappas), sympy.Integer(0)))
    if transform == "logit":
        base_z = sympy.simplify(sympy.log(base / (1 - base)))
        taken = _added(base_z, is_theta, is_data) if any(is_data(s) for s in base.free_symbols) else (base, [])
        if taken is None or taken[1]:
            return None
    elif transform == "identity":
        taken = _added(base, is_theta, is_data)
    else:
        taken = _multiplied(base, is_theta, is_data)
        if taken is None and transform == "plain":
            taken = _added(base, is_theta, is_data)
            transform = "identity"
    if taken is None:
        return None
    typical, parts = taken
    eta, kappa = (etas or [None])[0], (kappas or [None])[0]
    found_one = Understood(transform, typical, tuple(parts), eta, kappa)
    thetas = found_one.thetas
    if len(set(thetas)) < len(thetas) or sum(map(is_theta, typical.free_symbols)) > 1:
        return None
    return found_one


_Taken = tuple[Any, list[Part]] | None


def _added(base: Any, is_theta: Callable[[Any], bool], is_data: Callable[[Any], bool]) -> _Taken:
    """typical + Σ θ·x."""
    typical: list[Any] = []
    parts: list[Part] = []
    for term in sympy.Add.make_args(base):
        if not any(is_data(s) for s in term.free_symbols):
            typical.append(term)
            continue
        part = _linear(term, is_theta)
        if part is None:
            return None
        parts.append(Part(*part, False))
    return sympy.Add(*typical), parts


def _linear(term: Any, is_theta: Callable[[Any], bool]) -> tuple[str, Any] | None:
    """θ·x as the text of x and θ; without a theta the coefficient is 1."""
    thetas = [s for s in term.free_symbols if is_theta(s)]
    if len(thetas) > 1:
        return None
    coefficient = thetas[0] if thetas else sympy.Integer(1)
    x = term / coefficient
    if thetas and thetas[0] in x.free_symbols:
        return None
    try:
        return formula(x), coefficient
    except NoWordsError:
        return None


def _multiplied(base: Any, is_theta: Callable[[Any], bool], is_data: Callable[[Any], bool]) -> _Taken:
    """typical · Π (x^θ, exp(θ·x), 1 + θ·x)."""
    typical: list[Any] = []
    parts: list[Part] = []
    for factor in _factors(base):
        if not any(is_data(s) for s in factor.free_symbols):
            typical.append(factor)
            continue
        found = _factor(factor, is_theta, is_data)
        if found is None:
            return None
        parts += found
    return sympy.Mul(*typical), parts


def _factors(base: Any) -> list[Any]:
    """Factors; what is chosen by a condition is its last branch times the ratio of the two."""
    found = []
    for factor in sympy.Mul.make_args(base):
        if isinstance(factor, sympy.Piecewise) and len(factor.args) == 2 and factor.args[1][1] == True:  # noqa: E712
            (value, condition), (other, _) = factor.args
            if other not in (0, 1):
                ratio = sympy.cancel(value / other)
                found += [*_factors(other), sympy.Piecewise((ratio, condition), (1, True))]
                continue
        found.append(factor)
    return found


def _factor(factor: Any, is_theta: Callable[[Any], bool], is_data: Callable[[Any], bool]) -> list[Part] | None:
    thetas = [s for s in factor.free_symbols if is_theta(s)]
    try:
        if not thetas:
            if factor.is_Pow and factor.exp.is_Number:
                return [Part(formula(sympy.log(factor.base)), factor.exp, False)]
            return [Part(formula(sympy.log(factor)), sympy.Integer(1), False)]
        if factor.is_Pow and factor.base != sympy.E and not any(is_theta(s) for s in factor.base.free_symbols):
            if is_theta(factor.exp):
                return [Part(formula(sympy.log(factor.base)), factor.exp, False)]
            return None
        if isinstance(factor, sympy.exp):
            terms = [_linear(term, is_theta) for term in sympy.Add.make_args(factor.args[0])]
            return None if None in terms else [Part(*term, False) for term in terms if term is not None]
        if isinstance(factor, sympy.Piecewise):
            (value, condition), *others = factor.args
            if len(others) != 1 or others[0][0] != 1:
                return None
            slope = value - 1
            if len(thetas) == 1 and is_theta(slope):
                return [Part(_indicator(condition), slope, True)]
            return None
        rest = sympy.expand(factor) - 1
        if len(thetas) == 1 and not sympy.diff(rest, thetas[0]).has(thetas[0]):
            x = sympy.factor(sympy.diff(rest, thetas[0]))
            if same(rest, thetas[0] * x) and any(is_data(s) for s in x.free_symbols):
                return [Part(formula(x), thetas[0], True)]
    except NoWordsError:
        pass
    return None


def _indicator(condition: Any) -> str:
    for kind, sign in _SIGNS.items():
        if isinstance(condition, kind):
            return f"({words(condition.lhs, '**')} {sign} {words(condition.rhs, '**')})"
    raise NoWordsError(f"the condition {condition}")


def formula(x: Any) -> str:
    """An expression of covariates as a term of a formula."""
    if isinstance(x, sympy.Piecewise):
        (value, condition), *others = x.args
        if value == 1 and len(others) == 1 and others[0][0] == 0:
            return _indicator(condition)
        raise NoWordsError("a covariate by conditions")
    if x.has(sympy.Piecewise):
        raise NoWordsError("a covariate by conditions")
    text = words(x, "**")
    return text[1:-1] if x.is_Add else text
