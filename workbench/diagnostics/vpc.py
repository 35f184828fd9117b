"""Visual predictive checks: quantiles of the observations beside those of many simulations of the same design."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.data import GroupedData
from workbench.diagnostics.binning import Bins, bins_of
from workbench.diagnostics.sample import Sample, sample_of
from workbench.errors import DataError, Fault, FitError
from workbench.markup.numbers import counted, percent
from workbench.markup.shown import Shown
from workbench.parallel import Callback
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Index = NDArray[np.int64]

X = {"time": "time", "tad": "time after dose", "pred": "prediction"}
_QUANTILE_TYPES = {7: "linear", 6: "weibull"}
_CENSORED = 1e150  # beyond all that is measured, on the side where it is censored
_SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 0.95)  # of the intervals of the numerical predictive check
_BINLESS_REPLICATES = 100
_BINLESS_POINTS = 40
_MOST_STRATA = 12


@dataclass(frozen=True, eq=False, repr=False)
class Vpc(Shown):
    """A visual predictive check.

    Attributes
    ----------
    table : DataFrame
        A row for each stratum, bin and quantile: stratum, bin, x_lower, x_upper, x (median of the bin), n, quantile,
        observed, simulated (median over replicates), lower, upper (their interval). NaN where the quantile lies among
        censored observations. Without bins: x on a grid.
    censored : DataFrame
        Share below (above) the limit by bin: stratum, bin, x, n, limit, observed, simulated, lower, upper; empty where
        nothing is censored.
    points : DataFrame
        The observations, indexed by the row in the data: ID, TIME, TAD, DV, x, y (corrected, if asked for), stratum,
        bin, censored.
    sample : Sample
    quantiles : tuple of float
    interval : float
    corrected : bool
    x : str
    remarks : tuple of str
    code : str
    """

    table: pd.DataFrame
    censored: pd.DataFrame
    points: pd.DataFrame
    sample: Sample
    quantiles: tuple[float, ...]
    interval: float
    corrected: bool
    x: str
    remarks: tuple[str, ...]
    code: str

    @property
    def outside(self) -> float:
        """Share of observed quantiles that lie outside the interval of the simulated ones."""
        seen = self.table.dropna(subset=["observed", "lower", "upper"])
        if not len(seen):
            return math.nan
        return float(((seen["observed"] < seen["lower"]) | (seen["observed"] > seen["upper"])).mean())

    @property
    def sentence(self) -> str:
        """How many observed quantiles lie where the model expects them."""
        kind = "Prediction-corrected visual predictive check" if self.corrected else "Visual predictive check"
        seen = int(self.table[["observed", "lower", "upper"]].notna().all(axis=1).sum())
        count = counted(len(self.sample.y), "observation")
        of = f"{kind} of {count} over {X[self.x]}, {self.sample.replicates:,} simulations"
        if not seen:
            return f"{of}: all quantiles lie among censored observations; `censored` has their shares."
        return (
            f"{of}: {percent(1.0 - self.outside)} of {seen} observed quantiles lie "
            f"within the {percent(self.interval)} interval of the simulated ones."
        )

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, *self.remarks, self.table]

    @cached_property
    def npc(self) -> pd.DataFrame:
        """Numerical predictive check: for central intervals of the prediction, shares of observations outside.

        Returns
        -------
        DataFrame
            By interval (0 is the median) and side: expected, observed, and the interval of the simulated share.
        """
        import pandas as pd

        sample = self.sample
        known = ~(sample.below | sample.above)
        simulated, y = sample.simulated[:, known], sample.y[known]
        K = len(simulated)
        place = np.argsort(np.argsort(simulated, axis=0, kind="stable"), axis=0) / (K - 1)
        own = np.mean(simulated < y, axis=0)
        ends = (0.5 - 0.5 * self.interval, 0.5 + 0.5 * self.interval)
        rows = []
        for share in _SHARES:
            tail = 0.5 * (1.0 - share)
            for side, mine, theirs in (
                ("below", own < tail, place < tail),
                ("above", own > 1.0 - tail, place > 1.0 - tail),
            ):
                spread = np.quantile(theirs.mean(axis=1), ends)
                rows.append((share, side, tail, float(mine.mean()), float(spread[0]), float(spread[1])))
        return pd.DataFrame(rows, columns=["interval", "side", "expected", "observed", "lower", "upper"])

    def plot(self, log: bool = False) -> Figure:
        """Observations, quantiles and intervals, a panel for each stratum (matplotlib)."""
        from workbench.diagnostics.plots import vpc_figure, with_unit

        units = self.sample.data.units
        x_name = with_unit(X[self.x], units.get("response" if self.x == "pred" else "time"))
        y_name = with_unit("corrected response" if self.corrected else "response", units.get("response"))
        return vpc_figure(self.table, self.censored, self.points, x_name, y_name, log)


def vpc(
    source: FitResult | GroupedData,
    replicates: int = 1000,
    *,
    x: str = "time",
    bins: Any = None,
    prediction_corrected: bool = False,
    lower_bound: float = 0.0,
    stratify: str | Sequence[str] | None = None,
    quantiles: float | Sequence[float] = (0.05, 0.5, 0.95),
    interval: float = 0.9,
    quantile_type: int = 7,
    lloq: float | None = None,
    response: str | None = None,
    simulations: Any = None,
    seed: int = 1,
    callback: Callback | None = None,
) -> Vpc:
    """Visual predictive check of a fit, or of data beside simulations of them.

    Parameters
    ----------
    source : FitResult or GroupedData
        A fit, whose model is simulated; or data, with `simulations`.
    replicates : int
        At least 20; of simulations that are made here.
    x : str
        "time", "tad" (time after dose) or "pred" (typical prediction).
    bins : optional
        None: the distinct x where they are few, else ten with equally many observations. A number of such bins; edges,
        ascending; "distinct", "quantiles" or "kmeans", alone or with their number as ("kmeans", 8); "none": quantile
        regression on a spline instead of bins (its interval from the first 100 simulations).
    prediction_corrected : bool
        Each value times the median typical prediction of its bin over its own (Bergstrand, Hooker, Wallin & Karlsson
        2011, AAPS J 13:143, equation 1); differences of them for data that are logarithms.
    lower_bound : float
        Of the response, in the correction.
    stratify : str or sequence of str, optional
        Columns of the data whose values get panels of their own; several responses always do.
    quantiles : float or sequence of float
    interval : float
        Of the simulated quantiles over replicates.
    quantile_type : int
        7, R's and numpy's usual one, or 6, that of PsN (Hyndman & Fan 1996).
    lloq : float, optional
        Observations below it are censored, beside those that the data say are.
    response : str, optional
        One of several responses.
    simulations : DataFrame or Sample, optional
        Subject, time, response, replicate (and PRED): what `wb.simulate` returns, or a table of one's own. The `sample`
        of another check: the same simulations once more, with other bins say.
    seed : int
    callback : callable, optional
        Called with (done, replicates) while these are made; stops by returning something true, and what is done is
        kept.

    Returns
    -------
    Vpc
        With `table`, `censored`, `points`, `npc`, `plot()`.

    Raises
    ------
    FitError, DataError
        There is nothing to simulate from, the simulations are not those of the data, or an argument is none of those
        that are allowed.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> check = wb.vpc(fit, replicates=200, bins=6)
    >>> check.table["bin"].nunique()
    6
    """
    import pandas as pd

    checks.one_of("x", x, tuple(X), FitError)
    quantile_type = checks.whole("quantile_type", quantile_type, 1, FitError)
    checks.one_of("quantile_type", quantile_type, tuple(_QUANTILE_TYPES), FitError)
    stated = list(quantiles) if isinstance(quantiles, Iterable) and not isinstance(quantiles, str) else [quantiles]
    probabilities = tuple(checks.share("quantiles", q, 0.5, error=FitError) for q in stated)
    if not probabilities:
        raise FitError("quantiles=(); numbers between 0 and 1 are needed, such as (0.05, 0.5, 0.95).")
    interval = checks.share("interval", interval, 0.9, error=FitError)
    replicates, seed = checks.whole("replicates", replicates, 1, FitError), checks.whole("seed", seed, 0, FitError)
    sample = sample_of(source, simulations, replicates, seed, "vpc", callback=callback)
    use = _of_response(sample, response)
    place = _place(sample, x)
    remarks = []
    unplaced = use & ~np.isfinite(place)
    if unplaced.any():
        remarks.append(f"{counted(int(unplaced.sum()), 'observation')} without {X[x]} are left out.")
    missing = use & ~np.isfinite(sample.simulated).all(axis=0)
    if missing.any():
        remarks.append(f"{counted(int(missing.sum()), 'observation')} without finite simulations are left out.")
    use &= np.isfinite(place) & ~missing
    if not use.any():
        raise DataError(Fault(f"no observation has a {X[x]} and simulations"), sample.data.name)
    if prediction_corrected and sample.pred is None:
        raise FitError("A prediction-corrected check needs typical predictions: give a fit, or simulations with PRED.")
    strata = _strata(sample, stratify, response)
    method = _QUANTILE_TYPES[quantile_type]
    tables, shares, points = [], [], []
    for name, among in strata:
        at = np.flatnonzero(use & among)
        if not len(at):
            continue
        cut = bins_of(place[at], bins)
        limit = _limit(sample, at, lloq)
        low = sample.below[at] | (sample.y[at] < limit if math.isfinite(limit) else False)
        y, simulated = sample.y[at].copy(), sample.simulated[:, at]
        under = simulated < limit if math.isfinite(limit) else np.zeros(simulated.shape, dtype=bool)
        if prediction_corrected:
            assert sample.pred is not None
            y, simulated, uncorrected = _corrected(y, simulated, sample.pred[at], cut, lower_bound, sample.logarithmic)
            if uncorrected:
                remarks.append(
                    f"{counted(uncorrected, 'observation')} with a prediction at the bound are as they were."
                )
        seen = np.where(low, -_CENSORED, np.where(sample.above[at], _CENSORED, y))
        simulated = np.where(under, -_CENSORED, simulated)
        summarise = _regressed if cut.without else _summarised
        tables.append(summarise(name, place[at], seen, simulated, cut, probabilities, interval, method))
        if low.any() or under.any():
            shares.append(_shares(name, low, under, cut, limit, interval, method))
        points.append(
            pd.DataFrame(
                {**{k: np.asarray(v)[at] for k, v in sample.columns().items() if k != "CENS"}, "x": place[at], "y": y,
                 "stratum": name, "bin": cut.of, "censored": low | sample.above[at]},
                index=sample.data.frame.index[sample.data.events.row[sample.record[at]]],
            )
        )  # fmt: skip
    columns = ["stratum", "bin", "x", "n", "limit", "observed", "simulated", "lower", "upper"]
    censored = pd.concat(shares, ignore_index=True) if shares else pd.DataFrame(columns=columns)
    if isinstance(source, FitResult) and not source.converged:
        remarks.append(f"The fit has no minimum to judge: {source.status.value}")
    usual = {
        "x": (x, "time"), "bins": (bins, None), "prediction_corrected": (prediction_corrected, False),
        "lower_bound": (lower_bound, 0.0), "stratify": (stratify, None), "interval": (interval, 0.9),
        "quantiles": (probabilities, (0.05, 0.5, 0.95)), "quantile_type": (quantile_type, 7), "lloq": (lloq, None),
        "response": (response, None),
    }  # fmt: skip
    options = [
        f"{key}={value!r}" for key, (value, default) in usual.items() if value is not default and value != default
    ]
    first = ["fit" if isinstance(source, FitResult) else "data"]
    code = f"wb.vpc({', '.join([*first, *sample.options(source, False), *options])})"
    return Vpc(
        pd.concat(tables, ignore_index=True), censored, pd.concat(points), sample, probabilities,
        interval, bool(prediction_corrected), x, tuple(dict.fromkeys(remarks)), code,
    )  # fmt: skip


def _of_response(sample: Sample, response: str | None) -> NDArray[np.bool_]:
    if response is None:
        return np.ones(len(sample.y), dtype=bool)
    if str(response) not in sample.responses:
        raise FitError(f"response={response!r}; allowed are {checks.listed(sample.responses)}.")
    return np.asarray(sample.response == sample.responses.index(str(response)))


def _place(sample: Sample, x: str) -> Array:
    if x == "pred":
        if sample.pred is None:
            raise FitError("x='pred' needs typical predictions: give a fit, or simulations with PRED.")
        return sample.pred
    return sample.time if x == "time" else sample.since_dose


def _strata(sample: Sample, stratify: Any, response: str | None) -> list[tuple[str, NDArray[np.bool_]]]:
    """Names of the panels, and which observations are in each."""
    import pandas as pd

    names = [stratify] if isinstance(stratify, str) else list(stratify or ())
    frame, row = sample.data.frame, sample.data.events.row[sample.record]
    keys = []
    for name in names:
        if name not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DataError(Fault(f"stratify={name!r}; there are {have}"), sample.data.name)
        values = sample.data.covariate_values([name])[name] if name in sample.data.covariate_names else frame[name]
        keys.append(values.to_numpy()[sample.record if name in sample.data.covariate_names else row])
    if len(sample.responses) > 1 and response is None:
        names, keys = ["", *names], [np.asarray(sample.responses, dtype=object)[sample.response], *keys]
    if not keys:
        return [("", np.ones(len(sample.y), dtype=bool))]
    labels = pd.Series(
        [
            ", ".join(f"{name} {_written(v)}".strip() for name, v in zip(names, values, strict=True))
            for values in zip(*keys, strict=True)
        ]
    )
    found = list(dict.fromkeys(labels))
    if len(found) > _MOST_STRATA:
        raise DataError(
            Fault(f"stratify= makes {len(found)} panels, at most {_MOST_STRATA} are shown", mend="cut it into groups"),
            sample.data.name,
        )
    return [(name, (labels == name).to_numpy()) for name in found]


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _limit(sample: Sample, at: Index, lloq: float | None) -> float:
    """The limit of quantification; -inf where there is none."""
    stated = sample.y[at][sample.below[at]]
    limits = [*stated[np.isfinite(stated)], *([] if lloq is None else [checks.finite(lloq, "lloq", FitError)])]
    return float(max(limits)) if limits else -math.inf


def _corrected(
    y: Array, simulated: Array, pred: Array, cut: Bins, bound: float, logarithmic: bool
) -> tuple[Array, Array, int]:
    """Values corrected by typical predictions; and how many could not be."""
    centre = np.empty(len(y))
    for b in range(cut.size):
        centre[cut.of == b] = np.median(pred[cut.of == b])
    if logarithmic:
        return y + centre - pred, simulated + (centre - pred), 0
    possible = pred > bound
    factor = np.where(possible, (centre - bound) / np.where(possible, pred - bound, 1.0), 1.0)
    return bound + (y - bound) * factor, bound + (simulated - bound) * factor, int((~possible).sum())


def _summarised(
    name: str,
    x: Array,
    y: Array,
    simulated: Array,
    cut: Bins,
    quantiles: tuple[float, ...],
    interval: float,
    method: Any,
) -> pd.DataFrame:
    """Quantiles by bin."""
    import pandas as pd

    ends = (0.5 - 0.5 * interval, 0.5, 0.5 + 0.5 * interval)
    rows = []
    for b in range(cut.size):
        at = cut.of == b
        mine = np.quantile(y[at], quantiles, method=method)
        theirs = np.quantile(
            np.quantile(simulated[:, at], quantiles, axis=1, method=method), ends, axis=1, method=method
        )
        for k, q in enumerate(quantiles):
            low, middle, high = (_known(float(v)) for v in theirs[:, k])
            rows.append(
                (name, b, cut.lower[b], cut.upper[b], float(np.median(x[at])), int(at.sum()), q, _known(float(mine[k])),
                 middle, low, high)
            )  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = ["stratum", "bin", "x_lower", "x_upper", "x", "n", "quantile", "observed", "simulated", "lower", "upper"]


def _regressed(
    name: str,
    x: Array,
    y: Array,
    simulated: Array,
    cut: Bins,
    quantiles: tuple[float, ...],
    interval: float,
    method: Any,
) -> pd.DataFrame:
    """Quantiles as functions of x: regression on a cubic spline (Koenker & Bassett 1978, Econometrica 46:33)."""
    import pandas as pd

    from workbench.diagnostics.binning import spline
    from workbench.diagnostics.regression import quantile_regression

    basis, grid, at_grid = spline(x, _BINLESS_POINTS)
    every = np.vstack([y, simulated[:_BINLESS_REPLICATES]])
    known = np.abs(every) < _CENSORED
    ends = (0.5 - 0.5 * interval, 0.5, 0.5 + 0.5 * interval)
    rows = []
    for q in quantiles:
        lines = quantile_regression(basis, every, q, known) @ at_grid.T
        mine, theirs = lines[0], np.quantile(lines[1:], ends, axis=0, method=method)
        for g, where in enumerate(grid):
            rows.append(
                (name, 0, float(grid[0]), float(grid[-1]), float(where), len(x), q, _known(float(mine[g])),
                 *(_known(float(theirs[k, g])) for k in (1, 0, 2)))
            )  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def _known(value: float) -> float:
    """The value, NaN where it comes from censored ones."""
    return value if abs(value) < 1e-3 * _CENSORED else math.nan


def _shares(
    name: str, low: NDArray[np.bool_], under: NDArray[np.bool_], cut: Bins, limit: float, interval: float, method: Any
) -> pd.DataFrame:
    """Shares below the limit by bin."""
    import pandas as pd

    ends = (0.5 - 0.5 * interval, 0.5, 0.5 + 0.5 * interval)
    rows = []
    for b in range(cut.size):
        at = cut.of == b
        lower, middle, upper = np.quantile(under[:, at].mean(axis=1), ends, method=method)
        rows.append((name, b, cut.middle[b], int(at.sum()), limit, float(low[at].mean()), middle, lower, upper))
    return pd.DataFrame(rows, columns=["stratum", "bin", "x", "n", "limit", "observed", "simulated", "lower", "upper"])
