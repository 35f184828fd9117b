"""The dose that meets a target with so much probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.checks import share as checked_share
from workbench.checks import whole
from workbench.errors import ModelError
from workbench.markup.numbers import interval, percent, quantity, short
from workbench.markup.printed import COLOURS, figure_class, in_unit
from workbench.markup.shown import Shown
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.attainment import Auc, Chance, Target, When, chance
from workbench.simulation.design import Design
from workbench.simulation.individual import Individual
from workbench.simulation.people import Source, simulated
from workbench.simulation.regimen import Regimen, plain
from workbench.simulation.result import Simulation
from workbench.simulation.uncertainty import Uncertain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_DOUBLINGS = 10  # of the amount, and halvings, that are looked at
_FINE = 4  # steps in a doubling, where predictions are proportional to the dose
_EDGE = 2e-3  # relative, of an amount
_ROUND = (1, 1.5, 2, 3, 4, 5, 7)  # digits of amounts that are ticks
_GOLDEN = 0.3819660112501051
_GOLDEN_STEPS = 9


@dataclass(frozen=True, eq=False, repr=False)
class FoundDose(Shown):
    """An amount, and the probability that it meets a target.

    Attributes
    ----------
    regimen : Regimen
        With the amount that was found; of a sum, with all amounts in the same proportion.
    chance : Chance
        Probability with this regimen, and its Monte Carlo error.
    asked : float
        The probability asked for.
    lowest, highest : float, optional
        Amounts between which that is met; None where there is no end among those that were looked at, or none meets it.
    amounts, probabilities : float64[k]
        Amounts that were looked at.
    target : str
        In words.
    remarks : tuple of str
    code : str
        Python that makes it.
    units : dict
        Of amount, time and response, where they are known.
    """

    regimen: Regimen
    chance: Chance
    asked: float
    lowest: float | None
    highest: float | None
    amounts: Array
    probabilities: Array
    target: str
    remarks: tuple[str, ...]
    code: str = field(repr=False)
    units: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def unit(self) -> str:
        """Of amounts; "" where it is not known."""
        return self.units.get("amount", "")

    @property
    def amount(self) -> float:
        """Of each dose (of the first regimen of a sum, without its loading dose)."""
        return self.regimen.amount

    @property
    def met(self) -> bool:
        """Whether the probability asked for is reached."""
        return self.chance.probability >= self.asked

    @cached_property
    def table(self) -> pd.DataFrame:
        """Probability by amount."""
        import pandas as pd

        return pd.DataFrame({"probability": self.probabilities}, index=pd.Index(self.amounts, name="amount"))

    @property
    def sentence(self) -> str:
        """The amount, what it reaches, and what else would."""
        p = f"{percent(self.chance.probability, 1)} ± {percent(self.chance.se, 1)}"
        target = f"target ({self.target})"
        if self.chance.probability == 0.0:
            looked = quantity(interval(float(self.amounts[0]), float(self.amounts[-1])), self.unit)
            return " ".join([f"No amount from {looked} meets the {target} for anybody.", *self.remarks])
        if not self.met:
            text = (
                f"No amount meets the {target} with a probability of {percent(self.asked)}: the most is {p}, with "
                f"{quantity(short(self.amount), self.unit)}."
            )
            return " ".join([text, *self.remarks])
        parts = [f"{self.regimen.in_words(self.units)}: meets the {target} with a probability of {p}."]
        if self.lowest is not None and self.highest is not None:
            between = quantity(interval(self.lowest, self.highest), self.unit)
            parts.append(f"Amounts from {between} reach {percent(self.asked)}.")
        elif self.lowest is not None:
            parts.append(f"It is the least amount that reaches {percent(self.asked)}.")
        elif self.highest is not None:
            parts.append(f"It is the largest amount that reaches {percent(self.asked)}.")
        return " ".join([*parts, *self.remarks])

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        seen = (self.probabilities > 0.01) & (self.probabilities < 0.99)
        return [self.sentence, self.table[seen]] if seen.any() else [self.sentence]

    def plot(self) -> Figure:
        """Probability against amount (matplotlib)."""
        figure = figure_class()(figsize=(6.4, 3.4), layout="constrained")
        panel = figure.subplots()
        panel.plot(self.amounts, self.probabilities, color=COLOURS[0])
        panel.axhline(self.asked, color="#555555", linewidth=0.9, linestyle="--")
        panel.plot([self.amount], [self.chance.probability], "o", color=COLOURS[1])
        panel.set_xscale("log")
        panel.set_ylim(0, 1.02)
        panel.set_xlabel(f"amount of each dose{in_unit(self.unit)}")
        panel.set_ylabel("probability")
        panel.set_title(self.target, fontsize=9)
        seen = np.flatnonzero(self.probabilities > 0.005)
        ends = np.flatnonzero(self.probabilities < 0.995)
        if len(seen) and len(ends):
            first, last = max(0, seen[0] - 1), min(len(self.amounts) - 1, seen[-1] + 1)
            first = first if self.probabilities[first] < 0.5 else max(0, ends[0] - 4)
            last = last if self.probabilities[last] < 0.5 else min(len(self.amounts) - 1, ends[-1] + 4)
            panel.set_xlim(self.amounts[first], self.amounts[last])
        low, high = panel.get_xlim()
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        round_ones = [d * 10.0**p for p in powers for d in _ROUND if low <= d * 10.0**p <= high]
        panel.set_xticks(round_ones, [short(value) for value in round_ones])
        panel.set_xticks([], minor=True)
        return figure


def find_dose(
    source: FitResult | Individual | Model,
    regimen: Regimen,
    *,
    above: float | None = None,
    below: float | None = None,
    auc: Auc | None = None,
    at: When | None = None,
    share: float = 1.0,
    response: str | None = None,
    probability: float = 0.9,
    covariates: Mapping[str, Any] | None = None,
    times: Iterable[float] | None = None,
    replicates: int = 1000,
    seed: int = 1,
    uncertainty: Uncertain = False,
) -> FoundDose:
    """Find the amount with which a target is met with a certain probability.

    Where more does no harm to the target (`above`, a least `auc`) it is the least amount that reaches the probability;
    where less does none, the largest; else the one with the largest probability. The same people are given every
    amount, so that the probability is a smooth function of it; its Monte Carlo error is part of the result.

    The regimen begins with nothing in the body, for a patient, too: what is left of earlier doses is not counted, so
    that the target should be looked at after a few doses, as it is by default in the last interval.

    Parameters
    ----------
    source : FitResult, Individual or Model
        New people of a population, or one patient, as uncertain as its parameters are (see `individualise`).
    regimen : Regimen
        Its amounts are scaled, from a thousandth to a thousandfold.
    above, below, auc, at, share, response
        The target, see `attainment`.
    probability : float
    covariates : dict, optional
        As of `Design`; a patient brings its own.
    times : sequence of float, optional
        As of `Design`.
    replicates, seed : int
    uncertainty : bool, Bootstrap or Sir
        As of `simulate`.

    Returns
    -------
    FoundDose
        `met` is False, and `sentence` says so, where no amount reaches the probability.

    Raises
    ------
    ModelError
        If nothing can meet the target, or an argument cannot be read.

    Examples
    --------
    >>> import workbench as wb
    >>> values = [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 20.0, iiv=0.2)]
    >>> model = wb.Model(wb.pk(), values, error=wb.Proportional(0.1))
    >>> found = wb.find_dose(model, wb.Regimen(100, every=12, times=6), above=2)
    >>> found.met, 150 < found.amount < 300
    (True, True)
    """
    if not isinstance(source, Model | FitResult | Individual):
        raise ModelError(f"The first argument is a fit, a model or an individual, got {type(source).__name__}.")
    target = Target.of(above, below, auc, at, share, response)
    asked = checked_share("probability", probability, 0.9, error=ModelError)
    replicates, seed = whole("replicates", replicates, 2), whole("seed", seed)
    if not isinstance(regimen, Regimen):
        raise ModelError(f"The second argument is a wb.Regimen(…) whose amounts are scaled, got {regimen!r:.60}.")
    if not regimen.amount > 0:
        raise ModelError(f"{regimen!r} has no amount that could be scaled; any above 0 will do.")
    design = Design(regimen, times, covariates)
    look = _Look(source, design, target, replicates, seed, uncertainty)
    more, less = target.is_open
    factors = look.range(asked)
    found = np.array([look.probability(c) for c in factors])
    best = int(np.argmax(found))
    top = float(factors[best]) if more or less else _highest(look.probability, factors, best)
    low = high = None
    if look.probability(top) >= asked:
        low = _edge(look.probability, asked, [c for c in factors if c < top][::-1], top)
        high = _edge(look.probability, asked, [c for c in factors if c > top], top)
    factor = (low if more else high if less else top) or top
    given = look.chance(factor)
    remarks = list(look.remarks)
    if given.probability >= asked and ((more and low is None) or (less and high is None)):
        remarks.append(f"So does every {'smaller' if more else 'larger'} amount that was looked at.")
    scale = regimen.amount
    return FoundDose(
        regimen=regimen.scaled(factor), chance=given, asked=asked, lowest=None if low is None else low * scale,
        highest=None if high is None else high * scale, amounts=factors * scale, probabilities=found,
        target=target.in_words(look.units), remarks=tuple(remarks), code=_code(source, regimen, target, asked),
        units=look.units,
    )  # fmt: skip


class _Look:
    """The probability as a function of the factor of all amounts; the same people throughout."""

    def __init__(
        self, source: Source, design: Design, target: Target, replicates: int, seed: int, uncertainty: Uncertain
    ):
        self._source, self._design, self._target = source, design, target
        self._replicates, self._seed, self._uncertainty = replicates, seed, uncertainty
        self._first = self._simulated(1.0)
        (self._curve,) = target.chosen(self._first)
        self.units = self._first.units
        model = source if isinstance(source, Model) else source.model
        kinetics = model.structure.kinetics
        logs = any(error.data_are_logarithms for error in model.errors)
        self.proportional = kinetics is not None and kinetics.is_linear and not logs
        doubt = target.doubt(self._curve)
        self.remarks = (*self._first.remarks, *((doubt,) if doubt else ()))
        self._known: dict[float, Chance] = {}

    def range(self, asked: float) -> Array:
        """Factors among which the answer lies, in order.

        All, where that costs little; else from 1 on in the direction in which the probability asked for is passed, or
        has its maximum.
        """
        if self.proportional:
            return np.asarray(2.0 ** (np.arange(-_DOUBLINGS * _FINE, _DOUBLINGS * _FINE + 1) / _FINE))
        more, less = self._target.is_open
        if more or less:
            enough = self.probability(1.0) >= asked
            step = 1 if enough == less else -1
            last = 0
            while abs(last) < _DOUBLINGS and (self.probability(2.0**last) >= asked) == enough:
                last += step
            powers = range(min(0, last), max(0, last) + 1)
        else:
            low, high = -2, 2
            while True:
                found = [self.probability(2.0**k) for k in range(low, high + 1)]
                best = low + int(np.argmax(found))
                if low < best < high or max(-low, high) >= _DOUBLINGS:
                    break
                low, high = (low - 2, high) if best == low else (low, high + 2)
            powers = range(low, high + 1)
        return 2.0 ** np.array(powers, dtype=float)

    def _simulated(self, factor: float) -> Simulation:
        (group,) = self._design.groups
        design = Design.of([replace(group, regimen=group.regimen.scaled(factor))])
        rng = np.random.default_rng(self._seed)
        return simulated(self._source, design, self._replicates, rng, self._uncertainty, "")

    def chance(self, factor: float) -> Chance:
        """With its Monte Carlo error."""
        if factor not in self._known:
            if self.proportional:
                values = factor * self._curve.predicted
            else:
                (curve,) = self._target.chosen(self._simulated(factor))
                values = curve.predicted
            met = self._target.reached(self._curve, values, self.units).met
            self._known[factor] = chance(met, self._replicates)
        return self._known[factor]

    def probability(self, factor: float) -> float:
        """Of the target."""
        return self.chance(factor).probability


def _highest(probability: Callable[[float], float], factors: Array, best: int) -> float:
    """Where the probability is largest, near the best of some factors (golden section)."""
    low, high = (math.log(factors[min(max(best + step, 0), len(factors) - 1)]) for step in (-1, 1))
    a, b = low + _GOLDEN * (high - low), high - _GOLDEN * (high - low)
    p, q = probability(math.exp(a)), probability(math.exp(b))
    seen = [float(factors[best]), math.exp(a), math.exp(b)]
    for _ in range(_GOLDEN_STEPS):
        if p >= q:
            high, b, q = b, a, p
            a = low + _GOLDEN * (high - low)
            p = probability(math.exp(a))
            seen.append(math.exp(a))
        else:
            low, a, p = a, b, q
            b = high - _GOLDEN * (high - low)
            q = probability(math.exp(b))
            seen.append(math.exp(b))
    return max(seen, key=probability)


def _edge(probability: Callable[[float], float], asked: float, others: Sequence[float], inside: float) -> float | None:
    """The last factor that reaches the probability, on the way from one that does to the others; None: all do."""
    for other in others:
        if probability(float(other)) < asked:
            outside = float(other)
            break
        inside = float(other)
    else:
        return None
    while abs(math.log(outside / inside)) > _EDGE:
        middle = math.sqrt(inside * outside)
        inside, outside = (middle, outside) if probability(middle) >= asked else (inside, middle)
    return inside


def _code(source: Source, regimen: Regimen, target: Target, asked: float) -> str:
    name = "individual" if isinstance(source, Individual) else "fit"
    return f"wb.find_dose({name}, {regimen!r}, {target.code}, probability={plain(asked)})"
