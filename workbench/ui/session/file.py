"""A file that a user handed over, with the roles stated for its columns so far; knows of no widgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from workbench.data import GroupedData, read_data
from workbench.data.names import SYNONYMS
from workbench.data.reading import Table, read_table
from workbench.data.roles import LISTS, resolve
from workbench.errors import DataError

SINGLE = tuple(SYNONYMS)
_EITHER = {"amount": "dose", "dose": "amount"}


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
    """

    content: bytes = field(repr=False)
    name: str
    stated: Mapping[str, Any] = field(default_factory=dict)
    allow: tuple[str, ...] = ()

    def read(self) -> GroupedData:
        """The data; they may have errors that can be mended. Raises DataError where cells or roles make no sense."""
        options: dict[str, Any] = {"roles": self.stated or None, "allow": self.allow, "name": self.name}
        try:
            return read_data(self.content, **options)
        except DataError:
            return read_data(self.content, strict=False, **options)

    @cached_property
    def table(self) -> Table | None:
        """The cells; None where no table can be made of the content."""
        try:
            return read_table(self.content, name=self.name)
        except DataError:
            return None

    @cached_property
    def roles(self) -> dict[str, Any]:
        """The roles stated, completed by the guess; empty without a table."""
        return self._resolved(self.stated)

    def _resolved(self, stated: Mapping[str, Any]) -> dict[str, Any]:
        return resolve(self.table.frame, stated, self.table.unnamed)[0] if self.table is not None else {}

    def with_allow(self, error: str) -> File:
        """The same file, in which an error is meant as it is."""
        return replace(self, allow=(*self.allow, error))

    def with_role(self, column: str, role: str) -> File:
        """The same file with another role for a column; a column that had it takes the former role of this one."""
        wanted = dict(self.roles)
        was = role_of(wanted, column)
        other = wanted.get(role) if role in SINGLE else None
        _move(wanted, column, role)
        if other is not None:
            _move(wanted, other, was)
        rival = wanted.get(_EITHER.get(role, ""))
        if rival is not None:
            _move(wanted, rival, "covariates")
        guess = self._resolved({})
        changed = {r: wanted.get(r) for r in SINGLE if wanted.get(r) != guess.get(r)}
        lists = {key: tuple(wanted[key]) for key in LISTS}
        statements = [changed, changed | {"ignore": lists["ignore"]}, changed | lists]
        statements.append({r: wanted.get(r) for r in SINGLE} | lists)
        shortest = next((s for s in statements if _same(self._resolved(s), wanted)), statements[-1])
        return replace(self, stated=shortest)


def role_of(roles: Mapping[str, Any], column: str) -> str:
    """The role of a column."""
    lists = {key for key in LISTS if column in roles.get(key, ())}
    return next((r for r in SINGLE if roles.get(r) == column), lists.pop() if lists else "ignore")


def _move(roles: dict[str, Any], column: str, role: str) -> None:
    was = role_of(roles, column)
    if was in LISTS:
        roles[was] = tuple(c for c in roles[was] if c != column)
    else:
        del roles[was]
    if role in LISTS:
        roles[role] = (*roles[role], column)
    else:
        roles[role] = column


def _same(roles: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(roles.get(r) == wanted.get(r) for r in SINGLE) and all(set(roles[k]) == set(wanted[k]) for k in LISTS)
