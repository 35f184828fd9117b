"""A Workbench without a browser: widgets are set as a browser would set them, and the state is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import workbench as wb


@pytest.fixture
def shown() -> Iterator[Callable[..., wb.Workbench]]:
    """Make a Workbench and wait until it has computed its start values: `shown(data, model)`."""
    made: list[wb.Workbench] = []

    def show(data: wb.GroupedData | None = None, model: wb.Model | None = None) -> wb.Workbench:
        made.append(wb.Workbench(data, model))
        assert made[-1].wait(120)
        return made[-1]

    yield show
    for bench in made:
        bench.cancel()
        assert bench.wait(120)
