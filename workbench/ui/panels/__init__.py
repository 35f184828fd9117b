"""The panels: each renders from the state and changes it; none knows another."""

from workbench.ui.panels.band import BandPanel
from workbench.ui.panels.code import CodePanel
from workbench.ui.panels.data import DataPanel
from workbench.ui.panels.effects import CovariatesPanel
from workbench.ui.panels.equations import EquationsPanel
from workbench.ui.panels.error import ErrorPanel
from workbench.ui.panels.fit import FitControls, FitPanel
from workbench.ui.panels.individual import IndividualPanel
from workbench.ui.panels.model import ModelPanel
from workbench.ui.panels.panel import Panel
from workbench.ui.panels.runs import RunsPanel
from workbench.ui.panels.screening import ScreeningPanel
from workbench.ui.panels.typical import TypicalPanel
from workbench.ui.panels.uncertainty import UncertaintyPanel

__all__ = [
    "BandPanel",
    "CodePanel",
    "CovariatesPanel",
    "DataPanel",
    "EquationsPanel",
    "ErrorPanel",
    "FitControls",
    "FitPanel",
    "IndividualPanel",
    "ModelPanel",
    "Panel",
    "RunsPanel",
    "ScreeningPanel",
    "TypicalPanel",
    "UncertaintyPanel",
]
