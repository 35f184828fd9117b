"""A real JupyterLab in a real Chromium, driven as a person would."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocket, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from workbench.engine import warm_up

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HARMLESS = ("A negative value is not valid",)  # bqplot, about a figure laid out in a hidden tab
TIMEOUT = 120  # seconds for anything to happen: a machine may have much else to do
expect.set_options(timeout=1000 * TIMEOUT)
KERNELSPEC = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}

READY = """async ([path, seconds]) => {
    const app = window.jupyterapp;
    await app.restored;
    for (const end = performance.now() + 1000 * seconds; performance.now() < end;) {
        const panel = app.shell.currentWidget;
        if (panel?.context?.path === path) {
            await panel.context.ready;
            await panel.sessionContext.ready;
            const kernel = panel.sessionContext.session?.kernel;
            await kernel?.info;
            // JupyterLab first asks the kernel which widgets it has, twice. Widgets that appear between question and
            // answer are met in no order, and a parent is then made before its children.
            for (let question = 0; question < 3; ++question)
                await kernel?.requestExecute({code: 'None', store_history: false, silent: true}).done;
            window.panel = panel;
            return;
        }
        await new Promise(resolve => setTimeout(resolve, 50));
    }
    throw new Error(`${path} was not opened`);
}"""
RUN_ALL = "async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
OUTPUTS = """() => [...window.panel.content.model.cells].filter(cell => cell.type === 'code')
    .map(cell => cell.outputs.toJSON())"""
EXECUTE = """async (code) => {
    const future = window.panel.sessionContext.session.kernel.requestExecute({code, store_history: false});
    const outputs = [];
    future.onIOPub = message => outputs.push({...message.content, output_type: message.header.msg_type});
    await future.done;
    return outputs;
}"""
SETTLED = """async (quiet) => {
    const still = () => new Promise(resolve => {
        let moved = false;
        const observer = new MutationObserver(() => { moved = true; });
        const all = {subtree: true, childList: true, attributes: true, characterData: true};
        observer.observe(window.panel.content.node, all);
        setTimeout(() => requestAnimationFrame(() => { observer.disconnect(); resolve(!moved); }), quiet);
    });
    const kernel = window.panel.sessionContext.session.kernel;
    for (const end = performance.now() + 30000; performance.now() < end;) {
        await kernel.requestExecute({code: 'None', store_history: false}).done;
        if (await still()) return;
    }
}"""
VIEWS = {  # what a tab shows one of at a time
    "Model": ("Equations", "Typical curves", "Error"),
    "Fit": ("Individual fits", "Shrinkage", "Uncertainty", "Estimates"),
    "Covariates": ("Screening", "Effects"),
}
SHUT_DOWN = "async () => { await window.panel?.sessionContext.shutdown(); }"

Output = dict[str, Any]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, the token that opens it, and the folder that it shows."""

    address: str
    token: str
    folder: Path


@dataclass
class Notebook:
    """A notebook open in the browser.

    Attributes
    ----------
    page : Page
        Playwright's page, for what has no method here.
    path : Path
    problems : list of str
        Console errors and requests to other machines so far; any of them fails the test at its end.
    """

    page: Page
    path: Path
    problems: list[str] = field(default_factory=list)

    def run(self, *, errors_allowed: bool = False) -> list[list[Output]]:
        """Run all cells and return their outputs by code cell; an error in a cell fails the test."""
        self.page.evaluate(RUN_ALL)
        if not errors_allowed and self.errors():
            pytest.fail("A cell failed:\n" + "\n".join(self.errors()), pytrace=False)
        return self.outputs()

    def outputs(self) -> list[list[Output]]:
        """Outputs by code cell, in the format of the notebook file."""
        outputs: list[list[Output]] = self.page.evaluate(OUTPUTS)
        return outputs

    def text(self, cell: int = -1) -> str:
        """What a code cell printed and returned, as plain text."""
        return "".join(map(_plain, self.outputs()[cell]))

    def errors(self) -> list[str]:
        """Exceptions that cells raised."""
        return [f"{o['ename']}: {o['evalue']}" for cell in self.outputs() for o in cell if o["output_type"] == "error"]

    def python(self, code: str) -> str:
        """Run code in the kernel beside the notebook and return what it printed and returned, as plain text."""
        outputs: list[Output] = self.page.evaluate(EXECUTE, code)
        for output in outputs:
            if output["output_type"] == "error":
                pytest.fail(f"{code}\n{output['ename']}: {output['evalue']}", pytrace=False)
        return "".join(_plain(output) for output in outputs)

    def becomes(self, code: str, text: str) -> None:
        """Wait until code in the kernel prints or returns a text: what was clicked is on its way to the kernel."""
        end = time.monotonic() + TIMEOUT
        while (found := self.python(code)) != text and time.monotonic() < end:
            self.page.wait_for_timeout(100)
        assert found == text

    def settle(self, quiet: int = 150) -> None:
        """Wait until the kernel has worked through what it was sent and nothing moved for `quiet` ms."""
        self.page.evaluate(SETTLED, quiet)

    def button(self, text: str) -> Locator:
        """The first visible button with this text; an icon beside it does not matter."""
        return self._visible(self._cells.locator("button", has_text=re.compile(rf"^\s*{re.escape(text)}\s*$")))

    def field(self, label: str) -> Locator:
        """The first visible input (text, number, dropdown, checkbox) with this label."""
        return self._visible(self._cells.get_by_label(label, exact=True))

    def click(self, text: str) -> None:
        """Click a button."""
        self.button(text).click()

    def tab(self, title: str) -> None:
        """Open a tab of a Tab or a section of an Accordion widget."""
        titles = self._cells.locator(".lm-TabBar-tab, .jupyter-widget-Collapse-header", has_text=title)
        self._visible(titles).click()

    def place(self, title: str) -> None:
        """Open a tab of a Workbench, a view of one, or the drawer with the code."""
        if title == "Code":
            self.click(title)
            return
        page = next((page for page, views in VIEWS.items() if title in views), title)
        self.tab(page)
        if page != title:
            with contextlib.suppress(PlaywrightError):
                self.button(title).wait_for(timeout=15_000)
            if not self.button(title).is_visible():  # a click may fall between two layouts; a person clicks again
                self.tab(page)
            self.click(title)

    def choose(self, label: str, option: str) -> None:
        """Choose from a dropdown."""
        self.field(label).select_option(label=option)

    def type(self, label: str, value: object) -> None:
        """Type into a text or number box and press Enter."""
        box = self.field(label)
        box.fill(str(value))
        box.press("Enter")

    def upload(self, file: Path, label: str = "Upload") -> None:
        """Press an upload button and hand it a file."""
        with self.page.expect_file_chooser() as chooser:
            self._visible(self._cells.locator("button", has_text=label)).click()
        chooser.value.set_files(file)

    def wait_text(self, text: str) -> None:
        """Wait until a text is to be seen in the notebook."""
        self._visible(self._cells.get_by_text(text)).wait_for(state="visible")

    @property
    def _cells(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:visible")

    def _visible(self, locator: Locator) -> Locator:
        return locator.locator("visible=true").first


def _plain(output: Output) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))


@pytest.fixture(scope="session")
def browser(unavailable: Callable[[str], NoReturn]) -> Iterator[Browser]:
    """Chromium: the one that CHROMIUM names, else one on the PATH, else Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        executable = found or playwright.chromium.executable_path
        if not Path(executable).exists():
            unavailable(
                f"No Chromium at {executable}. Install one (on Debian: apt-get install chromium; anywhere: "
                "playwright install chromium), or name one in the environment variable CHROMIUM. "
                'Without these tests: pytest -m "not browser"'
            )
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`workbench lab` itself, on a folder of its own and away from the settings of the person who runs the tests.

    The engine is compiled beforehand: the tests tell of what a user sees, but for the first time after an installation.
    """
    warm_up()
    state = tmp_path_factory.mktemp("jupyter")
    folder = tmp_path_factory.mktemp("lab")
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    command = [sys.executable, "-m", "workbench.cli", "lab", "--no-browser", "--dir", str(folder)]
    with socket.create_server(("127.0.0.1", 0)) as free:  # two that start at once would both take Jupyter's first
        port = free.getsockname()[1]
    options = ["--", "--LabApp.expose_app_in_browser=True", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    log = state / "lab.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=state,
            env={**os.environ, **{name: str(state / name.lower()) for name in names}},
        )  # fmt: skip
    assert process.stdout is not None
    alarm = threading.Timer(TIMEOUT, process.kill)
    alarm.start()
    printed = []
    try:
        for line in process.stdout:
            printed.append(line)
            if address := re.search(r"(http://\S+?)lab/tree/quickstart\.ipynb\?token=(\w+)", line):
                break
        else:
            pytest.fail(f"JupyterLab did not start:\n{''.join(printed)}{log.read_text()[-3000:]}", pytrace=False)
        alarm.cancel()
        yield Lab(address[1], address[2], folder)
    finally:
        alarm.cancel()
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture
def notebook(
    browser: Browser, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook: `notebook("first cell", "second cell")`, or `notebook(path="quickstart.ipynb")`.

    It is not run yet. At the end of the test any console error and any request to another machine fails it;
    a picture of the last state is in the test's `tmp_path`.
    """
    opened: list[Notebook] = []
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(1000 * TIMEOUT)

    def open_notebook(*cells: str, path: str | None = None) -> Notebook:
        if path is None:
            path = re.sub(r"\W+", "-", request.node.name) + f"-{len(opened)}.ipynb"
            content = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)), metadata=KERNELSPEC)
            nbformat.write(content, lab.folder / path)
        opened.append(Notebook(context.new_page(), lab.folder / path))
        page = opened[-1].page
        _listen(context, page, opened[-1].problems)
        page.goto(f"{lab.address}lab/tree/{path}?reset&token={lab.token}")
        for attempt in range(3):
            page.wait_for_function("() => window.jupyterapp")
            try:
                page.evaluate(READY, [path, TIMEOUT])
                break
            except (
                PlaywrightError
            ) as error:  # the workspace is open in another page: JupyterLab goes on to one of its own
                if attempt == 2 or "context was destroyed" not in str(error):
                    raise
        return opened[-1]

    yield open_notebook
    problems = [problem for one in opened for problem in one.problems]
    opened = [one for one in opened if not one.page.is_closed()]
    for number, one in enumerate(opened):
        one.page.screenshot(path=tmp_path / f"last-{number}.png")
    for one in opened:  # what JupyterLab says about a kernel that is taken from it no longer counts
        one.page.evaluate(SHUT_DOWN)
    context.close()
    if problems:
        pytest.fail("In the browser:\n" + "\n".join(problems), pytrace=False)


def _listen(context: BrowserContext, page: Page, problems: list[str]) -> None:
    def judge(kind: str, text: str) -> None:
        if not any(harmless in text for harmless in HARMLESS):
            problems.append(f"{kind}: {text}")

    def watch(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            problems.append(f"request leaves this machine: {url}")

    def sockets(socket: WebSocket) -> None:
        watch(socket.url)

    page.on("console", lambda message: judge("console error", message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: judge("page error", str(error)))
    page.on("request", lambda request: watch(request.url))
    page.on("websocket", sockets)
