"""What simulated people look like: a typical curve, the interval between people, and how uncertain the curve is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.checks import share
from workbench.markup.numbers import counted, interval, quantity, short
from workbench.markup.printed import COLOURS, figure_class, in_unit
from workbench.markup.shown import Shown
from workbench.simulation.design import Design, Group

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


class Curve(NamedTuple):
    """Simulated curves of one group and one response.

    Attributes
    ----------
    label, response : str
    group : Group
    time : float64[T]
        A time that is there twice stands before and after a dose.
    typical : float64[T]
        At η = 0, or at the mode of an individual; where covariates differ, the median of the subjects' curves.
    uncertain : float64[K, T], optional
        The typical curve for each draw of the parameters.
    people : float64[P, T]
        Predictions for people with the parameters at their estimates.
    predicted : float64[P, T]
        The same with the parameters as uncertain as they are; `people` where that is not asked for.
    measured : float64[P, T]
        These with residual error.
    """

    label: str
    response: str
    group: Group
    time: Array
    typical: Array
    uncertain: Array | None
    people: Array
    predicted: Array
    measured: Array


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Shown):
    """Simulated people under a design.

    Attributes
    ----------
    design : Design
    curves : tuple of Curve
        By group and response.
    replicates : int
    interval : float
        Share of people that the intervals hold, 0.9 say; see `within`.
    units : dict
        Of time, amount, response and covariates, where they are known.
    remarks : tuple of str
        What is to be known before the numbers are believed.
    code : str
        Python that makes it.
    """

    design: Design
    curves: tuple[Curve, ...]
    replicates: int
    interval: float
    units: dict[str, str] = field(repr=False)
    remarks: tuple[str, ...] = ()
    code: str = field(default="", repr=False)

    def within(self, interval: float) -> Simulation:
        """The same with intervals that hold another share of people."""
        return replace(self, interval=share("interval", interval, 0.9))

    @cached_property
    def table(self) -> pd.DataFrame:
        """By time (and group and response, where there are several).

        Columns: typical; median, lower, upper of people at the estimates; with uncertainty typical_lower and
        typical_upper, between which the typical curve lies; measured_lower and measured_upper, between which single
        measurements lie, all uncertainty included.
        """
        import pandas as pd

        ends = 0.5 - 0.5 * self.interval, 0.5 + 0.5 * self.interval
        frames = []
        for curve in self.curves:
            low, middle, high = np.quantile(curve.people, [ends[0], 0.5, ends[1]], axis=0)
            columns = {"typical": curve.typical, "median": middle, "lower": low, "upper": high}
            if curve.uncertain is not None:
                columns["typical_lower"], columns["typical_upper"] = np.quantile(curve.uncertain, ends, axis=0)
            columns["measured_lower"], columns["measured_upper"] = np.quantile(curve.measured, ends, axis=0)
            frames.append(pd.DataFrame(columns, index=pd.Index(curve.time, name="time")))
        names = [name for name in ("group", "response") if len({self._key(c, name) for c in self.curves}) > 1]
        if not names:
            return frames[0]
        keys = [tuple(self._key(curve, name) for name in names) for curve in self.curves]
        return pd.concat(frames, keys=keys if len(names) > 1 else [key[0] for key in keys], names=[*names, "time"])

    @staticmethod
    def _key(curve: Curve, name: str) -> str:
        return curve.label if name == "group" else curve.response

    @property
    def sentence(self) -> str:
        """Who was simulated, and where people are at the end of the last interval."""
        groups = len(self.design.groups)
        what = f"{counted(self.replicates, 'replicate')} of {counted(self.design.subjects, 'subject')}"
        parts = [f"{what} in {groups} groups." if groups > 1 else f"{what}."]
        unit = self.units.get("response")
        for curve in self.curves:
            name = " ".join(filter(None, (f"{curve.label}:" if groups > 1 else "", curve.response)))
            low, middle, high = np.quantile(
                curve.people[:, -1], [0.5 - 0.5 * self.interval, 0.5, 0.5 + 0.5 * self.interval]
            )
            parts.append(
                f"{name} at {quantity(short(float(curve.time[-1])), self.units.get('time'))}: "
                f"{quantity(short(middle), unit)} "
                f"({100 * self.interval:g} % of people {quantity(interval(low, high), unit)})."
            )
        return " ".join([*parts, *self.remarks])

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        table = self.table
        step = max(1, len(table) // 12)
        return [self.sentence, table.iloc[::step]]

    def plot(self, above: float | None = None, below: float | None = None, *, log: bool = False) -> Figure:
        """Typical curves with the bands of people and, darker, of the uncertainty (matplotlib); one panel a response.

        Parameters
        ----------
        above, below : float, optional
            Lines of a target.
        log : bool
            A logarithmic axis.

        Raises
        ------
        WorkbenchError
            If matplotlib is not installed.
        """
        responses = list(dict.fromkeys(curve.response for curve in self.curves))
        figure = figure_class()(figsize=(6.4, 3.4 * len(responses)), layout="constrained")
        panels = figure.subplots(len(responses), 1, squeeze=False)[:, 0]
        ends = 0.5 - 0.5 * self.interval, 0.5 + 0.5 * self.interval
        for panel, response in zip(panels, responses, strict=True):
            mine = [curve for curve in self.curves if curve.response == response]
            for k, curve in enumerate(mine):
                colour = COLOURS[k % len(COLOURS)]
                panel.fill_between(curve.time, *np.quantile(curve.people, ends, axis=0), color=colour, alpha=0.18, lw=0)
                if curve.uncertain is not None:
                    inner = np.quantile(curve.uncertain, ends, axis=0)
                    panel.fill_between(curve.time, *inner, color=colour, alpha=0.35, lw=0)
                panel.plot(curve.time, curve.typical, color=colour, linewidth=1.6, label=curve.label)
            for line in (above, below):
                if line is not None:
                    panel.axhline(line, color="#555555", linewidth=0.9, linestyle="--")
            panel.set_yscale("log" if log else "linear")
            panel.set_ylabel(f"{response}{in_unit(self.units.get('response'))}")
            if len(mine) > 1:
                panel.legend(fontsize=8, frameon=False)
        panels[-1].set_xlabel(f"time{in_unit(self.units.get('time'))}")
        return figure
