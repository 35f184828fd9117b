"""Models of other tools in a session: a control stream that was handed over, and a run written for another tool."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.checks import file_at
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.model import Model
from workbench.results.runs import Run
from workbench.ui.session.words import in_room_words
from workbench.ui.session.work import Request

ENDINGS = (".mod", ".ctl", ".nmctl")
_PRINTED = (".ext", ".lst", ".res", ".out")
WAYS = {
    "nonmem": "NONMEM", "nlmixr2": "nlmixr2", "mlxtran": "Monolix", "python": "Python", "xpose": "xpose tables",
}  # fmt: skip


@dataclass(frozen=True)
class Handed:
    """A control stream that was handed over.

    Attributes
    ----------
    name : str
        Of the stream.
    files : dict of str to bytes
        The stream and what came with it.
    said : str
        In a sentence: how it was proven, or why it was not taken.
    model : Model, optional
        What was understood; None where it was refused.
    method : str
    data : GroupedData, optional
        None where their file is missing.
    left_out : tuple of str
    """

    name: str
    files: Mapping[str, bytes]
    said: str
    model: Model | None = None
    method: str = ""
    data: GroupedData | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """A run that was written for another tool: the files, and in words which, or what the tool cannot say."""

    paths: tuple[Path, ...]
    said: str


def is_stream(name: str) -> bool:
    """Whether a file is a control stream, by its name."""
    return Path(name).suffix.casefold() in ENDINGS


def handed_over(files: Mapping[str, bytes]) -> Handed:
    """Read the control stream among some files.

    Its data are the file that it names, or else the only one that is no print of a run, or lie beside the notebook.
    """
    from workbench.exchange.stream import records_of
    from workbench.exchange.translation import model_of_stream, read_nonmem

    named = {Path(name.replace("\\", "/")).name or "file": content for name, content in files.items()}
    stream = next(name for name in named if is_stream(name))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in named.items():
            (Path(folder) / name).write_bytes(content)
        place = Path(folder) / stream
        try:
            source = records_of(place).source
            wanted = "" if source is None else Path(source.name.replace("\\", "/")).name
            data = _data_among(named, stream, wanted, Path(folder))
            if data is not None:
                run = read_nonmem(place, data)
                return Handed(stream, files, run.said, run.model, run.method, run.data, run.left_out)
            model, method, left_out = model_of_stream(place)
        except WorkbenchError as error:
            return Handed(stream, files, in_room_words(str(error).replace(f"{folder}/", "")))
    said = f"{stream} needs its data, {wanted}: hand that over as well, with the stream or now."
    return Handed(stream, files, said, model, method, None, left_out)


def _data_among(named: Mapping[str, bytes], stream: str, wanted: str, folder: Path) -> Path | None:
    others = [name for name in named if name != stream and Path(name).suffix.casefold() not in _PRINTED]
    found = [name for name in others if name.casefold() == wanted.casefold()] or (others if len(others) == 1 else [])
    if found:
        return folder / found[0]
    return Path(wanted) if wanted and file_at(wanted).is_file() else None


def reading(files: Mapping[str, bytes], done: Callable[[Handed], None]) -> Request:
    """Read a control stream in the background."""
    return Request("Reading the control stream", lambda report: handed_over(files), done)


def writing(run: Run, way: str, done: Callable[[Written], None]) -> Request:
    """Write a run for another tool, in the background, beside the notebook."""

    def work(report: Callable[[Any], bool]) -> Written:
        try:
            paths = _write(run, way)
        except WorkbenchError as error:
            return Written((), f"Run {run.number} was not written for {WAYS[way]}. {error}")
        return Written(tuple(paths), f"Saved run {run.number} for {WAYS[way]}: {', '.join(map(str, paths))}.")

    return Request(f"Writing for {WAYS[way]}", work, done)


def _write(run: Run, way: str) -> list[Path]:
    from workbench.exchange import to_xpose
    from workbench.exchange.forms import form_of

    if way == "xpose":
        return list(to_xpose(run.fit, f"run{run.number}"))
    form = form_of(way)
    stem = f"run{run.number}-{way}"
    number = 1
    while any(Path(stem + ending).exists() for ending in (form.ending, ".csv")):  # the data lie beside it
        number += 1
        stem = f"run{run.number}-{way}-{number}"
    place = form.write(run.fit, stem + form.ending, None, None)
    return [place, place.with_suffix(".csv")]
