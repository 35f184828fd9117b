"""What the data doctor found, each finding with a button for its mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from ipywidgets import HTML, Box, Button, VBox, Widget

from workbench.data import GroupedData
from workbench.data.checks import JUDGED, MENDS
from workbench.data.importing import OFFERS
from workbench.errors import DataError
from workbench.markup import counted, cut, escaped
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import row
from workbench.ui.session.file import File
from workbench.ui.session.state import State

_SHOWN = 40
_PLACES = 5


class Findings:
    """The list of findings; pressing a button hands the mended data to `take`.

    Parameters
    ----------
    state : State
    mend : callable
        Takes the name of a mend, and the column where it is meant for one, else None.
    allow : callable
        Takes the name of a finding that is meant as it is.
    undo : callable
        Takes the place of a step in the history.
    reread : callable
        Takes the file as it is to be read instead.
    """

    def __init__(
        self,
        state: State,
        mend: Callable[[str, str | None], None],
        allow: Callable[[str], None],
        undo: Callable[[int], None],
        reread: Callable[[File], None],
    ):
        self._state, self._mend, self._allow = state, mend, allow
        self.done = Chips(state, undo, reread)
        self.head = HTML()
        self.back = Button(description="Discard", layout={"width": "auto"})
        self.back.add_class("wb-toggle")
        self.back.on_click(state.handler(lambda _: state.update(draft=None, file=None, refused=None)))
        self.list = Box()
        self.list.add_class("wb-findings")
        self.lines: list[Line] = []
        head = row(self.head, self.back)
        head.add_class("wb-findings-head")
        self.view = VBox([head, self.done.view, self.list])

    def render(self, data: GroupedData | None) -> None:
        """Show the findings of data, which may be a draft."""
        self.view.layout.display = "none" if data is None else None
        if data is None:
            return
        found = data.check().reset_index()
        self.done.render(data)
        errors = int((found["severity"] == "error").sum())
        kept = self._state.data
        self.back.layout.display = None if errors else "none"
        self.back.description = "Back to the former data" if kept is not None else "Discard"
        self.back.tooltip = f"leave {data.name} aside" + (f"; {kept.name} is as it was" if kept is not None else "")
        self.head.value = _head(data, errors, len(found) - errors)
        shown = found.head(_SHOWN)
        while len(self.lines) < len(shown):
            self.lines.append(Line(self._state, self._mend, self._allow))
        widgets: list[Widget] = []
        for line, finding in zip(self.lines, shown.to_dict("records"), strict=False):
            line.render(finding, can_allow=self._state.file is not None)
            widgets += [line.text, line.buttons]
        show_only(self.list, widgets)
        for line in self.lines[: len(shown)]:
            hide(line.buttons, not line.has_button)
        self.list.layout.display = None if widgets else "none"


class Line:
    """One finding: what, where, and the buttons that mend it."""

    def __init__(self, state: State, mend: Callable[[str, str | None], None], allow: Callable[[str], None]):
        self.text = HTML()
        self.mend, self.other, self.allow = Button(), Button(), Button(description="it is meant so")
        for button in (self.mend, self.other, self.allow):
            button.add_class("wb-toggle")
        self.buttons = row(self.mend, self.other, self.allow)
        self.finding: Mapping[Any, Any] = {}
        self.has_button = False
        self._column: str | None = None
        self.mend.on_click(state.handler(lambda _: mend(self.finding["mend"], self._column)))
        self.other.on_click(state.handler(lambda _: mend(self.finding["others"][0], None)))
        self.allow.on_click(state.handler(lambda _: allow(self.finding["finding"])))

    def render(self, finding: Mapping[Any, Any], can_allow: bool) -> None:
        """Show a row of `GroupedData.check`."""
        self.finding = finding
        mend = MENDS.get(finding["mend"])
        self._column = finding["column"] if mend is not None and mend.by_column else None
        further = MENDS.get(finding["others"][0]) if finding["others"] else None
        names = (finding["mend"], finding["others"][0] if finding["others"] else "")
        for button, offered, name in zip((self.mend, self.other), (mend, further), names, strict=True):
            button.layout.display = None if offered else "none"
            if offered:
                where = f", column={self._column!r}" if self._column is not None and button is self.mend else ""
                button.description, button.tooltip = offered.text, f"{offered.text}: data.mend({name!r}{where})"
        judged = finding["finding"] in JUDGED and finding["severity"] == "error" and can_allow
        self.allow.layout.display = None if judged else "none"
        self.allow.tooltip = f"read_data(…, allow=({finding['finding']!r},))"
        self.has_button = mend is not None or judged
        (self.text.remove_class if self.has_button else self.text.add_class)("wb-wide")
        places = [f"column <code>{escaped(finding['column'])}</code>"] if finding["column"] is not None else []
        places += [_places("row", finding["rows"]), _places("subject", finding["subject"])]
        where = " · ".join(filter(None, places))
        advice = f" – {escaped(finding['mend'])}" if finding["mend"] and not mend else ""
        self.text.value = (
            f"<div class='wb-finding {finding['severity']}'><b>{finding['severity']}</b> "
            f"{escaped(finding['message'])}{advice} <span class='wb-note'>{where}</span></div>"
        )


class Chips:
    """What was done to the data since they were read, and how they were read; a press takes one of them back."""

    def __init__(self, state: State, undo: Callable[[int], None], reread: Callable[[File], None]):
        self._state, self._undo, self._reread = state, undo, reread
        self.buttons: list[Button] = []
        self._acts: list[Callable[[], None]] = []
        self.view = row()
        self.view.add_class("wb-chips")

    def _act(self, place: int) -> None:
        """Take back what a button says; a press that comes after its step has gone means nothing."""
        if place < len(self._acts):
            self._acts[place]()

    def render(self, data: GroupedData) -> None:
        """Show a chip for each step, and for each mend of the file."""
        file = self._state.file
        shown: list[tuple[str, str, Callable[[], None]]] = []
        if file is not None:
            for name in file.mends:
                text = OFFERS[name] if name in OFFERS else MENDS[name].text
                shown.append((text, f"read_data(…, mends=({name!r},))", partial(self._reread, file.without_mend(name))))
        for place, step in enumerate(data.history[1:], start=1):
            known = MENDS.get(step.args[0]) if step.call == "mend" else None
            column = dict(step.options).get("column") if known is not None else None
            text = known.text + (f" ({column})" if column else "") if known is not None else str(step)
            shown.append((text, str(step), partial(self._undo, place)))
        while len(self.buttons) < len(shown):
            button, place = Button(), len(self.buttons)
            button.add_class("wb-toggle")
            button.on_click(self._state.handler(lambda _, place=place: self._act(place)))
            self.buttons.append(button)
        self._acts = [act for _, _, act in shown]
        for button, (text, code, _) in zip(self.buttons, shown, strict=False):
            button.description, button.tooltip = f"× {cut(text, 60)}", f"take back: {code}"
            button.layout.width = "auto"
        show_only(self.view, self.buttons[: len(shown)])
        self.view.layout.display = None if shown else "none"


class Offers:
    """Buttons for what puts a refused file right."""

    def __init__(self, state: State, reread: Callable[[File], None]):
        self._state, self._reread = state, reread
        self.buttons = {name: Button(description=text) for name, text in OFFERS.items()}
        for name, button in self.buttons.items():
            button.add_class("wb-toggle")
            button.layout.width = "auto"
            button.tooltip = f"read_data(…, mends=({name!r},))"
            button.on_click(state.handler(lambda _, name=name: self._take(name)))
        self.view = row()

    def _take(self, name: str) -> None:
        if self._state.file is not None:
            self._reread(self._state.file.with_mend(name))

    def render(self, error: DataError | None) -> None:
        """Show the buttons that the faults name."""
        named = {name for fault in error.faults for name in fault.offers} if error is not None else set()
        shown = [button for name, button in self.buttons.items() if name in named]
        show_only(self.view, shown)
        self.view.layout.display = None if shown else "none"


def refusal(error: DataError | None, kept: GroupedData | None) -> str:
    """All faults of a file that was not taken, as HTML."""
    if error is None:
        return ""
    count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
    items = "".join(f"<li>{escaped(fault)}</li>" for fault in error.faults[:200])
    if len(error.faults) > 200:
        items += f"<li>… and {len(error.faults) - 200} more</li>"
    stays = f" <b>{escaped(kept.name)}</b> stays." if kept is not None else ""
    return (
        f"<div class='wb-faults' role='alert'><b>{escaped(error.source)}</b> was not taken: {count}.{stays}"
        f"<ul>{items}</ul></div>"
    )


def _head(data: GroupedData, errors: int, warnings: int) -> str:
    counts = [counted(errors, "error") + " (locking model and fit)"] if errors else []
    counts += [counted(warnings, "warning")] if warnings else []
    found = " and ".join(counts) or "nothing to mend"
    return f"<span class='wb-note'><b>{escaped(cut(data.name, 24))}</b>: {found}</span>"


def _places(what: str, labels: Iterable[Any]) -> str:
    labels = [escaped(cut(label, 24)) for label in labels]
    if not labels:
        return ""
    more = f" … ({len(labels)} in all)" if len(labels) > _PLACES else ""
    return f"{what}{'s' if len(labels) > 1 else ''} {', '.join(labels[:_PLACES])}{more}"
