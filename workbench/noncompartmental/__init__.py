"""Noncompartmental analysis of grouped data: areas, slopes, moments. Needs no model."""

from workbench.noncompartmental.analysis import Curve, Noncompartmental, nca
from workbench.noncompartmental.equivalence import Equivalence, bioequivalence

__all__ = ["Curve", "Equivalence", "Noncompartmental", "bioequivalence", "nca"]
