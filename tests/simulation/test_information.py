"""The expected information: published determinants, laws, what simulations show, better times."""

import numpy as np
import pytest

import workbench as wb

VALUES = [wb.Parameter("CL", 0.15, iiv=0.07**0.5), wb.Parameter("V", 8.0, iiv=0.02**0.5),
          wb.Parameter("ka", 1.0, iiv=0.6**0.5)]  # fmt: skip
WARFARIN = wb.Model(wb.pk(absorption="first-order"), VALUES, error=wb.Proportional(0.1))
TIMES = [0.5, 1, 2, 6, 24, 36, 72, 120]
FIXED = wb.Model(wb.pk(), [wb.Parameter("CL", 2.0, fixed=True), wb.Parameter("V", 20.0, fixed=True)],
                 error=wb.Proportional(0.1, fixed=True))  # fmt: skip
DESIGN = wb.Design(wb.Regimen(70), times=TIMES, subjects=32)


@pytest.mark.parametrize(
    ("kind", "over_variances", "over_deviations"),
    [("full", 1.22036938503e24, 2.624282e21), ("reduced", 5.99614666659e22, 1.289411e20)],
)
def test_determinants_are_those_that_are_published(kind, over_variances, over_deviations):
    """Nyberg et al. 2015, with exact derivatives; and over standard deviations by the chain rule."""
    found = wb.information(WARFARIN, DESIGN, kind=kind)
    assert found.determinant == pytest.approx(over_variances, rel=1e-6)
    assert np.linalg.det(found.by_value) == pytest.approx(over_deviations, rel=1e-6)
    assert found.matrix.index.tolist() == ["CL", "V", "ka", "iiv_CL^2", "iiv_V^2", "iiv_ka^2", "b^2"]


def test_data_stand_for_a_design():
    again = wb.information(WARFARIN, DESIGN.data())
    np.testing.assert_allclose(again.by_value, wb.information(WARFARIN, DESIGN).by_value, rtol=1e-9)


def test_information_adds_up_over_subjects_and_groups():
    one, two = wb.Design(wb.Regimen(70), times=TIMES[:4], subjects=5), wb.Design(wb.Regimen(35), TIMES[2:], subjects=7)
    parts = [wb.information(WARFARIN, d).by_value for d in (one, two)]
    np.testing.assert_allclose(wb.information(WARFARIN, one + two).by_value, sum(parts), rtol=1e-9)
    np.testing.assert_allclose(wb.information(WARFARIN, [two, one]).by_value, sum(parts), rtol=1e-9)


def test_units_of_doses_and_volumes_change_no_relative_error():
    model = wb.Model(wb.pk(absorption="first-order"), VALUES, error=wb.Proportional(0.1))
    for name in ("CL", "V"):
        model = model.with_parameter(name, value=1000 * model[name].value)
    scaled = wb.Design(wb.Regimen(70_000), times=TIMES, subjects=32)
    rse = [wb.information(m, d).table["rse"] for m, d in ((WARFARIN, DESIGN), (model, scaled))]
    np.testing.assert_allclose(*rse, rtol=1e-8)


def test_a_linear_model_has_its_information_in_closed_form():
    """y = A + ε over n records of N subjects, A ~ N(θ, ω²)."""
    model = wb.Model(wb.equation("A + 0*t"), [wb.Parameter("A", 2.0, transform="identity", iiv=0.5)],
                     error=wb.Constant(0.4))  # fmt: skip
    N, n, w, s = 10, 4, 0.25, 0.16
    found = wb.information(model, wb.Design(wb.Regimen(1), times=[1, 2, 3, 4], subjects=N))
    total = s + n * w
    expected = N * np.array([[n / total, 0, 0], [0, n**2 / total**2 / 2, n / total**2 / 2],
                             [0, n / total**2 / 2, ((n - 1) / s**2 + 1 / total**2) / 2]])  # fmt: skip
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-10, atol=1e-12)
    for how in ({"kind": "full"}, {"method": "foce", "replicates": 4}):
        again = wb.information(model, wb.Design(wb.Regimen(1), [1, 2, 3, 4], subjects=N), **how)
        np.testing.assert_allclose(again.matrix, expected, rtol=1e-10, atol=1e-12)


def test_correlations_occasions_and_log_normal_errors_have_information():
    model = wb.Model(
        wb.pk(), [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 20.0, iiv=0.2)], error=wb.Exponential(0.1),
        correlate=[wb.Block("CL", "V", correlations=[0.5])],
    )  # fmt: skip
    found = wb.information(model, wb.Design(wb.Regimen(100), times=[1, 4, 12, 24], subjects=40))
    assert found.names == ("CL", "V", "iiv_CL", "iiv_V", "corr_CL_V", "a")
    assert found.variance_names[4] == "cov_CL_V" and (found.table["rse"] < 60).all()


def test_predicted_standard_errors_are_those_that_fits_have():
    """60 fits to simulated data by FO, whose model is what the matrix is about: within the error of an SD (9 %)."""
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 2.0, iiv=0.1), wb.Parameter("V", 20.0, iiv=0.1)],
                     error=wb.Proportional(0.1))  # fmt: skip
    design = wb.Design(wb.Regimen(100), times=[1, 4, 12, 24], subjects=40)
    data = design.data()
    estimates = []
    for seed in range(60):
        frame = data.to_frame()
        simulated = wb.simulate(model, data, seed=seed)
        frame.loc[simulated.index, "DV"] = simulated["DV"]
        estimates.append(wb.fit(model, wb.read_data(frame), covariance=False).estimates["estimate"])
    spread = np.std(estimates, axis=0, ddof=1)
    np.testing.assert_allclose(spread, wb.information(model, design).table["se"], rtol=0.3)


def test_the_typical_value_of_a_large_random_effect_is_no_better_known_than_the_subjects_allow():
    """ω/√N on the scale of η, whatever the samples; 14.2 % is the spread of 150 fits to simulated data."""
    bound = 100 * 0.6**0.5 / 32**0.5
    for method in ("fo", "foce"):
        rse = wb.information(WARFARIN, DESIGN, method=method).table.loc["ka", "rse"]
        assert bound < rse == pytest.approx(14.2, rel=0.03)
    full = wb.information(WARFARIN, DESIGN, kind="full")
    assert full.table.loc["ka", "rse"] < bound and "far more hopeful" in full.sentence and "ka (4.8 %" in full.sentence


def test_foce_is_an_average_with_an_error():
    one, two = (wb.information(WARFARIN, DESIGN, method="foce", replicates=600, seed=s) for s in (1, 2))
    assert one.error > 0
    assert abs(one.log_determinant - two.log_determinant) < 5 * np.hypot(one.error, two.error)


# -- power -------------------------------------------------------------------------------------------------------------


def with_effect(beta):
    model = WARFARIN.with_parameter("CL", covariates=[wb.Effect('(SEX == "F")', beta)])
    groups = [wb.Design(wb.Regimen(70), times=TIMES, covariates={"SEX": s}, subjects=16) for s in "FM"]
    return wb.information(model, groups)


def test_power_is_that_of_walds_test():
    from scipy.stats import norm

    found = with_effect(0.2)
    effect = next(name for name in found.names if name.startswith("CL:"))
    z = 0.2 / found.table.loc[effect, "se"]
    power = found.power(effect)
    assert power.power == pytest.approx(norm.sf(1.959964 - z) + norm.cdf(-1.959964 - z), rel=1e-5)
    n = power.subjects_for(0.9)
    assert power.subjects_for(power.power) <= 32 + 1 and n > 0
    assert norm.sf(1.959964 - z * np.sqrt(n / 32)) >= 0.9 > norm.sf(1.959964 - z * np.sqrt((n - 1) / 32)) - 1e-4
    assert "is found with a power of" in power.sentence and power.table["power"].is_monotonic_increasing


def test_categories_have_power_too():
    model = WARFARIN.with_parameter("CL", covariates=[wb.Effect("C(SEX)", (0.2,))])
    groups = [wb.Design(wb.Regimen(70), times=TIMES, covariates={"SEX": s}, subjects=16) for s in "FM"]
    found = wb.information(model, groups).power("CL:C(SEX)")
    assert found.power == pytest.approx(with_effect(0.2).power("CL:(SEX=='F')").power)  # as many women as men


def test_without_an_effect_there_is_no_power():
    with pytest.raises(wb.ModelError, match="no covariate effect 'V:SEX'; there are none"):
        wb.information(WARFARIN, DESIGN).power("V:SEX")
    with pytest.raises(wb.ModelError, match="is 0 in the model"):
        with_effect(0.0).power("CL:(SEX=='F')")


# -- what is not determined --------------------------------------------------------------------------------------------


def test_what_a_design_does_not_determine_is_named():
    few = wb.information(WARFARIN, wb.Design(wb.Regimen(70), times=[24], subjects=10))
    assert few.flat and "does not determine" in few.sentence and few.table["se"].isna().all()
    same = WARFARIN.with_parameter("CL", covariates=[wb.Effect("log(WT/70)", 0.75)])
    alike = wb.information(same, wb.Design(wb.Regimen(70), TIMES, {"WT": 70}, 10))
    assert alike.flat == "CL:log(WT/70)"
    with pytest.raises(wb.FitError, match="no power to speak of"):
        alike.power("CL:log(WT/70)")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: wb.information(3, DESIGN), "a wb.Model.* or a fit, got int"),
        (lambda: wb.information(WARFARIN, 3), r"A wb.Design\(…\) is needed"),
        (lambda: wb.information(WARFARIN, DESIGN, kind="half"), "kind='half'; allowed are 'reduced' and 'full'"),
        (lambda: wb.information(WARFARIN, wb.Design(wb.Regimen(0), [1])), "No dose of the design is above 0"),
        (
            lambda: wb.information(WARFARIN, wb.Design(wb.Regimen(70), {"E": [1]})),
            "The design measures E; the responses",
        ),
        (lambda: wb.information(FIXED, DESIGN), "Everything in the model is fixed"),
        (lambda: wb.information(WARFARIN, wb.Design(wb.Regimen(70), [0, 1])), "their variance is 0"),
        (lambda: wb.optimise(wb.Design(wb.Regimen(70, every=24)), WARFARIN), "no times that could be moved"),
        (lambda: wb.optimise(DESIGN, WARFARIN, windows=[(1, 2)]), "there are 8 times"),
        (lambda: wb.optimise(DESIGN, WARFARIN, windows=(2, 1)), "ends before it begins"),
        (lambda: wb.optimise(wb.Design(wb.Regimen(70), [3]), WARFARIN), "No times within the windows determine"),
    ],
)
def test_what_cannot_be_computed_is_said(call, said):
    with pytest.raises(wb.WorkbenchError, match=said):
        call()


# -- times -------------------------------------------------------------------------------------------------------------


def test_one_measurement_of_a_decay_goes_to_the_time_constant():
    """y = e^(-kt) + ε: ∂y/∂k = -t e^(-kt) is largest at 1/k."""
    model = wb.Model(wb.equation("exp(-k*t)"), [wb.Parameter("k", 0.25)], error=wb.Constant(0.1, fixed=True))
    found = wb.optimise(wb.Design(wb.Regimen(1), times=[1.0], subjects=10), model, windows=(0.5, 20))
    assert found.design.groups[0].times[0] == pytest.approx(4.0, abs=0.03)


def test_times_stay_in_their_windows_and_tell_more():
    windows = [(t / 2, 2 * t) for t in TIMES]
    found = wb.optimise(DESIGN, WARFARIN, windows)
    assert found.efficiency > 1.02
    assert found.after.determinant > found.before.determinant
    table = found.table
    assert ((table["found"] >= table["lower"] - 1e-9) & (table["found"] <= table["upper"] + 1e-9)).all()
    assert eval(repr(found.design)) == found.design
    again = wb.information(WARFARIN, found.design)
    assert again.determinant == pytest.approx(found.after.determinant)


def test_a_time_where_there_is_nothing_to_measure_is_said():
    assert "an assay measures nothing below its limit" in wb.optimise(DESIGN, WARFARIN).sentence
    assert "an assay" not in wb.optimise(DESIGN, WARFARIN, [(t / 2, 2 * t) for t in TIMES]).sentence


def test_groups_and_responses_are_optimised_together():
    structure = wb.ode("d/dt A = -k*A; d/dt B = k*A - l*B", response={"P": "A/V", "M": "B/V"}, dose="A")
    values = {"k": 0.3, "l": 0.1, "V": 10.0}
    model = wb.Model(structure, [wb.Parameter(n, v, iiv=0.1) for n, v in values.items()], error=wb.Combined2(0.1, 0.1))
    design = wb.Design(wb.Regimen(100), times={"P": [1, 2, 4], "M": [2, 4, 8]}, subjects=10)
    found = wb.optimise(design + design, model, (0.5, 30), starts=1)
    assert found.efficiency >= 1 and len(found.table) == 12
    assert [len(t) for _, t in found.design.groups[0].times] == [3, 3]


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    for k, result in enumerate(
        (
            with_effect(0.2).power("CL:(SEX=='F')"),
            wb.information(WARFARIN, DESIGN),
            wb.optimise(DESIGN, WARFARIN, starts=1),
        )
    ):
        result.plot().savefig(tmp_path / f"{k}.svg")
        assert (tmp_path / f"{k}.svg").stat().st_size > 5000


def test_a_model_in_the_place_of_the_design_is_said():
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0, iiv=0.3), wb.Parameter("V", 10.0)], error=wb.Proportional(0.1))
    with pytest.raises(wb.ModelError, match="design comes first"):
        wb.optimise(model, wb.Design(wb.Regimen(100), times=[1, 4, 12]))
