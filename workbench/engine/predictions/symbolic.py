"""Symbolic side of custom structures: trees become sympy expressions, are differentiated, and printed as plain code.

Nothing of the user's text reaches sympy or the code: sympy expressions are built node by node, names become numbered
symbols, and `Code` writes straight-line arithmetic on numbered variables.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sympy

from workbench.errors import ModelError
from workbench.language.tree import COMPARISONS, Apply, Expression, Name, constant

_COMPARE = tuple(COMPARISONS)


class Compare(sympy.Function):  # type: ignore[misc]
    """Compare(i, a, b): 1 if the i-th comparison holds between a and b, else 0."""

    nargs = 3

    def _eval_derivative(self, s: Any) -> Any:
        return sympy.S.Zero


class Where(sympy.Function):  # type: ignore[misc]
    """Where(condition, a, b), differentiated branch by branch: what a branch not taken does never matters."""

    nargs = 3

    def _eval_derivative(self, s: Any) -> Any:
        condition, a, b = self.args
        return sympy.S.Zero if s not in a.free_symbols | b.free_symbols else Where(condition, a.diff(s), b.diff(s))


class Power(sympy.Function):  # type: ignore[misc]
    """Power(x, y, k) = x^y·log(x)^k, whose limit for x → 0 and y > 0 is 0.

    sympy's own x**y has derivatives such as x**y·y/x and x**y·log(x), which are not numbers at x = 0.
    """

    nargs = 3

    def fdiff(self, argindex: int = 1) -> Any:
        x, y, k = self.args
        if argindex == 2:
            return Power(x, y, k + 1)
        inner = y * Power(x, y - 1, k)
        return inner + k * Power(x, y - 1, k - 1) if k != 0 else inner


class Expm1(sympy.Function):  # type: ignore[misc]
    """exp(x) - 1, to all its digits where x is near 0."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        (x,) = self.args
        return sympy.exp(x)


class Expit(sympy.Function):  # type: ignore[misc]
    """1/(1 + exp(-x))."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        (x,) = self.args
        return Expit(x) * Expit(-x)


class Phi(sympy.Function):  # type: ignore[misc]
    """The normal distribution function."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        (x,) = self.args
        return _number(1.0 / math.sqrt(2.0 * math.pi)) * sympy.exp(-x * x / 2)


_FUNCTIONS: dict[str, Any] = {
    "+": sympy.Add,
    "neg": lambda x: -x,
    "*": lambda x, y: x * y,
    "/": lambda x, y: sympy.Mul(*map(_base, sympy.Mul.make_args(x))) / _base(y),
    "exp": sympy.exp,
    "log": lambda x: sympy.log(_base(x)),
    "sqrt": lambda x: sympy.sqrt(_base(x)),
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "tanh": sympy.tanh,
    "erf": sympy.erf,
    "expit": Expit,
    "logit": lambda x: sympy.log(x / (1 - x)),
    "phi": Phi,
    "where": Where,
    "abs": lambda x: Where(_compare("<", x, sympy.S.Zero), -x, x),
    "min": lambda first, *others: _extreme("<", first, others),
    "max": lambda first, *others: _extreme(">", first, others),
}


def _base(x: Any) -> Any:
    """What may go to 0 where that matters: 1 - exp(-x) without the loss of its digits there."""
    if x.is_Add and len(x.args) == 2 and x.args[0] in (1, -1):
        factor, power = x.args[1].as_coeff_Mul()
        if factor == -x.args[0] and isinstance(power, sympy.exp):
            return factor * Expm1(power.args[0])
    return x


def bases(expressions: Iterable[Any]) -> set[Any]:
    """Symbols on which depends what has a pole, or an infinite derivative, at 0: of logarithms, roots, denominators."""
    found: set[Any] = set()
    for expression in expressions:
        for part in sympy.preorder_traversal(expression):
            whole = part.is_Pow and part.exp.is_Integer and part.exp > 0
            if isinstance(part, (sympy.log, Power)) or (part.is_Pow and not whole):
                found |= part.args[0].free_symbols
    return found


def _compare(sign: str, a: Any, b: Any) -> Any:
    return Compare(sympy.Integer(_COMPARE.index(sign)), a, b)


def _extreme(sign: str, best: Any, others: Iterable[Any]) -> Any:
    for other in others:
        best = Where(_compare(sign, best, other), best, other)
    return best


def _number(value: float) -> Any:
    """As a float, so that powers of it cannot grow without bounds; 0, 1 and -1, which cannot, exactly."""
    return sympy.Integer(int(value)) if value in (-1.0, 0.0, 1.0) else sympy.Float(value)


def build(tree: Expression, known: Mapping[str, Any]) -> Any:
    """A tree as a sympy expression; `known` has what each name stands for.

    Raises
    ------
    ModelError
        If it turns out to be no number, as in 1/(a - a).
    """
    value = constant(tree)
    if value is not None:
        return _number(value)
    if isinstance(tree, Name):
        return known[tree.name]
    assert isinstance(tree, Apply)
    arguments = [build(argument, known) for argument in tree.arguments]
    if tree.function == "^":
        base, exponent = _base(arguments[0]), arguments[1]
        power = constant(tree.arguments[1])
        if power is None:
            result = Power(base, exponent, sympy.S.Zero)
        else:
            result = base ** (sympy.Integer(int(power)) if power == int(power) else sympy.Float(power))
    elif tree.function in COMPARISONS:
        result = _compare(tree.function, *arguments)
    else:
        result = _FUNCTIONS[tree.function](*arguments)
    if result.has(sympy.zoo, sympy.nan, sympy.oo) or (result.is_number and not _finite(result)):
        raise ModelError(f"A part of the equation has no value: {tree.function!r} at character {tree.at + 1}.")
    return result


def _finite(number: Any) -> bool:
    try:
        return math.isfinite(float(number))
    except (TypeError, OverflowError, ValueError):
        return False


class Hoist:
    """Takes out of expressions the largest parts that do not change in time.

    Attributes
    ----------
    parts : dict of sympy expression to symbol
        What was taken out, and what stands for it now.
    """

    def __init__(self, changing: Iterable[Any]):
        self.changing = frozenset(changing)
        self.parts: dict[Any, Any] = {}

    def symbol(self, part: Any) -> Any:
        """What stands for a part that does not change."""
        return self.parts.setdefault(part, sympy.Symbol(f"q{len(self.parts)}"))

    def __call__(self, expression: Any) -> Any:
        if expression.is_number:
            return expression
        if not expression.free_symbols & self.changing:
            return self.symbol(expression)
        if not expression.args:
            return expression
        if not expression.is_Add and not expression.is_Mul:
            return expression.func(*map(self, expression.args))
        coefficients: dict[Any, Any] = {}  # terms that change alike get one: -a*x - b*x is (-a - b)*x
        for term in sympy.Add.make_args(expression):
            factors = sympy.Mul.make_args(term)
            constant = sympy.Mul(*(part for part in factors if not part.free_symbols & self.changing))
            others = sympy.Mul(*(part for part in factors if part.free_symbols & self.changing))
            coefficients[others] = coefficients.get(others, 0) + constant
        terms = []
        for others, coefficient in coefficients.items():
            number, kept = coefficient.as_coeff_Mul()  # a number such as -1 stays
            factor = number if kept == 1 else number * self.symbol(kept)
            terms.append(factor * sympy.Mul(*map(self, sympy.Mul.make_args(others))))
        return sympy.Add(*terms)


class Derivatives:
    """First and second derivatives of expressions that are not identically 0.

    Attributes
    ----------
    values : list of sympy expression
    first : list of (int, int, sympy expression)
        Which expression, by which symbol, derivative.
    second : list of (int, int, list of (int, sympy expression))
        Which expression, by which symbol, and by which others: derivatives.
    """

    def __init__(self, values: Sequence[Any], symbols: Sequence[Any]):
        place = {symbol: j for j, symbol in enumerate(symbols)}
        self.values = list(values)
        self.first: list[tuple[int, int, Any]] = []
        self.second: list[tuple[int, int, list[tuple[int, Any]]]] = []
        for i, value in enumerate(self.values):
            pairs: dict[tuple[int, int], Any] = {}
            for j in sorted(place[symbol] for symbol in value.free_symbols if symbol in place):
                slope = value.diff(symbols[j])
                if slope == 0:
                    continue
                self.first.append((i, j, slope))
                for m in sorted(place[symbol] for symbol in slope.free_symbols if symbol in place):
                    if m <= j and (curvature := slope.diff(symbols[m])) != 0:
                        pairs[m, j] = curvature
            while pairs:  # as few groups as can easily be had: first by the symbol that is in most pairs
                count = Counter(j for pair in pairs for j in set(pair))
                a = max(count, key=lambda j: (count[j], -j))
                group = [(sum(pair) - a, pairs.pop(pair)) for pair in list(pairs) if a in pair]
                self.second.append((i, a, group))


_CALLS = {
    Expm1: "math.expm1({})",
    sympy.exp: "math.exp({})", sympy.log: "math.log({})", sympy.sin: "math.sin({})", sympy.cos: "math.cos({})",
    sympy.tan: "math.tan({})", sympy.tanh: "math.tanh({})", sympy.erf: "math.erf({})",
    Expit: "1.0 / (1.0 + math.exp(-{}))", Phi: f"0.5 * math.erfc(-{{}} / {math.sqrt(2.0)!r})",
}  # fmt: skip
_LARGEST_PRODUCT = 16  # powers up to this one are written as products


class Code:
    """Straight-line code: every different operation once, in a variable of its own.

    Parameters
    ----------
    variables : dict of sympy symbol to str
        What symbols are called in the code.
    not_negative : iterable of sympy symbol
        Bases of powers with exponents that are not whole count as 0 where they are negative if they depend on
        one of these: states that rounding has led below 0.
    """

    def __init__(self, variables: Mapping[Any, str], not_negative: Iterable[Any] = ()):
        self.lines: list[str] = []
        self.known: dict[Any, str] = dict(variables)
        self.operations: dict[str, str] = {}
        self.not_negative = frozenset(not_negative)

    def variable(self, operation: str) -> str:
        """The variable that holds the result of an operation."""
        if operation not in self.operations:
            self.operations[operation] = f"v{len(self.operations)}"
            self.lines.append(f"{self.operations[operation]} = {operation}")
        return self.operations[operation]

    def write(self, expression: Any) -> str:
        """Write what computes an expression; the variable, or the number, that it is."""
        if expression not in self.known:
            self.known[expression] = self._write(expression)
        return self.known[expression]

    def _write(self, expression: Any) -> str:
        if expression.is_number:
            return repr(float(expression))
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            factor, rest = expression.as_coeff_Mul()
            if factor == -1:
                return self.variable(f"-{self.write(rest)}")
            names = [self.write(part) for part in expression.args]
            return self._chain("*", names)
        if expression.is_Pow:
            return self._power(*expression.args)
        if isinstance(expression, Power):
            base, exponent, logs = expression.args
            x, power = self._base(base), self._power(base, exponent)
            if logs == 0:
                return power
            log = self.variable(f"math.log({x})")
            product = self._chain("*", [power] + [log] * int(logs))
            return self.variable(f"{product} if {x} != 0.0 else 0.0")
        if isinstance(expression, Where):
            condition, a, b = expression.args
            test = self._test(condition) if isinstance(condition, Compare) else f"{self.write(condition)} != 0.0"
            return self.variable(f"{self.write(a)} if {test} else {self.write(b)}")
        if isinstance(expression, Compare):
            return self.variable(f"1.0 if {self._test(expression)} else 0.0")
        return self.variable(_CALLS[expression.func].format(self.write(expression.args[0])))

    def _test(self, comparison: Any) -> str:
        sign, left, right = comparison.args
        return f"{self.write(left)} {_COMPARE[int(sign)]} {self.write(right)}"

    def _chain(self, sign: str, names: Sequence[str]) -> str:
        result = names[0]
        for name in names[1:]:
            result = self.variable(f"{result} {sign} {name}")
        return result

    def _sum(self, expression: Any) -> str:
        result = ""
        for term in sorted(expression.args, key=lambda part: part.as_coeff_Mul()[0] == -1):
            taken = bool(result) and term.as_coeff_Mul()[0] == -1
            name = self.write(-term if taken else term)
            result = self.variable(f"{result} {'-' if taken else '+'} {name}") if result else name
        return result

    def _base(self, base: Any) -> str:
        x = self.write(base)
        return self.variable(f"{x} if {x} > 0.0 else 0.0") if base.free_symbols & self.not_negative else x

    def _power(self, base: Any, exponent: Any) -> str:
        if exponent == 0:
            return "1.0"
        if exponent.is_Integer:
            n = abs(int(exponent))
            x = self.write(base)
            if exponent < 0:
                x = self.variable(f"1.0 / {x}")
            return self._product(x, n) if n <= _LARGEST_PRODUCT else self.variable(f"{x} ** {float(n)!r}")
        if exponent.is_number and abs(float(exponent)) == 0.5:
            root = self.variable(f"math.sqrt({self._base(base)})")
            return root if exponent > 0 else self.variable(f"1.0 / {root}")
        return self.variable(f"{self._base(base)} ** {self.write(exponent)}")

    def _product(self, x: str, n: int) -> str:
        if n == 1:
            return x
        half = self._product(x, n // 2)
        square = self.variable(f"{half} * {half}")
        return self.variable(f"{square} * {x}") if n % 2 else square
