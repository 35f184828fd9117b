"""Data: a file or an example, what is wrong with it, what is in it, and how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from ipywidgets import HTML, Box, Button, Dropdown, FileUpload, ToggleButtons, VBox, Widget

from workbench import markup
from workbench.data import GroupedData, load_example
from workbench.errors import DataError
from workbench.markup import cut, svg
from workbench.ui.figures.spaghetti import ALL, Groups, Spaghetti, groups_by
from workbench.ui.figures.time import Overlay
from workbench.ui.panels.cards import Cards, subject_covariates
from workbench.ui.panels.columns import Columns
from workbench.ui.panels.empty import picture
from workbench.ui.panels.findings import Findings, Offers, refusal
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.noncompartmental import NcaView
from workbench.ui.panels.panel import Panel, note, row, scale_switch
from workbench.ui.panels.streams import StreamView
from workbench.ui.session.file import File
from workbench.ui.session.state import State
from workbench.ui.session.streams import Handed, is_stream, reading

_FIRST = ("theophylline", "quinidine", "phenobarbital", "orange_trees")  # examples that an empty room offers
_INVITATION = "Drop a file of people and their measurements"
_ASKED = (
    "A table with one row per dose or observation: CSV, Excel, SAS transport, Parquet. What each column means is "
    "guessed and shown to you before anything is fitted."
)
_ROWS = 60
_RESPONSE = "\0response"  # no column has such a name
_ALL = -1
_VIEWS = {
    "plot": "observations over time",
    "subjects": "a line per subject",
    "rows": "all rows, or those of one finding",
    "covariates": "how they are distributed, and one against another",
    "NCA": "areas and terminal slopes of each curve, without a model",
    "columns & units": "which part each column plays, and in which unit",
}
# A FileUpload keeps its file input to itself, outside of the page, and presses it when it is pressed. So a file that is
# dropped is given to the input at the moment when it would open its dialogue. Nothing in here comes from data.
_DROP = """<span class='wb-drop' onanimationstart="
const panel = this.closest('.wb-panel'), input = HTMLInputElement.prototype;
const holds = event => event.dataTransfer && [...event.dataTransfer.types].includes('Files');
const mark = on => panel.classList.toggle('wb-dropping', on);
if (panel.wbDrop) return;
panel.wbDrop = true;
panel.addEventListener('dragover', event => { if (holds(event)) { event.preventDefault(); mark(true); } });
panel.addEventListener('dragleave', event => { if (!panel.contains(event.relatedTarget)) mark(false); });
panel.addEventListener('drop', event => {
  mark(false);
  if (!holds(event)) return;
  event.preventDefault();
  event.stopPropagation();
  input.click = function () { this.files = event.dataTransfer.files; this.dispatchEvent(new Event('change')); };
  try { panel.querySelector('.wb-upload').click(); } finally { delete input.click; }
});">or drop a file here</span>"""


class Plot:
    """The observations, with the choice of colours and axes."""

    def __init__(self, state: State):
        self._state = state
        self._data: GroupedData | None = None
        style = {"description_width": "initial"}
        self.color = Dropdown(description="Colour by", style=style, layout={"width": "190px"})
        self.time = ToggleButtons(
            options=[("time", False), ("after dose", True)], description="x axis",
            tooltips=["time", "time after the last dose"], style={"button_width": "auto"} | style,
        )  # fmt: skip
        self.time.add_class("wb-switch")
        self.response = Dropdown(description="Response", style=style, layout={"width": "150px"})
        self.scale = scale_switch(state)
        self.figure = Spaghetti(self._pressed)
        self.legend = HTML()
        for choice in (self.color, self.response, self.time):
            choice.observe(state.handler(lambda _: self._draw()), "value")
        switches = row(self.response, self.time, self.scale)
        self.view = VBox([row(self.color, switches, spread=True), self.figure.view, self.legend])

    def _pressed(self, subject: Any) -> None:
        self._state.handler(lambda: self._state.select(subject))()

    def render(self, data: GroupedData) -> None:
        """Draw data, which may have errors."""
        self._data = data
        self.scale.value = self._state.logarithmic
        names = data.covariate_names
        options = [("nothing", ""), *((name[:40], name) for name in names)]
        options += [("response", _RESPONSE)] if len(data.responses) > 1 else []
        if list(self.color.options) != options:
            chosen = self.color.value
            self.color.options = options
            self.color.value = chosen if chosen in names else ""
        several = [("all", _ALL), *((str(label)[:40], k) for k, label in enumerate(data.responses))]
        if list(self.response.options) != several:
            self.response.options = several
            self.response.value = _ALL
        self.response.layout.display = None if len(data.responses) > 1 else "none"
        dosed = bool(data.content.events.is_dose.any())
        self.time.layout.display = None if dosed else "none"
        if not dosed:
            self.time.value = False
        self._draw()

    def _draw(self) -> None:
        data, name = self._data, self.color.value
        if data is None:
            return
        if name == _RESPONSE:
            groups = groups_by(pd.Series([str(label) for label in data.responses]))
        else:
            groups = groups_by(subject_covariates(data)[name], data.units.get(name, "")) if name else ALL
        by = "response" if name == _RESPONSE else "subject"
        chosen = None if self.response.value == _ALL else self.response.value
        marked = self._state.selection
        self.figure.show(
            data, groups, self._state.logarithmic, self.time.value, by, chosen, marked.subjects, marked.points
        )
        count = len(data.content.events.subjects)
        drawn = f"{Overlay.MOST} of {count} subjects drawn" if count > Overlay.MOST else ""
        self.legend.value = f"<div class='wb-legend'>{_legend(groups)}<span>{drawn}</span></div>"


def _legend(groups: Groups) -> str:
    pairs = zip(groups.labels, groups.colors, strict=True)
    return markup.joined(*(markup.tag("span", svg.dot(colour, 4), label) for label, colour in pairs if label))


class DataPanel(Panel):
    """Hand over a file or choose an example; mend it; look at it."""

    title = "Data"
    needs_sound_data = False
    follows = frozenset({"data", "draft", "file", "refused", "logarithmic", "selection"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        handler = self.state.handler
        examples = load_example()["about"]
        self.example = Dropdown(
            options=[("choose …", ""), *((f"{name}: {about}", name) for name, about in examples.items())],
            description="Example", style={"description_width": "initial"},
        )  # fmt: skip
        self.example.add_class("wb-example")
        self.upload = FileUpload(
            description="Upload a file", multiple=True,
            tooltip="CSV, TSV, gzip, Excel, SAS XPORT or Parquet; or a control stream of NONMEM with its data",
        )  # fmt: skip
        self.upload.add_class("wb-upload")
        self.faults = HTML()
        self.stream = StreamView()
        self.handed: Handed | None = None
        self.findings = Findings(self.state, self._mend, self._allow, self._undo, self._again)
        self.offers = Offers(self.state, self._again)
        self.views = ToggleButtons(
            options=list(_VIEWS), tooltips=list(_VIEWS.values()), style={"button_width": "auto"}
        )  # fmt: skip
        self.views.add_class("wb-switch")
        self.preview = HTML()
        self.plot, self.covariates, self.nca = Plot(self.state), Cards(self.state), NcaView(self.state)
        self.columns = Columns(self.state, self._choose_role, self._edited)
        self.scale = self.plot.scale
        self.body = Box()
        self.body.add_class("wb-look")
        self.empty = note()
        self.hero = HTML(markup.joined(picture(), markup.tag("h2", _INVITATION), markup.tag("p", _ASKED)))
        self.shown_first = [Button(description=name, tooltip=examples[name]) for name in _FIRST if name in examples]
        for button in self.shown_first:
            button.add_class("wb-link")
            button.on_click(handler(lambda button: self.state.take(load_example(button.description))))
        self.invitation = row(note("or look at an example:"), *self.shown_first)
        self.invitation.add_class("wb-invitation")
        self.view.add_class("wb-data")
        self.which = Dropdown(options=[("all rows", "")], description="show", layout={"width": "260px"})
        self.which.add_class("wb-quiet")
        self.back, self.on = (
            Button(description="◀", tooltip="rows before"),
            Button(description="▶", tooltip="rows after"),
        )
        self.where = note()
        self._page = 0
        for button, step in ((self.back, -1), (self.on, 1)):
            button.add_class("wb-toggle")
            button.on_click(handler(lambda _, step=step: self._leaf(step)))
        self.which.observe(handler(lambda _: self._leaf(-self._page)), "value")
        self.table = VBox([row(self.which, self.back, self.where, self.on), self.preview])
        self.example.observe(handler(self._example_chosen), "value")
        self.upload.observe(handler(self._uploaded), "value")
        self.views.observe(handler(lambda _: self._turn()), "value")
        source = row(self.upload, HTML(_DROP), self.example)
        source.add_class("wb-source")
        return [
            source, self.stream.view, self.faults, self.offers.view, self.findings.view, self.views, self.body,
            self.hero, self.invitation,
        ]  # fmt: skip

    # -- acts --------------------------------------------------------------------------------------------------

    def _example_chosen(self, change: Any) -> None:
        if change["new"]:
            self.state.take(load_example(change["new"]))

    def _uploaded(self, change: Any) -> None:
        if not change["new"]:
            return
        files = {str(given["name"]): bytes(given["content"]) for given in change["new"]}
        with self.state.quietly():
            self.upload.value = ()  # the same file may be uploaded again
        waits = self.handed is not None and self.handed.data is None and self.handed.model is not None
        if any(map(is_stream, files)):
            self.ask(reading(files, self._stream_read))
        elif waits and self.handed is not None:
            self.ask(reading({**self.handed.files, **files}, self._stream_read))
        else:
            name, content = next(iter(files.items()))
            self._read(File(content, name))

    def _stream_read(self, handed: Handed) -> None:
        """Take data, model and method of a control stream; where something is missing, all stays as it is."""
        self.handed = handed
        if handed.data is not None:
            self.state.update(data=handed.data, model=handed.model, method=handed.method, problem="")
        self.stream.show(handed, self.state.data)

    def _read(self, file: File, history: Sequence[Any] = ()) -> None:
        """Take a file, and repeat what was done to it before; where it is refused, the former data stay."""
        try:
            data = file.read()
        except DataError as error:
            self.state.update(file=file, refused=error)
            return
        lost = []
        for step in history:
            try:
                data = getattr(data, step.call)(*step.args, **dict(step.options))
            except DataError as error:
                lost.append(f"{step} no longer applies: {error.faults[0].message}")
        self.state.take(data, file, problem="\n".join(lost))

    def _again(self, file: File) -> None:
        shown = self.shown
        self._read(file, shown.history[1:] if shown is not None and self.state.refused is None else ())

    def _choose_role(self, column: str, role: str) -> None:
        if self.state.file is not None:
            self._again(self.state.file.with_role(column, role))

    def _allow(self, error: str) -> None:
        if self.state.file is not None:
            self._again(self.state.file.with_allow(error))

    def _mend(self, name: str, column: str | None = None) -> None:
        if self.shown is not None:
            self._edited(self.shown.mend(name, column))

    def _undo(self, step: int) -> None:
        if self.shown is not None:
            self._edited(self.shown.undo(step))

    def _edited(self, data: GroupedData) -> None:
        self.state.take(data, self.state.file, edited=self.state.draft is None)

    @property
    def shown(self) -> GroupedData | None:
        """The data to look at: those being mended, else those of the session."""
        return self.state.draft if self.state.draft is not None else self.state.data

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, changed: frozenset[str]) -> None:
        """Show the data, and what is wrong with those that were refused."""
        data = self.shown
        nothing = data is None and self.state.refused is None and self.state.file is None
        (self.view.add_class if nothing else self.view.remove_class)("wb-nothing")
        for widget in (self.hero, self.invitation):
            hide(widget, not nothing)
        if "data" in changed and self.handed is not None and self.handed.data is not self.state.data:
            self.handed = None
            self.stream.show(None, None)
        if changed & {"refused", "data"}:
            self.faults.value = refusal(self.state.refused, self.state.data)
            self.offers.render(self.state.refused)
            self.faults.layout.display = None if self.state.refused is not None else "none"
        if changed & {"data", "draft", "file"}:
            self.findings.render(data)
            self.example.value = _example(data)
        file, refused = self.state.file, self.state.refused
        if changed & {"refused", "file"} and refused is not None and file is not None and file.table is not None:
            self.views.value = "columns & units"
        self.views.layout.display = None if data is not None or file is not None else "none"
        self._render_view()

    def _turn(self) -> None:
        with self.state.quietly():
            self._render_view()

    def _render_view(self) -> None:
        """Bring the chosen view up to date; the others are, when they are turned to."""
        data, chosen = self.shown, self.views.value
        view: Widget = self.preview
        if chosen == "columns & units" and (data is not None or self.state.file is not None):
            self.columns.render(data)
            view = self.columns.view
        elif data is None:
            view = self.empty
        elif chosen in ("plot", "covariates", "NCA"):
            parts: dict[str, Plot | Cards | NcaView] = {
                "plot": self.plot, "covariates": self.covariates, "NCA": self.nca
            }  # fmt: skip
            part = parts[chosen]
            part.render(data)
            view = part.view
        else:
            self._show_table(data, chosen)
            view = self.table
        show_only(self.body, [view])

    def _leaf(self, step: int) -> None:
        """Turn the pages of the table."""
        self._page = max(0, self._page + step)
        with self.state.quietly():
            self._render_view()

    def _show_table(self, data: GroupedData, kind: str) -> None:
        """A page of subjects or rows; of rows, those of one finding on demand."""
        found = data.check().reset_index().to_dict("records") if kind == "rows" else []
        options = [("all rows", ""), *((cut(f["message"], 60), str(k)) for k, f in enumerate(found) if len(f["rows"]))]
        if list(self.which.options) != options:
            before = self.which.value
            self.which.options = options
            self.which.value = before if before in [value for _, value in options] else ""
        hide(self.which, kind != "rows")
        frame = data.subjects if kind == "subjects" else data.content.frame
        chosen = self.which.value
        if kind == "rows" and chosen:
            frame = frame.loc[frame.index.isin(found[int(chosen)]["rows"])]
        self._page = min(self._page, max(0, (len(frame) - 1) // _ROWS))
        first = self._page * _ROWS
        shown = frame.iloc[first : first + _ROWS]
        self.where.value = f"{min(first + 1, len(frame))}–{first + len(shown)} of {len(frame)} {kind}"
        self.back.disabled, self.on.disabled = first == 0, first + _ROWS >= len(frame)
        self.preview.value = _table(shown, kind, self._marked(data, shown, kind))

    def _marked(self, data: GroupedData, shown: pd.DataFrame, kind: str) -> set[Any]:
        """The labels of the lines that are selected."""
        selection = self.state.selection
        if kind == "subjects":
            return set(selection.subjects)
        subjects = data.content.frame.get(str(data.roles.get("subject")))
        mine = subjects.isin(list(selection.subjects)) if subjects is not None else None
        of_subjects: list[Any] = shown.index[mine.loc[shown.index].to_numpy()].tolist() if mine is not None else []
        return {*selection.points, *of_subjects}


def _example(data: GroupedData | None) -> str:
    """The example that data are, untouched or not."""
    if data is None or data.history[0].call != "wb.load_example":
        return ""
    return str(data.history[0].args[0])


def _table(frame: pd.DataFrame, kind: str, marked: set[Any]) -> str:
    """Lines as HTML; those that are selected are marked."""
    title = frame.index.name if kind == "subjects" else "row"
    columns = [str(c).replace("_", " ") if kind == "subjects" else c for c in frame.columns]
    rows = [
        [markup.tag("b", label, class_="wb-marked") if label in marked else markup.cell(label), *map(markup.cell, line)]
        for label, line in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    ]
    return markup.table([markup.cell(title), *map(markup.cell, columns)], rows)
