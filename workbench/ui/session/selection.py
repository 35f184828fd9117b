"""What is selected, in all figures and tables alike: subjects, and single observations; knows of no widgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.errors import DataError

_SHOWN = 5


@dataclass(frozen=True)
class Selection:
    """Subjects by their labels, and observations by the labels of their rows.

    Attributes
    ----------
    subjects, points : tuple
    """

    subjects: tuple[Any, ...] = ()
    points: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.subjects or self.points)

    def toggled(self, subject: Any) -> Selection:
        """With a subject more, or less."""
        there = subject in self.subjects
        kept = tuple(other for other in self.subjects if other != subject)
        return Selection(kept if there else (*self.subjects, subject), self.points)

    def within(self, data: GroupedData | None) -> Selection:
        """What of it is there in some data."""
        if data is None:
            return Selection()
        subjects, rows = set(data.events.subjects), data.frame.index
        return Selection(tuple(s for s in self.subjects if s in subjects), tuple(p for p in self.points if p in rows))

    def to_dict(self) -> dict[str, list[Any]]:
        """As `bench.selection` reads it: only what there is."""
        parts = {"subjects": list(self.subjects), "points": list(self.points)}
        return {name: values for name, values in parts.items() if values}

    def in_words(self) -> str:
        """A few words."""
        return " and ".join(filter(None, (_named("subject", self.subjects), _named("row", self.points))))

    def excluded(self, data: GroupedData) -> GroupedData:
        """The data without it, by recorded steps."""
        if self.subjects:
            data = data.exclude(subject=list(self.subjects))
        return data.exclude(rows=list(self.points)) if self.points else data


def selection_of(given: object, data: GroupedData | None) -> Selection:
    """What a user states: {"subjects": […], "points": […]}, a list of subjects, or None.

    Raises
    ------
    DataError
        If it names what is not there.
    """
    if given is None:
        return Selection()
    if isinstance(given, Selection):
        return given
    stated = dict(given) if isinstance(given, Mapping) else {"subjects": given}
    if not set(stated) <= {"subjects", "points"}:
        raise DataError(f"A selection has subjects and points, got {', '.join(map(str, stated))}.")
    parts = {name: _listed(values) for name, values in stated.items()}
    found = Selection(**parts)
    kept = found.within(data)
    absent = [x for mine, theirs in ((found.subjects, kept.subjects), (found.points, kept.points)) for x in mine
              if x not in theirs]  # fmt: skip
    if absent:
        raise DataError(f"The data have no {', '.join(map(repr, absent[:_SHOWN]))} to select.")
    return found


def subjects_at(data: GroupedData, selection: Selection) -> NDArray[np.bool_]:
    """Which subjects are selected, bool[subjects]; one with a selected observation is."""
    chosen = set(selection.subjects)
    marked = np.array([label in chosen for label in data.events.subjects], dtype=bool)
    if selection.points:
        for row in np.flatnonzero(records_at(data, selection)):
            marked[np.searchsorted(data.events.start, row, side="right") - 1] = True
    return marked


def records_at(data: GroupedData, selection: Selection) -> NDArray[np.bool_]:
    """Which records are selected as observations, bool[records]."""
    rows = data.frame.index[data.events.row]
    return np.asarray(rows.isin(list(selection.points)), dtype=bool)


def _listed(values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = [values]
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)


def _named(what: str, labels: tuple[Any, ...]) -> str:
    if not labels:
        return ""
    more = f" … ({len(labels)})" if len(labels) > _SHOWN else ""
    return f"{what}{'s' if len(labels) > 1 else ''} {', '.join(map(str, labels[:_SHOWN]))}{more}"
