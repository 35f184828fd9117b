"""The wheel alone, without a clone: what is in it, and what `workbench lab` does with it."""

import json
import os
import re
import subprocess
import sys
import urllib.request
import venv
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
        "from workbench import cli\nfrom workbench.cli import lab\n"
        "lab.find_spec = lambda name: None if name == 'jupyterlab' else real(name)\n"
        "sys.exit(cli.main(['lab', '--dir', 'lab', '--no-browser']))\n"
    )
    done = run(unpacked, code, tmp_path)
    assert done.returncode == 1
    assert (
        'JupyterLab is not installed. It comes with the extra "lab": pip install jupyterlab matplotlib' in done.stderr
    )
    assert not (tmp_path / "lab").exists()


@pytest.mark.slow
def test_installed_with_its_extra_in_a_fresh_environment_the_lab_opens(wheel, tmp_path):
    """As a user does it, away from the clone: without the extra the command names it, and what it names suffices."""
    environment, folder = tmp_path / "environment", tmp_path / "away"
    folder.mkdir()
    venv.create(environment, with_pip=True)
    bin_ = environment / ("Scripts" if os.name == "nt" else "bin")
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JUPYTER_PATH")}

    def said(*command):
        return subprocess.run(  # noqa: PLW1510 - the test looks at how it ended
            [str(bin_ / command[0]), *command[1:]], cwd=folder, env=kept, capture_output=True, text=True, timeout=600
        )

    installed = said("python", "-m", "pip", "install", "-q", str(wheel))
    assert installed.returncode == 0, installed.stderr
    alone = said("workbench", "lab", "--no-browser")
    assert alone.returncode == 1 and not (folder / "workbench-lab").exists()
    assert f'JupyterLab is not installed. It comes with the extra "lab": pip install "{wheel}[lab]"' in alone.stderr
    doctor = said("workbench", "doctor")
    assert doctor.returncode == 0 and "absent JupyterLab for `workbench lab`: jupyterlab — the extra" in doctor.stdout

    installed = said("python", "-m", "pip", "install", "-q", f"{wheel}[lab]")
    assert installed.returncode == 0, installed.stderr
    assert "ok     JupyterLab for `workbench lab`: jupyterlab 4" in said("workbench", "doctor").stdout
    command = [str(bin_ / "workbench"), "lab", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, env=kept, stdout=subprocess.PIPE, text=True) as lab:
        try:
            address = next(line.split(": ")[1].strip() for line in lab.stdout if line.startswith("JupyterLab: "))
            base, _, rest = address.partition("lab/tree/")
            page, _, token = rest.partition("?")
            listed = {
                entry["name"]
                for place in ("", "data")
                for entry in asked(f"{base}api/contents/{place}", token)["content"]
            }
            notebook = asked(f"{base}api/contents/{page}", token)
            kernels = asked(f"{base}api/kernelspecs", token)["kernelspecs"]
        finally:
            lab.terminate()
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= listed and "theophylline.csv" in listed
    assert notebook["type"] == "notebook" and "python3" in kernels and "site" not in listed


def asked(address, token):
    with urllib.request.urlopen(f"{address}?{token}", timeout=60) as answer:
        return json.loads(answer.read())


def test_the_clone_does_not_copy_the_site_either(tmp_path):
    from workbench.cli import copy_examples

    assert (ROOT / "notebooks" / "site" / "mkdocs.yml").is_file()
    copy_examples(tmp_path)
    assert (tmp_path / "quickstart.ipynb").is_file() and not (tmp_path / "site").exists()


def test_nothing_says_to_install_another_project():
    """On the public index `workbench` belongs to others."""
    said = re.compile(r"pip install (?:-\S+ )*[\"']?workbench(?![\w-])")
    kinds = {".md", ".py", ".pyi", ".ipynb", ".toml", ".yml", ".txt", ".css", ".html"}
    places = [ROOT, *(ROOT / name for name in ("workbench", "notebooks", "data", "tests", ".github", ".ci"))]
    files = {path for place in places[1:] for path in place.rglob("*")} | set(places[0].iterdir())
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file() and path.suffix in kinds}
    assert len(texts) > 300 and said.search("pip install 'workbench[lab]'") and not said.search('"workbench lab"')
    assert not [path for path, text in texts.items() if path != Path(__file__) and said.search(text)]
