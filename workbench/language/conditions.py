"""Conditions on rows, as text: read against a list of what is allowed, never evaluated as Python."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import DataError, Fault
from workbench.language.dialects import CONDITIONS
from workbench.language.reading import Source, read_typed
from workbench.language.tree import COMPARISONS, Apply, Expression, Listing, Name, Number, Text, spelled

if TYPE_CHECKING:
    import pandas as pd

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod,
}  # fmt: skip
_TRUTHS = {"True": True, "False": False}


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
    tree = read_typed(_Condition(condition.strip(), "the condition"), CONDITIONS)
    try:
        with np.errstate(all="ignore"):
            result = _Rows(condition, frame).value(tree)
    except (ValueError, TypeError, RecursionError, MemoryError, OverflowError, ZeroDivisionError) as error:
        if isinstance(error, DataError):
            raise
        raise _refused(condition, f"it cannot be computed: {error}") from None
    values = np.asarray(result)
    if values.dtype != bool:
        raise _refused(condition, "it is not true or false for each row")
    return np.array(np.broadcast_to(values, len(frame)))


def _refused(condition: Any, reason: str) -> DataError:
    return DataError(Fault(f"{reason}; allowed: {CONDITIONS.allowed}"), f"the condition {condition!r}")


@dataclass(frozen=True)
class _Condition(Source):
    """A condition as a text whose faults are faults of the request for data."""

    def error(self, at: int, message: str, mend: str = "") -> DataError:
        """A DataError that says at which character it is."""
        return _refused(self.text, f"it cannot be read at character {at + 1}: {message.removesuffix('.')}")


class _Rows:
    """Values of a condition and its parts on the rows of a frame."""

    def __init__(self, condition: str, frame: pd.DataFrame):
        self.condition, self.frame = condition, frame

    def value(self, tree: Expression) -> Any:
        match tree:
            case Number():
                return int(tree.text) if tree.text.isdecimal() else tree.value
            case Text():
                return tree.text
            case Name(name):
                return _TRUTHS[name] if name in _TRUTHS else self.column(name)
            case Listing(items):
                return [self.constant(item) for item in items]
            case Apply(("or" | "and") as word, parts):
                join = np.logical_and if word == "and" else np.logical_or
                return join.reduce([np.broadcast_to(self.truth(part), len(self.frame)) for part in parts])
            case Apply("&", (left, right)):
                return self.truth(left) & self.truth(right)
            case Apply("|", (left, right)):
                return self.truth(left) | self.truth(right)
            case Apply("not" | "~", (part,)):
                return np.logical_not(self.truth(part))
            case Apply("neg", (part,)):
                return -self.number(part)
            case Apply("pos", (part,)):
                return self.number(part)
            case Apply(sign, (left, right)) if sign in _ARITHMETIC:
                return _ARITHMETIC[sign](self.number(left), self.number(right))
            case Apply(("in" | "not in") as word, (left, right)):
                found = self.among(left, right)
                return ~found if word == "not in" else found
            case Apply(sign, (left, right)) if sign in COMPARISONS:
                first, second = self.value(left), self.value(right)
                self.comparable(first, second, right)
                compare: Callable[[Any, Any], Any] = COMPARISONS[sign]
                return np.asarray(compare(first, second), dtype=bool)
            case Apply("missing", (Name(name),)):
                from pandas import isna

                return isna(self.column(name))
        raise _refused(self.condition, f"{spelled(tree)!r} is not allowed")

    def column(self, name: str) -> NDArray[Any]:
        for column in self.frame.columns:
            if str(column) == name:
                return np.asarray(self.frame[column].to_numpy())
        have = ", ".join(map(str, self.frame.columns))
        raise _refused(self.condition, f"there is no column {name!r}, there are {have}")

    def constant(self, tree: Expression) -> Any:
        value = self.value(tree)
        if isinstance(value, list | np.ndarray):
            raise _refused(self.condition, f"{spelled(tree)!r} is not a number or label")
        return value

    def truth(self, tree: Expression) -> Any:
        value = self.value(tree)
        if np.asarray(value).dtype != bool:
            raise _refused(self.condition, f"{spelled(tree)!r} is not true or false")
        return value

    def number(self, tree: Expression) -> Any:
        value = self.value(tree)
        if not np.issubdtype(np.asarray(value).dtype, np.number):
            raise _refused(self.condition, f"{spelled(tree)!r} is not a number")
        return np.asarray(value, dtype=float) if isinstance(value, np.ndarray) else float(value)

    def among(self, left: Expression, right: Expression) -> NDArray[np.bool_]:
        first, second = self.value(left), self.value(right)
        if not isinstance(second, list):
            raise _refused(self.condition, f"in needs a list, got {spelled(right)!r}")
        for item in second:
            self.comparable(first, item, right)
        return np.isin(first, second) if second else np.zeros(np.shape(first), dtype=bool)

    def comparable(self, first: Any, second: Any, tree: Expression) -> None:
        if isinstance(first, list) or isinstance(second, list):
            raise _refused(self.condition, "a list can only follow `in`")
        if _is_text(first) != _is_text(second):
            kinds = ["text" if _is_text(value) else "numbers" for value in (first, second)]
            raise _refused(self.condition, f"{kinds[0]} and {kinds[1]} are compared, at {spelled(tree)!r}")


def _is_text(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return any(isinstance(cell, str) for cell in value)
    return isinstance(value, str)
