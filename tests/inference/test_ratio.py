"""The distribution of a likelihood ratio where what is tested lies at its bound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

import workbench as wb
from workbench.results.fit import Status

ORAL = wb.pk(absorption="first-order")


@pytest.fixture(scope="module")
def fits():
    data = wb.load_example("theophylline")
    base = wb.Model(ORAL, error=wb.Combined2())
    full = wb.fit(base, data, covariance=False)

    def fit(model):
        return wb.fit(model, data, covariance=False)

    return full, fit


def law(test):
    """Tail probabilities of ΔOFV at 1, 2, … 8 by the test."""
    at = np.arange(1.0, 9.0)
    return sum(share * (chi2.sf(at, k) if k else 0.0) for k, share in test.weights)


def projected(bounded, unbounded, draws=400_000):
    """The same by simulation: ΔOFV is the squared length of a normal vector's projection on what is possible."""
    z = np.random.default_rng(1).standard_normal((draws, bounded + unbounded))
    z[:, :bounded] = np.maximum(z[:, :bounded], 0.0)
    delta = (z**2).sum(axis=1)
    return np.array([(delta > at).mean() for at in np.arange(1.0, 9.0)])


@pytest.mark.parametrize(
    "error, name", [(wb.Constant(), "b"), (wb.Proportional(), "a")], ids=["constant", "proportional"]
)
def test_a_part_of_the_residual_error(fits, error, name):
    """The data have observations where the prediction is 0: leave the proportional error to the others."""
    full, fit = fits
    model = full.model.with_error(error)
    if name == "a":
        data = full.data.filter("TIME > 0 or EVID == 1")
        small, full = (wb.fit(m, data, covariance=False) for m in (model, full.model))
    else:
        small = fit(model)
    test = wb.likelihood_ratio_test(small, full)
    assert test.boundary and test.weights == ((0, 0.5), (1, 0.5))
    assert test.note.startswith(f"{name} lies at the bound 0 under the smaller model.")
    assert test.p == pytest.approx(0.5 * chi2.sf(test.delta_ofv, 1) if test.delta_ofv > 0 else 1.0)
    assert law(test) == pytest.approx(projected(1, 0), abs=4e-3)


def test_two_variances(fits):
    full, fit = fits
    small = fit(full.model.with_parameter("V", iiv=None).with_parameter("CL", iiv=None))
    test = wb.likelihood_ratio_test(small, full)
    assert test.df == 2 and test.weights == ((0, 0.25), (1, 0.5), (2, 0.25)) and "uncorrelated" in test.note
    assert law(test) == pytest.approx(projected(2, 0), abs=4e-3)
    assert repr(test).count("χ²(") == 3 and "¼ χ²(2)" in repr(test)


def test_a_variance_and_a_covariate(fits):
    full, fit = fits
    small = fit(full.model.with_parameter("V", iiv=None))
    large = fit(full.model.with_covariate("CL", "WT", shape="power"))
    test = wb.likelihood_ratio_test(small, large)
    assert test.weights == ((1, 0.5), (2, 0.5))
    assert law(test) == pytest.approx(projected(1, 1), abs=4e-3)


def test_a_variance_with_its_correlation(fits):
    """Stram & Lee 1994: from one random effect to two correlated ones, ½ χ²(1) + ½ χ²(2)."""
    full, fit = fits
    small = fit(full.model.with_parameter("V", iiv=None))
    large = fit(full.model.with_correlate([("CL", "V")]))
    test = wb.likelihood_ratio_test(small, large)
    assert test.df == 2 and test.weights == ((1, 0.5), (2, 0.5))


def test_what_has_no_known_mixture_is_conservative_and_says_so(fits):
    full, fit = fits
    small = fit(full.model.with_parameter("V", iiv=None).with_parameter("CL", iiv=None))
    large = fit(full.model.with_correlate([("CL", "V")]))
    test = wb.likelihood_ratio_test(small, large)
    assert test.boundary and test.weights == ((3, 1.0),) and "conservative" in test.note and "correlation" in test.note
    assert test.p == pytest.approx(chi2.sf(test.delta_ofv, 3))


def test_a_correlation_alone_is_inside(fits):
    full, fit = fits
    test = wb.likelihood_ratio_test(full, fit(full.model.with_correlate([("CL", "V")])))
    assert not test.boundary and test.weights == ((1, 1.0),) and not test.note


def test_an_edge_of_the_smaller_model_is_said(fits):
    full, fit = fits
    small = replace(full, status=Status.boundary, message="The variance of η of CL went to 0.")
    test = wb.likelihood_ratio_test(small, fit(full.model.with_covariate("CL", "WT", shape="power")))
    assert not test.boundary and "itself at an edge (The variance of η of CL went to 0.)" in test.note


def test_estimates_that_the_larger_model_lacks(fits):
    """By their names, Constant is no case of Power; a variance that is added beside it is at its bound all the same."""
    full, _ = fits
    data = full.data.filter("TIME > 0 or EVID == 1")
    start = full.model.with_parameter("V", iiv=None).with_error(wb.Constant())
    large = wb.fit(full.model.with_error(wb.Power(0.3, 0.5)), data, covariance=False)
    test = wb.likelihood_ratio_test(wb.fit(start, data, covariance=False), large)
    assert test.boundary and test.weights == ((2, 1.0),) and "has no a" in test.note


def test_a_larger_model_that_is_worse_is_said(fits):
    full, fit = fits
    larger = fit(full.model.with_covariate("CL", "WT"))
    assert wb.likelihood_ratio_test(full, larger).note == ""
    worse = wb.likelihood_ratio_test(full, replace(larger, ofv=full.ofv + 0.5))
    assert worse.p == 1.0 and worse.note.startswith("The larger model has the higher OFV")


def test_what_cannot_be_compared_is_named(fits):
    full, _ = fits
    other = replace(full, method="importance", options=wb.Importance())
    with pytest.raises(wb.FitError, match="'focei' and 'importance'"):
        wb.likelihood_ratio_test(full, other)
    with pytest.raises(wb.FitError, match=r"by wb\.Importance\(\) and wb\.Importance\(seed=2\).*same options"):
        wb.likelihood_ratio_test(other, replace(other, options=wb.Importance(seed=2)))
    with pytest.raises(wb.FitError, match="got Model"):
        wb.likelihood_ratio_test(full, full.model)
