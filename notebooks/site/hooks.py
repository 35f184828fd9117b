"""What MkDocs makes pages of besides those in `pages`: every notebook, tables that tests keep, and every public name.

Mathematics becomes MathML while the site is built: a browser shows it without a script or a font from elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
TAKEN = {  # pages that lie elsewhere, because tests or other readers need them there
    "architecture.md": ROOT / "workbench" / "README.md",
    "changes.md": ROOT / "CHANGELOG.md",
    "verified/results.md": ROOT / "tests" / "reference" / "RESULTS.md",
    "verified/field.md": ROOT / "tests" / "data" / "FIELD.md",
    "verified/screening.md": ROOT / "tests" / "benchmarks" / "SCREENING.md",
    **{f"verified/{path.stem}.md": path for path in sorted((ROOT / "tests" / "long").glob("*.md"))},
}


def notebooks() -> list[Path]:
    """Every notebook that comes with workbench."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def page_of(path: Path) -> str:
    """A notebook as Markdown: text, code, and the pictures that its text shows."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return within("\n\n".join(parts))


def within(text: str) -> str:
    """Links to notebooks become links to their pages; links to files that are not on the site keep their text only."""
    text = re.sub(r"\]\((?:\./)?([\w-]+)\.ipynb(#[\w-]+)?\)", r"](\1.md\2)", text)
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?://|#|[\w-]+\.md)[^)]*\)", r"\1", text)


def title_of(path: Path) -> str:
    """The first heading of a notebook."""
    found = re.search(r"^# (.+)$", page_of(path), re.MULTILINE)
    return found[1] if found else path.stem


def public_names() -> dict[str, list[str]]:
    """Public names by the room that they come from, as `__init__.pyi` lists them; rooms of their own with theirs."""
    text = (ROOT / "workbench" / "__init__.pyi").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for room, name in re.findall(r"^from (workbench[\w.]*) import \(\n    (\w+) as \w+,\n\)", text, re.MULTILINE):
        found.setdefault(room, []).append(name)
    for name in found.pop("workbench", []):
        inside = (ROOT / "workbench" / name / "__init__.py").read_text(encoding="utf-8")
        listed = re.search(r"__all__ = \[(.*?)\]", inside, re.DOTALL)
        found[f"workbench.{name}"] = re.findall(r'"(\w+)"', listed[1] if listed else "")
    return found


def api_pages() -> dict[str, str]:
    """A page for each room: its public names with what their docstrings say."""
    pages = {}
    for room, names in public_names().items():
        short = "wb" if room.count(".") == 1 and room != "workbench.exercises" else "wb.exercises"
        items = [f"::: {room}.{name}" for name in names]
        head = f"# {room.removeprefix('workbench.')}\n\nPublic names, as `{short}.…`: "
        listed = ", ".join(f"`{short}.{name}`" for name in names)
        pages[f"api/{room.removeprefix('workbench.')}.md"] = f"{head}{listed}.\n\n" + "\n\n".join(items) + "\n"
    return pages


def on_config(config):
    """The navigation, with what is found: nothing is listed by name that a folder lists."""
    for item in config.nav:
        (title,) = item
        if title == "Notebooks":
            item[title] = [*item[title], *({title_of(p): f"{p.stem}.md"} for p in notebooks())]
        elif title == "How it was verified":
            item[title] = [*item[title], *(page for page in TAKEN if page.startswith("verified/"))]
        elif title == "API":
            item[title] = [{"All names": item[title]}, *api_pages()]
        elif title == "Versions and releases":
            item[title] = [item[title], {"Changes": "changes.md"}]
    return config


def on_files(files, config):
    """Pages that are made rather than written."""
    made = {page: within(path.read_text(encoding="utf-8")) for page, path in TAKEN.items()}
    made |= {f"{path.stem}.md": page_of(path) for path in notebooks()}
    made |= api_pages()
    for page, text in made.items():
        files.append(File.generated(config, page, content=re.sub(r"\]\(\.\./notebooks/images/", "](images/", text)))
    for picture in sorted((NOTEBOOKS / "images").iterdir()):
        files.append(File.generated(config, f"images/{picture.name}", abs_src_path=str(picture)))
    return files


def records() -> str:
    """What is read and written of a control stream: the table in the docstring of `workbench.exchange`, as Markdown."""
    text = (ROOT / "workbench" / "exchange" / "__init__.py").read_text(encoding="utf-8")
    rules = list(re.finditer(r"^=+  =+  =+$", text, re.MULTILINE))
    starts = [found.start() for found in re.finditer(r"=+", rules[0].group())]
    rows: list[list[str]] = []
    for line in text[rules[0].end() : rules[2].start()].strip("\n").splitlines():
        if line.startswith("="):
            continue
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0]:
            rows.append(cells)
        else:  # goes on
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    return "\n".join(["| " + " | ".join(row) + " |" for row in [rows[0], ["---"] * 3, *rows[1:]]])


def on_page_markdown(markdown, page, config, files):
    """Tables of what is found, where a page asks for one."""
    if "{notebooks}" in markdown:
        listed = "\n".join(f"- [{title_of(path)}]({path.stem}.md)" for path in notebooks())
        markdown = markdown.replace("{notebooks}", listed)
    if "{records}" in markdown:
        markdown = markdown.replace("{records}", records())
    if "{names}" in markdown:
        rows = [
            f"| [`{'wb.exercises' if room == 'workbench.exercises' else 'wb'}.{name}`]"
            f"(api/{room.removeprefix('workbench.')}.md#{room}.{name}) | {room.removeprefix('workbench.')} |"
            for room, names in public_names().items()
            for name in names
        ]
        markdown = markdown.replace("{names}", "\n".join(["| name | room |", "|---|---|", *sorted(rows)]))
    return markdown


def on_page_content(content, page, config, files):
    """Mathematics as MathML."""

    def inline(found):
        return convert(html.unescape(found[1]))

    def block(found):
        return convert(html.unescape(found[1]), display="block")

    content = re.sub(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', block, content, flags=re.DOTALL)
    return re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', inline, content, flags=re.DOTALL)
