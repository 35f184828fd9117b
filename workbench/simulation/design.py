"""Designs: who is given what, and is measured when. One function makes grouped data of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.checks import finite, is_number, whole
from workbench.data import GroupedData, read_data
from workbench.errors import ModelError
from workbench.markup.numbers import quantity
from workbench.simulation.regimen import Regimen, plain

Array = NDArray[np.float64]
Value = float | str
Times = tuple[float, ...] | tuple[tuple[str, tuple[float, ...]], ...] | None

GRID = 200  # times of a curve, besides the doses
_AFTER = 24.0  # what is shown after a single dose without an interval, where nothing else is said, in its own time


@dataclass(frozen=True)
class Listed:
    """A covariate that has a value for each subject."""

    each: tuple[Value, ...]


@dataclass(frozen=True)
class Stepped:
    """A covariate that changes: times, and the value that holds from each on."""

    begin: tuple[float, ...]
    each: tuple[Value, ...]


Covariate = Value | Listed | Stepped


@dataclass(frozen=True)
class Group:
    """Subjects who are given the same, and are measured at the same times; see `Design`."""

    regimen: Regimen
    times: Times
    covariates: tuple[tuple[str, Covariate], ...]
    subjects: int
    occasions: tuple[float, ...] = ()

    def in_words(self, units: Mapping[str, str]) -> str:
        """The regimen and the covariates in few words, with the units that are given."""
        said = [part.in_words(units) for part in self.regimen.parts]
        covariates = [
            f"{name} {value if isinstance(value, str) else quantity(plain(value), units.get(name))}"
            for name, value in self.covariates
            if not isinstance(value, Listed | Stepped)
        ]  # fmt: skip
        return ", ".join([", then ".join(said), *covariates])


@dataclass(frozen=True, init=False, repr=False)
class Design:
    """Who is given what, and is measured when; `a + b` are both groups.

    Parameters
    ----------
    regimen : Regimen
    times : sequence of float, or dict of str to sequence, optional
        When measurements are taken, or curves are drawn; by the name of the response where there are several. At the
        time of a dose it is before the dose. Unless said, a grid from 0 to the end of the last interval, with points
        before and after each dose.
    covariates : dict, optional
        By name: a number or text; a list of them, one for each subject; or a dict of time to value, where it changes
        (each value holds from its time on).
    subjects : int, optional
        How many; as many as there are values of a covariate that has a list, else 1.
    occasions : sequence of float, optional
        When a new occasion begins, for random effects between occasions; all is one occasion unless said. What is
        measured at that time, before a dose, is still part of the one before.

    Attributes
    ----------
    groups : tuple of Group

    Raises
    ------
    ModelError
        If an argument cannot be read.

    Examples
    --------
    >>> import workbench as wb
    >>> light = wb.Design(wb.Regimen(70), times=[0.5, 6, 24, 72], covariates={"WT": 55}, subjects=16)
    >>> heavy = wb.Design(wb.Regimen(70), times=[0.5, 6, 24, 72], covariates={"WT": 85}, subjects=16)
    >>> len((light + heavy).data().subjects)
    32
    """

    groups: tuple[Group, ...]

    def __init__(
        self,
        regimen: Regimen,
        times: Iterable[float] | Mapping[str, Iterable[float]] | None = None,
        covariates: Mapping[str, Any] | None = None,
        subjects: int | None = None,
        occasions: Iterable[float] = (),
    ):
        if not isinstance(regimen, Regimen):
            raise ModelError(
                f"The first argument is a wb.Regimen(…), got {type(regimen).__name__}. What is never dosed is "
                "simulated for data: wb.simulate(model, wb.read_data(frame))."
            )
        said = {} if covariates is None else dict(covariates)
        values = {str(name): _covariate(str(name), value) for name, value in said.items()}
        counts = {len(value.each) for value in values.values() if isinstance(value, Listed)}
        if subjects is not None:
            counts.add(whole("subjects", subjects, 1))
        if len(counts) > 1:
            raise ModelError(
                f"The covariates and subjects= say that there are {sorted(counts)} subjects: one of these."
            )
        group = Group(regimen, _times(times), tuple(values.items()), counts.pop() if counts else 1, _begin(occasions))
        if group.times is None:
            _grid(group)
        object.__setattr__(self, "groups", (group,))

    @classmethod
    def of(cls, groups: Iterable[Group]) -> Design:
        """A design of some groups."""
        made = object.__new__(cls)
        object.__setattr__(made, "groups", tuple(groups))
        return made

    def __add__(self, other: object) -> Design:
        if not isinstance(other, Design):
            return NotImplemented
        return Design.of((*self.groups, *other.groups))

    def __repr__(self) -> str:
        return " + ".join(map(_one, self.groups))

    @property
    def subjects(self) -> int:
        """How many subjects there are in all groups."""
        return sum(group.subjects for group in self.groups)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the covariates, those of all groups."""
        return tuple(dict.fromkeys(name for group in self.groups for name, _ in group.covariates))

    def with_regimen(self, regimen: Regimen) -> Design:
        """The same people, given something else."""
        return Design.of(replace(group, regimen=regimen) for group in self.groups)

    def with_times(self, times: Sequence[Times]) -> Design:
        """The same with other times, for each group."""
        return Design.of(replace(group, times=t) for group, t in zip(self.groups, times, strict=True))

    def data(self) -> GroupedData:
        """The design as grouped data, one subject after the other; DV is 1 wherever something is measured."""
        return _read(self.rows(everybody=True), self.covariate_names)

    def kinds(self) -> tuple[GroupedData, NDArray[np.int64], NDArray[np.int64]]:
        """Grouped data of subjects that are not the same, how many there are of each, and of which group they are."""
        return _kinds(self)

    def rows(self, everybody: bool) -> list[pd.DataFrame]:
        """The records of each group, of all subjects or of those that differ."""
        names = self.covariate_names
        frames, label = [], 0
        for g, group in enumerate(self.groups):
            missing = [name for name in names if name not in dict(group.covariates)]
            if missing:
                raise ModelError(
                    f"Group {g + 1} of the design does not say {', '.join(missing)}, which another one does."
                )
            plain, chosen = _records(group), list(range(group.subjects) if everybody else _different(group))
            n, m = len(plain), len(chosen)
            columns = {name: _along(value, chosen, plain) for name, value in group.covariates}
            if _OCCASION not in names:
                begin, time = [t for t in group.occasions if t > 0], plain["TIME"].to_numpy()
                before, since = np.searchsorted(begin, time, side="left"), np.searchsorted(begin, time, side="right")
                plain = plain.assign(**{_OCCASION: 1 + np.where(plain["late"], since, before)})
            plain = plain.drop(columns="late")
            rows = plain.iloc[np.tile(np.arange(n), m)] if m > 1 else plain
            frames.append(rows.assign(ID=np.repeat(np.arange(label, label + m) + 1, n), GROUP=g + 1, **columns))
            label += m
        return frames


def design_of(designs: object) -> Design:
    """A design, or several in a list, as one.

    Raises
    ------
    ModelError
        If it is none.
    """
    if isinstance(designs, Design):
        return designs
    if isinstance(designs, Sequence) and designs and all(isinstance(one, Design) for one in designs):
        return Design.of(group for one in designs for group in one.groups)
    raise ModelError(f"A wb.Design(…) is needed, or a list of them; got {designs!r:.80}.")


@lru_cache(maxsize=64)
def _kinds(design: Design) -> tuple[GroupedData, NDArray[np.int64], NDArray[np.int64]]:
    count, of = [], []
    for g, group in enumerate(design.groups):
        different = _different(group)
        of += [g] * len(different)
        count += list(different.values())
    return _read(design.rows(everybody=False), design.covariate_names), np.array(count), np.array(of)


# -- what the arguments say --------------------------------------------------------------------------------------------


def _times(times: Any) -> Times:
    if times is None:
        return None
    if isinstance(times, Mapping):
        return tuple((str(name), _rising(part)) for name, part in times.items())
    return _rising(times)


def _begin(occasions: Any) -> tuple[float, ...]:
    if isinstance(occasions, str) or not isinstance(occasions, Iterable):
        raise ModelError(f"occasions={occasions!r}; the times at which they begin are needed.")
    return tuple(sorted({finite(time, "A time of occasions=") for time in occasions}))


def _rising(times: Any) -> tuple[float, ...]:
    if isinstance(times, str) or not isinstance(times, Iterable):
        raise ModelError(f"times={times!r}; a sequence of times is needed.")
    when = tuple(sorted(finite(time, "A time of times=") for time in times))
    if not when or when[0] < 0:
        raise ModelError(f"times={list(when)!r}; at least one time is needed, and none before 0.")
    return when


def _covariate(name: str, value: Any) -> Covariate:
    if isinstance(value, Mapping):
        steps = tuple(sorted((finite(time, f"A time of {name}"), _value(name, v)) for time, v in value.items()))
        if not steps or steps[0][0] > 0:
            raise ModelError(f"{name}={value!r}; its value at time 0 is needed.")
        return Stepped(tuple(time for time, _ in steps), tuple(v for _, v in steps))
    if isinstance(value, str) or not isinstance(value, Iterable):
        return _value(name, value)
    values = tuple(_value(name, one) for one in value)
    if not values:
        raise ModelError(f"{name} has no values.")
    return Listed(values)


def _value(name: str, value: Any) -> Value:
    if isinstance(value, str):
        return value
    if not is_number(value):
        raise ModelError(f"{name}={value!r}; a number or text is needed.")
    return finite(value, name)


def _along(value: Covariate, subjects: list[int], records: pd.DataFrame) -> Any:
    """Values of a covariate of some subjects at the records of each, one subject after the other.

    Until a record the parameters are those of its row. So the row that marks a step still has the value from before.
    """
    if isinstance(value, Listed):
        return [value.each[k] for k in subjects for _ in range(len(records))]
    if isinstance(value, Stepped):
        time = records["TIME"].to_numpy()
        until = np.searchsorted(value.begin, time, side="left") - 1
        since = np.searchsorted(value.begin, time, side="right") - 1
        at = np.where(records["EVID"] == 2, np.maximum(until, 0), since)
        return [value.each[k] for k in at.tolist()] * len(subjects)
    return value


def _different(group: Group) -> dict[int, int]:
    """A subject for each combination of covariates that differs from the others, and how many have it."""
    listed = [value.each for _, value in group.covariates if isinstance(value, Listed)]
    if not listed:
        return {0: group.subjects}
    firsts: dict[Any, int] = {}
    counts: dict[int, int] = {}
    for k in range(group.subjects):
        first = firsts.setdefault(tuple(value[k] for value in listed), k)
        counts[first] = counts.get(first, 0) + 1
    return counts


# -- records -----------------------------------------------------------------------------------------------------------


def _grid(group: Group) -> tuple[Array, Array]:
    """Times of a curve, and which of them stand after the dose at the same time."""
    doses = group.regimen.doses
    window = group.regimen.interval
    if window is None:
        raise ModelError(
            f"{group.regimen!r} has no interval after its last dose: say until when, with times= of the design "
            f"(np.linspace(0, {_AFTER:g}, 100), say), or with every= of the regimen."
        )
    given = np.unique([dose.time for dose in doses])
    grid = np.linspace(0.0, window[1], GRID + 1)
    ends = np.unique([dose.time + dose.infusion for dose in doses if dose.infusion > 0])
    before = np.unique(np.concatenate([grid, given, ends[ends <= window[1]]]))
    time, after = np.concatenate([before, given]), np.repeat([False, True], [len(before), len(given)])
    order = np.lexsort((after, time))
    return time[order], after[order]


def _records(group: Group) -> pd.DataFrame:
    """The records of one subject of a group."""
    named: tuple[tuple[str | None, Array, Array], ...]
    if group.times is None:
        named = ((None, *_grid(group)),)
    elif isinstance(group.times[0], tuple):
        parts: Any = group.times
        named = tuple((name, np.array(t), np.zeros(len(t), dtype=bool)) for name, t in parts)
    else:
        named = ((None, np.array(group.times, dtype=float), np.zeros(len(group.times), dtype=bool)),)
    columns: dict[str, list[Any]] = {name: [] for name in ("TIME", "EVID", "AMT", "DUR", "CMT", "DV", "DVID", "rank")}

    def add(time: float, evid: int, amount: float, infusion: float, into: int, response: Any, rank: int) -> None:
        values = (time, evid, amount, infusion, into, 1.0 if evid == 0 else np.nan, response, rank)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)

    for dose in group.regimen.doses:
        add(dose.time, 1, dose.amount, dose.infusion, dose.compartment or 0, named[0][0], 1)
    for name, times, after in named:
        for time, late in zip(times.tolist(), after.tolist(), strict=True):
            add(time, 0, 0.0, 0.0, 0, name, 2 if late else 0)
    for _, value in group.covariates:
        if isinstance(value, Stepped):
            for time in value.begin:
                add(time, 2, 0.0, 0.0, 0, named[0][0], -1)
    frame = pd.DataFrame(columns)
    order = np.lexsort((frame["rank"].to_numpy(), frame["TIME"].to_numpy()))
    frame = frame.iloc[order].assign(late=frame["rank"].iloc[order] > 0).drop(columns="rank").reset_index(drop=True)
    return frame if named[0][0] is not None else frame.drop(columns="DVID")


_ROLES = {
    "subject": "ID", "time": "TIME", "response": "DV", "amount": "AMT", "evid": "EVID", "duration": "DUR",
    "compartment": "CMT",
}  # fmt: skip
_OCCASION = "OCC"
DESIGN = "design"  # what the data of a design are called
_ALLOW = ("subject without dose", "subject without observation", "dose without amount")


def _read(frames: list[pd.DataFrame], names: tuple[str, ...]) -> GroupedData:
    """Grouped data of records; `names` are those of the covariates."""
    frame = pd.concat(frames, ignore_index=True)
    roles: dict[str, Any] = dict(_ROLES)
    if "DVID" in frame:
        roles["response_id"] = "DVID"
    if _OCCASION in frame and _OCCASION not in names:
        roles["occasion"] = _OCCASION
    known = {*roles.values(), "GROUP"}
    roles["covariates"] = [name for name in frame.columns if name not in known]
    roles["ignore"] = ["GROUP"]
    return read_data(frame, roles=roles, name=DESIGN, allow=_ALLOW, covariate_rule="locf")


# -- how it prints -----------------------------------------------------------------------------------------------------


def _one(group: Group) -> str:
    said = [repr(group.regimen)]
    if group.times is not None:
        said.append(f"times={_spelled(group.times)}")
    if group.covariates:
        parts = [f"{name!r}: {_spelled(value)}" for name, value in group.covariates]
        said.append(f"covariates={{{', '.join(parts)}}}")
    if group.subjects != 1:
        said.append(f"subjects={group.subjects}")
    if group.occasions:
        said.append(f"occasions={_spelled(group.occasions)}")
    return f"wb.Design({', '.join(said)})"


def _spelled(value: Any) -> str:
    if isinstance(value, Stepped):
        return _spelled(tuple(zip(value.begin, value.each, strict=True)))
    if isinstance(value, Listed):
        return _spelled(value.each)
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return "{" + ", ".join(f"{_spelled(key)}: {_spelled(one)}" for key, one in value) + "}"
    return "[" + ", ".join(map(_spelled, value)) + "]" if isinstance(value, tuple) else plain(value)
