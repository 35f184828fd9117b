"""What a fit found: a frozen value that carries its model, its data and the tables made from them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench import markup, plain
from workbench.errors import FitError
from workbench.markup.record import as_plain
from workbench.methods import Subjects, method_of
from workbench.results import packing
from workbench.results.tables import PLAIN, Estimate, Numbers, estimate_rows, whitened

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import GroupedData
    from workbench.model import Model

Array = NDArray[np.float64]

Settings = tuple[tuple[str, object], ...]  # further arguments of a fit, by name, where they are not as usual


class Status(Enum):
    """How a fit ended; the value is a sentence for the user."""

    converged = "The fit converged: the gradient is zero to the accuracy asked for."
    boundary = "The fit converged at an edge: a variance at 0, a correlation at ±1, or a value at its bound."
    stopped = "The fit was stopped; these are the best values found until then."
    max_iterations = "The fit used up its iterations before it converged; start it again from these values."
    stalled = "The fit could not get further although the gradient is not zero; try other initial values."
    undetermined = "The fit has no minimum: the objective is flat, and some estimates are not determined by the data."
    diverged = "The fit diverged: an estimate ran away without bound; try other initial values or a simpler model."

    @property
    def ok(self) -> bool:
        """Whether the estimates are a minimum of the objective."""
        return self in (Status.converged, Status.boundary)


class Progress(NamedTuple):
    """What a callback gets once per iteration; it stops the fit by returning True.

    Attributes
    ----------
    iteration : int
    ofv : float
    parameters : dict
        Estimates by name, as in `FitResult.estimates`, on the natural scale.
    seconds : float
        Since the fit began.
    etas : float64[subjects, effects]
        Random effects at this point.
    done, total : int
        Starting points, or iterations of SAEM: how many of how many are done; 0 where that is not known.
    """

    iteration: int
    ofv: float
    parameters: dict[str, float]
    seconds: float
    etas: Array
    done: int = 0
    total: int = 0


class Start(NamedTuple):
    """One of several starting points of a fit, and where the search from it ended."""

    number: int
    initial_ofv: float
    ofv: float
    status: str
    iterations: int
    best: bool


@dataclass(frozen=True, eq=False)
class Rival:
    """Another minimum beside the one that a fit shows.

    Attributes
    ----------
    what : str
        Its values that differ.
    ofv, delta_ofv : float
        Its objective, and that less the one shown: negative where it is lower.
    model : Model
        The model there, ready to be fitted.
    said : str
        What speaks for which, in sentences.
    """

    what: str
    ofv: float
    delta_ofv: float
    model: Model
    said: str


class Criteria(NamedTuple):
    """The numbers by which fits of one data set are compared."""

    ofv: float
    minus2ll: float
    aic: float
    bic: float


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """A finished fit.

    Attributes
    ----------
    model : Model
        The model at the estimates, ready to refit.
    given : Model
        The model as it was given to the fit: fitting it again gives the same digits.
    data : GroupedData
    method : str
    options : object
        Options of the method, a value that prints itself; None where it has none.
    status : Status
    message : str
        What there is to say beyond the status: names of parameters at a boundary, and the like.
    ofv : float
        Objective function value without n·log 2π (NONMEM's number).
    trace : tuple of (int, float)
        Iteration and OFV.
    along : callable
        Computes the estimates at each of them, float64[steps, lines]; see `history`.
    seconds : float
        Without the time that compiling took.
    evaluations : int
        Evaluations of the objective with its gradient.
    lines : tuple of Estimate
        Those of the table `estimates`.
    covariance : float64[k, k] or None
        Covariance of the estimates that are not fixed, natural scale, in the order of `lines`.
    se_reason : str
        Which standard errors are missing and why; empty where none is.
    random_effects, occasion_effects : tuple of str
        Parameters with a random effect between subjects (R of them, those that share one included), and between
        occasions (R'), in the order of the arrays below; none by "pooled".
    omega_matrix : float64[R, R]; occasion_matrix : float64[R', R']
        Their covariances.
    eta_matrix : float64[N, Q]
        Random effects of each subject; those of its occasions, one after the other, follow those of the subject.
    parameter_matrix : float64[N, P]
        Individual parameters at the first record of each subject.
    record, response : int64[n]
        Of each observation in the likelihood, its record in `data.events` and which response it is.
    pred, ipred : float64[n]
        Predictions at η = 0 and at the individual η, on the scale of the data.
    y, analysed_pred, analysed_ipred, sd, isd : float64[n]
        Observation (NaN where censored), predictions and residual standard deviations on the scale of the analysis: the
        logarithm where the residual error is log-normal.
    linear_prediction, linear_slope : float64[n], float64[n, Q]
        The linear model E + G ζ, ζ ~ N(0, I), that the method puts in place of the prediction.
    subject_ofv : float64[N]
    accuracy : str
        How exact the objective is, where it is a sum over nodes or draws.
    settings : tuple of (str, value)
        Other arguments of `fit` that were not the usual ones.
    tried : tuple of Start
        Where each of several starting points ended; empty where there was one.
    failures : dict
        By the label of the subject, why it could not be fitted alone ("individual" and "two-stage"); its observations
        are not in the likelihood.
    counted : int, optional
        Number of estimated quantities where they are not those of `lines` but each subject's own ("individual").
    rivals : tuple of Rival
        Other minima, the lowest first: where kinetics have another solution (rates of absorption and elimination
        exchanged, say) it is looked at, and named in `said` if it is lower than the usual one, which is shown.
    seconds_for_rivals : float
        What that look took; not part of `seconds`.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> fit.converged
    True
    >>> fit.estimates.index.tolist()
    ['ka', 'CL', 'V', 'iiv_ka', 'iiv_CL', 'iiv_V', 'a', 'b']
    >>> print(fit.summary())
    1-compartment, first-order absorption; ...
    """

    model: Model
    given: Model
    data: GroupedData
    method: str
    options: object
    status: Status
    message: str
    ofv: float
    trace: tuple[tuple[int, float], ...]
    along: Callable[[], Array] = field(repr=False)
    seconds: float
    evaluations: int
    lines: tuple[Estimate, ...]
    covariance: Array | None
    se_reason: str
    random_effects: tuple[str, ...]
    occasion_effects: tuple[str, ...]
    omega_matrix: Array
    occasion_matrix: Array
    eta_matrix: Array
    parameter_matrix: Array
    record: NDArray[np.int64] = field(repr=False)
    response: NDArray[np.int64] = field(repr=False)
    pred: Array = field(repr=False)
    ipred: Array = field(repr=False)
    y: Array = field(repr=False)
    analysed_pred: Array = field(repr=False)
    analysed_ipred: Array = field(repr=False)
    sd: Array = field(repr=False)
    isd: Array = field(repr=False)
    linear_prediction: Array = field(repr=False)
    linear_slope: Array = field(repr=False)
    subject_ofv: Array = field(repr=False)
    accuracy: str = ""
    settings: Settings = ()
    tried: tuple[Start, ...] = ()
    failures: dict[object, str] = field(default_factory=dict)
    counted: int | None = None
    rivals: tuple[Rival, ...] = ()
    seconds_for_rivals: float = 0.0

    # -- numbers -----------------------------------------------------------------------------------------------

    @property
    def n_observations(self) -> int:
        """Observations in the likelihood."""
        if not self.failures:
            return len(self.record)
        failed = np.array([subject in self.failures for subject in self.data.events.subjects], dtype=bool)
        return int((~failed[self.data.events.subject[self.record]]).sum())

    @property
    def n_estimated(self) -> int:
        """Number of estimated quantities."""
        return sum(not estimate.fixed for estimate in self.lines) if self.counted is None else self.counted

    @property
    def minus2ll(self) -> float:
        """-2 log-likelihood with n·log 2π (the number of Monolix and R)."""
        return self.ofv + self.n_observations * math.log(2 * math.pi)

    @property
    def aic(self) -> float:
        """Akaike's criterion: -2LL + 2k."""
        return self.minus2ll + 2 * self.n_estimated

    @property
    def bic(self) -> float:
        """Schwarz's criterion: -2LL + k·log(n) with n the number of observations."""
        return self.minus2ll + self.n_estimated * math.log(self.n_observations)

    @property
    def criteria(self) -> Criteria:
        """OFV, -2LL, AIC and BIC together."""
        return Criteria(self.ofv, self.minus2ll, self.aic, self.bic)

    @property
    def said(self) -> str:
        """How it ended, what there is to say beyond that, and how exact the objective is, in sentences."""
        status = self.status.value
        if self.status is Status.converged:
            status = method_of(self.method).converged or status
        return " ".join(filter(None, (status, self.message, self.accuracy)))

    @property
    def converged(self) -> bool:
        """Whether the estimates are a minimum of the objective."""
        return self.status.ok

    # -- tables ------------------------------------------------------------------------------------------------

    @cached_property
    def _estimates(self) -> pd.DataFrame:
        import pandas as pd

        rows = [
            {
                "name": e.name,
                "estimate": e.value,
                "se": e.se,
                "rse": e.rse,
                "lower": e.lower,
                "upper": e.upper,
                "fixed": e.fixed,
            }
            for e in self.lines
        ]
        return pd.DataFrame(rows).set_index("name")

    @cached_property
    def history(self) -> pd.DataFrame:
        """By iteration: ofv, and every estimate on the natural scale; "individual" keeps the ofv only."""
        import pandas as pd

        iterations, ofv = zip(*self.trace, strict=True)
        values = self.along()
        frame = pd.DataFrame({"ofv": ofv})
        if len(values):
            frame[[e.name for e in self.lines]] = values
        return frame.set_axis(pd.Index(iterations, name="iteration"))

    @property
    def estimates(self) -> pd.DataFrame:
        """Estimates by name on the natural scale.

        Columns: estimate, se, rse (per cent), lower and upper (95 % interval, computed on the scale of the
        estimation and transformed back), fixed. `iiv_X` is the standard deviation of η of X, `iov_X` that between
        occasions, `corr_X_Y` and `corr_iov_X_Y` a correlation, `share_X` the multiple of a shared η, `X:term` a
        covariate coefficient, a, b and c the residual error (`a_response` where there are several).
        """
        return self._estimates.copy()

    @property
    def starts(self) -> pd.DataFrame:
        """Where each starting point ended: initial_ofv, ofv, status, iterations, best; only the best few are finished.

        Number 0 is where the model's own values are. Empty for a fit from one point.
        """
        import pandas as pd

        return pd.DataFrame(self.tried, columns=list(Start._fields)).set_index("number")

    @property
    def correlation(self) -> pd.DataFrame | None:
        """Correlation of the estimates that are not fixed; None where there is no covariance (see `se_reason`)."""
        import pandas as pd

        if self.covariance is None:
            return None
        names = [e.name for e in self.lines if not e.fixed]
        with np.errstate(invalid="ignore"):
            deviations = np.sqrt(np.diag(self.covariance))
            return pd.DataFrame(self.covariance / np.outer(deviations, deviations), index=names, columns=names)

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue of `correlation`; estimates at an edge are left out, NaN if none is left.

        Above 1,000 the data hardly tell some of the estimates apart.
        """
        matrix = self.correlation
        if matrix is None:
            return math.nan
        known = np.isfinite(np.diag(matrix.to_numpy()))
        values = np.linalg.eigvalsh(matrix.to_numpy()[np.ix_(known, known)]) if known.any() else np.array([math.nan])
        return float(values[-1] / values[0])

    @property
    def variability(self) -> pd.DataFrame:
        """Random effects between subjects: sd, variance, cv (per cent) and shrinkage (of the SD, per cent).

        The coefficient of variation is that of the parameter, √(exp ω² - 1), where its transform is the logarithm; else
        there is none.
        """
        import pandas as pd

        variance = np.diag(self.omega_matrix)
        logs = np.array([self.model[name].link.is_logarithm for name in self.random_effects], dtype=bool)
        cv = np.where(logs, 100 * np.sqrt(np.expm1(np.minimum(variance, 700.0))), np.nan)
        shrinkage = self.shrinkage["sd"].reindex(list(self.random_effects)).to_numpy()
        columns = {"sd": np.sqrt(variance), "variance": variance, "cv": cv, "shrinkage": shrinkage}
        return pd.DataFrame(columns, index=list(self.random_effects))

    @property
    def omega(self) -> pd.DataFrame:
        """Covariance of η."""
        import pandas as pd

        names = list(self.random_effects)
        return pd.DataFrame(self.omega_matrix, index=names, columns=names)

    def _by_subject(self, values: Array, names: list[str]) -> pd.DataFrame:
        import pandas as pd

        index = pd.Index(self.data.events.subjects, name=self.data.roles.get("subject", "ID"))
        return pd.DataFrame(values, index=index, columns=names)

    @property
    def etas(self) -> pd.DataFrame:
        """Random effects (modes) by subject."""
        return self._by_subject(self.eta_matrix[:, : len(self.random_effects)], list(self.random_effects))

    @property
    def kappas(self) -> pd.DataFrame:
        """Random effects of the occasions (modes) by subject and occasion."""
        import pandas as pd

        events = self.data.events
        begin, step = len(self.random_effects), len(self.occasion_effects)
        rows, index = [], []
        for i, subject in enumerate(events.subjects):
            mine = events.occasion[events.start[i] : events.start[i + 1]]
            for k, occasion in enumerate(dict.fromkeys(mine.tolist())) if step else ():
                rows.append(self.eta_matrix[i, begin + k * step : begin + (k + 1) * step])
                index.append((subject, self.data.occasions[occasion]))
        names = (self.data.roles.get("subject", "ID"), self.data.roles.get("occasion", "OCC"))
        labels = pd.MultiIndex.from_tuples(index, names=names) if index else None
        return pd.DataFrame(np.array(rows).reshape(len(rows), step), index=labels, columns=list(self.occasion_effects))

    @property
    def omega_iov(self) -> pd.DataFrame:
        """Covariance of the random effects between occasions."""
        import pandas as pd

        names = list(self.occasion_effects)
        return pd.DataFrame(self.occasion_matrix, index=names, columns=names)

    @property
    def individual(self) -> pd.DataFrame:
        """Individual parameters by subject, natural scale, at the subject's first record."""
        return self._by_subject(self.parameter_matrix, list(self.model.structure.names))

    def table(self) -> pd.DataFrame:
        """One row per observation, indexed by the row in the data: what the fit knows of it.

        ID TIME TAD DOSE DV PRED IPRED RES IRES IWRES CWRES, eta_… of each random effect between subjects, the
        individual parameters and the covariates. TAD is the time after the last dose, DOSE its amount; both are left
        out where there are no doses. Individual parameters are those on the first record of the subject, covariates
        those of the record; a covariate whose name is taken is left out.

        RES = DV - PRED, IRES = DV - IPRED; IWRES is the individual residual over the residual standard deviation at
        IPRED; CWRES, the conditional weighted residual, is whitened by the linear model of the method (Hooker et al.
        2007, Pharm Res 24:2187; by "fo" that is NONMEM's WRES). Both are on the scale of the analysis, the logarithm
        for a log-normal error; without a population ("individual") there is no CWRES. A column DVID names the response
        where there are several, a column CENS the censored observations, whose DV is the limit and which have no
        residual.
        """
        import pandas as pd

        events, at = self.data.events, self.record
        owner = events.subject[at]
        interaction = method_of(self.method).approximation.interaction
        variance = (self.isd if interaction else self.sd) ** 2
        y = np.where(np.isnan(self.y), np.nan, events.dv[at])
        columns: dict[str, object] = {
            "ID": np.asarray(events.subjects, dtype=object)[owner],
            "TIME": events.time[at],
            **self._dosing(),
            "DV": events.dv[at],
            "PRED": self.pred,
            "IPRED": self.ipred,
            "RES": y - self.pred,
            "IRES": y - self.ipred,
            "IWRES": (self.y - self.analysed_ipred) / self.isd,
            "CWRES": whitened(self.y - self.linear_prediction, self.linear_slope, variance, owner),
        }
        if len(self.model.structure.responses) > 1:
            columns["DVID"] = np.asarray(self.model.structure.responses, dtype=object)[self.response]
        if np.isnan(self.y).any():
            columns["CENS"] = events.censored[at]
        own = {f"eta_{name}": self.eta_matrix[owner, k] for k, name in enumerate(self.random_effects)}
        own |= {name: self.parameter_matrix[owner, k] for k, name in enumerate(self.model.structure.names)}
        own |= {name: self.data.frame[name].to_numpy()[events.row[at]] for name in self.data.covariate_names}
        columns |= {name: values for name, values in own.items() if name not in columns}
        return pd.DataFrame(columns, index=self.data.frame.index[events.row[at]]).infer_objects()

    def _dosing(self) -> dict[str, Array]:
        """Time after dose and dose of the observations, where there are doses."""
        events = self.data.events
        if not events.is_dose.any():
            return {}
        since, amount = events.last_dose
        return {"TAD": since[self.record], "DOSE": amount[self.record]}

    @property
    def shrinkage(self) -> pd.DataFrame:
        """Shrinkage per cent: of each η (1 - SD(η̂)/ω, and by variance 1 - VAR(η̂)/ω²) and of ε (1 - SD(IWRES))."""
        import pandas as pd

        rows = {}
        omega = np.sqrt(np.diag(self.omega_matrix))
        together = method_of(self.method).subjects is not Subjects.ALONE  # else nothing draws own values to a mean
        with np.errstate(divide="ignore", invalid="ignore"):
            for k, name in enumerate(self.random_effects):
                known = len(self.eta_matrix) > 1 and together
                ratio = self.eta_matrix[:, k].std(ddof=1) / omega[k] if known else math.nan
                rows[name] = (100 * (1 - ratio), 100 * (1 - ratio**2))
            residual = (self.y - self.analysed_ipred) / self.isd
            residual = residual[np.isfinite(residual)]
            ratio = np.std(residual, ddof=1) if len(residual) > 1 else math.nan
        rows["ε"] = (100 * (1 - ratio), 100 * (1 - ratio**2))
        return pd.DataFrame.from_dict(rows, orient="index", columns=["sd", "variance"])

    # -- reading -----------------------------------------------------------------------------------------------

    def estimate(self, name: str) -> Estimate:
        """One estimate by name.

        Raises
        ------
        FitError
            If there is none of that name.
        """
        for estimate in self.lines:
            if estimate.name == name:
                return estimate
        raise FitError(f"No estimate is named {name!r}. There are {', '.join(e.name for e in self.lines)}.")

    def unit(self, name: str) -> str:
        """Unit of a typical value or of a constant error, from the units of the data; empty where not known."""
        from workbench.data import derived_unit

        dimensions: dict[str, str] = {info.name: info.dimension for info in self.model.structure.info}
        for error, labels in zip(self.model.errors, self.model.error_labels, strict=True):
            dimensions |= {label: error.dimension(of) for of, label in zip(error.names, labels, strict=True)}
        kind = dimensions.get(name, "")
        return derived_unit(self.data.units, kind) if kind else ""

    def rows(self, numbers: Numbers = PLAIN, *, units: bool = True) -> list[tuple[str, ...]]:
        """The table of estimates as people read it: its head, then a row for each.

        Parameters
        ----------
        numbers : Numbers
            How they are written.
        units : bool
            With their units, where some are known.
        """
        known = {e.name: self.unit(e.name) for e in self.lines} if units else {}
        return estimate_rows(self.lines, self.shrinkage["sd"].to_dict(), known, numbers)

    @classmethod
    def own_schema(cls, said: dict[str, str]) -> dict[str, Any]:
        """The properties of `to_dict`, for `wb.json_schema`."""
        return packing.schema(said)

    # -- out ---------------------------------------------------------------------------------------------------

    def to_dict(self, *, data: bool = False) -> dict[str, Any]:
        """The fit as plain values, of which `save` makes a file; `wb.json_schema(wb.FitResult)` describes them.

        Parameters
        ----------
        data : bool
            With the records of the data, else with what identifies them.
        """
        return packing.record(self, data=data)

    def save(self, path: str | os.PathLike[str], *, data: bool = False) -> Path:
        """Write the fit as JSON, which `wb.load` reads.

        Parameters
        ----------
        path : str or path
        data : bool
            With the records of the data. Without them the file has their hash, and `wb.load` is given the data.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileError
            If it cannot be written; what was there is then still there.
        """
        return packing.write(plain.written(self.to_dict(data=data)), path)

    def summary(self) -> str:
        """The fit in plain text."""
        return "\n".join([self._headline(), self._sentence(), "", markup.text_table(self.rows()), *self._footnotes()])

    def _headline(self) -> str:
        subjects = len(self.data.events.subjects)
        return (
            f"{self.model.structure.title}; {method_of(self.method).title}; "
            f"{self.data.name}: {subjects} subjects, {self.n_observations} observations"
        )

    def _sentence(self) -> str:
        text = self.said
        return (
            f"{text}\nOFV {self.ofv:.3f}   -2LL {self.minus2ll:.3f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}   "
            f"({self.evaluations} evaluations, {markup.duration(self.seconds)})"
        )

    def _footnotes(self) -> list[str]:
        notes = [f"\nStandard errors: {self.se_reason}"] if self.se_reason else []
        return [*notes, *(f"\n{note}" for note in self.model.coded_categories(self.data))]

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        head, *body = self.rows()
        return markup.tag(
            "div",
            markup.tag("b", self._headline()),
            markup.tag("p", markup.joined(*self._sentence().split("\n"), between="<br>")),
            markup.plain_table(head, body, left=[0]),
            markup.paragraphs(line.strip() for line in self._footnotes()),
        )


@as_plain.register
def _reference(fit: FitResult) -> dict[str, Any]:
    """A fit as part of another result: what identifies it."""
    return {
        "kind": "fit", "model": repr(fit.model), "method": fit.method, "ofv": plain.number(fit.ofv),
        "status": fit.status.name, "data": {"name": fit.data.name, "hash": fit.data.hash},
    }  # fmt: skip
