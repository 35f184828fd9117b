"""Quadrature and importance sampling: the marginal likelihood itself, and its exact gradient."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.objectives.integral import Integral
from workbench.engine.problem.compile import compile
from workbench.parallel import in_one_thread

from ..reference.cases import named

ORAL = wb.pk(absorption="first-order")


def stated(**more):
    parameters = [
        wb.Parameter("ka", 1.5, iiv=0.6),
        wb.Parameter("CL", 0.04, iiv=0.3),
        wb.Parameter("V", 0.46, iiv=0.15),
    ]
    return wb.Model(ORAL, parameters, **{"error": wb.Constant(0.7), **more})


STATED = {
    "constant": stated(),
    "combined": stated(error=wb.Combined(0.4, 0.1)),
    "full": stated(correlate=[wb.Block("ka", "CL", "V", correlations=[0.3, -0.2, 0.5])]),
    "covariate": stated().with_covariate("CL", "WT", shape="power", reference=70, start=0.5),
}


@pytest.mark.parametrize("options", [wb.Quadrature(5), wb.Importance(50)], ids=["quadrature", "importance"])
@pytest.mark.parametrize("name", STATED)
def test_gradient_equals_differences(name, options, theophylline):
    problem = compile(STATED[name], theophylline)
    integral = Integral(problem, options, problem.x)
    x = problem.x + 0.05 * np.random.default_rng(7).standard_normal(problem.scale.size)
    at, h = integral.evaluate(x), 2e-4
    found = np.empty_like(x)
    for m, unit in enumerate(np.eye(len(x))):
        values = [integral.evaluate(x + k * h * unit).ofv for k in (1, 2, -1, -2)]
        found[m] = (8 * (values[0] - values[2]) - (values[1] - values[3])) / (12 * h)
    assert at.gradient == pytest.approx(found, rel=1e-7, abs=1e-7 * np.abs(found).max())


@pytest.mark.parametrize("options", [wb.Quadrature(3), wb.Importance(50)], ids=["quadrature", "importance"])
def test_threads_change_nothing(options, theophylline):
    problem = compile(STATED["full"], theophylline)
    integral = Integral(problem, options, problem.x)
    with in_one_thread():
        alone = integral.evaluate(problem.x + 0.1)
    together = integral.evaluate(problem.x + 0.1)
    for name in ("ofv", "gradient", "by_subject", "scores", "zeta"):
        assert np.array_equal(getattr(alone, name), getattr(together, name))


@pytest.mark.parametrize("method", [wb.Quadrature(3), "importance"], ids=["quadrature", "importance"])
def test_a_linear_mixed_model_is_exact(method):
    """There the curvature is the same everywhere, and FOCEI is exact as well."""
    rng = np.random.default_rng(3)
    subject, t = np.repeat(np.arange(20), 6), np.tile(np.arange(6.0), 20)
    b = rng.multivariate_normal([0, 0], [[1.0, 0.2], [0.2, 0.25]], 20)[subject]
    y = 5 + b[:, 0] + (1.5 + b[:, 1]) * t + rng.normal(0, 0.7, len(t))
    frame = pd.DataFrame({"ID": subject, "TIME": t, "DV": y})
    data = wb.read_data(frame, roles={"subject": "ID", "time": "TIME", "response": "DV"})
    line = [wb.Parameter(n, v, iiv=s, transform="identity") for n, v, s in (("b0", 5, 1.0), ("b1", 1.5, 0.5))]
    model = wb.Model(wb.equation("b0 + b1*t"), line, error=wb.Constant(0.7), correlate="full")
    exact = wb.objective(model, data)
    if method == "importance":
        assert wb.objective(model, data, method) == pytest.approx(exact, abs=0.3)
        return
    assert wb.objective(model, data, method) == pytest.approx(exact, abs=1e-8)
    fit = wb.fit(model, data, method, covariance=False)
    from statsmodels.regression.mixed_linear_model import MixedLM

    theirs = MixedLM(y, np.column_stack([np.ones(len(t)), t]), subject, np.column_stack([np.ones(len(t)), t])).fit(
        reml=False, method="bfgs", gtol=1e-9
    )
    assert fit.converged
    assert fit.minus2ll == pytest.approx(-2 * theirs.llf, rel=1e-6)
    assert fit.estimates["estimate"][["b0", "b1"]].to_numpy() == pytest.approx(theirs.fe_params, rel=1e-5)
    assert fit.omega.to_numpy() == pytest.approx(np.asarray(theirs.cov_re), rel=2e-4)


@pytest.mark.parametrize(("name", "tolerance"), [("saemix_theoph_const", 0.01), ("saemix_theoph_prop_combined", 0.03)])
def test_published_quadrature(name, tolerance):
    """Theirs has 12 nodes along each effect around conditional means, by simulation: some hundredths."""
    entry = next(entry for entry in named(name).entries() if entry.label == "quadrature")
    ours = wb.objective(entry.model, entry.data, wb.Quadrature(11)) + entry.observations * np.log(2 * np.pi)
    assert ours == pytest.approx(entry.published, abs=tolerance)


def test_both_find_the_same_minimum(theophylline):
    by_nodes = wb.fit(stated(), theophylline, "quadrature")
    by_draws = wb.fit(stated(), theophylline, wb.Importance(seed=5))
    assert by_nodes.converged and by_draws.converged
    assert by_nodes.ofv == pytest.approx(117.301, abs=0.005)  # with 11 nodes 117.3006
    assert by_draws.ofv == pytest.approx(by_nodes.ofv, abs=0.3)  # three of its standard errors
    for ours, theirs in zip(by_draws.lines, by_nodes.lines, strict=True):
        assert abs(ours.value - theirs.value) < 0.1 * theirs.se
        assert ours.se == pytest.approx(theirs.se, rel=0.2)  # curvature by 1,000 draws: 10 % between seeds
    assert "with 9 the OFV differs by" in by_nodes.accuracy and "Monte Carlo error" in by_draws.accuracy
    assert by_nodes.message.startswith("A rival solution is lower by 3.6") and by_nodes.accuracy in by_nodes.summary()
    assert wb.fit(by_nodes.model, theophylline, "quadrature").ofv == pytest.approx(by_nodes.ofv, abs=1e-5)
    assert (by_nodes.options, by_draws.options) == (wb.Quadrature(), wb.Importance(seed=5))


def test_one_node_is_laplace(theophylline):
    model = stated(error=wb.Combined2(0.4, 0.1))
    laplace = wb.objective(model, theophylline, "laplace")
    assert wb.objective(model, theophylline, wb.Quadrature(1)) == pytest.approx(
        laplace, abs=1e-6
    )  # modes are found to 1e-7 SD


def test_equal_seeds_give_equal_numbers(theophylline):
    values = [wb.objective(stated(), theophylline, wb.Importance(100, seed=seed)) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_stopped_it_keeps_what_it_has(theophylline):
    seen = []
    fit = wb.fit(
        stated(), theophylline, "quadrature", callback=lambda progress: seen.append(progress) or len(seen) == 2
    )
    assert fit.status is wb.Status.stopped and np.isfinite(fit.ofv) and len(seen) == 2


def test_too_many_nodes_are_refused(theophylline):
    with pytest.raises(wb.ModelError, match="Use method='importance'"):
        wb.objective(stated(), theophylline, wb.Quadrature(99))
    with pytest.raises(wb.ModelError, match="whole number"):
        wb.Quadrature(0)
    with pytest.raises(wb.ModelError, match="10 or more"):
        wb.Importance(5)
    with pytest.raises(wb.ModelError, match="allowed are"):
        wb.fit(stated(), theophylline, "newton")


def test_values_below_a_limit(theophylline):
    frame, roles = theophylline.frame.copy(), theophylline.roles
    low = (frame[roles["response"]] < 1.0) & (frame["TIME"] > 0)
    frame["CENS"] = low.astype(int)
    frame.loc[low, roles["response"]] = 1.0
    data = wb.read_data(frame, roles={**roles, "censor": "CENS"})
    model = stated(blq="M3")
    assert wb.objective(model, data, "quadrature") == pytest.approx(wb.objective(model, data, "importance"), abs=0.3)


@pytest.mark.parametrize("seed", [0, 1])
def test_importance_sampling_does_not_follow_the_noise_of_its_draws(seed):
    """Eight people, seven samples: the minimum of a sum over draws that stay lies far below that of the integral."""
    times = np.array([0.5, 1, 2, 4, 8, 12, 24.0])
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, 9), 8), "TIME": np.tile(np.r_[0, times], 8)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(7, int)], 8)
    frame["AMT"], frame["DV"] = np.where(frame["EVID"] == 1, 100.0, 0.0), 0.0
    parameters = [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 3, iiv=0.35), wb.Parameter("V", 30, iiv=0.2)]
    truth = wb.Model(ORAL, parameters, error=wb.Proportional(0.1))
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(truth, wb.read_data(frame), seed=seed)["DV"].to_numpy()
    data = wb.read_data(frame)
    fit = wb.fit(truth, data, method="importance", covariance=False)
    error = float(fit.accuracy.split(" is ")[1].split()[0].rstrip("."))
    assert fit.converged and 0 < error < 0.2
    exact = wb.objective(fit.model, data, method=wb.Quadrature(13))
    assert abs(fit.ofv - exact) < 3 * error
    best = wb.fit(truth, data, method=wb.Quadrature(11), covariance=False)
    assert exact - best.ofv < 0.1
    assert fit.estimate("iiv_CL").value == pytest.approx(best.estimate("iiv_CL").value, rel=0.1)


def test_several_modes_are_all_in_the_sum():
    """Two basins of a lag: draws around one of them alone miss a part of the likelihood."""
    data, model = wb.load_example("theophylline"), stated()
    model = wb.Model(
        wb.pk(absorption="first-order", lag=True),
        [*model.parameters, wb.Parameter("lag", 0.2, iiv=1.0)],
        error=wb.Constant(0.7),
    )
    few, many = (wb.objective(model, data, method=wb.Importance(k, seed=k)) for k in (3_000, 20_000))
    assert few == pytest.approx(many, abs=1.0)


@pytest.mark.parametrize("name", STATED)
def test_draws_from_all_their_sources_equal_quadrature(name, theophylline):
    """Around the modes, from the population, and where the weights of a first round suggest."""
    problem = compile(STATED[name], theophylline)
    exact = Integral(problem, wb.Quadrature(15), problem.x).evaluate(problem.x)
    draws = Integral(problem, wb.Importance(20_000), problem.x)
    found = draws.evaluate(problem.x)
    assert (np.abs(found.by_subject - exact.by_subject) < 4 * draws.errors + 1e-4).all()


def regimens():
    """Boluses, infusions, a steady state and what comes after a reset, seen with error."""
    rng, rows = np.random.default_rng(3), []
    for i in range(1, 5):
        rows += [(i, 0.0, 100.0, 0.0, 0.0, 0, 1, 0), (i, 12.0, 60.0, 20.0, 0.0, 0, 1, 0)]
        rows += [
            (i, 30.0, 80.0, 0.0, 12.0, 1, 1, 0),
            (i, 50.0, 0.0, 0.0, 0.0, 0, 3, 0),
            (i, 51.0, 50.0, 0.0, 0.0, 0, 1, 0),
        ]
        for t in (0.0, 1.0, 5.0, 12.5, 14.0, 20.0, 29.0, 31.0, 40.0, 50.5, 52.0, 60.0):
            rows.append((i, t, 0.0, 0.0, 0.0, 0, 0, 3.0 * np.exp(-0.05 * t + 0.2 * rng.standard_normal())))
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "RATE", "II", "SS", "EVID", "DV"])
    return wb.read_data(frame.sort_values(["ID", "TIME", "EVID"], ascending=[True, True, False]))


def below_limit(theophylline):
    """Theophylline with everything below 2.5 mg/L known only to lie below it."""
    frame, roles = theophylline.frame.copy(), theophylline.roles
    low = (frame[roles["response"]] < 2.5) & (frame["TIME"] > 0)
    frame["CENS"] = low.astype(int)
    frame.loc[low, roles["response"]] = 2.5
    return wb.read_data(frame, roles={**roles, "censor": "CENS"}).filter("TIME > 0 or AMT > 0")


BOLUS = [wb.Parameter("CL", 1.5, iiv=0.4), wb.Parameter("V", 20, iiv=0.3)]
PERIPHERAL = [wb.Parameter(name, value, iiv=0.3) for name, value in (("CL", 1.5), ("V1", 20), ("Q", 3), ("V2", 30))]
ABREAST = {
    **STATED,
    "power": stated(error=wb.Power(0.2, 0.8)),
    "exponential": stated(error=wb.Exponential(0.2)),
    "transforms": stated().with_parameter("V", iiv=0.4, transform="logit", bounds=(0.1, 1.0)),
    "lag": wb.Model(
        wb.pk(absorption="first-order", lag=True),
        [*STATED["constant"].parameters, wb.Parameter("lag", 0.2)],
        error=wb.Constant(0.7),
    ),
    "below": stated(error=wb.Combined2(0.4, 0.1), blq="M3"),
    "below, positive": stated(error=wb.Combined2(0.4, 0.1), blq="M4"),
    "regimens": wb.Model(wb.pk(), BOLUS, error=wb.Proportional(0.2)),
    "peripheral": wb.Model(wb.pk(compartments=2), PERIPHERAL, error=wb.Combined(0.1, 0.2)),
}


@pytest.mark.parametrize("options", [wb.Quadrature(3), wb.Importance(100)], ids=["quadrature", "importance"])
@pytest.mark.parametrize("name", ABREAST)
def test_nodes_abreast_are_nodes_one_by_one(name, options, theophylline, monkeypatch):
    model = ABREAST[name]
    data = below_limit(theophylline) if name.startswith("below") else theophylline
    data = data.filter("TIME > 0 or AMT > 0") if name == "exponential" else data
    problem = compile(model, regimens() if name in ("regimens", "peripheral") else data)
    assert problem.predictor.goes_abreast
    integral = Integral(problem, options, problem.x)
    far = problem.x + 0.1
    far[0] = 700.0  # hardly any node can be computed
    for x in (problem.x, problem.x + 0.1, far):
        together = integral.evaluate(x)
        with monkeypatch.context() as patch:
            patch.setattr(type(problem.predictor), "goes_abreast", False)
            alone = integral.evaluate(x)
        assert np.isfinite(together.ofv) == np.isfinite(alone.ofv)
        for part in ("by_subject", "gradient", "scores", "zeta"):
            a, b = getattr(together, part), getattr(alone, part)
            assert a == pytest.approx(b, rel=1e-11, abs=1e-11 * (1.0 + np.nanmax(np.abs(b), initial=0.0)), nan_ok=True)
