"""`workbench report`: a page of what was saved."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.status import CONVERGED
from workbench.cli.typed import names, writable
from workbench.errors import ModelError


def add(commands: Any) -> None:
    """What may be typed after `workbench report`."""
    parser = commands.add_parser(
        "report",
        help="write a report of a saved fit",
        description="Write what fit.save, bench.save or a file of runs holds as one HTML page that needs no network.",
    )
    parser.add_argument("saved", help="a fit (JSON), a study (zip) or a file of runs")
    parser.add_argument(
        "--out", type=writable, default=Path("report.html"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--run", dest="number", type=int, metavar="N", help="number of the run (default: that shown, or the last)"
    )
    parser.add_argument("--data", metavar="DATA", help="the data file, where a saved fit has only what identifies it")
    parser.add_argument("--title", help="of the page")
    parser.add_argument("--tables", metavar="FOLDER", help="write the tables there as well")
    parser.add_argument(
        "--forms", type=names, default=("csv", "tex"), metavar="FORMS", help="csv, tex, docx (default: csv,tex)"
    )
    parser.set_defaults(run=report_file)


def report_file(args: argparse.Namespace) -> int:
    """Write a report of a saved fit."""
    import workbench as wb

    data = None if args.data is None else wb.read_data(args.data)
    found = wb.load(args.saved, data)
    runs = None if isinstance(found, wb.FitResult) else found if isinstance(found, wb.Runs) else found.runs
    if isinstance(found, wb.FitResult):
        fit = found
    elif runs is None or not len(runs):
        raise ModelError(f"{args.saved} has no runs.")
    else:
        shown = args.number if args.number is not None else getattr(found, "shown", None)
        try:
            fit = runs[-1 if shown is None else shown].fit
        except KeyError as error:
            raise ModelError(f"--run: {error.args[0]}.") from None
    print(f"Wrote {wb.report(fit, args.out, runs=runs, title=args.title)}.")
    if args.tables:
        for path in wb.report_tables(fit, args.tables, args.forms):
            print(f"Wrote {path}.")
    return CONVERGED
