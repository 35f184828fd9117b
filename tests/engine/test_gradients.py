"""The gradient of the objective equals differences of it, for everything that a model can state."""

import numpy as np
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile

ORAL = wb.pk(absorption="first-order")
KA, CL, V = (
    wb.Parameter("ka", 1.5, iiv=0.5),
    wb.Parameter("CL", 0.04, iiv=0.3),
    wb.Parameter("V", 0.45, iiv=0.2),
)


@pytest.fixture(scope="module")
def later():
    """Without the samples at time 0, whose prediction is 0."""
    data = wb.load_example("theophylline")
    return data.filter("TIME > 0 or AMT > 0")


@pytest.fixture(scope="module")
def two_occasions():
    """Theophylline with the samples after 5 h as a second occasion, and a covariate that changes there."""
    frame = wb.load_example("theophylline").frame.copy()
    frame["OCC"] = np.where(frame["TIME"] > 5, 2, 1)
    frame["CRCL"] = 80.0 + 5 * frame["WT"] % 7 + np.where(frame["TIME"] > 5, 9.0, 0.0)
    roles = {**wb.load_example("theophylline").roles, "occasion": "OCC", "covariates": ["WT", "CRCL"]}
    return wb.read_data(frame, roles=roles)


@pytest.fixture(scope="module")
def censored():
    """Theophylline with everything below 2.5 mg/L known only to lie below it."""
    frame = wb.load_example("theophylline").frame.copy()
    roles = wb.load_example("theophylline").roles
    response = roles["response"]
    low = (frame[response] < 2.5) & (frame["TIME"] > 0)
    frame["CENS"] = low.astype(int)
    frame.loc[low, response] = 2.5
    return wb.read_data(frame, roles={**roles, "censor": "CENS"}).filter("TIME > 0 or AMT > 0")


def model(*changed, **more):
    names = {parameter.name for parameter in changed}
    kept = [parameter for parameter in (KA, CL, V) if parameter.name not in names]
    return wb.Model(ORAL, [*kept, *changed], **{"error": wb.Combined2(0.4, 0.1), **more})


def assert_gradient_is_exact(model, data, method, tolerance=1e-6):
    problem = compile(model, data)
    objective = Objective(problem, method)
    objective.tolerance = 1e-24
    rng = np.random.default_rng(7)
    x = problem.x + 0.05 * rng.standard_normal(problem.scale.size)
    at = objective.evaluate(x)
    assert at.finite
    found = np.empty_like(x)
    for m in range(len(x)):
        h = 2e-4
        values = []
        for multiple in (1, 2, -1, -2):
            moved = x.copy()
            moved[m] += multiple * h
            values.append(objective.evaluate(moved).ofv)
        found[m] = (8 * (values[0] - values[2]) - (values[1] - values[3])) / (12 * h)
    size = np.abs(found).max()
    assert at.gradient == pytest.approx(found, rel=tolerance, abs=tolerance * size)


STATED = {
    "identity": model(wb.Parameter("V", 0.45, iiv=0.06, transform="identity")),
    "logit": model(wb.Parameter("V", 0.45, iiv=0.3, transform="logit", bounds=(0.1, 0.9))),
    "probit": model(wb.Parameter("CL", 0.04, iiv=0.2, transform="probit", bounds=(0.0, 0.2))),
    "bounded": model(
        wb.Parameter("CL", 0.04, iiv=0.3, bounds=(0.01, 0.1)), wb.Parameter("V", 0.45, bounds=(0.1, None))
    ),
    "fixed value": model(wb.Parameter("CL", 0.04, iiv=0.3, fixed=True)),
    "fixed iiv": model(wb.Parameter("CL", 0.04, iiv=0.3, fixed=("iiv",))),
    "no iiv": model(wb.Parameter("ka", 1.5)),
    "block": model(correlate=[wb.Block("CL", "V", correlations=[0.4])]),
    "full": model(correlate=[wb.Block("ka", "CL", "V", correlations=[0.3, -0.2, 0.5])]),
    "fixed block": model(correlate=[wb.Block("CL", "V", correlations=[0.4], fixed=True)]),
    "fixed deviation in a block": model(
        wb.Parameter("V", 0.45, iiv=0.2, fixed=("iiv",)),
        correlate=[wb.Block("ka", "CL", "V", correlations=[0.3, -0.2, 0.5])],
    ),
    "shared": model(wb.Parameter("V", 0.45, share=("CL", 0.7))),
    "shared in a block": model(
        wb.Parameter("V", 0.45, share=("CL", 0.7)), correlate=[wb.Block("ka", "CL", correlations=[0.4])]
    ),
    "power covariate": model(wb.Parameter("CL", 0.04, iiv=0.3, covariates=[wb.Effect("log(WT/70)", (0.6,))])),
    "fractional": model(
        wb.Parameter("CL", 0.04, iiv=0.3, covariates=[wb.Effect("(WT - 70)", (0.01,), fractional=True)])
    ),
    "fractional on logit": model(
        wb.Parameter(
            "V", 0.45, iiv=0.3, transform="logit",
            covariates=[wb.Effect("(WT - 70)", (0.005,), fractional=True), wb.Effect("(WT < 65)", (0.1,))],
        )
    ),
    "constant": model(error=wb.Constant(0.7)),
    "combined": model(error=wb.Combined(0.4, 0.1)),
    "fixed part of the error": model(error=wb.Combined2(0.4, 0.1, fixed=("a",))),
}  # fmt: skip


@pytest.mark.parametrize("method", ["focei", "foce", "fo", "laplace"])
@pytest.mark.parametrize("name", STATED)
def test_gradient(name, method, theophylline):
    assert_gradient_is_exact(STATED[name], theophylline, method)


@pytest.mark.parametrize("method", ["focei", "foce", "fo", "laplace"])
@pytest.mark.parametrize(
    "error",
    [wb.Proportional(0.2), wb.Power(0.3, 0.7), wb.Power(0.2, 1.4), wb.Exponential(0.2)],
    ids=["proportional", "power", "steep power", "exponential"],
)
def test_gradient_without_a_constant_error(error, method, later):
    assert_gradient_is_exact(model(error=error), later, method)


@pytest.mark.parametrize("method", ["focei", "foce", "fo", "laplace"])
@pytest.mark.parametrize(
    "stated",
    [
        model(wb.Parameter("CL", 0.04, iiv=0.3, iov=0.15)),
        model(wb.Parameter("CL", 0.04, iiv=0.3, iov=0.15), wb.Parameter("V", 0.45, iov=0.1),
              correlate=[wb.Block("CL", "V", correlations=[0.5], level="occasion")]),
        model(wb.Parameter("CL", 0.04, iiv=0.3, covariates=[wb.Effect("log(CRCL/90)", (0.5,))])),
        model(wb.Parameter("CL", 0.04, iiv=0.3, iov=0.15, covariates=[
            wb.Effect("log(CRCL/90)", (0.5,)), wb.Effect("log(WT/70)", (0.7,))])),
        model(wb.Parameter("CL", 0.04, iiv=0.3, covariates=[wb.Effect("(CRCL - 90)", (0.01,), fractional=True)])),
    ],
    ids=["iov", "iov block", "time-varying", "iov and time-varying", "fractional and time-varying"],
)  # fmt: skip
def test_gradient_where_parameters_change_within_subjects(stated, method, two_occasions):
    assert_gradient_is_exact(stated, two_occasions, method)


@pytest.mark.parametrize("method", ["focei", "laplace"])
@pytest.mark.parametrize("blq", ["M1", "M3", "M4"])
@pytest.mark.parametrize(
    "error", [wb.Constant(0.7), wb.Combined2(0.4, 0.1), wb.Combined(0.4, 0.1)], ids=lambda e: e.title
)
def test_gradient_below_the_limit(error, blq, method, censored):
    assert_gradient_is_exact(model(error=error, blq=blq), censored, method)


@pytest.mark.parametrize("blq", ["M3", "M4"])
def test_log_normal_below_the_limit(blq, censored):
    """The limit is taken on the scale of the logarithm; all values are positive there, so M4 is M3."""
    stated = model(error=wb.Exponential(0.2), blq=blq)
    assert_gradient_is_exact(stated, censored, "laplace")
    assert wb.objective(stated, censored) == wb.objective(stated.with_blq("M3"), censored)
