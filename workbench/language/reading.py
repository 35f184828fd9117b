"""Text of a user's own: read against a list of what is allowed, never evaluated as Python.

One tokenizer and one reader for all; a `Dialect` says what may be typed, and `tree` what comes out. `read` makes a list
of statements of equations, `read_expression` one expression, `read_typed` an expression as it stands in a covariate
formula or a condition. Whatever is not allowed is an error that points at the character. A tree knows where in the text
it stands; the engine differentiates it, `latex` shows it, `evaluate` computes it for plain numbers.

Equations:

    statement   := d/dt NAME = sum | dNAME/dt = sum | NAME(0) = sum | NAME = sum | sum
    sum         := product (("+" | "-") product)*
    product     := sign* power (("*" | "/") signed)*
    signed      := sign* power
    power       := atom (("^" | "**") signed)?
    atom        := NUMBER | NAME | "pi" | FUNCTION "(" sum ("," sum)* ")" | "(" sum ")"
    comparison  := sum ("<" | "<=" | ">" | ">=" | "==" | "!=") sum          as the first argument of where( , , ) only

Formulas and conditions, where signs and sums stay as they are typed:

    expression  := and ("or" and)*
    and         := not ("and" not)*
    not         := "not"* comparison
    comparison  := alternative (("<" | … | "in" | "not" "in") alternative)*
    alternative := both ("|" both)*
    both        := sum ("&" sum)*
    sum         := product (("+" | "-") product)*
    product     := factor (("*" | "/" | "%") factor)*
    factor      := ("+" | "-" | "~")* atom ("**" factor)?
    atom        := NUMBER | TEXT | NAME | `NAME` | FUNCTION "(" … ")" | "(" expression ")" | list in ( ) [ ] { }

Statements end at the end of a line (unless a bracket is open) or at a semicolon; # begins a comment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

from workbench.errors import ModelError, WorkbenchError
from workbench.language.dialects import EQUATIONS, Dialect
from workbench.language.tree import (
    COMPARISONS,
    CONSTANTS,
    OPERATIONS,
    Apply,
    Expression,
    Listing,
    Name,
    Number,
    Text,
    constant,
    depth_of,
    latex,
    names_in,
    operations,
)

__all__ = ["Source", "Statement", "in_order", "latex", "read", "read_expression", "read_typed"]

LONGEST_TEXT = 20_000
LARGEST_EXPONENT = 100.0
MOST_OPERATIONS = 20_000
_DEEPEST_BRACKETS = 50
_DEEPEST_TREE = 200
_KNOWN_ELSEWHERE = {
    "ln": "log is the natural logarithm",
    "log10": "write log(x)/log(10)",
    "log2": "write log(x)/log(2)",
    "pow": "write x^y",
    "ifelse": "write where(condition, a, b)",
    "if": "write where(condition, a, b)",
    "pnorm": "phi is the normal distribution function",
}

_LEVELS = (("|",), ("&",), ("+", "-"), ("*", "/", "%"))
_SIGNS = {"-": "neg", "+": "pos", "~": "~"}

Kind = Literal["rate", "initial", "definition", "expression"]


@dataclass(frozen=True)
class Statement:
    """One line: `d/dt name = …` (rate), `name(0) = …` (initial), `name = …` (definition), or a bare expression."""

    kind: Kind
    name: str
    expression: Expression
    at: int


# -- errors --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A text and what it is, so that errors can point into it."""

    text: str
    title: str

    def error(self, at: int, message: str, mend: str = "") -> WorkbenchError:
        """A ModelError that shows the line and has a caret under character `at`."""
        at = min(at, len(self.text))
        start = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        line = self.text[start : end if end >= 0 else len(self.text)]
        number, column = self.text.count("\n", 0, at) + 1, at - start
        where = f", line {number}" if "\n" in self.text.strip("\n") else ""
        if len(line) > 100:  # a window of it
            cut = max(0, min(column - 50, len(line) - 100))
            line, column = line[cut : cut + 100], column - cut
        shown = "".join(c if c.isprintable() else " " for c in line)
        text = f"{self.title}{where}: {message}\n    {shown}\n    {' ' * column}^"
        return ModelError(f"{text}\n{mend}" if mend else text)


# -- reading -------------------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    kind: str  # "number", "name", "text", "quoted" (a name between backticks), "sign" or "end"
    text: str
    at: int


_TOKEN = re.compile(
    r"(?P<space>[ \t\r\f\v\u00a0]+|\#[^\n]*)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<text>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<quoted>`[^`\n]*`)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/^(),=<>%&|~\[\]{}]|[·×−÷≤≥≠])"
    r"|(?P<end>[\n;])",
    re.ASCII,
)
_LETTERS = re.compile(r"[^\W\d]\w*")
_SAME = {"**": "^", "·": "*", "×": "*", "−": "-", "÷": "/", "≤": "<=", "≥": ">=", "≠": "!="}


_ESCAPED = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


def _tokens(source: Source, dialect: Dialect) -> list[_Token]:
    """Split a text; ends of line within brackets are no ends of statements."""
    text, at, depth = source.text, 0, 0
    found: list[_Token] = []
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup == "name":
            match = _LETTERS.match(text, at) or match  # names may have letters of any alphabet
        if match is None or not dialect.has(match.lastgroup or "name", match.group()):
            there = match.group() if match is not None and match.lastgroup == "sign" else text[at]
            shown = repr(there) if there.isprintable() else f"character U+{ord(there):04X}"
            raise source.error(at, f"{shown} is not allowed.", dialect.allowed)
        kind, word = match.lastgroup or "name", match.group()
        if kind == "name" and not word.isidentifier():
            wrong = next(k for k in range(1, len(word) + 1) if not word[:k].isidentifier()) - 1
            raise source.error(at + wrong, f"{word[wrong]!r} is not allowed in a name.", dialect.allowed)
        if kind == "sign":
            word = _SAME.get(word, word)
            depth = max(0, depth + (word in "([{") - (word in ")]}"))
        if kind == "end" and word == ";":
            depth = 0
        if kind != "space" and not (kind == "end" and depth):
            found.append(_Token(kind, word, at))
        at = match.end()
    found.append(_Token("end", "", len(text)))
    return found


def _unescaped(literal: str) -> str:
    """What text between quotes means."""

    def meant(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, match[0])

    return _ESCAPED.sub(meant, literal[1:-1])


class _Reader:
    """Recursive descent through the tokens of one text."""

    def __init__(self, source: Source, dialect: Dialect):
        self.source = source
        self.dialect = dialect
        self.tokens = _tokens(source, dialect)
        self.position = 0
        self.brackets = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def ahead(self, *texts: str | None) -> bool:
        """Whether the next tokens are these; None stands for any name."""
        following = self.tokens[self.position : self.position + len(texts)]
        return len(following) == len(texts) and all(
            token.kind == "name" if text is None else token.text == text
            for token, text in zip(following, texts, strict=True)
        )

    def take(self) -> _Token:
        token = self.token
        self.position += token.kind != "end" or self.position < len(self.tokens) - 1
        return token

    def found(self) -> str:
        return f"{self.token.text!r}" if self.token.kind != "end" else "the end of the statement"

    def expect(self, text: str, why: str) -> None:
        if self.token.text != text:
            raise self.source.error(self.token.at, f"{why}, found {self.found()}.")
        self.take()

    # statements

    def statements(self) -> Iterator[Statement]:
        while self.position < len(self.tokens) - 1 or self.token.text:
            if self.token.kind == "end":
                self.take()
                continue
            yield self.statement()
            if self.token.kind != "end":
                raise self.after_expression()

    def statement(self) -> Statement:
        at = self.token.at
        if self.ahead("d", "/", "dt"):
            self.position += 3
            bracket = self.ahead("(")
            self.position += bracket
            if self.token.kind != "name":
                raise self.source.error(
                    self.token.at, f"After d/dt the name of a state is needed, found {self.found()}."
                )
            at = self.token.at
            name = self._new_name(self.take())
            if bracket:
                self.expect(")", "A bracket is not closed: ')' is needed")
            self.expect("=", f"After d/dt {name} an '=' is needed")
            return Statement("rate", name, self.sum(), at)
        if self.ahead(None, "/", "dt") and self.token.text.startswith("d") and len(self.token.text) > 1:
            token = self.take()
            name = self._new_name(token._replace(text=token.text[1:]))
            self.position += 2
            self.expect("=", f"After d{name}/dt an '=' is needed")
            return Statement("rate", name, self.sum(), at)
        if self.ahead(None, "(", "0", ")", "="):
            name = self._new_name(self.token)
            self.position += 5
            return Statement("initial", name, self.sum(), at)
        if self.ahead(None, "="):
            name = self._new_name(self.token)
            self.position += 2
            return Statement("definition", name, self.sum(), at)
        return Statement("expression", "", self.sum(), at)

    def _new_name(self, token: _Token) -> str:
        if token.text in self.dialect.functions or token.text in CONSTANTS:
            what = "a function" if token.text in self.dialect.functions else "a number"
            raise self.source.error(token.at, f"{token.text} is {what} already; choose another name.")
        return token.text

    def after_expression(self) -> WorkbenchError:
        token = self.token
        if token.text == "=":
            return self.source.error(
                token.at,
                "there is no such statement.",
                "Allowed are d/dt A = …, A(0) = …, name = … and, where it is the result, an expression alone.",
            )
        if token.text in COMPARISONS:
            return self.source.error(token.at, "a comparison stands only in where(condition, a, b), as its condition.")
        if token.kind in ("name", "number", "text", "quoted") or token.text == "(":
            return self.source.error(token.at, f"an operator is missing before {token.text!r}.", "A product is a*b.")
        return self.source.error(token.at, f"{self.found()} is not expected here.", self.dialect.allowed)

    # expressions of equations

    def sum(self) -> Expression:
        at = self.token.at
        terms = [self.product()]
        while self.token.text in ("+", "-"):
            terms.append(self.product())  # takes its sign along
        return terms[0] if len(terms) == 1 else self.apply("+", tuple(terms), at)

    def signs(self) -> _Token | None:
        """Take signs; the first of them if they make a minus."""
        first, minus = self.token, False
        while self.token.text in ("+", "-"):
            minus ^= self.take().text == "-"
        return first if minus else None

    def product(self) -> Expression:
        minus = self.signs()
        result = self.power()
        while self.token.text in ("*", "/"):
            sign = self.take()
            result = self.apply(sign.text, (result, self.signed()), sign.at)
        return self.apply("neg", (result,), minus.at) if minus else result

    def signed(self) -> Expression:
        minus = self.signs()
        result = self.power()
        return self.apply("neg", (result,), minus.at) if minus else result

    def power(self) -> Expression:
        base = self.atom()
        if self.token.text != "^":
            return base
        sign = self.take()
        with _Nesting(self, sign.at):
            exponent = self.signed()
        value = constant(exponent)
        if value is not None and abs(value) > LARGEST_EXPONENT:
            message = f"an exponent of {value:g} is not allowed."
            raise self.source.error(exponent.at, message, f"Exponents that are numbers go to {LARGEST_EXPONENT:g}.")
        return self.apply("^", (base, exponent), sign.at)

    # expressions that stay as they are typed

    def expression(self) -> Expression:
        return self.joined("or", lambda: self.joined("and", self.negation))

    def joined(self, word: str, part: Callable[[], Expression]) -> Expression:
        at, parts = self.token.at, [part()]
        while self.word(word):
            self.take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else self.apply(word, tuple(parts), at)

    def word(self, text: str, ahead: int = 0) -> bool:
        """Whether a word that joins expressions comes next, or after some tokens."""
        token = self.tokens[min(self.position + ahead, len(self.tokens) - 1)]
        return text in self.dialect.words and token.kind == "name" and token.text == text

    def negation(self) -> Expression:
        if not self.word("not"):
            return self.comparisons()
        word = self.take()
        with _Nesting(self, word.at):
            return self.apply("not", (self.negation(),), word.at)

    def comparisons(self) -> Expression:
        """One comparison, or several that share what stands between them."""
        at, left = self.token.at, self.binary(0)
        found: list[Expression] = []
        while (sign := self.comparing()) is not None:
            if found and not self.dialect.chains:
                raise self.source.error(self.token.at, "one comparison at a time.", self.dialect.allowed)
            there = self.token.at
            self.position += 2 if sign == "not in" else 1
            right = self.binary(0)
            found.append(self.apply(sign, (left, right), at if len(found) == 0 else there))
            left = right
        if not found:
            return left
        return found[0] if len(found) == 1 else self.apply("and", tuple(found), at)

    def comparing(self) -> str | None:
        if self.token.kind == "sign" and self.token.text in COMPARISONS:
            return self.token.text
        if self.word("in"):
            return "in"
        return "not in" if self.word("not") and self.word("in", 1) else None

    def binary(self, level: int) -> Expression:
        """Operators that bind from left to right, of one level or tighter ones."""
        if level == len(_LEVELS):
            return self.factor()
        at, left = self.token.at, self.binary(level + 1)
        while self.token.kind == "sign" and self.token.text in _LEVELS[level]:
            sign = self.take()
            left = self.apply(sign.text, (left, self.binary(level + 1)), at)
        return left

    def factor(self) -> Expression:
        token = self.token
        if token.kind == "sign" and token.text in _SIGNS:
            self.take()
            with _Nesting(self, token.at):
                return self.apply(_SIGNS[token.text], (self.factor(),), token.at)
        base = self.atom()
        if self.token.text != "^":
            return base
        sign = self.take()
        with _Nesting(self, sign.at):
            return self.apply("^", (base, self.factor()), token.at)

    def listing(self, opening: _Token, first: tuple[Expression, ...] = ()) -> Expression:
        """A list whose opening bracket, and perhaps first item, are taken."""
        items, closing = list(first), {"(": ")", "[": "]", "{": "}"}[opening.text]
        while self.token.text != closing:
            if items:
                self.expect(",", f"a list is not closed: ',' or {closing!r} is needed")
                if self.token.text == closing:
                    break
            items.append(self.expression())
        self.take()
        return Listing(tuple(items), opening.at)

    # what both have

    def atom(self) -> Expression:
        token = self.token
        if token.kind == "number":
            self.take()
            value = float(token.text)
            if not math.isfinite(value):
                raise self.source.error(token.at, f"the number {token.text[:30]} is too large.")
            return Number(value, token.text, token.at)
        if token.kind == "name":
            self.take()
            if self.token.text == "(":
                return self.call(token)
            if token.text in self.dialect.functions:
                raise self.source.error(token.at, f"{token.text} is a function; it needs an argument: {token.text}(…).")
            if token.text in CONSTANTS and not self.dialect.as_typed:
                return Number(CONSTANTS[token.text], token.text, token.at)
            return Name(token.text, token.at)
        if token.kind == "text":
            self.take()
            return Text(_unescaped(token.text), token.at)
        if token.kind == "quoted":
            self.take()
            return Name(token.text[1:-1], token.at)
        if token.kind == "sign" and token.text in ("(", "[", "{"):
            self.take()
            with _Nesting(self, token.at):
                return self.bracket(token)
        message = f"a number, a name or a bracket is needed, found {self.found()}."
        raise self.source.error(token.at, message, "" if token.kind == "end" else self.dialect.allowed)

    def bracket(self, opening: _Token) -> Expression:
        """What stands after an opening bracket, and the closing one."""
        if opening.text != "(" or (self.dialect.lists and self.token.text == ")"):
            return self.listing(opening)
        inside = self.part()
        if self.dialect.lists and self.token.text == ",":
            return self.listing(opening, (inside,))
        self.close(opening)
        return inside

    def part(self) -> Expression:
        """An expression within brackets."""
        return self.expression() if self.dialect.as_typed else self.sum()

    def call(self, name: _Token) -> Expression:
        opening = self.take()
        functions = self.dialect.functions
        if name.text not in functions:
            near = get_close_matches(name.text, functions, 1)
            hint = f"did you mean {near[0]}" if near else ""
            if not self.dialect.as_typed:
                hint = _KNOWN_ELSEWHERE.get(name.text, hint)
            raise self.source.error(
                name.at, self.dialect.no_function.format(name=name.text, hint=f"; {hint}" if hint else ""),
                f"{self.dialect.allowed} A product is a*b.",
            )  # fmt: skip
        arguments: list[Expression] = []
        with _Nesting(self, opening.at):
            while self.token.text != ")" or not arguments:
                if arguments:
                    if self.token.text != ",":
                        self.close(opening)
                    self.take()
                arguments.append(self.comparison() if name.text == "where" and not arguments else self.part())
            self.take()
        needed, many, _ = functions[name.text]
        if len(arguments) < needed or (len(arguments) > needed and not many):
            count = f"{needed}{' or more' if many else ''} argument{'s' if needed > 1 else ''}"
            raise self.source.error(name.at, f"{name.text} takes {count}, got {len(arguments)}.")
        return self.apply(name.text, tuple(arguments), name.at)

    def close(self, opening: _Token) -> None:
        if self.token.kind == "end" or self.token.text == "=":
            raise self.source.error(opening.at, "this bracket is never closed.")
        if self.token.text != ")":
            raise self.after_expression()
        self.take()

    def comparison(self) -> Expression:
        left = self.sum()
        sign = self.token
        if sign.text not in COMPARISONS:
            raise self.source.error(left.at, "where needs a comparison first, as in where(t < 5, a, b).")
        self.take()
        right = self.sum()
        if self.token.text in COMPARISONS:
            raise self.source.error(self.token.at, "one comparison at a time; nest where(…) for several.")
        return self.apply(sign.text, (left, right), sign.at)

    def apply(self, function: str, arguments: tuple[Expression, ...], at: int) -> Apply:
        """A node with its value, if it has one."""
        depth = 1 + max(depth_of(argument) for argument in arguments)
        if depth > _DEEPEST_TREE and not self.dialect.as_typed:
            raise self.source.error(at, "this is nested too deeply; use intermediate names, name = expression.")
        if self.dialect.as_typed:
            return Apply(function, arguments, at, None, depth)
        numbers = [constant(argument) for argument in arguments]
        value = None
        if None not in numbers:
            try:
                value = float(OPERATIONS[function](*numbers))
            except (ValueError, OverflowError, ZeroDivisionError):
                value = math.nan
            if not math.isfinite(value):
                raise self.source.error(at, "this has no value, or one that is too large.")
        elif function == "/" and numbers[1] == 0.0:
            raise self.source.error(at, "this divides by 0.")
        return Apply(function, arguments, at, value, depth)


class _Nesting:
    """Counts open brackets, so that none can exhaust the stack."""

    def __init__(self, reader: _Reader, at: int):
        self.reader, self.at = reader, at

    def __enter__(self) -> None:
        self.reader.brackets += 1
        if self.reader.brackets > _DEEPEST_BRACKETS:
            raise self.reader.source.error(self.at, f"more than {_DEEPEST_BRACKETS} brackets are open.")

    def __exit__(self, *_: object) -> None:
        self.reader.brackets -= 1


def _reader(text: object, title: str) -> _Reader:
    if not isinstance(text, str) or not text.strip():
        raise ModelError(f"{title} is text such as 'Emax*t/(t50 + t)', got {text!r:.100}.")
    if len(text) > LONGEST_TEXT:
        raise ModelError(f"{title} is at most {LONGEST_TEXT:,} characters long, got {len(text):,}.")
    return _Reader(Source(text, title), EQUATIONS)


def read(text: object, title: str) -> tuple[Source, list[Statement]]:
    """Read statements.

    Parameters
    ----------
    text : str
    title : str
        What it is, for errors: "The equation".

    Raises
    ------
    ModelError
        At the first character that is not allowed or does not fit.
    """
    reader = _reader(text, title)
    statements = list(reader.statements())
    if not statements:
        raise ModelError(f"{title} holds nothing but comments.")
    return reader.source, statements


def read_expression(text: object, title: str) -> tuple[Source, Expression]:
    """Read one expression; see `read`."""
    source, statements = read(text, title)
    if len(statements) > 1 or statements[0].kind != "expression":
        at = statements[-1].at
        raise source.error(at, "one expression is needed here, without '='.")
    return source, statements[0].expression


def read_typed(source: Source, dialect: Dialect) -> Expression:
    """Read one expression of a formula or a condition, as it is typed.

    Raises
    ------
    WorkbenchError
        As the source makes it, at the first character that is not allowed or does not fit.
    """
    reader = _Reader(source, dialect)
    tree = reader.expression()
    if reader.token.text:
        raise reader.source.error(reader.token.at, "one expression is needed.", dialect.allowed)
    if reader.token.kind != "end":
        raise reader.after_expression()
    return tree


def in_order(definitions: Mapping[str, tuple[Source, Statement]]) -> list[str]:
    """Names of intermediates, each after those that it needs.

    Raises
    ------
    ModelError
        If one is defined by itself, or needs too many operations when all are put into each other.
    """
    done: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> int:
        if name in done:
            return done[name]
        source, statement = definitions[name]
        if name in path:
            raise source.error(statement.at, f"{name} is defined by itself ({' → '.join((*path, name))}).")
        if len(path) > _DEEPEST_TREE:
            raise source.error(statement.at, "too many intermediates are put into each other.")
        needed = {
            part.name: visit(part.name, (*path, name))
            for part in names_in(statement.expression)
            if part.name in definitions
        }
        done[name] = operations(statement.expression, needed)
        if done[name] > MOST_OPERATIONS:
            raise source.error(statement.at, f"{name} needs more than {MOST_OPERATIONS:,} operations.")
        return done[name]

    for name in definitions:
        visit(name, ())
    return list(done)
