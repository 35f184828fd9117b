"""Normalised prediction distribution errors: where observations lie in the distribution that the model predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.data import GroupedData
from workbench.diagnostics.normality import shapiro_wilk
from workbench.diagnostics.sample import Sample, sample_of
from workbench.errors import FitError
from workbench.markup.numbers import decimals, p_value
from workbench.markup.shown import Shown
from workbench.parallel import Callback
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

DECORRELATIONS = ("cholesky", "symmetric")


class NormalityTests(NamedTuple):
    """Whether errors are a sample of the standard normal distribution.

    Attributes
    ----------
    n : int
    mean, mean_se, variance, variance_se, skewness, kurtosis : float
        Kurtosis in excess of the normal's.
    p_mean : float
        Of the t test that the mean is 0.
    p_variance : float
        Of Fisher's test that the variance is 1, (n - 1) s² ~ χ²(n - 1), two-sided.
    p_normal : float
        Of Shapiro and Wilk's test.
    p_global : float
        The smallest of the three times three, at most 1 (Bonferroni).
    """

    n: int
    mean: float
    mean_se: float
    variance: float
    variance_se: float
    skewness: float
    kurtosis: float
    p_mean: float
    p_variance: float
    p_normal: float
    p_global: float


@dataclass(frozen=True, eq=False, repr=False)
class Npde(Shown):
    """Normalised prediction distribution errors.

    Attributes
    ----------
    npde : float64[n]
        Decorrelated within subjects; NaN where none could be computed.
    npd : float64[n]
        Not decorrelated: for figures, not for tests.
    sample : Sample
    decorrelate : str
    remarks : tuple of str
    code : str
    """

    npde: Array
    npd: Array
    sample: Sample
    decorrelate: str
    remarks: tuple[str, ...]
    code: str

    @cached_property
    def table(self) -> pd.DataFrame:
        """ID TIME TAD DV (PRED DVID CENS) NPDE NPD by observation, indexed by the row in the data."""
        import pandas as pd

        sample = self.sample
        columns = sample.columns()
        if sample.pred is not None:
            columns["PRED"] = sample.pred
        columns |= {"NPDE": self.npde, "NPD": self.npd}
        rows = sample.data.frame.index[sample.data.events.row[sample.record]]
        return pd.DataFrame(columns, index=rows).infer_objects()

    @cached_property
    def tests(self) -> NormalityTests:
        """Of `npde`."""
        return normality(self.npde)

    @property
    def sentence(self) -> str:
        """What the tests say."""
        t = self.tests
        if not math.isfinite(t.p_global):
            return f"npde of {t.n} observations: too few, or all alike; nothing can be tested."
        verdict = (
            "as they should be under the model"
            if t.p_global >= 0.05
            else "not those of the standard normal distribution"
        )
        return (
            f"npde of {t.n} observations from {self.sample.replicates:,} simulations: mean {decimals(t.mean, 3)} "
            f"(p {p_value(t.p_mean)}), variance {decimals(t.variance, 3)} (p {p_value(t.p_variance)}), Shapiro–Wilk p "
            f"{p_value(t.p_normal)}, together p {p_value(t.p_global)}: {verdict}."
        )

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        import pandas as pd

        t = self.tests
        rows = {
            "mean": (t.mean, t.mean_se, t.p_mean), "variance": (t.variance, t.variance_se, t.p_variance),
            "skewness": (t.skewness, math.nan, math.nan), "excess kurtosis": (t.kurtosis, math.nan, math.nan),
            "Shapiro–Wilk": (math.nan, math.nan, t.p_normal), "all three": (math.nan, math.nan, t.p_global),
        }  # fmt: skip
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "SE", "p"])
        return [self.sentence, *self.remarks, frame]

    def plot(self) -> Figure:
        """Quantiles beside the normal's, histogram, npde over time and over prediction (matplotlib)."""
        from workbench.diagnostics.plots import npde_figure

        sample = self.sample
        return npde_figure(self.npde, sample.time, sample.simulated.mean(axis=0), sample.data.units)


def npde(
    source: FitResult | GroupedData,
    replicates: int = 1000,
    *,
    decorrelate: str = "cholesky",
    simulations: Any = None,
    seed: int = 1,
    callback: Callback | None = None,
) -> Npde:
    """Normalised prediction distribution errors of a fit, or of data beside simulations of them.

    For each subject, observations and simulations are decorrelated by mean and covariance of the simulations, y* =
    V^(-1/2) (y - mean); pde is the share of simulations of y* below the observed one, 0 and 1 replaced by 1/(2K) and
    1 - 1/(2K), and npde its normal quantile (Comets, Brendel & Mentré 2008, Comput Methods Programs Biomed 90:154,
    equations 2 to 4). npd is the same without decorrelation. Under the model npde are a sample of N(0, 1).

    Parameters
    ----------
    source : FitResult or GroupedData
        A fit, whose model is simulated; or data, with `simulations`.
    replicates : int
        K, at least 20; of simulations that are made here.
    decorrelate : str
        V^(-1/2): "cholesky", the inverse of the lower Cholesky factor in the order of time, as in the package npde;
        "symmetric", the inverse of the symmetric root, as in NONMEM.
    simulations : DataFrame or Sample, optional
        Subject, time, response, replicate: what `wb.simulate` returns, or a table of one's own; a row for each
        observation (or each row of the data) and replicate, in the order of the data. Or the `sample` of another check.
    seed : int
    callback : callable, optional
        Called with (done, replicates) while these are made; stops by returning something true, and what is done is
        kept.

    Returns
    -------
    Npde
        With `npde`, `npd`, `table`, `tests`, `plot()`.

    Raises
    ------
    FitError, DataError
        There is nothing to simulate from, the simulations are not those of the data, or a subject has as many
        observations as there are replicates.

    Notes
    -----
    A censored observation is known as a part of the distribution only (Nguyen, Comets & Mentré 2012, J Pharmacokinet
    Pharmacodyn 39:499): its npd is drawn evenly from the cdf below (above) its limit, and so is the value that is
    decorrelated. Simulations beyond the limit are drawn anew in the same way, one observation after the other: else the
    two would not have one distribution under the model. The draw is fixed by `seed`.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> wb.npde(fit, replicates=200).tests.n
    132
    """
    checks.one_of("decorrelate", decorrelate, DECORRELATIONS, FitError)
    replicates, seed = checks.whole("replicates", replicates, 1, FitError), checks.whole("seed", seed, 0, FitError)
    sample = sample_of(source, simulations, replicates, seed, "npde", stratified=True, callback=callback)
    longest = max(len(block) for block in sample.blocks())
    if longest >= sample.replicates:
        raise FitError(
            f"A subject has {longest} observations, of which {sample.replicates} replicates tell no covariance: more "
            "replicates are needed."
        )
    rng = np.random.default_rng([seed, 1])
    errors, plain = np.full(len(sample.y), np.nan), np.full(len(sample.y), np.nan)
    failed, limits = [], _Limits.of(sample)
    for block in sample.blocks():
        y, low, high = sample.y[block], sample.below[block], sample.above[block]
        simulated = sample.simulated[:, block]
        if not np.isfinite(simulated).all() or not np.isfinite(y).all():
            failed.append(sample.data.events.subjects[int(sample.owner[block[0]])])
            continue
        plain[block] = _placed(y, low, high, simulated, rng)
        found = _decorrelated(*_imputed(y, low, high, simulated, limits.at(block), rng), decorrelate)
        if found is None:
            failed.append(sample.data.events.subjects[int(sample.owner[block[0]])])
        else:
            errors[block] = found
    remarks = []
    if failed:
        who = ", ".join(map(str, failed[:10])) + (" …" if len(failed) > 10 else "")
        remarks.append(f"No npde of {who}: simulations that are not finite, or do not vary.")
    if (sample.below | sample.above).all():
        remarks.append("All observations are censored: where they lie was drawn.")
    if isinstance(source, FitResult) and not source.converged:
        remarks.append(f"The fit has no minimum to judge: {source.status.value}")
    options = [f"decorrelate={decorrelate!r}"] if decorrelate != "cholesky" else []
    options += sample.options(source, True)
    if sample.seed is None or sample.seed != seed:  # of what is drawn for censored observations
        options += [f"seed={seed}"] if seed != 1 else []
    name = "fit" if isinstance(source, FitResult) else "data"
    return Npde(errors, plain, sample, decorrelate, tuple(remarks), f"wb.npde({', '.join([name, *options])})")


def _placed(
    y: Array, low: NDArray[np.bool_], high: NDArray[np.bool_], simulated: Array, rng: np.random.Generator
) -> Array:
    """Normal quantiles of the shares of simulations below observations; those of censored ones are drawn."""
    share = np.mean(simulated < y, axis=0)
    drawn = rng.random(len(y))
    share = np.where(low, drawn * share, np.where(high, share + drawn * (1.0 - share), share))
    return _quantiles(share, len(simulated))


def _quantiles(share: Array, replicates: int) -> Array:
    """Normal quantiles of shares of so many replicates, which are never 0 or 1."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(share, 0.5 / replicates, 1.0 - 0.5 / replicates)))


def _decorrelated(y: Array, simulated: Array, how: str) -> Array | None:
    """npde of one subject; None where the covariance of the simulations has no root."""
    from scipy.linalg import solve_triangular

    mean = simulated.mean(axis=0)
    covariance: Array = np.atleast_2d(np.cov(simulated, rowvar=False)).astype(np.float64)
    try:
        factor = np.linalg.cholesky(covariance).astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    if how == "symmetric":
        values, vectors = np.linalg.eigh(covariance)
        root = (vectors / np.sqrt(values)) @ vectors.T
        free, own = (simulated - mean) @ root, root @ (y - mean)
    else:
        free = solve_triangular(factor, (simulated - mean).T, lower=True).T
        own = solve_triangular(factor, y - mean, lower=True)
    return _quantiles(np.mean(free < own, axis=0), len(free))


class _Limits(NamedTuple):
    """Limits of quantification of each observation, float64[n]; infinite where there are none."""

    lower: Array
    upper: Array

    @classmethod
    def of(cls, sample: Sample) -> _Limits:
        """Its own where it is censored, else the nearest one of the response that it would have been censored at."""
        lower, upper = np.full(len(sample.y), -np.inf), np.full(len(sample.y), np.inf)
        for response in np.unique(sample.response):
            mine = sample.response == response
            for limit in np.unique(sample.y[mine & sample.below]):
                lower[mine & ~sample.below & (sample.y >= limit)] = limit
            for limit in np.unique(sample.y[mine & sample.above])[::-1]:
                upper[mine & ~sample.above & (sample.y <= limit)] = limit
        return cls(np.where(sample.below, sample.y, lower), np.where(sample.above, sample.y, upper))

    def at(self, places: NDArray[np.int64]) -> _Limits:
        """Those of some observations."""
        return _Limits(self.lower[places], self.upper[places])


def _imputed(
    y: Array, low: NDArray[np.bool_], high: NDArray[np.bool_], simulated: Array, limits: _Limits,
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    """Observations and simulations of which what lies beyond a limit is drawn from that part of the distribution.

    Simulations are treated as the observations are, so that under the model both have one distribution still.
    """
    value, changed = y.copy(), simulated
    for j in np.flatnonzero(np.isfinite(limits.lower) | np.isfinite(limits.upper)):
        column = simulated[:, j]
        for beyond, mine in ((column < limits.lower[j], low[j]), (column > limits.upper[j], high[j])):
            if beyond.any():
                changed = changed.copy() if changed is simulated else changed
                changed[beyond, j] = rng.permutation(column[beyond])
                if mine:
                    value[j] = np.quantile(column[beyond], rng.random())
    return value, changed


def normality(errors: Array) -> NormalityTests:
    """Moments and tests of errors that should be standard normal; NaN are left out.

    SE of mean and variance are those of a normal sample: s/√n and s² √(2/n).
    """
    from scipy import stats

    x = errors[np.isfinite(errors)]
    n = len(x)
    if n < 3:
        return NormalityTests(n, *[math.nan] * 10)
    mean, variance = float(x.mean()), float(x.var(ddof=1))
    chi = float(stats.chi2.cdf((n - 1) * variance, n - 1))
    p_mean = float(stats.ttest_1samp(x, 0.0).pvalue)
    p_variance = 2.0 * min(chi, 1.0 - chi)
    p_normal = shapiro_wilk(x)
    return NormalityTests(
        n, mean, math.sqrt(variance / n), variance, variance * math.sqrt(2.0 / n), float(stats.skew(x)),
        float(stats.kurtosis(x)), p_mean, p_variance, p_normal, min(1.0, 3.0 * min(p_mean, p_variance, p_normal)),
    )  # fmt: skip
