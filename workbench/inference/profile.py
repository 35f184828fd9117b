"""Profile likelihood: how the objective rises as one estimate is moved and all others follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.checks import share, whole
from workbench.engine.ending.uncertainty import edges
from workbench.engine.problem.compile import compile
from workbench.engine.problem.scale import Quantity
from workbench.engine.search.optimise import minimise
from workbench.errors import FitError
from workbench.inference.held import Held
from workbench.inference.target import check_method, starts_of
from workbench.markup import Html, Recorded, interval, short, svg, tag
from workbench.methods import Ability, method_of
from workbench.parallel import Work, each
from workbench.results.fit import FitResult, Status
from workbench.results.tables import Estimate

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_WIDEST = 2.0  # the first step at the most, as a share of the value or as a logarithm
_MOST = 12  # fits on either side
_CLOSE = 0.02  # to the rise that is looked for
_SURE = 1 - 1e-6  # a correlation nearer to 1 is taken to be this


class ProfilePoint(NamedTuple):
    """The estimate held at a value, and the objective with all others refitted."""

    value: float
    ofv: float
    delta_ofv: float
    status: str


@dataclass(frozen=True)
class Profile(Recorded):
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

    @property
    def rise(self) -> float:
        """The rise of the OFV at the ends of the interval: the quantile of χ²(1)."""
        from scipy.stats import chi2

        return float(chi2.ppf(self.level, 1))

    def __repr__(self) -> str:
        text = f"{self.name} {short(self.estimate)}, {100 * self.level:g} % interval {interval(self.lower, self.upper)}"
        return f"{text} by profile likelihood ({len(self.points)} points)" + (f". {self.reason}" if self.reason else "")

    def _repr_html_(self) -> str:
        return tag("div", repr(self), tag("br"), _drawing(self))


def profile(
    fit: FitResult,
    name: str,
    *,
    level: float = 0.95,
    points: int = 0,
    jobs: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Profile:
    """Profile likelihood of any estimate that is not fixed.

    From the estimate outwards on both sides, every search starting where its neighbour ended, until the OFV has risen
    by the quantile of χ²(1); no normal distribution of the estimate is assumed. Steps are those of the logarithm for
    what is positive, of Fisher's z for a correlation, and of its transform for a value between bounds.

    Parameters
    ----------
    fit : FitResult
        Converged.
    name : str
        As in `fit.estimates`.
    level : float
        Of the interval, between 0 and 1.
    points : int
        So many more, evenly between the ends (or the furthest point, where an end is missing), for a smooth curve.
    jobs : int, optional
        Searches at the same time, as by `bootstrap`; one on either side at the most. The result is the same bits.
    callback : callable, optional
        Called with the number of searches so far; stops by returning something true, and what is done is kept.

    Returns
    -------
    Profile

    Raises
    ------
    FitError
        If the fit did not converge, or the estimate is fixed or not there.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> wb.profile(fit, "V", points=0)
    V ..., 95 % interval ... by profile likelihood (... points)
    """
    check_method(fit, "A profile", Ability.PROFILE)
    estimate = fit.estimate(name)
    if not fit.converged:
        raise FitError(f"There is no minimum to start from: {fit.status.value}")
    if estimate.fixed:
        raise FitError(f"{name} is fixed: it has no profile.")
    level = share("level", level, 0.95, error=FitError)
    points = whole("points", points, 0, FitError)
    curve = _Curve(fit, estimate, level, jobs, callback)
    (lower, why_lower), (upper, why_upper) = curve.ends()
    reasons = [f"No {side} end: {why}." for side, why in (("lower", why_lower), ("upper", why_upper)) if why]
    curve.fill(points)
    return Profile(name, estimate.value, level, curve.points, lower, upper, " ".join(reasons))


class _Reached(NamedTuple):
    """Where a search with the estimate held ended."""

    ofv: float
    status: str
    x: Array


@dataclass(frozen=True, eq=False)
class _Searches:
    """Searches with an estimate held, each from an x; what a search finds depends on no other."""

    fit: FitResult
    which: int

    def __call__(self) -> Work:
        fit = self.fit
        begin = starts_of(fit.model, fit.data, fit.method, fit.options)

        def search(item: tuple[float, Array]) -> _Reached | None:
            value, x = item
            target = begin()
            try:
                end = minimise(Held(target, self.which, value), x)
            except FitError:
                return None
            at, status = end.evaluation, end.status
            if status.ok and edges(target.problem, at):
                status = Status.boundary
            return _Reached(at.ofv, status.name, at.x)

        return search


class _Curve:
    """The points of a profile so far, by their distance from the estimate on the scale of the steps."""

    def __init__(
        self, fit: FitResult, estimate: Estimate, level: float, jobs: int | None,
        callback: Callable[[int], object] | None,
    ):  # fmt: skip
        from scipy.stats import chi2

        self._fit, self._estimate, self._jobs, self._callback = fit, estimate, jobs, callback
        self._rise = float(chi2.ppf(level, 1))
        problem = compile(method_of(fit.method).fitted(fit.model), fit.data)
        quantities = problem.scale.quantities
        which = [one.label for one in quantities].index(estimate.name)
        self._searches, self._steps = _Searches(fit, which), _Steps(quantities[which], estimate)
        point = ProfilePoint(estimate.value, fit.ofv, 0.0, fit.status.name)
        self._found: dict[float, tuple[ProfilePoint, Array]] = {0.0: (point, problem.x)}
        self._fits, self._stopped = 0, False

    @property
    def points(self) -> tuple[ProfilePoint, ...]:
        """In order of the value."""
        return tuple(sorted(point for point, _ in self._found.values()))

    def ends(self) -> list[tuple[float, str]]:
        """Of the lower and the upper side: the value where the OFV has risen as far as is asked, or NaN and why not."""
        sides = [self._end(sign) for sign in (-1, 1)]
        found: list[tuple[float, str]] = [(math.nan, "")] * len(sides)
        wanted = {k: next(side) for k, side in enumerate(sides)}
        while wanted:
            points = self._reached(list(wanted.values()))
            following = {}
            for k, point in zip(wanted, points, strict=True):
                try:
                    following[k] = sides[k].send(point)
                except StopIteration as end:
                    found[k] = end.value
            wanted = following
        return found

    def _end(self, sign: int) -> Generator[float, ProfilePoint | None, tuple[float, str]]:
        """The end on one side; asks for the points at distances."""
        inner, outer = (0.0, 0.0), None  # distance and root of the rise
        distance = self._steps.first(self._rise)
        for _ in range(_MOST):
            if self._stopped:
                return math.nan, "it was stopped"
            point = yield sign * distance
            if point is None:
                outer = (distance, math.inf)
                distance = 0.5 * (inner[0] + distance)
                continue
            if abs(point.delta_ofv - self._rise) < _CLOSE:
                return point.value, ""
            here = (distance, math.sqrt(max(point.delta_ofv, 0.0)))
            if point.delta_ofv < self._rise:
                inner = here
                if self._steps.exhausted(point.value):
                    return math.nan, f"the OFV does not rise by {self._rise:.2f} on the way to {sign}, its edge"
            else:
                outer = here
            distance = _next(inner, outer, math.sqrt(self._rise))
        if outer is None:
            return math.nan, f"the OFV did not rise by {self._rise:.2f} within {_MOST} fits"
        first, last = (self._steps.value(sign * distance) for distance in (inner[0], outer[0]))
        return math.nan, f"it lies between {first:.4g} and {last:.4g} and was not found more closely"

    def fill(self, count: int) -> None:
        """More points, evenly between the outermost ones that are not above what is asked for, from inside outwards."""
        near = [distance for distance, (point, _) in self._found.items() if point.delta_ofv < self._rise + _CLOSE]
        inner = sorted(np.linspace(min(near), max(near), count + 2)[1:-1].tolist(), key=abs)
        sides = [d for d in inner if d < 0], [d for d in inner if d >= 0]
        for pair in zip_longest(*sides):
            if self._stopped:
                return
            self._reached([distance for distance in pair if distance is not None])

    def _reached(self, distances: list[float]) -> list[ProfilePoint | None]:
        """The points at some distances, each from the nearest on the way to it; None where there is none."""
        new = [distance for distance in distances if distance not in self._found]
        items = [(self._steps.value(distance), self._found[self._nearest(distance)][1]) for distance in new]
        begun = self._fits
        for distance, found in zip(new, each(self._searches, items, self._jobs, self._told(begun)), strict=False):
            self._fits += 1
            if found is not None:
                value = self._steps.value(distance)
                point = ProfilePoint(value, found.ofv, found.ofv - self._fit.ofv, found.status)
                self._found[distance] = point, found.x
        return [self._found[distance][0] if distance in self._found else None for distance in distances]

    def _told(self, begun: int) -> Callable[[int, int], bool]:
        def tell(done: int, _: int) -> bool:
            self._stopped = self._stopped or bool(self._callback is not None and self._callback(begun + done))
            return self._stopped

        return tell

    def _nearest(self, distance: float) -> float:
        return min((d for d in self._found if d * distance >= 0), key=lambda d: abs(d - distance))


class _Steps:
    """The scale on which steps from an estimate are taken: that on which its distribution is nearly symmetric."""

    def __init__(self, name: Quantity, estimate: Estimate):
        self._name, self._estimate = name, estimate

    def value(self, distance: float) -> float:
        """The estimate moved by a distance."""
        if self._name.link.is_logarithm:
            return self._estimate.value * math.exp(distance)
        return self._name.natural(self._name.transformed(self._value) + distance)[0]

    def exhausted(self, value: float) -> bool:
        """Whether a correlation is so near to ±1 that there is nothing beyond."""
        return self._name.kind == "correlation" and abs(value) >= _SURE

    @property
    def _value(self) -> float:
        value = self._estimate.value
        return min(max(value, -_SURE), _SURE) if self._name.kind == "correlation" else value

    def first(self, rise: float) -> float:
        """The first step: where the standard error, if there is one, puts the rise."""
        value, se, link = self._value, self._estimate.se, self._name.link
        if link.is_logarithm:
            size = abs(se / value) if value else math.nan
        else:
            z = self._name.transformed(value)
            size = se / abs(self._name.natural(z)[1])
            if not link.is_relative:
                return size * math.sqrt(rise) if math.isfinite(size) else 0.3 * abs(z) or 0.3
        return min(size * math.sqrt(rise), _WIDEST) if math.isfinite(size) else 0.3


def _next(inner: tuple[float, float], outer: tuple[float, float] | None, root: float) -> float:
    """Where the root of the rise, nearly straight in the distance, should be `root`."""
    if outer is None:
        slope = inner[1] / inner[0] if inner[0] else 0.0
        return inner[0] * min(max(root / inner[1] if slope > 0 else 2.0, 1.2), 2.0) if inner[0] else 1.0
    if not math.isfinite(outer[1]):
        return 0.5 * (inner[0] + outer[0])
    share = (root - inner[1]) / (outer[1] - inner[1])
    return inner[0] + (outer[0] - inner[0]) * min(max(share, 0.05), 0.95)


def _drawing(profile: Profile) -> Html:
    """The curve as an inline SVG: ΔOFV by the value, and the rise at which the interval ends."""
    from scipy.interpolate import PchipInterpolator

    width, height, left, right, top, foot = 360, 180, 34, 10, 8, 34
    most = 1.6 * profile.rise
    value, first = np.unique([point.value for point in profile.points], return_index=True)
    root = np.sqrt(np.maximum([profile.points[k].delta_ofv for k in first], 0.0))
    if len(value) < 2:
        return Html()
    signed = np.where(value < profile.estimate, -root, root)
    grid = np.linspace(value[0], value[-1], 121)
    curve = PchipInterpolator(value, signed)(grid) ** 2
    shown = grid[curve <= most]
    low, high = float(shown[0]), float(shown[-1])
    if not low < high:
        return Html()

    def x(at: float) -> float:
        return left + (width - left - right) * (at - low) / (high - low)

    def y(at: float) -> float:
        return height - foot - (height - foot - top) * at / most

    foot_line, rise = height - foot, y(profile.rise)
    ink: dict[str, object] = {"stroke": "currentColor"}
    ends = [end for end in profile.interval if math.isfinite(end)]
    near = [p for p in profile.points if p.delta_ofv <= most and low <= p.value <= high]
    drawn = [(x(v), y(d)) for v, d in zip(grid.tolist(), curve.tolist(), strict=True) if d <= most]
    return svg.drawing(
        svg.path(drawn, fill="none", stroke_width=1.5, **ink),
        *(svg.circle(x(p.value), y(p.delta_ofv), 2.5, fill="currentColor") for p in near),
        *(svg.line((x(end), rise), (x(end), foot_line), stroke_dasharray="3 3", **ink) for end in ends),
        svg.line((left, rise), (width - right, rise), stroke_dasharray="6 3", **ink),
        svg.line((left, foot_line), (width - right, foot_line), **ink),
        svg.text(left - 4, rise + 4, short(profile.rise, 3), "end"),
        svg.text(left - 4, foot_line + 4, "0", "end"),
        *(svg.text(x(at), foot_line + 14, short(at, 3), "middle") for at in (*ends, profile.estimate)),
        svg.text((left + width - right) / 2, height - 4, f"ΔOFV by {profile.name}", "middle"),
        size=(width, height),
        box=(0, 0, width, height),
        label=f"Profile of {profile.name}",
        font_size=11,
        fill="currentColor",
    )
