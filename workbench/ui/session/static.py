"""What a Workbench shows, as HTML that needs no kernel: for saved, exported and printed notebooks."""

from __future__ import annotations

import math

import numpy as np

from workbench import markup
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.markup import Html, joined, tag
from workbench.markup.still import Layer, picture, still
from workbench.methods import method_of
from workbench.results.fit import FitResult
from workbench.ui.session.state import State

_POINTS = 1500
_OBSERVED, _INDIVIDUAL, _SOFT = "#2e3a46", "#0b6fb8", "#76828e"
_SMALL = "font-size:12px;color:#5c6670"


def as_html(state: State) -> Html:
    """Data, model, estimates, two figures and the code, as they were last."""
    data, run = state.data, state.run
    if data is None:
        return tag("p", tag("b", "Workbench"), ": no data yet.")
    counts = f"{len(data.events.subjects)} subjects, {int(data.events.observed.sum())} observations"
    parts: list[Html] = [tag("p", tag("b", f"Workbench: {data.name}"), f" · {counts}")]
    if run is None:
        parts += [tag("p", "Not fitted yet."), _figures(data, None), _code(state)]
        return joined(*parts)
    fit = run.fit
    head, *body = fit.rows()
    changed = "" if state.is_as_stated else " Model, method or settings had changed since."
    structure = f"{fit.model.structure.title}; {', '.join(error.title for error in fit.model.errors)} error"
    numbers = (
        f"OFV {markup.decimals(fit.ofv, 3)} · −2LL {markup.decimals(fit.minus2ll, 3)} · "
        f"AIC {markup.decimals(fit.aic, 2)} · BIC {markup.decimals(fit.bic, 2)}"
    )
    parts += [
        tag("p", f"Run {run.number}: {structure}; {method_of(fit.method).title}."),
        tag("p", tag("b", numbers)),
        tag("p", fit.said + changed),
        markup.plain_table(head, body, left=[0]),
        _figures(fit.data, fit),
        _runs(state),
        _code(state),
    ]
    return joined(*parts)


def _figures(data: GroupedData, fit: FitResult | None) -> Html:
    """Observations over time, with individual predictions where there are some; observed over predicted."""
    events = data.events
    at = np.flatnonzero(events.observed) if fit is None else fit.record
    owner, time, dv = events.subject[at], events.time[at], events.dv[at]
    every = max(1, math.ceil(len(at) / _POINTS))
    kept = owner % every == 0  # whole subjects, as many as can be told apart
    groups = [np.flatnonzero(kept & (owner == i)) for i in range(0, len(events.subjects), every)]

    def pieces(x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
        return [list(zip(x[g].tolist(), y[g].tolist(), strict=True)) for g in groups]

    units = data.units
    x_name, y_name = (_with_unit(name, units.get(name)) for name in ("time", "response"))
    over_time = [Layer(pieces(time, dv), _OBSERVED)]
    if fit is None:
        over_time.append(Layer(pieces(time, dv), _SOFT, lines=True, opacity=0.4))
        return _pictures([(still(over_time, x_name, y_name, "observations"), "observations over time")])
    over_time.insert(0, Layer(pieces(time, fit.ipred), _INDIVIDUAL, lines=True, opacity=0.6))
    known = np.isfinite(dv) & np.isfinite(fit.ipred)
    ends = [float(f(np.r_[dv[known], fit.ipred[known]])) for f in (np.min, np.max)] if known.any() else [0.0, 1.0]
    observed = [
        Layer([[(ends[0], ends[0]), (ends[1], ends[1])]], _SOFT, lines=True),
        Layer(pieces(fit.ipred, dv), _OBSERVED),
    ]
    return _pictures(
        [
            (still(over_time, x_name, y_name, "observations and individual predictions"), "observations over time"),
            (still(observed, "individual prediction", y_name, "observed"), "observed over individual prediction"),
        ]
    )


def _pictures(drawn: list[tuple[Html, str]]) -> Html:
    return tag("div", *(picture(drawing, words) for drawing, words in drawn))


def _with_unit(name: str, unit: str | None) -> str:
    return f"{name} [{unit}]" if unit else name


def _runs(state: State) -> Html:
    if len(state.runs) < 2:
        return Html()
    try:
        table = state.runs.table().tail(10)[["name", "structure", "error", "method", "ofv", "aic", "bic", "status"]]
    except WorkbenchError:
        return Html()
    shown = markup.frame_table(table.assign(**{c: table[c].map(lambda v: f"{v:.2f}") for c in ("ofv", "aic", "bic")}))
    return tag("details", tag("summary", f"{len(state.runs)} runs"), shown)


def _code(state: State) -> Html:
    return tag("details", tag("summary", "Code"), tag("pre", state.code))
