"""The Screening panel in a real JupyterLab: a cell is clicked, its effect put in, and taken back."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

SHOW = (
    "import workbench as wb\n"
    "model = wb.Model(wb.pk(1), [wb.Parameter('CL', iiv=0.3), wb.Parameter('V', iiv=0.3)], error=wb.Proportional())\n"
    "bench = wb.Workbench(wb.load_example('phenobarbital'), model)\n"
    "bench"
)
CONTRAST = """() => {
    const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => {
        v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    return [...document.querySelectorAll('.wb-heat button, .wb-heat-legend span')].map(one => {
        const style = getComputedStyle(one), [a, b] = [light(style.color), light(style.backgroundColor)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
}"""
OUTSIDE = """() => {
    const view = document.querySelector('.wb-right').getBoundingClientRect();
    return [...document.querySelectorAll('.wb-right button, .wb-right select, .wb-forest > *')].filter(one => {
        const box = one.getBoundingClientRect();
        return box.width && (box.right > view.right + 1 || box.left < view.left - 1); }).map(one => one.outerHTML);
}"""


def test_an_effect_is_put_in_and_taken_back(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    page.click("Fit")
    page.wait_text("Run 1")
    page.place("Screening")
    page.click("Screen")
    page.wait_text("Press a cell")
    cell = page.page.locator(".wb-heat button", has_text="CL ~ WT")
    cell.focus()
    page.page.keyboard.press("Enter")
    page.page.locator(".wb-heat button.wb-chosen", has_text="CL ~ WT").wait_for()
    assert cell.inner_text().split("\n")[0] == "7·10⁻⁷" and "shrinkage" in cell.get_attribute("title").lower()
    page.choose("shape", "power")
    page.page.locator(".wb-right .bqplot path.line").first.wait_for(state="attached")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.settle()
        ratios = page.page.evaluate(CONTRAST)
        assert len(ratios) == 10 and min(ratios) > 4.5
    page.click("Add")
    page.wait_text("realised −55.66")
    page.wait_text("Screen of run 2")
    assert page.python("round(bench.fit.ofv, 2), bench.state.study('step').before.number") == "(675.23, 1)"
    page.page.locator(".wb-forest circle").first.wait_for()
    assert page.page.locator(".wb-forest circle").count() == 2
    assert page.page.evaluate(OUTSIDE) == []
    page.click("Undo")
    page.wait_text("Screen of run 1")
    page.click("Stepwise")
    page.wait_text("came in")
    page.wait_text("Screen of run 3")
    page.wait_text("2 df")
