"""What a predictor knows of the parameters: how those on each design row follow from the coordinates of a subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DesignRows:
    """P parameters of a structure on the design rows of all subjects, in D coordinates u of the subject.

    Attributes
    ----------
    C : float64[rows, P, D]; offset : float64[rows, P]
        On the transformed scale they are z = offset + C u.
    row : int64[events]
        Design row of each event of the schedule.
    origin : int64[events]
        Design row of the record that says how a dose enters, see `Schedule.origin`.
    transform : int64[P]; lower, upper : float64[P]
        Transform of each parameter, as `jets.untransform` takes it, and the bounds of those between bounds.
    covariates : float64[rows, K]
        Values of the columns that the structure itself uses, in the order of `structure.columns`.
    """

    C: Array
    offset: Array
    row: Index
    origin: Index
    transform: Index
    lower: Array
    upper: Array
    covariates: Array
