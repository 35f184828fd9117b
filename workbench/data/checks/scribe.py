"""Writes findings about records: row labels, subject labels, column names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.data.cells import plain_label
from workbench.data.content import Content
from workbench.findings import Finding, Severity

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Scribe:
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

    def marked(
        self,
        name: str,
        severity: Severity,
        mark: str,
        role: str,
        message: str,
        mend: str = "",
        others: tuple[str, ...] = (),
    ) -> Iterator[Finding]:
        """One finding for all rows that were marked while the records were derived; {} is their count or first cell."""
        marks = self.data.records.marks.get(mark)
        if marks is None or not marks.any():
            return
        places = np.flatnonzero(marks)
        column = self.column(role)
        first = f"{self.data.frame[column].iloc[places[0]]:g}" if name == "negative amount" else str(len(places))
        severity = "warning" if name in self.data.allow else severity
        yield self.of_rows(name, severity, places, column, message.format(first), mend, others)

    def of_rows(
        self, name: str, severity: Severity, places: Ints, column: str, message: str, mend: str = "",
        others: tuple[str, ...] = (),
    ) -> Finding:  # fmt: skip
        """One finding about rows of the frame."""
        severity = "warning" if name in self.data.allow else severity
        codes = self.data.subject_codes[places]
        labels = np.array([*self.events.subjects, None], dtype=object)
        rows = tuple(map(plain_label, self.data.frame.index[places]))
        return Finding(
            severity, message, column, name, rows, tuple(labels[codes]), mend, tuple(places.tolist()), others
        )

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
