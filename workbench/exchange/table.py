"""The records of data as other tools read them: numbers only, NONMEM's columns, one dose for each place it enters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.data import GroupedData
from workbench.exchange.outline import codes_of

if TYPE_CHECKING:
    import pandas as pd


def written_labels(labels: Sequence[object]) -> tuple[dict[object, float], bool]:
    """A number for each label: its own if all are different numbers, else 1, 2, …; and whether it is its own."""
    numbers: list[float] = []
    for label in labels:
        try:
            numbers.append(float(str(label)))
        except ValueError:
            break
    own = len(numbers) == len(labels) and len(set(numbers)) == len(numbers) and bool(np.isfinite(numbers).all())
    own = own and all(abs(n) < 1e14 for n in numbers)
    return dict(zip(labels, numbers if own else range(1, len(labels) + 1), strict=True)), own


def table_of(
    data: GroupedData,
    columns: Mapping[str, str],
    routes: Mapping[int, Sequence[int]] | None,
    timed: Sequence[int],
    logged: Sequence[bool],
    *,
    leaves_out_censored: bool,
    uses: Sequence[str] = (),
) -> pd.DataFrame:
    """The records.

    Parameters
    ----------
    data : GroupedData
    columns : mapping of str to str
        Columns of the data by the names that they are given here.
    routes : mapping of int to sequence of int, optional
        The compartments, as the other tool counts them, that a dose with a CMT enters. None: doses only say when and
        how much, in columns that `uses` names.
    timed : sequence of int
        Those of them, as the other tool counts, whose doses last for a time that is a parameter.
    logged : sequence of bool
        Of which responses the logarithm is written.
    leaves_out_censored : bool
        Censored records do not count.
    uses : sequence of str
        Out of "dose" and "tad", the amount of the last dose and the time since it: columns of their own.
    """
    import pandas as pd

    events = data.events
    n = len(events.time)
    codes, _ = written_labels(events.subjects)
    ids = np.array([codes[label] for label in events.subjects])[events.subject]
    counts = events.observed & ~((events.censored != 0) & leaves_out_censored)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array(logged, dtype=bool)[events.response] & events.observed
        dv = np.where(events.observed, np.where(logs, np.log(np.where(logs, events.dv, 1.0)), events.dv), 0.0)
        limit = np.where(logs, np.log(events.limit), events.limit)
    frame = pd.DataFrame({"ID": ids, "TIME": events.time, "EVID": events.kind})
    if routes is None:
        frame["EVID"] = np.where(counts, 0, 2)
    else:
        rate = np.where(events.duration > 0, events.amount / np.where(events.duration > 0, events.duration, 1.0), 0.0)
        rate = np.where(events.rate != 0, events.rate, rate)
        frame["AMT"] = np.where(events.is_dose, events.amount, 0.0)
        for name, values in (
            ("RATE", rate), ("II", events.interval), ("ADDL", events.additional), ("SS", events.steady_state),
        ):  # fmt: skip
            if (name == "RATE" and timed) or np.any(values[events.is_dose] != 0):
                frame[name] = np.where(events.is_dose, values, 0)
    frame["DV"] = dv
    frame["MDV"] = np.where(counts, 0, 1)
    if len(data.responses) > 1:
        frame["DVID"] = events.response + 1
    if data.occasions:
        frame["OCC"] = events.occasion + 1
    if (events.censored[events.observed] != 0).any() and not leaves_out_censored:
        frame["CENS"] = np.where(counts, events.censored, 0)
        if np.isfinite(limit[counts & (events.censored != 0)]).any():
            frame["LIMIT"] = np.where(np.isfinite(limit) & (events.censored != 0), limit, np.nan)
    since, amount = events.last_dose
    for use, values in (("dose", amount), ("tad", since)):
        if use in uses:
            frame[use] = np.nan_to_num(values)
    known = data.covariate_values(list(columns)) if columns else pd.DataFrame(index=range(n))
    for column, name in columns.items():
        coded = codes_of(data, column)
        there = known[column]
        frame[name] = there.astype(str).map(coded) if coded else there.to_numpy(dtype=float)
    return frame if routes is None else _sent(frame, data, routes, timed)


def _sent(
    frame: pd.DataFrame, data: GroupedData, routes: Mapping[int, Sequence[int]], timed: Sequence[int]
) -> pd.DataFrame:
    """One record for each compartment that a dose enters; others say no compartment."""
    into = zip(data.events.is_dose, np.maximum(data.events.compartment, 1), strict=True)
    targets = [list(routes.get(int(cmt), (int(cmt),))) if dose else [0] for dose, cmt in into]
    rows = np.repeat(np.arange(len(frame)), [len(t) for t in targets])
    found = frame.iloc[rows].reset_index(drop=True)
    repeated = np.concatenate([[False], rows[1:] == rows[:-1]])
    if (found["EVID"][repeated] == 4).any():  # a reset takes place once
        found.loc[repeated & (found["EVID"] == 4), "EVID"] = 1
    found.insert(3, "CMT", [c for t in targets for c in t])
    if timed:
        lasts = found["CMT"].isin(list(timed)) & (found["AMT"] > 0) & (found["RATE"] == 0)
        found["RATE"] = found["RATE"].where(~lasts, -2.0)
    return found


def csv_of(frame: pd.DataFrame) -> str:
    """As text, "." for nothing; whole numbers without a point, words as they are."""
    text: str = frame.map(_shown).to_csv(index=False, lineterminator="\n")
    return text


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if np.isnan(value):
        return "."
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
