"""What an answer is worth: points with reasons, and estimates beside the truth."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import plain
from workbench.errors import FileError, ModelError
from workbench.exercises.answer import Answer, in_order
from workbench.exercises.marking import Mark, Truth, error_kind
from workbench.language.formula import columns_of
from workbench.markup.numbers import short
from workbench.markup.shown import Shown
from workbench.methods import Subjects, method_of
from workbench.results.packing import write

if TYPE_CHECKING:
    import pandas as pd


class Compared(NamedTuple):
    """An estimate beside its truth; shrinkage of its η in per cent, NaN where it has none."""

    name: str
    truth: float
    estimate: float
    lower: float
    upper: float
    shrinkage: float

    @property
    def covered(self) -> bool | None:
        """Whether the 95 % interval holds the truth; None where there is no interval."""
        if not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            return None
        return self.lower <= self.truth <= self.upper


@dataclass(frozen=True, repr=False)
class Graded(Shown):
    """Points for an exercise, with a reason for each.

    Attributes
    ----------
    topic, title, seed, student : str
    kind : str
        "graded" with the lecturer's key, "practice" where the truth is public, "open" where the key is still needed.
    marks : tuple of Mark
    compared : tuple of Compared
        Estimates beside their truths; empty while the key is needed.
    choice : str
        The model in a few words.
    method : str
    converged : bool
    remarks : tuple of str
    """

    topic: str
    title: str
    seed: str
    student: str
    kind: str
    marks: tuple[Mark, ...]
    compared: tuple[Compared, ...]
    choice: str
    method: str
    converged: bool
    remarks: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """Points that were earned so far."""
        return sum(mark.earned for mark in self.marks if mark.earned is not None)

    @property
    def out_of(self) -> float:
        """Points that can be had."""
        return sum(mark.points for mark in self.marks)

    @property
    def is_final(self) -> bool:
        """Whether all marks are known."""
        return all(mark.earned is not None for mark in self.marks)

    @property
    def table(self) -> pd.DataFrame:
        """Marks: earned, points and reason by name."""
        import pandas as pd

        rows = [(m.name, math.nan if m.earned is None else m.earned, m.points, m.reason) for m in self.marks]
        return pd.DataFrame(rows, columns=["mark", "earned", "points", "reason"]).set_index("mark")

    @property
    def estimates(self) -> pd.DataFrame:
        """Estimates beside their truths: truth, estimate, lower, upper, shrinkage, covered."""
        import pandas as pd

        rows = [(*line, line.covered) for line in self.compared]
        return pd.DataFrame(rows, columns=[*Compared._fields, "covered"]).set_index("name")

    def __getitem__(self, name: str) -> Mark:
        """A mark by name."""
        for mark in self.marks:
            if mark.name == name:
                return mark
        raise ModelError(f"There is no mark {name!r}. There are {', '.join(m.name for m in self.marks)}.")

    def scaled(self, points: float) -> float:
        """The points, as a part of so many: for a grader that counts in its own."""
        return points * self.points / self.out_of

    @property
    def sentence(self) -> str:
        """Points and what they are worth, in words."""
        head = f"{self.title} ({self.student}): {short(self.points)} of {short(self.out_of)} points."
        return f"{head} {_KINDS[self.kind]}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reason for each mark, with its points."""
        return tuple(
            f"{mark.name}: {'?' if mark.earned is None else short(mark.earned)} of {short(mark.points)}. {mark.reason}"
            for mark in self.marks
        )

    def _shown(self) -> list[str | pd.DataFrame]:
        return [self.sentence, *self.sentences, *self.remarks]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON.

        Returns
        -------
        Path

        Raises
        ------
        FileError
            If it cannot be written.
        """
        return write(plain.written(self.to_dict()), path)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Graded:
        """What `to_dict` wrote.

        Raises
        ------
        FileError
            If something is missing, or is not what it has to be.
        """
        plain.need(record, (*_TEXTS, "marks", "compared", "converged", "remarks"), "the graded exercise")
        try:
            made = cls(
                **{name: str(record[name]) for name in _TEXTS},
                marks=tuple(
                    Mark(str(n), float(p), None if e is None else float(e), str(r))
                    for n, p, e, r in in_order(Mark, record["marks"])
                ),
                compared=tuple(
                    Compared(str(n), *(math.nan if v is None else float(v) for v in rest))
                    for n, *rest in in_order(Compared, record["compared"])
                ),
                converged=record["converged"] is True,
                remarks=tuple(map(str, record["remarks"])),
            )
            if made.kind not in _KINDS:
                raise ValueError(f"kind {made.kind[:20]!r}")
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise FileError(f"The graded exercise is damaged: {error}") from None
        return made


_TEXTS = ("topic", "title", "seed", "student", "kind", "choice", "method")
_KINDS = {
    "graded": "Graded with the lecturer's key.",
    "practice": "This is practice: the truth follows from the seed alone, and whoever reads the code can compute it.",
    "open": "The rest takes the lecturer's key.",
}


def compared(answer: Answer, truth: Truth) -> tuple[Compared, ...]:
    """Estimates that have a truth, beside it."""
    found = []
    for name, true in truth.estimates.items():
        line = answer.line(name)
        if line is not None:
            shrinkage = (
                answer.shrinkage.get(name.removeprefix("iiv_"), math.nan) if name.startswith("iiv_") else math.nan
            )
            found.append(Compared(name, true, line.estimate, line.lower, line.upper, shrinkage))
    return tuple(found)


def choice(answer: Answer) -> str:
    """The model of an answer in a few words, the same for two who made the same choices."""
    model = answer.stated
    if model is None:
        return "no model"
    parts = [model.structure.title, f"{error_kind(model.error)} error"]
    effects = sorted(f"{c} on {p.name}" for p in model.parameters for e in p.covariates for c in columns_of(e.term))
    parts += effects
    if model.correlate:
        parts.append("correlated η")
    if model.occasion_effects:
        parts.append(f"occasions in {', '.join(model.occasion_effects)}")
    if model.blq:
        parts.append(model.blq)
    if answer.method and method_of(answer.method).subjects is not Subjects.POPULATION:
        parts.append(method_of(answer.method).short)
    elif not model.random_effects:
        parts.append("no random effects")
    return ", ".join(parts)
