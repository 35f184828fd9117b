"""Values below or above a limit, as people write them: "<0.05", "BLQ", flags beside the value, marks behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import Bools, Floats, plain_label, to_numbers
from workbench.data.names import RESPONSE_TEXT, bare
from workbench.findings import Finding

_NUMBER = r"(?P<number>[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)"
_BELOW_WORDS = (
    r"b\W?l\W?[oq]?\W?q\W?l?|b\W?q\W?l|bdl|bld|blod|b\.?l\.?o\.?d|bloq|blq|lloq|<\s*lloq|<\s*l\.?o\.?[qd]\.?|<\s*b\.?l\.?q|<\s*mdl"
    r"|n\.?d\.?|n\.?q\.?|n\.?n\.?|nondetect(?:ed|able)?|non-?detect(?:ed|able)?|not\s+(?:detect|quantifi)(?:ed|able)"
    r"|not\s+detectable|undetect(?:ed|able)|below(?:\s+\w+){0,5}|less\s+than(?:\s+l?loq)?|under\s+l?loq|trace"
    r"|unter(?:halb)?(?:\s+\w+){1,3}|<\s*(?:ng|bg)|nicht\s+nachweisbar|non\s+d[ée]tect[ée]e?|inf[ée]rieur\s+\w+(?:\s+\w+){0,2}|llq|<\s*llq|<"
)
_ABOVE_WORDS = r"a\W?l\W?o?\W?q|aloq|alq|>\s*uloq|>\s*aloq|uloq|above(?:\s+\w+){0,5}|greater\s+than|>"
_UNIT = r"(?:\s*[A-Za-zµμ]+(?:/[A-Za-z]+)?)?"


def _numbered(name: str) -> str:
    return _NUMBER.replace("number", name) + _UNIT


def _beyond(sign: str, words: str) -> re.Pattern[str]:
    """ "<0.05", then "BLQ" with or without its limit, then "0.05 (BLQ)"."""
    alone = rf"\s*(?:{sign})\s*=?\s*{_numbered('number')}\s*[*†]?\s*"
    worded = rf"\s*(?:{words})\s*[(:=]?\s*(?:(?:{sign})\s*)?(?:{_numbered('number2')})?\s*\)?\s*"
    behind = rf"\s*{_numbered('number3')}\s*[(]?\s*(?:{_AFTER[sign]})\s*\)?\s*"
    return re.compile("|".join((alone, worded, behind)), re.IGNORECASE)


_LESS, _MORE = "<|≤|<=|&lt;", ">|≥|>=|&gt;"
_AFTER = {_LESS: r"blq|bloq|bql|<\s*l?loq", _MORE: r"alq|aloq|>\s*uloq"}
_BELOW = _beyond(_LESS, _BELOW_WORDS)
_ABOVE = _beyond(_MORE, _ABOVE_WORDS)
_MARKED = re.compile(
    rf"\s*{_NUMBER}\s*(?P<mark>[*†‡^§#]+)\s*|\s*(?P<mark2>[*†‡^§#]+)\s*{_NUMBER.replace('number', 'number2')}\s*"
)
_YES = frozenset((
    "1", "1.0", "y", "yes", "true", "t", "ja", "oui", "x", "blq", "bloq", "bql", "below", "b", "<", "cens",
    "censored", "left", "lloq", "<lloq",
))  # fmt: skip
_NO = frozenset((
    "0", "0.0", "n", "no", "false", "f", "nein", "non", "none", "ok", "quantified", "quantifiable", "measured",
    "above", "valid", ".", "-",
)) | {""}  # fmt: skip
_RIGHT = frozenset(("-1", "-1.0", "right", "alq", "aloq", ">", "uloq"))


@dataclass(frozen=True, eq=False)
class Reported:
    """What text in a response column says, row by row.

    Attributes
    ----------
    value : float array
        The number; of a censored value its limit. NaN where none is said.
    censored : int array
        1 below `value`, -1 above it, 0 a value.
    marked : bool array
        A number with a mark such as ``*`` behind it.
    unread : bool array
        Text that is none of these.
    """

    value: Floats
    censored: Any
    marked: Bools
    unread: Bools


def reported(values: pd.Series[Any]) -> Reported:
    """Read a column of numbers and text; each different cell once."""
    codes, cells = pd.factorize(values.astype(object), use_na_sentinel=True)
    numbers, _ = to_numbers(pd.Series(cells, dtype=object))
    known = np.isfinite(numbers)
    read = [(n, 0, False, False) if k else _cell(c) for n, k, c in zip(numbers, known, cells, strict=True)]
    read.append((np.nan, 0, False, False))  # of missing cells
    value, censored, marked, unread = (np.array(part) for part in zip(*read, strict=True))
    return Reported(
        value[codes].astype(float),
        censored[codes].astype(np.int64),
        marked[codes].astype(bool),
        unread[codes].astype(bool),
    )


def _cell(cell: Any) -> tuple[float, int, bool, bool]:
    text = str(cell)
    for pattern, sign in ((_BELOW, 1), (_ABOVE, -1)):
        if found := pattern.fullmatch(text):
            given = next((g for name, g in found.groupdict().items() if name.startswith("number") and g), None)
            return (float(given.replace(",", ".")) if given else np.nan), sign, False, False
    if found := _MARKED.fullmatch(text):
        return float((found["number"] or found["number2"]).replace(",", ".")), 0, True, False
    return np.nan, 0, False, True


def flags(values: pd.Series[Any]) -> NDArray[np.int64] | None:
    """Flags as 1 (below a limit), -1 (above), 0; None where the column holds something else, or nothing."""
    codes, cells = pd.factorize(values.astype(object), use_na_sentinel=True)
    words = [str(cell).strip().lower() for cell in cells]
    if not words or not set(words) <= _YES | _NO | _RIGHT:
        return None
    read = np.array([1 if w in _YES else -1 if w in _RIGHT else 0 for w in words] + [0], dtype=np.int64)
    return read[codes]


def settled(
    frame: pd.DataFrame, roles: Mapping[str, Any], lloq: float | None = None, words_missing: bool = False
) -> tuple[pd.DataFrame, dict[str, Any], list[Finding]]:
    """Numbers and a censor column instead of text in the response and in flags.

    Parameters
    ----------
    frame : DataFrame
    roles : mapping
        As resolved.
    lloq : float, optional
        The limit, where neither the cells nor a column say it.
    words_missing : bool
        Whether text in the response that says nothing of a limit means that there is no value.

    Returns
    -------
    frame : DataFrame
        Values below a limit hold the limit where it is known, and are empty where it is not.
    roles : dict
        With the new columns.
    remarks : list of Finding
    """
    made = dict(roles)
    response = made.get("response")
    if response is None:
        return frame, made, []
    remarks: list[Finding] = []
    censored = np.zeros(len(frame), dtype=np.int64)
    values = frame[response]
    changed: dict[str, Any] = {}
    if _is_text(values):
        read = reported(values)
        unread: Bools = read.unread if not words_missing else np.zeros(len(frame), dtype=bool)
        if words_missing and read.unread.any():
            words = sorted({str(cell) for cell in values[read.unread]})
            message = f"{_count(read.unread, 'cell')} of {response} read as missing: {', '.join(words[:5])}"
            remarks.append(_remark("words read as missing", message, frame, read.unread))
        if (read.censored != 0).any() or read.marked.any() or words_missing:
            censored = read.censored
            numbers = pd.Series(read.value, index=values.index)
            changed[response] = numbers.astype(object).mask(unread, values) if unread.any() else numbers
            kept = _new(frame, f"{response} as read")
            changed[kept] = values
            made["ignore"] = (*made.get("ignore", ()), kept)
        if read.marked.any():
            example = values[read.marked].iloc[0]
            message = (
                f"{_count(read.marked, 'value')} with a mark ({example}): below a limit, or values with a footnote?"
            )
            finding = _remark("marked values", message, frame, read.marked)
            remarks.append(
                Finding("error", message, response, finding.name, finding.rows, (), "read_marked_as_below",
                        others=("read_marked_as_values",))
            )  # fmt: skip
        if (read.censored != 0).any():
            example = values[read.censored != 0].iloc[0]
            message = (
                f"{_count(read.censored != 0, 'cell')} of {response} such as {str(example)!r} read as beyond a limit"
            )
            remarks.append(_remark("text read as censored", message, frame, read.censored != 0))
    source = next((c for c in frame.columns if c != response and bare(c) in RESPONSE_TEXT and _is_text(frame[c])), None)
    if source is not None and not (censored != 0).any():
        read = reported(frame[source])
        if (read.censored != 0).any():
            censored = read.censored
            base = pd.to_numeric(changed.get(response, values), errors="coerce").astype(float)
            changed[response] = base.mask(censored != 0, pd.Series(read.value, index=values.index))
            message = f"{_count(censored != 0, 'value')} beyond a limit, as column {source} says"
            remarks.append(_remark("text read as censored", message, frame, censored != 0))
    if "censor" in made:
        marks = flags(frame[made["censor"]])
        if marks is not None and (_is_text(frame[made["censor"]]) or (censored != 0).any()):
            name = _new(frame, "CENS")
            changed[name] = np.where(censored != 0, censored, marks)
            made["ignore"] = (*made.get("ignore", ()), made["censor"])
            made["censor"] = name
    elif (censored != 0).any():
        name = made["censor"] = _new(frame, "CENS")
        changed[name] = censored
    frame = frame.assign(**changed) if changed else frame
    if lloq is not None and "limit" not in made:
        made["limit"] = _new(frame, "LLOQ")
        frame = frame.assign(**{made["limit"]: float(lloq)})
    if "limit" in made and "censor" in made:
        limit = pd.to_numeric(frame[made["limit"]], errors="coerce")
        known = limit.dropna().unique()
        only = float(known[0]) if len(known) == 1 else lloq
        marked = pd.to_numeric(frame[made["censor"]], errors="coerce").fillna(0).ne(0)
        empty = limit.isna() & marked & pd.to_numeric(frame[response], errors="coerce").fillna(0).eq(0)
        if only is not None and empty.any():
            frame = frame.assign(**{made["limit"]: limit.mask(empty, only)})
    return frame, made, remarks


def _is_text(values: pd.Series[Any]) -> bool:
    return bool(values.dtype == object or isinstance(values.dtype, pd.StringDtype))


def _count(rows: Bools, what: str) -> str:
    number = int(rows.sum())
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _remark(name: str, message: str, frame: pd.DataFrame, rows: Bools) -> Finding:
    return Finding("warning", message, name=name, rows=tuple(map(plain_label, frame.index[rows])))


def _new(frame: pd.DataFrame, name: str) -> str:
    while name in frame.columns:
        name += "'"
    return name
