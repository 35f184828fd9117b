"""The objective of a problem as a function of x, with its exact gradient.

For every x the modes of all subjects are searched together, from where the last accepted point predicts them
to be. Accepted and trial modes are kept apart: `evaluate` never changes what the next call starts from, `accept`
does. So the objective is a function of x, whatever the optimiser tried before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives import likelihood as lik
from workbench.engine.objectives.corners import Corners, Expansion, no_corners, settle
from workbench.engine.objectives.gradient import objective_and_gradient, predict_modes
from workbench.engine.objectives.scan import Scan
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import variances
from workbench.engine.problem.scale import Point
from workbench.methods import Approximation

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_KERNELS = {
    Approximation.FO: lik.FO, Approximation.FOCE: lik.FOCE, Approximation.FOCEI: lik.FOCEI,
    Approximation.LAPLACE: lik.LAPLACE,
}  # fmt: skip
_STEP = 1e-4  # of u in the differences that give the third derivatives (Laplace); fourth order
_TOLERANCE = 1e-14  # squared distance to the mode, in its standard errors
_SAME_MODE = 1e-6
_MAX_STEPS = 300
_BASINS = 8  # starts of a subject in other basins
_MATTERS = 16.0  # of l above the deepest mode: others add less than e^-8 of the likelihood
_OTHER = 0.02  # of a standard deviation: nearer is the same mode


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
    slopes: tuple[Array, ...]
    rounds: int
    at_corner: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    @property
    def eta(self) -> Array:
        """Modes of the random effects, those of occasions included, float64[N, Q]."""
        return self.zeta @ self.point.L.T

    @property
    def finite(self) -> bool:
        """Whether the objective and its gradient could be computed."""
        return bool(np.isfinite(self.ofv) and np.isfinite(self.gradient).all())


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
        self.method = _KERNELS[self.approximation]
        seen = problem.observations
        n, D = len(seen.y), problem.n_coordinates
        self._f, self._fu, self._fuu = np.empty(n), np.zeros((n, D)), np.zeros((n, D, D))
        empty = 0 if self.approximation.interaction else n
        self._f0, self._f0u = np.empty(empty), np.zeros((empty, D))
        self._R0, self._R0_f, self._R0_s = np.zeros(n), np.zeros(n), np.zeros((n, problem.scale.sigma.shape[1]))
        self._all = np.arange(problem.n_subjects)
        self._seen = (seen.first, seen.y, seen.upper, seen.what, seen.response)
        self._accepted: Evaluation | None = None
        self._scan = Scan(problem, _moving(problem) if self.method != lik.FO else np.zeros(0, dtype=np.int64))
        self.tolerance, self.grain = _TOLERANCE, 0.0
        self.evaluations = 0
        self.rounds = 0

    def accept(self, evaluation: Evaluation) -> None:
        """Start later searches from this point."""
        self._accepted = evaluation

    def forget(self) -> None:
        """Start later searches from η = 0."""
        self._accepted = None

    def deepen(self, at: Evaluation) -> Evaluation:
        """Look for deeper modes, where no history leads the search; the same evaluation if there is none.

        A subject can have several modes (absorption and elimination exchanged, a lag on either side of a sample), and
        a search that follows one of them from point to point stays with it. Others are looked for from η = 0 and from
        where `Scan` says.
        """
        if self.method == lik.FO or not self.problem.n_random:
            return at
        point, mean = at.point, at.mean
        Bl = self.problem.layout.B @ point.L
        R0 = None if self.approximation.interaction else self._variance_at_zero(point, mean, Bl)
        zeta, depth = at.zeta.copy(), at.depth.copy()
        starts = [np.zeros_like(zeta)]
        starts += self._scan.starts(mean, Bl, point.L, point.sigma, R0, zeta, depth, _BASINS)
        for start in starts:
            subjects = np.flatnonzero(np.isfinite(start).all(axis=1))
            trial = np.where(np.isfinite(start), start, 0.0)
            other, below, _, rounds, _ = self._search(point, mean, Bl, trial, subjects)
            self.rounds += rounds
            deeper = np.zeros(len(depth), dtype=bool)
            deeper[subjects] = below[subjects] < depth[subjects] - _SAME_MODE
            zeta[deeper], depth[deeper] = other[deeper], below[deeper]
        if not (depth < at.depth).any():
            return at
        return self.evaluate(at.x, zeta)

    def _variance_at_zero(self, point: Point, mean: Array, Bl: Array) -> Array:
        """Residual variance at η = 0, float64[n]; fills what the gradient needs of it."""
        problem, seen = self.problem, self.problem.observations
        u = np.empty(mean.shape)
        lik.coordinates(self._all, mean, Bl, np.zeros((len(mean), problem.n_random)), u)
        if self.method == lik.FO:
            problem.predict(self._all, u, 2, self._f, self._fu, self._fuu)
            f0 = self._f
        else:
            problem.predict(self._all, u, 1, self._f0, self._f0u, self._fuu)
            f0 = self._f0
        variances(seen.kind, seen.response, f0, point.sigma, self._R0, self._R0_f, self._R0_s)
        return self._R0

    def _search(
        self, point: Point, mean: Array, Bl: Array, trial: Array, subjects: Index
    ) -> tuple[Array, Array, Index, int, Corners]:
        """Search the modes of some subjects from trial[N, Q], which is overwritten.

        Returns
        -------
        zeta : float64[N, Q]
        depth : float64[N]
            l there; infinite where nothing was found.
        state : int64[N]
        rounds : int
        corners : Corners
        """
        N, Q = trial.shape
        zeta, step, stretch, depth = np.zeros((N, Q)), np.zeros((N, Q)), np.ones(N), np.full(N, np.inf)
        halvings, halved, steps, state = (np.zeros(N, dtype=np.int64) for _ in range(4))
        u, rounds, searching = np.empty(mean.shape), 0, subjects
        lik.coordinates(subjects, mean, Bl, trial, u)
        while searching.size:
            self.problem.predict(searching, u, 2, self._f, self._fu, self._fuu)
            searching = lik.search_step(
                searching, *self._seen, self._f, self._fu, self._fuu, self._R0, mean, Bl, self.method,
                self.problem.observations.kind, point.sigma,
                zeta, trial, step, stretch, depth, halvings, halved, steps, state, self.tolerance, _MAX_STEPS, u,
            )  # fmt: skip
            rounds += 1
        kinked = np.flatnonzero(state == lik.KINK)
        corners = no_corners(N, mean.shape[1])
        if kinked.size:
            self._settle(point, mean, Bl, zeta, depth, kinked, corners)
            state[kinked] = lik.FOUND
        return zeta, depth, state, rounds, corners

    def _settle(
        self, point: Point, mean: Array, Bl: Array, zeta: Array, depth: Array, kinked: Index, corners: Corners
    ) -> None:
        """Put the modes of subjects whose search ended at a kink into its corner; predictions are those there."""

        def expand(subjects: Index, at: Array) -> Expansion:
            return self._expanded(point, mean, Bl, subjects, at)

        zeta[kinked], _ = settle(expand, kinked, zeta[kinked], self.tolerance, corners)
        depth[kinked] = expand(kinked, zeta[kinked]).value

    def _expanded(self, point: Point, mean: Array, Bl: Array, subjects: Index, at: Array) -> Expansion:
        """l of some subjects at ζ[k, Q] with its derivatives."""
        u = np.empty(mean.shape)
        u[subjects] = mean[subjects] + np.einsum("idq,iq->id", Bl[subjects], at)
        self.problem.predict(subjects, u, 2, self._f, self._fu, self._fuu)
        found = Expansion.blank(len(subjects), mean.shape[1], at.shape[1])
        lik.expansion(
            subjects, *self._seen, self._f, self._fu, self._fuu, self._R0, Bl, at, self.method,
            self.problem.observations.kind, point.sigma, *found,
        )  # fmt: skip
        return found

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
        Bl = self.problem.layout.B @ point.L
        known = np.where((at.at_corner | ~np.isfinite(at.by_subject))[:, None, None], np.nan, at.slopes[0])
        first = self._basin(point, mean, Bl, at.zeta, known)
        size = np.log(np.diagonal(first.spread, axis1=1, axis2=2)).sum(axis=1) - 0.5 * at.depth
        found = [first._replace(log_size=np.where(np.isnan(size), -np.inf, size))]
        if not (most and len(self._scan.moving)):
            return found
        N, Q = at.zeta.shape
        others, depth = np.full((most, N, Q), np.nan), np.full((most, N), np.inf)
        R0 = None if self.approximation.interaction else self._variance_at_zero(point, mean, Bl)
        for start in self._scan.starts(mean, Bl, point.L, point.sigma, R0, at.zeta, at.depth, _BASINS):
            subjects = np.flatnonzero(np.isfinite(start).all(axis=1))
            zeta, below, _, _, _ = self._search(point, mean, Bl, np.where(np.isfinite(start), start, 0.0), subjects)
            for i in subjects[below[subjects] < at.depth[subjects] + _MATTERS]:
                there = np.vstack([at.zeta[i], others[:, i]])
                worst = int(depth[:, i].argmax())
                if np.nanmin(np.abs(there - zeta[i]).max(axis=1)) > _OTHER and below[i] < depth[worst, i]:
                    others[worst, i], depth[worst, i] = zeta[i], below[i]
        found += [self._basin(point, mean, Bl, zeta) for zeta in others if np.isfinite(zeta).any()]
        return found

    def _basin(self, point: Point, mean: Array, Bl: Array, zeta: Array, known: Array | None = None) -> Basin:
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
                there = self._expanded(point, mean, Bl, some, zeta[some])
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
        problem, method, seen = self.problem, self.method, self.problem.observations
        layout = problem.layout
        point = problem.scale.point(x)
        mean, A = layout.mean(point.theta)
        Bl = layout.B @ point.L
        N, Q, D, M = problem.n_subjects, problem.n_random, problem.n_coordinates, A.shape[2]
        f, fu, fuu = self._f, self._fu, self._fuu
        rounds = 0
        if not self.approximation.interaction:
            self._variance_at_zero(point, mean, Bl)
            rounds += 1
        f0u = fu if method == lik.FO else self._f0u
        if method == lik.FO:
            zeta, depth, corners = np.zeros((N, Q)), np.full(N, np.inf), no_corners(N, D)
            lik.linear_modes(seen.first, seen.y, f, fu, self._R0, Bl, zeta)
            found = True
        else:
            trial = self._start(point, mean) if start is None else start.copy()
            zeta, depth, state, spent, corners = self._search(point, mean, Bl, trial, self._all)
            rounds += spent
            found = bool((state == lik.FOUND).all())
        bend = np.empty((0, D, D, D))
        if method == lik.LAPLACE and found:
            bend = self._bend(mean, Bl, zeta, point)
            rounds += 4 * D

        ofv, by_theta = np.empty(N), np.empty((N, M))
        by_L, by_sigma = np.empty((N, Q, Q)), np.empty((N, *point.sigma.shape))
        slopes = (
            np.empty((N, Q, Q)), np.empty((N, D, D)), np.empty((N, D, D)), np.empty((N, D)),
            np.empty((N, D, *point.sigma.shape)),
        )  # fmt: skip
        if method == lik.LAPLACE and not found:
            for array in (ofv, by_theta, by_L, by_sigma, *slopes):
                array[:] = np.nan
        else:
            objective_and_gradient(
                self._seen, (f, fu, fuu), (self._R0, self._R0_f, self._R0_s, f0u), A, layout.B, Bl,
                zeta, method, seen.kind, point.sigma, bend, tuple(corners), (ofv, by_theta, by_L, by_sigma), slopes,
            )  # fmt: skip
        scores = problem.scale.gradient(point, by_theta, by_L, by_sigma)
        ofv += seen.jacobian
        self.evaluations += 1
        self.rounds += rounds
        total = float(ofv.sum()) if found else float("nan")
        return Evaluation(
            x, point, mean, total, scores.sum(axis=0), ofv, scores, zeta, depth, slopes, rounds, corners.at
        )

    def _bend(self, mean: Array, Bl: Array, zeta: Array, point: Point) -> Array:
        """∂l_uu/∂u at the modes, by differences of fourth order, float64[N, D, D, D]."""
        problem, kind = self.problem, self.problem.observations.kind
        N, D = mean.shape
        n = len(problem.y)
        f, fu, fuu, luu = np.empty(n), np.empty((n, D)), np.empty((n, D, D)), np.empty((N, D, D))
        u = np.empty((N, D))
        lik.coordinates(self._all, mean, Bl, zeta, u)
        bend = np.zeros((N, D, D, D))
        for c in range(D):
            for multiple, weight in ((1.0, 8.0), (2.0, -1.0), (-1.0, -8.0), (-2.0, 1.0)):
                moved = u.copy()
                moved[:, c] += multiple * _STEP
                problem.predict(self._all, moved, 2, f, fu, fuu)
                lik.curvature(*self._seen, f, fu, fuu, kind, point.sigma, luu)
                bend[..., c] += weight / (12.0 * _STEP) * luu
        return bend

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
        self.accept(at)
        again = self.evaluate(at.x)
        counts = np.diff(self.problem.observations.first)
        Bl = np.repeat(self.problem.layout.B @ again.point.L, counts, axis=0)
        slope = np.einsum("jd,jdq->jq", self._fu, Bl)
        if self.method == lik.FO:
            return self._f.copy(), slope
        return self._f - np.einsum("jq,jq->j", slope, np.repeat(again.zeta, counts, axis=0)), slope

    def _start(self, point: Point, mean: Array) -> Array:
        """Where the accepted point predicts the modes at another point to be."""
        last = self._accepted
        if last is None:
            return np.zeros((self.problem.n_subjects, self.problem.n_random))
        layout, at = self.problem.layout, last.point
        trial = np.empty_like(last.zeta)
        predict_modes(
            layout.B, layout.B @ at.L, mean - last.mean, point.L - at.L, point.sigma - at.sigma,
            *last.slopes, last.zeta, trial,
        )  # fmt: skip
        far = ~(np.abs(trial).max(axis=1, initial=0.0) < 10.0)
        trial[far] = last.zeta[far]
        return trial


def _moving(problem: Problem) -> Index:
    """The random effects, in the order of η, of parameters that move events in time."""
    scale = problem.scale
    k = len(scale.occasion.names)
    occasions = (problem.n_random - len(scale.subject.names)) // k if k else 0
    effects = [*scale.subject.names, *(list(scale.occasion.names) * occasions)]
    times = {info.name for info in problem.structure.info if info.dimension == "time"}
    return np.array([q for q, name in enumerate(effects) if name in times], dtype=np.int64)


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
