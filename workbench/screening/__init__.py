"""Which covariates act on which parameters: fast screens, and a search for the model that has them by real fits."""

from workbench.screening.comparison import Comparison, compare
from workbench.screening.covariates import Refusal, UsableCovariate, usable_covariates
from workbench.screening.forest import forest
from workbench.screening.full import FullCovariateModel, full_covariate_model
from workbench.screening.inclusion import Inclusion, RandomisationTest, bootstrap_inclusion, randomisation_test
from workbench.screening.individual import screen
from workbench.screening.linearised import LinearisedScreen, Prediction, linearised_screen
from workbench.screening.result import Contrast, Screening, Tested
from workbench.screening.scope import Candidate, RefusedEffect
from workbench.screening.search import StepProgress, Trial
from workbench.screening.stepwise import Stepwise, stepwise

__all__ = [
    "Candidate",
    "Comparison",
    "Contrast",
    "FullCovariateModel",
    "Inclusion",
    "LinearisedScreen",
    "Prediction",
    "RandomisationTest",
    "Refusal",
    "RefusedEffect",
    "Screening",
    "StepProgress",
    "Stepwise",
    "Tested",
    "Trial",
    "UsableCovariate",
    "bootstrap_inclusion",
    "compare",
    "forest",
    "full_covariate_model",
    "linearised_screen",
    "randomisation_test",
    "screen",
    "stepwise",
    "usable_covariates",
]
