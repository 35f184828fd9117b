"""The Simulate tab: regimens, sliders, targets, what is said where nothing can be simulated, and how quick it is."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.ui.panels.kept import shown_in
from workbench.ui.session import scenario as scenarios

ORAL = wb.Model(wb.pk(absorption="first-order"))


@pytest.fixture
def room(shown):
    bench = shown(wb.load_example("theophylline"), ORAL)
    bench.run()
    assert bench.wait(120)
    bench.turn_to("Simulate")
    assert bench.wait(120)
    return bench


def test_it_begins_with_the_dose_of_the_data_and_follows_the_sliders(room):
    panel = room.simulate_panel
    first = panel.outcome
    regimen = first.scenario.regimen
    assert regimen.amount == pytest.approx(4.525, abs=0.01) and (regimen.every, regimen.times) == (12, 6)
    panel.amount.value = 2.26
    assert room.wait(60)
    assert panel.outcome.scenario.regimen.amount == 2.26
    assert np.allclose(
        panel.outcome.quantiles[0], 2.26 / regimen.amount * first.quantiles[0], rtol=1e-9, atol=1e-12
    )  # the same people
    panel.every.value, panel.times.value = 8.0, 9
    panel.loading.value = 4.0
    assert room.wait(60)
    regimen = panel.outcome.scenario.regimen
    assert (regimen.every, regimen.times, regimen.loading) == (8.0, 9, 4.0)
    assert panel.chart.plane.x.max == 72.0 and panel.chart.plane.x_axis.label == "time, h"
    panel.loading.value = 2.26
    assert panel.scenario.regimen.loading is None


def test_regimens_are_compared_with_their_monte_carlo_error(room):
    panel = room.simulate_panel
    panel.above.value, panel.below.value = "5", "15"
    panel.add.click()
    panel.every.value = 6.0
    panel.amount.value = 2.26
    assert room.wait(60)
    table = scenarios.verdicts(panel.outcome)
    assert table["regimen"].tolist() == ["A", "B"] and (table["se"] > 0).all()
    assert "±" in panel.verdicts.value and "Monte Carlo" in panel.said.value
    assert table["probability"][1] > table["probability"][0]
    names = {"wb": wb, "fit": room.fit}
    *lines, last = panel.outcome.scenario.code.splitlines()
    for line in lines:
        exec(line, names)
    again = eval(last, names).table
    assert np.allclose(again["probability"], table["probability"]) and np.allclose(again["se"], table["se"])
    assert np.array_equal(names["b"].curves[0].people, panel.outcome.simulations[1].curves[0].people)
    panel.regimens.at(0, 2).click()
    assert room.wait(60)
    assert len(panel.outcome.simulations) == 1 and panel.scenario.regimen.amount == 2.26


def test_uncertainty_log_axes_and_a_dose_that_is_found(room):
    panel = room.simulate_panel
    panel.uncertainty.value = True
    assert room.wait(60)
    assert panel.outcome.simulations[0].curves[0].uncertain is not None and "uncertainty=True" in panel.code.value
    panel.uncertainty.value = False
    room.state.update(logarithmic=True)
    assert room.wait(60)
    assert panel.chart.plane.y.max == pytest.approx(np.log10(np.nanmax(panel.outcome.quantiles[0])), abs=0.2)
    panel.above.value = "3"
    panel.find.click()
    assert room.wait(120)
    assert "90" in panel.found.value and scenarios.verdicts(panel.outcome)["probability"][0] == pytest.approx(
        0.9, abs=0.03
    )


def test_what_makes_no_target_is_said_and_nothing_is_lost(room):
    panel = room.simulate_panel
    before = panel.outcome
    panel.above.value = "many"
    assert "is no number" in panel.refusal.view.value and panel.scenario.above is None
    panel.above.value, panel.below.value = "9", "5"
    assert room.wait(60)
    assert "no concentration is above 9 and below 5" in panel.said.value
    panel.below.value = ""
    panel.above.value = "9000"
    assert room.wait(60)
    assert "none of 1,000 people meets it" in panel.said.value
    panel.find.click()
    assert room.wait(120)
    assert panel.found.value and before is not panel.outcome


def test_covariates_and_categories_have_inputs(shown):
    data = wb.load_example("phenobarbital")
    model = wb.Model(
        wb.pk(),
        [wb.Parameter("CL", iiv=0.3, covariates=[wb.Effect("log(WT/1.5)", (1.0,))]), wb.Parameter("V", iiv=0.3)],
    )
    bench = shown(data, model)
    bench.turn_to("Simulate")
    assert bench.wait(120)
    panel = bench.simulate_panel
    before = panel.outcome.quantiles[0]
    (slider,) = shown_in(panel.covariates)
    assert slider.description.startswith("WT")
    slider.value = 3.0
    assert bench.wait(60)
    assert panel.outcome.quantiles[0][2, -1] < before[2, -1]
    assert "covariates={&#x27;WT&#x27;: 3" in panel.code.value
    assert "initial values" in panel.headline.value


def test_what_is_never_dosed_has_no_regimens(shown):
    bench = shown(wb.load_example("orange_trees"), None)
    bench.turn_to("Simulate")
    assert bench.wait(60)
    assert "no regimens to try" in bench.simulate_panel.about.value
    empty = shown()
    empty.turn_to("Simulate")
    assert "Load data" in empty.simulate_panel.about.value


def test_a_target_may_be_an_area(room):
    panel = room.simulate_panel
    panel.auc_above.value, panel.auc_below.value = "80", "160"
    assert room.wait(60)
    assert panel.auc_above.description == "AUC above, mg/L·h"
    row = scenarios.verdicts(panel.outcome).iloc[0]
    regimen, clearance = panel.scenario.regimen, room.fit.estimates.loc["CL", "estimate"]
    assert (
        row["auc"] == pytest.approx(regimen.amount / clearance, rel=0.05) and row["auc_5"] < row["auc"] < row["auc_95"]
    )
    assert "auc=(80.0, 160.0)" in panel.code.value and "AUC" in panel.verdicts.value
    names = {"wb": wb, "fit": room.fit}
    *lines, last = panel.outcome.scenario.code.splitlines()
    exec("\n".join(lines), names)
    assert eval(last, names).rows[0].chance.probability == row["probability"]
    panel.auc_below.value = "10"
    assert room.wait(60)
    assert "no area is above 80 and below 10" in panel.said.value
    panel.auc_below.value = ""
    panel.find.click()
    assert room.wait(120)
    assert scenarios.verdicts(panel.outcome)["probability"][0] == pytest.approx(0.9, abs=0.03)
