"""Random effects judged on draws; goodness of fit."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from tests.diagnostics.test_npde import MODEL, designed


@pytest.fixture(scope="module")
def sparse():
    """Two samples a subject: modes are shrunken."""
    return wb.fit(MODEL, designed(150, [1.0, 12.0], seed=2))


def test_draws_have_the_spread_that_modes_lack(sparse):
    found = wb.random_effects(sparse)
    ka = found.table.loc["ka"]
    assert ka["shrinkage"] > 30 and ka["sd"] < 0.7 * ka["omega"]
    assert ka["sd_sampled"] == pytest.approx(ka["omega"], rel=0.15)
    assert "ka" in found.sentence and "draws only" in found.sentence
    own = found.by_subject.median()
    assert own["ka"] > 50 and own["V"] < own["ka"]


def test_a_model_that_is_right_is_left_alone():
    fit = wb.fit(MODEL, designed(100, [0.5, 1, 2, 6, 12, 24], seed=6))
    found = wb.random_effects(fit)
    assert (found.table[["p_mean_sampled", "p_normal_sampled"]].to_numpy() > 0.05).all()
    assert (found.correlations["p"] > 0.01).all() and list(found.correlations.index) == ["ka, CL", "ka, V", "CL, V"]
    again = wb.random_effects(fit)
    pd.testing.assert_frame_equal(found.table, again.table)


def test_what_the_model_leaves_out_is_seen():
    """CL and V correlated 0.9, two kinds of people in CL."""
    rng = np.random.default_rng(3)
    data = designed(120, [0.5, 1, 2, 6, 12, 24], seed=1)
    own = rng.standard_normal(120)
    clearance = 3.0 * np.exp(np.where(rng.random(120) < 0.5, -0.5, 0.5) + 0.05 * rng.standard_normal(120))
    volume = 30.0 * np.exp(0.3 * own)
    ka = 1.5 * np.exp(0.3 * own + 0.1 * rng.standard_normal(120))
    frame = data.to_frame()
    who, t = frame["ID"].astype(int).to_numpy(), frame["TIME"].to_numpy()
    k = clearance / volume
    conc = 100 * ka[who] / volume[who] / (ka - k)[who] * (np.exp(-k[who] * t) - np.exp(-ka[who] * t))
    seen = frame["EVID"].astype(int).to_numpy() == 0
    frame.loc[seen, "DV"] = (conc * np.exp(0.05 * rng.standard_normal(len(t))))[seen]
    found = wb.random_effects(wb.fit(wb.Model(MODEL.structure, error=wb.Proportional()), wb.read_data(frame)))
    assert found.correlations.loc["ka, V", "p"] < 1e-6 and found.correlations.loc["ka, V", "sampled"] > 0.7
    assert found.table.loc["CL", "p_normal_sampled"] < 0.01
    assert "CL is not normal" in found.sentence and "ka, V are correlated" in found.sentence


def test_fits_without_random_effects_are_refused(sparse):
    with pytest.raises(wb.FitError, match="no random effects"):
        wb.random_effects(wb.fit(MODEL, wb.load_example("theophylline"), method="individual"))
    with pytest.raises(wb.FitError, match="no random effects"):
        wb.random_effects(wb.fit(MODEL, sparse.data, method="pooled"))
    with pytest.raises(wb.FitError, match="draws=2"):
        wb.random_effects(sparse, 2)


def test_goodness_names_the_trend():
    data = wb.load_example("theophylline")
    good = wb.gof(wb.fit(wb.Model(wb.pk(absorption="first-order")), data))
    assert list(good.trends["over"]) == ["TIME", "TAD", "PRED", "IPRED"] and "132 observations" in good.sentence
    bolus = wb.gof(wb.fit(wb.Model(wb.pk(), error=wb.Constant()), data))
    assert "look at the structure" in bolus.sentence
    relative = MODEL.with_error(wb.Proportional(0.2))
    data_of = designed(60, [0.5, 1, 4, 12, 24], seed=9, model=relative)
    constant = wb.gof(wb.fit(relative.with_error(wb.Constant()), data_of))
    assert "look at the residual error" in constant.sentence
    alone = wb.gof(wb.fit(MODEL, data, method="individual"))
    assert alone.residual == "IWRES" and "CWRES" not in alone.sentence
    with pytest.raises(wb.FitError, match="takes a fit"):
        wb.gof(data)


def test_they_draw_themselves(sparse):
    pytest.importorskip("matplotlib", reason="plots are an extra")
    assert len(wb.gof(sparse).plot().axes) == 6
    assert len(wb.random_effects(sparse, 5).plot().axes) == 6
    assert len(wb.influence(sparse, 5, refit=False).plot().axes) == 1
