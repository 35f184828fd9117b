"""A process fits and keeps its runs, and is killed while it does: what it had finished must be there."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import workbench as wb

_WORK = """
import sys
import workbench as wb
data = wb.load_example("theophylline")
model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())
runs = wb.Runs.open(sys.argv[1])
while True:
    fit = wb.fit(model, data)
    runs = runs.add(fit)
    print(runs[-1].number, repr(fit.ofv), flush=True)
"""


def killed_while_keeping(path: Path, kills: int, seed: int) -> tuple[int, list[str]]:
    """Kill so many processes, one after the other, at random moments of fitting and keeping.

    Returns
    -------
    (int, list of str)
        How many runs are in the file, and what is wrong with it.
    """
    rng = random.Random(seed)
    finished: dict[int, float] = {}
    wrong: list[str] = []
    for kill in range(kills):
        process = subprocess.Popen([sys.executable, "-c", _WORK, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        printed = [process.stdout.readline()]  # it works: kills fall into fitting and writing, not into imports
        time.sleep(rng.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        printed += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        for line in printed:
            number, _, ofv = line.partition(" ")
            if line.endswith("\n"):
                finished[int(number)] = float(ofv)
        wrong += [f"kill {kill + 1}: {fault}" for fault in _faults(path, finished)]
    return len(finished), wrong


def _faults(path: Path, finished: dict[int, float]) -> list[str]:
    connection = sqlite3.connect(path)
    said = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    faults = [] if said == "ok" else [said]
    try:
        runs = wb.Runs.open(path)
    except wb.FileError as error:
        return [*faults, str(error)]
    lost = [number for number, ofv in finished.items() if runs.get(number) is None or runs[number].facts.ofv != ofv]
    faults += [f"lost runs {lost}"] if lost else []
    if len(runs) and runs[-1].fit.ofv != runs[-1].facts.ofv:
        faults.append("the last fit is not the one that was kept")
    return faults
