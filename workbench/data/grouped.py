"""Grouped data: a frame, the parts that its columns play, and everything that follows from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.data import doctor, tables, units
from workbench.data.cells import plain_label
from workbench.data.checks import JUDGED
from workbench.data.content import Content
from workbench.data.events import Events
from workbench.data.history import Step
from workbench.data.records import NUMBERS
from workbench.errors import DataError, Fault
from workbench.findings import Finding
from workbench.language.conditions import matching_rows

RULES = ("nocb", "locf", "linear")


@dataclass(frozen=True, eq=False, repr=False)
class GroupedData:
    """Measurements of several subjects, with doses and covariates. Never changes: each verb returns new data.

    Made by `read_data` and `load_example`.

    Attributes
    ----------
    content : Content
        Rows, roles, units and records as a plain value, also where they have errors; what is said here of the data
        is asked of it.
    history : tuple of Step
        Every step since the source; each prints as a Python call.
    before : GroupedData, optional
        What the data were before the last step.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> data.covariate_names
    ('WT',)
    >>> light = data.filter("WT < 70")
    >>> len(light.subjects) < len(data.subjects)
    True
    """

    content: Content
    history: tuple[Step, ...]
    before: GroupedData | None = None

    # ---- what was read -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the file or example."""
        return self.content.name

    @property
    def covariate_rule(self) -> str:
        """What a covariate that changes within a subject is between two records, see `covariate_values`."""
        return self.content.covariate_rule

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as read, under the user's column names; the index holds the row labels. A copy."""
        return self.content.frame.copy()

    @property
    def roles(self) -> dict[str, Any]:
        """Role to column name; "covariates" and "ignore" to tuples of names."""
        return dict(self.content.roles)

    @property
    def units(self) -> dict[str, str]:
        """Unit by role or column name, for those that have one."""
        return dict(self.content.units)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What `check` lists, errors first."""
        return tuple(doctor.examine(self.content))

    @cached_property
    def events(self) -> Events:
        """The records as arrays. Raises DataError while `check` lists an error."""
        self.require_sound()
        return self.content.records.events

    def require_sound(self) -> None:
        """Raise a DataError that lists every unreadable cell and every error that `check` finds."""
        faults = [*self.content.records.faults, *doctor.error_faults(self.findings)]
        if faults:
            raise DataError(faults, self.name)

    # ---- views -------------------------------------------------------------------------------------------

    @property
    def responses(self) -> tuple[Any, ...]:
        """Labels of the responses (DVID); the name of the response column where there is one only."""
        return self.content.records.responses

    @property
    def occasions(self) -> tuple[Any, ...]:
        """Labels of the occasions; empty where none are stated."""
        return self.content.records.occasions

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the covariate columns."""
        return self.content.covariate_names

    @property
    def subjects(self) -> pd.DataFrame:
        """A line per subject: observations, doses, first and last time, covariates (their first values)."""
        return tables.subject_table(self.content)

    @property
    def observations(self) -> pd.DataFrame:
        """The rows whose response counts, subject by subject; times in hours where the file has clock times."""
        return tables.record_rows(self.content, self.content.records.events.observed)

    @property
    def doses(self) -> pd.DataFrame:
        """A line per dose record."""
        return tables.dose_table(self.content)

    @property
    def covariates(self) -> pd.DataFrame:
        """A line per covariate: kind (continuous, categorical), whether it varies within subjects, missing, levels."""
        found = tables.covariate_table(self.content)
        return found.assign(varies=found["varying"] > 0)[["kind", "varies", "missing", "levels"]]

    def covariate_values(self, names: Iterable[str]) -> pd.DataFrame:
        """Values of columns per record, in the order of `events`.

        The value of a record is what holds over the interval that ends there, by `covariate_rule`:

        - ``nocb``: the value on the record itself, as in NONMEM; missing values are those of the next record;
        - ``locf``: the value on the record before; missing values are those of the record before;
        - ``linear``: the mean of the two; missing values lie on the line between their neighbours in time.

        At either end, the nearest value of the subject counts. Text follows nocb under ``linear``.

        Raises
        ------
        DataError
            A column does not exist, or a subject has no value at all.
        """
        names = [names] if isinstance(names, str) else list(names)
        faults = [
            Fault(f"there is no column {name!r}; covariates: {', '.join(self.covariate_names) or 'none'}")
            for name in names
            if name not in self.content.frame.columns
        ]
        if faults:
            raise DataError(faults, self.name)
        events, columns = self.content.records.events, {}
        for name in names:
            values = pd.Series(self.content.frame[name].to_numpy()[events.row])
            values = _between(values, events, self.covariate_rule)
            numeric = pd.api.types.is_numeric_dtype(values.dtype)
            infinite = (
                np.isinf(values.to_numpy(dtype=float, na_value=np.nan)) if numeric else np.zeros(len(values), bool)
            )
            rows = map(plain_label, self.content.frame.index[np.unique(events.row[infinite])])
            faults += [
                Fault("the value is infinite", row, name, mend="give a number, or leave it empty") for row in rows
            ]
            empty = np.unique(events.subject[values.isna().to_numpy()])
            mend = "data.mend('fill_covariates'), or exclude the subject"
            faults += [Fault("the subject has no value", None, name, events.subjects[i], mend) for i in empty]
            columns[name] = values
        if faults:
            raise DataError(faults, self.name)
        return pd.DataFrame(columns, index=pd.RangeIndex(len(events.row)))

    def summary(self) -> pd.DataFrame:
        """The data set in numbers: subjects, observations, doses, ranges."""
        return tables.summary(self.content)

    def describe_covariates(self) -> pd.DataFrame:
        """Per covariate, over subjects: mean, SD and quantiles, or the counts of its levels."""
        return tables.covariate_statistics(self.content)

    def check(self) -> pd.DataFrame:
        """The data doctor's findings, errors first; the index names them.

        Returns
        -------
        DataFrame
            severity ("error" blocks a fit, "warning" does not), rows (labels), subject (labels), column, message,
            mend: a name for `mend`, or advice; and others: names of further mends.
        """
        return doctor.table(self.findings)

    # ---- verbs -------------------------------------------------------------------------------------------

    def filter(self, condition: str) -> GroupedData:
        """Keep the rows that fulfil a condition such as ``"TIME < 24 and SEX == 'F'"``.

        The text is parsed, never evaluated: column names, numbers, 'labels', comparisons, ``and or not in``,
        arithmetic and ``missing(WT)``. Subjects left without a dose or an observation are then warned about only.
        """
        return self._kept(matching_rows(condition, self.content.frame), Step("filter", (condition,)))

    def exclude(self, subject: Any = None, *, rows: Any = None) -> GroupedData:
        """Leave out subjects (a label or several) or rows (row labels)."""
        keep = np.ones(len(self.content.frame), dtype=bool)
        options: list[tuple[str, Any]] = []
        if subject is not None:
            labels, have = _labels(subject), self.content.records.events.subjects
            self._known(labels, have, "subject")
            named = {str(label) for label in labels}
            keep &= ~np.array([str(label) in named for label in have])[self.content.subject_codes]
            options.append(("subject", labels[0] if len(labels) == 1 else labels))
        if rows is not None:
            labels = _labels(rows)
            self._known(labels, self.content.frame.index, "row")
            keep &= ~np.asarray(self.content.frame.index.isin(labels))
            options.append(("rows", labels))
        return self._kept(keep, Step("exclude", (), tuple(options)))

    def mend(self, name: str, column: str | None = None) -> GroupedData:
        """Carry out a mend that `check` suggests, in one column or in all; `undo` takes it back.

        The names are in `workbench.data.checks.MENDS`.
        """
        content = doctor.mended(self.content, self.findings, name, column)
        step = Step("mend", (name,), (("column", column),) if column is not None else ())
        if content.records.faults:
            raise DataError(content.records.faults, self.name)
        return replace(self, content=content, history=(*self.history, step), before=self)

    def undo(self, step: int = -1) -> GroupedData:
        """The data without a step of `history`, the last one unless said; later steps are carried out again.

        Raises
        ------
        DataError
            There is no such step, it is the reading itself, or a later step no longer applies.
        """
        place = step if step >= 0 else len(self.history) + step
        if not 0 < place < len(self.history):
            raise DataError(
                Fault(f"step {step} cannot be undone; there are steps 1 to {len(self.history) - 1}"), self.name
            )
        data: GroupedData | None = self
        while data is not None and len(data.history) > place:
            data = data.before
        if data is None:
            raise DataError(Fault("what was before that step is not known; read the data again"), self.name)
        for later in self.history[place + 1 :]:
            data = getattr(data, later.call)(*later.args, **dict(later.options))
        return data

    def convert(self, /, **new_units: str) -> GroupedData:
        """Convert columns to other units, for example ``convert(time="day", response="ug/L")``.

        What is counted in the same unit goes along: intervals, durations and rates with time, rates with amount,
        limits with the response.
        """
        frame, given = self.content.frame, dict(self.content.units)
        if "amount" in new_units and "amount" not in given and "dose" in given:
            new_units["dose"] = new_units.pop("amount")
        for key, unit in new_units.items():
            if key not in given:
                have = ", ".join(f"{k}: {u}" for k, u in given.items()) or "none"
                mend = 'state it first: read_data(…, units={"' + key + '": …})'
                raise DataError(Fault(f"{key} has no unit (units: {have})", mend=mend), self.name)
            scale = units.factor(given[key], unit, key)
            frame = self._scaled(frame, key, scale)
            given[key] = unit
        if "time" in new_units:
            given |= {key: given["time"] for key in ("interval", "duration") if key in given}
        if "rate" in given and {"time", "amount"} & new_units.keys() and {"time", "amount"} <= given.keys():
            given["rate"] = f"({given['amount']})/({given['time']})"
        step = Step("convert", (), tuple(new_units.items()))
        return self._with(step, frame=frame, units=units.checked(given, self.content.roles))

    def with_units(self, /, **stated: str) -> GroupedData:
        """State units: ``with_units(time="h", response="mg/L")``. Numbers stay as they are."""
        checked = units.checked(self.content.units | stated, self.content.roles)
        return self._with(Step("with_units", (), tuple(stated.items())), units=checked)

    def with_covariate_rule(self, rule: str) -> GroupedData:
        """Use another rule for covariates that change: "nocb", "locf" or "linear"."""
        return self._with(Step("with_covariate_rule", (rule,)), covariate_rule=checked_rule(rule))

    # ---- out ---------------------------------------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """The rows as they are now, under the user's column names. A copy."""
        return self.content.frame.copy()

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, for_spreadsheet: bool = False) -> str:
        """The records in NONMEM's layout, "." for missing; written to `path` if one is given.

        Parameters
        ----------
        path : path, optional
        for_spreadsheet : bool
            Put an apostrophe before text that a spreadsheet would calculate (``=cmd|…``, ``+…``, ``-…``, ``@…``), names
            of columns included. Data from others that are opened in a spreadsheet should be written so; what is to be
            read again should not, since the apostrophe stays.
        """
        frame = tables.nonmem(self.content)
        text: str = (tables.for_spreadsheet(frame) if for_spreadsheet else frame).to_csv(
            index=False, na_rep=".", lineterminator="\n"
        )
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def code(self) -> str:
        """Python that makes these data from their source."""
        first, *others = self.history
        return "".join([str(first), *(f".{step}" for step in others)])

    @cached_property
    def hash(self) -> str:
        """Identifies the content: equal numbers, labels, roles, units and rules give equal hashes."""
        digest = hashlib.sha256()
        head = (sorted(self.content.roles.items()), sorted(self.content.units.items()), self.covariate_rule,
                tuple(self.content.frame.columns))  # fmt: skip
        digest.update(repr(head).encode("utf-8", "surrogatepass"))
        for column in self.content.frame.columns:
            values = self.content.frame[column]
            if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
                numbers = values.to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # no minus zero
                numbers[np.isnan(numbers)] = np.nan  # one NaN
                digest.update(np.ascontiguousarray(numbers).data)
            else:
                codes, labels = pd.factorize(values)
                digest.update(np.ascontiguousarray(codes, dtype="<i8").data)
                digest.update(repr([str(label) for label in labels]).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.hash == other.hash if isinstance(other, GroupedData) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.hash)

    def __len__(self) -> int:
        return len(self.content.frame)

    def __repr__(self) -> str:
        events = self.content.records.events
        return f"<GroupedData {self.name}: {len(events.subjects)} subjects, {int(events.observed.sum())} observations>"

    def _repr_html_(self) -> str:
        return tables.as_html(self.content)

    # ---- inside ------------------------------------------------------------------------------------------

    def _with(self, step: Step, **changes: Any) -> GroupedData:
        content = self.content.changed(**changes)
        if content.records.faults:
            raise DataError(content.records.faults, self.name)
        return replace(self, content=content, history=(*self.history, step), before=self)

    def _kept(self, rows: Any, step: Step) -> GroupedData:
        if not rows.any():
            raise DataError(Fault(f"{step} leaves no row"), self.name)
        before = {finding.name for finding in self.findings if finding.severity == "error"}
        allow = self.content.allow | {name for name in JUDGED if name not in before}
        return self._with(step, frame=self.content.frame[rows], allow=allow)

    def _known(self, labels: Iterable[Any], have: Iterable[Any], what: str) -> None:
        known = {str(plain_label(label)) for label in have}
        unknown = [label for label in labels if str(plain_label(label)) not in known]
        if unknown:
            raise DataError([Fault(f"there is no {what} {label!r}") for label in unknown], self.name)

    def _scaled(self, frame: pd.DataFrame, key: str, scale: float) -> pd.DataFrame:
        """The frame with a role or column multiplied, and with it what is counted in the same unit."""
        along = {"time": ("time", "interval", "duration", "dose_time"), "response": ("response", "limit")}
        columns = [self.content.roles[role] for role in along.get(key, (key,)) if role in self.content.roles]
        changed = {column: frame[column].astype(float) * scale for column in columns or [key]}
        if key in ("time", "amount") and "rate" in self.content.roles:
            rate = frame[self.content.roles["rate"]].astype(float)  # the codes -1 and -2 are no rates
            changed[self.content.roles["rate"]] = rate.where(rate < 0, rate / scale if key == "time" else rate * scale)
        return frame.assign(**changed)


def number_columns(frame: pd.DataFrame, roles: Mapping[str, Any]) -> pd.DataFrame:
    """Columns of text whose role holds numbers become numbers, once it is known that they can."""
    changed = {}
    for role in NUMBERS:
        column = roles.get(role)
        if column is not None and not pd.api.types.is_numeric_dtype(frame[column].dtype):
            changed[column] = pd.to_numeric(frame[column].astype(object), errors="coerce")
    return frame.assign(**changed) if changed else frame


def checked_rule(rule: str) -> str:
    """The covariate rule, if it is one."""
    if rule not in RULES:
        raise DataError(Fault(f"covariate_rule {rule!r}; allowed: {', '.join(RULES)}"), "the covariate rule")
    return rule


def _labels(given: Any) -> list[Any]:
    several = [given] if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) else list(given)
    return [plain_label(label) for label in several]


def _between(values: pd.Series[Any], events: Events, rule: str) -> pd.Series[Any]:
    """Values by record under a rule; `values` are those on the records."""
    subject = events.subject
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    groups = values.groupby(subject)
    if values.isna().any():
        if rule == "linear" and numeric:
            values = _interpolated(values.to_numpy(dtype=float), events)
        elif rule == "locf":
            values = groups.ffill().fillna(groups.bfill())
        else:
            values = groups.bfill().fillna(groups.ffill())
        groups = values.groupby(subject)
    if rule == "nocb" or (rule == "linear" and not numeric):
        return values
    before = groups.shift(1).fillna(values)
    return before if rule == "locf" else (before + values) / 2


def _interpolated(values: Any, events: Events) -> pd.Series[Any]:
    known = np.flatnonzero(~np.isnan(values))
    filled = values.copy()
    subject = events.subject
    wanted = np.flatnonzero(np.isnan(values))
    if not len(known):
        return pd.Series(filled)
    right = np.searchsorted(known, wanted)
    after = known[np.minimum(right, len(known) - 1)]
    before = known[np.maximum(right - 1, 0)]
    has_after = (right < len(known)) & (subject[after] == subject[wanted])
    has_before = (right > 0) & (subject[before] == subject[wanted])
    span = events.time[after] - events.time[before]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(span > 0, (events.time[wanted] - events.time[before]) / span, 1.0)
    line = values[before] + share * (values[after] - values[before])
    filled[wanted] = np.select(
        [has_after & has_before, has_after, has_before], [line, values[after], values[before]], np.nan
    )
    return pd.Series(filled)
