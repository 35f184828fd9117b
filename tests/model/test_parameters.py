"""Parameters, effects and residual errors: what can be said, what it is taken to mean, what is refused."""

import math

import pytest

import workbench as wb
from workbench.model.residual import ERROR_MODELS


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({}, (0.0, math.inf)),
        ({"bounds": (None, 3.0)}, (0.0, 3.0)),
        ({"bounds": (0.1, math.inf)}, (0.1, math.inf)),
        ({"transform": "identity"}, (-math.inf, math.inf)),
        ({"transform": "identity", "bounds": [-1, None]}, (-1.0, math.inf)),
        ({"transform": "logit"}, (0.0, 1.0)),
        ({"transform": "probit", "bounds": (2, 5)}, (2.0, 5.0)),
    ],
)
def test_limits_of_the_typical_value(given, limits):
    assert wb.Parameter("p", **given).limits == limits


def test_only_what_differs_from_the_defaults_is_printed():
    assert repr(wb.Parameter("CL")) == "wb.Parameter('CL')"
    assert repr(wb.Parameter("F", transform="logit", bounds=(0, 1))) == "wb.Parameter('F', transform='logit')"
    assert repr(wb.Parameter("V", bounds=(None, None), fixed=(), iiv=False, iov=False)) == "wb.Parameter('V')"
    assert repr(wb.Parameter("V", 2, fixed=("value",))) == "wb.Parameter('V', 2.0, fixed=True)"
    assert repr(wb.Parameter("V", share="CL")) == "wb.Parameter('V', share='CL')"
    assert repr(wb.Parameter("V", share=["CL", 1])) == "wb.Parameter('V', share=('CL', 1.0))"
    assert repr(wb.Parameter("V", covariates=wb.Effect("WT", fractional=True))) == (
        "wb.Parameter('V', covariates=[wb.Effect('WT', fractional=True)])"
    )


def test_a_formula_too_long_to_be_read_again_is_printed_as_effects():
    terms = [f"log(COVARIATE_NUMBER_{k}/70)" for k in range(20)]
    parameter = wb.Parameter("CL", covariates=terms)
    assert eval(repr(parameter), {"wb": wb}) == parameter


@pytest.mark.parametrize(
    ("fixed", "parts", "normal"),
    [
        (False, (), False),
        (True, ("value",), True),
        ("iiv", ("iiv",), ("iiv",)),
        (["iov", "value"], ("value", "iov"), ("value", "iov")),
        (("value",), ("value",), True),
    ],
)
def test_what_is_fixed(fixed, parts, normal):
    parameter = wb.Parameter("CL", 1, iiv=0.3, iov=0.1, fixed=fixed)
    assert parameter.fixed_parts == parts
    assert parameter.fixed == normal


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"value": 2, "bounds": (0, 2)}, "strictly between 0 and 2"),
        ({"value": 1, "transform": "logit"}, "strictly between 0 and 1"),
        ({"value": 0, "transform": "probit", "bounds": (0, 5)}, "strictly between 0 and 5"),
        ({"transform": "logit", "bounds": (0, None)}, "two finite bounds"),
        ({"bounds": (2, 1)}, "lower one comes first"),
        ({"bounds": (1, 1)}, "lower one comes first"),
        ({"bounds": (-1, 1)}, "not negative"),
        ({"bounds": (None, 0)}, "not negative"),
        ({"bounds": 3}, "a pair such as"),
        ({"bounds": "01"}, "a pair such as"),
        ({"bounds": ("a", 1)}, "finite number"),
        ({"bounds": (math.nan, 1)}, "finite number"),
        ({"iov": 0}, "standard deviation of κ"),
        ({"iov": -1}, "standard deviation of κ"),
        ({"iiv": "big"}, "finite"),
        ({"fixed": "omega"}, "value, iiv, iov, share"),
        ({"fixed": 3}, "value, iiv, iov, share"),
        ({"fixed": "iiv"}, "iiv of p is fixed but has no value"),
        ({"fixed": "iiv", "iiv": True}, "iiv of p is fixed but has no value"),
        ({"fixed": ("iov",), "iov": True}, "iov of p is fixed but has no value"),
        ({"fixed": ("share",), "share": "CL"}, "share of p is fixed but has no value"),
        ({"share": "p"}, "name of another parameter"),
        ({"share": 3}, "name of another parameter"),
        ({"share": ("CL", 1, 2)}, "name of another parameter"),
        ({"share": ("CL", math.inf)}, "finite"),
        ({"share": "CL", "iiv": 0.3}, "no iiv of its own"),
        ({"column": "X", "iov": True}, "taken from column"),
        ({"column": "X", "bounds": (1, 2)}, "taken from column"),
        ({"column": 3}, "name of a column"),
        ({"covariates": 5}, "formula such as"),
        ({"value": 10**400}, "finite"),
    ],
)  # fmt: skip
def test_nonsense_about_a_parameter_is_refused_in_words(given, words):
    with pytest.raises(wb.ModelError, match=words):
        wb.Parameter("p", **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("WT + AGE",), "one term"),
        (("WT", ()), "empty value"),
        (("WT", "a"), "finite"),
        (("WT", None, True), "no value"),
        (("WT", 1, 1), "True or False"),
        (("WT", 1, False, "yes"), "True or False"),
    ],
)
def test_nonsense_about_an_effect_is_refused_in_words(given, words):
    with pytest.raises(wb.ModelError, match=words):
        wb.Effect(*given)


def test_a_known_parameter_may_lie_on_any_scale():
    assert wb.Parameter("F", column="FF", transform="logit").column == "FF"


# -- residual error ----------------------------------------------------------------------------------------------------


def test_error_models_are_all_there():
    assert [kind.title for kind in ERROR_MODELS] == [
        "constant", "proportional", "combined", "combined2", "power", "exponential",
    ]  # fmt: skip
    for kind in ERROR_MODELS:
        assert getattr(wb, kind.__name__) is kind
        assert set(kind().values) == {None}
        assert kind.formula


def test_names_are_those_of_parameters_only():
    assert wb.Power(0.1, 0.5).names == ("b", "c")
    assert wb.Exponential(0.1, log_data=True, floor=1).names == ("a",)
    assert wb.Combined(1, 2).values == (1.0, 2.0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (wb.Constant(), "wb.Constant()"),
        (wb.Constant(1, fixed=True), "wb.Constant(a=1.0, fixed=True)"),
        (wb.Combined(1, 2, fixed="b"), "wb.Combined(a=1.0, b=2.0, fixed=('b',))"),
        (wb.Combined(1, 2, fixed=["b", "a"]), "wb.Combined(a=1.0, b=2.0, fixed=True)"),
        (wb.Exponential(0.2, log_data=True, floor=1), "wb.Exponential(a=0.2, log_data=True, floor=1.0)"),
    ],
)
def test_a_residual_error_prints_itself(error, text):
    assert repr(error) == text
    assert eval(text, {"wb": wb}) == error


def test_values_are_set_by_name():
    error = wb.Exponential(0.2, log_data=True, fixed=False).with_values({"a": 0.3})
    assert error == wb.Exponential(0.3, log_data=True)
    assert wb.Combined(1, 2, fixed="b").with_values({"a": None}) == wb.Combined(b=2, fixed="b")
    with pytest.raises(wb.ModelError, match=r"no c\. It has a, b"):
        wb.Combined().with_values({"c": 1})


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: wb.Constant(0), "standard deviation, positive"),
        (lambda: wb.Power(1, -1), "exponent, positive"),
        (lambda: wb.Power(1, True), "finite"),
        (lambda: wb.Constant(fixed=True), "no value"),
        (lambda: wb.Constant(1, fixed="b"), "allowed are True, False, 'a'"),
        (lambda: wb.Constant(1, fixed=3), "allowed are True, False, 'a'"),
        (lambda: wb.Exponential(floor=0), "must be positive"),
        (lambda: wb.Exponential(log_data="yes"), "True and False"),
    ],
)
def test_nonsense_about_an_error_is_refused_in_words(build, words):
    with pytest.raises(wb.ModelError, match=words):
        build()
