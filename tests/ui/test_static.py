"""A notebook without a kernel: what a Workbench showed last is an output that needs none."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree as ET

import nbclient
import nbformat
import pytest

import workbench as wb
from workbench.markup.still import Layer, picture, still, ticks

MODEL = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())


def drawings(html: str) -> list[str]:
    return [base64.b64decode(found).decode() for found in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", html)]


def test_the_bundle_says_what_is_shown():
    data = wb.load_example("theophylline")
    with wb.Workbench(data, MODEL) as bench:
        before = bench._repr_mimebundle_()["text/html"]
        assert "Not fitted yet" in before and len(drawings(before)) == 1
        bench.run()
        assert bench.wait(120)
        html = bench._repr_mimebundle_()["text/html"]
        for row in bench.fit.rows():
            assert all(cell in html for cell in row if cell)
        assert f"{bench.fit.ofv:.3f}" in html and "wb.load_example(&#x27;theophylline&#x27;)" in html
        first, second = map(ET.fromstring, drawings(html))
        assert len(list(first.iter("{http://www.w3.org/2000/svg}circle"))) == bench.fit.n_observations
        assert "<script" not in html and "http://" not in html and len(second)
    assert "closed" in bench._repr_mimebundle_()["text/plain"]


def test_names_from_data_are_text():
    evil = "<img src=x onerror=alert(1)>"
    frame = wb.load_example("theophylline").to_frame()
    data = wb.read_data(frame, name=evil, units={"time": "h"})
    with wb.Workbench(data, MODEL) as bench:
        html = bench._repr_mimebundle_()["text/html"]
    assert "<img src=x" not in html and "&lt;img src=x" in html


def test_a_notebook_keeps_the_last_state_and_exports_it(tmp_path):
    code = (
        "import workbench as wb\n"
        "bench = wb.Workbench(wb.load_example('theophylline'), wb.Model(wb.pk(absorption='first-order')))\nbench"
    )
    cells = [code, "bench.run(); bench.wait(60)\nbench.model = bench.model.with_error(wb.Constant())\nbench.run()\n"
             "bench.wait(60), bench.fit.ofv"]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    twin, panels = notebook.cells[0].outputs
    ofv = float(notebook.cells[1].outputs[0]["data"]["text/plain"].split(",")[1].strip(" )"))
    assert f"{ofv:.3f}" in twin["data"]["text/html"] and "constant error" in twin["data"]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in panels["data"]
    notebook.metadata.pop("widgets", None)
    exporter = pytest.importorskip("nbconvert").HTMLExporter()
    html, _ = exporter.from_notebook_node(notebook)
    assert f"{ofv:.3f}" in html and sum("<circle" in drawing for drawing in drawings(html)) == 2


def test_a_figure_leaves_out_what_is_not_finite():
    drawn = still([Layer([[(0.0, 1.0), (float("nan"), 2.0), (3.0, float("inf"))]], "#000")], "<x>", "y", "t")
    root = ET.fromstring(drawn)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 1 and "<x>" in "".join(root.itertext())
    assert "<script" not in picture(drawn, '"words"') and ticks(5.0, 5.0) == [5.0]
    ET.fromstring(still([], "x", "y", "nothing"))
