"""The import direction of the package: each layer imports only what stands to the right of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import workbench

PACKAGE = Path(workbench.__file__).parent
ORDER = (
    "cli",
    "ui",
    "screening",
    "inference",
    "engine",
    "results",
    "model",
    "data",
    "parallel",
    "language",
    "markup",
    "methods",
    "findings",
    "checks",
    "errors",
)


LIGHT = ("methods", "checks", "errors")  # what the command may import before it knows what it is asked


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


def circles(needs: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that need each other, by the order in which Tarjan (1972) leaves them."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        waiting.append(module)
        for other in sorted(needs[module]):
            if other not in number:
                visit(other)
            if other in waiting:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            at = waiting.index(module)
            group = waiting[at:]
            del waiting[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for module in needs:
        if module not in number:
            visit(module)
    return found


def test_no_circle_of_files():
    """Imports within functions and for types count too."""
    paths = {".".join(("workbench", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in files()}
    by_name = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    needs: dict[str, set[str]] = {}
    for name, path in by_name.items():
        needs[name] = set()
        for module, _, _ in read(path):
            parts = module.split(".")
            prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
            needs[name] |= {next((prefix for prefix in prefixes if prefix in by_name), name)} - {name}
    assert circles(needs) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("path", FILES)
def test_heavy_packages_stay_in_their_layer(path):
    own = own_layer(path)
    allowed = {"ipywidgets": {"ui"}, "bqplot": {"ui"}, "IPython": {"ui"}, "statsmodels": {"screening"}}
    for module, line, lazy in read(path):
        top = module.split(".")[0]
        assert own in allowed.get(top, {own}), f"line {line}: {own} imports {module}"
        if top == "statsmodels":
            assert lazy, f"line {line}: statsmodels takes seconds to import; import it in the function that needs it"
        if top == "pandas" and own == "engine":
            assert lazy, f"line {line}: the engine works on arrays; import pandas only where a table is returned"
        if top not in sys.stdlib_module_names and own == "cli":
            assert lazy or module in ("workbench.__version__",) or layer(module) in LIGHT, f"line {line}: {module}"


@pytest.mark.parametrize("path", [p for p in FILES if "ui" in p.values[0].relative_to(PACKAGE).parts[:1]])
def test_rooms_of_the_panels_import_only_downwards(path):
    room = path.relative_to(PACKAGE).parts[1].removesuffix(".py")
    forbidden = {
        "session": (
            "workbench.ui.figures",
            "workbench.ui.panels",
            "workbench.ui.app",
            "ipywidgets",
            "bqplot",
            "IPython",
        ),
        "figures": ("workbench.ui.panels", "workbench.ui.app"),
        "panels": ("workbench.ui.app",),
    }
    wrong = [
        f"line {line}: {module}"
        for module, line, _ in read(path)
        if module.startswith(forbidden.get(room, ()))
        or (module.startswith("workbench.ui.") and module.rsplit(".", 1)[-1].startswith("_"))
    ]
    assert not wrong


@pytest.mark.parametrize("statement", ["import workbench", "import workbench.cli"])
def test_import_loads_nothing_heavy(statement):
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "workbench" in loaded
    assert not loaded & {"numpy", "pandas", "scipy", "numba", "ipywidgets", "bqplot", "jupyterlab", "rich", "formulaic"}


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
