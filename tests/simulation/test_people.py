"""New people under a design: curves, intervals, and individuals."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb


@pytest.fixture(scope="module")
def data():
    """Theophylline with a category that acts on CL."""
    frame = wb.load_example("theophylline").to_frame()
    return wb.read_data(frame.assign(SEX=np.where(frame["ID"].astype(int) % 2, "F", "M")))


@pytest.fixture(scope="module")
def fit(data):
    model = wb.Model(
        wb.pk(absorption="first-order"),
        [wb.Parameter("ka", iiv=True), wb.Parameter("CL", iiv=True, covariates="C(SEX)"), wb.Parameter("V", iiv=True)],
        error=wb.Combined2(),
    )
    return wb.fit(model, data)


REGIMEN = wb.Regimen(4, every=12, times=4)


def test_intervals_are_those_of_the_closed_form():
    """ln C at t of a bolus is normal: mean ln(D/V) - t CL/V … here with η on V only and CL/V fixed by "rate"."""
    model = wb.Model(wb.pk(parameters="rate"), [wb.Parameter("k", 0.1), wb.Parameter("V", 20.0, iiv=0.3)],
                     error=wb.Proportional(1e-9))  # fmt: skip
    table = wb.simulate(model, wb.Design(wb.Regimen(100), times=[5.0]), 100_000, seed=1).table
    typical = 5 * np.exp(-0.5)
    assert table["typical"].iloc[0] == pytest.approx(typical)
    expected = typical * np.exp(0.3 * 1.6448536269514722 * np.array([-1, 0, 1]))
    np.testing.assert_allclose(table[["lower", "median", "upper"]].iloc[0], expected, rtol=5e-3)


def test_uncertainty_widens_intervals_and_has_one_of_its_own(fit):
    design = wb.Design(REGIMEN, times=[36, 40, 48], covariates={"SEX": "F"})
    certain, uncertain = (wb.simulate(fit, design, 500, seed=1, uncertainty=u) for u in (False, True))
    for name in ("typical", "lower", "upper"):
        assert certain.table[name].equals(uncertain.table[name])
    assert (uncertain.table["typical_lower"] < certain.table["typical"]).all()
    assert (uncertain.table["typical_upper"] > certain.table["typical"]).all()
    widths = [s.curves[0].predicted.std(axis=0) for s in (certain, uncertain)]
    assert (widths[1] > widths[0]).all()
    assert wb.simulate(fit, design, 500, seed=1, uncertainty=True).table.equals(uncertain.table)


def test_one_level_of_a_category_is_enough_where_the_fit_knows_the_others(fit, data):
    own = wb.predict(fit.model, data).assign(SEX=data.frame["SEX"])
    for level in ("F", "M"):
        subject = own.loc[own["SEX"] == level, "ID"].iloc[0]
        rows = data.frame[data.frame["ID"] == subject]
        design = wb.Design(wb.Regimen(float(rows["AMT"].max())), times=[9.0], covariates={"SEX": level})
        both = wb.simulate(fit, [design, design], 3, seed=1).curves
        cl, v, ka = (fit.estimates.loc[name, "estimate"] for name in ("CL", "V", "ka"))
        if level == "M":
            cl *= np.exp(fit.estimates.loc["CL:C(SEX)[M]", "estimate"])
        k, dose = cl / v, rows["AMT"].max()
        expected = dose * ka / (v * (ka - k)) * (np.exp(-9 * k) - np.exp(-9 * ka))
        assert both[0].typical[0] == pytest.approx(expected) and both[1].typical[0] == pytest.approx(expected)
    with pytest.raises(wb.ModelError, match="SEX is 'X', which the fit did not know; it knew F, M"):
        wb.simulate(fit, wb.Design(REGIMEN, covariates={"SEX": "X"}))
    women = data.filter("SEX == 'F'")
    everybody = wb.simulate(fit, replicates=2000, seed=1).query("ID in @women.events.subjects")
    assert wb.simulate(fit, women, replicates=2000, seed=1)["IPRED"].mean() == pytest.approx(
        everybody["IPRED"].mean(), rel=0.02
    )


def test_draws_of_a_bootstrap_serve_a_design_with_one_level(fit):
    bootstrap = wb.bootstrap(fit, 4, seed=1)
    simulation = wb.simulate(fit, wb.Design(REGIMEN, [48], {"SEX": "M"}), 50, seed=1, uncertainty=bootstrap)
    assert np.unique(simulation.curves[0].uncertain.round(12)).size <= 4


def test_doses_scale_what_is_linear_and_the_order_of_groups_says_nothing(fit):
    light, heavy = (wb.Design(REGIMEN.scaled(c), [12, 48], {"SEX": "F"}) for c in (1, 3))
    one, three = (wb.simulate(fit, d, 200, seed=1) for d in (light, heavy))
    np.testing.assert_allclose(three.curves[0].people, 3 * one.curves[0].people, rtol=1e-12)
    a, b = wb.simulate(fit, light + heavy, 20, seed=1), wb.simulate(fit, heavy + light, 20, seed=1)
    np.testing.assert_allclose(a.curves[0].typical, b.curves[1].typical, rtol=1e-12)


def test_several_responses_have_curves_of_their_own():
    structure = wb.ode("d/dt A = -k*A; d/dt B = k*A - l*B", response={"P": "A/V", "M": "B/V"}, dose="A")
    values = {"k": 0.3, "l": 0.1, "V": 10.0}
    model = wb.Model(structure, [wb.Parameter(n, v, iiv=0.1) for n, v in values.items()], error=wb.Proportional(0.1))
    design = wb.Design(wb.Regimen(100), times={"P": [1, 2], "M": [2, 4, 8]})
    simulation = wb.simulate(model, design, 20, seed=1)
    assert [(c.response, c.time.tolist()) for c in simulation.curves] == [("P", [1, 2]), ("M", [2, 4, 8])]
    assert simulation.table.loc[("P", 2.0), "typical"] == pytest.approx(10 * np.exp(-0.6), rel=1e-6)
    expected = 10 * 0.3 / (0.1 - 0.3) * (np.exp(-0.6) - np.exp(-0.2))
    assert simulation.table.loc[("M", 2.0), "typical"] == pytest.approx(expected, rel=1e-6)


# -- individuals ---------------------------------------------------------------------------------------------------


def test_an_individual_of_the_fit_has_the_modes_of_the_fit(fit, data):
    for k, subject in enumerate(data.events.subjects):
        found = wb.individualise(fit, data.filter(f"ID == {subject}"))
        np.testing.assert_allclose(found.mode, fit.eta_matrix[k], atol=1e-6)
        np.testing.assert_allclose(found.parameters, fit.parameter_matrix[k], rtol=1e-6)


@pytest.mark.parametrize("method", ["foce", "laplace"])
def test_so_it_has_by_other_methods(data, method):
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2()), data, method=method, covariance=False)
    found = wb.individualise(fit, data.filter("ID == 5"))
    np.testing.assert_allclose(found.mode, fit.eta_matrix[list(data.events.subjects).index(5)], atol=1e-6)


def test_the_uncertainty_of_an_individual_is_that_of_the_closed_form():
    """y = A + ε, A ~ N(2, 0.5²): the posterior is normal."""
    model = wb.Model(wb.equation("A + 0*t"), [wb.Parameter("A", 2.0, transform="identity", iiv=0.5)],
                     error=wb.Constant(0.4))  # fmt: skip
    frame = pd.DataFrame({"ID": 1, "t": [0.0, 1.0, 2.0], "DV": [2.5, 3.0, 2.8]})
    found = wb.individualise(model, wb.read_data(frame, roles={"time": "t"}))
    precision = 1 / 0.25 + 3 / 0.16
    assert found.mode[0] == pytest.approx((np.array([0.5, 1.0, 0.8]) / 0.16).sum() / precision)
    assert found.covariance[0, 0] == pytest.approx(1 / precision)
    row = found.table.loc["A"]
    assert row["upper"] - row["lower"] == pytest.approx(2 * 1.959963984540054 / np.sqrt(precision))


def test_people_of_an_individual_are_drawn_from_its_distribution(fit, data):
    individual = wb.individualise(fit, data.filter("ID == 3"))
    design = wb.Design(REGIMEN, times=[48])  # brings its own covariates
    own, anybody = (wb.simulate(s, d, 4000, seed=1) for s, d in (
        (individual, design), (fit, wb.Design(REGIMEN, [48], {"SEX": "F"}))))  # fmt: skip
    assert own.curves[0].people.std() < anybody.curves[0].people.std()
    few = wb.individualise(fit, data.filter("ID == 3 and TIME < 0.3"))
    wider = wb.simulate(few, design, 4000, seed=1).curves[0].people.std()
    assert own.curves[0].people.std() < wider


def test_bad_patients_are_said(fit, data):
    with pytest.raises(wb.ModelError, match="There are 12 subjects; one is needed"):
        wb.individualise(fit, data)
    with pytest.raises(wb.ModelError, match="The second argument is data of one patient"):
        wb.individualise(fit, 3)
    patient = data.filter("ID == 3")
    pooled = wb.fit(wb.Model(wb.pk(absorption="first-order")), data, method="pooled", covariance=False)
    with pytest.raises(wb.ModelError, match="no random effects between subjects"):
        wb.individualise(pooled, patient)
    frame = patient.to_frame().drop(columns="SEX")
    with pytest.raises(wb.ModelError, match="needs SEX, which is no column of the patient's data"):
        wb.individualise(fit, wb.read_data(frame))
    undosed = patient.to_frame().query("EVID == 0")
    with pytest.raises(wb.ModelError, match="has no dose"):
        wb.individualise(fit, wb.read_data(undosed, allow="subject without dose"))
    with pytest.raises(wb.ModelError, match="uncertainty= is for a population"):
        wb.simulate(wb.individualise(fit, patient), wb.Design(REGIMEN), uncertainty=True)
    with pytest.raises(wb.ModelError, match=r"wb.simulate\(individual, wb.Design"):
        wb.simulate(wb.individualise(fit, patient), data)


def test_without_samples_a_patient_is_typical(fit, data):
    frame = data.filter("ID == 3").to_frame().drop(columns="DV")
    untold = wb.individualise(fit, wb.read_data(frame, {"response": None}, allow="subject without observation"))
    assert untold.samples == 0 and not untold.mode.any() and "There are no samples" in untold.sentence
    np.testing.assert_allclose(np.sqrt(np.diag(untold.covariance)), fit.variability["sd"])


def test_without_random_effects_or_an_end_the_people_say_so(fit, data):
    pooled = wb.fit(wb.Model(wb.pk(absorption="first-order")), data, method="pooled", covariance=False)
    assert "no random effects: people do not differ" in wb.simulate(pooled, wb.Design(REGIMEN), 5, seed=1).sentence
    short = wb.fit(fit.model.without_values(), data, max_iterations=1)
    simulation = wb.simulate(short, wb.Design(REGIMEN, covariates={"SEX": "F"}), 5, seed=1)
    assert "no estimates to rely on: The fit used up its iterations" in simulation.sentence
    assert "not to be relied on" in wb.individualise(short, data.filter("ID == 3")).sentence


def test_pictures(fit, data, tmp_path):
    pytest.importorskip("matplotlib")
    simulation = wb.simulate(fit, wb.Design(REGIMEN, covariates={"SEX": "F"}), 20, seed=1, uncertainty=True)
    for k, result in enumerate((simulation, wb.individualise(fit, data.filter("ID == 3")))):
        result.plot().savefig(tmp_path / f"{k}.svg")
        assert (tmp_path / f"{k}.svg").stat().st_size > 5000
