"""Regimens and designs: what they say, how they print, and the data that they make."""

import numpy as np
import pytest

import workbench as wb
from workbench.simulation.regimen import Dose

BOLUS = wb.Model(
    wb.pk(),
    [wb.Parameter("CL", 2.0, iiv=0.3, covariates=[wb.Effect("log(WT/70)", 0.75)]), wb.Parameter("V", 20.0, iiv=0.2)],
    error=wb.Proportional(0.1),
)


@pytest.mark.parametrize(
    "regimen",
    [
        wb.Regimen(100),
        wb.Regimen(100, every=12, times=3, loading=200),
        wb.Regimen(0.1, every=0.5, times=2, infusion=0.25, compartment=2, start=1),
        wb.Regimen(5, times=[0, 3.5, 9]),
        wb.Regimen(1, every=24, times=2) + wb.Regimen(2, times=[0, 5]) + wb.Regimen(3),
    ],
)
def test_a_regimen_prints_itself_as_what_makes_it(regimen):
    assert eval(repr(regimen)) == regimen
    assert hash(eval(repr(regimen))) == hash(regimen)


def test_a_sum_is_one_regimen_after_the_other():
    one, two = wb.Regimen(100, every=12, times=2, loading=200), wb.Regimen(50, every=24, times=2, infusion=1)
    assert (one + two).doses == (
        Dose(0, 200, 0, None), Dose(12, 100, 0, None), Dose(24, 50, 1, None), Dose(48, 50, 1, None),
    )  # fmt: skip
    assert (one + two).interval == (48, 72)
    assert (one + two) + two == one + (two + two)
    assert (one + two).scaled(2).doses[0].amount == 400 and (one + two).scaled(2).scaled(0.5) == one + two


@pytest.mark.parametrize(
    "design",
    [
        wb.Design(wb.Regimen(100), times=[0.5, 3]),
        wb.Design(wb.Regimen(100, every=12, times=2), covariates={"WT": [40, 50.5], "SEX": "F"}),
        wb.Design(wb.Regimen(100), times={"C": [1, 2], "E": [3]}, covariates={"WT": {0: 4, 20: 5}}, subjects=7),
    ],
)
def test_a_design_prints_itself_as_what_makes_it(design):
    assert eval(repr(design)) == design
    assert eval(repr(design + design)) == design + design
    assert (design + design).subjects == 2 * design.subjects


def test_the_data_of_a_design_hold_everybody():
    design = wb.Design(wb.Regimen(100, every=12, times=2), times=[0, 1, 12], covariates={"WT": [40, 50, 40]})
    data = design.data()
    assert len(data.subjects) == 3 and data.covariate_names == ("WT",)
    frame = data.to_frame()
    assert frame.loc[frame["ID"] == 2, "WT"].unique().tolist() == [50]
    assert frame.loc[frame["ID"] == 1, "EVID"].tolist() == [0, 1, 0, 0, 1]  # what is measured at a dose is before it
    kinds, count, group = design.kinds()
    assert len(kinds.subjects) == 2 and count.tolist() == [2, 1] and group.tolist() == [0, 0]


def test_a_bolus_has_points_before_and_after_in_a_curve():
    simulation = wb.simulate(BOLUS, wb.Design(wb.Regimen(100, every=12, times=2), covariates={"WT": 70}), 10, seed=1)
    typical = simulation.table["typical"]
    k = 2.0 / 20.0
    assert typical[0.0].tolist() == pytest.approx([0.0, 5.0])
    assert typical[12.0].tolist() == pytest.approx([5 * np.exp(-12 * k), 5 * np.exp(-12 * k) + 5])
    assert typical.iloc[-1] == pytest.approx(5 * (np.exp(-24 * k) + np.exp(-12 * k)))


def test_a_covariate_that_changes_holds_from_its_time_on():
    """CL is twice as large from 10 on."""
    weight = 70 * 2 ** (1 / 0.75)
    design = wb.Design(wb.Regimen(100), times=[5, 10, 15], covariates={"WT": {0: 70, 10: weight}})
    typical = wb.simulate(BOLUS, design, 5, seed=1).table["typical"]
    assert typical.tolist() == pytest.approx([5 * np.exp(-0.5), 5 * np.exp(-1.0), 5 * np.exp(-2.0)])


def test_infusions_and_compartments_reach_the_model():
    model = wb.Model(wb.pk(absorption="first-order"), [wb.Parameter("ka", 1.0), wb.Parameter("CL", 2.0),
                     wb.Parameter("V", 20.0)], error=wb.Proportional(0.1))  # fmt: skip
    design = wb.Design(wb.Regimen(100, infusion=4, compartment=2), times=[4.0])
    typical = wb.simulate(model, design, 2, seed=1).table["typical"].iloc[0]
    assert typical == pytest.approx(25 / 2.0 * (1 - np.exp(-0.4)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: wb.Regimen(-1), "amount=-1; a number, 0 or more"),
        (lambda: wb.Regimen(100, times=3), "doses need an interval"),
        (lambda: wb.Regimen(100, times=[3, 1]), "times of doses that rise"),
        (lambda: wb.Regimen(100, every=12, times=[0, 12]), "both say when"),
        (lambda: wb.Design(wb.Regimen(100)), "no interval after its last dose: say until when"),
        (lambda: wb.Design(None, times=[1]), r"a wb.Regimen\(…\), got NoneType"),
        (lambda: wb.Design(wb.Regimen(100), times=[-1]), "none before 0"),
        (lambda: wb.Design(wb.Regimen(1), [1], {"WT": [1, 2]}, 3), r"there are \[2, 3\] subjects"),
        (lambda: wb.Design(wb.Regimen(1), [1], {"WT": {5: 1}}), "its value at time 0 is needed"),
        (lambda: wb.simulate(BOLUS, wb.Design(wb.Regimen(1), [1])), "needs WT, which the design does not say"),
        (lambda: wb.simulate(BOLUS, wb.Design(wb.Regimen(1), [1], {"WT": 70}), 10**8), "values would be simulated"),
    ],
)
def test_what_makes_no_design_is_said(make, said):
    with pytest.raises(wb.ModelError, match=said):
        make()


def test_occasions_begin_where_they_are_said_to():
    """CL differs between the occasions: with one, the second trough varies more than with two."""
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 5.0, iov=0.2), wb.Parameter("V", 50.0)], error=wb.Proportional(0.1))
    regimen = wb.Regimen(100, every=12, times=2)
    one, two = (wb.Design(regimen, times=[12, 24], occasions=begin) for begin in ((), (0, 12)))
    assert eval(repr(two)) == two
    assert two.data().to_frame()["OCC"].tolist() == [1, 1, 2, 2]  # what is measured at a dose is before it
    spread = [wb.simulate(model, d, 5000, seed=1).curves[0].people.std(axis=0) for d in (one, two)]
    assert spread[0][0] == pytest.approx(spread[1][0], rel=0.05) and spread[0][1] > 1.1 * spread[1][1]
    people = wb.simulate(model, two, 5000, seed=1).curves[0].people
    logs = [np.log(people[:, 0] / 2) / -12, np.log(people[:, 1] / (people[:, 0] + 2)) / -12]
    assert abs(np.corrcoef(*np.log(logs))[0, 1]) < 5 / np.sqrt(5000)
    np.testing.assert_allclose(np.log(logs).std(axis=1), 0.2, rtol=0.05)
    many = wb.Design(regimen, [1, 4, 12, 13, 16, 24], subjects=20, occasions=[12])
    assert wb.information(model, many).names == ("CL", "V", "iov_CL", "b")
