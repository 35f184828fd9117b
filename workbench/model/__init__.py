"""What the user states: frozen values and pure edits. Nothing here computes a prediction."""

from workbench.model.model import Block, Model
from workbench.model.parameter import Effect, Parameter
from workbench.model.residual import Combined, Combined2, Constant, Proportional, ResidualError
from workbench.model.structure import PK, ParameterInfo, Structure, pk
from workbench.model.usual import rising_subjects, usual_model

__all__ = [
    "PK",
    "Block",
    "Combined",
    "Combined2",
    "Constant",
    "Effect",
    "Model",
    "Parameter",
    "ParameterInfo",
    "Proportional",
    "ResidualError",
    "Structure",
    "pk",
    "rising_subjects",
    "usual_model",
]
