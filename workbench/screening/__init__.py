"""Which covariates act on which parameters: fast screens, and searches by real fits."""

from workbench.screening.covariates import Candidate, Refusal, usable_covariates

__all__ = ["Candidate", "Refusal", "usable_covariates"]
