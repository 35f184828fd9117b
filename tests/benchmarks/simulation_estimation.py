"""Simulation and estimation: how often fits converge, their bias, and how often intervals hold the truth.

`python -m tests.benchmarks.simulation_estimation [data sets]` prints a table for three designs. In every fit each
typical value is stated 30 % too high or too low.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

import workbench as wb

Frame = pd.DataFrame
Design = Callable[[np.random.Generator], tuple[wb.Model, Frame]]


def _records(subjects: int, times: np.ndarray, dose: float, rate: float = 0.0, rng=None, keep: int = 0) -> Frame:
    """One dose at time 0 and observations at `times`, or at `keep` of them chosen for each subject."""
    rows = []
    for i in range(1, subjects + 1):
        mine = np.sort(rng.choice(times, keep, replace=False)) if keep else times
        weight = float(np.clip(70 * np.exp(0.2 * rng.standard_normal()), 40, 130))
        rows.append((i, 0.0, dose, rate, 1, 0.0, weight))
        rows += [(i, t, 0.0, 0.0, 0, 0.0, weight) for t in mine]
    return pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "RATE", "EVID", "DV", "WT"])


def rich_oral(rng: np.random.Generator) -> tuple[wb.Model, Frame]:
    """Fifty subjects, ten samples each, one compartment with first-order absorption."""
    parameters = [wb.Parameter("ka", 1.5, iiv=0.4), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)]
    times = np.array([0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24.0])
    return wb.Model(wb.pk(absorption="first-order"), parameters, error=wb.Proportional(0.1)), _records(
        50, times, 100.0, rng=rng
    )


def sparse_infusion(rng: np.random.Generator) -> tuple[wb.Model, Frame]:
    """A hundred subjects, four of eight samples each, two compartments, an infusion, weight on CL and V1."""
    parameters = [
        wb.Parameter("CL", 5.0, iiv=0.3, covariates=[wb.Effect("log(WT/70)", (0.75,))]),
        wb.Parameter("V1", 20.0, iiv=0.2, covariates=[wb.Effect("log(WT/70)", (1.0,))]),
        wb.Parameter("Q", 4.0),
        wb.Parameter("V2", 40.0),
    ]
    times = np.array([0.5, 1, 1.5, 2, 4, 8, 16, 24.0])
    return wb.Model(wb.pk(compartments=2), parameters, error=wb.Proportional(0.15)), _records(
        100, times, 500.0, 500.0, rng, keep=4
    )


def michaelis_menten(rng: np.random.Generator) -> tuple[wb.Model, Frame]:
    """Forty subjects, ten samples each, a bolus with saturable elimination."""
    parameters = [wb.Parameter("Vm", 40.0, iiv=0.3), wb.Parameter("Km", 8.0), wb.Parameter("V", 20.0, iiv=0.2)]
    times = np.array([0.25, 1, 2, 4, 6, 8, 12, 16, 20, 24.0])
    model = wb.Model(wb.pk(elimination="michaelis-menten"), parameters, error=wb.Proportional(0.1))
    return model, _records(40, times, 600.0, rng=rng)


def study(
    design: Callable[[np.random.Generator], tuple[wb.Model, Frame]], sets: int, seed: int = 1
) -> dict[str, float]:
    """Simulate and fit `sets` data sets of a design by FOCEI."""
    rng = np.random.default_rng(seed)
    found, inside, converged, seconds = [], [], 0, 0.0
    names: list[str] = []
    truth = np.empty(0)
    for k in range(sets):
        model, frame = design(rng)
        data = wb.read_data(frame)
        frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(model, data, seed=seed * 100_000 + k)["DV"].to_numpy()
        data = wb.read_data(frame)
        start = model.with_values({p.name: p.value * float(rng.choice([0.7, 1.3])) for p in model.parameters})
        begun = time.perf_counter()
        fit = wb.fit(start, data)
        seconds += time.perf_counter() - begun
        converged += fit.converged
        if not names:
            names = [e.name for e in fit.lines if e.kind in ("log", "coefficient")]
            truth = np.array(
                [model[n].value if ":" not in n else model[n.split(":")[0]].covariates[0].value[0] for n in names]
            )
        estimates = fit.estimates.loc[names]
        if fit.converged:
            found.append(estimates["estimate"].to_numpy())
            inside.append((estimates["lower"] <= truth) & (truth <= estimates["upper"]))
    bias = 100 * (np.mean(found, axis=0) / truth - 1)
    coverage = 100 * np.mean(inside, axis=0)
    result = {"converged %": 100 * converged / sets, "ms a fit": 1000 * seconds / sets}
    result |= {f"bias % {n}": b for n, b in zip(names, bias, strict=True)}
    result |= {f"coverage % {n}": c for n, c in zip(names, coverage, strict=True)}
    return result


def main() -> None:
    """Print the table."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for design in (rich_oral, sparse_infusion, michaelis_menten):
        print(f"{design.__name__}, {sets} data sets")
        for name, value in study(design, sets).items():
            print(f"  {name:24s} {value:8.2f}")


if __name__ == "__main__":
    main()
