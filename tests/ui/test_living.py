"""How a Workbench begins, is saved and opened, and ends: runs beside the notebook, nothing left when it is gone."""

from __future__ import annotations

import dataclasses
import gc
import threading
import weakref

import pytest
from ipywidgets.widgets import widget as widgets

import workbench as wb
from workbench.ui import living
from workbench.ui.session.whole import study_of


@pytest.fixture(scope="module")
def theophylline():
    return wb.load_example("theophylline")


MODEL = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())


def alive() -> int:
    gc.collect()
    return len(widgets._instances)


def own_threads() -> list[str]:
    """Those of a Workbench; the engine's own are kept for the next fit."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("workbench-fit", "workbench-pump", "workbench-background"))]


def fitted(bench: wb.Workbench) -> wb.FitResult:
    bench.state.replay = False
    bench.run()
    assert bench.wait(120) and bench.fit is not None
    return bench.fit


def test_a_closed_workbench_is_freed_and_its_values_stay(theophylline):
    with wb.Workbench(theophylline, MODEL) as bench:
        assert bench.wait(120)
        for place in bench.places:  # every panel is built
            bench.turn_to(place)
        fit = fitted(bench)
        assert alive() > 500 and not bench.closed
    assert bench.closed and bench.fit is fit and bench.model == MODEL and len(bench.runs) == 1
    assert not own_threads()
    with pytest.raises(wb.ModelError, match="is closed"):
        bench.run()
    bench.close()
    bench.model = MODEL.with_error(wb.Combined2())  # nobody renders it
    gone = weakref.ref(bench)
    del bench
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("count", [6, pytest.param(25, marks=pytest.mark.slow)])
def test_those_that_are_made_and_closed_leave_no_widget(count, theophylline):
    before = alive()
    for number in range(count):
        bench = wb.Workbench(theophylline, MODEL)
        if number % 10 == 0:
            bench.turn_to("Diagnose")
        bench.close()
    assert alive() == before


def test_when_the_process_ends_the_page_keeps_what_it_shows_and_says_so(theophylline, monkeypatch):
    left: list[list[object]] = []
    monkeypatch.setattr(living, "_left", left)
    bench = wb.Workbench(theophylline, MODEL)
    assert bench.wait(60)
    view, before = bench.view, alive()
    life = next(life for life in living._living if view in life._roots)
    life.leave()
    life.leave()
    assert bench.closed and len(left) == 1 and "jupyter-widgets-disconnected" in view._dom_classes
    del bench
    assert alive() == before
    for widget in living.widgets_in(left[0]):
        widget.close()


@pytest.mark.parametrize("count", [6, pytest.param(25, marks=pytest.mark.slow)])
def test_those_that_are_dropped_are_freed_too(count, theophylline):
    before = alive()
    for _ in range(count):
        wb.Workbench(theophylline, MODEL).wait(60)
        gc.collect()
    assert alive() == before


def test_closing_stops_what_runs(theophylline):
    bench = wb.Workbench(theophylline, MODEL)
    assert bench.wait(120)
    bench.method = wb.Saem(100_000, 100_000)
    bench.run()
    bench.close(60)
    assert not own_threads()


def test_in_a_notebook_runs_are_kept_beside_it(theophylline, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RUNS", raising=False)
    assert wb.Workbench().runs.path is None  # a script
    monkeypatch.setattr(living, "in_kernel", lambda: True)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "study.ipynb"))
    with wb.Workbench(theophylline, MODEL) as bench:
        fit = fitted(bench)
    with wb.Workbench() as again:  # another kernel, say
        assert again.runs.path == tmp_path / "workbench.db" and str(tmp_path / "workbench.db") in again.runs.where
        again.restore(1)
        assert (
            again.fit is not None and again.fit.ofv == fit.ofv and again.model == MODEL and again.data == theophylline
        )
        assert again.code == bench.code
    (tmp_path / "workbench.db").write_bytes(b"something else, and longer than a head")
    with wb.Workbench(theophylline, MODEL) as without:
        assert "damaged" in without.runs.where and "in memory" in without.runs.where
        assert fitted(without).ofv == fit.ofv and len(without.runs) == 1


def test_a_run_knows_what_it_came_from(theophylline):
    with wb.Workbench(theophylline, MODEL) as bench:
        fitted(bench)
        bench.model = MODEL.with_error(wb.Combined2())
        fitted(bench)
        bench.restore(1)
        bench.method = "foce"
        fitted(bench)
        assert [run.parent for run in bench.runs] == [None, 1, 1]


def test_a_study_is_saved_and_opened(theophylline, tmp_path):
    with wb.Workbench(theophylline, MODEL) as bench:
        first = fitted(bench)
        bench.data = theophylline.exclude(subject=2)
        second = fitted(bench)
        bench.restore(1)
        bench.runs = bench.runs.changed(2, note="without 2")
        bench.model = MODEL.with_error(wb.Combined2(0.5, 0.1))
        bench.method = wb.Quadrature(3)
        file = bench.save(tmp_path / "study.zip")
        model, code = bench.model, bench.code
    with wb.Workbench.open(file) as again:
        assert again.fit is not None and again.fit.ofv == first.ofv and again.runs[2].fit.ofv == second.ofv
        assert again.model == model and again.method == wb.Quadrature(3) and again.data == theophylline
        assert again.code == code and again.runs[2].note == "without 2" and again.runs[2].data != theophylline
        assert fitted(again).method == "quadrature" and [run.number for run in again.runs] == [1, 2, 3]
    with wb.Workbench.open(first.save(tmp_path / "run.json", data=True)) as shown:
        assert shown.fit is not None and shown.fit.ofv == first.ofv and shown.model == MODEL


def test_what_the_panels_were_set_to_is_saved_and_opened(shown, tmp_path):
    bench = shown(wb.load_example("theophylline"), wb.Model(wb.pk(absorption="first-order")))
    bench.run()
    assert bench.wait(120)
    bench.turn_to("Simulate")
    simulate = bench.simulate_panel
    simulate.amount.value, simulate.above.value, simulate.window.value = 2.26, "3", "all times"
    simulate.add.click()
    simulate.infusion.value = 1.0
    bench.turn_to("Data")
    bench.data_panel.views.value = "NCA"
    view = bench.data_panel.nca
    view.trapezoids.value = "linear"
    view._pressed(4)
    assert bench.wait(120) and len(bench.state.choices.terminal) == 1
    with wb.Workbench.open(bench.save(tmp_path / "study.zip")) as again:
        assert (again.state.scenario, again.state.choices) == (bench.state.scenario, bench.state.choices)
        again.turn_to("Simulate")
        assert again.wait(120)
        panel = again.simulate_panel
        assert panel.outcome.scenario == simulate.scenario and panel.above.value == "3"
        assert (panel.infusion.value, panel.window.value) == (1.0, "all times")
        again.turn_to("Data")
        again.data_panel.views.value = "NCA"
        assert again.data_panel.nca.trapezoids.value == "linear"
        assert again.data_panel.nca.found.code == view.found.code


@pytest.mark.parametrize(
    "text",
    [
        "Scenario(())",
        "Scenario((wb.Regimen(1),), chosen=3)",
        "open('x')",
        "1 +",
        "wb.Regimen(-1)",
        "wb.Regimen(1)",
        "1",
        "Scenario((wb.Regimen(1),), above=1" + "0" * 400 + ")",
    ],
)
def test_settings_of_panels_that_cannot_be_are_named_and_left(shown, tmp_path, text):
    bench = shown(wb.load_example("theophylline"), wb.Model(wb.pk(absorption="first-order")))
    study = dataclasses.replace(study_of(bench.state), panels=(("scenario", text), ("of a later version", "1")))
    with wb.Workbench.open(study.save(tmp_path / "study.zip")) as again:
        assert again.state.problem.startswith("What Simulate tried cannot be read from the study, and begins anew")
        again.turn_to("Simulate")
        assert again.wait(120) and len(again.simulate_panel.scenario.regimens) == 1


def test_terminal_lines_of_nobody_are_named_and_left(shown, tmp_path):
    bench = shown(wb.load_example("theophylline"), wb.Model(wb.pk(absorption="first-order")))
    text = "Choices(terminal=((([1], 1), (1.0, 2.0, 3.0)),))"
    study = dataclasses.replace(study_of(bench.state), panels=(("choices", text),))
    with wb.Workbench.open(study.save(tmp_path / "study.zip")) as again:
        assert again.state.problem.startswith("How NCA was done cannot be read from the study")
        assert again.state.choices == bench.state.choices
