"""Covariate formulas: checked against a list of what is allowed, then built by formulaic.

formulaic evaluates the Python inside a formula, so nothing reaches it that has not passed `split_terms`:
numbers, column names, + - * / **, comparisons (1 where they hold, else 0), and

    log exp sqrt abs        of anything
    below(c, r)             min(c − r, 0), the part of a hockey stick below its breakpoint
    above(c, r)             max(c − r, 0), the part above
    median(WT)              the median over the subjects of their first values; a number once resolved
    C(SEX), C(SEX, "F")     categories: a column for each level but the first, or but the one named
    (SEX == "F")            text may be compared for equality
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

Design = tuple[NDArray[np.float64], tuple[str, ...]]


def _below(values: Any, at: Any) -> Any:
    return np.minimum(values - at, 0.0)


def _above(values: Any, at: Any) -> Any:
    return np.maximum(values - at, 0.0)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "log": np.log, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs, "below": _below, "above": _above,
}  # fmt: skip
MAX_LENGTH = 500
_MAX_DEPTH = 40
_TWO = ("below", "above")
_RESERVED = (*FUNCTIONS, "median", "C")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_TEXT = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)


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
    try:
        tree = ast.parse(formula, mode="eval").body
        terms = list(_terms(tree))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        at = getattr(error, "offset", None) or 1
        raise ModelError(
            f"Covariate formula: cannot be read.\n    {formula}\n    {' ' * (at - 1)}^\n"
            "It is a sum of terms such as 'log(WT/70) + C(SEX)'."
        ) from None
    return tuple(_checked_term(formula, node) for node in terms)


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """The summands; a difference belongs to one term, so that "WT + AGE - 40" is WT and (AGE - 40)."""
    spine = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        spine.append(node)
        node = node.left
    last = node
    for sum_ in reversed(spine):
        if isinstance(sum_.op, ast.Sub):
            last = ast.BinOp(last, sum_.op, sum_.right, lineno=sum_.lineno, col_offset=last.col_offset)
            continue
        yield last
        *before, last = _terms(sum_.right)
        yield from before
    yield last


def _checked_term(formula: str, node: ast.expr) -> str:
    if _depth(node) > _MAX_DEPTH:
        raise _refuse(formula, node, f"a term nested more than {_MAX_DEPTH} deep")
    if _is_categorical(node):
        _check_category(formula, node)
    else:
        _check(formula, node)
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in _RESERVED]
    if len(names) > sum(isinstance(n, ast.Call) for n in ast.walk(node)):
        raise _refuse(formula, node, "a column named like a function; rename the column. It")
    text = _spelled(node)
    if not set(columns_of(text)) - set(median_columns(text, alone=True)):
        raise _refuse(formula, node, f"{text}, a constant (the typical value is there anyway),")
    return text


def _depth(node: ast.AST) -> int:
    depth, level = 0, [node]
    while level:
        depth += 1
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
    return depth


def _refuse(formula: str, node: ast.AST, what: str) -> ModelError:
    at = getattr(node, "col_offset", 0)
    pointer = " " * at + "^"
    allowed = (
        f"Allowed are column names, numbers, + - * / **, comparisons, {', '.join(FUNCTIONS)}, median(column), "
        "C(column) and C(column, 'reference level')."
    )
    return ModelError(f"Covariate formula: {what} is not allowed here.\n    {formula}\n    {pointer}\n{allowed}")


def _check(formula: str, node: ast.AST) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        if isinstance(node.op, ast.Pow) and not isinstance(node.right, ast.Constant | ast.UnaryOp):
            raise _refuse(formula, node.right, "an exponent that is not a number")
        _check(formula, node.left)
        _check(formula, node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, _OPERATORS):
        _check(formula, node.operand)
    elif isinstance(node, ast.Compare):
        _check_comparison(formula, node)
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS and name != "median":
            raise _refuse(formula, node, f"{ast.unparse(node.func)}(…)")
        count = 2 if name in _TWO else 1
        if len(node.args) != count or node.keywords:
            raise _refuse(formula, node, f"{name} with other than {'two arguments' if count == 2 else 'one argument'}")
        if name == "median" and not isinstance(node.args[0], ast.Name):
            raise _refuse(formula, node, "median(…) of anything but one column")
        for argument in node.args:
            _check(formula, argument)
    elif isinstance(node, ast.Constant):
        _check_number(formula, node)
    elif not isinstance(node, ast.Name):
        raise _refuse(formula, node, ast.unparse(node))


def _check_number(formula: str, node: ast.Constant) -> None:
    value = node.value
    try:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        good = False
    if not good:
        raise _refuse(formula, node, repr(value))


def _check_comparison(formula: str, node: ast.Compare) -> None:
    sides = [node.left, *node.comparators]
    if len(sides) != 2 or not isinstance(node.ops[0], _COMPARISONS):
        raise _refuse(formula, node, f"{ast.unparse(node)}, no single comparison,")
    if _compares_text(node):
        if not isinstance(node.ops[0], ast.Eq | ast.NotEq) or sum(isinstance(side, ast.Name) for side in sides) != 1:
            raise _refuse(formula, node, "text other than in COLUMN == 'text'")
        return
    for side in sides:
        _check(formula, side)


def _compares_text(node: ast.AST) -> bool:
    sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
    return any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides)


def _is_categorical(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"


def _check_category(formula: str, node: ast.expr) -> None:
    assert isinstance(node, ast.Call)
    if len(node.args) not in (1, 2) or node.keywords or not isinstance(node.args[0], ast.Name):
        raise _refuse(formula, node, "C(…) of anything but one column")
    for reference in node.args[1:]:
        if isinstance(reference, ast.UnaryOp) and isinstance(reference.op, ast.USub):
            reference = reference.operand  # noqa: PLW2901
        if not isinstance(reference, ast.Constant):
            raise _refuse(formula, reference, "a reference level that is neither text nor a number")
        if not isinstance(reference.value, str):
            _check_number(formula, reference)


# -- spelling ------------------------------------------------------------------------------------------------------


def _spelled(node: ast.expr) -> str:
    parts = _TEXT.split(ast.unparse(node))
    text = "".join(part if i % 2 else part.replace(" ", "") for i, part in enumerate(parts))
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    return f"({text})" if is_sum or isinstance(node, ast.Compare) else text


def spelled_number(value: float) -> str:
    """A number as it stands in a term: all its digits, and no point where it is whole."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


@lru_cache(maxsize=1024)
def columns_of(term: str) -> tuple[str, ...]:
    """Names of the data columns that a checked term uses."""
    nodes = [node for node in ast.walk(ast.parse(term, mode="eval")) if isinstance(node, ast.Name)]
    nodes.sort(key=lambda node: node.col_offset)
    return tuple(dict.fromkeys(node.id for node in nodes if node.id not in _RESERVED))


@lru_cache(maxsize=1024)
def median_columns(term: str, alone: bool = False) -> tuple[str, ...]:
    """Names of the columns whose median a checked term uses; `alone`: those that it uses in no other way."""
    if "median" not in term:
        return ()
    tree = ast.parse(term, mode="eval")
    medians = [node.args[0] for node in ast.walk(tree) if _is_median(node) and isinstance(node, ast.Call)]
    inside = [node.id for node in sorted(medians, key=lambda node: node.col_offset) if isinstance(node, ast.Name)]
    if alone:
        every = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        inside = [name for name in inside if every.count(name) == inside.count(name)]
    return tuple(dict.fromkeys(inside))


def _is_median(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "median"


def with_medians(term: str, baseline: pd.DataFrame) -> str:
    """A checked term with a number for every median(…).

    Parameters
    ----------
    term : str
    baseline : DataFrame
        The first values of the subjects, a row for each; columns that have a median in the term.

    Raises
    ------
    ModelError
        If a column is missing or holds no numbers.
    """
    if not median_columns(term):
        return term
    resolved = _Medians(term, baseline).visit(ast.parse(term, mode="eval").body)
    (text,) = split_terms(_spelled(resolved))
    return text


class _Medians(ast.NodeTransformer):
    def __init__(self, term: str, baseline: pd.DataFrame):
        self.term, self.baseline = term, baseline

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not _is_median(node):
            return self.generic_visit(node)
        assert isinstance(node.args[0], ast.Name)
        name = node.args[0].id
        if name not in self.baseline.columns:
            raise ModelError(f"Covariate term {self.term!r}: there is no column {name}.")
        values = self.baseline[name]
        if not _is_number(values):
            raise ModelError(
                f"Covariate term {self.term!r}: {name} is text, and text has no median. C({name}) makes categories of "
                "it, as shape='categorical' does."
            )
        median = float(np.median(np.asarray(values, dtype=float)))
        if not math.isfinite(median):
            raise ModelError(f"Covariate term {self.term!r}: {name} has no finite median.")
        return ast.parse(spelled_number(float(f"{median:.12g}")), mode="eval").body


# -- building ------------------------------------------------------------------------------------------------------


class _Evaluable(ast.NodeTransformer):
    """What formulaic evaluates: numbers as floats, for powers of whole numbers could fill the memory; comparisons as
    0.0 and 1.0; those with text as columns of their own, so that no text of the user's gets there."""

    def __init__(self, records: pd.DataFrame):
        self.columns = records.copy(deep=False)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        assert isinstance(node.value, int | float)
        return ast.Constant(float(node.value))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if not _compares_text(node):
            self.generic_visit(node)
            return ast.BinOp(ast.Constant(1.0), ast.Mult(), node)
        (column,) = (side.id for side in (node.left, *node.comparators) if isinstance(side, ast.Name))
        (text,) = (side.value for side in (node.left, *node.comparators) if isinstance(side, ast.Constant))
        equal = np.array([str(value) == text for value in self.columns[column]], dtype=float)
        name = f"_compared{len(self.columns.columns)}"
        self.columns[name] = equal if isinstance(node.ops[0], ast.Eq) else 1.0 - equal
        return ast.Name(name)


def _is_number(values: pd.Series[Any]) -> bool:
    kind = np.asarray(values).dtype
    return bool(np.issubdtype(kind, np.number) or np.issubdtype(kind, np.bool_))


def design_columns(
    term: str, records: pd.DataFrame, *, first: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Build the columns of the design matrix that a term makes.

    Parameters
    ----------
    term : str
        One checked term.
    records : DataFrame
        The covariates, one row per record.
    first : bool[records], optional
        The first record of each subject, for a term that holds median(…).

    Returns
    -------
    values : float64[records, columns]
    labels : tuple of str
        One per column: the term itself, or the term with the level of the category, as in "C(SEX)[M]".

    Raises
    ------
    ModelError
        If the term is not finite on some record, a category has a single level or not the one that is named, or a
        median is not a number yet and `first` is not given.
    """
    resolved = term if first is None else with_medians(term, records[first])
    if median_columns(resolved):
        raise ModelError(f"Covariate term {term!r}: the median is not known yet; use model.with_centred(data).")
    node = ast.parse(resolved, mode="eval").body
    if _is_categorical(node):
        values, labels = _category_columns(term, node, records)
    else:
        values, labels = _number_column(term, node, records)
    if values.shape[1] != len(labels):
        raise ModelError(f"Covariate term {term!r} makes {values.shape[1]} columns instead of {len(labels)}.")
    bad = np.any(~np.isfinite(values), axis=1)
    if bad.any():
        values_there = records[bad].iloc[0][list(columns_of(term))].to_dict()
        raise ModelError(
            f"Covariate term {term!r} is not a number on {int(bad.sum())} of {len(bad)} records "
            f"(the first has {', '.join(f'{k}={v!r}' for k, v in values_there.items())})."
        )
    return values, labels


def _number_column(term: str, node: ast.expr, records: pd.DataFrame) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    compared = {id(n) for part in ast.walk(node) if _compares_text(part) for n in ast.iter_child_nodes(part)}
    numeric = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in compared]
    numeric = [name for name in dict.fromkeys(numeric) if name not in _RESERVED]
    text = [name for name in numeric if not _is_number(records[name])]
    if text:
        raise ModelError(f"Covariate term {term!r}: {', '.join(text)} is text, not numbers; use C({text[0]}).")
    columns = records[list(columns_of(ast.unparse(node)))]
    truths = [name for name in numeric if np.asarray(columns[name]).dtype == bool]
    evaluable = _Evaluable(columns.astype(dict.fromkeys(truths, float)))
    code = ast.unparse(evaluable.visit(node))
    return np.asarray(_matrix(term, f"0 + {{{code}}}", evaluable.columns), dtype=float), (term,)


def _category_columns(term: str, node: ast.expr, records: pd.DataFrame) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """A column of 0 and 1 for each level but the reference."""
    assert isinstance(node, ast.Call) and isinstance(node.args[0], ast.Name)
    column = node.args[0].id
    levels = levels_of(records[column])
    if len(levels) < 2:
        raise ModelError(f"Covariate term {term!r}: the column has a single level, there is nothing to estimate.")
    if len(node.args) == 2:
        wanted = ast.literal_eval(node.args[1])
        found = [level for level in levels if level == wanted or _named(level) == _named(wanted)]
        if not found:
            known = ", ".join(map(str, levels))
            raise ModelError(f"Covariate term {term!r}: {column} has no level {wanted!r}. It has {known}.")
        levels.remove(found[0])
        levels.insert(0, found[0])
    matrix = _matrix(term, f"1 + C({column}, levels=_levels_)", records[[column]].astype(object), _levels_=levels)
    return np.asarray(matrix, dtype=float)[:, 1:], tuple(f"{term}[{level}]" for level in levels[1:])


def levels_of(values: pd.Series[Any]) -> list[Any]:
    """The levels that occur, in the order of the categories where the column has one, else sorted."""
    there = set(values.tolist())
    if hasattr(values, "cat"):
        return [level for level in values.cat.categories.tolist() if level in there]
    return sorted(there, key=lambda level: (isinstance(level, str), level))


def _named(level: object) -> str:
    return spelled_number(level) if isinstance(level, float) and math.isfinite(level) else str(level)


def _matrix(term: str, formula: str, columns: pd.DataFrame, **names: Any) -> Any:
    from formulaic import model_matrix

    try:
        with np.errstate(all="ignore"):
            return model_matrix(formula, columns, context=FUNCTIONS | names, na_action="ignore")
    except Exception as error:  # whatever formulaic cannot evaluate is a fault of the formula or of its columns
        raise ModelError(f"Covariate term {term!r} cannot be computed from the data: {error}") from error
