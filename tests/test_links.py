"""Links of what is read outside the site: to files, to headings, and to other places.

`python -m tests.test_links` asks whether the other places answer; the tests need no network.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
# Every other place that a page or notebook leads to; few, since they go away.
OUTSIDE = {
    "https://keepachangelog.com/en/1.1.0/",
    "https://semver.org/",
}
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def pages() -> dict[Path, str]:
    """Every page and notebook, code left out."""
    folders = [ROOT / name for name in (".github", "data", "workbench", "notebooks", "tests")]
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))]
    texts = {path: path.read_text(encoding="utf-8") for path in found if path.parent.name != "notebooks"}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path] = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return {path: re.sub(r"```.*?```|`[^`\n]+`(?!\])", "", text, flags=re.DOTALL) for path, text in texts.items()}


def links() -> list[tuple[Path, str]]:
    """Every link, by the page that has it."""
    return [(path, link) for path, text in pages().items() for link in LINK.findall(text)]


def anchors(path: Path) -> set[str]:
    """What headings of a page are called in links, as the usual hosts make them."""
    found: dict[str, int] = {}
    names = set()
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#{1,6} (.+?)\s*#*$", text, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def wrong(path: Path, link: str) -> bool:
    """Whether a link within the project leads nowhere. Pages of the site are looked at where it is built."""
    place, _, anchor = unquote(link).partition("#")
    target = (path.parent / place).resolve() if place else path
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


def test_links_within_the_project_lead_somewhere():
    site = ROOT / "notebooks" / "site"
    inside = [(path, link) for path, link in links() if not re.match(r"[a-z]+:", link) and site not in path.parents]
    assert len(inside) > 15 and any(link.startswith("#") for _, link in inside)
    assert not [f"{path.relative_to(ROOT)}: {link}" for path, link in inside if wrong(path, link)]


def test_a_link_that_leads_nowhere_is_found():
    readme = ROOT / "README.md"
    assert wrong(readme, "#no-such-heading") and wrong(readme, "NOTHING.md") and not wrong(readme, "#how-to-cite")
    assert wrong(readme, "workbench/README.md#nothing") and not wrong(readme, "workbench/README.md#the-floors")


def test_other_places_are_listed_and_well_formed():
    assert {link for _, link in links() if re.match(r"[a-z]+:", link)} == OUTSIDE
    for link in OUTSIDE:
        parts = urlsplit(link)
        assert parts.scheme == "https" and re.fullmatch(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", parts.netloc) and parts.path


if __name__ == "__main__":
    silent = False
    for link in sorted(OUTSIDE):
        try:
            with urllib.request.urlopen(link, timeout=30) as answer:
                print(answer.status, link)
        except (urllib.error.URLError, TimeoutError) as error:
            print(f"{error}: {link}")
            silent = True
    sys.exit(silent)
