"""A covariate shape of one's own, made in this file alone: stated, fitted, screened, searched and shown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.errors import ModelError
from workbench.model.shapes import read_shape
from workbench.ui.figures.relation import relation
from workbench.ui.session.shapes import read_effects, shapes_for, with_reference, with_shape

SATURATING = wb.Shape("saturating", ("2*c/(c + r) - 1",), positive=True, identity=False)
HOCKEY = wb.Shape("hockey", ("above(c, r)",), "natural", breakpoint=True)


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    for shape in (SATURATING, HOCKEY):
        wb.add_shape(shape)
    yield
    for shape in (SATURATING, HOCKEY):
        wb.remove_shape(shape.name)


@pytest.fixture(scope="module")
def data() -> wb.GroupedData:
    """40 subjects after a bolus, whose clearance goes with 2·WT/(WT + 70) - 1."""
    rng = np.random.default_rng(3)
    rows = []
    for subject in range(40):
        weight = float(rng.uniform(30, 160))
        CL = 3.0 * np.exp(1.2 * (2 * weight / (weight + 70) - 1) + 0.1 * rng.standard_normal())
        V = 30.0 * np.exp(0.1 * rng.standard_normal())
        rows.append((subject, 0.0, np.nan, 100.0, weight))
        for time in (1.0, 4.0, 12.0, 24.0):
            C = 100 / V * np.exp(-CL / V * time) * (1 + 0.05 * rng.standard_normal())
            rows.append((subject, time, C, 0.0, weight))
    return wb.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV", "AMT", "WT"]))


def base():
    return wb.Model(
        wb.pk(), [wb.Parameter("CL", 3, iiv=0.3), wb.Parameter("V", 30, iiv=0.1)], error=wb.Proportional(0.05)
    )


def test_it_is_stated_by_its_name_or_itself():
    model = base().with_covariate("CL", "WT", "saturating", reference=70, start=0.5)
    assert model == base().with_covariate("CL", "WT", SATURATING, reference=70, start=0.5)
    (effect,) = model["CL"].covariates
    assert effect == wb.Effect("(2*WT/(WT+70)-1)", 0.5)
    assert eval(repr(model), {"wb": wb}) == model
    (effect,) = base().with_covariate("CL", "WT", HOCKEY, breakpoint=65)["CL"].covariates
    assert effect == wb.Effect("above(WT,65)", fractional=True)
    with pytest.raises(ModelError, match="no breakpoint; 'piecewise' or 'hockey' has one"):
        base().with_covariate("CL", "WT", SATURATING, breakpoint=65)
    with pytest.raises(ModelError, match="'saturating' needs a positive reference"):
        base().with_covariate("CL", "WT", SATURATING, reference=-1)


def test_it_is_fitted(data):
    fit = wb.fit(base().with_covariate("CL", "WT", "saturating", reference=70), data)
    assert fit.status.ok
    assert fit.model["CL"].covariates[0].value[0] == pytest.approx(1.2, abs=0.25)
    assert fit.ofv < wb.fit(base().with_covariate("CL", "WT", "exponential", reference=70), data).ofv - 5


def test_it_is_screened_searched_and_drawn(data):
    fit = wb.fit(base(), data)
    found = wb.screen(fit, draws=0)
    assert set(found.table["shape"][found.table["parameter"] == "CL"]) == {"power", "exponential", "saturating"}
    best = found.rows[0]
    assert (best.parameter, best.shape) == ("CL", "saturating") and best.coefficients[0] == pytest.approx(1.2, abs=0.3)
    low, high = best.largest.low, best.largest.high
    step = (2 * high / (high + 70) - 1) - (2 * low / (low + 70) - 1)
    assert best.largest.effect == pytest.approx(np.exp(best.coefficients[0] * step), rel=0.1)
    asked = wb.screen(fit, shapes=[HOCKEY, "power"], draws=0)
    assert set(asked.table["shape"]) == {"hockey", "power"}
    drawn = relation(found, "CL", "WT", "saturating")
    assert len(drawn.line[0]) == len(drawn.line[1]) and np.isfinite(drawn.line[1]).all()
    search = wb.stepwise(fit.model, data, {"CL": [("WT", SATURATING)]})
    assert list(search.steps["shape"]) == ["saturating"]


def test_a_panel_reads_it_and_changes_its_reference():
    assert "saturating" in shapes_for(base()["CL"])
    assert "saturating" not in shapes_for(wb.Parameter("E0", transform="identity"))
    model = with_shape(base(), "CL", "WT", "saturating")
    acting, rest = read_effects(model["CL"])
    assert (acting["WT"].shape, acting["WT"].reference, rest) == ("saturating", "median", ())
    model = with_reference(model, "CL", "WT", 70.0)
    assert read_effects(model["CL"])[0]["WT"].reference == 70.0
    both = base().with_covariate("CL", "WT", "piecewise", reference=70)
    assert read_effects(both["CL"])[0]["WT"].shape == "piecewise"
    assert read_shape(base()["CL"], wb.Effect("above(WT,70)", fractional=True)).shape == "hockey"


def test_what_is_no_shape_is_refused():
    with pytest.raises(ModelError, match="one term in the covariate c"):
        wb.Shape("odd", ("log(WT/r)",))
    with pytest.raises(ModelError, match="one term in the covariate c"):
        wb.Shape("odd", ("c + r*c",))
    with pytest.raises(ModelError, match="another shape 'hockey'"):
        wb.add_shape(wb.Shape("hockey", ("c - r",)))
    with pytest.raises(ModelError, match="No shape 'power' was added"):
        wb.remove_shape("power")
