"""The likelihood predicted from a linearisation: exact where the model is linear, near to real fits elsewhere."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import workbench as wb
from workbench.engine.problem.compile import compile
from workbench.screening.linearised import Linearisation, _Linear
from workbench.screening.scope import Candidate

TIMES = np.array([0.5, 1, 2, 4, 8, 12.0])


@pytest.fixture(scope="module")
def base(phenobarbital):
    return wb.fit(wb.Model(wb.pk()), phenobarbital, covariance=False)


def lines(seed=1, subjects=30):
    """Straight lines: intercept and slope differ between subjects and depend on covariates, one of which changes."""
    rng = np.random.default_rng(seed)
    t = np.tile(np.arange(5.0), subjects)
    x, z = np.repeat(rng.normal(size=subjects), 5), rng.normal(size=5 * subjects)
    group = np.repeat(rng.choice(["p", "q", "r"], subjects), 5)
    a, b = rng.normal(size=(2, subjects)).repeat(5, axis=1)
    y = 10 + 0.8 * x + a + (2 + 0.5 * z + 0.6 * b) * t + 0.5 * (group == "q") + 0.4 * rng.normal(size=len(t))
    frame = pd.DataFrame({"ID": np.repeat(np.arange(subjects), 5), "TIME": t, "DV": y, "X": x, "Z": z, "G": group})
    data = wb.read_data(frame)
    parameters = [wb.Parameter(name, iiv=True, transform="identity") for name in ("p", "q")]
    return wb.Model(wb.equation("p + q*t"), parameters, wb.Constant()), data


def realised(fit, prediction):
    _, model = Linearisation(fit).predict(prediction.candidate)
    return wb.fit(model, fit.data, fit.method, covariance=False)


def test_a_linear_model_is_predicted_exactly():
    """The approximation is none there: it finds what a fit finds, for covariates that change as well."""
    model, data = lines()
    fit = wb.fit(model.with_correlate("full"), data, covariance=False)
    screen = wb.linearised_screen(fit)
    assert {(p.parameter, p.covariate, p.shape) for p in screen.predictions} == {
        (a, *b) for a in "pq" for b in (("X", "linear"), ("Z", "linear"), ("G", "categorical"))
    }
    for prediction in screen.predictions:
        real = realised(fit, prediction)
        assert prediction.delta_ofv == pytest.approx(fit.ofv - real.ofv, abs=1e-3)
        found = real.estimates["estimate"].filter(like=":").to_numpy()
        assert prediction.coefficient == pytest.approx(found, rel=0.02, abs=2e-3)
        assert prediction.df == len(found) and prediction.p == chi2.sf(max(prediction.delta_ofv, 0), prediction.df)
    order = screen.table["delta_ofv"].to_numpy()
    assert (np.diff(order) <= 0).all()


def test_occasions_and_shared_effects_are_predicted_exactly():
    """With effects that leave no variance at 0: there a search goes on where the small model does not look."""
    _, data = lines(subjects=20)
    frame = data.to_frame()
    rng = np.random.default_rng(7)
    frame["OCC"] = np.where(frame["TIME"] < 2, 1, 2)
    visit = (2 * frame["ID"] + frame["OCC"] - 1).to_numpy()
    frame["DV"] += rng.normal(size=visit.max() + 1)[visit]
    data = wb.read_data(frame, roles={"occasion": "OCC", "covariates": ["X", "Z", "G"]})
    parameters = [
        wb.Parameter("p", iiv=True, iov=True, transform="identity"),
        wb.Parameter("q", share="p", transform="identity"),
    ]
    fit = wb.fit(wb.Model(wb.equation("p + q*t"), parameters, wb.Constant()), data, covariance=False)
    screen = wb.linearised_screen(fit, {"p": ["X", "Z"], "q": ["G"]})
    assert len(screen.predictions) == 3
    for prediction in screen.predictions:
        assert prediction.delta_ofv == pytest.approx(fit.ofv - realised(fit, prediction).ofv, abs=0.02)


def test_the_gradient_is_that_of_the_objective():
    model, data = lines(subjects=8)
    fit = wb.fit(model.with_correlate("full"), data, covariance=False)
    base = Linearisation(fit)
    larger = Candidate("p", "G", "categorical").added_to(fit.model, [0.1, 0.2])
    linear = _Linear(compile(larger, data), base._eta, base._records)
    z = linear.start + 0.05
    _, scores = linear.evaluate(z)
    for m in range(len(z)):
        h = 1e-5 * np.eye(len(z))[m]
        slope = (linear.evaluate(z + h)[0] - linear.evaluate(z - h)[0]) / 2e-5
        assert scores[:, m].sum() == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("method", ["focei", "foce", "fo", "laplace"])
@pytest.mark.parametrize("error", [wb.Combined2(), wb.Proportional(), wb.Exponential()], ids=lambda e: e.title)
def test_at_the_base_it_is_the_objective_of_the_fit(phenobarbital, method, error):
    fit = wb.fit(wb.Model(wb.pk(), error=error), phenobarbital, method, covariance=False)
    base = Linearisation(fit)
    problem = compile(fit.model, fit.data)
    linear = _Linear(problem, base._eta, base._records)
    # Laplace has another curvature, and the first-order method other slopes of the residual variance
    near = {"focei": 1e-6, "foce": 1e-6, "fo": 1e-6, "laplace": 10.0}[method]
    assert linear.evaluate(linear.start)[0] == pytest.approx(fit.ofv, abs=near)


def test_phenobarbital_is_ranked_as_by_fits(base):
    scope = {p: [(c, s) for c in ("WT", "APGR") for s in ("power", "exponential", "linear")] for p in ("CL", "V")}
    screen = wb.linearised_screen(base, scope)
    assert [(p.parameter, p.covariate) for p in screen.predictions[:6]] == [("V", "WT")] * 3 + [("CL", "WT")] * 3
    real = [base.ofv - realised(base, p).ofv for p in screen.predictions]
    predicted = [p.delta_ofv for p in screen.predictions]
    assert np.corrcoef(predicted, real)[0, 1] > 0.99
    assert predicted == pytest.approx(real, rel=0.06, abs=0.2)
    assert "Predicted from the linearised likelihood: 12 effects" in repr(screen)


def test_censored_observations(phenobarbital):
    frame = phenobarbital.to_frame()
    response = phenobarbital.roles["response"]
    limit = 12.0
    low = frame[response] < limit
    frame["CENS"] = low.astype(int)
    frame.loc[low, response] = limit
    data = wb.read_data(frame, roles={"censor": "CENS"})
    fit = wb.fit(wb.Model(wb.pk(), error=wb.Constant(), blq="M3"), data, covariance=False)
    screen = wb.linearised_screen(fit)
    for prediction in screen.predictions[:2]:
        assert prediction.covariate == "WT"
        assert prediction.delta_ofv == pytest.approx(fit.ofv - realised(fit, prediction).ofv, rel=0.1)


def test_what_is_there_already_is_left_out(base):
    larger = wb.fit(base.model.with_covariate("CL", "WT").with_covariate("V", "WT"), base.data, covariance=False)
    screen = wb.linearised_screen(larger)
    assert {p.covariate for p in screen.predictions} == {"APGR"}


def test_a_screen_can_be_stopped(base):
    screen = wb.linearised_screen(base, callback=lambda done, of: done == 3 and of == 4)
    assert len(screen.predictions) == 3 and "3 of 4 effects" in repr(screen)


def test_bad_covariates_are_screened_or_refused_in_words(base):
    frame = base.data.to_frame()
    subject = base.data.roles["subject"]
    codes = pd.factorize(frame[subject])[0]
    frame = frame.assign(
        MISSING=np.where(codes == 3, np.nan, frame["WT"]),
        CONSTANT=1.5,
        ALONE=np.where(codes == 4, "x", "y"),
        SAME=frame["WT"] * 1000,
        TEXT=[f"site {c % 40}" for c in codes],
        NEGATIVE=frame["WT"] - 2,
        HTML=np.where(codes % 2 == 0, "<b>", "c"),
    )
    data = wb.read_data(frame, roles={"covariates": ["WT", "APGR", "MISSING", "CONSTANT", "ALONE", "SAME", "TEXT",
                                                     "NEGATIVE", "HTML"]})  # fmt: skip
    fit = wb.fit(base.model, data, covariance=False)
    screen = wb.linearised_screen(fit)
    assert {p.covariate for p in screen.predictions} == {"WT", "APGR", "NEGATIVE", "HTML"}
    why = {r.covariate: r.reason for r in screen.refused}
    assert set(why) == {"MISSING", "ALONE", "SAME", "TEXT"}  # what never varies is not in the usual scope
    assert "the subject has no value" in why["MISSING"]
    assert "in one subject only" in why["ALONE"]
    assert "the same as WT" in why["SAME"]
    assert "40 levels, more than 10" in why["TEXT"]
    assert "Not tried: MISSING on CL, V." in repr(screen)
    assert "<b>" not in screen._repr_html_().replace(f"<b>{screen._head()}</b>", "")
    said = wb.linearised_screen(fit, {"CL": ["CONSTANT", "WT", ("TEXT", "power"), ("NEGATIVE", "power")]})
    assert [p.covariate for p in said.predictions] == ["WT"]
    reasons = {r.covariate: r.reason for r in said.refused}
    assert "the same on every record" in reasons["CONSTANT"] and "text, not numbers" in reasons["TEXT"]
    assert "is not a number" in reasons["NEGATIVE"]


def test_a_name_that_no_formula_can_have(base):
    frame = base.data.to_frame().rename(columns={"WT": "if", "APGR": "a b"})
    data = wb.read_data(frame, roles={"covariates": ["if", "a b"]})
    screen = wb.linearised_screen(wb.fit(base.model, data, covariance=False))
    lines = repr(screen).split("\n")[2:]
    why = "cannot stand in a covariate formula; rename the column to one word."
    assert lines[-2:] == [f"Not tried: {name} on CL, V. '{name}' {why}" for name in ("if", "a b")]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (["WT"], "a dictionary such as"),
        ({"CLL": ["WT"]}, "no parameter 'CLL'"),
        ({"CL": ["HT"]}, "Covariates there: WT, APGR"),
        ({"CL": [("WT", "cubic")]}, "allowed are power"),
        ({"CL": [("WT",)]}, "a covariate, or a pair"),
        ({"CL": 3}, "a list of covariates"),
    ],
)
def test_a_scope_that_cannot_be_read(base, scope, message):
    with pytest.raises(wb.ModelError, match=message):
        wb.linearised_screen(base, scope)


def test_the_base_is_a_fit(base):
    with pytest.raises(wb.FitError, match=r"as wb\.fit"):
        wb.linearised_screen(base.model)


def test_a_prediction_is_found_by_its_names():
    data = wb.load_example("phenobarbital")
    fit = wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), data)
    found = wb.linearised_screen(fit, {"V": [("WT", "power"), ("WT", "exponential")], "CL": ["WT"]})
    both = [found["V", "WT", "power"], found["V", "WT", "exponential"]]
    assert found["V", "WT"] == max(both, key=lambda p: p.delta_ofv)
    assert found[found["CL", "WT"].candidate] == found["CL", "WT"]
    with pytest.raises(KeyError, match="APGR"):
        found["V", "APGR"]
