"""What a person does with a Workbench, and what is to be seen there."""

from __future__ import annotations

from collections.abc import Iterator

from ipywidgets import Button, Widget

import workbench as wb


def open_tab(bench: wb.Workbench, title: str) -> None:
    """Turn to a tab."""
    bench.turn_to(title)


def press(bench: wb.Workbench, button: Button) -> None:
    """Press a button and wait for what it does."""
    assert not button.disabled
    button.click()
    assert bench.wait(120)


def every_widget(widget: Widget) -> Iterator[Widget]:
    """A widget and all that is in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from every_widget(child)
