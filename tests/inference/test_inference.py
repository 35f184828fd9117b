"""Likelihood-ratio tests, profiles, and the bootstrap."""

import numpy as np
import pytest
from scipy.stats import chi2

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.inference.bootstrap import _Resampled

ORAL = wb.pk(absorption="first-order")


@pytest.fixture(scope="module")
def fit(theophylline):
    return wb.fit(wb.Model(ORAL, error=wb.Constant()), theophylline)


# -- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CL", "iiv_ka", "a"])
def test_at_the_ends_of_a_profile_the_objective_has_risen(fit, name):
    found = wb.profile(fit, name)
    rise = chi2.ppf(0.95, 1)
    assert not found.reason and found.lower < fit.estimate(name).value < found.upper
    table = found.table.set_index("value")
    for end in found.interval:
        assert table["delta_ofv"][end] == pytest.approx(rise, abs=0.02)
    estimate = fit.estimate(name)
    assert found.lower == pytest.approx(estimate.lower, rel=0.1)  # near the interval of the Hessian
    assert found.upper == pytest.approx(estimate.upper, rel=0.1)
    assert (table["delta_ofv"] > -1e-4).all()


def test_levels_are_nested(fit):
    inner, outer = (wb.profile(fit, "CL", level=level) for level in (0.5, 0.99))
    assert outer.lower < inner.lower < inner.upper < outer.upper


def test_an_end_that_is_not_there_is_said(fit):
    """Without a random effect of V the OFV is 22.9 higher; it rises by no more as its SD goes to 0."""
    found = wb.profile(fit, "iiv_V", level=1 - 1e-7)
    assert np.isnan(found.lower) and "No lower end: the OFV did not rise by 28.37 within 12 fits." in found.reason
    assert np.isfinite(found.upper)
    assert found.table["delta_ofv"].iloc[0] == pytest.approx(22.86, abs=0.05)


def test_a_profile_can_be_stopped(fit):
    found = wb.profile(fit, "CL", callback=lambda fits: fits == 1)
    assert len(found.points) == 2 and "stopped" in found.reason


def test_what_has_no_profile_is_refused(fit, theophylline):
    with pytest.raises(wb.FitError, match="No estimate is named"):
        wb.profile(fit, "CLL")
    with pytest.raises(wb.FitError, match="between 0 and 1"):
        wb.profile(fit, "CL", level=95)
    fixed = wb.fit(fit.model.with_parameter("V", fixed=True), theophylline, covariance=False)
    with pytest.raises(wb.FitError, match="V is fixed: it has no profile"):
        wb.profile(fixed, "V")


# -- bootstrap -----------------------------------------------------------------------------------------------------


def test_drawing_a_subject_twice_is_having_it_twice(fit, theophylline):
    problem = compile(fit.model, theophylline)
    target = _Resampled(problem, "focei")
    target.weights = np.array([2.0, 0, 1, 1, 3, 0, 1, 1, 1, 0, 1, 1])
    parts = Objective(problem, "focei").evaluate(problem.x).by_subject
    at = target.evaluate(problem.x)
    assert at.ofv == pytest.approx(target.weights @ parts, rel=1e-12)
    h, m = 1e-4, 1
    moved = [problem.x + sign * h * np.eye(len(problem.x))[m] for sign in (1, -1)]
    slope = (target.evaluate(moved[0]).ofv - target.evaluate(moved[1]).ofv) / (2 * h)
    assert at.gradient[m] == pytest.approx(slope, rel=1e-5)


def test_bootstrap(fit):
    found = wb.bootstrap(fit, 60, seed=3)
    again = wb.bootstrap(fit, 20, seed=3)
    assert np.array_equal(found.values[:20], again.values)  # replicates do not depend on how many there are
    summary = found.summary
    assert len(found.table) == 60 and list(summary.index) == [e.name for e in fit.lines]
    se = fit.estimates["se"]
    assert (summary["se"] / se).between(0.4, 2.5).all()
    assert (summary["lower"] < summary["median"]).all() and (summary["median"] < summary["upper"]).all()
    assert sum(found.failures.values()) == sum(status not in ("converged", "boundary") for status in found.status)
    assert "60 replicates" in repr(found)


def test_too_few_replicates_are_shown_all_the_same(fit):
    found = wb.bootstrap(fit, 1)
    assert "1 replicates: too few for a summary" in repr(found) and "too few" in found._repr_html_()
    assert len(found.table) == 1
    with pytest.raises(wb.FitError, match="Only 1 of 1"):
        found.summary  # noqa: B018


def test_a_bootstrap_can_be_stopped(fit):
    found = wb.bootstrap(fit, 50, callback=lambda done, of: done == 3)
    assert len(found.table) == 3 and "3 of 50" in found._head()


def test_what_cannot_be_resampled_is_refused(fit, theophylline):
    pooled = wb.fit(fit.model, theophylline, "pooled", covariance=False)
    with pytest.raises(wb.FitError, match="this one is by pooled"):
        wb.bootstrap(pooled)
    with pytest.raises(wb.FitError, match="1 or more"):
        wb.bootstrap(fit, 0)


# -- likelihood ratios ---------------------------------------------------------------------------------------------


def test_ratio_of_a_variance_is_at_its_bound(fit, theophylline):
    small = wb.fit(fit.model.with_parameter("V", iiv=None), theophylline)
    test = wb.likelihood_ratio_test(small, fit)
    assert test.boundary and test.df == 1
    assert test.p == pytest.approx(0.5 * chi2.sf(small.ofv - fit.ofv, 1))


def test_ratio_of_a_covariate(fit, theophylline):
    large = wb.fit(fit.model.with_covariate("CL", "WT", shape="power"), theophylline)
    test = wb.likelihood_ratio_test(fit, large)
    assert not test.boundary and test.delta_ofv == fit.ofv - large.ofv
    assert test.p == pytest.approx(chi2.sf(max(test.delta_ofv, 0), 1))
    with pytest.raises(wb.FitError, match="smaller model first"):
        wb.likelihood_ratio_test(large, fit)


def test_fits_that_cannot_be_compared(fit, theophylline):
    model = fit.model.with_covariate("CL", "WT", shape="power")
    with pytest.raises(wb.FitError, match="only objectives of one method"):
        wb.likelihood_ratio_test(fit, wb.fit(model, theophylline, "foce", covariance=False))
    with pytest.raises(wb.FitError, match="different data"):
        wb.likelihood_ratio_test(fit, wb.fit(model, theophylline.exclude(subject=1), covariance=False))
    with pytest.raises(wb.FitError, match="no minimum"):
        wb.likelihood_ratio_test(fit, wb.fit(model, theophylline, max_iterations=0, covariance=False))
