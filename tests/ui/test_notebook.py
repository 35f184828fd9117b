"""The Workbench where there is no browser: a notebook run from end to end by a program."""

from __future__ import annotations

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient")


def test_a_notebook_runs_without_a_browser():
    cells = [
        "import time\nimport workbench as wb\nbench = wb.Workbench(wb.load_example('theophylline'))\nbench",
        "bench.run()\nbegun = time.time()\nbench.wait(60), bench.fit.converged, len(bench.runs)",
        "bench.run()\ntime.sleep(3)\nbench.wait(0.1), len(bench.runs)",
    ]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    shown, fitted, again = (cell.outputs[-1]["data"] for cell in notebook.cells)
    assert shown["text/plain"] == "<Workbench: theophylline, 0 runs>"
    assert fitted["text/plain"] == "(True, True, 1)"
    assert again["text/plain"] == "(True, 2)"  # nobody waits for a browser that is not there
