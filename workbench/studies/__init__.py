"""What is kept in files: fits that are compared with what the engine computes now, and whole studies."""

from workbench.studies.loading import load
from workbench.studies.study import Study

__all__ = ["Study", "load"]
