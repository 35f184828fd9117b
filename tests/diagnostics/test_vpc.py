"""Visual predictive checks beside published figures, laws, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from tests.reference.material import REFERENCE
from workbench.diagnostics.binning import bins_of, spline
from workbench.diagnostics.regression import quantile_regression


@pytest.fixture(scope="module")
def fit():
    return wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))


@pytest.fixture(scope="module")
def example():
    folder = REFERENCE / "diagnostics"
    return wb.read_data(pd.read_csv(folder / "vpc_observed.csv")), pd.read_csv(folder / "vpc_simulated.csv.gz")


@pytest.mark.reference
def test_the_packages_example(example):
    """The sums over bins that the package vpc gives, to five digits."""
    data, simulated = example
    table = wb.vpc(data, simulations=simulated).table
    assert table["bin"].nunique() == 11
    sums = {q: rows[["observed", "simulated", "lower"]].sum() for q, rows in table.groupby("quantile")}
    assert sums[0.5]["simulated"] == pytest.approx(636.98, abs=0.006)
    assert sums[0.5]["lower"] == pytest.approx(556.89, abs=0.006)
    assert sums[0.05]["simulated"] == pytest.approx(297.14, abs=0.006)
    assert sums[0.95]["simulated"] == pytest.approx(1324.86, abs=0.006)
    assert sums[0.5]["observed"] == pytest.approx(621.77, abs=0.006)


@pytest.mark.reference
def test_censored_shares(example):
    data, simulated = example
    edges = [0, 0.4, 0.75, 1.75, 2.75, 3.5, 5, 7, 13]  # the package's eight bins: 1 with 1.5, 2 with 2.5, 8 with 12
    found = wb.vpc(data, simulations=simulated, lloq=30, bins=edges).censored
    assert found["observed"].round(2).tolist() == [0.56, 0.08, 0, 0, 0.02, 0.14, 0.42, 0.52]
    assert found["simulated"].round(2).tolist() == [0.48, 0.07, 0, 0, 0.02, 0.18, 0.46, 0.52]
    table = wb.vpc(data, simulations=simulated, lloq=30).table
    first = table[(table["bin"] == 0) & (table["quantile"] == 0.05)].iloc[0]
    assert np.isnan(first["observed"]) and np.isnan(first["simulated"]), "it lies among the censored ones"


@pytest.mark.reference
def test_quantile_types(example):
    data, simulated = example
    seven, six = (wb.vpc(data, simulations=simulated, quantile_type=kind).table for kind in (7, 6))
    out = {q: (six["observed"] - seven["observed"])[seven["quantile"] == q] for q in (0.05, 0.95)}
    assert (out[0.05] <= 0).all() and (out[0.95] >= 0).all() and out[0.95].sum() > 0  # type 6 goes farther out


def test_a_fit_is_simulated(fit):
    found = wb.vpc(fit, 100)
    assert np.array_equal(found.table["simulated"], wb.vpc(fit, 100).table["simulated"])
    assert eval(found.code, {"wb": wb, "fit": fit}).table.equals(found.table)
    assert "132 observations over time, 100 simulations" in repr(found)
    assert len(found.points) == 132 and found.outside < 0.4


def test_prediction_correction_without_anything_to_correct():
    """All subjects alike: the typical prediction of a bin is everybody's."""
    rows = [(i, t, 100.0 if t == 0 else 0.0, float(t == 0)) for i in range(10) for t in (0.0, 1.0, 5.0, 12.0)]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID"]).assign(DV=1.0)
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0, iiv=0.3), wb.Parameter("V", 10.0)], error=wb.Proportional(0.1))
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(model, wb.read_data(frame), 1, seed=1)["DV"].to_numpy()
    fit = wb.fit(model, wb.read_data(frame))
    plain, corrected = (wb.vpc(fit, 50, prediction_corrected=flag) for flag in (False, True))
    pd.testing.assert_frame_equal(plain.table, corrected.table)
    assert corrected.corrected and "Prediction-corrected" in corrected.sentence


def test_prediction_correction_takes_doses_out():
    """Two groups whose doses differ tenfold lie on each other once corrected."""
    rows = [(i, t, (10.0 if i % 2 else 100.0) * (t == 0), float(t == 0)) for i in range(40) for t in (0.0, 1, 5, 12)]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID"]).assign(DV=1.0)
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0, iiv=0.2), wb.Parameter("V", 10.0)], error=wb.Proportional(0.1))
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(model, wb.read_data(frame), 1, seed=1)["DV"].to_numpy()
    fit = wb.fit(model, wb.read_data(frame))

    def spread(found):
        wide = found.table.pivot_table(index="bin", columns="quantile", values="observed")
        return float((wide[0.95] / wide[0.05]).max())

    assert spread(wb.vpc(fit, 50)) > 8 and spread(wb.vpc(fit, 50, prediction_corrected=True)) < 4


def test_strata_and_bins(fit):
    heavy = wb.read_data(wb.load_example("theophylline").to_frame().assign(HEAVY=lambda f: (f["WT"] > 70).astype(int)))
    simulated = wb.simulate(fit.model, heavy, 30, seed=1)
    found = wb.vpc(heavy, simulations=simulated, stratify="HEAVY", bins=("kmeans", 4))
    assert found.table["stratum"].unique().tolist() == ["HEAVY 1", "HEAVY 0"]
    assert (found.table.groupby("stratum")["bin"].nunique() == 4).all()
    assert found.table.groupby("stratum")["n"].first().notna().all()
    assert found.table.drop_duplicates(["stratum", "bin"])["n"].sum() == 132
    with pytest.raises(wb.DataError, match="stratify='nothing'"):
        wb.vpc(heavy, simulations=simulated, stratify="nothing")


def test_time_after_dose_and_prediction(fit):
    by_tad = wb.vpc(fit, 30, x="tad")
    assert by_tad.table["x"].equals(wb.vpc(fit, 30).table["x"])  # one dose at time 0
    by_pred = wb.vpc(fit, 30, x="pred", bins=5)
    assert by_pred.table["x"].is_monotonic_increasing or by_pred.table["bin"].is_monotonic_increasing


def test_without_bins(fit):
    found = wb.vpc(fit, 20, bins="none", quantiles=(0.5,))
    assert len(found.table) == 40
    middle = found.table.set_index("x")["observed"]
    assert middle.iloc[5:12].max() > 2 * middle.iloc[-1]


def test_the_numerical_check_expects_what_it_says(fit):
    npc = wb.vpc(fit, 200).npc
    inside = (npc["observed"] >= npc["lower"] - 0.02) & (npc["observed"] <= npc["upper"] + 0.02)
    assert inside.mean() > 0.7
    assert ((npc["lower"] <= npc["expected"]) & (npc["expected"] <= npc["upper"])).all()


@pytest.mark.parametrize(
    ("bins", "count"),
    [(None, 10), (4, 4), ("distinct", 50), ("quantiles", 10), (("kmeans", 3), 3), ([0, 10, 50], 2), ([0, 1, 2, 60], 3)],
)
def test_bins_hold_everything(bins, count):
    x = np.arange(50, dtype=float)
    found = bins_of(x, bins)
    assert found.size == count and np.bincount(found.of).sum() == 50
    assert all((x[found.of == b] >= found.lower[b]).all() for b in range(1, found.size))


def test_clusters_are_found():
    x = np.concatenate([np.linspace(0, 1, 20), np.linspace(10, 11, 5), np.linspace(30, 31, 9)])
    assert np.bincount(bins_of(x, ("kmeans", 3)).of).tolist() == [20, 5, 9]


@pytest.mark.parametrize("bins", [0, [3, 2], [1], "deciles", ("distinct", 3), {"a": 1}, [1, np.nan]])
def test_bins_that_are_none(fit, bins):
    with pytest.raises(wb.FitError, match="bins"):
        wb.vpc(fit, 20, bins=bins)


@pytest.mark.parametrize(
    "wrong", [{"x": "dose"}, {"interval": 2}, {"quantiles": (0.1, 7)}, {"quantile_type": 5}, {"response": "PD"}]
)
def test_arguments_are_checked(fit, wrong):
    with pytest.raises(wb.FitError, match=next(iter(wrong))):
        wb.vpc(fit, 20, **wrong)


def test_it_draws_itself(fit):
    pytest.importorskip("matplotlib", reason="plots are an extra")
    assert len(wb.vpc(fit, 30).plot(log=True).axes) == 1


def test_all_censored_is_said(fit):
    frame = fit.data.to_frame()
    seen = frame["EVID"].astype(int) == 0
    data = wb.read_data(frame.assign(CENS=seen.astype(int), DV=np.where(seen, 100.0, np.nan)))
    simulated = wb.simulate(fit.model, fit.data, 30, seed=1)
    found = wb.vpc(data, simulations=simulated)
    assert "all quantiles lie among censored" in found.sentence and (found.censored["observed"] == 1).all()
    assert any("censored" in remark for remark in wb.npde(data, simulations=simulated).remarks)


def test_one_quantile_is_enough_and_none_is_not(fit):
    assert wb.vpc(fit, 30, quantiles=0.5).table["quantile"].unique().tolist() == [0.5]
    with pytest.raises(wb.FitError, match="quantiles"):
        wb.vpc(fit, 30, quantiles=())


def test_quantile_regressions_are_those_of_linear_programming():
    from scipy.optimize import linprog

    rng = np.random.default_rng(2)
    x = np.tile([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0], 6)
    basis, _, _ = spline(x, 5)
    y = 10 * np.exp(-0.1 * x) * (1 + 0.3 * rng.standard_normal((3, len(x))))
    known = rng.random(y.shape) > 0.1
    p = basis.shape[1]
    for q in (0.05, 0.5, 0.9):
        found = quantile_regression(basis, y, q, known)
        for k in range(3):
            at = known[k]
            residual = y[k, at] - basis[at] @ found[k]
            count = int(at.sum())
            best = linprog(
                np.r_[np.zeros(p), np.full(count, q), np.full(count, 1 - q)],
                A_eq=np.c_[basis[at], np.eye(count), -np.eye(count)], b_eq=y[k, at],
                bounds=[(None, None)] * p + [(0, None)] * (2 * count),
            )  # fmt: skip
            assert np.maximum(q * residual, (q - 1) * residual).sum() == pytest.approx(best.fun, rel=1e-6)
    assert np.isnan(quantile_regression(basis, y, 0.5, np.zeros_like(known))).all()


def test_simulations_are_kept_for_other_bins(fit):
    first = wb.vpc(fit, replicates=100, seed=3)
    again = wb.vpc(fit, bins=4, simulations=first.sample)
    assert again.code == "wb.vpc(fit, replicates=100, seed=3, bins=4)"
    assert again.table.equals(eval(again.code, {"wb": wb, "fit": fit}).table)
