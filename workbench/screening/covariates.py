"""Which covariates of a data set can be screened, by subject and in which shapes; and why the others cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data.cells import shown
from workbench.data.checks.covariates import same
from workbench.data.tables import is_categorical, varying_subjects
from workbench.errors import ModelError
from workbench.model import Effect, Parameter
from workbench.model.design import levels_of
from workbench.model.shapes import SHAPES

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import GroupedData

Array = NDArray[np.float64]
Kind = Literal["continuous", "categorical"]

MOST_LEVELS = 20  # of a category
_FEWEST = 4  # subjects with a value: a line through fewer has no error worth a test
_SAME = 1e-9  # relative difference of values that are the same but for rounding


class Refusal(NamedTuple):
    """What is not screened, and why, in a sentence."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class UsableCovariate:
    """A covariate that can be screened.

    Attributes
    ----------
    name : str
    kind : {"continuous", "categorical"}
    baseline : float64[N]
        The first value that each subject has: of a category its number in `levels`; NaN where the subject has none.
    levels : tuple
        Levels of a category, the reference of `Model.with_covariate` first; empty for numbers.
    varies : int
        Subjects within which it changes.
    twin : str
        An earlier covariate with the same values, but for a unit or the names of levels; "" if there is none.
    alike : tuple of str
        Earlier covariates that say nearly the same, with why, as in "WT (r = 0.979)".
    """

    name: str
    kind: Kind
    baseline: Array
    levels: tuple[Any, ...] = ()
    varies: int = 0
    twin: str = ""
    alike: tuple[str, ...] = ()

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which subjects have a value, bool[N]."""
        return np.isfinite(self.baseline)

    @property
    def missing(self) -> int:
        """Subjects without a value."""
        return int((~self.known).sum())

    @cached_property
    def median(self) -> float:
        """Over the subjects, of their first values: where `Model.with_covariate` centres."""
        return float(np.median(self.baseline[self.known]))

    @cached_property
    def positive(self) -> bool:
        """Whether it is of numbers that are all positive."""
        return self.kind == "continuous" and bool((self.baseline[self.known] > 0).all())

    def shapes(self, parameter: Parameter, among: Collection[str] | None = None) -> tuple[str, ...]:
        """Shapes in which it can act on a parameter, of those that are screened.

        If not chosen `among` others, those whose coefficients act on the transformed scale.
        """
        return tuple(
            shape.name
            for shape in SHAPES.values()
            if shape.screened
            and shape.suits(parameter.link)
            and shape.takes(self.kind == "categorical", self.positive)
            and (shape.name in among if among else not shape.fractional(parameter.link))
        )

    def columns(self, shape: str) -> Array:
        """What a coefficient multiplies on the transformed scale, float64[N, k]; NaN where there is no value.

        See `Shape.columns`; the reference is the median.
        """
        return SHAPES[shape].columns(self.baseline, 0.0 if self.levels else self.median, len(self.levels))

    @property
    def plain(self) -> Array:
        """An indicator of each level but the first, or the numbers less their median; float64[N, k]."""
        if self.kind == "continuous":
            return (self.baseline - self.median)[:, None]
        indicators = (self.baseline[:, None] == np.arange(1, len(self.levels))).astype(float)
        return np.where(self.known[:, None], indicators, np.nan)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of its results should know, in sentences."""
        found = []
        if self.missing:
            found.append(
                f"{self.missing} subject{'s have' if self.missing > 1 else ' has'} no value and "
                f"{'are' if self.missing > 1 else 'is'} left out."
            )
        if self.varies:
            found.append(
                f"It changes within {self.varies} subject{'s' if self.varies > 1 else ''}; first values are taken."
            )
        if self.twin:
            found.append(f"Identical with {self.twin}.")
        if self.alike:
            found.append(f"It says nearly the same as {', '.join(self.alike)}.")
        if self.kind == "continuous" and not self.positive:
            lowest = float(self.baseline[self.known].min())
            found.append(f"It is not positive everywhere (lowest {lowest:g}), so that no power of it is tried.")
        return tuple(found)


def usable_covariates(
    data: GroupedData, names: Iterable[str] | None = None
) -> tuple[tuple[UsableCovariate, ...], tuple[Refusal, ...]]:
    """Look at the covariates of a data set, one value per subject.

    Parameters
    ----------
    data : GroupedData
    names : iterable of str, optional
        Columns; those that `data` calls covariates if not given.

    Returns
    -------
    candidates : tuple of UsableCovariate
    refused : tuple of Refusal
        Those that are constant, or infinite somewhere; that have too few values, a category with a single subject, or
        more levels than can be told apart; or a name that cannot stand in a covariate formula.

    Raises
    ------
    ModelError
        If there is no such column.
    """
    given = (names,) if isinstance(names, str) else names
    chosen = data.covariate_names if given is None else tuple(dict.fromkeys(given))
    frame = data.frame
    unknown = [name for name in chosen if name not in frame.columns]
    if unknown:
        known = ", ".join(data.covariate_names) or "none"
        raise ModelError(f"There is no covariate {', '.join(map(repr, unknown))} in {data.name}. There are: {known}.")
    candidates: list[UsableCovariate] = []
    refused: list[Refusal] = []
    firsts: dict[str, pd.Series[Any]] = {}
    for name in chosen:
        firsts[name] = _first_values(frame[name], data)
        found = _candidate(name, frame[name], data, candidates, firsts)
        (candidates if isinstance(found, UsableCovariate) else refused).append(found)  # type: ignore[arg-type]
    return tuple(candidates), tuple(refused)


def _candidate(
    name: str,
    column: pd.Series[Any],
    data: GroupedData,
    earlier: list[UsableCovariate],
    firsts: dict[str, pd.Series[Any]],
) -> UsableCovariate | Refusal:
    if not _can_stand_in_a_formula(name):
        return Refusal(name, "Its name cannot stand in a covariate formula; rename the column to one word.")
    first = firsts[name]
    N, missing = len(first), int(first.isna().sum())
    n = N - missing
    if n < _FEWEST:
        return Refusal(name, f"{n} of {N} subjects have a value; {_FEWEST} are needed.")
    varies = len(varying_subjects(data.content, name))
    if first.nunique() < 2:
        what = "Its first value is the same in all subjects" if varies else "It is constant"
        return Refusal(name, f"{what}: {shown(first.dropna().iloc[0])}.")
    if is_categorical(column):
        levels = tuple(levels_of(first.dropna()))
        counts = first.value_counts()
        if len(levels) > max(2, min(MOST_LEVELS, n // 3)):
            return Refusal(
                name, f"{len(levels)} levels in {n} subjects are too many to tell apart; combine levels first."
            )
        alone = [shown(level) for level in levels if counts[level] == 1]
        if alone:
            return Refusal(
                name,
                f"A single subject has {', '.join(alone)}: an effect cannot be told from what is this subject's own; "
                "combine levels, or leave the subject out.",
            )
        numbers = {level: float(k) for k, level in enumerate(levels)}
        values = np.array([numbers.get(level, np.nan) for level in first.tolist()])
        made = UsableCovariate(name, "categorical", values, levels, varies)
    else:
        values = first.to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(values).any():
            return Refusal(name, f"It is infinite in {int(np.isinf(values).sum())} of {N} subjects; correct the data.")
        made = UsableCovariate(name, "continuous", values, (), varies)
    twin = next((other.name for other in earlier if _same(other, made)), "")
    alike = [
        f"{other.name} ({why})" for other in earlier if other.name != twin and (why := same(first, firsts[other.name]))
    ]
    return UsableCovariate(name, made.kind, made.baseline, made.levels, varies, twin, tuple(alike))


def _can_stand_in_a_formula(name: object) -> bool:
    try:
        return isinstance(name, str) and name.isidentifier() and Effect(f"C({name})") is not None
    except ModelError:
        return False


def _first_values(column: pd.Series[Any], data: GroupedData) -> pd.Series[Any]:
    """The first value that each subject has, in the order of `events.subjects`."""
    events = data.events
    by_record = column.iloc[events.row].reset_index(drop=True)
    first = by_record.groupby(events.subject).first()
    return first.reindex(range(len(events.subjects)))


def _same(one: UsableCovariate, other: UsableCovariate) -> bool:
    """Whether two covariates are the same but for a unit or the names of their levels."""
    if one.kind != other.kind or not np.array_equal(one.known, other.known):
        return False
    a, b = one.baseline[one.known], other.baseline[one.known]
    if one.kind == "categorical":
        pairs = len(set(zip(a.tolist(), b.tolist(), strict=True)))
        return pairs == len(one.levels) == len(other.levels)
    a, b = a / np.sqrt(np.mean(a**2)), b / np.sqrt(np.mean(b**2))
    return bool(np.allclose(a, b, rtol=_SAME, atol=_SAME))
