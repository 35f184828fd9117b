"""What a mend is, and what mends have in common. `GroupedData.mend` carries them out, so that they are recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.content import Content
from workbench.findings import Finding

Bools = NDArray[np.bool_]
Findings = Sequence[Finding]
Make = Callable[[Content, Findings], Content]


@dataclass(frozen=True)
class Mend:
    """What it does, in words, and the content that it makes of the data and of the findings that name it.

    `by_column` says that it is usually meant for the column of one finding, not for those of all that name it.
    """

    text: str
    make: Make
    by_column: bool = False


def places(findings: Findings, data: Content) -> Bools:
    """The rows of the findings, as a mask of the rows of the frame."""
    rows = np.zeros(len(data.frame), dtype=bool)
    rows[[place for finding in findings for place in finding.places]] = True
    labels = {label for finding in findings if not finding.places for label in finding.rows}
    return rows | np.asarray(data.frame.index.isin(labels)) if labels else rows


def without_rows(data: Content, findings: Findings) -> Content:
    """Leave the rows of the findings out."""
    return data.changed(frame=data.frame[~places(findings, data)])


def without_subjects(data: Content, findings: Findings) -> Content:
    """Leave the subjects of the findings out."""
    labels = {label for finding in findings for label in finding.subjects}
    events = data.events
    rows = np.zeros(len(data.frame), dtype=bool)
    chosen = np.array([label in labels for label in events.subjects], dtype=bool)
    rows[events.row[chosen[events.subject]]] = True
    return data.changed(frame=data.frame[~rows])


def without_columns(data: Content, findings: Findings) -> Content:
    """Leave the columns of the findings out."""
    names = {finding.where for finding in findings}
    roles = {
        key: tuple(c for c in value if c not in names) if isinstance(value, tuple) else value
        for key, value in data.roles.items()
    }
    return data.changed(frame=data.frame.drop(columns=[name for name in names if name]), roles=roles)


def cleared(role: str) -> Make:
    """Set the cells of a role to 0 in the rows of the findings."""

    def make(data: Content, findings: Findings) -> Content:
        return put(data, data.roles[role], places(findings, data), 0)

    return make


def emptied(data: Content, findings: Findings) -> Content:
    """Take the cells of each finding's column and rows as missing."""
    for finding in findings:
        rows = places([finding], data)
        values = data.frame[finding.where].mask(rows)
        data = data.changed(frame=data.frame.assign(**{finding.where: values.infer_objects()}))
    return data


def put(data: Content, column: str, rows: Bools, value: Any) -> Content:
    """The content with a value in some cells."""
    return data.changed(frame=data.frame.assign(**{column: data.frame[column].mask(rows, value)}))


def with_role(role: str) -> Make:
    """Give the column of the finding a role."""

    def make(data: Content, findings: Findings) -> Content:
        return data.changed(roles=moved(data.roles, findings[0].where, role)) if findings else data

    return make


def moved(roles: dict[str, Any], column: str, role: str) -> dict[str, Any]:
    """The roles after a column took another one."""
    lists = {key: tuple(c for c in roles.get(key, ()) if c != column) for key in ("covariates", "ignore")}
    single = {key: value for key, value in roles.items() if key not in lists and value != column}
    if role in lists:
        return {**single, **lists, role: (*lists[role], column)}
    return {**single, role: column, **lists}


def settled(*names: str) -> Make:
    """Take the remarks of these names as read."""

    def make(data: Content, findings: Findings) -> Content:
        return data.changed(remarks=tuple(remark for remark in data.remarks if remark.name not in names))

    return make
