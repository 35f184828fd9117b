"""What stays in JupyterLab when the kernel is gone: the panels say so, and a saved notebook shows what was last."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

SHOW = (
    "import workbench as wb\n"
    "model = wb.Model(wb.pk(absorption='first-order'), error=wb.Constant())\n"
    "bench = wb.Workbench(wb.load_example('theophylline'), model)\nbench"
)
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)"
RESTART = "() => window.panel.sessionContext.session.kernel.restart().then(() => null)"
SHUT_DOWN = "() => window.panel.sessionContext.shutdown().then(() => null)"
SAID = "() => getComputedStyle(document.querySelector('.wb.jupyter-widgets-disconnected'), '::before').content"


def fitted(page):
    page.run()
    page.click("Fit")
    page.wait_text("Run 1")
    page.becomes("bench.wait(60), len(bench.runs)", "(True, 1)")
    page.settle()


def test_panels_say_that_the_kernel_was_restarted(notebook):
    page = notebook(SHOW)
    fitted(page)
    assert page.page.locator(".wb-status").first.is_visible() and not page.page.locator(".wb-twin").is_visible()
    page.page.evaluate(RESTART)
    page.page.wait_for_selector(".wb.jupyter-widgets-disconnected")
    assert "no longer answer" in page.page.evaluate(SAID)
    assert not page.page.locator(".wb-status").first.is_visible()
    page.problems.clear()  # JupyterLab complains of each widget that is gone


def test_a_saved_notebook_shows_what_was_last_without_a_kernel(notebook):
    page = notebook(SHOW)
    fitted(page)
    ofv = page.python("f'{bench.fit.ofv:.3f}'").strip("'")
    page.page.wait_for_function("ofv => document.querySelector('.wb-twin').textContent.includes(ofv)", arg=ofv)
    page.page.evaluate(SAVE)
    page.page.evaluate(SHUT_DOWN)
    page.page.close()  # two pages would not share a workspace
    page.problems.clear()
    again = notebook(path=page.path.name)
    again.wait_text(ofv)
    twin = again.page.locator(".wb-twin")
    assert twin.is_visible() and twin.locator("img").count() == 2 and twin.locator("table").count() == 1
    assert twin.locator("img").first.evaluate("image => image.naturalWidth") > 100
    again.page.wait_for_timeout(1500)
    assert not again.page.get_by_text("Error displaying widget").is_visible()
    again.problems.clear()  # that the widget is gone
