"""What a fit found: frozen values with their tables, and the runs of a session."""

from workbench.results.fit import Criteria, FitResult, Progress, Rival, Start, Status
from workbench.results.partitioned import PartitionedFit
from workbench.results.runs import Run, Runs
from workbench.results.tables import Estimate

__all__ = ["Criteria", "Estimate", "FitResult", "PartitionedFit", "Progress", "Rival", "Run", "Runs", "Start", "Status"]
