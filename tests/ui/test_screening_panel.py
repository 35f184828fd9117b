"""The Screening panel: screens as a heatmap, an effect put in and taken out, undo, a stepwise search, a forest plot."""

from __future__ import annotations

import re
import sys
import time

import numpy as np
import pandas as pd
import pytest
from ipywidgets import HTML, Widget
from scipy.stats import chi2

import workbench as wb
from workbench.markup import p_value
from workbench.ui.figures.forest import forest_plot
from workbench.ui.figures.relation import relation
from workbench.ui.panels.kept import shown_in
from workbench.ui.panels.relation import shortened

from .actions import open_tab, press

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def data():
    return wb.load_example("phenobarbital")


@pytest.fixture(scope="module")
def model():
    return wb.Model(wb.pk(1), [wb.Parameter("CL", iiv=0.3), wb.Parameter("V", iiv=0.3)], error=wb.Proportional())


@pytest.fixture(scope="module")
def base(data, model):
    return wb.fit(model, data)


@pytest.fixture
def bench(shown, data, model):
    bench = shown(data, model)
    bench.run()
    assert bench.wait(60)
    open_tab(bench, "Screening")
    return bench


@pytest.fixture
def screened(bench):
    press(bench, bench.screening_panel.screen)
    return bench


def said(bench):
    return bench.controls.status.value


def texts(panel):
    return {key: cell.description.split("\n")[0] for key, cell in panel.heatmap.cells.items()}


# -- the heatmap -----------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_do_before_a_fit(shown, data, model):
    bench = shown(data, model)
    open_tab(bench, "Screening")
    assert "Fit a model first" in bench.screening_panel.about.value
    assert bench.screening_panel.body.layout.display == "none"


def test_cells_say_what_the_screens_say(screened, base):
    panel, found = screened.screening_panel, wb.screen(base)
    for which in ("p", "p_sampled"):
        panel.which.value = which
        least = found.table.groupby(["parameter", "covariate"])[which].min()
        assert texts(panel) == {key: p_value(p) for key, p in least.items()}
    panel.which.value = "delta_ofv"
    best = wb.linearised_screen(base, found.scope).table.sort_values("p").groupby(["parameter", "covariate"]).first()
    assert {k: float(v.replace("−", "-")) for k, v in texts(panel).items()} == pytest.approx(
        (-best["delta_ofv"]).to_dict(), abs=0.051
    )
    assert "wb.screen(fit)" in panel.notes.value


def test_cells_are_coloured_by_p_and_name_their_pair(screened):
    panel = screened.screening_panel
    kinds = {
        key: next(n for n in cell._dom_classes if n.startswith("wb-p")) for key, cell in panel.heatmap.cells.items()
    }
    assert kinds == {("CL", "WT"): "wb-p4", ("CL", "APGR"): "wb-p0", ("V", "WT"): "wb-p5", ("V", "APGR"): "wb-p0"}
    cell = panel.heatmap.cells["V", "WT"]
    assert cell.description.endswith("\nV ~ WT") and "V ~ WT: p 2.1e-23" in cell.tooltip
    sides = [
        w.value for line in shown_in(panel.heatmap.grid) for w in shown_in(line) if "wb-heat-side" in w._dom_classes
    ]
    assert "37 %" in sides[0] and "shrinkage" in sides[0] and "%" not in sides[1]


def test_another_look_sends_a_message_for_each_cell_that_changed_and_no_more(screened, monkeypatch):
    panel, sent = screened.screening_panel, []
    cells = dict(panel.heatmap.cells)
    monkeypatch.setattr(Widget, "send_state", lambda self, key=None: sent.append(self))
    panel.which.value = "p_sampled"
    assert panel.heatmap.cells == cells
    assert len(sent) <= len(cells) + 3 and sent.count(cells["CL", "WT"]) == 1
    sent.clear()
    screened.state.refresh()
    assert not set(cells.values()) & set(sent)


def test_what_cannot_be_screened_is_grey_and_says_why(shown, data, model):
    frame = data.frame.copy()
    frame["SAME"], frame["ODD"] = 1.0, np.where(frame["ID"] == 1, "x", "y")
    frame[EVIL] = frame["WT"]
    odd = wb.read_data(frame)
    bench = shown(odd, model)
    bench.run()
    assert bench.wait(60)
    open_tab(bench, "Screening")
    panel = bench.screening_panel
    press(bench, panel.screen)
    cell = panel.heatmap.cells["CL", "SAME"]
    assert cell.description.startswith("–") and "wb-none" in cell._dom_classes and "It is constant" in cell.tooltip
    assert "A single subject" in panel.heatmap.cells["V", "ODD"].tooltip
    assert texts(panel)["V", "WT"] == "2·10⁻²³"
    cell.click()
    assert "It is constant" in panel.relation.table.value and panel.relation.add.disabled
    assert not panel.relation.points.visible
    assert EVIL in panel.notes.value.replace("&lt;", "<").replace("&gt;", ">")  # it is said, as text
    assert not any("<img" in text for text in html_of(panel.view))


def html_of(widget):
    """All HTML below a widget."""
    own = [widget.value] if isinstance(widget, HTML) else []
    return [*own, *(text for child in getattr(widget, "children", ()) for text in html_of(child))]


# -- one effect ------------------------------------------------------------------------------------------------------


def test_a_cell_shows_points_line_and_smooth_curve(screened, base):
    panel, found = screened.screening_panel, wb.screen(base)
    panel.heatmap.cells["CL", "WT"].click()
    assert panel.chosen == ("CL", "WT") and panel.relation.pair.value == ("CL", "WT")
    assert "wb-chosen" in panel.heatmap.cells["CL", "WT"]._dom_classes
    assert "wb-chosen" not in panel.heatmap.cells["V", "WT"]._dom_classes
    view = panel.relation
    view.shape.value = "power"
    weight = data_of(base, "WT")
    assert np.array_equal(view.points.x, weight) and np.allclose(view.points.y, base.etas["CL"])
    slope, intercept = np.polyfit(np.log(weight), base.etas["CL"].to_numpy(), 1)
    assert view.line.y == pytest.approx(intercept + slope * np.log(view.line.x))
    smooth = found.lowess("CL", "WT")
    assert np.allclose(view.smooth.x, smooth["WT"]) and np.allclose(view.smooth.y, smooth["smooth"])
    view.y.value = True
    assert np.allclose(view.points.y, base.individual["CL"])
    slope, intercept = np.polyfit(np.log(weight), np.log(base.individual["CL"].to_numpy()), 1)
    assert view.line.y == pytest.approx(np.exp(intercept + slope * np.log(view.line.x)))
    line = found.row("CL ~ WT (power)")
    assert f"×{line.largest.effect:.3g}" in view.table.value and p_value(line.p_corrected) in view.table.value
    view.pair.value = ("V", "APGR")
    assert panel.chosen == ("V", "APGR") and "V ~ APGR" in panel.heatmap.cells["V", "APGR"].description


def data_of(fit, covariate):
    return fit.data.frame.groupby("ID", sort=False)[covariate].first().to_numpy()


def test_levels_have_points_beside_each_other_and_their_means(data, model):
    frame = data.frame.copy()
    frame["GROUP"] = np.where(frame["APGR"] > 7, "high", "low")
    fit = wb.fit(model, wb.read_data(frame))
    found = wb.screen(fit)
    drawn = relation(found, "V", "GROUP", "categorical")
    group = data_of(fit, "GROUP")
    means = fit.etas["V"].groupby(group).mean()
    assert drawn.levels == ("high", "low") and drawn.smooth is None
    assert drawn.line[1].reshape(2, 3)[:, 0] == pytest.approx(means.to_numpy())
    assert np.array_equal(np.round(drawn.x), (group == "low").astype(float)) and np.ptp(drawn.x[group == "low"]) > 0.1


def test_an_effect_is_added_realised_and_undone(screened, base):
    panel, first = screened.screening_panel, screened.fit
    panel.heatmap.cells["CL", "WT"].click()
    panel.relation.shape.value = "power"
    expected = wb.linearised_screen(base, {"CL": [("WT", "power")]}).predictions[0]
    press(screened, panel.relation.add)
    assert len(screened.runs) == 2 and screened.fit is screened.runs[2].fit and screened.state.is_current
    assert [e.term for e in screened.model["CL"].covariates] == ["log(WT/median(WT))"]
    other = wb.fit(base.model.with_covariate("CL", "WT"), base.data)
    change = screened.fit.ofv - first.ofv
    assert change == pytest.approx(other.ofv - base.ofv, abs=1e-3)
    step = screened.state.study("step")
    assert (step.predicted, step.delta_ofv) == (pytest.approx(-expected.delta_ofv), change)
    assert step.p == pytest.approx(chi2.sf(-change, 1), rel=1e-6)
    outcome = panel.relation.outcome.value
    assert f"{-step.predicted:.2f}" in outcome and f"{-change:.2f}" in outcome and p_value(step.p) in outcome
    assert f"{-change:.2f}" in panel.steps.value and "1 → 2" in panel.steps.value
    assert panel.about.value.startswith("Screen of run 2")  # it was screened at once
    assert texts(panel)["CL", "WT"].startswith("✓") and panel.relation.add.disabled
    names = {"wb": wb, "fit": first, "data": screened.data}
    exec(step.code, names)  # what the panel shows is Python
    assert names["fit"].ofv == screened.fit.ofv
    assert "CL ~ WT" in panel.forest.value
    press(screened, panel.relation.undo)
    assert screened.fit is first and screened.model["CL"].covariates == () and len(screened.runs) == 2
    assert panel.about.value.startswith("Screen of run 1") and panel.relation.undo.disabled
    assert "No covariate acts" in panel.forest.value and "1 → 2" in panel.steps.value


def test_an_effect_is_fitted_once_where_the_user_wants_it_live(screened):
    screened.state.update(live=True)
    assert screened.wait(60)
    shown, runs = screened.fit, len(screened.runs)
    press(screened, screened.screening_panel.relation.add)
    assert len(screened.runs) == runs + 1 and screened.state.study("step") is not None
    press(screened, screened.screening_panel.relation.undo)
    assert len(screened.runs) == runs + 1 and screened.fit is shown


def test_an_effect_is_removed(shown, base):
    bench = shown(base.data, base.model.with_covariate("CL", "WT").with_covariate("V", "WT"))
    bench.run()
    assert bench.wait(60)
    open_tab(bench, "Screening")
    panel = bench.screening_panel
    press(bench, panel.screen)
    panel.heatmap.cells["V", "WT"].click()
    press(bench, panel.relation.remove)
    step = bench.state.study("step")
    small = wb.fit(base.model.with_covariate("CL", "WT"), base.data)
    assert (
        bench.fit.ofv == pytest.approx(small.ofv, abs=1e-3) and step.delta_ofv == bench.fit.ofv - bench.runs[1].fit.ofv
    )
    assert step.p == pytest.approx(chi2.sf(step.delta_ofv, 1), rel=1e-6) and np.isnan(step.predicted)
    assert panel.relation.remove.disabled and not panel.relation.add.disabled


def test_a_fit_that_fails_loses_nothing(screened, monkeypatch):
    from workbench import engine

    def fails(*_, **__):
        raise wb.FitError("Nothing can be computed here.")

    panel, fit = screened.screening_panel, screened.fit
    monkeypatch.setattr(engine, "fit", fails)
    press(screened, panel.relation.add)
    assert "Nothing can be computed here." in said(screened)
    assert screened.fit is fit and len(screened.runs) == 1 and screened.state.study("screen") is not None
    press(screened, panel.relation.undo)
    assert screened.model["V"].covariates == ()


def test_a_fit_without_random_effects_says_so(shown, data, model):
    bench = shown(data, model)
    bench.method = "pooled"
    bench.run()
    assert bench.wait(60)
    open_tab(bench, "Screening")
    press(bench, bench.screening_panel.screen)
    assert "no random effects" in said(bench) and bench.fit.method == "pooled"
    assert "has not been screened" in bench.screening_panel.about.value


def test_a_new_run_is_screened_once_one_was_unless_not_wanted(screened):
    panel = screened.screening_panel
    panel.auto.value = False
    screened.method = "foce"
    screened.run()
    assert screened.wait(60)
    assert "what follows is of run 1" in panel.about.value and "wb-stale" in panel.found._dom_classes
    assert panel.relation.add.disabled
    panel.auto.value = True
    assert screened.wait(60)
    assert panel.about.value.startswith("Screen of run 2") and "wb-stale" not in panel.found._dom_classes


def test_the_status_line_says_that_statsmodels_is_loaded(screened, monkeypatch):
    from workbench.ui.session import screenings

    state = screened.state
    assert screenings.screen(state, state.run).title == "Screening"
    monkeypatch.delitem(sys.modules, "statsmodels.regression.linear_model")
    assert screenings.screen(state, state.run).title.startswith("Loading statsmodels")


def test_names_of_levels_that_begin_alike_are_told_apart():
    assert shortened(["low", "middle", "high"], 4) == ["low", "mid…", "high"]
    assert shortened(["hospital of town A", "hospital of town B", "none"], 7) == ["…town A", "…town B", "none"]


# -- stepwise search -------------------------------------------------------------------------------------------------


def test_a_search_grows_a_log_and_its_model_is_shown(screened, base):
    panel, state = screened.screening_panel, screened.state
    seen = []
    state.watch(lambda changed: seen.append(state.portion) if "portion" in changed and state.portion else None)
    press(screened, panel.search.start)
    other = wb.stepwise(base.model, base.data)
    assert screened.fit.ofv == pytest.approx(other.fit.ofv, abs=1e-6) and screened.state.is_current
    assert "came in" in panel.search.log.value and "WT on V (power)" in panel.search.log.value
    assert "wb.stepwise(fit.model, data, forward=0.05, backward=0.01)" in panel.search.code.value
    assert "stepwise: + V ~ WT power, + CL ~ WT power" in panel.steps.value and "2 df" in panel.relation.outcome.value
    press(screened, panel.relation.undo)
    assert len(screened.model["V"].covariates) == 0 and "came in" in panel.search.log.value  # stays readable


def test_rules_of_a_search(screened):
    panel = screened.screening_panel
    panel.search.criterion.value = "bic"
    assert panel.search.forward.layout.display == "none"
    panel.search.shapes.value = "all"
    press(screened, panel.search.start)
    assert "screen.scope, criterion=&#x27;bic&#x27;" in panel.search.code.value
    found = screened.state.study("stepwise").found
    assert found.criterion == "bic" and {t.shape for t in found.trials} == {"", "power", "exponential"}
    panel.search.criterion.value = "lrt"
    panel.search.forward.value, panel.search.backward.value = 1e-12, 1e-12
    press(screened, panel.search.start)  # from the model with both: only that of WT on V is needed so much
    assert screened.model["CL"].covariates == () and len(screened.model["V"].covariates) == 1
    assert "left" in panel.search.log.value


def test_a_search_is_cancelled_and_what_is_done_is_kept(shown, base):
    frame = base.data.frame.copy()
    rng = np.random.default_rng(3)
    for k in range(30):
        frame[f"X{k}"] = frame["ID"].map(dict(zip(frame["ID"].unique(), rng.lognormal(size=59), strict=True)))
    bench = shown(wb.read_data(frame), base.model)
    bench.run()
    assert bench.wait(60)
    open_tab(bench, "Screening")
    panel, state = bench.screening_panel, bench.state
    panel.search.start.click()
    end = time.monotonic() + 60
    while "WT on V" not in panel.search.log.value or state.portion.now.step < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert state.activity == "working" and "Stepwise search … " in said(bench)
    assert re.search(r"Forward, step \d: \d+ of \d+ fitted; now \w+ on (CL|V) \(power\)", panel.search.about.value)
    bench.controls.cancel.click()
    assert bench.wait(60)
    found = state.study("stepwise").found
    assert found.stopped and "It was stopped." in panel.search.about.value
    assert bench.fit is found.fit and [e.term for e in bench.model["V"].covariates]
    assert len(bench.runs) == 2 and bench.runs[1].fit is not bench.fit
    press(bench, panel.screen)  # and more covariates than there is room for
    columns = {covariate for _, covariate in panel.heatmap.cells}
    assert len(columns) == 24 and "WT" in columns and "8 more covariates" in panel.heatmap.more.value
    hidden = next(f"X{k}" for k in range(30) if f"X{k}" not in columns)
    panel.relation.pair.value = ("CL", hidden)
    assert panel.chosen == ("CL", hidden) and panel.relation.points.visible


# -- forest plot -----------------------------------------------------------------------------------------------------


def test_a_forest_plot_places_ratios_on_a_logarithmic_axis():
    rows = [("CL", EVIL, "5 %", 1.0, 2.0, 0.5, 0.4, 0.625, "outside"),
            ("CL", EVIL, "95 %", 3.0, 2.0, 2.0, 1.6, 2.5, "outside"),
            ("V", "SEX", "level", "m", "f", 1.0, np.nan, np.nan, "")]  # fmt: skip
    names = ["parameter", "covariate", "at", "value", "reference", "ratio", "lower", "upper", "verdict"]
    drawn = forest_plot(pd.DataFrame(rows, columns=names))
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)%"', drawn)]
    one = float(re.search(r'x1="([\d.]+)%"[^>]*class="wb-one"', drawn)[1])
    assert one - places[0] == pytest.approx(places[1] - one, abs=0.02) and places[2] == one
    ends = [float(x) for x in re.search(r'<line x1="([\d.]+)%" y1="50%" x2="([\d.]+)%"', drawn).groups()]
    assert (ends[1] - ends[0]) / (one - places[0]) == pytest.approx(np.log(0.625 / 0.4) / np.log(2), abs=0.01)
    assert EVIL not in drawn and "(5 %)" in drawn and drawn.count("<circle") == 3
    ticks = [float(x) for x in re.findall(r'<text x="([\d.]+)%"', drawn)]
    assert np.diff(sorted(ticks)).min() >= 9


# -- runs side by side -----------------------------------------------------------------------------------------------


def test_a_run_is_compared_with_the_shown_one(screened):
    press(screened, screened.screening_panel.relation.add)
    open_tab(screened, "Runs")
    panel = screened.runs_panel
    assert panel.comparison.value == "" and [value for _, value in panel.other.options] == [0, 1]
    panel.other.value = 1
    line = wb.compare(screened.runs[1].fit, screened.runs[2].fit).table.iloc[1]
    for text in (f"{-line['delta_ofv']:.2f}", f"{line['p']:.3g}", f"{line['aic']:.2f}", "on V", "iiv_V", "wb.compare("):
        assert text in panel.comparison.value
    screened.restore(1)
    assert panel.comparison.value == "" and [value for _, value in panel.other.options] == [0, 2]


def test_columns_and_shape_stay_from_one_run_to_the_next_and_every_run_is_screened(shown):
    bench = shown(wb.load_example("phenobarbital"))
    bench.run()
    assert bench.wait(120)
    bench.turn_to("Screening")
    panel = bench.screening_panel
    panel.auto.value = False
    panel.auto.value = True  # a tick that is set asks for it
    assert bench.wait(120) and panel._of is bench.state.run
    columns, pair = list(panel.heatmap._order), panel.chosen
    other = next(shape for shape in panel.relation.shape.options if shape != panel.relation.shape.value)
    panel.relation.shape.value = other
    bench.turn_to("Fit")
    bench.model = bench.model.with_error(wb.Proportional())
    bench.run()
    assert bench.wait(120) and bench.wait(120)
    assert bench.state.study("screen") is not None  # though another tab is open
    bench.turn_to("Screening")
    assert panel._of is bench.state.run and panel.heatmap._order == columns
    assert panel.chosen == pair and panel.relation.shape.value == other
