"""Speed of covariate searches. Run on request: pytest tests/benchmarks/test_screening_speed.py --benchmark-only"""

import numpy as np
import pandas as pd
import pytest

import workbench as wb

TIMES = np.array([0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24.0])
NAMES = ("CL", "V1", "Q", "V2")


def _covariates(frame, count, rng):
    """Log-normal covariates, each with a correlation of 0.5 with the one before."""
    codes = pd.factorize(frame["ID"])[0]
    z = rng.standard_normal((codes.max() + 1, count))
    for k in range(1, count):
        z[:, k] = 0.5 * z[:, k - 1] + np.sqrt(0.75) * z[:, k]
    return frame.assign(**{f"COV{k}": np.exp(0.25 * z[codes, k]) for k in range(count)})


def infants():
    """The dosing and sampling of the phenobarbital data; two compartments, six covariates, the weight the true one."""
    given = wb.load_example("phenobarbital")
    frame = given.to_frame().rename(columns={given.roles["subject"]: "ID"})
    frame = _covariates(frame, 4, np.random.default_rng(2))
    roles = given.roles | {"subject": "ID", "covariates": ["WT", "APGR", *(f"COV{k}" for k in range(4))]}
    weight = [wb.Effect("log(WT/1.3)", (1.0,))]
    parameters = [
        wb.Parameter("CL", 0.0065, iiv=0.2, covariates=weight),
        wb.Parameter("V1", 1.0, iiv=0.2, covariates=weight),
        wb.Parameter("Q", 0.1),
        wb.Parameter("V2", 0.4),
    ]
    return _simulated(wb.Model(wb.pk(compartments=2), parameters, wb.Proportional(0.1)), frame, roles)


def adults():
    """120 subjects, ten samples each; two compartments, 20 covariates, of which three count."""
    n = len(TIMES) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, 121), n), "TIME": np.tile(np.r_[0, TIMES], 120)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(n - 1, int)], 120)
    frame["AMT"], frame["DV"] = np.where(frame["EVID"] == 1, 100.0, 0.0), 0.0
    frame = _covariates(frame, 20, np.random.default_rng(3))
    effects = {"CL": "log(COV0)", "V1": "log(COV5)", "V2": "log(COV10)"}
    values = zip(NAMES, (3.0, 20.0, 4.0, 40.0), (0.3, 0.2, None, 0.3), strict=True)
    parameters = [
        wb.Parameter(name, value, iiv=iiv, covariates=[wb.Effect(effects[name], (0.6,))] if name in effects else ())
        for name, value, iiv in values
    ]
    return _simulated(wb.Model(wb.pk(compartments=2), parameters, wb.Proportional(0.1)), frame, None)


def _simulated(truth, frame, roles):
    def read(frame):
        return wb.read_data(frame, roles=roles) if roles else wb.read_data(frame)

    response = roles["response"] if roles else "DV"
    found = wb.simulate(truth, read(frame), seed=1)["DV"].to_numpy()
    seen = frame[response].notna() & (frame["AMT"].fillna(0) == 0)
    frame.loc[seen, response] = found[-int(seen.sum()) :] if len(found) == seen.sum() else found[seen.to_numpy()]
    bare = truth
    for parameter in truth.parameters:
        bare = bare.with_parameter(parameter.name, covariates=())
    return bare, read(frame)


@pytest.mark.parametrize("design", [infants, adults], ids=["4 x 6 on 59 infants", "4 x 20 on 120 subjects"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_stepwise(benchmark, design, jobs):
    model, data = design()
    scope = {name: list(data.covariate_names) for name in NAMES}
    found = benchmark.pedantic(lambda: wb.stepwise(model, data, scope, jobs=jobs), rounds=1, warmup_rounds=1)
    benchmark.extra_info["fits"] = sum(trial.seconds > 0 for trial in found.trials)
    benchmark.extra_info["effects"] = ", ".join(map(str, found.effects))
    benchmark.extra_info["failures"] = len(found.failures)


def test_linearised_screen(benchmark):
    """12 covariates on 4 parameters in 3 shapes, 120 subjects."""
    model, data = adults()
    fit = wb.fit(model, data, covariance=False)
    shapes = ("power", "exponential", "linear")
    scope = {name: [(f"COV{k}", shape) for k in range(12) for shape in shapes] for name in NAMES}
    found = benchmark.pedantic(lambda: wb.linearised_screen(fit, scope), rounds=3, warmup_rounds=1)
    assert len(found.predictions) == 144
