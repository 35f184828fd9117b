"""How long a person waits in a browser: medians, without a verdict, since other work on the machine stretches them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.reference.results import table

TIMES = 50
ROOT = Path(__file__).resolve().parents[2]


def run(share: float) -> tuple[str, bool]:
    """A row for each thing that is waited for, and whether everything came."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "tests/browser/latency.py"]
        environment = {
            **os.environ, "WORKBENCH_MEASURED": str(path), "WORKBENCH_TIMES": str(max(2, round(TIMES * share))),
        }  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = []
    for line in map(json.loads, lines):
        times = sorted(line["times"])
        ninth = times[min(len(times) - 1, round(0.9 * len(times)))]
        rows.append([line["what"], str(len(times)), f"{statistics.median(times):.0f}", f"{ninth:.0f}"])
    return table(["from → until it is drawn", "times", "median, ms", "90 %, ms"], rows), done.returncode == 0
