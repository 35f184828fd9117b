"""Data that a command reads: options, reading, what is said of them; and `workbench check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from workbench.cli.status import CONVERGED, FAILED
from workbench.cli.typed import names, pair

if TYPE_CHECKING:
    import workbench as wb


def add(commands: Any) -> None:
    """What may be typed after `workbench check`."""
    parser = commands.add_parser(
        "check",
        help="say what is wrong or odd in a data file",
        description="Read a file and print what it holds and every finding of the data doctor.",
        epilog="Exit status: 0 nothing stands against a fit, 1 an error (with --strict: any finding), 2 wrong usage.",
    )
    add_data(parser)
    parser.set_defaults(run=check_file)


def add_data(parser: argparse.ArgumentParser) -> None:
    """What may be typed of the data, wherever data are read."""
    parser.add_argument("data", help='a data file, or the name of an example set (see "workbench examples")')
    data = parser.add_argument_group("data")

    def several(option: str, metavar: str, text: str, kind: Callable[[str], Any] = str) -> None:
        help_text = f"{text}; may be repeated"
        data.add_argument(option, action="append", type=kind, default=[], metavar=metavar, help=help_text)

    part = "which column plays a part that is not guessed right: subject=ID, covariates=WT,AGE; an empty column: none"
    several("--role", "ROLE=COLUMN", part, pair)
    several("--unit", "ROLE=UNIT", "the unit of a role or column: time=h, response=mg/L, WT=kg", pair)
    several("--na", "TEXT", "a cell that means that there is no value, such as -99")
    several("--mend", "NAME", "put right what is found, in this order: the names that findings and faults give")
    several("--allow", "ERROR", "an error that is meant as it is: 'negative time'")
    data.add_argument(
        "--lloq", type=float, metavar="X", help="limit of quantification, where BLQ and flags do not say it"
    )
    data.add_argument(
        "--sheet", metavar="NAME", help="sheet of an Excel file (default: the first that looks like data)"
    )
    data.add_argument("--skip", type=int, default=0, metavar="N", help="lines to skip at the top")
    data.add_argument(
        "--header", type=int, metavar="N", help="number of the line with the column names; 0: there is none"
    )
    data.add_argument("--names", type=names, default=(), metavar="NAMES", help="column names, as in ID,TIME,DV")
    data.add_argument("--comment", metavar="MARKS", help="marks that leave a row out, as NONMEM's IGNORE: C, #@")
    data.add_argument("--separator", metavar="MARK", help="between cells, where the guess is wrong")
    data.add_argument("--decimal", choices=(".", ","), help="decimal mark, where the guess is wrong")
    data.add_argument("--dates", choices=("dmy", "mdy", "ymd", "ydm"), help="order of day, month and year")
    data.add_argument("--filter", metavar="CONDITION", help="use only these rows: 'TIME < 24', 'SEX == \"F\"'")
    data.add_argument("--strict", action="store_true", help="stop at any finding, warnings included")


def check_file(args: argparse.Namespace) -> int:
    """Print what a file holds and what is wrong or odd in it."""
    data = read(args)
    for label, value in data.summary()["value"].items():
        print(f"{label}: {value}")
    parts = [f"{role} {column}" for role, column in data.roles.items() if isinstance(column, str)]
    print(f"roles: {', '.join(parts)}")
    if data.history[0].note:
        print(f"read: {data.history[0].note}")
    sound = tell_findings(data, args.strict, sys.stdout)
    errors = any(finding.severity == "error" for finding in data.findings)
    if not data.findings:
        print("Nothing to mend.")
    return CONVERGED if sound and not errors else FAILED


def read(args: argparse.Namespace) -> wb.GroupedData:
    """The data that are meant by what was typed."""
    import workbench as wb
    from workbench.data import examples
    from workbench.data.roles import LISTS

    source, name = args.data, None
    roles = {role: (names(column) if role in LISTS else column) or None for role, column in args.role}
    if source in examples.EXAMPLES and not Path(source).exists():
        name = source
        source = examples.examples_folder() / f"{name}.csv"
        roles = {**examples.EXAMPLES[name].roles, **roles}
    sheet = int(args.sheet) if args.sheet is not None and args.sheet.isdigit() else args.sheet
    data = wb.read_data(
        source, roles=roles, units=dict(args.unit), name=name, na_values=args.na, allow=args.allow, sheet=sheet,
        skip=args.skip, header=False if args.header == 0 else args.header, names=args.names, comment=args.comment,
        separator=args.separator, decimal=args.decimal, dates=args.dates, lloq=args.lloq, mends=args.mend,
        strict=args.run is not check_file,
    )  # fmt: skip
    return data.filter(args.filter) if args.filter else data


def tell_findings(data: wb.GroupedData, strict: bool, stream: TextIO) -> bool:
    """Print every finding; False if the command is to stop for them."""
    for finding in data.findings:
        where = [f"column {finding.where}"] if finding.where else []
        if finding.rows:
            shown = ", ".join(map(str, finding.rows[:6])) + (", …" if len(finding.rows) > 6 else "")
            where.append(f"row{'' if len(finding.rows) == 1 else 's'} {shown}")
        mend = f" — --mend {' or --mend '.join(finding.mends)}" if _mendable(finding.mends) else ""
        mend = mend or (f" — {finding.mend}" if finding.mend else "")
        place = f" ({'; '.join(where)})" if where else ""
        print(f"{finding.severity}: {finding.message}{place}{mend}", file=stream)
    if strict and data.findings:
        print("workbench: stopped, since --strict stops at any finding", file=sys.stderr)
    return not (strict and data.findings)


def _mendable(names: Sequence[str]) -> bool:
    from workbench.data.checks import MENDS

    return bool(names) and set(names) <= set(MENDS)
