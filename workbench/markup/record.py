"""Results as plain values for JSON, and the JSON schema that describes them; both follow from a class's own fields."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from functools import cached_property, singledispatch
from typing import Any

import numpy as np

from workbench import plain
from workbench.errors import ModelError, WorkbenchError

_TOLD = ("DataFrame", "float", "int", "bool", "str", "Array", "dict", "tuple", "NormalityTests")


@singledispatch
def as_plain(value: Any) -> Any:
    """A value as JSON has it: tables as columns and rows, models and options as the Python that makes them."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return plain.number(value)
    if isinstance(value, np.generic):
        return as_plain(value.item())
    if isinstance(value, np.ndarray):
        return plain.numbers(value) if value.dtype.kind in "fiub" else [as_plain(one) for one in value.tolist()]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, dict):
        return {_key(key): as_plain(one) for key, one in value.items()}
    if hasattr(value, "_fields"):
        return {name: as_plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, tuple | list | set | frozenset):
        return [as_plain(one) for one in value]
    if hasattr(value, "to_numpy"):
        return _table(value)
    if isinstance(value, Recorded):
        return value.to_dict()
    if repr(value).startswith("wb."):
        return repr(value)
    if dataclasses.is_dataclass(value):
        return _fields_of(value)
    return str(value)


class Recorded:
    """What has a `to_dict`: its fields, and the tables and numbers that follow from them."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which `wb.json_schema` of the class describes; NaN is None."""
        made: dict[str, Any] = {"result": type(self).__name__, "schema": plain.SCHEMA, **_fields_of(self)}
        for name in _properties(type(self)):
            if name in made:
                continue
            try:
                made[name] = as_plain(getattr(self, name))
            except WorkbenchError:
                made[name] = None  # it has none, for a reason that asking for it tells
        return made


def json_schema(kind: type) -> dict[str, Any]:
    """The JSON schema of what `to_dict` of a result gives.

    Parameters
    ----------
    kind : type
        `wb.FitResult`, `wb.Bootstrap`, … : any class whose values have `to_dict`.

    Raises
    ------
    ModelError
        If it is none of these.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.json_schema(wb.Bootstrap)["properties"]["names"]["items"]
    {'type': 'string'}
    """
    own = getattr(kind, "own_schema", None)
    if not isinstance(kind, type) or not (own or issubclass(kind, Recorded)):
        raise ModelError(f"json_schema describes classes of results, such as wb.FitResult; got {kind!r}.")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind.__name__,
            "description": (inspect.getdoc(kind) or "").split("\n")[0], "type": "object"}  # fmt: skip
    said = described(kind)
    if own is not None:
        properties = own(said)
    else:
        hints = _hints(kind)
        hints |= {name: f"{hint} | None" for name, hint in _properties(kind).items() if name not in hints}
        properties = {name: _about(schema_of(hint), said.get(name, "")) for name, hint in hints.items()}
        properties["result"] = {"type": "string", "description": "The class of the result."}
    first = {"schema": {"type": "integer", "description": "Of this form of JSON."}}
    return {**head, "properties": {**first, **properties}, "required": [*first, *properties]}


def described(kind: type) -> dict[str, str]:
    """What the docstring says of each attribute, and of each property."""
    text = inspect.getdoc(kind) or ""
    found: dict[str, str] = {}
    for names, body in re.findall(r"^([\w, ]+) : [^\n]*\n((?:    [^\n]*\n?)+)", text, re.MULTILINE):
        words = " ".join(body.split())
        found |= {name.strip(): words for name in names.split(",")}
    for name, member in inspect.getmembers(kind):
        if name not in found and isinstance(member, property | cached_property):
            found[name] = (inspect.getdoc(member) or "").split("\n\n")[0].replace("\n", " ")
    return found


NUMBER = {"type": ["number", "string", "null"], "description": "null is NaN; infinities are the texts inf and -inf"}
TABLE = {
    "type": "object",
    "properties": {
        "index": {"type": "array"}, "index_names": {"type": "array"}, "columns": {"type": "array"},
        "rows": {"type": "array", "items": {"type": "array"}},
    },
    "required": ["index", "index_names", "columns", "rows"],
}  # fmt: skip


def schema_of(hint: str) -> dict[str, Any]:
    """The schema of what a type hint stands for.

    Examples
    --------
    >>> schema_of("tuple[str, ...] | None")
    {'anyOf': [{'type': 'array', 'items': {'type': 'string'}}, {'type': 'null'}]}
    """
    parts = _split(hint, "|")
    if len(parts) > 1:
        return {"anyOf": [schema_of(part) for part in parts]}
    name, _, inside = hint.strip().partition("[")
    name, inside = name.split(".")[-1], inside.removesuffix("]")
    simple = {"str": "string", "int": "integer", "bool": "boolean", "None": "null"}
    if name in simple:
        return {"type": simple[name]}
    if name == "float":
        return dict(NUMBER)
    if name in ("DataFrame", "Series"):
        return dict(TABLE)
    if name in ("Array", "NDArray", "ndarray"):
        return {"type": "array"}
    if name in ("tuple", "list", "frozenset", "set", "Sequence", "Settings"):
        items = _split(inside, ",")
        uniform = len(items) == 1 or (len(items) == 2 and items[1].strip() == "...")
        return {"type": "array", "items": schema_of(items[0])} if inside and uniform else {"type": "array"}
    if name in ("dict", "Mapping"):
        return {"type": "object"}
    if name in ("Model", "Status", "Design", "Regimen", "Criterion"):
        return {"type": "string"}
    return {}  # another result, or a value of its own


def _split(hint: str, sign: str) -> list[str]:
    parts, depth = [""], 0
    for mark in hint:
        depth += (mark == "[") - (mark == "]")
        if mark == sign and depth == 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts]


def _about(schema: dict[str, Any], words: str) -> dict[str, Any]:
    if not words:
        return schema
    more = schema.get("description")
    return {**schema, "description": f"{words} ({more})" if more else words}


def _hints(kind: type) -> dict[str, str]:
    if not dataclasses.is_dataclass(kind):
        return {}
    return {own.name: str(own.type) for own in dataclasses.fields(kind) if _is_told(own)}


def _is_told(own: dataclasses.Field[Any]) -> bool:
    return not own.name.startswith("_") and "Callable" not in str(own.type)


def _fields_of(value: Any) -> dict[str, Any]:
    return {own.name: as_plain(getattr(value, own.name)) for own in dataclasses.fields(value) if _is_told(own)}


def _properties(kind: type) -> dict[str, str]:
    """Properties that tell something, with their types."""
    found: dict[str, str] = {}
    for owner in kind.__mro__:
        for name, member in vars(owner).items():
            function = member.fget if isinstance(member, property) else getattr(member, "func", None)
            is_property = isinstance(member, property | cached_property)
            if name.startswith("_") or not is_property or name in found:
                continue
            hint = str(getattr(function, "__annotations__", {}).get("return", ""))
            if any(word in hint for word in _TOLD) and "Callable" not in hint:
                found[name] = hint
    return found


def _table(frame: Any) -> Any:
    """A DataFrame, or a Series as one with a single column."""
    if not hasattr(frame, "columns"):
        frame = frame.to_frame()
    rows = zip(*(frame.iloc[:, k].tolist() for k in range(frame.shape[1])), strict=True)
    return {
        "index": [as_plain(label) for label in frame.index.tolist()],
        "index_names": [as_plain(name) for name in frame.index.names],
        "columns": [as_plain(name) for name in frame.columns.tolist()],
        "rows": [[as_plain(cell) for cell in row] for row in rows]
        if frame.shape[1]
        else [[] for _ in range(len(frame))],
    }


def _key(key: object) -> str:
    return key if isinstance(key, str) else " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
