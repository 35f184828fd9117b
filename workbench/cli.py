"""The `workbench` command: open JupyterLab on the quickstart, fit in a terminal, list the example sets.

Only the standard library is imported here at the top; what a command needs is loaded when it runs.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, urlencode

from workbench import __version__
from workbench.checks import one_of
from workbench.errors import ModelError, WorkbenchError
from workbench.methods import METHODS, USUAL, Options, method_of

if TYPE_CHECKING:
    import workbench as wb

ERRORS = ("constant", "proportional", "combined", "combined2", "power", "exponential")
ABSORPTION = ("none", "first-order", "zero-order", "parallel", "transit")
PARAMETERS = ("clearance", "rate", "macro", "half-life")

CONVERGED, FAILED, USAGE, NOT_CONVERGED, INTERRUPTED = 0, 1, 2, 3, 130

Pair = tuple[str, str]


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


# -- what may be typed ---------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench", description="Nonlinear mixed-effects modelling, live in a Jupyter notebook."
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_lab(commands)
    _add_fit(commands)
    _add_check(commands)
    examples = commands.add_parser("examples", help="list the example data sets", description=list_examples.__doc__)
    examples.set_defaults(run=list_examples)
    return parser


def _add_lab(commands: Any) -> None:
    parser = commands.add_parser(
        "lab",
        help="open the quickstart in JupyterLab",
        description="Copy the notebooks and example data into a working folder and open JupyterLab there. "
        "Files that you have changed are kept.",
        epilog='What follows "--" goes to JupyterLab: workbench lab -- --ServerApp.ip=0.0.0.0',
    )
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("workbench-lab"),
        metavar="FOLDER",
        help="working folder, made if need be (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, metavar="N", help="port to serve on (default: the first free from 8888)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options for JupyterLab itself")
    parser.set_defaults(run=open_lab)


def _add_fit(commands: Any) -> None:
    parser = commands.add_parser(
        "fit",
        help="fit a model in the terminal",
        description="Fit a compartment model and print the estimates.",
        epilog="Exit status: 0 converged, 1 something is wrong with data, model or fit, 2 wrong usage, "
        "3 the fit did not converge.",
    )
    _add_data(parser)
    model = parser.add_argument_group("model")
    model.add_argument("--compartments", type=int, default=1, metavar="N", help="(default: %(default)s)")
    model.add_argument(
        "--absorption",
        choices=ABSORPTION,
        help="none means into the blood at once (default: judged from the data, and said)",
    )
    model.add_argument(
        "--parameters",
        choices=PARAMETERS,
        default="clearance",
        help="clearance estimates CL and V, rate k and V, macro the coefficients and rates of the exponentials, "
        "half-life V and t_half (default: %(default)s)",
    )
    model.add_argument("--transits", type=int, metavar="N", help="transit compartments, for --absorption transit")
    model.add_argument(
        "--error", choices=ERRORS, default="combined2", help="residual error (default: %(default)s, √(a² + (b·f)²))"
    )
    model.add_argument(
        "--iiv",
        type=_names,
        metavar="NAMES",
        help="parameters that differ between subjects, as in ka,CL (default: all; none for none)",
    )
    model.add_argument(
        "--correlate",
        action="append",
        type=_names,
        metavar="NAMES",
        default=[],
        help="random effects that are correlated, as in CL,V, or full; may be repeated",
    )
    model.add_argument("--blq", choices=("M1", "M3", "M4"), help="what values below the limit say (default: refused)")
    model.add_argument(
        "--start",
        action="append",
        type=_value,
        default=[],
        metavar="NAME=VALUE",
        help="where to start: CL=2.8, iiv_CL=0.3, a=0.5; may be repeated (default: from the data)",
    )
    model.add_argument(
        "--fix",
        action="append",
        type=_value,
        default=[],
        metavar="NAME=VALUE",
        help="keep a typical value: V=32; may be repeated",
    )
    fit = parser.add_argument_group("fit")
    fit.add_argument("--method", choices=tuple(METHODS), default=USUAL, help="(default: %(default)s)")
    fit.add_argument(
        "--option",
        action="append",
        type=_pair,
        default=[],
        metavar="NAME=VALUE",
        help=f"an option of the method, as in nodes=9; may be repeated. {_options_in_words()}",
    )
    fit.add_argument("--max-iterations", type=int, metavar="N", help="(default: 500)")
    fit.add_argument(
        "--covariance",
        choices=("R", "S", "sandwich", "none"),
        help="standard errors: from the Hessian (R), the subjects' gradients (S), both, or none (default: R)",
    )
    fit.add_argument("--starts", type=int, metavar="N", help="search from so many points (default: 1)")
    fit.add_argument("--seed", type=int, metavar="N", help="of the points (default: 1)")
    fit.add_argument("--out", type=_writable, metavar="FILE", help="write predictions and residuals by record (CSV)")
    parser.set_defaults(run=fit_file)


def _add_check(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="say what is wrong or odd in a data file",
        description="Read a file and print what it holds and every finding of the data doctor.",
        epilog="Exit status: 0 nothing stands against a fit, 1 an error (with --strict: any finding), 2 wrong usage.",
    )
    _add_data(parser)
    parser.set_defaults(run=check_file)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", help='a data file, or the name of an example set (see "workbench examples")')
    data = parser.add_argument_group("data")

    def several(option: str, metavar: str, text: str, kind: Callable[[str], Any] = str) -> None:
        help_text = f"{text}; may be repeated"
        data.add_argument(option, action="append", type=kind, default=[], metavar=metavar, help=help_text)

    part = "which column plays a part that is not guessed right: subject=ID, covariates=WT,AGE; an empty column: none"
    several("--role", "ROLE=COLUMN", part, _pair)
    several("--unit", "ROLE=UNIT", "the unit of a role or column: time=h, response=mg/L, WT=kg", _pair)
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
    data.add_argument("--names", type=_names, default=(), metavar="NAMES", help="column names, as in ID,TIME,DV")
    data.add_argument("--comment", metavar="MARKS", help="marks that leave a row out, as NONMEM's IGNORE: C, #@")
    data.add_argument("--separator", metavar="MARK", help="between cells, where the guess is wrong")
    data.add_argument("--decimal", choices=(".", ","), help="decimal mark, where the guess is wrong")
    data.add_argument("--dates", choices=("dmy", "mdy", "ymd", "ydm"), help="order of day, month and year")
    data.add_argument("--filter", metavar="CONDITION", help="use only these rows: 'TIME < 24', 'SEX == \"F\"'")
    data.add_argument("--strict", action="store_true", help="stop at any finding, warnings included")


def _options_in_words() -> str:
    described = ((m.name, m.options.described()) for m in METHODS.values() if m.options is not None)
    return "; ".join(f"{name}: {', '.join(options)}" for name, options in described)


def _pair(text: str) -> Pair:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), value.strip()


def _value(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} in {text!r} is not a number") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _writable(text: str) -> Path:
    """A file whose folder exists: better known before a long fit than after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        reason = "it is a folder" if path.is_dir() else "there is no such folder"
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: {reason}")
    return path


# -- workbench lab -------------------------------------------------------------------------------------------------


def open_lab(args: argparse.Namespace) -> int:
    """Serve JupyterLab on a working folder until it is stopped."""
    if find_spec("jupyterlab") is None:
        print('workbench: JupyterLab is not installed; get it with: pip install "workbench[lab]"', file=sys.stderr)
        return FAILED
    folder = args.dir.expanduser().resolve()
    kept = copy_examples(folder)
    print(f"Working folder: {folder}")
    for name in kept:
        print(f"Kept your own {name}; delete it to get a fresh copy.")
    sys.stdout.flush()

    from jupyterlab.labapp import LabApp

    page = "lab/tree/quickstart.ipynb"
    token = secrets.token_hex(24)
    options = [
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        f"--LabApp.default_url=/{page}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--Application.log_level=ERROR",
        "--ServerApp.answer_yes=True",  # Ctrl-C stops at once
        "--allow-root",  # containers run as root; the token still guards the server
    ]
    options += [f"--ServerApp.port={args.port}"] if args.port is not None else []
    options += ["--no-browser"] if args.no_browser else []
    server = LabApp.initialize_server(argv=[*options, *args.options])
    server.web_app.settings["page_config_hook"] = _without_news
    # The sockets listen from here on: the port is the one that was got, and the address is good.
    print(f"JupyterLab: {server.connection_url}{quote(page)}?{urlencode({'token': token})}")
    print("Stop it with Ctrl-C.", flush=True)
    server.start()
    return 0


def _without_news(handler: object, page_config: dict[str, Any]) -> dict[str, Any]:
    """Switch off the plugin that asks whether to fetch news: it asks even where there are none to fetch."""
    disabled = page_config.get("disabledExtensions", [])
    return {**page_config, "disabledExtensions": [*disabled, "@jupyterlab/apputils-extension:announcements"]}


def copy_examples(folder: Path) -> list[str]:
    """Copy the notebooks into `folder` and the example data into its `data`, never over a file that differs.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.

    Returns
    -------
    list of str
        Files that were there with other content, and were kept.
    """
    kept = []
    for source, target in (("notebooks", folder), ("data", folder / "data")):
        for path in sorted(p for p in _shipped(source).rglob("*") if p.is_file()):
            relative = path.relative_to(_shipped(source))
            if any(part.startswith(".") for part in relative.parts):
                continue
            copy = target / relative
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            elif not copy.is_file() or copy.read_bytes() != path.read_bytes():
                kept.append(str(copy.relative_to(folder)))
    return kept


def _shipped(name: str) -> Path:
    """The folder `notebooks` or `data`: inside an installed package, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "examples" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the {name} that come with workbench are missing from {package}; install it again")


# -- workbench fit -------------------------------------------------------------------------------------------------


def fit_file(args: argparse.Namespace) -> int:
    """Fit a model to a file and print what was found."""
    import workbench as wb

    method = _method(args)
    data = _read(args)
    if not _said(data, args.strict, sys.stdout):
        return FAILED
    model = _model(args, data)
    stated = {
        "max_iterations": args.max_iterations, "starts": args.starts, "seed": args.seed,
        "covariance": False if args.covariance == "none" else args.covariance,
    }  # fmt: skip
    settings: dict[str, Any] = {name: value for name, value in stated.items() if value is not None}
    fit = _watched(lambda callback: wb.fit(model, data, method=method, callback=callback, **settings))
    _show(fit)
    if args.out:
        fit.table().to_csv(args.out, index=False)
        print(f"Wrote {args.out}.")
    return CONVERGED if fit.converged else NOT_CONVERGED


def _method(args: argparse.Namespace) -> str | Options:
    """The method with the options that are stated."""
    method = METHODS[args.method]
    if not args.option:
        return method.name
    if method.options is None:
        raise ModelError(f"--method {method.name} has no options.")
    known, stated = method.options.described(), {}
    for name, text in args.option:
        stated[name] = known[one_of("--option", name, tuple(known))].read(name, text)
    return method.options(**stated)


def _read(args: argparse.Namespace) -> wb.GroupedData:
    import workbench as wb
    from workbench.data import examples
    from workbench.data.roles import LISTS

    source, name = args.data, None
    roles = {role: (_names(column) if role in LISTS else column) or None for role, column in args.role}
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


def check_file(args: argparse.Namespace) -> int:
    """Print what a file holds and what is wrong or odd in it."""
    data = _read(args)
    for label, value in data.summary()["value"].items():
        print(f"{label}: {value}")
    parts = [f"{role} {column}" for role, column in data.roles.items() if isinstance(column, str)]
    print(f"roles: {', '.join(parts)}")
    if data.history[0].note:
        print(f"read: {data.history[0].note}")
    sound = _said(data, args.strict, sys.stdout)
    errors = any(finding.severity == "error" for finding in data.findings)
    if not data.findings:
        print("Nothing to mend.")
    return CONVERGED if sound and not errors else FAILED


def _said(data: wb.GroupedData, strict: bool, stream: TextIO) -> bool:
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


def _model(args: argparse.Namespace, data: wb.GroupedData) -> wb.Model:
    import workbench as wb
    from workbench.model.residual import ERROR_MODELS

    absorption: Any = args.absorption or _assumed_absorption(data)
    structure = wb.pk(
        args.compartments,
        None if absorption == "none" else absorption,
        parameters=args.parameters,
        transits=args.transits,
    )
    random = structure.names if args.iiv is None else () if args.iiv == ("none",) else args.iiv
    error = next(error for error in ERROR_MODELS if error.title == args.error)
    model = wb.Model(structure, error=error(), blq=args.blq).without_random_effects()
    for name in random:
        model = model.with_parameter(name, iiv=True)
    model = model.with_correlate("full" if args.correlate == [("full",)] else args.correlate)
    for name, value in args.start:
        model = _started(model, name, value)
    for name, value in args.fix:
        model = model.with_parameter(name, value=value, fixed=True)
    return model


def _started(model: wb.Model, name: str, value: float) -> wb.Model:
    """Set an initial value by the name that the table of estimates gives it."""
    from dataclasses import replace

    labels = model.error_labels[0]
    if name in labels:
        stated: dict[str, Any] = {model.error.names[labels.index(name)]: value}
        return model.with_error(replace(model.error, **stated))
    if name.removeprefix("iiv_") in model.random_effects and name.startswith("iiv_"):
        return model.with_parameter(name.removeprefix("iiv_"), iiv=value)
    if name in model.structure.names:
        return model.with_parameter(name, value=value)
    known = [*model.structure.names, *(f"iiv_{effect}" for effect in model.random_effects), *labels]
    raise ModelError(f"--start {name}: there is no such value. There are {', '.join(known)}.")


def _assumed_absorption(data: wb.GroupedData) -> str:
    """Judge the absorption by whether the response rises after the first dose, and say so."""
    from workbench.model import rising_subjects

    rising, counted = rising_subjects(data)
    absorption = "first-order" if 2 * rising > counted else "none"
    why = f"the response rises after the dose in {rising} of {counted} subjects"
    if not counted:
        why = "no subject has a dose with two observations after it"
    print(f"Assumed --absorption {absorption}: {why}.")
    return absorption


def _watched(fit: Callable[[Callable[[Any], bool]], wb.FitResult]) -> wb.FitResult:
    """Run a fit with its progress on standard error; Ctrl-C stops it at the best point found."""
    from rich.console import Console

    console = Console(stderr=True)
    with _stop_on_interrupt() as stopped, console.status("Preparing the fit (the first one compiles) …") as status:

        def callback(progress: Any) -> bool:
            status.update(f"iteration {progress.iteration}   OFV {progress.ofv:.3f}   {progress.seconds:.1f} s")
            return bool(stopped)

        return fit(callback)


@contextmanager
def _stop_on_interrupt() -> Iterator[list[bool]]:
    """A list that is empty until Ctrl-C is pressed; pressed again it interrupts as usual."""
    stopped: list[bool] = []
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        stopped.append(True)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _show(fit: wb.FitResult) -> None:
    from rich.console import Console
    from rich.table import Table

    # Names come from the data: no markup, no emoji.
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    data, structure = fit.data, fit.model.structure
    console.print(f"{data.name}: {len(data.events.subjects)} subjects, {fit.n_observations} observations")
    console.print(f"{structure.title}, {fit.model.error.title} error, {method_of(fit.method).short}")
    head, *rows = fit.rows()
    table = Table(*head)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if fit.se_reason:
        console.print(f"Standard errors: {fit.se_reason}")
    first, last = fit.trace[0], fit.trace[-1]
    console.print(f"{last[0]} iterations from OFV {first[1]:.3f}, {fit.seconds:.2f} s")
    console.print(f"OFV {fit.ofv:.3f}   -2LL {fit.minus2ll:.3f}   AIC {fit.aic:.2f}   BIC {fit.bic:.2f}")
    said = fit.said
    console.print(said, style="bold" if fit.converged else "bold red")


# -- workbench examples --------------------------------------------------------------------------------------------


def list_examples(args: argparse.Namespace) -> int:
    """List the data sets that come with workbench."""
    from workbench.data import examples

    for name, example in examples.EXAMPLES.items():
        print(f"{name:<15} {example.title}")
    print(f"The files are in {examples.examples_folder()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
