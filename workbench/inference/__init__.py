"""What a fit's estimates are worth, beyond its Hessian: likelihood-ratio tests, profiles, the bootstrap."""

from workbench.inference.bootstrap import Bootstrap, bootstrap
from workbench.inference.profile import Profile, profile
from workbench.inference.ratio import LikelihoodRatioTest, likelihood_ratio_test

__all__ = ["Bootstrap", "LikelihoodRatioTest", "Profile", "bootstrap", "likelihood_ratio_test", "profile"]
