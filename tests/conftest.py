"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True)  # there a failure is one that anybody can repeat
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def unavailable() -> Callable[[str], NoReturn]:
    """A function that skips the test for want of something, or fails it where CI is set."""

    def give_up(why: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)

    return give_up


@pytest.fixture(scope="session")
def reference(unavailable: Callable[[str], NoReturn]) -> Path:
    """The folder of published runs of other programs: `cases/*.json` and their `data/*.csv`."""
    folder = Path(os.environ.get("WORKBENCH_REFERENCE") or ROOT.parent / "shared" / "reference")
    if not (folder / "cases").is_dir():
        unavailable(f"No reference runs in {folder}; the environment variable WORKBENCH_REFERENCE names their folder.")
    return folder
