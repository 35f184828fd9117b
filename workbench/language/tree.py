"""Expressions as trees: what they consist of, their value for plain numbers, how they are spelled and how they look.

Equations, covariate formulas and conditions on rows are read into the same trees, by `reading`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from workbench.language.latex import symbol


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))


class Function(NamedTuple):
    """How many arguments a function takes (many: at least that), and its value for numbers, if it has one."""

    arguments: int
    many: bool
    value: Callable[..., float] | None


FUNCTIONS: dict[str, Function] = {  # of numbers
    "exp": Function(1, False, math.exp),
    "log": Function(1, False, math.log),
    "sqrt": Function(1, False, math.sqrt),
    "abs": Function(1, False, abs),
    "sin": Function(1, False, math.sin),
    "cos": Function(1, False, math.cos),
    "tan": Function(1, False, math.tan),
    "tanh": Function(1, False, math.tanh),
    "min": Function(2, True, min),
    "max": Function(2, True, max),
    "where": Function(3, False, lambda condition, a, b: a if condition else b),
    "erf": Function(1, False, math.erf),
    "expit": Function(1, False, _expit),
    "logit": Function(1, False, lambda x: math.log(x / (1.0 - x))),
    "phi": Function(1, False, lambda x: 0.5 * math.erfc(-x / math.sqrt(2.0))),
}
OF_COLUMNS: dict[str, Function] = {  # with a meaning where there are data: in formulas and conditions
    "below": Function(2, False, lambda c, at: min(c - at, 0.0)),
    "above": Function(2, False, lambda c, at: max(c - at, 0.0)),
    "median": Function(1, False, None),
    "C": Function(1, True, None),
    "open": Function(1, True, None),
    "missing": Function(1, False, math.isnan),
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
    **{name: function.value for name, function in FUNCTIONS.items() if function.value is not None},
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
class Text:
    """Text between quotes."""

    text: str
    at: int


@dataclass(frozen=True)
class Listing:
    """Expressions between brackets, with commas between them."""

    items: tuple[Expression, ...]
    at: int


@dataclass(frozen=True)
class Apply:
    """A function or operator applied to arguments.

    Attributes
    ----------
    function : str
        A key of `FUNCTIONS`, `OF_COLUMNS` or `COMPARISONS`, or one of "+" (any number of terms), "neg", "*", "/", "^".
        Where expressions stay as they are typed "-", "pos" and "%", too; and in conditions "and", "or" (of any number),
        "not", "&", "|", "~", "in" and "not in".
    value : float, optional
        The value, if no name occurs in it; not known where expressions stay as they are typed.
    depth : int
        Levels of the tree below.
    """

    function: str
    arguments: tuple[Expression, ...]
    at: int
    value: float | None
    depth: int


Expression = Number | Name | Text | Listing | Apply


def constant(expression: Expression) -> float | None:
    """Its value, if no name occurs in it."""
    return expression.value if isinstance(expression, Number | Apply) else None


def depth_of(expression: Expression) -> int:
    """Levels of the tree below."""
    if isinstance(expression, Listing):
        return 1 + max(map(depth_of, expression.items), default=0)
    return expression.depth if isinstance(expression, Apply) else 0


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """What stands directly below it in the tree."""
    if isinstance(expression, Apply):
        return expression.arguments
    return expression.items if isinstance(expression, Listing) else ()


def nodes(expression: Expression) -> Iterator[Expression]:
    """The expression and everything below it, from left to right."""
    yield expression
    for part in parts_of(expression):
        yield from nodes(part)


def with_nodes(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression:
    """The expression with other nodes in place of those that `change` gives one for."""
    other = change(expression)
    if other is not None:
        return other
    if not isinstance(expression, Apply):
        return expression
    return replace(expression, arguments=tuple(with_nodes(part, change) for part in expression.arguments))


def names_in(expression: Expression) -> Iterator[Name]:
    """Every name, from left to right."""
    if isinstance(expression, Name):
        yield expression
    for part in parts_of(expression):
        yield from names_in(part)


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
    if not isinstance(expression, Apply):
        return math.nan
    numbers = [evaluate(argument, values) for argument in expression.arguments]
    try:
        return float(OPERATIONS[expression.function](*numbers))
    except (ValueError, OverflowError, ZeroDivisionError):
        return math.nan


def singular(expression: Expression, values: Mapping[str, float], slopes: bool = False) -> Apply | None:
    """The innermost part that has a pole, or no real value, for given numbers; None: there is none.

    Of where(…) only the branch that is taken counts. With `slopes`, also what has no derivative by an exponent.
    """
    if not isinstance(expression, Apply):
        return None
    arguments = expression.arguments
    if expression.function == "where":
        arguments = (arguments[0], arguments[1] if evaluate(arguments[0], values) else arguments[2])
    for argument in arguments:
        found = singular(argument, values, slopes)
        if found is not None:
            return found
    place = {"log": 0, "sqrt": 0, "/": 1, "^": 0}.get(expression.function)
    if place is None:
        return None
    base = evaluate(arguments[place], values)
    if expression.function == "/":
        return expression if base == 0.0 else None
    if expression.function != "^":
        return expression if base <= 0.0 else None
    power = evaluate(arguments[1], values)
    whole = power == math.floor(power)
    if base < 0.0:
        return expression if not whole or (slopes and constant(arguments[1]) is None) else None
    return expression if base == 0.0 and not (whole and power > 0) else None


_SLOPES: dict[str, Callable[..., tuple[float, ...]]] = {
    "+": lambda *terms: (1.0,) * len(terms),
    "neg": lambda x: (-1.0,),
    "*": lambda x, y: (y, x),
    "/": lambda x, y: (1.0 / y, -x / (y * y)),
    "^": lambda x, y: (y * math.pow(x, y - 1.0) if y else 0.0, math.pow(x, y) * math.log(x) if x > 0.0 else 0.0),
    "exp": lambda x: (math.exp(x),),
    "log": lambda x: (1.0 / x,),
    "sqrt": lambda x: (0.5 / math.sqrt(x),),
    "abs": lambda x: (math.copysign(1.0, x),),
    "sin": lambda x: (math.cos(x),),
    "cos": lambda x: (-math.sin(x),),
    "tan": lambda x: (1.0 + math.tan(x) ** 2,),
    "tanh": lambda x: (1.0 - math.tanh(x) ** 2,),
    "min": lambda *xs: tuple(float(k == xs.index(min(xs))) for k in range(len(xs))),
    "max": lambda *xs: tuple(float(k == xs.index(max(xs))) for k in range(len(xs))),
    "where": lambda condition, a, b: (0.0, 1.0, 0.0) if condition else (0.0, 0.0, 1.0),
    "erf": lambda x: (2.0 / math.sqrt(math.pi) * math.exp(-x * x),),
    "expit": lambda x: (_expit(x) * _expit(-x),),
    "logit": lambda x: (1.0 / (x * (1.0 - x)),),
    "phi": lambda x: (math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi),),
    **{sign: lambda x, y: (0.0, 0.0) for sign in COMPARISONS},
}


def slope(expression: Expression, values: Mapping[str, float], name: str) -> tuple[float, float]:
    """The value for given numbers and its derivative by one of the names; NaN where there is none."""
    if isinstance(expression, Name):
        return values[expression.name], float(expression.name == name)
    if isinstance(expression, Number):
        return expression.value, 0.0
    if not isinstance(expression, Apply):
        return math.nan, math.nan
    parts = [slope(argument, values, name) for argument in expression.arguments]
    numbers = [value for value, _ in parts]
    try:
        value = float(OPERATIONS[expression.function](*numbers))
        by = _SLOPES[expression.function](*numbers)
    except (ValueError, OverflowError, ZeroDivisionError):
        return evaluate(expression, values), math.nan
    return value, math.fsum(s * inner for s, (_, inner) in zip(by, parts, strict=True) if inner != 0.0)


# -- spelling ------------------------------------------------------------------------------------------------------

_BINDS = {"or": 1, "and": 2, "not": 3, "|": 5, "&": 6, "+": 7, "-": 7, "*": 8, "/": 8, "%": 8, "neg": 9, "pos": 9,
          "~": 9, "^": 10}  # fmt: skip
_COMPARES, _ALONE = 4, 11
_TYPED = {"^": "**", "neg": "-", "pos": "+"}


def spelled(expression: Expression) -> str:
    """An expression in one spelling: equal expressions are equal text, which reads as the same expression."""
    if isinstance(expression, Number):
        return spelled_digits(expression.text)
    if isinstance(expression, Name):
        return expression.name if expression.name.isidentifier() else f"`{expression.name}`"
    if isinstance(expression, Text):
        return repr(expression.text)
    if isinstance(expression, Listing):
        items = ",".join(map(spelled, expression.items))
        return f"({items},)" if len(expression.items) == 1 else f"({items})"
    function, arguments, binds = expression.function, expression.arguments, _binding(expression)
    sign = _TYPED.get(function, function)
    if function in ("and", "or"):
        return f" {sign} ".join(_within(argument, binds + 1) for argument in arguments)
    if function == "not":
        return f"not {_within(arguments[0], binds)}"
    if function in ("neg", "pos", "~"):
        return f"{sign}{_within(arguments[0], binds)}"
    if binds == _ALONE:
        return f"{function}({','.join(map(spelled, arguments))})"
    first = _within(arguments[0], binds + (function == "^" or binds == _COMPARES))
    between = f" {sign} " if sign.isalpha() or " " in sign else sign
    others = (_within(argument, binds + (function != "^")) for argument in arguments[1:])
    return between.join((first, *others))


def spelled_digits(digits: str) -> str:
    """A number with all its digits, and no point where it was typed as a whole one."""
    return repr(int(digits)) if digits.isdecimal() else repr(float(digits))


def _binding(expression: Expression) -> int:
    """How tightly an expression binds."""
    if not isinstance(expression, Apply):
        return _ALONE
    if expression.function in (*COMPARISONS, "in", "not in"):
        return _COMPARES
    return _BINDS.get(expression.function, _ALONE)


def _within(expression: Expression, least: int) -> str:
    text = spelled(expression)
    return text if _binding(expression) >= least else f"({text})"


# -- LaTeX ---------------------------------------------------------------------------------------------------------

_SUM, _PRODUCT, _POWER, _ATOM = range(1, 5)  # how tightly it binds
_SIGNS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_FUNCTION_SIGNS = {
    "log": r"\ln", "expit": r"\operatorname{expit}", "logit": r"\operatorname{logit}", "erf": r"\operatorname{erf}",
    "phi": r"\Phi",
}  # fmt: skip


def latex(expression: Expression, factor: bool = False) -> str:
    """An expression as LaTeX, as it was typed; `factor`: in brackets where a factor needs them."""
    return _latex_in(expression, _PRODUCT) if factor else _latex(expression)[0]


def _latex(expression: Expression) -> tuple[str, int]:
    if isinstance(expression, Name):
        return symbol(expression.name), _ATOM
    if isinstance(expression, Number):
        return _number(expression)
    if not isinstance(expression, Apply):
        return rf"\text{{{spelled(expression)}}}", _ATOM
    function, arguments = expression.function, expression.arguments
    if function == "+":
        parts = [_latex_in(arguments[0], _SUM)]
        for term in arguments[1:]:
            taken = isinstance(term, Apply) and term.function == "neg"
            inside = term.arguments[0] if isinstance(term, Apply) and taken else term
            parts.append(f" {'-' if taken else '+'} {_latex_in(inside, _PRODUCT if taken else _SUM)}")
        return "".join(parts), _SUM
    if function == "-":
        return f"{_latex_in(arguments[0], _SUM)} - {_latex_in(arguments[1], _PRODUCT)}", _SUM
    if function in ("neg", "pos"):
        return f"{'-' if function == 'neg' else '+'}{_latex_in(arguments[0], _PRODUCT)}", _SUM
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
