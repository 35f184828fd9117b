"""Are the random effects what the model says: normal, as spread and as correlated; judged on draws, not on modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.diagnostics.normality import shapiro_wilk
from workbench.errors import FitError
from workbench.markup.numbers import counted, p_value
from workbench.markup.shown import Shown
from workbench.methods import Subjects, method_of
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_LEVEL = 0.05
_LARGE = 30.0  # per cent of shrinkage (Savic & Karlsson 2009, AAPS J 11:558)


@dataclass(frozen=True, eq=False, repr=False)
class RandomEffects(Shown):
    """Random effects between subjects beside what the model says of them.

    Attributes
    ----------
    fit : FitResult
    modes : float64[N, R]
        Empirical Bayes estimates.
    draws : float64[K, N, R]
        From the conditional distribution of each subject, NaN where it has none.
    """

    fit: FitResult
    modes: Array
    draws: Array

    @property
    def _sd(self) -> Array:
        return np.sqrt(np.diag(self.fit.omega_matrix))

    @cached_property
    def table(self) -> pd.DataFrame:
        """By effect: what the model says, and what modes and draws have.

        ==================== =========================================================================================
        omega                Its standard deviation under the model.
        sd, sd_sampled       Of the modes, and of the draws.
        shrinkage            Per cent, 100 (1 - sd / omega).
        mean, p_mean         Of the modes, and p of the t test that it is 0.
        p_normal             Of Shapiro and Wilk's test of the modes.
        p_mean_sampled,      The same of draws, one of each subject, which under the model are a sample of the
        p_normal_sampled     population; twice the median p over draws (Rüger 1978, Metrika 25:171).
        skewness, kurtosis   Of the draws, the latter in excess of the normal's.
        ==================== =========================================================================================
        """
        import pandas as pd
        from scipy import stats

        rows = []
        for k, name in enumerate(self.fit.random_effects):
            mode, draw, omega = self.modes[:, k], self.draws[..., k], self._sd[k]
            sd = float(np.std(mode, ddof=1)) if len(mode) > 1 else math.nan
            rows.append(
                {
                    "effect": name, "omega": omega, "sd": sd, "sd_sampled": _mean_over(draw, np.std, ddof=1),
                    "shrinkage": 100.0 * (1.0 - sd / omega) if omega > 0 else math.nan, "mean": float(np.mean(mode)),
                    "p_mean": _p(mode, _of_mean), "p_normal": _p(mode, shapiro_wilk),
                    "p_mean_sampled": _merged(draw, _of_mean), "p_normal_sampled": _merged(draw, shapiro_wilk),
                    "skewness": _mean_over(draw, stats.skew), "kurtosis": _mean_over(draw, stats.kurtosis),
                }
            )  # fmt: skip
        return pd.DataFrame(rows).set_index("effect") if rows else pd.DataFrame()

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """By pair of effects: the correlation under the model, of the modes, of the draws, and p of the latter.

        p is that of Pearson's correlation beside the model's by Fisher's z, twice the median over draws: a small one
        says that the pair is correlated otherwise than the model has it.
        """
        import pandas as pd

        rows = []
        for a, b in combinations(range(len(self.fit.random_effects)), 2):
            scale = self._sd[a] * self._sd[b]
            model = float(self.fit.omega_matrix[a, b] / scale) if scale > 0 else math.nan
            of_draws = [_correlation(one[:, a], one[:, b]) for one in self.draws]
            p = [_of_correlation(r, model, int(np.isfinite(self.modes[:, a]).sum())) for r in of_draws]
            names = self.fit.random_effects
            rows.append(
                (f"{names[a]}, {names[b]}", model, _correlation(self.modes[:, a], self.modes[:, b]),
                 float(np.mean(known)) if (known := [r for r in of_draws if math.isfinite(r)]) else math.nan,
                 _twice_the_median(p))
            )  # fmt: skip
        return pd.DataFrame(rows, columns=["effects", "model", "modes", "sampled", "p"]).set_index("effects")

    @cached_property
    def by_subject(self) -> pd.DataFrame:
        """Shrinkage by subject and effect, per cent: the variance of the conditional distribution over ω².

        0: the subject's own data say what it is; 100: they say nothing, and the mode is the population's.
        """
        import pandas as pd

        with np.errstate(divide="ignore", invalid="ignore"):
            share = 100.0 * self.draws.var(axis=0, ddof=1) / self._sd**2
        return pd.DataFrame(
            np.where(self._sd > 0, share, np.nan), columns=list(self.fit.random_effects),
            index=pd.Index(self.fit.data.events.subjects, name="subject"),
        )  # fmt: skip

    @property
    def sentence(self) -> str:
        """Which effects are not as the model says."""
        names, table = self.fit.random_effects, self.table
        head = f"{counted(len(names), 'random effect')}, {len(self.draws)} draws of each subject."
        columns = {
            name: table[name].to_numpy(dtype=float) for name in ("p_normal_sampled", "p_mean_sampled", "shrinkage")
        }
        odd = []
        for name, p in zip(names, columns["p_normal_sampled"], strict=True):
            odd += [f"{name} is not normal (p {p_value(p)})"] if p < _LEVEL else []
        for name, p in zip(names, columns["p_mean_sampled"], strict=True):
            odd += [f"the mean of {name} is not 0 (p {p_value(p)})"] if p < _LEVEL else []
        for pair in self.correlations.reset_index().to_dict("records"):
            if pair["p"] < _LEVEL:
                is_and_should = f"{pair['sampled']:.2f}, not {pair['model']:.2f}"
                odd.append(f"{pair['effects']} are correlated {is_and_should} (p {p_value(pair['p'])})")
        shrunk = [name for name, share in zip(names, columns["shrinkage"], strict=True) if share > _LARGE]
        said = [head, f"{'; '.join(odd)}." if odd else "Draws are as the model says."]
        if shrunk:
            said.append(f"Modes of {', '.join(shrunk)} are shrunken by more than {_LARGE:g} %: judge by draws only.")
        return " ".join(said)

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, self.table, self.correlations]

    def plot(self) -> Figure:
        """Histogram of draws beside the model's density, and quantiles, by effect (matplotlib)."""
        from workbench.diagnostics.plots import effects_figure

        return effects_figure(self.fit.random_effects, self.draws, self._sd)


def random_effects(fit: FitResult, draws: int = 20, *, seed: int = 1) -> RandomEffects:
    """Judge the distribution of the random effects.

    Modes (empirical Bayes estimates) are drawn towards 0 and towards each other where a subject has few data; tests and
    figures of them mislead then. Draws from the conditional distribution of each subject are, under the model, a sample
    of the population whatever the data (Lavielle & Ribba 2016, Pharm Res 33:2979). Against covariates, `screen` does
    the same.

    Parameters
    ----------
    fit : FitResult
    draws : int
        At least 5.
    seed : int

    Returns
    -------
    RandomEffects
        With `table`, `correlations`, `by_subject`, `plot()`.

    Raises
    ------
    FitError
        If the fit has no random effects between subjects, or none that are drawn from a population.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> wb.random_effects(fit).table.index.tolist()
    ['ka', 'CL', 'V']
    """
    from workbench.engine.objectives.conditional import conditional_draws

    if not isinstance(fit, FitResult):
        raise FitError(f"wb.random_effects takes a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    draws, seed = checks.whole("draws", draws, 5, FitError), checks.whole("seed", seed, 0, FitError)
    if method_of(fit.method).subjects is Subjects.ALONE or not fit.random_effects:
        raise FitError(f"This fit by {fit.method!r} has no random effects between subjects that could be judged.")
    R = len(fit.random_effects)
    found = conditional_draws(fit.model, fit.data, draws, seed)
    return RandomEffects(fit, fit.eta_matrix[:, :R], found.eta[..., :R])


def _of_mean(x: Array) -> float:
    from scipy import stats

    return float(stats.ttest_1samp(x, 0.0).pvalue)


def _p(x: Array, test: object) -> float:
    """p of a test of what is finite; NaN where it cannot be computed."""
    known = x[np.isfinite(x)]
    if len(known) < 3 or not np.ptp(known) > 0 or not callable(test):
        return math.nan
    return float(test(known))


def _merged(draws: Array, test: object) -> float:
    return _twice_the_median([_p(one, test) for one in draws])


def _twice_the_median(p: Sequence[float]) -> float:
    known = [one for one in p if math.isfinite(one)]
    return min(1.0, 2.0 * float(np.median(known))) if known else math.nan


def _mean_over(draws: Array, statistic: object, **options: int) -> float:
    """Mean over draws of a statistic over subjects."""
    known = draws[:, np.isfinite(draws).all(axis=0)]
    if known.shape[1] < 3 or not callable(statistic):
        return math.nan
    return float(np.mean(statistic(known, axis=1, **options)))


def _correlation(a: Array, b: Array) -> float:
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or not np.ptp(a[known]) > 0 or not np.ptp(b[known]) > 0:
        return math.nan
    return float(np.corrcoef(a[known], b[known])[0, 1])


def _of_correlation(r: float, model: float, n: int) -> float:
    """p of a correlation of n pairs beside the model's, by Fisher's z."""
    from scipy.special import ndtr

    if n < 4 or not math.isfinite(r) or not abs(model) < 1.0:
        return math.nan
    z = (math.atanh(max(min(r, 1 - 1e-12), -1 + 1e-12)) - math.atanh(model)) * math.sqrt(n - 3)
    return float(2.0 * ndtr(-abs(z)))
