"""Responses: missing, not positive, several taken as one, far from all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from workbench.data.cells import Bools
from workbench.data.checks.mending import Findings, Mend, moved, places, without_rows
from workbench.data.checks.scribe import Scribe
from workbench.data.content import Content
from workbench.findings import Finding

AS_ONE = ("observations in several compartments",)
JUDGED = ("observations in several compartments",)

_LOG_SCALE = 0.05
_FAR = 5.0
_SPIKE = 10.0
_ALONE = 20.0
_NEAR = 4 / 3


def find(data: Content) -> Iterator[Finding]:
    """What is odd about the observations."""
    scribe, events = Scribe(data), data.events
    message = "an observation without a value; it does not enter the likelihood"
    yield from scribe.rows("missing response", "missing response", "response", message, "drop_missing_responses")
    low = events.observed & (events.censored == 0) & ~(events.dv > 0)
    negative = pd.Series(events.dv < 0).groupby(events.response).transform("mean").to_numpy()
    low &= negative < _LOG_SCALE  # many negative values: the response is on a log scale, or a difference
    yield from scribe.records("response not positive", "warning", low, "response",
                              "0 or negative; log and proportional error models have no use for it",
                              "drop_responses_not_positive")  # fmt: skip
    odd = outlying(data)
    if odd.any():
        top = events.dv[odd].max()
        rest = events.dv[events.observed & ~odd]
        message = f"{top:g} among values up to {rest.max():g}: an outlier, or a slip"
        if top <= rest.max():
            message = f"{events.dv[odd][0]:g} far from its neighbours in time: an outlier, or a slip"
        rows = np.unique(events.row[odd])
        powers = shifts(data)[odd]
        slip = bool((powers > 0).all())
        if slip:
            first = float(events.dv[odd][0])
            message += f"; {first:g} would be {first / 10 ** powers[0]:g} with its decimal point shifted"
        yield scribe.of_rows("outlying response", "warning", rows, scribe.column("response"), message,
                             "drop_outlying_responses", ("shift_decimal_points",) if slip else ())  # fmt: skip
    yield from _compartments(data, scribe)


def outlying(data: Content) -> Bools:
    """Records whose response is far above all others, or far from both neighbours of the subject."""
    events = data.events
    found = np.zeros(len(events.time), dtype=bool)
    for response in range(len(data.records.responses)):
        mine = events.observed & (events.censored == 0) & (events.response == response)
        at = np.flatnonzero(mine & (events.dv > 0))
        if 4 <= len(at) < 8 and (events.dv[mine] >= 0).all():
            found[at] = _alone_above(events.dv[at])
        elif len(at) >= 8 and (events.dv[mine] < 0).mean() < _LOG_SCALE:
            found[at] = _above(events.dv[at], events.subject[at]) | _spikes(
                events.time[at], np.log(events.dv[at]), events.subject[at]
            )
    return found


def shifts(data: Content) -> np.ndarray:
    """By how many places the point of an outlying response is to be shifted; 0 where that makes it no usual one.

    It has to come between its neighbours in time, or near them.
    """
    events = data.events
    odd = outlying(data)
    powers = np.zeros(len(odd), dtype=np.int64)
    usual = events.observed & (events.censored == 0) & (events.dv > 0) & ~odd
    for k in np.flatnonzero(odd):
        own = usual & (events.subject == events.subject[k]) & (events.response == events.response[k])
        before, after = (
            np.flatnonzero(own & side) for side in (events.time < events.time[k], events.time > events.time[k])
        )
        near = [*events.dv[before[-1:]], *events.dv[after[:1]]]
        if not near:
            continue
        expected = float(np.exp(np.mean(np.log(near))))
        power = round(np.log10(events.dv[k] / expected))
        read = events.dv[k] / 10.0**power
        if power > 0 and min(near) / _NEAR <= read <= max(near) * _NEAR:
            powers[k] = power
    return powers


def _shifted(data: Content, findings: Findings) -> Content:
    column: str = data.roles["response"]
    power = np.zeros(len(data.frame), dtype=np.int64)
    found = shifts(data)
    power[data.events.row[found > 0]] = found[found > 0]
    power[~places(findings, data)] = 0
    values = data.frame[column].astype(float)
    pairs = zip(values.tolist(), power.tolist(), strict=True)
    read = [float(f"{value / 10.0**k:.12g}") if k else value for value, k in pairs]
    return data.changed(frame=data.frame.assign(**{column: read}))


def _alone_above(y: np.ndarray) -> Bools:
    """Of few values, one that is farther above the next than all others are apart."""
    order = np.sort(y)
    far = order[-1] > _ALONE * order[-2] and order[-1] / order[-2] > 2 * order[-2] / order[0]
    return np.asarray((y == order[-1]) & far)


def _above(y: np.ndarray, subject: np.ndarray) -> Bools:
    """The few highest values, where a wide gap parts them from all others, those of their subject included."""
    order = np.sort(y)
    most = max(2 if len(y) >= 16 else 1, len(y) // 50)
    gaps = order[-most:] / order[-most - 1 : -1]
    high = np.zeros(len(y), dtype=bool)
    if not (gaps >= _FAR).any():
        return high
    limit = order[-most:][np.flatnonzero(gaps >= _FAR)[0]]
    high = np.asarray(y >= limit)
    left = pd.Series(np.where(high, np.nan, y)).groupby(subject).transform("max").to_numpy()
    return np.asarray(high & ~(left * _FAR > y))


def _spikes(time: np.ndarray, log_y: np.ndarray, subject: np.ndarray) -> Bools:
    """Values ten times higher or lower than both neighbours, which agree with each other."""
    found = np.zeros(len(time), dtype=bool)
    if len(time) < 3:
        return found
    inner = (subject[2:] == subject[:-2]) & (time[1:-1] > time[:-2]) & (time[2:] > time[1:-1])
    before, after = log_y[1:-1] - log_y[:-2], log_y[1:-1] - log_y[2:]
    apart = (np.abs(before) > np.log(_SPIKE)) & (np.abs(after) > np.log(_SPIKE)) & (np.sign(before) == np.sign(after))
    found[1:-1] = inner & apart & (np.abs(log_y[2:] - log_y[:-2]) < np.log(3.0)) & (before > 0)
    return found


def _compartments(data: Content, scribe: Scribe) -> Iterator[Finding]:
    """Observations in several compartments are several responses."""
    events = data.events
    if "compartment" not in data.roles or len(data.records.responses) > 1 or "response_id" in data.roles:
        return
    seen = events.observed & (events.compartment > 0)
    which = np.unique(events.compartment[seen])
    if len(which) > 1:
        names = ", ".join(map(str, which[:-1])) + f" and {which[-1]}"
        message = f"observations in compartments {names} are taken as one response"
        rows = np.unique(events.row[seen & (events.compartment > which[0])])
        yield scribe.of_rows("observations in several compartments", "error", rows, data.roles["compartment"], message,
                             "split_by_compartment")  # fmt: skip


def _by_compartment(data: Content, findings: Findings) -> Content:
    name = "DVID"
    while name in data.frame.columns:
        name += "'"
    events = data.events
    label = np.full(len(data.frame), np.nan)
    label[events.row[events.observed]] = events.compartment[events.observed]
    return data.changed(frame=data.frame.assign(**{name: label}), roles=moved(data.roles, name, "response_id"))


def _pooled(data: Content, findings: Findings) -> Content:
    roles = dict(data.roles)
    column = roles.pop("response_id", None)
    if column is None:
        return data
    allow = data.allow | {"observations in several compartments"}
    return data.changed(roles=moved(roles, column, "ignore"), allow=allow, remarks=tuple(
        remark for remark in data.remarks if remark.name != "responses by compartment"))  # fmt: skip


MENDS = {
    "drop_missing_responses": Mend("leave these rows out", without_rows),
    "drop_responses_not_positive": Mend("leave these rows out", without_rows),
    "drop_outlying_responses": Mend("leave these rows out", without_rows),
    "shift_decimal_points": Mend("shift the decimal point", _shifted),
    "split_by_compartment": Mend("take them as one response per compartment", _by_compartment),
    "pool_responses": Mend("take them all as one response", _pooled),
}
