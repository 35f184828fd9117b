"""Sentences say amounts, times and concentrations with the units that the data have, and nothing of others."""

import pandas as pd
import pytest

import workbench as wb
from workbench.simulation.units import agreed, units_of

REGIMEN = wb.Regimen(10, every=12, times=4, loading=20, infusion=0.5)
MODEL = wb.Model(
    wb.pk(), [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 20.0, iiv=0.2)], error=wb.Proportional(0.1)
)


@pytest.fixture(scope="module")
def fit():
    data = wb.load_example("phenobarbital")
    return wb.fit(MODEL.with_covariate("CL", "WT", reference=1.4), data, covariance=False)


def test_a_dose_is_said_with_its_units(fit):
    def found(**target):
        return wb.find_dose(fit, REGIMEN, covariates={"WT": 3.0}, replicates=100, **target)

    one = found(above=1, below=40)
    dose = f"{one.regimen.loading:.4g} mg first, {one.amount:.4g} mg over 0.5 h every 12 h, 4 times"
    target = "above 1 mg/L and below 40 mg/L at all times in the last interval"
    assert one.sentence.startswith(f"{dose}: meets the target ({target})")
    assert one.sentence.endswith(" mg reach 90 %.") and one.unit == "mg"
    narrow = found(above=5, below=8)
    assert f"with {narrow.amount:.4g} mg." in narrow.sentence
    assert found(auc=(10, 500), at=(0, 48)).target == "AUC above 10 h·mg/L and below 500 h·mg/L from 0 to 48 h"
    assert found(above=1, at=36).target == "above 1 mg/L at 36 h"


def test_simulations_and_targets_are_said_with_their_units(fit):
    design = wb.Design(REGIMEN, covariates={"WT": 3})
    simulated = wb.simulate(fit, design, 50, seed=1)
    (curve,) = simulated.curves
    assert curve.label == "20 mg first, 10 mg over 0.5 h every 12 h, 4 times, WT 3 kg"
    assert " at 48 h: " in simulated.sentence and simulated.sentence.count(" mg/L") == 2
    never = wb.attainment(simulated, above=1e6).sentence
    assert "above 1e+06 mg/L at all times" in never and never.endswith(" mg/L).")
    assert wb.attainment(simulated, auc=1e9).sentence.endswith(" h·mg/L).")
    share = wb.attainment(simulated, above=1e6, share=0.5).sentence
    assert share.endswith("(share of time: 0 … 0).")
    at = wb.attainment(simulated, above=1e6, at=48.0).sentence
    assert "(at 48 h: " in at


def test_a_patient_has_the_units_of_the_population_unless_its_own_say_others(fit):
    frame = pd.DataFrame({"ID": 1, "TIME": [0.0, 2.0], "AMT": [75.0, 0.0], "DV": [None, 36.0], "WT": 3.0})
    patient = wb.individualise(fit, wb.read_data(frame))
    assert patient.units["amount"] == "mg" and "36 h" in wb.find_dose(patient, REGIMEN, above=1, at=36.0).target
    other = wb.individualise(fit, wb.read_data(frame, units={"time": "min"}))
    assert "time" not in other.units and other.units["response"] == "mg/L"


def test_times_of_a_design_are_said_with_their_unit(fit):
    design = wb.Design(wb.Regimen(70), times=[1, 24], covariates={"WT": [1.0, 3.0] * 10})
    found = wb.optimise(design, fit, [(0.5, 2), (12, 48)], starts=1)
    assert " h. Expected information" in found.sentence
    known = wb.optimise(design, MODEL, [(0.5, 2), (12, 48)], starts=1)
    assert " h" not in known.sentence.partition("Times: ")[2].partition(". Exp")[0]


def test_of_what_is_not_known_nothing_is_said():
    simulated = wb.simulate(MODEL, wb.Design(REGIMEN), 50, seed=1)
    found = wb.find_dose(MODEL, REGIMEN, above=0.1, replicates=100)
    said = simulated.sentence + wb.attainment(simulated, above=1e6).sentence + found.sentence
    assert found.unit == "" and not any(f" {unit}" in said for unit in ("mg", "h,", "h.", "h:", "h)"))
    assert simulated.curves[0].label == REGIMEN.label == "20 first, 10 over 0.5 every 12, 4 times"


def test_the_unit_of_one_response_is_not_that_of_several_or_of_logarithms():
    data = wb.load_example("phenobarbital")
    two = wb.ode("d/dt A = -k*A", response={"P": "A/V", "M": "2*A/V"}, dose="A")
    both = wb.Model(two, [wb.Parameter("k", 0.3), wb.Parameter("V", 10.0)], error=wb.Proportional(0.1))
    assert units_of(MODEL, data)["response"] == "mg/L"
    assert "response" not in units_of(both, data) and units_of(both, data)["time"] == "h"
    assert "response" not in units_of(MODEL.with_error(wb.Exponential(0.1, log_data=True)), data)
    assert agreed([{"time": "h", "amount": "mg"}, {"time": "min"}, {}]) == {"amount": "mg"}
