"""What a screen found: a frozen table that draws itself, and turns its lines into models and code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.checks import is_whole, whole
from workbench.errors import ModelError
from workbench.markup import Html, Recorded, frame_text, interval, joined, short, tag
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.screening.covariates import Refusal, UsableCovariate
from workbench.screening.joint import correlations, forward_selection, penalised_path, variance_inflation

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Which = Literal["p", "p_corrected", "p_sampled", "p_sampled_corrected"]

_STRONGEST = 8.0  # -log10 p of the deepest colour


class Contrast(NamedTuple):
    """The effect of going from one value of a covariate to another, with its 95 % interval."""

    low: Any
    high: Any
    effect: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Tested:
    """One line of a screen; see `Screening.table`."""

    parameter: str
    covariate: str
    shape: str
    n: int
    df: int
    coefficients: tuple[float, ...]
    p: float
    p_sampled: float
    r2: float
    psi_drop: float
    rho: float
    rho_p: float
    scale: Literal["ratio", "difference"]
    contrasts: tuple[Contrast, ...]
    shrinkage: float
    trustworthy: bool
    modelled: bool
    remarks: tuple[str, ...]
    p_corrected: float = math.nan
    p_sampled_corrected: float = math.nan

    @property
    def label(self) -> str:
        """By which `Screening.table` names it."""
        return f"{self.parameter} ~ {self.covariate} ({self.shape})"

    @property
    def largest(self) -> Contrast:
        """The contrast that is farthest from none."""
        none = 1.0 if self.scale == "ratio" else 0.0
        return max(self.contrasts, key=lambda c: abs(math.log(c.effect) if none and c.effect > 0 else c.effect - none))


@dataclass(frozen=True, eq=False, repr=False)
class Screening(Recorded):
    """Covariates tested on random effects.

    Attributes
    ----------
    fit : FitResult
        The fit whose random effects were screened.
    rows : tuple of Tested
        By p, smallest first; `table` has the same.
    refused : tuple of (name, reason)
        Covariates and parameters that could not be screened.
    candidates : tuple of UsableCovariate
        Covariates that were.
    etas : dict of str to float64[N]
        Modes of the random effects by parameter, NaN for a subject that is left out.
    correction : str
    draws : int
        Samples of the conditional distribution.
    remarks : tuple of str
        What else is to be said.
    """

    fit: FitResult
    rows: tuple[Tested, ...]
    refused: tuple[Refusal, ...]
    candidates: tuple[UsableCovariate, ...]
    etas: Mapping[str, Array] = field(repr=False)
    correction: str
    draws: int
    remarks: tuple[str, ...]

    # -- tables ------------------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each test, smallest p first.

        ======================== =================================================================================
        parameter, covariate,    What was tested; the index names it.
        shape
        n, df                    Subjects, and coefficients of the covariate.
        p, p_corrected           That of F of the regression; corrected for the number of rows.
        p_sampled,               The same on samples of the conditional distribution.
        p_sampled_corrected
        r2                       Of the regression of the modes.
        psi_drop                 Per cent of the variance Ψ that is expected to go: adjusted R² / (1 - shrinkage of
                                 the variance).
        rho, rho_p               Spearman's rank correlation, of numbers and of two levels.
        effect, lower, upper     The effect of going from `low` to `high` with its 95 % interval: a ratio for a
                                 log-normal parameter, else a difference on the transformed scale, see `scale`. Of
                                 the modes, which shrinkage pulls towards none.
        low, high                5 and 95 % points; of a category the reference, and the level that differs most.
        shrinkage, trustworthy   Per cent, of the standard deviation; whether it is not above 30.
        modelled                 Whether the covariate acts on the parameter already: what is left is tested.
        remarks                  About the covariate.
        ======================== =================================================================================
        """
        import pandas as pd

        records = []
        for row in self.rows:
            record = {name: getattr(row, name) for name in _COLUMNS if name in Tested.__dataclass_fields__}
            records.append(record | row.largest._asdict() | {"remarks": " ".join(row.remarks)})
        index = pd.Index([row.label for row in self.rows], name="test")
        return pd.DataFrame(records, index=index, columns=list(_COLUMNS))

    @property
    def correlations(self) -> pd.DataFrame:
        """How the covariates go together; see `workbench.screening.joint.correlations`."""
        return correlations(self.candidates)

    @property
    def vif(self) -> pd.Series[Any]:
        """Variance inflation factor of each covariate; see `workbench.screening.joint.variance_inflation`."""
        return variance_inflation(self.candidates)

    @cached_property
    def multivariable(self) -> pd.DataFrame:
        """Regressions on several covariates, built forwards by BIC; see `joint.forward_selection`."""
        return forward_selection(self.etas, self.candidates, self.scope)

    def _terms(self, parameter: str) -> list[tuple[str, str]]:
        return [(row.covariate, row.shape) for row in self.rows if row.parameter == parameter]

    def path(self, parameter: str, l1: float = 1.0, points: int = 20) -> pd.DataFrame:
        """Coefficients of all covariates together as a penalty is relaxed: lasso, or elastic net for l1 below 1.

        Each covariate in its shape of the smallest p. See `workbench.screening.joint.penalised_path`.

        Raises
        ------
        ModelError
            If the parameter was not screened, or l1 is not above 0 and at most 1.
        """
        if not 0 < l1 <= 1:
            raise ModelError(f"l1={l1!r}; a number above 0 and at most 1 is needed.")
        points = whole("points", points, 2)
        best: dict[str, str] = {}
        for covariate, shape in self._terms(self._parameter(parameter)):
            best.setdefault(covariate, shape)
        return penalised_path(self.etas[parameter], self.candidates, list(best.items()), l1, points)

    def lowess(self, parameter: str, covariate: str, frac: float = 2 / 3) -> pd.DataFrame:
        """Random effects along a covariate, with a smooth curve by locally weighted regression (Cleveland 1979).

        Parameters
        ----------
        parameter, covariate : str
            The covariate holds numbers.
        frac : float
            Share of the subjects that each point of the curve rests on.

        Returns
        -------
        DataFrame
            covariate, eta, smooth, in order of the covariate; the index names the subjects.
        """
        import pandas as pd

        eta = self.etas[self._parameter(parameter)]
        found = [c for c in self.candidates if c.name == covariate and c.kind == "continuous"]
        if not found:
            known = ", ".join(c.name for c in self.candidates if c.kind == "continuous") or "none"
            raise ModelError(f"{covariate!r} is no screened covariate that holds numbers; there are {known}.")
        if not 0 < frac <= 1:
            raise ModelError(f"frac={frac!r}; a number above 0 and at most 1 is needed.")
        x = found[0].baseline
        at = np.flatnonzero(np.isfinite(x) & np.isfinite(eta))
        at = at[np.argsort(x[at], kind="stable")]
        smooth = smoothed(x[at], eta[at], frac)
        subjects = pd.Index([self.fit.data.events.subjects[i] for i in at], name="subject")
        return pd.DataFrame({covariate: x[at], "eta": eta[at], "smooth": smooth}, index=subjects)

    def _parameter(self, name: str) -> str:
        if name not in self.etas:
            raise ModelError(f"{name!r} was not screened; {', '.join(self.etas) or 'no parameter'} was.")
        return name

    @property
    def scope(self) -> dict[str, list[tuple[str, str]]]:
        """What was tested, as `linearised_screen` and `stepwise` take it."""
        return {name: self._terms(name) for name in self.etas}

    # -- what figures draw -------------------------------------------------------------------------------------

    def best(self) -> dict[tuple[str, str], Tested]:
        """The row of the smallest p by parameter and covariate."""
        found: dict[tuple[str, str], Tested] = {}
        for row in self.rows:
            found.setdefault((row.parameter, row.covariate), row)
        return found

    @cached_property
    def strongest(self) -> tuple[str, ...]:
        """The covariates, in order of their smallest p."""
        p = {c.name: min((r.p for r in self.rows if r.covariate == c.name), default=1.0) for c in self.candidates}
        return tuple(sorted(p, key=lambda name: p[name]))

    def heatmap(self, which: Which = "p") -> pd.DataFrame:
        """Parameters × covariates: p of the shape of the smallest p, or another column of it; NaN where not tested.

        Covariates are in order of their smallest p.
        """
        import pandas as pd

        best, covariates = self.best(), list(self.strongest)
        values = [[getattr(best[p, c], which) if (p, c) in best else np.nan for c in covariates] for p in self.etas]
        shape = (len(self.etas), len(covariates))
        return pd.DataFrame(np.array(values, float).reshape(shape), index=list(self.etas), columns=covariates)

    def forest(self) -> pd.DataFrame:
        """Effects with their intervals, a row for each contrast of the best shape of each parameter and covariate.

        Columns: parameter, covariate, shape, low, high, effect, lower, upper, scale, p, trustworthy; in the order of
        the parameters, for each of them by p.
        """
        import pandas as pd

        order = list(self.etas)
        best = sorted(self.best().values(), key=lambda row: order.index(row.parameter))
        records = [
            {"parameter": row.parameter, "covariate": row.covariate, "shape": row.shape, **contrast._asdict(),
             "scale": row.scale, "p": row.p, "trustworthy": row.trustworthy}
            for row in best for contrast in row.contrasts
        ]  # fmt: skip
        columns = ["parameter", "covariate", "shape", *Contrast._fields, "scale", "p", "trustworthy"]
        return pd.DataFrame(records, columns=columns)

    # -- acts --------------------------------------------------------------------------------------------------

    def row(self, which: int | str) -> Tested:
        """A row by its label in `table` or its position.

        Raises
        ------
        ModelError
            If there is none.
        """
        if isinstance(which, str):
            found = [row for row in self.rows if row.label == which]
            if found:
                return found[0]
        elif is_whole(which) and -len(self.rows) <= which < len(self.rows):
            return self.rows[which]
        some = f"such as {self.rows[0].label!r}" if self.rows else "of which there are none"
        raise ModelError(f"There is no row {which!r}; a row is a position below {len(self.rows)} or a label, {some}.")

    def apply(self, which: int | str) -> Model:
        """The model of the fit with the effect of a row added, ready to be fitted; starts at the fit's estimates.

        Raises
        ------
        ModelError
            If there is no such row, or the model has this very effect already.
        """
        row = self.row(which)
        return self.fit.model.with_covariate(row.parameter, row.covariate, shape=row.shape)

    def code(self, which: int | str) -> str:
        """The line of Python that `apply` stands for."""
        row = self.row(which)
        return f"model = model.with_covariate({row.parameter!r}, {row.covariate!r}, shape={row.shape!r})"

    # -- reading -----------------------------------------------------------------------------------------------

    def _head(self) -> str:
        return (
            f"Screen of {len(self.candidates)} covariates on {', '.join(self.etas) or 'no parameter'}: "
            f"{len(self.rows)} tests, p corrected by {self.correction!r}"
        )

    def _notes(self) -> list[str]:
        notes = list(self.remarks)
        shrunk = {row.parameter: row.shrinkage for row in self.rows if not row.trustworthy}
        if shrunk:
            listed = ", ".join(f"{name} {value:.0f} %" for name, value in shrunk.items())
            notes.append(f"Shrinkage makes p untrustworthy: {listed}. Look at p_sampled, and at the likelihood.")
        notes += [f"{c.name}: {' '.join(c.remarks)}" for c in self.candidates if c.remarks]
        notes += [f"Not screened: {name}. {reason}" for name, reason in self.refused]
        return notes

    def __repr__(self) -> str:
        lines = [self._head()]
        if self.rows:
            columns = ["p", "p_corrected", "p_sampled", "r2", "effect", "lower", "upper", "shrinkage"]
            lines.append(frame_text(self.table[columns].head(20), 3))
            if len(self.rows) > 20:
                lines.append(f"… and {len(self.rows) - 20} more in `table`.")
        return "\n".join([*lines, *self._notes()])

    def _repr_html_(self) -> str:
        """Parameters × covariates, coloured by p; below it remarks and what was refused."""
        best, columns = self.best(), list(self.strongest)
        side = "text-align:left;white-space:nowrap"
        lines = [tag("tr", tag("th"), *(tag("th", name, style=_CELL) for name in columns))]
        for name in self.etas:
            shrunk = next((row.shrinkage for row in self.rows if row.parameter == name and not row.trustworthy), None)
            mark = "" if shrunk is None else joined(" ", tag("small", f"⚠ shrinkage {shrunk:.0f} %"))
            cells = [_cell(best.get((name, covariate))) for covariate in columns]
            lines.append(tag("tr", tag("th", name, mark, style=side), *cells))
        legend = "p of the best shape, not corrected"
        legend += "; in brackets on samples of the conditional distribution" if self.draws else ""
        legend += "; * acts already" if any(row.modelled for row in self.rows) else ""
        return tag(
            "div",
            tag("b", self._head()),
            tag("table", *lines),
            tag("div", tag("i", legend)),
            *(tag("div", note) for note in self._notes()),
            style="overflow-x:auto",
        )


def smoothed(x: Array, y: Array, frac: float = 2 / 3) -> Array:
    """A smooth curve through points by locally weighted regression (Cleveland 1979), at each of them."""
    from statsmodels.nonparametric.smoothers_lowess import lowess

    found: Array = lowess(y, x, frac=frac, return_sorted=False)
    return found


_COLUMNS = (
    "parameter", "covariate", "shape", "n", "df", "p", "p_corrected", "p_sampled", "p_sampled_corrected", "r2",
    "psi_drop", "rho", "rho_p", "effect", "lower", "upper", "low", "high", "scale", "shrinkage", "trustworthy",
    "modelled", "remarks",
)  # fmt: skip


_CELL = "padding:2px 8px;text-align:center;white-space:nowrap"


def _cell(row: Tested | None) -> Html:
    if row is None:
        return tag("td", "–", style=_CELL)
    depth = min(-math.log10(max(row.p, 1e-300)) / _STRONGEST, 1.0) if math.isfinite(row.p) else 0.0
    sampled = joined(f"({short(row.p_sampled, 2)})", tag("br")) if math.isfinite(row.p_sampled) else ""
    effect = row.largest
    about = (
        f"{row.label}: {short(effect.low, 3)} → {short(effect.high, 3)}" if isinstance(effect.low, float) else row.label
    )
    about += f", {row.scale} {short(effect.effect, 3)} ({interval(effect.lower, effect.upper, 3)})"
    return tag(
        "td",
        short(row.p, 2) + " *" * row.modelled,
        tag("br"),
        tag("small", sampled, row.shape),
        style=f"{_CELL};background:rgba(214,96,77,{0.75 * depth:.2f})",
        title=about,
    )
