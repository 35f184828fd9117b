"""Stepwise searches in simulated data: see `tests/benchmarks/screening_power.py`."""

from __future__ import annotations

import contextlib
import io

from tests.benchmarks.screening_power import study

SETS = 100


def run(share: float) -> tuple[str, bool]:
    """What was found, and whether the predicted changes of the objective are the realised ones."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        correlation = study(max(5, round(SETS * share)))
    return printed.getvalue(), correlation > 0.99
