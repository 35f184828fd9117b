"""The tabs: which panels stand on each page, to the left and to the right, and the mark that each tab has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ipywidgets import HTML, Box, Tab, ToggleButtons, VBox

from workbench.ui.panels.empty import Empty
from workbench.ui.panels.kept import hide, show_only
from workbench.ui.panels.panel import Panel
from workbench.ui.session.marks import Mark
from workbench.ui.session.state import State


@dataclass(frozen=True)
class View:
    """What stands on the right of a page: one or several panels under one name."""

    title: str
    panels: tuple[type[Panel], ...]


@dataclass(frozen=True)
class Page:
    """A tab.

    Attributes
    ----------
    title : str
    mark : callable
        Takes the state.
    marked_by : frozenset of str
        The fields of the state that the mark depends on.
    left : tuple of panel types
        Stand there whichever view is chosen; a panel may stand on several pages.
    views : tuple of View
    missing : callable
        Takes the state; says what has to be there before the page has anything to show: "data", "fit", or "".
    """

    title: str
    mark: Callable[[State], Mark]
    marked_by: frozenset[str]
    left: tuple[type[Panel], ...]
    views: tuple[View, ...]
    missing: Callable[[State], str] = lambda state: ""


class Pages:
    """A bar of tabs and the body below it.

    All panels are children of the same two columns from the beginning, and pages hide what is not theirs: a panel that
    stands on two pages is one, and its widgets are made once.

    Parameters
    ----------
    state : State
    pages : sequence of Page
    panels : mapping of panel types to Panel
    fit : callable
        What the button of a page that wants a fit does.
    """

    def __init__(
        self, state: State, pages: Sequence[Page], panels: Mapping[type[Panel], Panel], fit: Callable[[], None]
    ):
        self._state, self._pages, self._panels = state, tuple(pages), panels
        self._marks = tuple(Mark() for _ in pages)
        self.tab = Tab([HTML() for _ in pages], titles=[page.title for page in pages], selected_index=0)
        self.tab.add_class("wb-tabs")
        self.switches = {
            page.title: ToggleButtons(
                options=[view.title for view in page.views], description=f"{page.title}: view",
                style={"button_width": "auto"},
            )
            for page in pages if len(page.views) > 1
        }  # fmt: skip
        for switch in self.switches.values():
            switch.add_class("wb-switch")
            switch.add_class("wb-quiet")
            switch.observe(state.handler(lambda _: self._show()), "value")
        lefts = [panels[kind] for page in sorted(pages, key=lambda page: -len(page.left)) for kind in page.left]
        rights = [panels[kind] for page in pages for view in page.views for kind in view.panels]
        self._left = VBox([panel.view for panel in dict.fromkeys(lefts)])
        self._right = VBox([*self.switches.values(), *(panel.view for panel in dict.fromkeys(rights))])
        self._left.add_class("wb-left")
        self._right.add_class("wb-right")
        self.empty = Empty(state, {"data": lambda: self.turn_to("Data"), "fit": fit})
        self.body = Box([self._left, self._right, self.empty.view])
        self.body.add_class("wb-body")
        self.tab.observe(lambda _: self._show(), "selected_index")
        self._missing = ""
        state.watch(self._fill)
        state.watch(self._mark)
        self._mark(state.FIELDS)

    @property
    def titles(self) -> list[str]:
        """The names of all places that `turn_to` leads to."""
        return [view.title for page in self._pages for view in page.views]

    @property
    def shown(self) -> list[Panel]:
        """The panels that are to be seen."""
        page = self._pages[self.tab.selected_index or 0]
        switch = self.switches.get(page.title)
        view = next(v for v in page.views if switch is None or v.title == switch.value)
        return [self._panels[kind] for kind in (*page.left, *view.panels)]

    def turn_to(self, title: str) -> None:
        """Turn to a page, or to a view of one."""
        for number, page in enumerate(self._pages):
            views = [view.title for view in page.views]
            if title != page.title and title not in views:
                continue
            if title in views and page.title in self.switches:
                self.switches[page.title].value = title
            self.tab.selected_index = number
            self._show()
            return
        raise ValueError(f"no tab {title!r}; there are {', '.join(self.titles)}")

    def _fill(self, changed: frozenset[str]) -> None:
        """Show the panels as soon as what was missing is there."""
        page = self._pages[self.tab.selected_index or 0]
        if changed & {"data", "run"} and page.missing(self._state) != self._missing:
            self._show()

    def _show(self) -> None:
        page = self._pages[self.tab.selected_index or 0]
        self._missing = page.missing(self._state)
        shown = [] if self._missing else self.shown
        hide(self.empty.view, not self._missing)
        for column in (self._left, self._right):
            hide(column, bool(self._missing))
        if self._missing:
            self.empty.show(self._missing)
        for panel in self._panels.values():
            if panel not in shown:
                panel.hide()
        for panel in shown:
            panel.show()
        views = [panel.view for panel in shown]
        switch = self.switches.get(page.title)
        show_only(self._left, [child for child in self._left.children if child in views])
        show_only(self._right, [c for c in self._right.children if c in views or c is switch])
        for other in self._pages:
            change = self.body.add_class if other is page else self.body.remove_class
            change(f"wb-on-{other.title.lower()}")
        (self.body.add_class if page.left and not self._missing else self.body.remove_class)("wb-two")

    def _mark(self, changed: frozenset[str]) -> None:
        """Mark the tabs; of each only what is new."""
        if self._state.awaited:
            return
        changed = self._state.FIELDS if "awaited" in changed else changed
        for number, page in enumerate(self._pages, 1):
            if not changed & page.marked_by:
                continue
            mark, before = page.mark(self._state), self._marks[number - 1]
            if mark == before and f"wb-t{number}-{mark.kind}" in self.tab._dom_classes:
                continue
            self._marks = (*self._marks[: number - 1], mark, *self._marks[number:])
            self.tab.remove_class(f"wb-t{number}-{before.kind}")
            self.tab.add_class(f"wb-t{number}-{mark.kind}")
            title = f"{page.title} {mark.count}" if mark.count else page.title
            if self.tab.get_title(number - 1) != title:
                self.tab.set_title(number - 1, title)
