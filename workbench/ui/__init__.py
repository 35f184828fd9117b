"""The panels: a model stated, fitted and looked at in a notebook."""

from workbench.ui.app import Workbench

__all__ = ["Workbench"]
