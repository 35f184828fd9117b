"""What a session of clicking leaves behind in the kernel and in the page.

No test of the default suite: `python -m tests.long memory` runs it.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

MINUTES = float(os.environ.get("WORKBENCH_MINUTES", "30"))
SETTLING = 1.5  # minutes at first which do not count, with two rounds of everything: what is made once is made there
MOST_KERNEL, MOST_PAGE = 50.0, 150.0  # MB
SHOW = "import workbench as wb\nbench = wb.Workbench(wb.load_example('theophylline'))\nbench"
TABS = ("Data", "Model", "Fit", "Diagnose", "Covariates", "Runs", "Simulate")
KERNEL = """import gc, resource
gc.collect()
print(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1])"""
OBJECTS = """import collections, gc
print(collections.Counter(type(one).__name__ for one in gc.get_objects()).most_common(12))"""


ERRORS = ("constant", "combined", "combined2")
VIEWS = ("Shrinkage", "Uncertainty", "Estimates", "Individual fits")


def all_of_it(page):
    """Do everything once that `act` chooses from."""
    for tab in TABS:
        page.tab(tab)
        page.settle(300)
    page.tab("Fit")
    for view in VIEWS:
        page.click(view)
        page.settle(300)
    for model in ERRORS:
        page.choose("Error model", model)
        page.click("Fit")
        page.python("bench.wait(120)")
        for tab in TABS:
            page.tab(tab)
            page.settle(300)
        page.tab("Fit")
    page.python("bench.wait(120)")


def act(page, chance):
    """Do something that people do."""
    what = chance.choice(("tab", "tab", "tab", "slide", "slide", "error", "error", "fit", "alone", "select", "view"))
    if what == "tab":
        page.tab(chance.choice(TABS))
    elif what == "fit":
        page.click("Fit")
    elif what == "slide":
        page.tab("Fit")
        handle = page.page.locator(".wb-slide .noUi-handle >> visible=true").nth(chance.randrange(3))
        handle.press(chance.choice(("ArrowLeft", "ArrowRight")))
    elif what == "error":
        page.tab("Fit")
        page.choose("Error model", chance.choice(ERRORS))
    elif what == "alone":
        page.tab("Fit")
        page.click("Individual fits")
        page.page.locator(".wb-trellis .wb-tile-name >> visible=true").nth(chance.randrange(12)).click()
        page.click("All subjects")
    elif what == "select":
        page.tab("Diagnose")
        page.page.evaluate(
            "() => document.querySelector('.wb-board .bqplot .dot, .wb-board .bqplot path.element')"
            "?.dispatchEvent(new MouseEvent('click', {bubbles: true}))"
        )
    else:
        page.tab("Fit")
        page.click(chance.choice(VIEWS))
        page.click("Individual fits")


def test_a_session_of_clicking_leaves_little_behind(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    page.page.set_default_timeout(20_000)
    devtools = page.page.context.new_cdp_session(page.page)
    devtools.send("Performance.enable")
    chance, rows, acts = random.Random(1), [], 0

    def measured():
        page.settle(500)
        devtools.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        kernel = float(page.python(KERNEL)) / 1024
        row = {
            "minutes": round((time.monotonic() - begun) / 60, 1), "acts": acts, "kernel": round(kernel, 1),
            "page": round(found["JSHeapUsedSize"] / 2**20, 1), "nodes": int(found["Nodes"]),
            "listeners": int(found["JSEventListeners"]), "runs": int(page.python("print(len(bench.runs))")),
        }  # fmt: skip
        rows.append(row)
        print(row, flush=True)

    begun = time.monotonic()
    page.click("Fit")
    page.wait_text("Run 1")
    measured()
    for _ in range(2):
        all_of_it(page)
    begun = time.monotonic()
    settling = min(SETTLING, MINUTES / 4)
    steps = [settling + k * (MINUTES - settling) / 6 for k in range(7)]
    for until in steps:
        while time.monotonic() - begun < 60 * until:
            act(page, chance)
            acts += 1
            page.page.wait_for_timeout(chance.choice((50, 150, 400)))
        page.python("bench.wait(60)")
        measured()
    print(page.python(OBJECTS))
    if path := os.environ.get("WORKBENCH_MEASURED"):
        Path(path).write_text(json.dumps(rows), encoding="utf-8")
    first, last = rows[1], rows[-1]
    assert last["kernel"] - first["kernel"] < MOST_KERNEL
    assert last["page"] - first["page"] < MOST_PAGE
