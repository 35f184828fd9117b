"""The abbreviated code of $PK, $PRED, $DES and $ERROR: assignments of expressions of sympy, each with its line.

    statement   := NAME [ "(" NUMBER ["," NUMBER] ")" ] "=" sum | IF "(" or ")" statement | EXIT …
                 | IF "(" or ")" THEN … ELSE IF "(" or ")" THEN … ELSE … END IF
    or          := and (".OR." and)*
    and         := not (".AND." not)*
    not         := ".NOT." not | "(" or ")" | sum (".EQ." | "==" | …) sum
    sum         := ["+" | "-"] product (("+" | "-") product)*
    product     := power (("*" | "/") power)*
    power       := atom ["**" power]

as Fortran has it: -2**2 is -4, 2**3**2 is 2**9. What an IF sets is, after it, what the branch that holds has set, in
terms of what was before. Text is parsed, never evaluated, and bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sympy

_TOKEN = re.compile(
    r"\s*(?:(?P<sign>\.(?:EQN?|NEN?|LT|LE|GT|GE|AND|OR|NOT)\.|\*\*|==|/=|<=|>=|[-+*/(),=<>])"
    r"|(?P<number>(?:\d+\.\d+|\d+\.(?!(?:EQN?|NEN?|LT|LE|GT|GE|AND|OR)\.)|\.\d+|\d+)(?:[ED][+-]?\d+)?)"
    r"|(?P<name>[A-Z_]\w*))",
    re.ASCII,
)
_COMPARED = {
    ".EQ.": sympy.Eq, "==": sympy.Eq, ".EQN.": sympy.Eq, ".NE.": sympy.Ne, "/=": sympy.Ne, ".NEN.": sympy.Ne,
    ".LT.": sympy.Lt, "<": sympy.Lt, ".LE.": sympy.Le, "<=": sympy.Le, ".GT.": sympy.Gt, ">": sympy.Gt,
    ".GE.": sympy.Ge, ">=": sympy.Ge,
}  # fmt: skip
_FUNCTIONS: dict[str, Any] = {
    "EXP": sympy.exp, "LOG": sympy.log, "SQRT": sympy.sqrt, "ABS": sympy.Abs, "SIN": sympy.sin, "COS": sympy.cos,
    "TAN": sympy.tan, "TANH": sympy.tanh, "MIN": sympy.Min, "MAX": sympy.Max,
    "LOG10": lambda x: sympy.log(x) / sympy.log(10), "PHI": sympy.Function("PHI"),
}  # fmt: skip
_FUNCTIONS |= {f"D{name}": _FUNCTIONS[name] for name in ("EXP", "LOG", "SQRT", "ABS", "SIN", "COS", "TAN", "TANH")}
_FUNCTIONS |= {"ALOG": sympy.log, "ALOG10": _FUNCTIONS["LOG10"], "DLOG10": _FUNCTIONS["LOG10"]}
_OTHERS = frozenset(("INT", "MOD", "GAMLN", "ASIN", "ACOS", "ATAN", "ATAN2", "SINH", "COSH", "FLOOR", "PEXP", "PLOG",
                     "PSQRT", "PLOG10", "PDZ", "PZR", "PNP", "PHE", "PNG", "PTAN", "PATAN", "PACOS", "PASIN", "DINT",
                     "DMOD", "AINT", "AMOD", "NINT", "SIGN", "ERF", "ERFC"))  # fmt: skip
_INDEXED = frozenset(("THETA", "ETA", "EPS", "ERR", "A", "DADT", "A_0", "MTIME", "MPAST", "P", "COM", "SIGMA", "OMEGA",
                      "MNEXT", "DA", "DP", "MIXP"))  # fmt: skip
_DEEPEST, _MOST_TOKENS, _LARGEST_POWER = 60, 4000, 100
_PSEUDO = re.compile(r"^\(?\s*(?:CALL(?:ING)?|ONLY|OBS|EVERY|ONCE|EVENT|ADD|OBSERVATION|NON|INDIVIDUAL)\b", re.ASCII)


class Fault(Exception):
    """A statement that is not read."""


class _Token(NamedTuple):
    kind: str
    text: str


@dataclass
class _If:
    """An IF that is open: its conditions, and what each branch has set, in terms of what was before."""

    line: int
    conditions: list[Any]
    branches: list[dict[str, Any]] = field(default_factory=lambda: [{}])


@dataclass
class Code:
    """What a record of code says.

    Attributes
    ----------
    assignments : list of (str, expression)
        In order; a Piecewise whose last condition is no True leaves a name as it was where none holds, and so does a
        branch that is the name itself.
    lines : dict of str to int
        Where each name is set first.
    refused : list of (int, str)
        What is not read, by line.
    passed : list of (int, str)
        What is no part of a model.
    """

    assignments: list[tuple[str, Any]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[int, str]] = field(default_factory=list)
    passed: list[tuple[int, str]] = field(default_factory=list)


def code_of(lines: Sequence[tuple[int, str]], replaced: Mapping[str, str]) -> Code:
    """Read a record of code.

    Parameters
    ----------
    lines : sequence of (int, str)
        Number and text; the first without the name of the record.
    replaced : dict of str to str
        Of $ABBREVIATED REPLACE: what stands for what, without blanks, as "ETA_CL" for "ETA(1)".
    """
    reader = _Reader(replaced)
    for line, text in _statements(lines, reader.code):
        try:
            reader.take(line, text)
        except Fault as fault:
            reader.code.refused.append((line, str(fault)))
        except RecursionError:
            reader.code.refused.append((line, "an expression that is too deep"))
    for block in reader.open:
        reader.code.refused.append((block.line, "an IF without ENDIF"))
    return reader.code


def _statements(lines: Sequence[tuple[int, str]], code: Code) -> list[tuple[int, str]]:
    """Statements with the line in which each begins: without comments, what is continued as one."""
    found: list[tuple[int, str]] = []
    carried, began = "", 0
    for line, raw in lines:
        if raw.lstrip().startswith('"'):
            code.refused.append((line, "verbatim code"))
            continue
        text = raw.partition(";")[0].strip().upper()
        if carried:
            text = f"{carried} {text}"
        else:
            began = line
        if text.endswith("&"):
            carried = text[:-1].rstrip()
            continue
        carried = ""
        if text:
            found.append((began, text))
    if carried:
        code.refused.append((began, "a line that is continued nowhere"))
    return found


class _Reader:
    """Statements on their way to assignments."""

    def __init__(self, replaced: Mapping[str, str]):
        self.code = Code()
        self.open: list[_If] = []
        self.replaced = {_spelled(_tokens(old)): _tokens(new) for old, new in replaced.items()}

    # -- statements ------------------------------------------------------------------------------------------------

    def take(self, line: int, text: str) -> None:
        """Carry out one statement."""
        if re.match(r"\(", text) and _PSEUDO.match(text):
            return self.pseudo(line, text)
        word = re.match(r"[A-Z_]\w*", text)
        first = word.group() if word else ""
        if re.fullmatch(r"END\s*IF", text):
            return self.close()
        if text == "ELSE":
            return self.branch(sympy.true)
        otherwise = re.match(r"ELSE\s*IF\s*(?=\()", text)
        found = otherwise or re.match(r"IF\s*(?=\()", text)
        if found:
            return self.condition(line, text[found.end() :], otherwise is not None)
        if first == "EXIT":
            self.code.passed.append((line, "EXIT"))
            return None
        if first in ("CALL", "DO", "ENDDO", "WRITE", "PRINT", "OPEN", "CLOSE", "RETURN", "READ", "REWIND", "INCLUDE"):
            said = {"CALL": "a subroutine that is called", "DO": "a loop", "ENDDO": "the end of a loop"}
            raise Fault(said.get(first, f"the statement {first}"))
        return self.assign(line, text)

    def pseudo(self, line: int, text: str) -> None:
        """A statement that says when the code is called."""
        if not re.search(r"ONCE|NON|ADD|NEW", text):
            return
        raise Fault(f"{text[:40]}, which calls the code for some records only")

    def assign(self, line: int, text: str) -> None:
        expression = _Expression(self.tokens(text))
        name = str(expression.name())
        expression.expect("=")
        value = expression.whole(expression.sum)
        if name == "CALLFL":
            if value not in (-1, -2):
                raise Fault(f"CALLFL = {value}, which calls the code for some records only")
            return
        if name in ("COMACT", "COMRES", "COMSAV"):
            return
        self.put(line, name, value)

    def put(self, line: int, name: str, value: Any) -> None:
        self.code.lines.setdefault(name, line)
        if not self.open:
            self.code.assignments.append((name, value))
            return
        self.open[-1].branches[-1][name] = replaced(value, _set_in(self.open))

    def condition(self, line: int, text: str, otherwise: bool) -> None:
        tokens = self.tokens(text)
        end = _closing(tokens)
        try:
            asked = _Expression(tokens[1:end])
            held = asked.whole(asked.either)
            held = replaced(held, _set_in(self.open[:-1] if otherwise else self.open))
        except Fault as fault:
            self.code.refused.append((line, str(fault)))
            held = sympy.true
        rest = tokens[end + 1 :]
        if _spelled(rest) == "THEN":
            if otherwise:
                return self.branch(held)
            if len(self.open) >= _DEEPEST:
                raise Fault("too many IFs within one another")
            self.open.append(_If(line, [held]))
            return None
        if otherwise:
            raise Fault("an ELSE IF without THEN")
        if not rest:
            raise Fault("an IF without a statement")
        if held == False:  # noqa: E712 - sympy's
            return None
        depth = len(self.open)
        self.open.append(_If(line, [held]))
        try:
            self.take(line, " ".join(token.text for token in rest))
            if len(self.open) != depth + 1:
                raise Fault("an IF … THEN as the statement of another IF")
        finally:
            del self.open[depth + 1 :]
            self.close()
        return None

    def branch(self, held: Any) -> None:
        if not self.open:
            raise Fault("an ELSE without IF")
        self.open[-1].conditions.append(held)
        self.open[-1].branches.append({})

    def close(self) -> None:
        """After an IF, what it sets is that of the branch that holds."""
        if not self.open:
            raise Fault("an ENDIF without IF")
        block = self.open.pop()
        names = list(dict.fromkeys(name for branch in block.branches for name in branch))
        made: dict[str, Any] = {}
        for name in names:
            before = replaced(sympy.Symbol(name), _set_in(self.open))
            pieces = [(b.get(name, before), c) for b, c in zip(block.branches, block.conditions, strict=True)]
            made[name] = sympy.Piecewise(*pieces, (before, True))
        if self.open:
            self.open[-1].branches[-1].update(made)
            return
        clash = {n for n, v in made.items() if {str(s) for s in v.free_symbols} & (set(made) - {n})}
        for name in names:  # all at once: where one needs what another was, by way of names that nobody has
            if name in clash:
                self.code.assignments.append((f"{name}'", made[name]))
        for name in names:
            value = sympy.Symbol(f"{name}'") if name in clash else made[name]
            self.code.assignments.append((name, value))

    # -- tokens ----------------------------------------------------------------------------------------------------

    def tokens(self, text: str) -> list[_Token]:
        found = _tokens(text)
        if not self.replaced:
            return found
        made: list[_Token] = []
        at = 0
        while at < len(found):
            for length in (6, 4, 1):  # X(A,B), X(A), X
                new = self.replaced.get(_spelled(found[at : at + length])) if found[at].kind == "name" else None
                if new is not None and at + length <= len(found):
                    made += new
                    at += length
                    break
            else:
                made.append(found[at])
                at += 1
        return made


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, text = 0, text.rstrip().upper()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Fault(f"{text[at:].strip()[:1]!r} in {text[:40]!r}")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match.group(kind)))
        at = match.end()
        if len(found) > _MOST_TOKENS:
            raise Fault(f"a statement of more than {_MOST_TOKENS:,} words")
    return found


def _spelled(tokens: Sequence[_Token]) -> str:
    return "".join(token.text for token in tokens)


def _closing(tokens: Sequence[_Token]) -> int:
    """Where the bracket that is the first token closes."""
    depth = 0
    for i, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return i
    raise Fault("a bracket that is not closed")


def _set_in(blocks: Sequence[_If]) -> dict[Any, Any]:
    """What the branches that are open have set; all of it is in terms of what was before the outermost."""
    return {sympy.Symbol(name): value for block in blocks for name, value in block.branches[-1].items()}


class _Expression:
    """Recursive descent through the tokens of one statement."""

    def __init__(self, tokens: Sequence[_Token]):
        self.tokens, self.at, self.depth = [*tokens, _Token("end", "")], 0, 0

    def ahead(self, *texts: str) -> bool:
        return self.tokens[self.at].text in texts and self.tokens[self.at].kind == "sign"

    def next(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, text: str) -> None:
        if not self.ahead(text):
            got = self.tokens[self.at].text
            raise Fault(f"{_spelled(self.tokens)[:40]!r}, where {text!r} is to stand{f', not {got!r}' if got else ''}")
        self.at += 1

    def whole(self, part: Any) -> Any:
        value = part()
        if self.tokens[self.at].kind != "end":
            raise Fault(f"{_spelled(self.tokens)[:40]!r}, which is not understood at {self.tokens[self.at].text!r}")
        return value

    # -- conditions ------------------------------------------------------------------------------------------------

    def either(self) -> Any:
        found = [self.both()]
        while self.ahead(".OR."):
            self.at += 1
            found.append(self.both())
        return sympy.Or(*found)

    def both(self) -> Any:
        found = [self.negated()]
        while self.ahead(".AND."):
            self.at += 1
            found.append(self.negated())
        return sympy.And(*found)

    def negated(self) -> Any:
        if self.ahead(".NOT."):
            self.at += 1
            return sympy.Not(self.negated())
        begun = self.at
        try:
            return self.compared()
        except Fault:
            if self.tokens[begun].text != "(":
                raise
            self.at = begun + 1
            self.deeper()
            found = self.either()
            self.expect(")")
            self.depth -= 1
            return found

    def compared(self) -> Any:
        left = self.sum()
        sign = self.next().text
        if sign not in _COMPARED:
            raise Fault(f"the condition {_spelled(self.tokens)[:40]!r}, which compares nothing")
        return _COMPARED[sign](left, self.sum())

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Fault("an expression that is too deep")

    def sum(self) -> Any:
        negative = self.ahead("-")
        if self.ahead("+", "-"):
            self.at += 1
        value = self.product()
        value = -value if negative else value
        while self.ahead("+", "-"):
            sign = self.next().text
            term = self.product()
            value = value + term if sign == "+" else value - term
        return value

    def product(self) -> Any:
        value = self.power()
        while self.ahead("*", "/"):
            sign = self.next().text
            factor = self.signed()
            if sign == "/" and factor == 0:
                raise Fault("a division by 0")
            value = value * factor if sign == "*" else value / factor
        return value

    def signed(self) -> Any:
        """A factor that may have a sign, which Fortran does not have; compilers differ in how far it goes."""
        if not self.ahead("+", "-"):
            return self.power()
        negative = self.next().text == "-"
        value = self.atom()
        if self.ahead("*", "/", "**"):
            raise Fault("a sign after another sign: put brackets")
        return -value if negative else value

    def power(self) -> Any:
        base = self.atom()
        if not self.ahead("**"):
            return base
        self.at += 1
        self.deeper()
        exponent = self.signed()
        self.depth -= 1
        return powered(base, exponent)

    def atom(self) -> Any:
        token = self.next()
        if token.kind == "number":
            return _number(token.text)
        if token.text == "(":
            self.deeper()
            value = self.sum()
            self.expect(")")
            self.depth -= 1
            return value
        if token.kind != "name":
            got = token.text or "the end"
            raise Fault(f"{_spelled(self.tokens)[:40]!r}, where a number or a name is to stand, not {got!r}")
        if not self.ahead("("):
            return sympy.Symbol(token.text)
        self.at -= 1
        if token.text in _INDEXED:
            return self.name()
        if token.text not in _FUNCTIONS and token.text not in _OTHERS:
            raise Fault(f"{token.text}(…), which is no function that there is")
        self.at += 2
        self.deeper()
        arguments = [self.sum()]
        while self.ahead(","):
            self.at += 1
            arguments.append(self.sum())
        self.expect(")")
        self.depth -= 1
        if token.text not in ("MIN", "MAX", *_OTHERS) and len(arguments) != 1:
            raise Fault(f"{token.text} of {len(arguments)} values")
        made = _FUNCTIONS.get(token.text) or sympy.Function(token.text)
        return made(*arguments)

    def name(self) -> Any:
        """A name, with its numbers if it has some."""
        token = self.next()
        if token.kind != "name":
            raise Fault(f"the statement {_spelled(self.tokens)[:40]!r}")
        if not self.ahead("("):
            return sympy.Symbol(token.text)
        self.at += 1
        inside = []
        while not self.ahead(")"):
            part = self.next()
            if part.kind != "number" and part.text != ",":
                raise Fault(f"{token.text}({part.text}…), whose number is not a number")
            inside.append(part.text)
        self.at += 1
        named = "EPS" if token.text == "ERR" else token.text
        return sympy.Symbol(f"{named}({''.join(inside)})")


def _number(text: str) -> Any:
    value = float(text.replace("D", "E"))
    if not math.isfinite(value):
        raise Fault(f"the number {text}")
    return sympy.Integer(int(value)) if value.is_integer() and abs(value) <= 1e6 else sympy.Float(value)


def powered(base: Any, exponent: Any) -> Any:
    """base**exponent; exact numbers that would grow without end become floating ones."""
    if exponent.is_Integer and abs(exponent) > _LARGEST_POWER:
        exponent = sympy.Float(exponent)
    if base.is_Rational and exponent.is_number and max(abs(base.p), base.q) > 1e6:
        base = sympy.Float(base)
    return sympy.Pow(base, exponent)


def replaced(expression: Any, known: Mapping[Any, Any]) -> Any:
    """Values in place of names, with bounded powers."""
    if not known or not (expression.free_symbols & known.keys()):
        return expression
    if expression.is_Symbol:
        return known[expression]
    parts = [replaced(part, known) for part in expression.args]
    return powered(*parts) if isinstance(expression, sympy.Pow) else expression.func(*parts)
