"""The page on the architecture names files that are there, and every floor."""

import re
from pathlib import Path

import workbench

from .test_layers import ORDER, ROOMS

PACKAGE = Path(workbench.__file__).parent
PAGE = (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_every_file_that_the_page_names_is_there():
    named = set(re.findall(r"`([\w/]+(?:/|\.(?:py|pyi|css)))`", PAGE))
    assert len(named) > 40
    places = [PACKAGE.parent, PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())]
    assert not [name for name in sorted(named) if not any((place / name).exists() for place in places)]


def test_every_floor_and_room_is_on_the_page():
    for name in (*ORDER, *(room for rooms in ROOMS.values() for room in rooms)):
        assert re.search(rf"`(\w+/)*{name}(/|\.py)`", PAGE), name


def test_its_picture_is_there():
    (picture,) = re.findall(r"!\[[^\]]*\]\(\.\./([^)]+)\)", PAGE)
    assert (PACKAGE.parent / picture).is_file()
