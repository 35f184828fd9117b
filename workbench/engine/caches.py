"""Where machine code is kept on disk: that of kernels, and of structures that users write."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def _temporary_folder() -> Path:
    """A folder of this process alone, and of those that it starts: what others could write to is never imported."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def cache_folder() -> Path:
    """Where compiled structures are kept.

    The folder that the environment variable WORKBENCH_CACHE names, else `workbench` within XDG_CACHE_HOME or ~/.cache;
    if it cannot be written to, a temporary one, which later processes do not share.
    """
    stated, base = os.environ.get("WORKBENCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(stated) if stated else (Path(base) if base else Path.home() / ".cache") / "workbench"
    except RuntimeError:  # there is no home
        return _temporary_folder()
    return folder if _can_be_written(folder) else _temporary_folder()


@functools.cache
def kernel_folder() -> Path:
    """Where kernels are kept.

    Within the folder that NUMBA_CACHE_DIR names, else in the package itself, else in `cache_folder()`: the first of
    these that can be written to. If that is a temporary one, a warning says so.
    """
    stated, name = os.environ.get("NUMBA_CACHE_DIR"), hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:16]
    if stated and _can_be_written(folder := Path(stated).absolute() / f"workbench_{name}"):
        return folder
    if _can_be_written(folder := _PACKAGE / "__pycache__"):
        return folder
    base = cache_folder()
    if _temporary_folder.cache_info().currsize and base == _temporary_folder():
        os.environ["NUMBA_CACHE_DIR"] = str(_temporary_folder())  # for the processes that this one starts
        warnings.warn(
            f"What is compiled is kept only as long as this process lives, in {_temporary_folder()}: neither the "
            "package nor a folder of yours can be written to. Let NUMBA_CACHE_DIR name one that can.",
            stacklevel=2,
        )
    folder = base / f"kernels_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sources() -> Iterator[Path]:
    yield from sorted((_PACKAGE / "engine").rglob("*.py"))


# Read along with the code: what a process compiles must not be, nor pass for, that of an update that came meanwhile.
_SOURCES = {str(path): path.read_bytes() for path in _sources()}
_VERSION = hashlib.sha256(b"".join(_SOURCES.values())).digest()


def object_folder(file: str) -> Path:
    """Where the object code of functions of a file is kept: beside structures that users write, else in its own."""
    folder = Path(file).parent
    return (folder if folder == cache_folder() else kernel_folder()) / "objects"


def version() -> bytes:
    """Of all that kernels are made of."""
    return _VERSION


def source(path: str) -> bytes:
    """The text of a file of code."""
    return _SOURCES.get(path) or Path(path).read_bytes()
