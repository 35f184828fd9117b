"""Mends: functions of the data that put right what the doctor found.

`GroupedData.mend` carries them out under their names, so that they are recorded and can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.content import Content
from workbench.errors import DataError, Fault
from workbench.findings import Finding

Bools = NDArray[np.bool_]
Findings = Sequence[Finding]


@dataclass(frozen=True)
class Mend:
    """What it does, in words, and the frame that it makes of the data and what was found in them."""

    text: str
    frame: Callable[[Content, Findings], pd.DataFrame]


def _without_rows(name: str) -> Callable[[Content, Findings], pd.DataFrame]:
    def frame(data: Content, findings: Findings) -> pd.DataFrame:
        rows = _places(findings, name, len(data.frame))
        return data.frame[~rows]

    return frame


def _without_subjects(*names: str) -> Callable[[Content, Findings], pd.DataFrame]:
    def frame(data: Content, findings: Findings) -> pd.DataFrame:
        return data.frame[~_of_subjects(data, findings, names)]

    return frame


def _of_subjects(data: Content, findings: Findings, names: tuple[str, ...]) -> Bools:
    labels = {label for finding in findings if finding.name in names for label in finding.subjects}
    events = data.events
    rows = np.zeros(len(data.frame), dtype=bool)
    chosen = np.array([label in labels for label in events.subjects], dtype=bool)
    rows[events.row[chosen[events.subject]]] = True
    return rows


def _places(findings: Findings, name: str, n: int) -> Bools:
    rows = np.zeros(n, dtype=bool)
    rows[[place for finding in findings if finding.name == name for place in finding.places]] = True
    return rows


def _cleared(name: str, role: str) -> Callable[[Content, Findings], pd.DataFrame]:
    def frame(data: Content, findings: Findings) -> pd.DataFrame:
        column = data.roles[role]
        return data.frame.assign(**{column: data.frame[column].mask(_places(findings, name, len(data.frame)), 0)})

    return frame


def _by_time(data: Content, findings: Findings) -> pd.DataFrame:
    row = data.events.row
    _, first = np.unique(row, return_index=True)
    return data.frame.iloc[row[np.sort(first)]]


def _gathered(data: Content, findings: Findings) -> pd.DataFrame:
    codes = pd.factorize(data.frame[data.roles["subject"]])[0]
    return data.frame.iloc[np.argsort(codes, kind="stable")]


def _rescaled(data: Content, findings: Findings) -> pd.DataFrame:
    column: str = data.roles["amount" if "amount" in data.roles else "dose"]
    amount = data.frame[column].astype(float)
    rows = _places(findings, "dose outlier", len(data.frame))
    middle = float(amount[(amount > 0) & ~rows].median())
    scale = np.where(amount > middle, 1e-3, 1e3)
    return data.frame.assign(**{column: amount.where(~rows, amount * scale)})


def _filled(data: Content, findings: Findings) -> pd.DataFrame:
    """Missing covariates: the subject's own values by the rule; else the median or most frequent of the subjects."""
    filled = {}
    subject = data.subject_codes
    for name in data.covariate_names:
        values = data.frame[name]
        if not values.isna().any() or values.isna().all():
            continue
        own = values.groupby(subject)
        values = own.bfill().fillna(own.ffill())
        each = values.groupby(subject).first().dropna()
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        filled[name] = values.fillna(float(each.median()) if numeric else each.mode().iloc[0])
    return data.frame.assign(**filled)


def _first_values(data: Content, findings: Findings) -> pd.DataFrame:
    subject = data.subject_codes
    names = [finding.where for finding in findings if finding.name == "varying covariate"]
    return data.frame.assign(**{name: data.frame[name].groupby(subject).transform("first") for name in names if name})


def _without_constants(data: Content, findings: Findings) -> pd.DataFrame:
    names = [finding.where for finding in findings if finding.name == "constant covariate"]
    return data.frame.drop(columns=[name for name in names if name])


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


def mended(data: Content, findings: Findings, name: str) -> pd.DataFrame:
    """The frame after a mend, which may need to know what was found."""
    if name not in MENDS:
        raise DataError(Fault(f"there is no mend {name!r}; there are {', '.join(MENDS)}"), data.name)
    return MENDS[name].frame(data, findings)
