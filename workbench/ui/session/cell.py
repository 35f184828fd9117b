"""Reads a Workbench cell: `bench.code = …` is the way back from code to panels.

The text is interpreted, never evaluated: assignments, literals, the constructors of models and data, and their verbs.
Anything else is a ModelError that points at it, so that a cell from a stranger cannot run code.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import workbench
from workbench import engine
from workbench.data import GroupedData
from workbench.errors import DataError, Fault, ModelError
from workbench.language.calls import Reader
from workbench.methods import METHODS, USUAL
from workbench.model import Model
from workbench.results.fit import Settings

_MAKERS = frozenset(
    ["load_example", "read_data", "pk", "pkpd", "equation", "ode", "Model", "Parameter", "Transform", "Effect", "Block",
     "Constant", "Proportional", "Combined", "Combined2", "Power", "Exponential", "initial_values"]
)  # fmt: skip
_VERBS = {
    GroupedData: frozenset(["filter", "exclude", "mend", "convert", "with_units", "with_covariate_rule"]),
    Model: frozenset(
        ["with_structure", "with_parameter", "with_values", "with_iiv", "with_iov", "with_error", "with_correlate",
         "with_blq", "with_covariate", "without_covariate", "allometric", "with_centred", "with_settled_shapes",
         "without_values", "without_random_effects"]
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """What `wb.fit(model, data, method=…)` in a cell asks for."""

    model: Model
    data: GroupedData
    method: object
    settings: Settings


@dataclass(frozen=True)
class Statement:
    """What a cell states; None where it does not say."""

    data: GroupedData | None
    model: Model | None
    method: object
    settings: Settings = ()


def read_cell(text: str, data: GroupedData | None = None) -> Statement:
    """Interpret a cell.

    Parameters
    ----------
    text : str
        As `bench.code` prints it; the statements may also differ.
    data : GroupedData, optional
        What `data` is where the cell's own expression for it needs a DataFrame of the notebook.

    Raises
    ------
    ModelError
        If it holds anything but statements about data, a model and a fit.
    DataError
        If the data that it names cannot be read, or lie outside the folder of the notebook: a cell from a stranger is
        not to read what it likes. The file that `data` came from is excepted.
    """

    def read_data(*given: Any, **named: Any) -> Any:
        _check_path(given[0] if given else named.get("source"), data)
        return workbench.read_data(*given, **named)

    makers = {**_makers(), "fit": _fitted, "read_data": read_data}
    found = Reader(text, makers, _VERBS, {} if data is None else {"data": data}).run()
    fits = [value for value in found.values() if isinstance(value, Fitted)]
    if fits:
        return Statement(fits[-1].data, fits[-1].model, fits[-1].method, fits[-1].settings)
    models = [value for value in found.values() if isinstance(value, Model)]
    sets = [value for value in found.values() if isinstance(value, GroupedData)]
    return Statement(sets[-1] if sets else None, models[-1] if models else None, None)


def _makers() -> dict[str, Any]:
    """What makes data, a model, or the options of a method, by name."""
    return {
        **{name: getattr(workbench, name) for name in _MAKERS},
        **{method.options.__name__: method.options for method in METHODS.values() if method.options is not None},
    }


def _check_path(source: Any, data: GroupedData | None) -> None:
    own = data.history[0].args[:1] if data is not None else ()
    if not isinstance(source, str) or (source,) == own:
        return
    try:
        inside = Path(source).resolve().is_relative_to(Path.cwd())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        message = "lies outside the folder of the notebook, where code that is set does not read"
        mend = "move the file into it, or read it yourself: bench.data = wb.read_data(…)"
        raise DataError(Fault(message, mend=mend), ascii(source[:200]))


def _fitted(*given: Any, **named: Any) -> Fitted:
    """What `fit` would be asked for by these arguments; it takes all of them but the callback."""
    if "callback" in named:
        raise ModelError("wb.fit(…) in a cell that is read takes no callback.")
    stated = signature(engine.fit).bind(*given, **named).arguments
    model, data = stated["model"], stated["data"]
    if not isinstance(model, Model) or not isinstance(data, GroupedData):
        raise ModelError("wb.fit(…) takes a model, then data.")
    return Fitted(model, data, stated.get("method", USUAL), engine.unusual(stated))
