"""The residual error: its panel, and the band that it draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
from workbench.model.residual import ERROR_MODELS
from workbench.ui.panels.kept import is_shown

from .actions import open_tab

VALUES = {"a": 0.4, "b": 0.2, "c": 0.8}


@pytest.fixture
def bench(shown, theophylline):
    made = shown(theophylline)
    open_tab(made, "Error")
    return made


@pytest.mark.parametrize("kind", ERROR_MODELS)
def test_every_error_model_has_its_values(shown, kind):
    bench = shown(wb.load_example("phenobarbital"))
    panel = bench.error_panel
    panel.kind.value = kind
    for name in kind().names:
        assert is_shown(panel.parts[name].view)
        panel.boxes[name].value = VALUES[name]
        panel.parts[name].fixed.value = True
    others = [part for name, part in panel.parts.items() if name not in kind().names]
    assert not any(is_shown(part.view) for part in others)
    assert bench.model.error == kind(**{name: VALUES[name] for name in kind().names}, fixed=True)
    assert bench.state.problem == ""


def test_bad_values_are_explained_and_put_back(bench):
    panel, model = bench.error_panel, bench.model
    before = panel.boxes["a"].value
    panel.boxes["a"].value = -1.0
    assert "is a standard deviation, positive" in panel.refusal.view.value
    assert bench.model is model and panel.boxes["a"].value == before


def test_logarithms_and_a_floor(shown):
    frame = wb.load_example("phenobarbital").to_frame()
    frame["DV"] = np.log(frame["DV"])
    bench = shown(wb.read_data(frame))
    panel = bench.error_panel
    panel.kind.value = wb.Exponential
    panel.logs.value = True
    assert bench.model.error.log_data and bench.state.problem == ""
    panel.floor.value = "0.001"
    assert bench.model.error.floor == 0.001
    panel.floor.value = "low"
    assert "is no number" in panel.refusal.view.value and panel.floor.value == "0.001"
    panel.floor.value = "-1"
    assert "must be positive" in panel.refusal.view.value
    panel.floor.value = ""
    assert bench.model.error.floor is None
    drawn = bench.state.drawn()
    assert np.nanmax(drawn.population[0]) < 5  # log mg/L, as the data
    open_tab(bench, "Error")
    points = bench.band_panel.points
    assert abs(np.mean(points.x - points.y)) < 0.5


def test_censored_observations_ask_for_a_method(shown, theophylline, bench):
    assert bench.error_panel.blq.layout.display == "none"
    frame = theophylline.to_frame()
    frame["CENS"] = ((frame["DV"] < 1) & (frame["EVID"] == 0)).astype(int)
    frame["DV"] = frame["DV"].where(frame["CENS"] == 0, 1.0)
    other = shown(wb.read_data(frame))
    panel = other.error_panel
    assert panel.blq.layout.display is None and "censored" in other.controls.status.value
    panel.blq.value = "M3"
    assert other.model.blq == "M3" and other.state.problem == ""
    open_tab(other, "Error")
    assert len(other.band_panel.points.x) == (frame["CENS"] == 0).sum() - 12
    panel.blq.value = ""
    assert other.model.blq is None


# -- the band ------------------------------------------------------------------------------------------------------


def edges(bench):
    mark = bench.band_panel.band
    return np.asarray(mark.x)[0], *np.asarray(mark.y)


def test_the_band_is_that_of_the_error_and_follows_it(bench):
    panel = bench.band_panel
    assert panel.band.visible and len(panel.points.x) == 132
    bench.error_panel.kind.value = wb.Constant
    bench.error_panel.boxes["a"].value = 0.5
    x, low, high = edges(bench)
    assert np.allclose(high - low, 2 * 1.959964 * 0.5) and np.allclose(high + low, 2 * x)
    assert "of them in the band" in panel.about.value and "initial values" in panel.about.value
    bench.error_panel.boxes["a"].value = 1.0
    _, low, high = edges(bench)
    assert np.allclose(high - low, 2 * 1.959964)
    bench.error_panel.kind.value = wb.Proportional
    bench.error_panel.boxes["b"].value = 0.1
    x, low, high = edges(bench)
    assert np.allclose(high - low, 2 * 1.959964 * 0.1 * np.abs(x))


def test_individual_predictions_are_those_of_the_fit(bench):
    panel = bench.band_panel
    assert "known after a fit" in panel.about.value
    bench.run()
    assert bench.wait(60)
    assert panel.points.x == pytest.approx(bench.fit.ipred) and panel.points.y == pytest.approx(bench.fit.table()["DV"])
    inside = np.abs(bench.fit.y - bench.fit.ipred) <= 1.959964 * bench.fit.isd
    assert f"{100 * inside.mean():.0f} %" in panel.about.value and "run 1" in panel.about.value
    panel.against.value = False
    assert panel.points.x == pytest.approx(bench.fit.pred)


def test_the_band_of_a_log_normal_error_is_one_on_the_log_axis(shown):
    bench = shown(wb.load_example("phenobarbital"), wb.Model(wb.pk(), error=wb.Exponential(0.3)))
    open_tab(bench, "Error")
    x, low, high = edges(bench)
    positive = x > 0
    assert np.allclose(np.log(high[positive] / x[positive]), 1.959964 * 0.3)
    bench.band_panel.scale.value = True
    x, low, high = edges(bench)
    assert np.allclose(high - low, 2 * 1.959964 * 0.3 / np.log(10))


def test_each_response_has_its_own_error_and_figures(shown):
    frame = wb.load_example("theophylline").to_frame()
    effect = frame[frame["EVID"] == 0].assign(DVID=2)
    effect["DV"] = 100 - 5 * effect["DV"]
    both = wb.read_data(_together(frame.assign(DVID=1), effect), roles={"response_id": "DVID"})
    structure = wb.equation(
        "C = dose*ka/(V*(ka - k))*(exp(-k*tad) - exp(-ka*tad))", responses={"conc": "C", "effect": "E0 - slope*C"}
    )
    stated = {"ka": 1.5, "V": 0.5, "k": 0.08, "E0": 100.0, "slope": 5.0}
    errors = {"conc": wb.Constant(0.5), "effect": wb.Constant(2.0)}
    model = wb.Model(structure, [wb.Parameter(n, stated[n], iiv=0.2) for n in structure.names], error=errors)
    bench = shown(both, model)
    assert bench.state.problem == ""
    panel = bench.error_panel
    assert panel.response.view.layout.display is None and panel.boxes["a"].value == 0.5
    open_tab(bench, "Error")
    assert bench.wait(60) and bench.band_panel.points.y.max() < 20
    bench.band_panel.response.view.value = 1
    assert bench.wait(60)
    assert panel.boxes["a"].value == 2.0 and panel.response.view.value == 1
    assert bench.band_panel.points.y.min() > 30 and bench.band_panel.points.x.min() > 30
    panel.boxes["a"].value = 3.0
    panel.kind.value = wb.Proportional
    assert bench.wait(60)
    assert bench.model.errors[0] == wb.Constant(0.5) and bench.model.errors[1] == wb.Proportional()
    open_tab(bench, "Individual fits")
    assert bench.wait(60)
    individual = bench.individual_panel
    assert "effect" in individual.caption.value and individual.cells[0].points.y.min() > 30
    assert individual.cells[0].population.y.max() > 90
    individual.response.view.value = 0
    assert bench.wait(60)
    assert individual.cells[0].points.y.max() < 20 and individual.cells[0].population.y.max() < 20
    bench.model = wb.Model(wb.pk(absorption="first-order"))
    assert panel.response.view.layout.display == "none"


def _together(*frames):
    import pandas as pd

    return pd.concat(frames).sort_values(["ID", "TIME", "DVID"], kind="stable").reset_index(drop=True)


def test_an_error_model_of_ones_own_is_in_the_menu_with_its_values():
    @dataclass(frozen=True, repr=False)
    class Counting(wb.ResidualError):
        sd = "sqrt(a^2 + q^2*abs(f))"
        parameters = {  # noqa: RUF012
            "a": wb.ErrorParameter("constant part", "response"),
            "q": wb.ErrorParameter("part of counting", "response"),
        }
        a: float | None = None
        q: float | None = None

    bench = wb.Workbench(wb.load_example("theophylline"))
    bench.model = bench.model.with_error(Counting(0.3, 0.2))
    panel = bench.error_panel
    assert panel.kind.label == "counting" and is_shown(panel.parts["q"].view) and panel.boxes["q"].value == 0.2
    panel.boxes["q"].value = 0.4
    assert bench.model.error == Counting(0.3, 0.4)
    panel.kind.value = wb.Proportional
    assert "counting" not in dict(panel.kind.options) and not is_shown(panel.parts["q"].view)
