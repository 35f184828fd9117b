"""Grouped data as a plain record, and back: cells, roles, units and how they came to be."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from workbench import plain
from workbench.data.content import Content
from workbench.data.grouped import RULES, GroupedData
from workbench.data.history import BareName, Step
from workbench.errors import FileError
from workbench.findings import Finding

_WHAT = "the data in this file"
_NUMBERS = {"f": "float64", "i": "int64", "u": "int64", "b": "bool"}
_TIMES = re.compile(r"(datetime64|timedelta64)\[[\w, /+-]+\]")


def about(data: GroupedData) -> dict[str, Any]:
    """What identifies data, without their records: name, hash, and the steps that made them."""
    return {
        "name": data.name,
        "hash": data.hash,
        "subjects": len(data.events.subjects),
        "observations": int(data.events.observed.sum()),
        "code": data.code(),
        "history": [
            {
                "call": step.call,
                "args": [plain.plain_scalar(arg) for arg in step.args],
                "options": [[name, plain.plain_scalar(value)] for name, value in step.options],
                "note": step.note,
            }
            for step in data.history
        ],
    }


def records(data: GroupedData, numbers: plain.Numbers = plain.numbers) -> dict[str, Any]:
    """The records themselves."""
    content = data.content
    return {
        "columns": [_column(name, content.frame[name], numbers) for name in content.frame.columns],
        "rows": _column(content.frame.index.name, content.frame.index.to_series(), numbers),
        "roles": plain.plain_scalar(content.roles),
        "units": dict(content.units),
        "covariate_rule": content.covariate_rule,
        "allow": sorted(content.allow),
        "dates": content.dates,
        "remarks": [
            {own.name: plain.plain_scalar(getattr(remark, own.name)) for own in fields(remark)}
            for remark in content.remarks
        ],
    }


def data_of(about: dict[str, Any], records: dict[str, Any]) -> GroupedData:
    """The data again, checked against their hash.

    Raises
    ------
    FileError
        If something is missing, or they are others than were saved.
    DataError
        If they have errors.
    """
    plain.need(about, ("name", "hash", "history"), _WHAT)
    plain.need(records, ("columns", "rows", "roles", "units", "covariate_rule", "allow", "remarks"), _WHAT)
    try:
        index = _series(records["rows"])
        columns = [_series(column) for column in records["columns"]]
        if any(len(column) != len(index) for column in columns):
            raise ValueError("columns of different lengths")
        frame = pd.concat([pd.Series(c.to_numpy(), name=c.name, dtype=c.dtype) for c in columns], axis=1)
        frame.index = pd.Index(index.to_numpy(), name=index.name)
        rule = records["covariate_rule"]
        if rule not in RULES:
            raise ValueError(f"covariate_rule {rule!r}")
        content = Content(
            name=str(about["name"]),
            frame=frame,
            roles=plain.scalar(records["roles"]),
            units={str(key): str(unit) for key, unit in records["units"].items()},
            covariate_rule=rule,
            allow=frozenset(map(str, records["allow"])),
            dates=records.get("dates"),
            remarks=tuple(
                Finding(**{own.name: plain.scalar(remark[own.name]) for own in fields(Finding)})
                for remark in records["remarks"]
            ),
        )
        made = GroupedData(content, history_of(about))
        made.require_sound()
        found = made.hash
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{_WHAT[0].upper()}{_WHAT[1:]} cannot be read: {error}") from None
    if found != about["hash"]:
        raise FileError(f"The data of {made.name} in this file are not those that were saved: their hash differs.")
    return made


def history_of(about: dict[str, Any]) -> tuple[Step, ...]:
    """The steps that made the data."""
    return tuple(
        Step(
            str(step["call"]),
            tuple(plain.scalar(arg, BareName) for arg in step["args"]),
            tuple((str(name), plain.scalar(value, BareName)) for name, value in step["options"]),
            str(step["note"]),
        )
        for step in about["history"]
    )


def _column(name: object, values: pd.Series[Any], numbers: plain.Numbers) -> dict[str, Any]:
    dtype = values.dtype
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, np.dtype) and kind in _NUMBERS:
        return {"name": plain.plain_scalar(name), "type": _NUMBERS[kind], "values": numbers(values.to_numpy())}
    cells = values.astype(object).where(values.notna(), None)
    known = str(dtype) if _TIMES.fullmatch(str(dtype)) else ""
    written = [plain.plain_scalar(value) for value in cells]
    return {"name": plain.plain_scalar(name), "type": known or _kind(values), "values": written}


def _kind(values: pd.Series[Any]) -> str:
    dtype = str(values.dtype)
    return dtype if dtype in ("Int64", "Float64", "boolean", "category") else "text"


def _series(column: dict[str, Any]) -> pd.Series[Any]:
    kind, written = column["type"], column["values"]
    name = plain.scalar(column["name"])
    if kind in _NUMBERS.values():
        dtypes: dict[str, type] = {"float64": float, "int64": int, "bool": bool}
        return pd.Series(plain.array(written, (-1,), dtypes[kind]), name=name)
    values = pd.Series([plain.scalar(value) for value in written], dtype=object, name=name)
    if kind in ("Int64", "Float64", "boolean", "category") or _TIMES.fullmatch(kind):
        return values.astype(kind)
    return values.infer_objects() if values.notna().any() else values
