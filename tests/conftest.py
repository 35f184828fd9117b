"""Settings and fixtures for all tests.

Environment variables:

WORKBENCH_STRICT
    1: what the tests cannot find (a browser, the data of published runs) fails them; else such tests are left out.
WORKBENCH_REFERENCE
    Folder of the data of published runs that do not come along; else `../shared/reference`.
HYPOTHESIS_PROFILE
    `few` examples of each property (the default), as many as `ci` wants, or `many`, at random.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

import workbench as wb

from .reference.material import REFERENCE

os.environ.setdefault("WORKBENCH_RUNS", "memory")  # no test leaves a file of runs beside another's notebook
STRICT = os.environ.get("WORKBENCH_STRICT", "") not in ("", "0")
HAS_REFERENCE = (REFERENCE / "data").is_dir()
MOST_WORKERS = 8

settings.register_profile("few", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=150, deadline=None, derandomize=True)  # a failure that anybody can repeat
settings.register_profile("many", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "few")


# -- what cannot be found ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def unavailable() -> Callable[[str], NoReturn]:
    """A function that skips the test for want of something, or fails it where WORKBENCH_STRICT is set."""

    def give_up(why: str) -> NoReturn:
        if STRICT:
            pytest.fail(why, pytrace=False)
        pytest.skip(why)

    return give_up


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with the data of published runs; a test that asks for it is left out where there is none."""
    return REFERENCE


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs data that do not come along, and say so once, at the end; benchmarks unless asked for."""
    for item in items:
        if "reference" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.reference)
    without = {item for item in items if item.get_closest_marker("reference") and not (HAS_REFERENCE or STRICT)}
    config.stash[LEFT_OUT] = len(without)
    if not config.option.benchmark_only:
        without |= {item for item in items if "benchmark" in getattr(item, "fixturenames", ())}
    if without:
        config.hook.pytest_deselected(items=list(without))
        items[:] = [item for item in items if item not in without]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """With WORKBENCH_STRICT, what needs data that are not there fails."""
    if item.get_closest_marker("reference") and not HAS_REFERENCE:
        pytest.fail(f"There is no folder {REFERENCE / 'data'}; WORKBENCH_REFERENCE names its parent.", pytrace=False)


LEFT_OUT = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the session how many tests were left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The session hears it."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How to get the data of the tests that were left out."""
    count = config.stash.get(LEFT_OUT, 0)
    if count:
        terminalreporter.write_line(
            f"{count} tests were left out: they need data of published runs that do not come along. "
            "tests/reference/published/README.md says where to get them; WORKBENCH_REFERENCE names their folder."
        )


# -- workers -----------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """A worker for each core unless said (`-n`), but none for benchmarks, the debugger, or a single file."""
    option = config.option
    said = getattr(option, "numprocesses", 0) is not None  # or there is no xdist
    if said or hasattr(config, "workerinput"):
        return
    alone = len(config.args) == 1 and ".py" in config.args[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (alone or cores == 1 or option.usepdb or option.benchmark_only or option.collectonly):
        option.numprocesses, option.dist = min(cores, MOST_WORKERS), "loadfile"
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would wait for cores that other workers have


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the engine once, before the workers would do so all at the same time; they read it from the disk."""
    config = session.config
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        subprocess.run([sys.executable, "-c", "from workbench.engine import warm_up; warm_up()"], check=False)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected stays: thousands of tests need not be looked through whenever garbage is collected."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # rooms come and go by the hundred: garbage is waited for rather than looked for


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def theophylline() -> wb.GroupedData:
    """Twelve people, one oral dose, eleven samples each."""
    return wb.load_example("theophylline")


@pytest.fixture(scope="session")
def phenobarbital() -> wb.GroupedData:
    """Fifty-nine infants, many doses, few samples."""
    return wb.load_example("phenobarbital")
