"""A fit as a plain record, for files, the history of runs, and whoever reads JSON."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from workbench import plain
from workbench.checks import file_at
from workbench.data import stored
from workbench.errors import FileError

ARRAYS = (
    "omega_matrix", "occasion_matrix", "eta_matrix", "parameter_matrix", "record", "response", "pred", "ipred",
    "analysed_pred", "analysed_ipred", "sd", "isd", "linear_prediction", "linear_slope", "subject_ofv",
)  # fmt: skip
TEXTS = ("method", "message", "se_reason", "accuracy")
NUMBERS = ("ofv", "seconds", "seconds_for_rivals")


@cache
def versions() -> dict[str, str]:
    """What computed it: workbench, Python, and the packages below."""
    from workbench import __version__

    others = {name: version(name) for name in ("numpy", "scipy", "llvmlite", "pandas")}
    return {"python": platform.python_version(), "workbench": __version__, **others}


def record(fit: Any, *, data: bool = False, numbers: plain.Numbers = plain.numbers) -> dict[str, Any]:
    """A fit with everything that it reports.

    Parameters
    ----------
    fit : FitResult
    data : bool
        With the records of its data.
    numbers : callable
        How arrays are written.
    """
    made: dict[str, Any] = {
        "kind": "fit",
        "schema": plain.SCHEMA,
        "versions": versions(),
        "model": repr(fit.model),
        "given": repr(fit.given),
        "options": None if fit.options is None else repr(fit.options),
        "status": fit.status.name,
        "converged": fit.converged,
        **{name: getattr(fit, name) for name in TEXTS},
        **{name: plain.number(getattr(fit, name)) for name in NUMBERS},
        "minus2ll": plain.number(fit.minus2ll),
        "aic": plain.number(fit.aic),
        "bic": plain.number(fit.bic),
        "observations": fit.n_observations,
        "estimated": fit.n_estimated,
        "evaluations": int(fit.evaluations),
        "estimates": [
            {
                "name": e.name, "value": plain.number(e.value), "se": plain.number(e.se), "rse": plain.number(e.rse),
                "lower": plain.number(e.lower), "upper": plain.number(e.upper), "fixed": bool(e.fixed), "kind": e.kind,
            }
            for e in fit.lines
        ],
        "covariance": None if fit.covariance is None else numbers(fit.covariance),
        "random_effects": list(fit.random_effects),
        "occasion_effects": list(fit.occasion_effects),
        "trace": [[int(iteration), plain.number(ofv)] for iteration, ofv in fit.trace],
        "path": numbers(fit.along()),
        "settings": [[name, plain.plain_scalar(value)] for name, value in fit.settings],
        "starts": [
            {name: plain.plain_scalar(value) for name, value in start._asdict().items()} for start in fit.tried
        ],
        "failures": [[plain.plain_scalar(subject), why] for subject, why in fit.failures.items()],
        "counted": fit.counted,
        "rivals": [
            {
                "what": rival.what, "ofv": plain.number(rival.ofv), "delta_ofv": plain.number(rival.delta_ofv),
                "model": repr(rival.model), "said": rival.said,
            }
            for rival in fit.rivals
        ],
        "data": stored.about(fit.data),
        "censored": np.isnan(fit.y).tolist(),  # the other observations are those of the data
        **{name: numbers(getattr(fit, name)) for name in ARRAYS},
    }  # fmt: skip
    if data:
        made["records"] = stored.records(fit.data, numbers)
    return made


_TOLD = {
    "kind": "What is saved: fit.",
    "versions": "What computed it.",
    "given": "The model as it was given to the fit, in Python.",
    "model": "The model at the estimates, in Python.",
    "options": "Of the method, in Python; null where it has none.",
    "converged": "Whether the estimates are a minimum of the objective.",
    "estimates": "A line for each: name, value, se, rse (per cent), lower, upper (95 %), fixed, kind; natural scale.",
    "path": "The estimates at each step of the trace.",
    "starts": "Where each of several starting points ended.",
    "data": "Name, hash, counts, and the steps that made the data, as Python and one by one.",
    "censored": "Which observations of the likelihood are censored.",
    "failures": "Pairs of a subject and why it could not be fitted alone.",
    "settings": "Pairs of a name and the value of a further argument of the fit.",
}
_LISTS = ("estimates", "random_effects", "occasion_effects", "trace", "path", "settings", "starts", "failures",
          "rivals", "censored")  # fmt: skip


def schema(said: dict[str, str]) -> dict[str, Any]:
    """The JSON schema of what `record` gives, `kind` and `schema` apart; `said` is what is known of its fields."""
    made: dict[str, Any] = {name: {"type": "string"} for name in ("kind", "model", "given", "status", *TEXTS)}
    made |= {"converged": {"type": "boolean"}, "versions": {"type": "object"}, "data": {"type": "object"}}
    made |= {name: {"type": "integer"} for name in ("observations", "estimated", "evaluations")}
    made |= {name: {"type": ["number", "string", "null"]} for name in (*NUMBERS, "minus2ll", "aic", "bic")}
    made |= {name: {"type": "array"} for name in (*ARRAYS, *_LISTS)}
    made |= {"covariance": {"type": ["array", "null"]}, "options": {"type": ["string", "null"]}}
    made |= {"counted": {"type": ["integer", "null"]}}
    told = {**said, **_TOLD}
    return {name: {**one, "description": told[name]} if told.get(name) else one for name, one in made.items()}


def write(content: str | bytes, path: str | os.PathLike[str]) -> Path:
    """Write a file whole or not at all: one that was there stays until the new one is complete.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    target = file_at(path)
    raw = content.encode("utf-8") if isinstance(content, str) else content
    if target.exists() and not target.is_file():
        raise FileError(f"{target} is no file that could be written.")
    try:
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as draft:
            try:
                draft.write(raw)
                draft.flush()
                os.fsync(draft.fileno())
            except OSError:
                Path(draft.name).unlink(missing_ok=True)
                raise
        Path(draft.name).chmod(0o666 & ~_mask())
        Path(draft.name).replace(target)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {error.strerror or error}.") from None
    return target


@cache
def _mask() -> int:
    """What new files are not allowed to be."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
