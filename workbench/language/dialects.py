"""What may be typed where: one table for equations, one for covariate formulas, one for conditions on rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.language.tree import FUNCTIONS, OF_COLUMNS, Function

_ARITHMETIC = ("+", "-", "*", "/", "(", ")", ",", "·", "×", "−", "÷")
_COMPARING = ("<", "<=", ">", ">=", "==", "!=", "≤", "≥", "≠")


@dataclass(frozen=True)
class Dialect:
    """What a text of some kind may hold besides numbers and names.

    Attributes
    ----------
    signs : frozenset of str
        As they are typed; "`" if names may stand between backticks.
    functions : mapping of str to Function
    allowed : str
        All of this as a sentence, for errors.
    no_function : str
        What is said of another function, with {name} and {hint}.
    words : frozenset of str
        Of "and", "or", "not" and "in", those that join expressions.
    literals, lists, chains : bool
        There is text between quotes; there are lists; comparisons may follow each other, as in 1 < x < 2.
    as_typed : bool
        Signs and sums stay as they are typed; otherwise they are gathered, and constants are computed.
    """

    signs: frozenset[str]
    functions: Mapping[str, Function]
    allowed: str
    no_function: str = "there is no function {name}{hint}."
    words: frozenset[str] = frozenset()
    literals: bool = False
    lists: bool = False
    chains: bool = False
    as_typed: bool = True

    def has(self, kind: str, word: str) -> bool:
        """Whether such a token is allowed."""
        if kind == "sign":
            return word in self.signs
        return {"text": self.literals, "quoted": "`" in self.signs}.get(kind, True)


EQUATIONS = Dialect(
    signs=frozenset((*_ARITHMETIC, *_COMPARING, "**", "^", "=")),
    functions=FUNCTIONS,
    allowed=(
        f"Allowed are numbers, names, + - * / ^, brackets, comparisons within where( , , ), and {', '.join(FUNCTIONS)}."
    ),
    as_typed=False,
)

_OF_FORMULAS = ("log", "exp", "sqrt", "abs", "below", "above")
FORMULAS = Dialect(
    signs=frozenset((*_ARITHMETIC, *_COMPARING, "**")),
    functions={name: (FUNCTIONS | OF_COLUMNS)[name] for name in (*_OF_FORMULAS, "median", "C", "open")},
    allowed=(
        f"Allowed are column names, numbers, + - * / **, comparisons, {', '.join(_OF_FORMULAS)}, median(column), "
        "C(column) and C(column, 'reference level'), and open(column), whose shape the data settle."
    ),
    no_function="{name}(…) is not allowed here{hint}.",
    literals=True,
)

CONDITIONS = Dialect(
    signs=frozenset((*_ARITHMETIC, *_COMPARING, "%", "&", "|", "~", "[", "]", "{", "}", "`")),
    functions={"missing": OF_COLUMNS["missing"]},
    allowed="column names, numbers, 'labels', == != < <= > >= in, and or not, + - * / %, missing(column)",
    words=frozenset(("and", "or", "not", "in")),
    literals=True,
    lists=True,
    chains=True,
)
