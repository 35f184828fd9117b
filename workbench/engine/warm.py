"""Kernels that are compiled before they are needed."""

from __future__ import annotations

from workbench.engine.objectives.gradient import objective_and_gradient
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.methods import Approximation
from workbench.model import Combined2, Model, Parameter, pk


def warm_up() -> None:
    """Compile the kernels, or load them from the disk cache, before they are needed."""
    problem = _tiny_problem()
    for approximation in (Approximation.FO, Approximation.FOCE, Approximation.FOCEI):
        Objective(problem, approximation).evaluate(problem.x)


def is_warm() -> bool:
    """Whether the kernels are compiled in this process."""
    return bool(objective_and_gradient.signatures)


def _tiny_problem() -> Problem:
    import pandas as pd

    from workbench.data import read_data

    frame = pd.DataFrame({"ID": [1, 1, 1], "TIME": [0.0, 1.0, 2.0], "AMT": [1.0, 0, 0], "DV": [0, 0.5, 0.3]})
    frame["EVID"] = [1, 0, 0]
    parameters = [Parameter("ka", 2.0, iiv=0.3), Parameter("CL", 0.5, iiv=0.3), Parameter("V", 1.0, iiv=0.3)]
    model = Model(pk(absorption="first-order"), parameters, error=Combined2(0.1, 0.1))
    return compile(model, read_data(frame))
