"""Predictions of differential equations: against closed forms, against scipy, and what happens when they fail."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.engine.predictions import threads
from workbench.engine.predictions.implicit import ERROR, GAMMA, TABLEAU, TIME
from workbench.engine.predictions.jets import IDENTITY, LOG
from workbench.engine.predictions.ode import OdePredictor
from workbench.engine.predictions.schedule import DOSE, RESET, RESET_AND_DOSE, Schedule
from workbench.engine.problem.layout import Layout
from workbench.model.ode import ode

NUMBERS = {"time": 0.0, "amount": 0.0, "rate": 0.0, "duration": 0.0, "interval": 0.0}
CODES = {"kind": 0, "steady_state": 0, "compartment": 0, "response": 0}
TIMES = (0.1, 0.5, 1.0, 2.0, 3.5, 6.0, 9.0, 14.0, 20.0)


def dose(time, amount, **more):
    return {"time": time, "amount": amount, "kind": DOSE, **more}


def course(*subjects):
    """A schedule from the events of subjects, dicts each; numbers stand for records at those times."""
    subjects = [[{"time": e} if isinstance(e, float) else e for e in events] for events in subjects]
    events = [event for subject in subjects for event in subject]
    columns = {name: np.array([e.get(name, v) for e in events], dtype=float) for name, v in NUMBERS.items()}
    columns |= {name: np.array([e.get(name, v) for e in events], dtype=np.int64) for name, v in CODES.items()}
    seen = columns["kind"] == 0
    start = np.cumsum([0, *map(len, subjects)]).astype(np.int64)
    slot = np.where(seen, np.cumsum(seen) - 1, -1).astype(np.int64)
    each = np.arange(len(events))
    return Schedule(start=start, record=each, origin=each, slot=slot, **columns)


def with_records(*doses, times=TIMES):
    """Doses and records in order of time, doses first where they meet."""
    return sorted([*doses, *({"time": float(t)} for t in times)], key=lambda e: (e["time"], e.get("kind", 0) == 0))


def plain(schedule, P, transform=LOG, **more):
    """Each parameter is a coordinate of its own."""
    C = more.pop("C", np.eye(P)[None])
    rows = len(C)
    row = more.pop("row", np.zeros(len(schedule.time), dtype=np.int64))
    return Layout(
        **{
            "A": np.zeros((schedule.n_subjects, C.shape[2], 1)),
            "B": np.zeros((schedule.n_subjects, C.shape[2], 1)),
            "C": C,
            "offset": np.zeros((rows, P)),
            "row": row,
            "origin": row,
            "transform": np.full(P, transform),
            "lower": np.zeros(P),
            "upper": np.ones(P),
            "covariates": np.zeros((rows, 0)),
            **more,
        }
    )


def predict(predictor, u, n, order=2):
    u = np.atleast_2d(np.asarray(u, dtype=float))
    D = u.shape[1]
    f, fu, fuu = np.full(n, -1.0), np.full((n, D), -1.0), np.full((n, D, D), -1.0)
    predictor.predict(np.arange(len(u)), u, order, f, fu, fuu)
    return f, fu, fuu


STENCIL = {-4: 1 / 280, -3: -4 / 105, -2: 1 / 5, -1: -4 / 5, 1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}


def differences(function, u, h=0.01):
    """First and second derivatives by differences of the eighth order."""
    u = np.asarray(u, dtype=float)
    step = np.eye(len(u)) * h
    first = np.stack([sum(w * function(u + k * s) for k, w in STENCIL.items()) / h for s in step], axis=-1)
    second = np.stack(
        [
            sum(w * v * function(u + k * s + m * r) for (k, w), (m, v) in product(STENCIL.items(), STENCIL.items()))
            for s, r in product(step, step)
        ],
        axis=-1,
    )
    return first, second.reshape(*first.shape, len(u)) / h**2


def agrees(structure, events, u, closed, rtol=1e-7):
    """Value and derivatives are those of a closed form of the parameters, a function of u."""
    schedule = course(events)
    predictor = OdePredictor(structure.system, schedule, plain(schedule, len(structure.names)))
    f, fu, fuu = predict(predictor, u, schedule.n_slots)
    assert not predictor.failed
    expected = closed(np.asarray(u))
    np.testing.assert_allclose(f, expected, rtol=rtol, atol=1e-9 * np.abs(expected).max())
    first, second = differences(closed, u)
    for got, wanted in ((fu, first), (fuu, second)):
        size = np.abs(wanted).reshape(len(f), -1).max(axis=1).reshape(-1, *[1] * (wanted.ndim - 1))
        size = size + 1e-3 * size.max()
        np.testing.assert_allclose(got / size, wanted / size, rtol=0, atol=2e-6)


# -- closed forms --------------------------------------------------------------------------------------------------


def eliminated(k, t):
    """A unit bolus t later."""
    return np.where(t >= 0, np.exp(-k * np.maximum(t, 0)), 0.0)


def infused(k, duration, t):
    """A unit rate that began t before and lasts for a duration."""
    t = np.maximum(t, 0)
    return (1 - np.exp(-k * np.minimum(t, duration))) / k * np.exp(-k * np.maximum(t - duration, 0))


def absorbed(ka, k, t):
    """A unit dose into the depot t before."""
    return ka / (ka - k) * (eliminated(k, t) - eliminated(ka, t))


BOLUS = ode("d/dt A = -CL/V*A; C = A/V")
ORAL = ode("d/dt D = -ka*D; d/dt A = ka*D - CL/V*A; C = A/V")
BOLUS_U, ORAL_U = np.log([3.0, 11.0]), np.log([1.1, 3.0, 11.0])
SEEN = np.array(TIMES)


def test_bolus():
    def closed(u):
        CL, V = np.exp(u)
        return sum(a / V * eliminated(CL / V, SEEN - t) for t, a in ((0.0, 10.0), (3.5, 4.0), (5.0, 1.0)))

    agrees(BOLUS, with_records(dose(0.0, 10.0), dose(3.5, 4.0), dose(5.0, 1.0)), BOLUS_U, closed)


def test_records_before_the_first_dose_are_zero():
    schedule = course([0.0, 1.0, dose(2.0, 5.0), 3.0])
    f, fu, fuu = predict(OdePredictor(BOLUS.system, schedule, plain(schedule, 2)), BOLUS_U, 3)
    assert (f[:2] == 0).all()
    assert (fu[:2] == 0).all()
    assert (fuu[:2] == 0).all()
    assert f[2] == pytest.approx(5 / 11 * np.exp(-3 / 11), rel=1e-8)


def test_first_order_absorption():
    def closed(u):
        ka, CL, V = np.exp(u)
        return (10 * absorbed(ka, CL / V, SEEN) + 5 * absorbed(ka, CL / V, SEEN - 4)) / V

    agrees(ORAL, with_records(dose(0.0, 10.0), dose(4.0, 5.0, compartment=1)), ORAL_U, closed)


def test_lag_and_bioavailability():
    structure = ode(
        "d/dt D = -ka*D; d/dt A = ka*D - CL/V*A; C = A/V", lag={"D": "lag"}, bioavailability={"D": "F"}, dose="D"
    )

    def closed(u):
        ka, CL, V, lag, F = np.exp(u)
        return F / V * sum(a * absorbed(ka, CL / V, SEEN - t - lag) for t, a in ((0.0, 10.0), (3.0, 4.0)))

    u = np.log([1.1, 3.0, 11.0, 0.73, 0.6])
    agrees(structure, with_records(dose(0.0, 10.0), dose(3.0, 4.0)), u, closed)


def test_infusions_that_overlap():
    def closed(u):
        CL, V = np.exp(u)
        return (5 * infused(CL / V, 2.0, SEEN) + 2 * infused(CL / V, 4.0, SEEN - 1.0)) / V

    doses = dose(0.0, 10.0, rate=5.0), dose(1.0, 8.0, duration=4.0)
    agrees(BOLUS, with_records(*doses), BOLUS_U, closed)


def test_duration_that_is_a_parameter():
    structure = ode("d/dt A = -CL/V*A; C = A/V", duration={"A": "Tk0"}, lag={"A": "lag"})

    def closed(u):
        CL, V, lag, Tk0 = np.exp(u)
        return sum(a / Tk0 * infused(CL / V, Tk0, SEEN - t - lag) for t, a in ((0.0, 10.0), (2.0, 6.0))) / V

    u = np.log([3.0, 11.0, 0.3, 2.7])
    agrees(structure, with_records(dose(0.0, 10.0), dose(2.0, 6.0)), u, closed)


def test_one_dose_into_two_states():
    structure = ode(
        "d/dt D = -ka*D; d/dt A = ka*D - k*A; C = A",
        dose={1: ["D", "A"]}, bioavailability={"D": "Fr", "A": "1 - Fr"}, duration={"A": "T"},
    )  # fmt: skip

    def closed(u):
        ka, k, Fr, T = np.exp(u)
        return 10 * Fr * absorbed(ka, k, SEEN) + 10 * (1 - Fr) / T * infused(k, T, SEEN)

    agrees(structure, with_records(dose(0.0, 10.0)), np.log([1.2, 0.3, 0.35, 2.2]), closed)


def test_reset_empties_everything():
    def closed(u):
        CL, V = np.exp(u)
        after = np.where(SEEN > 5.0, 7 / V * eliminated(CL / V, SEEN - 5.0), 0.0)
        before = 10 / V * eliminated(CL / V, SEEN) + 2 / V * infused(CL / V, 4.5, SEEN)
        return np.where(SEEN < 4.0, before, after)

    events = with_records(
        dose(0.0, 10.0), dose(0.0, 9.0, rate=2.0), {"time": 4.0, "kind": RESET},
        {"time": 5.0, "kind": RESET_AND_DOSE, "amount": 7.0},
    )  # fmt: skip
    agrees(BOLUS, events, BOLUS_U, closed)


def test_steady_state_of_a_bolus():
    def closed(u):
        CL, V = np.exp(u)
        k = CL / V
        return 10 / V * eliminated(k, SEEN) / (1 - np.exp(-k * 6.0)) + 3 / V * eliminated(k, SEEN - 6.0)

    agrees(BOLUS, with_records(dose(0.0, 10.0, steady_state=1, interval=6.0), dose(6.0, 3.0)), BOLUS_U, closed)


@pytest.mark.parametrize("duration", [1.5, 8.0])
def test_steady_state_of_infusions(duration):
    """Longer than the interval, they overlap."""

    def closed(u):
        CL, V = np.exp(u)
        past = (infused(CL / V, duration, SEEN + 5.0 * n) for n in range(200))
        return 2 / V * sum(past)

    event = dose(0.0, 2.0 * duration, rate=2.0, steady_state=1, interval=5.0)
    agrees(BOLUS, with_records(event), BOLUS_U, closed)


def test_steady_state_with_a_lag():
    structure = ode("d/dt A = -CL/V*A; C = A/V", lag={"A": "lag"})

    def closed(u):
        CL, V, lag = np.exp(u)
        return 10 / V * sum(eliminated(CL / V, SEEN - lag + 4.0 * n) for n in range(200))

    u = np.log([3.0, 11.0, 1.3])
    agrees(structure, with_records(dose(0.0, 10.0, steady_state=1, interval=4.0)), u, closed)


def test_steady_state_added_to_what_is_there():
    def closed(u):
        CL, V = np.exp(u)
        k = CL / V
        steady = np.where(SEEN >= 3.0, 10 / V * eliminated(k, SEEN - 3.0) / (1 - np.exp(-k * 6.0)), 0.0)
        return 4 / V * eliminated(k, SEEN) + 2 / V * infused(k, 5.0, SEEN) + steady

    events = with_records(
        dose(0.0, 4.0), dose(0.0, 10.0, rate=2.0), dose(3.0, 10.0, steady_state=2, interval=6.0)
    )  # fmt: skip
    agrees(BOLUS, events, BOLUS_U, closed)


def test_steady_state_of_a_constant_infusion():
    def closed(u):
        CL, V = np.exp(u)
        return 6 / CL * eliminated(CL / V, SEEN)

    agrees(BOLUS, with_records(dose(0.0, 0.0, rate=6.0, steady_state=1)), BOLUS_U, closed)


def test_constant_infusion_into_saturable_elimination():
    structure = ode("d/dt A = -Vm*A/(Km + A); C = A")
    schedule = course([dose(0.0, 0.0, rate=2.0, steady_state=1), 0.0])
    f, fu, fuu = predict(OdePredictor(structure.system, schedule, plain(schedule, 2)), np.log([5.0, 3.0]), 1)

    def closed(u):
        Vm, Km = np.exp(u)
        return np.array([2.0 * Km / (Vm - 2.0)])

    first, second = differences(closed, np.log([5.0, 3.0]))
    np.testing.assert_allclose(f, closed(np.log([5.0, 3.0])), rtol=1e-10)
    np.testing.assert_allclose(fu, first, rtol=1e-9)
    np.testing.assert_allclose(fuu, second, rtol=1e-8)


def test_logistic_growth_from_an_initial_value():
    def closed(u):
        r, K, N0 = np.exp(u)
        return K / (1 + (K / N0 - 1) * np.exp(-r * (SEEN - TIMES[0])))

    structure = ode("d/dt N = r*N*(1 - N/K); N(0) = N0", response="N")
    agrees(structure, with_records(), np.log([0.6, 100.0, 3.0]), closed)


def test_transit_chain():
    lines = [f"d/dt A{i} = k*A{i - 1} - k*A{i}" for i in range(1, 9)]
    structure = ode("\n".join(["k = 9/mtt", "d/dt A0 = -k*A0", *lines]), response="A8")

    def closed(u):
        (mtt,) = np.exp(u)
        k = 9 / mtt
        return 10 * (k * SEEN) ** 8 / math.factorial(8) * np.exp(-k * SEEN)

    agrees(structure, with_records(dose(0.0, 10.0)), np.log([3.0]), closed)


@pytest.mark.parametrize("stiff", [None, True])
def test_time_in_the_equation_and_a_lag(stiff):
    """Input that swings with the time of day; the dose enters at a time that is a parameter."""
    structure = ode("d/dt A = a*(1 + sin(w*t)) - k*A; C = A", lag={"A": "lag"}, stiff=stiff)

    def closed(u):
        a, w, k, lag = np.exp(u)
        swing = (k * np.sin(w * SEEN) - w * np.cos(w * SEEN) + w * np.exp(-k * SEEN)) / (k * k + w * w)
        return a * (1 - np.exp(-k * SEEN)) / k + a * swing + 10 * eliminated(k, SEEN - lag)

    agrees(structure, with_records(dose(0.0, 10.0)), np.log([2.0, 0.5, 0.3, 1.7]), closed)


# -- against scipy -------------------------------------------------------------------------------------------------


def solved(rates, x0, times, method="DOP853"):
    """States at times, by scipy to a tight tolerance."""
    done = solve_ivp(rates, (0.0, times[-1]), x0, method, times, rtol=1e-12, atol=1e-14 * max(1e-3, np.abs(x0).max()))
    return done.y


def agrees_with_itself(structure, events, u, atol=2e-6, h=0.02):
    """Derivatives are those of differences: first ones of values, second ones of first ones, at a tight tolerance."""
    schedule, P = course(events), len(structure.names)
    n = schedule.n_slots
    points = [u + k * h * step for step in np.eye(P) for k in STENCIL]
    many = course(*(events for _ in points))
    tight = OdePredictor(replace(structure, rtol=1e-12, atol=1e-14).system, many, plain(many, P))
    values, slopes, _ = predict(tight, points, many.n_slots, 1)
    weights = np.array(list(STENCIL.values())) / h
    first = np.einsum("k,dkj->jd", weights, values.reshape(P, len(STENCIL), n))
    second = np.einsum("k,dkje->jde", weights, slopes.reshape(P, len(STENCIL), n, P))
    predictor = OdePredictor(structure.system, schedule, plain(schedule, P))
    _, fu, fuu = predict(predictor, u, n)
    for got, wanted in ((fu, first), (fuu, second)):
        size = np.abs(wanted).reshape(n, -1).max(axis=1).reshape(-1, *[1] * (wanted.ndim - 1))
        size = size + 1e-3 * size.max()
        np.testing.assert_allclose(got / size, wanted / size, rtol=0, atol=atol)


MICHAELIS_MENTEN = ode("d/dt D = -ka*D\nd/dt A = ka*D - Vm*A/(Km*V + A)\nC = A/V")


def michaelis_menten(u):
    ka, Vm, Km, V = np.exp(u)
    return solved(lambda t, x: [-ka * x[0], ka * x[0] - Vm * x[1] / (Km * V + x[1])], [50.0, 0.0], SEEN)[1] / V


def test_michaelis_menten():
    u = np.log([1.0, 4.0, 0.8, 12.0])
    events = with_records(dose(0.0, 50.0))
    schedule = course(events)
    f, _, _ = predict(OdePredictor(MICHAELIS_MENTEN.system, schedule, plain(schedule, 4)), u, len(TIMES))
    np.testing.assert_allclose(f, michaelis_menten(u), rtol=1e-7)
    agrees_with_itself(MICHAELIS_MENTEN, events, u)


def test_michaelis_menten_in_steady_state_is_what_repeated_doses_lead_to():
    structure = ode("d/dt D = -ka*D\nd/dt A = ka*D - Vm*A/(Km*V + A)\nC = A/V", rtol=1e-10)
    u = np.log([1.0, 9.0, 0.8, 12.0])
    steady = course([dose(0.0, 50.0, steady_state=1, interval=8.0), 0.5, 3.0, 7.9])
    many = course([*(dose(8.0 * n, 50.0) for n in range(80)), 632.5, 635.0, 639.9])
    got = predict(OdePredictor(structure.system, steady, plain(steady, 4)), u, 3)
    expected = predict(OdePredictor(structure.system, many, plain(many, 4)), u, 3)
    for a, b, rtol in zip(got, expected, (1e-8, 1e-6, 1e-5), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)


FRIBERG = """
ktr = 4/MTT
conc = dose_rate*exp(-k*t)
E = slope*conc
d/dt Prol = ktr*Prol*(1 - E)*(Circ0/Circ)^gamma - ktr*Prol
d/dt T1 = ktr*(Prol - T1)
d/dt T2 = ktr*(T1 - T2)
d/dt T3 = ktr*(T2 - T3)
d/dt Circ = ktr*(T3 - Circ)
Prol(0) = Circ0; T1(0) = Circ0; T2(0) = Circ0; T3(0) = Circ0; Circ(0) = Circ0
"""
DAYS = np.array([0.0, 24.0, 72.0, 120.0, 200.0, 300.0, 400.0, 504.0])


def friberg(u):
    MTT, c0, k, slope, Circ0, gamma = np.exp(u)
    ktr = 4 / MTT

    def rates(t, x):
        back = ktr * x[0] * (1 - slope * c0 * np.exp(-k * t)) * (Circ0 / x[4]) ** gamma
        return [back - ktr * x[0], *(ktr * (x[i] - x[i + 1]) for i in range(4))]

    return solved(rates, [Circ0] * 5, DAYS)[4]


def test_myelosuppression_with_initial_values():
    structure = ode(FRIBERG, response="Circ")
    assert structure.names == ("MTT", "dose_rate", "k", "slope", "Circ0", "gamma")
    assert not structure.needs_dose
    u = np.log([90.0, 5.0, 0.03, 0.15, 6.0, 0.17])
    events = [float(t) for t in DAYS]
    schedule = course(events)
    f, _, _ = predict(OdePredictor(structure.system, schedule, plain(schedule, 6)), u, len(DAYS))
    np.testing.assert_allclose(f, friberg(u), rtol=1e-7)
    agrees_with_itself(structure, events, u)


ROBERTSON = "d/dt A = -a*A + c*B*D; d/dt B = a*A - c*B*D - b*B^2; d/dt D = b*B^2; A(0) = A0"
DECADES = np.array([0.0, 0.4, 4.0, 40.0, 400.0, 4000.0])


@pytest.mark.parametrize("stiff", [None, True])
def test_robertson(stiff):
    structure = ode(ROBERTSON, {"A": "A", "B": "B", "D": "D"}, stiff=stiff)
    u = np.log([0.04, 1e4, 3e7, 1.0])

    def reference(u):
        a, c, b, A0 = np.exp(u)

        def rates(t, x):
            return [-a * x[0] + c * x[1] * x[2], a * x[0] - c * x[1] * x[2] - b * x[1] ** 2, b * x[1] ** 2]

        return solved(rates, [A0, 0.0, 0.0], DECADES, "Radau")

    schedule = course([{"time": float(t), "response": r} for t in DECADES for r in range(3)])
    predictor = OdePredictor(structure.system, schedule, plain(schedule, 4))
    f, _, fuu = predict(predictor, u, 18)
    assert not predictor.failed
    np.testing.assert_allclose(f.reshape(6, 3).T, reference(u), rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(fuu, fuu.transpose(0, 2, 1))
    agrees_with_itself(ode(ROBERTSON, "B", stiff=True), [*map(float, DECADES)], u, atol=2e-5)


def test_the_implicit_method_is_of_its_order():
    """Conditions of order 1 to 5 that b = last row has to fulfil, 1 to 4 for the embedded weights; γ, L-stability."""
    A, c = TABLEAU[:7] + GAMMA * np.diag([0, 1, 1, 1, 1, 1, 1]), TABLEAU[TIME]
    for b, order in ((A[6], 5), (A[6] - TABLEAU[ERROR], 4)):
        for power in range(order):
            np.testing.assert_allclose(b @ c**power, 1 / (power + 1), rtol=1e-13)
        trees = {3: [(A @ c, 6)], 4: [(c * (A @ c), 8), (A @ c**2, 12), (A @ A @ c, 24)]}
        trees[5] = [
            (c * c * (A @ c), 10), ((A @ c) ** 2, 20), (c * (A @ c**2), 15), (c * (A @ A @ c), 30), (A @ c**3, 20),
            (A @ (c * (A @ c)), 40), (A @ A @ c**2, 60), (A @ A @ A @ c, 120),
        ]  # fmt: skip
        for weights, inverse in (tree for n in range(3, order + 1) for tree in trees[n]):
            np.testing.assert_allclose(b @ weights, 1 / inverse, rtol=1e-12)
    far = 1 + -1e9 * A[6] @ np.linalg.solve(np.eye(7) + 1e9 * A, np.ones(7))
    assert abs(far) < 1e-6


def test_the_explicit_method_alone_fails_where_it_is_stiff():
    schedule = course([*map(float, DECADES)])
    predictor = OdePredictor(ode(ROBERTSON, response="A", stiff=False).system, schedule, plain(schedule, 4))
    f, _, _ = predict(predictor, np.log([0.04, 1e4, 3e7, 1.0]), 6)
    assert np.isnan(f).all()
    assert predictor.failed == {0: "too many steps are needed"}


def test_both_methods_agree():
    schedule = course(with_records(dose(0.0, 50.0)))
    u = np.log([1.0, 4.0, 0.8, 12.0])
    results = []
    for stiff in (True, False):
        structure = ode(MICHAELIS_MENTEN.text, stiff=stiff, rtol=1e-10)
        results.append(predict(OdePredictor(structure.system, schedule, plain(schedule, 4)), u, len(TIMES)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8 * np.abs(a).max())


# -- rows, orders, threads -----------------------------------------------------------------------------------------


def test_parameters_that_change_within_a_subject():
    """Over an interval those of the record at its end hold, and the dose is that of its own record."""
    schedule = course([dose(0.0, 10.0), 1.0, 3.0, dose(3.0, 4.0), 6.0])
    structure = ode("d/dt A = -CL*(WT/70)*A; C = A/V", covariates="WT", bioavailability={"A": "F"})
    C = np.zeros((3, 3, 4))
    C[:, 0, 0] = C[:, 1, 1] = C[:2, 2, 2] = C[2, 2, 3] = 1.0  # F of the third row is a coordinate of its own
    layout = plain(
        schedule, 3, C=C, row=np.array([0, 0, 1, 2, 2]), covariates=np.array([[70.0], [35.0], [140.0]])
    )  # fmt: skip
    u = np.log([0.3, 5.0, 0.8, 0.5])

    def closed(u):
        CL, V, F, other = np.exp(u)
        a = 10 * F * np.exp(-CL)
        b = a * np.exp(-0.5 * CL * 2)
        return np.array([a, b, (b + 4 * other) * np.exp(-2 * CL * 3)]) / V

    f, fu, fuu = predict(OdePredictor(structure.system, schedule, layout), u, 3)
    first, second = differences(closed, u)
    np.testing.assert_allclose(f, closed(u), rtol=1e-8)
    np.testing.assert_allclose(fu, first, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fuu, second, rtol=1e-5, atol=1e-8)


def test_parameters_that_are_known_and_other_transforms():
    schedule = course(with_records(dose(0.0, 10.0)))
    layout = plain(
        schedule, 2, C=np.array([[[0.0], [1.0]]]), offset=np.array([[math.log(3.0), 0.0]]),
        transform=np.array([LOG, IDENTITY]),
    )  # fmt: skip
    f, fu, fuu = predict(OdePredictor(BOLUS.system, schedule, layout), [11.0], len(TIMES))

    def closed(u):
        return 10 / u[0] * np.exp(-3.0 / u[0] * SEEN)

    first, second = differences(closed, [11.0])
    np.testing.assert_allclose(f, closed([11.0]), rtol=1e-8)
    np.testing.assert_allclose(fu, first, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(fuu, second, rtol=1e-5, atol=1e-10)


def test_nothing_to_estimate():
    schedule = course(with_records(dose(0.0, 10.0)))
    layout = plain(schedule, 2, C=np.zeros((1, 2, 0)), offset=np.log([[3.0, 11.0]]))
    f = np.empty(len(TIMES))
    predictor = OdePredictor(BOLUS.system, schedule, layout)
    for order in range(3):
        predictor.predict(np.arange(1), np.empty((1, 0)), order, f, np.empty((9, 0)), np.empty((9, 0, 0)))
        np.testing.assert_allclose(f, 10 / 11 * np.exp(-3 / 11 * SEEN), rtol=1e-8)


def test_unused_derivatives_are_left_alone():
    schedule = course(with_records(dose(0.0, 10.0)))
    predictor = OdePredictor(BOLUS.system, schedule, plain(schedule, 2))
    full = predict(predictor, BOLUS_U, len(TIMES))
    for order in range(2):
        f, fu, fuu = predict(predictor, BOLUS_U, len(TIMES), order)
        np.testing.assert_allclose(f, full[0], rtol=1e-8)
        assert (fuu == -1.0).all()
        assert order == 1 or (fu == -1.0).all()
    np.testing.assert_allclose(fu, full[1], rtol=1e-6)


def test_threads_change_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    schedule = course(*(with_records(dose(0.0, 50.0)) for _ in range(40)))
    u = np.log([1.0, 4.0, 0.8, 12.0]) + rng.normal(0, 0.3, (40, 4))
    predictor = OdePredictor(MICHAELIS_MENTEN.system, schedule, plain(schedule, 4))
    results = []
    for count in (1, 2, 3):
        monkeypatch.setattr(threads, "threads", lambda count=count: count)
        results.append(predict(predictor, u, schedule.n_slots))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_some_subjects_only():
    schedule = course(*(with_records(dose(0.0, 10.0)) for _ in range(3)))
    predictor = OdePredictor(BOLUS.system, schedule, plain(schedule, 2))
    u = np.tile(BOLUS_U, (3, 1))
    f = np.full(schedule.n_slots, -1.0)
    predictor.predict(np.array([1]), u, 0, f, np.empty((0, 2)), np.empty((0, 2, 2)))
    assert (f[:9] == -1).all()
    assert (f[9:18] > 0).all()
    assert (f[18:] == -1).all()


# -- trouble -------------------------------------------------------------------------------------------------------


def test_a_solve_that_fails_is_nan_and_named_and_the_others_are_not_touched():
    structure = ode("d/dt x = a*x^2; x(0) = x0", response="x")
    schedule = course([0.0, 1.0, 3.0], [0.0, 1.0, 3.0])
    predictor = OdePredictor(structure.system, schedule, plain(schedule, 2))
    f, fu, fuu = predict(predictor, np.log([[0.5, 1.0], [0.1, 1.0]]), 6)  # 1/(1 - a t): runs away at t = 2
    assert np.isnan(f[:3]).all()
    assert np.isnan(fu[:3]).all()
    assert np.isnan(fuu[:3]).all()
    np.testing.assert_allclose(f[3:], [1.0, 1 / 0.9, 1 / 0.7], rtol=1e-8)
    assert list(predictor.failed) == [0]
    predict(predictor, np.log([[0.1, 1.0], [0.1, 1.0]]), 6)
    assert predictor.failed == {}


def test_no_steady_state():
    structure = ode("d/dt A = -Vm*A/(Km + A); C = A")
    schedule = course([dose(0.0, 50.0, steady_state=1, interval=1.0), 1.0])
    predictor = OdePredictor(structure.system, schedule, plain(schedule, 2))
    f, _, _ = predict(predictor, np.log([5.0, 3.0]), 1)
    assert np.isnan(f).all()
    assert "steady state" in predictor.failed[0]


@pytest.mark.parametrize("amount", [np.nan, np.inf])
def test_what_is_not_a_number(amount):
    schedule = course([dose(0.0, amount), 1.0])
    predictor = OdePredictor(BOLUS.system, schedule, plain(schedule, 2))
    assert np.isnan(predict(predictor, BOLUS_U, 1)[0]).all()
    assert "not a finite number" in predictor.failed[0]
    schedule = course([dose(0.0, 1.0), 1.0])
    predictor = OdePredictor(BOLUS.system, schedule, plain(schedule, 2))
    assert np.isnan(predict(predictor, [amount, 1.0], 1)[0]).all()
    assert predictor.failed


def test_a_response_that_is_steep_where_nothing_is():
    """C^γ with γ < 1 has an infinite slope at C = 0, which is not reached by anything that changes."""
    structure = ode("d/dt A = -k*A", response="E0 + Emax*A^g/(E50^g + A^g)")
    schedule = course([0.0, dose(1.0, 5.0), 2.0])
    predictor = OdePredictor(structure.system, schedule, plain(schedule, 5))
    f, fu, fuu = predict(predictor, np.log([0.2, 3.0, 2.0, 0.7, 1.5]), 2)
    assert f[0] == pytest.approx(3.0)
    np.testing.assert_allclose(fu[0], [0, 3.0, 0, 0, 0])
    np.testing.assert_allclose(fuu[0], np.diag([0, 3.0, 0, 0, 0]))
    assert np.isfinite(fuu).all()


def test_an_input_that_is_switched_off():
    structure = ode("d/dt A = where(t < 2.2, 5, 0) - k*A; C = A")
    schedule = course([*map(float, (0.0, *TIMES))])
    f, fu, _ = predict(OdePredictor(structure.system, schedule, plain(schedule, 1)), np.log([0.4]), 10)
    np.testing.assert_allclose(f[1:], 5 * infused(0.4, 2.2, SEEN), rtol=1e-7)
    first, _ = differences(lambda u: 5 * infused(np.exp(u[0]), 2.2, SEEN), np.log([0.4]))
    np.testing.assert_allclose(fu[1:], first, rtol=1e-5)


def test_many_steps_end():
    """A rate that no step can follow: it ends, and says so."""
    structure = ode("d/dt A = -k*A + sin(1e7*t*t)*1e6; C = A", stiff=False)
    schedule = course([0.0, 100.0])
    predictor = OdePredictor(structure.system, schedule, plain(schedule, 1))
    f, _, _ = predict(predictor, np.log([0.1]), 2, order=0)
    assert np.isnan(f).all()
    assert predictor.failed
