"""`read_data`: from whatever holds a table to grouped data, or to a list of every fault."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd

from workbench.checks import is_number
from workbench.data import censoring, doctor
from workbench.data import units as unit_tools
from workbench.data.checks import JUDGED, MENDS
from workbench.data.clock import ORDERS
from workbench.data.content import Content
from workbench.data.grouped import GroupedData, checked_rule, number_columns
from workbench.data.history import BareName, Step
from workbench.data.labels import compartments, dose_rows, of_two_domains, without_copies
from workbench.data.names import AMOUNT_UNIT, RESPONSE_UNIT, TIME_UNIT, bare, split_unit
from workbench.data.partitions import is_pattern, matching
from workbench.data.reading import read_table
from workbench.data.roles import resolve
from workbench.data.tabular import Form, Table
from workbench.data.units import TIME_UNITS, looks_like_unit, tidied
from workbench.data.wide import STACKS, Wide, recognised, stacked
from workbench.errors import DataError, Fault
from workbench.findings import Finding


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
    sheet: str | int | None = None,
    skip: int = 0,
    header: int | bool | None = None,
    names: Iterable[str] = (),
    comment: str | None = None,
    lloq: float | None = None,
    dates: str | None = None,
    mends: Iterable[str] = (),
) -> GroupedData:
    """Read grouped data.

    Parameters
    ----------
    source : path, file object, bytes, or DataFrame
        CSV (comma, semicolon, tab, bar or blanks; decimal comma; gzip), Excel, SAS XPORT, Parquet. A path with marks,
        such as "visits/*.parquet", stands for several files that are parts of the data: what is returned is a
        `Partitions`, whose parts are read when they are needed, and where.
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
    separator, decimal, encoding
        How to read the file where the guess is wrong.
    sheet : str or int, optional
        The sheet of an Excel file; the first that looks like data unless said.
    skip : int
        Lines to skip at the top.
    header : int or False, optional
        Number of the line with the column names, or False where there is none; found unless said.
    names : iterable of str
        Column names, for files without a header, or in place of it. Columns at the right that get no name are left out.
    comment : str, optional
        The marks that leave a row out where one of them begins it, as NONMEM's IGNORE: "C", "#@"; "" for none. Unless
        said, rows that begin with # or @, or whose first cell is marked with C while the others are not.
    lloq : float, optional
        The limit of quantification, where text such as BLQ, or flags, do not say it.
    dates : {"dmy", "mdy", "ymd", "ydm"}, optional
        Which of day, month and year comes first in dates of numbers, where the data do not tell.
    mends : iterable of str
        Mends to carry out at once, in this order: those that faults and `GroupedData.check` name, and "stack_times",
        "stack_subjects", "stack_responses" for wide tables, "read_text_as_missing" for words in the response.

    Notes
    -----
    What is left out (comments, marked rows, notes below the table) and what was read in a way that should be known
    (units row, "<0.05" as censored, clock times) is said in the first step of `history` and in `check`.

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
        "decimal": decimal, "encoding": encoding, "sheet": sheet, "skip": skip, "header": header,
        "names": (names,) if isinstance(names, str) else tuple(names), "comment": comment, "lloq": lloq, "dates": dates,
        "mends": (mends,) if isinstance(mends, str) else tuple(mends),
    }  # fmt: skip
    _check_options(options)
    if is_pattern(source):
        return matching(source, options, read_data)  # type: ignore[return-value]
    table = table_of(source, **options)
    if dose is not None:
        table, roles = _with_dose(table, roles, dose)
    frame, domains = of_two_domains(table.frame)
    frame, copies = without_copies(frame)
    found, faults = resolve(frame, roles, table.unnamed, lloq is not None)
    wide = recognised(frame, found) if faults or "response" in found else []
    faults = [*table.faults, *(_as_wide(faults, wide) if faults else [])]
    if "time" not in found:
        raise DataError(faults, table.name)
    frame, found, remarks = _said_otherwise(frame, found, options)
    remarks = [*table.remarks, *domains, *copies, *remarks]
    if wide and not faults:
        mend = f'read_data(…, mends=("{wide[0].mend}",))'
        remarks.append(Finding("warning", wide[0].message, name="further responses", mend=mend))
    step = _step(source, options, (*table.notes, *(str(remark) for remark in remarks)))
    allowed = frozenset(options["allow"])
    content = Content(
        table.name,
        frame,
        found,
        {},
        checked_rule(covariate_rule),
        allowed,
        dates=dates,
        remarks=tuple(r for r in remarks if r.name != "text read as censored"),
    )
    if faults or content.records.faults:
        said = {(fault.row, fault.column) for fault in table.faults if fault.row is not None}
        later = [*content.records.faults, *doctor.error_faults(doctor.examine(content))]
        raise DataError([*faults, *(fault for fault in later if (fault.row, fault.column) not in said)], table.name)
    notes = [note for note in (step.note, content.records.note) if note]
    assumed = content.records.note.split("; ")[1:]
    remarks += [Finding("warning", said, found["time"], "times read") for said in assumed]
    content = _settled(content, _units(units, content, table), dose_time)
    content = content.relabelled(remarks=tuple(r for r in remarks if r.name != "text read as censored"))
    data = GroupedData(content, (replace(step, note="; ".join(notes)),))
    for mend in options["mends"]:
        if mend in MENDS:
            data = replace(data.mend(mend), history=data.history, before=None)
    if strict:
        data.require_sound()
    return data


def _as_wide(faults: Iterable[Fault], wide: Sequence[Wide]) -> list[Fault]:
    """The faults; where a wide table explains them, that comes first."""
    ways = [
        Fault(
            way.message,
            mend=f'{STACKS[way.mend].text}: read_data(…, mends=("{way.mend}",))',
            offers=(way.mend,),
        )
        for way in wide
    ]
    return [*ways, *faults]


def _said_otherwise(
    frame: pd.DataFrame, roles: dict[str, Any], options: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any], list[Finding]]:
    """Text where numbers are needed: compartments by name, doses among the responses, values below a limit."""
    stated = options["roles"] or {}
    frame, roles, doses = dose_rows(frame, roles)
    words_missing = "read_text_as_missing" in options["mends"]
    frame, roles, limits = censoring.settled(frame, roles, options["lloq"], words_missing)
    frame, roles, compartment = compartments(frame, roles, stated)
    return frame, roles, [*doses, *limits, *compartment]


def table_of(source: Any, **options: Any) -> Table:
    """The table that `read_data` makes of a source with these options, before its columns have roles."""
    reading = {key: options[key] for key in ("na_values", "name") if key in options}
    table = read_table(source, **reading, form=form_of(options))
    for mend in options.get("mends", ()):
        if mend in STACKS:
            table = stacked(table, mend, resolve(table.frame, options.get("roles"), table.unnamed)[0])
    return table


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
    table = table_of(source, roles=roles, **options)
    if options.get("dose") is not None:
        table, roles = _with_dose(table, roles, options["dose"])
    found, _ = resolve(table.frame, roles, table.unnamed)
    faults: tuple[Fault, ...] = ()
    try:
        read_data(source, roles, **options)
    except DataError as error:
        faults = error.faults
    return Preview(table.frame, found, faults, table.name)


OFFERS = {
    **{name: stack.text for name, stack in STACKS.items()},
    "read_text_as_missing": "read words in the response as missing",
}
"""What faults may name for `mends`, in words: mends of the table as such, which have to come before all others."""


def form_of(options: Mapping[str, Any]) -> Form:
    """What `read_data`'s options state about the form of the file."""
    given = {field.name: options[field.name] for field in fields(Form) if field.name in options}
    return Form(**{**given, "names": tuple(given.get("names", ()))})


_DEFAULTS = {
    "roles": None, "units": None, "na_values": (), "name": None, "covariate_rule": "nocb", "dose": None,
    "dose_time": 0.0, "allow": (), "strict": True, "separator": None, "decimal": None, "encoding": None, "sheet": None,
    "skip": 0, "header": None, "names": (), "comment": None, "lloq": None, "dates": None, "mends": (),
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
    known = (*OFFERS, *MENDS)
    faults += [
        Fault(f"there is no mend {m!r}; there are {', '.join(known)}") for m in options["mends"] if m not in known
    ]
    lloq = options["lloq"]
    if lloq is not None and (isinstance(lloq, bool) or not isinstance(lloq, (int, float)) or not 0 < lloq < math.inf):
        faults.append(Fault(f"lloq {lloq!r}; allowed: a number above 0"))
    if options["dates"] not in (None, *ORDERS):
        faults.append(Fault(f"dates {options['dates']!r}; allowed: {', '.join(ORDERS)}"))
    skip, header = options["skip"], options["header"]
    if isinstance(skip, bool) or not isinstance(skip, int) or skip < 0:
        faults.append(Fault(f"skip {skip!r}; allowed: a number of lines"))
    if header is not None and header is not False and (isinstance(header, bool) or not isinstance(header, int)):
        faults.append(Fault(f"header {header!r}; allowed: the number of a line, or False"))
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


def _units(stated: Mapping[str, str] | None, data: Content, table: Table) -> dict[str, str]:
    """The stated units, and those found in the file; hours where clock times were counted in hours."""
    counted = data.records.note != ""
    if counted and stated and stated.get("time", "h") not in ("h", "hour", "hours", "hr"):
        message = f"time has the unit {stated['time']!r}, but clock times and dates are counted in 'h'"
        raise DataError(Fault(message, mend='leave it out, and use data.convert(time="…")'), data.name)
    checked = unit_tools.checked(stated, data.roles)
    found = {}
    for column, unit in _found_units(data, table).items():
        key = next((role for role, name in data.roles.items() if name == column), column)
        if key != "time" or not counted:
            found[key] = unit
    found = unit_tools.known({key: unit for key, unit in found.items() if key not in checked}, data.roles)
    return {**found, **checked, **({"time": "h"} if counted else {})}


def _found_units(data: Content, table: Table) -> dict[str, str]:
    """Unit by column: from its name, from a row of units, or from a column that holds nothing else."""
    used = {column for column in data.roles.values() if isinstance(column, str)} | set(data.covariate_names)
    found = {column: unit for column in data.frame.columns if (unit := split_unit(column)[1])}
    found |= dict(table.units)
    time = data.roles.get("time", "")
    if time not in found and len(time) > 1 and (unit := tidied(time.lower())) in TIME_UNITS:
        found[time] = unit
    for role, spellings in ((("response",), RESPONSE_UNIT), (("amount", "dose"), AMOUNT_UNIT), (("time",), TIME_UNIT)):
        column = next((data.roles[r] for r in role if r in data.roles), None)
        for name in data.frame.columns:
            if column is None or column in found or bare(name) not in spellings:
                continue
            cells = data.frame[name].dropna().astype(str).unique()
            if len(cells) == 1 and looks_like_unit(cells[0]):
                found[column] = tidied(cells[0])
    return {column: unit for column, unit in found.items() if column in used}


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
