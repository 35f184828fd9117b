"""How far the end of a search by an approximation is from where the likelihood itself would have ended it.

Where subjects have few observations, an approximation at their modes is not the likelihood: its minimum is another one,
and Laplace's can run into modes with next to no curvature, where it has no lower bound. A coarse quadrature tells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Evaluation, Target
from workbench.engine.problem.problem import Problem
from workbench.methods import Approximation, Importance, Quadrature

Array = NDArray[np.float64]

_ALONG = {1: 9, 2: 7, 3: 5, 4: 3}  # nodes along each random effect, by their number; of more it is not asked
_SPARSE = 1.25  # observations a random effect and subject: with more, modes are as good as the likelihood
_MOST = 4_000_000  # predictions that the answer may take
_BENT = 1.0  # of a subject's contribution below the likelihood's: nodes spread by its curvature do not tell exactly
_DRAWS = 300  # of the random effects of each subject, which do
_LOST = 3.0  # of a subject's contribution below the likelihood's: its mode has next to no curvature
_ALL_LOST = 15.0  # of all of them together, by Laplace
_BELOW = 5.0  # of all of them together: worth a word
_FAR = 1.0  # of the likelihood's objective above its minimum: one standard error in one direction
_BESIDE = (0.1, 0.3, 0.5, 0.7, 1.0)  # standard errors down the slope from where a search stalled
_JUMP = 0.3  # of a subject's contribution that its slope does not explain


def is_sparse(problem: Problem) -> bool:
    """Whether subjects have so few observations that an approximation at their modes may be far from the likelihood."""
    return len(problem.y) <= _SPARSE * problem.n_random * problem.n_subjects


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
    Q, n = problem.n_random, len(problem.y)
    along = _ALONG.get(Q)
    if approximation is Approximation.FO or along is None or n * along**Q > _MOST:
        return "", False
    if not is_sparse(problem):
        return "", False
    exact = Integral(problem, Quadrature(along), at.x).evaluate(at.x)
    if not np.isfinite(exact.ofv):
        return "", False
    likelihood = exact.by_subject
    if (likelihood - at.by_subject).max() > _BENT or exact.ofv - at.ofv > _BELOW:
        drawn = Integral(problem, Importance(_DRAWS), at.x).evaluate(at.x).by_subject
        likelihood = np.where(np.isfinite(drawn), drawn, likelihood)
    below = likelihood - at.by_subject
    lost, total = int((below > _LOST).sum()), float(below.sum())
    if lost or (approximation is Approximation.LAPLACE and total > _ALL_LOST):
        worst = int(below.argmax())
        return (
            f"The approximation lies {total:.1f} below the likelihood (a subject adds {at.by_subject[worst]:.2f} "
            f"where that says {likelihood[worst]:.2f}): modes have next to no curvature, and it has no minimum "
            "here. Use method='quadrature' or 'importance'.",
            True,
        )
    said = f"The approximation lies {total:.1f} below the likelihood itself." if total > _BELOW else ""
    short = _above_minimum(exact) if exact.finite else float("nan")
    if not short > _FAR:
        return said, False
    beside = (
        f"The likelihood itself is about {short:.2g} above its minimum here: with so few observations a subject these "
        f"estimates are some {np.sqrt(short):.1f} standard errors away from those of method='quadrature'."
    )
    return f"{said} {beside}".strip(), False


def jumping(target: Target, at: Evaluation, unit: Array) -> tuple[int, ...]:
    """Subjects whose modes change from one basin into another right beside where a search stalled.

    Where such a mode loses its curvature an approximation falls more and more steeply, and then jumps up: it has no
    minimum there.

    Parameters
    ----------
    target : Target
    at : Evaluation
    unit : float64[size]
        About a standard error of each x.
    """
    slope = at.gradient * unit
    size = float(np.linalg.norm(slope))
    if not size > 0:
        return ()
    target.accept(at)
    found: set[int] = set()
    last = at
    for length in _BESIDE:
        there = target.evaluate(at.x - length * slope / size * unit)
        by_slope = 0.5 * (last.scores + there.scores) @ (there.x - last.x)
        found |= set(np.flatnonzero(np.abs(there.by_subject - last.by_subject - by_slope) > _JUMP).tolist())
        last = there
    target.accept(at)
    return tuple(sorted(found))


def _above_minimum(at: Evaluation) -> float:
    """How far an objective is above its minimum, by the gradients of the subjects; NaN if they do not tell."""
    S = at.scores.T @ at.scores
    if len(at.scores) <= len(S) or np.linalg.matrix_rank(S) < len(S):
        return float("nan")
    return float(at.gradient @ np.linalg.solve(S, at.gradient))
