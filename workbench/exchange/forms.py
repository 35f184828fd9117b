"""The forms that a model can be written in, by name: what the command line and the panels offer."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.checks import one_of
from workbench.data import GroupedData
from workbench.exchange.control import write_nonmem
from workbench.exchange.mlxtran import write_mlxtran
from workbench.exchange.nlmixr2 import write_nlmixr2
from workbench.exchange.writing import place_of, save, stated
from workbench.model import Model
from workbench.results import FitResult

Write = Callable[[FitResult | Model, "str | os.PathLike[str]", GroupedData | None, str | None], Path]


@dataclass(frozen=True)
class Form:
    """A form: its title, the ending of its file, and what writes it."""

    title: str
    ending: str
    write: Write


def write_python(
    fit_or_model: FitResult | Model,
    path: str | os.PathLike[str],
    data: GroupedData | None = None,
    method: str | None = None,
) -> Path:
    """Write a script of Python that fits the model, and its data beside it.

    Parameters
    ----------
    fit_or_model : FitResult or Model
    path : path
        The script, as "run1.py"; ".py" is put to a name without it. The data are the same name with ".csv".
    data : GroupedData, optional
        Needed for a model; of a fit, its own if not given.
    method : str, optional
        For a model; of a fit, its own if not given.

    Returns
    -------
    Path
        The script.
    """
    model, data, method = stated(fit_or_model, data, method, "write_python")
    place = place_of(path, (".py",))
    frame, roles = data.content.frame, {k: v for k, v in data.content.roles.items() if v}
    named = "".join(f"    {role!r}: {column!r},\n" for role, column in roles.items())
    units = f",\n    units={dict(data.content.units)!r}" if data.content.units else ""
    text = (
        "import workbench as wb\n\n"
        f"data = wb.read_data({place.with_suffix('.csv').name!r}, roles={{\n{named}}}, name={data.name!r},\n"
        f"    allow={_ALLOWED!r}{units})\n"
        f"model = {model!r}\n"
        f"fit = wb.fit(model, data, method={method!r})\nprint(fit)\n"
    )
    save({place.with_suffix(".csv"): frame.to_csv(index=False, lineterminator="\n"), place: text})
    return place


_ALLOWED = ("negative time", "subject without dose", "subject without observation", "dose without amount")

FORMS: dict[str, Form] = {
    "nonmem": Form("NONMEM", ".mod", write_nonmem),
    "nlmixr2": Form("nlmixr2", ".R", write_nlmixr2),
    "mlxtran": Form("Monolix", ".mlxtran", write_mlxtran),
    "python": Form("Python", ".py", write_python),
}


def form_of(name: str) -> Form:
    """The form of a name; others are refused with a list of what there is."""
    return FORMS[one_of("form", name, tuple(FORMS))]
