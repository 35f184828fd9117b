"""A process is killed while it compiles and fits; the next one, with the same folder of compiled code, must be well."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from tests.reference.results import table

KILLS = 60
BATCH = 5  # kills before a process is let through
WORK = """
import workbench as wb
data = wb.load_example("theophylline")
text = "d/dt gut = -ka*gut; d/dt cen = ka*gut - CL/V*cen"
model = wb.Model(wb.ode(text, response="cen/V"), [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 0.04, iiv=0.3),
                 wb.Parameter("V", 0.46, iiv=0.15)], wb.Constant(0.7))
print("working", flush=True)
print(f"{wb.objective(model, data):.6f}")
own = wb.Model(wb.equation("dose/V*ka/(ka - CL/V)*(exp(-CL/V*t) - exp(-ka*t))"), model.parameters, model.error)
print(f"{wb.objective(own, data):.6f}")
"""


def run(share: float) -> tuple[str, bool]:
    """After how many kills which numbers came out, and whether they were always those of an undisturbed process."""
    rng = random.Random(1)
    for _ in range(2):  # the first may have to compile the engine, which the others share
        with _folder() as folder:
            expected, seconds = _let_through(folder)
    rows = [["0", f"{seconds:.1f}", expected, "yes"]]
    held = True
    batches = max(1, round(KILLS * share / BATCH))
    for batch in range(batches):
        with _folder() as folder:  # compiled from nothing again, so that kills fall into it
            for _ in range(BATCH):
                process = _start(folder)
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(rng.uniform(0, 0.9 * seconds))
                process.send_signal(signal.SIGKILL)
                process.wait()
                process.stdout.close()
            found, took = _let_through(folder)
        held &= found == expected
        rows.append([str((batch + 1) * BATCH), f"{took:.1f}", found, "yes" if found == expected else "**no**"])
    return table(["kills so far", "seconds of the next process", "its numbers", "as undisturbed"], rows), held


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kills-")


def _start(folder: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "WORKBENCH_CACHE": folder}
    return subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, text=True, env=environment)


def _let_through(folder: str) -> tuple[str, float]:
    """What a process prints that nobody kills, and how long it works."""
    process = _start(folder)
    assert process.stdout is not None
    process.stdout.readline()
    begun = time.perf_counter()
    printed = process.communicate()[0].split()
    return (" ".join(printed) if process.returncode == 0 else "it failed"), time.perf_counter() - begun
