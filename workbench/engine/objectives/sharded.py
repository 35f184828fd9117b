"""An objective over subjects that are in several places: each place answers with sums over its own.

What a place answers to an evaluation does not grow with its subjects: its OFV, its gradient, and a triangle R with
RᵀR = Σ s sᵀ over the scores s of its subjects, which stands for them wherever sums of their products are asked for
(unit steps of the search, the covariance "S"). Modes stay where they are.

Order of the sums: within a place as in one objective, over its subjects; over the places in exact arithmetic, rounded
once (Shewchuk's sum, `math.fsum`). So neither who answers first nor how places are ordered changes a bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.objective import Evaluation, Objective

Array = NDArray[np.float64]

_KEPT = 2  # evaluations that a place keeps, beside the one that its searches start from


class Sums(NamedTuple):
    """What a place answers.

    Attributes
    ----------
    ofv : float
    gradient : float64[size]
    triangle : float64[size, size]
        R, upper, with RᵀR the sum of the outer products of the scores.
    rounds, subjects : int
    corners : int
        Subjects whose mode is at a corner.
    deeper : bool
        Whether deeper modes were found, where that was asked.
    """

    ofv: float
    gradient: Array
    triangle: Array
    rounds: int
    subjects: int
    corners: int
    deeper: bool = False


class Shard:
    """The objective of the subjects of one place.

    Each question says from which x its searches start, so that it can be answered anywhere: where the modes there are
    not known, they are searched first.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective: Objective):
        self.objective = objective
        self._begun: Array | None = None
        self._kept: dict[bytes, Evaluation] = {}

    def evaluate(self, x: Array, begun: Array | None, tolerance: float) -> Sums:
        """Sums at x, with the modes searched from those at `begun`; from η = 0 where it is None."""
        self._begin(begun, tolerance)
        return _sums(self._at(x))

    def deepen(self, x: Array, begun: Array | None, tolerance: float) -> Sums:
        """The same after a look for deeper modes."""
        self._begin(begun, tolerance)
        at = self._at(x)
        deeper = self.objective.deepen(at)
        self._keep(x, deeper)
        return _sums(deeper)._replace(deeper=deeper is not at)

    def at(self, x: Array, begun: Array | None, tolerance: float) -> Evaluation:
        """All of it at x; it stays in this place."""
        self._begin(begun, tolerance)
        return self._at(x)

    def _at(self, x: Array) -> Evaluation:
        key = x.tobytes()
        if key not in self._kept:
            self._keep(x, self.objective.evaluate(x))
        return self._kept[key]

    def _keep(self, x: Array, found: Evaluation) -> None:
        self._kept.pop(x.tobytes(), None)
        self._kept[x.tobytes()] = found
        begun = b"" if self._begun is None else self._begun.tobytes()
        while len(self._kept) > _KEPT + 1:
            self._kept.pop(next(key for key in self._kept if key != begun))

    def _begin(self, begun: Array | None, tolerance: float) -> None:
        """Start searches from an x, and as closely as is asked."""
        if tolerance != self.objective.tolerance:
            at = None if self._begun is None else self._kept.get(self._begun.tobytes())
            self._kept = {} if at is None or self._begun is None else {self._begun.tobytes(): at}
            self.objective.tolerance = tolerance
        if begun is None:
            if self._begun is not None:
                self._kept.clear()
                self.objective.forget()
            self._begun = None
        elif self._begun is None or not np.array_equal(begun, self._begun):
            at = self._at(begun)
            self._begun = begun
            self.objective.accept(at)


def _sums(at: Evaluation) -> Sums:
    size, counts = len(at.x), (at.rounds, len(at.by_subject), int(at.at_corner.sum()))
    if not at.finite:
        return Sums(at.ofv, at.gradient, np.full((size, size), np.nan), *counts)
    return Sums(at.ofv, at.gradient, _triangle(at.scores), *counts)


def _triangle(rows: Array) -> Array:
    """R with RᵀR = rowsᵀ rows, float64[size, size]."""
    size = rows.shape[1]
    found = np.zeros((size, size))
    R = np.linalg.qr(rows, mode="r")
    found[: len(R)] = R
    return found


def _corners(answers: Sequence[Sums]) -> NDArray[np.bool_]:
    """As many subjects at a corner as there are, of all; who they are, is not known here. Empty where there is none."""
    corners = sum(answer.corners for answer in answers)
    return np.arange(sum(answer.subjects for answer in answers) if corners else 0) < corners


class Places(Protocol):
    """Who answers: shards, wherever they are."""

    def ask(self, name: str, *arguments: Any) -> Sequence[Any]:
        """The answers of all, in their order."""


class Sharded:
    """A target whose subjects are in several places.

    Arrays of an `Evaluation` that have a row for each subject are those of the head, a few subjects that are here as
    well: what is judged by looking at subjects (an estimate at an edge, data without noise) is judged by them. `scores`
    has as many rows as there are estimates, and the sums of products of those of all subjects.

    Parameters
    ----------
    places : Places
        Shards of all subjects.
    head : Objective
        Of some of them.
    """

    def __init__(self, places: Places, head: Objective):
        self.problem, self.approximation = head.problem, head.approximation
        self.tolerance, self.grain = head.tolerance, head.grain
        self.evaluations = self.rounds = 0
        self.begun: Array | None = None
        self._places, self._head = places, head

    def evaluate(self, x: Array) -> Evaluation:
        """Objective and gradient at x."""
        self.evaluations += 1
        self._head.tolerance = self.tolerance
        return self._summed(self._head.evaluate(x), self._places.ask("evaluate", x, self.begun, self.tolerance))

    def accept(self, evaluation: Evaluation) -> None:
        """Start later searches from this point."""
        self.begun = evaluation.x
        self._head.accept(evaluation)

    def forget(self) -> None:
        """Start later searches from η = 0."""
        self.begun = None
        self._head.forget()

    def deepen(self, at: Evaluation) -> Evaluation:
        """Look for deeper modes in all places; the same evaluation if there is none."""
        answers = self._places.ask("deepen", at.x, self.begun, self.tolerance)
        here = self._head.deepen(at)
        if not any(answer.deeper for answer in answers):
            return at
        return self._summed(here, answers)

    def following(self) -> Sharded:
        """The same one: its modes are searched anew at every x."""
        return self

    def modes(self, at: Evaluation) -> Evaluation:
        """The evaluation itself."""
        return at

    def accuracy(self, at: Evaluation) -> str:
        """Nothing: it is what it is."""
        return ""

    def linearisation(self, at: Evaluation) -> tuple[Array, Array]:
        """That of the head."""
        return self._head.linearisation(at)

    def _summed(self, head: Evaluation, answers: Sequence[Sums]) -> Evaluation:
        rounds = max(answer.rounds for answer in answers)
        self.rounds += rounds
        ofv = [answer.ofv for answer in answers]
        gradient = np.array([math.fsum(part) for part in zip(*(a.gradient.tolist() for a in answers), strict=True)])
        known = bool(np.isfinite(ofv).all())
        return replace(
            head,
            ofv=math.fsum(ofv) if known else math.nan,
            gradient=gradient.reshape(head.x.shape),
            scores=_triangle(np.vstack([answer.triangle for answer in answers])) if known else head.scores,
            rounds=rounds,
            at_corner=_corners(answers),
        )
