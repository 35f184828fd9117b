"""`workbench app`: the panels alone, served by Voila."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from workbench.cli.ending import ending_at_a_signal
from workbench.cli.serving import compiling_beside, missing, said_where
from workbench.cli.status import FAILED

_TEMPLATE = "workbench"
_APP = """import workbench as wb

bench = wb.Workbench({data})
bench.view.layout.height = "calc(100vh - 24px)"
bench.view"""


def add(commands: Any) -> None:
    """What may be typed after `workbench app`."""
    parser = commands.add_parser(
        "app",
        help="open the panels alone, without a notebook",
        description="Serve the panels alone with Voila. Whoever opens the address has a kernel of their own, and their "
        "runs to themselves.",
        epilog='What follows "--" goes to Voila: workbench app -- --Voila.ip=0.0.0.0',
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="data to begin with (default: none)")
    parser.add_argument("--port", type=int, metavar="N", help="port to serve on (default: the first free from 8866)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options for Voila itself")
    parser.set_defaults(run=open_app)


def open_app(args: argparse.Namespace) -> int:
    """Serve the panels alone until that is stopped."""
    if find_spec("voila") is None:
        return missing("Voila", "app")
    data = ""
    if args.file is not None:
        if not args.file.is_file():
            print(f"workbench: there is no file {args.file}", file=sys.stderr)
            return FAILED
        data = f"wb.read_data({str(args.file.resolve())!r})"
    with tempfile.TemporaryDirectory(prefix="workbench-app-") as folder:
        page = Path(folder) / "workbench.ipynb"
        page.write_text(_notebook(_APP.format(data=data)), encoding="utf-8")
        _own_template(Path(folder))
        os.environ["WORKBENCH_RUNS"] = "memory"  # what one person fits is no business of the others
        options = [f"--template={_TEMPLATE}", "--strip_sources=True", "--Voila.log_level=ERROR"]
        token, port = secrets.token_hex(24), args.port if args.port is not None else _free_port(8866)
        options += [f"--port={port}", f"--token={token}", *(["--no-browser"] if args.no_browser else [])]
        with compiling_beside():
            return _serve_alone(page, [*options, *args.options], token)


def _own_template(folder: Path) -> None:
    """Voila's own look, but for the style sheets that it fetches from elsewhere: nothing leaves this machine."""
    import voila.paths  # type: ignore[import-untyped]
    from jupyter_core.paths import jupyter_path

    roots = [Path(root) / "voila" / "templates" for root in (*jupyter_path(), voila.paths.ROOT)]
    theirs = next(root / "lab" for root in roots if (root / "lab" / "index.html.j2").is_file())
    ours = folder / "voila" / "templates" / _TEMPLATE
    ours.mkdir(parents=True)
    (ours / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    lines = (theirs / "index.html.j2").read_text(encoding="utf-8").splitlines(keepends=True)
    own = "".join(line for line in lines if "//cdn." not in line)
    (ours / "index.html.j2").write_text(own, encoding="utf-8")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("JUPYTER_PATH"))))


def _serve_alone(page: Path, options: Sequence[str], token: str) -> int:
    from tornado.ioloop import IOLoop
    from tornado.web import HTTPError
    from voila.app import Voila  # type: ignore[import-untyped]

    server = Voila()
    server.initialize([str(page), *options])

    def said() -> None:
        said_where("Workbench", f"http://127.0.0.1:{server.port}/?{urlencode({'token': token})}")

    IOLoop.current().add_callback(said)  # it gets to it once it listens
    with ending_at_a_signal(_kernels), suppress(HTTPError):  # a kernel that was gone by itself
        server.start()
    return 0


def _kernels() -> list[int]:
    """Process ids of the kernels, those that only begin to be included, and of what they began.

    Each has this process written in its environment. The server's own list lacks those that begin; and a browser that
    this process opened is to stay.
    """
    import psutil  # type: ignore[import-untyped]

    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):
            if process.environ().get("JPY_PARENT_PID") == str(os.getpid()):
                found.append(process.pid)
    return found


def _free_port(first: int) -> int:
    for port in range(first, first + 100):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    return first


def _notebook(code: str) -> str:
    """A notebook of one cell."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "room",
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})
