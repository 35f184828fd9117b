"""Covariate screening: which covariates matter, and a search for the model that has them."""

from workbench.screening.comparison import Comparison, compare
from workbench.screening.forest import forest
from workbench.screening.full import FullCovariateModel, full_covariate_model
from workbench.screening.inclusion import Inclusion, RandomisationTest, bootstrap_inclusion, randomisation_test
from workbench.screening.linearised import LinearisedScreen, linearised_screen
from workbench.screening.stepwise import Stepwise, stepwise

__all__ = [
    "Comparison",
    "FullCovariateModel",
    "Inclusion",
    "LinearisedScreen",
    "RandomisationTest",
    "Stepwise",
    "bootstrap_inclusion",
    "compare",
    "forest",
    "full_covariate_model",
    "linearised_screen",
    "randomisation_test",
    "stepwise",
]
