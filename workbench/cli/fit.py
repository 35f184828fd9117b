"""`workbench fit`: a model is fitted to a file, or to that of a control stream."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.checks import one_of
from workbench.cli.data import add_data, read, tell_findings
from workbench.cli.status import CONVERGED, FAILED, NOT_CONVERGED
from workbench.cli.streams import STREAMS, tell_stream
from workbench.cli.typed import names, pair, value, writable
from workbench.errors import ModelError
from workbench.methods import METHODS, USUAL, Options, method_of

if TYPE_CHECKING:
    import workbench as wb

ERRORS = ("constant", "proportional", "combined", "combined2", "power", "exponential")
ABSORPTION = ("none", "first-order", "zero-order", "parallel", "transit")
PARAMETERS = ("clearance", "rate", "macro", "half-life")


def add(commands: Any) -> None:
    """What may be typed after `workbench fit`."""
    parser = commands.add_parser(
        "fit",
        help="fit a model in the terminal",
        description="Fit a compartment model, or that of a control stream of NONMEM, and print the estimates.",
        epilog="Exit status: 0 converged, 1 something is wrong with data, model or fit, 2 wrong usage, "
        "3 the fit did not converge.",
    )
    add_data(parser)
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
        type=names,
        metavar="NAMES",
        help="parameters that differ between subjects, as in ka,CL (default: all; none for none)",
    )
    model.add_argument(
        "--correlate",
        action="append",
        type=names,
        metavar="NAMES",
        default=[],
        help="random effects that are correlated, as in CL,V, or full; may be repeated",
    )
    model.add_argument("--blq", choices=("M1", "M3", "M4"), help="what values below the limit say (default: refused)")
    model.add_argument(
        "--start",
        action="append",
        type=value,
        default=[],
        metavar="NAME=VALUE",
        help="where to start: CL=2.8, iiv_CL=0.3, a=0.5; may be repeated (default: from the data)",
    )
    model.add_argument(
        "--fix",
        action="append",
        type=value,
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
        type=pair,
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
    fit.add_argument("--out", type=writable, metavar="FILE", help="write predictions and residuals by record (CSV)")
    fit.add_argument("--save", type=writable, metavar="FILE", help="save the fit with its data (JSON, for wb.load)")
    fit.add_argument("--report", type=writable, metavar="FILE", help="write a report (HTML, one file)")
    fit.add_argument(
        "--json", action="store_true",
        help="print the fit as JSON, and all else on standard error; wb.json_schema(wb.FitResult) describes it",
    )  # fmt: skip
    parser.set_defaults(run=fit_file, usual=parser.get_default)


def _options_in_words() -> str:
    described = ((m.name, m.options.described()) for m in METHODS.values() if m.options is not None)
    return "; ".join(f"{name}: {', '.join(options)}" for name, options in described)


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
        data = read(args)
        if not tell_findings(data, args.strict, sys.stdout):
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

    of_the_fit = {"method", "option", "max_iterations", "covariance", "starts", "seed", "out", "save", "report", "json"}
    others = {name: value for name, value in vars(args).items() if name not in of_the_fit | {"data", "run", "usual"}}
    stated = [name for name, value in others.items() if value != args.usual(name)]
    if stated:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
        raise ModelError(f"{options}: {args.data} is a control stream, which says its model and data itself.")
    run = wb.read_nonmem(args.data)
    tell_stream(run)
    return run.model, run.data, run.method


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
    for name, start in args.start:
        model = _started(model, name, start)
    for name, fixed in args.fix:
        model = model.with_parameter(name, value=fixed, fixed=True)
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
