"""What the Simulate tab asks: regimens, people, a target; and what comes of it. Values and functions; no widgets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workbench import checks, markup, simulation
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation import Attainment, Design, FoundDose, Regimen, Simulation
from workbench.simulation.result import Curve
from workbench.ui.session.drawing import NOBODY, Array, Axis, Band, Dots, Drawing, Kind, Stroke, logarithm

LETTERS = "ABCD"
PEOPLE = (200, 1000, 5000)
WINDOWS = ("last interval", "all times")
SHARES = (1.0, 0.9, 0.8, 0.5)
_STYLES: tuple[Kind, ...] = ("model", "other", "third", "expected")
PROBABILITY = 0.9
_SEED = 1
_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)
_DAY = 24.0
_ABOVE = 0.015  # of the axis, by which marks of doses stand above it, so that they are seen whole
Value = float | str


@dataclass(frozen=True)
class Scenario:
    """What is simulated; as it prints itself, it is kept in a saved study.

    Raises
    ------
    WorkbenchError
        If the Simulate tab has no such choice.

    Attributes
    ----------
    regimens : tuple of Regimen
    chosen : int
        The one that is edited, whose people are drawn as bands.
    covariates : tuple of (str, number or text)
    above, below : float or None
        The target; None for no limit.
    auc_above, auc_below : float or None
        Of the area under the curve.
    share : float
        Of the time that people must be within it.
    window : str
        Where it is judged: "last interval" or "all times".
    people : int
    uncertainty : bool
        Parameters are drawn as well.
    response : str
        Where there are several; "" for the first.
    """

    regimens: tuple[Regimen, ...]
    chosen: int = 0
    covariates: tuple[tuple[str, Value], ...] = ()
    above: float | None = None
    below: float | None = None
    share: float = 1.0
    window: str = "last interval"
    people: int = 1000
    uncertainty: bool = False
    response: str = ""
    auc_above: float | None = None
    auc_below: float | None = None

    def __post_init__(self) -> None:
        regimens, limits = self.regimens, (self.above, self.below, self.auc_above, self.auc_below)
        if not (isinstance(regimens, tuple) and all(isinstance(one, Regimen) for one in regimens)):
            raise WorkbenchError(f"Regimens are needed, got {regimens!r}.")
        if not 1 <= len(regimens) <= len(LETTERS):
            raise WorkbenchError(f"At least one regimen and at most {len(LETTERS)} are compared, got {len(regimens)}.")
        checks.one_of("chosen", self.chosen, range(len(regimens)), WorkbenchError)
        checks.one_of("window", self.window, WINDOWS, WorkbenchError)
        checks.one_of("share", self.share, SHARES, WorkbenchError)
        checks.one_of("people", self.people, PEOPLE, WorkbenchError)
        checks.one_of("uncertainty", self.uncertainty, (False, True), WorkbenchError)
        if not (isinstance(self.covariates, tuple) and all(_is_value(one) for one in self.covariates)):
            raise WorkbenchError(f"Covariates are names with numbers or texts, got {self.covariates!r}.")
        if not all(limit is None or (isinstance(limit, float | int) and math.isfinite(limit)) for limit in limits):
            raise WorkbenchError(f"Limits of a target are numbers, or None for no limit; got {limits!r}.")

    @property
    def regimen(self) -> Regimen:
        """The chosen one."""
        return self.regimens[self.chosen]

    def with_regimen(self, regimen: Regimen) -> Scenario:
        """The chosen one is another."""
        there = list(self.regimens)
        there[self.chosen] = regimen
        return replace(self, regimens=tuple(there))

    def with_copy(self) -> Scenario:
        """One more, which is that which is chosen until it is edited."""
        return replace(self, regimens=(*self.regimens, self.regimen), chosen=len(self.regimens))

    def without(self, number: int) -> Scenario:
        """One less; the last one stays."""
        if len(self.regimens) == 1:
            return self
        there = tuple(r for k, r in enumerate(self.regimens) if k != number)
        return replace(self, regimens=there, chosen=min(self.chosen, len(there) - 1))

    def design(self, regimen: Regimen) -> Design:
        """What is simulated of a regimen."""
        return Design(regimen, covariates=dict(self.covariates) or None)

    @property
    def at(self) -> tuple[float, float] | None:
        """Between which times the target is judged; None for the last interval of each."""
        if self.window == "last interval":
            return None
        ends = [regimen.interval for regimen in self.regimens]
        return (0.0, min(end[1] for end in ends if end is not None))

    @property
    def code(self) -> str:
        """Python that gives the same from `fit`."""
        people = f"replicates={self.people}, seed={_SEED}" + (", uncertainty=True" if self.uncertainty else "")
        lines = [
            f"{letter.lower()} = wb.simulate(fit, {self.design(regimen)!r}, {people})"
            for letter, regimen in zip(LETTERS, self.regimens, strict=False)
        ]
        if self.target:
            names = ", ".join(f'"{letter}": {letter.lower()}' for letter in LETTERS[: len(self.regimens)])
            lines.append(f"wb.attainment({{{names}}}, {self._target})")
        return "\n".join(lines)

    @property
    def target(self) -> dict[str, Any]:
        """The limits that are stated, as `attainment` takes them."""
        limits: dict[str, Any] = {"above": self.above, "below": self.below}
        if self.auc_above is not None or self.auc_below is not None:
            limits["auc"] = (self.auc_above, self.auc_below)
        return {name: value for name, value in limits.items() if value is not None}

    @property
    def _target(self) -> str:
        said = {**self.target, "at": self.at, "response": self.response or None}
        parts = [f"{name}={_plain(value)}" for name, value in said.items() if value is not None]
        return ", ".join([*parts, *([f"share={self.share:g}"] if self.share != 1 else [])])


def _is_value(pair: Any) -> bool:
    match pair:
        case (str(), float() | int() as number):
            return math.isfinite(number)
        case (str(), str()):
            return True
    return False


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a scenario comes to.

    Attributes
    ----------
    scenario : Scenario
    simulations : tuple of Simulation
    quantiles : tuple of float64[5, T]
        Of people: 5, 25, 50, 75, 95 %, one of each regimen.
    within, above, below, auc : Attainment or None
        Of the whole target, and of each of its parts.
    problem : str
        Why the target could not be judged.
    """

    scenario: Scenario
    simulations: tuple[Simulation, ...]
    quantiles: tuple[Array, ...]
    within: Attainment | None
    above: Attainment | None
    below: Attainment | None
    problem: str = ""
    auc: Attainment | None = None


def is_dosed(model: Model, data: GroupedData) -> bool:
    """Whether doses do anything."""
    return bool(model.structure.needs_dose or data.events.is_dose.any())


def usual(model: Model, data: GroupedData) -> Scenario:
    """Where to begin: the median dose of the data at their usual interval, covariates as they are in the middle."""
    events = data.events
    dosed = events.is_dose & (events.amount > 0)
    amount = float(np.median(events.amount[dosed])) if dosed.any() else 100.0
    gaps = np.diff(events.time[dosed])[np.diff(events.subject[dosed]) == 0] if dosed.any() else np.zeros(0)
    gaps = gaps[gaps > 0]
    hours = data.units.get("time", "").lower() in ("h", "hour", "hours", "")
    every = float(np.median(gaps)) if len(gaps) else 12.0 if hours else 1.0
    every = float(markup.rounded(every, 2))
    rates = events.rate[dosed] if dosed.any() else np.zeros(0)
    infusion = 0.0
    if len(rates) and (rates > 0).all():
        infusion = float(np.median(events.amount[dosed] / rates))
    regimen = Regimen(markup.rounded(amount, 3), every=every, times=6, infusion=markup.rounded(min(infusion, every), 3))
    return Scenario((regimen,), covariates=tuple((name, value) for name, value, *_ in covariates_of(model, data)))


def suited(before: Scenario, model: Model, data: GroupedData) -> Scenario:
    """One that was stated before, for a model whose people others describe: what it says of them stays if it can."""
    known, values = dict(before.covariates), []
    for name, usual, _, _, options in covariates_of(model, data):
        value = known.get(name, usual)
        fits = value in options if options else isinstance(value, float | int)
        values.append((name, value if fits else usual))
    return replace(before, covariates=tuple(values))


def covariates_of(model: Model, data: GroupedData) -> list[tuple[str, Value, float, float, tuple[Value, ...]]]:
    """Columns that the model needs: name, usual value, lowest, highest, and the values of a category."""
    found: list[tuple[str, Value, float, float, tuple[Value, ...]]] = []
    names = tuple(name for name in model.columns if name in data.covariate_names)
    values: pd.DataFrame = data.covariate_values(names)
    for name in names:
        column = values[name].dropna()
        numeric = pd.to_numeric(column, errors="coerce")
        levels = list(dict.fromkeys(column))
        if numeric.notna().all() and (len(levels) > 5 or not levels):
            middle = markup.rounded(float(numeric.median()), 4) if len(numeric) else 1.0
            found.append((name, middle, float(numeric.min()), float(numeric.max()), ()))
        else:
            options = tuple(v.item() if isinstance(v, np.generic) else v for v in sorted(levels, key=str))
            most = column.mode().iloc[0]
            usual_value = most.item() if isinstance(most, np.generic) else most
            found.append((name, usual_value, math.nan, math.nan, options))
    return found


def simulated(
    source: FitResult | Model, scenario: Scenario, kept: Mapping[object, Simulation] | None = None
) -> tuple[Outcome, dict[object, Simulation]]:
    """Simulate each regimen, those that were simulated before excepted, and judge the target.

    Raises
    ------
    WorkbenchError
        If a regimen cannot be simulated.
    """
    made: dict[object, Simulation] = {}
    for regimen in scenario.regimens:
        key = (id(source), regimen, scenario.covariates, scenario.people, scenario.uncertainty)
        found = (kept or {}).get(key)
        made[key] = found or simulation.simulate(
            source, scenario.design(regimen), scenario.people, _SEED, scenario.uncertainty
        )
    simulations = tuple(
        made[(id(source), regimen, scenario.covariates, scenario.people, scenario.uncertainty)]
        for regimen in scenario.regimens
    )
    quantiles = tuple(np.quantile(curve_of(one, scenario).predicted, _SHOWN, axis=0) for one in simulations)
    return judged(scenario, simulations, quantiles), made


def curve_of(one: Simulation, scenario: Scenario) -> Curve:
    """The curves of the response that is meant."""
    return next((curve for curve in one.curves if curve.response == scenario.response), one.curves[0])


def judged(scenario: Scenario, simulations: tuple[Simulation, ...], quantiles: tuple[Array, ...]) -> Outcome:
    """The outcome of what was simulated."""
    named = dict(zip(LETTERS, simulations, strict=False))
    stated, response = scenario.target, scenario.response or None
    if not stated:
        return Outcome(scenario, simulations, quantiles, None, None, None)
    try:
        within = simulation.attainment(
            named, at=scenario.at, share=scenario.share, response=response, **stated
        )  # fmt: skip
        each = {
            name: simulation.attainment(named, at=scenario.at, response=response, **{name: value})
            for name, value in stated.items()
        }
    except WorkbenchError as error:
        return Outcome(scenario, simulations, quantiles, None, None, None, str(error))
    return Outcome(scenario, simulations, quantiles, within, each.get("above"), each.get("below"), auc=each.get("auc"))


def found_dose(source: FitResult | Model, scenario: Scenario) -> FoundDose:
    """The amount of the chosen regimen that meets the target in nine of ten people."""
    return simulation.find_dose(
        source,
        scenario.regimen,
        **scenario.target,
        at=scenario.at,
        share=scenario.share,
        response=scenario.response or None,
        probability=PROBABILITY,
        covariates=dict(scenario.covariates) or None,
        replicates=scenario.people,
        uncertainty=scenario.uncertainty,
    )


# -- what is shown of it -----------------------------------------------------------------------------------------------


def drawing_of(outcome: Outcome, units: Mapping[str, str], logarithmic: bool) -> Drawing:
    """Curves of all regimens, the bands of the chosen one, its doses, and the target."""
    scenario, chosen = outcome.scenario, outcome.scenario.chosen
    scale = logarithm if logarithmic else _same
    time_unit, unit = units.get("time", ""), units.get("response", "")
    curves = [curve_of(one, scenario) for one in outcome.simulations]
    curve, last = curves[chosen], max(float(one.time[-1]) for one in curves)
    hours = time_unit.lower() in ("h", "hour", "hours")
    x = Axis(f"time, {time_unit}" if time_unit else "time", 0.0, last, hours=hours)
    shown = [q for one in outcome.quantiles for q in one]
    targets = [np.array([v]) for v in (scenario.above, scenario.below) if v is not None]
    title = f"{curve.response}, {unit}" if unit else curve.response
    y = (Axis.of_logarithms if logarithmic else Axis.around)(title, *[*(v[v > 0] for v in shown), *targets])
    if not logarithmic:
        y = replace(y, low=0.0)
    bands = [
        Band(curve.time, scale(outcome.quantiles[chosen][k]), scale(outcome.quantiles[chosen][-1 - k]), depth=k)
        for k in (0, 1)
    ]
    if curve.uncertain is not None:
        low, high = np.quantile(curve.uncertain, [0.05, 0.95], axis=0)
        bands.append(Band(curve.time, scale(low), scale(high), depth=1))
    window = scenario.at or curve.group.regimen.interval
    if window is not None and targets:
        ends = np.array(window)
        bands.append(Band(ends, np.full(2, y.low), np.full(2, y.high), depth=3))
    order = [chosen, *(k for k in range(len(outcome.simulations)) if k != chosen)]
    strokes = [Stroke(curves[k].time, scale(outcome.quantiles[k][2]), _STYLES[place]) for place, k in enumerate(order)]
    strokes += [Stroke(np.array([0.0, last]), np.repeat(scale(v), 2), "target") for v in targets]
    doses = np.array([dose.time for dose in curve.group.regimen.doses if dose.time <= last])
    given = [f"{markup.short(d.amount)} at {markup.short(d.time)} {time_unit}" for d in curve.group.regimen.doses]
    nobody = np.full(len(doses), NOBODY)
    foot = np.full(len(doses), y.low + _ABOVE * (y.high - y.low))
    dots = Dots(doses, foot, nobody, nobody, given[: len(doses)])
    named = [(str(_STYLES[place]), f"median of {LETTERS[k]}") for place, k in enumerate(order)]
    sure = [("band 1", "where the typical curve lies (90 %)")] if curve.uncertain is not None else []
    people = [("band 1", "half of people"), ("band 0", "90 %")]
    legend = [*named, *people, *sure, *([("target", "target")] if targets else [])]
    return Drawing(
        f"regimen {LETTERS[chosen]}", x, y, (dots,), tuple(strokes), tuple(bands), legend=legend, sentence="",
        table=outcome.simulations[chosen].table.reset_index(), code=scenario.code,
    )  # fmt: skip


def _same(values: Array) -> Array:
    return values


def verdicts(outcome: Outcome) -> pd.DataFrame:
    """A row of each regimen: share within the target with its Monte Carlo error, below and above it, extremes, area.

    Columns: regimen, probability, se, below, above, lowest, lowest_5, lowest_95, highest, highest_5, highest_95, auc,
    auc_5, auc_95.
    """
    rows: list[dict[str, Any]] = []
    for k in range(len(outcome.simulations)):
        row: dict[str, Any] = {"regimen": LETTERS[k]}
        if outcome.within is not None:
            row |= {"probability": outcome.within.rows[k].chance.probability, "se": outcome.within.rows[k].chance.se}
        for side, found, name in (("below", outcome.above, "lowest"), ("above", outcome.below, "highest")):
            if found is not None:
                low, middle, high = np.quantile(found.rows[k].number, [0.05, 0.5, 0.95])
                missed = 1.0 - found.rows[k].chance.probability
                row |= {side: missed, name: middle, f"{name}_5": low, f"{name}_95": high}
        if outcome.auc is not None:
            low, middle, high = np.quantile(outcome.auc.rows[k].number, [0.05, 0.5, 0.95])
            row |= {"auc": middle, "auc_5": low, "auc_95": high}
        rows.append(row)
    return pd.DataFrame(rows)


def sentence(outcome: Outcome) -> str:
    """What is to be decided by."""
    remarks = " ".join(dict.fromkeys(r for one in outcome.simulations for r in one.remarks))
    if outcome.problem:
        return f"{outcome.problem} {remarks}".strip()
    if outcome.within is None:
        return f"State a target to see how many people meet it. {remarks}".strip()
    rows = outcome.within.rows
    best = max(range(len(rows)), key=lambda k: rows[k].chance.probability)
    chance = rows[best].chance
    head = f"Target: {outcome.within.target}."
    if chance.probability == 0.0:
        return f"{outcome.within.sentence}".strip()
    error = f"{100 * chance.probability:.0f} ± {100 * chance.se:.1f}"
    if len(rows) == 1:
        said = f"{error} of 100 people meet it."
    else:
        shares = [f"{100 * row.chance.probability:.0f} with {LETTERS[k]}" for k, row in enumerate(rows) if k != best]
        others = ", ".join(shares)
        said = f"{LETTERS[best]} keeps {error} of 100 people there; {others}."
    return f"{head} {said} ± is the Monte Carlo error. {remarks}".strip()
