"""The search: what it finds, its log, resuming, stopping, failures."""

import math
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.stats import chi2

import workbench as wb
from workbench import engine
from workbench.screening.scope import Candidate
from workbench.screening.search import startable


@pytest.fixture(scope="module")
def data():
    return wb.load_example("phenobarbital")


@pytest.fixture(scope="module")
def found(data):
    return wb.stepwise(wb.Model(wb.pk()), data)


def effects(search):
    return [(e.parameter, e.covariate) for e in search.effects]


def test_weight_is_found_and_apgar_is_not(found, data):
    assert effects(found) == [("V", "WT"), ("CL", "WT")]
    assert found.fit.converged and found.fit.covariance is not None
    direct = wb.fit(wb.Model(wb.pk()).with_covariate("V", "WT").with_covariate("CL", "WT"), data)
    assert found.fit.ofv == pytest.approx(direct.ofv, abs=1e-3)
    first = found.log[found.log["step"] == 1]
    weight, apgar = (first[first["covariate"] == name]["delta_ofv"] for name in ("WT", "APGR"))
    assert weight.min() > 50 and apgar.max() < 3
    assert first["predicted"].to_numpy() == pytest.approx(first["delta_ofv"].to_numpy(), rel=0.05, abs=0.2)


def test_every_line_of_the_log_can_be_checked(found):
    base = found.base.ofv
    for trial in found.trials:
        if trial.direction == "forward" and trial.step == 1:
            assert trial.delta_ofv == pytest.approx(base - trial.ofv)
        if trial.direction != "base":
            assert trial.df == 1 and trial.p == pytest.approx(chi2.sf(max(trial.delta_ofv, 0), 1))
            assert trial.ok and dict(trial.estimates)["V"] > 0
    log = found.log
    assert len(log) == len(found.trials) and set(log["direction"]) == {"base", "forward", "backward"}
    assert (log.loc[log["direction"] == "backward", "delta_ofv"] > 0).all()
    assert list(found.steps["covariate"]) == ["WT", "WT"]
    assert "WT on V (power), WT on CL (power)" in repr(found) and "<table" in found._repr_html_()
    assert found.failures.empty


def test_no_model_is_fitted_twice(data, monkeypatch):
    seen = []
    real = engine.fit

    def counted(model, *arguments, **options):
        seen.append((repr(model.without_values().with_centred(data)), options.get("covariance")))
        return real(model, *arguments, **options)

    monkeypatch.setattr(engine, "fit", counted)
    search = wb.stepwise(wb.Model(wb.pk()), data)
    assert len(set(seen)) == len(seen)  # the last one with standard errors, all others without
    again = [trial for trial in search.trials if trial.seconds == 0]
    assert {trial.direction for trial in again} == {"backward"} and len(again) == 2


def test_side_by_side_it_finds_the_same(found, data):
    with parallel_config(backend="threading", n_jobs=2):
        around = wb.stepwise(wb.Model(wb.pk()), data)
    two = wb.stepwise(wb.Model(wb.pk()), data, jobs=2)
    for other in (around, two):
        assert [t.candidate for t in other.trials if t.direction != "base"] == [
            t.candidate for t in found.trials if t.direction != "base"
        ]
        assert [t.ofv for t in other.trials] == pytest.approx([t.ofv for t in found.trials], abs=1e-9)


def test_it_can_be_stopped_and_taken_up_again(found, data):
    model = wb.Model(wb.pk())
    seen = []

    def until_the_third(progress):
        seen.append(progress)
        return progress.step == 1 and progress.done == 3

    some = wb.stepwise(model, data, callback=until_the_third)
    assert some.stopped and len(some.trials) == 4 and "It was stopped." in repr(some)
    assert some.fit.ofv == some.base.ofv and seen[-1].of == 4
    assert [p.trial for p in seen if p.trial] == list(some.trials)
    rest = wb.stepwise(model, data, resume=some)
    assert not rest.stopped and effects(rest) == effects(found)
    done = [trial.seconds for trial in rest.trials[:4]]
    assert done == [0.0] * 4  # nothing of it is done again
    assert rest.fit.ofv == pytest.approx(found.fit.ofv, abs=1e-3)
    strict = wb.stepwise(model, data, resume=rest, forward=1e-15)
    assert effects(strict) == [("V", "WT")]
    assert sum(trial.seconds > 0 for trial in strict.trials) == 0


def test_a_fit_under_way_can_be_stopped(data, monkeypatch):
    monkeypatch.setattr("workbench.screening.search._NOW_AND_THEN", 0.0)
    search = wb.stepwise(wb.Model(wb.pk()), data, callback=lambda progress: progress.step == 1)
    assert search.stopped and len(search.trials) == 1


def test_a_base_that_was_stopped_is_fitted_when_it_is_taken_up_again(found, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("workbench.screening.search._NOW_AND_THEN", 0.0)
        search = wb.stepwise(wb.Model(wb.pk()), data, callback=lambda progress: True)
    assert search.stopped and search.fit.status is wb.Status.stopped
    rest = wb.stepwise(wb.Model(wb.pk()), data, resume=search)
    assert rest.base.converged and effects(rest) == effects(found)


def test_another_search_cannot_be_resumed(found, data):
    with pytest.raises(wb.FitError, match="from another model"):
        wb.stepwise(wb.Model(wb.pk(), error=wb.Proportional()), data, resume=found)
    with pytest.raises(wb.FitError, match="of other data"):
        wb.stepwise(wb.Model(wb.pk()), data.exclude(subject=1), resume=found)
    with pytest.raises(wb.FitError, match="by 'focei', not 'foce'"):
        wb.stepwise(wb.Model(wb.pk()), data, method="foce", resume=found)


def test_what_the_base_has_may_leave(data):
    model = wb.Model(wb.pk()).with_covariate("V", "WT").with_covariate("CL", "WT").with_covariate("CL", "APGR")
    search = wb.stepwise(model, data)
    assert sorted(effects(search)) == [("CL", "WT"), ("V", "WT")]
    left = search.steps.iloc[-1]
    assert (left["direction"], left["parameter"], left["covariate"]) == ("backward", "CL", "APGR")
    held = model.without_covariate("CL", "APGR").allometric()
    kept = wb.stepwise(held, data)
    assert effects(kept) == [] and len(kept.model["CL"].covariates) == 1  # fixed effects are no question


def test_an_effect_of_the_base_has_the_name_of_its_own_shape(data):
    model = wb.fit(wb.Model(wb.pk()).with_covariate("V", "WT", shape="exponential"), data).model
    found = wb.stepwise(model, data, {"V": ["WT"], "CL": ["WT"]}, covariance=False)
    assert [(e.parameter, e.shape) for e in found.effects] == [("V", "exponential"), ("CL", "power")]
    leaving = [t.shape for t in found.trials if t.direction == "backward" and t.parameter == "V"]
    assert leaving == ["exponential"]


def test_the_effect_under_way_is_told_before_its_fit_ends(data):
    told = []
    wb.stepwise(wb.Model(wb.pk()), data, {"V": ["WT", "APGR"]}, covariance=False, callback=told.append)
    ended = [p for p in told if p.trial is not None]
    for before, after in pairwise(ended):
        if before.step == after.step:
            assert before.candidate == after.trial.candidate
        else:
            assert before.candidate is None


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_by_a_criterion(data, criterion):
    search = wb.stepwise(wb.Model(wb.pk()), data, criterion=criterion)
    values = [getattr(trial, criterion) for trial in search.trials if trial.ok]
    assert getattr(search.fit, criterion) <= min(values) + 1e-3
    assert {("V", "WT"), ("CL", "WT")} <= set(effects(search))
    assert criterion.upper() in repr(search)


def test_only_the_most_promising(data):
    search = wb.stepwise(wb.Model(wb.pk()), data, top=1, backward=1)
    assert effects(search) == [("V", "WT"), ("CL", "WT")]
    assert [trial.step for trial in search.trials] == [0, 1, 2, 3]


def test_one_shape_of_a_covariate_and_several_coefficients(data):
    frame = data.to_frame()
    frame["CLASS"] = pd.cut(frame["WT"], [0, 1.1, 1.6, 9], labels=["low", "mid", "high"]).astype(str)
    more = wb.read_data(frame, roles={"covariates": ["WT", "CLASS"]})
    scope = {"V": [("WT", "power"), ("WT", "exponential"), ("CLASS", "categorical")]}
    search = wb.stepwise(wb.Model(wb.pk()), more, scope)
    assert len({e.covariate for e in search.effects}) == len(search.effects)
    by_class = next(t for t in search.trials if t.covariate == "CLASS")
    assert by_class.df == 2 and by_class.p == pytest.approx(chi2.sf(by_class.delta_ofv, 2))


def test_an_effect_that_follows_from_others_is_refused(data):
    frame = data.to_frame()
    frame["SUM"] = frame["WT"] + 0.1 * frame["APGR"]
    more = wb.read_data(frame, roles={"covariates": ["WT", "APGR", "SUM"]})
    model = wb.Model(wb.pk()).with_parameter("V", covariates="(WT - 1.3) + (APGR - 7)")
    search = wb.stepwise(model, more, {"V": [("SUM", "exponential")]})
    assert "follows from the other effects on V" in search.failures["reason"].iloc[0]


def test_a_candidate_that_cannot_be_fitted_is_named_and_the_search_goes_on(data, monkeypatch):
    real = engine.fit

    def fails_for_apgar(model, *arguments, **options):
        if any("APGR" in effect.term for effect in model["V"].covariates):
            raise wb.FitError("Predictions are not numbers.")
        result = real(model, *arguments, **options)
        if any("APGR" in effect.term for effect in model["CL"].covariates):
            return replace(result, status=wb.Status.stalled)
        return result

    monkeypatch.setattr(engine, "fit", fails_for_apgar)
    search = wb.stepwise(wb.Model(wb.pk()), data, starts=2)
    assert effects(search) == [("V", "WT"), ("CL", "WT")]
    reasons = {(r.parameter, r.covariate): r.reason for r in search.failures.itertuples()}
    assert reasons["V", "APGR"] == "Predictions are not numbers."
    assert reasons["CL", "APGR"].startswith(wb.Status.stalled.value)
    assert "No minimum for APGR on V (power): Predictions are not numbers." in repr(search)


def test_bad_covariates_do_not_stop_it(data):
    frame = data.to_frame()
    codes = pd.factorize(frame[data.roles["subject"]])[0]
    frame = frame.assign(HOLES=np.where(codes == 1, np.nan, 1.0), CONSTANT=1, TWIN=frame["WT"],
                         TEXT=[f"t{c % 40}" for c in codes])  # fmt: skip
    more = wb.read_data(frame, roles={"covariates": ["WT", "HOLES", "CONSTANT", "TWIN", "TEXT"]})
    search = wb.stepwise(wb.Model(wb.pk()), more, {p: ["WT", "HOLES", "CONSTANT", "TWIN", "TEXT"] for p in ("CL", "V")})
    assert effects(search) == [("V", "WT"), ("CL", "WT")]
    assert set(search.failures["covariate"]) == {"HOLES", "CONSTANT", "TWIN", "TEXT"}
    assert "Not tried: TWIN on CL, V." in repr(search)


def test_the_base_must_have_a_minimum(data, monkeypatch):
    real = engine.fit
    monkeypatch.setattr(engine, "fit", lambda *a, **o: replace(real(*a, **o), status=wb.Status.diverged))
    with pytest.raises(wb.FitError, match="base model does not end at a minimum"):
        wb.stepwise(wb.Model(wb.pk()), data, starts=1)


@pytest.mark.parametrize(
    "options",
    [{"forward": 5}, {"backward": -0.1}, {"criterion": "cp"}, {"jobs": 0}, {"top": 0}, {"starts": None},
     {"resume": 1}, {"forward": True}, {"seed": -1}],
)  # fmt: skip
def test_arguments_that_are_not_allowed(data, options):
    with pytest.raises(wb.FitError, match=next(iter(options))):
        wb.stepwise(wb.Model(wb.pk()), data, **options)


def test_a_start_is_off_the_edge(data):
    base = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0, iiv=0.4), wb.Parameter("V", 1.0, iiv=0.3)], correlate="full")
    edge = base.with_parameter("CL", iiv=1e-9).with_correlate([wb.Block("CL", "V", correlations=[0.99999])])
    begin = startable(edge, base)
    assert begin["CL"].iiv == pytest.approx(0.08) and begin["V"].iiv == 0.3
    assert abs(begin.correlate[0].correlations[0]) < 0.96
    held = edge.with_parameter("CL", iiv=1e-9, fixed=("iiv",))
    assert startable(held, base)["CL"].iiv == 1e-9


def test_a_search_travels(found):
    """To the processes of a cluster, and into a file."""
    copy = pickle.loads(pickle.dumps(found))
    assert copy.effects == found.effects and copy.fit.ofv == found.fit.ofv
    assert math.isnan(copy.trials[0].delta_ofv) and copy.trials[1].candidate == Candidate("V", "WT", "power")


def test_a_variance_that_was_explained_comes_back():
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=40).repeat(4), np.tile(np.arange(4.0), 40)
    y = 10 + 2 * x + (1 + 0.5 * rng.normal(size=40).repeat(4)) * t + 0.5 * rng.normal(size=160)
    data = wb.read_data(pd.DataFrame({"ID": np.arange(40).repeat(4), "TIME": t, "DV": y, "X": x}))
    parameters = [wb.Parameter(name, iiv=True, transform="identity") for name in "pq"]
    bare = wb.Model(wb.equation("p + q*t"), parameters, wb.Constant())
    search = wb.stepwise(bare.with_covariate("p", "X", "linear"), data, {"p": ["X"]})
    assert search.base.estimate("iiv_p").value < 0.2  # nearly or wholly explained
    (removal,) = [trial for trial in search.trials if trial.direction == "backward"]
    assert removal.ok and removal.kept and removal.p < 1e-10
    assert removal.ofv == pytest.approx(wb.fit(bare, data, covariance=False).ofv, abs=1e-3)
    assert dict(removal.estimates)["iiv_p"] > 1.5


@pytest.mark.parametrize("method", ["individual", "two-stage", wb.TwoStage(kind="standard")])
def test_methods_without_a_likelihood_have_no_test_and_no_search(data, method):
    with pytest.raises(wb.FitError, match=r"not for a covariate search.*'focei'"):
        wb.stepwise(wb.Model(wb.pk()), data, method=method)
    with pytest.raises(wb.FitError, match="not for a covariate search"):
        wb.bootstrap_inclusion(wb.Model(wb.pk()), data, method=method)


def test_a_method_that_is_none_is_refused_before_anything_is_fitted(data):
    for search in (wb.stepwise, wb.bootstrap_inclusion, wb.full_covariate_model):
        with pytest.raises(wb.ModelError, match=r"^method='nope'; allowed are"):
            search(wb.Model(wb.pk()), data, method="nope")
