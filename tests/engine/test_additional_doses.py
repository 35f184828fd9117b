"""Which record says how a dose enters, where lag, bioavailability and duration change on later records.

Lag and duration are those of the dose record, of an additional dose those of the dose it repeats; bioavailability is
the one in effect when each dose enters. (NONMEM help: dose event record, duration parameter.)
"""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.problem.compile import compile

CL, V, AMOUNT, EVERY = 2.0, 20.0, 100.0, 12.0
K = CL / V
TIMES = (0.0, 1.0, 6.0, 11.0, 13.0, 20.0, 25.0, 30.0, 35.0, 40.0)
WAYS = ("closed", "ode")


def given(change_at=(5.0,), values=(1.0, 2.0), amount=AMOUNT, more=(), **columns):
    """One dose with two additional ones; column X has the values, one after another from each time of change on."""
    rows = [{"TIME": 0.0, "EVID": 1, "AMT": amount, "ADDL": 2, "II": EVERY}]
    rows += [{"TIME": t, "EVID": 0, "AMT": 0.0, "ADDL": 0, "II": 0.0} for t in TIMES]
    frame = pd.DataFrame([*rows, *more]).fillna(0.0).sort_values("TIME", kind="stable")
    frame["ID"], frame["DV"] = 1, 1.0
    frame["X"] = np.array(values)[np.searchsorted(np.array(change_at), frame["TIME"], side="right")]
    for name, value in columns.items():
        frame[name] = value
    return wb.read_data(frame, roles={"interval": "II", "additional": "ADDL"})


def predicted(way, data, over_a_time=False, **by):
    """PRED at TIMES; `by` says which column a lag, bioavailability or duration is taken from."""
    known = [wb.Parameter("CL", CL), wb.Parameter("V", V)]
    if way == "closed":
        names = {"lag": "lag", "bioavailability": "F", "duration": "Tk0"}
        absorption = "zero-order" if "duration" in by else None
        structure = wb.pk(1, absorption, lag="lag" in by, bioavailability="bioavailability" in by)
        known += [wb.Parameter(names[what], column=column) for what, column in by.items()]
    else:
        structure = wb.ode(
            "d/dt A = -CL/V*A", response="A/V", dose="A", covariates=list(by.values()),
            **{what: {"A": column} for what, column in by.items()},
        )  # fmt: skip
    table = wb.predict(wb.Model(structure, known, wb.Constant(1.0)), data)
    return table["PRED"].to_numpy()[data.events.kind == 0]


def boluses(times, sizes):
    since = np.array(TIMES)[:, None] - np.array(times)
    return (np.where(since >= 0, np.exp(-K * np.maximum(since, 0)), 0) * sizes).sum(axis=1) / V


def infusions(times, lengths, amount=AMOUNT):
    total = np.zeros(len(TIMES))
    for begin, length in zip(times, lengths, strict=True):
        on = np.clip(np.array(TIMES) - begin, 0, length)
        after = np.maximum(np.array(TIMES) - begin - length, 0)
        total += amount / length / CL * -np.expm1(-K * on) * np.exp(-K * after)
    return total


@pytest.mark.parametrize("way", WAYS)
def test_lag_is_that_of_the_dose_record(way):
    ours = predicted(way, given(values=(3.0, 0.0)), lag="X")
    np.testing.assert_allclose(ours, boluses([3.0, 15.0, 27.0], AMOUNT), rtol=1e-6)
    ours = predicted(way, given(values=(0.0, 3.0)), lag="X")
    np.testing.assert_allclose(ours, boluses([0.0, 12.0, 24.0], AMOUNT), rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_duration_is_that_of_the_dose_record(way):
    ours = predicted(way, given(values=(4.0, 1.0)), duration="X")
    np.testing.assert_allclose(ours, infusions([0.0, 12.0, 24.0], [4.0] * 3), rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_bioavailability_is_the_one_in_effect_when_each_dose_enters(way):
    ours = predicted(way, given((13.0,), (1.0, 0.4)), bioavailability="X")  # the next record after 12 is at 13
    np.testing.assert_allclose(ours, boluses([0.0, 12.0, 24.0], AMOUNT * np.array([1, 0.4, 0.4])), rtol=1e-6)
    ours = predicted(way, given((14.0,), (1.0, 0.4)), bioavailability="X")
    np.testing.assert_allclose(ours, boluses([0.0, 12.0, 24.0], AMOUNT * np.array([1, 1, 0.4])), rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_lagged_dose_has_the_bioavailability_of_when_it_enters(way):
    data = given((5.0,), (1.0, 0.4), LAGT=7.0)  # the first enters at 7, after the change
    ours = predicted(way, data, bioavailability="X", lag="LAGT")
    np.testing.assert_allclose(ours, boluses([7.0, 19.0, 31.0], 0.4 * AMOUNT), rtol=1e-6)
    data = given((19.5,), (1.0, 0.4), LAGT=7.0)  # the second enters at 19; the next record is at 20
    ours = predicted(way, data, bioavailability="X", lag="LAGT")
    np.testing.assert_allclose(ours, boluses([7.0, 19.0, 31.0], AMOUNT * np.array([1, 0.4, 0.4])), rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_an_infusion_keeps_the_bioavailability_with_which_it_began(way):
    data = given((5.0,), (1.0, 0.5), RATE=10.0 * (np.arange(len(TIMES) + 1) == 0))
    ours = predicted(way, data, bioavailability="X")  # lasts 10 as given, 5 afterwards
    expected = infusions([0.0], [10.0]) + infusions([12.0, 24.0], [5.0] * 2, 0.5 * AMOUNT)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_each_dose_record_has_its_own(way):
    second = {"TIME": 5.0, "EVID": 1, "AMT": AMOUNT, "ADDL": 2, "II": EVERY}
    ours = predicted(way, given(values=(3.0, 1.0), more=[second]), lag="X")
    np.testing.assert_allclose(ours, boluses([3.0, 15.0, 27.0, 6.0, 18.0, 30.0], AMOUNT), rtol=1e-6)


def test_lags_of_occasions_have_derivatives_of_their_own_occasion():
    """The additional doses lie in the second occasion, their lag in the first."""
    frame = pd.DataFrame({"ID": 1, "TIME": [0, 1, 6, 13, 20, 30], "EVID": [1, 0, 0, 0, 0, 0], "AMT": [100.0, *[0] * 5],
                          "ADDL": [2, *[0] * 5], "II": [12.0, *[0] * 5], "OCC": [1, 1, 1, 2, 2, 2],
                          "DV": [np.nan, 4, 3, 4, 3, 4]})  # fmt: skip
    data = wb.read_data(frame, roles={"interval": "II", "additional": "ADDL", "occasion": "OCC"})
    lag = wb.Parameter("lag", 0.5, iov=0.3)
    known = [wb.Parameter("CL", CL, fixed=True), wb.Parameter("V", V, fixed=True), lag]
    problem = compile(wb.Model(wb.pk(1, lag=True), known, wb.Constant(0.5)), data)
    n, D = problem.schedule.n_slots, problem.layout.C.shape[2]
    f, fu, fuu = np.zeros(n), np.zeros((n, D)), np.zeros((n, D, D))
    problem.predictor.predict(np.arange(1), np.log([[0.5, 0.9]]), 2, f, fu, fuu)
    first = int(np.flatnonzero(problem.layout.C[problem.layout.row[0], 2])[0])
    np.testing.assert_allclose(fu[:, 1 - first], 0.0)
    begun = 0.5 if first == 0 else 0.9
    since = np.array([1.0, 6, 13, 20, 30])[:, None] - np.array([0.0, 12, 24]) - begun
    each = np.where(since >= 0, 100 / V * np.exp(-K * np.maximum(since, 0)), 0)
    np.testing.assert_allclose(f, each.sum(axis=1))
    np.testing.assert_allclose(fu[:, first], K * begun * each.sum(axis=1))
