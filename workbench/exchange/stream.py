"""A control stream as records: text is parsed, never evaluated, and bounded; what has no meaning is said by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import FileError
from workbench.exchange.abbreviated import code_of
from workbench.exchange.dataset import Columns, Source, columns_of, source_of
from workbench.exchange.initial import Lines, Omega, Refused, Theta, omegas_of, thetas_of

MOST_BYTES = 1_000_000
_RECORD = re.compile(r"^[ \t]*\$([A-Za-z]+)")
_CODE = ("PK", "PRED", "DES", "ERROR")
_READ = (*_CODE, "PROBLEM", "INPUT", "DATA", "INFILE", "SUBROUTINES", "MODEL", "THETA", "OMEGA", "SIGMA", "ESTIMATION",
         "ESTIMATE", "ESTM", "ABBREVIATED")  # fmt: skip
_SAME = {"INFILE": "DATA", "ESTIMATE": "ESTIMATION", "ESTM": "ESTIMATION", "COVR": "COVARIANCE", "SIML": "SIMULATION",
         "SIMULATE": "SIMULATION"}  # fmt: skip
LEFT_OUT = {
    "TABLE": "tables", "COVARIANCE": "the covariance step", "COVR": "", "SCATTERPLOT": "plots", "SIZES": "sizes",
    "SIMULATION": "the simulation", "SIMULATE": "", "SIML": "", "WARNINGS": "warnings",
    "NONPARAMETRIC": "the nonparametric step", "ETAS": "initial random effects", "PHIS": "initial random effects",
    "FORMAT": "the format", "OMIT": "what is left out of templates",
}  # fmt: skip
REFUSED = {
    "PRIOR": "prior knowledge", "MSFI": "values from a file of another run", "LEVEL": "levels above the individual",
    "MIX": "a mixture of subpopulations", "THETAP": "prior knowledge", "THETAPV": "prior knowledge",
    "OMEGAP": "prior knowledge", "OMEGAPD": "prior knowledge", "SIGMAP": "prior knowledge",
    "SIGMAPD": "prior knowledge", "THETAI": "thetas that are transformed", "THETAR": "thetas that are transformed",
    "AES": "algebraic equations", "AESINITIAL": "algebraic equations", "INFN": "code of the beginning and the end",
    "INDEX": "the order of columns for a subroutine", "INDXS": "the order of columns for a subroutine",
    "BIND": "values of other records", "TOL": "tolerances by code", "CHAIN": "initial values that are drawn",
    "ANNEAL": "variances that are annealed", "CONTR": "a contribution of one's own", "USER": "code of one's own",
    "DESIGN": "an optimal design", "SUPER": "problems that are repeated", "RCOV": "a covariance that is read",
    "RCOVI": "a covariance that is read", "OLKJDF": "prior knowledge", "OVARF": "prior knowledge",
    "SLKJDF": "prior knowledge", "SVARF": "prior knowledge", "TTDF": "prior knowledge", "INCLUDE": "another file",
    "SUBROUTINE": "", "NONPARAMETRIC": "",
}  # fmt: skip
_ABBREVIATED = ("COMRES", "COMSAV", "DERIV1", "DERIV2", "FASTDER", "NOFASTDER", "CHECKMU", "NOCHECKMU", "PROTECT")


@dataclass
class Records:
    """What a control stream says.

    Attributes
    ----------
    path : Path
    text : str
    title : str
        Of $PROBLEM.
    code : dict of str to list
        Assignments of $PK, $PRED, $DES and $ERROR in order: a name and an expression of sympy.
    lines : dict of (str, str) to int
        Where a name is set first, by record and name.
    thetas : list of Theta
    omegas, sigmas : list of Omega
    advan, trans : int
    estimation : list of dict
    columns : Columns
    source : Source, optional
        Of $DATA.
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
    title: str = ""
    code: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    thetas: list[Theta] = field(default_factory=list)
    omegas: list[Omega] = field(default_factory=list)
    sigmas: list[Omega] = field(default_factory=list)
    advan: int = 0
    trans: int = 1
    estimation: list[dict[str, str]] = field(default_factory=list)
    columns: Columns = field(default_factory=lambda: Columns((), (), {}))
    source: Source | None = None
    compartments: list[str] = field(default_factory=list)
    rtol: int | None = None
    refused: Refused = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def line_of(self, pattern: str, records: tuple[str, ...] = ()) -> int:
        """The first line that matches, of these records if some are named; 0 where none does."""
        name = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            found = _RECORD.match(line)
            name = _record(found.group(1)) if found else name
            if records and name not in records:
                continue
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
        return path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def records_of(path: Path) -> Records:
    """Read a control stream.

    Raises
    ------
    FileError
        If it is none.
    """
    text = text_of(path)
    if not re.search(r"^[ \t]*\$PROB", text, re.IGNORECASE | re.MULTILINE):
        raise FileError(f"{path.name} is no control stream of NONMEM: it has no $PROBLEM.")
    records = Records(path, text)
    parts = _split(records)
    replaced: dict[str, str] = {}
    for name, lines in parts:
        if name == "ABBREVIATED":
            _replace(lines, replaced, records.refused)
    for name, lines in parts:
        _take(records, name, lines, replaced)
    return records


def _record(word: str) -> str:
    """The name of a record that is written in full or as the beginning of it."""
    word = word.upper()
    known = (*_READ, *LEFT_OUT, *REFUSED)
    if word in ("SUBS", "SUBROUTINE"):
        return "SUBROUTINES"
    if word not in known and len(word) >= 3:
        word = next((name for name in known if name.startswith(word)), word)
    return _SAME.get(word, word)


def _split(records: Records) -> list[tuple[str, Lines]]:
    """Records with their lines; the name of a record stands in none."""
    found: list[tuple[str, list[tuple[int, str]]]] = []
    seen: set[str] = set()
    for number, line in enumerate(records.text.splitlines(), 1):
        start = _RECORD.match(line)
        if start is None:
            if found:
                found[-1][1].append((number, line))
            continue
        name = _record(start.group(1))
        known = name in _READ or name in LEFT_OUT
        if not known:
            about = REFUSED.get(name)
            shown = (
                f"${name} ({about})" if about else f"${start.group(1).upper()}, which has no meaning in a model here"
            )
            records.refused.append((number, shown))
        if name in LEFT_OUT and (passed := f"${name} ({LEFT_OUT[name]})") not in records.left_out:
            records.left_out.append(passed)
        if name in seen and name in (*_CODE, "DATA", "SUBROUTINES", "MODEL", "PROBLEM"):
            records.refused.append((number, f"a second ${name}"))
            name = ""
        seen.add(name)
        found.append((name, [(number, line[start.end() :])]))
    return [(name, lines) for name, lines in found]


def _replace(lines: Lines, replaced: dict[str, str], refused: Refused) -> None:
    """$ABBREVIATED: other names for what is numbered."""
    for line, raw in lines:
        text = raw.partition(";")[0].strip()
        name = r"[A-Za-z_]\w*(?:\s*\(\s*\w+(?:\s*,\s*\w+)*\s*\))?"
        to = r"(?:THETA|ETA|EPS|ERR)\s*\(\s*\d+\s*\)|[A-Za-z_]\w*"
        found = re.fullmatch(
            rf"REPLACE\s+(['\"]?)({name})\1\s*=\s*(['\"]?)({to})\3", text, re.IGNORECASE | re.ASCII
        )  # fmt: skip
        if found is not None:
            replaced[re.sub(r"\s", "", found.group(2)).upper()] = re.sub(r"\s", "", found.group(4)).upper()
        elif text and not text.upper().replace("=", " ").split()[0].startswith(_ABBREVIATED):
            refused.append((line, f"$ABBREVIATED {text[:50]}, other than a name for one THETA(n), ETA(n) or EPS(n)"))


def _take(records: Records, name: str, lines: Lines, replaced: dict[str, str]) -> None:
    refused = records.refused
    line, text = lines[0][0], "\n".join(part.partition(";")[0] for _, part in lines)
    if name == "PROBLEM":
        records.title = lines[0][1].strip()
    elif name in _CODE:
        code = code_of(lines, replaced)
        records.code[name] = code.assignments
        records.lines |= {(name, assigned): at for assigned, at in code.lines.items()}
        refused += code.refused
        records.left_out += [f"{what} in ${name} (line {at})" for at, what in code.passed]
    elif name == "THETA":
        records.thetas += thetas_of(lines, refused)
    elif name in ("OMEGA", "SIGMA"):
        target = records.omegas if name == "OMEGA" else records.sigmas
        target += omegas_of(lines, name, target, refused)
    elif name == "ESTIMATION":
        pattern = r"([^\s=,]+)\s*(?:=\s*(\"[^\"]*\"|'[^']*'|\([^)]*\)|[^\s]+))?"
        records.estimation.append({key.upper(): value.upper().rstrip(",") for key, value in re.findall(pattern, text)})
    elif name == "SUBROUTINES":
        _subroutines(records, line, text)
    elif name == "MODEL":
        for found in re.finditer(r"([A-Za-z]\w*)\s*=?\s*(\([^)]*\)|(?<==)\s*\w+|(?<== )\s*\w+)?", text):
            key, value = found.group(1).upper(), (found.group(2) or "").strip()
            if key.startswith("COMP"):
                records.compartments.append(value.upper())
            elif not key.startswith(("NCOMP", "NPARAM", "NEQUI")) or (key.startswith("NEQUI") and value != "0"):
                refused.append((line, f"$MODEL {key} {value}".strip()))
    elif name == "INPUT":
        more = columns_of(lines, refused)
        had = records.columns
        records.columns = Columns(had.names + more.names, had.dropped + more.dropped, {**had.synonyms, **more.synonyms})
    elif name == "DATA":
        records.source = source_of(lines, refused)


def _subroutines(records: Records, line: int, text: str) -> None:
    for found in re.finditer(r"([A-Z]\w*)(?:\s*=\s*([\w.\-/\\]+)|(?<=TOL)\s+(\d+))?", text.upper()):
        key, value = found.group(1), found.group(2) or found.group(3) or ""
        word = value if key in ("ADVAN", "TRANS") and not value.isdigit() else key + value
        if (at := re.fullmatch(r"ADVAN(\d+)", word)) is not None:
            records.advan = int(at.group(1))
        elif (at := re.fullmatch(r"TRANS(\d+)", word)) is not None:
            records.trans = int(at.group(1))
        elif key == "TOL" and value.isdigit():
            records.rtol = int(value)
        elif key not in ("ATOL", "SSTOL", "SSATOL", "TOLC", "PREDPP") and not re.fullmatch(r"SS\d*", key):
            records.refused.append((line, f"$SUBROUTINES {key} {value}".strip()))
