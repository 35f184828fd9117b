"""The wheel alone, without a clone: what is in it, and what `workbench lab` does with it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pytest.importorskip("hatchling")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    """As an installer lays it down, away from the clone."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def run(unpacked, code, folder):
    """Python of this environment that knows the wheel and not the clone."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    start = (
        f"import sys; sys.path[:] = [{str(unpacked)!r}, *(p for p in sys.path if p and p != {str(ROOT)!r})]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in str(f).lower()]\n"
    )
    return subprocess.run(  # noqa: PLW1510 - a test looks at how it ended
        [sys.executable, "-c", start + code], cwd=folder, env=kept, capture_output=True, text=True, timeout=300
    )


def test_what_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    notebooks = {f"workbench/examples/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    data = {f"workbench/examples/data/{path.name}" for path in (ROOT / "data").glob("*.csv")}
    assert len(notebooks) > 5 and len(data) > 5 and notebooks | data <= set(names)
    package = {
        str(path.relative_to(ROOT)) for path in (ROOT / "workbench").rglob("*.py") if "examples" not in path.parts
    }
    assert len(package) > 100 and package <= set(names)
    assert {"workbench/__init__.pyi", "workbench/ui/figures/style.css"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"workbench", next(top for top in tops if top.endswith(".dist-info"))}
    assert not [name for name in names if "/site/" in name or name.endswith(("mkdocs.yml", ".pyc"))]
    assert len(names) == len(set(names))


def test_the_lab_finds_notebooks_and_data(unpacked, tmp_path):
    code = (
        "import workbench.cli as cli, workbench as wb, pathlib\n"
        "print(cli.copy_examples(pathlib.Path('lab')), wb.__file__)\n"
        "print(len(wb.load_example('theophylline').subjects))\n"
    )
    done = run(unpacked, code, tmp_path)
    assert done.returncode == 0, done.stderr
    kept, count = done.stdout.splitlines()
    assert kept.startswith("[]") and str(unpacked) in kept and count == "12"
    copied = {str(path.relative_to(tmp_path / "lab")) for path in (tmp_path / "lab").rglob("*") if path.is_file()}
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= copied
    assert "data/theophylline.csv" in copied and not [name for name in copied if name.startswith("site")]


def test_without_its_extra_the_lab_says_what_is_missing(unpacked, tmp_path):
    code = (
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "import workbench.cli as cli\n"
        "cli.find_spec = lambda name: None if name == 'jupyterlab' else real(name)\n"
        "sys.exit(cli.main(['lab', '--dir', 'lab', '--no-browser']))\n"
    )
    done = run(unpacked, code, tmp_path)
    assert done.returncode == 1 and "JupyterLab is not installed; get it with: pip install jupyterlab" in done.stderr
    assert not (tmp_path / "lab").exists()


def test_the_clone_does_not_copy_the_site_either(tmp_path):
    from workbench.cli import copy_examples

    assert (ROOT / "notebooks" / "site" / "mkdocs.yml").is_file()
    copy_examples(tmp_path)
    assert (tmp_path / "quickstart.ipynb").is_file() and not (tmp_path / "site").exists()
