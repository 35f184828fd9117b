"""The room: six tabs with marks, one selection, why a fit failed; widgets are set as a browser would set them."""

from __future__ import annotations

import time

import numpy as np
import pytest

import workbench as wb
from workbench.model import usual_model
from workbench.results.runs import Runs
from workbench.ui.app import PAGES
from workbench.ui.panels.kept import is_shown
from workbench.ui.session import opinion, why
from workbench.ui.session.curves import Sketch
from workbench.ui.session.file import File
from workbench.ui.session.shrinkage import Shrinkage

from .actions import press


def kinds(bench):
    """What each tab is marked with."""
    found = [name.removeprefix("wb-t").split("-") for name in bench.tab._dom_classes if name.startswith("wb-t") and
             name[4:5].isdigit()]  # fmt: skip
    return {PAGES[int(number) - 1].title: kind for number, kind in found}


def test_tabs_are_marked_with_the_state_of_the_work(shown, theophylline):
    assert set(kinds(shown()).values()) == {"none"}
    bench = shown(theophylline)
    assert kinds(bench)["Model"] == "ready" and kinds(bench)["Fit"] == "none"
    bench.run()
    assert bench.wait(60)
    assert kinds(bench)["Fit"] == kinds(bench)["Diagnose"] == "ready" and bench.tab.titles[-2] == "Runs 1"
    bench.model = bench.model.with_error(wb.Constant())
    assert kinds(bench)["Fit"] == "none"  # what is stated was not fitted


def test_a_panel_on_two_pages_is_one(shown, theophylline):
    bench = shown(theophylline)
    bench.turn_to("Model")
    boxes = set(bench.model_panel.rows["ka"].view.children)
    bench.turn_to("Fit")
    assert set(bench.model_panel.rows["ka"].view.children) == boxes and bench.model_panel in bench.shown
    with pytest.raises(ValueError, match="no tab"):
        bench.turn_to("Nonsense")


def test_one_selection_is_marked_everywhere_left_out_and_brought_back(shown, theophylline):
    bench = shown(theophylline)
    bench.run()
    assert bench.wait(60)
    first = bench.fit.ofv
    bench.turn_to("Diagnose")
    bench.diagnose_panel.over_time.points._clicked({"data": {"index": 15}})  # the browser tells the number of a point
    assert bench.selection == {"subjects": [2]}
    marked = bench.diagnose_panel.over_time.points.mark.selected
    assert len(marked) == len(bench.diagnose_panel.normal.points.mark.selected) == 11
    assert "subject 2" in bench.foot.selected.value and "<td>2</td>" in bench.diagnose_panel.table.value
    bench.turn_to("Fit")
    assert "wb-selected-name" in bench.individual_panel.cells[1].name._dom_classes
    press(bench, bench.foot.out)
    assert len(bench.data.events.subjects) == 11 and ".exclude(subject=2)" in bench.code and len(bench.runs) == 2
    assert bench.selection == {} and bench.fit.ofv != first
    press(bench, bench.foot.undo)
    assert len(bench.data.events.subjects) == 12 and bench.fit.ofv == first
    with pytest.raises(wb.DataError, match="no 99"):
        bench.selection = [99]


def test_the_table_shows_what_was_found_beside_what_it_starts_from(shown, theophylline):
    bench = shown(theophylline)
    bench.run()
    assert bench.wait(60)
    row, b = bench.model_panel.rows["ka"], bench.error_panel.parts["b"]
    assert "1.479" in row.found.estimate.value and "20 %" in row.found.rse.value
    assert "0.1313" in b.found.estimate.value
    bench.error_panel.kind.value = wb.Constant
    bench.run()
    assert bench.wait(60)
    assert "was 1.479" in row.found.estimate.value and "combined2 → constant" in bench.criteria_panel.text.value
    press(bench, row.found.take)
    assert bench.model["ka"].value == bench.fit.model["ka"].value and bench.model["CL"].value != bench.fit.estimate(
        "CL"
    )


def test_time_after_dose_cuts_curves_at_doses(shown):
    bench = shown(wb.load_example("phenobarbital"))
    bench.turn_to("Individual fits")
    panel = bench.individual_panel
    before = panel.cells[0].population.x
    panel.time.value = True
    after = panel.cells[0].population.x
    assert np.nanmax(after) < np.nanmax(before) and np.isnan(panel.cells[0].population.y).any()
    panel.axes.value = not panel.axes.value
    panel.cells[2].name.click()
    assert is_shown(panel.single) and not is_shown(panel.trellis) and "covariates" in panel.about.value
    panel.close.click()
    assert is_shown(panel.trellis)


def test_a_rival_is_named_with_a_remedy_that_was_fitted_before_it_is_promised(shown, theophylline):
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()).with_values({"ka": 0.08, "V": 0.026})
    bench = shown(theophylline, model)
    bench.run()
    assert bench.wait(60)
    panel, edge = bench.why_panel, bench.fit
    line = next(line for line in panel.lines if "other solution" in line.text.value)
    assert is_shown(panel.card) and "another solution" in panel.cause.value and "not tried yet" in line.text.value
    press(bench, panel.see)
    (first,) = next(cause.remedies for cause in why.causes(bench.state.run) if cause.kind == "rival")
    promised = bench.state.study("why")[first.code]
    assert f"{promised.ofv:.2f}" in line.text.value
    press(bench, line.button)
    assert bench.fit.ofv == pytest.approx(promised.ofv, abs=1e-6) and bench.fit.ofv == pytest.approx(115.987, abs=0.01)
    assert eval(first.code, {"fit": edge, "wb": wb}) == first.model
    press(bench, panel.undo)
    assert bench.fit is edge


def test_a_sound_fit_has_no_card(shown, theophylline):
    bench = shown(theophylline)
    bench.run()
    assert bench.wait(60)
    assert why.causes(bench.state.run) == () and not is_shown(bench.why_panel.card)


def test_a_box_that_is_drawn_in_a_figure_is_what_all_figures_show(shown, theophylline):
    bench = shown(theophylline)
    bench.turn_to("Individual fits")
    panel = bench.individual_panel
    panel.zoom.value = True
    first, second = panel.cells[:2]
    whole = first.plane.x.max
    box = first.figure.interaction
    box.brushing = True
    box.set_state({"selected_x": [1.0, 6.0], "selected_y": [4.0, 12.0], "brushing": False})
    assert (first.plane.x.min, first.plane.x.max, second.plane.y.min) == (1.0, 6.0, 4.0) and is_shown(panel.whole)
    assert len(panel.cells[0].doses.x) == 0 or not panel.cells[0].doses.visible
    panel.axes.value = True  # axes of its own for each
    assert first.plane.x.max > 20 and not is_shown(panel.whole)
    box.brushing = True
    box.set_state({"selected_x": [2.0, 5.0], "selected_y": [4.0, 12.0], "brushing": False})
    assert first.plane.x.max == 5.0 and second.plane.x.max > 20
    panel.axes.value = False
    assert first.plane.x.max == whole


def test_a_lasso_marks_observations_in_all_figures_and_tables(shown, theophylline):
    bench = shown(theophylline)
    bench.turn_to("Individual fits")
    panel = bench.individual_panel
    panel.lasso.value = True
    assert not panel.zoom.value and panel.cells[1].figure.interaction is not None
    panel.cells[1].points.selected = np.array([2, 3])
    rows = bench.selection["points"]
    assert theophylline.frame.loc[rows, "ID"].tolist() == [2, 2]
    assert panel.cells[1].points.colors.count("var(--wb-selected)") == 2
    bench.turn_to("Data")
    chosen = bench.data_panel.plot.figure.chosen_points
    assert chosen.visible and len(chosen.x) == 2
    bench.data_panel.plot.figure._clicked(bench.data_panel.plot.figure.points[0], {"data": {"index": 0}})
    assert bench.selection == {"subjects": [1]} and len(chosen.x) == 11
    bench.data_panel.views.value = "rows"
    assert bench.data_panel.preview.value.count("wb-marked") == 12


@pytest.mark.parametrize("name", ["theophylline", "quinidine", "remifentanil", "tetracycline", "glucose"])
def test_curves_pass_through_their_predictions(name):
    data = wb.load_example(name)
    model = wb.initial_values(usual_model(data), data)
    effects = sum(p.iiv is not None for p in model.parameters)
    etas = 0.3 * np.random.default_rng(1).standard_normal((len(data.events.subjects), effects))
    sketch = Sketch(model, data)
    drawn, predicted = sketch.drawn(model, etas, 0), sketch.predicted(model, etas, 0)
    events, at = data.events, 0
    for i, (a, b) in enumerate(zip(events.start[:-1], events.start[1:], strict=True)):
        time = events.time[a:b][events.observed[a:b] & (events.censored[a:b] == 0)]
        for curve, values in ((drawn.population[i], predicted.population), (drawn.individual[i], predicted.individual)):
            f = values[at : at + len(time)]
            sides = [np.interp(time + step, drawn.time[i], curve) for step in (-1e-9, 1e-9)]  # a bolus is a jump
            error = np.min([np.abs(side - f) for side in sides], axis=0)
            assert (error <= 0.01 * np.abs(f) + 1e-9).all()
        at += len(time)
    assert at == len(predicted.y)


def test_a_second_opinion_agrees_on_a_sound_fit_and_says_what_differs_on_another(theophylline):
    sound = Runs().add(wb.fit(wb.Model(wb.pk(absorption="first-order")), theophylline))[-1]
    found = opinion.sought(sound, lambda _: False)
    assert found.kind == "agrees" and len(found.details) == 2 and "quadrature" in found.details[0]
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()).with_values({"ka": 0.08, "V": 0.026})
    edge = Runs().add(wb.fit(model, theophylline))[-1]
    assert opinion.sought(edge, lambda _: True) is None  # work goes first
    far = opinion.farthest(sound.fit, edge.fit)
    assert far is not None and far[3] > 0.5 and far[0] in sound.fit.estimates.index
    pooled = Runs().add(wb.fit(sound.model, theophylline, method="pooled"))[-1]
    assert opinion.sought(pooled, lambda _: False).kind == "none"


def test_the_light_is_lit_in_the_background_and_given_up_for_work(shown, theophylline):
    bench = shown(theophylline)
    light = bench.controls.opinion
    assert light.disabled
    bench.run()
    assert bench.wait(60)
    assert not light.disabled and light.description == "Second opinion"  # nobody looks on: it is not sought by itself
    light.click()
    assert bench.state.opining and light.disabled
    bench.model = bench.model.with_error(wb.Constant())
    assert not bench.state.opining and bench.state.study("opinion") is None
    bench.restore(1)
    light.click()
    end = time.monotonic() + 60
    while bench.state.opining and time.monotonic() < end:
        time.sleep(0.05)
    assert light.description == "Second opinion: agrees" and "wb-says-agrees" in light._dom_classes
    assert "further starts" in light.tooltip


def test_values_are_drawn_to_the_population_as_psi_is_slid(shown, theophylline):
    bench = shown(theophylline)
    bench.run()
    assert bench.wait(60)
    bench.turn_to("Shrinkage")
    assert bench.wait(60)
    panel = bench.shrinkage_panel
    shrinkage = Shrinkage(bench.state.run)
    here = shrinkage.at(1.0)
    assert np.allclose(here.etas, bench.fit.eta_matrix, atol=1e-4)
    assert np.allclose(here.mixed, bench.fit.parameter_matrix, rtol=1e-4)
    assert panel.alone.visible and len(panel.mixed.x) == 12 and "alone: ka" in panel.said.value
    own = panel.alone.x.copy()
    gaps, curve = [], panel.tile.individual.y.copy()
    for place in (40, 0, -40, -80):
        panel.slider.value = place
        gaps.append(float(np.abs(panel.mixed.x - own).mean()))
        assert (panel.alone.x == own).all()
    assert gaps == sorted(gaps) and gaps[0] < 0.3 * gaps[-1]
    assert np.allclose(panel.mixed.x, np.log10(bench.fit.model["ka"].value), atol=0.02)  # Ψ is next to nothing
    assert not np.allclose(panel.tile.individual.y, curve)
    panel.reset.click()
    assert panel.slider.value == 0
    panel._pressed({"data": {"index": 3}})
    assert bench.selection == {"subjects": [4]} and panel.chosen.visible


def test_an_empty_room_leads_to_what_is_missing(shown):
    bench = shown()
    empty = bench._pages.empty
    for tab in ("Model", "Fit", "Diagnose", "Screening"):
        bench.turn_to(tab)
        assert is_shown(empty.view) and "The data come first" in empty.text.value
    press(bench, empty.button)
    assert bench.tab.selected_index == 0 and not is_shown(empty.view) and is_shown(bench.data_panel.hero)
    press(bench, bench.data_panel.shown_first[0])
    assert bench.data.name == "theophylline" and not is_shown(bench.data_panel.hero)
    bench.turn_to("Diagnose")
    assert "Nothing has been fitted" in empty.text.value
    press(bench, empty.button)
    assert not is_shown(empty.view) and len(bench.runs) == 1 and bench.diagnose_panel in bench.shown


def test_a_refused_file_is_what_the_room_speaks_of(shown, theophylline):
    bench = shown(theophylline)
    bench.data_panel.show()
    bench.data_panel._read(File(b"a,b\n1,2\n", "odd.csv"))
    assert (
        "odd.csv was not taken" in bench.controls.status.value and "theophylline stays" in bench.controls.status.value
    )
