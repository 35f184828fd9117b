"""Results that print themselves, as text and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from workbench.markup.html import Html, escaped, frame_table, joined, tag
from workbench.markup.record import Recorded
from workbench.markup.text import frame_text

if TYPE_CHECKING:
    import pandas as pd


class Shown(Recorded):
    """What is shown as a sequence of sentences and tables; the first sentence is its headline.

    Attributes
    ----------
    digits : int
        Significant digits in the tables.
    """

    digits: ClassVar[int] = 4

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        raise NotImplementedError

    def __repr__(self) -> str:
        parts = self._shown()
        return "\n".join(
            part if isinstance(part, str) else frame_text(part, self.digits, index=_is_named(part)) for part in parts
        )

    def _repr_html_(self) -> str:
        parts: list[Html] = []
        for k, part in enumerate(self._shown()):
            if isinstance(part, str) and part:
                parts.append(tag("b" if k == 0 else "p", joined(*map(escaped, part.splitlines()), between="<br>")))
            elif not isinstance(part, str) and len(part):
                parts.append(frame_table(part, self.digits, index=_is_named(part)))
        return joined(*parts)


def _is_named(frame: pd.DataFrame) -> bool:
    """Whether the index says more than the number of the row."""
    return type(frame.index).__name__ != "RangeIndex"
