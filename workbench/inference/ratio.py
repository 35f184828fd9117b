"""The likelihood-ratio test between two nested fits."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import FitError
from workbench.results import FitResult


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """What the test says.

    Attributes
    ----------
    delta_ofv : float
        OFV of the smaller model less that of the larger one.
    df : int
        Estimates that the larger model has more.
    p : float
    boundary : bool
        One variance and nothing else is tested: under the smaller model it lies at its bound 0, and the distribution is
        an equal mixture of χ²(0) and χ²(1) (Self & Liang 1987, J Am Stat Assoc 82:605).
    """

    delta_ofv: float
    df: int
    p: float
    boundary: bool

    def __repr__(self) -> str:
        law = "½ χ²(0) + ½ χ²(1), a variance at its bound" if self.boundary else f"χ²({self.df})"
        return f"ΔOFV {self.delta_ofv:.3f} on {self.df} df, p = {self.p:.3g} ({law})"


def likelihood_ratio_test(small: FitResult, large: FitResult) -> LikelihoodRatioTest:
    """Test whether a larger model fits better than by chance.

    That the smaller one is a case of the larger one is for the user to know.

    Parameters
    ----------
    small, large : FitResult
        Of the same data by the same method; both converged.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    FitError
        If the two cannot be compared.
    """
    from scipy.stats import chi2

    if small.data.hash != large.data.hash or small.n_observations != large.n_observations:
        raise FitError("The two fits are of different data: their likelihoods cannot be compared.")
    if (small.method, small.options) != (large.method, large.options):
        raise FitError(
            f"The two fits are by {small.method!r} and {large.method!r}: only objectives of one method can be compared."
        )
    if small.failures.keys() != large.failures.keys():
        raise FitError("The subjects that could not be fitted alone are not the same: the fits are of different data.")
    if small.method == "two-stage":
        raise FitError("Two-stage fits have no likelihood-ratio test: each takes the own values of its model as data.")
    df = large.n_estimated - small.n_estimated
    if df < 1:
        raise FitError(
            f"The second fit estimates {large.n_estimated} quantities, the first {small.n_estimated}: give the smaller "
            "model first, then the larger one."
        )
    for fit, which in ((small, "first"), (large, "second")):
        if not fit.converged:
            raise FitError(f"The {which} fit has no minimum to compare: {fit.status.value}")
    delta = small.ofv - large.ofv
    known = {e.name for e in small.parameters if not e.fixed}
    added = [e for e in large.parameters if not e.fixed and e.name not in known]
    boundary = df == 1 and len(added) == 1 and added[0].kind in ("iiv", "iov")
    p = float(chi2.sf(max(delta, 0.0), df))
    return LikelihoodRatioTest(delta, df, 0.5 * p if boundary and delta > 0 else p, boundary)
