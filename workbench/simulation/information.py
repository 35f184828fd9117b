"""What a design can tell: the expected information, standard errors, and the power to find a covariate effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.checks import one_of, share, whole
from workbench.data import GroupedData
from workbench.engine.information import expansions
from workbench.engine.information import information as of_subject
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.scale import Scale
from workbench.errors import FitError, ModelError
from workbench.markup.numbers import counted, percent, short
from workbench.markup.printed import COLOURS, figure_class
from workbench.markup.shown import Shown
from workbench.methods import Approximation
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.design import Design, design_of
from workbench.simulation.people import problem_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

KINDS = ("reduced", "full")
METHODS = (Approximation.FO.value, Approximation.FOCE.value)
_FLAT = 1e-12  # eigenvalue of an information matrix with unit diagonal: what is less is rounding
_OPTIMISTIC = 0.7
_POOR = 50.0  # per cent: standard errors above are said


@dataclass(frozen=True, eq=False, repr=False)
class Information(Shown):
    """The expected information of a design.

    Attributes
    ----------
    names : tuple of str
        Estimates that are not fixed, as in `FitResult.estimates`; k of them.
    values : float64[k]
        Natural scale.
    by_value : float64[k, k]
        Information on them: typical values, standard deviations, correlations, residual errors.
    variance_names : tuple of str
    by_variance : float64[k, k]
        Information on typical values, variances ω² (and covariances) and residual variances σ², as PFIM and PopED
        print it.
    subjects : int
    kind, method : str
    error : float
        Monte Carlo standard error of log det; 0 in first order.
    code : str
        Python that makes it.
    remarks : tuple of str
        What is to be known before the numbers are believed.
    """

    names: tuple[str, ...]
    values: Array
    by_value: Array
    variance_names: tuple[str, ...]
    by_variance: Array
    subjects: int
    kind: str
    method: str
    error: float
    code: str = field(repr=False)
    remarks: tuple[str, ...] = ()

    @property
    def matrix(self) -> pd.DataFrame:
        """Information on typical values, ω² and σ²."""
        import pandas as pd

        names = list(self.variance_names)
        return pd.DataFrame(self.by_variance, index=names, columns=names)

    @property
    def determinant(self) -> float:
        """Of `matrix`."""
        return float(np.linalg.det(self.by_variance))

    @property
    def log_determinant(self) -> float:
        """Its logarithm, -inf where the matrix is singular."""
        return log_determinant(self.by_value)

    @cached_property
    def flat(self) -> str:
        """Names of estimates that the design does not determine; empty where it determines all."""
        size = np.sqrt(np.maximum(np.diag(self.by_value), 0.0))
        nothing = [name for name, one in zip(self.names, size, strict=True) if not one > 0]
        if nothing:
            return ", ".join(nothing)
        values, vectors = np.linalg.eigh(self.by_value / np.outer(size, size))
        if values[0] > _FLAT:
            return ""
        along = np.abs(vectors[:, 0])
        return ", ".join(name for name, one in zip(self.names, along, strict=True) if one > 0.3 * along.max())

    @cached_property
    def covariance(self) -> Array:
        """Predicted covariance of the estimates, float64[k, k]; NaN where the design does not determine them."""
        if self.flat:
            return np.full_like(self.by_value, np.nan)
        size = np.sqrt(np.diag(self.by_value))
        return np.asarray(np.linalg.inv(self.by_value / np.outer(size, size)) / np.outer(size, size))

    @cached_property
    def table(self) -> pd.DataFrame:
        """By estimate: value, and predicted se and rse (per cent)."""
        import pandas as pd

        se = np.sqrt(np.diag(self.covariance))
        with np.errstate(divide="ignore", invalid="ignore"):
            rse = np.where(self.values != 0, 100 * se / np.abs(self.values), np.nan)
        return pd.DataFrame({"value": self.values, "se": se, "rse": rse}, index=pd.Index(list(self.names), name="name"))

    @property
    def sentence(self) -> str:
        """What the design determines, and how well."""
        how = "first order" if self.method == Approximation.FO else "at simulated random effects"
        parts = [f"Expected information of {counted(self.subjects, 'subject')}, {self.kind}, {how}."]
        if self.flat:
            parts.append(f"The design does not determine {self.flat}: it needs other times, doses or people.")
            return " ".join(parts)
        rse = self.table["rse"]
        poor = [f"{name} ({value:.0f} %)" for name, value in rse.items() if value > _POOR]
        worst = f"The largest predicted relative standard error is {rse.max():.1f} %, of {rse.idxmax()}."
        parts.append(f"Poorly determined: {', '.join(poor)}." if poor else worst)
        return " ".join([*parts, *self.remarks])

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, self.table]

    def power(self, effect: str, alpha: float = 0.05) -> EffectPower:
        """The power of Wald's test to find a covariate effect, and how many subjects a certain power needs.

        The effect has the value that the model states. With λ = βᵀ Σ⁻¹ β and Σ the predicted covariance of its k
        coefficients, the power is 1 - F(χ²_{1-α}(k); k, λ), F that of the noncentral χ² (Retout, Comets, Samson &
        Mentré 2007, Stat Med 26:5162); λ grows with the number of subjects.

        Parameters
        ----------
        effect : str
            Name of a coefficient such as "CL:log(WT/70)", or of all those of a term.
        alpha : float

        Raises
        ------
        ModelError
            If there is no such effect, or it is 0.
        FitError
            If the design does not determine it.
        """
        alpha = share("alpha", alpha, 0.05)
        at = [k for k, name in enumerate(self.names) if name == effect or name.startswith(f"{effect}[")]
        if not at:
            known = [name for name in self.names if ":" in name]
            raise ModelError(f"There is no covariate effect {effect!r}; there are {', '.join(known) or 'none'}.")
        beta, sigma = self.values[at], self.covariance[np.ix_(at, at)]
        if not beta.any():
            raise ModelError(f"{effect} is 0 in the model: state the effect that is to be found.")
        if not np.isfinite(sigma).all():
            raise FitError(f"The design does not determine {self.flat}: there is no power to speak of.")
        return EffectPower(effect, beta, float(beta @ np.linalg.solve(sigma, beta)), alpha, self.subjects)

    def plot(self) -> Figure:
        """Predicted relative standard errors (matplotlib)."""
        figure = figure_class()(figsize=(6.4, 0.8 + 0.28 * len(self.names)), layout="constrained")
        panel = figure.subplots()
        panel.barh(list(self.names)[::-1], self.table["rse"].to_numpy()[::-1], color=COLOURS[0])
        panel.axvline(_POOR, color="#555555", linewidth=0.9, linestyle="--")
        panel.set_xlabel("predicted relative standard error [%]")
        return figure


@dataclass(frozen=True, eq=False, repr=False)
class EffectPower(Shown):
    """The power to find a covariate effect.

    Attributes
    ----------
    effect : str
    values : float64[k]
        Its coefficients.
    noncentrality : float
        λ, by as many subjects as the design has.
    alpha : float
    subjects : int
    """

    effect: str
    values: Array
    noncentrality: float
    alpha: float
    subjects: int

    @property
    def power(self) -> float:
        """With the subjects of the design."""
        return self._at(self.subjects)

    def _at(self, subjects: float) -> float:
        from scipy.stats import chi2, ncx2

        k = len(self.values)
        found = float(ncx2.sf(chi2.isf(self.alpha, k), k, self.noncentrality * subjects / self.subjects))
        return found if math.isfinite(found) else 1.0

    def subjects_for(self, power: float = 0.9) -> int:
        """How many subjects, of the same kinds in the same shares, give at least this power."""
        power = share("power", power, 0.9)
        high = 1
        while self._at(high) < power:
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._at(middle) >= power else (middle, high)
        return high

    @property
    def table(self) -> pd.DataFrame:
        """Power by the number of subjects."""
        import pandas as pd

        most = self.subjects_for(0.99)
        counts = np.unique([*np.linspace(2, max(most, self.subjects), 12).astype(int), self.subjects])
        return pd.DataFrame({"power": [self._at(int(n)) for n in counts]}, index=pd.Index(counts, name="subjects"))

    @property
    def sentence(self) -> str:
        """The power, and what 80 % and 90 % need."""
        return (
            f"{self.effect} = {', '.join(short(v) for v in self.values)} is found with a power of "
            f"{percent(self.power, 1)} by {counted(self.subjects, 'subject')} (Wald, α = {self.alpha:g}); 80 % need "
            f"{self.subjects_for(0.8)}, 90 % {self.subjects_for(0.9)}."
        )

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        return [self.sentence, self.table]

    @property
    def code(self) -> str:
        """Python that makes it, given `information`."""
        alpha = f", alpha={self.alpha!r}" if self.alpha != 0.05 else ""
        return f"information.power({self.effect!r}{alpha})"

    def plot(self) -> Figure:
        """Power against the number of subjects (matplotlib)."""
        figure = figure_class()(figsize=(6.4, 3.4), layout="constrained")
        panel = figure.subplots()
        panel.plot(self.table.index, self.table["power"], color=COLOURS[0])
        panel.plot([self.subjects], [self.power], "o", color=COLOURS[1])
        for level in (0.8, 0.9):
            panel.axhline(level, color="#555555", linewidth=0.9, linestyle="--")
        panel.set_ylim(0, 1.02)
        panel.set_xlabel("subjects")
        panel.set_ylabel(f"power to find {self.effect}")
        return figure


def information(
    model: Model | FitResult,
    design: Design | Sequence[Design] | GroupedData,
    *,
    kind: str = "reduced",
    method: str = "fo",
    replicates: int = 1000,
    seed: int = 1,
) -> Information:
    """The expected Fisher information of a design under a model.

    Parameters
    ----------
    model : Model or FitResult
        At the values that are expected.
    design : Design, list of Design, or GroupedData
        Of data, doses, times and covariates are taken, observations are not looked at.
    kind : {"reduced", "full"}
        "reduced" takes the variance not to depend on the typical values, so that the matrix has two blocks; its
        standard errors are near to those that fits to simulated data have. "full" is what the linear model says: where
        a random effect is large it takes the spread of the curves to tell the typical value, which it does not
        (absorption in the warfarin example of Nyberg et al. 2015: 4.8 % full, 13.9 % reduced, 14.2 % in simulations).
    method : {"fo", "foce"}
        The model made linear around η = 0, or around random effects that are drawn, whose matrices are averaged.
    replicates, seed : int
        Of these draws.

    Returns
    -------
    Information

    Raises
    ------
    ModelError
        If model and design do not fit together.
    FitError
        If predictions are not numbers.

    Examples
    --------
    >>> import workbench as wb
    >>> values = [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 20.0, iiv=0.2)]
    >>> model = wb.Model(wb.pk(), values, error=wb.Proportional(0.1))
    >>> found = wb.information(model, wb.Design(wb.Regimen(100), times=[1, 8, 24], subjects=30))
    >>> found.table.index.tolist()
    ['CL', 'V', 'iiv_CL', 'iiv_V', 'b']
    >>> bool((found.table["rse"] < 20).all())
    True
    """
    one_of("kind", kind, KINDS)
    one_of("method", method, METHODS)
    replicates, seed = whole("replicates", replicates, 2), whole("seed", seed)
    if not isinstance(model, Model | FitResult):
        raise ModelError(f"The first argument is a wb.Model(…) or a fit, got {type(model).__name__}.")
    if isinstance(design, GroupedData):
        data, count = design, np.ones(len(design.events.subjects), dtype=np.int64)
    else:
        data, count, _ = design_of(design).kinds()
    problem, _ = problem_for(model, data)
    if problem.scale.fixed.all():
        raise ModelError("Everything in the model is fixed: there is nothing to be estimated.")
    eta = random_effects(problem, method, replicates, seed)
    point = problem.scale.point(problem.x)
    each, block = np.zeros((2, len(eta), problem.scale.size, problem.scale.size))
    for subjects, at in zip(count.tolist(), expansions(problem, point, eta), strict=True):
        block += subjects * of_subject(problem, point, at, reduced=True)
        if kind == "full":
            each += subjects * of_subject(problem, point, at, reduced=False)
    if kind == "reduced":
        each = block
    if not np.isfinite(each).all():
        raise FitError(
            "The information cannot be computed: predictions of the design are no numbers, or their variance is 0 "
            "(a proportional error where nothing is there yet, at time 0 say)."
        )
    said = [f"kind={kind!r}" if kind != "reduced" else "", f"method={method!r}" if method != Approximation.FO else ""]
    code = f"wb.information({', '.join(['model', 'design', *filter(None, said)])})"
    found = _reported(problem.scale, problem.x, each, int(count.sum()), kind, method, code)
    if kind == "reduced" or found.flat:
        return found
    other = _reported(problem.scale, problem.x, block, int(count.sum()), "reduced", method, code)
    return replace(found, remarks=_optimistic(found, other))


def _optimistic(full: Information, reduced: Information) -> tuple[str, ...]:
    """Says where the full matrix promises much more than the reduced one."""
    pairs = zip(full.names, full.table["rse"], reduced.table["rse"], strict=True)
    far = [f"{name} ({a:.1f} % instead of {b:.1f} %)" for name, a, b in pairs if not a > _OPTIMISTIC * b]
    if not far:
        return ()
    return (f"The full matrix is far more hopeful than the reduced one, which fits bear out, for {', '.join(far)}.",)


def random_effects(problem: Problem, method: str, replicates: int, seed: int) -> Array:
    """Where the model is made linear, float64[S, N, Q]."""
    shape = (problem.n_subjects, problem.n_random)
    if method == Approximation.FO or not problem.n_random:
        return np.zeros((1, *shape))
    z = np.random.default_rng(seed).standard_normal((replicates // 2, *shape))
    return np.concatenate([z, -z]) @ problem.scale.point(problem.x).L.T  # antithetic: odd terms cancel


def log_determinant(matrix: Array) -> float:
    """log det of an information matrix; -inf where it is singular."""
    return float(log_determinants(matrix[None])[0])


def log_determinants(matrices: Array) -> Array:
    """log det of information matrices[k, ...], float64[k]; -inf where they are singular."""
    with np.errstate(all="ignore"):
        size = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
        scaled = matrices / (size[:, :, None] * size[:, None, :])
        good = np.isfinite(scaled).all(axis=(1, 2))
        values = np.linalg.eigvalsh(np.where(good[:, None, None], scaled, np.eye(size.shape[1])))
        found = np.log(values).sum(axis=1) + 2 * np.log(size).sum(axis=1)
        return np.where(good & (values[:, 0] > _FLAT), found, -np.inf)


def _reported(scale: Scale, x: Array, each: Array, subjects: int, kind: str, method: str, code: str) -> Information:
    free = ~scale.fixed
    jacobian = scale.jacobian(x)
    names, by_variance = _variances(scale, x, jacobian)
    total = each.mean(axis=0)
    error = 0.0
    if len(each) > 1 and np.isfinite(log_determinant(total)):
        pairs = 0.5 * (each[: len(each) // 2] + each[len(each) // 2 :])
        share_of = np.einsum("ab,sba->s", np.linalg.inv(total), pairs)
        error = float(share_of.std(ddof=1) / math.sqrt(len(pairs))) if len(pairs) > 1 else math.nan

    def on(slopes: Array) -> Array:
        back = np.linalg.inv(slopes)
        return np.asarray(back.T @ total @ back)

    return Information(
        names=tuple(q.label for q, is_free in zip(scale.quantities, free, strict=True) if is_free),
        values=scale.estimates(x)[free], by_value=on(jacobian[free]), variance_names=names,
        by_variance=on(by_variance), subjects=subjects, kind=kind, method=method, error=error, code=code,
    )  # fmt: skip


def _variances(scale: Scale, x: Array, jacobian: Array) -> tuple[tuple[str, ...], Array]:
    """Typical values, variances and covariances that are free, and their derivatives by x."""
    values = scale.estimates(x)
    at = {q.label: k for k, q in enumerate(scale.quantities)}
    deviations = {entry.label for entry in scale.errors if entry.is_deviation}
    names: list[str] = []
    rows: list[Any] = []
    for k, quantity in enumerate(scale.quantities):
        if scale.fixed[k]:
            continue
        label, slope = quantity.label, jacobian[k]
        if quantity.kind in ("iiv", "iov") or label in deviations:
            label, slope = f"{label}^2", 2.0 * values[k] * slope
        elif quantity.kind == "correlation":
            level = "iov" if label.startswith("corr_iov_") else "iiv"
            a, b = (at[f"{level}_{name}"] for name in quantity.of)
            slope = values[a] * values[b] * slope + values[k] * (values[a] * jacobian[b] + values[b] * jacobian[a])
            label = label.replace("corr", "cov", 1)
        names.append(label)
        rows.append(slope)
    return tuple(names), np.array(rows).reshape(len(rows), scale.size)
