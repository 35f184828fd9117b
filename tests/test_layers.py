"""The import direction of the package: each layer imports only what stands to the right of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import workbench

PACKAGE = Path(workbench.__file__).parent
ORDER = (
    "cli",
    "installation",
    "ui",
    "exercises",
    "reporting",
    "studies",
    "screening",
    "diagnostics",
    "simulation",
    "inference",
    "exchange",
    "engine",
    "results",
    "model",
    "noncompartmental",
    "data",
    "parallel",
    "language",
    "markup",
    "plain",
    "methods",
    "findings",
    "checks",
    "errors",
)
ROOMS = {  # inside a layer, each room imports only what stands to the right of it
    "engine": ("methods", "ending", "search", "objectives", "problem", "predictions"),
    "ui": ("app", "panels", "figures", "session"),
}
NO_WIDGETS = ("ipywidgets", "bqplot", "IPython", "workbench.ui.front_end")  # nor in ui/session
LIGHT = ("cli", "methods", "checks", "errors")  # what the command may import before it knows what it is asked


class Import(NamedTuple):
    """One imported module; `lazy` if it is not imported along with the file (in a function, or for types only)."""

    module: str
    line: int
    lazy: bool


def imports(source: str, package: tuple[str, ...] = ()) -> list[Import]:
    """All imports of a file that lies in `package`, names imported from a package included."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (Import(f"{module}.{alias.name}", node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from walk(child, True)
            for child in node.orelse:
                yield from walk(child, lazy)
        else:
            lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, lazy)

    return list(walk(ast.parse(source), False))


def layer(module: str) -> str | None:
    """The layer that a module belongs to; None for other packages and for what no layer owns."""
    top, _, rest = module.partition(".")
    if top != "workbench":
        return None
    if not rest:
        return "ui"  # the package itself leads everywhere
    name = rest.split(".")[0]
    return workbench._PUBLIC.get(name, name).split(".")[-1] if name not in ORDER else name


def files() -> list[Path]:
    found = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    assert len(found) > 10
    return found


FILES = [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in files()]


def own_layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def read(path: Path) -> list[Import]:
    return imports(path.read_text(encoding="utf-8"), ("workbench", *path.relative_to(PACKAGE).parts[:-1]))


@pytest.mark.parametrize("path", FILES)
def test_layers_import_only_downwards(path):
    own = own_layer(path)
    assert own in ORDER, f"{own} has no place in the order of layers"
    wrong = [
        f"line {line}: {own} imports {module}"
        for module, line, _ in read(path)
        if (other := layer(module)) in ORDER and ORDER.index(other) < ORDER.index(own)
    ]
    assert not wrong


def test_every_layer_and_room_exists():
    assert set(ORDER) == {own_layer(path) for path in files()}
    for name, rooms in ROOMS.items():
        inside = {
            path.relative_to(PACKAGE / name).parts[0].removesuffix(".py") for path in (PACKAGE / name).rglob("*.py")
        }
        assert set(rooms) <= inside


@pytest.mark.parametrize("path", FILES)
def test_rooms_import_only_downwards(path):
    own = own_layer(path)
    rooms = ROOMS.get(own, ())
    room = path.relative_to(PACKAGE).with_suffix("").parts[1] if rooms else ""
    if room not in rooms:
        return  # what stands in front of the rooms may lead to all of them
    wrong = [
        f"line {line}: {room} imports {module}"
        for module, line, _ in read(path)
        if (parts := module.split("."))[:2] == ["workbench", own]
        and parts[2:]
        and parts[2] in rooms[: rooms.index(room)]
    ]
    assert not wrong


@pytest.mark.parametrize("path", [p for p in FILES if p.values[0].is_relative_to(PACKAGE / "ui" / "session")])
def test_a_session_knows_no_widgets(path):
    assert not [f"line {line}: {module}" for module, line, _ in read(path) if module.startswith(NO_WIDGETS)]


def test_no_circle_of_files():
    """Imports within functions and for types count too."""
    graph = {
        path: {file_of(module) for module, _, _ in read(path)} - {path, None, PACKAGE / "__init__.py"}
        for path in files()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(str(path.relative_to(PACKAGE)) for path in error.args[1]))


def file_of(module: str) -> Path | None:
    """The file that a module, or a name in it, stands in; None outside the package."""
    top, *parts = module.split(".")
    for end in (len(parts), len(parts) - 1) if top == "workbench" else ():
        base = PACKAGE.joinpath(*parts[: max(end, 0)])
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def test_nobody_reads_the_underscore_of_another():
    """One's own is what is read of `self` and `cls`, and what is defined in the same file."""
    wrong = []
    for path in files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_self(node.value)}
        own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        own |= {
            node.target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        wrong += [
            f"{path.relative_to(PACKAGE)}, line {node.lineno}: {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.endswith("_")
            and not _is_self(node.value)
            and node.attr not in own | PUBLIC_ALL_THE_SAME
        ]
    assert not wrong


PUBLIC_ALL_THE_SAME = {
    "_replace",
    "_fields",
    "_asdict",
    "_make",
    "_dom_classes",
}  # of named tuples, every ipywidget


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@pytest.mark.parametrize("path", FILES)
def test_heavy_packages_stay_in_their_layer(path):
    own = own_layer(path)
    regressions = {"screening", "diagnostics", "noncompartmental"}
    allowed = {"ipywidgets": {"ui"}, "bqplot": {"ui"}, "IPython": {"ui"}, "statsmodels": regressions}
    for module, line, lazy in read(path):
        top = module.split(".")[0]
        assert own in allowed.get(top, {own}), f"line {line}: {own} imports {module}"
        if top == "statsmodels":
            assert lazy, f"line {line}: statsmodels takes seconds to import; import it in the function that needs it"
        if top == "pandas" and own == "engine":
            assert lazy, f"line {line}: the engine works on arrays; import pandas only where a table is returned"
        if top not in sys.stdlib_module_names and own == "cli":
            assert lazy or module in ("workbench.__version__",) or layer(module) in LIGHT, f"line {line}: {module}"


@pytest.mark.parametrize("statement", ["import workbench", "import workbench.cli"])
def test_import_loads_nothing_heavy(statement):
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "workbench" in loaded
    assert not loaded & {
        "numpy",
        "pandas",
        "scipy",
        "llvmlite",
        "ipywidgets",
        "bqplot",
        "jupyterlab",
        "rich",
        "formulaic",
    }


def test_imports_are_read_as_python_does():
    source = """
from __future__ import annotations
import pandas as pd
from typing import TYPE_CHECKING
from ..ui import app
from . import scale
if TYPE_CHECKING:
    from workbench.results.fit import FitResult
def f():
    import statsmodels.api
    from workbench import Workbench, fit
"""
    found = {module: lazy for module, _, lazy in imports(source, ("workbench", "engine"))}
    assert found["pandas"] is False
    assert found["workbench.ui.app"] is False and layer("workbench.ui.app") == "ui"
    assert layer("workbench.engine.scale") == "engine" and "workbench.engine.scale" in found
    assert found["workbench.results.fit.FitResult"] is True
    assert found["statsmodels.api"] is True
    assert layer("workbench.Workbench") == "ui" and layer("workbench.fit") == "engine"
    assert layer("workbench") == "ui" and layer("numpy") is None
