"""The full covariate model and its forest, beside closed forms."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import workbench as wb

SCOPE = {"CL": ["WT", "SEX"], "V": [("WT", "linear")]}


@pytest.fixture(scope="module")
def data():
    given = wb.load_example("phenobarbital")
    frame = given.to_frame()
    frame["SEX"] = np.where(pd.factorize(frame[given.roles["subject"]])[0] % 3 == 0, "M", "F")
    return wb.read_data(frame, roles={"covariates": ["WT", "APGR", "SEX"]})


@pytest.fixture(scope="module")
def full(data):
    return wb.full_covariate_model(wb.Model(wb.pk()), data, SCOPE)


def test_it_is_the_fit_of_all_effects(full, data):
    direct = wb.Model(wb.pk()).with_covariate("CL", "WT").with_covariate("CL", "SEX", "categorical")
    direct = direct.with_covariate("V", "WT", "linear")
    assert full.fit.ofv == pytest.approx(wb.fit(direct, data).ofv, abs=1e-3)
    assert [str(e) for e in full.effects] == ["WT on CL (power)", "SEX on CL (categorical)", "WT on V (linear)"]
    assert full.base.ofv > full.fit.ofv and full.model == full.fit.model


def test_wald(full):
    table = full.table.set_index(["parameter", "covariate"])
    for (parameter, covariate), row in table.iterrows():
        (estimate,) = [e for e in full.fit.lines if e.name.startswith(f"{parameter}:") and covariate in e.name]
        assert row["chi2"] == pytest.approx((estimate.value / estimate.se) ** 2)
        assert row["p"] == pytest.approx(chi2.sf(row["chi2"], 1)) and row["df"] == 1
    assert table.loc[("V", "WT"), "p"] < 1e-6 and table.loc[("CL", "SEX"), "p"] > 0.05
    assert "Full covariate model: 3 effects" in repr(full) and "on 3 df" in repr(full)
    assert "<table" in full._repr_html_()


def test_wald_of_several_coefficients(data):
    frame = data.to_frame()
    frame["SITE"] = [f"s{c % 3}" for c in pd.factorize(frame[data.roles["subject"]])[0]]
    more = wb.read_data(frame, roles={"covariates": ["SITE"]})
    full = wb.full_covariate_model(wb.Model(wb.pk()), more, {"CL": ["SITE"]})
    row = full.table.iloc[0]
    names = ["CL:C(SITE)[s1]", "CL:C(SITE)[s2]"]
    b, C = full.fit.estimates.loc[names, "estimate"], None
    free = [e.name for e in full.fit.lines]
    at = [free.index(name) for name in names]
    C = full.fit.covariance[np.ix_(at, at)]
    assert row["df"] == 2 and row["chi2"] == pytest.approx(b.to_numpy() @ np.linalg.inv(C) @ b.to_numpy())
    assert row["coefficient"] == tuple(b)


def test_forest_in_closed_form(full, data):
    found = full.forest().set_index(["parameter", "covariate", "at"])
    weight = data.subjects["WT"]
    estimates = full.fit.estimates
    power, se = estimates.loc["CL:log(WT/1.3)", ["estimate", "se"]]
    low = np.percentile(weight, 5)
    row = found.loc[("CL", "WT", "5 %")]
    assert row["value"] == pytest.approx(low) and row["reference"] == weight.median()
    log = power * math.log(low / weight.median())
    half = 1.959963985 * se * abs(math.log(low / weight.median()))
    assert [row["ratio"], row["lower"], row["upper"]] == pytest.approx(
        [math.exp(log), math.exp(log - half), math.exp(log + half)], rel=1e-6
    )
    slope, se = estimates.loc["V:(WT-1.3)", ["estimate", "se"]]
    high = np.percentile(weight, 95)
    row = found.loc[("V", "WT", "95 %")]
    assert row["ratio"] == pytest.approx(1 + slope * (high - 1.3))
    half = 1.959963985 * se * (high - 1.3) / row["ratio"]
    assert row["upper"] == pytest.approx(row["ratio"] * math.exp(half), rel=1e-5)
    sex = found.loc[("CL", "SEX", "level")]
    assert sex["value"] == "M" and sex["reference"] == "F"
    assert sex["ratio"] == pytest.approx(math.exp(estimates.loc["CL:C(SEX)[M]", "estimate"]))
    assert found.loc[("CL", "WT", "95 %"), "verdict"] == "outside"


def test_forest_with_another_reference_and_band(full):
    found = full.forest(reference={"WT": 2.0, "SEX": "M"}, band=(1e-6, 1e6))
    assert set(found["verdict"]) == {"inside"} and found["reference"].tolist()[:2] == [2.0, 2.0]
    assert (full.forest(band=(0.999999, 1.000001))["verdict"] == "open").any()
    with pytest.raises(wb.FitError, match="two positive ratios"):
        full.forest(band=(1.25, 0.8))
    with pytest.raises(wb.FitError, match="covariates of the model are WT, SEX"):
        full.forest(reference={"HT": 1})
    with pytest.raises(wb.FitError, match="WT is 'heavy'; a number"):
        full.forest(reference={"WT": "heavy"})
    with pytest.raises(wb.FitError, match="SEX is 'X'; it has 'F', 'M'"):
        full.forest(reference={"SEX": "X"})


def test_forest_of_a_level_that_only_comes_later(data):
    frame = data.to_frame()
    subject, time = (frame[data.roles[role]] for role in ("subject", "time"))
    frame["WARD"] = np.where((pd.factorize(subject)[0] % 2 == 0) & (time > 24), "b", "a")
    assert set(frame.groupby(subject)["WARD"].first()) == {"a"}
    model = wb.Model(wb.pk()).with_covariate("CL", "WARD", "categorical")
    fit = wb.fit(model, wb.read_data(frame, roles={"covariates": ["WARD"]}))
    (row,) = wb.forest(fit).to_dict("records")
    assert (row["reference"], row["value"]) == ("a", "b")
    assert row["ratio"] == pytest.approx(math.exp(fit.estimate("CL:C(WARD)[b]").value))


@pytest.mark.parametrize("transform", ["identity", "logit"])
def test_forest_on_other_scales(data, transform):
    bounds = (0.0, 0.05) if transform == "logit" else None
    parameters = [
        wb.Parameter("CL", 0.006, iiv=0.3 if bounds else 0.002, transform=transform, bounds=bounds),
        wb.Parameter("V", 1.4, iiv=0.3),
    ]
    model = wb.Model(wb.pk(), parameters, wb.Constant(2.5))
    shape = "exponential" if bounds else "linear"
    fit = wb.fit(model.with_covariate("CL", "WT", shape), data)
    row = wb.forest(fit).iloc[1]
    value, slope = fit.estimate("CL").value, fit.estimate("CL:(WT-1.3)").value
    step = slope * (row["value"] - 1.3)
    if bounds:
        z = math.log(value / (0.05 - value)) + step
        expected = 0.05 / (1 + math.exp(-z)) / value
    else:
        expected = (value + step) / value
    assert row["ratio"] == pytest.approx(expected) and row["lower"] < row["ratio"] < row["upper"]


def test_without_covariates_there_is_nothing_to_show(data):
    assert wb.forest(wb.fit(wb.Model(wb.pk()), data, covariance=False)).empty


def test_what_cannot_be_in_it_is_named(data):
    frame = data.to_frame()
    frame["TWIN"], frame["ONE"] = 2 * frame["WT"], 1.0
    more = wb.read_data(frame, roles={"covariates": ["WT", "TWIN", "ONE"]})
    scope = {"V": ["WT", ("WT", "exponential"), "TWIN", "ONE"]}
    full = wb.full_covariate_model(wb.Model(wb.pk()), more, scope)
    assert [str(e) for e in full.effects] == ["WT on V (power)"]
    assert {r.covariate for r in full.refused} == {"WT", "TWIN", "ONE"}
    with pytest.raises(wb.FitError, match="No effect of the scope can be estimated"):
        wb.full_covariate_model(wb.Model(wb.pk()), more, {"V": ["ONE"]})


def test_pooled(data):
    full = wb.full_covariate_model(wb.Model(wb.pk()), data, {"CL": ["WT"]}, method="pooled")
    direct = wb.fit(wb.Model(wb.pk()).with_covariate("CL", "WT"), data, "pooled")
    assert full.fit.ofv == pytest.approx(direct.ofv, abs=1e-3)
    assert full.fit.model["CL"].iiv is not None and full.fit.random_effects == ()


def test_subjects_alone_know_no_covariates(data):
    with pytest.raises(wb.FitError, match="'individual' is not for a covariate search"):
        wb.full_covariate_model(wb.Model(wb.pk()), data, {"CL": ["WT"]}, method="individual")
    with pytest.raises(wb.FitError, match="no population"):
        wb.linearised_screen(wb.fit(wb.Model(wb.pk()), wb.load_example("theophylline"), "individual"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": {"SEX": "Q"}}, "SEX is 'Q'; it has 'F', 'M'"),
        ({"reference": {"WT": "heavy"}}, "WT is 'heavy'; a number"),
        ({"reference": {"WT": math.nan}}, "WT is nan; a number"),
        ({"percentiles": (5, 500)}, "between 0 and 100"),
    ],
)
def test_a_forest_that_cannot_be_drawn(full, options, message):
    with pytest.raises(wb.FitError, match=message):
        wb.forest(full.fit, **options)


def test_a_forest_is_of_a_fit(full):
    with pytest.raises(wb.FitError, match="got FullCovariateModel"):
        wb.forest(full)
