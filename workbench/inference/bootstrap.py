"""The nonparametric bootstrap over subjects."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.engine.objective import Evaluation, Objective
from workbench.engine.optimise import minimise
from workbench.engine.problem import compile
from workbench.engine.uncertainty import edges
from workbench.errors import FitError
from workbench.results import FitResult, Status

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_GOOD = (Status.converged.name, Status.boundary.name)
_METHODS = ("fo", "foce", "focei", "laplace")


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates from resampled subjects.

    Attributes
    ----------
    names : tuple of str
        Estimates that are not fixed.
    estimates : float64[k]
        Of the fit.
    values : float64[replicates, k]
        NaN where a replicate could not be computed.
    ofv : float64[replicates]
    status : tuple of str
    asked : int
        How many replicates were asked for; fewer are there if it was stopped.
    """

    names: tuple[str, ...]
    estimates: Array
    values: Array
    ofv: Array
    status: tuple[str, ...]
    asked: int

    @property
    def failures(self) -> dict[str, int]:
        """How many replicates did not end at a minimum, by how they ended; an edge is a minimum."""
        return dict(Counter(name for name in self.status if name not in _GOOD))

    @property
    def table(self) -> pd.DataFrame:
        """One row per replicate: the estimates, ofv, status."""
        import pandas as pd

        frame = pd.DataFrame(self.values, columns=list(self.names))
        return frame.assign(ofv=self.ofv, status=list(self.status)).rename_axis("replicate")

    @cached_property
    def summary(self) -> pd.DataFrame:
        """By estimate: estimate, mean, bias (per cent), se, and the 2.5, 50 and 97.5 % points.

        Of the replicates that ended at a minimum, edges (a variance at 0, say) included; `failures` counts the others.
        """
        import pandas as pd

        good = self.values[[name in _GOOD for name in self.status]]
        if len(good) < 2:
            raise FitError(f"Only {len(good)} of {len(self.status)} replicates ended at a minimum: {self.failures}.")
        mean = good.mean(axis=0)
        low, median, high = np.percentile(good, [2.5, 50, 97.5], axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            bias = 100 * (mean / self.estimates - 1)
        columns = {
            "estimate": self.estimates, "mean": mean, "bias": bias, "se": good.std(axis=0, ddof=1),
            "lower": low, "median": median, "upper": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=list(self.names))

    def _head(self) -> str:
        failed = ", ".join(f"{count} {name}" for name, count in self.failures.items())
        stopped = f" of {self.asked}" if len(self.status) < self.asked else ""
        return f"Bootstrap of subjects: {len(self.status)}{stopped} replicates" + (f" ({failed})" if failed else "")

    @property
    def _has_summary(self) -> bool:
        return sum(name in _GOOD for name in self.status) > 1

    def __repr__(self) -> str:
        if not self._has_summary:
            return f"{self._head()}: too few for a summary; `table` has what there is."
        return f"{self._head()}\n{self.summary.to_string(float_format=lambda value: f'{value:.4g}')}"

    def _repr_html_(self) -> str:
        if not self._has_summary:
            return f"<p>{html.escape(repr(self))}</p>"
        table: str = self.summary.to_html(escape=True, float_format=lambda value: f"{value:.4g}", border=0)
        return f"<b>{self._head()}</b>{table}"


class _Resampled(Objective):
    """The objective with every subject counted as often as it was drawn.

    Attributes
    ----------
    weights : float64[N]
    """

    weights: Array

    def evaluate(self, x: Array, start: Array | None = None) -> Evaluation:
        """Compute objective and gradient at x."""
        at = super().evaluate(x, start)
        drawn = self.weights > 0
        scores = np.where(drawn[:, None], at.scores, 0.0) * self.weights[:, None]
        by_subject = np.where(drawn, at.by_subject, 0.0) * self.weights
        total = float(by_subject.sum()) if np.isfinite(at.ofv) else at.ofv
        return replace(at, ofv=total, gradient=scores.sum(axis=0), by_subject=by_subject, scores=scores)


def bootstrap(
    fit: FitResult,
    replicates: int = 200,
    *,
    seed: int = 1,
    callback: Callable[[int, int], object] | None = None,
) -> Bootstrap:
    """Refit a model to data sets whose subjects are drawn, with replacement, from those of the fit.

    A subject that is drawn twice counts twice in the objective, so nothing is copied; each fit starts at the estimates.
    Medians on which covariates are centred stay those of the fit.

    Parameters
    ----------
    fit : FitResult
        By "fo", "foce", "focei" or "laplace".
    replicates : int
    seed : int
        Equal seeds draw the same subjects.
    callback : callable, optional
        Called with (done, replicates); stops by returning something true, and what is done is kept.

    Returns
    -------
    Bootstrap

    Raises
    ------
    FitError
        If there are less than two subjects, or the method is another one.
    """
    if fit.method not in _METHODS:
        raise FitError(f"The bootstrap is for fits by {', '.join(_METHODS)}; this one is by {fit.method}.")
    if not isinstance(replicates, int) or isinstance(replicates, bool) or replicates < 1:
        raise FitError(f"replicates={replicates!r}; a whole number, 1 or more, is needed.")
    problem = compile(fit.model, fit.data)
    if problem.n_subjects < 2:
        raise FitError("There is one subject only: nothing can be drawn.")
    target = _Resampled(problem, fit.method)
    N, free = problem.n_subjects, ~problem.scale.fixed
    target.weights = np.ones(N)
    centre = target.evaluate(problem.x)
    values, ofv, status = [], [], []
    for done in range(1, replicates + 1):
        rng = np.random.default_rng([seed, done])
        target.weights = np.bincount(rng.integers(0, N, N), minlength=N).astype(float)
        target.accept(centre)
        try:
            end = minimise(target, problem.x)
        except FitError:
            values.append(np.full(int(free.sum()), np.nan))
            ofv.append(np.nan)
            status.append("not computable")
        else:
            values.append(problem.scale.estimates(end.evaluation.x)[free])
            ofv.append(end.evaluation.ofv)
            at_edge = end.status.ok and bool(edges(problem, end.evaluation))
            status.append((Status.boundary if at_edge else end.status).name)
        if callback is not None and callback(done, replicates):
            break
    names = tuple(name.label for name, is_free in zip(problem.scale.names, free, strict=True) if is_free)
    estimates = problem.scale.estimates(problem.x)[free]
    return Bootstrap(names, estimates, np.array(values), np.array(ofv), tuple(status), replicates)
