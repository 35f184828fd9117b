"""The Runs panel: runs are found, named, starred, compared, restored and deleted."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.ui.actions import open_tab, press
from workbench.ui.session.ledger import entries

MODEL = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())


@pytest.fixture(scope="module")
def fits():
    data = wb.load_example("theophylline")
    made = [
        wb.fit(MODEL, data),
        wb.fit(MODEL.with_covariate("V", "WT", shape="power", reference=70), data),
        wb.fit(MODEL, data, method="foce"),
    ]
    return [*made, wb.fit(MODEL.with_error(wb.Combined2()), data.exclude(subject=2))]


@pytest.fixture
def bench(fits, tmp_path):
    runs = wb.Runs.open(tmp_path / "runs.db").add(fits[0]).add(fits[1], parent=1).add(fits[2], parent=1).add(fits[3])
    with wb.Workbench(fits[0].data, MODEL, runs=wb.Runs.open(runs.path)) as bench:
        open_tab(bench, "Runs")
        yield bench


def listed(bench):
    return list(bench.runs_panel.buttons)


def tick(bench, *numbers):
    for line in bench.runs_panel.lines:
        line.tick.value = int(line.button.description) in numbers


def test_runs_are_ordered_found_and_stand_under_each_other(bench, fits):
    panel = bench.runs_panel
    assert listed(bench) == [4, 3, 2, 1] and str(bench.runs.path) in panel.about.value
    assert not any(run.is_loaded for run in bench.runs)  # a list of a thousand runs reads no fit
    panel.order.value = "OFV"
    assert listed(bench)[0] == 4 and listed(bench)[1:] == sorted((1, 2, 3), key=lambda n: bench.runs[n].facts.ofv)
    panel.order.value = "tree"
    assert listed(bench) == [4, 1, 3, 2]
    assert [entry.depth for entry in entries(bench.runs, "tree")[0]] == [0, 0, 1, 1]
    assert "↳ + WT on V (from 1)" in panel.lines[3].text.value
    panel.wanted.value = "theo + wt"
    assert listed(bench) == [2]
    panel.wanted.value = "nothing of the kind"
    assert listed(bench) == []
    panel.wanted.value = ""
    assert entries(bench.runs, most=2)[1] == 4 and len(entries(bench.runs, most=2)[0]) == 2


def test_a_run_is_named_noted_and_starred(bench):
    panel = bench.runs_panel
    tick(bench, 2)
    panel.name.value = "<with weight>"
    next(line for line in panel.lines if line.button.description == "2").note.value = "kept"
    panel.star.click()
    again = wb.Runs.open(bench.runs.path)
    assert (again[2].name, again[2].note, again[2].starred) == ("<with weight>", "kept", True)
    line = next(line for line in panel.lines if line.button.description == "2")
    assert "★" in line.text.value and "&lt;with weight&gt;" in line.text.value and line.note.value == "kept"
    panel.order.value = "starred"
    assert listed(bench)[0] == 2
    panel.order.value = "name"
    assert listed(bench)[0] == 2
    panel.star.click()
    assert not bench.runs[2].starred and "is more" not in bench.state.problem


def test_several_runs_are_compared(bench, fits):
    panel = bench.runs_panel
    tick(bench, 1, 2)
    found = wb.compare(fits[0], fits[1])
    for text in (f"{-found.table['delta_ofv'].iloc[1]:.2f}", "run 2:", "WT", "ΔOFV by subject", "<svg",
                 "wb.compare(bench.runs[1].fit, bench.runs[2].fit)"):  # fmt: skip
        assert text in panel.comparison.value
    drawn = panel.comparison.value
    assert drawn.count("<rect") == 12 and f"subject 5: {found.by_subject['Δ 2'][5]:+.3f}".replace("-", "−") in drawn
    tick(bench, 1, 2, 3)
    assert "run 3" in panel.comparison.value and "OFVs by subject are compared" in panel.comparison.value
    tick(bench)
    assert panel.comparison.value == ""


def test_runs_are_deleted_and_come_back(bench):
    panel = bench.runs_panel
    press(bench, panel.buttons[3])
    assert bench.fit is not None and bench.method == "foce"
    tick(bench, 2, 3)
    panel.delete.click()
    assert listed(bench) == [4, 1] and bench.fit is None and len(wb.Runs.open(bench.runs.path)) == 2
    panel.undo.click()
    panel.undo.click()
    assert listed(bench) == [4, 3, 2, 1] and panel.undo.disabled and len(wb.Runs.open(bench.runs.path)) == 4
    press(bench, panel.buttons[3])
    assert bench.fit is not None and bench.fit.method == "foce"


def test_a_study_is_saved_by_a_button(bench, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    bench.runs_panel.save.click()
    bench.runs_panel.save.click()
    assert "study-2.zip" in bench.runs_panel.saved.value and bench.state.problem == ""
    assert len(wb.load(tmp_path / "study-2.zip").runs) == 4


def test_a_report_is_written_by_a_button(bench, fits, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    panel = bench.runs_panel
    assert panel.report.disabled
    tick(bench, 1, 2)
    press(bench, panel.report)
    assert bench.state.problem == ""
    page = (tmp_path / "report-run-2.html").read_text(encoding="utf-8")
    assert f"{fits[1].ofv:.3f}" in page and "ΔOFV by subject" in page and "report-run-2.html" in panel.saved.value
    assert bench.state.problem == "" and bench.state.activity == ""


def test_a_run_that_cannot_be_restored_says_why(bench, fits):
    import sqlite3

    connection = sqlite3.connect(bench.runs.path)
    connection.execute("UPDATE runs SET fit = ? WHERE number = 2", (b"nothing",))
    connection.commit()
    connection.close()
    bench.runs_panel.buttons[2].click()
    assert "run 2" in bench.state.problem.lower() and "should not happen" not in bench.state.problem
    bench.runs_panel.buttons[1].click()
    assert bench.state.problem == "" and bench.fit.ofv == fits[0].ofv
