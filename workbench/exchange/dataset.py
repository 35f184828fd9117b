"""The data of a control stream, as $DATA and $INPUT say: numbers by column, and which records are left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.checks import file_at
from workbench.errors import FileError
from workbench.exchange.initial import Lines, Refused

if TYPE_CHECKING:
    import pandas as pd

_MOST_BYTES = 500_000_000
_RESERVED = ("ID", "L1", "L2", "DV", "MDV", "RAW_", "MRG_", "RPT_", "TIME", "DATE", "DAT1", "DAT2", "DAT3", "EVID",
             "AMT", "RATE", "SS", "II", "ADDL", "CMT", "PCMT", "CALL", "CONT")  # fmt: skip
_DROPS = ("DROP", "SKIP")
_COMPARES: dict[str, Any] = {
    "EQN": np.equal, "NEN": np.not_equal, "LT": np.less, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
}  # fmt: skip
_SIGNS = {"==": "EQ", "=": "EQ", "/=": "NE", "<": "LT", "<=": "LE", ">": "GT", ">=": "GE"}
_CONDITION = re.compile(
    r"([A-Za-z_]\w*)\s*(?:\.\s*(EQN?|NEN?|LT|LE|GT|GE)\s*\.|(==|/=|<=|>=|<|>|=)|\s)\s*(\"[^\"]*\"|'[^']*'|[^\s\"',;()=]+)",
    re.IGNORECASE | re.ASCII,
)
_HARMLESS = ("WIDE", "NOWIDE", "CHECKOUT", "REWIND", "NOREWIND", "NOOPEN", "LRECL", "BLANKOK", "LAST20")


@dataclass(frozen=True)
class Condition:
    """A condition on a column: "EQ" and "NE" compare text, all others numbers."""

    column: str
    sign: str
    value: str


@dataclass(frozen=True)
class Columns:
    """Of $INPUT: names, whether each is dropped, and the reserved name of columns that have two, by the other."""

    names: tuple[str, ...]
    dropped: tuple[bool, ...]
    synonyms: Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """What $DATA says: the file, its line, the character of records that are left out, conditions, and NULL."""

    name: str
    line: int
    character: str | None
    ignored: tuple[Condition, ...]
    accepted: tuple[Condition, ...]
    null: float


def columns_of(lines: Lines, refused: Refused) -> Columns:
    """What $INPUT says."""
    names: list[str] = []
    dropped: list[bool] = []
    synonyms: dict[str, str] = {}
    for line, text in _joined(lines):
        words = re.findall(r"=|[^\s=,]+", text.upper())
        at = 0
        while at < len(words):
            if words[at] == "=":
                refused.append((line, "$INPUT with an = that nothing stands before"))
                at += 1
                continue
            pair = [words[at]]
            if words[at + 1 : at + 2] == ["="] and at + 2 < len(words):
                pair.append(words[at + 2])
                at += 2
            at += 1
            drop = any(word in _DROPS for word in pair)
            kept = [word for word in pair if word not in _DROPS] or ["DROP"]
            name = next((word for word in kept if word in _RESERVED), kept[0])
            for other in kept:
                if other != name and not drop:
                    synonyms[other] = name
            if name in names and not drop and not dropped[names.index(name)]:
                refused.append((line, f"$INPUT with {name} twice"))
            names.append(name)
            dropped.append(drop)
    return Columns(tuple(names), tuple(dropped), synonyms)


def _joined(lines: Lines) -> list[tuple[int, str]]:
    return [(line, text.partition(";")[0].replace("&", " ")) for line, text in lines]


def source_of(lines: Lines, refused: Refused) -> Source | None:
    """What $DATA says."""
    rows = _joined(lines)
    text = "\n".join(text for _, text in rows)
    first = rows[0][0]
    line = next((n for n, t in rows if t.strip()), first)

    def here(at: int) -> int:
        return first + text.count("\n", 0, at)

    found = re.compile(r"\s*(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s\"',;()=]+))").match(text)
    if found is None:
        refused.append((line, "$DATA without a file"))
        return None
    name = next(part for part in found.groups() if part is not None)
    if name == "*":
        refused.append((line, "$DATA *, the data of the problem before"))
    character: str | None = None
    conditions: dict[str, list[Condition]] = {"IGNORE": [], "ACCEPT": []}
    null, at = 0.0, found.end()
    while at < len(text):
        if text[at].isspace() or text[at] == ",":
            at += 1
            continue
        option = re.compile(r"(\w+)\s*(=\s*)?", re.ASCII).match(text, at)
        if option is None:
            end = _bracket(text, at)
            refused.append((here(at), f"$DATA {text[at:end][:40]}"))
            at = end
            continue
        begun, word, at = at, option.group(1).upper(), option.end()
        kind = next((k for k in conditions if len(word) >= 3 and k.startswith(word)), None)
        if kind is not None and text[at : at + 1] == "(":
            end = _bracket(text, at)
            conditions[kind] += _conditions(text[at:end], here(begun), word, refused)
            at = end
        elif kind == "IGNORE" and (given := re.compile(r"\"(.)\"|'(.)'|([^\s'\"])").match(text, at)) is not None:
            character = next(part for part in given.groups() if part is not None)
            at = given.end()
        else:
            value = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[^\s,()]*").match(text, at if option.group(2) else len(text))
            given_value = value.group() if value is not None else ""
            at += len(given_value)
            if len(word) >= 3 and "NULL".startswith(word) and re.fullmatch(r"[+-]?\d+\.?\d*|\.", given_value):
                null = 0.0 if given_value == "." else float(given_value)
            elif not any(len(word) >= 3 and known.startswith(word) for known in _HARMLESS):
                refused.append((here(begun), f"$DATA {word} {given_value}".rstrip()))
                at = _bracket(text, at) if text[at : at + 1] == "(" else at
    return Source(name, line, character, tuple(conditions["IGNORE"]), tuple(conditions["ACCEPT"]), null)


def _bracket(text: str, at: int) -> int:
    """Behind the bracket that opens at `at`; of other characters, behind the word."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth <= 0 and (text[i] == ")" or text[i].isspace()):
            return i + 1
    return len(text)


def _conditions(text: str, line: int, word: str, refused: Refused) -> list[Condition]:
    """The conditions of a list, whose brackets within mean nothing: any of them will do."""
    made = []
    for part in re.split(r",(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)", text):
        shown = part.strip().strip("()").strip()
        if not shown:
            continue
        found = _CONDITION.fullmatch(shown)
        if found is None:
            refused.append((line, f"$DATA {word} ({shown[:40]})"))
            continue
        sign = (found.group(2) or _SIGNS.get(found.group(3) or "=", "EQ")).upper()
        made.append(Condition(found.group(1).upper(), sign, found.group(4).strip("'\"")))
    return made


def data_of(
    source: Source, columns: Columns, stream: Path, given: Path | None, left_out: list[str]
) -> tuple[pd.DataFrame, Path]:
    """The records that are not left out, every column a number; of columns that are dropped nothing.

    Parameters
    ----------
    source : Source
    columns : Columns
    stream : Path
        The control stream.
    given : Path, optional
        The file, if it is not where $DATA says.
    left_out : list of str
        What is in the file but not read is put to it.

    Raises
    ------
    FileError
        If the file is not there, or is not what $INPUT says.
    """
    place = file_at(given or stream.parent / source.name.replace("\\", "/"))
    if not place.is_file():
        raise FileError(
            f"{stream.name} needs the data file {source.name} (line {source.line}), and there is no {place}. "
            "Put it there, or name it: read_nonmem(path, data=…)."
        )
    _check(columns, place, stream.name, left_out)
    try:
        from pharmpy.model.external.nonmem.dataset import read_nonmem_df
    except ImportError as error:
        raise FileError(
            "The data of control streams are read with the help of pharmpy: pip install 'nlme-workbench[nonmem]', "
            "or pip install pharmpy-core."
        ) from error
    names = [f"_DROP{i}" if drop else n for i, (n, drop) in enumerate(zip(columns.names, columns.dropped, strict=True))]
    try:
        cells = read_nonmem_df(place, False, source.character, names)
    except Exception as error:  # whatever is wrong with the file
        said = f"{type(error).__name__}: {error}"
        raise FileError(f"{place.name} cannot be read as $DATA and $INPUT say: {said}") from error
    cells = cells.iloc[:, : len(names)].astype(str).apply(lambda column: column.str.strip())
    keep = np.ones(len(cells), dtype=bool)
    if source.ignored:
        keep &= ~np.any([_holds(c, cells, columns, source, stream.name) for c in source.ignored], axis=0)
    if source.accepted:  # any of them will do
        keep &= np.any([_holds(c, cells, columns, source, stream.name) for c in source.accepted], axis=0)
    cells = cells[keep].reset_index(drop=True)
    if cells.empty:
        raise FileError(f"{place.name}: IGNORE and ACCEPT of {stream.name} leave no record.")
    kept = [name for name, drop in zip(columns.names, columns.dropped, strict=True) if not drop]
    numbers = {name: _numbers(cells[name], source.null, place.name) for name in kept}
    return type(cells)(numbers), place


def _holds(c: Condition, cells: pd.DataFrame, columns: Columns, source: Source, stream: str) -> NDArray[np.bool_]:
    name = columns.synonyms.get(c.column, c.column)
    if name not in columns.names:
        raise FileError(f"{stream}: $DATA asks for {c.column} (line {source.line}), which $INPUT does not name.")
    column = cells.iloc[:, columns.names.index(name)]
    if c.sign in ("EQ", "NE"):
        equal: NDArray[np.bool_] = column.to_numpy() == c.value
        return equal if c.sign == "EQ" else ~equal
    try:
        wanted = _number(c.value, source.null)
    except ValueError:
        raise FileError(f"{stream}: $DATA compares {c.column} with {c.value!r}, which is no number.") from None
    compared: NDArray[np.bool_] = _COMPARES[c.sign](_numbers(column, source.null, source.name), wanted)
    return compared


def _numbers(column: pd.Series[str], null: float, name: str) -> NDArray[np.float64]:
    known: dict[str, float] = {}
    for cell in set(column):
        try:
            known[cell] = _number(cell, null)
        except ValueError:
            what = "a date or a clock time" if re.search(r"\d[:/]\d", cell) else "no number"
            raise FileError(
                f"{name}: {cell[:40]!r} in the column {column.name} is {what}, which is not read."
            ) from None
    return np.array([known[cell] for cell in column])


def _number(cell: str, null: float) -> float:
    """As Fortran reads it; what is empty is NULL."""
    if cell in ("", ".", "nan", "None", "<NA>"):
        return null
    if re.fullmatch(r"[+-]", cell):
        return 0.0
    text = re.sub(r"(?<=[\d.])[DdEe]?([+-])(?=\d)", r"e\1", cell)
    text = re.sub(r"(?<=[\d.])[Dd](?=\d)", "e", text)
    if not re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", text, re.ASCII):
        raise ValueError(cell)
    return float(text)


def _check(columns: Columns, place: Path, stream: str, left_out: list[str]) -> None:
    if place.stat().st_size > _MOST_BYTES:
        raise FileError(f"{place} has {place.stat().st_size:,} bytes; at most {_MOST_BYTES:,} are read.")
    with place.open(encoding="utf-8", errors="replace") as file:
        text = file.read(20_000)
    rows = [line.strip() for line in text.splitlines()[:50] if re.match(r"^[\s,]*[\d.+-]", line)]
    cells = [len(re.split(r"[,\t]| +", row)) for row in rows[:-1] or rows]
    wanted = len(columns.names)
    if cells and min(cells) < wanted and "," in text[:5000]:
        raise FileError(
            f"{place.name} has {min(cells)} columns, but $INPUT of {stream} names {wanted}: {', '.join(columns.names)}."
        )
    if cells and min(cells) > wanted:
        left_out.append(f"{min(cells) - wanted} columns of {place.name} beyond those of $INPUT")
