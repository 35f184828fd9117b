"""The Diagnose board: figures that share a selection, what is computed for them, what is said where there is none."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.markup import number
from workbench.ui.session import diagnosed
from workbench.ui.session.board import KINDS, USUAL

ORAL = wb.Model(wb.pk(absorption="first-order"))


@pytest.fixture
def board(shown):
    bench = shown(wb.load_example("theophylline"), ORAL)
    bench.run()
    assert bench.wait(120)
    bench.turn_to("Diagnose")
    return bench


def choose(chart, name):
    chart.kind.value = name


def test_six_figures_have_a_sentence_a_table_and_units(board):
    panel = board.diagnose_panel
    assert [chart.kind.value for chart in panel.charts] == list(USUAL) and len(panel.charts) == 6
    for chart in panel.charts:
        assert chart.drawing.sentence and len(chart.drawing.table) and chart.drawing.code
        assert chart.missing.layout.display == "none"
    assert panel.over_time.plane.x_axis.label == "time, h" and panel.fits.plane.y_axis.label == "observed, mg/L"
    panel.fits.turn.click()
    assert "<table" in panel.fits.table.value and panel.fits.figure.layout.display == "none"


def test_every_figure_can_be_chosen(board):
    board.model = board.model.with_covariate("V", "WT")
    board.run()
    assert board.wait(120)
    panel = board.diagnose_panel
    for kind in KINDS:
        choose(panel.check, kind.name)
        drawing = panel.check.drawing
        expected = "below a limit" if kind.name == "censored" else ""
        assert expected in drawing.missing if expected else not drawing.missing, kind.name
        for option in panel.check.option.options:
            panel.check.option.value = option
            assert not panel.state.problem
    choose(panel.check, "change")
    assert panel.check.option.options == ("run 1",) and "beside run 1" in panel.check.drawing.sentence


def test_what_is_not_seen_is_not_computed(shown):
    bench = shown(wb.load_example("theophylline"), ORAL)
    bench.run()
    assert bench.wait(120)
    assert not diagnosed.found_of(bench.state)
    bench.turn_to("Diagnose")
    assert [type(one).__name__ for one in diagnosed.found_of(bench.state).values()] == ["Vpc"]
    bench.diagnose_panel.residual.value = "NPDE"
    assert "errors" in diagnosed.found_of(bench.state)
    assert bench.diagnose_panel.over_time.plane.y_axis.label == "NPDE"


def test_other_bins_take_the_same_simulations(board):
    panel = board.diagnose_panel
    before = diagnosed.found_of(board.state)[("check", panel.chosen_check)]
    panel.corrected.value, panel.bins.value = True, 5
    found = diagnosed.found_of(board.state)[("check", panel.chosen_check)]
    assert found.sample is before.sample and found.corrected and found.table["bin"].nunique() == 5
    assert found.code == "wb.vpc(fit, bins=5, prediction_corrected=True)"
    panel.replicates.value = 200
    assert "replicates=200" in panel.check.drawing.code


def test_a_point_is_marked_in_all_figures(board):
    panel = board.diagnose_panel
    panel.over_time.points._clicked({"data": {"index": 15}})  # the browser tells the number of a point
    assert board.selection == {"subjects": [2]}
    assert [len(c.points.mark.selected) for c in panel.charts] == [11, 11, 11, 11, 3, 11]
    assert "bench.selection = {&#x27;subjects&#x27;: [2]}" in panel.table.value
    assert "by one Newton step" in panel.without.value
    panel.pick.value = "points"
    board.selection = None
    panel.over_time.points._clicked({"data": {"index": 15}})
    (row,) = board.selection["points"]
    assert board.data.frame.loc[row, "ID"] == 2 and len(panel.over_time.points.mark.selected) == 1
    assert len(panel.effects.points.mark.selected) == 3  # the random effects of whose point it is
    panel.over_time.points._clicked({"data": {"index": 15}})
    assert board.selection == {}


def test_a_lasso_marks_who_is_within(board):
    panel = board.diagnose_panel
    panel.lasso.value = True
    panel.over_time.points.mark.selected = np.array([0, 1, 15])
    assert board.selection == {"subjects": [1, 2]}
    panel.lasso.value = False
    assert panel.over_time.figure.interaction is None


def test_old_and_new_estimates_stand_side_by_side(board):
    board.selection = {"subjects": [9]}
    before = {e.name: e.value for e in board.fit.lines}
    predicted = diagnosed.stepped(board.fit, board.state.selection)
    board.foot.out.click()
    assert board.wait(120)
    panel = board.diagnose_panel
    assert "Run 1 and run 2" in panel.without.value and "exclude" in panel.without.value
    after = {e.name: e.value for e in board.fit.lines}
    for name in ("ka", "CL", "V"):
        assert f"<td>{number(before[name])}</td><td>{number(after[name])}</td>" in panel.without.value
        assert abs(predicted[name] - after[name]) < 0.05 * after[name]
    assert diagnosed.before_exclusion(board.state).number == 1


def test_long_work_is_asked_for_and_given_up_where_it_is_cancelled(board, monkeypatch):
    monkeypatch.setattr(diagnosed, "_QUICK_VALUES", 0)
    panel, asked = board.diagnose_panel, []
    panel.ask = asked.append
    panel.replicates.value = 500
    assert [request.title for request in asked] == ["Visual predictive check"]
    assert panel.check.drawing.missing == "Being computed …"
    portions = []
    asked[0].done(asked[0].work(lambda portion: portions.append(portion) or portion.done >= 100))
    assert portions[-1].total == 500 and not panel.check.drawing.missing
    assert "100" in panel.check.drawing.code  # what was done is kept
    panel.replicates.value = 3000
    assert len(asked) == 2
    panel.render(frozenset({"activity"}))  # it has ended without a result
    assert len(asked) == 2 and "wb-gone" not in panel.again._dom_classes
    panel.again.click()
    assert len(asked) == 3


def test_without_random_effects_or_a_population_it_is_said(board):
    board.method = "pooled"
    board.run()
    assert board.wait(120)
    panel = board.diagnose_panel
    assert "no random effects" in panel.effects.drawing.missing and not panel.check.drawing.missing
    for kind in KINDS:
        choose(panel.normal, kind.name)
        assert not board.state.problem, kind.name
    board.method = "individual"
    board.run()
    assert board.wait(120)
    assert panel.residual.options == ("IWRES",) and "population" in panel.check.drawing.missing
    for kind in KINDS:
        choose(panel.normal, kind.name)
        assert not board.state.problem, kind.name


def test_all_censored_and_one_subject(shown):
    data = wb.load_example("theophylline")
    frame = data.frame.assign(CENS=1, DV=data.frame["DV"].where(data.frame["DV"].isna(), 20.0))
    censored = wb.read_data(frame)
    model = wb.Model(
        wb.pk(absorption="first-order"),
        [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 0.04, iiv=0.3), wb.Parameter("V", 0.5, iiv=0.2)],
        error=wb.Constant(0.5),
    )
    one = data.exclude(subject=list(range(2, 13)))
    for stated, found in ((model, censored), (model, one)):
        bench = shown(found, stated)
        bench.run()
        assert bench.wait(120)
        bench.turn_to("Diagnose")
        if bench.fit is None:
            continue
        for kind in KINDS:
            choose(bench.diagnose_panel.normal, kind.name)
            drawing = bench.diagnose_panel.normal.drawing
            assert drawing.sentence or drawing.missing
            assert not bench.state.problem, kind.name
