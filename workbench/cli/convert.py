"""`workbench convert`: a model written for another tool."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.status import CONVERGED
from workbench.cli.streams import STREAMS, tell_stream
from workbench.cli.typed import writable
from workbench.errors import ModelError

FORMS = ("nonmem", "nlmixr2", "mlxtran", "python")


def add(commands: Any) -> None:
    """What may be typed after `workbench convert`."""
    parser = commands.add_parser(
        "convert",
        help="write a model for another tool",
        description="Write the model of a control stream of NONMEM or of a saved fit for another tool, with its data.",
        epilog="Exit status: 0 done, 1 something cannot be read or said (all of it is named), 2 wrong usage.",
    )
    parser.add_argument("source", help="a control stream (.mod, .ctl) or a saved fit (JSON)")
    parser.add_argument("--to", required=True, choices=FORMS, help="what to write")
    parser.add_argument(
        "-o",
        "--out",
        type=writable,
        metavar="FILE",
        help="the file (default: as the source, with the form at its end); data beside it",
    )
    parser.add_argument("--data", metavar="DATA", help="the data file, if it is not where the source says")
    parser.add_argument(
        "--published", action="store_true", help="of a control stream: with the estimates that its run printed"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist, the data beside it too")
    parser.set_defaults(run=convert_file)


def convert_file(args: argparse.Namespace) -> int:
    """Write a model for another tool."""
    import workbench as wb
    from workbench.exchange.forms import form_of

    form, source = form_of(args.to), Path(args.source)
    out = args.out or source.with_name(f"{source.stem}_{args.to}{form.ending}")
    there = [path for path in (out, out.with_suffix(".csv")) if path.exists()]
    if there and not args.overwrite:  # the second may be the data of the source
        raise ModelError(f"{' and '.join(map(str, there))} exists already; say another name by -o, or --overwrite.")
    if source.suffix.casefold() not in STREAMS:
        found = wb.load(source, None if args.data is None else wb.read_data(args.data))
        if not isinstance(found, wb.FitResult):
            raise ModelError(f"{source} is no saved fit and no control stream (.mod, .ctl).")
        print(f"Wrote {form.write(found, out, None, None)}.")
        return CONVERGED
    run = wb.read_nonmem(source, args.data)
    tell_stream(run)
    model = run.model
    if args.published:
        if run.published is None:
            raise ModelError(f"--published: {run.said}")
        model = run.published.model
    print(f"Wrote {form.write(model, out, run.data, run.method)}.")
    return CONVERGED
