"""The run history."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.results.runs import Runs


@pytest.fixture(scope="module")
def runs():
    data, made = wb.load_example("theophylline"), Runs()
    for error, method in ((wb.Constant(), "focei"), (wb.Combined2(), "focei"), (wb.Constant(), "foce")):
        model = wb.Model(wb.pk(absorption="first-order"), error=error)
        made = made.add(wb.fit(model, data, method=method))
    return made


def test_runs_are_numbered_and_found(runs):
    assert len(runs) == 3 and [run.number for run in runs] == [1, 2, 3]
    assert runs[-1] is runs[3] and runs.find(runs[2].fit) is runs[2]
    with pytest.raises(KeyError, match="1 to 3"):
        runs[4]


def test_adding_leaves_the_old_history(runs):
    assert len(runs.add(runs[1].fit)) == 4 and len(runs) == 3


def test_the_table_compares_like_with_like(runs):
    table = runs.table()
    assert list(table.index) == [1, 2, 3]
    assert table.delta_ofv[1] == pytest.approx(table.ofv[1] - table.ofv[2]) and table.delta_ofv[3] == 0
    assert table.error.tolist() == ["constant", "combined2", "constant"]
    assert list(Runs().table().columns) == list(table.columns)
    assert "<table" in runs._repr_html_() and "OFV" in repr(runs)


def test_a_runs_cell_gives_it_again(runs):
    namespace = {}
    exec(runs[2].code, namespace)
    assert namespace["fit"].ofv == runs[2].fit.ofv


def test_the_cell_of_a_fit_with_other_settings_gives_it_again():
    data = wb.load_example("theophylline")
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())
    run = Runs().add(wb.fit(model, data, wb.Quadrature(3), starts=3, seed=4, covariance="S"))[-1]
    assert "method=wb.Quadrature(nodes=3), covariance='S', starts=3, seed=4)" in run.code
    names = {}
    exec(run.code, names)
    assert names["fit"].ofv == run.fit.ofv and names["fit"].tried == run.fit.tried
    assert names["fit"].estimates.equals(run.fit.estimates)
