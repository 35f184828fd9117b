"""The long suites: `python -m tests.long NAME` runs one whole and writes its table beside this file.

`--share 0.1` runs a tenth of it, with the same seeds, and writes nothing; so does `.ci/run`, with every suite. The exit
status is 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = {
    "coverage": "bias, convergence and coverage of fits to simulated data",
    "truth": "objectives and fits of small designs beside a brute-force reference",
    "power": "power and false inclusion of stepwise searches",
    "kills": "processes that are killed while they compile leave nothing that breaks the next one",
    "npde": "npde of data from the model itself, with and without censoring",
    "keeping": "processes that are killed while they fit and keep their runs lose none that had finished",
    "actions": "a Workbench whose widgets are used at random",
    "forty": "forty pages of `workbench app` on one machine, in each of which a file is handed over and Fit is pressed",
    "latency": "how long a person waits in a browser: medians from an event until what follows from it is drawn",
    "memory": "half an hour of clicking leaves little behind in the kernel and in the page",
    "browser": "all browser tests, round after round, with every core busy",
}


def main() -> int:
    """Run a suite, or all."""
    listed = "\n".join(f"  {name:10s} {what}" for name, what in SUITES.items())
    parser = argparse.ArgumentParser(
        "python -m tests.long", description=__doc__, epilog=listed, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("suite", choices=[*SUITES, "all"])
    parser.add_argument("--share", type=float, default=1.0, help="how much of it, 0 to 1")
    stated = parser.parse_args()
    held = True
    for name in SUITES if stated.suite == "all" else [stated.suite]:
        begun = time.perf_counter()
        report, well = importlib.import_module(f"tests.long.{name}").run(stated.share)
        seconds = time.perf_counter() - begun
        held &= well
        verdict = "All held." if well else "Not all held."
        text = (
            f"# {name[0].upper() + name[1:]}\n\n{SUITES[name][0].upper() + SUITES[name][1:]}.\n\n"
            f"`python -m tests.long {name}`, {datetime.date.today().isoformat()}: {seconds:.0f} s on "
            f"{os.cpu_count()} cores, Python {platform.python_version()}. {verdict}\n\n"
            f"{report}"
        )
        print(text, flush=True)
        if stated.share == 1.0:
            (HERE / f"{name}.md").write_text(text, encoding="utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
