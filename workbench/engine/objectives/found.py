"""What is found of all subjects at a point, and the point itself, on one page of memory.

Small problems are evaluated in some tens of microseconds, many of which went into arrays: here one is made for all, and
machine code fills it. Who asks for a part gets a view.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions.machine import inner, pointer, view
from workbench.engine.problem.problem import Problem

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FOUND, FAILED, KINK, UNPREPARED = np.arange(4)


class Found(NamedTuple):
    """What is found of all subjects, and where.

    Attributes
    ----------
    total : float64[1]; gradient : float64[size]
        The objective, and its derivatives by x.
    theta : float64[M]; L : float64[Q, Q]; sigma : float64[responses, C]
        See `Point`; they lie side by side.
    mean : float64[N, D]
        a(θ), see `Layout`.
    zeta : float64[N, Q]; depth : float64[N]
        The modes, and l there.
    ofv : float64[N]; scores : float64[N, size]
        Contributions to the objective and to its gradient.
    inverse : float64[N, Q, Q]
        (l_ζζ)⁻¹.
    motion : float64[N, D + Q + 1 + responses·C, Q]
        What moves a mode, see `moved`, in rows: of bᵀ l_u by a(θ); of bᵀ l_uu B; Bᵀ l_u; of bᵀ l_u by σ.
    state : int64[N]
        How the search for the mode ended.
    """

    total: Array
    gradient: Array
    theta: Array
    L: Array
    sigma: Array
    mean: Array
    zeta: Array
    depth: Array
    ofv: Array
    scores: Array
    inverse: Array
    motion: Array
    state: Index


class Ruled:
    """How pages of a problem are divided, for all its subjects or so many.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Of the parts of `Found`.
    begin : int64[parts]
        Where they are, in numbers of 8 bytes.
    size : int
        Of a page.
    """

    def __init__(self, problem: Problem, subjects: int | None = None):
        N, D, Q = problem.layout.B.shape if subjects is None else (subjects, *problem.layout.B.shape[1:])
        M, S, size = problem.layout.A.shape[2], problem.scale.sigma.size, problem.scale.size
        self.shapes: tuple[tuple[int, ...], ...] = (
            (1,), (size,), (M,), (Q, Q), problem.scale.sigma.shape, (N, D), (N, Q), (N,), (N,), (N, size), (N, Q, Q),
            (N, D + Q + 1 + S, Q), (N,),
        )  # fmt: skip
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        self.begin, self.size = np.append(0, ends[:-1]), int(ends[-1])
        self.bytes = 8 * self.begin

    def bytes_of(self, *names: str) -> Index:
        """How far from the beginning of a page some parts are."""
        return np.asarray(self.bytes[[Found._fields.index(name) for name in names]])

    def laid_out(self, numbers: Array) -> Found:
        """The parts of a page."""
        parts: list[Any] = [
            numbers[at : at + math.prod(shape)].reshape(shape)
            for at, shape in zip(self.begin.tolist(), self.shapes, strict=True)
        ]
        parts[-1] = parts[-1].view(np.int64)
        return Found._make(parts)


class Page:
    """A page to be filled.

    Attributes
    ----------
    numbers : float64[size]
        Of all parts, one after another; what are integers are these, not numbers.
    """

    def __init__(self, ruled: Ruled):
        self._ruled, self.numbers = ruled, np.empty(ruled.size)

    @cached_property
    def found(self) -> Found:
        """Its parts."""
        return self._ruled.laid_out(self.numbers)

    def __getstate__(self) -> dict[str, object]:
        return {"_ruled": self._ruled, "numbers": self.numbers}  # copies of the parts would be of no use


class Course(NamedTuple):
    """What leads from x to a point, see `problem.scale.Plain`; and what a change of variables adds, float64[N].

    `x` is where that is put; the integers are addresses of functions.
    """

    fixed: Array
    place: Index
    of: Index
    factor: Array
    logarithm: Index
    slope: Index
    x: Array
    jacobian: Array
    to_point: int
    in_turn: int
    add_up: int


def course_of(problem: Problem) -> Course:
    """Of a problem; without numbers where each of a point does not follow from one of x."""
    plain, none, nowhere = problem.scale.plain, np.zeros(0), np.zeros(0, dtype=np.int64)
    x, jacobian = np.zeros(problem.scale.size), np.ascontiguousarray(problem.observations.jacobian)
    if plain is None:
        return Course(none, nowhere, nowhere, none, nowhere, nowhere, x, jacobian, 0, 0, 0)
    return Course(
        plain.fixed, plain.place, plain.of, plain.factor, plain.logarithm.astype(np.int64), plain.slope, x, jacobian,
        0, 0, 0,
    )  # fmt: skip


# Kernels take pointers: c to Course, p to Surface, o to Found.


def to_point(c, p, o, subjects, count):
    """Fill the point at x with its derivatives by x, and a(θ). Machine code of its own."""
    fixed, place, of, factor, logarithm, slope = (
        pointer(c.fixed), pointer(c.place), pointer(c.of), pointer(c.factor), pointer(c.logarithm), pointer(c.slope)
    )  # fmt: skip
    x, numbers, chain, A, mean = pointer(c.x), pointer(o.theta), pointer(p.chain), pointer(p.A), pointer(o.mean)
    N, D, M = p.A.shape
    for k in range(c.fixed.shape[0]):
        numbers[k] = fixed[k]
    for k in range(c.place.shape[0]):
        by = factor[k]
        if logarithm[k] != 0:
            by *= math.exp(x[of[k]])
            numbers[place[k]] = by
        else:
            numbers[place[k]] = by * x[of[k]]
        chain[slope[k]] = by
    for row in range(N * D):
        value = 0.0
        for m in range(M):
            value += A[row * M + m] * numbers[m]
        mean[row] = value
    return 0


def add_up(c, o, subjects, count):
    """Fill the objective and its gradient from what some subjects add; whether they are numbers. Machine code.

    Neumaier (1974, Z Angew Math Mech 54:39): what is lost of a sum is summed as well, so it does not grow with N.
    """
    return _sum_of(c, o, view(subjects, (count,)))


@inner
def _sum_of(c, o, subjects):
    ofv, scores, gradient, state, jacobian = (
        pointer(o.ofv), pointer(o.scores), pointer(o.gradient), pointer(o.state), pointer(c.jacobian)
    )  # fmt: skip
    size = o.gradient.shape[0]
    lost = np.zeros(size)
    total = rest = 0.0
    for k in range(size):
        gradient[k] = 0.0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        ofv[i] += jacobian[i]
        part = ofv[i] if state[i] == FOUND else np.nan
        new = total + part
        rest += (total - new) + part if abs(total) >= abs(part) else (part - new) + total
        total = new
        for k in range(size):
            old, part = gradient[k], scores[i * size + k]
            new = old + part
            lost[k] += (old - new) + part if abs(old) >= abs(part) else (part - new) + old
            gradient[k] = new
    total += rest
    finite = math.isfinite(total)
    for k in range(size):
        gradient[k] += lost[k]
        finite = finite and math.isfinite(gradient[k])
    o.total[0] = total
    return 1 if finite else 0
