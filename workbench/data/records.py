"""A frame and its roles become events: kinds of records, doses, responses, occasions, censoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import Bools, Cells, Floats, labels_of
from workbench.data.clock import hours
from workbench.data.events import DOSE, OBSERVATION, OTHER, RESET, RESET_AND_DOSE, Events
from workbench.errors import Fault

Ints = NDArray[np.int64]

NUMBERS = ("response", "amount", "dose", "evid", "mdv", "compartment", "rate", "duration", "additional", "interval",
           "steady_state", "censor", "limit")  # fmt: skip
"""Roles whose columns hold numbers."""

NO_STEADY_STATE = (9, 99, 999, -99)
"""Codes seen in SS columns for "does not apply"; the doctor says so where one stands on a dose."""

_MISSING_AMOUNTS = (-1, -9, -99, -999, -9999, -99999, -88, -888, -77, -777)
_DOSING = ("amount", "rate", "duration", "interval", "additional", "steady_state")


@dataclass(frozen=True, eq=False)
class Records:
    """Events, with what else is read off the rows.

    Attributes
    ----------
    events : Events
    responses, occasions : tuple
        Labels that `events.response` and `events.occasion` are indices into.
    faults : tuple of Fault
        Cells that cannot be read; their rows are not among the events.
    bad : bool array
        Rows of the frame with such a cell.
    time : float array
        Time of each row of the frame.
    note : str
        Says so where these times are not the numbers of the time column.
    marks : dict
        Rows of the frame that the doctor has a word about, by the name of the finding.
    """

    events: Events
    responses: tuple[Any, ...]
    occasions: tuple[Any, ...]
    faults: tuple[Fault, ...] = ()
    bad: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))
    time: Floats = field(default_factory=lambda: np.zeros(0))
    note: str = ""
    marks: Mapping[str, Bools] = field(default_factory=dict)


def derive(
    frame: pd.DataFrame, roles: Mapping[str, Any], dates: str | None = None, allow: frozenset[str] = frozenset()
) -> Records:
    """Records of the frame; never raises for its cells, but lists what is wrong with them.

    `dates` says in which order dates of numbers are written, see `clock.hours`; `allow` may hold "repeated dose".
    """
    cells = Cells(frame)
    marks: dict[str, Bools] = {}
    n = len(frame)
    subject, subjects = _subjects(cells, roles)
    time, note = hours(cells, roles["time"], roles.get("date"), subject, dates)
    row = {
        "time": time,
        "dv": _response(cells, roles),
        **_doses(cells, roles, marks),
        "mdv": _mdv(cells, roles),
        "censored": _censored(cells, roles),
    }
    kind, row["amount"], row["rate"] = _kinds(cells, roles, subject, row, marks)
    occasion, occasions = _labels(cells, roles, "occasion", np.isin(kind, (OBSERVATION, DOSE, RESET_AND_DOSE)))
    response, responses = _labels(cells, roles, "response_id", (kind == OBSERVATION) & (row["mdv"] == 0))
    both = marks.get("dose beside a response", np.zeros(n, dtype=bool))
    dosing = np.isin(kind, (DOSE, RESET_AND_DOSE)) | both
    if "response_id" in roles and "repeated dose" not in allow:
        dosing &= ~_repeated(row, subject, response, dosing, both, marks)
        kind = np.where((kind == DOSE) & ~dosing, OTHER, kind)
        both &= dosing
    observed = (kind == OBSERVATION) & (row["mdv"] == 0)
    marks["censored but not counted"] = (row["censored"] != 0) & np.isin(kind, (OBSERVATION, OTHER)) & (row["mdv"] != 0)
    censored, dv, limit = _censoring(cells, roles, row["dv"], row["censored"], observed, marks)
    marks["missing response"] = observed & np.isnan(dv) & ("response" in roles) & (censored == 0)
    observed &= ~np.isnan(dv)
    for name in _DOSING:
        row[name] = np.where(dosing, row[name], 0)
    row |= {
        "kind": kind, "observed": observed, "dv": np.where(observed, dv, np.nan), "response": response,
        "occasion": occasion, "censored": np.where(observed, censored, 0), "limit": np.where(observed, limit, np.nan),
        "row": np.arange(n), "subject": subject, "place": np.arange(n, dtype=float),
    }  # fmt: skip
    once = _dose_column(cells, roles, subject) if "dose" in roles else None
    rows = _taken(row, ~cells.bad)
    del row  # of many records there is no room for several copies
    rows = _sorted(_beside(rows, both[~cells.bad]), "place")
    rows = _implied_resets(rows, marks, n)
    marks["time goes back"] = _going_back(rows, n)
    if once is not None:
        rows = _given_once(*once, rows)
    if once is not None or marks["time goes back"].any():
        rows = _sorted(rows, "place", "time", "segment")
    events = Events(
        subjects=subjects,
        start=np.searchsorted(rows["subject"], np.arange(len(subjects) + 1)).astype(np.int64),
        **{name: rows[name].astype(np.int64, copy=False) for name in (
            "row", "kind", "additional", "steady_state", "compartment", "response", "occasion", "censored")},
        **{name: rows[name] for name in ("time", "observed", "dv", "amount", "rate", "duration", "interval", "limit")},
    )  # fmt: skip
    return Records(events, responses, occasions, tuple(cells.faults), cells.bad, time, note, marks)


def _subjects(cells: Cells, roles: Mapping[str, Any]) -> tuple[Ints, tuple[Any, ...]]:
    if "subject" not in roles:
        return np.zeros(len(cells.frame), dtype=np.int64), (1,)
    values = cells.frame[roles["subject"]]
    codes, labels = labels_of(values)
    cells.blame(codes < 0, roles["subject"], "the subject is missing", "name the subject on every row")
    return codes, labels


def _response(cells: Cells, roles: Mapping[str, Any]) -> Floats:
    if "response" not in roles:
        return np.full(len(cells.frame), np.nan)
    return cells.numbers(
        roles["response"],
        "a number",
        'a word that means "no value": na_values=(…,), or all of them: mends=("read_text_as_missing",)',
        offers=("read_text_as_missing",),
    )


def _censored(cells: Cells, roles: Mapping[str, Any]) -> Ints:
    if "censor" not in roles:
        return np.zeros(len(cells.frame), dtype=np.int64)
    expected = "0 (a value), 1 (below the limit), -1 (above it)"
    return cells.whole(roles["censor"], expected, lambda v: np.isin(v, (-1, 0, 1)))


def _mdv(cells: Cells, roles: Mapping[str, Any]) -> Ints:
    if "mdv" not in roles:
        return np.zeros(len(cells.frame), dtype=np.int64)
    values = cells.whole(roles["mdv"], "0 (response counts) or 1 (it does not)", lambda v: np.isin(v, (0, 1, 100, 101)))
    return values % 100


def _doses(cells: Cells, roles: Mapping[str, Any], marks: dict[str, Bools]) -> dict[str, Any]:
    n = len(cells.frame)
    found: dict[str, Any] = {}
    floats = {
        "amount": "an amount, 0 or more",
        "rate": "a rate, 0 or more (-1, -2: rate or duration is a parameter)",
        "duration": "a duration, 0 or more",
        "interval": "an interval between doses, 0 or more",
    }
    evid = roles.get("evid")
    onoff = np.zeros(n, dtype=bool)
    if evid is not None:
        onoff = np.nan_to_num(pd.to_numeric(cells.frame[evid], errors="coerce").to_numpy(dtype=float)) >= 10000
    for role, expected in floats.items():
        if role not in roles:
            found[role] = np.zeros(n)
            continue
        values = cells.numbers(roles[role], expected, missing=0.0)
        if role == "amount":
            coded = (values < 0) & ~onoff & np.isin(values, _MISSING_AMOUNTS)
            marks["negative amount"] = coded
            values = np.where(coded, 0.0, values)
        allowed = (values >= 0) | ((role == "rate") & np.isin(values, (-1, -2)))
        cells.refuse(~allowed & ~onoff, roles[role], expected)
        found[role] = values
    counts = {
        "additional": "a whole number, 0 or more",
        "compartment": "the number of a compartment, 0 (default) or more",
    }
    for role, expected in counts.items():
        absent = np.zeros(n, dtype=np.int64)
        found[role] = cells.whole(roles[role], expected, lambda v: v >= 0) if role in roles else absent
    found["steady_state"] = np.zeros(n, dtype=np.int64)
    marks["steady state code"] = np.zeros(n, dtype=bool)
    if "steady_state" in roles:
        known, expected = (0, 1, 2, *NO_STEADY_STATE), "0 (no), 1 (yes), 2 (yes, added on top)"
        codes = cells.whole(roles["steady_state"], expected, lambda v: np.isin(v, known))
        marks["steady state code"] = np.isin(codes, NO_STEADY_STATE)
        found["steady_state"] = np.where(marks["steady state code"], 0, codes)
    return found


def _kinds(
    cells: Cells, roles: Mapping[str, Any], subject: Ints, row: dict[str, Any], marks: dict[str, Bools]
) -> tuple[Ints, Floats, Floats]:
    """EVID where there is one; otherwise an amount makes a dose, a response an observation, neither an OTHER."""
    amount, rate = row["amount"], row["rate"]
    if "evid" in roles:
        expected = "0 (observation), 1 (dose), 2 (other), 3 (reset), 4 (reset and dose), or an RxODE code such as 101"
        evid = cells.whole(roles["evid"], expected, lambda v: np.isin(v, range(5)) | _rxode(v))
        if (evid >= 100).any():
            evid, amount, rate = _translate(cells, roles["evid"], evid, subject, row)
        marks["steady state code"] &= np.isin(evid, (DOSE, RESET_AND_DOSE))
        return evid, amount, rate
    dosing = (amount > 0) | ((rate > 0) & (row["steady_state"] > 0))
    if "mdv" in roles or "response" not in roles:
        observing = (row["mdv"] == 0) & ~dosing
    elif "amount" not in roles:
        observing = ~dosing
    else:  # a 0 beside a dose is NONMEM's placeholder
        seen = ~np.isnan(row["dv"]) | ((row["censored"] != 0) & ~dosing)
        observing = seen & ~(dosing & (row["dv"] == 0) & (row["censored"] == 0))
    marks["dose beside a response"] = dosing & observing
    marks["steady state code"] &= dosing
    return np.where(observing, OBSERVATION, np.where(dosing, DOSE, OTHER)), amount, rate


def _rxode(evid: Floats) -> Bools:
    return np.asarray((evid >= 101) & (evid < 30000) & (evid % 100 == 1))


def _translate(
    cells: Cells, column: str, evid: Ints, subject: Ints, row: dict[str, Any]
) -> tuple[Ints, Floats, Floats]:
    """RxODE's codes: 100·compartment + 1; 10000 added: an infusion is switched on, and off by minus its rate."""
    amount, rate, duration = row["amount"].copy(), row["rate"].copy(), row["duration"]
    coded = evid >= 100
    row["compartment"] = np.where(coded, evid % 10000 // 100, row["compartment"])
    infusion = evid >= 10000
    kind = np.where(coded, DOSE, evid)
    table = pd.DataFrame({"subject": subject, "cmt": row["compartment"], "flag": evid // 10000, "time": row["time"],
                          "size": np.abs(amount), "off": amount < 0, "at": np.arange(len(evid))})[infusion]  # fmt: skip
    key = ["subject", "cmt", "flag", "size"]
    table["turn"] = table.groupby([*key, "off"]).cumcount()
    pairs = table[~table["off"]].merge(table[table["off"]], on=[*key, "turn"], how="outer", suffixes=("", "_off"))
    lone = pairs["at"].isna() | pairs["at_off"].isna() | ~(pairs["time_off"] > pairs["time"])
    alone = np.zeros(len(evid), dtype=bool)
    for half in ("at", "at_off"):
        alone[pairs.loc[lone, half].dropna().to_numpy(dtype=np.int64)] = True
    cells.blame(alone, column, lambda p: f"EVID {evid[p]} switches an infusion, but its other half is not there",
                "state infusions by RATE or duration with EVID 1")  # fmt: skip
    whole = pairs[~lone]
    on, off = whole["at"].to_numpy(dtype=np.int64), whole["at_off"].to_numpy(dtype=np.int64)
    length = row["time"][off] - row["time"][on]
    by_rate = evid[on] < 20000
    # code 1: the amount column is the rate; code 2: it is the amount, the pair states the duration
    given = row["amount"][on]
    amount[on] = np.where(by_rate, given * length, given)
    rate[on] = amount[on] / length
    amount[off], rate[off], duration[off] = 0, 0, 0
    duration[on] = 0
    kind[off] = OTHER
    return kind, amount, rate


def _labels(cells: Cells, roles: Mapping[str, Any], role: str, needed: Bools) -> tuple[Ints, tuple[Any, ...]]:
    """Codes of a label column; sorted where the labels are numbers, otherwise first seen first."""
    n = len(cells.frame)
    if role not in roles:
        return np.zeros(n, dtype=np.int64), ((roles.get("response", "response"),) if role == "response_id" else ())
    values = cells.frame[roles[role]]
    counted = values[needed & ~cells.bad]
    labels = pd.unique(counted.dropna())
    if pd.api.types.is_numeric_dtype(values.dtype):
        labels = np.sort(labels)
    word = role.replace("response_id", "response")
    cells.blame(
        needed & values.isna().to_numpy(), roles[role], f"the {word} is missing",
        "label it on every observation" if role == "response_id" else "label it on every dose and observation",
    )  # fmt: skip
    codes = pd.Index(labels).get_indexer(pd.Index(values)) if len(labels) else np.zeros(n)
    names = labels_of(pd.Series(labels))[1]
    return np.maximum(codes, 0).astype(np.int64), names or (roles.get("response", "response"),)


def _censoring(
    cells: Cells, roles: Mapping[str, Any], dv: Floats, censored: Ints, observed: Bools, marks: dict[str, Bools]
) -> tuple[Ints, Floats, Floats]:
    """Monolix's CENS and LIMIT; a limit on the far side of DV is a quantification limit and takes its place."""
    n = len(dv)
    if "censor" not in roles:
        return np.zeros(n, dtype=np.int64), dv, np.full(n, np.nan)
    limit = np.full(n, np.nan)
    if "limit" in roles:
        limit = cells.numbers(roles["limit"], "a number, or nothing")
    limit = np.where(censored == 0, np.nan, limit)
    sign = np.where(censored < 0, -1.0, 1.0)
    stated = ~np.isnan(limit) & (np.isnan(dv) | (sign * limit >= sign * dv))
    value = np.where(stated, limit, dv)
    marks["censored without a limit"] = (censored != 0) & observed & (np.isnan(value) | (value == 0))
    return censored, value, np.where(stated, np.nan, limit)


def _repeated(
    row: dict[str, Any], subject: Ints, response: Ints, dosing: Bools, both: Bools, marks: dict[str, Bools]
) -> Bools:
    """Doses that stand on the rows of each response: all but the first of them."""
    table = pd.DataFrame({"s": subject, **{name: row[name] for name in ("time", *_DOSING, "compartment")}})
    again = np.zeros(len(subject), dtype=bool)
    at = np.flatnonzero(dosing)
    again[at] = table.iloc[at].duplicated().to_numpy()
    labels = pd.DataFrame({**table, "r": response}).iloc[at]
    if not again.any() or labels.duplicated().any() or len(np.unique(response[at])) < 2:
        again[:] = False  # the same dose twice under one label was given twice
    marks["repeated dose"] = again
    return again


def _sorted(rows: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Subject by subject, then by the keys, the last one first."""
    order = np.lexsort([rows[key] for key in keys] + [rows["subject"]])
    return rows if (order[1:] > order[:-1]).all() else {name: values[order] for name, values in rows.items()}


def _taken(rows: dict[str, Any], these: Bools) -> dict[str, Any]:
    """Some of the rows; the arrays themselves where these are all."""
    return rows if these.all() else {name: values[these] for name, values in rows.items()}


def _extra(rows: dict[str, Any], at: Any, kind: int, shift: float) -> dict[str, Any]:
    """Records beside those at `at`, without their response."""
    extra = {name: values[at].copy() for name, values in rows.items()}
    count = len(extra["kind"])
    extra["place"] = extra["place"] + shift
    extra["kind"] = np.full(count, kind)
    extra["observed"] = np.zeros(count, dtype=bool)
    extra["censored"] = np.zeros(count, dtype=np.int64)
    extra["dv"], extra["limit"] = np.full(count, np.nan), np.full(count, np.nan)
    return extra


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def _beside(rows: dict[str, Any], both: Bools) -> dict[str, Any]:
    """A row with a response and a dose is an observation, and then a dose: the sample was taken before."""
    if not both.any():
        return rows
    doses = _extra(rows, both, DOSE, 0.5)
    for name in _DOSING:
        rows[name] = np.where(both, 0, rows[name])
    return _joined(rows, doses)


def _implied_resets(rows: dict[str, Any], marks: dict[str, Bools], n: int) -> dict[str, Any]:
    """Time that starts anew with a new occasion means that the subject was washed out in between."""
    subject, time, occasion = rows["subject"], rows["time"], rows["occasion"]
    anew = np.zeros(len(time), dtype=bool)
    anew[1:] = (
        (subject[1:] == subject[:-1]) & (time[1:] < time[:-1]) & (occasion[1:] != occasion[:-1])
        & ~np.isin(rows["kind"][1:], (RESET, RESET_AND_DOSE))
    )  # fmt: skip
    if anew.any():
        anew &= ~pd.DataFrame({"subject": subject, "occasion": occasion}).duplicated().to_numpy()
    rows["segment"] = np.cumsum(anew | np.isin(rows["kind"], (RESET, RESET_AND_DOSE)))
    dosing = anew & (rows["kind"] == DOSE)
    if not anew.any() or not np.isin(rows["kind"], (DOSE, RESET_AND_DOSE)).any():
        return rows  # without doses there is nothing to wash out
    marks["reset at a new occasion"] = _rows_of(rows, anew, n)
    rows["kind"] = np.where(dosing, RESET_AND_DOSE, rows["kind"])
    resets = _extra(rows, anew & ~dosing, RESET, -0.25)
    for name in _DOSING:
        resets[name] = np.zeros_like(resets[name])
    return _sorted(_joined(rows, resets), "place")


def _going_back(rows: dict[str, Any], n: int) -> Bools:
    back = np.zeros(len(rows["time"]), dtype=bool)
    same = (rows["subject"][1:] == rows["subject"][:-1]) & (rows["segment"][1:] == rows["segment"][:-1])
    back[1:] = same & (rows["time"][1:] < rows["time"][:-1])
    return _rows_of(rows, back, n)


def _rows_of(rows: dict[str, Any], which: Bools, n: int) -> Bools:
    found = np.zeros(n, dtype=bool)
    found[rows["row"][which]] = True
    return found


def _dose_column(cells: Cells, roles: Mapping[str, Any], subject: Ints) -> tuple[Floats, Floats]:
    """Amount and time of the one dose of each row's subject, from columns that repeat it beside the observations."""
    found = []
    for role in ("dose", "dose_time"):
        if role not in roles:
            found.append(np.zeros(len(subject)))
            continue
        values = cells.numbers(roles[role], "a number")
        given = pd.Series(values).groupby(subject).transform("first").to_numpy()
        cells.blame(
            ~np.isnan(values) & (values != given), roles[role], partial(_differing, values, given),
            "one dose per subject in this layout; several doses need rows of their own (role amount)",
        )  # fmt: skip
        found.append(np.where(np.isnan(given), 0.0, given))
    cells.refuse(found[0] < 0, roles["dose"], "an amount, 0 or more")
    return found[0], found[1]


def _differing(values: Floats, given: Floats, p: int) -> str:
    return f"got {values[p]:g}, but this subject has {given[p]:g} in another row"


def _given_once(amount: Floats, time: Floats, rows: dict[str, Any]) -> dict[str, Any]:
    """A dose record for each subject, before its other records at the same time."""
    _, first = np.unique(rows["subject"], return_index=True)
    doses = _extra(rows, first, DOSE, 0)
    doses["place"] = np.full(len(first), -1.0)
    doses["amount"], doses["time"] = amount[doses["row"]], time[doses["row"]]
    doses["compartment"] = np.zeros(len(first), dtype=np.int64)
    return _joined(doses, rows)
