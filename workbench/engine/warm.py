"""Kernels that are compiled before they are needed."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import numpy as np

from workbench.engine.fit import fit
from workbench.engine.objectives.subjects import is_compiled, wanting_code_of_their_own
from workbench.methods import METHODS, USUAL
from workbench.model import Combined2, Model, Parameter, Structure, pk

if TYPE_CHECKING:
    from workbench.data import GroupedData


def warm_up() -> None:
    """Compile what the usual fit needs, or load it from disk, before it is needed. The fit itself takes no time."""
    from workbench.data import load_example

    fit(Model(pk(absorption="first-order"), error=Combined2()), load_example("theophylline"))


def warm_everything() -> None:
    """Compile what is common, the most common first, and keep it on disk for other processes, which go first."""
    if hasattr(os, "nice"):
        os.nice(10)
    warm_up()
    oral = pk(absorption="first-order")
    for structure in (pk(2), pk(absorption="zero-order"), pk(elimination="michaelis-menten"), pk(3)):
        _fitted(structure, USUAL)
    for method in METHODS:
        _fitted(oral, method)
    with wanting_code_of_their_own():
        for structure in (oral, pk(), pk(2)):
            _fitted(structure, USUAL)


def is_warm() -> bool:
    """Whether the kernels are compiled in this process."""
    return is_compiled()


def _fitted(structure: Structure, method: str) -> None:
    """Fit a few records for a few iterations; what comes of it does not matter."""
    model = Model(structure, [Parameter(name, 1.0, iiv=0.3) for name in structure.names], error=Combined2(0.1, 0.1))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        fit(model, _few_records(), method=method, max_iterations=2)


def _few_records() -> GroupedData:
    import pandas as pd

    from workbench.data import read_data

    response = [[0.0, 0.5, 0.4, 0.3], [0.0, 0.7, 0.4, 0.2], [0.0, 0.4, 0.5, 0.3], [0.0, 0.6, 0.5, 0.4]]
    frame = pd.DataFrame({"ID": np.repeat([1, 2, 3, 4], 4), "TIME": np.tile([0.0, 1.0, 2.0, 3.0], 4)})
    frame["DV"] = np.ravel(response)
    frame["EVID"] = np.tile([1, 0, 0, 0], 4)
    frame["AMT"] = 1.0 * frame["EVID"]
    return read_data(frame)
