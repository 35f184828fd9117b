"""NCA inside Data: what the table holds is what `wb.nca` gives; points of the terminal line are chosen by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb


@pytest.fixture
def room(shown):
    bench = shown(wb.load_example("theophylline"))
    bench.turn_to("Data")
    bench.data_panel.views.value = "NCA"
    return bench


def press(view, time):
    """Press the point of the shown curve at a time, as the browser tells it: by its number among those of its mark."""
    for points, dots in zip((view.chart.hollow, view.chart.points), view.chart.drawing.dots, strict=True):
        for number, x in enumerate(dots.x.tolist()):
            if abs(x - time) < 1e-9:
                points._clicked({"data": {"index": number}})
                return
    raise AssertionError(time)


def test_it_shows_what_nca_gives(room):
    view = room.data_panel.nca
    found = wb.nca(room.data)
    assert view.found.table.equals(found.table) and view.found.code == "wb.nca(data)"
    assert "AUCINF_obs" in view.quantities.value and "h*mg/L" in view.quantities.value
    assert f"{found.curves[0].terminal.half_life:.4g} h through 3 points" in view.chart.said.value
    assert len(view.chart.drawing.dots[1].x) == 3 and view.chart.plane.x_axis.label == "time after dose, h"
    view.trapezoids.value, view.names.value = "linear", "cdisc"
    assert view.found.code == "wb.nca(data, trapezoids='linear', names='cdisc')"
    assert "LAMZHL" in view.quantities.value and "AUCIFO" in view.table.value


def test_points_are_chosen_by_hand(room):
    view = room.data_panel.nca
    before = view.found.curves[0].terminal
    time = view.found.curves[0].time
    press(view, float(time[-4]))
    line = view.found.curves[0].terminal
    assert line.points == (*[float(time[-4])], *before.points) and line.rate != before.rate
    again = eval(view.found.code, {"wb": wb, "data": room.data})
    assert again.table.equals(view.found.table)
    assert view.found.curves[1].terminal == wb.nca(room.data).curves[1].terminal
    press(view, float(time[-4]))
    press(view, float(time[-1]))
    assert "through 3 points at least" in view.said.value and len(view.found.curves[0].terminal.points) == 3
    view.rule.click()
    assert view.found.curves[0].terminal == before and view.rule.disabled


def test_a_rising_choice_is_said(room):
    view = room.data_panel.nca
    time = view.found.curves[0].time
    for t in (0.25, 0.57, 1.12):
        press(view, t)
    for t in time[-3:]:
        press(view, float(t))
    assert view.found.curves[0].terminal is None and "do not fall" in view.chart.said.value


def test_the_curve_follows_the_selection_and_sets_it(room):
    view = room.data_panel.nca
    room.selection = {"subjects": [9]}
    assert view.found.curves[view.curve.value].profile.subject == 9
    view.on.click()
    assert room.selection == {"subjects": [10]} or room.selection["subjects"] != [9]


def test_doses_have_curves_and_lines_of_their_own(shown):
    rows = []
    for begin in (0.0, 24.0):
        rows.append({"ID": 1, "TIME": begin, "AMT": 100.0, "DV": np.nan})
        rows += [{"ID": 1, "TIME": begin + t, "AMT": 0.0, "DV": 10 * np.exp(-0.2 * t)} for t in (0.5, 1, 2, 4, 8, 12)]
    bench = shown(wb.read_data(pd.DataFrame(rows)))
    bench.turn_to("Data")
    bench.data_panel.views.value = "NCA"
    view = bench.data_panel.nca
    view.route.value = "bolus"
    assert len(view.found.curves) == 2
    view.curve.value = 1
    press(view, 0.5)
    first, second = view.found.curves
    assert len(second.terminal.points) != len(first.terminal.points)
    assert eval(view.found.code, {"wb": wb, "data": bench.data}).table.equals(view.found.table)


def test_what_cannot_be_analysed_is_said(shown):
    short = pd.DataFrame({"ID": 1, "TIME": [0, 1, 2], "AMT": [10.0, 0, 0], "DV": [np.nan, 3.0, 2.0]})
    other = shown(wb.read_data(short))
    other.turn_to("Data")
    other.data_panel.views.value = "NCA"
    assert "No terminal line" in other.data_panel.nca.chart.said.value
    early = pd.DataFrame({"ID": 1, "TIME": [0, 1, 2], "AMT": [0.0, 0, 10], "DV": [1.0, 2.0, np.nan]})
    bench = shown(wb.read_data(early))
    bench.turn_to("Data")
    bench.data_panel.views.value = "NCA"
    view = bench.data_panel.nca
    assert "nothing to analyse" in view.said.value and "wb-gone" in view.both._dom_classes
