"""Where subjects have few observations an approximation says how far it is from the likelihood, or that it fails."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb

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
