"""Predictions of equations, their derivatives, and the code that is generated, compiled and kept for them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine.caches import cache_folder
from workbench.engine.predictions import compiled
from workbench.engine.predictions.compiled import differential_source, explicit_source
from workbench.engine.predictions.equation import EquationPredictor
from workbench.engine.predictions.jets import LOG, LOGIT, PROBIT
from workbench.engine.predictions.schedule import DOSE, RESET, Schedule
from workbench.engine.problem.layout import Layout
from workbench.errors import ModelError
from workbench.language.tree import evaluate
from workbench.model.equation import equation
from workbench.model.ode import ode

STENCIL = {-4: 1 / 280, -3: -4 / 105, -2: 1 / 5, -1: -4 / 5, 1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}


def differences(function, u, h=0.01):
    """First and second derivatives by differences of the eighth order."""
    step = np.eye(len(u)) * h
    first = np.stack([sum(w * function(u + k * s) for k, w in STENCIL.items()) / h for s in step], axis=-1)
    pairs = list(product(STENCIL.items(), STENCIL.items()))
    second = [sum(w * v * function(u + k * s + m * r) for (k, w), (m, v) in pairs) for s, r in product(step, step)]
    return first, np.stack(second, axis=-1).reshape(*first.shape, len(u)) / h**2


def course(*events):
    """One subject: numbers are records at those times, tuples (time, kind, amount)."""
    n = len(events)
    time = np.array([e[0] if isinstance(e, tuple) else e for e in events], dtype=float)
    kind = np.array([e[1] if isinstance(e, tuple) else 0 for e in events], dtype=np.int64)
    amount = np.array([e[2] if isinstance(e, tuple) else 0.0 for e in events])
    seen = kind == 0
    zeros, none = np.zeros(n), np.zeros(n, dtype=np.int64)
    return Schedule(
        start=np.array([0, n]), time=time, kind=kind, amount=amount, rate=zeros, duration=zeros, interval=zeros,
        steady_state=none, compartment=none, response=none, record=np.arange(n), origin=np.arange(n),
        slot=np.where(seen, np.cumsum(seen) - 1, -1).astype(np.int64),
    )  # fmt: skip


def plain(schedule, P, **more):
    """Each parameter is a coordinate of its own, log-normal."""
    C = more.pop("C", np.eye(P)[None])
    row = more.pop("row", np.zeros(len(schedule.time), dtype=np.int64))
    return Layout(
        **{
            "A": np.zeros((1, C.shape[2], 1)), "B": np.zeros((1, C.shape[2], 1)), "C": C,
            "offset": np.zeros((len(C), P)), "row": row, "origin": row,
            "transform": np.full(P, LOG), "lower": np.zeros(P), "upper": np.ones(P),
            "covariates": np.zeros((len(C), 0)), **more,
        }
    )  # fmt: skip


def predict(predictor, u, n, order=2):
    D = len(u)
    f, fu, fuu = np.full(n, -1.0), np.full((n, D), -1.0), np.full((n, D, D), -1.0)
    predictor.predict(np.arange(1), np.asarray(u, dtype=float)[None], order, f, fu, fuu)
    return f, fu, fuu


TIMES = (0.0, 0.5, 1.0, 2.5, 4.0, 7.0, 11.0)
T = np.array(TIMES)


def agrees(structure, u, closed):
    schedule = course(*TIMES)
    predictor = EquationPredictor(structure.system, schedule, plain(schedule, len(structure.names)))
    f, fu, fuu = predict(predictor, u, len(TIMES))
    first, second = differences(closed, np.asarray(u))
    np.testing.assert_allclose(f, closed(np.asarray(u)), rtol=1e-13)
    np.testing.assert_allclose(fu, first, rtol=1e-7, atol=1e-9 * np.abs(first).max())
    np.testing.assert_allclose(fuu, second, rtol=1e-5, atol=1e-7 * np.abs(second).max())
    np.testing.assert_array_equal(fuu, fuu.transpose(0, 2, 1))


def test_logistic_curve():
    def closed(u):
        a, x, s = np.exp(u)
        return a / (1 + np.exp(-(T - x) / s))

    agrees(equation("Asym/(1 + exp(-(t - xmid)/scal))"), np.log([190.0, 3.0, 1.7]), closed)


def test_gompertz_with_intermediates():
    def closed(u):
        k, a, b = np.exp(u)
        return a * np.exp(-b * np.exp(-k * T))

    agrees(equation("decay = exp(-k*t)\na*exp(-b*decay)"), np.log([0.4, 20.0, 3.0]), closed)


def test_sigmoid_emax_from_time_zero():
    """At t = 0 the power t^γ has no logarithm, yet all derivatives are 0."""

    def closed(u):
        top, g, half = np.exp(u)
        return top * T**g / (half**g + T**g)

    structure = equation("top*t^g/(half^g + t^g)")
    agrees(structure, np.log([5.0, 2.3, 3.0]), closed)
    agrees(structure, np.log([5.0, 0.6, 3.0]), closed)


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("a*sin(b*t) + cos(a)", lambda a, b: a * np.sin(b * T) + np.cos(a)),
        ("a*tan(b*t/20) + tanh(a*t)", lambda a, b: a * np.tan(b * T / 20) + np.tanh(a * T)),
        ("sqrt(a + b*t)*log(a + t)", lambda a, b: np.sqrt(a + b * T) * np.log(a + T)),
        ("expit(a - b*t) + logit(expit(a*t/9))", lambda a, b: 1 / (1 + np.exp(b * T - a)) + a * T / 9),
        ("phi(a - b*t)", lambda a, b: np.array([0.5 * math.erfc((b * t - a) / math.sqrt(2)) for t in T])),
        ("erf(a - b*t)", lambda a, b: np.array([math.erf(a - b * t) for t in T])),
        ("abs(a - b*t)", lambda a, b: np.abs(a - b * T)),
        ("min(a, b*t, 2) + max(a, t)", lambda a, b: np.minimum(np.minimum(a, b * T), 2) + np.maximum(a, T)),
        ("where(t < 2, a*t, b*t^2)", lambda a, b: np.where(T < 2, a * T, b * T**2)),
        ("where(t > 0, b*log(t), a)", lambda a, b: np.where(T > 0, b * np.log(np.where(T > 0, T, 1)), a)),
        ("a^-2 + (a + t)^0.5 + (b + t)^-0.5 + b^3.7", lambda a, b: a**-2 + (a + T) ** 0.5 + (b + T) ** -0.5 + b**3.7),
        ("(a + t)^21/1e15 + 2^(b*t)", lambda a, b: (a + T) ** 21 / 1e15 + 2 ** (b * T)),
        ("a^b*t + (a*b)^(a/b)", lambda a, b: a**b * T + (a * b) ** (a / b)),
        ("where(a == a, b, t)*pi", lambda a, b: b * np.pi + 0 * T),
    ],
)  # fmt: skip
def test_functions(text, function):
    structure = equation(text)
    order = [structure.names.index(name) for name in ("a", "b")]
    agrees(
        structure, np.log([1.3, 0.7]) if order == [0, 1] else np.log([0.7, 1.3]), lambda u: function(*np.exp(u[order]))
    )


def test_the_last_dose_and_the_time_since():
    structure = equation("dose/V*exp(-k*tad)")
    schedule = course(-1.0, (0.0, DOSE, 10.0), 0.0, 2.0, (3.0, DOSE, 4.0), 3.0, 5.0, (6.0, RESET, 0.0), 7.0)
    f, _, _ = predict(EquationPredictor(structure.system, schedule, plain(schedule, 2)), np.log([5.0, 0.3]), 6)
    np.testing.assert_allclose(f, [0, 2, 2 * np.exp(-0.6), 0.8, 0.8 * np.exp(-0.6), 0], rtol=1e-14)


def test_covariates_transforms_and_several_responses():
    structure = equation("x = a*WT", "WT", {"up": "x + b*t", "down": "b - x*t"})
    schedule = course(1.0, 2.0, 3.0)
    schedule = Schedule(**{**vars(schedule), "response": np.array([0, 1, 0])})
    layout = plain(
        schedule, 2, C=np.array([np.eye(2), np.eye(2), 2 * np.eye(2)]), row=np.array([0, 1, 2]),
        covariates=np.array([[70.0], [80.0], [90.0]]), transform=np.array([LOGIT, PROBIT]),
        lower=np.array([1.0, 0.0]), upper=np.array([3.0, 2.0]),
    )  # fmt: skip

    def closed(u):
        a, b = 1 + 2 / (1 + np.exp(-u[0])), math.erfc(-u[1] / math.sqrt(2))
        c, d = 1 + 2 / (1 + np.exp(-2 * u[0])), math.erfc(-2 * u[1] / math.sqrt(2))
        return np.array([a * 70 + b, b - a * 80 * 2, c * 90 + d * 3])

    u = np.array([0.3, -0.4])
    f, fu, fuu = predict(EquationPredictor(structure.system, schedule, layout), u, 3)
    first, second = differences(closed, u)
    np.testing.assert_allclose(f, closed(u), rtol=1e-13)
    np.testing.assert_allclose(fu, first, rtol=1e-8)
    np.testing.assert_allclose(fuu, second, rtol=1e-6, atol=1e-8)


def test_orders_and_no_coordinates():
    structure = equation("a*exp(-b*t)")
    schedule = course(*TIMES)
    predictor = EquationPredictor(structure.system, schedule, plain(schedule, 2))
    full = predict(predictor, [0.1, 0.2], 7)
    for order in range(2):
        f, fu, fuu = predict(predictor, [0.1, 0.2], 7, order)
        np.testing.assert_array_equal(f, full[0])
        assert (fuu == -1).all()
        assert (fu == (full[1] if order else -1)).all()
    known = plain(schedule, 2, C=np.zeros((1, 2, 0)), offset=np.array([[0.1, 0.2]]))
    f, _, _ = predict(EquationPredictor(structure.system, schedule, known), [], 7)
    np.testing.assert_array_equal(f, full[0])


@pytest.mark.parametrize(
    "text", ["log(a - 5)", "a/(t - 1)", "exp(exp(exp(a*9)))", "(a - 5)^0.5", "(a - 5)^b", "sqrt(-a)"]
)
def test_what_has_no_value_is_not_a_number_and_no_exception(text):
    structure = equation(text)
    schedule = course(1.0)
    layout = plain(schedule, len(structure.names))
    f, _, _ = predict(EquationPredictor(structure.system, schedule, layout), np.full(len(structure.names), 0.3), 1)
    assert not np.isfinite(f).any()


def test_what_has_no_value_for_any_parameters():
    with pytest.raises(ModelError, match="has no value"):
        explicit_source(equation("1/(a - a)").system)


NUMBERS = st.floats(0.2, 3.0)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "^"])
CALLS = st.sampled_from(["exp", "log", "sqrt", "abs", "sin", "tanh", "expit", "phi"])
EXTREMES = st.sampled_from(["min", "max"])
TREES = st.recursive(
    st.sampled_from(["a", "b", "c", "t", "2", "0.5", "1"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("{}({})".format, CALLS, inner),
        st.builds("{}({}, {})".format, EXTREMES, inner, inner),
        st.builds("where(a < {}, {}, {})".format, inner, inner, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=25)
@given(TREES, NUMBERS, NUMBERS, NUMBERS)
def test_generated_code_computes_what_the_text_says(text, a, b, c):
    """The code, run as Python, has the value of the tree; derivatives are checked above."""
    try:
        structure = equation(f"{text} + 0*(a + b + c)")
        source = explicit_source(structure.system)
    except ModelError:
        return
    space: dict[str, object] = {}
    exec(source, space)
    values = dict(zip(structure.names, [a, b, c], strict=True))
    v = [0.0] * 4000
    try:
        space["response"](list(values.values()), 1, [1.5, 0.0, 0.0], v, v, 0, 2)
    except (ZeroDivisionError, ValueError, OverflowError, TypeError):
        return  # Python raises where machine code gives NaN
    expected = evaluate(structure.system.outputs["response"], values | {"t": 1.5})
    if math.isfinite(expected) and not isinstance(v[0], complex):
        assert v[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


# -- compiled code on disk -----------------------------------------------------------------------------------------


def test_no_text_of_the_user_is_in_the_code():
    names = ["lambda_", "os", "system", "eval", "E", "I", "S", "π"]
    source = explicit_source(equation(" + ".join(f"{name}*t" for name in names)).system)
    source += differential_source(ode("d/dt Ωmega = -sys*Ωmega; Ωmega(0) = os", "Ωmega").system)
    body = source.replace("os", "", 0)
    for word in ("lambda", "system", "eval", "π", "Ω", "sys", "open", "exec"):
        assert word not in body


SECOND = """
import time, sys
from workbench.engine.predictions.equation import EquationPredictor
from workbench.engine.predictions.ode import OdePredictor
from workbench.engine.predictions import compiled
import workbench as wb
begin = time.perf_counter()
compiled.program(compiled.programs(wb.equation("a*exp(-b*t) + {mark}").system), "response")
ode = compiled.programs(wb.ode("d/dt A = -k*A + {mark}", "A").system)
for name in ("derived", "rates", "response"):
    compiled.program(ode, name)
print("sympy" in sys.modules, time.perf_counter() - begin)
"""


def run_second(folder, mark):
    environment = {**os.environ, "WORKBENCH_CACHE": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    code = SECOND.replace("{mark}", mark)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    derived, seconds = done.stdout.split()
    return derived == "True", float(seconds)


def test_a_second_process_uses_what_the_first_compiled(tmp_path):
    began = time.time()
    assert run_second(tmp_path, "0.25")[0]
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*") if file.is_file()}
    assert sum(file.suffix == ".o" for file in files) == 4
    assert not any(file.suffix == ".tmp" for file in files)
    derived, seconds = run_second(tmp_path, "0.25")
    assert not derived
    assert seconds < max(1.0, time.time() - began)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*") if file.is_file()} == files


def test_a_damaged_file_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    structure = equation("a*t + 0.125*b")
    module = compiled.programs(structure.system)
    path = Path(module.__file__)
    assert path.parent == tmp_path
    assert compiled.programs(structure.system) is module
    whole = path.read_text()
    for wrong in ("", "syntax error (", whole[: len(whole) // 2]):
        path.write_text(wrong)
        sys.modules.pop(module.__name__)
        again = compiled.programs(structure.system)
        assert path.read_text() == whole
        assert again.response_shape == module.response_shape


def test_where_compiled_code_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    monkeypatch.delenv("WORKBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c" / "workbench"
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(blocked / "inside"))
    temporary = cache_folder()
    assert temporary.is_dir()
    assert blocked not in temporary.parents
    assert temporary == cache_folder()
