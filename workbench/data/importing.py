"""`read_data`: from whatever holds a table to grouped data, or to a list of every fault."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from workbench.checks import is_number
from workbench.data import doctor
from workbench.data import units as unit_tools
from workbench.data.content import Content
from workbench.data.doctor import JUDGED
from workbench.data.grouped import GroupedData, checked_rule, number_columns
from workbench.data.history import BareName, Step
from workbench.data.reading import Table, read_table
from workbench.data.roles import resolve
from workbench.errors import DataError, Fault


def read_data(
    source: Any,
    roles: Mapping[str, Any] | None = None,
    units: Mapping[str, str] | None = None,
    *,
    na_values: Iterable[Any] = (),
    name: str | None = None,
    covariate_rule: str = "nocb",
    dose: float | None = None,
    dose_time: float | str = 0.0,
    allow: Iterable[str] = (),
    strict: bool = True,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    sheet: str | int = 0,
) -> GroupedData:
    """Read grouped data.

    Parameters
    ----------
    source : path, file object, bytes, or DataFrame
        CSV (comma, semicolon, tab, bar or blanks; decimal comma; gzip), Excel, SAS XPORT, Parquet.
    roles : mapping, optional
        Role to column, for example ``{"subject": "ID", "time": "TIME", "response": "DV", "amount": "AMT"}``. What is
        not stated is guessed from names and content; None as the column says that there is no such column. Roles:
        subject, time, date, response, amount, dose (one dose per subject in a column beside the observations),
        dose_time (when, in such a column too), evid, mdv, compartment, rate, duration, additional, interval,
        steady_state, occasion, censor, limit, response_id; covariates and ignore take several columns. Every other
        column is a covariate.
    units : mapping, optional
        Role or column to unit, for example ``{"time": "h", "response": "mg/L", "amount": "mg", "WT": "kg"}``.
    na_values : iterable
        Cells that mean "no value", besides an empty cell, ``.``, ``NA``, ``N/A``, ``NaN`` and ``NULL``.
    name : str, optional
        What to call the data; the file's name unless said.
    covariate_rule : {"nocb", "locf", "linear"}
        See `GroupedData.covariate_values`.
    dose : float, optional
        One dose for every subject, where the table does not state it; becomes a column DOSE.
    dose_time : float or "first"
        When such a dose, or that of a dose column, is given: a time, or each subject's first one. Becomes a column.
    allow : iterable of str
        Errors that are meant as they are: "negative time", "subject without dose", "subject without observation",
        "dose without amount". They become warnings.
    strict : bool
        False returns data that have errors which `GroupedData.check` lists, so that they can be mended; `events`
        raises until they are. Unreadable cells raise in any case.
    separator, decimal, encoding, sheet
        How to read the file where the guess is wrong.

    Raises
    ------
    DataError
        Lists every fault with its row, column and usual mend.

    Examples
    --------
    >>> import pandas as pd
    >>> import workbench as wb
    >>> wb.read_data(pd.DataFrame({"ID": [1, 1], "TIME": [0, 1], "DV": [2.0, 1.0]}), name="tiny")
    <GroupedData tiny: 1 subjects, 2 observations>
    """
    options: dict[str, Any] = {
        "roles": dict(roles) if roles else None, "units": dict(units) if units else None,
        "na_values": na_values if isinstance(na_values, (str, int, float)) else tuple(na_values), "name": name,
        "covariate_rule": covariate_rule, "dose": dose, "dose_time": dose_time,
        "allow": (allow,) if isinstance(allow, str) else tuple(allow), "strict": strict, "separator": separator,
        "decimal": decimal, "encoding": encoding, "sheet": sheet,
    }  # fmt: skip
    _check_options(options)
    table = read_table(
        source, name=name, na_values=na_values, separator=separator, decimal=decimal, encoding=encoding, sheet=sheet
    )
    if dose is not None:
        table, roles = _with_dose(table, roles, dose)
    found, faults = resolve(table.frame, roles, table.unnamed)
    faults = [*table.faults, *faults]
    if "time" not in found:
        raise DataError(faults, table.name)
    step = _step(source, options, table.notes)
    allowed = frozenset(options["allow"])
    content = Content(table.name, table.frame, found, {}, checked_rule(covariate_rule), allowed)
    if faults or content.records.faults:
        raise DataError([*faults, *content.records.faults, *doctor.error_faults(doctor.examine(content))], table.name)
    notes = [note for note in (step.note, content.records.note) if note]
    content = _settled(content, _units(units, content), dose_time)
    data = GroupedData(content, (replace(step, note="; ".join(notes)),))
    if strict:
        data.require_sound()
    return data


@dataclass(frozen=True, eq=False)
class Preview:
    """A file before it is accepted: what the Data panel shows while roles are chosen.

    Attributes
    ----------
    frame : DataFrame
        All rows; the index holds row labels.
    roles : dict
        The guess, completed by what was stated.
    faults : tuple of Fault
        What stands against reading it with these roles; empty if `read_data` accepts it.
    name : str
    """

    frame: pd.DataFrame
    roles: dict[str, Any]
    faults: tuple[Fault, ...]
    name: str


def preview(source: Any, roles: Mapping[str, Any] | None = None, **options: Any) -> Preview:
    """Columns, guessed roles and faults of a source, also where `read_data` refuses it.

    Takes the arguments of `read_data`. Raises DataError only where no table can be made of the source.
    """
    reading = {key: options[key] for key in _READING if key in options}
    table = read_table(source, **reading)
    if options.get("dose") is not None:
        table, roles = _with_dose(table, roles, options["dose"])
    found, _ = resolve(table.frame, roles, table.unnamed)
    faults: tuple[Fault, ...] = ()
    try:
        read_data(source, roles, **options)
    except DataError as error:
        faults = error.faults
    return Preview(table.frame, found, faults, table.name)


_READING = ("na_values", "name", "separator", "decimal", "encoding", "sheet")
_DEFAULTS = {
    "roles": None, "units": None, "na_values": (), "name": None, "covariate_rule": "nocb", "dose": None,
    "dose_time": 0.0, "allow": (), "strict": True, "separator": None, "decimal": None, "encoding": None, "sheet": 0,
}  # fmt: skip


def _check_options(options: Mapping[str, Any]) -> None:
    faults = []
    unknown = [word for word in options["allow"] if word not in JUDGED]
    faults += [Fault(f"allow names {word!r}; allowed: {', '.join(JUDGED)}") for word in unknown]
    dose_time = options["dose_time"]
    if dose_time != "first" and not is_number(dose_time):
        faults.append(Fault(f"dose_time {dose_time!r}; allowed: a number or 'first'"))
    dose = options["dose"]
    if dose is not None and not (is_number(dose) and 0 < dose < math.inf):
        faults.append(Fault(f"dose {dose!r}; allowed: a number above 0"))
    if options["decimal"] not in (None, ".", ","):
        faults.append(Fault(f"decimal {options['decimal']!r}; allowed: '.' or ','"))
    if faults:
        raise DataError(faults, "read_data")


def _with_dose(table: Table, roles: Mapping[str, Any] | None, dose: float) -> tuple[Table, dict[str, Any]]:
    stated = dict(roles or {})
    if "DOSE" in table.frame.columns or {"dose", "amount"} & stated.keys():
        message = f"dose={dose!r} is stated, but the table has a column of doses"
        raise DataError(Fault(message, mend="leave one of them out"), table.name)
    return replace(table, frame=table.frame.assign(DOSE=float(dose))), stated | {"dose": "DOSE"}


def _settled(data: Content, units: dict[str, str], dose_time: float | str) -> Content:
    """Numbers where text stood for them, and hours for clock times, so that leaving out rows cannot shift them.

    The clock times stay in an ignored column; a dose time becomes a column, for the same reason.
    """
    frame, roles, records = number_columns(data.frame, data.roles), dict(data.roles), data.records
    if records.note:
        time, kept = roles["time"], _new_name(frame, f"{roles['time']} as read")
        frame = frame.assign(**{kept: frame[time], time: records.time})
        roles["ignore"] = (*roles["ignore"], kept, *([roles.pop("date")] if "date" in roles else []))
    data = data.relabelled(frame=frame, roles=roles, units=units)
    if dose_time == 0 or "dose" not in roles or "dose_time" in roles:
        return data
    first = pd.Series(records.time).groupby(data.subject_codes).transform("first").to_numpy()
    column = _new_name(frame, "DOSE TIME")
    frame = frame.assign(**{column: first if dose_time == "first" else float(dose_time)})
    return data.changed(frame=frame, roles=roles | {"dose_time": column})


def _new_name(frame: pd.DataFrame, name: str) -> str:
    while name in frame.columns:
        name += "'"
    return name


def _units(stated: Mapping[str, str] | None, data: Content) -> dict[str, str]:
    """The stated units; hours where clock times were counted in hours."""
    counted = data.records.note != ""
    if counted and stated and stated.get("time", "h") not in ("h", "hour", "hours", "hr"):
        message = f"time has the unit {stated['time']!r}, but clock times and dates are counted in 'h'"
        raise DataError(Fault(message, mend='leave it out, and use data.convert(time="…")'), data.name)
    checked = unit_tools.checked(stated, data.roles)
    return checked | {"time": "h"} if counted else checked


def _step(source: Any, options: Mapping[str, Any], notes: Iterable[str]) -> Step:
    """The call to print: a path as given, a file's name for bytes, `frame` for a DataFrame."""
    if isinstance(source, (str, os.PathLike)):
        shown: Any = os.fspath(source)
    elif isinstance(source, pd.DataFrame):
        shown = BareName("frame")
    else:
        shown = options["name"] or str(getattr(source, "name", "data"))
    stated = [(key, value) for key, value in options.items() if value != _DEFAULTS[key]]
    if not isinstance(source, (str, os.PathLike, pd.DataFrame)):
        stated = [(key, value) for key, value in stated if key != "name"]
    return Step("wb.read_data", (shown,), tuple(stated), "; ".join(notes))
