"""What integrating costs beside a closed form; run with `pytest tests/benchmarks --benchmark-only`."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb

SUBJECTS, SAMPLES = 120, 10
BOLUS = wb.Model(
    wb.pk(), [wb.Parameter("CL", 1.0, iiv=0.3), wb.Parameter("V", 10.0, iiv=0.3)], error=wb.Proportional(0.1)
)
SATURABLE = wb.Model(
    wb.pk(elimination="michaelis-menten"),
    [wb.Parameter("Vm", 8.0, iiv=0.3), wb.Parameter("Km", 3.0), wb.Parameter("V", 10.0, iiv=0.3)],
    error=wb.Proportional(0.1),
)


def simulated(model):
    times = np.sort(np.random.default_rng(1).uniform(0.25, 24, (SUBJECTS, SAMPLES)), axis=1)
    frame = pd.concat(
        pd.DataFrame({"ID": i + 1, "TIME": [0.0, *row], "AMT": [100.0] + [0.0] * SAMPLES, "EVID": [1] + [0] * SAMPLES,
                      "DV": [np.nan] + [1.0] * SAMPLES})
        for i, row in enumerate(times)
    )  # fmt: skip
    frame = frame.reset_index(drop=True)
    drawn = wb.simulate(model, wb.read_data(frame), seed=2)
    frame.loc[frame["EVID"] == 0, "DV"] = drawn["DV"].abs().to_numpy()
    return wb.read_data(frame)


def as_ode(model):
    return wb.Model(model.structure.as_ode(), model.parameters, error=model.error)


@pytest.mark.parametrize(
    "model", [BOLUS, as_ode(BOLUS), SATURABLE], ids=["closed form", "the same as an ODE", "saturable"]
)
def test_fit(benchmark, model):
    """FOCEI without standard errors; an ODE is to cost at most 25 times its closed form."""
    data = simulated(model)
    wb.fit(model, data, covariance=False)
    fit = benchmark(wb.fit, model, data, covariance=False)
    assert fit.converged
