"""Newton's method for the values of all subjects at once, each of them by itself."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.linear import eigen
from workbench.engine.predictions.machine import call, kernel, pointer
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import log_of_prediction, record

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
_USUAL_ROUNDS = 4.0
_SECONDS_A_SUBJECT = 1e-6  # about, for its sums and its step
_SECONDS_A_BLOCK = 0.5  # about: as often it is asked whether to go on
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
        N, P = problem.n_subjects, len(typical)
        self.u = np.tile(typical, (N, 1))
        self.value, self.gradient = np.full(N, np.nan), np.full((N, P), np.nan)
        self.curvature, self.information = np.full((2, N, P, P), np.nan)
        self.state = np.full(N, STUCK)
        self.rounds, self.stopped = 0, False

    @property
    def found(self) -> Index:
        """The subjects whose values are found."""
        return np.flatnonzero(self.state == FOUND)

    def report(self) -> None:
        """Called after every half a second or so of a search; may set `stopped`."""

    def descend(self, subjects: Index, start: Array, spread: float = np.inf) -> None:
        """Newton's method from `start`, float64[subjects, P], for each subject by itself.

        The curvature's eigenvalues are taken by their size, so that every step leads down, and are damped as by
        Levenberg and Marquardt. A finite `spread`, in units, draws the values to the typical ones.
        """
        seen, begin = self.problem.observations, np.empty_like(self.u)
        begin[subjects] = start
        about = (
            seen.first, seen.y, seen.upper, seen.what, seen.response, seen.kind, seen.logarithmic.astype(np.int64),
            seen.floor,
        )  # fmt: skip
        found = _Found(self.u, self.value, self.gradient, self.curvature, self.information, self.state)
        before, most = self.rounds, [0]

        def run(address: int, arguments: int, part: Index, left: Index) -> int:
            rounds = np.zeros(1, dtype=np.int64)
            count = _descend(
                address, arguments, part, about, self.sigma, begin, self.typical, self.unit, float(spread), found,
                rounds, left,
            )  # fmt: skip
            most.append(int(rounds[0]))
            return count

        seconds = _USUAL_ROUNDS * (self.problem.predictor.seconds(2) + _SECONDS_A_SUBJECT)
        block = max(1, int(_SECONDS_A_BLOCK / seconds))
        self.state[subjects] = SEARCHING
        for at in range(0, len(subjects), block):
            if self.stopped:
                break
            part = subjects[at : at + block]
            self.problem.predictor.over(run, part, len(part) * seconds)
            self.rounds = before + max(most)
            self.report()

    def undetermined(self, subjects: Index) -> NDArray[np.bool_]:
        """The parameters that no observation of the subject determines, bool[subjects, P]."""
        error = np.empty((len(subjects), len(self.unit)))
        _standard_errors(subjects, self.information, self.unit, error)
        return np.asarray(~(error <= _UNKNOWN))


class _Found(NamedTuple):
    """As the attributes of `Descent`."""

    u: Array
    value: Array
    gradient: Array
    curvature: Array
    information: Array
    state: Index


@kernel
def _descend(address, arguments, subjects, about, sigma, begin, typical, unit, spread, found, rounds, left):
    """Search for some subjects from begin[N, P]; `rounds` is the most that one took.

    Returns how many subjects are `left` to be searched with predictions made otherwise.
    """
    first, y, upper, what, response, kind, logarithmic, floor = about
    P, most = begin.shape[1], 0
    for row in range(subjects.shape[0]):
        most = max(most, first[subjects[row] + 1] - first[subjects[row]])
    f, fu, fuu = np.zeros(most), np.zeros((most, P)), np.zeros((most, P, P))
    trial, step, size, l_u = np.zeros(P), np.zeros(P), np.zeros(P), np.zeros(P)
    l_uu, W, M, vectors = np.zeros((P, P)), np.zeros((P, P)), np.zeros((P, P)), np.zeros((P, P))
    count = 0
    for row in range(subjects.shape[0]):
        i = subjects[row]
        u, gradient, curvature, information = found.u[i], found.gradient[i], found.curvature[i], found.information[i]
        for p in range(P):
            trial[p] = begin[i, p]
        state, damping, lowest = SEARCHING, _DAMPING, np.inf
        done = 0
        while state == SEARCHING and done < _ROUNDS:
            if call(address, (arguments, i, trial, 2, first[i], f, fu, fuu)) != 0:
                break
            done += 1
            value, finite = 0.0, True
            for p in range(P):
                away = (trial[p] - typical[p]) / (spread * unit[p])
                value += away * away
                l_u[p] = 2.0 * away / (spread * unit[p])
                for q in range(P):
                    pull = 1.0 / (spread * unit[p]) ** 2 if p == q else 0.0
                    l_uu[p, q], W[p, q] = 2.0 * pull, pull
            for n in range(first[i + 1] - first[i]):
                j = first[i] + n
                k = response[j]
                if logarithmic[k] != 0:
                    log_of_prediction(n, floor[k], 2, f, fu, fuu)
                L, L1, L2, w, _ = record(True, what[j], kind[k], y[j], upper[j], f[n], sigma, k, 1.0)
                value += L
                for p in range(P):
                    l_u[p] += L1 * fu[n, p]
                    for q in range(P):
                        product = fu[n, p] * fu[n, q]
                        l_uu[p, q] += L2 * product + L1 * fuu[n, p, q]
                        W[p, q] += w * product
            for p in range(P):
                for q in range(P):
                    finite = finite and math.isfinite(l_uu[p, q])
            if finite and math.isfinite(value) and not value > lowest + 1e-11 * (1.0 + abs(lowest)):
                lowest = value
                damping *= 0.1
                for p in range(P):
                    u[p], gradient[p] = trial[p], l_u[p]
                    size[p] = 1.0 / math.sqrt(max(W[p, p], 1e-12 / unit[p] ** 2))
                    for q in range(P):
                        curvature[p, q], information[p, q] = l_uu[p, q], W[p, q]
                for p in range(P):
                    for q in range(P):
                        M[p, q] = 0.5 * curvature[p, q] * size[p] * size[q]
                eigen(pointer(M), P, pointer(vectors))
            elif lowest == np.inf:
                state = UNCOMPUTABLE
                break
            else:
                damping = max(10.0 * damping, 2.0 * _DAMPING)
            decrement, longest, moved = 0.0, 0.0, 0.0
            for p in range(P):
                step[p] = 0.0
                moved = max(moved, abs(u[p] - begin[i, p]) / unit[p])
            for k in range(P):
                slope = 0.0
                for p in range(P):
                    slope += vectors[p, k] * 0.5 * gradient[p] * size[p]
                curved = max(abs(M[k, k]), 1e-14)
                decrement += slope * slope / curved
                for p in range(P):
                    step[p] -= size[p] * vectors[p, k] * slope / (curved + damping)
            for p in range(P):
                longest = max(longest, abs(step[p]) / unit[p])
            for p in range(P):
                trial[p] = u[p] + step[p] * min(1.0, _TRUST / max(longest, 1e-300))
            if damping > _STUCK:
                state = STUCK
            if moved > _RUNAWAY:
                state = LOST
            if decrement < (_NOISE if damping > _DAMPING else _FOUND):  # refused: nothing lower is to be seen
                state = FOUND
        if state == SEARCHING and done < _ROUNDS:
            left[count] = i
            count += 1
            continue
        rounds[0] = max(rounds[0], done)
        found.value[i] = lowest
        found.state[i] = STUCK if state == SEARCHING else state
    return count


@kernel
def _standard_errors(subjects, information, unit, error):
    """Fill the standard errors of the values of some subjects, float64[subjects, P], in units."""
    P = error.shape[1]
    M, vectors = np.zeros((P, P)), np.zeros((P, P))
    for row in range(subjects.shape[0]):
        for p in range(P):
            error[row, p] = 0.0
            for q in range(P):
                M[p, q] = information[subjects[row], p, q] * unit[p] * unit[q]
        eigen(pointer(M), P, pointer(vectors))
        for p in range(P):
            for k in range(P):
                error[row, p] += vectors[p, k] * vectors[p, k] / max(M[k, k], 1e-300)
            error[row, p] = math.sqrt(error[row, p])
