"""The bootstrap: a model refitted to subjects drawn anew, or to observations simulated from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.checks import one_of, whole
from workbench.data import GroupedData
from workbench.engine.ending.uncertainty import edges
from workbench.engine.ending.verdict import runaway
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.predict import draw
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import MEASURED
from workbench.engine.search.optimise import minimise
from workbench.errors import FitError
from workbench.inference.target import check_method
from workbench.markup import Shown
from workbench.methods import Ability, method_of
from workbench.model import Model
from workbench.parallel import Callback, Work, each
from workbench.results.fit import FitResult, Status

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Kind = Literal["subjects", "parametric"]

_GOOD = (Status.converged.name, Status.boundary.name)
_FAR = 5.0  # of an x from the estimates, mostly a logarithm: nearer than that nothing has run away


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Shown):
    """Estimates from resampled subjects, or from simulated observations.

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
    messages : tuple of str
        What there is to say of a replicate: why it failed, or what is at an edge.
    title : str
        What was drawn.
    """

    names: tuple[str, ...]
    estimates: Array
    values: Array
    ofv: Array
    status: tuple[str, ...]
    asked: int
    messages: tuple[str, ...]
    title: str = "Bootstrap of subjects"

    @property
    def failures(self) -> dict[str, int]:
        """How many replicates did not end at a minimum, by how they ended; an edge is a minimum."""
        return dict(Counter(name for name in self.status if name not in _GOOD))

    @property
    def table(self) -> pd.DataFrame:
        """One row per replicate: the estimates, ofv, status, message."""
        import pandas as pd

        frame = pd.DataFrame(self.values, columns=list(self.names))
        frame = frame.assign(ofv=self.ofv, status=list(self.status), message=list(self.messages))
        return frame.rename_axis("replicate")

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
        return f"{self.title}: {len(self.status)}{stopped} replicates" + (f" ({failed})" if failed else "")

    @property
    def _has_summary(self) -> bool:
        return sum(name in _GOOD for name in self.status) > 1

    def _shown(self) -> list[str | pd.DataFrame]:
        if not self._has_summary:
            return [f"{self._head()}: too few for a summary; `table` has what there is."]
        return [self._head(), self.summary]


class _Resampled(Objective):
    """The objective with every subject counted as often as it was drawn.

    Attributes
    ----------
    weights : float64[N]
    """

    weights: Array

    def count(self, weights: Array) -> None:
        """Count every subject so often from now on."""
        self.weights = weights
        self.only(np.flatnonzero(weights > 0))

    def evaluate(self, x: Array, start: Array | None = None) -> Evaluation:
        """Compute objective and gradient at x."""
        at = super().evaluate(x, start)
        scores, by_subject = at.scores * self.weights[:, None], at.by_subject * self.weights
        total = float(by_subject.sum()) if np.isfinite(at.ofv) else at.ofv
        return replace(at, ofv=total, gradient=scores.sum(axis=0), by_subject=by_subject, scores=scores)


class _Replicate(NamedTuple):
    estimates: Array
    ofv: float
    status: str
    message: str


def _refitted(target: Objective, problem: Problem) -> _Replicate:
    """Where a search from the estimates ends; it is given up once an estimate runs away."""
    free = ~problem.scale.fixed
    lost = ""

    def watch(_: int, at: Evaluation) -> bool:
        nonlocal lost
        lost = runaway(problem, at) if np.abs(at.x - problem.x).max(initial=0.0) > _FAR else ""
        return bool(lost)

    try:
        end = minimise(target, problem.x, watch)
    except FitError as error:
        return _Replicate(np.full(int(free.sum()), np.nan), np.nan, "not computable", str(error))
    at, status, message = end.evaluation, end.status, ""
    if lost:
        status, message = Status.diverged, lost
    elif status.ok:
        message = " ".join(edge.sentence for edge in edges(problem, at))
        status = Status.boundary if message else status
    else:
        message = status.value
    return _Replicate(problem.scale.estimates(at.x)[free], at.ofv, status.name, message)


@dataclass(frozen=True, eq=False)
class _Resampling:
    """Refits to subjects that are drawn with replacement, within their strata."""

    model: Model
    data: GroupedData
    method: str
    seed: int
    strata: tuple[Index, ...]

    def __call__(self) -> Work:
        problem = compile(self.model, self.data)
        target = _Resampled(problem, method_of(self.method).approximation)
        target.count(np.ones(problem.n_subjects))
        centre = target.evaluate(problem.x)
        unbounded = _unbounded(problem, centre)

        def replicate(number: int) -> _Replicate:
            target.count(self.drawn(number))
            without_end = unbounded(target.weights)
            if without_end:
                free = int((~problem.scale.fixed).sum())
                return _Replicate(np.full(free, np.nan), np.nan, Status.diverged.name, without_end)
            target.accept(centre)
            return _refitted(target, problem)

        return replicate

    def drawn(self, number: int) -> Array:
        """How often each subject is in a replicate, float64[N]."""
        rng = np.random.default_rng([self.seed, number])
        weights = np.zeros(sum(map(len, self.strata)))
        for members in self.strata:
            np.add.at(weights, members[rng.integers(0, len(members), len(members))], 1.0)
        return weights


@dataclass(frozen=True, eq=False)
class _Simulation:
    """Refits to observations that are simulated from the model."""

    model: Model
    data: GroupedData
    method: str
    seed: int

    def __call__(self) -> Work:
        problem = compile(self.model, self.data)
        point, seen = problem.scale.point(problem.x), problem.observations
        owner = np.repeat(np.arange(problem.n_subjects), np.diff(seen.first))
        take_log = np.array([error.takes_logarithm for error in self.model.errors])[seen.response]

        def replicate(number: int) -> _Replicate:
            _, y = draw(problem, point, np.random.default_rng([self.seed, number]))
            logs = np.bincount(owner, np.where(take_log, y, 0.0), minlength=problem.n_subjects)
            simulated = replace(problem, observations=replace(seen, y=y, jacobian=2.0 * logs.astype(float)))
            return _refitted(Objective(simulated, method_of(self.method).approximation), simulated)

        return replicate


def _unbounded(problem: Problem, at: Evaluation) -> Callable[[Array], str]:
    """A sentence on draws whose likelihood has no maximum, by the weights of the subjects; "" for others.

    Where every prediction of 0 meets an observation of 0, and a proportional part explains the others, the likelihood
    grows without end as the constant part goes to 0.
    """
    scale, seen = problem.scale, problem.observations
    f = problem.analysed(problem.predictions(at.point, at.eta))
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(seen.first))
    nothing = (f == 0) & (seen.what == MEASURED) & ~seen.logarithmic[seen.response]
    entries = []
    for entry in scale.errors:
        if entry.free and problem.errors[entry.response].vanishes(without=entry.name):
            mine = nothing & (seen.response == entry.response)
            entries.append((entry.label, np.unique(owner[mine]), np.unique(owner[mine & (seen.y != 0)])))

    def sentence(weights: Array) -> str:
        for label, subjects, others in entries:
            if weights[subjects].any() and not weights[others].any():
                return (
                    f"All drawn subjects have an observation of 0 where the prediction is 0: the likelihood is "
                    f"infinite as {label} goes to 0."
                )
        return ""

    return sentence


def bootstrap(
    fit: FitResult,
    replicates: int = 200,
    *,
    kind: Kind = "subjects",
    stratify: str | None = None,
    seed: int = 1,
    jobs: int | None = None,
    callback: Callback | None = None,
) -> Bootstrap:
    """Refit a model to data sets drawn anew.

    Subjects are drawn, with replacement, from those of the fit: one that is drawn twice counts twice in the objective,
    so nothing is copied. By the parametric bootstrap all subjects, doses and times stay, and the observations are
    simulated from the fitted model, which is taken to be right. Each fit starts at the estimates. Medians on which
    covariates are centred stay those of the fit.

    Parameters
    ----------
    fit : FitResult
        By a method whose objective is that of an approximation with modes (`Ability.BOOTSTRAP`).
    replicates : int
    kind : {"subjects", "parametric"}
    stratify : str, optional
        A column that is constant within subjects, such as "SEX": as many subjects as there are of each of its values
        are drawn from these.
    seed : int
        Equal seeds draw the same.
    jobs : int, optional
        Replicates at the same time, -1 for as many as there are cores: in processes or threads beside this one, as the
        first replicates tell; little work stays here. Processes are kept for the next call. None: on the cluster, see
        `workbench.cluster`, or as a surrounding `joblib.parallel_config` says; else one. The results are the same bits.
    callback : callable, optional
        Called with (done, replicates); stops by returning something true, and what is done is kept.

    Returns
    -------
    Bootstrap

    Raises
    ------
    FitError
        If hardly anything can be drawn (one subject, or one in most strata), observations are censored and should be
        simulated, or the method is another one.
    DataError
        If there is no such column, or a subject has no value in it.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> found = wb.bootstrap(fit, replicates=5, seed=1)
    >>> len(found.table)
    5
    """
    check_method(fit, "The bootstrap", Ability.BOOTSTRAP)
    replicates, seed = whole("replicates", replicates, 1, FitError), whole("seed", seed, 0, FitError)
    one_of("kind", kind, get_args(Kind), FitError)
    problem = compile(fit.model, fit.data)
    prepare: _Resampling | _Simulation
    if kind == "parametric":
        if stratify is not None:
            raise FitError(f"stratify={stratify!r} is for drawn subjects; the parametric bootstrap draws none.")
        if (problem.observations.what != MEASURED).any():
            raise FitError(
                "The parametric bootstrap cannot simulate these observations: below which limit a measured one would "
                "have been censored is not known. Draw subjects: kind='subjects'."
            )
        prepare, title = _Simulation(fit.model, fit.data, fit.method, seed), "Parametric bootstrap"
    else:
        strata = _strata(fit.data, stratify)
        prepare = _Resampling(fit.model, fit.data, fit.method, seed, strata)
        title = "Bootstrap of subjects" + (f" within {stratify}" if stratify is not None else "")
    done: list[_Replicate] = each(prepare, range(1, replicates + 1), jobs, callback)
    free = ~problem.scale.fixed
    names = tuple(name.label for name, is_free in zip(problem.scale.quantities, free, strict=True) if is_free)
    return Bootstrap(
        names=names,
        estimates=problem.scale.estimates(problem.x)[free],
        values=np.array([one.estimates for one in done]).reshape(-1, len(names)),
        ofv=np.array([one.ofv for one in done]),
        status=tuple(one.status for one in done),
        asked=replicates,
        messages=tuple(one.message for one in done),
        title=title,
    )


def _strata(data: GroupedData, column: str | None) -> tuple[Index, ...]:
    """Subjects by stratum, in order of the column's values."""
    events = data.events
    N = len(events.subjects)
    if N < 2:
        raise FitError("There is one subject only: nothing can be drawn.")
    if column is None:
        return (np.arange(N),)
    values = data.covariate_values((column,))[column].to_numpy()
    _, codes = np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)
    first = codes[events.start[:-1]]
    varying = np.unique(events.subject[codes != first[events.subject]])
    if len(varying):
        raise FitError(
            f"stratify={column!r}: it changes within subject {events.subjects[varying[0]]}"
            f"{f' and {len(varying) - 1} more' if len(varying) > 1 else ''}; a subject belongs to one stratum only."
        )
    strata = tuple(np.flatnonzero(first == code) for code in np.unique(first))
    alone = sum(len(members) == 1 for members in strata)
    if 2 * alone > N:
        raise FitError(
            f"stratify={column!r}: {alone} of {N} subjects have a value of its own, so that they would be in every "
            "replicate; a column with few values is needed, such as one of age groups."
        )
    return strata
