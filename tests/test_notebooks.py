"""Every notebook runs from top to bottom, in the working folder that `workbench lab` makes; so does the README.

What each cell answers stands in `tests/notebooks`, in words and numbers. `python -m tests.test_notebooks NAME …`
writes it anew; read what changed before it is committed.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import workbench as wb
from workbench.cli import copy_examples
from workbench.methods import METHODS

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
ANSWERS = Path(__file__).parent / "notebooks"
NOTEBOOKS = sorted(path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)

NUMBER = re.compile(r"(?<![\w.])[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
# Seconds, and how many evaluations they took, are not what a notebook teaches; neither is where an object lies. Where a
# search from afar is left, and how many iterations it takes, hangs on last bits, and so on the processor.
VARYING = (
    (re.compile(r"[\d.e+]+ +left there +\d+"), "… left there …"),
    (re.compile(r"\bconverged {2,}\d+"), "converged …"),
    (re.compile(r"[\d.,]+ evaluations\b"), "… evaluations"),
    (re.compile(r"(?:[\d.,]+|…) (?:ms|s|min)\b"), "… s"),
    (re.compile(r"0x[0-9a-f]+"), "0x…"),
)
ROUNDING = 0.01
NOTHING = 1e-6


def run(path: Path, folder: Path) -> dict[str, str]:
    """What each code cell answers, by its name: text as it is, of what is no text the kind."""
    copy_examples(folder)
    notebook = nbformat.read(folder / path.relative_to(FOLDER), as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=120, iopub_timeout=60, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return {cell.id: "\n".join(map(_said, cell.outputs)).strip() for cell in notebook.cells if cell.cell_type == "code"}


def _said(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text).rstrip()
    data = output.get("data", {})
    shown = [kind for kind in ("image/png", "application/vnd.jupyter.widget-view+json") if kind in data]
    text = "" if shown else str(data.get("text/plain", "")).rstrip()
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    return "\n".join([*(f"[{kind}]" for kind in shown), text]).strip()


def differences(found: str, expected: str) -> list[str]:
    """Words that are not the same, and numbers that differ by more than rounding and 1 %."""
    for pattern, instead in VARYING:
        found, expected = (pattern.sub(instead, one) for one in (found, expected))
    ours, theirs = (re.sub(r"[─-]{3,}|\s+", " ", NUMBER.sub("#", one)).split() for one in (found, expected))
    if ours != theirs:
        return [f"words: {' '.join(ours)} | expected {' '.join(theirs)}"]
    pairs = zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True)
    return [f"{one} | expected {other}" for one, other in pairs if not _close(one, other)]


def _close(found: str, expected: str) -> bool:
    one, other = (float(number.replace(",", "").replace("−", "-")) for number in (found, expected))
    decimals = len(expected.partition("e")[0].partition(".")[2])
    last = 1.001 * 10.0 ** (int(expected.partition("e")[2] or 0) - decimals) if decimals else 0.0
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=max(last, NOTHING))


def written(answers: dict[str, str]) -> str:
    return "".join(f"## {name}\n\n{text}\n\n" if text else f"## {name}\n\n" for name, text in answers.items())


def read(text: str) -> dict[str, str]:
    parts = re.split(r"^## (\S+)\n", text, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def test_there_is_a_quickstart():
    names = [path.stem for path in NOTEBOOKS]
    assert "quickstart" in names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_answers_what_it_did(path, tmp_path):
    if "read_nonmem" in path.read_text(encoding="utf-8"):
        pytest.importorskip("pharmpy")
    expected = read((ANSWERS / f"{path.stem}.md").read_text(encoding="utf-8"))
    found = run(path, tmp_path)
    assert list(found) == list(expected)
    assert not {name: wrong for name in found if (wrong := differences(found[name], expected[name]))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_most_cells_answer_with_numbers(path):
    answers = read((ANSWERS / f"{path.stem}.md").read_text(encoding="utf-8"))
    assert sum(len(NUMBER.findall(text)) for text in answers.values()) > 2 * len(answers)


@pytest.mark.parametrize(
    "found, expected, same",
    [
        ("ka 1.588 0.3137", "ka  1.592   0.313", True),
        ("ka 1.588", "ka 1.62", False),
        ("ka 1.588", "kb 1.588", False),
        ("p 0.03", "p 0.04", True),
        ("p 0.03", "p 0.05", False),
        ("12 subjects", "13 subjects", False),
        ("-1.5", "1.5", False),
        ("1.2e-9 in 3 ms", "-3e-10 in 40 ms", True),
        ("33 evaluations, 950 ms", "… evaluations, … s", True),
        ("1,000", "1000", True),
    ],
)
def test_what_counts_as_the_same(found, expected, same):
    assert bool(differences(found, expected)) is not same


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert not [cell.source for cell in cells if cell.outputs or cell.execution_count]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_between_notebooks_and_files_lead_somewhere(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    named = {name for cell in cells for name in re.findall(r"`([\w-]+\.ipynb)`", cell)}
    linked = {name for cell in cells for name in re.findall(r"\]\(([^)#:]+)\)", cell)}
    assert not [name for name in named | linked if not (FOLDER / name).exists()]


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


@pytest.mark.parametrize("after", ["Is it good enough", "Which dose", "Kept"])
def test_readme_examples_after_a_fit_run(after, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    example = re.search(rf"### {after}\n\n```python\n(.*?)```", text, re.DOTALL)
    names = {"wb": wb}
    exec(example[1], names)
    assert names["fit"].converged


def test_readme_lists_every_method_and_notebook():
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert not [method for method in METHODS if f'`"{method}"`' not in text]
    assert not [path.name for path in NOTEBOOKS if f"`{path.name}`" not in text]


if __name__ == "__main__":
    for chosen in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as place:
            answers = run(FOLDER / f"{chosen}.ipynb", Path(place))
        (ANSWERS / f"{chosen}.md").write_text(written(answers), encoding="utf-8")
