"""npde of data from the model itself, at its true parameters: a sample of the standard normal distribution?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import workbench as wb
from tests.benchmarks.simulation_estimation import Design, michaelis_menten, rich_oral, sparse_infusion
from tests.reference.results import table

SETS = 100
CENSORED = 0.3
DESIGNS = (rich_oral, sparse_infusion, michaelis_menten)
UNLIKELY = 1e-4
Array = NDArray[np.float64]


def run(share: float) -> tuple[str, bool]:
    """Means, variances and the share of sets that Kolmogorov and Smirnov's test rejects, with and without censoring."""
    sets = max(10, round(SETS * share))
    rows, held = [], True
    for censored in (0.0, CENSORED):
        tested = []
        for design in DESIGNS:
            errors = [of_one(design, number, censored) for number in range(sets)]
            p = np.array([stats.kstest(one, "norm").pvalue for one in errors])
            every = np.concatenate(errors)
            mean, variance = float(every.mean()), float(every.var(ddof=1))
            # a tenth of the sets says less: four standard errors of a normal sample come on top
            slack = 4.0 / np.sqrt(len(every)) if share < 1 else 0.0
            held &= abs(mean) <= 0.02 + slack and abs(variance - 1.0) <= 0.03 + np.sqrt(2.0) * slack
            tested.append(p)
            rows.append([design.__name__, f"{100 * censored:.0f}", str(len(every)), f"{mean:+.4f}", f"{variance:.4f}",
                         f"{100 * np.mean(p < 0.05):.1f}"])  # fmt: skip
        rejected, count = float(np.mean(np.concatenate(tested) < 0.05)), len(DESIGNS) * sets
        low, high = (0.015, 0.09) if share == 1.0 else stats.binom.interval(1 - UNLIKELY, count, 0.05) / np.array(count)
        held &= bool(low <= rejected <= high)
        rows.append(["all", f"{100 * censored:.0f}", "", "", "", f"{100 * rejected:.1f}"])
    about = (
        f"{sets} data sets of each design, 1,000 replicates, decorrelated by Cholesky's factor. Held: mean 0 ± 0.02, "
        "variance 1 ± 0.03 of each design, 1.5 to 9 % of all sets rejected at 5 %."
    )
    head = ["design", "censored, %", "npde", "mean", "variance", "rejected at 5 %, %"]
    return f"{about}\n\n" + table(head, rows), held


def of_one(design: Design, number: int, censored: float) -> Array:
    """npde of one data set, of which a share is below the limit of quantification."""
    model, frame = design(np.random.default_rng([number, 1]))
    data = wb.read_data(frame)
    seen = frame["EVID"] == 0
    frame.loc[seen, "DV"] = wb.simulate(model, data, 1, seed=2 * number)["DV"].to_numpy()
    simulated = wb.simulate(model, data, 1000, seed=2 * number + 1)
    if censored:
        low = seen & (frame["DV"] < np.quantile(simulated["DV"], censored))
        limit = float(np.quantile(simulated["DV"], censored))
        frame = frame.assign(CENS=low.astype(int), DV=frame["DV"].where(~low, limit))
    found = wb.npde(wb.read_data(frame), simulations=simulated, seed=number)
    assert isinstance(found.table, pd.DataFrame)
    return found.npde[np.isfinite(found.npde)]
