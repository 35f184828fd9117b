"""What data hold: rows, the parts that columns play, units, and the records that follow. No judgement, no history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.events import Events
from workbench.data.records import Records, derive
from workbench.findings import Finding


@dataclass(frozen=True, eq=False)
class Content:
    """The content of grouped data, which tables, checks and mends work on.

    Attributes
    ----------
    name : str
    frame : DataFrame
        The rows under the user's column names; the index holds row labels. Not to be changed in place.
    roles : dict
        Role to column name; "covariates" and "ignore" to tuples of names. Not to be changed in place.
    units : dict
        Unit by role or column name, for those that have one.
    covariate_rule : {"nocb", "locf", "linear"}
    allow : frozenset of str
        Errors that are meant as they are.
    dates : str, optional
        In which order dates of numbers are written, see `clock.hours`.
    remarks : tuple of Finding
        What was found while the rows were read and cannot be seen in them any more.
    """

    name: str
    frame: pd.DataFrame
    roles: dict[str, Any]
    units: dict[str, str] = field(default_factory=dict)
    covariate_rule: str = "nocb"
    allow: frozenset[str] = frozenset()
    dates: str | None = None
    remarks: tuple[Finding, ...] = ()

    @cached_property
    def records(self) -> Records:
        """The records, as far as the cells can be read."""
        return derive(self.frame, self.roles, self.dates, self.allow)

    @property
    def events(self) -> Events:
        """The records as arrays, also where something is wrong with others."""
        return self.records.events

    @cached_property
    def subject_codes(self) -> NDArray[np.int64]:
        """Index of the subject for each row of the frame."""
        if "subject" not in self.roles:
            return np.zeros(len(self.frame), dtype=np.int64)
        codes: NDArray[np.int64] = pd.factorize(self.frame[self.roles["subject"]])[0].astype(np.int64)
        return codes

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the covariate columns."""
        return tuple(self.roles.get("covariates", ()))

    def changed(self, **changes: Any) -> Content:
        """The content with other fields."""
        return replace(self, **changes)

    def relabelled(self, **changes: Any) -> Content:
        """Changes that leave the records what they are, so that they need not be derived again."""
        made = replace(self, **changes)
        made.__dict__["records"] = self.records
        return made
