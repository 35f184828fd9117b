"""The figures of the Diagnose board as values: functions of a fit and of what was computed of it; no widgets."""

from workbench.ui.session.board.kinds import BY_NAME, KINDS, USUAL, mask
from workbench.ui.session.board.matter import COMPUTED, RESIDUALS, Matter, Need, Offered

__all__ = ["BY_NAME", "COMPUTED", "KINDS", "RESIDUALS", "USUAL", "Matter", "Need", "Offered", "mask"]
