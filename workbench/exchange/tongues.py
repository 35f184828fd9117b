"""Expressions in the languages of other tools: one table of words for each, and one way of writing lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from workbench.language.tree import COMPARISONS, Apply, Expression, Name, Number

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 1, "pos": 1, "^": 4}
_ALONE = 5
_MADE = "made "  # before the name of a variable that the code itself needed


@dataclass(frozen=True)
class Tongue:
    """How a tool spells expressions and conditions.

    Attributes
    ----------
    functions : mapping of str to str
        Each function of `workbench.language` with its arguments as {0}, {1}.
    compares : mapping of str to str
        Each comparison.
    power : str
        The sign of a power.
    blocks : tuple of str
        What opens a condition, with {0}; what stands between its branches; what ends it.
    assigns : str
        What stands between a name and its value.
    width : int
        Longest line; longer ones go on after `goes_on`.
    goes_on : str
        What ends a line that is continued; "" where a line may simply end.
    """

    functions: Mapping[str, str]
    compares: Mapping[str, str]
    power: str
    blocks: tuple[str, str, str]
    assigns: str = " = "
    width: int = 110
    goes_on: str = ""


NMTRAN = Tongue(
    functions={
        "exp": "EXP({0})", "log": "LOG({0})", "sqrt": "SQRT({0})", "abs": "ABS({0})", "sin": "SIN({0})",
        "cos": "COS({0})", "tan": "TAN({0})", "tanh": "(1-2/(EXP(2*({0}))+1))", "phi": "PHI({0})",
        "erf": "(2*PHI(1.4142135623730951*({0}))-1)", "expit": "(1/(1+EXP(-({0}))))",
        "logit": "LOG(({0})/(1-({0})))",
    },
    compares={"<": ".LT.", "<=": ".LE.", ">": ".GT.", ">=": ".GE.", "==": ".EQ.", "!=": ".NE."},
    power="**",
    blocks=("IF ({0}) THEN", "ELSE", "ENDIF"),
    goes_on=" &",
)  # fmt: skip

_PLAIN = {name: f"{name}({{0}})" for name in ("exp", "log", "sqrt", "abs", "sin", "cos", "tan", "tanh", "erf")}
_SIGNS = {"<": " < ", "<=": " <= ", ">": " > ", ">=": " >= ", "==": " == ", "!=": " != "}
_WHOLE = 1_000_000  # lines that are never broken

RXODE = Tongue(
    functions={**_PLAIN, "phi": "phi({0})", "expit": "expit({0})", "logit": "logit({0})"},
    compares=_SIGNS,
    power="^",
    blocks=("if ({0}) {{", "} else {", "}"),
    assigns=" <- ",
    width=_WHOLE,
)

MLXTRAN = Tongue(
    functions={**_PLAIN, "phi": "normcdf({0})", "expit": "invlogit({0})", "logit": "logit({0})"},
    compares=_SIGNS,
    power="^",
    blocks=("if {0}", "else", "end"),
    width=_WHOLE,
)


@dataclass
class Code:
    """Lines of code that are being written.

    Attributes
    ----------
    tongue : Tongue
    spell : callable
        How a name of an expression is spelled.
    fresh : callable
        A name that nothing else has, made of a word.
    lines : list of str
    """

    tongue: Tongue
    spell: Callable[[str], str]
    fresh: Callable[[str], str]
    lines: list[str] = field(default_factory=list)
    depth: int = 0

    def line(self, text: str) -> None:
        """Write a line, in parts where it is too long."""
        pad = "  " * self.depth
        limit = self.tongue.width
        text = pad + text
        while len(text) > limit:
            at = max(text.rfind(sign, len(pad) + 1, limit - len(self.tongue.goes_on)) for sign in "+-*/,( ")
            while at > 0 and (text[at - 1] in "*eE" or text[at : at + 2] == "**"):  # no sign within ** or 1E-5
                at = max(text.rfind(sign, len(pad) + 1, at) for sign in "+-*/,( ")
            if at <= len(pad):
                break
            self.lines.append(text[:at] + self.tongue.goes_on)
            text = pad + "    " + text[at:]
        self.lines.append(text)

    def state(self, name: str, expression: Expression) -> None:
        """Write name = expression; what is conditional becomes blocks before it."""
        self.line(f"{name}{self.tongue.assigns}{self.text(expression)}")

    def text(self, expression: Expression) -> str:
        """An expression; lines that it needs are written first."""
        return self._written(expression)[0]

    def condition(self, expression: Expression) -> str:
        """A comparison."""
        if isinstance(expression, Apply) and expression.function in COMPARISONS:
            left, right = (self.text(side) for side in expression.arguments)
            return f"{left}{self.tongue.compares[expression.function]}{right}"
        return f"{self.text(expression)}{self.tongue.compares['!=']}0"

    def chosen(self, condition: str, first: Expression, second: Expression) -> str:
        """A new variable that is one expression where a condition holds, else the other."""
        name = self.fresh("PART")
        opens, between, ends = self.tongue.blocks
        self.line(opens.format(condition))
        for expression, closes in ((first, between), (second, ends)):
            self.depth += 1
            self.state(name, expression)
            self.depth -= 1
            self.line(closes)
        return name

    def _written(self, expression: Expression) -> tuple[str, int]:
        if isinstance(expression, Name):
            made = expression.name.startswith(_MADE)
            return expression.name[len(_MADE) :] if made else self.spell(expression.name), _ALONE
        if isinstance(expression, Number):
            return number(expression.value), _ALONE if expression.value >= 0 else 0
        if not isinstance(expression, Apply):
            raise ValueError(f"{expression!r} has no place in code")
        function, arguments = expression.function, expression.arguments
        if function == "where":
            return self.chosen(self.condition(arguments[0]), arguments[1], arguments[2]), _ALONE
        if function in COMPARISONS:
            return self.chosen(self.condition(expression), Number(1.0, "1", 0), Number(0.0, "0", 0)), _ALONE
        if function in ("min", "max"):
            return self._extreme("<" if function == "min" else ">", arguments), _ALONE
        if function in self.tongue.functions:
            texts = [self.text(argument) for argument in arguments]
            return self.tongue.functions[function].format(*texts), _ALONE
        if function in ("neg", "pos"):
            return ("-" if function == "neg" else "") + self._within(arguments[0], 2), 0
        if function == "^":
            return self._within(arguments[0], _ALONE) + self.tongue.power + self._within(arguments[1], _ALONE), 4
        if function == "+":
            return self._sum(arguments), 1
        binds = _BINDS[function]
        left, right = self._within(arguments[0], binds), self._within(arguments[1], binds + 1)
        return f"{left}{function}{right}", binds

    def _sum(self, terms: Iterable[Expression]) -> str:
        text = ""
        for term in terms:
            if text and isinstance(term, Apply) and term.function == "neg":
                text += f" - {self._within(term.arguments[0], 2)}"
            else:
                text += f" + {self._within(term, 1)}" if text else self._within(term, 0)
        return text

    def _extreme(self, sign: str, arguments: tuple[Expression, ...]) -> str:
        best, *others = arguments
        for other in others:
            name = self.chosen(f"{self.text(best)}{self.tongue.compares[sign]}{self.text(other)}", best, other)
            best = Name(f"{_MADE}{name}", 0)
        return self.text(best)

    def _within(self, expression: Expression, least: int) -> str:
        text, binds = self._written(expression)
        return text if binds >= least else f"({text})"


def number(value: float) -> str:
    """A number with all its digits, as every tool reads it."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value)).upper()
