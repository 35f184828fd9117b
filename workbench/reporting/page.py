"""`wb.report`: a fit as one HTML page that needs no network, no script and no other file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import markup
from workbench.checks import whole
from workbench.diagnostics import gof, vpc
from workbench.errors import FileError, ModelError, WorkbenchError
from workbench.markup.mathml import formulas
from workbench.methods import Subjects, method_of
from workbench.model.mathematics import individual, observations
from workbench.reporting.figures import as_svg
from workbench.reporting.tables import Table, all_tables, criteria, estimates, table
from workbench.results import FitResult, Runs
from workbench.results.packing import versions, write
from workbench.results.runs import Run, cell
from workbench.screening import compare as compare_fits
from workbench.screening.waterfall import waterfall

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 2_000_000  # bytes
_RUNS = 40  # of the history, at most
_SUBJECTS = 60  # in the table of individual values, at most


def report(
    fit: FitResult,
    path: str | os.PathLike[str] = "report.html",
    *,
    runs: Runs | None = None,
    compare: Sequence[FitResult] = (),
    title: str | None = None,
    replicates: int = 500,
) -> Path:
    """Write a fit as one HTML page to hand over: read, archived and printed (A4) as it is.

    It has the data and what was changed in them, the model as equations and as Python, estimates, diagnostics, a visual
    predictive check, the history, comparisons, versions, and the script that gives it again. Figures are SVG; nothing
    is loaded from elsewhere and nothing runs.

    Parameters
    ----------
    fit : FitResult
    path : str or path
    runs : Runs, optional
        The history; those of the same data are listed.
    compare : sequence of FitResult
        Others that it is compared with, as by `compare`.
    title : str, optional
    replicates : int
        Of the visual predictive check.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileError
        If it cannot be written.
    WorkbenchError
        If it is no fit, or matplotlib is not installed.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> wb.report(fit, "theophylline.html", replicates=50).name
    'theophylline.html'
    """
    if not isinstance(fit, FitResult):
        raise ModelError(f"The first argument is a wb.FitResult, got {type(fit).__name__}.")
    replicates = whole("replicates", replicates, 20)
    page = page_of(fit, runs, compare, title, replicates)
    if len(page.encode("utf-8")) > LARGEST:
        page = page_of(fit, runs, compare, title, replicates, drawn_as_points=True)
    return write(page, path)


def page_of(
    fit: FitResult,
    runs: Runs | None,
    compare: Sequence[FitResult],
    title: str | None,
    replicates: int,
    *,
    drawn_as_points: bool = False,
) -> str:
    """The page; with `drawn_as_points` clouds of points are pictures within the figures."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("workbench.reporting", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["safe_html"] = Markup  # our own markup, in which text is escaped already
    model, data = fit.model, fit.data
    run = runs.find(fit) if runs is not None else None
    tables = all_tables(fit)
    return environment.get_template("page.html").render(
        title=title or f"{data.name}: {model.structure.title}",
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        run=run,
        fit=fit,
        good=fit.status.ok and not fit.message,
        method=method_of(fit.method).title,
        seconds=markup.duration(fit.seconds),
        criteria=criteria(fit),
        data=data,
        data_summary=table("data", "The data", data.summary()),
        covariates=_covariates(fit),
        steps=[str(step) for step in data.history],
        notes=[step.note for step in data.history if step.note],
        findings=[finding.message for finding in data.findings],
        structure=model.structure,
        diagram=model.structure.diagram() or "",
        equations=formulas(model.structure.equations()),
        individuals=formulas([individual(parameter) for parameter in model.parameters]),
        errors=formulas(observations(model)),
        parameters=[(info.name, info.meaning, fit.unit(info.name)) for info in model.structure.info],
        python=repr(fit.given),
        estimates=estimates(fit),
        matrices=[one for one in tables if one.name in ("variability", "omega", "shrinkage", "correlation")],
        individual_values=_individual(fit, tables),
        diagnostics=_diagnostics(fit, replicates, drawn_as_points),
        rivals=fit.rivals,
        history=_history(fit, runs),
        comparison=_comparison(fit, compare),
        script=_script(fit, run),
        versions=versions(),
    )


def _covariates(fit: FitResult) -> Table | None:
    found = fit.data.describe_covariates()
    return table("covariates", "Covariates, over subjects", found) if len(found) else None


def _individual(fit: FitResult, tables: Iterable[Table]) -> Table | None:
    if method_of(fit.method).subjects is Subjects.POOLED or len(fit.individual) > _SUBJECTS:
        return None
    return next(one for one in tables if one.name == "individual")


def _diagnostics(fit: FitResult, replicates: int, drawn_as_points: bool) -> list[tuple[str, str, Any]]:
    """Title, what is said, and the figure, or why there is none."""

    def goodness() -> tuple[str, Any]:
        found = gof(fit)
        return found.sentence, found.plot()

    def predictive() -> tuple[str, Any]:
        found = vpc(fit, replicates)
        return f"{replicates} simulated data sets; bands hold 90 % of their quantiles.", found.plot()

    wanted: list[tuple[str, Callable[[], tuple[str, Any]]]] = [
        ("Goodness of fit", goodness),
        ("Visual predictive check", predictive),
    ]
    shown: list[tuple[str, str, Any]] = []
    for title, make in wanted:
        try:
            said, figure = make()
            shown.append((title, said, as_svg(figure, title, drawn_as_points=drawn_as_points)))
        except FileError:
            raise
        except WorkbenchError as error:
            if "matplotlib" in str(error):
                raise
            shown.append((title, str(error), ""))
    return shown


def _history(fit: FitResult, runs: Runs | None) -> Table | None:
    if runs is None:
        return None
    mine = Runs.of([run for run in runs if run.facts.data_hash == fit.data.hash][-_RUNS:])
    if not len(mine):
        return None
    frame = mine.table()[["name", "structure", "error", "method", "ofv", "delta_ofv", "aic", "bic", "parameters",
                          "status", "note"]]  # fmt: skip
    made = table("runs", "Runs of these data", frame, 7)
    return made


def _comparison(fit: FitResult, others: Sequence[FitResult]) -> dict[str, Any] | None:
    if not others:
        return None
    names = ["this fit", *(f"other {k}" for k in range(1, len(others) + 1))]
    found = compare_fits(fit, *others, names=names)
    drawn = []
    try:
        by_subject: pd.DataFrame = found.by_subject
        for name in names[1:]:
            title = f"ΔOFV by subject: {name} less this fit"
            delta = by_subject[f"Δ {name}"].to_numpy(dtype=float)
            drawn.append((title, waterfall(list(by_subject.index), delta, title)))
    except WorkbenchError:
        pass
    return {
        "table": table("comparison", "Beside others", found.table.rename_axis("fit"), 7),
        "differences": [f"{name}: {'; '.join(what) or 'the same model'}." for name, what in found.differences.items()],
        "drawn": drawn,
    }


def _script(fit: FitResult, run: Run | None) -> str:
    """The whole script that gives the fit, and this page."""
    stated = method_of(fit.method).stated(fit.options)
    code = run.code if run is not None else cell(fit.data, fit.given, stated, fit.settings)
    return f'{code.removesuffix("fit").rstrip()}\nwb.report(fit, "report.html")\n'
