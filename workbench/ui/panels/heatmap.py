"""Parameters × covariates as a grid of coloured buttons: what the screens say of each, in the shape that says most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ipywidgets import HTML, Button, ButtonStyle, DOMWidget, Layout, VBox

from workbench import markup
from workbench.ui.panels.kept import Grid
from workbench.ui.panels.panel import note
from workbench.ui.session.screenings import Screened
from workbench.ui.session.state import State

Which = Literal["p", "p_sampled", "delta_ofv"]

SHRUNK = "⚠"
MODELLED = "✓"
_MOST = 24  # columns
_LEVELS = (0.05, 0.01, 1e-3, 1e-5, 1e-8)  # p below which the colour is one deeper
_KINDS = ("wb-none", *(f"wb-p{k}" for k in range(len(_LEVELS) + 1)))


@dataclass(frozen=True)
class Entry:
    """What a cell shows.

    Attributes
    ----------
    text : str
    kind : str
        Class that colours it.
    about : str
    """

    text: str
    kind: str
    about: str


class Heatmap:
    """The grid; buttons are made once for each pair, and told only what is new."""

    def __init__(self, state: State, choose: Callable[[str, str], None]):
        self._state, self._choose = state, choose
        self._grid = Grid(self._made, "wb-heat")
        self.legend = HTML()
        self.more = note()
        self.cells: dict[tuple[str, str], Button] = {}
        self._order: list[str] = []
        self._keys: dict[Button, tuple[str, str]] = {}
        self._shown: dict[Button, tuple[tuple[str, str], Entry, bool]] = {}
        self._layout, self._style = Layout(), ButtonStyle()
        self.grid = self._grid.view
        self.view = VBox([self.grid, self.legend, self.more])

    def render(self, screened: Screened, which: Which, chosen: tuple[str, str] | None) -> None:
        """Show what the screens say, and which cell is chosen."""
        rows, columns, hidden = _names(screened)
        if not hidden:  # columns stay where they are from one run to the next
            kept = [name for name in self._order if name in columns]
            columns = self._order = [*kept, *(name for name in columns if name not in kept)]
        self.more.value = markup.escaped(
            f"{len(hidden)} more covariates with larger p: {', '.join(hidden[:12])}{' …' if len(hidden) > 12 else ''}; "
            "choose them below."
            if hidden
            else ""
        )
        self.more.layout.display = None if hidden else "none"
        self.legend.value = _legend(which)
        self._grid.resize(1 + len(rows), 1 + len(columns))
        for c, covariate in enumerate(columns, 1):
            name = markup.escaped(covariate)
            self._grid.at(0, c).value = f"<div title='{name}'>{name}</div>"
        shrinkage = {row.parameter: row for row in screened.found.rows}
        self.cells = {}
        for r, parameter in enumerate(rows, 1):
            label = f"<div>{markup.escaped(parameter)}</div>"
            row = shrinkage.get(parameter)
            if row is not None and not row.trustworthy:
                tip = f"shrinkage {row.shrinkage:.0f} %: p on the individual η says little; look at samples, or ΔOFV"
                label = f"<div title='{tip}'>{markup.escaped(parameter)} <i>{SHRUNK} {row.shrinkage:.0f} %</i></div>"
            self._grid.at(r, 0).value = label
            for c, covariate in enumerate(columns, 1):
                key = parameter, covariate
                self.cells[key] = self._grid.at(r, c)
                self._tell(self.cells[key], key, entry(screened, which, *key), key == chosen)
        template = f"max-content repeat({len(columns)}, minmax(64px, 92px))"
        if self.grid.layout.grid_template_columns != template:
            self.grid.layout.grid_template_columns = template

    def _made(self, r: int, c: int) -> DOMWidget:
        """The widget of a place: a text at the upper and the left edge, else a button."""
        if r and c:
            cell = Button(layout=self._layout, style=self._style)
            cell.on_click(self._state.handler(lambda _: self._choose(*self._keys[cell])))
            return cell
        text = HTML(layout=self._layout)
        text.add_class(f"wb-heat-{'side' if r else 'head' if c else 'corner'}")
        return text

    def _tell(self, cell: Button, key: tuple[str, str], shown: Entry, chosen: bool) -> None:
        """Make a button show a pair; it is told only what is new."""
        self._keys[cell] = key
        if self._shown.get(cell) != (key, shown, chosen):
            self._shown[cell] = key, shown, chosen
            with cell.hold_sync():
                # The second line is cut off: it is there for those who hear the cell.
                cell.description = f"{shown.text}\n{key[0]} ~ {key[1]}"
                cell.tooltip = shown.about
                kept = [name for name in cell._dom_classes if name not in (*_KINDS, "wb-chosen")]
                cell._dom_classes = (*kept, shown.kind, *(("wb-chosen",) if chosen else ()))


def entry(screened: Screened, which: Which, parameter: str, covariate: str) -> Entry:
    """Text, colour and tooltip of a cell."""
    effect = f"{parameter} ~ {covariate}"
    rows = [r for r in screened.found.rows if (r.parameter, r.covariate) == (parameter, covariate)]
    reason = refusal(screened, parameter, covariate)
    if reason or not rows:
        return Entry("–", "wb-none", f"{effect} was not screened. {reason}".strip())
    mark = f"{MODELLED} " if rows[0].modelled else ""
    about = f"{effect}: it acts in the model already; what is left is tested. " if mark else f"{effect}: "
    if which == "delta_ofv":
        found = [p for c, p in screened.predictions.items() if c.place == (parameter, covariate)]
        if found:
            best = min(found, key=lambda p: p.p)
            change = markup.decimals(-best.delta_ofv, 2)
            about += f"the OFV is expected to change by {change} ({best.shape}, {best.df} df, p {best.p:.2g})"
            return Entry(mark + markup.decimals(0.0 - round(best.delta_ofv, 1), 1), _kind(best.p), about)
        if mark:
            return Entry(MODELLED, "wb-p0", f"{effect} acts in the model already: remove it to see what it is worth.")
        why = _unpredicted(screened, parameter, covariate)
        return Entry("–", "wb-none", f"{effect}: no prediction. {why}")
    known = [row for row in rows if math.isfinite(getattr(row, which))]
    if not known:
        return Entry(f"{mark}–", "wb-none", f"{effect}: no p.")
    best_row = min(known, key=lambda row: getattr(row, which))
    p = getattr(best_row, which)
    corrected = getattr(best_row, f"{which}_corrected")
    of = "on samples of the conditional distribution" if which == "p_sampled" else "on the individual η"
    about += f"p {p:.2g} {of} ({best_row.shape}; corrected for all tests {corrected:.2g})"
    if not best_row.trustworthy and which == "p":
        about += f". Shrinkage of {best_row.shrinkage:.0f} % makes it untrustworthy."
    return Entry(mark + markup.p_value(p), _kind(p), about)


def _unpredicted(screened: Screened, parameter: str, covariate: str) -> str:
    """Why there is no prediction for a pair that was screened."""
    if isinstance(screened.linearised, str):
        return screened.linearised
    place = parameter, covariate
    reasons = [r.reason for r in screened.linearised.refused if (r.parameter, r.covariate) == place]
    return reasons[0] if reasons else "The work was stopped before."


def refusal(screened: Screened, parameter: str, covariate: str) -> str:
    """Why a pair was not screened; "" where it was."""
    named = (parameter, covariate, f"{parameter} ~ {covariate}")
    reasons = [reason for name, reason in screened.found.refused if name in named]
    known = any((r.parameter, r.covariate) == (parameter, covariate) for r in screened.found.rows)
    return "" if known else " ".join(reasons)


def _kind(p: float) -> str:
    return f"wb-p{sum(p < level for level in _LEVELS)}"


def _names(screened: Screened) -> tuple[list[str], list[str], list[str]]:
    """Rows and columns, the strongest first and those refused last; and the covariates for which there is no room."""
    found = screened.found
    covariates = list(found.strongest)
    known = set(found.fit.random_effects)
    rows = [*found.etas, *(name for name, _ in found.refused if name in known and name not in found.etas)]
    refused = [name for name, _ in found.refused if name in found.fit.data.covariate_names and name not in covariates]
    ordered = [*covariates, *refused]
    return rows, ordered[:_MOST], ordered[_MOST:]


def _legend(which: Which) -> str:
    first = "p ≥ 0.05" if which != "delta_ofv" else "p of ΔOFV ≥ 0.05"
    texts = (first, *(f"&lt; {markup.p_value(level)}" for level in _LEVELS))
    swatches = "".join(f"<span class='wb-p{k}'>{text}</span>" for k, text in enumerate(texts))
    others: Sequence[str] = (f"{MODELLED} acts in the model", f"{SHRUNK} shrinkage above 30 %", "– not screened")
    return f"<div class='wb-heat-legend'>{swatches}{''.join(f'<i>{text}</i>' for text in others)}</div>"
