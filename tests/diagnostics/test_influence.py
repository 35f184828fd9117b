"""Case deletion beside published fits, one Newton step beside refits, and what is refused."""

import math

import numpy as np
import pytest

import workbench as wb
from tests.reference.material import REFERENCE


@pytest.fixture(scope="module")
def fit():
    return wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))


@pytest.fixture(scope="module")
def influence(fit):
    return wb.influence(fit)


@pytest.mark.reference
def test_infants_left_out_by_the_six():
    """NONMEM's OFV of five groups of six infants, and estimates within a tenth of a standard error."""
    import json

    case = json.loads((REFERENCE / "cases" / "pheno_real_cdd.json").read_text(encoding="utf-8"))
    at = case["runs"][0]["evaluate"][0]["at"]
    from tests.reference.models import pheno_real

    model = pheno_real(at)
    data = wb.read_data(REFERENCE / "data" / case["data"])
    fit = wb.fit(model, data)
    groups = {run["case"]: run["drop_ids"] for run in case["runs"]}
    found = wb.influence(fit, groups).table
    for run in case["runs"]:
        assert found.loc[run["case"], "ofv"] == pytest.approx(run["expected"]["ofv"], abs=0.01), run["case"]
    assert (found["status"] == "converged").all()


def test_without_one_is_a_fit_without_one(fit, influence):
    subject = fit.data.events.subjects[4]
    alone = wb.fit(fit.model, fit.data.exclude(subject))
    k = [name for name, _ in influence.groups].index(str(subject))
    assert influence.ofv[k] == pytest.approx(alone.ofv, abs=1e-4)
    assert np.allclose(influence.values[k], alone.estimates["estimate"], rtol=1e-3)
    moved = influence.values[k] - fit.estimates["estimate"].to_numpy()
    assert influence.cook[k] == pytest.approx(math.sqrt(moved @ np.linalg.solve(fit.covariance, moved)))
    ratio = np.linalg.det(alone.covariance) / np.linalg.det(fit.covariance)
    assert influence.covariance_ratio[k] == pytest.approx(math.sqrt(ratio), rel=0.02)
    assert (influence.delta_ofv > -1e-3).all()


def test_a_newton_step_is_near_the_refit(fit, influence):
    step = wb.influence(fit, refit=False)
    near = influence.cook < 0.7
    assert near.sum() >= 5
    assert np.allclose(step.cook[near], influence.cook[near], rtol=0.15)
    assert np.allclose(step.ofv[near], influence.ofv[near], atol=0.1)
    assert np.corrcoef(step.cook, influence.cook)[0, 1] > 0.9
    assert "Newton step" in step.sentence and "a fit without each" in influence.sentence


def test_groups(fit):
    halves = wb.influence(fit, 2, refit=False)
    assert [len(members) for _, members in halves.groups] == [6, 6]
    by_weight = wb.influence(fit, "WT", refit=False)
    assert sum(len(members) for _, members in by_weight.groups) == 12
    named = wb.influence(fit, {"first": [1, 2], "last": [12]}, refit=False)
    assert list(named.table.index.sort_values()) == ["first", "last"]
    listed = wb.influence(fit, [["1", "2"], [12]], refit=False)
    assert np.allclose(listed.cook, named.cook)
    for wrong, error, said in (
        ("nothing", wb.DataError, "groups='nothing'"), ([[99]], wb.DataError, "no such subject"),
        (1, wb.FitError, "groups"), (50, wb.FitError, "12 subjects"), (2.5, wb.FitError, "lists of labels"),
        ([list(range(1, 13))], wb.FitError, "some must stay"), ([[]], wb.FitError, "0 of 12"),
    ):  # fmt: skip
        with pytest.raises(error, match=said):
            wb.influence(fit, wrong, refit=False)


def test_the_order_of_subjects_does_not_matter(fit, influence):
    frame = fit.data.to_frame()
    turned = wb.read_data(frame.sort_values("ID", ascending=False, kind="stable", ignore_index=True))
    other = wb.influence(wb.fit(fit.given, turned), refit=False)
    mine = wb.influence(fit, refit=False)
    assert np.allclose(mine.table["cook"].sort_index(), other.table["cook"].sort_index(), rtol=1e-3)


def test_it_can_be_stopped_and_says_what_failed(fit):
    found = wb.influence(fit, callback=lambda done, total: done == 3)
    assert 3 <= len(found.groups) < 12
    assert "Largest Cook" in repr(found) and "cook" in found._repr_html_()


def test_fits_without_a_minimum_or_population(fit):
    with pytest.raises(wb.FitError, match="each subject alone"):
        wb.influence(wb.fit(fit.model, fit.data, method="individual"))
    with pytest.raises(wb.FitError, match="takes a fit"):
        wb.influence(fit.model)
    few = wb.fit(fit.model, fit.data.exclude(list(fit.data.events.subjects[2:])), method="pooled")
    if few.converged:
        with pytest.raises(wb.FitError, match="2 subjects"):
            wb.influence(few)
