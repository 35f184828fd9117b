"""The `workbench` command: open JupyterLab on the quickstart, fit in a terminal, list the example sets.

Only the standard library is imported here at the top; what a command needs is loaded when it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
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
FORMS = ("nonmem", "nlmixr2", "mlxtran", "python")
STREAMS = (".mod", ".ctl", ".nmctl")  # control streams of NONMEM

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
    _add_app(commands)
    _add_fit(commands)
    _add_check(commands)
    _add_report(commands)
    _add_convert(commands)
    examples = commands.add_parser("examples", help="list the example data sets", description=list_examples.__doc__)
    examples.set_defaults(run=list_examples)
    doctor = commands.add_parser(
        "doctor",
        help="say what this installation has and lacks",
        description=examine.__doc__,
        epilog="Exit status: 0 all that is needed is there, 1 something is wrong.",
    )
    doctor.set_defaults(run=examine)
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


def _add_app(commands: Any) -> None:
    parser = commands.add_parser(
        "app",
        help="open the panels alone, without a notebook",
        description="Serve the panels alone with Voila. Whoever opens the address has a kernel of their own, and their "
        "runs to themselves.",
        epilog='What follows "--" goes to Voila: workbench app -- --Voila.ip=0.0.0.0',
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="data to begin with (default: none)")
    parser.add_argument("--port", type=int, metavar="N", help="port to serve on (default: the first free from 8866)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options for Voila itself")
    parser.set_defaults(run=open_app)


def _add_fit(commands: Any) -> None:
    parser = commands.add_parser(
        "fit",
        help="fit a model in the terminal",
        description="Fit a compartment model, or that of a control stream of NONMEM, and print the estimates.",
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
    fit.add_argument(
        "--method", choices=tuple(METHODS), help=f"(default: {USUAL}; of a control stream the one that it says)"
    )
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
    fit.add_argument("--save", type=_writable, metavar="FILE", help="save the fit with its data (JSON, for wb.load)")
    fit.add_argument("--report", type=_writable, metavar="FILE", help="write a report (HTML, one file)")
    fit.add_argument(
        "--json", action="store_true",
        help="print the fit as JSON, and all else on standard error; wb.json_schema(wb.FitResult) describes it",
    )  # fmt: skip
    parser.set_defaults(run=fit_file)


def _add_report(commands: Any) -> None:
    parser = commands.add_parser(
        "report",
        help="write a report of a saved fit",
        description="Write what fit.save, bench.save or a file of runs holds as one HTML page that needs no network.",
    )
    parser.add_argument("saved", help="a fit (JSON), a study (zip) or a file of runs")
    parser.add_argument(
        "--out", type=_writable, default=Path("report.html"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--run", dest="number", type=int, metavar="N", help="number of the run (default: that shown, or the last)"
    )
    parser.add_argument("--data", metavar="DATA", help="the data file, where a saved fit has only what identifies it")
    parser.add_argument("--title", help="of the page")
    parser.add_argument("--tables", metavar="FOLDER", help="write the tables there as well")
    parser.add_argument(
        "--forms", type=_names, default=("csv", "tex"), metavar="FORMS", help="csv, tex, docx (default: csv,tex)"
    )
    parser.set_defaults(run=report_file)


def _add_convert(commands: Any) -> None:
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
        type=_writable,
        metavar="FILE",
        help="the file (default: as the source, with the form at its end); data beside it",
    )
    parser.add_argument("--data", metavar="DATA", help="the data file, if it is not where the source says")
    parser.add_argument(
        "--published", action="store_true", help="of a control stream: with the estimates that its run printed"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist, the data beside it too")
    parser.set_defaults(run=convert_file)


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
        return _missing("JupyterLab", "lab")
    folder = args.dir.expanduser().resolve()
    kept = copy_examples(folder)
    print(f"Working folder: {folder}")
    for name in kept:
        print(f"Kept your own {name}; delete it to get a fresh copy.")
    sys.stdout.flush()
    with compiling_beside():
        return _serve(folder, args)


def _missing(what: str, extra: str) -> int:
    from workbench.installation import how_to_get

    print(f"workbench: {what} is not installed. It comes with {how_to_get(extra)}", file=sys.stderr)
    return FAILED


def _serve(folder: Path, args: argparse.Namespace) -> int:
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
    address = f"{server.connection_url}{quote(page)}?{urlencode({'token': token})}"
    server.io_loop.add_callback(_said_where, "JupyterLab", address)
    server.start()
    return 0


def _said_where(what: str, address: str) -> None:
    """Said by the loop that serves, after it has bound the sockets: whoever reads the address finds somebody there."""
    print(f"{what}: {address}")
    print("Stop it with Ctrl-C.", flush=True)


# -- workbench app -------------------------------------------------------------------------------------------------

_TEMPLATE = "workbench"
_ENDING = (signal.SIGTERM, signal.SIGINT)
_AT_ONCE = getattr(signal, "SIGKILL", signal.SIGTERM)  # without SIGKILL, SIGTERM cannot be refused either
_APP = """import workbench as wb

bench = wb.Workbench({data})
bench.view.layout.height = "calc(100vh - 24px)"
bench.view"""


def open_app(args: argparse.Namespace) -> int:
    """Serve the panels alone until that is stopped."""
    if find_spec("voila") is None:
        return _missing("Voila", "app")
    data = ""
    if args.file is not None:
        if not args.file.is_file():
            print(f"workbench: there is no file {args.file}", file=sys.stderr)
            return FAILED
        data = f"wb.read_data({str(args.file.resolve())!r})"
    with tempfile.TemporaryDirectory(prefix="workbench-app-") as folder:
        page = Path(folder) / "workbench.ipynb"
        page.write_text(_notebook(_APP.format(data=data)), encoding="utf-8")
        _own_template(Path(folder))
        os.environ["WORKBENCH_RUNS"] = "memory"  # what one person fits is no business of the others
        options = [f"--template={_TEMPLATE}", "--strip_sources=True", "--Voila.log_level=ERROR"]
        token, port = secrets.token_hex(24), args.port if args.port is not None else _free_port(8866)
        options += [f"--port={port}", f"--token={token}", *(["--no-browser"] if args.no_browser else [])]
        with compiling_beside():
            return _serve_alone(page, [*options, *args.options], token)


def _own_template(folder: Path) -> None:
    """Voila's own look, but for the style sheets that it fetches from elsewhere: nothing leaves this machine."""
    import voila.paths  # type: ignore[import-untyped]
    from jupyter_core.paths import jupyter_path

    roots = [Path(root) / "voila" / "templates" for root in (*jupyter_path(), voila.paths.ROOT)]
    theirs = next(root / "lab" for root in roots if (root / "lab" / "index.html.j2").is_file())
    ours = folder / "voila" / "templates" / _TEMPLATE
    ours.mkdir(parents=True)
    (ours / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    lines = (theirs / "index.html.j2").read_text(encoding="utf-8").splitlines(keepends=True)
    own = "".join(line for line in lines if "//cdn." not in line)
    (ours / "index.html.j2").write_text(own, encoding="utf-8")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("JUPYTER_PATH"))))


def _serve_alone(page: Path, options: Sequence[str], token: str) -> int:
    from tornado.ioloop import IOLoop
    from tornado.web import HTTPError
    from voila.app import Voila  # type: ignore[import-untyped]

    server = Voila()
    server.initialize([str(page), *options])

    def said() -> None:
        _said_where("Workbench", f"http://127.0.0.1:{server.port}/?{urlencode({'token': token})}")

    IOLoop.current().add_callback(said)  # it gets to it once it listens
    with ending_at_a_signal(lambda: _kernels(server)), suppress(HTTPError):  # a kernel that was gone by itself
        server.start()
    return 0


def _kernels(server: Any) -> list[int]:
    """Process ids, which are those of their groups as well."""
    manager = server.kernel_manager
    provisioners = [manager.get_kernel(one).provisioner for one in manager.list_kernel_ids()]
    return [pid for one in provisioners if (pid := getattr(one, "pid", None))]


@contextmanager
def ending_at_a_signal(groups: Callable[[], Iterable[int]], patience: float = 4.0) -> Iterator[None]:
    """Within it SIGTERM and SIGINT end this process and those that it began, within seconds, whatever hangs.

    The first signal interrupts what runs, as Ctrl-C does, so that it can put things in order. When patience is at an
    end, what it may wait for is killed; when it is so again, the process ends. That is the work of a thread which the
    signal itself wakes: a handler in Python runs in the main thread, and that may be what hangs.

    Parameters
    ----------
    groups : callable
        Says which groups of processes are to end.
    patience : float
        Seconds.
    """
    import threading

    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    over = threading.Event()

    def kill() -> None:
        for group in groups():
            with suppress(OSError):
                os.killpg(group, _AT_ONCE) if hasattr(os, "killpg") else os.kill(group, _AT_ONCE)

    def watch() -> None:
        while (heard := ears.recv(1)) and heard[0] not in _ENDING:
            pass
        if heard and not over.wait(patience):
            kill()
            if not over.wait(patience):
                os.kill(os.getpid(), _AT_ONCE)

    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDING}
    woken = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        kill()
        over.set()
        signal.set_wakeup_fd(woken)
        mouth.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port(first: int) -> int:
    for port in range(first, first + 100):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    return first


def _notebook(code: str) -> str:
    """A notebook of one cell."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "room",
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@contextmanager
def compiling_beside() -> Iterator[Any]:
    """Within it, another process compiles what is common, so that the first fit in a notebook need not wait for it."""
    import subprocess

    code = "from workbench.engine import warm_everything; warm_everything()"
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-c", code], stdin=nowhere, stdout=nowhere, stderr=nowhere)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


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
            if any(part.startswith(".") for part in relative.parts) or relative.parts[0] == "site":
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
    if not args.json:
        return _fit_file(args)[0]
    with redirect_stdout(sys.stderr):
        status, fit = _fit_file(args)
    if fit is not None:
        print(json.dumps(fit.to_dict(), ensure_ascii=True, allow_nan=False))
    return status


def _fit_file(args: argparse.Namespace) -> tuple[int, wb.FitResult | None]:
    import workbench as wb

    if Path(args.data).suffix.casefold() in STREAMS:
        model, data, said = _of_stream(args)
        method = _method(args, said)
    else:
        method = _method(args)
        data = _read(args)
        if not _said(data, args.strict, sys.stdout):
            return FAILED, None
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
    if args.save:
        print(f"Wrote {fit.save(args.save, data=True)}.")
    if args.report:
        print(f"Wrote {wb.report(fit, args.report)}.")
    return CONVERGED if fit.converged else NOT_CONVERGED, fit


def _of_stream(args: argparse.Namespace) -> tuple[wb.Model, wb.GroupedData, str]:
    """Model, data and method of a control stream; options that say what it says are refused."""
    import workbench as wb

    usual = vars(_parser().parse_args(["fit", args.data]))
    of_the_fit = {"method", "option", "max_iterations", "covariance", "starts", "seed", "out", "save", "report", "json"}
    stated = [name for name, value in vars(args).items() if name not in of_the_fit and value != usual[name]]
    if stated:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
        raise ModelError(f"{options}: {args.data} is a control stream, which says its model and data itself.")
    run = wb.read_nonmem(args.data)
    _told(run)
    return run.model, run.data, run.method


def _told(run: wb.NonmemRun, stream: TextIO | None = None) -> None:
    """Say how a control stream was proven, and what is in no model."""
    print(run.said, file=stream)
    if run.left_out:
        print(f"Left out: {', '.join(run.left_out)}.", file=stream)


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
    _told(run)
    model = run.model
    if args.published:
        if run.published is None:
            raise ModelError(f"--published: {run.said}")
        model = run.published.model
    print(f"Wrote {form.write(model, out, run.data, run.method)}.")
    return CONVERGED


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


def _method(args: argparse.Namespace, usual: str = USUAL) -> str | Options:
    """The method with the options that are stated."""
    method = METHODS[args.method or usual]
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


# -- workbench doctor ----------------------------------------------------------------------------------------------


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


if __name__ == "__main__":
    sys.exit(main())
