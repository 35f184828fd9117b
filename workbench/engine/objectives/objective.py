"""The objective of a problem as a function of x, with its exact gradient.

For every x the modes of all subjects are searched together, from where the last accepted point predicts them
to be. Accepted and trial modes are kept apart: `evaluate` never changes what the next call starts from, `accept`
does. So the objective is a function of x, whatever the optimiser tried before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.corners import Corners, no_corners, settle
from workbench.engine.objectives.found import FOUND, KINK, Found, Page
from workbench.engine.objectives.scan import Scan, few_draws
from workbench.engine.objectives.subjects import AT_ZERO, DERIVE, GIVEN, MOVED, SEARCH, Modes
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Point
from workbench.methods import Approximation

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_TOLERANCE = 1e-14  # squared distance to the mode, in its standard errors
_SAME_MODE = 1e-6
_BASINS = 8  # starts of a subject in other basins
_MATTERS = 16.0  # of l above the deepest mode: others add less than e^-8 of the likelihood
_BENT = 0.9  # of the curvature of ½ l along some direction, where the population alone has 1: data bend it down
_TRIES = 8  # starts of a subject with such a mode
_BESIDE_CORNERS = 0.3  # standard deviations of ζ
_OTHER = 0.02  # of a standard deviation: nearer is the same mode
_AT_ONCE = 4096  # subjects, where more would only take more memory


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective at one x.

    Attributes
    ----------
    mean : float64[N, D]
        a(θ), the coordinates at η = 0.
    ofv : float
        Not finite where it cannot be computed.
    gradient : float64[size]
    by_subject : float64[N]
        Contributions of the subjects to `ofv`.
    scores : float64[N, size]
        Contributions of the subjects to `gradient`.
    zeta : float64[N, Q]
        Standardised modes; η = L ζ.
    depth : float64[N]
        l at the modes; of two modes of a subject the lower is the right one.
    page : Page or None
        With all that is found of the subjects, of which some is given above; None where it is not at modes.
    rounds : int
        Predictions of all or some subjects that the search took.
    at_corner : bool[N]
        Subjects whose mode is where l has a kink, see `corners`; empty where that is not asked.
    """

    x: Array
    point: Point
    mean: Array
    ofv: float
    gradient: Array
    by_subject: Array
    scores: Array
    zeta: Array
    depth: Array
    page: Page | None
    rounds: int
    at_corner: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    _answers: dict[Any, tuple[Problem, Any]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def on(cls, page: Page, **others: Any) -> Evaluation:
        """What is on a page, with what is not; only few are looked at more closely, so the rest is read when it is."""
        self = object.__new__(cls)
        self.__dict__.update(others, page=page, _answers={})
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in _ON_PAGE or self.__dict__.get("page") is None:
            raise AttributeError(name)
        found = self.found
        self.__dict__.update(
            point=Point(found.theta, found.L, found.sigma), mean=found.mean, by_subject=found.ofv, scores=found.scores,
            zeta=found.zeta, depth=found.depth,
        )  # fmt: skip
        return self.__dict__[name]

    @property
    def found(self) -> Found:
        """What its page says."""
        assert self.page is not None
        return self.page.found

    @property
    def eta(self) -> Array:
        """Modes of the random effects, those of occasions included, float64[N, Q]."""
        return self.zeta @ self.point.L.T

    @property
    def inverse(self) -> Array:
        """(l_ζζ)⁻¹ at the modes, float64[N, Q, Q]."""
        return self.found.inverse

    def predictions(self, problem: Problem) -> Array:
        """Predictions at the modes, on the natural scale; of the problem that this is an evaluation of."""
        return _at_modes(problem, self)

    def answered(self, question: Callable[[Problem, Evaluation], Any], problem: Problem) -> Any:
        """What a function says of this evaluation of a problem, which is asked once; see `once`."""
        about, answer = self._answers.get(question, (None, None))
        if about is not problem:
            answer = question(problem, self)
            self._answers[question] = problem, answer
        return answer

    @cached_property
    def finite(self) -> bool:
        """Whether the objective and its gradient could be computed."""
        return math.isfinite(self.ofv) and bool(np.isfinite(self.gradient).all())


_ON_PAGE = {"point", "mean", "by_subject", "scores", "zeta", "depth"}

_Answer = TypeVar("_Answer")


def once(question: Callable[[Problem, Evaluation], _Answer]) -> Callable[[Problem, Evaluation], _Answer]:
    """What depends on an evaluation alone, which never changes, is found once and kept with it."""

    @wraps(question)
    def asked(problem: Problem, at: Evaluation) -> _Answer:
        answer: _Answer = at.answered(question, problem)
        return answer

    return asked


@once
def _at_modes(problem: Problem, at: Evaluation) -> Array:
    return problem.predictions(at.point, at.eta)


class Basin(NamedTuple):
    """A mode of each subject with its surroundings.

    Attributes
    ----------
    centre : float64[N, Q]
    spread : float64[N, Q, Q]
        Lower triangle C with C Cᵀ the inverse of the curvature of ½ l.
    log_size : float64[N]
        Of its share of the likelihood, by Laplace's approximation; -inf for a subject that has none.
    """

    centre: Array
    spread: Array
    log_size: Array


class Target(Protocol):
    """What can be minimised: an `Objective`, an `Integral`, or one of them with something held.

    Attributes
    ----------
    problem : Problem
    tolerance : float
        Squared distance to the modes, in their standard errors, at which a search for them ends.
    grain : float
        Of a unit step: over less the gradient is not smooth.
    """

    problem: Problem
    tolerance: float
    grain: float

    @property
    def evaluations(self) -> int:
        """Evaluations so far."""

    def evaluate(self, x: Array) -> Evaluation:
        """Objective and gradient at x."""

    def accept(self, evaluation: Evaluation) -> None:
        """Start later searches from this point."""

    def deepen(self, at: Evaluation) -> Evaluation:
        """An evaluation at the same x that is nearer to the truth; the same one if there is none."""


class Reportable(Target, Protocol):
    """A target that answers what is asked where a search for its minimum ended."""

    def following(self) -> Reportable:
        """The same for differences of gradients: what it keeps from x to x follows the modes."""

    def modes(self, at: Evaluation) -> Evaluation:
        """An evaluation at the same x whose `zeta` are the modes that are shown."""

    def linearisation(self, at: Evaluation) -> tuple[Array, Array]:
        """E, float64[n], and G, float64[n, Q], of the linear model E + G ζ in place of the prediction."""

    def accuracy(self, at: Evaluation) -> str:
        """What there is to say of how exact the objective is, or of what it is; often nothing."""


class Objective:
    """The objective function of a problem by one approximation.

    Parameters
    ----------
    problem : Problem
    approximation : Approximation
        Of no consequence for a problem without random effects.
    """

    def __init__(self, problem: Problem, approximation: Approximation | str = Approximation.FOCEI):
        self.problem, self.approximation = problem, Approximation(approximation)
        self._linear, self._laplace = self.approximation.linear, self.approximation is Approximation.LAPLACE
        self._modes = Modes(problem, not self.approximation.interaction, self._linear, self._laplace)
        self._all = np.arange(problem.n_subjects)
        self._none = np.zeros(problem.n_subjects, dtype=bool)  # at a corner
        self.only(self._all)
        self._accepted: Evaluation | None = None
        self._scan = Scan(self._modes, np.zeros(0, dtype=np.int64) if self._linear else _moving(problem))
        self.tolerance, self.grain = _TOLERANCE, 0.0
        self.evaluations = 0
        self.rounds = 0

    def anew(self) -> Objective:
        """The same objective with a history of its own; what it works in is shared, so they go by turns."""
        other = copy(self)
        other.forget()
        other.only(self._all)
        other.tolerance, other.grain, other.evaluations, other.rounds = _TOLERANCE, 0.0, 0, 0
        return other

    def only(self, subjects: Index) -> None:
        """From now on the others add nothing: their modes stay, and are not looked for."""
        self._counted = subjects
        left_out = np.ones(len(self._all), dtype=bool)
        left_out[subjects] = False
        self._others = np.flatnonzero(left_out)

    @property
    def cornered(self) -> bool:
        """Whether a random effect moves events in time: l has several modes then, and corners between them."""
        return len(self._scan.moving) > 0

    def accept(self, evaluation: Evaluation) -> None:
        """Start later searches from this point."""
        self._accepted = evaluation
        if evaluation.page is not None:
            self._modes.move_from(evaluation.page)

    def forget(self) -> None:
        """Start later searches from η = 0."""
        self._accepted = None

    def deepen(self, at: Evaluation) -> Evaluation:
        """Look for deeper modes, where no history leads the search; the same evaluation if there is none.

        A subject can have several modes (absorption and elimination exchanged, a lag on either side of a sample), and
        a search that follows one of them from point to point stays with it. Others are looked for from η = 0 and from
        where `Scan` says.
        """
        if self._linear or not self.problem.n_random:
            return at
        point, mean = at.point, at.mean
        zeta, depth = at.zeta.copy(), at.depth.copy()
        starts = [np.zeros_like(zeta), *self._scan.starts(point, mean, zeta, depth, _BASINS)]

        def look(start: Array) -> None:
            subjects = self._counted[np.isfinite(start[self._counted]).all(axis=1)]
            other, below = self._searched(point, mean, start, subjects)
            self.rounds += self._modes.rounds
            deeper = np.zeros(len(depth), dtype=bool)
            deeper[subjects] = below[subjects] < depth[subjects] - _SAME_MODE
            zeta[deeper], depth[deeper] = other[deeper], below[deeper]

        for start in starts:
            look(start)
        bent = self._bent(at, zeta)
        if bent.any():
            for draw in few_draws(zeta.shape[1])[:_TRIES]:
                look(np.where(bent[:, None], draw, np.nan))
        if not (depth < at.depth).any():
            return at
        return self.evaluate(at.x, zeta)

    def _bent(self, at: Evaluation, zeta: Array) -> NDArray[np.bool_]:
        """Whose data bend l down along some direction at the mode: there may be another one beside it."""
        bent = np.zeros(len(zeta), dtype=bool)
        counted = np.ones(len(zeta), dtype=bool)
        counted[self._others] = False
        same = (zeta == at.zeta).all(axis=1) & np.isfinite(at.by_subject) & counted
        same &= not at.at_corner.any() and not self.cornered  # of whom the curvature is that of l alone
        if same.any():
            bent[same] = 0.5 / np.linalg.eigvalsh(at.inverse[same])[:, -1] < _BENT
        others = np.flatnonzero(~same & np.isfinite(zeta).all(axis=1) & counted)
        if others.size:
            with np.errstate(all="ignore"):
                self._modes.go_to(at.point, at.mean)
                curvature = 0.5 * self._modes.expansion(others, zeta[others]).hessian
            known = np.isfinite(curvature).all(axis=(1, 2))
            bent[others[known]] = np.linalg.eigvalsh(curvature[known])[:, 0] < _BENT
        return bent

    def _searched(self, point: Point, mean: Array, start: Array, subjects: Index) -> tuple[Array, Array]:
        """The modes of some subjects, searched from start[N, Q], and l there; infinite where nothing was found."""
        modes, page = self._modes, self._modes.blank()
        found = page.found
        found.zeta[:], found.depth[:] = np.where(np.isfinite(start), start, 0.0), np.inf
        found.state[:] = FOUND
        modes.tolerance = self.tolerance
        modes.go_to(point, mean)
        if not modes.work(subjects, page, SEARCH, GIVEN):
            self._settle(found)
        modes.close()
        return found.zeta.copy(), found.depth.copy()

    def _settle(self, found: Found) -> tuple[Index, Corners | None]:
        """Put the modes of subjects whose search ended at a kink into its corner: who they are, and what they add."""
        kinked = np.flatnonzero(found.state == KINK)
        if not kinked.size:
            return kinked, None
        expand = self._modes.expansion
        corners = no_corners(self.problem.n_subjects, self.problem.n_coordinates)
        found.zeta[kinked], _ = settle(expand, kinked, found.zeta[kinked], self.tolerance, corners)
        found.depth[kinked] = expand(kinked, found.zeta[kinked]).value
        found.state[kinked] = FOUND
        return kinked, corners

    def basins(self, at: Evaluation, most: int = 3) -> list[Basin]:
        """The modes of each subject with the curvature there: first those of `at`, then others that matter beside them.

        Parameters
        ----------
        at : Evaluation
        most : int
            Modes of a subject, besides the first.

        Returns
        -------
        list of Basin
            One where no random effect moves an event in time.
        """
        point, mean = at.point, at.mean
        self._modes.go_to(point, mean)
        known = np.where((at.at_corner | ~np.isfinite(at.by_subject))[:, None, None], np.nan, at.inverse)
        first = self._basin(at.zeta, known)
        size = np.log(np.diagonal(first.spread, axis1=1, axis2=2)).sum(axis=1) - 0.5 * at.depth
        found = [first._replace(log_size=np.where(np.isnan(size), -np.inf, size))]
        if not (most and len(self._scan.moving)):
            return found
        N, Q = at.zeta.shape
        others, depth = np.full((most, N, Q), np.nan), np.full((most, N), np.inf)
        for start in self._scan.starts(point, mean, at.zeta, at.depth, _BASINS):
            subjects = np.flatnonzero(np.isfinite(start).all(axis=1))
            zeta, below = self._searched(point, mean, start, subjects)
            for i in subjects[below[subjects] < at.depth[subjects] + _MATTERS]:
                there = np.vstack([at.zeta[i], others[:, i]])
                worst = int(depth[:, i].argmax())
                if np.nanmin(np.abs(there - zeta[i]).max(axis=1)) > _OTHER and below[i] < depth[worst, i]:
                    others[worst, i], depth[worst, i] = zeta[i], below[i]
        found += [self._basin(zeta) for zeta in others if np.isfinite(zeta).any()]
        return found

    def beside_corners(self, basin: Basin) -> Basin:
        """The same modes with wider surroundings along what moves events: curvature ends at a corner."""
        covariance = basin.spread @ basin.spread.transpose(0, 2, 1)
        wider = covariance.copy()
        for q in self._scan.moving:
            along = covariance[:, :, q] / covariance[:, q, q, None]
            wider += _BESIDE_CORNERS**2 * along[:, :, None] * along[:, None, :]
        return basin._replace(spread=np.asarray(np.linalg.cholesky(wider)))

    def _basin(self, zeta: Array, known: Array | None = None) -> Basin:
        """The modes zeta[N, Q], NaN where a subject has none, with the curvature there.

        `known`: (l_ζζ)⁻¹ at the modes, where it need not be computed, float64[N, Q, Q]; NaN of the others.
        """
        N, Q = zeta.shape
        covariance, value = np.full((N, Q, Q), np.nan), np.full(N, np.nan)
        if known is not None:
            covariance[:] = 2.0 * known
        some = np.flatnonzero(np.isfinite(zeta).all(axis=1) & ~np.isfinite(covariance).all(axis=(1, 2)))
        if some.size:
            with np.errstate(all="ignore"):
                there = self._modes.expansion(some, zeta[some])
            value[some] = there.value
            covariance[some] = _inverse(0.5 * there.hessian)
            bent = ~np.isfinite(covariance[some]).all(axis=(1, 2))
            covariance[some[bent]] = _inverse(there.expected[bent])
        spread = np.broadcast_to(np.eye(Q), (N, Q, Q)).copy()
        good = np.isfinite(covariance).all(axis=(1, 2))
        spread[good] = np.linalg.cholesky(covariance[good])
        log_size = -0.5 * value + np.log(np.diagonal(spread, axis1=1, axis2=2)).sum(axis=1)
        return Basin(np.where(np.isfinite(zeta), zeta, 0.0), spread, np.where(np.isnan(log_size), -np.inf, log_size))

    def evaluate(self, x: Array, start: Array | None = None) -> Evaluation:
        """Compute objective and gradient at x.

        The modes are searched from `start`, float64[N, Q], if given, else from where the accepted point predicts them;
        without one from η = 0 and, where random effects move events in time, in all basins.
        """
        found = self._evaluate(x, start)
        if start is None and self._accepted is None and len(self._scan.moving):
            return self.deepen(found)
        return found

    def _evaluate(self, x: Array, start: Array | None) -> Evaluation:
        problem, modes, last = self.problem, self._modes, self._accepted
        page = modes.blank()
        modes.tolerance = self.tolerance
        begin = AT_ZERO
        if start is not None:
            page.found.zeta[:] = start
            begin = GIVEN
        elif last is not None and last.page is not None:
            modes.move_from(last.page)
            begin = MOVED
        counted, others = self._counted, self._others
        every, finite = modes.evaluate(x, page, counted, SEARCH if self._laplace else SEARCH + DERIVE, begin)
        rounds, at_corner = modes.rounds + (not self.approximation.interaction), self._none
        kinked, corners = others, None
        if not every:
            page.found.state[others] = FOUND
            kinked, corners = self._settle(page.found)
            every = bool((page.found.state == FOUND).all())
        if corners is not None:
            at_corner = corners.at
        if self._laplace:
            for array in (page.found.ofv, page.found.scores, page.found.inverse, page.found.motion):
                array[:] = np.nan
            if every:
                modes.work(counted, page, DERIVE, GIVEN, corners, modes.bend(counted, page))
                rounds += 4 * problem.n_coordinates
        elif corners is not None:
            modes.work(kinked, page, DERIVE, GIVEN, corners)
        if finite is None:
            finite = modes.add_up(page, counted)
        if others.size:
            self._leave_out(page.found, last)
        self.evaluations += 1
        self.rounds += rounds
        ofv, gradient = modes.sums(page)
        modes.close()
        return Evaluation.on(
            page, x=x, ofv=ofv, gradient=gradient, rounds=rounds, at_corner=at_corner, finite=finite
        )  # fmt: skip

    def _leave_out(self, found: Found, last: Evaluation | None) -> None:
        """Those who do not count add nothing, and stay where they are."""
        others = self._others
        for array in (found.ofv, found.scores, found.inverse, found.motion):
            array[others] = 0.0
        found.depth[others] = -np.inf
        found.zeta[others] = 0.0 if last is None else last.zeta[others]
        found.state[others] = FOUND

    def following(self) -> Objective:
        """The same one: its modes are searched anew at every x."""
        return self

    def modes(self, at: Evaluation) -> Evaluation:
        """The evaluation itself; by FO, which has no modes of its own, that of FOCE there (NONMEM's POSTHOC step)."""
        if not self.approximation.linear:
            return at
        posthoc = Objective(self.problem, Approximation.FOCE).evaluate(at.x)
        return posthoc if np.isfinite(posthoc.zeta).all() else at

    def accuracy(self, at: Evaluation) -> str:
        """Nothing: it is what it is."""
        return ""

    def linearisation(self, at: Evaluation) -> tuple[Array, Array]:
        """The linear model in ζ that the method puts in place of the prediction: f ≈ E + G ζ.

        Returns
        -------
        E : float64[n]
        G : float64[n, Q]
        """
        problem = self.problem
        n, D = len(problem.y), problem.n_coordinates
        zeta = np.zeros_like(at.zeta) if self._linear else at.zeta
        Bl = problem.layout.B @ at.point.L
        f, fu = np.empty(n), np.empty((n, D))
        u = at.mean + np.einsum("idq,iq->id", Bl, zeta)
        problem.predict(self._all, u, 1, f, fu, np.empty((0, D, D)))
        first, slope = problem.observations.first, np.empty((n, zeta.shape[1]))
        for start in range(0, len(zeta), _AT_ONCE):
            mine = np.arange(start, min(start + _AT_ONCE, len(zeta)))
            rows = slice(first[mine[0]], first[mine[-1] + 1])
            of = np.repeat(mine, np.diff(first)[mine])
            slope[rows] = np.einsum("jd,jdq->jq", fu[rows], Bl[of])
            f[rows] -= np.einsum("jq,jq->j", slope[rows], zeta[of])
        return f, slope


def _moving(problem: Problem) -> Index:
    """The random effects, in the order of η, of parameters that move events in time."""
    scale = problem.scale
    k = len(scale.occasion.names)
    occasions = (problem.n_random - len(scale.subject.names)) // k if k else 0
    effects = [*scale.subject.names, *(list(scale.occasion.names) * occasions)]
    return np.array([q for q, name in enumerate(effects) if name in problem.movers], dtype=np.int64)


def _inverse(matrices: Array) -> Array:
    """Inverses of the symmetric matrices that are positive definite, float64[k, Q, Q]; NaN for the others."""
    found = np.full_like(matrices, np.nan)
    finite = np.isfinite(matrices).all(axis=(1, 2))
    values, vectors = np.linalg.eigh(matrices[finite])
    with np.errstate(all="ignore"):
        inverse = np.einsum("kpq,kq,krq->kpr", vectors, 1.0 / values, vectors)
    inverse[(values <= 1e-8).any(axis=1)] = np.nan
    found[finite] = inverse
    return found
