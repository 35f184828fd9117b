"""What can be wrong, said so that it can be mended: what was got, where, what is allowed, the usual mend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class WorkbenchError(ValueError):
    """Base of the errors that workbench raises about what a user gave it."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a data set.

    Attributes
    ----------
    message : str
        What was got and what is allowed.
    row : object, optional
        Label of the row: for a file the line number (the header is line 1), for a DataFrame its index label.
    column : str, optional
        Name of the column as the user wrote it.
    subject : object, optional
        Label of the subject.
    mend : str
        The usual way to put it right.
    offers : tuple of str
        Names for `read_data`'s `mends` that put it right.
    """

    message: str
    row: object = None
    column: str | None = None
    subject: object = None
    mend: str = ""
    offers: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = [
            f"row {self.row}" if self.row is not None else "",
            f"column {self.column!r}" if self.column is not None else "",
            f"subject {self.subject}" if self.subject is not None else "",
        ]
        place = ", ".join(part for part in where if part)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} — {self.mend}" if self.mend else text


class DataError(WorkbenchError):
    """A data set cannot be used. Lists every fault found, not only the first.

    Attributes
    ----------
    faults : tuple of Fault
    source : str
        File name, or how else the data were given.
    """

    def __init__(self, faults: Fault | str | Iterable[Fault], source: str = "the data"):
        if isinstance(faults, str):
            faults = Fault(faults)
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        self.source = source
        shown = [f"  - {fault}" for fault in self.faults[:50]]
        if len(self.faults) > len(shown):
            shown.append(f"  … and {len(self.faults) - len(shown)} more (all of them in .faults)")
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{count} in {source}:\n" + "\n".join(shown))

    def __reduce__(self) -> tuple[type[DataError], tuple[tuple[Fault, ...], str]]:
        return (type(self), (self.faults, self.source))


class ModelError(WorkbenchError):
    """A model says something that has no meaning, or none for these data."""


class FitError(WorkbenchError):
    """A fit cannot be started or a number cannot be had; a fit that ran but ended badly has a Status instead."""


class FileError(WorkbenchError):
    """What was saved cannot be opened, or something cannot be saved."""
