"""Predictions of a structural model at the records of all subjects, with exact first and second derivatives.

Closed form for linear compartments (`compartments`, over `timeline` and `modes`), expressions as they stand
(`equation`), and numerical integration for the rest (`ode`); the last two are compiled from text (`compiled`).
The likelihood knows none of this: to it all of them are a `Predictor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ModelError
from workbench.model import Structure
from workbench.model.kinetics import Differential, Explicit
from workbench.model.structure import unsaid

if TYPE_CHECKING:
    from workbench.engine.predictions.design import DesignRows
    from workbench.engine.predictions.schedule import Schedule

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Predictor(Protocol):
    """A structural model over a schedule: all that the likelihood knows of it."""

    def predict(self, subjects: Index, u: Array, order: int, f: Array, fu: Array, fuu: Array) -> None:
        """Fill f at the slots of some subjects, with its derivatives by u up to `order`.

        Parameters
        ----------
        subjects : int64[k]
        u : float64[N, D]
        order : int
            0, 1 or 2.
        f : float64[n]; fu : float64[n, D]; fuu : float64[n, D, D]
            NaN where a prediction cannot be computed.
        """


def predictor_of(structure: Structure, schedule: Schedule, design: DesignRows) -> Predictor:
    """The predictions of a structure: closed form where there is one.

    Raises
    ------
    ModelError
        If it does not say what is needed to compute them.
    """
    incomplete = unsaid(structure)
    if incomplete:
        raise ModelError(incomplete)
    kinetics = structure.kinetics
    if kinetics is not None and kinetics.is_linear:
        from workbench.engine.predictions.compartments import LinearPredictor

        return LinearPredictor(kinetics, schedule, design)
    match structure.system:
        case Explicit() as system:
            from workbench.engine.predictions.equation import EquationPredictor

            return EquationPredictor(system, schedule, design)
        case Differential() as system:
            from workbench.engine.predictions.ode import OdePredictor

            return OdePredictor(system, schedule, design)
        case other:
            raise ModelError(
                f"The engine cannot compute {structure!r}: its `kinetics` have no closed form, and its `system` is "
                f"{other!r:.100}. It is to be an Explicit or a Differential (see workbench.model.kinetics), as "
                "wb.equation(…).system and wb.ode(…).system are."
            )
