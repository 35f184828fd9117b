"""The one-compartment kernel: equal to closed forms and to the matrix exponential, derivatives equal to differences."""

from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.engine.problem.compile import compile
from workbench.engine.problem.views import thinned

TIMES = np.array([0.0, 0.3, 1.0, 1.0, 2.5, 7.0, 24.0, 60.0])


def schedule(doses, times=TIMES, compartment=0):
    """A subject with doses [(time, amount)] and observations."""
    rows = [{"ID": 1, "TIME": t, "EVID": 1, "AMT": a, "DV": 0.0, "CMT": compartment} for t, a in doses]
    rows += [{"ID": 1, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": 1.0, "CMT": 0} for t in times]
    frame = pd.DataFrame(rows).sort_values("TIME", kind="stable")
    return wb.read_data(frame.reset_index(drop=True))


def model(ka=None, CL=1.0, V=1.0, parameters="clearance", transform="log"):
    names = {"CL": CL, "V": V} if parameters == "clearance" else {"k": CL / V, "V": V}
    if ka is not None:
        names = {"ka": ka, **names}
    structure = wb.pk(absorption=None if ka is None else "first-order", parameters=parameters)
    return wb.Model(structure, [wb.Parameter(n, v, iiv=0.2, transform=transform) for n, v in names.items()],
                    error=wb.Constant(1.0))  # fmt: skip


def in_fifty_digits(ka, k, V, doses, times):
    """The textbook formula, with digits enough for ka ≈ k; its limit where they are equal."""
    with localcontext(prec=50):
        ka, k, V = Decimal(ka), Decimal(k), Decimal(V)

        def after(t):
            if ka == k:
                return k * t * (-k * t).exp()
            return ka / (ka - k) * ((-k * t).exp() - (-ka * t).exp())

        given = [(Decimal(s), Decimal(a)) for s, a in doses]
        return np.array([float(sum(a / V * after(Decimal(t) - s) for s, a in given if s <= t)) for t in times])


rates = st.floats(-3, 2).map(lambda e: 10.0**e)
doses = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 2.0, 12.0, 13.0]), st.floats(0.1, 100)), min_size=1, max_size=4)


@given(ka=rates, k=rates, V=st.floats(0.1, 100), doses=doses, equal=st.sampled_from([None, 0.0, 1e-12, 1e-6]))
def test_prediction_is_that_of_the_formula(ka, k, V, doses, equal):
    if equal is not None:
        ka = k * (1 + equal)
    data = schedule(sorted(doses))
    got = wb.predict(model(ka, k * V, V), data)["PRED"].to_numpy()[data.events.observed]
    expected = in_fifty_digits(ka, (k * V) / V, V, sorted(doses), data.events.time[data.events.observed])
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-290)


def test_iv_bolus_is_a_sum_of_exponentials():
    given = [(0.0, 10.0), (2.5, 4.0), (24.0, 7.0)]
    data = schedule(given)
    got = wb.predict(model(None, 3.0, 20.0), data)["PRED"].to_numpy()[data.events.observed]
    times = data.events.time[data.events.observed]
    expected = sum(np.where(times >= s, a / 20.0 * np.exp(-0.15 * (times - s)), 0.0) for s, a in given)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_dose_into_the_central_compartment_of_an_oral_model():
    data = schedule([(0.0, 5.0)], compartment=2)
    got = wb.predict(model(1.3, 2.0, 10.0), data)["PRED"].to_numpy()[data.events.observed]
    np.testing.assert_allclose(got, 0.5 * np.exp(-0.2 * TIMES), rtol=1e-13)


def test_reset_empties_the_compartments():
    frame = pd.DataFrame({
        "ID": 1, "TIME": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "EVID": [1, 0, 3, 0, 4, 0],
        "AMT": [10.0, 0, 0, 0, 6.0, 0], "DV": [0.0, 1, 0, 1, 0, 1],
    })  # fmt: skip
    got = wb.predict(model(None, 1.0, 2.0), wb.read_data(frame))["PRED"].to_numpy()
    np.testing.assert_allclose(got[[1, 3, 5]], [5 * np.exp(-0.5), 0.0, 3 * np.exp(-0.5)], rtol=1e-13)


def test_rate_constants_and_clearances_agree():
    data = schedule([(0.0, 3.0), (7.0, 2.0)])
    one = wb.predict(model(0.9, 2.0, 8.0), data)
    other = wb.predict(model(0.9, 2.0, 8.0, parameters="rate"), data)
    np.testing.assert_allclose(one["PRED"], other["PRED"], rtol=1e-14)


def derivatives(problem, u, order=2):
    n, D = len(problem.y), problem.n_coordinates
    f, fu, fuu = np.zeros(n), np.zeros((n, D)), np.zeros((n, D, D))
    problem.predict(np.arange(problem.n_subjects), u, order, f, fu, fuu)
    return f, fu, fuu


def richardson(function, u, d, h):
    """Fourth-order central difference along coordinate d."""

    def at(step):
        moved = u.copy()
        moved[:, d] += step * h
        return function(moved)

    return (at(-2) - 8 * at(-1) + 8 * at(1) - at(2)) / (12 * h)


@pytest.mark.parametrize("parameters", ["clearance", "rate"])
@pytest.mark.parametrize("transform", ["log", "identity"])
@pytest.mark.parametrize("ka", [None, 0.07, 0.9, 0.25 * (1 + 1e-9), 0.25, 30.0])
def test_derivatives_are_those_of_differences(ka, parameters, transform):
    data = schedule([(0.0, 3.0), (2.0, 1.0)])
    problem = compile(model(ka, 2.0, 8.0, parameters, transform), data)
    u = problem.layout.A @ problem.scale.point(problem.x).theta
    _, fu, fuu = derivatives(problem, u)
    for d in range(problem.n_coordinates):
        h = 1e-3 * (1.0 if transform == "log" else abs(u[0, d]))
        first = richardson(lambda v: derivatives(problem, v, 0)[0], u, d, h)
        second = richardson(lambda v: derivatives(problem, v, 1)[1], u, d, h)
        scale = np.abs(fu[:, d]).max() + 1e-12
        np.testing.assert_allclose(fu[:, d], first, rtol=1e-7, atol=1e-9 * scale)
        np.testing.assert_allclose(fuu[:, d], second, rtol=1e-6, atol=1e-8 * np.abs(fuu[:, d]).max())


def test_covariates_that_change_within_a_subject():
    """Piecewise elimination: over an interval the covariate of the record that ends it holds (NONMEM's rule)."""
    frame = pd.DataFrame({
        "ID": 1, "TIME": [0.0, 1.0, 3.0, 6.0], "EVID": [1, 0, 0, 0], "AMT": [10.0, 0, 0, 0],
        "DV": [0.0, 1, 1, 1], "WT": [1.0, 1.0, 2.0, 4.0],
    })  # fmt: skip
    stated = model(None, 1.0, 5.0).with_covariate("CL", "WT", reference=1.0, start=0.75)
    data = wb.read_data(frame)
    k = 1.0 / 5.0 * np.array([1.0, 2.0, 4.0]) ** 0.75
    expected = 2.0 * np.exp(-np.cumsum(k * [1.0, 2.0, 3.0]))
    np.testing.assert_allclose(wb.predict(stated, data)["PRED"].to_numpy()[1:], expected, rtol=1e-12)
    problem = compile(stated, data)
    u = problem.layout.A @ problem.scale.point(problem.x).theta
    _, fu, fuu = derivatives(problem, u)
    for d in range(problem.n_coordinates):
        first = richardson(lambda v: derivatives(problem, v, 0)[0], u, d, 1e-3)
        second = richardson(lambda v: derivatives(problem, v, 1)[1], u, d, 1e-3)
        np.testing.assert_allclose(fu[:, d], first, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(fuu[:, d], second, rtol=1e-8, atol=1e-11)


def test_value_taken_from_a_column():
    frame = pd.DataFrame({"ID": 1, "TIME": [0.0, 1.0, 2.0], "EVID": [1, 0, 0], "AMT": [10.0, 0, 0],
                          "DV": [0.0, 1, 1], "VOL": 4.0})  # fmt: skip
    known = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0, iiv=0.2), wb.Parameter("V", column="VOL")], wb.Constant(1.0))
    got = wb.predict(known, wb.read_data(frame))["PRED"].to_numpy()
    np.testing.assert_allclose(got[1:], 2.5 * np.exp([-0.25, -0.5]), rtol=1e-13)


def test_work_grows_with_records_not_with_records_times_doses():
    many = schedule([(float(t), 1.0) for t in range(100)], times=np.arange(0.5, 100.5))
    problem = compile(model(1.0, 1.0, 5.0), many)
    assert len(problem.schedule.time) == 200
    np.testing.assert_allclose(problem.y, 1.0)


def test_curves_pass_through_the_predictions():
    data = wb.load_example("theophylline")
    stated = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    from workbench.engine import curves

    grid = curves(stated, data, points=60)
    population = grid.population(stated)
    etas = np.random.default_rng(1).normal(0, 0.3, (12, 3))
    individual = grid.individual(stated, etas)
    assert len(grid.time) == len(population) == len(individual) == 12
    predicted = wb.predict(stated, data)
    for i, subject in enumerate(data.events.subjects):
        mine = predicted[predicted["ID"] == subject]
        assert grid.time[i][0] == mine["TIME"].iloc[0]
        last = mine["PRED"].iloc[-1]
        assert population[i][-1] == pytest.approx(last, rel=1e-12)
    problem = compile(stated, data)
    ends = problem.observations.first[1:] - 1
    expected = problem.predictions(problem.scale.point(problem.x), etas)[ends]
    np.testing.assert_allclose([curve[-1] for curve in individual], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["quinidine", "phenobarbital", "remifentanil"])
def test_curves_pass_through_every_observation(name):
    """Many doses, additional doses, infusions: at each observation stands a point of the curve."""
    from workbench.engine import curves

    data = wb.load_example(name)
    stated = wb.initial_values(wb.Model(wb.pk(compartments=1)), data)
    grid, events = curves(stated, data), data.events
    predicted = wb.predict(stated, data)["PRED"].to_numpy()
    for i, curve in enumerate(grid.population(stated)):
        span = slice(events.start[i], events.start[i + 1])
        for t, f in zip(events.time[span][events.observed[span]], predicted[span][events.observed[span]], strict=True):
            there = curve[grid.time[i] == t]
            assert np.abs(there - f).min() <= 1e-10 * abs(f)
        assert (np.diff(grid.time[i]) >= 0).all()


def test_unused_derivatives_are_left_alone():
    data = schedule([(0.0, 3.0)])
    problem = compile(model(0.9, 2.0, 8.0), data)
    problem = replace(problem, x=problem.x + 0.1)
    u = problem.layout.A @ problem.scale.point(problem.x).theta
    f, fu, fuu = derivatives(problem, u, order=0)
    assert (fu == 0).all()
    assert (fuu == 0).all()
    np.testing.assert_allclose(f, derivatives(problem, u)[0], rtol=0)


def test_thinned_problem_predicts_the_same():
    data = wb.load_example("phenobarbital")
    problem = compile(wb.initial_values(wb.Model(wb.pk()), data), data)
    few = thinned(problem, 7)
    assert few.n_subjects == 7
    assert (few.n_subjects, len(few.y)) != (problem.n_subjects, len(problem.y))
    point = problem.scale.point(problem.x)
    chosen = np.linspace(0, 58, 7).astype(int)
    spans = [slice(*problem.observations.first[i : i + 2]) for i in chosen]
    everything = problem.predictions(point)
    np.testing.assert_array_equal(few.predictions(point), np.concatenate([everything[s] for s in spans]))
    np.testing.assert_array_equal(few.y, np.concatenate([problem.y[s] for s in spans]))
