"""What the figures of the Diagnose board are drawn of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench import markup
from workbench.diagnostics import Influence, RandomEffects, Vpc
from workbench.results.fit import FitResult
from workbench.results.runs import Run
from workbench.screening.result import smoothed
from workbench.ui.session.drawing import NOBODY, Array, Dots, Drawing, Index, Stroke

Need = Literal["check", "errors", "effects", "influence"]

RESIDUALS = ("CWRES", "NPDE", "NPD", "IWRES", "WRES", "CWRESI")
COMPUTED = ("NPDE", "NPD", "WRES", "CWRESI")  # by `residuals`, which simulates
_SMOOTHED = 4000  # points: of more of them so many are taken before a line is drawn through them


@dataclass(frozen=True, eq=False)
class Matter:
    """What figures are drawn of.

    Attributes
    ----------
    run : Run
    response : int
        Which one of the structure is shown.
    logarithmic : bool
        Response axes are.
    residual : str
        The residual that was asked for.
    errors : DataFrame, optional
        All residuals (`residuals`).
    check : Vpc, optional
    effects : RandomEffects, optional
    influence : Influence, optional
    others : tuple of Run
        Runs to compare with.
    failed : dict
        Why something could not be computed, by what it is.
    """

    run: Run
    response: int = 0
    logarithmic: bool = False
    residual: str = "CWRES"
    errors: pd.DataFrame | None = None
    check: Vpc | None = None
    effects: RandomEffects | None = None
    influence: Influence | None = None
    others: tuple[Run, ...] = ()
    failed: Mapping[Need, str] = field(default_factory=dict)

    @property
    def fit(self) -> FitResult:
        """The fit."""
        return self.run.fit

    @cached_property
    def table(self) -> pd.DataFrame:
        """Observations of the response that is shown, with `record`: their places among the records."""
        full = self.errors if self.errors is not None else self.fit.table()
        found = full.assign(record=self.fit.record)
        names = self.fit.model.structure.responses
        if len(names) > 1 and "DVID" in found:
            found = found[found["DVID"] == names[self.response]]
        return found

    def column(self, name: str) -> Array:
        """A column of the table; NaN where there is none."""
        return self.table[name].to_numpy(dtype=float) if name in self.table else np.full(len(self.table), np.nan)

    @property
    def error_name(self) -> str:
        """The residual that is shown: the one that was asked for where the fit has it."""
        return self.residual if self.residual in (*self.table.columns, *COMPUTED) else "IWRES"

    @property
    def error(self) -> Array:
        """Its values."""
        return self.column(self.error_name)

    @cached_property
    def row(self) -> Index:
        """Records of the observations."""
        return self.table["record"].to_numpy(dtype=np.int64)

    @cached_property
    def owner(self) -> Index:
        """Subjects of the observations."""
        return np.asarray(self.fit.data.events.subject[self.row], dtype=np.int64)

    @cached_property
    def names(self) -> list[str]:
        """What observations say of themselves: subject, time, value, prediction."""
        time, dv, ipred = (self.column(name).tolist() for name in ("TIME", "DV", "IPRED"))
        unit, hours = self.unit("response"), self.unit("time") or ""
        rows = zip(self.table["ID"], time, dv, ipred, strict=True)
        return [
            f"subject {who} · {markup.short(t)} {hours} · {markup.short(y)} {unit} · predicted {markup.short(f)}"
            for who, t, y, f in rows
        ]  # fmt: skip

    def unit(self, role: str) -> str:
        """Unit of time or response; "" where it is not known."""
        return self.fit.data.units.get(role, "")

    def titled(self, name: str, role: str) -> str:
        """A name with the unit of a role."""
        return f"{name}, {unit}" if (unit := self.unit(role)) else name

    @property
    def in_hours(self) -> bool:
        """Whether ticks of time stand at parts of a day."""
        return self.unit("time").lower() in ("h", "hour", "hours")

    @property
    def subjects(self) -> list[object]:
        """Labels."""
        return list(self.fit.data.events.subjects)

    def dots(self, x: Array, y: Array, *, hollow: bool = False) -> Dots:
        """The observations as points."""
        return Dots(x, y, self.owner, self.row, self.names, hollow)

    def of_subjects(self, x: Array, y: Array, said: Sequence[str], owner: Index | None = None) -> Dots:
        """Subjects as points."""
        who = np.arange(len(x)) if owner is None else owner
        labels = self.subjects
        names = [f"subject {labels[i]} · {text}" for i, text in zip(who.tolist(), said, strict=True)]
        return Dots(x, y, who, np.full(len(x), NOBODY), names)

    @property
    def effect_names(self) -> list[str]:
        """Random effects that vary."""
        return [name for name, sd in zip(self.fit.random_effects, self.sd, strict=True) if sd > 0]

    @property
    def sd(self) -> Array:
        """Standard deviations of the random effects between subjects, float64[R]."""
        return np.sqrt(np.diag(self.fit.omega_matrix)) if len(self.fit.random_effects) else np.zeros(0)

    def standardised(self, name: str) -> Array:
        """Modes of a random effect in its standard deviations, by subject."""
        k = list(self.fit.random_effects).index(name)
        return np.asarray(self.fit.eta_matrix[:, k] / self.sd[k], dtype=float)


@dataclass(frozen=True)
class Offered:
    """A figure that can be chosen.

    Attributes
    ----------
    name, title : str
    draw : callable
        Takes the matter and one of the options, "" where there are none.
    options : callable
        What can be chosen of it.
    needs : callable
        What has to be computed first.
    """

    name: str
    title: str
    draw: Callable[[Matter, str], Drawing]
    options: Callable[[Matter], Sequence[str]] = lambda matter: ()
    needs: Callable[[Matter], Sequence[Need]] = lambda matter: ()


def smooth(x: Array, y: Array, *, dashed: bool = False) -> Stroke:
    """A local regression; nothing where there are too few points, or all stand at one place."""
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(known) > _SMOOTHED:
        known = np.sort(np.random.default_rng(0).choice(known, _SMOOTHED, replace=False))
    if len(known) < 8 or np.ptp(x[known]) == 0:
        return Stroke(np.zeros(0), np.zeros(0), "smooth", dashed)
    order = known[np.argsort(x[known], kind="stable")]
    return Stroke(x[order], smoothed(x[order], y[order]), "smooth", dashed)


def waiting(title: str, matter: Matter, need: Need) -> Drawing:
    """A figure of what is not there yet, or why it will not be."""
    return Drawing.without(title, matter.failed.get(need, "Being computed …"))


def number(value: Any) -> float:
    """A cell of a table as a number."""
    return float(value)


def identity(values: Array) -> Array:
    """Values as they are."""
    return values
