"""A problem that was laid out for some data serves again, and only where it is the same."""

import gc

import numpy as np
import pytest

import workbench as wb
from workbench.engine.problem.compile import _last, compile
from workbench.engine.search.initial import initial_values
from workbench.errors import ModelError


@pytest.fixture
def data():
    return wb.load_example("theophylline").filter("WT < 80")


@pytest.fixture
def model(data):
    return initial_values(wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2()), data)


def anew(model, data, **asked):
    """Laid out for a copy of the data, of which nothing is known."""
    return compile(model, data.filter("WT < 80"), **asked)


def test_the_same_model_is_laid_out_once(model, data):
    assert compile(model, data) is compile(model.with_values({}), data)


def test_data_that_are_equal_and_others_have_a_problem_of_their_own(model, data):
    assert compile(model, data) is not anew(model, data)


@pytest.mark.parametrize("change", [
    lambda m: m.with_values({"ka": 2.0, "V": 0.4}), lambda m: m.with_iiv("ka", sd=0.1),
    lambda m: m.with_iiv("ka", sd=None), lambda m: m.with_error(wb.Constant(0.5)),
    lambda m: m.with_error(wb.Combined2(0.3, 0.2)), lambda m: m.with_covariate("V", "WT"), lambda m: m.with_blq("M3"),
    lambda m: m.with_parameter("ka", fixed=True), lambda m: m.with_parameter("CL", transform="identity"),
])  # fmt: skip
def test_what_differs_is_laid_out_as_for_new_data(change, model, data):
    compile(model, data)
    changed = change(model)
    changed = changed if changed.is_complete else initial_values(changed, data)
    here, there = compile(changed, data), anew(changed, data)
    for part in ("A", "B", "C", "offset", "row"):
        assert np.array_equal(getattr(here.layout, part), getattr(there.layout, part))
    assert np.array_equal(here.x, there.x) and here.errors == there.errors
    assert wb.objective(changed, data) == wb.objective(changed, data.filter("WT < 80"))


def test_a_value_that_is_missing_is_refused_all_the_same(model, data):
    compile(model, data)
    with pytest.raises(ModelError, match="No value is stated for"):
        compile(model.without_values(), data)


def test_a_spread_of_1_is_not_one_that_is_to_be_found(model, data):
    compile(model.with_iiv("ka", sd=1.0), data)
    with pytest.raises(ModelError, match="No value is stated for"):
        compile(model.with_iiv("ka", sd=True), data)


def test_other_records_are_asked_for(model, data):
    assert compile(model, data, records=True).schedule.n_slots > compile(model, data).schedule.n_slots


def test_nothing_is_kept_of_data_that_are_gone(model):
    data = wb.load_example("theophylline").filter("WT < 79")
    compile(model, data)
    key = id(data)
    assert key in _last
    del data
    gc.collect()
    assert key not in _last
