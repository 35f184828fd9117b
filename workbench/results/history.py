"""The file in which runs are kept: SQLite, one transaction for each finished fit, several processes at a time.

Each operation opens the file and closes it again, so that a process that is killed leaves behind what it had finished,
and no thread or handle stays. Nothing that is read is evaluated.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import plain
from workbench.checks import file_at
from workbench.data import stored
from workbench.errors import FileError
from workbench.results.fit import FitResult
from workbench.results.packing import record, versions
from workbench.results.stored import fit_of

VERSION = 1  # of the tables; a file of a later one is refused in words
_APPLICATION = 0x776B6273  # "wkbs", which `file` and others can read at the head of the file
_WAIT = 10.0  # seconds for another process that is writing
_UNDO = 86400.0  # seconds that what was deleted can be brought back by the session that did it
_LARGEST = 400_000_000  # bytes of one fit, unpacked

_TABLES = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    made TEXT NOT NULL,
    parent INTEGER,
    name TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    starred INTEGER NOT NULL DEFAULT 0,
    deleted REAL,
    data_hash TEXT NOT NULL,
    data_name TEXT NOT NULL,
    structure TEXT NOT NULL,
    random TEXT NOT NULL,
    error TEXT NOT NULL,
    method TEXT NOT NULL,
    options TEXT,
    settings TEXT NOT NULL,
    seed INTEGER,
    ofv REAL, minus2ll REAL, aic REAL, bic REAL,
    parameters INTEGER NOT NULL,
    status TEXT NOT NULL,
    said TEXT NOT NULL,
    seconds REAL,
    versions TEXT NOT NULL,
    model TEXT NOT NULL,
    estimates TEXT NOT NULL,
    covariance TEXT,
    fit BLOB NOT NULL
);
CREATE TABLE data (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    records BLOB NOT NULL
);
"""
_SHOWN = (
    "number", "made", "parent", "name", "note", "starred", "data_hash", "data_name", "structure", "random", "error",
    "method", "options", "settings", "ofv", "aic", "bic", "parameters", "status", "seconds", "model",
)  # fmt: skip
_TEXTS = ("made", "name", "note", "data_hash", "data_name", "structure", "random", "error", "method", "settings",
          "status", "model")  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What the table of runs shows of a run, without its fit.

    Attributes
    ----------
    number : int
        Counted from 1; not used again when a run is deleted.
    made : str
        When the fit ended, in UTC.
    parent : int or None
        Number of the run that was shown when it was begun.
    name, note : str
    starred : bool
    data_hash, data_name : str
    structure, random, error, method : str
        In words, as the table shows them; the method by its name.
    options : str or None
        Of the method, in Python.
    settings : str
        Further arguments of the fit, as JSON.
    ofv, aic, bic : float
    parameters : int
        How many were estimated.
    status : str
    seconds : float
    model : str
        As it was given to the fit, in Python.
    """

    number: int
    made: str
    parent: int | None
    name: str
    note: str
    starred: bool
    data_hash: str
    data_name: str
    structure: str
    random: str
    error: str
    method: str
    options: str | None
    settings: str
    ofv: float
    aic: float
    bic: float
    parameters: int
    status: str
    seconds: float
    model: str


def facts_of(fit: FitResult, number: int, parent: int | None, name: str, note: str) -> Facts:
    """What the table shows of a fit that has just ended."""
    return Facts(
        number=number,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        parent=parent,
        name=name,
        note=note,
        starred=False,
        data_hash=fit.data.hash,
        data_name=fit.data.name,
        structure=fit.given.structure.title,
        random=", ".join(fit.random_effects),
        error=", ".join(error.title for error in fit.given.errors),
        method=fit.method,
        options=None if fit.options is None else repr(fit.options),
        settings=json.dumps([[name, plain.plain_scalar(value)] for name, value in fit.settings]),
        ofv=float(fit.ofv),
        aic=float(fit.aic),
        bic=float(fit.bic),
        parameters=fit.n_estimated,
        status=fit.status.name,
        seconds=float(fit.seconds),
        model=repr(fit.given),
    )


@dataclass(frozen=True)
class History:
    """A file of runs.

    Attributes
    ----------
    path : Path
    writable : bool
        False on a disk that can only be read.
    """

    path: Path
    writable: bool = True

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> History:
        """Open a file of runs, or make one.

        Raises
        ------
        FileError
            If it is no file of runs, damaged, of a later version, or cannot be made.
        """
        target = file_at(Path(path).expanduser().absolute())
        if target.exists() and not target.is_file():
            raise FileError(f"{target} is no file that runs could be kept in.")
        history = cls(target)
        try:
            history._prepare()
            return history
        except sqlite3.Error as error:
            if not target.is_file() or not _is_read_only(error):
                raise FileError(history._in_words(error)) from None
        history = replace(history, writable=False)
        try:
            history._check()
        except sqlite3.Error as error:
            raise FileError(history._in_words(error)) from None
        return history

    # -- reading -----------------------------------------------------------------------------------------------

    def facts(self) -> list[Facts]:
        """What the table shows, by number.

        Raises
        ------
        FileError
            If the file cannot be read.
        """
        chosen = f"SELECT {', '.join(_SHOWN)} FROM runs WHERE deleted IS NULL ORDER BY number"
        with self._reading() as connection:
            rows = connection.execute(chosen).fetchall()
        return [facts_in(dict(zip(_SHOWN, row, strict=True))) for row in rows]

    def fit(self, number: int) -> FitResult:
        """The fit of a run, with its data.

        Raises
        ------
        FileError
            If it is not there, or cannot be restored: it needs a class of another notebook's own, say.
        """
        what = f"run {number} in {self.path.name}"
        with self._reading() as connection:
            found = connection.execute(
                "SELECT fit, records FROM runs LEFT JOIN data ON data.hash = runs.data_hash WHERE number = ?", (number,)
            ).fetchone()
        if found is None or found[1] is None:
            raise FileError(
                f"There is no {what}, or it has no data." if found is None else f"The data of {what} are not there."
            )
        saved, records = (_unpacked(blob, what) for blob in found)
        plain.need(saved, ("data",), what)
        return fit_of(saved, stored.data_of(saved["data"], records), what)

    # -- writing -----------------------------------------------------------------------------------------------

    def add(self, fit: FitResult, facts: Facts) -> int:
        """Keep a fit, in one transaction; its number.

        Raises
        ------
        FileError
            If it cannot be written: the disk is full, say. Nothing is changed then.
        """
        try:
            content = _packed(record(fit, numbers=plain.packed))
            records = _packed(stored.records(fit.data, plain.packed))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise FileError(f"This fit cannot be written to {self.path.name}: {error}.") from None
        estimates = json.dumps([[e.name, plain.number(e.value), plain.number(e.se), bool(e.fixed)] for e in fit.lines])
        covariance = None if fit.covariance is None else json.dumps(plain.numbers(fit.covariance))
        options: Any = fit.options
        seed = dict(fit.settings).get("seed", getattr(options, "seed", None))
        row = {
            **{name: getattr(facts, name) for name in _SHOWN if name != "number"},
            "starred": int(facts.starred),
            "ofv": _real(facts.ofv), "aic": _real(facts.aic), "bic": _real(facts.bic),
            "minus2ll": _real(fit.minus2ll), "seconds": _real(facts.seconds),
            "seed": seed, "said": fit.said, "versions": json.dumps(versions()),
            "estimates": estimates, "covariance": covariance, "fit": content,
        }  # fmt: skip
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        with self._writing() as connection:
            known = connection.execute("SELECT 1 FROM data WHERE hash = ?", (fit.data.hash,)).fetchone()
            if known is None:
                connection.execute("INSERT INTO data VALUES (?, ?, ?)", (fit.data.hash, fit.data.name, records))
            number = connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", row).lastrowid
        return int(number or 0)

    def change(self, number: int, **changes: Any) -> None:
        """Change name, note, starred or parent of a run."""
        allowed = {"name", "note", "starred", "parent"}
        stated = {name: int(value) if name == "starred" else value for name, value in changes.items()}
        assignments = ", ".join(f"{name} = :{name}" for name in stated if name in allowed)
        with self._writing() as connection:
            connection.execute(f"UPDATE runs SET {assignments} WHERE number = :number", {**stated, "number": number})

    def delete(self, numbers: Iterable[int], *, undo: bool = False) -> None:
        """Delete runs, or bring them back."""
        when = None if undo else time.time()
        with self._writing() as connection:
            connection.executemany("UPDATE runs SET deleted = ? WHERE number = ?", [(when, n) for n in numbers])

    # -- inside ------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make the tables in a new file; check those that are there; forget what was deleted long ago."""
        with closing(self._connect()) as connection:
            empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            if not empty:
                self._refuse_others(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                    for statement in _TABLES.split(";"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
                    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                gone = connection.execute("DELETE FROM runs WHERE deleted < ?", (time.time() - _UNDO,)).rowcount
                if gone:
                    connection.execute("DELETE FROM data WHERE hash NOT IN (SELECT data_hash FROM runs)")

    def _check(self) -> None:
        with self._copied() as connection:
            self._refuse_others(connection)

    def _refuse_others(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if application != _APPLICATION or not {"runs", "data"} <= tables:
            raise FileError(f"{self.path.name} is a database, but not one that runs are kept in.")
        if version > VERSION:
            raise FileError(
                f"{self.path.name} was written by a later version of workbench (its tables are those of version "
                f"{version}, this one knows up to {VERSION}). Update workbench to open it."
            )
        odd = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
        if odd is not None:
            raise FileError(f"{self.path.name} holds {odd[0]!r}, which workbench did not put there.")
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise FileError(f"{self.path.name} is damaged: {said}")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing."""
        if not self.writable:
            raise FileError(f"{self.path.name} can only be read: the disk or the file is read-only.")
        try:
            with closing(self._connect()) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise FileError(self._in_words(error)) from None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            if not self.writable:
                with self._copied() as connection:
                    yield connection
            else:
                if not self.path.is_file():
                    raise FileError(f"{self.path} is not there any more.")
                with closing(self._connect()) as connection:
                    yield connection
        except (sqlite3.Error, OSError) as error:
            raise FileError(self._in_words(error)) from None

    @contextmanager
    def _copied(self) -> Iterator[sqlite3.Connection]:
        """A copy with what is not yet in the file itself: SQLite cannot read that where it cannot write."""
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            copy = Path(folder) / "runs.db"
            shutil.copyfile(self.path, copy)
            beside = self.path.with_name(f"{self.path.name}-wal")
            if beside.is_file():
                shutil.copyfile(beside, copy.with_name("runs.db-wal"))
            with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                connection.execute("PRAGMA trusted_schema = OFF")
                yield connection

    def _in_words(self, error: Exception) -> str:
        name, said = self.path.name, str(error)
        if "full" in said:
            return f"{name} cannot be written: the disk is full."
        if "unable to open" in said and not self.path.is_file():
            return f"{self.path} cannot be opened: there is no such folder, or it may not be written."
        if _is_read_only(error):
            return f"{name} cannot be written: the disk or the folder is read-only."
        if "locked" in said or "busy" in said:
            return f"{name} is being written by another process, for more than {_WAIT:g} s."
        if "not a database" in said or "malformed" in said or "no such" in said:
            return f"{name} is damaged, or no file that runs are kept in ({said}). Move it away to begin a new one."
        return f"{name} cannot be used: {said}."


def _is_read_only(error: Exception) -> bool:
    said = str(error)
    return "readonly" in said or "read-only" in said or "unable to open" in said or "Permission" in said


def facts_in(row: dict[str, Any]) -> Facts:
    """What the table shows of a run, from a row of the file or of a study.

    Raises
    ------
    FileError
        If something is missing.
    """
    plain.need(row, _SHOWN, "the list of runs")
    values: dict[str, Any] = {name: str(row[name]) for name in _TEXTS}
    values |= {name: math.nan if row[name] is None else float(row[name]) for name in ("ofv", "aic", "bic", "seconds")}
    values |= {name: int(row[name]) for name in ("number", "parameters")}
    values["parent"] = None if row["parent"] is None else int(row["parent"])
    values["options"] = None if row["options"] is None else str(row["options"])
    return Facts(**values, starred=bool(row["starred"]))


def _real(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _packed(record: dict[str, Any]) -> bytes:
    return zlib.compress(plain.written(record).encode("utf-8"), 1)


def _unpacked(content: Any, what: str) -> dict[str, Any]:
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(content, _LARGEST)
        if unpacking.unconsumed_tail:
            raise FileError(f"{what} is larger than {_LARGEST / 1e6:,.0f} MB.")
        if plain.is_crowded(text):
            raise FileError(f"{what} is no saved fit: it has millions of lists in it.")
        found = json.loads(text)
    except (zlib.error, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{what} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise FileError(f"{what} cannot be read: it is no record.")
    return found
