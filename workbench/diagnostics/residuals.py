"""All residuals of a fit in one table, by their definitions and papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.diagnostics.npde import npde
from workbench.errors import FitError
from workbench.methods import Approximation, Subjects, method_of
from workbench.results.fit import FitResult
from workbench.results.tables import whitened

if TYPE_CHECKING:
    import pandas as pd

    from workbench.engine.problem.problem import Problem

Array = NDArray[np.float64]


def residuals(fit: FitResult, *, replicates: int = 1000, decorrelate: str = "cholesky", seed: int = 1) -> pd.DataFrame:
    """The table of a fit (`FitResult.table`) with all residuals.

    With y an observation on the scale of the analysis, f(η) its prediction, G = ∂f/∂η, Ω and R the variances of η and
    of the residual error, all of a subject; M^(-1/2) is the inverse of the symmetric root. Signs are NONMEM's:
    observed less predicted.

    ======== ==========================================================================================================
    WRES     (G Ω Gᵀ + R)^(-1/2) (y - f(0)), G at η = 0: by linearisation there (FO). R is that at f(0), by a method
             with interaction its mean over f(0) ± √(G Ω Gᵀ): to second order what η adds to the residual variance.
    CPRED    f(η̂) - G η̂, G at the modes η̂: the population prediction of the conditional method.
    CWRES    (G Ω Gᵀ + R)^(-1/2) (y - CPRED), G at η̂ (Hooker, Staatz & Karlsson 2007, Pharm Res 24:2187). R is that of
             the method: at η̂ with interaction, at η = 0 without.
    CWRESI   The same with R at η̂ whatever the method.
    NPDE     Where y* lies among simulations, see `npde`.
    NPD      The same without decorrelation.
    ======== ==========================================================================================================

    Censored observations have NPDE and NPD only.

    Parameters
    ----------
    fit : FitResult
        By a method that has a population.
    replicates, decorrelate, seed
        Of `npde`.

    Returns
    -------
    DataFrame
        One row for each observation, indexed by the row in the data.

    Raises
    ------
    FitError
        If the fit has no population.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> {"WRES", "CWRES", "CWRESI", "CPRED", "NPDE", "NPD"} <= set(wb.residuals(fit, replicates=100))
    True
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"wb.residuals takes a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    if method_of(fit.method).subjects is Subjects.ALONE:
        raise FitError(f"A fit by {fit.method!r} has no population, from which these residuals are.")
    errors = npde(fit, replicates, decorrelate=decorrelate, seed=seed)
    owner = fit.data.events.subject[fit.record]
    problem, (linear, slope), (first, first_slope) = _linearisations(fit)
    interaction = method_of(fit.method).approximation.interaction
    variance, by_eta = fit.sd**2, np.sqrt((first_slope**2).sum(axis=1))
    if interaction:
        point = problem.scale.point(problem.x)
        ends = [problem.residual_variance(point, first + sign * by_eta) for sign in (1.0, -1.0)]
        variance = 0.5 * (ends[0] + ends[1])
    found = fit.table()
    found["WRES"] = whitened(fit.y - first, first_slope, variance, owner)
    found["CPRED"] = linear
    found["CWRES"] = whitened(fit.y - linear, slope, (fit.isd if interaction else fit.sd) ** 2, owner)
    found["CWRESI"] = whitened(fit.y - linear, slope, fit.isd**2, owner)
    found = found.join(errors.table[["NPDE", "NPD"]])
    return found


def _linearisations(fit: FitResult) -> tuple[Problem, tuple[Array, Array], tuple[Array, Array]]:
    """E and G of the linear models at the modes and at η = 0."""
    from workbench.engine.objectives.objective import Objective
    from workbench.engine.problem.compile import compile

    problem = compile(fit.model, fit.data)
    zero = Objective(problem, Approximation.FO)
    first = zero.linearisation(zero.evaluate(problem.x))
    conditional = fit.linear_prediction, fit.linear_slope
    if method_of(fit.method).approximation.linear:
        modes = Objective(problem, Approximation.FOCE)
        conditional = modes.linearisation(modes.evaluate(problem.x))
    return problem, conditional, first
