"""Conversions between the optimiser's vector, points and estimates, for everything that can be free or fixed."""

import numpy as np
import pytest

from workbench.engine.problem.compile import compile

from .test_gradients import STATED


def at_random(model, data):
    problem = compile(model, data)
    return problem.scale, problem.x + 0.1 * np.random.default_rng(5).standard_normal(problem.scale.size)


@pytest.mark.parametrize("name", STATED)
def test_vector_is_the_inverse_of_point(name, theophylline):
    scale, x = at_random(STATED[name], theophylline)
    np.testing.assert_allclose(scale.vector(scale.point(x)), x, atol=1e-12)


@pytest.mark.parametrize("name", STATED)
def test_estimates_put_into_the_model_give_the_point_back(name, theophylline):
    scale, x = at_random(STATED[name], theophylline)
    again = compile(scale.model_at(STATED[name], x), theophylline)
    np.testing.assert_allclose(again.scale.estimates(again.x), scale.estimates(x), rtol=1e-12)


@pytest.mark.parametrize("name", STATED)
def test_jacobian_of_the_estimates(name, theophylline):
    scale, x = at_random(STATED[name], theophylline)
    expected = np.empty((len(scale.quantities), scale.size))
    for k in range(scale.size):
        h = np.eye(scale.size)[k] * 1e-6
        expected[:, k] = (scale.estimates(x + h) - scale.estimates(x - h)) / 2e-6
    np.testing.assert_allclose(scale.jacobian(x), expected, atol=1e-8 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("name", STATED)
def test_what_is_fixed_stays(name, theophylline):
    scale, x = at_random(STATED[name], theophylline)
    moved, stated = scale.estimates(x), scale.estimates(compile(STATED[name], theophylline).x)
    np.testing.assert_allclose(moved[scale.fixed], stated[scale.fixed], rtol=1e-12)
    assert len(scale.labels_of_x) == scale.size
    assert (moved[~scale.fixed] != stated[~scale.fixed]).all()


def test_bounds_hold_far_away(theophylline):
    scale, x = at_random(STATED["bounded"], theophylline)
    values = dict(zip((n.label for n in scale.quantities), scale.estimates(x + 30.0), strict=True))
    assert 0.01 <= values["CL"] <= 0.1
    assert values["V"] >= 0.1
