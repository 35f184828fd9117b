"""The run history: every fit of a session kept with the model that it started from. Frozen values, no widgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import markup
from workbench.data import BareName
from workbench.methods import method_of
from workbench.results.fit import FitResult, Settings, Status

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


@dataclass(frozen=True, eq=False)
class Run:
    """One fit of the session.

    Attributes
    ----------
    number : int
        Counted from 1.
    fit : FitResult
    """

    number: int
    fit: FitResult

    @property
    def model(self) -> Model:
        """The model that the fit started from (`fit.model` holds the estimates)."""
        return self.fit.given

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
        return self.fit.settings

    @property
    def code(self) -> str:
        """The cell that gives this fit again, to the digit."""
        code = cell(self.data, self.model, self.method, self.fit.settings)
        if self.fit.status in (Status.stopped, Status.max_iterations):
            code = f"# This fit ended early; the cell runs it to its end.\n{code}"
        return code

    def fits(self, data: GroupedData | None, model: Model | None) -> bool:
        """Whether this is a fit of `model`, as it is stated, to `data`."""
        return data is not None and self.data.hash == data.hash and self.model == model

    def __repr__(self) -> str:
        stated = f"{self.model.structure.title}, {self.model.error.title}, {self.fit.method}"
        return f"Run {self.number}: {stated}, OFV {self.fit.ofv:.3f}"


@dataclass(frozen=True)
class Runs:
    """All fits of a session, in order; adding one makes a new `Runs`.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> runs = wb.Runs().add(wb.fit(wb.Model(wb.pk(absorption="first-order")), data))
    >>> len(runs), runs[-1].number
    (1, 1)
    """

    _runs: tuple[Run, ...] = ()

    def add(self, fit: FitResult) -> Runs:
        """Runs with one more at the end."""
        number = self._runs[-1].number + 1 if self._runs else 1
        return Runs((*self._runs, Run(number, fit)))

    def find(self, fit: FitResult) -> Run | None:
        """The run of a fit, if it is one of these."""
        return next((run for run in self._runs if run.fit is fit), None)

    def __getitem__(self, number: int) -> Run:
        """The run of that number; -1 is the last one."""
        if -len(self._runs) <= number < 0:
            return self._runs[number]
        for run in self._runs:
            if run.number == number:
                return run
        have = f"1 to {len(self._runs)}" if self._runs else "none yet"
        raise KeyError(f"no run {number}; there are {have}")

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def delta_ofv(self, run: Run) -> float:
        """OFV above the best of the same data and method; objectives of others are not comparable."""
        peers = [r.fit.ofv for r in self._runs if r.data.hash == run.data.hash and r.method == run.method]
        return run.fit.ofv - min(peers)

    def table(self) -> pd.DataFrame:
        """One row per run, indexed by its number.

        Columns: data, structure, random (effects), error, method, ofv, delta_ofv (above the best of the same data and
        method), aic, bic, parameters (number estimated), status, seconds.
        """
        import pandas as pd

        rows = [
            {
                "run": run.number,
                "data": run.data.name,
                "structure": run.model.structure.title,
                "random": ", ".join(run.fit.random_effects),
                "error": run.model.error.title,
                "method": run.fit.method,
                "ofv": run.fit.ofv,
                "delta_ofv": self.delta_ofv(run),
                "aic": run.fit.aic,
                "bic": run.fit.bic,
                "parameters": run.fit.n_estimated,
                "status": run.fit.status.name,
                "seconds": run.fit.seconds,
            }
            for run in self._runs
        ]
        columns = ["run", "data", "structure", "random", "error", "method", "ofv", "delta_ofv", "aic", "bic",
                   "parameters", "status", "seconds"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns).set_index("run")

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._runs)) or "no runs yet"

    def _repr_html_(self) -> str:
        table = self.table()
        for column in table.select_dtypes("float"):
            table[column] = [markup.decimals(value, 2) for value in table[column]]
        return markup.frame_table(table)
