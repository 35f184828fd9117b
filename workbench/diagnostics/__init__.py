"""Is a model good enough: residuals, prediction distribution errors, visual predictive checks, influence."""

from workbench.diagnostics.goodness import Goodness, gof
from workbench.diagnostics.influence import Influence, influence
from workbench.diagnostics.npde import NormalityTests, Npde, npde
from workbench.diagnostics.random_effects import RandomEffects, random_effects
from workbench.diagnostics.residuals import residuals
from workbench.diagnostics.vpc import Vpc, vpc

__all__ = [
    "Goodness",
    "Influence",
    "NormalityTests",
    "Npde",
    "RandomEffects",
    "Vpc",
    "gof",
    "influence",
    "npde",
    "random_effects",
    "residuals",
    "vpc",
]
