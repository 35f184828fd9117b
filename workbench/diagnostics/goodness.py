"""Goodness of fit: observations beside predictions, and residuals over what they should not depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.diagnostics.npde import NormalityTests, normality
from workbench.errors import FitError
from workbench.markup.numbers import decimals, p_value
from workbench.markup.shown import Shown
from workbench.methods import Subjects, method_of
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_OUTSIDE = 1.96
_GROUPS, _LEAST = 5, 5


@dataclass(frozen=True, eq=False, repr=False)
class Goodness(Shown):
    """Goodness of fit.

    Attributes
    ----------
    fit : FitResult
    residual : str
        The residual that is judged: "CWRES", or "IWRES" where there is no population.
    """

    fit: FitResult
    residual: str

    @cached_property
    def table(self) -> pd.DataFrame:
        """That of the fit."""
        return self.fit.table()

    @cached_property
    def tests(self) -> NormalityTests:
        """Of the residual."""
        return normality(self.table[self.residual].to_numpy())

    @cached_property
    def trends(self) -> pd.DataFrame:
        """Whether the residual depends on time, time after dose or prediction, |IWRES| on the individual prediction.

        By Kruskal and Wallis's test over five groups along it, which sees bends as well as slopes: statistic and p.
        """
        import pandas as pd

        pairs = [(self.residual, name) for name in ("TIME", "TAD", "PRED") if name in self.table] + [
            ("|IWRES|", "IPRED")
        ]
        rows = []
        for residual, over in pairs:
            known = self.table[[over, residual.strip("|")]].dropna().to_numpy(dtype=float)
            found = _trend(known[:, 0], np.abs(known[:, 1]) if residual == "|IWRES|" else known[:, 1])
            if found is not None:
                rows.append((residual, over, *found))
        return pd.DataFrame(rows, columns=["residual", "over", "H", "p"])

    @property
    def sentence(self) -> str:
        """What residuals say."""
        t = self.tests
        x = self.table[self.residual].to_numpy()
        x = x[np.isfinite(x)]
        if not len(x):
            return f"No {self.residual} could be computed."
        out = float(np.mean(np.abs(x) > _OUTSIDE))
        trends = self.trends[self.trends["p"] < 0.05 / max(len(self.trends), 1)]
        seen = trends.loc[trends["residual"] == self.residual, "over"].tolist()
        trend = f"They depend on {', '.join(seen)}: look at the structure." if seen else "No trend."
        if (trends["residual"] == "|IWRES|").any():
            trend += " The size of IWRES depends on the prediction: look at the residual error."
        return (
            f"{self.residual} of {t.n} observations: mean {decimals(t.mean, 2)} (p {p_value(t.p_mean)}), variance "
            f"{decimals(t.variance, 2)}, {100 * out:.1f} % beyond ±{_OUTSIDE}. {trend}"
        )

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, self.trends]

    def plot(self) -> Figure:
        """Six panels: observed over both predictions, residuals over time and prediction, quantiles, histogram."""
        from workbench.diagnostics.plots import goodness_figure

        return goodness_figure(self.table, self.residual, self.fit.data.units)


def _trend(x: Array, errors: Array) -> tuple[float, float] | None:
    """Statistic and p of groups along x; None where there are too few values."""
    from scipy import stats

    if len(x) < 2 * _LEAST:
        return None
    cuts = np.unique(np.quantile(x, np.linspace(0, 1, _GROUPS + 1)[1:-1]))
    of = np.searchsorted(cuts, x, side="left")
    groups = [errors[of == g] for g in np.unique(of)]
    if len(groups) < 2 or min(map(len, groups)) < _LEAST or not np.ptp(errors) > 0:
        return None
    found = stats.kruskal(*groups)
    return float(found.statistic), float(found.pvalue)


def gof(fit: FitResult) -> Goodness:
    """Goodness of fit: tables, tests, trends and the six usual panels.

    Parameters
    ----------
    fit : FitResult

    Returns
    -------
    Goodness
        With `table`, `tests`, `trends`, `plot()`.

    Raises
    ------
    FitError
        If it is no fit.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> wb.gof(fit).tests.n
    132
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"wb.gof takes a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    alone = method_of(fit.method).subjects is Subjects.ALONE
    return Goodness(fit, "IWRES" if alone else "CWRES")
