"""Faults that the diagnosis has to name: `python -m tests.faults` runs all and writes the table beside this file.

`--share 0.1` runs a tenth of it, with the same seeds, and writes nothing. The exit status is 1 where
something did not hold.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import time
from pathlib import Path

from tests.faults.kinds import KINDS
from tests.faults.suite import run


def main() -> int:
    """Run the suite."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how much of it, 0 to 1")
    parser.add_argument("--first", type=int, default=0, help="number of the first study of each kind: other data")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="some of the kinds")
    stated = parser.parse_args()
    begun = time.process_time()
    report, well = run(stated.share, stated.first, tuple(stated.kinds))
    seconds, version = time.process_time() - begun, platform.python_version()
    text = (
        "# Faults\n\nTwelve kinds of faults in studies of published models, and what the card under a fit says of them."
        f"\n\n`python -m tests.faults`, {datetime.date.today().isoformat()}: {seconds:.0f} s of processor time on "
        f"{os.cpu_count()} cores, Python {version}. {'All held.' if well else 'Not all held.'}\n\n{report}"
    )
    print(text, flush=True)
    if stated.share == 1.0 and stated.first == 0 and len(stated.kinds) == len(KINDS):
        Path(__file__).with_name("faults.md").write_text(text, encoding="utf-8")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
