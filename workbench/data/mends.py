"""Mends: functions of the data that put right what the doctor found.

`GroupedData.mend` carries them out under their names, so that they are recorded and can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.tables import subject_codes
from workbench.errors import DataError, Fault

if TYPE_CHECKING:
    from workbench.data.grouped import GroupedData

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Mend:
    """What it does, in words, and the frame that it makes of the data."""

    text: str
    frame: Callable[[GroupedData], pd.DataFrame]


def _without_rows(name: str) -> Callable[[GroupedData], pd.DataFrame]:
    def frame(data: GroupedData) -> pd.DataFrame:
        rows = _places(data, name)
        return data._frame[~rows]

    return frame


def _without_subjects(*names: str) -> Callable[[GroupedData], pd.DataFrame]:
    def frame(data: GroupedData) -> pd.DataFrame:
        return data._frame[~_of_subjects(data, names)]

    return frame


def _of_subjects(data: GroupedData, names: tuple[str, ...]) -> Bools:
    labels = {label for finding in data._findings if finding.name in names for label in finding.subjects}
    events = data._records.events
    rows = np.zeros(len(data._frame), dtype=bool)
    chosen = np.array([label in labels for label in events.subjects], dtype=bool)
    rows[events.row[chosen[events.subject]]] = True
    return rows


def _places(data: GroupedData, name: str) -> Bools:
    rows = np.zeros(len(data._frame), dtype=bool)
    rows[[place for finding in data._findings if finding.name == name for place in finding.places]] = True
    return rows


def _cleared(name: str, role: str) -> Callable[[GroupedData], pd.DataFrame]:
    def frame(data: GroupedData) -> pd.DataFrame:
        column = data._roles[role]
        return data._frame.assign(**{column: data._frame[column].mask(_places(data, name), 0)})

    return frame


def _by_time(data: GroupedData) -> pd.DataFrame:
    row = data._records.events.row
    _, first = np.unique(row, return_index=True)
    return data._frame.iloc[row[np.sort(first)]]


def _gathered(data: GroupedData) -> pd.DataFrame:
    codes = pd.factorize(data._frame[data._roles["subject"]])[0]
    return data._frame.iloc[np.argsort(codes, kind="stable")]


def _rescaled(data: GroupedData) -> pd.DataFrame:
    column: str = data._roles["amount" if "amount" in data._roles else "dose"]
    amount = data._frame[column].astype(float)
    rows = _places(data, "dose outlier")
    middle = float(amount[(amount > 0) & ~rows].median())
    scale = np.where(amount > middle, 1e-3, 1e3)
    return data._frame.assign(**{column: amount.where(~rows, amount * scale)})


def _filled(data: GroupedData) -> pd.DataFrame:
    """Missing covariates: the subject's own values by the rule; else the median or most frequent of the subjects."""
    filled = {}
    subject = subject_codes(data)
    for name in data.covariate_names:
        values = data._frame[name]
        if not values.isna().any() or values.isna().all():
            continue
        own = values.groupby(subject)
        values = own.bfill().fillna(own.ffill())
        each = values.groupby(subject).first().dropna()
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        filled[name] = values.fillna(float(each.median()) if numeric else each.mode().iloc[0])
    return data._frame.assign(**filled)


def _first_values(data: GroupedData) -> pd.DataFrame:
    subject = subject_codes(data)
    names = [finding.where for finding in data._findings if finding.name == "varying covariate"]
    return data._frame.assign(**{name: data._frame[name].groupby(subject).transform("first") for name in names if name})


def _without_constants(data: GroupedData) -> pd.DataFrame:
    names = [finding.where for finding in data._findings if finding.name == "constant covariate"]
    return data._frame.drop(columns=[name for name in names if name])


MENDS: dict[str, Mend] = {
    "drop_negative_times": Mend("leave these rows out", _without_rows("negative time")),
    "drop_doses_without_amount": Mend("leave these rows out", _without_rows("dose without amount")),
    "drop_subjects_without_dose": Mend(
        "leave these subjects out", _without_subjects("subject without dose", "baseline subject without dose")
    ),
    "drop_subjects_without_observation": Mend(
        "leave these subjects out", _without_subjects("subject without observation")
    ),
    "clear_amounts_on_observations": Mend("set these amounts to 0", _cleared("amount on an observation", "amount")),
    "clear_additional_doses": Mend("set ADDL to 0 there", _cleared("additional doses without interval", "additional")),
    "clear_steady_state": Mend("set SS to 0 there", _cleared("steady state without interval", "steady_state")),
    "drop_duplicate_times": Mend("keep the first of them", _without_rows("duplicate time")),
    "drop_missing_responses": Mend("leave these rows out", _without_rows("missing response")),
    "drop_responses_not_positive": Mend("leave these rows out", _without_rows("response not positive")),
    "sort_by_time": Mend("sort the rows of each subject by time", _by_time),
    "gather_subjects": Mend("put the rows of each subject together", _gathered),
    "rescale_outlying_doses": Mend("multiply or divide these doses by 1000", _rescaled),
    "fill_covariates": Mend("fill from the subject itself, else with the median or most frequent value", _filled),
    "first_covariate_values": Mend("use the first value of each subject throughout", _first_values),
    "ignore_constant_covariates": Mend("leave these columns out", _without_constants),
}
"""Every mend by name."""


def mended(data: GroupedData, name: str) -> pd.DataFrame:
    """The frame after a mend."""
    if name not in MENDS:
        raise DataError(Fault(f"there is no mend {name!r}; there are {', '.join(MENDS)}"), data.name)
    return MENDS[name].frame(data)
