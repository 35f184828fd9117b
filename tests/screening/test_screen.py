"""The screen on individual random effects: its numbers, what shrinkage does to it, and that it never falls over."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import workbench as wb
from workbench.engine.objectives.conditional import conditional_draws

IV = wb.Model(wb.pk(), error=wb.Combined2())


@pytest.fixture(scope="module")
def quinidine():
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2())
    return wb.fit(model, wb.load_example("quinidine"), covariance=False)


@pytest.fixture(scope="module")
def quinidine_screen(quinidine):
    return wb.screen(quinidine)


@pytest.fixture(scope="module")
def phenobarbital():
    return wb.fit(IV, wb.load_example("phenobarbital"), covariance=False)


@pytest.fixture(scope="module")
def lines():
    """A line per subject with random intercept and slope, few and many observations: a linear mixed model."""
    rng = np.random.default_rng(3)
    N = 90
    weight, sex = rng.lognormal(4.2, 0.25, N), np.tile(["f", "m", "m"], N // 3)
    counts = np.tile([2, 6, 12], N // 3)
    subject = np.repeat(np.arange(N), counts)
    t = np.concatenate([np.linspace(0, 4, n) for n in counts])
    slope = rng.normal(1.5, 0.4, N) + 0.02 * (weight - 66)
    y = (5 + rng.normal(0, 1.0, N))[subject] + slope[subject] * t + rng.normal(0, 1.0, len(t))
    frame = pd.DataFrame({"ID": subject, "TIME": t, "DV": y, "WT": weight[subject], "SEX": sex[subject]})
    roles = {"subject": "ID", "time": "TIME", "response": "DV", "covariates": ["WT", "SEX"]}
    parameters = [wb.Parameter(name, iiv=True, transform="identity") for name in ("A", "B")]
    model = wb.Model(wb.equation("A + B*t"), parameters, error=wb.Constant())
    return wb.fit(model, wb.read_data(frame, roles=roles), covariance=False)


def baseline(fit, name):
    return fit.data.frame.groupby(fit.data.roles["subject"], sort=False)[name].first().loc[fit.etas.index]


# -- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("covariate", "shape"), [("WT", "power"), ("GLYCO", "exponential"), ("HT", "power")])
@pytest.mark.parametrize("parameter", ["CL", "V"])
def test_a_regression_is_that_of_scipy(parameter, covariate, shape, quinidine, quinidine_screen):
    row = quinidine_screen.table.loc[f"{parameter} ~ {covariate} ({shape})"]
    eta, x = quinidine.etas[parameter].to_numpy(), baseline(quinidine, covariate).to_numpy(float)
    z = np.log(x) if shape == "power" else x
    line = stats.linregress(z, eta)
    assert row["p"] == pytest.approx(line.pvalue, rel=1e-8)
    assert row["r2"] == pytest.approx(line.rvalue**2)
    low, high = np.percentile(x, [5, 95])
    assert (row["low"], row["high"]) == (low, high)
    step = np.log(high / low) if shape == "power" else high - low
    half = stats.t.ppf(0.975, len(x) - 2) * line.stderr
    ends = np.exp(step * (line.slope + np.array([0, -half, half])))
    assert row[["effect", "lower", "upper"]].tolist() == pytest.approx(ends.tolist())
    assert row["scale"] == "ratio" and (row["n"], row["df"]) == (136, 1)
    rank = stats.spearmanr(x, eta)
    assert (row["rho"], row["rho_p"]) == pytest.approx((rank.statistic, rank.pvalue))
    left = 1 - quinidine.shrinkage["variance"][parameter] / 100
    adjusted = 1 - (1 - line.rvalue**2) * 135 / 134
    assert row["psi_drop"] == pytest.approx(100 * max(adjusted, 0) / left)


@pytest.mark.parametrize("covariate", ["RACE", "ETHANOL", "CREATININE"])
def test_categories_are_an_analysis_of_variance(covariate, quinidine, quinidine_screen):
    test = quinidine_screen.row(f"CL ~ {covariate} (categorical)")
    groups = [part.to_numpy() for _, part in quinidine.etas["CL"].groupby(baseline(quinidine, covariate))]
    assert test.p == pytest.approx(stats.f_oneway(*groups).pvalue, rel=1e-9)
    pooled = sum(((g - g.mean()) ** 2).sum() for g in groups) / (136 - len(groups))
    for contrast, group in zip(test.contrasts, groups[1:], strict=True):
        half = stats.t.ppf(0.975, 136 - len(groups)) * np.sqrt(pooled * (1 / len(group) + 1 / len(groups[0])))
        difference = group.mean() - groups[0].mean()
        assert contrast[2:] == pytest.approx(np.exp(difference + np.array([0, -half, half])).tolist())
    assert test.largest == max(test.contrasts, key=lambda c: abs(np.log(c.effect)))
    row = quinidine_screen.table.loc[test.label]
    assert row["high"] == test.largest.high and np.isnan(row["rho"]) == (len(groups) > 2)


def test_holm_by_hand(quinidine, quinidine_screen):
    from statsmodels.stats.multitest import multipletests

    for name in ("p", "p_sampled"):
        p = quinidine_screen.table[name].to_numpy()
        order = np.argsort(p, kind="stable")
        steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
        corrected = quinidine_screen.table[f"{name}_corrected"].to_numpy()
        assert corrected[order] == pytest.approx(np.minimum(steps, 1))
        assert corrected.tolist() == multipletests(p, method="holm")[1].tolist()
    assert (np.diff(quinidine_screen.table["p"]) >= 0).all()
    other = wb.screen(quinidine, correction="bonferroni", draws=0).table
    assert other["p_corrected"].to_numpy() == pytest.approx(np.minimum(len(other) * other["p"], 1))
    assert other["p_sampled"].isna().all() and other["p_sampled_corrected"].isna().all()


def test_a_difference_where_there_is_no_transform(lines):
    found = wb.screen(lines)
    assert set(found.table["shape"]) == {"linear", "categorical"}
    row = found.table.loc["B ~ WT (linear)"]
    line = stats.linregress(baseline(lines, "WT"), lines.etas["B"])
    assert row["scale"] == "difference"
    assert row["effect"] == pytest.approx(line.slope * (row["high"] - row["low"]))
    assert found.table.index[0] == "B ~ WT (linear)"


def test_relations_among_covariates(quinidine_screen, quinidine):
    found = quinidine_screen.correlations
    height, weight = baseline(quinidine, "HT"), baseline(quinidine, "WT")
    assert found.loc["HT", "WT"] == pytest.approx(np.corrcoef(height, weight)[0, 1])
    race = baseline(quinidine, "RACE")
    means = height.groupby(race).transform("mean")
    assert found.loc["RACE", "HT"] == pytest.approx(np.std(means) / np.std(height))
    chi2 = stats.chi2_contingency(pd.crosstab(race, baseline(quinidine, "SMOKE")), correction=False).statistic
    assert found.loc["SMOKE", "RACE"] == pytest.approx(np.sqrt(chi2 / 136))
    assert np.array_equal(found, found.T) and (np.diag(found) == 1).all()


def test_variance_inflation(quinidine):
    numbers = ["AGE", "HT", "WT", "GLYCO"]
    X = np.column_stack([baseline(quinidine, name) for name in numbers])
    expected = np.diag(np.linalg.inv(np.corrcoef(X.T)))
    assert wb.screen(quinidine, "CL", numbers, draws=0).vif[numbers].to_numpy() == pytest.approx(expected)
    both = wb.screen(quinidine, "CL", ["RACE", "HT"], draws=0).vif  # Fox & Monette: det(R11) det(R22) / det(R)
    race = pd.get_dummies(baseline(quinidine, "RACE"), drop_first=True).to_numpy(float)
    R = np.corrcoef(np.column_stack([race, X[:, 1]]).T)
    factor = np.linalg.det(R[:2, :2]) / np.linalg.det(R)
    assert both["HT"] == pytest.approx(factor) and both["RACE"] == pytest.approx(np.sqrt(factor))


def test_forward_selection_by_bic(quinidine, quinidine_screen):
    found = quinidine_screen.multivariable
    mine = found[found["parameter"] == "CL"]
    assert mine[["covariate", "shape"]].to_numpy().tolist() == [["GLYCO", "exponential"], ["WT", "exponential"]]
    eta = quinidine.etas["CL"].to_numpy()
    columns = [np.ones(136), baseline(quinidine, "GLYCO"), baseline(quinidine, "WT")]

    def bic(X):
        rss = ((eta - X @ np.linalg.lstsq(X, eta, rcond=None)[0]) ** 2).sum()
        return 136 * (np.log(2 * np.pi * rss / 136) + 1) + X.shape[1] * np.log(136)

    values = [bic(np.column_stack(columns[: k + 1])) for k in range(3)]
    assert mine["bic"].to_numpy() == pytest.approx(values[1:])
    assert mine["delta_bic"].to_numpy() == pytest.approx(np.diff(values))
    every = pd.DataFrame({"x": np.log(baseline(quinidine, "AGE"))})
    assert bic(np.column_stack([*columns, every["x"]])) > values[-1]  # nothing more lowers it
    assert (found["delta_bic"] < 0).all() and (found["p"] < 0.05).all()


@pytest.mark.parametrize("l1", [1.0, 0.5])
def test_the_path_minimises_what_it_says(l1, quinidine, quinidine_screen):
    path = quinidine_screen.path("CL", l1=l1, points=6)
    assert (path.iloc[0] == 0).all() and path.columns[0] == "GLYCO"
    best = {covariate: row for (parameter, covariate), row in quinidine_screen.best().items() if parameter == "CL"}
    blocks = {c.name: c.columns(best[c.name].shape) for c in quinidine_screen.candidates}
    X = np.column_stack([blocks[name] for name in best])
    X, eta = (X - X.mean(axis=0)) / X.std(axis=0), quinidine.etas["CL"].to_numpy()
    for alpha, beta in path.iterrows():
        slope = X.T @ (eta - eta.mean() - X @ beta.to_numpy()) / len(eta) - alpha * (1 - l1) * beta.to_numpy()
        assert (np.abs(slope) <= alpha * l1 + 1e-5).all()
        at = beta.to_numpy() != 0
        assert slope[at] == pytest.approx(alpha * l1 * np.sign(beta.to_numpy()[at]), abs=1e-5)


def test_a_smooth_curve(quinidine, quinidine_screen):
    found = quinidine_screen.lowess("CL", "GLYCO")
    assert list(found) == ["GLYCO", "eta", "smooth"] and (np.diff(found["GLYCO"]) >= 0).all()
    assert found["eta"].to_dict() == quinidine.etas["CL"].to_dict()
    assert stats.spearmanr(found["GLYCO"], found["smooth"]).statistic < -0.9
    assert found["smooth"].std() < found["eta"].std()
    with pytest.raises(wb.ModelError, match="'RACE' is no screened covariate that holds numbers; there are AGE, HT"):
        quinidine_screen.lowess("CL", "RACE")


# -- samples of the conditional distribution -----------------------------------------------------------------------


def test_draws_of_a_linear_mixed_model_are_normal_as_known(lines):
    """Its conditional distribution is N(m, C), C⁻¹ = Ψ⁻¹ + ZᵀZ/σ², m = C Zᵀ(y - f) / σ²."""
    drawn = conditional_draws(lines.model, lines.data, draws=400, seed=5)
    events, sigma = lines.data.events, lines.estimate("a").value
    for i in range(6):
        at = slice(events.start[i], events.start[i + 1])
        Z = np.column_stack([np.ones(at.stop - at.start), events.time[at]])
        typical = Z @ [lines.estimate("A").value, lines.estimate("B").value]
        C = np.linalg.inv(np.linalg.inv(lines.omega_matrix) + Z.T @ Z / sigma**2)
        m = C @ Z.T @ (events.dv[at] - typical) / sigma**2
        eta = drawn.eta[:, i]
        error = 4 * np.sqrt(np.diag(C) / 400)
        assert (np.abs(eta.mean(axis=0) - m) < error).all()
        assert np.cov(eta.T) == pytest.approx(C, abs=0.35 * C.max())
        assert drawn.effective[i] > 1000
    again = conditional_draws(lines.model, lines.data, draws=400, seed=5)
    assert np.array_equal(again.eta, drawn.eta)
    assert not np.array_equal(conditional_draws(lines.model, lines.data, draws=400, seed=6).eta, drawn.eta)


def test_draws_with_occasions_have_their_effects(lines):
    frame = lines.data.frame.assign(OCC=(lines.data.frame["TIME"] > 2).astype(int) + 1)
    roles = {"subject": "ID", "time": "TIME", "response": "DV", "occasion": "OCC", "covariates": ["WT"]}
    parameters = [wb.Parameter("A", 5, iiv=1, transform="identity"),
                  wb.Parameter("B", 1.5, iiv=0.5, iov=0.1, transform="identity")]  # fmt: skip
    model = wb.Model(wb.equation("A + B*t"), parameters, error=wb.Constant(1))
    fit = wb.fit(model, wb.read_data(frame, roles=roles), covariance=False, max_iterations=3)
    assert conditional_draws(fit.model, fit.data, draws=10).eta.shape == (10, 90, 4)
    found = wb.screen(fit)
    assert found.row(0).parameter == "B" and set(found.etas) == {"A", "B"}


def test_the_test_on_samples_by_its_definition(quinidine, quinidine_screen):
    """F of the mean coefficients over the mean residual variance, each from a regression of its own."""
    drawn = conditional_draws(quinidine.model, quinidine.data, draws=50, seed=1).eta[:, :, 1]
    race = baseline(quinidine, "RACE")
    X = np.column_stack([np.ones(136), pd.get_dummies(race, drop_first=True).to_numpy(float)])
    fits = [np.linalg.lstsq(X, eta, rcond=None) for eta in drawn]
    b = np.mean([f[0] for f in fits], axis=0)[1:]
    variance = np.mean([f[1][0] for f in fits]) / 133
    middle = np.linalg.inv(np.linalg.inv(X.T @ X)[1:, 1:])
    expected = stats.f.sf(b @ middle @ b / (2 * variance), 2, 133)
    assert quinidine_screen.row("CL ~ RACE (categorical)").p_sampled == pytest.approx(expected)


def sparse(seed, N=80):
    """Two late samples of each subject: weight acts on the clearance, and little is known about the volume."""
    rng = np.random.default_rng(seed)
    weight = rng.lognormal(np.log(70), 0.3, N)
    CL, V = 4 * (weight / 70) * np.exp(rng.normal(0, 0.25, N)), 40 * np.exp(rng.normal(0, 0.25, N))
    t = np.array([12.0, 24.0])
    y = 100 / V[:, None] * np.exp(-(CL / V)[:, None] * t) * np.exp(rng.normal(0, 0.3, (N, 2)))
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, N + 1), 3), "TIME": np.tile([0, *t], N)})
    frame["AMT"], frame["EVID"] = np.tile([100.0, 0, 0], N), np.tile([1, 0, 0], N)
    frame["DV"] = np.column_stack([np.full(N, np.nan), y]).ravel()
    return frame.assign(WT=np.repeat(weight, 3))


SPARSE = wb.Model(
    wb.pk(), [wb.Parameter("CL", 4, iiv=0.4), wb.Parameter("V", 40, iiv=0.25)], error=wb.Proportional(0.3)
)


@pytest.mark.slow
def test_shrinkage_fools_the_modes_and_not_the_samples():
    """Weight does not act on V, whose modes follow CL; at 1 % the modes say that it does."""
    modes, samples = [], []
    for seed in range(7):
        fit = wb.fit(SPARSE, wb.read_data(sparse(seed)), covariance=False)
        table = wb.screen(fit, shapes="power", seed=seed).table
        assert fit.converged and table["p"]["CL ~ WT (power)"] < 1e-6 and table["p_sampled"]["CL ~ WT (power)"] < 1e-6
        row = table.loc["V ~ WT (power)"]
        assert row["shrinkage"] > 30 and not row["trustworthy"]
        modes.append(row["p"])
        samples.append(row["p_sampled"])
    assert np.sum(np.array(modes) < 0.01) >= 5 and np.array(samples).min() > 0.01


@pytest.mark.slow
def test_the_test_on_samples_holds_its_level_under_shrinkage():
    rng = np.random.default_rng(8)
    frame = sparse(1)
    noise = {f"X{k}": np.repeat(rng.standard_normal(80), 3) for k in range(300)}
    data = wb.read_data(pd.concat([frame, pd.DataFrame(noise)], axis=1), roles={"covariates": list(noise)})
    table = wb.screen(wb.fit(SPARSE, data, covariance=False)).table
    false = (table["p_sampled"] < 0.05).groupby(table["parameter"]).mean()
    assert len(table) == 600 and (false < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 300)).all()
    assert false["V"] < false["CL"]  # the more cautious, the more shrinkage


def test_without_shrinkage_both_tests_agree():
    model = wb.Model(wb.pk(compartments=2), error=wb.Proportional())
    table = wb.screen(wb.fit(model, wb.load_example("remifentanil"), covariance=False), "CL").table
    assert table["shrinkage"].max() < 2
    assert np.log(table["p_sampled"]).to_numpy() == pytest.approx(np.log(table["p"]).to_numpy(), rel=0.1, abs=0.1)


# -- what a user does with it --------------------------------------------------------------------------------------


def test_phenobarbital_weight_first_apgar_behind(phenobarbital):
    found = wb.screen(phenobarbital)
    for parameter in ("CL", "V"):
        mine = found.table[found.table["parameter"] == parameter]
        assert mine["covariate"].tolist() == ["WT", "WT", "APGR", "APGR"]
        assert (mine["p_corrected"][:2] < 1e-5).all() and (mine["p_sampled_corrected"][:2] < 0.01).all()
        assert (mine["p_corrected"][2:] > 0.2).all()
    for parameter, label in (("CL", "CL ~ WT (power)"), ("V", "V ~ WT (exponential)")):
        refitted = wb.fit(found.apply(label), phenobarbital.data, covariance=False)
        drop = 100 * (1 - refitted.omega.loc[parameter, parameter] / phenobarbital.omega.loc[parameter, parameter])
        assert drop == pytest.approx(found.table["psi_drop"][label], abs=12)


def test_what_is_modelled_is_marked_and_tested_on_what_is_left(phenobarbital):
    model = IV.with_covariate("CL", "WT").with_covariate("V", "WT")
    found = wb.screen(wb.fit(model, phenobarbital.data, covariance=False))
    modelled = found.table.set_index(["parameter", "covariate"])["modelled"]
    assert modelled.groupby(level=1).all().to_dict() == {"APGR": False, "WT": True}
    assert (found.table[found.table["covariate"] == "WT"]["p"] > 0.05).all()
    assert " *" in found._repr_html_()


def test_a_row_becomes_a_model_and_code(quinidine, quinidine_screen):
    label = "CL ~ CREATININE (categorical)"
    expected = quinidine.model.with_covariate("CL", "CREATININE", shape="categorical")
    assert repr(quinidine_screen.apply(label)) == repr(expected)
    code = quinidine_screen.code(label)
    assert code == "model = model.with_covariate('CL', 'CREATININE', shape='categorical')"
    assert quinidine_screen.row(0) is quinidine_screen.rows[0]
    assert quinidine_screen.code(-1) == quinidine_screen.code(quinidine_screen.rows[-1].label)
    assert wb.fit(quinidine_screen.apply(0), quinidine.data, covariance=False).ofv < quinidine.ofv - 30
    for wrong in ("CL ~ X", 39, None, 1.5):
        with pytest.raises(wb.ModelError, match="There is no row"):
            quinidine_screen.apply(wrong)


def test_what_figures_draw(quinidine_screen):
    table, heat = quinidine_screen.table, quinidine_screen.heatmap()
    assert list(heat.index) == ["ka", "CL", "V"] and heat.shape == (3, 9)
    mine = table[(table["parameter"] == "CL") & (table["covariate"] == "WT")]
    assert heat.loc["CL", "WT"] == mine["p"].min()
    assert quinidine_screen.heatmap("p_sampled").loc["CL", "WT"] == mine["p_sampled"].iloc[0]
    forest = quinidine_screen.forest()
    assert len(forest) == 3 * (4 + 2 * 3 + 1 * 2)  # four numbers, three categories of three levels, two of two
    assert ((forest["lower"] < forest["effect"]) & (forest["effect"] < forest["upper"])).all()
    assert forest["parameter"].drop_duplicates().tolist() == ["ka", "CL", "V"]


def test_text_from_the_data_is_no_markup(quinidine):
    frame = quinidine.data.frame
    frame["RACE"] = frame["RACE"].replace("Black", "<b>x</b>")
    roles = {role: column for role, column in quinidine.data.roles.items() if role != "ignore"}
    fit = wb.fit(quinidine.model, wb.read_data(frame, roles=roles), covariance=False, max_iterations=0)
    page = wb.screen(fit, covariates=["RACE", "AGE"])._repr_html_()
    assert "<b>x" not in page and "RACE" in page and "rgba(" in page
    assert "The fit is not at a minimum" in page


def test_shown_in_words(quinidine_screen):
    text = repr(quinidine_screen)
    assert "Screen of 9 covariates on ka, CL, V: 39 tests" in text and "… and 19 more in `table`." in text
    assert "Shrinkage makes p untrustworthy: V 64 %, ka 87 %." in text
    assert "WT: It changes within 34 subjects; first values are taken." in text


# -- it never falls over -------------------------------------------------------------------------------------------


def awkward(data):
    """Phenobarbital with covariates of every bad kind."""
    frame = data.frame
    code = pd.factorize(frame["ID"])[0]
    weight = frame["WT"]
    frame["GAPS"] = weight.where(code % 7 > 0)
    frame["CONSTANT"] = 1.5
    frame["ALONE"] = np.where(code == 4, "rare", np.where(code % 2, "a", "b"))
    frame["GRAMS"] = 1000 * weight
    frame["SITE"] = [f"site {k % 40}" for k in code]
    frame["EMPTY"] = np.nan
    frame["INFINITE"] = weight.where(code != 3, np.inf)
    frame["MOSTLY"] = weight.where(code < 20)
    frame["SIGNED"] = weight - weight.mean()
    frame["TWO"] = np.where(code % 2, True, False)
    roles = {role: column for role, column in data.roles.items() if role not in ("ignore", "covariates")}
    names = [name for name in frame if name not in roles.values()]
    return wb.read_data(frame, roles={**roles, "covariates": names})


def test_awkward_covariates_are_screened_or_refused_in_words(phenobarbital):
    data = awkward(phenobarbital.data)
    found = wb.screen(replace(phenobarbital, data=data))
    assert {r.name for r in found.refused} == {"CONSTANT", "ALONE", "SITE", "EMPTY", "INFINITE"}
    assert all(r.reason.endswith(".") for r in found.refused)
    plain = wb.screen(phenobarbital).table
    for label in plain.index:
        assert found.table["p"][label] == pytest.approx(plain["p"][label], rel=1e-10)
    assert found.table["p"]["V ~ GRAMS (power)"] == pytest.approx(found.table["p"]["V ~ WT (power)"], rel=1e-6)
    row = found.table.loc["V ~ GAPS (power)"]
    missing = data.frame.groupby("ID")["GAPS"].first().isna().sum()
    assert row["n"] == 59 - missing and "no value" in row["remarks"]
    assert "Identical with WT." in found.table["remarks"]["CL ~ GRAMS (power)"]
    assert {"V ~ SIGNED (exponential)", "V ~ TWO (categorical)"} <= set(found.table.index)
    assert "V ~ SIGNED (power)" not in found.table.index
    assert np.isinf(found.vif["GRAMS"]) and np.isnan(found.vif["MOSTLY"]) and np.isfinite(found.vif["APGR"])
    assert not {"GRAMS", "MOSTLY"} & set(found.multivariable["covariate"])
    assert found.path("CL").iloc[-1].abs().sum() > 0
    text = found._repr_html_()
    for name, reason in found.refused:
        assert name in text and reason.split(";")[0].split("'")[0] in text


@pytest.mark.parametrize("name", ["theophylline", "indomethacin", "tetracycline"])
def test_small_data_sets(name):
    model = wb.Model(wb.equation("A*(exp(-k*t) - 0.9*exp(-l*t))"), error=wb.Constant())
    found = wb.screen(wb.fit(model, wb.load_example(name), covariance=False, max_iterations=15))
    assert len(found.heatmap()) == len(found.etas) and repr(found) and found._repr_html_()
    assert found.multivariable.empty or (found.multivariable["delta_bic"] < 0).all()


def test_a_random_effect_that_is_not_there_is_refused(phenobarbital):
    etas = phenobarbital.eta_matrix * [1.0, 1e-6]
    fit = replace(phenobarbital, eta_matrix=etas, model=phenobarbital.model.with_parameter("V", iiv=1e-5))
    found = wb.screen(fit)
    assert list(found.etas) == ["CL"] and found.refused[0].name == "V"
    assert "Its shrinkage is 100 %" in found.refused[0].reason and "Not screened: V." in repr(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": ["ka"]}, "ka has no random effect of its own; CL, V have."),
        ({"covariates": ["HT"]}, "There is no covariate 'HT'"),
        ({"shapes": ["cubic"]}, "allowed are 'power', 'exponential', 'linear', 'categorical', 'fraction'"),
        ({"shapes": []}, "allowed are 'power'"),
        ({"correction": "none"}, "allowed are 'holm', 'bonferroni'"),
        ({"draws": -1}, "draws=-1; a whole number, 0 or more"),
    ],
)
def test_bad_arguments(arguments, message, phenobarbital):
    with pytest.raises(wb.ModelError, match=message):
        wb.screen(phenobarbital, **arguments)


def test_bad_fits_and_names(phenobarbital):
    with pytest.raises(wb.ModelError, match="The first argument is a fit"):
        wb.screen(IV)
    with pytest.raises(wb.FitError, match="'pooled' has no random effects"):
        wb.screen(wb.fit(IV, phenobarbital.data, method="pooled"))
    found = wb.screen(phenobarbital, "CL", "WT", shapes="linear", draws=0)
    assert list(found.table.index) == ["CL ~ WT (linear)"]
    with pytest.raises(wb.ModelError, match="'V' was not screened; CL was"):
        found.path("V")
    with pytest.raises(wb.ModelError, match="l1=0"):
        found.path("CL", l1=0)
    with pytest.raises(wb.ModelError, match="frac=2"):
        found.lowess("CL", "WT", frac=2)


def test_the_strongest_covariate_comes_first():
    data = wb.load_example("quinidine")
    parameters = [wb.Parameter("ka", 1.0, fixed=("value",)), wb.Parameter("CL", iiv=0.3), wb.Parameter("V", iiv=0.3)]
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order"), parameters, error=wb.Proportional()), data)
    found = wb.screen(fit, draws=0)
    assert found.strongest[0] == "GLYCO" and list(found.heatmap().columns) == list(found.strongest)
    assert found.heatmap().min().is_monotonic_increasing
    assert found._repr_html_().index("GLYCO") < found._repr_html_().index("AGE")
