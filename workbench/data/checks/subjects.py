"""Subjects: dosed, observed, and with their rows together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from workbench.data.checks.mending import Findings, Mend, without_subjects
from workbench.data.checks.scribe import Scribe
from workbench.data.content import Content
from workbench.findings import Finding

JUDGED = ("subject without dose", "subject without observation")


def find(data: Content) -> Iterator[Finding]:
    """What is wrong or odd about the subjects."""
    scribe, events = Scribe(data), data.events
    doses = events.is_dose
    observed = scribe.count(events.observed)
    if doses.any():
        undosed = scribe.count(doses) == 0
        first = np.full(len(events.subjects), np.inf)
        np.minimum.at(first, scribe.subject[doses], events.time[doses])
        last = np.full(len(events.subjects), -np.inf)
        np.maximum.at(last, scribe.subject, events.time)
        baseline = undosed & (last <= np.min(first))
        yield from scribe.whole_subjects("subject without dose", "error", undosed & ~baseline, "amount",
                                         "the subject has no dose", "drop_subjects_without_dose")  # fmt: skip
        yield from scribe.whole_subjects(
            "baseline subject without dose", "warning", baseline, "amount",
            "the subject has no dose; all its records lie at or before the first dose time of the others",
            "drop_subjects_without_dose",
        )  # fmt: skip
    if "response" in data.roles:
        yield from scribe.whole_subjects(
            "subject without observation", "error", observed == 0, "response", "the subject has no observation",
            "drop_subjects_without_observation",
        )  # fmt: skip
    alone = observed == 1
    if not alone.all():
        yield from scribe.whole_subjects("subject with one observation", "warning", alone, "response",
                                         "the subject has one observation only", "")  # fmt: skip
    elif len(alone) > 1:
        yield Finding("warning", "no subject has more than one observation", name="subject with one observation")
    row, subject = events.row, scribe.subject
    order = np.argsort(row, kind="stable")
    leaves = subject[order][1:] != subject[order][:-1]
    runs = np.bincount(subject[order][np.concatenate([[True], leaves])] if len(order) else [], minlength=len(alone))
    message = "its rows do not stand together; taken as one subject"
    yield from scribe.whole_subjects("scattered subject", "warning", runs > 1, "subject", message, "gather_subjects")


def _gathered(data: Content, findings: Findings) -> Content:
    codes = pd.factorize(data.frame[data.roles["subject"]])[0]
    return data.changed(frame=data.frame.iloc[np.argsort(codes, kind="stable")])


MENDS = {
    "drop_subjects_without_dose": Mend("leave these subjects out", without_subjects),
    "drop_subjects_without_observation": Mend("leave these subjects out", without_subjects),
    "gather_subjects": Mend("put the rows of each subject together", _gathered),
}
