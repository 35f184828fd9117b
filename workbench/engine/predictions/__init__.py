"""Predictions of a structural model at the records of all subjects, with exact first and second derivatives.

Closed form for linear compartments (`closed`; `compartments`, over `timeline` and `modes`), expressions as they stand
(`equation`), and numerical integration for the rest (`ode`); the last two are compiled from text (`compiled`).
The likelihood knows none of this: to it all of them are a `Predictor`, machine code that predicts one subject.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.engine.predictions.predictor import Predictor
from workbench.errors import ModelError
from workbench.model import Structure
from workbench.model.kinetics import Differential, Explicit
from workbench.model.structure import unsaid

if TYPE_CHECKING:
    from workbench.engine.predictions.design import DesignRows
    from workbench.engine.predictions.schedule import Schedule

_ROUGH = (1e-4, 1e-6)

__all__ = ["Predictor", "predictor_of"]


def predictor_of(structure: Structure, schedule: Schedule, design: DesignRows, rough: bool = False) -> Predictor:
    """The predictions of a structure: closed form where there is one.

    `rough`: three or four digits are enough, where they are integrated.

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
        from workbench.engine.predictions.linear import LinearPredictor

        return LinearPredictor(kinetics, schedule, design)
    match structure.system:
        case Explicit() as system:
            from workbench.engine.predictions.equation import EquationPredictor

            return EquationPredictor(system, schedule, design)
        case Differential() as system:
            from workbench.engine.predictions.ode import OdePredictor

            if rough:
                system = replace(system, rtol=max(system.rtol, _ROUGH[0]), atol=max(system.atol, _ROUGH[1]))
            return OdePredictor(system, schedule, design)
        case other:
            raise ModelError(
                f"The engine cannot compute {structure!r}: its `kinetics` have no closed form, and its `system` is "
                f"{other!r:.100}. It is to be an Explicit or a Differential (see workbench.model.kinetics), as "
                "wb.equation(…).system and wb.ode(…).system are."
            )
