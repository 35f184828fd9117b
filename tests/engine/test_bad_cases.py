"""Data and models with which no fit can end well: a clear error, or an honest status."""

import pandas as pd
import pytest

import workbench as wb

ORAL = wb.pk(absorption="first-order")
PARAMETERS = [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 0.04, iiv=0.3), wb.Parameter("V", 0.45, iiv=0.2)]
MODEL = wb.Model(ORAL, PARAMETERS, error=wb.Constant(0.7))


def changed(data, **columns):
    frame = data.frame.copy()
    for name, value in columns.items():
        frame[data.roles["response"] if name == "response" else name] = value
    return wb.read_data(frame, roles=data.roles)


def test_a_subject_without_observations(theophylline):
    frame, roles = theophylline.frame, theophylline.roles
    kept = frame[(frame[roles["subject"]] != 3) | (frame[roles["amount"]] > 0)]
    with pytest.raises(wb.DataError, match="subject 3: the subject has no observation"):
        wb.read_data(kept, roles=roles)


def test_a_constant_covariate(theophylline):
    model = MODEL.with_covariate("CL", "WT", shape="power", reference=60)
    fit = wb.fit(model, changed(theophylline, WT=70.0))
    assert fit.status is wb.Status.undetermined and fit.covariance is None
    assert "Not determined by the data: CL, CL:log(WT/60)" in fit.said
    assert "flat in the direction of CL" in fit.se_reason


@pytest.mark.parametrize("covariance", [True, False])
def test_what_runs_away_while_nothing_changes_is_not_determined(covariance):
    """Growth that is a straight line: x and y of x·(1 - exp(-y t))^z go together, without end."""
    tree = {"age": [0, 3, 6, 17, 29, 47, 57, 63, 72], "height": [37, 70, 199, 464, 736, 1008, 1280, 1462, 1643.0]}
    data = wb.read_data(pd.DataFrame(tree), roles={"subject": None, "time": "age", "response": "height"})
    model = wb.Model(wb.equation("x*(1-exp(-y*t))^z"), error=wb.Constant())
    fit = wb.fit(model, data, method="pooled", covariance=covariance)
    assert fit.status is wb.Status.undetermined and "Not determined by the data: x, y, which" in fit.message
    assert fit.ofv == pytest.approx(75.514, abs=1e-3)


def test_a_singular_psi_at_the_start(theophylline):
    fit = wb.fit(MODEL.with_correlate([wb.Block("CL", "V", correlations=[0.99999])]), theophylline)
    assert fit.status is wb.Status.boundary and "corr_CL_V" in fit.se_reason
    fit, usual = (wb.fit(MODEL.with_parameter("CL", iiv=iiv), theophylline) for iiv in (1e-8, 0.3))
    assert fit.converged and fit.ofv == pytest.approx(usual.ofv, abs=1e-3)


def test_a_value_outside_its_bounds():
    with pytest.raises(wb.ModelError, match=r"must lie strictly between 0\.1 and 1"):
        MODEL.with_parameter("CL", bounds=(0.1, 1))


def test_nothing_but_zeros(theophylline):
    fit = wb.fit(MODEL, changed(theophylline, response=0.0))
    assert fit.status is wb.Status.diverged and fit.covariance is None


@pytest.mark.parametrize("method", ["focei", "quadrature", "importance", "pooled"])
def test_an_equation_that_has_no_value(method, theophylline):
    model = wb.Model(
        wb.equation("a*log(-b*t)"), [wb.Parameter("a", 1, iiv=0.3), wb.Parameter("b", 1)], error=wb.Constant(1)
    )
    with pytest.raises(wb.FitError, match=r"not a number in row 3 \(subject 1\) and in 131 more"):
        wb.fit(model, theophylline, method)


@pytest.mark.parametrize("more", [{}, {"starts": 5}, {"method": "quadrature"}], ids=["once", "often", "quadrature"])
def test_one_subject(more, theophylline):
    fit = wb.fit(MODEL, theophylline.filter("ID == 1"), **more)
    assert fit.status is wb.Status.boundary and "variance of η of CL went to 0" in fit.message


def test_two_observations(theophylline):
    frame, roles = theophylline.frame, theophylline.roles
    fit = wb.fit(MODEL, wb.read_data(frame[frame[roles["subject"]] == 1].head(3), roles=roles))
    assert fit.n_observations == 2 and fit.covariance is None and fit.se_reason


@pytest.mark.parametrize("method", ["quadrature", "importance"])
def test_an_integral_over_no_random_effects(method, theophylline):
    model = MODEL.without_random_effects()
    pooled = wb.fit(model, theophylline, "pooled", covariance=False)
    fit = wb.fit(model, theophylline, method, covariance=False)
    # without the Hessian's last step a search ends within 1e-4 of the minimum
    assert fit.ofv == pytest.approx(pooled.ofv, abs=2e-4) and not fit.accuracy


def test_a_censored_record_before_absorption_is_refused_in_words_where_errors_are_log_normal():
    frame = wb.load_example("theophylline").frame
    frame = frame[(frame["EVID"] == 1) | (frame["TIME"] > 0) | (frame["DV"] < 0.5)]
    below = (frame["EVID"] == 0) & (frame["DV"] < 0.5)
    data = wb.read_data(frame.assign(CENS=below.astype(int), DV=frame["DV"].mask(below, 0.5)))
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Exponential()).with_blq("M3")
    with pytest.raises(wb.ModelError, match=r"log-normal, but the prediction is zero in 11 of 131 observations"):
        wb.fit(model, data)
