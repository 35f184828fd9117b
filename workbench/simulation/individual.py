"""One patient: the random effects that a few samples speak for, and how uncertain they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objectives.objective import Objective
from workbench.engine.predict import curves
from workbench.engine.predictions.jets import untransform
from workbench.engine.problem.compile import compile
from workbench.errors import FitError, ModelError
from workbench.markup.numbers import counted
from workbench.markup.printed import COLOURS, figure_class, in_unit
from workbench.markup.shown import Shown
from workbench.methods import Approximation, method_of
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.levels import for_others
from workbench.simulation.replicates import model_of
from workbench.simulation.units import units_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_Z = 1.959963984540054  # of a 95 % interval
_LITTLE = 0.9  # of the standard deviation between people: what is left then was hardly informed
_POINTS = 200


@dataclass(frozen=True, eq=False, repr=False)
class Individual(Shown):
    """A patient's own parameters, as far as its samples tell.

    Attributes
    ----------
    model : Model
        At the estimates of the fit.
    data : GroupedData
        The patient.
    fitted : GroupedData, optional
        What the model was fitted to.
    here : Model
        The model as it is for this patient's covariates.
    effects : float64[Q']
        The mode, random effects of occasions included.
    names : tuple of str
        Parameters with a random effect between subjects.
    mode : float64[Q]
        The most likely random effects (MAP), on the transformed scale.
    covariance : float64[Q, Q]
        Of the random effects given the samples: the inverse of the curvature at the mode.
    spread : float64[Q]
        Standard deviations between people, without the samples.
    parameters, typical : float64[P]
        Of the structure, at the first record: for this patient, and for the typical one with its covariates.
    lower, upper : float64[P]
        95 % interval, symmetric on the transformed scale; equal where a parameter has no random effect.
    covariates : dict
        As they were last.
    samples : int
    remarks : tuple of str
    code : str
        Python that makes it, given `fit` and `patient`.
    """

    model: Model
    data: GroupedData
    fitted: GroupedData | None
    here: Model
    effects: Array
    names: tuple[str, ...]
    mode: Array
    covariance: Array
    spread: Array
    parameters: Array
    typical: Array
    lower: Array
    upper: Array
    covariates: dict[str, Any]
    samples: int
    remarks: tuple[str, ...] = ()
    code: str = field(default="wb.individualise(fit, patient)", repr=False)

    @cached_property
    def units(self) -> dict[str, str]:
        """Of time, amount, response and covariates, as the data say them that were fitted and those of the patient."""
        return units_of(self.model, self.data, self.fitted)

    @cached_property
    def factor(self) -> Array:
        """F with F Fᵀ = `covariance`, float64[Q, Q]."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))

    @cached_property
    def table(self) -> pd.DataFrame:
        """By parameter: estimate, lower, upper (95 %), typical; eta, its se, and which share of the spread that is."""
        import pandas as pd

        at = {name: k for k, name in enumerate(self.names)}
        se = np.sqrt(np.diag(self.covariance))
        names = self.model.structure.names

        def by_parameter(values: Array) -> list[float]:
            return [float(values[at[name]]) if name in at else np.nan for name in names]

        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {
                "estimate": self.parameters, "lower": self.lower, "upper": self.upper, "typical": self.typical,
                "eta": by_parameter(self.mode), "se": by_parameter(se), "share": by_parameter(se / self.spread),
            }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(list(names), name="parameter"))

    @property
    def sentence(self) -> str:
        """What the samples told."""
        subject = self.data.events.subjects[0]
        parts = [f"Subject {subject}, by {counted(self.samples, 'sample')}: the most likely parameters (MAP)."]
        return " ".join([*parts, *self.remarks])

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, self.table]

    def plot(self) -> Figure:
        """The samples with the curve of this patient and the typical one (matplotlib)."""
        figure = figure_class()(figsize=(6.4, 3.6), layout="constrained")
        panel = figure.subplots()
        prepared = curves(self.here, self.data, points=_POINTS)
        own = prepared.individual(self.here, self.effects[None])[0]
        panel.plot(prepared.time[0], prepared.population(self.here)[0], "--", color="#888888", label="typical")
        panel.plot(prepared.time[0], own, color=COLOURS[0], label="this patient")
        events = self.data.events
        panel.plot(events.time[events.observed], events.dv[events.observed], "o", color=COLOURS[1], label="samples")
        panel.set_xlabel(f"time{in_unit(self.units.get('time'))}")
        panel.set_ylabel(f"{self.model.structure.responses[0]}{in_unit(self.units.get('response'))}")
        panel.legend(frameon=False, fontsize=8)
        return figure


def individualise(fit: FitResult | Model, patient: GroupedData) -> Individual:
    """The most likely parameters of one patient, given a model of the population and a few samples (MAP).

    The random effects are the mode of l_i(η) = Σ_j [(y - f)²/R + log R] + ηᵀΨ⁻¹η, as in a fit by FOCEI (by FOCE where
    the fit was: R at η = 0); their covariance is 2 (∂²l/∂η²)⁻¹ there. The population is taken as known.

    Parameters
    ----------
    fit : FitResult or Model
    patient : GroupedData
        One subject, its doses, samples and covariates, as `read_data` gives them.

    Returns
    -------
    Individual

    Raises
    ------
    ModelError
        If there are several subjects, or the model has no random effects.
    FitError
        If the mode cannot be found.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), data)
    >>> patient = data.filter("ID == 3 and (TIME < 4 or TIME > 20)")
    >>> bool(wb.individualise(fit, patient).table.loc["CL", "estimate"] > 0)
    True
    """
    model = model_of(fit)
    if not isinstance(patient, GroupedData):
        raise ModelError(
            f"The second argument is data of one patient, as wb.read_data(…) gives them, got {patient!r:.60}."
        )
    subjects = patient.events.subjects
    if len(subjects) != 1:
        raise ModelError(
            f"There are {len(subjects)} subjects; one is needed: patient.filter(…) takes one of them, "
            "and fit.etas has those of the fit."
        )
    if not model.random_effects:
        raise ModelError(
            "The model has no random effects between subjects: nobody differs from the typical patient but by "
            "covariates."
        )
    approximation, remarks = _approximation(fit)
    fitted = fit.data if isinstance(fit, FitResult) else None
    absent = [name for name in model.columns if name not in patient.content.frame.columns]
    if absent:
        raise ModelError(f"The model needs {', '.join(absent)}, which is no column of the patient's data.")
    here = for_others(model, fitted, patient)
    problem = compile(here, patient, likelihood=bool(patient.events.observed.any()))
    point = problem.scale.point(problem.x)
    n, samples = len(problem.scale.subject.names), len(problem.y)
    spread = np.linalg.norm(point.L[:n, :n], axis=1)
    psi = point.L @ point.L.T
    if samples:
        objective = Objective(problem, approximation)
        at = objective.deepen(objective.evaluate(problem.x))
        if not np.isfinite(at.eta).all() or not np.isfinite(at.depth).all():
            raise FitError(
                "The most likely parameters of this patient cannot be computed: the predictions are not numbers."
            )
        eta, known = at.eta, objective.basins(at, most=0)[0].spread[0]
        spread_factor = point.L @ known
        covariance = spread_factor @ spread_factor.T
    else:
        eta, covariance = np.zeros((1, problem.n_random)), psi
        remarks.append("There are no samples: this is the typical patient, as uncertain as people differ.")
    if samples and (np.sqrt(np.diag(covariance)[:n]) > _LITTLE * spread).all():
        remarks.append("The samples say hardly more than the population does.")
    names = problem.scale.subject.names
    lower, upper = _limits(problem, point, eta, covariance)
    return Individual(
        model=model, data=patient, fitted=fitted, here=here, effects=eta[0], names=names,
        mode=eta[0, :n], covariance=covariance[:n, :n],
        spread=spread, parameters=problem.parameters(point, eta)[0], typical=problem.parameters(point)[0],
        lower=lower, upper=upper, covariates=_last(patient, model), samples=samples, remarks=tuple(remarks),
    )  # fmt: skip


def _approximation(fit: FitResult | Model) -> tuple[Approximation, list[str]]:
    """Which l_i is meant, and what there is to say."""
    remarks = []
    if isinstance(fit, FitResult):
        if not fit.converged:
            remarks.append(f"The population is not to be relied on: {fit.status.value}")
        if method_of(fit.method).approximation is Approximation.FOCE:
            return Approximation.FOCE, remarks
    return Approximation.FOCEI, remarks


def _limits(problem: Any, point: Any, eta: Array, covariance: Array) -> tuple[Array, Array]:
    """95 % intervals of the parameters on the first design row, symmetric on the transformed scale."""
    layout = problem.layout
    row = layout.row[problem.schedule.start[0]]
    slope = layout.C[row] @ layout.B[0]  # of z by η, [P, Q]
    se = np.sqrt(np.maximum(np.einsum("pq,qr,pr->p", slope, covariance, slope), 0.0))
    u = layout.mean(point.theta)[0][0] + layout.B[0] @ eta[0]
    z = layout.offset[row] + layout.C[row] @ u

    def natural(z: Array) -> Array:
        parts = zip(z.tolist(), layout.transform, layout.lower, layout.upper, strict=True)
        return np.array([untransform(value, code, low, high)[0] for value, code, low, high in parts])

    return natural(z - _Z * se), natural(z + _Z * se)


def _last(patient: GroupedData, model: Model) -> dict[str, Any]:
    """The covariates that the model needs, as they were last."""
    if not model.columns:
        return {}
    values = patient.covariate_values(model.columns).iloc[-1]
    return {
        name: value if isinstance(value, str) else float(value)
        for name, value in zip(model.columns, values.tolist(), strict=True)
    }
