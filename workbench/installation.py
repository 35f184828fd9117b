"""`workbench doctor`: what this installation has, what it lacks, and how to mend that, in words."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "nlme-workbench"
LOWEST_PYTHON = (3, 11)

_EXTRAS = {  # extra: a package of it, its module, and what that is for
    "lab": ("jupyterlab", "jupyterlab", "JupyterLab for `workbench lab`"),
    "app": ("voila", "voila", "Voila for `workbench app`"),
    "plots": ("matplotlib", "matplotlib", "figures for print"),
    "parquet": ("pyarrow", "pyarrow", "Parquet files"),
    "cluster": ("distributed", "distributed", "fits on a cluster"),
    "nonmem": ("pharmpy-core", "pharmpy", "control streams of NONMEM"),
}
_EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "ipywidgets", "bqplot": "bqplot"}


class Found(NamedTuple):
    """One thing that was looked at.

    Attributes
    ----------
    state : {"well", "absent", "wrong"}
        "absent" is what only some uses need; "wrong" keeps the workbench from working.
    what : str
    mend : str
    """

    state: Literal["well", "absent", "wrong"]
    what: str
    mend: str = ""


def examined() -> Iterator[Found]:
    """What an installation needs, looked at one by one; nothing is changed but the folder for what is compiled."""
    yield _python()
    yield from _packages()
    for extra, (package, module, use) in _EXTRAS.items():
        if find_spec(module) is None:
            yield Found("absent", f"{use}: {package}", how_to_get(extra))
        else:
            yield Found("well", f"{use}: {package} {version(package)}")
    yield from _front_ends()
    yield _cache()
    yield _engine()


def how_to_get(extra: str) -> str:
    """What adds an extra to this installation, from where the installation came.

    Parameters
    ----------
    extra : str
        As `pyproject.toml` names it.

    Examples
    --------
    >>> "lab" in how_to_get("lab")
    True
    """
    source, editable = _source()
    if source is not None:
        return f'the extra "{extra}": pip install {"-e " if editable else ""}"{source}[{extra}]"'
    return f'the extra "{extra}": pip install {" ".join(_named_by(extra))}'


def _source() -> tuple[Path | None, bool]:
    """The file or folder that was installed, if that is known and still there, and whether it is used in its place."""
    try:
        stated = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None, False
    address = urlsplit(str(stated.get("url", "")))
    source = Path(url2pathname(address.path))
    known = address.scheme == "file" and source.exists()
    return (source if known else None), bool(stated.get("dir_info", {}).get("editable"))


def _named_by(extra: str) -> list[str]:
    """What an extra asks for, those that it includes among it; its module where no metadata are at hand."""
    try:
        required = metadata(DISTRIBUTION).get_all("Requires-Dist") or []
    except PackageNotFoundError:
        return [_EXTRAS[extra][0]]
    named = []
    for line in required:
        wanted, _, condition = line.partition(";")
        if f"extra == '{extra}'" not in condition.replace('"', "'"):
            continue
        within = re.fullmatch(rf"{DISTRIBUTION}\[([\w,-]+)\]", wanted.strip())
        found = re.match(r"[\w.-]+", wanted)
        if within:
            named += [name for one in within[1].split(",") for name in _named_by(one)]
        elif found:
            named.append(found[0])
    return named


def _python() -> Found:
    where = f"Python {platform.python_version()} in {sys.prefix}"
    if sys.version_info < LOWEST_PYTHON:
        return Found("wrong", where, f"Python {'.'.join(map(str, LOWEST_PYTHON))} or newer is needed")
    return Found("well", where)


def _packages() -> Iterator[Found]:
    try:
        required = metadata(DISTRIBUTION).get_all("Requires-Dist") or []
    except PackageNotFoundError:
        yield Found("absent", f"{DISTRIBUTION} is not installed, only found", "pip install -e . in its folder")
        return
    for line in required:
        stated = re.fullmatch(r"([\w.-]+)>=([\w.]+)", line.split(";")[0].strip())
        if stated is None or "extra" in line:
            continue
        name, lowest = stated.groups()
        try:
            have = version(name)
        except PackageNotFoundError:
            yield Found("wrong", f"{name} is missing", f'pip install "{name}>={lowest}"')
            continue
        old = _numbers(have) < _numbers(lowest)
        mend = f'at least {lowest} is needed: pip install "{name}>={lowest}"' if old else ""
        yield Found("wrong" if old else "well", f"{name} {have}", mend)


def _numbers(text: str) -> tuple[int, ...]:
    """2.10.1rc1 as (2, 10, 1)."""
    return tuple(int(found[0]) for part in text.split(".") if (found := re.match(r"\d+", part)))


def _front_ends() -> Iterator[Found]:
    if find_spec("jupyter_core") is None:
        return
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    for extension, package in _EXTENSIONS.items():
        there = any((folder / extension / "package.json").is_file() for folder in folders)
        mend = f"pip install --force-reinstall {package}, in the environment that JupyterLab runs in"
        what = f"the part of {package} that runs in the browser"
        yield Found("well", what) if there else Found("wrong", f"{what} is missing", mend)


def _cache() -> Found:
    import warnings

    from workbench.engine.caches import kernel_folder

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        folder = kernel_folder()
    if said:
        return Found("absent", "a folder that keeps what is compiled", str(said[0].message))
    return Found("well", f"what is compiled is kept in {folder}")


def _engine() -> Found:
    import workbench as wb

    try:
        data = wb.read_data(b"ID,TIME,AMT,DV\n1,0,10,.\n1,1,.,1\n", name="a dose")
        model = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0), wb.Parameter("V", 5.0)], wb.Constant(1.0))
        value = float(wb.predict(model, data)["PRED"].iloc[-1])
    except Exception as error:  # whatever it is, the report goes on and says it
        return Found("wrong", f"the engine does not run: {type(error).__name__}: {error}", "please report this")
    right = abs(value - 2 * 2.718281828459045**-0.2) < 1e-12
    return Found("well" if right else "wrong", "the engine computes" + ("" if right else f" {value}, which is wrong"))
