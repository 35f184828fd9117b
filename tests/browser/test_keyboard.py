"""From a file to a fit without a mouse: only keys are pressed once the notebook has run."""

from __future__ import annotations

import math

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

pytestmark = pytest.mark.browser

HELD = """() => { const one = document.activeElement;
    if (!one.parentElement?.closest('.wb')) return '';
    return [one.tagName, one.type ?? '', one.textContent.trim().slice(0, 40), one.title ?? '',
        one.getAttribute('aria-label') ?? '', one.labels?.[0]?.textContent.trim() ?? ''].join('|'); }"""
FIRST = """() => { const room = document.querySelector('.wb'); room.tabIndex = -1; room.focus(); }"""


def to(page, what, key="Tab", most=120):
    """Press Tab until a widget that says so has the focus."""
    for _ in range(most):
        held = page.page.evaluate(HELD)
        if what in held:
            return
        page.page.keyboard.press(key)
    pytest.fail(f"Tab does not lead to {what!r}; it ended at {held!r}", pytrace=False)


def upload(page, file, times=3):
    """Press Enter on the button that uploads.

    A browser opens its chooser only within some seconds of the key: where that was too late, the key is pressed again.
    """
    for attempt in range(times):
        to(page, "Upload a file")
        try:
            with page.page.expect_file_chooser(timeout=30_000) as chooser:
                page.page.keyboard.press("Enter")
            return chooser.value.set_files(file)
        except PlaywrightTimeout:
            if attempt == times - 1:
                raise


def test_from_file_to_fit_by_keys_alone(notebook, tmp_path):
    file = tmp_path / "people.csv"
    times, lines = (0.5, 1, 2, 4, 8, 12), ["ID,TIME,DV,AMT"]
    for i in range(1, 7):
        lines.append(f"{i},0,.,100")
        for k, t in enumerate(times):
            value = (
                8
                * (1 + 0.06 * i)
                * (math.exp(-(0.1 + 0.01 * i) * t) - math.exp(-1.4 * t))
                * (1 + 0.05 * (-1) ** (i + k))
            )
            lines.append(f"{i},{t},{value:.3f},.")
    file.write_text("\n".join(lines) + "\n")
    page = notebook("import workbench as wb\nbench = wb.Workbench()\nbench")
    page.run()
    page.settle()
    keyboard = page.page.keyboard
    page.page.evaluate(FIRST)
    upload(page, file)
    page.wait_text("6 subjects")
    page.settle()
    page.page.evaluate(FIRST)
    to(page, "|Method")
    keyboard.press("L")  # a menu goes to what begins so
    page.becomes("bench.method", "'laplace'")
    to(page, "|Fit|estimate")
    keyboard.press("Enter")
    page.wait_text("Run 1")
    assert page.python("bench.fit.method, bench.fit.status.ok") == "('laplace', True)"
    page.settle()
    page.page.evaluate(FIRST)
    to(page, "LI|")  # the bar of tabs is one stop; arrows go along it
    before = page.python("bench.tab.selected_index")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    page.becomes("bench.tab.selected_index", str(int(before) + 1))
