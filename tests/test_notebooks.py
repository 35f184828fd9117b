"""Every notebook runs from top to bottom, in the working folder that `workbench lab` makes; so does the README."""

from __future__ import annotations

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

import workbench as wb
from workbench.cli import copy_examples
from workbench.methods import METHODS

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)

SLOW = ("covariate-screening", "estimation")


def test_there_is_a_quickstart():
    assert "quickstart.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else []) for path in NOTEBOOKS],
)
def test_notebook_runs(path, tmp_path):
    copy_examples(tmp_path)
    notebook = nbformat.read(tmp_path / path.relative_to(FOLDER), as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert not [cell.source for cell in cells if cell.outputs or cell.execution_count]


def test_readme_example_prints_what_the_readme_shows(capsys):
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```\s*```text\n(.*?)```", text, re.DOTALL)
    exec(example[1], {})
    printed, shown = (re.sub(r"\(.*? evaluations, .*?\)", "", one) for one in (capsys.readouterr().out, example[2]))
    number = r"\d+\.\d+"
    assert re.sub(number, "", printed).split() == re.sub(number, "", shown).split()
    found, expected = ([float(value) for value in re.findall(number, one)] for one in (printed, shown))
    assert len(expected) > 30
    assert found == pytest.approx(expected, rel=0.05)


def test_readme_example_of_covariates_runs():
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "stepwise" in block)
    names = {"wb": wb}
    exec(example, names)
    assert [str(effect) for effect in names["search"].effects] == ["WT on V (power)", "WT on CL (power)"]


def test_readme_lists_every_method_and_notebook():
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert not [method for method in METHODS if f'`"{method}"`' not in text]
    assert not [path.name for path in NOTEBOOKS if f"`{path.name}`" not in text]
