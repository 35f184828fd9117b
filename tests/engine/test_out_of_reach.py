"""Numbers out of any reach: a refusal in words, in no time."""

import time

import numpy as np
import pytest

import workbench as wb
from workbench.engine.predictions.compiling import compiling, seconds_compiling

MODEL = wb.Model(wb.pk(1), [wb.Parameter("CL", 2, iiv=0.3), wb.Parameter("V", 20)], wb.Constant(0.5, fixed=("a",)))


def dosed(additional, interval, ss=0):
    rows = "".join(
        f"{i},0,1,100,{additional},{interval},{ss},.\n{i},1,0,.,.,.,.,5\n{i},30,0,.,.,.,.,3\n" for i in (1, 2)
    )
    return wb.read_data(f"ID,TIME,EVID,AMT,ADDL,II,SS,DV\n{rows}".encode())


def test_additional_doses_after_the_last_record_cost_nothing():
    many, few = wb.predict(MODEL, dosed(999_999_999, 12)), wb.predict(MODEL, dosed(2, 12))
    np.testing.assert_array_equal(many.PRED, few.PRED)


def test_doses_without_end_are_refused():
    with pytest.raises(wb.FitError, match=r"additional doses .* at most .* II = 1e-09.*steady state"):
        wb.predict(MODEL, dosed(999_999_999, 1e-9))
    late = wb.Model(wb.pk(1, lag=True), [*MODEL.parameters, wb.Parameter("lag", 0.1)], MODEL.error)
    with pytest.raises(wb.FitError, match=r"events until its last record.*infusion"):
        wb.predict(late, dosed(0, 1e-9, 1))


@pytest.mark.parametrize("column", ["TIME", "AMT", "DV"])
@pytest.mark.parametrize("value", ["1e308", "-1e308", "2e100"])
def test_numbers_whose_square_is_none_are_refused(column, value):
    cells = {"TIME": "1", "AMT": "100", "DV": "5"} | {column: value}
    text = f"ID,TIME,AMT,DV\n1,0,{cells['AMT']},.\n1,{cells['TIME']},.,{cells['DV']}\n1,2,.,4\n"
    with pytest.raises(wb.DataError, match=rf"column '{column}'.*1e\+100"):
        wb.read_data(text.encode())


def test_a_dose_of_nearly_nothing_is_no_accident():
    text = "ID,TIME,AMT,DV\n1,0,1e-308,.\n1,1,.,5\n1,2,.,4\n2,0,1e-308,.\n2,1,.,5\n2,2,.,4\n"
    with pytest.raises((wb.ModelError, wb.FitError)):
        wb.fit(wb.Model(wb.pk(1)), wb.read_data(text.encode()))


def test_seconds_are_those_of_the_fit_and_not_of_compiling():
    before = seconds_compiling()
    with compiling(), compiling():
        time.sleep(0.05)
    assert seconds_compiling() - before > 0.04
    text = f"A*exp(-k*t) + {np.random.default_rng().uniform(1, 2):.12f}*k - k"  # compiled by nobody yet
    rows = "".join(
        f"{i},{t},{5 * np.exp(-0.3 * t) + 0.1 * (i % 3) + 0.2 * (t % 3)}\n" for i in range(6) for t in range(5)
    )
    data = wb.read_data(f"ID,TIME,DV\n{rows}".encode())
    model = wb.Model(wb.equation(text), [wb.Parameter("A", 5, iiv=0.2), wb.Parameter("k", 0.3)], wb.Constant(0.2))
    begun, compiled = time.perf_counter(), seconds_compiling()
    fit = wb.fit(model, data)
    passed, compiled = time.perf_counter() - begun, seconds_compiling() - compiled
    assert compiled > 0.01 and fit.seconds <= passed - compiled + 0.05
