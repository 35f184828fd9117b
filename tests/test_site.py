"""The documentation: it builds without a warning, finds every public name, needs no network, and its code runs."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

import workbench as wb
from workbench.methods import METHODS
from workbench.results.fit import Status

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "notebooks" / "site"


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (SITE / "pages" / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    for needed in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f'{needed} is not installed: pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(SITE / "mkdocs.yml"),
        "-d",
        str(folder),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_its_search_finds_every_public_name(built):
    index = json.loads((built / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = {entry["location"].rpartition("#")[2] for entry in index["docs"] if entry["location"].startswith("api/")}
    rooms = {name: home for name, home in wb._PUBLIC.items() if name != "exercises"}
    assert len(rooms) > 60
    assert not [f"{home}.{name}" for name, home in rooms.items() if f"{home}.{name}" not in titles]
    assert not [name for name in wb.exercises.__all__ if f"workbench.exercises.{name}" not in titles]


def test_every_notebook_is_a_page(built):
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert len(notebooks) > 5
    index = (built / "notebooks.html").read_text(encoding="utf-8")
    for path in notebooks:
        page = (built / f"{path.stem}.html").read_text(encoding="utf-8")
        assert "import workbench" in re.sub(r"<[^>]+>", "", page) and f'href="{path.stem}.html"' in index


def test_nothing_comes_from_elsewhere(built):
    """No page loads a script, a style, a font or a picture from another place; links to follow are no loads."""
    loads = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")
    found = {}
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        elsewhere = loads.findall(text)
        if elsewhere:
            found[page.name] = elsewhere
    assert not found
    for style in built.rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_mathematics_is_made_while_it_is_built(built):
    page = (built / "methods.html").read_text(encoding="utf-8")
    assert page.count("<math") > 15 and "arithmatex" not in page and "\\frac" not in page
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"' in page


def test_links_lead_somewhere(built):
    ids = {}
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        ids[page.resolve()] = (set(re.findall(r'\bid="([^"]+)"', text)), re.findall(r'<a [^>]*?href="([^"]+)"', text))
    broken = []
    for page, (_, links) in ids.items():
        for link in links:
            if re.match(r"[a-z]+:", link) or page.name == "404.html":
                continue
            place, _, anchor = unquote(link).partition("#")
            target = (page.parent / place).resolve() if place else page
            if not target.exists() or (anchor and target in ids and anchor not in ids[target][0]):
                broken.append(f"{page.name}: {link}")
    assert len(ids) > 20 and not broken


@pytest.mark.parametrize(
    "name",
    [
        "ten-calls.md",
        "exercises.md",
        "index.md",
        "security.md",
        pytest.param("scale-out.md", marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore:Port")]),
    ],
)
def test_its_code_runs(name, tmp_path, monkeypatch):
    if name == "scale-out.md":
        for needed in ("distributed", "pyarrow"):
            pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(name):
        if "otter" in block:
            continue  # runs in otter
        exec(compile(block, name, "exec"), names)
    assert names["wb"] is wb


def test_papers_of_the_methods_are_those_of_the_code():
    """Volume and page are as the docstrings have them, and each paper is named in the text."""
    text = (SITE / "pages" / "methods.md").read_text(encoding="utf-8")
    body, _, listed = text.partition("## Papers")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workbench").rglob("*.py"))
    papers = re.findall(r"^- ([\w-]+) .+?((?:19|20)\d\d)[;.]?(?:\s+(\d+): (\w+))?", listed, re.MULTILINE | re.DOTALL)
    assert len(papers) > 20
    beside = {("8", "195"), ("", "")}  # FO's first paper; a book
    assert not [one for one in papers if one[2:] not in beside and not re.search(rf"\b{one[2]}:{one[3]}\b", code)]
    for name, year, *_ in papers:
        assert re.search(rf"{name}[^()]*?\(?{year}|{name}.{{0,80}}?{year}", body, re.DOTALL), (name, year)


def sentences(path):
    """What a module can say: strings of words, one piece where values are put in; no errors, no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    apart = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Raise) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            apart |= {id(inner) for inner in ast.walk(node) if inner is not node}
        elif isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            apart.add(id(node.body[0].value))
    for node in ast.walk(tree):
        if id(node) in apart:
            continue
        pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
        said = [p.value.strip() for p in pieces if isinstance(p, ast.Constant) and isinstance(p.value, str)]
        if any(len(piece) > 20 and " " in piece for piece in said):
            yield next((piece for piece in said if len(piece.split()) > 3), max(said, key=len))


def test_the_faq_knows_all_that_a_fit_can_say():
    faq = " ".join((SITE / "pages" / "faq.md").read_text(encoding="utf-8").split())
    engine = ROOT / "workbench" / "engine"
    modules = [*(engine / "ending").glob("*.py"), *(engine / "methods").glob("*.py"), engine / "objectives/integral.py"]
    said = {sentence for module in modules for sentence in sentences(module)}
    said |= {status.value for status in Status} | {method.converged for method in METHODS.values() if method.converged}
    assert len(said) > 50
    begun = (re.sub(r"^(none|The fit \w+): |^[,;] ", "", one).split()[:4] for one in said)
    unknown = [" ".join(words) for words in begun if " ".join(words).rstrip(".,:;") not in faq]
    assert not unknown, unknown


def test_what_the_faq_advises_can_be_done():
    """Each call of a model, of data or of `wb` that the page has as code."""
    text = (SITE / "pages" / "faq.md").read_text(encoding="utf-8")
    data, model = wb.load_example("theophylline"), wb.Model(wb.pk(absorption="first-order"), correlate="full")
    advised = re.findall(r"`((?:model|data|wb)\.\w+\([^`]*\))`", text)
    assert len(advised) > 10
    fit = wb.fit(model.with_correlate([]), data)
    for code in advised:
        quick = code.replace("200)", "3)").replace("strict=False", "").replace("…", "'theophylline'")
        name = quick.partition("(")[0].removeprefix("wb.")
        if name in ("linearised_screen", "stepwise", "read_data"):
            assert hasattr(wb, name)
            continue
        assert eval(quick, {"wb": wb, "model": model, "data": data, "fit": fit}) is not None, code


def test_the_ten_calls_are_ten_and_say_the_same_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = blocks("ten-calls.md")[0]
    assert [int(n) for n in re.findall(r"^# (\d+)\. ", code, re.MULTILINE)] == list(range(1, 11))
    first, second = {}, {}
    exec(code, first)
    exec(code, second)
    seconds = r'"seconds\w*": [^,}]+'
    assert first["answer"] == second["answer"] and first["said"] == second["said"].strip()
    assert re.sub(seconds, "", first["record"]) == re.sub(seconds, "", second["record"])
    assert first["fit"].converged and first["chance"].table["probability"].between(0, 1).all()


def test_the_exercises_are_all_on_their_page():
    text = (SITE / "pages" / "exercises.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == wb.exercises.catalogue().index.tolist()


def test_the_moving_picture_is_of_a_fit(monkeypatch):
    """What it shows at the end is what the fit says; without motion it is that end, and nothing in it can run."""
    spec = importlib.util.spec_from_file_location("moving", SITE / "moving.py")
    moving = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "moving", moving)
    spec.loader.exec_module(moving)
    fit, seen = moving.replayed()
    kept, fresh = moving.PICTURE.read_text(encoding="utf-8"), moving.drawn(fit, seen)
    assert fit.converged and len(seen) > 10 and fresh.count('class="w') == len(seen)
    first, last = ([part.partition("</g>")[0] for part in text.split('class="w')] for text in (kept, fresh))
    for k in (1, -1):
        numbers = [[float(n) for n in re.findall(r"-?\d+\.?\d*", part[k].partition(">")[2])] for part in (first, last)]
        assert len(numbers[0]) > 1000
        assert numbers[0][:-1] == pytest.approx(numbers[1][:-1], abs=0.2, rel=0.01)
    assert f"{fit.ofv:.2f}" in first[-1] and len(kept) < 1_000_000
    assert "prefers-reduced-motion" in kept and "<script" not in kept and 'aria-label="' in kept


def test_every_page_with_code_has_it_run():
    here = Path(__file__).read_text(encoding="utf-8")
    pages = [path.name for path in (SITE / "pages").glob("*.md") if blocks(path.name)]
    assert len(pages) > 3 and not [name for name in pages if f'"{name}"' not in here]


def test_every_command_that_the_pages_name_is_one(capsys):
    """Subcommands and options of `workbench`, as the command itself lists them."""
    from workbench import cli

    texts = [path.read_text(encoding="utf-8") for path in [*(SITE / "pages").glob("*.md"), ROOT / "README.md"]]
    named = {found for text in texts for found in re.findall(r"(?<![\w-])workbench ([a-z]+)((?: --[a-z-]+)*)", text)}
    commands = set()
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    known = set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE))
    for command, options in named:
        if command in known:
            with pytest.raises(SystemExit):
                cli.main([command, "--help"])
            listed = capsys.readouterr().out
            assert not [option for option in options.split() if option != "--" and option not in listed]
            commands.add(command)
    assert {"lab", "app", "fit", "doctor", "report", "convert"} <= commands
