"""The Model panel: structure, editors, parameters, and Ψ."""

from __future__ import annotations

import threading
import time

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.ui.panels.editors import pairs_of
from workbench.ui.panels.model import ModelPanel
from workbench.ui.panels.psi import PsiMatrix
from workbench.ui.session.state import State

from .actions import open_tab

LOGISTIC = "Asym/(1 + exp(-(t - xmid)/scal))"
ORAL = "d/dt depot = -ka*depot\nd/dt central = ka*depot - CL/V*central\nC = central/V"


@pytest.fixture
def bench(shown, theophylline):
    return shown(theophylline)


def problem(bench):
    return bench.state.problem


def panel_of(structure):
    """The panel alone, without data: nothing is computed."""
    state = State()
    state.update(model=wb.Model(structure))
    panel = ModelPanel(state)
    panel.show()
    return panel


# -- the library ---------------------------------------------------------------------------------------------------


def test_every_choice_of_the_library_is_a_structure(bench):
    panel = bench.model_panel
    panel.choices["compartments"].value = 3
    assert bench.model.structure == wb.pk(3, "first-order")
    panel.choices["absorption"].value = "parallel"
    panel.choices["lag"].value = True
    panel.choices["lag_of"].value = "both"
    assert bench.model.structure == wb.pk(3, "parallel", lag="both")
    panel.choices["absorption"].value = "zero-order"
    assert bench.model.structure == wb.pk(3, "zero-order", lag=True)
    panel.choices["lag"].value = False
    panel.choices["bioavailability"].value = True
    panel.choices["parameters"].value = "macro"
    assert bench.model.structure == wb.pk(3, "zero-order", parameters="macro", bioavailability=True)
    assert bench.model["F"].transform == "logit"
    panel.choices["absorption"].value = ""
    assert bench.model.structure == wb.pk(3, parameters="macro", bioavailability=True)
    assert problem(bench) == ""


def test_transit_compartments_are_counted():
    panel = panel_of(wb.pk(absorption="first-order"))
    choice = panel.structure
    assert choice.choices["transits"].layout.display == "none"
    choice.choices["absorption"].value = "transit"
    assert panel.state.model.structure == wb.pk(absorption="transit", transits=3)
    choice.choices["transits"].value = 5
    assert panel.state.model.structure.transits == 5 and choice.choices["transits"].layout.display is None
    choice.choices["absorption"].value = "first-order"
    assert panel.state.model.structure == wb.pk(absorption="first-order")


def test_what_cannot_be_combined_is_explained_and_the_last_good_model_stays(bench):
    panel = bench.model_panel
    panel.choices["compartments"].value = 3
    before = bench.model
    panel.choices["parameters"].value = "half-life"
    assert bench.model is before and panel.choices["parameters"].value == "clearance"
    said = panel.structure.refusal.view
    assert "half-lives are offered for 1 or 2" in said.value and said.layout.display is None
    assert "half-lives" in bench.controls.status.value
    assert panel.table.refusal.view.layout.display == "none"
    panel.choices["parameters"].value = "rate"
    assert said.layout.display == "none" and bench.model.structure.parameters == "rate"


def test_parameters_that_both_structures_have_keep_their_values(bench):
    bench.model_panel.rows["CL"].value.value = 0.05
    bench.model_panel.choices["compartments"].value = 2
    assert bench.model["CL"].value == 0.05 and bench.model["V1"].value is None


def test_an_effect_on_top_and_back():
    panel = panel_of(wb.pk(absorption="first-order"))
    choice, state = panel.structure, panel.state
    choice.kind.value = "PK/PD"
    assert state.model.structure == wb.pkpd(wb.pk(absorption="first-order"))
    choice.choices["link"].value = "inhibit input"
    assert state.model.structure == wb.pkpd(wb.pk(absorption="first-order"), "imax", "inhibit input")
    choice.kind.value = "ODE"  # looked at only
    choice.kind.value = "PK/PD"
    assert state.model.structure.link == "inhibit input"
    choice.choices["compartments"].value = 2
    assert state.model.structure.pk.compartments == 2 and state.model.structure.link == "inhibit input"
    choice.choices["response"].value = "linear"
    assert "allowed with this link" in choice.refusal.view.value and choice.choices["response"].value == "imax"
    choice.kind.value = "Library"
    assert state.model.structure == wb.pk(2, "first-order")


# -- equations of the user's own -----------------------------------------------------------------------------------


def test_an_equation_is_checked_as_one_types_and_taken_by_apply(shown):
    bench = shown(wb.load_example("orange_trees"))
    choice = bench.model_panel.structure
    before = bench.model
    choice.kind.value = "Equation"
    editor = choice.editor("Equation")
    assert editor.text.value == LOGISTIC and "Asym, xmid, scal" in editor.verdict.value
    editor.text.value = "Asym/(1 + exp(-(t - xmid)/scal)"
    assert "never closed" in editor.verdict.value and "     ^" in editor.verdict.value
    assert '<pre class="wb-fault">' in editor.verdict.value and editor.preview.value == ""
    assert editor.apply.disabled and bench.model is before
    steeper = "Asym/(1 + exp(-k*(t - xmid)))"
    editor.text.value = steeper
    assert not editor.apply.disabled and r"\frac" in editor.preview.value
    editor.apply.click()
    assert bench.model.structure == wb.equation(steeper)
    assert bench.wait(120)
    assert problem(bench) == ""
    assert list(bench.model_panel.rows) == ["Asym", "k", "xmid"]
    assert bench.model_panel.rows["Asym"].value.value > 100
    assert "is the structure of the model" in editor.verdict.value and editor.apply.disabled


def test_the_library_is_what_an_ode_begins_with(bench):
    choice = bench.model_panel.structure
    choice.choices["compartments"].value = 2
    choice.kind.value = "ODE"
    editor = choice.editor("ODE")
    assert editor.draft() == wb.pk(2, "first-order").as_ode()
    assert bench.model.structure == wb.pk(2, "first-order")
    choice.kind.value = "Library"
    choice.choices["compartments"].value = 1
    choice.kind.value = "ODE"  # nothing was typed: it begins anew
    assert editor.draft() == wb.pk(1, "first-order").as_ode()
    editor.text.value += " "
    choice.kind.value = "Library"
    choice.choices["compartments"].value = 2
    choice.kind.value = "ODE"  # what was typed stays
    assert "k12" not in editor.text.value


@pytest.mark.parametrize(
    "structure",
    [
        wb.pk(2, "parallel", lag="both", bioavailability=True).as_ode(),
        wb.pkpd(wb.pk(absorption="transit", transits=2), link="stimulate output").as_ode(),
        wb.ode(ORAL, dose={1: ["depot", "central"], 3: "central"}, stiff=True, rtol=1e-6),
        wb.ode("d/dt A = -k*A*WT", response="where(A > 1, A, 2*A)", covariates="WT", duration={"A": "D1"}),
        wb.ode(ORAL, response={"total": "depot + central", "C": "C"}),
    ],
)
def test_an_ode_that_is_shown_comes_back_as_it_was(structure):
    choice = panel_of(structure).structure
    editor = choice.editor("ODE")
    assert choice.kind.value == "ODE"
    assert editor.draft() == structure
    assert editor.apply.disabled


@pytest.mark.parametrize(
    "structure",
    [
        wb.equation("E0 + Emax*dose/(ED50 + dose)"),
        wb.equation("b = a*WT", covariates="WT", responses={"one": "b*t", "two": "where(t <= 1, b, 2)"}),
    ],
)
def test_an_equation_that_is_shown_comes_back_as_it_was(structure):
    assert panel_of(structure).structure.editor("Equation").draft() == structure


def test_templates_are_good(bench):
    for kind in ("Equation", "ODE"):
        editor = bench.model_panel.structure.editor(kind)
        for name in editor.templates:
            editor.template.value = name
            assert "Good to apply" in editor.verdict.value, name
            assert editor.template.value == ""


def test_fields_of_the_editor_say_what_is_wrong(bench):
    editor = bench.model_panel.structure.editor("ODE")
    editor.template.value = "one compartment, oral"
    editor.fields["dose"].value = "one: depot"
    assert "number of a compartment" in editor.verdict.value
    editor.fields["dose"].value = "1: nowhere"
    assert "nowhere" in editor.verdict.value and editor.apply.disabled
    editor.fields["dose"].value = ""
    editor.fields["lag"].value = "depot"
    assert "Lag" in editor.verdict.value
    editor.fields["lag"].value = "depot: lag"
    assert "lag" in editor.verdict.value and not editor.apply.disabled
    editor.fields["covariates"].value = "AGE"
    assert "AGE" in editor.verdict.value
    with pytest.raises(wb.ModelError, match="twice"):
        pairs_of("a: 1; a: 2", ":", "Lag")


def test_a_column_that_is_taken_for_a_parameter_is_remarked(bench):
    editor = bench.model_panel.structure.editor("Equation")
    editor.text.value = "a*WT*t"
    assert "To use column WT" in editor.verdict.value
    editor.fields["covariates"].value = "WT"
    assert "To use column" not in editor.verdict.value and "uses column WT" in editor.verdict.value


def test_what_is_typed_is_escaped(bench):
    editor = bench.model_panel.structure.editor("Equation")
    editor.text.value = "<img src=x onerror=alert(1)>"
    assert "<img" not in editor.verdict.value and "&lt;img" in editor.verdict.value


# -- start values beside the callbacks -----------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch):
    """Finding start values takes as long as the test wants."""
    gate, true_values = threading.Event(), wb.initial_values

    def wait(model, data):
        if not model.structure.title.startswith("1-compartment"):
            assert gate.wait(30)
        return true_values(model, data)

    monkeypatch.setattr("workbench.ui.session.state.engine.initial_values", wait)
    return gate


def test_callbacks_do_not_wait_for_start_values(bench, slow):
    editor = bench.model_panel.structure.editor("ODE")
    begun = time.perf_counter()
    editor.template.value = "one compartment, oral"
    editor.apply.click()
    assert time.perf_counter() - begun < 25  # the start values would keep it for 30
    assert "Computing start values" in bench.controls.status.value
    row = bench.model_panel.rows["ka"]
    assert row.value.disabled and "wb-unknown" in row.value._dom_classes
    slow.set()
    assert bench.wait(120)
    assert "press Fit" in bench.controls.status.value
    row = bench.model_panel.rows["ka"]
    assert row.value.value > 0 and not row.value.disabled and problem(bench) == ""


def test_start_values_of_a_model_that_has_changed_are_forgotten(bench, slow):
    editor = bench.model_panel.structure.editor("ODE")
    editor.template.value = "one compartment, oral"
    editor.apply.click()
    bench.model_panel.structure.kind.value = "Library"
    assert bench.state.start is not None and not bench.state.seeking
    slow.set()
    assert bench.wait(120)
    assert bench.state.start.structure == wb.pk(absorption="first-order")
    assert list(bench.model_panel.rows) == ["ka", "CL", "V"]


def test_a_structure_that_fails_is_explained(bench):
    editor = bench.model_panel.structure.editor("Equation")
    editor.text.value = "log(-abs(a) - t)"
    editor.apply.click()
    assert bench.wait(120)
    assert "No values of a were found" in bench.controls.status.value
    assert not bench.state.seeking


def test_auto_refit_waits_for_the_start_values(bench, slow):
    bench.controls.live.value = True
    slow.set()
    assert bench.wait(60)
    editor = bench.model_panel.structure.editor("ODE")
    editor.text.value, editor.fields["response"].value = ORAL, "C"
    editor.apply.click()
    assert bench.wait(120)
    assert [run.model.structure.title for run in bench.runs][-1] == "2 differential equations: depot, central"
    assert bench.fit.ofv == pytest.approx(bench.runs[1].fit.ofv, abs=1e-3)


def test_curves_of_an_ode_are_drawn_and_follow(bench):
    bench.model = bench.model.with_structure(wb.ode(ORAL))
    open_tab(bench, "Individual fits")
    assert bench.wait(120)
    cell = bench.individual_panel.cells[0]
    assert cell.population.visible and not cell.individual.visible
    before = cell.population.y.copy()
    bench.model_panel.rows["CL"].value.value *= 1.5
    assert bench.wait(60)
    assert not np.array_equal(cell.population.y, before)
    bench.run()
    assert bench.wait(60)
    assert cell.individual.visible and problem(bench) == ""


# -- parameters ----------------------------------------------------------------------------------------------------


def test_a_row_states_transform_bounds_and_what_is_fixed(bench):
    assert bench.model_panel.rows["CL"].more is None
    bench.model_panel.table.more.value = True
    row = bench.model_panel.rows["CL"]
    low, high = row.more.bounds
    low.value = "0.01"
    assert bench.model["CL"].bounds == (0.01, None)
    high.value = "0.5"
    assert bench.model["CL"].bounds == (0.01, 0.5)
    row.fixed.value = True
    row.subject.fixed.value = True
    assert bench.model["CL"].fixed == ("value", "iiv")
    row.fixed.value = False
    assert bench.model["CL"].fixed == ("iiv",)
    row.more.transform.value = "logit"
    assert bench.model["CL"].transform == "logit" and bench.model["CL"].bounds == (0.0, 1.0)
    assert (low.value, high.value) == ("0", "1")
    row.slider.value = 350
    assert 0.5 < bench.model["CL"].value < 1
    assert problem(bench) == ""


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda row: setattr(row.value, "value", -1.0), "must be positive"),
        (lambda row: setattr(row.spread, "value", 0.0), "must be positive"),
        (lambda row: setattr(row.more.bounds[0], "value", "abc"), "is no number"),
        (lambda row: setattr(row.more.bounds[0], "value", "5"), "strictly between"),
        (lambda row: setattr(row.more.bounds[1], "value", "nan"), "finite number"),
    ],
)
def test_bad_input_is_explained_under_the_table_and_put_back(bench, edit, words):
    bench.model_panel.table.more.value = True
    model, row = bench.model, bench.model_panel.rows["CL"]
    shown = row.value.value, row.spread.value, *(box.value for box in row.more.bounds)
    edit(row)
    said = bench.model_panel.table.refusal.view
    assert words in said.value and said.layout.display is None
    assert bench.model is model
    assert (row.value.value, row.spread.value, *(box.value for box in row.more.bounds)) == shown
    row.value.value = 0.05
    assert said.layout.display == "none"


def with_occasions():
    frame = wb.load_example("theophylline").to_frame()
    frame["OCC"] = np.where(frame["TIME"] > 6, 2, 1)
    return wb.read_data(frame, roles={"occasion": "OCC"})


def test_occasions_have_a_random_effect_where_the_data_have_any(shown, bench):
    assert bench.model_panel.rows["CL"].occasion is None
    assert bench.psi_panel.occasion.view.layout.display == "none"
    other = shown(with_occasions())
    rows = other.model_panel.rows
    rows["CL"].occasion.there.value = True
    rows["V"].occasion.there.value = True
    assert other.model.occasion_effects == ("CL", "V")
    own = wb.initial_values(other.model, other.data)["CL"].iov  # from the data
    assert rows["CL"].occasion.spread.value == pytest.approx(own, abs=1e-4)
    rows["CL"].occasion.spread.value = 0.2
    assert other.model["CL"].iov == 0.2
    psi = other.psi_panel.occasion
    assert psi.view.layout.display is None
    psi.cells["CL", "V"].value = True
    (block,) = other.model.correlate
    assert block.level == "occasion" and block.names == ("CL", "V")
    other.psi_panel.subject.full.click()
    assert [b.level for b in other.model.correlate] == ["subject", "occasion"]
    assert problem(other) == ""


def test_individual_curves_are_drawn_with_occasions(shown):
    model = wb.Model(wb.pk(absorption="first-order")).with_parameter("CL", iov=True).with_parameter("V", share="CL")
    bench = shown(with_occasions(), model)
    bench.run()
    assert bench.wait(60)
    cell = bench.individual_panel.cells[0]
    assert cell.individual.visible and problem(bench) == ""
    seen = cell.points.x > 1
    assert np.interp(cell.points.x[seen], cell.individual.x, cell.individual.y) == pytest.approx(
        cell.points.y[seen], rel=0.25
    )


# -- Ψ -------------------------------------------------------------------------------------------------------------


def test_a_click_correlates_and_another_takes_out(bench):
    cells = bench.psi_panel.subject.cells

    def blocks():
        return [block.names for block in bench.model.correlate]

    cells["ka", "CL"].value = True
    assert blocks() == [("ka", "CL")] and cells["CL", "ka"].value
    cells["V", "CL"].value = True
    assert blocks() == [("ka", "CL", "V")] and all(cell.value for cell in cells.values())
    cells["ka", "V"].value = False  # ka leaves the block
    assert blocks() == [("CL", "V")] and not cells["ka", "CL"].value and cells["V", "CL"].value
    bench.psi_panel.subject.diagonal.click()
    assert blocks() == [] and not any(cell.value for cell in cells.values())
    bench.psi_panel.subject.full.click()
    assert blocks() == [("ka", "CL", "V")]
    bench.model_panel.rows["ka"].random.value = False
    assert blocks() == [("CL", "V")] and set(bench.psi_panel.subject.cells) == {("CL", "V"), ("V", "CL")}


def test_merged_blocks_keep_their_correlations(bench):
    bench.model = bench.model.with_correlate([wb.Block("ka", "CL", correlations=[0.4])])
    psi = bench.psi_panel.subject
    own = wb.initial_values(bench.model, bench.data)["V"].iiv
    assert psi.cells["ka", "CL"].description == "0.40" and psi.spreads["V"].value.count(f">{own:.2f}<") == 1
    psi.cells["CL", "V"].value = True
    (block,) = bench.model.correlate
    assert block.correlations == (0.4, 0.0, 0.0)
    psi.cells["V", "CL"].value = False
    assert bench.model.correlate == (wb.Block("ka", "CL", correlations=[0.4]),)


def test_too_many_random_effects_for_a_matrix_are_said(bench):
    names = [f"p{k}" for k in range(14)]
    model = wb.Model(wb.equation(" + ".join(f"{name}*t" for name in names)))
    matrix = PsiMatrix(bench.state, "subject")
    matrix.render(model, {})
    assert "14 random effects" in matrix.about.value and matrix.grid.layout.display == "none"


# -- what has no control -------------------------------------------------------------------------------------------


def test_what_the_panels_cannot_show_is_shown_as_code_and_kept(shown):
    frame = wb.load_example("theophylline").to_frame()
    frame["LAGT"] = 0.05
    model = wb.Model(
        wb.pk(absorption="first-order", lag=True),
        [
            wb.Parameter("ka", 1.5, iiv=0.5),
            wb.Parameter("CL", 0.04, iiv=0.3, fixed=("iiv",), bounds=(0.001, None)),
            wb.Parameter("V", 0.5, share=("CL", 0.8), fixed=("share",)),
            wb.Parameter("lag", column="LAGT"),
        ],
        error=wb.Combined2(0.3, 0.1, fixed=("a",)),
        correlate=[wb.Block("ka", "CL", correlations=[0.2], fixed=True)],
    )
    bench = shown(wb.read_data(frame), model)
    assert problem(bench) == "" and bench.model == model
    said = bench.model_panel.other.value
    assert said.count("<summary>") == 1 and "lag from column LAGT" in said and "V shares with CL" in said
    assert "fixed correlations of ka–CL" in said and "wb.Model(" in said
    assert "0.8 × that of CL (kept)" in bench.model_panel.rows["V"].meaning.value
    assert bench.model_panel.rows["lag"].value.disabled
    bench.model_panel.rows["ka"].value.value = 2.0
    bench.error_panel.boxes["b"].value = 0.2
    expected = model.with_parameter("ka", value=2.0).with_error(wb.Combined2(0.3, 0.2, fixed=("a",)))
    assert bench.model == expected
    bench.model_panel.automatic.click()
    assert bench.model == expected.without_values()
    assert bench.model["V"].share == ("CL", 0.8) and bench.model.error.a == 0.3


def test_pictures_of_the_model(shown):
    frame = pd.DataFrame(wb.load_example("theophylline").to_frame())
    bench = shown(wb.read_data(frame), wb.Model(wb.pk(absorption="first-order", bioavailability=True)))
    bench.turn_to("Equations")
    panel = bench.equations_panel
    assert "<svg" in panel.diagram.value and r"\frac" in panel.structure.value
    assert r"\operatorname{logit}" in panel.individuals.value
    model = bench.model.with_covariate("CL", "WT").with_covariate("V", "WT", "categorical")
    bench.model = model.with_error(wb.Exponential())
    assert r"\left(\frac{\mathit{WT}}" in panel.individuals.value and r"\mathtt{C(WT)}" in panel.individuals.value
    assert r"\ln y" in panel.error.value
    assert problem(bench) == "" or "single" in problem(bench) or "positive" in problem(bench)
