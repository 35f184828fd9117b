"""Times: negative, going back, repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.checks.mending import Findings, Mend, with_role, without_rows
from workbench.data.checks.scribe import Ints, Scribe
from workbench.data.content import Content
from workbench.data.names import BOOKKEEPING, plain
from workbench.findings import Finding

JUDGED = ("negative time",)

_MINUTES = frozenset(("minute", "minutes", "min", "mins", "mm", "minuten"))
_OCCASIONS = re.compile(r"occ|period|visit|cycle|trt|treat|form|seq|phase|session|week|day|arm|route")


def find(data: Content) -> Iterator[Finding]:
    """What is wrong or odd about the times."""
    scribe, events = Scribe(data), data.events
    doses = events.is_dose
    first = np.full(len(events.subjects), np.inf)
    np.minimum.at(first, scribe.subject[doses], events.time[doses])
    early = (events.time < 0) & ~doses
    if doses.any():
        early &= first[scribe.subject] > events.time
    yield from scribe.records(
        "negative time", "error" if doses.any() else "warning", early, "time",
        "a negative time, before any dose of the subject" if doses.any() else "a negative time", "drop_negative_times",
    )  # fmt: skip
    yield from scribe.rows("time goes back", "time goes back", "time",
                           "the time goes back; taken in the order of time", "sort_by_time")  # fmt: skip
    yield from scribe.rows("reset at a new occasion", "reset at a new occasion", "time",
                           "the time starts anew with a new occasion; taken as a reset (EVID 3 or 4)")  # fmt: skip
    yield from _minutes(data)
    yield from _twice(data, scribe)


def _minutes(data: Content) -> Iterator[Finding]:
    """Minutes in a column of their own beside whole hours."""
    time = data.roles.get("time", "")
    if not plain(time).startswith(("hour", "hr", "hh", "stunde", "heure")) or (data.events.time % 1 != 0).any():
        return
    for column in data.covariate_names:
        if plain(column) in _MINUTES and pd.api.types.is_numeric_dtype(data.frame[column].dtype):
            values = data.frame[column].dropna()
            if len(values) and values.between(0, 59).all() and (values != 0).any():
                message = f"looks like the minutes of {time}, but is a covariate: times are whole hours"
                mend = f"put them together: frame[{time!r}] + frame[{column!r}]/60"
                yield Finding("warning", message, column, "unused column", mend=mend)


def _twice(data: Content, scribe: Scribe) -> Iterator[Finding]:
    """Observations of a subject at the same time; what tells them apart may be what they measure, or when."""
    events = data.events
    segment = np.cumsum(np.isin(events.kind, (3, 4)))
    seen = np.flatnonzero(events.observed)
    parts = (events.time, segment, events.response, events.compartment, events.occasion)
    varying = [part[seen] for part in parts if (part != part[:1]).any()]
    key = pd.DataFrame(dict(enumerate((scribe.subject[seen], *varying))), copy=False)
    second = key.duplicated().to_numpy()
    if not second.any():
        return
    repeated = key.duplicated(keep=False).to_numpy()
    twice = np.zeros(len(events.time), dtype=bool)
    twice[seen] = second
    group = key[repeated].groupby(list(key.columns), sort=False).ngroup().to_numpy()
    rows = events.row[seen[repeated]]
    for column, kind in _telling(data, rows, group):
        at = np.unique(events.row[twice])
        count = f"{len(at)} observations at the time of another one of the subject differ in {column}"
        if kind == "replicates":
            yield scribe.of_rows("replicates", "warning", at, column, f"{count}: taken as repeated measurements")
            return
        meant = {
            "responses": ("several responses in one?", "split_responses", ("split_occasions",)),
            "occasions": ("several occasions in one?", "split_occasions", ("split_responses",)),
            "groups": ("groups within the subject?", "nest_groups", ()),
        }[kind]
        yield scribe.of_rows("told apart by a column", "warning", at, column, f"{count}: {meant[0]}", *meant[1:])
        return
    message = "a second observation of the subject at the same time"
    yield from scribe.records("duplicate time", "warning", twice, "time", message, "drop_duplicate_times")


def _telling(data: Content, rows: Ints, group: Any) -> Iterator[tuple[str, str]]:
    """Columns without a role in which the rows of each group all differ, and what they seem to say."""
    subject = data.subject_codes
    columns = [*data.covariate_names, *data.roles.get("ignore", ())]
    for column in columns:
        values = data.frame[column]
        codes = pd.factorize(values)[0]
        if (codes[rows] < 0).any() or pd.DataFrame({"g": group, "c": codes[rows]}).duplicated().any():
            continue
        table = pd.DataFrame({"c": codes, "s": subject})[codes >= 0].drop_duplicates()
        owners = table.groupby("c").size()
        name = plain(column)
        whole = not pd.api.types.is_float_dtype(values.dtype) or bool((values.dropna() % 1 == 0).all())
        if not whole or pd.api.types.is_datetime64_any_dtype(values.dtype) or name in BOOKKEEPING:
            continue
        if (owners == 1).all() and len(data.events.subjects) > 1:
            if "occasion" not in data.roles and not name.startswith(("row", "obs", "rec")):
                yield column, "groups"
        elif len(owners) <= 12:
            kind = "replicates" if name.startswith(("rep", "aliquot", "dup", "sample", "run")) else "responses"
            yield column, "occasions" if _OCCASIONS.search(name) and "occasion" not in data.roles else kind


def _by_time(data: Content, findings: Findings) -> Content:
    row = data.events.row
    _, first = np.unique(row, return_index=True)
    return data.changed(frame=data.frame.iloc[row[np.sort(first)]])


MENDS = {
    "drop_negative_times": Mend("leave these rows out", without_rows),
    "drop_duplicate_times": Mend("keep the first of them", without_rows),
    "sort_by_time": Mend("sort the rows of each subject by time", _by_time),
    "split_responses": Mend("take it as the label of the response", with_role("response_id")),
    "split_occasions": Mend("take it as the occasion", with_role("occasion")),
    "nest_groups": Mend("take it as the occasion, nested in the subject", with_role("occasion")),
}
