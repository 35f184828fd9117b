"""Power and false inclusion of stepwise searches, and how well the linearised likelihood predicts.

`python -m tests.benchmarks.screening_power [data sets]` simulates one-compartment data of 60 subjects with twelve
correlated covariates, of which three act, searches them on CL and V at 0.05/0.01, and prints what was found beside what
theory expects: χ² with the noncentrality N·log(1 + θ²·var(x)/(ω² + error variance of η̂)) for the true effects, and the
level of the way back for the others.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from scipy.stats import chi2, ncx2

import workbench as wb

SUBJECTS, COVARIATES, CORRELATION, SPREAD = 60, 12, 0.4, 0.25
TIMES = np.array([0.5, 1, 2, 4, 8, 12, 24.0])
TRUE = {("CL", "X0"): 0.6, ("V", "X4"): 0.6, ("CL", "X8"): 0.45}
OMEGA = {"ka": 0.4, "CL": 0.3, "V": 0.25}
FORWARD, BACKWARD = 0.05, 0.01


def simulated(seed: int) -> tuple[wb.Model, wb.GroupedData]:
    """A data set, and the model without covariates."""
    rng = np.random.default_rng([seed, 1])
    z = rng.standard_normal((SUBJECTS, COVARIATES))
    for k in range(1, COVARIATES):  # neighbours are correlated
        z[:, k] = CORRELATION * z[:, k - 1] + np.sqrt(1 - CORRELATION**2) * z[:, k]
    n = len(TIMES) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, SUBJECTS + 1), n), "TIME": np.tile(np.r_[0, TIMES], SUBJECTS)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(n - 1, int)], SUBJECTS)
    frame["AMT"], frame["DV"] = np.where(frame["EVID"] == 1, 100.0, 0.0), 0.0
    for k in range(COVARIATES):
        frame[f"X{k}"] = np.repeat(np.exp(SPREAD * z[:, k]), n)
    effects = {
        name: [wb.Effect(f"log({x})", (size,)) for (of, x), size in TRUE.items() if of == name] for name in OMEGA
    }
    values = {"ka": 1.0, "CL": 3.0, "V": 30.0}
    parameters = [wb.Parameter(p, v, iiv=OMEGA[p], covariates=effects[p]) for p, v in values.items()]
    truth = wb.Model(wb.pk(absorption="first-order"), parameters, wb.Proportional(0.1))
    observed = wb.simulate(truth, wb.read_data(frame), seed=seed)["DV"].to_numpy()
    frame.loc[frame["EVID"] == 0, "DV"] = observed[-(frame["EVID"] == 0).sum() :]
    bare = truth
    for name in OMEGA:
        bare = bare.with_parameter(name, covariates=())
    return bare, wb.read_data(frame)


def expected_power(parameter: str, size: float, level: float) -> float:
    """Of a test at a level, from the size of the effect beside what it leaves unexplained."""
    noise = 0.1**2 / 4  # of η̂: a prediction error of 10 % on seven samples, about
    drop = SUBJECTS * np.log1p(size**2 * SPREAD**2 / (OMEGA[parameter] ** 2 + noise))
    return float(ncx2.sf(chi2.isf(level, 1), 1, drop))


def study(sets: int) -> float:
    """Search `sets` data sets and print the tables; the correlation of predicted and realised ΔOFV."""
    scope = {p: [f"X{k}" for k in range(COVARIATES)] for p in ("CL", "V")}
    found: list[set[tuple[str, str]]] = []
    entered: list[set[tuple[str, str]]] = []
    first: list[pd.DataFrame] = []
    pairs: list[pd.DataFrame] = []
    failed, seconds, fits = 0, 0.0, 0
    for seed in range(1, sets + 1):
        model, data = simulated(seed)
        begun = time.perf_counter()
        search = wb.stepwise(model, data, scope, forward=FORWARD, backward=BACKWARD, covariance=False)
        seconds += time.perf_counter() - begun
        fits += sum(trial.seconds > 0 for trial in search.trials)
        failed += len(search.failures)
        found.append({e.place for e in search.effects})
        came = search.steps[search.steps["direction"] == "forward"]
        entered.append(set(zip(came["parameter"], came["covariate"], strict=True)))
        log = search.log
        forward = log[log["direction"] == "forward"]
        pairs.append(forward[["predicted", "delta_ofv"]])
        first.append(forward[forward["step"] == 1])
        print(f"\r{seed} of {sets}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"{sets} data sets, {SUBJECTS} subjects, {2 * COVARIATES} candidates, {len(TRUE)} true ones; "
          f"{fits} fits in {seconds:.0f} s, {failed} without a minimum\n")  # fmt: skip
    print("| effect | size | came in | stayed | expected to stay |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (parameter, covariate), size in TRUE.items():
        place = (parameter, covariate)
        share = [np.mean([place in one for one in sets_]) for sets_ in (entered, found)]
        expected = expected_power(parameter, size, BACKWARD)
        print(f"| {covariate} on {parameter} | {size} | {100 * share[0]:.0f} % | {100 * share[1]:.0f} % | "
              f"{100 * expected:.0f} % |")  # fmt: skip
    null = 2 * COVARIATES - len(TRUE)
    came, stayed = (np.mean([len(one - set(TRUE)) for one in sets_]) for sets_ in (entered, found))
    print(f"\nFalse effects: {came:.2f} of {null} came in ({100 * came / null:.1f} % each; a single test: "
          f"{100 * FORWARD:g} %), {stayed:.2f} stayed ({100 * stayed / null:.1f} %; a single test: "
          f"{100 * BACKWARD:g} %).")  # fmt: skip
    nulls = pd.concat(first)
    nulls = nulls[nulls["covariate"].isin(["X2", "X6", "X10", "X11"])]
    share = 100 * (nulls["p"] < FORWARD).mean()
    print(f"In the first step, covariates two or more away from a true one: p < {FORWARD:g} in {share:.1f} %.")
    together = pd.concat(pairs)
    near = (together["predicted"] - together["delta_ofv"]).abs()
    correlation = together.corr().iloc[0, 1]
    print(f"Predicted and realised ΔOFV, {len(together)} fits: correlation {correlation:.4f}, difference "
          f"{near.median():.3f} in the middle, {near.quantile(0.95):.2f} in 95 %.")  # fmt: skip
    exact = np.mean([one == set(TRUE) for one in found])
    print(f"Exactly the true effects: {100 * exact:.0f} %.")
    return float(correlation)


if __name__ == "__main__":
    study(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
