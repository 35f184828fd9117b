"""Control streams become models and data, which the printed objective proves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scipy.linalg import block_diag

from workbench.data import GroupedData
from workbench.engine import objective
from workbench.errors import WorkbenchError
from workbench.exchange.abbreviated import Fault
from workbench.exchange.published import Published, counted, moved, nearer, published_beside
from workbench.exchange.reader import Reader
from workbench.exchange.rows import grouped
from workbench.exchange.stream import records_of
from workbench.methods import method_of
from workbench.model import Model

_EQUAL = 1e-4


@dataclass(frozen=True)
class NonmemRun:
    """What a control stream says, and what its run printed.

    Attributes
    ----------
    model : Model
        At the initial values of the stream.
    data : GroupedData
    method : str
    published : Estimates, optional
        What the run printed, where its .ext or .lst stands beside the stream.
    left_out : tuple of str
        What is in the stream but in no model, such as tables.
    said : str
        In a sentence: how it was proven.
    """

    model: Model
    data: GroupedData
    method: str
    published: Estimates | None
    left_out: tuple[str, ...]
    said: str

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Estimates:
    """Published estimates.

    Attributes
    ----------
    ofv : float
        As printed.
    computed : float
        The objective of `model`, computed here.
    model : Model
        At the published estimates.
    source : str
        The file that they are from.
    tolerance : float
        How much the two may differ: 1e-4 (1e-7 of a large objective), and where estimates are printed with three digits
        what the last digit can make of it.
    """

    ofv: float
    computed: float
    model: Model
    source: str
    tolerance: float = _EQUAL

    @property
    def agrees(self) -> bool:
        """Whether the two are equal."""
        return abs(self.computed - self.ofv) <= self.tolerance


def read_nonmem(path: str | os.PathLike[str], data: str | os.PathLike[str] | None = None) -> NonmemRun:
    """Read a control stream of NONMEM with its data.

    The text is parsed, never evaluated. Where the .ext of its run stands beside it, or the .lst, the model is proven:
    its objective at the printed estimates is computed and compared with the printed one.

    Parameters
    ----------
    path : path
        The control stream.
    data : path, optional
        Its data, if they are not where ``$DATA`` says.

    Returns
    -------
    NonmemRun

    Raises
    ------
    ModelError
        If the stream holds what cannot be expressed; all of it is named, by line.
    FileError
        If a file is missing, too large, or no control stream, or data differ from ``$INPUT``; or if pharmpy, which
        reads the lines of the data, is not installed (``pip install pharmpy-core``).

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> model = wb.Model(
    ...     wb.pk(absorption="first-order"),
    ...     [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32)],
    ...     error=wb.Combined2(0.5, 0.1),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = wb.read_nonmem(wb.write_nonmem(model, folder + "/run1", wb.load_example("theophylline")))
    >>> run.model == model
    True
    """
    records = records_of(Path(path))
    reader = Reader(records, None if data is None else Path(data))
    model, method = reader.read()
    if reader.missing is not None:
        raise reader.missing
    read = grouped(reader)
    printed = published_beside(records.path, len(records.thetas), reader.etas, reader.eps)
    left_out = tuple(records.left_out)
    name = records.path.name
    if printed is None:
        why = "there is no .ext and no .lst beside it"
        return NonmemRun(model, read, method, None, left_out, f"{name} read; not proven: {why}.")
    try:
        found = _proof(reader, printed, read, method)
    except (WorkbenchError, Fault) as error:
        said = f"{name} read; not proven: at the estimates of {printed.source} there is no objective: {error}"
        return NonmemRun(model, read, method, None, left_out, said)
    return NonmemRun(model, read, method, found, left_out, _said(records.path, found, read, method))


def model_of_stream(path: str | os.PathLike[str]) -> tuple[Model, str, tuple[str, ...]]:
    """Model, method and what is left out of a stream whose data are not there.

    Raises
    ------
    ModelError, FileError
        See `read_nonmem`.
    """
    records = records_of(Path(path))
    model, method = Reader(records, None).read()
    return model, method, tuple(records.left_out)


def _proof(reader: Reader, printed: Published, data: GroupedData, method: str) -> Estimates:
    """The objective at the printed estimates."""
    records = reader.records
    omega, sigma = block_diag(*(o.matrix for o in records.omegas)), block_diag(*(s.matrix for s in records.sigmas))
    printed = nearer(printed, [t.value for t in records.thetas], omega, sigma)
    at = reader.model_of_matrices(printed.thetas, printed.omega, printed.sigma)
    computed = objective(at, data, method)
    tolerance = _EQUAL * max(1.0, abs(printed.ofv) / 1e3)
    if printed.digits is not None and abs(computed - printed.ofv) > tolerance:
        for there in moved(printed):
            model = reader.model_of_matrices(there.thetas, there.omega, there.sigma)
            tolerance += abs(objective(model, data, method) - computed)
    return Estimates(printed.ofv, computed, at, printed.source, tolerance)


def _said(path: Path, found: Estimates, data: GroupedData, method: str) -> str:
    """How a stream was proven, in a sentence."""
    if found.agrees:
        if abs(found.computed - found.ofv) < 5e-4:
            return f"{path.name} read, OFV {found.ofv:.3f} as in {found.source}."
        return (
            f"{path.name} read, OFV {found.computed:.3f} at the estimates of {found.source}, whose three digits leave "
            f"{found.tolerance:.2g} open; printed is {found.ofv:.3f}."
        )
    had, have = counted(path), (len(data.events.subjects), int(data.events.observed.sum()))
    why = "the model, the data or the approximation differ"
    if had is not None and had != have:
        why = f"the run had {had[1]} observations of {had[0]} subjects, these data have {have[1]} of {have[0]}"
    elif method_of(method).drawn:
        why = "both are by Monte Carlo"
    return f"{path.name} read, but its OFV is {found.computed:.3f} here and {found.ofv:.3f} in {found.source}: {why}."
