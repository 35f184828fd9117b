"""A search may start from any spread of the random effects, and an edge that is no minimum is left."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb

ORAL = wb.pk(absorption="first-order")
STARTS = (1e-12, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 1e6)


def few_subjects(seed, iiv_ka=0.25):
    """Eight subjects × 7 samples, 10 % noise: the data, and the model that they are of."""
    times, rows = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0), []
    for subject in range(1, 9):
        rows.append({"ID": subject, "TIME": 0.0, "AMT": 100.0, "DV": np.nan, "EVID": 1})
        rows += [{"ID": subject, "TIME": t, "AMT": 0.0, "DV": 1.0, "EVID": 0} for t in times]
    model = wb.Model(
        ORAL,
        [wb.Parameter("ka", 1.0, iiv=iiv_ka), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)],
        error=wb.Proportional(0.1),
    )
    data = wb.read_data(pd.DataFrame(rows))
    simulated, frame = wb.simulate(model, data, seed=seed), data.to_frame()
    frame.loc[simulated.index, "DV"] = simulated["DV"]
    return model, wb.read_data(frame, roles=data.roles)


def theophylline():
    data = wb.load_example("theophylline")
    return wb.initial_values(wb.Model(ORAL, error=wb.Combined()), data), data


def phenobarbital():
    data = wb.load_example("phenobarbital")
    return wb.initial_values(wb.Model(wb.pk(), error=wb.Proportional()), data), data


def with_spread(model, size):
    for parameter in model.parameters:
        if parameter.iiv is not None:
            model = model.with_parameter(parameter.name, iiv=size)
    return model


@pytest.mark.parametrize(
    "case",
    [lambda: few_subjects(3), lambda: few_subjects(7, 0.5), theophylline, phenobarbital],
    ids=["eight", "eight with more", "theophylline", "phenobarbital"],
)
def test_every_spread_to_start_from_ends_at_the_same_minimum(case):
    model, data = case()
    fits = {size: wb.fit(with_spread(model, size), data) for size in STARTS}
    assert {size: fit.status.name for size, fit in fits.items() if not fit.converged} == {}
    least = min(fit.ofv for fit in fits.values())
    assert {size: fit.ofv - least for size, fit in fits.items() if fit.ofv > least + 0.01} == {}


@pytest.mark.parametrize("method", ["foce", "laplace", "quadrature", "importance"])
def test_one_spread_of_nothing_is_left_whatever_the_method(method):
    model, data = few_subjects(7, 0.5)
    usual = wb.fit(model, data, method, covariance=False)
    lost = wb.fit(model.with_parameter("ka", iiv=1e-4), data, method, covariance=False)
    assert lost.ofv == pytest.approx(usual.ofv, abs=0.01 if method != "importance" else 0.5)
    assert lost.estimates["estimate"]["iiv_ka"] == pytest.approx(usual.estimates["estimate"]["iiv_ka"], rel=0.05)


@pytest.mark.parametrize("seed", [3, 4, 5, 8, 9, 11])
def test_an_edge_that_is_a_minimum_stays_one(seed):
    """Data without differences in ka between subjects: the objective rises with the variance."""
    model, data = few_subjects(seed, 1e-6)
    fit = wb.fit(with_spread(model, 0.3), data)
    assert fit.status is wb.Status.boundary and "variance of η of ka went to 0" in fit.message
    inside = [wb.objective(fit.model.with_parameter("ka", iiv=size), data) for size in (0.01, 0.03, 0.1, 0.3)]
    assert min(inside) > fit.ofv - 1e-3


@pytest.mark.parametrize("method", ["importance", "saem"])
@pytest.mark.parametrize("seed", [3, 5])
def test_by_draws_an_edge_is_one_as_well(seed, method):
    model, data = few_subjects(seed, 1e-6)
    fit = wb.fit(with_spread(model, 0.3), data, method)
    assert fit.status is wb.Status.boundary and "variance of η of ka went to 0" in fit.message
    best = wb.fit(with_spread(model, 0.3), data, "quadrature", covariance=False)
    assert wb.objective(fit.model, data, "quadrature") < best.ofv + 0.15


@pytest.mark.parametrize("error", [wb.Constant(), wb.Proportional(), wb.Combined()], ids=repr)
@pytest.mark.parametrize("covariance", [True, False])
def test_what_nothing_depends_on_has_not_converged(error, covariance):
    """A clearance of 1e9: nothing is left of any dose at the first observation."""
    data = wb.load_example("quinidine")
    model = wb.initial_values(wb.Model(ORAL, error=error), data).with_parameter("CL", value=1e9)
    # usual spreads: with smaller ones, as the data suggest, an error in proportion to 0 is refused before any search
    fit = wb.fit(with_spread(model, 0.3), data, covariance=covariance)
    assert not fit.converged or fit.estimates["estimate"]["CL"] < 1000


def test_an_effect_that_says_nothing_is_named_with_and_without_standard_errors():
    data = wb.load_example("orange_trees")
    parameters = [wb.Parameter("A", 190.0, iiv=0.2), wb.Parameter("k", 0.001), wb.Parameter("D", 1.0)]
    model = wb.Model(wb.equation("A*(1 - exp(-k*t)) + 0*D"), parameters, error=wb.Constant(10.0))
    for covariance in (True, False):
        fit = wb.fit(model, data, covariance=covariance)
        assert fit.status is wb.Status.undetermined and not fit.converged
        assert "Not determined by the data: D" in fit.said


def test_an_estimate_that_is_hardly_known_is_said():
    """Orange trees: the spread of xmid has a standard error of several times itself."""
    model = wb.Model(wb.equation("Asym/(1 + exp(-(t - xmid)/scal))"), error=wb.Combined())
    fit = wb.fit(model, wb.load_example("orange_trees"))
    for name, line in fit.estimates.iterrows():
        assert (f"{name} (RSE {line['rse']:.0f} %)" in fit.said) == (line["rse"] > 100)
    assert fit.estimates["rse"].max() > 500
