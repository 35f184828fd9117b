"""The package and its quickstart in a real JupyterLab."""

from __future__ import annotations

import pytest

import workbench

pytestmark = pytest.mark.browser


def test_workbench_is_imported_in_a_notebook(notebook):
    page = notebook("import workbench as wb", "wb.__version__")
    page.run()
    assert page.text() == repr(workbench.__version__)


def test_jupyter_asks_nothing_about_news(notebook):
    page = notebook("1 + 1")
    page.run()
    plugin = "@jupyterlab/apputils-extension:announcements"
    assert page.page.evaluate("plugin => window.jupyterapp.hasPlugin(plugin)", "@jupyterlab/apputils-extension:themes")
    assert not page.page.evaluate("plugin => window.jupyterapp.hasPlugin(plugin)", plugin)
    page.settle()
    assert page.page.get_by_text("Jupyter news").count() == 0


def test_a_console_error_is_noticed(notebook):
    page = notebook("from IPython.display import Javascript", "Javascript('console.error(\"seen\")')")
    page.run()
    page.settle()
    assert any("seen" in problem for problem in page.problems)
    page.problems.clear()


def test_a_request_to_another_machine_is_noticed(notebook):
    page = notebook("1 + 1")
    page.run()
    page.page.evaluate("fetch('http://workbench.invalid/').catch(() => 0)")
    assert any("workbench.invalid" in problem for problem in page.problems)
    page.problems.clear()


def test_widgets_answer(notebook):
    page = notebook(
        "import ipywidgets as w\n"
        "box, choice = w.FloatText(description='dose'), w.Dropdown(options=['a', 'b'], description='error')\n"
        "button, shown = w.Button(description='Go', icon='play'), w.Label()\n"
        "button.on_click(lambda _: shown.set_trait('value', f'{box.value} {choice.value}'))\n"
        "w.VBox([box, choice, button, shown])"
    )
    page.run()
    page.type("dose", 2.5)
    page.choose("error", "b")
    page.click("Go")
    page.wait_text("2.5 b")
    page.becomes("choice.value", "'b'")


def test_the_quickstart_runs_and_its_panels_find_what_its_code_found(notebook):
    page = notebook(path="quickstart.ipynb")
    page.run()
    page.click("Fit")
    page.wait_text("Run 1")
    assert page.python("bench.fit.converged, abs(bench.fit.ofv - fit.ofv) < 1e-3") == "(True, True)"
