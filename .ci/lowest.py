"""Print the lowest versions that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"]:
    stated = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement)
    assert stated, f"{requirement}: a name and its lowest version, as in numpy>=2.0"
    print(f"{stated[1]}=={stated[2]}")
