"""A class at a glance: bias, coverage, shrinkage, and who chose which model."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.errors import FileError, ModelError
from workbench.exercises.answer import Answer
from workbench.exercises.exercise import Exercise, grade, opened
from workbench.exercises.graded import Compared, Graded
from workbench.markup.numbers import counted, percent, short
from workbench.markup.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

_MOST = 10_000
_Z = 1.959963984540054


class Pooled(NamedTuple):
    """An estimate over a class; bias and spread in per cent of the truth (of the absolute value for correlations).

    Attributes
    ----------
    topic, name : str
    students : int
        Who estimated it.
    bias, bias_se, spread : float
        Mean, its standard error, and standard deviation of estimate / truth − 1.
    intervals : int
        Of how many there is an interval.
    covered : float
        Share of intervals that hold the truth; coverage_lower and coverage_upper are its 95 % interval (Wilson).
    shrinkage : float
        Mean, in per cent.
    """

    topic: str
    name: str
    students: int
    bias: float
    bias_se: float
    spread: float
    intervals: int
    covered: float
    coverage_lower: float
    coverage_upper: float
    shrinkage: float


@dataclass(frozen=True, repr=False)
class ClassSummary(Shown):
    """Results of a class, pooled.

    Attributes
    ----------
    graded : tuple of Graded
    pooled : tuple of Pooled
    remarks : tuple of str
    """

    graded: tuple[Graded, ...]
    pooled: tuple[Pooled, ...]
    remarks: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """By topic and estimate: bias, coverage, shrinkage."""
        import pandas as pd

        return pd.DataFrame(self.pooled, columns=list(Pooled._fields)).set_index(["topic", "name"])

    @property
    def scores(self) -> pd.DataFrame:
        """By student and topic: points, out_of, converged, kind, and the model that was chosen."""
        import pandas as pd

        rows = [(g.student, g.topic, g.points, g.out_of, g.converged, g.kind, g.choice, g.method) for g in self.graded]
        columns = ["student", "topic", "points", "out_of", "converged", "kind", "choice", "method"]
        return pd.DataFrame(rows, columns=columns).set_index(["student", "topic"])

    @property
    def choices(self) -> pd.DataFrame:
        """By topic and model: how many chose it, their mean points, and who."""
        import pandas as pd

        rows = []
        counts = Counter((g.topic, g.choice) for g in self.graded)
        for (topic, model), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
            theirs = [g for g in self.graded if (g.topic, g.choice) == (topic, model)]
            mean = float(np.mean([g.points for g in theirs]))
            rows.append((topic, model, count, mean, ", ".join(g.student for g in theirs)))
        columns = ["topic", "model", "students", "points", "who"]
        return pd.DataFrame(rows, columns=columns).set_index(["topic", "model"])

    @property
    def marks(self) -> pd.DataFrame:
        """By topic and mark: the mean share of its points, what went wrong first."""
        import pandas as pd

        shares: dict[tuple[str, str], list[float]] = {}
        for g in self.graded:
            for mark in g.marks:
                if mark.earned is not None:
                    shares.setdefault((g.topic, mark.name), []).append(mark.earned / mark.points)
        rows = sorted((topic, float(np.mean(own)), name, len(own)) for (topic, name), own in shares.items())
        frame = pd.DataFrame(rows, columns=["topic", "share", "mark", "students"])
        return frame.set_index(["topic", "mark"])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What stands out, in words."""
        said = []
        by_topic: dict[str, list[Graded]] = {}
        for g in self.graded:
            by_topic.setdefault(g.topic, []).append(g)
        for topic, theirs in by_topic.items():
            points = [g.points for g in theirs]
            ended = sum(g.converged for g in theirs)
            top, count = Counter(g.choice for g in theirs).most_common(1)[0]
            said.append(
                f"{topic}: {counted(len(theirs), 'answer')}, {short(float(np.mean(points)))} of "
                f"{short(theirs[0].out_of)} points on average, {ended} with a fit that converged. Most chose {top} "
                f"({count})."
            )
            for p in self.pooled:
                if p.topic != topic or p.students < 5:
                    continue
                if abs(p.bias) > 2 * p.bias_se and abs(p.bias) > 5:
                    way = "above" if p.bias > 0 else "below"
                    said.append(
                        f"{topic}: {p.name} is {abs(p.bias):.0f} ± {p.bias_se:.0f} % {way} the truth on average."
                    )
                if p.intervals >= 10 and p.coverage_upper < 0.95:
                    said.append(
                        f"{topic}: the 95 % intervals of {p.name} hold the truth in {percent(p.covered)} of "
                        f"{p.intervals}."
                    )
        return tuple(said)

    def _shown(self) -> list[str | pd.DataFrame]:
        students = len({g.student for g in self.graded})
        head = f"{counted(students, 'student')}, {counted(len(self.graded), 'answer')}."
        shown = self.table.reset_index()[["topic", "name", "students", "bias", "bias_se", "covered", "shrinkage"]]
        chosen = self.choices.reset_index()[["topic", "model", "students", "points"]]
        return [head, *self.sentences, *self.remarks, shown, chosen]


def summary(
    results: Iterable[Graded | Answer | dict[str, Any] | str | os.PathLike[str]] | str | os.PathLike[str],
    key: str | None = None,
) -> ClassSummary:
    """Pool the results of a class.

    Parameters
    ----------
    results : iterable, or path of a folder
        Graded exercises, answers, what their `to_dict` gave, or files of them; a folder stands for its JSON files
        (exercises among them are passed over). Answers are graded first.
    key : str, optional
        The lecturer's, for answers; that in the environment unless said.

    Returns
    -------
    ClassSummary

    Raises
    ------
    ModelError
        If there is nothing to pool.
    FileError
        If a file is none of these.

    Examples
    --------
    >>> import workbench as wb
    >>> model = wb.Model(wb.pk(), error=wb.Proportional())
    >>> tasks = [wb.exercises.exercise("intravenous", seed) for seed in range(3)]
    >>> pooled = wb.exercises.summary([task.check(wb.fit(model, task.data)) for task in tasks])
    >>> pooled.choices["students"].tolist()
    [3]
    """
    folder = isinstance(results, str | os.PathLike)
    given: list[Any] = sorted(Path(results).glob("*.json")) if folder else list(results)  # type: ignore[arg-type]
    if len(given) > _MOST:
        raise ModelError(f"{len(given):,} results; {_MOST:,} at most.")
    graded, remarks = [], []
    for one in given:
        value = opened(one) if isinstance(one, str | os.PathLike) else one
        if isinstance(value, dict):
            kind = {"Graded": Graded, "Answer": Answer}.get(str(value.get("result")))
            if kind is None:
                raise FileError("A result is neither a graded exercise nor an answer.")
            value = kind.from_dict(value)  # type: ignore[attr-defined]
        if isinstance(value, Exercise):
            continue
        if not isinstance(value, Graded | Answer):
            raise ModelError(f"A result is a graded exercise, an answer, or a file of one; got {type(value).__name__}.")
        graded.append(grade(value, key) if isinstance(value, Answer) else value)
    if not graded:
        raise ModelError("There are no results to pool.")
    open_ones = [g for g in graded if g.kind == "open"]
    if open_ones:
        remarks.append(f"{counted(len(open_ones), 'result')} still without the lecturer's key: grade the answers.")
    twice = [s for s, n in Counter((g.topic, g.seed) for g in graded).items() if n > 1]
    if twice:
        remarks.append(
            "More than one answer to the same seed: " + ", ".join(f"{topic} {seed}" for topic, seed in twice[:10]) + "."
        )
    return ClassSummary(tuple(graded), _pooled(graded), tuple(remarks))


def _pooled(graded: Iterable[Graded]) -> tuple[Pooled, ...]:
    lines: dict[tuple[str, str], list[Compared]] = {}
    for g in graded:
        for line in g.compared:
            lines.setdefault((g.topic, line.name), []).append(line)
    return tuple(_one(topic, name, own) for (topic, name), own in lines.items())


def _one(topic: str, name: str, lines: list[Compared]) -> Pooled:
    off = 100 * np.array([(line.estimate - line.truth) / abs(line.truth) for line in lines])
    spread = float(off.std(ddof=1)) if len(off) > 1 else math.nan
    covered = [line.covered for line in lines if line.covered is not None]
    n = len(covered)
    share = sum(covered) / n if n else math.nan
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n) if n else math.nan
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) if n else math.nan
    shrinkage = [line.shrinkage for line in lines if math.isfinite(line.shrinkage)]
    return Pooled(
        topic, name, len(lines), float(off.mean()), spread / math.sqrt(len(off)), spread, n, share, middle - half,
        middle + half, float(np.mean(shrinkage)) if shrinkage else math.nan,
    )  # fmt: skip
