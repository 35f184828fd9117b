"""Data: a file or an example, what is in it, and how it looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ipywidgets import HTML, Dropdown, FileUpload, ToggleButtons, Widget

from workbench.data import load_example, read_data
from workbench.errors import DataError
from workbench.ui import markup
from workbench.ui.figures import Overlay
from workbench.ui.panels.panel import Panel, row, scale_switch
from workbench.ui.state import suited_model

_ROWS = 8


class DataPanel(Panel):
    """Upload a file or choose an example; the subjects, the first rows, and all observations in a figure."""

    title = "Data"
    follows = frozenset({"data", "refused", "logarithmic"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        examples = load_example()
        self.example = Dropdown(
            options=[("choose …", None), *((name, name) for name in examples.index)],
            description="Example",
            style={"description_width": "initial"},
            layout={"width": "200px"},
        )
        self.upload = FileUpload(description="Upload a file", tooltip="CSV, TSV, Excel, SAS XPORT or Parquet")
        self.upload.add_class("wb-upload")
        self.faults = HTML()
        self.table = ToggleButtons(
            options=["subjects", "rows"],
            style={"button_width": "auto"},
            tooltips=["a line per subject", "the rows as read"],
        )
        self.table.add_class("wb-switch")
        self.preview = HTML()
        self.scale = scale_switch(self.state)
        self.figure = Overlay(joined_observations=True, height=320)
        self.example.observe(self.state.handler(self._example_chosen), "value")
        self.upload.observe(self.state.handler(self._uploaded), "value")
        self.table.observe(self.state.handler(lambda change: self._render_table()), "value")
        return [
            row(row(self.upload, self.example), self.scale, spread=True),
            self.faults,
            self.figure.view,
            row(self.table),
            self.preview,
        ]

    def _example_chosen(self, change: Any) -> None:
        if change["new"] is not None:
            self._take(load_example(change["new"]))

    def _uploaded(self, change: Any) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        with self.state.quietly():
            self.upload.value = ()  # the same file may be uploaded again
        try:
            self._take(read_data(bytes(file["content"]), name=str(file["name"])))
        except DataError as error:
            self.state.update(refused=error)

    def _take(self, data: Any) -> None:
        data.require_sound()
        known = self.state.data is not None and self.state.data.hash == data.hash
        model = self.state.model if known else suited_model(self.state.model, data)
        self.state.update(data=data, model=model, refused=None)

    def render(self, changed: frozenset[str]) -> None:
        """Show the data, and what is wrong with those that were refused."""
        self.scale.value = self.state.logarithmic
        if "refused" in changed:
            self.faults.value = _refusal(self.state.refused, self.state.data)
        data = self.state.data
        shown = "flex" if data is not None else "none"
        for widget in (self.scale, self.table, self.figure.view):
            widget.layout.display = shown
        if data is None:
            self.preview.value = "<p class='wb-note'>No data yet: upload a file or choose an example.</p>"
            return
        if changed & {"data", "logarithmic"}:
            self.figure.show_data(data, self.state.logarithmic)
        if "data" in changed:
            if self.example.value != data.name:
                names = [value for _, value in self.example.options]
                made = data.code() == f"wb.load_example({data.name!r})"
                self.example.value = data.name if made and data.name in names else None
            self._render_table()

    def _render_table(self) -> None:
        data = self.state.data
        if data is None:
            return
        frame = data.subjects.reset_index() if self.table.value == "subjects" else data.frame
        rows = [[_cell(value) for value in line] for line in frame.head(_ROWS).itertuples(index=False)]
        more = f"<p class='wb-note'>{_ROWS} of {len(frame)}</p>" if len(frame) > _ROWS else ""
        self.preview.value = markup.table([str(c).replace("_", " ") for c in frame.columns], rows) + more


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return str(value)


def _refusal(error: DataError | None, kept: Any) -> str:
    """All faults of a file that was not taken."""
    if error is None:
        return ""
    count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
    items = "".join(f"<li>{markup.escaped(fault)}</li>" for fault in error.faults[:200])
    if len(error.faults) > 200:
        items += f"<li>… and {len(error.faults) - 200} more</li>"
    stays = f" <b>{markup.escaped(kept.name)}</b> stays." if kept is not None else ""
    return (
        f"<div class='wb-faults' role='alert'><b>{markup.escaped(error.source)}</b> was not taken: {count}.{stays}"
        f"<ul>{items}</ul></div>"
    )
