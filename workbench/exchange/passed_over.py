"""What the parser of code records would pass over or take wrongly: found in the text, so that it is refused by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_ASSIGNED = re.compile(r"([A-Za-z_]\w*(?:\s*\(\s*\w+\s*\))?)\s*=(?!=)")
_NEGATIVE_POWER = re.compile(r"(?:^|[(,=*/+\-])\s*-\s*(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?\s*\*\*")


@dataclass
class _Block:
    """An IF ... ENDIF: names in its conditions, and the assignments of each branch."""

    line: int
    asked: set[str]
    branches: list[list[tuple[int, str, set[str]]]] = field(default_factory=lambda: [[]])

    @property
    def names(self) -> list[str]:
        """What is assigned, in the order in which the parser has it."""
        return list(dict.fromkeys(name for branch in self.branches for _, name, _ in branch))

    def faults(self) -> list[tuple[int, str]]:
        """Assignments whose order the parser loses: it makes one of each name, one after the other."""
        order = {name: i for i, name in enumerate(self.names)}
        found = []
        for branch in self.branches:
            before: set[str] = set()
            own = {name for _, name, _ in branch}
            for line, name, used in branch:
                if name in before:
                    found.append((line, f"{name}, which is set twice within an IF: use two names"))
                for other in (used & own) - {name}:
                    if (other in before) != (order[other] < order[name]):
                        found.append((line, f"{name} and {other}, set within an IF in an order that counts"))
                before.add(name)
        found += [
            (self.line, f"{name}, which an IF asks for and sets within itself")
            for name in order
            if name in self.asked and len(order) > 1
        ]
        return found


def assignments_of(text: str, name: str, first: int) -> tuple[list[str], list[tuple[int, str]]]:
    """The names that a code record assigns, in the parser's order, and what it would take wrongly.

    Parameters
    ----------
    text : str
        The lines of the record.
    name : str
        Of the record, for messages.
    first : int
        Number of its first line.
    """
    names: list[str] = []
    refused: list[tuple[int, str]] = []
    block: _Block | None = None
    for number, code in _lines(text, first):
        if _NEGATIVE_POWER.search(code):
            refused.append((number, "a power of a negative number, as -2**2: put brackets, -(2**2)"))
        rest = code
        opened = re.match(r"(?:ELSE\s*)?IF\s*\(", rest, re.IGNORECASE)
        if opened:
            end = _closing(rest, opened.end() - 1)
            asked, rest = _names(rest[opened.end() : end]), rest[end + 1 :].strip()
            if rest.upper() == "THEN":
                if block is None:
                    block = _Block(number, asked)
                else:
                    block.asked |= asked
                    block.branches.append([])
                continue
        if re.fullmatch(r"ELSE", rest, re.IGNORECASE):
            if block is not None:
                block.branches.append([])
            continue
        if re.fullmatch(r"END\s*IF", rest, re.IGNORECASE):
            if block is not None:
                refused += block.faults()
                names += block.names
                block = None
            continue
        found = _ASSIGNED.match(rest)
        if found is None:
            refused.append((number, f"{rest[:40]!r} in ${name}"))
            continue
        assigned = found.group(1).replace(" ", "").upper()
        if block is not None:
            block.branches[-1].append((number, assigned, _names(rest[found.end() :])))
        else:
            names.append(assigned)
    return names, refused


def differing(expected: Sequence[str], parsed: Sequence[str]) -> str | None:
    """The first assignment of the text that the parser has not, or has in excess; None where they are equal."""
    for i, name in enumerate(expected):
        if i >= len(parsed) or parsed[i] != name:
            return name
    return parsed[len(expected)] if len(parsed) > len(expected) else None


def _lines(text: str, first: int) -> list[tuple[int, str]]:
    """Statements with their lines: without comments and the name of the record, what is continued as one."""
    found: list[tuple[int, str]] = []
    carried, began = "", 0
    for at, line in enumerate(text.splitlines(), first):
        number = at
        code = re.sub(r"^\s*\$\w+", "", line).partition(";")[0].strip()
        if line.lstrip().startswith('"'):
            continue
        if carried:
            code = f"{carried} {code}"
            number = began
        if code.endswith("&"):
            carried, began = code[:-1].strip(), number
            continue
        carried = ""
        if code:
            found.append((number, code))
    return found


def _closing(text: str, opening: int) -> int:
    """Where the bracket that opens there closes; the end where it does not."""
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return len(text)


def _names(text: str) -> set[str]:
    return {name.upper() for name in re.findall(r"[A-Za-z_]\w*", text)}
