"""A control stream and what stands beside it, as records: text is parsed by pharmpy, never evaluated, and bounded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import FileError, ModelError
from workbench.exchange.passed_over import assignments_of, differing

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1_000_000
_MOST_BYTES_OF_DATA = 500_000_000
_RECORD = re.compile(r"^[ \t]*\$([A-Za-z]+)")
_READ = ("PROBLEM", "INPUT", "DATA", "SUBROUTINES", "MODEL", "PK", "PRED", "DES", "ERROR", "THETA", "OMEGA", "SIGMA",
         "ESTIMATION", "INFILE")  # fmt: skip
_SHOWS = {"TABLE": "tables", "COVARIANCE": "the covariance step", "SCATTERPLOT": "plots", "SIZES": "sizes",
          "ESTM": "", "SIMULATION": "the simulation", "WARNINGS": "warnings", "NONPARAMETRIC": "the nonparametric step",
          "ETAS": "initial random effects", "PHIS": "initial random effects", "FORMAT": "the format"}  # fmt: skip
_COMPARES: dict[str, Any] = {
    "OP_EQ": np.equal, "OP_NE": np.not_equal, "OP_LT": np.less, "OP_LT_EQ": np.less_equal, "OP_GT": np.greater,
    "OP_GT_EQ": np.greater_equal,
}  # fmt: skip
_RESERVED = ("ID", "L1", "L2", "DV", "MDV", "RAW_", "MRG_", "RPT_", "TIME", "DATE", "DAT1", "DAT2", "DAT3", "EVID",
             "AMT", "RATE", "SS", "II", "ADDL", "CMT", "PCMT", "CALL", "CONT")  # fmt: skip
_WORDS = {
    r"^\s*\"": "verbatim code", r"\bCALL\b": "a subroutine that is called", r"\bEXIT\b": "EXIT",
    r"\bDO\s*WHILE\b": "a loop", r"\bMTIME\b|\bMNEXT\b|\bMPAST\b": "MTIME, a time of change that is a parameter",
    r"\bMIXNUM\b|\bMIXEST\b|\bMIXP\b": "a mixture of subpopulations", r"\bNEWIND\b|\bNEWL2\b": "NEWIND",
    r"\bCOM\s*\(": "COM, which keeps values between records",
    r"\bDOSTIM\b|\bDOSREC\b": "DOSTIM, the time of a lagged dose",
    r"\bICALL\b|\bIREP\b|\bSIMEPS\b|\bSIMETA\b": "ICALL, the stage of a run", r"\bTSTATE\b|\bISSMOD\b": "TSTATE",
    r"\bCALLFL\b": "CALLFL", r"\bMOD\s*\(|\bINT\s*\(|\bGAMLN\s*\(": "MOD, INT or GAMLN", r"\bXSCALE|TSCALE\b": "TSCALE",
}  # fmt: skip


@dataclass(frozen=True)
class Omega:
    """Variances of random effects that belong together; `same`: those of the group before, for another occasion."""

    matrix: NDArray[np.float64]
    fixed: bool
    same: bool


@dataclass(frozen=True)
class Records:
    """What a control stream says.

    Attributes
    ----------
    path : Path
    code : dict of str to list
        Assignments of $PK, $PRED, $DES and $ERROR in order: a name and an expression of sympy.
    thetas : list of (float, float, float, bool)
        Initial value, bounds, and whether it is fixed.
    omegas, sigmas : list of Omega
    advan, trans : int
    estimation : list of dict
    columns : list of (str, bool)
        Names of $INPUT, and whether they are dropped.
    synonyms : dict of str to str
        The reserved name of columns that have two, by the other.
    compartments : list of str
        Of $MODEL, the options of each.
    rtol : int, optional
        TOL.
    refused : list of (int, str)
        What cannot be expressed, by line.
    left_out : list of str
        What does not belong to a model, such as tables.
    """

    path: Path
    text: str
    code: dict[str, list[tuple[str, Any]]]
    thetas: list[tuple[float, float, float, bool]]
    omegas: list[Omega]
    sigmas: list[Omega]
    advan: int
    trans: int
    estimation: list[dict[str, str]]
    columns: list[tuple[str, bool]]
    synonyms: dict[str, str]
    compartments: list[str]
    rtol: int | None
    refused: list[tuple[int, str]]
    left_out: list[str]
    stream: Any

    def line_of(self, pattern: str) -> int:
        """The first line that matches; 0 where none does."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if re.search(pattern, line.partition(";")[0], re.IGNORECASE):
                return number
        return 0


def text_of(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file of bounded size.

    Raises
    ------
    FileError
        If there is none, or it is too large.
    """
    try:
        if not path.is_file():
            raise FileError(f"There is no file {path}.")
        if path.stat().st_size > most:
            raise FileError(f"{path} has {path.stat().st_size:,} bytes; at most {most:,} are read.")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def records_of(path: Path) -> Records:
    """Read a control stream.

    Raises
    ------
    FileError
        If it cannot be read at all.
    """
    text = text_of(path)
    if not re.search(r"^[ \t]*\$PROB", text, re.IGNORECASE | re.MULTILINE):
        raise FileError(f"{path.name} is no control stream of NONMEM: it has no $PROBLEM.")
    refused, left_out, rows = _scan(text)
    try:
        from pharmpy.model.external.nonmem.nmtran_parser import NMTranParser
    except ImportError as error:
        raise FileError("Control streams are read with the help of pharmpy: pip install pharmpy-core.") from error
    try:
        stream = NMTranParser().parse(text)
        return _taken(path, text, stream, refused, left_out, rows)
    except (FileError, ModelError):
        raise
    except Exception as error:  # whatever the parser says of text that is no NM-TRAN
        said = str(error).partition("\n")[0]
        raise FileError(f"{path.name} cannot be read as NM-TRAN: {type(error).__name__}: {said}") from error


def _scan(text: str) -> tuple[list[tuple[int, str]], list[str], dict[str, list[int]]]:
    """By line: what is not understood, what is left out, and where each record begins."""
    refused: list[tuple[int, str]] = []
    left_out: list[str] = []
    rows: dict[str, list[int]] = {}
    name, inside = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        found = _RECORD.match(line)
        if found:
            word = found.group(1).upper()
            known = [
                r for r in (*_READ, *_SHOWS) if r.startswith(word[:3]) and (r.startswith(word) or word.startswith(r))
            ]
            known += ["SUBROUTINES"] if word.startswith("SUBS") else []
            known += ["COVARIANCE"] if word.startswith("COVR") else []
            name = known[0] if known else word
            name = "DATA" if name == "INFILE" else "ESTIMATION" if name == "ESTM" else name
            if not known and not word.startswith("ABB"):
                refused.append((number, f"${word}, which has no meaning in a model here"))
            if name in _SHOWS and (about := f"${name} ({_SHOWS[name]})") not in left_out:
                left_out.append(about)
            rows.setdefault(name, []).append(number)
            if name == "PROBLEM" and len(rows[name]) == 2:
                refused.append((number, "a second $PROBLEM"))
            if word.startswith("ABB"):
                refused.append((number, "$ABBREVIATED, other names for what is numbered: write THETA(1), ETA(1)"))
        if name == "DATA":
            option = re.search(r"\b(RECORDS|RECS|TRANSLATE|MISDAT|PRED_IGNORE_DATA)\b", line.partition(";")[0].upper())
            if option is not None:
                refused.append((number, f"$DATA {option.group(1)}"))
        if name in ("PK", "PRED", "DES", "ERROR"):
            code = line.partition(";")[0] if not line.lstrip().startswith('"') else line
            for pattern, what in _WORDS.items():
                if re.search(pattern, code, re.IGNORECASE):
                    refused.append((number, what))
            bare = re.sub(r"^\s*\$\w+", "", code).strip().upper()
            if re.match(r"IF\s*\(", bare):
                if inside:  # the parser would pass over it
                    refused.append((number, "an IF within an IF"))
                inside += bool(re.search(r"\)\s*THEN\s*$", bare))
            elif re.match(r"END\s*IF\b", bare):
                inside = max(inside - 1, 0)
            if name != "DES" and re.search(r"(?<![\w(])T(?![\w(])", re.sub(r"^\s*\$\w+", "", code), re.IGNORECASE):
                refused.append((number, f"T in ${name}"))
    return refused, left_out, rows


def _taken(
    path: Path, text: str, stream: Any, refused: list[tuple[int, str]], left_out: list[str], rows: dict[str, list[int]]
) -> Records:
    import sympy

    code: dict[str, list[tuple[str, Any]]] = {}
    thetas: list[tuple[float, float, float, bool]] = []
    omegas: list[Omega] = []
    sigmas: list[Omega] = []
    estimation: list[dict[str, str]] = []
    columns: list[tuple[str, bool]] = []
    synonyms: dict[str, str] = {}
    compartments: list[str] = []
    advan, trans, rtol = 0, 1, None
    for record in stream.records:
        kind, name = type(record).__name__, str(record.name or "")
        if kind == "CodeRecord":
            if name in code:
                refused.append((rows.get(name, [0, 0])[-1], f"a second ${name}"))
            code[name] = [
                (str(s.symbol).replace(" ", "").upper(), sympy.sympify(s.expression)) for s in record.statements
            ]
            if "an IF within an IF" not in {what for _, what in refused}:
                refused += _passed_over(text, name, rows, [assigned for assigned, _ in code[name]])
        elif kind == "ThetaRecord":
            bounds = [(-math.inf if lo <= -1e6 else lo, math.inf if hi >= 1e6 else hi) for lo, hi in record.bounds]
            thetas += [
                (float(v), lo, hi, bool(f)) for v, (lo, hi), f in zip(record.inits, bounds, record.fixs, strict=True)
            ]
        elif kind == "OmegaRecord":
            target = omegas if name == "OMEGA" else sigmas
            target += _blocks(record.parse(), target)
        elif kind == "EstimationRecord":
            estimation.append({o.key.upper(): (o.value or "").upper() for o in record.all_options})
        elif kind == "SubroutineRecord":
            options = {o.key.upper(): (o.value or "").upper() for o in record.all_options}
            for key, value in options.items():
                word = value if key in ("ADVAN", "TRANS") else key
                if (at := re.fullmatch(r"ADVAN(\d+)", word)) is not None:
                    advan = int(at.group(1))
                elif (at := re.fullmatch(r"TRANS(\d+)", word)) is not None:
                    trans = int(at.group(1))
                elif key == "TOL" and value.isdigit():
                    rtol = int(value)
                elif key not in ("ATOL", "SSTOL", "SSATOL", "TOLC"):
                    refused.append((rows.get("SUBROUTINES", [0])[0], f"$SUBROUTINES {key} {value}".strip()))
        elif kind == "ModelRecord":
            compartments += [str(value) for key, value in record.all_options if key.upper().startswith("COMP")]
            for key, value in record.all_options:
                if not key.upper().startswith("COMP") and not key.upper().startswith(("NCOMP", "NPARAM", "NEQUI")):
                    refused.append((rows.get("MODEL", [0])[0], f"$MODEL {key} {value or ''}".strip()))
        elif name == "INPUT":
            columns += [_column(o.key, o.value) for o in record.all_options]
            for o in record.all_options:
                words = [w.upper() for w in (o.key, o.value) if w]
                if len(words) == 2 and not {"DROP", "SKIP"} & set(words):
                    kept = _column(o.key, o.value)[0]
                    synonyms[words[1] if kept == words[0] else words[0]] = kept
    return Records(path, text, code, thetas, omegas, sigmas, advan, trans, estimation, columns, synonyms, compartments,
                   rtol, refused, left_out, stream)  # fmt: skip


def _passed_over(text: str, name: str, rows: dict[str, list[int]], parsed: list[str]) -> list[tuple[int, str]]:
    """What the parser lost or took wrongly of a code record."""
    first = rows.get(name, [1])[-1]
    lines = text.splitlines()[first - 1 :]
    end = next((i for i, line in enumerate(lines) if i and _RECORD.match(line)), len(lines))
    expected, refused = assignments_of("\n".join(lines[:end]), name, first)
    lost = differing(expected, parsed)
    if lost is not None and not refused:
        refused = [(first, f"an assignment of {lost} in ${name}, which the parser passes over")]
    return refused


def _column(key: str, value: str | None) -> tuple[str, bool]:
    """A name of $INPUT: that which NONMEM reserves where there are two, and whether it is dropped."""
    words = [word.upper() for word in (key, value) if word]
    if {"DROP", "SKIP"} & set(words):
        return next((w for w in words if w not in ("DROP", "SKIP")), "DROP"), True
    return next((w for w in words if w in _RESERVED), words[0]), False


def _blocks(parsed: Iterable[Any], before: Sequence[Omega]) -> list[Omega]:
    found: list[Omega] = []
    for _, values, fixed, same in parsed:
        if same:
            last = (list(before) + found)[-1]
            found.append(Omega(last.matrix, last.fixed, True))
            continue
        n = int((math.sqrt(8 * len(values) + 1) - 1) / 2)
        matrix = np.zeros((n, n))
        rows, cols = np.tril_indices(n)
        matrix[rows, cols] = matrix[cols, rows] = np.array(values, dtype=float)
        found.append(Omega(matrix, bool(fixed), False))
    return found


def data_of(records: Records, place: Path | None) -> tuple[pd.DataFrame, Path]:
    """The records of data that are not ignored, every column a number; of columns that are dropped nothing.

    Parameters
    ----------
    records : Records
    place : Path, optional
        The file, if it is not where $DATA says.

    Raises
    ------
    FileError
        If the file is not there, or has fewer columns than $INPUT.
    """
    record = next(iter(records.stream.get_records("DATA")), None)
    if record is None:
        raise FileError(f"{records.path.name} has no $DATA.")
    place = place or records.path.parent / str(record.filename).replace("\\", "/")
    if not place.is_file():
        line = records.line_of(r"^ *[$](DATA|INF)")
        raise FileError(
            f"{records.path.name} needs the data file {record.filename} (line {line}), and there is no {place}. "
            "Put it there, or name it: read_nonmem(path, data=…)."
        )
    _check_columns(records, place)
    try:
        frame = _numbers(records, place, record)
    except FileError:
        raise
    except Exception as error:  # whatever is wrong with the file
        said = f"{type(error).__name__}: {error}"
        raise FileError(f"{place.name} cannot be read as $DATA and $INPUT say: {said}") from error
    return frame, place


def _check_columns(records: Records, place: Path) -> None:
    text = text_of(place, _MOST_BYTES_OF_DATA)
    rows = [line.strip() for line in text[:20000].splitlines()[:50] if re.match(r"^[\s,]*[\d.+-]", line)]
    cells = [len(re.split(r"[,\t]| +", row)) for row in rows[:-1] or rows]
    wanted = len(records.columns)
    if cells and min(cells) < wanted and "," in text[:5000]:
        names = ", ".join(name for name, _ in records.columns)
        raise FileError(
            f"{place.name} has {min(cells)} columns, but $INPUT of {records.path.name} names {wanted}: {names}."
        )
    if cells and min(cells) > wanted:
        records.left_out.append(f"{min(cells) - wanted} columns of {place.name} beyond those of $INPUT")
    dated = [name for name, _ in records.columns if name in ("DATE", "DAT1", "DAT2", "DAT3")]
    if dated or re.search(r"\d:\d\d", text[:20000]):
        raise FileError(f"{place.name} has dates or clock times, which are not read with a control stream yet.")


def _numbers(records: Records, place: Path, record: Any) -> pd.DataFrame:
    """The records, as NONMEM reads them; a cell that is empty or "." is the value of NULL."""
    from pharmpy.model.external.nonmem.dataset import filter_and_convert_nonmem_dataset_in_place, read_nonmem_df

    names = [f"_DROP{i}" if drop else name for i, (name, drop) in enumerate(records.columns)]
    frame = read_nonmem_df(place, False, record.ignore_character, names)
    by_name = {name: at for at, (name, _) in enumerate(records.columns)}

    def holds(condition: Any) -> NDArray[np.bool_]:
        name = str(condition.find("COLUMN").value).upper()
        column = frame.iloc[:, by_name[records.synonyms.get(name, name)]].astype(str).str.strip()
        value = condition.find("EXPR") or condition.find("QEXPR")
        text = str(value.value).strip("'\"")
        signs = [token.rule for token in condition.tokens if token.rule.startswith("OP_")] or ["OP_STR_EQ"]
        if signs[0].startswith("OP_STR"):
            equal = column.to_numpy() == text
            same: NDArray[np.bool_] = equal if signs[0] == "OP_STR_EQ" else ~equal
            return same
        null = float(record.null_value or 0)
        numbers = np.array([null if cell in (".", "", "nan") else float(cell) for cell in column])
        compared: NDArray[np.bool_] = _COMPARES[signs[0]](numbers, float(text))
        return compared

    ignored = [holds(condition) for condition in record.ignore]
    accepted = [holds(condition) for condition in record.accept]
    keep = np.ones(len(frame), dtype=bool)
    if ignored:
        keep &= ~np.any(ignored, axis=0)
    if accepted:
        keep &= np.any(accepted, axis=0)  # any of them will do
    frame = frame[keep].reset_index(drop=True)
    if frame.empty:
        raise FileError(f"{place.name}: IGNORE and ACCEPT of {records.path.name} leave no record.")
    dropped = [drop for _, drop in records.columns]
    made = filter_and_convert_nonmem_dataset_in_place(
        frame, drop=dropped, null_value=str(record.null_value), missing_data_token="-987654321"
    )
    numbers: pd.DataFrame = made[[name for name, drop in records.columns if not drop]]
    return numbers.astype(float).reset_index(drop=True)


def counted(path: Path) -> tuple[int, int] | None:
    """How many individuals and observations a run had, if its .lst says so."""
    place = path.with_suffix(".lst")
    if not place.is_file():
        return None
    text = text_of(place, 100_000_000)
    subjects = re.search(r"TOT\. NO\. OF INDIVIDUALS:\s*(\d+)", text)
    observations = re.search(r"TOT\. NO\. OF OBS RECS:\s*(\d+)", text)
    return None if subjects is None or observations is None else (int(subjects.group(1)), int(observations.group(1)))


@dataclass(frozen=True)
class Published:
    """What NONMEM printed: the objective and the estimates, from the last table of .ext."""

    ofv: float
    thetas: tuple[float, ...]
    omega: NDArray[np.float64]
    sigma: NDArray[np.float64]
    source: str


def published_beside(path: Path, thetas: int, etas: int, eps: int) -> Published | None:
    """The estimates of a run, if an .ext stands beside it and has them.

    Raises
    ------
    FileError
        If it has those of another model.
    """
    place = path.with_suffix(".ext")
    if not place.is_file():
        return None
    lines = text_of(place, 100_000_000).splitlines()
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
        raise FileError(f"{place.name} has the estimates of another model than {path.name}: {', '.join(names[1:-1])}.")
    ofv = next(value for name, value in values.items() if name in ("OBJ", "SAEMOBJ", "MCMCOBJ"))
    return Published(ofv, tuple(values[n] for n in found), omega, sigma, place.name)
