"""Covariate screening: which covariates matter, and a search for the model that has them."""

from workbench.screening.comparison import Comparison, compare
from workbench.screening.linearised import LinearisedScreen, linearised_screen
from workbench.screening.stepwise import Stepwise, stepwise

__all__ = ["Comparison", "LinearisedScreen", "Stepwise", "compare", "linearised_screen", "stepwise"]
