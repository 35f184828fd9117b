"""The data of a control stream as grouped data: which part each column plays for the model that was understood."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from workbench.data import GroupedData, read_data
from workbench.errors import ModelError
from workbench.exchange.reader import Reader

_ROLES = {
    "ID": "subject", "TIME": "time", "DV": "response", "AMT": "amount", "EVID": "evid", "MDV": "mdv",
    "CMT": "compartment", "RATE": "rate", "ADDL": "additional", "II": "interval", "SS": "steady_state",
}  # fmt: skip
_ALL_ROLES = (
    "subject", "time", "date", "response", "amount", "dose", "dose_time", "evid", "mdv", "compartment", "rate",
    "duration", "additional", "interval", "steady_state", "occasion", "censor", "limit", "response_id",
)  # fmt: skip
_ALLOWED = (
    "negative time", "subject without dose", "subject without observation", "dose without amount",
    "observations in several compartments",
)  # fmt: skip


def grouped(reader: Reader) -> GroupedData:
    """The data of a stream, after its model has been understood.

    Raises
    ------
    ModelError
        If they say what the model cannot take.
    """
    stream, place = reader.records.path.name, reader.place.name
    frame, roles = reader.frame, dict[str, Any](dict.fromkeys(_ALL_ROLES))
    predpp = "PK" in reader.code
    for column, role in _ROLES.items():
        if column in frame and (predpp or role in ("subject", "time", "response", "mdv", "evid")):
            roles[role] = column
    if "ID" not in frame or "DV" not in frame:
        raise ModelError(f"{stream}: $INPUT needs ID and DV.")
    if "TIME" not in frame:
        if predpp:
            raise ModelError(f"{stream}: $INPUT needs TIME.")
        frame = frame.assign(TIME=frame.groupby("ID").cumcount().astype(float))
        roles["time"] = "TIME"
    if not predpp and roles["evid"]:
        roles["evid"] = None
        if not roles["mdv"]:
            frame = frame.assign(MDV=(frame["EVID"] != 0).astype(int))
            roles["mdv"] = "MDV"
    if predpp and "AMT" in frame:
        frame = _dosed(reader, frame, roles)
    used = {c for c in reader.columns_used() if c in reader.made}
    frame = frame.assign(**{name: reader.made[name] for name in sorted(used) if name not in frame})
    for name, role in ((reader.occasion, "occasion"), (reader.response_column, "response_id")):
        if name is not None:
            if name not in frame:
                frame = frame.assign(**{name: reader.made[name]})
            roles[role] = name
            used.add(name)
    if reader.censored is not None:
        label = "CENS" if "CENS" not in frame or "CENS" not in reader.columns_used() else "CENSORED"
        limited = np.where(reader.censored, reader.limits, frame["DV"])
        frame = frame.assign(**{label: reader.censored.astype(int)}).assign(DV=limited)
        roles["censor"] = label
    wanted = {*reader.columns_used(), *(v for v in roles.values() if v)}
    roles["ignore"] = tuple(c for c in frame.columns if c not in wanted)
    whole = {c: frame[c].astype(int) for c in frame.columns if (frame[c] % 1 == 0).all() and c not in ("DV", "AMT")}
    return read_data(frame.assign(**whole), roles=roles, name=place, allow=_ALLOWED)


def _dosed(reader: Reader, frame: pd.DataFrame, roles: dict[str, Any]) -> pd.DataFrame:
    """Doses with the compartment that they enter, and rates in the words that are known here."""
    stream, place = reader.records.path.name, reader.place.name
    doses = frame["AMT"] > 0
    into = frame["CMT"] if "CMT" in frame else 0.0 * frame["AMT"]
    if (into < 0).any():
        raise ModelError(f"{place}: CMT < 0 turns a compartment off for NONMEM, which is not read.")
    if reader.dosed != 1:
        into = into.where(~(doses & (into == 0)), float(reader.dosed))
        frame = frame.assign(CMT=into)
        roles["compartment"] = "CMT"
    into = into.where(into != 0, float(reader.dosed))
    rate = frame["RATE"] if "RATE" in frame else 0.0 * frame["AMT"]
    for name in reader.parts:
        lasting = re.fullmatch(r"D(\d+)", name)
        if lasting is not None and (doses & (into == int(lasting.group(1))) & (rate == 0)).any():
            raise ModelError(
                f"{stream}: {name} is given, and {place} has doses into that compartment with RATE = 0, which are "
                "boluses for NONMEM and would last for that time here."
            )
    for value, sign in ((-1, "R"), (-2, "D")):
        for number in sorted({int(c) for c in into[doses & (rate == value)]}):
            if f"D{number}" not in reader.parts:
                raise ModelError(
                    f"{place} has doses with RATE = {value} into compartment {number}, and {stream} gives no "
                    f"{sign}{number}."
                )
    if (rate == -1).any():
        frame = frame.assign(RATE=rate.where(rate != -1, -2.0))
    return frame
