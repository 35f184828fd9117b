"""Figures of what comes after the fit, in a real browser: drawn, linked, downloaded; pictures of all of them.

`WORKBENCH_PICTURES=folder pytest -n0 tests/browser/test_figures.py -k pictures` takes a picture of every figure, light
and dark, 1400 and 900 px wide; without the folder each is drawn once and looked at by its marks.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.ui.session.board import KINDS

pytestmark = pytest.mark.browser

SHOW = """import workbench as wb
bench = wb.Workbench(wb.load_example('theophylline'), wb.Model(wb.pk(absorption='first-order')))
bench.run()
bench.wait(120)
bench.model = bench.model.with_covariate('V', 'WT')
bench.run()
bench.wait(120)
bench.turn_to('Diagnose')
bench"""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
DRAWN = """() => [...document.querySelectorAll('.wb-board .wb-figure')].map(figure =>
    figure.querySelectorAll('.bqplot path.dot, .bqplot path.element, .bqplot .line, .bqplot .curve').length)"""
PRESS = """() => { const dots = document.querySelectorAll('.wb-board .wb-figure:nth-child(2) .bqplot path.element,' +
    ' .wb-board .wb-figure:nth-child(2) .bqplot .dot');
    dots[20].dispatchEvent(new MouseEvent('click', {bubbles: true})); }"""


def test_a_point_is_marked_in_all_six(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("quantiles lie in their")
    page.settle()
    assert len(page.page.evaluate(DRAWN)) == 6 and min(page.page.evaluate(DRAWN)) > 2
    page.page.evaluate(PRESS)
    page.wait_text("by one Newton step")
    page.settle()
    assert (
        page.python("[len(c.points.mark.selected) for c in bench.diagnose_panel.charts]") == "[11, 11, 11, 11, 3, 11]"
    )
    page.choose("Residuals", "NPDE")
    page.becomes("bench.diagnose_panel.over_time.plane.y_axis.label", "'NPDE'")


def test_figures_are_downloaded(notebook, tmp_path):
    page = notebook(SHOW)
    page.run()
    page.wait_text("quantiles lie in their")
    page.settle()
    figure = page.page.locator(".wb-board .wb-figure").first
    figure.hover()
    with page.page.expect_download() as download:
        figure.locator(".wb-numbers-tool button").click()
    assert download.value.suggested_filename == "observed-and-predicted.csv"
    download.value.save_as(tmp_path / "numbers.csv")
    lines = (tmp_path / "numbers.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "ID,TIME,DV,PRED,IPRED" and len(lines) == 133
    plot = figure.locator(".bqplot")
    plot.hover()
    plot.locator(".wb-take summary").click()
    with page.page.expect_download() as download:
        plot.locator(".wb-take-list button", has_text="SVG").click()
    download.value.save_as(tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "rgb(46, 58, 70)" in text and "var(" not in text and "predicted, mg/L" in text


def test_pictures_of_every_figure(notebook):
    stated = os.environ.get("WORKBENCH_PICTURES")
    page = notebook(SHOW)
    page.run()
    page.wait_text("quantiles lie in their")
    page.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    names = [kind.name for kind in KINDS]
    for theme in THEMES if stated else ("light",):
        page.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", THEMES[theme]
        )
        for width in (1400, 900) if stated else (1400,):
            page.page.set_viewport_size({"width": width, "height": 1100})
            page.python("bench.turn_to('Diagnose')")
            for first in range(0, len(names), 6):
                some = names[first : first + 6]
                page.python(f"for chart, name in zip(bench.diagnose_panel.charts, {some!r}): chart.kind.value = name")
                page.settle()
                drawn = page.page.evaluate(DRAWN)
                expected = [name for name in some if name != "censored"]  # nothing is censored here
                assert len([count for count in drawn if count > 1]) >= len(expected)
                _picture(page, stated, f"{theme}-{width}-board-{first // 6}")
            for tab, ready in (("Simulate", "bench.simulate_panel.above.value = '5'"),
                               ("Data", "bench.data_panel.views.value = 'NCA'")):  # fmt: skip
                page.python(f"bench.turn_to({tab!r}); {ready}; bench.wait(60)")
                page.settle()
                _picture(page, stated, f"{theme}-{width}-{tab.lower()}")


def _picture(page, folder, name):
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.page.locator(".wb").first.screenshot(path=Path(folder) / f"{name}.png")
