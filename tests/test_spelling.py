"""Prose that people read is spelt as a dictionary of common mistakes wants it, and in British English throughout."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import workbench as wb

ROOT = Path(__file__).resolve().parents[1]
# Names of the field and of people, which a dictionary of mistakes takes for something else.
NAMES = ("fo", "saem", "donn", "numer", "poped", "stram", "ther", "tht")
AMERICAN = re.compile(
    r"""\b(
    (?:dis|un)?colou?r(?<!our)\w* | behavior\w* | favor\w* | neighbor\w* | labor\w* | tumor\w* | flavor\w* | honor\w*
    | (?:re|de)?cent(?:er)(?:s|ed|ing)? | liters? | (?:kilo|milli|centi)?meters? | fibers? | gray(?:s|ed|ish)?
    | model(?:ed|ing|er|ers) | label(?:ed|ing) | cancel(?:ed|ing) | travel(?:ed|ing) | signal(?:ed|ing)
    | analyz\w+ | catalog | dialog\b(?!\sbox) | defense | offense | license[sd]?(?=\sis|\sare) | esophag\w+ | hematocrit
    | \w{3,}iz(?:e|es|ed|ing|er|ers|ation|ations)
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
# No American spellings: ends of other words, and the name of a part of every compiler.
NOT_AMERICAN = re.compile(r"siz(?:e|es|ed|ing)$|^(?:prize|maize|seize|citizen|tokenizer)s?$", re.IGNORECASE)


def prose() -> dict[str, str]:
    """What is read, by where it stands; code is left out."""
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
        *(ROOT / "data").glob("*.md"),
        *(ROOT / "workbench").glob("*.md"),
        *(ROOT / "notebooks" / "site" / "pages").glob("*.md"),
    ]
    found = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in pages}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path.name] = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    named = {name: getattr(wb, name) for name in wb._PUBLIC}
    named |= {f"exercises.{name}": getattr(wb.exercises, name) for name in wb.exercises.__all__}
    for name, value in named.items():
        found[f"wb.{name}"] = inspect.getdoc(value) or ""
        for part, method in vars(value).items() if inspect.isclass(value) else ():
            if not part.startswith("_") and (callable(method) or isinstance(method, property)):
                found[f"wb.{name}.{part}"] = inspect.getdoc(method) or ""
    return {place: without_code(text) for place, text in found.items()}


def without_code(text: str) -> str:
    """Blocks and spans of code, addresses and lines of a session fall away."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"(`+).+?\1", "", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|<?https?://\S+|\$\$?[^$]+\$\$?", "", text)
    return re.sub(r"^\s*(?:>>>|\.\.\.).*$", "", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def texts():
    found = prose()
    assert len(found) > 200 and sum(map(len, found.values())) > 150_000
    return found


def misspelt(folder: Path) -> str:
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", ",".join(NAMES), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_nothing_is_misspelt(texts, tmp_path):
    if find_spec("codespell_lib") is None:
        pytest.skip('codespell is not installed: pip install -e ".[tools]"')
    for place, text in texts.items():
        (tmp_path / re.sub(r"\W", "_", place)).write_text(text, encoding="utf-8")
    assert not misspelt(tmp_path)
    (tmp_path / "wrong").write_text("The paramter is seperate.", encoding="utf-8")
    assert misspelt(tmp_path).count("==>") == 2


def test_it_is_british_throughout(texts):
    found = {place: [word[0] for word in AMERICAN.finditer(text)] for place, text in texts.items()}
    assert not {
        place: words for place, all_ in found.items() if (words := [w for w in all_ if not NOT_AMERICAN.search(w)])
    }


@pytest.mark.parametrize(
    "text, american",
    [
        ("a colour, centred, and modelled", False),
        ("the color", True),
        ("modeling of tumors", True),
        ("optimised", False),
        ("optimized", True),
        ("a sized box, resized", False),
    ],
)
def test_what_counts_as_american(text, american):
    words = [word[0] for word in AMERICAN.finditer(text) if not NOT_AMERICAN.search(word[0])]
    assert bool(words) is american
