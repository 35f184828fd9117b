"""`wb.load`: a saved fit, a study or a file of runs, by what it holds and not by its name."""

from __future__ import annotations

import os

from workbench import plain
from workbench.checks import file_at, whole
from workbench.data import GroupedData
from workbench.errors import FileError
from workbench.results import FitResult, Runs
from workbench.results.stored import data_in, fit_of
from workbench.studies.recomputed import recomputed
from workbench.studies.study import Study, study_in

_ZIP, _SQLITE, _PICKLE = b"PK\x03\x04", b"SQLite format 3\x00", (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def load(
    path: str | os.PathLike[str], data: GroupedData | None = None, *, largest: int = plain.LARGEST
) -> FitResult | Study | Runs:
    """Open what was saved: a fit (`fit.save`), a study (`bench.save`), or a file of runs.

    The objective of a fit is computed again; where it differs from that in the file, or an estimate does, the fit's
    message says so. Nothing in the file is evaluated or run.

    Parameters
    ----------
    path : str or path
    data : GroupedData, optional
        Those that were fitted, where the file has only their hash.
    largest : int
        Bytes that are read at most, unpacked; a stranger's file may hold anything.

    Raises
    ------
    FileError
        If it is no such file, damaged, too large, or of a later version; or if it needs data and they are not given,
        or are others.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), data)
    >>> file = fit.save("run.json", data=True)
    >>> wb.load(file).ofv == fit.ofv
    True
    """
    file, largest = file_at(path), whole("largest", largest, 1, FileError)
    if not file.exists():
        raise FileError(f"There is no file {file}.")
    if not file.is_file():
        raise FileError(f"{file} is no file that could be read: a folder, a pipe or a device.")
    try:
        with file.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror or error}.") from None
    if content.startswith(_SQLITE):
        return Runs.open(file)
    if len(content) > largest:
        raise FileError(
            f"{file.name} has {file.stat().st_size / 1e6:,.0f} MB; at most {largest / 1e6:,.0f} MB are read. If you "
            f"trust it, allow more: wb.load(…, largest={file.stat().st_size})."
        )
    if content.startswith(_ZIP):
        return study_in(content, file.name, largest)
    if content.startswith(_PICKLE):
        raise FileError(f"{file.name} is a pickle, which could run code; it is not opened.")
    return _fit_in(content, file.name, data, largest)


def _fit_in(content: bytes, name: str, data: GroupedData | None, largest: int) -> FitResult:
    record = plain.read(content, name, largest)
    if record.get("kind") != "fit":
        raise FileError(f"{name} holds {str(record.get('kind'))[:40]!r}; only a fit can be loaded from JSON.")
    plain.need(record, ("data", "versions"), name)
    plain.need(record["data"], ("name", "hash", "code"), name)
    about = record["data"]
    if "records" in record:
        data = data_in(record)
    elif data is None:
        raise FileError(
            f"{name} has no records, only what identifies those of {str(about['name'])[:80]}. Read them "
            f"({str(about['code'])[:200]}) and give them: wb.load({name!r}, data)."
        )
    elif data.hash != about["hash"]:
        raise FileError(
            f"The data that were given ({data.name}) are not those that {name} is a fit of "
            f"({str(about['name'])[:80]}): cells, roles or units differ."
        )
    assert data is not None
    return recomputed(fit_of(record, data, name), f"{name}, written by workbench {plain.version(record)}")
