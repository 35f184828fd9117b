"""How data came to be: recorded steps that print as Python."""

from __future__ import annotations

from dataclasses import dataclass
from keyword import iskeyword
from typing import Any


@dataclass(frozen=True)
class Step:
    """One recorded step, which prints as the Python call that repeats it."""

    call: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    note: str = ""

    def __str__(self) -> str:
        words = [(name, value) for name, value in self.options if name.isidentifier() and not iskeyword(name)]
        others = {name: value for name, value in self.options if (name, value) not in words}
        parts = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in words)]
        if others:  # columns whose names are no Python words
            parts.append(f"**{others!r}")
        return f"{self.call}({', '.join(parts)})"


class BareName(str):
    """A name that stands in printed code as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
