"""What a topic is: how its truth is drawn, how data come of it, what is asked, and how answers are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data import GroupedData, read_data
from workbench.exercises.answer import Answer
from workbench.exercises.marking import Mark, Truth
from workbench.exercises.secret import Draws
from workbench.model import Model
from workbench.simulation.simulate import simulate

UNITS = {"time": "h", "amount": "mg", "response": "mg/L"}


@dataclass(frozen=True)
class Topic:
    """One exercise, before a seed makes it a student's own.

    Attributes
    ----------
    name, title : str
    task : str
        What is asked; names in braces are facts of the truth that are told.
    hints : tuple of str
        From a nudge to nearly the answer.
    truth : callable
    data : callable
    judged : callable
        The marks of an answer, given the truth; their points add up to 10.
    """

    name: str
    title: str
    task: str
    hints: tuple[str, ...]
    truth: Callable[[Draws], Truth]
    data: Callable[[Truth, Draws], GroupedData]
    judged: Callable[[Answer, Truth, GroupedData], tuple[Mark, ...]]


def frame(
    subjects: int,
    times: Sequence[float],
    *,
    dose: float | None = 100.0,
    covariates: Mapping[str, NDArray[Any]] | None = None,
    occasions: Sequence[float] = (),
) -> pd.DataFrame:
    """Rows of a study in which all are given the same and measured at the same times, without measurements yet.

    With occasions, the dose and the times are those of each of them, from when it begins.
    """
    rows: list[dict[str, Any]] = []
    for subject in range(subjects):
        own = {name: values[subject] for name, values in (covariates or {}).items()}
        for k, begin in enumerate(occasions or (0.0,)):
            mine = {"ID": subject + 1, **({"OCC": k + 1} if occasions else {})}
            if dose is not None:
                rows.append({**mine, "TIME": begin, "AMT": dose, "DV": np.nan, **own})
            rows += [
                {**mine, "TIME": begin + time, **({"AMT": np.nan} if dose is not None else {}), "DV": 1.0, **own}
                for time in times
            ]
    return pd.DataFrame(rows)


def measured(model: Model, table: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """The same rows with simulated measurements of four digits."""
    roles = {"occasion": "OCC"} if "OCC" in table.columns else None
    found = simulate(model, read_data(table, roles=roles), seed=draws.generator("noise"))
    values = table["DV"].copy()
    values.loc[found.index] = [float(f"{value:.4g}") for value in found["DV"]]
    return table.assign(DV=values)


def data_of(table: pd.DataFrame, name: str, **options: Any) -> GroupedData:
    """Data of an exercise."""
    options = {"units": UNITS, "name": name, **options}
    if "OCC" in table.columns:
        options["roles"] = {"occasion": "OCC", **options.get("roles", {})}
    return read_data(table, **options)
