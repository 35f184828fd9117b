"""The full covariate model: all effects at once, judged by their intervals instead of selected by tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import engine
from workbench.data import GroupedData
from workbench.engine.problem.compile import check_types
from workbench.errors import FitError
from workbench.inference import likelihood_ratio_test
from workbench.markup import Shown
from workbench.methods import Ability, Options
from workbench.model import Model
from workbench.results.fit import FitResult, Progress
from workbench.results.tables import Estimate
from workbench.screening.forest import forest
from workbench.screening.linearised import Linearisation, not_tried
from workbench.screening.scope import Candidate, RefusedEffect, Scope, candidates, follows
from workbench.screening.search import check_method, startable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class FullCovariateModel(Shown):
    """A model with all effects of a scope.

    Attributes
    ----------
    base, fit : FitResult
        Without these effects and with them.
    effects : tuple of Candidate
    refused : tuple of RefusedEffect
        Effects of the scope that are left out, with the reason.
    """

    base: FitResult
    fit: FitResult
    effects: tuple[Candidate, ...]
    refused: tuple[RefusedEffect, ...]

    @property
    def model(self) -> Model:
        """With all effects, at the estimates."""
        return self.fit.model

    @property
    def table(self) -> pd.DataFrame:
        """Wald tests, one row per effect: parameter, covariate, shape, coefficient, se, chi2, df, p.

        χ² = bᵀ C⁻¹ b of the coefficients b of the effect with their covariance C; coefficient and se are tuples where
        there are several. NaN where there is no covariance.
        """
        import pandas as pd
        from scipy.stats import chi2

        rows = []
        for effect in self.effects:
            own = _coefficients(self.fit, effect)
            value = self._wald(own)
            several = len(own) > 1
            rows.append(
                {
                    "parameter": effect.parameter,
                    "covariate": effect.covariate,
                    "shape": effect.shape,
                    "coefficient": tuple(e.value for e in own) if several else own[0].value,
                    "se": tuple(e.se for e in own) if several else own[0].se,
                    "chi2": value,
                    "df": len(own),
                    "p": float(chi2.sf(value, len(own))) if math.isfinite(value) else math.nan,
                }
            )
        return pd.DataFrame(rows, columns=["parameter", "covariate", "shape", "coefficient", "se", "chi2", "df", "p"])

    def _wald(self, own: list[Estimate]) -> float:
        if self.fit.covariance is None:
            return math.nan
        free = [e.name for e in self.fit.lines if not e.fixed]
        at = [free.index(e.name) for e in own]
        b, C = np.array([e.value for e in own]), self.fit.covariance[np.ix_(at, at)]
        return float(b @ np.linalg.solve(C, b)) if np.isfinite(C).all() else math.nan

    def forest(
        self, reference: Mapping[str, Any] | None = None, band: tuple[float, float] = (0.8, 1.25)
    ) -> pd.DataFrame:
        """Ratios of the typical parameters to those of a reference subject; see `workbench.screening.forest`."""
        return forest(self.fit, reference, band)

    def _lines(self) -> list[str]:
        try:
            test = f" {likelihood_ratio_test(self.base, self.fit)!r}."
        except FitError as error:
            test = f" No test of all effects together: {error}"
        reason = [f"Standard errors: {self.fit.se_reason}"] if self.fit.se_reason else []
        return [
            f"OFV {self.base.ofv:.2f} → {self.fit.ofv:.2f}.{test}",
            f"{self.fit.status.value} {self.fit.message}".strip(),
            *reason,
            *not_tried(self.refused),
        ]

    def _shown(self) -> list[str | pd.DataFrame]:
        return [f"Full covariate model: {len(self.effects)} effects", self.table, *self._lines()]


def _coefficients(fit: FitResult, effect: Candidate) -> list[Estimate]:
    stems = [f"{effect.parameter}:{e.term}" for e in effect.effects(fit.model)]
    return [e for e in fit.lines if any(e.name == stem or e.name.startswith(f"{stem}[") for stem in stems)]


def full_covariate_model(
    model: Model,
    data: GroupedData,
    scope: Scope | None = None,
    *,
    method: str | Options = "focei",
    callback: Callable[[Progress], object] | None = None,
    starts: int = 1,
) -> FullCovariateModel:
    """Fit a model with all effects of a scope at once (Gastonguay 2004, AAPS J 6:W4354).

    Parameters
    ----------
    model : Model
        Without these effects; an effect that it has already stays as it is.
    data : GroupedData
    scope : dict of str to list of str or (str, str), optional
        As in `stepwise`. Of a covariate with several shapes on a parameter, the first is taken.
    method : str or options of a method
        As in `fit`, but for one that leaves covariates out.
    callback : callable, optional
        As in `fit`.
    starts : int
        As in `fit`, of the full model.

    Returns
    -------
    FullCovariateModel

    Raises
    ------
    ModelError
        If the scope names what is not there.
    FitError
        If no effect of the scope can be estimated, or the objective cannot be computed.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> full = wb.full_covariate_model(model, data, {"V": ["WT"], "CL": ["WT"]})
    >>> len(full.table)
    2
    """
    check_types(model, data)
    check_method(method, Ability.COVARIATES)
    tried, found_out = candidates(model, data, scope)
    refused, effects, larger = list(found_out), list[Candidate](), model.with_centred(data)
    for candidate in tried:
        if candidate.effects(larger):
            if candidate.place in [e.place for e in effects]:
                reason = f"another shape of {candidate.covariate} on {candidate.parameter} is in the model"
                refused.append(RefusedEffect(candidate.parameter, candidate.covariate, candidate.shape, reason))
            continue
        with_it = candidate.added_to(larger).with_centred(data)
        if follows(candidate, with_it, data):
            reason = f"it follows from the other effects on {candidate.parameter}"
            refused.append(RefusedEffect(candidate.parameter, candidate.covariate, candidate.shape, reason))
            continue
        larger = with_it
        effects.append(candidate)
    if not effects:
        raise FitError("No effect of the scope can be estimated. " + " ".join(not_tried(tuple(refused))))
    base = engine.fit(model, data, method, callback=callback, covariance=False)
    begin = larger
    if base.converged:
        begin = base.model
        for effect in effects:
            begin = effect.added_to(begin).with_centred(data)
        begin = startable(Linearisation(base).refitted(begin)[0], base.model)
    fit = engine.fit(begin, data, method, callback=callback, starts=starts)
    return FullCovariateModel(base, fit, tuple(effects), tuple(refused))
