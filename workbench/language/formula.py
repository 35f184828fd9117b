"""Covariate formulas: read against a list of what is allowed, and spelled in one way.

A formula is a sum of terms of numbers, column names, + - * / **, comparisons (1 where they hold, else 0), and

    log exp sqrt abs        of anything
    below(c, r)             min(c − r, 0), the part of a hockey stick below its breakpoint
    above(c, r)             max(c − r, 0), the part above
    median(WT)              the median over the subjects of their first values; a number once resolved
    C(SEX), C(SEX, "F")     categories: a column for each level but the first, or but the one named
    (SEX == "F")            text may be compared for equality

Which columns a term makes of data stands in `workbench.model.design`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from keyword import iskeyword

from workbench.errors import ModelError, WorkbenchError
from workbench.language.dialects import FORMULAS
from workbench.language.reading import Source, read_typed
from workbench.language.tree import (
    COMPARISONS,
    Apply,
    Expression,
    Listing,
    Name,
    Number,
    Text,
    depth_of,
    names_in,
    nodes,
    spelled,
    with_nodes,
)

MAX_LENGTH = 500
_MAX_DEPTH = 40
_ARITHMETIC = ("+", "-", "*", "/", "neg", "pos")


# -- reading -------------------------------------------------------------------------------------------------------


def split_terms(formula: str) -> tuple[str, ...]:
    """Split a formula at its outer plus signs into terms, each checked.

    Parameters
    ----------
    formula : str
        For instance "log(WT/70) + C(SEX)".

    Returns
    -------
    tuple of str
        The terms, in one spelling: equal terms are equal text.

    Raises
    ------
    ModelError
        If it cannot be read, or holds anything outside the list of what is allowed.
    """
    if not isinstance(formula, str) or not formula.strip():
        raise ModelError(f"A covariate formula is text such as 'log(WT/70)', got {formula!r}.")
    formula = formula.strip()
    if len(formula) > MAX_LENGTH:
        raise ModelError(f"A covariate formula is at most {MAX_LENGTH} characters long, got {len(formula)}.")
    return _split(formula)


@lru_cache(maxsize=1024)
def _split(formula: str) -> tuple[str, ...]:
    source = _Formula(formula, "Covariate formula")
    return tuple(_Check(source).term(tree) for tree in _terms(read_typed(source, FORMULAS)))


class _Formula(Source):
    """A formula: what is not merely not allowed cannot be read."""

    def error(self, at: int, message: str, mend: str = "") -> WorkbenchError:
        """A ModelError that shows the formula and has a caret under character `at`."""
        if "not allowed" not in message:
            message = f"cannot be read: {message}"
        return super().error(at, message, mend or "It is a sum of terms such as 'log(WT/70) + C(SEX)'.")


@lru_cache(maxsize=1024)
def tree_of(term: str) -> Expression:
    """A checked term as a tree."""
    return read_typed(Source(term, "Covariate term"), FORMULAS)


def _terms(tree: Expression) -> Iterator[Expression]:
    """The summands; a difference belongs to one term, so that "WT + AGE - 40" is WT and (AGE - 40)."""
    spine: list[Apply] = []
    while isinstance(tree, Apply) and tree.function in ("+", "-"):
        spine.append(tree)
        tree = tree.arguments[0]
    last = tree
    for sum_ in reversed(spine):
        right = sum_.arguments[1]
        if sum_.function == "-":
            last = Apply("-", (last, right), sum_.at, None, 1 + max(depth_of(last), depth_of(right)))
            continue
        yield last
        *before, last = _terms(right)
        yield from before
    yield last


class _Check:
    """Refuses what a formula may not hold, and points at it."""

    def __init__(self, source: Source):
        self.source = source

    def refused(self, at: int, what: str) -> WorkbenchError:
        return self.source.error(at, f"{what} is not allowed here.", FORMULAS.allowed)

    def term(self, tree: Expression) -> str:
        """A term in its spelling."""
        if depth_of(tree) > _MAX_DEPTH:
            raise self.refused(tree.at, f"a term nested more than {_MAX_DEPTH} deep")
        category = category_of(tree) or open_of(tree)
        if category is not None:
            self.category(category)
        else:
            self.part(tree)
        is_sum = isinstance(tree, Apply) and tree.function in ("+", "-", *COMPARISONS)
        text = f"({spelled(tree)})" if is_sum else spelled(tree)
        if not set(_columns(tree)) - set(_medians(tree, alone=True)):
            raise self.refused(tree.at, f"{text}, a constant (the typical value is there anyway),")
        return text

    def part(self, tree: Expression) -> None:
        if isinstance(tree, Name) and iskeyword(tree.name):
            raise self.refused(tree.at, f"{tree.name}, a word of Python,")
        if isinstance(tree, Text | Listing):
            raise self.refused(tree.at, spelled(tree))
        if not isinstance(tree, Apply):
            return
        function, arguments = tree.function, tree.arguments
        if function in ("C", "open"):
            raise self.refused(tree.at, f"{function}(…) within a term")
        if function == "median" and not isinstance(arguments[0], Name):
            raise self.refused(tree.at, "median(…) of anything but one column")
        if function == "^" and not _is_constant(arguments[1]):
            raise self.refused(arguments[1].at, "an exponent that is not a number")
        if compares_text(tree):
            if function not in ("==", "!=") or sum(isinstance(side, Name) for side in arguments) != 1:
                raise self.refused(tree.at, "text other than in COLUMN == 'text'")
            arguments = tuple(side for side in arguments if isinstance(side, Name))
        for argument in arguments:
            self.part(argument)

    def category(self, tree: Apply) -> None:
        column, *references = tree.arguments
        if len(references) > 1 or not isinstance(column, Name):
            raise self.refused(tree.at, f"{tree.function}(…) of anything but one column")
        self.part(column)
        for reference in references:
            if level_of(reference) is None:
                raise self.refused(reference.at, "a reference level that is neither text nor a number")


def _is_constant(tree: Expression) -> bool:
    while isinstance(tree, Apply) and tree.function in ("neg", "pos"):
        (tree,) = tree.arguments
    return isinstance(tree, Number)


def compares_text(tree: Expression) -> bool:
    """Whether it is a comparison with text."""
    return (
        isinstance(tree, Apply)
        and tree.function in COMPARISONS
        and any(isinstance(side, Text) for side in tree.arguments)
    )


def category_of(tree: Expression) -> Apply | None:
    """The C(…) that a term is, if it is one."""
    return tree if isinstance(tree, Apply) and tree.function == "C" else None


def open_of(tree: Expression) -> Apply | None:
    """The open(…) that a term is, if it is one: a covariate whose shape is settled where the data are known."""
    return tree if isinstance(tree, Apply) and tree.function == "open" else None


def level_of(tree: Expression) -> str | float | int | None:
    """Text or number of a reference level; None if it is neither."""
    if isinstance(tree, Text):
        return tree.text
    negative = isinstance(tree, Apply) and tree.function == "neg"
    number = tree.arguments[0] if isinstance(tree, Apply) and negative else tree
    if not isinstance(number, Number):
        return None
    value = int(number.text) if number.text.isdecimal() else number.value
    return -value if negative else value


# -- spelling ------------------------------------------------------------------------------------------------------


def spelled_number(value: float) -> str:
    """A number as it stands in a term: all its digits, and no point where it is whole."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


@lru_cache(maxsize=1024)
def columns_of(term: str) -> tuple[str, ...]:
    """Names of the data columns that a checked term uses."""
    return _columns(tree_of(term))


def _columns(tree: Expression) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.name for name in names_in(tree)))


@lru_cache(maxsize=1024)
def median_columns(term: str, alone: bool = False) -> tuple[str, ...]:
    """Names of the columns whose median a checked term uses; `alone`: those that it uses in no other way."""
    return _medians(tree_of(term), alone) if "median(" in term else ()


def _medians(tree: Expression, alone: bool = False) -> tuple[str, ...]:
    medians = [node for node in nodes(tree) if isinstance(node, Apply) and node.function == "median"]
    inside = [name.name for median in medians for name in names_in(median)]
    every = [name.name for name in names_in(tree)]
    return tuple(dict.fromkeys(name for name in inside if not alone or every.count(name) == inside.count(name)))


def open_columns(term: str) -> tuple[str, ...]:
    """The covariate of a term whose shape is open; empty for any other."""
    return columns_of(term) if term.startswith("open(") and open_of(tree_of(term)) is not None else ()


def with_numbers(term: str, medians: Mapping[str, float]) -> str:
    """A checked term with a number for every median(…)."""

    def number(node: Expression) -> Expression | None:
        if not (isinstance(node, Apply) and node.function == "median" and isinstance(node.arguments[0], Name)):
            return None
        return number_node(medians[node.arguments[0].name])

    return _Check(Source(term, "Covariate term")).term(with_nodes(tree_of(term), number))


def with_columns(term: str, names: Mapping[str, str]) -> str:
    """A checked term of other columns: each name in the mapping has another in its place."""

    def renamed(node: Expression) -> Expression | None:
        return replace(node, name=names.get(node.name, node.name)) if isinstance(node, Name) else None

    return _Check(Source(term, "Covariate term")).term(with_nodes(tree_of(term), renamed))


# -- templates -----------------------------------------------------------------------------------------------------


def number_node(value: float) -> Expression:
    """A number as it stands in a term."""
    size = Number(abs(value), spelled_number(abs(value)), 0)
    return Apply("neg", (size,), 0, None, 1) if value < 0 else size


def filled(template: str, parts: Mapping[str, Expression]) -> str:
    """A checked term with expressions in place of some of its names."""
    tree = with_nodes(tree_of(template), lambda node: parts.get(node.name) if isinstance(node, Name) else None)
    return _Check(Source(spelled(tree), "Covariate term")).term(tree)


def matched(template: str, term: str) -> dict[str, Expression] | None:
    """What stands in a checked term for the names of a template; None if it is of another form."""
    found: dict[str, Expression] = {}

    def alike(wanted: Expression, there: Expression) -> bool:
        if isinstance(wanted, Name):
            return spelled(found.setdefault(wanted.name, there)) == spelled(there)
        if isinstance(wanted, Apply) and isinstance(there, Apply):
            pairs = zip(wanted.arguments, there.arguments, strict=False)
            same = wanted.function == there.function and len(wanted.arguments) == len(there.arguments)
            return same and all(alike(a, b) for a, b in pairs)
        return spelled(wanted) == spelled(there)

    return found if alike(tree_of(template), tree_of(term)) else None
