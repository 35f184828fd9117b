"""Each subject alone, and the two-stage methods, against scipy and slow direct computations."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares, minimize

import workbench as wb
from workbench.engine.methods.own_values import own_values
from workbench.engine.predictions import threads
from workbench.engine.search import descent
from workbench.parallel import in_one_thread
from workbench.results.fit import Status
from workbench.results.runs import Runs
from workbench.ui.session.cell import read_cell

ORAL = wb.pk(absorption="first-order")
PARAMETERS = [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 0.04, iiv=0.3), wb.Parameter("V", 0.45, iiv=0.2)]
MODEL = wb.Model(ORAL, PARAMETERS, error=wb.Constant(0.7))
NAMES = ["ka", "CL", "V"]


@pytest.fixture(scope="module")
def alone(theophylline):
    return wb.fit(MODEL, theophylline, "individual")


def curve(z, dose, t):
    ka, CL, V = np.exp(z)
    k = CL / V
    return dose * ka / (V * (ka - k)) * (np.exp(-k * t) - np.exp(-ka * t))


def by_scipy(data):
    """Least squares of each subject: values, sum of squares, information JᵀJ."""
    roles, found = data.roles, {}
    for label, part in data.frame.groupby(roles["subject"]):
        dose = part[roles["amount"]].max()
        seen = part[~(part[roles["amount"]] > 0)]
        t, y = seen[roles["time"]].to_numpy(float), seen[roles["response"]].to_numpy(float)
        best = least_squares(
            lambda z, dose=dose, t=t, y=y: y - curve(z, dose, t), np.log([1.5, 0.04, 0.45]), method="lm",
            xtol=1e-15, ftol=1e-15, gtol=1e-15,
        )  # fmt: skip
        found[label] = (best.x, 2 * best.cost, best.jac.T @ best.jac)
    return found


# -- individual ------------------------------------------------------------------------------------------------------


def test_own_values_are_those_of_scipy(alone, theophylline):
    direct = by_scipy(theophylline)
    z = np.array([direct[label][0] for label in alone.individual.index])
    assert np.allclose(np.log(alone.individual[NAMES]), z, atol=1e-6)
    left = sum(value[1] for value in direct.values())
    assert alone.estimate("a").value == pytest.approx(np.sqrt(left / 132), rel=1e-8)
    assert alone.ofv == pytest.approx(132 * (np.log(left / 132) + 1), abs=1e-7)
    assert alone.status is Status.converged and alone.failures == {}
    assert alone.accuracy.endswith("compared with others by AIC only.")


def test_what_a_population_is_made_of(alone):
    z = np.log(alone.individual[NAMES])
    assert np.allclose(np.log([alone.estimate(name).value for name in NAMES]), z.mean())
    assert np.allclose(alone.etas[NAMES], z - z.mean(), atol=1e-12)
    assert np.allclose(alone.omega.loc[NAMES, NAMES], z.cov())
    assert alone.estimate("iiv_ka").value == pytest.approx(z["ka"].std())
    assert alone.n_estimated == 12 * 3 + 1 and alone.aic == pytest.approx(alone.minus2ll + 2 * 37)
    assert "not that of a mixed model" in alone.summary() and "two" in alone.se_reason.lower()
    table = alone.table()
    assert np.isnan(table["CWRES"]).all() and table["IRES"].std(ddof=0) == pytest.approx(0.597, abs=0.01)


def test_the_residual_error_of_nlslist(theophylline):
    # Pinheiro & Bates 2000, Mixed-Effects Models in S and S-PLUS, section 8.2: 0.70019 on 96 degrees of freedom
    fit = wb.fit(MODEL, theophylline, "two-stage")
    a = fit.estimate("a")
    assert a.value == pytest.approx(0.70019, abs=1e-5) and a.se == pytest.approx(a.value / np.sqrt(2 * 96))


@pytest.mark.parametrize("error", [wb.Combined(0.3, 0.1), wb.Combined2(0.3, 0.1), wb.Constant(0.5)])
def test_values_and_error_are_a_joint_minimum(error, theophylline):
    own = own_values(MODEL.with_error(error), theophylline)
    problem, seen = own.problem, own.problem.observations
    free = [e.which for e in problem.scale.errors]

    def total(v):
        """By the textbook: Σ e²/R + log R."""
        f = np.full(len(seen.y), np.nan)
        problem.predict(np.arange(12), v[:36].reshape(12, 3), 0, f, np.empty((0, 3)), np.empty((0, 3, 3)))
        a, b = (np.exp(v[36 + free.index(k)]) if k in free else 0.0 for k in (0, 1))
        R = (a + b * np.abs(f)) ** 2 if isinstance(error, wb.Combined) else a**2 + (b * f) ** 2
        return float(np.sum((seen.y - f) ** 2 / R + np.log(R)))

    at = np.concatenate([own.u.ravel(), np.log(own.sigma[0, free])])
    assert own.by_subject.sum() == pytest.approx(total(at), abs=1e-9)
    better = minimize(total, at, method="BFGS", options={"gtol": 1e-4})
    assert better.fun > total(at) - 1e-5
    assert np.allclose(better.x, at, atol=1e-2)


def test_threads_and_pieces_change_nothing(theophylline, monkeypatch):
    model = MODEL.with_error(wb.Combined2(0.3, 0.1))
    with in_one_thread():
        alone = own_values(model, theophylline)
    monkeypatch.setattr(threads, "threads", lambda: 3)
    monkeypatch.setattr(threads, "_WORTH_IT", 0.0)
    monkeypatch.setattr(descent, "_SECONDS_A_BLOCK", 0.0)
    together = own_values(model, theophylline)
    for name in ("u", "covariance", "by_subject", "sigma"):
        assert np.array_equal(getattr(alone, name), getattr(together, name))


def test_far_from_the_residual_error(alone, theophylline):
    for a in (1e-3, 500.0):
        fit = wb.fit(MODEL.with_error(wb.Constant(a)), theophylline, "individual")
        assert fit.ofv == pytest.approx(alone.ofv, abs=1e-6) and fit.failures == {}


def test_own_values_are_those_of_nlslist():
    # Pinheiro & Bates 2000, Mixed-Effects Models in S and S-PLUS, section 6.2: indomethacin, 0.0756 on 42 df
    parameters = [
        wb.Parameter("A1", 2.8, iiv=0.5, transform="identity"),
        wb.Parameter("l1", 0.8, transform="identity"),
        wb.Parameter("A2", 0.5, transform="identity"),
        wb.Parameter("l2", -1.3, transform="identity"),
    ]
    model = wb.Model(wb.equation("A1*exp(-exp(l1)*t) + A2*exp(-exp(l2)*t)"), parameters, error=wb.Constant(0.1))
    data = wb.load_example("indomethacin")
    fit = wb.fit(model, data, "individual")
    expected = {
        1: (2.0293, 0.5794, 0.1915, -1.7878),
        4: (2.1981, 0.2423, 0.2545, -1.6027),
        3: (5.4683, 1.7498, 1.6758, -0.4122),
    }
    for subject, values in expected.items():
        assert fit.individual.loc[subject].tolist() == pytest.approx(values, abs=1e-4)
    assert wb.fit(model, data, "two-stage").estimate("a").value == pytest.approx(0.0756, abs=1e-4)


def test_order_and_labels_do_not_matter(alone, theophylline):
    frame, roles = theophylline.frame.copy(), theophylline.roles
    new = {label: f"p{(7 * k) % 12:02d}" for k, label in enumerate(frame[roles["subject"]].unique())}
    frame["ID"] = frame[roles["subject"]].map(new)
    frame = pd.concat([part for _, part in frame.groupby("ID")])
    other = wb.fit(MODEL, wb.read_data(frame, roles={**roles, "subject": "ID"}), "individual")
    assert np.allclose(other.individual.loc[[new[k] for k in alone.individual.index]], alone.individual, rtol=1e-6)
    assert other.ofv == pytest.approx(alone.ofv, abs=1e-7)


def test_absorption_is_the_faster_one(theophylline):
    start = MODEL.with_values({"ka": 0.3, "V": 0.2})  # from where some subjects end in the other minimum
    fit = wb.fit(start, theophylline, "individual")
    assert (fit.individual["ka"] > fit.individual["CL"] / fit.individual["V"]).all()


def thinned(data, **kept):
    """Only the first observations of some subjects."""
    frame, roles = data.frame, data.roles
    dose = frame[roles["amount"]] > 0
    number = (~dose).groupby(frame[roles["subject"]]).cumsum()
    most = frame[roles["subject"]].astype(str).map({label[1:]: n for label, n in kept.items()}).fillna(np.inf)
    return wb.read_data(frame[dose | (number <= most)], roles=roles)


def test_subjects_with_too_little_fail_in_words(alone, theophylline):
    fit = wb.fit(MODEL, thinned(theophylline, _2=2, _5=1), "individual")
    assert fit.failures == {2: "2 observations for 3 parameters", 5: "1 observation for 3 parameters"}
    assert "2 of 12 subjects could not be fitted alone: 2 observations for 3 parameters (2)" in fit.message
    assert fit.individual.loc[[2, 5]].isna().all(axis=None) and fit.etas.loc[[2, 5]].isna().all(axis=None)
    others = fit.individual.index.difference([2, 5])
    assert np.allclose(fit.individual.loc[others], alone.individual.loc[others], rtol=1e-6)
    assert fit.n_estimated == 31 and fit.n_observations == 110
    table = fit.table()
    lost = table["ID"].isin([2, 5])
    assert lost.sum() == 3 and table.loc[lost, "IPRED"].isna().all() and table.loc[~lost, "IPRED"].notna().all()
    assert table["PRED"].notna().all() and np.isfinite(fit.aic)
    assert "2 observations for 3 parameters" in fit._repr_html_()


def test_a_parameter_that_nothing_determines(theophylline):
    frame, roles = theophylline.frame, theophylline.roles
    late = (frame[roles["subject"]] != 3) | (frame[roles["amount"]] > 0) | (frame[roles["time"]] == 0)
    late |= frame.index.isin(frame.index[frame[roles["subject"]] == 3][-2:])
    fit = wb.fit(MODEL, wb.read_data(frame[late], roles=roles), "individual")
    assert list(fit.failures) == [3] and "ka" in fit.failures[3] and fit.failures[3].endswith("flat")


def test_sparse_data(theophylline):
    data = wb.load_example("phenobarbital")
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 0.006, iiv=0.3), wb.Parameter("V", 1.4, iiv=0.2)],
                     error=wb.Constant(3.0))  # fmt: skip
    fit = wb.fit(model, data, "individual")
    assert 5 < len(fit.failures) < 20 and fit.individual["CL"].notna().sum() == 59 - len(fit.failures)
    assert "1 observation for 2 parameters" in fit.failures.values()
    staged = wb.fit(model, data, "two-stage")
    assert staged.failures.keys() == fit.failures.keys() and staged.individual.notna().all(axis=None)
    for one in (fit, staged):  # of fewer observations than a fit of all subjects: not to be laid beside it
        found = 59 - len(fit.failures)
        assert f"OFV, AIC and BIC are of {found} subjects: they are not compared with those of 59." in one.accuracy
    assert "AIC only" not in fit.accuracy


def test_nobody_can_be_fitted(theophylline):
    one = thinned(theophylline, **{f"_{k}": 1 for k in range(1, 13)})
    with pytest.raises(wb.FitError, match="Not one subject could be fitted alone: 1 observation for 3 parameters"):
        wb.fit(MODEL, one, "individual")


def test_one_subject(theophylline):
    data = theophylline.filter("ID == 1")
    fit = wb.fit(MODEL, data, "individual")
    assert np.isnan(fit.estimate("iiv_ka").value) and "One subject does not show how subjects vary" in fit.message
    assert fit.omega.isna().all(axis=None) and len(fit.summary()) > 100
    with pytest.raises(wb.FitError, match="Only one subject"):
        wb.fit(MODEL, data, "two-stage")


def test_no_more_observations_than_values(theophylline):
    frame, roles = theophylline.frame, theophylline.roles
    number = (~(frame[roles["amount"]] > 0)).groupby(frame[roles["subject"]]).cumsum()
    kept = (frame[roles["amount"]] > 0) | number.isin([3, 5, 9])
    three = wb.read_data(frame[kept], roles=roles)
    fit = wb.fit(MODEL, three, "individual")
    assert "The residual error is as stated" in fit.message and fit.estimate("a").value == 0.7


def test_what_is_fixed_or_known_stays(theophylline):
    model = MODEL.with_parameter("CL", fixed=True, covariates="log(WT/70)")
    model = model.with_parameter("CL", covariates=(wb.Effect("log(WT/70)", 0.75, fixed=True),))
    fit = wb.fit(model, theophylline, "individual")
    weight = theophylline.frame.groupby("ID")["WT"].first()
    assert np.allclose(fit.individual["CL"], 0.04 * (weight / 70) ** 0.75) and list(fit.etas) == ["ka", "V"]
    with pytest.raises(wb.ModelError, match="No parameter is estimated"):
        wb.fit(MODEL.with_parameter("ka", fixed=True).with_parameter("CL", fixed=True).with_parameter("V", fixed=True),
               theophylline, "individual")  # fmt: skip


def test_a_log_normal_error_and_a_logit(theophylline):
    data = theophylline.filter("Time > 0 or Dose > 0") if "Time" in theophylline.frame else theophylline
    seen = data.frame[~(data.frame[data.roles["amount"]] > 0)]
    data = data.exclude(rows=seen.index[seen[data.roles["time"]] == 0].tolist())
    model = MODEL.with_error(wb.Exponential(0.1)).with_parameter("V", transform="logit", value=0.45, iiv=0.5)
    fit = wb.fit(model, data, "individual")
    residual = np.log(fit.table()["DV"]) - np.log(fit.table()["IPRED"])
    assert fit.estimate("a").value == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-6)
    direct = fit.n_observations * (2 * np.log(fit.estimate("a").value) + 1) + 2 * np.log(fit.table()["DV"]).sum()
    assert fit.ofv == pytest.approx(direct, abs=1e-6)


@pytest.mark.parametrize("method", ["individual", "two-stage", wb.TwoStage("standard")])
def test_a_callback_stops_and_keeps_what_is_done(method, theophylline):
    seen = []
    whole = wb.fit(MODEL, theophylline, method, callback=seen.append)
    assert whole.status is Status.converged and seen[-1].ofv == pytest.approx(whole.ofv, abs=1e-6)
    assert set(NAMES) < set(seen[0].parameters) and seen[0].etas.shape == (12, 0)
    count = []

    def stop(progress):
        count.append(progress)
        return len(count) == len(seen) - 2

    fit = wb.fit(MODEL, theophylline, method, callback=stop)
    assert fit.status is Status.stopped
    assert np.allclose(fit.individual["CL"], whole.individual["CL"], rtol=0.2)


def test_stopped_at_any_round(theophylline):
    """What a stopped fit returns are values of subjects at their minimum, never half of a step."""
    model, rounds = MODEL.with_error(wb.Combined2(0.3, 0.1)), []
    whole = wb.fit(model, theophylline, "individual", callback=rounds.append)
    stopped = 0
    for last in range(1, len(rounds)):
        count = iter(range(1, 10_000))
        try:
            fit = wb.fit(model, theophylline, "individual", callback=lambda _, c=count, last=last: next(c) >= last)
        except wb.FitError as error:
            assert "Not one subject could be fitted alone: the search was stopped" in str(error)
            continue
        stopped += 1
        assert fit.status is Status.stopped
        assert set(fit.failures.values()) <= {"the search was stopped"}
        own = fit.individual.dropna()
        assert len(own) + len(fit.failures) == 12
        assert np.allclose(own["CL"], whole.individual.loc[own.index, "CL"], rtol=0.15)
    assert stopped > len(rounds) / 2


def test_data_without_error(theophylline):
    exact = theophylline.frame.copy()
    seen = ~(exact[theophylline.roles["amount"]] > 0)
    exact.loc[seen, theophylline.roles["response"]] = wb.fit(MODEL, theophylline, "individual").table()["IPRED"]
    fit = wb.fit(MODEL, wb.read_data(exact, roles=theophylline.roles), "individual")
    assert fit.status is Status.diverged and "The data have no noise" in fit.message


@pytest.mark.parametrize("kind", ["global", "standard"])
def test_a_part_of_the_error_that_went_to_0_has_no_standard_error(theophylline, kind):
    """The other part has that of a constant error: a/√(2·df)."""
    two = theophylline.filter("ID <= 2")
    fit = wb.fit(MODEL.with_error(wb.Combined(0.3, 0.1)), two, wb.TwoStage(kind))
    assert fit.status is Status.boundary and "b of the residual error went to 0" in fit.message
    a, b = fit.estimate("a"), fit.estimate("b")
    df = fit.n_observations - 3 * 2
    assert a.se == pytest.approx(a.value / np.sqrt(2 * df), rel=1e-4)
    assert np.isnan([b.se, b.lower, b.upper]).all()
    assert "None for b, at the edge of what is possible." in fit.se_reason
    assert "do not tell" not in fit.se_reason


# -- two stages ------------------------------------------------------------------------------------------------------


def test_standard_is_the_mean_and_the_covariance(theophylline):
    fit = wb.fit(MODEL, theophylline, wb.TwoStage("standard"))
    z = np.array([value[0] for value in by_scipy(theophylline).values()])
    assert np.allclose(np.log([fit.estimate(name).value for name in NAMES]), z.mean(axis=0), atol=1e-6)
    assert np.allclose(np.diag(fit.omega), z.var(axis=0, ddof=1), rtol=1e-5)
    assert fit.omega.loc["ka", "CL"] == 0
    se = [fit.estimate(name).se / fit.estimate(name).value for name in NAMES]
    assert np.allclose(se, z.std(axis=0, ddof=1) / np.sqrt(12), rtol=1e-5)
    assert fit.estimate("iiv_ka").se == pytest.approx(fit.estimate("iiv_ka").value / np.sqrt(2 * 11))
    assert fit.covariance.shape == (7, 7) and "standard" in fit.accuracy


def test_standard_is_a_regression_on_covariates(theophylline):
    import statsmodels.api as sm

    model = MODEL.with_covariate("CL", "WT", shape="power", reference=70).with_correlate("full")
    fit = wb.fit(model, theophylline, wb.TwoStage("standard"))
    z = np.array([value[0] for value in by_scipy(theophylline).values()])
    weight = theophylline.frame.groupby("ID")["WT"].first()
    by_hand = sm.OLS(z[:, 1], sm.add_constant(np.log(weight.to_numpy() / 70))).fit()
    assert np.log(fit.estimate("CL").value) == pytest.approx(by_hand.params[0], abs=1e-6)
    effect = fit.estimate("CL:log(WT/70)")
    assert (effect.value, effect.se) == pytest.approx((by_hand.params[1], by_hand.bse[1]), rel=1e-4)
    assert fit.omega.loc["CL", "CL"] == pytest.approx(by_hand.mse_resid, rel=1e-5)
    assert fit.omega.loc["ka", "V"] == pytest.approx(np.cov(z[:, 0], z[:, 2])[0, 1], rel=1e-4)
    with pytest.raises(wb.FitError, match="2 subjects with own values do not determine 2 coefficients of CL"):
        wb.fit(model, theophylline.filter("ID <= 2"), "two-stage")


@pytest.mark.parametrize("blocks", [(), "full", [("ka", "V")]])
def test_global_is_where_em_ends(blocks, theophylline):
    fit = wb.fit(MODEL.with_correlate(blocks), theophylline, "two-stage")
    found = list(by_scipy(theophylline).values())
    z = np.array([value[0] for value in found])
    C = [np.linalg.inv(value[2]) * 0.700192127**2 for value in found]
    mask = np.ones((3, 3)) if blocks == "full" else np.eye(3)
    if blocks and blocks != "full":
        mask[0, 2] = mask[2, 0] = 1
    theta, Psi = z.mean(axis=0), np.cov(z.T) * mask
    for _ in range(3_000):
        inverse = np.linalg.inv(Psi)
        post = [np.linalg.inv(np.linalg.inv(c) + inverse) for c in C]
        b = np.array([P @ (np.linalg.solve(c, u) + inverse @ theta) for P, c, u in zip(post, C, z, strict=True)])
        new = b.mean(axis=0)
        S = ((b - new).T @ (b - new) / 12 + np.mean(post, axis=0)) * mask
        change = np.abs(S - Psi).max() + np.abs(new - theta).max()
        theta, Psi = new, S
        if change < 1e-9:
            break
    assert np.allclose(np.log([fit.estimate(name).value for name in NAMES]), theta, atol=1e-4)
    assert np.allclose(fit.omega, Psi, atol=1e-4)
    V = [c + Psi for c in C]
    assert fit.estimate("V").se / fit.estimate("V").value == pytest.approx(
        np.sqrt(np.linalg.inv(sum(np.linalg.inv(v) for v in V))[2, 2]), rel=0.02
    )  # the Hessian knows of the correlation with Psi as well


def test_global_is_close_to_focei_where_data_are_rich():
    frame = pd.DataFrame(
        [{"ID": i, "TIME": t, "AMT": 100.0 * (t == 0), "EVID": int(t == 0), "DV": 0.0, "WT": 50 + i}
         for i in range(40) for t in (0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 12, 16, 24)]
    )  # fmt: skip
    parameters = [wb.Parameter("ka", 1.5, iiv=0.3), wb.Parameter("CL", 3.0, iiv=0.25, covariates="log(WT/70)"),
                  wb.Parameter("V", 30, iiv=0.2)]  # fmt: skip
    truth = wb.Model(ORAL, parameters, error=wb.Constant(0.05), correlate=[("CL", "V")])
    truth = truth.with_parameter("CL", covariates=(wb.Effect("log(WT/70)", 0.75),))
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(truth, wb.read_data(frame), seed=3)["DV"].to_numpy()
    data = wb.read_data(frame)
    mixed, staged = wb.fit(truth, data), wb.fit(truth, data, "two-stage")
    assert staged.status is Status.converged and staged.failures == {}
    for e in mixed.lines:
        assert abs(staged.estimate(e.name).value - e.value) < 0.1 * e.se, e.name
        assert staged.estimate(e.name).se == pytest.approx(e.se, rel=0.05), e.name
    assert staged.ofv == pytest.approx(mixed.ofv, abs=1.0)
    standard = wb.fit(truth, data, wb.TwoStage("standard"))
    assert standard.estimate("iiv_V").value > staged.estimate("iiv_V").value


def test_a_parameter_without_a_random_effect(theophylline):
    fit = wb.fit(MODEL.with_parameter("V", iiv=None), theophylline, "two-stage")
    assert list(fit.omega) == ["ka", "CL"] and fit.estimate("V").se > 0 and fit.status is Status.converged
    assert not np.allclose(fit.estimate("V").value, wb.fit(MODEL, theophylline, "two-stage").estimate("V").value)


def test_what_two_stages_cannot_do(theophylline):
    with pytest.raises(wb.ModelError, match="CL has a shared random effect"):
        wb.fit(MODEL.with_parameter("CL", share="V"), theophylline, "two-stage")
    with pytest.raises(wb.ModelError, match="allowed are 'global' and 'standard'"):
        wb.TwoStage("best")
    for method in ("individual", "two-stage"):
        with pytest.raises(wb.ModelError, match="no objective at the values of a model"):
            wb.objective(MODEL, theophylline, method)
        with pytest.raises(wb.ModelError, match="one start"):
            wb.fit(MODEL, theophylline, method, starts=3)


def test_bounds_and_fixed_deviations(theophylline):
    fit = wb.fit(MODEL.with_parameter("V", bounds=(0.5, 1.0), value=0.6), theophylline, "two-stage")
    assert fit.estimate("V").value == pytest.approx(0.5, rel=1e-3) and "went to its bound" in fit.message
    fit = wb.fit(MODEL.with_parameter("V", fixed=("iiv",)), theophylline, "two-stage")
    assert fit.estimate("iiv_V") == fit.estimate("iiv_V")._replace(value=0.2, fixed=True)


def test_a_covariate_that_changes_within_subjects(theophylline):
    frame = theophylline.frame.copy()
    frame["T2"] = frame[theophylline.roles["time"]]
    data = wb.read_data(frame, roles={**theophylline.roles, "covariates": ["WT", "T2"]})
    with pytest.raises(wb.ModelError, match="changes within subjects"):
        wb.fit(MODEL.with_parameter("CL", covariates="T2"), data, "two-stage")


def test_tests_and_profiles_of_stages_are_refused(alone, theophylline):
    staged = wb.fit(MODEL, theophylline, "two-stage")
    with pytest.raises(wb.FitError, match="have no likelihood-ratio test"):
        wb.likelihood_ratio_test(wb.fit(MODEL.with_parameter("V", iiv=None), theophylline, "two-stage"), staged)
    with pytest.raises(wb.FitError, match="this one is by two-stage"):
        wb.profile(staged, "CL")
    with pytest.raises(wb.ModelError, match="one kind of standard errors"):
        wb.fit(MODEL, theophylline, wb.TwoStage("standard"), covariance="S")
    with pytest.raises(wb.FitError, match="no population"):
        wb.screen(alone)
    small = wb.fit(MODEL.with_parameter("ka", fixed=True), theophylline, "individual")
    assert wb.likelihood_ratio_test(small, alone).df == 12


# -- around ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["individual", wb.TwoStage("standard"), "two-stage"])
def test_a_run_can_be_kept_and_made_again(method, theophylline):
    model = MODEL.with_parameter("CL", covariates="log(WT/70)")
    run = Runs().add(wb.fit(model, theophylline, method))[-1]
    names = {}
    exec(run.code, names)
    assert names["fit"].ofv == run.fit.ofv and names["fit"].estimates.equals(run.fit.estimates)
    assert read_cell(run.code).method == run.method == method
    again = pickle.loads(pickle.dumps(run.fit))
    assert again.failures == run.fit.failures and again.estimates.equals(run.fit.estimates)
    assert run.fit.variability["sd"].notna().all() and "OFV" in repr(Runs().add(run.fit))
