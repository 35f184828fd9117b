"""The likelihood-ratio test between two nested fits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

from workbench.errors import FitError
from workbench.markup import Recorded
from workbench.methods import Ability, method_of
from workbench.results.fit import FitResult, Status
from workbench.results.tables import Estimate

_HIGHER = 0.01  # of the OFV: a larger model that is worse by this is not at its minimum


@dataclass(frozen=True)
class LikelihoodRatioTest(Recorded):
    """What the test says.

    Attributes
    ----------
    delta_ofv : float
        OFV of the smaller model less that of the larger one.
    df : int
        Estimates that the larger model has more.
    p : float
    boundary : bool
        Something that is tested, a variance or a part of the residual error, lies at its bound 0 under the smaller
        model.
    weights : tuple of (int, float)
        The distribution of `delta_ofv` under the smaller model, a mixture of χ²: degrees of freedom and share.
    note : str
        Where the distribution comes from if it is no plain χ²(df), or why it should have been none.
    """

    delta_ofv: float
    df: int
    p: float
    boundary: bool
    weights: tuple[tuple[int, float], ...]
    note: str = ""

    @property
    def law(self) -> str:
        """The distribution in words, such as "½ χ²(0) + ½ χ²(1)"."""
        shares = {1.0: "", 0.5: "½ ", 0.25: "¼ "}
        return " + ".join(f"{shares.get(share, f'{share:.4g} ')}χ²({df})" for df, share in self.weights)

    def __repr__(self) -> str:
        note = f". {self.note}" if self.note else ""
        return f"ΔOFV {self.delta_ofv:.3f} on {self.df} df, p = {self.p:.3g} ({self.law}){note}"


def likelihood_ratio_test(small: FitResult, large: FitResult) -> LikelihoodRatioTest:
    """Test whether a larger model fits better than by chance.

    That the smaller one is a case of the larger one is for the user to know. Where b of the q tested estimates,
    variances or parts of the residual error, lie at their bound 0 under the smaller model, ΔOFV is a mixture of χ²: for
    b = 1, χ²(q-1) and χ²(q) in equal parts (Self & Liang 1987, J Am Stat Assoc 82:605; Stram & Lee 1994, Biometrics
    50:1171, for a variance with its correlations to others); for more, χ²(q-b+j), j = 0 … b, with binomial shares,
    which holds where their estimates are uncorrelated. Where no mixture is known, χ²(q) is taken, which is
    conservative, and `note` says so.

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

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> larger = wb.fit(model.with_covariate("V", "WT"), data)
    >>> test = wb.likelihood_ratio_test(fit, larger)
    >>> test
    ΔOFV ... on 1 df, p = ... (χ²(1))
    >>> test.df
    1
    """
    from scipy.stats import chi2

    for fit in (small, large):
        if not isinstance(fit, FitResult):
            raise FitError(f"Two fits as wb.fit(…) gives them are tested, got {type(fit).__name__}.")
    if small.data.hash != large.data.hash or small.n_observations != large.n_observations:
        raise FitError("The two fits are of different data: their likelihoods cannot be compared.")
    if small.method != large.method:
        raise FitError(
            f"The two fits are by {small.method!r} and {large.method!r}: only objectives of one method can be compared."
        )
    if small.options != large.options:
        raise FitError(
            f"The two fits are by {small.options!r} and {large.options!r}: give both the same options, else their "
            "objectives differ by these as well."
        )
    if small.failures.keys() != large.failures.keys():
        raise FitError("The subjects that could not be fitted alone are not the same: the fits are of different data.")
    method = method_of(small.method)
    if not method.can(Ability.TEST):
        raise FitError(f"Fits by {method.name} have no likelihood-ratio test: it {method.cannot[Ability.TEST]}.")
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
    bounded, weights, note = _distribution(small, large, df)
    if small.status is Status.boundary:
        edge = f"The smaller model is itself at an edge ({small.message}), which the distribution does not allow for."
        note = f"{note} {edge}" if note else edge
    if delta < -_HIGHER:
        lost = "The larger model has the higher OFV: it is no minimum, or the smaller model is no case of it."
        note = f"{note} {lost}" if note else lost
    if method.drawn:
        drawn = "Both OFVs come from draws; `fit.accuracy` says how exact they are."
        note = f"{note} {drawn}" if note else drawn
    p = sum(share * float(chi2.sf(delta, k)) for k, share in weights if k) if delta > 0 else 1.0
    return LikelihoodRatioTest(delta, df, p, bounded, weights, note)


def _distribution(small: FitResult, large: FitResult, df: int) -> tuple[bool, tuple[tuple[int, float], ...], str]:
    """Whether something is at its bound, the mixture, and what there is to say of it."""
    stated = {e.name for e in small.lines}
    known = {e.name for e in small.lines if not e.fixed}
    free = {e.name for e in large.lines if not e.fixed}
    added = [e for e in large.lines if e.name in free - known]
    bounded = [e for e in added if e.name not in stated and _is_bounded(e, large)]
    plain = ((df, 1.0),)
    if not bounded:
        return False, plain, ""
    labels = ", ".join(e.name for e in bounded)
    lie = "lies" if len(bounded) == 1 else "lie"
    at_bound = f"{labels} {lie} at the bound 0 under the smaller model"
    gone = ", ".join(sorted(known - free))
    if gone:
        why = f"the larger model has no {gone}, so that how the two are nested is not seen"
    elif _correlated(bounded, {e.name for e in added}):
        why = "with a correlation between them, which then has no value, no mixture is known"
    else:
        b = len(bounded)
        weights = tuple((df - b + j, comb(b, j) / 2**b) for j in range(b + 1))
        if b == 1:
            return True, weights, f"{at_bound}."
        return True, weights, f"{at_bound}; the binomial shares hold where their estimates are uncorrelated."
    return True, plain, f"{at_bound}; {why}: χ²({df}) is conservative, the true p is smaller."


def _is_bounded(estimate: Estimate, fit: FitResult) -> bool:
    """Whether 0, what the estimate is without it, is the bound of what it can be."""
    if estimate.kind in ("iiv", "iov"):
        return True
    if estimate.kind != "error" or estimate.name[0] not in "ab":
        return False
    other = ("b" if estimate.name[0] == "a" else "a") + estimate.name[1:]  # a + b·f: without either it is another model
    return any(e.name == other for e in fit.lines)


def _correlated(bounded: list[Estimate], added: set[str]) -> bool:
    """Whether two of the effects are correlated with one another."""
    for level, stem in (("iiv", "corr"), ("iov", "corr_iov")):
        names = [e.name.removeprefix(f"{level}_") for e in bounded if e.kind == level]
        if any({f"{stem}_{x}_{y}", f"{stem}_{y}_{x}"} & added for x, y in combinations(names, 2)):
            return True
    return False
