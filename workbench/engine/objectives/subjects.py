"""Subject after subject, in machine code and in several threads: its mode, and the objective and its gradient there.

Each is worked on in a `Room` of the size of one subject, so that memory does not grow with their number but for what is
found of them, and caches stay warm. What is found of a subject does not depend on the others, nor on the thread.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.corners import Corners, Expansion
from workbench.engine.objectives.found import (
    FAILED,
    FOUND,
    UNPREPARED,
    Found,
    Page,
    Ruled,
    add_up,
    course_of,
    to_point,
)
from workbench.engine.objectives.gradient import OF_ANY_LENGTH, derive, moved, new_derivatives
from workbench.engine.objectives.likelihood import (
    BY_OBSERVATION,
    Surface,
    at_zero,
    curvature,
    enter,
    linear_mode,
    new_room,
    place,
    predicted,
    records,
    search,
)
from workbench.engine.objectives.linear import cholesky, congruent
from workbench.engine.predictions.machine import (
    INT,
    INTEGERS,
    Image,
    address,
    address_of,
    call,
    callable_of,
    inner,
    is_at_hand,
    is_known,
    pointer,
    view,
)
from workbench.engine.predictions.predictor import Single
from workbench.engine.predictions.threads import over_subjects, worth_several
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import MEASURED, SUM_OF_DEVIATIONS, address_of_rare
from workbench.engine.problem.scale import Point

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SEARCH, DERIVE = 1, 2
AT_ZERO, MOVED, GIVEN = range(3)
_MANY = 500  # subjects, for whom code is compiled that knows the numbers of coordinates and effects,
_MOST_KNOWN = 6  # and otherwise where these are few, see `_knows_shapes`
_ROUNDS = 4.0  # of a search, about
_FAR = 10.0  # of ζ: a prediction of the mode as far as that is none
_time_to_spare: list[bool] = []  # for code of their own, see `wanting_code_of_their_own`
_OF_POINT = ("L", "sigma", "mean")  # what a surface takes from a page
_STEP = 1e-4  # of u in the differences that give the third derivatives (Laplace); fourth order


# Kernels take pointers: p to Surface, s to Found at another point, r to Room, g to Derivatives, o to Found.


def _in_turn(p, s, r, g, o, subjects, count, doing, begin):
    """Find the modes of some subjects (SEARCH), and what follows from them (DERIVE); of how many none was found.

    Parameters
    ----------
    subjects : pointer to int64[count]
    doing : int
        SEARCH, DERIVE (at `Found.zeta`), or both.
    begin : int
        Where the searches do: AT_ZERO; MOVED: where the modes of the other point have gone; GIVEN: at `Found.zeta`.
    """
    return _each(p, s, r, g, o, view(subjects, (count,)), doing, begin, r.zero, r.linear)


def _at_once(c, p, s, r, g, o, subjects, count, doing, begin):
    """Go to x, do what is to be done, and add up; whether sums are numbers, or less than 0 where a mode is missing."""
    call(c.to_point, (c, p, o, subjects, count))
    if call(c.in_turn, (p, s, r, g, o, subjects, count, doing, begin)) != 0:
        return -1
    if doing & DERIVE:
        return call(c.add_up, (c, o, subjects, count))
    return 0


@inner
def _each(p, s, r, g, o, subjects, doing, begin, zero, linear):
    zeta, trial, found, state, depth = r.zeta, r.trial, o.zeta, o.state, o.depth
    f, fu, fuu = r.f, r.fu, r.fuu
    Q, missing = trial.shape[0], 0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        enter(i, p, r)
        for q in range(Q):
            trial[q] = found[i, q] if begin == GIVEN else 0.0
        if begin == MOVED:
            moved(i, p, s, r.step, trial)
            far = False
            for q in range(Q):
                far = far or not abs(trial[q]) < _FAR
            if far:
                for q in range(Q):
                    trial[q] = s.zeta[i, q]
        prepared = True
        if linear is not None:
            prepared = at_zero(i, p, r, 2, f, fu, fuu)
            for n in range(p.first[i + 1] - p.first[i]):
                for d in range(fu.shape[1]):
                    zero.fu[n, d] = fu[n, d]
        elif zero is not None:
            prepared = at_zero(i, p, r, 1, zero.f, zero.fu, fuu)
        if not prepared:
            state[i] = UNPREPARED
        elif linear is not None:
            linear_mode(i, p, r)
            state[i], depth[i] = FOUND, np.inf
        elif doing & SEARCH:
            state[i] = call(r.search, (p, r, i))
            depth[i] = r.depth[0]
        else:
            for q in range(Q):
                zeta[q] = trial[q]
            place(i, p, r, zeta)
            state[i] = FOUND if predicted(i, p, r, 2, f, fu, fuu) else UNPREPARED
        if state[i] != FOUND:
            missing += 1
        if state[i] != UNPREPARED:
            for q in range(Q):
                found[i, q] = zeta[q]
        if doing & DERIVE:
            if state[i] == FOUND:
                call(r.derive, (p, r, g, o, i))
            else:
                o.ofv[i] = np.nan
                _nothing(o.scores[i])
                _nothing(o.inverse[i].reshape(-1))
                _nothing(o.motion[i].reshape(-1))
    return missing


@inner
def _nothing(numbers):
    for k in range(numbers.shape[0]):
        numbers[k] = np.nan


def _bend(p, r, filled, o, subjects, count):
    """Fill ∂l_uu/∂u at the modes of some subjects, by differences of fourth order, float64[N, D, D, D]."""
    bend, u, luu, trial, modes, chosen = filled.bend, r.u, r.luu, r.trial, o.zeta, view(subjects, (count,))
    D = u.shape[0]
    for which in range(count):
        i = chosen[which]
        enter(i, p, r)
        for q in range(trial.shape[0]):
            trial[q] = modes[i, q]
        for c in range(D):
            for d in range(D):
                for e in range(D):
                    bend[i, d, e, c] = 0.0
            for k in range(4):
                place(i, p, r, trial)
                u[c] += (2.0 if k % 2 else 1.0) * (1.0 if k < 2 else -1.0) * _STEP
                predicted(i, p, r, 2, r.f, r.fu, r.fuu)
                records(i, p, r, None)
                curvature(i, p, r)
                weight = (-1.0 if k % 2 else 8.0) * (1.0 if k < 2 else -1.0) / (12.0 * _STEP)
                for d in range(D):
                    for e in range(D):
                        bend[i, d, e, c] += weight * luu[d, e]
    return 0


class _Bend(NamedTuple):
    bend: Array


def _expand(p, r, t, subjects, count, laplace):
    """Fill an `Expansion` of subjects at zeta[k]; of how many that attempt is not prepared."""
    return _each_expanded(p, r, t, view(subjects, (count,)), laplace, r.zero)


@inner
def _each_expanded(p, r, t, subjects, laplace, zero):
    b, half, gauss, trial = r.b, pointer(r.half), r.hessian, r.trial
    value, by_u, gradient, hessian, expected, logarithm = (
        t.value, t.by_u, t.gradient, t.hessian, t.expected, t.log_determinant
    )  # fmt: skip
    D, Q = b.shape
    left = 0
    for k in range(subjects.shape[0]):
        i = subjects[k]
        enter(i, p, r)
        if zero is not None:
            at_zero(i, p, r, 1, zero.f, zero.fu, r.fuu)
        for q in range(Q):
            trial[q] = t.zeta[k, q]
        place(i, p, r, trial)
        if not predicted(i, p, r, 2, r.f, r.fu, r.fuu):
            left += 1
        value[k] = records(i, p, r, zero)
        curvature(i, p, r)
        congruent(pointer(b), pointer(r.luu), 2.0, half, pointer(hessian[k]), D, Q)
        congruent(pointer(b), pointer(r.luu if laplace else r.W), 0.0, half, pointer(expected[k]), D, Q)
        for d in range(D):
            by_u[k, d] = r.lu[d]
        for q in range(Q):
            gradient[k, q] = 2.0 * trial[q]
            for d in range(D):
                gradient[k, q] += b[d, q] * r.lu[d]
            for c in range(Q):
                expected[k, q, c] = (0.5 if laplace else 1.0) * expected[k, q, c] + (1.0 if q == c else 0.0)
                gauss[q, c] = expected[k, q, c]
        logarithm[k] = -np.inf
        if cholesky(pointer(gauss), Q):
            logarithm[k] = 0.0
            for q in range(Q):
                logarithm[k] += 2.0 * math.log(gauss[q, q])
    return left


def _look(p, r, t, subjects, count):
    """Fill l of subjects at points[K, count, Q]; of how many that attempt is not prepared."""
    return _each_looked_at(p, r, t, view(subjects, (count,)), r.zero)


@inner
def _each_looked_at(p, r, t, subjects, zero):
    points, depth, trial = t.points, t.depth, r.trial
    left = 0
    for n in range(subjects.shape[0]):
        i = subjects[n]
        enter(i, p, r)
        prepared = True
        if zero is not None:
            prepared = at_zero(i, p, r, 0, zero.f, zero.fu, r.fuu)
        for k in range(points.shape[0]):
            for q in range(trial.shape[0]):
                trial[q] = points[k, n, q]
            place(i, p, r, trial)
            prepared = predicted(i, p, r, 0, r.f, r.fu, r.fuu) and prepared
            depth[k, n] = records(i, p, r, zero)
        if not prepared:
            left += 1
    return left


class _Look(NamedTuple):
    """Where l is wanted, float64[K, N, Q], and it, float64[K, N]."""

    points: Array
    depth: Array


class _There(NamedTuple):
    """Where an `Expansion` is wanted, and it."""

    zeta: Array
    value: Array
    by_u: Array
    gradient: Array
    hessian: Array
    expected: Array
    log_determinant: Array


class _Furnished(NamedTuple):
    """A room with what is in it, and the functions that `_at_once` calls with it."""

    rounds: Index
    room: Image
    derivatives: Image
    functions: tuple[int, int, int]
    singles: tuple[Single | None, ...]


class Modes:
    """The modes of the subjects of a problem, and what is derived from them, at one point after another.

    Parameters
    ----------
    problem : Problem
    zero : bool
        Residual variances at η = 0.
    linear : bool
        f linear in ζ.
    laplace : bool
        H by the curvature of l.

    Attributes
    ----------
    tolerance : float
        Squared distance to a mode, in its standard errors, at which a search for it ends.
    rounds : int
        The most predictions that one of the latest searches took.
    """

    def __init__(self, problem: Problem, zero: bool, linear: bool, laplace: bool):
        self._prepared, self._rooms = 1, deque[_Furnished]()
        self._problem, self._zero, self._linear, self._laplace = problem, zero, linear, laplace
        seen, layout, scale = problem.observations, problem.layout, problem.scale
        _, D, Q = layout.B.shape
        M, (responses, C) = layout.A.shape[2], scale.sigma.shape
        rare = bool((seen.what != MEASURED).any()) or (not zero and bool((seen.kind > SUM_OF_DEVIATIONS).any()))
        self._most = int(np.diff(seen.first).max(initial=0))
        self._shape = self._most, D, Q, M, responses, C
        nowhere = np.zeros((0, D))
        self._surface = Surface(
            seen.first, seen.y, seen.upper, seen.what, seen.response, seen.kind, seen.logarithmic.astype(np.int64),
            seen.floor, address_of_rare() if rare else 0, layout.A, layout.B, np.zeros((0, D)), np.zeros((Q, Q)),
            np.zeros((responses, C)), np.zeros((M + Q * Q + responses * C, scale.size)), np.zeros(1), nowhere, nowhere,
            None,
        )  # fmt: skip
        self._image = Image(self._surface)
        self._ruled = Ruled(problem)
        self._found = Image(Page(Ruled(problem, subjects=0)).found)
        self._before = self._found.again()
        self._steps_by: tuple[int, int, int] | None = None
        self._all, self._own = self._found.places(Found._fields), self._image.places(_OF_POINT)
        self._own_bytes = self._ruled.bytes_of(*_OF_POINT)
        self._course = course_of(problem)
        self._steps = Image(self._course)
        self._follows_x = problem.scale.plain is not None and not layout.fractional
        self._page: Page | None = None
        self._page_before: Page | None = None
        self._slopes, self._mean = layout.A, nowhere
        self._functions: dict[Any, Callable[..., int]] = {}
        self.rounds = 0

    def blank(self) -> Page:
        """To be filled."""
        return Page(self._ruled)

    def close(self) -> None:
        """Nothing more comes on the page that is open: it is kept by those alone who need it."""
        self._page = None

    @property
    def tolerance(self) -> float:
        return float(self._surface.tolerance[0])

    @tolerance.setter
    def tolerance(self, value: float) -> None:
        self._surface.tolerance[0] = value

    def go_to(self, point: Point, mean: Array) -> None:
        """From now on, at this point of the parameter space, where modes are looked for; nothing is derived.

        Parameters
        ----------
        point : Point
        mean : float64[N, D]
            a(θ).
        """
        surface, self._mean = self._surface, np.ascontiguousarray(mean)
        surface.L[:], surface.sigma[:] = point.L, point.sigma
        self._image.put(L=surface.L, sigma=surface.sigma, mean=self._mean)

    def evaluate(self, x: Array, page: Page, subjects: Index, doing: int, begin: int) -> tuple[bool, bool | None]:
        """Go to x, with what is found there on a page: the point, the modes of some subjects, what follows, its sums.

        Parameters
        ----------
        x : float64[size]
        page : Page
        subjects, doing, begin
            As of `work`.

        Returns
        -------
        every : bool
            Whether modes of all of them were found.
        finite : bool or None
            As of `add_up`; None where it remains to be called.
        """
        self._open(page)
        self._image.put_at(self._own, address(page.numbers) + self._own_bytes)
        if not self._follows_x:
            self._go_along(x, page)
            return self.work(subjects, page, doing, begin), None
        self._course.x[:] = x
        if worth_several(len(subjects), len(subjects) * self._seconds(doing)):
            self._run(to_point, (self._steps, self._image, self._found), subjects)
            return self.work(subjects, page, doing, begin), None
        f = self._furnished()
        f.rounds[0] = 0
        images = (self._steps, self._image, self._before, f.room, f.derivatives, self._found)
        if self._steps_by is not f.functions:
            self._steps.put(**dict(zip(("to_point", "in_turn", "add_up"), f.functions, strict=True)))
            self._steps_by = f.functions
        said = self._run(_at_once, images, subjects, doing, begin)
        self._rooms.append(f)
        rounds = self.rounds = int(f.rounds[0])
        if said >= 0:
            return True, bool(said) if doing & DERIVE else None
        state = page.found.state
        left = subjects[state[subjects] == UNPREPARED]
        if left.size and self._prepare():
            self.work(left, page, doing, begin)
            self.rounds = max(self.rounds, rounds)
        return bool((state[subjects] == FOUND).all()), None

    def _go_along(self, x: Array, page: Page) -> None:
        """Put the point at x on a page, where its numbers do not follow from x one by one."""
        point, self._surface.chain[:] = self._problem.scale.chained(x)
        mean, slopes = self._problem.layout.mean(point.theta)
        found = page.found
        found.theta[:], found.L[:], found.sigma[:], found.mean[:] = point.theta, point.L, point.sigma, mean
        self._slopes = slopes
        self._image.put(A=slopes)

    def _open(self, page: Page) -> None:
        """What is found from now on comes on this page."""
        if page is not self._page:
            self._found.put_at(self._all, address(page.numbers) + self._ruled.bytes)
            self._page = page

    def move_from(self, page: Page) -> None:
        """Searches that begin at MOVED follow the modes found on this page."""
        if page is not self._page_before:
            self._before.put_at(self._all, address(page.numbers) + self._ruled.bytes)
            self._page_before = page

    def add_up(self, page: Page, subjects: Index) -> bool:
        """Fill the objective and its gradient with what some subjects add; whether they are numbers."""
        self._open(page)
        return self._run(add_up, (self._steps, self._found), subjects) != 0

    def sums(self, page: Page) -> tuple[float, Array]:
        """The objective and its gradient, where they were added up; who keeps them does not keep the page."""
        return float(page.numbers[0]), page.numbers[1 : 1 + len(self._course.x)].copy()

    def work(
        self, subjects: Index, page: Page, doing: int, begin: int, corners: Corners | None = None,
        bend: Array | None = None,
    ) -> bool:  # fmt: skip
        """Fill what is found of some subjects: their modes (SEARCH), and what is derived from them (DERIVE).

        Parameters
        ----------
        subjects : int64[k]
        page : Page
        doing : int
            SEARCH, DERIVE, or their sum.
        begin : int
            AT_ZERO, MOVED (see `move_from`), or GIVEN: at the modes on the page.
        corners : Corners, optional
        bend : float64[N, D, D, D], optional
            See `bend`.

        Returns
        -------
        bool
            Whether modes of all of them were found.
        """
        self._open(page)
        image = self._image
        if corners is not None or bend is not None:
            found = page.found
            surface = self._surface._replace(mean=found.mean, L=found.L, sigma=found.sigma, A=self._slopes, bend=bend)
            image = Image(surface if corners is None else surface._replace(pull=corners.pull, wall=corners.wall))
        rounds, missing = [0], [0]

        def task(part: Index) -> None:
            f = self._furnished()
            f.rounds[0] = 0
            images = (image, self._before, f.room, f.derivatives, self._found)
            if bend is not None:
                _furnish(f, image, self._found)
                missing.append(_called(_in_turn, images, part, doing, begin))
            else:
                missing.append(self._run(_in_turn, images, part, doing, begin))
            rounds.append(int(f.rounds[0]))
            self._rooms.append(f)

        left = subjects
        while left.size:
            missing[:] = [0]
            over_subjects(task, left, len(left) * self._seconds(doing))
            if not any(missing):
                break
            state = page.found.state
            left = left[state[left] == UNPREPARED]
            if left.size and not self._prepare():
                state[left] = FAILED
                break
        self.rounds = max(rounds)
        return not any(missing) or bool((page.found.state[subjects] == FOUND).all())

    def _seconds(self, doing: int) -> float:
        """That a subject takes."""
        return self._problem.predictor.seconds(2) * (_ROUNDS if doing & SEARCH else 1.0)

    def _run(self, function: Callable[..., int], images: Sequence[Image], subjects: Index, *others: int) -> int:
        """As `_called`, with images that are of the same form whenever this is asked of a function: found once."""
        known = self._functions.get(function)
        if known is None:
            known = self._functions[function] = _callable(function, images, len(others))
        return known(*[image.address for image in images], address(subjects), len(subjects), *others)

    def bend(self, subjects: Index, page: Page) -> Array:
        """∂l_uu/∂u at the modes of some subjects, float64[N, D, D, D], the last index the direction."""
        N, D, _ = self._surface.B.shape
        bend = np.zeros((N, D, D, D))
        filled = Image(_Bend(bend))
        self._open(page)

        def task(part: Index) -> None:
            f = self._furnished()
            images = (self._image, f.room, filled, self._found)
            _called(_bend, images, part)
            self._rooms.append(f)

        over_subjects(task, subjects, len(subjects) * self._problem.predictor.seconds(2) * 4 * D)
        return bend

    def expansion(self, subjects: Index, zeta: Array) -> Expansion:
        """l of some subjects at ζ[k, Q] with its derivatives."""
        found = Expansion.blank(len(subjects), *self._surface.B.shape[1:])
        while True:
            f = self._furnished()
            there = Image(_There(np.ascontiguousarray(zeta), *found))
            left = _called(_expand, (self._image, f.room, there), np.ascontiguousarray(subjects), int(self._laplace))
            self._rooms.append(f)
            if not left or not self._prepare():
                return found

    def depths(self, points: Array) -> Array:
        """l of all subjects at ζ[K, N, Q], float64[K, N]; not finite where it cannot be computed."""
        K, N, _ = points.shape
        depth = np.empty((K, N))

        def task(part: Index) -> None:
            f = self._furnished()
            look = _Look(np.ascontiguousarray(points[:, part]), np.empty((K, len(part))))
            left.append(_called(_look, (self._image, f.room, Image(look)), part))
            depth[:, part] = look.depth
            self._rooms.append(f)

        while True:
            left: list[int] = []
            over_subjects(task, np.arange(N), N * K * self._problem.predictor.seconds(0))
            if not any(left) or not self._prepare():
                return depth

    def _prepare(self) -> bool:
        """Prepare the next attempt to predict subjects; False if there is none."""
        if self._prepared >= self._problem.predictor.attempts:
            return False
        self._prepared += 1
        self._rooms.clear()
        return True

    def _furnished(self) -> _Furnished:
        """A room that nobody is in."""
        with suppress(IndexError):
            return self._rooms.pop()
        with suppress(IndexError):
            return self._kept().pop()
        return self._new_room()

    def _kept(self) -> deque[_Furnished]:
        """Rooms that were left by others who worked on the same data, of this kind."""
        kind = self._shape, self._zero, self._linear, self._laplace, self._prepared
        return self._problem.predictor.kept((self._image.form, self._found.form, *kind))

    def __del__(self) -> None:
        if self._rooms:
            self._kept().extend(self._rooms)

    def _new_room(self) -> _Furnished:
        predictor, (D, Q, M, responses, C) = self._problem.predictor, self._shape[1:]
        singles = tuple(
            predictor.lend(attempt) if attempt < self._prepared else None for attempt in range(predictor.attempts)
        )
        room = new_room(self._most, D, Q, C, singles, self._zero, self._linear)
        derivatives = new_derivatives(self._most, D, Q, M, responses, C)
        images = Image(room), Image(derivatives)
        known = images[0].with_shapes(BY_OBSERVATION), images[1].with_shapes(OF_ANY_LENGTH)
        if self._knows_shapes(images[0], known[0], max(D, Q)):
            images = known
        steps, surface, found = self._steps, self._image, self._found
        functions = (
            address_of(to_point, (steps, surface, found), INTEGERS, INT),
            address_of(_in_turn, (surface, self._before, *images, found), INTEGERS, INT, INT, INT),
            address_of(add_up, (steps, found), INTEGERS, INT),
        )
        furnished = _Furnished(room.rounds, *images, functions, singles)
        _furnish(furnished, surface, found)
        return furnished

    def _knows_shapes(self, room: Image, known: Image, most: int) -> bool:
        """Whether to work by code that knows the numbers of coordinates and effects.

        It computes the same bits sooner, but each such pair of numbers takes a second or two to compile, once. For few
        subjects that is not worth while, unless there is nothing else yet, or it was done already.
        """
        if self._problem.n_subjects > _MANY:
            return True
        if most > _MOST_KNOWN:
            return False
        if _time_to_spare:
            return True
        general, special = (is_at_hand(search, (self._image, image), INT) for image in (room, known))
        return special or not (general or is_known(search))


def _furnish(f: _Furnished, surface: Image, found: Image) -> None:
    """Let the room know the code that suits the surface."""
    images = (surface, f.room, f.derivatives, found)
    f.room.put(search=address_of(search, images[:2], INT), derive=address_of(derive, images, INT))


@contextmanager
def wanting_code_of_their_own() -> Iterator[None]:
    """Within it, small problems get code that knows their sizes, whatever else would serve: for who has the time."""
    _time_to_spare.append(True)
    try:
        yield
    finally:
        _time_to_spare.pop()


def is_compiled() -> bool:
    """Whether the search for modes is compiled in this process."""
    return is_known(_in_turn)


def _called(function: Callable[..., int], images: Sequence[Image], subjects: Index, *others: int) -> int:
    """Call a function of pointers to images, of subjects, and of other integers."""
    call = _callable(function, images, len(others))
    return int(call(*[image.address for image in images], address(subjects), len(subjects), *others))


def _callable(function: Callable[..., int], images: Sequence[Image], others: int) -> Callable[..., int]:
    code = address_of(function, images, INTEGERS, *[INT] * (1 + others))
    return callable_of(code, len(images) + 2 + others)
