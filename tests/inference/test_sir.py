"""Sampling importance resampling against distributions that are known."""

from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, t

import workbench as wb
from workbench.inference.sir import _without_replacement


@pytest.fixture(scope="module")
def linear():
    """A linear mixed model of 120 subjects: the estimates are nearly normal, FOCEI is exact."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"ID": np.repeat(np.arange(120), 6), "TIME": np.tile(np.arange(6.0), 120)})
    level, slope = 10 + rng.normal(size=120), 2 + 0.5 * rng.normal(size=120)
    frame["DV"] = level[frame["ID"]] + slope[frame["ID"]] * frame["TIME"] + 0.5 * rng.normal(size=720)
    parameters = [
        wb.Parameter("A", 10, transform="identity", iiv=1),
        wb.Parameter("B", 2, transform="identity", iiv=0.5),
    ]
    model = wb.Model(wb.equation("A + B*t"), parameters, error=wb.Constant(0.5))
    return wb.fit(model, wb.read_data(frame))


@pytest.fixture(scope="module")
def few():
    """Ten observations of one number: the likelihood over mean and SD is known in closed form."""
    y = np.random.default_rng(2).normal(5.0, 1.0, 10)
    frame = pd.DataFrame({"ID": np.arange(10), "TIME": 1.0, "DV": y})
    model = wb.Model(wb.equation("M + 0*t"), [wb.Parameter("M", 5, transform="identity")], error=wb.Constant(1))
    return wb.fit(model, wb.read_data(frame)), y


def test_estimates_of_a_linear_mixed_model_are_normal(linear):
    found = wb.sir(linear, seed=2)
    se, summary = linear.estimates["se"], found.summary
    assert (np.abs(summary["mean"] - summary["estimate"]) / se).max() < 0.25
    assert (summary["se"] / se).between(0.9, 1.13).all()
    correlation = found.table[list(found.names)].corr().to_numpy()
    assert correlation == pytest.approx(linear.correlation.to_numpy(), abs=0.1)
    assert found.covariance == pytest.approx(np.cov(found.table[list(found.names)], rowvar=False))
    quantiles = found.delta_ofv
    assert quantiles["resamples"].to_numpy() == pytest.approx(chi2.ppf(quantiles.index, 5), rel=0.15, abs=0.2)
    assert found.iterations["ess"].iloc[-1] > 1500


def test_weights_undo_a_proposal_that_is_too_wide(linear):
    found = wb.sir(linear, 4000, 400, inflation=2.0)
    ratio = found.summary["se"] / linear.estimates["se"]
    assert ratio.between(0.85, 1.15).all()  # not √2
    shares = found.trends.query("name == 'A'")["share"].to_numpy()
    assert len(shares) == 10 and shares[4:6].mean() > 3 * shares[[0, 9]].mean()
    assert found.delta_ofv["samples"][0.5] > 1.5 * found.delta_ofv["resamples"][0.5]


def test_the_likelihood_over_the_natural_scale(few):
    """With S the sum of squares about the mean, S/a² is χ²(n-2) and the mean is t(n-2) with a flat prior on M and a."""
    fit, y = few
    found = wb.sir(fit, (1000, 2000, 8000), (200, 400, 1000), seed=3)
    S, n = ((y - y.mean()) ** 2).sum(), len(y)
    at = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    a = found.table["a"].quantile(at).to_numpy()
    exact = np.sqrt(S / chi2.isf(at, n - 2))  # with n - 1, flat in log a, they are 4 to 10 % less
    assert a[:4] == pytest.approx(exact[:4], rel=0.03) and a[4] == pytest.approx(exact[4], rel=0.06)
    M = found.table["M"].quantile(at).to_numpy()
    unit = np.sqrt(S / (n * (n - 2)))
    assert (M - y.mean()) / unit == pytest.approx(t.ppf(at, n - 2), abs=0.2)


def test_resampling_without_replacement():
    """Two of three, one after the other: the chance that an item is left out is known."""
    w = np.array([0.6, 0.3, 0.1])
    rng = np.random.default_rng(1)
    left = np.zeros(3)
    for _ in range(20_000):
        chosen = _without_replacement(np.log(w), 2, rng)
        assert len(set(chosen)) == 2
        left[list({0, 1, 2} - set(chosen))] += 1
    out = [sum(w[i] * w[j] / (1 - w[i]) for i, j in ((a, b), (b, a))) for a, b in ((1, 2), (0, 2), (0, 1))]
    assert left / 20_000 == pytest.approx(out, abs=0.01)


def test_results_do_not_depend_on_who_computes_them(linear):
    def drawn(**how):
        found = wb.sir(linear, (60, 60), (20, 20), **how)
        return np.c_[found.samples, found.dofv], found.chosen

    serial = drawn()
    for parallel in (drawn(jobs=2), *(_within(backend, drawn) for backend in ("threading", "loky"))):
        assert np.array_equal(serial[0], parallel[0]) and np.array_equal(serial[1], parallel[1])


def _within(backend, work):
    with joblib.parallel_config(backend, n_jobs=2):
        return work()


def test_progress_and_cancel(linear):
    seen = []
    found = wb.sir(linear, (100, 100, 100), (20, 20, 20), callback=lambda *at: seen.append(at) or at[0] >= 150)
    assert seen == [(n, 300) for n in (25, 50, 75, 100, 125, 150)]
    assert len(found.rounds) == 1 and "1 of 3 iterations" in repr(found)
    again = wb.sir(linear, 100, 20)
    assert np.array_equal(found.samples, again.samples) and np.array_equal(found.chosen, again.chosen)
    part = wb.sir(linear, 100, 20, callback=lambda done, of: done >= 50)
    assert len(part.samples) == 50 and len(part.table) == 10


def test_what_is_shown(linear):
    found = wb.sir(linear, 100, 20)
    assert "20 of 100 samples" in repr(found) and "<table" in found._repr_html_()
    assert list(found.table.columns) == [*found.names, "delta_ofv"] and len(found.table) == 20
    assert found.trends.groupby("name")["share"].mean().to_numpy() == pytest.approx(0.2)


def test_a_fit_that_is_no_minimum_is_said(linear):
    from dataclasses import replace

    off = replace(linear, model=linear.model.with_values({"A": linear.estimate("A").value + 0.2}))
    assert "fit again from there" in repr(wb.sir(off, 200, 50))


def test_what_cannot_be_resampled_is_refused(linear):
    theophylline = wb.load_example("theophylline")
    without = wb.fit(linear.model, linear.data, covariance=False)
    with pytest.raises(wb.FitError, match=r"no covariance to draw from.*they were not asked for"):
        wb.sir(without)
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2())
    whole = wb.fit(model.with_error(wb.Constant()), theophylline)
    holes = whole.covariance.copy()
    holes[-2, :] = holes[:, -2] = np.nan
    edge = replace(whole, covariance=holes, se_reason="none for iiv_V, at the edge of what is possible.")
    with pytest.raises(wb.FitError, match=r"no covariance of all its estimates.*iiv_V"):
        wb.sir(edge)
    with pytest.raises(wb.FitError, match="more than the 5 estimates"):
        wb.sir(linear, 100, 5)
    with pytest.raises(wb.FitError, match="less than the samples"):
        wb.sir(linear, 100, 100)
    with pytest.raises(wb.FitError, match="as many of both"):
        wb.sir(linear, (100, 100), 50)
    with pytest.raises(wb.FitError, match="inflation=0"):
        wb.sir(linear, inflation=0)
    with pytest.raises(wb.FitError, match=r"samples=\(\)"):
        wb.sir(linear, ())
    with pytest.raises(wb.FitError, match="stopped after 25 samples"):
        wb.sir(linear, 100, 20, callback=lambda done, of: True)
