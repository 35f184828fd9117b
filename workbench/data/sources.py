"""The bytes of a source, within bounds: what would hang, or grow without end, is refused before it is held whole."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import DataError, Fault

MOST = 2 * 2**30
"""Bytes of one file, as it is and unpacked."""
LONGEST_LINE = 2**20
"""Bytes of a line of text."""
EXPANSION = 100
"""How many times its own size a packed file may unpack to, once that is more than `FREE` bytes."""
FREE = 64 * 2**20

_PIECE = 4 * 2**20
_KINDS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "Excel",
    b"\xd0\xcf\x11\xe0": "old Excel",
    b"PAR1": "Parquet",
    b"HEADER RECORD*******": "SAS XPORT",
    bytes(12) + b"\xc2\xea\x81\x60": "SAS",
}
_OTHERS = {
    b"%PDF": "a PDF",
    b"RDX": "an R file (.RData)",
    b"$FL2": "an SPSS file (.sav)",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "a bzip2 archive",
    b"7z\xbc\xaf": "a 7-zip archive",
    b"\xfd7zXZ": "an xz archive",
    b"<!DOCTYPE": "a web page (HTML)",
    b"<html": "a web page (HTML)",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True)
class Source:
    """The bytes of a file.

    Attributes
    ----------
    content : bytes
        Unpacked, where it was a gzip file.
    name : str
    kind : {"text", "Excel", "old Excel", "Parquet", "SAS XPORT", "SAS"}
    """

    content: bytes
    name: str
    kind: str


def opened(source: Any, name: str | None = None) -> Source:
    """The bytes of a path, a file object or bytes; `name` is what errors call it, the file's name unless said.

    Raises
    ------
    DataError
        For what is no file (a folder, a pipe, a device), for more than 2 GB, for a gzip file that unpacks to more than
        a hundred times its size, for a line of more than a million bytes, and for files of a kind that is not read.
    """
    stream, found = _stream(source)
    name = printable(name or found)
    with stream:
        content, kind = _gathered(stream, name)
    if kind == "gzip":
        try:
            content, kind = _gathered(gzip.GzipFile(fileobj=io.BytesIO(content)), name, len(content))
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"the gzip file is damaged: {error}", name) from None
        if kind == "gzip":
            raise DataError(Fault("a gzip file within a gzip file", mend="unpack it, and look at what it holds"), name)
    if not content.strip():
        raise DataError(Fault("it is empty", mend="a header line and one line per record are needed"), name)
    return Source(content, name, kind)


def expands_too_far(packed: int, unpacked: int) -> bool:
    """Whether a file unpacks to more than data do."""
    return unpacked > MOST or (unpacked > FREE and unpacked > EXPANSION * packed)


def printable(text: str) -> str:
    """A text with ? in the place of what is no character, such as half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


class _Encoded(io.RawIOBase):
    """A file object's text or bytes, as bytes."""

    def __init__(self, source: Any, name: str) -> None:
        self._source, self._name = source, name

    def read(self, size: int = -1) -> bytes:
        try:
            piece = self._source.read(size)
            return piece.encode() if isinstance(piece, str) else bytes(piece)
        except UnicodeEncodeError as error:
            message = f"it holds what is no character ({error.object[error.start]!r})"
            raise DataError(Fault(message, mend="read the file as UTF-8, or pass its bytes"), self._name) from None
        except (OSError, ValueError) as error:
            raise DataError(f"the file object cannot be read: {error}", self._name) from None


def _stream(source: Any) -> tuple[Any, str]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source), "data"
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            mode = path.stat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                return path.open("rb"), path.name
            reason = "it is a pipe or a device, not a file"
        except (OSError, ValueError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else str(getattr(error, "strerror", error))
        raise DataError(Fault(f"cannot be opened: {reason}", mend="check the path"), printable(str(source)))
    if hasattr(source, "read"):
        name = Path(str(getattr(source, "name", "data"))).name
        return _Encoded(source, name), name
    raise DataError(f"got {type(source).__name__}; allowed: a path, a file object, bytes or a pandas DataFrame")


def _gathered(stream: Any, name: str, packed: int = 0) -> tuple[bytes, str]:
    """All bytes and what they are; `packed` is the size of the archive that they come from, if from one."""
    content = bytearray()
    kind, since, lines = "", 0, 0
    while piece := stream.read(_PIECE):
        kind = kind or _kind(piece, name)
        if kind == "text":
            since = _since_line_end(piece, since, lines, name)
            lines += piece.count(b"\n")
        content += piece
        if packed and expands_too_far(packed, len(content)):
            message = f"a gzip file of {packed:,} bytes that unpacks to more than {len(content) // 2**20} MB"
            raise DataError(Fault(message, mend="unpack it, and look at what it holds"), name)
        if len(content) > MOST:
            mend = "split it: several Parquet files can be read as one, wb.read_data('…/*.parquet')"
            raise DataError(Fault(f"it is larger than {MOST // 2**30} GB", mend=mend), name)
    return bytes(content), kind


def _kind(first: bytes, name: str) -> str:
    for signature, kind in _KINDS.items():
        if first.startswith(signature):
            return kind
    for signature, kind in _OTHERS.items():
        if first[:1000].lstrip()[: len(signature)].lower() == signature.lower():
            raise DataError(Fault(f"it is {kind}", mend="export the table as CSV or Excel (.xlsx)"), name)
    return "text"


def _since_line_end(piece: bytes, since: int, lines: int, name: str) -> int:
    """Bytes since the last end of a line, given those before the piece; raises where a line is too long."""
    begin = -since
    while True:
        window = max(begin, 0), begin + LONGEST_LINE
        end = max(piece.rfind(b"\n", *window), piece.rfind(b"\r", *window))
        if end < 0:
            if window[1] >= len(piece):
                return len(piece) - begin
            line = lines + piece.count(b"\n", 0, window[0]) + 1
            message = f"the line is longer than {LONGEST_LINE:,} bytes"
            raise DataError(Fault(message, line, mend="this is no table, or a line end is missing"), name)
        begin = end + 1
