"""How long a person waits in a browser, beside what was asked; other work on the machine stretches all of it."""

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
    """A row for each thing that is waited for, and whether everything came, in the time that was asked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "tests/browser/latency.py"]
        environment = {
            **os.environ, "WORKBENCH_MEASURED": str(path), "WORKBENCH_TIMES": str(max(2, round(TIMES * share))),
        }  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows, missed = [], []
    for line in map(json.loads, lines):
        times = sorted(line["times"])
        ninth = times[min(len(times) - 1, round(0.9 * len(times)))]
        median, asked = statistics.median(times), line["asked"]
        rows.append(
            [line["what"], "–" if asked is None else f"≤ {asked}", f"{median:.0f}", f"{ninth:.0f}", str(len(times))]
        )
        if asked is not None and median > asked:
            missed.append(f"{line['what']} ({median:.0f} ms, asked {asked})")
    report = table(["from → until it is drawn", "asked, ms", "median, ms", "90 %, ms", "times"], rows)
    came = done.returncode == 0
    said = [] if came else ["Not everything came: see what pytest said above."]
    said += [f"Missed: {'; '.join(missed)}."] if missed else []
    return "\n\n".join([report.rstrip(), *said]) + "\n", came and not missed
