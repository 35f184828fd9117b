"""Bioequivalence: the ratio of geometric means of two treatments with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import checks
from workbench.errors import DataError, Fault, WorkbenchError
from workbench.markup.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

LIMITS = (0.80, 1.25)
DESIGNS = ("crossover", "parallel")


@dataclass(frozen=True, eq=False, repr=False)
class Equivalence(Shown):
    """The ratio test / reference of one quantity.

    Attributes
    ----------
    parameter, test, reference, design : str
    ratio, lower, upper : float
        Geometric mean ratio and its interval; not in per cent.
    level : float
        Of the interval; 0.90 is two one-sided tests at 5 % (Schuirmann 1987, J Pharmacokinet Biopharm 15:657).
    limits : (float, float)
    cv : float
        Per cent, √(exp(s²) - 1): within subjects for a crossover, between subjects for parallel groups.
    df : float
        Degrees of freedom of s².
    n : dict of str to int
        Subjects by treatment.
    left_out : tuple of str
        Who could not be used, and why.
    """

    parameter: str
    test: str
    reference: str
    design: str
    ratio: float
    lower: float
    upper: float
    level: float
    limits: tuple[float, float]
    cv: float
    df: float
    n: dict[str, int]
    left_out: tuple[str, ...] = ()

    @property
    def equivalent(self) -> bool:
        """Whether the interval lies within the limits."""
        return self.limits[0] <= self.lower and self.upper <= self.limits[1]

    @property
    def table(self) -> pd.DataFrame:
        """The same in one row."""
        import pandas as pd

        row = {
            "test": self.test, "reference": self.reference, "ratio": self.ratio, "lower": self.lower,
            "upper": self.upper, "CV": self.cv, "df": self.df, "equivalent": self.equivalent,
        }  # fmt: skip
        return pd.DataFrame([row], index=pd.Index([self.parameter], name="quantity"))

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        verdict = "within" if self.equivalent else "not within"
        said = (
            f"{self.parameter}: {self.test} / {self.reference} {100 * self.ratio:.2f} % "
            f"({100 * self.level:g} % interval {100 * self.lower:.2f} to {100 * self.upper:.2f} %), {verdict} "
            f"{100 * self.limits[0]:g} to {100 * self.limits[1]:g} %."
        )
        return [said, *(f"Left out: {one}." for one in self.left_out), self.table]


def bioequivalence(
    values: pd.DataFrame,
    parameter: str,
    *,
    treatment: str = "treatment",
    reference: str | None = None,
    subject: str = "subject",
    period: str | None = None,
    sequence: str | None = None,
    design: str | None = None,
    level: float = 0.90,
    limits: tuple[float, float] = LIMITS,
) -> Equivalence:
    """Compare two treatments by the ratio of their geometric means.

    Parameters
    ----------
    values : DataFrame
        A row for each subject and treatment: such as `nca(…).table` with a column that names the treatment. Levels of
        the index count as columns.
    parameter : str
        Column that is compared, such as "AUClast"; above 0.
    treatment, subject : str
        Columns.
    reference : str, optional
        Label of the treatment that the other is compared to; the first in order of the labels by default.
    period, sequence : str, optional
        Columns of a crossover; the sequence is worked out from treatments by period where it is not stated.
    design : str, optional
        "crossover": log value by sequence, subject within sequence, period and treatment as fixed effects, the
        interval by the residual (EMA 2010, Guideline on the investigation of bioequivalence; FDA 2001). "parallel":
        Welch's interval of the difference of means of logs. By default a crossover where subjects have both.
    level, limits : float, (float, float)

    Returns
    -------
    Equivalence

    Raises
    ------
    DataError
        A column does not exist; there are not two treatments; values are missing or not above 0 in all rows of one.
    WorkbenchError
        An argument is none of those that are allowed.

    Examples
    --------
    >>> import pandas as pd
    >>> import workbench as wb
    >>> areas = pd.DataFrame({"subject": range(8), "treatment": ["new", "old"] * 4, "AUC": [8, 9, 7, 8, 9, 8, 8, 7.5]})
    >>> wb.bioequivalence(areas, "AUC", reference="old").equivalent
    True
    """
    import numpy as np
    import pandas as pd

    if not isinstance(values, pd.DataFrame):
        mend = "wb.nca(data).table with a column of treatments, say"
        raise DataError(Fault(f"a DataFrame is compared, got {type(values).__name__}", mend=mend), "the table")
    level = checks.share("level", level, 0.9, error=WorkbenchError)
    frame = values.reset_index() if values.index.names != [None] else values.copy()
    for name in (parameter, treatment, subject, period, sequence):
        if name is not None and name not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DataError(Fault(f"there is no column {name!r}; there are {have}"), "the table")
    amount = pd.to_numeric(frame[parameter], errors="coerce").to_numpy(dtype=float)
    usable = np.isfinite(amount) & (amount > 0) & frame[treatment].notna().to_numpy()
    left_out = [
        f"{subject} {s} ({t}): no value above 0"
        for s, t in frame.loc[~usable, [subject, treatment]].itertuples(index=False)
    ]
    frame = frame[usable].assign(log=np.log(amount[usable]))
    arms = sorted(frame[treatment].unique(), key=str)
    if len(arms) != 2:
        raise DataError(
            Fault(f"{treatment} has {checks.listed(map(str, arms))} with values; two treatments are needed"),
            "the table",
        )
    base: Any = arms[0] if reference is None else next((arm for arm in arms if str(arm) == str(reference)), None)
    if base is None:
        raise DataError(Fault(f"reference={reference!r}; allowed are {checks.listed(map(str, arms))}"), "the table")
    other = arms[1] if base == arms[0] else arms[0]
    both = frame.groupby(subject)[treatment].nunique()
    if design is None:
        design = "crossover" if (both == 2).any() else "parallel"
    checks.one_of("design", design, DESIGNS, WorkbenchError)
    frame["arm"] = np.where(frame[treatment] == other, 1.0, 0.0)
    if design == "crossover":
        if period is None:
            raise DataError(
                Fault("a crossover needs period=, the column that says which treatment came first"), "the table"
            )
        single = both.index[both < 2]
        left_out += [f"{subject} {label}: only one of the treatments" for label in single]
        frame = frame[~frame[subject].isin(single)]
        effect, se, df, s2 = _crossover(frame, subject, period)
    else:
        effect, se, df, s2 = _parallel(frame)
    if not df > 0 or not math.isfinite(se):
        raise DataError(
            Fault("too few subjects for an interval", mend="at least two for each treatment or sequence"), "the table"
        )
    from scipy.stats import t as student

    wide = float(student.ppf(0.5 + 0.5 * level, df)) * se
    n = {str(arm): int(frame.loc[frame[treatment] == arm, subject].nunique()) for arm in (other, base)}
    return Equivalence(
        parameter, str(other), str(base), design, math.exp(effect), math.exp(effect - wide), math.exp(effect + wide),
        level, (float(limits[0]), float(limits[1])), 100.0 * math.sqrt(math.expm1(s2)), df, n, tuple(left_out),
    )  # fmt: skip


def _crossover(frame: pd.DataFrame, subject: str, period: str) -> tuple[float, float, float, float]:
    """Effect of treatment, its SE, degrees of freedom and the residual variance: subjects hold their sequence."""
    import statsmodels.formula.api as smf

    named = frame.rename(columns={subject: "who", period: "when"})
    if named["when"].nunique() < 2:
        raise DataError(Fault(f"{period} has one value only; a crossover has two periods or more"), "the table")
    fitted = smf.ols("log ~ C(who) + C(when) + arm", named).fit()
    return float(fitted.params["arm"]), float(fitted.bse["arm"]), float(fitted.df_resid), float(fitted.scale)


def _parallel(frame: pd.DataFrame) -> tuple[float, float, float, float]:
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    test, base = frame.loc[frame["arm"] == 1, "log"], frame.loc[frame["arm"] == 0, "log"]
    if len(test) < 2 or len(base) < 2:
        return math.nan, math.nan, 0.0, math.nan
    means = CompareMeans(DescrStatsW(test), DescrStatsW(base))
    pooled = float((test.var() * (len(test) - 1) + base.var() * (len(base) - 1)) / (len(test) + len(base) - 2))
    return (
        float(test.mean() - base.mean()), float(means.std_meandiff_separatevar), float(means.dof_satt()), pooled,
    )  # fmt: skip
