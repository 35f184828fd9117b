"""The data doctor: what is wrong or odd in a data set, and how to mend it.

Errors block: what the records say has no meaning. Warnings don't. Most findings name a mend. What is
looked for, and how it is mended, is in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from workbench.data.cells import limited
from workbench.data.checks import AS_ONE, CHECKS, JUDGED, MENDS
from workbench.data.content import Content
from workbench.errors import DataError, Fault
from workbench.findings import Finding


def error_faults(findings: Iterable[Finding]) -> list[Fault]:
    """What a DataError lists of the findings: the errors among them."""
    return [fault for finding in findings if finding.severity == "error" for fault in faults_of(finding)]


def faults_of(finding: Finding) -> list[Fault]:
    """A finding row by row (or subject by subject), for a DataError."""
    advice, column = finding.mend, finding.where or None
    named = [mend for mend in finding.mends if mend in MENDS]
    if named:
        advice = "; or ".join(f"{MENDS[mend].text}: read_data(…, mends=({mend!r},))" for mend in named)
    if finding.name in JUDGED:
        advice += f"; or, if it is meant so, read_data(…, allow=({finding.name!r},))"
    message, rows, subjects = finding.message, finding.rows, finding.subjects
    if finding.name in AS_ONE:
        more = f" (rows {', '.join(map(str, rows[:8]))}{', …' if len(rows) > 8 else ''})" if len(rows) > 1 else ""
        return [Fault(message + more, rows[0] if len(rows) == 1 else None, column, None, advice)]
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
        "others": [f.others for f in findings],
    }
    return pd.DataFrame(columns, index=pd.Index([f.name for f in findings], name="finding", dtype=object), dtype=object)


def examine(data: Content) -> list[Finding]:
    """All findings, errors first."""
    if not len(data.events.row):
        return list(data.remarks)
    findings = [*data.remarks, *(finding for check in CHECKS for finding in check.find(data))]
    return sorted(findings, key=lambda finding: finding.severity != "error")


def mended(data: Content, findings: Sequence[Finding], name: str, column: str | None = None) -> Content:
    """The content after a mend of what was found, in one column or in all.

    Raises
    ------
    DataError
        There is no such mend, or it leaves no row.
    """
    if name not in MENDS:
        raise DataError(Fault(f"there is no mend {name!r}; there are {', '.join(MENDS)}"), data.name)
    meant = [finding for finding in findings if name in finding.mends and column in (None, finding.where)]
    if column is not None and not meant:
        raise DataError(Fault(f"{name} mends nothing in column {column!r}"), data.name)
    made = MENDS[name].make(data, meant)
    if not len(made.frame):
        raise DataError(Fault(f"{name} leaves no row"), data.name)
    return made
