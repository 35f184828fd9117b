"""A transform that is stated in this file alone is fitted as the library's are."""

import math

import numpy as np
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.predictions.jets import untransform
from workbench.engine.predictions.scalar import transform_code
from workbench.engine.problem.compile import compile
from workbench.model.transform import IDENTITY, LOG, LOGIT, PROBIT

SQUARE_ROOT = wb.Transform("root", "z^2", "sqrt(p)", lowest=0)
BOX_COX = wb.Transform("boxcox", "(0.25*z + 1)^4", "(p^0.25 - 1)/0.25", lowest=0)
CUBE_ROOT = wb.Transform("cuberoot", "z^3", "where(p < 0, -(abs(p)^(1/3)), abs(p)^(1/3))")
LIKE_LOG = wb.Transform("likelog", "exp(z)", "log(p)", lowest=0)


def model(transform: object) -> wb.Model:
    def of(name: str, value: float, cv: float, covariates: str = "") -> wb.Parameter:
        spread = (
            cv
            if transform in ("log", LIKE_LOG)
            else wb.Parameter(name, value, transform=transform).link.spread(value, cv)
        )
        return wb.Parameter(name, value, iiv=spread, covariates=covariates or (), transform=transform)

    parameters = [of("ka", 1.5, 0.5), of("CL", 0.04, 0.3, "log(WT/70)"), of("V", 0.46, 0.2)]
    return wb.Model(wb.pk(absorption="first-order"), parameters, error=wb.Combined2(0.5, 0.1))


@pytest.fixture(scope="module")
def data() -> wb.GroupedData:
    return wb.load_example("theophylline")


@pytest.mark.parametrize("transform", [SQUARE_ROOT, BOX_COX, CUBE_ROOT, LIKE_LOG], ids=lambda t: t.name)
def test_the_kernel_has_its_exact_derivatives(transform):
    code = transform_code(transform)
    assert code > 3
    for p in (0.3, 1.7, 20.0):
        z, h = transform.to(p), 1e-3
        value, first, second = untransform(z, code, 0.0, 1.0)
        assert value == pytest.approx(p, rel=1e-12)
        assert transform.back(z) == pytest.approx((value, first), rel=1e-12)
        near = [untransform(z + m * h, code, 0.0, 1.0) for m in (-2, -1, 1, 2)]
        for k, exact in ((0, first), (1, second)):
            difference = (near[0][k] - 8 * near[1][k] + 8 * near[2][k] - near[3][k]) / (12 * h)
            assert difference == pytest.approx(exact, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("transform", [SQUARE_ROOT, BOX_COX, CUBE_ROOT], ids=lambda t: t.name)
@pytest.mark.parametrize("method", ["focei", "foce"])
def test_the_gradient_is_exact(transform, method, data):
    problem = compile(model(transform), data)
    objective = Objective(problem, method)
    objective.tolerance = 1e-16
    x = problem.x + 0.01
    at = objective.evaluate(x)
    differences = np.empty(len(x))
    for k in range(len(x)):
        step = 1e-4 * np.eye(len(x))[k]
        values = [objective.evaluate(x + m * step, at.zeta).ofv for m in (-2, -1, 1, 2)]
        differences[k] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * 1e-4)
    assert np.allclose(at.gradient, differences, rtol=1e-6, atol=1e-5)


def test_a_logarithm_in_other_words_is_the_logarithm(data):
    one, other = (wb.fit(model(transform), data) for transform in (LIKE_LOG, "log"))
    assert one.ofv == pytest.approx(other.ofv, abs=1e-5)
    columns = ["estimate", "se", "lower", "upper"]
    found, right = (f.estimates.loc[["ka", "CL", "V"], columns].to_numpy() for f in (one, other))
    assert np.allclose(found, right, rtol=1e-3)


@pytest.mark.parametrize("transform", [SQUARE_ROOT, BOX_COX], ids=lambda t: t.name)
def test_it_is_fitted(transform, data):
    fit = wb.fit(model(transform), data)
    assert fit.status.ok
    lines = fit.estimates
    assert (lines.loc[["ka", "CL", "V"], "lower"] > 0).all()
    z, se = math.sqrt(lines.loc["V", "estimate"]), lines.loc["V", "se"]
    if transform is SQUARE_ROOT:
        assert lines.loc["V", "upper"] == pytest.approx((z + 1.959964 * se / (2 * z)) ** 2, rel=1e-6)
    assert eval(repr(fit.model), {"wb": wb}) == fit.model
    assert wb.objective(fit.model, data) == pytest.approx(fit.ofv, abs=1e-6)
    assert np.isfinite(wb.profile(fit, "V").interval).all()
    assert np.isfinite(wb.simulate(fit.model, data, replicates=2, seed=1)["DV"]).all()


LOGARITHMIC = wb.Model(wb.pk(absorption="first-order"), [wb.Parameter(n, iiv=True) for n in ("ka", "CL", "V")])


def test_values_are_found_in_the_data(data):
    stated = wb.Model(
        wb.pk(absorption="first-order"), [wb.Parameter(n, iiv=True, transform=SQUARE_ROOT) for n in ("ka", "CL", "V")]
    )
    found = wb.initial_values(stated, data)
    relative = found["CL"].iiv / (math.sqrt(found["CL"].value) / 2)
    assert 0.1 < relative < 0.6 and relative == pytest.approx(wb.initial_values(LOGARITHMIC, data)["CL"].iiv, rel=0.1)
    assert wb.fit(stated, data).status.ok


def test_the_library_answers_the_same_questions():
    for transform, value in ((LOG, 2.0), (IDENTITY, -2.0), (LOGIT, 0.3), (PROBIT, 0.3)):
        z = transform.to(value)
        assert transform.back(z)[0] == pytest.approx(value)
        assert untransform(z, transform_code(transform), 0.0, 1.0)[:2] == pytest.approx(transform.back(z))
    assert LOG.interval(2.0, 0.2)[1] == pytest.approx(2.0 * math.exp(1.959964 * 0.1), rel=1e-6)


def test_repr_evaluates_to_an_equal_value():
    parameter = wb.Parameter("V", 32, iiv=0.1, transform=SQUARE_ROOT, bounds=(1, None))
    assert eval(repr(parameter), {"wb": wb}) == parameter
    assert wb.Parameter("V", 32, transform=LOG) == wb.Parameter("V", 32, transform="log")
    assert r"\mathit{root}\left(V\right)" in SQUARE_ROOT.latex("V")


def test_what_does_not_fit_is_refused_in_words():
    for build, message in (
        (
            lambda: wb.Parameter("V", 32, transform="cubic"),
            "allowed are log, identity, logit, probit, or a wb.Transform",
        ),
        (lambda: wb.Parameter("V", 32, transform=math.sqrt), "allowed are log"),
        (lambda: wb.Parameter("V", -1, transform=SQUARE_ROOT), "between 0 and inf"),
        (lambda: wb.Parameter("V", 1, transform=SQUARE_ROOT, bounds=(-1, 2)), "they are between 0 and inf"),
        (lambda: wb.Transform("log", "z", "p"), "cannot be named 'log'"),
        (lambda: wb.Transform("iiv", "z", "p"), "cannot be named 'iiv'"),
        (lambda: wb.Transform("own", "z^2", None), "does not say transformed"),
        (lambda: wb.Transform("own", "z^2", "sqrt(x)"), "an expression of p alone"),
        (lambda: wb.Transform("own", "z^2", "p"), "natural must undo transformed"),
        (lambda: wb.Transform("own", "z^2 +", "p"), "natural of the transform own"),
    ):
        with pytest.raises(wb.ModelError, match=message):
            build()
