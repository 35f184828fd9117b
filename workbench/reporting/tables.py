"""The tables of a report, and the forms in which others want them: CSV, LaTeX, Word."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import markup
from workbench.checks import one_of
from workbench.errors import FileError, WorkbenchError
from workbench.methods import method_of
from workbench.results import FitResult
from workbench.results.packing import write

if TYPE_CHECKING:
    import pandas as pd

FORMS = ("csv", "tex", "docx")


@dataclass(frozen=True, eq=False)
class Table:
    """A table of a report.

    Attributes
    ----------
    name : str
        Of its file.
    title : str
        Its caption.
    frame : DataFrame
        With all digits; the index is the first column.
    head, rows : sequences of str
        As people read it.
    """

    name: str
    title: str
    frame: pd.DataFrame
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table(name: str, title: str, frame: pd.DataFrame, digits: int = 4) -> Table:
    """A table whose numbers are written with so many significant digits."""
    head = (str(frame.index.name or ""), *map(str, frame.columns))
    rows = tuple(
        (str(index), *(_cell(value, digits) for value in row))
        for index, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    )
    return Table(name, title, frame, head, rows)


def estimates(fit: FitResult) -> Table:
    """The estimates as `fit.summary()` writes them, the numbers as `fit.estimates` has them."""
    head, *rows = fit.rows()
    return Table("estimates", "Estimates", fit.estimates, ("name", *head[1:]), tuple(map(tuple, rows)))


def criteria(fit: FitResult) -> Table:
    """What fits of one data set are compared by."""
    import pandas as pd

    values = {
        "OFV": fit.ofv, "-2 log-likelihood": fit.minus2ll, "AIC": fit.aic, "BIC": fit.bic,
        "observations": fit.n_observations, "subjects": len(fit.data.events.subjects),
        "estimated quantities": fit.n_estimated, "condition number": fit.condition_number,
    }  # fmt: skip
    frame = pd.DataFrame({"value": list(values.values())}, index=pd.Index(list(values), name="criterion"), dtype=object)
    places = {"OFV": 3, "-2 log-likelihood": 3, "AIC": 2, "BIC": 2, "condition number": 1}
    rows = tuple((name, markup.decimals(float(value), places.get(name, 0), none="")) for name, value in values.items())
    return Table("criteria", f"Objective, by {method_of(fit.method).title}", frame, ("criterion", "value"), rows)


def report_tables(
    fit: FitResult, folder: str | os.PathLike[str], forms: tuple[str, ...] | list[str] = ("csv", "tex")
) -> list[Path]:
    """Write the tables of a fit, each in a file of its own: estimates, criteria, Ψ, variability, individual values.

    Parameters
    ----------
    fit : FitResult
    folder : str or path
        Made if it does not exist.
    forms : tuple of {"csv", "tex", "docx"}
        CSV has all digits; LaTeX (for `booktabs`) and Word have them as people read them. Word needs `python-docx`, and
        gets one file with all tables.

    Returns
    -------
    list of Path

    Raises
    ------
    FileError
        If something cannot be written.
    WorkbenchError
        If a form is none of these, or `python-docx` is not installed.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> [path.name for path in wb.report_tables(fit, "tables", ["tex"])][:2]
    ['estimates.tex', 'criteria.tex']
    """
    wanted = [one_of("forms", form, FORMS, WorkbenchError) for form in forms]
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{place} cannot be made: {error.strerror or error}.") from None
    tables = all_tables(fit)
    written = []
    for form in wanted:
        if form == "docx":
            written.append(_write_word(tables, place / "tables.docx"))
            continue
        for one in tables:
            text = one.frame.to_csv() if form == "csv" else latex(one)
            written.append(write(text, place / f"{one.name}.{form}"))
    return written


def all_tables(fit: FitResult) -> list[Table]:
    """Those that are written."""
    found = [estimates(fit), criteria(fit)]
    if fit.random_effects:
        found += [
            table("omega", "Covariance of the random effects", fit.omega.rename_axis("parameter")),
            table("variability", "Variability between subjects", fit.variability.rename_axis("parameter")),
            table("shrinkage", "Shrinkage, per cent", fit.shrinkage.rename_axis("of")),
        ]
    if fit.correlation is not None:
        found.append(table("correlation", "Correlation of the estimates", fit.correlation.rename_axis("estimate"), 3))
    found.append(table("individual", "Individual parameters", fit.individual))
    return found


_SPECIAL = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
            "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "…": r"\ldots{}", "−": "$-$",
            "±": r"$\pm$", "ε": r"$\varepsilon$", "η": r"$\eta$", "Ψ": r"$\Psi$", "·": r"$\cdot$", "√": r"$\surd$",
            "–": "--"}  # fmt: skip


def escaped_latex(text: str) -> str:
    """Text that LaTeX sets as it is.

    Examples
    --------
    >>> escaped_latex("iiv_CL 5 %")
    'iiv\\\\_CL 5 \\\\%'
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def latex(one: Table) -> str:
    """A table for LaTeX, with the rules of `booktabs`."""
    columns = "l" + "r" * (len(one.head) - 1)
    lines = [" & ".join(map(escaped_latex, cells)) + r" \\" for cells in (one.head, *one.rows)]
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join(["\\begin{table}", rf"\caption{{{escaped_latex(one.title)}}}", r"\centering", *body,
                      r"\end{tabular}", r"\end{table}", ""])  # fmt: skip


def _write_word(tables: list[Table], path: Path) -> Path:
    if find_spec("docx") is None:
        raise WorkbenchError("Tables for Word need python-docx: pip install python-docx.")
    document: Any = import_module("docx").Document()
    for one in tables:
        document.add_paragraph(one.title, style="Caption")
        made = document.add_table(rows=1, cols=len(one.head), style="Table Grid")
        for cell, text in zip(made.rows[0].cells, one.head, strict=True):
            cell.text = text
        for row in one.rows:
            for cell, text in zip(made.add_row().cells, row, strict=True):
                cell.text = text
    content = io.BytesIO()
    document.save(content)
    return write(content.getvalue(), path)


def _cell(value: object, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else markup.short(value, digits)
    return markup.cell(value, digits)
