"""What half an hour of clicking leaves behind in the kernel and in the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.reference.results import table

MINUTES = 30
ROOT = Path(__file__).resolve().parents[2]


def run(share: float) -> tuple[str, bool]:
    """What there is in the course of it, and whether it grew by less than it may."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n0",
            "-s",
            "-p",
            "no:cacheprovider",
            "tests/browser/memory.py",
        ]
        environment = {**os.environ, "WORKBENCH_MEASURED": str(path), "WORKBENCH_MINUTES": str(MINUTES * share)}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows = [[str(value) for value in row.values()] for row in found]
    head = ["minutes", "acts", "kernel, MB", "page, MB of heap", "nodes", "listeners", "runs"]
    return table(head, rows), done.returncode == 0
