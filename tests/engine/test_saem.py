"""SAEM: it ends at the maximum of the marginal likelihood, which quadrature knows without draws."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import workbench as wb
from workbench.engine.ending.uncertainty import hessian
from workbench.engine.methods.complete import psi_of_moments
from workbench.engine.methods.saem import StochasticEM
from workbench.engine.methods.stochastic import above_minimum
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.engine.problem.psi import psi_of
from workbench.engine.problem.views import of_subjects
from workbench.engine.search.optimise import Outcome

ORAL = wb.pk(absorption="first-order")


@pytest.fixture(scope="module")
def occasions():
    """Bolus doses at two occasions; a weight that changes between them."""
    rng = np.random.default_rng(11)
    rows, weights = [], rng.normal(70, 12, (40, 2))
    for i in range(40):
        between = 0.3 * rng.standard_normal(2)
        for o in range(2):
            clearance = 2.0 * (weights[i, o] / 70) ** 0.8 * np.exp(between[0] + 0.2 * rng.standard_normal())
            volume = 20.0 * np.exp(between[1])
            rows.append((i, 100.0 * o, 100.0, None, 1, o, weights[i, o]))
            for t in (0.5, 2, 6, 12, 24):
                y = 100 / volume * np.exp(-clearance / volume * t) * (1 + 0.1 * rng.standard_normal())
                rows.append((i, 100.0 * o + t, None, y, 0, o, weights[i, o]))
    names = ["ID", "TIME", "AMT", "DV", "EVID", "OCC", "WT"]
    return wb.read_data(pd.DataFrame(rows, columns=names), roles={"occasion": "OCC"})


def oral(ka=None, CL=None, V=None, **more):
    base = [("ka", {"iiv": 0.6}), ("CL", {"iiv": 0.3}), ("V", {"iiv": 0.15})]
    changes = {"ka": ka, "CL": CL, "V": V}
    parameters = [wb.Parameter(name, **(usual if changes[name] is None else changes[name])) for name, usual in base]
    return wb.Model(ORAL, parameters, **{"error": wb.Constant(), **more})


CASES = {
    "constant": oral(),
    "combined2": oral(error=wb.Combined2()),
    "no effect on V": oral(V={}),
    "shared": oral(V={"share": ("CL", 0.5)}),
    "block": oral(correlate=[("ka", "CL")]),
    "fixed": oral(ka={"iiv": 0.7, "fixed": ("iiv",)}, CL={"value": 0.04, "fixed": ("value",), "iiv": 0.3}),
    "bounded": oral(V={"value": 0.45, "iiv": 0.2, "bounds": (0.1, 1.0)}),
    "logit": oral(V={"value": 0.45, "iiv": 0.3, "transform": "logit"}),
    "covariate": oral(CL={"iiv": 0.3, "covariates": "log(WT/70)"}),
    "fractional": oral(CL={"iiv": 0.3, "covariates": [wb.Effect("(WT - 70)", fractional=True)]}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_ends_at_the_maximum_of_the_likelihood(name, theophylline):
    fit = wb.fit(CASES[name], theophylline, "saem", covariance=False)
    best = wb.fit(CASES[name], theophylline, "quadrature", covariance=False)
    # a third of a standard error in one direction is 0.1 above the minimum
    assert wb.objective(fit.model, theophylline, "quadrature") - best.ofv < 0.1
    assert fit.status.ok, fit.accuracy


@pytest.mark.parametrize("factors", [(-1, 1, -1), (1, -1, 1)])
def test_it_gets_there_from_far(factors, theophylline):
    values = {n: v * np.exp(f) for (n, v), f in zip({"ka": 1.5, "CL": 0.04, "V": 0.46}.items(), factors, strict=True)}
    model = oral(**{n: {"value": v, "iiv": 0.3} for n, v in values.items()}, error=wb.Combined2(1.0, 0.3))
    fit = wb.fit(model, theophylline, "saem", covariance=False)
    best = wb.fit(oral(error=wb.Combined2()), theophylline, "quadrature", covariance=False)
    assert wb.objective(fit.model, theophylline, "quadrature") - best.ofv < 0.1


def test_occasions_and_covariates_that_change_within_subjects(occasions):
    parameters = [
        wb.Parameter("CL", 3.0, iiv=0.3, iov=0.3, covariates="log(WT/70)"),
        wb.Parameter("V", 15.0, iiv=0.3),
    ]
    model = wb.Model(wb.pk(1), parameters, error=wb.Proportional(0.2))
    fit = wb.fit(model, occasions, "saem")
    exact = wb.Quadrature(7)  # with 5 nodes the OFV is off by 0.1
    best = wb.fit(model, occasions, exact, covariance=False)
    assert wb.objective(fit.model, occasions, exact) - best.ofv < 0.1
    assert fit.status.ok
    # FOCEI's standard errors are those of an approximation
    assert fit.estimates.se.to_numpy() == pytest.approx(wb.fit(model, occasions).estimates.se.to_numpy(), rel=0.15)
    assert fit.estimates.estimate["iov_CL"] == pytest.approx(0.2, abs=2 * fit.estimates.se["iov_CL"])


def test_sparse_data_and_a_correlation_near_one():
    """EM alone is slow there: the data hold little of the information that the draws would."""
    data = wb.load_example("phenobarbital")
    parameters = [wb.Parameter("CL", iiv=0.3), wb.Parameter("V", iiv=0.3)]
    model = wb.Model(wb.pk(1), parameters, error=wb.Proportional(), correlate="full")
    fit = wb.fit(model, data, "saem")
    best = wb.fit(model, data, "quadrature")
    assert wb.objective(fit.model, data, "quadrature") - best.ofv < 0.1
    assert fit.estimates.se.to_numpy() == pytest.approx(best.estimates.se.to_numpy(), rel=0.1)


def test_below_the_limit(theophylline):
    """M3: values below 3 are known only to be there."""
    frame = theophylline.frame.copy()
    low = (frame["DV"] < 3) & (frame["TIME"] > 12)
    frame["CENS"] = low.astype(int)
    frame.loc[low, "DV"] = 3.0
    data = wb.read_data(frame)
    model = oral().with_blq("M3")
    fit = wb.fit(model, data, "saem", covariance=False)
    best = wb.fit(model, data, "quadrature", covariance=False)
    assert low.sum() > 5
    assert wb.objective(fit.model, data, "quadrature") - best.ofv < 0.1


STATED = {
    "stated": oral(ka={"value": 1.3, "iiv": 0.5}, CL={"value": 0.045, "iiv": 0.3}, V={"value": 0.4, "iiv": 0.2},
                   error=wb.Combined2(0.4, 0.1)),
    "shared": oral(ka={"value": 1.3, "iiv": 0.5}, CL={"value": 0.045, "iiv": 0.3},
                   V={"value": 0.4, "share": ("CL", 0.6)}, error=wb.Combined2(0.4, 0.1)),
    "block": oral(ka={"value": 1.3, "iiv": 0.5}, CL={"value": 0.045, "iiv": 0.3}, V={"value": 0.4, "iiv": 0.2},
                  error=wb.Combined2(0.4, 0.1), correlate=[wb.Block("CL", "V", correlations=[0.4])]),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_the_gradient_of_the_draws_is_in_the_mean_that_of_the_likelihood(name, theophylline):
    """At values far from the estimates, where it is not zero."""
    model = STATED[name]
    problem = compile(model, theophylline)
    search = StochasticEM(problem, wb.Saem(chains=20))
    search.x = problem.x.copy()
    search._locate()
    draws = []
    for k in range(400):
        gradient = search._gradient()
        search._chains.draw(1.0 / (k + 1))
        if k >= 50:
            draws.append(gradient)
    exact = Integral(problem, wb.Quadrature(9), problem.x).evaluate(problem.x).gradient
    blocks = np.array(draws).reshape(10, 35, -1).mean(axis=1)  # of draws that depend on those before
    error = blocks.std(axis=0, ddof=1) / np.sqrt(10)
    assert np.all(np.abs(blocks.mean(axis=0) - exact) < 4 * error + 1e-3)
    assert np.all(error < 0.05 * np.abs(exact).max())


@pytest.mark.parametrize(
    "stated",
    [
        oral(ka={"iiv": 0.6, "fixed": ("iiv",)}, correlate=[wb.Block("ka", "CL", correlations=[0.3])]),
        oral(correlate=[wb.Block("ka", "CL", "V", correlations=[0.3, -0.2, 0.5], fixed=True)]),
        oral(correlate="full"),
    ],
    ids=["a deviation is fixed", "correlations are fixed", "free"],
)
def test_psi_suits_the_moments(stated):
    psi = psi_of(stated, "iiv")
    rng = np.random.default_rng(5)
    draws = rng.multivariate_normal(np.zeros(3), [[0.3, 0.1, 0], [0.1, 0.2, 0.05], [0, 0.05, 0.1]], 60)
    S = draws.T @ draws / 60

    def criterion(numbers):
        L = psi.matrix(numbers)
        return 2 * np.log(np.abs(np.diag(L))).sum() + (np.linalg.solve(L, draws.T) ** 2).sum() / 60

    begin = psi.vector(psi.stated)
    best = minimize(criterion, begin, method="BFGS", options={"gtol": 1e-7})
    found = begin
    for _ in range(20):
        found = psi_of_moments(psi, S, found)
    # to the accuracy of the differences by which BFGS finds its gradient
    assert criterion(found) == pytest.approx(best.fun, abs=1e-6)


def test_it_is_the_same_again_and_another_by_another_seed(theophylline):
    short = wb.Saem(exploration=20, smoothing=10, samples=50)
    first, again = (wb.fit(oral(), theophylline, short, covariance=False) for _ in range(2))
    other = wb.fit(oral(), theophylline, wb.Saem(20, 10, samples=50, seed=2), covariance=False)
    assert first.ofv == again.ofv
    assert first.estimates.equals(again.estimates)
    assert other.ofv != first.ofv


def test_few_iterations_are_not_called_converged():
    data = wb.load_example("phenobarbital")
    model = wb.Model(wb.pk(1), [wb.Parameter("CL", 0.02, iiv=0.3), wb.Parameter("V", 4.0, iiv=0.3)],
                     error=wb.Proportional(0.5))  # fmt: skip
    fit = wb.fit(model, data, wb.Saem(exploration=1, smoothing=1), covariance=False)
    assert fit.status is wb.Status.max_iterations


def test_how_far_above_the_minimum_it_is_follows_from_the_draws(theophylline):
    """Half a standard error of log CL from the minimum the objective is 1/4 above it."""
    fit = wb.fit(oral(), theophylline, "quadrature")
    problem = compile(fit.model, theophylline)

    def short(x):
        search = StochasticEM(problem, wb.Saem(chains=20))
        search.x = x.copy()
        search._locate()
        search.look()
        search._curve()
        for k in range(200):
            gradient = search._gradient()
            search._chains.draw(1.0 / (k + 1))
            if k >= 50:
                search._late, search._late_count = search._late + gradient, search._late_count + 1
        return search.short

    k = [name.label for name in problem.scale.thetas].index("CL")
    objective = Objective(problem, "focei")
    curvature = hessian(objective, objective.evaluate(problem.x))[k, k]
    away = problem.x.copy()
    away[k] += 0.5 * np.sqrt(2.0 / curvature)
    assert short(problem.x) < 0.02
    assert short(away) == pytest.approx(0.25, rel=0.25)


def test_it_reports_and_stops(theophylline):
    seen = []

    def callback(progress):
        seen.append(progress)
        return progress.iteration == 40

    fit = wb.fit(oral(), theophylline, "saem", callback=callback)
    assert fit.status is wb.Status.stopped
    assert [p.iteration for p in seen][:41] == list(range(41))
    assert set(seen[3].parameters) == set(fit.estimates.index)
    assert seen[3].parameters != seen[4].parameters
    assert np.isfinite(fit.ofv)


def test_what_it_does_not_do_is_said(theophylline):
    with pytest.raises(wb.ModelError, match="starts="):
        wb.fit(oral(), theophylline, "saem", starts=3)
    with pytest.raises(wb.FitError, match="random effects"):
        wb.fit(oral().without_random_effects(), theophylline, "saem")


@pytest.mark.parametrize("bad", [{"exploration": 0}, {"smoothing": 1.5}, {"chains": 0}, {"samples": 3}, {"seed": -1}])
def test_bad_options(bad):
    with pytest.raises(wb.ModelError, match=next(iter(bad))):
        wb.Saem(**bad)


def test_subjects_that_are_chosen_several_times(theophylline):
    problem = compile(oral(ka={"value": 1.5, "iiv": 0.6}, V={"value": 0.5, "iiv": 0.2}, error=wb.Constant(0.7),
                           CL={"value": 0.04, "iiv": 0.3,
                               "covariates": [wb.Effect("(WT - 70)", 0.01, fractional=True)]}),
                      theophylline)  # fmt: skip
    chosen = np.array([3, 3, 0, 11])
    some = of_subjects(problem, chosen)
    point = problem.scale.point(problem.x)
    eta = np.random.default_rng(1).standard_normal((problem.n_subjects, 3)) * 0.2
    every, first = problem.predictions(point, eta), problem.observations.first
    expected = np.concatenate([every[first[i] : first[i + 1]] for i in chosen])
    assert some.predictions(point, eta[chosen]) == pytest.approx(expected, rel=1e-14)
    assert some.y == pytest.approx(np.concatenate([problem.y[first[i] : first[i + 1]] for i in chosen]))


@pytest.mark.parametrize("seed", [1, 4, 5])
def test_parameters_without_an_effect_that_go_together_with_one_that_has_it(seed):
    """E0 and Emax as good as follow from the EC50 of the subjects: smoothing must not overshoot along the ridge."""
    rng, rows = np.random.default_rng(8), []
    for i in range(20):
        CL, V, EC50 = (value * np.exp(sd * rng.standard_normal()) for value, sd in ((2, 0.25), (30, 0.2), (1.5, 0.3)))
        rows.append((i, 0.0, 100.0, None, 1, 1))
        for t in (0.5, 2, 5, 9, 14, 24):
            c = 100 / V * np.exp(-CL / V * t)
            rows.append((i, t, None, c * np.exp(0.1 * rng.standard_normal()), 0, 1))
            rows.append((i, t, None, 10 + 40 * c / (EC50 + c) + rng.standard_normal(), 0, 2))
    data = wb.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "DV", "EVID", "DVID"]))
    values = {"CL": (2, 0.3), "V": (30, 0.2), "E0": (10, None), "Emax": (40, None), "EC50": (1.5, 0.3)}
    parameters = [wb.Parameter(name, value, iiv=sd) for name, (value, sd) in values.items()]
    error = {"concentration": wb.Proportional(0.1), "effect": wb.Constant(1.0)}
    model = wb.Model(wb.pkpd(wb.pk(), response="emax"), parameters, error=error)
    best = wb.fit(model, data)
    fit = wb.fit(model, data, wb.Saem(exploration=80, smoothing=80, samples=10, seed=seed), covariance=False)
    assert fit.history["ofv"].iloc[-2] < best.ofv + 0.3  # by FOCEI, where SAEM ended
    for name in ("E0", "Emax", "EC50"):
        assert abs(fit.estimate(name).value - best.estimate(name).value) < 0.5 * best.estimate(name).se


def test_a_distance_that_is_not_known_is_not_called_converged(theophylline):
    problem = compile(wb.fit(oral(), theophylline).model, theophylline)
    at = Objective(problem, "focei").evaluate(problem.x)
    ended, said = above_minimum(Outcome(at, wb.Status.converged, ((0, at.ofv),)), float("nan"))
    assert ended.status is wb.Status.max_iterations and "is not known" in said


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("method", [wb.Saem, wb.Importance])
def test_few_subjects_with_few_observations_end_at_the_minimum(method, seed):
    """Six subjects, three samples each: the minimum is narrow, and far from that of the approximation."""
    times, rows = (1.0, 4.0, 12.0), []
    for subject in range(1, 7):
        rows.append((subject, 0.0, 1, 100.0, 0.0))
        rows += [(subject, t, 0, 0.0, 0.0) for t in times]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV"])
    parameters = [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)]
    model = wb.Model(wb.pk(absorption="first-order"), parameters, error=wb.Proportional(0.15))
    simulated = wb.simulate(model, wb.read_data(frame), seed=1)
    frame.loc[frame["EVID"] == 0, "DV"] = simulated["DV"].to_numpy()
    data = wb.read_data(frame)
    best = wb.fit(model, data, method=wb.Quadrature(15), covariance=False)
    fit = wb.fit(model, data, method=method(seed=seed), covariance=False)
    assert fit.converged
    assert wb.objective(fit.model, data, wb.Quadrature(15)) < best.ofv + 0.15


def test_a_draw_without_a_gradient_is_passed_over(theophylline):
    """What is no number, as where draws went far, is not kept in the sums of those that follow."""
    model = wb.initial_values(wb.Model(ORAL, error=wb.Combined2()), theophylline)
    search = StochasticEM(compile(model, theophylline), wb.Saem())
    search.explore(cooling=True)
    search.smooth(1, late=False)
    usual, before = search._chains.gradients, search.x.copy()
    search._chains.gradients = lambda: tuple(np.where(np.arange(len(part)) == 0, np.nan, part.T).T for part in usual())
    search.smooth(2, late=True)
    assert np.array_equal(search.x, before) and np.isnan(search.short)
    search._chains.gradients = usual
    search.smooth(3, late=True)
    assert np.isfinite(search.x).all() and search.short >= 0.0
    assert not np.array_equal(search.x, before)
