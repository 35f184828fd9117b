"""Arrays in, numbers out: the objective, its minimum, predictions. Knows of no widgets."""

from workbench.engine import caches  # noqa: F401 - before anything that is compiled
from workbench.engine.fit import Evaluated, evaluated, fit, keywords, objective, unusual
from workbench.engine.predict import Curves, curves, predict
from workbench.engine.predictions.compiling import is_compiling, parts_compiled
from workbench.engine.problem.scale import with_estimates
from workbench.engine.search.initial import initial_values
from workbench.engine.warm import is_warm, warm_everything, warm_up

__all__ = [
    "Curves",
    "Evaluated",
    "curves",
    "evaluated",
    "fit",
    "initial_values",
    "is_compiling",
    "is_warm",
    "keywords",
    "objective",
    "parts_compiled",
    "predict",
    "unusual",
    "warm_everything",
    "warm_up",
    "with_estimates",
]
