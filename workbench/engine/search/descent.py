"""Newton's method for the values of all subjects at once, each of them by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions.machine import kernel
from workbench.engine.predictions.threads import over_subjects
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import record

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SEARCHING, FOUND, STUCK, LOST, UNCOMPUTABLE = range(5)

_TRUST = 2.0  # longest step, in units
_ROUNDS = 200
_FOUND = 1e-14  # squared distance to the minimum, in standard errors
_NOISE = 1e-8  # the same, where a step so small was refused: what is left is rounding
_DAMPING = 1e-3
_STUCK = 1e10  # damping with which nothing lower is found
_RUNAWAY = 14.0  # units; e^14 is a million
_SECONDS_A_SUBJECT = 1e-6  # about, for its sums or its step
_UNKNOWN = 30.0  # standard error, in units: values that nothing determines


class Descent:
    """The values of each subject that make its l = Σ_j L(y_j, f_j(u), σ) least, as far as they are found.

    Parameters
    ----------
    problem : Problem
        Whose coordinates u are the values that are searched, P for each of N subjects.
    typical : float64[P]
        Where they are drawn to, if at all.
    unit : float64[P]
        A natural size of each.

    Attributes
    ----------
    u : float64[N, P]; value : float64[N]
        The lowest so far, and l there.
    gradient : float64[N, P]; curvature, information : float64[N, P, P]
        l_u, l_uu, and the expected ½ l_uu.
    state : int64[N]
        FOUND; LOST: ran away, or not determined; STUCK; UNCOMPUTABLE at the start.
    sigma : float64[responses, C]
    rounds : int
    stopped : bool
    """

    def __init__(self, problem: Problem, typical: Array, unit: Array):
        self.problem, self.typical, self.unit = problem, typical, unit
        self.sigma = problem.scale.point(problem.x).sigma.copy()
        N, n, P = problem.n_subjects, len(problem.y), len(typical)
        self.u = np.tile(typical, (N, 1))
        self.value, self.gradient = np.full(N, np.nan), np.full((N, P), np.nan)
        self.curvature, self.information = np.full((2, N, P, P), np.nan)
        self.state = np.full(N, STUCK)
        self.f, self._fu, self._fuu = np.full(n, np.nan), np.zeros((n, P)), np.zeros((n, P, P))
        self.rounds, self.stopped = 0, False

    @property
    def found(self) -> Index:
        """The subjects whose values are found."""
        return np.flatnonzero(self.state == FOUND)

    def report(self) -> None:
        """Called after every round; may set `stopped`."""

    def descend(self, subjects: Index, start: Array, spread: float = np.inf) -> None:
        """Newton's method from `start`, float64[subjects, P], for each subject by itself.

        The curvature's eigenvalues are taken by their size, so that every step leads down, and are damped as by
        Levenberg and Marquardt. A finite `spread`, in units, draws the values to the typical ones.
        """
        trial, begun = self.u.copy(), self.u.copy()
        trial[subjects] = begun[subjects] = start
        self.value[subjects], self.state[subjects] = np.inf, SEARCHING
        damping = np.full(len(trial), _DAMPING)
        searching = subjects
        for _ in range(_ROUNDS):
            if not len(searching) or self.stopped:
                break
            value, gradient, curvature, information = self._sums(searching, trial)
            away = (trial[searching] - self.typical) / (spread * self.unit)
            value += (away**2).sum(axis=1)
            gradient += 2.0 * away / (spread * self.unit)
            pull = np.diag(1.0 / (spread * self.unit) ** 2)
            curvature, information = curvature + 2.0 * pull, information + pull
            before = self.value[searching]
            with np.errstate(invalid="ignore"):
                finite = np.isfinite(value) & np.isfinite(curvature).all(axis=(1, 2))
                lower = finite & ~(value > before + 1e-11 * (1.0 + np.abs(before)))
            taken, refused = searching[lower], searching[~lower]
            self.u[taken], self.value[taken], self.gradient[taken] = trial[taken], value[lower], gradient[lower]
            self.curvature[taken], self.information[taken] = curvature[lower], information[lower]
            damping[taken] *= 0.1
            damping[refused] = np.maximum(10.0 * damping[refused], 2.0 * _DAMPING)
            self.state[refused[~np.isfinite(self.value[refused])]] = UNCOMPUTABLE
            going = searching[self.state[searching] == SEARCHING]
            step, decrement = self._steps(going, damping[going])
            moved = (np.abs(self.u[going] - begun[going]) / self.unit).max(axis=1, initial=0.0)
            self.state[going[damping[going] > _STUCK]] = STUCK
            self.state[going[moved > _RUNAWAY]] = LOST
            enough = np.where(damping[going] > _DAMPING, _NOISE, _FOUND)  # refused: nothing lower is to be seen
            self.state[going[decrement < enough]] = FOUND
            trial[going] = self.u[going] + step
            searching = going[self.state[going] == SEARCHING]
            self.report()
        self.state[searching] = SEARCHING if self.stopped else STUCK

    def _steps(self, subjects: Index, damping: Array) -> tuple[Array, Array]:
        """The damped step of each subject, and the Newton decrement, its squared distance to the minimum."""
        diagonal = np.einsum("ipp->ip", self.information[subjects])
        size = 1.0 / np.sqrt(np.maximum(diagonal, 1e-12 / self.unit**2))
        scaled = 0.5 * self.curvature[subjects] * size[:, :, None] * size[:, None, :]
        values, vectors = np.empty(size.shape), np.empty(scaled.shape)

        def task(part: Index) -> None:
            mine = slice(part[0], part[-1] + 1)
            values[mine], vectors[mine] = np.linalg.eigh(scaled[mine])

        over_subjects(task, np.arange(len(subjects)), _SECONDS_A_SUBJECT * len(subjects))
        slope = np.einsum("ipk,ip->ik", vectors, 0.5 * self.gradient[subjects] * size)
        curved = np.maximum(np.abs(values), 1e-14)
        step = -size * np.einsum("ipk,ik->ip", vectors, slope / (curved + damping[:, None]))
        longest = (np.abs(step) / self.unit).max(axis=1, initial=0.0)
        step *= np.minimum(1.0, _TRUST / np.maximum(longest, 1e-300))[:, None]
        return step, (slope**2 / curved).sum(axis=1)

    def _sums(self, subjects: Index, u: Array) -> tuple[Array, Array, Array, Array]:
        """l with its gradient, its curvature and the expected information, of some subjects at u[N, P]."""
        P, seen = u.shape[1], self.problem.observations
        self.problem.predict(subjects, u, 2, self.f, self._fu, self._fuu)
        value, gradient = np.zeros(len(subjects)), np.zeros((len(subjects), P))
        curvature, information = np.zeros((2, len(subjects), P, P))

        def task(part: Index) -> None:
            mine = slice(part[0], part[-1] + 1)
            _sums(
                subjects[mine], seen.first, seen.y, seen.upper, seen.what, seen.response, self.f, self._fu, self._fuu,
                seen.kind, self.sigma, value[mine], gradient[mine], curvature[mine], information[mine],
            )  # fmt: skip

        over_subjects(task, np.arange(len(subjects)), _SECONDS_A_SUBJECT * len(subjects))
        self.rounds += 1
        return value, gradient, curvature, information

    def undetermined(self, subjects: Index) -> NDArray[np.bool_]:
        """The parameters that no observation of the subject determines, bool[subjects, P]."""
        scaled = self.information[subjects] * np.outer(self.unit, self.unit)
        known = np.isfinite(scaled).all(axis=(1, 2))
        error = np.full(scaled.shape[:2], np.inf)
        values, vectors = np.linalg.eigh(scaled[known])
        error[known] = np.sqrt((vectors**2 / np.maximum(values, 1e-300)[:, None, :]).sum(axis=2))
        return np.asarray(error > _UNKNOWN)


@kernel
def _sums(subjects, first, y, upper, what, response, f, fu, fuu, kind, sigma, value, gradient, curvature, information):
    """Fill l, its gradient and curvature by u, and the expected information, one row for each of `subjects`."""
    D = fu.shape[1]
    for row in range(subjects.shape[0]):
        i = subjects[row]
        for j in range(first[i], first[i + 1]):
            k = response[j]
            L, L1, L2, w, _ = record(True, what[j], kind[k], y[j], upper[j], f[j], sigma, k, 1.0)
            value[row] += L
            for d in range(D):
                gradient[row, d] += L1 * fu[j, d]
                for e in range(D):
                    product = fu[j, d] * fu[j, e]
                    curvature[row, d, e] += L2 * product + L1 * fuu[j, d, e]
                    information[row, d, e] += w * product
