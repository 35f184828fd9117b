"""The room in a real JupyterLab: names for who does not see it, keys, widths, one selection."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

import workbench as wb

pytestmark = pytest.mark.browser

SHOW = "import workbench as wb\nbench = wb.Workbench(wb.load_example('theophylline'))\nbench"
TABS = ("Data", "Model", "Fit", "Diagnose", "Covariates", "Runs", "Simulate")
HEIGHT = "() => document.querySelector('.wb').getBoundingClientRect().height"
DOT = ".wb-board .bqplot path.element, .wb-board .bqplot .dot"
POINT = f"""() => {{ const dot = document.querySelectorAll('{DOT}')[0];
    dot.dispatchEvent(new MouseEvent('click', {{bubbles: true}})); }}"""

# What stands out of the room to a side, unless it is in something that scrolls; columns that hide a part of theirs.
OUTSIDE = """() => { const room = document.querySelector('.wb'), edge = room.getBoundingClientRect(), found = [];
    const scrolls = '.wb-scroll, .wb-runs, .wb-effects, .wb-heat, .wb-equations, .wb-math, pre, .wb-individual .bqplot';
    for (const one of room.querySelectorAll('button, input, select, h4, td, .lm-TabBar-tab, .bqplot')) {
        const at = one.getBoundingClientRect();
        if (!at.width || one.closest(scrolls)) continue;
        if (at.right > edge.right + 1 || at.left < edge.left - 1) found.push(one.title || one.textContent.slice(0, 40));
    }
    const bar = room.querySelector('.wb-tabs').getBoundingClientRect();
    for (const tab of room.querySelectorAll('.wb-tabs .lm-TabBar-tab')) {
        const at = tab.getBoundingClientRect();
        if (at.top < bar.top - 1 || at.bottom > bar.bottom + 1) found.push('tab ' + tab.textContent);
    }
    const body = room.querySelector('.wb-body');
    if (body.scrollWidth > body.clientWidth + 1) found.push('the body scrolls sideways');
    return found; }"""
HIDDEN = """() => [...document.querySelectorAll('.wb-left, .wb-right')]
    .filter(part => part.scrollHeight > part.clientHeight + 1).map(part => part.className)"""


COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}  # all that another theme changes


def fitted(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    page.click("Fit")
    page.wait_text("Run 1")
    page.settle()
    return page


def test_nothing_serious_is_wrong_for_who_does_not_see_it(notebook):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = fitted(notebook)
    found = []
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        for tab in TABS:
            page.tab(tab)
            page.settle(600)  # names of what has just come are given within half a second
            rules = {"resultTypes": ["violations"], **(COLOURS if "Dark" in theme else {})}
            for one in axe.run(page.page, context=".wb", options=rules).response["violations"]:
                if one["impact"] in ("serious", "critical"):
                    found.append((theme, tab, one["id"], [node["html"][:120] for node in one["nodes"]][:3]))
    assert found == []


def test_keys_pressed_in_the_room_stay_there(notebook):
    page = fitted(notebook)
    cells = "() => window.panel.content.widgets.length"
    before = page.page.evaluate(cells)
    page.button("Fit").focus()
    for key in ("a", "b", "x"):
        page.page.keyboard.press(key)
    page.settle()
    assert page.page.evaluate(cells) == before


def test_nothing_jumps_while_a_fit_runs_or_a_tab_is_turned(notebook):
    page = fitted(notebook)
    heights = set()
    for tab in TABS:
        page.tab(tab)
        heights.add(page.page.evaluate(HEIGHT))
    page.click("Fit")
    heights.add(page.page.evaluate(HEIGHT))
    page.wait_text("Run 2")
    heights.add(page.page.evaluate(HEIGHT))
    assert heights == {720}


def test_a_point_that_is_clicked_marks_its_subject_everywhere(notebook):
    page = fitted(notebook)
    page.tab("Diagnose")
    page.page.wait_for_selector(DOT, state="attached")
    page.settle()
    page.page.evaluate(POINT)
    page.wait_text("selected")
    assert page.python("len(bench.selection['subjects'])") == "1"
    page.tab("Fit")
    page.settle()
    assert page.page.locator(".wb-selected-name").count() == 1
    page.click("Leave out and refit")
    page.wait_text("Run 2")
    page.becomes("len(bench.data.events.subjects)", "11")
    page.click("Undo")
    page.wait_text("Run 3")


def test_a_lasso_and_a_box_are_drawn_with_the_mouse(notebook):
    page = fitted(notebook)

    def draw(*corners):
        at = page.page.locator(".wb-trellis .bqplot >> visible=true").first.bounding_box()
        points = [(at["x"] + x, at["y"] + y) for x, y in corners]
        page.page.mouse.move(*points[0])
        page.page.mouse.down()
        for point in points[1:]:
            page.page.mouse.move(*point, steps=5)
        page.page.mouse.up()

    page.page.locator(".wb-individual button[title^=lasso]").click()
    page.settle()
    draw((34, 10), (70, 10), (70, 50), (34, 50), (34, 12))
    page.wait_text("selected")
    page.becomes("bench.data.frame.loc[bench.selection['points'], 'ID'].unique().tolist()", "[1]")
    page.page.locator(".wb-individual button[title^=zoom]").click()
    page.settle()
    reach = "bench.individual_panel.cells[5].plane.x.max"
    whole = float(page.python(reach))
    draw((34, 10), (60, 60))
    page.page.locator(".wb-individual button[title^='the whole']").click()
    page.becomes(reach, str(whole))


def test_nothing_is_cut_off_at_any_width(notebook):
    page = fitted(notebook)
    page.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    cut = []
    for width in (480, 640, 900, 1180, 1400, 1800):
        page.page.set_viewport_size({"width": width, "height": 1000})
        for tab in TABS:
            page.python(f"bench.turn_to({tab!r})")
            page.settle(50)
            cut += [(width, tab, found) for found in page.page.evaluate(OUTSIDE)]
            if tab == "Fit" and width >= 1400:
                cut += [(width, tab, found) for found in page.page.evaluate(HIDDEN)]
    assert cut == []


def test_figures_and_tables_can_be_taken_along(notebook):
    page = fitted(notebook)

    def saved(place, kind):
        place.hover()
        place.locator("summary").click()
        with page.page.expect_download() as download:
            place.locator(".wb-take button", has_text=kind).click()
        return Path(download.value.path()).read_bytes()

    tile = page.page.locator(".wb-trellis .bqplot").nth(1)
    table = pd.read_csv(io.BytesIO(saved(tile, "CSV")))
    assert table.columns.tolist() == ["what", "TIME (h)", "DV (mg/L)", "point"]
    observed = table[table["what"] == "observed"]
    data = wb.load_example("theophylline")
    assert sorted(observed["DV (mg/L)"]) == sorted(data.frame.loc[data.frame["ID"] == 2, "DV"].dropna())
    assert {"dose", "typical line", "individual line"} <= set(table["what"])
    page.tab("Data")
    page.settle()
    drawing = saved(page.page.locator(".wb-data .bqplot >> visible=true").first, "SVG").decode()
    assert drawing.startswith("<svg") and "var(" not in drawing and drawing.count("<path") > 132
    page.tab("Fit")
    page.click("Estimates")
    page.settle()
    estimates = pd.read_csv(io.BytesIO(saved(page.page.locator(".wb-scroll >> visible=true").first, "CSV")))
    assert estimates.iloc[0, 0] == "ka" and len(estimates) >= 8
    page.click("Individual fits")
    page.settle()
    tile.hover()
    tile.locator("summary").press("Enter")
    tile.locator(".wb-take button", has_text="table").press("Enter")
    expect(page.page.locator(".wb-twin caption")).to_contain_text("lines: typical, individual")
