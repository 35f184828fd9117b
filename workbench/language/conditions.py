"""Conditions on rows, as text: parsed against a list of what is allowed, never evaluated as Python."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.errors import DataError, Fault

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Mod: operator.mod,
}  # fmt: skip
_ALLOWED = "column names, numbers, 'labels', == != < <= > >= in, and or not, + - * / %, missing(column)"


def matching_rows(condition: str, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows of the frame for which the condition holds.

    Parameters
    ----------
    condition : str
        For example ``"TIME < 24 and SEX == 'F'"``, ``"ID in (1, 2)"``, ``"not missing(WT)"``. A column whose name is
        not a plain word stands in backticks: ``"`Body weight` > 70"``. A missing value fulfils no comparison
        but ``!=``.
    frame : DataFrame

    Raises
    ------
    DataError
        The condition cannot be read, names a column that is not there, or compares text with numbers.
    """
    if not isinstance(condition, str) or not condition.strip():
        raise _refused(condition, "it is not a condition")
    names: dict[str, str] = {str(column): str(column) for column in frame.columns}

    def placeholder(match: re.Match[str]) -> str:
        key = f"_column_{len(names)}"
        names[key] = match.group(1)
        return key

    text = re.sub(r"`([^`]*)`", placeholder, condition)
    try:
        with np.errstate(all="ignore"):
            result = _Reader(condition, frame, names).value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, OverflowError, ZeroDivisionError) as error:
        if isinstance(error, DataError):
            raise
        raise _refused(condition, f"it cannot be read: {error}") from None
    values = np.asarray(result)
    if values.dtype != bool:
        raise _refused(condition, "it is not true or false for each row")
    return np.array(np.broadcast_to(values, len(frame)))


def _refused(condition: Any, reason: str) -> DataError:
    return DataError(Fault(f"{reason}; allowed: {_ALLOWED}"), f"the condition {condition!r}")


class _Reader:
    def __init__(self, condition: str, frame: pd.DataFrame, names: dict[str, str]):
        self.condition, self.frame, self.names = condition, frame, names

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                return node.value
            case ast.Name(id=name):
                return self.column(name)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return [self.constant(item) for item in items]
            case ast.BoolOp(op=op, values=parts):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return join.reduce([np.broadcast_to(self.truth(part), len(self.frame)) for part in parts])
            case ast.BinOp(op=ast.BitAnd(), left=left, right=right):
                return self.truth(left) & self.truth(right)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return self.truth(left) | self.truth(right)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return np.logical_not(self.truth(operand))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.number(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.number(operand)
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](self.number(left), self.number(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self.comparison(left, ops, others)
            case ast.Call(func=ast.Name(id="missing"), args=[ast.Name(id=name)], keywords=[]):
                return pd.isna(self.column(name))
        raise _refused(self.condition, f"{ast.unparse(node)!r} is not allowed")

    def column(self, name: str) -> NDArray[Any]:
        column = self.names.get(name)
        if column not in self.frame.columns:
            have = ", ".join(map(str, self.frame.columns))
            raise _refused(self.condition, f"there is no column {column or name!r}, there are {have}")
        return self.frame[column].to_numpy()

    def constant(self, node: ast.expr) -> Any:
        value = self.value(node)
        if isinstance(value, (list, np.ndarray)):
            raise _refused(self.condition, f"{ast.unparse(node)!r} is not a number or label")
        return value

    def truth(self, node: ast.expr) -> Any:
        value = self.value(node)
        if np.asarray(value).dtype != bool:
            raise _refused(self.condition, f"{ast.unparse(node)!r} is not true or false")
        return value

    def number(self, node: ast.expr) -> Any:
        value = self.value(node)
        if not np.issubdtype(np.asarray(value).dtype, np.number):
            raise _refused(self.condition, f"{ast.unparse(node)!r} is not a number")
        return np.asarray(value, dtype=float) if isinstance(value, np.ndarray) else float(value)

    def comparison(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> Any:
        result: Any = True
        first = self.value(left)
        for op, node in zip(ops, others, strict=True):
            second = self.value(node)
            if isinstance(op, (ast.In, ast.NotIn)):
                if not isinstance(second, list):
                    raise _refused(self.condition, f"in needs a list, got {ast.unparse(node)!r}")
                for item in second:
                    self.comparable(first, item, node)
                found = np.isin(first, second) if second else np.zeros(np.shape(first), dtype=bool)
                result = result & (~found if isinstance(op, ast.NotIn) else found)
            elif type(op) in _COMPARE:
                self.comparable(first, second, node)
                result = result & np.asarray(_COMPARE[type(op)](first, second), dtype=bool)
            else:
                raise _refused(self.condition, f"{ast.unparse(node)!r} cannot be compared so")
            first = second
        return result

    def comparable(self, first: Any, second: Any, node: ast.expr) -> None:
        if isinstance(first, list) or isinstance(second, list):
            raise _refused(self.condition, "a list can only follow `in`")
        if _is_text(first) != _is_text(second):
            kinds = ["text" if _is_text(value) else "numbers" for value in (first, second)]
            raise _refused(self.condition, f"{kinds[0]} and {kinds[1]} are compared, at {ast.unparse(node)!r}")


def _is_text(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return any(isinstance(cell, str) for cell in value)
    return isinstance(value, str)
