"""The data doctor: what is wrong or odd in a data set, and how to mend it.

Errors block: what the records say has no meaning. Warnings don't. Most findings name a mend (see `mends`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import plain_label
from workbench.data.content import Content
from workbench.data.events import OBSERVATION
from workbench.data.mends import MENDS
from workbench.data.reading import limited
from workbench.data.tables import covariate_table, varying_subjects
from workbench.errors import Fault
from workbench.findings import Finding, Severity

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

JUDGED = ("negative time", "subject without dose", "subject without observation", "dose without amount")
"""Errors that may be meant; naming them in `allow` makes them warnings."""

_OUTLIER = 300.0
_LOG_SCALE = 0.05
_FIXED = ("sex", "gender", "race", "ethnic", "ethnicity", "genotype", "cyp")


def error_faults(findings: Iterable[Finding]) -> list[Fault]:
    """What a DataError lists of the findings: the errors among them."""
    return [fault for finding in findings if finding.severity == "error" for fault in faults_of(finding)]


def faults_of(finding: Finding) -> list[Fault]:
    """A finding row by row (or subject by subject), for a DataError."""
    advice, column = finding.mend, finding.where or None
    if finding.mend in MENDS:
        advice = f"{MENDS[finding.mend].text}: read_data(…, strict=False).mend({finding.mend!r})"
    if finding.name in JUDGED:
        advice += f"; or, if it is meant so, read_data(…, allow=({finding.name!r},))"
    message, rows, subjects = finding.message, finding.rows, finding.subjects
    if finding.name.startswith("subject"):
        first = dict(zip(subjects, rows, strict=False))
        return limited([Fault(message, first[s], column, s, advice) for s in subjects])
    owners = subjects if len(subjects) == len(rows) else (None,) * len(rows)
    faults = [Fault(message, row, column, owner, advice) for row, owner in zip(rows, owners, strict=True)]
    return limited(faults) or [Fault(message, None, column, None, advice)]


def table(findings: Sequence[Finding]) -> pd.DataFrame:
    """The findings as a DataFrame, indexed by their names."""
    columns = {
        "severity": [f.severity for f in findings],
        "rows": [f.rows for f in findings],
        "subject": [tuple(dict.fromkeys(f.subjects)) for f in findings],
        "column": [f.where or None for f in findings],
        "message": [f.message for f in findings],
        "mend": [f.mend for f in findings],
    }
    return pd.DataFrame(columns, index=pd.Index([f.name for f in findings], name="finding", dtype=object), dtype=object)


def examine(data: Content) -> list[Finding]:
    """All findings, errors first."""
    if not len(data.events.row):
        return []
    findings = [*_dosing(data), *_times(data), *_responses(data), *_subjects(data), *_covariates(data)]
    return sorted(findings, key=lambda finding: finding.severity != "error")


class _Scribe:
    """Writes findings about records: row labels, subject labels, column names."""

    def __init__(self, data: Content):
        self.data, self.events, self.roles = data, data.events, data.roles
        self.subject = self.events.subject

    def column(self, role: str) -> str:
        return str(self.roles.get(role, ""))

    def records(
        self, name: str, severity: Severity, which: Bools, role: str, message: str, mend: str = ""
    ) -> Iterator[Finding]:
        """A finding per record, if there is any."""
        at = np.flatnonzero(which)
        if len(at):
            if severity == "error" and name in self.data.allow:
                severity = "warning"
            labels = self.data.frame.index[self.events.row[at]]
            subjects = np.array([*self.events.subjects, None], dtype=object)[self.subject[at]]
            rows, places = tuple(map(plain_label, labels)), tuple(self.events.row[at].tolist())
            yield Finding(severity, message, self.column(role), name, rows, tuple(subjects), mend, places)

    def rows(self, name: str, mark: str, role: str, message: str, mend: str = "") -> Iterator[Finding]:
        """A warning about rows that were marked while the records were derived."""
        marks = self.data.records.marks.get(mark)
        if marks is not None and marks.any():
            yield from self.records(name, "warning", marks[self.events.row] & self.unique(), role, message, mend)

    def unique(self) -> Bools:
        """The first record of each row: some rows have two."""
        first = np.zeros(len(self.events.row), dtype=bool)
        first[np.unique(self.events.row, return_index=True)[1]] = True
        return first

    def whole_subjects(
        self, name: str, severity: Severity, which: Bools, role: str, message: str, mend: str = ""
    ) -> Iterator[Finding]:
        """A finding per subject; the row is its first."""
        tainted = self.subject_has(self.data.records.bad)
        at = np.flatnonzero(which & ~tainted)
        if len(at):
            if severity == "error" and name in self.data.allow:
                severity = "warning"
            starts = self.events.row[np.minimum(self.events.start[at], len(self.events.row) - 1)]
            labels = tuple(map(plain_label, self.data.frame.index[starts]))
            subjects = tuple(self.events.subjects[i] for i in at)
            yield Finding(severity, message, self.column(role), name, labels, subjects, mend)

    def subject_has(self, rows: Bools) -> Bools:
        """Subjects with at least one such row of the frame."""
        found = np.zeros(len(self.events.subjects), dtype=bool)
        if rows.any() and "subject" in self.roles:
            labels = {plain_label(v) for v in self.data.frame[self.roles["subject"]][rows].dropna().unique()}
            found = np.array([label in labels for label in self.events.subjects], dtype=bool)
        return found

    def count(self, which: Bools) -> Ints:
        """Number of such records per subject."""
        return np.bincount(self.subject[which], minlength=len(self.events.subjects))


def _dosing(data: Content) -> Iterator[Finding]:
    scribe, events = _Scribe(data), data.events
    doses, role = events.is_dose, "dose" if "dose" in data.roles else "amount"
    infused = (events.rate > 0) & (events.steady_state > 0) & (events.interval == 0)
    no_amount = doses & ~(events.amount > 0) & ~infused & (events.kind != 4)
    yield from scribe.records(
        "dose without amount", "error", no_amount, role,
        "a dose without an amount; allowed: more than 0 (or a steady-state infusion: rate > 0, SS = 1)",
        "drop_doses_without_amount",
    )  # fmt: skip
    if "evid" in data.roles and "amount" in data.roles:
        amounts = pd.to_numeric(data.frame[data.roles["amount"]], errors="coerce").to_numpy(dtype=float)
        stray = (events.kind == OBSERVATION) & (np.nan_to_num(amounts)[events.row] > 0)
        yield from scribe.records(
            "amount on an observation", "error", stray, "amount",
            "an amount on a row with EVID 0; allowed: 0 or nothing there, or EVID 1", "clear_amounts_on_observations",
        )  # fmt: skip
    yield from scribe.records(
        "additional doses without interval", "error", doses & (events.additional > 0) & ~(events.interval > 0),
        "additional", "additional doses (ADDL) without an interval (II); allowed: an interval of more than 0",
        "clear_additional_doses",
    )  # fmt: skip
    lost = doses & (events.steady_state > 0) & ~(events.interval > 0) & ~(infused & (events.amount == 0))
    yield from scribe.records(
        "steady state without interval", "error", lost, "steady_state",
        "steady state (SS) without an interval (II); allowed: an interval of more than 0, or a rate without an amount",
        "clear_steady_state",
    )  # fmt: skip
    both = doses & (events.rate > 0) & (events.duration > 0)
    off = both & (np.abs(events.amount - events.rate * events.duration) > 1e-6 * np.abs(events.amount))
    yield from scribe.records(
        "rate and duration disagree", "error", off, "duration", "they do not fit: amount = rate · duration",
        "state either the rate or the duration",
    )  # fmt: skip
    idle = doses & (events.interval > 0) & (events.additional == 0) & (events.steady_state == 0)
    yield from scribe.records(
        "interval without effect", "warning", idle, "interval", "an interval (II) without ADDL or SS has no effect",
        "state ADDL or SS if these doses were repeated",
    )  # fmt: skip
    yield from scribe.rows("steady state code", "steady state code", "steady_state",
                           "this SS code is no steady state (0, 1, 2); taken as 0")  # fmt: skip
    yield from scribe.rows("dose beside a response", "dose beside a response", role,
                           "a dose and a response on one row: taken as a sample, and then the dose")  # fmt: skip
    odd, message = _outlying(events.amount, events.compartment, doses & (events.amount > 0))
    yield from scribe.records("dose outlier", "warning", odd, role, message, "rescale_outlying_doses")
    if role in data.roles and not doses.any():
        yield Finding("warning", "a column of amounts, but no dose in it", data.roles[role], "no doses")


def _outlying(amount: NDArray[np.float64], group: Ints, doses: Bools) -> tuple[Bools, str]:
    """Doses some hundred times larger or smaller than the median of their compartment: a slip of the unit."""
    if not doses.any():
        return doses, ""
    median = pd.Series(np.where(doses, amount, np.nan)).groupby(group).transform("median").to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(doses, amount / median, 1.0)
    odd = (ratio > _OUTLIER) | (ratio < 1 / _OUTLIER)
    middle = float(np.median(amount[doses]))
    return odd, f"more than {_OUTLIER:g} times larger or smaller than the median dose ({middle:g}): another unit?"


def _times(data: Content) -> Iterator[Finding]:
    scribe, events = _Scribe(data), data.events
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
    segment = np.cumsum(np.isin(events.kind, (3, 4)))
    key = pd.DataFrame({"s": scribe.subject, "g": segment, "t": events.time, "r": events.response,
                        "c": events.compartment})[events.observed]  # fmt: skip
    twice = np.zeros(len(events.time), dtype=bool)
    twice[np.flatnonzero(events.observed)] = key.duplicated().to_numpy()
    message = "a second observation of the subject at the same time"
    yield from scribe.records("duplicate time", "warning", twice, "time", message, "drop_duplicate_times")


def _responses(data: Content) -> Iterator[Finding]:
    scribe, events = _Scribe(data), data.events
    message = "an observation without a value; it does not enter the likelihood"
    yield from scribe.rows("missing response", "missing response", "response", message, "drop_missing_responses")
    low = events.observed & (events.censored == 0) & ~(events.dv > 0)
    negative = pd.Series(events.dv < 0).groupby(events.response).transform("mean").to_numpy()
    low &= negative < _LOG_SCALE  # many negative values: the response is on a log scale, or a difference
    yield from scribe.records("response not positive", "warning", low, "response",
                              "0 or negative; log and proportional error models have no use for it",
                              "drop_responses_not_positive")  # fmt: skip
    yield from scribe.rows("censored without a limit", "censored without a limit", "response",
                           "marked as censored, but no limit is known: neither DV nor a limit column says it",
                           'state the limit in DV, or in a column: roles={"limit": …}')  # fmt: skip


def _subjects(data: Content) -> Iterator[Finding]:
    scribe, events = _Scribe(data), data.events
    doses = events.is_dose
    observed = scribe.count(events.observed)
    if doses.any():
        undosed = scribe.count(doses) == 0
        first = np.full(len(events.subjects), np.inf)
        np.minimum.at(first, scribe.subject[doses], events.time[doses])
        last = np.full(len(events.subjects), -np.inf)
        np.maximum.at(last, scribe.subject, events.time)
        baseline = undosed & (last <= np.min(first))
        yield from scribe.whole_subjects("subject without dose", "error", undosed & ~baseline, "amount",
                                         "the subject has no dose", "drop_subjects_without_dose")  # fmt: skip
        yield from scribe.whole_subjects(
            "baseline subject without dose", "warning", baseline, "amount",
            "the subject has no dose; all its records lie at or before the first dose time of the others",
            "drop_subjects_without_dose",
        )  # fmt: skip
    if "response" in data.roles:
        yield from scribe.whole_subjects(
            "subject without observation", "error", observed == 0, "response", "the subject has no observation",
            "drop_subjects_without_observation",
        )  # fmt: skip
    alone = observed == 1
    if not alone.all():
        yield from scribe.whole_subjects("subject with one observation", "warning", alone, "response",
                                         "the subject has one observation only", "")  # fmt: skip
    elif len(alone) > 1:
        yield Finding("warning", "no subject has more than one observation", name="subject with one observation")
    row, subject = events.row, scribe.subject
    order = np.argsort(row, kind="stable")
    leaves = subject[order][1:] != subject[order][:-1]
    runs = np.bincount(subject[order][np.concatenate([[True], leaves])] if len(order) else [], minlength=len(alone))
    message = "its rows do not stand together; taken as one subject"
    yield from scribe.whole_subjects("scattered subject", "warning", runs > 1, "subject", message, "gather_subjects")


def _covariates(data: Content) -> Iterator[Finding]:
    overview = covariate_table(data)
    subjects = len(data.events.subjects)
    for name in overview.index[(overview["distinct"] <= 1) & (overview["missing"] < len(data.frame))]:
        if subjects > 1:
            message = "the same value everywhere: no effect can be seen"
            yield Finding("warning", message, name, "constant covariate", mend="ignore_constant_covariates")
    for name in overview.index[overview["missing"] > 0]:
        labels = tuple(map(plain_label, data.frame.index[data.frame[name].isna()]))
        message = f"missing; filled by the rule {data.covariate_rule} where the subject has another value"
        yield Finding("warning", message, name, "missing covariate", labels, mend="fill_covariates")
    for name in overview.index[overview["kind"] == "continuous"]:
        infinite = np.isinf(data.frame[name].to_numpy(dtype=float, na_value=np.nan))
        if infinite.any():
            labels = tuple(map(plain_label, data.frame.index[infinite]))
            yield Finding("warning", "no effect can be computed of it", name, "infinite covariate", labels)
    for name in overview.index[overview["kind"] == "categorical"]:
        levels = [level for level in overview.loc[name, "levels"] if isinstance(level, str)]
        alike = [level for level in levels if [x.strip().lower() for x in levels].count(level.strip().lower()) > 1]
        if alike:
            message = f"levels that differ only in case or blanks: {', '.join(map(repr, alike))}"
            yield Finding("warning", message, name, "labels alike", mend="write each level in one way")
    for name in overview.index[overview["varying"] > 0]:
        few = overview.loc[name, "varying"] <= max(1, 0.05 * subjects) and subjects >= 10
        if few or name.lower() in _FIXED:
            changing = tuple(varying_subjects(data, name))
            message = "changes within a subject, where it should not or hardly does"
            yield Finding("warning", message, name, "varying covariate", (), changing, "first_covariate_values")
