"""Values as what JSON holds: numbers, text, lists and mappings. Nothing is evaluated on the way back.

JSON has no NaN and no infinity: NaN is null, infinities are the texts "inf" and "-inf".
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import FileError

SCHEMA = 1  # of what is written; a file of a later one is refused in words
LARGEST = 48_000_000  # bytes that are read unless more are allowed
_NESTED = 2_000_000  # lists and mappings in a file

Numbers = Callable[[Any], Any]  # how arrays are written
_KINDS = {"<f8": np.dtype("<f8"), "<i8": np.dtype("<i8"), "|b1": np.dtype("|b1")}


def number(value: float) -> float | str | None:
    """A number; null where there is none."""
    value = float(value)
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)


def numbers(values: Any) -> Any:
    """An array as lists in lists."""
    array = np.asarray(values)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    return [numbers(row) for row in array] if array.ndim > 1 else [number(value) for value in array.tolist()]


def packed(values: Any) -> Any:
    """An array as its bytes in text: exact, and quick to read."""
    array = np.asarray(values)
    kind = "<f8" if array.dtype.kind == "f" else "|b1" if array.dtype.kind == "b" else "<i8"
    content = base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode("ascii")
    return {"dtype": kind, "shape": list(array.shape), "base64": content}


def array(written: Any, shape: tuple[int, ...] | None = None, dtype: type = float) -> NDArray[Any]:
    """The array that `numbers` or `packed` wrote.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it is none, or not of that shape (-1: any length).
    """
    if isinstance(written, dict):
        content = base64.b64decode(written["base64"], validate=True)
        made: NDArray[Any] = (
            np.frombuffer(content, dtype=_KINDS[written["dtype"]]).reshape(written["shape"]).astype(dtype)
        )
    else:
        made = np.array(written, dtype=dtype)
    if shape is None:
        return made
    if made.size == 0 and 0 in shape:
        return made.reshape([0 if n < 0 else n for n in shape])
    if made.ndim != len(shape) or any(n not in (-1, m) for n, m in zip(shape, made.shape, strict=True)):
        raise ValueError(f"an array of the shape {made.shape} where {shape} is needed")
    return made


def plain_scalar(value: Any) -> Any:
    """A label, a cell or an option; what JSON does not know is marked by its kind.

    Examples
    --------
    >>> plain_scalar((1, "a", None)), plain_scalar(float("inf"))
    ({'tuple': [1, 'a', None]}, {'number': 'inf'})
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value) if type(value) is str else {"name": str(value)}  # a name that stands without quotes
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, tuple | list | set | frozenset):
        items = [plain_scalar(item) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        return {"pairs": [[plain_scalar(key), plain_scalar(item)] for key, item in value.items()]}
    if hasattr(value, "isoformat"):
        return {"time": value.isoformat()}
    return str(value)


def scalar(written: Any, named: Callable[[str], Any] = str) -> Any:
    """The value that `plain_scalar` wrote; `named` makes a name that stands without quotes."""
    if isinstance(written, list):
        return [scalar(item, named) for item in written]
    if not isinstance(written, dict):
        return written
    ((kind, value),) = written.items()
    if kind == "tuple":
        return tuple(scalar(item, named) for item in value)
    if kind == "pairs":
        return {scalar(key, named): scalar(item, named) for key, item in value}
    if kind == "number":
        return float(value)
    if kind == "name":
        return named(str(value))
    if kind == "time":
        import pandas as pd

        return pd.Timestamp(value)
    raise ValueError(f"a value of the kind {kind!r}")


# -- files ---------------------------------------------------------------------------------------------------------


def written(record: Any) -> str:
    """A record as JSON."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read(content: bytes, what: str, largest: int = LARGEST) -> dict[str, Any]:
    """The record in a file.

    Parameters
    ----------
    content : bytes
    what : str
        What to call it in an error.
    largest : int
        Bytes that are read at most.

    Raises
    ------
    FileError
        If it is too large, no JSON, or of a later schema.
    """
    if len(content) > largest:
        raise FileError(
            f"{what} has {len(content) / 1e6:,.0f} MB; at most {largest / 1e6:,.0f} MB are read. If you trust it, "
            f"allow more: wb.load(…, largest={len(content)})."
        )
    if is_crowded(content, max(1, largest // LARGEST)):
        raise FileError(f"{what} is not a saved fit: it has millions of lists in it.")
    try:
        record = json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError, MemoryError) as error:
        raise FileError(f"{what} cannot be read as JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("schema"), int):
        raise FileError(f"{what} was not saved by workbench: it states no schema.")
    if record["schema"] > SCHEMA:
        raise FileError(
            f"{what} was saved by a later version of workbench ({version(record)}; its schema is {record['schema']}, "
            f"this one reads up to {SCHEMA}). Update workbench to open it."
        )
    return record


def is_crowded(content: bytes, times: int = 1) -> bool:
    """Whether there are so many lists and mappings that reading them would fill the memory."""
    return content.count(b"[") + content.count(b"{") > _NESTED * times


def need(record: Any, names: Iterable[str], what: str) -> None:
    """Refuse a record that lacks something."""
    lacking = [name for name in names if not isinstance(record, dict) or name not in record]
    if lacking:
        raise FileError(f"{what} is damaged or incomplete: {', '.join(lacking)} is missing.")


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def version(record: dict[str, Any]) -> str:
    """The version of workbench that wrote a record."""
    versions = record.get("versions")
    return str(versions.get("workbench", "?"))[:20] if isinstance(versions, dict) else "?"
