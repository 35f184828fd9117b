"""Data in several files, or parts, that nobody need hold at once; each has its subjects whole."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.checks import whole
from workbench.errors import DataError, Fault

if TYPE_CHECKING:
    from workbench.data.grouped import GroupedData

MARKS = frozenset("*?[")


@dataclass(frozen=True, eq=False, repr=False)
class Partitions:
    """Parts of grouped data, read when they are needed, by who needs them.

    `read_data` gives them for a pattern of files, `Partitions.of` for data that are there. A subject must have all its
    records in one part. `fit` takes them in place of data.

    Attributes
    ----------
    sources : tuple of str or GroupedData
        Files, or parts that are there.
    how : mapping
        Arguments of `read_data` for each of them.
    name : str
    read : callable, optional
        Reads a source; without it the sources are the parts.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> parts = wb.Partitions.of(data, 3)
    >>> len(parts), len(parts.part(0).subjects)
    (3, 4)
    """

    sources: tuple[Any, ...]
    how: Mapping[str, Any] = field(default_factory=dict)
    name: str = "data"
    read: Callable[..., GroupedData] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.sources)

    def part(self, number: int) -> GroupedData:
        """One of the parts, from 0.

        Raises
        ------
        DataError
            As `read_data`.
        """
        source = self.sources[number]
        return source if self.read is None else self.read(source, **self.how)

    def alone(self, number: int) -> Partitions:
        """Only that part, to be read somewhere else."""
        return replace(self, sources=self.sources[number : number + 1])

    @staticmethod
    def of(data: GroupedData, count: int) -> Partitions:
        """Data that are there in so many parts, each with as many subjects, in their order."""
        count = whole("count", count, 1, DataError)
        labels = data.events.subjects
        N = len(labels)
        if count > N:
            raise DataError(f"{count} parts of {N} subjects: a part has a subject at least.")
        parts = []
        for some in np.array_split(np.arange(N), count):
            others = [*labels[: some[0]], *labels[some[-1] + 1 :]]
            part = data.exclude(others) if others else data
            parts.append(replace(part, before=None, history=data.history))  # or all would travel with each
        return Partitions(tuple(parts), name=data.name)

    def __repr__(self) -> str:
        return f"<Partitions {self.name}: {len(self)} parts, read when they are needed>"


def is_pattern(source: object) -> bool:
    """Whether a path stands for several files: it has marks such as *, and no file has that very name."""
    if not isinstance(source, str | os.PathLike):
        return False
    text = os.fspath(source)
    return isinstance(text, str) and bool(MARKS & set(text)) and not Path(text).exists()


def matching(pattern: str | os.PathLike[str], how: Mapping[str, Any], read: Callable[..., GroupedData]) -> Partitions:
    """The files of a pattern, in the order of their names.

    Raises
    ------
    DataError
        If there are none.
    """
    text = os.fspath(pattern)
    found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise DataError(Fault(f"no file matches {text!r}", mend="check the path"), text)
    return Partitions(tuple(found), dict(how), str(how.get("name") or Path(text).parent.name or text), read)
