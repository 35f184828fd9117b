"""`Model.check`: every problem of a model with a data set is named before anything is computed."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb

ORAL = wb.pk(absorption="first-order")


def frame(**columns):
    """Two subjects with a dose of 100 and three observations each; columns may be changed or added."""
    plain = {
        "ID": [1, 1, 1, 1, 2, 2, 2, 2],
        "TIME": [0.0, 1.0, 2.0, 4.0] * 2,
        "AMT": [100.0, 0, 0, 0] * 2,
        "EVID": [1, 0, 0, 0] * 2,
        "DV": [np.nan, 5.0, 4.0, 2.0] * 2,
        "WT": [50.0] * 4 + [80.0] * 4,
        "SEX": ["F"] * 4 + ["M"] * 4,
    }
    return pd.DataFrame(plain | columns)


def data(roles=None, **columns):
    return wb.read_data(frame(**columns), roles=roles)


def said(model, of, severity=None):
    return [str(finding) for finding in model.check(of) if severity in (None, finding.severity)]


def one(model, of, severity):
    """The only finding, of a severity."""
    findings = model.check(of)
    assert [finding.severity for finding in findings] == [severity], findings
    return findings[0]


def test_nothing_is_said_where_all_is_well():
    model = wb.Model(ORAL, correlate="full").allometric().with_covariate("CL", "SEX", "categorical")
    assert model.check(data()) == []
    assert model.with_error(wb.Proportional()).with_iov("CL").check(data(OCC=[1, 1, 1, 2] * 2)) == []
    assert wb.Model(ORAL).check(wb.load_example("theophylline")) == []
    assert wb.Model(wb.pk()).check(wb.load_example("phenobarbital")) == []


def test_values_that_are_missing_are_no_problem():
    model = wb.Model(ORAL).with_covariate("CL", "WT", "power")
    assert "ka" in model.unstated and "the median of WT" in model.unstated
    assert model.check(data()) == []


def test_a_finding_is_a_value_that_reads_as_a_sentence():
    finding = one(wb.Model(ORAL).with_covariate("CL", "WEIGHT"), data(), "error")
    assert str(finding) == finding.message
    assert hash(finding) == hash(dataclasses.replace(finding))
    assert isinstance(finding, wb.Finding)
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.message = ""


def test_everything_is_named_at_once_errors_first():
    model = (
        wb.Model(wb.pk(absorption="first-order", bioavailability=True), error=wb.Exponential())
        .with_covariate("CL", "WEIGHT")
        .with_covariate("V", "SEX", "power")
        .with_iov("ka")
    )
    findings = model.check(data(DV=[np.nan, 5.0, 0.0, 2.0] * 2, CMT=[9, 0, 0, 0] * 2))
    assert [finding.severity for finding in findings] == ["error"] * 5
    assert [finding.where for finding in findings] == ["data", "V", "ka", "doses", "error"]
    findings = model.check(data())
    assert [finding.severity for finding in findings] == ["error"] * 3 + ["warning"]


# -- columns and covariates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.with_covariate("CL", "WEIGHT"), r"no column WEIGHT\. Covariates there: WT, SEX"),
        (lambda m: m.with_covariate("CL", "WEIGHT", "categorical"), "no column WEIGHT"),
        (lambda m: m.with_parameter("V", iiv=None, column="VI"), "no column VI"),
        (lambda m: m.with_covariate("CL", "DV", reference=1), "DV is the response"),
        (lambda m: m.with_covariate("CL", "SEX", "power", reference=1), r"SEX is text, not numbers; use C\(SEX\)"),
        (
            lambda m: m.with_covariate("CL", "SEX", "power"),
            r"SEX is text, and text has no median\. C\(SEX\) makes categories",
        ),
        (lambda m: m.with_parameter("CL", covariates="log(WT - 50)"), "not a number on 4 of 8 records"),
        (lambda m: m.with_covariate("CL", "SEX", "categorical", reference="X"), "no level 'X'. It has F, M"),
        (
            lambda m: m.with_covariate("CL", "SEX", "fraction", start=(1, 2)),
            r"has 1 coefficients \(C\(SEX\)\[M\]\), got 2",
        ),
        (
            lambda m: m.with_covariate("CL", "WT", "linear", start=-0.1, reference=65),
            r"by -0\.5 in 4 records \(rows 4, 5",
        ),
        (lambda m: m.with_parameter("V", iiv=None, column="SEX"), "V is taken from column 'SEX', which holds text"),
        (lambda m: m.with_parameter("V", iiv=None, column="AMT"), "which is not positive in 6 records"),
        (lambda m: m.with_covariate("CL", "GAP"), "the subject has no value"),
        (lambda m: m.with_parameter("V", iiv=None, column="GAP"), "which has gaps"),
    ],
)
def test_what_covariates_need(change, words):
    of = data(GAP=[1.0] * 4 + [np.nan] * 4)
    findings = [f for f in change(wb.Model(ORAL)).check(of) if f.severity == "error"]
    assert len(findings) == 1
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(findings[0])


def test_logit_and_fractions_stay_between_the_bounds():
    model = wb.Model(wb.pk(absorption="first-order", bioavailability=True)).with_values({"F": 0.8})
    model = model.with_parameter("V", fixed=True, value=1.0).with_covariate("F", "SEX", "fraction", start=0.5)
    assert "leads out of (0, 1)" in one(model, data(), "error").message
    assert model.with_values({"F": 0.5}).check(data()) == []


def test_known_parameters_may_be_0_where_that_has_a_meaning():
    model = wb.Model(wb.pk(absorption="first-order", lag=True)).with_parameter("lag", iiv=None, column="LAGT")
    assert model.check(data(LAGT=[0.0] * 8)) == []
    assert "is negative in 8 records" in one(model, data(LAGT=[-1.0] * 8), "error").message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.with_covariate("CL", "ONE"), "is the same on every record"),
        (lambda m: m.with_covariate("CL", "ONE", "exponential", reference=3), "is the same on every record"),
        (
            lambda m: m.with_covariate("CL", "WT").with_covariate("CL", "SEX", "categorical"),
            r"C\(SEX\)\[M\] follows from",
        ),
        (lambda m: m.with_covariate("CL", "WT", "piecewise", breakpoint=30), "below.*is the same on every record"),
    ],
)
def test_coefficients_that_no_data_tell(change, words):
    of = data(ONE=[3.0] * 8)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(one(change(wb.Model(ORAL)), of, "warning"))


def test_fixed_coefficients_need_no_data():
    model = wb.Model(ORAL).with_covariate("CL", "ONE", start=0.75, fixed=True, reference=70)
    assert model.check(data(ONE=[3.0] * 8)) == []


def test_columns_of_the_structure():
    equation = wb.Model(wb.equation("a + b*SEX + c*WEIGHT", covariates=["SEX", "WEIGHT"]))
    text = said(equation, data(), "error")
    assert len(text) == 2
    assert "no column WEIGHT" in text[0] and "'SEX', which holds text" in text[1]


# -- random effects ----------------------------------------------------------------------------------------------------


def test_occasions_are_needed_for_differences_between_them():
    model = wb.Model(ORAL).with_iov("CL", "V")
    assert "CL, V differ between occasions (iov)" in one(model, data(), "error").message
    assert model.check(data(OCC=[1, 1, 2, 2] * 2)) == []
    assert "single occasion" in one(model, data(OCC=[1] * 4 + [2] * 4), "warning").message


def test_differences_need_subjects():
    single = data().filter("ID == 1")
    assert "one subject only" in one(wb.Model(ORAL), single, "warning").message
    assert wb.Model(ORAL).without_random_effects().check(single) == []
    once = data(DV=[np.nan, 5.0, np.nan, np.nan] * 2)
    assert any("single observation" in text for text in said(wb.Model(ORAL), once, "warning"))


def test_a_random_effect_around_a_fixed_0():
    model = wb.Model(wb.pkpd(wb.pk())).with_parameter("E0", transform="identity", value=0, fixed=True)
    assert any("E0 is fixed at 0" in text for text in said(model, data(), "warning"))


# -- doses -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "compartment", "good"),
    [
        (ORAL, 0, True), (ORAL, 1, True), (ORAL, 2, True), (ORAL, 3, False),
        (wb.pk(), 1, True), (wb.pk(), 2, False),
        (wb.pk(3, "zero-order"), 4, True), (wb.pk(3, "zero-order"), 5, False),
        (wb.pkpd(wb.pk()), 2, False),
        (wb.ode("d/dt A = -k*A; d/dt C = k*A - q*C"), 2, True),
        (wb.ode("d/dt A = -k*A; d/dt C = k*A - q*C"), 3, False),
        (wb.ode("d/dt A = -k*A; d/dt C = k*A - q*C", dose={3: "C"}), 3, True),
        (wb.ode("d/dt A = -k*A; d/dt C = k*A - q*C", dose={3: "C"}), 2, False),
        (wb.equation("dose*exp(-k*t)"), 7, True),
    ],
)  # fmt: skip
def test_compartments_for_doses(structure, compartment, good):
    errors = said(wb.Model(structure), data(CMT=[compartment, 0, 0, 0] * 2), "error")
    assert bool(errors) is not good
    if not good:
        assert f"2 doses go into compartment {compartment} (rows 0, 4), which" in errors[0]


def test_doses_are_needed_where_the_structure_says_so():
    of = wb.read_data(frame()[["ID", "TIME", "DV"]].dropna())
    assert "has no dose" in one(wb.Model(ORAL), of, "error").message
    assert wb.Model(wb.equation("a*exp(-k*t)")).check(of) == []


@pytest.mark.parametrize(
    ("structure", "rate", "good"),
    [
        (wb.pk(), 10, True), (ORAL, 10, True), (wb.pk(), -2, False), (ORAL, -2, False),
        (wb.pk(absorption="zero-order"), -2, True), (wb.pk(absorption="zero-order"), -1, False),
        (wb.ode("d/dt C = -k*C"), -2, False), (wb.ode("d/dt C = -k*C", duration={"C": "D"}), -2, True),
    ],
)  # fmt: skip
def test_rates_that_the_model_is_to_find(structure, rate, good):
    errors = said(wb.Model(structure), data(RATE=[rate, 0, 0, 0] * 2), "error")
    assert bool(errors) is not good
    if not good:
        assert f"RATE={rate}" in errors[0]


# -- observations ------------------------------------------------------------------------------------------------------


def test_responses_are_those_of_the_structure():
    two = data(DVID=[1, 1, 2, 1] * 2)
    assert "has 2 responses (DVID 1, 2)" in one(wb.Model(ORAL), two, "error").message
    assert wb.Model(wb.pkpd(ORAL)).check(two) == []
    assert "no observation of effect" in one(wb.Model(wb.pkpd(ORAL)), data(), "warning").message
    named = data(DVID=["effect"] * 8)
    assert "no observation of concentration" in one(wb.Model(wb.pkpd(ORAL)), named, "warning").message


def test_censored_observations_need_a_meaning():
    of = data(CENS=[0, 0, 0, 1] * 2)
    finding = one(wb.Model(ORAL), of, "error")
    assert finding.where == "blq" and '"M3"' in finding.message and "(rows 3, 7)" in finding.message
    assert wb.Model(ORAL, blq="M1").check(of) == []


def test_nothing_to_fit():
    finding = one(wb.Model(ORAL), data().filter("AMT > 0"), "error")
    assert "no observation to fit" in finding.message and finding.where == "observations"


def test_the_log_normal_error_needs_positive_values():
    of = data(DV=[np.nan, 5.0, 4.0, 0.0] * 2)
    model = wb.Model(ORAL, error=wb.Exponential())
    finding = one(model, of, "error")
    assert "2 observations are not positive (rows 3, 7)" in finding.message and finding.where == "error"
    assert model.with_error(wb.Exponential(log_data=True)).check(of) == []
    assert model.with_error(wb.Constant()).check(of) == []


@pytest.mark.parametrize(
    ("structure", "columns", "zero"),
    [
        (ORAL, {}, False),
        (ORAL, {"TIME": [0.0, 0.0, 1.0, 2.0] * 2}, True),
        (wb.pk(), {"TIME": [0.0, 0.0, 1.0, 2.0] * 2}, False),
        (wb.pk(lag=True), {"TIME": [0.0, 0.0, 1.0, 2.0] * 2}, True),
        (wb.pk(), {"TIME": [0.0, 0.0, 1.0, 2.0] * 2, "RATE": [5, 0, 0, 0] * 2}, True),
        (ORAL, {"TIME": [0.0, 0.0, 1.0, 2.0] * 2, "CMT": [2, 0, 0, 0] * 2}, False),
        (ORAL, {"TIME": [0.0, 0.0, 1.0, 2.0] * 2, "SS": [1, 0, 0, 0] * 2, "II": [12.0, 0, 0, 0] * 2}, False),
        (wb.pk(), {"AMT": [0, 100.0, 0, 0] * 2, "EVID": [0, 1, 0, 0] * 2, "DV": [1.0, np.nan, 2.0, 1.0] * 2}, True),
        (wb.pk(), {"AMT": [100, 0, 0, 0.0] * 2, "EVID": [1, 0, 3, 0] * 2, "DV": [np.nan, 2.0, np.nan, 1.0] * 2}, True),
        (wb.pkpd(ORAL), {"TIME": [0.0, 0.0, 1.0, 2.0] * 2, "DVID": [1, 2, 1, 1] * 2}, False),
        (wb.pkpd(ORAL), {"TIME": [0.0, 0.0, 1.0, 2.0] * 2, "DVID": [1, 1, 2, 1] * 2}, True),
    ],
)
def test_errors_that_need_a_prediction_that_is_not_0(structure, columns, zero):
    of = data(**columns)
    for error, severity in ((wb.Exponential(), "error"), (wb.Proportional(), "warning"), (wb.Power(), "warning")):
        found = [f for f in wb.Model(structure, error=error).check(of) if f.where == "error"]
        assert [f.severity for f in found] == [severity] * zero
        assert all("before or at the first dose" in f.message for f in found)
    assert not [f for f in wb.Model(structure, error=wb.Exponential(floor=0.1)).check(of) if f.where == "error"]
    assert not [f for f in wb.Model(structure).check(of) if f.where == "error"]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["dose", "observation", "reset"]), min_size=2, max_size=7), st.booleans())
def test_predictions_of_0_are_those_of_the_closed_form(kinds, oral):
    """Against a bolus or a first-order input computed by hand."""
    from workbench.model.check import _Check

    kinds = [*kinds, "dose", "observation"]
    time = np.arange(len(kinds)) // 2 * 1.0
    of = wb.read_data(
        pd.DataFrame(
            {
                "ID": 1, "TIME": time, "AMT": [100.0 * (k == "dose") for k in kinds],
                "EVID": [{"dose": 1, "observation": 0, "reset": 3}[k] for k in kinds],
                "DV": [1.0 if k == "observation" else np.nan for k in kinds],
            }
        )
    )  # fmt: skip
    doses: list[float] = []
    expected = []
    for kind, now in zip(kinds, time, strict=True):
        doses = [] if kind == "reset" else [*doses, now] if kind == "dose" else doses
        expected.append(not any(given_at < now if oral else True for given_at in doses))
    zero = _Check(wb.Model(ORAL if oral else wb.pk()), of).without_drug()
    seen = of.events.observed
    assert zero[seen].tolist() == [e for e, k in zip(expected, kinds, strict=True) if k == "observation"]


# -- what no data can tell ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "columns", "change", "warned"),
    [
        (wb.pk(absorption="first-order", bioavailability=True), {}, {}, "F, CL and V .* only CL/F and V/F"),
        (wb.pk(2, "first-order", bioavailability=True), {}, {}, "F, CL, V1, Q and V2 "),
        (wb.pk(bioavailability=True), {}, {}, "F, CL and V "),
        (wb.pk(bioavailability=True, parameters="macro"), {}, {}, "F and A .* only F·A"),
        (wb.pk(bioavailability=True, parameters="rate"), {}, {}, "F and V .* only V/F"),
        (wb.pkpd(wb.pk(bioavailability=True)), {"DVID": [1, 1, 2, 1] * 2}, {}, "F, CL and V "),
        (wb.pk(absorption="first-order", bioavailability=True), {"CMT": [1, 0, 0, 0, 2, 0, 0, 0]}, {}, None),
        (wb.pk(absorption="first-order", bioavailability=True), {}, {"F": 0.5}, None),
        (wb.pk(absorption="first-order", bioavailability=True), {}, {"V": 10}, None),
    ],
)
def test_bioavailability_needs_another_route(structure, columns, change, warned):
    model = wb.Model(structure)
    for name, value in change.items():
        model = model.with_parameter(name, value=value, fixed=True)
    findings = model.check(data(**columns))
    assert [f.where for f in findings] == ["F"] * (warned is not None)
    if warned:
        with pytest.raises(AssertionError, match=warned):
            raise AssertionError(findings[0])


@pytest.mark.parametrize(
    ("structure", "values", "warned"),
    [
        (ORAL, {"ka": 0.1, "CL": 2, "V": 10}, True),
        (ORAL, {"ka": 1.5, "CL": 2, "V": 10}, False),
        (ORAL, {"ka": 0.1, "CL": 2}, False),
        (wb.pk(absorption="first-order", parameters="rate"), {"ka": 0.1, "k": 0.2}, True),
        (wb.pk(absorption="first-order", parameters="half-life"), {"ka": 0.1, "t_half": 2}, True),
        (wb.pk(absorption="first-order", parameters="macro"), {"ka": 0.1, "alpha": 0.2}, True),
        (wb.pk(2, "first-order"), {"ka": 0.1, "CL": 2, "V1": 10}, False),
    ],
)
def test_flip_flop_is_warned_of(structure, values, warned):
    model = wb.Model(structure).with_values(values)
    findings = model.check(data())
    assert [f.where for f in findings] == ["ka"] * warned
    assert all("Flip-flop: ka = 0.1" in f.message for f in findings)


def test_flip_flop_is_known_where_one_rate_is():
    model = wb.Model(ORAL).with_values({"ka": 0.1, "CL": 2, "V": 10})
    assert model.with_parameter("ka", fixed=True).with_parameter("CL", fixed=True).check(data()) == []
    assert model.check(data(CMT=[1, 0, 0, 0, 2, 0, 0, 0])) == []


# -- the data themselves -----------------------------------------------------------------------------------------------


def test_faults_of_the_data_are_said_too():
    of = wb.read_data(frame(AMT=[0.0] * 4 + [100.0, 0, 0, 0]), strict=False)
    findings = wb.Model(ORAL).check(of)
    assert [(f.severity, f.where) for f in findings] == [("error", "data")]
    assert "a dose without an amount" in str(findings[0])


def test_anything_but_data_is_refused_in_words():
    with pytest.raises(wb.ModelError, match="got DataFrame"):
        wb.Model(ORAL).check(frame())
