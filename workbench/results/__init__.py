"""What a fit found: frozen values with their tables, and the runs of a session."""

from workbench.results.fit import Estimate, FitResult, Progress, Start, Status

__all__ = ["Estimate", "FitResult", "Progress", "Start", "Status"]
