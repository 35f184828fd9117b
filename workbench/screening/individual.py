"""The fast screen: regressions of the individual random effects on the covariates."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.checks import listed, one_of, whole
from workbench.engine.objectives.conditional import conditional_draws
from workbench.errors import FitError, ModelError
from workbench.language.formula import columns_of
from workbench.methods import Subjects, method_of
from workbench.model import Parameter
from workbench.model.shapes import SHAPES, Shape
from workbench.results.fit import FitResult
from workbench.screening.covariates import Refusal, UsableCovariate, usable_covariates
from workbench.screening.result import Contrast, Screening, Tested

Array = NDArray[np.float64]

UNTRUSTWORTHY = 30.0  # per cent of shrinkage (Savic & Karlsson 2009, AAPS J 11:558)
CORRECTIONS = ("holm", "bonferroni", "sidak", "holm-sidak", "hommel", "simes-hochberg", "fdr_bh", "fdr_by")
_NOTHING_LEFT = 99.0
_EDGES = (5.0, 95.0)  # percentiles between which an effect is stated
_ROUGH = 30.0  # effective draws: fewer are a rough picture of a distribution


@dataclass(frozen=True, eq=False)
class _Individuals:
    """Random effects of one parameter.

    Attributes
    ----------
    eta : float64[N]
        Modes; NaN for a subject that says nothing.
    draws : float64[draws, N]
    shrinkage : float
        Per cent, of the standard deviation.
    variance_shrinkage : float
        A fraction, of the variance.
    """

    parameter: Parameter
    eta: Array
    draws: Array
    shrinkage: float
    variance_shrinkage: float


def screen(
    fit: FitResult,
    parameters: Iterable[str] | None = None,
    covariates: Iterable[str] | None = None,
    *,
    shapes: Iterable[str | Shape] | None = None,
    correction: str = "holm",
    draws: int = 50,
    seed: int = 1,
) -> Screening:
    """Test every covariate on every random effect between subjects, by regression on the individual estimates.

    Each test is an ordinary least squares regression of η̂, the modes of the random effects, on the covariate in a shape
    of `Model.with_covariate`, or an analysis of variance for a category. What the model says already about a covariate
    is not in η̂: a covariate that acts on the parameter is tested on what is left.

    Modes are drawn towards 0 where a subject says little (shrinkage), and towards each other: an effect can then be
    hidden, or show on the wrong parameter (Savic & Karlsson 2009, AAPS J 11:558). So each test is repeated on samples
    from the conditional distribution p(η_i | y_i). Without any effect such samples are distributed N(0, Ψ), whatever
    the shrinkage, and F of each is exact (Lavielle & Ribba 2016, Pharm Res 33:2979). F of the mean coefficients over
    the mean residual variance is compared with the F distribution of a single sample: averaging takes variance away,
    never adds any, so that the test holds its level, is that of η̂ where there is no shrinkage, and is the more
    cautious the more there is. Where it finds nothing and the shrinkage is high, the likelihood has to tell.

    Parameters
    ----------
    fit : FitResult
        With random effects.
    parameters : iterable of str, optional
        Of those with a random effect of their own; all if not given.
    covariates : iterable of str, optional
        Columns of the data; all of its covariates if not given.
    shapes : iterable of str, optional
        Of "power", "exponential", "linear", "categorical", "fraction" and those that `wb.add_shape` has made known. If
        not given, those in which the effect is linear on the transformed scale, as the regression is: "power",
        "exponential" and "categorical", and "linear" for a parameter without transform. The others hold to first order.
    correction : str
        How p is corrected for the number of tests in the table: "holm", "bonferroni", "fdr_bh" or another of
        `CORRECTIONS`, the methods of statsmodels' `multipletests`.
    draws : int
        Samples of each subject; 0 for none.
    seed : int
        Equal seeds give equal samples.

    Returns
    -------
    Screening
        What could not be tested is in `refused`, with the reason.

    Raises
    ------
    ModelError
        If a parameter has no random effect, a covariate is no column, or another argument is not possible.
    FitError
        If the fit has no random effects.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> screened = wb.screen(fit, covariates=["WT"])
    >>> screened.strongest
    ('WT',)
    >>> larger = screened.apply("V ~ WT (power)")
    """
    if not isinstance(fit, FitResult):
        raise ModelError(f"The first argument is a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    names = _parameters(fit, parameters)
    chosen = _shapes(shapes)
    draws, seed = whole("draws", draws), whole("seed", seed)
    one_of("correction", correction, CORRECTIONS)
    candidates, refused = usable_covariates(fit.data, covariates)
    individuals, unseen, remarks = _individuals(fit, names, draws, seed)
    if not candidates and not refused:
        remarks = (*remarks, "The data have no covariates.")
    rows: list[Tested] = []
    refusals = [*refused, *unseen]
    for who in individuals:
        for candidate in candidates:
            for shape in candidate.shapes(who.parameter, chosen):
                found = _tested(who, candidate, shape)
                (rows if isinstance(found, Tested) else refusals).append(found)  # type: ignore[arg-type]
    rows.sort(key=lambda row: row.p)
    for field in ("p", "p_sampled") if rows else ():
        p = np.array([getattr(row, field) for row in rows])
        if np.isfinite(p).all():
            corrected = _corrected(p, correction).tolist()
            rows = [replace(row, **{f"{field}_corrected": q}) for row, q in zip(rows, corrected, strict=True)]
    return Screening(
        fit=fit,
        rows=tuple(rows),
        refused=tuple(dict.fromkeys(refusals)),
        candidates=candidates,
        etas={who.parameter.name: who.eta for who in individuals},
        correction=correction,
        draws=draws,
        remarks=remarks,
    )


def _corrected(p: Array, how: str) -> Array:
    """p corrected for the number of tests."""
    if how == "holm":  # by hand: statsmodels collects garbage on its way, which takes long where a notebook holds much
        order = np.argsort(p)
        larger = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
        corrected = np.empty_like(p)
        corrected[order] = np.minimum(larger, 1.0)
        return corrected
    from statsmodels.stats.multitest import multipletests

    return np.asarray(multipletests(p, method=how)[1])


def _parameters(fit: FitResult, wanted: Iterable[str] | None) -> tuple[str, ...]:
    if method_of(fit.method).subjects is Subjects.ALONE:
        raise FitError(
            "Subjects fitted alone are no population: screen a fit by wb.TwoStage(), which begins with them."
        )
    own = tuple(name for name in fit.random_effects if fit.model[name].share is None)
    if not own:
        raise FitError(f"The fit by {fit.method!r} has no random effects between subjects: there is nothing to screen.")
    if wanted is None:
        return own
    names = tuple(dict.fromkeys((wanted,) if isinstance(wanted, str) else wanted))
    unknown = [name for name in names if name not in own]
    if unknown:
        raise ModelError(f"{', '.join(map(str, unknown))} has no random effect of its own; {', '.join(own)} have.")
    return names


def _shapes(wanted: Iterable[str | Shape] | None) -> Collection[str] | None:
    if wanted is None:
        return None
    given = (wanted,) if isinstance(wanted, str | Shape) else tuple(wanted)
    known = {name: shape for name, shape in SHAPES.items() if shape.screened}
    unknown = [shape for shape in given if shape not in known and shape not in known.values()]
    if unknown or not given:
        raise ModelError(f"shapes={given!r}; allowed are {listed(tuple(known))}; wb.add_shape(…) makes others known.")
    return [shape.name if isinstance(shape, Shape) else shape for shape in given]


def _individuals(
    fit: FitResult, names: Iterable[str], draws: int, seed: int
) -> tuple[list[_Individuals], list[Refusal], tuple[str, ...]]:
    events = fit.data.events
    seen = np.bincount(events.subject[fit.record], minlength=len(events.subjects)) > 0
    remarks = [] if fit.converged else [f"The fit is not at a minimum: {fit.status.value}"]
    if not seen.all():
        remarks.append(f"{int((~seen).sum())} subjects without an observation are left out.")
    samples = np.empty((0, *fit.eta_matrix.shape))
    if draws:
        drawn = conditional_draws(fit.model, fit.data, draws, seed)
        samples = drawn.eta
        rough = int((drawn.effective[seen] < _ROUGH).sum())
        if rough:
            remarks.append(f"The conditional distribution of {rough} subjects is sampled roughly.")
        lost = seen & ~np.isfinite(samples).all(axis=(0, 2))
        seen &= ~lost
        if lost.any():
            remarks.append(f"{int(lost.sum())} subjects whose likelihood cannot be computed are left out.")
    shrinkage = fit.shrinkage
    individuals, refused = [], []
    for name in names:
        q = fit.random_effects.index(name)
        shrunk, variance = (float(shrinkage[by][name]) for by in ("sd", "variance"))
        if not shrunk < _NOTHING_LEFT:
            how = f"is {shrunk:.0f} %" if np.isfinite(shrunk) else "cannot be computed"
            refused.append(Refusal(name, f"Its shrinkage {how}: the data say nothing about its individual values."))
            continue
        eta = np.where(seen, fit.eta_matrix[:, q], np.nan)
        individuals.append(_Individuals(fit.model[name], eta, samples[:, :, q], shrunk, variance / 100))
    return individuals, refused, tuple(remarks)


def _tested(who: _Individuals, candidate: UsableCovariate, shape: str) -> Tested | Refusal:
    """One regression."""
    from statsmodels.regression.linear_model import OLS

    name = who.parameter.name
    columns = candidate.columns(shape)
    use = candidate.known & np.isfinite(who.eta)
    n, k = int(use.sum()), columns.shape[1]
    X = np.column_stack([np.ones(n), columns[use]])
    if n < k + 3 or np.linalg.matrix_rank(X) <= k:
        return Refusal(f"{name} ~ {candidate.name}", f"Too little is left in the {n} subjects that can be used.")
    fitted = OLS(who.eta[use], X).fit()
    rho, rho_p = _rank_correlation(who.eta[use], candidate.baseline[use]) if _ordered(candidate) else (np.nan, np.nan)
    explained = max(float(fitted.rsquared_adj), 0.0) / max(1.0 - who.variance_shrinkage, 1e-3)
    return Tested(
        parameter=name,
        covariate=candidate.name,
        shape=shape,
        n=n,
        df=k,
        coefficients=tuple(fitted.params[1:].tolist()),
        p=float(fitted.f_pvalue),
        p_sampled=_sampled_p(X, who.draws[:, use]) if len(who.draws) else np.nan,
        r2=float(fitted.rsquared),
        psi_drop=100 * min(explained, 1.0),
        rho=rho,
        rho_p=rho_p,
        scale="ratio" if who.parameter.link.is_logarithm else "difference",
        contrasts=_contrasts(who.parameter, candidate, shape, fitted, use),
        shrinkage=who.shrinkage,
        trustworthy=who.shrinkage <= UNTRUSTWORTHY,
        modelled=any(candidate.name in columns_of(effect.term) for effect in who.parameter.covariates),
        remarks=candidate.remarks,
    )


def _sampled_p(X: Array, draws: Array) -> float:
    """p of F = (explained sum of squares of the mean draw / k) / (mean residual variance of the draws)."""
    from scipy.stats import f

    n, k = X.shape[0], X.shape[1] - 1
    Q, _ = np.linalg.qr(X)
    parts = draws @ Q  # the first is the mean
    residual = ((draws**2).sum(axis=1) - (parts**2).sum(axis=1)) / (n - k - 1)
    explained = (parts[:, 1:].mean(axis=0) ** 2).sum() / k
    return float(f.sf(explained / residual.mean(), k, n - k - 1))


def _ordered(candidate: UsableCovariate) -> bool:
    return candidate.kind == "continuous" or len(candidate.levels) == 2


def _rank_correlation(eta: Array, values: Array) -> tuple[float, float]:
    from scipy.stats import spearmanr

    found = spearmanr(eta, values)
    return float(found.statistic), float(found.pvalue)


def _contrasts(
    parameter: Parameter, candidate: UsableCovariate, shape: str, fitted: Any, use: NDArray[np.bool_]
) -> tuple[Contrast, ...]:
    """The effect of going from one value of the covariate to another, with its 95 % interval."""
    if candidate.kind == "categorical":
        ends = [(candidate.levels[0], level) for level in candidate.levels[1:]]
        steps = np.eye(len(ends))
    else:
        low, high = np.percentile(candidate.baseline[use], _EDGES)
        ends = [(float(low), float(high))]
        at = SHAPES[shape].columns(np.array([low, high]), candidate.median)
        steps = at[1:] - at[:1]
    effects = [_step(fitted, np.concatenate([[0.0], step])) for step in steps]
    if parameter.link.is_logarithm:
        with np.errstate(over="ignore"):
            effects = [np.exp(effect) for effect in effects]
    return tuple(Contrast(*pair, *effect.tolist()) for pair, effect in zip(ends, effects, strict=True))


def _step(fitted: Any, step: Array) -> Array:
    """Change along a direction of the coefficients, with its 95 % interval."""
    found = fitted.t_test(step)
    return np.concatenate([np.ravel(found.effect), np.ravel(found.conf_int(0.05))])
