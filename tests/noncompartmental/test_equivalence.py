"""Bioequivalence beside formulas that can be written down."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import workbench as wb


def crossover(n=12, effect=0.05, seed=1):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        own, order = rng.normal(4, 0.4), ("TR" if i < n // 2 else "RT")
        for period, treatment in enumerate(order, 1):
            log = own + effect * (treatment == "T") + 0.08 * (period == 2) + rng.normal(0, 0.15)
            rows.append((i + 1, order, period, treatment, math.exp(log)))
    return pd.DataFrame(rows, columns=["subject", "sequence", "period", "treatment", "AUClast"])


def test_a_balanced_crossover_is_that_of_differences():
    """By hand: half the difference between sequences of the period differences (Jones & Kenward 2014, 2.2)."""
    values = crossover()
    wide = values.assign(log=np.log(values["AUClast"])).pivot_table(
        index=["sequence", "subject"], columns="period", values="log"
    )
    difference = wide[1] - wide[2]
    a, b = difference["TR"], difference["RT"]
    effect = 0.5 * (a.mean() - b.mean())
    pooled = (a.var() * (len(a) - 1) + b.var() * (len(b) - 1)) / (len(a) + len(b) - 2)
    half = stats.t.ppf(0.95, len(a) + len(b) - 2) * 0.5 * math.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    found = wb.bioequivalence(values, "AUClast", reference="R", period="period")
    assert found.design == "crossover" and found.df == len(a) + len(b) - 2
    assert math.log(found.ratio) == pytest.approx(effect)
    assert math.log(found.lower) == pytest.approx(effect - half) and math.log(found.upper) == pytest.approx(
        effect + half
    )
    assert found.cv == pytest.approx(100 * math.sqrt(math.expm1(pooled / 2)))
    assert found.n == {"T": 12, "R": 12}


def test_parallel_groups_are_welchs():
    rng = np.random.default_rng(2)
    test, reference = np.exp(rng.normal(1.0, 0.2, 15)), np.exp(rng.normal(1.1, 0.4, 11))
    values = pd.DataFrame({"subject": range(26), "treatment": ["B"] * 15 + ["A"] * 11, "Cmax": [*test, *reference]})
    found = wb.bioequivalence(values, "Cmax")
    expected = stats.ttest_ind(np.log(test), np.log(reference), equal_var=False).confidence_interval(0.90)
    assert (found.design, found.reference) == ("parallel", "A")
    assert (math.log(found.lower), math.log(found.upper)) == pytest.approx((expected.low, expected.high))


def test_exchanged_treatments_are_the_reciprocal():
    one = wb.bioequivalence(crossover(), "AUClast", reference="R", period="period")
    other = wb.bioequivalence(crossover(), "AUClast", reference="T", period="period")
    assert other.ratio == pytest.approx(1 / one.ratio) and other.lower == pytest.approx(1 / one.upper)


def test_who_has_one_treatment_only_is_named():
    values = crossover().drop(index=0)
    values.loc[3, "AUClast"] = 0.0
    found = wb.bioequivalence(values, "AUClast", reference="R", period="period")
    assert len(found.left_out) == 3 and found.n["T"] == 10
    assert "only one of the treatments" in repr(found)


def test_the_verdict_is_that_of_the_interval():
    close = wb.bioequivalence(crossover(48, 0.0), "AUClast", reference="R", period="period")
    far = wb.bioequivalence(crossover(48, 0.4), "AUClast", reference="R", period="period")
    assert close.equivalent and not far.equivalent
    assert "within 80 to 125 %" in repr(close) and "not within" in repr(far)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"reference": "X"}, "allowed are 'R' and 'T'"),
        ({}, {"period": None}, "a crossover needs period="),
        ({}, {"treatment": "arm"}, "no column 'arm'"),
        ({"treatment": "R"}, {}, "two treatments are needed"),
        ({"period": 1}, {}, "two periods or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, options, said):
    with pytest.raises(wb.DataError, match=said):
        wb.bioequivalence(crossover().assign(**change), "AUClast", **{"period": "period", **options})


def test_from_the_table_of_an_analysis():
    frame = wb.load_example("theophylline").to_frame()
    second = frame.assign(ID=frame["ID"].astype(int) + 100, DV=frame["DV"] * 1.1)
    both = pd.concat([frame.assign(ARM="A"), second.assign(ARM="B")], ignore_index=True)
    data = wb.read_data(both)
    table = wb.nca(data).table
    table = table.assign(treatment=data.subjects["ARM"].to_numpy())
    found = wb.bioequivalence(table, "AUClast")
    assert found.ratio == pytest.approx(1.1, rel=1e-9) and found.test == "B"
