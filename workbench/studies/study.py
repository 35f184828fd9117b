"""A study: data, model and runs of a session in one file, a zip of plain JSON."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import plain
from workbench.data import GroupedData, stored
from workbench.errors import FileError, WorkbenchError
from workbench.markup import Shown, counted
from workbench.methods import METHODS, method_of
from workbench.model import Model
from workbench.results import FitResult, Run, Runs
from workbench.results.fit import Settings
from workbench.results.history import Facts, facts_in
from workbench.results.packing import record, versions, write
from workbench.results.stored import fit_of, model_of, options_of
from workbench.studies.recomputed import recomputed

_HEAD = "study.json"
_MOST = 20_000  # files in the zip


@dataclass(frozen=True, eq=False, repr=False)
class Study(Shown):
    """What a session holds: `wb.Workbench.open` shows it again.

    Attributes
    ----------
    data : GroupedData or None
    model : Model or None
        As it was stated when the study was saved.
    method : str or options of a method
    settings : tuple of (str, value)
    runs : Runs
        Each fit is read when it is asked for, and its objective computed again.
    shown : int or None
        Number of the run that was shown.
    left_out : tuple of str
        Runs that could not be saved, and why.
    panels : tuple of (str, str)
        What the panels were set to that is no part of a run, by name, in Python as it prints itself; who shows it
        reads it.
    """

    data: GroupedData | None
    model: Model | None
    method: object
    settings: Settings
    runs: Runs
    shown: int | None
    left_out: tuple[str, ...] = ()
    panels: tuple[tuple[str, str], ...] = ()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a zip of JSON: `study.json`, a file for each run, and one for each set of data.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        sets: dict[str, GroupedData] = {} if self.data is None else {self.data.hash: self.data}
        kept, left_out, files = [], list(self.left_out), {}
        for run in self.runs:
            try:
                fit = run.fit
            except WorkbenchError as error:
                left_out.append(f"Run {run.number}: {error}")
                continue
            sets.setdefault(fit.data.hash, fit.data)
            files[f"runs/{run.number}.json"] = record(fit)
            kept.append({name: _written(value) for name, value in run.facts.__dict__.items()})
        head = {
            "kind": "study",
            "schema": plain.SCHEMA,
            "versions": versions(),
            "data": None if self.data is None else stored.about(self.data),
            "model": None if self.model is None else repr(self.model),
            "method": self.method if isinstance(self.method, str) else repr(self.method),
            "settings": [[name, plain.plain_scalar(value)] for name, value in self.settings],
            "shown": self.shown,
            "runs": kept,
            "left_out": left_out,
            "panels": [list(one) for one in self.panels],
        }
        files |= {f"data/{key}.json": _records(data) for key, data in sets.items()}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {_HEAD: head, **files}.items():
                archive.writestr(name, plain.written(content))
        return write(packed.getvalue(), path)

    def _shown(self) -> list[Any]:
        data = "no data" if self.data is None else self.data.name
        return [f"Study of {data}, {counted(len(self.runs), 'run')}.", *self.left_out, self.runs.table()]


def study_in(content: bytes, name: str, largest: int = plain.LARGEST) -> Study:
    """The study in the content of a file.

    Raises
    ------
    FileError
        If it is none, damaged, of a later version, or larger than `largest` bytes unpacked.
    """
    archive = _Archive(content, name, largest)
    head = archive.read(_HEAD)
    if head.get("kind") != "study":
        raise FileError(f"{name} is no study: it holds {str(head.get('kind'))[:40]!r}.")
    plain.need(head, ("data", "model", "method", "settings", "shown", "runs"), name)
    sets: dict[str, dict[str, Any]] = {}
    made: dict[str, GroupedData] = {}

    def data_of(about: dict[str, Any]) -> GroupedData:
        plain.need(about, ("hash", "code"), name)
        key = str(about["hash"])
        if key not in sets:
            sets[key] = archive.read(f"data/{key}.json")
        same = f"{key} {about['code']}"
        if same not in made:
            made[same] = stored.data_of(about, sets[key])
        return made[same]

    def loads(facts: Facts) -> Callable[[], FitResult]:
        def fit() -> FitResult:
            saved = archive.read(f"runs/{facts.number}.json")
            what = f"run {facts.number} of {name}"
            plain.need(saved, ("data", "versions"), what)
            found = fit_of(saved, data_of(saved["data"]), what)
            return recomputed(found, f"{name}, written by workbench {plain.version(saved)}")

        return fit

    try:
        facts = [facts_in(row) for row in head["runs"]]
        method = head["method"] if head["method"] in METHODS else options_of(str(head["method"]))
        method_of(method)
        settings = tuple((str(key), plain.scalar(value)) for key, value in head["settings"])
        model = None if head["model"] is None else model_of(str(head["model"]))
        data = None if head["data"] is None else data_of(head["data"])
        left_out = tuple(map(str, head.get("left_out", ())))
        panels = tuple((str(panel), str(text)) for panel, text in head.get("panels", ()))
        shown = None if head["shown"] is None else int(head["shown"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{name} cannot be opened: {error}") from None
    runs = Runs.of([Run(one, loads(one)) for one in facts])
    return Study(data, model, method, settings, runs, shown, left_out, panels)


class _Archive:
    """The files of a zip, none of which is unpacked onto the disk, all of them together no larger than allowed."""

    def __init__(self, content: bytes, name: str, largest: int):
        self._name, self._largest = name, largest
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
            raise FileError(f"{name} is a damaged zip: {error}") from None
        inside = self._zip.infolist()
        if len(inside) > _MOST or sum(one.file_size for one in inside) > largest:
            raise FileError(
                f"{name} unpacks to {sum(one.file_size for one in inside) / 1e6:,.0f} MB in {len(inside):,} files; at "
                f"most {largest / 1e6:,.0f} MB are read. If you trust it, allow more: wb.load(…, largest=…)."
            )

    def read(self, path: str) -> dict[str, Any]:
        """The record in one file."""
        what = f"{path} in {self._name}"
        try:
            with self._zip.open(path) as stream:
                content = stream.read(self._largest + 1)  # whatever the head of the zip says of its size
        except KeyError:
            raise FileError(f"{self._name} is no study, or damaged: there is no {path} in it.") from None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, zlib.error) as error:
            raise FileError(f"{what} is damaged: {error}") from None
        return plain.read(content, what, self._largest)


def _records(data: GroupedData) -> dict[str, Any]:
    return {"kind": "data", "schema": plain.SCHEMA, "name": data.name, **stored.records(data)}


def _written(value: Any) -> Any:
    return plain.number(value) if isinstance(value, float) else value
