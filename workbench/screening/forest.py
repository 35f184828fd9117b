"""How much covariates move the typical parameters, relative to a reference subject."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.checks import is_number
from workbench.data.tables import is_categorical
from workbench.engine.problem.scale import Quantity
from workbench.errors import FitError
from workbench.language.formula import columns_of
from workbench.model import Parameter
from workbench.model.design import design_columns
from workbench.model.transform import Z95
from workbench.results.fit import FitResult

Array = NDArray[np.float64]

_STEP = 1e-4  # of a standard error, in the differences of the delta method


def forest(
    fit: FitResult,
    reference: Mapping[str, Any] | None = None,
    band: tuple[float, float] = (0.8, 1.25),
    percentiles: tuple[float, float] = (5, 95),
) -> pd.DataFrame:
    """Ratio of typical parameters to those of a reference subject, one covariate moved at a time.

    Parameters
    ----------
    fit : FitResult
    reference : dict, optional
        Values of covariates of the reference subject; by default the median over the subjects, of categories the most
        frequent one.
    band : (float, float)
        Ratios that do not matter clinically.
    percentiles : (float, float)
        Of numbers, where the ratio is taken; categories are taken at each level.

    Returns
    -------
    DataFrame
        parameter, covariate, at ("5 %", "95 %", or "level"), value, reference, ratio, lower and upper (95 % interval by
        the delta method on the logarithm; NaN without a covariance), and verdict: "inside" the band, "outside" it, or
        "open" where the interval has a part in both; "" without an interval.

    Raises
    ------
    FitError
        If `reference` names what is no covariate of the model or no value of it, or band or percentiles are none.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order")).with_covariate("V", "WT")
    >>> wb.forest(wb.fit(model, data))["at"].tolist()
    ['5 %', '95 %']
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"Effects are shown of a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    if not (len(percentiles) and all(0 <= q <= 100 for q in percentiles)):
        raise FitError(f"percentiles={percentiles!r}; numbers between 0 and 100 are needed, such as (5, 95).")
    if not (len(band) == 2 and 0 < band[0] < band[1]):
        raise FitError(f"band={band!r}; two positive ratios are needed, the lower one first, such as (0.8, 1.25).")
    names = tuple(dict.fromkeys(c for p in fit.model.parameters for e in p.covariates for c in columns_of(e.term)))
    if not names:
        return pd.DataFrame(columns=_COLUMNS)
    unknown = [name for name in reference or {} if name not in names]
    if unknown:
        raise FitError(f"reference names {', '.join(unknown)}; the covariates of the model are {', '.join(names)}.")
    values = fit.data.covariate_values(names)
    first = values.iloc[fit.data.events.start[:-1]].reset_index(drop=True)
    for name, value in (reference or {}).items():
        _check_value(name, value, values[name])
    usual = {n: first[n].mode()[0] if is_categorical(first[n]) else float(first[n].median()) for n in names}
    centre = usual | dict(reference or {})
    rows = []
    for parameter in fit.model.parameters:
        for name in dict.fromkeys(c for e in parameter.covariates for c in columns_of(e.term)):
            seen = values[name] if is_categorical(values[name]) else first[name]
            for at, value in _places(seen, centre[name], percentiles):
                ratio, lower, upper = _ratio(fit, parameter, values, centre, {**centre, name: value})
                rows.append(
                    (parameter.name, name, at, value, centre[name], ratio, lower, upper, _verdict(lower, upper, band))
                )
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = ["parameter", "covariate", "at", "value", "reference", "ratio", "lower", "upper", "verdict"]


def _places(values: pd.Series[Any], centre: Any, percentiles: tuple[float, float]) -> list[tuple[str, Any]]:
    if is_categorical(values):
        levels = sorted(values.unique().tolist(), key=lambda level: (isinstance(level, str), level))
        return [("level", level) for level in levels if level != centre]
    return [(f"{q:g} %", float(np.percentile(values.to_numpy(dtype=float), q))) for q in percentiles]


def _check_value(name: str, value: object, values: pd.Series[Any]) -> None:
    """Refuse a value that the covariate of a reference subject cannot have."""
    if is_categorical(values):
        levels = sorted(set(values.tolist()), key=str)
        if value not in levels:
            raise FitError(f"reference: {name} is {value!r}; it has {', '.join(map(repr, levels))}.")
    elif not is_number(value) or not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise FitError(f"reference: {name} is {value!r}; a number is needed.")


def _verdict(lower: float, upper: float, band: tuple[float, float]) -> str:
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return ""
    if band[0] <= lower and upper <= band[1]:
        return "inside"
    return "outside" if upper < band[0] or lower > band[1] else "open"


def _ratio(
    fit: FitResult, parameter: Parameter, records: pd.DataFrame, centre: Mapping[str, Any], moved: Mapping[str, Any]
) -> tuple[float, float, float]:
    """Ratio of the typical value at `moved` to that at `centre`, with its interval."""
    two = pd.DataFrame([dict(centre), dict(moved)])[list(records.columns)]
    rows = pd.concat([records, two.astype(records.dtypes.to_dict())], ignore_index=True)
    X = [design_columns(effect.term, rows)[0][-2:] for effect in parameter.covariates]
    own = [e for e in fit.lines if e.name == parameter.name or e.name.startswith(f"{parameter.name}:")]
    estimates = np.array([e.value for e in own])

    def log_ratio(values: Array) -> float:
        at_centre, at_moved = _typical(parameter, values, X)
        return math.log(at_moved / at_centre) if at_moved / at_centre > 0 else math.nan

    centre_value = log_ratio(estimates)
    ratio = math.exp(centre_value)
    free = [e.name for e in fit.lines if not e.fixed]
    at = [(k, free.index(e.name)) for k, e in enumerate(own) if e.name in free]
    if fit.covariance is None or not at:
        return ratio, math.nan, math.nan
    covariance = fit.covariance[np.ix_([m for _, m in at], [m for _, m in at])]
    slopes = np.zeros(len(at))
    for j, (k, _) in enumerate(at):
        step = _STEP * math.sqrt(covariance[j, j])
        ends = [log_ratio(estimates + sign * step * np.eye(len(own))[k]) for sign in (1, -1)]
        slopes[j] = (ends[0] - ends[1]) / (2 * step)
    half = Z95 * math.sqrt(max(float(slopes @ covariance @ slopes), 0.0))
    return ratio, math.exp(centre_value - half), math.exp(centre_value + half)


def _typical(parameter: Parameter, values: Array, X: list[Array]) -> tuple[float, float]:
    """Typical values on the natural scale in two rows of the design; `values` are the estimate and its coefficients."""
    typical = Quantity.typical(parameter)
    z, factor = np.full(2, typical.transformed(float(values[0]))), np.ones(2)
    at = 1
    for effect, columns in zip(parameter.covariates, X, strict=True):
        part = columns @ values[at : at + columns.shape[1]]
        at += columns.shape[1]
        if effect.fractional:
            factor = factor * (1.0 + part)
        else:
            z = z + part
    one, two = (typical.natural(float(value))[0] * f for value, f in zip(z, factor, strict=True))
    return one, two
