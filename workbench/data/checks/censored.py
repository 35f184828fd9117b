"""Values below or above a limit of quantification: counted, and with a limit that is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from workbench.data.checks.mending import Findings, Mend, moved, places, put, settled, without_rows
from workbench.data.checks.scribe import Scribe
from workbench.data.content import Content
from workbench.findings import Finding

AS_ONE = ("censored without a limit", "limits differ")
JUDGED = ("limits differ",)


def find(data: Content) -> Iterator[Finding]:
    """What is known and not known of the limits."""
    scribe, events = Scribe(data), data.events
    response = scribe.column("response")
    marks = data.records.marks
    unknown = (
        ("take_stated_limit", ("drop_unknown_limits",)) if _stated(data) is not None else ("drop_unknown_limits", ())
    )
    yield from scribe.marked(
        "censored without a limit", "error", "censored without a limit", "response",
        f"{{}} marked as below or above a limit{_example(data)} that is not known: neither DV nor a limit column says "
        "it; state it: read_data(…, lloq=…)", *unknown,
    )  # fmt: skip
    at = events.censored != 0
    if at.any():
        limits = np.unique(events.dv[at])
        shown = ", ".join(f"{v:g}" for v in limits[:3]) + (", …" if len(limits) > 3 else "")
        count = "1 value" if at.sum() == 1 else f"{int(at.sum())} values"
        below = "below" if (events.censored[at] > 0).all() else "above" if (events.censored[at] < 0).all() else "beyond"
        message = f"{count} {below} the limit ({shown}); the model's blq says how they count: M1 (not at all), M3 or M4"
        yield scribe.of_rows("censored", "warning", np.unique(events.row[at]), response, message, "drop_censored")
    low = at & (events.censored > 0)
    differ = len(np.unique(events.dv[low]))
    if "limit" not in data.roles and differ >= 3 and differ > 0.5 * low.sum():
        message = (
            f"{int(low.sum())} values are marked as below a limit, but differ ({events.dv[low].min():g} … "
            f"{events.dv[low].max():g}), as measured values do: the limit is not known"
        )
        yield scribe.of_rows(
            "limits differ", "warning", np.unique(events.row[low]), response, message, "take_highest_as_limit"
        )
    yield from scribe.marked(
        "censored but not counted", "warning", "censored but not counted", "response",
        "{} marked as below or above a limit, but MDV says that they do not count: left out of the likelihood",
        "count_censored",
    )  # fmt: skip
    yield from _unmarked(data, scribe)
    if "missing response" in marks and "limit" in data.roles and not at.any():
        empty = np.flatnonzero(marks["missing response"])
        if len(empty):
            message = f"{len(empty)} observations without a value beside a limit: below it?"
            yield scribe.of_rows("empty beside a limit", "warning", empty, response, message, "read_empty_as_below")


def _example(data: Content) -> str:
    """What stood in the first of the cells without a limit."""
    kept = f"{data.roles.get('response')} as read"
    rows = np.flatnonzero(data.records.marks.get("censored without a limit", np.zeros(0, dtype=bool)))
    return f" ({data.frame[kept].iloc[rows[0]]!r})" if len(rows) and kept in data.frame.columns else ""


def _limits(data: Content) -> np.ndarray:
    """The stated limit of each row; NaN where there is none."""
    if "limit" not in data.roles:
        return np.full(len(data.frame), np.nan)
    values = pd.to_numeric(data.frame[data.roles["limit"]], errors="coerce")
    found: np.ndarray = values.to_numpy(dtype=float, na_value=np.nan)
    return found


def _unmarked(data: Content, scribe: Scribe) -> Iterator[Finding]:
    """Values below the stated limit that are not marked as such."""
    events = data.events
    limit = _limits(data)[events.row]
    if "limit" not in data.roles or not np.isfinite(limit).any():
        return
    low = events.observed & (events.censored == 0) & (events.dv < limit)
    if low.any() and low.sum() < 0.9 * events.observed.sum():
        count = "1 value lies" if low.sum() == 1 else f"{int(low.sum())} values lie"
        message = f"{count} below the limit without a mark: taken as measured"
        rows = np.unique(events.row[low])
        yield scribe.of_rows(
            "below the limit", "warning", rows, scribe.column("response"), message, "censor_below_limit"
        )


def _stated(data: Content) -> float | None:
    """The one limit that other censored values state."""
    events = data.events
    known = np.unique(events.dv[(events.censored > 0) & (events.dv > 0)])
    return float(known[0]) if len(known) == 1 else None


def _taken(data: Content, findings: Findings) -> Content:
    limit, column = _stated(data), data.roles["response"]
    return data if limit is None else put(data, column, places(findings, data), limit)


def _highest(data: Content, findings: Findings) -> Content:
    rows, column = places(findings, data), data.roles["response"]
    return put(data, column, rows, float(data.frame[column][rows].max()))


def _marked(data: Content, rows: np.ndarray, limit: np.ndarray) -> Content:
    """Mark rows as censored, in the censor column or a new one."""
    frame, roles, response = data.frame, data.roles, data.roles["response"]
    name = roles.get("censor", "CENS")
    if "censor" not in roles:
        while name in frame.columns:
            name += "'"
        frame = frame.assign(**{name: 0})
        roles = moved(roles, name, "censor")
    values = frame[response].where(~(rows & np.isfinite(limit)), limit)
    return data.changed(frame=frame.assign(**{name: frame[name].mask(rows, 1), response: values}), roles=roles)


def _below_limit(data: Content, findings: Findings) -> Content:
    return _marked(data, places(findings, data), _limits(data))


def _values_marked(data: Content, findings: Findings) -> Content:
    made = _marked(data, places(findings, data), np.full(len(data.frame), np.nan))
    return settled("marked values")(made, findings)


def _counted(data: Content, findings: Findings) -> Content:
    return put(data, data.roles["mdv"], places(findings, data), 0)


MENDS = {
    "take_stated_limit": Mend("take the limit that the other values state", _taken),
    "take_highest_as_limit": Mend("take the highest of them as the limit", _highest),
    "drop_unknown_limits": Mend("leave these rows out", without_rows),
    "drop_censored": Mend("leave these rows out (M1)", without_rows),
    "count_censored": Mend("let them count (MDV 0)", _counted),
    "censor_below_limit": Mend("mark them as below the limit", _below_limit),
    "read_empty_as_below": Mend("read them as below the limit", _below_limit),
    "read_marked_as_below": Mend("read them as below that number", _values_marked),
    "read_marked_as_values": Mend("read them as values", settled("marked values")),
}
