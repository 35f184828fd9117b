"""The numbers behind a figure as a file: all of them, where the browser has only those that are drawn."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pandas as pd
from ipywidgets import HTML, Button, HBox

from workbench import markup


class Numbers:
    """A button that has a table downloaded as CSV.

    Parameters
    ----------
    table : callable
        The numbers behind the figure.
    name : callable
        What the file is called.
    """

    def __init__(self, table: Callable[[], pd.DataFrame], name: Callable[[], str]):
        self._table, self._name = table, name
        self._link = HTML()
        self.csv = Button(description="CSV", tooltip="download the numbers as CSV")
        self.csv.add_class("wb-tool")
        self.csv.on_click(lambda _: self._save())
        self._count = 0
        self.view = HBox([self.csv, self._link])
        self.view.add_class("wb-numbers-tool")

    def _save(self) -> None:
        """Hand the browser a link that it presses itself."""
        self._count += 1
        text = base64.b64encode(self._table().to_csv(index=False).encode()).decode()
        called = re.sub(r"[^\w]+", "-", self._name().lower()).strip("-") or "figure"
        self._link.value = markup.tag(
            "a", "", href=f"data:text/csv;charset=utf-8;base64,{text}", download=f"{called}.csv", class_="wb-drop",
            data_count=self._count, onanimationstart="this.click()",
        )  # fmt: skip
