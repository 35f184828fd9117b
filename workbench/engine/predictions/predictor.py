"""What all predictions have in common: a function in machine code that predicts one subject.

The likelihood's kernels call it by its address, subject after subject and round after round, so that they are compiled
once for all structures, and what they work in stays as small as one subject. `Predictor.predict` does so for many
subjects at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engine.predictions.machine import INT, MANY_NUMBERS, NUMBERS, Image, address_of, call, kernel
from workbench.engine.predictions.threads import over_subjects

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Run = Callable[[int, int, Index, Index], int]


class Single(NamedTuple):
    """Machine code that predicts one subject, and what it works on and in: for one thread at a time.

    Attributes
    ----------
    address : int
        Of a function

            int64 predict(T *arguments, int64 subject, double *u, int64 order, int64 first,
                          double *f, double *fu, double *fuu)

        which takes the D coordinates u of a subject and fills f[k], fu[k, D], fuu[k, D, D] (both triangles), with
        k = slot - first, at the slots of the subject; what is beyond `order` is not touched. NaN where a prediction
        cannot be computed. It returns 0, or something else where the subject is left to the next attempt: what was
        filled does not count then.
    arguments : Image
        Of T, a named tuple of arrays.
    """

    address: int
    arguments: Image


def single_of(function: Callable[..., Any], arguments: Image) -> Single:
    """A function of a module as machine code; it has the form that `Single` describes."""
    numbers = (NUMBERS, INT, INT, NUMBERS, NUMBERS, NUMBERS)
    return Single(address_of(function, [arguments], INT, *numbers), arguments)


def abreast_of(function: Callable[..., Any], arguments: Image) -> Single:
    """The same of a subject at `ABREAST` values of u at a time; all numbers are so many, but for the integers."""
    numbers = (MANY_NUMBERS, INT, INT, MANY_NUMBERS, MANY_NUMBERS, MANY_NUMBERS)
    return Single(address_of(function, [arguments], INT, *numbers), arguments)


class Predictor(ABC):
    """A structural model over a schedule: all that the likelihood knows of it.

    Attributes
    ----------
    attempts : int
        Ways to predict a subject, of which a later one is taken where those before it leave a subject to it. It is
        compiled when that happens.
    goes_abreast : bool
        Whether there is `abreast`.
    """

    attempts: int = 1
    goes_abreast: bool = False

    @abstractmethod
    def single(self, attempt: int = 0) -> Single:
        """Machine code that predicts one subject, with room to work in that no other has."""

    def abreast(self) -> Single:
        """The same for several u at a time, see `abreast_of`: a subject is left where these go different ways."""
        raise NotImplementedError

    @abstractmethod
    def seconds(self, order: int) -> float:
        """How long it takes to predict a subject, roughly, in the mean."""

    def lend(self, attempt: int = 0) -> Single:
        """A `single` that nobody uses, `abreast` for the attempt -1; see `give_back`."""
        try:
            return self._idle(attempt).pop()
        except IndexError:
            return self.abreast() if attempt < 0 else self.single(attempt)

    def give_back(self, single: Single, attempt: int = 0) -> None:
        """Others may use it now."""
        self._idle(attempt).append(single)

    def _idle(self, attempt: int) -> deque[Single]:
        if not hasattr(self, "_lent"):
            self._lent = tuple(deque[Single]() for _ in range(self.attempts + 1))
        return self._lent[attempt]

    def kept(self, form: Hashable) -> deque[Any]:
        """Room of a form that nobody uses, for those who work with these predictions after another."""
        if not hasattr(self, "_kept"):
            self._kept: dict[Hashable, deque[Any]] = {}
        return self._kept.setdefault(form, deque())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lent", "_kept")}

    def predict(self, subjects: Index, u: Array, order: int, f: Array, fu: Array, fuu: Array) -> None:
        """Fill f at the slots of some subjects, with its derivatives by u up to `order`.

        Parameters
        ----------
        subjects : int64[k]
        u : float64[N, D]
        order : int
            0, 1 or 2.
        f : float64[n]; fu : float64[n, D]; fuu : float64[n, D, D]
            NaN where a prediction cannot be computed.
        """
        u = np.ascontiguousarray(u)

        def run(address: int, arguments: int, part: Index, left: Index) -> int:
            return int(predict_in_turn(address, arguments, part, u, np.int64(order), f, fu, fuu, left))

        self.over(run, subjects, len(subjects) * self.seconds(order))

    def over(self, run: Run, subjects: Index, seconds: float, several: Run | None = None) -> None:
        """Run a kernel that predicts subjects one after another, in several threads and with all attempts.

        Parameters
        ----------
        run : callable
            Takes the address of a `Single`, that of its arguments, subjects, and an array to be filled with those that
            are left to the next attempt; returns how many these are. It releases the GIL.
        subjects : int64[k]
        seconds : float
            How long it takes, roughly.
        several : callable
            The same, which predicts subjects at several u at a time (see `abreast`): it comes first where that serves.
        """

        def task(part: Index) -> None:
            for attempt in range(-1 if several is not None and self.goes_abreast else 0, self.attempts):
                single, left = self.lend(attempt), np.empty(len(part), dtype=np.int64)
                kernel = several if several is not None and attempt < 0 else run
                count = kernel(single.address, single.arguments.address, part, left)
                self.give_back(single, attempt)
                part = left[:count]
                if not count:
                    break

        over_subjects(task, subjects, seconds)


@kernel
def predict_in_turn(address, arguments, subjects, u, order, f, fu, fuu, left):
    """Predict subjects one after another; fills `left` with those that are left to the next attempt: how many."""
    count = 0
    for which in range(subjects.shape[0]):
        i = subjects[which]
        if call(address, (arguments, i, u[i], order, 0, f, fu, fuu)) != 0:
            left[count] = i
            count += 1
    return count
