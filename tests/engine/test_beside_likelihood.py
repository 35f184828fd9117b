"""Where subjects have few observations an approximation says how far it is from the likelihood, or that it fails."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile

PARAMETERS = [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.3)]
TRUTH = wb.Model(wb.pk(absorption="first-order"), PARAMETERS, error=wb.Proportional(0.2))


def simulated(seed, subjects=300, times=(1, 4, 12.0)):
    k = len(times) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(subjects) + 1, k), "TIME": np.tile(np.r_[0, times], subjects)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(k - 1, int)], subjects)
    frame["AMT"], frame["DV"] = np.where(frame["EVID"] == 1, 100.0, 0.0), 0.0
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(TRUTH, wb.read_data(frame), seed=seed)["DV"].to_numpy()
    return wb.read_data(frame)


def test_a_biased_fit_says_how_far_it_is_from_the_likelihood():
    data = simulated(1)
    fit = wb.fit(TRUTH, data, covariance=False)
    assert fit.converged and "standard errors away" in fit.message
    said = float(fit.message.split("about ")[1].split()[0])
    best = wb.fit(fit.model, data, method=wb.Quadrature(7), covariance=False)
    short = wb.objective(fit.model, data, method=wb.Quadrature(7)) - best.ofv
    assert short > 10  # more than three standard errors: FOCEI is biased here
    assert said == pytest.approx(short, rel=0.25)


def test_where_laplace_has_no_minimum_it_did_not_converge():
    data = simulated(7)
    fit = wb.fit(TRUTH, data, method="laplace", covariance=False)
    assert wb.objective(fit.model, data, method=wb.Quadrature(7)) - fit.ofv > 10
    assert not fit.converged and "below the likelihood" in fit.message


def test_nothing_is_said_where_subjects_have_many_observations(theophylline):
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()), theophylline, covariance=False)
    assert "likelihood" not in fit.message


@pytest.mark.parametrize("seed", [11, 13])
def test_a_mode_without_curvature_is_no_minimum_however_coarse_the_nodes(seed):
    """The gradient of a sum over nodes that its curvature spreads is not a number there."""
    fit = wb.fit(TRUTH, simulated(seed), method="laplace", covariance=False)
    assert not fit.converged and "below the likelihood" in fit.message


@pytest.mark.parametrize("seed", [15, 20])
def test_a_bias_that_all_subjects_share_is_said_of_a_minimum(seed):
    """Laplace, and its minimum is one: from elsewhere the search ends there as well."""
    data = simulated(seed)
    elsewhere = TRUTH.with_values({"ka": 0.8, "CL": 4.2, "V": 22.0})
    fit, other = (wb.fit(model, data, method="laplace", covariance=False) for model in (TRUTH, elsewhere))
    assert fit.converged and other.converged and other.ofv == pytest.approx(fit.ofv, abs=1e-3)
    assert "standard errors away" in fit.message


def test_where_an_objective_jumps_the_subjects_are_named():
    data = simulated(10)
    fit = wb.fit(TRUTH, data, method="laplace", covariance=False)
    assert not fit.converged and "changes from one basin into another" in fit.message
    assert "subject" in fit.message.split("the mode of")[1]


@pytest.mark.parametrize("method", ["laplace", "focei"])
def test_an_objective_is_that_at_the_deepest_modes(method):
    """Subjects with two modes at estimates of Laplace, where one search from the typical values finds the other."""
    model = TRUTH.with_values({"ka": 1.5, "CL": 2.9, "V": 31.0}).with_error(wb.Proportional(0.26))
    for name, iiv in (("ka", 0.37), ("CL", 0.21), ("V", 0.27)):
        model = model.with_parameter(name, iiv=iiv)
    for seed in (14, 17):
        problem = compile(model, simulated(seed))
        target = Objective(problem, method)
        best = target.evaluate(problem.x)
        depth, ofv, rng = best.depth.copy(), best.by_subject.copy(), np.random.default_rng(3)
        for _ in range(20):
            found = target.evaluate(problem.x, 1.5 * rng.standard_normal(best.zeta.shape))
            deeper = found.depth < depth - 1e-6
            depth[deeper], ofv[deeper] = found.depth[deeper], found.by_subject[deeper]
        assert wb.objective(model, simulated(seed), method) == pytest.approx(float(ofv.sum()), abs=1e-3)
