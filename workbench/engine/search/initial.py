"""Initial values from data: a small global search, the best points refined, and a coarse fit of a population.

1. Points that fill what is plausible (see `plausible`) are predicted in one call: each is a copy of some subjects.
2. They are judged twice, with all subjects pooled, and with a size of its own for each subject, as large differences
   between subjects mislead the former.
3. The best few are refined, and from there a population is fitted coarsely (see `population`): typical values, spreads
   and residual error follow from the subjects' own modes.

It takes the same course whatever the order of the subjects, their labels, and the units of doses and responses.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.problem.compile import check_types, compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import CENSORED
from workbench.engine.problem.scale import Point, Quantity
from workbench.engine.problem.views import of_subjects
from workbench.engine.search.coarse import LOGARITHM, ROOT, Seen, means, pooled, seen_of
from workbench.engine.search.plausible import plausible
from workbench.engine.search.population import Population, population, without_effects
from workbench.errors import ModelError
from workbench.model import Model, Parameter, ResidualError
from workbench.model.kinetics import Explicit

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Values = dict[str, Array]

_IIV = 0.3  # 30 %: a usual spread of a clearance or volume
_IOV = 0.15
_FIRST = (0.5, 0.25)  # in which the coarse fit begins
_FEW = 3  # values that are searched: for more, more subjects are looked at
_FIRST_TURNS = 3  # after which a coarse fit shows whether it goes where another one went
_OWN_SIZE = 1.5  # of a subject, as a logarithm, at most
_APART = 0.25  # of points that are refined
_ELSEWHERE = 0.2  # of typical values: coarse fits that ended this far apart are in different basins
_WORTH = (10.0, 0.3, 150.0)  # what another coarse fit may be worse by: this, and this for each observation; at most


@dataclass(frozen=True)
class _Effort:
    """How much is done: subjects and points of the first search, points refined, subjects and rounds of the fit."""

    subjects: int
    points: tuple[int, ...]  # by how many values are searched
    refined: int
    rounds: int
    most: int
    turns: int


_LINEAR = _Effort(8, (8, 16, 32, 128, 256, 384), 4, 12, 200, 6)
_EXPLICIT = _Effort(8, (16, 64, 192, 384, 768, 1024), 6, 20, 100, 8)
_DIFFERENTIAL = _Effort(4, (8, 24, 64, 128, 256, 512), 8, 20, 25, 8)


def initial_values(model: Model, data: GroupedData) -> Model:
    """Find the values that a model does not state.

    Typical values, standard deviations of random effects and the residual error come from a small global search and a
    coarse fit. What the model states is kept; coefficients of covariates begin at 0.

    Parameters
    ----------
    model : Model
        Values that it states are kept.
    data : GroupedData

    Returns
    -------
    Model
        With `is_complete`.

    Raises
    ------
    ModelError
        If model and data do not fit together, or no values were found at which the structure can be computed.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    >>> model.is_complete
    True
    """
    return beginnings(model, data).model


@dataclass(frozen=True)
class Beginnings:
    """Complete models where a search may begin.

    Attributes
    ----------
    model : Model
        That of `initial_values`.
    others : tuple of Model
        With typical values that looked about as good.
    spread : callable
        Gives the first with usual spreads in place of those that were found, if any were, for a search that ended at
        none or was lost.
    problem : Problem, optional
        What the search was for, over all data: of a model that differs from the first in values alone.
    """

    model: Model
    others: tuple[Model, ...] = ()
    spread: Callable[[], Model | None] = lambda: None
    problem: Problem | None = None


def beginnings(model: Model, data: GroupedData) -> Beginnings:
    """Find the values that a model does not state, where there are several kinds of them all.

    Raises
    ------
    ModelError
        As `initial_values`.
    """
    check_types(model, data)
    model = model.with_centred(data)
    if model.is_complete:
        return Beginnings(model)
    return _Search(model, data).found()


class _Search:
    """The search for the values that a model does not state."""

    def __init__(self, model: Model, data: GroupedData):
        self.model = model
        self.missing = [p.name for p in model.parameters if p.value is None and p.column is None]
        trial = _filled(model, self.missing)
        self.whole = problem = compile(trial, data)
        self.effort = _effort_of(problem)
        self.order = _in_order(problem)
        if len(self.order) > self.effort.most:
            problem = of_subjects(problem, self.order[_evenly(len(self.order), self.effort.most)])
            self.order = np.arange(self.effort.most)
        self.problem = problem
        self.seen = seen_of(self.problem)
        self.scale, self.base = problem.scale, problem.scale.point(problem.x)
        self.place = {name.label: m for m, name in enumerate(self.scale.thetas)}
        self.free = np.array([self.place[name] for name in self.missing], dtype=np.int64)
        self.shifts = _shifts(self.problem)
        self.bounds = self.scale.theta_lower + 1e-3, self.scale.theta_upper - 1e-3

    # -- the way -----------------------------------------------------------------------------------------------

    def found(self) -> Beginnings:
        """The model with what was found; and others, where a coarse fit ended elsewhere and about as low."""
        starts = self._typical() if self.missing else [self.base.theta]
        fits: list[Population] = []
        for theta in starts:
            fit = self._population(self._begun(theta), _FIRST_TURNS if fits else self.effort.turns)
            if not fits or all(self._differ(fit, other) for other in fits):
                fits.append(self._population(fit, self.effort.turns - _FIRST_TURNS) if fits else fit)
        fits = self._apart(fits)
        best = fits[0]
        worth = best.objective + min(_WORTH[0] + _WORTH[1] * len(self.problem.y), _WORTH[2])
        first, *others = [self._stated(fit) for fit in fits if fit.objective < worth] or [self._stated(best)]
        return Beginnings(first, tuple(others), partial(self._with_usual_spreads, first), self.whole)

    def _with_usual_spreads(self, found: Model) -> Model | None:
        """The model with spreads that are usual where they were searched; None where none were."""
        usual: dict[str, dict[str, float]] = {}
        for parameter in self.model.parameters:
            value = found[parameter.name].value
            for level, size in (("iiv", _IIV), ("iov", _IOV)):
                if getattr(parameter, level) is True and value is not None:
                    usual.setdefault(parameter.name, {})[level] = parameter.link.spread(value, size)
        return found.with_parameters(usual) if usual else None

    def _apart(self, fits: list[Population]) -> list[Population]:
        """The fits that ended in different places, the best first."""
        kept: list[Population] = []
        for fit in sorted(fits, key=lambda fit: fit.objective):
            if all(self._differ(fit, other) for other in kept):
                kept.append(fit)
        return kept

    def _differ(self, one: Population, other: Population) -> bool:
        unit = self._unit(other.point.theta)
        difference = np.abs(one.point.theta - other.point.theta) / unit
        return bool(difference[self.free].max(initial=0.0) > _ELSEWHERE)

    def _begun(self, theta: Array) -> Population:
        point = replace(self.base, theta=theta)
        between, within = self._spreads(point)
        point = self.scale.with_deviations(point, _FIRST[0] * between, _FIRST[1] * within)
        return without_effects(self.problem, self.seen, point)

    def _population(self, begun: Population, turns: int) -> Population:
        unit, spreads = self._unit(begun.point.theta), self._spreads(begun.point)
        turns = turns if self.problem.n_random else 0
        return population(self.problem, self.seen, self.order, begun, self.free, self.bounds, unit, spreads, turns)

    def _spreads(self, point: Point) -> tuple[Array, Array]:
        """Natural sizes of the random effects whose spreads the model does not state; NaN for the others."""
        found = []
        for level, names in (("iiv", self.scale.subject.names), ("iov", self.scale.occasion.names)):
            sizes = np.full(len(names), np.nan)
            for k, name in enumerate(names):
                if getattr(self.model[name], level) is True and name in self.place:
                    quantity = self.scale.thetas[self.place[name]]
                    value = quantity.natural(float(point.theta[self.place[name]] + self.shifts[self.place[name]]))[0]
                    sizes[k] = quantity.link.spread(value, 1.0)
            found.append(sizes)
        return found[0], found[1]

    def _unit(self, theta: Array) -> Array:
        """A natural size of every θ."""
        return np.array([name.link.unit(z, 0.0) for name, z in zip(self.scale.thetas, theta.tolist(), strict=True)])

    # -- typical values ----------------------------------------------------------------------------------------

    def _typical(self) -> list[Array]:
        """The best points, float64[M] each: those of all subjects pooled, refined, and those of a size for each."""
        problem, seen, effort = self.problem, self.seen, self.effort
        count = effort.points[min(len(self.missing), len(effort.points)) - 1]
        few = len(self.missing) <= _FEW
        chosen = self.order[_evenly(problem.n_subjects, effort.subjects if few else effort.subjects * 3 // 2)]
        N, some = len(chosen), seen_of_copies(seen, chosen, 1)
        tiled = of_subjects(problem, np.tile(chosen, count), rough=True)
        stated = {name: value for name, value in self._values(self.base.theta).items() if name not in self.missing}
        draws = plausible(problem, seen, self.missing, stated, count, self._opens(0, None))
        values, powers = draws.values, draws.powers
        theta = self._theta(values, count)
        f = np.full(len(tiled.y), np.nan)
        D = tiled.n_coordinates
        u = means(tiled.layout, theta, N)[0]
        with np.errstate(all="ignore"):
            tiled.predictor.predict(np.arange(count * N), u, 0, f, np.empty((0, D)), np.empty((0, D, D)))
            scored = _scores(f.reshape(count, -1), some, [
                self._opens(k, powers) for k in range(len(seen.top))
            ])  # fmt: skip
            for k, factor in enumerate(scored.factors.T):
                for name in self.missing:
                    power = powers[name][2 + k] if name in powers else 0.0
                    if power:
                        values[name] = values[name] * factor**power
        theta = self._theta(values, count)
        if not np.isfinite(scored.pooled).any():
            raise ModelError(
                f"No values of {', '.join(self.missing)} were found at which {problem.structure!r} can be computed. "
                "State them."
            )
        unit = self._unit(theta[int(np.nanargmin(scored.pooled))])
        best = _apart(theta[:, self.free] / unit[self.free], scored.pooled, effort.refined)
        others = _apart(theta[:, self.free] / unit[self.free], scored.within, 2)
        copies = seen_of_copies(seen, chosen, len(best))
        refined, left = pooled(tiled, copies, N, theta[best], self.free, self.bounds, unit, effort.rounds)
        order = _apart(refined[:, self.free] / unit[self.free], left, 2)
        return [self._usual(at) for at in (*refined[order], *theta[others[:1]])]

    def _values(self, theta: Array) -> dict[str, float]:
        """The parameters at usual covariates."""
        values = {}
        for name, m in self.place.items():
            if name in self.problem.structure.names:
                with contextlib.suppress(ValueError, OverflowError):
                    values[name] = self.scale.thetas[m].natural(float(theta[m] + self.shifts[m]))[0]
        return values

    def _usual(self, theta: Array) -> Array:
        """The typical values, or those that give the same curve and are the usual ones (absorption the faster)."""
        twin = self.problem.structure.twin(self._values(theta))
        if twin is None or not set(twin) <= set(self.missing):
            return theta
        theta = theta.copy()
        for name, value in twin.items():
            m = self.place[name]
            z = _transformed(self.scale.thetas[m], np.array([value]))[0] - self.shifts[m]
            theta[m] = min(max(z, self.bounds[0][m]), self.bounds[1][m])
        return theta

    def _opens(self, response: int, powers: Mapping[str, tuple[float, ...]] | None) -> bool:
        """Whether the size of a response can be set by parameters that are missing alone."""
        structure = self.problem.structure
        if powers is None:
            return not any(name in ("V", "V1", "CL", "Q", "V2", "A", "B", "C", "Vm", "Km") for name in structure.names
                           if name not in self.missing)  # fmt: skip
        with_power = [name for name in structure.names if name not in powers or powers[name][2 + response]]
        return bool(with_power) and all(name in powers and name in self.missing for name in with_power)

    def _theta(self, values: Values, count: int) -> Array:
        """Typical values on the transformed scale, float64[count, M], from those of a typical subject."""
        theta = np.tile(self.base.theta, (count, 1))
        for name, m in zip(self.missing, self.free.tolist(), strict=True):
            z = _transformed(self.scale.thetas[m], values[name]) - self.shifts[m]
            theta[:, m] = np.clip(z, self.bounds[0][m], self.bounds[1][m])
        return theta

    # -- what is found -----------------------------------------------------------------------------------------

    def _stated(self, fit: Population) -> Model:
        """The model with what a coarse fit found."""
        model, scale = self.model, self.scale
        found: dict[str, dict[str, float]] = {}
        for name, m in zip(self.missing, self.free.tolist(), strict=True):
            value = scale.thetas[m].natural(float(fit.point.theta[m]))[0]
            found[name] = {"value": _inside(model[name], value)}
        between, within = scale.deviations(fit.point)
        for level, names, deviations in (
            ("iiv", scale.subject.names, between), ("iov", scale.occasion.names, within),
        ):  # fmt: skip
            for name, deviation in zip(names, deviations.tolist(), strict=True):
                if getattr(model[name], level) is True:
                    found.setdefault(name, {})[level] = deviation
        return _with_errors(model.with_parameters(found), self.problem, fit)


def _filled(model: Model, missing: list[str]) -> Model:
    """The model with placeholders for all that it does not state."""
    filled: dict[str, dict[str, float]] = {}
    for parameter in model.parameters:
        changes = {"value": _placeholder(parameter)} if parameter.name in missing else {}
        for level, size in (("iiv", _IIV), ("iov", _IOV)):
            if getattr(parameter, level) is True:
                changes[level] = parameter.link.spread(changes.get("value", parameter.value or 0.0), size)
        if changes:
            filled[parameter.name] = changes
    guessed = [error.with_guesses(1.0, 0.1) for error in model.errors]
    return model.with_parameters(filled).with_error(_by_response(model, guessed))


def _by_response(model: Model, errors: list[ResidualError]) -> ResidualError | dict[str, ResidualError]:
    """Residual errors as `Model.with_error` takes them."""
    return errors[0] if len(errors) == 1 else dict(zip(model.structure.responses, errors, strict=True))


def _placeholder(parameter: Parameter) -> float:
    """Some value that the parameter can have."""
    low, high = parameter.limits
    if low < 1.0 < high and not (math.isfinite(low) and math.isfinite(high)):
        return 1.0
    if math.isfinite(low):
        return 0.5 * (low + high) if math.isfinite(high) else low + (abs(low) or 1.0)
    return high - (abs(high) or 1.0)


def _inside(parameter: Parameter, value: float) -> float:
    """The value, or the nearest one within the bounds."""
    low, high = parameter.limits
    lowest = low + 1e-3 * abs(low) if math.isfinite(low) and low else low
    highest = high - 1e-3 * abs(high) if math.isfinite(high) and high else high
    if parameter.link.needs_bounds:
        lowest, highest = low + 1e-3 * (high - low), high - 1e-3 * (high - low)
    return min(max(value, lowest, 1e-300) if parameter.link.is_positive else max(value, lowest), highest)


def _effort_of(problem: Problem) -> _Effort:
    if problem.structure.is_linear:
        return _LINEAR
    return _EXPLICIT if isinstance(problem.structure.system, Explicit) else _DIFFERENTIAL


def _evenly(count: int, most: int) -> Index:
    return np.arange(count) if count <= most else np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def _in_order(problem: Problem) -> Index:
    """The subjects in an order that follows from their data alone."""
    seen, schedule = problem.observations, problem.schedule
    counts = np.diff(seen.first)
    owner = np.repeat(np.arange(len(counts)), counts)
    time = np.bincount(schedule.subject, schedule.time, minlength=len(counts))
    dose = np.bincount(schedule.subject, schedule.amount, minlength=len(counts))
    finite = np.where(np.isfinite(seen.y), seen.y, 0.0)
    total = np.bincount(owner, finite, minlength=len(counts))
    return np.lexsort((total, time, dose, -counts))


def seen_of_copies(seen: Seen, chosen: Index, count: int) -> Seen:
    """The observations of some subjects, several times."""
    counts = np.diff(seen.first)[chosen]
    mine = np.concatenate([np.arange(seen.first[i], seen.first[i + 1]) for i in chosen.tolist()])
    arrays = {
        name: np.tile(getattr(seen, name)[mine], count) for name in ("y", "g", "low", "high", "censored", "response")
    }
    return replace(seen, first=np.concatenate([[0], np.cumsum(np.tile(counts, count))]), **arrays)


def _transformed(quantity: Quantity, values: Array) -> Array:
    """Values of a parameter on its transformed scale, moved between its bounds where it has some."""
    link = quantity.link
    if link.is_logarithm:
        return np.asarray(np.log(np.clip(values, 1e-200, 1e200)))
    if link.is_identity:
        return values
    low, high = quantity.range
    if link.needs_bounds:
        values = np.clip(values, low + 1e-3 * (high - low), high - 1e-3 * (high - low))
    found = np.full(len(values), np.nan)
    for k, value in enumerate(values.tolist()):
        with contextlib.suppress(ValueError, OverflowError, ZeroDivisionError):
            found[k] = quantity.transformed(value)
    return found


def _shifts(problem: Problem) -> Array:
    """Median over the subjects of what the stated covariate effects add to each typical value, float64[M].

    What is plausible is a value of a subject, and differs from the typical one where effects are stated that are not 0
    at usual values of the covariate.
    """
    scale, point = problem.scale, problem.scale.point(problem.x)
    names, shifts = problem.structure.names, np.zeros(len(scale.thetas))
    effects = {name.of[0] for name in scale.thetas if name.kind == "coefficient"}
    if not any(point.theta[m] for m, name in enumerate(scale.thetas) if name.kind == "coefficient"):
        return shifts
    typical = problem.parameters(point)
    for m, name in enumerate(scale.thetas):
        if name.label in effects and name.kind != "coefficient":
            column = typical[:, names.index(name.label)]
            with contextlib.suppress(ValueError, OverflowError):
                added = np.array([name.transformed(value) for value in column.tolist()]) - point.theta[m]
                shifts[m] = float(np.median(added)) if np.isfinite(added).all() else 0.0
    return shifts


# -- how good a point is -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scores:
    """Of each point: squares of the deviations, pooled and with a size for each subject; the size of each response."""

    pooled: Array
    within: Array
    factors: Array


def _scores(f: Array, seen: Seen, opens: list[bool]) -> _Scores:
    """Judge predictions float64[points, n] of some subjects."""
    points, N = len(f), len(seen.first) - 1
    owner = np.repeat(np.arange(N), np.diff(seen.first))
    pooled, within = np.zeros((2, points))
    factors = np.ones((points, len(seen.top)))
    bad = ~np.isfinite(f.sum(axis=1))
    f = np.where(bad[:, None], 0.0, f)
    for k in range(len(seen.top)):
        mine = np.flatnonzero((seen.response == k) & ~seen.censored)
        if not mine.size:
            continue
        g, h = seen.g[mine], seen.of(f)[:, mine]
        starts = np.flatnonzero(np.diff(owner[mine], prepend=-1) != 0)
        logs, power = seen.kind[k] == LOGARITHM, 2.0 if seen.kind[k] == ROOT else 1.0
        if logs:
            difference = g - h
            own = np.add.reduceat(difference, starts, axis=1) / np.diff(np.append(starts, len(mine)))
            common = difference.mean(axis=1)
        else:
            product, square = np.add.reduceat(h * g, starts, axis=1), np.add.reduceat(h * h, starts, axis=1)
            own = power * np.log(np.maximum(product / square, 1e-300))
            common = power * np.log(np.maximum(product.sum(axis=1) / square.sum(axis=1), 1e-300))
        if not opens[k]:
            common = np.zeros(points)
        bad |= ~(np.abs(common) < 100.0)
        common = np.where(bad, 0.0, common)
        own = common[:, None] + np.clip(np.nan_to_num(own - common[:, None]), -_OWN_SIZE, _OWN_SIZE)
        lengths = np.diff(np.append(starts, len(mine)))
        each = np.repeat(own, lengths, axis=1)
        variance = seen.spread[k] ** 2
        if logs:
            pooled += ((g - h - common[:, None]) ** 2).sum(axis=1) / variance
            within += ((g - h - each) ** 2).sum(axis=1) / variance
        else:
            pooled += ((g - h * np.exp(common / power)[:, None]) ** 2).sum(axis=1) / variance
            within += ((g - h * np.exp(each / power)) ** 2).sum(axis=1) / variance
        factors[:, k] = np.exp(common)
    pooled[bad], within[bad] = np.inf, np.inf
    return _Scores(pooled, within, factors)


def _apart(theta: Array, score: Array, most: int) -> list[int]:
    """The best points that differ from each other."""
    taken: list[int] = []
    for c in np.argsort(score, kind="stable").tolist():
        if len(taken) == most or not math.isfinite(score[c]):
            break
        if all(np.abs(theta[c] - theta[other]).max() > _APART for other in taken):
            taken.append(c)
    return taken


# -- residual error --------------------------------------------------------------------------------------------


def with_errors_found(model: Model, problem: Problem) -> Model:
    """The model with residual errors of about the size that its typical values leave; what is fixed stays."""
    open_errors = [
        error.with_values(dict.fromkeys(set(error.names) - set(error.fixed_names))) for error in model.errors
    ]
    f = problem.analysed(problem.predictions(problem.scale.point(problem.x)))
    return _guessed(model.with_error(_by_response(model, open_errors)), problem, f, 0.5)


def _with_errors(model: Model, problem: Problem, fit: Population) -> Model:
    """The model with the parameters of the residual errors that it does not state, from the subjects' own curves."""
    f = problem.analysed(problem.predictions(fit.point, fit.zeta @ fit.point.L.T))
    return _guessed(model, problem, f, 1.0)


def _guessed(model: Model, problem: Problem, f_all: Array, share: float) -> Model:
    """The model with errors that are a share of what predictions leave."""
    seen = problem.observations
    with np.errstate(invalid="ignore"):  # −∞ − −∞: the logarithm of 0, censored at 0 too
        residual = problem.y - f_all
    errors = []
    for response, error in enumerate(model.errors):
        mine = (seen.response == response) & (seen.what % 2 != CENSORED) & np.isfinite(residual)
        f, y = f_all[mine], problem.y[mine]
        spread = 1.0
        if mine.any():
            spread = max(share * float(np.std(np.sort(residual[mine]))), 0.02 * float(np.abs(y).max()), 1e-12)
        at = np.abs(f) > 0.1 * np.max(np.abs(f), initial=0.0)
        with np.errstate(over="ignore"):  # predictions of as good as nothing
            relative = float(np.sqrt(np.mean(np.sort((y[at] - f[at]) / f[at]) ** 2))) if at.any() else 0.2
        relative = min(max(share * relative, 0.05), 1.0)
        errors.append(error.with_guesses(spread, relative))
    return model.with_error(_by_response(model, errors))
