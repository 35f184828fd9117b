"""A fit from its plain record: arrays with the shapes that its data ask for, a model that is read, never evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from workbench import model as models
from workbench import plain
from workbench.data import GroupedData, stored
from workbench.errors import FileError, ModelError, WorkbenchError
from workbench.language.calls import Reader
from workbench.methods import METHODS, method_of
from workbench.model import Model, ResidualError
from workbench.results.fit import FitResult, Rival, Start, Status
from workbench.results.packing import ARRAYS, NUMBERS, TEXTS
from workbench.results.tables import Estimate

_MAKERS = (
    "pk", "pkpd", "equation", "ode", "Model", "Parameter", "Transform", "Effect", "Block", "Constant", "Proportional",
    "Combined", "Combined2", "Power", "Exponential",
)  # fmt: skip
_NEEDED = (
    *ARRAYS, *TEXTS, *NUMBERS, "model", "given", "options", "status", "evaluations", "estimates", "covariance",
    "random_effects", "occasion_effects", "trace", "path", "settings", "starts", "failures", "rivals", "data",
    "censored",
)  # fmt: skip
_WHOLE = ("record", "response")


def model_of(text: str) -> Model:
    """The model that prints itself as this text; residual errors of the session's own are known by name.

    Raises
    ------
    ModelError
        If it is no model, or needs something that is not there.
    """
    own = {kind.__name__: kind for kind in _kinds(ResidualError)}
    found = Reader(text, {**own, **{name: getattr(models, name) for name in _MAKERS}}).evaluate()
    if not isinstance(found, Model):
        raise ModelError(f"A model is needed, got {type(found).__name__}.")
    return found


def _kinds(base: type[Any]) -> Iterator[type[Any]]:
    kinds: list[type[Any]] = base.__subclasses__()
    for kind in kinds:
        yield kind
        yield from _kinds(kind)


def options_of(text: str | None) -> object:
    """Options of a method that print themselves as this text."""
    if text is None:
        return None
    makers = {method.options.__name__: method.options for method in METHODS.values() if method.options is not None}
    return Reader(text, makers).evaluate()


def data_in(record: dict[str, Any]) -> GroupedData | None:
    """The data of a fit, where its record has them."""
    if "records" not in record:
        return None
    plain.need(record, ("data",), "the saved fit")
    return stored.data_of(record["data"], record["records"])


def fit_of(record: dict[str, Any], data: GroupedData, what: str = "the saved fit") -> FitResult:
    """The fit that `packing.record` wrote.

    Parameters
    ----------
    record : dict
    data : GroupedData
        Those that were fitted.
    what : str
        What to call it in an error.

    Raises
    ------
    FileError
        If something is missing or not what it has to be.
    """
    plain.need(record, _NEEDED, what)
    try:
        return _fit_of(record, data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        if isinstance(error, FileError):
            raise
        said = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
        raise FileError(f"{what} cannot be restored: {said}") from None


def _fit_of(record: dict[str, Any], data: GroupedData) -> FitResult:
    model, given = model_of(record["model"]), model_of(record["given"])
    method_of(record["method"])
    lines = tuple(map(_line, record["estimates"]))
    subjects, free = len(data.events.subjects), sum(not line.fixed for line in lines)
    random, occasion = (tuple(map(str, record[name])) for name in ("random_effects", "occasion_effects"))
    at = plain.array(record["record"], (-1,), int)
    n = len(at)
    if n and (at.min() < 0 or at.max() >= len(data.events.row)):
        raise ValueError("its records are not among those of the data")
    eta = plain.array(record["eta_matrix"])
    effects = eta.shape[1] if eta.ndim == 2 else 0
    shapes: dict[str, tuple[int, ...]] = {
        "omega_matrix": (len(random), len(random)),
        "occasion_matrix": (len(occasion), len(occasion)),
        "eta_matrix": (subjects, effects),
        "parameter_matrix": (subjects, len(model.structure.names)),
        "linear_slope": (n, -1),
        "subject_ofv": (subjects,),
    }
    arrays = {
        name: plain.array(record[name], shapes.get(name, (n,)), int if name in _WHOLE else float) for name in ARRAYS
    }
    path = plain.array(record["path"])
    path = path.reshape(len(record["trace"]), len(lines)) if path.size else np.zeros((0, len(lines)))
    rest: dict[str, Any] = {
        **{name: str(record[name]) for name in TEXTS},
        **{name: _number(record[name]) for name in NUMBERS},
        **arrays,
        "y": _analysed(model, data, at, arrays["response"], plain.array(record["censored"], (n,), bool)),
    }
    known = {str(label): label for label in data.events.subjects}
    return FitResult(
        model=model,
        given=given,
        data=data,
        options=options_of(record["options"]),
        status=Status[record["status"]],
        trace=tuple((int(iteration), _number(ofv)) for iteration, ofv in record["trace"]),
        along=partial(np.asarray, path),
        evaluations=int(record["evaluations"]),
        lines=lines,
        covariance=None if record["covariance"] is None else plain.array(record["covariance"], (free, free)),
        random_effects=random,
        occasion_effects=occasion,
        settings=tuple((str(name), plain.scalar(value)) for name, value in record["settings"]),
        tried=tuple(Start(**{name: plain.scalar(start[name]) for name in Start._fields}) for start in record["starts"]),
        failures={known.get(str(subject), subject): str(why) for subject, why in record["failures"]},
        counted=None if record.get("counted") is None else int(record["counted"]),
        rivals=tuple(
            Rival(str(r["what"]), _number(r["ofv"]), _number(r["delta_ofv"]), model_of(r["model"]), str(r["said"]))
            for r in record["rivals"]
        ),
        **rest,
    )


def _line(e: dict[str, Any]) -> Estimate:
    value, se, lower, upper = (_number(e[part]) for part in ("value", "se", "lower", "upper"))
    return Estimate(str(e["name"]), value, se, lower, upper, bool(e["fixed"]), str(e["kind"]))


def _analysed(model: Model, data: GroupedData, at: Any, response: Any, censored: Any) -> Any:
    """Observations on the scale of the analysis, NaN where censored."""
    logs = np.array([error.takes_logarithm for error in model.errors], dtype=bool)[response]
    y = np.where(censored, np.nan, data.events.dv[at])
    y[logs] = np.log(y[logs])
    return y


def _number(written: Any) -> float:
    return float("nan") if written is None else float(written)
