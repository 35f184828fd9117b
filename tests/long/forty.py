"""Forty kernels on this machine, each with a Workbench of its own, in which Fit is pressed: time and memory.

What `workbench app` and a JupyterHub do for each person is done here: a kernel of its own makes the panels, with runs
kept in memory. Every person has other data, so that what one sees of another would show. A kernel is asked over its
sockets on this machine alone; every wait has an end, and all kernels are stopped at the end.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.reference.results import table

SESSIONS = 40
ROUNDS = 3  # fits in each
APART = 10.0  # seconds between the presses of one person
LONGEST = 400.0  # seconds that a kernel may take for an answer
OPEN = """
import json, os, time
os.environ["WORKBENCH_RUNS"] = "memory"
import workbench as wb
data = wb.load_example("theophylline")
mine = wb.read_data(data.frame.assign(DV=lambda frame: frame["DV"] * {factor}), roles=data.roles, name="{name}")
bench = wb.Workbench(mine)
bench.view
"""
PRESS = """
begun = time.perf_counter()
bench.run()
done = bench.wait(120)
print(json.dumps([done, time.perf_counter() - begun, bench.fit.seconds, bench.fit.converged]))
"""
SEEN = """
import psutil
print(json.dumps({
    "names": sorted({run.fit.data.name for run in bench.runs}), "runs": len(bench.runs),
    "V": bench.fit.estimate("V").value, "memory": psutil.Process().memory_full_info().uss // 2**20,
}))
"""


def run(share: float) -> tuple[str, bool]:
    """Seconds of a fit from the press to its result, memory of a kernel, and whether anybody saw what is another's."""
    sessions = max(2, round(SESSIONS * share))
    begun = time.perf_counter()
    with ThreadPoolExecutor(sessions) as pool:
        people = [Person(k) for k in range(sessions)]
        try:
            list(pool.map(Person.open, people))
            opened = time.perf_counter() - begun
            for _ in range(ROUNDS):
                list(pool.map(lambda one: one.press(APART * one.number / sessions), people))
            list(pool.map(Person.look, people))
        finally:
            list(pool.map(Person.close, people))
    fits = sorted(one[1] for person in people for one in person.fits if one[0] and one[3])
    lost = sum(len([one for one in person.fits if one[0] and one[3]]) < ROUNDS for person in people)
    mixed = sum(person.seen["names"] != [person.name] or person.seen["runs"] != ROUNDS for person in people)
    volumes = [person.seen["V"] * person.factor for person in people]  # the same for all, if their data are
    mixed += sum(abs(volume / volumes[0] - 1) > 0.01 for volume in volumes)
    memory = sorted(person.seen["memory"] for person in people)
    middle = statistics.median(fits) if fits else float("inf")
    rows = [
        ["kernels", str(sessions)],
        ["seconds until all had their panels", f"{opened:.0f}"],
        ["fits that converged", str(len(fits))],
        ["seconds from the press to the result, median", f"{middle:.2f}"],
        [
            "the same, 90th percentile and longest",
            f"{fits[int(0.9 * len(fits))]:.2f}, {fits[-1]:.2f}" if fits else "-",
        ],
        ["people who lost a fit", str(lost)],
        ["people who saw data or runs of another", str(mixed)],
        ["memory that a kernel has to itself, median and largest", f"{memory[len(memory) // 2]} and {memory[-1]} MB"],
    ]
    return table(["what", "found"], rows), lost == 0 and mixed == 0 and (
        middle <= 1.0 or share < 1
    )  # a busy machine is no fault


class Person:
    """One kernel, and what is done in it."""

    def __init__(self, number: int):
        from jupyter_client.manager import KernelManager

        self.number, self.name, self.factor = number, f"person-{number}", 1 + number / 20
        self.fits: list[Any] = []
        self.seen: dict[str, Any] = {}
        self.manager = KernelManager(kernel_name="python3")

    def open(self) -> None:
        """Start the kernel and make the panels."""
        self.manager.start_kernel(env={**os.environ, "WORKBENCH_RUNS": "memory"})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LONGEST)
        self._asked(OPEN.format(name=self.name, factor=self.factor))

    def press(self, later: float) -> None:
        """Press Fit after some seconds."""
        time.sleep(later)
        self.fits.append(json.loads(self._asked(PRESS)))

    def look(self) -> None:
        """What this person can see."""
        self.seen = json.loads(self._asked(SEEN))

    def close(self) -> None:
        """Leave."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def _asked(self, code: str) -> str:
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                said.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, timeout=LONGEST, output_hook=hear)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"].get("traceback", ["the kernel failed"])))
        return "".join(said)
