"""What an argument may be, checked once and refused in one form of sentence: what was got, what is needed.

Each function returns the value as the code behind it wants it, and takes the class of the error to raise.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from operator import index
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from workbench.errors import FileError, FitError, ModelError, WorkbenchError

T = TypeVar("T")
Raised = type[WorkbenchError]


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number of whatever type of integer; a truth value is none."""
    try:
        index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool)


def whole(name: str, value: object, least: int = 0, error: Raised = ModelError) -> int:
    """A whole number, of whatever type of integer.

    Raises
    ------
    WorkbenchError
        If it is none (truth values are none), or less than `least`.
    """
    if not is_whole(value) or index(value) < least:
        raise error(f"{name}={value!r}; a whole number, {least} or more, is needed.")
    return index(value)


def several_whole(name: str, value: object, least: int = 1, error: Raised = ModelError) -> list[int]:
    """A whole number, or a sequence of them.

    Raises
    ------
    WorkbenchError
        If one of them is none or less than `least`, or there is none at all.
    """
    given: list[object] = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    try:
        if given:
            return [whole(name, one, least, error) for one in given]
    except error:
        pass
    raise error(f"{name}={value!r}; a whole number, {least} or more, is needed, or several.")


def file_at(path: str | os.PathLike[str], error: Raised = FileError) -> Path:
    """A path at which there is a file, or could be one.

    Raises
    ------
    WorkbenchError
        If no file can be called that, or one may not even look.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as refused:
        said = refused.strerror if isinstance(refused, OSError) else None
        raise error(f"{os.fspath(path)[:200]!r} names no file: {said or refused}.") from None
    return Path(path)


def is_number(value: object) -> bool:
    """Whether it is a number of whatever type: neither text nor a truth value."""
    return not isinstance(value, str | bool) and not math.isnan(_as_float(value))


def finite(value: object, what: str, error: Raised = ModelError) -> float:
    """A finite number as a float, without a minus zero.

    Raises
    ------
    WorkbenchError
        That names `what`, if it is no finite number (truth values are none).
    """
    number = _as_float(value)
    if not math.isfinite(number):
        raise error(f"{what} is {value!r}; a finite number is needed.")
    return number + 0.0


def positive(name: str, value: object, error: Raised = ModelError) -> float:
    """A finite number above 0.

    Raises
    ------
    WorkbenchError
    """
    number = math.nan if isinstance(value, str) else _as_float(value)
    if not 0 < number < math.inf:
        raise error(f"{name}={value!r}; a positive number is needed.")
    return number


def share(name: str, value: object, usual: float, *, ends: bool = False, error: Raised = ModelError) -> float:
    """A number between 0 and 1, such as a level or a p.

    Parameters
    ----------
    name : str
    value : object
    usual : float
        What the message gives as an example.
    ends : bool
        0 and 1 are allowed too.
    error : type

    Raises
    ------
    WorkbenchError
    """
    number = math.nan if isinstance(value, str) else _as_float(value)
    if not (0 <= number <= 1 if ends else 0 < number < 1):
        raise error(f"{name}={value!r}; a number between 0 and 1 is needed, such as {usual:g}.")
    return number


def flag(name: str, value: object, error: Raised = ModelError) -> bool:
    """True or False.

    Raises
    ------
    WorkbenchError
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise error(f"{name}={value!r}; allowed are True and False.")
    return bool(value)


def one_of(name: str, value: object, allowed: Sequence[T], error: Raised = ModelError) -> T:
    """One of the values that are allowed (1, 1.0 and True are not the same).

    Raises
    ------
    WorkbenchError
        That lists them.
    """
    for choice in allowed:
        if (type(value) is type(choice) or (isinstance(value, str) and isinstance(choice, str))) and value == choice:
            return choice
    raise error(f"{name}={value!r}; allowed are {listed(allowed)}.")


def names_out_of(value: object, allowed: Sequence[str], all_of: Sequence[str]) -> tuple[str, ...] | None:
    """Names that are given as one, as several, or as True for all that are usually meant; None where one is unknown.

    Parameters
    ----------
    value : object
        True, False, None, a name, or an iterable of names.
    allowed : sequence of str
    all_of : sequence of str
        What True stands for.
    """
    if value is None or isinstance(value, bool):
        return tuple(all_of) if value else ()
    names: tuple[Any, ...] = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    return names if all(name in allowed for name in names) else None


def jobs(value: object) -> int | None:
    """How many pieces of work run at the same time: None for the usual, -1 for all cores.

    Raises
    ------
    FitError
    """
    if value is None:
        return None
    if not is_whole(value) or not (index(value) >= 1 or index(value) == -1):
        raise FitError(f"jobs={value!r}; a whole number, 1 or more, is needed, or -1 for all cores.")
    return index(value)


def listed(values: Iterable[object]) -> str:
    """Values as a message lists them."""
    texts = [repr(value) for value in values]
    return (" and " if len(texts) == 2 else ", ").join(texts)


def _as_float(value: Any) -> float:
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
