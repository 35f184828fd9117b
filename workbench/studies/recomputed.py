"""A fit from a file beside what the engine computes at its estimates: where they differ, it says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench import engine
from workbench.errors import WorkbenchError
from workbench.markup import decimals, short
from workbench.methods import Ability, method_of
from workbench.results import FitResult

_EXACT, _DRAWN = 1e-3, 1.0  # OFV units: what differs less is rounding, or the error of draws
_RELATIVE = 1e-6
_NAMED = 5


def recomputed(fit: FitResult, origin: str) -> FitResult:
    """The fit, whose message says where the objective or an estimate differs from what is computed now.

    Parameters
    ----------
    fit : FitResult
    origin : str
        What it was read from, and what had written it.
    """
    said = _differences(fit)
    return replace(fit, message=" ".join(filter(None, (fit.message, said and f"Read from {origin}: {said}"))))


def _differences(fit: FitResult) -> str:
    method = method_of(fit.method)
    if not method.can(Ability.VALUES):
        return ""
    try:
        now = engine.evaluated(fit.model, fit.data, method.stated(fit.options))
    except WorkbenchError as error:
        return f"its objective cannot be computed now. {error}"
    said = []
    allowed = (_DRAWN if method.drawn else _EXACT) + _RELATIVE * abs(now.ofv)
    if not abs(now.ofv - fit.ofv) <= allowed:
        said.append(
            f"its objective is {decimals(fit.ofv, 3)}, and {decimals(now.ofv, 3)} where it is computed now"
            f"{_where(fit, now.by_subject)}."
        )
    others = [
        f"{line.name} is {short(line.value, 6)} in the table and {short(now.values[line.name], 6)} in the model"
        for line in fit.lines
        if line.name in now.values and not np.isclose(line.value, now.values[line.name], rtol=1e-6, atol=1e-12)
    ]
    if others:
        more = f", and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        said.append(f"{'; '.join(others[:_NAMED])}{more}.")
    return " ".join(said)


def _where(fit: FitResult, now: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    """The subjects where it differs most."""
    subjects = fit.data.events.subjects
    if now.shape != fit.subject_ofv.shape:
        return ""
    delta = now - fit.subject_ofv
    order = [i for i in np.argsort(-np.abs(delta)) if abs(delta[i]) > _EXACT / max(len(delta), 1)]
    if not order:
        return ""
    named = ", ".join(f"{subjects[i]} ({delta[i]:+.3f})" for i in order[:_NAMED]).replace("-", "−")
    rest = f" and {len(order) - _NAMED} more" if len(order) > _NAMED else ""
    return f", most in subject {named}{rest}"
