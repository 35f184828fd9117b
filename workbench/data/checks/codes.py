"""Codes for missing values that would be read as numbers or levels, and slips of the unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.cells import Bools, Floats, Ints
from workbench.data.checks.mending import Findings, Mend, emptied, places
from workbench.data.checks.scribe import Scribe
from workbench.data.content import Content
from workbench.data.names import plain
from workbench.findings import Finding

JUDGED = ()

_POSITIVE = frozenset((
    "wt", "weight", "bw", "bwt", "bodyweight", "wtkg", "wtbl", "gewicht", "poids", "ht", "height", "htbl", "bmi",
    "bmibl", "bsa", "bsabl", "crcl", "crclbl", "clcr", "scr", "cr", "creat", "creatinine", "creatbl", "kreatinin",
    "gfr", "egfr", "egfrbl", "alb", "albumin", "albbl", "lbm", "ffm", "ibw", "hct", "haematocrit", "hematocrit",
    "gestage", "ga", "age", "alter",
))  # fmt: skip
_RANGES: tuple[tuple[frozenset[str], tuple[float, float]], ...] = (
    (frozenset(("wt", "weight", "bw", "bwt", "bodyweight", "wtkg", "wtbl", "gewicht", "poids")), (0.3, 400.0)),
    (frozenset(("ht", "height", "htbl", "hgt", "groesse", "taille")), (20.0, 250.0)),
    (frozenset(("age", "alter", "agebl", "ageyr", "ageyears")), (0.0, 120.0)),
)
"""What weights (kg), heights (cm) and ages (years) of people can be."""
_HEIGHTS = frozenset(("ht", "height", "htbl", "hgt", "groesse", "taille"))
_UNKNOWN = frozenset((
    "unknown", "unk", "unkn", "unknwn", "missing", "miss", "not_available", "notavailable", "notdone", "not_done",
    "notrecorded", "notreported", "notapplicable", "inconnu", "unbekannt", "?", "??", "nd", "nr", "ns", "ukn",
    "undefined", "uncertain",
))  # fmt: skip
_NEVER = 1e10
_MANY = 2000


def find(data: Content) -> Iterator[Finding]:
    """Codes in covariates, responses and amounts."""
    scribe = Scribe(data)
    for name in data.covariate_names:
        yield from _covariate(data, scribe, name)
    events = data.events
    seen = events.observed & (events.censored == 0)
    doses = events.is_dose & (events.amount > 0)
    for role, values, which in (("response", events.dv, seen), ("amount", events.amount, doses)):
        if role in data.roles and which.any():
            hit = np.zeros(len(values), dtype=bool)
            for group in np.unique(events.response[which] if role == "response" else events.compartment[which]):
                mine = which & ((events.response if role == "response" else events.compartment) == group)
                hit |= mine & np.isin(values, _codes(values[mine], events.subject[mine], ""))
            yield from _found(data, scribe, np.unique(events.row[hit]), data.roles[role], values[hit])


def _covariate(data: Content, scribe: Scribe, name: str) -> Iterator[Finding]:
    values = data.frame[name]
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        return
    if not pd.api.types.is_numeric_dtype(values.dtype):
        yield from _words(data, scribe, name)
        return
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(numbers)
    codes = _codes(numbers[known], data.subject_codes[known], plain(name))
    at = np.flatnonzero(np.isin(numbers, codes) & known)
    yield from _found(data, scribe, at, name, numbers[at])
    numbers = np.where(np.isin(numbers, codes), np.nan, numbers)
    slipped, factor = _slips(numbers, data.subject_codes, plain(name))
    if slipped.any():
        shown = ", ".join(f"{v:g}" for v in np.unique(numbers[slipped])[:3])
        usual = float(np.nanmedian(np.where(slipped, np.nan, numbers)))
        message = f"{shown} among values near {usual:g}: a slip of the unit by a factor of {factor:g}?"
        yield scribe.of_rows("slip of the unit", "warning", np.flatnonzero(slipped), name, message, "rescale_covariate",
                             ("read_codes_as_missing",))  # fmt: skip
    strange = _out_of_range(np.where(slipped, np.nan, numbers), plain(name))
    if strange.any():
        shown = ", ".join(f"{v:g}" for v in np.unique(numbers[strange])[:3])
        usual = float(np.median(numbers[~strange & ~slipped & np.isfinite(numbers)]))
        message = f"{shown} among values near {usual:g}: out of the range of people; a slip, or another unit?"
        yield scribe.of_rows("out of range", "warning", np.flatnonzero(strange), name, message, "read_codes_as_missing")


def _found(data: Content, scribe: Scribe, at: Ints, column: str, values: Floats) -> Iterator[Finding]:
    if len(at):
        shown = ", ".join(f"{v:g}" for v in np.unique(values))
        rows = "1 row" if len(at) == 1 else f"{len(at)} rows"
        message = f"{shown} in {rows} looks like a code for a missing value, and is read as a number"
        yield scribe.of_rows("missing-value code", "warning", at, column, message, "read_codes_as_missing")


def _ends(different: Floats) -> Bools:
    """Of very many values, only the lowest and highest few can be codes."""
    likely = np.zeros(len(different), dtype=bool)
    for k in (*range(5), *range(len(different) - 5, len(different))):
        likely[k] = _is_code(different[k])
    return likely


def _is_code(value: float) -> bool:
    """Whether a number is one of those that people write for "missing": -99, 999, 8888, -1, 1E+30."""
    if abs(value) >= _NEVER:
        return True
    text = f"{abs(value):g}".replace(".", "")
    return value == -1 or (len(set(text)) == 1 and text[0] in "789" and (len(text) >= 2 or value < 0))


def _codes(values: Floats, subject: Ints, name: str) -> list[float]:
    """Values that stand for "missing": an impossible sign, or far from all others."""
    different = np.unique(values)
    likely = np.array([_is_code(v) for v in different], dtype=bool) if len(different) < _MANY else _ends(different)
    negative, zero = different < 0, different == 0
    found = np.zeros(len(different), dtype=bool)
    rest = different[~negative & ~likely]
    some = len(rest) > 0 and (values >= 0).mean() >= 0.5
    if some and negative.any() and (likely[negative].all() or name in _POSITIVE) and np.abs(different).max() > 1:
        found |= negative
    positive = different[(different > 0) & ~likely]
    if zero.any() and name in _POSITIVE and len(positive) and (name not in ("age", "alter") or positive.min() >= 10):
        found |= zero
    others = different[~found & ~likely]
    if len(others):
        top, width = others.max(), others.max() - others.min()
        far = (different > max(2 * top, 0)) & (different - top > 2 * max(width, 0.1 * abs(top)))
        found |= far & likely
        without = others[others < top]
        below = without.max() if len(without) > 2 else np.inf
        if name and not found.any() and top > 5 * below and below > 0:
            owners = len(np.unique(subject[values == top]))
            if 2 <= owners < 0.5 * len(np.unique(subject)):  # a value that several subjects share
                found |= different == top
    return [float(v) for v in different[found]]


def _range(name: str) -> tuple[float, float]:
    return next((limits for names, limits in _RANGES if name in names), (-np.inf, np.inf))


def _out_of_range(numbers: Floats, name: str) -> Bools:
    """Values that no person can have and that lie far from the rest, where most values are a person's."""
    low, high = _range(name)
    known = np.isfinite(numbers)
    inside = known & (numbers >= low) & (numbers <= high)
    none = np.zeros(len(numbers), dtype=bool)
    if not np.isfinite(high) or inside.sum() < 0.5 * known.sum() or not inside.any():
        return none
    top, bottom = numbers[inside].max(), numbers[inside].min()
    with np.errstate(invalid="ignore"):
        return np.asarray(known & ~inside & ((numbers > 1.5 * top) | (numbers < bottom / 3)))


def _slips(numbers: Floats, subject: Ints, name: str) -> tuple[Bools, float]:
    """Values that are about a thousand times (heights also a hundred times) what the others are."""
    known = numbers[np.isfinite(numbers) & (numbers > 0)]
    none = np.zeros(len(numbers), dtype=bool)
    few = len(np.unique(subject[np.isfinite(numbers)])) < 5
    low, high = _range(name)
    likely = known[(known >= low) & (known <= high)]
    if len(known) < 2 or not len(likely):
        return none, 1.0
    middle = float(np.median(likely if few else known))
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.log10(numbers / middle)
    for power in (3, 2) if name in _HEIGHTS else (3,):
        off = np.isfinite(size) & (np.abs(np.abs(size) - power) < 0.35)
        others = numbers[np.isfinite(numbers) & (numbers > 0) & ~off]
        most = 0.3 if not few else 0.45 if np.isinf(high) else 0.6
        if off.any() and off.sum() < most * len(known) and others.max() < 10 * others.min():
            return off, 10.0**power
    return none, 1.0


def _words(data: Content, scribe: Scribe, name: str) -> Iterator[Finding]:
    """Words among numbers, and levels that say that nothing is known."""
    values = data.frame[name]
    text = values.astype(str).str.strip()
    numbers = pd.to_numeric(values.where(values.notna(), None).astype(object), errors="coerce")
    words = (values.notna() & numbers.isna()).to_numpy(dtype=bool)
    if numbers.notna().sum() > words.sum() and words.any():
        what = f"words among numbers ({', '.join(sorted(set(text[words]))[:3])}): the whole column is read as text"
    else:
        unknown = _UNKNOWN | {"u", "x"} if plain(name) in ("sex", "gender", "geschlecht", "sexe") else _UNKNOWN
        words = words & text.str.lower().str.replace(r"[\s.\-/]+", "", regex=True).isin(unknown).to_numpy(dtype=bool)
        if not words.any() or text[~words & values.notna().to_numpy()].nunique() == 0:
            return
        what = f"{', '.join(map(repr, sorted(set(text[words]))[:3]))} is read as a level of its own"
    yield scribe.of_rows("missing-value code", "warning", np.flatnonzero(words), name, what, "read_codes_as_missing")


def _missing(data: Content, findings: Findings) -> Content:
    data = emptied(data, findings)
    changed: dict[str, Any] = {}
    for column in {finding.where for finding in findings}:
        values = data.frame[column]
        if values.dtype == object or isinstance(values.dtype, pd.StringDtype):
            numbers = pd.to_numeric(values.astype(object), errors="coerce")
            if numbers.notna().equals(values.notna()) and numbers.notna().any():
                changed[column] = numbers
    return data.changed(frame=data.frame.assign(**changed)) if changed else data


def _rescaled(data: Content, findings: Findings) -> Content:
    frame = data.frame
    for finding in findings:
        rows = places([finding], data)
        values = frame[finding.where].astype(float)
        power = 2 if plain(finding.where) in _HEIGHTS and "100?" in finding.message else 3
        scale = np.where(values > float(values[~rows].median()), 10.0**-power, 10.0**power)
        frame = frame.assign(**{finding.where: values.where(~rows, values * scale)})
    return data.changed(frame=frame)


MENDS = {
    "read_codes_as_missing": Mend("read them as missing", _missing, by_column=True),
    "rescale_covariate": Mend("multiply or divide them by that factor", _rescaled, by_column=True),
}
