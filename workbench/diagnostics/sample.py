"""Observations beside many simulations of them: what npde and visual predictive checks start from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.data import GroupedData
from workbench.errors import DataError, Fault, FitError
from workbench.methods import Subjects, method_of
from workbench.parallel import Callback
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd

    from workbench.engine.problem.scale import Point
    from workbench.engine.replicates import Replicates

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Columns of a table of simulations, in lower case: what `wb.simulate` gives, and what others call it.
_SUBJECT = ("id", "subject", "subj", "usubjid")
_TIME = ("time", "t", "xsim", "idv", "tsld")
_RESPONSE = ("dv", "response", "ysim", "y", "sim", "value", "conc")
_REPLICATE = ("replicate", "rep", "sim_id", "simulation", "irep", "nsim")
_LEAST = 20  # replicates: fewer tell nothing of a distribution
_MOST = 60_000_000  # simulated values that are kept
_PARTS = 20  # of the replicates, after each of which it is said how many are done


@dataclass(frozen=True, eq=False)
class Sample:
    """n observations of N subjects and K simulations of each.

    Attributes
    ----------
    data : GroupedData
    record : int64[n]
        Records of the observations in `data.events`.
    owner : int64[n]
        Index of the subject; the observations of a subject follow one another.
    time, since_dose : float64[n]
        `since_dose` is NaN before the first dose.
    response : int64[n]
        Index into `responses`.
    responses : tuple of str
    y : float64[n]
        Observed; the limit where censored.
    below, above : bool[n]
        Censored: the value lies below, or above, `y`.
    pred : float64[n], optional
        Predictions at η = 0; None where nobody said them.
    simulated : float64[K, n]
        Uncensored.
    logarithmic : bool
        The data are logarithms.
    seed : int, optional
        That of simulations which were made from a fit; None where they were given.
    stratified : bool
        How they were drawn; see `sample_of`.
    """

    data: GroupedData
    record: Index
    owner: Index
    time: Array
    since_dose: Array
    response: Index
    responses: tuple[str, ...]
    y: Array
    below: NDArray[np.bool_]
    above: NDArray[np.bool_]
    pred: Array | None
    simulated: Array
    logarithmic: bool = False
    seed: int | None = None
    stratified: bool = False

    @property
    def replicates(self) -> int:
        """K."""
        return len(self.simulated)

    def options(self, source: object, stratified: bool) -> list[str]:
        """Arguments by which a check of a fit, or of data, makes or takes these simulations."""
        if not isinstance(source, FitResult) or self.seed is None or self.stratified != stratified:
            return ["simulations=simulations"]
        made = [f"replicates={self.replicates}"] if self.replicates != 1000 else []
        return made + ([f"seed={self.seed}"] if self.seed != 1 else [])

    def blocks(self) -> list[Index]:
        """Places of each subject's observations."""
        return np.split(np.arange(len(self.owner)), np.flatnonzero(np.diff(self.owner)) + 1)

    def columns(self) -> dict[str, Any]:
        """Subject, time, time after dose, response (where there are several) and observation, for a table."""
        events = self.data.events
        found: dict[str, Any] = {
            "ID": np.asarray(events.subjects, dtype=object)[self.owner],
            "TIME": self.time,
            "TAD": self.since_dose,
            "DV": self.y,
        }
        if len(self.responses) > 1:
            found["DVID"] = np.asarray(self.responses, dtype=object)[self.response]
        if self.below.any() or self.above.any():
            found["CENS"] = events.censored[self.record]
        return found


def sample_of(
    source: FitResult | GroupedData, simulations: Any, replicates: object, seed: object, what: str,
    stratified: bool = False, callback: Callback | None = None,
) -> Sample:  # fmt: skip
    """A sample from a fit, whose model is simulated, or from data and simulations of them.

    Parameters
    ----------
    source : FitResult or GroupedData
    simulations : DataFrame, Sample or None
        A row for each observation (or each row of the data) and replicate; a sample of these data as it is.
    replicates, seed : int
        Of simulations that are made here.
    what : str
        The function that asks, for messages.
    stratified : bool
        Draws that cover the distribution of each observation evenly; see `_stratified`.
    callback : callable, optional
        Called with (done, replicates); stops by returning something true, and what is done is kept.

    Raises
    ------
    FitError
        There is nothing to simulate from, it is too much, or the model has no population.
    DataError
        The simulations are not those of these data.
    """
    if isinstance(source, FitResult):
        data = source.data
    elif isinstance(source, GroupedData):
        data = source
        if simulations is None:
            raise FitError(f"wb.{what}(data) needs simulations=, a table of simulated responses; or give it a fit.")
    else:
        raise FitError(f"wb.{what} takes a fit as wb.fit(…) gives it, or data and simulations=; got {source!r:.60}.")
    if isinstance(simulations, Sample):
        if simulations.data.hash != data.hash:
            raise _unlike("they are those of other data", data)
        return simulations
    events, record = data.events, np.flatnonzero(data.events.observed)
    if not len(record):
        raise DataError(Fault("there are no observations"), data.name)
    pred: Array | None = None
    names, response, logs = tuple(map(str, data.responses)), events.response[record], False
    if isinstance(source, FitResult):
        many = _replicates(source, checks.whole("replicates", replicates, _LEAST, FitError), what)
        point = many.problem.scale.point(many.problem.x)
        pred = many.as_data(many.problem.predictions(point)[None, :], np.zeros((1, len(record))))[0][0]
        names, response = source.model.structure.responses, many.problem.observations.response
        logs = all(error.data_are_logarithms for error in source.model.errors)
    drawn_by: int | None = None
    if simulations is None:
        drawn_by = checks.whole("seed", seed, 0, FitError)
        simulated = _simulated(many, point, drawn_by, stratified, callback)
    else:
        simulated, theirs = _given(simulations, data, record)
        pred = theirs if pred is None else pred
    return Sample(
        data, record, events.subject[record], events.time[record], events.last_dose[0][record], response, tuple(names),
        events.dv[record], events.censored[record] == 1, events.censored[record] == -1, pred, simulated, logs,
        drawn_by, stratified,
    )  # fmt: skip


def _replicates(fit: FitResult, count: int, what: str) -> Replicates:
    """The model of a fit laid out for simulations of all its observations, those that were left out (M1) included."""
    from workbench.engine.predict import of_all
    from workbench.engine.problem.compile import compile
    from workbench.engine.replicates import Replicates

    if method_of(fit.method).subjects is Subjects.ALONE:
        raise FitError(f"wb.{what} needs a population to simulate from; a fit by {fit.method!r} has none.")
    return Replicates(compile(of_all(fit.model, fit.data), fit.data, likelihood=False), count)


def _simulated(many: Replicates, point: Point, seed: int, stratified: bool, callback: Callback | None) -> Array:
    """Simulated observations, float64[K, n], a part of the replicates after the other."""
    from workbench.engine.replicates import Replicates

    K, n = many.count, many.problem.schedule.n_slots
    if K * n > _MOST:
        raise FitError(
            f"{K:,} replicates of {n:,} observations are more than {_MOST:,} values: replicates={max(_MOST // n, 1)} "
            "at most."
        )
    rng = np.random.default_rng(seed)
    every = _stratified(rng, (K, many.normals)) if stratified else None
    simulated, step = np.empty((K, n)), max(_LEAST, math.ceil(K / _PARTS))
    part = Replicates(many.problem, min(step, K))
    for first in range(0, K, step):
        count = min(step, K - first)
        if count != part.count:
            part = Replicates(many.problem, count)
        z = rng.standard_normal((count, many.normals)) if every is None else every[first : first + count]
        simulated[first : first + count] = part.as_data(*part.made([point], z))[1]
        if callback is not None and callback(first + count, K):
            return simulated[: first + count]
    return simulated


def _stratified(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal draws of which each column covers the distribution evenly (a Latin hypercube), float64[shape].

    Shares of K draws below a point are then about as exact as those of twice as many independent ones.
    """
    from scipy.special import ndtri

    strata = rng.permuted(np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape), axis=0)
    return np.asarray(ndtri((strata + rng.random(shape)) / shape[0]))


def _given(simulations: Any, data: GroupedData, record: Index) -> tuple[Array, Array | None]:
    """float64[K, n] of a table, and its typical predictions where it has them."""
    import pandas as pd

    if not isinstance(simulations, pd.DataFrame):
        raise DataError(Fault(f"simulations= is a DataFrame, got {type(simulations).__name__}"), "the simulations")
    lower = {str(name).lower(): name for name in reversed(list(simulations.columns))}
    subject, time, response, replicate = (
        _column(simulations, lower, names, needed)
        for names, needed in ((_SUBJECT, True), (_TIME, True), (_RESPONSE, True), (_REPLICATE, False))
    )
    events, n, every = data.events, len(record), len(data.frame)
    rows = len(simulations)
    order = np.arange(rows)
    sizes = {n: np.arange(n), every: events.row[record]}  # rows of doses may be there as well
    if replicate is not None:
        label = simulations[replicate].to_numpy()
        order = np.argsort(pd.factorize(label)[0], kind="stable")
        counts = pd.Series(label).value_counts()
        if counts.min() < counts.max():
            raise _unlike(f"replicates have {counts.min()} to {counts.max()} rows; each needs the same", data)
        sizes = {size: at for size, at in sizes.items() if size == counts.iloc[0]}
    sizes = {size: at for size, at in sizes.items() if rows % size == 0}
    if not sizes:
        each = rows if replicate is None else int(counts.iloc[0])
        of = "all replicates have" if replicate is None else "a replicate has"
        raise _unlike(f"{of} {each:,} rows; the data have {n:,} observations in {every:,} rows", data)
    labels = np.array([str(label) for label in events.subjects], dtype=object)[events.subject[record]]
    for size, at in sizes.items():
        picked = order[(np.arange(rows // size)[:, None] * size + at[None, :]).ravel()]
        table = simulations.iloc[picked]
        K = len(table) // n
        places, different = pd.factorize(table[subject].to_numpy(), use_na_sentinel=False)
        theirs = np.array([_label(value) for value in different], dtype=object)[places].reshape(K, n)
        times = pd.to_numeric(table[time], errors="coerce").to_numpy(dtype=float).reshape(K, n)
        wrong = (theirs != labels) | ~np.isclose(times, events.time[record], rtol=1e-6, atol=1e-9)
        if not wrong.any():
            break
    else:
        k, j = (int(v[0]) for v in np.nonzero(wrong))
        raise _unlike(
            f"observation {j + 1} is subject {labels[j]} at {events.time[record][j]:g}, but in replicate {k + 1} it is "
            f"subject {theirs[k, j]} at {times[k, j]:g}",
            data,
        )
    if K < _LEAST:
        raise _unlike(f"{K} replicates; {_LEAST} or more are needed, 1000 are usual", data)
    values = pd.to_numeric(table[response], errors="coerce").to_numpy(dtype=float).reshape(K, n)
    pred = None
    if "pred" in lower:
        pred = pd.to_numeric(table[lower["pred"]], errors="coerce").to_numpy(dtype=float)[:n]
    return values, pred


def _label(value: Any) -> str:
    """A subject's label as the data have it: 1.0 is 1."""
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _column(frame: pd.DataFrame, lower: dict[str, Any], names: tuple[str, ...], needed: bool) -> Any:
    for name in names:
        if name in lower:
            return lower[name]
    if needed:
        have = ", ".join(map(str, frame.columns))
        raise DataError(
            Fault(f"no column is called {names[0]!r}, {names[1]!r} or the like; there are {have}"), "the simulations"
        )
    return None


def _unlike(message: str, data: GroupedData) -> DataError:
    mend = "give a row for each observation of the data, in their order, for each replicate"
    return DataError(Fault(message, mend=mend), f"the simulations of {data.name}")
