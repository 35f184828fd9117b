"""The Workbench as a person meets it: in a real JupyterLab."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.browser

SHOW = "import workbench as wb\nbench = wb.Workbench(wb.load_example('theophylline'))\nbench"
CURVES = """() => [...document.querySelectorAll('.wb-trellis path.line')]
    .map(path => path.getAttribute('d')).join('|')"""
CANCELLED = """() => new Promise((resolve, reject) => {
    const begun = performance.now();
    const status = document.querySelector('.wb-status').closest('.widget-html');
    const observer = new MutationObserver(() => {
        if (!/Fitting|Stopping/.test(status.textContent)) { observer.disconnect(); resolve(performance.now() - begun); }
    });
    observer.observe(status, {subtree: true, childList: true, characterData: true});
    setTimeout(() => reject(new Error('it was not stopped')), 60000);
    [...document.querySelectorAll('.wb button')].find(b => b.textContent.trim() === 'Cancel').click();
})"""
MANY = """
import numpy as np, pandas as pd, workbench as wb
theo = wb.load_example('theophylline').frame
parts = []
rng = np.random.default_rng(1)
for k in range(SUBJECTS // 12):
    part = theo.copy()
    part['ID'] = part['ID'] + 12 * k
    part['DV'] = part['DV'] * rng.lognormal(0, 0.2, len(part))
    parts.append(part)
data = wb.read_data(pd.concat(parts, ignore_index=True), name='many')
bench = wb.Workbench(data)
bench
"""


def test_it_is_on_screen_before_anything_is_pressed(notebook):  # `pytest -s` prints what took how long
    page = notebook(SHOW)
    begun = time.perf_counter()
    page.run()
    page.page.locator(".wb-trellis path.line").first.wait_for(state="attached")
    print(f"on screen {time.perf_counter() - begun:.1f} s after the cell started")
    assert page.errors() == []


def test_fit_moves_the_curves(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    page.settle()  # the typical curves at the initial values are drawn by then
    before = page.page.evaluate(CURVES)
    page.click("Fit")
    page.page.wait_for_function(f"before => ({CURVES})() !== before", arg=before)
    page.wait_text("The fit converged")
    assert page.python("bench.fit.converged") == "True"


def test_cancel_of_a_long_fit_answers_at_once(notebook):
    page = notebook(MANY.replace("SUBJECTS", "10000"))
    page.run()
    page.wait_text("press Fit")
    page.click("Fit")
    page.wait_text("Fitting … iteration")
    took = page.page.evaluate(CANCELLED)
    print(f"cancelled {took:.0f} ms after the click")
    page.wait_text("The fit was stopped")
    assert page.python("bench.fit.status.name") == "'stopped'"


def test_widgets_and_notebook_are_two_sides_of_one_model(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    page.type("CL", 0.05)
    page.choose("Error model", "constant")
    page.becomes("bench.model['CL'].value, bench.model.error.title", "(0.05, 'constant')")
    page.python("bench.model = bench.model.with_values({'CL': 0.07})")
    page.page.wait_for_function("() => [...document.querySelectorAll('.wb input')].some(i => i.value === '0.07')")


def test_a_slider_changes_what_it_should_and_nothing_else(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    assert page.python("bench.model.is_complete") == "False"  # showing the sliders is no change
    before = page.page.evaluate(CURVES)
    handle = page.page.locator(".wb-parameters .noUi-handle").nth(1)
    handle.focus()
    for _ in range(5):
        handle.press("ArrowRight")
    page.page.wait_for_function(f"before => ({CURVES})() !== before", arg=before)
    changed = page.python(
        "start = wb.initial_values(wb.Model(bench.model.structure), bench.data)\n"
        "[p.name for p in bench.model.parameters if p.value != start[p.name].value]"
    )
    assert changed == "['CL']"


def test_what_is_hostile_is_shown_as_text(notebook, tmp_path):
    evil = "<img src=x onerror=window.hacked=1>"
    file = tmp_path / f"{evil}.csv"
    doses_and_values = ((0, ".", 10), (1, 3, "."), (2, 2, "."))
    rows = [f'"{evil}{i}",{t},{d},{a},{i}\n' for i in (1, 2) for t, d, a in doses_and_values]
    file.write_text(f'ID,TIME,DV,AMT,"{evil}"\n' + "".join(rows))
    page = notebook("import workbench as wb\nbench = wb.Workbench()\nbench")
    page.run()
    page.upload(file)
    page.wait_text("2 subjects")
    page.click("Fit")
    page.wait_text("Run 1")
    for tab in (
        "Equations",
        "Effects",
        "Typical curves",
        "Error",
        "Individual fits",
        "Estimates",
        "Diagnose",
        "Runs",
        "Simulate",
        "Code",
        "Data",
    ):
        page.place(tab)
        page.settle()
    assert page.page.evaluate("() => window.hacked ?? null") is None
    assert page.page.locator(".wb img").count() == 0
    assert page.page.get_by_text(f"{evil}1").count() > 0


def test_a_bad_file_says_what_is_wrong_and_keeps_the_data(notebook, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("ID,TIME,DV,AMT\n1,0,.,4\n1,one,3,.\n2,-1,2,.\n")
    page = notebook(SHOW)
    page.run()
    page.place("Data")
    page.upload(file)
    page.wait_text("was not taken")
    page.wait_text("row 3")
    assert page.python("bench.data.name") == "'theophylline'"
