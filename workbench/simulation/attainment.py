"""Targets of exposure, and how many people meet them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.checks import finite
from workbench.checks import share as checked_share
from workbench.errors import ModelError
from workbench.markup.numbers import interval, percent, quantity, short
from workbench.markup.printed import COLOURS, figure_class
from workbench.markup.shown import Shown
from workbench.simulation.result import Curve, Simulation
from workbench.simulation.units import Units, agreed, area_unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Auc = float | tuple[float | None, float | None]
When = float | tuple[float, float]

_Z = 1.959963984540054
_COARSE = 0.01  # relative error of an area: more is said


class Reached(NamedTuple):
    """Who meets a target: bool[P], and the number that decides, float64[P], with what it is called and its unit."""

    met: NDArray[np.bool_]
    number: Array
    name: str
    unit: str


@dataclass(frozen=True)
class Target:
    """What exposure should be; see `attainment`."""

    above: float | None
    below: float | None
    auc: tuple[float | None, float | None] | None
    at: When | None
    share: float
    response: str | None

    @classmethod
    def of(
        cls,
        above: float | None,
        below: float | None,
        auc: Auc | None,
        at: When | None,
        share: float,
        response: str | None,
    ) -> Target:
        """A target whose arguments are checked.

        Raises
        ------
        ModelError
            If nothing can meet it, or an argument cannot be read.
        """
        low, high = (None if v is None else finite(v, n, ModelError) for n, v in (("above", above), ("below", below)))
        area = None
        if auc is not None:
            pair = tuple(auc) if isinstance(auc, Sequence) else (auc, None)
            if len(pair) != 2 or isinstance(auc, str) or pair == (None, None):
                raise ModelError(f"auc={auc!r}; allowed are the least area, or (least, most) with None for no limit.")
            least, most = (None if v is None else finite(v, "auc", ModelError) for v in pair)
            area = (least, most)
            if least is not None and most is not None and not least < most:
                raise ModelError(f"auc={auc!r}: no area is above {least:g} and below {most:g}.")
        if low is None and high is None and area is None:
            raise ModelError("A target is needed: above=, below=, or auc=.")
        if low is not None and high is not None and not low < high:
            raise ModelError(f"above={above!r}, below={below!r}: no concentration is above {low:g} and below {high:g}.")
        when: When | None = None
        if isinstance(at, Sequence) and not isinstance(at, str):
            if len(at) != 2:
                raise ModelError(f"at={at!r}; allowed are a time, or (from, to).")
            when = (finite(at[0], "at"), finite(at[1], "at"))
            if not when[0] < when[1]:
                raise ModelError(f"at={at!r} ends before it begins.")
        elif at is not None:
            when = finite(at, "at", ModelError)
            if area is not None:
                raise ModelError(f"at={at!r} is a moment, and an area needs an interval: at=(from, to).")
        part = 1.0 if share == 1 else checked_share("share", share, 0.5, error=ModelError)
        return cls(low, high, area, when, part, response)

    @property
    def is_open(self) -> tuple[bool, bool]:
        """Whether more, and whether less, can do no harm."""
        area = self.auc or (None, None)
        return self.below is None and area[1] is None, self.above is None and area[0] is None

    def chosen(self, simulation: Simulation) -> list[Curve]:
        """The curves of the response that is meant, one of each group."""
        names = list(dict.fromkeys(curve.response for curve in simulation.curves))
        response = self.response if self.response is not None else names[0]
        if response not in names:
            raise ModelError(f"response={response!r}; simulated are {', '.join(names)}.")
        return [curve for curve in simulation.curves if curve.response == response]

    def _window(self, curve: Curve) -> slice:
        """Positions of the times at which it is looked."""
        time = curve.time
        if isinstance(self.at, float):
            near = np.flatnonzero(np.isclose(time, self.at, rtol=1e-9, atol=1e-9))
            if not len(near):
                nearest = time[np.argmin(np.abs(time - self.at))]
                raise ModelError(
                    f"at={self.at:g} is not among the times that were simulated, the nearest is {nearest:g}: "
                    "times= of the design."
                )
            return slice(int(near[0]), int(near[0]) + 1)  # of two, that before the dose
        begin, end = self.at or curve.group.regimen.interval or (float(time[0]), float(time[-1]))
        slack = 1e-9 * max(1.0, abs(end))
        first = int(np.searchsorted(time, begin + slack)) - 1  # the last at its beginning, after the dose
        if first < 0 or abs(time[first] - begin) > 1e-6 * max(1.0, abs(end)):
            first = int(np.searchsorted(time, begin - slack))
        last = int(np.searchsorted(time, end - slack))  # the first at its end, before a dose
        last = last if last < len(time) and time[last] <= end + slack else int(np.searchsorted(time, end + slack)) - 1
        if last - first < 1 or time[first] - begin > 0.05 * (end - begin) or end - time[last] > 0.05 * (end - begin):
            raise ModelError(
                f"From {begin:g} to {end:g} too few times were simulated (there are {short(float(time[0]))} to "
                f"{short(float(time[-1]))}): times= of the design, or none for a grid."
            )
        return slice(first, last + 1)

    def reached(self, curve: Curve, values: Array, units: Units) -> Reached:
        """Who of some people meets it, by their values[P, T] at the times of a curve.

        Raises
        ------
        ModelError
            If the times do not tell.
        """
        part = self._window(curve)
        y, t = values[:, part], curve.time[part]
        met = np.ones(len(y), dtype=bool)
        number, name = y[:, 0], f"at {quantity(short(float(t[0])), units.get('time'))}"
        unit = units.get("response", "")
        if self.above is not None or self.below is not None:
            low = -math.inf if self.above is None else self.above
            high = math.inf if self.below is None else self.below
            if len(t) == 1:
                met &= (y[:, 0] > low) & (y[:, 0] < high)
            elif self.share == 1.0:
                enough, little = (y > low).all(axis=1), (y < high).all(axis=1)
                met &= enough & little
                missed = enough.sum() <= little.sum() if math.isfinite(low) and math.isfinite(high) else low > -math.inf
                number, name = (y.min(axis=1), "lowest") if missed else (y.max(axis=1), "highest")
            else:
                number, name, unit = time_share(y, t, low, high), "share of time", ""
                met &= number >= self.share
        if self.auc is not None:
            number, name, unit = area(y, t), "AUC", area_unit(units)
            met &= (number > (-math.inf if self.auc[0] is None else self.auc[0])) & (
                number < (math.inf if self.auc[1] is None else self.auc[1])
            )
        return Reached(met, number, name, unit)

    def doubt(self, curve: Curve) -> str:
        """What there is to say of an area whose times lie far apart."""
        if self.auc is None:
            return ""
        part = self._window(curve)
        y, t = curve.typical[None, part], curve.time[part]
        some = np.unique(np.r_[np.arange(0, len(t), 2), len(t) - 1])
        whole, half = float(area(y, t)[0]), float(area(y[:, some], t[some])[0])
        error = abs(half - whole) / (3 * abs(whole)) if whole else 0.0
        return (
            f"Areas by trapezoids through {len(t)} times may be off by {percent(error, 1)}." if error > _COARSE else ""
        )

    def in_words(self, units: Units) -> str:
        """It in words, with the units that are given."""
        time = units.get("time")
        text = _limits(self.above, self.below, units.get("response", ""))
        if isinstance(self.at, float):
            return f"{text} at {quantity(f'{self.at:g}', time)}"
        where = "in the last interval"
        if self.at is not None:
            where = f"from {self.at[0]:g} to {quantity(f'{self.at[1]:g}', time)}"
        if text:
            text += " at all times" if self.share == 1 else f" for {percent(self.share)} of the time"
        if self.auc is not None:
            text = " and ".join(filter(None, [text, f"AUC {_limits(*self.auc, area_unit(units))}"]))
        return f"{text} {where}"

    @property
    def code(self) -> str:
        """Its arguments as Python."""
        usual = {"above": None, "below": None, "auc": None, "at": None, "share": 1.0, "response": None}
        return ", ".join(f"{k}={getattr(self, k)!r}" for k, value in usual.items() if getattr(self, k) != value)


def _limits(low: float | None, high: float | None, unit: str) -> str:
    limits = (("above", low), ("below", high))
    return " and ".join(f"{side} {quantity(f'{limit:g}', unit)}" for side, limit in limits if limit is not None)


def area(y: Array, t: Array) -> Array:
    """Area by linear trapezoids, float64[P]."""
    return np.asarray(((y[:, 1:] + y[:, :-1]) * (0.5 * np.diff(t))).sum(axis=1))


def time_share(y: Array, t: Array, low: float, high: float) -> Array:
    """Share of the time in which lines through y[P, T] lie between two limits, float64[P]."""
    bottom, top = np.minimum(y[:, 1:], y[:, :-1]), np.maximum(y[:, 1:], y[:, :-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (np.minimum(top, high) - np.maximum(bottom, low)) / (top - bottom)
    inside = np.where(top > bottom, np.clip(inside, 0.0, 1.0), (bottom > low) & (bottom < high))
    return np.asarray(inside @ np.diff(t) / (t[-1] - t[0]))


class Chance(NamedTuple):
    """A probability with its Monte Carlo standard error and 95 % interval (Wilson's)."""

    probability: float
    se: float
    lower: float
    upper: float


def chance(met: NDArray[np.bool_], replicates: int) -> Chance:
    """The share of people who meet a target; those of one replicate may share their parameters."""
    p = float(met.mean())
    means = met.reshape(replicates, -1).mean(axis=1)
    se = float(means.std(ddof=1) / math.sqrt(replicates)) if replicates > 1 else math.nan
    n = p * (1 - p) / se**2 if se > 0 else float(replicates)
    centre, half = p + _Z**2 / (2 * n), _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    lower, upper = ((centre + sign * half) / (1 + _Z**2 / n) for sign in (-1, 1))
    return Chance(p, se, max(0.0, lower) if p > 0 else 0.0, min(1.0, upper) if p < 1 else 1.0)


class Row(NamedTuple):
    """A regimen of an attainment."""

    label: str
    chance: Chance
    people: int
    number: Array
    name: str
    unit: str


@dataclass(frozen=True, eq=False, repr=False)
class Attainment(Shown):
    """The probability of target attainment, regimen by regimen.

    Attributes
    ----------
    target : str
        In words.
    rows : tuple of Row
    remarks : tuple of str
    code : str
        Python that makes it.
    """

    target: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]
    code: str = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """By regimen: probability, its Monte Carlo se and 95 % interval; people; quantiles of the deciding number."""
        import pandas as pd

        rows = []
        for row in self.rows:
            low, middle, high = np.quantile(row.number, [0.05, 0.5, 0.95])
            rows.append((*row.chance, row.people, low, middle, high))
        columns = ["probability", "se", "lower", "upper", "people", "5 %", "median", "95 %"]
        return pd.DataFrame(rows, columns=columns, index=pd.Index([row.label for row in self.rows], name="regimen"))

    @property
    def sentence(self) -> str:
        """How many meet it, and how far those are who do not."""
        parts = [f"Target: {self.target}."]
        for row in self.rows:
            p = row.chance
            if p.probability == 0.0:
                reach = quantity(interval(float(row.number.min()), float(row.number.max())), row.unit)
                parts.append(f"{row.label}: none of {row.people:,} people meets it ({row.name}: {reach}).")
            else:
                said = f"{percent(p.probability, 1)} ± {percent(p.se, 1)} of people meet it"
                parts.append(f"{row.label}: {said}.")
        return " ".join([*parts, *self.remarks])

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, self.table]

    def plot(self) -> Figure:
        """Probabilities with their 95 % Monte Carlo intervals (matplotlib)."""
        figure = figure_class()(figsize=(6.4, 0.9 + 0.35 * len(self.rows)), layout="constrained")
        panel = figure.subplots()
        p = np.array([row.chance for row in self.rows])
        y = np.arange(len(p))[::-1]
        ends = np.maximum([p[:, 0] - p[:, 2], p[:, 3] - p[:, 0]], 0.0)
        panel.barh(y, p[:, 0], xerr=ends, color=COLOURS[0], height=0.6, error_kw={"ecolor": "#222222", "capsize": 3})
        panel.set_yticks(y, [row.label for row in self.rows])
        panel.set_xlim(0, 1)
        panel.set_xlabel(f"probability: {self.target}")
        return figure


def attainment(
    simulation: Simulation | Iterable[Simulation] | Mapping[str, Simulation],
    *,
    above: float | None = None,
    below: float | None = None,
    auc: Auc | None = None,
    at: When | None = None,
    share: float = 1.0,
    response: str | None = None,
) -> Attainment:
    """The probability that a new person meets a target of exposure, with its Monte Carlo error.

    With a simulation whose parameters are uncertain, the probability takes that into account as well.

    Parameters
    ----------
    simulation : Simulation, or several
        As `simulate` gives it for a design; a list, or a dict by name, compares them.
    above, below : float, optional
        Between which values the prediction, without residual error, is to stay.
    auc : float or (low, high), optional
        The least area under the curve, or its limits, None for no limit; by linear trapezoids.
    at : float or (from, to), optional
        A moment, or an interval; the interval after the last dose (or all times) unless said.
    share : float
        Of the time in the interval that must be between above and below.
    response : str, optional
        Where there are several; the first unless said.

    Returns
    -------
    Attainment

    Raises
    ------
    ModelError
        If nothing can meet the target, or the times that were simulated do not tell.

    Examples
    --------
    >>> import workbench as wb
    >>> values = [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 20.0, iiv=0.2)]
    >>> model = wb.Model(wb.pk(), values, error=wb.Proportional(0.1))
    >>> low, high = (wb.simulate(model, wb.Design(wb.Regimen(a, every=12, times=5)), seed=1) for a in (100, 200))
    >>> found = wb.attainment([low, high], above=2)
    >>> found.table["probability"].is_monotonic_increasing
    True
    """
    target = Target.of(above, below, auc, at, share, response)
    named: list[tuple[str | None, Simulation]]
    if isinstance(simulation, Simulation):
        named = [(None, simulation)]
    elif isinstance(simulation, Mapping):
        named = [(str(name), one) for name, one in simulation.items()]
    else:
        named = [(None, one) for one in simulation] if isinstance(simulation, Iterable) else []
    if not named or not all(isinstance(one, Simulation) for _, one in named):
        raise ModelError("What is judged is wb.simulate(fit, wb.Design(…)), or several of them in a list.")
    rows, remarks = [], dict[str, None]()
    for name, one in named:
        chosen = target.chosen(one)
        for curve in chosen:
            who = target.reached(curve, curve.predicted, one.units)
            label = curve.label if name is None else name if len(chosen) == 1 else f"{name}: {curve.label}"
            rows.append(Row(label, chance(who.met, one.replicates), len(who.met), who.number, who.name, who.unit))
            remarks |= dict.fromkeys(filter(None, [*one.remarks, target.doubt(curve)]))
    units = agreed(one.units for _, one in named)
    given: Any = "simulation" if isinstance(simulation, Simulation) else "simulations"
    return Attainment(target.in_words(units), tuple(rows), tuple(remarks), f"wb.attainment({given}, {target.code})")
