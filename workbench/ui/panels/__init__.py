"""The panels: each renders from the state and changes it; none knows another."""

from workbench.ui.panels.code import CodePanel
from workbench.ui.panels.data import DataPanel
from workbench.ui.panels.error import ErrorPanel
from workbench.ui.panels.fit import FitControls, FitPanel
from workbench.ui.panels.individual import IndividualPanel
from workbench.ui.panels.model import ModelPanel, TypicalPanel
from workbench.ui.panels.runs import RunsPanel

__all__ = [
    "CodePanel",
    "DataPanel",
    "ErrorPanel",
    "FitControls",
    "FitPanel",
    "IndividualPanel",
    "ModelPanel",
    "RunsPanel",
    "TypicalPanel",
]
