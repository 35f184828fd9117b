"""Searches from many starting points."""

import numpy as np
import pytest

import workbench as wb

from ..reference.cases import each, named

ORAL = wb.pk(absorption="first-order")


@each([named("theo320_focei"), named("wang2007_focei_prop_fit")])
def test_the_published_minimum_is_found_from_where_one_search_misses_it(case):
    entries = list(case.entries())
    initial = next(entry for entry in entries if "initial" in entry.label)
    published = next(entry for entry in entries if "final" in entry.label).published
    alone = wb.fit(initial.model, initial.data, covariance=False)
    many = wb.fit(initial.model, initial.data, covariance=False, starts=20)
    assert alone.ofv > published + 1
    assert many.converged and many.ofv == pytest.approx(published, abs=1e-3)
    table = many.starts
    assert len(table) == 20 and table["best"].sum() == 1
    assert table["ofv"].min() == pytest.approx(table["ofv"][table["best"]].item(), abs=1e-6)  # of the usual side
    assert table["initial_ofv"][0] == pytest.approx(wb.objective(initial.model, initial.data))
    assert alone.starts.empty


@pytest.fixture(scope="module")
def stated():
    data = wb.load_example("theophylline")
    return wb.initial_values(wb.Model(ORAL, error=wb.Constant()), data), data


def test_equal_seeds_give_equal_fits(stated):
    first, again, other = (wb.fit(*stated, covariance=False, starts=5, seed=seed) for seed in (1, 1, 2))
    assert first.tried == again.tried != other.tried
    assert first.ofv == again.ofv == pytest.approx(other.ofv, abs=1e-5)


def test_it_can_be_stopped(stated):
    seen = []

    def stop(progress):
        seen.append(progress.iteration)
        return len(seen) == 30

    fit = wb.fit(*stated, starts=20, callback=stop)
    assert fit.status is wb.Status.stopped and np.isfinite(fit.ofv)
    assert seen == list(range(30))
    assert (fit.starts["status"] == "not tried, or not computable there").any()


def test_numbers_that_are_none_are_refused(stated):
    for starts in (0, 2.5, True):
        with pytest.raises(wb.ModelError, match="1 or more"):
            wb.fit(*stated, starts=starts)


def test_it_tells_how_many_points_are_done():
    seen = []
    data = wb.load_example("theophylline")
    model = wb.Model(wb.pk(absorption="first-order"), [wb.Parameter(n, iiv=0.3) for n in ("ka", "CL", "V")])
    wb.fit(model, data, starts=5, covariance=False, callback=lambda p: seen.append((p.done, p.total)))
    assert seen == sorted(seen)
    assert {done for done, _ in seen} == set(range(5)) and {total for _, total in seen} == {5}
    alone = []
    wb.fit(model, data, covariance=False, callback=lambda p: alone.append((p.done, p.total)))
    assert set(alone) == {(0, 0)}
    drawn = []
    saem = wb.Saem(20, 10, samples=50)
    wb.fit(model, data, saem, covariance=False, callback=lambda p: drawn.append((p.iteration, p.done, p.total)))
    assert drawn[7] == (7, 7, 30) and drawn[-1][1:] == (30, 30)
