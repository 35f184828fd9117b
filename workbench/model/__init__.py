"""What the user states: frozen values and pure edits. Nothing here computes a prediction."""

from workbench.model.block import Block
from workbench.model.equation import Equation, equation
from workbench.model.library.pk import PK, pk
from workbench.model.library.pkpd import PKPD, pkpd
from workbench.model.model import Model
from workbench.model.ode import Ode, ode
from workbench.model.parameter import Effect, Parameter
from workbench.model.residual import (
    Combined,
    Combined2,
    Constant,
    ErrorParameter,
    Exponential,
    Power,
    Proportional,
    ResidualError,
)
from workbench.model.shapes import Shape, add_shape, remove_shape
from workbench.model.structure import ParameterInfo, Structure
from workbench.model.transform import Transform
from workbench.model.usual import rising_subjects, usual_model

__all__ = [
    "PK",
    "PKPD",
    "Block",
    "Combined",
    "Combined2",
    "Constant",
    "Effect",
    "Equation",
    "ErrorParameter",
    "Exponential",
    "Model",
    "Ode",
    "Parameter",
    "ParameterInfo",
    "Power",
    "Proportional",
    "ResidualError",
    "Shape",
    "Structure",
    "Transform",
    "add_shape",
    "equation",
    "ode",
    "pk",
    "pkpd",
    "remove_shape",
    "rising_subjects",
    "usual_model",
]
