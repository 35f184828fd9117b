"""The browser tests again and again while every core has something else to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.reference.results import table

ROUNDS = 20
ROOT = Path(__file__).resolve().parents[2]


def run(share: float) -> tuple[str, bool]:
    """Each round, and whether none failed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "browser",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "tests/browser",
    ]
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    rows, held = [], True
    try:
        for number in range(1, max(1, round(ROUNDS * share)) + 1):
            begun = time.perf_counter()
            environment = {**os.environ, "WORKBENCH_STRICT": "1"}
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
            said = done.stdout.strip().splitlines()
            failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
            held &= done.returncode == 0
            row = [str(number), f"{time.perf_counter() - begun:.0f}", re.sub(r" in .*", "", said[-1]) if said else ""]
            rows.append([*row, ", ".join(failed)])
            if done.returncode:
                print(done.stdout[-8000:], file=sys.stderr)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return table(["round", "seconds", "", "failed"], rows), held
