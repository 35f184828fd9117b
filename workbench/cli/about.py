"""`workbench examples` and `workbench doctor`: what there is, and what is missing."""

from __future__ import annotations

import argparse
from typing import Any

from workbench import __version__
from workbench.cli.status import FAILED


def add(commands: Any) -> None:
    """What may be typed after `workbench examples` and `workbench doctor`."""
    examples = commands.add_parser("examples", help="list the example data sets", description=list_examples.__doc__)
    examples.set_defaults(run=list_examples)
    doctor = commands.add_parser(
        "doctor",
        help="say what this installation has and lacks",
        description=examine.__doc__,
        epilog="Exit status: 0 all that is needed is there, 1 something is wrong.",
    )
    doctor.set_defaults(run=examine)


def list_examples(args: argparse.Namespace) -> int:
    """List the data sets that come with workbench."""
    from workbench.data import examples

    for name, example in examples.EXAMPLES.items():
        print(f"{name:<15} {example.title}")
    print(f"The files are in {examples.examples_folder()}.")
    return 0


def examine(args: argparse.Namespace) -> int:
    """Say what this installation has and lacks, and how to mend that."""
    from workbench.installation import examined

    print(f"workbench {__version__}", flush=True)
    wrong = 0
    for found in examined():
        mark = {"well": "ok     ", "absent": "absent ", "wrong": "WRONG  "}[found.state]
        print(mark + found.what + (f" — {found.mend}" if found.mend else ""), flush=True)
        wrong += found.state == "wrong"
    print("All that is needed is there." if not wrong else f"{wrong} to mend.")
    return FAILED if wrong else 0
