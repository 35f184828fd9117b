"""Doses: amounts, intervals, rates, and what looks like them and is not used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from workbench.data.cells import Bools, Floats, Ints
from workbench.data.checks.mending import Findings, Mend, cleared, places, with_role, without_rows
from workbench.data.checks.scribe import Scribe
from workbench.data.content import Content
from workbench.data.events import OBSERVATION
from workbench.data.names import looks_like
from workbench.data.units import factor
from workbench.errors import DataError
from workbench.findings import Finding

AS_ONE = ("negative amount", "unit of another time")
JUDGED = ("dose without amount",)

_OUTLIER = 300.0


def find(data: Content) -> Iterator[Finding]:
    """What is wrong or odd about the doses."""
    scribe, events = Scribe(data), data.events
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
    yield from scribe.marked(
        "negative amount", "error", "negative amount", "amount",
        "an amount of {} is a code for a missing value, or a slip; allowed: 0 or more", "read_codes_as_missing",
    )  # fmt: skip
    yield from scribe.marked(
        "repeated dose", "warning", "repeated dose", role,
        "the same dose stands on the rows of each response; counted once, {} left out", "count_every_dose",
    )  # fmt: skip
    if doses.any():
        yield from _unused(data)
        yield from _units(data)


def _unused(data: Content) -> Iterator[Finding]:
    """Columns whose names say duration or rate, which play no part."""
    for column in data.covariate_names:
        role = looks_like(column)
        values = data.frame[column]
        dosed = values.notna().to_numpy()[data.events.row[data.events.is_dose]]
        if role == "end" and "duration" not in data.roles and "rate" not in data.roles and dosed.any():
            message = "looks like the end of infusions, but is a covariate: doses are read as if it were not there"
            mend = "make a column of durations of it (end less time): roles={'duration': …}"
            yield Finding("warning", message, column, "unused column", mend=mend)
        if role not in ("duration", "rate") or role in data.roles or not pd.api.types.is_numeric_dtype(values.dtype):
            continue
        if values.notna().any():
            message = f"looks like the {role} of infusions, but is a covariate: doses are read as if it were not there"
            yield Finding("warning", message, column, "unused column", mend=f"use_as_{role}")


def _units(data: Content) -> Iterator[Finding]:
    """Rates and durations counted in another unit than times and amounts are."""
    units = {role: data.units[role] for role in ("time", "rate", "duration", "interval") if role in data.units}
    amount = data.units.get("amount", data.units.get("dose"))
    if "time" not in units:
        for role in ("rate", "duration", "interval"):
            if role in units and role in data.roles:
                message = f"counted in {units[role]}, but the unit of time is not known: is it the same?"
                mend = "state it: read_data(…, units={'time': …})"
                yield Finding("warning", message, data.roles[role], "unit of time not known", mend=mend)
        return
    for role in ("rate", "duration", "interval"):
        target = units["time"] if role != "rate" else f"({amount})/({units['time']})" if amount else ""
        if role not in units or role not in data.roles or not target:
            continue
        try:
            scale = factor(units[role], target, role)
        except DataError:
            continue
        if abs(scale - 1) > 1e-9:
            message = (
                f"counted in {units[role]}, but times and amounts make it {target}: off by a factor of {scale:.4g}"
            )
            yield Finding("error", message, data.roles[role], "unit of another time", mend="convert_to_unit_of_time")


def _converted(data: Content, findings: Findings) -> Content:
    frame, units = data.frame, dict(data.units)
    amount = units.get("amount", units.get("dose", ""))
    for finding in findings:
        role = next(role for role in ("rate", "duration", "interval") if data.roles.get(role) == finding.where)
        target = units["time"] if role != "rate" else f"({amount})/({units['time']})"
        values = frame[finding.where].astype(float)
        scale = factor(units[role], target, role)
        frame = frame.assign(**{finding.where: values.where(values < 0, values * scale)})
        units[role] = target
    return data.changed(frame=frame, units=units)


def _outlying(amount: Floats, group: Ints, doses: Bools) -> tuple[Bools, str]:
    """Doses some hundred times larger or smaller than the median of their compartment: a slip of the unit."""
    if not doses.any():
        return doses, ""
    median = pd.Series(np.where(doses, amount, np.nan)).groupby(group).transform("median").to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(doses, amount / median, 1.0)
    odd = (ratio > _OUTLIER) | (ratio < 1 / _OUTLIER)
    middle = float(np.median(amount[doses]))
    return odd, f"more than {_OUTLIER:g} times larger or smaller than the median dose ({middle:g}): another unit?"


def _rescaled(data: Content, findings: Findings) -> Content:
    column: str = data.roles["amount" if "amount" in data.roles else "dose"]
    amount = data.frame[column].astype(float)
    rows = places(findings, data)
    middle = float(amount[(amount > 0) & ~rows].median())
    scale = np.where(amount > middle, 1e-3, 1e3)
    return data.changed(frame=data.frame.assign(**{column: amount.where(~rows, amount * scale)}))


def _every_dose(data: Content, findings: Findings) -> Content:
    return data.changed(allow=data.allow | {"repeated dose"})


MENDS = {
    "drop_doses_without_amount": Mend("leave these rows out", without_rows),
    "clear_amounts_on_observations": Mend("set these amounts to 0", cleared("amount")),
    "clear_additional_doses": Mend("set ADDL to 0 there", cleared("additional")),
    "clear_steady_state": Mend("set SS to 0 there", cleared("steady_state")),
    "rescale_outlying_doses": Mend("multiply or divide these doses by 1000", _rescaled),
    "count_every_dose": Mend("count every one of them", _every_dose),
    "use_as_duration": Mend("use it as the duration of the doses", with_role("duration"), by_column=True),
    "use_as_rate": Mend("use it as the rate of the doses", with_role("rate"), by_column=True),
    "convert_to_unit_of_time": Mend("convert it to the units of time and amount", _converted),
}
