"""What the run of a control stream printed, in the .ext or .lst beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import FileError
from workbench.exchange.stream import text_of

_MOST_BYTES = 100_000_000
_FINAL = "FINAL PARAMETER ESTIMATE"
_PRINTED = r"[+-]?\d*\.?\d+(?:[EeDd]?[+-]\d+)?|\.{3,}|[+-]?\d+\.?"


@dataclass(frozen=True)
class Published:
    """The objective and the estimates.

    Attributes
    ----------
    ofv : float
    thetas : tuple of float
    omega, sigma : array
    source : str
        The file.
    digits : int, optional
        How many digits the estimates have; None if as many as were computed.
    """

    ofv: float
    thetas: tuple[float, ...]
    omega: NDArray[np.float64]
    sigma: NDArray[np.float64]
    source: str
    digits: int | None = None


def published_beside(path: Path, thetas: int, etas: int, eps: int) -> Published | None:
    """The estimates of a run: those of its .ext, which have more digits, else those of its .lst; None without either.

    Raises
    ------
    FileError
        If they are those of another model.
    """
    for ending, read in ((".ext", _of_ext), (".lst", _of_lst), (".res", _of_lst), (".out", _of_lst)):
        place = path.with_suffix(ending)
        found = read(place, path.name, thetas, etas, eps) if place.is_file() else None
        if found is not None:
            return found
    return None


def _of_ext(place: Path, stream: str, thetas: int, etas: int, eps: int) -> Published | None:
    lines = text_of(place, _MOST_BYTES).splitlines()
    heads = [i for i, line in enumerate(lines) if line.split()[:1] == ["ITERATION"]]
    if not heads:
        return None
    names = lines[heads[-1]].split()
    last = next((line.split() for line in lines[heads[-1] :] if line.split()[:1] == ["-1000000000"]), None)
    if last is None or len(last) != len(names):
        return None
    values = dict(zip(names, map(float, last), strict=True))
    found = [n for n in names if n.startswith("THETA")]
    omega, sigma = np.zeros((etas, etas)), np.zeros((eps, eps))
    ok = len(found) == thetas
    for matrix, word in ((omega, "OMEGA"), (sigma, "SIGMA")):
        for name, value in values.items():
            at = re.fullmatch(rf"{word}\((\d+),(\d+)\)", name)
            if at is not None:
                i, j = int(at.group(1)) - 1, int(at.group(2)) - 1
                if i >= len(matrix):
                    ok = False
                else:
                    matrix[i, j] = matrix[j, i] = value
    if not ok:
        raise FileError(f"{place.name} has the estimates of another model than {stream}: {', '.join(names[1:-1])}.")
    ofv = next((value for name, value in values.items() if name in ("OBJ", "SAEMOBJ", "MCMCOBJ")), None)
    return None if ofv is None else Published(ofv, tuple(values[n] for n in found), omega, sigma, place.name)


def _of_lst(place: Path, stream: str, thetas: int, etas: int, eps: int) -> Published | None:
    text = text_of(place, _MOST_BYTES)
    objectives = re.findall(r"^ #OBJV:\**\s+([+-]?[\d.]+(?:[EeDd][+-]?\d+)?)\s+\*", text, re.MULTILINE)
    if not objectives:  # before NONMEM 7
        after = text.rpartition("MINIMUM VALUE OF OBJECTIVE FUNCTION")[2]
        objectives = re.findall(r"^\s*\*{5,}\s+([+-]?[\d.]+(?:[EeDd][+-]?\d+)?)\s+\*{5,}", after, re.MULTILINE)[:1]
    if not objectives or _FINAL not in text:
        return None
    final = text.rpartition(_FINAL)[2]
    vector = final.partition("VECTOR OF FIXED EFFECTS")[2].partition("OMEGA - COV")[0]
    of_omega = final.partition("OMEGA - COV")[2].partition("SIGMA - COV")[0]
    of_sigma = re.split(r"OMEGA - CORR|\n1\s*\n", final.partition("SIGMA - COV")[2])[0]
    found = [
        _value(cell) for line in vector.splitlines()[1:] if re.match(r"[\s+]*[-.\d]", line)
        for cell in re.findall(_PRINTED, line)
    ]  # fmt: skip
    omega, sigma = _matrix(of_omega, etas), _matrix(of_sigma, eps)
    if len(found) != thetas or omega is None or sigma is None:
        raise FileError(f"{place.name} has the estimates of another model than {stream}.")
    return Published(_value(objectives[-1]), tuple(found), omega, sigma, place.name, 3)


def _matrix(text: str, size: int) -> NDArray[np.float64] | None:
    """A lower triangle, whose rows begin with + and may go on in the next lines; None if it is of another size."""
    values: list[float] = []
    begun = False
    for line in text.splitlines():
        begun = begun or line.startswith("+")
        if begun and line.strip() and re.fullmatch(rf"\+?(?:\s*(?:{_PRINTED}))+\s*", line):
            values += [_value(cell) for cell in re.findall(_PRINTED, line.removeprefix("+"))]
    if len(values) != size * (size + 1) // 2:
        return None
    matrix = np.zeros((size, size))
    rows, cols = np.tril_indices(size)
    matrix[rows, cols] = matrix[cols, rows] = values
    return matrix


def _value(cell: str) -> float:
    if cell.startswith("..."):
        return 0.0
    return float(re.sub(r"(?<=[\d.])[EeDd]?([+-])", r"e\1", cell))


def counted(path: Path) -> tuple[int, int] | None:
    """How many individuals and observations a run had, if its .lst says so."""
    place = path.with_suffix(".lst")
    if not place.is_file():
        return None
    text = text_of(place, _MOST_BYTES)
    subjects = re.search(r"TOT\. NO\. OF INDIVIDUALS:\s*(\d+)", text)
    observations = re.search(r"TOT\. NO\. OF OBS RECS:\s*(\d+)", text)
    return None if subjects is None or observations is None else (int(subjects.group(1)), int(observations.group(1)))


def nearer(
    printed: Published, thetas: Sequence[float], omega: NDArray[np.float64], sigma: NDArray[np.float64]
) -> Published:
    """Where an initial value has, rounded, the digits that are printed, it is taken instead."""
    digits = printed.digits
    if digits is None:
        return printed

    def pick(value: float, initial: float) -> float:
        return initial if float(f"{initial:.{digits - 1}e}") == value else value

    def of(matrix: NDArray[np.float64], initial: NDArray[np.float64]) -> NDArray[np.float64]:
        made = [pick(v, i) for v, i in zip(matrix.ravel(), initial.ravel(), strict=True)]
        return np.array(made).reshape(matrix.shape)

    chosen = tuple(pick(v, i) for v, i in zip(printed.thetas, thetas, strict=True))
    return replace(printed, thetas=chosen, omega=of(printed.omega, omega), sigma=of(printed.sigma, sigma))


def moved(printed: Published) -> Iterator[Published]:
    """The estimates with half a unit of the last digit more, one after the other."""
    digits = printed.digits or 17

    def unit(value: float) -> float:
        return float(0.5 * 10.0 ** (np.floor(np.log10(abs(value))) - digits + 1)) if value else 0.0

    for i, value in enumerate(printed.thetas):
        if value:
            thetas = (*printed.thetas[:i], value + unit(value), *printed.thetas[i + 1 :])
            yield replace(printed, thetas=thetas)
    for name, matrix in (("omega", printed.omega), ("sigma", printed.sigma)):
        for i, j in zip(*np.nonzero(np.tril(matrix)), strict=True):
            other = matrix.copy()
            other[i, j] = other[j, i] = matrix[i, j] + unit(matrix[i, j])
            changed: dict[str, Any] = {name: other}
            yield replace(printed, **changed)
