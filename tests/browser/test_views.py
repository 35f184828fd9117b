"""More than one look at a Workbench: two views of it, cells that run again, a page that is loaded again.

Console errors and requests to other machines fail each of them, as everywhere here.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import READY, TIMEOUT

pytestmark = pytest.mark.browser

MAKE = "import workbench as wb\nbench = wb.Workbench(wb.load_example('theophylline'))"
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)"


def test_two_views_and_a_second_run(notebook):
    page = notebook(MAKE, "bench", "bench")
    page.run()
    rooms = page.page.locator(".wb:visible")
    expect(rooms).to_have_count(2)
    page.wait_text("press Fit")
    page.settle()
    rooms.nth(1).locator("button", has_text="Fit").first.click()
    for room in (rooms.first, rooms.nth(1)):
        expect(room.locator(".wb-said")).to_contain_text("Run 1")
    rooms.first.locator(".lm-TabBar-tab", has_text="Runs").click()
    page.becomes("bench.tab.selected_index", "5")
    page.settle()
    page.run()  # a new Workbench in the place of the old one
    expect(rooms).to_have_count(2)
    page.wait_text("press Fit")
    page.becomes("len(bench.runs)", "0")
    page.settle()


def test_a_page_that_is_loaded_again_goes_on(notebook):
    page = notebook(MAKE + "\nbench")
    page.run()
    page.click("Fit")
    page.wait_text("Run 1")
    page.becomes("bench.wait(60), len(bench.runs)", "(True, 1)")
    page.settle()
    page.page.evaluate(SAVE)
    page.page.reload()
    page.page.wait_for_function("() => window.jupyterapp")
    page.page.evaluate(READY, [page.path.name, TIMEOUT])
    page.wait_text("Run 1")
    page.settle()
    assert page.page.locator(".wb-trellis .bqplot >> visible=true").count() == 12
    page.click("Fit")
    page.wait_text("Run 2")
    page.settle()
