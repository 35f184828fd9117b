"""What a student hands in: taken from a Workbench, a fit, a model or plain values, and kept as JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench import plain
from workbench.checks import is_number
from workbench.data import GroupedData
from workbench.errors import FileError, ModelError
from workbench.markup.numbers import counted, short
from workbench.markup.shown import Shown
from workbench.methods import method_of
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.results.packing import write
from workbench.results.stored import model_of

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 200  # characters of a value in words
_MOST = 100  # values, and other fits


class Line(NamedTuple):
    """One estimate, with its 95 % interval; NaN where there is none."""

    name: str
    estimate: float
    lower: float
    upper: float


class Changed(NamedTuple):
    """How the data that were fitted differ from those of the exercise, by row and by subject."""

    left_out: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Answer(Shown):
    """What is handed in for an exercise. It holds no truth, and whoever reads it needs none.

    Attributes
    ----------
    topic, seed, seal : str
        Of the exercise.
    student : str
        Whose it is; the seed unless said.
    source : str
        "Workbench", "fit", "model" or "values": what it was taken from.
    model : str
        The model as the Python that makes it, at the estimates where it was fitted; empty where there is none.
    method : str
    converged : bool
    ending : str
        How the fit ended, in words.
    lines : tuple of Line
    shrinkage : dict
        Of each η, in per cent of the standard deviation.
    values : dict
        What was answered in words or numbers.
    methods : tuple of str
        Of all fits that were looked at.
    changed : Changed
    typical : dict
        By parameter, its value at η = 0 for each subject.
    curve : tuple of (float, float)
        Time and typical prediction at the observations of the first subject.
    subjects : tuple of str
        Labels of the subjects that were fitted, in the order of `typical`.
    aic : float
        NaN where nothing was fitted.
    """

    topic: str
    seed: str
    seal: str
    student: str
    source: str
    model: str = ""
    method: str = ""
    converged: bool = False
    ending: str = ""
    lines: tuple[Line, ...] = ()
    shrinkage: dict[str, float] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    changed: Changed = field(default_factory=Changed)
    typical: dict[str, tuple[float, ...]] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()
    subjects: tuple[str, ...] = ()
    aic: float = math.nan

    @property
    def table(self) -> pd.DataFrame:
        """Estimates with their intervals, by name."""
        import pandas as pd

        return pd.DataFrame(self.lines, columns=list(Line._fields)).set_index("name")

    @property
    def stated(self) -> Model | None:
        """The model, read (never evaluated) from its text."""
        return model_of(self.model) if self.model else None

    def line(self, name: str) -> Line | None:
        """An estimate, or a value that was answered, by name; None where there is none."""
        for line in self.lines:
            if line.name == name and math.isfinite(line.estimate):
                return line
        value = self.values.get(name)
        if not is_number(value) or not math.isfinite(float(value)):  # type: ignore[arg-type]
            return None
        return Line(name, float(value), math.nan, math.nan)  # type: ignore[arg-type]

    @property
    def sentence(self) -> str:
        """What is handed in, in words."""
        said = [f"{self.topic}, {self.student}: taken from {_SOURCES[self.source]}."]
        if self.source in ("Workbench", "fit"):
            said.append(f"{method_of(self.method).short}, {counted(len(self.lines), 'estimate')}. {self.ending}")
        if self.changed.left_out or self.changed.altered:
            said.append(
                f"Of the rows of the exercise {len(self.changed.left_out)} were left out and "
                f"{len(self.changed.altered)} changed."
            )
        said += [f"{name}: {short(value) if is_number(value) else value}." for name, value in self.values.items()]
        return " ".join(said)

    def _shown(self) -> list[str | pd.DataFrame]:
        return [self.sentence, self.table] if self.lines else [self.sentence]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON, to be handed in.

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
    def from_dict(cls, record: Mapping[str, Any]) -> Answer:
        """The answer that `to_dict` wrote; nothing in it is evaluated.

        Raises
        ------
        FileError
            If something is missing, or is not what it has to be.
        """
        plain.need(record, _WRITTEN, "the answer")
        try:
            made = cls(
                **{name: str(record[name]) for name in _TEXTS},
                converged=record["converged"] is True,
                lines=tuple(Line(str(n), *(_number(v) for v in rest)) for n, *rest in in_order(Line, record["lines"])),
                shrinkage={str(n): _number(v) for n, v in record["shrinkage"].items()},
                values=_checked_values(record["values"]),
                methods=tuple(str(name) for name in record["methods"]),
                changed=Changed(*(tuple(map(str, _list(record["changed"][name]))) for name in Changed._fields)),
                typical={str(n): tuple(_number(v) for v in vs) for n, vs in record["typical"].items()},
                curve=tuple((_number(t), _number(f)) for t, f in map(_list, record["curve"])),
                subjects=tuple(map(str, _list(record["subjects"]))),
                aic=_number(record["aic"]),
            )
            if made.source not in _SOURCES:
                raise ValueError(f"source {made.source[:20]!r}")
            if made.method:
                method_of(made.method)
            made.stated  # noqa: B018 - refused here rather than when it is graded
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise FileError(f"The answer is damaged: {error}") from None
        return made


_SOURCES = {
    "Workbench": "a Workbench", "fit": "a fit", "model": "a model that states its values", "values": "values alone",
}  # fmt: skip
_TEXTS = ("topic", "seed", "seal", "student", "source", "model", "method", "ending")
_WRITTEN = (
    *_TEXTS, "converged", "lines", "shrinkage", "values", "methods", "changed", "typical", "curve", "subjects", "aic",
)  # fmt: skip


def taken(
    topic: str,
    seed: str,
    seal: str,
    data: GroupedData,
    work: object,
    *,
    values: Mapping[str, Any] | None,
    also: Iterable[object],
    student: str | None,
) -> Answer:
    """The answer in what a student has: a Workbench (anything with `fit` and `model`), a fit, a model, or values.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    answered = dict(values or {})
    given = tuple(also)
    others = tuple(one for one in given if isinstance(one, FitResult))
    if len(others) > _MOST or len(others) < len(given):
        raise ModelError(f"also= holds further fits, {_MOST} at most.")
    head: dict[str, Any] = {
        "topic": topic,
        "seed": seed,
        "seal": seal,
        "student": seed if student is None else str(student),
    }
    fit = model = None
    if isinstance(work, FitResult):
        source, fit = "fit", work
    elif isinstance(work, Model):
        source, model = "model", work
    elif isinstance(work, Mapping):
        source, answered = "values", {**work, **answered}
    elif work is None and answered:
        source = "values"
    elif hasattr(work, "fit") and hasattr(work, "model") and not isinstance(work, type):
        source, fit, model = "Workbench", work.fit, work.model
        runs = getattr(work, "runs", None) or ()
        others += tuple(run.fit for run in list(runs)[-_MOST:])
    else:
        raise ModelError(
            "What is checked is a Workbench, a fit, a model with its values, or values by name such as "
            f'{{"CL": 3.1}}; got {type(work).__name__}.'
        )
    answered = _checked_values(answered)
    if fit is None:
        methods = tuple(dict.fromkeys(other.method for other in others))
        lines = () if model is None else _stated(model)
        return Answer(
            **head, source=source, model="" if model is None else repr(model), lines=lines, values=answered,
            methods=methods, ending="Nothing was fitted.",
        )  # fmt: skip
    effects = fit.eta_matrix[:, : len(fit.random_effects)]
    first = fit.data.events.subject[fit.record] == 0
    return Answer(
        **head,
        source=source,
        model=repr(fit.model),
        method=fit.method,
        converged=bool(fit.converged),
        ending=fit.said,
        lines=tuple(Line(e.name, e.value, e.lower, e.upper) for e in fit.lines),
        shrinkage={str(name): float(value) for name, value in fit.shrinkage["sd"].items()},
        values=answered,
        methods=tuple(dict.fromkeys((fit.method, *(other.method for other in others)))),
        changed=_changes(data, fit.data),
        typical=_typical(fit, effects),
        curve=tuple(
            (float(t), float(f)) for t, f in zip(fit.data.events.time[fit.record][first], fit.pred[first], strict=True)
        ),
        subjects=tuple(map(str, fit.data.events.subjects)),
        aic=float(fit.aic),
    )


def _stated(model: Model) -> tuple[Line, ...]:
    """The values that a model states, named as estimates are."""
    known: dict[str, Any] = {p.name: p.value for p in model.parameters}
    known |= {f"iiv_{p.name}": p.iiv for p in model.parameters}
    known |= {f"iov_{p.name}": p.iov for p in model.parameters}
    for labels, error in zip(model.error_labels, model.errors, strict=True):
        known |= dict(zip(labels, error.values, strict=True))
    return tuple(Line(n, float(v), math.nan, math.nan) for n, v in known.items() if is_number(v) and v is not None)


def _typical(fit: FitResult, effects: Any) -> dict[str, tuple[float, ...]]:
    found = {}
    names = list(fit.individual.columns)
    for k, name in enumerate(names):
        values = fit.parameter_matrix[:, k]
        if name in fit.random_effects and fit.model[name].link.is_logarithm and not fit.occasion_effects:
            values = values / np.exp(effects[:, fit.random_effects.index(name)])
        found[str(name)] = tuple(float(v) for v in values)
    return found


def _changes(given: GroupedData, used: GroupedData) -> Changed:
    if used.hash == given.hash:
        return Changed()
    old, new = given.content.frame, used.content.frame
    kept = old.index.intersection(new.index)
    left = tuple(str(label) for label in old.index.difference(new.index, sort=False))
    altered: list[str] = []
    for column in old.columns:
        if column not in new.columns:
            continue
        before, after = old.loc[kept, column], new.loc[kept, column]
        differs = ~((before == after) | (before.isna() & after.isna()))
        altered += [str(label) for label in kept[differs.to_numpy()]]
    here, there = map(str, given.events.subjects), {str(s) for s in used.events.subjects}
    return Changed(left, tuple(dict.fromkeys(altered)), tuple(s for s in here if s not in there))


def _checked_values(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Answers in numbers and words; anything else is refused."""
    if len(values) > _MOST:
        raise ModelError(f"values= holds {len(values)} answers; {_MOST} at most.")
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, np.generic):
            value = value.item()  # noqa: PLW2901
        if not isinstance(value, bool | int | float | str) or len(str(value)) > _LONGEST:
            raise ModelError(f"values={{{str(name)[:40]!r}: …}}: a number or a short text is needed.")
        checked[str(name)] = value
    return checked


def in_order(kind: Any, records: Any) -> Iterator[list[Any]]:
    """The fields of named tuples, in their order, from the mappings that they were written as."""
    return ([record[name] for name in kind._fields] for record in records)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is needed")
    return value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
