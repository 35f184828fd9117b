"""Every tab looks as it did when it was last looked at; `pictures.py` says what counts as another picture."""

from __future__ import annotations

from itertools import product

import pytest

from . import pictures

pytestmark = pytest.mark.browser

SHOW = """import workbench as wb
data = wb.load_example("theophylline")
bench = wb.Workbench(data, wb.Model(wb.pk(compartments=1, absorption="first-order"), error=wb.Constant()))
bench.run()
bench.wait(120)
bench.model = bench.model.with_error(wb.Combined2())
bench.run()
bench.wait(120)
bench.screening_panel.show()
bench"""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTHS = (1400, 900)
TABS = ("Data", "Model", "Fit", "Diagnose", "Covariates", "Runs", "Simulate")
TURN = "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})"
ROOM = "() => document.querySelector('.wb').getBoundingClientRect().width"
# How long a fit took is told in the strip, another time every time; what flashes and blinks stands still.
STILL = """.wb .wb-strip .wb-said { visibility: hidden; } .wb .wb-flash { background: none !important; }
    .wb * { animation: none !important; transition: none !important; caret-color: transparent !important; }"""


def as_wide(page, width):
    """Make the room so many pixels wide."""
    page.page.set_viewport_size({"width": width, "height": 1000})
    page.settle(100)
    beside = width - page.page.evaluate(ROOM)
    page.page.set_viewport_size({"width": width + round(beside), "height": 1000})
    page.settle(100)


def test_every_tab_looks_as_it_did(notebook, tmp_path):
    page = notebook(SHOW)
    page.run()
    page.wait_text("Run 2")
    page.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.page.add_style_tag(content=STILL)
    page.python("bench.turn_to('Covariates'); bench.screening_panel.screen.click(); bench.wait(120)")
    said = []
    for theme, width in product(THEMES, WIDTHS):
        page.page.evaluate(TURN, THEMES[theme])
        as_wide(page, width)
        for tab in TABS:
            page.python(f"bench.turn_to({tab!r}); bench.wait(120)")
            page.page.mouse.move(2, 2)
            page.settle(450)  # a figure that was hidden is laid out 300 ms after it is seen
            png = page.page.locator(".wb").first.screenshot(animations="disabled")
            (tmp_path / f"{tab.lower()}-{width}-{theme}.png").write_bytes(png)
            said.append(pictures.compared(png, f"{tab.lower()}-{width}-{theme}"))
    assert list(filter(None, said)) == []


def test_what_counts_as_another_picture():
    """A control that has moved, or gone, or grey on grey, is seen; a pixel here and there is not."""
    kept = pictures.opened(pictures.path_of("fit-1400-light").read_bytes())
    width, height = kept.size
    shifted = kept.copy()
    shifted.paste(kept.crop((0, 0, width - 1, height)), (1, 0))
    assert pictures.difference(shifted, kept) <= pictures.MOST_BLOCKS
    panel = kept.copy()
    panel.paste(kept.crop((0, 100, width // 2, height)), (40, 100))
    assert pictures.difference(panel, kept) > pictures.MOST_BLOCKS
    gone = kept.copy()
    gone.paste(kept.getpixel((width - 4, height // 2)), (width // 2, 180, width, height - 60))
    assert pictures.difference(gone, kept) > pictures.MOST_BLOCKS
    assert pictures.difference(kept.crop((0, 0, width, height - 40)), kept) == 1.0


def test_pictures_stay_small():
    kept = sorted(pictures.FOLDER.glob("*.webp"))
    assert [one.stem for one in kept] == sorted(
        f"{tab.lower()}-{width}-{theme}" for tab in TABS for width in WIDTHS for theme in THEMES
    )
    assert sum(one.stat().st_size for one in kept) < 2_000_000
