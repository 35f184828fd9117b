"""How long a person waits: from an event in the page until the page has drawn what follows from it.

No test of the default suite: `python -m tests.long latency` runs it, and asserts nothing about time. Times are read in
the page, from the event until the last change of a curve that it brings.
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

TIMES = int(os.environ.get("WORKBENCH_TIMES", "50"))
SHOW = "import workbench as wb\nbench = wb.Workbench(wb.load_example({name!r}))\nbench.run()\nbench.wait(120)\nbench"
MANY = """import numpy as np, pandas as pd, workbench as wb
one = wb.load_example("theophylline").frame
data = wb.read_data(pd.concat([one.assign(ID=one["ID"] + 12 * k) for k in range(300)], ignore_index=True),
    roles={"subject": "ID", "time": "TIME", "response": "DV", "amount": "AMT"})
bench = wb.Workbench(data, wb.Model(wb.pk(compartments=1, absorption="first-order"), error=wb.Combined2()))
bench"""
# Milliseconds from `act` until `done` holds (it is told when a curve last changed, 0 before), and until the last change
# of a curve, once none changed for a while.
WATCH = """async ([act, done, quiet, room]) => {
    const place = document.querySelector(room);
    let last = 0;
    const lines = new MutationObserver(changes => {
        if (changes.some(change => change.target.matches('path.line'))) last = performance.now();
    });
    lines.observe(place, {subtree: true, attributes: true, attributeFilter: ['d']});
    const begun = performance.now();
    const holds = (0, eval)(done);
    let held = 0;
    (0, eval)(act);
    for (const end = begun + 30000;;) {
        if (performance.now() > end) throw new Error('nothing followed from ' + act);
        await new Promise(resolve => requestAnimationFrame(resolve));
        if (!held && holds(last)) held = performance.now();
        if (held && performance.now() - Math.max(last, held) > quiet) break;
    }
    lines.disconnect();
    return Math.max(last, held) - begun;
}"""
NOTHING = """async () => { const begun = performance.now();
    await window.panel.sessionContext.session.kernel.requestExecute({code: 'None', store_history: false}).done;
    return performance.now() - begun; }"""
KEY = """(() => { const handle = document.querySelectorAll('.wb-slide .noUi-handle')[%d]; handle.focus();
    handle.dispatchEvent(new KeyboardEvent('keydown', {key: %r, bubbles: true})); })()"""
CHOOSE = """(() => { const box = [...document.querySelectorAll('.wb-card select')].find(one =>
    [...one.options].some(option => option.text === 'combined2'));
    box.value = box.value === 'combined2' ? %r : 'combined2';
    box.dispatchEvent(new Event('change', {bubbles: true})); })()"""
PRESS = "[...document.querySelectorAll('.wb-actions button')].find(one => one.textContent.trim() === %r).click()"
ANOTHER = """(() => { const said = () => document.querySelector('.wb-said').textContent, before = said();
    return () => said() !== before && said().startsWith('Run '); })()"""
DRAWN = "(() => last => last > 0)()"


def told(what: str, times: list[float], asked: int | None = None) -> None:
    """Hand a measurement to who wants it, with the median that was asked for."""
    row = {"what": what, "asked": asked, "times": [round(one, 1) for one in times]}
    print(what, f"{statistics.median(times):.0f} ms")
    if path := os.environ.get("WORKBENCH_MEASURED"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def begun(notebook, *cells):
    page = notebook(*cells)
    page.run()
    page.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.wait_text("Run 1") if "bench.run" in cells[0] else page.wait_text("press Fit")
    page.settle(600)
    return page


def test_an_empty_round_trip(notebook):
    """What nothing costs: a request to the kernel that does nothing, beside which the others are to be read."""
    page = begun(notebook, SHOW.format(name="theophylline"))
    told("an empty request to the kernel and back", [page.page.evaluate(NOTHING) for _ in range(TIMES)])


@pytest.mark.parametrize("name", ["theophylline", "quinidine"])
def test_a_slider_moves_the_curves(notebook, name):
    page = begun(notebook, SHOW.format(name=name))
    times = []
    for k in range(TIMES):
        key = KEY % (k % 2, "ArrowLeft" if k // 2 % 2 else "ArrowRight")
        times.append(page.page.evaluate(WATCH, [key, DRAWN, 120, ".wb-trellis"]))
    told(f"{name}: slider → curves", times, 100)


@pytest.mark.parametrize("name", ["theophylline", "quinidine"])
def test_a_dropdown_refits(notebook, name):
    page = begun(notebook, SHOW.format(name=name))
    page.python("bench.state.update(live=True)")
    other, times = "constant" if name == "theophylline" else "proportional", []
    for _ in range(TIMES):
        times.append(page.page.evaluate(WATCH, [CHOOSE % other, ANOTHER, 150, ".wb-trellis"]))
        page.settle(50)
    told(f"{name}: error model → refitted curves", times, 300 if name == "theophylline" else 600)


def test_many_subjects(notebook):
    page = begun(notebook, MANY)
    redraws, cancels = [], []
    for _ in range(max(1, TIMES // 10)):
        redraws.append(page.page.evaluate(WATCH, [PRESS % "Fit", DRAWN, 0, ".wb-trellis"]))
        cancels.append(page.page.evaluate(WATCH, [PRESS % "Cancel", ANOTHER, 0, ".wb-trellis"]))
        page.settle(300)
        page.python("bench.model = bench.model.with_values({'ka': 1.0 + 0.5 * len(bench.runs)}); bench.wait(60)")
        page.settle(300)
    told("3,600 subjects: Fit → first redraw", redraws, 800)
    told("3,600 subjects: Cancel → the run that is left", cancels, 300)
