"""Profile likelihood: how the objective rises as one estimate is moved and all others follow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from workbench import engine
from workbench.errors import FitError, ModelError, WorkbenchError
from workbench.model import Model
from workbench.results import Estimate, FitResult

if TYPE_CHECKING:
    import pandas as pd

_WIDEST = 2.0  # the first step at the most, as a share of the value or as a logarithm
_MOST = 12  # fits on either side
_CLOSE = 0.02  # to the rise that is looked for


class ProfilePoint(NamedTuple):
    """The estimate held at a value, and the objective with all others refitted."""

    value: float
    ofv: float
    delta_ofv: float
    status: str


@dataclass(frozen=True)
class Profile:
    """Profile likelihood of one estimate.

    Attributes
    ----------
    name : str
    estimate : float
    level : float
    points : tuple of ProfilePoint
        In order of the value.
    lower, upper : float
        Ends of the interval, where the OFV has risen by the χ²(1) quantile of `level`; NaN where none was found.
    reason : str
        Why an end is missing; "" where none is.
    """

    name: str
    estimate: float
    level: float
    points: tuple[ProfilePoint, ...]
    lower: float
    upper: float
    reason: str

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self.lower, self.upper

    @property
    def table(self) -> pd.DataFrame:
        """One row per point: value, ofv, delta_ofv, status."""
        import pandas as pd

        return pd.DataFrame(self.points, columns=list(ProfilePoint._fields))

    def __repr__(self) -> str:
        text = f"{self.name} {self.estimate:.4g}, {100 * self.level:g} % interval {self.lower:.4g} … {self.upper:.4g}"
        return f"{text} by profile likelihood ({len(self.points)} points)" + (f". {self.reason}" if self.reason else "")


def profile(
    fit: FitResult, name: str, *, level: float = 0.95, callback: Callable[[int], object] | None = None
) -> Profile:
    """Profile likelihood of an estimate: a typical value, a standard deviation of η, or a residual error.

    From the estimate outwards on both sides, every fit starting where its neighbour ended, until the OFV has risen by
    the quantile of χ²(1); no normal distribution of the estimate is assumed.

    Parameters
    ----------
    fit : FitResult
        Converged.
    name : str
        As in `fit.estimates`.
    level : float
        Of the interval, between 0 and 1.
    callback : callable, optional
        Called with the number of fits so far; stops by returning something true, and what is done is kept.

    Returns
    -------
    Profile

    Raises
    ------
    FitError
        If the fit did not converge, or the estimate is fixed, of another kind, or not there.
    """
    from scipy.stats import chi2

    estimate = fit.estimate(name)
    if not fit.converged:
        raise FitError(f"There is no minimum to start from: {fit.status.value}")
    if estimate.fixed:
        raise FitError(f"{name} is fixed: it has no profile.")
    if fit.method in ("individual", "two-stage"):
        raise FitError(f"A fit by {fit.method!r} has no profile: what its stages minimise is not one objective.")
    if not 0 < level < 1:
        raise FitError(f"level={level!r}; a number between 0 and 1 is needed, such as 0.95.")
    _held(fit.model, estimate, estimate.value)
    rise = float(chi2.ppf(level, 1))
    points = [ProfilePoint(estimate.value, fit.ofv, 0.0, fit.status.name)]
    ends, reasons, fits, stopped = {}, [], 0, False
    for sign, side in ((-1, "lower"), (1, "upper")):
        ends[side], model = math.nan, fit.model
        inner, outer = (0.0, 0.0), None  # distance and root of the rise
        distance = _first_step(estimate, rise)
        for _ in range(_MOST):
            if stopped:
                break
            value = _moved(estimate, sign * distance)
            try:
                point = engine.fit(_held(model, estimate, value), fit.data, fit.options or fit.method, covariance=False)  # type: ignore[arg-type]
            except WorkbenchError:
                outer = (distance, math.inf)
                distance = 0.5 * (inner[0] + distance)
                continue
            fits += 1
            stopped = bool(callback is not None and callback(fits))
            delta = point.ofv - fit.ofv
            points.append(ProfilePoint(value, point.ofv, delta, point.status.name))
            here = (distance, math.sqrt(max(delta, 0.0)))
            if abs(delta - rise) < _CLOSE:
                ends[side] = value
                break
            if delta < rise:
                inner, model = here, _held(point.model, estimate, value)
            else:
                outer = here
            distance = _next(inner, outer, math.sqrt(rise))
        if math.isnan(ends[side]):
            if stopped:
                why = "it was stopped"
            elif outer is None:
                why = f"the OFV did not rise by {rise:.2f} within {_MOST} fits"
            else:
                ends_of_it = (_moved(estimate, sign * distance) for distance in (inner[0], outer[0]))
                why = "it lies between {:.4g} and {:.4g} and was not found more closely".format(*ends_of_it)
            reasons.append(f"No {side} end: {why}.")
    points.sort()
    return Profile(name, estimate.value, level, tuple(points), ends["lower"], ends["upper"], " ".join(reasons))


def _next(inner: tuple[float, float], outer: tuple[float, float] | None, root: float) -> float:
    """Where the root of the rise, nearly straight in the distance, should be `root`."""
    if outer is None:
        slope = inner[1] / inner[0] if inner[0] else 0.0
        return inner[0] * min(max(root / inner[1] if slope > 0 else 2.0, 1.2), 2.0) if inner[0] else 1.0
    if not math.isfinite(outer[1]):
        return 0.5 * (inner[0] + outer[0])
    share = (root - inner[1]) / (outer[1] - inner[1])
    return inner[0] + (outer[0] - inner[0]) * min(max(share, 0.05), 0.95)


def _positive(estimate: Estimate) -> bool:
    return estimate.kind in ("log", "iiv", "iov", "error")


def _first_step(estimate: Estimate, rise: float) -> float:
    relative = abs(estimate.se / estimate.value) if estimate.value else math.nan
    size = relative if _positive(estimate) else estimate.se
    usual = 0.3 if _positive(estimate) else 0.3 * abs(estimate.value) or 0.3
    return min(size * math.sqrt(rise), _WIDEST) if math.isfinite(size) else usual


def _moved(estimate: Estimate, distance: float) -> float:
    return estimate.value * math.exp(distance) if _positive(estimate) else estimate.value + distance


def _held(model: Model, estimate: Estimate, value: float) -> Model:
    """The model with the estimate fixed at a value."""
    name, kind = estimate.name, estimate.kind
    if kind in ("log", "identity", "logit", "probit"):
        return _with_part(model, name, "value", value)
    if kind in ("iiv", "iov"):
        return _with_part(model, name.removeprefix(f"{kind}_"), kind, value)
    if kind == "error":
        several = len(model.errors) > 1
        for response, error in zip(model.structure.responses, model.errors, strict=True):
            for own in error.names:
                if name == (f"{own}_{response}" if several else own):
                    kept = tuple(dict.fromkeys((*error.fixed_names, own)))
                    held = replace(error.with_values({own: value}), fixed=kept)
                    return model.with_error(held, response=response if several else None)
    raise FitError(f"{name} cannot be profiled: only typical values, standard deviations and residual errors can.")


def _with_part(model: Model, name: str, part: str, value: float) -> Model:
    kept = tuple(dict.fromkeys((*model[name].fixed_parts, part)))
    try:
        return model.with_parameter(name, **{part: value, "fixed": kept})
    except ModelError as error:
        raise FitError(f"{name} cannot be held at {value:.4g}: {error}") from None
