"""Uncertainty: how sure the estimates are, by what asks more than a standard error does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from ipywidgets import HTML, BoundedIntText, Button, Dropdown, VBox, Widget

from workbench import markup
from workbench.errors import FitError
from workbench.inference import Bootstrap, Profile, Sir
from workbench.methods import METHODS, Ability, method_of
from workbench.results.fit import FitResult
from workbench.results.runs import Run
from workbench.ui.panels.panel import Panel, Refusal, heading, note, row
from workbench.ui.session import studies

_ALL = "all estimates"
_EVERYBODY = ("all subjects", "")  # an option of None would be shown as an empty box
_KINDS = [("subjects", "subjects"), ("parametric", "parametric"), ("importance (SIR)", "sir")]
_RESAMPLED = {"subjects": Ability.BOOTSTRAP, "parametric": Ability.BOOTSTRAP, "sir": Ability.SIR}


class UncertaintyPanel(Panel):
    """Another method on the same model, profiles of the likelihood, resampling; each with progress and Cancel."""

    title = "Uncertainty"
    follows = frozenset({"run", "studies", "activity", "data", "problem"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        state, wide = self.state, {"description_width": "initial"}
        self.refusal = Refusal(state, "uncertainty")
        self.about = note()
        self.method = Dropdown(description="by", options=[""], style=wide)
        self.compare = Button(description="Fit", tooltip="fit the same model by this method and lay both side by side")
        self.name = Dropdown(description="of", options=[_ALL], style=wide)
        self.profile = Button(description="Profile", tooltip="refit with the estimate held at other values")
        self.kind = Dropdown(description="of", options=_KINDS, style=wide)
        self.count = BoundedIntText(value=200, min=2, max=100_000, description="replicates", style=wide)
        self.stratify = Dropdown(description="within", options=[_EVERYBODY], style=wide)
        self.resample = Button(description="Resample", tooltip="refit to data drawn anew")
        for button, act in (
            (self.compare, self._compare), (self.profile, self._profile), (self.resample, self._resample)
        ):  # fmt: skip
            button.add_class("wb-toggle")
            button.on_click(self.refusal.guard(lambda _, act=act: act()))
        self.kind.observe(state.handler(lambda change: self.render(frozenset())), "value")
        for widget, width in ((self.method, 150), (self.name, 190), (self.kind, 170), (self.count, 140),
                              (self.stratify, 180)):  # fmt: skip
            widget.layout.width = f"{width}px"
        self.agreement, self.profiles, self.resampled = HTML(), HTML(), HTML()
        self.body = VBox(
            [
                heading("The same model by another method"), row(self.method, self.compare), self.agreement,
                heading("Profile likelihood"), row(self.name, self.profile), self.profiles,
                heading("Resampling"), row(self.kind, self.count, self.stratify, self.resample), self.resampled,
            ]
        )  # fmt: skip
        self.body.add_class("wb-panel")
        return [self.about, self.refusal.view, self.body]

    def render(self, changed: frozenset[str]) -> None:
        """Offer what the shown fit allows, and show what was found of it."""
        state, run = self.state, self.state.run
        self.refusal.render()
        self.body.layout.display = "none" if run is None else None
        if run is None:
            self.about.value = "Fit a model first."
            return
        asked = (("profile", Ability.PROFILE), ("resampling", _RESAMPLED[self.kind.value]))
        refused = [what for what, ability in asked if not method_of(run.fit.method).can(ability)]
        none = f" A fit by {run.fit.method} has no {' and no '.join(refused)}." if refused else ""
        self.about.value = f"Of run {run.number}. While one of these is at work, Cancel keeps what is done.{none}"
        for button, what in ((self.compare, ""), (self.profile, "profile"), (self.resample, "resampling")):
            button.disabled = state.activity != "" or what in refused
        if "run" in changed:
            self._offer(run)
        self._suit()
        self.agreement.value = _agreement(run.fit, state.study("agreement") or {})
        self.profiles.value = _profiles(state.study("profiles") or {})
        self.resampled.value = _resampled(run.fit, state.study("bootstrap"), state.study("sir"))

    def _offer(self, run: Run) -> None:
        _put(
            self.method,
            [(method.short, name) for name, method in METHODS.items() if method.is_mixed and name != run.fit.method],
        )
        _put(self.name, [_ALL, *(e.name for e in run.fit.lines if not e.fixed)])
        constant = [_EVERYBODY, *((name, name) for name in _strata(run))]
        _put(self.stratify, constant)

    def _suit(self) -> None:
        """Show what belongs to the kind of resampling."""
        self.count.layout.display = "none" if self.kind.value == "sir" else None
        self.stratify.layout.display = None if self.kind.value == "subjects" else "none"

    def _shown_run(self) -> Run:
        if self.state.run is None:
            raise FitError("Fit a model first.")
        return self.state.run

    def _compare(self) -> None:
        self.ask(studies.agreement(self.state, self._shown_run(), self.method.value))

    def _profile(self) -> None:
        run = self._shown_run()
        names = [e.name for e in run.fit.lines if not e.fixed] if self.name.value == _ALL else [self.name.value]
        self.ask(studies.profiles(self.state, run, names))

    def _resample(self) -> None:
        run, stratify = self._shown_run(), (self.stratify.value or None) if self.kind.value == "subjects" else None
        self.ask(studies.resampling(self.state, run, self.kind.value, self.count.value, stratify))


def _put(dropdown: Dropdown, options: list[Any]) -> None:
    """Offer other options; what was chosen stays where it is among them."""
    if list(dropdown.options) != options:
        before = dropdown.value
        values = [option[1] if isinstance(option, tuple) else option for option in options]
        dropdown.options = options
        dropdown.value = before if before in values else values[0]


def _strata(run: Run) -> list[str]:
    """Covariates that are constant within subjects and have few values."""
    found, subjects = [], run.data.events
    values: pd.DataFrame = run.data.covariate_values(tuple(run.data.covariate_names))
    owner = [i for i in range(len(subjects.subjects)) for _ in range(subjects.start[i], subjects.start[i + 1])]
    for name in run.data.covariate_names:
        column = values[name]
        by_subject = column.groupby(owner).nunique(dropna=False)
        if (by_subject <= 1).all() and not column.isna().any() and 1 < column.nunique() <= 8:
            found.append(name)
    return found


def _agreement(fit: FitResult, others: dict[str, FitResult]) -> str:
    """Estimates by several methods, and how far apart they are in standard errors."""
    if not others:
        return ""
    head = ["", fit.method]
    for name in others:
        head += [name, "in SE"]
    first = [("OFV", fit.ofv, math.nan), *((e.name, e.value, e.se) for e in fit.lines if not e.fixed)]
    rows = []
    for name, value, se in first:
        cells = [name, markup.decimals(value, 3) if name == "OFV" else markup.number(value)]
        for other in others.values():
            values = {"OFV": other.ofv, **{e.name: e.value for e in other.lines}}
            theirs = values.get(name, math.nan)
            apart = (theirs - value) / se if se else math.nan
            cells += [markup.decimals(theirs, 3) if name == "OFV" else markup.number(theirs)]
            cells += [markup.signed(apart, 2)]
        rows.append(cells)
    said = "".join(
        f"<p class='wb-note'>{markup.escaped(method_of(name).title)}: {markup.escaped(other.said)}</p>"
        for name, other in others.items()
    )
    code = "\n".join(f'wb.fit(model, data, method="{name}")' for name in others)
    return markup.table(head, rows) + said + markup.code(code)


def _profiles(found: dict[str, Profile | str]) -> str:
    if not found:
        return ""
    drawn = "".join(
        p._repr_html_() if isinstance(p, Profile) else f"<div>{markup.escaped(name)}: {markup.escaped(p)}</div>"
        for name, p in found.items()
    )
    names = ", ".join(f'"{name}"' for name in found)
    code = f"wb.profile(fit, {names})" if len(found) == 1 else f"[wb.profile(fit, name) for name in [{names}]]"
    return f"<div class='wb-profiles'>{drawn}</div>" + markup.code(code)


def _resampled(fit: FitResult, bootstrap: tuple[Bootstrap, str] | None, sir: tuple[Sir, str] | None) -> str:
    """Standard errors and intervals beside those of the fit."""
    shown = ""
    for study, name in ((bootstrap, "bootstrap"), (sir, "SIR")):
        if study is None:
            continue
        found, code = study
        head = markup.escaped(repr(found).split("\n")[0])
        try:
            summary = found.summary
        except FitError as error:
            shown += f"<p>{head} {markup.escaped(error)}</p>"
            continue
        by_name = {e.name: e for e in fit.lines}
        rows = []
        for label, line in summary.iterrows():
            e = by_name[str(label)]
            rows.append(
                (label, markup.number(e.value), markup.number(line["mean"]), markup.number(e.se, 3),
                 markup.number(line["se"], 3), markup.ends(e.lower, e.upper),
                 markup.ends(line["lower"], line["upper"]))
            )  # fmt: skip
        columns = ("", "estimate", "mean", "SE", f"SE {name}", "95 % interval", f"95 % {name}")
        shown += f"<p>{head}</p>{markup.table(columns, rows)}{markup.code(code)}"
    return shown
