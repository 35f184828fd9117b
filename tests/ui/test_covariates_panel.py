"""The Covariates panel: shapes, references, formulas, and allometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.model.shapes import SHAPES
from workbench.ui.session.shapes import read_effects, shapes_for, with_other_terms, with_reference, with_shape

from .actions import open_tab


@pytest.fixture
def bench(shown, phenobarbital):
    made = shown(phenobarbital)
    open_tab(made, "Effects")
    return made


def cell(bench, parameter, covariate):
    return bench.covariates_panel.cells[parameter, covariate]


def terms(bench, parameter):
    return [effect.term for effect in bench.model[parameter].covariates]


# -- shapes, without widgets ---------------------------------------------------------------------------------------


@given(
    st.sampled_from(["log", "identity", "logit", "probit"]),
    st.sampled_from(tuple(SHAPES)),
    st.one_of(st.just("median"), st.floats(1e-12, 1e12), st.text(min_size=1, max_size=8), st.integers(-50, 50)),
    st.booleans(),
)
def test_every_shape_that_the_model_makes_is_read_back(transform, shape, reference, fixed):
    category = shape in ("categorical", "fraction")
    start = [0.3, 0.4] if shape == "piecewise" else 0.3
    model = wb.Model(wb.pk()).with_parameter("CL", transform=transform)
    if shape not in shapes_for(model["CL"]) or (isinstance(reference, str) and reference != "median") != category:
        return
    try:
        model = model.with_covariate("CL", "WT", shape, reference, start=start, fixed=fixed)
    except wb.ModelError:
        return  # a power of what is not positive, a level that no formula can hold
    found, rest = read_effects(model["CL"])
    assert not rest and found["WT"].shape == shape and found["WT"].reference == reference
    assert found["WT"].effects == model["CL"].covariates
    assert with_shape(model, "CL", "WT", "") == wb.Model(wb.pk()).with_parameter("CL", transform=transform)


def test_terms_of_no_shape_are_left_over_and_kept():
    model = wb.Model(wb.pk()).with_parameter("CL", covariates="log(WT/70) + WT*AGE + log(WT/30)")
    found, rest = read_effects(model["CL"])
    assert found["WT"].reference == 70 and [effect.term for effect in rest] == ["WT*AGE", "log(WT/30)"]
    changed = with_shape(model, "CL", "WT", "linear")
    assert {e.term for e in changed["CL"].covariates} == {"WT*AGE", "log(WT/30)", "(WT-median(WT))"}
    stated = model.with_parameter("CL", covariates=[wb.Effect("WT*AGE", 0.2, fixed=True, fractional=True)])
    more = with_other_terms(stated, "CL", "WT*AGE + exp(WT)")
    assert more["CL"].covariates == (stated["CL"].covariates[0], wb.Effect("exp(WT)"))
    assert with_other_terms(more, "CL", " ")["CL"].covariates == ()


def test_another_reference_keeps_coefficients_and_order():
    model = wb.Model(wb.pk()).with_covariate("CL", "AGE", "piecewise", start=(1.0, 2.0), fixed=True)
    model = model.with_covariate("CL", "WT", "power", start=0.75)
    moved = with_reference(model, "CL", "AGE", 40.0)
    assert moved["CL"].covariates == (
        wb.Effect("below(AGE,40)", 1.0, fixed=True, fractional=True),
        wb.Effect("above(AGE,40)", 2.0, fixed=True, fractional=True),
        wb.Effect("log(WT/median(WT))", 0.75),
    )


# -- the panel -----------------------------------------------------------------------------------------------------


def test_a_cell_states_shape_and_reference(bench):
    weight = cell(bench, "CL", "WT")
    weight.shape.value = "power"
    assert terms(bench, "CL") == ["log(WT/median(WT))"] and weight.reference.value == "median"
    assert bench.state.problem == ""
    weight.reference.value = "70"
    assert terms(bench, "CL") == ["log(WT/70)"]
    weight.shape.value = "piecewise"
    assert terms(bench, "CL") == ["below(WT,median(WT))", "above(WT,median(WT))"]
    weight.shape.value = ""
    assert terms(bench, "CL") == [] and weight.second.layout.visibility == "hidden"
    score = cell(bench, "V", "APGR")
    score.shape.value = "fraction"
    assert bench.model["V"].covariates == (wb.Effect("C(APGR)", fractional=True),)
    assert score.reference.value == "1"
    score.reference.value = "7"
    assert terms(bench, "V") == ["C(APGR,7)"]
    assert bench.state.problem == ""


def test_values_that_were_not_stated_stay_so(bench):
    cell(bench, "CL", "WT").shape.value = "power"
    assert bench.model["CL"].value is None
    bench.model_panel.rows["V"].value.value = 1.5
    assert terms(bench, "CL") == ["log(WT/median(WT))"]  # although the start values are centred already


def test_the_grid_shows_a_model_and_changes_nothing(bench):
    model = (
        wb.Model(wb.pk())
        .with_covariate("CL", "WT", "exponential", reference=1.5, start=0.3, fixed=True)
        .with_covariate("V", "APGR", "categorical", reference=7)
        .with_parameter("V", covariates=[wb.Effect("C(APGR,7)"), wb.Effect("log(WT)*APGR", 0.1)])
    )
    bench.model = model
    assert (cell(bench, "CL", "WT").shape.value, cell(bench, "CL", "WT").reference.value) == ("exponential", "1.5")
    assert "0.3 fixed" in cell(bench, "CL", "WT").coefficient.value
    assert (cell(bench, "V", "APGR").shape.value, cell(bench, "V", "APGR").reference.value) == ("categorical", "7")
    assert cell(bench, "V", "WT").shape.value == "" and bench.covariates_panel.boxes["V"].value == "log(WT)*APGR"
    assert bench.model is model


def test_a_formula_that_the_grid_can_show_goes_there(bench):
    box = bench.covariates_panel.boxes["CL"]
    box.value = "log(WT/70) + WT*APGR"
    assert terms(bench, "CL") == ["log(WT/70)", "WT*APGR"]
    assert box.value == "WT*APGR" and cell(bench, "CL", "WT").shape.value == "power"


@pytest.mark.parametrize(
    ("formula", "words"), [("log(WT/70", "cannot be read"), ("__import__('os')", "is not allowed"), ("3", "a constant")]
)
def test_a_bad_formula_is_explained_and_put_back(bench, formula, words):
    box, model = bench.covariates_panel.boxes["CL"], bench.model
    box.value = formula
    said = bench.covariates_panel.refusal.view
    assert words in said.value and "wb-fault" in said.value
    assert box.value == "" and bench.model is model
    cell(bench, "CL", "WT").shape.value = "power"
    assert said.layout.display == "none"


def test_a_bad_reference_is_explained_and_put_back(bench):
    weight = cell(bench, "CL", "WT")
    weight.shape.value = "power"
    weight.reference.value = "-3"
    assert "positive reference" in bench.covariates_panel.refusal.view.value
    assert weight.reference.value == "median"
    weight.reference.value = "heavy"
    assert "number" in bench.covariates_panel.refusal.view.value and weight.reference.value == "median"


def test_allometry_is_one_press(bench):
    panel = bench.covariates_panel
    assert panel.weight.value == "WT"
    panel.allometric.click()
    assert bench.model == wb.Model(wb.pk()).allometric("WT")
    assert cell(bench, "CL", "WT").coefficient.value == "θ 0.75 fixed"
    panel.estimate.value, panel.reference.value = True, "median"
    panel.allometric.click()
    assert bench.model == wb.Model(wb.pk()).allometric("WT", "median", estimate=True)
    panel.reference.value = "0"
    panel.allometric.click()
    assert "positive reference" in panel.refusal.view.value


def test_shapes_suit_the_scale_of_the_parameter(bench):
    assert "power" in [value for _, value in cell(bench, "CL", "WT").shape.options]
    bench.model = bench.model.with_parameter("CL", transform="identity")
    assert "power" not in [value for _, value in cell(bench, "CL", "WT").shape.options]
    cell(bench, "CL", "WT").shape.value = "linear"
    assert bench.model["CL"].covariates == (wb.Effect("(WT-median(WT))"),)


def test_text_is_a_category(shown):
    bench = shown(wb.load_example("quinidine"))
    open_tab(bench, "Effects")
    race = cell(bench, "CL", "RACE")
    assert [value for _, value in race.shape.options] == ["", "categorical", "fraction"]
    race.shape.value = "categorical"
    assert race.reference.value == "Black"
    race.reference.value = "Caucasian"
    assert terms(bench, "CL") == ["C(RACE,'Caucasian')"] and bench.state.problem == ""
    liver = cell(bench, "CL", "CREATININE")
    liver.shape.value = "fraction"
    liver.reference.value = ">= 50"
    assert terms(bench, "CL")[-1] == "C(CREATININE,'>= 50')" and liver.reference.value == ">= 50"


def test_of_many_covariates_those_that_act_come_first(shown):
    frame = wb.load_example("theophylline").to_frame()
    for k in range(20):
        frame[f"X{k}"] = 1.0 + frame["ID"] % (k + 2)
    frame["two words"] = frame["ID"]
    bench = shown(wb.read_data(frame), wb.Model(wb.pk(absorption="first-order")).with_covariate("CL", "X18"))
    open_tab(bench, "Effects")
    panel = bench.covariates_panel
    assert ("CL", "X18") in panel.cells and len(panel.cells) == 3 * 12
    assert "more covariates" in panel.more.value and "two words" in panel.more.value
    panel.boxes["V"].value = "log(X17/2)"
    assert ("V", "X17") in panel.cells and panel.cells["V", "X17"].shape.value == "power"


def test_effects_move_the_typical_curves(bench):
    before = [curve.copy() for curve in bench.state.drawn().population]
    bench.model = bench.model.with_covariate("V", "WT", start=1.0, fixed=True)
    after = bench.state.drawn().population
    assert not all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
