"""What a command ends with: its exit status."""

from __future__ import annotations

CONVERGED, FAILED, USAGE, NOT_CONVERGED, INTERRUPTED = 0, 1, 2, 3, 130
