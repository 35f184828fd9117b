"""Values that a model does not state are found from the data, and a fit from there ends where it should."""

import numpy as np
import pytest

import workbench as wb


def test_three_compartments_from_nothing():
    """Remifentanil: the third compartment is found, and worth its parameters."""
    data = wb.load_example("remifentanil")
    two, three = (wb.fit(wb.Model(wb.pk(n), error=wb.Proportional()), data, covariance=False) for n in (2, 3))
    assert two.converged
    assert three.converged
    assert two.ofv > three.ofv + 1000


@pytest.mark.parametrize("parameters", ["rate", "macro", "half-life"])
def test_parameterisations_end_at_the_same_place(parameters):
    """Without random effects a parameterisation is only another name for the same curves."""
    data = wb.load_example("indomethacin")
    data = wb.read_data(data.to_frame(), roles=data.roles, dose=25.0)
    clearance = wb.fit(wb.Model(wb.pk(2), error=wb.Proportional()), data, method="pooled")
    other = wb.fit(wb.Model(wb.pk(2, parameters=parameters), error=wb.Proportional()), data, method="pooled")
    assert other.ofv == pytest.approx(clearance.ofv, abs=1e-4)


def test_an_equation_of_ones_own_from_nothing():
    """Orange trees: the log-likelihood of R's nlme by ML is -131.572 (Pinheiro & Bates 2000, section 8.2)."""
    model = wb.Model(
        wb.equation("Asym/(1 + exp(-(t - xmid)/scal))"),
        [wb.Parameter("Asym", iiv=True, transform="identity"), wb.Parameter("xmid"), wb.Parameter("scal")],
        error=wb.Constant(),
    )
    fit = wb.fit(model, wb.load_example("orange_trees"))
    assert fit.converged
    assert fit.minus2ll == pytest.approx(2 * 131.572, abs=0.01)


@pytest.mark.parametrize(
    "structure",
    [
        wb.pk(absorption="first-order", lag=True),
        wb.pk(absorption="zero-order"),
        wb.pk(2, absorption="first-order"),
        wb.pk(absorption="transit", transits=2),
        wb.pk(absorption="first-order", elimination="michaelis-menten"),
    ],
    ids=repr,
)
def test_every_value_is_found(structure):
    data = wb.load_example("theophylline")
    model = wb.initial_values(wb.Model(structure), data)
    assert model.is_complete
    f = wb.predict(model, data).loc[data.frame["MDV"] == 0, "PRED"].to_numpy()
    y = data.events.dv[data.events.observed]
    assert np.corrcoef(f, y)[0, 1] > 0.85


def test_a_duration_of_nothing_is_a_bolus():
    data = wb.load_example("theophylline")
    frame = data.to_frame()
    frame["D1"] = 0.0
    data = wb.read_data(frame, roles={**data.roles, "covariates": ["WT", "D1"]})
    values = [wb.Parameter("CL", 0.04), wb.Parameter("V", 0.5)]
    at_once = wb.Model(wb.pk(), values, wb.Constant(1.0))
    over = wb.Model(wb.pk(absorption="zero-order"), [wb.Parameter("Tk0", column="D1"), *values], wb.Constant(1.0))
    np.testing.assert_allclose(wb.predict(over, data)["PRED"], wb.predict(at_once, data)["PRED"], rtol=1e-12)


@pytest.mark.parametrize("term", ["log(WT)", "log(WT*1000)"])
@pytest.mark.parametrize(("which", "fixed", "value"), [("V", True, 1.0), ("CL", True, 0.75), ("V", False, 1.0)])
def test_start_values_are_those_of_a_typical_subject(term, which, fixed, value):
    """However an effect is centred, as V = θ·WT, the fit from automatic values ends at the same minimum."""
    data, structure = wb.load_example("theophylline"), wb.pk(absorption="first-order")

    def fitted(term):
        effects = {which: [wb.Effect(term, value, fixed=fixed)]}
        parameters = [wb.Parameter(name, iiv=True, covariates=effects.get(name, ())) for name in structure.names]
        return wb.fit(wb.Model(structure, parameters, error=wb.Combined()), data, covariance=False)

    centred, other = fitted("log(WT/70)"), fitted(term)
    assert other.converged and other.ofv == pytest.approx(centred.ofv, abs=1e-3)
