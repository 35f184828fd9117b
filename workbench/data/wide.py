"""Wide tables, with subjects, times or responses across: recognised, and stacked on request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.layout import said
from workbench.data.names import BESIDE_RESPONSE, RESPONSE_LIKE, SYNONYMS, bare, plain
from workbench.data.tabular import Table
from workbench.data.units import looks_like_unit, tidied
from workbench.errors import DataError, Fault

_TIME = re.compile(
    r"(?:conc|dv|cp|time|hour|hr|day|week|visit|t|x|h|d|w|c|y)?[\s_.:=-]*(\d+(?:[.,]\d+)?)\s*_?([a-z]*)", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?P<stem>[^\W\d]*?[a-z_ .\-#]*?)[\s_.\-#]*(\d+)", re.IGNORECASE)
_OF_SUBJECTS = frozenset((
    "s", "subj", "subject", "id", "patient", "pat", "pt", "p", "rat", "r", "mouse", "m", "dog", "animal", "a",
    "volunteer", "v", "individual", "ind", "n",
)) | {""}  # fmt: skip


@dataclass(frozen=True)
class Wide:
    """What lies across: the columns to stack, and those beside them."""

    mend: str
    stacked: tuple[str, ...]
    beside: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Stack:
    """A mend of the table as such, before its columns have roles."""

    text: str
    make: Callable[[pd.DataFrame, tuple[str, ...], tuple[str, ...]], tuple[pd.DataFrame, dict[str, str]]]


def recognised(frame: pd.DataFrame, roles: Mapping[str, Any]) -> list[Wide]:
    """The ways in which a table may be wide; best first, empty where it does not look so."""
    numeric = [c for c in frame.columns if _numeric(frame[c])]
    named = {role: c for role, c in roles.items() if isinstance(c, str)}
    other = [c for c in numeric if c not in named.values() and not _known(c)]
    found: list[Wide] = []
    if "response" not in named and len(other) >= 2:
        times = _times(other)
        beside = tuple(c for c in frame.columns if c not in times)
        if len(times) >= 3 and "time" not in named and beside:
            size = frame[named["subject"]].nunique() if "subject" in named else len(frame)
            message = f"this looks wide: {size} subjects × {len(times)} times, the times across"
            found.append(Wide("stack_times", tuple(times), beside, message))
        if "time" in named and "subject" not in named:
            alike = _alike(other)
            across = alike or other
            beside = tuple(c for c in frame.columns if c not in across)
            rows = frame[named["time"]].nunique()
            words = "the subjects across" if alike else "subjects or responses across"
            message = f"this looks wide: {len(across)} subjects × {rows} times, {words}"
            found.append(Wide("stack_subjects", tuple(across), beside, message))
        if "time" in named and "subject" in named:
            varying = [c for c in other if _changes(frame, named["subject"], c)]
            if len(varying) >= 2:
                beside = tuple(c for c in frame.columns if c not in varying)
                message = f"this looks wide: {len(varying)} responses across ({', '.join(varying[:4])})"
                found.append(Wide("stack_responses", tuple(varying), beside, message))
    return found or _more_responses(frame, named, other)


def _more_responses(frame: pd.DataFrame, named: Mapping[str, str], other: list[str]) -> list[Wide]:
    """Columns named like the response, beside it."""
    response = named.get("response")
    if response is None or "subject" not in named or "response_id" in named:
        return []
    stem = re.sub(r"\d+$", "", plain(response))
    stems = {stem, "dv", "conc", "cp"} if len(stem) > 1 else {"dv", "conc"}
    like = [
        c for c in other
        if (any(plain(c).startswith(s) and plain(c) != s for s in stems) or plain(c) in RESPONSE_LIKE)
        and plain(c) not in BESIDE_RESPONSE
        and _changes(frame, named["subject"], c)
    ]  # fmt: skip
    if not like:
        return []
    across = (response, *like)
    verbs = ("looks like a further response", "is read as a covariate") if len(like) == 1 else (
        "look like further responses", "are read as covariates")  # fmt: skip
    message = f"{', '.join(like)} {verbs[0]} beside {response}, but {verbs[1]}"
    return [Wide("stack_responses", across, tuple(c for c in frame.columns if c not in across), message)]


def stacked(table: Table, mend: str, roles: Mapping[str, Any]) -> Table:
    """The table with a row per measurement. Raises DataError where it does not look wide in that way."""
    ways = {wide.mend: wide for wide in recognised(table.frame, roles)}
    if mend not in ways:
        raise DataError(Fault(f"{mend}: the table does not look wide in that way"), table.name)
    wide = ways[mend]
    frame, units = STACKS[mend].make(table.frame, wide.stacked, wide.beside)
    empty = int(table.frame[list(wide.stacked)].isna().to_numpy().sum()) if mend != "stack_responses" else 0
    left = f"; {empty} empty cells left out" if empty else ""
    remark = said("table stacked", f"{wide.message}: stacked to {len(frame)} rows{left}", ())
    return replace(table, frame=frame, units={**table.units, **units}, remarks=(*table.remarks, remark))


def _stack_times(
    frame: pd.DataFrame, across: tuple[str, ...], beside: tuple[str, ...]
) -> tuple[pd.DataFrame, dict[str, str]]:
    times = _times(list(across))
    made = _melted(frame, across, beside, "TIME", "DV")
    made["TIME"] = made["TIME"].map(times)
    units = {unit for c in across if (unit := _unit(c))}
    return _renumbered(made), ({"TIME": units.pop()} if len(units) == 1 else {})


def _stack_subjects(
    frame: pd.DataFrame, across: tuple[str, ...], beside: tuple[str, ...]
) -> tuple[pd.DataFrame, dict[str, str]]:
    made = _melted(frame, across, beside, "ID", "DV")
    order = {name: k for k, name in enumerate(across)}
    return _renumbered(made.sort_values("ID", key=lambda v: v.map(order), kind="stable")), {}


def _stack_responses(
    frame: pd.DataFrame, across: tuple[str, ...], beside: tuple[str, ...]
) -> tuple[pd.DataFrame, dict[str, str]]:
    label, value = _new(beside, "DVID"), _new(beside, "DV")
    pieces = []
    for k, name in enumerate(across):
        piece = frame[list(beside)].copy()
        piece[label], piece[value], piece["\0"], piece["\1"] = name, frame[name], np.arange(len(frame)), k
        pieces.append(piece)
    made = pd.concat(pieces).sort_values(["\0", "\1"], kind="stable")
    made = made[made[value].notna() | (made["\1"] == 0)]  # a row without any response stays once: a dose
    for column in [c for c in beside if plain(c) in SYNONYMS["amount"]]:
        made[column] = made[column].where(~made.duplicated("\0"))
    return _renumbered(made.drop(columns=["\0", "\1"])), {}


STACKS = {
    "stack_times": Stack("one row per subject and time", _stack_times),
    "stack_subjects": Stack("one row per subject and time", _stack_subjects),
    "stack_responses": Stack("one row per response", _stack_responses),
}
"""Mends of the table as such, by name."""


def _melted(
    frame: pd.DataFrame, across: tuple[str, ...], beside: tuple[str, ...], name: str, value: str
) -> pd.DataFrame:
    key, value = _new(beside, name), _new(beside, value)
    numbered = frame.assign(**{"\0": np.arange(len(frame))})
    made = numbered.melt(id_vars=[*beside, "\0"], value_vars=list(across), var_name=key, value_name=value)
    made = made[made[value].notna()].sort_values("\0", kind="stable").drop(columns="\0")
    return made


def _renumbered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def _numeric(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _changes(frame: pd.DataFrame, subject: str, column: str) -> bool:
    """Whether a column changes within most subjects."""
    codes = pd.factorize(frame[subject])[0]
    different = pd.DataFrame({"s": codes, "v": frame[column].to_numpy()}).drop_duplicates().dropna()
    return bool((different.groupby("s").size() > 1).mean() >= 0.5)


def _known(column: str) -> bool:
    name = plain(column)
    return any(name in names for role, names in SYNONYMS.items() if role not in ("response_id", "date"))


def _times(columns: list[str]) -> dict[str, float]:
    """Time by column, for names such as "0.5", "t1", "2 h", "Day 14", where they stand in order."""
    found: dict[str, float] = {}
    for column in columns:
        match = _TIME.fullmatch(str(column).strip())
        if match and (not match[2] or looks_like_unit(match[2])):
            found[column] = float(match[1].replace(",", "."))
    values = list(found.values())
    return found if len(values) >= 3 and all(a < b for a, b in pairwise(values)) else {}


def _unit(column: str) -> str:
    match = _TIME.fullmatch(str(column).strip())
    return tidied(match[2]) if match and match[2] and looks_like_unit(match[2]) else ""


def _alike(columns: list[str]) -> list[str]:
    """Columns named like S1, S2, S3."""
    stems: dict[str, list[str]] = {}
    for column in columns:
        match = _NUMBERED.fullmatch(str(column).strip())
        if match and bare(match["stem"]) in _OF_SUBJECTS:
            stems.setdefault(bare(match["stem"]), []).append(column)
    best = max(stems.values(), key=len, default=[])
    return best if len(best) >= 2 else []


def _new(taken: tuple[str, ...], name: str) -> str:
    while name in taken:
        name += "'"
    return name
