"""Arrays in, numbers out: the objective, its minimum, predictions. Knows of no widgets."""

from workbench.engine.fit import fit, keywords, objective, unusual
from workbench.engine.predict import Curves, curves, predict, simulate
from workbench.engine.problem.scale import with_estimates
from workbench.engine.search.initial import initial_values
from workbench.engine.warm import is_warm, warm_up

__all__ = [
    "Curves",
    "curves",
    "fit",
    "initial_values",
    "is_warm",
    "keywords",
    "objective",
    "predict",
    "simulate",
    "unusual",
    "warm_up",
    "with_estimates",
]
