"""Profiles of every kind of estimate, against closed forms and against fits of models in which it is fixed."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.inference.held import Held

RISE = chi2.ppf(0.95, 1)


@pytest.fixture(scope="module")
def few():
    """Ten observations of one number."""
    y = np.random.default_rng(2).normal(5.0, 1.0, 10)
    frame = pd.DataFrame({"ID": np.arange(10), "TIME": 1.0, "DV": y})
    model = wb.Model(wb.equation("M + 0*t"), [wb.Parameter("M", 5, transform="identity")], error=wb.Constant(1))
    return wb.fit(model, wb.read_data(frame)), y


@pytest.fixture(scope="module")
def lines():
    """Lines with correlated levels and slopes, a covariate, occasions, and a third effect that is shared."""
    rng = np.random.default_rng(7)
    N, n = 30, 8
    frame = pd.DataFrame({"ID": np.repeat(np.arange(N), n), "TIME": np.tile(np.arange(float(n)), N)})
    frame["OCC"] = np.where(frame["TIME"] < n / 2, 1, 2)
    frame["Z"] = rng.normal(size=N)[frame["ID"]]
    eta = rng.multivariate_normal([0, 0], [[0.09, 0.03], [0.03, 0.04]], N)[frame["ID"]]
    kappa = 0.15 * rng.normal(size=(N, 2))[frame["ID"], frame["OCC"] - 1]
    level, slope = 10 * np.exp(eta[:, 0] + 0.2 * frame["Z"]), 2 * np.exp(eta[:, 1] + kappa)
    frame["DV"] = level + slope * frame["TIME"] + 0.5 * rng.normal(size=N * n)
    return wb.read_data(frame, roles={"occasion": "OCC"})


@pytest.fixture(scope="module")
def correlated(lines):
    parameters = [wb.Parameter("A", 10, iiv=0.3, covariates="Z"), wb.Parameter("B", 2, iiv=0.2)]
    model = wb.Model(wb.equation("A + B*t"), parameters, error=wb.Constant(0.5), correlate=[("A", "B")])
    return wb.fit(model, lines)


# -- closed forms --------------------------------------------------------------------------------------------------


def test_profile_of_a_standard_deviation_is_known(few):
    """ΔOFV = n (log(a²/â²) + â²/a² - 1)."""
    fit, y = few
    found = wb.profile(fit, "a", points=7)
    a = y.std()

    def rise(value):
        return len(y) * (np.log(value**2 / a**2) + a**2 / value**2 - 1)

    table = found.table
    assert len(table) >= 10 and table["value"].is_monotonic_increasing
    assert table["delta_ofv"].to_numpy() == pytest.approx(rise(table["value"].to_numpy()), abs=1e-4)
    assert found.lower == pytest.approx(brentq(lambda v: rise(v) - RISE, 0.1 * a, a), rel=2e-3)
    assert found.upper == pytest.approx(brentq(lambda v: rise(v) - RISE, a, 10 * a), rel=2e-3)


def test_profile_of_a_mean_is_known(few):
    """ΔOFV = n log(1 + (M - mean)²/â²)."""
    fit, y = few
    table = wb.profile(fit, "M", points=5).table
    exact = len(y) * np.log1p((table["value"].to_numpy() - y.mean()) ** 2 / y.var())
    assert table["delta_ofv"].to_numpy() == pytest.approx(exact, abs=1e-4)


# -- against models in which it is fixed ---------------------------------------------------------------------------


def fixed_at(model, name, value):
    if name == "corr_A_B":
        return model.with_correlate([wb.Block("A", "B", correlations=[value], fixed=True)])
    if name == "A:Z":
        return model.with_parameter("A", covariates=wb.Effect("Z", (value,), fixed=True))
    if name.startswith("iiv_"):
        return model.with_parameter(name[4:], iiv=value, fixed=("iiv",))
    return model.with_parameter(name, value=value, fixed=("value",))


def test_a_correlation_at_its_edge_has_one_end():
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant(), correlate=[("CL", "V")])
    fit = wb.fit(model, wb.load_example("theophylline"), covariance=False)
    assert fit.estimate("corr_CL_V").value > 0.9999
    found = wb.profile(fit, "corr_CL_V")
    assert np.isnan(found.upper)
    assert found.reason == "No upper end: the OFV does not rise by 3.84 on the way to 1, its edge."
    # the fit ends 3e-5 before the edge: four halvings lead to it
    assert sum(point.value > found.estimate for point in found.points) <= 4
    held = fit.model.with_correlate([wb.Block("CL", "V", correlations=[found.lower], fixed=True)])
    rise = wb.fit(held, fit.data, covariance=False).ofv - fit.ofv
    assert rise == pytest.approx(3.84, abs=0.03)


@pytest.mark.parametrize("name", ["corr_A_B", "A:Z", "iiv_A", "iiv_B", "B"])
def test_points_are_fits_in_which_the_estimate_is_fixed(correlated, lines, name):
    found = wb.profile(correlated, name)
    assert not found.reason and found.lower < found.estimate < found.upper
    for point in (found.points[0], found.points[-1]):
        again = wb.fit(fixed_at(correlated.model, name, point.value), lines, covariance=False)
        assert point.ofv == pytest.approx(again.ofv, abs=2e-4)


def test_profile_of_a_share(lines):
    parameters = [wb.Parameter("A", 10, iiv=0.3), wb.Parameter("B", 2, share=("A", 0.4))]
    model = wb.Model(wb.equation("A + B*t"), parameters, error=wb.Constant(0.5))
    fit = wb.fit(model, lines)
    found = wb.profile(fit, "share_B")
    assert not found.reason and found.lower < found.estimate < found.upper
    held = fit.model.with_parameter("B", share=("A", found.upper), fixed=("share",))
    assert wb.fit(held, lines, covariance=False).ofv == pytest.approx(fit.ofv + RISE, abs=0.03)


@pytest.mark.parametrize("method", ["quadrature", "pooled", "fo"])
def test_profiles_by_other_methods(lines, method):
    parameters = [wb.Parameter("A", 10, iiv=0.3), wb.Parameter("B", 2)]
    fit = wb.fit(wb.Model(wb.equation("A + B*t"), parameters, error=wb.Constant(0.5)), lines, method)
    found = wb.profile(fit, "B")
    again = wb.fit(fit.model.with_parameter("B", value=found.upper, fixed=("value",)), lines, method, covariance=False)
    assert again.ofv == pytest.approx(fit.ofv + RISE, abs=0.03)


# -- laws of what is held ------------------------------------------------------------------------------------------


def block_of_three(data):
    """Three correlated effects, correlated occasions, one fixed standard deviation, a value between bounds."""
    parameters = [
        wb.Parameter("A", 10, iiv=0.3, iov=0.1, covariates="Z"),
        wb.Parameter("B", 2, iiv=0.2, iov=0.2, fixed=("iiv",)),
        wb.Parameter("C", 0.4, transform="logit", bounds=(0.0, 1.0), iiv=0.5),
    ]
    blocks = [
        wb.Block("A", "B", "C", correlations=[0.3, -0.2, 0.4]),
        wb.Block("A", "B", correlations=[0.5], level="occasion"),
    ]
    model = wb.Model(wb.equation("A + C + B*t"), parameters, error=wb.Combined2(0.5, 0.05), correlate=blocks)
    return compile(wb.initial_values(model, data), data)


VALUES = {
    "A": 9.0, "A:Z": 0.1, "C": 0.7, "iiv_A": 0.35, "iiv_C": 0.9, "corr_A_B": -0.4, "corr_A_C": 0.6, "corr_B_C": -0.7,
    "iov_A": 0.3, "corr_iov_A_B": -0.2, "a": 0.4, "b": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_what_is_held_has_its_value_and_the_gradient_is_exact(lines, name):
    problem = block_of_three(lines)
    scale, target = problem.scale, Objective(problem, "focei")
    labels = [one.label for one in scale.quantities]
    which = labels.index(name)
    held = Held(target, which, VALUES[name])
    x = problem.x + 0.1 * np.random.default_rng(1).normal(size=scale.size)
    at = held.evaluate(x)
    assert scale.estimates(at.x)[which] == pytest.approx(VALUES[name], rel=1e-9)
    assert scale.estimates(at.x)[labels.index("iiv_B")] == pytest.approx(0.2)  # it is fixed
    assert held.evaluate(at.x).x == pytest.approx(at.x, abs=1e-9)  # what is there stays
    differences = np.empty(scale.size)
    for k in range(scale.size):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[k] += sign * 1e-5
            ends.append(held.evaluate(moved).ofv)
        differences[k] = (ends[0] - ends[1]) / 2e-5
    assert at.gradient == pytest.approx(differences, rel=1e-4, abs=1e-3)
    assert at.scores.sum(axis=0) == pytest.approx(at.gradient)


@pytest.mark.parametrize(
    "name, value", [("A", -1.0), ("C", 1.0), ("iiv_A", 0.0), ("corr_A_B", 1.0), ("corr_A_B", -1.5), ("b", -0.1)]
)
def test_what_cannot_be_held(lines, name, value):
    problem = block_of_three(lines)
    which = [one.label for one in problem.scale.quantities].index(name)
    with pytest.raises(wb.FitError, match=f"{name} cannot be held at"):
        Held(Objective(problem, "focei"), which, value)


# -- what is shown -------------------------------------------------------------------------------------------------


def test_a_profile_draws_itself(few):
    fit, _ = few
    found = wb.profile(fit, "a", points=4)
    page = found._repr_html_()
    assert page.count("<svg") == 1 and "path" in page and "ΔOFV by a" in page and "nan" not in page
    inside = [point for point in found.points if point.delta_ofv <= 1.6 * RISE]
    assert page.count("<circle") == len(inside)
    assert (
        "<svg"
        not in wb.profile(fit, "a", callback=lambda fits: True)
        .__class__("x<b>", 1.0, 0.95, found.points[:1], np.nan, np.nan, "")
        ._repr_html_()
    )


def test_points_that_are_none(few):
    fit, _ = few
    with pytest.raises(wb.FitError, match="points=-1"):
        wb.profile(fit, "a", points=-1)
    seen = []
    wb.profile(fit, "a", points=30, callback=lambda fits: seen.append(fits) or fits == 12)
    assert seen == list(range(1, 13))
