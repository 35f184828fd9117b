"""Stepwise covariate search by likelihood: effects come in one after the other, then leave if they are not needed.

Every candidate of a step is fitted (Jonsson & Karlsson 1998, Pharm Res 15:1463), from the estimates that the linearised
likelihood predicts (see `linearised`), in the order of what it predicts. A model is fitted once: what a later step
meets again, or a search that is taken up again, is not fitted again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench import checks, engine
from workbench.data import GroupedData
from workbench.engine.problem.compile import check_types
from workbench.errors import FitError
from workbench.markup import Shown
from workbench.methods import Ability, Options, method_of
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.screening.linearised import not_tried
from workbench.screening.scope import Candidate, RefusedEffect, Scope, candidates
from workbench.screening.search import (
    Ask,
    Criterion,
    Effects,
    Fitted,
    Rule,
    Search,
    StepProgress,
    Trial,
    check_method,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Stepwise(Shown):
    """A search and where it ended.

    Attributes
    ----------
    base, fit : FitResult
        Of the model to begin with, and of the last one, with standard errors.
    effects : tuple of Candidate
        Of the scope that the last model has, in the order in which they came.
    trials : tuple of Trial
    refused : tuple of RefusedEffect
        Effects of the scope that were not tried, with the reason.
    stopped : bool
        Whether the callback stopped it; it is taken up again by `stepwise(…, resume=…)`.
    forward, backward : float
    criterion : str
    seconds : float
    """

    base: FitResult
    fit: FitResult
    effects: tuple[Candidate, ...]
    trials: tuple[Trial, ...]
    refused: tuple[RefusedEffect, ...]
    stopped: bool
    forward: float
    backward: float
    criterion: Criterion
    seconds: float
    _done: dict[Effects, Fitted] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """The last model, at its estimates."""
        return self.fit.model

    @property
    def log(self) -> pd.DataFrame:
        """One row per fit: step, direction, effect, predicted, delta_ofv, df, p, kept, ofv, …; see `Trial`.

        `estimates` holds a dictionary.
        """
        import pandas as pd

        columns = [name for name in Trial.__dataclass_fields__ if name != "model"]
        rows = [{name: getattr(trial, name) for name in columns} for trial in self.trials]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.assign(estimates=pd.Series([dict(t.estimates) for t in self.trials], dtype=object))

    @property
    def steps(self) -> pd.DataFrame:
        """One row per step that changed the model: the effect that came in or left."""
        log = self.log
        came = (log["direction"] == "forward") & log["kept"]
        left = (log["direction"] == "backward") & ~log["kept"]
        columns = ["step", "direction", "parameter", "covariate", "shape", "predicted", "delta_ofv", "df", "p", "ofv"]
        return log.loc[came | left, columns].reset_index(drop=True)

    @property
    def failures(self) -> pd.DataFrame:
        """Effects that could not be tried or whose fit did not end at a minimum: step, direction, effect, reason."""
        import pandas as pd

        rows: list[tuple[object, ...]] = [(0, "", *refusal) for refusal in self.refused]
        rows += [(t.step, t.direction, t.parameter, t.covariate, t.shape, t.message) for t in self.trials if not t.ok]
        return pd.DataFrame(rows, columns=["step", "direction", "parameter", "covariate", "shape", "reason"])

    def _head(self) -> str:
        rule = (
            f"p < {self.forward:g} in, p < {self.backward:g} stays"
            if self.criterion == "lrt"
            else self.criterion.upper()
        )
        fits = sum(trial.seconds > 0 for trial in self.trials)
        stopped = " It was stopped." if self.stopped else ""
        return f"Stepwise search ({rule}): {fits} fits in {self.seconds:.1f} s.{stopped}"

    def _end(self) -> str:
        effects = ", ".join(map(str, self.effects)) or "no covariate effect"
        return f"OFV {self.base.ofv:.2f} → {self.fit.ofv:.2f} with {effects}. {self.fit.status.value}"

    def _notes(self) -> list[str]:
        failed = [f"No minimum for {t.candidate}: {t.message}" for t in self.trials if not t.ok]
        tried = {t.covariate for t in self.trials}
        alike = [
            finding.message
            for finding in self.base.data.findings
            if finding.name == "covariates alike" and finding.where in tried
            if (tried - {finding.where}) & set(finding.message.split())
        ]
        return [*dict.fromkeys(failed), *alike, *not_tried(self.refused)]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What there is to say beside the tables: how it was done, where it ended, and what could not be tried."""
        return (self._head(), self._end(), *self._notes())

    def _shown(self) -> list[str | pd.DataFrame]:
        table = self.steps if len(self.steps) else "No effect came in."
        return [self._head(), table, self._end(), *self._notes()]


def stepwise(
    model: Model,
    data: GroupedData,
    scope: Scope | None = None,
    *,
    method: str | Options = "focei",
    forward: float = 0.05,
    backward: float = 0.01,
    criterion: Criterion = "lrt",
    callback: Callable[[StepProgress], object] | None = None,
    jobs: int | None = None,
    top: int | None = None,
    starts: int = 5,
    seed: int = 1,
    covariance: bool = True,
    resume: Stepwise | None = None,
) -> Stepwise:
    """Search for the covariate effects that a model needs.

    Forward, every effect of the scope is tried on top of those found so far, and the best one stays, until none is
    good enough; backward, every effect of the scope that the model has is taken away in turn, and the least needed one
    leaves, until all are needed. Of a covariate, a parameter has one shape at most.

    A covariate may explain the whole of a random effect: its variance goes to 0, and the status says "boundary", which
    is a minimum. Every fit starts with it away from 0, so that it can come back where the covariate leaves. The tests
    are of coefficients alone, which lie at no bound.

    Parameters
    ----------
    model : Model
        To begin with. Effects that it has, and that the scope names, may leave.
    data : GroupedData
    scope : dict of str to list of str or (str, str), optional
        By parameter, covariates or pairs of a covariate and its shape (those of `Model.with_covariate`). None: all
        covariates that vary, on all parameters with a random effect, in their usual shape.
    method : str or options of a method
        As in `fit`, but for one that leaves covariates out, or has no likelihood.
    forward, backward : float
        p below which an effect comes in, and below which it stays. `backward` = 1 leaves out the way back.
    criterion : {"lrt", "aic", "bic"}
        Likelihood-ratio tests on as many degrees of freedom as there are coefficients, or a lower AIC or BIC.
    callback : callable, optional
        Called with a `StepProgress` after each fit and now and then during fits, maybe from another thread; stops the
        search by returning something true, and what is done is kept.
    jobs : int, optional
        Fits side by side (-1: one for each core), as in `bootstrap`. None: on the cluster, see `workbench.cluster`, or
        as a surrounding `joblib.parallel_config` says; else one after the other.
    top : int, optional
        Fit only so many candidates of each step, those with the lowest predicted p. None: all.
    starts : int
        Starting points of a candidate whose fit failed from the predicted and from the last estimates.
    seed : int
        Of these points.
    covariance : bool
        Standard errors of the last model.
    resume : Stepwise, optional
        An earlier search of this model and these data by this method, maybe stopped: its fits are not done again.

    Returns
    -------
    Stepwise

    Raises
    ------
    ModelError
        If the scope names what is not there.
    FitError
        If an argument is not allowed, `resume` is another search, or the base model does not end at a minimum.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> found = wb.stepwise(model, data, {"V": ["WT"]}, forward=0.2, backward=1, covariance=False)
    >>> len(found.steps)
    1
    """
    begun = time.perf_counter()
    check_types(model, data)
    check_method(method, Ability.COVARIATES, Ability.TEST)
    rule = Rule(criterion, forward, backward, top, starts, seed)
    if resume is not None:
        _check_same(resume, model, data, method)
    tried, refused = candidates(model, data, scope)
    search = Search(model, data, method, rule, checks.jobs(jobs), Ask(callback), tried)
    effects = search.run(dict(resume._done) if resume is not None else {})
    last, stopped = search.done[frozenset(effects)], search.ask.stopped
    fit = last.result
    if fit is None or (covariance and not stopped):
        fit = engine.fit(last.model, data, method, covariance=covariance and not stopped)
    return Stepwise(
        base=search.result_of(search.begun_with),
        fit=fit,
        effects=tuple(effects),
        trials=tuple(search.trials),
        refused=(*refused, *search.refused),
        stopped=stopped,
        forward=rule.forward,
        backward=rule.backward,
        criterion=rule.criterion,
        seconds=time.perf_counter() - begun,
        _done=search.done,
    )


def _check_same(resume: Stepwise, model: Model, data: GroupedData, method: str | Options) -> None:
    if not isinstance(resume, Stepwise):
        raise FitError(f"resume= is what wb.stepwise(…) gave, got {type(resume).__name__}.")
    base = resume.base
    name = method_of(method).name
    what = ""
    if base.data.hash != data.hash:
        what = "of other data"
    elif base.method != name or (isinstance(method, Options) and base.options != method):
        what = f"by {base.method!r}, not {name!r}"
    elif base.given.without_values().with_centred(data) != model.without_values().with_centred(data):
        what = "from another model"
    if what:
        raise FitError(f"The search to resume is {what}: its fits cannot be used here.")
