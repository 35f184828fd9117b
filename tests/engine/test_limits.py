"""Where a function has a limit, its value and derivatives take it; a pole is named."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import workbench as wb
from workbench.engine.problem.compile import compile


def observed(times, responses, subjects=1, **columns):
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, subjects + 1), len(times)), "TIME": np.tile(times, subjects),
                          "DV": np.tile(responses, subjects), **columns})  # fmt: skip
    return wb.read_data(frame)


def slopes(structure, values, data):
    """Predictions at the records, and their derivatives by the logarithms of the parameters."""
    model = wb.Model(structure, [wb.Parameter(name, values[name]) for name in structure.names], wb.Constant(1.0))
    problem = compile(model, data)
    n, D = problem.schedule.n_slots, problem.n_coordinates
    f, fu, fuu = np.zeros(n), np.zeros((n, D)), np.zeros((n, D, D))
    u, _ = problem.layout.mean(problem.scale.point(problem.x).theta)
    problem.predictor.predict(np.arange(problem.n_subjects), u, 2, f, fu, fuu)
    return f, fu, fuu


VALUES = {"a": 3.0, "b": 1.5, "c": 0.4, "d": 10.0, "e": 2.0, "p": 0.7, "q": 2.3}
AT_ZERO = {  # text: value at t = 0 and the derivatives by the logarithms that are not 0
    "c+(d-c)/(1+exp(b*(log(t)-log(e))))": (10.0, {"d": 10.0}),
    "c+(d-c)/(1+(t/e)^b)": (10.0, {"d": 10.0}),
    "c+(d-c)/(1+(e/t)^(-b))": (10.0, {"d": 10.0}),
    "c+(d-c)*e^b/(e^b+t^b)": (10.0, {"d": 10.0}),
    "c+(d-c)/(1+(t/e)^p)": (10.0, {"d": 10.0}),
    "a*(1-exp(-b*t))^p": (0.0, {}),
    "a*(1-exp(-b*t))^q": (0.0, {}),
    "a*(exp(-b*t)-1)^2": (0.0, {}),
    "a*(1-exp(-(t/e)^b))": (0.0, {}),
    "a*(1-exp(-(t/e)^p))^q": (0.0, {}),
    "a+t^p*exp(-c*t)": (3.0, {"a": 3.0}),
    "a+(t/e)^(b-1)": (3.0, {"a": 3.0}),
    "a+sqrt(b*t)": (3.0, {"a": 3.0}),
    "a+t*log(b*t)": (3.0, {"a": 3.0}),
    "a/(1+e/t)": (0.0, {}),
    "a/(1+(e/t)^q)": (0.0, {}),
    "a+abs(b*t)": (3.0, {"a": 3.0}),
    "a+max(b*t, t^p)": (3.0, {"a": 3.0}),
    "where(t > 0, a*log(t), d)": (10.0, {"d": 10.0}),
    "where(t <= 0, d, a/t)": (10.0, {"d": 10.0}),
    "a*(1-exp(-b*t))/t": (4.5, {"a": 4.5, "b": 4.5}),
}


@pytest.mark.parametrize("text", AT_ZERO)
def test_value_and_derivatives_at_zero(text):
    structure = wb.equation(text)
    value, by = AT_ZERO[text]
    f, fu, fuu = slopes(structure, VALUES, observed([0.0, 1.0], [1.0, 2.0]))
    assert f[0] == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(fu[0], [by.get(name, 0.0) for name in structure.names], atol=1e-9)
    assert np.isfinite(fuu).all()


T, E = 4.0, np.exp(-0.4 * 4)
ELSEWHERE = {  # text, with c = 0.4 = g and t = 4: value, and the derivatives by the logarithms
    "a*c/(c-g)*(exp(-g*t)-exp(-c*t))": (
        1.2 * T * E, {"a": 1.2 * T * E, "c": 1.2 * E * (T - 0.4 * T**2 / 2), "g": -1.2 * 0.4 * E * T**2 / 2},
    ),
    "a*(exp(-c*t)-exp(-g*t))/(g-c)": (
        3 * T * E, {"a": 3 * T * E, "c": -0.4 * 3 * T**2 * E / 2, "g": -0.4 * 3 * T**2 * E / 2},
    ),
    "a*(1-exp(-b*(t-4)))/(t-4)": (4.5, {"a": 4.5, "b": 4.5}),
    "a*(t^2-16)/(t-4)": (24.0, {"a": 24.0}),
    "a*tanh(b*(t-4))/(t-4)": (4.5, {"a": 4.5, "b": 4.5}),
    "a*log(t/4)/(t-4)": (0.75, {"a": 0.75}),
    "d+a*(t-4)*log(abs(t-4))": (10.0, {"d": 10.0}),
    "d+a*abs(t-4)^p": (10.0, {"d": 10.0}),
    "a*sin(b*(t-4))/(b*(t-4))": (3.0, {"a": 3.0}),
}  # fmt: skip


@pytest.mark.parametrize("text", ELSEWHERE)
def test_value_and_derivatives_elsewhere_than_at_zero(text):
    structure = wb.equation(text)
    value, by = ELSEWHERE[text]
    f, fu, fuu = slopes(structure, VALUES | {"g": 0.4}, observed([2.0, 4.0], [1.0, 2.0]))
    assert f[1] == pytest.approx(value, rel=1e-8, abs=1e-8)
    np.testing.assert_allclose(fu[1], [by.get(name, 0.0) for name in structure.names], rtol=1e-6, atol=1e-6)
    assert np.isfinite(fuu).all()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a/(t-4)", "a/(t-4) has no limit at a = 3, t = 4"),
        ("a/(t-4)^2", "a/(t-4)^2 has no limit"),
        ("a+log(abs(t-4))", "log(abs(t-4)) has no limit"),
        ("a+sqrt(abs(t-e))", "sqrt(abs(t-e)) has no limit"),
        ("a+(t-4)/(c-g)", "(t-4)/(c-g) has no limit"),
        ("a+abs(t-4)/(t-4)", "abs(t-4)/(t-4) has no limit"),
        ("a+(t-5)^p", "(t-5)^p is a power of a negative number"),
        ("a+(t-5)^e", "(t-5)^e is a power of a negative number"),
    ],
)
def test_what_has_no_limit_elsewhere_is_named(text, part):
    structure = wb.equation(text)
    values = VALUES | {"g": 0.4, "e": 4.0}
    model = wb.Model(structure, [wb.Parameter(name, values[name]) for name in structure.names], wb.Constant(1.0))
    with pytest.raises(wb.FitError, match=r"in row \d \(subject 1\)") as caught:
        wb.fit(model, observed([2.0, 3.0, 4.0], [1.0, 2.0, 3.0]), method="pooled")
    assert part in str(caught.value) and "try other initial values" not in str(caught.value)


SPELLINGS = [text for text in AT_ZERO if text.startswith("c+") and "^p" not in text]


def test_untreated_controls_are_fitted_however_the_curve_is_spelled():
    rng = np.random.default_rng(1)
    rows = []
    for i in range(8):
        e, d = 2 * np.exp(rng.normal(0, 0.3)), 10 * np.exp(rng.normal(0, 0.1))
        rows += [
            (i + 1, x, 1 + (d - 1) / (1 + (x / e) ** 1.5) + rng.normal(0, 0.2)) for x in (0, 0, 0.1, 0.3, 1, 3, 10, 30)
        ]
    roles = {"subject": "plate", "time": "dose", "response": "y", "amount": None}
    data = wb.read_data(pd.DataFrame(rows, columns=["plate", "dose", "y"]), roles=roles)
    start = {"c": 1.0, "d": 10.0, "b": 1.5, "e": 2.0}
    for text in SPELLINGS:
        s = wb.equation(text)
        known = [wb.Parameter(n, start[n], iiv=0.2 if n in "de" else None) for n in s.names]
        fit = wb.fit(wb.Model(s, known, wb.Constant(0.2)), data, covariance=False)
        assert fit.converged and fit.ofv == pytest.approx(-102.266, abs=0.002)


TIMES, DV = (0.5, 1, 2, 4, 8, 12, 24), (0.6, 1.3, 2.4, 3.2, 3.0, 2.4, 1.2)


def weibull(b, times, given=(0.0,)):
    def one(t):
        upper = (t / 3) ** b
        return quad(lambda u: 5 * np.exp(-0.05 * (t - 3 * u ** (1 / b)) - u), 0, upper, epsabs=1e-12, limit=500)[0]

    return np.array([sum(one(t - g) for g in given if t > g) for t in times])


def absorbed(structure, b):
    values = {"b": b, "td": 3.0, "V": 20.0, "CL": 1.0}
    return wb.Model(structure, [wb.Parameter(n, values[n]) for n in structure.names], wb.Constant(0.3))


@pytest.mark.parametrize("stiff", [None, True])
@pytest.mark.parametrize("b", [1.5, 0.7])
def test_weibull_absorption_from_its_pole_on(b, stiff):
    text = "ID,TIME,EVID,AMT,DV\n1,0,1,100,.\n" + "".join(f"1,{t},0,.,{y}\n" for t, y in zip(TIMES, DV, strict=True))
    data = wb.read_data(text.encode())
    for time in ("t", "tad"):
        text = f"kat = (b/td)*({time}/td)^(b-1); d/dt A = -kat*A; d/dt B = kat*A - CL/V*B"
        s = wb.ode(text, response="B/V", dose="A", stiff=stiff)
        model = wb.Model(
            s, [wb.Parameter(n, {"b": b, "td": 3.0, "V": 20.0, "CL": 1.0}[n]) for n in s.names], wb.Constant(0.3)
        )
        np.testing.assert_allclose(wb.predict(model, data).PRED.to_numpy()[1:], weibull(b, TIMES), rtol=1e-6)
        assert np.isfinite(wb.objective(model, data, method="pooled"))
    assert wb.fit(model, data, method="pooled", covariance=False).converged


def test_time_after_dose_begins_anew_with_each_dose_of_an_ode():
    """A dose is gone before the next, so that the doses add up."""
    times = (1.0, 10.0, 41.0, 45.0, 81.0)
    text = "ID,TIME,EVID,AMT,II,ADDL,DV\n1,0,1,100,40,2,.\n" + "".join(f"1,{t},0,.,.,.,1\n" for t in times)
    s = wb.ode("kat = (b/td)*(tad/td)^(b-1); d/dt A = -kat*A; d/dt B = kat*A - CL/V*B", response="B/V", dose="A")
    model = wb.Model(
        s, [wb.Parameter(n, {"b": 1.5, "td": 3.0, "V": 20.0, "CL": 1.0}[n]) for n in s.names], wb.Constant(0.3)
    )
    ours = wb.predict(model, wb.read_data(text.encode())).PRED.to_numpy()[1:]
    np.testing.assert_allclose(ours, weibull(1.5, times, (0.0, 40.0, 80.0)), rtol=1e-6)


def test_dose_and_time_after_dose_in_an_ode_are_those_of_the_equation():
    rows = "1,0,0,.,1", "1,1,1,100,.", "1,1.5,0,.,1", "1,4,1,50,.", "1,4,0,.,1", "1,7,0,.,1", "1,8,3,.,.", "1,9,0,.,1"
    text = "\n".join(("ID,TIME,EVID,AMT,DV", *rows))
    data = wb.read_data(text.encode())
    known = [wb.Parameter("k", 0.3), wb.Parameter("V", 2.0)]
    ours = wb.Model(wb.ode("d/dt A = -k*A", response="A*0 + dose/V*exp(-k*tad)"), known, wb.Constant(1.0))
    theirs = wb.Model(wb.equation("dose/V*exp(-k*tad)"), known, wb.Constant(1.0))
    np.testing.assert_allclose(wb.predict(ours, data).PRED, wb.predict(theirs, data).PRED, rtol=1e-12)


def test_tad_in_steady_state_is_that_of_its_cycle():
    text = "ID,TIME,EVID,AMT,II,SS,ADDL,DV\n1,{t},1,100,40,{ss},{n},.\n{rows}"
    s = wb.ode("kat = (b/td)*(tad/td)^(b-1); d/dt A = -kat*A; d/dt B = kat*A - CL/V*B", response="B/V", dose="A")
    model = wb.Model(
        s, [wb.Parameter(n, {"b": 1.5, "td": 3.0, "V": 20.0, "CL": 1.0}[n]) for n in s.names], wb.Constant(0.3)
    )

    def at(begin, ss, n):
        rows = "".join(f"1,{begin + n * 40 + t},0,.,.,.,.,1\n" for t in (1, 5, 20))
        return wb.predict(model, wb.read_data(text.format(t=begin, ss=ss, n=n, rows=rows).encode())).PRED.to_numpy()[
            -3:
        ]

    np.testing.assert_allclose(at(0, 1, 0), at(0, 0, 30), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "named"),
    [("a + log(t)", "log(t)"), ("a + b/t", "b/t"), ("a*(t/e)^(p-1)", "(t/e)^(p-1)"), ("a + t^(-b)", "t^(-b)")],
)
def test_a_pole_is_named(text, named):
    data = observed([0.0, 1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 3.0, 2.5, 2.0], 2)
    s = wb.equation(text)
    model = wb.Model(s, [wb.Parameter(n, VALUES[n]) for n in s.names], wb.Constant(1.0))
    with pytest.raises(wb.FitError) as caught:
        wb.fit(model, data, method="pooled")
    said = str(caught.value)
    assert named in said and "row 0 (subject 1)" in said and "t = 0" in said and "ther initial values" not in said


def test_a_pole_that_is_not_integrable_is_named_in_an_ode():
    text = "ID,TIME,EVID,AMT,DV\n1,0,1,100,.\n1,1,0,.,2\n1,2,0,.,1\n"
    s = wb.ode("d/dt A = -k*A/t", response="A/V", dose="A")
    model = wb.Model(s, [wb.Parameter("k", 0.3), wb.Parameter("V", 2.0)], wb.Constant(1.0))
    with pytest.raises(wb.FitError, match=r"k\*A/t has no limit at .*t = 0"):
        wb.fit(model, wb.read_data(text.encode()), method="pooled")


def test_response_of_an_ode_before_the_first_dose():
    """EC50/C at C = 0."""
    text = "ID,TIME,EVID,AMT,DV\n1,0,0,.,0\n1,0,1,100,.\n1,1,0,.,2\n1,2,0,.,1\n"
    data = wb.read_data(text.encode())
    for response in ("Em/(1 + EC/C)", "Em/(1 + (EC/C)^g)", "Em*C^g/(EC^g + C^g)"):
        s = wb.ode("d/dt C = -k*C", response=response, dose="C")
        f, fu, fuu = slopes(s, {"k": 0.3, "Em": 5.0, "EC": 20.0, "g": 0.8}, data)
        assert f[0] == 0 and (fu[0] == 0).all() and np.isfinite(fuu).all()
