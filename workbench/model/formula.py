"""Covariate formulas: checked against a list of what is allowed, then built by formulaic.

formulaic evaluates the Python inside a formula, so nothing reaches it that has not passed `split_terms`:
numbers, column names, + - * / **, and the functions in `FUNCTIONS` and `C(…)`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

FUNCTIONS: dict[str, Callable[..., Any]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
_MAX_LENGTH = 500


def _refuse(formula: str, node: ast.AST, what: str) -> ModelError:
    at = getattr(node, "col_offset", 0)
    pointer = " " * at + "^"
    allowed = f"Allowed are column names, numbers, + - * / **, {', '.join(FUNCTIONS)} and C(column)."
    return ModelError(f"Covariate formula: {what} is not allowed here.\n    {formula}\n    {pointer}\n{allowed}")


def _check(formula: str, node: ast.AST) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        if isinstance(node.op, ast.Pow) and not isinstance(node.right, ast.Constant | ast.UnaryOp):
            raise _refuse(formula, node.right, "an exponent that is not a number")
        _check(formula, node.left)
        _check(formula, node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, _OPERATORS):
        _check(formula, node.operand)
    elif isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            raise _refuse(formula, node, f"{ast.unparse(node.func)}(…)")
        if len(node.args) != 1 or node.keywords:
            raise _refuse(formula, node, f"{node.func.id} with other than one argument")
        _check(formula, node.args[0])
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not math.isfinite(node.value):
            raise _refuse(formula, node, repr(node.value))
    elif not isinstance(node, ast.Name):
        raise _refuse(formula, node, ast.unparse(node))


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """The summands; a difference belongs to one term, so that "WT + AGE - 40" is WT and (AGE - 40)."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _terms(node.left)
        yield from _terms(node.right)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        *before, last = _terms(node.left)
        yield from before
        yield ast.BinOp(last, node.op, node.right, lineno=node.lineno, col_offset=last.col_offset)
    else:
        yield node


def _spelled(node: ast.expr) -> str:
    text = ast.unparse(node).replace(" ", "")
    return f"({text})" if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) else text


def _is_categorical(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"


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
    if len(formula) > _MAX_LENGTH:
        raise ModelError(f"A covariate formula is at most {_MAX_LENGTH} characters long, got {len(formula)}.")
    try:
        tree = ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        at = getattr(error, "offset", None) or 1
        raise ModelError(
            f"Covariate formula: cannot be read.\n    {formula}\n    {' ' * (at - 1)}^\n"
            "It is a sum of terms such as 'log(WT/70) + C(SEX)'."
        ) from None
    terms = []
    for node in _terms(tree):
        if _is_categorical(node):
            assert isinstance(node, ast.Call)
            if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
                raise _refuse(formula, node, "C(…) of anything but one column")
        else:
            _check(formula, node)
        text = _spelled(node)
        taken = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in (*FUNCTIONS, "C")]
        called = [n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        if len(taken) > len(called):
            raise _refuse(formula, node, "a column named like a function; rename the column. It")
        if not columns_of(text):
            raise _refuse(formula, node, f"{text}, a constant (the typical value is there anyway),")
        terms.append(text)
    return tuple(terms)


class _Floats(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        assert isinstance(node.value, int | float)
        return ast.Constant(float(node.value))


def columns_of(term: str) -> tuple[str, ...]:
    """Names of the data columns that a checked term uses."""
    nodes = [node for node in ast.walk(ast.parse(term, mode="eval")) if isinstance(node, ast.Name)]
    nodes.sort(key=lambda node: node.col_offset)
    return tuple(dict.fromkeys(node.id for node in nodes if node.id not in FUNCTIONS and node.id != "C"))


def design_columns(term: str, records: pd.DataFrame) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Build the columns of the design matrix that a term makes.

    Parameters
    ----------
    term : str
        One checked term.
    records : DataFrame
        The covariates, one row per record.

    Returns
    -------
    values : float64[records, columns]
    labels : tuple of str
        One per column: the term itself, or the term with the level of the category, as in "C(SEX)[M]".

    Raises
    ------
    ModelError
        If the term is not finite on some record, or a category has a single level.
    """
    from formulaic import model_matrix

    node = ast.parse(term, mode="eval").body
    categorical = _is_categorical(node)
    names = columns_of(term)
    if not categorical:
        text = [name for name in names if not np.issubdtype(np.asarray(records[name]).dtype, np.number)]
        text = [name for name in text if np.asarray(records[name]).dtype != bool]
        if text:
            raise ModelError(f"Covariate term {term!r}: {', '.join(text)} is text, not numbers; use C({text[0]}).")
    floats = ast.unparse(_Floats().visit(node))  # powers of whole numbers could fill the memory
    formula = f"1 + {term}" if categorical else f"0 + {{{floats}}}"
    try:
        with np.errstate(all="ignore"):
            matrix = model_matrix(formula, records[list(names)], context=FUNCTIONS | {}, na_action="ignore")
    except Exception as error:  # whatever formulaic cannot evaluate is a fault of the formula or of its columns
        raise ModelError(f"Covariate term {term!r} cannot be computed from the data: {error}") from error
    values = np.asarray(matrix, dtype=float)
    labels: Iterable[str] = (term,)
    if categorical:
        values = values[:, 1:]
        labels = [str(name).split("[T.")[-1].rstrip("]") for name in matrix.columns[1:]]
        labels = [f"{term}[{label}]" for label in labels]
        if values.shape[1] == 0:
            raise ModelError(f"Covariate term {term!r}: the column has a single level, there is nothing to estimate.")
    labels = tuple(labels)
    if values.shape[1] != len(labels):
        raise ModelError(f"Covariate term {term!r} makes {values.shape[1]} columns instead of {len(labels)}.")
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        first = records.loc[bad, list(names)].iloc[0].to_dict()
        raise ModelError(
            f"Covariate term {term!r} is not a number on {int(bad.sum())} of {len(bad)} records "
            f"(the first has {', '.join(f'{k}={v!r}' for k, v in first.items())})."
        )
    return values, labels
