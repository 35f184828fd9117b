"""New people and regimens: simulations, designs and what they can tell, doses that meet a target."""

from workbench.simulation.attainment import Attainment, attainment
from workbench.simulation.design import Design
from workbench.simulation.dose import FoundDose, find_dose
from workbench.simulation.individual import Individual, individualise
from workbench.simulation.information import EffectPower, Information, information
from workbench.simulation.optimise import Optimised, optimise
from workbench.simulation.regimen import Regimen
from workbench.simulation.result import Simulation
from workbench.simulation.simulate import simulate

__all__ = [
    "Attainment",
    "Design",
    "EffectPower",
    "FoundDose",
    "Individual",
    "Information",
    "Optimised",
    "Regimen",
    "Simulation",
    "attainment",
    "find_dose",
    "individualise",
    "information",
    "optimise",
    "simulate",
]
