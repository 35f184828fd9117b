"""Fits to simulated data: see `tests/benchmarks/simulation_estimation.py`."""

from __future__ import annotations

from scipy.stats import binom

from tests.benchmarks.simulation_estimation import michaelis_menten, rich_oral, sparse_infusion, study
from tests.reference.results import table

SETS = 200
UNLIKELY = 1e-4  # of an interval that holds the truth in nine of ten


def run(share: float) -> tuple[str, bool]:
    """The table, and whether fits converge and intervals hold the truth about as often as they say."""
    sets = max(10, round(SETS * share))
    least = 100 * float(binom.ppf(UNLIKELY, sets, 0.9)) / sets
    rows, held = [], True
    for design in (rich_oral, sparse_infusion, michaelis_menten):
        found = study(design, sets)
        for what, value in found.items():
            if what.startswith("coverage %"):
                name = what.removeprefix("coverage % ")
                held &= value >= least
                rows.append([design.__name__, name, f"{found[f'bias % {name}']:+.1f}", f"{value:.1f}"])
        held &= found["converged %"] >= 95
        rows.append([design.__name__, "converged", "", f"{found['converged %']:.1f}"])
    about = (
        f"{sets} data sets of each design; 95 % intervals that hold the truth in fewer than {least:.0f} % do not hold."
    )
    return f"{about}\n\n" + table(["design", "estimate", "bias, %", "%"], rows), held
