"""What the strip offers, the card that folds, who is selected beside a covariate, what is sent while one slides."""

from __future__ import annotations

import pytest
from ipywidgets import Widget

import workbench as wb
from workbench.ui.panels.kept import is_shown
from workbench.ui.session.terms import TERMS

from .actions import open_tab, press


@pytest.fixture
def bench(shown, theophylline):
    bench = shown(theophylline, wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()))
    bench.run()
    assert bench.wait(120)
    return bench


def chips(bench):
    """What the strip offers."""
    return [chip.description for chip in bench.controls.chips if is_shown(chip)]


@pytest.mark.parametrize(("error", "rows"), [(wb.Proportional(), 12), (wb.Exponential(), 12)])
def test_a_refused_error_model_has_ways_out(bench, error, rows):
    bench.model = bench.model.with_error(error)
    bench.run()
    assert bench.wait(60) and bench.state.problem
    assert chips(bench) == ["Combined error", f"Leave {rows} rows out"]
    assert "wb-own-line" in bench.controls.strip._dom_classes
    bench.controls.chips[1].click()
    assert not bench.state.problem and chips(bench) == []
    assert len(bench.data.frame) == 144 - rows and bench.data.undo().hash != bench.data.hash
    bench.run()
    assert bench.wait(60) and not bench.state.problem and bench.fit.model.error.title == error.title


def test_censored_values_count_as_a_chip_says(shown, theophylline):
    frame = theophylline.frame.assign(CENS=0)
    frame.loc[frame["DV"] < 1.2, ["DV", "CENS"]] = 1.2, 1
    frame.loc[frame["AMT"] > 0, "CENS"] = 0
    bench = shown(wb.read_data(frame), wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2()))
    assert chips(bench) == ["Count as beyond the limit", "Leave them out"]
    bench.controls.chips[0].click()
    assert bench.model.blq == "M3" and chips(bench) == []


def test_what_has_no_way_out_offers_none(bench):
    bench.model_panel.rows["CL"].value.value = -1
    assert bench.state.problem and chips(bench) == []


def test_live_that_waits_can_be_had(bench, monkeypatch):
    monkeypatch.setattr("workbench.ui.session.state.LIVELY", 0.0)
    bench.controls.live.value = True
    bench.error_panel.kind.value = wb.Combined2
    assert bench.wait(60) and len(bench.runs) == 1 and chips(bench) == ["Fit now", "Live all the same"]
    press(bench, bench.controls.chips[0])
    assert len(bench.runs) == 2 and chips(bench) == []
    bench.error_panel.kind.value = wb.Constant
    assert bench.wait(60) and len(bench.runs) == 2
    press(bench, bench.controls.chips[1])
    bench.error_panel.kind.value = wb.Combined2
    assert bench.wait(60) and len(bench.runs) == 4 and chips(bench) == []
    bench.controls.live.value = False
    assert not bench.state.insisting


def test_the_card_folds_until_the_next_run(bench):
    panel = bench.why_panel
    assert is_shown(panel.card) and is_shown(panel.remedies) and "rarer" not in panel.cause.value
    panel.fold.click()
    assert not is_shown(panel.remedies) and not is_shown(panel.twins) and "<p>" not in panel.cause.value
    assert panel.fold.description == "Show"
    bench.model_panel.rows["CL"].value.value = 0.05
    bench.run()
    assert bench.wait(60)
    assert is_shown(panel.remedies) and panel.fold.description == "Fold"


def test_who_is_selected_is_marked_in_the_figure_of_a_covariate(bench):
    open_tab(bench, "Screening")
    press(bench, bench.screening_panel.screen)
    points = bench.screening_panel.relation.points
    assert points.colors == ["var(--wb-observed)"]
    bench.selection = {"subjects": [9]}
    assert [k for k, color in enumerate(points.colors) if color == "var(--wb-selected)"] == [8]
    bench.screening_panel.relation._press(3)  # the browser tells the number of a point
    assert bench.selection == {"subjects": [4]}
    open_tab(bench, "Fit")
    assert set(bench.individual_panel.cells[3].points.colors) == {"var(--wb-selected)"}


def test_a_gain_that_is_no_chance_is_green(bench):
    bench.error_panel.kind.value = wb.Combined2
    bench.run()
    assert bench.wait(60)
    assert "wb-better" in bench.criteria_panel.text.value and "p 5·10⁻⁴" in bench.criteria_panel.text.value
    bench.error_panel.kind.value = wb.Constant
    bench.run()
    assert bench.wait(60)
    assert "wb-better" not in bench.criteria_panel.text.value


def test_sliding_sends_curves_and_leaves_the_points(bench, monkeypatch):
    bench.turn_to("Fit")
    bench.model_panel.rows["CL"].slider.value = 20  # from here on the fit is no longer that of the model
    sent = []
    monkeypatch.setattr(Widget, "send_state", lambda self, key=None: sent.append(self) if key else None)
    bench.model_panel.rows["CL"].slider.value = 25
    tiles = bench.individual_panel.cells
    assert {tile.population for tile in tiles} <= set(sent)
    still = {mark for tile in tiles for mark in (tile.points, tile.doses, tile.plane.x, tile.plane.y_labels)}
    assert not still & set(sent) and len(sent) < 3 * len(tiles)


def test_terms_are_explained_in_a_sentence():
    assert {"OFV", "η", "RSE", "shrinkage", "estimate", "CWRES"} <= set(TERMS)
    assert all(12 < len(said) < 130 and not said.endswith(".") for said in TERMS.values())
