"""Fits to simulated data: see `tests/benchmarks/simulation_estimation.py`.

Beside these a rich design, sixty subjects with ten samples each, by methods of three kinds: how often the intervals of
all estimates hold the truth. Those of standard deviations are the ones that `fit.estimates` states: symmetric on the
logarithm, and back-transformed.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

import workbench as wb
from tests.benchmarks.simulation_estimation import _records, michaelis_menten, rich_oral, sparse_infusion, study
from tests.reference.results import table

SETS = 200
UNLIKELY = 1e-4  # of an interval that holds the truth in nine of ten
RICH = wb.Model(
    wb.pk(absorption="first-order"),
    [wb.Parameter("ka", 1.5, iiv=0.4), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)],
    error=wb.Proportional(0.1),
)
TRUTH = {"ka": 1.5, "CL": 3.0, "V": 30.0, "iiv_ka": 0.4, "iiv_CL": 0.3, "iiv_V": 0.2, "b": 0.1}
METHODS = ("focei", "quadrature", "saem")
EACH, MEAN = (90.0, 99.0), (93.0, 97.0)  # per cent: of an estimate, and of all together


def run(share: float) -> tuple[str, bool]:
    """The tables, and whether fits converge and intervals hold the truth about as often as they say."""
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
    rich, well = by_methods(max(4, round(SETS * share)))
    text = f"{about}\n\n" + table(["design", "estimate", "bias, %", "%"], rows)
    return f"{text}\n\n{rich}", held and well


def by_methods(sets: int, times: tuple[float, ...] = (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24.0)) -> tuple[str, bool]:
    """Coverage of the rich design by each method: the table, and whether it is as stated.

    With few sets, whether it is not as good as impossible.
    """
    inside: dict[str, list[list[bool]]] = {method: [] for method in METHODS}
    ends: dict[str, list[list[float]]] = {method: [] for method in METHODS}
    begun = RICH.with_values({"ka": 1.0, "CL": 4.0, "V": 24.0})
    for k in range(sets):
        frame = _records(60, np.array(times), 100.0, rng=np.random.default_rng(k))
        simulated = wb.simulate(RICH, wb.read_data(frame), seed=k + 1)
        frame.loc[frame["EVID"] == 0, "DV"] = simulated["DV"].to_numpy()
        data = wb.read_data(frame)
        for method in METHODS:
            fit = wb.fit(begun, data, method=method)
            lines = fit.estimates.loc[list(TRUTH)]
            if fit.converged:
                within = (lines["lower"] <= list(TRUTH.values())) & (lines["upper"] >= list(TRUTH.values()))
                inside[method].append(within.tolist())
                ends[method].append(lines["estimate"].tolist())
        print(k + 1, {m: np.mean(inside[m], axis=0).round(2).tolist() for m in METHODS if inside[m]}, flush=True)
    return _table(sets, inside, ends)


def _table(sets: int, inside: dict[str, list[list[bool]]], ends: dict[str, list[list[float]]]) -> tuple[str, bool]:
    rows, held = [], True
    for method in METHODS:
        shares = 100 * np.mean(inside[method], axis=0)
        bias = 100 * (np.mean(ends[method], axis=0) / list(TRUTH.values()) - 1)
        mean, converged = float(shares.mean()), len(inside[method])
        lowest = EACH[0] if sets >= SETS else 100 * float(binom.ppf(UNLIKELY, max(converged, 1), EACH[0] / 100)) / sets
        held &= bool(converged >= 0.95 * sets and (shares >= lowest).all())
        if sets >= SETS:
            held &= bool((shares <= EACH[1]).all() and MEAN[0] <= mean <= MEAN[1])
        rows.append([method, *(f"{s:.1f} ({b:+.1f})" for s, b in zip(shares, bias, strict=True)), f"{mean:.1f}",
                     f"{converged} of {sets}"])  # fmt: skip
    about = (
        f"Sixty subjects with ten samples each, {sets} data sets: how often, in per cent, the 95 % interval of each "
        f"estimate holds the truth (wanted: {EACH[0]:.0f} to {EACH[1]:.0f}, in the mean {MEAN[0]:.0f} to "
        f"{MEAN[1]:.0f}), and the bias in per cent. Intervals are those of `fit.estimates`, back-transformed from the "
        "logarithm, of standard deviations as well.\n\n"
    )
    return about + table(["method", *TRUTH, "mean", "converged"], rows), held
