"""The run history: every fit kept with the model that it started from, in memory or in a file. Frozen values."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import markup, plain
from workbench.checks import whole
from workbench.data import BareName
from workbench.errors import FileError
from workbench.methods import method_of
from workbench.results.fit import FitResult, Settings, Status
from workbench.results.history import Facts, History, facts_of
from workbench.results.stored import model_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import GroupedData
    from workbench.model import Model


_WIDTH = 72


def cell(data: GroupedData, model: Model, method: object, settings: Iterable[tuple[str, object]] = ()) -> str:
    """The notebook cell that fits a model to data by a method, which is a name or options that print themselves.

    `settings` are further arguments of `fit`.
    """
    stated = f'"{method}"' if isinstance(method, str) else repr(method)
    stated += "".join(f", {name}={value!r}" for name, value in settings)
    return (
        f"import workbench as wb\n\n{_remark(data)}data = {_source(data)}\nmodel = {model!r}\n"
        f"fit = wb.fit(model, data, method={stated})\nfit"
    )


def _source(data: GroupedData) -> str:
    """The expression that makes the data; one step a line where there are many."""
    code = data.code()
    if len(code) <= _WIDTH:
        return code
    first, *others = data.history
    return "\n".join(["(", f"    {first}", *(f"    .{step}" for step in others), ")"])


def _remark(data: GroupedData) -> str:
    """A comment where the cell alone does not find the data."""
    source = data.history[0].args[0] if data.history and data.history[0].args else ""
    if data.history and data.history[0].call != "wb.read_data":
        return ""
    if isinstance(source, BareName):
        return f"# {source} is the DataFrame that the data were read from\n"
    return "" if Path(str(source)).is_file() else "# put this file beside the notebook, or write its path\n"


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One fit of the history; the fit itself is read when it is asked for.

    Attributes
    ----------
    facts : Facts
        What the table shows: number, parent, name, note, starred, made and so on.
    loads : callable
        Gives the fit.
    """

    facts: Facts
    loads: Callable[[], FitResult]

    @classmethod
    def of(cls, fit: FitResult, facts: Facts) -> Run:
        """The run of a fit that is at hand."""
        run = cls(facts, lambda: fit)
        run.__dict__["fit"] = fit
        return run

    @cached_property
    def fit(self) -> FitResult:
        """The fit.

        Raises
        ------
        FileError
            If it cannot be restored from the file.
        """
        return self.loads()

    @property
    def is_loaded(self) -> bool:
        """Whether the fit is at hand."""
        return "fit" in self.__dict__

    @property
    def number(self) -> int:
        """Counted from 1."""
        return self.facts.number

    @property
    def parent(self) -> int | None:
        """Number of the run that was shown when this one was begun; None where there was none."""
        return self.facts.parent

    @property
    def name(self) -> str:
        """What a person called it."""
        return self.facts.name

    @property
    def note(self) -> str:
        """What a person noted."""
        return self.facts.note

    @property
    def starred(self) -> bool:
        """Whether a person marked it."""
        return self.facts.starred

    @cached_property
    def model(self) -> Model:
        """The model that the fit started from (`fit.model` holds the estimates).

        Raises
        ------
        ModelError
            If it needs something that is not there: a residual error of another notebook's own, say.
        """
        return self.fit.given if self.is_loaded else model_of(self.facts.model)

    @property
    def data(self) -> GroupedData:
        """The data that were fitted."""
        return self.fit.data

    @property
    def method(self) -> object:
        """The method of estimation: its name, or its options where they are not the usual ones."""
        stated: object = method_of(self.fit.method).stated(self.fit.options)
        return stated

    @property
    def settings(self) -> Settings:
        """Further arguments of the fit that were not the usual ones."""
        if self.is_loaded:
            return self.fit.settings
        return tuple((str(name), plain.scalar(value)) for name, value in json.loads(self.facts.settings))

    @property
    def code(self) -> str:
        """The cell that gives this fit again, to the digit."""
        code = cell(self.data, self.model, self.method, self.fit.settings)
        if self.fit.status in (Status.stopped, Status.max_iterations):
            code = f"# This fit ended early; the cell runs it to its end.\n{code}"
        return code

    def fits(self, data: GroupedData | None, model: Model | None) -> bool:
        """Whether this is a fit of `model`, as it is stated, to `data`."""
        return data is not None and self.facts.data_hash == data.hash and self.model == model

    def changed(self, **changes: Any) -> Run:
        """The same run with other facts: name, note, starred, parent, number."""
        made = replace(self, facts=replace(self.facts, **changes))
        if self.is_loaded:
            made.__dict__["fit"] = self.fit
        return made

    def __repr__(self) -> str:
        facts = self.facts
        named = f" ({facts.name})" if facts.name else ""
        return f"Run {facts.number}{named}: {facts.structure}, {facts.error}, {facts.method}, OFV {facts.ofv:.3f}"


@dataclass(frozen=True, repr=False)
class Runs:
    """All fits of a session, in order; adding one makes a new `Runs`.

    `wb.Runs()` keeps them in memory, `wb.Runs.open(path)` in a file as well: each one in a transaction of its own when
    its fit ends, so that a process that is killed loses none that had ended. Several processes may use one file.

    Attributes
    ----------
    said : str
        What stands against keeping them, in a sentence; empty where nothing does.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> runs = wb.Runs().add(wb.fit(wb.Model(wb.pk(absorption="first-order")), data))
    >>> len(runs), runs[-1].number
    (1, 1)
    >>> kept = wb.Runs.open("runs.db").add(runs[1].fit, note="the first")
    >>> wb.Runs.open("runs.db")[-1].note
    'the first'
    """

    _runs: tuple[Run, ...] = ()
    _history: History | None = field(default=None, compare=False)
    _waiting: tuple[int, ...] = ()  # numbers of those that could not be written
    _deleted: tuple[Run, ...] = ()
    said: str = ""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Runs:
        """The runs in a file, which is made where there is none; those that are added are kept there.

        Raises
        ------
        FileError
            If it is no file of runs, damaged, of a later version of workbench, or cannot be made.
        """
        history = History.open(path)
        said = "" if history.writable else f"{history.path.name} can only be read: new runs are kept in memory."
        return cls(_history=history, said=said)._read()

    @classmethod
    def of(cls, runs: Iterable[Run], said: str = "") -> Runs:
        """These runs, in memory."""
        return cls(tuple(runs), said=said)

    @property
    def path(self) -> Path | None:
        """The file that they are kept in; None in memory."""
        return None if self._history is None else self._history.path

    @property
    def where(self) -> str:
        """Where they are kept, in a line."""
        if self._history is None:
            return self.said or "Runs are kept in memory, until the session ends."
        return self.said or f"Runs are kept in {self._history.path}."

    def _read(self) -> Runs:
        """With what is in the file now, other processes' runs included."""
        if self._history is None:
            return self
        known = {run.number: run for run in self._runs if run.number not in self._waiting}
        found = [_again(known.get(facts.number), facts, self._history) for facts in self._history.facts()]
        here = [run for run in self._runs if run.number in self._waiting]
        return replace(self, _runs=tuple(sorted([*found, *here], key=lambda run: run.number)))

    def refreshed(self) -> Runs:
        """With what other processes have added to the file meanwhile, or changed."""
        try:
            return self._read()
        except FileError as error:
            return replace(self, said=str(error))

    def add(self, fit: FitResult, *, parent: int | None = None, name: str = "", note: str = "") -> Runs:
        """Runs with one more at the end.

        Where it cannot be written to the file it is kept in memory, `said` says why, and it is tried again with the
        next one.

        Parameters
        ----------
        fit : FitResult
        parent : int, optional
            Number of the run that it came from.
        name, note : str
        """
        number = max((run.number for run in (*self._runs, *self._deleted)), default=0) + 1
        run = Run.of(fit, facts_of(fit, number, parent, name, note))
        if self._history is None:
            return replace(self, _runs=(*self._runs, run))
        waiting = [run for run in self._runs if run.number in self._waiting]
        kept, left, said = [other for other in self._runs if other not in waiting], [*waiting, run], ""
        try:
            while left:
                number = self._history.add(left[0].fit, left[0].facts)
                kept.append(left.pop(0).changed(number=number))
        except FileError as error:
            said = f"{error} Runs are kept in memory meanwhile."
        last = max((other.number for other in kept), default=0)
        others = [one if one.number > last else one.changed(number=last + k) for k, one in enumerate(left, 1)]
        made = replace(self, _runs=(*kept, *others), _waiting=tuple(one.number for one in others), said=said)
        return made if said else made.refreshed()

    def changed(
        self, number: int, *, name: str | None = None, note: str | None = None, starred: bool | None = None
    ) -> Runs:
        """With another name or note for a run, or a star; what is None stays as it is.

        Raises
        ------
        KeyError
            If there is no run of that number.
        """
        run = self[whole("number", number, 1)]
        stated = {"name": name, "note": note, "starred": starred}
        changes = {what: value for what, value in stated.items() if value is not None}
        if not changes:
            return self
        made = replace(self, _runs=tuple(r.changed(**changes) if r is run else r for r in self._runs))
        return made._kept(number, lambda history: history.change(number, **changes))

    def without(self, *numbers: int) -> Runs:
        """Without some runs; `restored` brings them back as long as the session lasts."""
        gone = tuple(self[whole("number", number, 1)] for number in numbers)
        left = tuple(run for run in self._runs if run not in gone)
        made = replace(self, _runs=left, _deleted=(*self._deleted, *gone))
        return made._kept(None, lambda history: history.delete(numbers))

    def restored(self) -> Runs:
        """With the run that was deleted last, if there is one."""
        if not self._deleted:
            return self
        *others, run = self._deleted
        runs = tuple(sorted((*self._runs, run), key=lambda one: one.number))
        made = replace(self, _runs=runs, _deleted=tuple(others))
        return made._kept(None, lambda history: history.delete([run.number], undo=True))

    @property
    def deleted(self) -> tuple[Run, ...]:
        """What `restored` brings back, the last one first to come."""
        return self._deleted

    def _kept(self, number: int | None, write: Callable[[History], None]) -> Runs:
        """The same with a change written to the file, or with a sentence why it is not."""
        if self._history is None or number in self._waiting:
            return self
        try:
            write(self._history)
        except FileError as error:
            return replace(self, said=f"{error} The change is kept in memory only.")
        return replace(self, said="") if not self._waiting else self

    def find(self, fit: FitResult) -> Run | None:
        """The run of a fit, if it is one of these."""
        return next((run for run in self._runs if run.is_loaded and run.fit is fit), None)

    def get(self, number: int | None) -> Run | None:
        """The run of that number, if it is one of these."""
        return next((run for run in self._runs if run.number == number), None)

    def __getitem__(self, number: int) -> Run:
        """The run of that number; -1 is the last one."""
        if -len(self._runs) <= number < 0:
            return self._runs[number]
        found = self.get(number)
        if found is not None:
            return found
        raise KeyError(f"no run {number}; there are {_in_words([run.number for run in self._runs])}")

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def delta_ofv(self, run: Run) -> float:
        """OFV above the best of the same data and method; objectives of others are not comparable."""
        return run.facts.ofv - min(one.facts.ofv for one in self._runs if _kind(one) == _kind(run))

    def table(self) -> pd.DataFrame:
        """One row per run, indexed by its number.

        Columns: name, data, structure, random (effects), error, method, ofv, delta_ofv (above the best of the same data
        and method), aic, bic, parameters (number estimated), status, seconds, parent, starred, made, note.
        """
        import pandas as pd

        best: dict[tuple[str, str, str | None], float] = {}
        for run in self._runs:
            key = _kind(run)
            best[key] = min(best.get(key, run.facts.ofv), run.facts.ofv)
        rows = [
            {
                "run": run.number,
                "name": run.name,
                "data": run.facts.data_name,
                "structure": run.facts.structure,
                "random": run.facts.random,
                "error": run.facts.error,
                "method": run.facts.method,
                "ofv": run.facts.ofv,
                "delta_ofv": run.facts.ofv - best[_kind(run)],
                "aic": run.facts.aic,
                "bic": run.facts.bic,
                "parameters": run.facts.parameters,
                "status": run.facts.status,
                "seconds": run.facts.seconds,
                "parent": run.parent,
                "starred": run.starred,
                "made": run.facts.made,
                "note": run.note,
            }
            for run in self._runs
        ]
        columns = ["run", "name", "data", "structure", "random", "error", "method", "ofv", "delta_ofv", "aic", "bic",
                   "parameters", "status", "seconds", "parent", "starred", "made", "note"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns).astype({"parent": "Int64"}).set_index("run")

    def __repr__(self) -> str:
        return "\n".join([*map(repr, self._runs), *filter(None, [self.said])]) or "no runs yet"

    def _repr_html_(self) -> str:
        table = self.table()
        for column in table.select_dtypes("float"):
            table[column] = [markup.decimals(value, 2) for value in table[column]]
        shown = [name for name in table if name != "made" and (name not in _SPARSE or _stated(table[name]))]
        return markup.joined(markup.frame_table(table[shown]), markup.tag("p", self.where))


_SPARSE = ("name", "parent", "starred", "note")  # columns that are shown where something stands in them


def _stated(column: pd.Series[Any]) -> bool:
    return bool(column.fillna(0).astype(bool).any())


def _kind(run: Run) -> tuple[str, str, str | None]:
    """What two runs have to have in common for their objectives to be compared."""
    return run.facts.data_hash, run.facts.method, run.facts.options


def _again(run: Run | None, facts: Facts, history: History) -> Run:
    """The run that is known, with what the file says of it now."""
    if run is None:
        return Run(facts, lambda: history.fit(facts.number))
    return run if run.facts == facts else run.changed(**facts.__dict__)


def _in_words(numbers: list[int]) -> str:
    if not numbers:
        return "none yet"
    whole_range = numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if whole_range and len(numbers) > 1 else ", ".join(map(str, numbers))
