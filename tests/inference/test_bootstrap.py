"""The bootstrap: in parallel, within strata, parametric, and what is said of replicates that fail."""

import gc

import joblib
import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.problem.compile import compile
from workbench.inference.bootstrap import _Resampling, _strata

ORAL = wb.pk(absorption="first-order")
NOT_ZERO = (0, 6, 9)  # subjects of theophylline whose first concentration, before the dose, is not 0


@pytest.fixture(scope="module")
def combined(theophylline):
    return wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline)


def design(subjects, times):
    """Doses of 100 to `subjects` subjects that are seen at `times`, two thirds of them women."""
    n = len(times) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(subjects), n), "TIME": np.tile(np.r_[0, times], subjects)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(n - 1, int)], subjects)
    frame["AMT"] = np.where(frame["EVID"] == 1, 100.0, 0.0)
    frame["SEX"] = np.where(frame["ID"] % 3 == 0, "male", "female")
    frame["DV"] = np.where(frame["EVID"] == 0, 1.0, 0.0)
    return wb.read_data(frame)


def with_observations(data, simulated):
    frame = data.frame.copy()
    frame.loc[simulated.index, "DV"] = simulated["DV"].to_numpy()
    return wb.read_data(frame, roles=data.roles)


@pytest.fixture(scope="module")
def bolus():
    """A fit to a rich design with a single compartment and a bolus."""
    data = design(40, [0.5, 1, 2, 4, 8, 12, 18])
    parameters = [wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)]
    truth = wb.Model(wb.pk(), parameters, error=wb.Proportional(0.1))
    return wb.fit(truth, with_observations(data, wb.simulate(truth, data, seed=5)))


# -- in parallel ---------------------------------------------------------------------------------------------------


def same(first, second):
    return (
        np.array_equal(first.values, second.values, equal_nan=True)
        and np.array_equal(first.ofv, second.ofv, equal_nan=True)
        and first.table["message"].equals(second.table["message"])
        and first.status == second.status
    )


@pytest.mark.parametrize("kind", ["subjects", "parametric"])
def test_results_do_not_depend_on_who_computes_them(combined, kind):
    serial = wb.bootstrap(combined, 40, kind=kind, seed=1)
    assert same(serial, wb.bootstrap(combined, 40, kind=kind, seed=1, jobs=2))
    for backend in ("threading", "loky"):
        with joblib.parallel_config(backend, n_jobs=2):
            assert same(serial, wb.bootstrap(combined, 40, kind=kind, seed=1))


def test_a_surrounding_backend_is_used(bolus, monkeypatch):
    from joblib._parallel_backends import ThreadingBackend

    class Mine(ThreadingBackend):
        used = 0

        def configure(self, *args, **kwargs):
            Mine.used += 1
            return super().configure(*args, **kwargs)

    joblib.register_parallel_backend("mine", Mine)
    with joblib.parallel_config("mine", n_jobs=2):
        wb.bootstrap(bolus, 4)
    assert Mine.used == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_and_cancel(bolus, jobs):
    seen = []
    found = wb.bootstrap(bolus, 200, jobs=jobs, callback=lambda done, of: seen.append((done, of)) or done == 3)
    assert seen == [(1, 200), (2, 200), (3, 200)]
    assert 3 <= len(found.table) < 20 and "of 200 replicates" in repr(found)
    assert same(found, wb.bootstrap(bolus, len(found.table)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_callback_raises_is_raised_and_nothing_else_is_said(bolus, jobs):
    """pytest makes an error of a warning, in a generator that is thrown away as well."""

    def callback(done, of):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        wb.bootstrap(bolus, 6, jobs=jobs, callback=callback)
    gc.collect()


@pytest.mark.parametrize("jobs", [0, -2, 1.5, True, "2"])
def test_jobs_that_are_none(bolus, jobs):
    with pytest.raises(wb.FitError, match="-1 for all cores"):
        wb.bootstrap(bolus, 2, jobs=jobs)


# -- what is drawn -------------------------------------------------------------------------------------------------


def test_draws_within_strata_keep_the_counts(bolus):
    strata = _strata(bolus.data, "SEX")
    sex = bolus.data.subjects["SEX"].to_numpy()
    drawing = _Resampling(bolus.model, bolus.data, "focei", 1, strata)
    draws = np.array([drawing.drawn(number) for number in range(1, 100)])
    assert (draws[:, sex == "male"].sum(axis=1) == (sex == "male").sum()).all()
    assert (draws.sum(axis=1) == len(sex)).all() and draws.max() > 2
    assert draws.mean(axis=0) == pytest.approx(1.0, abs=0.5)
    found = wb.bootstrap(bolus, 5, stratify="SEX")
    assert "within SEX" in repr(found) and set(found.status) == {"converged"}


def test_strata_that_are_none(bolus, theophylline, combined):
    with pytest.raises(wb.FitError, match="a value of its own"):
        wb.bootstrap(
            combined, 2, stratify="Subject" if "Subject" in theophylline.frame else theophylline.roles["subject"]
        )
    with pytest.raises(wb.FitError, match="10 of 12 subjects have a value of its own"):
        wb.bootstrap(combined, 2, stratify="WT")
    with pytest.raises(wb.FitError, match="it changes within subject 0 and 39 more"):
        wb.bootstrap(bolus, 2, stratify="TIME")
    with pytest.raises(wb.DataError, match="no column 'SEXX'"):
        wb.bootstrap(bolus, 2, stratify="SEXX")
    with pytest.raises(wb.FitError, match="draws none"):
        wb.bootstrap(bolus, 2, stratify="SEX", kind="parametric")


# -- parametric ----------------------------------------------------------------------------------------------------


def test_a_parametric_replicate_is_a_fit_to_simulated_data(bolus):
    found = wb.bootstrap(bolus, 2, kind="parametric", seed=7)
    for number, row in found.table.iterrows():
        simulated = wb.simulate(bolus.model, bolus.data, seed=np.random.default_rng([7, number + 1]))
        again = wb.fit(bolus.model, with_observations(bolus.data, simulated), covariance=False)
        assert row["ofv"] == pytest.approx(again.ofv, abs=1e-4)
        assert row["CL"] == pytest.approx(again.estimate("CL").value, rel=1e-3)


def test_a_parametric_replicate_of_log_normal_data(bolus):
    model = bolus.model.with_error(wb.Exponential(0.1))
    fit = wb.fit(model, bolus.data, covariance=False)
    found = wb.bootstrap(fit, 1, kind="parametric", seed=7)
    simulated = wb.simulate(fit.model, fit.data, seed=np.random.default_rng([7, 1]))
    again = wb.fit(fit.model, with_observations(fit.data, simulated), covariance=False)
    assert found.ofv[0] == pytest.approx(again.ofv, abs=1e-4)


def test_parametric_standard_errors_of_a_rich_design_are_those_of_the_hessian(bolus):
    found = wb.bootstrap(bolus, 150, kind="parametric", jobs=2)
    assert not found.failures
    ratio = found.summary["se"] / bolus.estimates["se"]
    assert ratio.between(0.8, 1.25).all()  # 150 replicates: 6 % standard error of a standard error


def test_censored_observations_are_not_simulated(bolus):
    frame = bolus.data.frame.copy()
    low = (frame["EVID"] == 0) & (frame["DV"] < 1.0)
    frame["CENS"] = np.where(low, 1, 0)
    frame.loc[low, "DV"] = 1.0
    data = wb.read_data(frame, roles={**bolus.data.roles, "censor": "CENS"})
    fit = wb.fit(bolus.model.with_blq("M3"), data, covariance=False)
    with pytest.raises(wb.FitError, match="is not known"):
        wb.bootstrap(fit, 2, kind="parametric")
    assert wb.bootstrap(fit, 2).status == ("converged",) * 2


# -- replicates that fail ------------------------------------------------------------------------------------------


def test_a_draw_whose_likelihood_has_no_end_is_named(combined, theophylline):
    """Without the three subjects whose first value is not 0, the likelihood is infinite as a goes to 0."""
    found = wb.bootstrap(combined, 40)
    drawing = _Resampling(combined.model, theophylline, "focei", 1, (np.arange(12),))
    without = [not drawing.drawn(number)[list(NOT_ZERO)].any() for number in range(1, 41)]
    assert 0 < sum(without) < 5
    table = found.table
    assert (table["status"][without] == "diverged").all() and table["CL"][without].isna().all()
    assert table["message"][without].str.contains("infinite as a goes to 0").all()
    assert found.failures == {"diverged": sum(without)}
    others = table[[not one for one in without]]
    assert (others["message"] == "").eq(others["status"] == "converged").all()

    labels = [theophylline.events.subjects[i] for i in NOT_ZERO]
    left = theophylline
    for label in labels:
        left = left.exclude(subject=label)
    ofv = [wb.objective(combined.model.with_error(wb.Combined2(a, 0.13)), left) for a in (1e-2, 1e-4, 1e-6)]
    assert ofv[0] - 50 > ofv[1] and ofv[1] - 50 > ofv[2]


def test_what_cannot_be_drawn_is_refused(bolus):
    with pytest.raises(wb.FitError, match="allowed are 'subjects' and 'parametric'"):
        wb.bootstrap(bolus, kind="residual")
    with pytest.raises(wb.FitError, match=r"is for a fit as .* got Model"):
        wb.bootstrap(bolus.model)
    with pytest.raises(wb.FitError, match="seed=-1"):
        wb.bootstrap(bolus, seed=-1)
    alone = bolus.data.filter("ID == 1")
    assert compile(bolus.model, alone).n_subjects == 1
    with pytest.raises(wb.FitError, match="one subject only"):
        wb.bootstrap(wb.fit(bolus.model, alone, max_iterations=0, covariance=False))
