"""`workbench lab`: JupyterLab on a working folder with notebooks and example data."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from workbench.cli.serving import compiling_beside, missing, said_where


def add(commands: Any) -> None:
    """What may be typed after `workbench lab`."""
    parser = commands.add_parser(
        "lab",
        help="open the quickstart in JupyterLab",
        description="Copy the notebooks and example data into a working folder and open JupyterLab there. "
        "Files that you have changed are kept.",
        epilog='What follows "--" goes to JupyterLab: workbench lab -- --ServerApp.ip=0.0.0.0',
    )
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("workbench-lab"),
        metavar="FOLDER",
        help="working folder, made if need be (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, metavar="N", help="port to serve on (default: the first free from 8888)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options for JupyterLab itself")
    parser.set_defaults(run=open_lab)


def open_lab(args: argparse.Namespace) -> int:
    """Serve JupyterLab on a working folder until it is stopped."""
    if find_spec("jupyterlab") is None:
        return missing("JupyterLab", "lab")
    folder = args.dir.expanduser().resolve()
    kept = copy_examples(folder)
    print(f"Working folder: {folder}")
    for name in kept:
        print(f"Kept your own {name}; delete it to get a fresh copy.")
    sys.stdout.flush()
    with compiling_beside():
        return _serve(folder, args)


def _serve(folder: Path, args: argparse.Namespace) -> int:
    from jupyterlab.labapp import LabApp

    page = "lab/tree/quickstart.ipynb"
    token = secrets.token_hex(24)
    options = [
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        f"--LabApp.default_url=/{page}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--Application.log_level=ERROR",
        "--ServerApp.answer_yes=True",  # Ctrl-C stops at once
        "--allow-root",  # containers run as root; the token still guards the server
    ]
    options += [f"--ServerApp.port={args.port}"] if args.port is not None else []
    options += ["--no-browser"] if args.no_browser else []
    server = LabApp.initialize_server(argv=[*options, *args.options])
    server.web_app.settings["page_config_hook"] = _without_news
    address = f"{server.connection_url}{quote(page)}?{urlencode({'token': token})}"
    server.io_loop.add_callback(said_where, "JupyterLab", address)
    server.start()
    return 0


def _without_news(handler: object, page_config: dict[str, Any]) -> dict[str, Any]:
    """Switch off the plugin that asks whether to fetch news: it asks even where there are none to fetch."""
    disabled = page_config.get("disabledExtensions", [])
    return {**page_config, "disabledExtensions": [*disabled, "@jupyterlab/apputils-extension:announcements"]}


def copy_examples(folder: Path) -> list[str]:
    """Copy the notebooks into `folder` and the example data into its `data`, never over a file that differs.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.

    Returns
    -------
    list of str
        Files that were there with other content, and were kept.
    """
    kept = []
    for source, target in (("notebooks", folder), ("data", folder / "data")):
        for path in sorted(p for p in _shipped(source).rglob("*") if p.is_file()):
            relative = path.relative_to(_shipped(source))
            if any(part.startswith(".") for part in relative.parts) or relative.parts[0] == "site":
                continue
            copy = target / relative
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            elif not copy.is_file() or copy.read_bytes() != path.read_bytes():
                kept.append(str(copy.relative_to(folder)))
    return kept


def _shipped(name: str) -> Path:
    """The folder `notebooks` or `data`: inside an installed package, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the {name} that come with workbench are missing from {package}; install it again")
