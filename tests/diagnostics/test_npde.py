"""npde beside published figures, on data from the model itself, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import workbench as wb
from tests.reference.material import REFERENCE
from workbench.diagnostics.npde import normality

MODEL = wb.Model(
    wb.pk(absorption="first-order"),
    [wb.Parameter("ka", 1.5, iiv=0.4), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)],
    error=wb.Combined(0.2, 0.1),
)


def designed(subjects, times, seed, model=MODEL, limit=None):
    """Data from a model, censored below a limit."""
    rows = [(i, 0.0, 100.0, 1, np.nan) for i in range(subjects)]
    rows += [(i, float(t), 0.0, 0, 1.0) for i in range(subjects) for t in times]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID", "DV"]).sort_values(["ID", "TIME", "EVID"])
    frame = frame.reset_index(drop=True)
    design = wb.read_data(frame)
    drawn = wb.simulate(model, design, 1, seed=seed)["DV"]
    frame.loc[frame["EVID"] == 0, "DV"] = drawn.to_numpy()
    if limit is not None:
        low = (frame["DV"] < limit) & (frame["EVID"] == 0)
        frame = frame.assign(CENS=low.astype(int), DV=frame["DV"].where(~low, limit))
    return wb.read_data(frame)


@pytest.fixture(scope="module")
def fit():
    return wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))


@pytest.mark.reference
def test_the_packages_example():
    observed = pd.read_csv(REFERENCE / "diagnostics" / "npde_theopp.csv", sep=" ")
    roles = {"subject": "ID", "time": "Time", "response": "Conc", "amount": "Dose"}
    data = wb.read_data(observed, roles=roles)
    simulated = pd.read_csv(REFERENCE / "diagnostics" / "npde_theopp_simulated.csv.gz", sep=r"\s+")
    tests = wb.npde(data, simulations=simulated).tests
    assert tests.n == 120
    assert f"{tests.mean:.5f} {tests.mean_se:.4f}" == "0.06680 0.0946"
    assert f"{tests.variance:.4f} {tests.variance_se:.4f}" == "1.0736 0.1386"
    assert f"{tests.skewness:.4f} {tests.kurtosis:.4f}" == "0.5110 0.2912"
    assert f"{tests.p_normal:.5f}" == "0.00273"
    assert tests.p_global == pytest.approx(3 * tests.p_normal)
    again = simulated.assign(replicate=np.repeat(np.arange(100), len(observed)))
    assert np.array_equal(wb.npde(data, simulations=again.sample(frac=1, random_state=1).sort_index()).npde,
                          wb.npde(data, simulations=simulated).npde)  # fmt: skip


def test_what_simulate_returns_is_taken(fit):
    simulated = wb.simulate(fit.model, fit.data, 50, seed=3)
    found = wb.npde(fit.data, simulations=simulated)
    assert found.sample.replicates == 50 and np.isfinite(found.npde).all()
    shuffled = simulated.assign(ID=simulated["ID"].to_numpy()[::-1])
    with pytest.raises(wb.DataError, match="observation 1 is subject 1 at 0, but in replicate 1 it is subject 12"):
        wb.npde(fit.data, simulations=shuffled)
    with pytest.raises(wb.DataError, match="replicates have"):
        wb.npde(fit.data, simulations=simulated.iloc[:-1])
    with pytest.raises(wb.DataError, match="no column is called 'id'"):
        wb.npde(fit.data, simulations=simulated.rename(columns={"ID": "who"}))
    with pytest.raises(wb.DataError, match="10 replicates; 20 or more"):
        wb.npde(fit.data, simulations=simulated[simulated["replicate"] <= 10])
    with pytest.raises(wb.FitError, match="needs simulations="):
        wb.npde(fit.data)


def test_the_same_seed_gives_the_same_errors(fit):
    one, two = wb.npde(fit, 100), wb.npde(fit, 100)
    assert np.array_equal(one.npde, two.npde) and not np.array_equal(one.npde, wb.npde(fit, 100, seed=2).npde)
    assert np.array_equal(eval(one.code, {"wb": wb, "fit": fit}).npde, one.npde)
    assert one.table.index.equals(fit.table().index) and {"NPDE", "NPD", "PRED", "TAD"} <= set(one.table)
    assert "132 observations" in repr(one) and "Shapiro" in one._repr_html_()


@pytest.mark.parametrize("how", ["cholesky", "symmetric"])
@pytest.mark.parametrize("limit", [None, 1.0])
def test_errors_of_data_from_the_model_are_standard_normal(how, limit):
    """300 subjects at the true parameters; a third of the observations censored in the second case."""
    data = designed(300, [0.5, 1, 4, 9, 24], seed=11, limit=limit)
    if limit is not None:
        assert 0.2 < (data.events.censored == 1).sum() / data.events.observed.sum() < 0.4
    simulated = wb.simulate(MODEL, data, 400, seed=5)
    found = wb.npde(data, simulations=simulated, decorrelate=how)
    tests = found.tests
    # four standard errors of 1,500 independent normal draws, and what 400 replicates add
    assert abs(tests.mean) < 0.11 and abs(tests.variance - 1) < 0.16
    assert stats.kstest(found.npde, "norm").pvalue > 0.001
    by_subject = found.npde.reshape(300, 5)
    correlations = np.corrcoef(by_subject, rowvar=False)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 0.24


def test_a_wrong_model_is_seen():
    data = designed(80, [0.5, 1, 4, 9, 24], seed=3)
    wrong = MODEL.with_error(wb.Combined(0.05, 0.02))
    found = wb.npde(data, simulations=wb.simulate(wrong, data, 200, seed=1))
    assert found.tests.p_global < 1e-6 and found.tests.variance > 1.5
    assert "not those of the standard normal" in found.sentence


def test_too_few_replicates_and_methods_without_population(fit):
    with pytest.raises(wb.FitError, match="20 or more"):
        wb.npde(fit, 5)
    long = designed(2, np.linspace(0.1, 24, 40), seed=1)
    with pytest.raises(wb.FitError, match="40 observations, of which 25 replicates"):
        wb.npde(long, simulations=wb.simulate(MODEL, long, 25, seed=1))
    alone = wb.fit(MODEL, fit.data, method="individual")
    with pytest.raises(wb.FitError, match="needs a population"):
        wb.npde(alone)
    with pytest.raises(wb.FitError, match="decorrelate='pca'"):
        wb.npde(fit, decorrelate="pca")
    with pytest.raises(wb.FitError, match="takes a fit"):
        wb.npde(MODEL)


def test_moments_beside_scipy():
    x = np.random.default_rng(1).standard_normal(50)
    tests = normality(np.append(x, np.nan))
    assert tests.n == 50 and tests.p_mean == pytest.approx(stats.ttest_1samp(x, 0).pvalue)
    assert normality(np.array([1.0, np.nan])).n == 1


@pytest.mark.reference
def test_nonmems_table_of_402():
    """Residuals to the printed digit; NPDE by NONMEM's symmetric root, NPD."""
    from tests.reference.cases import published
    from tests.reference.models import bauer402

    folder = REFERENCE / "diagnostics" / "nonmem_402_table.txt"
    theirs = pd.read_csv(folder, sep=r"\s+", skiprows=1)
    theirs = theirs[theirs["AMT"] == 0].reset_index(drop=True)
    model = bauer402(published("bauer402_focei_2cpt")["evaluate"][0]["at"])
    fit = wb.fit(model, wb.read_data(REFERENCE / "data" / "bauer402.csv"))
    ours = wb.residuals(fit, decorrelate="symmetric").reset_index(drop=True)
    # the fit ends within rounding of the printed estimates
    for mine, name, tolerance in (
        ("CWRES", "CWRES", 1e-4), ("WRES", "WRES", 1e-4), ("PRED", "PRED", 2e-4), ("IPRED", "IPRE", 2e-4),
        ("IWRES", "IWRE", 1e-4), ("RES", "RES", 2e-4), ("IRES", "IRES", 2e-4),
    ):  # fmt: skip
        assert np.abs(ours[mine] - theirs[name]).max() < tolerance, mine
    assert np.corrcoef(ours["NPDE"], theirs["NPDE"])[0, 1] >= 0.995
    more = wb.npde(fit, 3000, decorrelate="symmetric")
    assert np.corrcoef(more.npde, theirs["NPDE"])[0, 1] >= 0.997
    assert np.corrcoef(more.npd, theirs["NPD"])[0, 1] >= 0.998
    cholesky = wb.npde(fit, 3000).npde
    assert np.corrcoef(cholesky, theirs["NPDE"])[0, 1] == pytest.approx(0.948, abs=0.005)


def test_residuals_of_a_linear_method(fit):
    """By FO the conditional residuals take the modes, the others η = 0."""
    linear = wb.fit(fit.given, fit.data, method="fo")
    found = wb.residuals(linear, replicates=50)
    assert np.allclose(found["WRES"], linear.table()["CWRES"])
    assert not np.allclose(found["CWRES"], found["WRES"])
    with pytest.raises(wb.FitError, match="no population"):
        wb.residuals(wb.fit(MODEL, fit.data, method="individual"))


def test_it_draws_itself(fit):
    pytest.importorskip("matplotlib", reason="plots are an extra")
    assert len(wb.npde(fit, 50).plot().axes) == 4


def test_nothing_to_test_is_no_verdict(fit):
    simulated = wb.simulate(fit.model, fit.data, 30, seed=1).assign(DV=np.nan)
    found = wb.npde(fit.data, simulations=simulated)
    assert "nothing can be tested" in found.sentence and "not finite" in found.remarks[0]


def test_censored_errors_are_normal_where_the_residual_error_is_proportional():
    """What is below the limit spreads less than what is above: drawn as if it did not, npde would vary by 1.2."""
    model = MODEL.with_error(wb.Proportional(0.1))
    data = designed(150, [0.25, 0.5, 1, 2, 4, 8, 12, 24], seed=4, model=model, limit=1.3)
    assert 0.2 < (data.events.censored == 1).sum() / data.events.observed.sum() < 0.45
    tests = wb.npde(data, simulations=wb.simulate(model, data, 400, seed=5)).tests
    assert abs(tests.mean) < 0.11 and abs(tests.variance - 1) < 0.14


def test_a_check_can_be_stopped_and_lends_its_simulations(fit):
    told = []
    found = wb.npde(fit, 400, callback=lambda done, total: told.append((done, total)) or done >= 100)
    assert told[-1] == (100, 400) and found.sample.replicates == 100
    whole = wb.npde(fit, 200, callback=lambda done, total: False)
    assert np.array_equal(whole.npde, wb.npde(fit, 200).npde)
    again = wb.npde(fit, simulations=whole.sample, decorrelate="symmetric")
    assert again.code == "wb.npde(fit, decorrelate='symmetric', replicates=200)"
    assert np.array_equal(eval(again.code, {"wb": wb, "fit": fit}).npde, again.npde)
    with pytest.raises(wb.DataError, match="other data"):
        wb.npde(designed(3, [1.0, 2.0], seed=1), simulations=whole.sample)
    with pytest.raises(wb.FitError, match="replicates=454545 at most"):
        wb.npde(fit, 10_000_000)
