"""Targets: how many meet them, and which dose does; against closed forms for a log-normal exposure."""

import numpy as np
import pytest
from scipy.stats import norm

import workbench as wb
from workbench.simulation.attainment import area, chance, time_share

CLEARANCE = wb.Model(  # AUC over an interval at steady state is nearly dose/CL: log-normal
    wb.pk(), [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 2.0)], error=wb.Proportional(0.1)
)
REGIMEN = wb.Regimen(100, every=12, times=3)


def at(amount=100, **changes):
    return wb.simulate(CLEARANCE, wb.Design(REGIMEN.scaled(amount / 100), **changes), replicates=20_000, seed=1)


@pytest.fixture(scope="module")
def simulation():
    return at()


def test_areas_and_shares_of_time_are_those_of_lines():
    t, y = np.array([0.0, 1.0, 3.0]), np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
    assert area(y, t).tolist() == [3.0, 3.0]
    assert time_share(y, t, 1.0, np.inf).tolist() == pytest.approx([0.5, 0.0])
    assert time_share(y, t, 0.5, 1.5).tolist() == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize("limit", [30.0, 50.0, 80.0])
def test_the_probability_of_an_area_is_that_of_the_closed_form(simulation, limit):
    found = wb.attainment(simulation, auc=limit).table.iloc[0]
    expected = norm.sf(np.log(limit / 50.0) / 0.3)
    assert abs(found["probability"] - expected) < 5 * max(found["se"], 1e-4) + 2e-3  # trapezoids through 12 h
    assert found["lower"] < found["probability"] < found["upper"] or expected in (0, 1)
    both = wb.attainment(simulation, auc=(limit, 2 * limit)).table.iloc[0]["probability"]
    assert both == pytest.approx(found["probability"] - wb.attainment(simulation, auc=2 * limit).table.iloc[0, 0])


def test_concentrations_at_a_moment_are_those_of_the_closed_form(simulation):
    """At the end of the interval, far from the dose: 50 e^(-12 CL/2) approx."""
    found = wb.attainment(at(times=[3.0, 36.0]), above=1.0, at=3.0).table.iloc[0]
    expected = norm.cdf((np.log(np.log(50.0) * 2 / 3) - np.log(2.0)) / 0.3)
    assert abs(found["probability"] - expected) < 5 * found["se"]
    assert found["se"] == pytest.approx(np.sqrt(expected * (1 - expected) / 20_000), rel=0.03)


def test_a_probability_that_is_one_is_not_certain(simulation):
    row = wb.attainment(simulation, above=-1.0).table.iloc[0]
    assert row["probability"] == 1.0 and row["lower"] < 1.0
    assert chance(np.zeros(100, dtype=bool), 100).upper > 0.01


def test_people_who_share_parameters_count_as_what_they_are():
    met = np.repeat(np.random.default_rng(1).random(200) < 0.5, 10)  # ten people, all alike, in each replicate
    assert chance(met, 200).se == pytest.approx(np.sqrt(met.mean() * (1 - met.mean()) / 199))


def test_regimens_are_compared_side_by_side(simulation):
    other = at(200)
    rows = wb.attainment({"low": simulation, "high": other}, auc=80).table
    assert rows.index.tolist() == ["low", "high"] and rows["probability"].is_monotonic_increasing
    assert len(wb.attainment([simulation, other], auc=80).table) == 2
    both = wb.simulate(CLEARANCE, [wb.Design(REGIMEN), wb.Design(REGIMEN.scaled(2))], 50, seed=1)
    assert len(wb.attainment(both, auc=80).table) == 2


def test_throughout_and_for_a_share_of_the_time(simulation):
    all_the_time, half, part = (
        wb.attainment(simulation, above=5.0, share=s).table.iloc[0]["probability"] for s in (1.0, 0.5, 0.1)
    )
    assert all_the_time < half < part
    early = wb.attainment(simulation, above=5.0, at=(24, 26)).table.iloc[0]["probability"]
    assert early > all_the_time


def test_what_nobody_meets_is_said_with_what_is_reached(simulation):
    found = wb.attainment(simulation, auc=1e6)
    assert "none of 20,000 people meets it (AUC: " in found.sentence


def test_of_two_limits_that_which_people_miss_is_said(simulation):
    high = wb.attainment(at(20_000), above=0.001, below=10, at=(24, 30)).sentence
    assert "none of 20,000 people meets it (highest: " in high


def test_times_far_apart_are_said():
    assert "may be off by" in wb.attainment(at(times=[24, 27, 36]), auc=50, at=(24, 36)).sentence
    assert "may be off by" not in wb.attainment(at(), auc=50).sentence


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "A target is needed"),
        ({"above": 20, "below": 10}, "no concentration is above 20 and below 10"),
        ({"auc": (400, 300)}, "no area is above 400 and below 300"),
        ({"auc": 400, "at": 3.0}, r"needs an interval: at=\(from, to\)"),
        ({"above": 1, "at": 3.14159}, "not among the times that were simulated, the nearest is 3.06"),
        ({"above": 1, "at": (40, 60)}, "too few times were simulated"),
        ({"above": 1, "at": (4, 2)}, "ends before it begins"),
        ({"above": 1, "response": "effect"}, "response='effect'; simulated are"),
        ({"above": "high"}, "a finite number is needed"),
        ({"above": 1, "share": 2}, "share=2; a number between 0 and 1"),
    ],
)
def test_what_is_no_target_is_said(simulation, target, said):
    with pytest.raises(wb.ModelError, match=said):
        wb.attainment(simulation, **target)
    with pytest.raises(wb.ModelError):
        wb.find_dose(CLEARANCE, REGIMEN, **target)


def test_what_is_no_regimen_is_said():
    for regimen, said in ((100, "a wb.Regimen.* got 100"), (wb.Regimen(0, every=12, times=2), "no amount that could")):
        with pytest.raises(wb.ModelError, match=said):
            wb.find_dose(CLEARANCE, regimen, above=1)


def test_what_is_no_simulation_is_said():
    for wrong in (3, [], [3]):
        with pytest.raises(wb.ModelError, match=r"What is judged is wb\.simulate"):
            wb.attainment(wrong, above=1)


# -- doses -------------------------------------------------------------------------------------------------------------


def test_the_dose_for_an_area_is_that_of_the_closed_form():
    """P(dose/CL > 50) = 0.9 at dose = 50·2·exp(0.3·1.2816)."""
    found = wb.find_dose(CLEARANCE, REGIMEN, auc=50, probability=0.9, replicates=20_000, seed=1)
    assert found.amount == pytest.approx(100 * np.exp(0.3 * norm.ppf(0.9)), rel=0.02)
    assert found.met and found.highest is None and "least amount" in found.sentence
    most = wb.find_dose(CLEARANCE, REGIMEN, auc=(None, 50), probability=0.9, replicates=20_000, seed=1)
    assert most.amount == pytest.approx(100 * np.exp(-0.3 * norm.ppf(0.9)), rel=0.02)


def test_between_two_limits_it_is_the_most_probable():
    """ln AUC ~ N(ln(dose/2), 0.3²): best where the middle is the geometric one."""
    found = wb.find_dose(CLEARANCE, REGIMEN, auc=(25, 100), probability=0.9, replicates=20_000, seed=1)
    assert found.amount == pytest.approx(100, rel=0.1)
    assert found.chance.probability == pytest.approx(2 * norm.cdf(np.log(2) / 0.3) - 1, abs=0.01)
    assert found.lowest < found.amount < found.highest


def test_a_target_that_no_dose_meets_is_said():
    found = wb.find_dose(CLEARANCE, REGIMEN, auc=(48, 52), probability=0.9)
    assert not found.met and "No amount meets the target" in found.sentence and "the most is" in found.sentence
    assert 0 < found.chance.probability < 0.9
    never = wb.find_dose(CLEARANCE, REGIMEN, above=5.0, below=5.1)
    assert not never.met and "for anybody" in never.sentence


def test_what_is_found_attains():
    model = CLEARANCE.with_parameter("V", value=20.0)
    found = wb.find_dose(model, REGIMEN, above=1.0, probability=0.8, seed=3)
    simulation = wb.simulate(model, wb.Design(found.regimen), 1000, seed=3)
    assert wb.attainment(simulation, above=1.0).table.iloc[0]["probability"] == found.chance.probability >= 0.8
    twice = wb.find_dose(model, REGIMEN.scaled(2), above=1.0, probability=0.8, seed=3)
    assert twice.amount == pytest.approx(found.amount, rel=2e-3)


def test_where_exposure_is_not_proportional_every_amount_is_simulated():
    saturable = wb.Model(
        wb.pk(elimination="michaelis-menten"),
        [wb.Parameter("Vm", 20.0, iiv=0.2), wb.Parameter("Km", 3.0), wb.Parameter("V", 20.0)],
        error=wb.Proportional(0.1),
    )
    found = wb.find_dose(
        saturable, wb.Regimen(50, every=12, times=3), below=20, probability=0.9, replicates=100, seed=1
    )
    simulation = wb.simulate(saturable, wb.Design(found.regimen), 100, seed=1)
    assert wb.attainment(simulation, below=20).table.iloc[0]["probability"] >= 0.9
    more = wb.simulate(saturable, wb.Design(found.regimen.scaled(1.05)), 100, seed=1)
    assert wb.attainment(more, below=20).table.iloc[0]["probability"] < 0.9


def test_a_patient_is_given_its_own_dose():
    data = wb.load_example("theophylline")
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), data)
    regimen = wb.Regimen(4, every=12, times=5)
    clearances = fit.individual["CL"]
    amounts = {}
    for subject in (clearances.idxmin(), clearances.idxmax()):
        individual = wb.individualise(fit, data.filter(f"ID == {subject}"))
        amounts[subject] = wb.find_dose(individual, regimen, auc=100, seed=1).amount
    assert amounts[clearances.idxmin()] < amounts[clearances.idxmax()]
    uncertain = wb.find_dose(fit, regimen, auc=100, seed=1, uncertainty=True)
    assert uncertain.amount > wb.find_dose(fit, regimen, auc=100, seed=1).amount > amounts[clearances.idxmin()]
    assert eval(uncertain.code, {"wb": wb, "fit": fit}).target == uncertain.target


def test_pictures(simulation, tmp_path):
    pytest.importorskip("matplotlib")
    for k, result in enumerate((wb.attainment(simulation, auc=50), wb.find_dose(CLEARANCE, REGIMEN, auc=50))):
        result.plot().savefig(tmp_path / f"{k}.svg")
        assert (tmp_path / f"{k}.svg").stat().st_size > 5000
