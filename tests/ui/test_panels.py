"""The panels without a browser: widgets are set as a browser would set them, and the state is read."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ipywidgets import HTML, Box

import workbench as wb
from workbench.model import usual_model
from workbench.results.fit import Status
from workbench.ui import app
from workbench.ui.panels.code import CodePanel
from workbench.ui.panels.kept import Grid, show_only, shown_in

from .actions import every_widget, open_tab

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def bench(theophylline):
    made = wb.Workbench(theophylline)
    assert made.wait(60)
    yield made
    made.cancel()
    assert made.wait(60)
    assert made.state.problem == ""


def fitted(bench):
    bench.controls.fit.click()
    assert bench.wait(60)
    return bench.fit


def upload(bench, content, name="file.csv"):
    open_tab(bench, "Data")
    file = {"name": name, "type": "text/csv", "size": len(content), "content": memoryview(content.encode()),
            "last_modified": pd.Timestamp("2026-01-01")}  # fmt: skip
    bench.data_panel.upload.value = (file,)


# -- model and widgets ---------------------------------------------------------------------------------------------


def test_a_model_is_chosen_that_suits_the_data():
    assert usual_model(wb.load_example("theophylline")).structure.absorption == "first-order"
    assert usual_model(wb.load_example("phenobarbital")).structure.absorption is None


def test_showing_changes_nothing(bench, theophylline):
    for place in bench.places:
        bench.turn_to(place)
    assert bench.model == usual_model(theophylline)
    assert bench.data is theophylline and bench.fit is None and len(bench.runs) == 0


def test_widgets_show_the_values_that_a_fit_starts_from(bench, theophylline):
    start = wb.initial_values(bench.model, theophylline)
    for p in start.parameters:
        line = bench.model_panel.rows[p.name]
        assert line.value.value == pytest.approx(p.value, rel=1e-3)
        assert line.spread.value == pytest.approx(p.iiv, rel=1e-3)
        assert line.random.value and not line.fixed.value
    assert bench.error_panel.boxes["a"].value == pytest.approx(start.error.a, rel=1e-3)


def test_typing_a_value_states_all_that_is_shown(bench, theophylline):
    start = wb.initial_values(bench.model, theophylline)
    bench.model_panel.rows["CL"].value.value = 0.05
    assert bench.model == start.with_parameter("CL", value=0.05)


def test_every_widget_edits_the_model(bench):
    rows, error = bench.model_panel.rows, bench.error_panel
    rows["ka"].spread.value = 0.7
    assert bench.model["ka"].iiv == 0.7
    rows["V"].random.value = False
    assert bench.model["V"].iiv is None
    rows["V"].random.value = True
    assert bench.model["V"].iiv is True
    rows["V"].fixed.value = True
    assert bench.model["V"].fixed
    error.kind.value = wb.Combined
    assert type(bench.model.error) is wb.Combined
    error.boxes["b"].value = 0.2
    assert bench.model.error.b == 0.2
    bench.model_panel.choices["parameters"].value = "rate"
    assert bench.model.structure.names == ("ka", "k", "V")
    assert list(bench.model_panel.rows) == ["ka", "k", "V"]
    bench.model_panel.choices["absorption"].value = ""
    assert bench.model.structure.names == ("k", "V")
    bench.controls.method.value = "foce"
    assert bench.method == "foce"


def test_setting_the_model_moves_the_widgets(bench):
    model = wb.Model(
        wb.pk(absorption="first-order"),
        [wb.Parameter("ka", 2.0, iiv=0.5), wb.Parameter("CL", 0.05), wb.Parameter("V", 0.4, iiv=0.1, fixed=True)],
        error=wb.Proportional(0.15),
        correlate=[("ka", "V")],
    )
    bench.model = model
    rows = bench.model_panel.rows
    assert (rows["ka"].value.value, rows["ka"].spread.value) == (2.0, 0.5)
    assert not rows["CL"].random.value and rows["V"].fixed.value
    assert bench.error_panel.kind.value is wb.Proportional and bench.error_panel.boxes["b"].value == 0.15
    cells = bench.psi_panel.subject.cells
    assert [pair for pair, cell in cells.items() if cell.value] == [("ka", "V"), ("V", "ka")]
    assert bench.model == model  # what is shown has not come back changed
    bench.method = "fo"
    assert bench.controls.method.value == "fo"


def test_a_slider_keeps_its_place_while_it_is_slid(bench):
    line = bench.model_panel.rows["CL"]
    middle = line.value.value
    for position in (10, 50, 200):
        line.slider.value = position
        assert line.slider.value == position
        assert bench.model["CL"].value == pytest.approx(middle * 10 ** (0.7 * position / 350), rel=1e-3)
        assert line.value.value == bench.model["CL"].value
    line.value.value = 0.06
    assert line.slider.value == 0
    assert bench.model["CL"].value == 0.06


def test_automatic_values_and_estimates_as_initial_values(bench, theophylline):
    stated = bench.model
    bench.model_panel.rows["ka"].value.value = 9.0
    bench.model_panel.automatic.click()
    assert bench.model == stated
    fit = fitted(bench)
    bench.model_panel.from_fit.click()
    assert bench.model == fit.model


def test_a_value_that_the_model_refuses_is_put_back_and_explained(bench):
    model, box = bench.model, bench.model_panel.rows["CL"].value
    before = box.value
    box.value = -1.0
    assert bench.model == model and box.value == before
    assert "must be positive" in bench.controls.status.value
    bench.model_panel.rows["CL"].value.value = 0.05
    assert "must be positive" not in bench.controls.status.value


# -- fits ----------------------------------------------------------------------------------------------------------


def test_fit_is_that_of_the_function(bench, theophylline):
    fit = fitted(bench)
    assert fit.ofv == wb.fit(bench.model, theophylline).ofv
    assert bench.controls.status.value.count("The fit converged") == 1
    assert len(bench.runs) == 1 and bench.runs[1].fit is fit


@pytest.mark.parametrize("method", ["focei", "foce", "fo", "pooled", "individual", "two-stage"])
def test_the_cell_gives_the_fit_again_to_the_digit(bench, method):
    bench.method = method
    bench.model_panel.rows["ka"].value.value = 2.5
    bench.error_panel.kind.value = wb.Constant
    fit = fitted(bench)
    namespace = {}
    exec(bench.code, namespace)
    assert namespace["fit"].ofv == fit.ofv
    pd.testing.assert_frame_equal(namespace["fit"].estimates, fit.estimates, check_exact=True)


def test_subjects_fitted_alone_are_drawn_by_their_own_values(theophylline):
    frame, roles = theophylline.frame, theophylline.roles
    few = frame.index[frame[roles["subject"]] == 2][3:]
    bench = wb.Workbench(wb.read_data(frame.drop(index=few), roles=roles))
    assert bench.wait(60)
    for place in bench.places:
        bench.turn_to(place)
    open_tab(bench, "Individual fits")
    bench.model = bench.model.with_covariate("CL", "WT", shape="power", reference=70).with_parameter("V", iiv=None)
    for method in ("individual", "two-stage"):
        bench.controls.method.value = method
        fit = fitted(bench)
        assert bench.state.problem == "" and list(fit.failures) == [2]
        first, second = bench.individual_panel.cells[:2]
        assert first.individual.visible and second.individual.visible == (method == "two-stage")
        seen = fit.table().query("ID == 1")
        drawn = np.interp(seen["TIME"], first.individual.x, first.individual.y)
        assert drawn[3:] == pytest.approx(seen["IPRED"][3:], rel=0.05)
        assert "2 observations for 3 parameters" in bench.controls.status.value
    assert len(bench.runs) == 2 and bench.model.with_parameter("V", iiv=None) == bench.model


def test_curves_follow_the_fit(bench):
    open_tab(bench, "Individual fits")
    cell = bench.individual_panel.cells[0]
    assert cell.population.visible and not cell.individual.visible
    before = cell.population.y.copy()
    fit = fitted(bench)
    assert cell.individual.visible
    assert not np.array_equal(cell.population.y, before)
    times = cell.points.x[3:]
    assert np.interp(times, cell.individual.x, cell.individual.y) == pytest.approx(fit.ipred[3:11], rel=0.05)


def test_an_edit_shows_the_typical_curve_again(bench):
    open_tab(bench, "Individual fits")
    fitted(bench)
    bench.model_panel.rows["CL"].value.value = 0.08
    cell = bench.individual_panel.cells[0]
    assert not cell.individual.visible and cell.population.visible
    assert "changed since" in bench.controls.status.value


def test_a_fit_that_is_cancelled_keeps_its_best_point(bench, monkeypatch):
    reached = threading.Event()
    true_fit, seen = wb.fit, []

    def slow(model, data, method, callback):
        def each(progress):
            reached.set()
            seen.append(progress)
            time.sleep(0.02)
            return callback(progress)

        return true_fit(model, data, method, callback=each)

    monkeypatch.setattr("workbench.ui.session.job.engine.fit", slow)
    bench.run()
    assert reached.wait(10)
    bench.controls.cancel.click()
    before = len(seen)
    assert bench.wait(30)
    assert len(seen) <= before + 1  # at the next iteration
    assert bench.fit.status is Status.stopped
    assert "The fit was stopped" in bench.controls.status.value
    assert bench.code.startswith("# This fit ended early")


def test_a_new_fit_takes_the_place_of_one_that_runs(bench, monkeypatch):
    true_fit = wb.fit

    def slow(model, data, method, callback):
        return true_fit(model, data, method, callback=lambda progress: time.sleep(0.02) or callback(progress))

    monkeypatch.setattr("workbench.ui.session.job.engine.fit", slow)
    bench.run()
    time.sleep(0.1)
    bench.error_panel.kind.value = wb.Constant
    bench.run()
    assert bench.wait(20)
    assert [run.model.error.title for run in bench.runs] == ["constant"]


def test_what_a_fit_raises_is_said_and_nothing_is_lost(bench, monkeypatch):
    fit = fitted(bench)

    def broken(*args, **options):
        raise ZeroDivisionError("of <b>all</b> things")

    with monkeypatch.context() as patch:
        patch.setattr("workbench.ui.session.job.engine.fit", broken)
        bench.run()
        assert bench.wait(10)
    assert "ZeroDivisionError: of &lt;b&gt;all&lt;/b&gt; things" in bench.controls.status.value
    assert bench.fit is fit and len(bench.runs) == 1
    fitted(bench)


def test_a_proportional_error_where_the_prediction_is_zero_is_explained(bench):
    bench.error_panel.kind.value = wb.Proportional
    bench.run()
    assert bench.wait(10)
    assert "prediction is zero" in bench.controls.status.value
    bench.error_panel.kind.value = wb.Constant


def test_live_fits_what_is_stated_and_where_it_starts(bench, monkeypatch):
    monkeypatch.setattr("workbench.ui.session.state.LIVELY", 60.0)  # however busy the machine is
    bench.controls.live.value = True
    assert bench.wait(20)
    assert len(bench.runs) == 1
    bench.error_panel.kind.value = wb.Constant
    assert bench.wait(20)
    assert [run.model.error.title for run in bench.runs] == ["combined2", "constant"]
    bench.model_panel.rows["CL"].value.value = 0.08
    assert bench.wait(20)
    assert len(bench.runs) == 3 and bench.runs[-1].model["CL"].value == 0.08
    assert bench.model == bench.runs[-1].model  # started warm, and the cell says from where
    bench.error_panel.kind.value = wb.Proportional
    bench.error_panel.kind.value = wb.Combined2
    assert bench.wait(20)
    assert len(bench.runs) == 4 and bench.fit.converged  # the one before was given up


@pytest.mark.parametrize("slow", [False, True])
def test_a_live_refit_that_is_soon_there_is_drawn_with_what_was_changed(bench, monkeypatch, slow):
    monkeypatch.setattr("workbench.ui.session.state.LIVELY", 60.0)
    monkeypatch.setattr("workbench.ui.session.job._UNSAID", 0.01 if slow else 60.0)
    drawn, go_on, fit = [], threading.Event(), wb.engine.fit

    def fitted_late(*args, **options):
        go_on.wait(60)
        return fit(*args, **options)

    monkeypatch.setattr(wb.engine, "fit", fitted_late)
    bench.controls.live.value = True
    go_on.set()
    assert bench.wait(60) and len(bench.runs) == 1
    go_on.clear()
    open_tab(bench, "Fit")
    render = bench.error_panel.render

    def rendered(changed):
        drawn.append(bench.state.activity)
        render(changed)

    monkeypatch.setattr(bench.error_panel, "render", rendered)
    bench.error_panel.kind.value = wb.Constant
    for _ in range(6000):
        if not slow or bench.state.activity == "fitting":
            break
        time.sleep(0.01)
    assert bench.state.awaited is not slow
    go_on.set()
    assert bench.wait(60) and len(bench.runs) == 2 and not bench.state.awaited
    assert drawn == (["fitting", ""] if slow else [""])


def test_a_run_is_restored(bench):
    first = fitted(bench)
    stated = bench.model
    bench.error_panel.kind.value = wb.Constant
    bench.method = "foce"
    second = fitted(bench)
    open_tab(bench, "Runs")
    bench.runs_panel.buttons[1].click()
    assert bench.fit is first and bench.model == stated and bench.method == "focei"
    open_tab(bench, "Model")
    assert bench.error_panel.kind.value is wb.Combined2
    bench.fit = second
    assert bench.runs[-1].fit is second and len(bench.runs) == 2 and bench.method == "foce"
    bench.restore(1)
    assert bench.fit is first


def test_a_fit_made_elsewhere_is_shown(bench, theophylline):
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()), theophylline, method="foce")
    bench.fit = fit
    assert bench.fit is fit and bench.method == "foce"
    assert bench.error_panel.kind.value is wb.Constant


def test_bad_settings_are_refused_in_words(bench):
    with pytest.raises(wb.ModelError, match="focei"):
        bench.method = "nonsense"
    with pytest.raises(wb.ModelError, match=r"wb\.Model"):
        bench.model = "nonsense"


# -- data ----------------------------------------------------------------------------------------------------------


def test_without_data_everything_is_there_and_says_what_to_do():
    bench = wb.Workbench()
    assert bench.wait(60)
    for place in bench.places:
        bench.turn_to(place)
    assert "Choose a file" in bench.controls.status.value
    assert bench.controls.fit.disabled
    with pytest.raises(wb.ModelError, match="load data"):
        bench.run()
    open_tab(bench, "Data")
    bench.data_panel.example.value = "theophylline"
    assert bench.data.name == "theophylline" and bench.model is not None
    assert fitted(bench).converged
    assert bench.state.problem == ""


def test_a_bad_file_shows_all_its_faults_and_keeps_the_data(bench, theophylline):
    model = bench.model
    upload(bench, "ID,TIME,DV,AMT\n1,0,.,4\n1,one,3,.\n1,2,three,.\n")
    shown = bench.data_panel.faults.value
    assert bench.data is theophylline and bench.model == model
    assert "file.csv" in shown and "row 3" in shown and "row 4" in shown and "theophylline" in shown
    assert bench.data_panel.upload.value == ()
    upload(bench, "")
    assert "empty" in bench.data_panel.faults.value
    upload(bench, "ID,TIME,DV,AMT\n1,0,.,4\n1,1,3,.\n1,2,2,.\n2,0,.,4\n2,1,3,.\n2,3,2,.\n", "good.csv")
    assert bench.data.name == "good.csv" and bench.data_panel.faults.value == ""
    assert bench.data_panel.example.value == ""


def test_what_is_hostile_is_escaped_in_every_panel(bench):
    rows = "".join(f'"{EVIL}{i}",{t},{d},{a}\n' for i in (1, 2) for t, d, a in ((0, ".", 10), (1, 3, "."), (2, 2, ".")))
    upload(bench, f"ID,TIME,DV,AMT\n{rows}", f"{EVIL}.csv")
    assert len(bench.data.events.subjects) == 2
    fitted(bench)
    for place in bench.places:
        bench.turn_to(place)
    bench.data_panel.views.value = "rows"
    upload(bench, f'ID,TIME,"{EVIL}",AMT\n1,0,x,1\n', f"{EVIL}.csv")
    texts = [
        value
        for widget in every_widget(bench.view)
        for value in (getattr(widget, "value", ""), getattr(widget, "description", ""))
        if isinstance(value, str) and not value.startswith("<style>")
    ]
    assert any("&lt;img" in text for text in texts)
    assert not any("<img" in text for text in texts if text != EVIL)


def test_pages_of_the_trellis():
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, 31), 3), "TIME": np.tile([0.0, 1.0, 4.0], 30)})
    frame["AMT"], frame["DV"] = (
        np.where(frame.TIME == 0, 10.0, np.nan),
        np.where(frame.TIME > 0, 5.0 - frame.TIME, np.nan),
    )
    bench = wb.Workbench(wb.read_data(frame))
    assert bench.wait(60)
    open_tab(bench, "Individual fits")
    panel = bench.individual_panel
    assert len(shown_in(panel.trellis)) == 12 and "1–12 of 30" in panel.where.value and panel.back.disabled
    panel.on.click()
    panel.on.click()
    assert len(shown_in(panel.trellis)) == 6 and "25–30 of 30" in panel.where.value and panel.on.disabled
    assert panel.cells[0].name.description == "ID 25"
    bench.data = wb.load_example("theophylline")
    assert "1–12 of 12" in panel.where.value


def test_log_axes_leave_out_what_is_not_positive(bench):
    open_tab(bench, "Individual fits")
    bench.individual_panel.scale.value = True
    cell = bench.individual_panel.cells[1]  # subject 2 has a zero at t = 0
    assert np.isfinite(cell.points.y).all() and len(cell.points.y) == 10
    open_tab(bench, "Data")
    assert bench.data_panel.scale.value is True


def test_it_shows_itself(bench):
    bundle = bench._repr_mimebundle_()
    assert bundle["text/plain"] == "<Workbench: theophylline, 0 runs>"
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_fit_panel_shows_correlations_and_accuracy(shown):
    bench = shown(wb.load_example("theophylline"))
    bench.method = "quadrature"
    bench.run()
    assert bench.wait(120)
    bench.fit_panel.show()
    shown_estimates = bench.fit_panel.estimates.value
    assert "Correlation of the estimates" in shown_estimates and "<td>iiv_CL</td>" in shown_estimates
    assert f"{bench.fit.correlation.loc['b', 'a']:.2f}".replace("-", "−") in shown_estimates.replace("-", "−")
    said = bench.controls.status.value
    assert "nodes along each random effect" in said and "wb-status good" in said


def test_each_panel_has_a_title_of_its_own_and_a_name():
    titles = [kind.title for kind in (*app.PANELS, CodePanel)]
    assert len(set(titles)) == len(titles) and all(titles)
    bench = wb.Workbench()
    assert [type(panel) for panel in bench.panels] == [*app.PANELS, CodePanel]
    assert bench.runs_panel is bench.panels[titles.index("Runs")]
    assert [page.title for page in app.PAGES] == ["Data", "Model", "Fit", "Diagnose", "Covariates", "Runs", "Simulate"]


def test_no_widget_is_taken_out_of_a_box():
    room = Path(app.__file__).parent
    writing = [path.name for path in room.rglob("*.py") if ".children =" in path.read_text(encoding="utf-8")]
    assert sorted(writing) == ["kept.py", "panel.py"]  # one adds, one fills a panel when it is first shown
    box, widgets = Box(), [HTML() for _ in range(4)]
    for wanted in ([0, 1], [2], [], [1, 3], [0, 1, 2, 3]):
        before = box.children
        show_only(box, [widgets[k] for k in wanted])
        assert box.children[: len(before)] == before
        assert set(shown_in(box)) == {widgets[k] for k in wanted}


def test_a_grid_keeps_its_widgets_in_their_places():
    grid = Grid(lambda r, c: HTML(f"{r}{c}"), "wb-test")
    grid.resize(2, 3)
    first = [grid.at(r, c) for r in range(2) for c in range(3)]
    grid.resize(3, 2)
    assert [w.value for w in grid.shown()] == ["00", "01", "10", "11", "20", "21"]
    grid.resize(2, 3)
    assert list(grid.shown()) == first
    grid.resize(0, 0)
    assert not list(grid.shown())
