"""Fits side by side."""

import math
import re

import numpy as np
import pytest
from scipy.stats import chi2

import workbench as wb


@pytest.fixture(scope="module")
def data():
    return wb.load_example("phenobarbital")


@pytest.fixture(scope="module")
def base(data):
    return wb.fit(wb.Model(wb.pk()), data)


def fitted(model, data, method="focei"):
    return wb.fit(model, data, method, covariance=False)


def test_a_covariate_more(base, data):
    larger = fitted(base.model.with_covariate("CL", "WT"), data)
    found = wb.compare(base, larger, names=["base", "weight"])
    row = found.table.loc["weight"]
    assert row["delta_ofv"] == larger.ofv - base.ofv and row["df"] == 1 and row["remark"] == ""
    assert row["p"] == pytest.approx(chi2.sf(base.ofv - larger.ofv, 1))
    assert found.table.loc["base", "delta_ofv"] == 0 and math.isnan(found.table.loc["base", "p"])
    assert list(found.table["aic"]) == [base.aic, larger.aic] and list(found.table["bic"]) == [base.bic, larger.bic]
    assert found.differences == {"weight": ("with log(WT/1.3) on CL",)}
    parameters = found.parameters
    assert math.isnan(parameters.loc["CL:log(WT/1.3)", ("base", "estimate")])
    assert parameters.loc["V", ("weight", "estimate")] == larger.estimate("V").value
    assert "weight: with log(WT/1.3) on CL." in repr(found)
    assert "<table" in found._repr_html_()
    backwards = wb.compare(larger, base)
    assert backwards.table.loc["2", "p"] == row["p"] and backwards.table.loc["2", "delta_ofv"] > 0
    assert backwards.differences["2"] == ("without log(WT/1.3) on CL",)


def test_variances_lie_at_their_bound(base, data):
    small = fitted(base.model.with_parameter("CL", iiv=None), data)
    found = wb.compare(small, base, fitted(base.model.with_correlate("full"), data))
    one, two = found.table.loc["2"], found.table.loc["3"]
    assert one["p"] == pytest.approx(0.5 * chi2.sf(small.ofv - base.ofv, 1)) and "½ χ²(1)" in one["remark"]
    assert two["df"] == 2 and "½ χ²(1) + ½ χ²(2)" in two["remark"]
    assert found.differences["3"] == ("with a random effect of CL", "with a correlation of CL and V")


@pytest.mark.parametrize(
    ("change", "remark", "words"),
    [
        (lambda m: m.with_error(wb.Exponential()), "No case of each other: a residual error", "exponential"),
        (lambda m: m.with_structure(wb.pk(parameters="rate")).with_covariate("V", "WT"), "other structures",
         "structure wb.pk("),
        (lambda m: m.with_parameter("CL", iiv=None).with_covariate("CL", "WT").with_covariate("V", "APGR"),
         "no iiv of CL", "without a random effect of CL"),
        (lambda m: m.with_parameter("CL", fixed=True).with_covariate("CL", "WT").with_covariate("V", "APGR"),
         "value of CL is fixed", "CL with value fixed"),
    ],
)  # fmt: skip
def test_models_that_are_no_case_of_each_other(base, data, change, remark, words):
    found = wb.compare(base, fitted(change(base.model), data))
    row = found.table.loc["2"]
    assert math.isnan(row["p"]) and re.search(remark, row["remark"])
    assert any(words in text for text in found.differences["2"])


def test_other_data_and_other_methods_have_no_difference(base, data):
    other = fitted(base.model, data.exclude(subject=1))
    foce = fitted(base.model, data, "foce")
    table = wb.compare(base, other, foce).table
    assert table["delta_ofv"].isna().tolist() == [False, True, True]
    assert "different data" in table.loc["2", "remark"] and "one method" in table.loc["3", "remark"]


def test_every_difference_has_words(base, data):
    model = base.model
    others = {
        "CL shares the random effect of V": model.with_parameter("CL", share="V"),
        "combined residual error instead of combined2": model.with_error(wb.Combined()),
        "with log(WT/1.3) on CL": model.with_covariate("CL", "WT"),
        "with (WT-1.3) on CL (fractional)": model.with_covariate("CL", "WT", "linear"),
    }
    for words, other in others.items():
        assert words in wb.compare(base, fitted(other, data)).differences["2"]


def test_fixed_effects_have_their_values_in_words(base, data):
    one, other = (fitted(base.model.with_covariate("CL", "WT", start=value, fixed=True), data) for value in (0.75, 1.0))
    free = fitted(one.model.with_parameter("CL", covariates=[wb.Effect("log(WT/1.3)", 0.75)]), data)
    found = wb.compare(one, other, free)
    assert found.differences["2"] == ("log(WT/1.3) on CL fixed at 1 instead of 0.75",)
    assert found.differences["3"] == ("log(WT/1.3) on CL estimated",)
    assert found.table.loc["3", "p"] == pytest.approx(chi2.sf(one.ofv - free.ofv, 1))
    assert "As many estimates" in found.table.loc["2", "remark"]


def test_what_cannot_be_compared(base):
    with pytest.raises(wb.FitError, match="Two fits or more"):
        wb.compare(base)
    with pytest.raises(wb.FitError, match=r"as wb\.fit"):
        wb.compare(base, base.model)
    with pytest.raises(wb.FitError, match="a different name for each"):
        wb.compare(base, base, names=["a", "a"])


def test_objectives_are_compared_subject_by_subject():
    data = wb.load_example("theophylline")
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), data)
    less = wb.fit(fit.model, data.exclude(subject=[9]))
    table = wb.compare(fit, less, names=["all", "less"]).by_subject
    assert table["all"].sum() == pytest.approx(fit.ofv) and np.isnan(table.loc[9, "Δ less"])
    assert (table["less"] - table["all"]).drop(9).equals(table["Δ less"].drop(9))
    with pytest.raises(wb.FitError, match="by one method"):
        _ = wb.compare(fit, wb.fit(fit.model, data, method="foce")).by_subject
