"""A residual error that is stated in this file alone: fitted if it answers every question, else refused by its name."""

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.engine.problem.residual import treatment_of, variances


@dataclass(frozen=True, repr=False)
class Counting(wb.ResidualError):
    """The variance of counts beside one that is constant."""

    sd = "sqrt(a^2 + d^2*abs(f))"
    parameters = {  # noqa: RUF012
        "a": wb.ErrorParameter("constant part", "response"),
        "d": wb.ErrorParameter("part of counting", "response"),
    }
    a: float | None = None
    d: float | None = None


@dataclass(frozen=True, repr=False)
class Four(wb.ResidualError):
    """More parameters than any of the library's."""

    sd = "sqrt(a^2 + (b*abs(f)^c)^2 + d^2*log(1 + abs(f))^2)"
    parameters = {  # noqa: RUF012
        "a": wb.ErrorParameter("constant part", "response"),
        "b": wb.ErrorParameter("proportional part", "fraction"),
        "c": wb.ErrorParameter("exponent", "number", 0.8),
        "d": wb.ErrorParameter("part with the logarithm", "response"),
    }
    a: float | None = None
    b: float | None = None
    c: float | None = None
    d: float | None = None


@dataclass(frozen=True, repr=False)
class Same(wb.ResidualError):
    """Combined2 in other words, which no kernel knows."""

    sd = "sqrt((b*f)^2 + a^2)"
    parameters = wb.Combined2.parameters
    a: float | None = None
    b: float | None = None


@dataclass(frozen=True, repr=False)
class Logarithmic(wb.ResidualError):
    """As `wb.Exponential`, less sure where f is small."""

    sd = "a*(1 + d*exp(-f))"
    parameters = {  # noqa: RUF012
        "a": wb.ErrorParameter("standard deviation of log y", "response"),
        "d": wb.ErrorParameter("what small values add", "number", 0.1),
    }
    logarithmic = True
    a: float | None = None
    d: float | None = None


def model(error: wb.ResidualError | None) -> wb.Model:
    parameters = [
        wb.Parameter("ka", 1.5, iiv=0.6),
        wb.Parameter("CL", 0.04, iiv=0.3),
        wb.Parameter("V", 0.46, iiv=0.15),
    ]
    return wb.Model(wb.pk(absorption="first-order"), parameters, error=error)


@pytest.fixture(scope="module")
def data() -> wb.GroupedData:
    return wb.load_example("theophylline")


@pytest.mark.parametrize("error", [Counting(0.4, 0.2), Four(0.3, 0.1, 0.8, 0.2)])
@pytest.mark.parametrize("method", ["focei", "foce", "fo", "laplace"])
def test_its_gradient_is_exact(error, method, data):
    problem = compile(model(error), data)
    objective = Objective(problem, method)
    objective.tolerance = 1e-16
    x = problem.x + 0.02
    at = objective.evaluate(x)
    differences = np.empty(len(x))
    for k in range(len(x)):
        h = 1e-4
        step = h * np.eye(len(x))[k]
        values = [objective.evaluate(x + m * step, at.zeta).ofv for m in (-2, -1, 1, 2)]
        differences[k] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    assert np.allclose(at.gradient, differences, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("method", ["focei", "foce", "pooled"])
def test_an_error_in_other_words_is_the_same(method, data):
    fits = [wb.fit(model(error), data, method=method) for error in (Same(0.4, 0.1), wb.Combined2(0.4, 0.1))]
    assert fits[0].ofv == pytest.approx(fits[1].ofv, abs=1e-6)
    assert np.allclose(fits[0].estimates["estimate"], fits[1].estimates["estimate"], rtol=1e-4)


@pytest.mark.parametrize("blq", ["M3", "M4"])
def test_censored_observations_count_as_with_the_kinds_that_kernels_know(blq, data):
    frame = data.frame.copy()
    low = (frame["MDV"] == 0) & (frame["DV"] < 1.5)
    frame["CENS"], frame.loc[low, "DV"] = low.astype(int), 1.5
    censored = wb.read_data(frame)
    assert (censored.events.censored != 0).any()
    found = []
    for error in (Same(0.4, 0.1), wb.Combined2(0.4, 0.1)):
        problem = compile(model(error).with_blq(blq), censored)
        at = Objective(problem, "laplace").evaluate(problem.x)
        found.append((at.ofv, at.gradient))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-9)
    assert np.allclose(found[0][1], found[1][1], rtol=1e-6, atol=1e-6)


def test_responses_with_errors_of_different_lengths():
    errors = (Four(0.3, 0.1, 0.8, 0.2), wb.Combined2(0.4, 0.1))
    kinds = np.array([treatment_of(error).kind for error in errors])
    sigma = np.array([[0.3, 0.1, 0.8, 0.2], [0.4, 0.1, 0.0, 0.0]])
    f, R, R_f, R_s = np.array([2.0, 2.0]), np.empty(2), np.empty(2), np.full((2, 4), np.nan)
    variances(kinds, np.arange(2), f, sigma, R, R_f, R_s)
    values = [dict(zip(error.names, error.values, strict=True)) for error in errors]
    assert np.sqrt(R) == pytest.approx([e.sd_at(2.0, v) for e, v in zip(errors, values, strict=True)])
    assert R_s[1] == pytest.approx([2 * 0.4, 2 * 0.1 * 4.0, 0.0, 0.0])


def test_its_derivatives_are_those_of_the_kinds_that_kernels_know(data):
    one, other = (compile(model(error), data) for error in (Same(0.4, 0.1), wb.Combined2(0.4, 0.1)))
    f = np.array([0.0, 0.5, 3.0, -2.0])
    found = []
    for problem in (one, other):
        R, R_f, R_s = np.empty(4), np.empty(4), np.empty((4, 3))
        sigma = problem.scale.point(problem.x).sigma
        variances(problem.observations.kind, np.zeros(4, dtype=np.int64), f, sigma, R, R_f, R_s)
        found.append((R, R_f, R_s[:, :2]))
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b, rtol=1e-14)


def test_it_is_fitted_from_values_found_in_the_data(data):
    fit = wb.fit(model(Counting()), data)
    assert fit.status.ok
    assert set(fit.estimates.index) >= {"a", "d"}
    assert fit.model.error.a == pytest.approx(float(fit.estimates.loc["a", "estimate"]))
    assert fit.ofv < wb.fit(model(wb.Constant(0.5)), data).ofv
    again = wb.objective(fit.model, data)
    assert again == pytest.approx(fit.ofv, abs=1e-6)


@pytest.mark.parametrize("method", ["saem", "importance", "quadrature", "individual", "two-stage"])
def test_every_method_takes_it(method, data):
    assert np.isfinite(wb.fit(model(Counting(0.4, 0.2)), data, method=method).ofv)


def test_one_on_the_scale_of_logarithms(data):
    frame = data.frame
    early = frame.index[(frame["MDV"] == 0) & ((frame["TIME"] == 0) | (frame["DV"] <= 0))]
    found = [str(finding) for finding in model(Logarithmic(0.2, 0.5)).check(data) if finding.where == "error"]
    assert any("takes the logarithm of the prediction" in finding for finding in found)
    later = data.exclude(rows=early.tolist())
    fit = wb.fit(model(Logarithmic()), later)
    assert fit.status.ok
    assert fit.unit("a") == fit.unit("d") == ""
    assert fit.ofv < wb.fit(model(wb.Exponential()), later).ofv
    simulated = wb.simulate(fit.model, later, replicates=1, seed=1)
    assert (simulated["DV"] > 0).all()


def test_repr_evaluates_to_an_equal_model():
    for error in (Counting(0.4, 0.2), Counting(), Counting(0.4, fixed="a"), Logarithmic(0.1, 1.0)):
        stated = model(error)
        assert eval(repr(stated), {"wb": wb, "Counting": Counting, "Logarithmic": Logarithmic}) == stated


def test_it_is_shown():
    assert Counting(0.4, 0.2).title == "counting"
    assert Counting(0.4, 0.2).formula == "sqrt(a^2 + d^2*abs(f))"
    assert r"\sqrt{a^{2} + d^{2}" in Counting(0.4, 0.2).latex("y", "f")
    assert r"\ln y = \ln f + " in Logarithmic(0.1, 1.0).latex("y", "f")


def test_what_it_does_where_the_prediction_is_0(data):
    @dataclass(frozen=True, repr=False)
    class Root(wb.ResidualError):
        sd = "d*sqrt(abs(f))"
        parameters = Counting.parameters
        d: float | None = None

    assert Root(0.1).vanishes() and not Counting(0.4, 0.2).vanishes() and Counting(0.4, 0.2).vanishes(without="a")
    assert any("no error at all" in str(finding) for finding in model(Root(0.1)).check(data))
    with pytest.raises(wb.ModelError, match="prediction is zero"):
        wb.fit(model(Root(0.1)), data)


def stated(**answers: object) -> type:
    """A kind that answers what is given, with parameters a and d."""
    types = {"a": "float | None", "d": "float | None"}
    fields = {"__annotations__": types, "a": None, "d": None, "__module__": __name__}
    return dataclass(frozen=True, repr=False)(type("Own", (wb.ResidualError,), fields | answers))


COMPLETE = {"sd": Counting.sd, "parameters": Counting.parameters}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"parameters": Counting.parameters}, "Own does not say its standard deviation: state sd"),
        ({"sd": Counting.sd}, "Own does not say what its parameters are: state parameters"),
        ({"sd": Counting.sd, "parameters": wb.Constant.parameters}, "what its parameter d is: parameters needs 'd'"),
        (COMPLETE | {"sd": "sqrt(a^2 + e^2*f) + d"}, "sd uses e, which is no field of it. There are f, a, d"),
        (COMPLETE | {"sd": "a*f"}, "sd does not use d"),
        (COMPLETE | {"sd": "a +* d"}, "sd of Own"),
        (COMPLETE | {"sd": "a + open(d)"}, "sd of Own"),
    ],
)
def test_one_that_leaves_a_question_open_is_refused_by_the_question(answers, message):
    with pytest.raises(wb.ModelError, match=message.replace("(", r"\(").replace(".", r"\.")):
        stated(**answers)(0.4, 0.2)


def test_the_base_and_a_class_without_fields_are_refused():
    with pytest.raises(wb.ModelError, match="base of the residual errors"):
        wb.ResidualError()
    with pytest.raises(wb.ModelError, match="does not say its fields: put @dataclass"):
        type("Bare", (wb.ResidualError,), COMPLETE)()
    with pytest.raises(wb.ModelError, match="positive"):
        Counting(-1.0, 0.2)
    with pytest.raises(wb.ModelError, match="does not say its standard deviation"):
        model(type("Evasive", (wb.ResidualError,), {"__post_init__": lambda self: None})())
    with pytest.raises(wb.ModelError, match="dimension='mass'"):
        wb.ErrorParameter("what", "mass")
