"""What a fit's estimates are worth, beyond its Hessian: likelihood ratios, profiles, the bootstrap, resampling."""

from workbench.inference.bootstrap import Bootstrap, bootstrap
from workbench.inference.profile import Profile, ProfilePoint, profile
from workbench.inference.ratio import LikelihoodRatioTest, likelihood_ratio_test
from workbench.inference.sir import Sir, SirIteration, sir

__all__ = [
    "Bootstrap",
    "LikelihoodRatioTest",
    "Profile",
    "ProfilePoint",
    "Sir",
    "SirIteration",
    "bootstrap",
    "likelihood_ratio_test",
    "profile",
    "sir",
]
