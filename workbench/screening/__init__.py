"""Which covariates act on which parameters: fast screens, and searches by real fits."""

from workbench.screening.covariates import Candidate, Refusal, usable_covariates
from workbench.screening.individual import screen
from workbench.screening.result import Screening

__all__ = ["Candidate", "Refusal", "Screening", "screen", "usable_covariates"]
