"""What a method is asked to do, and what it answers: the form that every way from a model to its estimates has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.ending.uncertainty import Kind, Uncertainty
from workbench.engine.ending.verdict import judged, verdict
from workbench.engine.objectives.objective import Reportable
from workbench.engine.problem.problem import Problem
from workbench.engine.search.optimise import Outcome, Watch
from workbench.engine.search.progress import Reports
from workbench.errors import FitError
from workbench.methods import Method
from workbench.model import Model
from workbench.results.fit import FitResult, Rival, Start

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Task:
    """What a method is asked to do.

    Attributes
    ----------
    method : Method
    options : Options, optional
        Of the class that the method states.
    model : Model
        What of the stated model the method fits, with all its values.
    data : GroupedData
    problem : Problem
        Of these two.
    reports : Reports
        Whom it tells how it goes.
    max_iterations, covariance, starts, seed, jobs
        As in `fit`.
    others : tuple of float64[size]
        Where else the search may begin: values found from the data that look about as good.
    spread : callable
        Gives where it may begin, once, if it ended with variances of 0 or was lost: with usual spreads.
    """

    method: Method
    options: Any
    model: Model
    data: GroupedData
    problem: Problem
    reports: Reports
    max_iterations: int
    covariance: bool | Kind
    starts: int
    seed: int
    jobs: int | None = None
    others: tuple[Array, ...] = ()
    spread: Callable[[], tuple[Array, ...]] = tuple


@dataclass(frozen=True, eq=False)
class Ended:
    """Where a method ended.

    Attributes
    ----------
    target : Reportable
        What was minimised last.
    outcome : Outcome
    errors : Uncertainty
    message, accuracy : str
        What there is to say of the end of the search, and of the OFV.
    model : Model, optional
        What was fitted, where it is not what was asked for.
    tried : tuple of Start
        Where each of several starting points ended.
    completed : callable
        Makes of the result what it is: adds what only the method knows.
    rivals : tuple of Rival
        Other minima.
    seconds_for_rivals : float
        What the look at them took.
    """

    target: Reportable
    outcome: Outcome
    errors: Uncertainty
    message: str
    accuracy: str
    model: Model | None = None
    tried: tuple[Start, ...] = ()
    completed: Callable[[FitResult], FitResult] = lambda result: result
    rivals: tuple[Rival, ...] = ()
    seconds_for_rivals: float = 0.0


class Way(ABC):
    """How a method comes from a problem to its estimates."""

    @abstractmethod
    def search(self, task: Task) -> Ended:
        """Search, and judge where that ended.

        Raises
        ------
        FitError
            If the objective cannot be computed at the initial values.
        """

    def target(self, problem: Problem, method: Method, options: Any) -> Reportable:
        """The objective, ready to be evaluated at the values that the problem states.

        Raises
        ------
        FitError
            If the method has none at given values.
        """
        raise FitError(f"By {method.title} there is no objective at given values.")


def subjects_by_name(data: GroupedData, which: Sequence[int], most: int = 8) -> str:
    """Some subjects as a sentence has them: `subject 3`, `subjects 3, 5, …`."""
    labels = [str(data.events.subjects[i]) for i in which[:most]]
    return f"subject{'s' if len(which) > 1 else ''} {', '.join(labels)}{', …' if len(which) > most else ''}"


def judged_end(
    target: Reportable, outcome: Outcome, task: Task, watch: Watch, tried: tuple[Start, ...] = ()
) -> Ended:  # fmt: skip
    """The end of a search by gradient: standard errors, what they show, and the verdict."""
    errors, outcome = judged(target, outcome, watch, task.max_iterations, task.covariance)
    accuracy = target.accuracy(outcome.evaluation)
    outcome, message = verdict(target.problem, outcome, errors)
    return Ended(target, outcome, errors, message, accuracy, tried=tried)
