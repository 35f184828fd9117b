"""The example data sets: what they are, and where they lie."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import pandas as pd

from workbench.data.grouped import GroupedData
from workbench.data.history import Step
from workbench.data.importing import read_data
from workbench.errors import DataError, Fault


@dataclass(frozen=True)
class Example:
    """One example: a line about it, units, and roles where they are not plain from the names."""

    title: str
    units: Mapping[str, str]
    roles: Mapping[str, Any] = field(default_factory=dict)


_PK = {"time": "h", "amount": "mg", "response": "mg/L"}
EXAMPLES: dict[str, Example] = {
    "theophylline": Example(
        "12 subjects, oral dose in mg/kg: absorption and elimination over a day",
        {"time": "h", "amount": "mg/kg", "response": "mg/L", "WT": "kg"},
    ),
    "indomethacin": Example(
        "6 subjects after an intravenous injection (its dose is not given): two exponentials",
        {"time": "h", "response": "mg/L"},
    ),
    "phenobarbital": Example(
        "59 newborns, repeated doses, few samples: weight and Apgar score", {**_PK, "WT": "kg"},
    ),
    "quinidine": Example(
        "136 patients in routine care, doses to steady state, many covariates, some of them changing",
        {**_PK, "interval": "h", "AGE": "year", "HT": "inch", "WT": "kg", "GLYCO": "mg/dL"},
    ),
    "remifentanil": Example(
        "65 subjects, short infusions, dense sampling: age, sex and lean body mass",
        {"time": "min", "amount": "ug", "rate": "ug/min", "response": "ng/mL", "AGE": "year", "HT": "cm", "WT": "kg",
         "BSA": "m^2", "LBM": "kg"},
    ),
    "tetracycline": Example(
        "5 subjects, two oral formulations each: occasions", {"time": "h", "response": "ug/mL"},
        {"occasion": "FORMULATION", "covariates": ("FORMULATION",)},
    ),
    "orange_trees": Example(
        "5 trees: circumference over days, logistic growth", {"time": "day", "response": "mm"},
        {"subject": "TREE", "time": "AGE", "response": "CIRCUMFERENCE"},
    ),
    "loblolly": Example(
        "14 pines: height over years, asymptotic growth", {"time": "year", "response": "foot"},
        {"subject": "SEED", "time": "AGE", "response": "HEIGHT"},
    ),
    "soybean": Example(
        "48 plots: leaf weight over days, two varieties and three years", {"time": "day", "response": "g"},
        {"subject": "PLOT", "response": "WEIGHT"},
    ),
    "co2_uptake": Example(
        "12 plants: carbon dioxide uptake against concentration (which takes the place of time)",
        {"time": "mL/L", "response": "umol/m^2/s"}, {"subject": "PLANT", "time": "CONC", "response": "UPTAKE"},
    ),
    "glucose": Example(
        "6 subjects, a meal at each of six times of day: blood glucose, occasions", {"time": "h", "response": "mmol/L"},
        {"occasion": "MEAL", "covariates": ("MEAL",)},
    ),
}  # fmt: skip


def examples_folder() -> Path:
    """The folder of the example files: top-level `data/` in a source checkout, inside the package once installed."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples" / "data", package.parent / "data"):
        if (folder / "theophylline.csv").is_file():
            return folder
    raise DataError("the example files are not there: data/ of a source checkout, examples/data of an installation")


@overload
def load_example(name: None = None) -> pd.DataFrame: ...
@overload
def load_example(name: str) -> GroupedData: ...
def load_example(name: str | None = None) -> GroupedData | pd.DataFrame:
    """An example data set; without a name, a DataFrame that lists them.

    Parameters
    ----------
    name : str, optional
        For example "theophylline".

    Returns
    -------
    GroupedData or DataFrame

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> len(data.subjects)
    12
    """
    if name is None:
        titles = pd.Series({key: example.title for key, example in EXAMPLES.items()}, name="about")
        return titles.rename_axis("example").to_frame()
    if name not in EXAMPLES:
        close = difflib.get_close_matches(str(name), EXAMPLES, n=1)
        mend = f"did you mean {close[0]!r}?" if close else ""
        message = f"there is no example {name!r}; there are {', '.join(EXAMPLES)}"
        raise DataError(Fault(message, mend=mend), "the examples")
    return _read(name, EXAMPLES[name])


def _read(name: str, example: Example) -> GroupedData:
    data = read_data(examples_folder() / f"{name}.csv", roles=example.roles, name=name)
    # The units are known to be sound (a test holds it), so that loading an example does not wait for pint.
    units = {key: unit for key, unit in example.units.items() if key in data.roles or key in data.frame.columns}
    return GroupedData(data.content.relabelled(units=units), (Step("wb.load_example", (name,)),))
