"""Fits: the published minima, from any start; what follows from a fit; laws that hold whatever the numbers."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.results.fit import Status

from ..reference.material import published, records

ORAL = wb.pk(absorption="first-order")


def without_time_zero(data):
    events = data.events
    rows = data.frame.index[events.row[events.observed & (events.time == 0)]]
    return data.exclude(rows=list(rows))


BEST = {
    "constant": (wb.Constant(), 115.988),
    "combined2": (wb.Combined2(), 103.947),
    "proportional": (wb.Proportional(), 133.115),
}


@pytest.mark.parametrize("name", BEST)
def test_theophylline_without_a_number_typed(theophylline, name):
    error, ofv = BEST[name]
    data = without_time_zero(theophylline) if name == "proportional" else theophylline
    fit = wb.fit(wb.Model(ORAL, error=error), data)
    assert fit.status is Status.converged
    assert ofv - 0.01 < fit.ofv <= ofv


@pytest.mark.parametrize("name", BEST)
def test_theophylline_from_random_starts(theophylline, name):
    error, ofv = BEST[name]
    data = without_time_zero(theophylline) if name == "proportional" else theophylline
    start = wb.initial_values(wb.Model(ORAL, error=error), data)
    rng = np.random.default_rng(20)
    reached = 0
    for _ in range(20):
        signs = rng.choice([-1.0, 1.0], 3)
        model = start.with_values({p.name: p.value * np.exp(s) for p, s in zip(start.parameters, signs, strict=True)})
        reached += wb.fit(model, data, covariance=False).ofv <= ofv
    assert reached >= 18


def test_theophylline_estimates_of_nlmixr2(theophylline):
    runs = published("nlmixr2_focei")["runs"]
    run = next(r for r in runs if r["run"] == "Theoph_add_focei")
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), theophylline)
    expected = run["estimates_log_scale_and_residual_sd"]
    got = fit.estimates["estimate"]
    for ours, theirs in (("ka", "tka"), ("CL", "tcl"), ("V", "tv")):
        assert np.log(got[ours]) == pytest.approx(expected[theirs], abs=0.1 * run["se"][theirs])
    assert got["a"] == pytest.approx(expected["add.sd"], rel=0.01)
    omega = dict(zip(run["random_effects"]["order"], np.diag(run["omega_variances"]), strict=True))
    for ours, theirs in (("iiv_ka", "ka"), ("iiv_CL", "cl"), ("iiv_V", "v")):
        # nlmixr2 stopped 0.001 above the minimum: a tenth of the standard error of the variance
        close = 0.1 * 2 * got[ours] * fit.estimate(ours).se
        assert got[ours] ** 2 == pytest.approx(omega[theirs], abs=close)


@pytest.mark.parametrize("name", ["pheno_simple_focei", "pheno_fo_prop", "pheno_block_focei"])
def test_phenobarbital_reaches_the_published_minimum(name):
    known = published(name)
    data = wb.read_data(records(known["data"]))
    correlate = "full" if known["random_effects"]["omega"] == "full" else None
    fit = wb.fit(wb.Model(wb.pk(), error=wb.Proportional(), correlate=correlate), data, method=known["method"].lower())
    expected = known["expected"]
    assert fit.converged
    assert fit.ofv <= expected["ofv"] + 1e-3
    got = fit.estimates["estimate"]
    assert got["CL"] == pytest.approx(expected["estimates"]["TVCL"], rel=0.01)
    assert got["V"] == pytest.approx(expected["estimates"]["TVV"], rel=0.01)
    assert fit.omega.loc["V", "V"] == pytest.approx(expected["omega"][1][1], rel=0.01)
    if "eta_shrinkage_sd_pct" in expected:
        np.testing.assert_allclose(fit.shrinkage.loc[["CL", "V"], "sd"], expected["eta_shrinkage_sd_pct"], atol=0.6)


def test_standard_errors_are_those_of_the_curvature(theophylline):
    """The profile of the objective near its minimum: OFV(x ± δ) - OFV = δ² / variance, the others re-estimated."""
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline)
    for name in ("CL", "V"):
        se = fit.estimate(name).se / fit.estimate(name).value  # of log
        rise = []
        for sign in (-1, 1):
            value = fit.model[name].value * np.exp(sign * 0.2 * se)
            held = fit.model.with_parameter(name, value=value, fixed=True)
            rise.append(wb.fit(held, theophylline, covariance=False).ofv - fit.ofv)
        assert np.mean(rise) == pytest.approx(0.2**2, rel=0.02)


# -- laws ------------------------------------------------------------------------------------------------------------


def test_order_and_names_of_subjects_do_not_matter(theophylline):
    model = wb.Model(ORAL, error=wb.Combined2())
    frame = theophylline.to_frame()
    subject = theophylline.roles["subject"]
    shuffled = pd.concat([part for _, part in sorted(frame.groupby(subject), key=lambda g: -hash(str(g[0])))])
    renamed = shuffled.assign(**{subject: "s" + shuffled[subject].astype(str)}).reset_index(drop=True)
    start = wb.initial_values(model, theophylline)
    one, other = wb.fit(start, theophylline), wb.fit(start, wb.read_data(renamed))
    assert other.ofv == pytest.approx(one.ofv, abs=1e-6)
    np.testing.assert_allclose(other.estimates["estimate"], one.estimates["estimate"], rtol=1e-4)


def test_units_of_the_dose_do_not_matter(theophylline):
    frame = theophylline.to_frame()
    amount = theophylline.roles["amount"]
    scaled = wb.read_data(frame.assign(**{amount: frame[amount] * 1000}).reset_index(drop=True))
    model = wb.Model(ORAL, error=wb.Combined2())
    one, other = wb.fit(model, theophylline), wb.fit(model, scaled)
    assert other.ofv == pytest.approx(one.ofv, abs=1e-5)
    assert other.estimate("V").value == pytest.approx(1000 * one.estimate("V").value, rel=1e-4)


def test_a_fit_continues_from_another(theophylline):
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline)
    assert wb.objective(fit.model, theophylline) == pytest.approx(fit.ofv, abs=1e-7)
    again = wb.fit(fit.model, theophylline)
    assert again.ofv == pytest.approx(fit.ofv, abs=1e-4)
    assert len(again.trace) <= 3
    assert eval(repr(fit.model), {"wb": wb}) == fit.model


def test_same_start_same_digits(theophylline):
    model = wb.Model(ORAL, error=wb.Combined2())
    one, other = wb.fit(model, theophylline), wb.fit(model, theophylline)
    assert one.ofv == other.ofv
    pd.testing.assert_frame_equal(one.estimates, other.estimates, check_exact=True)


def test_pooled_fit_is_least_squares(theophylline):
    from scipy.optimize import least_squares

    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), theophylline, method="pooled")

    def residuals(log):
        values = dict(zip(("ka", "CL", "V"), np.exp(log), strict=True))
        predicted = wb.predict(fit.model.with_values(values), theophylline)["PRED"].to_numpy()
        at = theophylline.events.observed
        return predicted[at] - theophylline.events.dv[at]

    best = least_squares(residuals, np.log([1.0, 0.05, 0.4]))
    n = int(theophylline.events.observed.sum())
    variance = 2 * best.cost / n
    assert fit.ofv == pytest.approx(n * (1 + np.log(variance)), abs=1e-5)
    assert fit.etas.shape == (12, 0)


# -- progress, stopping, bad ends --------------------------------------------------------------------------------------


def test_callback_sees_every_iteration_and_can_stop(theophylline):
    model = wb.Model(ORAL, error=wb.Combined2())
    seen = []
    fit = wb.fit(model, theophylline, callback=seen.append)
    assert [progress.iteration for progress in seen] == list(range(len(fit.trace)))
    assert seen[-1].ofv == fit.ofv
    assert all(later.ofv <= before.ofv for before, later in pairwise(seen))
    assert set(seen[0].parameters) == set(fit.estimates.index)
    assert seen[0].etas.shape == (12, 3)
    stopped = wb.fit(model, theophylline, callback=lambda progress: progress.iteration == 3)
    assert stopped.status is Status.stopped
    assert stopped.ofv == seen[3].ofv
    assert stopped.estimates["se"].isna().all()
    assert "stopped" in stopped.se_reason


def test_out_of_iterations_is_said(theophylline):
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline, max_iterations=3)
    assert fit.status is Status.max_iterations
    assert not fit.converged


def test_singular_matrix_is_named(theophylline):
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined2(), correlate="full"), theophylline)
    assert fit.status is Status.boundary
    assert "singular" in fit.message
    assert np.isnan(fit.estimate("corr_CL_V").se)
    assert "corr_CL_V" in fit.se_reason
    assert fit.estimate("CL").se > 0


def test_vanishing_variance_is_named():
    """Every subject the same curve with noise: there is no variability to find."""
    design = wb.load_example("theophylline")
    truth = [wb.Parameter("ka", 1.5), wb.Parameter("CL", 0.04), wb.Parameter("V", 0.5)]
    simulated = wb.simulate(wb.Model(ORAL, truth, wb.Constant(0.3)), design, seed=4)
    frame = design.to_frame()
    frame.loc[simulated.index, design.roles["response"]] = simulated["DV"]
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), wb.read_data(frame.reset_index(drop=True)))
    assert fit.status is Status.boundary
    assert "went to 0" in fit.message
    assert fit.estimate("CL").se > 0


def test_proportional_error_where_the_prediction_is_zero(theophylline):
    with pytest.raises(wb.ModelError, match=r"prediction is zero in 12 observations \(rows .*data\.exclude"):
        wb.fit(wb.Model(ORAL, error=wb.Proportional()), theophylline)


def test_data_that_the_structure_cannot_take_are_refused():
    with pytest.raises(wb.ModelError, match=r"no dose, and without one .* predicts 0 everywhere"):
        wb.fit(wb.Model(wb.pk()), wb.load_example("orange_trees"))


def test_flat_direction_is_named():
    """One observation per subject cannot tell η from ε."""
    frame = pd.DataFrame({"ID": np.repeat(np.arange(8), 2), "TIME": np.tile([0.0, 1.0], 8), "EVID": np.tile([1, 0], 8),
                          "AMT": np.tile([10.0, 0.0], 8)})  # fmt: skip
    frame["DV"] = np.where(frame["EVID"] == 0, 5 + np.sin(np.arange(16)), 0.0)
    parameters = [wb.Parameter("CL", 1.0), wb.Parameter("V", 2.0)]
    fit = wb.fit(wb.Model(wb.pk(), parameters, wb.Constant()), wb.read_data(frame))
    assert fit.estimates["se"].isna().all()
    assert "CL" in fit.se_reason
    assert "V" in fit.se_reason


@pytest.mark.parametrize("dv", [0.0, 1e-30, 1e30])
def test_data_that_contradict_the_model_end_in_words(theophylline, dv):
    frame = theophylline.to_frame().reset_index(drop=True)
    frame.loc[frame[theophylline.roles["response"]].notna(), theophylline.roles["response"]] = dv
    try:
        fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), wb.read_data(frame))
    except wb.WorkbenchError as error:
        assert str(error)
    else:
        assert isinstance(fit.status, Status)


def test_one_subject_two_observations():
    frame = pd.DataFrame(
        {"ID": 1, "TIME": [0.0, 1.0, 4.0], "EVID": [1, 0, 0], "AMT": [10.0, 0, 0], "DV": [0, 4.0, 2.0]}
    )
    fit = wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), wb.read_data(frame))
    assert isinstance(fit.status, Status)
    assert fit.summary()


def test_a_fit_that_ends_with_a_singular_matrix_is_kept(theophylline):
    """Four subjects cannot tell a full Ψ: whatever the search came to, the result's model can be stated."""
    subjects = list(theophylline.events.subjects)
    few = theophylline.exclude(subjects[:2] + subjects[6:])
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined(), correlate="full"), few)
    assert not fit.status.ok or fit.message
    assert eval(repr(fit.model), {"wb": wb}) == fit.model
    assert len(fit.table()) == 44


def test_a_saddle_is_left(theophylline):
    """By naive pooling, the automatic start leads to a saddle of a + b·f type errors; its sides are lower."""
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline, method="pooled")
    assert fit.converged
    assert fit.ofv < 235.4 - 1  # the saddle
    assert (fit.estimates["se"] > 0).all()


def test_automatic_start_of_three_subjects(theophylline):
    subjects = list(theophylline.events.subjects)
    few = theophylline.exclude(subjects[:2] + subjects[5:])
    assert wb.fit(wb.Model(ORAL, error=wb.Constant()), few).ofv < 27.02


def test_an_error_component_that_vanishes_is_named():
    design = wb.load_example("phenobarbital")
    truth = [wb.Parameter("CL", 0.006, iiv=0.3), wb.Parameter("V", 1.4, iiv=0.3)]
    simulated = wb.simulate(wb.Model(wb.pk(), truth, wb.Proportional(0.2)), design, seed=5)
    frame = design.to_frame()
    frame.loc[simulated.index, design.roles["response"]] = simulated["DV"]
    fit = wb.fit(wb.Model(wb.pk(), error=wb.Combined2()), wb.read_data(frame.reset_index(drop=True)))
    assert fit.status is Status.boundary
    assert "a of the residual error went to 0" in fit.message
    assert np.isnan(fit.estimate("a").se)
    assert fit.estimate("CL").se > 0


def test_text_covariate_needs_c(theophylline):
    frame = theophylline.to_frame()
    data = wb.read_data(frame.assign(SEX=np.where(frame["ID"] % 2 == 0, "m", "f")).reset_index(drop=True))
    start = wb.initial_values(wb.Model(ORAL, error=wb.Constant()), theophylline)
    with pytest.raises(wb.ModelError, match=r"SEX is text, not numbers; use C\(SEX\)"):
        wb.fit(start.with_parameter("CL", covariates="SEX"), data)
    none = start.with_parameter("CL", covariates=[wb.Effect("C(SEX)", 0.0)])
    assert wb.objective(none, data) == pytest.approx(wb.objective(start, theophylline), abs=1e-9)
    assert "CL:C(SEX)[m]" in wb.fit(none, data).estimates.index


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, d: wb.fit(m, "file.csv"), "second argument is data"),
        (lambda m, d: wb.fit(d, m), "first argument is a wb.Model"),
        (lambda m, d: wb.fit(m, d, "bayes"), "method='bayes'; allowed are"),
        (lambda m, d: wb.fit(m, d, wb.Saem), r"made by a call, wb\.Saem\(\)"),
        (lambda m, d: wb.fit(m, d, max_iterations="5"), "whole number"),
        (lambda m, d: wb.fit(m, d, starts=2, seed=-1), "seed=-1; a whole number"),
        (lambda m, d: wb.fit(m, d, seed="a"), "seed='a'; a whole number"),
        (lambda m, d: wb.simulate(wb.initial_values(m, d), d, replicates=0), "whole number"),
        (lambda m, d: wb.fit(m.with_parameter("CL", covariates="DV"), d), "DV is the response"),
        (lambda m, d: wb.fit(m.with_parameter("CL", covariates="WT*9**99999999"), d), "cannot be computed"),
    ],
)
def test_misuse_is_refused_in_words(theophylline, call, words):
    with pytest.raises(wb.ModelError, match=words):
        call(wb.Model(ORAL, error=wb.Constant()), theophylline)


def test_no_iterations_is_an_evaluation(theophylline):
    start = wb.initial_values(wb.Model(ORAL, error=wb.Constant()), theophylline)
    fit = wb.fit(start, theophylline, max_iterations=0)
    assert fit.status is Status.max_iterations
    assert fit.ofv == pytest.approx(wb.objective(start, theophylline), abs=1e-9)


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables(theophylline):
    fit = wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline)
    table = fit.table()
    head = ["ID", "TIME", "TAD", "DOSE", "DV", "PRED", "IPRED", "RES", "IRES", "IWRES", "CWRES"]
    assert list(table.columns) == [*head, "eta_ka", "eta_CL", "eta_V", "ka", "CL", "V", "WT"]
    first = table.groupby("ID").first()
    np.testing.assert_array_equal(first["eta_CL"], fit.etas["CL"])
    np.testing.assert_array_equal(first["ka"], fit.individual["ka"])
    np.testing.assert_array_equal(first["DOSE"], theophylline.doses["AMT"])
    assert len(table) == 132
    np.testing.assert_allclose(table["RES"], table["DV"] - table["PRED"])
    a, b = fit.estimate("a").value, fit.estimate("b").value
    np.testing.assert_allclose(table["IWRES"], table["IRES"] / np.hypot(a, b * table["IPRED"]), rtol=1e-12)
    assert table["CWRES"].std() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(fit.individual["CL"], fit.model["CL"].value * np.exp(fit.etas["CL"]))
    np.testing.assert_allclose(np.sqrt(np.diag(fit.omega)), fit.estimates["estimate"][["iiv_ka", "iiv_CL", "iiv_V"]])
    assert fit.minus2ll == pytest.approx(fit.ofv + 132 * np.log(2 * np.pi))
    assert fit.aic == pytest.approx(fit.minus2ll + 16)
    assert fit.bic == pytest.approx(fit.minus2ll + 8 * np.log(132))
    estimates = fit.estimates
    assert (estimates["lower"] < estimates["estimate"]).all()
    assert (estimates["estimate"] < estimates["upper"]).all()


def test_tables_are_copies(theophylline):
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), theophylline)
    taken = fit.estimates
    taken["estimate"] = 0.0
    assert fit.estimates["estimate"]["CL"] > 0


def test_summary_and_html(theophylline):
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), theophylline)
    text = fit.summary()
    for word in ("converged", "OFV 115.987", "iiv_ka", "12 subjects", "132 observations"):
        assert word in text
    page = fit._repr_html_()
    assert "<table>" in page
    assert "iiv_ka" in page


def test_cwres_of_fo_is_wres(theophylline):
    """At η = 0 the weighted residuals are V^-1/2 (y - f) with V the FO variance: checked by their sum of squares."""
    from workbench.engine.objectives.objective import Objective
    from workbench.engine.problem.compile import compile

    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), theophylline, method="fo")
    problem = compile(fit.model, theophylline)
    evaluation = Objective(problem, "fo").evaluate(problem.x)
    G = fit.linear_slope
    logdet = 0.0
    for first, last in pairwise(problem.observations.first):
        V = G[first:last] @ G[first:last].T + np.diag(fit.sd[first:last] ** 2)
        logdet += np.linalg.slogdet(V)[1]
    assert (fit.table()["CWRES"] ** 2).sum() + logdet == pytest.approx(evaluation.ofv, abs=1e-8)


def test_simulation_has_the_moments_of_the_model(theophylline):
    parameters = [wb.Parameter("ka", 1.5), wb.Parameter("CL", 0.04), wb.Parameter("V", 0.5)]
    model = wb.Model(ORAL, parameters, wb.Combined2(0.5, 0.1))
    simulated = wb.simulate(model, theophylline, replicates=2000, seed=1)
    assert len(simulated) == 2000 * 132
    spread = (simulated["DV"] - simulated["IPRED"]) / np.hypot(0.5, 0.1 * simulated["IPRED"])
    assert spread.std() == pytest.approx(1.0, abs=0.01)
    for seed in (1, np.random.default_rng(1)):
        pd.testing.assert_frame_equal(simulated.head(132), wb.simulate(model, theophylline, seed=seed))


def test_a_value_that_goes_to_its_bound_is_named(theophylline):
    """The estimate without a bound is 1.48; the fit stays usable at the bound."""
    model = wb.Model(ORAL, [wb.Parameter("ka", 1.0, bounds=(0.5, 1.1), iiv=0.3), wb.Parameter("CL", 0.04, iiv=0.3),
                            wb.Parameter("V", 0.45, iiv=0.2)], error=wb.Combined2(0.2, 0.1))  # fmt: skip
    fit = wb.fit(model, theophylline)
    assert fit.status is Status.boundary
    assert "ka went to its bound 1.1" in fit.message
    assert np.isnan(fit.estimate("ka").se)
    assert np.isfinite(fit.estimate("CL").se)
    assert wb.fit(fit.model, theophylline).ofv == pytest.approx(fit.ofv, abs=1e-2)


def test_predictions_that_are_no_numbers_are_announced(theophylline):
    pole = wb.Model(wb.equation("a/(t - 0.25)"), [wb.Parameter("a", 1.0)], error=wb.Constant(1.0))
    with pytest.warns(UserWarning, match=r"5 predictions are not numbers, of subjects 1, "):
        wb.predict(pole, theophylline)


@pytest.mark.parametrize("method", ["focei", "importance", "saem", "pooled"])
def test_history_leads_from_the_start_to_the_estimates(theophylline, method):
    start = wb.initial_values(wb.Model(ORAL, [wb.Parameter(n, iiv=0.3) for n in ("ka", "CL", "V")]), theophylline)
    options = wb.Saem(30, 20, samples=50) if method == "saem" else method
    fit = wb.fit(start, theophylline, options, covariance=False)
    history = fit.history
    assert list(history.columns) == ["ofv", *fit.estimates.index]
    assert history.index.is_monotonic_increasing
    assert len(history) == len(fit.trace)
    assert history["ofv"].iloc[-1] == fit.ofv
    assert history.drop(columns="ofv").iloc[-1].to_numpy() == pytest.approx(fit.estimates["estimate"].to_numpy())
    if method == "focei":
        assert history["CL"].iloc[0] == pytest.approx(start["CL"].value)
