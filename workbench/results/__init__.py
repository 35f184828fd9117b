"""What a fit found: frozen values with their tables, and the runs of a session."""

from workbench.results.fit import Criteria, FitResult, Progress, Rival, Start, Status
from workbench.results.runs import Run, Runs
from workbench.results.tables import Estimate

__all__ = ["Criteria", "Estimate", "FitResult", "Progress", "Rival", "Run", "Runs", "Start", "Status"]
