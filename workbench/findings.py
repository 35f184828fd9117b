"""What is found in data, or in a model beside data: one class for the doctor of the data and the check of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """Something wrong or odd, with all its places.

    Attributes
    ----------
    severity : {"error", "warning"}
        An error stands against the computation: in data, what the records say has no meaning; in a model, those where
        `where` is "observations", "error" or "blq" only against that of a likelihood, not against predictions.
    message : str
        What was got, what is allowed, and the usual mend.
    where : str
        In data, the column. In a model, the parameter, or one of "data", "structure", "doses", "responses",
        "observations", "error", "blq".
    name : str
        In data, what kind of thing it is.
    rows : tuple
        Labels of the rows of the data.
    subjects : tuple
        Their subjects.
    mend : str
        Name of a mend for `GroupedData.mend`, or advice in words.
    places : tuple of int
        Positions of the rows in the frame.
    others : tuple of str
        Names of further mends, where more than one thing may be meant.
    """

    severity: Severity
    message: str
    where: str = ""
    name: str = ""
    rows: tuple[Any, ...] = ()
    subjects: tuple[Any, ...] = ()
    mend: str = ""
    places: tuple[int, ...] = field(default=(), repr=False)
    others: tuple[str, ...] = ()

    @property
    def mends(self) -> tuple[str, ...]:
        """All mends that are named."""
        return tuple(filter(None, (self.mend, *self.others)))

    def __str__(self) -> str:
        return self.message
