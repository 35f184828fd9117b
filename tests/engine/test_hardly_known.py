"""What the data hardly determine is said in the status and marked in the tables, whatever the method."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.methods import METHODS


def hardly_eliminated(seed=1):
    """A bolus that hardly any elimination is seen of: after four hours a thirtieth of it is gone."""
    times, subjects = np.array([0.0, 0.5, 1, 2, 3, 4]), 12
    frame = pd.DataFrame({"ID": np.repeat(np.arange(subjects) + 1, len(times)), "TIME": np.tile(times, subjects)})
    frame["EVID"] = (frame["TIME"] == 0).astype(int)
    frame["AMT"], frame["DV"] = 100.0 * frame["EVID"], 0.0
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 0.25), wb.Parameter("V", 30.0, iiv=0.2)], error=wb.Proportional(0.1))
    simulated = wb.simulate(model, wb.read_data(frame), seed=seed)
    frame.loc[frame["EVID"] == 0, "DV"] = simulated["DV"].to_numpy()
    return model, wb.read_data(frame)


@pytest.mark.parametrize("method", list(METHODS))
def test_what_is_hardly_known_is_said_by_every_method(method):
    model, data = hardly_eliminated()
    fit = wb.fit(model, data, method=method)
    said = "CL went to 0: flat" if method == "two-stage" else "hardly determine"  # it knows who is left out
    assert said in fit.message and "CL" in fit.message
    for line in fit.lines:
        if line.rse > 100 and line.kind != "correlation":
            assert line.doubt and f"{line.name} ({line.doubt})" in fit.message


@pytest.mark.parametrize("method", list(METHODS))
def test_nothing_is_said_of_what_is_well_known(method, theophylline):
    """But of subjects who do not tell alone what all together tell."""
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())
    message = wb.fit(model, theophylline, method=method).message
    assert "hardly determine" not in message


@pytest.mark.parametrize("method", [name for name in METHODS if name != "individual"])  # which leaves effects out
def test_an_effect_that_is_none_is_hardly_known(method, theophylline):
    frame = theophylline.to_frame()
    of = frame[theophylline.roles["subject"]].astype(int)
    frame["X"] = np.random.default_rng(7).standard_normal(13)[of]
    data = wb.read_data(frame, roles={**theophylline.roles, "covariates": ["X"]})
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()).with_covariate("CL", "X", shape="linear")
    fit = wb.fit(model, data, method=method)
    (effect,) = [line for line in fit.lines if line.name.startswith("CL:")]
    assert effect.rse > 100 and f"{effect.name} (RSE {effect.rse:.0f} %)" in fit.message
