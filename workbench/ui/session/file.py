"""A file that a user handed over, with the roles stated for its columns so far; knows of no widgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from workbench.data import GroupedData, read_data, table_of
from workbench.data.names import SYNONYMS
from workbench.data.roles import resolve, restated
from workbench.data.tabular import Table
from workbench.errors import DataError

SINGLE = tuple(SYNONYMS)


@dataclass(frozen=True, eq=False)
class File:
    """The content of a file and how it is to be read.

    Attributes
    ----------
    content : bytes
    name : str
    stated : mapping
        The roles that differ from the guess, as `read_data` takes them.
    allow : tuple of str
        Errors that are meant as they are.
    mends : tuple of str
        What is put right while it is read, as `read_data` takes it.
    """

    content: bytes = field(repr=False)
    name: str
    stated: Mapping[str, Any] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()

    def read(self) -> GroupedData:
        """The data; they may have errors that can be mended. Raises DataError where cells or roles make no sense."""
        options: dict[str, Any] = {
            "roles": self.stated or None, "allow": self.allow, "mends": self.mends, "name": self.name,
        }  # fmt: skip
        try:
            return read_data(self.content, **options)
        except DataError:
            return read_data(self.content, strict=False, **options)

    @cached_property
    def table(self) -> Table | None:
        """The cells; None where no table can be made of the content."""
        try:
            return table_of(self.content, name=self.name, mends=self.mends)
        except DataError:
            return None

    @cached_property
    def roles(self) -> dict[str, Any]:
        """The roles stated, completed by the guess; empty without a table."""
        return resolve(self.table.frame, self.stated, self.table.unnamed)[0] if self.table is not None else {}

    def with_allow(self, error: str) -> File:
        """The same file, in which an error is meant as it is."""
        return replace(self, allow=(*self.allow, error))

    def with_mend(self, name: str) -> File:
        """The same file, with something put right while it is read."""
        return replace(self, mends=(*self.mends, name))

    def without_mend(self, name: str) -> File:
        """The same file, without that."""
        return replace(self, mends=tuple(mend for mend in self.mends if mend != name))

    def with_role(self, column: str, role: str) -> File:
        """The same file with another role for a column; what is not stated is guessed anew, as `read_data` does."""
        if self.table is None:
            return self
        return replace(self, stated=restated(self.table.frame, self.stated, column, role, self.table.unnamed))
