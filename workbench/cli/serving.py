"""What both commands that serve need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workbench.cli.status import FAILED


def missing(what: str, extra: str) -> int:
    """Say how to get what is not installed."""
    from workbench.installation import how_to_get

    print(f"workbench: {what} is not installed. It comes with {how_to_get(extra)}", file=sys.stderr)
    return FAILED


def said_where(what: str, address: str) -> None:
    """Said by the loop that serves, after it has bound the sockets: whoever reads the address finds somebody there."""
    print(f"{what}: {address}")
    print("Stop it with Ctrl-C.", flush=True)


@contextmanager
def compiling_beside() -> Iterator[Any]:
    """Within it, another process compiles what is common, so that the first fit in a notebook need not wait for it."""
    import subprocess

    code = "from workbench.engine import warm_everything; warm_everything()"
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-c", code], stdin=nowhere, stdout=nowhere, stderr=nowhere)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
