"""How far a covariate search can be believed: inclusion in resampled data, and the drop of the OFV by chance alone."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.checks import whole
from workbench.data import GroupedData, read_data
from workbench.engine.problem.compile import check_types
from workbench.errors import FitError, WorkbenchError
from workbench.inference import likelihood_ratio_test
from workbench.language.formula import columns_of, with_columns
from workbench.markup import Recorded, Shown, tag
from workbench.methods import USUAL, Ability
from workbench.model import Effect, Model
from workbench.parallel import Work, each
from workbench.results.fit import FitResult
from workbench.screening.linearised import Linearisation
from workbench.screening.scope import Scope, candidates
from workbench.screening.search import Rule, attempt, check_method, startable
from workbench.screening.stepwise import stepwise

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


# -- bootstrap of the search ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Inclusion(Shown):
    """In how many resampled data sets a search found each effect.

    Attributes
    ----------
    effects : tuple of (str, str)
        Parameter and covariate of what was searched.
    found : tuple of frozenset of (str, str)
        What the search ended with, by replicate.
    failures : tuple of str
        Why replicates have no result.
    asked : int
        How many replicates were asked for; fewer are there if it was stopped.
    """

    effects: tuple[tuple[str, str], ...]
    found: tuple[frozenset[tuple[str, str]], ...]
    failures: tuple[str, ...]
    asked: int

    @property
    def table(self) -> pd.DataFrame:
        """One row per effect, the most frequent first: parameter, covariate, frequency (a share), se.

        `se` is the Monte Carlo error of the share.
        """
        import pandas as pd

        n = len(self.found)
        share = [sum(effect in one for one in self.found) / n if n else math.nan for effect in self.effects]
        frame = pd.DataFrame(self.effects, columns=["parameter", "covariate"])
        frame = frame.assign(frequency=share, se=[math.sqrt(s * (1 - s) / n) if n else math.nan for s in share])
        return frame.sort_values("frequency", ascending=False, kind="stable").reset_index(drop=True)

    @property
    def models(self) -> pd.DataFrame:
        """One row per set of effects that was found, the most frequent first: effects, frequency."""
        import pandas as pd

        counts = Counter(self.found).most_common()
        rows = [(", ".join(f"{c} on {p}" for p, c in sorted(s)) or "none", k / len(self.found)) for s, k in counts]
        return pd.DataFrame(rows, columns=["effects", "frequency"])

    def _head(self) -> str:
        done = len(self.found) + len(self.failures)
        stopped = f" of {self.asked}" if done < self.asked else ""
        failed = f", {len(self.failures)} of them without a result" if self.failures else ""
        return f"Inclusion of effects in resampled data: {done}{stopped} replicates{failed}"

    def _shown(self) -> list[str | pd.DataFrame]:
        return [self._head(), self.table]


def bootstrap_inclusion(
    model: Model,
    data: GroupedData,
    scope: Scope | None = None,
    replicates: int = 100,
    *,
    seed: int = 1,
    callback: Callable[[int, int], object] | None = None,
    jobs: int | None = None,
    **options: Any,
) -> Inclusion:
    """Search for covariates in data sets whose subjects are drawn, with replacement, from the given ones.

    Parameters
    ----------
    model : Model
    data : GroupedData
    scope : dict, optional
        As in `stepwise`; covariates that cannot be tried in `data` are left out.
    replicates : int
    seed : int
        Equal seeds draw the same subjects.
    callback : callable, optional
        Called with (done, replicates); stops by returning something true, and what is done is kept.
    jobs : int, optional
        Replicates side by side; as in `stepwise`.
    **options
        Of `stepwise`: method, forward, backward, criterion, top, starts.

    Returns
    -------
    Inclusion

    Raises
    ------
    FitError, ModelError
        If an argument is not allowed.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> found = wb.bootstrap_inclusion(model, data, {"V": ["WT"]}, replicates=2, starts=1)
    >>> len(found.table)
    1
    """
    check_types(model, data)
    replicates, seed = whole("replicates", replicates, 1, FitError), whole("seed", seed, 0, FitError)
    jobs = checks.jobs(jobs)
    wrong = set(options) - {"method", "forward", "backward", "criterion", "top", "starts"}
    if wrong:
        raise FitError(f"{', '.join(sorted(wrong))}: no option of the search in resampled data.")
    N = len(data.events.subjects)
    if N < 2:
        raise FitError("There is one subject only: nothing can be drawn.")
    check_method(options.get("method", USUAL), Ability.COVARIATES, Ability.TEST)
    Rule(**{name: value for name, value in options.items() if name != "method"})
    tried, _ = candidates(model, data, scope)
    places = tuple(dict.fromkeys(c.place for c in tried))
    named: dict[str, list[str | tuple[str, str]]] = {}
    for candidate in tried:
        named.setdefault(candidate.parameter, []).append((candidate.covariate, candidate.shape))
    start = model.with_centred(data)
    if not named:
        raise FitError("No effect of the scope can be tried on these data.")
    found: list[frozenset[tuple[str, str]]] = []
    failures: list[str] = []

    searches = _Searches(start, data, named, seed, options)
    for outcome in each(searches, range(1, replicates + 1), jobs, callback):
        if isinstance(outcome, str):
            failures.append(outcome)
        else:
            found.append(outcome)
    return Inclusion(places, tuple(found), tuple(failures), replicates)


@dataclass(frozen=True, eq=False)
class _Searches:
    """Searches in resampled data, by the number of the replicate."""

    model: Model
    data: GroupedData
    scope: dict[str, list[str | tuple[str, str]]]
    seed: int
    options: dict[str, Any]

    def __call__(self) -> Work:
        N = len(self.data.events.subjects)

        def search(number: int) -> frozenset[tuple[str, str]] | str:
            drawn = drawn_subjects(self.data, np.random.default_rng([self.seed, number]).integers(0, N, N))
            try:
                found = stepwise(self.model, drawn, self.scope, covariance=False, jobs=1, **self.options)
            except WorkbenchError as error:
                return str(error)
            return frozenset(effect.place for effect in found.effects)

        return search


def drawn_subjects(data: GroupedData, drawn: NDArray[np.int64]) -> GroupedData:
    """Data of some subjects, numbered anew: one that is drawn twice is there twice."""
    events, frame = data.events, data.to_frame()
    rows = [np.unique(events.row[events.start[i] : events.start[i + 1]]) for i in drawn]
    taken = frame.iloc[np.concatenate(rows)].reset_index(drop=True)
    subject = data.roles.get("subject", "ID")
    taken[subject] = np.repeat(np.arange(1, len(drawn) + 1), [len(r) for r in rows])
    return _reread(taken, data, data.roles | {"subject": subject})


def _reread(frame: pd.DataFrame, data: GroupedData, roles: dict[str, Any]) -> GroupedData:
    new = read_data(frame, roles=roles, units=data.units)
    return new if new.covariate_rule == data.covariate_rule else new.with_covariate_rule(data.covariate_rule)


# -- randomisation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class RandomisationTest(Recorded):
    """Drops of the OFV with a covariate that was exchanged between the subjects, beside that with the true one.

    Attributes
    ----------
    covariates : tuple of str
        What was exchanged.
    observed : float
        ΔOFV with the true values.
    df : int
        Coefficients.
    delta_ofv : float64[permutations]
        NaN where a fit did not end at a minimum.
    asked : int
    """

    covariates: tuple[str, ...]
    observed: float
    df: int
    delta_ofv: Array
    asked: int

    @property
    def _known(self) -> Array:
        return self.delta_ofv[np.isfinite(self.delta_ofv)]

    @property
    def p(self) -> float:
        """Share of the drops, the observed one among them, that are at least the observed one."""
        known = self._known
        return float((1 + (known >= self.observed).sum()) / (1 + len(known)))

    @property
    def nominal_p(self) -> float:
        """p of χ²(df)."""
        from scipy.stats import chi2

        return float(chi2.sf(max(self.observed, 0.0), self.df))

    def critical(self, level: float = 0.05) -> float:
        """ΔOFV that is reached by chance in a share `level` of the permutations; NaN if there are too few of them."""
        known = self._known
        return float(np.quantile(known, 1 - level)) if level * len(known) >= 1 else math.nan

    def actual_level(self, level: float = 0.05) -> float:
        """Share of the permutations in which χ²(df) says p < `level`: the true level of that test."""
        from scipy.stats import chi2

        known = self._known
        return float((known > chi2.isf(level, self.df)).mean()) if len(known) else math.nan

    @property
    def table(self) -> pd.DataFrame:
        """One row per permutation: delta_ofv."""
        import pandas as pd

        return pd.DataFrame({"delta_ofv": self.delta_ofv}).rename_axis("permutation")

    def __repr__(self) -> str:
        from scipy.stats import chi2

        n, lost = len(self._known), len(self.delta_ofv) - len(self._known)
        stopped = f" of {self.asked}" if len(self.delta_ofv) < self.asked else ""
        without = f" ({lost} without a minimum)" if lost else ""
        head = f"{', '.join(self.covariates)} exchanged between subjects {len(self.delta_ofv)}{stopped} times{without}"
        critical = self.critical()
        limit = f"{critical:.2f}" if math.isfinite(critical) else "not known from so few"
        return (
            f"{head}: ΔOFV {self.observed:.3f} on {self.df} df has p = {self.p:.3g} (χ²: {self.nominal_p:.3g}). "
            f"Critical ΔOFV at 5 %: {limit} (χ²: {chi2.isf(0.05, self.df):.2f}); true level of the χ² test at 5 %: "
            f"{100 * self.actual_level():.1f} %"
            + (f" ± {100 * math.sqrt(self.actual_level() * (1 - self.actual_level()) / n):.1f}." if n else ".")
        )

    def _repr_html_(self) -> str:
        return tag("p", repr(self))


def randomisation_test(
    base: FitResult,
    full: FitResult,
    permutations: int = 200,
    *,
    seed: int = 1,
    callback: Callable[[int, int], object] | None = None,
    jobs: int | None = None,
    starts: int = 3,
) -> RandomisationTest:
    """Find how much the OFV falls by chance, by exchanging the covariates of the larger model between the subjects.

    What `full` has more than `base` gets the covariates of another subject, all of them from the same one; effects of
    `base` keep the true ones. A covariate that changes within subjects goes as a whole: at each time the value that the
    other subject has there (Wählby, Jonsson & Karlsson 2001, J Pharmacokinet Pharmacodyn 28:231).

    Parameters
    ----------
    base, full : FitResult
        Of the same data by the same method; `full` has covariate effects more, and nothing else.
    permutations : int
    seed : int
        Equal seeds exchange the same subjects.
    callback : callable, optional
        Called with (done, permutations); stops by returning something true, and what is done is kept.
    jobs : int, optional
        Fits side by side; as in `stepwise`.
    starts : int
        Starting points of a fit that failed.

    Returns
    -------
    RandomisationTest

    Raises
    ------
    FitError
        If the fits cannot be compared, or differ in something else.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> base, full = wb.fit(model, data), wb.fit(model.with_covariate("V", "WT"), data)
    >>> 0 < wb.randomisation_test(base, full, permutations=5, starts=1).p <= 1
    True
    """
    permutations, starts = whole("permutations", permutations, 1, FitError), whole("starts", starts, 1, FitError)
    seed = whole("seed", seed, 0, FitError)
    jobs = checks.jobs(jobs)
    test = likelihood_ratio_test(base, full)
    added = _added_effects(base.model, full.model)
    names = tuple(dict.fromkeys(c for effects in added.values() for e in effects for c in columns_of(e.term)))
    exchanges = _Exchanges(base, added, names, seed, starts)
    drops = each(exchanges, range(1, permutations + 1), jobs, callback)
    return RandomisationTest(names, test.delta_ofv, test.df, np.array(drops), permutations)


@dataclass(frozen=True, eq=False)
class _Exchanges:
    """Drops of the OFV with covariates exchanged between subjects, by the number of the permutation."""

    base: FitResult
    added: dict[str, tuple[Effect, ...]]
    names: tuple[str, ...]
    seed: int
    starts: int

    def __call__(self) -> Work:
        base, data, method = self.base, self.base.data, self.base.options or self.base.method
        linearised = Linearisation(base)

        def drop(number: int) -> float:
            order = np.random.default_rng([self.seed, number]).permutation(len(data.events.subjects))
            exchanged, copies = with_exchanged(data, self.names, order)
            larger = base.model
            for name, effects in self.added.items():
                moved = tuple(_renamed(e, copies) for e in effects)
                larger = larger.with_parameter(name, covariates=(*larger[name].covariates, *moved))
            begins = [larger]
            with contextlib.suppress(WorkbenchError):
                begins.insert(0, startable(linearised.refitted(larger, exchanged)[0], base.model))
            result, why, _ = attempt(begins, exchanged, method, base.ofv, self.starts, self.seed, None)  # type: ignore[arg-type]
            return base.ofv - result.ofv if result is not None and not why else math.nan

        return drop


def _added_effects(small: Model, large: Model) -> dict[str, tuple[Effect, ...]]:
    """By parameter, the effects that only the larger model has, their coefficients to be found."""
    added: dict[str, tuple[Effect, ...]] = {}
    for parameter in large.parameters:
        known = {(e.term, e.fractional) for e in small[parameter.name].covariates}
        more = [e for e in parameter.covariates if (e.term, e.fractional) not in known]
        if any(e.fixed for e in more):
            raise FitError(f"An effect on {parameter.name} is fixed in the larger model: there is nothing to test.")
        if more:
            added[parameter.name] = tuple(replace(e, value=None) for e in more)
    bare = large
    for name in added:
        bare = bare.with_parameter(name, covariates=small[name].covariates)
    if not added or bare.without_values() != small.without_values():
        raise FitError("The second model must be the first one with more covariate effects, and nothing else.")
    return added


def with_exchanged(
    data: GroupedData, names: tuple[str, ...], order: NDArray[np.int64]
) -> tuple[GroupedData, dict[str, str]]:
    """Data with copies of covariates in which subject i has the values of subject order[i]; the names of the copies."""
    events, frame = data.events, data.to_frame()
    source = np.empty(len(events.time), dtype=np.int64)
    for i, other in enumerate(order):
        mine, theirs = slice(*events.start[i : i + 2]), slice(*events.start[other : other + 2])
        at = np.searchsorted(events.time[theirs], events.time[mine], side="right") - 1
        source[mine] = events.start[other] + np.maximum(at, 0)
    copies = {}
    for name in names:
        copy = f"{name}_exchanged"
        while copy in frame.columns:
            copy += "_"
        column = frame[name].astype(object)
        column.iloc[events.row] = frame[name].to_numpy(dtype=object)[events.row[source]]
        frame[copy], copies[name] = column.astype(frame[name].dtype), copy
    known = tuple(data.roles.get("covariates", ())) or data.covariate_names
    return _reread(frame, data, data.roles | {"covariates": (*known, *copies.values())}), copies


def _renamed(effect: Effect, names: dict[str, str]) -> Effect:
    """The same effect of other columns."""
    return replace(effect, term=with_columns(effect.term, names))
