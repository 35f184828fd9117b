"""The `workbench` command: open JupyterLab on the quickstart, fit in a terminal, list the example sets.

A module for each command, with what may be typed after it and what it does. Only the standard library is imported at
the top of them; what a command needs is loaded when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from workbench import __version__
from workbench.cli import about, app, convert, data, fit, lab, report
from workbench.cli.lab import copy_examples
from workbench.cli.status import CONVERGED, FAILED, INTERRUPTED, NOT_CONVERGED, USAGE
from workbench.errors import WorkbenchError

__all__ = ["CONVERGED", "FAILED", "INTERRUPTED", "NOT_CONVERGED", "USAGE", "copy_examples", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `workbench` command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the command's name; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 an error in data, model or fit, 2 wrong usage, 3 the fit did not converge, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Ψ or … shows a question mark, not a traceback
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (WorkbenchError, OSError) as error:
        print(f"workbench: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("workbench: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench", description="Nonlinear mixed-effects modelling, live in a Jupyter notebook."
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (lab, app, fit, data, report, convert, about):
        command.add(commands)
    return parser
