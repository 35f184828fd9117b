"""What an evaluation puts on one page of memory is what its parts say elsewhere."""

import pickle

import numpy as np
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile

ORAL = wb.pk(absorption="first-order")
KA, V = wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("V", 0.45, iiv=0.2)
CL = wb.Parameter("CL", 0.04, iiv=0.3)
MODELS = {
    "logarithms": wb.Model(ORAL, [KA, CL, V], error=wb.Combined2(0.4, 0.1)),
    "covariate": wb.Model(ORAL, [KA, CL, V], error=wb.Constant(0.7)).with_covariate("V", "WT"),
    "block": wb.Model(ORAL, [KA, CL, V], wb.Constant(0.7), correlate=[wb.Block("CL", "V", correlations=[0.4])]),
    "bounds": wb.Model(ORAL, [KA, wb.Parameter("CL", 0.04, iiv=0.3, bounds=(0.01, 0.1)), V], wb.Constant(0.7)),
    "fixed": wb.Model(ORAL, [KA, wb.Parameter("CL", 0.04, iiv=0.3, fixed=True), V], wb.Combined(0.4, 0.1)),
    "fractional": wb.Model(
        ORAL,
        [KA, V, wb.Parameter("CL", 0.04, iiv=0.3, covariates=[wb.Effect("(WT - 70)", (0.01,), fractional=True)])],
        wb.Constant(0.7),
    ),
}


@pytest.fixture(scope="module", params=list(MODELS))
def problem(request):
    data = wb.load_example("theophylline")
    return compile(wb.initial_values(MODELS[request.param], data), data)


def test_a_point_on_a_page_is_that_of_its_scale(problem):
    x = problem.x + 0.01
    at = Objective(problem).evaluate(x)
    point, _ = problem.scale.chained(x)
    assert np.allclose(at.point.theta, point.theta, rtol=1e-14, atol=0.0)
    assert np.allclose(at.point.L, point.L, rtol=1e-14, atol=0.0)
    assert np.allclose(at.point.sigma, point.sigma, rtol=1e-14, atol=0.0)
    assert np.allclose(at.mean, problem.layout.mean(point.theta)[0], rtol=1e-13, atol=1e-14)


def test_the_objective_is_the_sum_over_subjects(problem):
    at = Objective(problem).evaluate(problem.x)
    assert at.finite
    assert at.ofv == pytest.approx(at.by_subject.sum(), rel=1e-14)
    assert np.allclose(at.gradient, at.scores.sum(axis=0), rtol=1e-12, atol=1e-12 * np.abs(at.scores).max())


def test_sums_do_not_lose_what_is_small(problem):
    """What is lost of a sum is summed as well: large parts that cancel leave the small ones."""
    objective = Objective(problem)
    at = objective.evaluate(problem.x)
    found = at.page.found
    found.ofv[:] = 1.0 - problem.observations.jacobian
    found.ofv[0], found.ofv[-1] = 1e16 - problem.observations.jacobian[0], -1e16 - problem.observations.jacobian[-1]
    assert objective._modes.add_up(at.page, np.arange(problem.n_subjects))
    assert found.total[0] == problem.n_subjects - 2


def test_an_evaluation_travels_and_says_the_same(problem):
    at = Objective(problem).evaluate(problem.x)
    other = pickle.loads(pickle.dumps(at))
    for name in ("x", "ofv", "gradient", "mean", "by_subject", "scores", "zeta", "depth", "inverse", "eta", "finite"):
        assert np.array_equal(getattr(at, name), getattr(other, name)), name
    objective = Objective(problem)
    objective.accept(other)
    moved = objective.evaluate(problem.x + 0.01)
    objective.accept(at)
    assert moved.ofv == objective.evaluate(problem.x + 0.01).ofv


def test_what_is_on_no_page_is_no_attribute(problem):
    at = Objective(problem).evaluate(problem.x)
    with pytest.raises(AttributeError, match="nothing"):
        _ = at.nothing
    assert not hasattr(at, "__array__")


def test_those_who_do_not_count_add_nothing(problem):
    objective = Objective(problem)
    every = objective.evaluate(problem.x)
    some = np.arange(1, problem.n_subjects)
    objective.only(some)
    at = objective.evaluate(problem.x)
    assert at.by_subject[0] == 0.0
    assert not at.scores[0].any()
    assert at.ofv == pytest.approx(every.ofv - every.by_subject[0], abs=1e-9)
    assert np.allclose(at.gradient, every.gradient - every.scores[0], atol=1e-8)


def test_rooms_are_left_to_those_who_come_after():
    """Another objective over the same data works in the room that the one before left, also where it is of another
    approximation; and finds what one with a room of its own finds."""
    problem = compile(MODELS["logarithms"], wb.load_example("theophylline"))

    def found(approximation):
        return Objective(problem, approximation).evaluate(problem.x).ofv

    methods = ("focei", "laplace", "foce", "fo")
    alone = {}
    for method in methods:
        alone[method] = found(method)
        problem.predictor._kept.clear()
    for method in (*methods, *methods[::-1]):
        assert found(method) == alone[method]
    assert sum(map(len, problem.predictor._kept.values())) == len(methods)
