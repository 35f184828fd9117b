"""How far the end of a search by an approximation is from where the likelihood itself would have ended it.

Where subjects have few observations, an approximation at their modes is not the likelihood: its minimum is another one,
and Laplace's can run into modes with next to no curvature, where it has no lower bound. A coarse quadrature tells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Evaluation
from workbench.engine.problem.problem import Problem
from workbench.methods import Approximation, Quadrature

Array = NDArray[np.float64]

_ALONG = {1: 9, 2: 7, 3: 5, 4: 3}  # nodes along each random effect, by their number; of more it is not asked
_SPARSE = 1.25  # observations a random effect and subject: with more, modes are as good as the likelihood
_MOST = 4_000_000  # predictions that the answer may take
_LOST = 3.0  # of a subject's contribution below the likelihood's: its mode has next to no curvature
_ALL_LOST = 5.0  # of all of them together, by Laplace
_FAR = 1.0  # of the likelihood's objective above its minimum: one standard error in one direction


def beside_likelihood(problem: Problem, approximation: Approximation, at: Evaluation) -> tuple[str, bool]:
    """What there is to say of an approximation where its search ended, and whether that is no end at all.

    Parameters
    ----------
    problem : Problem
    approximation : Approximation
    at : Evaluation
        Its own, with the contributions of the subjects.

    Returns
    -------
    said : str
        Empty where subjects have many observations, or the likelihood agrees.
    lost : bool
        The approximation lies far below the likelihood for some subject: there is no minimum to converge to.
    """
    Q, N, n = problem.n_random, problem.n_subjects, len(problem.y)
    along = _ALONG.get(Q)
    if approximation is Approximation.FO or along is None or n * along**Q > _MOST:
        return "", False
    if n > _SPARSE * Q * N:
        return "", False
    exact = Integral(problem, Quadrature(along), at.x).evaluate(at.x)
    if not exact.finite:
        return "", False
    below = exact.by_subject - at.by_subject
    lost, total = int((below > _LOST).sum()), float(below.sum())
    if lost or (approximation is Approximation.LAPLACE and total > _ALL_LOST):
        worst = int(below.argmax())
        return (
            f"The approximation lies {total:.1f} below the likelihood (a subject adds {at.by_subject[worst]:.2f} "
            f"where that says {exact.by_subject[worst]:.2f}): modes have next to no curvature, and it has no minimum "
            "here. Use method='quadrature' or 'importance'.",
            True,
        )
    short = _above_minimum(exact)
    if not short > _FAR:
        return "", False
    return (
        f"The likelihood itself is about {short:.2g} above its minimum here: with so few observations a subject these "
        f"estimates are some {np.sqrt(short):.1f} standard errors away from those of method='quadrature'.",
        False,
    )


def _above_minimum(at: Evaluation) -> float:
    """How far an objective is above its minimum, by the gradients of the subjects; NaN if they do not tell."""
    S = at.scores.T @ at.scores
    if len(at.scores) <= len(S) or np.linalg.matrix_rank(S) < len(S):
        return float("nan")
    return float(at.gradient @ np.linalg.solve(S, at.gradient))
