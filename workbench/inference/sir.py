"""Sampling importance resampling: the uncertainty of estimates without a normal distribution of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.checks import positive, several_whole, whole
from workbench.data import GroupedData
from workbench.errors import FitError
from workbench.inference.target import check_method, evaluated, target_of
from workbench.markup import Shown
from workbench.methods import Ability
from workbench.model import Model
from workbench.parallel import Callback, Work, each
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_AT_ONCE = 25  # samples of one task
_BINS = 10
_LOWER = 0.1  # of the OFV: a sample so far below the fit shows that this is no minimum
_PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


class SirIteration(NamedTuple):
    """One round of sampling and resampling.

    Attributes
    ----------
    samples, resamples : int
    usable : int
        Samples whose objective could be computed.
    ess : float
        Effective sample size, (Σw)² / Σw².
    samples_dofv, resamples_dofv : float
        Mean ΔOFV; near the number of estimates where the distribution is the right one.
    """

    samples: int
    resamples: int
    usable: int
    ess: float
    samples_dofv: float
    resamples_dofv: float


@dataclass(frozen=True, eq=False, repr=False)
class Sir(Shown):
    """Estimates drawn from a proposal and resampled by how likely they are.

    Attributes
    ----------
    names : tuple of str
        Estimates that are not fixed; k of them.
    estimates : float64[k]
        Of the fit.
    samples : float64[M, k]
        Of the last iteration, natural scale.
    dofv : float64[M]
        Their OFV less that of the fit; NaN where it could not be computed.
    chosen : int64[m]
        Which samples were resampled.
    rounds : tuple of SirIteration
    asked : int
        How many iterations were asked for; fewer are there if it was stopped.
    """

    names: tuple[str, ...]
    estimates: Array
    samples: Array
    dofv: Array
    chosen: NDArray[np.int64]
    rounds: tuple[SirIteration, ...]
    asked: int

    @property
    def table(self) -> pd.DataFrame:
        """One row per resample: the estimates and delta_ofv."""
        import pandas as pd

        frame = pd.DataFrame(self.samples[self.chosen], columns=list(self.names))
        return frame.assign(delta_ofv=self.dofv[self.chosen]).rename_axis("resample")

    @cached_property
    def summary(self) -> pd.DataFrame:
        """By estimate: estimate, mean, se, rse (per cent), and the 2.5, 50 and 97.5 % points of the resamples."""
        import pandas as pd

        values = self.samples[self.chosen]
        low, median, high = np.percentile(values, [2.5, 50, 97.5], axis=0)
        se = values.std(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rse = np.where(self.estimates != 0, np.abs(100 * se / self.estimates), np.nan)
        columns = {
            "estimate": self.estimates, "mean": values.mean(axis=0), "se": se, "rse": rse,
            "lower": low, "median": median, "upper": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=list(self.names))

    @property
    def covariance(self) -> Array:
        """Covariance of the resamples, natural scale, in the order of `names`."""
        values = np.cov(self.samples[self.chosen], rowvar=False).reshape(len(self.names), len(self.names))
        return np.asarray(values, dtype=float)

    @property
    def iterations(self) -> pd.DataFrame:
        """One row per iteration: samples, resamples, usable, ess, samples_dofv, resamples_dofv."""
        import pandas as pd

        frame = pd.DataFrame(self.rounds, columns=list(SirIteration._fields))
        return frame.set_index(pd.RangeIndex(1, len(self.rounds) + 1, name="iteration"))

    @property
    def delta_ofv(self) -> pd.DataFrame:
        """Quantiles of ΔOFV of the samples and of the resamples of the last iteration, and of χ²(k).

        Resamples should lie at χ²(k), or below it where estimates have bounds; samples should not lie below resamples,
        or the proposal is too narrow (Dosne et al. 2016).
        """
        import pandas as pd
        from scipy.stats import chi2

        columns = {
            "samples": np.nanquantile(self.dofv, _PROBABILITIES),
            "resamples": np.quantile(self.dofv[self.chosen], _PROBABILITIES),
            "chi2": chi2.ppf(_PROBABILITIES, len(self.names)),
        }
        return pd.DataFrame(columns, index=pd.Index(_PROBABILITIES, name="probability"))

    @property
    def trends(self) -> pd.DataFrame:
        """Share of the samples that were resampled in ten bins of each estimate, equally many samples in each.

        Columns: name, bin, lower, upper, share, expected. A share that rises to both ends shows a proposal that is too
        narrow, a share that reaches 1 one that is exhausted.
        """
        import pandas as pd

        drawn = np.zeros(len(self.samples))
        drawn[self.chosen] = 1.0
        rows = []
        for name, values in zip(self.names, self.samples.T, strict=True):
            for number, members in enumerate(np.array_split(np.argsort(values, kind="stable"), _BINS), start=1):
                if len(members):
                    ends = float(values[members[0]]), float(values[members[-1]])
                    rows.append((name, number, *ends, float(drawn[members].mean()), float(drawn.mean())))
        return pd.DataFrame(rows, columns=["name", "bin", "lower", "upper", "share", "expected"])

    def _head(self) -> str:
        last = self.rounds[-1]
        count = f"{len(self.rounds)} of {self.asked}" if len(self.rounds) < self.asked else f"{self.asked}"
        text = (
            f"Sampling importance resampling, {count} iteration{'s' if self.asked > 1 else ''}: {last.resamples} of "
            f"{last.samples} samples, effective size {last.ess:.0f}, mean ΔOFV {last.resamples_dofv:.2f} "
            f"({len(self.names)} estimates)."
        )
        lowest = float(np.nanmin(self.dofv))
        if lowest < -_LOWER:
            text += f" A sample lies {-lowest:.2f} below the fit, which is no minimum, then: fit again from there."
        if last.usable < last.samples:
            text += f" {last.samples - last.usable} samples could not be computed."
        return text

    def _shown(self) -> list[str | pd.DataFrame]:
        return [self._head(), self.summary]


class _Samples(NamedTuple):
    """Samples, x and natural scale, with the OFV and the logarithm of their weight."""

    x: Array
    values: Array
    ofv: Array
    log_weight: Array


class _Part(NamedTuple):
    """Some of the samples of an iteration: those of a normal distribution with this centre and Cholesky factor."""

    seed: tuple[int, ...]
    size: int
    centre: Array
    factor: Array


@dataclass(frozen=True, eq=False)
class _Sampling:
    """Draws from a proposal, normal on the scale of x, and what the objective is there."""

    model: Model
    data: GroupedData
    method: str
    options: object

    def __call__(self) -> Work:
        target, fitted = target_of(self.model, self.data, self.method, self.options)
        scale = target.problem.scale
        free = ~scale.fixed

        def some(part: _Part) -> _Samples:
            """Samples of one task; their numbers depend on no other."""
            n = part.size
            z = np.random.default_rng(part.seed).standard_normal((n, len(part.centre)))
            x = part.centre + z @ part.factor.T
            ofv, volume = np.full(n, np.nan), np.zeros(n)
            values = np.array([scale.estimates(one)[free] for one in x])
            with np.errstate(all="ignore"):
                for j, one in enumerate(x):
                    ofv[j] = evaluated(target, one)
                    volume[j] = np.linalg.slogdet(scale.jacobian(one)[free])[1]
                log_weight = -0.5 * (ofv - fitted.ofv) + volume + 0.5 * (z**2).sum(axis=1)
            return _Samples(x, values, ofv - fitted.ofv, np.where(np.isfinite(log_weight), log_weight, -np.inf))

        return some


def sir(
    fit: FitResult,
    samples: int | Sequence[int] = (1000, 1000, 1000, 2000, 2000),
    resamples: int | Sequence[int] = (200, 400, 500, 1000, 1000),
    *,
    inflation: float = 1.0,
    seed: int = 1,
    jobs: int | None = None,
    callback: Callback | None = None,
) -> Sir:
    """Distribution of the estimates by sampling importance resampling.

    Vectors of estimates are drawn from a normal distribution with the covariance of the fit, and of these some are
    kept, without replacement, by weights exp(-½ ΔOFV) / density of the proposal (Dosne et al. 2016, J Pharmacokinet
    Pharmacodyn 43:583). Each further iteration draws from the mean and covariance of what the last one kept (as many
    as recommended by Dosne et al. 2017, ibid. 44:509).

    The proposal is normal on the scale of the estimation, where whatever is positive is a logarithm and Ψ cannot become
    indefinite; the weights have its Jacobian, so that what is sampled is the likelihood over the natural scale (for Ψ:
    standard deviations and correlations).

    Parameters
    ----------
    fit : FitResult
        With a covariance of all its estimates.
    samples, resamples : int or sequence of int
        For each iteration.
    inflation : float
        Factor of the covariance in the first iteration; above 1 if it may be too small.
    seed : int
    jobs : int, optional
        Tasks at the same time, as by `bootstrap`.
    callback : callable, optional
        Called with (done, samples in all); stops by returning something true. The iterations that are finished are
        kept, and of the first one what there is.

    Returns
    -------
    Sir

    Raises
    ------
    FitError
        If the fit has no covariance, an argument is not usable, or too few samples are likely at all.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> wb.sir(fit, samples=200, resamples=50, seed=1)
    Sampling importance resampling, 1 iteration: 50 of 200 samples, ...
    """
    check_method(fit, "Sampling importance resampling", Ability.SIR)
    covariance = _covariance_of(fit)
    plan = _plan(samples, resamples, len(covariance))
    inflation = positive("inflation", inflation, FitError)
    seed = whole("seed", seed, 0, FitError)
    target, fitted = target_of(fit.model, fit.data, fit.method, fit.options)
    scale, centre = target.problem.scale, fitted.x
    free = ~scale.fixed
    inverse = np.linalg.inv(scale.jacobian(centre)[free])
    spread = inflation * inverse @ covariance @ inverse.T
    total, done, stopped = sum(M for M, _ in plan), 0, False
    rounds: list[SirIteration] = []
    drawn, chosen = _Samples(*(np.empty(0),) * 4), np.empty(0, dtype=np.int64)

    def watch(tasks: int, _: int) -> bool:
        nonlocal stopped
        stopped = bool(callback is not None and callback(min(done + tasks * _AT_ONCE, done + M), total))
        return stopped

    prepare = _Sampling(fit.model, fit.data, fit.method, fit.options)
    for number, (M, most) in enumerate(plan, start=1):
        factor = _factor(spread)
        parts = each(
            prepare,
            [
                _Part((seed, number, part), min(_AT_ONCE, M - begin), centre, factor)
                for part, begin in enumerate(range(0, M, _AT_ONCE), start=1)
            ],
            jobs,
            watch,
        )
        got = _Samples(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        if len(got.ofv) < M and rounds:
            break
        m = most * len(got.ofv) // M  # all of them, but where the first iteration was stopped
        usable = int(np.isfinite(got.log_weight).sum())
        if stopped and (usable < m or m <= len(centre)):
            raise FitError(f"It was stopped after {len(got.ofv)} samples, too few for {len(centre)} estimates.")
        if usable < m or m <= len(centre):
            raise FitError(
                f"Iteration {number}: of {len(got.ofv)} samples {usable} have a likelihood, too few to keep {m} "
                f"of them for {len(centre)} estimates. Take more samples, or another inflation than {inflation:g}."
            )
        drawn, chosen = got, _without_replacement(got.log_weight, m, np.random.default_rng([seed, number, 0]))
        rounds.append(_round(drawn, chosen))
        centre, spread = got.x[chosen].mean(axis=0), np.cov(got.x[chosen], rowvar=False).reshape(spread.shape)
        done += M
        if stopped:
            break
    names = tuple(e.name for e in fit.lines if not e.fixed)
    estimates = scale.estimates(fitted.x)[free]
    return Sir(names, estimates, drawn.values, drawn.ofv, chosen, tuple(rounds), len(plan))


def _covariance_of(fit: FitResult) -> Array:
    if fit.covariance is None or not len(fit.covariance):
        raise FitError(
            f"The fit has no covariance to draw from: standard errors: {fit.se_reason or 'nothing is free.'}"
        )
    if not np.isfinite(fit.covariance).all():
        raise FitError(f"The fit has no covariance of all its estimates to draw from. Standard errors: {fit.se_reason}")
    return fit.covariance


def _plan(samples: int | Sequence[int], resamples: int | Sequence[int], k: int) -> list[tuple[int, int]]:
    """Samples and resamples of each iteration."""
    given = [several_whole(what, n, 1, FitError) for what, n in (("samples", samples), ("resamples", resamples))]
    if len(given[0]) != len(given[1]):
        raise FitError(f"samples has {len(given[0])} iterations, resamples {len(given[1])}; give as many of both.")
    plan = list(zip(*given, strict=True))
    for M, m in plan:
        if not k < m < M:
            raise FitError(
                f"{m} resamples of {M} samples: they must be more than the {k} estimates, and less than the samples."
            )
    return plan


def _factor(spread: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(spread), dtype=float)
    except np.linalg.LinAlgError:
        raise FitError("The covariance to draw from is singular: take more resamples, or check the fit's.") from None


def _without_replacement(log_weight: Array, m: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """m of the samples, one after the other by their weights: the largest of log w + Gumbel noise (Efraimidis 2006)."""
    keys = log_weight + rng.gumbel(size=len(log_weight))
    return np.sort(np.argsort(-keys, kind="stable")[:m])


def _round(drawn: _Samples, chosen: NDArray[np.int64]) -> SirIteration:
    weights = np.exp(drawn.log_weight - drawn.log_weight.max())
    ess = float(weights.sum() ** 2 / (weights**2).sum())
    usable = int(np.isfinite(drawn.log_weight).sum())
    means = float(np.nanmean(drawn.ofv)), float(drawn.ofv[chosen].mean())
    return SirIteration(len(drawn.ofv), len(chosen), usable, ess, *means)
