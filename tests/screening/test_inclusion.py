"""Searches in resampled data, and covariates exchanged between subjects."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import workbench as wb
from workbench.screening.inclusion import RandomisationTest, drawn_subjects, with_exchanged


@pytest.fixture(scope="module")
def data():
    return wb.load_example("phenobarbital")


@pytest.fixture(scope="module")
def fits(data):
    base = wb.fit(wb.Model(wb.pk()).with_covariate("V", "WT"), data, covariance=False)
    return base, wb.fit(base.model.with_covariate("CL", "WT"), data, covariance=False)


@pytest.mark.slow
def test_inclusion(data):
    found = wb.bootstrap_inclusion(wb.Model(wb.pk()), data, replicates=8, seed=2)
    again = wb.bootstrap_inclusion(wb.Model(wb.pk()), data, replicates=3, seed=2, jobs=2)
    assert found.found[:3] == again.found and not found.failures
    table = found.table.set_index(["covariate", "parameter"])["frequency"]
    assert table["WT"].min() == 1.0 and table["APGR"].max() < 0.8
    assert table.loc[("APGR", "CL")] == np.mean([("CL", "APGR") in one for one in found.found])
    assert found.models["frequency"].sum() == pytest.approx(1.0)
    assert "8 replicates" in repr(found) and "<table" in found._repr_html_()


def test_it_can_be_stopped(data):
    found = wb.bootstrap_inclusion(
        wb.Model(wb.pk()), data, replicates=9, callback=lambda done, of: done == 2 and of == 9
    )
    assert len(found.found) == 2 and "2 of 9 replicates" in repr(found)


def test_a_replicate_without_a_result_is_counted(data, monkeypatch):
    def no_search(*arguments, **options):
        raise wb.FitError("The base model does not end at a minimum.")

    monkeypatch.setattr("workbench.screening.inclusion.stepwise", no_search)
    found = wb.bootstrap_inclusion(wb.Model(wb.pk()), data, replicates=2)
    assert len(found.failures) == 2 and found.table["frequency"].isna().all()
    assert "2 of them without a result" in repr(found)


def test_a_subject_drawn_twice_is_there_twice(data):
    drawn = np.array([3, 3, 0])
    more = drawn_subjects(data, drawn)
    assert len(more.events.subjects) == 3 and more.units == data.units
    for k, i in enumerate(drawn):
        mine, theirs = more.events, data.events
        one, other = slice(*mine.start[k : k + 2]), slice(*theirs.start[i : i + 2])
        for part in ("time", "amount", "dv"):
            assert np.array_equal(getattr(mine, part)[one], getattr(theirs, part)[other], equal_nan=True)
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 0.006, iiv=0.4), wb.Parameter("V", 1.4, iiv=0.4)], wb.Constant(2.5))
    one, other = (wb.objective(model, drawn_subjects(data, np.array([i]))) for i in (3, 0))
    assert wb.objective(model, more) == pytest.approx(2 * one + other)


def test_exchanged_values_are_those_of_one_other_subject(data):
    order = np.random.default_rng(1).permutation(59)
    more, copies = with_exchanged(data, ("WT", "APGR"), order)
    for name, copy in copies.items():
        first = data.events.start[:-1]
        before = data.covariate_values([name])[name].to_numpy()[first]
        after = more.covariate_values([copy])[copy].to_numpy()
        assert np.array_equal(after[first], before[order])
        assert np.array_equal(after, after[first][data.events.subject])  # constant as before
        assert np.array_equal(more.covariate_values([name])[name], data.covariate_values([name])[name])


def test_a_covariate_that_changes_goes_as_a_whole():
    frame = pd.DataFrame({"ID": [1, 1, 1, 2, 2], "TIME": [0.0, 2, 4, 0, 3], "DV": 1.0, "X": [1.0, 2, 3, 10, 20]})
    more, copies = with_exchanged(wb.read_data(frame), ("X",), np.array([1, 0]))
    assert more.covariate_values(list(copies.values()))["X_exchanged"].tolist() == [10, 10, 20, 1, 2]


def test_randomisation(fits):
    base, full = fits
    found = wb.randomisation_test(base, full, 25, seed=4)
    again = wb.randomisation_test(base, full, 4, seed=4, jobs=2)
    assert found.delta_ofv[:4] == pytest.approx(again.delta_ofv, abs=1e-6)
    assert found.observed == base.ofv - full.ofv and found.df == 1
    assert (found.delta_ofv > -0.02).all() and found.delta_ofv.max() < found.observed
    assert found.p == pytest.approx(1 / 26) and found.nominal_p < 1e-8
    assert 0.5 < found.critical() < 15
    assert "WT exchanged between subjects 25 times" in repr(found) and "critical" in repr(found).lower()
    assert len(found.table) == 25


def test_quantiles_of_a_randomisation():
    drops = np.r_[np.arange(1.0, 100.0), np.nan]
    found = RandomisationTest(("WT",), 95.0, 1, drops, 200)
    assert found.p == pytest.approx(6 / 100) and found.nominal_p == chi2.sf(95.0, 1)
    assert found.critical(0.05) == pytest.approx(np.quantile(np.arange(1.0, 100.0), 0.95))
    assert found.actual_level(0.05) == pytest.approx(np.mean(np.arange(1.0, 100.0) > chi2.isf(0.05, 1)))
    assert "100 of 200 times (1 without a minimum)" in repr(found)
    assert np.isnan(RandomisationTest(("WT",), 1.0, 1, np.array([1.0, 2.0]), 2).critical())


def test_a_randomisation_can_be_stopped(fits):
    found = wb.randomisation_test(*fits, 9, callback=lambda done, of: done == 2)
    assert len(found.delta_ofv) == 2 and "2 of 9 times" in repr(found)


def test_what_cannot_be_tested(fits, data):
    base, full = fits
    with pytest.raises(wb.FitError, match="smaller model first"):
        wb.randomisation_test(full, base)
    other = wb.fit(base.model.with_correlate("full"), data, covariance=False)
    with pytest.raises(wb.FitError, match="with more covariate effects, and nothing else"):
        wb.randomisation_test(base, other)
    with pytest.raises(wb.FitError, match="permutations=0"):
        wb.randomisation_test(base, full, 0)
    with pytest.raises(wb.FitError, match="replicates=0"):
        wb.bootstrap_inclusion(base.model, data, replicates=0)
    for wrong in ({"forward": 2}, {"criterion": "cp"}, {"starts": 0}, {"seed": -1}, {"jobs": 0}):
        with pytest.raises(wb.FitError, match=f"^{next(iter(wrong))}="):
            wb.bootstrap_inclusion(base.model, data, **wrong)
    for wrong in ({"starts": 0}, {"seed": -1}, {"jobs": 0}):
        with pytest.raises(wb.FitError, match=f"^{next(iter(wrong))}="):
            wb.randomisation_test(base, full, 2, **wrong)
    with pytest.raises(wb.FitError, match="resume: no option"):
        wb.bootstrap_inclusion(base.model, data, resume=None)
    with pytest.raises(wb.FitError, match="one subject only"):
        wb.bootstrap_inclusion(base.model, data.exclude(subject=list(data.events.subjects[1:])))
