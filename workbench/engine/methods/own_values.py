"""Each subject alone: maximum likelihood in its own values of the structural parameters, the residual error shared.

With u_i the values of subject i on the transformed scale, and L of `residual`,

    Σ_i l_i(u_i, σ),    l_i = Σ_j L(y_ij, f_ij(u_i), σ)

is minimised by turns over the u_i, by Newton's method for all subjects at once, and over σ. Nothing is said of how the
subjects vary: covariate effects and random effects have no part in it. The covariance of u_i is the inverse of its
expected information W_i = Σ_j w fu fuᵀ (what Gauss-Newton has where σ is constant).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.predictions.jets import untransform
from workbench.engine.predictions.machine import kernel
from workbench.engine.predictions.scalar import transform_code
from workbench.engine.predictions.threads import over_subjects
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import CENSORED, record, record_slopes, variances
from workbench.engine.search.descent import FOUND, LOST, SEARCHING, UNCOMPUTABLE, Descent
from workbench.engine.search.optimise import NO_NOISE
from workbench.engine.search.quasi_newton import Value, descend
from workbench.errors import FitError, ModelError
from workbench.model import Block, Model, Parameter
from workbench.results.fit import Status

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Ask = Callable[[int, float, dict[str, float]], bool]  # iteration, sum over the subjects, typical values and error

_NEAR = 0.5  # first spread of a subject's values around the typical ones, in units: it keeps to their basin
_FAR = 5.0  # units
_SAME = 1e-9  # of the sum: what a turn may change at the minimum
_BLOCK = 1024  # subjects that are added up together
_SECONDS_A_SUBJECT = 1e-6  # about
_CURVED = 4.0  # of L by the logarithm of a standard deviation, about
_NEAR_ENOUGH = 5e-9  # of such a logarithm
_STEPS = 100
_AHEAD = 1.0  # of such a logarithm, beyond where a turn led
_WIDEST = 25.0  # of a logarithm of σ from where it began


@dataclass(frozen=True, eq=False)
class OwnValues:
    """What each subject alone tells.

    Attributes
    ----------
    model : Model
        Every parameter that is estimated has a random effect of its own, and no covariates.
    problem : Problem
        Of that model; a coordinate is a parameter.
    names : tuple of str
        Of the P coordinates.
    unit : float64[P]
        A natural size of each on the transformed scale.
    u : float64[N, P]
        Own values on the transformed scale; NaN where there are none.
    covariance : float64[N, P, P]
        Of u.
    by_subject : float64[N]
        l_i.
    sigma : float64[responses, C]
    failures : dict
        By the index of the subject, why it has no values.
    status : Status
    trace : tuple of (int, float)
    rounds : int
        Predictions of all or some subjects that it took.
    remark : str
    """

    model: Model
    problem: Problem
    names: tuple[str, ...]
    unit: Array
    u: Array
    covariance: Array
    by_subject: Array
    sigma: Array
    failures: dict[int, str]
    status: Status
    trace: tuple[tuple[int, float], ...]
    rounds: int
    remark: str

    @property
    def found(self) -> Index:
        """The subjects that have values."""
        return np.flatnonzero(np.isfinite(self.by_subject))

    @property
    def partial(self) -> str:
        """What follows for criteria where subjects have no values; "" where all have them."""
        if not self.failures:
            return ""
        return f"OFV, AIC and BIC are of {len(self.found)} subjects: they are not compared with those of {len(self.u)}."


def own_values(
    model: Model, data: GroupedData, ask: Ask = lambda *_: False, most: int = 500, corrected: bool = False
) -> OwnValues:
    """Fit each subject alone.

    Parameters
    ----------
    model : Model
        With all values stated. A parameter that is fixed, or a column of the data, stays so.
    data : GroupedData
    ask : callable
        Called after every step; True stops.
    most : int
        Turns.
    corrected : bool
        Scale the residual error by √(n / (n - values estimated)): free of the bias that maximum likelihood has.

    Raises
    ------
    ModelError
        If no parameter is estimated, or model and data do not fit together.
    FitError
        If not one subject could be fitted.
    """
    own = without_population(model)
    problem = compile(own, data)
    search = _OwnFits(problem, model, data, ask)
    search.begin()
    status = search.turn(most)
    if corrected and status is not Status.stopped:
        search.correct()
    return search.result(own, status)


def without_population(model: Model) -> Model:
    """The model of subjects that have nothing in common but their residual error and what is fixed."""
    names = [p.name for p in model.parameters if is_own(p)]
    if not names:
        raise ModelError("No parameter is estimated: all are fixed, or columns of the data.")
    blocks = [b.names for b in model.correlate if b.level == "subject"]
    own = with_fixed_alike(model.with_correlate(()))
    for name in names:
        spread = model[name].iiv
        spread = spread if isinstance(spread, float) else 0.3
        between = model[name].link.needs_bounds
        bounds = model[name].bounds if between else None  # those of a typical value are not those of a subject's
        own = own.with_parameter(name, covariates=(), iov=None, iiv=spread, fixed=False, bounds=bounds)
    kept = [[name for name in block if name in names] for block in blocks]
    return own.with_correlate([Block(*block) for block in kept if len(block) > 1])


def with_fixed_alike(model: Model) -> Model:
    """The model where a parameter with a fixed value differs between subjects only by its stated covariate effects."""
    fixed = [p for p in model.parameters if not is_own(p) and p.column is None]
    for p in model.parameters:  # first those that share the effect of such a parameter
        if p.share is not None and p.share[0] in {q.name for q in fixed}:
            model = model.with_parameter(p.name, share=None)
    for p in fixed:
        effects = tuple(replace(effect, fixed=True) for effect in p.covariates if effect.value is not None)
        model = model.with_parameter(p.name, covariates=effects, iiv=None, iov=None, share=None, fixed=True)
    return model


def is_own(parameter: Parameter) -> bool:
    """Whether each subject has a value of its own to be estimated."""
    return parameter.column is None and "value" not in parameter.fixed_parts


class _OwnFits(Descent):
    """The progress of the fits: the values so far, and what became of each subject."""

    def __init__(self, problem: Problem, model: Model, data: GroupedData, ask: Ask):
        self._data, self._ask = data, ask
        scale = problem.scale
        self.names = tuple(name for name in problem.structure.names if is_own(model[name]))
        place = {name.label: m for m, name in enumerate(scale.thetas)}
        self._thetas = [scale.thetas[place[name]] for name in self.names]
        theta = scale.point(problem.x).theta
        typical = np.array([theta[place[name]] for name in self.names])
        unit = np.array([_unit(model[name], z) for name, z in zip(self.names, typical, strict=True)])
        super().__init__(problem, typical, unit)
        self._counts = np.diff(problem.observations.first)
        self._usable = np.flatnonzero(self._counts >= len(self.names))
        self.trace: list[tuple[int, float]] = []

    # -- the values of the subjects ----------------------------------------------------------------------------

    def begin(self) -> None:
        """First values of all subjects: near the typical ones, then free; failures begin elsewhere once more."""
        self.descend(self._usable, np.tile(self.typical, (len(self._usable), 1)), _NEAR)
        nearby = self._usable[np.isfinite(self.value[self._usable])]
        self.descend(nearby, self.u[nearby])
        for again in (self.typical, None):
            found, left = self.found, np.setdiff1d(self._usable, self.found)
            if self.stopped or not len(left) or (again is None and not len(found)):
                break
            start = np.median(self.u[found], axis=0) if again is None else again
            self.descend(left, np.tile(start, (len(left), 1)))
        self._exchange()

    def _judge(self) -> None:
        """Of those where a search ended, the ones whose values nothing determines are not found."""
        found = self.found
        self.state[found[self.undetermined(found).any(axis=1)]] = LOST

    def _exchange(self) -> None:
        """Where a structure has another solution (flip-flop: absorption slower than elimination), that one."""
        problem, scale = self.problem, self.problem.scale
        if problem.exchanged(problem.x) is not None:
            return
        own = [k for k, name in enumerate(scale.thetas) if name.label in self.names]
        order = [self.names.index(scale.thetas[k].label) for k in own]
        typical = zip((q.label for q in scale.quantities), scale.estimates(problem.x).tolist(), strict=True)
        shared = {name: value for name, value in typical if name not in self.names}
        point, moved, found = scale.point(problem.x), [], self.found
        codes = [transform_code(theta.link) for theta in self._thetas]
        natural = untransform(self.u[found], codes, *np.array([theta.bounds for theta in self._thetas]).T)[..., 0]
        for i, values in zip(found.tolist(), natural.tolist(), strict=True):
            twin = problem.structure.twin(shared | dict(zip(self.names, values, strict=True)))
            if twin is None or not set(twin) <= set(self.names):
                continue
            theta = point.theta.copy()
            theta[own] = self.u[i, order]
            x = problem.exchanged(scale.vector(replace(point, theta=theta)))
            if x is not None:
                self.u[i, order] = scale.point(x).theta[own]
                moved.append(i)
        if moved:
            subjects = np.array(moved)
            self.descend(subjects, self.u[subjects])

    # -- the residual error ------------------------------------------------------------------------------------

    @property
    def _free(self) -> tuple[Index, Index]:
        """Where in σ its estimated parameters are."""
        entries = [(e.response, e.which) for e in self.problem.scale.errors if e.free]
        places = np.array(entries, dtype=np.int64).reshape(-1, 2).T
        return places[0], places[1]

    def spare(self) -> int:
        """Observations less values estimated, of the subjects that are found."""
        found = self.found
        return int(self._counts[found].sum()) - len(self.names) * len(found)

    def turn(self, most: int) -> Status:
        """σ given the values and the values given σ, by turns until nothing changes; then failures once more."""
        for attempt in range(2):
            last, turns = np.inf, list[tuple[Array, Array]]()
            for _ in range(most):
                if self.stopped:
                    return Status.stopped
                before, turns = self._kept(), [*turns, (self._logs, self._most_likely())]
                ahead, likely = _further(turns), turns[-1][1]
                self._refine(ahead, before)
                total, same = float(self.value[self.found].sum()), np.array_equal(self.state, before["state"])
                if not (total < last and same) and ahead is not likely and not self.stopped:
                    self._go_back(before)
                    self._refine(likely, before)
                    total, same = float(self.value[self.found].sum()), False
                if not same:
                    turns = []
                self.trace.append((self.rounds, total + self._jacobian()))
                if abs(last - total) < _SAME * max(1.0, abs(total) * 1e-3) or not len(self._free[0]):
                    break
                last = total
            else:
                return Status.max_iterations
            left = np.setdiff1d(self._usable, self.found)
            if attempt or not len(left) or not len(self.found):
                break
            count = len(self.found)
            self.descend(left, np.tile(np.median(self.u[self.found], axis=0), (len(left), 1)))
            self._judge()
            if len(self.found) == count:
                break
        return Status.stopped if self.stopped else Status.converged

    def _kept(self) -> dict[str, NDArray[Any]]:
        """All that a change of σ changes."""
        names = ("u", "value", "gradient", "curvature", "information", "state", "sigma")
        return {name: getattr(self, name).copy() for name in names}

    def _go_back(self, before: dict[str, NDArray[Any]]) -> None:
        for name, array in before.items():
            getattr(self, name)[...] = array

    def _refine(self, logs: Array, before: dict[str, NDArray[Any]]) -> None:
        """Change σ, then the values; where that is stopped half way, all is as it was."""
        self.sigma[self._free] = np.exp(logs)
        self.descend(self.found, self.u[self.found])
        self._judge()
        if self.stopped:
            self._go_back(before)

    @property
    def _logs(self) -> Array:
        """Logarithms of what is free of σ."""
        return np.log(self.sigma[self._free])

    def _most_likely(self) -> Array:
        """Those that are most likely for the predictions at the present values."""
        found, places, seen, begin = self.found, self._free, self.problem.observations, self._logs
        if self.spare() <= 0 or not len(places[0]):
            return begin
        f, P = np.empty(len(seen.y)), len(self.names)
        self.problem.predict(found, self.u, 0, f, np.empty((0, P)), np.empty((0, P, P)))
        sigma, blocks = self.sigma.copy(), np.arange(0, len(found), _BLOCK)  # the same, however many threads
        totals, slopes = np.empty((len(blocks), 1)), np.empty((len(blocks), *self.sigma.shape))
        unit = 1.0 / np.sqrt(_CURVED * max(1, int(self._counts[found].sum())))

        def task(some: Index) -> None:
            for first in some.tolist():
                at = first // _BLOCK
                _by_sigma(
                    found[first : first + _BLOCK], seen.first, seen.y, seen.upper, seen.what, seen.response, f,
                    seen.kind, sigma, totals[at], slopes[at],
                )  # fmt: skip

        def value(z: Array) -> Value[Array]:
            logs = np.clip(begin + unit * z, begin - _WIDEST, begin + _WIDEST)
            sigma[places] = np.exp(logs)
            over_subjects(task, blocks, _SECONDS_A_SUBJECT * len(found))
            gradient = unit * slopes.sum(axis=0)[places] * sigma[places]
            total = float(totals.sum())
            within = np.abs(logs - begin) < _WIDEST
            return Value(z, total if np.isfinite(total) else np.inf, np.where(within, gradient, 0.0), logs)

        def reached_at(there: Value[Array]) -> bool:
            reached.append(there)
            return False

        reached = [value(np.zeros_like(begin))]
        with np.errstate(all="ignore"):
            descend(value, reached[0], _NEAR_ENOUGH / unit, _STEPS, reached_at)
        return reached[-1].of

    def correct(self) -> None:
        """Scale σ for the values that were estimated beside it."""
        spare, logs = self.spare(), self._logs
        scaled = np.array([e.is_deviation for e in self.problem.scale.errors if e.free], dtype=bool)
        if spare > 0:
            logs[scaled] += 0.5 * np.log(self._counts[self.found].sum() / spare)
        self._refine(logs, self._kept())

    # -- what is kept ------------------------------------------------------------------------------------------

    def _jacobian(self) -> float:
        return float(self.problem.observations.jacobian[self.found].sum())

    def report(self) -> None:
        """Ask whether to go on."""
        there = np.isfinite(self.value)
        if not there.any():
            return
        total = float(self.value[there].sum() + self.problem.observations.jacobian[there].sum())
        typical = zip(self._thetas, self.u[there].mean(axis=0).tolist(), strict=True)
        parameters = {name.label: name.natural(value)[0] for name, value in typical}
        errors = self.problem.scale.errors
        parameters |= {error.label: float(self.sigma[error.response, error.which]) for error in errors}
        self.stopped = self._ask(self.rounds, total, parameters) or self.stopped

    def _exact(self) -> bool:
        """Whether the curves go through all observations, as far as numbers go."""
        f, none = np.empty(len(self.problem.y)), np.empty((0, self.u.shape[1]))
        self.problem.predict(np.arange(len(self.u)), self.u, 0, f, none, none[:, :, None])
        away = np.abs(self.problem.y - f) / np.nanmax(np.abs(f), initial=1e-300)
        return bool(np.nanquantile(away, 0.9) < NO_NOISE)

    def result(self, own: Model, status: Status) -> OwnValues:
        """The values with their covariances, and a sentence on each subject that has none."""
        found, N, P = self.found, len(self.u), len(self.names)
        failures = {i: self._sentence(i) for i in range(N) if self.state[i] != FOUND}
        if not len(found) and self._exact():
            raise FitError(
                "The data have no noise, or almost none: the subjects' own curves go through all observations, so that "
                "the residual error goes to 0, and the likelihood has no bound. For simulated data add residual error, "
                "or fix it at a size that you would accept, as in wb.Proportional(0.05, fixed=True)."
            )
        if not len(found):
            raise FitError(f"Not one subject could be fitted alone: {summary(failures, self._data)}.")
        u, by_subject = np.full((N, P), np.nan), np.full(N, np.nan)
        covariance = np.full((N, P, P), np.nan)
        u[found] = self.u[found]
        by_subject[found] = self.value[found] + self.problem.observations.jacobian[found]
        unit = np.outer(self.unit, self.unit)
        covariance[found] = np.linalg.inv(self.information[found] * unit) * unit
        remark = ""
        if self.spare() <= 0 and len(self._free[0]):
            remark = "The residual error is as stated: no more observations than values to estimate."
        last = self.trace[-1][0] if self.trace else 0
        trace = (*self.trace, (max(self.rounds, last + 1), float(by_subject[found].sum())))
        return OwnValues(
            own, self.problem, self.names, self.unit, u, covariance, by_subject, self.sigma.copy(), failures,
            status, trace, self.rounds, remark,
        )  # fmt: skip

    def _sentence(self, i: int) -> str:
        """Why a subject has no values."""
        n, P = int(self._counts[i]), len(self.names)
        if n < P:
            seen = "no observations" if not n else f"{n} observation{'s' if n > 1 else ''}"
            return f"{seen} for {P} parameter{'s' if P > 1 else ''}"
        if self.state[i] == UNCOMPUTABLE:
            return "the prediction cannot be computed at the initial values"
        if self.state[i] == SEARCHING:
            return "the search was stopped"
        move = (self.u[i] - self.typical) / self.unit
        far = np.abs(move) > max(_FAR, 0.5 * float(np.abs(move).max()))
        if far.any():
            limits = {self._limit(k, float(move[k])) for k in np.flatnonzero(far).tolist()}
            gone = ", ".join(name for name, is_far in zip(self.names, far, strict=True) if is_far)
            return f"{gone} went to {' and '.join(sorted(limits))}: flat"
        if self.state[i] == LOST:
            unknown = self.undetermined(np.array([i]))[0]
            return f"{', '.join(np.array(self.names)[unknown])} not determined: flat"
        return "did not converge"

    def _limit(self, k: int, move: float) -> str:
        """Where a parameter goes that moves on and on."""
        name = self._thetas[k]
        end = name.link.range(name.bounds)[int(move > 0)]
        words = f"{end:g}".replace("inf", "infinity")
        return f"its bound {words}" if name.link.needs_bounds else words


def summary(failures: dict[int, str], data: GroupedData, most: int = 8) -> str:
    """Subjects by their reason, those with the commonest first: `2 observations for 3 parameters (1, 5, 9)`."""
    by_reason: dict[str, list[str]] = {}
    for i, reason in failures.items():
        by_reason.setdefault(reason, []).append(str(data.events.subjects[i]))
    parts = []
    for reason, labels in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:most]:
        parts.append(f"{reason} ({', '.join(labels[:most])}{', …' if len(labels) > most else ''})")
    return "; ".join(parts) + ("; …" if len(by_reason) > most else "")


def error_covariance(own: OwnValues, gone: Collection[str] = ()) -> Array:
    """Covariance of the estimated parameters of the residual error, float64[free, free], from their information.

    That of the observations, less their share that went into the values of the subjects: a/√(2·df) for a constant
    error. NaN where nothing is left, and for what is `gone` to 0: the others are given that.
    """
    free = [e for e in own.problem.scale.errors if e.free]
    there = [e for e in free if e.label not in gone]
    covariance = np.full((len(free), len(free)), np.nan)
    rows = [free.index(e) for e in there]
    covariance[np.ix_(rows, rows)] = _error_covariance(own, [(e.response, e.which) for e in there])
    return covariance


def _error_covariance(own: OwnValues, places: list[tuple[int, int]]) -> Array:
    problem, seen = own.problem, own.problem.observations
    counts = np.diff(seen.first)
    used = np.repeat(np.isfinite(own.by_subject), counts) & (seen.what % 2 != CENSORED)
    spare = int(counts[own.found].sum()) - own.u.shape[1] * len(own.found)
    if spare <= 0 or not places:
        return np.full((len(places), len(places)), np.nan)
    f, n = np.full(len(seen.y), np.nan), len(seen.y)
    P = own.u.shape[1]
    problem.predict(own.found, own.u, 0, f, np.empty((0, P)), np.empty((0, P, P)))
    R, R_f, R_s = np.empty(n), np.empty(n), np.empty((n, own.sigma.shape[1]))
    variances(seen.kind, seen.response, np.where(used, f, 1.0), own.sigma, R, R_f, R_s)
    slopes = np.array([np.where(used & (seen.response == r), R_s[:, k] / R, 0.0) for r, k in places])
    information = 0.5 * slopes @ slopes.T * spare / int(counts[own.found].sum())
    size = np.sqrt(np.diag(information))
    if not (size > 0).all() or np.linalg.eigvalsh(information / np.outer(size, size))[0] < 1e-8:
        return np.full_like(information, np.nan)
    return np.asarray(np.linalg.inv(information))


def _unit(parameter: Parameter, typical: float) -> float:
    """A natural size of a parameter on the transformed scale."""
    return parameter.link.unit(typical, parameter.iiv if isinstance(parameter.iiv, float) else 0.0)


def _further(turns: Sequence[tuple[Array, Array]]) -> Array:
    """Where turns are going, each known by where it began and ended, by Anderson's extrapolation (1965, J ACM 12:547).

    The end of the last one where there is nothing to extrapolate, or it leads too far.
    """
    end = turns[-1][1]
    known = turns[-len(end) - 1 :]
    if len(known) < 2:
        return end
    starts, ends = np.array(known).transpose(1, 0, 2)
    left = ends - starts
    share = np.linalg.lstsq((left[-1] - left[:-1]).T, left[-1], rcond=1e-8)[0]
    found = end - share @ (end - ends[:-1])
    return found if np.abs(found - end).max() < _AHEAD else end


@kernel
def _by_sigma(subjects, first, y, upper, what, response, f, kind, sigma, found, slopes):
    """found[0] = the sum of L over the observations of some subjects; slopes by σ, float64[responses, C]."""
    total = 0.0
    slopes[:] = 0.0
    C = sigma.shape[1]
    scratch, out = np.zeros((C, C + 1)), np.zeros((C, 4))
    for row in range(subjects.shape[0]):
        i = subjects[row]
        for j in range(first[i], first[i + 1]):
            k = response[j]
            L, _, _, _, _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
            total += L
            record_slopes(what[j], kind[k], y[j], upper[j], f[j], sigma, k, scratch, out)
            for c in range(C):
                slopes[k, c] += out[c, 0]
    found[0] = total
