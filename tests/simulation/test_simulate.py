"""`simulate`: replicates of data, with and without uncertainty of the parameters."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.problem.compile import compile
from workbench.engine.replicates import Replicates
from workbench.parallel import in_one_thread
from workbench.simulation.replicates import drawn
from workbench.simulation.uncertainty import spread_of


@pytest.fixture(scope="module")
def data():
    return wb.load_example("theophylline")


@pytest.fixture(scope="module")
def fit(data):
    return wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2()), data)


def several(doses=(100.0,), times=(1.0, 2.0, 5.0), subjects=3, **columns):
    rows = []
    for i in range(subjects):
        rows += [{"ID": i + 1, "TIME": 0.0, "AMT": dose, "DV": np.nan, "EVID": 1} for dose in doses]
        rows += [{"ID": i + 1, "TIME": t, "AMT": 0.0, "DV": 1.0, "EVID": 0} for t in times]
    return wb.read_data(pd.DataFrame(rows).assign(**columns))


LINEAR = wb.Model(
    wb.equation("A + B*t"),
    [wb.Parameter("A", 2.0, transform="identity", iiv=0.5), wb.Parameter("B", 3.0, transform="identity", iiv=0.7)],
    error=wb.Constant(0.4),
    correlate=[wb.Block("A", "B", correlations=[0.6])],
)


def test_moments_of_a_linear_model_are_those_in_closed_form():
    """y = A + B t + ε: mean and covariance of each subject's vector; 10⁵ replicates, limits of 5 standard errors."""
    t, K = np.array([0.0, 1.0, 3.0]), 100_000
    frame = pd.DataFrame({"ID": 1, "t": t, "DV": 1.0})
    dv = drawn(LINEAR, wb.read_data(frame, roles={"time": "t"}), K, np.random.default_rng(1)).dv
    Z = np.column_stack([np.ones(3), t])
    psi = np.array([[0.25, 0.6 * 0.35], [0.6 * 0.35, 0.49]])
    V = Z @ psi @ Z.T + 0.16 * np.eye(3)
    assert np.abs(dv.mean(axis=0) - (2.0 + 3.0 * t)).max() < 5 * np.sqrt(V.max() / K)
    error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / K)
    assert (np.abs(np.cov(dv, rowvar=False) - V) < 5 * error).all()


def test_replicates_are_the_same_whatever_the_blocks_and_the_number_of_threads(fit, data, monkeypatch):
    problem = compile(fit.model, data, likelihood=False)
    point = problem.scale.point(problem.x)
    whole = Replicates(problem, 300).drawn([point], np.random.default_rng(3))
    with in_one_thread():
        alone = Replicates(problem, 300).drawn([point], np.random.default_rng(3))
    monkeypatch.setattr("workbench.engine.replicates._EVENTS", 1)
    one_by_one = Replicates(problem, 300).drawn([point] * 300, np.random.default_rng(3))
    for a, b, c in zip(whole, alone, one_by_one, strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c)


def test_a_fit_stands_for_its_model_and_its_data(fit, data):
    table = wb.simulate(fit, replicates=3, seed=5)
    pd.testing.assert_frame_equal(table, wb.simulate(fit.model, data, replicates=3, seed=5))
    pd.testing.assert_frame_equal(table[:132], wb.simulate(fit, seed=5))


def test_the_first_replicates_do_not_depend_on_how_many_there_are(fit):
    few, many = (wb.simulate(fit, replicates=n, seed=5, uncertainty=True) for n in (2, 40))
    pd.testing.assert_frame_equal(few, many[: len(few)])


def test_the_unit_of_the_doses_is_that_of_the_concentrations(data, fit):
    frame = data.to_frame()
    amount = data.roles["amount"]
    tenfold = wb.read_data(frame.assign(**{amount: frame[amount] * 10}))
    model = fit.model.with_error(wb.Proportional(0.1))
    one, ten = (wb.simulate(model, d, replicates=20, seed=1) for d in (data, tenfold))
    for name in ("IPRED", "DV"):
        np.testing.assert_allclose(ten[name], 10 * one[name], rtol=1e-12)


def test_the_order_of_the_subjects_says_nothing_of_their_distribution(fit, data):
    frame = data.to_frame()
    subject = data.roles["subject"]
    turned = wb.read_data(pd.concat([part for _, part in list(frame.groupby(subject, sort=False))[::-1]]))
    moments = []
    for d in (data, turned):
        table = wb.simulate(fit.model, d, replicates=4000, seed=1)
        moments.append(table.groupby(["ID", "TIME"])["DV"].agg(["mean", "std"]).sort_index())
    assert ((moments[0]["mean"] - moments[1]["mean"]).abs() < 5 * moments[0]["std"] * np.sqrt(2 / 4000)).all()
    np.testing.assert_allclose(moments[0]["std"], moments[1]["std"], rtol=0.1)


@pytest.mark.parametrize("correlate", [None, [("CL", "V")]])
def test_parameters_are_drawn_by_the_covariance_of_the_fit(data, correlate):
    """The correlation goes to 1: it has no standard error, and the others have theirs."""
    model = wb.Model(wb.pk(absorption="first-order"), correlate=correlate, error=wb.Combined2())
    fit = wb.fit(model, data)
    problem, known = compile(fit.model, fit.data), np.isfinite(np.diag(fit.covariance))
    assert known.all() == (correlate is None)
    factor, jacobian = spread_of(fit, problem), problem.scale.jacobian(problem.x)[~problem.scale.fixed]
    made = (jacobian @ factor @ factor.T @ jacobian.T)[np.ix_(known, known)]
    np.testing.assert_allclose(made, fit.covariance[np.ix_(known, known)], rtol=1e-8, atol=1e-12)


def test_uncertain_parameters_widen_what_is_drawn(fit):
    sd = [wb.simulate(fit, replicates=2000, seed=2, uncertainty=u)["IPRED"].std() for u in (False, True)]
    assert sd[1] > sd[0]


def test_draws_of_a_bootstrap_and_of_sir_are_taken(fit):
    bootstrap, sir = wb.bootstrap(fit, 5, seed=1), wb.sir(fit, samples=100, resamples=20, seed=1)
    sets = [wb.simulate(fit, replicates=50, seed=2, uncertainty=u) for u in (False, bootstrap, sir)]
    assert not any(a["IPRED"].equals(b["IPRED"]) for a, b in ((sets[0], sets[1]), (sets[1], sets[2])))
    other = fit.model.with_error(wb.Proportional(0.1))
    with pytest.raises(wb.FitError, match="the estimates of this model are ka, CL, V"):
        wb.simulate(other, fit.data, uncertainty=bootstrap)


def test_occasions_and_covariates_that_change_reach_the_replicates():
    """Two occasions with κ of SD 0.3 in log A; a covariate doubles A in the second."""
    frame = pd.DataFrame({"ID": 1, "t": [0.0, 1.0, 2.0, 3.0], "OCC": [1, 1, 2, 2], "X": [0, 0, 1, 1], "DV": 1.0})
    model = wb.Model(
        wb.equation("A + 0*t"), [wb.Parameter("A", 5.0, iov=0.3, covariates=[wb.Effect("X", np.log(2.0))])],
        error=wb.Constant(1e-9),
    )  # fmt: skip
    data = wb.read_data(frame, roles={"time": "t", "occasion": "OCC"})
    logs = np.log(drawn(model, data, 20_000, np.random.default_rng(1)).ipred)
    assert np.array_equal(logs[:, 0], logs[:, 1]) and np.array_equal(logs[:, 2], logs[:, 3])
    np.testing.assert_allclose(logs.mean(axis=0), np.log([5, 5, 10, 10]), atol=5 * 0.3 / np.sqrt(20_000))
    covariance = np.cov(logs[:, [0, 2]], rowvar=False)
    np.testing.assert_allclose(covariance, 0.09 * np.eye(2), atol=5 * 0.09 * np.sqrt(2 / 20_000))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda fit: wb.simulate(fit.model), "A model needs data"),
        (lambda fit: wb.simulate(3, fit.data), "a wb.Model.* or a fit, got int"),
        (lambda fit: wb.simulate(fit, 3), "data as wb.read_data.* got int"),
        (lambda fit: wb.simulate(fit.model, fit.data, uncertainty=True), "does not say how uncertain"),
        (lambda fit: wb.simulate(fit, uncertainty="yes"), "uncertainty='yes'; allowed are"),
        (lambda fit: wb.simulate(fit, replicates=0), "replicates=0; a whole number"),
    ],
)
def test_what_cannot_be_simulated_is_said(fit, call, said):
    with pytest.raises(wb.WorkbenchError, match=said):
        call(fit)


def test_a_fit_without_covariance_or_end_is_said(fit, data):
    without = wb.fit(fit.model, data, covariance=False)
    with pytest.raises(wb.FitError, match="no covariance to draw parameters from"):
        wb.simulate(without, uncertainty=True)
    short = wb.fit(fit.model.without_values(), data, max_iterations=1)
    with pytest.warns(UserWarning, match="no estimates to rely on. The fit used up its iterations"):
        wb.simulate(short, seed=1)
    with pytest.raises(wb.FitError, match="How uncertain the estimates are is not known: The fit used up"), \
         pytest.warns(UserWarning):  # fmt: skip
        wb.simulate(short, seed=1, uncertainty=True)


def test_a_model_whose_values_are_all_columns_of_the_data_is_simulated():
    known = several(CLX=2.0, VX=30.0)
    model = wb.Model(
        wb.pk(), [wb.Parameter("CL", column="CLX"), wb.Parameter("V", column="VX")], error=wb.Constant(0.01)
    )
    found = wb.simulate(model, known, replicates=3, seed=1)
    np.testing.assert_allclose(found["IPRED"], 100 / 30 * np.exp(-2 / 30 * found["TIME"]))
