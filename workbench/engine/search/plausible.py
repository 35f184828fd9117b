"""Plausible typical values: where a coarse search looks, from what doses, times and responses say.

Compartment models are searched by rate constants, where the volume follows from the responses; values of other
structures by their dimensions (see `dimensions`). The points of a search fill the space evenly and are always the same:
multiples of the square roots of prime numbers, modulo 1 (Kronecker's sequence).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.engine.problem.problem import Problem
from workbench.engine.search.coarse import Seen, quantile
from workbench.engine.search.dimensions import Powers, dimensions
from workbench.model.kinetics import Kinetics
from workbench.model.transform import Transform

Array = NDArray[np.float64]
Values = dict[str, Array]

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103)
_NEGATIVE = 0.2  # of the points, where a parameter of unknown sign can be
_EVENLY = 30.0  # ends of a range that lie less apart are not searched by the logarithm
_RATES = {  # k12, k21, k13, k31 as multiples of k, and ka
    "ka": (1.2, 40.0), "k12": (0.2, 6.0), "k21": (0.2, 4.0), "k13": (0.1, 2.0), "k31": (0.02, 0.3),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sizes:
    """What the data say of sizes.

    Attributes
    ----------
    first, span : float
        Time from the first event of a subject to the first later observations, and to the last.
    begin, end : float
        The range of the times.
    delay : float
        The shortest time from a first dose to a later observation.
    dose : float
        A usual amount; 1 where there is none.
    top, low : float64[K]
        Large and small values of each response.
    """

    first: float
    span: float
    begin: float
    end: float
    delay: float
    dose: float
    top: Array
    low: Array


def sizes_of(problem: Problem, seen: Seen) -> Sizes:
    """Sizes of times, doses and responses."""
    schedule = problem.schedule
    observed = schedule.slot >= 0
    begun = schedule.time[schedule.start[:-1]][schedule.subject]
    since, time = (schedule.time - begun)[observed], schedule.time[observed]
    since = since[since > 0]
    if not since.size:
        since = np.abs(time[time != 0]) if (time != 0).any() else np.ones(1)
    amounts = schedule.amount[schedule.amount > 0]
    low = np.empty(len(seen.top))
    for k in range(len(low)):
        mine = np.abs(seen.y[seen.response == k])
        low[k] = quantile(mine[mine > 0], 0.1) if (mine > 0).any() else seen.top[k]
    return Sizes(
        first=quantile(since, 0.1),
        span=float(since.max()),
        begin=float(time.min(initial=0.0)),
        end=float(time.max(initial=0.0)),
        delay=_delay(problem),
        dose=float(np.median(amounts)) if amounts.size else 1.0,
        top=seen.top,
        low=low,
    )


def _delay(problem: Problem) -> float:
    """Time from the first dose to the first later observation, of the subject where it is shortest."""
    schedule, found = problem.schedule, []
    for first, end in pairwise(schedule.start.tolist()):
        doses = schedule.time[first:end][schedule.amount[first:end] > 0]
        times = schedule.time[first:end][schedule.slot[first:end] >= 0]
        begun = doses.min() if doses.size else times.min(initial=0.0)
        later = times[times > begun]
        if later.size:
            found.append(float(later.min() - begun))
    return min(found, default=1.0)


class Points:
    """Points between 0 and 1 that fill the space evenly, a coordinate at a time."""

    def __init__(self, count: int):
        self.count, self._used = count, 0

    def next(self) -> Array:
        """The next coordinate of all points, float64[count]."""
        root = math.sqrt(_PRIMES[self._used % len(_PRIMES)]) * (1 + self._used // len(_PRIMES))
        self._used += 1
        return np.asarray((0.5 + np.arange(self.count) * root) % 1.0, dtype=np.float64)

    def between(self, low: float, high: float) -> Array:
        """The next coordinate, between two values by the logarithm."""
        return np.asarray(low * (high / low) ** self.next())


@dataclass(frozen=True, eq=False)
class Plausible:
    """Points of a search.

    Attributes
    ----------
    values : dict of str to float64[K]
        Of every parameter that is searched, natural scale.
    powers : dict of str to tuple of float
        Of time, dose and the responses in each parameter, where known.
    """

    values: Values
    powers: dict[str, Powers]


def plausible(
    problem: Problem, seen: Seen, missing: list[str], stated: dict[str, float], count: int, open_scale: bool
) -> Plausible:
    """Values that the data suggest for the parameters that are missing.

    Parameters
    ----------
    problem : Problem
    seen : Seen
    missing : list of str
    stated : dict of str to float
        Values of the others, of a typical subject.
    count : int
    open_scale : bool
        The size of the first response is fitted afterwards.
    """
    structure, sizes, points = problem.structure, sizes_of(problem, seen), Points(count)
    given = problem.schedule.compartment[problem.schedule.amount > 0]
    powers = dimensions(structure, np.maximum(np.unique(given), 1).tolist() or [1])
    values: Values = {}
    if structure.kinetics is not None:
        values = _kinetic(structure.kinetics, sizes, points, stated, open_scale)
    quantities = {name.label: name for name in problem.scale.thetas}
    for name in missing:
        if name not in values:
            quantity = quantities[name]
            values[name] = _by_powers(powers.get(name), sizes, points, quantity.link, quantity.bounds)
    for name in missing:
        if quantities[name].link.is_positive:
            values[name] = np.abs(values[name])
    return Plausible({name: values[name] for name in missing}, powers)


def _by_powers(
    powers: Powers | None, sizes: Sizes, points: Points, link: Transform, bounds: tuple[float, float]
) -> Array:
    """Values of a parameter of which its dimension is known, or nothing."""
    if link.needs_bounds:
        low, high = bounds
        share = 0.05 + 0.9 * points.next()
        if low > 0 and high / low > _EVENLY:
            return np.asarray(low * (high / low) ** share)
        return low + (high - low) * share
    if powers is None:
        return _unknown(sizes, points)
    signed = not link.is_positive
    time, dose, *responses = powers
    if signed and time == 1 and not dose and not any(responses):
        reach = 0.25 * (sizes.end - sizes.begin)
        return sizes.begin - reach + (sizes.end - sizes.begin + 2.0 * reach) * points.next()
    low, high = _range(time, dose, responses, sizes)
    if not signed:
        return points.between(low, high)
    at = points.next()
    share = np.where(at < _NEGATIVE, at / _NEGATIVE, (at - _NEGATIVE) / (1.0 - _NEGATIVE))
    return np.where(at < _NEGATIVE, -1.0, 1.0) * low * (high / low) ** share


def _range(time: float, dose: float, responses: list[float], sizes: Sizes) -> tuple[float, float]:
    """Between which values a positive parameter of these powers is looked for."""
    absolute = max(abs(sizes.begin), abs(sizes.end))
    if not any(responses) and not dose:
        if time == 0:
            return 0.2, 8.0
        if time == 1:
            return min(sizes.delay, sizes.first) / 3.0, 1.5 * max(sizes.span, absolute)
        if time == -1:
            return 0.05 / sizes.span, 3.0 / sizes.first
    logs = [(time, 0.05 * sizes.span, 3.0 * sizes.span), (dose, 0.3 * sizes.dose, 3.0 * sizes.dose)]
    logs += [
        (power, max(0.3 * low, 1e-3 * top), 3.0 * top)
        for power, low, top in zip(responses, sizes.low, sizes.top, strict=True)
    ]
    middle = sum(0.5 * power * math.log(low * high) for power, low, high in logs)
    half = math.sqrt(sum((0.5 * power * math.log(high / low)) ** 2 for power, low, high in logs))
    return math.exp(middle - half), math.exp(middle + half)


def _unknown(sizes: Sizes, points: Points) -> Array:
    """Values of a parameter of which nothing is known: numbers, rates, times, responses, volumes by turns."""
    none = [0.0] * len(sizes.top)
    first = [1.0, *none[1:]]
    kinds = [
        _range(0.0, 0.0, none, sizes), _range(-1.0, 0.0, none, sizes), _range(1.0, 0.0, none, sizes),
        _range(0.0, 0.0, first, sizes), (1e-3, 1.0),
    ]  # fmt: skip
    at = points.next() * len(kinds)
    which = np.minimum(at.astype(np.int64), len(kinds) - 1)
    low, high = np.array(kinds).T
    return np.asarray(low[which] * (high[which] / low[which]) ** (at - which))


# -- compartment models --------------------------------------------------------------------------------------------


def _kinetic(kinetics: Kinetics, sizes: Sizes, points: Points, stated: dict[str, float], open_scale: bool) -> Values:
    """Values under every name that the library has for them; those of the effect as well."""
    k = points.between(0.05 / sizes.span, 3.0 / sizes.first)
    if "k" in stated:
        k = np.full(points.count, stated["k"])
    rates = {"k": k}
    n, one = kinetics.size, np.ones(points.count)
    peripheral = ("k12", "k21", "k13", "k31")[: 2 * (n - 1)]
    for name in ("ka", "k12", "k21", "k13", "k31"):
        searched = name in peripheral or (name == "ka" and kinetics.absorbs)
        rates[name] = k * points.between(*_RATES[name]) if searched else one * float(name in ("k21", "k31", "ka"))
    if "ka" in stated:
        rates["ka"] = np.full(points.count, stated["ka"])
    elif kinetics.absorbs:
        rates["ka"] = np.minimum(rates["ka"], np.maximum(10.0 / sizes.delay, 1.2 * k))
    usual = sizes.dose / sizes.top[0]
    if "V" in stated or "V1" in stated:
        V = np.full(points.count, stated.get("V", stated.get("V1", usual)))
    elif "CL" in stated:
        V = stated["CL"] / k
    else:
        V = np.full(points.count, usual) if open_scale else usual * points.between(0.1, 10.0)
    Q, Q3 = rates["k12"] * V, rates["k13"] * V
    values = rates | {"V": V, "V1": V, "CL": k * V, "Q": Q, "Q2": Q, "Q3": Q3}
    values |= {"V2": Q / rates["k21"], "V3": Q3 / rates["k31"], "t_half": math.log(2) / k}
    if kinetics.written_in in ("macro", "half-life"):
        values |= _macro(rates, V, n)
    top = sizes.top[0]
    values |= {"Vm": values["CL"] * top, "mtt": 1.0 / rates["ka"], "Tk0": 2.0 / rates["ka"]}
    if "Tk0" in kinetics.parameters or "mtt" in kinetics.parameters:
        length = points.between(0.3 * sizes.delay, 0.5 * sizes.span)
        values |= {"Tk0": length, "mtt": length}
    if kinetics.saturable:
        Km = top * points.between(0.05, 5.0)
        values |= {"Km": Km, "Vm": values["CL"] * (Km + 0.3 * top)}
        if any(flow.source == "central" and flow.target is None for flow in kinetics.flows):
            values |= {"CL": 0.5 * values["CL"], "k": 0.5 * k, "Vm": 0.5 * values["Vm"]}
    for name in ("lag", "lag0"):
        if name in kinetics.parameters:
            values[name] = sizes.delay * (0.05 + 0.9 * points.next())
    for name, low, high in (("Fr", 0.1, 0.9), ("F", 0.3, 0.95)):
        if name in kinetics.parameters:
            values[name] = low + (high - low) * points.next()
    if kinetics.effect is not None:
        values |= _effect(kinetics.effect.is_turnover, sizes, points, top)
    return values


def _macro(rates: Values, V: Array, n: int) -> Values:
    """Coefficients and exponents of the response to a bolus of 1."""
    k, k12, k21, k13, k31 = (rates[name] for name in ("k", "k12", "k21", "k13", "k31"))
    zero = np.zeros_like(k)
    matrix = np.array([[k + k12 + k13, -k21, -k31], [-k12, k21, zero], [-k13, zero, k31]])[:n, :n].transpose(2, 0, 1)
    roots, vectors = np.linalg.eig(matrix)
    weights = (vectors[:, 0, :] * np.linalg.inv(vectors)[:, :, 0] / V[:, None]).real
    order = np.argsort(-roots.real, axis=1)
    values: Values = {}
    for place, (letter, rate) in enumerate(zip("ABC"[:n], ("alpha", "beta", "gamma")[:n], strict=True)):
        at = order[:, place : place + 1]
        values[letter] = np.take_along_axis(weights, at, axis=1)[:, 0]
        values[rate] = np.take_along_axis(roots.real, at, axis=1)[:, 0]
        values[f"t_half_{rate}"] = math.log(2) / values[rate]
    return values


def _effect(turnover: bool, sizes: Sizes, points: Points, top: float) -> Values:
    """Values of an effect, the second response: around its baseline and its range; a turnover changes by a multiple."""
    if len(sizes.top) < 2:
        return {}
    E, low = float(sizes.top[1]), float(sizes.low[1])
    E0 = points.between(max(0.5 * low, 1e-2 * E), 1.2 * E)
    kout = points.between(0.05 / sizes.span, 1.0 / sizes.delay)
    half = top * points.between(0.02, 2.0)
    change = points.between(0.3, 8.0) if turnover else E * points.between(0.2, 3.0)
    change = np.where(points.next() < 0.5, -change, change)
    return {
        "ke0": points.between(0.1 / sizes.span, 3.0 / sizes.delay), "E0": E0, "slope": change / top, "Emax": change,
        "EC50": half, "IC50": half, "Imax": 0.2 + 0.75 * points.next(), "gamma": points.between(0.7, 4.0),
        "kout": kout, "kin": kout * E0,
    }  # fmt: skip
