"""What published runs are judged by: their figures, which stand in `published`, and their data.

Data of the project's own examples are at hand everywhere; `test_material.py` holds that they are those of the sources.
The others lie in the folder `data` within the one that the environment variable WORKBENCH_REFERENCE names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.data import examples_folder

HERE = Path(__file__).resolve().parent
PUBLISHED = HERE / "published"
REFERENCE = Path(os.environ.get("WORKBENCH_REFERENCE") or HERE.parents[2] / "shared" / "reference")


def published(name: str) -> dict[str, Any]:
    """The figures of a run."""
    found: dict[str, Any] = json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def individuals(name: str) -> pd.DataFrame | None:
    """Random effects of the subjects and what they contribute to the objective; None if they were not printed."""
    file = PUBLISHED / "etas" / f"{name}.csv"
    return pd.read_csv(file) if file.exists() else None


def _example(name: str) -> pd.DataFrame:
    return pd.read_csv(examples_folder() / f"{name}.csv", na_values=".")


def _phenobarbital() -> pd.DataFrame:
    frame = _example("phenobarbital")
    return frame.rename(columns={"WT": "WGT"}).assign(FA1=frame["EVID"])  # a flag of the records that are doses


def _same_dose() -> pd.DataFrame:
    """Theophylline with the dose that the source has in its formula: 320 mg, whatever the weight."""
    frame = _example("theophylline")
    return frame.assign(AMT=320.0 * (frame["EVID"] == 1))


def _after_the_dose() -> pd.DataFrame:
    frame = _example("theophylline")
    return frame[(frame["EVID"] == 1) | (frame["TIME"] > 0)].reset_index(drop=True)


OWN: dict[str, Callable[[], pd.DataFrame]] = {
    "indometh.csv": lambda: _example("indomethacin"),
    "monolix_theophylline.csv": _after_the_dose,
    "pheno.csv": _phenobarbital,
    "pheno_bab.csv": lambda: _example("phenobarbital"),
    "theo_dose320.csv": _same_dose,
    "theoph_R.csv": lambda: _example("theophylline"),
}
"""Data of the sources that are among the examples, by the name of the source's file."""


def records(file: str) -> pd.DataFrame | Path:
    """Data of a run, for `wb.read_data`: a table of the examples, or a file of the folder of references."""
    return OWN[file]() if file in OWN else REFERENCE / "data" / file
