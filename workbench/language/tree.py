"""Expressions as trees: what they consist of, their value for plain numbers, and how they look in mathematics."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workbench.language.latex import symbol


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))


class _Function(NamedTuple):
    """How many arguments a function takes (many: at least that), and its value for numbers."""

    arguments: int
    many: bool
    value: Callable[..., float]


FUNCTIONS: dict[str, _Function] = {
    "exp": _Function(1, False, math.exp),
    "log": _Function(1, False, math.log),
    "sqrt": _Function(1, False, math.sqrt),
    "abs": _Function(1, False, abs),
    "sin": _Function(1, False, math.sin),
    "cos": _Function(1, False, math.cos),
    "tan": _Function(1, False, math.tan),
    "tanh": _Function(1, False, math.tanh),
    "min": _Function(2, True, min),
    "max": _Function(2, True, max),
    "where": _Function(3, False, lambda condition, a, b: a if condition else b),
    "erf": _Function(1, False, math.erf),
    "expit": _Function(1, False, _expit),
    "logit": _Function(1, False, lambda x: math.log(x / (1.0 - x))),
    "phi": _Function(1, False, lambda x: 0.5 * math.erfc(-x / math.sqrt(2.0))),
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
CONSTANTS = {"pi": math.pi}
OPERATIONS: dict[str, Callable[..., float]] = {
    "+": lambda *terms: math.fsum(terms),
    "neg": operator.neg,
    "*": operator.mul,
    "/": operator.truediv,
    "^": math.pow,
    **COMPARISONS,
    **{name: function.value for name, function in FUNCTIONS.items()},
}


@dataclass(frozen=True)
class Number:
    """A number; `text` is how it was typed."""

    value: float
    text: str
    at: int


@dataclass(frozen=True)
class Name:
    """A parameter, state, covariate, intermediate or reserved name."""

    name: str
    at: int


@dataclass(frozen=True)
class Apply:
    """A function or operator applied to arguments.

    Attributes
    ----------
    function : str
        A key of `FUNCTIONS` or `COMPARISONS`, or one of "+" (any number of terms), "neg", "*", "/", "^".
    value : float, optional
        The value, if no name occurs in it.
    depth : int
        Levels of the tree below.
    """

    function: str
    arguments: tuple[Expression, ...]
    at: int
    value: float | None
    depth: int


Expression = Number | Name | Apply


def constant(expression: Expression) -> float | None:
    """Its value, if no name occurs in it."""
    return None if isinstance(expression, Name) else expression.value


def names_in(expression: Expression) -> Iterator[Name]:
    """Every name, from left to right."""
    if isinstance(expression, Name):
        yield expression
    elif isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from names_in(argument)


def operations(expression: Expression, known: Mapping[str, int]) -> int:
    """How many nodes a tree has once intermediates, whose sizes are known, are put in."""
    if isinstance(expression, Apply):
        return 1 + sum(operations(argument, known) for argument in expression.arguments)
    return known.get(expression.name, 1) if isinstance(expression, Name) else 1


def reaches(expressions: Iterable[Expression], definitions: Mapping[str, Expression]) -> Iterator[Name]:
    """Every name that some expressions depend on, those within intermediates included."""
    waiting, seen = list(expressions), set[str]()
    while waiting:
        for name in names_in(waiting.pop(0)):
            yield name
            if name.name in definitions and name.name not in seen:
                seen.add(name.name)
                waiting.append(definitions[name.name])


def evaluate(expression: Expression, values: Mapping[str, float]) -> float:
    """The value for given numbers; NaN where it has none."""
    if isinstance(expression, Name):
        return values[expression.name]
    if isinstance(expression, Number):
        return expression.value
    numbers = [evaluate(argument, values) for argument in expression.arguments]
    try:
        return float(OPERATIONS[expression.function](*numbers))
    except (ValueError, OverflowError, ZeroDivisionError):
        return math.nan


# -- LaTeX ---------------------------------------------------------------------------------------------------------

_SUM, _PRODUCT, _POWER, _ATOM = range(1, 5)  # how tightly it binds
_SIGNS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_FUNCTION_SIGNS = {
    "log": r"\ln", "expit": r"\operatorname{expit}", "logit": r"\operatorname{logit}", "erf": r"\operatorname{erf}",
    "phi": r"\Phi",
}  # fmt: skip


def latex(expression: Expression) -> str:
    """An expression as LaTeX, as it was typed."""
    return _latex(expression)[0]


def _latex(expression: Expression) -> tuple[str, int]:
    if isinstance(expression, Name):
        return symbol(expression.name), _ATOM
    if isinstance(expression, Number):
        return _number(expression)
    function, arguments = expression.function, expression.arguments
    if function == "+":
        parts = [_latex_in(arguments[0], _SUM)]
        for term in arguments[1:]:
            taken = isinstance(term, Apply) and term.function == "neg"
            inside = term.arguments[0] if isinstance(term, Apply) and taken else term
            parts.append(f" {'-' if taken else '+'} {_latex_in(inside, _PRODUCT if taken else _SUM)}")
        return "".join(parts), _SUM
    if function == "neg":
        return f"-{_latex_in(arguments[0], _PRODUCT)}", _SUM
    if function == "*":
        left, right = arguments
        between = r" \cdot " if isinstance(right, Number) else r"\,"
        return f"{_latex_in(left, _PRODUCT)}{between}{_latex_in(right, _PRODUCT)}", _PRODUCT
    if function == "/":
        return rf"\frac{{{latex(arguments[0])}}}{{{latex(arguments[1])}}}", _PRODUCT
    if function == "^":
        return f"{_latex_in(arguments[0], _ATOM)}^{{{latex(arguments[1])}}}", _POWER
    if function in COMPARISONS:
        return f"{latex(arguments[0])} {_SIGNS[function]} {latex(arguments[1])}", _SUM
    if function == "where":
        condition, chosen, other = (latex(argument) for argument in arguments)
        return (
            rf"\begin{{cases}} {chosen} & \text{{if }} {condition} \\ {other} & \text{{otherwise}} \end{{cases}}",
            _SUM,
        )
    listed = ", ".join(latex(argument) for argument in arguments)
    if function == "sqrt":
        return rf"\sqrt{{{listed}}}", _ATOM
    if function == "abs":
        return rf"\left|{listed}\right|", _ATOM
    if function == "exp":
        return f"e^{{{listed}}}", _POWER
    return rf"{_FUNCTION_SIGNS.get(function, chr(92) + function)}\left({listed}\right)", _PRODUCT


def _number(number: Number) -> tuple[str, int]:
    if number.text in CONSTANTS:
        return rf"\{number.text}", _ATOM
    digits, _, exponent = number.text.lower().partition("e")
    if not exponent:
        return digits, _ATOM
    return rf"{digits} \cdot 10^{{{int(exponent)}}}", _PRODUCT


def _latex_in(expression: Expression, least: int) -> str:
    text, binds = _latex(expression)
    return text if binds >= least else rf"\left({text}\right)"
